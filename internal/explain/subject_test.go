package explain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/explain"
)

// steps are the causes of an explanation one by one, also where it is one.
func steps(x explain.Explanation) []explain.Step {
	if len(x.Steps) > 0 {
		return x.Steps
	}
	return []explain.Step{{Kind: x.Kind, Cause: x.Cause, Suggestion: x.Suggestion, Warning: x.Warning, CallerChange: x.CallerChange}}
}

// TestSubjectDifferences asserts that each thing in which a subject differs
// from the policy's is told, and that whoever else gets in is warned of.
func TestSubjectDifferences(t *testing.T) {
	const (
		main  = "repo:octo-org/octo-repo:ref:refs/heads/main"
		ids   = "repo:octo-org@65/octo-repo@74:ref:refs/heads/main"
		prod  = "repo:octo-org/octo-repo:environment:prod"
		evil  = "repo:evil/x:ref:refs/heads/main"
		host_ = "repo:github.com/octo-org/octo-repo:"
	)
	kinds := func(k ...explain.Kind) []explain.Kind { return k }
	env := map[string]any{"sub": prod, "environment": "prod"}
	for _, tt := range []struct {
		name, operator, value string
		claims                map[string]any
		kinds                 []explain.Kind
		warning, caller       string // of the last; - is none
	}{
		{"host and a stranger", "StringEquals", host_ + "ref:refs/heads/main", map[string]any{"sub": evil}, kinds(explain.HostInSubject, explain.RepositorySubject), "another owner", "-"},
		{"host and no environment", "StringEquals", host_ + "environment:prod", nil, kinds(explain.HostInSubject, explain.BranchSubject), "without what protects", "add environment: prod"},
		{"host and a pull request", "StringEquals", host_ + "ref:refs/heads/main", subject("repo:octo-org/octo-repo:pull_request"), kinds(explain.HostInSubject, explain.PullRequestSubject), "every pull request", "on push"},
		{"host and another repository", "StringEquals", "repo:github.com/octo-org/other:ref:refs/heads/main", nil, kinds(explain.HostInSubject, explain.RepositorySubject), "another repository", "-"},
		{"host, case and no environment", "StringEquals", "repo:github.com/Octo-Org/octo-repo:environment:prod", nil, kinds(explain.HostInSubject, explain.LetterCase, explain.BranchSubject), "without what protects", "environment: prod"},
		{"host in other letters", "StringLike", "repo:GitHub.com/octo-org/octo-repo:ref:refs/heads/main", nil, kinds(explain.HostInSubject), "-", "-"},
		{"a stranger", "StringEquals", main, map[string]any{"sub": evil}, kinds(explain.RepositorySubject), "another owner", "-"},
		{"a stranger under a pattern", "StringLike", "repo:octo-org/*", map[string]any{"sub": evil}, kinds(explain.RepositorySubject), "another owner", "-"},
		{"another repository and context", "StringEquals", "repo:octo-org/other:environment:prod", nil, kinds(explain.RepositorySubject, explain.BranchSubject), "without what protects", "-"},

		{"another repository under the same name", "StringEquals", "repo:octo-org@65/octo-repo@99:ref:refs/heads/main", nil, kinds(explain.RepositorySubject), "only has its name", "-"},
		{"another owner under the same name", "StringEquals", "repo:octo-org@99/octo-repo@74:ref:refs/heads/main", nil, kinds(explain.RepositorySubject), "only has its name", "-"},
		{"other ids in both", "StringEquals", "repo:octo-org@65/octo-repo@99:ref:refs/heads/main", subject(ids), kinds(explain.RepositorySubject), "another repository", "-"},
		{"renamed", "StringEquals", "repo:octo-org@65/old@74:ref:refs/heads/main", subject(ids), kinds(explain.RepositorySubject), "another repository", "-"},
		{"the owner's id before a pattern", "StringLike", "repo:octo-org@65/*", nil, kinds(explain.IDsForm), "a name can be given up", "opt the repository in"},
		{"the owner's id, a pattern and an environment", "StringLike", "repo:octo-org@65/*:environment:prod", env, kinds(explain.IDsForm), "a name can be given up", "opt the repository in"},
		{"names under a pattern", "StringLike", "repo:octo-org/*", subject(ids), kinds(explain.NamesForm), "make sure that the ids", "-"},

		{"case and a wildcard", "StringEquals", "repo:Octo-Org/octo-repo:*", nil, kinds(explain.LetterCase, explain.LiteralWildcard), "everything that it matches", "-"},
		{"case and an environment", "StringLike", "repo:OCTO-ORG/octo-repo:ref:refs/heads/main", env, kinds(explain.LetterCase, explain.EnvironmentSubject), "every branch", "remove environment:"},
		{"case and ids", "StringEquals", "repo:Octo-Org/octo-repo:ref:refs/heads/main", subject(ids), kinds(explain.LetterCase, explain.NamesForm), "make sure that the ids", "-"},
		{"a wildcard and ids", "StringEquals", "repo:octo-org/octo-repo:*", subject(ids), kinds(explain.LiteralWildcard, explain.NamesForm), "make sure that the ids", "-"},
		{"the issuer and ids", "StringEquals", main, subject("github:" + ids), kinds(explain.IssuerPrefix, explain.NamesForm), "make sure that the ids", "-"},
		{"the issuer and a wildcard", "StringEquals", "repo:octo-org/octo-repo:*", subject("github:" + main), kinds(explain.IssuerPrefix, explain.LiteralWildcard), "*", "-"},
		{"the issuer and another branch", "StringEquals", main, subject("github:repo:octo-org/octo-repo:ref:refs/heads/dev"), kinds(explain.IssuerPrefix, explain.BranchSubject), "refs/heads/dev", "refs/heads/main"},
		{"a star alone", "StringEquals", "*", nil, kinds(explain.LiteralWildcard), "everybody", "-"},
		{"an operator for ARNs", "ArnLike", "repo:octo-org/octo-repo:*", nil, kinds(explain.Other), "everything", "-"},
		{"a space at the end", "StringLike", main + " ", nil, kinds(explain.Other), "-", "-"},

		{"no repo: before it", "StringLike", "octo-org/octo-repo:*", nil, kinds(explain.HostInSubject), "everything that it matches", "-"},
		{"an address", "StringLike", "https://github.com/octo-org/octo-repo:*", nil, kinds(explain.HostInSubject), "everything that it matches", "-"},
		{"an address of git", "StringLike", "repo:git@github.com:octo-org/octo-repo:ref:refs/heads/main", nil, kinds(explain.HostInSubject), "-", "-"},
		{"no repo: and a stranger", "StringLike", "octo-org/octo-repo:*", map[string]any{"sub": evil}, kinds(explain.HostInSubject, explain.RepositorySubject), "another owner", "-"},
		{"customised without the repository's name", "StringEquals", prod, subject("repository_owner_id:65:repository_id:74"), kinds(explain.Other), "all that the policy's names", "-"},
		{"customised, and another repository", "StringEquals", prod, map[string]any{"sub": "repository_id:99", "repository": "evil/x"}, kinds(explain.Other), "another repository", "-"},

		{"customised after the ref", "StringEquals", main, subject(main + ":job_workflow_ref:x"), kinds(explain.Other), "every job with this subject", "-"},
		{"customised after the environment", "StringEquals", prod, map[string]any{"sub": prod + ":ref:refs/heads/main", "environment": "prod"}, kinds(explain.Other), "every job with this subject", "-"},
		{"a colon in an environment", "StringLike", "repo:octo-org/octo-repo:environment:a:b", map[string]any{"sub": "repo:octo-org/octo-repo:environment:a%3Ab", "environment": "a:b"}, kinds(explain.Other), "-", "-"},

		{"an environment on another branch", "StringEquals", main, map[string]any{"sub": prod, "environment": "prod", "ref": "refs/heads/dev"}, kinds(explain.EnvironmentSubject), "every branch", "and run it on refs/heads/main"},
		{"an environment in a pull request", "StringEquals", main, map[string]any{"sub": prod, "environment": "prod", "ref": "refs/pull/5/merge", "event_name": "pull_request"}, kinds(explain.EnvironmentSubject), "every branch", "on push instead of pull_request"},
		{"names, and ids in another environment", "StringEquals", main, map[string]any{"sub": "repo:octo-org@65/octo-repo@74:environment:prod", "environment": "prod"}, kinds(explain.NamesForm, explain.EnvironmentSubject), "every branch", "-"},
		{"ids, and names on a branch", "StringLike", "repo:octo-org@65/octo-repo@74:environment:prod", nil, kinds(explain.IDsForm, explain.BranchSubject), "without what protects", "add environment: prod"},
		{"an environment of a pattern", "StringLike", "repo:octo-org/octo-repo:environment:prod-*", nil, kinds(explain.BranchSubject), "without what protects", "an environment: whose name matches prod-*"},
		{"a ref that is none", "StringLike", "repo:octo-org/octo-repo:ref:main", nil, kinds(explain.BranchSubject), "every job on refs/heads/main", "-"},
		{"a ref that is misspelt", "StringLike", "repo:octo-org/octo-repo:ref:refs/head/main", nil, kinds(explain.BranchSubject), "every job on refs/heads/main", "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, call := parse(t, trust(sub(tt.operator, tt.value))), job(tt.claims)
			x := explain.WebIdentity(p, call)
			var got []explain.Kind
			for _, s := range steps(x) {
				got = append(got, s.Kind)
			}
			if !slices.Equal(got, tt.kinds) {
				t.Fatalf("got %v, want %v: %s", got, tt.kinds, x.Cause)
			}
			last := steps(x)[len(got)-1]
			for _, c := range []struct{ of, got, want string }{{"warning", last.Warning, tt.warning}, {"change of the caller", last.CallerChange, tt.caller}} {
				if c.want == "-" && c.got != "" || c.want != "-" && !strings.Contains(c.got, c.want) {
					t.Errorf("%s: got %q, want %q", c.of, c.got, c.want)
				}
			}
			letsIn(t, p, x, call)
		})
	}
}
