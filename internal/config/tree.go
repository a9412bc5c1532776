package config

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

// parseTree parses the file to one mapping, or says where it cannot.
func (r *reader) parseTree(text string) ast.Node {
	start := Pos{1, 1}
	tokens := lexer.Tokenize(text)
	if r.bound(tokens); len(r.problems) > 0 {
		return nil
	}
	// entries refuses a doubled key, among all other mistakes.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
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
	if r.depth(body, 0); len(r.problems) > 0 {
		return nil
	}
	return body
}

// depth bounds how deep the rest of the package recurses.
func (r *reader) depth(n ast.Node, level int) {
	if level > maxDepth {
		r.fail(n, "", "", "nested deeper than %d levels", maxDepth)
		return
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		for _, kv := range v.Values {
			r.depth(kv, level)
		}
	case *ast.MappingValueNode:
		r.depth(v.Value, level+1)
	case *ast.SequenceNode:
		for _, e := range v.Values {
			r.depth(e, level+1)
		}
	}
}

// Locate is the place in the file of a line and a column of a text's value,
// both from 1. In a quoted, folded or indented text it follows what YAML leaves
// out. A place that cannot be found is the text's own.
func (c *Config) Locate(t Text, line, column int) Pos {
	w := walker{lines: c.lines}
	w.moveTo(t.Pos)
	switch quote := w.peek(); quote {
	case '"', '\'':
		w.quote = quote
		w.skip(1)
	case '|', '>':
		w.block = true
		w.toNextLine()
		w.skipFold()
		w.skipBlank()
		w.indent = w.at.Column - 1
	}
	l, col := 1, 1
	for _, v := range t.Value {
		if l == line && col == column {
			w.skipFold()
			return w.at
		}
		if !w.step(v) {
			return t.Pos
		}
		if col++; v == '\n' {
			l, col = l+1, 1
		}
	}
	return w.at // right behind it, where something is missing
}

// walker goes through the file beside a value.
type walker struct {
	lines  []string
	at     Pos
	rest   string // what stands from here to the end of the line
	quote  rune   // 0: none
	block  bool   // | or >
	indent int    // of a block
}

func (w *walker) moveTo(p Pos) {
	w.at, w.rest = Pos{p.Line, 1}, ""
	if p.Line >= 1 && p.Line <= len(w.lines) {
		w.rest = w.lines[p.Line-1]
	}
	w.skip(p.Column - 1)
}

// peek is the character here, and 0 at the end of a line.
func (w *walker) peek() rune {
	if w.rest == "" {
		return 0
	}
	c, _ := utf8.DecodeRuneInString(w.rest)
	return c
}

func (w *walker) skip(n int) {
	for range n {
		_, size := utf8.DecodeRuneInString(w.rest)
		w.rest = w.rest[size:]
		w.at.Column++
	}
}

func (w *walker) toNextLine() { w.moveTo(Pos{w.at.Line + 1, 1}) }

// blank reports whether only blanks stand before the end of the line.
func (w *walker) blank() bool { return strings.TrimLeft(w.rest, " \t") == "" }

func (w *walker) skipBlank() {
	for c := w.peek(); c == ' ' || c == '\t'; c = w.peek() {
		w.skip(1)
	}
}

// skipFold goes over the end of a line and the next one's indentation, where
// only blanks stand before that end.
func (w *walker) skipFold() {
	for w.blank() && w.at.Line < len(w.lines) {
		w.toNextLine()
		w.skipBlank()
	}
}

// step goes over what stands for the character v of the value.
func (w *walker) step(v rune) bool {
	if v == ' ' && !w.blank() {
		if w.peek() != ' ' {
			return false
		}
		w.skip(1)
		return true
	}
	if v == '\n' && w.block {
		w.toNextLine()
		w.skip(w.indent)
		return true
	}
	if v == ' ' || v == '\n' && w.peek() != '\\' {
		w.skipFold()
		return true
	}
	w.skipFold()
	switch c := w.peek(); {
	case c == '\\' && w.quote == '"':
		w.skip(1)
		length := map[rune]int{'x': 3, 'u': 5, 'U': 9}[w.peek()]
		w.skip(max(length, 1))
	case c == '\'' && w.quote == '\'':
		w.skip(2)
	case c == v:
		w.skip(1)
	default:
		return false
	}
	return true
}
