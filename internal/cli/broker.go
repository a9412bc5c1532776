package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/exchange"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/server"
	"github.com/stint-dev/stint/internal/store"
)

const (
	// maintainEvery is how often the schedule of the signing keys is looked at.
	maintainEvery = time.Minute
	// drainTimeout bounds how long a shutdown waits for requests in flight.
	drainTimeout = 30 * time.Second
)

// broker is a broker wired from a configuration.
type broker struct {
	cfg      *config.Config
	store    store.Store
	keys     *mint.Keys
	exchange *exchange.Broker
	handler  http.Handler
	log      *slog.Logger
	now      func() time.Time
	probe    probe
}

// probe remembers for a moment whether the broker was ready: anybody may ask,
// and the answer costs a durable write.
type probe struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// newBroker opens the store and wires everything that serves. It listens
// nowhere yet. own are the broker's own AWS credentials, for via: assume-role.
func newBroker(ctx context.Context, cfg *config.Config, own aws.CredentialsProvider, now func() time.Time, log *slog.Logger) (_ *broker, err error) {
	b := &broker{cfg: cfg, log: log, now: now}
	policy, err := newPolicy(cfg, now, log)
	if err != nil {
		return nil, err
	}
	if b.store, err = store.Open(ctx, cfg.Store); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.store.Close())
		}
	}()
	if s, ok := b.store.(interface{ Warnings() []string }); ok {
		for _, w := range s.Warnings() {
			log.Warn("the store", "warning", w)
		}
	}
	b.keys, err = mint.NewKeys(ctx, mint.KeysConfig{
		Store:         b.store,
		Algorithm:     cfg.Signing.Algorithm,
		RotateEvery:   cfg.Signing.Rotate,
		TokenLifetime: max(cfg.TokenLifetime, mint.PoolTokenLifetime), // pools can come with a reload
		Now:           now,
		Log:           log,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the signing keys: %w", err)
	}
	b.exchange = exchange.New(exchange.Config{
		Policy: policy,
		Audit:  audit.NewLog(b.store, audit.LogConfig{Now: now}),
		Minter: mint.New(mint.Config{Issuer: cfg.Issuer, Keys: b.keys, Lifetime: cfg.TokenLifetime, Now: now}),
		STS: mint.NewSTS(mint.STSConfig{
			Region: cfg.AWS.Region, Endpoint: cfg.AWS.Endpoint, Timeout: cfg.AWS.Timeout,
			Credentials: own, Log: log,
		}),
		Identities: b.store,
		Now:        now,
		Log:        log,
	})
	b.handler, err = server.New(server.Config{
		Issuer: cfg.Issuer,
		Broker: b.exchange,
		Keys:   b.keys,
		Ready:  b.recentlyReady,
		Now:    now,
		Log:    log,
	})
	return b, err
}

// newPolicy compiles the part of a configuration that can be replaced while
// the broker runs.
func newPolicy(cfg *config.Config, now func() time.Time, log *slog.Logger) (*exchange.Policy, error) {
	set, err := rules.Compile(cfg)
	if err != nil {
		return nil, err
	}
	warnings, err := checkKnownRoles(cfg)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		log.Warn("session tags", "found", w.String(), "fix", w.Hint)
	}
	verifier, err := identity.New(identity.Config{Issuers: cfg.Trusted(), Now: now, Log: log, ReadFile: readKeys})
	if err != nil {
		return nil, fmt.Errorf("preparing the issuers: %w", err)
	}
	return &exchange.Policy{Identity: verifier, Rules: set}, nil
}

// readKeys reads an issuer's key set from a file.
func readKeys(path string) ([]byte, error) { return config.ReadFile(path, identity.MaxDocumentSize) }

// reload puts the policy of cfg in force and keeps the key sets already
// fetched. What cannot change while the broker runs stays as it was.
func (b *broker) reload(cfg *config.Config) error {
	policy, err := newPolicy(cfg, b.now, b.log)
	if err != nil {
		return err
	}
	policy.Identity.Inherit(b.exchange.Policy().Identity)
	b.exchange.SetPolicy(policy)
	for _, name := range b.cfg.NeedsRestart(cfg) {
		b.log.Warn("this change takes effect after a restart", "key", name)
	}
	return nil
}

// recentlyReady is ready, asked at most once a second.
func (b *broker) recentlyReady(ctx context.Context) error {
	b.probe.mu.Lock()
	defer b.probe.mu.Unlock()
	if age := b.now().Sub(b.probe.at); age < 0 || age >= time.Second {
		b.probe.err, b.probe.at = b.ready(ctx), b.now()
	}
	return b.probe.err
}

// ready says why the broker could not grant anything now.
func (b *broker) ready(ctx context.Context) error {
	if err := b.store.Ping(ctx); err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	if err := b.keys.Ready(); err != nil {
		return fmt.Errorf("the signing keys: %w", err)
	}
	if err := b.exchange.Policy().Identity.Ready(); err != nil {
		return fmt.Errorf("the issuers: %w", err)
	}
	return nil
}

// serve serves on l until ctx ends, then finishes what is in flight.
func (b *broker) serve(ctx context.Context, l net.Listener) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go b.exchange.Policy().Identity.Warm(background)
	go b.maintain(background)
	err := serveHTTP(ctx, l, b.handler, b.log)
	b.exchange.RecordSkipped(background)
	return err
}

// maintain keeps the signing keys on their schedule.
func (b *broker) maintain(ctx context.Context) {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := b.keys.Maintain(ctx); err != nil && ctx.Err() == nil {
			b.log.Error("the signing keys could not be maintained", "err", err)
		}
		b.exchange.RecordSkipped(ctx)
	}
}

func (b *broker) Close() error { return b.store.Close() }

// serveHTTP serves h on l until ctx ends, then waits for requests in flight.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		return fmt.Errorf("finishing the requests in flight: %w", err)
	}
	return nil
}
