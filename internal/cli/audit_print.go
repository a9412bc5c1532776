package cli

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/cloudtrail"
)

// maxColumn is how wide a column may grow before its text pushes the rest of
// the line to the right instead.
const maxColumn = 60

// recordPrinter prints records, one a line, as JSON or in columns.
type recordPrinter struct {
	w      io.Writer
	object func(*audit.Record) any // what is printed as JSON; nil: columns
	widths [6]int                  // of all columns but the last; they only grow
}

func newRecordPrinter(w io.Writer, object func(*audit.Record) any) *recordPrinter {
	return &recordPrinter{w: w, object: object, widths: [6]int{20, 7, 20, 20, 11, 5}}
}

// The formats of records.
const (
	formatText       = "text"
	formatJSON       = "json"
	formatCloudTrail = "cloudtrail"
)

// printer prints records in the format that the flags ask for.
func (f *auditFlags) printer(w io.Writer) (*recordPrinter, error) {
	if f.json {
		if f.format != "" && f.format != formatJSON {
			return nil, usagef("keep one of them")("expected --json or --format %s, found both", printable(f.format))
		}
		f.format = formatJSON
	}
	switch f.format {
	case "", formatText:
		return newRecordPrinter(w, nil), nil
	case formatJSON:
		return newRecordPrinter(w, wholeRecord), nil
	case formatCloudTrail:
		// The provider that AWS knows the broker by stands in the configuration.
		cfg, err := loadConfig(f.config)
		if err != nil {
			return nil, err
		}
		b := cloudtrail.Broker{Issuer: cfg.Issuer, Region: cfg.AWS.Region, Accounts: map[string]string{}}
		for _, p := range cfg.Pools {
			b.Accounts[p.ID] = p.AccountARN()
		}
		return newRecordPrinter(w, func(r *audit.Record) any { return cloudtrail.FromRecord(*r, b) }), nil
	}
	return nil, usagef("say text, json or cloudtrail")("--format %q is no format of records", printable(f.format))
}

// print prints records in columns that are aligned among themselves.
func (p *recordPrinter) print(records []audit.Record) error {
	w := bufio.NewWriter(p.w)
	lines := make([][7]string, 0, len(records))
	for i := range records {
		if p.object != nil {
			if err := printJSON(w, p.object(&records[i])); err != nil {
				return fmt.Errorf("printing a record: %w", err)
			}
			continue
		}
		line := columns(&records[i])
		for c := range p.widths {
			p.widths[c] = max(p.widths[c], min(utf8.RuneCountInString(line[c]), maxColumn))
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		for c, width := range p.widths {
			fmt.Fprintf(w, "%-*s  ", width, line[c])
		}
		fmt.Fprintln(w, line[6])
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the records: %w", err)
	}
	return nil
}

// columns is a record as its line has it.
func columns(r *audit.Record) [7]string {
	who := cmp.Or(r.Caller.Repository, r.Caller.Subject, r.Caller.IssuerName, r.Caller.Issuer, r.Remote, "-")
	if !r.Caller.Verified && !r.Caller.IsZero() {
		who = "?" + who
	}
	what := r.Role()
	if what == "" {
		audience := r.Asked.Audience
		if r.Granted != nil {
			audience = r.Granted.Audience
		}
		if what = "-"; audience != "" {
			what = "for " + audience
		}
	}
	run := "-"
	if r.Caller.RunID != "" {
		run = r.Caller.RunID
		if a := r.Caller.RunAttempt; a != "" && a != "1" {
			run += "." + a
		}
	}
	return [7]string{
		r.Time.UTC().Format(time.RFC3339), string(r.Verdict), who, what,
		cmp.Or(r.Rule, r.Reason, "-"), run, result(r),
	}
}

// result is what was issued, or why nothing was.
func result(r *audit.Record) string {
	if r.Verdict != audit.Allowed {
		return cmp.Or(r.Detail, r.Reason, "-")
	}
	o := r.Outcome
	switch {
	case o == nil:
		return "outcome unknown"
	case !o.Issued:
		return "not issued: " + strings.TrimPrefix(o.ErrorCode+": "+o.Error, ": ")
	case o.AccessKeyID != "":
		return "issued " + o.AccessKeyID + until(o.Expires)
	}
	return "issued token " + o.TokenID + until(o.TokenExpires)
}

func until(t *time.Time) string {
	if t == nil {
		return ""
	}
	return " until " + t.UTC().Format(time.RFC3339)
}

// wholeRecord is a record as it is kept.
func wholeRecord(r *audit.Record) any { return r }
