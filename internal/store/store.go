// Package store opens the stores that keep the records and the signing keys.
package store

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/stint-dev/stint/internal/store/model"
	"github.com/stint-dev/stint/internal/store/sqlite"
)

// What stores keep and answer. The backends share these types.
type (
	Store         = model.Store
	Reader        = model.Reader
	Query         = model.Query
	IdentityQuery = model.IdentityQuery
	SigningKey    = model.SigningKey
)

// MaxRecords is how many records one call of Reader.Records answers at most.
const MaxRecords = model.MaxRecords

// The errors of every backend.
var (
	ErrClosed   = model.ErrClosed
	ErrExists   = model.ErrExists
	ErrNoRecord = model.ErrNoRecord
	ErrSchema   = model.ErrSchema
)

// Open opens the store that url names, sqlite:PATH, and makes it if it is not
// there. The folder of PATH must exist.
func Open(ctx context.Context, url string) (Store, error) {
	path, err := sqlitePath(url)
	if err != nil {
		return nil, err
	}
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return s, nil
}

// OpenReader opens the store that url names for reading. It makes nothing: a
// store that is not there is an error that is fs.ErrNotExist.
func OpenReader(ctx context.Context, url string) (Reader, error) {
	path, err := sqlitePath(url)
	if err != nil {
		return nil, err
	}
	r, err := sqlite.OpenReader(ctx, path, sqlite.Options{})
	if err != nil {
		return nil, fmt.Errorf("opening the store for reading: %w", err)
	}
	return r, nil
}

// CheckURL says what is wrong with a store's URL, without opening it.
func CheckURL(url string) error {
	_, err := sqlitePath(url)
	return err
}

// Resolve makes the path in a store's URL absolute, reading a relative one from
// folder. A URL that is wrong is returned as it is, for Open to refuse.
func Resolve(url, folder string) string {
	path, err := sqlitePath(url)
	if err != nil || filepath.IsAbs(path) {
		return url
	}
	return "sqlite:" + filepath.Join(folder, path)
}

func sqlitePath(url string) (string, error) {
	scheme, path, ok := strings.Cut(url, ":")
	switch {
	case !ok:
		return "", fmt.Errorf("expected a store such as sqlite:stint.db, found %q", url)
	case scheme == "postgres" || scheme == "postgresql":
		// The URL may hold a password.
		return "", fmt.Errorf("a %s store is not supported in this version: use sqlite:PATH", scheme)
	case scheme != "sqlite":
		return "", fmt.Errorf("expected a store such as sqlite:stint.db, found one of the kind %q", scheme)
	case path == "" || strings.HasSuffix(path, "/"):
		return "", fmt.Errorf("expected the path of a file after sqlite:, found %q", path)
	case strings.HasPrefix(path, ":"):
		return "", fmt.Errorf("expected the path of a file after sqlite:, found %q: a store in memory would forget every record", path)
	case strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///"):
		// What follows the slashes would be a host, and no path of this machine.
		return "", fmt.Errorf("expected sqlite:PATH or sqlite:///ABSOLUTE/PATH, found %q", url)
	}
	return filepath.Clean(path), nil
}
