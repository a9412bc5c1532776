package terraform

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// part is a value as a part of a text.
func part(n *source.Node) (source.Text, bool) {
	switch n.Kind {
	case source.KindString, source.KindNumber, source.KindBool, source.KindUnknown:
		return n.Text, true
	}
	return source.Text{}, false
}

func onText(change func(string) string) function {
	return func(at source.Position, a []*source.Node) (*source.Node, bool) {
		s, ok := scalar(a[0])
		if !ok {
			return nil, false
		}
		return literal(at, change(s)), true
	}
}

func onTexts(change func(s, t string) string) function {
	return func(at source.Position, a []*source.Node) (*source.Node, bool) {
		s, ok := scalar(a[0])
		t, also := scalar(a[1])
		if !ok || !also {
			return nil, false
		}
		return literal(at, change(s, t)), true
	}
}

func startsWith(at source.Position, a []*source.Node) (*source.Node, bool) {
	prefix, ok := scalar(a[1])
	if answer := a[0].Text.HasPrefix(prefix); ok && answer != source.Unknown {
		return boolean(at, answer == source.Yes), true
	}
	return nil, false
}

func endsWith(at source.Position, a []*source.Node) (*source.Node, bool) {
	suffix, ok := scalar(a[1])
	if answer := a[0].Text.HasSuffix(suffix); ok && answer != source.Unknown {
		return boolean(at, answer == source.Yes), true
	}
	return nil, false
}

// replace replaces text. Between slashes stands a regular expression, which is
// not resolved.
func replace(at source.Position, a []*source.Node) (*source.Node, bool) {
	s, ok := scalar(a[0])
	old, known := scalar(a[1])
	with, also := scalar(a[2])
	if !ok || !known || !also || len(old) > 1 && strings.HasPrefix(old, "/") && strings.HasSuffix(old, "/") {
		return nil, false
	}
	if old == "" || len(s)*max(1, len(with)) > maxText {
		return nil, false
	}
	return literal(at, strings.ReplaceAll(s, old, with)), true
}

func join(at source.Position, a []*source.Node) (*source.Node, bool) {
	separator, ok := part(a[0])
	if !ok {
		return nil, false
	}
	var parts []source.Text
	for _, l := range a[1:] {
		if !plainList(l) {
			return nil, false
		}
		for _, item := range l.Items {
			t, ok := part(item)
			if !ok {
				return nil, false
			}
			if len(parts) > 0 {
				parts = append(parts, separator)
			}
			parts = append(parts, t)
		}
	}
	joined := source.Join(parts...)
	joined.Span = source.Span{}
	return text(at, joined), true
}

func split(at source.Position, a []*source.Node) (*source.Node, bool) {
	separator, ok := scalar(a[0])
	s, also := scalar(a[1])
	if !ok || !also || separator == "" {
		return nil, false
	}
	out := list(at)
	for _, p := range strings.SplitN(s, separator, maxItems) {
		out.Items = append(out.Items, literal(at, p))
	}
	return out, true
}

// format knows %s, %v and %d for what reads the same under them, and %%.
func format(at source.Position, a []*source.Node) (*source.Node, bool) {
	s, ok := scalar(a[0])
	if !ok {
		return nil, false
	}
	var parts []source.Text
	next := 1
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 || i+1 == len(s) {
			break
		}
		parts = append(parts, source.Literal(s[:i]))
		verb := s[i+1]
		s = s[i+2:]
		switch verb {
		case '%':
			parts = append(parts, source.Literal("%"))
		case 's', 'v', 'd':
			if next >= len(a) {
				return nil, false
			}
			t, ok := part(a[next])
			if !ok {
				return nil, false
			}
			next++
			parts = append(parts, t)
		default:
			return nil, false
		}
	}
	joined := source.Join(append(parts, source.Literal(s))...)
	joined.Span = source.Span{}
	return text(at, joined), next == len(a)
}

// formatList is format for each member of the lists among its arguments.
func formatList(at source.Position, a []*source.Node) (*source.Node, bool) {
	n := -1
	for _, arg := range a[1:] {
		if arg.Kind == source.KindList {
			if arg.Open || n >= 0 && n != len(arg.Items) {
				return nil, false
			}
			n = len(arg.Items)
		} else if arg.Kind == source.KindUnknown { // it may be a list
			return nil, false
		}
	}
	if n < 0 {
		n = 1
	}
	out := list(at)
	for i := range n {
		args := []*source.Node{a[0]}
		for _, arg := range a[1:] {
			if arg.Kind == source.KindList {
				arg = arg.Items[i]
			}
			args = append(args, arg)
		}
		where := at
		for _, arg := range args[1:] {
			where = arg.Position
		}
		v, ok := format(where, args)
		if !ok {
			return nil, false
		}
		out.Items = append(out.Items, v)
	}
	return out, true
}
