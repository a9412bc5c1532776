package subject

import (
	"regexp"
	"strings"
	"testing"
)

// FuzzMatches asserts that a pattern means what the regular expression of its
// parts means.
func FuzzMatches(f *testing.F) {
	for _, seed := range [][2]string{{"repo:*/x?", "repo:a/xé"}, {"*a*b*", "aabb"}, {"a?*?b", "a12b"}, {"", ""}, {"*", "a/b:c"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		pattern, s = strings.ToValidUTF8(pattern, ""), strings.ToValidUTF8(s, "")
		if len(pattern) > 100 || len(s) > 300 {
			return
		}
		source := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		want := truthful(regexp.MustCompile(`(?s)\A(?:` + source + `)\z`).MatchString(s))
		p := Like(pattern)
		if got := p.Matches(s); got != want {
			t.Fatalf("%q on %q: %d, want %d", pattern, s, got, want)
		}
		if Exact(s).Matches(s) != Yes || p.String() != squeeze(pattern) {
			t.Fatalf("%q is written as %q", pattern, p)
		}
		// What is not known never makes a certain answer wrong.
		for i := range pattern {
			hole := Join(Like(pattern[:i]), Pattern{{Kind: Hole, Text: "?"}})
			if got := hole.Matches(s); want == Yes && got == No {
				t.Fatalf("%q with what follows %d not known on %q: %d", pattern, i, s, got)
			}
		}
	})
}

func squeeze(s string) string {
	for strings.Contains(s, "**") {
		s = strings.ReplaceAll(s, "**", "*")
	}
	return s
}

// FuzzIDs asserts that WithoutIDs undoes WithIDs, and that the two forms of a
// pattern let in the two forms of a subject alike.
func FuzzIDs(f *testing.F) {
	for _, seed := range []string{"repo:octo-org/octo-repo:*", "github:repo:octo-org/*", "repo:a/b*:c", "repo:a@1/b@2:c", "repo:a/b?:c", "repo:a/b", "x:repo:a/b:c:d"} {
		f.Add(seed, "octo-repo", "environment:prod")
	}
	f.Fuzz(func(t *testing.T, pattern, name, rest string) {
		if r, ok := SplitRepo(pattern); ok && r.String() != pattern {
			t.Fatalf("%q is split into %q", pattern, r)
		}
		with, ok := WithIDs(pattern, "65", "74")
		if !ok {
			if with != pattern {
				t.Fatalf("%q was changed to %q", pattern, with)
			}
			return
		}
		if back, ok := WithoutIDs(with); !ok || back != pattern {
			t.Fatalf("%q with ids is %q, and without %q", pattern, with, back)
		}
		if again, ok := WithIDs(with, "65", "74"); ok {
			t.Fatalf("%q got ids twice: %q", pattern, again)
		}
		r, _ := SplitRepo(pattern)
		if strings.ContainsAny(name, ":/@*?") || name == "" {
			return
		}
		names := r.Before + r.Owner + "/" + name + ":" + rest
		ids := r.Before + r.Owner + "@65/" + name + "@74:" + rest
		if Like(pattern).Matches(names) == Yes && Like(with).Matches(ids) != Yes {
			t.Fatalf("%q lets in %q, and %q does not let in %q", pattern, names, with, ids)
		}
	})
}

// FuzzParse asserts that a subject that a stranger's repository has never
// matches a pattern whose owner is closed to another.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"repo:octo-org/*", "*:repository_owner:octo-org", "repo:octo-org@*", "repo:*:repo:octo-org/x:*", "environment:*:repository_owner_id:65", "x:repo:octo-org/y", "?epo:octo-org/*"} {
		f.Add(seed, "prod")
		f.Add(seed, "x:repository_owner_id:65")
	}
	f.Fuzz(func(t *testing.T, pattern, environment string) {
		if len(pattern) > 200 || len(environment) > 200 || strings.Contains(pattern, "evil") || strings.Contains(pattern, "99") {
			return
		}
		p := Like(pattern)
		s := Parse(p, GitHub)
		owner := s.Owner()
		if text, known := owner.Pattern.Text(); owner.Scope != Closed || !known || text != "octo-org" && text != "65" {
			return
		}
		value := strings.ReplaceAll(environment, ":", "%3A")
		for _, sub := range []string{
			"repo:evil/octo-org:environment:" + value, "repo:octo-org-evil@99/octo-org@650:environment:" + value, "repo:octo@6/repo@7:ref:" + value,
			"environment:" + value, "environment:" + value + ":repository_owner:evil", "repository_owner:evil:environment:" + value,
			"environment:" + value + ":repo:evil/octo-org:ref:refs/heads/main", "repository_owner_id:99:environment:" + value,
			"job_workflow_ref:octo-org/auto/.github/workflows/x.yml@refs/heads/main:environment:" + value, "actor:" + value + ":pull_request:repo:evil/x",
		} {
			if p.Matches(sub) == Yes {
				t.Fatalf("%q is closed to %q and matches %q", pattern, owner.Pattern, sub)
			}
		}
	})
}
