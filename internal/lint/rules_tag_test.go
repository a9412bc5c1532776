package lint

import (
	"strings"
	"testing"
)

func TestTagRules(t *testing.T) {
	const stint = "stint.example.com"
	broker := trustFor(stint, ofBroker)
	both := strings.ReplaceAll(broker, `"sts:AssumeRoleWithWebIdentity"`, `["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`)
	second := statements(allowFor(stint, ofBroker), `{"Effect":"Allow","Principal":{"Federated":"`+account+stint+`"},"Action":"sts:TagSession"}`)
	tagged := allowRule("deploy", `{repository_id: "74"}`, "tags: {repository: repository}")
	chain := func(action, condition string) string {
		return statements(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/ci"},"Action":` + action + `,"Condition":` + condition + `}`)
	}
	const twoActions = `["sts:AssumeRole","sts:TagSession"]`

	runWorlds(t, "tag-session-missing", []worldCase{
		{"broker sends tags", world{trust: broker, rules: tagged}, "rule deploy of stint.yaml sends tags"},
		{"allowed", world{trust: both, rules: tagged}, ""},
		{"allowed by a second statement", world{trust: second, rules: tagged}, ""},
		{"allowed for somebody else", world{trust: statements(allowFor(stint, ofBroker), `{"Effect":"Allow","Principal":{"Federated":"`+account+`gitlab.com"},"Action":"sts:TagSession"}`), rules: tagged}, "does not allow sts:TagSession"},
		{"allowed by a wildcard", world{trust: strings.ReplaceAll(broker, "sts:AssumeRoleWithWebIdentity", "sts:*"), rules: tagged}, ""},
		{"no tags sent", world{trust: broker, rules: allowRule("deploy", `{repository_id: "74"}`)}, ""},
		{"another role", world{trust: broker, rules: tagged, arn: "arn:aws:iam::111111111111:role/other"}, ""},
		{"another issuer", world{trust: trustOf(trusted), rules: tagged}, ""},
		{"a denied rule", world{trust: broker, rules: denyRule("never", `{event_name: x}`)}, ""},
		{"actions not known", world{trust: strings.ReplaceAll(broker, `"sts:AssumeRoleWithWebIdentity"`, `["sts:AssumeRoleWithWebIdentity","@@"]`), rules: tagged}, "unknown: whether the trust policy allows"},

		{"a policy tests a tag", world{trust: trustOf(trusted), identity: allowIdentity(`{"StringEquals":{"aws:PrincipalTag/team":"a"}}`)}, "aws:PrincipalTag/team is tested"},
		{"in a resource", world{trust: trustOf(trusted), identity: strings.ReplaceAll(allowIdentity(`{}`), "octo/*", "octo/${aws:PrincipalTag/team}/*")}, "aws:PrincipalTag/team is tested"},
		{"with a default", world{trust: trustOf(trusted), identity: strings.ReplaceAll(allowIdentity(`{}`), "octo/*", "octo/${aws:PrincipalTag/team, 'x'}/*")}, ""},
		{"without Version", world{trust: trustOf(trusted), identity: strings.ReplaceAll(strings.ReplaceAll(allowIdentity(`{}`), "octo/*", "octo/${aws:PrincipalTag/team}/*"), `"Version":"2012-10-17",`, "")}, ""},
		{"the role has the tag", world{trust: trustOf(trusted), tags: map[string]string{"TEAM": "a"}, identity: allowIdentity(`{"StringEquals":{"aws:PrincipalTag/team":"a"}}`)}, ""},
		{"tags can be passed", world{trust: both, identity: allowIdentity(`{"StringEquals":{"aws:PrincipalTag/team":"a"}}`)}, ""},
		{"tested if it exists", world{trust: trustOf(trusted), identity: allowIdentity(`{"StringEqualsIfExists":{"aws:PrincipalTag/team":"a"}}`)}, ""},
		{"denied without it", world{trust: trustOf(trusted), identity: strings.ReplaceAll(allowIdentity(`{"StringNotEquals":{"aws:PrincipalTag/team":"a"}}`), "Allow", "Deny")}, ""},
	})

	runWorlds(t, "tag-session-open", []worldCase{
		{"AWS principal", world{trust: chain(twoActions, `{}`)}, "any tag with any value"},
		{"any action", world{trust: chain(`"sts:*"`, `{"StringEquals":{"sts:ExternalId":"x"}}`)}, "any tag"},
		{"no tags", world{trust: chain(`"sts:AssumeRole"`, `{}`)}, ""},
		{"keys limited", world{trust: chain(twoActions, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}`)}, ""},
		{"a tag tested", world{trust: chain(twoActions, `{"StringEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/team}"}}`)}, ""},
		{"a Deny limits them", world{trust: statements(
			`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/ci"},"Action":`+twoActions+`}`,
			`{"Effect":"Deny","Principal":"*","Action":"sts:TagSession","Condition":{"StringNotEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/team}"}}}`)}, ""},
		// The tags of a web identity stand in the token that its issuer signed.
		{"a broker signs them", world{trust: both}, ""},
		{"GitHub's token has none", world{trust: strings.ReplaceAll(trustOf(trusted), `"sts:AssumeRoleWithWebIdentity"`, twoActions)}, ""},
		{"a service passes them", world{trust: statements(`{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":` + twoActions + `}`)}, ""},
		{"conditions not known", world{trust: chain(twoActions, `"@@"`)}, "unknown: whether something limits"},
	})

	runWorlds(t, "chained-tags-not-pinned", []worldCase{
		{"keys limited, values not", world{trust: chain(twoActions, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}`)}, "the tag team with any value"},
		{"the second of two", world{trust: chain(twoActions, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team","env"]},"StringEquals":{"aws:RequestTag/Team":"${aws:PrincipalTag/team}"}}`)}, "the tag env with any value"},
		{"any value is no pin", world{trust: chain(twoActions, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"StringLike":{"aws:RequestTag/team":"*"}}`)}, "the tag team"},
		{"pinned", world{trust: chain(twoActions, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"StringEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/team}"}}`)}, ""},
		{"pinned to a value", world{trust: chain(twoActions, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"StringEquals":{"aws:RequestTag/team":["a","b"]}}`)}, ""},
		{"a broker's", world{trust: strings.ReplaceAll(both, `"StringEquals":{`, `"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"StringEquals":{`)}, ""},
	})

	env := func(more string, match string) string { return allowRule("deploy", match, "tags: {env: "+more+"}") }
	runWorlds(t, "role-tag-shadows", []worldCase{
		{"may be absent", world{trust: both, tags: map[string]string{"Env": "prod"}, rules: env("environment", `{repository_id: "74"}`)}, "Env=prod holds for a session without the tag"},
		{"required", world{trust: both, tags: map[string]string{"env": "prod"}, rules: env("{claim: environment, required: true}", `{repository_id: "74"}`)}, ""},
		{"matched", world{trust: both, tags: map[string]string{"env": "prod"}, rules: env("environment", `{environment: prod}`)}, ""},
		{"always there", world{trust: both, tags: map[string]string{"env": "prod"}, rules: env("repository", `{environment: prod}`)}, ""},
		{"another name", world{trust: both, tags: map[string]string{"stage": "prod"}, rules: env("environment", `{repository_id: "74"}`)}, ""},
		{"not known of a property", world{trust: both, tags: map[string]string{"env": "prod"}, rules: env("repo_property_env", `{repository_id: "74"}`)}, "unknown: "},
		{"an expression about it", world{trust: both, tags: map[string]string{"env": "prod"}, rules: allowRule("deploy", `{repository_id: "74"}`, "tags: {env: environment}", `when: has(claims.environment)`)}, "unknown: "},
		{"allowed and not demanded", world{trust: chain(twoActions, `{"ForAllValues:StringEquals":{"aws:TagKeys":["ENV"]}}`), tags: map[string]string{"env": "prod"}}, "does not demand"},
		{"demanded", world{trust: chain(twoActions, `{"StringEquals":{"aws:RequestTag/env":["dev","prod"]}}`), tags: map[string]string{"env": "prod"}}, ""},
		{"demanded for tagging only", world{trust: statements(
			`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/ci"},"Action":"sts:AssumeRole"}`,
			`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/ci"},"Action":"sts:TagSession","Condition":{"StringEquals":{"aws:RequestTag/env":["dev","prod"]}}}`), tags: map[string]string{"env": "prod"}}, "does not demand"},
		{"denied without", world{trust: statements(
			`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/ci"},"Action":`+twoActions+`,"Condition":{"StringLike":{"aws:TagKeys":"env"}}}`,
			`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"Null":{"aws:RequestTag/env":"true"}}}`), tags: map[string]string{"env": "prod"}}, "unknown: "},
		{"no session tags", world{trust: trustOf(trusted), tags: map[string]string{"env": "prod"}}, ""},
	})
}

func TestPolicySize(t *testing.T) {
	// big is a policy of this many characters beside what frames the values.
	big := func(n int) string {
		frame := trustOf(`{"StringEquals":{"gh:sub":""}}`)
		return trustOf(`{"StringEquals":{"gh:sub":"` + strings.Repeat("x", n-len(frame)) + `"}}`)
	}
	spaced := func(n int) string { return strings.ReplaceAll(big(n), ",", " ,\n\t  ") }
	for _, c := range []struct {
		name, trust string
		severity    Severity
		holds       string
	}{
		{"at the quota", big(2048), "", ""},
		{"white space does not count", spaced(2048), "", ""},
		{"over the quota", big(2049), Warning, "has 2049 characters, and 2048 are the default"},
		{"at the most", big(4096), Warning, "4096 characters"},
		{"over the most", big(4097), Error, "has 4097 characters, and 4096 are the most"},
		{"at least", strings.Replace(big(2100), "xx", "@@", 1), Warning, "at least 2098 characters"},
		{"not known", strings.Replace(big(2040), "xx", "@@", 1), "", ""},
		{"quotes count", trustOf(`{"StringEquals":{"gh:sub":"` + strings.Repeat(`\"`, 1000) + `"}}`), Warning, "has 22"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, unknown := by(Run(world{trust: c.trust}.inventory(t), Options{}), "policy-size")
			if c.severity == "" {
				if len(found)+len(unknown) > 0 {
					t.Errorf("fired: %+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Severity != c.severity || !strings.Contains(found[0].Message, c.holds) {
				t.Errorf("found %+v, want %s with %q", found, c.severity, c.holds)
			}
		})
	}
}
