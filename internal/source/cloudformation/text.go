package cloudformation

import (
	"encoding/base64"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// sub puts values into a text (Fn::Sub). ${!Name} is the text ${Name}.
func (t *template) sub(arg *source.Node, depth int) *source.Node {
	own := map[string]*source.Node{}
	if arg.Kind == source.KindList {
		if len(arg.Items) != 2 || arg.Items[1].Kind != source.KindMap {
			t.fail(arg.Position, "Fn::Sub: expected a text and an object with values")
			return unknown(arg.Position, "Fn::Sub")
		}
		for _, f := range arg.Items[1].Fields {
			own[f.Name] = t.resolve(f.Value, depth)
		}
		arg = arg.Items[0]
	}
	s, ok := arg.Text.Known()
	if arg.Kind != source.KindString || !ok {
		t.fail(arg.Position, "Fn::Sub: expected a text, found %s", arg.Kind)
		return unknown(arg.Position, "Fn::Sub")
	}
	if !t.spend(arg.Position, 0, len(s)) {
		return unknown(arg.Position, "Fn::Sub")
	}
	if !strings.Contains(s, "${") {
		return text(arg.Position, withReferences(arg.Text)) // it stands there as it is
	}
	var parts []source.Text
	for s != "" {
		before, rest, found := strings.Cut(s, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			parts = append(parts, source.Literal(s))
			break
		}
		parts, s = append(parts, source.Literal(before)), after
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			parts = append(parts, source.Literal("${"+literal+"}"))
			continue
		}
		name = strings.TrimSpace(name)
		v, named := own[name]
		if !named {
			v = t.reference(arg, name)
		}
		parts = append(parts, t.asText(v, "${"+name+"}"))
	}
	return text(arg.Position, withReferences(t.bounded(arg.Position, parts...)).At(arg.Position, source.Span{}))
}

// reference is what ${name} stands for in a text.
func (t *template) reference(at *source.Node, name string) *source.Node {
	written := "${" + name + "}"
	if strings.Contains(name, "/") || strings.Contains(name, ":") && !strings.HasPrefix(name, "AWS::") {
		t.fail(at.Position, "Fn::Sub: %.100q is no name of the template; write ${!%.100s} for a variable of a policy", name, name)
		return unknown(at.Position, written)
	}
	if resource, attr, ok := strings.Cut(name, "."); ok {
		return t.attributeOf(at, written, resource, attr)
	}
	v := t.ref(at, name)
	if v == nil || len(v.Text.Parts) != 1 || v.Text.Parts[0].Unknown == "" {
		return v
	}
	out := *v
	part := v.Text.Parts[0]
	part.Unknown = written
	out.Text.Parts = []source.Part{part}
	return &out
}

// asText is a value as a part of a text.
func (t *template) asText(n *source.Node, written string) source.Text {
	if n == nil {
		return source.Text{}
	}
	switch n.Kind {
	case source.KindList, source.KindMap, source.KindNull:
		return source.UnknownText(written)
	}
	return n.Text
}

// bounded joins texts. What would grow too large is not known.
func (t *template) bounded(at source.Position, parts ...source.Text) source.Text {
	size := 0
	for _, s := range parts {
		for _, p := range s.Parts {
			size += len(p.Literal) + len(p.Unknown)
		}
	}
	switch {
	case size > maxText:
		t.tooLarge(at, "a text grows over %d bytes", maxText)
	case t.spend(at, 0, size):
		return source.Join(parts...).At(at, source.Span{})
	}
	return source.UnknownText("...").At(at, source.Span{})
}

// The marks of a dynamic reference, which gets its value when it is deployed
// ("Get values stored in other services using dynamic references").
const (
	referenceStart = "{{resolve:"
	referenceEnd   = "}}"
)

// withReferences is a text in which dynamic references are not known.
func withReferences(s source.Text) source.Text {
	found := false
	for _, p := range s.Parts {
		found = found || strings.Contains(p.Literal, referenceStart)
	}
	if !found {
		return s
	}
	var parts, begun []source.Text // begun is what a reference that has begun is made of
	inside := ""
	for _, p := range s.Parts {
		if p.Unknown != "" {
			part := source.Text{Parts: []source.Part{p}}
			if inside == "" {
				parts = append(parts, part)
				continue
			}
			inside, begun = inside+p.Unknown, append(begun, part)
			continue
		}
		for rest := p.Literal; rest != ""; {
			if inside == "" {
				before, after, found := strings.Cut(rest, referenceStart)
				parts = append(parts, source.Literal(before))
				if !found {
					break
				}
				inside, rest = referenceStart, after
				begun = []source.Text{source.Literal(referenceStart)}
			}
			before, after, closed := strings.Cut(rest, referenceEnd)
			if !closed {
				inside, begun = inside+rest, append(begun, source.Literal(rest))
				break
			}
			parts, inside, rest = append(parts, source.UnknownText(inside+before+referenceEnd)), "", after
		}
	}
	if inside != "" { // it does not end here: a join may end it
		parts = append(parts, begun...)
	}
	return source.Join(parts...).At(s.Position, source.Span{})
}

func (t *template) join(arg *source.Node, depth int) *source.Node {
	if arg.Kind != source.KindList || len(arg.Items) != 2 || arg.Items[0].Kind != source.KindString {
		t.fail(arg.Position, "Fn::Join: expected a separator and a list")
		return unknownText(arg.Position, "Fn::Join")
	}
	separator, list := arg.Items[0].Text, t.resolve(arg.Items[1], depth)
	switch {
	case list == nil || list.Kind == source.KindUnknown || list.Open:
		return unknownText(arg.Position, "Fn::Join")
	case list.Kind != source.KindList:
		t.fail(arg.Items[1].Position, "Fn::Join: expected a list, found %s", list.Kind)
		return unknownText(arg.Position, "Fn::Join")
	case !t.spend(arg.Position, len(list.Items), 0):
		return unknownText(arg.Position, "Fn::Join")
	}
	parts := make([]source.Text, 0, 2*len(list.Items))
	for i, item := range list.Items {
		if i > 0 {
			parts = append(parts, separator)
		}
		parts = append(parts, t.asText(item, "Fn::Join"))
	}
	return text(arg.Position, withReferences(t.bounded(arg.Position, parts...)))
}

func (t *template) split(arg *source.Node, depth int) *source.Node {
	if arg.Kind != source.KindList || len(arg.Items) != 2 || arg.Items[0].Kind != source.KindString || arg.Items[0].Text.String() == "" {
		t.fail(arg.Position, "Fn::Split: expected a separator and a text")
		return unknown(arg.Position, "Fn::Split")
	}
	separator, whole := arg.Items[0].Text.String(), t.known(arg.Items[1], depth)
	if whole == nil || !t.spend(arg.Position, strings.Count(*whole, separator), len(*whole)) {
		return unknown(arg.Position, "Fn::Split")
	}
	out := &source.Node{Kind: source.KindList, Position: arg.Position}
	for s := range strings.SplitSeq(*whole, separator) {
		out.Items = append(out.Items, text(arg.Position, source.Literal(s)))
	}
	return out
}

func (t *template) base64(arg *source.Node, depth int) *source.Node {
	s := t.known(arg, depth)
	if s == nil {
		return unknownText(arg.Position, t.written("Fn::Base64", arg, depth))
	}
	return text(arg.Position, t.bounded(arg.Position, source.Literal(base64.StdEncoding.EncodeToString([]byte(*s)))))
}

// known is the text of a value that is wholly known, or nil.
func (t *template) known(n *source.Node, depth int) *string {
	v := t.resolve(n, depth)
	if v == nil || v.Kind != source.KindString && v.Kind != source.KindNumber && v.Kind != source.KindBool {
		return nil
	}
	if s, ok := v.Text.Known(); ok {
		return &s
	}
	return nil
}
