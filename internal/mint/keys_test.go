package mint_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/store"
)

const day = 24 * time.Hour

// TestRotation is the life of two keys, looked at from outside: which keys are
// published, and which of them signs.
func TestRotation(t *testing.T) {
	c := newClock()
	s := &memory{}
	keys := newKeys(t, s, "ES256", c.now)
	m := newMinter(keys, c.now)
	grant := recorded(t, "prod", rules.Request{})
	for _, step := range []struct {
		at                time.Duration // after the start
		published, signer int           // how many, and which one in the order of their making
		why               string
	}{
		{0, 1, 0, "the first signs at once"},
		{29*day - time.Minute, 1, 0, "no successor before it is due"},
		{29 * day, 2, 0, "the successor is published an overlap before it signs"},
		{30*day - time.Second, 2, 0, "to the end of the overlap"},
		{30 * day, 2, 1, "then it signs, and the old one stays for its tokens"},
		{30*day + 5*time.Minute, 2, 1, "while its last token lives"},
		{30*day + 5*time.Minute + time.Hour, 2, 1, "and while clocks that are behind believe so"},
		{30*day + 6*time.Minute + time.Hour, 1, 1, "then it goes"},
		{59 * day, 2, 1, "and so on"},
		{60 * day, 2, 2, "and so on"},
	} {
		c.add(start.Add(step.at).Sub(c.now()))
		must(t, keys.Maintain(t.Context()))
		token, err := m.Sign(grant)
		must(t, err)
		verify(t, token.Raw, keys.JWKS())
		got := kids(t, keys.JWKS())
		if len(got) != step.published {
			t.Errorf("after %s, %s: expected %d keys, found %d", step.at, step.why, step.published, len(got))
		}
		// Keys that were dropped are counted by the successors that are left.
		first := 0
		if step.at > 30*day+65*time.Minute {
			first = 1
		}
		if i := slices.Index(got, token.KeyID); i+first != step.signer {
			t.Errorf("after %s, %s: expected key %d to sign, found %d", step.at, step.why, step.signer, i+first)
		}
	}
}

func TestAlgorithmChangeIsARotation(t *testing.T) {
	c := newClock()
	s := &memory{}
	newKeys(t, s, "ES256", c.now)
	c.add(10 * day)
	keys := newKeys(t, s, "RS256", c.now) // the broker starts again
	m := newMinter(keys, c.now)
	grant := recorded(t, "prod", rules.Request{})
	for _, step := range []struct {
		after time.Duration
		alg   string
		both  bool
	}{{0, "ES256", true}, {day - time.Minute, "ES256", true}, {time.Minute, "RS256", true}, {2 * time.Hour, "RS256", false}} {
		c.add(step.after)
		must(t, keys.Maintain(t.Context()))
		token, err := m.Sign(grant)
		must(t, err)
		header, _ := verify(t, token.Raw, keys.JWKS())
		if header["alg"] != step.alg {
			t.Errorf("%s later: expected %s, found %v", step.after, step.alg, header["alg"])
		}
		if algs := keys.Algorithms(); slices.Contains(algs, "ES256") != step.both || !slices.Contains(algs, "RS256") {
			t.Errorf("%s later: found the algorithms %v", step.after, algs)
		}
	}
}

// A broker that slept through its rotation goes on with the key that verifiers
// know, and publishes the next one long enough before it signs.
func TestOutageLongerThanRotation(t *testing.T) {
	c := newClock()
	s := &memory{}
	old := kids(t, newKeys(t, s, "ES256", c.now).JWKS())[0]
	c.add(90 * day)
	keys := newKeys(t, s, "ES256", c.now)
	m := newMinter(keys, c.now)
	grant := recorded(t, "prod", rules.Request{})
	for _, step := range []struct {
		after time.Duration
		old   bool
	}{{0, true}, {day - time.Second, true}, {time.Second, false}} {
		c.add(step.after)
		must(t, keys.Maintain(t.Context()))
		token, err := m.Sign(grant)
		must(t, err)
		if (token.KeyID == old) != step.old || len(kids(t, keys.JWKS())) != 2 {
			t.Errorf("%s later: expected the old key to sign: %t, found %s of %v", step.after, step.old, token.KeyID, kids(t, keys.JWKS()))
		}
	}
}

// A broker that could not read the store says so while its key set is still
// good, and signs nothing when other brokers may have dropped its key.
func TestStoreOutage(t *testing.T) {
	c := newClock()
	s := &memory{}
	keys := newKeys(t, s, "ES256", c.now)
	m := newMinter(keys, c.now)
	grant := recorded(t, "prod", rules.Request{})
	before := string(keys.JWKS())
	s.down = true
	for _, step := range []struct {
		after        time.Duration
		ready, signs bool
	}{{0, true, true}, {12*time.Hour - time.Second, true, true}, {time.Second, false, true}, {12*time.Hour - time.Second, false, true}, {time.Second, false, false}} {
		c.add(step.after)
		if err := keys.Maintain(t.Context()); !errors.Is(err, errDown) {
			t.Fatalf("expected the store's error, found %v", err)
		}
		if err := keys.Ready(); (err == nil) != step.ready || err != nil && !errors.Is(err, mint.ErrStaleKeys) {
			t.Errorf("%s later: expected ready %t, found %v", step.after, step.ready, err)
		}
		if _, err := m.Sign(grant); (err == nil) != step.signs || err != nil && !errors.Is(err, mint.ErrStaleKeys) {
			t.Errorf("%s later: expected signing %t, found %v", step.after, step.signs, err)
		}
		if string(keys.JWKS()) != before {
			t.Error("expected the key set that is known")
		}
	}
	s.down = false
	must(t, keys.Maintain(t.Context()))
	must(t, keys.Ready())
	if _, err := m.Sign(grant); err != nil {
		t.Error(err)
	}
}

// The overlap begins when the key can be published, however long the store let
// the broker wait.
func TestOverlapBeginsWhenTheStoreIsChanged(t *testing.T) {
	c := newClock()
	s := &memory{}
	keys := newKeys(t, s, "ES256", c.now)
	c.add(40 * day)
	s.hook = func() { c.add(time.Hour) }
	must(t, keys.Maintain(t.Context()))
	if got, want := s.keys[1].SignFrom, c.now().Add(day); !got.Equal(want) {
		t.Errorf("expected the successor to sign from %s, found %s", want, got)
	}
}

func TestAnotherBrokersRotationIsLoaded(t *testing.T) {
	c := newClock()
	s := &memory{}
	a, b := newKeys(t, s, "ES256", c.now), newKeys(t, s, "ES256", c.now)
	if string(a.JWKS()) != string(b.JWKS()) {
		t.Fatal("expected both brokers to have one key set")
	}
	c.add(29 * day)
	must(t, a.Maintain(t.Context()))
	must(t, b.Maintain(t.Context()))
	if string(a.JWKS()) != string(b.JWKS()) || len(kids(t, b.JWKS())) != 2 {
		t.Errorf("expected one successor that both know, found %v and %v", kids(t, a.JWKS()), kids(t, b.JWKS()))
	}
}

// Brokers whose configurations disagree rotate once an overlap, not in turn.
func TestBrokersThatDisagree(t *testing.T) {
	c := newClock()
	s := &memory{}
	a, b := newKeys(t, s, "ES256", c.now), newKeys(t, s, "RS256", c.now)
	for range 5 * 24 {
		c.add(time.Hour)
		must(t, a.Maintain(t.Context()))
		must(t, b.Maintain(t.Context()))
		if got := kids(t, b.JWKS()); len(got) > 3 {
			t.Fatalf("expected at most 3 keys, found %d", len(got))
		}
	}
}

// A clock that is behind the one of the broker that made the first key does
// not stop this broker.
func TestClockBehindTheFirstKey(t *testing.T) {
	c := newClock()
	s := &memory{}
	newKeys(t, s, "ES256", c.now)
	c.add(-2 * time.Minute)
	keys := newKeys(t, s, "ES256", c.now)
	must(t, keys.Ready())
	if got := kids(t, keys.JWKS()); len(got) != 1 {
		t.Errorf("expected the one key, found %v", got)
	}
}

// Brokers that start at the same moment on one real store agree on one key.
func TestBrokersStartTogether(t *testing.T) {
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "stint.db"))
	must(t, err)
	defer func() { must(t, s.Close()) }()
	c := newClock()
	sets := make([]string, 4)
	var wg sync.WaitGroup
	for i := range sets {
		wg.Go(func() {
			k, err := mint.NewKeys(context.Background(), mint.KeysConfig{Store: s, Algorithm: "ES256", RotateEvery: 30 * day, Now: c.now})
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				if err := k.Maintain(context.Background()); err != nil {
					t.Error(err)
				}
			}
			sets[i] = string(k.JWKS())
		})
	}
	wg.Wait()
	for _, set := range sets {
		if set != sets[0] || len(kids(t, []byte(set))) != 1 {
			t.Fatalf("expected one key in every set, found %s", set)
		}
	}
}

func TestNewKeysRefuses(t *testing.T) {
	c := newClock()
	good := mint.KeysConfig{Store: &memory{}, Algorithm: "ES256", RotateEvery: 30 * day, Now: c.now}
	_, err := mint.NewKeys(t.Context(), good)
	must(t, err)
	for name, change := range map[string]func(*mint.KeysConfig){
		"no store":          func(c *mint.KeysConfig) { c.Store = nil },
		"no clock":          func(c *mint.KeysConfig) { c.Now = nil },
		"no algorithm":      func(c *mint.KeysConfig) { c.Algorithm = "" },
		"none":              func(c *mint.KeysConfig) { c.Algorithm = "none" },
		"HS256":             func(c *mint.KeysConfig) { c.Algorithm = "HS256" },
		"no rotation":       func(c *mint.KeysConfig) { c.RotateEvery = 0 },
		"an overlap before": func(c *mint.KeysConfig) { c.Overlap = -1 },
		"a long lifetime":   func(c *mint.KeysConfig) { c.TokenLifetime = mint.MaxLifetime + 1 },
		"a past lifetime":   func(c *mint.KeysConfig) { c.TokenLifetime = -1 },
		"a store that is down": func(c *mint.KeysConfig) {
			c.Store = &memory{down: true}
		},
	} {
		cfg := good
		cfg.Store = &memory{}
		change(&cfg)
		if k, err := mint.NewKeys(t.Context(), cfg); err == nil || k != nil {
			t.Errorf("%s: expected an error", name)
		}
	}
}

// A key that cannot sign what it says stops the broker instead of being left
// out, and its error does not quote it.
func TestBrokenKeysAreRefused(t *testing.T) {
	c := newClock()
	es, rs := &memory{}, &memory{}
	newKeys(t, es, "ES256", c.now)
	newKeys(t, rs, "RS256", c.now)
	for name, change := range map[string]func(*store.SigningKey){
		"no key":                   func(k *store.SigningKey) { k.PrivateKey = nil },
		"cut":                      func(k *store.SigningKey) { k.PrivateKey = k.PrivateKey[:40] },
		"no algorithm":             func(k *store.SigningKey) { k.Algorithm = "" },
		"none":                     func(k *store.SigningKey) { k.Algorithm = "none" },
		"HS256":                    func(k *store.SigningKey) { k.Algorithm = "HS256" },
		"RS256 with an EC key":     func(k *store.SigningKey) { k.Algorithm = "RS256" },
		"ES256 with an RSA key":    func(k *store.SigningKey) { k.PrivateKey = rs.keys[0].PrivateKey },
		"PS256 with its RSA key":   func(k *store.SigningKey) { k.PrivateKey, k.Algorithm = rs.keys[0].PrivateKey, "PS256" },
		"ES384 with a P-256 curve": func(k *store.SigningKey) { k.Algorithm = "ES384" },
	} {
		key := es.keys[0]
		change(&key)
		_, err := mint.NewKeys(t.Context(), mint.KeysConfig{Store: &memory{keys: []store.SigningKey{key}}, Algorithm: "ES256", RotateEvery: 30 * day, Now: c.now})
		if err == nil || !strings.Contains(err.Error(), key.KeyID) {
			t.Errorf("%s: expected an error that names the key, found %v", name, err)
		}
	}
}
