package identity

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// InspectConfig is what Inspect takes from the world around it.
type InspectConfig struct {
	// JWKS is the key set itself, or JWKSURL where it is. With neither, the
	// token's own iss is asked: whose signature it is then means only that
	// whoever controls that address signed it.
	JWKS    []byte
	JWKSURL string

	HTTP         *http.Client     // nil means NewHTTPClient
	Now          func() time.Time // nil means time.Now
	FetchTimeout time.Duration    // 0 means 10 s
	Leeway       time.Duration    // 0 means 60 s
}

// Inspection is what a token holds and whether it would hold. It is for
// people to read: nothing can be decided on it, and no Claims come out of it.
type Inspection struct {
	Header    map[string]any
	Payload   map[string]any
	Issuer    string
	Platform  Platform
	Subject   Subject // of a GitHub token
	Algorithm string
	KeyID     string

	Signed       bool  // the signature holds with a key of the set
	SignatureErr error // why it does not, or could not be checked

	Issued, NotBefore, Expires time.Time // zero where absent or unreadable
	TimeErr                    error     // why the token does not hold now
	ClaimsErr                  error     // what Verify would say of its claims' types
}

// Inspect takes apart a token of any issuer. The error is a *Rejection, and
// says that the token cannot be read at all; what is wrong with one that can
// stands in the Inspection.
func Inspect(ctx context.Context, raw string, cfg InspectConfig) (*Inspection, error) {
	t, r := parse(raw)
	if r != nil {
		r.Seen = t.seen()
		return nil, r
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	iss, _ := t.payload["iss"].(string)
	in := &Inspection{
		Header: t.header, Payload: t.payload, Issuer: iss, Platform: PlatformOf(iss), Algorithm: t.algorithm, KeyID: t.keyID,
	}
	if sub, ok := t.payload["sub"].(string); ok && in.Platform == GitHub {
		in.Subject = ParseSubject(sub)
	}
	for name, to := range map[string]*time.Time{"iat": &in.Issued, "nbf": &in.NotBefore, "exp": &in.Expires} {
		if n, ok := seconds(t.payload[name]); ok {
			*to = time.Unix(n, 0).UTC()
		}
	}
	if _, r := checkClaims(in.Platform, t.payload); r != nil {
		in.ClaimsErr = r
	}
	when, r := times(t.payload)
	if r == nil {
		r = when.check(cfg.Now(), or(cfg.Leeway, time.Minute))
	}
	if r != nil {
		in.TimeErr = r
	}
	in.SignatureErr = inspectSignature(ctx, t, iss, cfg)
	in.Signed = in.SignatureErr == nil
	return in, nil
}

func inspectSignature(ctx context.Context, t *token, iss string, cfg InspectConfig) error {
	if _, ok := methods[t.algorithm]; !ok {
		return &Rejection{Kind: BadAlgorithm, Detail: "The token's algorithm is refused.", Found: found(t.header["alg"])}
	}
	if t.keyID == "" {
		return &Rejection{Kind: UnknownKey, Detail: "The token does not say which key signed it.", Expected: "a kid", Found: "nothing"}
	}
	data := cfg.JWKS
	if data == nil {
		ctx, cancel := context.WithTimeout(ctx, or(cfg.FetchTimeout, 10*time.Second))
		defer cancel()
		if cfg.JWKSURL != "" {
			if err := checkURL(cfg.JWKSURL, true); err != nil {
				return unavailable(err)
			}
		} else if iss == "" {
			return unavailable(errors.New("the token has no iss to ask for keys"))
		}
		var err error
		if data, err = loader(Issuer{URL: iss, JWKSURL: cfg.JWKSURL}, newFetcher(cfg.HTTP), nil)(ctx); err != nil {
			return unavailable(err)
		}
	}
	keys, _, err := parseKeySet(data)
	if err != nil {
		return unavailable(err)
	}
	k, ok := keys[t.keyID]
	if !ok {
		return &Rejection{Kind: UnknownKey, Detail: "The issuer has no usable key of this kid.", Found: found(t.keyID), Err: errUnknownKey}
	}
	if r := t.verify(k); r != nil {
		return r
	}
	return nil
}

func unavailable(err error) *Rejection {
	return &Rejection{Kind: KeysUnavailable, Detail: "The issuer's keys could not be fetched: " + shorten(err.Error(), 2*maxFound) + ".", Err: err}
}
