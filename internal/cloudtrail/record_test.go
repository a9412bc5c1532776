package cloudtrail_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/cloudtrail"
)

const poolID = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f"

var broker = cloudtrail.Broker{Issuer: "https://stint.example.com", Region: "eu-central-1", Accounts: map[string]string{poolID: "arn:aws:iam::222222222222"}}

func record(change func(*audit.Record)) audit.Record {
	expires := time.Date(2026, 11, 23, 11, 39, 51, 0, time.UTC)
	r := audit.Record{
		ID: "01K0", Time: time.Date(2026, 11, 23, 10, 39, 51, 123e6, time.UTC), Door: "aws-sts", Remote: "192.0.2.1",
		Caller: audit.Caller{Verified: true, IssuerName: "github", Issuer: "https://token.actions.githubusercontent.com",
			Subject: "repo:octo-org/octo-repo:environment:prod", Repository: "octo-org/octo-repo", Actor: "octocat"},
		Asked:   audit.Asked{Role: "arn:aws:iam::111111111111:role/deploy", SessionName: "asked"},
		Verdict: audit.Allowed, Rule: "deploy-prod",
		Granted: &audit.Granted{Role: "arn:aws:iam::111111111111:role/deploy", Audience: "sts.amazonaws.com", SessionName: "octo-repo-1",
			Tags: map[string]string{"repository": "octo-org/octo-repo"}, TransitiveTags: []string{"repository"}, SourceIdentity: "7", Seconds: 3600},
		Outcome: &audit.Outcome{Issued: true, AccessKeyID: "ASIAEXAMPLE", AssumedRole: "arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-1",
			AssumedRoleID: "AROAEXAMPLE:octo-repo-1",
			Expires:       &expires, AWSRequestID: "6e-1"},
	}
	if change != nil {
		change(&r)
	}
	return r
}

// at is the value at a path of an event, as a reader of its JSON finds it; nil
// where there is none.
func at(t *testing.T, e cloudtrail.Event, path string) any {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// TestFromRecord: what detection rules look at, under CloudTrail's names.
func TestFromRecord(t *testing.T) {
	denied := func(reason string, verified bool) func(*audit.Record) {
		return func(r *audit.Record) {
			r.Verdict, r.Granted, r.Outcome, r.Rule, r.Reason, r.Detail, r.Caller.Verified = audit.Denied, nil, nil, "", reason, "a sentence", verified
		}
	}
	for _, c := range []struct {
		name   string
		change func(*audit.Record)
		want   map[string]any
	}{
		{"issued", nil, map[string]any{
			"eventName": "AssumeRoleWithWebIdentity", "eventSource": "sts.amazonaws.com", "eventTime": "2026-11-23T10:39:51Z", "awsRegion": "eu-central-1",
			"userIdentity.type": "WebIdentityUser", "userIdentity.userName": "github:repo:octo-org/octo-repo:environment:prod",
			"userIdentity.identityProvider":                  "arn:aws:iam::111111111111:oidc-provider/stint.example.com",
			"userIdentity.principalId":                       "arn:aws:iam::111111111111:oidc-provider/stint.example.com:sts.amazonaws.com:github:repo:octo-org/octo-repo:environment:prod",
			"requestParameters.roleArn":                      "arn:aws:iam::111111111111:role/deploy",
			"requestParameters.roleSessionName":              "octo-repo-1",
			"requestParameters.durationSeconds":              3600.0,
			"requestParameters.principalTags":                map[string]any{"repository": "octo-org/octo-repo"},
			"requestParameters.transitiveTagKeys":            []any{"repository"},
			"requestParameters.sourceIdentity":               "7",
			"responseElements.sourceIdentity":                "7",
			"responseElements.credentials":                   map[string]any{"accessKeyId": "ASIAEXAMPLE", "expiration": "Nov 23, 2026, 11:39:51 AM"},
			"responseElements.assumedRoleUser.assumedRoleId": "AROAEXAMPLE:octo-repo-1",
			"responseElements.audience":                      "sts.amazonaws.com",
			"responseElements.assumedRoleUser.arn":           "arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-1",
			"recipientAccountId":                             "111111111111",
			"requestID":                                      "6e-1",
			"errorCode":                                      nil,
			"additionalEventData.stint.rule":                 "deploy-prod",
			"additionalEventData.stint.subject":              "repo:octo-org/octo-repo:environment:prod",
			"additionalEventData.stint.record":               "01K0",
			"readOnly":                                       true,
			"eventType":                                      "AwsApiCall",
			"sourceIPAddress":                                "192.0.2.1",
			"requestParameters.incomingTransitiveTags":       nil,
		}},
		{"denied", denied("no_rule_matched", true), map[string]any{
			"errorCode": "AccessDenied", "errorMessage": "a sentence", "responseElements": nil,
			"userIdentity.userName":             "repo:octo-org/octo-repo:environment:prod",
			"userIdentity.identityProvider":     "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com",
			"requestParameters.roleArn":         "arn:aws:iam::111111111111:role/deploy",
			"requestParameters.roleSessionName": "asked", "requestParameters.principalTags": nil,
			"additionalEventData.stint.reason": "no_rule_matched",
		}},
		{"not believed", denied("bad_signature", false), map[string]any{"errorCode": "InvalidIdentityToken", "additionalEventData.stint.callerVerified": false}},
		{"another audience's", denied("wrong_audience", true), map[string]any{"errorCode": "InvalidIdentityToken"}},
		{"somebody else's", denied("outside_only", true), map[string]any{"errorCode": "InvalidIdentityToken"}},
		{"from the future", denied("token_from_future", true), map[string]any{"errorCode": "InvalidIdentityToken"}},
		{"without a subject", denied("bad_claims", true), map[string]any{"errorCode": "InvalidIdentityToken"}},
		{"a pool's refusal", denied("classic_disabled", true), map[string]any{"errorCode": "AccessDenied"}},
		{"without an outcome", func(r *audit.Record) { r.Outcome = nil }, map[string]any{"errorCode": "ServiceUnavailable", "responseElements": nil}},
		{"a token of the basic flow", func(r *audit.Record) {
			r.Asked.Role, r.Granted.Role, r.Granted.Pool, r.Granted.Identity, r.Granted.Audience = "", "", poolID, "eu-central-1:1", poolID
			r.Outcome = &audit.Outcome{Issued: true, TokenID: "t"}
		}, map[string]any{
			"userIdentity.identityProvider": "arn:aws:iam::222222222222:oidc-provider/stint.example.com", "userIdentity.userName": "eu-central-1:1",
			"requestParameters.roleSessionName": nil, "requestParameters.durationSeconds": nil, "requestParameters.principalTags": map[string]any{"repository": "octo-org/octo-repo"},
		}},
		{"expired", denied("token_expired", true), map[string]any{"errorCode": "ExpiredTokenException"}},
		{"refused by AWS", func(r *audit.Record) { r.Outcome = &audit.Outcome{Error: "no", ErrorCode: "AccessDenied"} },
			map[string]any{"errorCode": "AccessDenied", "errorMessage": "no", "responseElements": nil, "requestParameters.principalTags": map[string]any{"repository": "octo-org/octo-repo"}}},
		{"a token", func(r *audit.Record) { r.Door = "token"; r.Outcome = &audit.Outcome{Issued: true, TokenID: "t"} },
			map[string]any{"errorCode": nil, "responseElements": nil, "additionalEventData.stint.door": "token"}},
		{"assumed by the broker", func(r *audit.Record) { r.Granted.Via = "assume-role" }, map[string]any{
			"eventName": "AssumeRole", "userIdentity.type": "AssumedRole", "userIdentity.principalId": nil, "requestParameters.principalTags": nil,
			"requestParameters.tags":    []any{map[string]any{"key": "repository", "value": "octo-org/octo-repo"}},
			"responseElements.provider": nil,
		}},
		{"an identity of a pool", func(r *audit.Record) { r.Granted.Identity, r.Granted.Audience = "eu-central-1:1", "eu-central-1:2" }, map[string]any{
			"userIdentity.principalId": "arn:aws:iam::111111111111:oidc-provider/stint.example.com:eu-central-1:2:eu-central-1:1", "userIdentity.userName": "eu-central-1:1",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := cloudtrail.FromRecord(record(c.change), broker)
			for path, want := range c.want {
				if got := at(t, e, path); !reflect.DeepEqual(got, want) {
					t.Errorf("%s is %v, want %v", path, got, want)
				}
			}
		})
	}
}

// TestEventID: the same for the same record, and another for another.
func TestEventID(t *testing.T) {
	a, again := cloudtrail.FromRecord(record(nil), broker).EventID, cloudtrail.FromRecord(record(nil), broker).EventID
	other := cloudtrail.FromRecord(record(func(r *audit.Record) { r.ID = "01K1" }), broker).EventID
	if a != again || a == other || len(a) != 36 {
		t.Errorf("found %s, %s and %s", a, again, other)
	}
}
