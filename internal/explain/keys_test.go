package explain_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
)

// TestKeys has condition keys that do not exist: what they were to be, whom the
// change lets in, and that no condition goes where one could be mended.
func TestKeys(t *testing.T) {
	on := func(operator, key, value string) string {
		return trust(fmt.Sprintf(`{"StringEquals": {"%s:aud": "sts.amazonaws.com"}, %q: {%q: %q}}`, github, operator, key, value))
	}
	one := func(key, value string) string { return on("StringLike", github+":"+key, value) }
	equals := func(key, value string) string {
		return trust(fmt.Sprintf(`{"StringEquals": {"%s:aud": "sts.amazonaws.com", "%s:%s": %q}}`, github, github, key, value))
	}
	stranger := map[string]any{"repository_owner": "evil", "repository_owner_id": "666"}
	for _, tt := range []struct {
		name, policy string
		claims       map[string]any
		kind         explain.Kind
		suggestion   string
		warning      string // empty: none
	}{
		{"an owner's name", equals("repository_owner", "octo-org"), nil, explain.UnknownKey, `repository_owner_id for "65"`, ""},
		{"another owner's name", equals("repository_owner", "octo-org"), stranger, explain.UnknownKey, `repository_owner_id for "666"`, "whom the policy does not name"},
		{"an owner's name misspelt", equals("repository_ower", "octo-org"), nil, explain.MisspeltKey, `repository_owner_id for "65"`, ""},
		{"another owner's name misspelt", equals("repository_ower", "octo-org"), stranger, explain.MisspeltKey, `"666"`, "whom the policy does not name"},
		{"a workflow", equals("workflow_ref", "octo-org/octo-repo/.github/workflows/d.yml@refs/heads/main"), nil, explain.UnknownKey, "job_workflow_ref", ""},
		{"another workflow", equals("workflow_ref", "octo-org/octo-repo/.github/workflows/d.yml@refs/heads/main"),
			map[string]any{"job_workflow_ref": "evil/x/.github/workflows/x.yml@refs/heads/main"}, explain.UnknownKey, "job_workflow_ref", "whom the policy does not name"},
		{"the value says which key", equals("repo", "octo-org/octo-repo"), nil, explain.MisspeltKey, github + ":repository instead", ""},
		{"a subject in full", one("subject", "repo:octo-org/octo-repo:*"), nil, explain.MisspeltKey, github + ":sub instead", ""},
		{"an audience in full", trust(fmt.Sprintf(`{"StringEquals": {"%s:audience": "sts.amazonaws.com"}, "StringLike": {"%s:sub": "repo:octo-org/octo-repo:*"}}`, github, github)), nil, explain.MisspeltKey, github + ":aud instead", ""},
		{"an environment cut short", equals("env", "prod"), map[string]any{"environment": "prod"}, explain.MisspeltKey, github + ":environment instead", ""},
		{"no issuer", on("StringLike", "sub", "repo:octo-org/octo-repo:*"), nil, explain.MisspeltKey, github + ":sub instead of sub", ""},
		{"an owner's id", equals("owner_id", "65"), nil, explain.MisspeltKey, github + ":repository_owner_id instead", ""},
		{"a reusable workflow", one("job_workflow", "octo-org/octo-repo/.github/workflows/d.yml@*"), nil, explain.MisspeltKey, github + ":job_workflow_ref instead", ""},
		{"a subject in full of another repository", one("subject", "repo:octo-org/other:*"), nil, explain.MisspeltKey, `add "repo:octo-org/octo-repo:`, "another repository"},
		{"a misspelt host beside the right one", trust(fmt.Sprintf(`{"StringEquals": {"%s:sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "token.action.githubusercontent.com:sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}}`, github)),
			nil, explain.MisspeltKey, "stands beside it", ""},
		{"a claim that keeps anybody out alone", one("event_name", "push"), nil, explain.UnknownKey, "remove", "every job of every repository whose token is of token.actions.githubusercontent.com gets in, strangers' too"},
		{"a claim beside a subject", trust(fmt.Sprintf(`{"StringEquals": {"%s:sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "%s:event_name": "push"}}`, github, github)),
			nil, explain.UnknownKey, "remove", "who meets the others"},
		{"a pattern for everything under a misspelt key", one("subject", "*"), nil, explain.MisspeltKey, github + ":sub instead", "every job of every repository"},
		{"a pattern for everything beside another", trust(fmt.Sprintf(`{"StringEquals": {"%s:sub": ["repo:octo-org/octo-repo:*", "repo:*"]}}`, github)), nil, explain.LiteralWildcard, "under StringLike", "every job of every repository"},
		{"a number where the subject stands", trust(fmt.Sprintf(`{"NumericEquals": {"%s:sub": "1"}}`, github)), nil, explain.Other, "remove", "every job of every repository whose token is of token.actions.githubusercontent.com gets in, strangers' too"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, call := parse(t, tt.policy), job(tt.claims)
			x := explain.WebIdentity(p, call)
			if x.Kind != tt.kind || !strings.Contains(x.Suggestion, tt.suggestion) {
				t.Errorf("got %s: %s", x.Kind, x.Suggestion)
			}
			if tt.warning == "" && x.Warning != "" && !strings.Contains(x.Warning, "lets in everything that it matches") || !strings.Contains(x.Warning, tt.warning) {
				t.Errorf("got the warning %q, want %q", x.Warning, tt.warning)
			}
			letsIn(t, p, x, call)
			changed, err := explain.Apply(p, x.Edits)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range changed.Statements[0].Conditions {
				if strings.HasSuffix(c.Key, ":repository_owner_id") && strings.Contains(strings.Join(c.Values.Strings(), " "), "octo-org") {
					t.Errorf("a name is left among the ids: %v", c.Values.Strings())
				}
			}
		})
	}
}

// TestFederatedIsNoProvider asserts that the principal is told as the cause
// where it can mean no provider.
func TestFederatedIsNoProvider(t *testing.T) {
	conditions := sub("StringEquals", "repo:octo-org/octo-repo:ref:refs/heads/main")
	for _, federated := range []string{
		"arn:aws:iam::11111111111:oidc-provider/" + github, "arn:aws:iam::<ACCOUNT_ID>:oidc-provider/" + github,
		"arn:aws:iam::${AWS_ACCOUNT_ID}:oidc-provider/" + github, github,
		"arn:aws:iam::111111111111:oidc-provider/https://" + github, "arn:aws:iam::111111111111:oidc-provider:" + github,
	} {
		for _, c := range []string{conditions, `{}`} {
			p, call := parse(t, statement(federated, `"sts:AssumeRoleWithWebIdentity"`, c)), job(nil)
			for _, role := range []string{"", call.RoleARN} {
				call.RoleARN = role
				call.Provider = explain.Provider(p, role, call.Issuer)
				x := explain.WebIdentity(p, call)
				if x.Decision != explain.Denied || x.Kind != explain.WrongProvider || !strings.Contains(x.Cause, "is no ARN of a provider") || len(x.Steps) > 0 {
					t.Errorf("%s, role %q: %s, %s: %s", federated, role, x.Decision, x.Kind, x.Cause)
				}
				if x.Edits != nil {
					letsIn(t, p, x, call)
				} else if role != "" {
					t.Errorf("%s: no change, and the account is known", federated)
				}
			}
		}
	}
}

// TestProvidersHost has the issuer's host in other letters, and with a slash.
func TestProvidersHost(t *testing.T) {
	for _, host := range []string{"Token.actions.githubusercontent.com", github + "/"} {
		p, call := parse(t, statement("arn:aws:iam::111111111111:oidc-provider/"+host, `"sts:AssumeRoleWithWebIdentity"`, `{}`)), job(nil)
		x := explain.WebIdentity(p, call)
		if x.Kind != explain.WrongProvider || !strings.Contains(x.Cause, "letters and slashes count") || x.CallerChange != "" {
			t.Errorf("%s: %s: %s; %s", host, x.Kind, x.Cause, x.CallerChange)
		}
		letsIn(t, p, x, call)
	}
}

// TestOneSession has a trust policy that names one session of the caller's role.
func TestOneSession(t *testing.T) {
	trust := parse(t, trustRole("arn:aws:sts::111111111111:assumed-role/ci/gha", `"sts:AssumeRole"`, `{}`))
	for _, tt := range []struct{ name, suggestion, warning string }{
		{"", roleA, `and not only "gha"`},
		{"other", "assumed-role/ci/other", "chosen by whoever makes it"},
	} {
		call := chained(func(c *explain.AssumeRoleCall) { c.Caller.Name, c.Caller.Role.ARN = tt.name, roleA })
		x, _ := explain.AssumeRole(trust, call)
		if x.Decision != explain.Denied || !strings.Contains(x.Suggestion, tt.suggestion) || !strings.Contains(x.Warning, tt.warning) || !strings.Contains(x.CallerChange, `"gha"`) {
			t.Errorf("session %q: %s; %s; %s; %s", tt.name, x.Cause, x.Suggestion, x.Warning, x.CallerChange)
		}
		changed, err := explain.Apply(trust, x.Edits)
		if err != nil {
			t.Fatal(err)
		}
		if !iam.EvaluateAssumeRole(changed, iam.AssumeRoleCall{Caller: iam.Caller{ARN: roleA, SessionName: tt.name}, RoleARN: roleB, RoleSessionName: "x1"}).Allowed {
			t.Errorf("session %q: still denied after %+v", tt.name, x.Edits)
		}
	}
}

// TestRoleAsPrincipal asserts that whom a role as a principal lets in is said.
func TestRoleAsPrincipal(t *testing.T) {
	x, _ := explain.AssumeRole(parse(t, trustRole("arn:aws:iam::111111111111:role/release", `"sts:AssumeRole"`, `{}`)), chained(nil))
	if !strings.Contains(x.Warning, "every session of "+roleA) {
		t.Errorf("got the warning %q", x.Warning)
	}
}

// TestOwnIssuer: a broker signs for its own jobs only, so no stranger is named.
func TestOwnIssuer(t *testing.T) {
	const host = "stint.example.com"
	p, err := iam.ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/` + host + `"},
		"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + host + `:aud":"pool"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	x := explain.WebIdentity(p, iam.WebIdentityCall{
		Provider: "arn:aws:iam::111111111111:oidc-provider/" + host, Issuer: "https://" + host, RoleARN: "arn:aws:iam::111111111111:role/pool", RoleSessionName: "ci",
		Claims: map[string]any{"iss": "https://" + host, "aud": "pool", "sub": "eu-central-1:1"}, Tags: []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}},
	})
	if x.Decision != explain.Denied || !strings.Contains(x.Warning, "everybody gets in to whom "+host+" gives a token for it") {
		t.Errorf("found %s, warning %q", x.Decision, x.Warning)
	}
}
