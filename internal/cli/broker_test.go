package cli

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/emulator/github"
	"github.com/stint-dev/stint/internal/store"
)

const brokerFile = `
issuer: https://stint.example.com
store: sqlite:stint.db
issuers:
  github:
    url: https://token.actions.githubusercontent.com
    audiences: [https://stint.example.com]
    only: {repository_owner_id: "65"}
    jwks_url: JWKS
aws: {endpoint: AWS}
rules:
  - name: deploy
    match: {environment: prod}
    aws: {roles: ["arn:aws:iam::111111111111:role/deploy"]}
`

// served is a broker that serves, with an emulated GitHub.
type served struct {
	t      *testing.T
	broker *broker
	url    string
	stop   context.CancelFunc
	ended  chan error
	cfg    *config.Config
	github *github.GitHub
	keys   atomic.Int32 // how often the key set was fetched
}

func serveBroker(t *testing.T, aws http.Handler) *served {
	t.Helper()
	s := &served{t: t, ended: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	s.github, err = github.New(github.Config{Now: time.Now, Rand: rand.Reader, Log: log})
	fatal(t, err)
	gh := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.keys.Add(1)
		s.github.ServeHTTP(w, r)
	}))
	t.Cleanup(gh.Close)
	sts := httptest.NewServer(aws)
	t.Cleanup(sts.Close)

	path := filepath.Join(t.TempDir(), "stint.yaml")
	text := strings.NewReplacer("JWKS", gh.URL+"/.well-known/jwks", "AWS", sts.URL).Replace(brokerFile)
	fatal(t, os.WriteFile(path, []byte(text), 0o600))
	s.cfg, err = loadConfig(path)
	fatal(t, err)
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	s.broker, err = newBroker(ctx, s.cfg, nil, time.Now, log)
	fatal(t, err)
	t.Cleanup(func() { _ = s.broker.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(t, err)
	s.url = "http://" + l.Addr().String()
	go func() { s.ended <- s.broker.serve(ctx, l) }()
	t.Cleanup(func() { stop(); <-s.ended })
	return s
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *served) token(environment string) string {
	s.t.Helper()
	job, err := s.github.AddJob(github.Job{Environment: environment})
	fatal(s.t, err)
	raw, err := s.github.InsecureSign(s.github.Payload(job, "https://stint.example.com"), nil)
	fatal(s.t, err)
	return raw
}

func (s *served) assume() (int, string, error) {
	resp, err := http.PostForm(s.url+"/aws/sts", url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleSessionName": {"test"},
		"RoleArn": {"arn:aws:iam::111111111111:role/deploy"}, "WebIdentityToken": {s.token("prod")},
	})
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

const assumed = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>AROA:octo-repo-1</AssumedRoleId><Arn>arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-1</Arn></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`

// TestShutdownFinishes: a request in flight gets its answer, and its outcome is
// on record, though the broker was told to stop meanwhile.
func TestShutdownFinishes(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := serveBroker(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, assumed)
	}))
	type result struct {
		status int
		body   string
		err    error
	}
	got := make(chan result, 1)
	go func() {
		status, body, err := s.assume()
		got <- result{status, body, err}
	}()
	<-entered
	s.stop()
	for { // until the listener is closed
		if _, err := http.Get(s.url + "/healthz"); err != nil {
			break
		}
	}
	select {
	case err := <-s.ended:
		t.Fatalf("the broker ended before its request: %v", err)
	default:
	}
	close(release)
	if r := <-got; r.err != nil || r.status != http.StatusOK || !strings.Contains(r.body, "ASIAEXAMPLE") {
		t.Errorf("got %d %s %v", r.status, r.body, r.err)
	}
	err := <-s.ended
	s.ended <- nil
	fatal(t, err)
	records, err := s.broker.store.Records(t.Context(), store.Query{})
	fatal(t, err)
	if len(records) != 1 || records[0].Outcome == nil || records[0].Outcome.AccessKeyID != "ASIAEXAMPLE" {
		t.Errorf("recorded %+v", records)
	}
}

// TestHangUp: a caller that hangs up does not keep its decision and its outcome
// from the record.
func TestHangUp(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := serveBroker(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, assumed)
	}))
	ctx, hangUp := context.WithCancel(t.Context())
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleSessionName": {"test"},
		"RoleArn": {"arn:aws:iam::111111111111:role/deploy"}, "WebIdentityToken": {s.token("prod")},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/aws/sts", strings.NewReader(form.Encode()))
	fatal(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	hangUp()
	<-done
	close(release)
	s.stop()
	err = <-s.ended
	s.ended <- nil
	fatal(t, err)
	records, err := s.broker.store.Records(t.Context(), store.Query{})
	fatal(t, err)
	if len(records) != 1 || records[0].Verdict != audit.Allowed || records[0].Outcome == nil {
		t.Errorf("recorded %+v", records)
	}
}

// TestReload: the rules change at once and as a whole under load, and the keys
// that were fetched stay.
func TestReload(t *testing.T) {
	s := serveBroker(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, assumed) }))
	if status, body, err := s.assume(); err != nil || status != http.StatusOK {
		t.Fatalf("got %d %s %v", status, body, err)
	}
	fetched := s.keys.Load()

	denying, err := loadConfig(s.cfg.File())
	fatal(t, err)
	denying.Rules[0].Deny = true
	allowing, err := loadConfig(s.cfg.File())
	fatal(t, err)

	var load sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, body, err := s.assume(); err != nil || status != http.StatusOK && status != http.StatusForbidden {
					t.Errorf("got %d %s %v", status, body, err)
					return
				}
			}
		})
	}
	for range 20 {
		fatal(t, s.broker.reload(denying))
		fatal(t, s.broker.reload(allowing))
	}
	close(stop)
	load.Wait()
	fatal(t, s.broker.reload(denying))
	if status, _, err := s.assume(); err != nil || status != http.StatusForbidden {
		t.Errorf("after the reload: %d %v", status, err)
	}
	if now := s.keys.Load(); now != fetched {
		t.Errorf("%d key sets were fetched because of reloads", now-fetched)
	}
}

// TestReady: a broker whose issuers' keys were never reached could grant
// nothing, and is not ready.
func TestReady(t *testing.T) {
	s := serveBroker(t, http.NotFoundHandler())
	fatal(t, eventually(func() error { return s.broker.ready(t.Context()) }))

	lost, err := loadConfig(s.cfg.File())
	fatal(t, err)
	lost.Issuers[0].JWKSURL = "http://127.0.0.1:1/jwks"
	fatal(t, s.broker.reload(lost))
	if err := s.broker.ready(t.Context()); err == nil {
		t.Error("it is ready without any key")
	}
}

// eventually asks until there is no error, for what happens in the background.
func eventually(ask func() error) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := ask()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// BenchmarkExchange is one job token traded for a stint token: verified,
// decided, recorded durably twice, and signed. Compare one caller with many:
// they share commits.
func BenchmarkExchange(b *testing.B) {
	for name, parallelism := range map[string]int{"one caller": 0, "64 callers": 32} {
		b.Run(name, func(b *testing.B) { benchmarkExchange(b, parallelism) })
	}
}

// benchLocal is a broker that runs, with a token of a job that is known to it. A
// nil configuration is the example's.
func benchLocal(b *testing.B, cfg *config.Config) (*local, string) {
	b.Helper()
	s, err := readSetup("", nil, "")
	if err != nil {
		b.Fatal(err)
	}
	if cfg != nil {
		s.config = cfg
	}
	s.now, s.log = time.Now, slog.New(slog.NewTextHandler(io.Discard, nil))
	l, err := startLocal(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	job, err := l.github.AddJob(github.Job{Environment: "prod"})
	if err != nil {
		b.Fatal(err)
	}
	token, err := l.github.InsecureSign(l.github.Payload(job, l.audience), nil)
	if err != nil {
		b.Fatal(err)
	}
	return l, token
}

func benchmarkExchange(b *testing.B, parallelism int) {
	l, token := benchLocal(b, nil)
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {token},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
	}.Encode()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	exchange := func() {
		resp, err := client.Post(l.brokerURL+"/token", "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			b.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b.Errorf("status %d", resp.StatusCode)
		}
	}
	b.ResetTimer()
	if parallelism == 0 {
		for range b.N {
			exchange()
		}
		return
	}
	b.SetParallelism(parallelism)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			exchange()
		}
	})
}
