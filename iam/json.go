package iam

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The limits of the parser. They bound what a hostile document can cost; the
// quotas of AWS, which are far lower, are for a linter to check.
const (
	maxDocument = 128 << 10
	maxDepth    = 16
)

// Position is a place in a policy document. Both numbers start at 1, and a
// column counts characters, not bytes.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// IsZero reports whether p is the zero Position, which is no place at all.
func (p Position) IsZero() bool { return p == Position{} }

func (p Position) String() string { return fmt.Sprintf("line %d, column %d", p.Line, p.Column) }

// SyntaxError says what is wrong with a policy document, and where.
type SyntaxError struct {
	Line, Column int
	Path         string // such as Statement[0].Condition.StringLike; empty for the document
	Message      string
}

func (e *SyntaxError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
	}
	return fmt.Sprintf("line %d, column %d: %s: %s", e.Line, e.Column, e.Path, e.Message)
}

type nodeKind uint8

const (
	kindNull nodeKind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

func (k nodeKind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// node is a JSON value that knows where it stood. encoding/json is not used
// for reading: it lets a doubled key through (the last one wins, so a second
// Condition would silently replace the first), replaces invalid characters,
// and matches names in any case.
type node struct {
	kind    nodeKind
	pos     Position
	text    string // string contents; numbers and booleans as written
	items   []node
	members []member
}

type member struct {
	name string
	pos  Position
	node node
}

// reader counts columns and builds paths only as far as it must: a document
// may be one long line, or hang thousands of values below one long name.
type reader struct {
	src     []byte
	off     int
	line    int
	column  int // of offset counted
	counted int
	path    []step
}

// step is a name or an index on the way to a value.
type step struct {
	name  string
	index int
	list  bool // index counts, not name
}

func (r *reader) pos() Position {
	r.column += utf8.RuneCount(r.src[r.counted:r.off])
	r.counted = r.off
	return Position{Line: r.line, Column: r.column}
}

// newline is called behind a line feed.
func (r *reader) newline() {
	r.line++
	r.column, r.counted = 1, r.off
}

func (r *reader) fail(pos Position, format string, args ...any) *SyntaxError {
	var path strings.Builder
	for _, s := range r.path {
		switch {
		case s.list:
			fmt.Fprintf(&path, "[%d]", s.index)
		case path.Len() > 0:
			path.WriteString("." + s.name)
		default:
			path.WriteString(s.name)
		}
	}
	return fail(pos, path.String(), format, args...)
}

func fail(pos Position, path, format string, args ...any) *SyntaxError {
	return &SyntaxError{Line: pos.Line, Column: pos.Column, Path: path, Message: fmt.Sprintf(format, args...)}
}

// readDocument reads one JSON value and nothing else.
func readDocument(src []byte) (node, *SyntaxError) {
	if len(src) > maxDocument {
		return node{}, fail(Position{1, 1}, "", "the document has %d bytes, more than the %d this package reads", len(src), maxDocument)
	}
	r := &reader{src: src, line: 1, column: 1}
	if !utf8.Valid(src) {
		for r.off < len(src) {
			c, size := utf8.DecodeRune(src[r.off:])
			if c == utf8.RuneError && size == 1 {
				break
			}
			r.off += size
			if c == '\n' {
				r.newline()
			}
		}
		return node{}, r.fail(r.pos(), "invalid UTF-8")
	}
	r.space()
	n, err := r.value(1)
	if err != nil {
		return node{}, err
	}
	r.space()
	if r.off < len(r.src) {
		return node{}, r.fail(r.pos(), "data after the end of the policy")
	}
	return n, nil
}

func (r *reader) space() {
	for r.off < len(r.src) {
		switch r.src[r.off] {
		case '\n':
			r.off++
			r.newline()
		case ' ', '\t', '\r':
			r.off++
		default:
			return
		}
	}
}

func (r *reader) peek() byte {
	if r.off < len(r.src) {
		return r.src[r.off]
	}
	return 0
}

func (r *reader) unexpected(wanted string) *SyntaxError {
	if r.off >= len(r.src) {
		return r.fail(r.pos(), "the document ends where %s should stand", wanted)
	}
	c, _ := utf8.DecodeRune(r.src[r.off:])
	return r.fail(r.pos(), "found %q where %s should stand", c, wanted)
}

func (r *reader) value(depth int) (node, *SyntaxError) {
	if depth > maxDepth {
		return node{}, r.fail(r.pos(), "nested more than %d levels deep", maxDepth)
	}
	switch c := r.peek(); {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"':
		pos := r.pos()
		s, err := r.str()
		return node{kind: kindString, pos: pos, text: s}, err
	case c == '-' || '0' <= c && c <= '9':
		return r.number()
	case 'a' <= c && c <= 'z':
		return r.word()
	}
	return node{}, r.unexpected("a value")
}

func (r *reader) word() (node, *SyntaxError) {
	pos, from := r.pos(), r.off
	for c := r.peek(); 'a' <= c && c <= 'z'; c = r.peek() {
		r.off++
	}
	switch w := string(r.src[from:r.off]); w {
	case "true", "false":
		return node{kind: kindBool, pos: pos, text: w}, nil
	case "null":
		return node{kind: kindNull, pos: pos, text: w}, nil
	default:
		return node{}, r.fail(pos, "%q is not a JSON value", w)
	}
}

func (r *reader) number() (node, *SyntaxError) {
	pos, from := r.pos(), r.off
	digits := func() bool {
		at := r.off
		for c := r.peek(); '0' <= c && c <= '9'; c = r.peek() {
			r.off++
		}
		return r.off > at
	}
	if r.peek() == '-' {
		r.off++
	}
	if r.peek() == '0' {
		r.off++
	} else if !digits() {
		return node{}, r.unexpected("a digit")
	}
	if r.peek() == '.' {
		r.off++
		if !digits() {
			return node{}, r.unexpected("a digit")
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.off++
		if c := r.peek(); c == '+' || c == '-' {
			r.off++
		}
		if !digits() {
			return node{}, r.unexpected("a digit")
		}
	}
	return node{kind: kindNumber, pos: pos, text: string(r.src[from:r.off])}, nil
}

func (r *reader) array(depth int) (node, *SyntaxError) {
	n := node{kind: kindArray, pos: r.pos()}
	r.off++
	r.space()
	if r.peek() == ']' {
		r.off++
		return n, nil
	}
	for {
		r.path = append(r.path, step{index: len(n.items), list: true})
		item, err := r.value(depth + 1)
		if err != nil {
			return node{}, err
		}
		r.path = r.path[:len(r.path)-1]
		n.items = append(n.items, item)
		r.space()
		switch r.peek() {
		case ',':
			r.off++
			r.space()
		case ']':
			r.off++
			return n, nil
		default:
			return node{}, r.unexpected("',' or ']'")
		}
	}
}

func (r *reader) object(depth int) (node, *SyntaxError) {
	n := node{kind: kindObject, pos: r.pos()}
	seen := make(map[string]Position)
	r.off++
	r.space()
	if r.peek() == '}' {
		r.off++
		return n, nil
	}
	for {
		if r.peek() != '"' {
			return node{}, r.unexpected("a name in quotes")
		}
		pos := r.pos()
		name, err := r.str()
		if err != nil {
			return node{}, err
		}
		r.path = append(r.path, step{name: name})
		if first, doubled := seen[name]; doubled {
			return node{}, r.fail(pos, "the key is doubled, it already stands at %s", first)
		}
		seen[name] = pos
		r.space()
		if r.peek() != ':' {
			return node{}, r.unexpected("':'")
		}
		r.off++
		r.space()
		v, err := r.value(depth + 1)
		if err != nil {
			return node{}, err
		}
		r.path = r.path[:len(r.path)-1]
		n.members = append(n.members, member{name: name, pos: pos, node: v})
		r.space()
		switch r.peek() {
		case ',':
			r.off++
			r.space()
		case '}':
			r.off++
			return n, nil
		default:
			return node{}, r.unexpected("',' or '}'")
		}
	}
}

func join(path, name string) string { return path + "." + name }

// str reads a string. A lone surrogate is refused rather than replaced, and
// so is U+0000, written out or escaped: in both cases what is compared later
// would not be what a reviewer reads.
func (r *reader) str() (string, *SyntaxError) {
	begin := r.pos()
	r.off++
	from := r.off
	for r.off < len(r.src) && r.src[r.off] != '"' && r.src[r.off] != '\\' && r.src[r.off] >= ' ' {
		r.off++
	}
	if r.peek() == '"' {
		s := string(r.src[from:r.off])
		r.off++
		return s, nil
	}
	var b strings.Builder
	b.Write(r.src[from:r.off])
	for r.off < len(r.src) {
		switch c := r.src[r.off]; {
		case c == '"':
			r.off++
			return b.String(), nil
		case c < ' ':
			return "", r.fail(r.pos(), "control character %U inside a string", rune(c))
		case c != '\\':
			b.WriteByte(c)
			r.off++
		default:
			if err := r.escape(&b); err != nil {
				return "", err
			}
		}
	}
	return "", r.fail(begin, "the string is not closed")
}

func (r *reader) escape(b *strings.Builder) *SyntaxError {
	pos := r.pos()
	r.off++
	c := r.peek()
	r.off++
	switch c {
	case '"', '\\', '/':
		b.WriteByte(c)
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		u, ok := r.hex4()
		if ok && utf16.IsSurrogate(u) {
			ok = false
			if r.off+1 < len(r.src) && r.src[r.off] == '\\' && r.src[r.off+1] == 'u' {
				r.off += 2
				if low, good := r.hex4(); good {
					u = utf16.DecodeRune(u, low)
					ok = u != utf8.RuneError
				}
			}
		}
		if !ok {
			return r.fail(pos, "invalid \\u escape")
		}
		if u == 0 {
			return r.fail(pos, "U+0000 inside a string")
		}
		b.WriteRune(u)
	default:
		return r.fail(pos, "invalid escape in a string")
	}
	return nil
}

func (r *reader) hex4() (rune, bool) {
	if r.off+4 > len(r.src) {
		return 0, false
	}
	var u rune
	for _, c := range r.src[r.off : r.off+4] {
		switch {
		case '0' <= c && c <= '9':
			u = u<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			u = u<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			u = u<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	r.off += 4
	return u, true
}
