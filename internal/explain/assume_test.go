package explain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
)

const (
	roleA = "arn:aws:iam::111111111111:role/ci"
	roleB = "arn:aws:iam::111111111111:role/deploy"
	other = "arn:aws:iam::222222222222:role/deploy"
)

// trustRole is a trust policy for a role or an account.
func trustRole(principal, action, conditions string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": %q}, "Action": %s, "Condition": %s}]}`, principal, action, conditions)
}

// chained is a call of the session of roleA for roleB, with changes.
func chained(change func(*explain.AssumeRoleCall)) explain.AssumeRoleCall {
	c := explain.AssumeRoleCall{
		Caller: explain.Caller{Role: explain.Role{ARN: roleA, Tags: map[string]string{"team": "platform"}}, Name: "octo-repo-1",
			Tags: []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}, {Key: "env", Value: "prod"}}},
		Role: explain.Role{ARN: roleB}, SessionName: "deploy-1", MaxSession: 12 * time.Hour,
	}
	if change != nil {
		change(&c)
	}
	return c
}

// inheriting is chained, where the caller's session hands on a tag.
func inheriting(change func(*explain.AssumeRoleCall)) explain.AssumeRoleCall {
	c := chained(change)
	c.Caller.Transitive = []string{"repository"}
	return c
}

func documents(t testing.TB, texts ...string) []explain.Document {
	var all []explain.Document
	for i, text := range texts {
		all = append(all, explain.Document{Name: fmt.Sprintf("policy%d.json", i), Policy: parse(t, text)})
	}
	return all
}

// TestAssumeRole has one realistic example of each cause of a chained call, and
// asserts that the change that is proposed lets the caller in.
func TestAssumeRole(t *testing.T) {
	const assume, both = `"sts:AssumeRole"`, `["sts:AssumeRole", "sts:TagSession"]`
	pass := func(tags ...iam.Tag) func(*explain.AssumeRoleCall) {
		return func(c *explain.AssumeRoleCall) { c.Tags = tags }
	}
	project := iam.Tag{Key: "project", Value: "site"}
	for _, tt := range []struct {
		name       string
		trust      string
		call       explain.AssumeRoleCall
		identity   []string
		action     string // that is denied; empty: allowed
		kind       explain.Kind
		cause      string
		suggestion string
		caller     string
		byHand     bool
	}{
		{name: "named directly in its own account", trust: trustRole(roleA, assume, `{}`), call: chained(nil)},
		{name: "a session that is named", trust: trustRole("arn:aws:sts::111111111111:assumed-role/ci/octo-repo-1", assume, `{}`), call: chained(nil)},
		{name: "the caller's tag where a condition asks for it", trust: trustRole(roleA, assume, `{"StringEquals": {"aws:PrincipalTag/repository": "octo-org/octo-repo", "aws:PrincipalTag/team": "platform"}}`), call: chained(nil)},
		{name: "the passed tag is the caller's own", trust: trustRole(roleA, both, `{"StringEquals": {"aws:RequestTag/env": "${aws:PrincipalTag/env}"}}`), call: chained(pass(iam.Tag{Key: "env", Value: "prod"}))},

		{name: "the call passes no tag", trust: trustRole(roleA, both, `{"StringEquals": {"aws:RequestTag/project": "site"}}`), call: chained(nil),
			action: "sts:AssumeRole", kind: explain.Tags, cause: "session tag project to be \"site\", and the call passes no such tag", suggestion: "remove the condition", caller: "pass the tag project in the call"},
		{name: "the call passes no tag where the caller's own is expected", trust: trustRole(roleA, both, `{"StringEquals": {"aws:RequestTag/env": "${aws:PrincipalTag/env}"}}`), call: chained(nil),
			action: "sts:AssumeRole", kind: explain.Tags, cause: `to be "prod"`, suggestion: "remove", caller: "pass the tag env"},
		{name: "the call passes another value", trust: trustRole(roleA, both, `{"StringEquals": {"aws:RequestTag/env": "${aws:PrincipalTag/env}"}}`), call: chained(pass(iam.Tag{Key: "env", Value: "dev"})),
			action: "sts:AssumeRole", kind: explain.Tags, cause: `the call passes "dev"`, suggestion: `add "dev"`},
		{name: "the caller's session has not the tag", trust: trustRole(roleA, assume, `{"StringEquals": {"aws:PrincipalTag/environment": "prod"}}`), call: chained(nil),
			action: "sts:AssumeRole", kind: explain.SessionTag, cause: "the caller's session has no tag environment: it has env, repository", suggestion: "remove", caller: "give the session the tag environment"},
		{name: "the caller's session has not the tag of a variable", trust: trustRole(roleA, both, `{"StringEquals": {"aws:RequestTag/project": "${aws:PrincipalTag/project}"}}`), call: chained(pass(project)),
			action: "sts:AssumeRole", kind: explain.SessionTag, cause: "so ${aws:PrincipalTag/project} stands for nothing", suggestion: `add "site"`},
		{name: "tags without sts:TagSession", trust: trustRole(roleA, assume, `{}`), call: chained(pass(project)),
			action: "sts:TagSession", kind: explain.MissingTagSession, cause: "the call passes session tags (project)", suggestion: `add "sts:TagSession"`, caller: "send no tags"},
		{name: "a source identity that goes on without sts:SetSourceIdentity", trust: trustRole(roleA, assume, `{}`),
			call:   chained(func(c *explain.AssumeRoleCall) { c.Caller.SourceIdentity = "12" }),
			action: "sts:SetSourceIdentity", kind: explain.MissingSourceIdentity, cause: "source identity", suggestion: `add "sts:SetSourceIdentity"`},
		{name: "no external id", trust: trustRole(roleA, assume, `{"StringEquals": {"sts:ExternalId": "x1"}}`), call: chained(nil),
			action: "sts:AssumeRole", kind: explain.AbsentKey, cause: "external id", suggestion: "remove", caller: `pass the external id "x1"`},
		{name: "another role is trusted", trust: trustRole("arn:aws:iam::111111111111:role/release", assume, `{}`), call: chained(nil),
			action: "sts:AssumeRole", kind: explain.WrongPrincipal, cause: "does not name the caller", suggestion: roleA},
		{name: "the same role of another account", trust: trustRole("arn:aws:iam::333333333333:role/ci", assume, `{}`), call: chained(nil),
			action: "sts:AssumeRole", kind: explain.WrongPrincipal, cause: "the account 333333333333", suggestion: roleA},
		{name: "a role for web identities", trust: statement(provider, `"sts:AssumeRoleWithWebIdentity"`, `{}`), call: chained(nil),
			action: "sts:AssumeRole", kind: explain.WrongPrincipal, cause: "is for web identities", suggestion: "add a statement that allows sts:AssumeRole to " + roleA},
		{name: "an explicit deny", call: chained(nil), trust: `{"Version": "2012-10-17", "Statement": [
			{"Effect": "Allow", "Principal": {"AWS": "` + roleA + `"}, "Action": "sts:AssumeRole"},
			{"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Condition": {"StringNotEquals": {"aws:PrincipalTag/env": "dev"}}}]}`,
			action: "sts:AssumeRole", kind: explain.ExplicitDeny, cause: "denies it", suggestion: `add "prod"`},

		{name: "an account is trusted, and the caller may", trust: trustRole("arn:aws:iam::111111111111:root", assume, `{}`), call: chained(nil),
			identity: []string{`{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "` + roleB + `"}}`}},
		{name: "an account is trusted, and the caller has no policy", trust: trustRole("arn:aws:iam::111111111111:root", assume, `{}`), call: chained(nil),
			action: "sts:AssumeRole", kind: explain.CallerPolicy, cause: "none is given", suggestion: "attach a policy to " + roleA, caller: "--from-identity", byHand: true},
		{name: "an account is trusted, and the caller may do other things", trust: trustRole("arn:aws:iam::111111111111:root", assume, `{}`), call: chained(nil),
			identity: []string{`{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}`},
			action:   "sts:AssumeRole", kind: explain.CallerPolicy, cause: "allows sts:AssumeRole", suggestion: "add a statement that allows sts:AssumeRole on " + roleB},
		{name: "an account is trusted, and the caller may assume another role", trust: trustRole("arn:aws:iam::111111111111:root", assume, `{}`), call: chained(nil),
			identity: []string{`{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::111111111111:role/plan"}}`},
			action:   "sts:AssumeRole", kind: explain.WrongResource, cause: "role/plan", suggestion: roleB},
		{name: "a role of another account needs the caller's own policies too", trust: trustRole(roleA, assume, `{}`),
			call:   chained(func(c *explain.AssumeRoleCall) { c.Role.ARN = other }),
			action: "sts:AssumeRole", kind: explain.CallerPolicy, cause: "none is given", suggestion: other, byHand: true},
		{name: "the caller's own policy denies", trust: trustRole(roleA, assume, `{}`), call: chained(nil),
			identity: []string{`{"Statement": {"Effect": "Deny", "Action": "sts:*", "Resource": "*"}}`},
			action:   "sts:AssumeRole", kind: explain.ExplicitDeny, cause: "denies it", suggestion: "remove statement 0", byHand: true},
		{name: "one statement of the caller's own policy denies", trust: trustRole(roleA, assume, `{}`), call: chained(nil),
			identity: []string{`{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "sts:*", "Resource": "*"}]}`},
			action:   "sts:AssumeRole", kind: explain.ExplicitDeny, cause: "denies it", suggestion: "remove statement 1"},

		{name: "the caller's boundary", trust: trustRole(roleA, assume, `{}`), call: chained(func(c *explain.AssumeRoleCall) {
			c.Boundary = documents(t, `{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}`)
		}), action: "sts:AssumeRole", kind: explain.CallerPolicy, cause: "allows sts:AssumeRole", suggestion: "add a statement"},
		{name: "a boundary does not limit what the very session is given", trust: trustRole("arn:aws:sts::111111111111:assumed-role/ci/octo-repo-1", assume, `{}`), call: chained(func(c *explain.AssumeRoleCall) {
			c.Boundary = documents(t, `{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}`)
		})},

		{name: "a transitive tag goes on without sts:TagSession", trust: trustRole(roleA, assume, `{}`), call: inheriting(nil),
			action: "sts:TagSession", kind: explain.MissingTagSession, cause: "the caller's session hands on the tags (repository)", suggestion: `add "sts:TagSession"`},
		{name: "a transitive tag goes on", trust: trustRole(roleA, both, `{}`), call: inheriting(nil)},
		{name: "a transitive tag passed again", trust: trustRole(roleA, both, `{}`), call: inheriting(pass(iam.Tag{Key: "Repository", Value: "octo-org/octo-repo"})),
			action: "sts:AssumeRole", kind: explain.InheritedTag, cause: "cannot be passed again", suggestion: "leave the tag Repository out", byHand: true},
		{name: "a source identity that changes", trust: trustRole(roleA, assume, `{}`),
			call:   chained(func(c *explain.AssumeRoleCall) { c.Caller.SourceIdentity, c.SourceIdentity = "12", "13" }),
			action: "sts:AssumeRole", kind: explain.ChangedSourceIdentity, cause: "once set it cannot be changed", suggestion: "leave the source identity out", byHand: true},
		{name: "longer than an hour", trust: trustRole(roleA, assume, `{}`), call: chained(func(c *explain.AssumeRoleCall) { c.Duration = 2 * time.Hour }),
			action: "sts:AssumeRole", kind: explain.Session, cause: "at most 1h", suggestion: "1h", byHand: true},
		{name: "a user may go longer", trust: trustRole("arn:aws:iam::111111111111:user/octo", assume, `{}`), call: chained(func(c *explain.AssumeRoleCall) {
			c.Duration, c.Caller = 2*time.Hour, explain.Caller{Role: explain.Role{ARN: "arn:aws:iam::111111111111:user/octo"}}
		})},
		{name: "longer than the role", trust: trustRole("arn:aws:iam::111111111111:user/octo", assume, `{}`), call: chained(func(c *explain.AssumeRoleCall) {
			c.Duration, c.MaxSession, c.Caller = 2*time.Hour, time.Hour, explain.Caller{Role: explain.Role{ARN: "arn:aws:iam::111111111111:user/octo"}}
		}), action: "sts:AssumeRole", kind: explain.Session, cause: "MaxSessionDuration", suggestion: "at most 1h", byHand: true},
		{name: "a session name outside the limits", trust: trustRole(roleA, assume, `{}`), call: chained(func(c *explain.AssumeRoleCall) { c.SessionName = "a b" }),
			action: "sts:AssumeRole", kind: explain.SessionName, cause: "outside the limits", suggestion: "a-b", byHand: true},
		{name: "a transitive key without its tag", trust: trustRole(roleA, both, `{}`), call: chained(func(c *explain.AssumeRoleCall) { c.Transitive = []string{"x"} }),
			action: "sts:AssumeRole", kind: explain.Tags, cause: "passes no such tag", suggestion: "pass the tag x", byHand: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trust := parse(t, tt.trust)
			tt.call.Identity = documents(t, tt.identity...)
			x, _ := explain.AssumeRole(trust, tt.call)
			if tt.action == "" {
				if x.Decision != explain.Allowed {
					t.Fatalf("%s: %s: %s", x.Decision, x.Kind, x.Cause)
				}
				return
			}
			if x.Decision != explain.Denied || x.Action != tt.action || x.Kind != tt.kind {
				t.Fatalf("got %s %s, %s: %s", x.Decision, x.Action, x.Kind, x.Cause)
			}
			if !strings.Contains(x.Cause, tt.cause) || !strings.Contains(x.Suggestion, tt.suggestion) || !strings.Contains(x.CallerChange, tt.caller) {
				t.Errorf("got the cause %q, the change %q or %q", x.Cause, x.Suggestion, x.CallerChange)
			}
			if tt.byHand != (len(x.Edits) == 0) {
				t.Fatalf("edits %+v", x.Edits)
			}
			if tt.byHand {
				return
			}
			// The change lets the caller in: in the trust policy, or in the
			// caller's own where that denied.
			if x.Layer == explain.LayerBoundary {
				changed, err := explain.Apply(tt.call.Boundary[0].Policy, x.Edits)
				if err != nil {
					t.Fatal(err)
				}
				tt.call.Boundary[0].Policy = changed
			} else if x.Layer == explain.LayerIdentity {
				changed, err := explain.Apply(tt.call.Identity[0].Policy, x.Edits)
				if err != nil {
					t.Fatal(err)
				}
				tt.call.Identity[0].Policy = changed
			} else if changed, err := explain.Apply(trust, x.Edits); err != nil {
				t.Fatal(err)
			} else {
				trust = changed
			}
			if after, _ := explain.AssumeRole(trust, tt.call); after.Decision != explain.Allowed {
				t.Errorf("after %+v: %s: %s", x.Edits, after.Kind, after.Cause)
			}
		})
	}
}

// TestAssumedSession holds what goes on from one session to the next.
func TestAssumedSession(t *testing.T) {
	_, s := explain.AssumeRole(parse(t, trustRole(roleA, `"sts:*"`, `{}`)), inheriting(func(c *explain.AssumeRoleCall) {
		c.Tags, c.Caller.SourceIdentity = []iam.Tag{{Key: "project", Value: "site"}}, "12"
	}))
	got := fmt.Sprintf("%s %s %v %v %s", s.Role.ARN, s.Name, s.Tags, s.Transitive, s.SourceIdentity)
	if want := roleB + " deploy-1 [{project site} {repository octo-org/octo-repo}] [repository] 12"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
