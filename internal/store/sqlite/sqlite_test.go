package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store/model"
	"github.com/stint-dev/stint/internal/store/storetest"
)

// crashEnv makes the test binary a broker that is about to be killed.
const crashEnv = "STINT_TEST_CRASH_DB"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		appendForever(path)
	}
	os.Exit(m.Run())
}

// appendForever says the id of each record that is durable, until it is killed.
func appendForever(path string) {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for n := 0; ; n++ {
		r := storetest.Record(n)
		if err := s.AppendRecord(context.Background(), r); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(r.ID)
	}
}

func TestSuite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		path := filepath.Join(t.TempDir(), "stint.db")
		return func() (model.Store, error) { return Open(t.Context(), path, Options{}) }
	})
}

func openAt(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func ids(t *testing.T, r model.Reader) []string {
	t.Helper()
	records, err := r.Records(t.Context(), model.Query{})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(records))
	for _, r := range records {
		got = append(got, r.ID)
	}
	return got
}

func TestAcknowledgedRecordsSurviveKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stint.db")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "error") {
			t.Fatal(lines.Text())
		}
		acknowledged = append(acknowledged, lines.Text())
		if len(acknowledged) == 20 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait()
	if len(acknowledged) < 20 {
		t.Fatalf("expected 20 records, found %d", len(acknowledged))
	}
	// A reader comes first: it must cope with the log that was left behind.
	r, err := OpenReader(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	for _, reader := range []model.Reader{r, openAt(t, path, Options{})} {
		got := ids(t, reader)
		if len(got) < len(acknowledged) || !slices.Equal(got[:len(acknowledged)], acknowledged) {
			t.Errorf("expected the acknowledged records %v, found %v", acknowledged, got)
		}
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stint.db")
	s := openAt(t, path, Options{})
	if err := s.AppendRecord(t.Context(), storetest.Record(1)); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: expected mode 0600, found %04o", path+suffix, info.Mode().Perm())
		}
	}
	if w := s.Warnings(); len(w) != 0 {
		t.Errorf("expected no warning, found %v", w)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if w := openAt(t, path, Options{}).Warnings(); len(w) != 1 {
		t.Errorf("expected a warning of a file that others can read, found %v", w)
	}
}

func TestRecordsCannotBeChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stint.db")
	s := openAt(t, path, Options{})
	if err := s.AppendRecord(t.Context(), storetest.Record(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendOutcome(t.Context(), "R000001", audit.Outcome{Issued: true}); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path) // any program with the file
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	for _, statement := range []string{
		`UPDATE records SET rule = 'x'`,
		`DELETE FROM records`,
		`REPLACE INTO records SELECT seq, id, time, verdict, repository, role, 'x', reason, record FROM records`,
		`REPLACE INTO records SELECT 99, id, time, verdict, repository, role, 'x', reason, record FROM records`,
		`INSERT INTO records SELECT seq, id, time, verdict, repository, role, 'x', reason, record FROM records WHERE true ON CONFLICT DO UPDATE SET rule = 'x'`,
		`UPDATE outcomes SET outcome = '{}'`,
		`DELETE FROM outcomes`,
		`REPLACE INTO outcomes SELECT record_seq, time, '{}' FROM outcomes`,
	} {
		if _, err := other.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: expected it refused as append-only, found %v", statement, err)
		}
	}
	// The broker's own readers cannot write at all.
	if _, err := s.read.ExecContext(t.Context(), `DELETE FROM probe`); err == nil {
		t.Error("expected a reading connection that cannot write")
	}
}

// TestWriteFailures breaks the store under a running broker in each way, asks
// that every write fails with an error that says what to do, mends it, and asks
// that the same process goes on.
func TestWriteFailures(t *testing.T) {
	pragma := func(t *testing.T, s *Store, text string) {
		t.Helper()
		if _, err := s.write.ExecContext(t.Context(), "PRAGMA "+text); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		failAndMend func(t *testing.T, s *Store) (mend func())
		want        string
	}{
		"disk full": {func(t *testing.T, s *Store) func() {
			pragma(t, s, "max_page_count = 1") // no more than it has
			// Pages that are free inside the file are used first.
			for n := 1000; s.AppendRecord(t.Context(), storetest.Record(n)) == nil; n++ {
				if n > 2000 {
					t.Fatal("the file never filled up")
				}
			}
			return func() { pragma(t, s, "max_page_count = 1000000") }
		}, "free space"},
		"read-only": {func(t *testing.T, s *Store) func() {
			pragma(t, s, "query_only = 1")
			return func() { pragma(t, s, "query_only = 0") }
		}, "cannot be written"},
		"locked": {func(t *testing.T, s *Store) func() {
			other, err := sql.Open("sqlite", "file:"+s.path+"?_txlock=immediate")
			if err != nil {
				t.Fatal(err)
			}
			tx, err := other.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = tx.Rollback(); _ = other.Close() }
		}, "another process holds its lock"},
		"removed": {func(t *testing.T, s *Store) func() {
			if err := os.Rename(s.path, s.path+".away"); err != nil {
				t.Fatal(err)
			}
			return func() { _ = os.Rename(s.path+".away", s.path) }
		}, "was removed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := openAt(t, filepath.Join(t.TempDir(), "stint.db"), Options{BusyTimeout: 20 * time.Millisecond})
			if err := s.AppendRecord(t.Context(), storetest.Record(1)); err != nil {
				t.Fatal(err)
			}
			mend := c.failAndMend(t, s)
			_, keysErr := s.UpdateSigningKeys(t.Context(), func([]model.SigningKey) ([]model.SigningKey, []string, error) {
				return []model.SigningKey{{KeyID: "k", PrivateKey: make([]byte, 16<<10)}}, nil, nil
			})
			for call, err := range map[string]error{
				"AppendRecord":      s.AppendRecord(t.Context(), big(2)),
				"Ping":              s.Ping(t.Context()),
				"UpdateSigningKeys": keysErr,
			} {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: expected an error that says %q, found %v", call, c.want, err)
				}
			}
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					if err := s.AppendRecord(t.Context(), big(10+w)); err == nil {
						t.Error("expected every call of a failed batch to fail")
					}
				})
			}
			wg.Wait()
			mend()
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("Ping after the store was mended: %v", err)
			}
			if err := s.AppendRecord(t.Context(), storetest.Record(3)); err != nil {
				t.Errorf("AppendRecord after the store was mended: %v", err)
			}
			for _, id := range ids(t, s) {
				if id == "R000002" || id > "R000009" && id < "R000020" {
					t.Errorf("%s is there, and its caller was told that it is not", id)
				}
			}
		})
	}
}

func big(n int) *audit.Record {
	return storetest.Record(n, func(r *audit.Record) { r.Detail = strings.Repeat("x", 16<<10) })
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	database := func(name, statements string) string {
		path := filepath.Join(folder, name)
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := db.ExecContext(t.Context(), statements); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		path string
		is   error
		says string
	}{
		"no folder":         {filepath.Join(folder, "none", "stint.db"), fs.ErrNotExist, "folder must exist"},
		"a folder":          {folder, nil, "expected a file"},
		"no database":       {write("text.db", strings.Repeat("this is no database\n", 100)), nil, "another kind of file"},
		"another program's": {database("other.db", `CREATE TABLE t (a)`), model.ErrSchema, "another program"},
		"a newer schema":    {database("newer.db", fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=999; CREATE TABLE t (a)", applicationID)), model.ErrSchema, "newer"},
	} {
		s, err := Open(t.Context(), c.path, Options{})
		if err == nil {
			_ = s.Close()
		}
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: expected an error that says %q, found %v", name, c.says, err)
		}
	}
}

func TestReaderMakesNothing(t *testing.T) {
	folder := t.TempDir()
	if _, err := OpenReader(t.Context(), filepath.Join(folder, "stint.db"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected fs.ErrNotExist, found %v", err)
	}
	empty := filepath.Join(folder, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReader(t.Context(), empty, Options{}); !errors.Is(err, model.ErrSchema) {
		t.Errorf("an empty file: expected ErrSchema, found %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "stint.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected no file made, found %v", err)
	}
}

func TestPathsAreTakenAsTheyAre(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a b?mode=ro#%41&c")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "stint?x=1.db")
	s := openAt(t, path, Options{})
	if err := s.AppendRecord(t.Context(), storetest.Record(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err != nil {
		t.Errorf("expected the database at the path given: %v", err)
	}
}

// TestReadersBesideAWriter reads while another opening of the file writes: a
// reader that has seen seq n never finds a smaller one later.
func TestReadersBesideAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stint.db")
	s := openAt(t, path, Options{})
	r, err := OpenReader(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	const n = 200
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range n / 4 {
				if err := s.AppendRecord(t.Context(), storetest.Record(w*n+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var seen int64
	for seen < n && !t.Failed() {
		records, err := r.Records(t.Context(), model.Query{AfterSeq: seen})
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			if rec.Seq != seen+1 {
				t.Fatalf("expected seq %d, found %d", seen+1, rec.Seq)
			}
			seen = rec.Seq
		}
	}
	wg.Wait()
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openAt(b, filepath.Join(b.TempDir(), "stint.db"), Options{})
			work := make(chan int)
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for n := range work {
						if err := s.AppendRecord(b.Context(), storetest.Record(n)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ResetTimer()
			for n := range b.N {
				work <- n
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		})
	}
}
