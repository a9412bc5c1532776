package inventory

import (
	"strconv"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// readPolicy takes a document apart. It checks nothing: package iam does.
func readPolicy(n *source.Node) *Policy {
	p := &Policy{Node: n}
	switch {
	case n == nil:
		return p
	case n.Kind == source.KindUnknown:
		p.Open = true
		return p
	}
	p.Version = textOf(n.Get("Version"))
	statements := n.Get("Statement")
	p.Open = statements == nil && n.Open || statements != nil && (statements.Kind == source.KindUnknown || statements.Kind == source.KindList && statements.Open)
	list := statements.List()
	p.Statements = make([]Statement, 0, len(list))
	for i, s := range list {
		if s.Kind == source.KindUnknown {
			p.Open = true
			continue
		}
		p.Statements = append(p.Statements, readStatement(i, s))
	}
	return p
}

func readStatement(index int, n *source.Node) Statement {
	s := Statement{Index: index, Node: n, Position: n.Position, Open: n.Open}
	s.Sid = textOf(n.Get("Sid"))
	s.Effect = textOf(n.Get("Effect"))
	if n.Get("Effect") == nil && n.Open {
		s.Effect = source.UnknownText(n.Text.String())
	}
	s.Principal = readPrincipals(n.Get("Principal"))
	s.NotPrincipal = readPrincipals(n.Get("NotPrincipal"))
	s.Action = readValues(n.Get("Action"))
	s.NotAction = readValues(n.Get("NotAction"))
	s.Resource = readValues(n.Get("Resource"))
	s.NotResource = readValues(n.Get("NotResource"))
	s.Conditions, s.ConditionsOpen = readConditions(n.Get("Condition"))
	s.ConditionsOpen = s.ConditionsOpen || n.Get("Condition") == nil && n.Open
	return s
}

// textOf is a value that is no list, no object and no null.
func textOf(n *source.Node) source.Text {
	if n == nil {
		return source.Text{}
	}
	switch n.Kind {
	case source.KindString, source.KindUnknown, source.KindBool, source.KindNumber:
		return n.Text
	}
	return source.UnknownText(n.Kind.String()).At(n.Position, source.Span{})
}

func readValues(n *source.Node) Values {
	if n == nil {
		return Values{}
	}
	v := Values{Present: true, Position: n.Position, Open: n.Open}
	for _, item := range n.List() {
		if item.Kind == source.KindUnknown {
			// It may be a string or a list of them.
			v.Open = true
		}
		v.List = append(v.List, textOf(item))
	}
	return v
}

func readPrincipals(n *source.Node) *Principals {
	if n == nil {
		return nil
	}
	p := &Principals{Position: n.Position, Any: source.No, Open: n.Open}
	switch n.Kind {
	case source.KindUnknown:
		p.Any, p.Open = source.Unknown, true
	case source.KindString:
		p.Any = n.Text.Equals("*")
	case source.KindMap:
		p.AWS = readValues(n.Get("AWS"))
		p.Federated = readValues(n.Get("Federated"))
		p.Service = readValues(n.Get("Service"))
		p.CanonicalUser = readValues(n.Get("CanonicalUser"))
	}
	return p
}

func readConditions(n *source.Node) (out []Condition, open bool) {
	if n == nil {
		return nil, false
	}
	open = n.Open || n.Kind == source.KindUnknown
	for _, op := range n.Fields {
		open = open || op.Value.Kind == source.KindUnknown || op.Value.Open
		for _, key := range op.Value.Fields {
			c := Condition{Operator: op.Key, Key: key.Key, Position: key.Key.Position, Values: readValues(key.Value)}
			c.split()
			out = append(out, c)
		}
	}
	return out, open
}

// split takes an operator apart.
func (c *Condition) split() {
	operator, known := c.Operator.Known()
	if !known {
		return
	}
	c.Test = operator
	if q, rest, ok := strings.Cut(operator, ":"); ok {
		c.Qualifier, c.Test = q, rest
	}
	if test, ok := strings.CutSuffix(c.Test, "IfExists"); ok {
		c.Test, c.IfExists = test, true
	}
}

// locate finds the place of a path such as Statement[0].Condition.StringLike.
// The names of condition keys hold dots, so the longest member that fits is
// taken at each step.
func locate(n *source.Node, path string) (source.Position, bool) {
	at, ok := n.Position, path != ""
	for path != "" && n != nil {
		if path[0] == '[' {
			end := strings.IndexByte(path, ']')
			i, err := strconv.Atoi(path[1:max(end, 1)])
			items := n.List()
			if end < 0 || err != nil || i < 0 || i >= len(items) {
				return at, ok
			}
			n, path = items[i], strings.TrimPrefix(path[end+1:], ".")
			at = n.Position
			continue
		}
		var found *source.Field
		for i, f := range n.Fields {
			if rest, is := strings.CutPrefix(path, f.Name); is && (rest == "" || rest[0] == '.' || rest[0] == '[') && (found == nil || len(f.Name) > len(found.Name)) {
				found = &n.Fields[i]
			}
		}
		if found == nil {
			return at, ok
		}
		n, at, path = found.Value, found.Key.Position, strings.TrimPrefix(path[len(found.Name):], ".")
	}
	return at, ok
}
