package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/strictjson"
)

// Bounds of what an issuer may send.
const (
	// MaxDocumentSize is the most bytes of a discovery document or a key set.
	MaxDocumentSize = 1 << 20
	// MaxKeys is how many keys of a set are looked at.
	MaxKeys = 100

	minRSABits = 2048 // NIST SP 800-131A
	maxRSABits = 8192 // larger ones only cost time
	minRSAExp  = 65537
)

// key is a public key that an issuer may sign with.
type key struct {
	public     crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey
	algorithms []string         // that it verifies
}

func (k key) equal(other key) bool {
	p, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && p.Equal(other.public) && slices.Equal(k.algorithms, other.algorithms)
}

// parseKeySet reads a JWK set (RFC 7517 section 5). Keys that cannot be used
// are left out and named in skipped, so that one of them does not spoil the
// rest. A set without any usable key is an error.
func parseKeySet(data []byte) (keys map[string]key, skipped []string, err error) {
	doc, err := parseDocument(data)
	if err != nil {
		return nil, nil, err
	}
	list, ok := doc["keys"].([]any)
	if !ok {
		return nil, nil, errors.New("expected a JWK set with a list named keys, found none")
	}
	skip := func(i int, kid, why string) {
		if len(skipped) < MaxKeys {
			skipped = append(skipped, fmt.Sprintf("key %d (kid %q): %s", i+1, shorten(kid, 64), why))
		}
	}
	if len(list) > MaxKeys {
		skip(MaxKeys, "", fmt.Sprintf("the set has %d keys, and those after the first %d are not looked at", len(list), MaxKeys))
		list = list[:MaxKeys]
	}
	keys = map[string]key{}
	doubled := map[string]bool{}
	for i, v := range list {
		jwk, _ := v.(map[string]any)
		kid, _ := jwk["kid"].(string)
		k, err := parseKey(jwk)
		if err != nil {
			skip(i, kid, err.Error())
			continue
		}
		// With two keys of one name nobody could say which of them a token
		// means, so neither is used.
		if other, twice := keys[kid]; twice && !k.equal(other) {
			doubled[kid] = true
			skip(i, kid, "another key has the same kid: neither is used")
		}
		keys[kid] = k
	}
	for kid := range doubled {
		delete(keys, kid)
	}
	if len(keys) == 0 {
		why := "it is empty"
		if len(skipped) > 0 {
			why = strings.Join(skipped[:min(len(skipped), 3)], "; ")
		}
		return nil, skipped, fmt.Errorf("expected a key set with at least one usable key, found none: %s", why)
	}
	return keys, skipped, nil
}

// parseDocument reads a JSON object that an issuer sent, and says what it is
// where it is none.
func parseDocument(data []byte) (map[string]any, error) {
	switch trimmed := bytes.TrimSpace(data); {
	case len(data) > MaxDocumentSize:
		return nil, fmt.Errorf("expected at most %d bytes, found more", MaxDocumentSize)
	case len(trimmed) == 0:
		return nil, errors.New("expected a JSON document, found nothing")
	case trimmed[0] == '<':
		return nil, errors.New("expected a JSON document, found an HTML or XML page: is it a login page or a proxy's?")
	}
	doc, err := strictjson.Object(data)
	if err != nil {
		return nil, fmt.Errorf("expected a JSON document: %w", err)
	}
	return doc, nil
}

// parseKey reads one JWK (RFC 7517 section 4, RFC 7518 section 6).
func parseKey(jwk map[string]any) (key, error) {
	text := func(name string) string { s, _ := jwk[name].(string); return s }
	switch kid := text("kid"); {
	case jwk == nil:
		return key{}, errors.New("it is not an object")
	case kid == "":
		return key{}, errors.New("it has no kid")
	case len(kid) > maxKeyID:
		return key{}, fmt.Errorf("its kid is longer than %d bytes", maxKeyID)
	}
	if use, present := jwk["use"]; present && use != "sig" {
		return key{}, errors.New("its use is not sig")
	}
	if ops, present := jwk["key_ops"]; present {
		list, _ := ops.([]any)
		if !slices.Contains(list, any("verify")) {
			return key{}, errors.New("its key_ops do not have verify")
		}
	}
	// Everybody who can read the set could sign with it.
	if _, private := jwk["d"]; private {
		return key{}, errors.New("it is published with its private half")
	}
	var (
		k   key
		err error
	)
	switch kty := text("kty"); kty {
	case "RSA":
		k, err = parseRSA(text("n"), text("e"))
	case "EC":
		k, err = parseEC(text("crv"), text("x"), text("y"))
	default:
		return key{}, fmt.Errorf("expected the type RSA or EC, found %q", shorten(kty, 32))
	}
	if err != nil {
		return key{}, err
	}
	if v, present := jwk["alg"]; present {
		alg, _ := v.(string)
		if !slices.Contains(k.algorithms, alg) {
			return key{}, fmt.Errorf("its alg is %s, and a key of its type serves %s", found(v), strings.Join(k.algorithms, ", "))
		}
		k.algorithms = []string{alg}
	}
	return k, nil
}

func parseRSA(n64, e64 string) (key, error) {
	n, err := decodeBase64(n64)
	if err != nil {
		return key{}, fmt.Errorf("n: %w", err)
	}
	e, err := decodeBase64(e64)
	if err != nil {
		return key{}, fmt.Errorf("e: %w", err)
	}
	if len(n) > maxRSABits/8+1 || len(e) > 8 {
		return key{}, fmt.Errorf("its numbers are too large: expected at most %d bits", maxRSABits)
	}
	modulus, exp := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch bits := modulus.BitLen(); {
	case bits < minRSABits || bits > maxRSABits:
		return key{}, fmt.Errorf("expected an RSA key of %d to %d bits, found %d", minRSABits, maxRSABits, bits)
	case modulus.Bit(0) == 0:
		return key{}, errors.New("its modulus is even")
	case exp.BitLen() > 31 || exp.Int64() < minRSAExp || exp.Bit(0) == 0:
		return key{}, fmt.Errorf("expected an odd exponent from %d to 2^31-1, found %s", minRSAExp, exp)
	}
	return key{
		public:     &rsa.PublicKey{N: modulus, E: int(exp.Int64())},
		algorithms: []string{"RS256", "RS384", "RS512"},
	}, nil
}

func parseEC(curve, x64, y64 string) (key, error) {
	var (
		c   elliptic.Curve
		alg string
	)
	switch curve {
	case "P-256":
		c, alg = elliptic.P256(), "ES256"
	case "P-384":
		c, alg = elliptic.P384(), "ES384"
	case "P-521":
		c, alg = elliptic.P521(), "ES512"
	default:
		return key{}, fmt.Errorf("expected the curve P-256, P-384 or P-521, found %q", shorten(curve, 32))
	}
	x, err := decodeBase64(x64)
	if err != nil {
		return key{}, fmt.Errorf("x: %w", err)
	}
	y, err := decodeBase64(y64)
	if err != nil {
		return key{}, fmt.Errorf("y: %w", err)
	}
	// RFC 7518 section 6.2.1.2: the full length, leading zeros included.
	size := (c.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return key{}, fmt.Errorf("expected coordinates of %d bytes, found %d and %d", size, len(x), len(y))
	}
	public, err := ecdsa.ParseUncompressedPublicKey(c, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return key{}, errors.New("its point is not on the curve")
	}
	return key{public: public, algorithms: []string{alg}}, nil
}
