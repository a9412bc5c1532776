package inventory_test

import (
	"fmt"
	"strings"
	"testing"
)

const trustTF = `
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
`

func TestTerraform(t *testing.T) {
	inv := folder(map[string]string{
		"infra/provider.tf": `resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com", var.more]
}
variable "more" {}
`,
		"infra/roles.tf": `data "aws_iam_policy_document" "trust" {` + trustTF + `}
data "aws_iam_policy_document" "spare" {` + trustTF + `}
data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["*"]
  }
}
resource "aws_iam_role" "deploy" {
  name                 = "deploy"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 7200
  permissions_boundary = aws_iam_policy.shared.arn
  tags                 = { env = "prod" }
  inline_policy {
    name   = "own"
    policy = data.aws_iam_policy_document.read.json
  }
}
resource "aws_iam_role" "plan" {
  name               = "plan"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
resource "aws_iam_role" "alone" {
  name               = "alone"
  assume_role_policy = jsonencode(` + trust + `)
}
`,
		"infra/policies.tf": `resource "aws_iam_policy" "shared" {
  name   = "shared"
  policy = data.aws_iam_policy_document.read.json
}
resource "aws_iam_role_policy_attachment" "deploy" {
  role       = aws_iam_role.deploy.name
  policy_arn = aws_iam_policy.shared.arn
}
resource "aws_iam_role_policy_attachment" "managed" {
  role       = "plan"
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}
resource "aws_iam_role_policy" "plan" {
  name   = "inline"
  role   = aws_iam_role.plan.id
  policy = jsonencode({ Statement = { Effect = "Allow", Action = "s3:GetObject", Resource = "*" } })
}
resource "aws_iam_policy_attachment" "both" {
  name       = "both"
  roles      = [aws_iam_role.deploy.name, aws_iam_role.plan.name]
  policy_arn = aws_iam_policy.shared.arn
}
`,
	})
	check(t, inv,
		"role data.aws_iam_policy_document.spare name= account= trust=partial identity? tags?",
		"role aws_iam_role.deploy name=deploy account= trust=partial +own=full +aws_iam_policy.shared=full +aws_iam_policy.shared=full boundary=aws_iam_policy.shared=full env:prod tags? 2h0m0s",
		"role aws_iam_role.plan name=plan account= trust=partial +arn:aws:iam::aws:policy/ReadOnlyAccess=none +inline=full +aws_iam_policy.shared=full tags?",
		"role aws_iam_role.alone name=alone account= trust=full identity? tags?",
		"provider aws_iam_openid_connect_provider.github url=https://token.actions.githubusercontent.com account= clients=[sts.amazonaws.com ${var.more}] open=false",
	)
}

func TestTerraformAzure(t *testing.T) {
	check(t, read("main.tf", `resource "azuread_application_federated_identity_credential" "main" {
  application_id = azuread_application.ci.id
  display_name   = "main"
  issuer         = "https://token.actions.githubusercontent.com"
  subject        = "repo:octo-org/octo-repo:ref:refs/heads/main"
  audiences      = ["api://AzureADTokenExchange"]
}
resource "azuread_application_flexible_federated_identity_credential" "any" {
  application_id             = azuread_application.ci.id
  display_name               = "any"
  issuer                     = "i"
  claims_matching_expression = "claims['sub'] matches 'x'"
  audience                   = "a"
}
resource "azurerm_federated_identity_credential" "other" {
  name      = "other"
  parent_id = "id"
  issuer    = "i"
  subject   = "s"
  audience  = ["a"]
}
`),
		"azure ${azuread_application.ci.id} open=true [main https://token.actions.githubusercontent.com repo:octo-org/octo-repo:ref:refs/heads/main  [api://AzureADTokenExchange]] [any i  claims['sub'] matches 'x' [a]]",
		"azure id open=true [other i s  [a]]",
	)
}

func TestTerraformPlan(t *testing.T) {
	resource := func(kind, name, values string) string {
		return fmt.Sprintf(`{"address":"%s.%s","mode":"managed","type":%q,"name":%q,"values":%s}`, kind, name, kind, name, values)
	}
	for _, format := range []string{
		`{"format_version":"1.2","terraform_version":"1.9.0","planned_values":{"root_module":{"resources":[%s]}}}`,
		`{"format_version":"1.0","terraform_version":"1.9.0","values":{"root_module":{"resources":[%s]}}}`,
	} {
		inv := read("plan.json", fmt.Sprintf(format, strings.Join([]string{
			resource("aws_iam_role", "r", fmt.Sprintf(`{"name":"r","arn":"arn:aws:iam::111111111111:role/r","assume_role_policy":%q,"max_session_duration":3600,"managed_policy_arns":["arn:aws:iam::aws:policy/ReadOnlyAccess"],"inline_policy":[{"name":"own","policy":%q}],"tags":{"a":"b"},"tags_all":{"a":"b","c":"d"}}`, trust, identity)),
			resource("aws_iam_role_policy", "p", fmt.Sprintf(`{"name":"in","role":"r","policy":%q}`, identity)),
		}, ",")))
		check(t, inv, "role aws_iam_role.r name=r account=111111111111 trust=full +own=full +arn:aws:iam::aws:policy/ReadOnlyAccess=none +in=full a:b c:d 1h0m0s")
	}
}

func TestTerraformErrors(t *testing.T) {
	inv := folder(map[string]string{
		"bad/main.tf":  "resource \"aws_iam_role\" \"r\" {\n",
		"good/main.tf": "resource \"aws_iam_role\" \"r\" {\n  name = \"r\"\n  assume_role_policy = jsonencode(" + trust + ")\n}\n",
	})
	if len(inv.Roles) != 1 || len(inv.Problems) != 1 || !strings.HasPrefix(inv.Problems[0].Error(), "bad/main.tf:") {
		t.Errorf("found %v", summary(inv))
	}
}
