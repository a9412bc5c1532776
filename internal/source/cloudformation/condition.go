package cloudformation

import (
	"github.com/stint-dev/stint/internal/source"
)

// condition decides a condition of the template by its name, which stands at a
// place.
func (t *template) condition(at *source.Node, name string, depth int) source.Truth {
	if decided, ok := t.decided[name]; ok {
		return decided
	}
	n, ok := t.conditions[name]
	switch {
	case !ok:
		if !t.macros {
			t.fail(at.Position, "there is no condition %.100q", name)
		}
		return source.Unknown
	case t.deciding[name]:
		t.fail(n.Position, "the condition %.100q stands on itself", name)
		return source.Unknown
	}
	t.deciding[name] = true
	t.decided[name] = t.truth(n, depth+1)
	delete(t.deciding, name)
	return t.decided[name]
}

// truth decides the expression of a condition.
func (t *template) truth(n *source.Node, depth int) source.Truth {
	if depth > maxDepth || !t.spend(n.Position, 1, 0) {
		return source.Unknown
	}
	if n.Kind == source.KindUnknown { // a function that is not known here
		return source.Unknown
	}
	if n.Kind != source.KindMap || len(n.Fields) != 1 {
		t.fail(n.Position, "expected a condition, found %s", n.Kind)
		return source.Unknown
	}
	f := n.Fields[0]
	args := f.Value.List()
	switch f.Name {
	case "Condition":
		return t.condition(f.Value, f.Value.Text.String(), depth)
	case "Fn::Not":
		if len(args) == 1 {
			return t.truth(args[0], depth+1).Not()
		}
	case "Fn::And", "Fn::Or":
		if len(args) == 0 {
			break
		}
		all := source.Truthful(f.Name == "Fn::And")
		for _, a := range args {
			if f.Name == "Fn::And" {
				all = all.And(t.truth(a, depth+1))
			} else {
				all = all.Or(t.truth(a, depth+1))
			}
		}
		return all
	case "Fn::Equals":
		if len(args) != 2 {
			break
		}
		a, b := t.known(args[0], depth), t.known(args[1], depth)
		if a != nil && b != nil {
			return source.Truthful(*a == *b)
		}
		return source.Unknown
	}
	t.fail(n.Position, "expected a condition, found %.60q with %d values", f.Name, len(args))
	return source.Unknown
}
