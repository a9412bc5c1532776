package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: testNow} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fakeIssuer is an issuer on loopback whose answers the test chooses.
type fakeIssuer struct {
	url     string
	fetches atomic.Int32 // of the key set
	mu      sync.Mutex
	keys    http.HandlerFunc
	doc     http.HandlerFunc
}

func serveBytes(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
}

func (f *fakeIssuer) setKeys(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = h
}

func newFakeIssuer(t *testing.T) *fakeIssuer {
	f := &fakeIssuer{keys: serveBytes(testKeys())}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		keys, doc := f.keys, f.doc
		f.mu.Unlock()
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			doc(w, r)
		case "/jwks":
			f.fetches.Add(1)
			keys(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	f.url = srv.URL
	f.doc = serveBytes(fmt.Appendf(nil, `{"issuer":%q,"jwks_uri":%q}`, f.url, f.url+"/jwks"))
	return f
}

func (f *fakeIssuer) verifier(t *testing.T, c *clock, edit func(*Config)) *Verifier {
	t.Helper()
	cfg := Config{Issuers: []Issuer{{Name: "local", URL: f.url, Audiences: []string{testAudience}}}, Now: c.Now, FetchTimeout: 5 * time.Second}
	if edit != nil {
		edit(&cfg)
	}
	v, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (f *fakeIssuer) token(c *clock, kid string) string {
	now := c.Now().Unix()
	return sign(jwt.SigningMethodRS256, rsaKey(), headerOf("RS256", kid, nil),
		payloadOf(object{"iss": f.url, "iat": now, "nbf": now, "exp": now + 300}))
}

func kindOf(err error) Kind {
	var r *Rejection
	if errors.As(err, &r) {
		return r.Kind
	}
	return ""
}

func TestIssuerMisbehaves(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	large := serveBytes([]byte(`{"x":"` + strings.Repeat("x", 10<<20) + `"}`))
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://evil.example/", http.StatusFound)
	}
	html := serveBytes([]byte("<html>log in</html>"))
	for _, c := range []struct {
		name, says string
		doc, keys  http.HandlerFunc
	}{
		{"10 MB of keys", "at most 1048576 bytes", nil, large},
		{"10 MB of discovery", "at most 1048576 bytes", large, nil},
		{"redirected keys", "redirect", nil, redirect},
		{"redirected discovery", "redirect", redirect, nil},
		{"HTML keys", "HTML", nil, html},
		{"HTML discovery", "HTML", html, nil},
		{"nothing", "found nothing", nil, serveBytes(nil)},
		{"nothing for discovery", "found nothing", serveBytes(nil), nil},
		{"not JSON", "JSON", nil, serveBytes([]byte("keys"))},
		{"500", "found 500", nil, status(500)},
		{"404 for discovery", "found 404", status(404), nil},
		{"another issuer", "expected the issuer", serveBytes([]byte(`{"issuer":"https://evil.example","jwks_uri":"https://evil.example/jwks"}`)), nil},
		{"no keys", "at least one usable key", nil, serveBytes(jwks())},
		{"no list of keys", "a list named keys", nil, serveBytes([]byte(`{"keys":{}}`))},
		{"only symmetric keys", "at least one usable key", nil, serveBytes(jwks(object{"kty": "oct", "kid": "rsa", "k": "AAAA"}))},
		{"hangs", "deadline", nil, hang},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, clk := newFakeIssuer(t), newClock()
			if c.doc != nil {
				f.doc = c.doc
			}
			if c.keys != nil {
				f.keys = c.keys
			}
			v := f.verifier(t, clk, func(cfg *Config) {
				if c.name == "hangs" {
					cfg.FetchTimeout = 50 * time.Millisecond
				}
			})
			_, err := v.Verify(t.Context(), f.token(clk, "rsa"))
			var r *Rejection
			if !errors.As(err, &r) || r.Kind != KeysUnavailable || r.Proven || r.Err == nil || !strings.Contains(r.Err.Error(), c.says) {
				t.Fatalf("expected %q and %q, found %v: %v", KeysUnavailable, c.says, err, errors.Unwrap(err))
			}
			if err := v.Ready(); err == nil {
				t.Error("ready without keys")
			}

			// The same misbehaviour later must not take away what is known.
			f2, clk2 := newFakeIssuer(t), newClock()
			v2 := f2.verifier(t, clk2, nil)
			v2.Warm(t.Context())
			if c.keys != nil && c.name != "hangs" {
				f2.setKeys(c.keys)
				clk2.Add(time.Minute)
				if _, err := v2.Verify(t.Context(), f2.token(clk2, "nobody")); kindOf(err) != KeysUnavailable {
					t.Errorf("unknown kid while the issuer is down: %v", err)
				}
				if _, err := v2.Verify(t.Context(), f2.token(clk2, "rsa")); err != nil {
					t.Errorf("known kid: %v", err)
				}
				if s := v2.Status()[0]; s.Keys == 0 || s.Err == nil {
					t.Errorf("status: %+v", s)
				}
			}
		})
	}
}

func TestRotation(t *testing.T) {
	f, c := newFakeIssuer(t), newClock()
	v := f.verifier(t, c, nil)
	if _, err := v.Verify(t.Context(), f.token(c, "rsa")); err != nil {
		t.Fatal(err)
	}
	f.setKeys(serveBytes(jwks(jwkOf("new", rsaKey().Public(), nil))))
	if _, err := v.Verify(t.Context(), f.token(c, "new")); kindOf(err) != UnknownKey {
		t.Fatalf("within the interval: %v", err)
	}
	c.Add(10 * time.Second)
	if _, err := v.Verify(t.Context(), f.token(c, "new")); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), f.token(c, "rsa")); kindOf(err) != UnknownKey {
		t.Fatalf("the key that was taken back: %v", err)
	}
	if n := f.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestWaveOfUnknownKeys(t *testing.T) {
	f, c := newFakeIssuer(t), newClock()
	v := f.verifier(t, c, nil)
	v.Warm(t.Context())
	c.Add(time.Minute)
	release := make(chan struct{})
	f.setKeys(func(w http.ResponseWriter, r *http.Request) {
		<-release
		serveBytes(testKeys())(w, r)
	})

	// The first waits and gives up; the fetch that it began goes on.
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := v.Verify(ctx, f.token(c, "nobody-0"))
		gone <- err
	}()
	cancel()
	if err := <-gone; kindOf(err) != KeysUnavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	var all sync.WaitGroup
	raw := make([]string, 200)
	for i := range raw {
		raw[i] = f.token(c, fmt.Sprintf("nobody-%d", i))
	}
	for i := range raw {
		all.Go(func() {
			if _, err := v.Verify(t.Context(), raw[i]); kindOf(err) != UnknownKey {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	close(release)
	all.Wait()
	if n := f.fetches.Load(); n != 2 {
		t.Errorf("expected the first fetch and one for the wave, found %d", n)
	}
}

// settle waits until no fetch runs.
func settle(v *Verifier) {
	for _, is := range v.order {
		is.keys.mu.Lock()
		running := is.keys.running
		is.keys.mu.Unlock()
		if running != nil {
			<-running
		}
	}
}

func TestStaleKeysServe(t *testing.T) {
	f, c := newFakeIssuer(t), newClock()
	v := f.verifier(t, c, nil)
	v.Warm(t.Context())
	f.setKeys(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	for range 12 {
		c.Add(2*time.Hour - time.Second)
		if _, err := v.Verify(t.Context(), f.token(c, "rsa")); err != nil {
			t.Fatalf("%s after the fetch: %v", c.Now().Sub(testNow), err)
		}
		settle(v)
	}
	c.Add(time.Minute)
	if _, err := v.Verify(t.Context(), f.token(c, "rsa")); kindOf(err) != KeysUnavailable {
		t.Fatalf("beyond MaxStale: %v", err)
	}
	before := f.fetches.Load()
	for range 5 {
		_, _ = v.Verify(t.Context(), f.token(c, "rsa"))
	}
	if n := f.fetches.Load() - before; n != 0 {
		t.Errorf("%d fetches within the interval of a failure", n)
	}
	f.setKeys(serveBytes(testKeys()))
	c.Add(time.Minute)
	if err := v.Ready(); err == nil {
		t.Error("ready without usable keys")
	}
	settle(v) // Ready began the fetch
	if err := v.Ready(); err != nil {
		t.Error(err)
	}
}

func TestIdleBrokerConfirmsKeys(t *testing.T) {
	f, c := newFakeIssuer(t), newClock()
	v := f.verifier(t, c, nil)
	v.Warm(t.Context())
	f.setKeys(serveBytes(jwks(jwkOf("new", rsaKey().Public(), nil))))
	c.Add(5 * time.Hour)
	if _, err := v.Verify(t.Context(), f.token(c, "rsa")); kindOf(err) != UnknownKey {
		t.Errorf("a key that was revoked hours ago: %v", err)
	}
}

func TestKeyFileIsReadAgain(t *testing.T) {
	c := newClock()
	data := jwks(jwkOf("old", rsaKey().Public(), nil))
	is := testIssuerConfig()
	v, err := New(Config{Issuers: []Issuer{is}, Now: c.Now, ReadFile: func(string) ([]byte, error) { return data, nil }})
	if err != nil {
		t.Fatal(err)
	}
	data = jwks(jwkOf("rsa", rsaKey().Public(), nil))
	if _, err := v.Verify(t.Context(), rs256(payloadOf(nil))); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{Issuers: []Issuer{is}, ReadFile: func(string) ([]byte, error) { return nil, errors.New("no such file") }}); err == nil {
		t.Error("accepted without the file")
	}
}

func TestInherit(t *testing.T) {
	f, c := newFakeIssuer(t), newClock()
	old := f.verifier(t, c, nil)
	old.Warm(t.Context())
	same, moved := f.verifier(t, c, nil), f.verifier(t, c, func(cfg *Config) { cfg.Issuers[0].JWKSURL = f.url + "/jwks" })
	same.Inherit(old)
	moved.Inherit(old)
	if same.Ready() != nil || moved.Status()[0].Keys != 0 {
		t.Errorf("expected the keys of the same source only: %+v, %+v", same.Status(), moved.Status())
	}
}

// A fetch that never ends is ended by FetchTimeout, so goroutines cannot pile
// up behind an issuer that hangs.
func TestFetchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keySource{now: time.Now, log: nopLog(), limit: limits{minRefetch: time.Second, maxAge: time.Hour, maxStale: time.Hour, timeout: 10 * time.Second},
			load: func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }}
		start := time.Now()
		if _, err := s.key(t.Context(), "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("ended after %s", d)
		}
	})
}
