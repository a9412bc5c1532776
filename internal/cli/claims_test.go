package cli

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// issuer signs tokens and publishes its key set on loopback.
type issuer struct {
	key  *rsa.PrivateKey
	jwks string // the address of the key set
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b := base64.RawURLEncoding.EncodeToString
	set := `{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"1","n":"` + b(key.N.Bytes()) + `","e":"` + b(big.NewInt(int64(key.E)).Bytes()) + `"}]}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(set))
	}))
	t.Cleanup(s.Close)
	return &issuer{key, s.URL}
}

func (i *issuer) sign(t *testing.T, payload map[string]any) string {
	t.Helper()
	unsigned := testJWT(t, map[string]any{"alg": "RS256", "typ": "JWT", "kid": "1"}, payload)
	unsigned = unsigned[:strings.LastIndexByte(unsigned, '.')]
	digest := sha256.Sum256([]byte(unsigned))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func githubPayload() map[string]any {
	return map[string]any{
		"iss": "https://token.actions.githubusercontent.com", "aud": "https://stint.example.com",
		"sub":        "repo:octo-org@65/octo-repo@74:environment:prod",
		"repository": "octo-org/octo-repo", "repository_owner": "octo-org", "repository_owner_id": "65", "repository_id": "74",
		"job_workflow_ref": "octo-org/octo-repo/.github/workflows/d.yml@refs/heads/main", "event_name": "push", "environment": "prod",
		"jti": "1", "nbf": testNow.Unix() - 600, "iat": testNow.Unix(), "exp": testNow.Unix() + 300,
	}
}

func TestClaims(t *testing.T) {
	w, i := newWorld(t), newIssuer(t)
	w.jobToken = i.sign(t, githubPayload())
	env := w.job()
	env["STINT_JWKS_URL"] = i.jwks
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("\n "+w.jobToken+" \r\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	signature := w.jobToken[strings.LastIndexByte(w.jobToken, '.')+1:]
	for _, tt := range []struct {
		stdin string
		args  []string
	}{
		{"", nil},
		{"", []string{file}},
		{w.jobToken + "\n", []string{"-"}},
	} {
		got := runJobCommand(t, env, tt.stdin, append([]string{"claims"}, tt.args...)...)
		if got.code != exitDone || got.stderr != "" {
			t.Errorf("%q: %+v", tt.args, got)
		}
		for _, want := range []string{
			"Signature   holds (RS256)\n", "Issuer      https://token.actions.githubusercontent.com\n", "Key         1\n", "Key set     " + i.jwks + "\n",
			"Subject     repo:octo-org@65/octo-repo@74:environment:prod\n", "Form        ids: ", "Audience    https://stint.example.com\n",
			"Expires     2026-11-23T04:05:00Z (in 5m0s)\n", "Not before  2026-11-23T03:50:00Z (10m0s ago)\n",
			"  environment          prod\n", "  owner_id         65\n", "  repository_name  octo-repo\n",
		} {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("%q: %q is missing in\n%s", tt.args, want, got.stdout)
			}
		}
		if strings.Contains(got.stdout+got.stderr, signature) || strings.Contains(got.stdout, "UNVERIFIED") {
			t.Errorf("%q: the raw token is printed, or called unverified:\n%s", tt.args, got.stdout)
		}
	}
	if len(w.asked) != 1 || w.asked[0] != w.url {
		t.Errorf("asked GitHub for %q", w.asked)
	}
	if runJobCommand(t, env, "", "claims", "--audience", "other"); w.asked[1] != "other" {
		t.Errorf("asked GitHub for %q", w.asked)
	}
	if len(w.requests) != 0 {
		t.Errorf("the broker was asked %q", w.requests)
	}
}

func TestClaimsJSON(t *testing.T) {
	i := newIssuer(t)
	got := runJobCommand(t, nil, i.sign(t, githubPayload()), "claims", "--json", "--jwks-url", i.jwks, "-")
	var seen inspected
	if err := json.Unmarshal([]byte(got.stdout), &seen); err != nil || got.code != exitDone {
		t.Fatalf("%v: %+v", err, got)
	}
	if seen.Signature != "holds" || seen.Algorithm != "RS256" || seen.KeyID != "1" || seen.KeySet != i.jwks || seen.Form != "ids" || seen.Expired ||
		seen.Claims["repository_id"] != "74" || seen.Derived["repo_id"] != "74" || seen.Header["typ"] != "JWT" || len(seen.Audience) != 1 {
		t.Errorf("%+v", seen)
	}
}

func TestClaimsOfAStintToken(t *testing.T) {
	github, broker := newIssuer(t), newIssuer(t)
	raw := broker.sign(t, map[string]any{
		"iss": "https://stint.example.com", "aud": "sts.amazonaws.com", "sub": "github:repo:octo-org/octo-repo:environment:prod",
		"https://aws.amazon.com/roles": []string{testRole}, "iat": testNow.Unix(), "nbf": testNow.Unix(), "exp": testNow.Unix() + 300, "jti": "2",
	})
	// As stint dev sets it: the key set is the CI system's, and the broker has its own.
	env := map[string]string{"STINT_JWKS_URL": github.jwks, "STINT_URL": broker.jwks}
	got := runJobCommand(t, env, raw, "claims", "-")
	if got.code != exitDone || !strings.Contains(got.stdout, "holds (RS256)") || !strings.Contains(got.stdout, broker.jwks+"/.well-known/jwks") ||
		!strings.Contains(got.stdout, `["`+testRole+`"]`) || !strings.Contains(got.stdout, "names: ") {
		t.Errorf("%+v", got)
	}
}

func TestClaimsUnverified(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	good := i.sign(t, githubPayload())
	parts := strings.Split(good, ".")
	forged := githubPayload()
	forged["repository_id"] = "666"
	payload := strings.Split(testJWT(t, nil, forged), ".")[1]
	ended := githubPayload()
	ended["nbf"], ended["iat"], ended["exp"] = testNow.Unix()-1200, testNow.Unix()-600, testNow.Unix()-300

	tests := []struct {
		name, raw, jwks string
		code            int
		stderr          string
	}{
		{"another's key", good, other.jwks, exitFailed, "error: UNVERIFIED: the signature is wrong"},
		{"another payload", parts[0] + "." + payload + "." + parts[2], i.jwks, exitFailed, "error: UNVERIFIED: the signature is wrong"},
		{"no signature", parts[0] + "." + parts[1] + ".", i.jwks, exitFailed, "error: "},
		{"alg none", testJWT(t, map[string]any{"alg": "none"}, githubPayload()), i.jwks, exitFailed, "error: UNVERIFIED"},
		{"alg HS256", testJWT(t, map[string]any{"alg": "HS256", "kid": "1"}, githubPayload()), i.jwks, exitFailed, "error: UNVERIFIED"},
		{"unknown key", testJWT(t, map[string]any{"alg": "RS256", "kid": "2"}, githubPayload()), i.jwks, exitFailed, "error: UNVERIFIED"},
		{"keys out of reach", good, "http://127.0.0.1:1/jwks", exitFailed, "error: UNVERIFIED: the signature could not be checked"},
		{"expired, and really signed", i.sign(t, ended), i.jwks, exitDone, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runJobCommand(t, nil, tt.raw, "claims", "--jwks-url", tt.jwks, "-")
			if got.code != tt.code || !strings.HasPrefix(got.stderr, tt.stderr) || tt.code == exitDone && got.stderr != "" {
				t.Errorf("exit %d, stderr %s", got.code, got.stderr)
			}
			if tt.code != exitDone && got.stdout != "" && !strings.Contains(got.stdout, "Claims (UNVERIFIED") {
				t.Errorf("the claims are not marked:\n%s", got.stdout)
			}
			if tt.code == exitDone && !strings.Contains(got.stdout, "Warning     The token has expired.") {
				t.Errorf("nothing says that it has expired:\n%s", got.stdout)
			}
			if tt.name != "no signature" && !strings.Contains(got.stdout, "octo-org/octo-repo") {
				t.Errorf("the claims are not shown:\n%s", got.stdout)
			}
		})
	}
}

func TestClaimsBadInput(t *testing.T) {
	for _, tt := range []struct {
		name, stdin string
		args        []string
		code        int
		stderr      string
	}{
		{"empty", "", []string{"-"}, exitFailed, "it is empty"},
		{"white space", " \n\t\n", []string{"-"}, exitFailed, "it is empty"},
		{"too large", "a.b." + strings.Repeat("c", 16<<10), []string{"-"}, exitFailed, "it is larger than 16384 bytes"},
		{"endless", strings.Repeat(" ", 1<<20), []string{"-"}, exitFailed, "it is larger than 16384 bytes"},
		{"binary", "\x00\x01\xff", []string{"-"}, exitFailed, "bytes that no token has"},
		{"two lines", "a.b.c\na.b.c", []string{"-"}, exitFailed, "white space within"},
		{"Bearer", "Bearer a.b.c", []string{"-"}, exitFailed, "white space within"},
		{"JSON", `{"value":"a.b.c"}`, []string{"-"}, exitFailed, "it holds JSON"},
		{"no JWT", "hello", []string{"-"}, exitFailed, "reading the token"},
		{"no base64", "!.!.!", []string{"-"}, exitFailed, "reading the token"},
		{"no such file", "", []string{"no-such-file"}, exitUsage, "there is no such file"},
		{"a folder", "", []string{"."}, exitFailed, "reading the token"},
		{"a token as argument", "", []string{"eyJhbGciOiJSUzI1NiJ9.secret.secret"}, exitUsage, "there is no such file: eyJ..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runJobCommand(t, nil, tt.stdin, append([]string{"claims"}, tt.args...)...)
			if got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.stderr) || strings.Contains(got.stderr, "secret") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestClaimsCannotCommandTheTerminal(t *testing.T) {
	i := newIssuer(t)
	payload := githubPayload()
	payload["environment"] = "x\n::error::y\x1b[2J##[add-path]z"
	payload["evil\nname\x1b"] = []any{"\u202e"}
	got := runJobCommand(t, nil, i.sign(t, payload), "claims", "--jwks-url", i.jwks, "-")
	if got.code != exitDone || strings.Contains(got.stdout, "\n::") || strings.Contains(got.stdout, "##[") ||
		strings.ContainsFunc(got.stdout, func(r rune) bool { return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		t.Errorf("%q", got.stdout)
	}
}

// Whatever the message, the annotation is one line that decodes to it.
func FuzzAnnotation(f *testing.F) {
	f.Add("a:b,c", "50%\r\n::set-env name=x::y")
	f.Add("%0A", "%25")
	f.Fuzz(func(t *testing.T, title, message string) {
		line := annotation(title, message)
		if strings.ContainsAny(line, "\r\n") {
			t.Fatalf("%q is more than one line", line)
		}
		rest, ok := strings.CutPrefix(line, "::error title=")
		gotTitle, gotMessage, cut := strings.Cut(rest, "::")
		decode := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
		if !ok || !cut || decode.Replace(gotTitle) != title || decode.Replace(gotMessage) != message {
			t.Errorf("%q decodes to %q and %q", line, decode.Replace(gotTitle), decode.Replace(gotMessage))
		}
	})
}
