package terraform

import (
	"strconv"

	"github.com/stint-dev/stint/internal/source"
)

// scope holds the names that stand for something in a part of the files: each,
// count, what a for expression or a dynamic block goes through.
type scope struct {
	name   string
	value  *source.Node
	parent *scope
}

func (s *scope) with(name string, value *source.Node) *scope {
	return &scope{name, value, s}
}

func (s *scope) get(name string) (*source.Node, bool) {
	for ; s != nil; s = s.parent {
		if s.name == name {
			return s.value, true
		}
	}
	return nil, false
}

func unknown(at source.Position, written string) *source.Node {
	return &source.Node{Position: at, Text: source.UnknownText(written).At(at, source.Span{})}
}

func text(at source.Position, t source.Text) *source.Node {
	return &source.Node{Kind: source.KindString, Position: at, Span: t.Span, Text: t.At(at, t.Span)}
}

func literal(at source.Position, s string) *source.Node {
	return text(at, source.Literal(s))
}

func number(at source.Position, s string) *source.Node {
	return &source.Node{Kind: source.KindNumber, Position: at, Text: source.Literal(s).At(at, source.Span{})}
}

func boolean(at source.Position, b bool) *source.Node {
	return &source.Node{Kind: source.KindBool, Position: at, Text: source.Literal(strconv.FormatBool(b)).At(at, source.Span{})}
}

func list(at source.Position, items ...*source.Node) *source.Node {
	return &source.Node{Kind: source.KindList, Position: at, Items: items}
}

func field(name string, at source.Position, value *source.Node) source.Field {
	return source.NewField(source.Literal(name).At(at, source.Span{}), value)
}

// object is an object of names and values in turn.
func object(at source.Position, pairs ...any) *source.Node {
	n := &source.Node{Kind: source.KindMap, Position: at}
	for i := 0; i+1 < len(pairs); i += 2 {
		n.Fields = append(n.Fields, field(pairs[i].(string), at, pairs[i+1].(*source.Node)))
	}
	return n
}

// scalar is the text of a value that is known and no collection.
func scalar(n *source.Node) (string, bool) {
	switch n.Kind {
	case source.KindString, source.KindNumber, source.KindBool:
		return n.Text.Known()
	}
	return "", false
}

func integer(n *source.Node) (int, bool) {
	s, ok := scalar(n)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(s)
	return i, err == nil && i >= 0
}

func truth(n *source.Node) source.Truth {
	s, ok := scalar(n)
	switch {
	case ok && s == "true":
		return source.Yes
	case ok && s == "false":
		return source.No
	}
	return source.Unknown
}
