package inventory

import (
	"fmt"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/cloudformation"
)

// template reads a CloudFormation or SAM template.
func (r *reader) template(name string, data []byte) {
	r.ours(name)
	if len(data) > maxYAML {
		r.problem(&source.Error{Position: source.Position{File: name}, Message: fmt.Sprintf("expected a template of at most %d MiB, found more", maxYAML>>20)})
		return
	}
	resources, err := cloudformation.Parse(name, data)
	r.problems(err)
	s := r.scope()
	for i := range resources {
		r.templateResource(s, &resources[i])
	}
}

func (r *reader) templateResource(s *scope, res *source.Resource) {
	v := res.Values
	switch res.Type {
	case "AWS::IAM::Role":
		r.templateRole(s, res)
	case "AWS::Serverless::Function":
		r.functionRole(s, res)
	case "AWS::IAM::Policy", "AWS::IAM::RolePolicy":
		p := &AttachedPolicy{Name: r.text(v, "PolicyName").String(), Policy: r.embedded(v.Get("PolicyDocument"), "PolicyDocument")}
		r.attachAll(s, res, p)
	case "AWS::IAM::ManagedPolicy":
		p := r.embedded(v.Get("PolicyDocument"), "PolicyDocument")
		s.document(document{address: res.Address, at: res.Position, policy: p})
		r.attachAll(s, res, nil)
	case "AWS::IAM::OIDCProvider":
		out := Provider{Address: res.Address, Position: res.Position, URL: r.text(v, "Url")}
		out.ClientIDs, out.ClientIDsOpen = texts(v.Get("ClientIdList"))
		out.ClientIDsOpen = out.ClientIDsOpen || v.Has("ClientIdList") == source.Unknown
		r.inv.Providers = append(r.inv.Providers, out)
	}
}

// attachAll attaches a policy to the roles that its resource names. p is nil
// for a managed policy, which is the resource itself.
func (r *reader) attachAll(s *scope, res *source.Resource, p *AttachedPolicy) {
	roles, open := texts(res.Values.Get("Roles"))
	if name := res.Values.Get("RoleName"); name != nil {
		roles = append(roles, name.Text)
	}
	a := attachment{policy: p, address: res.Address, at: res.Position}
	if p == nil {
		a.managed = source.Text{Parts: []source.Part{{Unknown: res.Address, Resource: res.Address}}}
	}
	for _, role := range roles {
		a.role = role
		s.attach(a)
	}
	if open {
		a.role = source.UnknownText(res.Address + ".Roles")
		s.attach(a)
	} else if len(roles) == 0 && p != nil && p.Policy != nil {
		r.inv.Policies = append(r.inv.Policies, StandalonePolicy{Address: res.Address, Position: res.Position, Policy: p.Policy})
	}
}

func (r *reader) templateRole(s *scope, res *source.Resource) {
	v := res.Values
	role := Role{
		Address: res.Address, Position: res.Position, Name: r.text(v, "RoleName"), Path: r.text(v, "Path"),
		Trust:        r.embedded(v.Get("AssumeRolePolicyDocument"), "AssumeRolePolicyDocument"),
		IdentityOpen: true,
		MaxSession:   seconds(v.Get("MaxSessionDuration")),
	}
	role.Tags, _ = r.tags(v.Get("Tags"))
	role.TagsOpen = true // a stack's tags become those of its roles
	d := s.role(role)
	d.closes = true
	policies := v.Get("Policies")
	d.open = v.Open || policies != nil && (policies.Kind == source.KindUnknown || policies.Open)
	if policies != nil && policies.Kind != source.KindUnknown {
		for _, p := range policies.List() {
			r.inline(d, p, "PolicyName", "PolicyDocument")
		}
	}
	r.attached(d, v, "ManagedPolicyArns", "PermissionsBoundary")
}

// inline adds an inline policy to a role.
func (r *reader) inline(d *draft, n *source.Node, name, document string) {
	if n.Kind == source.KindUnknown {
		d.open = true
		return
	}
	if !r.expect(n, "Policies", source.KindMap) {
		return
	}
	d.Identity = append(d.Identity, AttachedPolicy{Name: r.text(n, name).String(), Policy: r.embedded(n.Get(document), document)})
}

// attached reads the managed policies and the boundary that a role names.
func (r *reader) attached(d *draft, v *source.Node, managed, boundary string) {
	arns, open := texts(v.Get(managed))
	d.managed = append(d.managed, arns...)
	d.open = d.open || open
	d.boundary = r.text(v, boundary)
}

// functionRole is the role that SAM makes for a function without one.
func (r *reader) functionRole(s *scope, res *source.Resource) {
	v := res.Values
	if v.Has("Role") != source.No {
		return
	}
	role := Role{
		Address: res.Address + "Role", Position: res.Position, IdentityOpen: true, TagsOpen: true,
		Trust: r.embedded(v.Get("AssumeRolePolicyDocument"), "AssumeRolePolicyDocument"),
	}
	d := s.role(role)
	// Events, layers and tracing add policies that no template shows.
	d.open = true
	if policies := v.Get("Policies"); policies != nil && policies.Kind != source.KindUnknown {
		for _, p := range policies.List() {
			switch {
			case p.Kind == source.KindString:
				d.managed = append(d.managed, p.Text)
			case p.Get("Statement") != nil:
				d.Identity = append(d.Identity, AttachedPolicy{Policy: ParsePolicy(p)})
			case p.Kind == source.KindMap && len(p.Fields) == 1: // one of SAM's policy templates
				d.Identity = append(d.Identity, AttachedPolicy{Name: p.Fields[0].Name})
			}
		}
	}
	d.boundary = r.text(v, "PermissionsBoundary")
}
