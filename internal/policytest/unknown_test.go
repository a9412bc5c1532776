package policytest_test

import (
	"strings"
	"testing"
)

// TestWhatIsNotKnown shows that a trust policy that cannot be decided passes no
// test, whatever the test expects.
func TestWhatIsNotKnown(t *testing.T) {
	dir := write(t, map[string]string{"stint.yaml": configuration, "main.tf": `
variable "org" {}
resource "aws_iam_role" "deploy" {
  name = "deploy"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow", Action = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com" }
      Condition = { StringLike = { "token.actions.githubusercontent.com:sub" = "repo:${var.org}/octo-repo:*" } }
    }]
  })
}
`})
	for _, expect := range []string{"allow", "deny"} {
		r := run(t, dir, jobs+"tests:\n  - {name: x, job: prod, policy: main.tf, expect: "+expect+"}\n")[0]
		if r.Passed || !strings.Contains(strings.Join(r.Failures, ""), "var.org") {
			t.Errorf("expect %s: passed %t, %q; expected a failure that names var.org", expect, r.Passed, r.Failures)
		}
	}
}

// TestTemplates shows that what stands for the account and for the provider in
// a template keeps no trust policy from being decided.
func TestTemplates(t *testing.T) {
	dir := write(t, map[string]string{"main.tf": `
resource "aws_iam_openid_connect_provider" "github" {
  url = "https://token.actions.githubusercontent.com"
}
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.github.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:sub"
      values   = ["repo:octo-org/octo-repo:environment:prod"]
    }
  }
}
resource "aws_iam_role" "deploy" {
  name               = "deploy"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
`})
	results := run(t, dir, `
jobs: {prod: {like: github-environment}, main: {like: github-push}}
tests:
  - {name: x, job: prod, policy: "main.tf#deploy", expect: allow}
  - {name: y, job: main, policy: main.tf, expect: {cause: branch_subject}}
`)
	for _, r := range results {
		if !r.Passed {
			t.Errorf("%s: %q", r.Test, r.Failures)
		}
	}
}
