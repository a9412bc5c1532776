package mint_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/store"
)

const (
	// maxAge is for how long a verifier keeps the key set in this test: nearly
	// as long as Keys.JWKS allows.
	maxAge = 11 * time.Hour
	// clockSkew is what AWS STS allows.
	clockSkew = 5 * time.Minute
)

// replica is one of several brokers on a store.
type replica struct {
	keys  *mint.Keys
	mint  *mint.Minter
	down  bool
	cut   *cutStore // its way to the store
	clock func() time.Time
}

// cutStore is the shared store as one broker reaches it.
type cutStore struct {
	*memory
	cut bool
}

// world is a schedule that goes by at random. The brokers' clocks differ by a
// minute.
type world struct {
	t        *testing.T
	rand     *rand.Rand
	clock    *clock
	store    *memory
	replicas []*replica

	algorithm string // of the configuration

	grant  audit.Recorded
	served map[string]time.Time // a set's key ids, and until when a verifier may have it in its cache
	alive  map[string]time.Time // a key's id, and until when a verifier may believe a token of it
	signed int
	kids   map[string]bool
}

// TestEveryVerifierKnowsEveryKey: whatever happens to brokers and store, a
// verifier whose key set is at most maxAge old knows the key of every token
// that is signed, and one that fetches the set while a token lives finds it.
func TestEveryVerifierKnowsEveryKey(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := newClock()
			w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 1)), clock: c, store: &memory{}, algorithm: "ES256", grant: recorded(t, "prod", rules.Request{}),
				served: map[string]time.Time{}, alive: map[string]time.Time{}, kids: map[string]bool{}}
			for i := range 2 {
				skew := time.Duration(i) * time.Minute
				r := &replica{cut: &cutStore{memory: w.store}, clock: func() time.Time { return c.now().Add(skew) }}
				w.replicas = append(w.replicas, r)
				w.restart(r)
			}
			end := start.Add(30 * day)
			for c.now().Before(end) && !t.Failed() {
				w.step()
			}
			if len(w.kids) < 4 || w.signed < 500 {
				t.Errorf("expected a schedule that signs with several keys, found %d tokens of %d keys", w.signed, len(w.kids))
			}
		})
	}
}

func (w *world) step() {
	switch n := w.rand.IntN(1000); {
	case n < 3: // everything stands still: longer than an overlap, or than a rotation
		w.clock.add(time.Duration(w.rand.IntN(int(9 * day))))
		for _, r := range w.replicas {
			r.down = true
		}
	case n < 12:
		r := w.replicas[w.rand.IntN(len(w.replicas))]
		r.down = !r.down
	case n < 20:
		r := w.replicas[w.rand.IntN(len(w.replicas))]
		r.cut.cut = !r.cut.cut
	case n < 400:
		w.clock.add(time.Duration(w.rand.IntN(int(90 * time.Minute))))
	default:
		w.clock.add(time.Duration(w.rand.IntN(int(5 * time.Minute))))
	}
	for _, r := range w.replicas {
		switch {
		case r.down && w.rand.IntN(8) == 0:
			r.down = false
			w.restart(r)
		case r.down:
		default:
			if err := r.keys.Maintain(w.t.Context()); err != nil && !r.cut.cut {
				w.t.Fatal(err)
			}
		}
	}
	w.observe()
}

// restart is a broker that starts, with a configuration that may have changed.
func (w *world) restart(r *replica) {
	// A change reaches the other broker when that one starts again.
	if w.rand.IntN(10) == 0 {
		w.algorithm = map[string]string{"ES256": "RS256", "RS256": "ES256"}[w.algorithm]
	}
	lifetime := time.Duration(1+w.rand.IntN(15)) * time.Minute
	keys, err := mint.NewKeys(w.t.Context(), mint.KeysConfig{
		Store: r.cut, Algorithm: w.algorithm, RotateEvery: time.Duration(2+w.rand.IntN(4)) * day,
		TokenLifetime: lifetime, Now: r.clock,
	})
	if err != nil && !r.cut.cut {
		w.t.Fatal(err)
	}
	if r.down = err != nil; !r.down { // a broker that does not reach its store does not start
		r.keys = keys
		r.mint = mint.New(mint.Config{Issuer: brokerIssuer, Keys: keys, Lifetime: lifetime, Now: r.clock})
	}
}

// observe lets verifiers fetch the set of every broker that says it is ready,
// then has every broker that can sign a token, and checks both promises.
func (w *world) observe() {
	now := w.clock.now()
	over := func(_ string, until time.Time) bool { return until.Before(now) }
	maps.DeleteFunc(w.served, over)
	maps.DeleteFunc(w.alive, over)
	for i, r := range w.replicas {
		if r.down || r.keys.Ready() != nil {
			continue
		}
		set := strings.Join(kids(w.t, r.keys.JWKS()), " ")
		for kid, until := range w.alive {
			if !strings.Contains(set, kid) {
				w.t.Fatalf("at %s broker %d does not publish %s, of which a token lives until %s", now, i, kid, until)
			}
		}
		w.served[set] = now.Add(maxAge)
	}
	for i, r := range w.replicas {
		if r.down {
			continue
		}
		token, err := r.mint.Sign(w.grant)
		if err != nil {
			if !r.cut.cut {
				w.t.Fatalf("at %s broker %d cannot sign: %v", now, i, err)
			}
			continue
		}
		w.signed++
		w.kids[token.KeyID] = true
		for set, until := range w.served {
			if !strings.Contains(set, token.KeyID) {
				w.t.Fatalf("at %s broker %d signs with %s, which a verifier does not know that may keep its set until %s", now, i, token.KeyID, until)
			}
		}
		if until := token.Expires.Add(clockSkew); until.After(w.alive[token.KeyID]) {
			w.alive[token.KeyID] = until
		}
	}
}

func (c *cutStore) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	if c.cut {
		return nil, errDown
	}
	return c.memory.SigningKeys(ctx)
}

func (c *cutStore) UpdateSigningKeys(ctx context.Context, update func([]store.SigningKey) ([]store.SigningKey, []string, error)) ([]store.SigningKey, error) {
	if c.cut {
		return nil, errDown
	}
	return c.memory.UpdateSigningKeys(ctx, update)
}
