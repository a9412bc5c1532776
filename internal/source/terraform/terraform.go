// Package terraform reads Terraform modules and plans into resources whose
// values are known as far as they can be without running Terraform.
//
// Every value keeps its place. What only a plan or a deployment will tell (a
// variable without a default, a resource's ARN, a remote module's output)
// stays unknown. Nothing is read but the files that are given.
package terraform

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// The bounds of what is read. Each that is passed is an *source.Error, and what
// lies beyond it is unknown.
const (
	// MaxFile is the size of the largest file, in bytes.
	MaxFile = 1 << 20
	// MaxInstances is how many instances count or for_each may make of one
	// resource or module, and how many blocks one dynamic block.
	MaxInstances = 1000
	// MaxResources is how many resources are made in all.
	MaxResources = 10_000

	maxModules = 500     // calls, in all
	maxNested  = 16      // module calls within one another
	maxSteps   = 2 << 20 // expressions evaluated, in all
	maxLevels  = 400     // of evaluation
	maxText    = 1 << 20 // bytes of one text
	maxValue   = 4 << 20 // bytes, about, of one value written out
	maxTotal   = 64 << 20
	maxErrors  = 100
)

// Root is a folder that no other of the given folders calls, and what it makes,
// with the modules that it calls. Folders that only call one another count as
// roots; one of each circle.
type Root struct {
	Folder    string
	Resources []source.Resource
	Unread    []Unread
}

// Unread is a call of a module that is not among the folders: of a registry, of
// another repository, or of a folder that was not given.
type Unread struct {
	Address  string // such as module.ci
	Position source.Position
	Source   string // as it is written; empty where it is not known
	Local    bool   // it is a folder beside the ones given
}

// ParseModule reads the files of one folder, by their names: .tf, .tf.json,
// terraform.tfvars and *.auto.tfvars. Other names are left alone. A file that
// cannot be read does not hinder the others: the error joins an *source.Error
// for each, and stands beside what was read.
func ParseModule(files map[string][]byte) ([]source.Resource, error) {
	roots, err := ParseModules(map[string]map[string][]byte{".": files})
	return roots[0].Resources, err
}

// ParseModules reads several folders, each with its files by the names that
// places shall carry. A call of a local module is followed where its folder is
// among them; a folder that is called is not read as a root, with all its
// variables unknown. Roots come in the order of their names. Errors are as those
// of ParseModule.
func ParseModules(folders map[string]map[string][]byte) ([]Root, error) {
	e := &evaluator{
		files: map[string]*file{}, folders: map[string]*config{}, weights: map[*source.Node]weight{},
		encoded: map[*source.Node]bool{}, sets: map[*source.Node]bool{}, reported: map[string]bool{},
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		e.folders[filepath.Clean(folder)] = e.parse(folders[folder])
	}
	var out []Root
	for _, folder := range e.roots() {
		before, unread := len(e.resources), len(e.unread)
		e.module(folder, e.folders[folder], "", nil, 0).all()
		out = append(out, Root{Folder: folder, Resources: slices.Clone(e.resources[before:]), Unread: slices.Clone(e.unread[unread:])})
	}
	return out, errors.Join(e.errs...)
}

// roots are the folders that no other one leads to.
func (e *evaluator) roots() []string {
	called := map[string]bool{}
	var follow func(folder string)
	follow = func(folder string) {
		for _, c := range e.folders[folder].calls {
			if to, ok := e.local(folder, c); ok && !called[to] {
				called[to] = true
				follow(to)
			}
		}
	}
	var roots []string
	all := slices.Sorted(maps.Keys(e.folders))
	for _, folder := range all {
		self := false
		for _, other := range all {
			if other == folder {
				continue
			}
			for _, c := range e.folders[other].calls {
				to, ok := e.local(other, c)
				self = self || ok && to == folder
			}
		}
		if !self {
			roots = append(roots, folder)
			called[folder] = true
			follow(folder)
		}
	}
	for _, folder := range all { // what is only in a circle
		if !called[folder] {
			roots = append(roots, folder)
			called[folder] = true
			follow(folder)
		}
	}
	slices.Sort(roots)
	return roots
}

// local is the folder that a module call leads to, if it was given.
func (e *evaluator) local(folder string, call *block) (string, bool) {
	a := call.body.attr("source")
	if a == nil {
		return "", false
	}
	s, ok := literal(a.expr)
	if !ok || !strings.HasPrefix(s, "./") && !strings.HasPrefix(s, "../") {
		return "", false
	}
	to := filepath.Clean(filepath.Join(folder, s))
	return to, e.folders[to] != nil
}

// fail notes a mistake, once for each place.
func (e *evaluator) fail(at source.Position, format string, args ...any) {
	e.report(&source.Error{Position: at, Message: fmt.Sprintf(format, args...)})
}

func (e *evaluator) report(err *source.Error) {
	if key := err.Error(); !e.reported[key] && len(e.errs) < maxErrors {
		e.reported[key] = true
		e.errs = append(e.errs, err)
	}
}

// IsPlan reports whether a JSON document is what `terraform show -json` prints
// of a plan or of a state.
func IsPlan(n *source.Node) bool {
	return n != nil && n.Kind == source.KindMap && n.Get("format_version") != nil &&
		(n.Get("planned_values") != nil || n.Get("values") != nil || n.Get("resource_changes") != nil)
}
