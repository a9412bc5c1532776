// Package mint turns a recorded grant into a stint token and, for AWS, into
// credentials bought with it at AWS STS. It takes audit.Recorded and nothing
// else, so that nothing can be minted that is not on record.
package mint

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/rules"
)

// The claims that AWS STS reads out of a web identity token.
const (
	claimTags           = "https://aws.amazon.com/tags"
	claimSourceIdentity = "https://aws.amazon.com/source_identity"
	claimRoles          = "https://aws.amazon.com/roles"
)

// Token is a stint token. Its text is a bearer credential: formatting and
// logging a Token never show it.
type Token struct {
	Raw      string
	ID       string // jti
	KeyID    string
	IssuedAt time.Time
	Expires  time.Time
}

// String leaves the token itself out.
func (t Token) String() string { return fmt.Sprintf("stint token %s", t.ID) }

// GoString leaves the token itself out.
func (t Token) GoString() string { return t.String() }

// LogValue leaves the token itself out.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText leaves the token itself out.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Config is what a Minter stands on.
type Config struct {
	Issuer   string // the iss
	Keys     *Keys
	Lifetime time.Duration // of a token: minutes
	Now      func() time.Time
	Rand     io.Reader // of token ids; nil means crypto/rand
}

// Minter signs stint tokens. It is safe for concurrent use.
type Minter struct{ cfg Config }

// New returns a Minter.
func New(cfg Config) *Minter {
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
	if r.ID() == "" || grant.Role() == "" || grant.Subject() == "" || grant.Audience() == "" {
		return Token{}, errors.New("signing a stint token: expected a recorded grant, found none")
	}
	key, err := m.cfg.Keys.signer()
	if err != nil {
		return Token{}, fmt.Errorf("signing a stint token: %w", err)
	}
	var id [16]byte
	if _, err := io.ReadFull(m.cfg.Rand, id[:]); err != nil {
		return Token{}, fmt.Errorf("signing a stint token: making its id: %w", err)
	}
	now := m.cfg.Now().UTC().Truncate(time.Second)
	t := Token{ID: hex.EncodeToString(id[:]), KeyID: key.id, IssuedAt: now, Expires: now.Add(m.cfg.Lifetime)}

	claims := sessionClaims(grant.Session())
	claims["iss"] = m.cfg.Issuer
	claims["sub"] = grant.Subject()
	claims["aud"] = grant.Audience()
	claims["iat"] = t.IssuedAt.Unix()
	claims["nbf"] = t.IssuedAt.Unix()
	claims["exp"] = t.Expires.Unix()
	claims["jti"] = t.ID
	claims[claimRoles] = []string{grant.Role()}

	unsigned := jwt.NewWithClaims(key.method, claims)
	unsigned.Header["kid"] = key.id
	if t.Raw, err = unsigned.SignedString(key.private); err != nil {
		return Token{}, fmt.Errorf("signing a stint token: %w", err)
	}
	return t, nil
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
		tags := map[string]any{"principal_tags": principal}
		if len(s.Transitive) > 0 {
			tags["transitive_tag_keys"] = s.Transitive
		}
		claims[claimTags] = tags
	}
	if s.SourceIdentity != "" {
		claims[claimSourceIdentity] = s.SourceIdentity
	}
	return claims
}
