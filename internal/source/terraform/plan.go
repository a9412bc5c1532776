package terraform

import (
	"errors"
	"slices"

	"github.com/stint-dev/stint/internal/source"
)

// ParsePlan reads what `terraform show -json` prints of a plan or of a state:
// the resources of planned_values or values, those of child modules included.
// What a plan marks as known after apply, or as sensitive, is unknown. Errors
// join an *source.Error for each mistake.
func ParsePlan(file string, root *source.Node) ([]source.Resource, error) {
	if !IsPlan(root) {
		return nil, &source.Error{Position: source.Position{File: file}, Message: "expected the JSON of a Terraform plan or state"}
	}
	p := &planReader{unknown: map[string]*source.Node{}}
	for _, c := range root.Get("resource_changes").List() {
		if a, ok := text(c, "address"); ok {
			p.unknown[a] = c.Get("change").Get("after_unknown")
		}
	}
	values := root.Get("planned_values")
	if values == nil {
		values = root.Get("values")
	}
	p.module(values.Get("root_module"))
	// Data sources that were read before the plan stand in the state.
	if prior := root.Get("prior_state"); prior != nil {
		p.dataOnly = true
		p.module(prior.Get("values").Get("root_module"))
	}
	return p.resources, errors.Join(p.errs...)
}

type planReader struct {
	unknown   map[string]*source.Node
	resources []source.Resource
	errs      []error
	dataOnly  bool
	full      bool
}

func text(n *source.Node, name string) (string, bool) {
	v := n.Get(name)
	if v == nil || v.Kind != source.KindString {
		return "", false
	}
	return v.Text.Known()
}

func (p *planReader) module(n *source.Node) {
	for _, r := range n.Get("resources").List() {
		p.resource(r)
	}
	for _, c := range n.Get("child_modules").List() {
		p.module(c)
	}
}

func (p *planReader) resource(r *source.Node) {
	address, ok := text(r, "address")
	kind, ok2 := text(r, "type")
	values := r.Get("values")
	if mode, _ := text(r, "mode"); p.dataOnly && mode != "data" {
		return
	}
	switch {
	case len(p.resources) >= MaxResources:
		if !p.full {
			p.full = true
			p.errs = append(p.errs, &source.Error{Position: r.Position, Message: "there are too many resources; the others are not read"})
		}
		return
	case !ok || !ok2 || values != nil && values.Kind != source.KindMap && values.Kind != source.KindNull:
		if len(p.errs) < maxErrors {
			p.errs = append(p.errs, &source.Error{Position: r.Position, Message: "expected a resource with an address, a type and values"})
		}
		return
	}
	if values == nil || values.Kind == source.KindNull {
		values = &source.Node{Kind: source.KindMap, Position: r.Position}
	}
	values = hide(values, p.unknown[address], address, "", "known after apply")
	values = hide(values, r.Get("sensitive_values"), address, "", "sensitive")
	p.resources = append(p.resources, source.Resource{Address: address, Type: kind, Position: r.Position, Values: values})
}

// hide makes unknown what marks say true of.
func hide(n, marks *source.Node, address, attribute, why string) *source.Node {
	if marks == nil {
		return n
	}
	at := marks.Position
	if n != nil {
		at = n.Position
	}
	if marks.Kind == source.KindBool {
		if s, _ := marks.Text.Known(); s == "true" {
			return unknownAt(at, source.Part{Unknown: "(" + why + ")", Resource: address, Attribute: attribute})
		}
		return n
	}
	if n == nil || n.Kind == source.KindNull {
		if marked(marks) { // a value of which only parts are known is left out whole
			return unknownAt(at, source.Part{Unknown: "(" + why + ")", Resource: address, Attribute: attribute})
		}
		return n
	}
	out := *n
	switch {
	case marks.Kind == source.KindMap && n.Kind == source.KindMap:
		out.Fields = append([]source.Field(nil), n.Fields...)
		for _, m := range marks.Fields {
			name := attribute
			if name == "" {
				name = m.Name
			}
			old := n.Get(m.Name)
			if v := hide(old, m.Value, address, name, why); v != old && v != nil {
				set(&out, source.NewField(m.Key, v))
			}
		}
	case marks.Kind == source.KindList && n.Kind == source.KindList:
		out.Items = append([]*source.Node(nil), n.Items...)
		for i, m := range marks.Items {
			if i < len(out.Items) {
				out.Items[i] = hide(out.Items[i], m, address, attribute, why)
			}
		}
	}
	return &out
}

// marked reports whether marks say true of anything.
func marked(n *source.Node) bool {
	s, _ := n.Text.Known()
	return n.Kind == source.KindBool && s == "true" || slices.ContainsFunc(n.Items, marked) ||
		slices.ContainsFunc(n.Fields, func(f source.Field) bool { return marked(f.Value) })
}
