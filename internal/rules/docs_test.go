package rules_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/rules"
)

// TestDocumentation: every configuration that the documentation shows can be
// copied and used.
func TestDocumentation(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	shown := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range block.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasPrefix(b[1], "issuer:") {
				continue
			}
			shown++
			cfg, err := config.Parse(page, []byte(b[1]))
			if err == nil {
				_, err = rules.Compile(cfg)
			}
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			for _, w := range cfg.Warnings() {
				t.Errorf("%s: %s", page, w)
			}
		}
	}
	if shown < 2 {
		t.Errorf("found %d configurations in the documentation", shown)
	}
}
