package comments_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source/comments"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             []string // line:column text, + where it stands alone
	}{
		{"hcl", "a.tf", "# one\na = 1 // two\n  /* three\n four */\nb = /* five */ 2\n",
			[]string{"1:1-1+ one", "2:7-2 two", "3:3-4+ three\n four", "5:5-5 five"}},
		{"hcl strings", "a.tf", "a = \"# no\"\nb = <<EOT\n# no\n// no\nEOT\nc = \"${x /* yes */}\" # yes too\n",
			[]string{"6:10-6 yes", "6:22-6 yes too"}},
		{"hcl crlf", "a.tf", "a = 1 # x\r\n# y\r\n", []string{"1:7-1 x", "2:1-2+ y"}},
		{"hcl wide", "a.tf", "a = \"日本\" # x\n", []string{"1:10-1 x"}},
		{"hcl that is broken", "a.tf", "a = \"open\n# in a string?\n", nil},
		{"yaml", "a.yaml", "# one\na: b # two\n  # three\nc:\n  - d   #four\n",
			[]string{"1:1-1+ one", "2:6-2 two", "3:3-3+ three", "5:9-5 four"}},
		{"yaml strings", "a.yaml", "a: \"# no\"\nb: '# no'\nc: d#no\ne: |\n  # no\n  text\nf: >-\n  # no\ng: h # yes\n",
			[]string{"9:6-9 yes"}},
		{"yaml crlf", "a.yml", "a: b # x\r\n# y\r\n", []string{"1:6-1 x", "2:1-2+ y"}},
		{"yaml flow", "a.template", "a: [b, # one\n  c]\n", []string{"1:8-1 one"}},
		{"json", "a.json", "{\"a\": \"# no\"}\n# no\n", nil},
		{"json by content", "a.template", "{\"a\": \"# no\"}", nil},
		{"not utf-8", "a.tf", "# \xff", nil},
		{"too large", "a.tf", "# x\n" + strings.Repeat(" ", comments.MaxFile), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, k := range comments.Read(c.file, []byte(c.text)) {
				alone := ""
				if k.Alone {
					alone = "+"
				}
				got = append(got, fmt.Sprintf("%d:%d-%d%s %s", k.Position.Line, k.Position.Column, k.EndLine, alone, k.Text))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
