package mint_test

import (
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
)

const poolID = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f"

func assumed(arn string) string {
	s := strings.ReplaceAll(success(arn), "AssumeRoleWithWebIdentity", "AssumeRole")
	before, rest, _ := strings.Cut(s, "<SubjectFromWebIdentityToken>")
	_, after, _ := strings.Cut(rest, "</SubjectFromWebIdentityToken>")
	return before + after
}

func newSigningSTS(endpoint string) *mint.STS {
	return mint.NewSTS(mint.STSConfig{
		Region: "us-east-1", Endpoint: endpoint, Timeout: 20 * time.Second, Backoff: func(int) time.Duration { return 0 },
		Credentials: credentials.NewStaticCredentialsProvider("ASIABROKER", "broker-secret", "broker-session"),
	})
}

// TestAssume: the whole session goes along, signed with the broker's own
// credentials.
func TestAssume(t *testing.T) {
	grant := recorded(t, "assumed", rules.Request{Policy: `{"Version":"2012-10-17"}`, PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}})
	s := newScripted(t, answer{status: 200, body: assumed(deployARN)})
	got, err := newSigningSTS(s.URL).Assume(t.Context(), grant)
	must(t, err)
	if want := (mint.Credentials{
		AccessKeyID: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: secretKey, SessionToken: sessionToken, Expires: start.Add(30 * time.Minute),
		AssumedRoleARN: deployARN, AssumedRoleID: "AROAEXAMPLEID12345678:octo-repo-1",
		SourceIdentity: "12", SessionTokenSize: 1234, Utilization: 30, RequestID: "request-1",
	}); got != want {
		t.Errorf("expected other credentials; their ids: %v and %v", want, got)
	}
	want := url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {deployRole}, "RoleSessionName": {"octo-repo-1"}, "DurationSeconds": {"1800"},
		"ExternalId": {"stint-prod"}, "SourceIdentity": {"12"}, "Policy": {`{"Version":"2012-10-17"}`}, "PolicyArns.member.1.arn": {"arn:aws:iam::aws:policy/ReadOnlyAccess"},
		"Tags.member.1.Key": {"env"}, "Tags.member.1.Value": {"assumed"}, "Tags.member.2.Key": {"repository"}, "Tags.member.2.Value": {"octo-org/octo-repo"},
		"TransitiveTagKeys.member.1": {"repository"},
	}
	if len(s.forms) != 1 || s.forms[0].Encode() != want.Encode() {
		t.Errorf("expected one request with %v, found %v", want, s.forms)
	}
	if sig := s.headers[0].Get("Authorization"); !strings.Contains(sig, "Credential=ASIABROKER/") || s.headers[0].Get("X-Amz-Security-Token") != "broker-session" {
		t.Errorf("not signed with the broker's credentials: %q", sig)
	}
}

// TestAssumeRefuses: no credentials of its own, a grant of another way,
// credentials of another role, and AWS's own no.
func TestAssumeRefuses(t *testing.T) {
	grant := recorded(t, "assumed", rules.Request{})
	s := newScripted(t, answer{status: 200, body: assumed("arn:aws:sts::111111111111:assumed-role/other/octo-repo-1")},
		answer{status: 403, body: failure("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole")})
	if _, err := newSTS(s.URL, io.Discard).Assume(t.Context(), grant); err == nil || s.attempts() > 0 {
		t.Errorf("without credentials: %v after %d requests", err, s.attempts())
	}
	other, token := purchase(t, "prod", rules.Request{})
	if _, err := newSigningSTS(s.URL).Assume(t.Context(), other); err == nil || s.attempts() > 0 {
		t.Errorf("a grant by web identity: %v", err)
	}
	c := newClock()
	if _, err := newMinter(newKeys(t, &memory{}, "ES256", c.now), c.now).Sign(grant); err == nil {
		t.Error("a token was signed for a role that none buys")
	}
	if _, err := newSTS(s.URL, io.Discard).Buy(t.Context(), grant, token); err == nil || s.attempts() > 0 {
		t.Errorf("bought with another grant's token: %v", err)
	}
	var answer *mint.AnswerError
	if _, err := newSigningSTS(s.URL).Assume(t.Context(), grant); !errors.As(err, &answer) {
		t.Errorf("credentials of another role: %v", err)
	}
	var denied *mint.STSError
	if _, err := newSigningSTS(s.URL).Assume(t.Context(), grant); !errors.As(err, &denied) || denied.Code != "AccessDenied" || !strings.Contains(denied.Message, "sts:AssumeRole") {
		t.Errorf("a denial: %v", err)
	}
}

// TestPoolToken: what a pool's tokens say, in both flows.
func TestPoolToken(t *testing.T) {
	for _, basic := range []bool{false, true} {
		var identityID string
		grant := decided(t, "prod", func(set *rules.Set, claims identity.Claims) rules.Decision {
			p, _ := set.Pool(poolID)
			v, _ := p.Provider("token.actions.githubusercontent.com")
			identityID = p.IdentityID("https://token.actions.githubusercontent.com", "repo:octo-org/octo-repo:environment:prod")
			return v.Decide(claims, rules.Request{Time: start}, basic)
		})
		c := newClock()
		keys, err := mint.NewKeys(t.Context(), mint.KeysConfig{Store: &memory{}, Algorithm: "ES256", RotateEvery: 30 * 24 * time.Hour, TokenLifetime: mint.PoolTokenLifetime, Now: c.now})
		must(t, err)
		token, err := newMinter(keys, c.now).Sign(grant)
		must(t, err)
		claims := jwt.MapClaims{}
		_, _, err = jwt.NewParser().ParseUnverified(token.Raw, claims)
		must(t, err)
		amr, _ := claims["amr"].([]any)
		if claims["sub"] != identityID || claims["aud"] != poolID || len(amr) != 3 || amr[0] != "authenticated" ||
			amr[2] != "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com:OIDC:repo:octo-org/octo-repo:environment:prod" ||
			claims["https://cognito-identity.amazonaws.com/identity-pool-arn"] != "arn:aws:cognito-identity:eu-central-1:111111111111:identitypool/"+poolID {
			t.Errorf("basic %v: %v", basic, claims)
		}
		if life := token.Expires.Sub(token.IssuedAt); life != 10*time.Minute {
			t.Errorf("it lives %s", life)
		}
		_, limited := claims["https://aws.amazon.com/roles"]
		if limited == basic {
			t.Errorf("basic %v: it names the roles that it may buy: %v", basic, limited)
		}
		if _, tagged := claims["https://aws.amazon.com/tags"]; !tagged {
			t.Errorf("basic %v: no tags", basic)
		}
	}
}
