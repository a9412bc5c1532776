package s3_test

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/emulator/s3"
)

const (
	account  = "111111111111"
	stranger = "222222222222"
	region   = "eu-central-1"
	workflow = "octo-org/octo-repo/.github/workflows/build.yml@refs/heads/main"
	secret   = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	token    = "session-token-of-the-tests"
)

// start is the time at which every test with a clock of its own begins.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`

// forPartner is the policy of a bucket that another account's role may use.
const forPartner = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + stranger + `:role/partner"},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::shared/*"}]}`

// documented are the policies of docs/emulated-s3.md, as they stand there.
func documented(t testing.TB) (perCommit, perWorkflow, onlyWorkflow string) {
	t.Helper()
	page, err := os.ReadFile("../../../docs/emulated-s3.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(page), "```") {
		if text, ok := strings.CutPrefix(part, "json\n"); ok && i%2 == 1 {
			blocks = append(blocks, text)
		}
	}
	if len(blocks) != 3 {
		t.Fatalf("expected 3 policies on the page, found %d", len(blocks))
	}
	return blocks[0], blocks[1], blocks[2]
}

func policy(t testing.TB, document string) *iam.Policy {
	t.Helper()
	p, err := iam.ParsePolicy([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// world is an emulated S3 and the sessions that exist.
type world struct {
	testing.TB
	url string
	s3  *s3.S3
	dir string

	mu        sync.Mutex
	now       func() time.Time
	sessions  map[string]s3.Session
	decisions []s3.Decision
	log       strings.Builder
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, dir: t.TempDir(), now: func() time.Time { return start }, sessions: map[string]s3.Session{}}
	w.open()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.s3.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	w.url = server.URL
	perCommit, perWorkflow, _ := documented(t)
	w.session("COMMIT", "ci", perCommit, "repository", "octo-org/octo-repo", "sha", "0a1b2c")
	w.session("OTHER", "ci", perCommit, "repository", "octo-org/other", "sha", "0a1b2c")
	w.session("UNTAGGED", "ci", perCommit)
	w.session("WORKFLOW", "build", perWorkflow, "job_workflow_ref", workflow)
	w.session("ALL", "admin", everything)
	w.session("RELEASER", "admin", everything, "job_workflow_ref", workflow)
	return w
}

func (w *world) open() {
	w.Helper()
	_, _, onlyWorkflow := documented(w)
	var err error
	w.s3, err = s3.New(s3.Config{
		Dir: w.dir, Region: region, Now: func() time.Time { return w.now() }, Rand: rand.Reader,
		Log: slog.New(slog.NewTextHandler(lockedWriter{w}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Buckets: []s3.Bucket{
			{Name: "artifacts", AccountID: account, Tags: map[string]string{"team": "octo"}},
			{Name: "releases", AccountID: account, Policy: policy(w, onlyWorkflow), PolicyName: "releases"},
			{Name: "shared", AccountID: account, Policy: policy(w, forPartner), PolicyName: "shared"},
			{Name: "elsewhere", AccountID: stranger, Region: "us-west-2"},
		},
		Sessions: func(id string) (s3.Session, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			session, ok := w.sessions[id]
			return session, ok
		},
		Keys: func(_ iam.Caller, resourceAccount string) iam.Context {
			return iam.NewContext(map[string][]string{"aws:ResourceOrgID": {"o-" + resourceAccount}})
		},
		OnDecision: func(d s3.Decision) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.decisions = append(w.decisions, d)
		},
	})
	if err != nil {
		w.Fatal(err)
	}
}

type lockedWriter struct{ w *world }

func (l lockedWriter) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(p)
}

// session makes a session of a role with an identity policy and tags.
func (w *world) session(id, role, document string, tags ...string) {
	w.Helper()
	w.sessionOf(account, id, role, document, tags...)
}

func (w *world) sessionOf(account, id, role, document string, tags ...string) {
	w.Helper()
	caller := iam.Caller{ARN: "arn:aws:iam::" + account + ":role/" + role, SessionName: "job", ID: "AROAEXAMPLEID12345678"}
	for pair := range slices.Chunk(tags, 2) {
		caller.Tags = append(caller.Tags, iam.Tag{Key: pair[0], Value: pair[1]})
	}
	if document != "" {
		caller.Policies.Identity = []iam.NamedPolicy{{Name: role, Policy: policy(w, document)}}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[id] = s3.Session{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Expires: w.now().Add(time.Hour), Caller: caller}
}

// change changes a session.
func (w *world) change(id string, change func(*s3.Session)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	session := w.sessions[id]
	change(&session)
	w.sessions[id] = session
}

// told are the decisions since the last call.
func (w *world) told() []s3.Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.decisions
	w.decisions = nil
	return told
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// realTime is for clients that have a clock of their own.
func (w *world) realTime() {
	w.now = time.Now
	for _, id := range []string{"COMMIT", "OTHER", "UNTAGGED", "WORKFLOW", "ALL", "RELEASER"} {
		w.change(id, func(s *s3.Session) { s.Expires = time.Now().Add(time.Hour) })
	}
}

// client is the AWS SDK with the credentials of a session.
func (w *world) client(id string, options ...func(*awss3.Options)) *awss3.Client {
	all := append([]func(*awss3.Options){func(o *awss3.Options) {
		o.BaseEndpoint = aws.String(w.url)
		o.Region = region
		o.UsePathStyle = true
		o.Credentials = credentials.NewStaticCredentialsProvider(id, secret, token)
		o.RetryMaxAttempts = 1
	}}, options...)
	return awss3.New(awss3.Options{}, all...)
}
