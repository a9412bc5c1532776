package mint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
)

// What is no answer of STS is an AnswerError that holds nothing of it.
func TestAnswersOfSomethingElse(t *testing.T) {
	grant, token := purchase(t, "prod", rules.Request{})
	good := success(deployARN)
	endless := func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat("<a>"+secretKey+"</a>", 1000))
		for n := 0; n < 10<<20; n += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return // it was cut
			}
		}
	}
	elsewhere := newScripted(t, answer{status: 200, body: good})
	redirect := func(status int) answer {
		return answer{do: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) }}
	}
	for name, tc := range map[string]struct {
		answer    answer
		attempts  int
		temporary bool
	}{
		"HTML":                       {answer{status: 200, body: "<html><body>" + secretKey + "</body></html>"}, 1, false},
		"HTML that is no XML":        {answer{status: 200, body: "<!DOCTYPE html><p>" + secretKey + "<br>"}, 1, false},
		"HTML and 404":               {answer{status: 404, body: "<html>" + secretKey + "</html>"}, 1, false},
		"HTML and 503":               {answer{status: 503, body: "<html><p>" + secretKey}, 4, true},
		"nothing":                    {answer{status: 200}, 1, false},
		"nothing and 400":            {answer{status: 400}, 1, false},
		"JSON":                       {answer{status: 200, body: `{"SecretAccessKey":"` + secretKey + `"}`}, 1, false},
		"10 MB":                      {answer{do: endless}, 1, false},
		"10 MB after the answer":     {answer{status: 200, body: strings.Replace(good, "<Provider>", "<Provider>"+strings.Repeat("x", 10<<20), 1)}, 1, false},
		"10 MB of an error":          {answer{status: 400, body: failure("AccessDenied", strings.Repeat(secretKey, 300000))}, 1, false},
		"cut":                        {answer{status: 200, body: good[:len(good)/2]}, 1, false},
		"no credentials":             {answer{status: 200, body: strings.NewReplacer("<SecretAccessKey>"+secretKey, "<SecretAccessKey>").Replace(good)}, 1, false},
		"no session token":           {answer{status: 200, body: strings.NewReplacer(sessionToken, "").Replace(good)}, 1, false},
		"no expiration":              {answer{status: 200, body: strings.NewReplacer("<Expiration>2026-03-01T12:30:00Z</Expiration>", "").Replace(good)}, 1, false},
		"a time that is none":        {answer{status: 200, body: strings.NewReplacer("2026-03-01T12:30:00Z", "soon").Replace(good)}, 1, false},
		"an access key id of a kind": {answer{status: 200, body: strings.NewReplacer("ASIAEXAMPLEEXAMPLE00", token.Raw).Replace(good)}, 1, false},
		"a redirect 302":             {redirect(302), 1, false},
		"a redirect 307":             {redirect(307), 1, false},
		"a redirect 308":             {redirect(308), 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, tc.answer)
			var log bytes.Buffer
			got, err := newSTS(s.URL, &log).Buy(t.Context(), grant, token)
			var e *mint.AnswerError
			if !errors.As(err, &e) {
				t.Fatalf("expected an AnswerError, found %.300v", err)
			}
			if e.Temporary != tc.temporary || e.Detail == "" {
				t.Errorf("expected temporary %t, found %+v", tc.temporary, e)
			}
			if strings.Contains(name, "10 MB") != strings.Contains(e.Detail, "more than 65536 bytes") {
				t.Errorf("expected the detail to say what is wrong, found %q", e.Detail)
			}
			if n := s.attempts(); n != tc.attempts {
				t.Errorf("expected %d attempts, found %d", tc.attempts, n)
			}
			if got != (mint.Credentials{}) {
				t.Error("expected no credentials")
			}
			everything := log.String()
			for x := err; x != nil; x = errors.Unwrap(x) {
				everything += fmt.Sprintf("%v %+v %#v", x, x, x)
			}
			hides(t, everything, token.Raw, secretKey, sessionToken)
		})
	}
	if n := elsewhere.attempts(); n != 0 {
		t.Errorf("the token was sent on to where a redirect points, %d times", n)
	}
}

// An endpoint that lies about whose session it opened is refused.
func TestSessionOfAnotherRole(t *testing.T) {
	grant, token := purchase(t, "prod", rules.Request{})
	for name, arn := range map[string]string{
		"another account":   "arn:aws:sts::999999999999:assumed-role/deploy/octo-repo-1",
		"another role":      "arn:aws:sts::111111111111:assumed-role/admin/octo-repo-1",
		"a longer name":     "arn:aws:sts::111111111111:assumed-role/deploy-admin/octo-repo-1",
		"no session":        "arn:aws:sts::111111111111:assumed-role/deploy/",
		"a path behind":     deployARN + "/more",
		"a session of 65":   "arn:aws:sts::111111111111:assumed-role/deploy/" + strings.Repeat("s", 65),
		"the token as name": "arn:aws:sts::111111111111:assumed-role/deploy/" + token.Raw,
		"another partition": "arn:aws-cn:sts::111111111111:assumed-role/deploy/octo-repo-1",
		"with the path":     "arn:aws:sts::111111111111:assumed-role/ci/deploy/octo-repo-1",
		"the role itself":   deployRole,
		"a user":            "arn:aws:iam::111111111111:user/deploy",
		"no ARN":            "deploy",
		"nothing":           "",
		"the token":         token.Raw,
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, answer{status: 200, body: success(arn)})
			got, err := newSTS(s.URL, io.Discard).Buy(t.Context(), grant, token)
			var e *mint.AnswerError
			if !errors.As(err, &e) || got != (mint.Credentials{}) || e.Temporary {
				t.Fatalf("expected an AnswerError and no credentials, found %v", err)
			}
			if !strings.Contains(err.Error(), "arn:aws:sts::111111111111:assumed-role/deploy/NAME") {
				t.Errorf("expected the error to say whose sessions were expected, found %v", err)
			}
			hides(t, fmt.Sprintf("%v %+v", err, err), token.Raw, secretKey)
		})
	}
	bare, bareToken := purchase(t, "bare", rules.Request{})
	s := newScripted(t, answer{status: 200, body: success("arn:aws-cn:sts::222222222222:assumed-role/bare/bare-session")})
	if _, err := newSTS(s.URL, io.Discard).Buy(t.Context(), bare, bareToken); err != nil {
		t.Errorf("a session of another partition's role: %v", err)
	}
}

// An endpoint that repeats what it was sent does not bring the token into the
// broker's log and record.
func TestTokenInAnAnswerIsTakenOut(t *testing.T) {
	grant, token := purchase(t, "prod", rules.Request{})
	s := newScripted(t, answer{status: 400, body: failure("Code-"+token.Raw, "the token "+token.Raw+" is bad")})
	_, err := newSTS(s.URL, io.Discard).Buy(t.Context(), grant, token)
	var e *mint.STSError
	if !errors.As(err, &e) || !strings.HasPrefix(e.Message, "the token (") || !strings.HasSuffix(e.Message, ") is bad") {
		t.Fatalf("expected the message without the token, found %T", err)
	}
	hides(t, fmt.Sprintf("%+v", *e), token.Raw)

	body := strings.Replace(success(deployARN), "request-1", token.Raw, 1)
	s = newScripted(t, answer{status: 200, body: body})
	got, err := newSTS(s.URL, io.Discard).Buy(t.Context(), grant, token)
	must(t, err)
	hides(t, got.RequestID, token.Raw)
}

// FuzzAnswer: whatever an endpoint answers, credentials come out only with the
// role that was asked for, and the token never.
func FuzzAnswer(f *testing.F) {
	grant, token := purchase(f, "prod", rules.Request{})
	for _, seed := range []string{success(deployARN), success("arn:aws:sts::1:assumed-role/x/y"), failure("AccessDenied", "no"), failure("ECHO", "ECHO"), "<html>", ""} {
		f.Add(200, seed)
		f.Add(400, seed)
		f.Add(302, seed)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 999 {
			t.Skip("no final status of HTTP")
		}
		body = strings.ReplaceAll(body, "ECHO", token.Raw)
		client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})}
		got, err := mint.NewSTS(mint.STSConfig{Region: "us-east-1", HTTP: client, Backoff: func(int) time.Duration { return 0 }}).Buy(t.Context(), grant, token)
		var sts *mint.STSError
		var other *mint.AnswerError
		switch {
		case err == nil:
			if status > 299 || !strings.HasPrefix(got.AssumedRoleARN, "arn:aws:sts::111111111111:assumed-role/deploy/") || got.AccessKeyID == "" || got.SecretAccessKey == "" || got.SessionToken == "" || got.Expires.IsZero() {
				t.Errorf("credentials of status %d: %v", status, got)
			}
		case got != (mint.Credentials{}):
			t.Error("credentials beside an error")
		case errors.As(err, &sts):
			if sts.HTTPStatus != status || status < 400 || sts.Code == "" {
				t.Errorf("an error of STS that is none: %+v", sts)
			}
		case !errors.As(err, &other):
			t.Errorf("an error without a type: %v", err)
		}
		if err != nil && strings.Contains(err.Error(), token.Raw) {
			t.Error("the error holds the token")
		}
	})
}
