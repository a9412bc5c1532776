package explain_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
)

const (
	github   = "token.actions.githubusercontent.com"
	provider = "arn:aws:iam::111111111111:oidc-provider/" + github
)

// trust is a trust policy with one statement for GitHub's provider.
func trust(conditions string) string {
	return statement(provider, `"sts:AssumeRoleWithWebIdentity"`, conditions)
}

func statement(federated, action, conditions string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Sid": "Deploy", "Effect": "Allow",
		"Principal": {"Federated": %q}, "Action": %s, "Condition": %s}]}`, federated, action, conditions)
}

// sub are the conditions that most trust policies have.
func sub(operator, value string) string {
	if operator == "StringEquals" {
		return fmt.Sprintf(`{"StringEquals": {"%s:aud": "sts.amazonaws.com", "%s:sub": %q}}`, github, github, value)
	}
	return fmt.Sprintf(`{"StringEquals": {"%s:aud": "sts.amazonaws.com"}, %q: {"%s:sub": %q}}`, github, operator, github, value)
}

func parse(t testing.TB, document string) *iam.Policy {
	t.Helper()
	p, err := iam.ParsePolicy([]byte(document))
	if err != nil {
		t.Fatalf("the test's policy: %v\n%s", err, document)
	}
	return p
}

// job is the call of a job on main, with changes; an empty value removes.
func job(changes map[string]any) iam.WebIdentityCall {
	claims := map[string]any{
		"iss": "https://" + github, "aud": "sts.amazonaws.com", "sub": "repo:octo-org/octo-repo:ref:refs/heads/main",
		"repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner": "octo-org", "repository_owner_id": "65",
		"ref": "refs/heads/main", "event_name": "push", "actor": "octocat", "actor_id": "12",
		"job_workflow_ref": "octo-org/octo-repo/.github/workflows/d.yml@refs/heads/main", "workflow": "deploy",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == "" })
	iss, _ := claims["iss"].(string)
	return iam.WebIdentityCall{Provider: provider, Issuer: iss, Claims: claims, RoleARN: "arn:aws:iam::111111111111:role/deploy", RoleSessionName: "octo-repo-1"}
}

func subject(s string) map[string]any { return map[string]any{"sub": s} }

// TestCauses has one realistic example of each cause, and asserts that the
// change that is proposed lets the caller in.
func TestCauses(t *testing.T) {
	withTags := job(nil)
	withTags.Tags = []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}, {Key: "env", Value: "prod"}}
	withIdentity := job(nil)
	withIdentity.SourceIdentity = "12"
	longName := job(nil)
	longName.RoleSessionName = strings.Repeat("a", 65)
	spaced := job(nil)
	spaced.RoleSessionName = "octo repo/1"
	main := trust(sub("StringEquals", "repo:octo-org/octo-repo:ref:refs/heads/main"))
	tagged := func(extra string) string {
		return statement(provider, `["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]`,
			fmt.Sprintf(`{"StringEquals": {"%s:sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}, %s}`, github, extra))
	}

	for _, tt := range []struct {
		name       string
		policy     string
		call       iam.WebIdentityCall
		kind       explain.Kind
		cause      string // a part of it
		suggestion string
		caller     string
		warns      bool
		byHand     bool // the change cannot be made mechanically
	}{
		{
			name: "environment where a branch was expected", policy: main,
			call: job(map[string]any{"sub": "repo:octo-org/octo-repo:environment:prod", "environment": "prod"}),
			kind: explain.EnvironmentSubject, cause: "environment: prod, so its subject names the environment and not the branch",
			suggestion: `"repo:octo-org/octo-repo:environment:prod"`, caller: "remove environment:", warns: true,
		},
		{
			name: "branch where an environment was expected", policy: trust(sub("StringEquals", "repo:octo-org/octo-repo:environment:prod")), call: job(nil),
			kind: explain.BranchSubject, cause: "this job has none", suggestion: "refs/heads/main", caller: "add environment: prod to the job", warns: true,
		},
		{
			name: "another branch", policy: main, call: job(subject("repo:octo-org/octo-repo:ref:refs/heads/dev")),
			kind: explain.BranchSubject, cause: "runs on refs/heads/dev", suggestion: "refs/heads/dev", caller: "refs/heads/main", warns: true,
		},
		{
			name: "another environment", policy: trust(sub("StringLike", "repo:octo-org/*:environment:prod")),
			call: job(subject("repo:octo-org/octo-repo:environment:staging")),
			kind: explain.EnvironmentSubject, cause: "staging", suggestion: "staging", caller: "prod", warns: true,
		},
		{
			name: "pull request", policy: main, call: job(subject("repo:octo-org/octo-repo:pull_request")),
			kind: explain.PullRequestSubject, cause: "pull request", suggestion: ":pull_request", caller: "on push", warns: true,
		},
		{
			name: "letter case", policy: trust(sub("StringEquals", "repo:Octo-Org/octo-repo:ref:refs/heads/main")), call: job(nil),
			kind: explain.LetterCase, cause: "case of letters", suggestion: `write "repo:octo-org/octo-repo:ref:refs/heads/main"`,
		},
		{
			name: "letter case of a pattern keeps the pattern", policy: trust(sub("StringLike", "repo:Octo-Org/octo-repo:*")), call: job(nil),
			kind: explain.LetterCase, cause: "case of letters", suggestion: `write "repo:octo-org/octo-repo:*"`, warns: true,
		},
		{
			name: "star under StringEquals", policy: trust(sub("StringEquals", "repo:octo-org/octo-repo:*")), call: job(nil),
			kind: explain.LiteralWildcard, cause: "literally", suggestion: "under StringLike", warns: true,
		},
		{
			name: "github.com in the subject", policy: trust(sub("StringLike", "repo:github.com/octo-org/octo-repo:*")), call: job(nil),
			kind: explain.HostInSubject, cause: "repo:OWNER/REPO", suggestion: `"repo:octo-org/octo-repo:*"`, warns: true,
		},
		{
			name: "names in the policy, ids in the token", policy: trust(sub("StringLike", "repo:octo-org/octo-repo:*")),
			call: job(subject("repo:octo-org@65/octo-repo@74:ref:refs/heads/main")),
			kind: explain.NamesForm, cause: "2026-07-15", suggestion: `add "repo:octo-org@65/octo-repo@74:*"`, warns: true,
		},
		{
			name: "ids in the policy, names in the token", policy: trust(sub("StringEquals", "repo:octo-org@65/octo-repo@74:ref:refs/heads/main")), call: job(nil),
			kind: explain.IDsForm, cause: "the one with names", suggestion: `add "repo:octo-org/octo-repo:ref:refs/heads/main"`, caller: "opt the repository in", warns: true,
		},
		{
			name: "a stint token's subject", policy: trust(sub("StringEquals", "repo:octo-org/octo-repo:ref:refs/heads/main")),
			call: job(subject("github:repo:octo-org/octo-repo:ref:refs/heads/main")),
			kind: explain.IssuerPrefix, cause: `begins with "github:"`, suggestion: `"github:repo:octo-org/octo-repo:ref:refs/heads/main"`,
		},
		{
			name: "wrong audience", policy: main, call: job(map[string]any{"aud": "https://github.com/octo-org"}),
			kind: explain.Audience, cause: `"https://github.com/octo-org"`, suggestion: "audiences of the provider", caller: `"sts.amazonaws.com"`, warns: true,
		},
		{
			name: "no audience in effect", policy: main, call: job(map[string]any{"aud": []any{"a", "b"}}),
			kind: explain.Audience, cause: "no audience", suggestion: `"sts.amazonaws.com"`, byHand: true,
		},
		{
			name:   "provider of another account",
			policy: statement("arn:aws:iam::222222222222:oidc-provider/"+github, `"sts:AssumeRoleWithWebIdentity"`, sub("StringEquals", "repo:octo-org/octo-repo:ref:refs/heads/main")),
			call:   job(nil), kind: explain.WrongProvider, cause: "account 222222222222", suggestion: "111111111111",
		},
		{
			name:   "provider of another host",
			policy: statement(provider+"/octo", `"sts:AssumeRoleWithWebIdentity"`, sub("StringEquals", "repo:octo-org/octo-repo:ref:refs/heads/main")),
			call:   job(nil), kind: explain.WrongProvider, cause: github + "/octo", suggestion: provider, caller: "the issuer that the role trusts", warns: true,
		},
		{
			name: "misspelt claim", policy: trust(`{"StringEquals": {"` + github + `:repositry": "octo-org/octo-repo"}}`), call: job(nil),
			kind: explain.MisspeltKey, cause: "does not exist", suggestion: github + ":repository",
		},
		{
			name: "misspelt claim with another value", policy: trust(`{"StringEquals": {"` + github + `:repositry": "octo-org/other"}}`), call: job(nil),
			kind: explain.MisspeltKey, cause: "does not exist", suggestion: `add "octo-org/octo-repo"`, warns: true,
		},
		{
			name: "misspelt host", policy: trust(`{"StringEquals": {"token.action.githubusercontent.com:sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}}`), call: job(nil),
			kind: explain.MisspeltKey, cause: "does not exist", suggestion: github + ":sub",
		},
		{
			name: "host of another issuer", policy: trust(`{"StringEquals": {"gitlab.com:sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}}`), call: job(nil),
			kind: explain.MisspeltKey, cause: "another issuer", suggestion: github + ":sub",
		},
		{
			name: "a claim that is no key", policy: trust(`{"StringEquals": {"` + github + `:event_name": "push"}}`), call: job(nil),
			kind: explain.UnknownKey, cause: "no condition key of the claim event_name", suggestion: "remove the condition", warns: true,
		},
		{
			name: "a claim that is no key and has one like it", policy: trust(`{"StringEquals": {"` + github + `:repository_owner": "octo-org"}}`), call: job(nil),
			kind: explain.UnknownKey, cause: "repository_owner", suggestion: `repository_owner_id for "65"`,
		},
		{
			name: "a key that the job does not carry", policy: trust(`{"StringEquals": {"` + github + `:environment": "prod"}}`), call: job(nil),
			kind: explain.AbsentKey, cause: "no environment", suggestion: "remove the condition", caller: "add environment:", warns: true,
		},
		{
			name: "tags without sts:TagSession", policy: main, call: withTags,
			kind: explain.MissingTagSession, cause: "repository, env", suggestion: `"sts:TagSession"`, caller: "send no tags", warns: true,
		},
		{
			name: "source identity without sts:SetSourceIdentity", policy: main, call: withIdentity,
			kind: explain.MissingSourceIdentity, cause: "source identity", suggestion: `"sts:SetSourceIdentity"`, caller: "send no", warns: true,
		},
		{
			name: "the caller's own tags where there is no AWS caller yet", policy: tagged(`"StringLike": {"aws:PrincipalTag/env": "prod"}`), call: withTags,
			kind: explain.AbsentKey, cause: "a tag that the token carries is aws:RequestTag", suggestion: "test aws:RequestTag/env instead",
		},
		{
			name: "another tag's value", policy: tagged(`"StringLike": {"aws:RequestTag/env": "staging"}`), call: withTags,
			kind: explain.Tags, cause: `and the token carries "prod"`, suggestion: `"prod"`, warns: true,
		},
		{
			name: "a tag too many", policy: tagged(`"ForAllValues:StringEquals": {"aws:TagKeys": ["repository"]}`), call: withTags,
			kind: explain.Tags, cause: "env", suggestion: "add env", caller: "send no tag env", warns: true,
		},
		{
			name: "a tag that is not sent", policy: tagged(`"StringLike": {"aws:RequestTag/team": "*"}`), call: withTags,
			kind: explain.Tags, cause: "no such tag", suggestion: "remove", caller: "send the tag team", warns: true,
		},
		{
			name: "explicit deny",
			policy: `{"Version": "2012-10-17", "Statement": [
				{"Effect": "Allow", "Principal": {"Federated": "` + provider + `"}, "Action": "sts:AssumeRoleWithWebIdentity"},
				{"Sid": "OnlyIds", "Effect": "Deny", "Principal": "*", "Action": "*", "Condition": {"StringNotEquals": {"` + github + `:repository_id": ["75", "76"]}}}]}`,
			call: job(nil), kind: explain.ExplicitDeny, cause: "statement 1 (OnlyIds) denies", suggestion: `add "74"`, warns: true,
		},
		{
			name: "excluded by a negated operator", policy: trust(`{"StringNotLike": {"` + github + `:ref": ["refs/tags/*", "refs/heads/*"]}}`), call: job(nil),
			kind: explain.Other, cause: "excludes", suggestion: "refs/heads/*", warns: true,
		},
		{
			name: "session name too long", policy: main, call: longName,
			kind: explain.SessionName, cause: "65 characters", suggestion: strings.Repeat("a", 64), byHand: true,
		},
		{
			name: "session name with characters that STS refuses", policy: main, call: spaced,
			kind: explain.SessionName, cause: "octo repo/1", suggestion: "octo-repo-1", byHand: true,
		},
		{
			name: "another claim", policy: trust(`{"StringEquals": {"` + github + `:actor_id": "13"}}`), call: job(nil),
			kind: explain.Other, cause: "actor_id", suggestion: `"12"`, warns: true,
		},
		{
			name: "a number", policy: trust(`{"NumericLessThan": {"` + github + `:actor_id": "3"}}`), call: job(nil),
			kind: explain.Other, cause: "NumericLessThan", suggestion: "remove", warns: true,
		},
		{
			name: "a token for other roles", policy: main, call: job(map[string]any{"https://aws.amazon.com/roles": []any{"arn:aws:iam::111111111111:role/plan"}}),
			kind: explain.RoleNotNamed, cause: "role/plan", suggestion: "for this role", byHand: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, tt.policy)
			x := explain.WebIdentity(p, tt.call)
			if x.Decision != explain.Denied || x.Kind != tt.kind {
				t.Fatalf("got %s, %s: %s; want denied, %s", x.Decision, x.Kind, x.Cause, tt.kind)
			}
			for _, want := range []struct{ of, got, part string }{
				{"cause", x.Cause, tt.cause}, {"suggestion", x.Suggestion, tt.suggestion}, {"change of the caller", x.CallerChange, tt.caller},
			} {
				if !strings.Contains(want.got, want.part) {
					t.Errorf("%s: got %q, want %q in it", want.of, want.got, want.part)
				}
			}
			if (x.Warning != "") != tt.warns {
				t.Errorf("warning: got %q, want one: %v", x.Warning, tt.warns)
			}
			if tt.byHand {
				if x.Edits != nil {
					t.Errorf("edits: got %v, want none", x.Edits)
				}
				return
			}
			letsIn(t, p, x, tt.call)
		})
	}
}

// letsIn asserts that the edits make the policy let the caller in.
func letsIn(t testing.TB, p *iam.Policy, x explain.Explanation, call iam.WebIdentityCall) {
	t.Helper()
	if len(x.Edits) == 0 {
		t.Fatalf("no edits for %s: %s", x.Kind, x.Suggestion)
	}
	changed, err := explain.Apply(p, x.Edits)
	if err != nil {
		t.Fatalf("applying %+v: %v", x.Edits, err)
	}
	if r := iam.EvaluateWebIdentity(changed, call); !r.Allowed {
		t.Fatalf("after %+v the caller is still denied %s", x.Edits, r.Denied)
	}
}

// TestNarrowChange asserts that a change without a warning lets nobody else in.
func TestNarrowChange(t *testing.T) {
	p := parse(t, trust(sub("StringLike", "repo:github.com/octo-org/octo-repo:*")))
	x := explain.WebIdentity(p, job(nil))
	changed, err := explain.Apply(p, x.Edits)
	if err != nil {
		t.Fatal(err)
	}
	if iam.EvaluateWebIdentity(changed, job(subject("repo:octo-org/other:ref:refs/heads/main"))).Allowed {
		t.Error("the change lets another repository in")
	}
}

func TestSeveralCauses(t *testing.T) {
	p := parse(t, trust(sub("StringEquals", "repo:octo-org/octo-repo:environment:prod")))
	call := job(map[string]any{"aud": "other"})
	call.Tags = []iam.Tag{{Key: "env", Value: "prod"}}
	x := explain.WebIdentity(p, call)
	for _, want := range []string{"audience", "environment", "sts:TagSession"} {
		if !strings.Contains(x.Cause, want) {
			t.Errorf("cause: got %q, want %q in it", x.Cause, want)
		}
	}
	if len(x.Steps) != 3 || x.CallerChange == "" {
		t.Errorf("got %d steps and the change of the caller %q, want 3 and one", len(x.Steps), x.CallerChange)
	}
	letsIn(t, p, x, call)
}

// TestClosest has two statements, of which the second is the caller's.
func TestClosest(t *testing.T) {
	one := `{"Effect": "Allow", "Principal": {"Federated": "` + provider + `"}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"` + github + `:sub": "repo:octo-org/%s:ref:refs/heads/main"}}}`
	p := parse(t, `{"Version": "2012-10-17", "Statement": [`+fmt.Sprintf(one, "another")+","+fmt.Sprintf(one, "octo-repo")+`]}`)
	x := explain.WebIdentity(p, job(subject("repo:octo-org/octo-repo:pull_request")))
	if x.Closest != 1 {
		t.Errorf("closest: got %d, want 1", x.Closest)
	}
}

func TestAllowed(t *testing.T) {
	x := explain.WebIdentity(parse(t, trust(sub("StringEquals", "repo:octo-org/octo-repo:ref:refs/heads/main"))), job(nil))
	if x.Decision != explain.Allowed || x.Closest != 0 || x.Suggestion != "" {
		t.Errorf("got %+v", x)
	}
}

func TestIssuerIsNotTheProviders(t *testing.T) {
	call := job(map[string]any{"iss": "https://gitlab.com"})
	x := explain.WebIdentity(parse(t, trust(`{}`)), call)
	if x.Decision != explain.Denied || x.Kind != explain.WrongProvider || x.Edits != nil {
		t.Errorf("got %s, %s, %v", x.Decision, x.Kind, x.Edits)
	}
}

func TestNothingAllows(t *testing.T) {
	x := explain.WebIdentity(parse(t, `{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": {"AWS": "111111111111"}, "Action": "*"}]}`), job(nil))
	if x.Decision != explain.Denied || x.Closest != -1 || x.Cause == "" {
		t.Errorf("got %+v", x)
	}
}

func TestProvider(t *testing.T) {
	p := parse(t, trust(`{}`))
	for _, tt := range []struct{ role, issuer, want string }{
		{"", "https://" + github, provider},
		{"", "https://" + github + "/octo", provider + "/octo"},
		{"arn:aws-cn:iam::333333333333:role/x", "https://" + github, "arn:aws-cn:iam::333333333333:oidc-provider/" + github},
	} {
		if got := explain.Provider(p, tt.role, tt.issuer); got != tt.want {
			t.Errorf("Provider(%q, %q): got %s, want %s", tt.role, tt.issuer, got, tt.want)
		}
	}
}

func TestProviderUnknown(t *testing.T) {
	p := parse(t, `{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "*"}]}`)
	if got := explain.Provider(p, "", "https://"+github); got != "" {
		t.Errorf("got %s, want none: nothing says which account it is", got)
	}
}

func TestReadToken(t *testing.T) {
	const claims = `{"https://aws.amazon.com/tags": {"principal_tags": {"b": ["2"]}, "transitive_tag_keys": ["b"]},
		"https://aws.amazon.com/tags/principal_tags/a": "1", "https://aws.amazon.com/source_identity": "12", "https://aws.amazon.com/roles": "x;y"}`
	var m map[string]any
	if err := json.Unmarshal([]byte(claims), &m); err != nil {
		t.Fatal(err)
	}
	c, err := explain.ReadToken(m)
	if got := fmt.Sprintf("%v %v", c, err); got != "{[{a 1} {b 2}] [b] 12 [x y] true} <nil>" {
		t.Errorf("got %s", got)
	}
	for _, bad := range []string{
		`{"https://aws.amazon.com/tags": 1}`, `{"https://aws.amazon.com/tags": {"principal_tags": []}}`,
		`{"https://aws.amazon.com/tags": {"principal_tags": {"a": "1"}}}`, `{"https://aws.amazon.com/tags": {"transitive_tag_keys": [1]}}`,
		`{"https://aws.amazon.com/tags/principal_tags/a": 1}`, `{"https://aws.amazon.com/tags/transitive_tag_keys": "a"}`,
		`{"https://aws.amazon.com/source_identity": 12}`,
	} {
		m = nil
		if err := json.Unmarshal([]byte(bad), &m); err != nil {
			t.Fatal(err)
		}
		if _, err := explain.ReadToken(m); err == nil {
			t.Errorf("%s: expected an error", bad)
		}
	}
}

func TestTooLong(t *testing.T) {
	if _, refused := explain.TooLong(time.Hour, time.Hour); refused {
		t.Error("an hour fits into an hour")
	}
	if x, refused := explain.TooLong(2*time.Hour, time.Hour); !refused || x.Decision != explain.Denied {
		t.Errorf("got %+v, want a denial", x)
	}
}

func TestApplyRefuses(t *testing.T) {
	p := parse(t, trust(`{"StringEquals": {"aws:SourceIp": "1"}}`))
	for _, e := range []explain.Edit{
		{Op: explain.AddValue, Statement: 1}, {Op: explain.AddValue, Statement: -1}, {Op: explain.AddValue, Operator: "Bool", Key: "x"},
		{Op: explain.RemoveValue, Operator: "StringEquals", Key: "aws:SourceIp", From: "2"}, {Op: "unknown", Operator: "StringEquals", Key: "aws:SourceIp"},
		{Op: explain.SetOperator, Operator: "StringEquals", Key: "aws:SourceIp", To: "StringIs"},
	} {
		if _, err := explain.Apply(p, []explain.Edit{e}); err == nil {
			t.Errorf("%+v: expected an error", e)
		}
	}
}
