package terraform

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// counted is what range makes: the numbers up to a limit, from a start, in
// steps; nil where it is not known, or Terraform refuses it.
func counted(args []*source.Node, at source.Position) *source.Node {
	const most = 1024 // Terraform's own limit
	var n []float64
	for _, a := range args {
		f, ok := numeric(a)
		if !ok {
			return nil
		}
		v, _ := f.Float64()
		n = append(n, v)
	}
	start, limit, step := 0.0, n[0], 1.0
	switch len(n) {
	case 3:
		start, limit, step = n[0], n[1], n[2]
	case 2:
		start, limit = n[0], n[1]
	case 1:
	default:
		return nil
	}
	if len(n) < 3 && limit < start {
		step = -1
	}
	if step == 0 || (limit-start)/step < 0 || (limit-start)/step > most {
		return nil
	}
	out := list(at, nil)
	for v := start; step > 0 && v < limit || step < 0 && v > limit; v += step {
		text := strconv.FormatFloat(v, 'f', -1, 64)
		out.Items = append(out.Items, &source.Node{Kind: source.KindNumber, Position: at, Text: source.Literal(text).At(at, source.Span{})})
	}
	return out
}

// collection evaluates functions of lists and objects; nil where the value is
// not known.
func (e *evaluator) collection(name string, args []*source.Node, at source.Position) *source.Node {
	first := args[0]
	for _, a := range args {
		if e.encoded[a] {
			return nil
		}
	}
	out := list(at, nil)
	switch name {
	case "concat":
		for _, a := range args {
			if a.Kind == source.KindUnknown || a.Open {
				open(out, a.Text)
			} else if a.Kind != source.KindList {
				return nil
			}
			out.Items = append(out.Items, a.Items...)
		}
		return out
	case "merge":
		return merged(args, at)
	case "flatten":
		if first.Kind != source.KindList {
			return nil
		}
		e.flatten(out, first)
		return out
	case "lookup":
		return e.lookup(args)
	case "tolist", "toset", "tomap", "distinct", "one", "sort", "compact":
		return e.convert(name, first, out)
	}
	if first.Open || first.Kind != source.KindList && first.Kind != source.KindMap {
		return nil
	}
	switch name {
	case "length":
		if e.sets[first] && !e.allKnown(first.Items) {
			return nil
		}
		return number(at, len(first.Items)+len(first.Fields))
	case "keys", "values":
		if first.Kind != source.KindMap {
			return nil
		}
		pairs, _ := e.pairs(first)
		for _, p := range pairs {
			if name == "keys" {
				out.Items = append(out.Items, p.key)
			} else {
				out.Items = append(out.Items, p.value)
			}
		}
		return out
	case "element":
		if len(args) != 2 || len(first.Items) == 0 {
			return nil
		}
		if i, ok := whole(args[1]); ok {
			return first.Items[i%len(first.Items)]
		}
	case "contains":
		if len(args) != 2 {
			return nil
		}
		found := source.No
		for _, i := range first.Items {
			found = found.Or(e.equal(i, args[1]))
		}
		if found != source.Unknown {
			return boolean(at, found == source.Yes)
		}
	}
	return nil
}

// merged are the members of objects, the last of a name. Behind an object that
// is not known, what stood before may be another.
func merged(args []*source.Node, at source.Position) *source.Node {
	out := &source.Node{Kind: source.KindMap, Position: at}
	obscure := func(by source.Text) {
		open(out, by)
		for i, f := range out.Fields {
			out.Fields[i].Value = unknownAt(f.Value.Position, firstUnknown(by).Parts[0])
		}
	}
	for _, a := range args {
		switch {
		case a.Kind == source.KindNull:
		case a.Kind == source.KindUnknown:
			obscure(a.Text)
		case a.Kind != source.KindMap:
			return nil
		default:
			if a.Open {
				obscure(a.Text)
			}
			for _, f := range a.Fields {
				if _, ok := f.Key.Known(); !ok {
					obscure(f.Key)
				}
				set(out, f)
			}
		}
	}
	return out
}

func (e *evaluator) flatten(into, n *source.Node) {
	if n.Open {
		open(into, n.Text)
	}
	for _, i := range n.Items {
		switch {
		case i.Kind == source.KindUnknown: // one value, or a list of any length
			open(into, i.Text)
		case i.Kind == source.KindList && !e.encoded[i]:
			e.flatten(into, i)
		default:
			into.Items = append(into.Items, i)
		}
	}
}

func (e *evaluator) lookup(args []*source.Node) *source.Node {
	if len(args) < 2 || args[0].Kind != source.KindMap {
		return nil
	}
	key, ok := args[1].Text.Known()
	if !ok || args[1].Kind != source.KindString {
		return nil
	}
	for _, f := range args[0].Fields {
		if f.Key.Equals(key) == source.Unknown {
			return nil
		}
	}
	if v := args[0].Get(key); v != nil {
		return v
	}
	if len(args) == 3 && !args[0].Open {
		return args[2]
	}
	return nil
}

func (e *evaluator) convert(name string, first, out *source.Node) *source.Node {
	if name == "tomap" {
		if first.Kind == source.KindMap {
			return first
		}
		return nil
	}
	if first.Kind != source.KindList {
		return nil
	}
	switch name {
	case "tolist":
		copied := *first
		return &copied
	case "toset":
		return e.set(first)
	case "distinct":
		return e.distinct(first)
	case "one":
		if len(first.Items) == 1 && !first.Open {
			return first.Items[0]
		}
		return nil
	}
	// sort and compact take texts.
	out.Open, out.Text = first.Open, first.Text
	for _, i := range first.Items {
		s, ok := i.Text.Known()
		if name == "compact" && (i.Kind == source.KindNull || i.Kind == source.KindString && ok && s == "") {
			continue
		}
		if name == "compact" && i.Kind == source.KindUnknown {
			open(out, i.Text) // it may be empty
			continue
		}
		out.Items = append(out.Items, i)
	}
	if name == "sort" {
		if first.Open || !e.allKnown(first.Items) {
			return nil
		}
		slices.SortStableFunc(out.Items, func(a, b *source.Node) int { return strings.Compare(a.Text.String(), b.Text.String()) })
	}
	return out
}
