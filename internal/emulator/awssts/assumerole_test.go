package awssts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/stint-dev/stint/internal/emulator/awssts"
	"github.com/stint-dev/stint/internal/emulator/organization"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/roles"
)

// detail is a role of get-account-authorization-details.
func detail(arn, trust, identity, more string) string {
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	inline := "[]"
	if identity != "" {
		inline = fmt.Sprintf(`[{"PolicyName":"inline","PolicyDocument":%s}]`, identity)
	}
	return fmt.Sprintf(`{"Arn":%q,"RoleName":%q,"RoleId":"AROA%017s","AssumeRolePolicyDocument":%s,"RolePolicyList":%s,"AttachedManagedPolicies":[]%s}`,
		arn, name, strings.ToUpper(name), trust, inline, more)
}

func trustAWS(principal, actions, conditions string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":[%s],"Condition":{%s}}]}`, principal, actions, conditions)
}

func allow(actions, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[%s],"Resource":%q}]}`, actions, resource)
}

const (
	one       = "arn:aws:iam::111111111111:role/one"
	chain     = `"sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"`
	elsewhere = "arn:aws:iam::222222222222:role/"
	here      = "arn:aws:iam::111111111111:role/"
)

// chainedRoles are those that the role one assumes, or tries to.
func chainedRoles(t *testing.T) *roles.Set {
	t.Helper()
	web := policy(everyAction, "")
	all := []string{
		detail(one, web, allow(chain, "arn:aws:iam::*:role/*"), `,"Tags":[{"Key":"own","Value":"one"}]`),
		detail(here+"bare", web, "", ""),
		detail(here+"target", trustAWS(one, chain, ""), "", `,"MaxSessionDuration":7200`),
		detail(here+"account", trustAWS("arn:aws:iam::111111111111:root", chain, ""), "", ""),
		detail(elsewhere+"target", trustAWS("111111111111", chain, ""), allow(chain, "*"), `,"Tags":[{"Key":"team","Value":"core"}]`),
		detail(elsewhere+"short", trustAWS(one, chain, ""), "", ""),
		detail(elsewhere+"untagged", trustAWS(one, `"sts:AssumeRole"`, ""), "", ""),
		detail(elsewhere+"pinned", trustAWS(one, chain, `"StringEquals":{"aws:RequestTag/repository":"${aws:PrincipalTag/repository}"}`), "", ""),
		detail(elsewhere+"external", trustAWS(one, chain, `"StringEquals":{"sts:ExternalId":"stint-prod"}`), "", ""),
		detail(elsewhere+"organized", trustAWS("*", chain, `"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"},"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"}`), "", ""),
		detail(elsewhere+"foreign", trustAWS("*", chain, `"StringEquals":{"aws:PrincipalOrgID":"o-0000000000"}`), "", ""),
		detail(elsewhere+"chained", trustAWS(elsewhere+"target", chain, `"StringEquals":{"aws:PrincipalTag/repository":"octo-org/octo-repo"}`), "", ""),
	}
	inv := inventory.LoadFS(fstest.MapFS{"account.json": &fstest.MapFile{Data: []byte(`{"RoleDetailList":[` + strings.Join(all, ",") + `]}`)}})
	set, _, err := roles.FromInventory(inv, "")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const orgFile = `id: o-a1b2c3d4e5
accounts:
  - {id: "111111111111", name: ci, path: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/}
  - {id: "222222222222", name: prod, path: o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/}
`

func chainWorld(t *testing.T) *world {
	t.Helper()
	org, err := organization.Parse("org.yaml", []byte(orgFile))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *awssts.Config) { c.Roles, c.Organization = chainedRoles(t), org })
	w.clock.now = time.Now() // the SDK signs with the machine's clock
	return w
}

// first is the session of a role that a token made, with a transitive tag, one
// that is not, and a source identity.
func (w *world) first(role string) *types.Credentials {
	w.Helper()
	token := w.sign("ES256", set(w.claims(), "https://aws.amazon.com/tags", map[string]any{
		"principal_tags": map[string]any{"repository": []string{"octo-org/octo-repo"}, "sha": []string{"abc"}}, "transitive_tag_keys": []string{"repository"},
	}, "https://aws.amazon.com/source_identity", "octocat"))
	out, err := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &w.url, Credentials: aws.AnonymousCredentials{}}).AssumeRoleWithWebIdentity(context.Background(),
		&sts.AssumeRoleWithWebIdentityInput{RoleArn: &role, RoleSessionName: aws.String("job"), WebIdentityToken: &token})
	if err != nil {
		w.Fatal(err)
	}
	return out.Credentials
}

func (w *world) as(c *types.Credentials) *sts.Client {
	return sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &w.url, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)})
}

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

// TestAssumeRole: the policies of both sides, and what the service refuses
// before it asks any.
func TestAssumeRole(t *testing.T) {
	w := chainWorld(t)
	from := map[string]*types.Credentials{"one": w.first(one), "bare": w.first(here + "bare")}
	for _, c := range []struct {
		name   string
		from   string
		in     sts.AssumeRoleInput
		status int // 0: allowed
		code   string
		says   string
	}{
		{"the same account, named", "bare", sts.AssumeRoleInput{RoleArn: aws.String(here + "target")}, 403, "AccessDenied", "User: arn:aws:sts::111111111111:assumed-role/bare/job is not authorized to perform: sts:AssumeRole on resource: " + here + "target"},
		{"the same account, the caller named", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target")}, 0, "", ""},
		{"the same account, by its root", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "account")}, 0, "", ""},
		{"the same account, by its root, without a policy", "bare", sts.AssumeRoleInput{RoleArn: aws.String(here + "account")}, 403, "AccessDenied", "sts:AssumeRole"},
		{"across accounts", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "target")}, 0, "", ""},
		{"across accounts without a policy", "bare", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "target")}, 403, "AccessDenied", "sts:AssumeRole on resource: " + elsewhere + "target"},
		{"a role that does not exist", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "nobody")}, 403, "AccessDenied", "is not authorized to perform: sts:AssumeRole"},
		{"no sts:TagSession for an inherited tag", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "untagged")}, 403, "AccessDenied", "perform: sts:TagSession"},
		{"a pinned tag", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "pinned")}, 403, "AccessDenied", "sts:AssumeRole"},
		{"an inherited tag again", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "pinned"), Tags: []types.Tag{tag("Repository", "octo-org/octo-repo")}}, 400, "InvalidParameterValue", "conflicts with a transitive tag key from the calling session"},
		{"an external id", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "external"), ExternalId: aws.String("stint-prod")}, 0, "", ""},
		{"no external id", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "external")}, 403, "AccessDenied", ""},
		{"the organization", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "organized")}, 0, "", ""},
		{"another organization", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "foreign")}, 403, "AccessDenied", ""},
		{"two hours of a chained session", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), DurationSeconds: aws.Int32(7200)}, 400, "ValidationError", "exceeds the 1 hour session limit for roles assumed by role chaining."},
		{"longer than the role's", "one", sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "short"), DurationSeconds: aws.Int32(7200)}, 400, "ValidationError", "exceeds the MaxSessionDuration set for this role."},
		{"shorter than allowed", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), DurationSeconds: aws.Int32(60)}, 400, "ValidationError", "Value '60' at 'durationSeconds'"},
		{"the source identity again", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), SourceIdentity: aws.String("octocat")}, 0, "", ""},
		{"another source identity", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), SourceIdentity: aws.String("mallory")}, 400, "ValidationError", "The source identity is already set for this assume role session"},
		{"a tag twice", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), Tags: []types.Tag{tag("a", "1"), tag("A", "2")}}, 400, "ValidationError", "Duplicate tag keys found"},
		{"a reserved tag", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), Tags: []types.Tag{tag("aws:x", "1")}}, 400, "ValidationError", "reserved"},
		{"a tag with other characters", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), Tags: []types.Tag{tag("a", "b*")}}, 400, "ValidationError", "at 'tags.1.member.value'"},
		{"a transitive key that is no tag", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), TransitiveTagKeys: []string{"x"}}, 400, "InvalidParameterValue", "must be included in the requested tags"},
		{"too many tags", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), Tags: slices.Repeat([]types.Tag{tag("k", "v")}, 51)}, 400, "ValidationError", "'[51 members]' at 'tags'"},
		{"a session policy that is none", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), Policy: aws.String("{")}, 400, "MalformedPolicyDocument", ""},
		{"an external id that is none", "one", sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), ExternalId: aws.String("a b")}, 400, "ValidationError", "at 'externalId'"},
		{"no ARN", "one", sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111111111111:user/somebody")}, 400, "ValidationError", "Request ARN is invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.RoleSessionName = aws.String("next")
			out, err := w.as(from[c.from]).AssumeRole(t.Context(), &c.in)
			var api smithy.APIError
			var resp *awshttp.ResponseError
			switch d := w.in(t).last(); {
			case c.status == 0 && err != nil:
				t.Fatalf("denied: %v (%s)", err, d.Detail)
			case c.status == 0:
				if !d.Allowed || d.Operation != "AssumeRole" || d.Caller == nil || d.Caller.ARN != "arn:aws:sts::111111111111:assumed-role/"+c.from+"/job" || d.AccessKeyID != *out.Credentials.AccessKeyId {
					t.Errorf("told %+v", d)
				}
			case err == nil:
				t.Fatal("allowed")
			case !errors.As(err, &api) || !errors.As(err, &resp) || api.ErrorCode() != c.code || resp.HTTPStatusCode() != c.status || !strings.Contains(api.ErrorMessage(), c.says):
				t.Errorf("found %v, want %d %s %q", err, c.status, c.code, c.says)
			case d.Allowed || d.Code != c.code:
				t.Errorf("told %+v", d)
			}
		})
	}
}

// TestChainOfTwo: what a session hands on, over two hops.
func TestChainOfTwo(t *testing.T) {
	w := chainWorld(t)
	second, err := w.as(w.first(one)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "target"), RoleSessionName: aws.String("second"),
		Tags: []types.Tag{tag("stage", "prod")}})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(second.SourceIdentity) != "octocat" || aws.ToInt32(second.SessionTokenSize) <= 1000 {
		t.Errorf("found %+v", second)
	}
	if d := w.last(); len(d.IncomingTags) != 1 || d.IncomingTags[0].Key != "repository" || len(d.Tags) != 1 {
		t.Errorf("told %+v", d)
	}
	third, err := w.as(second.Credentials).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "chained"), RoleSessionName: aws.String("third")})
	if err != nil {
		t.Fatalf("%v (%s)", err, w.last().Detail)
	}
	session, ok := w.sts.(*awssts.STS).Session(*third.Credentials.AccessKeyId)
	if !ok {
		t.Fatal("the session is not known")
	}
	c := session.Caller
	if value, _ := c.Tag("repository"); value != "octo-org/octo-repo" || c.SourceIdentity != "octocat" || c.OrgID != "o-a1b2c3d4e5" || c.SessionName != "third" {
		t.Errorf("the third session: %+v", c)
	}
	for _, gone := range []string{"sha", "stage", "own"} {
		if _, has := c.Tag(gone); has {
			t.Errorf("the tag %s was handed on", gone)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", session, session, session, session); strings.Contains(text, session.SecretAccessKey) || strings.Contains(text, session.SessionToken) {
		t.Error("a session shows its secrets")
	}

	w.clock.Add(61 * time.Minute)
	if _, err := w.as(third.Credentials).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(one), RoleSessionName: aws.String("late")}); err == nil || !strings.Contains(err.Error(), "ExpiredToken") {
		t.Errorf("with an ended session: %v", err)
	}
}

// TestSessionPolicyLimits: a session policy takes sts:AssumeRole away.
func TestSessionPolicyLimits(t *testing.T) {
	w := chainWorld(t)
	limited := func(policy *string, arns []types.PolicyDescriptorType) error {
		next, err := w.as(w.first(one)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "target"), RoleSessionName: aws.String("second"), Policy: policy, PolicyArns: arns})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.as(next.Credentials).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "chained"), RoleSessionName: aws.String("third")})
		return err
	}
	if err := limited(nil, nil); err != nil {
		t.Errorf("without a session policy: %v", err)
	}
	if err := limited(aws.String(allow(chain, "*")), nil); err != nil {
		t.Errorf("with one that allows it: %v", err)
	}
	if err := limited(aws.String(allow(`"s3:*"`, "*")), nil); err == nil {
		t.Error("a session policy that does not allow it limits nothing")
	}
	if err := limited(nil, []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")}}); err == nil {
		t.Error("a managed session policy of which nothing is known allows everything")
	}
}

// TestNewSession: the session of a program that runs in the account.
func TestNewSession(t *testing.T) {
	w := chainWorld(t)
	service := w.sts.(*awssts.STS)
	n, err := service.NewSession(one, "broker", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	creds := &types.Credentials{AccessKeyId: &n.AccessKeyID, SecretAccessKey: &n.SecretAccessKey, SessionToken: &n.SessionToken}
	if _, err := w.as(creds).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(here + "target"), RoleSessionName: aws.String("job"),
		Tags: []types.Tag{tag("repository", "octo-org/octo-repo")}, SourceIdentity: aws.String("octocat")}); err != nil {
		t.Errorf("%v (%s)", err, w.last().Detail)
	}
	if _, err := service.NewSession(here+"nobody", "broker", time.Hour); err == nil {
		t.Error("a session of a role that does not exist")
	}
}
