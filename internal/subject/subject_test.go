package subject

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		pattern         string
		on              Platform
		owner, repo     Scope
		ref             Scope
		issuer, context string // the rest
	}{
		{"repo:octo-org/octo-repo:ref:refs/heads/main", GitHub, Closed, Closed, Closed, "", "ref:refs/heads/main"},
		{"repo:octo-org@65/octo-repo@74:environment:prod", GitHub, Closed, Closed, Closed, "", "environment:prod"},
		{"github:repo:octo-org/octo-repo:pull_request", Other, Closed, Closed, Closed, "github", "pull_request"},
		{"repo:octo-org/octo-repo:*", Other, Closed, Closed, All, "", "*"},
		{"repo:octo-org/octo-repo*", GitHub, Closed, Prefix, All, "", ""},
		{"repo:octo-org/*", GitHub, Closed, All, All, "", ""},
		{"repo:octo-org/*:ref:refs/heads/main", GitHub, Closed, All, Closed, "", "ref:refs/heads/main"},
		{"repo:octo-org@*", GitHub, Closed, All, All, "", ""},
		{"repo:octo-org@65/octo-repo@*", GitHub, Closed, Closed, All, "", ""},
		{"repo:octo-org*", GitHub, Prefix, All, All, "", ""},
		{"repo:octo?org/octo-repo:ref:refs/heads/main", GitHub, Prefix, Closed, Closed, "", "ref:refs/heads/main"},
		{"repo:*", GitHub, All, All, All, "", ""},
		{"*", GitHub, All, Absent, Absent, "", ""},
		{"repo:*@65/octo-repo@74:ref:refs/heads/main", GitHub, All, All, Closed, "", "ref:refs/heads/main"},
		{"repo:*:repository_owner_id:65", GitHub, Closed, All, Closed, "", "repository_owner_id:65"},
		{"repo:octo-org/octo-repo:ref:refs/heads/main*", GitHub, Closed, Closed, Prefix, "", "ref:refs/heads/main*"},
		{"repo:octo-org/octo-repo:ref:refs/heads/release/*", GitHub, Closed, Closed, Closed, "", "ref:refs/heads/release/*"},
		{"repo:octo-org/octo-repo:environment:*", GitHub, Closed, Closed, All, "", "environment:*"},
		{"repository_owner:octo-org:environment:prod", GitHub, Closed, Absent, Absent, "", ""},
		{"workflow_ref:octo-org/octo-repo/.github/workflows/x.yml@refs/heads/main", GitHub, Closed, Closed, Absent, "", ""},
		{"workflow_ref:octo-org/*", GitHub, Closed, All, Absent, "", ""},
		{"workflow_ref:octo-org/octo-*/.github/workflows/x.yml@*", GitHub, Closed, Prefix, Absent, "", ""},
		{"workflow_ref:octo*", GitHub, Prefix, Prefix, Absent, "", ""},
		{"workflow_ref:*", GitHub, All, All, Absent, "", ""},
		{"job_workflow_ref:octo-org/octo-repo/.github/workflows/x.yml@refs/heads/main", GitHub, Absent, Absent, Absent, "", ""},
		{"repository_owner_id:6*", GitHub, Prefix, Absent, Absent, "", ""},
		{"repository_id:74:environment:prod", GitHub, Closed, Closed, Closed, "", "environment:prod"},
		{"environment:prod", GitHub, Absent, Absent, Absent, "", ""},
		{"environment:ref:repo:octo-org/octo-repo", GitHub, Closed, Closed, Closed, "", ""}, // an environment called ref
		{"octo-org/octo-repo", GitHub, Absent, Absent, Absent, "", ""},
		{"project_path:group/project:ref_type:branch:ref:main", Other, Closed, Closed, Closed, "", "ref_type:branch:ref:main"},
		{"project_path:group/sub/*:ref_type:branch:ref:main", GitLab, Closed, All, Closed, "", "ref_type:branch:ref:main"},
		{"project_path:group/project:*", GitLab, Closed, Closed, All, "", "*"},
		{"project_path:group*", GitLab, Prefix, All, All, "", ""},
		{"organization:octo:pipeline:deploy:ref:refs/heads/main:commit:*:step:*", Other, Closed, Closed, Closed, "", "ref:refs/heads/main:commit:*:step:*"},
		{"organization:octo:pipeline:deploy:*", Buildkite, Closed, Closed, All, "", "*"},
		{"organization:octo:project:p:workspace:w:run_phase:*", Other, Closed, Closed, Absent, "", "run_phase:*"},
		{"system:serviceaccount:prod:deploy", Other, Absent, Absent, Absent, "", ""},
	} {
		s := Parse(Like(c.pattern), c.on)
		if got := [3]Scope{s.Owner().Scope, s.Repository().Scope, s.Ref().Scope}; got != [3]Scope{c.owner, c.repo, c.ref} {
			t.Errorf("%s: owner, repository, ref are %v, want %v", c.pattern, got, [3]Scope{c.owner, c.repo, c.ref})
		}
		if s.Issuer != c.issuer || s.Rest.String() != c.context {
			t.Errorf("%s: issuer %q, rest %q", c.pattern, s.Issuer, s.Rest)
		}
	}
}

func TestOfIssuer(t *testing.T) {
	for _, c := range []struct {
		issuer string
		want   Platform
		shared bool
	}{
		{"token.actions.githubusercontent.com", GitHub, true}, {"token.actions.githubusercontent.com/", GitHub, true},
		{"token.actions.githubusercontent.com/octo", GitHub, false}, {"token.actions.octo.ghe.com", GitHub, false},
		{"ghes.example.com/_services/token", GitHub, false}, {"gitlab.com", GitLab, true}, {"gitlab.example.com", Other, false},
		{"agent.buildkite.com", Buildkite, true}, {"app.terraform.io", Terraform, true}, {"scalr.io", Other, true},
		{"oidc.circleci.com/org/0e7a", CircleCI, false}, {"stint.example.com", Other, false}, {"oidc.eks.eu-west-1.amazonaws.com/id/1", Other, false},
	} {
		if got, shared := OfIssuer(c.issuer); got != c.want || shared != c.shared {
			t.Errorf("%s: %q, %t", c.issuer, got, shared)
		}
	}
}

func TestMoves(t *testing.T) {
	const path = "octo-org/auto/.github/workflows/deploy.yml"
	for ref, want := range map[string]Truth{
		path + "@" + strings.Repeat("0a", 20): No, path + "@*": Yes, path + "@refs/heads/main": Yes, path + "@refs/tags/v1": Yes,
		path + "*": Yes, path + "@" + strings.Repeat("0a", 19) + "??": Yes, path: No,
	} {
		if got := ParseWorkflow(Like(ref)).Moves(); got != want {
			t.Errorf("%s: %d, want %d", ref, got, want)
		}
	}
	for ref, want := range map[string]Scope{path + "@*": Closed, "octo-org/auto/*": Closed, "octo-org/*": All, "octo-org/auto*": Prefix, "octo*": Prefix, "*": All} {
		if got := ParseWorkflow(Like(ref)).Repository(); got != want {
			t.Errorf("%s: repository is %d, want %d", ref, got, want)
		}
	}
}

func TestIDs(t *testing.T) {
	for names, ids := range map[string]string{
		"repo:octo-org/octo-repo:environment:prod": "repo:octo-org@65/octo-repo@74:environment:prod",
		"repo:octo-org/octo-repo:*":                "repo:octo-org@65/octo-repo@74:*",
		"repo:octo-org/*":                          "repo:octo-org@65/*",
		"repo:octo-org/app-*:ref:refs/heads/main":  "repo:octo-org@65/app-*:ref:refs/heads/main",
		"github:repo:octo-org/octo-repo:*":         "github:repo:octo-org@65/octo-repo@74:*",
		"repo:octo-org/octo-repo":                  "repo:octo-org@65/octo-repo@74",
	} {
		if got, ok := WithIDs(names, "65", "74"); !ok || got != ids {
			t.Errorf("%s with ids: %q, %t", names, got, ok)
		}
		if got, ok := WithoutIDs(ids); !ok || got != names {
			t.Errorf("%s without ids: %q, %t", ids, got, ok)
		}
	}
	for _, other := range []string{
		"", "*", "repo:*", "repo:octo*/octo-repo:*", "repo:octo-org", "repo:/octo-repo", "repo:octo-org/", "environment:prod", "repo:octo-org/app-?:*", "repo:octo-org/*-app:*",
		"repo:octo-org@65/octo-repo@74:*", "repository_owner:octo-org", "environment:repo:octo-org/octo-repo", "project_path:group/project:ref_type:branch:ref:main", "repo:${x}/octo-repo:*",
	} {
		if got, ok := WithIDs(other, "65", "74"); ok || got != other {
			t.Errorf("%q with ids: %q, %t", other, got, ok)
		}
	}
	for _, bad := range [][2]string{{"", "74"}, {"65", ""}, {"6*", "74"}, {"65", "x"}} {
		if got, ok := WithIDs("repo:octo-org/octo-repo:*", bad[0], bad[1]); ok {
			t.Errorf("ids %v: %q", bad, got)
		}
	}
	for hyphens, want := range map[string]string{"repo:octo-org-65/octo-repo-74:*": "repo:octo-org@65/octo-repo@74:*", "repo:org-1/repo-2": "repo:org@1/repo@2"} {
		if got, ok := HyphenIDs(hyphens); !ok || got != want {
			t.Errorf("%s: %q, %t", hyphens, got, ok)
		}
	}
	for _, other := range []string{"repo:octo-org/octo-repo:a-1", "repo:octo-1/octo-repo:*", "repo:octo-1@65/octo-2@74:*", "repo:-1/-2:*", "repo:a-1*/b-2:*"} {
		if got, ok := HyphenIDs(other); ok {
			t.Errorf("%s: %q", other, got)
		}
	}
}

func TestLongPatternsAreUnknown(t *testing.T) {
	for _, long := range []string{strings.Repeat("*:", 1<<15), strings.Repeat("a", 1<<16), "repo:octo-org/octo-repo:" + strings.Repeat("?", 1<<16)} {
		if got := Parse(Like(long), GitHub).Owner().Scope; got != Depends {
			t.Errorf("%.20s... of %d bytes: %d", long, len(long), got)
		}
		if got := Like(long).Matches(strings.Repeat("a", 1<<12)); got != Unknown {
			t.Errorf("%.20s... of %d bytes matches: %d", long, len(long), got)
		}
	}
}
