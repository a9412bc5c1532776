// Package strictjson decodes JSON that comes from strangers: tokens, key sets
// and discovery documents.
//
// encoding/json accepts a doubled key and keeps the last value, replaces
// invalid UTF-8 and halves of surrogate pairs silently, and recurses as deep as
// the input says. Two parsers that disagree on such input are how a signed
// token is read in two ways, so all of it is an error here. What is accepted
// means the same as in encoding/json, which the fuzz test asserts.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested.
const MaxDepth = 32

// Object decodes data, which must hold exactly one JSON object. Numbers stay
// json.Number, so that no digit of an id is lost.
func Object(data []byte) (map[string]any, error) {
	v, err := Value(data)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("expected a JSON object, found %s", kind(v))
	}
	return m, nil
}

// Value decodes data, which must hold exactly one JSON value (RFC 8259).
func Value(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not valid UTF-8")
	}
	d := decoder{data: data}
	d.space()
	v, err := d.value(0)
	if err != nil {
		return nil, &Error{Offset: min(d.at, len(data)), Err: err}
	}
	d.space()
	if d.at < len(data) {
		return nil, &Error{Offset: d.at, Err: errors.New("more data after the JSON value")}
	}
	return v, nil
}

// Error says where decoding stopped. Its text is that of the cause.
type Error struct {
	Offset int // in bytes, from 0
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// decoder reads data once, left to right.
type decoder struct {
	data []byte
	at   int
}

var errEnds = errors.New("the JSON ends too early")

func (d *decoder) wrong(expected string) error {
	if d.at >= len(d.data) {
		return errEnds
	}
	r, _ := utf8.DecodeRune(d.data[d.at:])
	return fmt.Errorf("not JSON: expected %s, found %q at byte %d", expected, r, d.at)
}

// peek is the next byte, and 0 at the end, where no JSON goes on.
func (d *decoder) peek() byte {
	if d.at < len(d.data) {
		return d.data[d.at]
	}
	return 0
}

func (d *decoder) space() {
	for d.at < len(d.data) {
		switch d.data[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

// value reads a value that begins at once, inside depth arrays and objects.
func (d *decoder) value(depth int) (any, error) {
	switch c := d.peek(); {
	case c == '"':
		return d.text()
	case c == '{':
		return d.object(depth + 1)
	case c == '[':
		return d.array(depth + 1)
	case c == '-', '0' <= c && c <= '9':
		return d.number()
	case d.word("true"):
		return true, nil
	case d.word("false"):
		return false, nil
	case d.word("null"):
		return nil, nil
	}
	return nil, d.wrong("a value")
}

func (d *decoder) word(w string) bool {
	if end := d.at + len(w); end <= len(d.data) && string(d.data[d.at:end]) == w {
		d.at = end
		return true
	}
	return false
}

func tooDeep(depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("nested deeper than %d levels", MaxDepth)
	}
	return nil
}

func (d *decoder) array(depth int) (any, error) {
	if err := tooDeep(depth); err != nil {
		return nil, err
	}
	d.at++ // [
	a := []any{}
	d.space()
	if d.word("]") {
		return a, nil
	}
	for {
		d.space()
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
		d.space()
		if d.word("]") {
			return a, nil
		}
		if !d.word(",") {
			return nil, d.wrong("a comma or ]")
		}
	}
}

func (d *decoder) object(depth int) (any, error) {
	if err := tooDeep(depth); err != nil {
		return nil, err
	}
	d.at++ // {
	m := map[string]any{}
	d.space()
	if d.word("}") {
		return m, nil
	}
	for {
		d.space()
		if d.peek() != '"' {
			return nil, d.wrong("a key")
		}
		k, err := d.text()
		if err != nil {
			return nil, err
		}
		if _, twice := m[k]; twice {
			return nil, fmt.Errorf("the key %.64q stands twice", k)
		}
		d.space()
		if !d.word(":") {
			return nil, d.wrong("a colon")
		}
		d.space()
		if m[k], err = d.value(depth); err != nil {
			return nil, err
		}
		d.space()
		if d.word("}") {
			return m, nil
		}
		if !d.word(",") {
			return nil, d.wrong("a comma or }")
		}
	}
}

func (d *decoder) digits() bool {
	from := d.at
	for c := d.peek(); '0' <= c && c <= '9'; c = d.peek() {
		d.at++
	}
	return d.at > from
}

// number reads a number and keeps its text (RFC 8259 section 6).
func (d *decoder) number() (any, error) {
	from := d.at
	d.word("-")
	if !d.word("0") && !d.digits() {
		return nil, d.wrong("a digit")
	}
	if d.word(".") && !d.digits() {
		return nil, d.wrong("a digit")
	}
	if d.word("e") || d.word("E") {
		if !d.word("+") {
			d.word("-")
		}
		if !d.digits() {
			return nil, d.wrong("a digit")
		}
	}
	return json.Number(d.data[from:d.at]), nil
}

// text reads a string (RFC 8259 section 7).
func (d *decoder) text() (string, error) {
	d.at++ // "
	from := d.at
	for d.at < len(d.data) {
		switch c := d.data[d.at]; {
		case c == '"':
			s := string(d.data[from:d.at])
			d.at++
			return s, nil
		case c == '\\':
			return d.escaped(append([]byte(nil), d.data[from:d.at]...))
		case c < ' ':
			return "", d.wrong("no control character in a string")
		}
		d.at++
	}
	return "", errEnds
}

// escaped reads on after the first backslash of a string; b is what came
// before it.
func (d *decoder) escaped(b []byte) (string, error) {
	for d.at < len(d.data) {
		c := d.data[d.at]
		switch {
		case c == '"':
			d.at++
			return string(b), nil
		case c < ' ':
			return "", d.wrong("no control character in a string")
		case c != '\\':
			b = append(b, c)
			d.at++
			continue
		}
		d.at++
		switch c := d.peek(); c {
		case '"', '\\', '/':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, err := d.unicode()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
			continue
		default:
			return "", d.wrong("an escape")
		}
		d.at++
	}
	return "", errEnds
}

// unicode reads uXXXX, and the second half of a surrogate pair after it.
func (d *decoder) unicode() (rune, error) {
	r, err := d.hex()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if d.word(`\`) && d.peek() == 'u' {
		low, err := d.hex()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, errors.New("half of a surrogate pair")
}

func (d *decoder) hex() (rune, error) {
	d.at++ // u
	if d.at+4 > len(d.data) {
		return 0, errEnds
	}
	n, err := strconv.ParseUint(string(d.data[d.at:d.at+4]), 16, 16)
	if err != nil {
		return 0, errors.New("not JSON: expected four hexadecimal digits after \\u")
	}
	d.at += 4
	return rune(n), nil
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	}
	return "an object"
}
