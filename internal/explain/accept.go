package explain

import (
	"slices"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
)

// Accepted are the claims that a broker with this configuration would make of
// a token's payload; ok is false where it would not take the token. As in
// Rules, signature and times are not looked at, and what is decided on the
// claims must never be minted.
func Accepted(cfg *config.Config, payload map[string]any) (claims identity.Claims, ok bool) {
	iss, _ := payload["iss"].(string)
	at := slices.IndexFunc(cfg.Issuers, func(i config.Issuer) bool { return i.URL == iss })
	if at < 0 {
		return identity.Claims{}, false
	}
	issuer := cfg.Issuers[at]
	claims = identity.InsecureClaims(issuer.Name, issuer.Platform, payload)
	if _, ok := accept(issuer, claims); !ok {
		return identity.Claims{}, false
	}
	return claims, true
}
