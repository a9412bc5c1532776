package explain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
)

// guarded is a trust policy that lets in a subject, with more statements.
func guarded(version, subject string, statements ...string) string {
	return fmt.Sprintf(`{%s"Statement": [{"Effect": "Allow", "Principal": {"Federated": %q}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringEquals": {"%s:sub": %q}}}, %s]}`, version, provider, github, subject, strings.Join(statements, ", "))
}

func denying(action, condition string) string {
	return fmt.Sprintf(`{"Effect": "Deny", "Principal": "*", "Action": %q, "Condition": %s}`, action, condition)
}

// TestDenies has statements that deny: why they do, and what would be in the
// way after them.
func TestDenies(t *testing.T) {
	const (
		current = `"Version": "2012-10-17", `
		main    = "repo:octo-org/octo-repo:ref:refs/heads/main"
		dev     = "repo:octo-org/octo-repo:ref:refs/heads/dev"
	)
	noEnvironment := denying("*", `{"StringNotEquals": {"`+github+`:environment": "prod"}}`)
	tagged := job(nil)
	tagged.Tags = []iam.Tag{{Key: "env", Value: "prod"}}
	for _, tt := range []struct {
		name, policy          string
		call                  iam.WebIdentityCall
		kinds                 []explain.Kind
		cause, change, caller string
		byHand                bool
	}{
		{"an environment is asked for", guarded(current, main, noEnvironment), job(nil), []explain.Kind{explain.ExplicitDeny}, "the job has no environment", "remove statement 1", "let the policy allow the subject that it then has", false},
		{"an environment that the policy allows too", guarded(current, main, `{"Effect": "Allow", "Principal": {"Federated": "`+provider+`"}, "Action": "*", "Condition": {"StringLike": {"`+github+`:sub": "repo:octo-org/octo-repo:environment:*"}}}`, noEnvironment),
			job(nil), []explain.Kind{explain.ExplicitDeny}, "the job has no environment", "remove statement 2", "add environment: prod to the job in the workflow", false},
		{"a claim that is no key", guarded(current, main, denying("*", `{"StringNotEquals": {"`+github+`:event_name": "push"}}`)), job(nil), []explain.Kind{explain.ExplicitDeny}, "no condition key of the claim event_name", "remove statement 1", "", false},
		{"a misspelt host", guarded(current, main, denying("*", `{"StringNotLike": {"token.action.githubusercontent.com:sub": "repo:octo-org/*"}}`)), job(nil), []explain.Kind{explain.ExplicitDeny}, "does not exist", "write " + github + ":sub instead", "", false},
		{"a tag that is not sent", guarded(current, main, denying("*", `{"StringNotEquals": {"aws:RequestTag/env": "prod"}}`)), job(nil), []explain.Kind{explain.ExplicitDeny}, "no session tag env", "remove", `send the tag env with the token, with the value "prod", and let the policy allow sts:TagSession`, false},
		{"and no allow for this branch", guarded(current, dev, noEnvironment), job(nil), []explain.Kind{explain.ExplicitDeny, explain.BranchSubject}, "the job runs on refs/heads/main", "and add", "", false},
		{"and another deny", guarded(current, main, noEnvironment, denying("*", `{"StringLike": {"`+github+`:ref": "refs/heads/*"}}`)), job(nil), []explain.Kind{explain.ExplicitDeny, explain.ExplicitDeny}, "statement 2 denies", "remove statement 1; and remove statement 2", "", false},
		{"tags are denied, and allowed by none", guarded(current, main, `{"Effect": "Deny", "Principal": "*", "Action": "sts:TagSession"}`), tagged, []explain.Kind{explain.ExplicitDeny, explain.MissingTagSession}, "no statement allows sts:TagSession", "remove statement 1; and add", "", false},
		{"nothing allows", `{"Version": "2012-10-17", "Statement": ` + denying("*", `{"StringNotLike": {"`+github+`:sub": "repo:octo-org/other:*"}}`) + `}`, job(nil), []explain.Kind{explain.ExplicitDeny, explain.Other}, "no statement that allows anything", "add a statement", "", true},
		{"a variable without a version", guarded("", main, denying("*", `{"StringNotEquals": {"`+github+`:repository_owner_id": "${`+github+`:repository_owner_id}"}}`)), job(nil), []explain.Kind{explain.ExplicitDeny}, "taken literally", `"Version": "2012-10-17"`, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(t, tt.policy)
			x := explain.WebIdentity(p, tt.call)
			var kinds []explain.Kind
			for _, s := range steps(x) {
				kinds = append(kinds, s.Kind)
			}
			if !slices.Equal(kinds, tt.kinds) || !strings.Contains(x.Cause, tt.cause) || !strings.Contains(x.Suggestion, tt.change) || !strings.Contains(steps(x)[0].CallerChange, tt.caller) {
				t.Errorf("got %v: %s\n%s\n%s", kinds, x.Cause, x.Suggestion, x.CallerChange)
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

// TestVersion asserts that ${...} in a policy that knows no variables is told
// as the cause, in conditions and in resources.
func TestVersion(t *testing.T) {
	p := parse(t, `{"Statement": [{"Effect": "Allow", "Principal": {"Federated": "`+provider+`"}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringLike": {"`+github+`:sub": "repo:${`+github+`:repository}:*"}}}]}`)
	x := explain.WebIdentity(p, job(nil))
	if !strings.Contains(x.Cause, "taken literally") || len(x.Steps) > 0 {
		t.Errorf("got %s", x.Cause)
	}
	letsIn(t, p, x, job(nil))

	for _, tt := range []struct {
		tag   string
		steps int
	}{{"repository", 1}, {"team", 2}} {
		x := explain.Action(explain.Access{
			Session: explain.Caller{Role: explain.Role{ARN: roleA}, Name: "s1", Tags: []iam.Tag{{Key: tt.tag, Value: "octo-org/octo-repo"}}},
			Action:  "s3:PutObject", Resource: "arn:aws:s3:::site/octo-org/octo-repo/a",
			Identity: documents(t, `{"Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::site/${aws:PrincipalTag/repository}/*"}}`),
		})
		if got := steps(x); len(got) != tt.steps || !strings.Contains(got[0].Cause, "taken literally") || len(x.Edits) == 0 {
			t.Errorf("with the tag %s: %d causes: %s; edits %v", tt.tag, len(got), x.Cause, x.Edits)
		}
	}
}

// TestKeyOfAToken has a key of the token in the policy of a session.
func TestKeyOfAToken(t *testing.T) {
	for _, tt := range []struct {
		tag   string
		steps int
	}{{"repository", 1}, {"team", 2}} {
		a := explain.Access{
			Session: explain.Caller{Role: explain.Role{ARN: roleA}, Name: "s1", Tags: []iam.Tag{{Key: tt.tag, Value: "octo-org/octo-repo"}}},
			Action:  "s3:PutObject", Resource: "arn:aws:s3:::site/a",
			Identity: documents(t, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*",
				"Condition": {"StringEquals": {"`+github+`:repository": "octo-org/octo-repo"}}}}`),
		}
		x := explain.Action(a)
		got := steps(x)
		if len(got) != tt.steps || !strings.Contains(got[0].Cause, "a session never has it") || !strings.Contains(got[0].Suggestion, "aws:PrincipalTag/repository") {
			t.Errorf("with the tag %s: %d causes: %s; %s", tt.tag, len(got), x.Cause, x.Suggestion)
		}
		changed, err := explain.Apply(a.Identity[0].Policy, x.Edits)
		if err != nil || len(x.Edits) == 0 {
			t.Fatalf("%v: %v", x.Edits, err)
		}
		a.Identity[0].Policy = changed
		if after := explain.Action(a); after.Decision != explain.Allowed {
			t.Errorf("after %v: %s", x.Edits, after.Cause)
		}
	}
}

// TestClosestInAnyCase has two statements, of which the second differs in the
// case of letters only.
func TestClosestInAnyCase(t *testing.T) {
	one := `{"Effect": "Allow", "Principal": {"Federated": "` + provider + `"}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringLike": {"` + github + `:sub": %q}}}`
	p := parse(t, `{"Version": "2012-10-17", "Statement": [`+fmt.Sprintf(one, "repo:other/x:*")+","+fmt.Sprintf(one, "repo:Octo-Org/octo-repo:ref:refs/heads/main")+`]}`)
	if x := explain.WebIdentity(p, job(nil)); x.Closest != 1 || x.Kind != explain.LetterCase {
		t.Errorf("got statement %d, %s: %s", x.Closest, x.Kind, x.Cause)
	}
}

// TestCallerCanDoIt asserts that what the caller is told to do can be done.
func TestCallerCanDoIt(t *testing.T) {
	call := job(nil)
	x := explain.WebIdentity(parse(t, trust(`{"StringLike": {"sts:RoleSessionName": "gha-*"}}`)), call)
	if !strings.Contains(x.CallerChange, `a session name that matches "gha-*"`) {
		t.Errorf("got %q", x.CallerChange)
	}
	x = explain.WebIdentity(parse(t, trust(`{"StringEquals": {"`+github+`:sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "`+github+`:environment": "prod"}}`)), call)
	if !strings.Contains(x.CallerChange, "let the policy allow the subject that it then has") {
		t.Errorf("an environment beside the subject of a branch: got %q", x.CallerChange)
	}
	x = explain.WebIdentity(parse(t, trust(`{"StringEquals": {"`+github+`:ref": "refs/heads/main", "`+github+`:environment": "prod"}}`)), call)
	if x.CallerChange != "add environment: prod to the job in the workflow" {
		t.Errorf("an environment beside a branch: got %q", x.CallerChange)
	}
	for action, want := range map[string]string{`"sts:AssumeRoleWithWebIdentity"`: "let the policy allow sts:TagSession", `"sts:*"`: "send the tag env with the token"} {
		x = explain.WebIdentity(parse(t, statement(provider, action, `{"StringEquals": {"aws:RequestTag/env": "prod"}}`)), call)
		if !strings.HasSuffix(strings.TrimSuffix(x.CallerChange, " for it"), want) {
			t.Errorf("a tag where %s is allowed: got %q", action, x.CallerChange)
		}
	}
	x = explain.WebIdentity(parse(t, trust(sub("StringLike", "repo:octo-org/octo-repo:ref:refs/pull/*/merge"))), job(subject("repo:octo-org/octo-repo:pull_request")))
	if x.CallerChange != "" {
		t.Errorf("a pull request's branch has no other event: got %q", x.CallerChange)
	}
	y, _ := explain.AssumeRole(parse(t, trustRole(roleA, `"sts:AssumeRole"`, `{}`)), chained(func(c *explain.AssumeRoleCall) { c.Caller.SourceIdentity = "alice" }))
	if y.Kind != explain.MissingSourceIdentity || y.CallerChange != "" || !strings.Contains(y.Cause, "goes on by itself") {
		t.Errorf("a source identity that goes on: %s; %q", y.Cause, y.CallerChange)
	}
}

// TestChainedDeny has a deny for sessions without a tag.
func TestChainedDeny(t *testing.T) {
	p := parse(t, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "`+roleA+`"}, "Action": "sts:AssumeRole"},
		{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole", "Condition": {"Null": {"aws:PrincipalTag/team": "true"}}}]}`)
	x, _ := explain.AssumeRole(p, chained(func(c *explain.AssumeRoleCall) { c.Caller.Role.Tags = nil }))
	if x.Kind != explain.ExplicitDeny || !strings.Contains(x.Cause, "has no tag team") || !strings.Contains(x.CallerChange, "the tag team") {
		t.Errorf("got %s: %s; %s", x.Kind, x.Cause, x.CallerChange)
	}
}
