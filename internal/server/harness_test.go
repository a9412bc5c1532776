package server_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/emulator/awssts"
	"github.com/stint-dev/stint/internal/emulator/github"
	"github.com/stint-dev/stint/internal/exchange"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/roles"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/server"
	"github.com/stint-dev/stint/internal/store"
)

const (
	brokerIssuer = "https://stint.example.com"
	audience     = "https://stint.example.com"
	deployRole   = "arn:aws:iam::111111111111:role/deploy"
)

const rulesFile = `
issuer: https://stint.example.com
issuers:
  github:
    url: https://token.actions.githubusercontent.com
    audiences: [https://stint.example.com]
    only: {repository_owner_id: "65"}
rules:
  - name: deploy-prod
    issuer: github
    match: {repository_id: "74", environment: prod, ref: refs/heads/main}
    aws:
      roles: ["arn:aws:iam::111111111111:role/deploy"]
      duration: 30m
      session_name: "{repository_name}-{run_id}"
      tags: {repository: repository, env: environment, custom: custom}
      transitive: [repository]
      source_identity: actor_id
  - name: never-pull-requests
    effect: deny
    match: {event_name: pull_request*}
  - name: unknown-to-aws
    issuer: github
    match: {repository_id: "74", environment: ghost}
    aws: {roles: ["arn:aws:iam::111111111111:role/ghost"]}
`

const trustPolicy = `{"Role": {"Arn": "arn:aws:iam::111111111111:role/deploy", "MaxSessionDuration": 3600, "AssumeRolePolicyDocument": {
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/stint.example.com"},
    "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
    "Condition": {"StringEquals": {
      "stint.example.com:aud": "sts.amazonaws.com",
      "stint.example.com:sub": "github:repo:octo-org/octo-repo:environment:prod"}}}]}}}`

// harness is a real broker with a real store, and the emulated GitHub and AWS
// around it, all on loopback.
type harness struct {
	t      *testing.T
	github *github.GitHub
	store  store.Store
	url    string
	stsURL string
	keys   *mint.Keys

	mu  sync.Mutex
	now time.Time
}

func (h *harness) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

type option func(*harnessConfig)

type harnessConfig struct {
	wrapStore func(store.Store) audit.Store
	aws       http.Handler
	rules     string            // instead of rulesFile
	roles     map[string]string // files of roles beside that of deployRole
}

func newHarness(t *testing.T, options ...option) *harness {
	t.Helper()
	var hc harnessConfig
	for _, o := range options {
		o(&hc)
	}
	ctx := t.Context()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	h := &harness{t: t, now: time.Now().Truncate(time.Second)}

	gh, err := github.New(github.Config{Now: h.clock, Rand: rand.Reader, Log: log})
	must(t, err)
	h.github = gh
	ghServer := httptest.NewServer(gh)
	t.Cleanup(ghServer.Close)

	cfg, err := config.Parse("stint.yaml", []byte(cmp.Or(hc.rules, rulesFile)))
	must(t, err)
	set, err := rules.Compile(cfg)
	must(t, err)
	issuers := cfg.Trusted()
	issuers[0].JWKSURL = ghServer.URL + "/.well-known/jwks"
	verifier, err := identity.New(identity.Config{Issuers: issuers, Now: h.clock, Log: log})
	must(t, err)

	h.store, err = store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "stint.db"))
	must(t, err)
	t.Cleanup(func() { _ = h.store.Close() })
	h.keys, err = mint.NewKeys(ctx, mint.KeysConfig{Store: h.store, Algorithm: "ES256", RotateEvery: 720 * time.Hour, TokenLifetime: mint.PoolTokenLifetime, Now: h.clock, Log: log})
	must(t, err)

	if hc.aws == nil {
		files := fstest.MapFS{"role.json": {Data: []byte(trustPolicy)}}
		for name, text := range hc.roles {
			files[name] = &fstest.MapFile{Data: []byte(text)}
		}
		set, _, err := roles.FromInventory(inventory.LoadFS(files), "")
		must(t, err)
		hc.aws, err = awssts.New(awssts.Config{
			Roles: set, Now: h.clock, Rand: rand.Reader, Log: log,
			Providers: []awssts.Provider{{Issuer: brokerIssuer, Keys: func(context.Context) ([]byte, error) { return h.keys.JWKS(), nil }}},
		})
		must(t, err)
	}
	aws := httptest.NewServer(hc.aws)
	t.Cleanup(aws.Close)
	h.stsURL = aws.URL

	var records audit.Store = h.store
	if hc.wrapStore != nil {
		records = hc.wrapStore(h.store)
	}
	broker := exchange.New(exchange.Config{
		Policy: &exchange.Policy{Identity: verifier, Rules: set},
		Audit:  audit.NewLog(records, audit.LogConfig{Now: h.clock}),
		Minter: mint.New(mint.Config{Issuer: brokerIssuer, Keys: h.keys, Lifetime: 5 * time.Minute, Now: h.clock}),
		STS:    mint.NewSTS(mint.STSConfig{Region: "us-east-1", Endpoint: aws.URL, Timeout: 10 * time.Second, Log: log}),
		Now:    h.clock,
		Log:    log,

		Identities: h.store,
	})
	srv, err := server.New(server.Config{
		Issuer: brokerIssuer, Broker: broker, Keys: h.keys,
		Ready: h.store.Ping, Now: h.clock, Log: log,
	})
	must(t, err)
	front := httptest.NewServer(srv)
	t.Cleanup(front.Close)
	h.url = front.URL
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// payload is what the emulated GitHub would sign for the job now.
func (h *harness) payload(j github.Job) map[string]any {
	h.t.Helper()
	running, err := h.github.AddJob(j)
	must(h.t, err)
	return h.github.Payload(running, audience)
}

// sign is a job token with the payload; header parameters are set over the
// usual ones.
func (h *harness) sign(payload, header map[string]any) string {
	h.t.Helper()
	raw, err := h.github.InsecureSign(payload, header)
	must(h.t, err)
	return raw
}

var prod = github.Job{Environment: "prod"}

// token is the token of a job that the rules grant the role.
func (h *harness) token() string { return h.sign(h.payload(prod), nil) }

type answer struct {
	status int
	header http.Header
	body   string
}

func (h *harness) post(path string, form url.Values) answer {
	return h.send(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (h *harness) send(method, path, contentType string, body io.Reader) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, body)
	must(h.t, err)
	r.Header.Set("Content-Type", contentType)
	return h.do(r)
}

func (h *harness) do(r *http.Request) answer {
	h.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	must(h.t, err)
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	must(h.t, err)
	return answer{resp.StatusCode, resp.Header, string(out)}
}

func exchangeForm(token string) url.Values {
	return url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":      {token},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"resource":           {deployRole},
	}
}

func stsForm(token string) url.Values {
	return url.Values{
		"Action":           {"AssumeRoleWithWebIdentity"},
		"Version":          {"2011-06-15"},
		"RoleArn":          {deployRole},
		"RoleSessionName":  {"from-the-client"},
		"WebIdentityToken": {token},
	}
}

// last is the newest record.
func (h *harness) last() audit.Record {
	h.t.Helper()
	all, err := h.store.Records(h.t.Context(), store.Query{Newest: true, Limit: 1})
	must(h.t, err)
	if len(all) == 0 {
		h.t.Fatal("nothing is on record")
	}
	return all[0]
}

func (a answer) oauth(t *testing.T) (code, description string, denial map[string]any) {
	t.Helper()
	var v struct {
		Error       string         `json:"error"`
		Description string         `json:"error_description"`
		Denial      map[string]any `json:"denial"`
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return v.Error, v.Description, v.Denial
}
