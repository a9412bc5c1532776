package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/policytest"
	"github.com/stint-dev/stint/internal/store"
)

type diffFlags struct {
	tests    []string
	store    string
	records  string
	since    string
	json     bool
	exitCode bool
}

func newDiffCommand(e *Env) *cobra.Command {
	var f diffFlags
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say who gains and who loses what by a change",
		Long: `Say which jobs gain and which lose access between OLD and NEW, and whose session
changes. OLD and NEW are two configurations of a broker, two sets of roles with trust
policies, or two folders with both. With configurations the rules decide, and the
trust policies of the roles that are there too; without, the trust policies see the
jobs' own tokens.

The jobs are those of the test files (` + defaultTests + `, if it is there, unless named
with --tests) and the distinct ones of an audit log, with --store or --records. Jobs
that differ only in what differs from run to run (run ids, commits) are one.

  stint diff stint.yaml stint.new.yaml
  stint diff old/ new/ --tests jobs.yaml
  git show main:stint.yaml > /tmp/old.yaml && \
    stint diff /tmp/old.yaml stint.yaml --store sqlite:stint.db --since 30d

Exit codes: 0 compared (with --exit-code: and nothing differs), 1 broken input, or
with --exit-code a difference, 2 wrong usage.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("see 'stint diff --help'")("expected OLD and NEW, found %d of them", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return interruptible(c.Context(), func() error { return f.run(c.Context(), e, args[0], args[1]) })
		},
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.tests, "tests", nil, "a `file` of tests whose jobs are compared; repeatable (default: "+defaultTests+", if it is there)")
	fl.StringVar(&f.store, "store", "", "also compare the jobs in the records of the store at this `url`, such as sqlite:stint.db")
	fl.StringVar(&f.records, "records", "", "also compare the jobs of records as 'stint audit list --json' prints them, in a `file`, or - for stdin")
	fl.StringVar(&f.since, "since", "", "with --store: only records since this `time`, such as 30d, 12h or 2026-11-01T00:00:00Z")
	fl.BoolVar(&f.json, "json", false, "print it as one JSON object")
	fl.BoolVar(&f.exitCode, "exit-code", false, "exit with 1 if anything differs")
	return c
}

func (f *diffFlags) run(ctx context.Context, e *Env, before, after string) error {
	if f.records == "-" && slices.Contains(f.tests, "-") {
		return usagef("write one of them to a file")("--tests - and --records - both read stdin")
	}
	if f.since != "" && f.store == "" {
		return usagef("records of a file are chosen when they are listed")("--since goes with --store only")
	}
	sides := [2]*policytest.Side{}
	for i, path := range []string{before, after} {
		side, err := openSide(path)
		if err != nil {
			return err
		}
		sides[i] = side
	}
	if (sides[0].Config == nil) != (sides[1].Config == nil) {
		return usagef("compare two configurations, or two sets of roles")("expected OLD and NEW to be of one kind: one has a broker's configuration, the other has not")
	}
	var read []*config.Config
	for _, s := range sides {
		if s.Config != nil {
			read = append(read, s.Config)
		}
	}
	jobs, without, err := f.jobs(ctx, e, read)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		return usagef("name a file of tests with --tests, or an audit log with --store or --records")("there are no jobs to compare")
	}
	d := policytest.Diff(sides[0], sides[1], jobs, e.Now())
	if without > 0 {
		fmt.Fprintf(e.Stderr, "warning: %s without claims (of an older version, or too large) cannot be compared\n", count(without, "record"))
	}
	if f.json {
		err = printJSON(e.Stdout, d)
	} else {
		err = printDifference(e.Stdout, d)
	}
	if err == nil && f.exitCode && len(d.Changes) > 0 {
		err = exitStatus(exitFailed)
	}
	return err
}

func openSide(path string) (*policytest.Side, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("see 'stint diff --help'")("there is no such file or folder: %s", shortened(path))
	}
	side, err := policytest.OpenSide(path)
	if err != nil {
		return nil, failf("", "%w", err)
	}
	return side, nil
}

// jobs are those of the test files and of the audit log, and how many records
// had none.
func (f *diffFlags) jobs(ctx context.Context, e *Env, read []*config.Config) (jobs []policytest.Known, without int, err error) {
	files := f.tests
	if len(files) == 0 {
		if _, err := os.Stat(defaultTests); err == nil {
			files = []string{defaultTests}
		}
	}
	for _, name := range files {
		data, err := readTestFile(e, name)
		if err != nil {
			return nil, 0, err
		}
		file, err := policytest.Parse(name, data)
		if err != nil {
			return nil, 0, failf("see 'stint test --help'", "%w", err)
		}
		known, err := file.Known(filepath.Dir(name))
		if err != nil {
			return nil, 0, failf("", "%w", err)
		}
		jobs = append(jobs, known...)
	}
	log := policytest.Log{Read: read}
	if f.records != "" {
		if err := f.readRecords(e, &log); err != nil {
			return nil, 0, err
		}
	}
	if f.store != "" {
		if err := f.readStore(ctx, e, &log); err != nil {
			return nil, 0, err
		}
	}
	return append(jobs, log.Jobs()...), log.Without, nil
}

// maxRecord bounds a line of records.
const maxRecord = 1 << 20

func (f *diffFlags) readRecords(e *Env, log *policytest.Log) error {
	in := e.Stdin
	if f.records != "-" {
		file, err := os.Open(f.records)
		if errors.Is(err, fs.ErrNotExist) {
			return usagef("name a file of records")("there is no such file: %s", shortened(f.records))
		}
		if err != nil {
			return failf("", "reading the records: %w", err)
		}
		defer file.Close()
		in = file
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxRecord)
	n := 0
	for lines.Scan() {
		n++
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var r audit.Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return failf("expected one record a line, as 'stint audit list --json' prints them", "%s:%d: %w", printable(f.records), n, err)
		}
		if err := log.Add(&r); err != nil {
			return failf("", "%s:%d: %w", printable(f.records), n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return failf("expected one record a line, as 'stint audit list --json' prints them", "%s:%d: %w", printable(f.records), n+1, err)
	}
	return nil
}

func (f *diffFlags) readStore(ctx context.Context, e *Env, log *policytest.Log) error {
	since, err := parseWhen("--since", f.since, e.Now())
	if err != nil {
		return err
	}
	q := store.Query{Since: since}
	r, err := openRecords(ctx, f.store)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	for {
		records, err := r.Records(ctx, q)
		if err != nil {
			return failf("", "reading the records: %w", err)
		}
		if len(records) == 0 {
			return nil
		}
		for i := range records {
			if err := log.Add(&records[i]); err != nil {
				return failf("", "%w", err)
			}
		}
		q.AfterSeq = records[len(records)-1].Seq
	}
}

// printDifference shows the changes, those of one role together.
func printDifference(out io.Writer, d policytest.Difference) error {
	var b strings.Builder
	var kind policytest.Kind
	var role string
	for _, c := range d.Changes {
		if c.Kind != kind || c.Role != role {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			kind, role = c.Kind, c.Role
			fmt.Fprintf(&b, "%s %s\n", strings.ToUpper(string(kind)), printable(role))
		}
		fmt.Fprintf(&b, "  %s", printable(c.Job))
		if c.Records > 0 {
			fmt.Fprintf(&b, " (%s)", count(c.Records, "record"))
		}
		if c.Subject != "" && c.Subject != c.Job {
			fmt.Fprintf(&b, ", %s", printable(c.Subject))
		}
		b.WriteByte('\n')
		for _, line := range changeLines(c) {
			fmt.Fprintf(&b, "      %s\n", printable(line))
		}
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s: %d gained, %d lost, %d changed, %d not known, %d the same\n", count(d.Jobs, "job"),
		d.Count(policytest.Gains), d.Count(policytest.Loses), d.Count(policytest.Changes), d.Count(policytest.Unsure), d.Same)
	_, err := io.WriteString(out, b.String())
	return err
}

func changeLines(c policytest.Change) []string {
	var lines []string
	switch {
	case c.Kind == policytest.Gains && c.NewRule != "":
		lines = append(lines, "by the rule "+c.NewRule)
	case c.Kind == policytest.Loses && c.OldRule != "":
		lines = append(lines, "was given by the rule "+c.OldRule)
	case c.OldRule != c.NewRule && c.OldRule != "" && c.NewRule != "":
		lines = append(lines, fmt.Sprintf("by the rule %s instead of %s", c.NewRule, c.OldRule))
	}
	if c.Pool != "" {
		lines = append(lines, "asking the identity pool "+c.Pool)
	}
	if c.Audience != "" {
		lines = append(lines, "asking for the audience "+c.Audience)
	}
	if c.Basic {
		lines = append(lines, "a token of the basic flow")
	}
	if c.DurationSeconds != 0 {
		lines = append(lines, "asking for "+(time.Duration(c.DurationSeconds)*time.Second).String())
	}
	lines = append(lines, c.Details...)
	if n := len(c.Why); n > 0 {
		lines = append(lines, "now: "+c.Why[n-1].Cause)
	}
	return lines
}
