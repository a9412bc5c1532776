package github

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is a SHA-1 thumbprint by definition, RFC 7517 section 4.8
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/stint-dev/stint/internal/emulator"
)

const keyBits = 2048

// signingKey is the issuer's key with its certificate: GitHub's tokens name
// the certificate's thumbprint.
type signingKey struct {
	private    *rsa.PrivateKey
	id         string
	thumbprint string
	jwks       []byte
}

func newSigningKey(random io.Reader, now time.Time) (*signingKey, error) {
	private, err := rsa.GenerateKey(random, keyBits)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	id, err := emulator.NewUUID(random)
	if err != nil {
		return nil, fmt.Errorf("making a key's id: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "emulated GitHub Actions"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(2, 0, 0),
	}
	certificate, err := x509.CreateCertificate(random, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	thumbprint := sha1.Sum(certificate) //nolint:gosec // see the import
	k := &signingKey{private: private, id: id, thumbprint: encode(thumbprint[:])}
	k.jwks, err = json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256",
		"kid": k.id,
		"x5t": k.thumbprint,
		"x5c": []string{base64.StdEncoding.EncodeToString(certificate)},
		"n":   encode(private.N.Bytes()),
		"e":   encode(big.NewInt(int64(private.E)).Bytes()),
	}}})
	if err != nil {
		return nil, fmt.Errorf("encoding the key set: %w", err)
	}
	return k, nil
}

func (k *signingKey) header() map[string]any {
	return map[string]any{"typ": "JWT", "alg": "RS256", "kid": k.id, "x5t": k.thumbprint}
}

// sign makes a JWT (RFC 7519) with an RS256 signature (RFC 7518 section 3.3).
func (k *signingKey) sign(header, payload map[string]any) (string, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("encoding a token's header: %w", err)
	}
	p, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("encoding a token's payload: %w", err)
	}
	signed := encode(h) + "." + encode(p)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, k.private, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return signed + "." + encode(signature), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
