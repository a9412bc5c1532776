package server_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"maps"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/emulator/github"
)

const (
	notAJWT       = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	notValidated  = "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements."
	noKey         = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	notAuthorized = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	notAccepted   = "the subject_token is not accepted"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// raw is a token of exactly these texts, signed with the issuer's key or, with
// a secret, by HMAC.
func raw(header, payload string, sign func(input string) []byte) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

func hs256(secret []byte) func(string) []byte {
	return func(input string) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(input))
		return m.Sum(nil)
	}
}

func rs256(t *testing.T, key *rsa.PrivateKey) func(string) []byte {
	return func(input string) []byte {
		sum := sha256.Sum256([]byte(input))
		sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		must(t, err)
		return sig
	}
}

// with is a payload with claims set over it; nil takes one out.
func with(payload map[string]any, claims map[string]any) map[string]any {
	p := maps.Clone(payload)
	for name, v := range claims {
		if p[name] = v; v == nil {
			delete(p, name)
		}
	}
	return p
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// TestBadTokens sends each hostile token to each door that takes one. Only a
// caller who proved to be one of our jobs is told why.
func TestBadTokens(t *testing.T) {
	h := newHarness(t)
	good := h.payload(prod)
	now := h.clock().Unix()
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(h.github.PublicKey())
	must(t, err)
	pub := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	header := func(alg string) string {
		return text(map[string]any{"typ": "JWT", "alg": alg, "kid": h.github.KeyID()})
	}
	signed := func(claims map[string]any) string { return h.sign(with(good, claims), nil) }
	headed := func(params map[string]any) string { return h.sign(good, params) }
	none := func(string) []byte { return nil }

	cases := []struct {
		name   string
		token  string
		reason string // in the record
		proven bool   // the answer says why
		status int    // of the STS door
		code   string // of the STS door
		says   string // how the STS door's message begins
	}{
		{"not a JWT", "hello", "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"two parts", "aaaa.bbbb", "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"four parts", "a.b.c.d", "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"no base64url", "!!!!.!!!!.!!!!", "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"header is no JSON", raw("{", text(good), none), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"payload is no object", raw(header("RS256"), `["a"]`, none), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"invalid UTF-8", raw(header("RS256"), "{\"iss\":\"\xff\xfe\"}", none), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"very deep", raw(header("RS256"), `{"a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`, none), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"doubled claim", raw(header("RS256"), `{"sub":"a","sub":"b",`+text(good)[1:], none), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"doubled kid", raw(`{"kid":"a","kid":"b","alg":"RS256"}`, text(good), none), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"padding", h.token() + "=", "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"white space", h.token() + "\n", "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"crit", headed(map[string]any{"crit": []string{"exp"}}), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"jku", headed(map[string]any{"jku": "https://evil.example/jwks"}), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"x5u", headed(map[string]any{"x5u": "https://evil.example/cert"}), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},
		{"jwk", headed(map[string]any{"jwk": map[string]any{"kty": "RSA"}}), "malformed_token", false, 400, "InvalidIdentityToken", notAJWT},

		{"alg none", raw(header("none"), text(good), none), "algorithm_refused", false, 400, "InvalidIdentityToken", notValidated},
		{"alg nOnE", raw(header("nOnE"), text(good), none), "algorithm_refused", false, 400, "InvalidIdentityToken", notValidated},
		{"HS256 with the public key, PEM", raw(header("HS256"), text(good), hs256(pub)), "algorithm_refused", false, 400, "InvalidIdentityToken", notValidated},
		{"HS256 with the public key, DER", raw(header("HS256"), text(good), hs256(public)), "algorithm_refused", false, 400, "InvalidIdentityToken", notValidated},
		{"PS256", headed(map[string]any{"alg": "PS256"}), "algorithm_refused", false, 400, "InvalidIdentityToken", notValidated},
		{"an algorithm that the key does not have", headed(map[string]any{"alg": "ES256"}), "algorithm_refused", false, 400, "InvalidIdentityToken", notValidated},
		{"kid unknown", headed(map[string]any{"kid": "nobody"}), "unknown_key", false, 400, "InvalidIdentityToken", noKey},
		{"kid missing", headed(map[string]any{"kid": nil}), "unknown_key", false, 400, "InvalidIdentityToken", noKey},
		{"another's key", raw(header("RS256"), text(good), rs256(t, stranger)), "bad_signature", false, 400, "InvalidIdentityToken", notValidated},
		{"no signature", raw(header("RS256"), text(good), none), "bad_signature", false, 400, "InvalidIdentityToken", notValidated},

		{"foreign issuer", signed(map[string]any{"iss": "https://evil.example"}), "unknown_issuer", false, 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://evil.example"},
		{"issuer with a slash", signed(map[string]any{"iss": good["iss"].(string) + "/"}), "unknown_issuer", false, 400, "InvalidIdentityToken", "No OpenIDConnect provider found"},
		{"issuer in another case", signed(map[string]any{"iss": strings.ToUpper(good["iss"].(string))}), "unknown_issuer", false, 400, "InvalidIdentityToken", "No OpenIDConnect provider found"},
		{"issuer of another type", signed(map[string]any{"iss": 7}), "unknown_issuer", false, 400, "InvalidIdentityToken", "No OpenIDConnect provider found"},
		{"another owner", h.sign(h.payload(github.Job{Repository: "evil/octo-repo", RepositoryID: "74", OwnerID: "66", Environment: "prod"}), nil), "outside_only", false, 403, "AccessDenied", notAuthorized},

		{"no audience", signed(map[string]any{"aud": nil}), "bad_claims", false, 400, "InvalidIdentityToken", notValidated},
		{"foreign audience", signed(map[string]any{"aud": "sts.amazonaws.com"}), "wrong_audience", true, 400, "InvalidIdentityToken", "Incorrect token audience: "},
		{"audience in another case", signed(map[string]any{"aud": "https://STINT.example.com"}), "wrong_audience", true, 400, "InvalidIdentityToken", "Incorrect token audience: "},
		{"several audiences", signed(map[string]any{"aud": []string{audience, "https://evil.example"}}), "wrong_audience", true, 400, "InvalidIdentityToken", "Incorrect token audience: "},
		{"expired", signed(map[string]any{"iat": now - 900, "nbf": now - 900, "exp": now - 600}), "token_expired", true, 400, "ExpiredTokenException", "Token expired: "},
		{"expired, from outside", h.sign(with(h.payload(github.Job{Repository: "evil/x", OwnerID: "66"}), map[string]any{"iat": now - 900, "exp": now - 600}), nil), "outside_only", false, 403, "AccessDenied", notAuthorized},
		{"not yet valid", signed(map[string]any{"nbf": now + 600}), "token_not_yet_valid", true, 400, "InvalidIdentityToken", "Token not yet valid: "},
		{"from the future", signed(map[string]any{"iat": now + 600, "exp": now + 900}), "token_from_future", true, 400, "InvalidIdentityToken", "Token issued in the future: "},
		{"exp missing", signed(map[string]any{"exp": nil}), "bad_time", false, 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"exp a float", signed(map[string]any{"exp": float64(now) + 300.5}), "bad_time", false, 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"exp a string", signed(map[string]any{"exp": "1999999999"}), "bad_time", false, 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"exp beyond range", signed(map[string]any{"exp": json.Number("99999999999999999999")}), "bad_time", false, 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"nbf a string", signed(map[string]any{"nbf": "1"}), "bad_time", false, 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"iat negative", signed(map[string]any{"iat": -1}), "bad_time", false, 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"sub missing", signed(map[string]any{"sub": nil}), "bad_claims", false, 400, "InvalidIdentityToken", notValidated},
		{"sub a number", signed(map[string]any{"sub": 1}), "bad_claims", false, 400, "InvalidIdentityToken", notValidated},
		{"repository_id a number", signed(map[string]any{"repository_id": 74}), "bad_claims", false, 400, "InvalidIdentityToken", notValidated},
		{"environment a list", signed(map[string]any{"environment": []string{"prod", "dev"}}), "bad_claims", false, 400, "InvalidIdentityToken", notValidated},

		{"a pull request", h.sign(h.payload(github.Job{Event: "pull_request"}), nil), "deny_rule", true, 403, "AccessDenied", notAuthorized + ": "},
		{"another environment", h.sign(h.payload(github.Job{Environment: "dev"}), nil), "no_rule_matched", true, 403, "AccessDenied", notAuthorized + ": "},
		{"a tag value that is too long", signed(map[string]any{"custom": strings.Repeat("x", 257)}), "session_invalid", true, 403, "AccessDenied", notAuthorized + ": "},
		{"a tag value with other characters", signed(map[string]any{"custom": "a*b"}), "session_invalid", true, 403, "AccessDenied", notAuthorized + ": "},
		{"a source identity with other characters", signed(map[string]any{"actor_id": "a b"}), "session_invalid", true, 403, "AccessDenied", notAuthorized + ": "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Run("token", func(t *testing.T) {
				a := h.post("/token", exchangeForm(c.token))
				code, description, denial := a.oauth(t)
				want := "invalid_request"
				if c.status == 403 && c.proven {
					want = "invalid_target"
				}
				if a.status != 400 || code != want {
					t.Errorf("got %d %s, want 400 %s", a.status, code, want)
				}
				if c.proven != (denial != nil) {
					t.Errorf("proven %v, and told %v", c.proven, denial)
				}
				if !c.proven && description != notAccepted {
					t.Errorf("a stranger was told %q", description)
				}
				if c.proven && denial["reason"] != c.reason {
					t.Errorf("told the reason %v, want %s", denial["reason"], c.reason)
				}
				checkRecord(t, h.last(), "token", c.reason, c.token)
			})
			t.Run("aws-sts", func(t *testing.T) {
				a := h.post("/aws/sts", stsForm(c.token))
				var e struct {
					Error struct{ Type, Code, Message string }
				}
				must(t, xml.Unmarshal([]byte(a.body), &e))
				if a.status != c.status || e.Error.Code != c.code || e.Error.Type != "Sender" {
					t.Errorf("got %d %+v, want %d %s", a.status, e.Error, c.status, c.code)
				}
				if !strings.HasPrefix(e.Error.Message, c.says) {
					t.Errorf("says %q, want it to begin with %q", e.Error.Message, c.says)
				}
				if told := strings.Contains(e.Error.Message, "(record "); told != c.proven {
					t.Errorf("proven %v, and told %q", c.proven, e.Error.Message)
				}
				checkRecord(t, h.last(), "aws-sts", c.reason, c.token)
			})
		})
	}
}

func checkRecord(t *testing.T, r audit.Record, door, reason, token string) {
	t.Helper()
	if r.Door != door || r.Verdict != audit.Denied || r.Reason != reason || r.Outcome != nil {
		t.Errorf("recorded %s %s %s %v, want %s denied %s", r.Door, r.Verdict, r.Reason, r.Outcome, door, reason)
	}
	if r.Detail == "" {
		t.Error("the record does not say what happened")
	}
	if len(token) > 100 && strings.Contains(text(r), token[len(token)-100:]) {
		t.Error("the record holds the token")
	}
}
