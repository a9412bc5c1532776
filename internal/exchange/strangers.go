package exchange

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stint-dev/stint/internal/audit"
)

// How many refusals of strangers get a record of their own: a thousand at
// once, and one a second after that. A record is durable, so whoever can reach
// a door could fill the disk with them, and a broker that cannot record grants
// nothing. Refusals beyond that are counted, and the count is recorded. What a
// job of ours asks for is always recorded.
const (
	strangerBurst = 1000
	strangerEvery = time.Second
)

// strangers is a token bucket with a count of what did not fit.
type strangers struct {
	mu      sync.Mutex
	left    int
	filled  time.Time
	skipped int
	since   time.Time
}

// admit reports whether a refusal gets a record of its own.
func (s *strangers) admit(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filled.IsZero() || now.Before(s.filled) {
		s.left, s.filled = max(s.left, strangerBurst), now
	}
	if n := int(now.Sub(s.filled) / strangerEvery); n > 0 {
		s.left = min(s.left+n, strangerBurst)
		s.filled = s.filled.Add(time.Duration(n) * strangerEvery)
	}
	if s.left > 0 {
		s.left--
		return true
	}
	if s.skipped == 0 {
		s.since = now
	}
	s.skipped++
	return false
}

// take returns the count and begins anew.
func (s *strangers) take() (skipped int, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	skipped, since = s.skipped, s.since
	s.skipped = 0
	return skipped, since
}

// RecordSkipped records how many refusals got no record of their own since the
// last call. Call it every minute or so, and before the broker ends.
func (b *Broker) RecordSkipped(ctx context.Context) {
	n, since := b.strangers.take()
	if n == 0 {
		return
	}
	detail := fmt.Sprintf("%d more requests of unverified callers were refused since %s", n, since.UTC().Format(time.RFC3339))
	b.log.Warn("refused without a record of their own", "requests", n, "since", since)
	if _, err := b.audit.Deny(ctx, audit.Entry{}, audit.Denial{Reason: "more_refused", Detail: detail}); err != nil {
		b.log.Error("the count of refused requests is not on record", "requests", n, "err", err)
	}
}
