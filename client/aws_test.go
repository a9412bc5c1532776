package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stint-dev/stint/client"
)

const assumed = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>the-secret</SecretAccessKey><SessionToken>the-session</SessionToken>
<Expiration>2026-11-23T05:00:00Z</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>AROA:s</AssumedRoleId><Arn>arn:aws:sts::111111111111:assumed-role/deploy/s1</Arn></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>`

func stsError(status int, code, message string) http.HandlerFunc {
	return answer(status, "text/xml", `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>`+
		code+`</Code><Message>`+message+`</Message></Error><RequestId>1</RequestId></ErrorResponse>`)
}

// doors serves the doors of a broker.
func doors(t *testing.T, token, sts http.HandlerFunc) (url string, requests *atomic.Int64) {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch strings.TrimSuffix(r.URL.Path, "/") {
		case "/token":
			token(w, r)
		case "/aws/sts":
			if r.Header.Get("Authorization") != "" {
				t.Error("the request is signed")
			}
			sts(w, r)
		default:
			t.Errorf("a request for %s", r.URL.Path)
		}
	})
}

func unexpected(t *testing.T) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { t.Error("this door should not be asked") }
}

func TestAssumeRole(t *testing.T) {
	// What lies around on the machine must not get into the request.
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "ambient")
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
	stint := jwt(t, map[string]any{"https://aws.amazon.com/roles": []string{role}})
	tests := []struct {
		name string
		req  client.AWSRequest
		want map[string]string
		n    int
	}{
		{"with a role", client.AWSRequest{Role: role, SessionName: "s-1", Duration: 30 * time.Minute},
			map[string]string{"RoleSessionName": "s-1", "DurationSeconds": "1800"}, 1},
		{"with the rules' role", client.AWSRequest{}, map[string]string{"RoleSessionName": "stint", "DurationSeconds": ""}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url, requests := doors(t,
				answer(200, "application/json", `{"access_token":"`+stint+`","issued_token_type":"`+typeJWT+`","expires_in":300}`),
				func(w http.ResponseWriter, r *http.Request) {
					tt.want["Action"], tt.want["RoleArn"], tt.want["WebIdentityToken"] = "AssumeRoleWithWebIdentity", role, "a.b.c"
					for k, v := range tt.want {
						if got := r.FormValue(k); got != v {
							t.Errorf("%s=%q, want %q", k, got, v)
						}
					}
					answer(200, "text/xml", assumed)(w, r)
				})
			got, err := client.Broker{URL: url}.AssumeRole(t.Context(), "a.b.c", tt.req)
			if err != nil {
				t.Fatal(err)
			}
			want := client.AWSCredentials{
				AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "the-secret", SessionToken: "the-session",
				Expires:        time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC),
				AssumedRoleARN: "arn:aws:sts::111111111111:assumed-role/deploy/s1",
			}
			if got != want {
				t.Errorf("credentials %+v", got)
			}
			if requests.Load() != int64(tt.n) {
				t.Errorf("%d requests, want %d", requests.Load(), tt.n)
			}
		})
	}
}

func TestAssumeRoleDenied(t *testing.T) {
	const notAuthorized = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	explained := answer(400, "application/json", `{"error":"invalid_target","error_description":"d","denial":{"record":"01H","reason":"no_rule_matched","detail":"no rule matches"}}`)
	tests := []struct {
		name       string
		token, sts http.HandlerFunc
		reason     string // empty: not explained
		code       string
	}{
		{"by the broker", explained, stsError(403, "AccessDenied", notAuthorized+": no rule matches (record 01G)"), "no_rule_matched", "invalid_target"},
		{"by the broker, which then is gone", answer(503, "text/plain", ""), stsError(403, "AccessDenied", notAuthorized+": no (record 01G)"), "", "AccessDenied"},
		{"by AWS", unexpected(t), stsError(403, "AccessDenied", notAuthorized+". AWS STS refused what the rule deploy-prod gave: the broker does not see the trust policy. Record 01H"), "", "AccessDenied"},
		{"by AWS, with an older broker", unexpected(t), stsError(403, "AccessDenied", notAuthorized), "", "AccessDenied"},
		{"token not accepted", unexpected(t), stsError(400, "InvalidIdentityToken", "x"), "", "InvalidIdentityToken"},
		{"token expired", unexpected(t), stsError(400, "ExpiredTokenException", "x"), "", "ExpiredTokenException"},
		{"claim rejected", unexpected(t), stsError(403, "IDPRejectedClaim", "x"), "", "IDPRejectedClaim"},
		{"session too large", unexpected(t), stsError(400, "PackedPolicyTooLarge", "x"), "", "PackedPolicyTooLarge"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url, requests := doors(t, tt.token, tt.sts)
			var w waits
			_, err := client.Broker{URL: url, Retry: w.retry()}.AssumeRole(t.Context(), "a.b.c", client.AWSRequest{Role: role})
			var d *client.DeniedError
			if !errors.As(err, &d) || d.Reason != tt.reason || d.Code != tt.code {
				t.Errorf("error %v (%+v), want a denial %s %s", err, d, tt.code, tt.reason)
			} else if d.Upstream != (tt.name == "by AWS") {
				t.Errorf("the role's trust policy denied: %v", d.Upstream)
			}
			if requests.Load() > 2 || len(w) > 0 {
				t.Errorf("%d requests, %d waits: a denial is not tried again", requests.Load(), len(w))
			}
		})
	}
}

func TestAssumeRoleFailures(t *testing.T) {
	tests := []struct {
		name     string
		sts      http.HandlerFunc
		code     string
		requests int
	}{
		{"AWS finds the request wrong", stsError(400, "ValidationError", "x"), "ValidationError", 1},
		{"unavailable", stsError(503, "ServiceUnavailable", "x"), "ServiceUnavailable", 4},
		{"the issuer is out of reach", stsError(400, "IDPCommunicationError", "x"), "IDPCommunicationError", 4},
		{"throttled", stsError(400, "Throttling", "x"), "Throttling", 4},
		{"gateway", answer(502, "text/html", "<html>"), "", 4},
		{"no credentials", answer(200, "text/xml", `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`), "", 1},
		{"over 4 MiB", answer(200, "text/xml", assumed[:200]+strings.Repeat(" ", 4<<20)+assumed[200:]), "", 1},
		{"HTML", answer(200, "text/html", "<html></html>"), "", 1},
		{"nothing", answer(200, "text/xml", ""), "", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url, requests := doors(t, unexpected(t), tt.sts)
			var w waits
			creds, err := client.Broker{URL: url, Retry: w.retry()}.AssumeRole(t.Context(), "a.b.c", client.AWSRequest{Role: role})
			if err == nil || creds != (client.AWSCredentials{}) {
				t.Fatalf("credentials came back: %v", err)
			}
			var d *client.DeniedError
			if errors.As(err, &d) {
				t.Errorf("error %v: not a denial", err)
			}
			var b *client.BrokerError
			if tt.code != "" && (!errors.As(err, &b) || b.Code != tt.code) {
				t.Errorf("error %v, want code %s", err, tt.code)
			}
			if requests.Load() != int64(tt.requests) {
				t.Errorf("%d requests, want %d (%v)", requests.Load(), tt.requests, err)
			}
			if strings.Contains(err.Error(), "a.b.c") {
				t.Errorf("the error repeats the token: %v", err)
			}
		})
	}
}

func TestAssumeRoleDuration(t *testing.T) {
	url, requests := serve(t, answer(200, "text/xml", assumed))
	for _, d := range []time.Duration{-time.Hour, time.Second, 15*time.Minute - time.Second, 12*time.Hour + time.Second, time.Hour + time.Millisecond} {
		var setting *client.SettingError
		if _, err := (client.Broker{URL: url}).AssumeRole(t.Context(), "a.b.c", client.AWSRequest{Role: role, Duration: d}); !errors.As(err, &setting) {
			t.Errorf("%s: error %v", d, err)
		}
	}
	if requests.Load() != 0 {
		t.Errorf("%d requests", requests.Load())
	}
}

type tokens struct {
	asked []string
}

func (s *tokens) JobToken(_ context.Context, audience string) (client.Secret, error) {
	s.asked = append(s.asked, audience)
	return "a.b.c", nil
}

func TestProvider(t *testing.T) {
	url, _ := doors(t, unexpected(t), answer(200, "text/xml", assumed))
	var source tokens
	p := client.NewAWSProvider(&client.Job{Tokens: &source, Broker: client.Broker{URL: url}, Role: role}, client.AWSRequest{})
	for range 2 {
		got, err := p.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := aws.Credentials{
			AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "the-secret", SessionToken: "the-session",
			Source: "stint", CanExpire: true, Expires: time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC),
		}
		if got != want {
			t.Errorf("credentials differ")
		}
	}
	if len(source.asked) != 2 || source.asked[0] != url || source.asked[1] != url {
		t.Errorf("job tokens asked for: %q, want a fresh one each time, for the broker's address", source.asked)
	}
}

func TestFromEnv(t *testing.T) {
	env := map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x.example/?a=b", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": requestToken,
		"STINT_URL": "https://stint.example.com", "STINT_AUDIENCE": "stint", "STINT_ROLE": role,
	}
	job, err := client.FromEnv(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if job.Audience != "stint" || job.Role != role || job.Broker.URL != "https://stint.example.com" {
		t.Errorf("%+v", job)
	}
	delete(env, "STINT_URL")
	var setting *client.SettingError
	if _, err := client.FromEnv(func(name string) string { return env[name] }); !errors.As(err, &setting) {
		t.Errorf("without STINT_URL: error %v", err)
	}
	var notInJob *client.NotInJobError
	if _, err := client.FromEnv(func(string) string { return "" }); !errors.As(err, &notInJob) {
		t.Errorf("without anything: error %v", err)
	}
}

func TestNoJobTokenForABadBroker(t *testing.T) {
	var source tokens
	job := client.Job{Tokens: &source, Broker: client.Broker{URL: "http://stint.example.com"}}
	if _, err := job.Token(t.Context(), client.ExchangeRequest{}); err == nil {
		t.Error("a token came back")
	}
	if _, err := job.AWS(t.Context(), client.AWSRequest{}); err == nil {
		t.Error("credentials came back")
	}
	if len(source.asked) != 0 {
		t.Error("a job token was asked for that could be sent nowhere")
	}
}
