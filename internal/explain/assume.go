package explain

import (
	"fmt"
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
	Context        map[string][]string // more condition keys of the call, such as aws:PrincipalOrgID: see FurtherKeys
}

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
	made := c.call().Session()
	s := Caller{Role: c.Role, Name: made.SessionName, Tags: made.Tags, Transitive: made.TransitiveTagKeys, SourceIdentity: made.SourceIdentity}
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
	x := Explanation{Decision: Denied, Action: iam.ActionAssumeRole, Closest: -1, Statements: []Statement{}}
	if refusedText(&x, c.SessionName, c.SourceIdentity) {
		return x, true
	}
	refusal := c.call().Check()
	if refusal == nil {
		return x, c.outsideLimits(&x)
	}
	x.Kind, x.Cause = Tags, refusal.Message
	x.Suggestion = "change what the call passes"
	switch refusal.Kind {
	case iam.RefusedDuration:
		x.Kind = Session
		x.Suggestion = fmt.Sprintf("ask for a duration of at most %s, or raise the role's MaxSessionDuration", c.MaxSession)
		if c.Caller.isRole() && c.Duration > iam.MaxChainedSession {
			x.Suggestion = "ask for at most 1h, and call again before it ends"
		}
	case iam.RefusedSourceIdentity:
		x.Kind = ChangedSourceIdentity
		x.Cause = fmt.Sprintf("the caller's session has the source identity %s, and the call sets %s: once set it cannot be changed", quoted([]string{c.Caller.SourceIdentity}), quoted([]string{c.SourceIdentity}))
		x.Suggestion = "leave the source identity out of the call: it goes on by itself"
	case iam.RefusedInheritedTag:
		x.Kind = InheritedTag
		x.Cause = fmt.Sprintf("the tag %s is transitive in the caller's session, so it goes on by itself and cannot be passed again, not even with the same value", refusal.Tag)
		x.Suggestion = "leave the tag " + refusal.Tag + " out of the call"
	case iam.RefusedTags:
		if refusal.Tag != "" {
			x.Suggestion = "pass the tag " + refusal.Tag + " once in the call, or leave it out of the transitive keys"
		}
	}
	return x, true
}

// outsideLimits fills in x where a parameter of the call is one that STS does
// not take.
func (c AssumeRoleCall) outsideLimits(x *Explanation) bool {
	switch {
	case c.ExternalID != "" && (len(c.ExternalID) < minExternalID || len(c.ExternalID) > maxExternalID || !externalID.MatchString(c.ExternalID)):
		x.Kind = SessionName
		x.Cause = fmt.Sprintf("the external id %q is outside the limits of STS, 2 to 1224 letters, digits and _+=,.@:/- (it has %d characters): STS answers ValidationError before it looks at any policy",
			short(c.ExternalID), len([]rune(c.ExternalID)))
		x.Suggestion = "agree on another external id"
		return true
	case c.Duration != 0 && c.Duration < minDuration:
		x.Kind = Session
		x.Cause = fmt.Sprintf("the session is to last %s, and STS takes 15m (900 seconds) and more: it answers ValidationError before it looks at any policy", c.Duration)
		x.Suggestion = "ask for a duration of at least 15m"
		return true
	}
	return refusedTags(x, c.Tags, nil)
}

// call is the call as package iam takes it.
func (c AssumeRoleCall) call() iam.AssumeRoleCall {
	return iam.AssumeRoleCall{
		Caller:  c.Caller.caller(iam.Policies{Identity: named(c.Identity), Boundary: single(c.Boundary)}),
		RoleARN: c.Role.ARN, RoleTags: c.Role.Tags, MaxSession: c.MaxSession, RoleSessionName: c.SessionName, ExternalID: c.ExternalID,
		Tags: c.Tags, TransitiveTagKeys: c.Transitive, SourceIdentity: c.SourceIdentity, Duration: c.Duration, Time: c.Time, MoreKeys: FurtherKeys(c.Context, false),
	}
}

func (c AssumeRoleCall) evaluation(trust *iam.Policy) *evaluation {
	call := c.call()
	request := iam.Access{Caller: call.Caller, Resource: c.Role.ARN, Keys: call.Keys(), Time: c.Time}.Request()
	return &evaluation{
		policy: trust, request: request, tags: c.Tags, carrier: "the call passes", first: iam.ActionAssumeRole,
		session: &c.Caller, owner: "the caller's session",
		decide: func(p *iam.Policy) outcome {
			o := outcome{allowed: true}
			for _, action := range call.Actions() {
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
	for _, r := range iam.EvaluateAssumeRole(e.policy, c.call()).Actions {
		for _, l := range []layer{{kind: LayerIdentity, documents: c.Identity}, {kind: LayerBoundary, documents: c.Boundary}} {
			if decided := r.Layer(iam.LayerKind(l.kind)); decided != nil {
				l.must = decided.Needed
			}
			if x, denied := e.behind(l, r.Action); denied {
				return x, true
			}
		}
	}
	return Explanation{}, false
}
