package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// object is what is known of an object, as it stands in a file beside its
// content.
type object struct {
	Bucket   string            `json:"bucket"`
	Key      string            `json:"key"`
	Size     int64             `json:"size"`
	ETag     string            `json:"etag"` // MD5 in hex
	Checksum string            `json:"checksum"`
	Sum      string            `json:"checksumAlgorithm"`
	Header   map[string]string `json:"header,omitempty"`   // Content-Type and the like
	Metadata map[string]string `json:"metadata,omitempty"` // the names are in lower case
	Modified time.Time         `json:"modified"`
	// Content is the name of the file with the content.
	Content string `json:"content"`
}

// store keeps objects on disk. Files are named by digests and at random, so
// that no key, whatever is in it, becomes a path; the index is in memory.
type store struct {
	objects string // folder of the metadata
	content string // folder of the content
	most    int    // objects
	total   int64  // bytes

	mu      sync.RWMutex
	used    int64 // bytes of all objects and of uploads that run
	count   int
	buckets map[string]*index
}

// index holds the objects of a bucket.
type index struct {
	keys  []string // in order of their bytes
	byKey map[string]*object
}

// fileName is unambiguous: no name of a bucket has a slash.
func fileName(bucket, key string) string {
	digest := sha256.Sum256([]byte(bucket + "/" + key))
	return hex.EncodeToString(digest[:]) + ".json"
}

// openStore takes over what is in the folder.
func openStore(dir string) (*store, error) {
	s := &store{
		objects: filepath.Join(dir, "objects"), content: filepath.Join(dir, "content"),
		most: MaxObjects, total: MaxTotalSize, buckets: map[string]*index{},
	}
	for _, folder := range []string{s.objects, s.content} {
		if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("making a folder for objects: %w", err)
		}
	}
	files, err := os.ReadDir(s.objects)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of objects: %w", err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".json") {
			continue // an upload that was interrupted
		}
		if err := s.load(file.Name()); err != nil {
			return nil, fmt.Errorf("reading the object in %s, which an emulated S3 should have written: %w", filepath.Join(s.objects, file.Name()), err)
		}
	}
	return s, nil
}

func (s *store) load(name string) error {
	raw, err := os.ReadFile(filepath.Join(s.objects, name))
	if err != nil {
		return err
	}
	o := &object{}
	if err := json.Unmarshal(raw, o); err != nil {
		return err
	}
	if name != fileName(o.Bucket, o.Key) || o.Content != filepath.Base(o.Content) {
		return errors.New("its name is not that of its content")
	}
	info, err := os.Stat(filepath.Join(s.content, o.Content))
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != o.Size {
		return fmt.Errorf("expected %d bytes of content, found %d", o.Size, info.Size())
	}
	s.used += o.Size
	s.put(o)
	return nil
}

// put enters an object into the index and returns the one it replaces.
func (s *store) put(o *object) (old *object) {
	b := s.buckets[o.Bucket]
	if b == nil {
		b = &index{byKey: map[string]*object{}}
		s.buckets[o.Bucket] = b
	}
	old = b.byKey[o.Key]
	if old == nil {
		i, _ := slices.BinarySearch(b.keys, o.Key)
		b.keys = slices.Insert(b.keys, i, o.Key)
		s.count++
	}
	b.byKey[o.Key] = o
	return old
}

// find is the object, or nil. The caller holds the lock.
func (s *store) find(bucket, key string) *object {
	if b := s.buckets[bucket]; b != nil {
		return b.byKey[key]
	}
	return nil
}

// open returns the object, which is not to be changed, and its content, or nil
// where there is none.
func (s *store) open(bucket, key string) (*object, *os.File, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.find(bucket, key)
	if o == nil {
		return nil, nil, nil
	}
	file, err := os.Open(filepath.Join(s.content, o.Content))
	if err != nil {
		return nil, nil, fmt.Errorf("opening an object: %w", err)
	}
	return o, file, nil
}

// remove takes an object out, unless the condition refuses. There need not be
// one.
func (s *store) remove(bucket, key string, condition func(*object) *fault) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.find(bucket, key)
	if f := condition(o); f != nil || o == nil {
		return f
	}
	if err := os.Remove(filepath.Join(s.objects, fileName(bucket, key))); err != nil {
		return internalError(fmt.Errorf("removing an object: %w", err))
	}
	b := s.buckets[bucket]
	delete(b.byKey, key)
	if i, found := slices.BinarySearch(b.keys, key); found {
		b.keys = slices.Delete(b.keys, i, i+1)
	}
	s.count--
	s.discard(o)
	return nil
}

// discard frees the content of an object that is no longer in the index. What
// cannot be removed takes up space, and is found by nobody.
func (s *store) discard(o *object) {
	s.used -= o.Size
	_ = os.Remove(filepath.Join(s.content, o.Content))
}

// list calls visit with the objects from a key on, in order, until it returns
// false.
func (s *store) list(bucket, from string, visit func(*object) bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buckets[bucket]
	if b == nil {
		return
	}
	start, _ := slices.BinarySearch(b.keys, from)
	for _, key := range b.keys[start:] {
		if !visit(b.byKey[key]) {
			return
		}
	}
}

// upload is content that no object has yet.
type upload struct {
	store *store
	file  *os.File
	size  int64 // reserved
	done  bool
}

// begin makes room for content of a size.
func (s *store) begin(size int64) (*upload, *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used+size > s.total {
		return nil, badRequest("EntityTooLarge", fmt.Sprintf("The emulated S3 holds at most %d bytes in all: delete objects first.", s.total))
	}
	file, err := os.CreateTemp(s.content, "object-*")
	if err != nil {
		return nil, internalError(fmt.Errorf("making a file: %w", err))
	}
	s.used += size
	return &upload{store: s, file: file, size: size}, nil
}

// writeError is one of the disk, as opposed to those of the client.
type writeError struct{ err error }

func (e *writeError) Error() string { return "writing an object: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// Write adds content.
func (u *upload) Write(p []byte) (int, error) {
	n, err := u.file.Write(p)
	if err != nil {
		return n, &writeError{err}
	}
	return n, nil
}

// abandon takes back what has not become an object.
func (u *upload) abandon() {
	if u.done {
		return
	}
	_ = u.file.Close()
	_ = os.Remove(u.file.Name())
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	u.store.used -= u.size
}

// commit makes the content an object, in place of the one with its key, unless
// the condition refuses. Readers see the old object or the new one.
func (u *upload) commit(o *object, condition func(old *object) *fault) *fault {
	if err := u.file.Close(); err != nil {
		return internalError(&writeError{err})
	}
	s := u.store
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.find(o.Bucket, o.Key)
	if f := condition(old); f != nil {
		return f
	}
	if old == nil && s.count >= s.most {
		return badRequest("InvalidRequest", fmt.Sprintf("The emulated S3 holds at most %d objects: delete some first.", s.most))
	}
	o.Content = filepath.Base(u.file.Name())
	raw, err := json.Marshal(o)
	if err != nil {
		return internalError(fmt.Errorf("writing an object: %w", err))
	}
	name := filepath.Join(s.objects, fileName(o.Bucket, o.Key))
	if err := os.WriteFile(name+".new", raw, 0o600); err != nil {
		return internalError(&writeError{err})
	}
	if err := os.Rename(name+".new", name); err != nil {
		return internalError(&writeError{err})
	}
	u.done = true
	if s.put(o); old != nil {
		s.discard(old)
	}
	return nil
}
