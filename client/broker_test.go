package client_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/client"
)

const (
	role    = "arn:aws:iam::111111111111:role/deploy"
	typeJWT = "urn:ietf:params:oauth:token-type:jwt"
)

func TestExchange(t *testing.T) {
	stint := jwt(t, map[string]any{"https://aws.amazon.com/roles": []string{role}})
	for _, tt := range []struct {
		name string
		req  client.ExchangeRequest
	}{
		{"nothing asked for", client.ExchangeRequest{}},
		{"audience and role", client.ExchangeRequest{Audience: "https://vault.example.com", Role: role}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				want := map[string]string{
					"grant_type":           "urn:ietf:params:oauth:grant-type:token-exchange",
					"subject_token":        "a.b.c",
					"subject_token_type":   typeJWT,
					"requested_token_type": typeJWT,
				}
				if tt.req.Audience != "" {
					want["audience"], want["resource"] = tt.req.Audience, tt.req.Role
				}
				if r.URL.Path != "/base/token" || r.URL.RawQuery != "" || len(r.PostForm) != len(want) {
					t.Errorf("POST %s with %v", r.URL, r.PostForm)
				}
				for k, v := range want {
					if r.PostForm.Get(k) != v {
						t.Errorf("%s=%q, want %q", k, r.PostForm.Get(k), v)
					}
				}
				answer(200, "application/json", `{"access_token":"`+stint+`","issued_token_type":"`+typeJWT+`","token_type":"N_A","expires_in":300}`)(w, r)
			})
			token, err := client.Broker{URL: url + "/base/"}.Exchange(t.Context(), "a.b.c", tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if token.Raw.Reveal() != stint || token.ExpiresIn != 5*time.Minute {
				t.Errorf("token %q for %s", token.Raw.Reveal(), token.ExpiresIn)
			}
			if got, err := token.Role(); err != nil || got != role {
				t.Errorf("role %q, %v", got, err)
			}
		})
	}
}

func TestExchangeDenied(t *testing.T) {
	url, requests := serve(t, answer(400, "application/json", `{"error":"invalid_target","error_description":"no rule",
		"denial":{"record":"01H","reason":"no_rule_matched","detail":"no rule\n::set-env name=x::y","hint":"ask \u001b[31mfor it",
		"rules":[{"rule":"deploy-prod","effect":"allow","matched":false,"miss":{"claim":"environment","expected":["prod"],"found":"##[x]dev","detail":"d"}},
		{"rule":"other","effect":"deny","matched":true}],
		"closest":{"index":3,"rule":"deploy-prod","effect":"allow","conditions":[{"operator":"match","key":"environment","expected":["prod\n"],"actual":["##[x]dev"],"matched":false,"note":"\u001b[31m"}]},
		"suggestion":"add\nit","warning":"\u202e"}}`))
	_, err := client.Broker{URL: url}.Exchange(t.Context(), "a.b.c", client.ExchangeRequest{})
	var d *client.DeniedError
	if !errors.As(err, &d) {
		t.Fatalf("error %v, want a DeniedError", err)
	}
	if d.Code != "invalid_target" || d.Record != "01H" || d.Reason != "no_rule_matched" || len(d.Rules) != 2 {
		t.Errorf("%+v", d)
	}
	miss := d.Rules[0].Miss
	if miss == nil || miss.Claim != "environment" || miss.Expected[0] != "prod" {
		t.Fatalf("miss %+v", miss)
	}
	if d.Closest == nil || d.Closest.Index != 3 || d.Closest.Rule != "deploy-prod" || len(d.Closest.Conditions) != 1 || d.Suggestion != "add it" || d.Upstream {
		t.Fatalf("closest %+v, suggestion %q", d.Closest, d.Suggestion)
	}
	// A broker's words must not become a terminal's or the GitHub runner's commands.
	c := d.Closest.Conditions[0]
	if text := d.Detail + d.Hint + miss.Found + d.Suggestion + d.Warning + c.Expected[0] + c.Actual[0] + c.Note; strings.ContainsAny(text, "\n\x1b\u202e") || strings.Contains(text, "##[") {
		t.Errorf("control characters came through: %q", text)
	}
	if requests.Load() != 1 {
		t.Errorf("%d requests: a denial is not tried again", requests.Load())
	}
}

func TestExchangeFailures(t *testing.T) {
	const good = `"issued_token_type":"` + typeJWT + `","token_type":"N_A"`
	tests := []struct {
		name     string
		handler  http.HandlerFunc
		denied   bool
		requests int
	}{
		{"stranger", answer(400, "application/json", `{"error":"invalid_request","error_description":"not accepted"}`), true, 1},
		{"no such grant type", answer(400, "application/json", `{"error":"unsupported_grant_type"}`), false, 1},
		{"not a broker", answer(404, "text/html", `<html>`), false, 1},
		{"HTML with 200", answer(200, "text/html", `<html>`), false, 1},
		{"JSON by another name", answer(200, "text/plain", `{"access_token":"a.b.c",`+good+`}`), false, 1},
		{"empty", answer(200, "application/json", ``), false, 1},
		{"no token", answer(200, "application/json", `{`+good+`}`), false, 1},
		{"token is no JWT", answer(200, "application/json", `{"access_token":"hello",`+good+`}`), false, 1},
		{"another token type", answer(200, "application/json", `{"access_token":"a.b.c","issued_token_type":"urn:x"}`), false, 1},
		{"negative lifetime", answer(200, "application/json", `{"access_token":"a.b.c","expires_in":-1,`+good+`}`), false, 1},
		{"absurd lifetime", answer(200, "application/json", `{"access_token":"a.b.c","expires_in":1e300,`+good+`}`), false, 1},
		{"over 4 MiB", answer(200, "application/json", strings.Repeat(" ", 4<<20)+`{}`), false, 1},
		{"unavailable", answer(503, "application/json", `{"error":"temporarily_unavailable"}`), false, 4},
		{"gateway", answer(502, "text/html", `<html>`), false, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url, requests := serve(t, tt.handler)
			var w waits
			token, err := client.Broker{URL: url, Retry: w.retry()}.Exchange(t.Context(), "a.b.c", client.ExchangeRequest{})
			if err == nil || token.Raw != "" {
				t.Fatal("a token came back")
			}
			var d *client.DeniedError
			if errors.As(err, &d) != tt.denied {
				t.Errorf("error %v, denied should be %t", err, tt.denied)
			}
			if requests.Load() != int64(tt.requests) {
				t.Errorf("%d requests, want %d", requests.Load(), tt.requests)
			}
			if strings.Contains(err.Error(), "a.b.c") {
				t.Errorf("the error repeats the token: %v", err)
			}
		})
	}
}

func TestTokenRole(t *testing.T) {
	for name, raw := range map[string]string{
		"empty":     "",
		"no base64": "a.!.c",
		"no JSON":   "a.aaaa.c",
		"no roles":  jwt(t, map[string]any{"sub": "x"}),
		"two roles": jwt(t, map[string]any{"https://aws.amazon.com/roles": []string{role, role + "2"}}),
		"a string":  jwt(t, map[string]any{"https://aws.amazon.com/roles": role}),
		"null":      jwt(t, map[string]any{"https://aws.amazon.com/roles": nil}),
		"empty one": jwt(t, map[string]any{"https://aws.amazon.com/roles": []string{""}}),
	} {
		if got, err := (client.Token{Raw: client.Secret(raw)}).Role(); err == nil {
			t.Errorf("%s: role %q, want an error", name, got)
		} else if raw != "" && strings.Contains(err.Error(), raw) {
			t.Errorf("%s: the error repeats the token", name)
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	const secret = "wJalrXUtnFEMI"
	values := []any{
		client.Secret(secret),
		client.Token{Raw: secret},
		client.AWSCredentials{SecretAccessKey: secret, SessionToken: secret},
		&client.AWSCredentials{SecretAccessKey: secret, SessionToken: secret},
		client.GitHub{RequestToken: secret},
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%08.3f"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, secret) || strings.Contains(strings.ToLower(s), fmt.Sprintf("%x", secret)) {
				t.Errorf("%T with %s: %s", v, verb, s)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		if data, err := json.Marshal(v); err == nil {
			log.Write(data)
		}
		if strings.Contains(log.String(), secret) || !strings.Contains(log.String(), "REDACTED") {
			t.Errorf("%T in the log: %s", v, log.String())
		}
	}
}
