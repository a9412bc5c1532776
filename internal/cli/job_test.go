package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

const (
	testRole         = "arn:aws:iam::111111111111:role/deploy"
	testRequestToken = "the-request-token"
	testSecretKey    = "the-secret-key"
	testSessionToken = "the-session-token"
)

var testNow = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)

// world stands in for GitHub and a broker, each door with one fixed answer.
// The real ones are in the tests of the whole binary.
type world struct {
	url      string
	jobToken string
	asked    []string // the audiences that job tokens were asked for
	requests []string // what came to the broker: path and role

	tokenStatus int
	tokenAnswer string
	stsStatus   int
	stsAnswer   string
	stsGrant    string // the header Stint-Grant
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		jobToken:    testJWT(t, map[string]any{"alg": "RS256", "kid": "1"}, map[string]any{"iss": "https://token.actions.githubusercontent.com", "sub": "repo:octo-org/octo-repo:environment:prod", "repository": "octo-org/octo-repo"}),
		tokenStatus: http.StatusOK,
		stsStatus:   http.StatusOK,
		stsAnswer: `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>` + testSecretKey + `</SecretAccessKey><SessionToken>` + testSessionToken + `</SessionToken>
<Expiration>2026-11-23T05:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
	}
	stint := testJWT(t, map[string]any{"alg": "ES256"}, map[string]any{"https://aws.amazon.com/roles": []string{testRole}})
	w.tokenAnswer = `{"access_token":"` + stint + `","issued_token_type":"urn:ietf:params:oauth:token-type:jwt","token_type":"N_A","expires_in":300}`
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	reply := func(status int, contentType, body string) {
		rw.Header().Set("Content-Type", contentType)
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(body))
	}
	switch strings.TrimSuffix(r.URL.Path, "/") {
	case "/job-token":
		w.asked = append(w.asked, r.URL.Query().Get("audience"))
		reply(200, "application/json", `{"value":"`+w.jobToken+`"}`)
	case "/token":
		w.requests = append(w.requests, "/token "+r.FormValue("audience")+" "+r.FormValue("resource"))
		reply(w.tokenStatus, "application/json", w.tokenAnswer)
	case "/aws/sts":
		w.requests = append(w.requests, "/aws/sts "+r.FormValue("RoleArn")+" "+r.FormValue("DurationSeconds"))
		if w.stsGrant != "" {
			rw.Header().Set("Stint-Grant", w.stsGrant)
		}
		reply(w.stsStatus, "text/xml", w.stsAnswer)
	case "/caller":
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIAAMBIENT/") {
			reply(403, "text/xml", `<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>x</Message></Error></ErrorResponse>`)
			return
		}
		reply(200, "text/xml", `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-1</Arn>
<UserId>AROA1:octo-repo-1</UserId><Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	default:
		reply(404, "text/plain", "")
	}
}

// denial makes every door deny, with reasons.
func (w *world) denial() {
	w.tokenStatus = http.StatusBadRequest
	w.tokenAnswer = `{"error":"invalid_target","error_description":"d","denial":{"record":"01HREC","reason":"no_rule_matched",
		"detail":"no rule matches, 100% sure","hint":"deploy from main","suggestion":"add \"dev\" to its environment","warning":"dev is <b>everybody's</b>",
		"closest":{"index":2,"rule":"deploy-prod","effect":"allow","matched":false,"conditions":[
			{"operator":"match","key":"repository_id","expected":["74"],"actual":["74"],"matched":true,"note":""},
			{"operator":"match","key":"environment","expected":["prod","prod-*"],"actual":["production"],"matched":false,"note":""},
			{"operator":"match","key":"ref_type","expected":["tag"],"actual":[],"matched":false,"note":"the token has no such claim"},
			{"operator":"when","key":"when","expected":["claims.actor_id != \"7\""],"actual":[],"matched":true,"note":""}]},
		"rules":[{"rule":"deploy-prod","effect":"allow","matched":false,"miss":{"claim":"environment","expected":["prod","prod-*"],"found":"production","detail":"d"}}]}}`
	w.stsStatus = http.StatusForbidden
	w.stsAnswer = `<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity: no rule matches (record 01HREC)</Message></Error></ErrorResponse>`
}

// job is the environment of a job in w.
func (w *world) job() map[string]string {
	return map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL":   w.url + "/job-token?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": testRequestToken,
		"STINT_URL":                      w.url,
	}
}

type outcome struct {
	code           int
	stdout, stderr string
}

// runJobCommand runs one command of a job as main does.
func runJobCommand(t *testing.T, env map[string]string, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	e := &Env{
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string { return env[name] },
		Now:    func() time.Time { return testNow },
	}
	root := newRoot(e)
	for _, c := range []*cobra.Command{
		newTokenCommand(e), newExecCommand(e), newCredentialProcessCommand(e), newWhoamiCommand(e), newClaimsCommand(e),
	} {
		if found, _, err := root.Find([]string{c.Name()}); err != nil || found == root {
			root.AddCommand(c)
		}
	}
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errs)
	code := report(&errs, root.ExecuteContext(t.Context()))
	return outcome{code, out.String(), errs.String()}
}

func testJWT(t *testing.T, header, payload map[string]any) string {
	t.Helper()
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	return part(header) + "." + part(payload) + "." + base64.RawURLEncoding.EncodeToString([]byte("no signature"))
}

func TestTokenCommand(t *testing.T) {
	w := newWorld(t)
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(w.tokenAnswer), &answer); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		env     map[string]string
		args    []string
		stdout  string
		stderr  string
		asked   string
		request string
	}{
		{"plain", nil, nil, answer.Token + "\n", "", w.url, "/token  "},
		{"audience and role by flag", nil, []string{"--audience", "https://vault.example.com", "--role", testRole}, answer.Token + "\n", "", w.url,
			"/token https://vault.example.com " + testRole},
		{"role and audience by environment", map[string]string{"STINT_ROLE": testRole, "STINT_AUDIENCE": "stint"}, nil, answer.Token + "\n", "", "stint", "/token  " + testRole},
		{"a flag wins", map[string]string{"STINT_ROLE": "x", "STINT_AUDIENCE": "x", "STINT_URL": "http://x.example"},
			[]string{"--role", testRole, "--job-audience", "stint", "--url", w.url}, answer.Token + "\n", "", "stint", "/token  " + testRole},
		{"json", nil, []string{"--json"}, `{"token":"` + answer.Token + `","expires_in":300,"expires":"2026-11-23T04:05:00Z"}` + "\n", "", w.url, "/token  "},
		{"masked in Actions on request", map[string]string{"GITHUB_ACTIONS": "true"}, []string{"--mask"}, answer.Token + "\n", "::add-mask::" + answer.Token + "\n", w.url, "/token  "},
		{"else stderr stays clean", map[string]string{"GITHUB_ACTIONS": "true"}, nil, answer.Token + "\n", "", w.url, "/token  "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.asked, w.requests = nil, nil
			env := w.job()
			for k, v := range tt.env {
				env[k] = v
			}
			got := runJobCommand(t, env, "", append([]string{"token"}, tt.args...)...)
			if want := (outcome{exitDone, tt.stdout, tt.stderr}); got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if len(w.asked) != 1 || w.asked[0] != tt.asked {
				t.Errorf("asked GitHub for %q, want %q", w.asked, tt.asked)
			}
			if len(w.requests) != 1 || w.requests[0] != tt.request {
				t.Errorf("asked the broker %q, want %q", w.requests, tt.request)
			}
		})
	}
}

func TestMaskingStaysOutOfFiles(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if readByRunner(f) {
		t.Error("a file would get the token")
	}
	r, p, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer p.Close()
	if !readByRunner(p) {
		t.Error("the runner's pipe would not get the mask")
	}
}

func TestJobCommandsDenied(t *testing.T) {
	w := newWorld(t)
	w.denial()
	const explanation = `error: denied: no rule matches, 100% sure (record 01HREC)

DENIED stint:Exchange by the rules of the broker
closest: Allow 2 "deploy-prod"

  ok  match repository_id
      expected  74
      actual    74

  NO  match environment
      expected  prod
      or        prod-*
      actual    production
                    ^ differs from here

  NO  match ref_type
      expected  tag
      actual    nothing
      note      the token has no such claim

  ok  when
      expected  claims.actor_id != "7"
      actual    nothing

Cause    no rule matches, 100% sure
Change   add "dev" to its environment
Or       deploy from main
Warning  dev is <b>everybody's</b>
hint: 'stint claims' shows what is in this job's token
`
	const mark = "::error title=stint%3A denied::denied: no rule matches, 100%25 sure (record 01HREC)%0A" +
		"Change: add \"dev\" to its environment%0AOr: deploy from main%0AWarning: dev is <b>everybody's</b>\n"
	for _, args := range [][]string{
		{"token"},
		{"exec", "--", os.Args[0], "-test.run=^$"},
		{"exec", "--role", testRole, "--", os.Args[0], "-test.run=^$"},
		{"credential-process", "--role", testRole},
		{"credential-process"},
	} {
		env := w.job()
		if got, want := runJobCommand(t, env, "", args...), (outcome{exitDenied, "", explanation}); got != want {
			t.Errorf("%q: got %+v\nwant %+v", args, got, want)
		}
		env["GITHUB_ACTIONS"] = "true"
		if got, want := runJobCommand(t, env, "", args...), (outcome{exitDenied, "", mark + explanation}); got != want {
			t.Errorf("%q in Actions: got %+v\nwant %+v", args, got, want)
		}
	}
}

// TestDeniedByTheTrustPolicy: the broker gave the role and AWS refused. Which
// condition failed nobody said, so the job is told how to find out.
func TestDeniedByTheTrustPolicy(t *testing.T) {
	w := newWorld(t)
	w.stsStatus = http.StatusForbidden
	w.stsAnswer = `<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity. AWS STS refused what the rule deploy-prod gave: the broker does not see the trust policy. Record 01HREC</Message></Error></ErrorResponse>`
	got := runJobCommand(t, w.job(), "", "exec", "--role", testRole, "--", os.Args[0], "-test.run=^$")
	if got.code != exitDenied || !strings.HasPrefix(got.stderr, "error: denied: Not authorized to perform sts:AssumeRoleWithWebIdentity. AWS STS refused") ||
		!strings.Contains(got.stderr, "hint: stint token | stint explain --role role.json --token -\n") {
		t.Errorf("%+v", got)
	}
	if len(w.requests) != 1 {
		t.Errorf("asked the broker again, for a token that nobody needs: %q", w.requests)
	}
}

func TestStrangerIsToldNothingMore(t *testing.T) {
	w := newWorld(t)
	w.tokenStatus, w.tokenAnswer = 400, `{"error":"invalid_request","error_description":"the subject_token is not accepted"}`
	got := runJobCommand(t, w.job(), "", "token")
	if got.code != exitDenied || got.stdout != "" || !strings.HasPrefix(got.stderr, "error: denied: the subject_token is not accepted (invalid_request)\nhint: ") {
		t.Errorf("%+v", got)
	}
}

func TestAnnotationCannotBeLeft(t *testing.T) {
	got := annotation("a:b,c\n::x", "50%\r\n::set-env name=x::y")
	if want := "::error title=a%3Ab%2Cc%0A%3A%3Ax::50%25%0D%0A::set-env name=x::y"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestJobCommandsOutsideOfAJob(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want string
	}{
		{"not a job", nil, "this is not a CI job"},
		{"no permission", map[string]string{"GITHUB_ACTIONS": "true"}, "permission id-token: write"},
		{"Dependabot", map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "dependabot[bot]"}, "Dependabot"},
		{"half of it", map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x.example"}, "ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set"},
	}
	for _, tt := range tests {
		for _, args := range [][]string{{"token"}, {"exec", "--", os.Args[0], "-test.run=^$"}, {"credential-process"}, {"claims"}} {
			got := runJobCommand(t, tt.env, "", args...)
			if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, tt.want) || !strings.Contains(got.stderr, "\nhint: ") {
				t.Errorf("%s, %q: %+v", tt.name, args, got)
			}
		}
	}
}

func TestJobCommandsWrongUsage(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		url  string
		args []string
	}{
		{"", []string{"token"}},
		{"http://stint.example.com", []string{"token"}},
		{w.url, []string{"token", "extra"}},
		{w.url, []string{"token", "--nonsense"}},
		{w.url, []string{"exec"}},
		{w.url, []string{"exec", "--duration", "5m", "--role", testRole, "--", os.Args[0], "-test.run=^$"}},
		{w.url, []string{"exec", "--duration", "long", "--", os.Args[0], "-test.run=^$"}},
		{w.url, []string{"credential-process", "--duration", "13h", "--role", testRole}},
		{w.url, []string{"credential-process", "extra"}},
		{w.url, []string{"whoami", "extra"}},
		{w.url, []string{"claims", "a", "b"}},
	} {
		env := w.job()
		env["STINT_URL"] = tt.url
		got := runJobCommand(t, env, "", tt.args...)
		if got.code != exitUsage || got.stdout != "" || !strings.HasPrefix(got.stderr, "error: ") || !strings.Contains(got.stderr, "\nhint: ") {
			t.Errorf("%q with %q: %+v", tt.args, tt.url, got)
		}
	}
}

func TestBrokerDown(t *testing.T) {
	w := newWorld(t)
	env := w.job()
	env["STINT_URL"] = "http://127.0.0.1:1"
	got := runJobCommand(t, env, "", "token")
	if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, "hint: is the broker up") {
		t.Errorf("%+v", got)
	}
}

func TestCredentialProcess(t *testing.T) {
	w := newWorld(t)
	got := runJobCommand(t, w.job(), "", "credential-process", "--role", testRole, "--duration", "20m")
	want := outcome{exitDone, `{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"` + testSecretKey + `","SessionToken":"` + testSessionToken +
		`","Expiration":"2026-11-23T05:00:00Z"}` + "\n", ""}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if len(w.requests) != 1 || w.requests[0] != "/aws/sts "+testRole+" 1200" {
		t.Errorf("asked the broker %q", w.requests)
	}
}
