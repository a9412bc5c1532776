package client_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-dev/stint/client"
)

const requestToken = "request-token-of-this-job"

func TestJobToken(t *testing.T) {
	want := jwt(t, map[string]any{"sub": "repo:octo-org/octo-repo:ref:refs/heads/main"})
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet:
			t.Errorf("method %s, want GET", r.Method)
		case r.Header.Get("Authorization") != "bearer "+requestToken:
			t.Error("the request token is not in the Authorization header")
		case r.URL.Query().Get("api-version") != "2.0":
			t.Errorf("query %q lost what was in the URL", r.URL.RawQuery)
		case r.URL.Query().Get("audience") != "https://stint.example.com/?a=b&c d":
			t.Errorf("audience %q", r.URL.Query().Get("audience"))
		}
		answer(200, "application/json", `{"count":1,"value":"`+want+`"}`)(w, r)
	})
	g := client.GitHub{RequestURL: url + "/token?api-version=2.0", RequestToken: requestToken}
	got, err := g.JobToken(t.Context(), "https://stint.example.com/?a=b&c d")
	if err != nil {
		t.Fatal(err)
	}
	if got.Reveal() != want {
		t.Errorf("token %q, want %q", got.Reveal(), want)
	}
}

func TestJobTokenWithoutAudience(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("audience") {
			t.Error("an audience was asked for")
		}
		answer(200, "application/json", `{"value":"a.b.c"}`)(w, r)
	})
	g := client.GitHub{RequestURL: url, RequestToken: requestToken}
	if _, err := g.JobToken(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
}

func TestJobTokenRefused(t *testing.T) {
	tests := []struct {
		name     string
		handler  http.HandlerFunc
		status   int // of the *TokenRequestError; 0: none is expected
		requests int
	}{
		{"unauthorized", answer(401, "application/json", `{"message":"no"}`), 401, 1},
		{"forbidden", answer(403, "text/plain", `no`), 403, 1},
		{"bad request", answer(400, "application/json", `{"message":"bad audience"}`), 400, 1},
		{"no JSON", answer(200, "text/html", `<html>`), 200, 1},
		{"no value", answer(200, "application/json", `{}`), 200, 1},
		{"not a JWT", answer(200, "application/json", `{"value":"hello"}`), 200, 1},
		{"a line break in the token", answer(200, "application/json", `{"value":"a.b.c\n::x"}`), 200, 1},
		{"token over 16 KiB", answer(200, "application/json", `{"value":"a.b.`+strings.Repeat("c", 16<<10)+`"}`), 200, 1},
		{"answer over 64 KiB", answer(200, "application/json", `{"value":"`+strings.Repeat("c", 64<<10)+`"}`), 0, 1},
		{"down", answer(503, "text/plain", ``), 503, 4},
		{"overloaded", answer(429, "text/plain", ``), 429, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url, requests := serve(t, tt.handler)
			var w waits
			g := client.GitHub{RequestURL: url, RequestToken: requestToken, Retry: w.retry()}
			token, err := g.JobToken(t.Context(), "a")
			if err == nil || token != "" {
				t.Fatal("a token came back")
			}
			var e *client.TokenRequestError
			if got := errors.As(err, &e); got != (tt.status != 0) || got && e.Status != tt.status {
				t.Errorf("error %v, want a TokenRequestError of status %d", err, tt.status)
			}
			if requests.Load() != int64(tt.requests) {
				t.Errorf("%d requests, want %d", requests.Load(), tt.requests)
			}
			var u *client.UnavailableError
			if errors.As(err, &u) != (tt.requests > 1) {
				t.Errorf("error %v: UnavailableError is for what was tried again, and only that", err)
			}
		})
	}
}

func TestErrorsDoNotRepeatTheRequestToken(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answer(400, "application/json", `{"message":"you sent `+r.Header.Get("Authorization")+`"}`)(w, r)
	})
	g := client.GitHub{RequestURL: url, RequestToken: requestToken}
	_, err := g.JobToken(t.Context(), "a")
	if err == nil || strings.Contains(err.Error(), requestToken) {
		t.Errorf("the error is %v", err)
	}
}

func TestRetriesWaitLongerAndEnd(t *testing.T) {
	var w waits
	n := 0
	url, _ := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		n++
		switch n {
		case 1:
			answer(500, "text/plain", "")(rw, r)
		case 2:
			rw.Header().Set("Retry-After", "3600")
			answer(503, "text/plain", "")(rw, r)
		default:
			answer(200, "application/json", `{"value":"a.b.c"}`)(rw, r)
		}
	})
	g := client.GitHub{RequestURL: url, RequestToken: requestToken, Retry: w.retry()}
	if _, err := g.JobToken(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if want := (waits{250 * time.Millisecond, 10 * time.Second}); !slices.Equal(w, want) {
		t.Errorf("waited %v, want %v: a server cannot make a job wait for an hour", w, want)
	}
}

func TestConnectionFailuresAreTriedAgain(t *testing.T) {
	var n atomic.Int64
	url, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 3 {
			panic(http.ErrAbortHandler)
		}
		answer(200, "application/json", `{"value":"a.b.c"}`)(w, r)
	})
	var w waits
	g := client.GitHub{RequestURL: url, RequestToken: requestToken, Retry: w.retry()}
	if _, err := g.JobToken(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	// net/http itself repeats a GET whose reused connection broke, so only the
	// lower bound is ours.
	if requests.Load() < 3 {
		t.Errorf("%d requests", requests.Load())
	}
}

func TestHangingServerEndsWithTheContext(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{})
	url, _ := serve(t, func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	g := client.GitHub{RequestURL: url, RequestToken: requestToken}
	if _, err := g.JobToken(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestContextEndsTheWait(t *testing.T) {
	url, _ := serve(t, answer(503, "text/plain", ""))
	ctx, cancel := context.WithCancel(t.Context())
	g := client.GitHub{RequestURL: url, RequestToken: requestToken, Retry: client.Retry{
		Sleep: func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() },
	}}
	if _, err := g.JobToken(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	stolen, thefts := serve(t, answer(200, "application/json", `{"value":"a.b.c"}`))
	for _, status := range []int{301, 302, 303, 307, 308} {
		url, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, stolen, status)
		})
		var redirect *client.RedirectError

		g := client.GitHub{RequestURL: url, RequestToken: requestToken}
		if _, err := g.JobToken(t.Context(), "a"); !errors.As(err, &redirect) {
			t.Errorf("%d at the token endpoint: error %v", status, err)
		}
		b := client.Broker{URL: url}
		if _, err := b.Exchange(t.Context(), "a.b.c", client.ExchangeRequest{}); !errors.As(err, &redirect) {
			t.Errorf("%d at /token: error %v", status, err)
		}
		if _, err := b.AssumeRole(t.Context(), "a.b.c", client.AWSRequest{Role: role}); !errors.As(err, &redirect) {
			t.Errorf("%d at /aws/sts: error %v", status, err)
		}
		if requests.Load() != 3 {
			t.Errorf("%d: %d requests, want 3: a redirect is not tried again", status, requests.Load())
		}
	}
	if thefts.Load() != 0 {
		t.Errorf("%d requests arrived where the redirects pointed", thefts.Load())
	}
}

func TestAddressesThatNoTokenIsSentTo(t *testing.T) {
	for _, url := range []string{
		"", "stint.example.com", "http://stint.example.com", "ftp://stint.example.com", "https://",
		"https://:443", "https://user:hunter2@stint.example.com", "https://stint.example.com/#x", "http://127.0.0.1.example.com",
		"http://localhost", "http://10.0.0.1", "http://0.0.0.0", "%zz", "https://stint.example.com/\x7f",
	} {
		var setting *client.SettingError
		g := client.GitHub{RequestURL: url, RequestToken: requestToken}
		_, err := g.JobToken(t.Context(), "a")
		if !errors.As(err, &setting) || setting.Setting != "ACTIONS_ID_TOKEN_REQUEST_URL" {
			t.Errorf("request URL %q: error %v", url, err)
		}
		_, err = client.Broker{URL: url}.Exchange(t.Context(), "a.b.c", client.ExchangeRequest{})
		if !errors.As(err, &setting) || setting.Setting != "STINT_URL" {
			t.Errorf("broker %q: error %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats a password: %v", err)
		}
	}
}

func TestBadRequestToken(t *testing.T) {
	url, requests := serve(t, answer(200, "application/json", `{"value":"a.b.c"}`))
	for _, token := range []client.Secret{"", "a\r\nX-Header: b", "a b"} {
		var setting *client.SettingError
		g := client.GitHub{RequestURL: url, RequestToken: token}
		if _, err := g.JobToken(t.Context(), "a"); !errors.As(err, &setting) {
			t.Errorf("%q: error %v", token.Reveal(), err)
		}
	}
	if requests.Load() != 0 {
		t.Errorf("%d requests were sent", requests.Load())
	}
}

func TestNotInJob(t *testing.T) {
	event := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fork := event("fork", `{"pull_request":{"head":{"repo":{"full_name":"someone/octo-repo","fork":true}}}}`)
	own := event("own", `{"pull_request":{"head":{"repo":{"full_name":"Octo-Org/octo-repo","fork":true}}}}`)
	deleted := event("deleted", `{"pull_request":{"head":{"repo":null}}}`)
	huge := event("huge", `{"pull_request":{"head":{"repo":null}},"x":"`+strings.Repeat("x", 5<<20)+`"}`)
	job := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "octo-org/octo-repo", "GITHUB_ACTOR": "octocat"}

	tests := []struct {
		name string
		env  map[string]string
		want client.Cause
	}{
		{"no variables", map[string]string{"GITHUB_ACTIONS": ""}, client.NoJob},
		{"push", map[string]string{"GITHUB_EVENT_NAME": "push"}, client.NoPermission},
		{"fork", map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": fork}, client.ForkPullRequest},
		{"review of a fork's", map[string]string{"GITHUB_EVENT_NAME": "pull_request_review", "GITHUB_EVENT_PATH": fork}, client.ForkPullRequest},
		{"target of a fork's", map[string]string{"GITHUB_EVENT_NAME": "pull_request_target", "GITHUB_EVENT_PATH": fork}, client.NoPermission},
		{"deleted fork", map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": deleted}, client.ForkPullRequest},
		{"own branch of a repository that is a fork", map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": own}, client.NoPermission},
		{"event file too large", map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": huge}, client.NoPermission},
		{"event file missing", map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": fork + "x"}, client.NoPermission},
		{"event file is a folder", map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": t.TempDir()}, client.NoPermission},
		{"event file is no JSON", map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": event("bad", "{")}, client.NoPermission},
		{"Dependabot", map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": own, "GITHUB_ACTOR": "dependabot[bot]"}, client.Dependabot},
		{"only the URL", map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x.example"}, client.Incomplete},
		{"only the token", map[string]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN": requestToken}, client.Incomplete},
	}
	seen := map[string]client.Cause{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := client.GitHubFromEnv(func(name string) string {
				if v, ok := tt.env[name]; ok {
					return v
				}
				return job[name]
			})
			var e *client.NotInJobError
			if !errors.As(err, &e) || e.Cause != tt.want {
				t.Fatalf("error %v, want cause %s", err, tt.want)
			}
			if e.Hint() == "" || len(e.Missing) == 0 {
				t.Errorf("no hint, or nothing missing: %+v", e)
			}
			if strings.Contains(err.Error(), requestToken) {
				t.Errorf("the error repeats the request token: %v", err)
			}
			if other, ok := seen[e.Hint()]; ok && other != e.Cause {
				t.Errorf("%s and %s have the same hint", other, e.Cause)
			}
			seen[e.Hint()] = e.Cause
		})
	}
}

func TestCertificateThatDoesNotHoldIsNotTriedAgain(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request arrived over a connection that proves nothing")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	var w waits
	var unavailable *client.UnavailableError
	g := client.GitHub{RequestURL: s.URL, RequestToken: requestToken, Retry: w.retry()}
	if _, err := g.JobToken(t.Context(), "a"); err == nil || errors.As(err, &unavailable) {
		t.Errorf("at the token endpoint: error %v", err)
	}
	b := client.Broker{URL: s.URL, Retry: w.retry()}
	if _, err := b.AssumeRole(t.Context(), "a.b.c", client.AWSRequest{Role: role}); err == nil || errors.As(err, &unavailable) {
		t.Errorf("at /aws/sts: error %v", err)
	}
	if len(w) != 0 {
		t.Errorf("tried again after %v", w)
	}
}
