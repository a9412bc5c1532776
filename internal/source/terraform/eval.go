package terraform

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/stint-dev/stint/internal/source"
)

// evaluator makes nodes of expressions, within bounds that hold for all folders
// together.
type evaluator struct {
	files     map[string]*file // by the name that ranges carry
	folders   map[string]*config
	resources []source.Resource
	errs      []error
	reported  map[string]bool
	steps     int
	total     int // bytes, about, of the values made
	levels    int
	emitted   int // bytes, about, of the resources made
	calls     int
	unread    []Unread
	extra     int // texts in strings that were parsed
	full      bool
	weights   map[*source.Node]weight
	// encoded are the values that stand for their JSON text.
	encoded map[*source.Node]bool
	// sets are the lists that are sets.
	sets map[*source.Node]bool
}

// weight is how large a value is, written out. Values share their parts, so
// that a few lines can make one that nobody could walk.
type weight struct{ bytes, levels int }

// scope is where names are looked up.
type scope struct {
	m      *module
	names  map[string]*source.Node // of for, each, count and dynamic blocks
	symbol *hclsyntax.AnonSymbolExpr
	value  *source.Node // of symbol
	parent *scope
}

func (s *scope) with(names map[string]*source.Node) *scope {
	return &scope{m: s.m, names: names, parent: s}
}

func (s *scope) lookup(name string) *source.Node {
	for ; s != nil; s = s.parent {
		if n := s.names[name]; n != nil {
			return n
		}
	}
	return nil
}

// position is where a range begins.
func (e *evaluator) position(r hcl.Range) source.Position {
	f := e.files[r.Filename]
	switch {
	case f == nil:
		return source.Position{File: r.Filename}
	case f.fixed != nil:
		return *f.fixed
	}
	return f.lines.At(r.Start.Byte)
}

func (e *evaluator) span(r hcl.Range) source.Span {
	if f := e.files[r.Filename]; f == nil || f.fixed != nil {
		return source.Span{}
	}
	return source.Span{Start: r.Start.Byte, End: r.End.Byte}
}

const maxWritten = 160

// written is an expression as its author wrote it, on one line.
func (e *evaluator) written(r hcl.Range) string {
	f := e.files[r.Filename]
	if f == nil || r.Start.Byte < 0 || r.End.Byte > len(f.data) || r.Start.Byte >= r.End.Byte {
		return "${?}"
	}
	s := string(f.data[r.Start.Byte:min(r.End.Byte, r.Start.Byte+4*maxWritten)])
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if runes := []rune(s); len(runes) > maxWritten {
		s = string(runes[:maxWritten]) + "..."
	}
	return "${" + s + "}"
}

// unknown is a value that is not known, as it was written.
func (e *evaluator) unknown(r hcl.Range) *source.Node {
	at := e.position(r)
	return &source.Node{Position: at, Text: source.UnknownText(e.written(r)).At(at, source.Span{})}
}

func unknownAt(at source.Position, part source.Part) *source.Node {
	if part.Unknown == "" {
		part.Unknown = "${?}"
	}
	part.Literal = ""
	t := source.Text{Parts: []source.Part{part}}
	return &source.Node{Position: at, Text: t.At(at, source.Span{})}
}

func str(at source.Position, t source.Text) *source.Node {
	if len(t.Parts) == 1 && t.Parts[0].Unknown != "" {
		return unknownAt(at, t.Parts[0])
	}
	return &source.Node{Kind: source.KindString, Position: at, Text: t.At(at, t.Span)}
}

func known(at source.Position, s string) *source.Node { return str(at, source.Literal(s)) }

func number(at source.Position, i int) *source.Node {
	return &source.Node{Kind: source.KindNumber, Position: at, Text: source.Literal(strconv.Itoa(i)).At(at, source.Span{})}
}

func boolean(at source.Position, b bool) *source.Node {
	return &source.Node{Kind: source.KindBool, Position: at, Text: source.Literal(strconv.FormatBool(b)).At(at, source.Span{})}
}

func list(at source.Position, items []*source.Node) *source.Node {
	return &source.Node{Kind: source.KindList, Position: at, Items: items}
}

// open says of a list or an object that it may have further members.
func open(n *source.Node, what source.Text) *source.Node {
	n.Open = true
	if len(n.Text.Parts) == 0 {
		n.Text = firstUnknown(what)
	}
	return n
}

// firstUnknown is a text that says which thing is not known.
func firstUnknown(t source.Text) source.Text {
	for _, p := range t.Parts {
		if p.Unknown != "" {
			return source.Text{Parts: []source.Part{{Unknown: p.Unknown}}, Position: t.Position}
		}
	}
	return source.UnknownText("${?}")
}

// set puts a member into an object; the last of a name counts.
func set(n *source.Node, f source.Field) {
	for i := range n.Fields {
		if n.Fields[i].Name == f.Name {
			n.Fields[i] = f
			return
		}
	}
	n.Fields = append(n.Fields, f)
}

// eval makes the node of an expression.
func (e *evaluator) eval(x hclsyntax.Expression, s *scope) *source.Node {
	e.levels++
	defer func() { e.levels-- }()
	e.steps++
	switch {
	case e.full:
		return e.unknown(x.Range())
	case e.steps > maxSteps || e.total > maxTotal:
		e.full = true
		e.fail(e.position(x.Range()), "there is too much to evaluate; what is left from here on is unknown")
		return e.unknown(x.Range())
	case e.levels > maxLevels:
		e.fail(e.position(x.Range()), "values stand on one another more than %d levels deep", maxLevels)
		return e.unknown(x.Range())
	}
	return e.bounded(e.expression(x, s), x.Range())
}

// bounded is the value, or unknown if it is too large.
func (e *evaluator) bounded(n *source.Node, r hcl.Range) *source.Node {
	w := e.weigh(n)
	if w.bytes <= maxValue && w.levels <= source.MaxDepth {
		return n
	}
	if w.levels > source.MaxDepth {
		e.fail(e.position(r), "nested deeper than %d levels", source.MaxDepth)
	} else {
		e.fail(e.position(r), "expected values of at most %d MiB, found a larger one", maxValue>>20)
	}
	return e.unknown(r)
}

func (e *evaluator) weigh(n *source.Node) weight {
	if w, ok := e.weights[n]; ok {
		return w
	}
	w := weight{bytes: 16}
	for _, p := range n.Text.Parts {
		w.bytes += len(p.Literal) + len(p.Unknown)
	}
	e.total += w.bytes + 8*(len(n.Items)+len(n.Fields))
	add := func(c weight) {
		w.bytes = min(w.bytes+c.bytes, 2*maxValue)
		w.levels = max(w.levels, c.levels)
	}
	for _, i := range n.Items {
		add(e.weigh(i))
	}
	for _, f := range n.Fields {
		w.bytes += len(f.Name)
		add(e.weigh(f.Value))
	}
	if n.Kind == source.KindList || n.Kind == source.KindMap {
		w.levels++
	}
	e.weights[n] = w
	return w
}

func (e *evaluator) expression(x hclsyntax.Expression, s *scope) *source.Node {
	r := x.Range()
	switch x := x.(type) {
	case *hclsyntax.LiteralValueExpr:
		return e.constant(x.Val, r)
	case *hclsyntax.TemplateExpr:
		return e.template(x, s)
	case *hclsyntax.TemplateWrapExpr:
		return e.eval(x.Wrapped, s)
	case *hclsyntax.ParenthesesExpr:
		return e.eval(x.Expression, s)
	case *hclsyntax.TemplateJoinExpr:
		items := e.eval(x.Tuple, s)
		if items.Kind != source.KindList || items.Open {
			return e.unknown(r)
		}
		var texts []source.Text
		for _, i := range items.Items {
			texts = append(texts, e.text(i))
		}
		return e.joined(e.position(r), texts)
	case *hclsyntax.TupleConsExpr:
		out := &source.Node{Kind: source.KindList, Position: e.position(r), Span: e.span(r)}
		for _, item := range x.Exprs {
			out.Items = append(out.Items, e.eval(item, s))
		}
		return out
	case *hclsyntax.ObjectConsExpr:
		return e.object(x, s)
	case *hclsyntax.ObjectConsKeyExpr:
		if word := hcl.ExprAsKeyword(x.Wrapped); word != "" && !x.ForceNonLiteral {
			at := e.position(r)
			return str(at, source.Literal(word).At(at, e.span(r)))
		}
		return e.eval(x.Wrapped, s)
	case *hclsyntax.ScopeTraversalExpr:
		return e.traversal(x, s)
	case *hclsyntax.RelativeTraversalExpr:
		return e.follow(e.eval(x.Source, s), x.Traversal, r)
	case *hclsyntax.IndexExpr:
		return e.index(e.eval(x.Collection, s), e.eval(x.Key, s), r)
	case *hclsyntax.FunctionCallExpr:
		return e.call(x, s)
	case *hclsyntax.ConditionalExpr:
		return e.conditional(x, s)
	case *hclsyntax.BinaryOpExpr:
		return e.binary(x, s)
	case *hclsyntax.UnaryOpExpr:
		return e.unary(x, s)
	case *hclsyntax.ForExpr:
		return e.loop(x, s)
	case *hclsyntax.SplatExpr:
		return e.splat(x, s)
	case *hclsyntax.AnonSymbolExpr:
		for at := s; at != nil; at = at.parent {
			if at.symbol == x {
				return at.value
			}
		}
	}
	return e.unknown(r)
}

// constant is a number, a truth value, null, or text within a template.
func (e *evaluator) constant(v cty.Value, r hcl.Range) *source.Node {
	at, span := e.position(r), e.span(r)
	n := &source.Node{Position: at, Span: span}
	switch {
	case v.IsNull():
		n.Kind = source.KindNull
		return n
	case v.Type() == cty.Bool:
		n.Kind = source.KindBool
	case v.Type() == cty.Number:
		n.Kind = source.KindNumber
	case v.Type() == cty.String:
		n.Kind = source.KindString
		span = source.Span{} // its quotes are the template's
	default:
		return e.unknown(r)
	}
	text, err := convert.Convert(v, cty.String)
	if err != nil || !text.IsKnown() {
		return e.unknown(r)
	}
	n.Text = source.Literal(text.AsString()).At(at, span)
	return n
}

func (e *evaluator) template(x *hclsyntax.TemplateExpr, s *scope) *source.Node {
	at := e.position(x.SrcRange)
	var texts []source.Text
	literal := true
	for _, p := range x.Parts {
		if _, ok := p.(*hclsyntax.LiteralValueExpr); !ok {
			literal = false
		}
		n := e.eval(p, s)
		if n.Kind == source.KindNull {
			n = e.unknown(p.Range())
		}
		texts = append(texts, e.text(n))
	}
	n := e.joined(at, texts)
	if literal {
		n.Span = e.span(x.SrcRange)
		n.Text.Span = n.Span
	}
	return n
}

// joined is the texts one after the other, or unknown if they are too long.
func (e *evaluator) joined(at source.Position, texts []source.Text) *source.Node {
	size := 0
	for _, t := range texts {
		for _, p := range t.Parts {
			size += len(p.Literal) + len(p.Unknown)
		}
		if size > maxText {
			e.fail(at, "expected a text of at most %d MiB, found a longer one", maxText>>20)
			return unknownAt(at, source.Part{})
		}
	}
	t := source.Join(texts...)
	t.Span = source.Span{}
	return str(at, t)
}

// text is what a value becomes within a string.
func (e *evaluator) text(n *source.Node) source.Text {
	if e.encoded[n] {
		if t, ok := n.JSON(); ok {
			return source.Literal(string(t)).At(n.Position, source.Span{})
		}
		return e.whole(n)
	}
	switch n.Kind {
	case source.KindString, source.KindNumber, source.KindBool, source.KindUnknown:
		return n.Text
	}
	return e.whole(n)
}

// whole says of a value that nothing of it is known.
func (e *evaluator) whole(n *source.Node) source.Text {
	if u := n.Unknowns(); len(u) > 0 {
		return source.UnknownText(u[0]).At(n.Position, source.Span{})
	}
	return source.UnknownText("${?}").At(n.Position, source.Span{})
}

func (e *evaluator) object(x *hclsyntax.ObjectConsExpr, s *scope) *source.Node {
	out := &source.Node{Kind: source.KindMap, Position: e.position(x.SrcRange), Span: e.span(x.SrcRange)}
	at := map[string]int{}
	for _, item := range x.Items {
		key := e.text(e.eval(item.KeyExpr, s))
		f := source.NewField(key, e.eval(item.ValueExpr, s))
		if i, twice := at[f.Name]; twice {
			out.Fields[i] = f
			continue
		}
		at[f.Name] = len(out.Fields)
		out.Fields = append(out.Fields, f)
	}
	return out
}

// literal is a string that stands there without anything to evaluate.
func literal(x hclsyntax.Expression) (string, bool) {
	switch x := x.(type) {
	case *hclsyntax.LiteralValueExpr:
		if !x.Val.IsNull() && x.Val.Type() == cty.String {
			return x.Val.AsString(), true
		}
	case *hclsyntax.TemplateExpr:
		out := ""
		for _, p := range x.Parts {
			s, ok := literal(p)
			if !ok {
				return "", false
			}
			out += s
		}
		return out, true
	}
	return "", false
}
