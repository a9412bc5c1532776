package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTestingPage holds docs/testing.md to the example that it shows and to
// what the commands print.
func TestTestingPage(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	page := read("docs/testing.md")
	if !strings.Contains(page, "```yaml\n"+strings.TrimRight(read("examples/stint-test.yaml"), "\n")+"\n```") {
		t.Error("the page does not show examples/stint-test.yaml as it is")
	}
	changed := filepath.Join(t.TempDir(), "new.yaml")
	text := strings.NewReplacer("ref: [refs/heads/main, refs/tags/v*]", "ref: [refs/heads/*, refs/tags/v*]",
		"event_name: [push, pull_request]", "event_name: [push, workflow_dispatch]").Replace(read("examples/stint.yaml"))
	if err := os.WriteFile(changed, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	tests := filepath.Join(root, "examples/stint-test.yaml")
	for _, args := range [][]string{
		{"test", tests},
		{"diff", filepath.Join(root, "examples/stint.yaml"), changed, "--tests", tests},
	} {
		var out, errOut bytes.Buffer
		e := &Env{Stdout: &out, Stderr: &errOut, Now: time.Now, Getenv: func(string) string { return "" }}
		if code := Run(t.Context(), e, args); code != exitDone {
			t.Fatalf("%v: exit %d, %s", args, code, errOut.String())
		}
		shown := ""
		for line := range strings.Lines(out.String()) {
			shown += strings.TrimRight("    "+strings.TrimRight(line, "\n"), " ") + "\n"
		}
		if !strings.Contains(page, shown) {
			t.Errorf("the page does not show what stint %s prints:\n%s", args[0], out.String())
		}
	}
}
