package roles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The bounds of what Load reads.
const (
	maxFile      = 5 << 20
	maxFiles     = 10_000
	maxFolders   = 32 // one within the other
	maxReported  = 50 // errors
	roleFileName = ".json"
)

// Load reads roles from files, and from folders all files *.json, also those
// in folders within them. Links are followed, and a file that several lead to
// is read once. The errors of all files are reported together; each is an
// *Error or says which path could not be read.
func Load(paths ...string) (*Set, error) {
	if len(paths) == 0 {
		return nil, errors.New("reading roles: expected at least one file or folder")
	}
	l := newLoader()
	for _, p := range paths {
		l.path(p, true, 0)
	}
	return l.set(strings.Join(paths, ", "))
}

// LoadFS is Load from a file system such as one embedded in the binary.
func LoadFS(fsys fs.FS, paths ...string) (*Set, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	l := newLoader()
	for _, root := range paths {
		err := fs.WalkDir(fsys, root, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() || name != root && !isRoleFile(name) || l.seen[name] {
				return nil
			}
			l.seen[name] = true
			f, err := fsys.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			l.read(name, f)
			return nil
		})
		if err != nil {
			l.fail(fmt.Errorf("reading roles: %w", err))
		}
	}
	return l.set(strings.Join(paths, ", "))
}

type loader struct {
	roles   map[string]Role
	seen    map[string]bool // resolved paths, so that a loop of links ends
	files   int
	errs    []error
	dropped int
}

func newLoader() *loader {
	return &loader{roles: map[string]Role{}, seen: map[string]bool{}}
}

func (l *loader) fail(err error) {
	if len(l.errs) >= maxReported {
		l.dropped++
		return
	}
	l.errs = append(l.errs, err)
}

func isRoleFile(name string) bool { return strings.EqualFold(filepath.Ext(name), roleFileName) }

// path reads a file or a folder. A file that was named is read whatever its
// name ends in.
func (l *loader) path(name string, named bool, depth int) {
	real, err := filepath.EvalSymlinks(name)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		if named || isRoleFile(name) { // a dead link of another kind is not ours to report
			l.fail(fmt.Errorf("reading roles: %w", err))
		}
		return
	}
	if l.seen[real] {
		return
	}
	info, err := os.Stat(real)
	if err != nil {
		l.fail(fmt.Errorf("reading roles: %w", err))
		return
	}
	switch {
	case info.IsDir():
		l.seen[real] = true
		l.folder(name, depth)
	case !named && !isRoleFile(name):
	case !info.Mode().IsRegular() && !named:
		// A pipe or a device in a folder could block for ever.
	default:
		l.seen[real] = true
		l.file(name)
	}
}

func (l *loader) folder(name string, depth int) {
	if depth >= maxFolders {
		l.fail(fmt.Errorf("reading roles: %s: expected at most %d folders within one another", name, maxFolders))
		return
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		l.fail(fmt.Errorf("reading roles: %w", err))
		return
	}
	for _, e := range entries {
		isLink := e.Type()&fs.ModeSymlink != 0
		if e.IsDir() || isLink || isRoleFile(e.Name()) {
			l.path(filepath.Join(name, e.Name()), false, depth+1)
		}
	}
}

func (l *loader) file(name string) {
	f, err := os.Open(name)
	if err != nil {
		l.fail(fmt.Errorf("reading roles: %w", err))
		return
	}
	defer f.Close()
	l.read(name, f)
}

func (l *loader) read(name string, r io.Reader) {
	if l.files++; l.files > maxFiles {
		if l.files == maxFiles+1 {
			l.fail(fmt.Errorf("reading roles: expected at most %d files", maxFiles))
		}
		return
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		l.fail(fmt.Errorf("reading roles: %w", err))
		return
	}
	f := &file{name: name, data: data}
	f.parse()
	for _, err := range f.errs {
		l.fail(err)
	}
	for _, r := range f.roles {
		if first, doubled := l.roles[r.ARN]; doubled {
			l.fail(&Error{File: name, Line: r.at.Line, Column: r.at.Column, Message: fmt.Sprintf("the role %s is doubled, it already stands at %s", r.ARN, first.Source)})
			continue
		}
		l.roles[r.ARN] = r.Role
	}
}

func (l *loader) set(paths string) (*Set, error) {
	if l.dropped > 0 {
		l.errs = append(l.errs, fmt.Errorf("and %d more", l.dropped))
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	if len(l.roles) == 0 {
		return nil, fmt.Errorf("reading roles: %s: expected roles as `aws iam get-role` prints them, found no file *.json with any", paths)
	}
	return &Set{roles: l.roles}, nil
}
