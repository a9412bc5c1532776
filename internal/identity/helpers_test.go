package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/match"
)

const (
	testIssuer   = "https://token.actions.githubusercontent.com"
	testAudience = "https://stint.example.com"
)

var testNow = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256     = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384     = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521     = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type object = map[string]any

func jwkOf(kid string, public crypto.PublicKey, more object) object {
	j := object{"kid": kid, "use": "sig"}
	switch p := public.(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())
	case *ecdsa.PublicKey:
		point := must(p.Bytes())
		size := (len(point) - 1) / 2
		j["kty"], j["crv"], j["x"], j["y"] = "EC", p.Curve.Params().Name, b64(point[1:1+size]), b64(point[1+size:])
	}
	maps.Copy(j, more)
	return j
}

func jwks(keys ...object) []byte {
	if keys == nil {
		keys = []object{}
	}
	return must(json.Marshal(object{"keys": keys}))
}

// testKeys are the issuer's keys: one for each family of algorithms, one that
// is pinned, and two under one kid.
func testKeys() []byte {
	return jwks(
		jwkOf("rsa", rsaKey().Public(), nil),
		jwkOf("pinned", rsaKey().Public(), object{"alg": "RS256"}),
		jwkOf("p256", p256().Public(), nil),
		jwkOf("p384", p384().Public(), nil),
		jwkOf("p521", p521().Public(), nil),
		jwkOf("doubled", rsaKey().Public(), nil),
		jwkOf("doubled", otherRSA().Public(), nil),
	)
}

func payloadOf(more object) object {
	p := object{
		"iss": testIssuer, "aud": testAudience, "sub": "repo:octo-org@65/octo-repo@74:environment:prod",
		"environment": "prod", "repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner": "octo-org",
		"repository_owner_id": "65", "repository_visibility": "private", "ref": "refs/heads/main", "ref_type": "branch",
		"ref_protected": "true", "sha": strings.Repeat("a", 40), "event_name": "push", "actor": "octocat", "actor_id": "12",
		"base_ref": "", "head_ref": "", "workflow": "deploy",
		"workflow_ref": "octo-org/octo-repo/.github/workflows/d.yml@refs/heads/main", "workflow_sha": strings.Repeat("b", 40),
		"job_workflow_ref": "octo-org/auto/.github/workflows/oidc.yml@refs/heads/main", "job_workflow_sha": strings.Repeat("c", 40),
		"run_id": "1", "run_number": "10", "run_attempt": "1", "check_run_id": "5", "runner_environment": "github-hosted",
		"enterprise": "acme", "enterprise_id": "2", "jti": "b1f0a9d2",
		"nbf": testNow.Unix() - 300, "iat": testNow.Unix(), "exp": testNow.Unix() + 300,
	}
	maps.Copy(p, more)
	for k, v := range p {
		if v == nil {
			delete(p, k)
		}
	}
	return p
}

func headerOf(alg, kid string, more object) object {
	h := object{"typ": "JWT", "alg": alg, "kid": kid, "x5t": "thumb"}
	maps.Copy(h, more)
	return h
}

// signRaw signs any bytes as header and payload.
func signRaw(method jwt.SigningMethod, key any, header, payload []byte) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(must(method.Sign(input, key)))
}

func sign(method jwt.SigningMethod, key any, header, payload object) string {
	return signRaw(method, key, must(json.Marshal(header)), must(json.Marshal(payload)))
}

// rs256 is a token that the issuer's RSA key really signed.
func rs256(payload object) string {
	return sign(jwt.SigningMethodRS256, rsaKey(), headerOf("RS256", "rsa", nil), payload)
}

func testIssuerConfig() Issuer {
	return Issuer{
		Name: "github", URL: testIssuer, Audiences: []string{testAudience, "second"}, JWKSFile: "keys.json",
		Only: []Condition{{Claim: "repository_owner_id", Patterns: []match.Pattern{match.Compile("65")}}},
	}
}

func newTestVerifier(t testing.TB, issuers ...Issuer) *Verifier {
	t.Helper()
	if len(issuers) == 0 {
		issuers = []Issuer{testIssuerConfig()}
	}
	v, err := New(Config{Issuers: issuers, Now: func() time.Time { return testNow },
		ReadFile: func(string) ([]byte, error) { return testKeys(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
