package explain

import (
	"slices"

	"github.com/stint-dev/stint/iam"
)

// evaluate is one policy's result.
func (c checked) evaluate(l layer, p *iam.Policy) iam.Result {
	r := c.request
	r.IdentityPolicy = l.kind != LayerResource
	return p.Evaluate(r)
}

// decide is what a layer comes to.
func (c checked) decide(l layer) iam.Decision {
	decision := iam.ImplicitDeny
	for _, d := range l.documents {
		switch c.evaluate(l, d.Policy).Decision {
		case iam.ExplicitDeny:
			return iam.ExplicitDeny
		case iam.Allow:
			decision = iam.Allow
		}
	}
	return decision
}

// denying is the layer that denies, or nil.
func (c checked) denying() *layer {
	if len(c.layers) == 1 {
		return c.alone()
	}
	result := iam.Authorize(c.policies())
	if result.Decision == iam.Allow {
		return nil
	}
	at := slices.IndexFunc(c.layers, func(l layer) bool { return l.kind == string(result.Denied) })
	// Where only the resource's policy is given, it is the one to speak of.
	if resource := c.of(LayerResource); c.layers[at].kind == LayerIdentity && len(c.layers[at].documents) == 0 &&
		resource != nil && len(resource.documents) > 0 && c.decide(*resource) != iam.Allow {
		return resource
	}
	return &c.layers[at]
}

// policies is the request with the policies of its layers.
func (c checked) policies() iam.Access {
	a := c.access
	for _, l := range c.layers {
		switch l.kind {
		case LayerIdentity:
			a.Caller.Policies.Identity = named(l.documents)
		case LayerBoundary:
			a.Caller.Policies.Boundary = single(l.documents)
		case LayerSession:
			a.Caller.Policies.Session = named(l.documents)
		case LayerResource:
			a.ResourcePolicy = single(l.documents)
		}
	}
	return a
}

// of is the layer of a kind, or nil.
func (c checked) of(kind string) *layer {
	at := slices.IndexFunc(c.layers, func(l layer) bool { return l.kind == kind })
	if at < 0 {
		return nil
	}
	return &c.layers[at]
}

// alone is the one layer where it denies.
func (c checked) alone() *layer {
	l := &c.layers[0]
	if d := c.decide(*l); d == iam.ExplicitDeny || l.must && d != iam.Allow {
		return l
	}
	return nil
}
