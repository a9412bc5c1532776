package cloudformation

import (
	"strconv"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/source"
)

// choose is an item of a list (Fn::Select).
func (t *template) choose(arg *source.Node, depth int) *source.Node {
	if arg.Kind != source.KindList || len(arg.Items) != 2 {
		t.fail(arg.Position, "Fn::Select: expected a number and a list")
		return unknown(arg.Position, "Fn::Select")
	}
	index, list := t.known(arg.Items[0], depth), t.resolve(arg.Items[1], depth)
	if index == nil || list == nil || list.Kind == source.KindUnknown || list.Open {
		return unknown(arg.Position, "Fn::Select")
	}
	i, err := strconv.ParseUint(*index, 10, 31)
	if list.Kind != source.KindList || err != nil || int(i) >= len(list.Items) {
		t.fail(arg.Position, "Fn::Select: expected a number below %d and a list, found %.40q", len(list.Items), *index)
		return unknown(arg.Position, "Fn::Select")
	}
	return list.Items[i]
}

// length is how many items a list has (Fn::Length).
func (t *template) length(arg *source.Node, depth int) *source.Node {
	list := t.resolve(arg, depth)
	if list == nil || list.Kind != source.KindList || list.Open {
		return unknown(arg.Position, "Fn::Length")
	}
	n := text(arg.Position, source.Literal(strconv.Itoa(len(list.Items))))
	n.Kind = source.KindNumber
	return n
}

func (t *template) findInMap(arg *source.Node, depth int) *source.Node {
	const what = "Fn::FindInMap"
	if arg.Kind != source.KindList || len(arg.Items) < 3 || len(arg.Items) > 4 {
		t.fail(arg.Position, "Fn::FindInMap: expected the names of a map and of two keys")
		return unknown(arg.Position, what)
	}
	var otherwise *source.Node
	if len(arg.Items) == 4 {
		if otherwise = arg.Items[3].Get("DefaultValue"); otherwise == nil {
			t.fail(arg.Items[3].Position, "Fn::FindInMap: expected an object with a DefaultValue")
			return unknown(arg.Position, what)
		}
	}
	at := t.mappings
	for _, key := range arg.Items[:3] {
		name := t.known(key, depth)
		if name == nil || at.Get("Fn::Transform") != nil { // which may add anything
			return unknown(arg.Position, what)
		}
		next := at.Get(*name)
		switch {
		case next != nil:
		case otherwise != nil:
			return t.resolve(otherwise, depth)
		default:
			if !t.macros {
				t.fail(key.Position, "Fn::FindInMap: there is no %.100q in the mappings", *name)
			}
			return unknown(arg.Position, what)
		}
		at = next
	}
	return t.resolve(at, depth)
}

// branch is what Fn::If answers.
func (t *template) branch(arg *source.Node, depth int) *source.Node {
	if arg.Kind != source.KindList || len(arg.Items) != 3 || arg.Items[0].Kind != source.KindString {
		t.fail(arg.Position, "Fn::If: expected the name of a condition and two values")
		return unknown(arg.Position, "Fn::If")
	}
	name := arg.Items[0].Text.String()
	switch t.condition(arg.Items[0], name, depth) {
	case source.Yes:
		return t.resolve(arg.Items[1], depth)
	case source.No:
		return t.resolve(arg.Items[2], depth)
	}
	yes, no := t.resolve(arg.Items[1], depth), t.resolve(arg.Items[2], depth)
	written := "!If " + name
	switch {
	case yes == nil && no == nil:
		return nil
	case yes == nil || no == nil:
	case t.same(yes, no):
		return yes
	case yes.Kind == source.KindString && no.Kind == source.KindString:
		return text(arg.Position, t.common(arg.Position, yes.Text, no.Text, written))
	}
	return unknown(arg.Position, written)
}

// same reports whether two values are known and the same.
func (t *template) same(a, b *source.Node) bool {
	if !t.spend(a.Position, 1, 0) || a.Kind != b.Kind || a.Kind == source.KindUnknown || a.Open || b.Open ||
		len(a.Items) != len(b.Items) || len(a.Fields) != len(b.Fields) {
		return false
	}
	x, ok := a.Text.Known()
	if y, known := b.Text.Known(); !ok || !known || !t.spend(a.Position, 0, len(x)) || x != y {
		return false
	}
	for i := range a.Items {
		if !t.same(a.Items[i], b.Items[i]) {
			return false
		}
	}
	for i := range a.Fields {
		if a.Fields[i].Name != b.Fields[i].Name || !t.same(a.Fields[i].Value, b.Fields[i].Value) {
			return false
		}
	}
	return true
}

// common is what two texts begin and end with, and something between that is
// not known.
func (t *template) common(at source.Position, a, b source.Text, written string) source.Text {
	p, q := a.Prefix(), b.Prefix()
	n := 0
	for n < len(p) && n < len(q) && p[n] == q[n] {
		n++
	}
	for n > 0 && n < len(p) && !utf8.RuneStart(p[n]) {
		n--
	}
	begin := p[:n]
	p, q = a.Suffix(), b.Suffix()
	// What is a text's beginning is not its end too.
	if s, ok := a.Known(); ok {
		p = s[n:]
	}
	if s, ok := b.Known(); ok {
		q = s[n:]
	}
	m := 0
	for m < len(p) && m < len(q) && p[len(p)-1-m] == q[len(q)-1-m] {
		m++
	}
	for m > 0 && !utf8.RuneStart(p[len(p)-m]) {
		m--
	}
	return t.bounded(at, source.Literal(begin), source.UnknownText(written), source.Literal(p[len(p)-m:]))
}
