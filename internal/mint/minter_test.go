package mint_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
)

// verify checks a token against a key set with nothing but the standard
// library, as RFC 7515 and RFC 7518 say it, and returns its parts.
func verify(t *testing.T, raw string, jwks []byte) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("expected three parts, found %d", len(parts))
	}
	decode := func(s string) []byte {
		b, err := base64.RawURLEncoding.Strict().DecodeString(s)
		must(t, err)
		return b
	}
	must(t, json.Unmarshal(decode(parts[0]), &header))
	must(t, json.Unmarshal(decode(parts[1]), &claims))
	var set struct{ Keys []map[string]string }
	must(t, json.Unmarshal(jwks, &set))
	for _, k := range set.Keys {
		if k["kid"] != header["kid"] {
			continue
		}
		number := func(name string) *big.Int { return new(big.Int).SetBytes(decode(k[name])) }
		digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		signature := decode(parts[2])
		var required string
		switch k["kty"] {
		case "EC":
			if len(signature) != 64 || len(decode(k["x"])) != 32 || len(decode(k["y"])) != 32 || k["alg"] != "ES256" || k["crv"] != "P-256" {
				t.Fatalf("no ES256: %v", k)
			}
			public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, decode(k["x"]), decode(k["y"])))
			must(t, err)
			if !ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
				t.Fatal("the signature does not verify")
			}
			required = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, k["crv"], k["x"], k["y"])
		case "RSA":
			public := &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
			if public.N.BitLen() < 2048 || k["alg"] != "RS256" {
				t.Fatalf("no RS256: %v", k)
			}
			must(t, rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature))
			required = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, k["e"], k["n"])
		default:
			t.Fatalf("unknown key type %q", k["kty"])
		}
		thumbprint := sha256.Sum256([]byte(required)) // RFC 7638 section 3
		if want := base64.RawURLEncoding.EncodeToString(thumbprint[:]); k["kid"] != want || k["use"] != "sig" {
			t.Errorf("expected the thumbprint %s for signing, found %v", want, k)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, ok := k[private]; ok {
				t.Errorf("the key set holds the private member %s", private)
			}
		}
		return header, claims
	}
	t.Fatalf("no key of the set has the kid %v", header["kid"])
	return nil, nil
}

func TestSign(t *testing.T) {
	for _, algorithm := range []string{"ES256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			c := newClock()
			keys := newKeys(t, &memory{}, algorithm, c.now)
			token, err := newMinter(keys, c.now).Sign(recorded(t, "prod", rules.Request{}))
			must(t, err)
			header, claims := verify(t, token.Raw, keys.JWKS())
			if want := map[string]any{"alg": algorithm, "kid": token.KeyID, "typ": "JWT"}; !reflect.DeepEqual(header, want) {
				t.Errorf("expected the header %v, found %v", want, header)
			}
			at := float64(start.Unix())
			want := map[string]any{
				"iss": brokerIssuer, "sub": deploySub, "aud": "sts.amazonaws.com", "jti": token.ID,
				"iat": at, "nbf": at, "exp": at + 300,
				"https://aws.amazon.com/tags": map[string]any{
					"principal_tags":      map[string]any{"repository": []any{"octo-org/octo-repo"}, "env": []any{"prod"}},
					"transitive_tag_keys": []any{"repository"},
				},
				"https://aws.amazon.com/source_identity": "12",
				"https://aws.amazon.com/roles":           []any{deployRole},
			}
			if !reflect.DeepEqual(claims, want) {
				t.Errorf("expected the claims %v\nfound %v", want, claims)
			}
			if token.Subject != deploySub || token.Audience != "sts.amazonaws.com" || token.Role != deployRole ||
				!token.IssuedAt.Equal(start) || !token.Expires.Equal(start.Add(5*time.Minute)) || len(token.ID) != 32 {
				t.Errorf("found %+v", token)
			}
		})
	}
}

func TestSignWithoutSession(t *testing.T) {
	c := newClock()
	keys := newKeys(t, &memory{}, "ES256", c.now)
	token, err := newMinter(keys, c.now).Sign(recorded(t, "bare", rules.Request{}))
	must(t, err)
	_, claims := verify(t, token.Raw, keys.JWKS())
	for name := range claims {
		if strings.HasPrefix(name, "https://aws.amazon.com/") && name != "https://aws.amazon.com/roles" {
			t.Errorf("expected no claim %s without anything to say in it", name)
		}
	}
}

// One grant gives one payload: it is compared byte for byte where the time and
// the id are the same.
func TestSignIsDeterministic(t *testing.T) {
	c := newClock()
	keys := newKeys(t, &memory{}, "RS256", c.now)
	grant := recorded(t, "prod", rules.Request{})
	var raws []string
	for range 5 {
		m := mint.New(mint.Config{Issuer: brokerIssuer, Keys: keys, Now: c.now, Rand: bytes.NewReader(make([]byte, 16))})
		token, err := m.Sign(grant)
		must(t, err)
		raws = append(raws, token.Raw)
	}
	for _, raw := range raws {
		if raw != raws[0] {
			t.Fatal("the same grant gave two different tokens")
		}
	}
	m := newMinter(keys, c.now)
	a, err := m.Sign(grant)
	must(t, err)
	b, err := m.Sign(grant)
	must(t, err)
	if a.ID == b.ID {
		t.Error("expected an id of its own for each token")
	}
}

func TestSignRefuses(t *testing.T) {
	c := newClock()
	s := &memory{}
	keys := newKeys(t, s, "ES256", c.now)
	grant := recorded(t, "prod", rules.Request{})
	good := mint.Config{Issuer: brokerIssuer, Keys: keys, Now: c.now}
	for name, tc := range map[string]struct {
		grant  audit.Recorded
		change func(*mint.Config)
		text   string
	}{
		"no record":          {audit.Recorded{}, func(*mint.Config) {}, "expected a recorded grant"},
		"no issuer":          {grant, func(c *mint.Config) { c.Issuer = "" }, "expected an issuer"},
		"a long lifetime":    {grant, func(c *mint.Config) { c.Lifetime = 6 * time.Minute }, "expected a lifetime"},
		"a past lifetime":    {grant, func(c *mint.Config) { c.Lifetime = -time.Minute }, "expected a lifetime"},
		"no randomness":      {grant, func(c *mint.Config) { c.Rand = strings.NewReader("short") }, io.ErrUnexpectedEOF.Error()},
		"a view out of date": {grant, func(c *mint.Config) { c.Now = func() time.Time { return start.Add(24 * time.Hour) } }, mint.ErrStaleKeys.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			tc.change(&cfg)
			token, err := mint.New(cfg).Sign(tc.grant)
			if err == nil || !strings.Contains(err.Error(), tc.text) || token.Raw != "" {
				t.Errorf("expected %q and no token, found %v", tc.text, err)
			}
		})
	}
	if _, err := mint.New(good).Sign(grant); err != nil {
		t.Errorf("the same without the fault: %v", err)
	}
	s.keys = nil
	must(t, keys.Maintain(t.Context())) // makes a first key again
	if _, err := mint.New(good).Sign(grant); err != nil || errors.Is(keys.Ready(), mint.ErrNoKey) {
		t.Errorf("with a new first key: %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c := newClock()
	for _, algorithm := range []string{"ES256", "RS256"} {
		s := &memory{}
		keys := newKeys(t, s, algorithm, c.now)
		token, err := newMinter(keys, c.now).Sign(recorded(t, "prod", rules.Request{}))
		must(t, err)
		text := printed(t, token, &token)
		hides(t, text, token.Raw, token.Raw[strings.LastIndexByte(token.Raw, '.')+1:])
		if !strings.Contains(text, token.ID) {
			t.Error("expected the token's id, which tells which one it is")
		}
		key := s.keys[0]
		hides(t, printed(t, key, &key), string(key.PrivateKey), string(key.PrivateKey[len(key.PrivateKey)-32:]))
		hides(t, fmt.Sprintf("%v %+v %#v %d %x", keys, keys, s.keys, s.keys, s.keys), string(key.PrivateKey))
	}
	credentials := mint.Credentials{
		AccessKeyID: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: "secret-access-key-of-the-test", SessionToken: "session-token-of-the-test",
	}
	text := printed(t, credentials, &credentials)
	hides(t, text, credentials.SecretAccessKey, credentials.SessionToken)
	if !strings.Contains(text, credentials.AccessKeyID) {
		t.Error("expected the access key id, which tells which credentials they are")
	}
}

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []string{"ES256", "RS256"} {
		b.Run(algorithm, func(b *testing.B) {
			c := newClock()
			m := newMinter(newKeys(b, &memory{}, algorithm, c.now), c.now)
			grant := recorded(b, "prod", rules.Request{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Sign(grant); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
