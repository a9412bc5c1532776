package subject

import "testing"

func TestParseClaim(t *testing.T) {
	for _, c := range []struct {
		on             Platform
		claim, pattern string
		known          bool
		owner, repo    Scope
		byID, repoByID Truth
	}{
		{GitHub, "repository", "octo-org/octo-repo", true, Closed, Closed, No, No},
		{GitHub, "repository", "octo-org/*", true, Closed, All, No, No},
		{GitHub, "repository", "octo*", true, Prefix, All, No, No},
		{GitHub, "repository_owner_id", "65", true, Closed, Absent, Yes, No},
		{GitHub, "repository_owner_id", "6*", true, Prefix, Absent, No, No},
		{GitHub, "repository_id", "74", true, Closed, Closed, Yes, Yes},
		{GitHub, "repository_id", "7*", true, All, Prefix, No, No},
		{GitHub, "enterprise_id", "2", true, Closed, Absent, Yes, No},
		{GitHub, "actor", "octocat", false, Absent, Absent, No, No},
		{GitHub, "environment", "x:repository_id:74", false, Absent, Absent, No, No},
		{GitHub, "aud", "sts.amazonaws.com", false, Absent, Absent, No, No},
		{GitLab, "project_id", "7", true, Closed, Closed, Yes, Yes},
		{GitLab, "user_login", "octocat", false, Absent, Absent, No, No},
		{Buildkite, "organization_slug", "octo", true, Closed, Absent, No, No},
		{Buildkite, "build_branch", "main", false, Absent, Absent, No, No},
	} {
		s, known := ParseClaim(c.claim, Like(c.pattern), c.on)
		if known != c.known || s.Owner().Scope != c.owner || s.Repository().Scope != c.repo || s.ByID() != c.byID || s.RepositoryByID() != c.repoByID {
			t.Errorf("%s %s %s: %t, owner %d, repository %d, by id %d and %d", c.on, c.claim, c.pattern, known, s.Owner().Scope, s.Repository().Scope, s.ByID(), s.RepositoryByID())
		}
	}
}

func TestUnknownText(t *testing.T) {
	hole, fixed := Pattern{{Kind: Hole, Text: "${var.x}"}}, Pattern{{Kind: Fixed, Text: "${var.x}"}}
	for _, c := range []struct {
		pattern      Pattern
		owner        Scope
		byID         Truth
		matches, sub Truth
	}{
		{Join(Exact("repo:"), hole, Like("/octo-repo:*")), Depends, Unknown, Unknown, No},
		{Join(Exact("repo:"), fixed, Exact("/octo-repo:environment:prod")), Closed, Unknown, Unknown, No},
		{Join(Exact("repo:octo-org@"), hole, Exact("/octo-repo@74:environment:prod")), Closed, Unknown, No, No},
		{Join(Exact("repo:octo-org@"), fixed, Exact("/octo-repo@74:environment:prod")), Closed, Yes, No, No},
		{hole, Depends, No, Unknown, Unknown},
		{fixed, Absent, No, Unknown, Unknown},
	} {
		s := Parse(c.pattern, GitHub)
		if s.Owner().Scope != c.owner || s.ByID() != c.byID {
			t.Errorf("%s: owner %d, by id %d", c.pattern, s.Owner().Scope, s.ByID())
		}
		if got := c.pattern.Matches("repo:octo-org/octo-repo:environment:prod"); got != c.matches {
			t.Errorf("%s matches: %d, want %d", c.pattern, got, c.matches)
		}
		if got := c.pattern.Matches("ref:refs/heads/main"); got != c.sub {
			t.Errorf("%s matches another: %d, want %d", c.pattern, got, c.sub)
		}
	}
}

func TestCustomised(t *testing.T) {
	for _, c := range []struct {
		sub        string
		controlled string
		whole      bool
		workflow   string
	}{
		{"environment:prod", "environment", true, ""}, {"pull_request", "pull_request", true, ""}, {"ref:refs/heads/main:actor:octocat", "ref", true, ""},
		{"repo:octo-org/octo-repo:environment:prod", "", true, ""}, {"runner_environment:self-hosted", "", true, ""}, {"repo_property_team:a", "", true, ""},
		{"job_workflow_ref:o/r/.github/workflows/x.yml@refs/heads/main", "", true, "o/r/.github/workflows/x.yml@refs/heads/main"},
		{"octo-org/octo-repo", "", false, ""}, {"environment", "", false, ""}, {"x:repo:octo-org/octo-repo:environment:prod", "", true, ""},
	} {
		s := Parse(Exact(c.sub), GitHub)
		w, _ := s.Workflow()
		if s.UserControlled() != c.controlled || s.WholeChain() != c.whole || w.String() != c.workflow {
			t.Errorf("%s: controlled by %q, whole %t, workflow %q", c.sub, s.UserControlled(), s.WholeChain(), w)
		}
	}
}
