package fix

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// holds reports whether the plans, carried out, come to what is wanted and to
// nothing else.
func (m *migration) holds(plans []*plan) bool {
	files, ok := m.edited(plans)
	if !ok {
		return false
	}
	nodes := map[*source.Node][]string{}
	subjects := map[source.Position]string{}
	for _, p := range plans {
		if p.node == nil {
			subjects[p.values[0].Position] = p.edits[0].new
			continue
		}
		nodes[p.node] = p.outcome()
		if !p.lets() {
			return false
		}
	}
	want := (&dump{nodes: nodes, subjects: subjects}).inventory(m.inv)
	return want == (&dump{}).inventory(m.o.Load(files))
}

// outcome is the values of a site as they are to be.
func (p *plan) outcome() []string {
	var out []string
	edits := map[source.Span]edit{}
	for _, e := range p.edits {
		edits[e.span] = e
	}
	for _, v := range p.values {
		e, changes := edits[v.Span]
		if !changes || v.Span == (source.Span{}) || e.beside && e.new != "" {
			out = append(out, shown(v))
		}
		if changes && e.new != "" {
			out = append(out, shown(source.Literal(e.new)))
		}
	}
	return out
}

// lets reports whether IAM decides on a token in the new form as it did on the
// same token in the old one, and still does on the old one where both stay.
func (p *plan) lets() bool {
	var old, new []string
	edits := map[source.Span]edit{}
	for _, e := range p.edits {
		edits[e.span] = e
	}
	for _, v := range p.values {
		text, ok := v.Known()
		if !ok {
			continue
		}
		old = append(old, text)
		e, changes := edits[v.Span]
		if !changes || e.beside {
			new = append(new, text)
		}
		if changes && e.new != "" {
			new = append(new, e.new)
		}
	}
	for i, w := range p.wanted {
		e, changes := edits[p.values[i].Span]
		if !changes || w.before == "" {
			continue
		}
		before, ok := p.accepts(old, w.before)
		after, also := p.accepts(new, w.after)
		if !ok || !also || before != after {
			return false
		}
		if e.beside {
			if still, ok := p.accepts(new, w.before); !ok || still != before {
				return false
			}
		}
	}
	return true
}

// accepts asks IAM whether a condition with these values lets a subject in. ok
// is false where IAM would not take the condition.
func accepts(operator string, values []string, subject string) (accepted, ok bool) {
	const host = "token.actions.githubusercontent.com"
	const provider = "arn:aws:iam::111111111111:oidc-provider/" + host
	document, err := json.Marshal(map[string]any{
		"Version": iam.VersionCurrent,
		"Statement": map[string]any{
			"Effect":    "Allow",
			"Principal": map[string]any{"Federated": provider},
			"Action":    iam.ActionAssumeRoleWithWebIdentity,
			"Condition": map[string]any{operator: map[string]any{host + ":sub": values}},
		},
	})
	if err != nil {
		return false, false
	}
	policy, err := iam.ParsePolicy(document)
	if err != nil {
		return false, false
	}
	return iam.EvaluateWebIdentity(policy, iam.WebIdentityCall{
		Provider:        provider,
		Issuer:          "https://" + host,
		Claims:          map[string]any{"iss": "https://" + host, "aud": "sts.amazonaws.com", "sub": subject},
		RoleARN:         "arn:aws:iam::111111111111:role/deploy",
		RoleSessionName: "fix",
	}).Allowed, true
}

// dump writes what an inventory says, without its places. Some values are
// written as they are to be.
type dump struct {
	b        strings.Builder
	nodes    map[*source.Node][]string
	subjects map[source.Position]string
}

func (d *dump) line(format string, args ...any) { fmt.Fprintf(&d.b, format+"\n", args...) }

func (d *dump) inventory(inv *inventory.Inventory) string {
	for _, r := range inv.Roles {
		d.line("role %q %s %s %q %t %t %s", r.Address, shown(r.ARN), shown(r.Name), r.AccountID, r.IdentityOpen, r.TagsOpen, r.MaxSession)
		d.policy(r.Trust)
		for _, p := range r.Identity {
			d.attached(&p)
		}
		d.attached(r.Boundary)
		for _, t := range r.Tags {
			d.line("tag %s %s", shown(t.Key), shown(t.Value))
		}
	}
	for _, p := range inv.Policies {
		d.line("policy %q", p.Address)
		d.policy(p.Policy)
	}
	for _, p := range inv.Providers {
		d.line("provider %q %s %s %q %t", p.Address, shown(p.ARN), shown(p.URL), p.AccountID, p.ClientIDsOpen)
		for _, c := range p.ClientIDs {
			d.line("client %s", shown(c))
		}
	}
	for _, a := range inv.Azure {
		d.line("azure %q %t", a.Address, a.Open)
		for _, c := range a.Credentials {
			subject := shown(c.Subject)
			if to, ok := d.subjects[c.Subject.Position]; ok {
				subject = shown(source.Literal(to))
			}
			d.line("credential %s %s %s %s", shown(c.Name), shown(c.Issuer), subject, shown(c.Expression))
			for _, audience := range c.Audiences {
				d.line("audience %s", shown(audience))
			}
		}
	}
	for _, c := range inv.Configs {
		d.line("configuration %t", c.Config != nil)
		d.node(c.Root)
	}
	d.line("%d workflows, %d problems", len(inv.Workflows), len(inv.Problems))
	return d.b.String()
}

func (d *dump) attached(p *inventory.AttachedPolicy) {
	if p != nil {
		d.line("attached %q", p.Name)
		d.policy(p.Policy)
	}
}

func (d *dump) policy(p *inventory.Policy) {
	if p == nil {
		d.line("no policy")
		return
	}
	d.line("policy %t %t", p.Full != nil, p.Err != nil)
	d.node(p.Node)
}

func (d *dump) node(n *source.Node) {
	if n == nil {
		d.line("nothing")
		return
	}
	if values, ok := d.nodes[n]; ok {
		d.list(values, n.Open)
		return
	}
	switch n.Kind {
	case source.KindMap:
		d.line("{ %t", n.Open)
		for _, f := range n.Fields {
			d.line("%s:", shown(f.Key))
			d.node(f.Value)
		}
		d.line("}")
	case source.KindList, source.KindString:
		// IAM takes one value for a list of one.
		var values []string
		for _, item := range n.List() {
			if item.Kind != source.KindString && item.Kind != source.KindUnknown {
				d.line("item")
				d.node(item)
				continue
			}
			values = append(values, shown(item.Text))
		}
		d.list(values, n.Open)
	default:
		d.line("%s %s", n.Kind, shown(n.Text))
	}
}

func (d *dump) list(values []string, open bool) {
	d.line("[%s] %t", strings.Join(values, " "), open)
}

// shown is a text with what is not known of it.
func shown(t source.Text) string {
	var b strings.Builder
	for _, p := range t.Parts {
		fmt.Fprintf(&b, "%q<%q>", p.Literal, p.Unknown)
	}
	return b.String()
}
