package awssts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/roles"
)

// DefaultRegion is the region that the emulator says to be in.
const DefaultRegion = "us-east-1"

// Provider is an OIDC provider. It exists in every account in which a role
// stands.
type Provider struct {
	// Issuer is the iss of its tokens: an https URL without port and query.
	// It compares exactly.
	Issuer string
	// Keys returns the issuer's key set (RFC 7517). It is called once for
	// each token. A real issuer's address need not be reachable from here.
	Keys func(context.Context) ([]byte, error)
	// Audiences are those registered with the provider, at most 100, beside
	// sts.amazonaws.com and the ones that trust policies name: see New.
	Audiences []string
}

// Config configures an emulated STS. Roles, Now, Rand and Log are required.
type Config struct {
	Roles     *roles.Set
	Providers []Provider

	// Region is the one region whose signatures are valid, and the value of
	// aws:RequestedRegion. Where it is empty every region's are, and the key
	// is DefaultRegion.
	Region string
	// SourceIP is the value of aws:SourceIp. Where it is empty it is the
	// address of the caller, which is one on loopback.
	SourceIP string

	Now  func() time.Time
	Rand io.Reader // for credentials and request ids; several requests read it at once
	Log  *slog.Logger

	// OnDecision, if not nil, is told of every AssumeRoleWithWebIdentity
	// before it is answered. It must not block, and may be called by several
	// requests at once.
	OnDecision func(Decision)

	// MaxSessions bounds the sessions that are remembered; the oldest go
	// first. Default 100,000.
	MaxSessions int
}

// Decision is what became of one AssumeRoleWithWebIdentity. It holds no token
// and no secret.
type Decision struct {
	Time            time.Time      `json:"time"`
	RequestID       string         `json:"requestId"`
	RoleARN         string         `json:"roleArn"`
	RoleSessionName string         `json:"roleSessionName"`
	Provider        string         `json:"provider,omitempty"` // the provider's ARN, once it is known
	Audience        string         `json:"audience,omitempty"` // the audience in effect
	Claims          map[string]any `json:"claims,omitempty"`   // of the token, once its signature held

	Tags              []iam.Tag `json:"tags,omitempty"`
	TransitiveTagKeys []string  `json:"transitiveTagKeys,omitempty"`
	SourceIdentity    string    `json:"sourceIdentity,omitempty"`
	DurationSeconds   int       `json:"durationSeconds,omitempty"`
	Policy            string    `json:"policy,omitempty"` // the caller's session policies
	PolicyARNs        []string  `json:"policyArns,omitempty"`

	// Evaluation is the trust policy's verdict with all its conditions; nil
	// where the call did not get that far.
	Evaluation *iam.WebIdentityResult `json:"evaluation,omitempty"`

	Allowed bool `json:"allowed"`
	// Code and Message are the answer's, where it is an error. Detail says
	// what the service would not: why.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Detail  string `json:"detail,omitempty"`

	AssumedRoleARN string    `json:"assumedRoleArn,omitempty"`
	Expiration     time.Time `json:"expiration,omitzero"`
}

// STS is an emulated AWS STS. It is an http.Handler and safe for concurrent
// use.
type STS struct {
	cfg       Config
	providers map[string]*provider // by issuer
	accounts  map[string]account   // by number
	sessions  *sessions
}

// New makes an emulated STS. The audiences registered with a provider in an
// account are sts.amazonaws.com, those of Provider, and those that trust
// policies of that account's roles compare the provider's :aud key with, as
// literal text: so the set-up need not be described twice.
func New(cfg Config) (*STS, error) {
	if cfg.Roles.Len() == 0 || cfg.Now == nil || cfg.Rand == nil || cfg.Log == nil {
		return nil, errors.New("emulating AWS STS: expected roles, a clock, a source of randomness and a logger")
	}
	if cfg.MaxSessions <= 0 {
		cfg.MaxSessions = maxSessions
	}
	s := &STS{cfg: cfg, providers: map[string]*provider{}, sessions: newSessions(cfg.MaxSessions)}
	for _, p := range cfg.Providers {
		if err := s.addProvider(p); err != nil {
			return nil, fmt.Errorf("emulating AWS STS: %w", err)
		}
	}
	s.accounts = accountsOf(cfg.Roles, s.providers)
	return s, nil
}

func (s *STS) addProvider(p Provider) error {
	u, err := url.Parse(p.Issuer)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.Port() != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("expected a provider with an https URL without port and query, found %.200q", p.Issuer)
	case p.Keys == nil:
		return fmt.Errorf("the provider %s has no keys", p.Issuer)
	case len(p.Audiences) > maxAudiences:
		return fmt.Errorf("the provider %s: expected at most %d audiences, found %d", p.Issuer, maxAudiences, len(p.Audiences))
	case s.providers[p.Issuer] != nil:
		return fmt.Errorf("the provider %s stands twice", p.Issuer)
	}
	s.providers[p.Issuer] = &provider{Provider: p, host: strings.TrimPrefix(p.Issuer, "https://")}
	return nil
}

// ServeHTTP serves one request.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve(w, r) }
