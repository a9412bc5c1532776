package inventory

import "github.com/stint-dev/stint/internal/source"

// supposed is a document with something that AWS would take in each place
// whose value is not known. If AWS would refuse the result, it refuses the
// document whatever the unknown values turn out to be. No element moves, so a
// path in the result is one in the document.
func supposed(n *source.Node) *source.Node {
	if n.Kind != source.KindMap {
		return plain(n)
	}
	out := object(n, func(f source.Field) (*source.Node, bool) {
		switch f.Name {
		case "Version":
			if _, known := f.Value.Text.Known(); !known && (f.Value.Text.Equals("2012-10-17") != source.No || f.Value.Text.Equals("2008-10-17") != source.No) {
				return nil, false
			}
		case "Statement":
			return supposedStatements(f.Value), true
		}
		return plain(f.Value), true
	})
	if n.Open && n.Get("Statement") == nil {
		out.Fields = append(out.Fields, member("Statement", anyStatement()))
	}
	return out
}

func supposedStatements(n *source.Node) *source.Node {
	switch n.Kind {
	case source.KindUnknown:
		return anyStatement()
	case source.KindMap:
		return supposedStatement(n)
	case source.KindList:
		out := &source.Node{Kind: source.KindList}
		for _, item := range n.Items {
			switch item.Kind {
			case source.KindUnknown:
				out.Items = append(out.Items, anyStatement())
			case source.KindMap:
				out.Items = append(out.Items, supposedStatement(item))
			default:
				out.Items = append(out.Items, plain(item))
			}
		}
		if len(out.Items) == 0 && n.Open {
			out.Items = append(out.Items, anyStatement())
		}
		return out
	}
	return plain(n)
}

func anyStatement() *source.Node {
	return &source.Node{Kind: source.KindMap, Fields: []source.Field{member("Effect", literal("Deny")), member("Action", literal("*"))}}
}

func supposedStatement(n *source.Node) *source.Node {
	out := object(n, func(f source.Field) (*source.Node, bool) {
		switch f.Name {
		case "Effect":
			if _, known := f.Value.Text.Known(); !known && (f.Value.Text.Equals("Allow") != source.No || f.Value.Text.Equals("Deny") != source.No) {
				return literal("Deny"), true
			}
		case "Action", "NotAction":
			return supposedValues(f.Value, anAction), true
		case "Resource", "NotResource":
			return supposedValues(f.Value, source.Text.String), true
		case "Principal", "NotPrincipal":
			return supposedPrincipals(f.Value), true
		case "Condition":
			return supposedConditions(f.Value), true
		}
		return plain(f.Value), true
	})
	if n.Open {
		if n.Get("Effect") == nil {
			out.Fields = append(out.Fields, member("Effect", literal("Deny")))
		}
		if n.Get("Action") == nil && n.Get("NotAction") == nil {
			out.Fields = append(out.Fields, member("Action", literal("*")))
		}
	}
	return out
}

// anAction stands for an action of which something is not known.
func anAction(source.Text) string { return "*" }

// supposedValues is a list of strings; stand is what stands for one of which
// something is not known.
func supposedValues(n *source.Node, stand func(source.Text) string) *source.Node {
	switch n.Kind {
	case source.KindUnknown:
		return literal("*")
	case source.KindString:
		if _, known := n.Text.Known(); !known {
			return literal(stand(n.Text))
		}
	case source.KindList:
		out := &source.Node{Kind: source.KindList}
		for _, item := range n.Items {
			out.Items = append(out.Items, supposedValues(item, stand))
		}
		if len(out.Items) == 0 && n.Open {
			out.Items = append(out.Items, literal("*"))
		}
		return out
	}
	return plain(n)
}

func supposedPrincipals(n *source.Node) *source.Node {
	switch n.Kind {
	case source.KindUnknown:
		return literal("*")
	case source.KindString:
		if _, known := n.Text.Known(); !known && n.Text.Equals("*") != source.No {
			return literal("*")
		}
	case source.KindMap:
		out := object(n, func(f source.Field) (*source.Node, bool) {
			return supposedValues(f.Value, source.Text.String), true
		})
		if len(out.Fields) == 0 && (n.Open || len(n.Fields) > 0) {
			return literal("*")
		}
		return out
	}
	return plain(n)
}

func supposedConditions(n *source.Node) *source.Node {
	switch n.Kind {
	case source.KindUnknown:
		return &source.Node{Kind: source.KindMap}
	case source.KindMap:
		return object(n, func(op source.Field) (*source.Node, bool) {
			switch op.Value.Kind {
			case source.KindUnknown:
				return &source.Node{Kind: source.KindMap}, true
			case source.KindMap:
				return object(op.Value, func(key source.Field) (*source.Node, bool) {
					return supposedValues(key.Value, source.Text.String), true
				}), true
			}
			return plain(op.Value), true
		})
	}
	return plain(n)
}

// object is an object with other values. A member whose name is not wholly
// known is left out: nothing can be said of it.
func object(n *source.Node, value func(source.Field) (*source.Node, bool)) *source.Node {
	out := &source.Node{Kind: source.KindMap}
	for _, f := range n.Fields {
		if _, known := f.Key.Known(); !known {
			continue
		}
		if v, keep := value(f); keep {
			out.Fields = append(out.Fields, member(f.Name, v))
		}
	}
	return out
}

// plain is a value in which an unknown string says what stands there.
func plain(n *source.Node) *source.Node {
	out := &source.Node{Kind: n.Kind, Text: source.Literal(n.Text.String())}
	if n.Kind == source.KindUnknown {
		out.Kind = source.KindString
	}
	for _, item := range n.Items {
		out.Items = append(out.Items, plain(item))
	}
	for _, f := range n.Fields {
		out.Fields = append(out.Fields, member(f.Name, plain(f.Value)))
	}
	return out
}

func member(name string, value *source.Node) source.Field {
	return source.NewField(source.Literal(name), value)
}

func literal(s string) *source.Node {
	return &source.Node{Kind: source.KindString, Text: source.Literal(s)}
}
