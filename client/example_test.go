package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stint-dev/stint/client"
)

// A program that runs in a job and calls AWS. The cache asks the provider
// again shortly before the credentials end.
func ExampleNewAWSProvider() {
	stop := pretendJob()
	defer stop()

	job, err := client.FromEnv(os.Getenv)
	if err != nil {
		fmt.Println(err)
		return
	}
	var cfg aws.Config // of config.LoadDefaultConfig
	cfg.Credentials = aws.NewCredentialsCache(client.NewAWSProvider(job, client.AWSRequest{
		Role: "arn:aws:iam::111111111111:role/deploy",
	}))

	creds, err := cfg.Credentials.Retrieve(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(creds.AccessKeyID, "until", creds.Expires)
	// Output: ASIAEXAMPLE until 2026-11-23 05:00:00 +0000 UTC
}

// A job that goes on from its role to one in another account. A refresh goes
// through both again.
func ExampleChain() {
	stop := pretendJob()
	defer stop()

	job, err := client.FromEnv(os.Getenv)
	if err != nil {
		fmt.Println(err)
		return
	}
	creds, err := job.AWS(context.Background(), client.AWSRequest{
		Role: "arn:aws:iam::111111111111:role/ci",
		Chain: &client.Chain{
			Roles:    []client.Hop{{Role: "arn:aws:iam::222222222222:role/release"}},
			Endpoint: os.Getenv("STINT_URL") + "/sts", // left out: AWS's own
			Region:   "eu-central-1",
		},
	})
	var hop *client.ChainError
	if errors.As(err, &hop) {
		fmt.Println("hop", hop.Hop, "failed:", hop.Hint())
		return
	}
	fmt.Println(creds.AssumedRoleARN, err)
	// Output: arn:aws:sts::222222222222:assumed-role/release/s1 <nil>
}

// Outside of a job, the error says why there is no job token.
func ExampleNotInJobError() {
	_, err := client.FromEnv(func(string) string { return "" })
	var notInJob *client.NotInJobError
	if errors.As(err, &notInJob) {
		fmt.Println(notInJob.Cause)
	}
	// Output: no_job
}

// pretendJob stands in for GitHub and a broker, and sets a job's environment.
func pretendJob() (stop func()) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/aws/sts"):
			answer(200, "text/xml", assumed)(w, r)
			return
		case strings.HasPrefix(r.URL.Path, "/sts"):
			answer(200, "text/xml", sessionXML("AssumeRole", "1", "arn:aws:sts::222222222222:assumed-role/release/s1", time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)))(w, r)
			return
		}
		answer(200, "application/json", `{"value":"header.payload.signature"}`)(w, r)
	}))
	env := map[string]string{
		"STINT_URL":                      s.URL,
		"ACTIONS_ID_TOKEN_REQUEST_URL":   s.URL + "/job-token?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
	}
	for k, v := range env {
		os.Setenv(k, v)
	}
	return func() {
		s.Close()
		for k := range env {
			os.Unsetenv(k)
		}
	}
}
