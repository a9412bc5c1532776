package roles_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/roles"
)

const template = `AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Provider:
    Type: AWS::IAM::OIDCProvider
    Properties: {Url: https://stint.example.com, ClientIdList: [sts.amazonaws.com]}
  Deploy:
    Type: AWS::IAM::Role
    Properties:
      Path: /ci/
      MaxSessionDuration: 7200
      Tags: [{Key: team, Value: core}]
      ManagedPolicyArns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
      PermissionsBoundary: arn:aws:iam::aws:policy/PowerUserAccess
      Policies:
        - PolicyName: chain
          PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: !Sub "arn:aws:iam::${AWS::AccountId}:role/next"}]}
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Federated: !Ref Provider}
            Action: sts:AssumeRoleWithWebIdentity
`

func fromFiles(files map[string]string, account string) (*roles.Set, []string, error) {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return roles.FromInventory(inventory.LoadFS(fsys), account)
}

// TestTemplate: a template's role as it is once it is deployed.
func TestTemplate(t *testing.T) {
	set, warnings, err := fromFiles(map[string]string{"roles.yaml": template}, "222222222222")
	if err != nil {
		t.Fatal(err)
	}
	r, ok := set.Get("arn:aws:iam::222222222222:role/ci/Deploy")
	if !ok {
		t.Fatalf("found %+v", set.All())
	}
	if r.Name != "Deploy" || r.Path != "/ci/" || r.AccountID != "222222222222" || r.Tags["team"] != "core" || r.MaxSessionDuration != 2*time.Hour || len(r.ID) != 21 {
		t.Errorf("found %+v", r)
	}
	if p := r.Trust.Statements[0].Principal.Federated; len(p) != 1 || p[0].Text != "arn:aws:iam::222222222222:oidc-provider/stint.example.com" {
		t.Errorf("trusted is %+v", p)
	}
	if len(r.Identity) != 1 || r.Identity[0].Name != "chain" {
		t.Errorf("identity policies: %+v", r.Identity)
	}
	next := iam.Access{Caller: iam.Caller{ARN: r.ARN, SessionName: "job", Policies: iam.Policies{Identity: r.Identity}}, Action: "s3:GetObject", Resource: "*"}
	if iam.Authorize(next).Decision == iam.Allow {
		t.Error("a managed policy of AWS whose document is not known allows something")
	}
	if r.Boundary == nil || len(r.Boundary.Policy.Statements) != 0 {
		t.Errorf("a boundary that is not known became %+v", r.Boundary)
	}
	if text := strings.Join(warnings, "\n"); len(warnings) != 2 || !strings.Contains(text, "policy/ReadOnlyAccess of ") || !strings.Contains(text, "policy/PowerUserAccess of ") {
		t.Errorf("warned of %q", warnings)
	}
}

// TestNotKnown: what only a deployment would tell is an error with its place.
func TestNotKnown(t *testing.T) {
	parameter := "Parameters: {Given: {Type: String}}\nResources:"
	for name, c := range map[string]struct{ old, new, says string }{
		"a path":            {"/ci/", "!Ref Given", "its path"},
		"a path of no form": {"/ci/", "ci", "expected a role's ARN"},
		"a tag":             {"Value: core", "Value: !Ref Given", "its tag team="},
		"a trust policy":    {"!Ref Provider", "!Ref Given", "the trust policy of arn:aws:iam::111111111111:role/ci/Deploy"},
		"a policy":          {"${AWS::AccountId}", "${Given}", "the policy chain of"},
	} {
		text := strings.Replace(strings.Replace(template, "Resources:", parameter, 1), c.old, c.new, 1)
		_, _, err := fromFiles(map[string]string{"roles.yaml": text}, "")
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "roles.yaml:") {
			t.Errorf("%s: found %v, want %q", name, err, c.says)
		}
	}
	_, _, err := fromFiles(map[string]string{"a.yaml": template, "b.yaml": template}, "")
	if err == nil || !strings.Contains(err.Error(), "is doubled") {
		t.Errorf("one role in two files: %v", err)
	}
}

// TestManaged: managed policies are found by their ARNs.
func TestManaged(t *testing.T) {
	const arn = "arn:aws:iam::111111111111:policy/chain"
	set, _, err := fromFiles(map[string]string{"account.json": `{"RoleDetailList":[{"Arn":"` + deployARN + `","RoleName":"deploy","AssumeRolePolicyDocument":` + trust + `}],
		"Policies":[{"Arn":"` + arn + `","PolicyVersionList":[{"IsDefaultVersion":false,"Document":{"Version":"2012-10-17","Statement":[]}},
		{"IsDefaultVersion":true,"Document":{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}}]}]}`}, "")
	if err != nil {
		t.Fatal(err)
	}
	if p := set.Managed(arn); p == nil || len(p.Statements) != 1 {
		t.Errorf("found %+v", p)
	}
	if p := set.Managed(arn + "x"); p != nil {
		t.Errorf("found %+v under another ARN", p)
	}
	if (*roles.Set)(nil).Managed(arn) != nil {
		t.Error("no roles have a policy")
	}
}
