package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// own are tokens of the repository that the policies of these tests mean, of
// each platform.
func own() []strangerToken {
	claims := func(sub string) map[string]any {
		return map[string]any{
			"sub": sub, "aud": "sts.amazonaws.com", "repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner_id": "65",
			"ref": "refs/heads/main", "actor": "octocat", "environment": "prod", "project_id": "74",
		}
	}
	out := []strangerToken{
		{"https://gitlab.com", claims("project_path:octo-org/octo-repo:ref_type:branch:ref:main")},
		{"https://agent.buildkite.com", claims("organization:octo-org:pipeline:octo-repo:ref:refs/heads/main:commit:a:step:b")},
	}
	for _, path := range []string{"octo-org/octo-repo", "octo-org@65/octo-repo@74"} {
		for _, end := range []string{"ref:refs/heads/main", "environment:prod", "pull_request", "ref:refs/tags/v1"} {
			out = append(out, strangerToken{"https://" + github, claims("repo:" + path + ":" + end)})
		}
	}
	return out
}

// letIn is how many of the tokens a trust policy lets in, with the provider of
// their issuer in this account.
func letIn(trust *iam.Policy, account string, tokens []strangerToken) int {
	n := 0
	for _, token := range tokens {
		call := iam.WebIdentityCall{
			Provider: account + strings.TrimPrefix(token.issuer, "https://"), Issuer: token.issuer, Claims: token.claims,
			RoleARN: deployARN, RoleSessionName: "ci",
		}
		if iam.EvaluateWebIdentity(trust, call).Allowed {
			n++
		}
	}
	return n
}

// TestClaimsOfRules: a policy of which a rule says that it lets nobody in lets
// nobody in, and one of which it says that anybody gets in lets a stranger in.
func TestClaimsOfRules(t *testing.T) {
	const sub = `"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"`
	for _, c := range []struct{ rule, document, lets string }{
		{"literal-wildcard", trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:*"}}`), "nobody"},
		{"literal-wildcard", trustOf(`{"ForAnyValue:StringEquals":{"gh:sub":"repo:*"}}`), "nobody"},
		{"literal-wildcard", trustOf(`{"StringEquals":{"gh:aud":"*"}}`), "nobody"},
		{"literal-wildcard", trustOf(`{"StringNotEquals":{"gh:sub":"repo:evil/*"}}`), "strangers"},
		{"literal-wildcard", statements(allowFor(github, `{}`), denyFor(`{"StringEquals":{"gh:sub":"*"}}`)), "strangers"},
		{"literal-wildcard", statements(allowFor(github, `{}`), denyFor(`{"StringNotEquals":{"gh:sub":"repo:octo-org/*"}}`)), "nobody"},
		{"variable-in-value", trustOf(`{"StringEquals":{"gh:sub":"${` + github + `:sub}"}}`), "strangers"},
		{"variable-in-value", trustOf(`{"StringNotEquals":{"gh:sub":"${` + github + `:sub}"}}`), "nobody"},
		{"variable-in-value", trustOf(`{"StringLike":{"gh:sub":"repo:${` + github + `:repository}:*"}}`), "strangers"},
		{"variable-in-value", trustOf(`{"StringEquals":{"gh:sub":"${aws:PrincipalTag/sub}"}}`), "nobody"},
		{"variable-in-value", `{"Statement":[` + allowFor(github, `{"StringEquals":{"gh:sub":"${`+github+`:sub}"}}`) + `]}`, "nobody"},
		{"negated-only", trustOf(`{"StringNotLike":{"gh:sub":"repo:evil/*"}}`), "strangers"},
		{"for-all-values", trustOf(`{"ForAllValues:StringEquals":{"gh:iss":"https://` + github + `"}}`), "strangers"},
		{"if-exists", trustOf(`{"StringEqualsIfExists":{"token.action.githubusercontent.com:sub":"repo:octo-org/octo-repo:*"}}`), "strangers"},
		{"misspelt-host", trustOf(`{"StringLike":{"token.action.githubusercontent.com:sub":"*"}}`), "nobody"},
		{"misspelt-host", trustOf(`{"StringLike":{"https://` + github + `:sub":"*"}}`), "nobody"},
		{"misspelt-host", trustOf(`{"StringLike":{"gitlab.com:sub":"*"}}`), "nobody"},
		{"misspelt-host", trustFor("token.actions.github.com", `{}`), "nobody"},
		{"misspelt-host", trustOf(`{"StringNotLike":{"token.action.githubusercontent.com:sub":"repo:*"}}`), "strangers"},
		{"wrong-claim", trustOf(`{"StringLike":{"gh:sub":"project_path:octo-org/octo-repo:*"}}`), "nobody"},
		{"wrong-claim", trustFor("gitlab.com", `{"StringLike":{"gh:sub":"repo:octo-org/*"}}`), "nobody"},
		{"wrong-claim", trustOf(`{"StringLike":{"gh:sub":"repo:github.com/octo-org/octo-repo:*"}}`), "nobody"},
		{"wrong-claim", trustOf(`{"StringLike":{"gh:sub":"repo:octo-org/octo-repo:ref:main"}}`), "nobody"},
		{"split-conditions", statements(allowFor(github, `{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`), allowFor(github, `{"StringEquals":{`+sub+`}}`)), "strangers"},
		{"not-principal", statements(`{"Effect":"Allow","NotPrincipal":{"Federated":"` + account + `gitlab.com"},"Action":"sts:AssumeRoleWithWebIdentity"}`), "nobody"},
		{"any-principal", statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity"}`), "strangers"},
	} {
		inv := inventoryOf(t, c.document)
		if found, _ := by(Run(inv, Options{}), c.rule); len(found) == 0 {
			t.Errorf("%s is silent on %s", c.rule, c.document)
		}
		full := inv.Roles[0].Trust.Full
		switch c.lets {
		case "nobody":
			if n := letIn(full, account, append(own(), strangers()...)); n > 0 {
				t.Errorf("%s lets %d tokens in", c.document, n)
			}
		case "strangers":
			if letIn(full, account, strangers()) == 0 {
				t.Errorf("%s lets no stranger in", c.document)
			}
		}
	}
}

// TestForeignProviderLetsNobodyIn: with the provider in the role's account, as
// STS takes it, a policy for another account's lets nobody in.
func TestForeignProviderLetsNobodyIn(t *testing.T) {
	w := world{trust: trustOf(`{"StringLike":{"gh:sub":"*"}}`), arn: "arn:aws:iam::222222222222:role/deploy"}
	inv := w.inventory(t)
	if found, _ := by(Run(inv, Options{}), "foreign-provider"); len(found) != 1 {
		t.Fatalf("found %+v", found)
	}
	full := inv.Roles[0].Trust.Full
	if n := letIn(full, "arn:aws:iam::222222222222:oidc-provider/", own()); n > 0 {
		t.Errorf("lets %d tokens in", n)
	}
	if letIn(full, account, own()) == 0 {
		t.Error("lets nobody in with the other account's provider either: the test shows nothing")
	}
}

// TestClaimsOfTagRules: what the rules on tags say is what the evaluator does.
func TestClaimsOfTagRules(t *testing.T) {
	const stint = "stint.example.com"
	broker := trustFor(stint, ofBroker)
	call := iam.WebIdentityCall{
		Provider: account + stint, Issuer: "https://" + stint, RoleARN: deployARN, RoleSessionName: "ci",
		Claims: map[string]any{"sub": "github:repo:octo-org/octo-repo:environment:prod", "aud": "sts.amazonaws.com"},
		Tags:   []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}},
	}
	for _, c := range []struct {
		trust  string
		denied string
	}{
		{broker, "sts:TagSession"},
		{strings.ReplaceAll(broker, `"sts:AssumeRoleWithWebIdentity"`, `["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`), ""},
	} {
		inv := world{trust: c.trust, rules: allowRule("deploy", `{repository_id: "74"}`, "tags: {repository: repository}")}.inventory(t)
		found, _ := by(Run(inv, Options{}), "tag-session-missing")
		if result := iam.EvaluateWebIdentity(inv.Roles[0].Trust.Full, call); result.Denied != c.denied || (len(found) > 0) != (c.denied != "") {
			t.Errorf("%s: denied %q, found %+v", c.trust, result.Denied, found)
		}
	}

	const caller = "arn:aws:iam::111111111111:role/ci"
	for _, c := range []struct {
		rule, conditions string
		forged           bool
	}{
		{"tag-session-open", `{}`, true},
		{"chained-tags-not-pinned", `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}`, true},
		{"", `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]},"StringEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/team}"}}`, false},
	} {
		trust := statements(`{"Effect":"Allow","Principal":{"AWS":"` + caller + `"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":` + c.conditions + `}`)
		inv := inventoryOf(t, trust)
		for _, rule := range []string{"tag-session-open", "chained-tags-not-pinned"} {
			if found, _ := by(Run(inv, Options{}), rule); (len(found) > 0) != (rule == c.rule) {
				t.Errorf("%s on %s: %+v", rule, trust, found)
			}
		}
		request := iam.Request{
			Action: iam.ActionTagSession, Resource: deployARN, Principal: iam.RoleSession(caller, "ci", ""),
			Context: iam.NewContext(map[string][]string{"aws:PrincipalTag/team": {"a"}, "aws:RequestTag/team": {"admin"}, "aws:TagKeys": {"team"}}),
		}
		if got := inv.Roles[0].Trust.Full.Decide(request) == iam.Allow; got != c.forged {
			t.Errorf("%s: a forged tag is let in: %v", trust, got)
		}
	}
}

// FuzzDeadValues: where a rule says of the one value of sub that it lets nobody
// in, no token of the tests gets in.
func FuzzDeadValues(f *testing.F) {
	pieces := []string{
		"repo:", "Repo:", "project_path:", "organization:", "github.com/", "octo-org/octo-repo", "octo-org@65/octo-repo@74", "*", "?", ":ref:", ":Ref:", ":environment:",
		"refs/heads/", "Refs/Heads/", "main", "prod", ":pull_request", ":Pull_Request", "r*", "${aws:PrincipalTag/x}", "${aws:PrincipalTag/x, 'main'}", "${*}", ":", "evil",
		"ref_type:branch:ref:", "https://", "github:repo:",
	}
	operators := []string{"StringEquals", "StringLike", "StringEqualsIgnoreCase", "ForAnyValue:StringEquals", "ForAnyValue:StringLike", "ForAllValues:StringLike"}
	hosts := []string{github, github, github, "gitlab.com", "agent.buildkite.com"}
	keys := []string{"HOST:sub", "HOST:sub", "HOST:SUB", "token.action.githubusercontent.com:sub", "https://HOST:sub", "gitlab.com:sub"}
	tokens := append(own(), strangers()...)
	for seed := range 60 {
		f.Add([]byte{byte(seed), byte(seed * 7), byte(seed * 3), byte(seed), byte(seed * 11), byte(seed * 5), byte(seed * 13)})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 4 || len(data) > 14 {
			return
		}
		pick := func(i int, list []string) string { return list[int(data[i])%len(list)] }
		host, version := pick(1, hosts), "2012-10-17"
		if data[3]%5 == 0 {
			version = "2008-10-17"
		}
		value := ""
		for i := 4; i < len(data); i++ {
			value += pick(i, pieces)
		}
		document := strings.Replace(trustFor(host, fmt.Sprintf(`{%q:{%q:%q}}`, pick(0, operators), strings.ReplaceAll(pick(2, keys), "HOST", host), value)), "2012-10-17", version, 1)
		nodes, err := source.ParseJSON("trust.json", []byte(document))
		if err != nil {
			t.Skip()
		}
		trust := inventory.ParsePolicy(nodes[0])
		if trust.Full == nil {
			t.Skip()
		}
		inv := &inventory.Inventory{Roles: []inventory.Role{{Address: "role0", Trust: trust, IdentityOpen: true}}}
		for _, finding := range Run(inv, Options{}) {
			if !finding.Unknown && strings.HasSuffix(finding.Message, "lets nobody in") {
				if n := letIn(trust.Full, account, tokens); n > 0 {
					t.Errorf("%s: %s says %q, and %d tokens get in", document, finding.Rule, finding.Message, n)
				}
			}
		}
	})
}
