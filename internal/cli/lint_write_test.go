package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/lint"
	"github.com/stint-dev/stint/internal/lint/fix"
	"github.com/stint-dev/stint/internal/source"
)

// TestRewrite: a file is replaced at once, or not at all.
func TestRewrite(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "trust.json")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	content := func() string {
		t.Helper()
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	change := fix.File{Name: name, Old: []byte("old"), New: []byte("new")}

	write("somebody else's")
	if err := rewrite(change); !errors.Is(err, errChanged) || content() != "somebody else's" {
		t.Errorf("%v, and the file holds %q", err, content())
	}
	write("old")
	if err := rewrite(change); err != nil || content() != "new" {
		t.Errorf("%v, and the file holds %q", err, content())
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(change); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestExcerpt: the mark stands under the value, whatever stands before it, and
// the line is bounded.
func TestExcerpt(t *testing.T) {
	for _, c := range []struct{ name, line, value, shown, mark string }{
		{"plain", `  "a": "b"`, `"b"`, `"a": "b"`, `     ^~~`},
		{"tabs", "\t\"a\":\t\"b\", \t1", `"b"`, `"a":    "b",    1`, `        ^~~`},
		{"wide", `"日本": "東京"`, `"東京"`, `"日本": "東京"`, `        ^~~~~~`},
		{"combining", "\"e\u0301\": \"b\"", `"b"`, "\"e\u0301\": \"b\"", `     ^~~`},
		{"control characters", "\"\x1b[31m\": \"b\"", `"b"`, "\"\uFFFD[31m\": \"b\"", `         ^~~`},
		{"far behind", strings.Repeat("x", 200) + `"b"`, `"b"`, "…" + strings.Repeat("x", 39) + `"b"`, strings.Repeat(" ", 40) + `^~~`},
		{"long", `"` + strings.Repeat("x", 500) + `"`, `"` + strings.Repeat("x", 500) + `"`, `"` + strings.Repeat("x", 118) + "…", `^` + strings.Repeat("~", 119)},
		{"long behind", `"b"` + strings.Repeat("x", 500), `"b"`, `"b"` + strings.Repeat("x", 116) + "…", `^~~`},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := "first\r\n" + c.line + "\r\nlast\n"
			start := strings.Index(data, c.line) + strings.LastIndex(c.line, c.value)
			at := source.NewLines("f", []byte(data)).At(start)
			var b strings.Builder
			lintText{content: func(string) []byte { return []byte(data) }, lines: map[string][][]byte{}}.excerpt(&b, lint.Finding{
				Position: at, Span: source.Span{Start: start, End: start + len(c.value)},
			})
			if want := "  2 | " + c.shown + "\n    | " + c.mark + "\n"; b.String() != want {
				t.Errorf("got\n%swant\n%s", b.String(), want)
			}
		})
	}
	// What is no longer there is not shown.
	for _, p := range []source.Position{{File: "f", Line: 9, Column: 1}, {File: "f", Line: 0, Column: 1}, {}} {
		var b strings.Builder
		lintText{content: func(string) []byte { return []byte("x") }, lines: map[string][][]byte{}}.excerpt(&b, lint.Finding{Position: p})
		if b.Len() > 0 {
			t.Errorf("%v: %s", p, b.String())
		}
	}
}

// TestExcerptOfOneLongLine: a file of one line with many findings takes no
// time that grows with its square, and the value is shown all the same.
func TestExcerptOfOneLongLine(t *testing.T) {
	const value = `"repo:octo-org/app:*"`
	data := strings.Repeat(`{"a": [1, 2, 3]},`, 200_000) + value + strings.Repeat(`,{"b": "ä"}`, 200_000)
	at := strings.Index(data, value)
	p := lintText{content: func(string) []byte { return []byte(data) }, lines: map[string][][]byte{}}
	var b strings.Builder
	p.excerpt(&b, lint.Finding{Position: source.Position{File: "f", Line: 1, Column: at + 1}, Span: source.Span{Start: at, End: at + len(value)}})
	lines := strings.Split(b.String(), "\n")
	if len(lines) < 2 || !strings.Contains(lines[0], value) || len([]rune(lines[0])) > excerptWidth+10 {
		t.Fatalf("found %q", b.String())
	}
	if mark := strings.IndexByte(lines[1], '^'); mark < 0 || !strings.HasPrefix(string([]rune(lines[0])[mark:]), value) {
		t.Errorf("the mark stands beside the value:\n%s", b.String())
	}
}

// TestInterruptedWork: an interruption is answered at once, whatever the work
// does.
func TestInterruptedWork(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	end := make(chan struct{})
	defer close(end)
	if err := interruptible(ctx, func() error { <-end; return nil }); err == nil {
		t.Error("expected an error")
	}
}
