package config

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

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
	tokens := lexer.Tokenize(string(data))
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

// bound holds the file to what may be parsed at all. The parser recurses, and
// builds the path of each node from that of its parent, so a few kilobytes of
// brackets would cost gigabytes; and it copies a mapping for each of its keys.
// Anchors, aliases, merges and tags are refused:
// what a file grants must stand where it is read, and an alias can grow without
// bound.
func (r *reader) bound(tokens token.Tokens) {
	var flow, inLine, line int
	keys := map[int]int{} // so far, by column, or below 0 by depth of brackets
	for _, t := range tokens {
		if l := tokenPos(t).Line; l != line {
			line, inLine = l, 0
		}
		switch t.Type {
		case token.AliasType:
			r.failAt(tokenPos(t), "", `write the value out, or quote a pattern that begins with *, as in "*-prod"`, "anchors, aliases and merge keys are not supported")
			return
		case token.AnchorType, token.MergeKeyType:
			r.failAt(tokenPos(t), "", "write the value out", "anchors, aliases and merge keys are not supported")
			return
		case token.TagType:
			r.failAt(tokenPos(t), "", "write the value without the tag, or quote a text that begins with !", "tags are not supported")
			return
		case token.MappingStartType, token.SequenceStartType:
			flow++
			keys[-flow] = 0
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			inLine++
			forget(keys, tokenPos(t).Column)
		case token.MappingValueType:
			of := -flow
			if flow <= 0 {
				of = tokenPos(t.Prev).Column
				forget(keys, of)
			}
			if keys[of]++; keys[of] > maxKeys {
				r.failAt(tokenPos(t), "", "", "expected at most %d keys in one mapping", maxKeys)
				return
			}
		}
		if flow+inLine > maxDepth {
			r.failAt(tokenPos(t), "", "", "nested deeper than %d levels", maxDepth)
			return
		}
	}
}

// forget drops the counts of the mappings that end where one begins, or goes
// on, further left.
func forget(keys map[int]int, column int) {
	for c := range keys {
		if c > column {
			delete(keys, c)
		}
	}
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
	w := walker{lines: c.lines, at: t.Pos}
	switch quote := w.peek(); quote {
	case '"', '\'':
		w.quote = quote
		w.next()
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
	quote  rune // 0: none
	block  bool // | or >
	indent int  // of a block
}

// rest is what stands from here to the end of the line.
func (w *walker) rest() string {
	if w.at.Line < 1 || w.at.Line > len(w.lines) {
		return ""
	}
	s := w.lines[w.at.Line-1]
	for range w.at.Column - 1 {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	return s
}

// peek is the character here, and 0 at the end of a line.
func (w *walker) peek() rune {
	for _, c := range w.rest() {
		return c
	}
	return 0
}

func (w *walker) next() { w.at.Column++ }

func (w *walker) toNextLine() { w.at = Pos{w.at.Line + 1, 1} }

func (w *walker) skipBlank() {
	for c := w.peek(); c == ' ' || c == '\t'; c = w.peek() {
		w.next()
	}
}

// skipFold goes over the end of a line and the next one's indentation, where
// only blanks stand before that end.
func (w *walker) skipFold() {
	for strings.Trim(w.rest(), " \t\r") == "" && w.at.Line < len(w.lines) {
		w.toNextLine()
		w.skipBlank()
	}
}

// step goes over what stands for the character v of the value.
func (w *walker) step(v rune) bool {
	if v == ' ' && strings.Trim(w.rest(), " \t\r") != "" {
		if w.peek() != ' ' {
			return false
		}
		w.next()
		return true
	}
	if v == '\n' && w.block {
		w.toNextLine()
		w.at.Column += w.indent
		return true
	}
	if v == ' ' || v == '\n' && w.peek() != '\\' {
		w.skipFold()
		return true
	}
	w.skipFold()
	switch c := w.peek(); {
	case c == '\\' && w.quote == '"':
		w.next()
		length := map[rune]int{'x': 3, 'u': 5, 'U': 9}[w.peek()]
		w.at.Column += max(length, 1)
	case c == '\'' && w.quote == '\'':
		w.at.Column += 2
	case c == v:
		w.next()
	default:
		return false
	}
	return true
}
