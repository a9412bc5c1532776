package inventory

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
)

// resource is a resource whose values stand in JSON, in which @RESOURCE stands
// for a reference, ? for what is not known, and $NAME for a variable.
func resource(t *testing.T, address, kind, values string) source.Resource {
	t.Helper()
	nodes, err := source.ParseJSON(address, []byte(values))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *source.Node)
	walk = func(n *source.Node) {
		s := n.Text.String()
		switch {
		case n.Kind == source.KindString && strings.HasPrefix(s, "@"):
			n.Kind, n.Text = source.KindUnknown, source.Text{Parts: []source.Part{{Unknown: s, Resource: s[1:], Attribute: "arn"}}}
		case n.Kind == source.KindString && (s == "?" || strings.HasPrefix(s, "$")):
			n.Kind, n.Text = source.KindUnknown, source.UnknownText(s)
		}
		for _, i := range n.Items {
			walk(i)
		}
		for _, f := range n.Fields {
			walk(f.Value)
		}
	}
	walk(nodes[0])
	return source.Resource{Address: address, Type: kind, Position: nodes[0].Position, Values: nodes[0]}
}

const read = `"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"*\"}}"`

// What files attach to a role is the role's; what may be attached to it keeps
// its policies open.
func TestJoin(t *testing.T) {
	type res [3]string
	attachment := func(role, policy string) res {
		return res{"a", "aws_iam_role_policy_attachment", fmt.Sprintf(`{"role":%q,"policy_arn":%q}`, role, policy)}
	}
	role := func(name string) res {
		return res{"aws_iam_role." + name, "aws_iam_role", fmt.Sprintf(`{"name":%q}`, name)}
	}
	policy := res{"aws_iam_policy.p", "aws_iam_policy", `{"policy":` + read + `}`}
	own := res{"p", "aws_iam_role_policy", `{"name":"own","role":"r","policy":` + read + `}`}
	const readOnly = "arn:aws:iam::aws:policy/ReadOnlyAccess"
	for name, c := range map[string]struct {
		resources []res
		want      string
	}{
		"nothing attached":         {[]res{role("r")}, "r ?"},
		"by name":                  {[]res{role("r"), own}, "r +own"},
		"by reference":             {[]res{role("r"), policy, attachment("@aws_iam_role.r", "@aws_iam_policy.p")}, "r +aws_iam_policy.p"},
		"AWS's own":                {[]res{role("r"), attachment("r", readOnly)}, "r +" + readOnly + "(unknown)"},
		"an unknown policy":        {[]res{role("r"), attachment("r", "$arn")}, "r +$arn(unknown)"},
		"to another":               {[]res{role("r"), attachment("x", readOnly)}, "r ?"},
		"to an unknown role":       {[]res{role("r"), own, attachment("$role", readOnly)}, "r +own ?"},
		"the same unknown name":    {[]res{{"aws_iam_role.r", "aws_iam_role", `{"name":"$n"}`}, attachment("$n", readOnly)}, "$n +" + readOnly + "(unknown)"},
		"a name that may be it":    {[]res{{"aws_iam_role.r", "aws_iam_role", `{"name":"$n","inline_policy":[{"name":"own","policy":` + read + `}]}`}, attachment("x", readOnly)}, "$n +own ?"},
		"an instance":              {[]res{{"aws_iam_role.r[0]", "aws_iam_role", `{"name":"r"}`}, attachment("@aws_iam_role.r[0]", readOnly)}, "r +" + readOnly + "(unknown)"},
		"one of the instances":     {[]res{{"aws_iam_role.r[0]", "aws_iam_role", `{"name":"r"}`}, {"aws_iam_role.r[1]", "aws_iam_role", `{"name":"s"}`}, own, attachment("@aws_iam_role.r", readOnly)}, "r +own ?\ns ?"},
		"a reference out of it":    {[]res{role("r"), own, attachment("@data.aws_iam_role.x", readOnly)}, "r +own"},
		"unknown managed":          {[]res{{"aws_iam_role.r", "aws_iam_role", `{"name":"r","managed_policy_arns":"$arns","inline_policy":[{"name":"own","policy":` + read + `}]}`}}, "r +own ?"},
		"unknown inline":           {[]res{{"aws_iam_role.r", "aws_iam_role", `{"name":"r","inline_policy":"?","managed_policy_arns":["` + readOnly + `"]}`}}, "r +" + readOnly + "(unknown) ?"},
		"no inline":                {[]res{{"aws_iam_role.r", "aws_iam_role", `{"name":"r","inline_policy":[{}]}`}, own}, "r +own"},
		"to several":               {[]res{role("r"), role("s"), policy, {"a", "aws_iam_policy_attachment", `{"roles":["r","@aws_iam_role.s"],"policy_arn":"@aws_iam_policy.p"}`}}, "r +aws_iam_policy.p\ns +aws_iam_policy.p"},
		"to several unknown ones":  {[]res{role("r"), own, policy, {"a", "aws_iam_policy_attachment", `{"roles":"$roles","policy_arn":"@aws_iam_policy.p"}`}}, "r +own ?"},
		"two roles of one name":    {[]res{role("r"), role("r"), own}, "r ?\nr ?\npolicy p"},
		"a policy of no role":      {[]res{own}, "policy p"},
		"a policy that is unused":  {[]res{policy}, "policy aws_iam_policy.p"},
		"a boundary":               {[]res{policy, {"aws_iam_role.r", "aws_iam_role", `{"name":"r","permissions_boundary":"@aws_iam_policy.p"}`}}, "r within aws_iam_policy.p ?"},
		"a boundary out of it":     {[]res{{"aws_iam_role.r", "aws_iam_role", `{"name":"r","permissions_boundary":"$b"}`}}, "r within $b(unknown) ?"},
		"an ARN of the same files": {[]res{role("r"), {"aws_iam_policy.p", "aws_iam_policy", `{"arn":"arn:aws:iam::111111111111:policy/p","policy":` + read + `}`}, attachment("r", "arn:aws:iam::111111111111:policy/p")}, "r +arn:aws:iam::111111111111:policy/p"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReader()
			var resources []source.Resource
			for _, x := range c.resources {
				resources = append(resources, resource(t, x[0], x[1], x[2]))
			}
			r.terraformResources(resources)
			if got, want := joined(r.finish()), strings.Split(c.want, "\n"); !reflect.DeepEqual(got, want) {
				t.Errorf("found %q, expected %q", got, want)
			}
		})
	}
}

func joined(inv *Inventory) []string {
	show := func(p AttachedPolicy) string {
		if p.Policy == nil {
			return p.Name + "(unknown)"
		}
		return p.Name
	}
	var out []string
	for _, r := range inv.Roles {
		line := r.Name.String()
		for _, p := range r.Identity {
			line += " +" + show(p)
		}
		if r.Boundary != nil {
			line += " within " + show(*r.Boundary)
		}
		if r.IdentityOpen {
			line += " ?"
		}
		out = append(out, line)
	}
	for _, p := range inv.Policies {
		out = append(out, "policy "+p.Address)
	}
	for _, err := range inv.Problems {
		out = append(out, err.Error())
	}
	return out
}
