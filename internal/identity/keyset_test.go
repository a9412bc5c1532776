package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
)

func nopLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestBadKeysDoNotSpoilTheRest(t *testing.T) {
	good := jwkOf("good", rsaKey().Public(), nil)
	n, e := rsaKey().N, big.NewInt(int64(rsaKey().E))
	even := new(big.Int).Add(n, big.NewInt(1))
	ec := jwkOf("bad", p256().Public(), nil)
	with := func(j object, name string, v any) object {
		c := object{}
		for k, old := range j {
			c[k] = old
		}
		c[name] = v
		return c
	}
	bad := jwkOf("bad", rsaKey().Public(), nil)
	for _, c := range []struct {
		name, says string
		key        any
	}{
		{"weak", "1024", jwkOf("bad", weakKey(t), nil)},
		{"huge", "8192", with(bad, "n", b64(append(n.Bytes(), make([]byte, 2000)...)))},
		{"even modulus", "even", with(bad, "n", b64(even.Bytes()))},
		{"exponent 3", "exponent", with(bad, "e", b64([]byte{3}))},
		{"even exponent", "exponent", with(bad, "e", b64(new(big.Int).Add(e, big.NewInt(1)).Bytes()))},
		{"large exponent", "exponent", with(bad, "e", b64([]byte{1, 0, 0, 0, 1}))},
		{"off the curve", "not on the curve", with(ec, "y", ec["x"])},
		{"short coordinate", "32 bytes", with(ec, "x", b64([]byte{1}))},
		{"unknown curve", "P-256", with(ec, "crv", "secp256k1")},
		{"for encryption", "use", with(bad, "use", "enc")},
		{"use no string", "use", with(bad, "use", 1)},
		{"cannot verify", "key_ops", with(bad, "key_ops", []string{"encrypt"})},
		{"symmetric", "RSA or EC", object{"kty": "oct", "kid": "bad", "k": "AAAA"}},
		{"no kid", "no kid", with(bad, "kid", "")},
		{"alg of another type", "alg", with(bad, "alg", "ES256")},
		{"HMAC alg", "alg", with(bad, "alg", "HS256")},
		{"private half", "private", with(bad, "d", "AAAA")},
		{"padding", "base64url", with(bad, "e", "AQAB====")},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, skipped, err := parseKeySet(jwks(c.key.(object), good))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := keys["good"]; !ok || len(keys) != 1 {
				t.Errorf("keys: %v", keys)
			}
			if len(skipped) != 1 || !strings.Contains(skipped[0], c.says) {
				t.Errorf("expected a reason with %q, found %q", c.says, skipped)
			}
		})
	}
}

func TestKeySetBounds(t *testing.T) {
	var many []object
	for i := range MaxKeys + 50 {
		many = append(many, jwkOf(fmt.Sprintf("k%d", i), p256().Public(), nil))
	}
	keys, skipped, err := parseKeySet(jwks(many...))
	if err != nil || len(keys) != MaxKeys || len(skipped) != 1 {
		t.Errorf("%d keys, %d reasons, %v", len(keys), len(skipped), err)
	}
	// The same key twice is no ambiguity.
	same := jwkOf("same", rsaKey().Public(), nil)
	if keys, _, err := parseKeySet(jwks(same, same)); err != nil || len(keys) != 1 {
		t.Errorf("the same key twice: %v, %v", keys, err)
	}
	a, b := jwkOf("x", rsaKey().Public(), nil), jwkOf("x", otherRSA().Public(), nil)
	if _, _, err := parseKeySet(jwks(a, b, a)); err == nil {
		t.Error("a third key under a doubled kid is used")
	}
}

func weakKey(t *testing.T) *rsa.PublicKey {
	n, err := rand.Prime(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return &rsa.PublicKey{N: n, E: 65537}
}
