package mint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
)

const (
	secretKey    = "wJalrXUtnFEMI-example-secret-access-key"
	sessionToken = "FwoGZXIvYXdzEXAMPLE-example-session-token"
	couldNotRead = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
)

func success(arn string) string {
	return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <Credentials><AccessKeyId>ASIAEXAMPLEEXAMPLE00</AccessKeyId><SecretAccessKey>` + secretKey + `</SecretAccessKey>
      <SessionToken>` + sessionToken + `</SessionToken><Expiration>2026-03-01T12:30:00Z</Expiration></Credentials>
    <SubjectFromWebIdentityToken>` + deploySub + `</SubjectFromWebIdentityToken>
    <AssumedRoleUser><AssumedRoleId>AROAEXAMPLEID12345678:octo-repo-1</AssumedRoleId><Arn>` + arn + `</Arn></AssumedRoleUser>
    <SessionTokenSize>1234</SessionTokenSize><SessionTokenUtilization>30</SessionTokenUtilization>
    <Provider>arn:aws:iam::111111111111:oidc-provider/stint.example.com</Provider><Audience>sts.amazonaws.com</Audience>
    <SourceIdentity>12</SourceIdentity>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>`
}

func failure(code, message string) string {
	if message != "" {
		message = "<Message>" + message + "</Message>"
	}
	return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` + code + `</Code>` +
		message + `</Error><RequestId>request-1</RequestId></ErrorResponse>`
}

// answer is one answer of a scripted STS.
type answer struct {
	status int
	body   string
	do     http.HandlerFunc // in place of both
}

// requestID is the id in the body; the service sends it in a header too.
func (a answer) requestID() string {
	_, rest, _ := strings.Cut(a.body, "<RequestId>")
	id, _, _ := strings.Cut(rest, "<")
	return id
}

// scripted is an STS on loopback that gives the answers in turn, and the last
// one again and again.
type scripted struct {
	*httptest.Server
	mu      sync.Mutex
	answers []answer
	forms   []url.Values
	headers []http.Header
}

func newScripted(t *testing.T, answers ...answer) *scripted {
	t.Helper()
	s := &scripted{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" || r.Method != http.MethodPost {
			t.Errorf("expected a form in the body of a POST, found %s %s, %v", r.Method, r.URL, err)
		}
		s.mu.Lock()
		a := s.answers[min(len(s.forms), len(s.answers)-1)]
		s.forms = append(s.forms, r.PostForm)
		s.headers = append(s.headers, r.Header.Clone())
		s.mu.Unlock()
		if a.do != nil {
			a.do(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		w.Header().Set("X-Amzn-Requestid", a.requestID())
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *scripted) attempts() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.forms) }

// purchase is a recorded grant and its token.
func purchase(t testing.TB, environment string, want rules.Request) (audit.Recorded, mint.Token) {
	t.Helper()
	c := newClock()
	grant := recorded(t, environment, want)
	token, err := newMinter(newKeys(t, &memory{}, "ES256", c.now), c.now).Sign(grant)
	must(t, err)
	return grant, token
}

func newSTS(endpoint string, log io.Writer) *mint.STS {
	return mint.NewSTS(mint.STSConfig{
		Region: "us-east-1", Endpoint: endpoint, Timeout: 20 * time.Second,
		Backoff: func(int) time.Duration { return 0 },
		Log:     slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
}

func TestBuy(t *testing.T) {
	grant, token := purchase(t, "prod", rules.Request{
		Policy: `{"Version":"2012-10-17"}`, PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/SecurityAudit"},
	})
	s := newScripted(t, answer{status: 200, body: success(deployARN)})
	got, err := newSTS(s.URL, io.Discard).Buy(t.Context(), grant, token)
	must(t, err)
	if want := (mint.Credentials{
		AccessKeyID: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: secretKey, SessionToken: sessionToken, Expires: start.Add(30 * time.Minute),
		AssumedRoleARN: deployARN, AssumedRoleID: "AROAEXAMPLEID12345678:octo-repo-1",
		Provider: "arn:aws:iam::111111111111:oidc-provider/stint.example.com", Audience: "sts.amazonaws.com", SubjectFromToken: deploySub,
		SourceIdentity: "12", SessionTokenSize: 1234, Utilization: 30, RequestID: "request-1",
	}); got != want {
		t.Errorf("expected other credentials; their ids: %v and %v", want, got)
	}
	want := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {deployRole}, "RoleSessionName": {"octo-repo-1"},
		"DurationSeconds": {"1800"}, "WebIdentityToken": {token.Raw}, "Policy": {`{"Version":"2012-10-17"}`},
		"PolicyArns.member.1.arn": {"arn:aws:iam::aws:policy/ReadOnlyAccess"}, "PolicyArns.member.2.arn": {"arn:aws:iam::aws:policy/SecurityAudit"},
	}
	if len(s.forms) != 1 || s.forms[0].Encode() != want.Encode() {
		t.Errorf("expected one request with %v", want)
	}
}

// Neither the environment nor the files of the AWS command line change what is
// sent, or where to.
func TestNoAmbientCredentials(t *testing.T) {
	elsewhere := newScripted(t, answer{status: 500})
	home := t.TempDir()
	must(t, os.Mkdir(filepath.Join(home, ".aws"), 0o700))
	for _, name := range []string{"credentials", "config"} {
		must(t, os.WriteFile(filepath.Join(home, ".aws", name), []byte("[default]\naws_access_key_id = AKIAAMBIENTAMBIENT00\n"+
			"aws_secret_access_key = ambient\nendpoint_url = "+elsewhere.URL+"\n"), 0o600))
	}
	for name, value := range map[string]string{
		"HOME": home, "AWS_ACCESS_KEY_ID": "AKIAAMBIENTAMBIENT00", "AWS_SECRET_ACCESS_KEY": "ambient", "AWS_SESSION_TOKEN": "ambient",
		"AWS_ENDPOINT_URL": elsewhere.URL, "AWS_ENDPOINT_URL_STS": elsewhere.URL, "AWS_REGION": "eu-west-1", "AWS_PROFILE": "default",
		"AWS_MAX_ATTEMPTS": "9", "AWS_EC2_METADATA_SERVICE_ENDPOINT": elsewhere.URL,
	} {
		t.Setenv(name, value)
	}
	grant, token := purchase(t, "prod", rules.Request{})
	s := newScripted(t, answer{status: 503}, answer{status: 200, body: success(deployARN)})
	_, err := newSTS(s.URL, io.Discard).Buy(t.Context(), grant, token)
	must(t, err)
	for i, h := range s.headers {
		all := fmt.Sprint(h, s.forms[i])
		if h.Get("Authorization") != "" || h.Get("X-Amz-Security-Token") != "" || strings.Contains(strings.ToLower(all), "ambient") {
			t.Error("expected an unsigned request without ambient credentials")
		}
	}
	if n := elsewhere.attempts(); n != 0 {
		t.Errorf("expected no request to the endpoint of the environment, found %d", n)
	}
}

func TestRegionsEndpoint(t *testing.T) {
	grant, token := purchase(t, "prod", rules.Request{})
	for region, want := range map[string]string{
		"us-east-1": "https://sts.us-east-1.amazonaws.com/", "eu-central-1": "https://sts.eu-central-1.amazonaws.com/",
		"cn-north-1": "https://sts.cn-north-1.amazonaws.com.cn/", "us-gov-west-1": "https://sts.us-gov-west-1.amazonaws.com/",
	} {
		var found string
		client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			found = r.URL.String()
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(success(deployARN))), Request: r}, nil
		})}
		_, err := mint.NewSTS(mint.STSConfig{Region: region, HTTP: client}).Buy(t.Context(), grant, token)
		must(t, err)
		if found != want {
			t.Errorf("%s: expected %s, found %s", region, want, found)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestErrorsOfSTS: the code and the message come through letter for letter,
// and only what is transient is tried again.
func TestErrorsOfSTS(t *testing.T) {
	grant, token := purchase(t, "prod", rules.Request{})
	for _, tc := range []struct {
		status        int
		code, message string
		attempts      int
	}{
		{403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 1},
		{403, "AccessDenied", "Not authorized to perform sts:TagSession", 1},
		{400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://stint.example.com", 1},
		{400, "InvalidIdentityToken", "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.", 1},
		{400, "InvalidIdentityToken", "Incorrect token audience", 1},
		{400, "InvalidIdentityToken", "principal_tags passed in claim is not in correct format.", 1},
		{400, "InvalidIdentityToken", couldNotRead, 4},
		{400, "ExpiredTokenException", "Token expired: current date/time 1 must be before the expiration date/time 0", 1},
		{403, "IDPRejectedClaim", "a text", 1},
		{400, "IDPCommunicationError", "a text", 4},
		{403, "RegionDisabledException", "a text", 1},
		{400, "MalformedPolicyDocument", "a text", 1},
		{400, "PackedPolicyTooLarge", "Serialized token too large for session", 1},
		{400, "ValidationError", "Request ARN is invalid", 1},
		{400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", 1},
		{400, "MalformedInput", "", 1},
		{400, "SomethingNew", "a text", 1},
		{400, "Throttling", "Rate exceeded", 4},
		{400, "ThrottlingException", "Rate exceeded", 4},
		{429, "TooManyRequestsException", "Rate exceeded", 4},
		{500, "InternalFailure", "a text", 4},
		{503, "ServiceUnavailable", "a text", 4},
		{503, "AccessDenied", "a denial whatever its status", 1},
	} {
		t.Run(fmt.Sprint(tc.status, " ", tc.code, " ", tc.message), func(t *testing.T) {
			s := newScripted(t, answer{status: tc.status, body: failure(tc.code, tc.message)})
			var log bytes.Buffer
			got, err := newSTS(s.URL, &log).Buy(t.Context(), grant, token)
			var e *mint.STSError
			if !errors.As(err, &e) {
				t.Fatalf("expected an STSError, found %v", err)
			}
			want := mint.STSError{
				Code: tc.code, Message: tc.message, HTTPStatus: tc.status, RequestID: "request-1",
				Sender: tc.status < 500, Temporary: tc.attempts > 1,
			}
			if *e != want {
				t.Errorf("expected %+v, found %+v", want, *e)
			}
			if n := s.attempts(); n != tc.attempts {
				t.Errorf("expected %d attempts, found %d", tc.attempts, n)
			}
			if n := strings.Count(log.String(), "AWS STS is asked again"); n != tc.attempts-1 {
				t.Errorf("expected %d lines on further attempts, found %d", tc.attempts-1, n)
			}
			if got != (mint.Credentials{}) {
				t.Error("expected no credentials")
			}
			hides(t, fmt.Sprintf("%v %+v %#v %s", err, err, err, log.String()), token.Raw)
		})
	}
}

func TestTransientThenSuccess(t *testing.T) {
	grant, token := purchase(t, "prod", rules.Request{})
	broken := answer{do: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}
	for name, script := range map[string][]answer{
		"throttled":           {{status: 400, body: failure("Throttling", "Rate exceeded")}},
		"500 without a body":  {{status: 500}, {status: 500}},
		"a proxy's page":      {{status: 502, body: "<html><body>Bad Gateway</body></html>"}},
		"our keys unreached":  {{status: 400, body: failure("InvalidIdentityToken", couldNotRead)}},
		"our keys, otherwise": {{status: 400, body: failure("IDPCommunicationError", "a text")}},
		"connection cut":      {broken, broken},
		"one after the other": {{status: 503}, broken, {status: 429, body: failure("TooManyRequestsException", "")}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, append(script, answer{status: 200, body: success(deployARN)})...)
			got, err := newSTS(s.URL, io.Discard).Buy(t.Context(), grant, token)
			if err != nil || got.SecretAccessKey != secretKey {
				t.Fatalf("expected credentials, found %v", err)
			}
			if n := s.attempts(); n != len(script)+1 {
				t.Errorf("expected %d attempts, found %d", len(script)+1, n)
			}
			for _, f := range s.forms {
				if f.Get("WebIdentityToken") != token.Raw {
					t.Error("expected the whole request each time")
				}
			}
		})
	}
}

func TestBuyRefuses(t *testing.T) {
	grant, token := purchase(t, "prod", rules.Request{})
	_, other := purchase(t, "bare", rules.Request{})
	s := newScripted(t, answer{status: 200, body: success(deployARN)})
	for name, tc := range map[string]struct {
		grant audit.Recorded
		token mint.Token
		text  string
	}{
		"no record":             {audit.Recorded{}, token, "expected a recorded grant"},
		"no token":              {grant, mint.Token{}, "expected the stint token of this grant"},
		"another grant's token": {grant, other, "expected the stint token of this grant"},
	} {
		if _, err := newSTS(s.URL, io.Discard).Buy(t.Context(), tc.grant, tc.token); err == nil || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: expected %q, found %v", name, tc.text, err)
		}
	}
	if n := s.attempts(); n != 0 {
		t.Errorf("expected no request, found %d", n)
	}
}

// TestTime: a hang, and an answer that never ends, take no longer than Timeout;
// a caller that goes takes the purchase with it.
func TestTime(t *testing.T) {
	grant, token := purchase(t, "prod", rules.Request{})
	hang := answer{do: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
	drip := answer{do: func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "<AssumeRole")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}}
	for name, a := range map[string]answer{"hang": hang, "half an answer": drip} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, a)
			sts := mint.NewSTS(mint.STSConfig{Region: "us-east-1", Endpoint: s.URL, Timeout: 100 * time.Millisecond})
			if _, err := sts.Buy(t.Context(), grant, token); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("expected the deadline, found %v", err)
			}
			if n := s.attempts(); n != 1 {
				t.Errorf("expected 1 attempt, found %d", n)
			}
		})
	}
	t.Run("the caller goes", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newScripted(t, answer{do: func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }})
		if _, err := newSTS(s.URL, io.Discard).Buy(ctx, grant, token); !errors.Is(err, context.Canceled) {
			t.Errorf("expected the cancellation, found %v", err)
		}
		if n := s.attempts(); n != 1 {
			t.Errorf("expected 1 attempt, found %d", n)
		}
	})
	t.Run("in the pause", func(t *testing.T) {
		s := newScripted(t, answer{status: 503, body: failure("ServiceUnavailable", "")})
		sts := mint.NewSTS(mint.STSConfig{Region: "us-east-1", Endpoint: s.URL, Timeout: 100 * time.Millisecond, Backoff: func(int) time.Duration { return time.Hour }})
		if _, err := sts.Buy(t.Context(), grant, token); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("expected the deadline, found %v", err)
		}
		if n := s.attempts(); n != 1 {
			t.Errorf("expected 1 attempt, found %d", n)
		}
	})
}

func TestNobodyListens(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	must(t, l.Close())
	grant, token := purchase(t, "prod", rules.Request{})
	var log bytes.Buffer
	_, err = newSTS("http://"+address, &log).Buy(t.Context(), grant, token)
	var sts *mint.STSError
	var refused *net.OpError
	if !errors.As(err, &refused) || errors.As(err, &sts) {
		t.Errorf("expected the connection's error, found %v", err)
	}
	if n := strings.Count(log.String(), "AWS STS is asked again"); n != 3 {
		t.Errorf("expected 3 further attempts, found %d", n)
	}
	hides(t, fmt.Sprintf("%v %+v %#v %s", err, err, err, log.String()), token.Raw)
}
