package cli

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	chainB = "arn:aws:iam::222222222222:role/release"
	chainC = "arn:aws:iam::333333333333:role/data"
)

// chained adds to w a first session with a grant, and an AWS STS that gives
// the sessions of the hops.
type chained struct {
	*world
	sts    string
	calls  []string // role, external id, duration and tags
	answer string   // of every call, with status 403; empty: a session
}

func newChained(t *testing.T) *chained {
	t.Helper()
	c := &chained{world: newWorld(t)}
	c.stsAnswer = `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAFIRST</AccessKeyId>
<SecretAccessKey>first</SecretAccessKey><SessionToken>first</SessionToken><Expiration>2026-11-23T04:30:00Z</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-7</Arn></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
	c.stsGrant = base64.RawURLEncoding.EncodeToString([]byte(`{"rule":"deploy-prod","role":"` + testRole +
		`","tags":{"repository":"octo-org/octo-repo","env":"prod"},"source_identity":"12","chain":{"tags":{"repository":"octo-org/octo-repo"}}}`))
	s := httptest.NewServer(http.HandlerFunc(c.assumeRole))
	t.Cleanup(s.Close)
	c.sts = s.URL
	return c
}

func (c *chained) assumeRole(w http.ResponseWriter, r *http.Request) {
	f := r.FormValue
	call := f("Action") + " " + f("RoleArn") + " " + f("ExternalId") + " " + f("DurationSeconds")
	for n := 1; f("Tags.member."+strconv.Itoa(n)+".Key") != ""; n++ {
		call += " " + f("Tags.member."+strconv.Itoa(n)+".Key") + "=" + f("Tags.member."+strconv.Itoa(n)+".Value")
	}
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope := strings.Split(credential, "/")
	c.calls = append(c.calls, scope[0]+" "+scope[2]+" "+call)
	w.Header().Set("Content-Type", "text/xml")
	if c.answer != "" {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(c.answer))
		return
	}
	n := strconv.Itoa(len(c.calls))
	_, _ = w.Write([]byte(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAHOP` + n + `</AccessKeyId><SecretAccessKey>` + testSecretKey +
		`</SecretAccessKey><SessionToken>` + testSessionToken + `</SessionToken><Expiration>2026-11-23T05:0` + n + `:00Z</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::222222222222:assumed-role/x/octo-repo-7</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>`))
}

func (c *chained) denies() {
	c.answer = `<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-7 is not authorized to perform: sts:AssumeRole on resource: ` + chainB + `</Message></Error></ErrorResponse>`
}

func TestExecChain(t *testing.T) {
	c := newChained(t)
	env := c.job()
	// Of the environment count the address and the region alone.
	for k, v := range map[string]string{
		"AWS_ENDPOINT_URL_STS": c.sts, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIAAMBIENT",
		"AWS_SECRET_ACCESS_KEY": "ambient", "AWS_ROLE_SESSION_NAME": "ambient", "GITHUB_REPOSITORY": "evil-org/octo-repo",
	} {
		env[k] = v
		t.Setenv(k, v)
	}
	const script = `echo $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN $AWS_CREDENTIAL_EXPIRATION $AWS_ROLE_SESSION_NAME`
	got := runJobCommand(t, env, "", "exec", "--role", testRole, "--chain", chainB+",external-id=x1", "--chain", chainC, "--duration", "30m", "--", "sh", "-c", script)
	if want := (outcome{exitDone, "ASIAHOP2 " + testSecretKey + " " + testSessionToken + " 2026-11-23T05:02:00Z\n", ""}); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	want := []string{
		"ASIAFIRST eu-central-1 AssumeRole " + chainB + " x1 1800 repository=octo-org/octo-repo",
		"ASIAHOP1 eu-central-1 AssumeRole " + chainC + "  1800 repository=octo-org/octo-repo",
	}
	if strings.Join(c.calls, "\n") != strings.Join(want, "\n") {
		t.Errorf("calls %q\nwant %q", c.calls, want)
	}
	if len(c.requests) != 1 || c.requests[0] != "/aws/sts "+testRole+" 1800" {
		t.Errorf("asked the broker %q", c.requests)
	}
}

func TestCredentialProcessChain(t *testing.T) {
	c := newChained(t)
	env := c.job()
	env["AWS_ENDPOINT_URL"], env["AWS_DEFAULT_REGION"] = c.sts, "eu-west-1"
	got := runJobCommand(t, env, "", "credential-process", "--role", testRole, "--chain", chainB)
	want := outcome{exitDone, `{"Version":1,"AccessKeyId":"ASIAHOP1","SecretAccessKey":"` + testSecretKey + `","SessionToken":"` + testSessionToken +
		`","Expiration":"2026-11-23T05:01:00Z"}` + "\n", ""}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if len(c.calls) != 1 || !strings.HasPrefix(c.calls[0], "ASIAFIRST eu-west-1 ") {
		t.Errorf("calls %q", c.calls)
	}
}

// TestChainEndpoint: the flag, then the service's variable, then the general
// one, as AWS tools have it.
func TestChainEndpoint(t *testing.T) {
	c := newChained(t)
	const nobody = "http://127.0.0.1:1"
	for _, tt := range []struct {
		name string
		env  map[string]string
		args []string
	}{
		{"flag", map[string]string{"AWS_ENDPOINT_URL_STS": nobody, "AWS_ENDPOINT_URL": nobody}, []string{"--sts-endpoint", c.sts}},
		{"flag before the broker's door", map[string]string{"AWS_ENDPOINT_URL_STS": c.url + "/aws/sts"}, []string{"--sts-endpoint", c.sts}},
		{"flag where the others are ignored", map[string]string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, []string{"--sts-endpoint", c.sts}},
		{"STS's own", map[string]string{"AWS_ENDPOINT_URL_STS": c.sts, "AWS_ENDPOINT_URL": nobody}, nil},
		{"every service's", map[string]string{"AWS_ENDPOINT_URL": c.sts}, nil},
	} {
		env := c.job()
		for k, v := range tt.env {
			env[k] = v
		}
		c.calls = nil
		got := runJobCommand(t, env, "", append([]string{"credential-process", "--role", testRole, "--chain", chainB}, tt.args...)...)
		if got.code != exitDone || len(c.calls) != 1 {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	e := &Env{Getenv: func(name string) string {
		return map[string]string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE", "AWS_ENDPOINT_URL_STS": nobody, "AWS_ENDPOINT_URL": nobody}[name]
	}}
	req, err := (&awsFlags{chain: []string{chainB}}).request(e)
	if err != nil || req.Chain.Endpoint != "" {
		t.Errorf("ignored endpoints: %+v, %v", req.Chain, err)
	}
}

func TestChainWrongUsage(t *testing.T) {
	c := newChained(t)
	for _, tt := range []struct {
		name     string
		endpoint string
		args     []string
		stderr   string
	}{
		{"no role's ARN", c.sts, []string{"--chain", "release"}, `error: chain: expected the ARN of a role, found "release"`},
		{"no external id", c.sts, []string{"--chain", chainB + ",external-id="}, "error: chain: expected an external id"},
		{"six hops", c.sts, strings.Fields(strings.Repeat("--chain "+chainB+" ", 6)), "error: chain: expected 1 to 5 roles, found 6"},
		{"over an hour", c.sts, []string{"--chain", chainB, "--duration", "61m"}, "error: duration: expected whole seconds from 15m0s to 1h0m0s, found 1h1m0s\nhint: AWS gives at most one hour"},
		{"the first role", c.sts, []string{"--role", "deploy", "--chain", chainB}, "error: role: expected the ARN of a role"},
		{"the broker's door", c.url + "/aws/sts", []string{"--chain", chainB}, "error: the address of AWS STS: " + c.url + "/aws/sts is the broker's door, which serves AssumeRoleWithWebIdentity only\nhint: the hops of a chain go to AWS STS itself: give its address with --sts-endpoint"},
		{"no address", "sts.example.com", []string{"--chain", chainB}, "error: the address of AWS STS: "},
		{"an endpoint for nothing", "", []string{"--sts-endpoint", c.sts}, "error: --sts-endpoint has no --chain to go with"},
	} {
		for _, command := range [][]string{{"exec"}, {"credential-process"}} {
			env := c.job()
			env["AWS_ENDPOINT_URL_STS"] = tt.endpoint
			args := append(command, append([]string{"--role", testRole}, tt.args...)...)
			if command[0] == "exec" {
				args = append(args, "--", os.Args[0], "-test.run=^$")
			}
			got := runJobCommand(t, env, "", args...)
			if got.code != exitUsage || got.stdout != "" || !strings.HasPrefix(got.stderr, tt.stderr) || !strings.Contains(got.stderr, "\nhint: ") {
				t.Errorf("%s, %s: %+v", command[0], tt.name, got)
			}
		}
	}
	if len(c.asked)+len(c.requests)+len(c.calls) != 0 {
		t.Errorf("something was asked: %q %q %q", c.asked, c.requests, c.calls)
	}
}

func TestChainDenied(t *testing.T) {
	c := newChained(t)
	c.denies()
	env := c.job()
	env["AWS_ENDPOINT_URL_STS"] = c.sts
	args := []string{"exec", "--role", testRole, "--chain", chainB, "--", os.Args[0], "-test.run=^$"}
	const explanation = "error: role chaining, hop 1 of 1, " + testRole + " -> " + chainB + ": denied: User: arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-7 is not authorized to perform: sts:AssumeRole on resource: " + chainB + ` (AccessDenied)
hint: AWS does not say which policy refused. The frequent causes:
hint: - the trust policy of release does not let deploy in: its principal, an external id, or a condition on tags
hint: - the identity policies of deploy do not allow sts:AssumeRole on release: needed in another account, and where the trust policy names the account and not the role
hint: - the session carries tags (repository), and a policy of the two lacks sts:TagSession
hint: - the source identity goes on, and a policy of the two lacks sts:SetSourceIdentity
hint: with both roles in files, as 'aws iam get-role' prints them, this says which condition failed; add --from-identity FILE for each identity policy of deploy:
hint: stint explain --session --role deploy.json --chain release.json --session-name octo-repo-7 --session-tag env=prod --session-tag repository=octo-org/octo-repo --session-identity 12 --tag repository=octo-org/octo-repo
`
	if got, want := runJobCommand(t, env, "", args...), (outcome{exitDenied, "", explanation}); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}

	// In Actions the run is marked, and the step's summary says it too.
	env["GITHUB_ACTIONS"] = "true"
	env["GITHUB_STEP_SUMMARY"] = filepath.Join(t.TempDir(), "summary.md")
	if err := os.WriteFile(env["GITHUB_STEP_SUMMARY"], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := runJobCommand(t, env, "", args...)
	mark, rest, _ := strings.Cut(got.stderr, "\n")
	if got.code != exitDenied || !strings.HasPrefix(mark, "::error title=stint%3A denied::role chaining, hop 1 of 1, ") || rest != explanation {
		t.Errorf("%+v", got)
	}
	summary, err := os.ReadFile(env["GITHUB_STEP_SUMMARY"])
	if err != nil || !strings.Contains(string(summary), "hop 1 of 1") || !strings.Contains(string(summary), "stint explain --session") {
		t.Errorf("summary %q, %v", summary, err)
	}
}

// TestChainFailed: what is no refusal of AWS exits 1.
func TestChainFailed(t *testing.T) {
	c := newChained(t)
	c.answer = `<ErrorResponse><Error><Code>InvalidAction</Code><Message>Could not find operation AssumeRole for version 2011-06-15</Message></Error></ErrorResponse>`
	env := c.job()
	env["AWS_ENDPOINT_URL_STS"] = c.sts
	got := runJobCommand(t, env, "", "credential-process", "--role", testRole, "--chain", chainB)
	if got.code != exitFailed || got.stdout != "" || !strings.HasPrefix(got.stderr, "error: role chaining, hop 1 of 1, ") || !strings.Contains(got.stderr, "hint: the hops of a chain go to AWS STS itself") {
		t.Errorf("%+v", got)
	}
}

// TestRoleChainingDocs: what docs/role-chaining.md shows of a refusal is what a
// job reads.
func TestRoleChainingDocs(t *testing.T) {
	c := newChained(t)
	c.stsAnswer = strings.ReplaceAll(c.stsAnswer, "assumed-role/deploy/", "assumed-role/ci/")
	c.stsGrant = base64.RawURLEncoding.EncodeToString([]byte(`{"role":"arn:aws:iam::111111111111:role/ci","duration_seconds":3600,
		"tags":{"repository":"octo-org/octo-repo","env":"prod"},"transitive":["env"],"source_identity":"12","chain":{"tags":{"repository":"octo-org/octo-repo"}}}`))
	const release = "arn:aws:iam::111111111111:role/release"
	c.answer = `<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:sts::111111111111:assumed-role/ci/octo-repo-7 is not authorized to perform: sts:AssumeRole on resource: ` + release + `</Message></Error></ErrorResponse>`
	env := c.job()
	env["AWS_ENDPOINT_URL_STS"] = c.sts
	got := runJobCommand(t, env, "", "exec", "--role", "arn:aws:iam::111111111111:role/ci", "--chain", release, "--", os.Args[0], "-test.run=^$")
	page, err := os.ReadFile(filepath.FromSlash("../../docs/role-chaining.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := "    " + strings.ReplaceAll(strings.TrimRight(got.stderr, "\n"), "\n", "\n    ") + "\n\n"
	if got.code != exitDenied || !strings.Contains(string(page), shown) {
		t.Errorf("docs/role-chaining.md does not hold what a job reads, %d:\n%s", got.code, shown)
	}
}
