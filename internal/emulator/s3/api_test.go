package s3_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/emulator/s3"
)

func TestNewIsStrict(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*s3.Config)
		words  string // of the error; empty: there is none
	}{
		"as it should be":     {func(*s3.Config) {}, ""},
		"no folder":           {func(c *s3.Config) { c.Dir = "" }, "a folder"},
		"a folder that isn't": {func(c *s3.Config) { c.Dir += "/none" }, "no such file"},
		"no sessions":         {func(c *s3.Config) { c.Sessions = nil }, "sessions"},
		"no clock":            {func(c *s3.Config) { c.Now = nil }, "a clock"},
		"no randomness":       {func(c *s3.Config) { c.Rand = nil }, "randomness"},
		"no log":              {func(c *s3.Config) { c.Log = nil }, "a logger"},
		"a name too short":    {func(c *s3.Config) { c.Buckets[0].Name = "ab" }, `found "ab"`},
		"a path":              {func(c *s3.Config) { c.Buckets[0].Name = "../x" }, `found "../x"`},
		"two periods":         {func(c *s3.Config) { c.Buckets[0].Name = "a..b" }, `found "a..b"`},
		"no account":          {func(c *s3.Config) { c.Buckets[0].AccountID = "" }, "12 digits"},
		"one bucket twice":    {func(c *s3.Config) { c.Buckets = append(c.Buckets, c.Buckets[0]) }, "stands twice"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := s3.Config{
				Dir: t.TempDir(), Buckets: []s3.Bucket{{Name: "artifacts", AccountID: account}}, Now: time.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler),
				Sessions: func(string) (s3.Session, bool) { return s3.Session{}, false },
			}
			test.change(&cfg)
			_, err := s3.New(cfg)
			if (err == nil) != (test.words == "") || err != nil && !strings.Contains(err.Error(), test.words) {
				t.Errorf("expected %q, got %v", test.words, err)
			}
		})
	}
}

func TestSessionsKeepTheirSecrets(t *testing.T) {
	t.Parallel()
	session := s3.Session{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: secret, SessionToken: token}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+" ", session)
		fmt.Fprintf(&out, verb+" ", &session)
		fmt.Fprintf(&out, verb+" ", []s3.Session{session})
		fmt.Fprintf(&out, verb+" ", struct{ S s3.Session }{session})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "session", session, "pointer", &session)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "session", session)
	raw, err := json.Marshal(map[string]any{"s": session, "p": &session})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(raw)
	for _, hidden := range []string{secret, token, fmt.Sprintf("%x", secret), fmt.Sprintf("%x", token)} {
		if strings.Contains(out.String(), hidden) {
			t.Errorf("a secret is in %s", out.String())
		}
	}
	if !strings.Contains(out.String(), "ASIAEXAMPLE") {
		t.Error("the access key id is nowhere")
	}
}

// TestErrorsAreDocuments: errors are XML, whatever stands in the request, and
// have the ids that the header has.
func TestErrorsAreDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, method := range []string{"GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "BREW"} {
		for _, target := range []string{"/", "/artifacts", "/artifacts/x", "//", "//x", "/a%00b/%01%ff", "/artifacts/%3Cx%3E&", "/nowhere/x", "/A", "/artifacts?acl", "/artifacts/x?%zz", "/artifacts/x?uploads", "/x?" + strings.Repeat("a&", 100), "/artifacts/x?a=1&a=2"} {
			for _, signed := range []bool{false, true} {
				r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
				if signed {
					r = w.request(usual(), method, target, "")
					r.RequestURI, r.RemoteAddr = target, "127.0.0.1:1"
				}
				answer := httptest.NewRecorder()
				w.s3.ServeHTTP(answer, r)
				if answer.Code < 400 || method == "HEAD" {
					continue
				}
				var doc struct {
					XMLName   xml.Name `xml:"Error"`
					Code      string
					Message   string
					RequestID string `xml:"RequestId"`
					HostID    string `xml:"HostId"`
				}
				if err := xml.Unmarshal(answer.Body.Bytes(), &doc); err != nil && !strings.Contains(target, "%0") || err == nil && (doc.Code == "" || doc.Message == "" ||
					doc.RequestID != answer.Header().Get("X-Amz-Request-Id") || doc.HostID != answer.Header().Get("X-Amz-Id-2") || doc.RequestID == "") {
					t.Errorf("%s %s: %v in %s", method, target, err, answer.Body)
				}
				if !signed && doc.Code != "" && answer.Code == http.StatusOK {
					t.Errorf("%s %s without a signature is answered", method, target)
				}
			}
		}
	}
	if files := filesIn(t, w.dir); len(files) > 1 {
		t.Errorf("stored %q", files)
	}
}

// FuzzPaths: a PUT to any path of a bucket makes one object whose key is what
// the path says, or is refused; a request for another path does not find it.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{"x", "../x", "%2e%2e/x", "a//b", "a%2Fb", "%00", "%ff", "a+b", "a%20b", "é", "?", "#", ";", "%", "./x", "a/", "/"} {
		f.Add(path)
	}
	w := newWorld(f)
	w.now = func() time.Time { return start }
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI("/artifacts/" + path)
		if err != nil || u.RawQuery != "" || len(path) > 3000 {
			return
		}
		key := strings.TrimPrefix(u.Path, "/artifacts/")
		send := func(method, target, body string) *httptest.ResponseRecorder {
			parsed, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
			r.URL = parsed
			sign(t, r, body)
			answer := httptest.NewRecorder()
			w.s3.ServeHTTP(answer, r)
			return answer
		}
		put := send(http.MethodPut, "/artifacts/"+path, path)
		valid := key != "" && len(key) <= 1024 && utf8.ValidString(key)
		if (put.Code == http.StatusOK) != valid {
			t.Fatalf("PUT of %q: %d %s", path, put.Code, put.Body)
		}
		if !valid {
			return
		}
		if got := send(http.MethodGet, "/artifacts/"+strings.ReplaceAll(url.QueryEscape(key), "+", "%20"), ""); got.Code != http.StatusOK || got.Body.String() != path {
			t.Fatalf("GET of %q: %d %s", key, got.Code, got.Body)
		}
		if got := send(http.MethodGet, "/artifacts/"+strings.ReplaceAll(url.QueryEscape("other/"+key), "+", "%20"), ""); got.Code != http.StatusNotFound && len(key) < 1000 {
			t.Fatalf("GET of other/%q: %d", key, got.Code)
		}
		if files := filesIn(t, w.dir); len(files) != 2 {
			t.Fatalf("files: %q", files)
		}
		if got := send(http.MethodDelete, "/artifacts/"+path, ""); got.Code != http.StatusNoContent {
			t.Fatalf("DELETE of %q: %d %s", path, got.Code, got.Body)
		}
		if files := filesIn(t, w.dir); len(files) != 0 {
			t.Fatalf("left over: %q", files)
		}
	})
}
