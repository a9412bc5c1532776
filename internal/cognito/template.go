package cognito

import (
	"errors"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/cloudformation"
)

// template is a CloudFormation template, for what its resources say of one
// another.
type template struct {
	file      string
	resources map[string]*source.Resource
}

func (r *reader) template(f File) {
	resources, err := cloudformation.Parse(f.Name, f.Data)
	r.problems(err)
	t := &template{file: f.Name, resources: make(map[string]*source.Resource, len(resources))}
	for i := range resources {
		t.resources[resources[i].Address] = &resources[i]
	}
	found := false
	for i := range resources {
		res := &resources[i]
		p := &part{node: res.Values, in: t}
		switch res.Type {
		case "AWS::Cognito::IdentityPool":
			if d := r.poolOf(t, res.Address); d != nil {
				r.described(d, p)
			}
		case "AWS::Cognito::IdentityPoolRoleAttachment":
			if d := r.joined(p, res); d != nil {
				r.attached(d, p)
			}
		case "AWS::Cognito::IdentityPoolPrincipalTag":
			if d := r.joined(p, res); d != nil {
				r.tagged(d, p)
			}
		case "AWS::IAM::OIDCProvider":
			r.provider(p, "Url", "ClientIdList")
		default:
			continue
		}
		found = true
	}
	if !found && err == nil {
		r.problem(source.Position{File: f.Name, Line: 1, Column: 1}, "the template has no identity pools, and nothing that belongs to one")
	}
}

// problems adds an error, or each of several that are joined.
func (r *reader) problems(err error) {
	var many interface{ Unwrap() []error }
	switch {
	case err == nil:
	case errors.As(err, &many):
		for _, err := range many.Unwrap() {
			r.problems(err)
		}
	case len(r.out.Problems) >= maxTold:
		r.untold++
	default:
		r.out.Problems = append(r.out.Problems, err)
	}
}

// poolOf is the pool that a resource makes.
func (r *reader) poolOf(t *template, address string) *draft {
	if id, ok := r.opts.PoolIDs[address]; ok {
		if r.used == nil {
			r.used = map[string]bool{}
		}
		r.used[address] = true
		return r.draft(id, id, id)
	}
	return r.draft(t.file+"\x00"+address, "", address)
}

// joined is the pool that a resource belongs to.
func (r *reader) joined(p *part, res *source.Resource) *draft {
	id := p.node.Get("IdentityPoolId")
	if id == nil {
		r.problem(res.Position, "%s: no IdentityPoolId says which pool this belongs to", res.Address)
		return nil
	}
	if s, ok := id.Text.Known(); ok && config.ValidPoolID(s) {
		return r.draft(s, s, s)
	}
	if parts := id.Text.Parts; len(parts) == 1 && (parts[0].Attribute == "Ref" || parts[0].Attribute == "Id") {
		if of := p.in.resources[parts[0].Resource]; of != nil && of.Type == "AWS::Cognito::IdentityPool" {
			return r.poolOf(p.in, of.Address)
		}
	}
	r.problem(id.Position, "%s: it is not known which pool %.100s is", res.Address, id)
	return nil
}

// scene is what the text of a template may refer to beside its resources.
type scene struct {
	account, region, partition string // "" where it is not known
}

// resolve puts into a text what is known by now. open names the rest.
func (p *part) resolve(t source.Text, s scene) (value string, open []string) {
	var b strings.Builder
	for _, piece := range t.Parts {
		if piece.Unknown == "" {
			b.WriteString(piece.Literal)
			continue
		}
		v := ""
		switch name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(piece.Unknown, "!Ref "), "${"), "}"); {
		case piece.Resource != "":
			v = p.attribute(piece.Resource, piece.Attribute, s)
		case name == "AWS::AccountId":
			v = s.account
		case name == "AWS::Region":
			v = s.region
		case name == "AWS::Partition":
			v = s.partition
		}
		if v == "" {
			open = append(open, piece.Unknown)
		}
		b.WriteString(v)
	}
	return b.String(), open
}

// attribute is the ARN of a resource of the same template, where all that it is
// made of is known.
func (p *part) attribute(address, attribute string, s scene) string {
	if p.in == nil || s.account == "" || s.partition == "" {
		return ""
	}
	res := p.in.resources[address]
	if res == nil {
		return ""
	}
	text := func(name, other string) string {
		switch n := res.Values.Get(name); {
		case n != nil:
			v, open := p.literal(n.Text, s)
			if open || n.Kind != source.KindString {
				return ""
			}
			return v
		case res.Values.Has(name) == source.No:
			return other
		}
		return ""
	}
	arn := "arn:" + s.partition + ":iam::" + s.account + ":"
	switch {
	case res.Type == "AWS::IAM::Role" && attribute == "Arn":
		path, name := text("Path", "/"), text("RoleName", "")
		if path != "" && name != "" {
			return arn + "role" + path + name
		}
	case res.Type == "AWS::IAM::OIDCProvider" && (attribute == "Arn" || attribute == "Ref"):
		if u := text("Url", ""); u != "" {
			return arn + "oidc-provider/" + strings.TrimPrefix(u, "https://")
		}
	}
	return ""
}

// literal is resolve for what must not lead to further resources.
func (p *part) literal(t source.Text, s scene) (value string, open bool) {
	for _, piece := range t.Parts {
		if piece.Resource != "" {
			return "", true
		}
	}
	value, rest := p.resolve(t, s)
	return value, len(rest) > 0
}
