package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stint-dev/stint/examples"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/emulator"
	"github.com/stint-dev/stint/internal/emulator/awssts"
	"github.com/stint-dev/stint/internal/emulator/github"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/roles"
)

// setup is what a local set-up is made of.
type setup struct {
	config *config.Config // changed: its addresses become local ones
	roles  *roles.Set
	aws    emulatedAWS
	now    func() time.Time
	log    *slog.Logger
	// onDecision is told what the emulated STS decided; it may be nil.
	onDecision func(awssts.Decision)
}

// readSetup reads a configuration and roles, and takes the example for what is
// not named. account is that of roles whose files do not say it.
func readSetup(configPath string, rolePaths []string, account string) (setup, error) {
	var (
		s   setup
		err error
	)
	if configPath == "" {
		s.config, err = exampleConfig()
	} else {
		s.config, err = loadConfig(configPath)
	}
	if err != nil {
		return setup{}, err
	}
	var inv *inventory.Inventory
	if len(rolePaths) == 0 {
		inv = inventory.LoadFS(examples.FS, "roles")
	} else {
		inv = inventory.Load(rolePaths...)
	}
	if s.roles, s.aws.warnings, err = roles.FromInventory(inv, account); err != nil {
		return setup{}, failf("roles come from whatever 'stint lint' reads: 'aws iam' output, CloudFormation, Terraform", "reading the roles: %w", err)
	}
	if s.roles.Len() == 0 {
		return setup{}, failf("--roles takes files or folders with roles as 'stint lint' reads them", "found no roles in %s", strings.Join(rolePaths, ", "))
	}
	return s, nil
}

func exampleConfig() (*config.Config, error) {
	data, err := examples.FS.ReadFile("stint.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the example: %w", err)
	}
	return config.Parse("stint.yaml", data)
}

// local is the three servers on loopback: an emulated GitHub, an emulated AWS
// STS and a real broker. The issuers keep the names that the configuration and
// the trust policies give them; the parts know each other's keys directly.
type local struct {
	dir        string // of everything temporary
	github     *github.GitHub
	githubURL  string
	stsURL     string
	s3URL      string
	brokerURL  string
	issuerName string
	audience   string // to ask the CI system for
	region     string
	broker     *broker

	stop context.CancelFunc
	done sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

// startLocal starts the servers. Close ends them and removes what they left.
func startLocal(ctx context.Context, s setup) (_ *local, err error) {
	ci, err := githubIssuer(s.config)
	if err != nil {
		return nil, err
	}
	l := &local{region: s.config.AWS.Region, audience: ci.audience, issuerName: ci.name}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.dir, err = os.MkdirTemp("", "stint-"); err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}

	l.github, err = github.New(github.Config{Issuer: ci.url, Now: s.now, Rand: rand.Reader, Log: s.log})
	if err != nil {
		return nil, err
	}
	if l.githubURL, err = l.emulate(ctx, l.github, s.log); err != nil {
		return nil, err
	}
	ci.useKeysAt(l.githubURL + "/.well-known/jwks")

	// The emulated STS asks for the broker's keys only when a token comes, and
	// the broker wants the address of STS before it starts.
	aws, err := awssts.New(awssts.Config{
		Roles: s.roles,
		Providers: []awssts.Provider{
			{Issuer: ci.url, Keys: func(context.Context) ([]byte, error) { return l.github.JWKS(), nil }},
			{Issuer: s.config.Issuer, Keys: func(context.Context) ([]byte, error) { return l.broker.keys.JWKS(), nil },
				Audiences: []string{s.config.AWS.Audience}},
		},
		Organization: s.aws.organization,
		Now:          s.now, Rand: rand.Reader, Log: s.log, OnDecision: s.onDecision,
	})
	if err != nil {
		return nil, failf("AWS takes https issuers only: keep the issuer's public name, which dev needs no address for", "%w", err)
	}
	if l.stsURL, err = l.emulate(ctx, aws, s.log); err != nil {
		return nil, err
	}
	if err := l.emulateS3(ctx, s, aws); err != nil {
		return nil, err
	}
	own, err := s.aws.credentials(aws)
	if err != nil {
		return nil, err
	}
	s.config.AWS.Endpoint = l.stsURL
	s.config.Store = "sqlite:" + filepath.Join(l.dir, "stint.db")

	if l.broker, err = newBroker(ctx, s.config, own, s.now, s.log); err != nil {
		return nil, err
	}
	listener, err := emulator.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	issuer, err := url.Parse(s.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("reading the issuer: %w", err)
	}
	l.brokerURL = "http://" + listener.Addr().String() + strings.TrimSuffix(issuer.EscapedPath(), "/")
	l.run(func() error { return l.broker.serve(ctx, listener) })
	return l, nil
}

// emulate serves h on a free port of loopback and returns its address.
func (l *local) emulate(ctx context.Context, h http.Handler, log *slog.Logger) (string, error) {
	listener, err := emulator.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	l.run(func() error { return serveHTTP(ctx, listener, h, log) })
	return "http://" + listener.Addr().String(), nil
}

func (l *local) run(serve func() error) {
	l.done.Go(func() {
		if err := serve(); err != nil && !errors.Is(err, net.ErrClosed) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.errs = append(l.errs, err)
		}
	})
}

// tidily ends ctx on the signals that would end the process and leave the
// temporary folder behind: a closed terminal, Ctrl-\, and a reader of our
// output that has gone.
func tidily(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGQUIT)
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE) // the write fails instead
	return ctx, func() {
		signal.Stop(pipe)
		stop()
	}
}

// Close stops the servers and leaves nothing behind.
func (l *local) Close() error {
	l.stop()
	l.done.Wait()
	errs := l.errs
	if l.broker != nil {
		errs = append(errs, l.broker.Close())
	}
	if l.dir != "" {
		errs = append(errs, os.RemoveAll(l.dir))
	}
	return errors.Join(errs...)
}

// env is the environment of a step of the job, as NAME=VALUE, without what the
// step inherits.
func (l *local) env(job *github.RunningJob) ([]string, error) {
	runner, err := os.MkdirTemp(l.dir, "job-")
	if err != nil {
		return nil, fmt.Errorf("making the job's folder: %w", err)
	}
	file := func(name, content string) string {
		path := filepath.Join(runner, name)
		err = errors.Join(err, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	event, eventErr := eventJSON(job.Job)
	workspace, cwdErr := os.Getwd()
	err = errors.Join(eventErr, cwdErr)
	env := append(job.Env(l.githubURL),
		"GITHUB_ENV="+file("env", ""),
		"GITHUB_OUTPUT="+file("output", ""),
		"GITHUB_PATH="+file("path", ""),
		"GITHUB_STEP_SUMMARY="+file("summary.md", ""),
		"GITHUB_EVENT_PATH="+file("event.json", event),
		"GITHUB_WORKSPACE="+workspace,
		"RUNNER_TEMP="+runner,
		"STINT_URL="+l.brokerURL,
		"STINT_AUDIENCE="+l.audience,
		"STINT_JWKS_URL="+l.githubURL+"/.well-known/jwks",
		"AWS_REGION="+l.region,
		"AWS_DEFAULT_REGION="+l.region,
		"AWS_ENDPOINT_URL_STS="+l.stsURL,
		"AWS_ENDPOINT_URL_S3="+l.s3URL,
		"AWS_ENDPOINT_URL_COGNITO_IDENTITY="+l.brokerURL+"/aws/cognito-identity",
		"STINT_STORE="+l.broker.cfg.Store,
		// A job has no AWS configuration of its own, and a test on a laptop
		// must never reach a real account with its owner's credentials.
		"AWS_CONFIG_FILE="+filepath.Join(runner, "aws-config"),
		"AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(runner, "aws-credentials"),
		"AWS_EC2_METADATA_DISABLED=true",
		// The AWS command line keeps what AWS_WEB_IDENTITY_TOKEN_FILE bought in
		// a cache in the home folder, by role and session name: credentials of
		// an emulator that is gone would be found there.
		"AWS_ROLE_SESSION_NAME="+filepath.Base(l.dir),
	)
	if err != nil {
		return nil, fmt.Errorf("preparing the job's files: %w", err)
	}
	return env, nil
}

// ciIssuer is the issuer of a configuration that the emulated GitHub stands
// for.
type ciIssuer struct {
	name, url, audience string
	useKeysAt           func(url string)
}

// githubIssuer finds the issuer that job tokens come from: GitHub.com's if it
// is configured, else the first of GitHub's kind.
func githubIssuer(cfg *config.Config) (ciIssuer, error) {
	found := -1
	for i, issuer := range cfg.Issuers {
		if issuer.URL == github.DefaultIssuer || found < 0 && identity.PlatformOf(issuer.URL) == identity.GitHub {
			found = i
		}
	}
	if found < 0 {
		return ciIssuer{}, failf("stint dev emulates GitHub Actions: configure the issuer "+github.DefaultIssuer,
			"the configuration trusts no GitHub issuer")
	}
	issuer := &cfg.Issuers[found]
	return ciIssuer{
		name:     issuer.Name,
		url:      issuer.URL,
		audience: issuer.Audiences[0],
		useKeysAt: func(url string) {
			issuer.JWKSURL, issuer.JWKSFile = url, ""
		},
	}, nil
}
