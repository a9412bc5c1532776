package inventory_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// samples is a file of each kind.
var samples = map[string]string{
	"role.json":    `{"Role":` + role(trust) + `}`,
	"text.json":    `{"Role":` + role(fmt.Sprintf("%q", trust)) + `}`,
	"trust.json":   trust,
	"account.json": `{"RoleDetailList":[{"RoleName":"deploy","Arn":"` + roleARN + `","AssumeRolePolicyDocument":` + trust + `,"RolePolicyList":[{"PolicyName":"in","PolicyDocument":` + identity + `}],"AttachedManagedPolicies":[{"PolicyArn":"arn:aws:iam::111111111111:policy/m"}],"PermissionsBoundary":{"PermissionsBoundaryArn":"a"},"Tags":[{"Key":"a","Value":"b"}]}],"Policies":[{"Arn":"arn:aws:iam::111111111111:policy/m","PolicyVersionList":[{"Document":` + identity + `,"IsDefaultVersion":true}]}]}`,
	"oidc.json":    `{"OpenIDConnectProviderList":[{"Arn":"arn:aws:iam::111111111111:oidc-provider/x"}]}{"Url":"x","ClientIDList":["a"]}`,
	"azure.json":   `[{"id":"a/userAssignedIdentities/i/federatedIdentityCredentials/c","name":"n","properties":{"issuer":"i","subject":"s","audiences":["a"]}},{"name":"f","issuer":"i","audiences":["a"],"claimsMatchingExpression":{"value":"x"}}]`,
	"workflow.yml": "name: x\non:\n  push:\npermissions:\n  id-token: write\njobs:\n  a:\n    environment: {name: \"${{ x }}\"}\n    steps:\n      - uses: aws-actions/configure-aws-credentials@v4\n        with: {role-to-assume: x}\n",
	"stint.yaml":   "issuer: https://stint.example.com\nissuers:\n  github: {url: https://ci.example.com, audiences: [a]}\nrules:\n  - name: a\n    match: {repository_id: \"74\"}\n    aws: {roles: [\"arn:aws:iam::111111111111:role/deploy\"]}\n",
	"cfn.yaml":     "AWSTemplateFormatVersion: '2010-09-09'\nParameters: {Org: {Type: String}}\nResources:\n  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      AssumeRolePolicyDocument:\n        Version: '2012-10-17'\n        Statement:\n          - Effect: Allow\n            Principal: {Federated: !Sub 'arn:aws:iam::${AWS::AccountId}:oidc-provider/token.actions.githubusercontent.com'}\n            Action: sts:AssumeRoleWithWebIdentity\n            Condition: {StringLike: {'token.actions.githubusercontent.com:sub': !Sub 'repo:${Org}/*'}}\n      ManagedPolicyArns: [!Ref Policy]\n      Policies: [{PolicyName: p, PolicyDocument: {Statement: {Effect: Allow, Action: '*', Resource: '*'}}}]\n  Policy:\n    Type: AWS::IAM::ManagedPolicy\n    Properties: {PolicyDocument: {Statement: {Effect: Allow, Action: '*', Resource: '*'}}, Roles: [!Ref Role]}\n",
	"cfn.json":     `{"Resources":{"P":{"Type":"AWS::IAM::OIDCProvider","Properties":{"Url":"https://x","ClientIdList":["a"]}},"R":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":` + trust + `}},"F":{"Type":"AWS::Serverless::Function","Properties":{"Policies":["x",{"Statement":[]},{"S3ReadPolicy":{}}]}}}}`,
	"main.tf":      "data \"aws_iam_policy_document\" \"t\" {\n  statement {\n    actions = [\"sts:AssumeRoleWithWebIdentity\"]\n    principals {\n      type = \"Federated\"\n      identifiers = [\"arn:aws:iam::111111111111:oidc-provider/x\"]\n    }\n  }\n}\nresource \"aws_iam_role\" \"r\" {\n  name = \"r\"\n  assume_role_policy = data.aws_iam_policy_document.t.json\n}\nresource \"aws_iam_role_policy\" \"p\" {\n  role = aws_iam_role.r.name\n  policy = jsonencode({Statement = []})\n}\n",
	"plan.json":    `{"format_version":"1.2","terraform_version":"1.9.0","planned_values":{"root_module":{"resources":[{"address":"aws_iam_role.r","mode":"managed","type":"aws_iam_role","name":"r","values":{"name":"r","assume_role_policy":` + fmt.Sprintf("%q", trust) + `}}]}}}`,
}

// Every file of a kind that is cut off, mixed up or blown up is read to an end,
// and other files are read nevertheless.
func TestHostileFiles(t *testing.T) {
	for name, data := range samples {
		middle := len(data) / 2
		hostile := map[string]string{
			"cut off":       data[:middle],
			"NUL":           data[:middle] + "\x00" + data[middle:],
			"not UTF-8":     data[:middle] + "\xff" + data[middle:],
			"lists":         strings.NewReplacer("{", "[", "}", "]").Replace(data),
			"objects":       strings.NewReplacer("[", "{", "]", "}").Replace(data),
			"numbers":       strings.NewReplacer(`"arn`, `5,"arn`, "Allow", "5").Replace(data),
			"null":          strings.NewReplacer(trust, "null", identity, "null", `"x"`, "null").Replace(data),
			"nested deeply": data[:middle] + strings.Repeat("[", 5000),
			"nested maps":   data[:middle] + strings.Repeat("{a: ", 5000),
			"doubled":       data + data,
			"on one line":   strings.ReplaceAll(data, "\n", " "),
			"long":          data[:middle] + strings.Repeat("x", 100_000) + data[middle:],
		}
		for what, text := range hostile {
			inv := folder(map[string]string{name: text, "z/good.json": trust})
			found := false
			for _, r := range inv.Roles {
				found = found || r.Position.File == "z/good.json"
			}
			if !found {
				t.Errorf("%s, %s: the good file is not read", name, what)
			}
			places(t, inv, map[string][]byte{name: []byte(text), "z/good.json": []byte(trust)})
		}
	}
}

// places holds every place of an inventory to its file.
func places(t *testing.T, inv *inventory.Inventory, files map[string][]byte) {
	t.Helper()
	for _, r := range inv.Roles {
		placeInFile(t, r.Position, files[r.Position.File])
		if r.Trust != nil {
			policyPlaces(t, r.Trust, files)
		}
		for _, p := range r.Identity {
			if p.Policy != nil {
				policyPlaces(t, p.Policy, files)
			}
		}
	}
	for _, p := range inv.Policies {
		policyPlaces(t, p.Policy, files)
	}
	for _, p := range inv.Providers {
		placeInFile(t, p.Position, files[p.Position.File])
	}
	for _, a := range inv.Azure {
		for _, c := range a.Credentials {
			placeInFile(t, c.Position, files[c.Position.File])
		}
	}
	for _, w := range inv.Workflows {
		for _, j := range w.Jobs {
			placeInFile(t, j.Position, files[j.Position.File])
		}
	}
	for _, err := range inv.Problems {
		var e *source.Error
		if !errors.As(err, &e) {
			t.Fatalf("the problem %v has no place", err)
		}
		placeInFile(t, e.Position, files[e.Position.File])
	}
}

func policyPlaces(t *testing.T, p *inventory.Policy, files map[string][]byte) {
	t.Helper()
	for _, s := range p.Statements {
		placeInFile(t, s.Position, files[s.Position.File])
		for _, c := range s.Conditions {
			placeInFile(t, c.Position, files[c.Position.File])
			for _, v := range c.Values.List {
				placeInFile(t, v.Position, files[v.Position.File])
				if v.Span.End > len(files[v.Position.File]) || v.Span.Start > v.Span.End {
					t.Fatalf("the span %v is none of the file", v.Span)
				}
			}
		}
	}
}

// Whatever stands in a file, reading it ends, and every place that is told lies
// in the file.
func FuzzLoad(f *testing.F) {
	for name, data := range samples {
		f.Add(name, []byte(data))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if _, known := samples[name]; !known {
			return
		}
		files := map[string][]byte{name: data}
		places(t, read(name, string(data)), files)
	})
}
