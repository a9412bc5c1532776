package terraform

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// policyDocument adds to the arguments of a data source
// aws_iam_policy_document the document that the AWS provider makes of them.
func (e *evaluator) policyDocument(args *source.Node) *source.Node {
	doc := &source.Node{Kind: source.KindMap, Position: args.Position}
	version := args.Get("version")
	id := args.Get("policy_id")
	statements := list(args.Position, nil)
	bases, overrides := args.Get("source_policy_documents"), args.Get("override_policy_documents")
	if old := args.Get("source_json"); old != nil {
		e.merge(statements, old, &version, &id)
	}
	e.mergeAll(statements, bases, &version, &id)
	if v := args.Get("version"); v != nil {
		version = v
	}
	if v := args.Get("policy_id"); v != nil {
		id = v
	}
	if own := args.Get("statement"); own != nil {
		for _, s := range own.List() {
			e.put(statements, e.statement(s))
		}
		if own.Open || own.Kind == source.KindUnknown {
			e.obscure(statements, own)
		}
	}
	e.mergeAll(statements, overrides, &version, &id)
	if old := args.Get("override_json"); old != nil {
		e.merge(statements, old, &version, &id)
	}
	if version == nil {
		version = known(args.Position, "2012-10-17")
	}
	add(doc, "Version", version)
	if id != nil {
		add(doc, "Id", id)
	}
	add(doc, "Statement", statements)
	e.encoded[doc] = true
	out := *args
	out.Fields = append([]source.Field(nil), args.Fields...)
	add(&out, "json", doc)
	add(&out, "minified_json", doc)
	return &out
}

// add puts a member into an object under a name that its file does not hold.
func add(n *source.Node, name string, v *source.Node) {
	set(n, source.NewField(source.Literal(name).At(v.Position, source.Span{}), v))
}

// mergeAll takes the statements of documents into a list.
func (e *evaluator) mergeAll(into, docs *source.Node, version, id **source.Node) {
	if docs == nil {
		return
	}
	if docs.Kind == source.KindUnknown || docs.Open {
		defer e.obscure(into, docs)
	}
	for _, d := range docs.List() {
		e.merge(into, d, version, id)
	}
}

func (e *evaluator) merge(into, doc *source.Node, version, id **source.Node) {
	d := e.decoded(doc)
	if d == nil || d.Kind == source.KindNull {
		return
	}
	if d.Kind != source.KindMap || d.Open {
		e.obscure(into, d)
		if d.Kind != source.KindMap {
			return
		}
	}
	if v := d.Get("Version"); v != nil {
		*version = v
	}
	if v := d.Get("Id"); v != nil {
		*id = v
	}
	list := d.Get("Statement")
	for _, s := range list.List() {
		if s.Kind != source.KindMap {
			e.obscure(into, s)
			continue
		}
		e.put(into, s)
	}
	if list != nil && list.Open {
		e.obscure(into, list)
	}
}

// decoded is a document given as JSON text; nil for the empty text.
func (e *evaluator) decoded(n *source.Node) *source.Node {
	if e.encoded[n] || n.Kind != source.KindString {
		return n
	}
	text, ok := n.Text.Known()
	if !ok {
		return unknownAt(n.Position, firstUnknown(n.Text).Parts[0])
	}
	if strings.TrimSpace(text) == "" {
		return nil
	}
	values, err := source.ParseJSON("", []byte(text))
	if err != nil || len(values) != 1 {
		e.fail(n.Position, "expected one JSON document, found other text")
		return e.unknownText(n.Position, "${?}")
	}
	return placed(values[0], n.Position)
}

// placed is a value with everything in it at the place of the text that it
// stood in.
func placed(n *source.Node, at source.Position) *source.Node {
	out := *n
	out.Position, out.Span = at, source.Span{}
	out.Text = n.Text.At(at, source.Span{})
	out.Items, out.Fields = nil, nil
	for _, i := range n.Items {
		out.Items = append(out.Items, placed(i, at))
	}
	for _, f := range n.Fields {
		out.Fields = append(out.Fields, source.NewField(f.Key.At(at, source.Span{}), placed(f.Value, at)))
	}
	return &out
}

// put adds a statement, in the place of one with the same Sid.
func (e *evaluator) put(into, s *source.Node) {
	sid := s.Get("Sid")
	if sid != nil {
		want, isKnown := sid.Text.Known()
		for i, old := range into.Items {
			have := old.Get("Sid")
			if have == nil || want == "" && isKnown {
				continue
			}
			got, same := have.Text.Known()
			switch {
			case isKnown && same && want == got:
				into.Items[i] = s
				return
			case (!isKnown || !same) && (!isKnown || have.Text.Equals(want) == source.Unknown):
				// It may take the other's place.
				into.Items[i] = unknownAt(old.Position, source.Part{Unknown: firstUnknown(source.Join(sid.Text, have.Text)).Parts[0].Unknown})
			}
		}
	}
	into.Items = append(into.Items, s)
}

// obscure says that further statements may follow, which may take the place of
// those with a Sid.
func (e *evaluator) obscure(into, by *source.Node) {
	what := firstUnknown(e.whole(by))
	for i, s := range into.Items {
		if s.Get("Sid") != nil {
			into.Items[i] = unknownAt(s.Position, what.Parts[0])
		}
	}
	open(into, what)
}

// statement is a block statement as the provider writes it.
func (e *evaluator) statement(s *source.Node) *source.Node {
	if s.Kind != source.KindMap {
		return unknownAt(s.Position, source.Part{Unknown: "${statement}"})
	}
	out := &source.Node{Kind: source.KindMap, Position: s.Position}
	take := func(from, to string, change func(*source.Node) *source.Node) {
		for _, f := range s.Fields {
			if f.Name != from {
				continue
			}
			v := change(f.Value)
			if v.Kind == source.KindList && len(v.Items) == 0 && !v.Open {
				return // the provider leaves empty lists out
			}
			set(out, source.NewField(source.Literal(to).At(f.Key.Position, source.Span{}), v))
		}
	}
	same := func(n *source.Node) *source.Node { return n }
	take("sid", "Sid", same)
	take("effect", "Effect", same)
	if out.Get("Effect") == nil {
		add(out, "Effect", known(s.Position, "Allow"))
	}
	take("actions", "Action", single)
	take("not_actions", "NotAction", single)
	take("resources", "Resource", func(n *source.Node) *source.Node { return single(variables(n)) })
	take("not_resources", "NotResource", func(n *source.Node) *source.Node { return single(variables(n)) })
	take("principals", "Principal", e.principals)
	take("not_principals", "NotPrincipal", e.principals)
	take("condition", "Condition", e.conditions)
	return out
}

// single is the only item of a list, as the provider writes it.
func single(n *source.Node) *source.Node {
	if n.Kind == source.KindList && len(n.Items) == 1 && !n.Open {
		return n.Items[0]
	}
	return n
}

// variables turns &{ into ${, which Terraform would take for its own.
func variables(n *source.Node) *source.Node {
	out := *n
	switch n.Kind {
	case source.KindString:
		changed := false
		out.Text.Parts = append([]source.Part(nil), n.Text.Parts...)
		for i, p := range out.Text.Parts {
			if strings.Contains(p.Literal, "&{") {
				out.Text.Parts[i].Literal = strings.ReplaceAll(p.Literal, "&{", "${")
				changed = true
			}
		}
		if !changed {
			return n
		}
		out.Span, out.Text.Span = source.Span{}, source.Span{}
	case source.KindList:
		out.Items = nil
		for _, i := range n.Items {
			out.Items = append(out.Items, variables(i))
		}
	}
	return &out
}

// join puts the values of a list behind those of another.
func join(a, b *source.Node) *source.Node {
	out := list(a.Position, nil)
	for _, n := range []*source.Node{a, b} {
		if n.Kind == source.KindUnknown || n.Open {
			open(out, n.Text)
		}
		if n.Kind != source.KindUnknown {
			out.Items = append(out.Items, n.List()...)
		}
	}
	return out
}

// principals follows the provider: type "*" with the identifier "*" is the text
// "*", type "AWS" with it is {"AWS": "*"}.
func (e *evaluator) principals(blocks *source.Node) *source.Node {
	out := &source.Node{Kind: source.KindMap, Position: blocks.Position}
	if blocks.Open || blocks.Kind == source.KindUnknown {
		open(out, e.whole(blocks))
	}
	for _, p := range blocks.List() {
		kind, ids := p.Get("type"), p.Get("identifiers")
		if kind == nil || ids == nil {
			open(out, source.UnknownText("${principals}"))
			continue
		}
		ids = variables(ids)
		if kind.Text.Equals("*") == source.Yes && len(blocks.Items) == 1 && !blocks.Open {
			if only := single(ids); only.Kind == source.KindString && only.Text.Equals("*") == source.Yes {
				return only
			}
		}
		if old := out.Get(kind.Text.String()); old != nil {
			ids = join(old, ids)
		}
		set(out, source.NewField(kind.Text, single(ids)))
	}
	return out
}

// conditions are grouped by test, and the values of the same variable come
// together.
func (e *evaluator) conditions(blocks *source.Node) *source.Node {
	out := &source.Node{Kind: source.KindMap, Position: blocks.Position}
	if blocks.Open || blocks.Kind == source.KindUnknown {
		open(out, e.whole(blocks))
	}
	for _, c := range blocks.List() {
		test, variable, values := c.Get("test"), c.Get("variable"), c.Get("values")
		if test == nil || variable == nil || values == nil {
			open(out, source.UnknownText("${condition}"))
			continue
		}
		values = variables(values)
		group := out.Get(test.Text.String())
		if group == nil {
			group = &source.Node{Kind: source.KindMap, Position: test.Position}
			set(out, source.NewField(test.Text, group))
		}
		key := variables(str(variable.Position, variable.Text)).Text
		if old := group.Get(key.String()); old != nil {
			values = join(old, values)
		}
		set(group, source.NewField(key, single(values)))
	}
	return out
}
