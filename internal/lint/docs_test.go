package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/lint"
)

// TestPages: every rule has a page and stands in the index, with its title and
// its severity, and every page is of a rule.
func TestPages(t *testing.T) {
	const folder = "../../docs/lint"
	var index strings.Builder
	rules := map[string]bool{}
	for _, r := range lint.Rules() {
		rules[r.ID] = true
		fmt.Fprintf(&index, "| [%s](%s.md) | %s | %s |\n", r.ID, r.ID, r.Severity, r.Title)
		page, err := os.ReadFile(filepath.Join(folder, r.ID+".md"))
		if err != nil {
			t.Errorf("%s: %s", r.ID, err)
			continue
		}
		if head := fmt.Sprintf("# %s\n\n**%s**: %s\n\n", r.ID, r.Severity, r.Title); !strings.HasPrefix(string(page), head) {
			t.Errorf("%s.md begins with %.120q, want %q", r.ID, page, head)
		}
	}
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| rule | severity | what |\n|---|---|---|\n")
	if table != index.String() {
		t.Errorf("the index in README.md ends with\n%s\nwant\n%s", table, index.String())
	}
	pages, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if id := strings.TrimSuffix(filepath.Base(p), ".md"); id != "README" && !rules[id] {
			t.Errorf("%s is of no rule", p)
		}
	}
}

// TestRulesAreWhole: every rule says what it is, why, and what to do.
func TestRulesAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range lint.Rules() {
		if r.ID == "" || seen[r.ID] || strings.Trim(r.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%q is no id, or stands twice", r.ID)
		}
		seen[r.ID] = true
		if r.Severity.Rank() == 0 || r.Title == "" || !strings.HasSuffix(r.Why, ".") || !strings.HasSuffix(r.Fix, ".") {
			t.Errorf("%s: %+v is not whole", r.ID, r)
		}
	}
}

// TestPageOfSettings: the stint-lint.yaml that README.md shows is one.
func TestPageOfSettings(t *testing.T) {
	readme, err := os.ReadFile("../../docs/lint/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```yaml\nignore:")
	text, _, ok := strings.Cut(rest, "```")
	settings, err := lint.ParseSettings("stint-lint.yaml", []byte("ignore:"+text))
	if !ok || err != nil || len(settings.Ignore) == 0 || len(settings.Severity) == 0 {
		t.Errorf("%v, %+v", err, settings)
	}
}
