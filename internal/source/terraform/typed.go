package terraform

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

// typed converts a value to the type of its variable, as far as that changes
// what is read of it.
func (e *evaluator) typed(n *source.Node, x hclsyntax.Expression, depth int) *source.Node {
	call, ok := x.(*hclsyntax.FunctionCallExpr)
	if !ok {
		if hcl.ExprAsKeyword(x) == "string" && (n.Kind == source.KindNumber || n.Kind == source.KindBool) {
			return str(n.Position, n.Text)
		}
		return n
	}
	if len(call.Args) == 0 || depth > maxNested || e.encoded[n] {
		return n
	}
	out := *n
	switch {
	case call.Name == "set" && n.Kind == source.KindList:
		return e.set(n)
	case call.Name == "list" && n.Kind == source.KindList:
		out.Items = nil
		for _, i := range n.Items {
			out.Items = append(out.Items, e.typed(i, call.Args[0], depth+1))
		}
		return &out
	case call.Name == "map" && n.Kind == source.KindMap:
		out.Fields = nil
		for _, f := range n.Fields {
			out.Fields = append(out.Fields, source.NewField(f.Key, e.typed(f.Value, call.Args[0], depth+1)))
		}
		return &out
	case call.Name == "object" && n.Kind == source.KindMap:
		want, ok := call.Args[0].(*hclsyntax.ObjectConsExpr)
		if !ok {
			return n
		}
		out.Fields = nil
		for _, item := range want.Items {
			name := hcl.ExprAsKeyword(item.KeyExpr)
			if key, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr); ok {
				name = hcl.ExprAsKeyword(key.Wrapped)
			}
			kind := item.ValueExpr
			var missing *source.Node
			if o, ok := kind.(*hclsyntax.FunctionCallExpr); ok && o.Name == "optional" && len(o.Args) > 0 {
				kind = o.Args[0]
				missing = &source.Node{Kind: source.KindNull, Position: n.Position}
				if len(o.Args) > 1 {
					missing = e.eval(o.Args[1], &scope{})
				}
			}
			v := n.Get(name)
			if (v == nil || v.Kind == source.KindNull) && missing != nil && !n.Open {
				v = missing
			}
			if v != nil {
				out.Fields = append(out.Fields, source.NewField(source.Literal(name).At(v.Position, source.Span{}), e.typed(v, kind, depth+1)))
			}
		}
		return &out
	}
	return n
}
