package source_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
)

// shape writes a value with its kinds and places.
func shape(n *source.Node) string {
	switch n.Kind {
	case source.KindList:
		var items []string
		for _, i := range n.Items {
			items = append(items, shape(i))
		}
		return "[" + strings.Join(items, " ") + "]"
	case source.KindMap:
		var fields []string
		for _, f := range n.Fields {
			fields = append(fields, f.Name+":"+shape(f.Value))
		}
		return "{" + strings.Join(fields, " ") + "}"
	}
	return fmt.Sprintf("%s %q@%d:%d", strings.TrimPrefix(strings.TrimPrefix(n.Kind.String(), "a "), "an "), n.Text, n.Position.Line, n.Position.Column)
}

func TestParseYAML(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a date stays text", "Version: 2012-10-17", `{Version:string "2012-10-17"@1:10}`},
		{"an account keeps its digits", "a: 011111111111\nb: '011'", `{a:string "011111111111"@1:4 b:string "011"@2:4}`},
		{"numbers that JSON has not", "a: 0x1F\nb: 1_000\nc: .inf\nd: -1.5", `{a:string "0x1F"@1:4 b:string "1_000"@2:4 c:string ".inf"@3:4 d:number "-1.5"@4:4}`},
		{"lines that only YAML breaks", "# a\u2028b: x\nc: y", `{b:string "x"@1:8 c:string "y"@2:4}`},
		{"only true and false are boolean", "on: yes\na: true\nb: \"true\"", `{on:string "yes"@1:5 a:boolean "true"@2:4 b:string "true"@3:4}`},
		{"nothing", "a:\nb: null\nc: ~", `{a:null ""@1:3 b:null "null"@2:4 c:null "~"@3:4}`},
		{"lists", "a: [x, 'y']\nb:\n- z", `{a:[string "x"@1:5 string "y"@1:8] b:[string "z"@3:3]}`},
		{"block scalars", "a: |\n  x\n  y\nb: >-\n  x\n  y", `{a:string "x\ny\n"@1:4 b:string "x y"@4:4}`},
		{"the mark before the text", "\xef\xbb\xbfa: x", `{a:string "x"@1:4}`},
		{"carriage returns", "a: x\r\nb: y\r\n", `{a:string "x"@1:4 b:string "y"@2:4}`},
		{"characters count, not bytes", "a: [ä, b]", `{a:[string "ä"@1:5 string "b"@1:8]}`},
		{"aliases", "a: &x {b: c}\nd: *x", `{a:{b:string "c"@1:11} d:{b:string "c"@1:11}}`},
		{"merge keys", "a: &x {b: c, d: e}\nf: {<<: *x, b: own}", `{a:{b:string "c"@1:11 d:string "e"@1:17} f:{b:string "own"@2:16 d:string "e"@1:17}}`},
		{"a tag that is not known", "a: !Ref Org", `{a:unknown value "!Ref Org"@1:9}`},
		{"JSON", `{"a": [1, "b"]}`, `{a:[number "1"@1:8 string "b"@1:11]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			docs, err := source.ParseYAML("f", []byte(test.text), nil)
			if err != nil || len(docs) != 1 {
				t.Fatalf("%d documents, %v", len(docs), err)
			}
			if got := shape(docs[0]); got != test.want {
				t.Errorf("found    %s\nexpected %s", got, test.want)
			}
		})
	}
}

func TestParseYAMLRefuses(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", "))
	}
	for _, test := range []struct {
		name, text string
		line       int
		says       string
	}{
		{"a doubled key", "a: 1\nb: 2\na: 3", 3, `the key "a" stands twice`},
		{"an alias within itself", "a: &x [1, *x]", 1, "stands inside of what it stands for"},
		{"a bomb of aliases", bomb, 6, "with all aliases resolved"},
		{"deep nesting", strings.Repeat("[", 100) + strings.Repeat("]", 100), 1, "nested deeper"},
		{"deep nesting by aliases", "a: &a " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "\nb: *a\nc: " + strings.Repeat("[", 40) + "*a" + strings.Repeat("]", 40), 1, "nested deeper"},
		{"a key that is a list", "? [a]\n: b", 1, "expected a key that is text"},
		{"two merges", "a: &a {b: c}\nd:\n  <<: *a\n  <<: *a", 4, "the key << stands twice"},
		{"a key with a tag", "a: 1\n!Sub b: 1", 2, "expected a key that is text"},
		{"a merge of text", "a:\n  <<: x", 2, "expected a mapping to merge"},
		{"no YAML", "a: [b", 1, "not YAML"},
		{"no UTF-8", "a: b\nc: \xff", 2, "not valid UTF-8"},
		{"a NUL", "a: \x00", 1, "not YAML"},
		{"an alias of nothing", "a: *b", 1, "not YAML"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := source.ParseYAML("f", []byte(test.text), nil)
			var e *source.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, test.says) || e.Position.Line != test.line {
				t.Errorf("found %v, expected line %d and %q", err, test.line, test.says)
			}
		})
	}
}

// FuzzParseYAML asserts that every place lies in the file, and that a span
// holds the text that is said to stand there.
func FuzzParseYAML(f *testing.F) {
	for _, s := range []string{"a: !Sub \"b\"\nc: 'it''s'\nd: &x y\ne: *x", "[1, {a: b}]", "a: |\n x\n", "\xef\xbb\xbfa: ä b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := source.ParseYAML("f", data, func(_ string, n *source.Node) (*source.Node, bool, error) { return n, true, nil })
		if err != nil {
			var e *source.Error
			if !errors.As(err, &e) {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u0085") + strings.Count(string(data), "\u2028") + strings.Count(string(data), "\u2029") + 1
		var check func(n *source.Node)
		text := func(s source.Text) {
			if s.Span == (source.Span{}) {
				return
			}
			if s.Span.Start < 0 || s.Span.End > len(data) || s.Span.Start >= s.Span.End {
				t.Fatalf("%q: the span %v is outside of %d bytes", s, s.Span, len(data))
			}
			raw := string(data[s.Span.Start:s.Span.End])
			if raw[0] != '"' && raw[0] != '\'' && raw != s.String() {
				t.Fatalf("%q stands where %q is said to", raw, s)
			}
		}
		check = func(n *source.Node) {
			if n.Position.Line < 1 || n.Position.Line > lines || n.Position.Column < 1 {
				t.Fatalf("the place %v is outside of %d lines", n.Position, lines)
			}
			text(n.Text)
			for _, i := range n.Items {
				check(i)
			}
			for _, f := range n.Fields {
				text(f.Key)
				check(f.Value)
			}
		}
		for _, d := range docs {
			check(d)
		}
	})
}
