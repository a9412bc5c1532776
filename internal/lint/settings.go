package lint

import (
	"path"
	"strings"
	"time"

	"github.com/stint-dev/stint/internal/match"
	"github.com/stint-dev/stint/internal/source"
)

// Settings are what a stint-lint.yaml says.
type Settings struct {
	Ignore   []Ignore
	Severity map[string]Level
}

// Ignore silences a rule in some files.
type Ignore struct {
	Position source.Position
	Rule     string
	// Path is a glob: * stands for any run of characters but /, ** for any
	// folders, ? for one character, [a-z] for one of several.
	Path string
	// Subject is a pattern of a finding's subject, in which * stands for any
	// run of characters; empty for every subject.
	Subject string
	Reason  string
	// Until is the last day on which it holds, in UTC; zero for ever.
	Until time.Time
}

// Level is a rule's severity where it is not its own.
type Level struct {
	Position source.Position
	Severity Severity
	Off      bool
	Reason   string // of off
}

func (s *Settings) level(rule string) (Level, bool) {
	if s == nil {
		return Level{}, false
	}
	l, ok := s.Severity[rule]
	return l, ok
}

const day = "2006-01-02"

// matches reports whether the entry is about a finding in the file of this
// name.
func (i Ignore) matches(f Finding, name string) bool {
	return i.Rule == f.Rule && glob(i.Path, name) &&
		(i.Subject == "" || match.Compile(i.Subject).Match(f.Subject))
}

// expired reports whether the entry's last day is over.
func (i Ignore) expired(now time.Time) bool {
	return !i.Until.IsZero() && !now.Before(i.Until.AddDate(0, 0, 1))
}

// ignoreSet is the entries of Settings at work.
type ignoreSet struct {
	s     Silencing
	used  []bool
	names map[string]string
}

func (s Silencing) ignores() *ignoreSet {
	set := &ignoreSet{s: s, names: map[string]string{}}
	if s.Settings != nil {
		set.used = make([]bool, len(s.Settings.Ignore))
	}
	return set
}

func (g *ignoreSet) name(file string) string {
	name, ok := g.names[file]
	if !ok {
		name = file
		if g.s.Name != nil {
			name = g.s.Name(file)
		}
		g.names[file] = name
	}
	return name
}

// take is the entry that silences a finding. A finding whose entry expired
// says so.
func (g *ignoreSet) take(f *Finding, now time.Time) (By, bool) {
	if g.s.Settings == nil {
		return By{}, false
	}
	expired := ""
	for i, entry := range g.s.Settings.Ignore {
		if !entry.matches(*f, g.name(f.Position.File)) {
			continue
		}
		g.used[i] = true
		if entry.expired(now) {
			expired = " (it was silenced until " + entry.Until.Format(day) + ": " + entry.Reason + ")"
			continue
		}
		by := By{Kind: ByConfiguration, Position: entry.Position, Reason: entry.Reason}
		if !entry.Until.IsZero() {
			by.Until = entry.Until.Format(day)
		}
		return by, true
	}
	f.Message += expired
	return By{}, false
}

// unused are the entries that were about a file of this run, and silenced
// nothing. An entry for other files may be used when those are linted.
func (g *ignoreSet) unused() []Finding {
	var out []Finding
	if g.s.Settings == nil {
		return nil
	}
	for i, entry := range g.s.Settings.Ignore {
		if level, ok := g.s.Settings.level(entry.Rule); g.used[i] || ok && level.Off {
			continue
		}
		for _, file := range g.s.Files {
			if glob(entry.Path, g.name(file)) {
				out = append(out, metaFinding(silenceUnused, entry.Position, "%s is silenced in %s and does not fire there", entry.Rule, entry.Path))
				break
			}
		}
	}
	return out
}

// glob reports whether a path matches a pattern, folder by folder; ** stands
// for any number of folders. Both use forward slashes.
func glob(pattern, name string) bool {
	patterns, names := strings.Split(pattern, "/"), strings.Split(name, "/")
	// may[j] says whether the patterns so far match the first j names, so the
	// time is bounded however many ** there are.
	may := make([]bool, len(names)+1)
	may[0] = true
	for _, p := range patterns {
		next := make([]bool, len(names)+1)
		if p == "**" {
			for j, ok := 0, false; j <= len(names); j++ {
				ok = ok || may[j]
				next[j] = ok
			}
			may = next
			continue
		}
		for j, n := range names {
			if may[j] {
				ok, err := path.Match(p, n)
				next[j+1] = ok && err == nil
			}
		}
		may = next
	}
	return may[len(names)]
}
