package lint_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/lint"
	"github.com/stint-dev/stint/internal/source"
)

const sarifFile = "{\n  \"a\": \"日本 repo:*\",\n  \"b\": \"repo:*\"\n}\n"

func sarifReport(t testing.TB) lint.Report {
	one, two := twoRules(t)
	span := func(s string) source.Span {
		i := strings.LastIndex(sarifFile, s)
		return source.Span{Start: i, End: i + len(s)}
	}
	findings := []lint.Finding{
		{Rule: one, Severity: lint.Error, Position: at("my folder/a#1.json", 2, 8), Span: span(`"日本 repo:*"`), Subject: "deploy", Message: "any owner", Fix: "name it"},
		{Rule: one, Severity: lint.Error, Position: at("my folder/a#1.json", 3, 8), Span: span(`"repo:*"`), Subject: "deploy", Message: "[click](https://x.example)", Fix: "name it"},
		{Rule: two, Severity: lint.Note, Position: at("/elsewhere/b.tf", 1, 1), Span: source.Span{Start: 0, End: 1}, Message: "far away"},
		{Rule: two, Severity: lint.Warning, Position: at("my folder/a#1.json", 1, 1), Span: source.Span{Start: 0, End: len(sarifFile) - 1}, Message: "not known", Unknown: true},
	}
	silenced := []lint.Silenced{
		{Finding: lint.Finding{Rule: two, Severity: lint.Warning, Position: at("my folder/a#1.json", 1, 1), Message: "seen"}, By: lint.By{Kind: lint.ByComment, Position: at("my folder/a#1.json", 1, 3), Reason: "reviewed"}},
		{Finding: lint.Finding{Rule: two, Severity: lint.Warning, Position: at("my folder/a#1.json", 1, 1), Message: "seen"}, By: lint.By{Kind: lint.ByConfiguration, Position: at("stint-lint.yaml", 2, 5), Reason: "reviewed too"}},
	}
	return lint.NewReport(&inventory.Inventory{Problems: []error{
		&source.Error{Position: at("broken.tf", 4, 2), Message: "expected }"},
		errors.New("there is no file missing.json"),
	}}, findings, silenced)
}

func sarif(t testing.TB, r lint.Report, o lint.SARIFOptions) map[string]any {
	t.Helper()
	o.Version = "v1.2.3"
	o.Path = func(file string) (string, bool) { return file, !filepath.IsAbs(file) }
	o.Content = func(file string) []byte {
		if file == "my folder/a#1.json" {
			return []byte(sarifFile)
		}
		return nil
	}
	text, err := json.MarshalIndent(lint.SARIF(r, o), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if name := os.Getenv("STINT_WRITE_SARIF"); name != "" { // for a validator that is not written in Go
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var log map[string]any
	if err := json.Unmarshal(text, &log); err != nil {
		t.Fatal(err)
	}
	return log
}

// get follows a path of names and indexes.
func get(t testing.TB, v any, path string) any {
	t.Helper()
	for _, step := range strings.Split(path, ".") {
		var index int
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			if _, err := fmt.Sscan(step, &index); err != nil || index >= len(at) {
				t.Fatalf("%s: there is no %s", path, step)
			}
			v = at[index]
		default:
			return nil
		}
	}
	return v
}

func TestSARIF(t *testing.T) {
	one, two := twoRules(t)
	log := sarif(t, sarifReport(t), lint.SARIFOptions{Unknown: true, Silenced: true})
	for path, want := range map[string]any{
		"version":                            "2.1.0",
		"runs.0.columnKind":                  "unicodeCodePoints",
		"runs.0.tool.driver.name":            "stint",
		"runs.0.tool.driver.semanticVersion": "1.2.3",
		"runs.0.tool.driver.rules.0.defaultConfiguration.level": string(lint.Rules()[0].Severity),

		"runs.0.results.0.ruleId":       one,
		"runs.0.results.0.level":        "error",
		"runs.0.results.0.kind":         nil,
		"runs.0.results.0.message.text": "deploy: any owner. Fix: name it",
		"runs.0.results.0.locations.0.physicalLocation.artifactLocation.uri":       "my%20folder/a%231.json",
		"runs.0.results.0.locations.0.physicalLocation.artifactLocation.uriBaseId": "%SRCROOT%",
		"runs.0.results.0.locations.0.physicalLocation.region.startLine":           2.0,
		"runs.0.results.0.locations.0.physicalLocation.region.startColumn":         8.0,
		"runs.0.results.0.locations.0.physicalLocation.region.endColumn":           19.0,
		"runs.0.results.0.locations.0.physicalLocation.region.endLine":             nil,
		"runs.0.results.0.suppressions":                                            nil,

		"runs.0.results.1.message.text": `deploy: \[click\](https://x.example). Fix: name it`,

		"runs.0.results.2.level": "note",
		"runs.0.results.2.locations.0.physicalLocation.artifactLocation.uri":       "file:///elsewhere/b.tf",
		"runs.0.results.2.locations.0.physicalLocation.artifactLocation.uriBaseId": nil,
		"runs.0.results.2.locations.0.physicalLocation.region.endColumn":           nil,

		"runs.0.results.3.kind":  "open",
		"runs.0.results.3.level": "none",
		"runs.0.results.3.locations.0.physicalLocation.region.endLine": 4.0,

		"runs.0.results.4.ruleId":                                                                         two,
		"runs.0.results.4.suppressions.0.kind":                                                            "inSource",
		"runs.0.results.4.suppressions.0.justification":                                                   "reviewed",
		"runs.0.results.5.suppressions.0.kind":                                                            "external",
		"runs.0.results.5.suppressions.0.location.physicalLocation.artifactLocation.uri":                  "stint-lint.yaml",
		"runs.0.invocations.0.executionSuccessful":                                                        false,
		"runs.0.invocations.0.toolExecutionNotifications.0.level":                                         "error",
		"runs.0.invocations.0.toolExecutionNotifications.0.message.text":                                  "expected }",
		"runs.0.invocations.0.toolExecutionNotifications.1.message.text":                                  "there is no file missing.json",
		"runs.0.invocations.0.toolExecutionNotifications.1.locations":                                     nil,
		"runs.0.invocations.0.toolExecutionNotifications.0.locations.0.physicalLocation.region.startLine": 4.0,
	} {
		if got := get(t, log, path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	rules := get(t, log, "runs.0.tool.driver.rules").([]any)
	if len(rules) != len(lint.Rules()) {
		t.Errorf("%d rules, want %d", len(rules), len(lint.Rules()))
	}
	for _, r := range get(t, log, "runs.0.results").([]any) {
		index := int(get(t, r, "ruleIndex").(float64))
		if get(t, rules[index], "id") != get(t, r, "ruleId") {
			t.Errorf("ruleIndex %d is not of %s", index, get(t, r, "ruleId"))
		}
	}
	for _, r := range rules {
		score := get(t, r, "properties.security-severity").(string)
		least := map[any]string{"error": "7.0", "warning": "4.0", "note": "0.1"}[get(t, r, "defaultConfiguration.level")]
		if score < least {
			t.Errorf("%s: security-severity %s below %s", get(t, r, "id"), score, least)
		}
	}
}

// TestSARIFForCodeScanning leaves out what GitHub would make alerts of, and
// says how much that is.
func TestSARIFForCodeScanning(t *testing.T) {
	log := sarif(t, sarifReport(t), lint.SARIFOptions{})
	if n := len(get(t, log, "runs.0.results").([]any)); n != 3 {
		t.Errorf("%d results, want 3", n)
	}
	for path, want := range map[string]string{
		"runs.0.invocations.0.toolExecutionNotifications.2.message.text": "findings that were silenced with a reason: 2",
		"runs.0.invocations.0.toolExecutionNotifications.3.message.text": "checks that could not be decided from the files alone: 1",
	} {
		if got := get(t, log, path); got != want {
			t.Errorf("%s: %v, want %s", path, got, want)
		}
	}
}

// TestFingerprints stay when a finding moves, and differ where findings do.
func TestFingerprints(t *testing.T) {
	print := func(r lint.Report) []string {
		var out []string
		for _, result := range get(t, sarif(t, r, lint.SARIFOptions{}), "runs.0.results").([]any) {
			out = append(out, get(t, result, "partialFingerprints.stintFinding/v1").(string))
		}
		return out
	}
	r := sarifReport(t)
	first := print(r)
	seen := map[string]bool{}
	for _, f := range first {
		if seen[f] {
			t.Errorf("%s stands twice", f)
		}
		seen[f] = true
	}
	for i := range r.Findings {
		r.Findings[i].Position.Line += 10
	}
	if moved := print(r); strings.Join(moved, " ") != strings.Join(first, " ") {
		t.Errorf("moved: %s, want %s", moved, first)
	}
	again := r.Findings[0]
	again.Position.Line++
	r.Findings = append(r.Findings, again)
	if all := print(r); all[len(all)-1] != strings.TrimSuffix(first[0], "1")+"2" {
		t.Errorf("the second of its kind is %s, the first %s", all[len(all)-1], first[0])
	}
}

// TestSARIFLimits keeps the worst findings within GitHub's limit.
func TestSARIFLimits(t *testing.T) {
	one, _ := twoRules(t)
	var findings []lint.Finding
	for range 25010 {
		findings = append(findings, lint.Finding{Rule: one, Severity: lint.Note, Position: at("a.json", 1, 1), Message: strings.Repeat("é", 1100)})
	}
	findings = append(findings, lint.Finding{Rule: one, Severity: lint.Error, Position: at("a.json", 1, 1), Message: "the worst"})
	log := lint.SARIF(lint.NewReport(&inventory.Inventory{}, findings, nil), lint.SARIFOptions{})
	text, err := json.Marshal(log)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	results := get(t, got, "runs.0.results").([]any)
	if len(results) != 25000 {
		t.Errorf("%d results", len(results))
	}
	if get(t, results[0], "message.text") != "the worst" {
		t.Errorf("the first is %.40v", get(t, results[0], "message.text"))
	}
	if n := len([]rune(get(t, results[1], "message.text").(string))); n > 1000 {
		t.Errorf("a message of %d characters", n)
	}
	if got := get(t, got, "runs.0.invocations.0.toolExecutionNotifications.0.message.text"); got != "results left out, the least severe ones: 11" {
		t.Errorf("%v", got)
	}
}
