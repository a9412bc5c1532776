package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/match"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// configRules are the rules on the broker's own rules, in stint.yaml.
func configRules() []Rule {
	return []Rule{
		{
			ID: "rule-open", Severity: Warning, Title: "a rule for every repository",
			Why:   "Whoever may write to any repository that the issuer's only takes gets what the rule gives.",
			Fix:   "Match the repository, best by repository_id.",
			check: ruleOpen,
		},
		{
			ID: "rule-renameable", Severity: Warning, Title: "a rule by names that can change hands",
			Why:   "An owner or a repository can be renamed or deleted, and whoever registers the name then gets what the rule gives.",
			Fix:   "Match repository_id or repository_owner_id too, in the rule or in the issuer's only.",
			check: ruleRenameable,
		},
		{
			ID: "rule-prefix", Severity: Warning, Title: "a pattern with an open end",
			Why:   "A * matches every name that begins like this one, and crosses / and : too.",
			Fix:   "Write the names out, or close what is before the * with a slash.",
			check: rulePrefix,
		},
		{
			ID: "rule-pull-request", Severity: Warning, Title: "a rule that pull requests meet",
			Why:   "A pull request runs code that nobody has reviewed yet, and nothing in the rule asks for a branch, an environment or an event.",
			Fix:   "Match ref, environment or event_name, or deny event_name: pull_request*.",
			check: rulePullRequest,
		},
		{
			ID: "rule-workflow-ref-moves", Severity: Warning, Title: "a workflow's reference that moves",
			Why:   "A branch or a tag can be moved to another commit, and * is any branch, so what runs with the role is up to whoever may push there.",
			Fix:   "Match the workflow by commit, or match job_workflow_sha too.",
			check: ruleWorkflowRefMoves,
		},
		{
			ID: "rule-shadowed", Severity: Warning, Title: "a rule that never grants",
			Why:   "A deny rule wins wherever it stands, and of the allow rules that match and list the role the first one decides, so this one never does.",
			Fix:   "Take the rule out, or move it before the one that covers it.",
			check: ruleShadowed,
		},
		{
			ID: "rule-tag-may-be-absent", Severity: Warning, Title: "a tag that policies test and sessions may lack",
			Why:   "A tag whose claim is absent is left out, and the role's policies then find no tag, or the role's own.",
			Fix:   "Mark the tag required, or match the claim.",
			check: ruleTagMayBeAbsent,
		},
		{
			ID: "rule-tag-dropped", Severity: Error, Title: "a tag that policies test and sessions may lose",
			Why:   "A session that would not fit loses the tag, and with it what the role's policies tell sessions apart by.",
			Fix:   "Take drop out of the tag, and give it to one that no policy tests.",
			check: ruleTagDropped,
		},
		{
			ID: "role-unknown", Severity: Note, Title: "a role that was not found",
			Why:   "The files that were read have roles of this account and none with this ARN, so the rule may name a role that is misspelt or gone.",
			Fix:   "Correct the ARN, or lint the files that make the role too.",
			check: roleUnknown,
		},
	}
}

// level is what a claim of a job tells.
type level int

const (
	tellsNothing    level = iota // or what the job's author chooses
	tellsOwner                   // whose it is
	tellsRepository              // the repository, or a workflow within one
)

// levels are the claims that tell whose a job is, by platform.
var levels = map[string]map[string]level{
	"github": {
		"repository": tellsRepository, "repository_id": tellsRepository, "repository_name": tellsRepository, "repo_id": tellsRepository,
		"job_workflow_ref": tellsRepository, "job_workflow_sha": tellsRepository, "workflow_ref": tellsRepository, "workflow_sha": tellsRepository,
		"sub":              tellsRepository,
		"repository_owner": tellsOwner, "repository_owner_id": tellsOwner, "owner_id": tellsOwner, "enterprise": tellsOwner, "enterprise_id": tellsOwner,
	},
	"gitlab": {
		"project_path": tellsRepository, "project_id": tellsRepository, "repo_id": tellsRepository, "sub": tellsRepository,
		"job_project_path": tellsRepository, "job_project_id": tellsRepository, "repository_name": tellsRepository, "ci_config_ref_uri": tellsRepository, "ci_config_sha": tellsRepository,
		"namespace_path": tellsOwner, "namespace_id": tellsOwner, "owner_id": tellsOwner, "job_namespace_path": tellsOwner, "job_namespace_id": tellsOwner,
	},
}

// chosenByJob are claims that whoever writes the workflow chooses, or that tell
// when and not whose.
var chosenByJob = map[string][]string{
	"github": {
		"actor", "actor_id", "aud", "base_ref", "check_run_id", "environment", "event_name", "from_fork", "head_ref", "iss", "ref", "ref_protected",
		"ref_type", "repository_visibility", "run_attempt", "run_id", "run_number", "runner_environment", "sha", "subject_form", "workflow",
	},
	"gitlab": {
		"aud", "environment", "environment_protected", "iss", "job_id", "pipeline_id", "pipeline_source", "project_visibility", "ref", "ref_path",
		"ref_protected", "ref_type", "runner_environment", "runner_id", "sha", "user_access_level", "user_email", "user_id", "user_login",
	},
}

// narrows answers how far a condition of a rule narrows down whose job it is.
// known is false for a claim of which nothing is known.
func narrows(platform string, m config.Match) (l level, known bool) {
	l, listed := levels[platform][m.Claim]
	if !listed {
		return tellsNothing, slices.Contains(chosenByJob[platform], m.Claim)
	}
	for _, p := range m.Patterns {
		l = min(l, patternLevel(platform, m.Claim, p.Value, l))
	}
	return l, true
}

func patternLevel(platform, claim, pattern string, full level) level {
	if pattern != "" && strings.Trim(pattern, "*") == "" {
		return tellsNothing
	}
	on := subject.GitHub
	if platform == "gitlab" {
		on = subject.GitLab
	}
	var s subject.Subject
	switch claim {
	case "sub":
		s = subject.Parse(star(pattern), on)
	case "repository", "project_path", "job_project_path":
		s, _ = subject.ParseClaim(strings.TrimPrefix(claim, "job_"), star(pattern), on)
	case "job_workflow_ref", "workflow_ref":
		w := subject.ParseWorkflow(star(pattern))
		if w.Repository() == subject.Closed {
			return full
		}
		if strings.Contains(w.Path.Prefix(), "/") {
			return tellsOwner
		}
		return tellsNothing
	default:
		return full
	}
	switch {
	case s.Repository().Scope == subject.Closed || s.Repository().Scope == subject.Prefix:
		return full
	case s.Owner().Scope == subject.Closed || s.Owner().Scope == subject.Prefix:
		return tellsOwner
	}
	return tellsNothing
}

// oneOwner reports whether the issuer's only leaves one owner: then to name the
// owner again narrows nothing down.
func oneOwner(platform string, issuer *config.Issuer) bool {
	for _, m := range issuer.Only {
		if l, _ := narrows(platform, m); l == tellsOwner && len(m.Patterns) == 1 {
			return true
		}
	}
	return false
}

func ruleOpen(p *pass) {
	p.eachGrant(func(b brokerRule) {
		platform := b.platform()
		if b.rule.Deny || platform != "github" && platform != "gitlab" {
			return // of other platforms it is not known what a claim tells
		}
		for _, issuer := range b.reached() {
			for _, m := range issuer.Only {
				if l, known := narrows(platform, m); l == tellsRepository || !known {
					return
				}
			}
			for _, m := range b.rule.Match {
				l, known := narrows(platform, m)
				if l == tellsRepository || !known || l == tellsOwner && !oneOwner(platform, issuer) {
					return
				}
			}
		}
		if b.rolePerRepository(platform) || b.pool != "" && b.tagsRepository(platform) {
			return
		}
		var names []string
		for _, m := range b.rule.Match {
			names = append(names, m.Claim)
		}
		what := "nothing is matched"
		if len(names) > 0 {
			what = "of the claims only " + strings.Join(names, ", ") + " must match"
		}
		p.ruleFinding(b, b.name(), "", what+": a job of every repository that the issuer's only takes can have the role")
	})
}

// rolePerRepository reports whether every role has the repository in its name,
// so that each gets a role of its own.
func (b brokerRule) rolePerRepository(platform string) bool {
	for _, t := range b.rule.AWS.Roles {
		template, err := config.ParseTemplate(t.Value)
		if err != nil || !slices.ContainsFunc(template.Claims(), func(c string) bool { return levels[platform][c] == tellsRepository }) {
			return false
		}
	}
	return len(b.rule.AWS.Roles) > 0
}

// tagsRepository reports whether every session has a tag with the repository.
// Pools are made to give one role to all and to tell sessions apart by their
// tags.
func (b brokerRule) tagsRepository(platform string) bool {
	return slices.ContainsFunc(b.rule.AWS.Tags, func(t config.Tag) bool {
		return b.mayBeAbsent(t) == source.No &&
			slices.ContainsFunc(claimsOf(t), func(c string) bool { return levels[platform][c] == tellsRepository })
	})
}

// name is the rule's name with its place.
func (b brokerRule) name() source.Text { return b.at(b.rule.Name, b.rule.Pos) }

// ruleFinding reports a finding on a rule; where an expression may make the rule
// narrower in ways that are not known here, it is unknown.
func (p *pass) ruleFinding(b brokerRule, at source.Text, fix, message string) {
	if b.expression() != "" {
		p.unknown(b.rule.Name, at, "%s, unless the expression in when keeps them out", message)
		return
	}
	p.report(b.rule.Name, at, fix, "%s", message)
}

func roleUnknown(p *pass) {
	p.eachGrant(func(b brokerRule) {
		for _, t := range b.rule.AWS.Roles {
			if strings.Contains(t.Value, "{") {
				continue // which role it is depends on claims
			}
			at := b.at(t.Value, t.Pos)
			account := accountOf(at)
			if account == "" || p.maybeRole(t.Value, account) {
				continue
			}
			p.report(b.rule.Name, at, "", "no role %s is among those of account %s that were read", t.Value, account)
		}
	})
}

// maybeRole reports whether a role of this ARN is, or may be, among those that
// were read, or whether none of its account is.
func (p *pass) maybeRole(arn, account string) bool {
	others := false
	for i := range p.inv.Roles {
		r := &p.inv.Roles[i]
		own := r.AccountID
		if own == "" {
			own = accountOf(r.ARN)
		}
		if own != "" && own != account {
			continue
		}
		text, known := r.ARN.Known()
		switch {
		case known && text != "":
			if text == arn {
				return true
			}
		case !known && r.ARN.Equals(arn) == source.No:
		default:
			name, known := r.Name.Known()
			if !known || name == "" || strings.HasSuffix(arn, "/"+name) {
				return true // it may be this one
			}
		}
		others = others || own == account
	}
	return !others
}

func ruleShadowed(p *pass) {
	p.eachRule(func(b brokerRule) {
		if b.rule.Deny {
			return
		}
		all, own := b.config.Config.Rules, b.tokens()
		for i := range all {
			d := brokerRule{config: b.config, rule: &all[i], index: i, host: b.host}
			if all[i].Deny && d.covers(own) {
				p.report(b.rule.Name, b.name(), "", "the deny rule %s in line %d matches whatever this rule matches", d.rule.Name, d.rule.Pos.Line)
				return
			}
		}
		var by []string
		for _, role := range b.rule.AWS.Roles {
			i := b.earlier(role.Value, own)
			if i < 0 {
				return
			}
			if named := fmt.Sprintf("%s in line %d", all[i].Name, all[i].Pos.Line); !slices.Contains(by, named) {
				by = append(by, named)
			}
		}
		message := "the rule %s matches whatever this rule matches, and lists its roles"
		if len(by) > 1 {
			message = "the rules %s match whatever this rule matches, and list its roles"
		}
		p.report(b.rule.Name, b.name(), "", message, strings.Join(by, " and "))
	})
}

// earlier is the first allow rule before this one that gives a role to all of
// these tokens; -1 if there is none.
func (b brokerRule) earlier(role string, own tokens) int {
	all := b.config.Config.Rules
	for i := range all[:b.index] {
		a := brokerRule{config: b.config, rule: &all[i], index: i, host: b.host}
		if !all[i].Deny && a.covers(own) && a.lists(role) {
			return i
		}
	}
	return -1
}

// lists reports whether a rule gives a role wherever it matches. A role with
// {claim} in it may not be formed, and where the first one is not, a request
// without a role goes on to the next rule.
func (b brokerRule) lists(role string) bool {
	roles := b.rule.AWS.Roles
	return len(roles) > 0 && !strings.Contains(roles[0].Value+role, "{") &&
		slices.ContainsFunc(roles, func(t config.Text) bool { return t.Value == role })
}

// tokens are the tokens that a rule matches: their issuers, and what all of them
// meet.
type tokens struct {
	issuers []*config.Issuer
	meet    []config.Match
}

func (b brokerRule) tokens() tokens { return tokens{b.reached(), b.matches()} }

// covers reports whether a rule certainly matches all of these tokens.
func (b brokerRule) covers(t tokens) bool {
	if b.expression() != "" {
		return false
	}
	for _, wide := range b.rule.Match {
		if !slices.ContainsFunc(t.meet, func(narrow config.Match) bool { return coversMatch(wide, narrow) }) {
			return false
		}
	}
	return len(b.rule.Issuers) == 0 ||
		!slices.ContainsFunc(t.issuers, func(i *config.Issuer) bool { return !slices.Contains(b.rule.Issuers, i.Name) })
}

// coversMatch reports whether whatever meets one condition meets another too.
func coversMatch(wide, narrow config.Match) bool {
	if wide.Claim != narrow.Claim {
		return false
	}
	for _, n := range narrow.Patterns {
		if !slices.ContainsFunc(wide.Patterns, func(w config.Text) bool { return coversPattern(w.Value, n.Value) }) {
			return false
		}
	}
	return true
}

// coversPattern reports whether a pattern matches everything that another one
// matches. A * of the inner pattern is a character like any other here, which
// only a * of the outer one matches.
func coversPattern(wide, narrow string) bool { return match.Compile(wide).Match(narrow) }
