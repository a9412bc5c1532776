package explain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/rules"
)

const object = "arn:aws:s3:::site/octo-org/octo-repo/index.html"

// own is the identity policy of attribute-based access control.
func own(conditions string) string {
	return `{"Version": "2012-10-17", "Statement": [{"Sid": "Own", "Effect": "Allow", "Action": "s3:PutObject",
		"Resource": "arn:aws:s3:::site/${aws:PrincipalTag/repository}/*", "Condition": ` + conditions + `}]}`
}

func bucket(principal, action, resource string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": %q}, "Action": %q, "Resource": %q}]}`, principal, action, resource)
}

// TestAction has the situations in which a session is denied what it asks for,
// and asserts that the change that is proposed lets it through.
func TestAction(t *testing.T) {
	const all = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}`
	const none = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}]}`
	prod := `{"StringEquals": {"aws:PrincipalTag/env": "prod"}}`
	for _, tt := range []struct {
		name       string
		access     explain.Access
		identity   []string
		boundary   string
		session    string
		resource   string
		layer      string // that denies; empty: allowed
		kind       explain.Kind
		cause      string
		suggestion string
		caller     string
		byHand     bool
	}{
		{name: "its own folder", identity: []string{own(prod)}},
		{name: "one of several policies allows", identity: []string{none, own(prod)}},
		{name: "the bucket alone allows, in one account", resource: bucket(roleA, "s3:PutObject", "arn:aws:s3:::site/*")},
		{name: "the session is named by the bucket, whatever the boundary", boundary: none, resource: bucket("arn:aws:sts::111111111111:assumed-role/ci/octo-repo-1", "s3:*", "arn:aws:s3:::site/*")},
		{name: "both sides, across accounts", access: explain.Access{ResourceAccount: "222222222222"}, identity: []string{all}, resource: bucket(roleA, "s3:*", "arn:aws:s3:::site/*")},
		{name: "a bucket that leaves it to the account", identity: []string{all}, resource: bucket("arn:aws:iam::111111111111:root", "s3:*", "arn:aws:s3:::site/*")},
		{name: "a bucket that leaves it to the account, and nobody there", resource: bucket("arn:aws:iam::111111111111:root", "s3:*", "arn:aws:s3:::site/*"), identity: []string{none},
			layer: "identity", kind: explain.NoAllow, cause: "no statement of policy0.json", suggestion: "add a statement"},
		{name: "a bucket that leaves it to the account, and no other policy", resource: bucket("arn:aws:iam::111111111111:root", "s3:*", "arn:aws:s3:::site/*"),
			layer: "identity", kind: explain.NoAllow, cause: "no identity policy of", suggestion: "attach", byHand: true},
		{name: "a bucket alone that is for another role", resource: bucket(roleB, "s3:*", "arn:aws:s3:::site/*"),
			layer: "resource", kind: explain.WrongPrincipal, cause: "does not name the caller", suggestion: roleA},
		{name: "a key without its policy", access: explain.Access{Action: "kms:Decrypt", Resource: "arn:aws:kms:eu-central-1:111111111111:key/1"}, identity: []string{strings.Replace(all, "s3:", "kms:", 1)},
			layer: "resource", kind: explain.NoAllow, cause: "is a key, whose own policy", suggestion: "kms:Decrypt", caller: "--resource-policy", byHand: true},
		{name: "a key that leaves it to the account", access: explain.Access{Action: "kms:Decrypt", Resource: "arn:aws:kms:eu-central-1:111111111111:key/1"}, identity: []string{strings.Replace(all, "s3:", "kms:", 1)}, resource: bucket("arn:aws:iam::111111111111:root", "kms:*", "*")},
		{name: "all layers", identity: []string{all}, boundary: all, session: all, resource: bucket(roleA, "s3:*", "arn:aws:s3:::site/*")},

		{name: "no policy", layer: "identity", kind: explain.NoAllow, cause: "no identity policy of " + roleA, suggestion: "attach a policy", byHand: true},
		{name: "another repository's folder", access: explain.Access{Resource: "arn:aws:s3:::site/octo-org/other/x"}, identity: []string{own(`{}`)},
			layer: "identity", kind: explain.WrongResource, cause: "is arn:aws:s3:::site/octo-org/octo-repo/* for this session", suggestion: "octo-org/other/x", caller: "what the session's tags give"},
		{name: "a tag that the session has not, in the Resource", identity: []string{strings.ReplaceAll(own(`{}`), "repository", "project")},
			layer: "identity", kind: explain.SessionTag, cause: "the session has no tag project: it has env, repository, so ${aws:PrincipalTag/project} stands for nothing", suggestion: object, caller: "give the session the tag project"},
		{name: "a tag that the session has not, in a condition", identity: []string{own(`{"StringEquals": {"aws:PrincipalTag/environment": "prod"}}`)},
			layer: "identity", kind: explain.SessionTag, cause: "the session has no tag environment", suggestion: "remove the condition"},
		{name: "a tag of another value", identity: []string{own(`{"StringEquals": {"aws:PrincipalTag/env": "staging"}}`)},
			layer: "identity", kind: explain.Other, cause: `aws:PrincipalTag/env is "prod"`, suggestion: `add "prod"`},
		{name: "a variable against the resource's tag", identity: []string{own(`{"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/env}"}}`)}, access: explain.Access{Context: map[string][]string{"aws:ResourceTag/team": {"web"}}},
			layer: "identity", kind: explain.Other, cause: `aws:ResourceTag/team is "web", and the policy expects "prod"`, suggestion: `add "web"`},
		{name: "a key that the request may have", identity: []string{own(`{"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}`)},
			layer: "identity", kind: explain.AbsentKey, cause: "as far as it is given, has no aws:SourceIp", suggestion: "remove", caller: "--context aws:SourceIp=VALUE"},
		{name: "that key, given", identity: []string{own(`{"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}`)}, access: explain.Access{Context: map[string][]string{"aws:SourceIp": {"192.0.2.7"}}}},
		{name: "another action", access: explain.Access{Action: "s3:DeleteObject"}, identity: []string{own(`{}`)},
			layer: "identity", kind: explain.MissingAction, cause: "does not allow s3:DeleteObject", suggestion: `add "s3:DeleteObject"`},
		{name: "nothing about it", access: explain.Access{Action: "sqs:SendMessage", Resource: "arn:aws:sqs:eu-central-1:111111111111:jobs"}, identity: []string{own(`{}`)},
			layer: "identity", kind: explain.NoAllow, cause: "no statement of policy0.json allows sqs:SendMessage", suggestion: "add a statement"},
		{name: "the bucket and not what is in it", identity: []string{`{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::site"}]}`},
			layer: "identity", kind: explain.WrongResource, cause: "site itself is not what is in it", suggestion: object},
		{name: "what is in it and not the bucket", access: explain.Access{Action: "s3:ListBucket", Resource: "arn:aws:s3:::site"}, identity: []string{`{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::site/*"}]}`},
			layer: "identity", kind: explain.WrongResource, cause: "is not it itself", suggestion: `add "arn:aws:s3:::site"`},
		{name: "letter case of the resource", identity: []string{`{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::site/Octo-Org/*"}]}`},
			layer: "identity", kind: explain.LetterCase, cause: "case of letters", suggestion: object},
		{name: "an explicit deny", identity: []string{all, `{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:Put*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:PrincipalTag/env": "release"}}}]}`},
			layer: "identity", kind: explain.ExplicitDeny, cause: "denies it", suggestion: `add "prod"`},
		{name: "the boundary", identity: []string{all}, boundary: none,
			layer: "boundary", kind: explain.NoAllow, cause: "no statement of boundary.json", suggestion: "add a statement"},
		{name: "the session policy", identity: []string{all}, session: own(`{"StringEquals": {"aws:PrincipalTag/env": "dev"}}`),
			layer: "session", kind: explain.Other, cause: `aws:PrincipalTag/env is "prod"`, suggestion: `add "prod"`},
		{name: "the bucket of another account says nothing", access: explain.Access{ResourceAccount: "222222222222"}, identity: []string{all},
			layer: "resource", kind: explain.NoAllow, cause: "another account", suggestion: "allow s3:PutObject to " + roleA, caller: "--resource-policy", byHand: true},
		{name: "the bucket of another account names another role", access: explain.Access{ResourceAccount: "222222222222"}, identity: []string{all}, resource: bucket(roleB, "s3:PutObject", "arn:aws:s3:::site/*"),
			layer: "resource", kind: explain.WrongPrincipal, cause: "does not name the caller, " + roleA, suggestion: roleA},
		{name: "the bucket of another account is not enough", access: explain.Access{ResourceAccount: "222222222222"}, identity: []string{none}, resource: bucket(roleA, "s3:PutObject", "arn:aws:s3:::site/*"),
			layer: "identity", kind: explain.NoAllow, cause: "no statement of policy0.json allows s3:PutObject", suggestion: "add a statement"},
		{name: "two layers one after the other", identity: []string{own(`{"StringEquals": {"aws:PrincipalTag/env": "dev"}}`)}, boundary: own(`{"StringEquals": {"aws:PrincipalTag/env": "test"}}`),
			layer: "identity", kind: explain.Other, cause: "; and then ", suggestion: `add "prod"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := tt.access
			a.Session = chained(nil).Caller
			if a.Action == "" {
				a.Action = "s3:PutObject"
			}
			if a.Resource == "" {
				a.Resource = object
			}
			a.Identity = documents(t, tt.identity...)
			for name, d := range map[string]struct {
				text string
				into *[]explain.Document
			}{"boundary": {tt.boundary, &a.Boundary}, "session": {tt.session, &a.SessionPolicies}, "resource": {tt.resource, &a.ResourcePolicy}} {
				if d.text != "" {
					*d.into = []explain.Document{{Name: name + ".json", Policy: parse(t, d.text)}}
				}
			}
			x := explain.Action(a)
			if tt.layer == "" {
				if x.Decision != explain.Allowed || x.Closest < 0 || x.Cause == "" {
					t.Fatalf("%s: %s: %s", x.Decision, x.Kind, x.Cause)
				}
				return
			}
			if x.Decision != explain.Denied || x.Layer != tt.layer || x.Kind != tt.kind {
				t.Fatalf("got %s by %s, %s: %s", x.Decision, x.Layer, x.Kind, x.Cause)
			}
			if !strings.Contains(x.Cause, tt.cause) || !strings.Contains(x.Suggestion, tt.suggestion) || !strings.Contains(x.CallerChange, tt.caller) {
				t.Errorf("got the cause %q, the change %q or %q", x.Cause, x.Suggestion, x.CallerChange)
			}
			if tt.byHand != (len(x.Edits) == 0) {
				t.Fatalf("edits %+v", x.Edits)
			}
			for _, into := range []*[]explain.Document{&a.Identity, &a.Boundary, &a.SessionPolicies, &a.ResourcePolicy} {
				for i, d := range *into {
					edits := slices.DeleteFunc(slices.Clone(x.Edits), func(e explain.Edit) bool { return e.Policy != d.Name })
					p, err := explain.Apply(d.Policy, edits)
					if err != nil {
						t.Fatal(err)
					}
					(*into)[i].Policy = p
				}
			}
			if after := explain.Action(a); !tt.byHand && after.Decision != explain.Allowed {
				t.Errorf("after %+v: by %s, %s: %s", x.Edits, after.Layer, after.Kind, after.Cause)
			}
		})
	}
}

// TestActionShowsVariables: a variable's value is shown, and what stands in the
// policy beside it.
func TestActionShowsVariables(t *testing.T) {
	x := explain.Action(explain.Access{Session: chained(nil).Caller, Action: "s3:PutObject", Resource: object,
		Identity: documents(t, own(`{"StringEquals": {"aws:PrincipalTag/env": "${aws:PrincipalTag/repository}", "aws:PrincipalTag/repository": "octo-org/octo-repo"}}`))})
	var got []string
	for _, c := range x.Statements[x.Closest].Conditions {
		got = append(got, fmt.Sprintf("%s %v %v %v", c.Key, c.Expected, c.Written, c.Actual))
	}
	want := []string{
		"Action [s3:PutObject] [] [s3:PutObject]",
		"Resource [arn:aws:s3:::site/octo-org/octo-repo/*] [arn:aws:s3:::site/${aws:PrincipalTag/repository}/*] [" + object + "]",
		"aws:PrincipalTag/env [octo-org/octo-repo] [${aws:PrincipalTag/repository}] [prod]",
		"aws:PrincipalTag/repository [octo-org/octo-repo] [] [octo-org/octo-repo]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestWhyNoTag: where a tag is not in the session, it is said on which step of
// the way it was lost.
func TestWhyNoTag(t *testing.T) {
	cfg, err := config.Parse("stint.yaml", []byte(strings.Replace(brokerConfig, "tags: {repository: repository}", "tags: {repository: repository, branch: base_ref}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	payload := job(map[string]any{"aud": "https://stint.example.com", "environment": "prod", "run_id": "1", "sub": "repo:octo-org/octo-repo:environment:prod"}).Claims
	_, d := explain.Rules(cfg, set, payload, rules.Request{})
	g, ok := d.Grant()
	if !ok {
		t.Fatal(d.Detail)
	}
	call := iam.WebIdentityCall{Tags: []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}, {Key: "env", Value: "prod"}}, TransitiveTagKeys: []string{"repository"}, RoleSessionName: "x"}
	token := explain.TokenSession(explain.Role{ARN: roleA}, call)
	_, next := explain.AssumeRole(parse(t, trustRole(roleA, `"sts:*"`, `{}`)), chained(func(c *explain.AssumeRoleCall) { c.Caller = token }))
	for _, tt := range []struct {
		session         explain.Caller
		tag, cause, fix string
	}{
		{token, "project", "the token carries env, repository", "have the issuer put the tag project into the token"},
		{token.Given(cfg, g), "environment", "the rule deploy gives env, repository", "write environment: environment under the tags of the rule deploy"},
		{token.Given(cfg, g), "project", "the rule deploy gives", "write project: CLAIM under the tags"},
		{token.Given(cfg, g), "branch", "the rule deploy makes it of the claim base_ref, which the job's token does not have", "run the job where its token has the claim base_ref"},
		{next, "env", "the session of ci had env = prod, and only transitive tags go on", "make the tag env transitive"},
		{next, "project", "the call passed none", "pass the tag project in the call of sts:AssumeRole"},
		{explain.Caller{Role: explain.Role{ARN: roleA}, Name: "x"}, "project", "it has no tags", "give the session the tag project"},
	} {
		x := explain.Action(explain.Access{Session: tt.session, Action: "s3:PutObject", Resource: object,
			Identity: documents(t, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalTag/`+tt.tag+`": "x"}}}]}`)})
		if x.Kind != explain.SessionTag || !strings.Contains(x.Cause, "the session has no tag "+tt.tag+": ") || !strings.Contains(x.Cause, tt.cause) || !strings.Contains(x.CallerChange, tt.fix) {
			t.Errorf("%s: got %s: %q, %q", tt.tag, x.Kind, x.Cause, x.CallerChange)
		}
	}
}
