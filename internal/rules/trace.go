package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
)

// Trace is one rule with every one of its conditions, where a Result stops at
// the first that does not hold.
type Trace struct {
	Index      int         `json:"index"` // in the order of the file, from 0
	Rule       string      `json:"rule"`
	Effect     Effect      `json:"effect"`
	Matched    bool        `json:"matched"` // the claims satisfy the rule
	Conditions []Condition `json:"conditions"`
}

// The operators of a Condition.
const (
	OperatorMatch = "match" // a claim, or the issuer, against patterns of which any may match
	OperatorWhen  = "when"  // an expression in CEL
	OperatorRole  = "role"  // the role asked for against those that the rule gives

	// A claim against the value of a pool's role mapping rule.
	OperatorEquals     = "equals"
	OperatorStartsWith = "starts_with"
	OperatorContains   = "contains"
	OperatorNotEqual   = "not_equal"
)

var mappedOperators = map[config.MatchType]string{
	config.Equals: OperatorEquals, config.StartsWith: OperatorStartsWith, config.Contains: OperatorContains, config.NotEqual: OperatorNotEqual,
}

// Mapped reports whether the condition is a role mapping rule's.
func (c Condition) Mapped() bool {
	switch c.Operator {
	case OperatorEquals, OperatorStartsWith, OperatorContains, OperatorNotEqual:
		return true
	}
	return false
}

// Condition is one condition of a rule: what it expected and what it found.
// Values of a token are cut to 200 characters.
type Condition struct {
	Operator string   `json:"operator"`
	Key      string   `json:"key"`      // the claim; issuer, when or role
	Expected []string `json:"expected"` // any of these
	Actual   []string `json:"actual"`   // none: the claim is not in the token
	Matched  bool     `json:"matched"`
	Note     string   `json:"note"`
}

// Trace is every rule of the set against these claims, in the order of the
// file. The claims may be anybody's: nothing is granted by it.
func (s *Set) Trace(claims identity.Claims, req Request) []Trace {
	d := s.Decide(claims, req)
	e := evaluation{set: s, claims: claims, req: req, values: map[string][]string{}, failed: map[*rule]string{}}
	all := make([]Trace, len(s.rules))
	for i := range s.rules {
		all[i] = e.trace(i, d.Results[i])
	}
	return all
}

// trace is a rule with its conditions. One in CEL is evaluated also where match
// does not hold, which cannot change what was decided.
func (e *evaluation) trace(index int, result Result) Trace {
	r := e.set.rules[index]
	t := Trace{Index: index, Rule: r.name, Effect: r.effect, Matched: result.Matched, Conditions: []Condition{}}
	if len(r.issuers) > 0 {
		t.Conditions = append(t.Conditions, Condition{Operator: OperatorMatch, Key: "issuer", Expected: r.issuers,
			Actual: []string{e.claims.Issuer()}, Matched: slices.Contains(r.issuers, e.claims.Issuer())})
	}
	for _, m := range r.match {
		c := Condition{Operator: OperatorMatch, Key: m.claim, Expected: m.expected, Actual: []string{}, Matched: e.condition(m) == nil}
		if m.mapped != nil {
			c.Operator = mappedOperators[m.mapped.Type]
		}
		for _, v := range e.claims.Values(m.claim) {
			c.Actual = append(c.Actual, short(v))
		}
		if len(c.Actual) == 0 {
			c.Note = "the token has no such claim"
		}
		t.Conditions = append(t.Conditions, c)
	}
	if r.when != nil {
		c := Condition{Operator: OperatorWhen, Key: OperatorWhen, Expected: []string{r.when.source}, Actual: []string{}}
		if miss := e.when(r); miss != nil {
			c.Note = miss.Detail
		} else {
			c.Matched, c.Note = true, e.failed[r]
		}
		t.Conditions = append(t.Conditions, c)
	}
	return t
}

// explain puts the rule of this index into a denial, with what would have to
// change in it.
func (e *evaluation) explain(d Decision, index int) Decision {
	t := e.trace(index, d.Results[index])
	switch d.Reason {
	case DenyRule:
		d.Change = "narrow the deny rule " + t.Rule + " so that it does not match this job"
		d.Warning = "the rule was written to keep somebody out: make sure that it was not this job"
	case NoRuleMatched, RoleNotListed:
		if d.Reason == RoleNotListed && e.req.Role != "" {
			t.Conditions = append(t.Conditions, e.roles(index, !t.Matched))
		}
		d.Change, d.Warning = t.change(e.req.pool != nil)
		if t.Matched && e.req.Role == "" {
			d.Change = "give the rule " + t.Rule + " a role that can be formed for this job"
		}
	default:
		d.Change = cmp.Or(d.Hint, "change what the rule "+t.Rule+" makes of the session, or what the request asks for")
	}
	d.Closest = &t
	return d
}

// roles is the role asked for as a condition of a rule.
func (e *evaluation) roles(index int, given bool) Condition {
	c := Condition{Operator: OperatorRole, Key: "role", Expected: []string{}, Actual: []string{short(e.req.Role)}, Matched: given}
	r := e.set.rules[index]
	_, formed, reason := e.role(r)
	if given {
		formed, reason = c.Actual, ""
	}
	for _, role := range formed {
		c.Expected = append(c.Expected, short(role))
	}
	c.Note = reason
	return c
}

// change says what a rule would have to list, and whom that lets in. pooled says
// that it is one of an identity pool, which gives one role.
func (t *Trace) change(pooled bool) (change, warning string) {
	var changes, warnings []string
	for _, c := range t.Conditions {
		if c.Matched {
			continue
		}
		lets := "every job gets in that has these values and meets the rest of the rule"
		switch {
		case c.Operator == OperatorWhen:
			changes = append(changes, "change its condition, when")
		case c.Operator == OperatorRole && pooled:
			return fmt.Sprintf("beside %s, add a role mapping rule that gives the role %s", t.Rule, strconv.Quote(c.Actual[0])), "every job that the rule matches can then have the role"
		case c.Operator == OperatorRole:
			changes = append(changes, fmt.Sprintf("add %s to its roles", strconv.Quote(c.Actual[0])))
			lets = "every job that the rule matches can then have the role"
		case c.Mapped():
			found := "what this job has"
			if len(c.Actual) > 0 {
				found = strconv.Quote(c.Actual[0])
			}
			changes = append(changes, fmt.Sprintf("compare %s with %s, or add a role mapping rule that does", c.Key, found))
			lets = "every job gets the role that has this value"
		case len(c.Actual) == 0:
			changes = append(changes, fmt.Sprintf("take %s out of its match", c.Key))
			if c.Key == "environment" {
				lets = "every job gets in that meets the rest of the rule, without what protects the environment"
			}
		default:
			changes = append(changes, fmt.Sprintf("add %s to its %s", quoted(c.Actual), c.Key))
			if slices.ContainsFunc(c.Actual, ofPullRequest) {
				lets = "every pull request then gets in that meets the rest of the rule, whoever wrote its code"
			}
		}
		if !slices.Contains(warnings, lets) {
			warnings = append(warnings, lets)
		}
	}
	if len(changes) == 0 {
		return "write a rule that allows it", ""
	}
	return fmt.Sprintf("in the rule %s, %s", t.Rule, strings.Join(changes, " and ")), strings.Join(warnings, "; ")
}

// ofPullRequest reports whether a claim's value says that code runs which
// nobody has merged yet.
func ofPullRequest(value string) bool {
	return strings.HasPrefix(value, "pull_request") || strings.HasPrefix(value, "refs/pull/") || strings.HasSuffix(value, ":pull_request")
}
