package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/match"
)

// knownClaims are what a platform signs, for warnings only: platforms add new
// ones, and customers define their own.
var knownClaims = map[identity.Platform][]string{
	identity.GitHub: strings.Fields(`aud iss sub exp iat jti nbf actor actor_id base_ref check_run_id enterprise
		enterprise_id environment event_name head_ref job_workflow_ref job_workflow_sha ref ref_type ref_protected
		repository repository_id repository_owner repository_owner_id repository_visibility run_id run_number
		run_attempt runner_environment sha workflow workflow_ref workflow_sha`),
}

// suspectClaims warns of claims that look like a misspelling of a known one.
func (r *reader) suspectClaims(rule Rule, path string) {
	if !r.githubOnly(rule) {
		return
	}
	known := slices.Concat(knownClaims[identity.GitHub], identity.DerivedNames)
	for _, m := range rule.Match {
		if slices.Contains(known, m.Claim) || strings.HasPrefix(m.Claim, "repo_property_") {
			continue
		}
		if near := nearest(m.Claim, known); near != "" {
			r.warn(m.Pos, join(path+".match", m.Claim), "did you mean "+near+"?", "GitHub sends no claim of this name, so the rule never matches")
		}
	}
}

// githubOnly reports whether only GitHub's tokens can reach a rule.
func (r *reader) githubOnly(rule Rule) bool {
	reached := false
	for _, i := range r.cfg.Issuers {
		if len(rule.Issuers) > 0 && !slices.Contains(rule.Issuers, i.Name) {
			continue
		}
		if i.Platform != identity.GitHub {
			return false
		}
		reached = true
	}
	return reached
}

// shape is what all values of a claim look like.
type shape struct {
	values *regexp.Regexp
	is     string
	hint   string
}

var (
	number    = shape{regexp.MustCompile(`^[0-9]+$`), "a number", "the name stands in another claim, such as repository or actor"}
	fullRef   = shape{regexp.MustCompile(`^refs/`), "a full ref", "write refs/heads/BRANCH or refs/tags/TAG"}
	ownerRepo = shape{regexp.MustCompile(`^[^/]+/[^/]+$`), "OWNER/REPOSITORY", "write it with its owner, or match repository_name"}
	form      = shape{regexp.MustCompile(`^(names|ids|custom)$`), "names, ids or custom", ""}
	// A deny rule that waits for true would let every fork pass.
	noFork = shape{regexp.MustCompile(`^false$`), "false, or absent where nothing tells", "deny pull requests with event_name: pull_request*, or allow from_fork: \"false\" only"}
	truth  = shape{regexp.MustCompile(`^(true|false)$`), "true or false", ""}
)

// githubShapes are claims whose values GitHub documents to look alike
// (its OpenID Connect reference).
var githubShapes = map[string]shape{
	"repository_id": number, "repository_owner_id": number, "actor_id": number, "enterprise_id": number,
	"run_id": number, "run_number": number, "run_attempt": number, "check_run_id": number,
	"ref": fullRef, "repository": ownerRepo, "ref_protected": truth,
	"subject_form": form, "from_fork": noFork,
}

// deadValues refuses values that no token has: an allow rule with one would
// never grant, and a deny rule with one would protect nothing.
func (r *reader) deadValues(rule Rule, path string) {
	if !r.githubOnly(rule) {
		return
	}
	for _, m := range rule.Match {
		s, known := githubShapes[m.Claim]
		if !known {
			continue
		}
		for _, p := range m.Patterns {
			// A pattern with a star is left alone: what it leaves open may fit.
			if match.Compile(p.Value).Literal() && !s.values.MatchString(p.Value) {
				r.failAt(p.Pos, join(path+".match", m.Claim), s.hint, "%s is always %s, so %q never matches", m.Claim, s.is, p.Value)
			}
		}
	}
}
