package lint

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// brokerRule is an allow rule of a broker, with where it comes from.
type brokerRule struct {
	config *inventory.Configuration
	rule   *config.Rule
	index  int
	host   string // the broker's issuer, as condition keys have it
}

// eachBrokerRule calls f for every allow rule that lists a role by this ARN.
// Roles with {claim} in them are not known, and stand for none.
func (p *pass) eachBrokerRule(arn string, f func(b brokerRule)) {
	if arn == "" {
		return
	}
	p.eachSession(func(b brokerRule) {
		if slices.ContainsFunc(b.rule.AWS.Roles, func(t config.Text) bool { return t.Value == arn }) {
			f(b)
		}
	})
}

// eachSession calls f for every allow rule, and for every provider of a pool as
// for a rule that gives all of its roles.
func (p *pass) eachSession(f func(b brokerRule)) {
	p.eachRule(func(b brokerRule) {
		if !b.rule.Deny {
			f(b)
		}
	})
	for i := range p.inv.Configs {
		c := &p.inv.Configs[i]
		if c.Config == nil {
			continue
		}
		for k := range c.Config.Pools {
			pool := &c.Config.Pools[k]
			for _, v := range pool.Providers {
				rule := &config.Rule{Name: pool.Label() + "/" + v.Name, Issuers: []string{v.Issuer}, Pos: v.Pos,
					AWS: config.RuleAWS{Roles: slices.Clone(pool.ClassicRoles), Tags: v.Tags, Transitive: v.Transitive, SourceIdentity: v.SourceIdentity}}
				if pool.DefaultRole.Value != "" {
					rule.AWS.Roles = append(rule.AWS.Roles, pool.DefaultRole)
				}
				for _, m := range v.Rules {
					rule.AWS.Roles = append(rule.AWS.Roles, m.Role)
				}
				f(brokerRule{config: c, rule: rule, index: -1, host: strings.TrimPrefix(c.Config.Issuer, "https://")})
			}
		}
	}
}

// eachRule calls f for every rule of every configuration.
func (p *pass) eachRule(f func(b brokerRule)) {
	for i := range p.inv.Configs {
		c := &p.inv.Configs[i]
		if c.Config == nil {
			continue
		}
		host := strings.TrimPrefix(c.Config.Issuer, "https://")
		for k := range c.Config.Rules {
			f(brokerRule{c, &c.Config.Rules[k], k, host})
		}
	}
}

// reached are the issuers whose tokens a rule looks at.
func (b brokerRule) reached() []*config.Issuer {
	var out []*config.Issuer
	for i := range b.config.Config.Issuers {
		if issuer := &b.config.Config.Issuers[i]; len(b.rule.Issuers) == 0 || slices.Contains(b.rule.Issuers, issuer.Name) {
			out = append(out, issuer)
		}
	}
	return out
}

// platform is the platform of all issuers that a rule looks at, or empty where
// it is not known or there are several.
func (b brokerRule) platform() string {
	out := ""
	for i, issuer := range b.reached() {
		if platform := string(issuer.Platform); i > 0 && platform != out {
			return ""
		}
		out = string(issuer.Platform)
	}
	return out
}

// matches are the conditions that a token must meet before the rule grants:
// those of match, and those of only where the rule has one issuer.
func (b brokerRule) matches() []config.Match {
	out := slices.Clone(b.rule.Match)
	if issuers := b.reached(); len(issuers) == 1 {
		out = append(out, issuers[0].Only...)
	}
	return out
}

// values are the patterns that a claim must match by the rule's own match; ok
// is false where it asks for none.
func (b brokerRule) values(claim string) (patterns []config.Text, ok bool) {
	for _, m := range b.rule.Match {
		if m.Claim == claim {
			return m.Patterns, true
		}
	}
	return nil, false
}

// expression is a rule's CEL expression; what it narrows is not known here.
func (b brokerRule) expression() string { return b.rule.When.Value }

// at is a text of the configuration with its place in the file.
func (b brokerRule) at(value string, pos config.Pos) source.Text {
	return source.Literal(value).At(source.Position{File: b.config.File, Line: pos.Line, Column: pos.Column}, source.Span{})
}

// claimsOf are the claims that a tag's value is made of.
func claimsOf(t config.Tag) []string {
	template, err := config.ClaimOrTemplate(t.Source.Value)
	if err != nil {
		return nil // refused when the file was read
	}
	return template.Claims()
}

// always are the claims that every token of a platform has, as its
// documentation says. What is not in it may be absent.
var always = map[string][]string{
	"github": {
		"aud", "iss", "sub", "actor", "actor_id", "event_name", "job_workflow_ref", "ref", "ref_type", "repository", "repository_id",
		"repository_name", "repository_owner", "repository_owner_id", "repository_visibility", "run_attempt", "run_id", "run_number",
		"runner_environment", "sha", "workflow", "workflow_ref",
	},
}

// sometimes are claims of which it is certain that many tokens lack them.
var sometimes = map[string][]string{
	"github": {"environment", "enterprise", "enterprise_id", "from_fork"},
	"gitlab": {"environment", "environment_protected", "deployment_tier", "environment_action"},
}

// mayBeAbsent answers whether a tag of the rule may be left out of a session:
// it is not required, and one of its claims may be absent, or it is dropped
// where the session would not fit.
func (b brokerRule) mayBeAbsent(t config.Tag) source.Truth {
	if t.Required {
		return source.No
	}
	if t.Drop > 0 {
		return source.Yes
	}
	out := source.No
	platform := b.platform()
	for _, claim := range claimsOf(t) {
		if slices.ContainsFunc(b.matches(), func(m config.Match) bool { return m.Claim == claim }) {
			continue // an absent claim matches nothing
		}
		switch {
		case slices.Contains(always[platform], claim):
		case strings.Contains(b.expression(), claim):
			out = out.Or(source.Unknown)
		case slices.Contains(sometimes[platform], claim):
			return source.Yes
		default:
			out = out.Or(source.Unknown)
		}
	}
	return out
}
