package cloudformation

import (
	"fmt"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// The bounds of a template. AWS takes at most 1 MB of text; what is larger once
// its functions are resolved was made to be.
const (
	maxText  = 1 << 20  // bytes of one text
	maxBytes = 64 << 20 // bytes of all texts that are looked at
	maxSteps = 500_000  // values that are looked at
	maxDepth = 100      // functions within functions
	maxErrs  = 50
)

// forEach begins the keys of loops.
const forEach = "Fn::ForEach::"

// template is a template at work.
type template struct {
	parameters map[string]*source.Node // by name
	mappings   *source.Node
	conditions map[string]*source.Node
	resources  *source.Node
	globals    *source.Node // of SAM
	macros     bool         // some macro may add to every resource
	more       bool         // there may be resources that the template does not show
	sam        bool

	out      []source.Resource
	lists    map[string]*source.Node // parameters that are lists
	merging  map[string]*source.Node // globals that were resolved
	loops    map[string]source.Text  // the variables of the loops that are under way
	decided  map[string]source.Truth // conditions that were decided
	deciding map[string]bool
	steps    int
	bytes    int
	full     bool // a bound was met, and told
	errs     []error
}

func newTemplate(root *source.Node) *template {
	t := &template{
		parameters: map[string]*source.Node{}, conditions: map[string]*source.Node{},
		mappings: root.Get("Mappings"), resources: root.Get("Resources"), globals: root.Get("Globals"),
		lists: map[string]*source.Node{}, merging: map[string]*source.Node{}, loops: map[string]source.Text{},
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
		switch name := m.Text.String(); {
		case m.Kind == source.KindString && strings.HasPrefix(name, "AWS::Serverless-"):
			t.sam, t.more = true, true
		case m.Kind == source.KindString && (name == "AWS::LanguageExtensions" || strings.HasPrefix(name, "AWS::SecretsManager-") || name == "AWS::CodeDeployBlueGreen"):
		default:
			t.macros = true
		}
	}
	t.macros = t.macros || root.Get("Fn::Transform") != nil
	t.more = t.more || t.macros
	for _, f := range t.resources.Fields {
		if strings.HasPrefix(f.Name, "Fn::") || isModule(f.Value.Get("Type")) {
			t.more = true
		}
	}
	return t
}

func (t *template) fail(at source.Position, format string, args ...any) {
	if len(t.errs) < maxErrs {
		t.errs = append(t.errs, &source.Error{Position: at, Message: fmt.Sprintf(format, args...)})
	}
}

// spend counts work against its bounds, and reports whether it may be done.
func (t *template) spend(at source.Position, values, bytes int) bool {
	t.steps += values
	t.bytes += bytes
	if t.steps > maxSteps || t.bytes > maxBytes {
		t.tooLarge(at, "the template is too large with all its functions resolved")
		return false
	}
	return true
}

// tooLarge tells once that a bound was met.
func (t *template) tooLarge(at source.Position, format string, args ...any) {
	if !t.full {
		t.full = true
		// Not through fail: this is told whatever else was.
		t.errs = append(t.errs, &source.Error{Position: at, Message: fmt.Sprintf(format, args...)})
	}
}

// read reads resources.
func (t *template) read(fields []source.Field, depth int) {
	for _, f := range fields {
		switch {
		case strings.HasPrefix(f.Name, forEach):
			t.repeat(f, depth+1)
		case strings.HasPrefix(f.Name, "Fn::"): // a macro makes resources that are not known
		default:
			if r, ok := t.resource(f); ok {
				t.out = append(t.out, r)
			}
		}
	}
}

// repeat reads the resources that a loop makes (AWS::LanguageExtensions,
// "Fn::ForEach"). A loop over what is not known is read once, with its variable
// unknown.
func (t *template) repeat(f source.Field, depth int) {
	args := f.Value
	if args.Kind != source.KindList || len(args.Items) != 3 || args.Items[0].Kind != source.KindString || args.Items[2].Kind != source.KindMap {
		t.fail(args.Position, "%.100s: expected a name, a list and an object with resources", f.Name)
		return
	}
	name := args.Items[0].Text.String()
	if _, twice := t.loops[name]; twice || depth > maxDepth {
		t.fail(args.Items[0].Position, "%.100s: the name %.100q is taken by a loop around it", f.Name, name)
		return
	}
	turns := []source.Text{source.UnknownText("${" + name + "}")}
	if list := t.resolve(args.Items[1], depth); list != nil && list.Kind == source.KindList && !list.Open {
		turns = nil
		for _, item := range list.Items {
			turns = append(turns, t.asText(item, "${"+name+"}"))
		}
	}
	for _, turn := range turns {
		if !t.spend(f.Key.Position, 1+len(args.Items[2].Fields), 0) {
			break
		}
		t.loops[name] = turn
		fields := make([]source.Field, 0, len(args.Items[2].Fields))
		for _, r := range args.Items[2].Fields {
			key := t.looped(r.Key)
			fields = append(fields, source.Field{Name: key.String(), Key: key, Value: r.Value})
		}
		t.read(fields, depth)
	}
	delete(t.loops, name)
}

// looped is a text with the variables of loops in it, ${Name} and &{Name}.
func (t *template) looped(s source.Text) source.Text {
	whole, ok := s.Known()
	if !ok || len(t.loops) == 0 || !strings.Contains(whole, "{") {
		return s
	}
	var parts []source.Text
	for whole != "" {
		i := strings.IndexByte(whole, '{')
		end := -1
		if i > 0 {
			end = strings.IndexByte(whole[i:], '}')
		}
		if end < 0 {
			break
		}
		value, ok := t.loops[whole[i+1:i+end]]
		switch {
		case ok && whole[i-1] == '&': // without what a logical id must not hold
			known, isKnown := value.Known()
			if isKnown {
				value = source.Literal(strings.Map(alphanumeric, known))
			}
			fallthrough
		case ok && whole[i-1] == '$':
			parts = append(parts, source.Literal(whole[:i-1]), value)
		default:
			parts = append(parts, source.Literal(whole[:i+end+1]))
		}
		whole = whole[i+end+1:]
	}
	if parts == nil {
		return s
	}
	out := t.bounded(s.Position, append(parts, source.Literal(whole))...)
	return out.At(s.Position, source.Span{})
}

func alphanumeric(c rune) rune {
	if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return c
	}
	return -1
}

func (t *template) resource(f source.Field) (source.Resource, bool) {
	n := f.Value
	kind := n.Get("Type")
	if n.Kind != source.KindMap || kind == nil || kind.Kind != source.KindString || kind.Text.String() == "" {
		if n.Kind == source.KindUnknown || n.Get("Fn::Transform") != nil {
			return source.Resource{}, false // a macro makes it
		}
		t.fail(f.Key.Position, "the resource %.100s: expected a Type", f.Name)
		return source.Resource{}, false
	}
	r := source.Resource{Address: f.Name, Type: t.looped(kind.Text).String(), Position: f.Key.Position}
	r.Values = t.properties(f, n.Get("Properties"))
	r.Values = t.withGlobals(r.Type, r.Values)
	if t.macros || n.Get("Fn::Transform") != nil {
		open := *r.Values
		open.Open = true
		open.Text = source.UnknownText("Transform")
		r.Values = &open
	}
	return r, true
}

// properties are those of a resource, always an object.
func (t *template) properties(f source.Field, n *source.Node) *source.Node {
	out := &source.Node{Kind: source.KindMap, Position: f.Key.Position}
	if n == nil {
		return out
	}
	v := t.resolve(n, 0)
	switch {
	case v == nil || v.Kind == source.KindNull:
	case v.Kind == source.KindMap:
		return v
	case v.Kind == source.KindUnknown:
		out.Position, out.Open, out.Text = n.Position, true, v.Text
	default:
		t.fail(n.Position, "the resource %.100s: expected an object as its Properties, found %s", f.Name, v.Kind)
		out.Open, out.Text = true, source.UnknownText("Properties")
	}
	return out
}

// withGlobals adds what a SAM template says of all its functions. What a
// function says itself wins, lists are joined (SAM specification, "Globals").
func (t *template) withGlobals(kind string, values *source.Node) *source.Node {
	name, ok := strings.CutPrefix(kind, "AWS::Serverless::")
	if !ok || t.globals == nil {
		return values
	}
	globals, done := t.merging[name]
	if !done {
		globals = t.resolve(t.globals.Get(name), 0)
		t.merging[name] = globals
	}
	if globals == nil || globals.Kind != source.KindMap {
		return values
	}
	return t.merged(globals, values)
}

func (t *template) merged(base, own *source.Node) *source.Node {
	switch {
	case own == nil || !t.spend(own.Position, 1+len(base.Items)+len(own.Items)+len(base.Fields)+len(own.Fields), 0):
		return base
	case base.Kind == source.KindList && own.Kind == source.KindList:
		out := *own
		out.Items = append(append([]*source.Node{}, base.Items...), own.Items...)
		out.Open = base.Open || own.Open
		return &out
	case base.Kind != source.KindMap || own.Kind != source.KindMap:
		return own
	}
	out := *own
	out.Fields = append([]source.Field{}, own.Fields...)
	at := map[string]int{}
	for i, f := range out.Fields {
		at[f.Name] = i
	}
	for _, f := range base.Fields {
		if i, both := at[f.Name]; both {
			out.Fields[i].Value = t.merged(f.Value, out.Fields[i].Value)
			continue
		}
		out.Fields = append(out.Fields, f)
	}
	if base.Open && !out.Open {
		out.Open, out.Text = true, base.Text
	}
	return &out
}

func isModule(kind *source.Node) bool {
	return kind != nil && strings.HasSuffix(kind.Text.String(), "::MODULE")
}
