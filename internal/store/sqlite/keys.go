package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/stint-dev/stint/internal/store/model"
)

// SigningKeys are the signing keys, oldest first.
func (s *Store) SigningKeys(ctx context.Context) ([]model.SigningKey, error) {
	keys, err := signingKeys(ctx, s.read)
	return keys, explain(s.path, err)
}

// UpdateSigningKeys runs update in a transaction that no other writer, in this
// process or another, can overlap. Appends wait meanwhile.
func (s *Store) UpdateSigningKeys(ctx context.Context, update func([]model.SigningKey) ([]model.SigningKey, []string, error)) ([]model.SigningKey, error) {
	s.mu.RLock()
	closed := s.closed
	s.mu.RUnlock()
	if closed {
		return nil, model.ErrClosed
	}
	if err := s.stillThere(); err != nil {
		return nil, explain(s.path, err)
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, explain(s.path, fmt.Errorf("beginning to update the signing keys: %w", err))
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	current, err := signingKeys(ctx, tx)
	if err != nil {
		return nil, explain(s.path, err)
	}
	add, drop, err := update(current)
	if err != nil {
		return nil, err
	}
	for _, kid := range drop {
		if _, err := tx.ExecContext(ctx, `DELETE FROM signing_keys WHERE kid = ?`, kid); err != nil {
			return nil, explain(s.path, fmt.Errorf("dropping the signing key %s: %w", kid, err))
		}
	}
	for _, k := range add {
		_, err := tx.ExecContext(ctx, `INSERT INTO signing_keys (kid, algorithm, private_key, created, sign_from, sign_until, publish_until)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, k.KeyID, k.Algorithm, k.PrivateKey,
			k.Created.UnixMilli(), k.SignFrom.UnixMilli(), k.SignUntil.UnixMilli(), k.PublishUntil.UnixMilli())
		switch {
		case isDuplicate(err):
			return nil, fmt.Errorf("adding the signing key %s: %w: %w", k.KeyID, model.ErrExists, err)
		case err != nil:
			return nil, explain(s.path, fmt.Errorf("adding the signing key %s: %w", k.KeyID, err))
		}
	}
	keys, err := signingKeys(ctx, tx)
	if err != nil {
		return nil, explain(s.path, err)
	}
	if err := tx.Commit(); err != nil {
		return nil, explain(s.path, fmt.Errorf("committing the signing keys: %w", err))
	}
	return keys, nil
}

type rowsQueryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func signingKeys(ctx context.Context, q rowsQueryer) (_ []model.SigningKey, err error) {
	rows, err := q.QueryContext(ctx, `SELECT kid, algorithm, private_key, created, sign_from, sign_until, publish_until
		FROM signing_keys ORDER BY created, kid`)
	if err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var keys []model.SigningKey
	for rows.Next() {
		var k model.SigningKey
		var at [4]int64
		if err := rows.Scan(&k.KeyID, &k.Algorithm, &k.PrivateKey, &at[0], &at[1], &at[2], &at[3]); err != nil {
			return nil, fmt.Errorf("reading a signing key: %w", err)
		}
		for i, t := range []*time.Time{&k.Created, &k.SignFrom, &k.SignUntil, &k.PublishUntil} {
			*t = time.UnixMilli(at[i]).UTC()
		}
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the signing keys: %w", err)
	}
	return keys, nil
}

// ceilMilli is t in milliseconds, rounded up: the times kept are whole ones, so
// a bound between two of them must fall on the later.
func ceilMilli(t time.Time) int64 {
	return t.Add(time.Millisecond - 1).UnixMilli()
}
