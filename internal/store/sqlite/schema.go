package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/stint-dev/stint/internal/store/model"
)

// applicationID stands in the header of the file ("stnt"), so that another
// program's database is never taken for ours.
const applicationID = 0x73746e74

// migrations bring an empty file to the present schema, in order. PRAGMA
// user_version counts those that are done. A migration that was released is
// never changed.
//
// The triggers make the records append-only for every program that opens the
// file, REPLACE included, which deletes without firing delete triggers. They
// stop mistakes; whoever may write the file can drop them.
var migrations = []string{`
CREATE TABLE records (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT,
	id         TEXT    NOT NULL UNIQUE,
	time       INTEGER NOT NULL, -- milliseconds since 1970
	verdict    TEXT    NOT NULL CHECK (verdict IN ('allowed', 'denied')),
	repository TEXT    NOT NULL,
	role       TEXT    NOT NULL,
	rule       TEXT    NOT NULL,
	reason     TEXT    NOT NULL,
	record     TEXT    NOT NULL  -- the whole record as JSON
) STRICT;
CREATE INDEX records_time ON records (time);

CREATE TABLE outcomes (
	record_seq INTEGER PRIMARY KEY REFERENCES records (seq),
	time       INTEGER NOT NULL, -- milliseconds since 1970
	outcome    TEXT    NOT NULL  -- the whole outcome as JSON
) STRICT;

CREATE TRIGGER records_no_update BEFORE UPDATE ON records
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER records_no_delete BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER records_no_replace BEFORE INSERT ON records
WHEN EXISTS (SELECT 1 FROM records WHERE seq = NEW.seq OR id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER outcomes_no_update BEFORE UPDATE ON outcomes
BEGIN SELECT RAISE(ABORT, 'outcomes are append-only'); END;
CREATE TRIGGER outcomes_no_delete BEFORE DELETE ON outcomes
BEGIN SELECT RAISE(ABORT, 'outcomes are append-only'); END;
CREATE TRIGGER outcomes_no_replace BEFORE INSERT ON outcomes
WHEN EXISTS (SELECT 1 FROM outcomes WHERE record_seq = NEW.record_seq)
BEGIN SELECT RAISE(ABORT, 'outcomes are append-only'); END;

CREATE TABLE signing_keys (
	kid           TEXT    PRIMARY KEY,
	algorithm     TEXT    NOT NULL,
	private_key   BLOB    NOT NULL, -- PKCS #8, DER
	created       INTEGER NOT NULL, -- milliseconds since 1970
	sign_from     INTEGER NOT NULL,
	sign_until    INTEGER NOT NULL,
	publish_until INTEGER NOT NULL
) STRICT;

CREATE TABLE probe (filler BLOB NOT NULL) STRICT; -- always empty after a commit
`, `
CREATE TABLE identities (
	id        TEXT    PRIMARY KEY,
	pool      TEXT    NOT NULL,
	provider  TEXT    NOT NULL,
	issuer    TEXT    NOT NULL,
	subject   TEXT    NOT NULL,
	created   INTEGER NOT NULL, -- milliseconds since 1970
	last_seen INTEGER NOT NULL
) STRICT;
CREATE INDEX identities_pool ON identities (pool, id);
`}

// migrate brings the file to the present schema in one transaction. Of several
// processes that start at once, one does it and the others find it done.
func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning to migrate: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	version, err := schemaVersion(ctx, tx)
	if err != nil || version == len(migrations) {
		return err
	}
	for i := version; i < len(migrations); i++ {
		if _, err := tx.ExecContext(ctx, migrations[i]); err != nil {
			return fmt.Errorf("migrating to schema %d: %w", i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(migrations))); err != nil {
		return fmt.Errorf("noting the schema: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing the migration: %w", err)
	}
	return nil
}

// checkSchema refuses a file whose schema a reader could misread.
func checkSchema(ctx context.Context, db *sql.DB) error {
	version, err := schemaVersion(ctx, db)
	if err == nil && version != len(migrations) {
		return fmt.Errorf("expected schema %d, found the older %d: start the broker of this version once, it brings the file up to date: %w", len(migrations), version, model.ErrSchema)
	}
	return err
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func schemaVersion(ctx context.Context, q queryer) (int, error) {
	var application, version, tables int
	err := q.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).
		Scan(&application, &version, &tables)
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading the schema: %w", err)
	case application == 0 && version == 0 && tables == 0:
		return 0, nil
	case application != applicationID:
		return 0, fmt.Errorf("expected a database of stint or none, found one of another program: name another path: %w", model.ErrSchema)
	case version > len(migrations):
		return 0, fmt.Errorf("expected schema %d, found %d: a newer stint made it, use that one: %w", len(migrations), version, model.ErrSchema)
	}
	return version, nil
}
