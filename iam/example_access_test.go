package iam_test

import (
	"fmt"

	"github.com/stint-dev/stint/iam"
)

func ExampleAuthorize() {
	write, err := iam.ParsePolicy([]byte(`{
		"Version": "2012-10-17",
		"Statement": {
			"Effect": "Allow",
			"Action": "s3:PutObject",
			"Resource": "arn:aws:s3:::site/${aws:PrincipalTag/repository}/*"
		}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	session := iam.Caller{
		ARN:         "arn:aws:iam::111111111111:role/deploy",
		SessionName: "run-1",
		Tags:        []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}},
		Policies:    iam.Policies{Identity: []iam.NamedPolicy{{Name: "write", Policy: write}}},
	}
	for _, object := range []string{"octo-org/octo-repo/index.html", "octo-org/other/index.html"} {
		r := iam.Authorize(iam.Access{Caller: session, Action: "s3:PutObject", Resource: "arn:aws:s3:::site/" + object})
		fmt.Printf("%s: %s, %s\n", object, r.Decision, r.Reason)
	}
	// Output:
	// octo-org/octo-repo/index.html: Allow, all policies that are needed allow it
	// octo-org/other/index.html: ImplicitDeny, the identity policies do not allow it
}

func ExampleEvaluateAssumeRole() {
	trust, err := iam.ParsePolicy([]byte(`{
		"Version": "2012-10-17",
		"Statement": {
			"Effect": "Allow",
			"Principal": {"AWS": "arn:aws:iam::111111111111:role/deploy"},
			"Action": ["sts:AssumeRole", "sts:TagSession"],
			"Condition": {"StringEquals": {"aws:RequestTag/repository": "${aws:PrincipalTag/repository}"}}
		}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	session := iam.Caller{
		ARN:         "arn:aws:iam::111111111111:role/deploy",
		SessionName: "run-1",
		Tags:        []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}},
	}
	for _, repository := range []string{"octo-org/octo-repo", "octo-org/other"} {
		r := iam.EvaluateAssumeRole(trust, iam.AssumeRoleCall{
			Caller: session, RoleARN: "arn:aws:iam::111111111111:role/publish", RoleSessionName: "run-1",
			Tags: []iam.Tag{{Key: "repository", Value: repository}},
		})
		fmt.Printf("%s: allowed %t, denied %q\n", repository, r.Allowed, r.Denied)
	}
	// Output:
	// octo-org/octo-repo: allowed true, denied ""
	// octo-org/other: allowed false, denied "sts:AssumeRole"
}
