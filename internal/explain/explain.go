// Package explain says why a call was let in or not: what decided, what stood
// in the way of a denied caller, the cause in plain words, and the smallest
// change that would let it pass.
//
// It is pure, and it decides nothing: package iam and package rules do. A
// change that it proposes was applied to a copy of the policy and evaluated
// before it is proposed.
package explain

import (
	"fmt"
	"slices"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/rules"
)

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
	// Layer is the kind of policy that Statements are of, where several kinds
	// decide, and Policy its name.
	Layer  string `json:"layer,omitempty"`
	Policy string `json:"policy,omitempty"`
	// Layers are all policies that were asked.
	Layers []Layer `json:"layers,omitempty"`
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
	Operator string   `json:"operator"`
	Key      string   `json:"key"`
	Expected []string `json:"expected"` // policy variables have their values
	// Written is Expected as it stands in the policy, where variables had
	// values put in for them.
	Written  []string     `json:"written,omitempty"`
	Actual   []string     `json:"actual"`
	Matched  bool         `json:"matched"`
	Note     string       `json:"note"`
	Position iam.Position `json:"position"`
}

// The operators of what is no condition in a policy.
const (
	OperatorPrincipal = "Principal"
	OperatorAction    = "Action"
	OperatorResource  = "Resource"
	OperatorMatch     = rules.OperatorMatch // of a rule
	OperatorWhen      = rules.OperatorWhen
	OperatorRole      = rules.OperatorRole
)

// WebIdentity explains what the trust policy p makes of a call.
func WebIdentity(p *iam.Policy, call iam.WebIdentityCall) Explanation {
	if x, refused := beforePolicy(call); refused {
		return x
	}
	e := evaluation{
		policy: p, host: hostOf(call.Issuer), claims: call.Claims, tags: call.Tags, carrier: "the token carries",
		first: iam.ActionAssumeRoleWithWebIdentity, call: &call,
		request: iam.Request{Resource: call.RoleARN, Principal: iam.Principal{Federated: call.Provider}, Context: call.Context()},
		decide: func(p *iam.Policy) outcome {
			r := iam.EvaluateWebIdentity(p, call)
			return outcome{allowed: r.Allowed, denied: r.Denied, actions: r.Actions}
		},
	}
	if !e.issuerIsProviders(call.Issuer) {
		x := e.shown(e.decide(p))
		x.tell([]finding{{
			kind:   WrongProvider,
			cause:  fmt.Sprintf("the token is signed by %s, and the provider %s stands for another issuer", call.Issuer, call.Provider),
			policy: "name the provider of the token's issuer in the trust policy and create it in the role's account",
			caller: "present a token of the provider's issuer",
		}})
		return x
	}
	if o := e.decide(p); !o.allowed && notProvider(call.Provider) {
		named := call.Provider
		if all := federated(p); !slices.Contains(all, named) {
			named = first(append(slices.DeleteFunc(all, func(v string) bool { return !notProvider(v) }), named)...)
		}
		x := e.shown(o)
		x.Closest, _ = e.closest(o.deciding())
		x.tell([]finding{{
			kind:   WrongProvider,
			cause:  noProvider(named, e.host),
			policy: fmt.Sprintf("write arn:aws:iam::ACCOUNT:oidc-provider/%s as the Federated principal, with the number of the role's account", e.host),
		}})
		return x
	}
	return e.explain()
}

// outcome is what became of a whole call under one policy.
type outcome struct {
	allowed bool
	denied  string       // the first action that was not allowed
	actions []iam.Result // of this policy, one after the other
}

// deciding is the evaluation that denied, or the first.
func (o outcome) deciding() iam.Result {
	for _, a := range o.actions {
		if a.Action == o.denied {
			return a
		}
	}
	return o.actions[0]
}

// shown is the verdict on a call with its statements.
func (e *evaluation) shown(o outcome) Explanation {
	decisive := o.deciding()
	x := Explanation{Decision: Denied, Action: decisive.Action, Statements: e.statements(decisive), Closest: matchedAllow(decisive)}
	if o.allowed {
		x.Decision = Allowed
	}
	return x
}

// explain is the verdict, and on a denial its cause and what would change it.
func (e *evaluation) explain() Explanation {
	o := e.decide(e.policy)
	x := e.shown(o)
	if o.allowed {
		x.Cause = "every condition of " + name(e.policy, x.Closest) + " holds"
		return x
	}
	x.explainDenial(e, o)
	for i := range x.Edits {
		x.Edits[i].Policy = e.document
	}
	return x
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
func (e *evaluation) statements(r iam.Result) []Statement {
	out := make([]Statement, 0, len(r.Statements))
	for i, s := range r.Statements {
		source := &e.policy.Statements[i]
		shown := Statement{Index: s.Index, Sid: s.Sid, Effect: s.Effect.String(), Matched: s.Matched, Position: s.Position}
		if !e.request.IdentityPolicy {
			shown.Conditions = append(shown.Conditions, e.principalOf(source, s))
		}
		shown.Conditions = append(shown.Conditions, actionOf(source, s, r.Action))
		if e.access || source.Resource != nil || source.NotResource != nil {
			shown.Conditions = append(shown.Conditions, e.resourceOf(source, s))
		}
		for _, c := range s.Conditions {
			shown.Conditions = append(shown.Conditions, Condition{
				Operator: c.Operator, Key: c.Key, Expected: list(c.Expected), Actual: list(c.Actual),
				Matched: c.Matched, Note: c.Note, Position: c.Position, Written: written(c.Written, c.Expected),
			})
		}
		out = append(out, shown)
	}
	return out
}

func (e *evaluation) principalOf(source *iam.Statement, s iam.StatementResult) Condition {
	c := Condition{Operator: OperatorPrincipal, Key: "Federated", Expected: []string{}, Actual: []string{e.request.Principal.Federated},
		Matched: s.PrincipalMatched, Position: s.Position}
	if !s.PrincipalMatched || s.ResourceMatched {
		c.Note = s.Note
	}
	if e.request.Principal.Federated == "" {
		// The account and the id, which policies may name too, say no more.
		c.Key, c.Actual = "AWS", []string{e.caller()}
		for _, arn := range e.request.Principal.AWS {
			if isSession(arn) {
				c.Actual = append(c.Actual, arn)
			}
		}
	}
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
	case e.request.Principal.Federated == "":
		c.Expected = principalsOf(from)
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
