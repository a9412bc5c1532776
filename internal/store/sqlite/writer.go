package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store/model"
)

// maxBatch is how many writes share one transaction at most, and how many more
// may wait before calls block.
const maxBatch = 256

// op is one write on its way to the writer.
type op struct {
	ctx context.Context
	run func(context.Context, *sql.Tx) error
	err error         // set before done is closed
	ok  chan struct{} // closed when the write is committed or has failed
}

// The statements of the hot path. They are prepared once: with its triggers,
// preparing one costs as much again as running it.
const (
	insertRecord = `INSERT INTO records (id, time, verdict, repository, role, rule, reason, record)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	insertOutcome = `INSERT INTO outcomes (record_seq, time, outcome)
		SELECT seq, ?, ? FROM records WHERE id = ? AND verdict = 'allowed'`
)

// AppendRecord writes r and sets r.Seq. It returns when r is on disk. If ctx
// ends first its error is returned, and r may be written or not.
func (s *Store) AppendRecord(ctx context.Context, r *audit.Record) error {
	kept := *r
	kept.Seq, kept.Outcome = 0, nil // they stand beside the record
	text, err := json.Marshal(&kept)
	if err != nil {
		return fmt.Errorf("encoding the record: %w", err)
	}
	var seq int64
	err = s.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.StmtContext(ctx, s.insertRecord).ExecContext(ctx, kept.ID, kept.Time.UnixMilli(), string(kept.Verdict),
			kept.Caller.Repository, kept.Role(), kept.Rule, kept.Reason, string(text))
		if err != nil {
			return exists(err, "record", kept.ID)
		}
		seq, err = res.LastInsertId()
		return err
	})
	if err != nil {
		return err
	}
	r.Seq = seq
	return nil
}

// AppendOutcome writes what became of the allowed record with this id: once.
// It returns when the outcome is on disk. If ctx ends first its error is
// returned, and the outcome may be written or not.
func (s *Store) AppendOutcome(ctx context.Context, recordID string, o audit.Outcome) error {
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encoding the outcome: %w", err)
	}
	return s.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.StmtContext(ctx, s.insertOutcome).ExecContext(ctx, o.Time.UnixMilli(), string(text), recordID)
		if err != nil {
			return exists(err, "the outcome of record", recordID)
		}
		n, err := res.RowsAffected()
		if err == nil && n == 0 {
			err = &refused{fmt.Errorf("%w: %q", model.ErrNoRecord, recordID)}
		}
		return err
	})
}

// Ping writes a page's worth and takes it away again.
func (s *Store) Ping(ctx context.Context) error {
	return s.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO probe (filler) VALUES (zeroblob(8192)); DELETE FROM probe`)
		return err
	})
}

// refused is an error of one write that leaves its transaction as it was.
type refused struct{ error }

func (r *refused) Unwrap() error { return r.error }

func exists(err error, what, id string) error {
	switch {
	case isDuplicate(err):
		return &refused{fmt.Errorf("%s %s: %w: %w", what, id, model.ErrExists, err)}
	case isConstraint(err):
		return &refused{fmt.Errorf("%s %s: %w", what, id, err)}
	}
	return err
}

// do hands a write to the writer and waits until it is committed.
func (s *Store) do(ctx context.Context, run func(context.Context, *sql.Tx) error) error {
	o := &op{ctx: ctx, run: run, ok: make(chan struct{})}
	if err := s.handOver(ctx, o); err != nil {
		return err
	}
	select {
	case <-o.ok:
		return o.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the write to be durable: %w", context.Cause(ctx))
	}
}

func (s *Store) handOver(ctx context.Context, o *op) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return model.ErrClosed
	}
	select {
	case s.ops <- o:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to write: %w", context.Cause(ctx))
	}
}

// writer commits what comes, until the store is closed and nothing is left.
// While one transaction is synced to disk the next writes gather, so that the
// cost of a sync is shared by all who wait for it.
func (s *Store) writer() {
	defer close(s.done)
	for first := range s.ops {
		batch := gather(first, s.ops)
		if err := s.commit(batch); err != nil {
			err = explain(s.path, err)
			for _, o := range batch {
				if o.err == nil {
					o.err = err
				}
			}
		}
		for _, o := range batch {
			close(o.ok)
		}
	}
}

func gather(first *op, more <-chan *op) []*op {
	batch := []*op{first}
	for len(batch) < maxBatch {
		select {
		case o, open := <-more:
			if !open {
				return batch
			}
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

// commit runs the writes of a batch in one transaction. A write that is refused
// fails alone, with its own error; any other error fails the whole batch.
// The transaction ends with no caller's context: a caller that gave up must not
// undo what others wait for.
func (s *Store) commit(batch []*op) error {
	if err := s.stillThere(); err != nil {
		return err
	}
	ctx := context.Background()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning to write: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	for _, o := range batch {
		if err := context.Cause(o.ctx); err != nil {
			o.err = fmt.Errorf("waiting to write: %w", err)
			continue
		}
		err := o.run(ctx, tx)
		var alone *refused
		switch {
		case errors.As(err, &alone):
			o.err = alone.error
		case err != nil:
			return fmt.Errorf("writing: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// stillThere finds out whether path still names the file that was opened.
// Otherwise writes would go on into a file that nobody can ever read.
func (s *Store) stillThere() error {
	now, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("it was removed while in use, restart the broker: %w", err)
	}
	if !os.SameFile(s.made, now) {
		return errors.New("it was replaced while in use: restart the broker")
	}
	return nil
}
