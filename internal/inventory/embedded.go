package inventory

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// embedded reads a policy document that stands in another document: as an
// object, as JSON text, or as the API returns it, URL-encoded per RFC 3986. It
// is nil where there is none, or nothing of it is known.
func (r *reader) embedded(n *source.Node, path string) *Policy {
	switch {
	case n == nil || n.Kind == source.KindNull || n.Kind == source.KindUnknown:
		return nil
	case n.Kind == source.KindString:
		inner, err := decoded(n)
		if err != nil {
			if _, known := n.Text.Known(); !known {
				return nil
			}
			return &Policy{Node: n, Err: &source.Error{Position: n.Position, Message: path + ": " + err.Error(), Err: err}}
		}
		if inner.Kind == source.KindUnknown {
			return nil
		}
		return ParsePolicy(inner)
	}
	return ParsePolicy(n)
}

// decoded reads a policy that stands in a string. Everything in it is at the
// place of the string: what stands at which byte of the file, escapes and
// encoding have hidden.
func decoded(n *source.Node) (*source.Node, error) {
	text, gaps := withGaps(n.Text)
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
	return gaps.restored(values[0], n.Position), nil
}

// The marks around the number of a gap. They are characters for private use,
// which no policy holds.
const (
	gapStart = "\uf8f0"
	gapEnd   = "\uf8f1"
)

// gaps are what is not known in a JSON text.
type gaps []source.Part

// withGaps is a JSON text with a mark for everything that is not known: within a
// string as it is, elsewhere as a string of its own.
func withGaps(t source.Text) (string, gaps) {
	if text, known := t.Known(); known {
		return text, nil
	}
	var b strings.Builder
	var found gaps
	quoted, escaped := false, false
	for _, p := range t.Parts {
		if p.Unknown != "" {
			mark := gapStart + strconv.Itoa(len(found)) + gapEnd
			if !quoted {
				mark = `"` + gapStart + mark + `"`
			}
			b.WriteString(mark)
			found = append(found, p)
			continue
		}
		for _, c := range p.Literal {
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = quoted
			case c == '"':
				quoted = !quoted
			}
		}
		b.WriteString(strings.NewReplacer(gapStart, "", gapEnd, "").Replace(p.Literal))
	}
	return b.String(), found
}

// restored is a value with everything in it at one place, and the gaps in their
// places.
func (g gaps) restored(n *source.Node, at source.Position) *source.Node {
	out := *n
	out.Position, out.Span = at, source.Span{}
	out.Text = g.text(n.Text).At(at, source.Span{})
	if whole, _ := n.Text.Known(); len(g) > 0 && strings.HasPrefix(whole, gapStart+gapStart) {
		out.Kind = source.KindUnknown
	}
	out.Items = make([]*source.Node, len(n.Items))
	for i, item := range n.Items {
		out.Items[i] = g.restored(item, at)
	}
	out.Fields = make([]source.Field, len(n.Fields))
	for i, f := range n.Fields {
		out.Fields[i] = source.NewField(g.text(f.Key).At(at, source.Span{}), g.restored(f.Value, at))
	}
	return &out
}

func (g gaps) text(t source.Text) source.Text {
	if len(g) == 0 {
		return t
	}
	s, _ := t.Known()
	var texts []source.Text
	for s != "" {
		before, rest, found := strings.Cut(s, gapStart)
		texts = append(texts, source.Literal(before))
		if !found {
			break
		}
		number, after, _ := strings.Cut(rest, gapEnd)
		if i, err := strconv.Atoi(strings.TrimPrefix(number, gapStart)); err == nil && i < len(g) {
			texts = append(texts, source.Text{Parts: []source.Part{g[i]}})
		}
		s = after
	}
	return source.Join(texts...)
}
