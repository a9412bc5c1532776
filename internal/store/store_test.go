package store

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

func TestURLs(t *testing.T) {
	for url, c := range map[string]struct{ path, refused string }{
		"sqlite:stint.db":                    {path: "stint.db"},
		"sqlite:./a/../stint.db":             {path: "stint.db"},
		"sqlite:/var/lib/stint.db":           {path: "/var/lib/stint.db"},
		"sqlite:///var/lib/stint.db":         {path: "/var/lib/stint.db"},
		"sqlite://stint.db":                  {refused: "expected sqlite:PATH"},
		"sqlite::memory:":                    {refused: "would forget every record"},
		"sqlite:":                            {refused: "path of a file"},
		"sqlite:data/":                       {refused: "path of a file"},
		"stint.db":                           {refused: "sqlite:stint.db"},
		"":                                   {refused: "sqlite:stint.db"},
		"mysql://x":                          {refused: `"mysql"`},
		"postgres://stint:hunter2@db/stint":  {refused: "not supported in this version"},
		"postgresql://stint:hunter2@db/stin": {refused: "not supported in this version"},
	} {
		path, err := sqlitePath(url)
		if c.refused == "" {
			if err != nil || path != filepath.FromSlash(c.path) {
				t.Errorf("%q: expected %q, found %q, %v", url, c.path, path, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%q: expected an error that says %q, found %v", url, c.refused, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error tells the password: %v", url, err)
		}
		if _, openErr := Open(t.Context(), url); openErr == nil {
			t.Errorf("%q: expected Open to refuse it too", url)
		}
	}
}

func TestResolve(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:stint.db":     "sqlite:/etc/stint/stint.db",
		"sqlite:../stint.db":  "sqlite:/etc/stint.db",
		"sqlite:/var/x.db":    "sqlite:/var/x.db",
		"postgres://db/stint": "postgres://db/stint",
	} {
		if got := Resolve(url, "/etc/stint"); got != want {
			t.Errorf("%s: expected %s, found %s", url, want, got)
		}
	}
}

func TestOpenReader(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "stint.db")
	if _, err := OpenReader(t.Context(), url); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected fs.ErrNotExist, found %v", err)
	}
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(t.Context(), url) // no broker runs, and the log is gone
	if err != nil {
		t.Fatal(err)
	}
	if records, err := r.Records(t.Context(), Query{}); err != nil || len(records) != 0 {
		t.Errorf("expected no records, found %v, %v", records, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
