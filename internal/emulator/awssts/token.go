package awssts

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/stint-dev/stint/internal/strictjson"
)

const (
	// skew is how far the clocks may differ.
	skew = 5 * time.Minute
	// lastTime is the end of the year 9999: later times cannot be written.
	lastTime = 253402300799
)

// token is a web identity token that has been read, but not verified.
type token struct {
	claims    map[string]any // numbers are json.Number
	signed    string         // what the signature covers
	signature []byte
	algorithm string
	keyID     string // empty where the header has none

	issuer   string
	subject  string
	audience string // the audience in effect: azp, else aud
}

// readToken reads the compact form of a JWT (RFC 7515 section 3.1).
func readToken(raw string) (*token, *fault) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, notAJWT().because("expected three parts between dots, found %d", len(parts))
	}
	header, f := readPart(parts[0], "header")
	if f != nil {
		return nil, f
	}
	// An extension that must be understood, and is not (RFC 7515 section
	// 4.1.11). jku, x5u, x5c and jwk are not looked at: a token that could
	// name its own key would be believed whoever signed it.
	if _, critical := header["crit"]; critical {
		return nil, notAJWT().because("the header has crit")
	}
	t := &token{signed: parts[0] + "." + parts[1]}
	var ok bool
	if t.algorithm, ok = header["alg"].(string); !ok {
		return nil, notAJWT().because("the header has no alg")
	}
	if kid, present := header["kid"]; present {
		if t.keyID, ok = kid.(string); !ok || t.keyID == "" {
			return nil, notAJWT().because("the header's kid is no text")
		}
	}
	if t.claims, f = readPart(parts[1], "payload"); f != nil {
		return nil, f
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return nil, notAJWT().because("the signature is not base64url")
	}
	t.signature = signature
	return t, nil
}

func readPart(part, name string) (map[string]any, *fault) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, notAJWT().because("the %s is not base64url", name)
	}
	object, err := strictjson.Object(data)
	if err != nil {
		return nil, notAJWT().because("the %s: %s", name, err)
	}
	return object, nil
}

// checkClaims checks the claims that STS requires of every token, and reads
// them.
func (t *token) checkClaims(now time.Time) *fault {
	for _, name := range []string{"iss", "sub", "aud", "iat", "exp"} {
		if t.claims[name] == nil {
			return invalidToken("Missing a required claim: " + name)
		}
	}
	var ok bool
	if t.issuer, ok = t.claims["iss"].(string); !ok {
		return notAJWT().because("iss is no text")
	}
	if t.subject, ok = t.claims["sub"].(string); !ok {
		return notAJWT().because("sub is no text")
	}
	if f := t.readAudience(); f != nil {
		return f
	}
	return t.checkTimes(now)
}

func (t *token) readAudience() *fault {
	var audiences []string
	switch aud := t.claims["aud"].(type) {
	case string:
		audiences = []string{aud}
	case []any:
		for _, a := range aud {
			text, ok := a.(string)
			if !ok {
				return notAJWT().because("aud holds something that is no text")
			}
			audiences = append(audiences, text)
		}
	default:
		return notAJWT().because("aud is neither a text nor a list")
	}
	if len(audiences) == 0 || audiences[0] == "" {
		return invalidToken("Claim is not allowed to be empty: aud")
	}
	t.audience = audiences[0]
	switch azp := t.claims["azp"].(type) {
	case string:
		if azp != "" {
			t.audience = azp
			return nil
		}
	case nil:
	default:
		return notAJWT().because("azp is no text")
	}
	if len(audiences) > 1 {
		return invalidToken("Token audience contains more than one audience while authorized party is not present")
	}
	return nil
}

func (t *token) checkTimes(now time.Time) *fault {
	at := map[string]int64{}
	for _, name := range []string{"exp", "iat", "nbf"} {
		v, present := t.claims[name]
		if !present || v == nil {
			continue
		}
		number, ok := v.(json.Number)
		seconds, err := strconv.ParseInt(string(number), 10, 64)
		if !ok || err != nil || seconds < 0 || seconds > lastTime {
			return invalidToken("Invalid timestamp in token claims.").because("%s is not a whole number of seconds since 1970", name)
		}
		at[name] = seconds
	}
	early, late := now.Add(-skew).Unix(), now.Add(skew).Unix()
	text := func(n int64) string { return strconv.FormatInt(n, 10) }
	switch nbf, limited := at["nbf"]; {
	case early >= at["exp"]:
		f := invalidToken("Token expired: current date/time " + text(early) + " must be before the expiration date/time " + text(at["exp"]))
		f.Code = "ExpiredTokenException"
		return f
	case at["iat"] > late:
		return invalidToken("Token issued in the future: " + text(at["iat"]))
	case limited && late < nbf:
		return invalidToken("Token not yet valid: current date/time " + text(late) + " must be after or equal to the not-before date/time " + text(nbf))
	}
	return nil
}
