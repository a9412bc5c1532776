package iam

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const trustPolicy = `{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"},
    "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
    "Condition": {
      "StringEquals": {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:repository_id": ["73", "74"]
      },
      "StringLike": {
        "token.actions.githubusercontent.com:sub": "repo:octo-org/octo-repo:*",
        "token.actions.githubusercontent.com:job_workflow_ref": "octo-org/*/.github/workflows/*.yml@refs/heads/main"
      }
    }
  }]
}`

func webCall() WebIdentityCall {
	return WebIdentityCall{
		Provider: "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com",
		Issuer:   "https://token.actions.githubusercontent.com",
		Claims: map[string]any{
			"aud":                 "sts.amazonaws.com",
			"sub":                 "repo:octo-org/octo-repo:environment:prod",
			"repository_id":       "74",
			"repository":          "octo-org/octo-repo",
			"repository_owner_id": "65",
			"environment":         "prod",
			"ref":                 "refs/heads/main",
			"actor":               "octocat",
			"actor_id":            json.Number("12"),
			"workflow":            "deploy",
			"job_workflow_ref":    "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
		},
		RoleARN:         "arn:aws:iam::111111111111:role/deploy",
		RoleSessionName: "run-1",
		Time:            time.Unix(1788264000, 0),
	}
}

func mustParse(tb testing.TB, document string) *Policy {
	tb.Helper()
	p, err := ParsePolicy([]byte(document))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func BenchmarkParsePolicy(b *testing.B) {
	for b.Loop() {
		if _, err := ParsePolicy([]byte(trustPolicy)); err != nil {
			b.Fatal(err)
		}
	}
}

// Documents of the greatest size that would cost the square of it, were
// columns counted from the start of the line or paths built for every value.
func BenchmarkParseHostile(b *testing.B) {
	frame := func(key, values string) []byte {
		return []byte(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringLike":{"` + key + `":[` + values + `""]}}}}`)
	}
	for name, document := range map[string][]byte{
		"OneLine":  frame("a:b", strings.Repeat(`"",`, maxDocument/3-60)),
		"LongName": frame(strings.Repeat("a", maxDocument/2), strings.Repeat(`"",`, maxDocument/6-60)),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := ParsePolicy(document); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func trustRequest() Request {
	c := webCall()
	return Request{
		Action:    ActionAssumeRoleWithWebIdentity,
		Resource:  c.RoleARN,
		Principal: Principal{Federated: c.Provider},
		Context:   c.Context(),
	}
}

func BenchmarkDecide(b *testing.B) {
	p, r := mustParse(b, trustPolicy), trustRequest()
	b.ReportAllocs()
	for b.Loop() {
		if p.Decide(r) != Allow {
			b.Fatal("denied")
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	p, r := mustParse(b, trustPolicy), trustRequest()
	b.ReportAllocs()
	for b.Loop() {
		if p.Evaluate(r).Decision != Allow {
			b.Fatal("denied")
		}
	}
}

func BenchmarkEvaluateWebIdentity(b *testing.B) {
	p, c := mustParse(b, trustPolicy), webCall()
	c.Tags = []Tag{{"env", "prod"}}
	b.ReportAllocs()
	for b.Loop() {
		if !EvaluateWebIdentity(p, c).Allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkVariables(b *testing.B) {
	p := mustParse(b, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringLike":{"aws:userid":"${aws:FederatedProvider}*"}}}}`)
	r := trustRequest()
	b.ReportAllocs()
	for b.Loop() {
		if p.Decide(r) != Allow {
			b.Fatal("denied")
		}
	}
}

// Patterns that make a backtracking matcher explode, on the longest value
// that a 20,000-character token could carry.
func BenchmarkStars(b *testing.B) {
	long := strings.Repeat("a", 16_000)
	for name, pat := range map[string]string{
		"Exponential": strings.Repeat("a*", 1000) + "b",
		"Quadratic":   "*" + strings.Repeat("a", 2000) + "b*",
		"Questions":   "*" + strings.Repeat("?a", 500) + "b*",
	} {
		compiled := pattern(pat)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if globMatch(compiled, long) {
					b.Fatal("matched")
				}
			}
		})
	}
}
