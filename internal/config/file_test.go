package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/config"
)

// TestReadFile: only a regular file of bounded size is read, and nothing can
// keep the reader waiting.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if data, err := config.ReadFile(path, 5); err != nil || string(data) != "12345" {
			t.Errorf("%s: got %q, %v", path, data, err)
		}
	}
	if _, err := config.ReadFile(file, 4); err == nil || !strings.Contains(err.Error(), "at most 4 bytes") {
		t.Errorf("too large: %v", err)
	}
	if _, err := config.ReadFile(dir, 5); err == nil || !strings.Contains(err.Error(), "expected a file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := config.ReadFile(filepath.Join(dir, "none"), 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

// TestIssuerPath: a path that routers and verifiers could read in two ways is
// refused.
func TestIssuerPath(t *testing.T) {
	for path, good := range map[string]bool{
		"": true, "/stint": true, "/a/b": true,
		"//a": false, "/../a": false, "/a/./b": false, "/a%2fb": false, "/{x}": false,
	} {
		_, err := config.Parse("stint.yaml", []byte("issuer: \"https://stint.example.com"+path+"\"\nissuers:\n  ci: {url: https://ci.example.com, audiences: [a]}\nrules: []\n"))
		if (err == nil) != good {
			t.Errorf("%q: %v", path, err)
		}
	}
}
