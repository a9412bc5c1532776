package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// silent is an input from which nothing comes; whoever reads it is interrupted.
type silent struct {
	interrupt func()
	end       chan struct{}
}

func (s silent) Read([]byte) (int, error) {
	s.interrupt()
	<-s.end
	return 0, os.ErrClosed
}

// TestInterruptedInput: an interruption ends a command that waits for its input.
func TestInterruptedInput(t *testing.T) {
	trust := filepath.Join(t.TempDir(), "trust.json")
	if err := os.WriteFile(trust, []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"explain", "--policy", trust, "--claims", "-"},
		{"explain", "--policy", trust, "--token", "-"},
		{"claims", "-"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		end := make(chan struct{})
		defer close(end)
		var stdout, stderr bytes.Buffer
		e := &Env{Stdin: silent{cancel, end}, Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }, Now: time.Now}
		if code := Run(ctx, e, args); code != exitFailed || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("%v: exit code %d: %s%s", args, code, stdout.String(), stderr.String())
		}
	}
}
