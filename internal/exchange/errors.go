package exchange

import (
	"fmt"
	"strconv"
	"strings"

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
	PoolRefused Kind = "pool"        // an identity pool refused it before any rule was looked at
)

// Error is why an exchange issued nothing. Each door renders it in its own
// protocol and decides nothing.
type Error struct {
	Kind      Kind
	Record    string              // the id of the record, if there is one
	Rejection *identity.Rejection // if Kind is Rejected, or Unavailable for want of the issuer's keys
	Decision  *rules.Decision     // if Kind is Denied
	STS       *mint.STSError      // if Kind is Upstream
	Pool      *PoolError          // if Kind is PoolRefused
	Rule      string              // if Kind is Upstream: the rule that gave the role
	Role      string              // if Kind is Upstream: the role's ARN
	Err       error               // for the log, never for the caller
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Kind, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Explanation is what a caller may be told beyond the protocol's error.
type Explanation struct {
	Record string `json:"record,omitempty"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`         // the cause
	Hint   string `json:"hint,omitempty"` // what the job could change
	// Closest is the rule that denied or else came closest, with each of its
	// conditions; nil where no rule was looked at.
	Closest *rules.Trace `json:"closest,omitempty"`
	// Suggestion is what would have to change in the rules, and Warning whom
	// that would let in beside this job.
	Suggestion string         `json:"suggestion,omitempty"`
	Warning    string         `json:"warning,omitempty"`
	Rules      []rules.Result `json:"rules,omitempty"`
}

// Sentence is the explanation where a protocol has room for one text: the
// cause, each further condition that did not hold, the change on either side
// and the record.
func (x Explanation) Sentence() string {
	s := strings.TrimSuffix(x.Detail, ".")
	for _, c := range x.further() {
		found := "nothing"
		if len(c.Actual) > 0 {
			found = quoted(c.Actual)
		}
		s += fmt.Sprintf("; also expected %s to be %s, found %s", c.Key, quoted(c.Expected), found)
	}
	if x.Hint != "" && x.Hint != x.Suggestion {
		s += ". " + strings.TrimSuffix(x.Hint, ".")
	}
	if x.Suggestion != "" {
		s += ". Change: " + x.Suggestion
	}
	if x.Warning != "" {
		s += " (" + x.Warning + ")"
	}
	return s + fmt.Sprintf(" (record %s)", x.Record)
}

// maxFurther bounds the conditions of a Sentence.
const maxFurther = 5

// further are the claims that did not match beside the first, which stands in
// Detail.
func (x Explanation) further() []rules.Condition {
	if x.Closest == nil {
		return nil
	}
	var failed []rules.Condition
	for _, c := range x.Closest.Conditions {
		if !c.Matched && (c.Operator == rules.OperatorMatch || c.Mapped()) {
			failed = append(failed, c)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return failed[1:min(len(failed), maxFurther)]
}

func quoted(values []string) string {
	const most = 5
	q := make([]string, 0, most)
	for i, v := range values {
		if i == most {
			q = append(q, fmt.Sprintf("one of %d more", len(values)-most))
			break
		}
		q = append(q, fmt.Sprintf("%q", v))
	}
	return strings.Join(q, " or ")
}

// Explain is what the caller may be told. It answers nothing for everybody who
// did not prove to be one of our jobs: or any account on a shared CI platform
// could read the rules.
func (e *Error) Explain() (Explanation, bool) {
	switch {
	case e.Decision != nil:
		d := e.Decision
		return Explanation{Record: e.Record, Reason: string(d.Reason), Detail: d.Detail, Hint: d.Hint,
			Closest: d.Closest, Suggestion: d.Change, Warning: d.Warning, Rules: closest(d.Results)}, true
	case e.Rejection != nil && e.Rejection.Proven:
		r := e.Rejection
		detail := r.Detail
		if r.Expected != "" || r.Found != "" {
			detail = fmt.Sprintf("%s: expected %s, found %s", strings.TrimSuffix(r.Detail, "."), r.Expected, r.Found)
		}
		return Explanation{Record: e.Record, Reason: string(r.Kind), Detail: detail, Hint: r.Hint, Closest: issuerTrace(r)}, true
	}
	return Explanation{}, false
}

// rejectedClaim is the claim that a rejection is about.
var rejectedClaim = map[identity.Kind]string{
	identity.WrongAudience:  "aud",
	identity.Expired:        "exp",
	identity.NotYetValid:    "nbf",
	identity.IssuedInFuture: "iat",
}

// issuerTrace is what is asked of every token of an issuer before any rule, as
// far as the rejection says it.
func issuerTrace(r *identity.Rejection) *rules.Trace {
	claim := rejectedClaim[r.Kind]
	if claim == "" || r.Expected == "" {
		return nil
	}
	plain := func(s string) []string {
		if text, err := strconv.Unquote(s); err == nil {
			return []string{text}
		}
		return []string{s}
	}
	return &rules.Trace{Rule: "issuer " + r.Seen.IssuerName, Effect: rules.Allow, Conditions: []rules.Condition{
		{Operator: rules.OperatorMatch, Key: claim, Expected: plain(r.Expected), Actual: plain(r.Found)},
	}}
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
