package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// reader walks the syntax tree of a file and collects the mistakes.
type reader struct {
	cfg      *Config
	problems Problems
}

func (r *reader) fail(n ast.Node, path, hint, format string, args ...any) {
	r.failAt(pos(n), path, hint, format, args...)
}

func (r *reader) failAt(p Pos, path, hint, format string, args ...any) {
	r.problems.Add(r.cfg, p, path, hint, format, args...)
}

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

// parseTree parses the file to one mapping, or says where it cannot.
func (r *reader) parseTree(data []byte) ast.Node {
	start := Pos{1, 1}
	switch {
	case len(data) > MaxFile:
		r.failAt(start, "", "", "expected a file of at most %d bytes", MaxFile)
		return nil
	case !utf8.Valid(data):
		r.failAt(start, "", "save the file as UTF-8", "the file is not valid UTF-8")
		return nil
	}
	if depth := flowDepth(data); depth > maxDepth {
		r.failAt(start, "", "", "nested deeper than %d levels", maxDepth)
		return nil
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			r.failAt(tokenPos(syntax.GetToken()), "", "", "not YAML: %s", syntax.GetMessage())
		} else {
			r.failAt(start, "", "", "not YAML: %s", err)
		}
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			r.fail(doc.Body, "", "keep one document in the file", "a second document begins here")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		r.failAt(start, "", "docs/configuration.md shows an example", "the file is empty")
		return nil
	}
	if r.refuseIndirection(body, 0); len(r.problems) > 0 {
		return nil
	}
	return body
}

// flowDepth bounds how deep brackets nest before anything recurses into them.
func flowDepth(data []byte) int {
	depth, deepest := 0, 0
	for _, b := range data {
		switch b {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth = max(depth-1, 0)
		case '\n': // templates and text may hold unbalanced brackets
			if depth < maxDepth {
				depth = 0
			}
		}
	}
	return deepest
}

// refuseIndirection refuses anchors, aliases, merges and tags: what a file
// grants must stand where it is read, and an alias can grow without bound.
func (r *reader) refuseIndirection(n ast.Node, depth int) {
	if depth > maxDepth {
		r.fail(n, "", "", "nested deeper than %d levels", maxDepth)
		return
	}
	switch v := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		r.fail(n, "", "write the value out", "anchors, aliases and merge keys are not supported")
	case *ast.TagNode:
		r.fail(n, "", "write the value without the tag", "tags are not supported")
	case *ast.MappingNode:
		for _, kv := range v.Values {
			r.refuseIndirection(kv, depth)
		}
	case *ast.MappingValueNode:
		if _, ok := v.Key.(*ast.MergeKeyNode); ok {
			r.fail(v.Key, "", "write the values out", "anchors, aliases and merge keys are not supported")
			return
		}
		r.refuseIndirection(v.Value, depth+1)
	case *ast.SequenceNode:
		for _, e := range v.Values {
			r.refuseIndirection(e, depth+1)
		}
	}
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
	for _, kv := range values {
		key, ok := scalarText(kv.Key)
		if !ok {
			r.fail(kv.Key, path, "", "expected a key, found %s", kindOf(kv.Key))
			continue
		}
		if slices.ContainsFunc(all, func(e entry) bool { return e.key == key }) {
			r.fail(kv.Key, path, "", "the key %q stands twice", key)
			continue
		}
		all = append(all, entry{key, pos(kv.Key), kv.Value})
	}
	return all
}

// mapping reads a mapping whose keys are known; each has its own reader.
func (r *reader) mapping(n ast.Node, path string, known map[string]func(ast.Node)) {
	for _, e := range r.entries(n, path) {
		read, ok := known[e.key]
		if !ok {
			r.unknown(e, path, known)
			continue
		}
		if _, empty := e.value.(*ast.NullNode); empty || e.value == nil {
			r.failAt(e.pos, join(path, e.key), "give it a value, or leave the key out", "the value is empty")
			continue
		}
		read(e.value)
	}
}

func (r *reader) unknown(e entry, path string, known map[string]func(ast.Node)) {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	hint := "known here: " + strings.Join(names, ", ")
	if near := nearest(e.key, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	r.failAt(e.pos, path, hint, "unknown key %q", e.key)
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

// decimal is an integer that reads the same however YAML takes it.
var decimal = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)

// text reads a text. A whole number or a boolean counts as the text that
// stands there, since ids look like numbers; what YAML could read as another
// value than it shows must be quoted.
func (r *reader) text(n ast.Node, path string) (Text, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		if strings.ContainsFunc(v.Value, func(c rune) bool { return c < 0x20 && c != '\n' && c != '\t' }) {
			r.fail(n, path, "", "the text holds a control character")
			return Text{}, false
		}
		return Text{v.Value, pos(n)}, true
	case *ast.LiteralNode:
		return Text{strings.TrimRight(v.Value.Value, "\n"), pos(v.Value)}, true
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

// nearest is the one of names that s is probably a misspelling of, or empty.
func nearest(s string, names []string) string {
	best, least := "", max(1, len(s)/4)+1
	for _, name := range names {
		if d := distance(s, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is the edit distance in which neighbours that changed places count
// once.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
