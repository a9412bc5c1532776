package terraform

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/stint-dev/stint/internal/source"
)

// children are the instances that one module call makes.
type children struct {
	expanded bool
	value    *source.Node // a list or an object where the call has count or for_each
	made     []child
}

type child struct {
	key string // of the instance; empty for the only one
	m   *module
}

// calls makes the instances of a module call, once. Their inputs are evaluated
// when they are asked for: an input may stand on another output of the same
// call.
func (m *module) calls(b *block) *children {
	name := b.labels[0]
	if c := m.children[name]; c != nil {
		return c
	}
	out := &children{}
	m.children[name] = out
	folder, ok := m.e.local(m.folder, b)
	if !ok {
		return out
	}
	if m.depth >= maxNested {
		m.e.fail(m.e.position(b.at), "expected at most %d module calls within one another", maxNested)
		return out
	}
	out.expanded, out.value = m.e.expand(b, &scope{m: m}, "", func(key string, s *scope) *source.Node {
		if m.e.calls++; m.e.calls > maxModules {
			m.e.fail(m.e.position(b.at), "expected at most %d module calls in all", maxModules)
			return m.e.unknown(b.at)
		}
		prefix := m.prefix + "module." + name + key + "."
		memo := map[string]*source.Node{}
		busy := map[string]bool{}
		input := func(v string) *source.Node {
			a := b.body.attr(v)
			if a == nil {
				return nil
			}
			if memo[v] == nil && busy[v] {
				m.e.fail(m.e.position(a.at), "the input %s stands on itself", v)
				return m.e.unknown(a.at)
			}
			if memo[v] == nil {
				busy[v] = true
				memo[v] = m.e.eval(a.expr, s)
				delete(busy, v)
			}
			return memo[v]
		}
		out.made = append(out.made, child{key, m.e.module(folder, m.e.folders[folder], prefix, input, m.depth+1)})
		return m.e.unknown(b.at)
	})
	return out
}

// output is what module.name and the steps behind it stand for.
func (m *module) output(name string, steps hcl.Traversal, r hcl.Range) *source.Node {
	var call *block
	for _, b := range m.c.calls {
		if b.labels[0] == name {
			call = b
		}
	}
	if call == nil {
		return m.e.unknown(r)
	}
	c := m.calls(call)
	if !c.expanded {
		return m.e.unknown(r)
	}
	if c.value.Kind == source.KindUnknown { // the only instance
		if len(c.made) == 0 {
			return m.e.unknown(r)
		}
		if len(steps) == 0 {
			return c.made[0].m.outputs(r)
		}
		a, ok := steps[0].(hcl.TraverseAttr)
		if !ok {
			return m.e.unknown(r)
		}
		return m.e.follow(c.made[0].m.result(a.Name, r), steps[1:], r)
	}
	if len(steps) > 1 {
		at, indexed := steps[0].(hcl.TraverseIndex)
		a, named := steps[1].(hcl.TraverseAttr)
		if indexed && named {
			key := m.e.constant(at.Key, at.SrcRange)
			want, _ := key.Text.Known()
			if key.Kind == source.KindString {
				want = strconv.Quote(want)
			}
			for _, one := range c.made {
				if one.key == "["+want+"]" {
					return m.e.follow(one.m.result(a.Name, r), steps[2:], r)
				}
			}
			return m.e.unknown(r)
		}
	}
	// All instances together, as a for or a splat takes them.
	all := *c.value
	all.Items, all.Fields = nil, nil
	if len(c.made) != len(c.value.Items)+len(c.value.Fields) {
		return m.e.unknown(r)
	}
	for i, one := range c.made {
		if c.value.Kind == source.KindList {
			all.Items = append(all.Items, one.m.outputs(r))
		} else {
			all.Fields = append(all.Fields, source.NewField(c.value.Fields[i].Key, one.m.outputs(r)))
		}
	}
	return m.e.follow(&all, steps, r)
}

// result is an output of the module.
func (m *module) result(name string, r hcl.Range) *source.Node {
	a := m.c.outputs[name]
	if a == nil {
		return m.e.unknown(r)
	}
	return m.once("output."+name, r, func() *source.Node { return m.e.eval(a.expr, &scope{m: m}) })
}

func (m *module) outputs(r hcl.Range) *source.Node {
	out := &source.Node{Kind: source.KindMap, Position: m.e.position(r)}
	for _, name := range sortedNames(m.c.outputs) {
		out.Fields = append(out.Fields, source.NewField(source.Literal(name), m.result(name, r)))
	}
	return out
}

// skip notes a call of a module that is not there.
func (e *evaluator) skip(b *block, prefix string) {
	if len(e.unread) >= MaxResources {
		return // the problems say so
	}
	u := Unread{Address: prefix + "module." + b.labels[0], Position: e.position(b.at)}
	if a := b.body.attr("source"); a != nil {
		u.Source, _ = literal(a.expr)
		u.Local = strings.HasPrefix(u.Source, ".")
	}
	e.unread = append(e.unread, u)
}
