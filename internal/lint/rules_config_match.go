package lint

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// star is a pattern of the configuration, in which ? is a character like any
// other.
func star(s string) subject.Pattern {
	var out subject.Pattern
	for i, part := range strings.Split(s, "*") {
		if i > 0 {
			out = subject.Join(out, subject.Pattern{{Kind: subject.Any}})
		}
		out = subject.Join(out, subject.Exact(part))
	}
	return out
}

// subjectOf takes a value for a claim apart; ok is false for a claim that tells
// neither owner nor repository.
func subjectOf(platform, claim, value string) (s subject.Subject, ok bool) {
	on, known := map[string]subject.Platform{"github": subject.GitHub, "gitlab": subject.GitLab}[platform]
	if !known {
		return subject.Subject{}, false
	}
	if claim == "sub" {
		return subject.Parse(star(value), on), true
	}
	if on == subject.GitLab {
		claim = strings.TrimPrefix(claim, "job_") // the same, where project_ names a fork
	}
	return subject.ParseClaim(claim, star(value), on)
}

// byID reports whether one of the conditions fixes the owner or the repository
// by an id.
func byID(platform string, list []config.Match) bool {
	return slices.ContainsFunc(list, func(m config.Match) bool {
		return len(m.Patterns) > 0 && !slices.ContainsFunc(m.Patterns, func(p config.Text) bool { return !idPattern(platform, m.Claim, p.Value) })
	})
}

func idPattern(platform, claim, value string) bool {
	switch claim {
	case "owner_id", "repo_id", "repository_id", "repository_owner_id", "enterprise_id", "project_id", "namespace_id", "job_project_id", "job_namespace_id":
		return value != "" && !strings.Contains(value, "*")
	}
	s, ok := subjectOf(platform, claim, value)
	return ok && claim == "sub" && s.ByID() == subject.Yes
}

// nameClaims are claims that hold names which can change hands.
var nameClaims = []string{"repository", "repository_owner", "repository_name", "sub", "project_path", "namespace_path", "job_project_path", "job_namespace_path"}

func ruleRenameable(p *pass) {
	p.eachGrant(func(b brokerRule) {
		platform := b.platform()
		if b.rule.Deny || platform != "github" && platform != "gitlab" {
			return
		}
		shared := false
		for _, issuer := range b.reached() {
			_, everybody := subject.OfIssuer(strings.TrimPrefix(issuer.URL, "https://"))
			shared = shared || everybody && !byID(platform, issuer.Only)
		}
		if !shared || byID(platform, b.rule.Match) {
			return
		}
		for _, m := range b.rule.Match {
			if !slices.Contains(nameClaims, m.Claim) || len(m.Patterns) == 0 {
				continue
			}
			at := b.at(m.Patterns[0].Value, m.Patterns[0].Pos)
			message := fmt.Sprintf("%s %q goes by a name, which can be given up and registered by somebody else", m.Claim, m.Patterns[0].Value)
			if strings.Contains(b.expression(), "_id") {
				p.unknown(b.rule.Name, at, "%s, unless the expression in when asks for an id", message)
				return
			}
			p.report(b.rule.Name, at, fixID(platform), "%s", message)
			return
		}
	})
}

func fixID(platform string) string {
	if platform == "gitlab" {
		return "Match project_id too, or put namespace_id into the issuer's only."
	}
	return "Match repository_id too, or put repository_owner_id into the issuer's only."
}

func rulePrefix(p *pass) {
	p.eachGrant(func(b brokerRule) {
		if b.rule.Deny {
			return // a deny rule is safer the more it matches
		}
		platform := b.platform()
		for _, m := range b.rule.Match {
			for _, t := range m.Patterns {
				what := openEnd(platform, m.Claim, t.Value)
				if what == "" || b.closedElsewhere(platform, what) {
					continue
				}
				p.ruleFinding(b, b.at(t.Value, t.Pos), "", fmt.Sprintf("%s %q leaves the name of the %s open", m.Claim, t.Value, what))
			}
		}
	})
}

// closedElsewhere reports whether another condition fixes what a pattern leaves
// open.
func (b brokerRule) closedElsewhere(platform, what string) bool {
	return slices.ContainsFunc(b.matches(), func(m config.Match) bool {
		if slices.ContainsFunc(m.Patterns, func(t config.Text) bool { return strings.Contains(t.Value, "*") || t.Value == "" }) {
			return false
		}
		switch what {
		case "owner":
			return levels[platform][m.Claim] != tellsNothing && (m.Claim != "repository_name")
		case "repository":
			return slices.Contains([]string{"repository", "repository_id", "repo_id", "project_id", "project_path"}, m.Claim)
		}
		return m.Claim == "ref" || m.Claim == "environment"
	})
}

// openEnd says what a pattern leaves open at the end of a name; empty where it
// leaves nothing open, or all of it.
func openEnd(platform, claim, value string) string {
	before, _, wild := strings.Cut(value, "*")
	if !wild || before == "" {
		return ""
	}
	closed := func(ends string) bool { return strings.ContainsAny(before[len(before)-1:], ends) }
	switch claim {
	case "ref":
		if !closed("/") && !versionTag(before) {
			return "branch or tag"
		}
	case "environment":
		if !closed("/") {
			return "environment"
		}
	case "repository_owner", "namespace_path":
		if !closed("/") {
			return "owner"
		}
	case "repository_name":
		return "repository"
	case "repository_id", "repo_id", "project_id":
		return "repository"
	case "repository_owner_id", "owner_id", "namespace_id":
		return "owner"
	case "repository", "project_path", "sub":
		s, ok := subjectOf(platform, claim, value)
		switch {
		case !ok:
		case s.Owner().Scope == subject.Prefix:
			return "owner"
		case s.Repository().Scope == subject.Prefix:
			return "repository"
		case claim == "sub" && s.Ref().Scope == subject.Prefix:
			return "branch, tag or environment"
		}
	}
	return ""
}

// versionTag reports whether a pattern begins the tags of versions, such as
// refs/tags/v*.
func versionTag(before string) bool {
	name, ok := strings.CutPrefix(before, "refs/tags/")
	return ok && strings.Trim(strings.TrimPrefix(name, "v"), "0123456789.") == ""
}

func ruleWorkflowRefMoves(p *pass) {
	p.eachGrant(func(b brokerRule) {
		if sha, ok := b.values("job_workflow_sha"); b.rule.Deny || ok && !slices.ContainsFunc(sha, func(t config.Text) bool { return strings.Contains(t.Value, "*") }) {
			return
		}
		for _, m := range b.rule.Match {
			if m.Claim != "job_workflow_ref" && m.Claim != "workflow_ref" {
				continue
			}
			for _, t := range m.Patterns {
				w := subject.ParseWorkflow(star(t.Value))
				// The workflow of the repository itself is where its ref is: only
				// one that may be anywhere is worth a word.
				if w.Moves() != subject.Yes || m.Claim == "workflow_ref" && w.HasRef && w.Ref.Wild() != subject.Yes {
					continue
				}
				p.ruleFinding(b, b.at(t.Value, t.Pos), "", fmt.Sprintf("the workflow in %s %q is taken from a reference that can move", m.Claim, t.Value))
			}
		}
	})
}

// pullEvents are the events of pull requests, with the ref that their tokens
// have.
var pullEvents = []struct{ event, ref string }{
	{"pull_request", "refs/pull/7/merge"}, {"pull_request_target", ""},
}

func rulePullRequest(p *pass) {
	p.eachGrant(func(b brokerRule) {
		if b.rule.Deny || b.platform() != "github" {
			return
		}
		var events []string
		for _, e := range pullEvents {
			if b.meets(e.event, e.ref) && !b.deniedFor(e.event, e.ref) {
				events = append(events, e.event)
			}
		}
		if len(events) == 0 {
			return
		}
		if _, asked := b.values("event_name"); asked && p.rolesWrite(b) != source.Yes {
			return // it is for pull requests by intention
		}
		p.ruleFinding(b, b.name(), "", "a job on "+strings.Join(events, " or ")+" meets the rule")
	})
}

// rolesWrite answers whether a role of the rule, among those that were read, can
// write.
func (p *pass) rolesWrite(b brokerRule) source.Truth {
	out := source.Unknown
	for i := range p.inv.Roles {
		r := &p.inv.Roles[i]
		if p.gives(b, r) == source.Yes && canWrite(r) == source.Yes {
			out = source.Yes
		}
	}
	return out
}

// meets reports whether a job of a pull request certainly can meet what a rule
// asks of branch, environment and event. An empty ref is the base branch's: a
// rule that asks for a ref is taken to have chosen its branches.
func (b brokerRule) meets(event, ref string) bool {
	for _, m := range b.matches() {
		one := func(f func(t config.Text) bool) bool { return slices.ContainsFunc(m.Patterns, f) }
		matches := func(value string) bool {
			return one(func(t config.Text) bool { return coversPattern(t.Value, value) })
		}
		ok := true
		switch m.Claim {
		case "event_name":
			ok = matches(event)
		case "ref":
			ok = ref != "" && matches(ref)
		case "sub":
			ok = one(func(t config.Text) bool {
				s, _ := subjectOf("github", "sub", t.Value)
				return s.Covers("pull_request") == subject.Yes
			})
		case "environment", "from_fork", "sha", "workflow_sha", "job_workflow_sha", "ref_protected", "ref_type", "run_id", "check_run_id":
			ok = false
		case "head_ref", "base_ref":
			ok = one(func(t config.Text) bool { return t.Value != "" })
		case "job_workflow_ref", "workflow_ref":
			ok = one(func(t config.Text) bool {
				w := subject.ParseWorkflow(star(t.Value))
				return w.HasRef && w.Ref.Wild() == subject.Yes && w.Ref.Prefix() == ""
			})
		}
		if !ok {
			return false
		}
	}
	return true
}

// deniedFor reports whether a deny rule keeps jobs of a pull request out that
// meet a rule, or may.
func (b brokerRule) deniedFor(event, ref string) bool {
	own := b.tokens()
	own.meet = slices.DeleteFunc(own.meet, func(m config.Match) bool { return m.Claim == "event_name" || m.Claim == "ref" && ref != "" })
	own.meet = append(own.meet, config.Match{Claim: "event_name", Patterns: []config.Text{{Value: event}}})
	if ref != "" {
		own.meet = append(own.meet, config.Match{Claim: "ref", Patterns: []config.Text{{Value: ref}}})
	}
	return slices.ContainsFunc(b.config.Config.Rules, func(r config.Rule) bool {
		if !r.Deny {
			return false
		}
		r.When.Value = "" // what the expression denies is not known: it may be this
		return brokerRule{config: b.config, rule: &r, host: b.host}.covers(own)
	})
}

func ruleTagMayBeAbsent(p *pass) {
	tests := sync.OnceValue(p.tagTests)
	p.eachSession(func(b brokerRule) {
		if len(b.rule.AWS.Tags) == 0 {
			return
		}
		tested := tests().of(p, b)
		for _, t := range b.rule.AWS.Tags {
			lacks := b.mayBeAbsent(t)
			if lacks == source.No || t.Drop > 0 { // of the latter rule-tag-dropped tells
				continue
			}
			where := tested(t.Key)
			if where == "" {
				continue
			}
			claims := strings.Join(claimsOf(t), ", ")
			p.verdict(lacks, b.rule.Name, b.at(t.Key, t.Pos), fmt.Sprintf("Write %s: {claim: %q, required: true}, or match %s.", t.Key, t.Source.Value, claims),
				fmt.Sprintf("the tag %s is left out where the token has no %s, and %s tests it", t.Key, claims, where),
				fmt.Sprintf("whether every token that meets the rule has %s is not known, and %s tests the tag %s", claims, where, t.Key))
		}
	})
}

// ruleTagDropped reports tags that a session may lose although a policy tests
// them.
func ruleTagDropped(p *pass) {
	tests := sync.OnceValue(p.tagTests)
	p.eachSession(func(b brokerRule) {
		if !slices.ContainsFunc(b.rule.AWS.Tags, func(t config.Tag) bool { return t.Drop > 0 }) {
			return
		}
		tested := tests().of(p, b)
		for _, t := range b.rule.AWS.Tags {
			if t.Drop == 0 {
				continue
			}
			if where := tested(t.Key); where != "" {
				p.report(b.rule.Name, b.at(t.Key, t.Pos), "Take drop out of the tag, and give it to one that no policy tests.",
					"the tag %s is dropped where the session would not fit, and %s tests it", t.Key, where)
			}
		}
	})
}
