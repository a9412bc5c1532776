package terraform

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// set makes a set of a list: each value once, in order.
func (e *evaluator) set(n *source.Node) *source.Node {
	out := e.distinct(n)
	if e.allKnown(out.Items) {
		slices.SortStableFunc(out.Items, func(a, b *source.Node) int { return strings.Compare(a.Text.String(), b.Text.String()) })
	}
	e.sets[out] = true
	return out
}

func (e *evaluator) allKnown(items []*source.Node) bool {
	return !slices.ContainsFunc(items, func(n *source.Node) bool {
		_, ok := n.Text.Known()
		return !ok || n.Kind == source.KindUnknown
	})
}

func (e *evaluator) distinct(n *source.Node) *source.Node {
	out := *n
	out.Items = nil
	seen := map[string]bool{}
	for _, i := range n.Items {
		if text, ok := i.JSON(); ok {
			key := i.Kind.String() + string(text)
			if seen[key] {
				continue
			}
			seen[key] = true
		}
		out.Items = append(out.Items, i)
	}
	return &out
}

// call evaluates a function. One that is not among these is unknown.
func (e *evaluator) call(x *hclsyntax.FunctionCallExpr, s *scope) *source.Node {
	r := x.Range()
	if x.Name == "try" || x.Name == "can" {
		// Which arguments fail is not known where something is not known.
		if x.Name == "try" && len(x.Args) > 0 && !x.ExpandFinal {
			if n := e.eval(x.Args[0], s); n.Kind != source.KindUnknown {
				return n
			}
		}
		return e.unknown(r)
	}
	var args []*source.Node
	for i, a := range x.Args {
		n := e.eval(a, s)
		if x.ExpandFinal && i == len(x.Args)-1 {
			if n.Kind != source.KindList || n.Open {
				return e.unknown(r)
			}
			args = append(args, n.Items...)
			continue
		}
		args = append(args, n)
	}
	if n := e.apply(x.Name, args, s, r); n != nil {
		return n
	}
	return e.unknown(r)
}

// apply is the value of a function; nil where it is not known.
func (e *evaluator) apply(name string, args []*source.Node, s *scope, r hcl.Range) *source.Node {
	at := e.position(r)
	if f := textFunctions[name]; f != nil {
		return e.textFunction(f, args, at)
	}
	if len(args) == 0 {
		return nil
	}
	first := args[0]
	switch name {
	case "jsonencode":
		return e.encode(first)
	case "jsondecode":
		if e.encoded[first] {
			out := *first
			return &out
		}
		if first.Kind == source.KindString {
			if _, ok := first.Text.Known(); ok {
				return e.decoded(first)
			}
		}
		return nil
	case "format", "formatlist":
		return e.format(name, args, at)
	case "join":
		return e.join(args, at)
	case "replace":
		return e.replace(args, at)
	case "file", "templatefile":
		return e.file(name, args, s, at)
	case "range":
		return counted(args, at)
	case "coalesce":
		for _, a := range args {
			if a.Kind == source.KindUnknown {
				return nil
			}
			if t, ok := a.Text.Known(); a.Kind != source.KindNull && !(a.Kind == source.KindString && ok && t == "") {
				if !ok && a.Kind == source.KindString && !nonEmpty(a.Text) {
					return nil
				}
				return a
			}
		}
		return nil
	case "nonsensitive", "tostring", "tonumber", "tobool":
		if name == "tostring" && (first.Kind == source.KindNumber || first.Kind == source.KindBool) {
			return str(first.Position, first.Text)
		}
		return first
	}
	return e.collection(name, args, at)
}

func nonEmpty(t source.Text) bool {
	return slices.ContainsFunc(t.Parts, func(p source.Part) bool { return p.Literal != "" })
}

// textFunctions take known texts.
var textFunctions = map[string]func(a []string) (any, bool){
	"lower":      one(strings.ToLower),
	"upper":      one(strings.ToUpper),
	"trimspace":  one(strings.TrimSpace),
	"chomp":      one(func(s string) string { return strings.TrimRight(s, "\r\n") }),
	"trimprefix": two(strings.TrimPrefix),
	"trimsuffix": two(strings.TrimSuffix),
	"trim":       two(strings.Trim),
	"startswith": func(a []string) (any, bool) { return len(a) == 2 && strings.HasPrefix(a[0], a[1]), len(a) == 2 },
	"endswith":   func(a []string) (any, bool) { return len(a) == 2 && strings.HasSuffix(a[0], a[1]), len(a) == 2 },
	"split": func(a []string) (any, bool) {
		if len(a) != 2 || strings.Count(a[1], a[0]) > maxText/64 {
			return nil, false
		}
		if a[1] == "" {
			return []string{""}, true
		}
		return strings.Split(a[1], a[0]), true
	},
	"substr": func(a []string) (any, bool) {
		if len(a) != 3 {
			return nil, false
		}
		from, err := strconv.Atoi(a[1])
		n, err2 := strconv.Atoi(a[2])
		runes := []rune(a[0])
		if err != nil || err2 != nil || from < 0 || from > len(runes) {
			return nil, false
		}
		if n < 0 || n > len(runes)-from {
			n = len(runes) - from
		}
		return string(runes[from : from+n]), true
	},
}

func one(f func(string) string) func([]string) (any, bool) {
	return func(a []string) (any, bool) {
		if len(a) != 1 {
			return nil, false
		}
		return f(a[0]), true
	}
}

func two(f func(a, b string) string) func([]string) (any, bool) {
	return func(a []string) (any, bool) {
		if len(a) != 2 {
			return nil, false
		}
		return f(a[0], a[1]), true
	}
}

func (e *evaluator) textFunction(f func([]string) (any, bool), args []*source.Node, at source.Position) *source.Node {
	var texts []string
	for _, a := range args {
		t, ok := e.text(a).Known()
		if !ok {
			return nil
		}
		texts = append(texts, t)
	}
	v, ok := f(texts)
	if !ok {
		return nil
	}
	switch v := v.(type) {
	case string:
		return known(at, v)
	case bool:
		return boolean(at, v)
	}
	out := list(at, nil)
	for _, item := range v.([]string) {
		out.Items = append(out.Items, known(at, item))
	}
	return out
}

// encode marks a value as standing for its JSON text. It stays an object, so
// that a policy in it keeps its places.
func (e *evaluator) encode(n *source.Node) *source.Node {
	if n.Kind != source.KindList && n.Kind != source.KindMap {
		if text, ok := n.JSON(); ok && !e.encoded[n] {
			return known(n.Position, string(text))
		}
		return nil
	}
	out := e.plain(n)
	if out == n {
		copied := *n
		out = &copied
	}
	e.encoded[out] = true
	return out
}

// plain is a value in which texts that are encoded already are texts.
func (e *evaluator) plain(n *source.Node) *source.Node {
	if e.encoded[n] {
		return str(n.Position, e.text(n))
	}
	if n.Kind != source.KindList && n.Kind != source.KindMap {
		return n
	}
	out := *n
	out.Items, out.Fields = nil, nil
	for _, i := range n.Items {
		out.Items = append(out.Items, e.plain(i))
	}
	for _, f := range n.Fields {
		out.Fields = append(out.Fields, source.NewField(f.Key, e.plain(f.Value)))
	}
	return &out
}

func (e *evaluator) join(args []*source.Node, at source.Position) *source.Node {
	var items []source.Text
	for _, a := range args[1:] {
		if a.Kind != source.KindList || a.Open {
			return nil
		}
		for _, i := range a.Items {
			if len(items) > 0 {
				items = append(items, e.text(args[0]))
			}
			items = append(items, e.text(i))
		}
	}
	return e.joined(at, items)
}

// replace follows Terraform: a text between slashes is a regular expression,
// which is not evaluated.
func (e *evaluator) replace(args []*source.Node, at source.Position) *source.Node {
	if len(args) != 3 {
		return nil
	}
	s, ok := e.text(args[0]).Known()
	old, ok2 := e.text(args[1]).Known()
	by, ok3 := e.text(args[2]).Known()
	if !ok || !ok2 || !ok3 || len(old) > 1 && strings.HasPrefix(old, "/") && strings.HasSuffix(old, "/") {
		return nil
	}
	if n := strings.Count(s, old); n > 0 && n*len(by) > maxText {
		return nil
	}
	return known(at, strings.ReplaceAll(s, old, by))
}

// format knows the verbs %s, %d, %v and %%; of texts that are partly unknown,
// the known parts stay.
func (e *evaluator) format(name string, args []*source.Node, at source.Position) *source.Node {
	spec, ok := e.text(args[0]).Known()
	if !ok || args[0].Kind != source.KindString {
		return nil
	}
	rest := args[1:]
	if name == "format" {
		return e.formatted(spec, rest, at)
	}
	n := -1
	for _, a := range rest {
		if a.Kind == source.KindUnknown || a.Open {
			return nil
		}
		if a.Kind == source.KindList {
			if n >= 0 && n != len(a.Items) {
				return nil
			}
			n = len(a.Items)
		}
	}
	if n < 0 {
		n = 1
	}
	out := list(at, nil)
	for i := range n {
		var row []*source.Node
		for _, a := range rest {
			if a.Kind == source.KindList {
				a = a.Items[i]
			}
			row = append(row, a)
		}
		v := e.formatted(spec, row, at)
		if v == nil {
			return nil
		}
		out.Items = append(out.Items, v)
	}
	return out
}

func (e *evaluator) formatted(spec string, args []*source.Node, at source.Position) *source.Node {
	var texts []source.Text
	for {
		before, after, found := strings.Cut(spec, "%")
		texts = append(texts, source.Literal(before))
		if !found {
			break
		}
		if after == "" {
			return nil
		}
		spec = after[1:]
		switch after[0] {
		case '%':
			texts = append(texts, source.Literal("%"))
			continue
		case 's', 'v', 'd':
		default:
			return nil
		}
		if len(args) == 0 || args[0].Kind == source.KindNull {
			return nil
		}
		if _, isInt := whole(args[0]); after[0] == 'd' && !isInt && args[0].Kind != source.KindUnknown {
			return nil
		}
		texts = append(texts, e.text(args[0]))
		args = args[1:]
	}
	if len(args) > 0 {
		return nil
	}
	return e.joined(at, texts)
}

// file is a file of the module's folder, if it was given. A template is
// evaluated with its own names only.
func (e *evaluator) file(name string, args []*source.Node, s *scope, at source.Position) *source.Node {
	if s.m == nil {
		return nil
	}
	t := args[0].Text
	if len(t.Parts) > 1 && t.Parts[0].Unknown == "${path.module}" {
		t = source.Join(source.Literal("."), source.Text{Parts: t.Parts[1:]})
	}
	p, ok := t.Known()
	if !ok {
		return nil
	}
	data, ok := s.m.c.files[path.Clean(p)]
	if !ok || len(data) > maxText || source.CheckUTF8("", data) != nil {
		return nil
	}
	if name == "file" {
		return known(at, string(data))
	}
	if len(args) != 2 || args[1].Kind != source.KindMap || args[1].Open {
		return nil
	}
	x := e.parseTemplate(string(data), at)
	if x == nil {
		return nil
	}
	names := map[string]*source.Node{}
	for _, f := range args[1].Fields {
		names[f.Name] = f.Value
	}
	return e.eval(x, &scope{names: names})
}
