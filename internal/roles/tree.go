package roles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth is how deep a file's JSON may be nested.
const maxDepth = 64

// node is a JSON value that knows where it stands in its file. encoding/json's
// own decoding is not used: it lets a doubled key through, and says nothing of
// places.
type node struct {
	start, end int // bytes of the file
	value      any // string, json.Number, bool, nil, []node or *object
}

type object struct {
	names   []string
	members map[string]node
}

func (o *object) get(name string) (node, bool) {
	n, ok := o.members[name]
	return n, ok
}

// tree reads the JSON values of one file.
type tree struct {
	data []byte
	dec  *json.Decoder
}

// readValues reads every JSON value of data. A file may hold several, one
// after the other, as a loop over `aws iam get-role` writes them.
func readValues(data []byte) ([]node, error) {
	// The mark that some editors put before UTF-8. It is blanked, so that
	// every place in the file stays what it was.
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		data = append([]byte("   "), data[3:]...)
	}
	if !utf8.Valid(data) {
		return nil, &place{offset: invalidUTF8(data), message: "not valid UTF-8"}
	}
	t := &tree{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	t.dec.UseNumber()
	var values []node
	for {
		tok, start, err := t.next()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, t.fail(err)
		}
		n, err := t.value(tok, start, 0)
		if err != nil {
			return nil, t.fail(err)
		}
		values = append(values, n)
	}
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// next reads a token and says where it begins.
func (t *tree) next() (json.Token, int, error) {
	start := int(t.dec.InputOffset())
	for start < len(t.data) && bytes.IndexByte([]byte(" \t\r\n,:"), t.data[start]) >= 0 {
		start++
	}
	tok, err := t.dec.Token()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && start < len(t.data) {
		// The decoder counts differently for each kind of error.
		err = &place{offset: start, message: "not JSON: " + syntax.Error()}
	}
	return tok, start, err
}

func (t *tree) value(tok json.Token, start, depth int) (node, error) {
	delim, ok := tok.(json.Delim)
	if !ok {
		return node{start: start, end: int(t.dec.InputOffset()), value: tok}, nil
	}
	if depth++; depth > maxDepth {
		return node{}, &place{offset: start, message: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
	var v any
	var err error
	if delim == '[' {
		v, err = t.array(depth)
	} else {
		v, err = t.object(depth)
	}
	if err != nil {
		return node{}, err
	}
	if _, _, err = t.next(); err != nil { // the closing bracket
		return node{}, err
	}
	return node{start: start, end: int(t.dec.InputOffset()), value: v}, nil
}

func (t *tree) array(depth int) (any, error) {
	items := []node{}
	for t.dec.More() {
		tok, start, err := t.next()
		if err != nil {
			return nil, err
		}
		n, err := t.value(tok, start, depth)
		if err != nil {
			return nil, err
		}
		items = append(items, n)
	}
	return items, nil
}

func (t *tree) object(depth int) (any, error) {
	o := &object{members: map[string]node{}}
	for t.dec.More() {
		tok, at, err := t.next()
		if err != nil {
			return nil, err
		}
		name, ok := tok.(string)
		if !ok {
			return nil, &place{offset: at, message: "an object's key is not a string"}
		}
		if _, twice := o.members[name]; twice {
			return nil, &place{offset: at, message: fmt.Sprintf("the key %.64q stands twice", name)}
		}
		tok, start, err := t.next()
		if err != nil {
			return nil, err
		}
		n, err := t.value(tok, start, depth)
		if err != nil {
			return nil, err
		}
		o.names = append(o.names, name)
		o.members[name] = n
	}
	return o, nil
}

// place is an error at a byte of the file.
type place struct {
	offset  int
	message string
}

func (p *place) Error() string { return p.message }

func (t *tree) fail(err error) error {
	var p *place
	if errors.As(err, &p) {
		return p
	}
	return &place{offset: len(t.data), message: "the JSON ends too early"}
}

// position is the line and column, both from 1, of a byte of data. A column
// counts characters.
func position(data []byte, offset int) (line, column int) {
	offset = min(offset, len(data))
	before := data[:offset]
	line = bytes.Count(before, []byte("\n")) + 1
	column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return line, column
}

func kind(n node) string {
	switch n.value.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []node:
		return "a list"
	}
	return "an object"
}
