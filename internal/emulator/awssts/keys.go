package awssts

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/strictjson"
)

const (
	// maxKeySet bounds a key set, in bytes.
	maxKeySet = 1 << 20
	// maxRSAKeys is how many RSA keys a set may hold before STS believes no
	// RSA token of its issuer.
	maxRSAKeys = 100

	minRSABits = 2048
	maxRSABits = 8192 // bounds what one verification costs
)

// algorithm is one of the six that STS accepts.
type algorithm struct {
	keyType string
	curve   elliptic.Curve // of EC keys
}

var algorithms = map[string]algorithm{
	"RS256": {keyType: "RSA"},
	"RS384": {keyType: "RSA"},
	"RS512": {keyType: "RSA"},
	"ES256": {keyType: "EC", curve: elliptic.P256()},
	"ES384": {keyType: "EC", curve: elliptic.P384()},
	"ES512": {keyType: "EC", curve: elliptic.P521()},
}

var curveNames = map[elliptic.Curve]string{
	elliptic.P256(): "P-256", elliptic.P384(): "P-384", elliptic.P521(): "P-521",
}

// verify checks the token's signature with the keys of its issuer.
func (p *provider) verify(ctx context.Context, t *token) *fault {
	algorithm, known := algorithms[t.algorithm]
	if !known {
		// none, and HMAC with the public key as its secret, among others.
		return notValidated().because("the algorithm %.20q is none of RS256, RS384, RS512, ES256, ES384, ES512", t.algorithm)
	}
	document, err := p.Keys(ctx)
	if err != nil {
		return newFault(http.StatusBadRequest, "IDPCommunicationError", "Unable to communicate with the identity provider").because("reading the keys of %s: %s", p.Issuer, err)
	}
	keys, err := readKeySet(document)
	if err != nil {
		return noKey().because("the key set of %s: %s", p.Issuer, err)
	}
	key, err := selectKey(keys, t, algorithm)
	if err != nil {
		return noKey().because("%s", err)
	}
	if err := jwt.GetSigningMethod(t.algorithm).Verify(t.signed, t.signature, key); err != nil {
		return notValidated().because("the signature does not verify with the key %.100q", t.keyID)
	}
	return nil
}

func readKeySet(document []byte) ([]map[string]any, error) {
	if len(document) > maxKeySet {
		return nil, fmt.Errorf("expected at most %d bytes", maxKeySet)
	}
	set, err := strictjson.Object(document)
	if err != nil {
		return nil, err
	}
	list, ok := set["keys"].([]any)
	if !ok {
		return nil, errors.New("expected a list of keys")
	}
	keys := make([]map[string]any, 0, len(list))
	for _, item := range list {
		key, ok := item.(map[string]any)
		if !ok {
			return nil, errors.New("expected every key to be an object")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// selectKey finds the key that the token names and that is meant for the
// token's algorithm.
func selectKey(keys []map[string]any, t *token, a algorithm) (crypto.PublicKey, error) {
	rsaKeys := 0
	for _, key := range keys {
		if key["kty"] == "RSA" {
			rsaKeys++
		}
	}
	if a.keyType == "RSA" && rsaKeys > maxRSAKeys {
		return nil, fmt.Errorf("the key set holds %d RSA keys, more than %d", rsaKeys, maxRSAKeys)
	}
	if t.keyID == "" && len(keys) != 1 {
		return nil, fmt.Errorf("the token has no kid, and the key set has %d keys", len(keys))
	}
	why := fmt.Errorf("the key set has no key %.100q", t.keyID)
	for _, key := range keys {
		kid, _ := key["kid"].(string)
		if kid == "" || t.keyID != "" && kid != t.keyID {
			continue
		}
		public, err := readKey(key, t.algorithm, a)
		if err == nil {
			return public, nil
		}
		why = fmt.Errorf("the key %.100q: %w", kid, err)
	}
	return nil, why
}

// readKey reads a JWK (RFC 7517) that is meant for signatures of this
// algorithm.
func readKey(key map[string]any, name string, a algorithm) (crypto.PublicKey, error) {
	if key["kty"] != a.keyType {
		return nil, fmt.Errorf("expected an %s key for %s", a.keyType, name)
	}
	if use := key["use"]; use != nil && use != "sig" {
		return nil, errors.New("its use is not sig")
	}
	if key["key_ops"] != nil {
		return nil, errors.New("it has key_ops, which STS does not accept")
	}
	if alg := key["alg"]; alg != nil && alg != name {
		return nil, fmt.Errorf("it is meant for another algorithm than %s", name)
	}
	if a.keyType == "RSA" {
		return readRSA(key)
	}
	return readEC(key, a.curve)
}

func readRSA(key map[string]any) (crypto.PublicKey, error) {
	n, err := parameter(key, "n")
	if err != nil {
		return nil, err
	}
	e, err := parameter(key, "e")
	if err != nil {
		return nil, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if bits := modulus.BitLen(); bits < minRSABits || bits > maxRSABits {
		return nil, fmt.Errorf("expected %d to %d bits, found %d", minRSABits, maxRSABits, bits)
	}
	if exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return nil, errors.New("expected an odd exponent between 3 and 2^31")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func readEC(key map[string]any, curve elliptic.Curve) (crypto.PublicKey, error) {
	if key["crv"] != curveNames[curve] {
		return nil, fmt.Errorf("expected the curve %s", curveNames[curve])
	}
	size := (curve.Params().BitSize + 7) / 8
	point := []byte{4} // uncompressed, SEC 1 section 2.3.3
	for _, name := range []string{"x", "y"} {
		b, err := parameter(key, name)
		if err != nil {
			return nil, err
		}
		if len(b) != size { // RFC 7518 section 6.2.1.2
			return nil, fmt.Errorf("expected %d bytes in %s, found %d", size, name, len(b))
		}
		point = append(point, b...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errors.New("its point is not on the curve")
	}
	return public, nil
}

func parameter(key map[string]any, name string) ([]byte, error) {
	text, ok := key[name].(string)
	if !ok || text == "" {
		return nil, fmt.Errorf("it has no %s", name) // an x5c alone is not read
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not base64url", name)
	}
	return b, nil
}
