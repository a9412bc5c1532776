package inventory

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// terraformResources adds what one folder or one plan makes.
func (r *reader) terraformResources(resources []source.Resource) {
	s := r.scope()
	t := &terraformReader{reader: r, scope: s, apps: map[string]int{}}
	for i := range resources {
		t.resource(&resources[i])
	}
}

type terraformReader struct {
	*reader
	scope *scope
	apps  map[string]int // Azure applications by what they are called
}

func (t *terraformReader) resource(res *source.Resource) {
	v, s := res.Values, t.scope
	if strings.HasPrefix(lastOf(res.Address, res.Type), "data.") {
		if res.Type == "aws_iam_policy_document" {
			t.policyDocument(res)
		}
		return
	}
	switch res.Type {
	case "aws_iam_role":
		t.terraformRole(res)
	case "aws_iam_role_policy":
		s.attach(attachment{
			role: t.text(v, "role"), address: res.Address, at: res.Position,
			policy: &AttachedPolicy{Name: firstKnown(t.text(v, "name").String(), res.Address), Policy: t.embedded(v.Get("policy"), "policy")},
		})
	case "aws_iam_policy":
		s.document(document{address: res.Address, at: res.Position, arn: t.text(v, "arn"), policy: t.embedded(v.Get("policy"), "policy")})
	case "aws_iam_role_policy_attachment":
		s.attach(attachment{role: t.text(v, "role"), managed: t.text(v, "policy_arn"), address: res.Address, at: res.Position})
	case "aws_iam_policy_attachment":
		roles, open := texts(v.Get("roles"))
		a := attachment{managed: t.text(v, "policy_arn"), address: res.Address, at: res.Position}
		for _, role := range roles {
			a.role = role
			s.attach(a)
		}
		if open {
			a.role = source.UnknownText(res.Address + ".roles")
			s.attach(a)
		}
	case "aws_iam_openid_connect_provider":
		p := Provider{Address: res.Address, Position: res.Position, ARN: t.text(v, "arn"), URL: t.text(v, "url")}
		p.ClientIDs, p.ClientIDsOpen = texts(v.Get("client_id_list"))
		p.ClientIDsOpen = p.ClientIDsOpen || v.Has("client_id_list") == source.Unknown
		p.complete()
		t.inv.Providers = append(t.inv.Providers, p)
	case "azurerm_federated_identity_credential":
		t.azureCredential(res, "name", "subject", "audience", "user_assigned_identity_id", "parent_id")
	case "azuread_application_federated_identity_credential":
		t.azureCredential(res, "display_name", "subject", "audiences", "application_id", "application_object_id")
	case "azuread_application_flexible_federated_identity_credential":
		t.azureCredential(res, "display_name", "", "audience", "application_id")
	}
}

// lastOf is the part of an address behind the modules that it names.
func lastOf(address, kind string) string {
	for _, prefix := range []string{"data." + kind + ".", kind + "."} {
		if i := strings.LastIndex(address, prefix); i >= 0 && (i == 0 || address[i-1] == '.') {
			return address[i:]
		}
	}
	return address
}

func firstKnown(name, address string) string {
	if name != "" {
		return name
	}
	return address
}

func (t *terraformReader) terraformRole(res *source.Resource) {
	v := res.Values
	role := Role{
		Address: res.Address, Position: res.Position, ARN: t.text(v, "arn"), Name: t.text(v, "name"), Path: t.text(v, "path"),
		Trust:        t.embedded(v.Get("assume_role_policy"), "assume_role_policy"),
		IdentityOpen: true,
		MaxSession:   seconds(v.Get("max_session_duration")),
	}
	if len(role.Name.Parts) == 0 {
		if prefix := t.text(v, "name_prefix"); len(prefix.Parts) > 0 {
			role.Name = source.Join(prefix, source.UnknownText("?"))
		}
	}
	role.complete()
	// A provider's default tags are those of its roles; a plan has both.
	if all := v.Get("tags_all"); all != nil && all.Kind == source.KindMap {
		role.Tags, role.TagsOpen = t.tags(all)
	} else {
		role.Tags, _ = t.tags(v.Get("tags"))
		role.TagsOpen = true
	}
	d := t.scope.role(role)
	d.closes = true
	d.open = v.Open
	if inline := v.Get("inline_policy"); inline != nil {
		d.open = d.open || inline.Open || inline.Kind == source.KindUnknown
		if inline.Kind != source.KindUnknown {
			for _, p := range inline.List() {
				if p.Kind == source.KindMap && len(p.Fields) == 0 {
					continue // an empty block means that there are none
				}
				t.inline(d, p, "name", "policy")
			}
		}
	}
	t.attached(d, v, "managed_policy_arns", "permissions_boundary")
}

// policyDocument adds a trust policy that a data source makes. Those that a
// role uses are the role's, which join tells by their places.
func (t *terraformReader) policyDocument(res *source.Resource) {
	n := res.Values
	if rendered := n.Get("json"); rendered != nil {
		n = rendered
	}
	if n.Kind == source.KindMap && n.Get("Statement") != nil && isTrust(n) {
		t.scope.spare = append(t.scope.spare, Role{
			Address: res.Address, Position: res.Position, Trust: ParsePolicy(n), IdentityOpen: true, TagsOpen: true,
		})
	}
}

func (t *terraformReader) azureCredential(res *source.Resource, name, subject, audiences string, parents ...string) {
	v := res.Values
	c := AzureCredential{Position: res.Position, Name: t.text(v, name), Issuer: t.text(v, "issuer")}
	if subject != "" {
		c.Subject = t.text(v, subject)
	} else {
		c.Expression = t.text(v, "claims_matching_expression")
	}
	c.Audiences, _ = texts(v.Get(audiences))
	parent := ""
	for _, p := range parents {
		if parent == "" {
			parent = t.text(v, p).String()
		}
	}
	i, seen := t.apps[parent]
	if !seen || parent == "" {
		i = len(t.inv.Azure)
		t.apps[parent] = i
		t.inv.Azure = append(t.inv.Azure, AzureApplication{Address: parent, Position: res.Position, Open: true})
	}
	t.inv.Azure[i].Credentials = append(t.inv.Azure[i].Credentials, c)
}
