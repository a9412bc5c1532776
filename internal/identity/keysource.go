package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// keySource caches the keys of one issuer. At most one fetch runs at a time,
// in one goroutine of its own, and however many requests wait for it, the end
// of one of them does not end it.
type keySource struct {
	name  string
	load  func(context.Context) ([]byte, error) // gets the JWK set
	limit limits
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	keys    map[string]key // nil until the first fetch that succeeded
	fetched time.Time      // when keys were
	tried   time.Time      // when the last fetch began or ended
	lastErr error          // of the last fetch
	running chan struct{}  // closed when the fetch that runs now ends
}

type limits struct{ minRefetch, maxAge, maxStale, timeout time.Duration }

var errUnknownKey = errors.New("no key of the issuer has this kid")

// key finds a key by its id. The error is errUnknownKey, or says why the
// issuer's keys are not known.
func (s *keySource) key(ctx context.Context, kid string) (key, error) {
	s.mu.Lock()
	k, known := s.find(kid)
	age := s.now().Sub(s.fetched)
	// A set so old that the refresh in the background cannot have run (nobody
	// asked for hours) may hold keys that were revoked since, so it has to be
	// confirmed first; unless the issuer is known to be down.
	idle := age > 2*s.limit.maxAge && s.lastErr == nil
	if known && age <= s.limit.maxAge {
		s.mu.Unlock()
		return k, nil
	}
	running := s.refresh()
	s.mu.Unlock()
	if known && !idle {
		return k, nil
	}
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return key{}, fmt.Errorf("waiting for the issuer's keys: %w", context.Cause(ctx))
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if k, known := s.find(kid); known {
		return k, nil
	}
	switch {
	case s.lastErr != nil:
		return key{}, s.lastErr
	case !s.usable():
		return key{}, errors.New("the issuer's keys have not been fetched yet")
	}
	return key{}, errUnknownKey
}

// find needs mu.
func (s *keySource) find(kid string) (key, bool) {
	if !s.usable() {
		return key{}, false
	}
	k, ok := s.keys[kid]
	return k, ok
}

// usable needs mu.
func (s *keySource) usable() bool {
	return s.keys != nil && s.now().Sub(s.fetched) <= s.limit.maxStale
}

// refresh begins a fetch unless one runs, or the last is too recent. It
// returns what is closed when the fetch that runs ends, or nil. It needs mu.
func (s *keySource) refresh() <-chan struct{} {
	if s.running != nil {
		return s.running
	}
	// The interval holds for failures too. A clock that was set back must not
	// stop fetching until it has caught up.
	if since := s.now().Sub(s.tried); !s.tried.IsZero() && since >= 0 && since < s.limit.minRefetch {
		return nil
	}
	done := make(chan struct{})
	s.running, s.tried = done, s.now()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.limit.timeout)
		defer cancel()
		s.finish(s.fetch(ctx))
		close(done)
	}()
	return done
}

func (s *keySource) fetch(ctx context.Context) (map[string]key, []string, error) {
	data, err := s.load(ctx)
	if err != nil {
		return nil, nil, err
	}
	return parseKeySet(data)
}

func (s *keySource) finish(keys map[string]key, skipped []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.lastErr, s.tried = nil, err, s.now()
	if err != nil {
		// What is known stays: an issuer's bad hour must not stop jobs.
		s.log.Warn("the issuer's keys could not be fetched", "issuer", s.name, "known_keys", len(s.keys), "err", err)
		return
	}
	if !maps.EqualFunc(keys, s.keys, key.equal) {
		s.log.Info("the issuer's keys were fetched", "issuer", s.name, "keys", len(keys))
		for _, why := range skipped {
			s.log.Warn("a key of the issuer is not used", "issuer", s.name, "reason", why)
		}
	}
	s.keys, s.fetched = keys, s.tried
}

// warm fetches the keys unless they are fresh, and waits for it.
func (s *keySource) warm(ctx context.Context) {
	s.mu.Lock()
	var running <-chan struct{}
	if !s.usable() || s.now().Sub(s.fetched) > s.limit.maxAge {
		running = s.refresh()
	}
	s.mu.Unlock()
	if running == nil {
		return
	}
	select {
	case <-running:
	case <-ctx.Done():
	}
}

// ready is nil while keys are usable. Otherwise it begins a fetch where one is
// due: a broker that is not ready gets no tokens that would begin it.
func (s *keySource) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.usable() {
		return nil
	}
	s.refresh()
	if s.lastErr != nil {
		return s.lastErr
	}
	return errors.New("its keys have not been fetched yet")
}

func (s *keySource) inherit(old *keySource) {
	old.mu.Lock()
	keys, fetched, tried, lastErr := old.keys, old.fetched, old.tried, old.lastErr
	old.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.fetched, s.tried, s.lastErr = keys, fetched, tried, lastErr
}
