package terraform

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/stint-dev/stint/internal/source"
)

// named is what a reference such as var.org or aws_iam_role.deploy.name stands
// for.
func (m *module) named(t hcl.Traversal, r hcl.Range, s *scope) *source.Node {
	root := t.RootName()
	at := m.place(r)
	written := interpolated(m.written(r))
	if v, ok := s.get(root); ok {
		return m.walk(v, t[1:], r)
	}
	if len(t) < 2 {
		return unknown(at, written)
	}
	name, ok := t[1].(hcl.TraverseAttr)
	if !ok {
		return unknown(at, written)
	}
	switch root {
	case "var":
		return m.follow(m.variable(name.Name, interpolated("var."+name.Name), at), t[2:], r)
	case "local":
		e, ok := m.locals[name.Name]
		if !ok {
			return unknown(at, written)
		}
		v := m.once("local."+name.Name, func() *source.Node { return m.eval(e, nil, 0) }, interpolated("local."+name.Name), at)
		return m.follow(v, t[2:], r)
	case "module":
		return m.output(name.Name, t[2:], r)
	case "data":
		if len(t) < 3 {
			return unknown(at, written)
		}
		if label, ok := t[2].(hcl.TraverseAttr); ok {
			return m.attribute("data."+name.Name+"."+label.Name, t[3:], r)
		}
	case "each", "count", "self", "path", "terraform":
	default:
		return m.attribute(root+"."+name.Name, t[2:], r)
	}
	return unknown(at, written)
}

// follow is walk, where a value of which nothing is known stays what it is as
// long as nothing of it is asked for.
func (m *module) follow(v *source.Node, steps hcl.Traversal, r hcl.Range) *source.Node {
	if len(steps) == 0 {
		return v
	}
	return m.walk(v, steps, r)
}

// output is an output of a module that is called.
func (m *module) output(call string, steps hcl.Traversal, r hcl.Range) *source.Node {
	if _, ok := m.calls[call]; !ok {
		return m.unknown(r)
	}
	made, steps, all := pick(m.call(call), steps)
	if all { // of several instances, as an object or a list
		return m.unknown(r)
	}
	if made == nil || made.module == nil || len(steps) == 0 {
		return m.unknown(r)
	}
	name, ok := steps[0].(hcl.TraverseAttr)
	if !ok {
		return m.unknown(r)
	}
	e, ok := made.module.outputs[name.Name]
	if !ok {
		return m.unknown(r)
	}
	v := made.module.once("output."+name.Name, func() *source.Node { return made.module.eval(e, nil, 0) }, interpolated("module."+call+"."+name.Name), m.place(r))
	return m.follow(v, steps[1:], r)
}

// pick takes the instance that an index names. all says that several are meant.
func pick(made []instance, steps hcl.Traversal) (one *instance, rest hcl.Traversal, all bool) {
	if len(made) == 1 && made[0].index == "" {
		return &made[0], steps, false
	}
	if len(steps) == 0 {
		return nil, steps, true
	}
	i, ok := steps[0].(hcl.TraverseIndex)
	if !ok {
		return nil, steps, true
	}
	key := ""
	switch {
	case i.Key.Type() == cty.String && i.Key.IsKnown() && !i.Key.IsNull():
		key = i.Key.AsString()
	case i.Key.Type() == cty.Number && i.Key.IsKnown() && !i.Key.IsNull():
		key = i.Key.AsBigFloat().Text('f', -1)
	}
	for n := range made {
		if made[n].key != nil && made[n].key.Text.String() == key {
			return &made[n], steps[1:], false
		}
		if made[n].index == "[?]" {
			return &made[n], steps[1:], false
		}
	}
	return nil, steps[1:], false
}

// attribute is an attribute of a resource: an argument's value where it has
// that, and else what a provider computes.
func (m *module) attribute(address string, steps hcl.Traversal, r hcl.Range) *source.Node {
	b, ok := m.blocks[address]
	if !ok {
		return m.unknown(r)
	}
	made, rest, all := pick(m.instances(b), steps)
	if all || made == nil || len(rest) == 0 {
		if len(rest) == 0 && made != nil {
			v := m.body(b.Body, made.scope, 0)
			v.Open = true // with what the provider computes
			return v
		}
		return m.unknown(r)
	}
	name, ok := rest[0].(hcl.TraverseAttr)
	if !ok {
		return m.unknown(r)
	}
	if b.Type == "data" && b.Labels[0] == "aws_iam_policy_document" && (name.Name == "json" || name.Name == "minified_json") && len(rest) == 1 {
		key := m.prefix + address + made.index
		return m.once(key, func() *source.Node { return m.document(b, made.scope) }, interpolated(address+".json"), m.place(r))
	}
	if a, ok := b.Body.Attributes[name.Name]; ok {
		key := address + made.index + "." + name.Name
		v := m.once(key, func() *source.Node { return m.eval(a.Expr, made.scope, 0) }, interpolated(address+"."+name.Name), m.place(r))
		if v.Kind != source.KindUnknown || len(rest) > 1 {
			return m.follow(v, rest[1:], r)
		}
	}
	if m.hasBlock(b, name.Name) {
		if v := m.body(b.Body, made.scope, 0).Get(name.Name); v != nil {
			return m.follow(v, rest[1:], r)
		}
	}
	// aws_iam_role.id is the role's name.
	if b.Labels[0] == "aws_iam_role" && name.Name == "id" {
		if a, ok := b.Body.Attributes["name"]; ok {
			if v := m.eval(a.Expr, made.scope, 0); v.Known() {
				return v
			}
		}
	}
	at := m.place(r)
	part := source.Part{Unknown: interpolated(m.written(r)), Resource: m.prefix + address + made.index, Attribute: name.Name}
	return &source.Node{Position: at, Text: source.Text{Parts: []source.Part{part}, Position: at}}
}

func (m *module) hasBlock(b *hclsyntax.Block, kind string) bool {
	for _, inner := range b.Body.Blocks {
		if inner.Type == kind || inner.Type == "dynamic" && strings.Join(inner.Labels, "") == kind {
			return true
		}
	}
	return false
}
