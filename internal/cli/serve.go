package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/rules"
)

// watchEvery is how often the configuration file is compared. Its content is
// compared, not a file event awaited: a mounted ConfigMap changes by a swap of
// links that file events miss.
const watchEvery = 2 * time.Second

const defaultConfig = "stint.yaml"

func newServeCommand(e *Env) *cobra.Command {
	var (
		path, listen, level string
		check, logJSON      bool
	)
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the broker",
		Long: `Run the broker that the configuration file describes, until it is interrupted.
Requests in flight are finished then.

The rules and issuers are read again when the file changes, or on SIGHUP. A file
with a mistake in it is refused, and the old one stays in force.

  stint serve --config stint.yaml
  stint serve --config stint.yaml --check`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var logLevel slog.Level
			if err := logLevel.UnmarshalText([]byte(level)); err != nil {
				return usagef("one of debug, info, warn, error")("--log-level %q is no level", level)
			}
			cfg, seen, err := readConfig(path)
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings() {
				printWarning(e.Stderr, w)
			}
			if check {
				warnings, err := checkKnownRoles(cfg)
				if err != nil {
					return err
				}
				for _, w := range warnings {
					printWarning(e.Stderr, w)
				}
				parts := []string{count(len(cfg.Issuers), "issuer"), count(len(cfg.Rules), "rule")}
				if len(cfg.Pools) > 0 {
					parts = append(parts, count(len(cfg.Pools), "pool"))
				}
				fmt.Fprintf(e.Stdout, "%s: %s, no mistakes\n", path, strings.Join(parts, ", "))
				return nil
			}
			if listen == "" {
				listen = cfg.Listen
			}
			return serve(c.Context(), e, cfg, watched{path, seen}, listen, newLogger(e.Stderr, logLevel, logJSON))
		},
	}
	f := c.Flags()
	f.StringVarP(&path, "config", "c", defaultConfig, "the configuration `file`")
	f.BoolVar(&check, "check", false, "check the configuration and exit")
	f.StringVar(&listen, "listen", "", "listen on this `address` instead of the configured one")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&logJSON, "log-json", true, "write the log as JSON, one object a line")
	return c
}

// loadConfig reads a configuration and compiles its rules, so that every
// mistake in it is found here.
func loadConfig(path string) (*config.Config, error) {
	cfg, _, err := readConfig(path)
	return cfg, err
}

// readConfig is loadConfig with the digest of what it read.
func readConfig(path string) (*config.Config, digest, error) {
	data, seen, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, seen, usagef("name it with --config; docs/configuration.md shows one")("there is no configuration file %s", path)
	case err != nil:
		return nil, seen, err
	}
	cfg, err := compileConfig(path, data)
	return cfg, seen, err
}

func readFile(path string) ([]byte, digest, error) {
	data, err := config.ReadFile(path, config.MaxFile)
	if err != nil {
		return nil, digest{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return data, sha256.Sum256(data), nil
}

func compileConfig(path string, data []byte) (*config.Config, error) {
	cfg, err := config.LoadContent(path, data)
	if err != nil {
		return nil, err
	}
	if _, err := rules.Compile(cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}

func serve(ctx context.Context, e *Env, cfg *config.Config, file watched, address string, log *slog.Logger) error {
	// From here to the end: a SIGHUP that nobody waits for would end the
	// process, with requests in flight.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	b, err := newBroker(ctx, cfg, ambient{cfg.AWS.Region}, e.Now, log)
	if err != nil {
		return err
	}
	defer func() {
		if err := b.Close(); err != nil {
			log.Error("closing the store", "err", err)
		}
	}()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return failf("is another broker running? --listen takes another address", "listening: %w", err)
	}
	log.Info("serving", "address", l.Addr().String(), "issuer", cfg.Issuer, "issuers", len(cfg.Issuers), "rules", len(cfg.Rules))

	watching, stop := context.WithCancel(ctx)
	defer stop()
	go file.watch(watching, b, hup)
	if err := b.serve(ctx, l); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// watched is a file and the content of it that is in force.
type watched struct {
	path string
	seen digest
}

// watch puts the file in force whenever its content changes.
func (f watched) watch(ctx context.Context, b *broker, hup <-chan os.Signal) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()

	for {
		forced := false
		select {
		case <-ctx.Done():
			return
		case <-hup:
			forced = true
		case <-tick.C:
		}
		data, now, err := readFile(f.path)
		if now == f.seen && !forced {
			continue
		}
		f.seen = now
		var cfg *config.Config
		if err == nil {
			cfg, err = compileConfig(f.path, data)
		}
		if err == nil {
			err = b.reload(cfg)
		}
		if err != nil {
			b.log.Error("the changed configuration is refused, the old one stays in force", "file", filepath.Base(f.path), "err", err)
			continue
		}
		b.log.Info("the changed configuration is in force", "issuers", len(cfg.Issuers), "rules", len(cfg.Rules))
	}
}

// digest identifies a file's content; a file that cannot be read has the zero
// one.
type digest [sha256.Size]byte

func printWarning(w io.Writer, p config.Problem) {
	fmt.Fprintf(w, "warning: %s\n", p)
	if p.Hint != "" {
		fmt.Fprintf(w, "hint: %s\n", p.Hint)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
