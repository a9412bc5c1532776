package terraform

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/stint-dev/stint/internal/source"
)

// eval is the value of an expression as far as it is known.
func (m *module) eval(e hclsyntax.Expression, s *scope, depth int) *source.Node {
	at := m.place(e.Range())
	if !m.step(at) || depth > maxDepth {
		return unknown(at, "...")
	}
	depth++
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return fromCty(e.Val, at)
	case *hclsyntax.TemplateExpr:
		return m.template(e, s, depth)
	case *hclsyntax.TemplateWrapExpr:
		return m.eval(e.Wrapped, s, depth)
	case *hclsyntax.TemplateJoinExpr:
		return m.templateLoop(e, s, depth)
	case *hclsyntax.ParenthesesExpr:
		return m.eval(e.Expression, s, depth)
	case *hclsyntax.ScopeTraversalExpr:
		return m.named(e.Traversal, e.Range(), s)
	case *hclsyntax.RelativeTraversalExpr:
		return m.walk(m.eval(e.Source, s, depth), e.Traversal, e.Range())
	case *hclsyntax.ObjectConsExpr:
		return m.object(e, s, depth)
	case *hclsyntax.TupleConsExpr:
		out := list(at)
		for _, item := range e.Exprs {
			out.Items = append(out.Items, m.eval(item, s, depth))
		}
		return out
	case *hclsyntax.ConditionalExpr:
		return m.conditional(e, s, depth)
	case *hclsyntax.ForExpr:
		return m.loop(e, s, depth)
	case *hclsyntax.IndexExpr:
		return m.index(m.eval(e.Collection, s, depth), m.eval(e.Key, s, depth), e.Range())
	case *hclsyntax.SplatExpr:
		return m.splat(e, s, depth)
	case *hclsyntax.FunctionCallExpr:
		return m.apply(e, s, depth)
	case *hclsyntax.BinaryOpExpr:
		return m.binary(e, s, depth)
	case *hclsyntax.UnaryOpExpr:
		v := m.eval(e.Val, s, depth)
		if e.Op == hclsyntax.OpLogicalNot {
			if t := truth(v); t != source.Unknown {
				return boolean(at, t == source.No)
			}
		} else if n, ok := scalar(v); ok && v.Kind == source.KindNumber {
			return number(at, strings.TrimPrefix("-"+n, "--"))
		}
	case *hclsyntax.AnonSymbolExpr:
		if v, ok := s.get(splatItem); ok {
			return v
		}
	}
	return m.unknown(e.Range())
}

// unknown stands for an expression of which nothing is known.
func (m *module) unknown(r hcl.Range) *source.Node {
	return unknown(m.place(r), interpolated(m.written(r)))
}

// interpolated is an expression as it is written within a text.
func interpolated(written string) string { return "${" + written + "}" }

func fromCty(v cty.Value, at source.Position) *source.Node {
	switch {
	case v.IsNull():
		return &source.Node{Kind: source.KindNull, Position: at}
	case !v.IsKnown():
	case v.Type() == cty.String:
		return literal(at, v.AsString())
	case v.Type() == cty.Bool:
		return boolean(at, v.True())
	case v.Type() == cty.Number:
		return number(at, v.AsBigFloat().Text('f', -1))
	}
	return unknown(at, "...")
}

// template is a text with values in it. Its span is there where all of it
// stands there between quotes.
func (m *module) template(e *hclsyntax.TemplateExpr, s *scope, depth int) *source.Node {
	at := m.place(e.Range())
	parts := make([]source.Text, 0, len(e.Parts))
	plain := len(e.Parts) <= 1
	for _, p := range e.Parts {
		if _, ok := p.(*hclsyntax.LiteralValueExpr); !ok {
			plain = false
		}
		parts = append(parts, m.asText(m.eval(p, s, depth), p.Range()))
	}
	joined := m.bounded(source.Join(parts...), e.Range())
	joined.Span = source.Span{}
	if plain {
		joined.Span = m.quoted(e.Range())
	}
	return text(at, joined)
}

// quoted is the span of a range that is a text between quotes on one line.
func (m *module) quoted(r hcl.Range) source.Span {
	entry, ok := m.files[r.Filename]
	if !ok || r.Start.Line != r.End.Line || r.End.Byte > len(entry.data) {
		return source.Span{}
	}
	start, end := r.Start.Byte, r.End.Byte
	// The range of a text may leave out the quotes around it.
	if start > 0 && end < len(entry.data) && entry.data[start] != '"' && entry.data[start-1] == '"' && entry.data[end] == '"' {
		start, end = start-1, end+1
	}
	if end-start < 2 || entry.data[start] != '"' || entry.data[end-1] != '"' {
		return source.Span{}
	}
	return source.Span{Start: start, End: end}
}

// asText is a value as a part of a text.
func (m *module) asText(n *source.Node, r hcl.Range) source.Text {
	switch n.Kind {
	case source.KindString, source.KindNumber, source.KindBool:
		return n.Text
	case source.KindUnknown:
		if len(n.Text.Parts) == 1 && n.Text.Parts[0].Unknown != "" {
			return n.Text
		}
	}
	return source.UnknownText(interpolated(m.written(r)))
}

func (m *module) bounded(t source.Text, r hcl.Range) source.Text {
	size := 0
	for _, p := range t.Parts {
		size += len(p.Literal) + len(p.Unknown)
	}
	if size <= maxText {
		return t
	}
	m.fail(m.place(r), "a text grows over %d bytes", maxText)
	return source.UnknownText("...")
}

// templateLoop is %{for}: the texts of each turn one after the other.
func (m *module) templateLoop(e *hclsyntax.TemplateJoinExpr, s *scope, depth int) *source.Node {
	v := m.eval(e.Tuple, s, depth)
	if v.Kind != source.KindList || v.Open {
		return m.unknown(e.Range())
	}
	var parts []source.Text
	for _, item := range v.Items {
		parts = append(parts, m.asText(item, e.Range()))
	}
	return text(m.place(e.Range()), m.bounded(source.Join(parts...), e.Range()))
}

func (m *module) object(e *hclsyntax.ObjectConsExpr, s *scope, depth int) *source.Node {
	out := &source.Node{Kind: source.KindMap, Position: m.place(e.Range())}
	for _, item := range e.Items {
		keyAt := m.place(item.KeyExpr.Range())
		var key source.Text
		if name := hcl.ExprAsKeyword(item.KeyExpr); name != "" {
			key = source.Literal(name)
		} else if k, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr); ok {
			key = m.asText(m.eval(k.Wrapped, s, depth), item.KeyExpr.Range())
		} else {
			key = m.asText(m.eval(item.KeyExpr, s, depth), item.KeyExpr.Range())
		}
		out.Fields = put(out.Fields, source.NewField(key.At(keyAt, key.Span), m.eval(item.ValueExpr, s, depth)))
	}
	return out
}

// put sets a member; a later one of the same name wins.
func put(fields []source.Field, f source.Field) []source.Field {
	for i := range fields {
		if fields[i].Name == f.Name {
			fields[i] = f
			return fields
		}
	}
	return append(fields, f)
}

func (m *module) conditional(e *hclsyntax.ConditionalExpr, s *scope, depth int) *source.Node {
	switch truth(m.eval(e.Condition, s, depth)) {
	case source.Yes:
		return m.eval(e.TrueResult, s, depth)
	case source.No:
		return m.eval(e.FalseResult, s, depth)
	}
	yes, no := m.eval(e.TrueResult, s, depth), m.eval(e.FalseResult, s, depth)
	if same(yes, no) {
		return yes
	}
	return m.unknown(e.Range())
}

// same reports whether two values are known and alike.
func same(a, b *source.Node) bool {
	x, ok := a.JSON()
	if !ok {
		return false
	}
	y, ok := b.JSON()
	return ok && string(x) == string(y)
}

func (m *module) loop(e *hclsyntax.ForExpr, s *scope, depth int) *source.Node {
	at := m.place(e.Range())
	keys, values, ok := m.elements(m.eval(e.CollExpr, s, depth), false)
	if !ok || len(keys) > maxItems {
		return m.unknown(e.Range())
	}
	out := list(at)
	if e.KeyExpr != nil {
		out.Kind = source.KindMap
	}
	for i := range keys {
		inner := s.with(e.ValVar, values[i])
		if e.KeyVar != "" {
			inner = inner.with(e.KeyVar, keys[i])
		}
		if e.CondExpr != nil {
			switch truth(m.eval(e.CondExpr, inner, depth)) {
			case source.No:
				continue
			case source.Unknown:
				out.Open = true
				out.Text = source.UnknownText(interpolated(m.written(e.CondExpr.Range())))
				continue
			}
		}
		v := m.eval(e.ValExpr, inner, depth)
		if e.KeyExpr == nil {
			out.Items = append(out.Items, v)
			continue
		}
		key := m.asText(m.eval(e.KeyExpr, inner, depth), e.KeyExpr.Range()).At(v.Position, source.Span{})
		if e.Group {
			grouped := list(v.Position)
			for _, f := range out.Fields {
				if f.Name == key.String() {
					grouped = f.Value
				}
			}
			grown := *grouped
			grown.Items = append(append([]*source.Node{}, grouped.Items...), v)
			v = &grown
		}
		out.Fields = put(out.Fields, source.NewField(key, v))
	}
	return out
}

// splatItem is the name of the element that a splat goes through.
const splatItem = "*"

func (m *module) splat(e *hclsyntax.SplatExpr, s *scope, depth int) *source.Node {
	v := m.eval(e.Source, s, depth)
	at := m.place(e.Range())
	switch {
	case v.Kind == source.KindUnknown || v.Open:
		return m.unknown(e.Range())
	case v.Kind == source.KindNull:
		return list(at)
	}
	out := list(at)
	for _, item := range v.List() {
		out.Items = append(out.Items, m.eval(e.Each, s.with(splatItem, item), depth))
	}
	return out
}

func (m *module) index(v, key *source.Node, r hcl.Range) *source.Node {
	k, ok := scalar(key)
	if !ok {
		return m.unknown(r)
	}
	switch v.Kind {
	case source.KindList:
		if i, err := strconv.Atoi(k); err == nil && i >= 0 && i < len(v.Items) && !v.Open {
			return v.Items[i]
		}
	case source.KindMap:
		if found := v.Get(k); found != nil {
			return found
		}
	}
	return m.unknown(r)
}

// walk follows attributes and indexes from a value.
func (m *module) walk(v *source.Node, steps hcl.Traversal, r hcl.Range) *source.Node {
	for _, step := range steps {
		switch step := step.(type) {
		case hcl.TraverseAttr:
			v = m.index(v, literal(v.Position, step.Name), r)
		case hcl.TraverseIndex:
			v = m.index(v, fromCty(step.Key, v.Position), r)
		default:
			return m.unknown(r)
		}
		if v.Kind == source.KindUnknown {
			return m.unknown(r)
		}
	}
	return v
}

func (m *module) binary(e *hclsyntax.BinaryOpExpr, s *scope, depth int) *source.Node {
	at := m.place(e.Range())
	a, b := m.eval(e.LHS, s, depth), m.eval(e.RHS, s, depth)
	switch e.Op {
	case hclsyntax.OpLogicalAnd, hclsyntax.OpLogicalOr:
		t := truth(a).And(truth(b))
		if e.Op == hclsyntax.OpLogicalOr {
			t = truth(a).Or(truth(b))
		}
		if t != source.Unknown {
			return boolean(at, t == source.Yes)
		}
		return m.unknown(e.Range())
	case hclsyntax.OpEqual, hclsyntax.OpNotEqual:
		if !a.Known() || !b.Known() {
			return m.unknown(e.Range())
		}
		return boolean(at, (a.Kind == b.Kind && same(a, b)) == (e.Op == hclsyntax.OpEqual))
	}
	x, xok := scalar(a)
	y, yok := scalar(b)
	i, xerr := strconv.ParseFloat(x, 64)
	j, yerr := strconv.ParseFloat(y, 64)
	if !xok || !yok || xerr != nil || yerr != nil {
		return m.unknown(e.Range())
	}
	result := func(f float64) *source.Node { return number(at, strconv.FormatFloat(f, 'f', -1, 64)) }
	switch e.Op {
	case hclsyntax.OpGreaterThan:
		return boolean(at, i > j)
	case hclsyntax.OpGreaterThanOrEqual:
		return boolean(at, i >= j)
	case hclsyntax.OpLessThan:
		return boolean(at, i < j)
	case hclsyntax.OpLessThanOrEqual:
		return boolean(at, i <= j)
	case hclsyntax.OpAdd:
		return result(i + j)
	case hclsyntax.OpSubtract:
		return result(i - j)
	case hclsyntax.OpMultiply:
		return result(i * j)
	}
	return m.unknown(e.Range())
}
