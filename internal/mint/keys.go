package mint

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/store"
)

const (
	// DefaultOverlap is how long a key is published before it signs. It is far
	// beyond the time for which verifiers may cache the key set.
	DefaultOverlap = 24 * time.Hour
	// publishAfter is how long a key stays published when its last token has
	// expired: for verifiers whose clock is behind.
	publishAfter = time.Hour
	rsaBits      = 2048
)

// ErrNoKey is that no key may sign now.
var ErrNoKey = errors.New("there is no signing key")

// KeyStore keeps the signing keys, and is shared by all brokers of one issuer.
type KeyStore interface {
	SigningKeys(ctx context.Context) ([]store.SigningKey, error)
	UpdateSigningKeys(ctx context.Context, update func(current []store.SigningKey) (add []store.SigningKey, drop []string, err error)) ([]store.SigningKey, error)
}

// KeysConfig is what Keys stand on.
type KeysConfig struct {
	Store         KeyStore
	Algorithm     string        // ES256 or RS256
	RotateEvery   time.Duration // how long one key signs
	Overlap       time.Duration // how long a key is published before it signs; 0: DefaultOverlap
	TokenLifetime time.Duration
	Now           func() time.Time
	Log           *slog.Logger
}

// Keys are the broker's signing keys. They are kept in the store and rotated
// with overlap, so that a verifier with a cached key set never meets a token
// whose key it cannot know. They are safe for concurrent use.
type Keys struct {
	cfg  KeysConfig
	ring atomic.Pointer[ring]
}

// NewKeys loads the keys, and makes the first one where there is none.
func NewKeys(ctx context.Context, cfg KeysConfig) (*Keys, error) {
	if cfg.Overlap == 0 {
		cfg.Overlap = DefaultOverlap
	}
	k := &Keys{cfg: cfg}
	if err := k.Maintain(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Maintain brings the keys to where the schedule has them now, and loads what
// other brokers on the same store did. Call it every minute or so.
func (k *Keys) Maintain(ctx context.Context) error {
	now := k.cfg.Now()
	keys, err := k.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the signing keys: %w", err)
	}
	if k.successorDue(keys, now) || len(k.retired(keys, now)) > 0 {
		keys, err = k.cfg.Store.UpdateSigningKeys(ctx, func(current []store.SigningKey) (add []store.SigningKey, drop []string, err error) {
			if k.successorDue(current, now) {
				if add, err = k.successor(current, now); err != nil {
					return nil, nil, err
				}
			}
			return add, k.retired(current, now), nil
		})
		if err != nil {
			return fmt.Errorf("rotating the signing keys: %w", err)
		}
	}
	r, err := newRing(keys)
	if err != nil {
		return err
	}
	k.ring.Store(r)
	return nil
}

// inOrder are the keys by the time from which they sign. Each signs until the
// next one does, however late that is: a key that verifiers know beats one
// that they cannot know yet.
func inOrder(keys []store.SigningKey) []store.SigningKey {
	return slices.SortedFunc(slices.Values(keys), func(a, b store.SigningKey) int {
		return cmp.Or(a.SignFrom.Compare(b.SignFrom), cmp.Compare(a.KeyID, b.KeyID))
	})
}

// successorDue reports whether a key must be made now. While one waits for its
// time none is: two brokers that are configured differently would otherwise
// make keys in turn.
func (k *Keys) successorDue(keys []store.SigningKey, now time.Time) bool {
	if len(keys) == 0 {
		return true
	}
	newest := inOrder(keys)[len(keys)-1]
	if now.Before(newest.SignFrom) {
		return false
	}
	return newest.Algorithm != k.cfg.Algorithm || !now.Before(k.end(newest).Add(-k.cfg.Overlap))
}

// end is when the schedule has a key stop signing.
func (k *Keys) end(key store.SigningKey) time.Time { return key.SignFrom.Add(k.cfg.RotateEvery) }

// successor makes the next key. The first of all signs at once, since nobody
// can have cached a set without it.
func (k *Keys) successor(keys []store.SigningKey, now time.Time) ([]store.SigningKey, error) {
	from := now
	if len(keys) > 0 {
		newest := inOrder(keys)[len(keys)-1]
		from = now.Add(k.cfg.Overlap)
		if newest.Algorithm == k.cfg.Algorithm && k.end(newest).After(from) {
			from = k.end(newest)
		}
	}
	key, err := generate(k.cfg.Algorithm)
	if err != nil {
		return nil, err
	}
	key.Created, key.SignFrom = now, from
	key.SignUntil = k.end(key)
	key.PublishUntil = key.SignUntil.Add(k.cfg.TokenLifetime + publishAfter)
	k.cfg.Log.Info("a new signing key is published", "kid", key.KeyID, "alg", key.Algorithm, "signs_from", from)
	return []store.SigningKey{key}, nil
}

// retired are the ids of the keys whose last token has expired everywhere.
func (k *Keys) retired(keys []store.SigningKey, now time.Time) []string {
	var ids []string
	ordered := inOrder(keys)
	for i := range len(ordered) - 1 {
		lastSigned := ordered[i+1].SignFrom
		if now.After(lastSigned.Add(k.cfg.TokenLifetime + publishAfter)) {
			ids = append(ids, ordered[i].KeyID)
		}
	}
	return ids
}

// JWKS is the public key set as JSON (RFC 7517): every key that signs, will
// sign, or whose tokens may still be alive.
func (k *Keys) JWKS() []byte { return k.ring.Load().jwks }

// Algorithms are those of the published keys.
func (k *Keys) Algorithms() []string {
	var algs []string
	for _, key := range k.ring.Load().keys {
		if !slices.Contains(algs, key.method.Alg()) {
			algs = append(algs, key.method.Alg())
		}
	}
	return algs
}

// Ready says why nothing could be signed now.
func (k *Keys) Ready() error {
	_, err := k.signer()
	return err
}

// signer is the key that signs now.
func (k *Keys) signer() (signingKey, error) {
	now := k.cfg.Now()
	keys := k.ring.Load().keys
	for i := len(keys) - 1; i >= 0; i-- {
		if !now.Before(keys[i].from) {
			return keys[i], nil
		}
	}
	return signingKey{}, ErrNoKey
}

// ring is one view of the keys. It never changes.
type ring struct {
	keys []signingKey // in order
	jwks []byte
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

func newRing(keys []store.SigningKey) (*ring, error) {
	r := &ring{}
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
		return algorithm == "RS256"
	}
	return false
}

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
