package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store/model"
)

const identityColumns = "SELECT id, pool, provider, issuer, subject, created, last_seen FROM identities"

// SaveIdentity adds an identity, or moves when it was seen last. It returns
// when that is on disk.
func (s *Store) SaveIdentity(ctx context.Context, i audit.Identity) error {
	return s.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO identities (id, pool, provider, issuer, subject, created, last_seen) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)`,
			i.ID, i.Pool, i.Provider, i.Issuer, i.Subject, i.Created.UnixMilli(), i.LastSeen.UnixMilli())
		if isConstraint(err) {
			return &refused{fmt.Errorf("the identity %s: %w", i.ID, err)}
		}
		return err
	})
}

// Identity answers the identity of this id, if it is there.
func (r *reader) Identity(ctx context.Context, id string) (audit.Identity, bool, error) {
	i, err := scanIdentity(r.read.QueryRowContext(ctx, identityColumns+" WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Identity{}, false, nil
	}
	if err != nil {
		return audit.Identity{}, false, explain(r.path, fmt.Errorf("reading an identity: %w", err))
	}
	return i, true, nil
}

// Identities answers the identities that q asks for, by pool and id.
func (r *reader) Identities(ctx context.Context, q model.IdentityQuery) (_ []audit.Identity, err error) {
	limit := q.Limit
	if limit <= 0 || limit > model.MaxRecords {
		limit = model.MaxRecords
	}
	rows, err := r.read.QueryContext(ctx, identityColumns+" WHERE (?1 = '' OR pool = ?1) AND (pool, id) > (?2, ?3) ORDER BY pool, id",
		q.Pool, q.After.Pool, q.After.ID)
	if err != nil {
		return nil, explain(r.path, fmt.Errorf("reading the identities: %w", err))
	}
	defer func() {
		if closeErr := rows.Close(); err == nil && closeErr != nil {
			err = explain(r.path, closeErr)
		}
	}()
	match := q.Match()
	var all []audit.Identity
	for len(all) < limit && rows.Next() {
		i, err := scanIdentity(rows)
		if err != nil {
			return nil, explain(r.path, fmt.Errorf("reading an identity: %w", err))
		}
		if match(i.Subject) {
			all = append(all, i)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, explain(r.path, fmt.Errorf("reading the identities: %w", err))
	}
	return all, nil
}

func scanIdentity(row interface{ Scan(...any) error }) (audit.Identity, error) {
	var i audit.Identity
	var created, seen int64
	err := row.Scan(&i.ID, &i.Pool, &i.Provider, &i.Issuer, &i.Subject, &created, &seen)
	i.Created, i.LastSeen = time.UnixMilli(created).UTC(), time.UnixMilli(seen).UTC()
	return i, err
}
