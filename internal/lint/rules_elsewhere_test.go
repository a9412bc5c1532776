package lint

import "testing"

// TestElsewhere: a way in is judged by what narrows it down, be it the subject,
// another claim or a Deny statement for everybody else.
func TestElsewhere(t *testing.T) {
	one := func(condition string) world { return world{trust: trustOf(condition)} }
	denied := func(condition string) world {
		return world{trust: statements(allowFor(github, `{}`), denyFor(condition))}
	}
	const main = `"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"`
	runWorlds(t, "all-repositories", []worldCase{
		{"the owner's id", one(`{"StringEquals":{"gh:repository_owner_id":"65"}}`), `repository_owner_id "65" lets in every repository`},
		{"the owner's id beside any subject", one(`{"StringEquals":{"gh:repository_owner_id":"65"},"StringLike":{"gh:sub":"repo:*"}}`), "repository_owner_id"},
		{"the owner's id on a branch", one(`{"StringEquals":{"gh:repository_owner_id":"65"},"StringLike":{"gh:sub":"repo:*:ref:refs/heads/main"}}`), "repository_owner_id"},
		{"a Deny for other subjects", denied(`{"StringNotLike":{"gh:sub":"repo:octo-org/*"}}`), "every repository of the owner"},
		{"a Deny for other owners", denied(`{"StringNotEquals":{"gh:repository_owner_id":"65"}}`), "repository_owner_id"},
		{"the repository's id", one(`{"StringEquals":{"gh:repository_id":"74"}}`), ""},
		{"a subject of one repository", one(`{"StringEquals":{"gh:repository_owner_id":"65",` + main + `}}`), ""},
		{"a workflow of one repository", one(`{"StringEquals":{"gh:repository_owner_id":"65","gh:job_workflow_ref":"octo-org/auto/.github/workflows/x.yml@refs/heads/main"}}`), ""},
		{"a Deny for another repository", denied(`{"StringNotEquals":{"gh:repository_id":"74"}}`), ""},
		{"who started it", one(`{"StringEquals":{"gh:actor_id":"12"}}`), ""},
	})
	runWorlds(t, "any-ref", []worldCase{
		{"the repository's id", one(`{"StringEquals":{"gh:repository_id":"74"}}`), `repository_id "74" lets in any branch, pull request and environment`},
		{"the repository's name", one(`{"StringEquals":{"gh:repository":"octo-org/octo-repo"}}`), `repository "octo-org/octo-repo" lets in any branch`},
		{"a Deny for other subjects", denied(`{"StringNotLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`), "lets in any branch"},
		{"a Deny for other repositories", denied(`{"StringNotEquals":{"gh:repository_id":"74"}}`), "repository_id"},
		{"a branch beside it", one(`{"StringEquals":{"gh:repository_id":"74","gh:ref":"refs/heads/main"}}`), ""},
		{"an environment in the subject", one(`{"StringEquals":{"gh:repository_id":"74"},"StringLike":{"gh:sub":"*:environment:prod"}}`), ""},
		{"a subject beside it", one(`{"StringEquals":{"gh:repository_id":"74",` + main + `}}`), ""},
		{"a workflow's repository", one(`{"StringEquals":{"gh:repository_owner_id":"65","gh:job_workflow_ref":"octo-org/auto/.github/workflows/x.yml@refs/heads/main"}}`), ""},
		{"the owner's id", one(`{"StringEquals":{"gh:repository_owner_id":"65"}}`), ""},
	})
	runWorlds(t, "renameable-subject", []worldCase{
		{"the repository's name", one(`{"StringEquals":{"gh:repository":"octo-org/octo-repo","gh:ref":"refs/heads/main"}}`), `repository "octo-org/octo-repo" is a name`},
		{"a Deny for other subjects", denied(`{"StringNotLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`), "goes by names"},
		{"the id beside it", one(`{"StringEquals":{"gh:repository":"octo-org/octo-repo","gh:repository_id":"74"}}`), ""},
		{"the id of the owner beside it", one(`{"StringEquals":{"gh:repository":"octo-org/octo-repo","gh:repository_owner_id":"65"}}`), ""},
		{"the ids", one(`{"StringEquals":{"gh:repository_id":"74"}}`), ""},
		{"the workflow of the run", one(`{"StringEquals":{"gh:sub":"workflow_ref:octo-org/octo-repo/.github/workflows/x.yml@refs/heads/main"}}`), "goes by names"},
		{"the ids in the subject", denied(`{"StringNotLike":{"gh:sub":"repo:octo-org@65/octo-repo@74:*"}}`), ""},
	})
	runWorlds(t, "pull-request-can-write", []worldCase{
		{"a Deny for other subjects", world{trust: statements(allowFor(github, `{}`), denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/octo-repo:pull_request"}}`)), identity: allowIdentity(`{}`)}, "lets in every pull request"},
		{"a Deny for other environments", world{trust: statements(allowFor(github, `{}`), denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/octo-repo:environment:prod"}}`)), identity: allowIdentity(`{}`)}, ""},
	})
	runWorlds(t, "user-controlled-subject", []worldCase{
		{"the workflow of the run", one(`{"StringEquals":{"gh:sub":"workflow_ref:octo-org/octo-repo/.github/workflows/x.yml@refs/heads/main"}}`), ""},
		{"the workflow's name", one(`{"StringEquals":{"gh:sub":"workflow:deploy"}}`), "anybody can have such a subject"},
	})
}
