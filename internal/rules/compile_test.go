package rules

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/config"
)

// TestConditionRefused holds every refused condition to its message and to its
// place in the file, which a section sign marks.
func TestConditionRefused(t *testing.T) {
	when := func(expression string) string {
		return head + ruleYAML("a", "    when: "+expression+"\n"+aws(role("a")))
	}
	for _, c := range []struct{ name, file, message, hint string }{
		{"CEL syntax", when(`claims.a ==§`), "Syntax error", ""},
		{"CEL type", when(`claims.a §== 7`), "no matching overload", "quoted text"},
		{"CEL name", when(`§actor == "x"`), "undeclared reference", "claims.NAME"},
		{"CEL no bool", when(`§claims.a`), "true or false", "compare it"},
		{"CEL double-quoted", when(`"claims.a == \"x\" && claims.b §== 7"`), "no matching overload", ""},
		{"CEL double-quoted hex", when(`"claims.a == '\x41\u00e9' && claims.b §== 7"`), "no matching overload", ""},
		{"CEL single-quoted", when(`'claims.a == ''x'' && claims.b §== 7'`), "no matching overload", ""},
		{"CEL block", when("|\n      claims.a == 'x' &&\n\n        claims.b §== 7"), "no matching overload", ""},
		{"CEL folded", when(">-\n      claims.a == 'x' &&\n      claims.b §== 7"), "no matching overload", ""},
		{"CEL over lines", when("claims.a == 'x' &&\n      claims.b §== 7"), "no matching overload", ""},
		{"CEL wide characters", when("claims.a == 'ü世' && claims.b §== 7"), "no matching overload", ""},
		{"unanchored", when(`claims.ref.matches(§"main")`), "in the middle", "^(?:...)$"},
		{"unanchored beginning", when(`claims.ref.matches(§'main$')`), "in the middle", ""},
		{"unanchored end", when(`claims.ref.matches(§'^main')`), "in the middle", ""},
		{"unanchored branch", when(`claims.ref.matches(§'^a|b$')`), "in the middle", ""},
		{"anchored by lines", when(`claims.ref.matches(§'(?m)^a$')`), "in the middle", ""},
		{"optional anchor", when(`claims.ref.matches(§'(^a$)?')`), "in the middle", ""},
		{"pattern out of a claim", when(`claims.ref.matches(§claims.base_ref)`), "written out", ""},
		{"pattern in a macro", when(`'["a"].exists(x, x.matches(§"a"))'`), "in the middle", ""},
		{"no regular expression", when(`claims.ref.matches(§'^(a$')`), "is no regular expression", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after, _ := strings.Cut(c.file, "§")
			lastLine := before[strings.LastIndexByte(before, '\n')+1:]
			want := config.Pos{Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(lastLine) + 1}
			found := compileProblems(t, before+after)
			for _, p := range found {
				if strings.Contains(p.Message, c.message) && strings.Contains(p.Hint, c.hint) && p.Pos == want {
					return
				}
			}
			t.Errorf("expected %v: %q with the hint %q, found:\n%s", want, c.message, c.hint, found)
		})
	}
}

func compileProblems(t *testing.T, file string) config.Problems {
	t.Helper()
	cfg, err := config.Parse("stint.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compile(cfg)
	var found config.Problems
	if err != nil && (!errors.As(err, &found) || len(found) == 0) {
		t.Fatalf("expected problems, found %v", err)
	}
	return found
}

// FuzzCondition asserts that a problem's place lies in the file, in whichever
// way the expression is written, and that what compiles grants no more
// to a request without a role than to one that names it.
func FuzzCondition(f *testing.F) {
	f.Add("claims.a == 'x' && 1")
	f.Add("claims.a ==\n 7")
	f.Add("claims.ref.matches('^a|b$')")
	f.Add("token.l.all(a, a < now)")
	f.Add("ü\\ '\"")
	f.Fuzz(func(t *testing.T, expression string) {
		if len(expression) > 200 || strings.ContainsFunc(expression, func(c rune) bool { return c < 0x20 && c != '\n' || c == utf8.RuneError }) {
			return
		}
		for _, written := range []string{
			"'" + strings.ReplaceAll(expression, "'", "''") + "'",
			fmt.Sprintf("%+q", expression),
			"|\n      " + strings.ReplaceAll(expression, "\n", "\n      "),
		} {
			file := head + ruleYAML("a", "    when: "+written+"\n"+aws(role("a")))
			cfg, err := config.Parse("stint.yaml", []byte(file))
			if err != nil {
				continue // a blank expression, or one that YAML cannot hold
			}
			set, err := Compile(cfg)
			var found config.Problems
			if err != nil && !errors.As(err, &found) {
				t.Fatal(err)
			}
			for _, p := range found {
				lines := strings.Split(file, "\n")
				if p.Pos.Line < 1 || p.Pos.Line > len(lines) || p.Pos.Column < 1 || p.Pos.Column > utf8.RuneCountInString(lines[p.Pos.Line-1])+1 {
					t.Errorf("%s: not in the file", p)
				}
			}
			if err != nil {
				continue
			}
			// The verdict on the default is the verdict on asking for it.
			without, with := verdict(set.Decide(job(), Request{})), verdict(set.Decide(job(), Request{Role: arn + "a"}))
			if without == "a a" && with != without {
				t.Errorf("%s without a role, and %s with it", without, with)
			}
		}
	})
}
