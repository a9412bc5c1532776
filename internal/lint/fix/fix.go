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
	// Add keeps the old value beside the new one.
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
	for _, s := range m.sites() {
		m.plan(s)
	}
	m.propose()
	slices.SortFunc(m.result.Files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(m.result.Unchanged, func(a, b Unchanged) int {
		return cmp.Or(cmp.Compare(a.Position.File, b.Position.File), cmp.Compare(a.Position.Line, b.Position.Line), cmp.Compare(a.Position.Column, b.Position.Column), cmp.Compare(a.Value, b.Value))
	})
	m.result.Unchanged = slices.Compact(m.result.Unchanged)
	return m.result
}

type migration struct {
	o      Options
	inv    *inventory.Inventory
	files  map[string][]byte
	plans  []*plan
	result Result
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
			if v.Prefix() == "" || strings.HasPrefix(v.Prefix(), "repo:") {
				m.unchanged(s, v, "it is built from what only a deployment tells: "+strings.Join(v.Unknowns(), ", "))
			}
			continue
		}
		w := m.o.convert(text, s.like, s.fold)
		if w.new != w.old && s.reason != "" {
			w.reason = s.reason
		}
		e := edit{span: v.Span, old: w.old, new: w.new, beside: m.o.Add}
		switch {
		case w.reason == "" && w.new == w.old, w.reason == "" && m.o.Add && have[w.new]:
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
				p.add(edit{span: twin.Span, old: w.new}, twin)
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

// propose makes the edits and keeps those that turn out as wanted: all of them
// at once, or else those that do so alone, one after the other.
func (m *migration) propose() {
	kept := m.plans
	if len(kept) > 0 && !m.holds(kept) {
		kept = nil
		for _, group := range groups(m.plans) {
			if with := slices.Concat(kept, group); m.holds(with) {
				kept = with
				continue
			}
			for _, p := range group {
				for i, e := range p.edits {
					m.result.Unchanged = append(m.result.Unchanged, Unchanged{Position: p.at[i], Subject: p.subject, Value: e.old,
						Reason: "the file would not say what is wanted after an edit in this place: change it by hand to " + m.o.target(p, e)})
				}
			}
		}
	}
	edited, _ := m.edited(kept)
	for name, data := range edited {
		f := File{Name: name, Old: m.files[name], New: data}
		for _, p := range kept {
			for i, e := range p.edits {
				if p.at[i].File == name {
					f.Changes = append(f.Changes, Change{Position: p.at[i], Subject: p.subject, Action: e.action(), Old: e.old, New: m.o.target(p, e)})
				}
			}
		}
		slices.SortStableFunc(f.Changes, func(a, b Change) int {
			return cmp.Or(cmp.Compare(a.Position.Line, b.Position.Line), cmp.Compare(a.Position.Column, b.Position.Column))
		})
		// A value that several roles share is one change.
		f.Changes = slices.CompactFunc(f.Changes, func(a, b Change) bool { return a.Position == b.Position })
		m.result.Files = append(m.result.Files, f)
	}
}

// groups puts plans together that edit the same values: roles may share a
// policy.
func groups(plans []*plan) [][]*plan {
	type place struct {
		file string
		span source.Span
	}
	index := map[place]int{}
	var out [][]*plan
	for _, p := range plans {
		first := place{p.at[0].File, p.edits[0].span}
		i, ok := index[first]
		if !ok {
			i = len(out)
			index[first] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], p)
	}
	return out
}

// target is what a value is or was converted to.
func (o Options) target(p *plan, e edit) string {
	return o.convert(e.old, p.like, p.fold).new
}

func (e edit) action() string {
	switch {
	case e.new == "":
		return "remove"
	case e.beside:
		return "add"
	}
	return "replace"
}

// edited is the content of the files that the plans change. ok is false where
// an edit cannot be made.
func (m *migration) edited(plans []*plan) (files map[string][]byte, ok bool) {
	byFile := map[string][]edit{}
	for _, p := range plans {
		for i, e := range p.edits {
			file := p.at[i].File
			if !slices.Contains(byFile[file], e) { // roles may share a policy
				byFile[file] = append(byFile[file], e)
			}
		}
	}
	files = map[string][]byte{}
	for file, edits := range byFile {
		data, ok := apply(file, m.files[file], edits)
		if !ok || bytes.Equal(data, m.files[file]) {
			return nil, false
		}
		files[file] = data
	}
	return files, true
}
