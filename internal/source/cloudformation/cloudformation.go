// Package cloudformation reads CloudFormation and SAM templates into resources
// whose properties are resolved as far as the template itself tells.
//
// What a deployment decides stays unknown: parameters without a default, pseudo
// parameters such as AWS::AccountId, attributes of resources, imports, dynamic
// references and macros. A parameter with a default has that value, as it has
// in a deployment that names no other; conditions on it are decided by it.
package cloudformation

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// The bounds of a template.
const (
	// maxText bounds a resolved text, in bytes: joins of joins double at each
	// step.
	maxText = 1 << 20
	// maxSteps bounds how many values are resolved: a parameter list that is
	// split and joined over and over grows too.
	maxSteps = 2_000_000
	maxDepth = 100 // functions within functions
	maxErrs  = 50
)

// Is reports whether a document is a template.
func Is(n *source.Node) bool {
	if n == nil || n.Kind != source.KindMap {
		return false
	}
	if n.Get("AWSTemplateFormatVersion") != nil {
		return true
	}
	resources := n.Get("Resources")
	if resources == nil || resources.Kind != source.KindMap {
		return false
	}
	for _, f := range resources.Fields {
		if t, ok := f.Value.Get("Type"), f.Value.Kind == source.KindMap; ok && t != nil && strings.Contains(t.Text.String(), "::") {
			return true
		}
	}
	return false
}

// Parse reads a template, in YAML or JSON. A mistake in one resource does not
// keep the others from being read: resources are returned beside the error,
// which is a *source.Error or several joined.
func Parse(file string, data []byte) ([]source.Resource, error) {
	docs, err := documents(file, data)
	if err != nil {
		return nil, err
	}
	start := source.Position{File: file, Line: 1, Column: 1}
	if len(docs) != 1 {
		return nil, &source.Error{Position: start, Message: fmt.Sprintf("expected one template, found %d documents", len(docs))}
	}
	root := docs[0]
	resources := root.Get("Resources")
	if root.Kind != source.KindMap || resources == nil || resources.Kind != source.KindMap {
		return nil, &source.Error{Position: root.Position, Message: "expected a template with Resources"}
	}
	t := newTemplate(root)
	var out []source.Resource
	for _, f := range resources.Fields {
		if r, ok := t.resource(f); ok {
			out = append(out, r)
		}
	}
	return out, errors.Join(t.errs...)
}

// documents reads a file without resolving anything. Tags become functions in
// their long form.
func documents(file string, data []byte) ([]*source.Node, error) {
	if body := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n"); bytes.HasPrefix(body, []byte("{")) {
		if docs, err := source.ParseJSON(file, data); err == nil {
			return docs, nil
		} else if strict := (*source.Error)(nil); errors.As(err, &strict) && !strings.HasPrefix(strict.Message, "not JSON") {
			return nil, err
		}
	}
	return source.ParseYAML(file, data, longForm)
}

// longForm turns !Sub x into {"Fn::Sub": x}.
func longForm(tag string, n *source.Node) (*source.Node, bool, error) {
	name := strings.TrimPrefix(tag, "!")
	switch name {
	case "Ref", "Condition":
	case "And", "Base64", "Cidr", "Equals", "FindInMap", "GetAZs", "If", "ImportValue", "Join", "Length", "Not", "Or",
		"Select", "Split", "Sub", "ToJsonString", "Transform", "GetStackOutput", "Contains", "EachMemberEquals", "EachMemberIn",
		"RefAll", "ValueOf", "ValueOfAll":
		name = "Fn::" + name
	case "GetAtt":
		name = "Fn::GetAtt"
		if n.Kind == source.KindString {
			resource, attribute, ok := strings.Cut(n.Text.String(), ".")
			if !ok {
				return nil, false, &source.Error{Position: n.Position, Message: "!GetAtt: expected RESOURCE.ATTRIBUTE"}
			}
			part := func(s string) *source.Node {
				return &source.Node{Kind: source.KindString, Position: n.Position, Text: source.Literal(s).At(n.Position, source.Span{})}
			}
			n = &source.Node{Kind: source.KindList, Position: n.Position, Items: []*source.Node{part(resource), part(attribute)}}
		}
	default:
		return nil, false, nil
	}
	key := source.Literal(name).At(n.Position, source.Span{})
	return &source.Node{Kind: source.KindMap, Position: n.Position, Fields: []source.Field{source.NewField(key, n)}}, true, nil
}

// template is a template at work.
type template struct {
	parameters map[string]*source.Node // by name
	mappings   *source.Node
	conditions map[string]*source.Node
	resources  *source.Node
	globals    *source.Node // of SAM
	macros     bool         // some macro may add to every resource

	decided  map[string]source.Truth // conditions that were decided
	deciding map[string]bool
	steps    int
	full     bool // the bound was met, and told
	errs     []error
}

func newTemplate(root *source.Node) *template {
	t := &template{
		parameters: map[string]*source.Node{}, conditions: map[string]*source.Node{},
		mappings: root.Get("Mappings"), resources: root.Get("Resources"), globals: root.Get("Globals"),
		decided: map[string]source.Truth{}, deciding: map[string]bool{},
	}
	if p := root.Get("Parameters"); p != nil {
		for _, f := range p.Fields {
			t.parameters[f.Name] = f.Value
		}
	}
	if c := root.Get("Conditions"); c != nil {
		for _, f := range c.Fields {
			t.conditions[f.Name] = f.Value
		}
	}
	for _, m := range root.Get("Transform").List() {
		switch m.Text.String() {
		case "AWS::Serverless-2016-10-31", "AWS::LanguageExtensions", "AWS::SecretsManager-2020-07-23", "AWS::SecretsManager-2024-09-16", "AWS::CodeDeployBlueGreen":
		default:
			t.macros = true
		}
	}
	return t
}

func (t *template) fail(at source.Position, format string, args ...any) {
	if len(t.errs) < maxErrs {
		t.errs = append(t.errs, &source.Error{Position: at, Message: fmt.Sprintf(format, args...)})
	}
}

func (t *template) resource(f source.Field) (source.Resource, bool) {
	if strings.HasPrefix(f.Name, "Fn::") { // a loop or a macro makes resources that are not known
		return source.Resource{}, false
	}
	n := f.Value
	kind := n.Get("Type")
	if n.Kind != source.KindMap || kind == nil || kind.Kind != source.KindString || kind.Text.String() == "" {
		t.fail(f.Key.Position, "the resource %.100s: expected a Type", f.Name)
		return source.Resource{}, false
	}
	r := source.Resource{Address: f.Name, Type: kind.Text.String(), Position: f.Key.Position}
	properties := n.Get("Properties")
	if properties == nil {
		properties = &source.Node{Kind: source.KindMap, Position: f.Key.Position}
	}
	r.Values = t.resolve(properties, 0)
	if r.Values == nil {
		r.Values = &source.Node{Kind: source.KindMap, Position: properties.Position}
	}
	r.Values = t.withGlobals(r.Type, r.Values)
	if t.macros && r.Values.Kind == source.KindMap {
		open := *r.Values
		open.Open = true
		open.Text = source.UnknownText("Transform")
		r.Values = &open
	}
	return r, true
}

// withGlobals adds what a SAM template says of all its functions. What a
// function says itself wins, lists are joined (SAM specification, "Globals").
func (t *template) withGlobals(kind string, values *source.Node) *source.Node {
	name, ok := strings.CutPrefix(kind, "AWS::Serverless::")
	if !ok {
		return values
	}
	globals := t.resolve(t.globals.Get(name), 0)
	if globals == nil || globals.Kind != source.KindMap {
		return values
	}
	return merged(globals, values)
}

func merged(base, own *source.Node) *source.Node {
	switch {
	case own == nil:
		return base
	case base.Kind == source.KindList && own.Kind == source.KindList:
		out := *own
		out.Items = append(append([]*source.Node{}, base.Items...), own.Items...)
		return &out
	case base.Kind != source.KindMap || own.Kind != source.KindMap:
		return own
	}
	out := *own
	out.Fields = append([]source.Field{}, own.Fields...)
	for _, f := range base.Fields {
		at := -1
		for i := range out.Fields {
			if out.Fields[i].Name == f.Name {
				at = i
			}
		}
		if at < 0 {
			out.Fields = append(out.Fields, f)
			continue
		}
		out.Fields[at].Value = merged(f.Value, out.Fields[at].Value)
	}
	return &out
}
