package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/stint-dev/stint/internal/source"
)

// Marker begins a comment that silences findings: stint:ignore RULE[,RULE...]
// REASON, at the end of the finding's line or alone on the line above it.
const Marker = "stint:ignore"

// Silenced is a finding that somebody decided to ignore.
type Silenced struct {
	Finding
	By By `json:"by"`
}

// By says who silenced a finding, and why.
type By struct {
	Kind     string          `json:"kind"` // comment, or configuration
	Position source.Position `json:"position"`
	Reason   string          `json:"reason"`
	Until    string          `json:"until,omitempty"` // the last day, as 2027-01-31
}

// The kinds of By.
const (
	ByComment       = "comment"
	ByConfiguration = "configuration"
)

// Silencing is everything that may silence a finding.
type Silencing struct {
	Comments []source.Comment // of the files that were read
	Settings *Settings        // nil where there are none
	Now      time.Time        // decides what has expired
	Files    []string         // that were read
	// Name is a file's path as the globs of Settings see it; nil leaves it
	// as it is.
	Name func(file string) string
}

// Silence takes the findings apart: those that count, and those that were
// silenced with a reason. What is wrong with the silences themselves is among
// the findings that count. Both are sorted by place.
func Silence(findings []Finding, s Silencing) ([]Finding, []Silenced) {
	known := map[string]bool{}
	for _, r := range Rules() {
		known[r.ID] = true
	}
	marks, wrong := readMarks(s.Comments, known)
	ignores := s.ignores()
	var kept []Finding
	var silenced []Silenced
	for _, f := range findings {
		if level, ok := s.Settings.level(f.Rule); ok {
			if level.Off {
				silenced = append(silenced, Silenced{f, By{Kind: ByConfiguration, Position: level.Position, Reason: level.Reason}})
				continue
			}
			f.Severity = level.Severity
		}
		by, ok := marks.take(f)
		if !ok {
			by, ok = ignores.take(&f, s.Now)
		}
		if ok {
			silenced = append(silenced, Silenced{f, by})
			continue
		}
		kept = append(kept, f)
	}
	wrong = append(wrong, marks.unused(s.Settings)...)
	wrong = append(wrong, ignores.unused()...)
	for _, f := range wrong {
		if level, ok := s.Settings.level(f.Rule); ok && !level.Off {
			f.Severity = level.Severity
		} else if ok {
			silenced = append(silenced, Silenced{f, By{Kind: ByConfiguration, Position: level.Position, Reason: level.Reason}})
			continue
		}
		kept = append(kept, f)
	}
	slices.SortStableFunc(kept, byPlace)
	slices.SortStableFunc(silenced, func(a, b Silenced) int { return byPlace(a.Finding, b.Finding) })
	return kept, silenced
}

func byPlace(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(a.Position.File, b.Position.File),
		cmp.Compare(a.Position.Line, b.Position.Line),
		cmp.Compare(a.Position.Column, b.Position.Column),
		cmp.Compare(a.Rule, b.Rule),
	)
}

// mark is one rule of one comment.
type mark struct {
	rule   string
	reason string
	at     source.Position
	used   bool
}

// place is a line of a file.
type place struct {
	file string
	line int
}

type markSet struct {
	all []*mark
	at  map[place][]*mark
}

// readMarks reads the comments that silence, and says what is wrong with them.
func readMarks(comments []source.Comment, known map[string]bool) (markSet, []Finding) {
	set := markSet{at: map[place][]*mark{}}
	var wrong []Finding
	// A comment alone is about the first line below it that holds more than a
	// comment, so that several may stand above one line.
	about := map[place]int{}
	for _, c := range slices.Backward(comments) { // in the order of their file
		if c.Alone {
			line := c.EndLine + 1
			if further, ok := about[place{c.Position.File, line}]; ok {
				line = further
			}
			about[place{c.Position.File, c.Position.Line}] = line
		}
	}
	for _, c := range comments {
		rules, reason, ok := parseMark(c.Text)
		if !ok {
			continue
		}
		line := c.EndLine
		if c.Alone {
			line = about[place{c.Position.File, c.Position.Line}]
		}
		complain := func(rule, format string, args ...any) {
			wrong = append(wrong, metaFinding(rule, c.Position, format, args...))
		}
		if reason == "" {
			complain(silenceWithoutReason, "%s has no reason, so it silences nothing", strings.TrimSpace(Marker+" "+strings.Join(rules, ",")))
			continue
		}
		for _, rule := range rules {
			switch {
			case !known[rule]:
				complain(silenceUnknownRule, "there is no rule %.64q%s", rule, didYouMean(rule, known))
			case meta(rule):
				complain(silenceUnknownRule, "%s is about silences and cannot be silenced by one", rule)
			default:
				m := &mark{rule: rule, reason: reason, at: c.Position}
				set.all = append(set.all, m)
				at := place{c.Position.File, line}
				set.at[at] = append(set.at[at], m)
			}
		}
	}
	return set, wrong
}

// parseMark takes a comment's text apart. ok is false for a comment that is no
// silence.
func parseMark(text string) (rules []string, reason string, ok bool) {
	rest, ok := strings.CutPrefix(text, Marker)
	if !ok || rest != "" && !strings.ContainsAny(rest[:1], " \t\r\n") {
		return nil, "", false
	}
	rest = strings.TrimSpace(rest)
	for {
		word, after := rest, ""
		if i := strings.IndexFunc(rest, unicode.IsSpace); i >= 0 {
			word, after = rest[:i], strings.TrimSpace(rest[i:])
		}
		more := strings.HasSuffix(word, ",")
		for rule := range strings.SplitSeq(word, ",") {
			if rule != "" {
				rules = append(rules, rule)
			}
		}
		if rest = after; !more || rest == "" {
			break
		}
	}
	reason = strings.Join(strings.Fields(rest), " ")
	// A dash or a colon between the rule and the reason is no reason.
	reason = strings.TrimSpace(strings.TrimLeft(reason, "-–—: "))
	return rules, reason, true
}

// take is the comment that silences a finding.
func (s markSet) take(f Finding) (By, bool) {
	var by By
	found := false
	for _, m := range s.at[place{f.Position.File, f.Position.Line}] {
		if m.rule == f.Rule {
			m.used = true
			if !found {
				by, found = By{Kind: ByComment, Position: m.at, Reason: m.reason}, true
			}
		}
	}
	return by, found
}

// unused are the marks that silenced nothing. One of a rule that is off is of
// use once the rule is on again.
func (s markSet) unused(settings *Settings) []Finding {
	var out []Finding
	for _, m := range s.all {
		if level, ok := settings.level(m.rule); !m.used && !(ok && level.Off) {
			out = append(out, metaFinding(silenceUnused, m.at, "%s is silenced here and does not fire on this line", m.rule))
		}
	}
	return out
}

func metaFinding(rule string, at source.Position, format string, args ...any) Finding {
	f := Finding{Rule: rule, Position: at, Message: fmt.Sprintf(format, args...)}
	for _, r := range silenceRules() {
		if r.ID == rule {
			f.Severity, f.Fix = r.Severity, r.Fix
		}
	}
	return f
}

// didYouMean names a rule that is written alike.
func didYouMean(rule string, known map[string]bool) string {
	best, least := "", 4
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if d := distance(rule, id, least); d < least {
			best, least = id, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is how many letters must change to make a of b, at most most.
func distance(a, b string, most int) int {
	if len(a) > 64 || len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], most)
}
