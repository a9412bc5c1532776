package cli

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// noAWS takes every AWS setting of this machine out of the test.
func noAWS(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	missing := filepath.Join(t.TempDir(), "missing")
	t.Setenv("AWS_CONFIG_FILE", missing)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", missing)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestWhoami(t *testing.T) {
	w := newWorld(t)
	noAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_ENDPOINT_URL_STS", w.url+"/caller")
	env := w.job()
	env["AWS_CREDENTIAL_EXPIRATION"] = "2026-11-23T05:00:00Z"

	got := runJobCommand(t, env, "", "whoami")
	want := outcome{exitDone, `Account  111111111111
Arn      arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-1
UserId   AROA1:octo-repo-1
Role     deploy
Session  octo-repo-1
Expires  2026-11-23T05:00:00Z (in 1h0m0s)
`, ""}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	got = runJobCommand(t, env, "", "whoami", "--json")
	want = outcome{exitDone, `{"account":"111111111111","arn":"arn:aws:sts::111111111111:assumed-role/deploy/octo-repo-1","user_id":"AROA1:octo-repo-1",` +
		`"role":"deploy","session":"octo-repo-1","expires":"2026-11-23T05:00:00Z"}` + "\n", ""}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if len(w.asked) != 0 {
		t.Error("a job token was asked for")
	}

	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
	got = runJobCommand(t, env, "", "whoami")
	if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, "InvalidClientTokenId") {
		t.Errorf("with credentials that AWS refuses: %+v", got)
	}
}

func TestWhoamiWithoutCredentials(t *testing.T) {
	w := newWorld(t)
	noAWS(t)
	got := runJobCommand(t, w.job(), "", "whoami")
	if got.code != exitFailed || !strings.HasPrefix(got.stderr, "error: this job has no AWS credentials\nhint: 'stint exec") ||
		got.stdout != "Job         repo:octo-org/octo-repo:environment:prod\nRepository  octo-org/octo-repo\nIssuer      https://token.actions.githubusercontent.com\n" {
		t.Errorf("in a job: %+v", got)
	}
	got = runJobCommand(t, w.job(), "", "whoami", "--json")
	if got.code != exitFailed || got.stdout != `{"job":{"subject":"repo:octo-org/octo-repo:environment:prod","repository":"octo-org/octo-repo","issuer":"https://token.actions.githubusercontent.com"}}`+"\n" {
		t.Errorf("in a job, as JSON: %+v", got)
	}
	got = runJobCommand(t, nil, "", "whoami")
	if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, "there are no AWS credentials here, and this is not a CI job") {
		t.Errorf("outside of a job: %+v", got)
	}
}

func TestWhoamiDoesNotHangOnTheMetadataService(t *testing.T) {
	// It takes connections and never answers, as a network does that swallows
	// requests to the metadata address.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	noAWS(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+l.Addr().String())
	start := time.Now()
	got := runJobCommand(t, nil, "", "whoami")
	if got.code != exitFailed || !strings.Contains(got.stderr, "there are no AWS credentials here") {
		t.Errorf("%+v", got)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("it took %s", d)
	}
}

func TestAssumedRole(t *testing.T) {
	for arn, want := range map[string][2]string{
		"arn:aws:sts::1:assumed-role/deploy/s-1":       {"deploy", "s-1"},
		"arn:aws-us-gov:sts::1:assumed-role/deploy/s1": {"deploy", "s1"},
		"arn:aws:iam::1:user/assumed-role/x":           {},
		"arn:aws:sts::1:federated-user/x":              {},
		"nonsense":                                     {},
		"":                                             {},
	} {
		if role, session := assumedRole(arn); [2]string{role, session} != want {
			t.Errorf("%q: %q, %q", arn, role, session)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"octo-org/octo-repo":  "octo-org/octo-repo",
		"Zürich 東京":           "Zürich 東京",
		"a\n::set-env x::y":   "a\uFFFD::set-env x::y",
		"\x1b[31mred\u202e":   "\uFFFD[31mred\uFFFD",
		"a\xffb":              "a\uFFFDb",
		"x ##[add-path]/evil": "x ## [add-path]/evil",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
