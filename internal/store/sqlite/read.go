package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store/model"
)

// reader reads a file through connections that cannot write it.
type reader struct {
	path string
	read *sql.DB
}

// Close closes the file.
func (r *reader) Close() error { return r.read.Close() }

// Records answers the records that q asks for.
func (r *reader) Records(ctx context.Context, q model.Query) (_ []audit.Record, err error) {
	limit := q.Limit
	if limit <= 0 || limit > model.MaxRecords {
		limit = model.MaxRecords
	}
	text, args := selectRecords(q)
	rows, err := r.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, explain(r.path, fmt.Errorf("reading the records: %w", err))
	}
	defer func() {
		if closeErr := rows.Close(); err == nil && closeErr != nil {
			err = explain(r.path, closeErr)
		}
	}()
	patterns := q.Patterns()
	var records []audit.Record
	var repository, role sql.RawBytes
	var record, outcome sql.RawBytes
	for len(records) < limit && rows.Next() {
		var seq int64
		if err := rows.Scan(&seq, &repository, &role, &record, &outcome); err != nil {
			return nil, explain(r.path, fmt.Errorf("reading a record: %w", err))
		}
		if !patterns.Match(string(repository), string(role)) {
			continue
		}
		var rec audit.Record
		if err := json.Unmarshal(record, &rec); err != nil {
			return nil, fmt.Errorf("the database %s: decoding record %d: %w", r.path, seq, err)
		}
		rec.Seq = seq
		if outcome != nil {
			rec.Outcome = new(audit.Outcome)
			if err := json.Unmarshal(outcome, rec.Outcome); err != nil {
				return nil, fmt.Errorf("the database %s: decoding the outcome of record %d: %w", r.path, seq, err)
			}
		}
		records = append(records, rec)
	}
	if err := rows.Err(); err != nil {
		return nil, explain(r.path, fmt.Errorf("reading the records: %w", err))
	}
	return records, nil
}

// selectRecords is the query without its patterns and limit, which are applied
// to its rows as they come: a pattern means the same in every backend.
func selectRecords(q model.Query) (text string, args []any) {
	var where []string
	add := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if !q.Since.IsZero() {
		add("r.time >= ?", ceilMilli(q.Since))
	}
	if !q.Until.IsZero() {
		add("r.time < ?", ceilMilli(q.Until))
	}
	if q.Verdict != "" {
		add("r.verdict = ?", string(q.Verdict))
	}
	if q.Rule != "" {
		add("r.rule = ?", q.Rule)
	}
	if q.Reason != "" {
		add("r.reason = ?", q.Reason)
	}
	if q.AfterSeq != 0 {
		add("r.seq > ?", q.AfterSeq)
	}
	if q.BeforeSeq != 0 {
		add("r.seq < ?", q.BeforeSeq)
	}
	if len(q.IDs) > 0 {
		ids := q.IDs[:min(len(q.IDs), model.MaxRecords)]
		values := make([]any, len(ids))
		for i, id := range ids {
			values[i] = id
		}
		add("r.id IN (?"+strings.Repeat(", ?", len(ids)-1)+")", values...)
	}
	text = "SELECT r.seq, r.repository, r.role, r.record, o.outcome FROM records r LEFT JOIN outcomes o ON o.record_seq = r.seq"
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	if q.Newest {
		return text + " ORDER BY r.seq DESC", args
	}
	return text + " ORDER BY r.seq", args
}
