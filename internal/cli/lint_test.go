package cli_test

import (
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestLintPage: docs/lint/README.md shows what lint_docs.txtar proves.
func TestLintPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/lint/README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := txtar.ParseFile("testdata/script/lint_docs.txtar")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, f := range script.Files {
		if !strings.HasSuffix(f.Name, ".out") && !strings.HasSuffix(f.Name, ".err") {
			continue
		}
		shown++
		var block strings.Builder
		for line := range strings.Lines(string(f.Data)) {
			if line != "\n" {
				block.WriteString("    ")
			}
			block.WriteString(line)
		}
		if !strings.Contains(string(page), block.String()) {
			t.Errorf("the page does not have %s:\n%s", f.Name, block.String())
		}
	}
	if shown == 0 {
		t.Error("the script shows nothing")
	}
}
