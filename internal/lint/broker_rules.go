package lint

import (
	"slices"
	"strconv"
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
	pool   string // the id of the pool that it is made from
	// anyRole says that tokens for the pool, as their audience, buy any role that
	// trusts them.
	anyRole bool
}

// eachBrokerRule calls f for every allow rule whose sessions may be ones of a
// role.
func (p *pass) eachBrokerRule(r *role, f func(b brokerRule)) {
	p.eachSession(func(b brokerRule) {
		if p.gives(b, r) == source.Yes {
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
	p.eachProvider(func(b brokerRule, pool *config.Pool, v *config.PoolProvider) {
		b.rule.AWS.Roles = slices.Clone(pool.ClassicRoles)
		if pool.DefaultRole.Value != "" {
			b.rule.AWS.Roles = append(b.rule.AWS.Roles, pool.DefaultRole)
		}
		for _, m := range v.Rules {
			b.rule.AWS.Roles = append(b.rule.AWS.Roles, m.Role)
		}
		b.anyRole = pool.Classic && len(pool.ClassicRoles) == 0 && !pool.Mapped()
		f(b)
	})
}

// eachGrant calls f for every rule, and for what a pool gives by its role
// mapping rules, by its default role and in the basic flow as for a rule each.
func (p *pass) eachGrant(f func(b brokerRule)) {
	p.eachRule(f)
	p.eachProvider(func(b brokerRule, pool *config.Pool, v *config.PoolProvider) {
		grant := func(name string, pos config.Pos, match []config.Match, roles ...config.Text) {
			one := b
			rule := *b.rule
			rule.Name, rule.Pos, rule.Match, rule.AWS.Roles = b.rule.Name+name, pos, match, roles
			one.rule = &rule
			f(one)
		}
		for i, m := range v.Rules {
			grant("/"+strconv.Itoa(i+1), m.Pos, []config.Match{mapped(m)}, m.Role)
		}
		if pool.DefaultRole.Value != "" && (len(v.Rules) == 0 || v.DefaultOnNoMatch) {
			grant("/default", v.Pos, nil, pool.DefaultRole)
		}
		if pool.Classic {
			grant("/basic", v.Pos, nil, pool.ClassicRoles...)
		}
	})
}

// mapped is a role mapping rule as a condition of a rule.
func mapped(m config.RoleRule) config.Match {
	pattern := m.Value.Value
	switch m.Type {
	case config.StartsWith:
		pattern += "*"
	case config.Contains:
		pattern = "*" + pattern + "*"
	case config.NotEqual:
		pattern = "*" // all but one
	}
	return config.Match{Claim: m.Claim, Patterns: []config.Text{{Value: pattern, Pos: m.Value.Pos}}}
}

// eachProvider calls f for every provider of a pool, with a rule that has what
// its sessions have.
func (p *pass) eachProvider(f func(b brokerRule, pool *config.Pool, v *config.PoolProvider)) {
	for i := range p.inv.Configs {
		c := &p.inv.Configs[i]
		if c.Config == nil {
			continue
		}
		host := strings.TrimPrefix(c.Config.Issuer, "https://")
		for k := range c.Config.Pools {
			pool := &c.Config.Pools[k]
			for n := range pool.Providers {
				v := &pool.Providers[n]
				rule := &config.Rule{Name: pool.Label() + "/" + v.Name, Issuers: []string{v.Issuer}, Pos: v.Pos,
					AWS: config.RuleAWS{Tags: v.Tags, Transitive: v.Transitive, SourceIdentity: v.SourceIdentity}}
				f(brokerRule{config: c, rule: rule, index: -1, host: host, pool: pool.ID}, pool, v)
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
			f(brokerRule{config: c, rule: &c.Config.Rules[k], index: k, host: host})
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
