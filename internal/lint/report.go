package lint

import (
	"errors"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// Report is the whole outcome of a run.
type Report struct {
	// Findings are those that count, the unknown ones among them.
	Findings []Finding  `json:"findings"`
	Problems []Problem  `json:"problems"`
	Silenced []Silenced `json:"silenced"`
	Summary  Summary    `json:"summary"`
}

// Problem is something that could not be read.
type Problem struct {
	Position source.Position `json:"position"` // zero where the message says it
	Message  string          `json:"message"`
}

// Summary counts a report.
type Summary struct {
	Files    int   `json:"files"` // of a known kind
	Found    Found `json:"found"` // in them
	Errors   int   `json:"errors"`
	Warnings int   `json:"warnings"`
	Notes    int   `json:"notes"`
	Unknown  int   `json:"unknown"` // that could not be decided, of any severity
	Silenced int   `json:"silenced"`
	Problems int   `json:"problems"`
}

// Found counts what there was to lint.
type Found struct {
	Roles          int `json:"roles"` // and trust policies that stand alone
	Policies       int `json:"policies"`
	Providers      int `json:"providers"`
	Credentials    int `json:"credentials"` // Azure's
	Workflows      int `json:"workflows"`
	Configurations int `json:"configurations"` // of brokers
}

// NewReport puts a report together. Its lists are never nil.
func NewReport(inv *inventory.Inventory, findings []Finding, silenced []Silenced) Report {
	problems := inv.Problems
	r := Report{Findings: findings, Silenced: silenced, Problems: make([]Problem, 0, len(problems))}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	if r.Silenced == nil {
		r.Silenced = []Silenced{}
	}
	for _, err := range problems {
		r.Problems = append(r.Problems, newProblem(err))
	}
	r.Summary = Summary{Files: len(inv.Files), Found: tally(inv), Silenced: len(silenced), Problems: len(problems)}
	for _, f := range findings {
		switch {
		case f.Unknown:
			r.Summary.Unknown++
		case f.Severity == Error:
			r.Summary.Errors++
		case f.Severity == Warning:
			r.Summary.Warnings++
		default:
			r.Summary.Notes++
		}
	}
	return r
}

// tally counts what an inventory has.
func tally(inv *inventory.Inventory) Found {
	f := Found{Roles: len(inv.Roles), Policies: len(inv.Policies), Providers: len(inv.Providers), Workflows: len(inv.Workflows), Configurations: len(inv.Configs)}
	for _, a := range inv.Azure {
		f.Credentials += len(a.Credentials)
	}
	return f
}

func newProblem(err error) Problem {
	var at *source.Error
	// Only where nothing was wrapped around it does its message say it all.
	if errors.As(err, &at) && at.Error() == err.Error() {
		return Problem{Position: at.Position, Message: at.Message}
	}
	return Problem{Message: err.Error()}
}

// Worst is the severity of the worst finding that was decided, or empty where
// there is none.
func (r Report) Worst() Severity {
	var worst Severity
	for _, f := range r.Findings {
		if !f.Unknown && f.Severity.Rank() > worst.Rank() {
			worst = f.Severity
		}
	}
	return worst
}
