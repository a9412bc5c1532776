package cli

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stint-dev/stint/client"
)

// summaryOf runs a denied command in a job of GitHub Actions and returns what
// it added to the summary of the step.
func summaryOf(t *testing.T, w *world, before string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "summary.md")
	if err := os.WriteFile(name, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	env := w.job()
	env["GITHUB_ACTIONS"], env["GITHUB_STEP_SUMMARY"] = "true", name
	if got := runJobCommand(t, env, "", "exec", "--role", testRole, "--", os.Args[0], "-test.run=^$"); got.code != exitDenied || strings.Contains(got.stderr, "warning:") {
		t.Fatalf("%+v", got)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	after, ok := strings.CutPrefix(string(data), before)
	if !ok {
		t.Fatalf("what stood there before is gone: %s", data)
	}
	return after
}

func TestStepSummary(t *testing.T) {
	w := newWorld(t)
	w.denial()
	const want = `## stint: denied

<table>
<tr><th align="left">Answer</th><td><code>denied: no rule matches, 100% sure (record 01HREC)</code></td></tr>
<tr><th align="left">Cause</th><td><code>no rule matches, 100% sure</code></td></tr>
<tr><th align="left">Change</th><td><code>add &#34;dev&#34; to its environment</code></td></tr>
<tr><th align="left">Or</th><td><code>deploy from main</code></td></tr>
<tr><th align="left">Warning</th><td><code>dev is &lt;b&gt;everybody&#39;s&lt;/b&gt;</code></td></tr>
</table>

<p>The closest rule: Allow <code>deploy-prod</code></p>

<table>
<tr><th></th><th>condition</th><th>expected</th><th>actual</th></tr>
<tr><td>ok</td><td><code>match repository_id</code></td><td><code>74</code></td><td><code>74</code></td></tr>
<tr><td><strong>NO</strong></td><td><code>match environment</code></td><td><code>prod</code> or<br><code>prod-*</code></td><td><code>production</code></td></tr>
<tr><td><strong>NO</strong></td><td><code>match ref_type</code></td><td><code>tag</code></td><td>nothing<br><code>the token has no such claim</code></td></tr>
<tr><td>ok</td><td><code>when</code></td><td><code>claims.actor_id != &#34;7&#34;</code></td><td>nothing</td></tr>
</table>

`
	if got := summaryOf(t, w, "# Mine\n\n"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestStepSummaryOfAStranger: what is not told to the caller cannot be in it.
func TestStepSummaryOfAStranger(t *testing.T) {
	w := newWorld(t)
	w.stsStatus = 403
	w.stsAnswer = `<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>`
	got := summaryOf(t, w, "")
	if !strings.Contains(got, "Not authorized to perform") || strings.Contains(got, "condition</th>") || !strings.Contains(got, "nothing more is told") {
		t.Error(got)
	}
}

// TestStepSummaryIsOnlyAdvice: whatever is wrong with the file, the command
// answers the same.
func TestStepSummaryIsOnlyAdvice(t *testing.T) {
	w := newWorld(t)
	w.denial()
	dir := t.TempDir()
	full := filepath.Join(dir, "full.md")
	if err := os.WriteFile(full, make([]byte, maxStepSummary-100), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"missing": filepath.Join(dir, "missing.md"), "a folder": dir, "a device": os.DevNull, "full": full} {
		env := w.job()
		env["GITHUB_ACTIONS"], env["GITHUB_STEP_SUMMARY"] = "true", file
		got := runJobCommand(t, env, "", "token")
		if got.code != exitDenied || strings.Count(got.stderr, "warning: the step summary is not written: ") != 1 || !strings.Contains(got.stderr, "\nCause ") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "missing.md")); err == nil {
		t.Error("a file was made that nobody asked for")
	}
	if info, err := os.Stat(full); err != nil || info.Size() != maxStepSummary-100 {
		t.Errorf("a full summary was written to: %v, %v", info, err)
	}
	// Outside of Actions nobody reads it.
	quiet := filepath.Join(dir, "quiet.md")
	if err := os.WriteFile(quiet, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := w.job()
	env["GITHUB_STEP_SUMMARY"] = quiet
	runJobCommand(t, env, "", "token")
	if data, _ := os.ReadFile(quiet); len(data) > 0 {
		t.Errorf("wrote %s", data)
	}
}

// element is all that a summary may be made of; what is left must hold nothing
// that HTML or Markdown gives a meaning.
var element = regexp.MustCompile(`</?(table|tr|th|td|p|code|strong)>|<br>|<th align="left">|<td colspan="4">`)

// FuzzStepSummary asserts that no value of a broker's answer leaves its code
// element: there are as many elements as the layout has, the text holds no
// markup, and no blank line ends an HTML block early.
func FuzzStepSummary(f *testing.F) {
	for _, s := range []string{
		"<script>alert(1)</script>", "</code></td></tr></table>\n\n# Owned", "[x](https://evil.example)", "| a | b |", "`", "``` ", "![x](y)",
		"\r\n\r\n::error::x", "https://evil.example", "@octocat", "&lt;b&gt;", "<!--", "\u2028\u2028", "\x00", strings.Repeat("&", 5000), "##[error]x",
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		denied := &client.DeniedError{Code: a, Message: b, Record: a, Reason: "x", Detail: a, Hint: b, Suggestion: a, Warning: b,
			Closest: &client.RuleTrace{Rule: a, Effect: b, Conditions: []client.RuleCondition{
				{Operator: a, Key: b, Expected: []string{a, b}, Actual: []string{b}, Note: a}, {Operator: b, Key: b},
			}}}
		why, told := denialOf(denied)
		got := denialSummary(denied.Error(), "hint", why, told)
		body, ok := strings.CutPrefix(got, "## stint: denied\n\n")
		if !ok {
			t.Fatal(got)
		}
		for i, block := range strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n") {
			if want := []string{"<table>", "<p>", "<table>"}; i >= len(want) || !strings.HasPrefix(block, want[i]) {
				t.Fatalf("block %d begins otherwise: %q", i, block)
			}
		}
		if rest := element.ReplaceAllString(got, ""); strings.ContainsAny(rest, "<>\"'") {
			t.Fatalf("markup is left: %q", rest)
		}
		if n := strings.Count(got, "<tr>"); n > 5+3 {
			t.Fatalf("%d rows", n)
		}
		if len(got) > 2*maxSummary+64<<10 {
			t.Fatalf("%d bytes", len(got))
		}
	})
}

// TestDenialIsBounded: a false broker cannot fill the log or the summary.
func TestDenialIsBounded(t *testing.T) {
	long := strings.Repeat("<", 2000)
	d := &client.DeniedError{Reason: "x", Detail: long, Closest: &client.RuleTrace{Rule: "r"}}
	for range 10_000 {
		d.Closest.Conditions = append(d.Closest.Conditions, client.RuleCondition{Operator: "match", Key: long,
			Expected: strings.Split(strings.Repeat("x ", 1000), " "), Actual: []string{long}})
	}
	why, told := denialOf(d)
	if n := len(explanationText([]leg{why})); !told || n > 128<<10 {
		t.Errorf("%d bytes to the log", n)
	}
	if n := len(denialSummary(d.Error(), "", why, told)); n > maxSummary {
		t.Errorf("%d bytes to the summary", n)
	}
	e := &Env{Stderr: &strings.Builder{}, Getenv: func(string) string { return "" }}
	if err := deniedError(e, errors.New("x"), d); !strings.Contains(err.Error(), "DENIED stint:Exchange") {
		t.Error(err)
	}
}

// TestDocumentedOutput holds what docs/explain.md shows to what the scripts
// compare with the command's output.
func TestDocumentedOutput(t *testing.T) {
	page, err := os.ReadFile("../../docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	for script, file := range map[string]string{"explain_chain": "no-tag.txt", "explain_action": "other.txt"} {
		text, err := os.ReadFile("testdata/script/" + script + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		_, output, found := strings.Cut(string(text), "-- "+file+" --\n")
		output, _, _ = strings.Cut(output, "\n-- ")
		var shown strings.Builder
		for line := range strings.Lines(strings.TrimSpace(output)) {
			if strings.TrimSpace(line) != "" {
				line = "    " + line
			}
			shown.WriteString(line)
		}
		if !found || !strings.Contains(string(page), shown.String()) {
			t.Errorf("docs/explain.md does not show the output of %s, which is\n%s", script, shown.String())
		}
	}
}
