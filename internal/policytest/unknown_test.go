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
