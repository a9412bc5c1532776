package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
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
	d := set.Decide(claims, req)
	x := Explanation{Decision: Denied, Action: ActionExchange, Closest: -1, Statements: []Statement{}}
	for i, result := range d.Results {
		s := rule(i, cfg.Rules[i], result, claims)
		if result.Rule == d.Rule && d.Rule != "" && x.Closest < 0 {
			x.Closest = i
		}
		x.Statements = append(x.Statements, s)
	}
	if d.Allowed() {
		g, _ := d.Grant()
		x.Decision = Allowed
		x.Cause = fmt.Sprintf("rule %s gives %s", d.Rule, g.Role())
		return x, d
	}
	x.Cause, x.Suggestion = d.Detail, d.Hint
	switch d.Reason {
	case rules.DenyRule:
		x.Kind = RuleDenies
		x.Suggestion = "change the job so that the deny rule does not match, or narrow the rule " + d.Rule
		x.Warning = "the rule was written to keep somebody out"
	case rules.NoRuleMatched, rules.RoleNotListed:
		x.Kind = RuleMismatch
		if x.Closest < 0 {
			x.Closest = nearestRule(x.Statements, d.Detail)
		}
		x.suggestRule()
	default:
		x.Kind = Session
		if x.Suggestion == "" {
			x.Suggestion = "change what the rule " + d.Rule + " makes of the session, or what the request asks for"
		}
	}
	return x, d
}

// suggestRule says what the closest rule would have to list.
func (x *Explanation) suggestRule() {
	if x.Closest < 0 {
		x.Suggestion = first(x.Suggestion, "write a rule that allows it")
		return
	}
	s := x.Statements[x.Closest]
	var changes []string
	for _, c := range s.Conditions {
		switch {
		case c.Matched || c.Operator != OperatorMatch:
		case len(c.Actual) == 0:
			changes = append(changes, fmt.Sprintf("take %s out of its match", c.Key))
		default:
			changes = append(changes, fmt.Sprintf("add %s to its %s", quoted(c.Actual), c.Key))
		}
	}
	if len(changes) == 0 {
		x.Suggestion = first(x.Suggestion, "write a rule that allows it")
		return
	}
	x.CallerChange = x.Suggestion
	x.Suggestion = fmt.Sprintf("in the rule %s, %s", s.Sid, strings.Join(changes, " and "))
	x.Warning = "every job gets in that has these values and meets the rest of the rule"
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// nearestRule is the rule that rules.Decide names as the closest; it stands in
// the detail's sentence, and else it is the one of which the least failed.
func nearestRule(statements []Statement, detail string) int {
	best, fewest := -1, 0
	for _, s := range statements {
		if s.Effect != iam.EffectAllow.String() || s.Matched {
			continue
		}
		if strings.Contains(detail, " "+s.Sid+": ") || strings.HasPrefix(detail, "rule "+s.Sid+" ") {
			return s.Index
		}
		failed := 0
		for _, c := range s.Conditions {
			if !c.Matched {
				failed++
			}
		}
		if best < 0 || failed < fewest {
			best, fewest = s.Index, failed
		}
	}
	return best
}

// rule shows a rule with all its conditions, where rules.Decide stops at the
// first that does not hold.
func rule(index int, r config.Rule, result rules.Result, claims identity.Claims) Statement {
	s := Statement{Index: index, Sid: r.Name, Effect: iam.EffectAllow.String(), Matched: result.Matched,
		Conditions: []Condition{}, Position: position(r.Pos)}
	if r.Deny {
		s.Effect = iam.EffectDeny.String()
	}
	all := true
	if len(r.Issuers) > 0 {
		c := Condition{Operator: OperatorMatch, Key: "issuer", Expected: r.Issuers, Actual: []string{claims.Issuer()},
			Matched: slices.Contains(r.Issuers, claims.Issuer()), Position: position(r.Pos)}
		all = c.Matched
		s.Conditions = append(s.Conditions, c)
	}
	for _, m := range r.Match {
		c := matches(m, claims)
		all = all && c.Matched
		s.Conditions = append(s.Conditions, c)
	}
	if r.When.Value != "" {
		c := Condition{Operator: OperatorWhen, Key: OperatorWhen, Expected: []string{r.When.Value}, Actual: []string{}, Position: position(r.When.Pos)}
		switch {
		case !all:
			c.Note = "not evaluated, because match does not hold"
		case result.Miss != nil:
			c.Note = result.Miss.Detail
		default:
			c.Matched = true
		}
		s.Conditions = append(s.Conditions, c)
	}
	return s
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
	aud.Matched = slices.ContainsFunc(aud.Actual, func(v string) bool { return slices.Contains(issuer.Audiences, v) })
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
	claims := map[string]any{"iss": issuer, "sub": g.Subject(), "aud": g.Audience(), rolesClaim: []any{g.Role()}}
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
		claims[tagsClaim] = map[string]any{"principal_tags": principal, "transitive_tag_keys": transitive}
	}
	if session.SourceIdentity != "" {
		claims[sourceIdentityClaim] = session.SourceIdentity
	}
	return claims
}
