package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/awsclaims"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
)

// ActionExchange is the action of a broker's decision.
const ActionExchange = "stint:Exchange"

// Rules explains what a broker with this configuration makes of the claims of
// a token: whether its issuer, tenant and audience are accepted, and what its
// rules decide. set must be compiled from cfg. Signature and times are not
// looked at. The decision is rules.Decide's and empty where the token is not
// accepted; it must never be minted.
func Rules(cfg *config.Config, set *rules.Set, payload map[string]any, req rules.Request) (Explanation, rules.Decision) {
	iss, _ := payload["iss"].(string)
	at := slices.IndexFunc(cfg.Issuers, func(i config.Issuer) bool { return i.URL == iss })
	if at < 0 {
		return refused(unknownIssuer(cfg, iss)), rules.Decision{}
	}
	issuer := cfg.Issuers[at]
	claims := identity.InsecureClaims(issuer.Name, issuer.Platform, payload)
	if x, ok := accept(issuer, claims); !ok {
		return x, rules.Decision{}
	}
	return decided(cfg.Rules, set.Trace(claims, req), set.Decide(claims, req))
}

// Pool explains what an identity pool gives a token: in the enhanced flow a
// role, in the basic flow a token of its own. The pool's role mapping rules
// stand behind the deny rules of the file.
func Pool(cfg *config.Config, set *rules.Set, id string, basic bool, payload map[string]any, req rules.Request) (Explanation, rules.Decision, error) {
	at := slices.IndexFunc(cfg.Pools, func(p config.Pool) bool { return p.ID == id || p.Name == id && id != "" })
	if at < 0 {
		return Explanation{}, rules.Decision{}, fmt.Errorf("no identity pool %q is configured", short(id))
	}
	pool := &cfg.Pools[at]
	iss, _ := payload["iss"].(string)
	n := slices.IndexFunc(cfg.Issuers, func(i config.Issuer) bool { return i.URL == iss })
	if n < 0 {
		return refused(unknownIssuer(cfg, iss)), rules.Decision{}, nil
	}
	issuer := cfg.Issuers[n]
	claims := identity.InsecureClaims(issuer.Name, issuer.Platform, payload)
	if x, ok := accept(issuer, claims); !ok {
		return x, rules.Decision{}, nil
	}
	v := slices.IndexFunc(pool.Providers, func(v config.PoolProvider) bool { return v.Issuer == issuer.Name })
	if v < 0 {
		return refused(finding{kind: NotOurs, cause: fmt.Sprintf("no provider of the identity pool %s is the issuer %s", pool.Label(), issuer.Name),
			policy: "add the issuer to the pool's providers", warning: "every job of the issuer then has an identity in the pool"}), rules.Decision{}, nil
	}
	if basic && !pool.Classic {
		return refused(finding{kind: NotOurs, cause: "the identity pool " + pool.Label() + " does not allow the basic (classic) flow",
			policy: "use the enhanced flow, or write classic: true", warning: "with a token of the basic flow the job chooses among all roles that trust the pool"}), rules.Decision{}, nil
	}
	if basic && pool.Mapped() {
		return refused(finding{kind: NotOurs, cause: "the identity pool " + pool.Label() + " has role mapping rules, and the basic (classic) flow, in which the job chooses its role, is not had beside them",
			policy: "use the enhanced flow, or make a pool without rules for the basic flow"}), rules.Decision{}, nil
	}
	compiled, _ := set.Pool(pool.ID)
	provider, _ := compiled.Provider(pool.Providers[v].Name)
	x, d := decided(provider.Rules(cfg, basic), provider.Trace(claims, req, basic), provider.Decide(claims, req, basic))
	if g, granted := d.Grant(); granted && basic {
		buys := "any role that trusts the pool"
		if given, _ := g.Pool(); given.Roles != nil {
			buys = strings.Join(given.Roles, ", ")
		}
		x.Cause = fmt.Sprintf("%s gives a token of the pool, which buys %s", g.Rule(), buys)
	}
	return x, d, nil
}

// decided explains a decision on rules that stand where these do.
func decided(all []config.Rule, traces []rules.Trace, d rules.Decision) (Explanation, rules.Decision) {
	x := Explanation{Decision: Denied, Action: ActionExchange, Closest: -1, Statements: []Statement{}}
	for i, t := range traces {
		if t.Rule == d.Rule && d.Rule != "" {
			x.Closest = i
		}
		if d.Closest != nil && d.Closest.Index == i {
			t, x.Closest = *d.Closest, i
		}
		x.Statements = append(x.Statements, statementOf(t, all[i]))
	}
	if g, granted := d.Grant(); granted {
		x.Decision = Allowed
		x.Cause = fmt.Sprintf("rule %s gives %s", d.Rule, g.Role())
		return x, d
	}
	x.Kind = kindOf(d.Reason)
	x.Cause, x.Suggestion, x.CallerChange, x.Warning = d.Detail, d.Change, d.Hint, d.Warning
	if x.Suggestion == "" {
		x.Suggestion = "write a rule that allows it"
	}
	x.CallerChange = x.withOthers(x.CallerChange)
	if x.CallerChange == x.Suggestion {
		x.CallerChange = ""
	}
	return x, d
}

// withOthers says beside the hint to add an environment what else the rule
// asks for that the job has not.
func (x *Explanation) withOthers(hint string) string {
	const add, to = "add environment: ", " to the job in the workflow"
	if x.Closest < 0 || x.Closest >= len(x.Statements) || !strings.Contains(hint, add) || !strings.Contains(hint, to) {
		return hint
	}
	var others []string
	for _, c := range x.Statements[x.Closest].Conditions {
		if !c.Matched && c.Key != "environment" {
			others = appendNew(others, c.Key)
		}
	}
	if len(others) == 0 {
		return hint
	}
	return strings.Replace(hint, to, to+", which alone will not do: "+strings.Join(others, " and ")+" must be as the rule has it too", 1)
}

func kindOf(r rules.Reason) Kind {
	switch r {
	case rules.DenyRule:
		return RuleDenies
	case rules.NoRuleMatched, rules.RoleNotListed:
		return RuleMismatch
	}
	return Session
}

// statementOf is a rule with its places in the file.
func statementOf(t rules.Trace, r config.Rule) Statement {
	s := Statement{Index: t.Index, Sid: t.Rule, Effect: iam.EffectAllow.String(), Matched: t.Matched,
		Conditions: make([]Condition, 0, len(t.Conditions)), Position: position(r.Pos)}
	if t.Effect == rules.Deny {
		s.Effect = iam.EffectDeny.String()
	}
	for _, c := range t.Conditions {
		at := r.Pos
		if i := slices.IndexFunc(r.Match, func(m config.Match) bool { return m.Claim == c.Key }); i >= 0 && (c.Operator == rules.OperatorMatch || c.Mapped()) {
			at = r.Match[i].Pos
		}
		switch {
		case c.Operator == rules.OperatorWhen:
			at = r.When.Pos
		case c.Operator == rules.OperatorRole && len(r.AWS.Roles) > 0:
			at = r.AWS.Roles[0].Pos
		}
		s.Conditions = append(s.Conditions, Condition{Operator: c.Operator, Key: c.Key, Expected: list(c.Expected), Actual: list(c.Actual),
			Matched: c.Matched, Note: c.Note, Position: position(at)})
	}
	return s
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func matches(m config.Match, claims identity.Claims) Condition {
	c := Condition{Operator: OperatorMatch, Key: m.Claim, Expected: []string{}, Actual: list(claims.Values(m.Claim)), Position: position(m.Pos)}
	for _, p := range m.Compile() {
		c.Expected = append(c.Expected, p.String())
		c.Matched = c.Matched || slices.ContainsFunc(c.Actual, func(v string) bool { return p.Match(v) })
	}
	if len(c.Actual) == 0 {
		c.Note = "the token has no such claim"
	}
	return c
}

func position(p config.Pos) iam.Position { return iam.Position{Line: p.Line, Column: p.Column} }

// accept looks at what is asked of every token of an issuer before any rule.
func accept(issuer config.Issuer, claims identity.Claims) (Explanation, bool) {
	s := Statement{Sid: "issuer " + issuer.Name, Effect: iam.EffectAllow.String(), Matched: true, Position: position(issuer.Pos)}
	for _, m := range issuer.Only {
		s.Conditions = append(s.Conditions, matches(m, claims))
	}
	aud := Condition{Operator: OperatorMatch, Key: "aud", Expected: issuer.Audiences, Actual: list(claims.Values("aud")), Position: position(issuer.Pos)}
	// Every audience must be ours: a token for another service too is that
	// one's to present.
	aud.Matched = len(aud.Actual) > 0 && !slices.ContainsFunc(aud.Actual, func(v string) bool { return !slices.Contains(issuer.Audiences, v) })
	s.Conditions = append(s.Conditions, aud)
	for _, c := range s.Conditions {
		if c.Matched {
			continue
		}
		s.Matched = false
		f := finding{
			kind:    NotOurs,
			cause:   fmt.Sprintf("the broker takes tokens of %s only where %s is %s, found %s", issuer.Name, c.Key, quoted(c.Expected), quoted(c.Actual)),
			policy:  fmt.Sprintf("add %s to issuers.%s.only.%s", quoted(c.Actual), issuer.Name, c.Key),
			warning: "a new value there is a new tenant: whatever rule matches its jobs then grants them",
		}
		if c.Key == "aud" {
			f = finding{
				kind:   Audience,
				cause:  fmt.Sprintf("the token is for the audience %s, and the broker accepts %s", quoted(c.Actual), quoted(c.Expected)),
				policy: fmt.Sprintf("ask the CI system for a token with the audience %s (STINT_AUDIENCE)", quoted(c.Expected)),
			}
		}
		x := refused(f)
		x.Statements, x.Closest = []Statement{s}, 0
		return x, false
	}
	return Explanation{}, true
}

func refused(f finding) Explanation {
	x := Explanation{Decision: Denied, Action: ActionExchange, Closest: -1, Statements: []Statement{}}
	x.tell([]finding{f})
	return x
}

func unknownIssuer(cfg *config.Config, iss string) finding {
	var urls []string
	for _, i := range cfg.Issuers {
		urls = append(urls, i.URL)
	}
	return finding{
		kind:    NotOurs,
		cause:   fmt.Sprintf("the token is signed by %q, and the broker trusts %s", short(iss), quoted(urls)),
		policy:  "configure the issuer under issuers, with only and audiences",
		warning: "a new issuer decides who its jobs are",
	}
}

// StintToken is the payload of the stint token that a broker signs for a
// grant: what the trust policy of the role gets to see.
func StintToken(issuer string, g rules.Grant) map[string]any {
	claims := map[string]any{"iss": issuer, "sub": g.Subject(), "aud": g.Audience(), awsclaims.Roles: []any{g.Role()}}
	if pool, ok := g.Pool(); ok {
		claims["amr"] = listOf(pool.Methods())
		claims[awsclaims.IdentityPoolARN] = pool.ARN
		if pool.Basic {
			delete(claims, awsclaims.Roles)
			if len(pool.Roles) > 0 {
				claims[awsclaims.Roles] = listOf(pool.Roles)
			}
		}
	}
	session := g.Session()
	if len(session.Tags) > 0 {
		principal := map[string]any{}
		for _, t := range session.Tags {
			principal[t.Key] = []any{t.Value}
		}
		transitive := make([]any, 0, len(session.Transitive))
		for _, key := range session.Transitive {
			transitive = append(transitive, key)
		}
		claims[awsclaims.Tags] = map[string]any{awsclaims.PrincipalTags: principal, awsclaims.TransitiveTagKeys: transitive}
	}
	if session.SourceIdentity != "" {
		claims[awsclaims.SourceIdentity] = session.SourceIdentity
	}
	return claims
}

// listOf is a list as JSON has it.
func listOf(texts []string) []any {
	all := make([]any, len(texts))
	for i, t := range texts {
		all[i] = t
	}
	return all
}
