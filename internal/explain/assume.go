package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
)

// Document is a policy and the name that it is spoken of by.
type Document struct {
	Name   string
	Policy *iam.Policy
}

// AssumeRoleCall is a call of sts:AssumeRole.
type AssumeRoleCall struct {
	Caller   Caller
	Identity []Document // the caller's identity policies
	Boundary []Document // the caller's permissions boundary, one at most
	Role     Role       // that is assumed

	SessionName    string
	ExternalID     string
	Tags           []iam.Tag     // that the call passes
	Transitive     []string      // keys of Tags, or of none
	SourceIdentity string        // that the call sets; empty: the caller's goes on
	Duration       time.Duration // 0: the default, one hour
	MaxSession     time.Duration // of the role; 0: not known
	Time           time.Time
}

// maxChained is the longest session that a role's session can make of another
// role (IAM User Guide, "Role chaining").
const maxChained = time.Hour

// AssumeRole explains what the trust policy of a role, and the caller's own
// policies where they count, make of a call of sts:AssumeRole. The session is
// what it makes, also where it is denied.
func AssumeRole(trust *iam.Policy, call AssumeRoleCall) (Explanation, Caller) {
	session := call.session()
	if x, refused := call.refused(); refused {
		return x, session
	}
	e := call.evaluation(trust)
	x := e.explain()
	if x.Decision != Allowed {
		return x, session
	}
	if own, denied := call.callersSide(e); denied {
		own.Layers = append([]Layer{{Kind: LayerTrust, Decision: iam.Allow.String(), Statements: x.Statements}}, own.Layers...)
		return own, session
	}
	return x, session
}

// session is what the call makes: the tags that it passes and those that the
// caller's session hands on.
func (c AssumeRoleCall) session() Caller {
	s := Caller{Role: c.Role, Name: c.SessionName, Tags: slices.Clone(c.Tags), Transitive: slices.Clone(c.Transitive),
		SourceIdentity: first(c.SourceIdentity, c.Caller.SourceIdentity)}
	for _, t := range c.Caller.Tags {
		if containsFold(c.Caller.Transitive, t.Key) {
			s.Tags = append(s.Tags, t)
			s.Transitive = append(s.Transitive, t.Key)
		}
	}
	caller := c.Caller
	s.absent = func(tag string) (why, fix string) {
		value, had := caller.tag(tag)
		if had {
			return fmt.Sprintf("the session of %s had %s = %s, and only transitive tags go on to the next", roleName(caller.Role.ARN), tag, short(value)),
				fmt.Sprintf("make the tag %s transitive in the session of %s, or pass it in the call", tag, roleName(caller.Role.ARN))
		}
		why, _ = caller.noTag(tag)
		return fmt.Sprintf("the call passed none, and the session of %s had none to hand on (%s)", roleName(caller.Role.ARN), why), "pass the tag " + tag + " in the call of sts:AssumeRole"
	}
	return s
}

func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// refused explains what STS refuses before it looks at any policy.
func (c AssumeRoleCall) refused() (Explanation, bool) {
	x := Explanation{Decision: Denied, Action: ActionAssumeRole, Closest: -1, Statements: []Statement{}}
	if refusedText(&x, c.SessionName, c.SourceIdentity) {
		return x, true
	}
	chained := c.Caller.isRole()
	switch {
	case chained && c.Duration > maxChained:
		x.Kind = Session
		x.Cause = fmt.Sprintf("the session is to last %s, and one that another role's session makes lasts at most %s (role chaining), whatever the role's MaxSessionDuration says", c.Duration, maxChained)
		x.Suggestion = "ask for at most 1h, and call again before it ends"
		return x, true
	case c.MaxSession > 0 && c.Duration > c.MaxSession:
		x.Kind = Session
		x.Cause = fmt.Sprintf("the session is to last %s, and the role's MaxSessionDuration is %s", c.Duration, c.MaxSession)
		x.Suggestion = fmt.Sprintf("ask for a duration of at most %s, or raise the role's MaxSessionDuration", c.MaxSession)
		return x, true
	case c.SourceIdentity != "" && c.Caller.SourceIdentity != "" && c.SourceIdentity != c.Caller.SourceIdentity:
		x.Kind = ChangedSourceIdentity
		x.Cause = fmt.Sprintf("the caller's session has the source identity %s, and the call sets %s: once set it cannot be changed", quoted([]string{c.Caller.SourceIdentity}), quoted([]string{c.SourceIdentity}))
		x.Suggestion = "leave the source identity out of the call: it goes on by itself"
		return x, true
	}
	for _, t := range c.Tags {
		if _, has := c.Caller.tag(t.Key); has && containsFold(c.Caller.Transitive, t.Key) {
			x.Kind = InheritedTag
			x.Cause = fmt.Sprintf("the tag %s is transitive in the caller's session, so it goes on by itself and cannot be passed again, not even with the same value", t.Key)
			x.Suggestion = "leave the tag " + t.Key + " out of the call"
			return x, true
		}
	}
	for _, key := range c.Transitive {
		if !slices.ContainsFunc(c.Tags, func(t iam.Tag) bool { return strings.EqualFold(t.Key, key) }) {
			x.Kind = Tags
			x.Cause = fmt.Sprintf("the call makes %s transitive and passes no such tag", key)
			x.Suggestion = "pass the tag " + key + " in the call, or leave it out of the transitive keys"
			return x, true
		}
	}
	return x, false
}

// ActionAssumeRole is the action of a chained call.
const ActionAssumeRole = "sts:AssumeRole"

func (c AssumeRoleCall) context() iam.Context {
	ctx := c.Caller.context(c.Time)
	set := func(key, value string) {
		if value != "" {
			ctx.Set(key, value)
		}
	}
	set("sts:RoleSessionName", c.SessionName)
	set("sts:ExternalId", c.ExternalID)
	set("sts:SourceIdentity", first(c.SourceIdentity, c.Caller.SourceIdentity))
	set("aws:ResourceAccount", account(c.Role.ARN))
	for _, t := range c.Tags {
		ctx.Add("aws:RequestTag/"+t.Key, t.Value)
		ctx.Add("aws:TagKeys", t.Key)
	}
	if len(c.Transitive) > 0 {
		ctx.Set("sts:TransitiveTagKeys", c.Transitive...)
	}
	for key, value := range c.Role.Tags {
		ctx.Set("aws:ResourceTag/"+key, value)
		ctx.Set("iam:ResourceTag/"+key, value)
	}
	return ctx
}

// actions are those that the call needs, each of which must be allowed.
func (c AssumeRoleCall) actions() []string {
	actions := []string{ActionAssumeRole}
	if len(c.Tags) > 0 || len(c.Transitive) > 0 {
		actions = append(actions, iam.ActionTagSession)
	}
	if c.SourceIdentity != "" || c.Caller.SourceIdentity != "" {
		actions = append(actions, iam.ActionSetSourceIdentity)
	}
	return actions
}

func (c AssumeRoleCall) evaluation(trust *iam.Policy) *evaluation {
	request := iam.Request{Resource: c.Role.ARN, Principal: c.Caller.principal(), Context: c.context()}
	return &evaluation{
		policy: trust, request: request, tags: c.Tags, carrier: "the call passes", first: ActionAssumeRole,
		session: &c.Caller, owner: "the caller's session",
		decide: func(p *iam.Policy) outcome {
			o := outcome{allowed: true}
			for _, action := range c.actions() {
				request.Action = action
				r := p.Evaluate(request)
				if o.actions = append(o.actions, r); r.Decision != iam.Allow && o.allowed {
					o.allowed, o.denied = false, action
				}
			}
			return o
		},
	}
}

// callersSide explains what the caller's own policies make of a call that the
// trust policy allows. They must allow it too where the trust policy is another
// account's, or names the caller's account and not the caller; and they may
// deny it in any case.
func (c AssumeRoleCall) callersSide(e *evaluation) (Explanation, bool) {
	o := e.decide(e.policy)
	other := account(c.Role.ARN) != account(c.Caller.Role.ARN) && account(c.Role.ARN) != ""
	for _, trusted := range o.actions {
		direct := slices.ContainsFunc(trusted.Statements, func(s iam.StatementResult) bool {
			return s.Matched && s.Effect == iam.EffectAllow && !s.ByAccount
		})
		l := layer{kind: LayerIdentity, documents: c.Identity, must: other || !direct}
		if x, denied := e.behind(l, trusted.Action); denied {
			return x, true
		}
		// A boundary does not limit what a policy gives the very session.
		limits := len(c.Boundary) > 0 && (other || !direct || !namesSession(e.policy, trusted, e.request.Principal))
		if x, denied := e.behind(layer{kind: LayerBoundary, documents: c.Boundary, must: limits}, trusted.Action); denied {
			return x, true
		}
	}
	return Explanation{}, false
}
