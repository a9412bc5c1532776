package inventory

import (
	"errors"
	"net/url"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// embedded reads a policy document that stands in another document: as an
// object, as JSON text, or as the API returns it, URL-encoded per RFC 3986. It
// is nil where there is none.
func (r *reader) embedded(n *source.Node, path string) *Policy {
	switch {
	case n == nil || n.Kind == source.KindNull:
		return nil
	case n.Kind == source.KindString:
		text, known := n.Text.Known()
		if !known {
			return &Policy{Node: n, Open: true}
		}
		inner, err := decoded(n, text)
		if err != nil {
			return &Policy{Node: n, Err: &source.Error{Position: n.Position, Message: path + ": " + err.Error(), Err: err}}
		}
		return ParsePolicy(inner)
	}
	return ParsePolicy(n)
}

// decoded reads a policy that stands in a string. Everything in it is at the
// place of the string: what stands at which byte of the file, escapes and
// encoding have hidden.
func decoded(n *source.Node, text string) (*source.Node, error) {
	if trimmed := strings.TrimLeft(text, " \t\r\n"); !strings.HasPrefix(trimmed, "{") && !strings.HasPrefix(trimmed, "[") {
		// In a path a plus sign is a plus sign.
		plain, err := url.PathUnescape(text)
		if err != nil {
			return nil, errors.New("expected a policy as JSON text or its URL-encoded form, found neither")
		}
		text = plain
	}
	values, err := source.ParseJSON("", []byte(text))
	switch {
	case err != nil:
		var e *source.Error
		if errors.As(err, &e) {
			return nil, errors.New("in the policy text: " + e.Message)
		}
		return nil, err
	case len(values) != 1:
		return nil, errors.New("expected one policy as JSON text or its URL-encoded form")
	}
	return moved(values[0], n.Position), nil
}

// moved is a value with everything in it at one place.
func moved(n *source.Node, at source.Position) *source.Node {
	out := *n
	out.Position, out.Span = at, source.Span{}
	out.Text = n.Text.At(at, source.Span{})
	out.Items = make([]*source.Node, len(n.Items))
	for i, item := range n.Items {
		out.Items[i] = moved(item, at)
	}
	out.Fields = make([]source.Field, len(n.Fields))
	for i, f := range n.Fields {
		out.Fields[i] = source.NewField(f.Key.At(at, source.Span{}), moved(f.Value, at))
	}
	return &out
}
