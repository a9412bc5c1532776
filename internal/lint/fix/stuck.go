package fix

import (
	"fmt"
	"strings"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// A value that keeps callers out and stays in one form keeps them out in that
// form only. What lets callers in next to it must stay too: in the other form,
// it would let in whom the value was written against.

// stick finds those values, and what must stay because of them.
func (m *migration) stick(sites []site) {
	stuck := map[any]string{}
	for _, s := range sites {
		if !s.excludes {
			continue
		}
		for _, v := range s.values {
			if m.stays(s, v) {
				stuck[s.group] = shortly(v)
			}
		}
	}
	m.blocked = map[unit]string{}
	for _, s := range sites {
		by, is := stuck[s.group]
		if s.excludes || !is || s.group == nil {
			continue
		}
		for _, v := range s.values {
			if v.Span == (source.Span{}) {
				continue // it stands nowhere, so it cannot change
			}
			// Several roles may share a value: then it stays for all of them.
			m.blocked[unit{v.Position.File, v.Span}] = fmt.Sprintf("%s keeps callers out beside it and would do so in one form only: give the ids of what it names, or change both by hand", by)
		}
	}
}

// stays reports whether a value that keeps callers out will do so only in the
// form that is being left.
func (m *migration) stays(s site, v source.Text) bool {
	text, known := v.Known()
	if !known {
		return s.mayName(v)
	}
	w := m.o.at(s).convert(text, s.like, s.fold)
	if w.reason == "" && w.new != w.old && s.reason == "" && !m.isPlan(v.Position.File) && m.literal(s, v, text) {
		return false
	}
	return formBound(text, s.like, s.fold, m.o.To)
}

func shortly(v source.Text) string { return fmt.Sprintf("%.80q", v.String()) }

// fillings stand for a wildcard where the form of what a pattern matches is
// looked at.
var fillings = []string{"", "x", "x/y", "x/y:z", "repo:x", "repo:x/", "repo:x/y"}

const maxWildcards = 2 // of a value that is looked into; one with more counts as bound

// formBound reports whether a value matches a subject and not the same in the
// form that is moved to. repo:*:pull_request does not, repo:octo-org/octo-repo:*
// does.
func formBound(value string, like, fold bool, to Form) bool {
	if strings.Contains(value, "${") {
		return true // what it stands for is not known
	}
	pattern := subject.Exact(value)
	if like {
		pattern = subject.Like(value)
	}
	if strings.Count(value, "*") > maxWildcards && like {
		return true
	}
	matches := func(s string) bool {
		return pattern.Matches(s) == subject.Yes || fold && strings.EqualFold(value, s)
	}
	bound := false
	var fill func(before, rest string)
	fill = func(before, rest string) {
		i := strings.IndexAny(rest, "*?")
		switch {
		case bound:
		case !like || i < 0:
			other, ok := inForm(to, before+rest)
			bound = ok && !matches(other)
		case rest[i] == '?':
			fill(before+rest[:i]+"x", rest[i+1:])
		default:
			for _, f := range fillings {
				fill(before+rest[:i]+f, rest[i+1:])
			}
		}
	}
	fill("", value)
	return bound
}

// inForm is a subject in the form that it does not have, with ids that nobody was
// given; ok is false for one that has it, or is of no form.
func inForm(to Form, s string) (out string, ok bool) {
	r, ok := subject.SplitRepo(s)
	switch {
	case !ok || wild(s):
		return "", false
	case to == Names && r.HasOwnerID && r.HasRepoID:
		r.OwnerID, r.HasOwnerID, r.RepoID, r.HasRepoID = "", false, "", false
	case to == IDs && !r.HasOwnerID && !r.HasRepoID:
		r.OwnerID, r.HasOwnerID, r.RepoID, r.HasRepoID = "1", true, "2", true
	default:
		return "", false
	}
	return r.String(), true
}

// together drops edits that let callers in where one that keeps callers out
// could not be made beside them.
func (m *migration) together(kept map[unit]bool) {
	lost := map[any]bool{}
	for _, p := range m.plans {
		for i, e := range p.edits {
			if p.excludes && p.group != nil && !kept[unit{p.at[i].File, e.unit}] {
				lost[p.group] = true
			}
		}
	}
	dropped := false
	for _, p := range m.plans {
		for i, e := range p.edits {
			if u := (unit{p.at[i].File, e.unit}); !p.excludes && lost[p.group] && kept[u] {
				delete(kept, u)
				dropped = true
			}
		}
	}
	if dropped && !m.holds(m.only(kept)) {
		clear(kept)
	}
}
