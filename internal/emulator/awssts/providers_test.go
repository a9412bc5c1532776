package awssts_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stint-dev/stint/internal/emulator/awssts"
	"github.com/stint-dev/stint/internal/emulator/github"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/roles"
)

// withRoles gives the world other roles, each a trust policy's Statement by
// its ARN.
func withRoles(t *testing.T, statements map[string]string) func(*awssts.Config) {
	t.Helper()
	fsys := fstest.MapFS{}
	for arn, statement := range statements {
		fsys[url.PathEscape(arn)+".json"] = &fstest.MapFile{Data: []byte(roleJSON(arn, `{"Version":"2012-10-17","Statement":[`+statement+`]}`, ""))}
	}
	set, _, err := roles.FromInventory(inventory.LoadFS(fsys), "")
	if err != nil {
		t.Fatal(err)
	}
	return func(c *awssts.Config) { c.Roles = set }
}

// Which audiences a provider has in an account follows from what the trust
// policies of that account allow by name, and from nothing else.
func TestRegisteredAudiences(t *testing.T) {
	statement := func(effect, account, operator, audience string) string {
		return fmt.Sprintf(`{"Effect":%q,"Principal":{"Federated":"arn:aws:iam::%s:oidc-provider/stint.example.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{%q:{"stint.example.com:aud":%q}}}`, effect, account, operator, audience)
	}
	first, second := "111111111111", "222222222222"
	open := "arn:aws:iam::" + first + ":role/open"
	w := newWorld(t, withRoles(t, map[string]string{
		open:                                 fmt.Sprintf(`{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::%s:oidc-provider/stint.example.com"},"Action":"sts:AssumeRoleWithWebIdentity"}`, first),
		"arn:aws:iam::" + first + ":role/a":  statement("Allow", first, "StringEquals", "named"),
		"arn:aws:iam::" + first + ":role/b":  statement("Allow", first, "ForAnyValue:StringLike", "named-too"),
		"arn:aws:iam::" + first + ":role/c":  statement("Allow", first, "StringLike", "pattern*"),
		"arn:aws:iam::" + first + ":role/d":  statement("Allow", first, "StringNotEquals", "negated"),
		"arn:aws:iam::" + first + ":role/e":  statement("Deny", first, "StringEquals", "denied"),
		"arn:aws:iam::" + second + ":role/f": statement("Allow", second, "StringEquals", "elsewhere"),
	}))
	for audience, registered := range map[string]bool{
		"sts.amazonaws.com": true, "configured": true, "named": true, "named-too": true,
		"pattern*": false, "patterns": false, "negated": false, "denied": false, "elsewhere": false, "Named": false,
	} {
		t.Run(audience, func(t *testing.T) {
			w := w.in(t)
			a := w.post(parameters(w.sign("ES256", set(w.claims(), "aud", audience)), "RoleArn", open))
			if registered {
				w.expect(a, 200, "", "")
			} else {
				w.expect(a, 400, "InvalidIdentityToken", notValidated)
			}
		})
	}
}

// A token of the emulated GitHub, asked for over HTTP, against a trust policy
// as users write it.
func TestGitHubTokens(t *testing.T) {
	const provider = "token.actions.githubusercontent.com"
	clock := &clock{now: start}
	gh, err := github.New(github.Config{Now: clock.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gh)
	defer server.Close()
	role := "arn:aws:iam::" + account + ":role/direct"
	w := newWorld(t, withRoles(t, map[string]string{role: `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/` + provider + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{
		"StringEquals":{"` + provider + `:aud":"sts.amazonaws.com","` + provider + `:repository_id":"74"},
		"StringLike":{"` + provider + `:sub":"repo:octo-org*/octo-repo*:environment:prod"}}}`}), func(c *awssts.Config) {
		c.Providers = append(c.Providers, awssts.Provider{Issuer: gh.Issuer(), Keys: func(context.Context) ([]byte, error) { return gh.JWKS(), nil }})
	})
	ask := func(j github.Job) string {
		t.Helper()
		running, err := gh.AddJob(j)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(http.MethodGet, server.URL+running.Path+"&audience=sts.amazonaws.com", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "bearer "+running.Token)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var answer struct{ Value string }
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer.Value
	}
	w.expect(w.post(parameters(ask(github.Job{Environment: "prod"}), "RoleArn", role)), 200, "", "")
	w.expect(w.post(parameters(ask(github.Job{Environment: "prod", IDSubject: true}), "RoleArn", role)), 200, "", "")
	for name, j := range map[string]github.Job{
		"pull request":                  {Event: "pull_request"},
		"a branch":                      {},
		"a repository of the same name": {Environment: "prod", RepositoryID: "75"},
		"another owner":                 {Environment: "prod", Repository: "evil/octo-repo"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.expect(w.post(parameters(ask(j), "RoleArn", role)), 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
			if e := w.last().Evaluation; e == nil || len(e.Actions) == 0 || len(e.Actions[0].Statements[0].Conditions) != 3 {
				t.Errorf("the evaluation told is %+v", e)
			}
		})
	}
	clock.Add(-11 * time.Minute)
	w.expect(w.post(parameters(ask(github.Job{Environment: "prod"}), "RoleArn", role)), 400, "ExpiredTokenException",
		fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", start.Unix()-300, start.Unix()-360))
}

func TestAtOnce(t *testing.T) {
	w := newWorld(t, func(c *awssts.Config) { c.MaxSessions = 4 })
	token := w.sign("ES256", w.claims())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				response, err := http.PostForm(w.url, parameters(token))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					t.Errorf("%v %s", err, body)
				}
			}
		})
	}
	all.Wait()
}

// Whatever is sent as a token: credentials come only for what the issuer
// signed, and every answer is one of the service's.
func FuzzToken(f *testing.F) {
	w := newWorld(f)
	good := w.sign("ES256", w.claims())
	signed := good[:strings.LastIndexByte(good, '.')]
	signature := good[len(signed)+1:]
	for _, seed := range []string{
		good, signed + ".", "...", "a.b.c", good + "=", good + ".",
		b64([]byte(`{"alg":"none"}`)) + "." + strings.Split(good, ".")[1] + ".",
		b64([]byte(`{"alg":"ES256","kid":"ES256","kid":"rsa"}`)) + "." + strings.Split(good, ".")[1] + "." + signature,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		w := w.in(t)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(parameters(raw).Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		recorder := httptest.NewRecorder()
		w.sts.ServeHTTP(recorder, r)
		a := w.read(recorder.Result(), nil)
		switch {
		case a.Status == http.StatusOK && !strings.HasPrefix(raw, signed+"."):
			t.Errorf("credentials for what nobody signed: %q", raw)
		case a.Status != http.StatusOK && (a.Status < 400 || a.Status > 403 || a.Code == "" || a.Type != "Sender"):
			t.Errorf("answer %d %s", a.Status, a.Body)
		case a.Status != http.StatusOK && raw == good:
			t.Errorf("a good token is refused: %s", a.Body)
		}
	})
}
