package awssts

import (
	"cmp"
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
	"github.com/stint-dev/stint/internal/emulator/organization"
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
	// Managed are the documents of managed policies, by ARN, beside those that
	// Roles has, for callers that name one as a session policy.
	Managed map[string]*iam.Policy
	// Organization describes the accounts; nil: they are in none.
	Organization *organization.Organization

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

	// OnDecision, if not nil, is told of every AssumeRoleWithWebIdentity and
	// AssumeRole before it is answered. It must not block, and may be called by several
	// requests at once.
	OnDecision func(Decision)

	// MaxSessions bounds the sessions that are remembered; the oldest go
	// first. Default 100,000.
	MaxSessions int
}

// The operations that give credentials.
const (
	operationWebIdentity = "AssumeRoleWithWebIdentity"
	operationAssumeRole  = "AssumeRole"
)

// Decision is what became of one AssumeRoleWithWebIdentity or AssumeRole. It
// holds no token and no secret.
type Decision struct {
	Operation       string         `json:"operation"`
	Time            time.Time      `json:"time"`
	RequestID       string         `json:"requestId"`
	Region          string         `json:"region"`
	SourceIP        string         `json:"sourceIp,omitempty"`
	UserAgent       string         `json:"userAgent,omitempty"`
	RoleARN         string         `json:"roleArn"`
	RoleSessionName string         `json:"roleSessionName"`
	Caller          *Caller        `json:"caller,omitempty"`   // of AssumeRole, once the signature held
	Provider        string         `json:"provider,omitempty"` // the provider's ARN, once it is known
	Audience        string         `json:"audience,omitempty"` // the audience in effect
	Claims          map[string]any `json:"claims,omitempty"`   // of the token, once its signature held

	Tags              []iam.Tag `json:"tags,omitempty"`         // in the token, or passed
	IncomingTags      []iam.Tag `json:"incomingTags,omitempty"` // that the caller's session hands on
	TransitiveTagKeys []string  `json:"transitiveTagKeys,omitempty"`
	SourceIdentity    string    `json:"sourceIdentity,omitempty"`
	DurationSeconds   int       `json:"durationSeconds,omitempty"`
	ExternalID        bool      `json:"externalId,omitempty"` // one was passed
	Policy            string    `json:"policy,omitempty"`     // the caller's session policies
	PolicyARNs        []string  `json:"policyArns,omitempty"`

	// Evaluation is the trust policy's verdict on a token with all its
	// conditions, and Access that of all policies on an AssumeRole; nil where
	// the call did not get that far.
	Evaluation *iam.WebIdentityResult `json:"evaluation,omitempty"`
	Access     *iam.AssumeRoleResult  `json:"access,omitempty"`

	Allowed bool `json:"allowed"`
	// Code and Message are the answer's, where it is an error, but for values
	// that break a constraint. Detail says what the service would not: why.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Detail  string `json:"detail,omitempty"`

	AssumedRoleARN string    `json:"assumedRoleArn,omitempty"`
	AssumedRoleID  string    `json:"assumedRoleId,omitempty"`
	AccessKeyID    string    `json:"accessKeyId,omitempty"` // of the credentials given out
	Expiration     time.Time `json:"expiration,omitzero"`
}

// Caller is whose credentials signed an AssumeRole.
type Caller struct {
	ARN            string    `json:"arn"`     // of the assumed role
	ID             string    `json:"id"`      // AROA...:SESSION
	Account        string    `json:"account"` // twelve digits
	AccessKeyID    string    `json:"accessKeyId"`
	RoleARN        string    `json:"roleArn"`
	RoleID         string    `json:"roleId"`
	Provider       string    `json:"provider,omitempty"` // the ARN, of a session that a token made
	SourceIdentity string    `json:"sourceIdentity,omitempty"`
	Issued         time.Time `json:"issued"`
}

func callerOf(s *session) *Caller {
	return &Caller{ARN: s.arn, ID: s.userID(), Account: s.account, AccessKeyID: s.accessKeyID, RoleARN: s.caller.ARN, RoleID: s.roleID,
		Provider: s.caller.FederatedProvider, SourceIdentity: s.caller.SourceIdentity, Issued: s.issued}
}

func (s *STS) newDecision(c *call, operation string, now time.Time) Decision {
	agent := c.request.UserAgent()
	return Decision{Operation: operation, Time: now, RequestID: c.id, Region: s.region(), SourceIP: c.sourceIP, UserAgent: agent[:min(len(agent), 512)]}
}

// decided completes a decision and tells it.
func (s *STS) decided(d *Decision, f *fault) {
	if f != nil {
		// What the caller sent may be a token in the wrong place.
		d.Code, d.Message, d.Detail = f.Code, cmp.Or(f.Log, f.Message), f.detail
	}
	d.Allowed = f == nil
	if s.cfg.OnDecision != nil {
		s.cfg.OnDecision(*d)
	}
}

func (s *STS) region() string { return cmp.Or(s.cfg.Region, DefaultRegion) }

// organization is where an account stands.
func (s *STS) organization(account string) (id string, paths []string) {
	a, ok := s.cfg.Organization.Account(account)
	if !ok {
		return "", nil
	}
	return s.cfg.Organization.ID, []string{a.Path}
}

// ResourceKeys are the condition keys that say whose a resource is:
// aws:ResourceAccount, and aws:ResourceOrgID and aws:ResourceOrgPaths where the
// account is in an organization.
func (s *STS) ResourceKeys(account string) iam.Context {
	var ctx iam.Context
	ctx.Set("aws:ResourceAccount", account)
	if id, paths := s.organization(account); id != "" {
		ctx.Set("aws:ResourceOrgID", id)
		ctx.Set("aws:ResourceOrgPaths", paths...)
	}
	return ctx
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
