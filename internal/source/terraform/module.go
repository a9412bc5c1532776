package terraform

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

// module is a folder as one call of it sees it.
type module struct {
	e      *evaluator
	c      *config
	folder string
	prefix string // of addresses
	depth  int
	// input is a variable's value as the caller gives it; nil for a root.
	input    func(name string) *source.Node
	memo     map[string]*source.Node
	busy     map[string]bool
	made     map[string][]source.Resource
	blocks   map[string]*block
	children map[string]*children
}

func (e *evaluator) module(folder string, c *config, prefix string, input func(string) *source.Node, depth int) *module {
	m := &module{
		e: e, c: c, folder: folder, prefix: prefix, depth: depth, input: input,
		memo: map[string]*source.Node{}, busy: map[string]bool{}, made: map[string][]source.Resource{},
		blocks: map[string]*block{}, children: map[string]*children{},
	}
	for _, b := range c.resources {
		m.blocks[resourceKey(b)] = b
	}
	return m
}

func resourceKey(b *block) string {
	key := b.labels[0] + "." + b.labels[1]
	if b.kind == "data" {
		key = "data." + key
	}
	return key
}

// all takes every resource of the module and of those that it calls.
func (m *module) all() {
	for _, b := range m.c.resources {
		key := resourceKey(b)
		if m.blocks[key] != b {
			m.e.fail(m.e.position(b.at), "%s is declared twice", key)
			continue
		}
		m.resource(key)
		for _, r := range m.made[key] {
			if len(m.e.resources) >= MaxResources {
				m.e.report(&source.Error{Message: "expected at most " + strconv.Itoa(MaxResources) + " resources; the others are not read"})
				return
			}
			m.e.resources = append(m.e.resources, r)
		}
	}
	for _, b := range m.c.calls {
		if _, ok := m.e.local(m.folder, b); !ok {
			m.e.skip(b, m.prefix)
		}
		for _, child := range m.calls(b).made {
			child.m.all()
		}
	}
}

// once evaluates what has a name, and reports what stands on itself.
func (m *module) once(key string, r hcl.Range, f func() *source.Node) *source.Node {
	if n := m.memo[key]; n != nil {
		return n
	}
	if m.busy[key] {
		m.e.fail(m.e.position(r), "%s stands on itself", key)
		return m.e.unknown(r)
	}
	m.busy[key] = true
	n := f()
	delete(m.busy, key)
	m.memo[key] = n
	return n
}

// traversal looks up a name: var.x, local.x, a resource, or what a for has.
func (e *evaluator) traversal(x *hclsyntax.ScopeTraversalExpr, s *scope) *source.Node {
	r, steps := x.SrcRange, x.Traversal
	root := steps.RootName()
	if n := s.lookup(root); n != nil {
		return e.follow(n, steps[1:], r)
	}
	names := []string{root}
	for _, step := range steps[1:] {
		a, ok := step.(hcl.TraverseAttr)
		if !ok || len(names) == 3 {
			break
		}
		names = append(names, a.Name)
	}
	m := s.m
	if m == nil || len(names) < 2 {
		return e.unknown(r)
	}
	switch root {
	case "var":
		return e.named(m.variable(names[1], r), steps[2:], r)
	case "local":
		a := m.c.locals[names[1]]
		if a == nil {
			return e.unknown(r)
		}
		n := m.once("local."+names[1], r, func() *source.Node { return e.eval(a.expr, &scope{m: m}) })
		return e.follow(n, steps[2:], r)
	case "module":
		return m.output(names[1], steps[2:], r)
	case "path", "terraform", "self", "each", "count":
		return e.unknown(r)
	}
	used := 2
	if root == "data" {
		used = 3
	}
	if len(names) < used {
		return e.unknown(r)
	}
	key := strings.Join(names[:used], ".")
	if m.blocks[key] == nil {
		return e.unknown(r)
	}
	n := m.once(key, r, func() *source.Node { return m.instances(key) })
	return e.follow(n, steps[used:], r)
}

// named follows steps; of a variable that is not known, the whole expression is
// what its author wrote.
func (e *evaluator) named(n *source.Node, steps hcl.Traversal, r hcl.Range) *source.Node {
	if n == nil {
		return e.unknown(r)
	}
	return e.follow(n, steps, r)
}

// variable is the value of a variable, nil if it is not known.
func (m *module) variable(name string, r hcl.Range) *source.Node {
	b := m.c.variables[name]
	if b == nil {
		return nil
	}
	if a := b.body.attr("sensitive"); a != nil && truth(m.e.eval(a.expr, &scope{})) != source.No {
		return nil
	}
	n := m.once("var."+name, r, func() *source.Node {
		var n *source.Node
		if m.input != nil {
			n = m.input(name)
		} else if a := m.c.values[name]; a != nil {
			n = m.e.eval(a.expr, &scope{})
		}
		if a := b.body.attr("default"); n == nil && a != nil {
			n = m.e.eval(a.expr, &scope{})
		}
		if n == nil {
			return &source.Node{}
		}
		if a := b.body.attr("type"); a != nil {
			n = m.e.typed(n, a.expr, 0)
		}
		return n
	})
	if n.Kind == source.KindUnknown && len(n.Text.Parts) == 0 {
		return nil
	}
	return n
}

// resource evaluates a resource and all its instances.
func (m *module) resource(key string) {
	m.once(key, m.blocks[key].at, func() *source.Node { return m.instances(key) })
}

func (m *module) instances(key string) *source.Node {
	b := m.blocks[key]
	address := m.prefix + key
	made, n := m.e.expand(b, &scope{m: m}, address, func(address string, s *scope) *source.Node {
		values := m.e.contents(b.body, s, m.e.position(b.at), meta)
		if key := b.labels[0]; b.kind == "data" && key == "aws_iam_policy_document" {
			values = m.e.policyDocument(values)
		}
		// Instances share their parts, and readers walk them one by one.
		if w := m.e.weigh(values); m.e.emitted+w.bytes > maxTotal || w.bytes > maxValue {
			m.e.fail(m.e.position(b.at), "the resources are too large together; the values of this one are unknown")
			values = open(&source.Node{Kind: source.KindMap, Position: values.Position}, source.Text{})
		} else {
			m.e.emitted += w.bytes
		}
		m.made[key] = append(m.made[key], source.Resource{Address: address, Type: b.labels[0], Position: m.e.position(b.at), Values: values})
		// What its arguments do not say, the resource has all the same.
		ref := *values
		ref.Open = true
		if b.labels[0] == "aws_iam_openid_connect_provider" {
			providerAttributes(&ref, b.kind == "data")
		}
		ref.Text = source.Text{Parts: []source.Part{{Unknown: "${" + address + "}", Resource: address}}}
		return &ref
	})
	if !made && n.Kind == source.KindUnknown {
		n.Text = source.Text{Parts: []source.Part{{Unknown: "${" + address + "}", Resource: address}}, Position: n.Position}
	}
	return n
}

// meta are the arguments and blocks that Terraform itself takes.
var meta = map[string]bool{"count": true, "for_each": true, "provider": true, "depends_on": true, "lifecycle": true, "provisioner": true, "connection": true, "providers": true}

// expand makes the instances of a block. Where count or for_each is not known
// it makes one that stands for all, and expanded is false.
func (e *evaluator) expand(b *block, s *scope, address string, one func(string, *scope) *source.Node) (expanded bool, n *source.Node) {
	at := e.position(b.at)
	if a := b.body.attr("count"); a != nil {
		count := e.eval(a.expr, s)
		i, ok := whole(count)
		if ok && i > MaxInstances {
			e.fail(e.position(a.at), "expected at most %d instances, found %d; they are read as one", MaxInstances, i)
			ok = false
		}
		if !ok {
			index := e.unknownText(at, "${count.index}")
			one(address, s.with(map[string]*source.Node{"count": fields(at, "index", index)}))
			return false, e.unknown(b.at)
		}
		out := list(at, nil)
		for k := range i {
			out.Items = append(out.Items, one(address+"["+strconv.Itoa(k)+"]", s.with(map[string]*source.Node{"count": fields(at, "index", number(at, k))})))
		}
		return true, out
	}
	a := b.body.attr("for_each")
	if a == nil {
		return true, one(address, s)
	}
	pairs, ok := e.each(e.eval(a.expr, s), e.position(a.at))
	if !ok {
		each := fields(at, "key", e.unknownText(at, "${each.key}"), "value", e.unknownText(at, "${each.value}"))
		one(address, s.with(map[string]*source.Node{"each": each}))
		return false, e.unknown(b.at)
	}
	out := &source.Node{Kind: source.KindMap, Position: at}
	for _, p := range pairs {
		k, _ := p.key.Text.Known()
		each := fields(at, "key", p.key, "value", p.value)
		v := one(address+"["+strconv.Quote(k)+"]", s.with(map[string]*source.Node{"each": each}))
		out.Fields = append(out.Fields, source.NewField(p.key.Text, v))
	}
	return true, out
}

// each are the elements that for_each goes through, if their keys are known and
// they are not too many. A list counts as a set, which it must be.
func (e *evaluator) each(n *source.Node, at source.Position) ([]pair, bool) {
	if n.Kind == source.KindList && !e.sets[n] {
		n = e.set(n)
	}
	pairs, ok := e.pairs(n)
	if !ok {
		return nil, false
	}
	if len(pairs) > MaxInstances {
		e.fail(at, "expected at most %d instances, found %d; they are read as one", MaxInstances, len(pairs))
		return nil, false
	}
	for _, p := range pairs {
		if _, known := p.key.Text.Known(); !known || p.key.Kind == source.KindMap || p.key.Kind == source.KindList {
			return nil, false
		}
	}
	return pairs, true
}

func (e *evaluator) unknownText(at source.Position, what string) *source.Node {
	return unknownAt(at, source.Part{Unknown: what})
}

func fields(at source.Position, namesAndValues ...any) *source.Node {
	n := &source.Node{Kind: source.KindMap, Position: at}
	for i := 0; i < len(namesAndValues); i += 2 {
		n.Fields = append(n.Fields, source.NewField(source.Literal(namesAndValues[i].(string)).At(at, source.Span{}), namesAndValues[i+1].(*source.Node)))
	}
	return n
}

// whole is a number of instances.
func whole(n *source.Node) (int, bool) {
	f, ok := numeric(n)
	if !ok || !f.IsInt() || f.Sign() < 0 {
		return 0, false
	}
	i, _ := f.Int64()
	return int(i), true
}

// contents is the object of a body: its arguments, and a list for each kind of
// block in it.
func (e *evaluator) contents(b *body, s *scope, at source.Position, skip map[string]bool) *source.Node {
	out := &source.Node{Kind: source.KindMap, Position: at}
	for _, a := range b.attrs {
		if skip[a.name] {
			continue
		}
		if v := e.eval(a.expr, s); v.Kind != source.KindNull { // null is as if it were not there
			set(out, source.NewField(source.Literal(a.name).At(e.position(a.at), e.span(a.at)), v))
		}
	}
	lists := map[string]*source.Node{}
	of := func(kind string, at source.Position) *source.Node {
		if lists[kind] == nil {
			lists[kind] = list(at, nil)
			set(out, source.NewField(source.Literal(kind).At(at, source.Span{}), lists[kind]))
		}
		return lists[kind]
	}
	for _, bl := range b.blocks {
		at := e.position(bl.at)
		switch {
		case skip[bl.kind]:
		case bl.kind == "dynamic" && len(bl.labels) == 1:
			kind := bl.labels[0]
			l := of(kind, at)
			items, ok := e.dynamic(bl, s)
			if !ok {
				open(l, source.UnknownText("${dynamic."+kind+"}"))
				open(out, source.UnknownText("${dynamic."+kind+"}"))
				continue
			}
			l.Items = append(l.Items, items...)
		default:
			l := of(bl.kind, at)
			l.Items = append(l.Items, e.contents(bl.body, s, at, nil))
		}
	}
	return out
}

// dynamic makes the blocks of a dynamic block.
func (e *evaluator) dynamic(b *block, s *scope) ([]*source.Node, bool) {
	over := b.body.attr("for_each")
	var content *block
	for _, c := range b.body.blocks {
		if c.kind == "content" {
			content = c
		}
	}
	if over == nil || content == nil {
		return nil, false
	}
	pairs, ok := e.pairs(e.eval(over.expr, s))
	if !ok {
		return nil, false
	}
	if len(pairs) > MaxInstances {
		e.fail(e.position(b.at), "expected at most %d blocks, found %d; they are unknown", MaxInstances, len(pairs))
		return nil, false
	}
	iterator := b.labels[0]
	if a := b.body.attr("iterator"); a != nil {
		iterator = hcl.ExprAsKeyword(a.expr)
	}
	var out []*source.Node
	for _, p := range pairs {
		in := s.with(map[string]*source.Node{iterator: fields(p.value.Position, "key", p.key, "value", p.value)})
		out = append(out, e.contents(content.body, in, e.position(content.at), nil))
	}
	return out, true
}
