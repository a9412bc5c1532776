package inventory

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/cloudformation"
	"github.com/stint-dev/stint/internal/source/terraform"
)

// documentKeys are the keys by which what stands in a JSON or YAML file of data
// is told.
var documentKeys = []string{
	"Role", "Roles", "AssumeRolePolicyDocument", "RoleDetailList", "Policies", "PolicyVersion", "PolicyDocument", "Statement",
	"OpenIDConnectProviderList", "ClientIDList", "claimsMatchingExpression", "value", "properties", "audiences",
}

// json reads a file that holds JSON values, or YAML that looks like them.
func (r *reader) json(name string, data []byte, named bool) {
	values, err := source.ParseJSON(name, data)
	if ext := strings.ToLower(filepath.Ext(name)); err != nil && (ext == ".yml" || ext == ".yaml") {
		if read, yamlErr := parseYAML(name, data); yamlErr == nil {
			values, err = read, nil
		}
	}
	if err != nil {
		if named || marked(data) {
			r.ours(name)
			r.problem(err)
		}
		return
	}
	if len(values) > 0 {
		first := values[0]
		keys := map[string]bool{}
		for _, f := range first.Fields {
			keys[f.Name] = true
		}
		switch {
		case cloudformation.Is(first):
			r.template(name, data)
			return
		case terraform.IsPlan(first):
			r.plan(name, first)
			return
		case isConfig(name, keys, false):
			r.config(name, data)
			return
		case isWorkflow(name, keys):
			r.workflow(name, data, named)
			return
		}
	}
	r.values(name, values, named)
}

// maxYAML is the size of the largest YAML file that is read, in bytes. Such
// files are written by hand, and take far longer to read than JSON.
const maxYAML = 4 << 20

// parseYAML reads the documents of a YAML file. Tags that are not YAML's own
// make a value unknown.
func parseYAML(name string, data []byte) ([]*source.Node, error) {
	if len(data) > maxYAML {
		return nil, &source.Error{Position: source.Position{File: name}, Message: fmt.Sprintf("expected at most %d MiB of YAML, found more", maxYAML>>20)}
	}
	return source.ParseYAML(name, data, nil)
}

func (r *reader) yamlDocument(name string, data []byte, named bool) {
	values, err := parseYAML(name, data)
	if err != nil {
		if named || marked(data) {
			r.ours(name)
			r.problem(err)
		}
		return
	}
	r.values(name, values, named)
}

func (r *reader) values(name string, values []*source.Node, named bool) {
	for _, v := range values {
		if r.document(v, named) {
			r.ours(name)
		} else if named {
			r.wrong(v.Position, "%s, found %s", expected, described(v))
		}
	}
}

// described is what a value is, for a message.
func described(n *source.Node) string {
	if n.Kind != source.KindMap || len(n.Fields) == 0 {
		return n.Kind.String()
	}
	keys := map[string]bool{}
	for _, f := range n.Fields[:min(len(n.Fields), 5)] {
		keys[f.Name] = true
	}
	return "an object with the keys " + listed(keys)
}

// has reports whether an object has all of these members.
func has(n *source.Node, names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return n.Get(name) == nil })
}

// document reads one value, and reports whether it is of a known kind. One that
// only lies in a folder must look more like it: many files have Roles.
func (r *reader) document(n *source.Node, named bool) bool {
	if n.Kind == source.KindList {
		return r.list(n, named)
	}
	if n.Kind != source.KindMap {
		return false
	}
	roles := n.Get("Roles").List()
	switch {
	case has(n, "RoleDetailList"), isDetailPolicies(n):
		r.account(n)
	case has(n, "Role") && (named || isRole(n.Get("Role"))):
		r.role(n.Get("Role"), printed{tags: true})
	case has(n, "Roles") && (named || len(roles) > 0 && isRole(roles[0])):
		if list := n.Get("Roles"); r.expect(list, "Roles", source.KindList) {
			for _, item := range list.Items {
				r.role(item, printed{})
			}
		}
	case has(n, "AssumeRolePolicyDocument"):
		r.role(n, printed{})
	case has(n, "RoleName", "PolicyDocument"):
		r.rolePolicy(n)
	case has(n, "PolicyVersion") && (named || n.Get("PolicyVersion").Get("Document") != nil):
		r.standalone(n.Get("PolicyVersion").Get("Document"))
	case has(n, "Statement") && (named || isPolicy(n)):
		r.policy(n)
	case has(n, "OpenIDConnectProviderList"):
		if list := n.Get("OpenIDConnectProviderList"); r.expect(list, "OpenIDConnectProviderList", source.KindList) {
			for _, item := range list.Items {
				r.provider(item)
			}
		}
	case has(n, "ClientIDList"), has(n, "Url", "ThumbprintList"):
		r.provider(n)
	case isCredential(n):
		r.azure([]*source.Node{n}, true)
	case has(n, "value") && isCredentials(n.Get("value")):
		r.azure(n.Get("value").Items, n.Get("@odata.nextLink") != nil || n.Get("nextLink") != nil)
	default:
		return false
	}
	return true
}

func isRole(n *source.Node) bool {
	return n.Get("AssumeRolePolicyDocument") != nil || has(n, "RoleName", "Arn")
}

// isPolicy reports whether an object is a policy document, right or wrong.
func isPolicy(n *source.Node) bool {
	if n.Get("Version") != nil {
		return true
	}
	return slices.ContainsFunc(n.Get("Statement").List(), func(s *source.Node) bool {
		return has(s, "Effect") || has(s, "Action") || has(s, "Principal")
	})
}

// list reads a list whose items may each be of a known kind.
func (r *reader) list(n *source.Node, named bool) bool {
	if isCredentials(n) {
		r.azure(n.Items, false)
		return true
	}
	found := false
	for _, item := range n.Items {
		if item.Kind == source.KindMap {
			found = r.document(item, named) || found
		}
	}
	return found
}

// expect reports whether a value is of a kind, and notes the mistake otherwise.
func (r *reader) expect(n *source.Node, path string, kind source.Kind) bool {
	if n.Kind == kind {
		return true
	}
	r.wrong(n.Position, "%s: expected %s, found %s", path, kind, n.Kind)
	return false
}

// text is a member that is a string where it is there.
func (r *reader) text(n *source.Node, name string) source.Text {
	m := n.Get(name)
	switch {
	case m == nil || m.Kind == source.KindNull:
		return source.Text{}
	case m.Kind == source.KindList || m.Kind == source.KindMap:
		r.wrong(m.Position, "%s: expected a string, found %s", name, m.Kind)
		return source.Text{}
	}
	return m.Text
}

// policy reads a policy document that stands alone: a trust policy if it names
// a principal, or actions that only a trust policy has.
func (r *reader) policy(n *source.Node) {
	if isTrust(n) {
		r.bareTrust("", n)
		return
	}
	r.standalone(n)
}

// bareTrust adds a trust policy without a role.
func (r *reader) bareTrust(address string, n *source.Node) {
	r.inv.Roles = append(r.inv.Roles, Role{
		Address: address, Position: n.Position, Trust: ParsePolicy(n), IdentityOpen: true, TagsOpen: true,
	})
}

// standalone adds a policy without a role. One that names a principal is a
// resource's, and of interest only where AWS would refuse it.
func (r *reader) standalone(n *source.Node) {
	p := r.embedded(n, "policy")
	if p == nil || p.Err == nil && slices.ContainsFunc(p.Statements, func(s Statement) bool { return s.Principal != nil || s.NotPrincipal != nil }) {
		return
	}
	r.inv.Policies = append(r.inv.Policies, StandalonePolicy{Position: n.Position, Policy: p})
}

// isTrust reports whether a policy is a role's trust policy. What names a
// principal and a resource is another's, such as a bucket's.
func isTrust(n *source.Node) bool {
	for _, s := range n.Get("Statement").List() {
		principal := s.Get("Principal") != nil || s.Get("NotPrincipal") != nil
		resource := s.Get("Resource") != nil || s.Get("NotResource") != nil
		if principal && !resource || (principal || !resource) && assumes(s) {
			return true
		}
	}
	return false
}

// assumes reports whether a statement has an action that takes a role.
func assumes(s *source.Node) bool {
	return slices.ContainsFunc(s.Get("Action").List(), func(a *source.Node) bool {
		return strings.HasPrefix(strings.ToLower(a.Text.Prefix()), "sts:assumerole")
	})
}
