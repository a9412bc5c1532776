// Package mint turns a recorded grant into a stint token and, for AWS, into
// credentials bought with it at AWS STS. It takes audit.Recorded and nothing
// else, so that nothing can be minted that is not on record.
package mint

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/awsclaims"
	"github.com/stint-dev/stint/internal/rules"
)

// Token is a stint token. Its text is a bearer credential: formatting and
// logging a Token never show it.
type Token struct {
	Raw      string
	ID       string // jti
	KeyID    string
	Subject  string
	Audience string
	Role     string // the one role that it may buy
	IssuedAt time.Time
	Expires  time.Time
}

// String leaves the token itself out.
func (t Token) String() string { return fmt.Sprintf("stint token %s", t.ID) }

// GoString leaves the token itself out.
func (t Token) GoString() string { return t.String() }

// Format leaves the token itself out under every verb: %d would not ask String.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue leaves the token itself out.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText leaves the token itself out.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// errNotRecorded is that something was asked for that no record stands behind.
var errNotRecorded = errors.New("expected a recorded grant, found none")

// Config is what a Minter stands on.
type Config struct {
	// Issuer is the iss. It must be none of the issuers of job tokens: what
	// keeps a stint token from being taken for a job token is that nobody
	// trusts the broker's own issuer there.
	Issuer   string
	Keys     *Keys
	Lifetime time.Duration // of a token: minutes, and no more than the Keys' TokenLifetime; 0: DefaultLifetime
	Now      func() time.Time
	Rand     io.Reader // of token ids; nil means crypto/rand
}

// Minter signs stint tokens. It is safe for concurrent use.
type Minter struct{ cfg Config }

// New returns a Minter.
func New(cfg Config) *Minter {
	cfg.Lifetime = cmp.Or(cfg.Lifetime, DefaultLifetime)
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Minter{cfg}
}

// Sign makes the stint token of a recorded grant. It names the one role that
// it may buy, so a token that is stolen or sent to the wrong place buys nothing
// else.
func (m *Minter) Sign(r audit.Recorded) (Token, error) {
	grant := r.Grant()
	pool, pooled := grant.Pool()
	if r.ID() == "" || grant.Role() == "" && !pool.Basic || grant.Subject() == "" || grant.Audience() == "" {
		return Token{}, fmt.Errorf("signing a stint token: %w", errNotRecorded)
	}
	if grant.Via() != rules.WebIdentity {
		return Token{}, fmt.Errorf("signing a stint token: expected a role that is had with one, found one that is had by %s", grant.Via())
	}
	if m.cfg.Issuer == "" {
		return Token{}, errors.New("signing a stint token: expected an issuer, found none")
	}
	// A longer-lived token would outlive the publication of its key.
	lifetime := m.cfg.Lifetime
	if pooled {
		lifetime = PoolTokenLifetime
	}
	if most := m.cfg.Keys.cfg.TokenLifetime; lifetime < time.Second || lifetime > most {
		return Token{}, fmt.Errorf("signing a stint token: expected a lifetime from 1s to %s, which the keys are kept for, found %s", most, lifetime)
	}
	now := m.cfg.Now().UTC().Truncate(time.Second)
	key, err := m.cfg.Keys.signer(now)
	if err != nil {
		return Token{}, fmt.Errorf("signing a stint token: %w", err)
	}
	var id [16]byte
	if _, err := io.ReadFull(m.cfg.Rand, id[:]); err != nil {
		return Token{}, fmt.Errorf("signing a stint token: making its id: %w", err)
	}
	t := Token{
		ID: hex.EncodeToString(id[:]), KeyID: key.id,
		Subject: grant.Subject(), Audience: grant.Audience(), Role: grant.Role(),
		IssuedAt: now, Expires: now.Add(lifetime),
	}

	claims := sessionClaims(grant.Session())
	claims["iss"] = m.cfg.Issuer
	claims["sub"] = grant.Subject()
	claims["aud"] = grant.Audience()
	claims["iat"] = t.IssuedAt.Unix()
	claims["nbf"] = t.IssuedAt.Unix()
	claims["exp"] = t.Expires.Unix()
	claims["jti"] = t.ID
	if roles := rolesOf(grant); roles != nil {
		claims[awsclaims.Roles] = roles
	}
	if pooled {
		claims["amr"] = pool.Methods()
		claims[awsclaims.IdentityPoolARN] = pool.ARN
	}

	unsigned := jwt.NewWithClaims(key.method, claims)
	unsigned.Header["kid"] = key.id
	if t.Raw, err = unsigned.SignedString(key.private); err != nil {
		return Token{}, fmt.Errorf("signing a stint token: %w", err)
	}
	return t, nil
}

// PoolTokenLifetime is how long a token of an identity pool lives
// (Cognito Identity API reference, GetOpenIdToken).
const PoolTokenLifetime = 10 * time.Minute

// rolesOf are the roles that a token may buy: one, but for the basic flow of an
// identity pool, where nil is every role that trusts the pool.
func rolesOf(g rules.Grant) []string {
	if pool, _ := g.Pool(); pool.Basic {
		return pool.Roles
	}
	return []string{g.Role()}
}

// sessionClaims is a session in the form that STS reads: tag values are lists
// of one.
func sessionClaims(s rules.Session) jwt.MapClaims {
	claims := jwt.MapClaims{}
	if len(s.Tags) > 0 {
		principal := make(map[string][]string, len(s.Tags))
		for _, t := range s.Tags {
			principal[t.Key] = []string{t.Value}
		}
		tags := map[string]any{awsclaims.PrincipalTags: principal}
		if len(s.Transitive) > 0 {
			tags[awsclaims.TransitiveTagKeys] = s.Transitive
		}
		claims[awsclaims.Tags] = tags
	}
	if s.SourceIdentity != "" {
		claims[awsclaims.SourceIdentity] = s.SourceIdentity
	}
	return claims
}
