// Package github emulates what GitHub Actions gives a job: the endpoint that
// signs ID tokens, the issuer's discovery document and its key set. The tokens
// carry GitHub's claims, header and lifetime; their key is made at the start
// and known to nobody else.
//
// # Divergences
//
//   - All events of a pull request give the subject pull_request, the ones that
//     run on the base branch included: GitHub's documentation says that a job
//     of a pull request event has no ref in it, and names no exception.
//   - The request token is random text, where GitHub's is a JWT, and does not
//     end with the job.
//   - The subject cannot be customised but by setting the claim sub.
//   - What a refused request is told is not GitHub's text.
package github

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stint-dev/stint/internal/emulator"
)

// DefaultIssuer is the iss of GitHub.com's tokens.
const DefaultIssuer = "https://token.actions.githubusercontent.com"

const (
	// DefaultLifetime is the lifetime that GitHub documents.
	DefaultLifetime = 5 * time.Minute
	// notBefore is how long before iat the nbf of a token lies.
	notBefore = 5 * time.Minute
	// maxJobs bounds the jobs of one emulator.
	maxJobs = 1000
	// maxAudience bounds the audience that a job may ask for, in bytes.
	maxAudience = 2048
)

// Config configures an emulated GitHub. The zero value is usable but for Now,
// Rand and Log, which are required.
type Config struct {
	Issuer   string        // default DefaultIssuer
	Lifetime time.Duration // of a token; default DefaultLifetime
	Now      func() time.Time
	Rand     io.Reader // for request tokens and ids; several requests read it at once
	Log      *slog.Logger
}

// GitHub is an emulated GitHub. It is an http.Handler and safe for concurrent
// use.
type GitHub struct {
	cfg  Config
	mux  *http.ServeMux
	key  *signingKey
	mu   sync.RWMutex
	jobs map[string]*RunningJob
}

// New makes an emulated GitHub without any jobs.
func New(cfg Config) (*GitHub, error) {
	if cfg.Now == nil || cfg.Rand == nil || cfg.Log == nil {
		return nil, errors.New("emulating GitHub: expected a clock, a source of randomness and a logger")
	}
	if cfg.Issuer == "" {
		cfg.Issuer = DefaultIssuer
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = DefaultLifetime
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil || issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "" ||
		issuer.Scheme != "https" && issuer.Scheme != "http" {
		return nil, fmt.Errorf("emulating GitHub: expected an issuer such as %s, found %.200q", DefaultIssuer, cfg.Issuer)
	}
	key, err := newSigningKey(cfg.Rand, cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("emulating GitHub: %w", err)
	}
	g := &GitHub{cfg: cfg, key: key, jobs: map[string]*RunningJob{}, mux: http.NewServeMux()}
	g.mux.HandleFunc("GET /idtoken/{job}", g.token)
	bases := map[string]bool{"": true, strings.TrimSuffix(issuer.EscapedPath(), "/"): true}
	for base := range bases {
		g.mux.HandleFunc("GET "+base+"/.well-known/openid-configuration", g.discovery)
		g.mux.HandleFunc("GET "+base+"/.well-known/jwks", g.jwks)
	}
	return g, nil
}

// Issuer is the iss of the tokens.
func (g *GitHub) Issuer() string { return g.cfg.Issuer }

// JWKS is the key set that the tokens are signed with, as JSON (RFC 7517).
func (g *GitHub) JWKS() []byte { return g.key.jwks }

// PublicKey is the key that the tokens are signed with.
func (g *GitHub) PublicKey() *rsa.PublicKey { return &g.key.private.PublicKey }

// KeyID is the kid of the tokens.
func (g *GitHub) KeyID() string { return g.key.id }

// RunningJob is a job that can ask for tokens.
type RunningJob struct {
	Job   Job    // as it was added, with everything filled in
	Path  string // of the token endpoint, with its query
	Token string // the request token: a secret of this job

	issuer string
	digest [sha256.Size]byte
}

// AddJob starts a job. Each has an endpoint and a request token of its own.
func (g *GitHub) AddJob(j Job) (*RunningJob, error) {
	j, err := j.filled()
	if err != nil {
		return nil, fmt.Errorf("describing the job: %w", err)
	}
	secret := make([]byte, 32)
	if _, err := io.ReadFull(g.cfg.Rand, secret); err != nil {
		return nil, fmt.Errorf("making a request token: %w", err)
	}
	id, err := emulator.NewUUID(g.cfg.Rand)
	if err != nil {
		return nil, fmt.Errorf("making a job's id: %w", err)
	}
	r := &RunningJob{
		Job:    j,
		Path:   "/idtoken/" + id + "?api-version=2.0",
		Token:  base64.RawURLEncoding.EncodeToString(secret),
		issuer: g.cfg.Issuer,
	}
	r.digest = sha256.Sum256([]byte(r.Token))
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.jobs) >= maxJobs {
		return nil, fmt.Errorf("starting a job: expected at most %d", maxJobs)
	}
	g.jobs[id] = r
	return r, nil
}

// ServeHTTP serves one request.
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	g.mux.ServeHTTP(w, r)
}

func (g *GitHub) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	g.mu.RLock()
	job := g.jobs[r.PathValue("job")]
	g.mu.RUnlock()
	if job == nil || !job.authorized(r.Header.Get("Authorization")) {
		// One answer for both, or the endpoint would say which jobs there are.
		g.refuse(w, http.StatusUnauthorized, "the request token is missing or not the one of this job")
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	audience := query.Get("audience")
	if err != nil || len(audience) > maxAudience {
		g.refuse(w, http.StatusBadRequest, "the query cannot be read, or the audience is longer than "+strconv.Itoa(maxAudience)+" bytes")
		return
	}
	raw, err := g.sign(job.Job, audience)
	if err != nil {
		g.cfg.Log.Error("signing a job token", "err", err)
		g.refuse(w, http.StatusInternalServerError, "the token could not be signed")
		return
	}
	g.cfg.Log.Debug("signed a job token", "repository", job.Job.Repository, "audience", audience)
	g.json(w, http.StatusOK, map[string]any{"count": len(raw), "value": raw})
}

// authorized compares digests, so that the time taken says nothing about the
// token, its length included.
func (r *RunningJob) authorized(header string) bool {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return false
	}
	digest := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(digest[:], r.digest[:]) == 1
}

func (g *GitHub) sign(j Job, audience string) (string, error) {
	if audience == "" {
		owner, _, _ := strings.Cut(j.Repository, "/")
		audience = "https://github.com/" + owner
	}
	id, err := emulator.NewUUID(g.cfg.Rand)
	if err != nil {
		return "", fmt.Errorf("making a token's id: %w", err)
	}
	return g.key.sign(g.key.header(), j.payload(g.cfg.Issuer, audience, id, g.cfg.Now(), g.cfg.Lifetime))
}

// InsecureSign signs any payload with the issuer's key, for tests of those who
// verify tokens. Header parameters are set over the usual ones; nil takes one
// out. The signature is RS256 whatever alg says.
func (g *GitHub) InsecureSign(payload, header map[string]any) (string, error) {
	h := g.key.header()
	for name, v := range header {
		if h[name] = v; v == nil {
			delete(h, name)
		}
	}
	return g.key.sign(h, payload)
}

// Payload is what a token of this job says if it is asked for now.
func (g *GitHub) Payload(r *RunningJob, audience string) map[string]any {
	return r.Job.payload(g.cfg.Issuer, audience, hex.EncodeToString(r.digest[:8]), g.cfg.Now(), g.cfg.Lifetime)
}

func (g *GitHub) discovery(w http.ResponseWriter, _ *http.Request) {
	g.json(w, http.StatusOK, map[string]any{
		"issuer":                                g.cfg.Issuer,
		"jwks_uri":                              strings.TrimSuffix(g.cfg.Issuer, "/") + "/.well-known/jwks",
		"subject_types_supported":               []string{"public", "pairwise"},
		"response_types_supported":              []string{"id_token"},
		"claims_supported":                      claimNames,
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid"},
	})
}

func (g *GitHub) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if _, err := w.Write(g.key.jwks); err != nil {
		g.cfg.Log.Debug("writing an answer", "err", err)
	}
}

func (g *GitHub) refuse(w http.ResponseWriter, status int, message string) {
	g.json(w, status, map[string]string{"message": message})
}

func (g *GitHub) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		g.cfg.Log.Debug("writing an answer", "err", err)
	}
}

// claimNames are what GitHub lists in its discovery document.
var claimNames = []string{
	"sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref", "sha", "repository", "repository_id", "repository_owner",
	"repository_owner_id", "repository_visibility", "enterprise", "enterprise_id", "run_id", "run_number", "run_attempt",
	"actor", "actor_id", "workflow", "workflow_ref", "workflow_sha", "head_ref", "base_ref", "event_name", "ref_type",
	"ref_protected", "environment", "job_workflow_ref", "job_workflow_sha", "runner_environment", "check_run_id",
}
