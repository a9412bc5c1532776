package iam_test

import (
	"fmt"

	"github.com/stint-dev/stint/iam"
)

func ExampleEvaluateWebIdentity() {
	policy, err := iam.ParsePolicy([]byte(`{
  "Version": "2012-10-17",
  "Statement": [{
    "Sid": "Prod",
    "Effect": "Allow",
    "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"},
    "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
    "Condition": {
      "StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
      "StringLike": {"token.actions.githubusercontent.com:sub": "repo:octo-org/octo-repo:environment:*"}
    }
  }]
}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	result := iam.EvaluateWebIdentity(policy, iam.WebIdentityCall{
		Provider: "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com",
		Issuer:   "https://token.actions.githubusercontent.com",
		Claims: map[string]any{
			"aud": "sts.amazonaws.com",
			"sub": "repo:octo-org/octo-repo:ref:refs/heads/main",
		},
		RoleARN:         "arn:aws:iam::111111111111:role/deploy",
		RoleSessionName: "run-1",
		Tags:            []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}},
	})
	fmt.Println("allowed:", result.Allowed)
	fmt.Println("denied:", result.Denied)
	for _, statement := range result.Actions[0].Statements {
		for _, c := range statement.Conditions {
			if !c.Matched {
				fmt.Printf("%s, %s: %s is %q, not %q\n", statement.Sid, c.Position, c.Key, c.Actual, c.Expected)
			}
		}
	}
	// Output:
	// allowed: false
	// denied: sts:AssumeRoleWithWebIdentity
	// Prod, line 10, column 22: token.actions.githubusercontent.com:sub is ["repo:octo-org/octo-repo:ref:refs/heads/main"], not ["repo:octo-org/octo-repo:environment:*"]
}

func ExamplePolicy_Decide() {
	policy, err := iam.ParsePolicy([]byte(`{
  "Version": "2012-10-17",
  "Statement": {
    "Effect": "Allow",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::artifacts/${aws:PrincipalTag/repository}/*"
  }
}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	request := iam.Request{
		Action:         "s3:GetObject",
		Resource:       "arn:aws:s3:::artifacts/octo-repo/app.zip",
		Principal:      iam.RoleSession("arn:aws:iam::111111111111:role/deploy", "run-1", ""),
		Context:        iam.NewContext(map[string][]string{"aws:PrincipalTag/repository": {"octo-repo"}}),
		IdentityPolicy: true,
	}
	fmt.Println(policy.Decide(request))
	request.Context.Set("aws:PrincipalTag/repository", "another")
	fmt.Println(policy.Decide(request))
	// Output:
	// Allow
	// ImplicitDeny
}

func ExampleParsePolicy() {
	_, err := iam.ParsePolicy([]byte(`{
  "Version": "2012-10-17",
  "Statement": {
    "Effect": "Allow",
    "Principal": "*",
    "Action": "sts:AssumeRole",
    "Condition": {"StringLikes": {"aws:userid": "*"}}
  }
}`))
	fmt.Println(err)
	// Output: line 7, column 19: Statement.Condition.StringLikes: unknown condition operator
}
