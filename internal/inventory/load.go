package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// The bounds of what Load reads.
const (
	// MaxFile is the size of the largest file that is read, in bytes.
	MaxFile = 32 << 20
	// MaxFiles is how many files are read.
	MaxFiles = 10_000
	// MaxTotal is how many bytes are read in all.
	MaxTotal = 256 << 20
	// MaxProblems is how many problems are kept.
	MaxProblems = 1000

	maxFolders = 32 // one within the other
	maxEntries = 500_000
)

// Load reads files, and folders with everything in them.
//
// What a file is, its content says. A file that was named and is none of the
// known kinds is a problem; one that only lies in a folder is left alone. In
// folders, hidden folders other than .github are skipped, and so are
// node_modules, vendor and everything that is no regular file. Links are
// followed, and a file that several lead to is read once.
//
// Places carry the path as it was given.
func Load(paths ...string) *Inventory { return load(osDisk{}, paths) }

// LoadChanged is Load as it would be if the files of changed had those
// contents. Their names are paths as places carry them.
func LoadChanged(changed map[string][]byte, paths ...string) *Inventory {
	return load(changedDisk{osDisk{}, changed}, paths)
}

// LoadFS is Load from a file system such as one embedded in the binary; no
// paths mean all of it.
func LoadFS(fsys fs.FS, paths ...string) *Inventory {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return load(fsDisk{fsys}, paths)
}

func load(d disk, paths []string) *Inventory {
	w := &walker{disk: d, seen: map[string]bool{}, r: newReader()}
	for _, p := range paths {
		w.path(p, true, 0)
	}
	return w.r.finish()
}

// walker finds files.
type walker struct {
	disk    disk
	r       *reader
	seen    map[string]bool // resolved paths, so that a loop of links ends
	entries int
	files   int
	bytes   int
	full    bool
}

func (w *walker) fail(err error) {
	var e *source.Error
	if !errors.As(err, &e) {
		err = fmt.Errorf("reading files: %w", err)
	}
	w.r.problem(err)
}

func (w *walker) path(name string, named bool, depth int) {
	if w.full {
		return
	}
	real, err := w.disk.real(name)
	if err != nil {
		real = name
	}
	if w.seen[real] {
		return
	}
	var info fs.FileInfo
	if err == nil || named {
		// What a shell names /dev/fd/63 leads to no name, and is there.
		info, err = w.disk.stat(name)
	}
	if err != nil {
		if named { // a dead link in a folder is not ours to report
			w.fail(err)
		}
		return
	}
	switch {
	case info.IsDir():
		w.seen[real] = true
		w.folder(name, depth)
	case !named && (!info.Mode().IsRegular() || !candidate(name)):
		// A pipe or a device in a folder could block for ever.
	default:
		w.seen[real] = true
		w.file(name, named)
	}
}

func (w *walker) folder(name string, depth int) {
	if depth >= maxFolders {
		w.fail(fmt.Errorf("%s: expected at most %d folders within one another", name, maxFolders))
		return
	}
	entries, err := w.disk.readDir(name)
	if err != nil {
		w.fail(err)
		return
	}
	for _, e := range entries {
		if w.entries++; w.entries > maxEntries && !w.full {
			w.full = true
			w.fail(fmt.Errorf("%s: expected at most %d files and folders; name the ones to read", name, maxEntries))
		}
		link := e.Type()&fs.ModeSymlink != 0
		switch {
		case e.IsDir() && skipped(e.Name()):
		case link && skipped(e.Name()):
		case e.IsDir(), link, candidate(e.Name()):
			w.path(w.disk.join(name, e.Name()), false, depth+1)
		}
	}
}

// skipped reports whether a folder holds what others wrote, or nothing that a
// user would look for.
func skipped(name string) bool {
	switch name {
	case ".github":
		return false
	case "node_modules", "vendor":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// candidate reports whether a file in a folder may be of a known kind.
func candidate(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json", ".yml", ".yaml", ".template", ".cfn":
		return true
	}
	return isTerraform(name)
}

func (w *walker) file(name string, named bool) {
	if w.files++; w.files > MaxFiles {
		w.full = true
		w.fail(fmt.Errorf("%s: expected at most %d files; name the ones to read", name, MaxFiles))
		return
	}
	data, err := w.disk.readFile(name, MaxFile+1)
	switch {
	case err != nil:
		w.fail(err)
		return
	case len(data) > MaxFile:
		if named || marked(data) {
			w.fail(&source.Error{Position: source.Position{File: name}, Message: fmt.Sprintf("expected at most %d MiB, found more", MaxFile>>20)})
		}
		return
	}
	if w.bytes += len(data); w.bytes > MaxTotal {
		w.full = true
		w.fail(fmt.Errorf("%s: expected at most %d MiB in all; name the files to read", name, MaxTotal>>20))
		return
	}
	w.r.file(name, data, named)
}

// finish joins what names one another, and sorts.
func (r *reader) finish() *Inventory {
	r.readModules()
	r.join()
	slices.Sort(r.inv.Files)
	r.inv.Files = slices.Compact(r.inv.Files)
	slices.SortStableFunc(r.inv.Roles, func(a, b Role) int { return byPlace(a.Position, b.Position) })
	slices.SortStableFunc(r.inv.Policies, func(a, b StandalonePolicy) int { return byPlace(a.Position, b.Position) })
	slices.SortStableFunc(r.inv.Providers, func(a, b Provider) int { return byPlace(a.Position, b.Position) })
	slices.SortStableFunc(r.inv.Azure, func(a, b AzureApplication) int { return byPlace(a.Position, b.Position) })
	if r.dropped > 0 {
		r.inv.Problems = append(r.inv.Problems, fmt.Errorf("and %d more problems", r.dropped))
	}
	return r.inv
}

func byPlace(a, b source.Position) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}
