package inventory

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// isCredentials reports whether a value is a list of federated credentials.
func isCredentials(n *source.Node) bool {
	return n.Kind == source.KindList && len(n.Items) > 0 && isCredential(n.Items[0])
}

// isCredential reports whether an object is a federated credential: as
// Microsoft Graph has it, or as Azure Resource Manager, below properties.
func isCredential(n *source.Node) bool {
	if p := n.Get("properties"); p != nil && p.Kind == source.KindMap {
		n = p
	}
	return has(n, "issuer", "audiences") && (n.Get("subject") != nil || n.Get("claimsMatchingExpression") != nil)
}

// azure reads federated credentials as `az` prints them. open says that the
// application may have further ones.
func (r *reader) azure(items []*source.Node, open bool) {
	byParent := map[string]int{}
	for _, n := range items {
		if !isCredential(n) {
			r.wrong(n.Position, "expected a federated credential with issuer, audiences and subject or claimsMatchingExpression, found %s", described(n))
			continue
		}
		parent := parentOf(r.text(n, "id").String())
		i, seen := byParent[parent]
		if !seen {
			i = len(r.inv.Azure)
			byParent[parent] = i
			r.inv.Azure = append(r.inv.Azure, AzureApplication{Address: parent, Position: n.Position, Open: open})
		}
		app := &r.inv.Azure[i]
		app.Credentials = append(app.Credentials, r.credential(n))
	}
}

// parentOf is the managed identity in a credential's resource id. Graph's ids
// name no application.
func parentOf(id string) string {
	before, _, ok := strings.Cut(id, "/federatedIdentityCredentials/")
	if !ok {
		return ""
	}
	return before[strings.LastIndexByte(before, '/')+1:]
}

func (r *reader) credential(n *source.Node) AzureCredential {
	c := AzureCredential{Position: n.Position, Name: r.text(n, "name")}
	if p := n.Get("properties"); p != nil && p.Kind == source.KindMap {
		n = p
	}
	c.Issuer, c.Subject = r.text(n, "issuer"), r.text(n, "subject")
	c.Audiences, _ = texts(n.Get("audiences"))
	if e := n.Get("claimsMatchingExpression"); e != nil && e.Kind == source.KindMap {
		c.Expression = r.text(e, "value")
	}
	return c
}
