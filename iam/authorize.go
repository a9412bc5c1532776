package iam

import (
	"slices"
	"strings"
	"time"
)

// Access is something that a caller asks for.
type Access struct {
	Caller   Caller
	Action   string // such as s3:PutObject
	Resource string // its ARN
	// ResourceAccount is the account that owns the resource. Empty: the one in
	// Resource, or the caller's where Resource names none, as of a bucket.
	ResourceAccount string
	// ResourceTags become aws:ResourceTag/KEY.
	ResourceTags map[string]string
	// ResourcePolicy is the policy of the resource: a bucket's, a queue's, a
	// key's, a role's trust policy. Nil: it has none.
	ResourcePolicy *NamedPolicy
	// ResourceControl are the resource control policies that apply to the
	// resource's account, a list for each level. Nil: they limit nothing. AWS
	// has them for some services only: give none for another.
	ResourceControl [][]NamedPolicy
	// Keys are further condition keys of the request, such as s3:prefix. They
	// win over those that the caller has.
	Keys Context
	Time time.Time // of the request; the zero time leaves the time keys out
}

// LayerKind is which of the policies that apply to a request a Layer is.
type LayerKind string

// The layers, in the order in which results have them.
const (
	LayerServiceControl  LayerKind = "service-control"
	LayerResourceControl LayerKind = "resource-control"
	LayerResource        LayerKind = "resource"
	LayerIdentity        LayerKind = "identity"
	LayerBoundary        LayerKind = "boundary"
	LayerSession         LayerKind = "session"
)

// Layer is what the policies of one kind make of a request.
type Layer struct {
	Kind LayerKind `json:"kind"`
	// Needed says that the request is denied unless this layer allows it.
	Needed   bool          `json:"needed"`
	Decision Decision      `json:"decision"`
	Policies []LayerPolicy `json:"policies"`
}

// LayerPolicy is what one policy of a layer makes of a request.
type LayerPolicy struct {
	Name  string `json:"name,omitempty"`
	Level int    `json:"level,omitempty"` // of service and resource control policies
	Result
}

// AccessResult is the verdict on a request by all policies that apply to it.
type AccessResult struct {
	Decision Decision `json:"decision"`
	Action   string   `json:"action"`
	// Denied is the layer that denied; empty where the request is allowed.
	Denied LayerKind `json:"denied,omitempty"`
	// CrossAccount says that the resource is another account's than the caller.
	CrossAccount bool    `json:"crossAccount,omitempty"`
	Reason       string  `json:"reason"` // one sentence
	Layers       []Layer `json:"layers"`
}

// Layer is the layer of a kind, or nil where no policies of that kind apply.
func (r AccessResult) Layer(kind LayerKind) *Layer {
	i := slices.IndexFunc(r.Layers, func(l Layer) bool { return l.Kind == kind })
	if i < 0 {
		return nil
	}
	return &r.Layers[i]
}

// Request is the request as each policy sees it; for one that is attached to
// the caller IdentityPolicy is to be set.
func (a Access) Request() Request {
	ctx := a.Caller.Context(a.Time)
	if account := a.resourceAccount(); account != "" {
		ctx.Set("aws:ResourceAccount", account)
	}
	for k, v := range a.ResourceTags {
		ctx.Set("aws:ResourceTag/"+k, v)
	}
	if account := a.Caller.AccountID(); account != "" && strings.HasPrefix(strings.ToLower(a.Action), "kms:") {
		ctx.Set("kms:CallerAccount", account)
	}
	for _, key := range a.Keys.Keys() {
		values, _ := a.Keys.Get(key)
		ctx.Set(key, values...)
	}
	return Request{Action: a.Action, Resource: a.Resource, Principal: a.Caller.Principal(), Context: ctx}
}

func (a Access) resourceAccount() string {
	if a.ResourceAccount != "" {
		return a.ResourceAccount
	}
	if parts := strings.SplitN(a.Resource, ":", 6); len(parts) == 6 && isAccount(parts[4]) {
		return parts[4]
	}
	return a.Caller.AccountID()
}

// ownPolicyDecides reports whether nobody gets at the resource unless its own
// policy says so, also in its own account: keys of KMS (KMS Developer Guide,
// "Key policies") and roles that are assumed.
func (a Access) ownPolicyDecides() bool {
	action := strings.ToLower(a.Action)
	switch {
	case strings.HasPrefix(action, "kms:"):
		return strings.Contains(a.Resource, ":key/")
	case action == "sts:assumerole", action == "sts:tagsession", action == "sts:setsourceidentity":
		return strings.Contains(a.Resource, ":role/")
	}
	return false
}

// Authorize decides on a request by all policies that apply to it, as AWS
// documents their evaluation:
//
//   - An explicit deny in any of them wins.
//   - Service control policies do not limit service-linked roles.
//   - Every level of the service control policies must allow, and of the
//     resource control policies.
//   - In one account it takes an allow of the identity policies or of the
//     resource's policy. A resource's policy that names only the account leaves
//     it to the identity policies. Keys of KMS and roles that are assumed need
//     their own policy's allow in any case.
//   - Of another account's resource it takes the allow of both.
//   - The permissions boundary and the session policies must allow too, where
//     there are any; not for what the resource's policy, in one account, gives
//     to the very session. What it gives to an IAM user is not limited by the
//     boundary.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func Authorize(a Access) AccessResult {
	r := a.Request()
	result := AccessResult{Action: a.Action, CrossAccount: a.resourceAccount() != a.Caller.AccountID()}
	layer := func(kind LayerKind, present bool, levels ...[]NamedPolicy) {
		if present {
			result.Layers = append(result.Layers, evaluateLayer(kind, r, levels))
		}
	}
	own := a.Caller.Policies
	layer(LayerServiceControl, own.ServiceControl != nil && !a.Caller.serviceLinked(), own.ServiceControl...)
	layer(LayerResourceControl, a.ResourceControl != nil, a.ResourceControl...)
	layer(LayerResource, a.ResourcePolicy != nil, one(a.ResourcePolicy))
	layer(LayerIdentity, true, own.Identity)
	layer(LayerBoundary, own.Boundary != nil, one(own.Boundary))
	layer(LayerSession, own.Session != nil, own.Session)

	a.need(&result)
	a.verdict(&result)
	return result
}

func one(p *NamedPolicy) []NamedPolicy {
	if p == nil {
		return nil
	}
	return []NamedPolicy{*p}
}

// evaluateLayer evaluates the policies of a layer. Within a level one that
// allows is enough; every level must allow.
func evaluateLayer(kind LayerKind, r Request, levels [][]NamedPolicy) Layer {
	r.IdentityPolicy = kind != LayerResource && kind != LayerResourceControl
	l := Layer{Kind: kind, Decision: Allow, Policies: []LayerPolicy{}}
	for i, level := range levels {
		allowed := false
		for _, p := range level {
			result := p.Policy.Evaluate(r)
			l.Policies = append(l.Policies, LayerPolicy{Name: p.Name, Level: i, Result: result})
			switch result.Decision {
			case ExplicitDeny:
				l.Decision = ExplicitDeny
			case Allow:
				allowed = true
			}
		}
		if !allowed && l.Decision == Allow {
			l.Decision = ImplicitDeny
		}
	}
	if len(levels) == 0 && l.Decision == Allow {
		l.Decision = ImplicitDeny
	}
	return l
}

// grants says how the resource's policy allows the request: not at all, to the
// caller's account, to the caller, or to the very session.
type grants int

const (
	grantsNothing grants = iota
	grantsAccount
	grantsCaller
	grantsItself // the very session, or the user
)

func (a Access) grants(l *Layer) grants {
	best := grantsNothing
	if l == nil || l.Decision != Allow {
		return best
	}
	for _, p := range l.Policies {
		for _, s := range p.Statements {
			if !s.Matched || s.Effect != EffectAllow {
				continue
			}
			g := grantsCaller
			if s.ByAccount {
				g = grantsAccount
			} else if a.namesItself(a.ResourcePolicy.Policy.Statements[s.Index]) {
				g = grantsItself
			}
			best = max(best, g)
		}
	}
	return best
}

// namesItself reports whether a statement names the session, or the user.
func (a Access) namesItself(s Statement) bool {
	if s.Principal == nil {
		return false
	}
	principal := a.Caller.Principal()
	return slices.ContainsFunc(s.Principal.AWS, func(v Value) bool {
		return slices.Contains(principal.AWS, v.Text) && (isSessionARN(v.Text) || !a.Caller.IsRole() && v.Text == a.Caller.ARN)
	})
}

// need marks the layers without whose allow the request is denied.
func (a Access) need(r *AccessResult) {
	granted := a.grants(r.Layer(LayerResource))
	for i := range r.Layers {
		l := &r.Layers[i]
		itself := granted == grantsItself && !r.CrossAccount
		switch l.Kind {
		case LayerServiceControl, LayerResourceControl:
			l.Needed = true
		case LayerResource:
			l.Needed = r.CrossAccount || a.ownPolicyDecides()
		case LayerIdentity:
			l.Needed = r.CrossAccount || granted < grantsCaller
		case LayerBoundary:
			l.Needed = !itself
		case LayerSession:
			l.Needed = !itself || !a.Caller.IsRole()
		}
	}
	if r.Layer(LayerResource) == nil && (r.CrossAccount || a.ownPolicyDecides()) {
		r.Layers = append(r.Layers, Layer{Kind: LayerResource, Needed: true, Policies: []LayerPolicy{}})
	}
}

// verdict is what the layers come to.
func (a Access) verdict(r *AccessResult) {
	if !a.Caller.IsRole() && !a.Caller.isUser() {
		r.Decision, r.Denied, r.Reason = ImplicitDeny, LayerIdentity, "the caller is no session of a role and no user: of others, such as an account's root, nothing is decided here"
		return
	}
	for _, l := range r.Layers {
		if l.Decision == ExplicitDeny {
			r.Decision, r.Denied, r.Reason = ExplicitDeny, l.Kind, "a statement of "+l.Kind.words()+" denies it"
			return
		}
	}
	for _, l := range r.Layers {
		if l.Needed && l.Decision != Allow {
			r.Decision, r.Denied, r.Reason = ImplicitDeny, l.Kind, a.want(r, l)
			return
		}
	}
	r.Decision, r.Reason = Allow, "all policies that are needed allow it"
}

// words are a layer's policies in a sentence.
func (k LayerKind) words() string {
	switch k {
	case LayerServiceControl:
		return "the service control policies"
	case LayerResourceControl:
		return "the resource control policies"
	case LayerResource:
		return "the resource's policy"
	case LayerIdentity:
		return "the identity policies"
	case LayerBoundary:
		return "the permissions boundary"
	}
	return "the session policies"
}

// want says why a layer that does not allow would have to.
func (a Access) want(r *AccessResult, l Layer) string {
	nothing := l.Kind.words() + " do not allow it"
	if l.Kind == LayerResource || l.Kind == LayerBoundary {
		nothing = l.Kind.words() + " does not allow it"
	}
	switch {
	case l.Kind == LayerResource && len(l.Policies) == 0:
		nothing = "the resource has no policy that allows it"
		fallthrough
	case l.Kind == LayerResource && r.CrossAccount:
		return nothing + ", and the resource is another account's than the caller"
	case l.Kind == LayerResource:
		return nothing + ", and nobody gets at such a resource unless its own policy says so"
	case l.Kind == LayerIdentity && r.CrossAccount:
		return nothing + ", and the resource is another account's than the caller"
	case l.Kind == LayerIdentity && a.grants(r.Layer(LayerResource)) == grantsAccount:
		return nothing + ", and the resource's policy names only the account, which leaves it to them"
	}
	return nothing
}
