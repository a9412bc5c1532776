package terraform

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

// function is what a call answers; ok is false where that is not known. at is
// the call's place.
type function func(at source.Position, args []*source.Node) (n *source.Node, ok bool)

// functionOf is a function of Terraform's language with the least and the most
// arguments that it takes, or nil for one that is not resolved. sensitive and
// conversions answer what they are given: it reads the same here.
func functionOf(name string) (f function, least, most int) {
	const any = 1 << 20
	switch strings.TrimPrefix(name, "core::") {
	case "jsonencode", "jsondecode": // whoever takes a JSON text for a document takes the document itself
		return jsonText, 1, 1
	case "sensitive", "nonsensitive", "tomap", "tonumber", "tobool":
		return first, 1, 1
	case "tostring":
		return toText, 1, 1
	case "tolist":
		return toList, 1, 1
	case "toset", "distinct":
		return distinct, 1, 1
	case "concat":
		return concat, 1, any
	case "flatten":
		return flatten, 1, 1
	case "compact":
		return compact, 1, 1
	case "sort":
		return sorted, 1, 1
	case "merge":
		return merge, 1, any
	case "keys":
		return keys, 1, 1
	case "values":
		return values, 1, 1
	case "lookup":
		return lookup, 2, 3
	case "element":
		return element, 2, 2
	case "length":
		return length, 1, 1
	case "contains":
		return contains, 2, 2
	case "one":
		return one, 1, 1
	case "join":
		return join, 2, any
	case "split":
		return split, 2, 2
	case "format":
		return format, 1, any
	case "formatlist":
		return formatList, 1, any
	case "lower":
		return onText(strings.ToLower), 1, 1
	case "upper":
		return onText(strings.ToUpper), 1, 1
	case "trimspace":
		return onText(strings.TrimSpace), 1, 1
	case "chomp":
		return onText(func(s string) string { return strings.TrimRight(s, "\r\n") }), 1, 1
	case "replace":
		return replace, 3, 3
	case "trimprefix":
		return onTexts(strings.TrimPrefix), 2, 2
	case "trimsuffix":
		return onTexts(strings.TrimSuffix), 2, 2
	case "trim":
		return onTexts(strings.Trim), 2, 2
	case "startswith":
		return startsWith, 2, 2
	case "endswith":
		return endsWith, 2, 2
	case "coalesce":
		return coalesce, 1, any
	case "try":
		return try, 1, any
	case "zipmap":
		return zipmap, 2, 2
	}
	return nil, 0, 0
}

func (m *module) apply(e *hclsyntax.FunctionCallExpr, s *scope, depth int) *source.Node {
	f, least, most := functionOf(e.Name)
	if f == nil {
		return m.unknown(e.Range())
	}
	args := make([]*source.Node, 0, len(e.Args))
	for i, a := range e.Args {
		v := m.eval(a, s, depth)
		if e.ExpandFinal && i == len(e.Args)-1 {
			if !plainList(v) {
				return m.unknown(e.Range())
			}
			args = append(args, v.Items...)
			continue
		}
		args = append(args, v)
	}
	if len(args) < least || len(args) > most {
		m.fail(m.place(e.Range()), "%s: expected from %d arguments, found %d", e.Name, least, len(args))
		return m.unknown(e.Range())
	}
	v, ok := f(m.place(e.Range()), args)
	if !ok || v == nil {
		return m.unknown(e.Range())
	}
	if m.program.steps += len(v.Items); v.Kind == source.KindString {
		bound := *v
		bound.Text = m.bounded(v.Text, e.Range())
		return &bound
	}
	return v
}

// plainList reports whether a value is a list of which all members are there.
func plainList(n *source.Node) bool { return n.Kind == source.KindList && !n.Open }

func first(_ source.Position, a []*source.Node) (*source.Node, bool) { return a[0], true }

// jsonText answers a document for its JSON text, and a JSON text's document.
func jsonText(_ source.Position, a []*source.Node) (*source.Node, bool) {
	if a[0].Kind != source.KindString {
		return a[0], a[0].Kind != source.KindUnknown
	}
	s, ok := a[0].Text.Known()
	if !ok || !strings.HasPrefix(strings.TrimSpace(s), "{") && !strings.HasPrefix(strings.TrimSpace(s), "[") {
		return a[0], true
	}
	docs, err := source.ParseJSON("", []byte(s))
	if err != nil || len(docs) != 1 {
		return nil, false
	}
	return placed(docs[0], a[0].Position), true
}

// placed is a value of which everything stands at one place.
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

func toText(at source.Position, a []*source.Node) (*source.Node, bool) {
	switch a[0].Kind {
	case source.KindString, source.KindNumber, source.KindBool:
		return text(at, a[0].Text), true
	}
	return nil, false
}

func toList(at source.Position, a []*source.Node) (*source.Node, bool) {
	return a[0], a[0].Kind == source.KindList
}

func distinct(at source.Position, a []*source.Node) (*source.Node, bool) {
	if !plainList(a[0]) {
		return nil, false
	}
	out := list(at)
	seen := map[string]bool{}
	for _, item := range a[0].Items {
		if j, ok := item.JSON(); ok {
			if seen[string(j)] {
				continue
			}
			seen[string(j)] = true
		}
		out.Items = append(out.Items, item)
	}
	return out, true
}

func concat(at source.Position, a []*source.Node) (*source.Node, bool) {
	out := list(at)
	for _, l := range a {
		switch {
		case l.Kind == source.KindUnknown:
			out.Open = true
			out.Text = l.Text
		case l.Kind != source.KindList:
			return nil, false
		default:
			out.Items = append(out.Items, l.Items...)
			if l.Open {
				out.Open, out.Text = true, l.Text
			}
		}
	}
	return out, true
}

func flatten(at source.Position, a []*source.Node) (*source.Node, bool) {
	if a[0].Kind != source.KindList {
		return nil, false
	}
	out := list(at)
	var add func(n *source.Node)
	add = func(n *source.Node) {
		if n.Open {
			out.Open, out.Text = true, n.Text
		}
		for _, item := range n.Items {
			switch item.Kind {
			case source.KindList:
				add(item)
			case source.KindUnknown: // it may be a list
				out.Open, out.Text = true, item.Text
				out.Items = append(out.Items, item)
			default:
				out.Items = append(out.Items, item)
			}
		}
	}
	add(a[0])
	return out, true
}

func compact(at source.Position, a []*source.Node) (*source.Node, bool) {
	if !plainList(a[0]) {
		return nil, false
	}
	out := list(at)
	for _, item := range a[0].Items {
		if s, ok := scalar(item); item.Kind == source.KindNull || ok && s == "" {
			continue
		}
		out.Items = append(out.Items, item)
	}
	return out, true
}

func sorted(at source.Position, a []*source.Node) (*source.Node, bool) {
	if !plainList(a[0]) || !a[0].Known() {
		return nil, false
	}
	out := list(at, slices.Clone(a[0].Items)...)
	slices.SortFunc(out.Items, func(x, y *source.Node) int { return strings.Compare(x.Text.String(), y.Text.String()) })
	return out, true
}

func merge(at source.Position, a []*source.Node) (*source.Node, bool) {
	out := object(at)
	for _, o := range a {
		switch o.Kind {
		case source.KindNull:
		case source.KindUnknown:
			// It may replace what came before it.
			if len(out.Fields) > 0 {
				return nil, false
			}
			out.Open, out.Text = true, o.Text
		case source.KindMap:
			for _, f := range o.Fields {
				out.Fields = put(out.Fields, f)
			}
			if o.Open {
				out.Open, out.Text = true, o.Text
			}
		default:
			return nil, false
		}
	}
	return out, true
}

func keys(at source.Position, a []*source.Node) (*source.Node, bool) {
	if a[0].Kind != source.KindMap || a[0].Open {
		return nil, false
	}
	out := list(at)
	for _, f := range a[0].Fields {
		out.Items = append(out.Items, text(f.Key.Position, f.Key))
	}
	slices.SortStableFunc(out.Items, func(x, y *source.Node) int { return strings.Compare(x.Text.String(), y.Text.String()) })
	return out, true
}

func values(at source.Position, a []*source.Node) (*source.Node, bool) {
	if a[0].Kind != source.KindMap || a[0].Open {
		return nil, false
	}
	fields := slices.Clone(a[0].Fields)
	slices.SortStableFunc(fields, func(x, y source.Field) int { return strings.Compare(x.Name, y.Name) })
	out := list(at)
	for _, f := range fields {
		out.Items = append(out.Items, f.Value)
	}
	return out, true
}

func lookup(_ source.Position, a []*source.Node) (*source.Node, bool) {
	key, ok := scalar(a[1])
	if !ok || a[0].Kind != source.KindMap {
		return nil, false
	}
	switch a[0].Has(key) {
	case source.Yes:
		return a[0].Get(key), true
	case source.No:
		if len(a) == 3 {
			return a[2], true
		}
	}
	return nil, false
}

func element(_ source.Position, a []*source.Node) (*source.Node, bool) {
	i, ok := integer(a[1])
	if !ok || !plainList(a[0]) || len(a[0].Items) == 0 {
		return nil, false
	}
	return a[0].Items[i%len(a[0].Items)], true
}

func length(at source.Position, a []*source.Node) (*source.Node, bool) {
	switch {
	case a[0].Open:
		return nil, false
	case a[0].Kind == source.KindList:
		return number(at, strconv.Itoa(len(a[0].Items))), true
	case a[0].Kind == source.KindMap:
		return number(at, strconv.Itoa(len(a[0].Fields))), true
	case a[0].Kind == source.KindString:
		if s, ok := a[0].Text.Known(); ok {
			return number(at, strconv.Itoa(len([]rune(s)))), true
		}
	}
	return nil, false
}

func contains(at source.Position, a []*source.Node) (*source.Node, bool) {
	if !plainList(a[0]) || !a[0].Known() || !a[1].Known() {
		return nil, false
	}
	return boolean(at, slices.ContainsFunc(a[0].Items, func(n *source.Node) bool { return same(n, a[1]) })), true
}

func one(at source.Position, a []*source.Node) (*source.Node, bool) {
	if !plainList(a[0]) || len(a[0].Items) > 1 {
		return nil, false
	}
	if len(a[0].Items) == 0 {
		return &source.Node{Kind: source.KindNull, Position: at}, true
	}
	return a[0].Items[0], true
}

func coalesce(_ source.Position, a []*source.Node) (*source.Node, bool) {
	for _, n := range a {
		if n.Kind == source.KindUnknown {
			return nil, false
		}
		if s, ok := scalar(n); n.Kind != source.KindNull && (!ok || s != "") {
			return n, true
		}
	}
	return nil, false
}

// try answers its first argument where that is known. Whether what is not
// known would fail, nobody can say.
func try(_ source.Position, a []*source.Node) (*source.Node, bool) {
	return a[0], a[0].Kind != source.KindUnknown
}

func zipmap(at source.Position, a []*source.Node) (*source.Node, bool) {
	if !plainList(a[0]) || !plainList(a[1]) || len(a[0].Items) != len(a[1].Items) || !a[0].Known() {
		return nil, false
	}
	out := object(at)
	for i, k := range a[0].Items {
		out.Fields = put(out.Fields, source.NewField(k.Text, a[1].Items[i]))
	}
	return out, true
}
