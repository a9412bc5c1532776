// Package stswire is the AWS Query protocol as AWS STS speaks it, version
// 2011-06-15: what a call may hold, and how answers and errors look. The
// broker's door and the emulated STS share it, so that both refuse the same
// input with the same words.
//
// Source: the API reference of AWS STS, and its published service model.
package stswire

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Version is the only version of the API.
const Version = "2011-06-15"

// Namespace is the XML namespace of every answer.
const Namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// The limits of AssumeRoleWithWebIdentity.
const (
	MinRoleARN, MaxRoleARN         = 20, 2048
	MinSessionName, MaxSessionName = 2, 64
	MinToken, MaxToken             = 4, 20000
	MinDuration, MaxDuration       = 900, 43200 // seconds
	DefaultDuration                = 3600
	MaxPolicy                      = 2048
	MaxPolicyARNs                  = 10
)

// Error is an error as STS answers it.
type Error struct {
	Status  int // of HTTP
	Code    string
	Message string
	// Log is the message without the values that the caller sent: one of them
	// may be a token in the wrong place. Empty: Message holds none.
	Log string
}

// Error is for logs and records.
func (e *Error) Error() string {
	if e.Log != "" {
		return e.Code + ": " + e.Log
	}
	return e.Code + ": " + e.Message
}

// The errors that stand before any operation is looked at.
func noAction() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "MissingAction", Message: "The request must contain the parameter Action."}
}

// InvalidAction is the answer to an operation that is not served.
func InvalidAction(action, version string) *Error {
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	return &Error{Status: http.StatusBadRequest, Code: "InvalidAction",
		Message: fmt.Sprintf("Could not find operation %s for version %s", cut(action), cut(version)),
		Log:     "the operation is not served"}
}

func malformedInput() *Error { return &Error{Status: http.StatusBadRequest, Code: "MalformedInput"} }

// Validation is one or several broken constraints.
func Validation(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "ValidationError", Message: message}
}

// Action is the operation that a form names.
func Action(form url.Values) (string, *Error) {
	action, version := form.Get("Action"), form.Get("Version")
	if action == "" {
		return "", noAction()
	}
	if version != Version {
		return "", InvalidAction(action, version)
	}
	return action, nil
}

// AssumeRoleWithWebIdentity is the input of that operation.
type AssumeRoleWithWebIdentity struct {
	RoleARN         string
	RoleSessionName string
	Token           string
	Policy          string
	PolicyARNs      []string
	Duration        time.Duration // 0: not given
}

var (
	sessionName = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]*$`)
	policyText  = regexp.MustCompile(`^[\x{9}\x{A}\x{D}\x{20}-\x{FF}]+$`)
	// RoleARN is what an IAM role's ARN looks like.
	RoleARN = regexp.MustCompile(`^arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/([\x21-\x7e]{1,510}/)?[A-Za-z0-9_+=,.@-]{1,64}$`)
)

// ParseAssumeRoleWithWebIdentity reads and checks the operation's parameters.
// Of a parameter that stands twice the first counts, and unknown ones are
// ignored, as the service does.
func ParseAssumeRoleWithWebIdentity(form url.Values) (AssumeRoleWithWebIdentity, *Error) {
	in := AssumeRoleWithWebIdentity{
		RoleARN:         form.Get("RoleArn"),
		RoleSessionName: form.Get("RoleSessionName"),
		Token:           form.Get("WebIdentityToken"),
		Policy:          form.Get("Policy"),
	}
	var c constraints
	c.length(form, "RoleArn", MinRoleARN, MaxRoleARN)
	c.length(form, "RoleSessionName", MinSessionName, MaxSessionName)
	c.pattern(form, "RoleSessionName", sessionName, `[\w+=,.@-]*`)
	c.length(form, "WebIdentityToken", MinToken, MaxToken)
	if form.Has("ProviderId") {
		c.length(form, "ProviderId", 4, 2048)
	}
	var err *Error
	if in.Duration, in.PolicyARNs, err = narrowing(form, &c); err != nil {
		return in, err
	}
	if len(c) > 0 {
		return in, c.err()
	}
	if !RoleARN.MatchString(in.RoleARN) {
		return in, Validation("Request ARN is invalid")
	}
	if p := form.Get("ProviderId"); p != "" && p != "www.amazon.com" && p != "graph.facebook.com" {
		return in, &Error{Status: http.StatusBadRequest, Code: "ValidationError",
			Message: "Value '" + cut(p) + "' at 'providerId' is not a supported provider", Log: "the providerId is not supported"}
	}
	return in, nil
}

// members reads PolicyArns.member.N.arn, in the order of N.
func members(form url.Values, list string) ([]string, *Error) {
	type member struct {
		n     int
		value string
	}
	var all []member
	for name, v := range form {
		rest, ok := strings.CutPrefix(name, list+".member.")
		if !ok {
			continue
		}
		number, field, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || field != "arn" {
			return nil, malformedInput()
		}
		all = append(all, member{n, v[0]})
	}
	slices.SortFunc(all, func(a, b member) int { return a.n - b.n })
	var values []string
	for _, m := range all {
		values = append(values, m.value)
	}
	return values, nil
}

// constraints are the broken ones, in the order found.
type constraints []constraint

type constraint struct{ value, broken string }

func (c *constraints) fail(value, at, format string, args ...any) {
	*c = append(*c, constraint{value, fmt.Sprintf(" at '%s' failed to satisfy constraint: ", at) + fmt.Sprintf(format, args...)})
}

func (c constraints) err() *Error {
	plural := "s"
	if len(c) == 1 {
		plural = ""
	}
	var shown, log []string
	for _, broken := range c {
		shown = append(shown, broken.value+broken.broken)
		log = append(log, "Value"+broken.broken)
	}
	e := Validation(fmt.Sprintf("%d validation error%s detected: %s", len(c), plural, strings.Join(shown, "; ")))
	e.Log = strings.Join(log, "; ")
	return e
}

func (c *constraints) length(form url.Values, name string, least, most int) {
	v, at := form.Get(name), member(name)
	n := utf8.RuneCountInString(v)
	switch {
	case !form.Has(name):
		c.fail("Value null", at, "Member must not be null")
	case n < least:
		c.fail(shown(name, v), at, "Member must have length greater than or equal to %d", least)
	case n > most:
		c.fail(shown(name, v), at, "Member must have length less than or equal to %d", most)
	}
}

func (c *constraints) pattern(form url.Values, name string, re *regexp.Regexp, source string) {
	if v := form.Get(name); v != "" && !re.MatchString(v) {
		c.fail(shown(name, v), member(name), "Member must satisfy regular expression pattern: %s", source)
	}
}

func (c *constraints) number(at string, v, least, most int64) {
	value := fmt.Sprintf("Value '%d'", v)
	switch {
	case v < least:
		c.fail(value, at, "Member must have value greater than or equal to %d", least)
	case v > most:
		c.fail(value, at, "Member must have value less than or equal to %d", most)
	}
}

// member is how messages spell a parameter's name.
func member(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// maxShown is how many characters of a value a message shows. The service shows
// all of it, and a request may have megabytes.
const maxShown = 1024

// shown is a value as messages show it. A token is never shown.
func shown(name, v string) string {
	if name == "WebIdentityToken" {
		return "Value"
	}
	return "Value '" + cut(v) + "'"
}

func cut(v string) string {
	if utf8.RuneCountInString(v) <= maxShown {
		return v
	}
	return string([]rune(v)[:maxShown]) + "..."
}

// Credentials are temporary security credentials.
type Credentials struct {
	AccessKeyId     string //nolint:revive // the element's name
	SecretAccessKey string
	SessionToken    string
	Expiration      string // ISO 8601, UTC
}

// AssumedRoleUser is the session's principal.
type AssumedRoleUser struct {
	AssumedRoleId string //nolint:revive // the element's name
	Arn           string
}

// AssumeRoleWithWebIdentityResult is the operation's output.
type AssumeRoleWithWebIdentityResult struct {
	Credentials                 Credentials
	SubjectFromWebIdentityToken string
	AssumedRoleUser             AssumedRoleUser
	PackedPolicySize            int32  `xml:",omitempty"` // percent
	SessionTokenSize            int32  `xml:",omitempty"` // bytes
	SessionTokenUtilization     int32  `xml:",omitempty"` // percent
	Provider                    string `xml:",omitempty"`
	Audience                    string `xml:",omitempty"`
	SourceIdentity              string `xml:",omitempty"`
}

// GetCallerIdentityResult is the output of GetCallerIdentity.
type GetCallerIdentityResult struct {
	Arn     string
	UserId  string //nolint:revive // the element's name
	Account string
}

// Timestamp is a time as STS writes it.
func Timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

type metadata struct {
	RequestID string `xml:"RequestId"`
}

// WriteResult answers an operation. result is one of the Result types.
func WriteResult(w http.ResponseWriter, requestID, operation string, result any) error {
	return write(w, http.StatusOK, requestID, struct {
		XMLName  xml.Name
		Result   any
		Metadata metadata `xml:"ResponseMetadata"`
	}{
		XMLName:  xml.Name{Space: Namespace, Local: operation + "Response"},
		Result:   named{operation + "Result", result},
		Metadata: metadata{requestID},
	})
}

// named writes a value as an element of another name.
type named struct {
	name  string
	value any
}

func (n named) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	return e.EncodeElement(n.value, xml.StartElement{Name: xml.Name{Local: n.name}})
}

// WriteError answers with an error.
func WriteError(w http.ResponseWriter, requestID string, e *Error) error {
	type body struct {
		Type    string
		Code    string
		Message string `xml:",omitempty"`
	}
	kind := "Sender"
	if e.Status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	return write(w, e.Status, requestID, struct {
		XMLName   xml.Name
		Error     body
		RequestID string `xml:"RequestId"`
	}{xml.Name{Space: Namespace, Local: "ErrorResponse"}, body{kind, e.Code, e.Message}, requestID})
}

func write(w http.ResponseWriter, status int, requestID string, v any) error {
	out, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("x-amzn-RequestId", requestID)
	w.WriteHeader(status)
	_, err = w.Write(append(out, '\n'))
	return err
}
