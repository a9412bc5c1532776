// Package explain says why a call was let in or not: what decided, what stood
// in the way of a denied caller, the cause in plain words, and the smallest
// change that would let it pass.
//
// It is pure, and it decides nothing: package iam and package rules do. A
// change that it proposes was applied to a copy of the policy and evaluated
// before it is proposed.
package explain

import "github.com/stint-dev/stint/iam"

// The decisions of an Explanation.
const (
	Allowed = "allowed"
	Denied  = "denied"
)

// Explanation is a verdict with its reasons.
type Explanation struct {
	Decision string `json:"decision"` // Allowed or Denied
	// Action is the one that was denied, or the first of a call that is allowed.
	Action string `json:"action"`
	// Kind is the cause as a word that programs may branch on.
	Kind  Kind   `json:"kind,omitempty"`
	Cause string `json:"cause"`
	// Suggestion is the smallest change that lets the caller in.
	Suggestion string `json:"suggestion"`
	// Warning says whom else the change would let in, or what it takes away.
	Warning string `json:"warning,omitempty"`
	// CallerChange is what the caller could change instead; empty where that
	// alone would not do.
	CallerChange string `json:"caller_change,omitempty"`
	// Steps are the causes one by one, each with its change, where there are
	// several: all of them have to go.
	Steps []Step `json:"steps,omitempty"`
	// Edits are the change of the policy, for Apply. None where the change
	// cannot be made mechanically.
	Edits []Edit `json:"edits,omitempty"`
	// Closest is the index of the statement that decided, or on a denial of
	// the one that came closest; -1 where none did.
	Closest    int         `json:"closest"`
	Statements []Statement `json:"statements"`
}

// Step is one of several causes.
type Step struct {
	Kind         Kind   `json:"kind"`
	Cause        string `json:"cause"`
	Suggestion   string `json:"suggestion"`
	Warning      string `json:"warning,omitempty"`
	CallerChange string `json:"caller_change,omitempty"`
}

// Statement is one statement of a policy, or one rule of a broker.
type Statement struct {
	Index      int          `json:"index"`
	Sid        string       `json:"sid"` // a rule's name
	Effect     string       `json:"effect"`
	Matched    bool         `json:"matched"`
	Conditions []Condition  `json:"conditions"`
	Position   iam.Position `json:"position"`
}

// Condition is one condition. The principal and the action of a statement are
// conditions too, with the operators Principal and Action.
type Condition struct {
	Operator string       `json:"operator"`
	Key      string       `json:"key"`
	Expected []string     `json:"expected"`
	Actual   []string     `json:"actual"`
	Matched  bool         `json:"matched"`
	Note     string       `json:"note"`
	Position iam.Position `json:"position"`
}

// The operators of what is no condition in a policy.
const (
	OperatorPrincipal = "Principal"
	OperatorAction    = "Action"
	OperatorMatch     = "match" // of a rule
	OperatorWhen      = "when"
)

// WebIdentity explains what the trust policy p makes of a call.
func WebIdentity(p *iam.Policy, call iam.WebIdentityCall) Explanation {
	if x, refused := beforePolicy(call); refused {
		return x
	}
	result := iam.EvaluateWebIdentity(p, call)
	decisive := deciding(result)
	x := Explanation{
		Decision:   Allowed,
		Action:     decisive.Action,
		Statements: statements(p, call, decisive),
		Closest:    matchedAllow(decisive),
	}
	if result.Allowed {
		x.Cause = "every condition of " + name(p, x.Closest) + " holds"
		return x
	}
	x.Decision = Denied
	x.explainDenial(p, call, result)
	return x
}

// deciding is the evaluation that denied, or the first.
func deciding(r iam.WebIdentityResult) iam.Result {
	for _, a := range r.Actions {
		if a.Action == r.Denied {
			return a
		}
	}
	return r.Actions[0]
}

func matchedAllow(r iam.Result) int {
	for _, s := range r.Statements {
		if s.Matched && s.Effect == iam.EffectAllow {
			return s.Index
		}
	}
	return -1
}

// statements turns an evaluation into what is shown of it.
func statements(p *iam.Policy, call iam.WebIdentityCall, r iam.Result) []Statement {
	out := make([]Statement, 0, len(r.Statements))
	for i, s := range r.Statements {
		source := &p.Statements[i]
		shown := Statement{Index: s.Index, Sid: s.Sid, Effect: s.Effect.String(), Matched: s.Matched, Position: s.Position}
		shown.Conditions = append(shown.Conditions, principalOf(source, s, call), actionOf(source, s, r.Action))
		for _, c := range s.Conditions {
			shown.Conditions = append(shown.Conditions, Condition{
				Operator: c.Operator, Key: c.Key, Expected: list(c.Expected), Actual: list(c.Actual),
				Matched: c.Matched, Note: c.Note, Position: c.Position,
			})
		}
		out = append(out, shown)
	}
	return out
}

func principalOf(source *iam.Statement, s iam.StatementResult, call iam.WebIdentityCall) Condition {
	c := Condition{Operator: OperatorPrincipal, Key: "Federated", Expected: []string{}, Actual: []string{call.Provider},
		Matched: s.PrincipalMatched, Note: s.Note, Position: s.Position}
	from := source.Principal
	if source.NotPrincipal != nil {
		c.Operator, from = "NotPrincipal", source.NotPrincipal
	}
	if from == nil {
		return c
	}
	c.Position = from.Position
	switch {
	case from.Any:
		c.Expected = []string{"*"}
	case len(from.Federated) > 0:
		c.Expected = from.Federated.Strings()
	default:
		for _, kind := range []struct {
			name   string
			values iam.Values
		}{{"AWS", from.AWS}, {"Service", from.Service}, {"CanonicalUser", from.CanonicalUser}} {
			for _, v := range kind.values {
				c.Expected = append(c.Expected, kind.name+": "+v.Text)
			}
		}
	}
	return c
}

func actionOf(source *iam.Statement, s iam.StatementResult, action string) Condition {
	c := Condition{Operator: OperatorAction, Key: "Action", Expected: source.Action.Strings(), Actual: []string{action},
		Matched: s.ActionMatched, Position: s.Position}
	values := source.Action
	if source.NotAction != nil {
		c.Operator, c.Key, values = "NotAction", "NotAction", source.NotAction
	}
	c.Expected = list(values.Strings())
	if len(values) > 0 {
		c.Position = values[0].Position
	}
	return c
}

// list is never null in JSON.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
