package lint

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
)

func TestLastingRules(t *testing.T) {
	repositories := func(ids source.Truth) Options {
		return Options{Repositories: map[string]Repository{
			"octo-org/octo-repo": {OwnerID: "65", ID: "74", IDsInSubject: ids},
			"team-1/app-2":       {OwnerID: "8", ID: "9", IDsInSubject: ids},
		}}
	}
	const names, ids = "repo:octo-org/octo-repo:environment:prod", "repo:octo-org@65/octo-repo@74:environment:prod"
	for _, c := range []ruleCases{
		{
			rule: "renameable-subject",
			fires: []string{
				sub(names), sub("repo:octo-org/*"), sub("repo:octo-org/octo-repo:*"), sub(ids, names), sub("repository_owner:octo-org:environment:prod"), sub("repository:octo-org/octo-repo"),
				trustOf(`{"StringEquals":{"gh:sub":"` + names + `","gh:actor_id":"12","gh:repository":"octo-org/octo-repo"}}`),
				trustOf(`{"StringEquals":{"gh:sub":"` + names + `"},"StringLike":{"gh:repository_id":"7*"}}`),
				sub("repo:octo-org/octo-repo@74:environment:prod"), // the owner is the name that changes hands
				trustFor("gitlab.com", `{"StringEquals":{"gh:sub":"project_path:group/project:ref_type:branch:ref:main"}}`),
			},
			quiet: []string{
				sub(ids), sub("repo:octo-org@65/*"), sub("repository_id:74:environment:prod"), sub(names + ":repository_owner_id:65"), sub("repo:*"), sub("repo:octo-org*"), sub("environment:prod"),
				trustOf(`{"StringEquals":{"gh:sub":"` + names + `","gh:repository_id":"74"}}`), trustOf(`{"StringEquals":{"gh:sub":"` + names + `","gh:repository_owner_id":"65"}}`),
				statements(allowFor(github, `{"StringEquals":{"gh:sub":"`+names+`"}}`), denyFor(`{"StringNotEquals":{"gh:repository_owner_id":"65"}}`)),
				trustFor("ghes.example.com/_services/token", `{"StringEquals":{"gh:sub":"`+names+`"}}`), trustFor(github+"/octo", `{"StringEquals":{"gh:sub":"`+names+`"}}`),
				trustFor("gitlab.com", `{"StringEquals":{"gh:sub":"project_path:group/project:ref_type:branch:ref:main","gh:project_id":"7"}}`),
				trustFor("stint.example.com", `{"StringEquals":{"gh:sub":"github:`+names+`"}}`),
			},
		},
		{
			rule: "id-wildcard",
			fires: []string{
				sub("repo:octo-org@*/octo-repo@*:environment:prod"), sub("repo:octo-org@65/octo-repo@*:environment:prod"), sub("repo:octo-org@6*/octo-repo@74:ref:refs/heads/main"),
				sub("repo:octo-org@*"), sub("repo:octo-org@??/octo-repo@74:*"), sub(ids, "repo:octo-org@*/octo-repo@*:environment:prod"),
				trustFor(github+"/octo", `{"StringLike":{"gh:sub":"repo:octo-org@*/octo-repo@*:environment:prod"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org@*/octo-repo@*:environment:prod"},"StringEquals":{"gh:actor":"octocat"}}`),
			},
			quiet: []string{
				sub(ids), sub(names), sub("repo:octo-org@65/octo-repo@74:*"), sub("repo:octo-org@65/*"), sub("repo:octo-org/*"),
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org@*/octo-repo@*:environment:prod"}}`), // literally: a dead rule
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org@*/octo-repo@*:environment:prod"},"StringEquals":{"gh:repository_id":"74"}}`),
				sub("repo:octo-org/octo-repo:environment:a@*"),
			},
		},
		{
			rule:  "hyphen-ids",
			fires: []string{sub("repo:octo-org-65/octo-repo-74:environment:prod"), sub("repo:octo-org-65/octo-repo-74:*"), sub(ids, "repo:org-123/repo-456:ref:refs/heads/main")},
			quiet: []string{sub(ids), sub(names), sub("repo:team-1/app:environment:prod"), sub("repo:team-1/app-2:environment:prod"), sub("repo:octo-org/octo-repo:environment:a-1/b-2")},
			// A repository that is really called that.
			options: repositories(source.Unknown),
		},
		{
			rule:    "subject-format",
			fires:   []string{sub(names), sub("repo:octo-org/octo-repo:*"), sub("repo:octo-org@65/octo-repo@75:environment:prod")},
			quiet:   []string{sub(ids), sub(names, ids), sub("repo:octo-org@65/octo-repo@74:*"), sub("repo:octo-org@*/octo-repo@*:environment:prod"), sub("repo:octo-org/*"), sub("repo:other/app:environment:prod"), sub("*")},
			options: repositories(source.Yes),
		},
		{
			rule:    "subject-format",
			fires:   []string{sub(ids)},
			quiet:   []string{sub(names), sub(names, ids), sub("repo:octo-org/octo-repo:*")},
			options: repositories(source.No),
		},
		{rule: "subject-format", quiet: []string{sub(names), sub(ids)}, options: repositories(source.Unknown)},
		{rule: "subject-format", quiet: []string{sub(names), sub(ids)}},
	} {
		c.run(t)
	}
}

func TestFixesAreConcrete(t *testing.T) {
	o := Options{Repositories: map[string]Repository{"octo-org/octo-repo": {OwnerID: "65", ID: "74", IDsInSubject: source.Yes}}}
	const ids = "repo:octo-org@65/octo-repo@74:environment:prod"
	for _, c := range []struct{ rule, document, fix string }{
		{"renameable-subject", sub("repo:octo-org/octo-repo:environment:prod"), ids},
		{"id-wildcard", sub("repo:octo-org@*/octo-repo@*:environment:prod"), ids},
		{"subject-format", sub("repo:octo-org/octo-repo:environment:prod"), ids},
		{"hyphen-ids", sub("repo:octo-org-65/octo-repo-74:environment:prod"), ids},
		{"any-ref", sub("repo:octo-org/octo-repo:*"), `"repo:octo-org/octo-repo:ref:refs/heads/main"`},
		{"owner-open", sub("repo:octo-org*"), "repo:octo-org/REPO"},
		{"all-repositories", sub("repo:octo-org/*"), "repo:octo-org/REPO:"},
		{"open-prefix", sub("repo:octo-org/octo-repo:ref:refs/heads/main*"), `"refs/heads/main"`},
		{"unknown-key", trustOf(`{"StringEquals":{"gh:repository_owner":"octo-org"}}`), github + ":repository_owner_id"},
	} {
		found, _ := by(lintPolicy(t, o, c.document), c.rule)
		if len(found) != 1 || !strings.Contains(found[0].Fix, c.fix) {
			t.Errorf("%s: expected a fix with %s, found %+v", c.rule, c.fix, found)
		}
	}
}

func TestFindingsStandAtTheValue(t *testing.T) {
	document := "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\n" +
		"\"Principal\":{\"Federated\":\"" + account + github + "\"},\"Action\":\"sts:AssumeRoleWithWebIdentity\",\n" +
		"\"Condition\":{\"StringLike\":{\"" + github + ":sub\":[\"repo:octo-org@65/octo-repo@74:environment:prod\",\n" +
		"  \"repo:octo-org@65/*\"]}}}]}"
	found, _ := by(lintPolicy(t, Options{}, document), "all-repositories")
	if len(found) != 1 || found[0].Position != (source.Position{File: "trust.json", Line: 4, Column: 3}) || document[found[0].Span.Start:found[0].Span.End] != `"repo:octo-org@65/*"` {
		t.Errorf("found %+v", found)
	}
}
