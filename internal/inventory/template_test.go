package inventory_test

import (
	"strings"
	"testing"
)

const (
	trustYAML = `
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal: {Federated: !Sub 'arn:aws:iam::${AWS::AccountId}:oidc-provider/token.actions.githubusercontent.com'}
            Action: sts:AssumeRoleWithWebIdentity
            Condition: {StringLike: {'token.actions.githubusercontent.com:sub': 'repo:octo-org/octo-repo:*'}}
`
	document = "{Version: '2012-10-17', Statement: {Effect: Allow, Action: 's3:GetObject', Resource: '*'}}"
)

func TestTemplates(t *testing.T) {
	inv := read("t.yaml", `AWSTemplateFormatVersion: '2010-09-09'
Parameters: {Name: {Type: String}}
Resources:
  Deploy:
    Type: AWS::IAM::Role
    Properties:
      RoleName: deploy
      MaxSessionDuration: 7200
      Tags: [{Key: env, Value: prod}]
      PermissionsBoundary: !Ref Shared
      ManagedPolicyArns: [!Ref Shared, !Sub 'arn:${AWS::Partition}:iam::aws:policy/ReadOnlyAccess']
      Policies: [{PolicyName: own, PolicyDocument: `+document+`}]
      AssumeRolePolicyDocument:`+trustYAML+`
  Plan:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: `+trust+`
  Alone:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: `+trust+`}
  Shared: {Type: AWS::IAM::ManagedPolicy, Properties: {PolicyDocument: `+document+`, Roles: [!Ref Plan]}}
  Inline: {Type: AWS::IAM::Policy, Properties: {PolicyName: inline, PolicyDocument: `+document+`, Roles: [!Ref Plan, deploy]}}
  Single: {Type: AWS::IAM::RolePolicy, Properties: {PolicyName: single, PolicyDocument: `+document+`, RoleName: !Ref Plan}}
  ForUsers: {Type: AWS::IAM::ManagedPolicy, Properties: {PolicyDocument: {Statement: {Effect: Maybe}}}}
  Provider: {Type: AWS::IAM::OIDCProvider, Properties: {Url: 'https://token.actions.githubusercontent.com', ClientIdList: [sts.amazonaws.com]}}
`)
	check(t, inv,
		"role Deploy name=deploy account= trust=partial +own=full +Shared=full +arn:aws:iam::aws:policy/ReadOnlyAccess=none +inline=full boundary=Shared=full env:prod tags? 2h0m0s",
		"role Plan name= account= trust=full +Shared=full +inline=full +single=full tags?",
		"role Alone name= account= trust=full identity? tags?",
		"policy ForUsers=refused",
		"provider Provider url=https://token.actions.githubusercontent.com account= clients=[sts.amazonaws.com] open=false",
	)
}

func TestUnknownAttachments(t *testing.T) {
	inv := read("t.yaml", `AWSTemplateFormatVersion: '2010-09-09'
Parameters: {Name: {Type: String}, Names: {Type: CommaDelimitedList}}
Resources:
  Named: {Type: AWS::IAM::Role, Properties: {RoleName: named, AssumeRolePolicyDocument: `+trust+`, Policies: [{PolicyName: own, PolicyDocument: `+document+`}]}}
  ByParameter: {Type: AWS::IAM::Role, Properties: {RoleName: !Ref Name, AssumeRolePolicyDocument: `+trust+`, Policies: [{PolicyName: own, PolicyDocument: `+document+`}]}}
  Other: {Type: AWS::IAM::Role, Properties: {RoleName: !Sub 'x-${Names}', AssumeRolePolicyDocument: `+trust+`, Policies: [{PolicyName: own, PolicyDocument: `+document+`}]}}
  Same: {Type: AWS::IAM::Policy, Properties: {PolicyName: same, PolicyDocument: `+document+`, Roles: [!Ref Name]}}
  Elsewhere: {Type: AWS::IAM::Policy, Properties: {PolicyName: elsewhere, PolicyDocument: `+document+`, Roles: [x-y]}}
`)
	check(t, inv,
		"role Named name=named account= trust=full +own=full tags?",
		"role ByParameter name=!Ref Name account= trust=full +own=full +same=full identity? tags?",
		"role Other name=x-${Names} account= trust=full +own=full identity? tags?",
		"policy Elsewhere=full",
	)
}

func TestFunctionRoles(t *testing.T) {
	inv := read("t.yaml", `Transform: AWS::Serverless-2016-10-31
Resources:
  Own: {Type: AWS::Serverless::Function, Properties: {Policies: [AmazonS3ReadOnlyAccess, `+document+`, {S3ReadPolicy: {BucketName: b}}], AssumeRolePolicyDocument: `+trust+`}}
  Other: {Type: AWS::Serverless::Function, Properties: {Role: arn:aws:iam::111111111111:role/x}}
`)
	check(t, inv, "role OwnRole name= account= trust=full +=full +S3ReadPolicy=none +AmazonS3ReadOnlyAccess=none identity? tags?")
}

func TestTemplateErrors(t *testing.T) {
	inv := folder(map[string]string{
		"bad.yaml":  "Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Properties: [\n",
		"bad.json":  `{"Resources":{"Role":{"Type":"AWS::IAM::Role"`,
		"good.json": `{"Resources":{"Role":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":` + trust + `}}}}`,
	})
	if len(inv.Roles) != 1 || len(inv.Problems) != 2 || !strings.Contains(inv.Problems[0].Error(), "bad.") {
		t.Errorf("found %v", summary(inv))
	}
}
