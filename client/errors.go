package client

import (
	"fmt"
	"strings"
	"unicode"
)

// SettingError is a setting that is missing or that must not be used.
type SettingError struct {
	Setting string // the environment variable, such as STINT_URL
	Detail  string // what was expected and what was found, in one sentence
	Hint    string // what to do
}

func (e *SettingError) Error() string { return e.Setting + ": " + e.Detail }

// DeniedError is the broker's no: the job token is not accepted, or it is, and
// the rules give it nothing. It is never worth a retry.
type DeniedError struct {
	// Code is the protocol's error: invalid_target, invalid_request and the
	// like of RFC 6749 section 5.2 and RFC 8693 section 2.2.2, or a code of
	// AWS STS such as AccessDenied.
	Code    string
	Message string // what the protocol's error says

	// The rest is there only for a caller who proved to be one of the broker's
	// jobs. Anyone else is told nothing but the protocol's error.
	Record string // the id of the record of this decision
	Reason string // a word that programs may branch on, such as no_rule_matched
	Detail string // one sentence with what was expected and found
	Hint   string // what the job could change
	Rules  []RuleResult
	// Closest is the rule that denied, or else the one that came closest, with
	// each of its conditions; nil where the broker names none.
	Closest *RuleTrace
	// Suggestion is what would have to change in the rules, and Warning whom
	// that would let in beside this job.
	Suggestion string
	Warning    string

	// Upstream says that the rules gave the role and AWS STS refused it: the
	// role's trust policy denies, which the broker does not see.
	Upstream bool
}

// RuleTrace is one rule with every one of its conditions.
type RuleTrace struct {
	Index      int             `json:"index"` // in the order of the broker's file, from 0
	Rule       string          `json:"rule"`
	Effect     string          `json:"effect"` // allow or deny
	Matched    bool            `json:"matched"`
	Conditions []RuleCondition `json:"conditions"`
}

// RuleCondition is one condition of a rule.
type RuleCondition struct {
	Operator string   `json:"operator"` // match, when or role
	Key      string   `json:"key"`      // such as the claim
	Expected []string `json:"expected"` // any of these
	Actual   []string `json:"actual"`   // none: the claim is not in the token
	Matched  bool     `json:"matched"`
	Note     string   `json:"note"`
}

// RuleResult is one rule's part in a denial.
type RuleResult struct {
	Rule    string    `json:"rule"`
	Effect  string    `json:"effect"` // allow or deny
	Matched bool      `json:"matched"`
	Miss    *RuleMiss `json:"miss,omitempty"`
}

// RuleMiss is the first thing in a rule that the job token does not satisfy.
type RuleMiss struct {
	Claim    string   `json:"claim,omitempty"`    // empty where it is no claim's fault
	Expected []string `json:"expected,omitempty"` // any of these
	Found    string   `json:"found,omitempty"`
	Absent   bool     `json:"absent,omitempty"` // the claim is not in the token
	Detail   string   `json:"detail"`           // the whole of it in one sentence
}

// Explained reports whether the broker said why.
func (e *DeniedError) Explained() bool { return e.Reason != "" || e.Detail != "" }

func (e *DeniedError) Error() string {
	switch {
	case e.Detail != "":
		return "denied: " + e.Detail
	case e.Message != "":
		return "denied: " + e.Message + " (" + e.Code + ")"
	}
	return "denied: " + e.Code
}

// BrokerError is an answer of the broker, or of AWS STS through it, that is
// neither credentials nor a denial.
type BrokerError struct {
	Status  int    // of HTTP; 0 if there was no answer
	Code    string // the protocol's error, or empty
	Message string
}

func (e *BrokerError) Error() string { return answered("the broker", e.Status, e.Code, e.Message) }

// answered says what somebody answered, as far as it is known.
func answered(who string, status int, code, message string) string {
	s := who + " answered"
	if status != 0 {
		s += fmt.Sprintf(" %d", status)
	}
	if code != "" {
		s += " " + code
	}
	if message != "" {
		s += ": " + message
	}
	return s
}

// TokenRequestError is an answer of the CI system's token endpoint that holds
// no token.
type TokenRequestError struct {
	Status int // of HTTP
	Detail string
}

func (e *TokenRequestError) Error() string {
	return fmt.Sprintf("the CI system's token endpoint answered %d: %s", e.Status, e.Detail)
}

// RedirectError is a redirect that was not followed: the token would have gone
// to whoever it names.
type RedirectError struct {
	Host string // where it pointed
}

func (e *RedirectError) Error() string {
	return "refused a redirect to " + e.Host + ": a token is sent to the configured address only"
}

// UnavailableError is a transient failure that outlasted every attempt.
type UnavailableError struct {
	Attempts int
	Err      error // of the last attempt
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%v (after %d attempts)", e.Err, e.Attempts)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// maxText bounds one text of a server in an error, in bytes.
const maxText = 2048

// clean makes a text of a server fit to print: no control or formatting
// characters, which could rewrite a terminal or begin a line, and no start of
// the older form of a workflow command, which the GitHub runner obeys anywhere
// in a line.
func clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	return strings.ReplaceAll(s, "##[", "## [")
}
