package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/lint/fix"
)

// migrated is what `stint lint --fix --json` prints.
type migrated struct {
	fix.Result
	Diff    string `json:"diff"`
	Written bool   `json:"written"`
}

// migrate moves subjects to another form: it shows the diff, and writes the
// files where that was asked for.
func (f *lintFlags) migrate(e *Env, paths []string) error {
	given, err := repositories(f.repositories, f.repository)
	if err != nil {
		return err
	}
	inv := inventory.Load(paths...)
	files := newContents()
	result := fix.Migrate(inv, fix.Options{
		To: fix.Form(f.to), Add: f.add, Repositories: given,
		Read: func(file string) ([]byte, error) {
			if data := files.read(file); data != nil {
				return data, nil
			}
			return nil, fs.ErrNotExist
		},
		Load: func(changed map[string][]byte) *inventory.Inventory { return inventory.LoadChanged(changed, paths...) },
	})
	var shown strings.Builder
	for _, file := range result.Files {
		shown.Write(unified(file))
	}
	if f.json {
		if result.Files == nil {
			result.Files = []fix.File{}
		}
		if result.Unchanged == nil {
			result.Unchanged = []fix.Unchanged{}
		}
	} else if _, err := fmt.Fprint(e.Stdout, shown.String()); err != nil {
		return err
	}
	failed := len(inv.Problems) + len(result.Unchanged)
	written := 0
	if f.write {
		for _, file := range result.Files {
			if err := rewrite(file); err != nil {
				printError(e.Stderr, printable(err.Error()), "")
				failed++
				continue
			}
			written++
		}
	}
	if f.json {
		if err := printJSON(e.Stdout, migrated{result, shown.String(), f.write && written == len(result.Files)}); err != nil {
			return err
		}
	}
	printProblems(e, inv)
	if err := known(inv, paths); err != nil {
		return err
	}
	f.summary(e, result, written)
	if failed > 0 {
		return exitStatus(exitFailed)
	}
	return nil
}

func (f *lintFlags) summary(e *Env, r fix.Result, written int) {
	changes := 0
	for _, file := range r.Files {
		changes += len(file.Changes)
	}
	for _, u := range r.Unchanged {
		fmt.Fprintf(e.Stderr, "unchanged: %s: %s: %s\n", printable(where(u.Position)), printable(u.Value), printable(u.Reason))
	}
	what := "to change; --write does it"
	switch {
	case f.write:
		what = fmt.Sprintf("changed, %s written", count(written, "file"))
	case changes == 0:
		what = "to change"
	}
	fmt.Fprintf(e.Stderr, "%s %s; %s unchanged\n", count(changes, "value"), what, count(len(r.Unchanged), "value"))
}

// unified is the diff of a file, as patch and git apply take it. Control
// characters of a file never reach a terminal.
func unified(f fix.File) []byte {
	name := filepath.ToSlash(f.Name)
	text := diff.Diff("a/"+strings.TrimPrefix(name, "/"), f.Old, "b/"+strings.TrimPrefix(name, "/"), f.New)
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		end := len(bytes.TrimRight(line, "\r\n"))
		hidden := func(r rune) bool {
			return r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp))
		}
		if bytes.ContainsFunc(line[:end], hidden) {
			out.WriteString(printable(strings.ReplaceAll(string(line[:end]), "\t", "    ")))
		} else {
			out.Write(line[:end])
		}
		out.Write(line[end:])
	}
	return out.Bytes()
}

// errChanged says that somebody else wrote a file in the meantime.
var errChanged = errors.New("it changed since it was read: run this again")

// rewrite replaces a file at once, so that nobody ever sees half of it. A link
// keeps pointing to what it points to.
func rewrite(f fix.File) error {
	fail := func(err error) error { return fmt.Errorf("writing %s: %w", f.Name, err) }
	target, err := filepath.EvalSymlinks(f.Name)
	if err != nil {
		return fail(err)
	}
	info, err := os.Stat(target)
	if err != nil {
		return fail(err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(target), ".stint-*")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(tmp.Name()) // fails after the rename, as it should
	_, err = tmp.Write(f.New)
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err != nil {
		return fail(err)
	}
	// As late as can be: what was read must be what is replaced.
	now, err := config.ReadFile(target, maxLinted)
	if err != nil {
		return fail(err)
	}
	if !bytes.Equal(now, f.Old) {
		return fail(errChanged)
	}
	if err := os.Rename(tmp.Name(), target); err != nil {
		return fail(err)
	}
	return nil
}
