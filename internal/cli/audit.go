package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store"
)

// followEvery is how often `stint audit follow` looks for new records.
const followEvery = 500 * time.Millisecond

// auditFlags are the flags that the audit commands share.
type auditFlags struct {
	config, store    string
	since, until     string
	repository, role string
	verdict, rule    string
	json             bool
	format           string
}

func newAuditCommand(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show who asked for what, and what was decided",
		Long: `Show the records: one for every decision, allowed or denied, with who asked,
what for, which rule decided, and what was issued.

  stint audit list --since 2h --verdict denied
  stint audit follow --repository 'octo-org/*'`,
		Args: knownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newAuditListCommand(e), newAuditFollowCommand(e))
	return c
}

const auditColumns = `Each line holds the time, the verdict, the repository (or the issuer), the role
(or the audience), the rule that decided (or the reason of a denial), the run, and what
was issued or why nothing was. A ? before the repository says that nobody vouches for
it: the token was not believed. --json prints whole records, one object a line, and
--format cloudtrail events as AWS CloudTrail has them, one a line.`

func newAuditListCommand(e *Env) *cobra.Command {
	var f auditFlags
	limit := 100
	c := &cobra.Command{
		Use:   "list",
		Short: "List records",
		Long: `List records, the oldest first and the newest last, as a log is read. If there are
more than --limit, the newest of them are listed; --limit 0 lists all.

` + auditColumns + `

  stint audit list
  stint audit list --since 7d --repository 'octo-org/*' --verdict denied
  stint audit list --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z --limit 0 --json
  stint audit list --format cloudtrail | jq -s '{Records: .}'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("0 lists all")("--limit: expected 0 or more, found %d", limit)
			}
			q, err := f.query(e.Now())
			if err != nil {
				return err
			}
			r, err := f.open(c.Context(), e)
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			p, err := f.printer(e.Stdout)
			if err != nil {
				return err
			}
			return listRecords(c.Context(), r, q, limit, p)
		},
	}
	f.register(c)
	c.Flags().IntVar(&limit, "limit", limit, "list no more than the newest `n`; 0 lists all")
	return c
}

func newAuditFollowCommand(e *Env) *cobra.Command {
	var f auditFlags
	c := &cobra.Command{
		Use:   "follow",
		Short: "Show records as they come",
		Long: `Show records as they come, until interrupted: a denied one at once, an allowed one
when it is known what was issued, or after 10 seconds without knowing. It begins now,
or with --since.

` + auditColumns + `

  stint audit follow
  stint audit follow --since 10m --verdict denied --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := f.query(e.Now())
			if err != nil {
				return err
			}
			r, err := f.open(c.Context(), e)
			if c.Context().Err() != nil {
				return nil // interrupted before it began
			}
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			p, err := f.printer(e.Stdout)
			if err != nil {
				return err
			}
			tick := time.NewTicker(followEvery)
			defer tick.Stop()
			return followRecords(c.Context(), r, q, e.Now, tick.C, p)
		},
	}
	f.register(c)
	return c
}

func (f *auditFlags) register(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVarP(&f.config, "config", "c", defaultConfig, "the configuration `file` that names the store")
	fs.StringVar(&f.store, "store", "", "read the store with this `url`, such as sqlite:stint.db (default $STINT_STORE, else the configuration's)")
	fs.StringVar(&f.since, "since", "", "from this `time` on: RFC 3339, or how long ago, such as 2h or 7d")
	fs.StringVar(&f.until, "until", "", "before this `time`: RFC 3339, or how long ago")
	fs.StringVar(&f.repository, "repository", "", "of this repository, a `pattern` in which * stands for any characters")
	fs.StringVar(&f.role, "role", "", "about this role, a `pattern` in which * stands for any characters")
	fs.StringVar(&f.verdict, "verdict", "", "allowed or denied")
	fs.StringVar(&f.rule, "rule", "", "decided by the rule of this `name`")
	fs.BoolVar(&f.json, "json", false, "print whole records, one JSON object a line")
	fs.StringVar(&f.format, "format", "", "the `format`: text, json, or cloudtrail, one event a line as AWS CloudTrail shapes those of AWS STS")
}

// query is what the flags ask for.
func (f *auditFlags) query(now time.Time) (store.Query, error) {
	q := store.Query{Repository: f.repository, Role: f.role, Rule: f.rule, Verdict: audit.Verdict(f.verdict)}
	switch q.Verdict {
	case "", audit.Allowed, audit.Denied:
	default:
		return q, usagef("--verdict denied")("--verdict: expected allowed or denied, found %q", f.verdict)
	}
	var err error
	if q.Since, err = parseWhen("--since", f.since, now); err != nil {
		return q, err
	}
	if q.Until, err = parseWhen("--until", f.until, now); err != nil {
		return q, err
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return q, usagef("nothing lies between them")("expected --since before --until, found %s and %s", f.since, f.until)
	}
	return q, nil
}

// open opens the store for reading.
func (f *auditFlags) open(ctx context.Context, e *Env) (store.Reader, error) {
	url := first(f.store, e.Getenv("STINT_STORE"))
	if url == "" {
		cfg, err := loadConfig(f.config)
		if err != nil {
			return nil, err
		}
		url = cfg.Store
	}
	return openRecords(ctx, url)
}

// openRecords opens the store at url for reading.
func openRecords(ctx context.Context, url string) (store.Reader, error) {
	if err := store.CheckURL(url); err != nil {
		return nil, usagef("--store sqlite:stint.db")("%w", err)
	}
	r, err := store.OpenReader(ctx, url)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failf("`stint serve` makes it when it starts; --store names another", "there are no records yet: %w", err)
	case err != nil:
		return nil, failf("", "%w", err)
	}
	return r, nil
}

// parseWhen reads a point in time: RFC 3339, or a duration before now in which
// d stands for 24 hours and w for seven days.
func parseWhen(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	ago, err := parseAgo(strings.TrimSpace(strings.TrimSuffix(s, "ago")))
	if err != nil || ago < 0 {
		return time.Time{}, usagef("%s 2h, %s 7d, %s 2026-11-23T08:00:00Z", flag, flag, flag)(
			"%s: expected a time in RFC 3339 or how long ago, found %q", flag, s)
	}
	return now.Add(-ago), nil
}

func parseAgo(s string) (time.Duration, error) {
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if digits, ok := strings.CutSuffix(s, suffix); ok {
			n, err := strconv.ParseUint(digits, 10, 16)
			if err == nil && time.Duration(n) > (1<<63-1)/unit {
				err = strconv.ErrRange
			}
			return time.Duration(n) * unit, err
		}
	}
	return time.ParseDuration(s)
}

// listRecords prints the newest limit records that q wants, or all of them if
// limit is 0, oldest first. It reads in pages: a read transaction that stays
// open for as long as a pager does would keep the broker's log from being
// truncated.
func listRecords(ctx context.Context, r store.Reader, q store.Query, limit int, p *recordPrinter) error {
	if limit > 0 {
		records, err := newestRecords(ctx, r, q, limit)
		if err != nil {
			return err
		}
		return p.print(records)
	}
	for {
		records, err := r.Records(ctx, q)
		if err != nil {
			return fmt.Errorf("reading the records: %w", err)
		}
		if len(records) == 0 {
			return nil
		}
		if err := p.print(records); err != nil {
			return err
		}
		q.AfterSeq = records[len(records)-1].Seq
	}
}

func newestRecords(ctx context.Context, r store.Reader, q store.Query, limit int) ([]audit.Record, error) {
	q.Newest = true
	var all []audit.Record
	for len(all) < limit {
		q.Limit = min(limit-len(all), store.MaxRecords)
		records, err := r.Records(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("reading the records: %w", err)
		}
		all = append(all, records...)
		if len(records) < q.Limit {
			break
		}
		q.BeforeSeq = records[len(records)-1].Seq
	}
	slices.Reverse(all)
	return all, nil
}
