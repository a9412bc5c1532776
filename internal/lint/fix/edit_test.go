package fix

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
)

const (
	oldSubject = "repo:octo-org/octo-repo:*"
	newSubject = "repo:octo-org@65/octo-repo@74:*"
)

// TestApply edits files of each language. OLD and NEW stand for the subjects.
func TestApply(t *testing.T) {
	for _, c := range []struct {
		name, file            string
		text                  string
		replaced, added, gone string
	}{
		{"Terraform, one line", "a.tf", "values = [\"OLD\"]\n",
			"values = [\"NEW\"]\n", "values = [\"OLD\", \"NEW\"]\n", "values = []\n"},
		{"Terraform, one line each", "a.tf", "values = [\n  \"a\", # first\n  \"OLD\", # second\n]\n",
			"values = [\n  \"a\", # first\n  \"NEW\", # second\n]\n",
			"values = [\n  \"a\", # first\n  \"OLD\", # second\n  \"NEW\",\n]\n",
			"values = [\n  \"a\", # first\n]\n"},
		{"Terraform, no comma at the end", "a.tf", "values = [\n\t\"a\",\n\t\"OLD\" // last\n]\n",
			"values = [\n\t\"a\",\n\t\"NEW\" // last\n]\n",
			"values = [\n\t\"a\",\n\t\"OLD\", // last\n\t\"NEW\"\n]\n",
			"values = [\n\t\"a\"\n]\n"},
		{"Terraform, jsonencode", "a.tf", "  \"x:sub\" = \"OLD\" # c\n",
			"  \"x:sub\" = \"NEW\" # c\n", "  \"x:sub\" = [\"OLD\", \"NEW\"] # c\n", ""},
		{"Terraform, a comment before", "a.tf", "values = [ # c\n  \"OLD\"\n]\n",
			"values = [ # c\n  \"NEW\"\n]\n", "values = [ # c\n  \"OLD\",\n  \"NEW\"\n]\n", "values = [ # c\n]\n"},
		{"Terraform, CRLF", "a.tf", "values = [\r\n  \"OLD\",\r\n]\r\n",
			"values = [\r\n  \"NEW\",\r\n]\r\n", "values = [\r\n  \"OLD\",\r\n  \"NEW\",\r\n]\r\n", "values = [\r\n]\r\n"},
		{"YAML, a key", "a.yaml", "sub: OLD # c\n",
			"sub: NEW # c\n", "sub: [\"OLD\", \"NEW\"] # c\n", ""},
		{"YAML, a key with quotes", "a.yaml", "sub: 'OLD'\n",
			"sub: 'NEW'\n", "sub: ['OLD', 'NEW']\n", ""},
		{"YAML, a list", "a.yaml", "sub:\n  - a\n  - OLD # c\n  - b\n",
			"sub:\n  - a\n  - NEW # c\n  - b\n", "sub:\n  - a\n  - OLD # c\n  - NEW\n  - b\n", "sub:\n  - a\n  - b\n"},
		{"YAML, a list with quotes", "a.yaml", "sub:\n- \"OLD\"",
			"sub:\n- \"NEW\"", "sub:\n- \"OLD\"\n- \"NEW\"", "sub:\n"},
		{"YAML, a list with tags", "a.yaml", "sub:\n  - !Sub OLD\n  - !Sub \"x\"\n",
			"sub:\n  - !Sub NEW\n  - !Sub \"x\"\n", "sub:\n  - !Sub OLD\n  - NEW\n  - !Sub \"x\"\n", "sub:\n  - !Sub \"x\"\n"},
		{"YAML, a key with a tag", "a.yaml", "sub: !Sub \"OLD\" # c\n",
			"sub: !Sub \"NEW\" # c\n", "sub: [\"OLD\", \"NEW\"] # c\n", ""},
		{"YAML, brackets", "a.yaml", "sub: [OLD, a]\n",
			"sub: [NEW, a]\n", "sub: [OLD, NEW, a]\n", "sub: [a]\n"},
		{"YAML, CRLF", "a.yaml", "sub:\r\n  - OLD\r\nx: y\r\n",
			"sub:\r\n  - NEW\r\nx: y\r\n", "sub:\r\n  - OLD\r\n  - NEW\r\nx: y\r\n", "sub:\r\nx: y\r\n"},
		{"JSON in a template", "a.template", "{\"sub\": \"OLD\"}",
			"{\"sub\": \"NEW\"}", "{\"sub\": [\"OLD\", \"NEW\"]}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			subjects := strings.NewReplacer("OLD", oldSubject, "NEW", newSubject)
			data := subjects.Replace(c.text)
			at := strings.Index(data, oldSubject)
			span := source.Span{Start: at, End: at + len(oldSubject)}
			if strings.ContainsAny(data[at-1:at], `"'`) {
				span.Start, span.End = span.Start-1, span.End+1
			}
			for _, w := range []struct {
				edit edit
				want string
			}{
				{edit{span: span, old: oldSubject, new: newSubject}, c.replaced},
				{edit{span: span, old: oldSubject, new: newSubject, beside: true}, c.added},
				{edit{span: span, old: oldSubject}, c.gone},
			} {
				if w.want == "" {
					continue
				}
				got, ok := apply(c.file, []byte(data), []edit{w.edit})
				if !ok || string(got) != subjects.Replace(w.want) {
					t.Errorf("%+v: %t\ngot  %q\nwant %q", w.edit, ok, got, subjects.Replace(w.want))
				}
			}
		})
	}
}

// TestNotLiteral leaves alone what is written in another way than it is read.
func TestNotLiteral(t *testing.T) {
	for _, raw := range []string{`"repo:octo-org\/octo-repo:*"`, `"repo:${var.org}/octo-repo:*"`, `repo:octo-org/octo-repo:`, `'repo:octo-org/octo-repo:*"`, ""} {
		if _, ok := apply("a.tf", []byte(raw), []edit{{span: source.Span{End: len(raw)}, old: oldSubject, new: newSubject}}); ok {
			t.Errorf("%s was edited", raw)
		}
	}
	for _, span := range []source.Span{{Start: -1, End: 3}, {Start: 2, End: 1}, {Start: 0, End: 99}} {
		if _, ok := apply("a.tf", []byte(`"`+oldSubject+`"`), []edit{{span: span, old: oldSubject, new: newSubject}}); ok {
			t.Errorf("%+v was edited", span)
		}
	}
	if _, ok := readLiteral([]byte(`"a${b}"`), source.Span{End: 7}, "a${b}"); ok {
		t.Error("a template is taken for a literal")
	}
}
