package s3

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func always(*object) *fault { return nil }

func newStore(t testing.TB, dir string) *store {
	t.Helper()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *store) write(key, content string) *fault {
	up, f := s.begin(int64(len(content)))
	if f != nil {
		return f
	}
	defer up.abandon()
	if _, err := io.WriteString(up, content); err != nil {
		return internalError(err)
	}
	return up.commit(&object{Bucket: "b", Key: key, Size: int64(len(content))}, always)
}

func (s *store) contentOf(t testing.TB, key string) (string, bool) {
	t.Helper()
	o, file, err := s.open("b", key)
	if err != nil {
		t.Fatal(err)
	}
	if o == nil {
		return "", false
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), true
}

func TestStoreIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t, t.TempDir())
	s.total, s.most = 10, 2
	steps := []struct {
		do   string
		f    func() *fault
		code string
		used int64
	}{
		{"6 bytes", func() *fault { return s.write("a", "123456") }, "", 6},
		{"5 more", func() *fault { return s.write("b", "12345") }, "EntityTooLarge", 6},
		{"4 more", func() *fault { return s.write("b", "1234") }, "", 10},
		{"a third", func() *fault { return s.write("c", "") }, "InvalidRequest", 10},
		{"nothing in place of 4", func() *fault { return s.write("b", "") }, "", 6},
		{"4 in place of nothing", func() *fault { return s.write("b", "1234") }, "", 10},
		{"one that is not there", func() *fault { return s.remove("b", "x", always) }, "", 10},
		{"refused", func() *fault { return s.remove("b", "a", func(*object) *fault { return preconditionFailed("x") }) }, "PreconditionFailed", 10},
		{"without the first", func() *fault { return s.remove("b", "a", always) }, "", 4},
		{"a third again", func() *fault { return s.write("c", "123") }, "", 7},
	}
	for _, step := range steps {
		code := ""
		if f := step.f(); f != nil {
			code = f.code
		}
		if code != step.code || s.used != step.used {
			t.Fatalf("%s: expected %q and %d bytes, got %q and %d", step.do, step.code, step.used, code, s.used)
		}
	}
	up, f := s.begin(3)
	if f != nil {
		t.Fatal(f)
	}
	if s.write("c", "1") == nil {
		t.Error("an upload that runs holds no room")
	}
	up.abandon()
	if f := s.write("c", "123"); f != nil {
		t.Errorf("after it is abandoned: %v", f)
	}
	if files, err := os.ReadDir(s.content); err != nil || len(files) != 2 {
		t.Errorf("%v, %d files of 2 objects", err, len(files))
	}
}

// TestStoreReadsWhatItWrote opens folders that an earlier store left, and
// some that it did not.
func TestStoreReadsWhatItWrote(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(dir string, o *object) error
		words string // of the error; empty: it is read
	}{
		"as it was": {func(string, *object) error { return nil }, ""},
		"an upload that was interrupted": {func(dir string, _ *object) error {
			return os.WriteFile(filepath.Join(dir, "objects", "x.json.new"), nil, 0o600)
		}, ""},
		"cut content": {func(dir string, o *object) error { return os.Truncate(filepath.Join(dir, "content", o.Content), 1) }, "expected 7 bytes"},
		"no content":  {func(dir string, o *object) error { return os.Remove(filepath.Join(dir, "content", o.Content)) }, "no such file"},
		"no metadata": {func(dir string, o *object) error {
			return os.WriteFile(filepath.Join(dir, "objects", fileName("b", "k")), []byte("{"), 0o600)
		}, "JSON"},
		"content from elsewhere": {func(dir string, o *object) error {
			return os.WriteFile(filepath.Join(dir, "objects", fileName("b", "k")), []byte(`{"bucket":"b","key":"k","content":"../../x"}`), 0o600)
		}, "not that of its content"},
		"another key's metadata": {func(dir string, o *object) error {
			return os.Rename(filepath.Join(dir, "objects", fileName("b", "k")), filepath.Join(dir, "objects", fileName("b", "l")))
		}, "not that of its content"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := newStore(t, dir)
			if f := s.write("k", "content"); f != nil {
				t.Fatal(f)
			}
			if err := test.spoil(dir, s.find("b", "k")); err != nil {
				t.Fatal(err)
			}
			again, err := openStore(dir)
			switch {
			case test.words != "" && (err == nil || !strings.Contains(err.Error(), test.words)):
				t.Errorf("expected %q, got %v", test.words, err)
			case test.words == "" && err != nil:
				t.Error(err)
			case test.words == "":
				if got, ok := again.contentOf(t, "k"); !ok || got != "content" || again.used != 7 || again.count != 1 {
					t.Errorf("%q, %d bytes, %d objects", got, again.used, again.count)
				}
			}
		})
	}
	if _, err := openStore(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there is opened")
	}
}

// TestStoreIsAtomic reads while others write: there is always one whole object.
func TestStoreIsAtomic(t *testing.T) {
	t.Parallel()
	s := newStore(t, t.TempDir())
	if f := s.write("k", strings.Repeat("0", 1000)); f != nil {
		t.Fatal(f)
	}
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for range 50 {
				if f := s.write("k", strings.Repeat(fmt.Sprint(i), 1000)); f != nil {
					t.Error(f)
				}
			}
		})
	}
	for range 200 {
		got, ok := s.contentOf(t, "k")
		if !ok || len(got) != 1000 || strings.Trim(got, got[:1]) != "" {
			t.Fatalf("read %d bytes: %.20q", len(got), got)
		}
	}
	writers.Wait()
	if s.used != 1000 || s.count != 1 {
		t.Errorf("%d bytes, %d objects", s.used, s.count)
	}
}

// FuzzKeys: an object under any key is found under that key and no other, is
// listed as that, and adds no file outside of its folders.
func FuzzKeys(f *testing.F) {
	for _, pair := range [][2]string{{"a", "a/b"}, {"../x", "x"}, {"a\x00", "a"}, {"a//b", "a/b"}, {"a/./b", "a/b"}, {"A", "a"}, {"é", "e\u0301"}, {"/", "//"}, {strings.Repeat("k", 1024), "k"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, key, other string) {
		if checkKey(key) != nil || checkKey(other) != nil || key == "" || other == "" || key == other {
			if !utf8.ValidString(key) && checkKey(key) == nil || len(key) > maxKey && checkKey(key) == nil {
				t.Fatalf("%q is a key", key)
			}
			return
		}
		dir := t.TempDir()
		s := newStore(t, dir)
		if f := s.write(key, "one"); f != nil {
			t.Fatal(f)
		}
		if _, found := s.contentOf(t, other); found {
			t.Fatalf("%q is found as %q", key, other)
		}
		if f := s.write(other, "two"); f != nil {
			t.Fatal(f)
		}
		s = newStore(t, dir)
		for k, want := range map[string]string{key: "one", other: "two"} {
			if got, ok := s.contentOf(t, k); !ok || got != want {
				t.Fatalf("%q has %q", k, got)
			}
		}
		var listed []string
		s.list("b", "", func(o *object) bool { listed = append(listed, o.Key); return true })
		if len(listed) != 2 || listed[0] != min(key, other) || listed[1] != max(key, other) {
			t.Fatalf("listed %q of %q and %q", listed, key, other)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Fatalf("%v: %v", err, entries)
		}
		for _, folder := range []string{"objects", "content"} {
			if files, err := os.ReadDir(filepath.Join(dir, folder)); err != nil || len(files) != 2 {
				t.Fatalf("%s: %v: %v", folder, err, files)
			}
		}
	})
}

// FuzzListing: the pages of a listing are together what one page of all would
// be, and every key is in it once: itself, or by its common prefix.
func FuzzListing(f *testing.F) {
	f.Add("a b/c b/d e", "", "/", uint8(1))
	f.Add("a/b a/c a0 a", "a", "/", uint8(2))
	f.Add("aa ab b", "a", "a", uint8(1))
	f.Fuzz(func(t *testing.T, keys, prefix, delimiter string, most uint8) {
		s := &store{buckets: map[string]*index{}}
		want := map[string]bool{}
		for _, key := range strings.Fields(keys) {
			s.put(&object{Bucket: "b", Key: key})
			if strings.HasPrefix(key, prefix) {
				name := key
				if i := strings.Index(key[len(prefix):], delimiter); delimiter != "" && i >= 0 {
					name = key[:len(prefix)+i+len(delimiter)]
				}
				want[name] = true
			}
		}
		l := listing{prefix: prefix, delimiter: delimiter, most: int(most)%5 + 1}
		got := map[string]bool{}
		for {
			p := s.page("b", l)
			names := p.prefixes
			for _, o := range p.objects {
				names = append(names, o.Key)
			}
			for _, name := range names {
				if got[name] || !want[name] {
					t.Fatalf("%q is listed twice, or is none of %v", name, want)
				}
				got[name] = true
			}
			if len(names) > l.most || p.truncated && len(names) != l.most {
				t.Fatalf("%d of %d in a page", len(names), l.most)
			}
			if !p.truncated {
				break
			}
			l.after, l.resumed = p.last, true
		}
		if len(got) != len(want) {
			t.Fatalf("listed %v of %v", got, want)
		}
	})
}

func TestTextOfKeys(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a<b>&\"": "a&lt;b&gt;&amp;&quot;", "\x01\r": "&#x1;&#xd;", "ü\n": "ü\n", "\uFFFE": "&#xfffe;"} {
		if got := text(in).Escaped; got != want {
			t.Errorf("%q is %q", in, got)
		}
	}
	if !bytes.Equal([]byte(uriEncode("a/b ü~", true)), []byte("a/b%20%C3%BC~")) || uriEncode("a/b", false) != "a%2Fb" {
		t.Error("encoding of keys")
	}
}
