package terraform

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

// document is the policy that data "aws_iam_policy_document" renders, with the
// places of its values in the file.
func (m *module) document(b *hclsyntax.Block, s *scope) *source.Node {
	at := m.place(b.DefRange())
	out := object(at)
	if a, ok := b.Body.Attributes["version"]; ok {
		out.Fields = append(out.Fields, field("Version", m.place(a.NameRange), m.eval(a.Expr, s, 0)))
	} else {
		out.Fields = append(out.Fields, field("Version", at, literal(at, "2012-10-17")))
	}
	statements := list(at)
	for _, name := range []string{"source_json", "source_policy_documents"} {
		m.include(b, s, name, func(from *source.Node) { appendStatements(statements, from, false) }, statements)
	}
	for _, inner := range m.blocksIn(b.Body, s, 0) {
		switch {
		case inner.kind != "statement":
		case inner.block == nil:
			statements.Open, statements.Text = true, source.UnknownText("dynamic statement")
		default:
			replaceBySid(statements, m.statement(inner))
		}
	}
	for _, name := range []string{"override_json", "override_policy_documents"} {
		m.include(b, s, name, func(from *source.Node) { appendStatements(statements, from, true) }, statements)
	}
	out.Fields = append(out.Fields, field("Statement", at, statements))
	return out
}

// include adds the documents that an argument lists.
func (m *module) include(b *hclsyntax.Block, s *scope, name string, add func(*source.Node), statements *source.Node) {
	a, ok := b.Body.Attributes[name]
	if !ok {
		return
	}
	v := m.eval(a.Expr, s, 0)
	open := func() {
		statements.Open, statements.Text = true, source.UnknownText(interpolated(m.written(a.Expr.Range())))
	}
	if v.Kind == source.KindUnknown || v.Open {
		open()
	}
	for _, doc := range v.List() {
		if doc.Kind == source.KindString {
			if parsed, ok := jsonText(doc.Position, []*source.Node{doc}); ok {
				doc = parsed
			}
		}
		if doc.Kind != source.KindMap {
			if s, known := scalar(doc); !known || s != "" {
				open()
			}
			continue
		}
		add(doc)
	}
}

func appendStatements(to, document *source.Node, override bool) {
	from := document.Get("Statement")
	if document.Has("Statement") == source.Unknown || from != nil && (from.Open || from.Kind == source.KindUnknown) {
		to.Open, to.Text = true, source.UnknownText("Statement")
	}
	for _, s := range from.List() {
		if s.Kind != source.KindMap {
			continue
		}
		if override {
			replaceBySid(to, s)
		} else {
			to.Items = append(to.Items, s)
		}
	}
}

// replaceBySid adds a statement, in the place of one of the same Sid.
func replaceBySid(to, statement *source.Node) {
	if sid := statement.Get("Sid"); sid != nil && sid.Text.String() != "" {
		for i, s := range to.Items {
			if other := s.Get("Sid"); other != nil && other.Text.String() == sid.Text.String() {
				to.Items[i] = statement
				return
			}
		}
	}
	to.Items = append(to.Items, statement)
}

func (m *module) statement(b nestedBlock) *source.Node {
	out := object(b.at)
	get := func(name string) (*source.Node, source.Position, bool) {
		a, ok := b.block.Attributes[name]
		if !ok {
			return nil, source.Position{}, false
		}
		v := m.eval(a.Expr, b.scope, 0)
		return v, m.place(a.NameRange), v.Kind != source.KindNull
	}
	if v, at, ok := get("sid"); ok {
		out.Fields = append(out.Fields, field("Sid", at, v))
	}
	effect := literal(b.at, "Allow")
	if v, _, ok := get("effect"); ok {
		effect = v
	}
	out.Fields = append(out.Fields, field("Effect", b.at, effect))
	for _, e := range []struct{ name, element string }{
		{"actions", "Action"}, {"not_actions", "NotAction"}, {"resources", "Resource"}, {"not_resources", "NotResource"},
	} {
		if v, at, ok := get(e.name); ok && (v.Kind != source.KindList || len(v.Items) > 0 || v.Open) {
			out.Fields = append(out.Fields, field(e.element, at, variables(v)))
		}
	}
	conditions := object(b.at)
	principals := map[string]*source.Node{}
	for _, inner := range m.blocksIn(b.block, b.scope, 0) {
		switch inner.kind {
		case "principals", "not_principals":
			element := "Principal"
			if inner.kind == "not_principals" {
				element = "NotPrincipal"
			}
			if principals[element] == nil {
				principals[element] = object(inner.at)
			}
			m.principal(principals[element], inner)
		case "condition":
			m.condition(conditions, inner)
		}
	}
	for _, element := range []string{"Principal", "NotPrincipal"} {
		if p := principals[element]; p != nil {
			out.Fields = append(out.Fields, field(element, p.Position, anyone(p)))
		}
	}
	if len(conditions.Fields) > 0 || conditions.Open {
		out.Fields = append(out.Fields, field("Condition", b.at, conditions))
	}
	return out
}

// anyone is the principal "*", which the block type = "*" means.
func anyone(p *source.Node) *source.Node {
	if v := p.Get("*"); v != nil && len(p.Fields) == 1 && len(v.Items) == 1 {
		if s, ok := scalar(v.Items[0]); ok && s == "*" {
			return v.Items[0]
		}
	}
	return p
}

func (m *module) principal(to *source.Node, b nestedBlock) {
	if b.block == nil {
		to.Open, to.Text = true, source.UnknownText("dynamic "+b.kind)
		return
	}
	kind, identifiers := m.argument(b, "type"), m.argument(b, "identifiers")
	name, ok := scalar(kind)
	if !ok {
		to.Open, to.Text = true, kind.Text
		return
	}
	extend(to, source.Literal(name).At(kind.Position, source.Span{}), variables(identifiers))
}

func (m *module) condition(to *source.Node, b nestedBlock) {
	if b.block == nil {
		to.Open, to.Text = true, source.UnknownText("dynamic "+b.kind)
		return
	}
	test, variable, values := m.argument(b, "test"), m.argument(b, "variable"), m.argument(b, "values")
	name, ok := scalar(test)
	key, isText := part(variable)
	if !ok || !isText {
		to.Open, to.Text = true, test.Text
		return
	}
	operator := to.Get(name)
	if operator == nil {
		operator = object(test.Position)
		to.Fields = append(to.Fields, source.NewField(source.Literal(name).At(test.Position, test.Span), operator))
	}
	extend(operator, key.At(variable.Position, key.Span), variables(values))
}

// extend adds values to a member that is a list.
func extend(to *source.Node, key source.Text, values *source.Node) {
	for i, f := range to.Fields {
		if f.Name == key.String() {
			both, _ := concat(f.Value.Position, []*source.Node{list(f.Value.Position, f.Value.List()...), list(values.Position, values.List()...)})
			both.Open = f.Value.Open || values.Open || values.Kind == source.KindUnknown
			to.Fields[i].Value = both
			return
		}
	}
	to.Fields = append(to.Fields, source.NewField(key, values))
}

func (m *module) argument(b nestedBlock, name string) *source.Node {
	if a, ok := b.block.Attributes[name]; ok {
		return m.eval(a.Expr, b.scope, 0)
	}
	m.fail(b.at, "%s: expected %s", b.kind, name)
	return unknown(b.at, name)
}

// variables are texts of a document with policy variables, which Terraform's
// own interpolation has &{...} for.
func variables(n *source.Node) *source.Node {
	switch n.Kind {
	case source.KindList:
		out := *n
		out.Items = nil
		for _, item := range n.Items {
			out.Items = append(out.Items, variables(item))
		}
		return &out
	case source.KindString:
		if !strings.Contains(n.Text.String(), "&{") {
			return n
		}
		out := *n
		out.Text.Parts = nil
		for _, p := range n.Text.Parts {
			p.Literal = strings.ReplaceAll(p.Literal, "&{", "${")
			out.Text.Parts = append(out.Text.Parts, p)
		}
		out.Text.Span, out.Span = source.Span{}, source.Span{}
		return &out
	}
	return n
}
