package exchange

import (
	"testing"
	"time"
)

// TestStrangers: a thousand refusals at once get a record each, then one a
// second, and what did not is counted. A clock that was set back stops nothing.
func TestStrangers(t *testing.T) {
	var s strangers
	now := time.Unix(1_800_000_000, 0)
	flood := func(n int) (admitted int) {
		for range n {
			if s.admit(now) {
				admitted++
			}
		}
		return admitted
	}
	if got := flood(5000); got != strangerBurst {
		t.Errorf("of the first flood %d got a record, want %d", got, strangerBurst)
	}
	if n, since := s.take(); n != 4000 || !since.Equal(now) {
		t.Errorf("counted %d since %s", n, since)
	}
	if n, _ := s.take(); n != 0 {
		t.Errorf("counted %d twice", n)
	}
	now = now.Add(3500 * time.Millisecond)
	if got := flood(100); got != 3 {
		t.Errorf("after 3.5 seconds %d got a record, want 3", got)
	}
	now = now.Add(500 * time.Millisecond)
	if got := flood(100); got != 1 {
		t.Errorf("after another half %d got a record, want 1", got)
	}
	now = now.Add(-time.Hour)
	if got := flood(10); got == 0 {
		t.Error("a clock that was set back stops the records")
	}
	now = now.Add(24 * time.Hour)
	if got := flood(5000); got != strangerBurst {
		t.Errorf("after a day %d got a record, want %d", got, strangerBurst)
	}
}
