package cloudformation

import (
	"github.com/stint-dev/stint/internal/source"
)

// condition decides a condition of the template by its name.
func (t *template) condition(name string, depth int) source.Truth {
	if decided, ok := t.decided[name]; ok {
		return decided
	}
	n, ok := t.conditions[name]
	if !ok || t.deciding[name] {
		return source.Unknown
	}
	t.deciding[name] = true
	t.decided[name] = t.truth(n, depth+1)
	delete(t.deciding, name)
	return t.decided[name]
}

// truth decides the expression of a condition.
func (t *template) truth(n *source.Node, depth int) source.Truth {
	if t.steps++; n == nil || depth > maxDepth || t.steps > maxSteps || len(n.Fields) != 1 {
		return source.Unknown
	}
	f := n.Fields[0]
	args := f.Value.List()
	switch f.Name {
	case "Condition":
		return t.condition(f.Value.Text.String(), depth)
	case "Fn::Not":
		if len(args) == 1 {
			return t.truth(args[0], depth+1).Not()
		}
	case "Fn::And", "Fn::Or":
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
	t.fail(n.Position, "%.60s: expected a condition", f.Name)
	return source.Unknown
}
