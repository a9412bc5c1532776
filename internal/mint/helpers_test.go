package mint_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/store"
)

const (
	brokerIssuer = "https://stint.example.com"
	deployRole   = "arn:aws:iam::111111111111:role/ci/deploy"
	deploySub    = "github:repo:octo-org/octo-repo:environment:prod"
	deployARN    = "arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-1"
	bareRole     = "arn:aws-cn:iam::222222222222:role/bare"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const rulesFile = `
issuer: https://stint.example.com
issuers:
  github:
    url: https://token.actions.githubusercontent.com
    audiences: [https://stint.example.com]
    only: {repository_owner_id: "65"}
rules:
  - name: deploy
    issuer: github
    match: {environment: prod}
    aws:
      roles: ["arn:aws:iam::111111111111:role/ci/deploy"]
      duration: 30m
      session_name: "{repository_name}-{run_id}"
      tags: {repository: repository, env: environment}
      transitive: [repository]
      source_identity: actor_id
  - name: bare
    issuer: github
    match: {environment: bare}
    aws:
      roles: ["arn:aws-cn:iam::222222222222:role/bare"]
      session_name: bare-session
  - name: assumed
    issuer: github
    match: {environment: assumed}
    aws:
      roles: ["arn:aws:iam::111111111111:role/ci/deploy"]
      via: assume-role
      external_id: stint-prod
      duration: 30m
      session_name: "{repository_name}-{run_id}"
      tags: {repository: repository, env: environment}
      transitive: [repository]
      source_identity: actor_id
pools:
  - id: eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f
    account: "111111111111"
    classic: true
    default_role: arn:aws:iam::111111111111:role/ci/deploy
    providers:
      - provider: token.actions.githubusercontent.com
        tags: {repository: repository}
        transitive: [repository]
`

// memory is a store of records and signing keys that can be made to fail.
type memory struct {
	mu   sync.Mutex
	keys []store.SigningKey
	down bool
	hook func() // runs before each update
}

var errDown = errors.New("the store is down")

func (m *memory) AppendRecord(context.Context, *audit.Record) error          { return nil }
func (m *memory) AppendOutcome(context.Context, string, audit.Outcome) error { return nil }

func (m *memory) SigningKeys(context.Context) ([]store.SigningKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errDown
	}
	return slices.Clone(m.keys), nil
}

func (m *memory) UpdateSigningKeys(_ context.Context, update func([]store.SigningKey) ([]store.SigningKey, []string, error)) ([]store.SigningKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hook != nil {
		m.hook()
	}
	add, drop, err := update(slices.Clone(m.keys))
	if err != nil {
		return nil, err
	}
	m.keys = append(slices.DeleteFunc(m.keys, func(k store.SigningKey) bool { return slices.Contains(drop, k.KeyID) }), add...)
	return slices.Clone(m.keys), nil
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: start} }

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// recorded is a grant that went the whole way: a job token that verifies, a
// rule that matches it, a record.
func recorded(t testing.TB, environment string, want rules.Request) audit.Recorded {
	t.Helper()
	return decided(t, environment, func(set *rules.Set, claims identity.Claims) rules.Decision {
		want.Time = start
		return set.Decide(claims, want)
	})
}

// decided is recorded with another way to decide.
func decided(t testing.TB, environment string, decide func(*rules.Set, identity.Claims) rules.Decision) audit.Recorded {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	point, err := key.PublicKey.Bytes()
	must(t, err)
	b64 := base64.RawURLEncoding.EncodeToString
	set := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": "https://token.actions.githubusercontent.com", "aud": brokerIssuer, "jti": "j",
		"sub":        "repo:octo-org/octo-repo:environment:" + environment,
		"repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner": "octo-org", "repository_owner_id": "65",
		"environment": environment, "ref": "refs/heads/main", "event_name": "push", "actor_id": "12", "run_id": "1",
		"iat": start.Unix(), "nbf": start.Unix(), "exp": start.Add(time.Minute).Unix(),
	})
	unsigned.Header["kid"] = "k"
	raw, err := unsigned.SignedString(key)
	must(t, err)

	cfg, err := config.Parse("stint.yaml", []byte(rulesFile))
	must(t, err)
	compiled, err := rules.Compile(cfg)
	must(t, err)
	issuers := cfg.Trusted()
	issuers[0].JWKSFile = "keys.json"
	at := func() time.Time { return start }
	v, err := identity.New(identity.Config{Issuers: issuers, Now: at, ReadFile: func(string) ([]byte, error) { return []byte(set), nil }})
	must(t, err)
	claims, err := v.Verify(t.Context(), raw)
	must(t, err)
	decision := decide(compiled, claims)
	if !decision.Allowed() {
		t.Fatalf("expected a grant, found %s", decision.Detail)
	}
	r, err := audit.NewLog(&memory{}, audit.LogConfig{Now: at}).Allow(t.Context(), audit.Entry{Caller: audit.CallerOf(claims)}, decision)
	must(t, err)
	return r
}

func newKeys(t testing.TB, s mint.KeyStore, algorithm string, now func() time.Time) *mint.Keys {
	t.Helper()
	k, err := mint.NewKeys(t.Context(), mint.KeysConfig{Store: s, Algorithm: algorithm, RotateEvery: 30 * 24 * time.Hour, TokenLifetime: 5 * time.Minute, Now: now})
	must(t, err)
	return k
}

func newMinter(k *mint.Keys, now func() time.Time) *mint.Minter {
	return mint.New(mint.Config{Issuer: brokerIssuer, Keys: k, Lifetime: 5 * time.Minute, Now: now})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kids are the key ids of a key set.
func kids(t testing.TB, jwks []byte) []string {
	t.Helper()
	var set struct {
		Keys []struct{ Kid string }
	}
	must(t, json.Unmarshal(jwks, &set))
	var out []string
	for _, k := range set.Keys {
		out = append(out, k.Kid)
	}
	return out
}

// printed is v under every way in which a program comes to print it.
func printed(t *testing.T, v, pointer any) string {
	t.Helper()
	var b bytes.Buffer
	for _, x := range []any{v, pointer, struct{ Field any }{v}, []any{v}, map[string]any{"k": pointer}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%08.3f"} {
			fmt.Fprintf(&b, verb+"\n", x)
		}
		text, err := json.Marshal(x)
		must(t, err)
		b.Write(text)
		for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(h).Info("m", "x", x, slog.Group("g", "x", x))
		}
	}
	fmt.Fprintln(&b, fmt.Errorf("wrapped: %v", v))
	return b.String()
}

// hides asserts that none of the secrets stands in text, in any usual spelling.
func hides(t *testing.T, text string, secrets ...string) {
	t.Helper()
	lower := strings.ToLower(text)
	for _, s := range secrets {
		decimals := strings.Trim(fmt.Sprint([]byte(s)[:8]), "[]")
		for form, spelled := range map[string]string{
			"itself": strings.ToLower(s), "hexadecimal": fmt.Sprintf("%x", s), "decimal": decimals,
			"base64": strings.ToLower(base64.RawStdEncoding.EncodeToString([]byte(s[:len(s)/3*3]))),
		} {
			if strings.Contains(lower, spelled) {
				t.Errorf("a secret is printed (%s)", form)
			}
		}
	}
}
