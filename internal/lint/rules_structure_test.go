package lint

import (
	"testing"
)

func TestStructureRules(t *testing.T) {
	const (
		good   = `"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"`
		aud    = `"gh:aud":"sts.amazonaws.com"`
		google = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":`
	)
	aws := func(principal, condition string) string {
		return statements(`{"Effect":"Allow","Principal":` + principal + `,"Action":"sts:AssumeRole","Condition":` + condition + `}`)
	}
	old := func(condition string) string { return `{"Statement":[` + allowFor(github, condition) + `]}` }
	for _, c := range []ruleCases{
		{
			rule: "for-all-values",
			fires: []string{
				trustOf(`{"ForAllValues:StringEquals":{` + good + `}}`),
				trustOf(`{"ForAllValues:StringLike":{"gh:sub":"repo:octo-org/octo-repo:*",` + aud + `}}`),
				trustOf(`{"ForAllValues:StringEquals":{"gh:iss":"https://` + github + `"}}`),
				// The other condition does not demand the key either.
				trustOf(`{"ForAllValues:StringEquals":{` + good + `},"StringEqualsIfExists":{` + good + `}}`),
				trustOf(`{"ForAllValues:StringEquals":{` + good + `},"StringNotEquals":{"gh:sub":"x"}}`),
				trustOf(`{"ForAllValues:StringEquals":{` + good + `},"Null":{"gh:sub":"true"}}`),
				trustOf(`{"ForAllValues:StringEquals":{` + good + `},"Null":{"gh:aud":"false"}}`),
				aws(`"*"`, `{"ForAllValues:StringLike":{"aws:PrincipalOrgPaths":"o-1/*"}}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{` + good + `}}`),
				trustOf(`{"ForAnyValue:StringEquals":{` + good + `}}`),
				trustOf(`{"ForAllValues:StringEquals":{` + good + `},"Null":{"gh:sub":"false"}}`),
				trustOf(`{"ForAllValues:StringEquals":{` + good + `},"ForAnyValue:StringLike":{"gh:SUB":"repo:*"}}`),
				// Keys with several values, for which it is made.
				aws(`{"AWS":"arn:aws:iam::111111111111:role/ci"}`, `{"ForAllValues:StringEquals":{"aws:TagKeys":["env"]}}`),
				// A Deny that holds without the key keeps out more, not less.
				statements(allowFor(github, `{"StringEquals":{`+good+`}}`), denyFor(`{"ForAllValues:StringLike":{"gh:sub":"repo:evil/*"}}`)),
			},
		},
		{
			rule: "if-exists",
			fires: []string{
				trustOf(`{"StringEqualsIfExists":{` + good + `}}`),
				trustOf(`{"StringLikeIfExists":{"gh:SUB":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{` + good + `},"StringEqualsIfExists":{` + aud + `}}`),
				trustOf(`{"ForAnyValue:StringEqualsIfExists":{` + good + `}}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{` + good + `},"StringLikeIfExists":{"gh:sub":"repo:*"}}`),
				trustOf(`{"StringEquals":{` + good + `},"StringEqualsIfExists":{"gh:environment":"prod"}}`),
				trustOf(`{"StringEquals":{` + good + `,` + aud + `},"BoolIfExists":{"sts:RoleAuthorizedByIdp":"true"}}`),
			},
		},
		{
			rule: "negated-only",
			fires: []string{
				trustOf(`{"StringNotLike":{"gh:sub":"repo:evil/*"},"StringEquals":{` + aud + `}}`),
				trustOf(`{"StringNotEquals":{"gh:sub":["a","b"]}}`),
				trustOf(`{"ForAllValues:StringNotLike":{"gh:sub":"repo:evil/*"}}`),
				trustFor("gitlab.com", `{"StringNotLike":{"gh:sub":"project_path:evil/*"}}`),
			},
			quiet: []string{
				trustOf(`{"StringNotLike":{"gh:sub":"repo:octo-org/evil:*"},"StringLike":{"gh:sub":"repo:octo-org/*"}}`),
				trustOf(`{"StringNotLike":{"gh:sub":"repo:octo-org/evil:*"},"StringEquals":{"gh:repository_owner_id":"65"}}`),
				// A Deny that spares one owner alone.
				statements(allowFor(github, `{"StringNotLike":{"gh:sub":"repo:octo-org/evil:*"}}`), denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/*"}}`)),
				// An issuer with one customer.
				trustFor("stint.example.com", `{"StringNotLike":{"gh:sub":"github:repo:octo-org/evil:*"}}`),
				trustOf(`{"StringEquals":{` + good + `},"StringNotEquals":{"gh:environment":"prod"}}`),
			},
		},
		{
			rule: "variable-in-value",
			fires: []string{
				trustOf(`{"StringEquals":{"gh:sub":"${` + github + `:sub}"}}`),
				trustOf(`{"StringLike":{"gh:sub":["repo:octo-org/octo-repo:*","${` + github + `:SUB}"]}}`),
				trustOf(`{"StringEquals":{"gh:sub":"${` + github + `:sub, 'repo:octo-org/octo-repo'}"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/*:ref:${` + github + `:ref}"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:${sts:RoleSessionName}"}}`),
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/${aws:PrincipalTag/repo}:ref:refs/heads/main"}}`),
				google + `{"StringEquals":{"accounts.google.com:sub":"${accounts.google.com:sub}"}}}}`,
				trustOf(`{"StringEquals":{` + good + `,"aws:RequestTag/team":"${aws:PrincipalTag/team}"}}`),
				// Without the Version it is plain text.
				old(`{"StringEquals":{"gh:sub":"repo:octo-org/${aws:RequestTag/repo}:*"}}`),
				old(`{"StringEquals":{"aws:PrincipalTag/team":"${aws:RequestTag/team}"}}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{` + good + `}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:environment:${*}"}}`),
				aws(`{"AWS":"arn:aws:iam::111111111111:role/ci"}`, `{"StringEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/team}"}}`),
				// A tag, or the session's name, pinned to a claim.
				trustOf(`{"StringEquals":{` + good + `,"aws:RequestTag/actor":"${` + github + `:actor}","sts:RoleSessionName":"${` + github + `:actor}"}}`),
				// A default stands in where there is no such tag.
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/${aws:PrincipalTag/repo, 'octo-repo'}:ref:refs/heads/main"}}`),
				// Operators that take no variables.
				old(`{"NumericEquals":{"gh:repository_id":"${x}"}}`),
			},
		},
		{
			rule: "literal-wildcard",
			fires: []string{
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{"gh:sub":["repo:octo-org/octo-repo:ref:refs/heads/main","repo:octo-org/octo-repo:environment:?"]}}`),
				trustOf(`{"ForAnyValue:StringEquals":{"gh:sub":"repo:octo-org/*"}}`),
				trustOf(`{"StringEqualsIgnoreCase":{"gh:sub":"repo:octo-org/*"}}`),
				trustOf(`{"StringNotEquals":{"gh:sub":"repo:octo-org/octo-repo:pull*"}}`),
				trustOf(`{"StringEquals":{"gh:aud":"*",` + good + `}}`),
				statements(allowFor(github, `{"StringEquals":{`+good+`}}`), denyFor(`{"StringEquals":{"gh:sub":"repo:evil/*"}}`)),
				aws(`"*"`, `{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/ci-*"}}`),
				old(`{"StringEquals":{"gh:sub":"repo:octo-org/${*}"}}`),
			},
			quiet: []string{
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{` + good + `}}`),
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:environment:${*}"}}`),
				trustOf(`{"StringEquals":{` + good + `,"aws:UserAgent":"curl/*"}}`),
				aws(`"*"`, `{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/ci-*"}}`),
			},
		},
		{
			rule: "misspelt-host",
			fires: []string{
				trustOf(`{"StringEquals":{"token.action.githubusercontent.com:sub":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{"token.actions.github.com:sub":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{"https://` + github + `:sub":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{"gitlab.com:sub":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{"` + github + `/octo-org:sub":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{"` + github + `":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{"` + github + `/sub":"repo:octo-org/octo-repo:*"}}`),
				trustFor(github+"/octo", `{"StringEquals":{"`+github+`:sub":"repo:octo-org/octo-repo:*"}}`),
				trustFor("tokens.actions.githubusercontent.com", `{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:*"}}`),
				trustFor("https://"+github, `{"StringEquals":{"`+github+`:sub":"repo:octo-org/octo-repo:*"}}`),
				trustFor("github.com", `{}`),
				trustFor("token.actions.github.com", `{}`),
				statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.action.githubusercontent.com:sub":"x"}}}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{` + good + `}}`),
				trustOf(`{"StringEquals":{"Token.Actions.GithubUserContent.com:SUB":"repo:octo-org/octo-repo:ref:refs/heads/main"}}`),
				trustFor(github+"/octo", `{"StringEquals":{"gh:sub":"x"}}`),
				trustFor("token.actions.octo.ghe.com", `{"StringEquals":{"gh:sub":"x"}}`),
				trustFor("ghes.example.com/_services/token", `{"StringEquals":{"gh:sub":"x"}}`),
				trustFor("gitlab.io", `{"StringEquals":{"gh:sub":"x"}}`),
				trustFor("vstoken.actions.githubusercontent.com", `{"StringEquals":{"gh:sub":"x"}}`),
				trustFor("oidc.circleci.com/org/0e1f", `{"StringEquals":{"gh:oidc.circleci.com/project-id":"x"}}`),
				trustFor("oidc.eks.eu-west-1.amazonaws.com/id/1", `{"StringEquals":{"gh:sub":"system:serviceaccount:a:b"}}`),
				trustOf(`{"StringEquals":{` + good + `,"aws:RequestTag/a.b":"x","sts:RoleSessionName":"x"}}`),
				google + `{"StringEquals":{"accounts.google.com:aud":"1"}}}}`,
				// Two providers, a key of each.
				statements(`{"Effect":"Allow","Principal":{"Federated":["` + account + github + `","` + account + `gitlab.com"]},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"gitlab.com:sub":"x"}}}`),
				// The key of an issuer where everybody is asked.
				statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"idp.example.com:sub":"x"}}}`),
			},
		},
		{
			rule: "wrong-claim",
			fires: []string{
				trustOf(`{"StringEquals":{"gh:sub":"project_path:octo-org/octo-repo:ref_type:branch:ref:main"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"repo:*"}}`),
				trustFor("agent.buildkite.com", `{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`),
				trustFor("oidc.circleci.com/org/0e1f", `{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringLike":{"gh:sub":"org/0e1f/project/2a3b/user/*"}}`),
				trustOf(`{"StringLike":{"gh:sub":["repo:octo-org/octo-repo:ref:refs/heads/main","organization:octo:pipeline:p:*"]}}`),
				trustOf(`{"StringLike":{"gh:sub":"Repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:github.com/octo-org/octo-repo:*"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:https://github.com/octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:ref:main"}}`),
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:ref:Refs/Heads/main"}}`),
				trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:Environment:prod"}}`),
				google + `{"StringEquals":{"accounts.google.com:oaud":"https://sts.example.com"}}}}`,
				google + `{"StringLike":{"accounts.google.com:aud":"*"}}}}`,
				google + `{"StringEquals":{"accounts.google.com:sub":"ci@octo.iam.gserviceaccount.com"}}}}`,
				statements(`{"Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"ForAnyValue:StringLike":{"cognito-identity.amazonaws.com:amr":"authenticated"}}}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{` + good + `}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org@65/octo-repo@74:ref:refs/*"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:ref:r*"}}`),
				trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`),
				trustOf(`{"StringEquals":{"gh:sub":"repository_owner_id:65:environment:prod"}}`),
				trustOf(`{"StringEquals":{"gh:sub":"repository:octo-org/octo-repo:job_workflow_ref:x"}}`),
				trustFor("gitlab.com", `{"StringLike":{"gh:sub":"project_path:octo-org/octo-repo:*"}}`),
				trustFor("agent.buildkite.com", `{"StringLike":{"gh:sub":"organization:octo:pipeline:p:*"}}`),
				trustFor("stint.example.com", `{"StringLike":{"gh:sub":"github:repo:octo-org/octo-repo:*"}}`),
				trustFor("gitlab.example.com", `{"StringLike":{"gh:sub":"project_path:octo-org/octo-repo:*"}}`),
				google + `{"StringEquals":{"accounts.google.com:aud":"108"}}}}`,
				google + `{"StringEquals":{"accounts.google.com:sub":"108"}}}}`,
			},
		},
		{
			rule: "split-conditions",
			fires: []string{
				statements(allowFor(github, `{"StringEquals":{`+aud+`}}`), allowFor(github, `{"StringEquals":{`+good+`}}`)),
				statements(allowFor(github, `{"StringLike":{"gh:sub":"repo:octo-org/*"}}`), allowFor(github, `{}`)),
				statements(allowFor(github, `{"StringEquals":{`+good+`}}`), allowFor(github, `{"StringNotLike":{"gh:sub":"repo:evil/*"}}`)),
			},
			quiet: []string{
				statements(allowFor(github, `{"StringEquals":{`+good+`}}`), allowFor(github, `{"StringLike":{"gh:sub":"repo:octo-org/*"}}`)),
				statements(allowFor(github, `{"StringEquals":{`+aud+`}}`), allowFor("gitlab.com", `{"StringEquals":{"gh:sub":"x"}}`)),
				// Deny narrows: the second statement is what it should be.
				statements(allowFor(github, `{"StringEquals":{`+aud+`}}`), denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/octo-repo:*"}}`)),
				statements(allowFor(github, `{"StringEquals":{`+good+`}}`), allowFor(github, `{"StringEquals":{"gh:repository_id":"74"}}`)),
				statements(allowFor(github, `{"StringEquals":{`+good+`}}`), allowFor(github, `{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`)),
				// The second statement is about another action.
				statements(allowFor(github, `{"StringEquals":{`+good+`}}`), `{"Effect":"Allow","Principal":{"Federated":"`+account+github+`"},"Action":"sts:TagSession"}`),
				trustOf(`{"StringEquals":{` + good + `}}`),
			},
		},
		{
			rule: "any-principal",
			fires: []string{
				aws(`"*"`, `{}`), aws(`{"AWS":"*"}`, `{}`), aws(`{"AWS":["arn:aws:iam::111111111111:root","*"]}`, `{}`),
				aws(`{"AWS":"*"}`, `{"StringEquals":{"sts:ExternalId":"x"}}`),
				aws(`"*"`, `{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}`),
				aws(`"*"`, `{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}}`),
				aws(`"*"`, `{"StringLike":{"aws:PrincipalArn":"*"}}`),
				statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + github + `:aud":"sts.amazonaws.com"}}}`),
			},
			quiet: []string{
				aws(`"*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`),
				aws(`{"AWS":"*"}`, `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/ci-*"}}`),
				aws(`{"AWS":"arn:aws:iam::111111111111:root"}`, `{}`),
				aws(`{"Service":"ec2.amazonaws.com"}`, `{}`),
				statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`,
					`{"Effect":"Deny","Principal":"*","Action":"sts:*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}}`),
				// No web identity is an AWS principal.
				statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRoleWithWebIdentity"}`),
				trustOf(`{"StringEquals":{` + good + `}}`),
				statements(allowFor(github, `{"StringEquals":{`+good+`}}`), denyFor(`{"StringLike":{"gh:sub":"repo:evil/*"}}`)),
			},
		},
		{
			rule: "not-principal",
			fires: []string{
				statements(`{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole"}`),
				statements(`{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole"}`),
			},
			quiet: []string{trustOf(`{"StringEquals":{` + good + `}}`)},
		},
		{
			rule: "not-action",
			fires: []string{
				statements(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"NotAction":"sts:TagSession"}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{` + good + `}}`),
				statements(`{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"NotAction":"sts:AssumeRole"}`),
			},
		},
		{
			rule: "audience-missing",
			fires: []string{
				trustOf(`{"StringEquals":{` + good + `}}`),
				trustOf(`{"StringLike":{"gh:aud":"*",` + good + `}}`),
				trustOf(`{"StringNotEquals":{"gh:aud":"x"},"StringEquals":{` + good + `}}`),
			},
			quiet: []string{
				trustOf(`{"StringEquals":{` + good + `,` + aud + `}}`),
				trustOf(`{"StringLike":{"gh:aud":"https://*",` + good + `}}`),
				statements(allowFor(github, `{"StringEquals":{`+good+`}}`), denyFor(`{"StringNotEquals":{`+aud+`}}`)),
				google + `{"StringEquals":{"accounts.google.com:sub":"108"}}}}`,
				aws(`{"AWS":"arn:aws:iam::111111111111:root"}`, `{}`),
			},
		},
	} {
		c.run(t)
	}
}
