package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/client"
)

// What a shell answers for a command that it cannot run (POSIX 2.8.2).
const (
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignal        = 128 // plus the signal's number
)

func newExecCommand(e *Env) *cobra.Command {
	var (
		flags   jobFlags
		wanted  awsFlags
		masking bool
	)
	c := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG...]",
		Short: "Run a command with AWS credentials",
		Long: `Trade this job's token for AWS credentials and run COMMAND with them in its
environment, and nowhere else: not on disk, not in arguments. Whatever would take
precedence over them (AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE and the like) is
removed. stint returns the exit status of COMMAND: 128+n if signal n ended it,
127 if it is not found, 126 if it cannot be executed.

--mask asks the GitHub runner to hide the credentials should COMMAND print them.
It writes them to stderr for that, so leave it out where stderr is also saved.

--chain assumes further roles from there, each with the credentials of the one
before, and COMMAND gets those of the last. The tags that the rule names go on,
with the broker's values. Such sessions last one hour at most.

  stint exec --role arn:aws:iam::111111111111:role/deploy -- aws s3 sync dist s3://site
  stint exec --duration 30m -- terraform apply -auto-approve
  stint exec --role arn:aws:iam::111111111111:role/ci \
    --chain arn:aws:iam::222222222222:role/deploy -- terraform apply`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "" {
				return usagef("stint exec [flags] -- COMMAND [ARG...]")("there is no command to run")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			// What cannot be run needs no credentials.
			child := exec.Command(args[0], args[1:]...)
			if child.Err != nil {
				return startError(args[0], child.Err)
			}
			req, err := wanted.request(e)
			if err != nil {
				return err
			}
			job, err := flags.job(e)
			if err != nil {
				return jobError(e, err)
			}
			creds, err := job.AWS(c.Context(), req)
			if err != nil {
				return jobError(e, err)
			}
			if masking && inActions(e) && readByRunner(e.Stderr) {
				mask(e.Stderr, creds.SecretAccessKey)
				mask(e.Stderr, creds.SessionToken)
			}
			environ := e.Environ
			if environ == nil {
				environ = os.Environ
			}
			child.Env = withCredentials(environ(), creds)
			child.Stdin, child.Stdout, child.Stderr = e.Stdin, e.Stdout, e.Stderr
			return run(c.Context(), child)
		},
	}
	f := c.Flags()
	// What follows COMMAND belongs to it, with or without the two dashes.
	f.SetInterspersed(false)
	flags.register(f)
	wanted.register(f)
	f.BoolVar(&masking, "mask", false, "in GitHub Actions, mask the credentials in the log")
	return c
}

// conflicting are the variables that an AWS SDK or tool would prefer to the
// credentials, or mix with them. Those in credentialVariables are replaced.
var conflicting = []string{
	"AWS_PROFILE",
	"AWS_DEFAULT_PROFILE",
	"AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_ROLE_ARN",
	"AWS_ROLE_SESSION_NAME",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	"AWS_SECURITY_TOKEN",     // the older name of AWS_SESSION_TOKEN
	"AWS_ACCESS_KEY",         // read by older SDKs
	"AWS_SECRET_KEY",         // read by older SDKs
	"AWS_CREDENTIAL_FILE",    // read by older tools
	"AWS_SESSION_EXPIRATION", // would contradict AWS_CREDENTIAL_EXPIRATION
	"AWS_CREDENTIAL_EXPIRATION",
	"AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN",
}

// withCredentials is environ with creds as the only AWS credentials.
func withCredentials(environ []string, creds client.AWSCredentials) []string {
	kept := make([]string, 0, len(environ)+4)
next:
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		for _, c := range conflicting {
			if strings.EqualFold(name, c) { // Windows ignores case here
				continue next
			}
		}
		kept = append(kept, kv)
	}
	return append(kept,
		"AWS_ACCESS_KEY_ID="+creds.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY="+creds.SecretAccessKey.Reveal(),
		"AWS_SESSION_TOKEN="+creds.SessionToken.Reveal(),
		"AWS_CREDENTIAL_EXPIRATION="+creds.Expires.UTC().Format(time.RFC3339),
	)
}

// run runs child to its end, passes signals on to it and returns how it ended.
// The end of ctx does not end a child that runs: whoever interrupted us means
// the child, and it may have to clean up.
func run(ctx context.Context, child *exec.Cmd) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	// A signal that came before ends ctx, and one that comes now is forwarded.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("the command was not started: %w", context.Cause(ctx))
	}
	if err := child.Start(); err != nil {
		return startError(child.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for {
		select {
		case s := <-signals:
			if !sentToChild(s) {
				// It may have ended in between, which the other case tells.
				_ = child.Process.Signal(s)
			}
		case err := <-ended:
			return ending(child, err)
		}
	}
}

// ending is how a child ended, as a shell says it.
func ending(child *exec.Cmd, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return failf("", "running %s: %w", child.Path, err)
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return exitStatus(exitSignal + int(ws.Signal()))
	}
	return exitStatus(exit.ExitCode())
}

// startError is why a command could not be started.
func startError(name string, err error) error {
	code, hint := exitNotExecutable, "is it executable, and built for this machine?"
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code, hint = exitNotFound, "is it installed, and on PATH?"
	}
	var lookup *exec.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &lookup):
		err = lookup.Err
	case errors.As(err, &path):
		err = path.Err
	}
	return &failure{code: code, hint: hint, err: fmt.Errorf("running %s: %w", name, err)}
}
