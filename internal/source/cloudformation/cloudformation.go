// Package cloudformation reads CloudFormation and SAM templates into resources
// whose properties are resolved as far as the template itself tells.
//
// What a deployment decides stays unknown: parameters without a default, pseudo
// parameters such as AWS::AccountId and AWS::Partition, attributes of resources,
// imports, dynamic references and macros. A parameter with a default has that
// value, as it has in a deployment that names no other; conditions on it are
// decided by it. A value that hangs on a condition that is not decided is not
// known, but for what both of its branches have in common.
//
// A resource is read whether its own Condition holds or not.
package cloudformation

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/source"
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
		if strings.HasPrefix(f.Name, forEach) {
			return true
		}
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
	// Nothing behind the last mark of a document is no document.
	docs = slices.DeleteFunc(docs, func(n *source.Node) bool { return n.Kind == source.KindNull })
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
	t.read(resources.Fields, 0)
	return t.out, errors.Join(t.errs...)
}

// documents reads a file without resolving anything. Tags become functions in
// their long form.
func documents(file string, data []byte) ([]*source.Node, error) {
	body := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n")
	if !bytes.HasPrefix(body, []byte("{")) {
		return source.ParseYAML(file, data, longForm)
	}
	docs, err := source.ParseJSON(file, data)
	if e := (*source.Error)(nil); errors.As(err, &e) && strings.HasPrefix(e.Message, "not JSON") {
		// YAML may begin with a brace too.
		if read, yamlErr := source.ParseYAML(file, data, longForm); yamlErr == nil {
			return read, nil
		}
	}
	return docs, err
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
				break // told where it is resolved
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
