// Package cli holds the stint command: one file per subcommand, each with its
// flags, its wiring and its output.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/config"
)

// The exit codes of every subcommand.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitDenied = 3
)

// Env is everything that a subcommand takes from the process around it.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	// Environ is the environment that a child process inherits. Nil: that of
	// this process.
	Environ func() []string
	Now     func() time.Time
}

// Main runs the command line and returns the exit code. Only main exits.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now}
	return Run(ctx, e, args)
}

// Run runs one command line in the environment e.
func Run(ctx context.Context, e *Env, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	return report(e.Stderr, root.ExecuteContext(ctx))
}

func newRoot(e *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "stint",
		Short: "Trade a CI job's signed identity for short-lived credentials",
		Long: `stint trades the signed identity of a CI job for credentials that last only as
long as the job. It is the broker that a platform team runs, the command that a
job runs, and the local stand-in for GitHub and AWS that makes both testable.

Exit codes: 0 done or allowed, 1 failed, 2 wrong usage, 3 denied.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
		Args:          knownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			return c.Help()
		},
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("see '%s --help'", c.CommandPath())("%w", err)
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newDemoCommand(e), newDevCommand(e), newServeCommand(e),
		newTokenCommand(e), newExecCommand(e), newCredentialProcessCommand(e), newWhoamiCommand(e), newClaimsCommand(e),
		newExplainCommand(e), newTestCommand(e), newDiffCommand(e), newLintCommand(e), newAuditCommand(e), newIdentitiesCommand(e),
		newImportCommand(e), newExportCommand(e),
	)
	return root
}

// failure is an error with what its reader can do about it.
type failure struct {
	code int
	hint string
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failf makes an error of exit code 1 with a hint; an empty hint is not shown.
func failf(hint, format string, args ...any) error {
	return &failure{code: exitFailed, hint: hint, err: fmt.Errorf(format, args...)}
}

// deniedf makes an error of exit code 3.
func deniedf(hint, format string, args ...any) error {
	return &failure{code: exitDenied, hint: hint, err: fmt.Errorf(format, args...)}
}

// usagef makes an error of exit code 2: usagef(hint...)(message...).
func usagef(hint string, hintArgs ...any) func(format string, args ...any) error {
	return func(format string, args ...any) error {
		return &failure{code: exitUsage, hint: fmt.Sprintf(hint, hintArgs...), err: fmt.Errorf(format, args...)}
	}
}

// interruptible runs work that takes no context. An interruption is answered at
// once; the process ends then, and with it the work.
func interruptible(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return failf("", "interrupted")
	}
}

// exitStatus is the exit status of the user's own command, passed on without
// a message of ours.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// report prints err as its reader needs it and returns the exit code.
func report(w io.Writer, err error) int {
	var status exitStatus
	var f *failure
	var mistakes config.Problems
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &mistakes):
		for _, m := range mistakes {
			printError(w, m.String(), m.Hint)
		}
		return exitFailed
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &f):
		printError(w, err.Error(), f.hint)
		return f.code
	}
	printError(w, err.Error(), "")
	return exitFailed
}

func printError(w io.Writer, message, hint string) {
	fmt.Fprintf(w, "error: %s\n", message)
	for line := range strings.Lines(hint) {
		fmt.Fprintf(w, "hint: %s\n", strings.TrimRight(line, "\n"))
	}
}

// noArgs refuses positional arguments as wrong usage.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("see '%s --help'", c.CommandPath())("unexpected argument %q", args[0])
	}
	return nil
}

// knownCommand refuses what is no subcommand, with the one that it looks like.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := fmt.Sprintf("see '%s --help'", c.CommandPath())
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("%s", hint)("unknown command %q", args[0])
}

// version is the version that this binary was built from, as Go recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// printJSON writes v as one line of JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// newLogger is the structured log of the servers, on stderr.
func newLogger(w io.Writer, level slog.Level, asJSON bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
