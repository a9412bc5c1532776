package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stint-dev/stint/client"
	"github.com/stint-dev/stint/internal/identity"
)

// inspect takes a token apart and checks its signature. Without jwksURL the
// keys are those at STINT_JWKS_URL, or else those that the issuer publishes.
//
// STINT_JWKS_URL stands for the CI system's keys where its issuer cannot be
// reached by name, as in `stint dev`. The broker's issuer cannot be reached
// there either, so a key that is not among them is looked for at the broker
// itself. The report says whose keys it was.
func inspect(ctx context.Context, e *Env, raw client.Secret, jwksURL, broker string) (inspected, error) {
	look := func(at string) (*identity.Inspection, error) {
		return identity.Inspect(ctx, raw.Reveal(), identity.InspectConfig{JWKSURL: at, Now: e.Now})
	}
	fromEnv := e.Getenv("STINT_JWKS_URL")
	keySet := first(jwksURL, fromEnv)
	found, err := look(keySet)
	if err != nil {
		return inspected{}, err
	}
	if jwksURL == "" && fromEnv != "" && broker != "" && !found.Signed {
		atBroker := strings.TrimSuffix(broker, "/") + "/.well-known/jwks"
		if second, err := look(atBroker); err == nil && second.Signed {
			found, keySet = second, atBroker
		}
	}
	return describe(found, keySet, e.Now()), nil
}

// describe reads out of a token what its reader wants to know first.
func describe(found *identity.Inspection, keySet string, now time.Time) inspected {
	subject, _ := found.Payload["sub"].(string)
	i := inspected{
		Signature: signatureHolds,
		Algorithm: found.Algorithm,
		KeyID:     found.KeyID,
		KeySet:    first(keySet, "published by "+found.Issuer),
		Issuer:    found.Issuer,
		Subject:   subject,
		Form:      string(found.Subject.Form),
		Audience:  []string{},
		IssuedAt:  present(found.Issued),
		NotBefore: present(found.NotBefore),
		Expires:   present(found.Expires),
		Expired:   !found.Expires.IsZero() && found.Expires.Before(now),
		Header:    found.Header,
		Claims:    found.Payload,
		Derived:   identity.InsecureClaims("", found.Platform, found.Payload).Derived(),
	}
	if !found.Signed {
		i.Signature, i.Problem = signatureWrong, "no key of the issuer signed it"
		var r *identity.Rejection
		if errors.As(found.SignatureErr, &r) {
			i.Problem = r.Detail
			if r.Kind == identity.KeysUnavailable {
				i.Signature = signatureUnknown
			}
		}
	}
	for _, err := range []error{found.TimeErr, found.ClaimsErr} {
		var r *identity.Rejection
		if errors.As(err, &r) {
			i.Warnings = append(i.Warnings, r.Detail)
		}
	}
	switch aud := found.Payload["aud"].(type) {
	case string:
		i.Audience = append(i.Audience, aud)
	case []any:
		for _, a := range aud {
			i.Audience = append(i.Audience, claimText(a))
		}
	}
	// A stint token's subject begins with the name that the broker gives the
	// issuer of the job token.
	if _, sub, ok := strings.Cut(subject, ":"); ok && i.Form == "" && strings.HasPrefix(sub, "repo:") {
		i.Form = string(identity.ParseSubject(sub).Form)
	}
	return i
}

// present is nil for a time that the token does not have.
func present(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
