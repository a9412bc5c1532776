package server

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/internal/exchange"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
)

// The names of RFC 8693, sections 2.1 and 3.
const (
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeJWT            = "urn:ietf:params:oauth:token-type:jwt"
	typeIDToken        = "urn:ietf:params:oauth:token-type:id_token"
	typeAccessToken    = "urn:ietf:params:oauth:token-type:access_token"
)

// tokenResponse is RFC 8693, section 2.2.1.
type tokenResponse struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"` // seconds
	Grant           grant  `json:"grant"`
}

// grant is stint's own member of the answer, and the header Stint-Grant of
// other doors: what was decided, for the job's log and for clients that go on
// to AWS STS by themselves.
type grant struct {
	Record         string            `json:"record"`
	Rule           string            `json:"rule"`
	Role           string            `json:"role"`
	SessionName    string            `json:"session_name"`
	Seconds        int64             `json:"duration_seconds"`
	Tags           map[string]string `json:"tags,omitempty"`
	Transitive     []string          `json:"transitive,omitempty"` // keys of Tags that role chaining inherits
	SourceIdentity string            `json:"source_identity,omitempty"`
	Chain          *chain            `json:"chain,omitempty"`
	Dropped        []string          `json:"dropped_tags,omitempty"` // keys of tags that were left out to make the session fit
}

// chain is what role chaining passes on at each hop.
type chain struct {
	Tags map[string]string `json:"tags"`
}

// grantHeader carries a grant as base64url of its JSON, where a protocol has no
// member for it.
const grantHeader = "Stint-Grant"

func grantOf(i exchange.Issued) grant {
	session := i.Grant.Session()
	g := grant{Record: i.Record, Rule: i.Grant.Rule(), Role: i.Grant.Role(), SessionName: session.Name,
		Seconds: int64(session.Duration / time.Second), Tags: map[string]string{},
		Transitive: session.Transitive, SourceIdentity: session.SourceIdentity, Dropped: session.Dropped}
	for _, t := range session.Tags {
		g.Tags[t.Key] = t.Value
		if slices.Contains(session.Chain, t.Key) {
			if g.Chain == nil {
				g.Chain = &chain{map[string]string{}}
			}
			g.Chain.Tags[t.Key] = t.Value
		}
	}
	return g
}

// setGrant puts the grant into the answer's header.
func setGrant(w http.ResponseWriter, i exchange.Issued) {
	text, err := json.Marshal(grantOf(i))
	if err != nil { // texts and numbers
		return
	}
	w.Header().Set(grantHeader, base64.RawURLEncoding.EncodeToString(text))
}

// tokenError is RFC 6749, section 5.2. Denial is stint's own member.
type tokenError struct {
	Error       string                `json:"error"`
	Description string                `json:"error_description,omitempty"`
	Denial      *exchange.Explanation `json:"denial,omitempty"`
}

// token is OAuth 2.0 token exchange, RFC 8693.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.json(w, http.StatusMethodNotAllowed, tokenError{Error: "invalid_request", Description: "expected a POST"})
		return
	}
	req := exchange.Request{Door: "token", Remote: remote(r)}
	refuse := func(status int, code, reason, detail string) {
		s.cfg.Broker.Refuse(r.Context(), req, reason, detail)
		s.json(w, status, tokenError{Error: code, Description: ascii(detail)})
	}

	values, bad := form(w, r)
	if bad != nil {
		refuse(bad.status, "invalid_request", bad.reason, bad.detail)
		return
	}
	for name, v := range values {
		// RFC 6749 section 3.2: parameters must not stand twice. RFC 8693 lets
		// audience and resource stand several times; a stint token has one of each.
		if len(v) > 1 {
			code := "invalid_request"
			if name == "audience" || name == "resource" {
				code = "invalid_target"
			}
			refuse(http.StatusBadRequest, code, "doubled_parameter", "the parameter "+shorten(name)+" stands more than once")
			return
		}
	}
	if grant := values.Get("grant_type"); grant != grantTokenExchange {
		code := "unsupported_grant_type"
		if grant == "" {
			code = "invalid_request"
		}
		refuse(http.StatusBadRequest, code, "unsupported_grant_type", "expected grant_type="+grantTokenExchange)
		return
	}
	req.JobToken = values.Get("subject_token")
	req.Want = rules.Request{Role: values.Get("resource"), Audience: values.Get("audience")}
	switch {
	case req.JobToken == "":
		refuse(http.StatusBadRequest, "invalid_request", "no_token", "expected the job token in subject_token")
		return
	case len(req.JobToken) > identity.MaxTokenSize:
		refuse(http.StatusBadRequest, "invalid_request", string(identity.Malformed), "the subject_token is too large")
		return
	case !oneOf(values.Get("subject_token_type"), typeJWT, typeIDToken):
		refuse(http.StatusBadRequest, "invalid_request", "bad_token_type", "expected subject_token_type="+typeJWT+" or "+typeIDToken)
		return
	case values.Has("requested_token_type") && !oneOf(values.Get("requested_token_type"), typeJWT, typeIDToken, typeAccessToken):
		refuse(http.StatusBadRequest, "invalid_request", "bad_token_type", "expected requested_token_type="+typeJWT)
		return
	case values.Has("actor_token"):
		refuse(http.StatusBadRequest, "invalid_request", "actor_token", "actor_token is not supported: the job itself is the only actor")
		return
	}

	issued, err := s.cfg.Broker.Token(r.Context(), req)
	if err != nil {
		s.tokenError(w, err)
		return
	}
	s.json(w, http.StatusOK, tokenResponse{
		AccessToken:     issued.Token.Raw,
		IssuedTokenType: typeJWT,
		TokenType:       "N_A", // RFC 8693 section 2.2.1: not for use as an OAuth access token
		ExpiresIn:       int64(issued.Token.Expires.Sub(s.cfg.Now()) / time.Second),
		Grant:           grantOf(issued),
	})
}

// tokenError renders what the broker answered, per RFC 8693 section 2.2.2:
// invalid_request for a token that is not accepted, invalid_target for a role
// or audience that it does not get.
func (s *Server) tokenError(w http.ResponseWriter, err error) {
	var e *exchange.Error
	if !errors.As(err, &e) {
		s.cfg.Log.Error("an exchange failed without a kind", "err", err)
		e = &exchange.Error{Kind: exchange.Unavailable}
	}
	status, answer := http.StatusBadRequest, tokenError{}
	switch e.Kind {
	case exchange.Rejected:
		answer = tokenError{Error: "invalid_request", Description: "the subject_token is not accepted"}
	case exchange.Denied:
		answer = tokenError{Error: "invalid_target", Description: "denied"}
	default:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "2")
		answer = tokenError{Error: "temporarily_unavailable", Description: "the broker cannot answer now; try again"}
	}
	if why, ok := e.Explain(); ok {
		answer.Denial = &why
		answer.Description = ascii(why.Detail)
	}
	s.json(w, status, answer)
}

func oneOf(s string, any ...string) bool {
	for _, a := range any {
		if s == a {
			return true
		}
	}
	return false
}

func shorten(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "..."
	}
	return s
}

// ascii keeps what RFC 6749 section 5.2 allows in an error_description:
// printable ASCII without the double quote and the backslash.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"', r == '\\':
			return '\''
		case r < 0x20 || r > 0x7e:
			return '?'
		}
		return r
	}, s)
}
