package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/strictjson"
)

// MaxTokenSize is the most bytes that a job token may have. GitHub's have
// about 1.5 KiB; a GitLab token of a user in 200 groups stays below.
const MaxTokenSize = 16 << 10

const maxKeyID = 256 // bytes of a kid

// methods are the signature algorithms that are believed: asymmetric ones
// only, under their exact names (RFC 7518 section 3.1 compares by case).
var methods = map[string]jwt.SigningMethod{
	"RS256": jwt.SigningMethodRS256,
	"RS384": jwt.SigningMethodRS384,
	"RS512": jwt.SigningMethodRS512,
	"ES256": jwt.SigningMethodES256,
	"ES384": jwt.SigningMethodES384,
	"ES512": jwt.SigningMethodES512,
}

// SupportedAlgorithms are the JWS algorithms that job tokens may be signed
// with (RFC 7518 section 3.1).
func SupportedAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}
}

// token is a JWS in compact form (RFC 7515 section 7.1), taken apart and not
// yet believed.
type token struct {
	input     string // what the signature is over
	signature []byte
	header    map[string]any
	payload   map[string]any
	digest    string // hex SHA-256 of the whole

	algorithm string
	keyID     string
}

// parse takes a raw token apart. What it knows of the token stands in the
// result even where the Rejection is not nil.
func parse(raw string) (*token, *Rejection) {
	t := &token{}
	if len(raw) > MaxTokenSize {
		return t, &Rejection{Kind: Malformed, Detail: "The token is too large.",
			Expected: fmt.Sprintf("at most %d bytes", MaxTokenSize), Found: fmt.Sprintf("%d bytes", len(raw))}
	}
	sum := sha256.Sum256([]byte(raw))
	t.digest = hex.EncodeToString(sum[:])

	first := strings.IndexByte(raw, '.')
	last := strings.LastIndexByte(raw, '.')
	if dots := strings.Count(raw, "."); dots != 2 {
		return t, &Rejection{Kind: Malformed, Detail: "The token is not a signed JWT.",
			Expected: "three parts with a dot between them", Found: fmt.Sprintf("%d", dots+1),
			Hint: "Pass the token as it is, without quotes and without a line break."}
	}
	t.input = raw[:last]
	header, err := decodePart("header", raw[:first])
	if err != nil {
		return t, err
	}
	payload, err := decodePart("payload", raw[first+1:last])
	if err != nil {
		return t, err
	}
	if t.signature, err = decodePart("signature", raw[last+1:]); err != nil {
		return t, err
	}
	// The payload comes first so that the record of a token with a bad header
	// can say who it claims to be.
	var jsonErr error
	if t.payload, jsonErr = strictjson.Object(payload); jsonErr != nil {
		return t, malformed("payload", jsonErr)
	}
	if t.header, jsonErr = strictjson.Object(header); jsonErr != nil {
		return t, malformed("header", jsonErr)
	}
	return t, t.checkHeader()
}

// strictBase64 refuses padding and trailing bits that are not zero: either
// would give one token several spellings, and several digests in the record.
var strictBase64 = base64.RawURLEncoding.Strict()

func decodePart(name, part string) ([]byte, *Rejection) {
	// An empty signature is left to the algorithm: alg none has one.
	if part == "" && name != "signature" {
		return nil, malformed(name, fmt.Errorf("it is empty"))
	}
	b, err := decodeBase64(part)
	if err != nil {
		return nil, malformed(name, err)
	}
	return b, nil
}

// decodeBase64 refuses line breaks itself, since package base64 skips them
// even where it is strict.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("not base64url without padding: it holds a line break")
	}
	b, err := strictBase64.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("not base64url without padding: %w", err)
	}
	return b, nil
}

func malformed(part string, err error) *Rejection {
	return &Rejection{Kind: Malformed, Detail: fmt.Sprintf("The token's %s cannot be read: %s.", part, shorten(err.Error(), maxFound)), Err: err}
}

// refusedHeaders name a key or change how the token is read. jku, x5u, jwk and
// x5c let the token say whom to believe; crit and b64 demand what stint does
// not do (RFC 7515 section 4.1, RFC 7797). None of the issuers whose tokens
// stint reads sends any of them.
var refusedHeaders = []string{"crit", "jku", "x5u", "jwk", "x5c", "b64"}

func (t *token) checkHeader() *Rejection {
	for _, name := range refusedHeaders {
		if _, present := t.header[name]; present {
			return &Rejection{Kind: Malformed, Detail: fmt.Sprintf("The token's header has %q, which is refused.", name),
				Expected: "a header with typ, alg and kid"}
		}
	}
	// Other types (logout+jwt, dpop+jwt, secevent+jwt ...) are statements of
	// the same issuer that mean something else (RFC 8725 section 3.11).
	// Kubernetes sends no typ at all.
	if v, present := t.header["typ"]; present {
		typ, ok := v.(string)
		switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
		case "jwt", "at+jwt":
		default:
			ok = false
		}
		if !ok {
			return &Rejection{Kind: Malformed, Detail: "The token is of another type.", Expected: "typ JWT", Found: found(v)}
		}
	}
	var r *Rejection
	if t.algorithm, r = t.headerText("alg"); r != nil {
		return r
	}
	if t.keyID, r = t.headerText("kid"); r != nil {
		return r
	}
	if len(t.keyID) > maxKeyID {
		return &Rejection{Kind: Malformed, Detail: "The token's kid is too long.",
			Expected: fmt.Sprintf("at most %d bytes", maxKeyID), Found: fmt.Sprintf("%d bytes", len(t.keyID))}
	}
	return nil
}

// headerText is a header parameter that must be a string where it is there.
func (t *token) headerText(name string) (string, *Rejection) {
	v, present := t.header[name]
	s, ok := v.(string)
	if present && !ok {
		return "", &Rejection{Kind: Malformed, Detail: fmt.Sprintf("The token's %s is not a string.", name), Expected: "a string", Found: found(v)}
	}
	return s, nil
}

// seen is what the token says of itself.
func (t *token) seen() Seen {
	s := see(t.payload)
	s.TokenSHA256 = t.digest
	return s
}

// found is a claim's value as a sentence quotes it.
func found(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("%q", shorten(v, maxFound))
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	s, _ := scalar(v)
	return shorten(s, maxFound)
}
