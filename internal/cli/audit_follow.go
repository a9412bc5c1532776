package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store"
)

// outcomeWait is how long an allowed record is held back for its outcome.
const outcomeWait = 10 * time.Second

// follower shows each record once, when it is final.
type follower struct {
	reader store.Reader
	query  store.Query
	now    func() time.Time
	print  *recordPrinter

	seen    int64    // every record up to this seq was shown, is pending, or is not wanted
	pending []string // the ids of allowed records without an outcome, in their order
}

// followRecords prints what q wants as it becomes final, looking at every tick
// until ctx ends, which is no error. Without q.Since it begins with the records
// that are not there yet.
func followRecords(ctx context.Context, r store.Reader, q store.Query, now func() time.Time, tick <-chan time.Time, p *recordPrinter) error {
	f := &follower{reader: r, query: q, now: now, print: p}
	err := f.begin(ctx)
	for err == nil {
		if err = f.look(ctx); err != nil {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (f *follower) begin(ctx context.Context) (err error) {
	if f.query.Since.IsZero() {
		f.seen, err = f.newest(ctx)
	}
	return err
}

// newest is the seq of the newest record, wanted or not.
func (f *follower) newest(ctx context.Context) (int64, error) {
	records, err := f.reader.Records(ctx, store.Query{Newest: true, Limit: 1})
	if err != nil || len(records) == 0 {
		return 0, wrapRead(err)
	}
	return records[0].Seq, nil
}

// look shows what became final since the last look. The store's order is the
// order of commits, so no record with a smaller seq can appear later; outcomes
// come in any order, so records that wait for theirs are asked for by id.
func (f *follower) look(ctx context.Context) error {
	if err := f.lookAtPending(ctx); err != nil {
		return err
	}
	newest, err := f.newest(ctx)
	if err != nil {
		return err
	}
	q := f.query
	q.Limit = store.MaxRecords
	for f.seen < newest {
		// Up to newest and no further: then all up to newest has been looked
		// at even if little of it is wanted, and is not read again.
		q.AfterSeq, q.BeforeSeq = f.seen, newest+1
		records, err := f.reader.Records(ctx, q)
		if err != nil {
			return wrapRead(err)
		}
		waiting, err := f.show(records)
		if err != nil {
			return err
		}
		f.pending = append(f.pending, waiting...)
		f.seen = newest
		if len(records) == q.Limit {
			f.seen = records[len(records)-1].Seq
		}
	}
	return nil
}

func (f *follower) lookAtPending(ctx context.Context) error {
	var still []string
	for left := f.pending; len(left) > 0; {
		n := min(len(left), store.MaxRecords)
		records, err := f.reader.Records(ctx, store.Query{IDs: left[:n]})
		if err != nil {
			return wrapRead(err)
		}
		waiting, err := f.show(records)
		if err != nil {
			return err
		}
		still = append(still, waiting...)
		left = left[n:]
	}
	f.pending = still
	return nil
}

// show prints the records that are final and returns the ids of the others.
func (f *follower) show(records []audit.Record) (waiting []string, err error) {
	var final []audit.Record
	for _, r := range records {
		if r.Verdict == audit.Allowed && r.Outcome == nil && f.now().Sub(r.Time) < outcomeWait {
			waiting = append(waiting, r.ID)
			continue
		}
		final = append(final, r)
	}
	return waiting, f.print.print(final)
}

func wrapRead(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("reading the records: %w", err)
}
