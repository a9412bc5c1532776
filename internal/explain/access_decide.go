package explain

import (
	"slices"
	"strings"

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

// denying is the layer that denies, or nil. An explicit deny wins; a resource
// of another account needs its own policy's word beside the caller's; and in
// one account either is enough, as far as the boundary and the session
// policies go.
func (c checked) denying() *layer {
	if len(c.layers) == 1 {
		return c.alone()
	}
	identity, boundary, session, resource := &c.layers[0], &c.layers[1], &c.layers[2], &c.layers[3]
	for i := range c.layers {
		if c.decide(c.layers[i]) == iam.ExplicitDeny {
			return &c.layers[i]
		}
	}
	byIdentity := c.decide(*identity) == iam.Allow
	byResource, directly := c.byResource(*resource)
	switch {
	case c.cross && !byIdentity:
		return identity
	case (c.cross || c.isKey()) && !byResource:
		return resource
	case !byIdentity && !directly:
		if len(identity.documents) == 0 && len(resource.documents) > 0 && !byResource {
			return resource
		}
		return identity
	}
	if !c.cross && directly && c.namesSession(*resource) {
		return nil
	}
	for _, l := range []*layer{boundary, session} {
		if len(l.documents) > 0 && c.decide(*l) != iam.Allow {
			return l
		}
	}
	return nil
}

// alone is the one layer where it denies.
func (c checked) alone() *layer {
	l := &c.layers[0]
	if d := c.decide(*l); d == iam.ExplicitDeny || l.must && d != iam.Allow {
		return l
	}
	return nil
}

// byResource reports whether the resource's policy allows it, and whether it
// names the caller and not only its account, which leaves it to the account's
// own policies.
func (c checked) byResource(l layer) (allows, directly bool) {
	for _, d := range l.documents {
		for _, s := range c.evaluate(l, d.Policy).Statements {
			if s.Matched && s.Effect == iam.EffectAllow {
				allows, directly = true, directly || !s.ByAccount
			}
		}
	}
	return allows, directly
}

// isKey reports whether it is a key of KMS, whose own policy must allow
// whatever is done with it (KMS Developer Guide, "Key policies").
func (c checked) isKey() bool {
	return strings.HasPrefix(strings.ToLower(c.request.Action), "kms:") && strings.Contains(c.request.Resource, ":key/")
}

// namesSession reports whether the resource's policy allows the very session,
// which no boundary and no session policy limits unless it denies.
func (c checked) namesSession(l layer) bool {
	return slices.ContainsFunc(l.documents, func(d Document) bool {
		return namesSession(d.Policy, c.evaluate(l, d.Policy), c.request.Principal)
	})
}

// namesSession reports whether a statement that allows names the caller's very
// session, and not only its role or its account.
func namesSession(p *iam.Policy, r iam.Result, caller iam.Principal) bool {
	return slices.ContainsFunc(r.Statements, func(s iam.StatementResult) bool {
		from := p.Statements[s.Index].Principal
		return s.Matched && s.Effect == iam.EffectAllow && from != nil && slices.ContainsFunc(from.AWS, func(v iam.Value) bool {
			return isSession(v.Text) && slices.Contains(caller.AWS, v.Text)
		})
	})
}
