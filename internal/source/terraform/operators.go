package terraform

import (
	"math/big"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

// follow takes the steps .name and [key] from a value.
func (e *evaluator) follow(n *source.Node, steps hcl.Traversal, r hcl.Range) *source.Node {
	for _, step := range steps {
		switch step := step.(type) {
		case hcl.TraverseAttr:
			n = e.member(n, step.Name, r)
		case hcl.TraverseIndex:
			n = e.index(n, e.constant(step.Key, step.SrcRange), r)
		default:
			return e.unknown(r)
		}
	}
	return n
}

// member is what a name in a value stands for.
func (e *evaluator) member(n *source.Node, name string, r hcl.Range) *source.Node {
	if n.Kind == source.KindList {
		if i, err := strconv.Atoi(name); err == nil { // the old form list.0
			return e.index(n, number(n.Position, i), r)
		}
	}
	if n.Kind == source.KindMap && !e.encoded[n] {
		// A member whose name is not known may be this one.
		for i := len(n.Fields) - 1; i >= 0; i-- {
			f := n.Fields[i]
			switch f.Key.Equals(name) {
			case source.Yes:
				return f.Value
			case source.Unknown:
				return e.unknown(r)
			}
		}
	}
	if len(n.Text.Parts) == 1 && n.Text.Parts[0].Resource != "" && (n.Open || n.Kind == source.KindUnknown) {
		p := n.Text.Parts[0]
		if p.Attribute == "" {
			return unknownAt(e.position(r), source.Part{Unknown: e.written(r), Resource: p.Resource, Attribute: name})
		}
	}
	return e.unknown(r)
}

func (e *evaluator) index(n, key *source.Node, r hcl.Range) *source.Node {
	k, ok := key.Text.Known()
	if !ok || key.Kind == source.KindUnknown || key.Kind == source.KindNull || e.encoded[n] {
		return e.unknown(r)
	}
	switch n.Kind {
	case source.KindMap:
		return e.member(n, k, r)
	case source.KindList:
		// Where further items are, none is at a known place.
		if i, err := strconv.Atoi(k); err == nil && !n.Open && !e.sets[n] && i >= 0 && i < len(n.Items) {
			return n.Items[i]
		}
	case source.KindUnknown:
		// An instance of a resource is not known, but which resource it is.
		if len(n.Text.Parts) == 1 && n.Text.Parts[0].Resource != "" && n.Text.Parts[0].Attribute == "" {
			return unknownAt(e.position(r), source.Part{Unknown: e.written(r), Resource: n.Text.Parts[0].Resource})
		}
	}
	return e.unknown(r)
}

// truth is what a condition comes to.
func truth(n *source.Node) source.Truth {
	s, ok := n.Text.Known()
	if n.Kind != source.KindBool && n.Kind != source.KindString || !ok || s != "true" && s != "false" {
		return source.Unknown
	}
	return source.Truthful(s == "true")
}

func (e *evaluator) conditional(x *hclsyntax.ConditionalExpr, s *scope) *source.Node {
	switch truth(e.eval(x.Condition, s)) {
	case source.Yes:
		return e.eval(x.TrueResult, s)
	case source.No:
		return e.eval(x.FalseResult, s)
	}
	a, b := e.eval(x.TrueResult, s), e.eval(x.FalseResult, s)
	if e.equal(a, b) == source.Yes {
		return a
	}
	return e.unknown(x.SrcRange)
}

// equal compares as == does: values of different types differ.
func (e *evaluator) equal(a, b *source.Node) source.Truth {
	switch {
	case a.Kind == source.KindUnknown || b.Kind == source.KindUnknown, e.encoded[a] != e.encoded[b]:
		return source.Unknown
	case a.Kind != b.Kind:
		return source.No
	case a.Kind == source.KindString:
		if s, ok := a.Text.Known(); ok {
			return b.Text.Equals(s)
		}
		if s, ok := b.Text.Known(); ok {
			return a.Text.Equals(s)
		}
		return source.Unknown
	case !a.Known() || !b.Known():
		return source.Unknown
	case a.Kind == source.KindList:
		if len(a.Items) != len(b.Items) {
			return source.No
		}
		return source.Truthful(slices.EqualFunc(a.Items, b.Items, func(x, y *source.Node) bool { return e.equal(x, y) == source.Yes }))
	case a.Kind == source.KindMap:
		if len(a.Fields) != len(b.Fields) {
			return source.No
		}
		for _, f := range a.Fields {
			other := b.Get(f.Name)
			if other == nil || e.equal(f.Value, other) != source.Yes {
				return source.No
			}
		}
		return source.Yes
	}
	s, _ := a.Text.Known()
	return b.Text.Equals(s)
}

func (e *evaluator) unary(x *hclsyntax.UnaryOpExpr, s *scope) *source.Node {
	n := e.eval(x.Val, s)
	at := e.position(x.SrcRange)
	switch x.Op {
	case hclsyntax.OpLogicalNot:
		if t := truth(n); t != source.Unknown {
			return boolean(at, t == source.No)
		}
	case hclsyntax.OpNegate:
		if f, ok := numeric(n); ok {
			return float(at, f.Neg(f))
		}
	}
	return e.unknown(x.SrcRange)
}

func numeric(n *source.Node) (*big.Float, bool) {
	s, ok := n.Text.Known()
	if !ok || n.Kind != source.KindNumber && n.Kind != source.KindString || len(s) > 64 {
		return nil, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != f || f > 1e15 || f < -1e15 {
		return nil, false
	}
	return big.NewFloat(f), true
}

func float(at source.Position, f *big.Float) *source.Node {
	v, _ := f.Float64()
	n := number(at, 0)
	n.Text = source.Literal(strconv.FormatFloat(v, 'f', -1, 64)).At(at, source.Span{})
	return n
}

func (e *evaluator) binary(x *hclsyntax.BinaryOpExpr, s *scope) *source.Node {
	a, b := e.eval(x.LHS, s), e.eval(x.RHS, s)
	at := e.position(x.SrcRange)
	answer := func(t source.Truth) *source.Node {
		if t == source.Unknown {
			return e.unknown(x.SrcRange)
		}
		return boolean(at, t == source.Yes)
	}
	switch x.Op {
	case hclsyntax.OpLogicalAnd:
		return answer(truth(a).And(truth(b)))
	case hclsyntax.OpLogicalOr:
		return answer(truth(a).Or(truth(b)))
	case hclsyntax.OpEqual:
		return answer(e.equal(a, b))
	case hclsyntax.OpNotEqual:
		return answer(e.equal(a, b).Not())
	}
	f, ok := numeric(a)
	g, also := numeric(b)
	if !ok || !also {
		return e.unknown(x.SrcRange)
	}
	switch x.Op {
	case hclsyntax.OpGreaterThan:
		return boolean(at, f.Cmp(g) > 0)
	case hclsyntax.OpGreaterThanOrEqual:
		return boolean(at, f.Cmp(g) >= 0)
	case hclsyntax.OpLessThan:
		return boolean(at, f.Cmp(g) < 0)
	case hclsyntax.OpLessThanOrEqual:
		return boolean(at, f.Cmp(g) <= 0)
	case hclsyntax.OpAdd:
		return float(at, f.Add(f, g))
	case hclsyntax.OpSubtract:
		return float(at, f.Sub(f, g))
	case hclsyntax.OpMultiply:
		return float(at, f.Mul(f, g))
	case hclsyntax.OpDivide:
		if g.Sign() != 0 {
			return float(at, f.Quo(f, g))
		}
	}
	return e.unknown(x.SrcRange)
}

// pair is an element of a collection with its key.
type pair struct{ key, value *source.Node }

// pairs are the elements of a collection that is wholly there; each may hold
// what is not known.
func (e *evaluator) pairs(n *source.Node) ([]pair, bool) {
	if n.Open || e.encoded[n] {
		return nil, false
	}
	var out []pair
	switch n.Kind {
	case source.KindList:
		for i, item := range n.Items {
			key := number(item.Position, i)
			if e.sets[n] {
				key = item
			}
			out = append(out, pair{key, item})
		}
		return out, true
	case source.KindMap:
		fields := slices.Clone(n.Fields)
		slices.SortStableFunc(fields, func(a, b source.Field) int { // Terraform goes by name
			switch {
			case a.Name < b.Name:
				return -1
			case a.Name > b.Name:
				return 1
			}
			return 0
		})
		for _, f := range fields {
			out = append(out, pair{str(f.Key.Position, f.Key), f.Value})
		}
		return out, true
	}
	return nil, false
}

func (e *evaluator) loop(x *hclsyntax.ForExpr, s *scope) *source.Node {
	pairs, ok := e.pairs(e.eval(x.CollExpr, s))
	if !ok {
		return e.unknown(x.SrcRange)
	}
	at := e.position(x.SrcRange)
	out := list(at, nil)
	if x.KeyExpr != nil {
		out.Kind = source.KindMap
	}
	index := map[string]int{}
	for _, p := range pairs {
		names := map[string]*source.Node{x.ValVar: p.value}
		if x.KeyVar != "" {
			names[x.KeyVar] = p.key
		}
		in := s.with(names)
		if x.CondExpr != nil {
			switch truth(e.eval(x.CondExpr, in)) {
			case source.No:
				continue
			case source.Unknown:
				return e.unknown(x.SrcRange)
			}
		}
		v := e.eval(x.ValExpr, in)
		if x.KeyExpr == nil {
			out.Items = append(out.Items, v)
			continue
		}
		f := source.NewField(e.text(e.eval(x.KeyExpr, in)), v)
		i, there := index[f.Name]
		switch {
		case !there && x.Group:
			f.Value = list(at, []*source.Node{v})
			fallthrough
		case !there:
			index[f.Name] = len(out.Fields)
			out.Fields = append(out.Fields, f)
		case x.Group:
			old := out.Fields[i].Value
			old.Items = append(old.Items, v)
		default:
			return e.unknown(x.SrcRange) // two keys are equal, an error
		}
	}
	return out
}

func (e *evaluator) splat(x *hclsyntax.SplatExpr, s *scope) *source.Node {
	n := e.eval(x.Source, s)
	if n.Kind == source.KindUnknown || n.Kind == source.KindList && n.Open || e.encoded[n] {
		return e.unknown(x.SrcRange)
	}
	items := n.Items
	switch n.Kind {
	case source.KindNull:
		items = nil
	case source.KindList:
	default: // one value counts as a list of it
		items = []*source.Node{n}
	}
	out := list(e.position(x.SrcRange), nil)
	for _, item := range items {
		out.Items = append(out.Items, e.eval(x.Each, &scope{m: s.m, symbol: x.Item, value: item, parent: s}))
	}
	return out
}
