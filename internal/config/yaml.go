package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// reader walks the syntax tree of a file and collects the mistakes.
type reader struct {
	cfg       *Config
	problems  Problems
	issuersOf [][]Text // of each rule, the issuers that it names
}

func (r *reader) fail(n ast.Node, path, hint, format string, args ...any) {
	r.failAt(pos(n), path, hint, format, args...)
}

func (r *reader) failAt(p Pos, path, hint, format string, args ...any) {
	switch {
	case r.full():
		return
	case len(r.problems) == MaxProblems-1:
		path, hint, format, args = "", "", "there are more mistakes than these %d", []any{MaxProblems - 1}
	}
	if lines := r.cfg.lines; p.Line <= len(lines) { // the parser puts what is left out anywhere
		p.Column = min(p.Column, utf8.RuneCountInString(lines[p.Line-1])+1)
	}
	r.problems.Add(r.cfg, p, path, hint, format, args...)
}

// full reports whether so many mistakes are told that no more are looked for.
func (r *reader) full() bool { return len(r.problems) >= MaxProblems }

func (r *reader) warn(p Pos, path, hint, format string, args ...any) {
	r.cfg.warnings.Add(r.cfg, p, path, hint, format, args...)
}

// pos is where a node begins. The parser hangs a mapping at its first colon.
func pos(n ast.Node) Pos {
	switch v := n.(type) {
	case nil:
		return Pos{1, 1}
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return pos(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return pos(v.Key)
	case *ast.LiteralNode:
		return tokenPos(v.Start)
	}
	return tokenPos(n.GetToken())
}

func tokenPos(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{1, 1}
	}
	return Pos{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// entry is one key of a mapping with its value.
type entry struct {
	key   string
	pos   Pos
	value ast.Node
}

// entries are the keys of a mapping, none twice.
func (r *reader) entries(n ast.Node, path string) []entry {
	var values []*ast.MappingValueNode
	switch v := n.(type) {
	case *ast.MappingNode:
		values = v.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{v}
	default:
		r.fail(n, path, "", "expected keys with values, found %s", kindOf(n))
		return nil
	}
	var all []entry
	first := make(map[string]Pos, len(values))
	for _, kv := range values {
		key, ok := scalarText(kv.Key)
		if !ok {
			r.fail(kv.Key, path, "", "expected a key, found %s", kindOf(kv.Key))
			continue
		}
		if at, twice := first[key]; twice {
			r.fail(kv.Key, path, "keep one of them", "the key %q stands twice, first in line %d", key, at.Line)
			continue
		}
		first[key] = pos(kv.Key)
		value := kv.Value
		if null, ok := value.(*ast.NullNode); ok && null.Token.Type == token.ImplicitNullType {
			value = nil // nothing stands there, so the mistake stands at the key
		}
		all = append(all, entry{key, pos(kv.Key), value})
	}
	return all
}

// mapping reads a mapping whose keys are known; each has its own reader. It
// answers whether a key is missing: one that is there and wrong, or misspelt,
// or where there is no mapping at all, is another mistake, told already.
func (r *reader) mapping(n ast.Node, path string, known map[string]func(ast.Node)) (missing func(key string) bool) {
	present := map[string]bool{}
	before := len(r.problems)
	for _, e := range r.entries(n, path) {
		if r.full() {
			break
		}
		read, ok := known[e.key]
		if !ok {
			present[r.unknown(e, path, known)] = true
			continue
		}
		present[e.key] = true
		if _, empty := e.value.(*ast.NullNode); empty || e.value == nil {
			r.failAt(e.pos, join(path, e.key), "give it a value, or leave the key out", "the value is empty")
			continue
		}
		read(e.value)
	}
	if len(present) == 0 && len(r.problems) > before {
		return func(string) bool { return false }
	}
	return func(key string) bool { return !present[key] }
}

// unknown refuses a key, and answers which one was probably meant.
func (r *reader) unknown(e entry, path string, known map[string]func(ast.Node)) string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	hint := "known here: " + strings.Join(names, ", ")
	near := nearest(e.key, names)
	if near != "" {
		hint = "did you mean " + near + "?"
	}
	r.failAt(e.pos, path, hint, "unknown key %q", e.key)
	return near
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// list reads a sequence.
func (r *reader) list(n ast.Node, path string, read func(n ast.Node, path string)) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fail(n, path, "", "expected a list, found %s", kindOf(n))
		return
	}
	for i, e := range seq.Values {
		read(e, fmt.Sprintf("%s[%d]", path, i))
	}
}

// oneOrMore reads a text or a list of texts.
func (r *reader) oneOrMore(n ast.Node, path string) []Text {
	var texts []Text
	if _, ok := n.(*ast.SequenceNode); !ok {
		if t, ok := r.text(n, path); ok {
			texts = append(texts, t)
		}
		return texts
	}
	r.list(n, path, func(n ast.Node, path string) {
		if t, ok := r.text(n, path); ok {
			texts = append(texts, t)
		}
	})
	if len(texts) == 0 && len(n.(*ast.SequenceNode).Values) == 0 {
		r.fail(n, path, "name at least one value", "the list is empty")
	}
	return texts
}

// numeric is what a YAML reader may take for a number, whatever this one does.
var numeric = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// decimal is an integer that reads the same however YAML takes it.
var decimal = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)

// text reads a text. A whole number or a boolean counts as the text that
// stands there, since ids look like numbers; what YAML could read as another
// value than it shows must be quoted.
func (r *reader) text(n ast.Node, path string) (Text, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		if v.Token.Type == token.StringType && numeric.MatchString(v.Value) {
			r.fail(n, path, fmt.Sprintf("quote it: %q", v.Value), "expected a text, found the number %q", v.Value)
			return Text{}, false
		}
		return r.printable(Text{v.Value, pos(n)}, path)
	case *ast.LiteralNode:
		return r.printable(Text{strings.TrimRight(v.Value.Value, "\n"), pos(n)}, path)
	case *ast.IntegerNode:
		if source := v.Token.Value; decimal.MatchString(source) {
			return Text{source, pos(n)}, true
		}
	case *ast.BoolNode:
		if source := v.Token.Value; source == "true" || source == "false" {
			return Text{source, pos(n)}, true
		}
	case *ast.NullNode, nil:
		r.fail(n, path, "give it a value", "the value is empty")
		return Text{}, false
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		r.fail(n, path, "", "expected a text, found %s", kindOf(n))
		return Text{}, false
	}
	r.fail(n, path, fmt.Sprintf("quote it: %q", n.GetToken().Value), "expected a text, found %s", kindOf(n))
	return Text{}, false
}

func (r *reader) printable(t Text, path string) (Text, bool) {
	if strings.ContainsFunc(t.Value, func(c rune) bool { return c < 0x20 && c != '\n' && c != '\t' || c == 0x7f }) {
		r.failAt(t.Pos, path, "", "the text holds a control character")
		return Text{}, false
	}
	return t, true
}

func (r *reader) boolean(n ast.Node, path string) bool {
	if b, ok := n.(*ast.BoolNode); ok {
		return b.Value
	}
	r.fail(n, path, "write true or false", "expected true or false, found %s", kindOf(n))
	return false
}

// duration reads a duration such as 15m within bounds.
func (r *reader) duration(n ast.Node, path string, least, most time.Duration) time.Duration {
	t, ok := r.text(n, path)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(t.Value)
	if err != nil {
		r.fail(n, path, "write it as 90s, 15m or 1h30m", "expected a duration, found %q", t.Value)
		return 0
	}
	if d < least || d > most || d%time.Second != 0 {
		r.fail(n, path, "", "expected whole seconds from %s to %s, found %s", short(least), short(most), t.Value)
		return 0
	}
	return d
}

// short is a duration without the units that are zero.
func short(d time.Duration) string {
	s := d.String()
	s = strings.TrimSuffix(s, "0s")
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func scalarText(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.IntegerNode:
		return v.Token.Value, true
	case *ast.BoolNode:
		return v.Token.Value, true
	}
	return "", false
}

func kindOf(n ast.Node) string {
	switch v := n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys with values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "a text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + strconv.Quote(v.GetToken().Value)
	case *ast.BoolNode:
		return "true or false"
	}
	return "something else"
}
