package rules

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// why says in which claims a rule matches.
func (e *evaluation) why(r *rule) string {
	var parts []string
	for _, c := range r.match {
		parts = append(parts, fmt.Sprintf("%s is %q", c.claim, short(list(e.claims.Values(c.claim)))))
	}
	if failed := e.failed[r]; failed != "" {
		parts = append(parts, failed)
	} else if r.when != nil {
		parts = append(parts, fmt.Sprintf("when: %s", short(r.when.source)))
	}
	return strings.Join(parts, ", ")
}

// hintAt is the hint on what a rule missed first, and says what it misses beside
// that: the hint alone would send the job's author round once more.
func (e *evaluation) hintAt(d Decision, index int) string {
	miss := d.Results[index].Miss
	hint := e.hint(miss)
	if hint == "" {
		return ""
	}
	var also []string
	r := e.set.rules[index]
	for _, c := range r.match {
		if c.claim != miss.Claim && e.condition(c) != nil {
			also = append(also, c.claim)
		}
	}
	if len(also) > 0 {
		hint += "; the rule asks for another " + strings.Join(also, " and ") + " too"
	}
	return hint
}

// hint names the cause where a miss shows a known one.
func (e *evaluation) hint(m *Miss) string {
	for _, want := range m.Expected {
		switch {
		case m.Absent && m.Claim == "environment":
			return "add environment: " + want + " to the job in the workflow"
		case !m.Absent && m.Found != want && strings.EqualFold(m.Found, want):
			return "only the letter case differs, and it counts"
		case m.Claim == "ref" && (want == strings.TrimPrefix(m.Found, "refs/heads/") || want == strings.TrimPrefix(m.Found, "refs/tags/")):
			return "the rule means " + m.Found + ": a ref is written in full"
		case m.Claim == "sub" && strings.Contains(m.Found, "@") != strings.Contains(want, "@"):
			return "GitHub subjects come in two forms, with names and with ids: match repository_id and repository_owner_id instead"
		case (m.Claim == "repository_id" || m.Claim == "repository_owner_id") && strings.ContainsFunc(want, func(c rune) bool { return c < '0' || c > '9' }) && !strings.Contains(want, "*"):
			return m.Claim + " is a number; the name stands in " + strings.TrimSuffix(m.Claim, "_id")
		}
	}
	return ""
}

// short cuts a value that an explanation shows.
func short(s string) string {
	const most = 200
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "..."
}

func list(s []string) string { return strings.Join(s, ", ") }

func quoted(values []string) string {
	const most = 10
	q := make([]string, 0, len(values))
	for i, v := range values {
		if i == most {
			q = append(q, fmt.Sprintf("one of %d more", len(values)-most))
			break
		}
		q = append(q, fmt.Sprintf("%q", short(v)))
	}
	return strings.Join(q, " or ")
}
