package source_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/source"
)

func TestLines(t *testing.T) {
	for _, data := range []string{
		"", "\n", "a\nb", strings.Repeat("x", 256), strings.Repeat("x", 512) + "\n" + strings.Repeat("y", 300),
		strings.Repeat("é", 700) + "\n" + strings.Repeat("日本\U0001f600", 200) + "\r\nz",
	} {
		lines := source.NewLines("f", []byte(data))
		for at := range len(data) + 2 {
			before := data[:min(at, len(data))]
			if !utf8.ValidString(before) {
				continue // within a character
			}
			want := source.Position{File: "f", Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1}
			if got := lines.At(at); got != want {
				t.Fatalf("byte %d of %.20q... stands at %v, found %v", at, data, want, got)
			}
		}
	}
}

// Minified files are one long line: counting each of its columns from the start
// would take minutes.
func TestOneLongLine(t *testing.T) {
	const items = 40_000
	text := "[" + strings.Repeat(`{"key":["é",1]},`, items) + `"end"]`
	want := utf8.RuneCountInString(text) - len(`"end"]`) + 1
	for name, read := range map[string]func() ([]*source.Node, error){
		"JSON": func() ([]*source.Node, error) { return source.ParseJSON("f", []byte(text)) },
		"YAML": func() ([]*source.Node, error) { return source.ParseYAML("f", []byte(text), nil) },
	} {
		docs, err := read()
		if err != nil || len(docs) != 1 || len(docs[0].Items) != items+1 {
			t.Fatalf("%s: %d documents, %v", name, len(docs), err)
		}
		last := docs[0].Items[items]
		if last.Position.Line != 1 || last.Position.Column != want || text[last.Span.Start:last.Span.End] != `"end"` {
			t.Errorf("%s: the last value stands at %v, expected column %d", name, last.Position, want)
		}
	}
}
