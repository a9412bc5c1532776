package mint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/store"
)

const rsaBits = 2048

// algorithms are what a key may be made for.
var algorithms = []string{"ES256", "RS256"}

// ring is one view of the keys. It never changes.
type ring struct {
	keys   []signingKey // in order
	jwks   []byte
	loaded time.Time // no later than when the store was read
}

// signingKey is a key that can sign. Formatting it never shows the key.
type signingKey struct {
	id      string
	from    time.Time
	method  jwt.SigningMethod
	private crypto.Signer
}

func (k signingKey) String() string   { return "signing key " + k.id }
func (k signingKey) GoString() string { return k.String() }

// Format leaves the key out under every verb: %d and %x would not ask String.
func (k signingKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

func newRing(keys []store.SigningKey, loaded time.Time) (*ring, error) {
	r := &ring{loaded: loaded}
	set := struct {
		Keys []map[string]string `json:"keys"`
	}{}
	for _, key := range inOrder(keys) {
		parsed, err := x509.ParsePKCS8PrivateKey(key.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("reading the signing key %s: %w", key.KeyID, err)
		}
		private, ok := parsed.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("reading the signing key %s: expected a key that signs, found %T", key.KeyID, parsed)
		}
		public, err := jwk(private.Public())
		if err != nil {
			return nil, fmt.Errorf("reading the signing key %s: %w", key.KeyID, err)
		}
		method := jwt.GetSigningMethod(key.Algorithm)
		if method == nil || !fits(key.Algorithm, private) {
			return nil, fmt.Errorf("reading the signing key %s: %T does not sign %s", key.KeyID, parsed, key.Algorithm)
		}
		public["kid"], public["use"], public["alg"] = key.KeyID, "sig", key.Algorithm
		set.Keys = append(set.Keys, public)
		r.keys = append(r.keys, signingKey{id: key.KeyID, from: key.SignFrom, method: method, private: private})
	}
	var err error
	if r.jwks, err = json.Marshal(set); err != nil {
		return nil, fmt.Errorf("encoding the key set: %w", err)
	}
	return r, nil
}

func fits(algorithm string, key crypto.Signer) bool {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return algorithm == "ES256" && k.Curve == elliptic.P256()
	case *rsa.PrivateKey:
		return algorithm == "RS256" && k.N.BitLen() >= rsaBits
	}
	return false
}

// generate makes a key. Its randomness is crypto/rand's: since Go 1.26 no other
// source can be given to the standard library's key generation.
func generate(algorithm string) (store.SigningKey, error) {
	var (
		private crypto.Signer
		err     error
	)
	switch algorithm {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		return store.SigningKey{}, fmt.Errorf("making a signing key: expected ES256 or RS256, found %q", algorithm)
	}
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("making a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("encoding a signing key: %w", err)
	}
	public, err := jwk(private.Public())
	if err != nil {
		return store.SigningKey{}, err
	}
	id, err := thumbprint(public)
	if err != nil {
		return store.SigningKey{}, err
	}
	return store.SigningKey{KeyID: id, Algorithm: algorithm, PrivateKey: der}, nil
}

// jwk is a public key with the members that RFC 7638 section 3.2 requires.
func jwk(public crypto.PublicKey) (map[string]string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes() // 4, x, y
		if err != nil {
			return nil, fmt.Errorf("encoding a public key: %w", err)
		}
		size := (len(point) - 1) / 2
		return map[string]string{"kty": "EC", "crv": p.Curve.Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])}, nil
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "n": b64(p.N.Bytes()), "e": b64(big.NewInt(int64(p.E)).Bytes())}, nil
	}
	return nil, fmt.Errorf("encoding a public key: expected EC or RSA, found %T", public)
}

// thumbprint is RFC 7638: the members in lexical order, without white space,
// which is how encoding/json writes a map.
func thumbprint(jwk map[string]string) (string, error) {
	data, err := json.Marshal(jwk)
	if err != nil {
		return "", fmt.Errorf("encoding a public key: %w", err)
	}
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
