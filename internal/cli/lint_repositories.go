package cli

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/lint"
	"github.com/stint-dev/stint/internal/source"
)

// The bounds of a file of repositories: the REST API says some 6 KB of each.
const (
	maxRepositoriesJSON = 64 << 20
	maxRepositoriesYAML = 1 << 20
)

// repositories are the ids that --repositories and --repository give.
func repositories(file string, flags []string) (map[string]lint.Repository, error) {
	g := givenRepositories{map[string]lint.Repository{}, map[string]string{}, map[string]string{}}
	if file != "" {
		given, err := readRepositories(file)
		if err != nil {
			return nil, failf("names to ids: repositories as the GitHub REST API prints them, or octo-org/octo-repo: {owner_id: 65, id: 74}", "reading the repositories: %w", err)
		}
		for _, name := range slices.Sorted(maps.Keys(given)) {
			if err := g.add(name, given[name]); err != nil {
				return nil, failf("", "%s: %w", printable(file), err)
			}
		}
	}
	for _, flag := range flags {
		name, ids, _ := strings.Cut(flag, "=")
		owner, id, _ := strings.Cut(ids, "/")
		if err := g.add(name, lint.Repository{OwnerID: owner, ID: id}); err != nil {
			return nil, usagef("write it as --repository OWNER/REPO=OWNER_ID/ID, as in octo-org/octo-repo=65/74")("--repository: %w", err)
		}
	}
	return g.all, nil
}

// givenRepositories are repositories by name.
type givenRepositories struct {
	all    map[string]lint.Repository
	names  map[string]string // by the name in lower case: GitHub takes them for the same
	owners map[string]string // the name of one of an owner's repositories, by the owner in lower case
}

func (g givenRepositories) add(name string, r lint.Repository) error {
	owner, repo, ok := strings.Cut(name, "/")
	if !ok || owner == "" || repo == "" || strings.ContainsAny(name, "*?@: \t\r\n") || strings.Contains(repo, "/") {
		return fmt.Errorf("expected OWNER/REPO, found %q", printable(name))
	}
	for _, id := range []struct{ what, value string }{{"its owner's id", r.OwnerID}, {"its id", r.ID}} {
		if len(id.value) > 20 || strings.Trim(id.value, "0123456789") != "" || strings.Trim(id.value, "0") == "" {
			return fmt.Errorf("%s: expected a number for %s, found %q", printable(name), id.what, printable(id.value))
		}
	}
	if other, twice := g.names[strings.ToLower(name)]; twice && (other != name || g.all[other] != r) {
		return fmt.Errorf("%s is given twice, and not the same", printable(name))
	}
	if other, known := g.owners[strings.ToLower(owner)]; known {
		if theirs, _, _ := strings.Cut(other, "/"); theirs != owner || g.all[other].OwnerID != r.OwnerID {
			return fmt.Errorf("%s and %s have one owner, and not the same id or letter case of it", printable(other), printable(name))
		}
	}
	g.names[strings.ToLower(name)], g.owners[strings.ToLower(owner)], g.all[name] = name, name, r
	return nil
}

func readRepositories(file string) (map[string]lint.Repository, error) {
	data, err := config.ReadFile(file, maxRepositoriesJSON)
	if err != nil {
		return nil, err
	}
	out := map[string]lint.Repository{}
	first := bytes.TrimLeft(data, "\ufeff \t\r\n")
	if strings.ToLower(filepath.Ext(file)) != ".json" && (len(first) == 0 || first[0] != '{' && first[0] != '[') {
		return out, repositoriesYAML(file, data, out)
	}
	values, err := source.ParseJSON(file, data)
	if err != nil {
		return nil, err
	}
	for _, v := range values { // one list for each page
		for _, n := range v.List() {
			if n.Kind != source.KindMap {
				return nil, &source.Error{Position: n.Position, Message: fmt.Sprintf("expected repositories, found %s", n.Kind)}
			}
			if n.Get("full_name") == nil {
				if err := repositoriesMap(n, out); err != nil {
					return nil, err
				}
				continue
			}
			name := n.Get("full_name").Text.String()
			r := lint.Repository{ID: nodeText(n.Get("id")), OwnerID: nodeText(n.Get("owner").Get("id"))}
			if had, twice := out[name]; twice && had != r {
				return nil, &source.Error{Position: n.Position, Message: fmt.Sprintf("%.200q stands twice, with other ids", name)}
			}
			out[name] = r
		}
	}
	return out, nil
}

func nodeText(n *source.Node) string {
	if n == nil {
		return ""
	}
	return n.Text.String()
}

// repositoriesMap reads names with their ids, as JSON.
func repositoriesMap(n *source.Node, out map[string]lint.Repository) error {
	for _, f := range n.Fields {
		var r lint.Repository
		if f.Value.Kind != source.KindMap {
			return &source.Error{Position: f.Value.Position, Message: "expected owner_id and id"}
		}
		for _, g := range f.Value.Fields {
			switch text := nodeText(g.Value); g.Name {
			case "owner_id":
				r.OwnerID = text
			case "id":
				r.ID = text
			case "ids_in_subject":
				r.IDsInSubject = source.Truthful(text == "true")
			default:
				return &source.Error{Position: g.Key.Position, Message: fmt.Sprintf("expected owner_id, id or ids_in_subject, found %.64q", g.Name)}
			}
		}
		out[f.Name] = r
	}
	return nil
}

func repositoriesYAML(file string, data []byte, out map[string]lint.Repository) error {
	if len(data) > maxRepositoriesYAML {
		return fmt.Errorf("%s:1:1: expected at most %d bytes of YAML", file, maxRepositoriesYAML)
	}
	var given map[string]struct {
		OwnerID      uint64 `yaml:"owner_id"`
		ID           uint64 `yaml:"id"`
		IDsInSubject *bool  `yaml:"ids_in_subject"`
	}
	if err := yaml.UnmarshalWithOptions(data, &given, yaml.Strict()); err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			p := at.GetToken().Position
			return &source.Error{Position: source.Position{File: file, Line: p.Line, Column: p.Column}, Message: at.GetMessage(), Err: err}
		}
		return fmt.Errorf("%s: %w", file, err)
	}
	for name, g := range given {
		r := lint.Repository{OwnerID: fmt.Sprint(g.OwnerID), ID: fmt.Sprint(g.ID)}
		if g.IDsInSubject != nil {
			r.IDsInSubject = source.Truthful(*g.IDsInSubject)
		}
		out[name] = r
	}
	return nil
}
