package inventory

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stint-dev/stint/internal/source"
)

// printed says what the shape in which a role was printed always has.
type printed struct {
	tags bool // get-role prints a role's tags, list-roles does not
}

// role reads a role as the AWS command line prints it.
func (r *reader) role(n *source.Node, shape printed) {
	if !r.expect(n, "Role", source.KindMap) {
		return
	}
	role := r.bareRole(n)
	role.IdentityOpen = true
	role.TagsOpen = role.TagsOpen || n.Get("Tags") == nil && !shape.tags
	r.aws.role(role)
}

// bareRole reads what a role's own object says.
func (r *reader) bareRole(n *source.Node) Role {
	role := Role{Position: n.Position, ARN: r.text(n, "Arn"), Name: r.text(n, "RoleName"), ID: r.text(n, "RoleId")}
	if len(role.ARN.Parts) > 0 {
		role.Address = role.ARN.String()
	} else {
		role.Address = role.Name.String()
	}
	role.complete()
	role.Trust = r.embedded(n.Get("AssumeRolePolicyDocument"), "AssumeRolePolicyDocument")
	role.MaxSession = seconds(n.Get("MaxSessionDuration"))
	role.Tags, role.TagsOpen = r.tags(n.Get("Tags"))
	if b := n.Get("PermissionsBoundary"); b != nil && b.Kind == source.KindMap {
		arn := r.text(b, "PermissionsBoundaryArn")
		role.Boundary = &AttachedPolicy{Name: policyName(arn)}
	}
	return role
}

var roleARN = regexp.MustCompile(`^arn:[a-z-]+:iam::([0-9]{12}):role/(?:.*/)?([^/]+)$`)

// complete takes the account and the name from the ARN where it says them.
func (r *Role) complete() {
	arn, known := r.ARN.Known()
	m := roleARN.FindStringSubmatch(arn)
	if !known || m == nil {
		return
	}
	r.AccountID = m[1]
	if len(r.Name.Parts) == 0 {
		r.Name = source.Literal(m[2]).At(r.ARN.Position, source.Span{})
	}
}

// seconds is a number of seconds, 0 where it is not known or none.
func seconds(n *source.Node) time.Duration {
	if n == nil {
		return 0
	}
	text, _ := n.Text.Known()
	s, err := strconv.ParseInt(text, 10, 32)
	if err != nil || s < 0 {
		return 0
	}
	return time.Duration(s) * time.Second
}

// tags reads a list of objects with Key and Value, or an object of tags.
func (r *reader) tags(n *source.Node) (out []Tag, open bool) {
	switch {
	case n == nil || n.Kind == source.KindNull:
		return nil, false
	case n.Kind == source.KindUnknown:
		return nil, true
	case n.Kind == source.KindMap:
		for _, f := range n.Fields {
			out = append(out, Tag{Key: f.Key, Value: f.Value.Text})
		}
		return out, n.Open
	case !r.expect(n, "Tags", source.KindList):
		return nil, true
	}
	open = n.Open
	for _, item := range n.Items {
		switch {
		case item.Kind == source.KindUnknown:
			open = true
		case r.expect(item, "Tags", source.KindMap):
			if item.Get("Key") == nil && item.Open {
				open = true
				continue
			}
			out = append(out, Tag{Key: r.text(item, "Key"), Value: r.text(item, "Value")})
		}
	}
	return out, open
}

// rolePolicy reads what `aws iam get-role-policy` prints.
func (r *reader) rolePolicy(n *source.Node) {
	p := r.embedded(n.Get("PolicyDocument"), "PolicyDocument")
	r.aws.attach(attachment{
		role:   r.text(n, "RoleName"),
		policy: &AttachedPolicy{Name: r.text(n, "PolicyName").String(), Policy: p},
		at:     n.Position,
	})
}

// isDetailPolicies reports whether an object is a page of
// get-account-authorization-details that holds managed policies only.
func isDetailPolicies(n *source.Node) bool {
	list := n.Get("Policies")
	return list != nil && list.Kind == source.KindList && len(list.Items) > 0 && list.Items[0].Get("PolicyVersionList") != nil
}

// account reads what `aws iam get-account-authorization-details` prints.
func (r *reader) account(n *source.Node) {
	if list := n.Get("Policies"); list != nil && list.Kind != source.KindNull && r.expect(list, "Policies", source.KindList) {
		for _, item := range list.Items {
			if r.expect(item, "Policies", source.KindMap) {
				r.aws.document(document{arn: r.text(item, "Arn"), policy: r.defaultVersion(item)})
			}
		}
	}
	list := n.Get("RoleDetailList")
	if list == nil || list.Kind == source.KindNull || !r.expect(list, "RoleDetailList", source.KindList) {
		return
	}
	for _, item := range list.Items {
		if r.expect(item, "RoleDetailList", source.KindMap) {
			r.detail(item)
		}
	}
}

// defaultVersion is the version of a managed policy that is in force.
func (r *reader) defaultVersion(n *source.Node) *Policy {
	for _, v := range n.Get("PolicyVersionList").List() {
		if d := v.Get("IsDefaultVersion"); d != nil && d.Text.Equals("true") == source.Yes {
			return r.embedded(v.Get("Document"), "Document")
		}
	}
	return nil
}

// detail reads a role of the account's details. Its lists are complete.
func (r *reader) detail(n *source.Node) {
	d := r.aws.role(r.bareRole(n))
	for _, p := range n.Get("RolePolicyList").List() {
		d.Identity = append(d.Identity, AttachedPolicy{
			Name: r.text(p, "PolicyName").String(), Policy: r.embedded(p.Get("PolicyDocument"), "PolicyDocument"),
		})
	}
	for _, p := range n.Get("AttachedManagedPolicies").List() {
		d.managed = append(d.managed, r.text(p, "PolicyArn"))
	}
	if d.Boundary != nil {
		d.boundary = r.text(n.Get("PermissionsBoundary"), "PermissionsBoundaryArn")
	}
}

// provider reads an OIDC provider as the AWS command line prints it.
func (r *reader) provider(n *source.Node) {
	if !r.expect(n, "OpenIDConnectProviderList", source.KindMap) {
		return
	}
	p := Provider{Position: n.Position, ARN: r.text(n, "Arn"), URL: r.text(n, "Url")}
	if list := n.Get("ClientIDList"); list != nil {
		p.ClientIDs, p.ClientIDsOpen = texts(list)
	} else {
		p.ClientIDsOpen = true
	}
	p.complete()
	r.inv.Providers = append(r.inv.Providers, p)
}

// complete takes the account and the URL from the ARN where it says them.
func (p *Provider) complete() {
	arn, known := p.ARN.Known()
	head, tail, ok := strings.Cut(arn, ":oidc-provider/")
	if !known || !ok {
		return
	}
	if parts := strings.Split(head, ":"); len(parts) == 5 {
		p.AccountID = parts[4]
	}
	if p.Address == "" {
		p.Address = arn
	}
	if len(p.URL.Parts) == 0 {
		p.URL = source.Literal(tail).At(p.ARN.Position, source.Span{})
	}
}

// texts are the strings of a list, or one string alone. open says that there
// may be further ones.
func texts(n *source.Node) (out []source.Text, open bool) {
	if n == nil {
		return nil, false
	}
	if n.Kind == source.KindUnknown {
		return nil, true
	}
	for _, item := range n.List() {
		switch item.Kind {
		case source.KindUnknown, source.KindString, source.KindNumber, source.KindBool:
			out = append(out, item.Text)
		}
	}
	return out, n.Open
}
