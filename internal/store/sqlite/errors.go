package sqlite

import (
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// explain says what an error of SQLite means for who runs the broker.
func explain(path string, err error) error {
	if err == nil {
		return nil
	}
	var e *driver.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("the database %s: %w", path, err)
	}
	var means string
	switch e.Code() & 0xff { // the primary code, without its extension
	case lib.SQLITE_FULL:
		means = "the disk is full, or the file may not grow: free space"
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		means = "another process holds its lock: end that process or wait for it"
	case lib.SQLITE_READONLY:
		means = "it cannot be written: check the rights of the file and its folder, and whether the disk is mounted read-only"
	case lib.SQLITE_CANTOPEN, lib.SQLITE_PERM, lib.SQLITE_AUTH:
		means = "it cannot be opened: check that its folder exists, and the rights of both"
	case lib.SQLITE_NOTADB:
		means = "expected a SQLite database, found another kind of file: name another path"
	case lib.SQLITE_CORRUPT:
		means = "it is damaged: restore it from a copy"
	case lib.SQLITE_IOERR:
		means = "reading or writing it failed: check the disk"
	default:
		return fmt.Errorf("the database %s: %w", path, err)
	}
	return fmt.Errorf("the database %s: %s: %w", path, means, err)
}

// isConstraint reports whether only the statement failed: what else stands in
// its transaction is untouched.
func isConstraint(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code()&0xff == lib.SQLITE_CONSTRAINT
}

// isDuplicate reports whether the statement would have written a second time
// what is there already. The only triggers on INSERT refuse just that.
func isDuplicate(err error) bool {
	var e *driver.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY, lib.SQLITE_CONSTRAINT_TRIGGER:
		return true
	}
	return false
}
