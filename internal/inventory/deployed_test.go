package inventory_test

import (
	"strings"
	"testing"
)

func TestDeployed(t *testing.T) {
	inv := folder(map[string]string{
		"infra/main.tf": `resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}
data "aws_caller_identity" "me" {}
variable "org" {}
data "aws_iam_policy_document" "trust" {` + trustTF + `}
resource "aws_iam_role" "known" {
  name               = "known"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
resource "aws_iam_role" "account" {
  name               = "account"
  assume_role_policy = jsonencode({ Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:root" } }] })
}
resource "aws_iam_role" "open" {
  name               = "open"
  assume_role_policy = jsonencode({ Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = "arn:aws:iam::${var.org}:root" } }] })
}
`,
		"cfn/t.yaml": `AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Provider: {Type: "AWS::IAM::OIDCProvider", Properties: {Url: "https://token.actions.githubusercontent.com"}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: template
      AssumeRolePolicyDocument:
        Statement:
          - Effect: Allow
            Action: sts:AssumeRoleWithWebIdentity
            Principal: {Federated: !Ref Provider}
          - Effect: Allow
            Action: sts:AssumeRole
            Principal: {AWS: !Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
`,
	})
	want := map[string]string{
		"known":    "arn:aws:iam::222222222222:oidc-provider/token.actions.githubusercontent.com",
		"account":  "arn:aws:iam::222222222222:root",
		"template": "arn:aws:iam::222222222222:oidc-provider/token.actions.githubusercontent.com",
		"open":     "",
	}
	for _, r := range inv.Roles {
		name := r.Name.String()
		principal, listed := want[name]
		if !listed {
			continue
		}
		delete(want, name)
		p := r.Trust.Deployed("222222222222", inv.Providers)
		if (p.Full != nil) != (principal != "") {
			t.Errorf("%s: known %t, %v", name, p.Full != nil, p.Err)
			continue
		}
		if p.Full == nil {
			continue
		}
		text, err := p.Full.MarshalJSON()
		if err != nil || !strings.Contains(string(text), principal) {
			t.Errorf("%s: expected %s in %s, %v", name, principal, text, err)
		}
		if r.Trust.Full != nil {
			t.Errorf("%s: known without an account", name)
		}
	}
	if len(want) > 0 {
		t.Errorf("roles that are not there: %v", want)
	}
}
