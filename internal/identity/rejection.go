package identity

import (
	"fmt"
	"time"
)

// Kind is why a token is not believed.
type Kind string

// The kinds of Rejection.
const (
	Malformed       Kind = "malformed_token"     // not a JWT, or one that two parsers could read in two ways
	UnknownIssuer   Kind = "unknown_issuer"      // its iss is not configured
	BadAlgorithm    Kind = "algorithm_refused"   // none, HMAC, or not the algorithm of the key
	UnknownKey      Kind = "unknown_key"         // no key of the issuer has its kid
	BadSignature    Kind = "bad_signature"       // the issuer's key did not sign it
	KeysUnavailable Kind = "keys_unavailable"    // the key may exist, and the issuer cannot be asked now: try again
	OutsideOnly     Kind = "outside_only"        // really signed, for somebody else's tenant
	WrongAudience   Kind = "wrong_audience"      // meant for another service
	Expired         Kind = "token_expired"       // exp has passed
	NotYetValid     Kind = "token_not_yet_valid" // nbf has not come
	IssuedInFuture  Kind = "token_from_future"   // iat has not come
	BadTime         Kind = "bad_time"            // exp, nbf or iat is missing, no integer, or beyond range
	BadClaims       Kind = "bad_claims"          // a claim is missing or has the wrong type
)

// Rejection is the error of a token that is not believed.
type Rejection struct {
	Kind Kind
	// Proven is whether the caller showed to be one of our jobs all the same:
	// a configured issuer signed the token, and it lies inside that issuer's
	// `only`. Nobody else is told any of the fields below.
	Proven   bool
	Detail   string // one sentence
	Expected string
	Found    string
	Hint     string
	Seen     Seen
	Err      error // the cause, for the log
}

// Error is for the broker's own log and record, never for a stranger.
func (r *Rejection) Error() string {
	s := string(r.Kind) + ": " + r.Detail
	if r.Expected != "" || r.Found != "" {
		s += fmt.Sprintf(" (expected %s, found %s)", r.Expected, r.Found)
	}
	return s
}

func (r *Rejection) Unwrap() error { return r.Err }

// Seen is what a rejected token says of itself, shortened, for the record.
// Unless Signed is set, anybody may have written it.
type Seen struct {
	Signed      bool   // an issuer of ours signed it
	IssuerName  string // the configured name, if the issuer is known
	Issuer      string
	Subject     string
	TokenSHA256 string
	Claims      map[string]string // texts, shortened, of the claims that records hold
	Expires     time.Time
}
