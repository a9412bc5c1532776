package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store/model"
)

func identity(pool string, n int) audit.Identity {
	return audit.Identity{
		ID: fmt.Sprintf("eu-central-1:%08d", n), Pool: pool, Provider: "token.actions.githubusercontent.com",
		Issuer: "https://token.actions.githubusercontent.com", Subject: fmt.Sprintf("repo:octo-org/octo-repo:ref:refs/heads/%d", n),
		Created: start, LastSeen: start,
	}
}

// identities: each is there once, with when it was first and last seen, and
// every opener of the store sees the same.
func identities(t *testing.T, o Opener) {
	s, other := open(t, o), open(t, o)
	ctx := t.Context()
	one := identity("b", 1)
	if _, found, err := s.Identity(ctx, one.ID); found || err != nil {
		t.Fatalf("in an empty store: found %v, %v", found, err)
	}
	save := func(i audit.Identity) {
		t.Helper()
		if err := s.SaveIdentity(ctx, i); err != nil {
			t.Fatalf("saving: %v", err)
		}
	}
	save(one)
	again := one
	again.Created, again.LastSeen, again.Subject = start.Add(time.Hour), start.Add(time.Hour), "somebody else"
	save(again)
	earlier := one
	earlier.LastSeen = start.Add(-time.Hour)
	save(earlier)
	want := one
	want.LastSeen = again.LastSeen
	if got, found, err := other.Identity(ctx, one.ID); err != nil || !found || !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v %v %v, want %+v", got, found, err, want)
	}

	two, three := identity("a", 2), identity("a", 3)
	save(three)
	save(two)
	for _, c := range []struct {
		name string
		q    model.IdentityQuery
		want []audit.Identity
	}{
		{"all", model.IdentityQuery{}, []audit.Identity{two, three, want}},
		{"of a pool", model.IdentityQuery{Pool: "a"}, []audit.Identity{two, three}},
		{"of no pool", model.IdentityQuery{Pool: "c"}, nil},
		{"by subject", model.IdentityQuery{Subject: "repo:*/3"}, []audit.Identity{three}},
		{"limited", model.IdentityQuery{Limit: 1}, []audit.Identity{two}},
		{"the next", model.IdentityQuery{After: two, Limit: 1}, []audit.Identity{three}},
		{"over the end of a pool", model.IdentityQuery{After: three}, []audit.Identity{want}},
		{"of a pool, after", model.IdentityQuery{Pool: "a", After: two}, []audit.Identity{three}},
	} {
		got, err := other.Identities(ctx, c.q)
		if err != nil || len(got)+len(c.want) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: found %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}

	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := other.SaveIdentity(ctx, identity("d", 9)); err != nil {
				t.Errorf("saving at once: %v", err)
			}
		})
	}
	all.Wait()
	if got, err := s.Identities(ctx, model.IdentityQuery{Pool: "d"}); err != nil || len(got) != 1 {
		t.Errorf("saved at once: found %d, %v", len(got), err)
	}
}
