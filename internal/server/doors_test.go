package server_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/emulator/github"
	"github.com/stint-dev/stint/internal/store"
)

// TestTokenDoor: a granted job gets a stint token that carries the session,
// and the record holds what was issued.
func TestTokenDoor(t *testing.T) {
	h := newHarness(t)
	a := h.post("/token", exchangeForm(h.token()))
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	var got struct {
		AccessToken     string `json:"access_token"`
		IssuedTokenType string `json:"issued_token_type"`
		TokenType       string `json:"token_type"`
		ExpiresIn       int    `json:"expires_in"`
	}
	must(t, json.Unmarshal([]byte(a.body), &got))
	if got.IssuedTokenType != "urn:ietf:params:oauth:token-type:jwt" || got.TokenType != "N_A" || got.ExpiresIn != 300 {
		t.Errorf("got %+v", got)
	}
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(got.AccessToken, claims)
	must(t, err)
	for name, want := range map[string]string{
		"iss":                          `"https://stint.example.com"`,
		"sub":                          `"github:repo:octo-org/octo-repo:environment:prod"`,
		"aud":                          `"sts.amazonaws.com"`,
		"https://aws.amazon.com/roles": `["arn:aws:iam::111111111111:role/deploy"]`,
		"https://aws.amazon.com/tags":  `{"principal_tags":{"env":["prod"],"repository":["octo-org/octo-repo"]},"transitive_tag_keys":["repository"]}`,
	} {
		if text(claims[name]) != want {
			t.Errorf("%s is %s, want %s", name, text(claims[name]), want)
		}
	}
	r := h.last()
	if r.Verdict != audit.Allowed || r.Rule != "deploy-prod" || r.Outcome == nil || !r.Outcome.Issued || r.Outcome.TokenID != claims["jti"] {
		t.Errorf("recorded %s", text(r))
	}
	if r.Caller.Repository != "octo-org/octo-repo" || !r.Caller.Verified || r.Caller.RunID == "" || len(r.Caller.TokenSHA256) != 64 {
		t.Errorf("recorded the caller %s", text(r.Caller))
	}
	if strings.Contains(text(r), strings.Split(got.AccessToken, ".")[2]) {
		t.Error("the record holds the stint token")
	}
}

// TestAudience: the caller names the aud of the stint token.
func TestAudience(t *testing.T) {
	h := newHarness(t)
	form := exchangeForm(h.token())
	form.Set("audience", "https://vault.example.com")
	a := h.post("/token", form)
	var got struct {
		AccessToken string `json:"access_token"`
	}
	must(t, json.Unmarshal([]byte(a.body), &got))
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(got.AccessToken, claims)
	must(t, err)
	if claims["aud"] != "https://vault.example.com" {
		t.Errorf("aud is %v", claims["aud"])
	}
}

// TestSTSDoor: an unchanged SDK gets credentials with a GitHub token, and they
// are the session that the rule describes, whatever the client asked for.
func TestSTSDoor(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	endpoint := h.url + "/aws/sts"
	door := sts.New(sts.Options{Region: "eu-central-1", BaseEndpoint: &endpoint, Credentials: aws.AnonymousCredentials{}})
	out, err := door.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(deployRole), RoleSessionName: aws.String("from-the-client"),
		WebIdentityToken: aws.String(h.token()), DurationSeconds: aws.Int32(3600),
	})
	must(t, err)
	session := "octo-repo-" + h.last().Caller.RunID
	if got := aws.ToString(out.AssumedRoleUser.Arn); got != "arn:aws:sts::111111111111:assumed-role/deploy/"+session {
		t.Errorf("assumed %s", got)
	}
	if left := out.Credentials.Expiration.Sub(h.clock()); left != 30*time.Minute {
		t.Errorf("the credentials last %s, and the rule says 30m", left)
	}
	direct := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &h.stsURL, Credentials: credentials.NewStaticCredentialsProvider(
		*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)})
	who, err := direct.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	must(t, err)
	if *who.Arn != *out.AssumedRoleUser.Arn {
		t.Errorf("the credentials are %s", *who.Arn)
	}
	r := h.last()
	if r.Asked.SessionName != "from-the-client" || r.Asked.Seconds != 3600 || r.Granted.Seconds != 1800 || r.Granted.SessionName != session {
		t.Errorf("recorded %s", text(r))
	}
	if r.Outcome == nil || r.Outcome.AccessKeyID != *out.Credentials.AccessKeyId || r.Outcome.Expires == nil {
		t.Errorf("recorded the outcome %s", text(r.Outcome))
	}
	for _, secret := range []string{*out.Credentials.SecretAccessKey, *out.Credentials.SessionToken} {
		if strings.Contains(text(r), secret) {
			t.Error("the record holds a secret")
		}
	}
}

// TestUpstream: what AWS refuses reaches the caller as AWS said it, and the
// record too.
func TestUpstream(t *testing.T) {
	h := newHarness(t)
	form := stsForm(h.sign(h.payload(github.Job{Environment: "ghost"}), nil))
	form.Set("RoleArn", "arn:aws:iam::111111111111:role/ghost")
	a := h.post("/aws/sts", form)
	code, message := a.sts(t)
	if a.status != 403 || code != "AccessDenied" || !strings.HasPrefix(message, notAuthorized+". AWS STS refused what the rule ") ||
		!strings.Contains(message, "'stint explain") || strings.Contains(message, "(record ") {
		t.Errorf("got %d %s %q", a.status, code, message)
	}
	r := h.last()
	if r.Verdict != audit.Allowed || r.Outcome == nil || r.Outcome.Issued || r.Outcome.ErrorCode != "AccessDenied" {
		t.Errorf("recorded %s", text(r))
	}
}

func (a answer) sts(t *testing.T) (code, message string) {
	t.Helper()
	var e struct {
		Error struct{ Code, Message string }
	}
	if err := xml.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return e.Error.Code, e.Error.Message
}

// TestBadRequests: what no protocol allows is refused in the protocol's words,
// recorded, and leaves the broker serving.
func TestBadRequests(t *testing.T) {
	h := newHarness(t)
	big := strings.Repeat("x", 64<<10)
	oauth := func(name, value string) url.Values {
		f := exchangeForm("a.b.c")
		if f.Set(name, value); value == "" {
			f.Del(name)
		}
		return f
	}
	aws := func(name, value string) url.Values {
		f := stsForm(h.token())
		if f.Set(name, value); value == "" {
			f.Del(name)
		}
		return f
	}
	cases := []struct {
		name   string
		path   string
		form   url.Values
		status int
		code   string
		says   string
		reason string
	}{
		{"body too large", "/token", url.Values{"subject_token": {big}}, 413, "invalid_request", "larger than 65536 bytes", "body_too_large"},
		{"token too large", "/token", oauth("subject_token", big[:16<<10+1]), 400, "invalid_request", "too large", "malformed_token"},
		{"no token", "/token", oauth("subject_token", ""), 400, "invalid_request", "subject_token", "no_token"},
		{"no grant type", "/token", oauth("grant_type", ""), 400, "invalid_request", "grant_type", "unsupported_grant_type"},
		{"another grant type", "/token", oauth("grant_type", "client_credentials"), 400, "unsupported_grant_type", "grant_type", "unsupported_grant_type"},
		{"no token type", "/token", oauth("subject_token_type", ""), 400, "invalid_request", "subject_token_type", "bad_token_type"},
		{"another token type", "/token", oauth("requested_token_type", "urn:ietf:params:oauth:token-type:saml2"), 400, "invalid_request", "requested_token_type", "bad_token_type"},
		{"an actor", "/token", oauth("actor_token", "x"), 400, "invalid_request", "actor_token", "actor_token"},
		{"two tokens", "/token", url.Values{"subject_token": {"a", "b"}}, 400, "invalid_request", "more than once", "doubled_parameter"},
		{"two roles", "/token", url.Values{"resource": {"a", "b"}}, 400, "invalid_target", "more than once", "doubled_parameter"},
		{"an audience with a space", "/token", withToken(exchangeForm(h.token()), "audience", "a b"), 400, "invalid_target", "audience", "audience_refused"},
		{"an audience without end", "/token", withToken(exchangeForm(h.token()), "audience", strings.Repeat("a", 300)), 400, "invalid_target", "audience", "audience_refused"},
		{"a role that no rule lists", "/token", withToken(exchangeForm(h.token()), "resource", "arn:aws:iam::111111111111:role/admin"), 400, "invalid_target", "admin", "role_not_listed"},

		{"body too large", "/aws/sts", url.Values{"WebIdentityToken": {big}}, 413, "MalformedInput", "larger than 65536 bytes", "body_too_large"},
		{"no action", "/aws/sts", aws("Action", ""), 400, "MissingAction", "Action", "invalid_action"},
		{"another action", "/aws/sts", aws("Action", "GetCallerIdentity"), 400, "InvalidAction", "Could not find operation GetCallerIdentity for version 2011-06-15", "invalid_action"},
		{"no version", "/aws/sts", aws("Version", ""), 400, "InvalidAction", "for version NO_VERSION_SPECIFIED", "invalid_action"},
		{"no token", "/aws/sts", aws("WebIdentityToken", ""), 400, "ValidationError", "Value null at 'webIdentityToken' failed to satisfy constraint: Member must not be null", "invalid_parameter"},
		{"token over AWS's limit", "/aws/sts", aws("WebIdentityToken", big[:20001]), 400, "ValidationError", "Value at 'webIdentityToken' failed to satisfy constraint: Member must have length less than or equal to 20000", "invalid_parameter"},
		{"token over ours", "/aws/sts", aws("WebIdentityToken", big[:16<<10+1]), 400, "InvalidIdentityToken", notAJWT, "malformed_token"},
		{"no role", "/aws/sts", aws("RoleArn", ""), 400, "ValidationError", "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null", "invalid_parameter"},
		{"a role too short", "/aws/sts", aws("RoleArn", "x"), 400, "ValidationError", "1 validation error detected: Value 'x' at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20", "invalid_parameter"},
		{"no ARN", "/aws/sts", aws("RoleArn", "deploy-role-of-octo-org"), 400, "ValidationError", "Request ARN is invalid", "invalid_parameter"},
		{"a role that no rule lists", "/aws/sts", aws("RoleArn", "arn:aws:iam::111111111111:role/admin"), 403, "AccessDenied", notAuthorized + ": ", "role_not_listed"},
		{"session name too short", "/aws/sts", aws("RoleSessionName", "x"), 400, "ValidationError", "Value 'x' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2", "invalid_parameter"},
		{"session name too long", "/aws/sts", aws("RoleSessionName", big[:65]), 400, "ValidationError", "Member must have length less than or equal to 64", "invalid_parameter"},
		{"session name with a space", "/aws/sts", aws("RoleSessionName", "a b"), 400, "ValidationError", `Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`, "invalid_parameter"},
		{"duration too short", "/aws/sts", aws("DurationSeconds", "899"), 400, "ValidationError", "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900", "invalid_parameter"},
		{"duration too long", "/aws/sts", aws("DurationSeconds", "43201"), 400, "ValidationError", "Member must have value less than or equal to 43200", "invalid_parameter"},
		{"duration no number", "/aws/sts", aws("DurationSeconds", "1h"), 400, "MalformedInput", "", "invalid_parameter"},
		{"session policy too long", "/aws/sts", aws("Policy", big[:2049]), 400, "ValidationError", "at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048", "invalid_parameter"},
		{"two broken constraints", "/aws/sts", url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"x"}, "RoleSessionName": {"x"}, "WebIdentityToken": {"aaaa"}}, 400, "ValidationError", "2 validation errors detected: ", "invalid_parameter"},
	}
	for _, c := range cases {
		t.Run(c.path+" "+c.name, func(t *testing.T) {
			a := h.post(c.path, c.form)
			code, message := "", ""
			if c.path == "/token" {
				code, message, _ = a.oauth(t)
			} else {
				code, message = a.sts(t)
			}
			if a.status != c.status || code != c.code || !strings.Contains(message, c.says) {
				t.Errorf("got %d %s %q, want %d %s %q", a.status, code, message, c.status, c.code, c.says)
			}
			if r := h.last(); r.Verdict != audit.Denied || r.Reason != c.reason {
				t.Errorf("recorded %s %s, want denied %s", r.Verdict, r.Reason, c.reason)
			}
		})
	}
	if a := h.post("/token", exchangeForm(h.token())); a.status != http.StatusOK {
		t.Errorf("afterwards a good request answers %d %s", a.status, a.body)
	}
}

func withToken(f url.Values, name, value string) url.Values {
	f.Set(name, value)
	return f
}

// TestNotAForm: other content types, methods and truncated bodies.
func TestNotAForm(t *testing.T) {
	h := newHarness(t)
	for _, path := range []string{"/token", "/aws/sts"} {
		if a := h.send(http.MethodPost, path, "application/json", strings.NewReader("{}")); a.status != 400 {
			t.Errorf("%s: JSON answers %d", path, a.status)
		}
		if a := h.send(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader("a=%zz")); a.status != 400 {
			t.Errorf("%s: a broken form answers %d", path, a.status)
		}
		if a := h.send(http.MethodGet, path+"?"+stsForm(h.token()).Encode(), "", nil); a.status != 405 || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: GET answers %d", path, a.status)
		}
	}
}

// TestDiscovery: what verifiers read is there, and may be cached.
func TestDiscovery(t *testing.T) {
	h := newHarness(t)
	var doc map[string]any
	a := h.send(http.MethodGet, "/.well-known/openid-configuration", "", nil)
	must(t, json.Unmarshal([]byte(a.body), &doc))
	for _, name := range []string{"issuer", "jwks_uri", "response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"} {
		if doc[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	if doc["issuer"] != brokerIssuer || doc["jwks_uri"] != brokerIssuer+"/.well-known/jwks" {
		t.Errorf("got %v", doc)
	}
	a = h.send(http.MethodGet, "/.well-known/jwks", "", nil)
	var set struct{ Keys []map[string]any }
	must(t, json.Unmarshal([]byte(a.body), &set))
	if len(set.Keys) != 1 || set.Keys[0]["alg"] != "ES256" || set.Keys[0]["d"] != nil || a.header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("got %v %s", a.header, a.body)
	}
}

// brokenStore fails to write what it is told to.
type brokenStore struct {
	audit.Store
	records, outcomes *atomic.Bool
}

func (s brokenStore) AppendRecord(ctx context.Context, r *audit.Record) error {
	if s.records.Load() {
		return errors.New("disk full")
	}
	return s.Store.AppendRecord(ctx, r)
}

func (s brokenStore) AppendOutcome(ctx context.Context, id string, o audit.Outcome) error {
	if s.outcomes.Load() {
		return errors.New("disk full")
	}
	return s.Store.AppendOutcome(ctx, id, o)
}

// TestNoRecordNoCredentials: nothing leaves that is not durably on record, and
// AWS is not even asked before the decision is.
func TestNoRecordNoCredentials(t *testing.T) {
	var records, outcomes atomic.Bool
	var asked atomic.Int32
	h := newHarness(t, func(c *harnessConfig) {
		c.wrapStore = func(s store.Store) audit.Store { return brokenStore{s, &records, &outcomes} }
		c.aws = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIASECRETKEY</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>AROA:octo-repo-1</AssumedRoleId><Arn>arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-1</Arn></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
		})
	})
	for _, c := range []struct {
		name              string
		records, outcomes bool
		asked             int32
	}{{"the decision", true, false, 0}, {"the outcome", false, true, 1}} {
		t.Run(c.name, func(t *testing.T) {
			records.Store(c.records)
			outcomes.Store(c.outcomes)
			asked.Store(0)
			for _, a := range []answer{h.post("/token", exchangeForm(h.token())), h.post("/aws/sts", stsForm(h.token()))} {
				if a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "access_token") || strings.Contains(a.body, "ASIA") {
					t.Errorf("got %d %s", a.status, a.body)
				}
			}
			if asked.Load() != c.asked {
				t.Errorf("AWS was asked %d times", asked.Load())
			}
		})
	}
}

// TestHealth: a broker that cannot write a record is alive and not ready.
func TestHealth(t *testing.T) {
	h := newHarness(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := h.send(http.MethodGet, path, "", nil); a.status != http.StatusOK {
			t.Errorf("%s answers %d", path, a.status)
		}
	}
	must(t, h.store.Close())
	if a := h.send(http.MethodGet, "/readyz", "", nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("without a store, /readyz answers %d", a.status)
	}
	if a := h.send(http.MethodGet, "/healthz", "", nil); a.status != http.StatusOK {
		t.Errorf("without a store, /healthz answers %d", a.status)
	}
}
