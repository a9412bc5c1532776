package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxNodes is how many values a YAML file may hold with its aliases resolved.
// A few lines of aliases to aliases would else grow without bound.
const MaxNodes = 200_000

// TagFunc says what a value with a tag of its own stands for, such as !Ref or
// !Sub. The value is without its tag. ok is false for a tag that is not known;
// the value is then not known either.
type TagFunc func(tag string, value *Node) (n *Node, ok bool, err error)

// ParseYAML reads the documents of a YAML file. A scalar keeps the text that
// stands there: no date and no number is changed, and yes and on are text.
// Aliases and merge keys are resolved. Doubled keys, keys that are not scalar,
// and text that is not UTF-8 are refused. tags may be nil. Every error is an
// *Error.
func ParseYAML(file string, data []byte, tags TagFunc) ([]*Node, error) {
	if err := CheckUTF8(file, data); err != nil {
		return nil, err
	}
	body := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	r := &yamlReader{lines: NewLines(file, body), starts: yamlLines(body), skipped: len(data) - len(body), tags: tags}
	dec := yaml.NewDecoder(bytes.NewReader(body))
	var docs []*Node
	for {
		var n yaml.Node
		err := decodeYAML(dec, &n)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, r.syntax(err)
		}
		for _, c := range n.Content {
			v, err := r.value(c, 0, nil)
			if err != nil {
				return nil, err
			}
			docs = append(docs, v)
		}
	}
}

// decodeYAML reads the next document. The parser is not ours: should it panic on
// a file, that file is refused and the others are still read.
func decodeYAML(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser gave up: %.200v", p)
		}
	}()
	return dec.Decode(n)
}

// yamlLines are the bytes at which the lines of a file begin for YAML, which
// knows more line breaks than an editor (YAML 1.1, section 5.4).
func yamlLines(data []byte) []int {
	starts := []int{0}
	for i := 0; i < len(data); i++ {
		rest := data[i:]
		switch {
		case rest[0] == '\n', rest[0] == '\r' && (len(rest) == 1 || rest[1] != '\n'):
			starts = append(starts, i+1)
		case bytes.HasPrefix(rest, []byte("\u0085")):
			starts = append(starts, i+2)
		case bytes.HasPrefix(rest, []byte("\u2028")), bytes.HasPrefix(rest, []byte("\u2029")):
			starts = append(starts, i+3)
		}
	}
	return starts
}

type yamlReader struct {
	lines   *Lines
	starts  []int // of lines as YAML counts them
	skipped int   // bytes before the text
	tags    TagFunc
	nodes   int
	deepest int                    // how deep values were nested so far
	aliased map[*yaml.Node]aliased // what anchors stand for
}

// aliased is what an anchor stands for, how many values that is, and how deep
// they are nested.
type aliased struct {
	value         *Node
	nodes, levels int
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

var yamlError = regexp.MustCompile(`(?s)^(?:line ([0-9]+): )?(.*)$`)

func (r *yamlReader) syntax(err error) error {
	e := &Error{Position: Position{File: r.lines.file, Line: 1, Column: 1}, Err: err}
	m := yamlError.FindStringSubmatch(strings.TrimPrefix(err.Error(), "yaml: "))
	e.Message = "not YAML: " + m[2]
	if line, err := strconv.Atoi(m[1]); err == nil {
		e.Position = r.lines.At(r.starts[max(1, min(line, len(r.starts)))-1])
	}
	return e
}

// offset is the byte at which a value begins.
func (r *yamlReader) offset(n *yaml.Node) int {
	data := r.lines.data
	at := r.lines.after(r.starts[max(1, min(n.Line, len(r.starts)))-1], n.Column-1)
	for at < len(data) && (data[at] == '!' || data[at] == '&') && (n.Tag != "" && data[at] == '!' || n.Anchor != "") {
		// The parser hangs a value at its tag or its anchor.
		rest := data[at:]
		end := bytes.IndexAny(rest, " \t\r\n")
		if end < 0 {
			return at
		}
		next := end + len(rest[end:]) - len(bytes.TrimLeft(rest[end:], " \t"))
		if next == len(rest) || rest[next] == '\n' || rest[next] == '\r' {
			return at // it stands on a line of its own
		}
		at += next
	}
	return at
}

// value reads a value inside depth others; within are the anchors that it
// stands in.
func (r *yamlReader) value(n *yaml.Node, depth int, within []*yaml.Node) (*Node, error) {
	start := r.offset(n)
	if r.nodes++; r.nodes > MaxNodes {
		return nil, r.lines.Errorf(start, "expected at most %d values with all aliases resolved", MaxNodes)
	}
	if depth > MaxDepth {
		return nil, r.lines.Errorf(start, "nested deeper than %d levels", MaxDepth)
	}
	r.deepest = max(r.deepest, depth)
	if n.Kind == yaml.AliasNode {
		if slices.Contains(within, n.Alias) {
			return nil, r.lines.Errorf(start, "the alias *%.64s stands inside of what it stands for", n.Value)
		}
		return r.alias(n.Alias, depth, within)
	}
	if n.Anchor != "" {
		within = append(slices.Clip(within), n)
	}
	out := &Node{Position: r.lines.At(start)}
	var err error
	switch n.Kind {
	case yaml.MappingNode:
		out.Kind = KindMap
		err = r.mapping(out, n, depth+1, within)
	case yaml.SequenceNode:
		out.Kind = KindList
		for _, c := range n.Content {
			item, err := r.value(c, depth+1, within)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, item)
		}
	default:
		out.Kind = scalarKind(n)
		out.Span = r.span(n, start)
		out.Text = Literal(n.Value).At(out.Position, out.Span)
	}
	if err != nil {
		return nil, err
	}
	return r.tagged(n, out, start)
}

// ownTag reports whether a value has a tag that is not one of YAML's.
func ownTag(n *yaml.Node) bool {
	return n.Tag != "" && n.Tag != "!" && !strings.HasPrefix(n.ShortTag(), "!!")
}

// alias is what an anchor stands for. It is read once; what it holds counts each
// time.
func (r *yamlReader) alias(n *yaml.Node, depth int, within []*yaml.Node) (*Node, error) {
	if a, ok := r.aliased[n]; ok && depth+a.levels <= MaxDepth {
		r.nodes += a.nodes
		r.deepest = max(r.deepest, depth+a.levels)
		return a.value, nil
	}
	before, deepest := r.nodes, r.deepest
	r.deepest = depth
	defer func() { r.deepest = max(r.deepest, deepest) }()
	v, err := r.value(n, depth, append(slices.Clip(within), n))
	if err != nil {
		return nil, err
	}
	if r.aliased == nil {
		r.aliased = map[*yaml.Node]aliased{}
	}
	r.aliased[n] = aliased{v, r.nodes - before, r.deepest - depth}
	return v, nil
}

// tagged applies a value's own tag.
func (r *yamlReader) tagged(n *yaml.Node, out *Node, start int) (*Node, error) {
	if !ownTag(n) {
		return out, nil
	}
	if r.tags != nil {
		v, ok, err := r.tags(n.Tag, out)
		if err != nil || ok {
			return v, err
		}
	}
	what := n.Tag
	if s := out.Text.String(); s != "" {
		what += " " + s
	}
	return &Node{Position: out.Position, Text: UnknownText(what).At(out.Position, Span{})}, nil
}

// scalarKind is what a scalar is. What only some readers take for a boolean or
// a date is text.
func scalarKind(n *yaml.Node) Kind {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return KindString
	}
	switch n.ShortTag() {
	case "!!null":
		return KindNull
	case "!!bool":
		if n.Value == "true" || n.Value == "false" {
			return KindBool
		}
	case "!!int", "!!float":
		// What JSON does not write as a number, such as an account id that
		// begins with 0, is kept as the text that stands there.
		if jsonNumber.MatchString(n.Value) {
			return KindNumber
		}
	}
	return KindString
}

func (r *yamlReader) mapping(out *Node, n *yaml.Node, depth int, within []*yaml.Node) error {
	at := map[string]int{}
	var merged []*Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		start := r.offset(k)
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode || ownTag(k) {
			return r.lines.Errorf(start, "expected a key that is text")
		}
		key := Literal(k.Value).At(r.lines.At(start), r.span(n.Content[i], start))
		v, err := r.value(n.Content[i+1], depth, within)
		if err != nil {
			return err
		}
		if k.ShortTag() == "!!merge" {
			if merged != nil {
				return r.lines.Errorf(start, "the key << stands twice")
			}
			merged = append(merged, v.List()...)
			continue
		}
		if _, twice := at[k.Value]; twice {
			return r.lines.Errorf(start, "the key %.64q stands twice", k.Value)
		}
		at[k.Value] = len(out.Fields)
		out.Fields = append(out.Fields, NewField(key, v))
	}
	// Keys that stand here win over merged ones, and earlier ones over later.
	for _, m := range merged {
		if m.Kind != KindMap {
			return &Error{Position: m.Position, Message: fmt.Sprintf("expected a mapping to merge, found %s", m.Kind)}
		}
		for _, f := range m.Fields {
			if _, own := at[f.Name]; !own {
				at[f.Name] = len(out.Fields)
				out.Fields = append(out.Fields, f)
			}
		}
	}
	return nil
}

// span is where a scalar stands in the file, with its quotes; the zero Span
// for one that goes over several lines or does not stand there literally.
func (r *yamlReader) span(n *yaml.Node, start int) Span {
	rest := r.lines.data[start:]
	end := 0
	switch {
	case n.Kind != yaml.ScalarNode:
	case n.Style&yaml.DoubleQuotedStyle != 0 && len(rest) > 0 && rest[0] == '"':
		for i := 1; i < len(rest) && rest[i] != '\n' && end == 0; i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				end = i + 1
			}
		}
	case n.Style&yaml.SingleQuotedStyle != 0 && len(rest) > 0 && rest[0] == '\'':
		for i := 1; i < len(rest) && rest[i] != '\n' && end == 0; i++ {
			if rest[i] != '\'' {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == '\'' {
				i++
				continue
			}
			end = i + 1
		}
	case n.Style&^yaml.TaggedStyle == 0 && n.Value != "" && !strings.Contains(n.Value, "\n") && bytes.HasPrefix(rest, []byte(n.Value)):
		end = len(n.Value)
	}
	if end == 0 {
		return Span{}
	}
	return Span{Start: r.skipped + start, End: r.skipped + start + end}
}
