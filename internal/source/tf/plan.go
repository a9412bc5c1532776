package terraform

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// IsPlan reports whether a document is what `terraform show -json` prints of a
// plan or a state.
func IsPlan(root *source.Node) bool {
	return root != nil && root.Kind == source.KindMap && root.Get("format_version") != nil &&
		(root.Get("planned_values") != nil || root.Get("values") != nil)
}

// ParsePlan reads the resources of a plan or a state. What a plan says is known
// after apply is unknown.
//
// https://developer.hashicorp.com/terraform/internals/json-format
func ParsePlan(root *source.Node) ([]source.Resource, error) {
	values := root.Get("planned_values")
	if values == nil {
		values = root.Get("values")
	}
	module := values.Get("root_module")
	if module == nil || module.Kind != source.KindMap {
		return nil, &source.Error{Position: root.Position, Message: "expected the values of a plan or a state, with a root_module"}
	}
	after := map[string]*source.Node{}
	for _, c := range root.Get("resource_changes").List() {
		if a := c.Get("address"); a != nil {
			after[a.Text.String()] = c.Get("change").Get("after_unknown")
		}
	}
	var out []source.Resource
	var walk func(n *source.Node, depth int) error
	walk = func(n *source.Node, depth int) error {
		if depth > maxNesting {
			return &source.Error{Position: n.Position, Message: "modules stand too deep within one another"}
		}
		for _, r := range n.Get("resources").List() {
			kind, address := r.Get("type"), r.Get("address")
			if kind == nil || address == nil || kind.Kind != source.KindString || address.Kind != source.KindString {
				return &source.Error{Position: r.Position, Message: "expected a resource with a type and an address"}
			}
			v := r.Get("values")
			if v == nil || v.Kind != source.KindMap {
				v = &source.Node{Kind: source.KindMap, Position: r.Position}
			}
			name := address.Text.String()
			out = append(out, source.Resource{Address: name, Type: kind.Text.String(), Position: r.Position, Values: pending(v, after[name], name)})
		}
		for _, child := range n.Get("child_modules").List() {
			if err := walk(child, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return out, walk(module, 0)
}

// pending puts what is known after apply into a resource's values.
func pending(v, after *source.Node, path string) *source.Node {
	switch {
	case after == nil:
		return v
	case after.Kind == source.KindBool:
		if after.Text.String() != "true" {
			return v
		}
		at := after.Position
		if v != nil {
			at = v.Position
		}
		resource, attribute := path, ""
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			resource, attribute = path[:i], path[i+1:]
		}
		p := source.Part{Unknown: interpolated(path), Resource: resource, Attribute: attribute}
		return &source.Node{Position: at, Text: source.Text{Parts: []source.Part{p}, Position: at}}
	case after.Kind == source.KindMap && (v == nil || v.Kind == source.KindMap):
		out := &source.Node{Kind: source.KindMap, Position: after.Position}
		if v != nil {
			*out = *v
			out.Fields = append([]source.Field{}, v.Fields...)
		}
		for _, f := range after.Fields {
			member := pending(out.Get(f.Name), f.Value, path+"."+f.Name)
			if member != nil {
				out.Fields = put(out.Fields, source.NewField(f.Key, member))
			}
		}
		return out
	case after.Kind == source.KindList && v != nil && v.Kind == source.KindList:
		out := *v
		out.Items = append([]*source.Node{}, v.Items...)
		for i, a := range after.Items {
			if i < len(out.Items) {
				out.Items[i] = pending(out.Items[i], a, path)
			}
		}
		return &out
	}
	return v
}
