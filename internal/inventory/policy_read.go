package inventory

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// policyReader takes a document apart. It keeps the first mistake and reads on.
type policyReader struct{ err error }

func (r *policyReader) wrong(at source.Position, format string, args ...any) {
	if r.err == nil {
		r.err = &source.Error{Position: at, Message: fmt.Sprintf(format, args...)}
	}
}

func (r *policyReader) policy(n *source.Node) *Policy {
	p := &Policy{Node: n}
	switch {
	case n == nil:
		return p
	case n.Kind == source.KindUnknown:
		p.Open = true
		return p
	case n.Kind != source.KindMap:
		r.wrong(n.Position, "expected a policy document, found %s", n.Kind)
		return p
	}
	p.Version = r.text(n.Get("Version"), "Version")
	statements := n.Get("Statement")
	p.Open = statements == nil && n.Open || statements != nil && (statements.Kind == source.KindUnknown || statements.Kind == source.KindList && statements.Open)
	for i, s := range statements.List() {
		if s.Kind == source.KindUnknown {
			p.Open = true
			continue
		}
		p.Statements = append(p.Statements, r.statement(i, s))
	}
	return p
}

func (r *policyReader) statement(index int, n *source.Node) Statement {
	s := Statement{Index: index, Node: n, Position: n.Position, Open: n.Open}
	if n.Kind != source.KindMap {
		r.wrong(n.Position, "Statement[%d]: expected an object, found %s", index, n.Kind)
		return s
	}
	path := fmt.Sprintf("Statement[%d].", index)
	s.Sid = r.text(n.Get("Sid"), path+"Sid")
	s.Effect = r.text(n.Get("Effect"), path+"Effect")
	if n.Get("Effect") == nil && n.Open {
		s.Effect = source.UnknownText(n.Text.String())
	}
	s.Principal = r.principals(n.Get("Principal"), path+"Principal")
	s.NotPrincipal = r.principals(n.Get("NotPrincipal"), path+"NotPrincipal")
	s.Action = r.values(n.Get("Action"), path+"Action")
	s.NotAction = r.values(n.Get("NotAction"), path+"NotAction")
	s.Resource = r.values(n.Get("Resource"), path+"Resource")
	s.NotResource = r.values(n.Get("NotResource"), path+"NotResource")
	s.Conditions, s.ConditionsOpen = r.conditions(n.Get("Condition"), path+"Condition")
	s.ConditionsOpen = s.ConditionsOpen || n.Get("Condition") == nil && n.Open
	return s
}

func (r *policyReader) text(n *source.Node, path string) source.Text {
	if n == nil {
		return source.Text{}
	}
	switch n.Kind {
	case source.KindString, source.KindUnknown, source.KindBool, source.KindNumber:
		return n.Text
	}
	r.wrong(n.Position, "%s: expected a string, found %s", path, n.Kind)
	return source.UnknownText(path).At(n.Position, source.Span{})
}

func (r *policyReader) values(n *source.Node, path string) Values {
	if n == nil {
		return Values{}
	}
	v := Values{Present: true, Position: n.Position, Open: n.Open || n.Kind == source.KindUnknown}
	if n.Kind == source.KindUnknown {
		return v
	}
	for _, item := range n.List() {
		if item.Kind == source.KindUnknown {
			// It may be a string or a list of them.
			v.Open = true
		}
		v.List = append(v.List, r.text(item, path))
	}
	return v
}

func (r *policyReader) principals(n *source.Node, path string) *Principals {
	if n == nil {
		return nil
	}
	p := &Principals{Position: n.Position, Any: source.No, Open: n.Open}
	switch n.Kind {
	case source.KindUnknown:
		p.Any, p.Open = source.Unknown, true
	case source.KindString:
		if p.Any = n.Text.Equals("*"); p.Any == source.No {
			r.wrong(n.Position, "%s: expected \"*\" or an object, found %s", path, n.Text)
		}
	case source.KindMap:
		p.AWS = r.values(n.Get("AWS"), path+".AWS")
		p.Federated = r.values(n.Get("Federated"), path+".Federated")
		p.Service = r.values(n.Get("Service"), path+".Service")
		p.CanonicalUser = r.values(n.Get("CanonicalUser"), path+".CanonicalUser")
	default:
		r.wrong(n.Position, "%s: expected \"*\" or an object, found %s", path, n.Kind)
	}
	return p
}

func (r *policyReader) conditions(n *source.Node, path string) (out []Condition, open bool) {
	if n == nil {
		return nil, false
	}
	if n.Kind == source.KindUnknown {
		return nil, true
	}
	if n.Kind != source.KindMap {
		r.wrong(n.Position, "%s: expected an object, found %s", path, n.Kind)
		return nil, false
	}
	open = n.Open
	for _, op := range n.Fields {
		if op.Value.Kind != source.KindMap {
			open = open || op.Value.Kind == source.KindUnknown
			if op.Value.Kind != source.KindUnknown {
				r.wrong(op.Value.Position, "%s.%s: expected an object, found %s", path, op.Name, op.Value.Kind)
			}
			continue
		}
		open = open || op.Value.Open
		for _, key := range op.Value.Fields {
			c := Condition{
				Operator: op.Key,
				Key:      key.Key,
				Position: key.Key.Position,
				Values:   r.values(key.Value, path+"."+op.Name+"."+key.Name),
			}
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
