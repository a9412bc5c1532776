package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/awsclaims"
)

// sessionName is what STS takes for RoleSessionName and a source identity
// (API reference, AssumeRoleWithWebIdentity).
var sessionName = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)

// The limits of STS on session tags, on the external id and on the duration
// (API reference, AssumeRole and Tag).
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
	minDuration = 15 * time.Minute

	minExternalID = 2
	maxExternalID = 1224
)

var (
	tagText    = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	externalID = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]*$`)
)

// refusedTags fills in x where a call passes tags that STS does not take.
func refusedTags(x *Explanation, tags []iam.Tag, transitive []string) bool {
	message, change := tagFault(tags, transitive)
	if message == "" {
		return false
	}
	x.Kind = Tags
	x.Cause = message + ": STS refuses the call before it looks at any policy"
	x.Suggestion = change
	return true
}

func tagFault(tags []iam.Tag, transitive []string) (message, change string) {
	if len(tags) > maxTags {
		return fmt.Sprintf("the call passes %d session tags, and STS takes %d", len(tags), maxTags), fmt.Sprintf("pass at most %d session tags", maxTags)
	}
	seen := map[string]string{}
	for _, t := range tags {
		key := short(t.Key)
		folded := strings.ToLower(t.Key)
		keyLength, valueLength := utf8.RuneCountInString(t.Key), utf8.RuneCountInString(t.Value)
		other, twice := seen[folded]
		switch {
		case keyLength < 1 || keyLength > maxTagKey:
			return fmt.Sprintf("the key of the session tag %q has %d characters, and STS takes 1 to %d", key, keyLength, maxTagKey), "pass the tag under a shorter key"
		case valueLength > maxTagValue:
			return fmt.Sprintf("the value of the session tag %s has %d characters, and STS takes at most %d", key, valueLength, maxTagValue), "pass a shorter value of the tag " + key
		case !tagText.MatchString(t.Key):
			return fmt.Sprintf("the key of the session tag %q has characters that STS does not take: expected letters, digits, spaces and _.:/=+-@", key), "pass the tag under another key"
		case !tagText.MatchString(t.Value):
			return fmt.Sprintf("the value %q of the session tag %s has characters that STS does not take: expected letters, digits, spaces and _.:/=+-@", short(t.Value), key), "encode the value of the tag " + key
		case strings.HasPrefix(folded, "aws:"):
			return fmt.Sprintf("the key of the session tag %s begins with aws:, which is reserved", key), "pass the tag under another key"
		case twice:
			return fmt.Sprintf("the session tags %s and %s are one: keys compare in any case", other, key), "pass the tag " + key + " once"
		}
		seen[folded] = key
	}
	for _, key := range transitive {
		if _, has := seen[strings.ToLower(key)]; !has {
			return fmt.Sprintf("the call makes the key %s transitive and passes no such tag", short(key)), "pass the tag " + short(key) + " once in the call, or leave it out of the transitive keys"
		}
	}
	return "", ""
}

// beforePolicy explains what STS refuses before it looks at the trust policy.
func beforePolicy(call iam.WebIdentityCall) (Explanation, bool) {
	x := Explanation{Decision: Denied, Action: iam.ActionAssumeRoleWithWebIdentity, Closest: -1, Statements: []Statement{}}
	if refusedText(&x, call.RoleSessionName, call.SourceIdentity) {
		return x, true
	}
	if refusedTags(&x, call.Tags, call.TransitiveTagKeys) {
		return x, true
	}
	if _, has := call.Claims["sub"]; !has {
		x.Kind = Other
		x.Cause = "the token has no claim sub: STS answers InvalidIdentityToken before it looks at the trust policy"
		x.Suggestion = "present a token with the claim sub, and give its whole payload"
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
