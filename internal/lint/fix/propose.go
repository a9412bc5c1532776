package fix

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/stint-dev/stint/internal/source"
)

// maxTries bounds how often the files are read again.
const maxTries = 500

// unit is edits that are made together.
type unit struct {
	file string
	span source.Span
}

// propose makes the edits and keeps those that turn out as wanted.
func (m *migration) propose() {
	var units []unit
	seen := map[unit]bool{}
	for _, p := range m.plans {
		for i, e := range p.edits {
			if u := (unit{p.at[i].File, e.unit}); !seen[u] { // roles may share a policy
				seen[u] = true
				units = append(units, u)
			}
		}
	}
	kept := map[unit]bool{}
	m.keep(kept, units)
	m.together(kept)
	plans := m.only(kept)
	for _, p := range m.plans {
		for i, e := range p.edits {
			if !kept[unit{p.at[i].File, e.unit}] && e.span == e.unit {
				by := "change it by hand to "
				if e.beside {
					by = "add by hand "
				}
				m.result.Unchanged = append(m.result.Unchanged, Unchanged{Position: p.at[i], Subject: p.subject, Value: e.old,
					Reason: "the file would not say what is wanted after an edit in this place: " + by + m.o.target(p, e)})
			}
		}
	}
	edited, _ := m.edited(plans)
	for name, data := range edited {
		m.result.Files = append(m.result.Files, File{Name: name, Changes: m.changes(plans, name), Old: m.files[name], New: data})
	}
}

// keep adds the units that turn out as wanted beside those that are kept: all
// of them, or as many as can be found by halving.
func (m *migration) keep(kept map[unit]bool, units []unit) {
	if len(units) == 0 || m.tries >= maxTries {
		return
	}
	m.tries++
	for _, u := range units {
		kept[u] = true
	}
	if m.holds(m.only(kept)) {
		return
	}
	for _, u := range units {
		delete(kept, u)
	}
	if half := len(units) / 2; half > 0 {
		m.keep(kept, units[:half])
		m.keep(kept, units[half:])
	}
}

// only is the plans with these units alone.
func (m *migration) only(kept map[unit]bool) []*plan {
	var out []*plan
	for _, p := range m.plans {
		with := &plan{site: p.site, wanted: p.wanted}
		for i, e := range p.edits {
			if kept[unit{p.at[i].File, e.unit}] {
				with.edits, with.at = append(with.edits, e), append(with.at, p.at[i])
			}
		}
		if len(with.edits) > 0 {
			out = append(out, with)
		}
	}
	return out
}

// changes is what the plans change in one file.
func (m *migration) changes(plans []*plan, file string) []Change {
	var out []Change
	for _, p := range plans {
		for i, e := range p.edits {
			if p.at[i].File == file {
				out = append(out, Change{Position: p.at[i], Subject: p.subject, Action: e.action(), Old: e.old, New: m.o.target(p, e)})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Position.Line, b.Position.Line), cmp.Compare(a.Position.Column, b.Position.Column))
	})
	// A value that several roles share is one change.
	return slices.CompactFunc(out, func(a, b Change) bool { return a.Position == b.Position })
}

// target is what a value is or was converted to.
func (o Options) target(p *plan, e edit) string {
	return o.at(p.site).convert(e.old, p.like, p.fold).new
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
