package awssts_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/emulator/awssts"
)

const (
	notAJWT      = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	noKey        = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	notValidated = "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements."
	badTags      = "principal_tags passed in claim is not in correct format."
	tagsURL      = "https://aws.amazon.com/tags"
)

func TestSuccess(t *testing.T) {
	w := newWorld(t)
	a := w.post(parameters(w.sign("ES256", set(w.claims(),
		"aud", "https://sts.example.com", // registered because the trust policy names it
		tagsURL, map[string]any{"principal_tags": map[string]any{"repository": []string{"octo-org/octo-repo"}}, "transitive_tag_keys": []string{"repository"}},
		"https://aws.amazon.com/source_identity", "octocat",
	)), "DurationSeconds", "7200"))
	if a.Status != http.StatusOK {
		t.Fatal(a.Body)
	}
	r := a.Result
	if !strings.HasPrefix(r.Credentials.AccessKeyID, "ASIA") || len(r.Credentials.AccessKeyID) != 20 || len(r.Credentials.SecretAccessKey) != 40 {
		t.Errorf("credentials of a wrong form: %q", r.Credentials.AccessKeyID)
	}
	if !r.Credentials.Expiration.Equal(start.Add(2 * time.Hour)) { // the token's exp does not cap it
		t.Errorf("expiration %v", r.Credentials.Expiration)
	}
	if len(r.Credentials.SessionToken) != r.SessionTokenSize || strings.Contains(r.Credentials.SessionToken, "octo") {
		t.Errorf("session token of %d bytes, said %d", len(r.Credentials.SessionToken), r.SessionTokenSize)
	}
	got := fmt.Sprintf("%s|%s|%s|%s|%s|%s", r.SubjectFromWebIdentityToken, r.AssumedRoleUser.AssumedRoleID, r.AssumedRoleUser.ARN, r.Provider, r.Audience, r.SourceIdentity)
	want := "github:repo:octo-org/octo-repo:environment:prod|AROAEXAMPLEID12345678:octo-repo-1|arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-1|" + oidc + "|https://sts.example.com|octocat"
	if got != want {
		t.Errorf("expected %s\nfound    %s", want, got)
	}
	d := w.last()
	if !d.Allowed || d.Evaluation == nil || !d.Evaluation.Allowed || len(d.Evaluation.Actions) != 3 || d.RequestID != a.ID && !strings.Contains(a.Body, d.RequestID) {
		t.Errorf("decision %+v", d)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{r.Credentials.SecretAccessKey, r.Credentials.SessionToken} {
		if strings.Contains(string(text), secret) {
			t.Error("the decision holds a secret")
		}
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	now := start.Unix()
	es := func(changes ...any) string { return w.sign("ES256", set(w.claims(), changes...)) }
	good := es()
	parts := strings.Split(good, ".")
	cases := []struct {
		name, token string
		status      int
		code, text  string
	}{
		{"not a JWT", "abcd", 400, "InvalidIdentityToken", notAJWT},
		{"five parts", "a.b.c.d.e", 400, "InvalidIdentityToken", notAJWT},
		{"not base64url", "!." + parts[1] + "." + parts[2], 400, "InvalidIdentityToken", notAJWT},
		{"signature in another spelling", good[:len(good)-1] + respelled(good[len(good)-1]), 400, "InvalidIdentityToken", notAJWT},
		{"padded", parts[0] + "=." + parts[1] + "." + parts[2], 400, "InvalidIdentityToken", notAJWT},
		{"payload is a list", parts[0] + "." + b64([]byte(`[]`)) + "." + parts[2], 400, "InvalidIdentityToken", notAJWT},
		{"doubled claim", parts[0] + "." + b64([]byte(`{"iss":"a","iss":"b"}`)) + "." + parts[2], 400, "InvalidIdentityToken", notAJWT},
		{"deep payload", parts[0] + "." + b64([]byte(`{"a":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`)) + "." + parts[2], 400, "InvalidIdentityToken", notAJWT},
		{"invalid UTF-8", parts[0] + "." + b64([]byte("{\"a\":\"\xff\"}")) + "." + parts[2], 400, "InvalidIdentityToken", notAJWT},
		{"crit", w.sign("ES256", w.claims(), "crit", []string{"exp"}), 400, "InvalidIdentityToken", notAJWT},
		{"iss is a number", es("iss", 1), 400, "InvalidIdentityToken", notAJWT},
		{"aud is an object", es("aud", map[string]any{}), 400, "InvalidIdentityToken", notAJWT},

		{"no iss", es("iss", nil), 400, "InvalidIdentityToken", "Missing a required claim: iss"},
		{"no sub", es("sub", nil), 400, "InvalidIdentityToken", "Missing a required claim: sub"},
		{"no aud", es("aud", nil), 400, "InvalidIdentityToken", "Missing a required claim: aud"},
		{"no iat", es("iat", nil), 400, "InvalidIdentityToken", "Missing a required claim: iat"},
		{"no exp", es("exp", nil), 400, "InvalidIdentityToken", "Missing a required claim: exp"},
		{"empty aud", es("aud", ""), 400, "InvalidIdentityToken", "Claim is not allowed to be empty: aud"},
		{"aud an empty list", es("aud", []string{}), 400, "InvalidIdentityToken", "Claim is not allowed to be empty: aud"},
		{"several audiences", es("aud", []string{"sts.amazonaws.com", "x"}), 400, "InvalidIdentityToken", "Token audience contains more than one audience while authorized party is not present"},
		{"several audiences and azp", es("aud", []string{"a", "b"}, "azp", "sts.amazonaws.com"), 200, "", ""},
		{"azp overrides aud", es("azp", "foreign"), 400, "InvalidIdentityToken", notValidated},
		{"aud a list of one", es("aud", []string{"configured"}), 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"},

		{"exp is text", es("exp", "9"), 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"iat is negative", es("iat", -1), 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"nbf is a float", es("nbf", 1.5), 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"exp beyond range", es("exp", json.Number("99999999999999999999")), 400, "InvalidIdentityToken", "Invalid timestamp in token claims."},
		{"expired", es("exp", now-300), 400, "ExpiredTokenException", fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", now-300, now-300)},
		{"expired within the skew", es("exp", now-299), 200, "", ""},
		{"issued in the future", es("iat", now+301), 400, "InvalidIdentityToken", fmt.Sprintf("Token issued in the future: %d", now+301)},
		{"issued within the skew", es("iat", now+300), 200, "", ""},
		{"not yet valid", es("nbf", now+301), 400, "InvalidIdentityToken", fmt.Sprintf("Token not yet valid: current date/time %d must be after or equal to the not-before date/time %d", now+300, now+301)},
		{"valid within the skew", es("nbf", now+300), 200, "", ""},
		{"without nbf", es("nbf", nil), 200, "", ""},
		{"with an empty subject", es("sub", ""), 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"},

		{"foreign issuer", es("iss", "https://evil.example.com"), 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://evil.example.com"},
		{"issuer with a slash", es("iss", issuer+"/"), 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + issuer + "/"},
		{"issuer in another case", es("iss", "https://Stint.example.com"), 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://Stint.example.com"},

		{"foreign audience", es("aud", "https://foreign.example.com"), 400, "InvalidIdentityToken", notValidated},
		{"changed payload", parts[0] + "." + strings.Split(es("sub", "other"), ".")[1] + "." + parts[2], 400, "InvalidIdentityToken", notValidated},
		{"empty signature", parts[0] + "." + parts[1] + ".", 400, "InvalidIdentityToken", notValidated},
		{"signature of another key", w.seal("ES256", newKeys(t).ec["ES256"], map[string]any{"alg": "ES256", "kid": "ES256"}, w.claims()), 400, "InvalidIdentityToken", notValidated},
		{"alg none", w.sign("ES256", w.claims(), "alg", "none"), 400, "InvalidIdentityToken", notValidated},
		{"HMAC with the public key", w.seal("HS256", w.keys.rsa.N.Bytes(), map[string]any{"alg": "HS256", "kid": "rsa"}, w.claims()), 400, "InvalidIdentityToken", notValidated},
		{"PS256", w.seal("PS256", w.keys.rsa, map[string]any{"alg": "PS256", "kid": "rsa"}, w.claims()), 400, "InvalidIdentityToken", notValidated},
		{"alg of another key", w.sign("ES256", w.claims(), "alg", "RS256"), 400, "InvalidIdentityToken", noKey},
		{"unknown kid", w.sign("ES256", w.claims(), "kid", "x"), 400, "InvalidIdentityToken", noKey},
		{"no kid, several keys", w.sign("ES256", w.claims(), "kid", nil), 400, "InvalidIdentityToken", noKey},
		{"kid a number", w.sign("ES256", w.claims(), "kid", 1), 400, "InvalidIdentityToken", notAJWT},
		{"keys named by the token", w.seal("ES256", newKeys(t).ec["ES256"], map[string]any{"alg": "ES256", "kid": "mine", "jku": "https://evil.example.com", "jwk": newKeys(t).jwks[1]}, w.claims()), 400, "InvalidIdentityToken", noKey},

		{"RS256", w.sign("RS256", w.claims()), 200, "", ""},
		{"RS384", w.sign("RS384", w.claims()), 200, "", ""},
		{"RS512", w.sign("RS512", w.claims()), 200, "", ""},
		{"ES384", w.sign("ES384", w.claims()), 200, "", ""},
		{"ES512", w.sign("ES512", w.claims()), 200, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := w.in(t)
			a := w.post(parameters(c.token))
			w.expect(a, c.status, c.code, c.text)
			if d := w.last(); d.Allowed != (c.status == 200) || d.Code != c.code || d.Message != c.text {
				t.Errorf("the decision told is %+v", d)
			}
			if strings.Contains(a.Body, c.token) && len(c.token) > 10 {
				t.Error("the answer holds the token")
			}
		})
	}
}

// respelled is the last letter of a base64 text of 64 bytes, changed in the
// bits that carry nothing: a decoder that is not strict reads the same bytes.
func respelled(last byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, last)|1:][:1]
}

func TestKeySets(t *testing.T) {
	many := func(n int, k *keys) {
		for i := range n {
			k.jwks = append(k.jwks, rsaJWK(fmt.Sprint("more", i), &k.rsa.PublicKey))
		}
	}
	cases := []struct {
		name, alg  string
		change     func(*keys)
		header     []any
		code, text string
	}{
		{"no kid, one key", "RS256", func(k *keys) { k.jwks = k.jwks[:1] }, []any{"kid", nil}, "", ""},
		{"no kid, one key without one", "RS256", func(k *keys) { k.jwks = k.jwks[:1]; delete(k.jwks[0], "kid") }, []any{"kid", nil}, "InvalidIdentityToken", noKey},
		{"a key without kid", "RS256", func(k *keys) { delete(k.jwks[0], "kid") }, nil, "InvalidIdentityToken", noKey},
		{"use enc", "RS256", func(k *keys) { k.jwks[0]["use"] = "enc" }, nil, "InvalidIdentityToken", noKey},
		{"use sig", "RS256", func(k *keys) { k.jwks[0]["use"] = "sig" }, nil, "", ""},
		{"key_ops", "RS256", func(k *keys) { k.jwks[0]["key_ops"] = []string{"verify"} }, nil, "InvalidIdentityToken", noKey},
		{"x5c only", "RS256", func(k *keys) { delete(k.jwks[0], "n"); k.jwks[0]["x5c"] = []string{"AAAA"} }, nil, "InvalidIdentityToken", noKey},
		{"alg of the key differs", "RS256", func(k *keys) { k.jwks[0]["alg"] = "RS512" }, nil, "InvalidIdentityToken", noKey},
		{"doubled kid, one usable", "RS256", func(k *keys) { k.jwks = append([]map[string]any{{"kty": "EC", "kid": "rsa"}}, k.jwks...) }, nil, "", ""},
		{"100 RSA keys", "RS256", func(k *keys) { many(99, k) }, nil, "", ""},
		{"101 RSA keys", "RS256", func(k *keys) { many(100, k) }, nil, "InvalidIdentityToken", noKey},
		{"101 RSA keys and an EC token", "ES256", func(k *keys) { many(100, k) }, nil, "", ""},
		{"short RSA key", "RS256", func(k *keys) { k.jwks[0]["n"] = b64([]byte{0xff, 0xff, 0xff}) }, nil, "InvalidIdentityToken", noKey},
		{"exponent one", "RS256", func(k *keys) { k.jwks[0]["e"] = b64([]byte{1}) }, nil, "InvalidIdentityToken", noKey},
		{"point not on the curve", "ES256", func(k *keys) {
			for _, key := range k.jwks {
				if key["kid"] == "ES256" {
					key["x"] = key["y"]
				}
			}
		}, nil, "InvalidIdentityToken", noKey},
		{"no keys", "RS256", func(k *keys) { k.jwks = nil }, nil, "InvalidIdentityToken", noKey},
		{"unreachable", "RS256", func(k *keys) { k.broken = errors.New("no route") }, nil, "IDPCommunicationError", "Unable to communicate with the identity provider"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.change(w.keys)
			status := 400
			if c.code == "" {
				status = 200
			}
			w.expect(w.post(parameters(w.sign(c.alg, w.claims(), c.header...))), status, c.code, c.text)
		})
	}
}

func TestParameters(t *testing.T) {
	w := newWorld(t)
	token := w.sign("ES256", w.claims())
	role := func(name string) string { return "arn:aws:iam::" + account + ":role/" + name }
	denied := "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	cases := []struct {
		name       string
		form       url.Values
		status     int
		code, text string
	}{
		{"no action", parameters(token, "Action", nil), 400, "MissingAction", "The request must contain the parameter Action."},
		{"unknown action", parameters(token, "Action", "AssumeNothing"), 400, "InvalidAction", "Could not find operation AssumeNothing for version 2011-06-15"},
		{"other version", parameters(token, "Version", "2010-05-08"), 400, "InvalidAction", "Could not find operation AssumeRoleWithWebIdentity for version 2010-05-08"},
		{"no version", parameters(token, "Version", nil), 400, "InvalidAction", "Could not find operation AssumeRoleWithWebIdentity for version NO_VERSION_SPECIFIED"},
		{"empty ARN", parameters(token, "RoleArn", ""), 400, "ValidationError", "1 validation error detected: Value '' at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20"},
		{"short token and bad name", parameters("x", "RoleSessionName", "a/b"), 400, "ValidationError", "2 validation errors detected: Value 'a/b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*; Value at 'webIdentityToken' failed to satisfy constraint: Member must have length greater than or equal to 4"},
		{"no ARN", parameters(token, "RoleArn", "arn:aws:iam::1:role/x"), 400, "ValidationError", "Request ARN is invalid"},
		{"a user's ARN", parameters(token, "RoleArn", "arn:aws:iam::111111111111:user/x"), 400, "ValidationError", "Request ARN is invalid"},
		{"duration no number", parameters(token, "DurationSeconds", "1h"), 400, "MalformedInput", ""},
		{"duration too short", parameters(token, "DurationSeconds", "899"), 400, "ValidationError", "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		{"duration beyond the role's", parameters(token, "DurationSeconds", "7201"), 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		{"duration beyond the role's, no such role", parameters(token, "DurationSeconds", "43200", "RoleArn", role("missing")), 403, "AccessDenied", denied},
		{"minimum size no number", parameters(token, "MinimumSessionTokenSize", "x"), 400, "MalformedInput", ""},
		{"minimum size too large", parameters(token, "MinimumSessionTokenSize", "4097"), 400, "ValidationError", "1 validation error detected: Value '4097' at 'minimumSessionTokenSize' failed to satisfy constraint: Member must have value less than or equal to 4096"},
		{"no such role", parameters(token, "RoleArn", role("missing")), 403, "AccessDenied", denied},
		{"role in another case", parameters(token, "RoleArn", role("ci/Deploy")), 403, "AccessDenied", denied},
		{"role without its path", parameters(token, "RoleArn", role("deploy")), 403, "AccessDenied", denied},
		{"another account", parameters(token, "RoleArn", "arn:aws:iam::222222222222:role/deploy"), 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + issuer},
		{"another partition", parameters(token, "RoleArn", "arn:aws-cn:iam::111111111111:role/deploy"), 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + issuer},
		{"unknown parameter", parameters(token, "Nonsense", "1"), 200, "", ""},
		{"session policy", parameters(token, "Policy", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`), 200, "", ""},
		{"broken session policy", parameters(token, "Policy", `{"Statement":`), 400, "MalformedPolicyDocument", "Syntax errors in policy."},
		{"session policy with a principal", parameters(token, "Policy", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}}`), 400, "MalformedPolicyDocument", "Policy document should not specify a principal."},
		{"session policy without resource", parameters(token, "Policy", `{"Statement":{"Effect":"Allow","Action":"s3:*"}}`), 400, "MalformedPolicyDocument", "Policy statement must contain resources."},
		{"managed policy", parameters(token, "PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"), 200, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := w.in(t)
			w.expect(w.post(c.form), c.status, c.code, c.text)
		})
	}
	t.Run("of a doubled parameter the first counts", func(t *testing.T) {
		w := w.in(t)
		form := parameters(token)
		form["RoleArn"] = []string{deploy, role("missing")}
		w.expect(w.post(form), 200, "", "")
		form["RoleArn"] = []string{role("missing"), deploy}
		w.expect(w.post(form), 403, "AccessDenied", denied)
	})
	t.Run("GET", func(t *testing.T) {
		w := w.in(t)
		response, err := http.Get(w.url + "/?" + parameters(token).Encode())
		w.expect(w.read(response, err), 200, "", "")
	})
	t.Run("minimum size", func(t *testing.T) {
		w := w.in(t)
		if a := w.post(parameters(token, "MinimumSessionTokenSize", "4096")); a.Result.SessionTokenSize != 4096 || a.Result.SessionTokenUtilization != 100 || len(a.Result.Credentials.SessionToken) != 4096 {
			t.Errorf("found %d bytes", a.Result.SessionTokenSize)
		}
	})
}

func TestHTTP(t *testing.T) {
	w := newWorld(t)
	do := func(method, path, contentType, body string) answer {
		t.Helper()
		r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		response, err := http.DefaultClient.Do(r)
		return w.read(response, err)
	}
	form := "application/x-www-form-urlencoded"
	w.expect(do("PUT", "/", form, ""), 405, "MethodNotAllowed", "Expected GET or POST")
	w.expect(do("POST", "/other", form, ""), 404, "UnknownOperationException", "The path is not one of the service: expected /")
	w.expect(do("POST", "/", form, "Action=%zz"), 404, "MalformedQueryString", "The query string contains a syntax error.")
	w.expect(do("POST", "/", form, "Action=%ff"), 400, "MalformedInput", "")
	w.expect(do("POST", "/", "application/json", `{"Action":"GetCallerIdentity"}`), 400, "MissingAction", "The request must contain the parameter Action.")
	w.expect(do("POST", "/", form, strings.Repeat("a", 10_000_001)), 413, "RequestEntityTooLarge", "Request size exceeded 10000000 bytes")
	w.expect(do("POST", "/", form, "Action=x&Version=2011-06-15&a="+strings.Repeat("a", 9_000_000)), 400, "InvalidAction", "Could not find operation x for version 2011-06-15")
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*awssts.Config){
		"no roles":       func(c *awssts.Config) { c.Roles = nil },
		"no clock":       func(c *awssts.Config) { c.Now = nil },
		"plain http":     func(c *awssts.Config) { c.Providers[0].Issuer = "http://stint.example.com" },
		"a port":         func(c *awssts.Config) { c.Providers[0].Issuer = "https://stint.example.com:8443" },
		"a query":        func(c *awssts.Config) { c.Providers[0].Issuer = "https://stint.example.com?a" },
		"no keys":        func(c *awssts.Config) { c.Providers[0].Keys = nil },
		"twice":          func(c *awssts.Config) { c.Providers = append(c.Providers, c.Providers[0]) },
		"many audiences": func(c *awssts.Config) { c.Providers[0].Audiences = make([]string, 101) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := w.config()
			change(&cfg)
			if s, err := awssts.New(cfg); err == nil || s != nil {
				t.Error("expected an error")
			}
		})
	}
}
