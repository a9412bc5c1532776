package explain

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/awsclaims"
)

// sessionName is what STS takes for RoleSessionName and a source identity
// (API reference, AssumeRoleWithWebIdentity).
var sessionName = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)

// beforePolicy explains what STS refuses before it looks at the trust policy.
func beforePolicy(call iam.WebIdentityCall) (Explanation, bool) {
	x := Explanation{Decision: Denied, Action: iam.ActionAssumeRoleWithWebIdentity, Closest: -1, Statements: []Statement{}}
	if refusedText(&x, call.RoleSessionName, call.SourceIdentity) {
		return x, true
	}
	carried, err := ReadToken(call.Claims)
	if err == nil && carried.Limited && call.RoleARN != "" && !slices.Contains(carried.Roles, call.RoleARN) {
		x.Kind = RoleNotNamed
		x.Cause = fmt.Sprintf("the token's claim %s names %s and not %s: STS refuses it before it looks at the trust policy", awsclaims.Roles, quoted(carried.Roles), call.RoleARN)
		x.Suggestion = "ask for a token for this role"
		return x, true
	}
	return x, false
}

// refusedText fills in x where a text is outside the limits of STS.
func refusedText(x *Explanation, name, identity string) bool {
	for _, checked := range []struct{ what, value string }{{"session name", name}, {"source identity", identity}} {
		if checked.value == "" || sessionName.MatchString(checked.value) {
			continue
		}
		x.Kind = SessionName
		x.Cause = fmt.Sprintf("the %s %q is outside the limits of STS, 2 to 64 letters, digits and _+=,.@- (it has %d characters): STS answers ValidationError before it looks at the trust policy",
			checked.what, short(checked.value), len([]rune(checked.value)))
		x.Suggestion = fmt.Sprintf("call with the %s %q", checked.what, fit(checked.value))
		return true
	}
	return false
}

// TooLong explains the denial of a session that is to last longer than the
// role allows. STS refuses it whatever the trust policy says.
func TooLong(asked, most time.Duration) (Explanation, bool) {
	if asked <= most {
		return Explanation{}, false
	}
	return Explanation{
		Decision: Denied, Action: iam.ActionAssumeRoleWithWebIdentity, Closest: -1, Statements: []Statement{}, Kind: Session,
		Cause:      fmt.Sprintf("the session is to last %s, and the role's MaxSessionDuration is %s", asked, most),
		Suggestion: fmt.Sprintf("ask for a duration of at most %s, or raise the role's MaxSessionDuration", most),
	}, true
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_+=,.@-]`)

// fit is the nearest name that STS takes.
func fit(s string) string {
	s = notInName.ReplaceAllString(s, "-")
	if len(s) < 2 {
		s += "-0"
	}
	return s[:min(len(s), 64)]
}

// short cuts a value that a sentence shows.
func short(s string) string {
	const most = 200
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
