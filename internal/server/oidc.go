package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/stint-dev/stint/internal/awsclaims"
)

// keySetAge is how long a verifier may keep the key set. A new key is
// published a day before it signs, so no cached set is ever too old.
const keySetAge = 5 * time.Minute

// discovery is OpenID Connect Discovery 1.0, section 4, with the members that
// AWS, Azure and GCP require of a provider.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	s.public(w, map[string]any{
		"issuer":                                s.cfg.Issuer,
		"jwks_uri":                              s.cfg.Issuer + "/.well-known/jwks",
		"token_endpoint":                        s.cfg.Issuer + "/token",
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": s.cfg.Keys.Algorithms(),
		"grant_types_supported":                 []string{grantTokenExchange},
		"scopes_supported":                      []string{"openid"},
		"claims_supported": []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti",
			awsclaims.Tags, awsclaims.SourceIdentity, awsclaims.Roles},
	})
}

// jwks is the key set, RFC 7517 section 5.
func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	// An outdated set would be cached, without the key that another broker on
	// the same store signs with by now.
	if err := s.cfg.Keys.Ready(); err != nil {
		s.cfg.Log.Warn("the key set is not served", "err", err)
		s.json(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready"})
		return
	}
	s.public(w, json.RawMessage(s.cfg.Keys.JWKS()))
}

func (s *Server) public(w http.ResponseWriter, v any) {
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(keySetAge.Seconds())))
	s.json(w, http.StatusOK, v)
}

func (s *Server) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		s.cfg.Log.Debug("writing an answer", "err", err)
	}
}

// healthz answers while the process serves.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	s.json(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz answers 503 while the broker could not grant anything. Why is in the
// log only: the endpoint is as public as the doors.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if err := s.cfg.Ready(r.Context()); err != nil {
		s.cfg.Log.Warn("not ready", "err", err)
		s.json(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready"})
		return
	}
	s.json(w, http.StatusOK, map[string]string{"status": "ready"})
}
