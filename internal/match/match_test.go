package match

import (
	"regexp"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "x", false},
		{"*", "", true}, {"*", "a/b:c\n", true}, {"**", "", true},
		{"main", "main", true}, {"main", "Main", false}, {"main", "main2", false},
		{"refs/tags/v*", "refs/tags/v1", true}, {"refs/tags/v*", "refs/tags/", false}, {"refs/tags/v*", "xrefs/tags/v1", false},
		{"*-prod", "eu-prod", true}, {"*-prod", "eu-prod-x", false},
		{"a*b*c", "abc", true}, {"a*b*c", "a--b--c", true}, {"a*b*c", "acb", false},
		{"ab*ba", "aba", false}, {"ab*ba", "abba", true}, // the ends may not overlap
		{"a*a*a", "aa", false}, {"a*ab*b", "aabb", true},
		{"a?c", "abc", false}, {"[a]", "a", false}, {`a\*`, `a\x`, true}, // only * is special
	} {
		if got := Compile(c.pattern).Match(c.s); got != c.want {
			t.Errorf("%q on %q: %t", c.pattern, c.s, got)
		}
	}
	var zero Pattern
	if !zero.Match("") || zero.Match("x") || !zero.Literal() {
		t.Error("the zero value matches more than the empty string")
	}
}

// FuzzMatch asserts that a pattern means what the regular expression of its
// literal parts with .* between them means.
func FuzzMatch(f *testing.F) {
	f.Add("a*b*c", "abbc")
	f.Add("ab*ba", "aba")
	f.Add("*.*", "..")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		pattern, s = strings.ToValidUTF8(pattern, ""), strings.ToValidUTF8(s, "")
		if len(pattern) > 200 {
			return
		}
		want := regexp.MustCompile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`) + `\z`).MatchString(s)
		if got := Compile(pattern).Match(s); got != want {
			t.Fatalf("%q on %q: %t, and the regular expression says %t", pattern, s, got, want)
		}
	})
}
