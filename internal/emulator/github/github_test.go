package github_test

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/emulator/github"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newGitHub(t *testing.T, change ...func(*github.Config)) (*github.GitHub, string) {
	t.Helper()
	cfg := github.Config{Now: func() time.Time { return now }, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	g, err := github.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return g, server.URL
}

func addJob(t *testing.T, g *github.GitHub, j github.Job) *github.RunningJob {
	t.Helper()
	r, err := g.AddJob(j)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// get asks as a job's step does.
func get(t *testing.T, target, authorization string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("%d %s", response.StatusCode, body)
	}
	return response.StatusCode, m
}

// claims asks for a token and verifies it with the key set that is served.
func claims(t *testing.T, g *github.GitHub, base string, j github.Job, audience string) map[string]any {
	t.Helper()
	r := addJob(t, g, j)
	target := base + r.Path
	if audience != "" {
		target += "&audience=" + url.QueryEscape(audience)
	}
	status, answer := get(t, target, "bearer "+r.Token)
	raw, _ := answer["value"].(string)
	if status != http.StatusOK || answer["count"] != float64(len(raw)) {
		t.Fatalf("%d %v", status, answer)
	}
	token, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(func() time.Time { return now })).Parse(raw, func(token *jwt.Token) (any, error) {
		_, set := get(t, base+"/.well-known/jwks", "")
		key := set["keys"].([]any)[0].(map[string]any)
		if token.Header["kid"] != key["kid"] || token.Header["x5t"] != key["x5t"] || token.Header["typ"] != "JWT" || len(token.Header) != 4 {
			t.Errorf("header %v, key %v", token.Header, key)
		}
		certificate, err := base64.StdEncoding.DecodeString(key["x5c"].([]any)[0].(string))
		if sum := sha1.Sum(certificate); err != nil || key["x5t"] != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Error("x5t is not the certificate's thumbprint")
		}
		if key["n"] != base64.RawURLEncoding.EncodeToString(g.PublicKey().N.Bytes()) {
			t.Error("the key set holds another key")
		}
		return g.PublicKey(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return token.Claims.(jwt.MapClaims)
}

func TestToken(t *testing.T) {
	g, base := newGitHub(t)
	got := claims(t, g, base, github.Job{Environment: "prod"}, "https://stint.example.com")
	want := map[string]any{
		"iss": github.DefaultIssuer, "aud": "https://stint.example.com", "sub": "repo:octo-org/octo-repo:environment:prod",
		"iat": float64(now.Unix()), "nbf": float64(now.Unix() - 300), "exp": float64(now.Unix() + 300), "jti": got["jti"],
		"repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner": "octo-org", "repository_owner_id": "65",
		"repository_visibility": "private", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "false", "sha": got["sha"],
		"event_name": "push", "actor": "octocat", "actor_id": "12", "head_ref": "", "base_ref": "", "environment": "prod",
		"workflow": "deploy", "workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main", "workflow_sha": got["sha"],
		"job_workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main", "job_workflow_sha": got["sha"],
		"run_id": "1", "run_number": "10", "run_attempt": "1", "check_run_id": "5", "runner_environment": "github-hosted",
	}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s: expected %v, found %v", name, v, got[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("expected %d claims, found %v", len(want), got)
	}
	if sha, _ := got["sha"].(string); len(sha) != 40 {
		t.Errorf("sha %q", sha)
	}
	if again := claims(t, g, base, github.Job{}, ""); again["jti"] == got["jti"] || again["aud"] != "https://github.com/octo-org" || again["environment"] != nil {
		t.Errorf("found %v", again)
	}
}

func TestSubjects(t *testing.T) {
	g, base := newGitHub(t)
	cases := []struct {
		name string
		job  github.Job
		sub  string
	}{
		{"branch", github.Job{}, "repo:octo-org/octo-repo:ref:refs/heads/main"},
		{"tag", github.Job{Ref: "refs/tags/v1"}, "repo:octo-org/octo-repo:ref:refs/tags/v1"},
		{"ids", github.Job{IDSubject: true, Environment: "prod"}, "repo:octo-org@65/octo-repo@74:environment:prod"},
		{"pull request", github.Job{Event: "pull_request"}, "repo:octo-org/octo-repo:pull_request"},
		{"pull request target", github.Job{Event: "pull_request_target"}, "repo:octo-org/octo-repo:pull_request"},
		{"pull request with an environment", github.Job{Event: "pull_request", Environment: "preview"}, "repo:octo-org/octo-repo:environment:preview"},
		{"colon in a value", github.Job{Environment: "prod:eu:1"}, "repo:octo-org/octo-repo:environment:prod%3Aeu%3A1"},
		{"a branch that looks like an environment", github.Job{Ref: "refs/heads/x:environment:prod"}, "repo:octo-org/octo-repo:ref:refs/heads/x%3Aenvironment%3Aprod"},
		{"a claim changes what it is built from", github.Job{Claims: map[string]string{"environment": "dev"}}, "repo:octo-org/octo-repo:environment:dev"},
		{"a claim takes it out", github.Job{Environment: "prod", Claims: map[string]string{"environment": ""}}, "repo:octo-org/octo-repo:ref:refs/heads/main"},
		{"the claim itself", github.Job{Claims: map[string]string{"sub": "repository_owner:octo-org"}}, "repository_owner:octo-org"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := claims(t, g, base, c.job, ""); got["sub"] != c.sub {
				t.Errorf("expected %s, found %v", c.sub, got["sub"])
			}
		})
	}
	if _, there := claims(t, g, base, github.Job{Claims: map[string]string{"sub": ""}}, "")["sub"]; there {
		t.Error("an empty claim should be taken out")
	}
}

func TestOtherJobs(t *testing.T) {
	g, base := newGitHub(t)
	pr := claims(t, g, base, github.Job{Event: "pull_request", HeadRef: "fix"}, "")
	if pr["ref"] != "refs/pull/1/merge" || pr["head_ref"] != "fix" || pr["base_ref"] != "main" {
		t.Errorf("pull request: %v", pr)
	}
	target := claims(t, g, base, github.Job{Event: "pull_request_target", BaseRef: "dev"}, "")
	if target["ref"] != "refs/heads/dev" {
		t.Errorf("pull request target: %v", target)
	}
	one := claims(t, g, base, github.Job{Repository: "acme/site"}, "")
	two := claims(t, g, base, github.Job{Repository: "acme/other"}, "")
	if one["repository_id"] == two["repository_id"] || one["repository_owner_id"] != two["repository_owner_id"] || one["repository_owner_id"] == "65" || one["aud"] != "https://github.com/acme" {
		t.Errorf("ids of other repositories: %v, %v", one, two)
	}
	times := claims(t, g, base, github.Job{Claims: map[string]string{"exp": fmt.Sprint(now.Unix() + 9), "iss": "https://evil.example.com", "repo_property_tier": "1"}}, "")
	if times["exp"] != float64(now.Unix()+9) || times["iss"] != "https://evil.example.com" || times["repo_property_tier"] != "1" {
		t.Errorf("overridden: %v", times)
	}
}

func TestJobsThatAreRefused(t *testing.T) {
	g, _ := newGitHub(t)
	for name, j := range map[string]github.Job{
		"repository":           {Repository: "octo-repo"},
		"three parts":          {Repository: "a/b/c"},
		"an at sign":           {Repository: "octo-org@65/octo-repo"},
		"short ref":            {Ref: "main"},
		"id":                   {RepositoryID: "7four"},
		"commit":               {SHA: "abc"},
		"visibility":           {Visibility: "secret"},
		"newline":              {Environment: "prod\nX=1"},
		"newline in a claim":   {Claims: map[string]string{"a": "b\nGITHUB_REF=x"}},
		"claim without a name": {Claims: map[string]string{"": "x"}},
		"long":                 {Workflow: strings.Repeat("w", 4097)},
	} {
		if r, err := g.AddJob(j); err == nil {
			t.Errorf("%s: expected an error, found %+v", name, r.Job)
		}
	}
}

func TestRequestTokens(t *testing.T) {
	g, base := newGitHub(t)
	one, two := addJob(t, g, github.Job{}), addJob(t, g, github.Job{})
	if one.Token == two.Token || one.Path == two.Path {
		t.Fatal("two jobs share an endpoint or a token")
	}
	for name, c := range map[string]struct {
		target, authorization string
		status                int
	}{
		"its own":           {one.Path, "bearer " + one.Token, 200},
		"another case":      {one.Path, "Bearer " + one.Token, 200},
		"missing":           {one.Path, "", 401},
		"another job's":     {one.Path, "bearer " + two.Token, 401},
		"cut":               {one.Path, "bearer " + one.Token[1:], 401},
		"another scheme":    {one.Path, "basic " + one.Token, 401},
		"without a scheme":  {one.Path, one.Token, 401},
		"no such job":       {"/idtoken/x?api-version=2.0", "bearer " + one.Token, 401},
		"a huge audience":   {one.Path + "&audience=" + strings.Repeat("a", 2049), "bearer " + one.Token, 400},
		"a query that none": {one.Path + "&audience=%zz", "bearer " + one.Token, 400},
	} {
		status, answer := get(t, base+c.target, c.authorization)
		if status != c.status || (answer["value"] != nil) != (status == 200) {
			t.Errorf("%s: expected %d, found %d %v", name, c.status, status, answer)
		}
		if text := fmt.Sprint(answer); strings.Contains(text, one.Token) || strings.Contains(text, two.Token) {
			t.Errorf("%s: the answer holds a request token", name)
		}
	}
}

func TestDiscovery(t *testing.T) {
	g, base := newGitHub(t, func(c *github.Config) { c.Issuer = github.DefaultIssuer + "/acme" })
	for _, path := range []string{"", "/acme"} {
		_, document := get(t, base+path+"/.well-known/openid-configuration", "")
		if document["issuer"] != github.DefaultIssuer+"/acme" || document["jwks_uri"] != github.DefaultIssuer+"/acme/.well-known/jwks" {
			t.Errorf("found %v", document)
		}
		for _, required := range []string{"response_types_supported", "id_token_signing_alg_values_supported", "subject_types_supported"} {
			if list, _ := document[required].([]any); len(list) == 0 {
				t.Errorf("%s is missing", required)
			}
		}
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(g.JWKS(), &set); err != nil || len(set.Keys) != 1 {
			t.Error(err)
		}
		if _, served := get(t, base+path+"/.well-known/jwks", ""); served["keys"].([]any)[0].(map[string]any)["kid"] != g.KeyID() {
			t.Error("another key set is served")
		}
	}
}

func TestEnv(t *testing.T) {
	g, base := newGitHub(t)
	r := addJob(t, g, github.Job{Environment: "prod", Ref: "refs/tags/v1", Claims: map[string]string{"actor": "hubot", "run_attempt": ""}})
	env := map[string]string{}
	for _, line := range r.Env(base + "/") {
		name, value, ok := strings.Cut(line, "=")
		if _, twice := env[name]; twice || !ok || strings.Contains(value, "\n") {
			t.Errorf("bad line %q", line)
		}
		env[name] = value
	}
	for name, want := range map[string]string{
		"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_REPOSITORY": "octo-org/octo-repo", "GITHUB_REPOSITORY_ID": "74",
		"GITHUB_REPOSITORY_OWNER": "octo-org", "GITHUB_REPOSITORY_OWNER_ID": "65", "GITHUB_REF": "refs/tags/v1", "GITHUB_REF_NAME": "v1",
		"GITHUB_REF_TYPE": "tag", "GITHUB_SHA": r.Job.SHA, "GITHUB_RUN_ID": "1", "GITHUB_RUN_NUMBER": "10", "GITHUB_RUN_ATTEMPT": "",
		"GITHUB_EVENT_NAME": "push", "GITHUB_ACTOR": "hubot", "GITHUB_ACTOR_ID": "12", "GITHUB_WORKFLOW": "deploy", "GITHUB_JOB": "deploy",
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_API_URL": "https://api.github.com",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": r.Token,
	} {
		if got, there := env[name]; got != want || !there {
			t.Errorf("%s: expected %q, found %q", name, want, got)
		}
	}
	// The URL has a query already, to which clients append &audience=.
	status, answer := get(t, env["ACTIONS_ID_TOKEN_REQUEST_URL"]+"&audience=a", "bearer "+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	if status != 200 || answer["value"] == nil {
		t.Errorf("%d %v", status, answer)
	}
}

func TestInsecureSign(t *testing.T) {
	g, _ := newGitHub(t)
	raw, err := g.InsecureSign(map[string]any{"a": 1}, map[string]any{"kid": "x", "x5t": nil, "crit": []string{"b"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewParser(jwt.WithoutClaimsValidation()).Parse(raw, func(*jwt.Token) (any, error) { return g.PublicKey(), nil })
	if err != nil {
		t.Fatal(err)
	}
	if token.Header["kid"] != "x" || token.Header["x5t"] != nil || token.Header["crit"] == nil || token.Claims.(jwt.MapClaims)["a"] != float64(1) {
		t.Errorf("found %v %v", token.Header, token.Claims)
	}
}

func TestNewRefuses(t *testing.T) {
	clock := func() time.Time { return now }
	log := slog.New(slog.DiscardHandler)
	for name, cfg := range map[string]github.Config{
		"nothing":         {},
		"no randomness":   {Now: clock, Log: log},
		"no URL":          {Now: clock, Log: log, Rand: rand.Reader, Issuer: "token.actions.githubusercontent.com"},
		"a query":         {Now: clock, Log: log, Rand: rand.Reader, Issuer: github.DefaultIssuer + "?a"},
		"too little rand": {Now: clock, Log: log, Rand: strings.NewReader("x")},
	} {
		if g, err := github.New(cfg); err == nil || g != nil {
			t.Errorf("%s: expected an error", name)
		}
	}
}
