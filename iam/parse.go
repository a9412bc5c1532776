package iam

import (
	"fmt"
	"strings"
)

// ParsePolicy reads a policy document strictly and compiles it. Every error
// is a *SyntaxError. It refuses what AWS refuses when a policy is stored and
// that could change what the policy means: unknown elements and operators,
// doubled keys (condition keys compare in any case), values of a wrong type,
// both or neither of Action and NotAction, data after the policy, and more.
// Quotas and the existence of principals are not checked.
func ParsePolicy(document []byte) (*Policy, error) {
	root, err := readDocument(document)
	if err != nil {
		return nil, err
	}
	p, err := parsePolicy(root)
	if err != nil {
		return nil, err
	}
	p.compiled = make([]statement, len(p.Statements))
	variables := p.Version == VersionCurrent
	for i := range p.Statements {
		p.compiled[i] = compileStatement(i, &p.Statements[i], variables)
	}
	return p, nil
}

func parsePolicy(root node) (*Policy, *SyntaxError) {
	if root.kind != kindObject {
		return nil, fail(root.pos, "", "a policy is an object, not %s", root.kind)
	}
	p := &Policy{}
	found := false
	for _, m := range root.members {
		var err *SyntaxError
		switch m.name {
		case "Version":
			p.Version, err = text(m)
			if err == nil && p.Version != VersionCurrent && p.Version != VersionOld {
				err = fail(m.node.pos, "Version", "%q is neither %s nor %s", p.Version, VersionCurrent, VersionOld)
			}
		case "Id":
			p.ID, err = text(m)
		case "Statement":
			found = true
			p.Statements, err = parseStatements(m.node)
		default:
			err = fail(m.pos, m.name, "unknown element of a policy")
		}
		if err != nil {
			return nil, err
		}
	}
	if !found {
		return nil, fail(root.pos, "", "the policy has no Statement")
	}
	return p, nil
}

func text(m member) (string, *SyntaxError) {
	if m.node.kind != kindString {
		return "", fail(m.node.pos, m.name, "must be a string, not %s", m.node.kind)
	}
	return m.node.text, nil
}

func parseStatements(n node) ([]Statement, *SyntaxError) {
	switch n.kind {
	case kindObject:
		s, err := parseStatement(n, "Statement")
		return []Statement{s}, err
	case kindArray:
		if len(n.items) == 0 {
			return nil, fail(n.pos, "Statement", "the list is empty")
		}
		out := make([]Statement, 0, len(n.items))
		for i, item := range n.items {
			s, err := parseStatement(item, fmt.Sprintf("Statement[%d]", i))
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, fail(n.pos, "Statement", "must be a statement or a list of them, not %s", n.kind)
}

func parseStatement(n node, path string) (Statement, *SyntaxError) {
	s := Statement{Position: n.pos}
	if n.kind != kindObject {
		return s, fail(n.pos, path, "a statement is an object, not %s", n.kind)
	}
	effect := false
	for _, m := range n.members {
		var err *SyntaxError
		here := join(path, m.name)
		switch m.name {
		case "Sid":
			if m.node.kind != kindString {
				err = fail(m.node.pos, here, "must be a string, not %s", m.node.kind)
			}
			s.Sid = m.node.text
		case "Effect":
			effect = true
			switch {
			case m.node.kind == kindString && m.node.text == "Allow":
				s.Effect = EffectAllow
			case m.node.kind == kindString && m.node.text == "Deny":
				s.Effect = EffectDeny
			default:
				err = fail(m.node.pos, here, "must be \"Allow\" or \"Deny\"")
			}
		case "Principal":
			s.Principal, err = parsePrincipals(m.node, here)
		case "NotPrincipal":
			s.NotPrincipal, err = parsePrincipals(m.node, here)
		case "Action":
			s.Action, err = parseActions(m.node, here)
		case "NotAction":
			s.NotAction, err = parseActions(m.node, here)
		case "Resource":
			s.Resource, err = parseValues(m.node, here)
		case "NotResource":
			s.NotResource, err = parseValues(m.node, here)
		case "Condition":
			s.Conditions, err = parseConditions(m.node, here)
		default:
			err = fail(m.pos, here, "unknown element of a statement")
		}
		if err != nil {
			return s, err
		}
	}
	switch {
	case !effect:
		return s, fail(n.pos, path, "the statement has no Effect")
	case s.Action != nil && s.NotAction != nil:
		return s, fail(n.pos, path, "the statement has both Action and NotAction")
	case s.Action == nil && s.NotAction == nil:
		return s, fail(n.pos, path, "the statement has neither Action nor NotAction")
	case s.Principal != nil && s.NotPrincipal != nil:
		return s, fail(n.pos, path, "the statement has both Principal and NotPrincipal")
	case s.Resource != nil && s.NotResource != nil:
		return s, fail(n.pos, path, "the statement has both Resource and NotResource")
	}
	return s, nil
}

// parseValues reads a string or a list of strings, at least one.
func parseValues(n node, path string) (Values, *SyntaxError) {
	switch n.kind {
	case kindString:
		return Values{{Position: n.pos, Text: n.text}}, nil
	case kindArray:
		if len(n.items) == 0 {
			return nil, fail(n.pos, path, "the list is empty")
		}
		out := make(Values, 0, len(n.items))
		for i, item := range n.items {
			if item.kind != kindString {
				return nil, fail(item.pos, fmt.Sprintf("%s[%d]", path, i), "must be a string, not %s", item.kind)
			}
			out = append(out, Value{Position: item.pos, Text: item.text})
		}
		return out, nil
	}
	return nil, fail(n.pos, path, "must be a string or a list of strings, not %s", n.kind)
}

func parseActions(n node, path string) (Values, *SyntaxError) {
	vs, err := parseValues(n, path)
	if err != nil {
		return nil, err
	}
	for _, v := range vs {
		if v.Text != "*" && !strings.Contains(v.Text, ":") {
			return nil, fail(v.Position, path, "%q names no service, an action reads service:Name", v.Text)
		}
	}
	return vs, nil
}

func parsePrincipals(n node, path string) (*Principals, *SyntaxError) {
	p := &Principals{Position: n.pos}
	if n.kind == kindString {
		if n.text != "*" {
			return nil, fail(n.pos, path, "must be \"*\" or an object such as {\"Federated\": ...}")
		}
		p.Any = true
		return p, nil
	}
	if n.kind != kindObject {
		return nil, fail(n.pos, path, "must be \"*\" or an object, not %s", n.kind)
	}
	if len(n.members) == 0 {
		return nil, fail(n.pos, path, "names nobody")
	}
	for _, m := range n.members {
		here := join(path, m.name)
		vs, err := parseValues(m.node, here)
		if err != nil {
			return nil, err
		}
		switch m.name {
		case "AWS":
			p.AWS = vs
		case "Federated":
			p.Federated = vs
		case "Service":
			p.Service = vs
		case "CanonicalUser":
			p.CanonicalUser = vs
		default:
			return nil, fail(m.pos, here, "unknown kind of principal")
		}
	}
	return p, nil
}

func parseConditions(n node, path string) ([]Condition, *SyntaxError) {
	if n.kind != kindObject {
		return nil, fail(n.pos, path, "must be an object, not %s", n.kind)
	}
	out := []Condition{}
	for _, m := range n.members {
		here := join(path, m.name)
		shape := Condition{Operator: m.name, OperatorAt: m.pos}
		if !splitOperator(&shape) {
			return nil, fail(m.pos, here, "unknown condition operator")
		}
		if m.node.kind != kindObject {
			return nil, fail(m.node.pos, here, "must be an object of condition keys, not %s", m.node.kind)
		}
		seen := make(map[string]Position, len(m.node.members))
		for _, k := range m.node.members {
			keyPath := join(here, k.name)
			folded := foldKey(k.name)
			if first, doubled := seen[folded]; doubled {
				return nil, fail(k.pos, keyPath, "the key is doubled, it already stands at %s; condition keys compare in any case", first)
			}
			seen[folded] = k.pos
			c := shape
			c.Position, c.Key = k.pos, k.name
			var err *SyntaxError
			if c.Values, err = parseConditionValues(k.node, keyPath); err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// splitOperator fills in Qualifier, Test and IfExists from Operator.
func splitOperator(c *Condition) bool {
	name := c.Operator
	if before, after, ok := strings.Cut(name, ":"); ok {
		c.Qualifier, name = Qualifier(before), after
		if c.Qualifier != ForAllValues && c.Qualifier != ForAnyValue {
			return false
		}
	}
	c.Test, c.IfExists = strings.CutSuffix(name, "IfExists")
	op, known := operators[c.Test]
	// Whether a key exists is all that Null asks: IfExists has no meaning on
	// it, and a set of values none either.
	if op.kind == testNull && (c.IfExists || c.Qualifier != NoQualifier) {
		return false
	}
	return known
}

// parseConditionValues takes booleans and numbers as well, as AWS does.
func parseConditionValues(n node, path string) (Values, *SyntaxError) {
	items := []node{n}
	if n.kind == kindArray {
		items = n.items
	}
	out := make(Values, 0, len(items))
	for i, item := range items {
		switch item.kind {
		case kindString, kindBool, kindNumber:
			out = append(out, Value{Position: item.pos, Text: item.text})
		default:
			if n.kind == kindArray {
				path = fmt.Sprintf("%s[%d]", path, i)
			}
			return nil, fail(item.pos, path, "must be a string, a boolean or a number, not %s", item.kind)
		}
	}
	return out, nil
}
