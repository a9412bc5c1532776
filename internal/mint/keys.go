package mint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-dev/stint/internal/store"
)

const (
	// DefaultOverlap is how long a key is published before it signs. It is far
	// beyond the time for which verifiers may cache the key set.
	DefaultOverlap = 24 * time.Hour
	// DefaultLifetime is how long a stint token is valid.
	DefaultLifetime = 5 * time.Minute
	// MaxLifetime is the longest that a stint token may be valid.
	MaxLifetime = time.Hour
	// publishAfter is how long a key stays published when its last token has
	// expired: for verifiers whose clock is behind (STS allows 5 minutes), and
	// for brokers on the same store that are configured with a longer lifetime.
	publishAfter = time.Hour
)

// The reasons why nothing can be signed.
var (
	// ErrNoKey: the store holds no key.
	ErrNoKey = errors.New("there is no signing key")
	// ErrStaleKeys: the store has not been read for so long that other brokers
	// may have rotated the keys since.
	ErrStaleKeys = errors.New("the signing keys have not been read from the store for too long")
)

// KeyStore keeps the signing keys, and is shared by all brokers of one issuer.
type KeyStore interface {
	SigningKeys(ctx context.Context) ([]store.SigningKey, error)
	UpdateSigningKeys(ctx context.Context, update func(current []store.SigningKey) (add []store.SigningKey, drop []string, err error)) ([]store.SigningKey, error)
}

// KeysConfig is what Keys stand on.
type KeysConfig struct {
	Store         KeyStore
	Algorithm     string        // ES256 or RS256
	RotateEvery   time.Duration // how long one key signs; if shorter than Overlap, Overlap counts
	Overlap       time.Duration // how long a key is published before it signs, at least twice what verifiers may cache; 0: DefaultOverlap
	TokenLifetime time.Duration // the longest of any token, at most MaxLifetime; 0: DefaultLifetime
	Now           func() time.Time
	Log           *slog.Logger // nil: none
}

// Keys are the broker's signing keys. They are kept in the store and rotated
// with overlap, so that a verifier with a cached key set never meets a token
// whose key it cannot know. They are safe for concurrent use.
type Keys struct {
	cfg  KeysConfig
	mu   sync.Mutex // one Maintain at a time, or an older view could replace a newer one
	ring atomic.Pointer[ring]
}

// NewKeys loads the keys, and makes the first one where there is none.
func NewKeys(ctx context.Context, cfg KeysConfig) (*Keys, error) {
	cfg.Overlap = cmp.Or(cfg.Overlap, DefaultOverlap)
	cfg.TokenLifetime = cmp.Or(cfg.TokenLifetime, DefaultLifetime)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.Store == nil || cfg.Now == nil:
		return nil, errors.New("preparing the signing keys: expected a store and a clock")
	case !slices.Contains(algorithms, cfg.Algorithm):
		return nil, fmt.Errorf("preparing the signing keys: expected the algorithm ES256 or RS256, found %q", cfg.Algorithm)
	case cfg.RotateEvery <= 0 || cfg.Overlap < 0:
		return nil, fmt.Errorf("preparing the signing keys: expected a rotation and an overlap above 0, found %s and %s", cfg.RotateEvery, cfg.Overlap)
	case cfg.TokenLifetime < 0 || cfg.TokenLifetime > MaxLifetime:
		return nil, fmt.Errorf("preparing the signing keys: expected a token lifetime of at most %s, found %s", MaxLifetime, cfg.TokenLifetime)
	}
	k := &Keys{cfg: cfg}
	if err := k.Maintain(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Maintain brings the keys to where the schedule has them now, and loads what
// other brokers on the same store did. Call it every few minutes: a key must
// be in every broker's key set long before it signs. After an error the keys
// stay as they were.
func (k *Keys) Maintain(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	loaded := k.now()
	keys, err := k.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the signing keys: %w", err)
	}
	due := k.successorDue(keys, loaded)
	if due || len(k.retired(keys, loaded)) > 0 {
		if keys, err = k.rotate(ctx, due); err != nil {
			return fmt.Errorf("rotating the signing keys: %w", err)
		}
	}
	r, err := newRing(keys, loaded)
	if err != nil {
		return err
	}
	k.ring.Store(r)
	return nil
}

// rotate changes the keys in the store to what the schedule says.
func (k *Keys) rotate(ctx context.Context, due bool) ([]store.SigningKey, error) {
	// An RSA key takes long to find, and no record can be written meanwhile
	// once the transaction has begun.
	fresh := sync.OnceValues(func() (store.SigningKey, error) { return generate(k.cfg.Algorithm) })
	if due {
		if _, err := fresh(); err != nil {
			return nil, err
		}
	}
	var add []store.SigningKey
	var drop []string
	keys, err := k.cfg.Store.UpdateSigningKeys(ctx, func(current []store.SigningKey) ([]store.SigningKey, []string, error) {
		// Other brokers may have changed the keys, and the time may have passed
		// that the transaction waited: the overlap begins now.
		now := k.now()
		add, drop = nil, k.retired(current, now)
		if k.successorDue(current, now) {
			next, err := fresh()
			if err != nil {
				return nil, nil, err
			}
			add = []store.SigningKey{k.schedule(next, current, now)}
		}
		return add, drop, nil
	})
	if err != nil {
		return nil, err
	}
	for _, key := range add {
		k.cfg.Log.Info("a new signing key is published", "kid", key.KeyID, "alg", key.Algorithm, "signs_from", key.SignFrom)
	}
	for _, kid := range drop {
		k.cfg.Log.Info("a signing key is no longer published", "kid", kid)
	}
	return keys, nil
}

// now is without a monotonic reading, which stands still while a machine is
// suspended, and would have it believe that its view of the keys is fresh.
func (k *Keys) now() time.Time { return k.cfg.Now().Round(0) }

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

// schedule sets when the next key signs. The first of all signs at once, since
// nobody can have cached a set without it.
func (k *Keys) schedule(key store.SigningKey, keys []store.SigningKey, now time.Time) store.SigningKey {
	from := now
	if len(keys) > 0 {
		newest := inOrder(keys)[len(keys)-1]
		from = now.Add(k.cfg.Overlap)
		if newest.Algorithm == k.cfg.Algorithm && k.end(newest).After(from) {
			from = k.end(newest)
		}
	}
	key.Created, key.SignFrom = now, from
	key.SignUntil = k.end(key)
	key.PublishUntil = key.SignUntil.Add(k.cfg.TokenLifetime + publishAfter)
	return key
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
// sign, or whose tokens may still be alive. It must not be changed. Verifiers
// may cache it for less than half the overlap.
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

// Ready says why nothing could be signed now, or why the key set should not be
// given out: half the overlap after it was read another broker's new key may be
// missing in it, and what is left of the overlap is for the verifiers' caches.
func (k *Keys) Ready() error {
	now := k.now()
	if _, err := k.signer(now); err != nil {
		return err
	}
	return k.fresh(now, k.cfg.Overlap/2)
}

// signer is the key that signs at a time.
func (k *Keys) signer(now time.Time) (signingKey, error) {
	// Whatever another broker made since the view was loaded signs an overlap
	// later at the earliest. Until then the view knows who signs; after that it
	// could sign with a key that is published nowhere any more.
	if err := k.fresh(now, k.cfg.Overlap); err != nil {
		return signingKey{}, err
	}
	keys := k.ring.Load().keys
	if len(keys) == 0 {
		return signingKey{}, ErrNoKey
	}
	for i := len(keys) - 1; i > 0; i-- {
		if !now.Before(keys[i].from) {
			return keys[i], nil
		}
	}
	// The oldest signs even if its time has not come: the clock of the broker
	// that made it was ahead of this one's.
	return keys[0], nil
}

// fresh refuses a view of the keys that was read this long ago.
func (k *Keys) fresh(now time.Time, limit time.Duration) error {
	if age := now.Sub(k.ring.Load().loaded); age >= limit {
		return fmt.Errorf("%w: for %s, and at most %s is safe", ErrStaleKeys, age.Truncate(time.Second), limit)
	}
	return nil
}
