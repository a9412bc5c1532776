package identity

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxClaims     = 256  // claims of a token
	maxClaimName  = 256  // bytes
	maxClaimValue = 4096 // bytes of one text
	maxSubject    = 2048 // bytes
	maxAudiences  = 10

	// MaxTokenLifetime is the longest that a job token may last from iat to
	// exp. No CI system's job tokens come near; a token that does is a
	// long-lived secret.
	MaxTokenLifetime = 7 * 24 * time.Hour

	maxTime = 253402300799 // 9999-12-31T23:59:59Z
)

// githubStrings are the claims that GitHub sends as strings (its OIDC
// reference). As a number, 74 and 74.0 would be one repository_id to one
// reader and two to another.
var githubStrings = []string{
	"actor", "actor_id", "base_ref", "check_run_id", "enterprise", "enterprise_id", "environment", "event_name", "head_ref",
	"job_workflow_ref", "job_workflow_sha", "jti", "ref", "ref_protected", "ref_type", "repository", "repository_id",
	"repository_owner", "repository_owner_id", "repository_visibility", "run_attempt", "run_id", "run_number",
	"runner_environment", "sha", "workflow", "workflow_ref", "workflow_sha",
}

func badClaims(detail, expected, found string) *Rejection {
	return &Rejection{Kind: BadClaims, Detail: detail, Expected: expected, Found: found}
}

// checkClaims holds a signed payload to the types and sizes that everything
// later relies on, and returns its aud as a list.
func checkClaims(p Platform, payload map[string]any) ([]string, *Rejection) {
	if len(payload) > maxClaims {
		return nil, badClaims("The token has too many claims.", fmt.Sprintf("at most %d", maxClaims), strconv.Itoa(len(payload)))
	}
	for name, v := range payload {
		if name == "" || len(name) > maxClaimName {
			return nil, badClaims("A claim's name is empty or too long.", fmt.Sprintf("1 to %d bytes", maxClaimName), fmt.Sprintf("%d bytes", len(name)))
		}
		if n := longest(v); n > maxClaimValue {
			return nil, badClaims(fmt.Sprintf("The claim %q is too long.", shorten(name, maxFound)),
				fmt.Sprintf("at most %d bytes", maxClaimValue), fmt.Sprintf("%d bytes", n))
		}
	}
	if sub, ok := payload["sub"].(string); !ok || sub == "" || len(sub) > maxSubject {
		return nil, badClaims("The claim sub is no usable string.", fmt.Sprintf("a string of 1 to %d bytes", maxSubject), found(payload["sub"]))
	}
	if v, present := payload["jti"]; present {
		if _, ok := v.(string); !ok {
			return nil, badClaims("The claim jti is not a string.", "a string", found(v))
		}
	}
	if p == GitHub {
		for _, name := range githubStrings {
			if v, present := payload[name]; present {
				if _, ok := v.(string); !ok {
					return nil, badClaims(fmt.Sprintf("The claim %s is not a string, as GitHub sends it.", name), "a string", found(v))
				}
			}
		}
	}
	return audiences(payload["aud"])
}

// audiences reads aud: a string or a list of strings (RFC 7519 section 4.1.3).
func audiences(v any) ([]string, *Rejection) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) == 0 || len(list) > maxAudiences {
		return nil, badClaims("The claim aud is no usable list.", fmt.Sprintf("1 to %d audiences", maxAudiences), strconv.Itoa(len(list)))
	}
	aud := make([]string, len(list))
	for i, e := range list {
		if aud[i], ok = e.(string); !ok || aud[i] == "" {
			return nil, badClaims("The claim aud is neither a string nor a list of strings.", "a string that is not empty, or a list of them", found(e))
		}
	}
	return aud, nil
}

// longest is the size of the longest text in v, names of members included.
func longest(v any) int {
	n := 0
	switch v := v.(type) {
	case string:
		n = len(v)
	case json.Number:
		n = len(v)
	case []any:
		for _, e := range v {
			n = max(n, longest(e))
		}
	case map[string]any:
		for name, e := range v {
			n = max(n, len(name), longest(e))
		}
	}
	return n
}

// span is when a token holds, in seconds of the Unix epoch.
type span struct {
	issued, expires int64
	notBefore       int64 // 0 where the token has none
}

// times reads exp, iat and nbf. RFC 7519 section 2 would allow fractions; no
// CI system sends them, and parsers round them in different ways.
func times(payload map[string]any) (span, *Rejection) {
	var s span
	for _, c := range []struct {
		name     string
		to       *int64
		required bool
	}{{"exp", &s.expires, true}, {"iat", &s.issued, true}, {"nbf", &s.notBefore, false}} {
		v, present := payload[c.name]
		if !present && !c.required {
			continue
		}
		n, ok := seconds(v)
		if !ok {
			return span{}, &Rejection{Kind: BadTime, Detail: fmt.Sprintf("The claim %s is no usable time.", c.name),
				Expected: "whole seconds since 1970, as a number, before the year 10000", Found: found(v)}
		}
		*c.to = n
	}
	switch life := s.expires - s.issued; {
	case life <= 0:
		return span{}, &Rejection{Kind: BadTime, Detail: "The token ends before it begins.",
			Expected: "an exp after iat " + instant(s.issued), Found: "exp " + instant(s.expires)}
	case life > int64(MaxTokenLifetime/time.Second):
		return span{}, &Rejection{Kind: BadTime, Detail: "The token lasts too long to be a job's.",
			Expected: fmt.Sprintf("at most %s from iat to exp", MaxTokenLifetime), Found: (time.Duration(life) * time.Second).String()}
	}
	return s, nil
}

// seconds accepts digits only: no sign, fraction, exponent or leading zero.
func seconds(v any) (int64, bool) {
	num, ok := v.(json.Number)
	if !ok || len(num) > 12 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(num), 10, 64)
	return int64(n), err == nil && n <= maxTime && (num == "0" || num[0] != '0')
}

func instant(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// checkAudience wants every aud to be ours. RFC 7519 would let one be enough;
// but a token with a second audience is in the hands of another service by
// right, and that service could replay it here as the job.
func checkAudience(ours, aud []string) *Rejection {
	if !slices.ContainsFunc(aud, func(a string) bool { return !slices.Contains(ours, a) }) {
		return nil
	}
	r := &Rejection{Kind: WrongAudience, Detail: "The token is meant for another service.",
		Expected: quoted(ours), Found: quoted(aud),
		Hint: fmt.Sprintf("Ask the CI system for a token with the audience %s: set STINT_AUDIENCE, or --job-audience of stint's job commands.", quoted(ours[:1]))}
	if slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(ours, a) }) {
		r.Detail = "The token is meant for other services too, and any of them could replay it."
	}
	return r
}

func quoted(list []string) string {
	q := make([]string, 0, len(list))
	for _, s := range list {
		q = append(q, found(s))
	}
	return shorten(strings.Join(q, " or "), 4*maxFound)
}

// check holds the span against the clock.
func (s span) check(now time.Time, leeway time.Duration) *Rejection {
	earliest, latest := now.Add(-leeway), now.Add(leeway)
	at := now.UTC().Format(time.RFC3339)
	const clocks = "Compare the clocks of the broker and of the issuer."
	switch {
	case !time.Unix(s.expires, 0).After(earliest):
		return &Rejection{Kind: Expired, Detail: "The token has expired.", Expected: "an exp after " + at, Found: instant(s.expires),
			Hint: "Ask the CI system for a fresh token right before it is used."}
	case s.notBefore != 0 && time.Unix(s.notBefore, 0).After(latest):
		return &Rejection{Kind: NotYetValid, Detail: "The token is not valid yet.", Expected: "an nbf up to " + at, Found: instant(s.notBefore), Hint: clocks}
	case time.Unix(s.issued, 0).After(latest):
		return &Rejection{Kind: IssuedInFuture, Detail: "The token was issued in the future.", Expected: "an iat up to " + at, Found: instant(s.issued), Hint: clocks}
	}
	return nil
}
