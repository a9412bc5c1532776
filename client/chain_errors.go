package client

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ChainError is a hop of role chaining that failed.
type ChainError struct {
	Hop, Hops int    // which of how many, from 1
	Caller    string // the ARN of the role whose session asked
	Role      string // the ARN of the role that it asked for

	// What the call carried.
	ExternalID  string
	SessionName string
	Duration    time.Duration // 0: the default of AWS STS, one hour
	Tags        map[string]string

	// What the caller's session carries, as far as the broker said.
	CallerTags           map[string]string
	CallerTransitive     []string
	CallerSourceIdentity string

	// Err is a *DeniedError where AWS refused, an *STSError for any other answer
	// of AWS STS, and an *UnavailableError where it could not be asked.
	Err error
}

func (e *ChainError) Error() string {
	return fmt.Sprintf("role chaining, hop %d of %d, %s -> %s: %v", e.Hop, e.Hops, e.Caller, e.Role, e.Err)
}

func (e *ChainError) Unwrap() error { return e.Err }

// STSError is an answer of AWS STS to a hop of role chaining that is neither
// credentials nor a denial.
type STSError struct {
	Status  int    // of HTTP
	Code    string // of AWS STS, or empty
	Message string
}

func (e *STSError) Error() string { return answered("AWS STS", e.Status, e.Code, e.Message) }

// classifyHop makes this package's errors of the SDK's.
func classifyHop(err error) error {
	if err == nil {
		return nil
	}
	a := readSTSError(err)
	switch {
	case !a.isSTS && a.status == 0:
		return classifySend(err)
	case !a.isSTS:
		a.message = "expected an answer of AWS STS"
	}
	switch a.code {
	case "AccessDenied", "AccessDeniedException", "PackedPolicyTooLarge":
		return &DeniedError{Code: a.code, Message: a.message, Upstream: true}
	}
	e := &STSError{Status: a.status, Code: a.code, Message: a.message}
	if a.temporary() {
		return &transient{err: e}
	}
	return e
}

// Hint is what to do about it: the likely causes, one a line, and where a
// policy may have decided the command that says which condition did.
func (e *ChainError) Hint() string {
	var denied *DeniedError
	var answered *STSError
	var redirect *RedirectError
	var unavailable *UnavailableError
	switch {
	case errors.As(e.Err, &denied):
		return e.denialHint(denied)
	case errors.As(e.Err, &unavailable): // before its last answer
	case errors.As(e.Err, &answered):
		return e.answerHint(answered)
	case errors.As(e.Err, &redirect):
		return "give the address that answers by itself with --sts-endpoint (Chain.Endpoint)"
	default:
		return ""
	}
	return "can this job reach AWS STS? --sts-endpoint (Chain.Endpoint) is another address of it"
}

func (e *ChainError) denialHint(d *DeniedError) string {
	if d.Code == "PackedPolicyTooLarge" {
		return "the session has no room for its tags: name fewer in the rule's chain.tags, or make fewer transitive"
	}
	both := fmt.Sprintf("the trust policy of %s must allow it beside sts:AssumeRole, and so must the identity policies of %s where those are needed", e.name(e.Role), e.name(e.Caller))
	var lines []string
	switch {
	case strings.Contains(d.Message, "sts:TagSession"):
		lines = append(lines, "the session carries tags"+named(e.carried())+", which takes sts:TagSession: "+both)
	case strings.Contains(d.Message, "sts:SetSourceIdentity"):
		lines = append(lines, "the source identity goes on, which takes sts:SetSourceIdentity: "+both)
	default:
		lines = append(lines, "AWS does not say which policy refused. The frequent causes:",
			fmt.Sprintf("- the trust policy of %s does not let %s in: its principal, an external id, or a condition on tags", e.name(e.Role), e.name(e.Caller)),
			fmt.Sprintf("- the identity policies of %s do not allow sts:AssumeRole on %s: needed in another account, and where the trust policy names the account and not the role", e.name(e.Caller), e.name(e.Role)))
		if keys := e.carried(); len(keys) > 0 {
			lines = append(lines, "- the session carries tags"+named(keys)+", and a policy of the two lacks sts:TagSession")
		}
		if e.CallerSourceIdentity != "" {
			lines = append(lines, "- the source identity goes on, and a policy of the two lacks sts:SetSourceIdentity")
		}
		if len(e.Tags) == 0 {
			lines = append(lines, "- the trust policy expects tags of the call (aws:RequestTag), and the rule passes none on: name them in its chain.tags")
		}
	}
	return strings.Join(append(lines, e.explain()), "\n")
}

func (e *ChainError) answerHint(a *STSError) string {
	switch {
	case a.Code == "InvalidAction":
		return notTheDoor
	case strings.Contains(a.Message, "DurationSeconds"), strings.Contains(a.Message, "durationSeconds"):
		return fmt.Sprintf("role chaining gives at most %s, and %s may give less: ask for less with --duration", MaxChainedDuration, e.name(e.Role))
	case strings.Contains(a.Message, "transitive"):
		return "a tag that is transitive in the caller's session goes on by itself and must not be passed again\n" + e.explain()
	case a.Code == "InvalidClientTokenId" || a.Code == "SignatureDoesNotMatch" || a.Code == "ExpiredToken":
		return "this AWS STS does not take the credentials of the hop before: is it the one that the broker uses, and AWS_REGION its region? --sts-endpoint (Chain.Endpoint) is its address"
	case a.Code == "RegionDisabledException":
		return "AWS STS is not active in this region for that account: set AWS_REGION to one where it is"
	case a.Code == "ValidationError":
		return e.explain()
	}
	return ""
}

// carried are the keys of the tags that the new session would have, those that
// it inherits included.
func (e *ChainError) carried() []string {
	keys := slices.Collect(maps.Keys(e.Tags))
	for k := range e.CallerTags {
		if _, passed := e.Tags[k]; e.inherited(k) && !passed {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// inherited reports whether a tag of the caller's session goes on by itself.
func (e *ChainError) inherited(key string) bool { return containsFold(e.CallerTransitive, key) }

func named(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return " (" + clean(strings.Join(keys, ", ")) + ")"
}

// name is how the error speaks of a role: by its name, and by its account
// where the name does not tell.
func (e *ChainError) name(arn string) string {
	a, b := roleARN.FindStringSubmatch(e.Caller), roleARN.FindStringSubmatch(e.Role)
	m := roleARN.FindStringSubmatch(arn)
	switch {
	case m == nil:
		return clean(arn)
	case a != nil && b != nil && a[4] == b[4] && a[2] != b[2]:
		return m[2] + "-" + m[4]
	}
	return m[4]
}

func (e *ChainError) explain() string {
	return fmt.Sprintf("with both roles in files, as 'aws iam get-role' prints them, this says which condition failed; add --from-identity FILE for each identity policy of %s:\n%s",
		e.name(e.Caller), e.Explain())
}

// Explain is the command that explains the hop offline, given the two roles in
// files that have their names.
func (e *ChainError) Explain() string {
	words := []string{"stint", "explain", "--session", "--role", e.name(e.Caller) + ".json", "--chain", e.name(e.Role) + ".json"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, quoted(clean(value)))
		}
	}
	add("--session-name", e.SessionName)
	for _, k := range slices.Sorted(maps.Keys(e.CallerTags)) {
		add("--session-tag", k+"="+e.CallerTags[k])
	}
	for _, k := range slices.Sorted(maps.Keys(e.CallerTags)) {
		if e.inherited(k) {
			add("--session-transitive", k)
		}
	}
	add("--session-identity", e.CallerSourceIdentity)
	for _, k := range slices.Sorted(maps.Keys(e.Tags)) {
		add("--tag", k+"="+e.Tags[k])
	}
	add("--external-id", e.ExternalID)
	if e.Duration != 0 {
		add("--duration", e.Duration.String())
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[\w+=,.@:/-]+$`)

// quoted is s as one word of a POSIX shell.
func quoted(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
