// Package organization reads a small file that describes AWS accounts and the
// organization that they are in, for emulated services.
package organization

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// Organization is an organization of AWS with its accounts. It is immutable.
type Organization struct {
	ID       string // o-...
	accounts map[string]Account
}

// Account is an account of the organization.
type Account struct {
	ID   string // twelve digits
	Name string
	// Path is its place, such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/: the
	// value of aws:PrincipalOrgPaths.
	Path string
}

// Account is the account of this number. A nil Organization has none.
func (o *Organization) Account(id string) (Account, bool) {
	if o == nil {
		return Account{}, false
	}
	a, ok := o.accounts[id]
	return a, ok
}

const (
	maxFile     = 1 << 20
	maxAccounts = 10_000
)

var (
	orgID     = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
	orgPath   = regexp.MustCompile(`^o-[a-z0-9]{10,32}/r-[0-9a-z]{4,32}/(?:ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}/)*$`)
)

// Load reads the file at path, YAML or JSON:
//
//	id: o-a1b2c3d4e5
//	accounts:
//	  - {id: "111111111111", name: ci, path: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/}
//
// Mistakes are told with their places, all at once.
func Load(path string) (*Organization, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the organization: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the organization: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("reading the organization: expected at most %d bytes in %s", maxFile, path)
	}
	return Parse(path, data)
}

// Parse is Load of a file's content.
func Parse(name string, data []byte) (*Organization, error) {
	docs, err := source.ParseYAML(name, data, nil)
	if err != nil {
		return nil, err
	}
	start := source.Position{File: name, Line: 1, Column: 1}
	if len(docs) != 1 {
		return nil, &source.Error{Position: start, Message: "expected one document with id and accounts"}
	}
	r := &reader{o: &Organization{accounts: map[string]Account{}}}
	var accounts *source.Node
	r.fields(docs[0], "the organization", map[string]func(*source.Node){
		"id":       func(n *source.Node) { r.o.ID = r.text(n, "id", orgID, "an organization's id such as o-a1b2c3d4e5") },
		"accounts": func(n *source.Node) { accounts = n },
	})
	if r.o.ID == "" && len(r.errs) == 0 {
		r.fail(start, "expected id: with the organization's id")
	}
	r.accounts(accounts, start)
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return r.o, nil
}

type reader struct {
	o    *Organization
	errs []error
}

func (r *reader) fail(at source.Position, format string, args ...any) {
	if len(r.errs) < 50 {
		r.errs = append(r.errs, &source.Error{Position: at, Message: fmt.Sprintf(format, args...)})
	}
}

func (r *reader) fields(n *source.Node, what string, known map[string]func(*source.Node)) {
	if n.Kind != source.KindMap {
		r.fail(n.Position, "%s: expected keys with values, found %s", what, n.Kind)
		return
	}
	for _, f := range n.Fields {
		if read, ok := known[f.Name]; ok {
			read(f.Value)
			continue
		}
		r.fail(f.Key.Position, "%s: unknown key %.64q", what, f.Name)
	}
}

func (r *reader) text(n *source.Node, what string, re *regexp.Regexp, is string) string {
	s, _ := n.Text.Known()
	if n.Kind != source.KindString || re != nil && !re.MatchString(s) {
		r.fail(n.Position, "%s: expected %s, quoted, found %.64q", what, is, n.Text.String())
		return ""
	}
	return s
}

func (r *reader) accounts(n *source.Node, start source.Position) {
	if n == nil || n.Kind != source.KindList || len(n.Items) == 0 {
		if n != nil {
			start = n.Position
		}
		r.fail(start, "expected accounts: with a list of accounts")
		return
	}
	if len(n.Items) > maxAccounts {
		r.fail(n.Position, "accounts: expected at most %d, found %d", maxAccounts, len(n.Items))
		return
	}
	for _, item := range n.Items {
		var a Account
		r.fields(item, "an account", map[string]func(*source.Node){
			"id":   func(n *source.Node) { a.ID = r.text(n, "id", accountID, "twelve digits") },
			"name": func(n *source.Node) { a.Name = r.text(n, "name", nil, "a name") },
			"path": func(n *source.Node) {
				a.Path = r.text(n, "path", orgPath, "a path such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/")
			},
		})
		switch {
		case item.Kind != source.KindMap:
		case a.ID == "" || a.Path == "":
			if item.Get("id") == nil || item.Get("path") == nil {
				r.fail(item.Position, "an account: expected id and path")
			}
		case !strings.HasPrefix(a.Path, r.o.ID+"/") && r.o.ID != "":
			r.fail(item.Position, "the account %s: expected a path below %s/, found %s", a.ID, r.o.ID, a.Path)
		case r.o.accounts[a.ID].ID != "":
			r.fail(item.Position, "the account %s stands twice", a.ID)
		default:
			r.o.accounts[a.ID] = a
		}
	}
}
