// Package source holds documents as their authors wrote them, as far as they
// are known before they are deployed: every value with its place in its file,
// and what only a deployment will tell (a parameter, a resource's attribute)
// as unknown, never as a guess.
//
// The readers of file formats make Nodes: ParseJSON here, CloudFormation and
// Terraform in packages of their own.
package source

import (
	"encoding/json"
)

// Kind is what a Node is. The zero Kind is a value that is not known.
type Kind int

// The kinds of nodes.
const (
	KindUnknown Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindList
	KindMap
)

func (k Kind) String() string {
	return [...]string{"an unknown value", "null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// Node is a value of a document. It is immutable once its reader returned it.
type Node struct {
	Kind     Kind
	Position Position
	// Span is where the value stands in the file of Position; the zero Span
	// where it stands nowhere as it is.
	Span Span
	// Text is the string, the number as written, or true or false.
	// Of an unknown value it is wholly unknown, and says what stands there.
	Text Text
	// Items are the values of a list.
	Items []*Node
	// Fields are the members of an object in the order of the file. No name
	// stands twice.
	Fields []Field
	// Open says of a list or an object that it may have further members that
	// are not known; Text says what stands there.
	Open bool
}

// Field is a member of an object.
type Field struct {
	// Name is the name; where it is not wholly known it has what stands for
	// the rest, as Key.String does.
	Name  string
	Key   Text // the name as far as it is known, with its place
	Value *Node
}

// NewField is a member of an object.
func NewField(key Text, value *Node) Field {
	return Field{Name: key.String(), Key: key, Value: value}
}

// Get is the member of this name, or nil. Use Has where a member that is not
// known matters.
func (n *Node) Get(name string) *Node {
	if n == nil {
		return nil
	}
	for _, f := range n.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// Has answers whether an object has a member of this name.
func (n *Node) Has(name string) Truth {
	switch {
	case n == nil:
		return No
	case n.Get(name) != nil:
		return Yes
	case n.Kind == KindUnknown || n.Open:
		return Unknown
	}
	return No
}

// Known reports whether the value and everything in it is known.
func (n *Node) Known() bool {
	if n == nil || n.Kind == KindUnknown || n.Open {
		return false
	}
	if _, ok := n.Text.Known(); !ok {
		return false
	}
	for _, i := range n.Items {
		if !i.Known() {
			return false
		}
	}
	for _, f := range n.Fields {
		if _, ok := f.Key.Known(); !ok || !f.Value.Known() {
			return false
		}
	}
	return true
}

// Unknowns are the things in the value that are not known, as their author
// wrote them, each once.
func (n *Node) Unknowns() []string {
	seen := map[string]bool{}
	var out []string
	add := func(t Text) {
		for _, u := range t.Unknowns() {
			if !seen[u] {
				seen[u] = true
				out = append(out, u)
			}
		}
	}
	var walk func(*Node)
	walk = func(n *Node) {
		if n == nil {
			return
		}
		add(n.Text)
		for _, i := range n.Items {
			walk(i)
		}
		for _, f := range n.Fields {
			add(f.Key)
			walk(f.Value)
		}
	}
	walk(n)
	return out
}

// List is the items of a list, or a value that is no list as the only one: IAM
// takes one for the other. It is nil for null and for no value at all.
func (n *Node) List() []*Node {
	switch {
	case n == nil || n.Kind == KindNull:
		return nil
	case n.Kind == KindList:
		return n.Items
	}
	return []*Node{n}
}

// JSON writes a value that is wholly known as JSON text; ok is false for
// another.
func (n *Node) JSON() (text []byte, ok bool) {
	if !n.Known() {
		return nil, false
	}
	return n.appendJSON(nil), true
}

// String is the value for a reader and for comparing: JSON, in which what is
// not known stands as its author wrote it.
func (n *Node) String() string {
	if n == nil {
		return ""
	}
	b := n.appendJSON(nil)
	if n.Open {
		b = append(b, " and more"...)
	}
	return string(b)
}

func (n *Node) appendJSON(b []byte) []byte {
	switch n.Kind {
	case KindNull:
		return append(b, "null"...)
	case KindUnknown, KindBool, KindNumber:
		return append(b, n.Text.String()...)
	case KindString:
		return appendQuoted(b, n.Text.String())
	case KindList:
		b = append(b, '[')
		for i, item := range n.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for i, f := range n.Fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendQuoted(b, f.Name), ':')
		b = f.Value.appendJSON(b)
	}
	return append(b, '}')
}

func appendQuoted(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return append(b, `""`...)
	}
	return append(b, quoted...)
}
