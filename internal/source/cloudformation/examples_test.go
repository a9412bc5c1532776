package cloudformation_test

import (
	"testing"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/cloudformation"
)

// examples are templates as people write them for GitHub Actions.
var examples = []struct{ name, text, want string }{
	{"a provider that may exist", `AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  GitHubOrg:
    Description: Name of the organization
    Type: String
    Default: octo-org
  RepositoryName:
    Type: String
  OIDCProviderArn:
    Type: String
    Default: ""
  OIDCAudience:
    Type: String
    Default: sts.amazonaws.com
Conditions:
  CreateOIDCProvider: !Equals
    - !Ref OIDCProviderArn
    - ""
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement:
          - Effect: Allow
            Action: sts:AssumeRoleWithWebIdentity
            Principal:
              Federated: !If
                - CreateOIDCProvider
                - !Ref GithubOidc
                - !Ref OIDCProviderArn
            Condition:
              StringEquals:
                token.actions.githubusercontent.com:aud: !Ref OIDCAudience
              StringLike:
                token.actions.githubusercontent.com:sub: !Sub repo:${GitHubOrg}/${RepositoryName}:*
  GithubOidc:
    Type: AWS::IAM::OIDCProvider
    Condition: CreateOIDCProvider
    Properties:
      Url: https://token.actions.githubusercontent.com
      ClientIdList:
        - !Ref OIDCAudience
Outputs:
  Role:
    Value: !GetAtt Role.Arn
`, `Role AWS::IAM::Role{AssumeRolePolicyDocument:{Version:2012-10-17 Statement:[{Effect:Allow Action:sts:AssumeRoleWithWebIdentity Principal:{Federated:<Ref of GithubOidc>} Condition:{StringEquals:{token.actions.githubusercontent.com:aud:sts.amazonaws.com} StringLike:{token.actions.githubusercontent.com:sub:repo:octo-org/<${RepositoryName}>:*}}}]}}
GithubOidc AWS::IAM::OIDCProvider{Url:https://token.actions.githubusercontent.com ClientIdList:[sts.amazonaws.com]}
`},
	{"JSON with joins", `{
  "Parameters": {"Repo": {"Type": "String", "Default": "octo-repo"}, "Account": {"Type": "String"}},
  "Resources": {
    "Deploy": {"Type": "AWS::IAM::Role", "Properties": {
      "RoleName": {"Fn::Join": ["-", ["deploy", {"Ref": "Repo"}]]},
      "AssumeRolePolicyDocument": {"Statement": [{
        "Principal": {"Federated": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::", {"Ref": "AWS::AccountId"}, ":oidc-provider/token.actions.githubusercontent.com"]]}},
        "Condition": {"StringEquals": {"token.actions.githubusercontent.com:sub": {"Fn::Join": ["", ["repo:octo-org/", {"Ref": "Repo"}, ":ref:refs/heads/main"]]}}}
      }]},
      "PermissionsBoundary": {"Fn::ImportValue": {"Fn::Sub": "${AWS::Region}-boundary"}}
    }}
  }
}`, `Deploy AWS::IAM::Role{RoleName:deploy-octo-repo AssumeRolePolicyDocument:{Statement:[{Principal:{Federated:arn:<!Ref AWS::Partition>:iam::<!Ref AWS::AccountId>:oidc-provider/token.actions.githubusercontent.com} Condition:{StringEquals:{token.actions.githubusercontent.com:sub:repo:octo-org/octo-repo:ref:refs/heads/main}}}]} PermissionsBoundary:<Fn::ImportValue ${AWS::Region}-boundary>}
`},
	{"a whole policy as text, and anchors", `Parameters:
  Org: {Type: String, Default: octo-org}
Resources:
  Plan:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: !Sub |
        {"Statement": {"Condition": {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:${Org}/*"}}, "Federated": "${Provider.Arn}"}}
      Tags: &tags
        - {Key: team, Value: platform}
  Apply:
    Type: AWS::IAM::Role
    Properties:
      Tags: *tags
  Provider: {Type: AWS::IAM::OIDCProvider}
`, `Plan AWS::IAM::Role{AssumeRolePolicyDocument:{"Statement": {"Condition": {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:octo-org/*"}}, "Federated": "<Arn of Provider>"}}
 Tags:[{Key:team Value:platform}]}
Apply AWS::IAM::Role{Tags:[{Key:team Value:platform}]}
Provider AWS::IAM::OIDCProvider{}
`},
	{"a pipeline of SAM", `Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Globals:
  Function: {Timeout: 10, Environment: {Variables: {A: "1"}}}
Parameters:
  Stage: {Type: String, Default: prod}
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Environment: {Variables: {B: !Ref Stage}}
      Policies:
        - AWSLambdaBasicExecutionRole
        - S3ReadPolicy: {BucketName: !Ref Bucket}
        - Version: "2012-10-17"
          Statement: {Effect: Allow, Action: "s3:*", Resource: !Sub "${Bucket.Arn}/*"}
  Bucket: {Type: AWS::S3::Bucket}
  Caller:
    Type: AWS::IAM::Policy
    Properties: {Roles: [!Ref WorkerRole], Other: !GetAtt WorkerRole.Arn}
`, `Worker AWS::Serverless::Function{Environment:{Variables:{B:prod A:1}} Policies:[AWSLambdaBasicExecutionRole {S3ReadPolicy:{BucketName:<Ref of Bucket>}} {Version:2012-10-17 Statement:{Effect:Allow Action:s3:* Resource:<Arn of Bucket>/*}}] Timeout:10}
Bucket AWS::S3::Bucket{}
Caller AWS::IAM::Policy{Roles:[<Ref of WorkerRole>] Other:<Arn of WorkerRole>}
`},
	{"macros and includes", `Transform: [Mine]
Resources:
  R:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://bucket/trust.yaml}}
      RoleName: !Sub "${Elsewhere}-role"
      Path: !If [Elsewhere, /a/, /b/]
`, "R AWS::IAM::Role{AssumeRolePolicyDocument:<Fn::Transform> RoleName:<${Elsewhere}>-role Path:/<!If Elsewhere>/ ...}\n"},
	{"carriage returns, and the mark before the text", "\xef\xbb\xbfResources:\r\n  R:\r\n    Type: AWS::IAM::Role\r\n    Properties:\r\n      A: !Sub |\r\n        x\r\n        y\r\n---\r\n", "R AWS::IAM::Role{A:x\ny\n}\n"},
}

func TestExamples(t *testing.T) {
	for _, test := range examples {
		t.Run(test.name, func(t *testing.T) {
			resources, err := cloudformation.Parse("t.yaml", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := all(resources); got != test.want {
				t.Errorf("found    %s\nexpected %s", got, test.want)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		value string
		want  source.Kind
	}{
		// What is a text whatever it says is told from what may be a list.
		{"!Ref Repo", source.KindString},
		{"!Ref AWS::AccountId", source.KindString},
		{"!Ref Other", source.KindString},
		{"!GetAtt Other.Arn", source.KindString},
		{"!ImportValue x", source.KindString},
		{"!Ref Secrets", source.KindUnknown},
		{"!GetAtt Other.Names", source.KindUnknown},
		{"!If [HasRepo, a, [b]]", source.KindUnknown},
		{"!GetAZs ''", source.KindUnknown},
		{"!Ref Number", source.KindString},
		{"true", source.KindBool},
	} {
		resources, err := cloudformation.Parse("t.yaml", []byte(head+test.value+"\n"))
		if err != nil {
			t.Errorf("%s: %v", test.value, err)
			continue
		}
		if got := resources[1].Values.Get("V").Kind; test.want != got {
			t.Errorf("%s: found %s, expected %s", test.value, got, test.want)
		}
	}
}
