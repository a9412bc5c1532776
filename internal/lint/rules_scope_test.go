package lint

import "testing"

func TestScopeRules(t *testing.T) {
	const aud = `"gh:aud":"sts.amazonaws.com"`
	for _, c := range []ruleCases{
		{
			rule: "sub-missing",
			fires: []string{
				trustOf(`{"StringEquals":{` + aud + `}}`),
				trustOf(`{}`),
				trustFor("gitlab.com", `{"StringEquals":{"gh:aud":"https://gitlab.com"}}`),
				trustFor("agent.buildkite.com", `{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`),
				trustFor("app.terraform.io", `{"StringEquals":{"gh:aud":"aws.workload.identity"}}`),
				// A negated operator names nobody.
				trustOf(`{"StringNotLike":{"gh:sub":"repo:evil/*"}}`),
				// The claim is absent outside of an enterprise, and IfExists then holds.
				trustOf(`{"StringEqualsIfExists":{"gh:enterprise_id":"2"}}`),
				trustOf(`{"ForAllValues:StringEquals":{"gh:enterprise_id":"2"}}`),
				// A Deny that narrows something else.
				statements(allowFor(github, `{}`), denyFor(`{"StringNotEquals":{"gh:aud":"sts.amazonaws.com"}}`)),
				statements(allowFor(github, `{}`), denyFor(`{"StringLike":{"gh:sub":"repo:evil/*"}}`)),
				// A Deny that holds only under a further condition.
				statements(allowFor(github, `{}`), denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/*"},"StringEquals":{"gh:ref":"refs/heads/main"}}`)),
				// A Deny for another caller, and one of another action.
				statements(allowFor(github, `{}`), `{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringNotLike":{"`+github+`:sub":"repo:octo-org/*"}}}`),
				statements(allowFor(github, `{}`), `{"Effect":"Deny","Principal":"*","Action":"sts:TagSession","Condition":{"StringNotLike":{"`+github+`:sub":"repo:octo-org/*"}}}`),
				// For everybody, GitHub's jobs included, though only the Deny names them.
				statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity"}`, denyFor(`{"StringNotEquals":{"gh:aud":"sts.amazonaws.com"}}`)),
				// The action in other words.
				`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"` + account + github + `"},"Action":["sts:TagSession","sts:assumerole*"]}}`,
			},
			quiet: []string{
				sub("repo:octo-org/octo-repo:ref:refs/heads/main"),
				trustOf(`{"StringEquals":{"gh:repository_id":"74"}}`),
				trustOf(`{"StringEquals":{"gh:repository_owner_id":"65"}}`),
				trustOf(`{"StringLike":{"gh:repository":"octo-org/*"}}`),
				trustOf(`{"StringEqualsIfExists":{"gh:repository_id":"74"}}`), // every token has it
				trustOf(`{"ForAnyValue:StringEquals":{"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"}}`),
				// Issuers with one customer each: an enterprise's, a GitHub Enterprise
				// Server, GitHub with data residency, a broker's own, EKS, CircleCI.
				trustFor(github+"/octo", `{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`),
				trustFor("ghes.example.com/_services/token", `{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`),
				trustFor("token.actions.octo.ghe.com", `{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`),
				trustFor("stint.example.com", `{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`),
				trustFor("oidc.eks.eu-west-1.amazonaws.com/id/0A1B", `{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`),
				trustFor("oidc.circleci.com/org/0e7a", `{"StringEquals":{"gh:aud":"0e7a"}}`),
				trustFor("gitlab.example.com", `{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`),
				// Those that tell customers apart by audience, and a SAML provider.
				`{"Statement":{"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"accounts.google.com:aud":"1"}}}}`,
				`{"Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:saml-provider/corp"},"Action":"sts:AssumeRoleWithSAML"}}`,
				// Other callers, another action, no access at all.
				`{"Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`,
				`{"Statement":{"Effect":"Allow","Principal":{"Federated":"` + account + github + `"},"Action":"sts:TagSession"}}`,
				`{"Statement":{"Effect":"Deny","Principal":{"Federated":"` + account + github + `"},"Action":"sts:AssumeRoleWithWebIdentity"}}`,
				// A Deny that closes the hole, in several forms.
				statements(allowFor(github, `{}`), denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/*"}}`)),
				statements(denyFor(`{"StringNotEquals":{"gh:repository_owner_id":"65"}}`), allowFor(github, `{}`)),
				statements(allowFor(github, `{}`), denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/*"},"StringNotEquals":{"gh:repository_id":"74"}}`)),
				statements(allowFor(github, `{}`), `{"Effect":"Deny","Principal":"*","Action":"*"}`),
				statements(allowFor(github, `{}`), `{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:*"}`),
				// A dead statement lets nobody in, and other rules say so.
				trustOf(`{"StringEquals":{"gitlab.com:sub":"project_path:group/project:ref_type:branch:ref:main"}}`),
				trustOf(`{"StringEquals":{"gh:event_name":"push"}}`),
			},
		},
		{
			rule: "owner-wildcard",
			fires: []string{
				sub("*"), sub("repo:*"), sub("repo:*/octo-repo:ref:refs/heads/main"), sub("repo:*:ref:refs/heads/main"), sub("re*"), sub("*:pull_request"), sub("*:environment:prod"),
				sub("repo:?cto-org/octo-repo:*"),
				// One value of a list is enough, wherever it stands.
				sub("repo:octo-org/octo-repo:ref:refs/heads/main", "repo:*/octo-repo:*"),
				sub("repo:*", "repo:octo-org/octo-repo:ref:refs/heads/main"),
				// An id behind the wildcard does not help: an environment can hold it.
				sub("repo:*@65/octo-repo@74:ref:refs/heads/main"),
				sub("repo:*:environment:prod:job_workflow_ref:octo-org/auto/.github/workflows/deploy.yml@refs/heads/main"),
				trustOf(`{"StringLike":{"gh:sub":"repo:*"},"StringEquals":{"gh:actor":"octocat"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:*"},"StringLikeIfExists":{"gh:enterprise_id":"2"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:*:ref_type:branch:ref:main"}}`),
				trustFor("agent.buildkite.com", `{"StringLike":{"gh:sub":"organization:*:pipeline:deploy:*"}}`),
				trustFor("app.terraform.io", `{"StringLike":{"gh:sub":"organization:*:project:p:workspace:w:run_phase:*"}}`),
				trustFor("scalr.io", `{"StringLike":{"gh:sub":"*"}}`),
				// A key that AWS does not have is a mistake, and mended some day.
				trustOf(`{"StringLike":{"gh:sub":"repo:*"},"StringEquals":{"gh:event_name":"push"}}`),
				// A policy variable is whatever the caller has there.
				trustOf(`{"StringEquals":{"gh:sub":"${token.actions.githubusercontent.com:sub}"}}`),
			},
			quiet: []string{
				sub("repo:octo-org/octo-repo:*"), sub("repo:octo-org/*"), sub("repo:octo-org@65/*"), sub("repo:octo-org*"),
				// Narrowed by another claim.
				trustOf(`{"StringLike":{"gh:sub":"repo:*"},"StringEquals":{"gh:repository_id":["74","75"]}}`),
				trustOf(`{"StringLike":{"gh:sub":"*"},"StringEquals":{"gh:repository_owner_id":"65"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:*:ref:refs/heads/main"},"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:*:ref:refs/heads/main"},"StringLikeIfExists":{"gh:repository":"octo-org/*"}}`),
				trustOf(`{"StringLike":{"gh:sub":"*"},"NumericEquals":{"gh:repository_id":"74"}}`),
				statements(allowFor(github, `{"StringLike":{"gh:sub":"repo:*"}}`), denyFor(`{"StringNotEquals":{"gh:repository_owner_id":"65"}}`)),
				// Customised subjects that name the owner, or the repository.
				sub("repository_owner:octo-org:environment:*"), sub("repository_owner_id:65:*"), sub("repository_id:74:environment:*"),
				sub("repo:*:repository_owner_id:65"), sub("job_workflow_ref:*:repository_id:74"),
				// Nobody's subject begins so.
				sub("octo-org/octo-repo:*"), sub("repos:octo-org/*"), trustOf(`{"StringLike":{"gh:sub":"project_path:*"}}`),
				// StringEquals takes * literally: nobody has such a subject.
				trustOf(`{"StringEquals":{"gh:sub":"repo:*"}}`),
				// Only one customer.
				trustFor(github+"/octo", `{"StringLike":{"gh:sub":"repo:*"}}`),
				trustFor("stint.example.com", `{"StringLike":{"gh:sub":"github:repo:*"}}`),
				trustFor("oidc.eks.eu-west-1.amazonaws.com/id/0A1B", `{"StringLike":{"gh:sub":"system:serviceaccount:*:*"}}`),
				trustFor("gitlab.example.com", `{"StringLike":{"gh:sub":"project_path:*"}}`),
			},
		},
		{
			rule: "owner-open",
			fires: []string{
				sub("repo:octo-org*"), sub("repo:octo*/octo-repo:ref:refs/heads/main"), sub("repo:octo-or?/octo-repo:ref:refs/heads/main"),
				sub("repo:octo-org*:ref:refs/heads/main"), sub("repository_owner:octo*"), sub("repository_owner_id:6*"),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org*","gh:repository":"octo*"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:group*"}}`),
				trustFor("agent.buildkite.com", `{"StringLike":{"gh:sub":"organization:octo*"}}`),
			},
			quiet: []string{
				sub("repo:octo-org/*"), sub("repo:octo-org@*"), sub("repo:octo-org@65/*"), sub("repo:*"),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org*"},"StringEquals":{"gh:repository_owner_id":"65"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org*","gh:repository":"octo-org/*"}}`),
				trustFor("agent.buildkite.com", `{"StringLike":{"gh:sub":"organization:octo:*"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:group/*"}}`),
			},
		},
		{
			rule: "all-repositories",
			fires: []string{
				sub("repo:octo-org/*"), sub("repo:octo-org/*:ref:refs/heads/main"), sub("repo:octo-org@65/*:environment:prod"), sub("repo:octo-org@*"),
				sub("repo:octo-org/octo-repo:ref:refs/heads/main", "repo:octo-org/*"),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*"},"StringEquals":{"gh:ref":"refs/heads/main"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:group/*:ref_type:branch:ref:main"}}`),
				trustFor("agent.buildkite.com", `{"StringLike":{"gh:sub":"organization:octo:*"}}`),
				trustFor(github+"/octo", `{"StringLike":{"gh:sub":"repo:*"}}`), // of the enterprise
				trustFor(github+"/octo", `{"StringLike":{"gh:sub":"repo:octo-org/*"}}`),
				trustFor("ghes.example.com/_services/token", `{"StringLike":{"gh:sub":"repo:octo-org/*"}}`),
			},
			quiet: []string{
				sub("repo:octo-org/octo-repo:*"), sub("repo:octo-org/octo-*"), sub("repo:*"),
				sub("repo:octo-org/*:job_workflow_ref:octo-org/auto/.github/workflows/deploy.yml@refs/heads/main"),
				sub("repository_owner:octo-org:environment:prod"),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*"},"StringEquals":{"gh:repository_id":"74"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*","gh:repository":"octo-org/octo-repo"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*","gh:job_workflow_ref":"octo-org/auto/.github/workflows/deploy.yml@*"}}`),
				statements(allowFor(github, `{"StringLike":{"gh:sub":"repo:octo-org/*"}}`), denyFor(`{"StringNotLike":{"gh:sub":["repo:octo-org/a:*","repo:octo-org/b:*"]}}`)),
				trustFor("stint.example.com", `{"StringLike":{"gh:sub":"github:repo:octo-org/*"}}`),
				trustFor("oidc.circleci.com/org/0e7a", `{"StringLike":{"gh:sub":"org/0e7a/project/1b2c/user/*"}}`),
			},
		},
		{
			rule: "open-prefix",
			fires: []string{
				sub("repo:octo-org/octo-*"), sub("repo:octo-org/octo-repo*:ref:refs/heads/main"), sub("repo:octo-org@65/octo*:environment:prod"),
				sub("repo:octo-org/octo-repo:ref:refs/heads/main*"), sub("repo:octo-org/octo-repo:ref:refs/heads/*-prod"),
				sub("repo:octo-org/octo-repo:environment:prod*"), sub("repo:octo-org/octo-repo:environment:pro?"),
				sub("repo:octo-org/octo-repo:ref:refs/tags/release*"),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:group/app*"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:group/app:ref_type:branch:ref:main*"}}`),
				trustFor("agent.buildkite.com", `{"StringLike":{"gh:sub":"organization:octo:pipeline:deploy*"}}`),
			},
			quiet: []string{
				sub("repo:octo-org/octo-repo:ref:refs/heads/release/*"), sub("repo:octo-org/octo-repo:ref:refs/tags/v*"), sub("repo:octo-org/octo-repo:ref:refs/tags/v1.*"),
				sub("repo:octo-org/octo-repo:environment:prod:*"), sub("repo:octo-org/octo-repo:*"), sub("repo:octo-org/*"), sub("repo:octo*"),
				sub("repo:octo-org/octo-repo:environment:prod:job_workflow_ref:octo-org/auto/.github/workflows/*"),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-*"},"StringEquals":{"gh:repository_id":["74","75"]}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main*"},"StringEquals":{"gh:ref":"refs/heads/main"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":["project_path:group/app:ref_type:tag:ref:v*","project_path:group/app:ref_type:tag:ref:*"]}}`),
				trustFor("agent.buildkite.com", `{"StringLike":{"gh:sub":"organization:octo:pipeline:deploy:ref:refs/heads/main:commit:*:step:*"}}`),
			},
		},
		{
			rule: "any-ref",
			fires: []string{
				sub("repo:octo-org/octo-repo:*"), sub("repo:octo-org@65/octo-repo@74:*"), sub("repo:octo-org/octo-repo:ref:*"), sub("repo:octo-org/octo-repo:ref:refs/heads/*"),
				sub("repo:octo-org/octo-repo:environment:*"), sub("repo:octo-org/octo-repo:re*"),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*","gh:actor":"octocat"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"},"StringEqualsIfExists":{"gh:environment":"prod"}}`), // absent without one
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*","gh:job_workflow_ref":"octo-org/octo-repo/.github/workflows/deploy.yml@*"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:group/app:*"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:group/sub/app:ref_type:branch:ref:*"}}`),
				trustFor("agent.buildkite.com", `{"StringLike":{"gh:sub":"organization:octo:pipeline:deploy:*"}}`),
				trustFor(github+"/octo", `{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`),
			},
			quiet: []string{
				sub("repo:octo-org/octo-repo:ref:refs/heads/main"), sub("repo:octo-org/octo-repo:environment:prod"), sub("repo:octo-org/octo-repo:pull_request"),
				sub("repo:octo-org/octo-repo:ref:refs/tags/*"), sub("repo:octo-org/octo-repo:ref:refs/heads/release/*"), sub("repo:octo-org/*"), sub("repo:*"),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"},"StringEquals":{"gh:ref":"refs/heads/main"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"},"StringEquals":{"gh:environment":"prod"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"},"StringEquals":{"gh:job_workflow_ref":"octo-org/auto/.github/workflows/deploy.yml@refs/heads/main"}}`),
				sub("repo:octo-org/octo-repo:*:job_workflow_ref:octo-org/auto/.github/workflows/deploy.yml@refs/heads/main"),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"},"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:environment:prod"}}`),
				statements(allowFor(github, `{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`), denyFor(`{"StringNotEquals":{"gh:ref":"refs/heads/main"}}`)),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:group/app:*"},"StringEquals":{"gh:ref_protected":"true"}}`),
				trustFor("stint.example.com", `{"StringLike":{"gh:sub":"github:repo:octo-org/octo-repo:*"}}`),
			},
		},
		{
			rule: "like-without-wildcard",
			fires: []string{
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*","gh:aud":"sts.amazonaws.com"}}`),
				statements(allowFor(github, `{}`), denyFor(`{"StringNotLike":{"gh:sub":["repo:a/b:ref:c","repo:d/e:ref:f"]}}`)),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"}}`),
				trustOf(`{"StringLike":{"gh:sub":["repo:octo-org/octo-repo:ref:refs/heads/main","repo:octo-org/octo-repo:environment:prod-?"]}}`),
				`{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:*","Condition":{"StringLike":{"aws:PrincipalTag/team":"a"}}}}`,
			},
		},
	} {
		c.run(t)
	}
}
