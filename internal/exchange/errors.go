package exchange

import (
	"fmt"

	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
)

// Kind is what went wrong in an exchange.
type Kind string

// The kinds of Error.
const (
	Rejected    Kind = "rejected"    // the token is not believed
	Denied      Kind = "denied"      // it is, and the rules give it nothing
	Upstream    Kind = "upstream"    // AWS refused what the rules gave
	Unavailable Kind = "unavailable" // not now: the store, the keys or AWS cannot be reached
)

// Error is why an exchange issued nothing. Each door renders it in its own
// protocol and decides nothing.
type Error struct {
	Kind      Kind
	Record    string              // the id of the record, if there is one
	Rejection *identity.Rejection // if Kind is Rejected, or Unavailable for want of the issuer's keys
	Decision  *rules.Decision     // if Kind is Denied
	STS       *mint.STSError      // if Kind is Upstream
	Err       error               // for the log, never for the caller
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Kind, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Explanation is what a caller may be told beyond the protocol's error.
type Explanation struct {
	Record string         `json:"record,omitempty"`
	Reason string         `json:"reason"`
	Detail string         `json:"detail"`
	Hint   string         `json:"hint,omitempty"`
	Rules  []rules.Result `json:"rules,omitempty"`
}

// Explain is what the caller may be told. It answers nothing for everybody who
// did not prove to be one of our jobs: or any account on a shared CI platform
// could read the rules.
func (e *Error) Explain() (Explanation, bool) {
	switch {
	case e.Decision != nil:
		d := e.Decision
		return Explanation{Record: e.Record, Reason: string(d.Reason), Detail: d.Detail, Hint: d.Hint, Rules: closest(d.Results)}, true
	case e.Rejection != nil && e.Rejection.Proven:
		r := e.Rejection
		detail := r.Detail
		if r.Expected != "" || r.Found != "" {
			detail = fmt.Sprintf("%s: expected %s, found %s", r.Detail, r.Expected, r.Found)
		}
		return Explanation{Record: e.Record, Reason: string(r.Kind), Detail: detail, Hint: r.Hint}, true
	}
	return Explanation{}, false
}

// maxExplained is how many rules an explanation lists.
const maxExplained = 50

// closest keeps what a caller can learn from: the rules that matched, then
// those that could have granted something, in the order of the file.
func closest(results []rules.Result) []rules.Result {
	if len(results) <= maxExplained {
		return results
	}
	var kept []rules.Result
	for _, wanted := range []func(rules.Result) bool{
		func(r rules.Result) bool { return r.Matched },
		func(r rules.Result) bool { return !r.Matched && r.Effect == rules.Allow },
	} {
		for _, r := range results {
			if wanted(r) && len(kept) < maxExplained {
				kept = append(kept, r)
			}
		}
	}
	return kept
}
