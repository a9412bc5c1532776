package lint

import "testing"

func TestClaimRules(t *testing.T) {
	const workflow = "octo-org/auto/.github/workflows/deploy.yml"
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for _, c := range []ruleCases{
		{
			rule: "user-controlled-subject",
			fires: []string{
				sub("environment:prod"), sub("ref:refs/heads/main"), sub("workflow:deploy"), sub("pull_request"), sub("head_ref:main"), sub("base_ref:main"), sub("context:x"),
				sub("environment:prod:*"), sub("environment:prod:ref:refs/heads/main"), sub("actor:octocat"), sub("repository_visibility:private:runner_environment:self-hosted"),
				sub("repo:octo-org/octo-repo:environment:prod", "environment:prod"),
				trustOf(`{"StringEquals":{"gh:sub":"environment:prod","gh:actor":"octocat"}}`),
			},
			quiet: []string{
				sub("repo:octo-org/octo-repo:environment:prod"), sub("repository_owner:octo-org:environment:prod"), sub("repository_id:74:ref:refs/heads/main"),
				sub("environment:prod:repository_id:74"), sub("environment:prod:repo:octo-org/octo-repo"), sub("ref:refs/heads/main:repository_owner_id:65"),
				trustOf(`{"StringEquals":{"gh:sub":"environment:prod","gh:repository_id":"74"}}`),
				statements(allowFor(github, `{"StringEquals":{"gh:sub":"environment:prod"}}`), denyFor(`{"StringNotEquals":{"gh:repository_owner_id":"65"}}`)),
				trustFor(github+"/octo", `{"StringEquals":{"gh:sub":"environment:prod"}}`),
				trustFor("ghes.example.com/_services/token", `{"StringEquals":{"gh:sub":"environment:prod"}}`),
				trustFor("oidc.eks.eu-west-1.amazonaws.com/id/0A1B", `{"StringEquals":{"gh:sub":"system:serviceaccount:prod:deploy"}}`),
				sub("octo-org/octo-repo"), // nobody has it
				sub("*"),
			},
		},
		{
			rule: "job-workflow-ref-open",
			fires: []string{
				trustOf(`{"StringEquals":{"gh:job_workflow_ref":"` + workflow + `@refs/heads/main"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:*","gh:job_workflow_ref":"` + workflow + `@*"}}`),
				sub("job_workflow_ref:" + workflow + "@refs/heads/main"), sub("repo:*:job_workflow_ref:" + workflow + "@refs/heads/main"),
				trustOf(`{"StringLike":{"gh:job_workflow_ref":"*"},"StringEquals":{"gh:actor":"octocat"}}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{"gh:job_workflow_ref":"` + workflow + `@refs/heads/main","gh:repository_owner_id":"65"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*","gh:job_workflow_ref":"` + workflow + `@*"}}`),
				sub("repo:octo-org/octo-repo:job_workflow_ref:" + workflow + "@refs/heads/main"),
				sub("job_workflow_ref:" + workflow + "@refs/heads/main:repository_owner_id:65"),
				statements(allowFor(github, `{"StringEquals":{"gh:job_workflow_ref":"`+workflow+`@refs/heads/main"}}`), denyFor(`{"StringNotLike":{"gh:repository":"octo-org/*"}}`)),
				trustFor(github+"/octo", `{"StringEquals":{"gh:job_workflow_ref":"`+workflow+`@refs/heads/main"}}`),
			},
		},
		{
			rule: "job-workflow-ref-moves",
			fires: []string{
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*","gh:job_workflow_ref":"` + workflow + `@*"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*","gh:job_workflow_ref":"` + workflow + `*"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*"},"StringEquals":{"gh:job_workflow_ref":["` + workflow + `@` + commit + `","` + workflow + `@refs/heads/main"]}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*"},"StringEquals":{"gh:job_workflow_ref":"` + workflow + `@refs/tags/v1"}}`),
				sub("repo:octo-org/octo-repo:environment:prod:job_workflow_ref:" + workflow + "@*"),
				trustFor(github+"/octo", `{"StringLike":{"gh:job_workflow_ref":"`+workflow+`@refs/heads/*"}}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{"gh:job_workflow_ref":"` + workflow + `@` + commit + `","gh:repository_owner_id":"65"}}`),
				sub("repo:octo-org/octo-repo:job_workflow_ref:" + workflow + "@" + commit),
				sub("repo:octo-org/octo-repo:*"),
				statements(allowFor(github, `{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:environment:prod"}}`), denyFor(`{"StringNotLike":{"gh:job_workflow_ref":"`+workflow+`@*"}}`)),
			},
		},
		{
			rule: "user-controlled-claims",
			fires: []string{
				trustOf(`{"StringEquals":{"gh:actor":"octocat","gh:aud":"sts.amazonaws.com"}}`),
				trustOf(`{"StringEquals":{"gh:workflow":"deploy","gh:environment":"prod"}}`),
				trustOf(`{"StringEquals":{"gh:ref":"refs/heads/main"},"StringLike":{"gh:sub":"*"}}`),
				trustFor("gitlab.com", `{"StringEquals":{"gh:ref_protected":"true"}}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{"gh:actor":"octocat","gh:repository_id":"74"}}`),
				trustOf(`{"StringEquals":{"gh:actor":"octocat","gh:sub":"repo:octo-org/octo-repo:environment:prod"}}`),
				trustOf(`{"StringEquals":{"gh:actor":"octocat"},"StringLike":{"gh:repository":"octo-org/*"}}`),
				trustOf(`{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`), // sub-missing says it
				statements(allowFor(github, `{"StringEquals":{"gh:actor":"octocat"}}`), denyFor(`{"StringNotEquals":{"gh:repository_owner_id":"65"}}`)),
				trustFor(github+"/octo", `{"StringEquals":{"gh:actor":"octocat"}}`),
				trustFor("gitlab.com", `{"StringEquals":{"gh:ref_protected":"true","gh:namespace_id":"9"}}`),
			},
		},
		{
			rule: "unknown-key",
			fires: []string{
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:environment:prod","gh:event_name":"push"}}`),
				trustOf(`{"StringEquals":{"gh:runner_environment":"self-hosted"}}`), trustOf(`{"StringEquals":{"gh:ref_protected":"true"}}`),
				trustOf(`{"StringEquals":{"gh:repo_property_team":"a"}}`), trustOf(`{"StringEquals":{"gh:repository_owner":"octo-org"}}`),
				trustOf(`{"StringEqualsIfExists":{"gh:event_name":"push"}}`), trustOf(`{"Bool":{"gh:ref_protected":"true"}}`),
				trustFor("stint.example.com", `{"StringEquals":{"gh:repository":"octo-org/octo-repo"}}`),
				trustFor("ghes.example.com/_services/token", `{"StringEquals":{"gh:repository_id":"74"}}`),
				trustFor("gitlab.com", `{"StringEquals":{"gh:project_path":"group/project"}}`),
				statements(allowFor(github, `{}`), denyFor(`{"StringNotEquals":{"gh:event_name":"push"}}`)),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:environment:prod","gh:Repository_ID":"74","gh:amr":"x","gh:aud":"y","gh:enterprise_id":"2"}}`),
				trustFor("gitlab.com", `{"StringEquals":{"gh:ref_protected":"true","gh:runner_environment":"gitlab-hosted"}}`),
				trustFor(github+"/octo", `{"StringEquals":{"gh:repository_id":"74"}}`), trustFor("token.actions.octo.ghe.com", `{"StringEquals":{"gh:environment":"prod"}}`),
				trustFor("agent.buildkite.com", `{"StringEquals":{"gh:organization_slug":"octo"}}`),
				trustFor("oidc.circleci.com/org/0e7a", `{"StringEquals":{"gh:oidc.circleci.com/project-id":"1"}}`),
				trustOf(`{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"},"StringEquals":{"aws:RequestTag/env":"prod","sts:RoleSessionName":"a"}}`),
				trustOf(`{"StringEquals":{"gitlab.com:event_name":"push"}}`), // another issuer's key is another rule's
			},
		},
	} {
		c.run(t)
	}
}
