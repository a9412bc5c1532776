// Package sqlite keeps the records and the signing keys in one SQLite file.
//
// Everything is committed with an fsync before a call returns. Calls that come
// at the same time share one transaction and one fsync (writer.go). SQLite lets
// one process write at a time, so seq grows in the order of commits: a reader
// that saw a record has seen, or can see, every record with a smaller seq.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/stint-dev/stint/internal/store/model"
)

// defaultBusyTimeout is how long a call waits for another process's write.
const defaultBusyTimeout = 5 * time.Second

// Options change how a file is used. The zero value is right for a broker.
type Options struct {
	BusyTimeout time.Duration // wait so long for another process's lock; 0 means 5 s
}

// Store is a SQLite file open for writing. It is a model.Store.
type Store struct {
	reader
	write *sql.DB // one connection: within the process, writers queue for it
	made  fs.FileInfo

	insertRecord, insertOutcome *sql.Stmt // on write

	mu     sync.RWMutex // held for reading while a call hands its work over
	closed bool
	ops    chan *op
	done   chan struct{} // closed when the writer has ended
}

var _ model.Store = (*Store)(nil)

// Open opens the file at path for writing and brings its schema up to date. A
// file that is not there is made, readable by its owner only, in a folder that
// must exist. Close must be called.
func Open(ctx context.Context, path string, o Options) (_ *Store, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", path, err)
	}
	if err := create(path); err != nil {
		return nil, err
	}
	made, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("looking at the database: %w", err)
	}
	s := &Store{made: made, ops: make(chan *op, maxBatch), done: make(chan struct{})}
	s.path = path
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeFiles())
		}
	}()
	// Records must survive a power cut: FULL syncs the log at every commit. A
	// dropped signing key is overwritten with zeros.
	if s.write, err = open(path, "rw", o, 1, url.Values{
		"_journal_mode": {"WAL"}, "_synchronous": {"FULL"}, "_txlock": {"immediate"}, "_pragma": {"secure_delete(1)"},
	}); err != nil {
		return nil, err
	}
	if err := migrate(ctx, s.write); err != nil {
		return nil, explain(path, err)
	}
	for text, stmt := range map[string]**sql.Stmt{insertRecord: &s.insertRecord, insertOutcome: &s.insertOutcome} {
		if *stmt, err = s.write.PrepareContext(ctx, text); err != nil {
			return nil, explain(path, fmt.Errorf("preparing to write: %w", err))
		}
	}
	if s.read, err = open(path, "ro", o, 4, nil); err != nil {
		return nil, err
	}
	go s.writer()
	return s, nil
}

// OpenReader opens the file at path for reading, also while a broker writes it.
// A file that is not there is an error, and is not made.
func OpenReader(ctx context.Context, path string, o Options) (_ model.Reader, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", path, err)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("looking for the database: %w", err)
	}
	r := &reader{path: path}
	if r.read, err = open(path, "ro", o, 1, nil); err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, r.read); err != nil {
		return nil, errors.Join(explain(path, err), r.Close())
	}
	return r, nil
}

// create makes an empty file at path if there is none. It never opens one that
// is there: closing it would drop the locks that SQLite holds on it for this
// process (POSIX advisory locks belong to the process, not to the descriptor).
// SQLite gives -wal and -shm the mode of the file.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		info, err := os.Stat(path)
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("expected a file at %s, found %s", path, info.Mode().Type())
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("making the database (its folder must exist and be writable): %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("making the database: %w", err)
	}
	if runtime.GOOS == "windows" { // folders cannot be synced there
		return nil
	}
	// Without this the file's name, and every record with it, could be gone
	// after a power cut.
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("making the database durable: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

func open(path, mode string, o Options, conns int, params url.Values) (*sql.DB, error) {
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusyTimeout
	}
	q := url.Values{
		"mode":          {mode},
		"_busy_timeout": {strconv.FormatInt(o.BusyTimeout.Milliseconds(), 10)},
		"_foreign_keys": {"1"},
		"_defensive":    {"1"},
		"_dqs":          {"0"},
		"_error_rc":     {"1"},
	}
	for k, v := range params {
		q[k] = v
	}
	dsn := "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + q.Encode()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// Warnings are what an operator should know of the file.
func (s *Store) Warnings() []string {
	if s.made.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return []string{fmt.Sprintf("%s can be read by others (mode %04o) and holds the signing keys: chmod 600 it", s.path, s.made.Mode().Perm())}
	}
	return nil
}

// Close writes what was handed over, then closes the file. Calls that come
// later fail with model.ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	if !already {
		close(s.ops)
	}
	s.mu.Unlock()
	<-s.done
	if already {
		return nil
	}
	return s.closeFiles()
}

func (s *Store) closeFiles() error {
	var errs []error
	// The writing connection goes last: the last one to close moves the log
	// into the file, which a reading one cannot.
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
