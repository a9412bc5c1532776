package inventory

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// join gives roles the policies that the files of the run attach to them, and
// adds them to the inventory.
func (r *reader) join() {
	j := &joiner{r: r, byARN: map[string]*document{}, byName: map[string][]*draft{}}
	for _, s := range r.scopes {
		x := s.index()
		j.indexes = append(j.indexes, x)
		for arn, d := range x.byARN {
			j.byARN[arn] = d
		}
		for name, roles := range x.byName {
			j.byName[name] = append(j.byName[name], roles...)
		}
	}
	for i, s := range r.scopes {
		j.index = j.indexes[i]
		for _, d := range s.roles {
			j.own(d)
		}
		for _, a := range s.attachments {
			j.attach(a)
		}
	}
	used := map[source.Position]bool{}
	for _, s := range r.scopes {
		for _, d := range s.roles {
			used[firstPlace(d.Trust)] = true
		}
	}
	for _, s := range r.scopes {
		for _, d := range s.roles {
			if d.closes && len(d.Identity) > 0 && !d.open {
				d.IdentityOpen = false
			}
			d.IdentityOpen = d.IdentityOpen || d.open
			r.inv.Roles = append(r.inv.Roles, d.Role)
		}
		for _, spare := range s.spare {
			if !used[firstPlace(spare.Trust)] {
				r.inv.Roles = append(r.inv.Roles, spare)
			}
		}
		for _, d := range s.documents {
			if arn, known := d.arn.Known(); known && arn != "" && d.policy != nil {
				r.inv.Managed = append(r.inv.Managed, ManagedPolicy{ARN: arn, Policy: d.policy})
			}
			if !d.used && d.address != "" && d.policy != nil {
				r.inv.Policies = append(r.inv.Policies, StandalonePolicy{Address: d.address, Position: d.at, Policy: d.policy})
			}
		}
	}
}

// firstPlace is where a policy's first statement stands, by which a document
// that several roles use is known.
func firstPlace(p *Policy) source.Position {
	if p == nil || len(p.Statements) == 0 {
		return source.Position{}
	}
	return p.Statements[0].Position
}

type joiner struct {
	r       *reader
	indexes []*index
	index   *index // of the scope at hand
	byARN   map[string]*document
	byName  map[string][]*draft
}

// own looks up the managed policies that a role itself names.
func (j *joiner) own(d *draft) {
	for _, m := range d.managed {
		d.Identity = append(d.Identity, j.managed(m))
	}
	if len(d.boundary.Parts) > 0 {
		b := j.managed(d.boundary)
		d.Boundary = &b
	}
}

// managed is the policy that an ARN or a reference means.
func (j *joiner) managed(t source.Text) AttachedPolicy {
	if ref := reference(t); ref != "" {
		if found := j.index.byRef[ref]; len(found) == 1 {
			found[0].used = true
			return AttachedPolicy{Name: found[0].address, Policy: found[0].policy}
		}
	}
	out := AttachedPolicy{Name: policyName(t)}
	if arn, known := t.Known(); known {
		if d := j.byARN[arn]; d != nil {
			d.used = true
			out.Policy = d.policy
		}
	}
	return out
}

// policyName is the ARN of a managed policy as far as it is known. That of
// AWS's own policies is known whatever the partition is.
func policyName(t source.Text) string {
	if suffix := t.Suffix(); strings.HasPrefix(suffix, ":iam::aws:policy/") {
		return "arn:aws" + suffix
	}
	return t.String()
}

func (j *joiner) attach(a attachment) {
	var p AttachedPolicy
	if a.policy != nil {
		p = *a.policy
	} else {
		p = j.managed(a.managed)
	}
	roles, sure := j.roles(a.role)
	for _, d := range roles {
		if !sure {
			d.open = true
			continue
		}
		d.Identity = append(d.Identity, p)
	}
	if (len(roles) == 0 || !sure) && a.policy != nil && p.Policy != nil {
		j.r.inv.Policies = append(j.r.inv.Policies, StandalonePolicy{Address: a.address, Position: a.at, Policy: p.Policy})
	}
}

// roles are the roles that a name or a reference means, or where that is not
// sure, those that it may mean.
func (j *joiner) roles(t source.Text) (roles []*draft, sure bool) {
	if ref := reference(t); ref != "" {
		roles = j.index.byAddress[ref]
		return roles, len(roles) == 1
	}
	if name, known := t.Known(); known {
		if roles = j.index.byName[name]; len(roles) == 0 {
			roles = j.byName[name]
		}
		if len(roles) > 0 {
			return roles, len(roles) == 1
		}
		return possible(j.index.unnamed, t), false
	}
	for _, d := range j.index.unnamed {
		// The same words in the same template mean the same name.
		if d.Name.String() == t.String() && !strings.Contains(t.String(), "?") {
			roles = append(roles, d)
		}
	}
	if len(roles) > 0 {
		return roles, len(roles) == 1
	}
	return possible(j.index.all, t), false
}

// possible are the roles whose name may be the one given.
func possible(roles []*draft, t source.Text) (out []*draft) {
	name, known := t.Known()
	for _, d := range roles {
		may := true
		if known {
			may = d.Name.Equals(name) != source.No
		} else if own, ok := d.Name.Known(); ok {
			may = t.Equals(own) != source.No
		}
		if may {
			out = append(out, d)
		}
	}
	return out
}
