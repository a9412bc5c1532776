package policytest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// compare says where an outcome is not what was expected.
func (e Expect) compare(out Outcome) []string {
	if out.Unknown != "" {
		return []string{"expected a decision, found none: " + out.Unknown}
	}
	var wrong []string
	differ := func(what, expected, found string) {
		if expected != found {
			wrong = append(wrong, fmt.Sprintf("expected %s %s, found %s", what, shown(expected), shown(found)))
		}
	}
	if e.Decision != out.Decision {
		found := "allow by the rule " + out.Rule
		switch {
		case out.Decision == Deny && out.By == ByTrust:
			found = "deny by the trust policy"
		case out.Decision == Deny:
			found = "deny by the rules"
		case out.Rule == "":
			found = "allow by the trust policy"
		}
		return []string{fmt.Sprintf("expected %s, found %s", e.Decision, found)}
	}
	if e.By != "" {
		differ("a denial by", e.By, out.By)
	}
	if e.Rule != nil {
		differ("the rule", *e.Rule, out.Rule)
	}
	if e.Reason != "" {
		differ("the reason", e.Reason, out.Reason)
	}
	if e.Cause != "" {
		differ("the cause", e.Cause, string(out.Cause))
	}
	s := out.Session
	if s == nil {
		return wrong
	}
	for _, f := range []struct {
		what     string
		expected *string
		found    string
	}{
		{"the role", e.Role, s.Role}, {"the audience", e.Audience, s.Audience}, {"the subject", e.Subject, s.Subject},
		{"the session name", e.SessionName, s.Name}, {"the source identity", e.SourceIdentity, s.SourceIdentity},
	} {
		if f.expected != nil {
			differ(f.what, *f.expected, f.found)
		}
	}
	if e.Duration != nil {
		differ("the duration", e.Duration.String(), (time.Duration(s.DurationSeconds) * time.Second).String())
	}
	for _, key := range slices.Sorted(maps.Keys(e.Tags)) {
		found, has := s.Tags[key]
		switch want := e.Tags[key]; {
		case want == nil && has:
			wrong = append(wrong, fmt.Sprintf("expected no tag %s, found %s", key, shown(found)))
		case want != nil && !has:
			wrong = append(wrong, fmt.Sprintf("expected the tag %s to be %s, found no such tag", key, shown(*want)))
		case want != nil:
			differ("the tag "+key+" to be", *want, found)
		}
	}
	if e.Transitive != nil {
		want, found := slices.Sorted(slices.Values(*e.Transitive)), slices.Sorted(slices.Values(s.Transitive))
		if !slices.Equal(want, found) {
			wrong = append(wrong, fmt.Sprintf("expected the transitive tags [%s], found [%s]", strings.Join(want, ", "), strings.Join(found, ", ")))
		}
	}
	return wrong
}

func shown(s string) string {
	if s == "" {
		return "none"
	}
	if strings.ContainsAny(s, " \t\r\n\"") {
		return strconv.Quote(s)
	}
	return s
}
