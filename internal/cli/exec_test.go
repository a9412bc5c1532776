//go:build unix

package cli

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestExecEnvironment(t *testing.T) {
	w := newWorld(t)
	t.Setenv("KEPT", "yes")
	t.Setenv("AWS_REGION", "eu-west-1")
	for _, name := range conflicting {
		t.Setenv(name, "ambient")
	}
	const script = `for a; do echo "arg=$a"; done; env; read line; echo "stdin=$line" >&2`
	got := runJobCommand(t, w.job(), "hello\n", "exec", "--role", testRole, "--duration", "30m", "--", "sh", "-c", script, "sh", "a b", "--json", "")
	if got.code != exitDone || got.stderr != "stdin=hello\n" {
		t.Fatalf("%+v", got)
	}
	seen := strings.Split(got.stdout, "\n")
	if want := []string{"arg=a b", "arg=--json", "arg="}; !slices.Equal(seen[:3], want) {
		t.Errorf("arguments %q, want %q", seen[:3], want)
	}
	for _, want := range []string{
		"KEPT=yes", "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=ASIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=" + testSecretKey,
		"AWS_SESSION_TOKEN=" + testSessionToken, "AWS_CREDENTIAL_EXPIRATION=2026-11-23T05:00:00Z",
	} {
		if !slices.Contains(seen, want) {
			t.Errorf("the command does not see %s", want)
		}
	}
	for _, kv := range seen {
		if strings.HasSuffix(kv, "=ambient") {
			t.Errorf("the command still sees %s", kv)
		}
	}
	if len(w.requests) != 1 || w.requests[0] != "/aws/sts "+testRole+" 1800" {
		t.Errorf("asked the broker %q", w.requests)
	}
}

func TestExecWithoutDashes(t *testing.T) {
	w := newWorld(t)
	got := runJobCommand(t, w.job(), "", "exec", "--role", testRole, "sh", "-c", `echo "$@"; exit 42`, "sh", "--role", "theirs")
	if got != (outcome{42, "--role theirs\n", ""}) {
		t.Errorf("%+v", got)
	}
	if len(w.requests) != 1 || !strings.Contains(w.requests[0], testRole) {
		t.Errorf("asked the broker %q", w.requests)
	}
}

func TestExecMask(t *testing.T) {
	w := newWorld(t)
	env := w.job()
	env["GITHUB_ACTIONS"] = "true"
	if got := runJobCommand(t, env, "", "exec", "--role", testRole, "--", "true"); got != (outcome{}) {
		t.Errorf("without --mask: %+v", got)
	}
	want := outcome{stderr: "::add-mask::" + testSecretKey + "\n::add-mask::" + testSessionToken + "\n"}
	if got := runJobCommand(t, env, "", "exec", "--mask", "--role", testRole, "--", "true"); got != want {
		t.Errorf("with --mask: %+v", got)
	}
}

func TestExecStatus(t *testing.T) {
	w := newWorld(t)
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("\x00\x01 no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		command []string
		code    int
		stderr  string // how it begins
	}{
		{"done", []string{"true"}, 0, ""},
		{"exit status", []string{"sh", "-c", "exit 42"}, 42, ""},
		{"the exit status of a denial is the command's own", []string{"sh", "-c", "exit 3"}, 3, ""},
		{"killed", []string{"sh", "-c", "kill -9 $$"}, 137, ""},
		{"terminated", []string{"sh", "-c", "kill -15 $$"}, 143, ""},
		{"not on PATH", []string{"no-such-command-here"}, 127, "error: running no-such-command-here: "},
		{"no such path", []string{plain + "x"}, 127, "error: running " + plain + "x: "},
		{"not executable", []string{plain}, 126, "error: running " + plain + ": "},
		{"no program", []string{broken}, 126, "error: running " + broken + ": "},
		{"a folder", []string{t.TempDir() + "/"}, 126, "error: running "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runJobCommand(t, w.job(), "", append([]string{"exec", "--role", testRole, "--"}, tt.command...)...)
			if got.code != tt.code || got.stdout != "" || !strings.HasPrefix(got.stderr, tt.stderr) || tt.stderr == "" && got.stderr != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestExecGetsNothingForWhatItCannotFind(t *testing.T) {
	w := newWorld(t)
	runJobCommand(t, w.job(), "", "exec", "--", "no-such-command-here")
	if len(w.asked)+len(w.requests) != 0 {
		t.Errorf("credentials were asked for: %q %q", w.asked, w.requests)
	}
}

// TestExecForwardsSignals runs the real command, which TestMain puts on PATH.
func TestExecForwardsSignals(t *testing.T) {
	const script = `trap 'echo got TERM; exit 7' TERM; trap 'echo got INT; exit 7' INT; echo ready; while :; do sleep 0.05; done`
	for s, name := range map[syscall.Signal]string{syscall.SIGTERM: "TERM", syscall.SIGINT: "INT"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			stint := exec.Command("stint", "exec", "--role", testRole, "--", "sh", "-c", script)
			stint.Env = os.Environ()
			for k, v := range w.job() {
				stint.Env = append(stint.Env, k+"="+v)
			}
			stint.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // away from this terminal, as in CI
			stint.Stderr = os.Stderr
			out, err := stint.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := stint.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			expect := func(want string) {
				t.Helper()
				if !lines.Scan() || lines.Text() != want {
					t.Errorf("stint printed %q, want %q", lines.Text(), want)
				}
			}
			expect("ready")
			if err := stint.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			expect("got " + name)
			var exit *exec.ExitError
			if err := stint.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
				t.Errorf("stint ended with %v, want exit status 7", err)
			}
		})
	}
}

func TestExecStartsNothingAfterAnInterrupt(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	child := exec.Command("touch", marker)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, child); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("the command ran")
	}
}
