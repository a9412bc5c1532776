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
	if t.steps++; t.steps > maxSteps || depth > maxDepth {
		if !t.full {
			t.full = true
			t.fail(n.Position, "the template is too large with all its functions resolved, or they stand too deep within one another")
		}
		return unknown(n.Position, "...")
	}
	switch n.Kind {
	case source.KindList:
		out := *n
		out.Items = nil
		for _, item := range n.Items {
			if v := t.resolve(item, depth+1); v != nil {
				out.Items = append(out.Items, v)
			}
		}
		return &out
	case source.KindMap:
		if name, argument, ok := function(n); ok {
			return t.call(n, name, argument, depth+1)
		}
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
	case source.KindString:
		// A dynamic reference gets its value when it is deployed.
		if s := n.Text.String(); strings.Contains(s, "{{resolve:") {
			return unknown(n.Position, s)
		}
	}
	return n
}

// function takes an object apart that is a call of a function.
func function(n *source.Node) (name string, argument *source.Node, ok bool) {
	if len(n.Fields) != 1 {
		return "", nil, false
	}
	f := n.Fields[0]
	if f.Name == "Ref" || strings.HasPrefix(f.Name, "Fn::") && !strings.HasPrefix(f.Name, "Fn::ForEach") {
		return f.Name, f.Value, true
	}
	return "", nil, false
}

func unknown(at source.Position, what string) *source.Node {
	if r := []rune(what); len(r) > 200 {
		what = string(r[:200]) + "..."
	}
	return &source.Node{Position: at, Text: source.UnknownText(what).At(at, source.Span{})}
}

// attribute is what stands for an attribute of a resource.
func attribute(at source.Position, written, resource, name string) *source.Node {
	text := source.Text{Parts: []source.Part{{Unknown: written, Resource: resource, Attribute: name}}, Position: at}
	return &source.Node{Position: at, Text: text}
}

func text(at source.Position, t source.Text) *source.Node {
	return &source.Node{Kind: source.KindString, Position: at, Text: t.At(at, t.Span)}
}

// call is what a function answers; nil where that is AWS::NoValue.
func (t *template) call(n *source.Node, name string, arg *source.Node, depth int) *source.Node {
	written := name
	if s := arg.Text.String(); s != "" {
		written += " " + s
	}
	switch name {
	case "Ref":
		if s, ok := arg.Text.Known(); ok && arg.Kind == source.KindString {
			return t.ref(arg, s, depth)
		}
		t.fail(arg.Position, "Ref: expected a name, found %s", arg.Kind)
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
		return t.choice(arg, depth)
	case "Fn::ToJsonString":
		// Whoever takes a JSON text for a document takes the document itself.
		return t.resolve(arg, depth)
	}
	return unknown(n.Position, written)
}

// ref is the value of a parameter, or what stands for a resource.
func (t *template) ref(at *source.Node, name string, depth int) *source.Node {
	if name == "AWS::NoValue" {
		return nil
	}
	if p, ok := t.parameters[name]; ok {
		d := p.Get("Default")
		kind := p.Get("Type").List()
		if d == nil || len(kind) == 1 && strings.HasPrefix(kind[0].Text.String(), "AWS::SSM::Parameter") || p.Get("NoEcho") != nil {
			return unknown(at.Position, "!Ref "+name)
		}
		if len(kind) == 1 && (kind[0].Text.String() == "CommaDelimitedList" || strings.HasPrefix(kind[0].Text.String(), "List<")) {
			out := &source.Node{Kind: source.KindList, Position: at.Position}
			s, _ := d.Text.Known()
			for _, item := range strings.Split(s, ",") {
				out.Items = append(out.Items, text(d.Position, source.Literal(strings.TrimSpace(item))))
			}
			return out
		}
		if d.Kind == source.KindList || d.Kind == source.KindMap || d.Kind == source.KindNull {
			t.fail(d.Position, "the parameter %.100s: expected text as its Default, found %s", name, d.Kind)
			return unknown(at.Position, "!Ref "+name)
		}
		return text(d.Position, d.Text)
	}
	if t.resources.Get(name) != nil {
		return attribute(at.Position, "!Ref "+name, name, "Ref")
	}
	if !strings.HasPrefix(name, "AWS::") {
		t.fail(at.Position, "there is no parameter and no resource %.100q", name)
	}
	return unknown(at.Position, "!Ref "+name)
}

func (t *template) getAtt(arg *source.Node, depth int) *source.Node {
	parts := arg.List()
	if arg.Kind == source.KindString {
		resource, name, _ := strings.Cut(arg.Text.String(), ".")
		return attribute(arg.Position, "!GetAtt "+arg.Text.String(), resource, name)
	}
	if len(parts) != 2 {
		t.fail(arg.Position, "Fn::GetAtt: expected a resource and an attribute, found %d values", len(parts))
		return unknown(arg.Position, "Fn::GetAtt")
	}
	resource := parts[0].Text.String()
	name := t.resolve(parts[1], depth)
	if name == nil || name.Kind != source.KindString {
		return unknown(arg.Position, "!GetAtt "+resource)
	}
	return attribute(arg.Position, "!GetAtt "+resource+"."+name.Text.String(), resource, name.Text.String())
}

// sub puts values into a text (Fn::Sub). ${!Name} is the text ${Name}.
func (t *template) sub(arg *source.Node, depth int) *source.Node {
	var values *source.Node
	if arg.Kind == source.KindList {
		if len(arg.Items) != 2 || arg.Items[1].Kind != source.KindMap {
			t.fail(arg.Position, "Fn::Sub: expected a text and an object with values")
			return unknown(arg.Position, "Fn::Sub")
		}
		arg, values = arg.Items[0], arg.Items[1]
	}
	s, ok := arg.Text.Known()
	if arg.Kind != source.KindString || !ok {
		t.fail(arg.Position, "Fn::Sub: expected a text, found %s", arg.Kind)
		return unknown(arg.Position, "Fn::Sub")
	}
	if !strings.Contains(s, "${") {
		return arg // it stands there as it is
	}
	own := map[string]*source.Node{}
	if values != nil {
		for _, f := range values.Fields {
			own[f.Name] = t.resolve(f.Value, depth)
		}
	}
	var parts []source.Text
	for s != "" {
		i := strings.Index(s, "${")
		end := -1
		if i >= 0 {
			end = strings.IndexByte(s[i:], '}')
		}
		if end < 0 {
			parts = append(parts, source.Literal(s))
			break
		}
		parts = append(parts, source.Literal(s[:i]))
		name := s[i+2 : i+end]
		s = s[i+end+1:]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			parts = append(parts, source.Literal("${"+literal+"}"))
			continue
		}
		name = strings.TrimSpace(name)
		v, named := own[name]
		if !named {
			v = t.reference(arg, name, depth)
		}
		parts = append(parts, t.asText(v, "${"+name+"}"))
	}
	return text(arg.Position, t.bounded(arg.Position, source.Join(parts...)))
}

// reference is what ${name} stands for in a text.
func (t *template) reference(at *source.Node, name string, depth int) *source.Node {
	if resource, attr, ok := strings.Cut(name, "."); ok {
		return attribute(at.Position, "${"+name+"}", resource, attr)
	}
	v := t.ref(at, name, depth)
	if v != nil && v.Kind == source.KindUnknown {
		v = renamed(v, "${"+name+"}")
	}
	return v
}

// renamed is an unknown value as it was written here.
func renamed(n *source.Node, written string) *source.Node {
	out := *n
	if len(n.Text.Parts) == 1 {
		p := n.Text.Parts[0]
		p.Unknown = written
		out.Text.Parts = []source.Part{p}
	}
	return &out
}

// asText is a value as a part of a text.
func (t *template) asText(n *source.Node, written string) source.Text {
	if n == nil {
		return source.Text{}
	}
	switch n.Kind {
	case source.KindList, source.KindMap, source.KindNull:
		return source.UnknownText(written)
	}
	return n.Text
}

// bounded cuts what grew too large to nothing that is known.
func (t *template) bounded(at source.Position, s source.Text) source.Text {
	size := 0
	for _, p := range s.Parts {
		size += len(p.Literal) + len(p.Unknown)
	}
	if size <= maxText {
		return s
	}
	if !t.full {
		t.full = true
		t.fail(at, "a text grows over %d bytes", maxText)
	}
	return source.UnknownText("...")
}

func (t *template) join(arg *source.Node, depth int) *source.Node {
	if arg.Kind != source.KindList || len(arg.Items) != 2 {
		t.fail(arg.Position, "Fn::Join: expected a separator and a list")
		return unknown(arg.Position, "Fn::Join")
	}
	separator := t.resolve(arg.Items[0], depth)
	list := t.resolve(arg.Items[1], depth)
	if separator == nil || list == nil || list.Kind != source.KindList || list.Open {
		return unknown(arg.Position, "Fn::Join")
	}
	var parts []source.Text
	for i, item := range list.Items {
		if i > 0 {
			parts = append(parts, t.asText(separator, "Fn::Join"))
		}
		parts = append(parts, t.asText(item, "Fn::Join"))
	}
	joined := t.bounded(arg.Position, source.Join(parts...))
	joined.Span = source.Span{}
	return text(arg.Position, joined)
}

func (t *template) split(arg *source.Node, depth int) *source.Node {
	if arg.Kind != source.KindList || len(arg.Items) != 2 {
		t.fail(arg.Position, "Fn::Split: expected a separator and a text")
		return unknown(arg.Position, "Fn::Split")
	}
	separator, whole := t.known(arg.Items[0], depth), t.known(arg.Items[1], depth)
	if separator == nil || whole == nil || *separator == "" {
		return unknown(arg.Position, "Fn::Split")
	}
	out := &source.Node{Kind: source.KindList, Position: arg.Position}
	for _, s := range strings.Split(*whole, *separator) {
		out.Items = append(out.Items, text(arg.Position, source.Literal(s)))
		if t.steps++; t.steps > maxSteps {
			return unknown(arg.Position, "Fn::Split")
		}
	}
	return out
}

// known is the text of a value that is wholly known, or nil.
func (t *template) known(n *source.Node, depth int) *string {
	v := t.resolve(n, depth)
	if v == nil || v.Kind != source.KindString && v.Kind != source.KindNumber && v.Kind != source.KindBool {
		return nil
	}
	if s, ok := v.Text.Known(); ok {
		return &s
	}
	return nil
}

func (t *template) choose(arg *source.Node, depth int) *source.Node {
	if arg.Kind != source.KindList || len(arg.Items) != 2 {
		t.fail(arg.Position, "Fn::Select: expected a number and a list")
		return unknown(arg.Position, "Fn::Select")
	}
	index, list := t.known(arg.Items[0], depth), t.resolve(arg.Items[1], depth)
	if index == nil || list == nil || list.Kind != source.KindList || list.Open {
		return unknown(arg.Position, "Fn::Select")
	}
	i, ok := number(*index)
	if !ok || i >= len(list.Items) {
		t.fail(arg.Position, "Fn::Select: expected a number below %d, found %.40q", len(list.Items), *index)
		return unknown(arg.Position, "Fn::Select")
	}
	return list.Items[i]
}

func number(s string) (int, bool) {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' || n > 1_000_000 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, s != ""
}

func (t *template) findInMap(arg *source.Node, depth int) *source.Node {
	if arg.Kind != source.KindList || len(arg.Items) < 3 || len(arg.Items) > 4 {
		t.fail(arg.Position, "Fn::FindInMap: expected the names of a map and of two keys")
		return unknown(arg.Position, "Fn::FindInMap")
	}
	at := t.mappings
	for _, key := range arg.Items[:3] {
		name := t.known(key, depth)
		if name == nil {
			return unknown(arg.Position, "Fn::FindInMap")
		}
		next := at.Get(*name)
		if next == nil && len(arg.Items) == 4 && at.Has(*name) == source.No {
			return t.resolve(arg.Items[3].Get("DefaultValue"), depth)
		}
		if next == nil {
			if at.Has(*name) == source.No {
				t.fail(key.Position, "Fn::FindInMap: there is no %.100q in the mappings", *name)
			}
			return unknown(arg.Position, "Fn::FindInMap")
		}
		at = next
	}
	return t.resolve(at, depth)
}

func (t *template) choice(arg *source.Node, depth int) *source.Node {
	if arg.Kind != source.KindList || len(arg.Items) != 3 {
		t.fail(arg.Position, "Fn::If: expected a condition and two values")
		return unknown(arg.Position, "Fn::If")
	}
	name := arg.Items[0].Text.String()
	switch t.condition(name, depth) {
	case source.Yes:
		return t.resolve(arg.Items[1], depth)
	case source.No:
		return t.resolve(arg.Items[2], depth)
	}
	yes, no := t.resolve(arg.Items[1], depth), t.resolve(arg.Items[2], depth)
	if a, ok := yes.JSON(); ok {
		if b, ok := no.JSON(); ok && string(a) == string(b) {
			return yes
		}
	}
	return unknown(arg.Position, "!If "+name)
}
