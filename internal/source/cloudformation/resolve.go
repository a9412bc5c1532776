package cloudformation

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// resolve is a value with its functions resolved; nil where it is
// AWS::NoValue.
func (t *template) resolve(n *source.Node, depth int) *source.Node {
	if n == nil {
		return nil
	}
	if depth > maxDepth {
		t.tooLarge(n.Position, "functions stand deeper than %d levels within one another", maxDepth)
		return unknown(n.Position, "...")
	}
	if !t.spend(n.Position, 1, 0) {
		return unknown(n.Position, "...")
	}
	switch n.Kind {
	case source.KindList:
		return t.items(n, depth)
	case source.KindMap:
		if name, argument, ok := function(n); ok {
			return t.call(n, name, argument, depth+1)
		}
		return t.members(n, depth)
	case source.KindString:
		if s := t.plain(n); s != nil {
			return s
		}
	}
	return n
}

// plain is a text without a function of its own, or nil where it stays what it
// is.
func (t *template) plain(n *source.Node) *source.Node {
	s, ok := n.Text.Known()
	if !ok || !strings.Contains(s, "{") {
		return nil
	}
	if !t.spend(n.Position, 0, len(s)) {
		return unknown(n.Position, "...")
	}
	found := withReferences(t.looped(n.Text))
	if _, ok := found.Known(); ok && found.Span == n.Text.Span {
		return nil
	}
	return text(n.Position, found)
}

func (t *template) items(n *source.Node, depth int) *source.Node {
	out := *n
	out.Items = nil
	for _, item := range n.Items {
		v := t.resolve(item, depth+1)
		switch {
		case v == nil:
		case v.Kind == source.KindUnknown && perhaps(item):
			// It may not be there at all.
			out.Open = true
			if len(out.Text.Parts) == 0 {
				out.Text = v.Text
			}
		default:
			out.Items = append(out.Items, v)
		}
	}
	return &out
}

// perhaps reports whether a value is an Fn::If of which one branch is nothing.
func perhaps(n *source.Node) bool {
	name, arg, ok := function(n)
	if !ok || name != "Fn::If" || len(arg.Items) != 3 {
		return false
	}
	for _, branch := range arg.Items[1:] {
		if name, arg, ok := function(branch); ok && name == "Ref" && arg.Text.String() == "AWS::NoValue" {
			return true
		}
	}
	return false
}

func (t *template) members(n *source.Node, depth int) *source.Node {
	out := *n
	out.Fields = nil
	for _, f := range n.Fields {
		if strings.HasPrefix(f.Name, "Fn::") { // a macro, a loop: it makes members that are not known
			out.Open = true
			out.Text = source.UnknownText(f.Name).At(f.Key.Position, source.Span{})
			continue
		}
		if v := t.resolve(f.Value, depth+1); v != nil {
			out.Fields = append(out.Fields, source.Field{Name: f.Name, Key: f.Key, Value: v})
		}
	}
	return &out
}

// function takes an object apart that is a call of a function.
func function(n *source.Node) (name string, argument *source.Node, ok bool) {
	if n.Kind != source.KindMap || len(n.Fields) != 1 {
		return "", nil, false
	}
	f := n.Fields[0]
	if f.Name == "Ref" || strings.HasPrefix(f.Name, "Fn::") && !strings.HasPrefix(f.Name, forEach) {
		return f.Name, f.Value, true
	}
	return "", nil, false
}

// unknown is a value of which nothing is known, not even its kind.
func unknown(at source.Position, what string) *source.Node {
	if len(what) > 200 {
		r := []rune(what)
		what = string(r[:min(len(r), 200)]) + "..."
	}
	return &source.Node{Position: at, Text: source.UnknownText(what).At(at, source.Span{})}
}

// unknownText is a value that is a text, of which no more is known.
func unknownText(at source.Position, what string) *source.Node {
	n := unknown(at, what)
	n.Kind = source.KindString
	return n
}

// attribute is what stands for an attribute of a resource. Which attributes are
// lists only the specification of each resource says; those that identify it
// are texts.
func attribute(at source.Position, written, resource, name string) *source.Node {
	t := source.Text{Parts: []source.Part{{Unknown: written, Resource: resource, Attribute: name}}, Position: at}
	n := &source.Node{Position: at, Text: t}
	if name == "Ref" || name == "Arn" {
		n.Kind = source.KindString
	}
	return n
}

func text(at source.Position, t source.Text) *source.Node {
	n := &source.Node{Kind: source.KindString, Position: at, Text: t.At(at, t.Span)}
	n.Span = n.Text.Span
	return n
}

// call is what a function answers; nil where that is AWS::NoValue.
func (t *template) call(n *source.Node, name string, arg *source.Node, depth int) *source.Node {
	switch name {
	case "Ref":
		if s, ok := t.looped(arg.Text).Known(); ok && arg.Kind == source.KindString {
			return t.ref(arg, s)
		}
		if arg.Kind != source.KindString {
			t.fail(arg.Position, "Ref: expected a name, found %s", arg.Kind)
		}
	case "Fn::GetAtt":
		return t.getAtt(arg, depth)
	case "Fn::Sub":
		return t.sub(arg, depth)
	case "Fn::Join":
		return t.join(arg, depth)
	case "Fn::Split":
		return t.split(arg, depth)
	case "Fn::Select":
		return t.choose(arg, depth)
	case "Fn::FindInMap":
		return t.findInMap(arg, depth)
	case "Fn::If":
		return t.branch(arg, depth)
	case "Fn::Base64":
		return t.base64(arg, depth)
	case "Fn::Length":
		return t.length(arg, depth)
	case "Fn::ToJsonString":
		// Whoever takes a JSON text for a document takes the document itself.
		return t.resolve(arg, depth)
	case "Fn::ImportValue":
		return unknownText(n.Position, t.written(name, arg, depth))
	}
	return unknown(n.Position, t.written(name, arg, depth))
}

// written is how a call stands in the template, as far as one line shows it.
func (t *template) written(name string, arg *source.Node, depth int) string {
	if name == "Fn::ImportValue" && arg.Kind == source.KindMap {
		if v := t.resolve(arg, depth); v != nil {
			arg = v
		}
	}
	if s := arg.Text.String(); s != "" {
		return name + " " + s
	}
	return name
}

// ref is the value of a parameter, or what stands for a resource.
func (t *template) ref(at *source.Node, name string) *source.Node {
	if name == "AWS::NoValue" {
		return nil
	}
	written := "!Ref " + name
	if v, ok := t.loops[name]; ok {
		return text(at.Position, v.At(at.Position, source.Span{}))
	}
	if p, ok := t.parameters[name]; ok {
		return t.parameter(at, name, p)
	}
	switch {
	case t.resources.Get(name) != nil:
		return attribute(at.Position, written, name, "Ref")
	case name == "AWS::NotificationARNs":
		return unknown(at.Position, written)
	case strings.HasPrefix(name, "AWS::"):
		return unknownText(at.Position, written)
	case t.sam: // it makes resources of its own, such as the roles of functions
		return attribute(at.Position, written, name, "Ref")
	case t.more:
		return unknown(at.Position, written)
	}
	t.fail(at.Position, "there is no parameter and no resource %.100q", name)
	return unknown(at.Position, written)
}

func (t *template) parameter(at *source.Node, name string, p *source.Node) *source.Node {
	if list, ok := t.lists[name]; ok {
		return list
	}
	kind := ""
	if k := p.Get("Type"); k != nil {
		kind = k.Text.String()
	}
	isList := kind == "CommaDelimitedList" || strings.Contains(kind, "List<") || strings.HasSuffix(kind, "<CommaDelimitedList>")
	d := p.Get("Default")
	hidden := p.Get("NoEcho")
	stored := strings.HasPrefix(kind, "AWS::SSM::Parameter") // its default is the name of what holds the value
	switch {
	case d == nil || stored || hidden != nil && !strings.EqualFold(hidden.Text.String(), "false"):
		if isList {
			return unknown(at.Position, "!Ref "+name)
		}
		return unknownText(at.Position, "!Ref "+name)
	case d.Kind == source.KindList || d.Kind == source.KindMap || d.Kind == source.KindNull || d.Kind == source.KindUnknown:
		t.fail(d.Position, "the parameter %.100s: expected text as its Default, found %s", name, d.Kind)
		return unknown(at.Position, "!Ref "+name)
	case !isList:
		return text(d.Position, d.Text)
	}
	list := &source.Node{Kind: source.KindList, Position: at.Position}
	s, _ := d.Text.Known()
	for item := range strings.SplitSeq(s, ",") {
		if !t.spend(d.Position, 1, 0) {
			return unknown(at.Position, "!Ref "+name)
		}
		list.Items = append(list.Items, text(d.Position, source.Literal(strings.TrimSpace(item)).At(d.Position, source.Span{})))
	}
	t.lists[name] = list
	return list
}

func (t *template) getAtt(arg *source.Node, depth int) *source.Node {
	var resource, name string
	switch {
	case arg.Kind == source.KindString:
		var ok bool
		if resource, name, ok = strings.Cut(t.looped(arg.Text).String(), "."); !ok {
			t.fail(arg.Position, "Fn::GetAtt: expected RESOURCE.ATTRIBUTE")
			return unknown(arg.Position, "Fn::GetAtt")
		}
	case len(arg.Items) == 2 && arg.Items[0].Kind == source.KindString:
		resource = t.looped(arg.Items[0].Text).String()
		v := t.resolve(arg.Items[1], depth)
		if v == nil || v.Kind != source.KindString {
			return unknown(arg.Position, "!GetAtt "+resource)
		}
		name = v.Text.String()
	default:
		t.fail(arg.Position, "Fn::GetAtt: expected a resource and an attribute")
		return unknown(arg.Position, "Fn::GetAtt")
	}
	return t.attributeOf(arg, "!GetAtt "+resource+"."+name, resource, name)
}

// attributeOf is an attribute of a resource that has to be there.
func (t *template) attributeOf(at *source.Node, written, resource, name string) *source.Node {
	if !t.more && t.resources.Get(resource) == nil {
		t.fail(at.Position, "there is no resource %.100q", resource)
		return unknown(at.Position, written)
	}
	return attribute(at.Position, written, resource, name)
}
