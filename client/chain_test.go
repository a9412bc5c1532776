package client_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stint-dev/stint/client"
)

const (
	roleB = "arn:aws:iam::222222222222:role/ops/release"
	roleC = "arn:aws:iam::333333333333:role/data"
	first = "arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-7"
)

// chainWorld is a broker whose answer carries a grant, and an AWS STS that
// gives every caller the next session.
type chainWorld struct {
	t      *testing.T
	broker string
	sts    string

	mu      sync.Mutex
	header  []string // of the broker's answer: Stint-Grant
	fail    map[int]http.HandlerFunc
	calls   []url.Values // of AssumeRole
	callers []string     // who signed them: access key and session token
}

func newChainWorld(t *testing.T, grant string) *chainWorld {
	w := &chainWorld{t: t, fail: map[int]http.HandlerFunc{}}
	if grant != "" {
		w.header = []string{base64.RawURLEncoding.EncodeToString([]byte(grant))}
	}
	w.broker, _ = doors(t, unexpected(t), func(rw http.ResponseWriter, r *http.Request) {
		for _, h := range w.header {
			rw.Header().Add("Stint-Grant", h)
		}
		session, expires := "AssumeRoleWithWebIdentity", time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
		answer(200, "text/xml", sessionXML(session, "0", first, expires))(rw, r)
	})
	w.sts, _ = serve(t, w.assumeRole)
	return w
}

func (w *chainWorld) assumeRole(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		w.t.Error(err)
	}
	n := len(w.calls) + 1
	w.calls = append(w.calls, r.PostForm)
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, scope, _ := strings.Cut(credential, "/")
	scope, _, _ = strings.Cut(scope, ",")
	w.callers = append(w.callers, key+" "+r.Header.Get("X-Amz-Security-Token")+" "+scope[strings.Index(scope, "/")+1:])
	if h := w.fail[n]; h != nil {
		h(rw, r)
		return
	}
	name := r.PostForm.Get("RoleArn")
	arn := "arn:aws:sts::" + strings.Split(name, ":")[4] + ":assumed-role/" + name[strings.LastIndexByte(name, '/')+1:] + "/" + r.PostForm.Get("RoleSessionName")
	answer(200, "text/xml", sessionXML("AssumeRole", strconv.Itoa(n), arn, time.Date(2026, 11, 23, 6, n, 0, 0, time.UTC)))(rw, r)
}

func sessionXML(operation, n, arn string, expires time.Time) string {
	return `<` + operation + `Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><` + operation + `Result><Credentials><AccessKeyId>ASIA` + n +
		`</AccessKeyId><SecretAccessKey>secret` + n + `</SecretAccessKey><SessionToken>session` + n + `</SessionToken><Expiration>` + expires.Format(time.RFC3339) +
		`</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>` + arn + `</Arn></AssumedRoleUser></` + operation + `Result></` + operation + `Response>`
}

func (w *chainWorld) assume(req client.AWSRequest, hops ...client.Hop) (client.AWSCredentials, error) {
	req.Role = role
	if req.Chain == nil {
		req.Chain = &client.Chain{Roles: hops, Endpoint: w.sts, Region: "eu-central-1"}
	}
	var waited waits
	req.Chain.Retry = waited.retry()
	return client.Broker{URL: w.broker}.AssumeRole(w.t.Context(), "a.b.c", req)
}

// sent are the tags of a call, by key, and all other parameters.
func sent(t *testing.T, call url.Values) (tags, others map[string]string) {
	t.Helper()
	tags, others = map[string]string{}, map[string]string{}
	for k := range call {
		rest, isTag := strings.CutPrefix(k, "Tags.member.")
		if !isTag {
			others[k] = call.Get(k)
			continue
		}
		n, part, _ := strings.Cut(rest, ".")
		if part != "Key" {
			continue
		}
		key := call.Get(k)
		if _, twice := tags[key]; twice {
			t.Errorf("the tag %q is passed twice", key)
		}
		tags[key] = call.Get("Tags.member." + n + ".Value")
	}
	return tags, others
}

// ambient sets what may lie around in a job, and must not get into a call.
func ambient(t *testing.T) {
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAAMBIENT", "AWS_SECRET_ACCESS_KEY": "ambient", "AWS_SESSION_TOKEN": "ambient", "AWS_PROFILE": "ambient",
		"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "ambient-1", "AWS_ROLE_SESSION_NAME": "ambient",
		"AWS_ROLE_ARN": roleC, "GITHUB_REPOSITORY": "evil-org/octo-repo", "STINT_TAGS": "repository=evil-org/octo-repo",
	} {
		t.Setenv(k, v)
	}
}

const grantJSON = `{"record":"01H","rule":"deploy-prod","role":"` + role + `","session_name":"octo-repo-7","duration_seconds":1800,
"tags":{"repository":"octo-org/octo-repo","env":"prod","team":"platform"},"transitive":["team"],"source_identity":"12",
"chain":{"tags":{"repository":"octo-org/octo-repo","team":"platform"}}}`

func TestChain(t *testing.T) {
	ambient(t)
	w := newChainWorld(t, grantJSON)
	got, err := w.assume(client.AWSRequest{}, client.Hop{Role: roleB, ExternalID: "x=1,y"}, client.Hop{Role: roleC})
	if err != nil {
		t.Fatal(err)
	}
	if got.Grant == nil || got.Grant.Rule != "deploy-prod" {
		t.Errorf("grant %+v, want that of the first session", got.Grant)
	}
	got.Grant = nil
	want := client.AWSCredentials{
		AccessKeyID: "ASIA2", SecretAccessKey: "secret2", SessionToken: "session2", Expires: time.Date(2026, 11, 23, 6, 2, 0, 0, time.UTC),
		AssumedRoleARN: "arn:aws:sts::333333333333:assumed-role/data/octo-repo-7",
	}
	if got != want {
		t.Errorf("credentials %+v, want those of the last hop", got)
	}
	const scope = "eu-central-1/sts/aws4_request"
	if want := []string{"ASIA0 session0 " + scope, "ASIA1 session1 " + scope}; !slices.Equal(w.callers, want) {
		t.Errorf("callers %q, want %q", w.callers, want)
	}
	wantCalls := []map[string]string{
		{"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": roleB, "RoleSessionName": "octo-repo-7", "DurationSeconds": "1800", "ExternalId": "x=1,y"},
		{"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": roleC, "RoleSessionName": "octo-repo-7", "DurationSeconds": "1800"},
	}
	for i, call := range w.calls {
		tags, others := sent(t, call)
		if !maps.Equal(others, wantCalls[i]) {
			t.Errorf("hop %d: %v, want %v", i+1, others, wantCalls[i])
		}
		if !maps.Equal(tags, map[string]string{"repository": "octo-org/octo-repo"}) {
			t.Errorf("hop %d: tags %v: the rule's, but for the transitive one", i+1, tags)
		}
	}
}

// TestChainOfAnOlderBroker: without the header nothing is passed on.
func TestChainOfAnOlderBroker(t *testing.T) {
	w := newChainWorld(t, "")
	got, err := w.assume(client.AWSRequest{}, client.Hop{Role: roleB})
	if err != nil || got.Grant != nil || got.AccessKeyID != "ASIA1" {
		t.Fatalf("%+v, %v", got, err)
	}
	tags, others := sent(t, w.calls[0])
	want := map[string]string{"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": roleB, "RoleSessionName": "octo-repo-7"}
	if len(tags) != 0 || !maps.Equal(others, want) {
		t.Errorf("tags %v, parameters %v", tags, others)
	}
}

func TestChainDuration(t *testing.T) {
	grant := func(seconds int) string { return fmt.Sprintf(`{"duration_seconds":%d}`, seconds) }
	for _, tt := range []struct {
		name        string
		grant       string
		all, chain  time.Duration
		first, each string
	}{
		{"the rule's", grant(1800), 0, 0, "", "1800"},
		{"an hour where the rule gives more", grant(7200), 0, 0, "", ""},
		{"an hour where nothing is known", "", 0, 0, "", ""},
		{"asked for", grant(1800), 20 * time.Minute, 0, "1200", "1200"},
		{"asked for of the hops", grant(7200), 2 * time.Hour, 30 * time.Minute, "7200", "1800"},
		{"an hour is the most", grant(7200), time.Hour, 0, "3600", "3600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newChainWorld(t, tt.grant)
			_, err := w.assume(client.AWSRequest{Duration: tt.all, Chain: &client.Chain{Roles: []client.Hop{{Role: roleB}, {Role: roleC}}, Endpoint: w.sts, Duration: tt.chain}})
			if err != nil {
				t.Fatal(err)
			}
			for i, call := range w.calls {
				if got := call.Get("DurationSeconds"); got != tt.each {
					t.Errorf("hop %d asks for %q, want %q", i+1, got, tt.each)
				}
			}
		})
	}
}

// TestChainRefusedBeforeAnythingIsAsked: no job token is spent, no session is
// made, for what cannot end well.
func TestChainRefusedBeforeAnythingIsAsked(t *testing.T) {
	w := newChainWorld(t, grantJSON)
	b := client.Hop{Role: roleB}
	hops := func(roles ...client.Hop) client.Chain { return client.Chain{Roles: roles, Endpoint: w.sts} }
	with := func(change func(*client.Chain)) client.Chain {
		c := hops(b)
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name     string
		role     string
		duration time.Duration
		chain    client.Chain
		want     string // in the error
	}{
		{"no role", role, 0, hops(), "1 to 5 roles, found 0"},
		{"six roles", role, 0, hops(b, b, b, b, b, b), "1 to 5 roles, found 6"},
		{"not an ARN", role, 0, hops(client.Hop{Role: "deploy"}), "the ARN of a role"},
		{"not a role's ARN", role, 0, hops(client.Hop{Role: "arn:aws:iam::111111111111:user/octo"}), "the ARN of a role"},
		{"a session's ARN", role, 0, hops(client.Hop{Role: first}), "the ARN of a role"},
		{"a line break", role, 0, hops(client.Hop{Role: roleB + "\n"}), "the ARN of a role"},
		{"the second of two", role, 0, hops(b, client.Hop{Role: "x"}), "the ARN of a role"},
		{"the first role", "deploy", 0, hops(b), "role: expected the ARN of a role"},
		{"two partitions", role, 0, hops(b, client.Hop{Role: "arn:aws-cn:iam::111111111111:role/deploy"}), "one partition"},
		{"external id", role, 0, hops(client.Hop{Role: roleB, ExternalID: "a b"}), "external id"},
		{"longer than role chaining gives", role, time.Hour + time.Second, hops(b), "15m0s to 1h0m0s"},
		{"a chain longer than role chaining gives", role, 0, with(func(c *client.Chain) { c.Duration = 2 * time.Hour }), "15m0s to 1h0m0s"},
		{"too short", role, 0, with(func(c *client.Chain) { c.Duration = time.Minute }), "15m0s to 1h0m0s"},
		{"in the clear", role, 0, with(func(c *client.Chain) { c.Endpoint = "http://sts.example.com" }), "in the clear"},
		{"a query", role, 0, with(func(c *client.Chain) { c.Endpoint = w.sts + "?a=b" }), "query"},
		{"the broker's door", role, 0, with(func(c *client.Chain) { c.Endpoint = w.broker + "/aws/sts" }), "the broker's door"},
		{"the broker's door with a slash", role, 0, with(func(c *client.Chain) { c.Endpoint = w.broker + "/aws/sts/" }), "the broker's door"},
		{"region", role, 0, with(func(c *client.Chain) { c.Region = "evil.example/" }), "expected a region"},
		{"no region in an unknown partition", role, 0, client.Chain{Roles: []client.Hop{{Role: "arn:aws-iso:iam::111111111111:role/deploy"}}}, "expected a region"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var source tokens
			job := client.Job{Tokens: &source, Broker: client.Broker{URL: w.broker}}
			_, err := job.AWS(t.Context(), client.AWSRequest{Role: tt.role, Duration: tt.duration, Chain: &tt.chain})
			var setting *client.SettingError
			if !errors.As(err, &setting) || !strings.Contains(err.Error(), tt.want) || setting.Hint == "" {
				t.Errorf("error %v, want a setting's with %q and a hint", err, tt.want)
			}
			if len(source.asked) != 0 || len(w.calls) != 0 {
				t.Error("something was asked for")
			}
		})
	}
}

func TestChainAllows(t *testing.T) {
	w := newChainWorld(t, "")
	b := client.Hop{Role: roleB}
	for _, hops := range [][]client.Hop{
		{{Role: role}}, // the first role itself
		{b, b, b, b, b},
		{{Role: "arn:aws:iam::111111111111:role/a/b/c+=,.@-_d"}},
	} {
		if _, err := w.assume(client.AWSRequest{}, hops...); err != nil {
			t.Errorf("%v: %v", hops, err)
		}
	}
}

func TestParseHop(t *testing.T) {
	for s, want := range map[string]client.Hop{
		roleB:                                {Role: roleB},
		roleB + ",external-id=a,b=c":         {Role: roleB, ExternalID: "a,b=c"},
		roleB + ",external-id=":              {},
		roleB + ",external-id=a":             {},
		roleB + ",external-id=" + "a\nb":     {},
		roleB + ",external_id=a b":           {},
		"":                                   {},
		"deploy":                             {},
		"arn:aws:iam::1:role/deploy":         {},
		"arn:aws:iam::111111111111:role/":    {},
		"arn:aws:iam::111111111111:role//a":  {},
		"arn:aws:iam::111111111111:role/a/ ": {},
	} {
		got, err := client.ParseHop(s)
		var setting *client.SettingError
		switch {
		case want != client.Hop{} && (err != nil || got != want):
			t.Errorf("%q: %+v, %v", s, got, err)
		case want == client.Hop{} && !errors.As(err, &setting):
			t.Errorf("%q: error %v, want a setting's", s, err)
		}
	}
}

// TestProviderGoesThroughTheChainAgain: a refresh repeats every hop.
func TestProviderGoesThroughTheChainAgain(t *testing.T) {
	w := newChainWorld(t, grantJSON)
	var source tokens
	p := client.NewAWSProvider(&client.Job{Tokens: &source, Broker: client.Broker{URL: w.broker}, Role: role},
		client.AWSRequest{Chain: &client.Chain{Roles: []client.Hop{{Role: roleB}, {Role: roleC}}, Endpoint: w.sts}})
	for n := range 2 {
		got, err := p.Retrieve(t.Context())
		if err != nil || got.AccessKeyID != fmt.Sprintf("ASIA%d", 2*n+2) || !got.Expires.Equal(time.Date(2026, 11, 23, 6, 2*n+2, 0, 0, time.UTC)) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if len(source.asked) != 2 || len(w.calls) != 4 {
		t.Errorf("%d job tokens and %d hops, want 2 and 4", len(source.asked), len(w.calls))
	}
	if !strings.HasPrefix(w.callers[2], "ASIA0 session0 ") {
		t.Errorf("the second round began with %s", w.callers[2])
	}
}

// TestChainOfWhatIsNoSession: there is no session name to go on with.
func TestChainOfWhatIsNoSession(t *testing.T) {
	c := client.Chain{Roles: []client.Hop{{Role: roleB}}, Endpoint: "http://127.0.0.1:1"}
	for _, arn := range []string{"", role, "arn:aws:iam::111111111111:user/octo", "arn:aws-cn:sts::111111111111:assumed-role/deploy/s1"} {
		if _, err := c.Assume(t.Context(), client.AWSCredentials{AccessKeyID: "a", SecretAccessKey: "b", SessionToken: "c", AssumedRoleARN: arn}); err == nil {
			t.Errorf("%q: no error", arn)
		} else if hop := new(client.ChainError); errors.As(err, &hop) {
			t.Errorf("%q: %v: AWS was asked", arn, err)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestChainAsksAWS: without an address it is AWS's own, in a region that every
// account of the partition has if none is named.
func TestChainAsksAWS(t *testing.T) {
	ambient(t)
	for _, tt := range []struct{ partition, region, host string }{
		{"aws", "eu-central-1", "sts.eu-central-1.amazonaws.com"},
		{"aws", "", "sts.us-east-1.amazonaws.com"},
		{"aws-us-gov", "", "sts.us-gov-west-1.amazonaws.com"},
		{"aws-cn", "", "sts.cn-north-1.amazonaws.com.cn"},
		{"aws-iso", "us-iso-east-1", "sts.us-iso-east-1.c2s.ic.gov"},
	} {
		var asked []string
		c := client.Chain{
			Roles: []client.Hop{{Role: "arn:" + tt.partition + ":iam::222222222222:role/release"}}, Region: tt.region,
			HTTP: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.Scheme+"://"+r.URL.Host)
				return nil, errors.New("not in a test")
			})},
			Retry: client.Retry{Attempts: 1},
		}
		_, err := c.Assume(t.Context(), client.AWSCredentials{AccessKeyID: "a", SecretAccessKey: "b", SessionToken: "c",
			AssumedRoleARN: "arn:" + tt.partition + ":sts::111111111111:assumed-role/ci/octo-repo-7"})
		var unavailable *client.UnavailableError
		if !errors.As(err, &unavailable) || len(asked) != 1 || asked[0] != "https://"+tt.host {
			t.Errorf("%s %s: asked %q, %v, want %s", tt.partition, tt.region, asked, err, tt.host)
		}
	}
}
