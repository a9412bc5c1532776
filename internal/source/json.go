package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// MaxDepth is how deep lists and objects may be nested in a file.
const MaxDepth = 64

// Error says what is wrong with a file, and where.
type Error struct {
	Position Position
	Message  string
	Err      error // the cause, where there is one
}

func (e *Error) Error() string {
	switch {
	case e.Position.File == "":
		return e.Message
	case e.Position.Line == 0:
		return e.Position.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.Position.File, e.Position.Line, e.Position.Column, e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// Lines finds the line and column of a byte of a file.
type Lines struct {
	file   string
	data   []byte
	starts []int
	// blocks holds how many characters stand before each block of the file:
	// minified files are one long line, and counting every column from its
	// start would take the square of its length.
	blocks []int
}

const lineBlock = 256 // bytes

// NewLines reads where the lines of a file begin.
func NewLines(file string, data []byte) *Lines {
	l := &Lines{file: file, data: data, starts: []int{0}}
	characters := 0
	for i, c := range data {
		if i%lineBlock == 0 {
			l.blocks = append(l.blocks, characters)
		}
		if utf8.RuneStart(c) {
			characters++
		}
		if c == '\n' {
			l.starts = append(l.starts, i+1)
		}
	}
	if len(data)%lineBlock == 0 {
		l.blocks = append(l.blocks, characters)
	}
	return l
}

// At is the place of a byte, or of the end for one beyond it.
func (l *Lines) At(offset int) Position {
	offset = max(0, min(offset, len(l.data)))
	line, exact := slices.BinarySearch(l.starts, offset)
	if !exact {
		line--
	}
	column := l.characters(offset) - l.characters(l.starts[line]) + 1
	return Position{File: l.file, Line: line + 1, Column: column}
}

// characters counts the characters before a byte.
func (l *Lines) characters(offset int) int {
	block := offset / lineBlock
	n := l.blocks[block]
	for _, c := range l.data[block*lineBlock : offset] {
		if utf8.RuneStart(c) {
			n++
		}
	}
	return n
}

// after is the byte that is n characters after another, or the end.
func (l *Lines) after(offset, n int) int {
	n += l.characters(offset)
	block, exact := slices.BinarySearch(l.blocks, n)
	if !exact {
		block--
	}
	// Several blocks may begin with the same count only if one has no start of
	// a character, which UTF-8 rules out.
	at, count := block*lineBlock, l.blocks[block]
	for at < len(l.data) && (count < n || !utf8.RuneStart(l.data[at])) {
		if utf8.RuneStart(l.data[at]) {
			count++
		}
		at++
	}
	return at
}

// Errorf is an *Error at a byte of the file.
func (l *Lines) Errorf(offset int, format string, args ...any) error {
	return &Error{Position: l.At(offset), Message: fmt.Sprintf(format, args...)}
}

// CheckUTF8 is an *Error at the first byte of a file that is not UTF-8, or nil.
func CheckUTF8(file string, data []byte) error {
	if utf8.Valid(data) {
		return nil
	}
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return NewLines(file, data).Errorf(at, "not valid UTF-8")
}

// ParseJSON reads every JSON value of a file. A file may hold several, one
// after the other, as a loop over `aws iam get-role` writes them. It refuses
// what two parsers could read in two ways: a doubled key, and text that is not
// UTF-8. Every error is an *Error.
func ParseJSON(file string, data []byte) ([]*Node, error) {
	// The mark that some editors put before UTF-8. It is blanked, so that
	// every place in the file stays what it was.
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		data = append([]byte("   "), data[3:]...)
	}
	if err := CheckUTF8(file, data); err != nil {
		return nil, err
	}
	r := &jsonReader{data: data, lines: NewLines(file, data), dec: json.NewDecoder(bytes.NewReader(data))}
	r.dec.UseNumber()
	var values []*Node
	for {
		tok, start, err := r.next()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err == nil {
			var n *Node
			if n, err = r.value(tok, start, 0); err == nil {
				values = append(values, n)
				continue
			}
		}
		return nil, r.fail(err)
	}
}

// jsonReader builds nodes from tokens. encoding/json's own decoding is not
// used: it lets a doubled key through, and says nothing of places.
type jsonReader struct {
	data  []byte
	lines *Lines
	dec   *json.Decoder
}

func (r *jsonReader) fail(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Position: r.lines.At(len(r.data)), Message: "the JSON ends too early", Err: err}
}

// next reads a token and says where it begins.
func (r *jsonReader) next() (json.Token, int, error) {
	start := int(r.dec.InputOffset())
	for start < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[start]) >= 0 {
		start++
	}
	tok, err := r.dec.Token()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && start < len(r.data) {
		// The decoder counts differently for each kind of error.
		err = &Error{Position: r.lines.At(start), Message: "not JSON: " + syntax.Error(), Err: err}
	}
	return tok, start, err
}

func (r *jsonReader) value(tok json.Token, start, depth int) (*Node, error) {
	n := &Node{Position: r.lines.At(start)}
	switch v := tok.(type) {
	case nil:
		n.Kind = KindNull
	case bool:
		n.Kind, n.Text = KindBool, Literal(fmt.Sprint(v))
	case json.Number:
		n.Kind, n.Text = KindNumber, Literal(v.String())
	case string:
		n.Kind, n.Text = KindString, Literal(v)
	case json.Delim:
		if depth++; depth > MaxDepth {
			return nil, r.lines.Errorf(start, "nested deeper than %d levels", MaxDepth)
		}
		read := r.object
		if v == '[' {
			read = r.list
		}
		if err := read(n, depth); err != nil {
			return nil, err
		}
		if _, _, err := r.next(); err != nil { // the closing bracket
			return nil, err
		}
	}
	n.Span = Span{Start: start, End: int(r.dec.InputOffset())}
	n.Text = n.Text.At(n.Position, n.Span)
	return n, nil
}

func (r *jsonReader) list(n *Node, depth int) error {
	n.Kind = KindList
	for r.dec.More() {
		item, err := r.member(depth)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	return nil
}

func (r *jsonReader) member(depth int) (*Node, error) {
	tok, start, err := r.next()
	if err != nil {
		return nil, err
	}
	return r.value(tok, start, depth)
}

func (r *jsonReader) object(n *Node, depth int) error {
	n.Kind = KindMap
	seen := map[string]bool{}
	for r.dec.More() {
		tok, at, err := r.next()
		if err != nil {
			return err
		}
		name, ok := tok.(string)
		if !ok {
			return r.lines.Errorf(at, "an object's key is not a string")
		}
		if seen[name] {
			return r.lines.Errorf(at, "the key %.64q stands twice", name)
		}
		seen[name] = true
		key := Literal(name).At(r.lines.At(at), Span{Start: at, End: int(r.dec.InputOffset())})
		value, err := r.member(depth)
		if err != nil {
			return err
		}
		n.Fields = append(n.Fields, NewField(key, value))
	}
	return nil
}
