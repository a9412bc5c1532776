package identity

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/match"
)

func TestVerifyAccepts(t *testing.T) {
	v := newTestVerifier(t)
	for name, raw := range map[string]string{
		"RS256":               rs256(payloadOf(nil)),
		"RS384":               sign(jwt.SigningMethodRS384, rsaKey(), headerOf("RS384", "rsa", nil), payloadOf(nil)),
		"RS512":               sign(jwt.SigningMethodRS512, rsaKey(), headerOf("RS512", "rsa", nil), payloadOf(nil)),
		"ES256":               sign(jwt.SigningMethodES256, p256(), headerOf("ES256", "p256", nil), payloadOf(nil)),
		"ES384":               sign(jwt.SigningMethodES384, p384(), headerOf("ES384", "p384", nil), payloadOf(nil)),
		"ES512":               sign(jwt.SigningMethodES512, p521(), headerOf("ES512", "p521", nil), payloadOf(nil)),
		"no typ":              sign(jwt.SigningMethodRS256, rsaKey(), object{"alg": "RS256", "kid": "rsa"}, payloadOf(nil)),
		"at+jwt":              sign(jwt.SigningMethodRS256, rsaKey(), headerOf("RS256", "rsa", object{"typ": "at+jwt"}), payloadOf(nil)),
		"list of ours":        rs256(payloadOf(object{"aud": []string{testAudience, "second"}})),
		"no nbf":              rs256(payloadOf(object{"nbf": nil})),
		"expired in leeway":   rs256(payloadOf(object{"iat": testNow.Unix() - 300, "exp": testNow.Unix() - 59})),
		"issued in leeway":    rs256(payloadOf(object{"iat": testNow.Unix() + 60, "nbf": testNow.Unix() + 60})),
		"unknown header name": sign(jwt.SigningMethodRS256, rsaKey(), headerOf("RS256", "rsa", object{"custom": 1}), payloadOf(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := v.Verify(t.Context(), raw)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256([]byte(raw))
			if c.Issuer() != "github" || c.Platform() != GitHub || c.TokenSHA256() != hex.EncodeToString(sum[:]) {
				t.Errorf("got issuer %q, platform %q, digest %q", c.Issuer(), c.Platform(), c.TokenSHA256())
			}
			if id, _ := c.Text("repo_id"); id != "74" {
				t.Errorf("repo_id is %q", id)
			}
			if c.Expires().IsZero() || !c.Expires().After(c.IssuedAt()) {
				t.Errorf("issued %s, expires %s", c.IssuedAt(), c.Expires())
			}
		})
	}
}

func TestVerifyRejects(t *testing.T) {
	v := newTestVerifier(t)
	good := rs256(payloadOf(nil))
	parts := strings.Split(good, ".")
	header := func(more object) string {
		return sign(jwt.SigningMethodRS256, rsaKey(), headerOf("RS256", "rsa", more), payloadOf(nil))
	}
	claims := func(more object) string { return rs256(payloadOf(more)) }
	rawPayload := func(edit func(string) string) string {
		return signRaw(jwt.SigningMethodRS256, rsaKey(), must(json.Marshal(headerOf("RS256", "rsa", nil))),
			[]byte(edit(string(must(json.Marshal(payloadOf(nil)))))))
	}
	hmac := func(secret []byte) string {
		return sign(jwt.SigningMethodHS256, secret, headerOf("HS256", "rsa", nil), payloadOf(nil))
	}
	der := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	unsigned := func(alg string) string {
		return b64(must(json.Marshal(headerOf(alg, "rsa", nil)))) + "." + parts[1] + "."
	}
	now := testNow.Unix()

	for _, c := range []struct {
		name   string
		raw    string
		kind   Kind
		proven bool
	}{
		{"empty", "", Malformed, false},
		{"not a JWT", "hello", Malformed, false},
		{"two parts", parts[0] + "." + parts[1], Malformed, false},
		{"four parts", good + ".x", Malformed, false},
		{"empty header", "." + parts[1] + "." + parts[2], Malformed, false},
		{"too large", good + strings.Repeat("A", MaxTokenSize), Malformed, false},
		{"large payload", claims(object{"x": strings.Repeat("x", MaxTokenSize)}), Malformed, false},
		{"padding", good + "==", Malformed, false},
		{"line break at the end", good + "\n", Malformed, false},
		{"line break inside", good[:20] + "\r\n" + good[20:], Malformed, false},
		{"space", " " + good, Malformed, false},
		{"standard alphabet", parts[0] + "." + parts[1] + ".+/" + parts[2], Malformed, false},
		{"payload is a list", signRaw(jwt.SigningMethodRS256, rsaKey(), []byte(`{"alg":"RS256","kid":"rsa"}`), []byte(`[]`)), Malformed, false},
		{"header is no JSON", signRaw(jwt.SigningMethodRS256, rsaKey(), []byte(`x`), []byte(`{}`)), Malformed, false},
		{"doubled claim", rawPayload(func(s string) string { return `{"sub":"x",` + s[1:] }), Malformed, false},
		{"doubled claim by escape", rawPayload(func(s string) string { return `{"\u0073ub":"x",` + s[1:] }), Malformed, false},
		{"doubled kid in the header", signRaw(jwt.SigningMethodRS256, rsaKey(), []byte(`{"alg":"RS256","kid":"x","kid":"rsa"}`), must(json.Marshal(payloadOf(nil)))), Malformed, false},
		{"invalid UTF-8", rawPayload(func(s string) string { return strings.Replace(s, "octocat", "octo\xffcat", 1) }), Malformed, false},
		{"lone surrogate", rawPayload(func(s string) string { return strings.Replace(s, "octocat", `octo\ud800cat`, 1) }), Malformed, false},
		{"very deep", rawPayload(func(s string) string {
			return `{"deep":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "," + s[1:]
		}), Malformed, false},
		{"data after the payload", rawPayload(func(s string) string { return s + "{}" }), Malformed, false},

		{"crit", header(object{"crit": []string{"exp"}}), Malformed, false},
		{"jku", header(object{"jku": "https://evil.example/jwks"}), Malformed, false},
		{"x5u", header(object{"x5u": "https://evil.example/cert"}), Malformed, false},
		{"jwk", header(object{"jwk": jwkOf("rsa", otherRSA().Public(), nil)}), Malformed, false},
		{"x5c", header(object{"x5c": []string{"AA"}}), Malformed, false},
		{"b64", header(object{"b64": false}), Malformed, false},
		{"typ of something else", header(object{"typ": "logout+jwt"}), Malformed, false},
		{"typ a number", header(object{"typ": 1}), Malformed, false},
		{"kid a number", header(object{"kid": 1}), Malformed, false},
		{"kid too long", header(object{"kid": strings.Repeat("k", 300)}), Malformed, false},
		{"alg a list", header(object{"alg": []string{"RS256"}}), Malformed, false},

		{"foreign issuer", claims(object{"iss": "https://evil.example"}), UnknownIssuer, false},
		{"issuer with a slash", claims(object{"iss": testIssuer + "/"}), UnknownIssuer, false},
		{"issuer in capitals", claims(object{"iss": strings.Replace(testIssuer, "token", "Token", 1)}), UnknownIssuer, false},
		{"issuer absent", claims(object{"iss": nil}), UnknownIssuer, false},
		{"issuer a list", claims(object{"iss": []string{testIssuer}}), UnknownIssuer, false},

		{"alg none", unsigned("none"), BadAlgorithm, false},
		{"alg None", unsigned("NoNe"), BadAlgorithm, false},
		{"alg none with a signature", sign(jwt.SigningMethodRS256, rsaKey(), headerOf("none", "rsa", nil), payloadOf(nil)), BadAlgorithm, false},
		{"alg absent", sign(jwt.SigningMethodRS256, rsaKey(), object{"kid": "rsa"}, payloadOf(nil)), BadAlgorithm, false},
		{"alg in small letters", header(object{"alg": "rs256"}), BadAlgorithm, false},
		{"HS256 with the public key as DER", hmac(der), BadAlgorithm, false},
		{"HS256 with the public key as PEM", hmac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), BadAlgorithm, false},
		{"HS256 with the public key as JWK", hmac(must(json.Marshal(jwkOf("rsa", rsaKey().Public(), nil)))), BadAlgorithm, false},
		{"PS256", sign(jwt.SigningMethodPS256, rsaKey(), headerOf("PS256", "rsa", nil), payloadOf(nil)), BadAlgorithm, false},
		{"ES256 with the RSA key", sign(jwt.SigningMethodES256, p256(), headerOf("ES256", "rsa", nil), payloadOf(nil)), BadAlgorithm, false},
		{"RS256 with the EC key", header(object{"kid": "p256"}), BadAlgorithm, false},
		{"ES384 with the P-256 key", sign(jwt.SigningMethodES384, p384(), headerOf("ES384", "p256", nil), payloadOf(nil)), BadAlgorithm, false},
		{"RS512 with a key for RS256", sign(jwt.SigningMethodRS512, rsaKey(), headerOf("RS512", "pinned", nil), payloadOf(nil)), BadAlgorithm, false},

		{"kid unknown", header(object{"kid": "nobody"}), UnknownKey, false},
		{"kid missing", sign(jwt.SigningMethodRS256, rsaKey(), object{"alg": "RS256"}, payloadOf(nil)), UnknownKey, false},
		{"kid empty", header(object{"kid": ""}), UnknownKey, false},
		{"kid of two keys", header(object{"kid": "doubled"}), UnknownKey, false},

		{"another's signature", sign(jwt.SigningMethodRS256, otherRSA(), headerOf("RS256", "rsa", nil), payloadOf(nil)), BadSignature, false},
		{"no signature", parts[0] + "." + parts[1] + ".", BadSignature, false},
		{"EC signature too long", sign(jwt.SigningMethodES256, p256(), headerOf("ES256", "p256", nil), payloadOf(nil)) + "AAAA", BadSignature, false},
		{"another payload", parts[0] + "." + strings.Split(claims(object{"actor": "x"}), ".")[1] + "." + parts[2], BadSignature, false},

		{"sub absent", claims(object{"sub": nil}), BadClaims, false},
		{"sub empty", claims(object{"sub": ""}), BadClaims, false},
		{"sub a number", claims(object{"sub": 1}), BadClaims, false},
		{"sub too long", claims(object{"sub": strings.Repeat("s", maxSubject+1)}), BadClaims, false},
		{"aud absent", claims(object{"aud": nil}), BadClaims, false},
		{"aud empty", claims(object{"aud": ""}), BadClaims, false},
		{"aud an empty list", claims(object{"aud": []string{}}), BadClaims, false},
		{"aud a number", claims(object{"aud": 1}), BadClaims, false},
		{"aud a mixed list", claims(object{"aud": []any{testAudience, 1}}), BadClaims, false},
		{"aud an object", claims(object{"aud": object{"a": testAudience}}), BadClaims, false},
		{"repository_id a number", claims(object{"repository_id": 74}), BadClaims, false},
		{"jti a list", claims(object{"jti": []string{"x"}}), BadClaims, false},
		{"claim too long", claims(object{"workflow": strings.Repeat("x", maxClaimValue+1)}), BadClaims, false},
		{"name too long", claims(object{strings.Repeat("x", maxClaimName+1): "x"}), BadClaims, false},

		{"exp absent", claims(object{"exp": nil}), BadTime, false},
		{"iat absent", claims(object{"iat": nil}), BadTime, false},
		{"exp a float", claims(object{"exp": json.Number(fmt.Sprintf("%d.0", now+300))}), BadTime, false},
		{"exp an exponent", claims(object{"exp": json.Number("2e9")}), BadTime, false},
		{"exp a string", claims(object{"exp": fmt.Sprint(now + 300)}), BadTime, false},
		{"exp negative", claims(object{"exp": -1}), BadTime, false},
		{"exp beyond 9999", claims(object{"exp": maxTime + 1}), BadTime, false},
		{"exp beyond 64 bits", claims(object{"exp": json.Number("18446744073709551617")}), BadTime, false},
		{"iat a float", claims(object{"iat": 1.5}), BadTime, false},
		{"nbf a string", claims(object{"nbf": "0"}), BadTime, false},
		{"nbf null", rawPayload(func(s string) string { return strings.Replace(s, fmt.Sprint(now-300), "null", 1) }), BadTime, false},
		{"ends before it begins", claims(object{"exp": now, "iat": now}), BadTime, false},
		{"lasts 8 days", claims(object{"exp": now + 8*86400}), BadTime, false},

		{"another owner", claims(object{"repository_owner_id": "66"}), OutsideOnly, false},
		{"owner absent", claims(object{"repository_owner_id": nil}), OutsideOnly, false},
		{"another owner, expired, for others", claims(object{"repository_owner_id": "66", "exp": now - 400, "iat": now - 900, "aud": "x"}), OutsideOnly, false},

		{"audience foreign", claims(object{"aud": "sts.amazonaws.com"}), WrongAudience, true},
		{"audience by case", claims(object{"aud": strings.ToUpper(testAudience)}), WrongAudience, true},
		{"audience with a slash", claims(object{"aud": testAudience + "/"}), WrongAudience, true},
		{"audience ours and another", claims(object{"aud": []string{testAudience, "sts.amazonaws.com"}}), WrongAudience, true},
		{"expired", claims(object{"iat": now - 900, "exp": now - 60}), Expired, true},
		{"not yet valid", claims(object{"nbf": now + 61}), NotYetValid, true},
		{"issued in the future", claims(object{"iat": now + 61}), IssuedInFuture, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims, err := v.Verify(t.Context(), c.raw)
			var r *Rejection
			if !errors.As(err, &r) {
				t.Fatalf("expected a Rejection of kind %s, found %v", c.kind, err)
			}
			if r.Kind != c.kind || r.Proven != c.proven {
				t.Errorf("expected %s (proven %t), found %s (proven %t): %v", c.kind, c.proven, r.Kind, r.Proven, r)
			}
			if claims.Issuer() != "" || len(claims.Names()) != 0 {
				t.Errorf("claims came with the rejection: %v", claims.Names())
			}
			if r.Detail == "" {
				t.Error("no detail")
			}
			if c.proven && (r.Expected == "" || r.Found == "" || r.Hint == "") {
				t.Errorf("one of our jobs is not told what to do: %+v", r)
			}
			afterSignature := map[Kind]bool{BadClaims: true, BadTime: true, OutsideOnly: true, WrongAudience: true, Expired: true, NotYetValid: true, IssuedInFuture: true}
			if r.Seen.Signed != afterSignature[c.kind] {
				t.Errorf("Seen.Signed is %t", r.Seen.Signed)
			}
			if c.kind != Malformed && (r.Seen.TokenSHA256 == "" || r.Seen.Claims["run_id"] != "1") {
				t.Errorf("the record would not say who it was: %+v", r.Seen)
			}
		})
	}
}

func TestSeenIsBounded(t *testing.T) {
	_, err := newTestVerifier(t).Verify(t.Context(), rs256(payloadOf(object{"actor": "a\x1b[31m\n" + strings.Repeat("x", 1000), "aud": strings.Repeat("y", 1000)})))
	r := err.(*Rejection)
	if actor := r.Seen.Claims["actor"]; len([]rune(actor)) > maxSeen+1 || strings.ContainsAny(actor, "\x1b\n") {
		t.Errorf("actor is %q", actor)
	}
	if len(r.Found) > maxFound+10 {
		t.Errorf("found has %d bytes", len(r.Found))
	}
}

func TestSeveralIssuers(t *testing.T) {
	lab := Issuer{Name: "lab", URL: "https://gitlab.example.com", Platform: GitLab, Audiences: []string{"lab-aud"}, JWKSFile: "lab.json", Algorithms: []string{"ES256"}}
	v, err := New(Config{Issuers: []Issuer{testIssuerConfig(), lab}, Now: newClock().Now, ReadFile: func(name string) ([]byte, error) {
		if name == "lab.json" {
			return jwks(jwkOf("rsa", otherRSA().Public(), nil), jwkOf("p256", p256().Public(), nil)), nil
		}
		return jwks(jwkOf("rsa", rsaKey().Public(), nil)), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ofLab := object{"iss": lab.URL, "aud": "lab-aud", "project_path": "g/p"}
	es256 := func(p object) string {
		return sign(jwt.SigningMethodES256, p256(), headerOf("ES256", "p256", nil), p)
	}
	for _, c := range []struct {
		name, raw, issuer string
		kind              Kind
	}{
		{"first", rs256(payloadOf(nil)), "github", ""},
		{"second", es256(payloadOf(ofLab)), "lab", ""},
		{"the first's key for the second", rs256(payloadOf(ofLab)), "", BadAlgorithm},
		{"the second's key for the first", es256(payloadOf(nil)), "", UnknownKey},
		{"the second's key under the first's kid", sign(jwt.SigningMethodRS256, otherRSA(), headerOf("RS256", "rsa", nil), payloadOf(nil)), "", BadSignature},
		{"the second's audience for the first", rs256(payloadOf(object{"aud": "lab-aud"})), "", WrongAudience},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims, err := v.Verify(t.Context(), c.raw)
			var r *Rejection
			if errors.As(err, &r); r == nil && c.kind != "" || r != nil && r.Kind != c.kind {
				t.Fatalf("expected %q, found %v", c.kind, err)
			}
			if claims.Issuer() != c.issuer {
				t.Errorf("issuer is %q", claims.Issuer())
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, edit := range map[string]func(*Issuer){
		"a colon in the name":    func(i *Issuer) { i.Name = "git:hub" },
		"plain http":             func(i *Issuer) { i.URL = "http://issuer.example" },
		"localhost by name":      func(i *Issuer) { i.URL = "http://localhost:1" },
		"user in the URL":        func(i *Issuer) { i.URL = "https://u:p@issuer.example" },
		"no audience":            func(i *Issuer) { i.Audiences = nil },
		"an empty audience":      func(i *Issuer) { i.Audiences = []string{""} },
		"two key sources":        func(i *Issuer) { i.JWKSURL = "https://issuer.example/jwks" },
		"plain http keys":        func(i *Issuer) { i.JWKSFile, i.JWKSURL = "", "http://issuer.example/jwks" },
		"HMAC":                   func(i *Issuer) { i.Algorithms = []string{"HS256"} },
		"everybody":              func(i *Issuer) { i.Only = nil },
		"everybody by a star":    func(i *Issuer) { i.Only[0].Patterns = []match.Pattern{match.Compile("**")} },
		"a condition of nothing": func(i *Issuer) { i.Only[0].Patterns = nil },
	} {
		t.Run(name, func(t *testing.T) {
			is := testIssuerConfig()
			edit(&is)
			if _, err := New(Config{Issuers: []Issuer{is}, ReadFile: func(string) ([]byte, error) { return testKeys(), nil }}); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := New(Config{}); err == nil {
		t.Error("accepted without issuers")
	}
	if _, err := New(Config{Issuers: []Issuer{testIssuerConfig(), testIssuerConfig()}, ReadFile: func(string) ([]byte, error) { return testKeys(), nil }}); err == nil {
		t.Error("accepted one issuer twice")
	}
}

func TestPlatformsAndSharedIssuers(t *testing.T) {
	for _, c := range []struct {
		url      string
		platform Platform
		shared   bool
	}{
		{testIssuer, GitHub, true},
		{testIssuer + "/", GitHub, true},
		{"https://Token.actions.githubusercontent.com", GitHub, true},
		{testIssuer + "/acme", GitHub, false},
		{"https://token.actions.acme.ghe.com", GitHub, false},
		{"https://ghes.example.com/_services/token", GitHub, false},
		{"https://gitlab.com", GitLab, true},
		{"https://gitlab.example.com", Generic, false},
		{"https://agent.buildkite.com", Buildkite, true},
		{"https://oidc.circleci.com/org/1234", CircleCI, true},
		{"https://accounts.google.com", Generic, true},
		{"https://app.terraform.io", Generic, true},
		{"https://evil.example/token.actions.githubusercontent.com", Generic, false},
	} {
		if p, s := PlatformOf(c.url), SignsForEverybody(c.url); p != c.platform || s != c.shared {
			t.Errorf("%s: expected %q and %t, found %q and %t", c.url, c.platform, c.shared, p, s)
		}
	}
}

func TestInspect(t *testing.T) {
	cfg := InspectConfig{JWKS: testKeys(), Now: newClock().Now}
	in, err := Inspect(t.Context(), rs256(payloadOf(object{"exp": testNow.Unix() - 60, "iat": testNow.Unix() - 600})), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var r *Rejection
	if !in.Signed || in.Subject.Form != SubjectIDs || in.Platform != GitHub || !errors.As(in.TimeErr, &r) || r.Kind != Expired {
		t.Errorf("got %+v", in)
	}
	in, err = Inspect(t.Context(), sign(jwt.SigningMethodRS256, otherRSA(), headerOf("RS256", "rsa", nil), payloadOf(nil)), cfg)
	if err != nil || in.Signed || !errors.As(in.SignatureErr, &r) || r.Kind != BadSignature || in.TimeErr != nil {
		t.Errorf("got %+v, %v", in, err)
	}
	if _, err := Inspect(context.Background(), "x", cfg); !errors.As(err, &r) || r.Kind != Malformed {
		t.Errorf("got %v", err)
	}
}

// FuzzMutation asserts that a signature covers every byte: whatever differs
// from a token that was signed is rejected, and what is accepted comes from a
// configured issuer.
func FuzzMutation(f *testing.F) {
	v := newTestVerifier(f)
	good := rs256(payloadOf(nil))
	es := sign(jwt.SigningMethodES256, p256(), headerOf("ES256", "p256", nil), payloadOf(nil))
	for _, i := range []int{0, 10, strings.IndexByte(good, '.'), len(good) - 1} {
		f.Add(i, []byte{good[i] ^ 1}, 1)
	}
	f.Add(len(good), []byte("\n"), 0)
	f.Add(len(good), []byte("="), 0)
	f.Fuzz(func(t *testing.T, at int, insert []byte, remove int) {
		for _, token := range []string{good, es} {
			if at < 0 || at > len(token) || remove < 0 || remove > len(token)-at {
				return
			}
			mutated := token[:at] + string(insert) + token[at+remove:]
			c, err := v.Verify(context.Background(), mutated)
			if (err == nil) != (mutated == token) {
				t.Fatalf("at %d: %q for %q: %v", at, insert, token[at:at+remove], err)
			}
			var r *Rejection
			if err == nil && c.Signed()["iss"] != testIssuer || err != nil && (!errors.As(err, &r) || r.Proven) {
				t.Fatalf("got %v, %v", c.Names(), err)
			}
		}
	})
}

// TestEveryByteMatters changes each byte of a token to its neighbours.
func TestEveryByteMatters(t *testing.T) {
	v := newTestVerifier(t)
	good := rs256(payloadOf(nil))
	for i := range len(good) {
		for _, c := range []byte{good[i] + 1, good[i] - 1, '=', '\n', '.'} {
			if c == good[i] {
				continue
			}
			if _, err := v.Verify(t.Context(), good[:i]+string([]byte{c})+good[i+1:]); err == nil {
				t.Fatalf("accepted with %q at %d", c, i)
			}
		}
	}
}

func BenchmarkVerifyGitHub(b *testing.B) {
	v := newTestVerifier(b)
	raw := rs256(payloadOf(nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareRSAVerify(b *testing.B) {
	t, _ := parse(rs256(payloadOf(nil)))
	public := rsaKey().Public()
	for b.Loop() {
		if err := jwt.SigningMethodRS256.Verify(t.input, t.signature, public); err != nil {
			b.Fatal(err)
		}
	}
}
