package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/emulator"
	"github.com/stint-dev/stint/internal/emulator/github"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
)

type devFlags struct {
	config  string
	roles   []string
	aws     awsFlagsOfDev
	job     github.Job
	form    string
	claims  []string
	verbose bool
}

func newDevCommand(e *Env) *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use:   "dev [flags] [-- COMMAND [ARG...]]",
		Short: "Run a command as a GitHub Actions job, with GitHub and AWS STS emulated",
		Long: `Start an emulated GitHub token endpoint, an emulated AWS STS and a real broker on
loopback, and run COMMAND as a step of a GitHub Actions job would run: with its
environment, and with its exit status returned. Without COMMAND, print that
environment as NAME=VALUE lines once everything answers, and serve until
interrupted.

Flags choose the job and the set-up; without them, an example that ships with
stint. The issuers keep the names that the configuration and the trust policies
give them, so what is tested is what gets deployed. Your own AWS credentials and
configuration are hidden from COMMAND.

` + emulator.Banner + `

  stint dev -- sh -c 'stint exec -- stint whoami'
  stint dev --event pull_request -- stint token
  stint dev --config stint.yaml --roles roles/ --repo acme/app --environment prod -- ./deploy.sh`,
		RunE: func(c *cobra.Command, args []string) error {
			if dash := c.ArgsLenAtDash(); len(args) > 0 && dash != 0 {
				return usagef("write it as: stint dev -- %s", strings.Join(args, " "))("the command must stand behind --")
			}
			environment := c.Flags().Lookup("environment")
			if f.config == "" && !environment.Changed && f.job.Event == "push" {
				f.job.Environment = "prod" // what the example's rules grant
			}
			return dev(c.Context(), e, f, args)
		},
	}
	fl := c.Flags()
	fl.StringVarP(&f.config, "config", "c", "", "the broker's configuration `file` (default: an example)")
	fl.StringArrayVar(&f.roles, "roles", nil, "a `file or folder` with roles as 'stint lint' reads them: 'aws iam' output, CloudFormation, Terraform; repeatable (default: an example)")
	f.aws.register(fl)
	fl.StringVar(&f.job.Repository, "repo", "octo-org/octo-repo", "the job's repository, `OWNER/NAME`")
	fl.StringVar(&f.job.RepositoryID, "repo-id", "", "its numeric `id`")
	fl.StringVar(&f.job.OwnerID, "owner-id", "", "its owner's numeric `id`")
	fl.StringVar(&f.job.Ref, "ref", "", "the git `ref` in full (default refs/heads/main; of a pull request, refs/pull/1/merge)")
	fl.StringVar(&f.job.Environment, "environment", "", "the job's deployment environment (default: none; prod in the example)")
	fl.StringVar(&f.job.Event, "event", "push", "the event that started the workflow")
	fl.StringVar(&f.job.Actor, "actor", "", "who started it")
	fl.StringVar(&f.form, "subject", "names", "the subject's form: names, or ids as newer repositories have it")
	fl.StringArrayVar(&f.claims, "claim", nil, "set a claim of the token, `NAME=VALUE`; an empty value takes it out; repeatable")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show the servers' log")
	return c
}

func dev(ctx context.Context, e *Env, f devFlags, command []string) (err error) {
	ctx, stop := tidily(ctx)
	defer stop()
	job, err := f.toJob()
	if err != nil {
		return err
	}
	s, err := readSetup(f.config, f.roles, f.aws.account)
	if err != nil {
		return err
	}
	if err := f.aws.into(&s); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.aws.Close()) }()
	level := slog.LevelError
	if f.verbose {
		level = slog.LevelDebug
	}
	s.now, s.log = e.Now, newLogger(e.Stderr, level, false)
	l, err := startLocal(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()

	running, err := l.github.AddJob(job)
	if err != nil {
		return usagef("see 'stint dev --help'")("%w", err)
	}
	env, err := l.env(running)
	if err != nil {
		return err
	}
	if role := l.roleOf(running); role != "" {
		env = append(env, "STINT_ROLE="+role)
	}
	path, err := l.pathWithStint(e.Getenv("PATH"))
	if err != nil {
		return err
	}
	env = append(env, "PATH="+path)

	fmt.Fprintln(e.Stderr, emulator.Banner)
	for _, w := range s.aws.warnings {
		fmt.Fprintln(e.Stderr, "warning: "+printable(w))
	}
	if len(command) > 0 {
		name, err := lookIn(path, command[0])
		if err != nil {
			return startError(command[0], err)
		}
		child := exec.Command(name, command[1:]...)
		child.Args[0] = command[0]
		child.Env = append(withoutJob(os.Environ()), env...)
		child.Stdin, child.Stdout, child.Stderr = e.Stdin, e.Stdout, e.Stderr
		return run(ctx, child)
	}
	for _, line := range env {
		fmt.Fprintln(e.Stdout, line)
	}
	<-ctx.Done()
	return nil
}

// toJob is the job that the flags describe.
func (f *devFlags) toJob() (github.Job, error) {
	job := f.job
	switch f.form {
	case "names":
	case "ids":
		job.IDSubject = true
	default:
		return job, usagef("say names or ids")("--subject %q is no form of a subject", f.form)
	}
	job.Claims = map[string]string{}
	for _, claim := range f.claims {
		name, value, ok := strings.Cut(claim, "=")
		if !ok || name == "" {
			return job, usagef("write it as --claim NAME=VALUE")("--claim %q sets no claim", claim)
		}
		job.Claims[name] = value
	}
	return job, nil
}

// roleOf is the role that the rules give this job, or empty.
func (l *local) roleOf(job *github.RunningJob) string {
	claims := identity.InsecureClaims(l.issuerName, identity.GitHub, l.github.Payload(job, l.audience))
	grant, _ := l.broker.exchange.Policy().Rules.Decide(claims, rules.Request{Time: l.broker.now()}).Grant()
	return grant.Role()
}

// pathWithStint is PATH with this very binary in front, as stint.
func (l *local) pathWithStint(path string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this binary: %w", err)
	}
	bin := filepath.Join(l.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		return "", fmt.Errorf("making a folder for PATH: %w", err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "stint")); err != nil {
		return "", fmt.Errorf("putting stint on PATH: %w", err)
	}
	return bin + string(os.PathListSeparator) + path, nil
}

// lookIn finds a command on the given PATH, which is not this process's own.
func lookIn(path, name string) (string, error) {
	if strings.ContainsRune(name, os.PathSeparator) {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			continue // POSIX means the current folder, which Go does not search
		}
		found, err := exec.LookPath(filepath.Join(dir, name))
		if err == nil || errors.Is(err, fs.ErrPermission) {
			return found, err
		}
	}
	return "", exec.ErrNotFound
}

// withoutJob is an environment without what a job of its own would set and
// without AWS credentials, so that COMMAND sees this job's only.
func withoutJob(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		for _, prefix := range []string{"GITHUB_", "ACTIONS_", "RUNNER_", "STINT_", "AWS_"} {
			if strings.HasPrefix(name, prefix) && name != "AWS_CA_BUNDLE" {
				return true
			}
		}
		return false
	})
}

// eventJSON is the part of the event's payload that tells where a pull request
// comes from.
func eventJSON(job github.Job) (string, error) {
	repository := map[string]any{"full_name": job.Repository}
	event := map[string]any{"repository": repository, "ref": job.Ref}
	if strings.HasPrefix(job.Event, "pull_request") {
		event["pull_request"] = map[string]any{
			"head": map[string]any{"ref": job.HeadRef, "repo": map[string]any{"full_name": job.Repository, "fork": false}},
			"base": map[string]any{"ref": job.BaseRef, "repo": repository},
		}
	}
	data, err := json.Marshal(event)
	return string(data), err
}
