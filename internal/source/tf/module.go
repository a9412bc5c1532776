package terraform

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

// module is a folder with the values that it is called with.
type module struct {
	*program
	*folder
	dir    string
	prefix string                  // of addresses, such as module.ci.
	inputs map[string]*source.Node // nil: a root, whose variables have their defaults
	within []string                // folders that call it

	memo       map[string]*source.Node // of locals, variables, documents
	evaluating map[string]bool
	children   map[string][]instance // of module calls
	made       map[*hclsyntax.Block][]instance
}

// instance is one of what count or for_each make.
type instance struct {
	index  string // [0] or ["a"]; empty for the only one
	key    *source.Node
	scope  *scope
	module *module // of a module call
}

func (p *program) module(dir, prefix string, inputs map[string]*source.Node, within []string) *module {
	return &module{program: p, folder: p.folders[dir], dir: dir, prefix: prefix, inputs: inputs, within: within,
		memo: map[string]*source.Node{}, evaluating: map[string]bool{}, children: map[string][]instance{}, made: map[*hclsyntax.Block][]instance{}}
}

// resources are what the module makes, and the modules that it calls.
func (m *module) resources() []source.Resource {
	var out []source.Resource
	for _, address := range m.order {
		b := m.blocks[address]
		for _, i := range m.instances(b) {
			values := m.body(b.Body, i.scope, 0)
			if b.Type == "data" && b.Labels[0] == "aws_iam_policy_document" {
				values.Fields = append(values.Fields, field("json", values.Position, m.document(b, i.scope)))
			}
			out = append(out, source.Resource{Address: m.prefix + address + i.index, Type: b.Labels[0], Position: m.place(b.DefRange()), Values: values})
		}
	}
	names := make([]string, 0, len(m.calls))
	for name := range m.calls {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, i := range m.call(name) {
			if i.module != nil {
				out = append(out, i.module.resources()...)
			}
		}
	}
	return out
}

// call is a module block's instances; their module is nil where its folder is
// not one of ours.
func (m *module) call(name string) []instance {
	if made, ok := m.children[name]; ok {
		return made
	}
	m.children[name] = nil // while it is made: a cycle finds nothing
	b := m.calls[name]
	dir, local := m.child(m.dir, b)
	all := m.instances(b)
	for i := range all {
		if !local {
			continue
		}
		if m.called++; m.called > maxModules || len(m.within) >= maxNesting || slices.Contains(m.within, dir) || dir == m.dir {
			m.fail(m.place(b.DefRange()), "the module %s calls itself, or modules stand too deep or too often within one another", name)
			break
		}
		inputs := map[string]*source.Node{}
		for key, a := range b.Body.Attributes {
			inputs[key] = m.eval(a.Expr, all[i].scope, 0)
		}
		all[i].module = m.program.module(dir, m.prefix+"module."+name+all[i].index+".", inputs, append(slices.Clip(m.within), m.dir))
	}
	m.children[name] = all
	return all
}

// instances are what count and for_each make of a block.
func (m *module) instances(b *hclsyntax.Block) []instance {
	made, known := m.made[b]
	if !known {
		m.made[b] = []instance{{index: "[?]"}} // what needs itself is not known
		made = m.expand(b)
		m.made[b] = made
	}
	return made
}

func (m *module) expand(b *hclsyntax.Block) []instance {
	if a, ok := b.Body.Attributes["count"]; ok {
		n := m.eval(a.Expr, nil, 0)
		if count, ok := integer(n); ok {
			if count > maxInstances {
				m.fail(m.place(a.SrcRange), "expected at most %d, found %d", maxInstances, count)
				count = maxInstances
			}
			var out []instance
			for i := range count {
				key := number(n.Position, strconv.Itoa(i))
				out = append(out, instance{index: fmt.Sprintf("[%d]", i), key: key, scope: (*scope)(nil).with("count", object(n.Position, "index", key))})
			}
			return out
		}
		return []instance{{index: "[?]", scope: (*scope)(nil).with("count", object(n.Position, "index", unknown(n.Position, "count.index")))}}
	}
	if a, ok := b.Body.Attributes["for_each"]; ok {
		each := m.eval(a.Expr, nil, 0)
		keys, values, ok := m.elements(each, true)
		if !ok {
			at := m.place(a.SrcRange)
			return []instance{{index: "[?]", scope: (*scope)(nil).with("each", object(at, "key", unknown(at, "each.key"), "value", unknown(at, "each.value")))}}
		}
		if len(keys) > maxInstances {
			m.fail(m.place(a.SrcRange), "expected at most %d, found %d", maxInstances, len(keys))
			keys = keys[:maxInstances]
		}
		var out []instance
		for i, key := range keys {
			s := (*scope)(nil).with("each", object(key.Position, "key", key, "value", values[i]))
			out = append(out, instance{index: "[" + strconv.Quote(key.Text.String()) + "]", key: key, scope: s})
		}
		return out
	}
	return []instance{{}}
}

// body is a block's arguments and the blocks in it, as an object. Blocks of a
// type are a list.
func (m *module) body(body *hclsyntax.Body, s *scope, depth int) *source.Node {
	out := &source.Node{Kind: source.KindMap, Position: m.place(body.Range())}
	if depth > maxDepth {
		out.Open = true
		return out
	}
	names := make([]string, 0, len(body.Attributes))
	for name := range body.Attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		a := body.Attributes[name]
		out.Fields = append(out.Fields, field(name, m.place(a.NameRange), m.eval(a.Expr, s, depth+1)))
	}
	add := func(kind string, value *source.Node) {
		for i := range out.Fields {
			if out.Fields[i].Name == kind && out.Fields[i].Value.Kind == source.KindList {
				list := *out.Fields[i].Value
				list.Items = append(slices.Clip(list.Items), value)
				out.Fields[i].Value = &list
				return
			}
		}
		out.Fields = append(out.Fields, field(kind, value.Position, &source.Node{Kind: source.KindList, Position: value.Position, Items: []*source.Node{value}}))
	}
	for _, b := range m.blocksIn(body, s, depth) {
		if b.block == nil {
			out.Open = true
			out.Text = source.UnknownText("dynamic " + b.kind)
			add(b.kind, unknown(b.at, "dynamic "+b.kind))
			continue
		}
		add(b.kind, m.body(b.block, b.scope, depth+1))
	}
	return out
}

// nestedBlock is a block in a body. Of a dynamic block of which it is not known
// what it makes, there is none.
type nestedBlock struct {
	kind  string
	block *hclsyntax.Body
	scope *scope
	at    source.Position
}

// blocksIn are the blocks of a body, with dynamic ones expanded.
func (m *module) blocksIn(body *hclsyntax.Body, s *scope, depth int) []nestedBlock {
	var out []nestedBlock
	for _, b := range body.Blocks {
		at := m.place(b.DefRange())
		if b.Type != "dynamic" || len(b.Labels) != 1 {
			out = append(out, nestedBlock{b.Type, b.Body, s, at})
			continue
		}
		kind := b.Labels[0]
		each, ok := b.Body.Attributes["for_each"]
		var content *hclsyntax.Body
		for _, c := range b.Body.Blocks {
			if c.Type == "content" {
				content = c.Body
			}
		}
		if !ok || content == nil {
			m.fail(at, "dynamic %s: expected for_each and content", kind)
			continue
		}
		iterator := kind
		if a, ok := b.Body.Attributes["iterator"]; ok {
			if t, ok := a.Expr.(*hclsyntax.ScopeTraversalExpr); ok {
				iterator = t.Traversal.RootName()
			}
		}
		keys, values, known := m.elements(m.eval(each.Expr, s, depth+1), false)
		if !known || len(keys) > maxItems {
			out = append(out, nestedBlock{kind: kind, at: at})
			continue
		}
		for i := range keys {
			out = append(out, nestedBlock{kind, content, s.with(iterator, object(at, "key", keys[i], "value", values[i])), at})
		}
	}
	return out
}

// elements are the keys and values of a collection. The keys of a list are its
// numbers, or with set its values. ok is false where not all are known.
func (m *module) elements(n *source.Node, set bool) (keys, values []*source.Node, ok bool) {
	if n.Open {
		return nil, nil, false
	}
	switch n.Kind {
	case source.KindMap:
		for _, f := range n.Fields {
			if _, known := f.Key.Known(); !known {
				return nil, nil, false
			}
			keys = append(keys, text(f.Key.Position, f.Key))
			values = append(values, f.Value)
		}
		return keys, values, true
	case source.KindList:
		for i, item := range n.Items {
			key := number(item.Position, strconv.Itoa(i))
			if set {
				if _, known := item.Text.Known(); !known || item.Kind != source.KindString && item.Kind != source.KindNumber {
					return nil, nil, false
				}
				key = item
			}
			keys = append(keys, key)
			values = append(values, item)
		}
		return keys, values, true
	}
	return nil, nil, false
}

// variable is a variable's value.
func (m *module) variable(name string, written string, at source.Position) *source.Node {
	if v, ok := m.inputs[name]; ok {
		return v
	}
	b, declared := m.variables[name]
	if m.inputs == nil {
		if e, ok := m.values[name]; ok {
			return m.once("var."+name, func() *source.Node { return m.eval(e, nil, 0) }, written, at)
		}
	}
	if declared {
		if a, ok := b.Body.Attributes["default"]; ok {
			return m.once("var."+name, func() *source.Node { return m.eval(a.Expr, nil, 0) }, written, at)
		}
	}
	return unknown(at, written)
}

// once evaluates what is the same wherever it is named. What needs itself is
// not known.
func (m *module) once(key string, eval func() *source.Node, written string, at source.Position) *source.Node {
	if v, ok := m.memo[key]; ok {
		return v
	}
	if m.evaluating[key] {
		m.fail(at, "%s needs its own value", strings.TrimSuffix(strings.TrimPrefix(written, "${"), "}"))
		return unknown(at, written)
	}
	m.evaluating[key] = true
	v := eval()
	delete(m.evaluating, key)
	m.memo[key] = v
	return v
}
