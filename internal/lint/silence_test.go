package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/lint"
	"github.com/stint-dev/stint/internal/source"
)

// The rules on silences are the ones that are here whatever else is; any two
// others do for findings.
func twoRules(t testing.TB) (string, string) {
	t.Helper()
	var ids []string
	for _, r := range lint.Rules() {
		if !strings.HasPrefix(r.ID, "silence-") {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) < 2 {
		t.Fatal("there are fewer than two rules")
	}
	return ids[0], ids[1]
}

func at(file string, line, column int) source.Position {
	return source.Position{File: file, Line: line, Column: column}
}

func comment(line int, alone bool, text string) source.Comment {
	return source.Comment{Text: text, Position: at("a.tf", line, 1), EndLine: line, Alone: alone}
}

func outcome(kept []lint.Finding, silenced []lint.Silenced) string {
	var out []string
	for _, f := range kept {
		out = append(out, fmt.Sprintf("%d %s %s", f.Position.Line, f.Rule, f.Severity))
	}
	for _, s := range silenced {
		out = append(out, fmt.Sprintf("%d %s by %s at %d: %s", s.Position.Line, s.Rule, s.By.Kind, s.By.Position.Line, s.By.Reason))
	}
	return strings.Join(out, "\n")
}

func TestSilenceByComment(t *testing.T) {
	one, two := twoRules(t)
	for _, c := range []struct {
		name     string
		comments []source.Comment
		want     string
	}{
		{"none", nil, "5 ONE error\n5 TWO error"},
		{"the same line", []source.Comment{comment(5, false, "stint:ignore ONE it is a test account")},
			"5 TWO error\n5 ONE by comment at 5: it is a test account"},
		{"the line above", []source.Comment{comment(4, true, "stint:ignore ONE it is a test account")},
			"5 TWO error\n5 ONE by comment at 4: it is a test account"},
		{"two rules", []source.Comment{comment(4, true, "stint:ignore ONE,TWO reviewed")},
			"5 ONE by comment at 4: reviewed\n5 TWO by comment at 4: reviewed"},
		{"two rules with a blank", []source.Comment{comment(4, true, "stint:ignore ONE, TWO  - reviewed  today")},
			"5 ONE by comment at 4: reviewed today\n5 TWO by comment at 4: reviewed today"},
		{"two comments above", []source.Comment{comment(3, true, "stint:ignore ONE first"), comment(4, true, "stint:ignore TWO second")},
			"5 ONE by comment at 3: first\n5 TWO by comment at 4: second"},
		{"another comment between", []source.Comment{comment(3, true, "stint:ignore ONE first"), comment(4, true, "of no meaning")},
			"5 TWO error\n5 ONE by comment at 3: first"},
		{"a comment beside the line above", []source.Comment{comment(4, false, "stint:ignore ONE first")},
			"4 silence-unused note\n5 ONE error\n5 TWO error"},
		{"a blank line between", []source.Comment{comment(3, true, "stint:ignore ONE first")},
			"3 silence-unused note\n5 ONE error\n5 TWO error"},
		{"no reason", []source.Comment{comment(4, true, "stint:ignore ONE")},
			"4 silence-without-reason warning\n5 ONE error\n5 TWO error"},
		{"a dash for a reason", []source.Comment{comment(4, true, "stint:ignore ONE -- ")},
			"4 silence-without-reason warning\n5 ONE error\n5 TWO error"},
		{"nothing", []source.Comment{comment(4, true, "stint:ignore")},
			"4 silence-without-reason warning\n5 ONE error\n5 TWO error"},
		{"no such rule", []source.Comment{comment(4, true, "stint:ignore no-such-rule,ONE because")},
			"4 silence-unknown-rule warning\n5 TWO error\n5 ONE by comment at 4: because"},
		{"a rule on silences", []source.Comment{comment(4, true, "stint:ignore silence-unused because")},
			"4 silence-unknown-rule warning\n5 ONE error\n5 TWO error"},
		{"another word", []source.Comment{comment(4, true, "stint:ignored ONE because")}, "5 ONE error\n5 TWO error"},
		{"not at the beginning", []source.Comment{comment(4, true, "see stint:ignore ONE because")}, "5 ONE error\n5 TWO error"},
		{"another file", []source.Comment{{Text: "stint:ignore ONE because", Position: at("b.tf", 5, 1), EndLine: 5}},
			"5 ONE error\n5 TWO error\n5 silence-unused note"},
	} {
		t.Run(c.name, func(t *testing.T) {
			names := strings.NewReplacer("ONE", one, "TWO", two)
			for i := range c.comments {
				c.comments[i].Text = names.Replace(c.comments[i].Text)
			}
			findings := []lint.Finding{
				{Rule: one, Severity: lint.Error, Position: at("a.tf", 5, 3), Message: "m"},
				{Rule: two, Severity: lint.Error, Position: at("a.tf", 5, 3), Message: "m"},
			}
			kept, silenced := lint.Silence(findings, lint.Silencing{Comments: c.comments})
			if got, want := outcome(kept, silenced), names.Replace(c.want); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestSilenceOfARuleThatIsOff: what a rule that is off would find is not
// reported, so whether its silences are used cannot be said of them.
func TestSilenceOfARuleThatIsOff(t *testing.T) {
	one, two := twoRules(t)
	names := strings.NewReplacer("ONE", one, "TWO", two)
	settings, err := lint.ParseSettings("stint-lint.yaml", []byte(names.Replace(
		"severity: {ONE: {level: off, reason: r}}\nignore:\n- {rule: ONE, path: a.tf, subject: nobody, reason: s}\n- {rule: TWO, path: a.tf, subject: nobody, reason: s}")))
	if err != nil {
		t.Fatal(err)
	}
	findings := []lint.Finding{{Rule: one, Severity: lint.Error, Position: at("a.tf", 5, 3), Message: "m"}}
	comments := []source.Comment{
		comment(5, false, "stint:ignore "+one+" because"),
		comment(7, false, "stint:ignore "+one+" because"),
		comment(9, false, "stint:ignore "+two+" because"),
	}
	kept, silenced := lint.Silence(findings, lint.Silencing{Comments: comments, Settings: settings, Files: []string{"a.tf"}})
	want := names.Replace("9 silence-unused note\n4 silence-unused note\n5 ONE by configuration at 1: r")
	if got := outcome(kept, silenced); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestSilenceBySettings(t *testing.T) {
	one, two := twoRules(t)
	now := time.Date(2027, 1, 31, 23, 59, 0, 0, time.UTC)
	for _, c := range []struct {
		name, settings, want string
	}{
		{"a folder", "ignore: [{rule: ONE, path: infra/**, reason: r}]", "7 TWO warning\n5 ONE by configuration at 1: r"},
		{"any folder", "ignore: [{rule: ONE, path: '**/*.tf', reason: r}]", "7 TWO warning\n5 ONE by configuration at 1: r"},
		{"one folder only", "ignore: [{rule: ONE, path: '*.tf', reason: r}]", "5 ONE error\n7 TWO warning"},
		{"a subject", "ignore: [{rule: ONE, path: '**', subject: aws_iam_role.*, reason: r}]", "7 TWO warning\n5 ONE by configuration at 1: r"},
		{"another subject", "ignore: [{rule: ONE, path: '**', subject: other, reason: r}]", "1 silence-unused note\n5 ONE error\n7 TWO warning"},
		{"the last day", "ignore: [{rule: ONE, path: '**', reason: r, until: 2027-01-31}]", "7 TWO warning\n5 ONE by configuration at 1: r"},
		{"the day after", "ignore: [{rule: ONE, path: '**', reason: r, until: 2027-01-30}]", "5 ONE error\n7 TWO warning"},
		{"unused", "ignore: [{rule: TWO, path: infra/dev/a.tf, subject: nobody, reason: r}]", "1 silence-unused note\n5 ONE error\n7 TWO warning"},
		{"another severity", "severity: {ONE: note}", "5 ONE note\n7 TWO warning"},
		{"off", "severity: {ONE: {level: off, reason: r}}", "7 TWO warning\n5 ONE by configuration at 1: r"},
		{"of a rule that is off", "severity: {ONE: {level: off, reason: r}}\nignore: [{rule: ONE, path: infra/**, reason: s}]", "7 TWO warning\n5 ONE by configuration at 1: r"},
		{"off for silences", "severity: {silence-unused: {level: off, reason: r}}\nignore: [{rule: TWO, path: '**', subject: x, reason: r}]",
			"5 ONE error\n7 TWO warning\n2 silence-unused by configuration at 1: r"},
	} {
		t.Run(c.name, func(t *testing.T) {
			names := strings.NewReplacer("ONE", one, "TWO", two)
			settings, err := lint.ParseSettings("stint-lint.yaml", []byte(names.Replace(c.settings)))
			if err != nil {
				t.Fatal(err)
			}
			findings := []lint.Finding{
				{Rule: one, Severity: lint.Error, Position: at("/x/infra/dev/a.tf", 5, 3), Subject: "aws_iam_role.ci", Message: "m"},
				{Rule: two, Severity: lint.Warning, Position: at("/x/infra/dev/a.tf", 7, 3), Message: "m"},
			}
			kept, silenced := lint.Silence(findings, lint.Silencing{
				Settings: settings, Now: now, Files: []string{"/x/infra/dev/a.tf"},
				Name: func(file string) string { return strings.TrimPrefix(file, "/x/") },
			})
			// Findings in stint-lint.yaml come after those below /x.
			slices.SortStableFunc(kept, func(a, b lint.Finding) int { return a.Position.Line - b.Position.Line })
			if got, want := outcome(kept, silenced), names.Replace(c.want); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			for _, f := range kept {
				if f.Rule == one && c.name == "the day after" && !strings.Contains(f.Message, "silenced until 2027-01-30: r") {
					t.Errorf("an expired silence says %q", f.Message)
				}
			}
		})
	}
}

func TestSettingsRefused(t *testing.T) {
	one, _ := twoRules(t)
	for _, c := range []struct{ settings, want string }{
		{"ignored: []", `stint-lint.yaml:1:1: expected one of ignore, severity, found "ignored"`},
		{"ignore: {}", "stint-lint.yaml:1:9: expected a list"},
		{"ignore:\n  - rule: ONE\n    path: a\n", "stint-lint.yaml:2:5: an entry of ignore needs a reason"},
		{"ignore:\n  - {rule: ONE, reason: r}\n", "stint-lint.yaml:2:6: an entry of ignore needs a path"},
		{"ignore:\n  - {reason: ' ', rule: ONE, path: a}\n", "stint-lint.yaml:2:14: reason is empty"},
		{"ignore:\n  - {rule: ONEX, path: a, reason: r}\n", "2:12: there is no rule \"ONEX\"; did you mean ONE?"},
		{"ignore:\n  - {rule: silence-unused, path: a, reason: r}\n", "cannot be silenced"},
		{"ignore:\n  - {rule: ONE, path: 'a[', reason: r}\n", "is no glob"},
		{"ignore:\n  - {until: tomorrow, rule: ONE, path: a, reason: r}\n", "2:13: expected a day"},
		{"ignore:\n  - {rule: ONE, path: a, reason: r, until: 2027-02-30}\n", "expected a day"},
		{"ignore:\n  - {rule: ONE, path: a, reason: r, reason: s}\n", "stands twice"},
		{"ignore:\n  - {rule: ONE, path: a, because: r}\n", `found "because"`},
		{"severity: {ONE: fatal}", `1:XX: expected error, warning, note or off, found "fatal"`},
		{"severity: {ONE: off}", "off needs a reason"},
		{"severity: {ONE: {level: off}}", "off needs a reason"},
		{"severity: {ONE: {reason: r}}", "needs a level"},
		{"severity: {nothing: note}", "there is no rule"},
		{"severity: {ONE: note, ONE: error}", "stands twice"},
		{"- a", "expected keys and values"},
		{"a: &b c", "anchors"},
		{"ignore: *b", "anchors"},
		{"ignore: []\n---\nignore: []\n", "second document"},
		{"ignore: [", "not YAML"},
		{"a: \xff", "not valid UTF-8"},
		{strings.Repeat("[", 5000), "nested deeper"},
		{strings.Repeat("- ", 5000) + "a", "nested deeper"},
		{"ignore: " + strings.Repeat(" ", 70000), "at most"},
	} {
		want := strings.ReplaceAll(strings.ReplaceAll(c.want, "ONE", one), "1:XX", fmt.Sprintf("1:%d", len("severity: {: ")+len(one)+1))
		_, err := lint.ParseSettings("stint-lint.yaml", []byte(strings.ReplaceAll(c.settings, "ONE", one)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", c.settings, err, want)
		}
	}
	for _, good := range []string{"", "# nothing\n", "ignore: []\n"} {
		if _, err := lint.ParseSettings("stint-lint.yaml", []byte(good)); err != nil {
			t.Errorf("%q: %s", good, err)
		}
	}
}

// FuzzSettings: what is read has no entry without a reason, and a file means
// the same when it is read again.
func FuzzSettings(f *testing.F) {
	one, _ := twoRules(f)
	f.Add("ignore: [{rule: " + one + ", path: a/**, reason: r, until: 2027-01-31}]\nseverity: {" + one + ": {level: off, reason: x}}")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := lint.ParseSettings("s.yaml", []byte(text))
		if err != nil {
			return
		}
		for _, i := range s.Ignore {
			if i.Reason == "" || i.Rule == "" || i.Path == "" || i.Position.IsZero() {
				t.Errorf("%+v", i)
			}
		}
		for rule, l := range s.Severity {
			if l.Off == (l.Severity.Rank() > 0) || l.Off && l.Reason == "" {
				t.Errorf("%s: %+v", rule, l)
			}
		}
	})
}
