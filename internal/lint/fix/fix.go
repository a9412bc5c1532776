// Package fix moves trust policies between the two forms of GitHub's subjects:
// repo:OWNER/REPO:... and, since July 2026, repo:OWNER@ID/REPO@ID:....
//
// It edits the bytes of literal values and nothing else. Every file that it
// proposes was read again as edited: the policies differ in the wanted values
// only, and let in the tokens that they are to let in.
package fix

import (
	"bytes"
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/lint"
	"github.com/stint-dev/stint/internal/source"
)

// Options say what to move where.
type Options struct {
	To Form
	// Add keeps the old value beside the new one. Where a value keeps callers
	// out, in a Deny statement or under a negated operator, it stays in any
	// case: tokens in the old form would get in.
	Add bool
	// Repositories are the ids, by owner/name as GitHub writes it.
	Repositories map[string]lint.Repository
	// Read is a file's content.
	Read func(file string) ([]byte, error)
	// Load reads the inventory again as it would be if the files had these
	// contents.
	Load func(files map[string][]byte) *inventory.Inventory
}

// Result is what Migrate proposes. It changes no file.
type Result struct {
	Files     []File      `json:"files"`     // that change, by name
	Unchanged []Unchanged `json:"unchanged"` // by place
}

// File is a file that changes.
type File struct {
	Name    string   `json:"file"`
	Changes []Change `json:"changes"` // by place
	Old     []byte   `json:"-"`
	New     []byte   `json:"-"`
}

// Change is a value that changes.
type Change struct {
	Position source.Position `json:"position"` // in the old file
	Subject  string          `json:"subject,omitempty"`
	// Action is replace, add (the new value beside the old one) or remove
	// (the new value is there already).
	Action string `json:"action"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

// Unchanged is a value that names a repository in the other form and stays.
type Unchanged struct {
	Position source.Position `json:"position"`
	Subject  string          `json:"subject,omitempty"`
	Value    string          `json:"value"`
	Reason   string          `json:"reason"`
}

// Migrate moves the subjects of an inventory to one form.
func Migrate(inv *inventory.Inventory, o Options) Result {
	m := &migration{o: o, inv: inv, files: map[string][]byte{}}
	sites := m.sites()
	m.stick(sites)
	for _, s := range sites {
		m.plan(s)
	}
	m.propose()
	slices.SortFunc(m.result.Files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(m.result.Unchanged, func(a, b Unchanged) int {
		return cmp.Or(cmp.Compare(a.Position.File, b.Position.File), cmp.Compare(a.Position.Line, b.Position.Line), cmp.Compare(a.Position.Column, b.Position.Column), cmp.Compare(a.Value, b.Value))
	})
	// A value that several roles share stays once.
	m.result.Unchanged = slices.CompactFunc(m.result.Unchanged, func(a, b Unchanged) bool {
		return a.Position == b.Position && a.Value == b.Value && a.Reason == b.Reason
	})
	return m.result
}

type migration struct {
	o      Options
	inv    *inventory.Inventory
	files  map[string][]byte
	plans  []*plan
	tries  int
	result Result
	// blocked are values that must not change, with why.
	blocked map[unit]string
}

// plan is a site with what becomes of its values.
type plan struct {
	site
	wanted []wanted // one for each value
	edits  []edit
	at     []source.Position // of the edits
}

func (m *migration) unchanged(s site, v source.Text, reason string) {
	m.result.Unchanged = append(m.result.Unchanged, Unchanged{Position: s.place(v), Subject: s.subject, Value: v.String(), Reason: reason})
}

// plan decides on the values of a site.
func (m *migration) plan(s site) {
	p := &plan{site: s}
	o := m.o.at(s)
	have := map[string]bool{}
	for _, v := range s.values {
		if text, ok := v.Known(); ok {
			have[text] = true
		}
	}
	for _, v := range s.values {
		text, ok := v.Known()
		if !ok {
			p.wanted = append(p.wanted, wanted{})
			if s.mayName(v) {
				m.unchanged(s, v, "it is built from what only a deployment tells: "+strings.Join(v.Unknowns(), ", "))
			}
			continue
		}
		w := o.convert(text, s.like, s.fold)
		if s.reason != "" && (w.new != w.old || w.reason != "") {
			w.reason = s.reason
		}
		if by := m.blocked[unit{v.Position.File, v.Span}]; by != "" && w.reason == "" && w.new != w.old {
			w.reason = by
		}
		e := edit{span: v.Span, unit: v.Span, old: w.old, new: w.new, beside: o.Add}
		switch {
		case w.reason == "" && w.new == w.old, w.reason == "" && o.Add && have[w.new]:
			// Nothing is to be done.
			w.new = w.old
		case w.reason != "":
			m.unchanged(s, v, w.reason)
			w.new = w.old
		case m.isPlan(v.Position.File):
			m.unchanged(s, v, "the file is a plan of Terraform: change it where the plan comes from")
			w.new = w.old
		case !m.literal(s, v, text):
			m.unchanged(s, v, "it does not stand in this file as it is: change it where it is written to "+w.new)
			w.new = w.old
		default:
			twin, ok := s.find(w.new)
			switch {
			case ok && !p.edited(twin) && m.commented(v) && !m.commented(twin) && m.literal(s, twin, w.new):
				// The line with the comment stays.
				p.add(edit{span: twin.Span, unit: v.Span, old: w.new}, twin)
			case have[w.new]:
				e.new = ""
			}
			have[w.new] = true
			p.add(e, v)
		}
		p.wanted = append(p.wanted, w)
	}
	if len(p.edits) > 0 {
		m.plans = append(m.plans, p)
	}
}

// at is the options as they are at a site.
func (o Options) at(s site) Options {
	o.Add = o.Add || s.excludes
	return o
}

func (p *plan) add(e edit, v source.Text) {
	p.edits, p.at = append(p.edits, e), append(p.at, v.Position)
}

func (p *plan) edited(v source.Text) bool {
	return slices.ContainsFunc(p.edits, func(e edit) bool { return e.span == v.Span })
}

// commented reports whether a comment stands behind a value that has a line
// for itself.
func (m *migration) commented(v source.Text) bool {
	data, err := m.read(v.Position.File)
	if err != nil || v.Span.End > len(data) {
		return false
	}
	t := text{data: data, span: v.Span, yaml: isYAML(v.Position.File, data)}
	_, end := t.line()
	_, own := t.ownLine()
	return own && bytes.ContainsAny(data[v.Span.End:end], "#/")
}

// literal reports whether a value can be edited where it stands.
func (m *migration) literal(s site, v source.Text, text string) bool {
	if v.Span == (source.Span{}) || v.Position.File == "" {
		return false
	}
	data, err := m.read(v.Position.File)
	if err != nil {
		return false
	}
	_, ok := readLiteral(data, v.Span, text)
	return ok
}

// isPlan reports whether a file is what `terraform show -json` prints.
func (m *migration) isPlan(file string) bool {
	data, err := m.read(file)
	return err == nil && strings.EqualFold(filepath.Ext(file), ".json") &&
		bytes.Contains(data, []byte(`"terraform_version"`)) && bytes.Contains(data, []byte(`"planned_values"`))
}

func (m *migration) read(file string) ([]byte, error) {
	if data, ok := m.files[file]; ok {
		return data, nil
	}
	data, err := m.o.Read(file)
	if err == nil {
		m.files[file] = data
	}
	return data, err
}
