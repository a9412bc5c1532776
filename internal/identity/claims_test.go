package identity

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestParseSubject(t *testing.T) {
	custom := Subject{Form: SubjectCustom}
	for sub, want := range map[string]Subject{
		"repo:octo-org/octo-repo:ref:refs/heads/main":       {Form: SubjectNames, Owner: "octo-org", Repo: "octo-repo", Context: "ref:refs/heads/main"},
		"repo:octo-org@65/octo-repo@74:environment:prod":    {Form: SubjectIDs, Owner: "octo-org", OwnerID: "65", Repo: "octo-repo", RepoID: "74", Context: "environment:prod"},
		"repo:octo-org/octo-repo:environment:a%3Ab":         {Form: SubjectNames, Owner: "octo-org", Repo: "octo-repo", Context: "environment:a%3Ab"},
		"repo:octo-org@65/octo-repo:pull_request":           custom, // one id is no form
		"repo:octo-org@x/octo-repo@74:pull_request":         custom,
		"repo:octo-org/a/b:pull_request":                    custom,
		"repo:/octo-repo:x":                                 custom,
		"environment:prod:repo:octo-org/octo-repo":          custom,
		"repository_owner:octo-org:repo:octo-org/octo-repo": custom,
		"": custom,
	} {
		if got := ParseSubject(sub); got != want {
			t.Errorf("%q: expected %+v, found %+v", sub, want, got)
		}
	}
}

func TestDerivedClaims(t *testing.T) {
	for _, c := range []struct {
		name     string
		platform Platform
		signed   object
		want     map[string]string
	}{
		{"ids out of the subject", GitHub, object{"sub": "repo:o@65/r@74:environment:x", "event_name": "push"},
			map[string]string{"subject_form": "ids", "repository_name": "r", "owner_id": "65", "repo_id": "74", "from_fork": "false"}},
		{"a contradiction gives nothing", GitHub, object{"sub": "repo:o@65/r@74:x", "repository_id": "75", "repository_owner_id": "65"},
			map[string]string{"subject_form": "ids", "repository_name": "r", "owner_id": "65"}},
		{"a pull request says nothing of forks", GitHub, object{"sub": "repo:o/r:pull_request", "event_name": "pull_request"},
			map[string]string{"subject_form": "names", "repository_name": "r"}},
		{"a merge request from a fork", GitLab, object{"project_id": "9", "project_path": "fork/p", "job_project_id": "1", "job_project_path": "g/p", "job_namespace_id": "2"},
			map[string]string{"repository_name": "p", "owner_id": "2", "repo_id": "1", "from_fork": "true"}},
		{"another platform", Generic, object{"sub": "repo:o@65/r@74:x"}, map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := InsecureClaims("x", c.platform, c.signed).Derived(); !reflect.DeepEqual(got, c.want) {
				t.Errorf("expected %v, found %v", c.want, got)
			}
		})
	}
}

func TestSignedClaimsHideDerivedOnes(t *testing.T) {
	c := InsecureClaims("x", GitHub, object{"sub": "repo:o@65/r@74:x", "repo_id": []any{"1", json.Number("2"), nil}})
	if v, ok := c.Text("repo_id"); ok {
		t.Errorf("a list has the text %q", v)
	}
	if got := c.Values("repo_id"); !reflect.DeepEqual(got, []string{"1", "2"}) {
		t.Errorf("values: %v", got)
	}
	if _, ok := c.Texts()["repo_id"]; ok {
		t.Error("the derived claim shows through the signed one")
	}
	var zero Claims
	if _, ok := zero.Text("sub"); ok || len(zero.Names()) != 0 {
		t.Error("the zero value has claims")
	}
}
