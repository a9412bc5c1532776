// Package storetest is the suite that every store passes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store/model"
)

// Opener opens one and the same store, as often as it is called.
type Opener func() (model.Store, error)

// Run runs the suite. fresh makes a store with nothing in it.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"order":       order,
		"filters":     filters,
		"outcomes":    outcomes,
		"refusals":    refusals,
		"concurrency": concurrency,
		"contexts":    contexts,
		"close":       closing,
		"ping":        ping,
		"keys":        keys,
		"key races":   keyRaces,
		"identities":  identities,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)

// Record is a record with every field set that a store has to keep.
func Record(n int, change ...func(*audit.Record)) *audit.Record {
	r := &audit.Record{
		ID:     fmt.Sprintf("R%06d", n),
		Time:   start.Add(time.Duration(n) * time.Second),
		Door:   "token",
		Remote: "192.0.2.1",
		Caller: audit.Caller{Verified: true, IssuerName: "github", Subject: "repo:octo-org/octo-repo:ref:refs/heads/main",
			Repository: "octo-org/octo-repo", RunID: "1", Claims: []byte(`{"environment":"pröd","repository_id":12345678901234567890}`)},
		Asked:   audit.Asked{Role: "arn:aws:iam::111111111111:role/deploy", PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}},
		Verdict: audit.Allowed,
		Rule:    "deploy-prod",
		Granted: &audit.Granted{Role: "arn:aws:iam::111111111111:role/deploy", Tags: map[string]string{"env": "pröd <&>"}, Seconds: 3600},
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func denied(reason string) func(*audit.Record) {
	return func(r *audit.Record) {
		r.Verdict, r.Granted, r.Rule, r.Reason, r.Detail = audit.Denied, nil, "", reason, "a sentence"
	}
}

func open(t *testing.T, o Opener) model.Store {
	t.Helper()
	s, err := o()
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

func add(t *testing.T, s model.Store, records ...*audit.Record) {
	t.Helper()
	for _, r := range records {
		if err := s.AppendRecord(t.Context(), r); err != nil {
			t.Fatalf("appending %s: %v", r.ID, err)
		}
	}
}

func ids(t *testing.T, s model.Reader, q model.Query) []string {
	t.Helper()
	records, err := s.Records(t.Context(), q)
	if err != nil {
		t.Fatalf("reading %+v: %v", q, err)
	}
	var got []string
	for _, r := range records {
		got = append(got, r.ID)
	}
	return got
}

func want(t *testing.T, s model.Reader, q model.Query, expected ...string) {
	t.Helper()
	if got := ids(t, s, q); !slices.Equal(got, expected) {
		t.Errorf("%+v: expected %v, found %v", q, expected, got)
	}
}

func order(t *testing.T, o Opener) {
	s := open(t, o)
	// The order is that of writing, whatever the records' times are.
	records := []*audit.Record{Record(3), Record(1), Record(2)}
	add(t, s, records...)
	for i, r := range records {
		if r.Seq != int64(i+1) {
			t.Errorf("%s: expected seq %d, found %d", r.ID, i+1, r.Seq)
		}
	}
	want(t, s, model.Query{}, "R000003", "R000001", "R000002")
	want(t, s, model.Query{Newest: true}, "R000002", "R000001", "R000003")
	want(t, s, model.Query{Newest: true, Limit: 2}, "R000002", "R000001")
	want(t, s, model.Query{AfterSeq: 1}, "R000001", "R000002")
	want(t, s, model.Query{BeforeSeq: 3, Newest: true}, "R000001", "R000003")
	want(t, s, model.Query{AfterSeq: 3})

	// What is read is what was written, through another opening too.
	for _, reader := range []model.Reader{s, open(t, o)} {
		got, err := reader.Records(t.Context(), model.Query{Limit: 1})
		if err != nil || len(got) != 1 || !reflect.DeepEqual(&got[0], records[0]) {
			t.Errorf("expected %+v, found %+v, %v", records[0], got, err)
		}
	}
}

func filters(t *testing.T, o Opener) {
	s := open(t, o)
	repo := func(name string) func(*audit.Record) {
		return func(r *audit.Record) { r.Caller.Repository = name }
	}
	add(t, s,
		Record(1),
		Record(2, repo("octo-org/other"), denied("no_rule_matched")),
		Record(3, repo("Octo-Org/octo-repo"), func(r *audit.Record) { r.Rule = "read" }),
		Record(4, repo("a?[b]%_c"), denied("role_not_listed"), func(r *audit.Record) { r.Asked.Role = "" }),
	)
	at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	for _, c := range []struct {
		q    model.Query
		want []string
	}{
		{model.Query{Since: at(3)}, []string{"R000003", "R000004"}},
		{model.Query{Since: at(3).Add(time.Nanosecond)}, []string{"R000004"}},
		{model.Query{Until: at(3)}, []string{"R000001", "R000002"}},
		{model.Query{Until: at(3).Add(time.Nanosecond)}, []string{"R000001", "R000002", "R000003"}},
		{model.Query{Verdict: audit.Denied}, []string{"R000002", "R000004"}},
		{model.Query{Verdict: audit.Allowed}, []string{"R000001", "R000003"}},
		{model.Query{Repository: "octo-org/octo-repo"}, []string{"R000001"}},
		{model.Query{Repository: "octo-org/*"}, []string{"R000001", "R000002"}},
		{model.Query{Repository: "*octo-repo"}, []string{"R000001", "R000003"}},
		{model.Query{Repository: "a?[b]%_c"}, []string{"R000004"}},
		{model.Query{Repository: "a?[b]%_*"}, []string{"R000004"}},
		{model.Query{Repository: "octo_org/*"}, nil}, // no other wildcards than *
		{model.Query{Repository: "octo-or?/*"}, nil},
		{model.Query{Role: "*:role/deploy"}, []string{"R000001", "R000002", "R000003"}},
		{model.Query{Role: "*:role/dep"}, nil},
		{model.Query{Rule: "read"}, []string{"R000003"}},
		{model.Query{Reason: "role_not_listed"}, []string{"R000004"}},
		{model.Query{IDs: []string{"R000004", "R000001", "none"}}, []string{"R000001", "R000004"}},
		{model.Query{Repository: "octo-org/*", Limit: 1, Newest: true}, []string{"R000002"}}, // the limit counts what matches
		{model.Query{Rule: "' OR 1=1 --"}, nil},
	} {
		want(t, s, c.q, c.want...)
	}
}

func outcomes(t *testing.T, o Opener) {
	s := open(t, o)
	add(t, s, Record(1), Record(2))
	until := start.Add(time.Hour)
	first := audit.Outcome{Time: start, Issued: true, TokenID: "t", AccessKeyID: "ASIAEXAMPLE", Expires: &until}
	second := audit.Outcome{Time: start, Error: "AWS said no", ErrorCode: "AccessDenied"}
	for _, c := range []struct {
		id      string
		outcome audit.Outcome
	}{{"R000002", second}, {"R000001", first}} { // in another order than the records
		if err := s.AppendOutcome(t.Context(), c.id, c.outcome); err != nil {
			t.Fatal(err)
		}
	}
	add(t, s, Record(3))
	got, err := s.Records(t.Context(), model.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for i, expected := range []*audit.Outcome{&first, &second, nil} {
		if !reflect.DeepEqual(got[i].Outcome, expected) {
			t.Errorf("%s: expected the outcome %+v, found %+v", got[i].ID, expected, got[i].Outcome)
		}
	}
}

func refusals(t *testing.T, o Opener) {
	s := open(t, o)
	add(t, s, Record(1), Record(2, denied("no_rule_matched")))
	if err := s.AppendOutcome(t.Context(), "R000001", audit.Outcome{Time: start, Issued: true}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"a record twice":                  {s.AppendRecord(t.Context(), Record(1)), model.ErrExists},
		"an outcome twice":                {s.AppendOutcome(t.Context(), "R000001", audit.Outcome{Time: start}), model.ErrExists},
		"an outcome of no record":         {s.AppendOutcome(t.Context(), "none", audit.Outcome{Time: start}), model.ErrNoRecord},
		"an outcome of a denied request":  {s.AppendOutcome(t.Context(), "R000002", audit.Outcome{Time: start}), model.ErrNoRecord},
		"a record with no verdict at all": {s.AppendRecord(t.Context(), Record(9, func(r *audit.Record) { r.Verdict = "" })), nil},
	} {
		if c.err == nil || c.want != nil && !errors.Is(c.err, c.want) {
			t.Errorf("%s: expected %v, found %v", name, c.want, c.err)
		}
	}
	want(t, s, model.Query{}, "R000001", "R000002")
}

// concurrency writes from 64 goroutines, some of them what is refused: who is
// refused fails alone, and everybody else's record and outcome is there.
func concurrency(t *testing.T, o Opener) {
	s := open(t, o)
	add(t, s, Record(0))
	const writers, each = 64, 5
	var wg sync.WaitGroup
	seqs := make(chan int64, writers*each)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r := Record(1 + w*each + i)
				if err := s.AppendRecord(t.Context(), r); err != nil {
					t.Errorf("appending %s: %v", r.ID, err)
				}
				seqs <- r.Seq
				if err := s.AppendRecord(t.Context(), Record(0)); !errors.Is(err, model.ErrExists) {
					t.Errorf("appending a record twice: expected ErrExists, found %v", err)
				}
				if err := s.AppendOutcome(t.Context(), r.ID, audit.Outcome{Time: start, Issued: true, TokenID: r.ID}); err != nil {
					t.Errorf("concluding %s: %v", r.ID, err)
				}
			}
		})
	}
	wg.Wait()
	close(seqs)
	distinct := map[int64]bool{}
	for seq := range seqs {
		distinct[seq] = true
	}
	got, err := s.Records(t.Context(), model.Query{AfterSeq: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != writers*each || len(distinct) != writers*each {
		t.Fatalf("expected %d records and seqs, found %d and %d", writers*each, len(got), len(distinct))
	}
	for i, r := range got {
		if r.Seq != int64(i+2) {
			t.Errorf("expected no gap, found seq %d at place %d", r.Seq, i+2)
		}
		if r.Outcome == nil || r.Outcome.TokenID != r.ID {
			t.Errorf("%s: found the outcome %+v", r.ID, r.Outcome)
		}
	}
}

func contexts(t *testing.T, o Opener) {
	s := open(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.AppendRecord(ctx, Record(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("expected context.Canceled, found %v", err)
	}
	// Callers that give up at any moment take nothing with them.
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w)*200*time.Microsecond)
			defer cancel()
			if err := s.AppendRecord(ctx, Record(100+w)); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("expected no error or the context's, found %v", err)
			}
		})
		wg.Go(func() {
			if err := s.AppendRecord(t.Context(), Record(200+w)); err != nil {
				t.Errorf("a caller who waited: %v", err)
			}
		})
	}
	wg.Wait()
	there := ids(t, s, model.Query{})
	for w := range 16 {
		if id := Record(200 + w).ID; !slices.Contains(there, id) {
			t.Errorf("%s is not there", id)
		}
	}
}

func closing(t *testing.T, o Opener) {
	s, err := o()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var kept []string
	for w := range 32 {
		wg.Go(func() {
			r := Record(w)
			switch err := s.AppendRecord(t.Context(), r); {
			case err == nil:
				mu.Lock()
				kept = append(kept, r.ID)
				mu.Unlock()
			case !errors.Is(err, model.ErrClosed):
				t.Errorf("expected no error or ErrClosed, found %v", err)
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	for name, err := range map[string]error{
		"AppendRecord":  s.AppendRecord(t.Context(), Record(100)),
		"AppendOutcome": s.AppendOutcome(t.Context(), "R000001", audit.Outcome{}),
		"Ping":          s.Ping(t.Context()),
	} {
		if !errors.Is(err, model.ErrClosed) {
			t.Errorf("%s after Close: expected ErrClosed, found %v", name, err)
		}
	}
	there := ids(t, open(t, o), model.Query{})
	slices.Sort(there)
	slices.Sort(kept)
	if !slices.Equal(there, kept) {
		t.Errorf("expected exactly what was acknowledged, %v, found %v", kept, there)
	}
}

func ping(t *testing.T, o Opener) {
	s := open(t, o)
	for range 3 {
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("expected a store that can write, found %v", err)
		}
	}
	want(t, s, model.Query{})
}

func key(kid string, n int) model.SigningKey {
	at := start.Add(time.Duration(n) * time.Hour)
	return model.SigningKey{KeyID: kid, Algorithm: "ES256", PrivateKey: []byte{0, 1, 2, byte(n)},
		Created: at, SignFrom: at.Add(time.Minute), SignUntil: at.Add(time.Hour), PublishUntil: at.Add(2 * time.Hour)}
}

func keys(t *testing.T, o Opener) {
	s := open(t, o)
	got, err := s.SigningKeys(t.Context())
	if err != nil || len(got) != 0 {
		t.Fatalf("expected no keys, found %v, %v", got, err)
	}
	a, b, c := key("a", 2), key("b", 1), key("c", 3)
	update := func(add []model.SigningKey, drop []string, fail error) ([]model.SigningKey, error) {
		return s.UpdateSigningKeys(t.Context(), func([]model.SigningKey) ([]model.SigningKey, []string, error) { return add, drop, fail })
	}
	if got, err := update([]model.SigningKey{a, b}, nil, nil); err != nil || !reflect.DeepEqual(got, []model.SigningKey{b, a}) {
		t.Errorf("expected b and a, oldest first, found %v, %v", got, err)
	}
	failure := errors.New("no")
	if _, err := update([]model.SigningKey{c}, []string{"a"}, failure); !errors.Is(err, failure) {
		t.Errorf("expected the update's error, found %v", err)
	}
	if _, err := update([]model.SigningKey{c, b}, []string{"a"}, nil); !errors.Is(err, model.ErrExists) {
		t.Errorf("a kid twice: expected ErrExists, found %v", err)
	}
	if got, err := open(t, o).SigningKeys(t.Context()); err != nil || !reflect.DeepEqual(got, []model.SigningKey{b, a}) {
		t.Errorf("expected failed updates to change nothing, found %v, %v", got, err)
	}
	if got, err := update([]model.SigningKey{c}, []string{"b", "none"}, nil); err != nil || !reflect.DeepEqual(got, []model.SigningKey{a, c}) {
		t.Errorf("expected a and c, found %v, %v", got, err)
	}
	func() { // an update that panics must not leave the store locked
		defer func() { _ = recover() }()
		_, _ = s.UpdateSigningKeys(t.Context(), func([]model.SigningKey) ([]model.SigningKey, []string, error) { panic("update") })
	}()
	add(t, s, Record(1))
}

// keyRaces has many brokers find at the same time that there is no key.
func keyRaces(t *testing.T, o Opener) {
	var wg sync.WaitGroup
	for b := range 4 {
		s := open(t, o)
		for i := range 4 {
			wg.Go(func() {
				got, err := s.UpdateSigningKeys(t.Context(), func(current []model.SigningKey) ([]model.SigningKey, []string, error) {
					if len(current) > 0 {
						return nil, nil, nil
					}
					return []model.SigningKey{key(fmt.Sprintf("k%d-%d", b, i), 1)}, nil, nil
				})
				if err != nil || len(got) != 1 {
					t.Errorf("expected one key, found %d, %v", len(got), err)
				}
			})
		}
	}
	wg.Wait()
}
