package awssts_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stint-dev/stint/internal/emulator/awssts"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/roles"
)

const (
	issuer  = "https://stint.example.com"
	account = "111111111111"
	deploy  = "arn:aws:iam::" + account + ":role/ci/deploy"
	oidc    = "arn:aws:iam::" + account + ":oidc-provider/stint.example.com"
)

// start is the time at which every test begins.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// policy is a trust policy with one allowing statement.
func policy(actions, conditions string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":%q},"Action":[%s],"Condition":{%s}}]}`, oidc, actions, conditions)
}

const everyAction = `"sts:AssumeRoleWithWebIdentity","sts:TagSession","sts:SetSourceIdentity"`

func roleJSON(arn, trust, more string) string {
	return fmt.Sprintf(`{"Role":{"Arn":%q,"RoleId":"AROAEXAMPLEID12345678","AssumeRolePolicyDocument":%s%s}}`, arn, trust, more)
}

var testRoles = map[string]string{
	"deploy":    roleJSON(deploy, policy(everyAction, `"StringEquals":{"stint.example.com:aud":["sts.amazonaws.com","https://sts.example.com"]},"StringLike":{"stint.example.com:sub":"github:repo:octo-org/*"}`), `,"MaxSessionDuration":7200,"Tags":[{"Key":"env","Value":"prod"}]`),
	"untagged":  roleJSON("arn:aws:iam::"+account+":role/untagged", policy(`"sts:AssumeRoleWithWebIdentity","sts:SetSourceIdentity"`, ""), ""),
	"anonymous": roleJSON("arn:aws:iam::"+account+":role/anonymous", policy(`"sts:AssumeRoleWithWebIdentity","sts:TagSession"`, ""), ""),
	"pinned":    roleJSON("arn:aws:iam::"+account+":role/pinned", policy(everyAction, `"Bool":{"sts:RoleAuthorizedByIdp":"true"}`), ""),
	"tagged":    roleJSON("arn:aws:iam::"+account+":role/tagged", policy(everyAction, `"StringEquals":{"aws:RequestTag/env":"${aws:ResourceTag/env}","aws:SourceIp":"127.0.0.1","aws:RequestedRegion":"us-east-1"}`), `,"Tags":[{"Key":"env","Value":"prod"}]`),
}

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is an emulated STS with one provider, whose keys the test holds.
type world struct {
	testing.TB
	clock *clock
	url   string
	keys  *keys
	told  *told
	sts   http.Handler
}

// in is the same world for a subtest.
func (w *world) in(t testing.TB) *world {
	same := *w
	same.TB = t
	return &same
}

// told are the decisions that the emulator told of.
type told struct {
	mu        sync.Mutex
	decisions []awssts.Decision
}

type keys struct {
	rsa    *rsa.PrivateKey
	ec     map[string]*ecdsa.PrivateKey // by algorithm
	jwks   []map[string]any
	broken error
}

var sharedRSA = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func newKeys(t testing.TB) *keys {
	k := &keys{rsa: sharedRSA(), ec: map[string]*ecdsa.PrivateKey{}}
	k.jwks = append(k.jwks, rsaJWK("rsa", &k.rsa.PublicKey))
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		k.ec[name] = key
		k.jwks = append(k.jwks, map[string]any{
			"kty": "EC", "kid": name, "alg": name, "use": "sig", "crv": curve.Params().Name,
			"x": b64(point[1 : 1+half]), "y": b64(point[1+half:]),
		})
	}
	return k
}

func rsaJWK(kid string, key *rsa.PublicKey) map[string]any {
	return map[string]any{"kty": "RSA", "kid": kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
}

func newWorld(t testing.TB, change ...func(*awssts.Config)) *world {
	t.Helper()
	w := &world{TB: t, clock: &clock{now: start}, keys: newKeys(t), told: &told{}}
	cfg := w.config()
	for _, c := range change {
		c(&cfg)
	}
	sts, err := awssts.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sts)
	t.Cleanup(server.Close)
	w.url, w.sts = server.URL, sts
	return w
}

func (w *world) config() awssts.Config {
	w.Helper()
	fsys := fstest.MapFS{}
	for name, data := range testRoles {
		fsys[name+".json"] = &fstest.MapFile{Data: []byte(data)}
	}
	set, _, err := roles.FromInventory(inventory.LoadFS(fsys), "")
	if err != nil {
		w.Fatal(err)
	}
	return awssts.Config{
		Roles: set,
		Providers: []awssts.Provider{{Issuer: issuer, Audiences: []string{"configured"}, Keys: func(context.Context) ([]byte, error) {
			if w.keys.broken != nil {
				return nil, w.keys.broken
			}
			return json.Marshal(map[string]any{"keys": w.keys.jwks})
		}}},
		Now: w.clock.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler),
		OnDecision: func(d awssts.Decision) {
			w.told.mu.Lock()
			defer w.told.mu.Unlock()
			w.told.decisions = append(w.told.decisions, d)
		},
	}
}

func (w *world) last() awssts.Decision {
	w.told.mu.Lock()
	defer w.told.mu.Unlock()
	if len(w.told.decisions) == 0 {
		w.Fatal("no decision was told")
	}
	return w.told.decisions[len(w.told.decisions)-1]
}

// claims are those of a good token.
func (w *world) claims() map[string]any {
	now := w.clock.Now().Unix()
	return map[string]any{"iss": issuer, "sub": "github:repo:octo-org/octo-repo:environment:prod", "aud": "sts.amazonaws.com", "iat": now, "nbf": now - 300, "exp": now + 300}
}

// set changes claims or parameters; nil takes one out.
func set(m map[string]any, changes ...any) map[string]any {
	for i := 0; i < len(changes); i += 2 {
		if m[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(m, changes[i].(string))
		}
	}
	return m
}

// sign makes a token. alg picks the key and the signature; header changes what
// the header says.
func (w *world) sign(alg string, claims map[string]any, header ...any) string {
	w.Helper()
	h := map[string]any{"typ": "JWT", "alg": alg, "kid": alg}
	var key crypto.PrivateKey = w.keys.ec[alg]
	if alg[:2] == "RS" {
		key, h["kid"] = w.keys.rsa, "rsa"
	}
	return w.seal(alg, key, set(h, header...), claims)
}

func (w *world) seal(alg string, key any, header, claims map[string]any) string {
	w.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		w.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		w.Fatal(err)
	}
	text := b64(h) + "." + b64(c)
	signature, err := jwt.GetSigningMethod(alg).Sign(text, key)
	if err != nil {
		w.Fatal(err)
	}
	return text + "." + b64(signature)
}

// parameters are those of a good call.
func parameters(token string, changes ...any) url.Values {
	form := map[string]any{"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": deploy, "RoleSessionName": "octo-repo-1", "WebIdentityToken": token}
	values := url.Values{}
	for name, v := range set(form, changes...) {
		values.Set(name, v.(string))
	}
	return values
}

type answer struct {
	Status int
	Type   string `xml:"Error>Type"`
	Code   string `xml:"Error>Code"`
	Text   string `xml:"Error>Message"`
	ID     string `xml:"RequestId"`
	Result struct {
		Credentials struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string
			SessionToken    string
			Expiration      time.Time
		}
		SubjectFromWebIdentityToken string
		AssumedRoleUser             struct {
			AssumedRoleID string `xml:"AssumedRoleId"`
			ARN           string `xml:"Arn"`
		}
		PackedPolicySize, SessionTokenSize, SessionTokenUtilization int
		Provider, Audience, SourceIdentity                          string
	} `xml:"AssumeRoleWithWebIdentityResult"`
	Body string `xml:"-"`
}

func (w *world) post(form url.Values) answer {
	w.Helper()
	response, err := http.PostForm(w.url, form)
	return w.read(response, err)
}

func (w *world) read(response *http.Response, err error) answer {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.Fatal(err)
	}
	a := answer{Status: response.StatusCode, Body: string(body)}
	if err := xml.Unmarshal(body, &a); err != nil {
		w.Fatalf("%s: %v", body, err)
	}
	if id := response.Header.Get("x-amzn-RequestId"); len(id) != 36 || !strings.Contains(a.Body, id) {
		w.Errorf("the request id %q is not in the answer %s", id, body)
	}
	if !strings.Contains(a.Body, `xmlns="https://sts.amazonaws.com/doc/2011-06-15/"`) {
		w.Errorf("no namespace in %s", body)
	}
	return a
}

// expect checks an error answer exactly.
func (w *world) expect(a answer, status int, code, message string) {
	w.Helper()
	if a.Status != status || a.Code != code || a.Text != message {
		w.Errorf("expected %d %s %q\nfound    %d %s %q", status, code, message, a.Status, a.Code, a.Text)
	}
	if code != "" && a.Result.Credentials.SecretAccessKey != "" {
		w.Error("an error came with credentials")
	}
}
