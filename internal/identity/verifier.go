package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is what a Verifier takes from the world around it. A duration of 0
// means its default.
type Config struct {
	Issuers  []Issuer
	HTTP     *http.Client                 // its transport and timeout are used; nil means NewHTTPClient
	Now      func() time.Time             // nil means time.Now
	Log      *slog.Logger                 // nil means none
	ReadFile func(string) ([]byte, error) // required where an issuer has a JWKSFile

	MinRefetch   time.Duration // between two fetches of one issuer's keys: 10 s
	MaxAge       time.Duration // after which keys are fetched again while they serve: 1 h
	MaxStale     time.Duration // after which keys that could not be fetched again stop serving: 24 h
	FetchTimeout time.Duration // of discovery and key set together: 10 s
	Leeway       time.Duration // between our clock and the issuer's: 60 s, at most 5 min
}

const maxLeeway = 5 * time.Minute

// Verifier verifies the job tokens of the configured issuers. It is safe for
// concurrent use. It runs at most one goroutine for each issuer, and none
// longer than FetchTimeout.
type Verifier struct {
	issuers map[string]*issuer // by URL
	order   []*issuer
	now     func() time.Time
	leeway  time.Duration
}

type issuer struct {
	Issuer
	keys *keySource
}

// New prepares a Verifier. It reads key files, and fetches nothing.
func New(cfg Config) (*Verifier, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	limit := limits{
		minRefetch: or(cfg.MinRefetch, 10*time.Second),
		maxAge:     or(cfg.MaxAge, time.Hour),
		maxStale:   or(cfg.MaxStale, 24*time.Hour),
		timeout:    or(cfg.FetchTimeout, 10*time.Second),
	}
	v := &Verifier{issuers: map[string]*issuer{}, now: cfg.Now, leeway: or(cfg.Leeway, time.Minute)}
	for _, d := range []time.Duration{limit.minRefetch, limit.maxAge, limit.maxStale, limit.timeout, v.leeway} {
		if d < 0 {
			return nil, fmt.Errorf("expected durations that are not negative, found %s", d)
		}
	}
	if v.leeway > maxLeeway {
		return nil, fmt.Errorf("expected a leeway of at most %s, found %s", maxLeeway, v.leeway)
	}
	if len(cfg.Issuers) == 0 {
		return nil, errors.New("expected at least one issuer, found none")
	}
	fetch := newFetcher(cfg.HTTP)
	for _, is := range cfg.Issuers {
		if err := is.validate(); err != nil {
			return nil, fmt.Errorf("issuer %s: %w", shorten(is.Name, 64), err)
		}
		if is.Platform == Generic {
			is.Platform = PlatformOf(is.URL)
		}
		for _, other := range v.order {
			if other.Name == is.Name || other.URL == is.URL {
				return nil, fmt.Errorf("issuer %s: expected names and URLs that differ, found another issuer %s with %s", is.Name, other.Name, other.URL)
			}
		}
		source := &keySource{name: is.Name, limit: limit, now: cfg.Now, log: cfg.Log, load: loader(is, fetch, cfg.ReadFile)}
		if is.JWKSFile != "" {
			if cfg.ReadFile == nil {
				return nil, fmt.Errorf("issuer %s: jwks_file needs a way to read files", is.Name)
			}
			keys, skipped, err := source.fetch(context.Background())
			if err != nil {
				return nil, fmt.Errorf("issuer %s: %w", is.Name, err)
			}
			source.finish(keys, skipped, nil)
			// Reading New did is no reason to miss a file that is replaced
			// right afterwards.
			source.tried = time.Time{}
		}
		trusted := &issuer{Issuer: is, keys: source}
		v.issuers[is.URL] = trusted
		v.order = append(v.order, trusted)
	}
	return v, nil
}

func or(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return d
}

// loader gets an issuer's key set from where its configuration says.
func loader(is Issuer, f fetcher, readFile func(string) ([]byte, error)) func(context.Context) ([]byte, error) {
	switch {
	case is.JWKSFile != "":
		return func(context.Context) ([]byte, error) {
			data, err := readFile(is.JWKSFile)
			if err != nil {
				return nil, fmt.Errorf("reading jwks_file: %w", err)
			}
			return data, nil
		}
	case is.JWKSURL != "":
		return func(ctx context.Context) ([]byte, error) { return f.keySet(ctx, is.JWKSURL) }
	}
	return func(ctx context.Context) ([]byte, error) {
		jwks, err := f.discover(ctx, is.URL)
		if err != nil {
			return nil, err
		}
		return f.keySet(ctx, jwks)
	}
}

// Verify decides whether a raw token is believed. The error is always a
// *Rejection; where ctx ended while the issuer's keys were awaited, its Kind is
// KeysUnavailable and it wraps the cause.
//
// Nothing of the token is acted on before its signature holds, apart from
// finding the issuer and the key: a stranger can cause one fetch of a
// configured issuer's keys per MinRefetch, and nothing else.
func (v *Verifier) Verify(ctx context.Context, rawToken string) (Claims, error) {
	t, r := parse(rawToken)
	if r != nil {
		r.Seen = t.seen()
		return Claims{}, r
	}
	is, r := v.issuerOf(t)
	if r != nil {
		r.Seen = t.seen()
		return Claims{}, r
	}
	if r := is.checkSignature(ctx, t); r != nil {
		r.Seen = t.seen()
		r.Seen.IssuerName = is.Name
		return Claims{}, r
	}
	c, r := v.believe(is, t)
	if r != nil {
		r.Seen = t.seen()
		r.Seen.IssuerName, r.Seen.Signed = is.Name, true
		return Claims{}, r
	}
	return c, nil
}

func (v *Verifier) issuerOf(t *token) (*issuer, *Rejection) {
	iss, ok := t.payload["iss"].(string)
	if is := v.issuers[iss]; ok && is != nil {
		return is, nil
	}
	return nil, &Rejection{Kind: UnknownIssuer, Detail: "The token's issuer is not configured.",
		Expected: "an iss that is configured, byte for byte", Found: found(t.payload["iss"])}
}

func (is *issuer) checkSignature(ctx context.Context, t *token) *Rejection {
	allowed := is.Algorithms
	if len(allowed) == 0 {
		allowed = SupportedAlgorithms()
	}
	if !slices.Contains(allowed, t.algorithm) {
		return &Rejection{Kind: BadAlgorithm, Detail: "The token's algorithm is refused.",
			Expected: strings.Join(allowed, ", "), Found: found(t.header["alg"])}
	}
	if t.keyID == "" {
		return &Rejection{Kind: UnknownKey, Detail: "The token does not say which key signed it.", Expected: "a kid", Found: found(t.header["kid"])}
	}
	k, err := is.keys.key(ctx, t.keyID)
	if errors.Is(err, errUnknownKey) {
		return &Rejection{Kind: UnknownKey, Detail: "The issuer has no usable key of this kid.",
			Expected: "the kid of one key in the issuer's set", Found: found(t.keyID), Err: err}
	}
	if err != nil {
		return &Rejection{Kind: KeysUnavailable, Detail: "The issuer's keys could not be fetched.", Hint: "Try again.", Err: err}
	}
	return t.verify(k)
}

// verify checks the signature with a key.
func (t *token) verify(k key) *Rejection {
	method, ok := methods[t.algorithm]
	if !ok || !slices.Contains(k.algorithms, t.algorithm) {
		return &Rejection{Kind: BadAlgorithm, Detail: "The token's algorithm is not the one of its key.",
			Expected: strings.Join(k.algorithms, ", "), Found: found(t.algorithm)}
	}
	if err := method.Verify(t.input, t.signature, k.public); err != nil {
		return &Rejection{Kind: BadSignature, Detail: "The token's signature does not hold.", Err: err}
	}
	return nil
}

// believe turns a token whose signature holds into Claims.
func (v *Verifier) believe(is *issuer, t *token) (Claims, *Rejection) {
	aud, r := checkClaims(is.Platform, t.payload)
	if r != nil {
		return Claims{}, r
	}
	when, r := times(t.payload)
	if r != nil {
		return Claims{}, r
	}
	c := newClaims(is.Name, is.Platform, t.payload, t.digest, time.Unix(when.issued, 0).UTC(), time.Unix(when.expires, 0).UTC())
	for _, only := range is.Only {
		if !only.holds(c) {
			want := make([]string, len(only.Patterns))
			for i, p := range only.Patterns {
				want[i] = p.String()
			}
			value, _ := c.Text(only.Claim)
			return Claims{}, &Rejection{Kind: OutsideOnly, Detail: fmt.Sprintf("The token is of somebody else: its %s is outside `only`.", only.Claim),
				Expected: quoted(want), Found: found(value)}
		}
	}
	if r = checkAudience(is.Audiences, aud); r == nil {
		r = when.check(v.now(), v.leeway)
	}
	if r != nil {
		r.Proven = true
		return Claims{}, r
	}
	return c, nil
}

// Warm fetches the keys that are not fresh, of all issuers at once, and
// returns when that is done, has failed, or ctx ends.
func (v *Verifier) Warm(ctx context.Context) {
	var all sync.WaitGroup
	for _, is := range v.order {
		all.Go(func() { is.keys.warm(ctx) })
	}
	all.Wait()
}

// Ready is nil while the keys of at least one issuer are usable. Otherwise it
// begins to fetch them, at most once per MinRefetch.
func (v *Verifier) Ready() error {
	var errs []error
	for _, is := range v.order {
		err := is.keys.ready()
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("issuer %s: %w", is.Name, err))
	}
	return errors.Join(errs...)
}

// IssuerStatus is what is known of an issuer's keys.
type IssuerStatus struct {
	Name    string
	URL     string
	Keys    int       // how many of its keys are used; 0 where they are too stale
	Fetched time.Time // when they were; zero: never
	Err     error     // of the last fetch
}

// Status is the state of each issuer, in the order of the configuration.
func (v *Verifier) Status() []IssuerStatus {
	all := make([]IssuerStatus, 0, len(v.order))
	for _, is := range v.order {
		s := is.keys
		s.mu.Lock()
		st := IssuerStatus{Name: is.Name, URL: is.URL, Fetched: s.fetched, Err: s.lastErr}
		if s.usable() {
			st.Keys = len(s.keys)
		}
		s.mu.Unlock()
		all = append(all, st)
	}
	return all
}

// Inherit takes over what old knows of issuers whose URL and key source are
// the same. Key files are not: New has just read them. Call it before v is
// used.
func (v *Verifier) Inherit(old *Verifier) {
	if old == nil {
		return
	}
	for _, is := range v.order {
		before := old.issuers[is.URL]
		if before != nil && is.JWKSFile == "" && before.JWKSFile == "" && before.JWKSURL == is.JWKSURL {
			is.keys.inherit(before.keys)
		}
	}
}
