// Package server holds the doors: HTTP endpoints that each speak one public
// protocol. A door bounds and parses a request, calls the broker once, and
// renders what comes back; it decides nothing.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/stint-dev/stint/internal/exchange"
)

// MaxBody is how many bytes a request's body may have.
const MaxBody = 64 << 10

// Keys publishes the public half of the signing keys.
type Keys interface {
	// JWKS is the key set as JSON (RFC 7517).
	JWKS() []byte
	// Algorithms are those of its keys.
	Algorithms() []string
	// Ready says why the set may be outdated.
	Ready() error
}

// Config is what the doors stand on. All of it is required.
type Config struct {
	Issuer string // the public URL that the doors lie below
	Broker *exchange.Broker
	Keys   Keys
	Ready  func(context.Context) error // why the broker could not grant anything now
	Now    func() time.Time
	Log    *slog.Logger
}

// MaxInFlight is how many requests the doors work on at once. Each may wait for
// AWS, or for an issuer's keys, for seconds; more than these answer 503.
const MaxInFlight = 1000

// Server serves the doors.
type Server struct {
	cfg      Config
	mux      *http.ServeMux
	inFlight chan struct{}
}

func (s *Server) bounded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.inFlight <- struct{}{}:
			defer func() { <-s.inFlight }()
			h(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		}
	}
}

// New returns the handler of all doors, below the path of cfg.Issuer.
func New(cfg Config) (*Server, error) {
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("reading the issuer %q: %w", cfg.Issuer, err)
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux(), inFlight: make(chan struct{}, MaxInFlight)}
	base := strings.TrimSuffix(issuer.EscapedPath(), "/")

	s.mux.HandleFunc("GET "+base+"/.well-known/openid-configuration", s.discovery)
	s.mux.HandleFunc("GET "+base+"/.well-known/jwks", s.jwks)
	s.mux.HandleFunc(base+"/token", s.bounded(s.token))
	s.mux.HandleFunc(base+"/aws/sts", s.bounded(s.sts))
	s.mux.HandleFunc(base+"/aws/sts/{$}", s.bounded(s.sts)) // SDKs append a slash to their endpoint
	s.mux.HandleFunc(base+"/aws/cognito-identity", s.bounded(s.cognito))
	s.mux.HandleFunc(base+"/aws/cognito-identity/{$}", s.bounded(s.cognito))
	s.mux.HandleFunc("GET "+base+"/healthz", s.healthz)
	s.mux.HandleFunc("GET "+base+"/readyz", s.readyz)
	if base != "" { // probes come to the listener itself, not through the public URL
		s.mux.HandleFunc("GET /healthz", s.healthz)
		s.mux.HandleFunc("GET /readyz", s.readyz)
	}
	return s, nil
}

// ServeHTTP serves one request. A panic answers 500, and the process goes on.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := s.cfg.Now()
	rec := &recorder{ResponseWriter: w}
	defer func() {
		if v := recover(); v != nil {
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			s.cfg.Log.Error("a request panicked", "pattern", r.Pattern, "panic", v, "stack", string(debug.Stack()))
			if rec.status == 0 {
				http.Error(rec, "internal error", http.StatusInternalServerError)
			}
		}
		// The URL is not logged: a client may have put a token there.
		s.cfg.Log.Debug("request", "method", r.Method, "pattern", r.Pattern, "status", rec.status,
			"remote", r.RemoteAddr, "ms", s.cfg.Now().Sub(start).Milliseconds())
	}()
	h := rec.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(rec, r)
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// badRequest is a request that a door cannot read.
type badRequest struct {
	status int
	reason string // for the record
	detail string
}

func (e *badRequest) Error() string { return e.detail }

// form reads the body of a form POST. Parameters in the URL are not read:
// URLs end up in logs, and tokens with them.
func form(w http.ResponseWriter, r *http.Request) (url.Values, *badRequest) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, &badRequest{http.StatusBadRequest, "bad_content_type", "expected the content type application/x-www-form-urlencoded"}
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return nil, &badRequest{http.StatusBadRequest, "bad_content_type", "expected the charset utf-8"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &badRequest{http.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf("the body is larger than %d bytes", MaxBody)}
	case err != nil:
		return nil, &badRequest{http.StatusBadRequest, "body_truncated", "the body ended too early"}
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &badRequest{http.StatusBadRequest, "bad_form", "the body is not application/x-www-form-urlencoded"}
	}
	return values, nil
}

// remote is the peer's address. Headers that claim another are not believed:
// anybody can send them.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
