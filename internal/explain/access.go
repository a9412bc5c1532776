package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
)

// The layers of policies that decide on a request.
const (
	LayerTrust    = "trust"    // of the role that is assumed
	LayerIdentity = "identity" // attached to the caller
	LayerBoundary = "boundary" // the caller's permissions boundary
	LayerSession  = "session"  // passed when the session was made
	LayerResource = "resource" // of what is asked for
)

// Layer is what one policy made of the action.
type Layer struct {
	Kind       string      `json:"layer"`
	Name       string      `json:"name,omitempty"`
	Decision   string      `json:"decision"`
	Statements []Statement `json:"statements"`
}

// Access is something that a session asks for, and the policies that apply.
type Access struct {
	Session         Caller
	Action          string              // such as s3:PutObject
	Resource        string              // its ARN
	ResourceAccount string              // empty: the one in Resource, or else the session's
	Context         map[string][]string // more condition keys of the request
	Time            time.Time

	Identity        []Document
	Boundary        []Document // one at most
	SessionPolicies []Document
	ResourcePolicy  []Document // one at most
}

// Action explains whether a session may do what it asks for: which layer of
// policies denied, and by which statement of which policy.
func Action(a Access) Explanation {
	c := a.check()
	denying := c.denying()
	if denying == nil {
		return c.allowed()
	}
	x := c.explain(*denying)
	// What another layer denies comes to light only when this one allows.
	for range 3 {
		changed, ok := c.changed(x.Edits)
		if !ok {
			break
		}
		next := changed.denying()
		if next == nil {
			break
		}
		more := changed.explain(*next)
		x.join(more)
		if len(more.Edits) == 0 {
			break
		}
	}
	for _, l := range c.layers {
		x.Layers = append(x.Layers, c.shownLayers(l)...)
	}
	return x
}

// layer is the policies of one kind. One of them must allow, and none deny.
type layer struct {
	kind      string
	documents []Document
	must      bool // it must allow, whatever the others say
}

func (l layer) speak() string {
	switch l.kind {
	case LayerIdentity:
		return "identity policies"
	case LayerBoundary:
		return "permissions boundary"
	case LayerSession:
		return "session policies"
	case LayerResource:
		return "policy of the resource"
	}
	return "trust policy"
}

// checked is a request with its layers.
type checked struct {
	access  iam.Access  // without policies
	request iam.Request // without IdentityPolicy
	session Caller
	owner   string
	layers  []layer
	cross   bool // the resource is another account's
}

func (a Access) check() checked {
	access := iam.Access{
		Caller: a.Session.caller(iam.Policies{}), Action: a.Action, Resource: a.Resource, ResourceAccount: a.ResourceAccount,
		Keys: iam.NewContext(a.Context), Time: a.Time,
	}
	return checked{
		access: access, request: access.Request(), session: a.Session, owner: "the session",
		layers: []layer{{LayerIdentity, a.Identity, false}, {LayerBoundary, a.Boundary, false}, {LayerSession, a.SessionPolicies, false}, {LayerResource, a.ResourcePolicy, false}},
		cross:  iam.Authorize(access).CrossAccount,
	}
}

// allowed says who allowed.
func (c checked) allowed() Explanation {
	x := Explanation{Decision: Allowed, Action: c.request.Action, Closest: -1, Statements: []Statement{}}
	for _, l := range c.layers {
		shown := c.shownLayers(l)
		x.Layers = append(x.Layers, shown...)
		for i, d := range l.documents {
			r := c.evaluate(l, d.Policy)
			if at := matchedAllow(r); at >= 0 && x.Closest < 0 && (l.kind == LayerIdentity || l.kind == LayerResource) {
				x.Closest, x.Statements, x.Layer, x.Policy = at, shown[i].Statements, l.kind, d.Name
				x.Cause = fmt.Sprintf("%s of %s allows it, and nothing denies", name(d.Policy, at), first(d.Name, "the "+l.speak()))
			}
		}
	}
	return x
}

func (c checked) shownLayers(l layer) []Layer {
	out := make([]Layer, 0, len(l.documents))
	for _, d := range l.documents {
		e := c.evaluation(l, d)
		r := c.evaluate(l, d.Policy)
		out = append(out, Layer{Kind: l.kind, Name: d.Name, Decision: r.Decision.String(), Statements: e.statements(r)})
	}
	return out
}

// evaluation is one policy of a layer, which the others of it may not save.
func (c checked) evaluation(l layer, d Document) *evaluation {
	request := c.request
	request.IdentityPolicy = l.kind != LayerResource
	return &evaluation{
		policy: d.Policy, request: request, first: c.request.Action, session: &c.session, owner: c.owner,
		carrier: "the request carries", access: true, document: d.Name,
		decide: func(p *iam.Policy) outcome {
			o := outcome{actions: []iam.Result{c.evaluate(l, p)}}
			next := c.with(l.kind, d.Name, p).denying()
			if o.allowed = next == nil || next.kind != l.kind; !o.allowed {
				o.denied = c.request.Action
			}
			return o
		},
	}
}

// explain is why a layer denies.
func (c checked) explain(l layer) Explanation {
	if len(l.documents) == 0 {
		x := Explanation{Decision: Denied, Action: c.request.Action, Closest: -1, Statements: []Statement{}, Layer: l.kind}
		x.tell([]finding{c.noPolicy(l)})
		return x
	}
	// The policy that denies, or else the one that comes closest.
	at, fewest := 0, -1
	for i, d := range l.documents {
		r := c.evaluate(l, d.Policy)
		if r.Decision == iam.ExplicitDeny {
			at = i
			break
		}
		if _, cost := c.evaluation(l, d).closest(r); cost >= 0 && (fewest < 0 || cost < fewest) {
			at, fewest = i, cost
		}
	}
	x := c.evaluation(l, l.documents[at]).explain()
	x.Layer, x.Policy = l.kind, l.documents[at].Name
	return x
}

// noPolicy is a layer that would have to allow and of which there is nothing.
func (c checked) noPolicy(l layer) finding {
	f := finding{kind: NoAllow}
	switch l.kind {
	case LayerResource:
		f.cause = fmt.Sprintf("%s is of another account than the session, so the resource's own policy must allow it too, and none is given", short(c.request.Resource))
		if !c.cross {
			f.cause = fmt.Sprintf("%s is a key, whose own policy must allow what is done with it, and none is given", short(c.request.Resource))
		}
		f.policy = fmt.Sprintf("allow %s to %s in the policy of the resource", c.request.Action, c.request.Principal.AWS[0])
		f.caller = "give the policy that it has, with --resource-policy"
	default:
		f.cause = fmt.Sprintf("no identity policy of %s is given, so nothing allows %s", c.session.Role.ARN, c.request.Action)
		f.policy = fmt.Sprintf("attach a policy to it that allows %s on %s", c.request.Action, first(short(c.request.Resource), "the resource"))
	}
	return f
}

// with is the request with another policy in the place of one.
func (c checked) with(kind, name string, p *iam.Policy) checked {
	layers := make([]layer, len(c.layers))
	for i, l := range c.layers {
		if l.kind == kind {
			l.documents = slices.Clone(l.documents)
			for j := range l.documents {
				if l.documents[j].Name == name {
					l.documents[j].Policy = p
				}
			}
		}
		layers[i] = l
	}
	c.layers = layers
	return c
}

// changed is the request with the edits made, if there are any to make.
func (c checked) changed(edits []Edit) (checked, bool) {
	if len(edits) == 0 {
		return c, false
	}
	for _, l := range c.layers {
		for _, d := range l.documents {
			var own []Edit
			for _, e := range edits {
				if e.Policy == d.Name {
					own = append(own, e)
				}
			}
			if len(own) == 0 {
				continue
			}
			p, err := Apply(d.Policy, own)
			if err != nil {
				return c, false
			}
			c = c.with(l.kind, d.Name, p)
		}
	}
	return c, true
}

// join adds what another layer denies after the first was changed.
func (x *Explanation) join(more Explanation) {
	steps := func(e *Explanation) []Step {
		if len(e.Steps) > 0 {
			return e.Steps
		}
		return []Step{{e.Kind, e.Cause, e.Suggestion, e.Warning, e.CallerChange}}
	}
	x.Steps = append(steps(x), steps(&more)...)
	x.Cause += "; and then " + more.Cause
	x.Suggestion += "; and " + more.Suggestion
	if x.CallerChange == "" || more.CallerChange == "" {
		x.CallerChange = ""
	} else {
		x.CallerChange += "; and " + more.CallerChange
	}
	if more.Warning != "" && !strings.Contains(x.Warning, more.Warning) {
		x.Warning = strings.TrimPrefix(x.Warning+"; "+more.Warning, "; ")
	}
	if len(more.Edits) == 0 {
		x.Edits = nil
		return
	}
	x.Edits = append(x.Edits, more.Edits...)
}

// behind explains what the caller's own policies make of an action that the
// policy of this evaluation allows.
func (e *evaluation) behind(l layer, action string) (Explanation, bool) {
	request := e.request
	request.Action = action
	c := checked{request: request, session: *e.session, owner: e.owner, layers: []layer{l}}
	if c.denying() == nil {
		return Explanation{}, false
	}
	x := c.explain(l)
	if len(l.documents) == 0 {
		account := account(e.session.Role.ARN)
		x.Kind = CallerPolicy
		x.Cause = fmt.Sprintf("the trust policy leaves it to the account %s which of its callers may: the caller's own policies must allow %s too, and none is given", account, action)
		x.Suggestion = fmt.Sprintf("attach a policy to %s that allows %s on %s", e.session.Role.ARN, action, e.request.Resource)
		x.CallerChange = "where it has such a policy, give it with --from-identity"
	} else if x.Kind == NoAllow || x.Kind == MissingAction {
		x.Kind = CallerPolicy
	}
	x.Layers = c.shownLayers(l)
	return x, true
}
