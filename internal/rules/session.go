package rules

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/match"
)

// The limits of AWS STS on a session (AssumeRole, AssumeRoleWithWebIdentity).
const (
	MaxSessionSize = 4096 // bytes of the assembled session token
	minName        = 2
	maxName        = 64
	maxTagValue    = 256
	maxRoleName    = 64
	maxARN         = 2048
)

// session is how a rule makes a session.
type session struct {
	name           *config.Template // nil: the default
	tags           []tag
	transitive     []string
	chain          []string
	sourceIdentity *config.Template // nil: none
	duration       time.Duration
}

type tag struct {
	key              string
	value            config.Template
	required, encode bool
	drop             int // 0: never
}

// sessionError is why a session cannot be made.
type sessionError struct{ detail, hint string }

func (e *sessionError) Error() string { return e.detail }

// absentError is a claim that a template needs and the token lacks.
type absentError struct{ claim string }

func (e *absentError) Error() string { return "the token has no claim " + e.claim }

func (e *evaluation) claim(name string) (string, error) {
	v, ok := e.claims.Text(name)
	if !ok {
		return "", &absentError{name}
	}
	return v, nil
}

// role is the role that a rule gives the request: the one asked for if it is
// listed, or the first. roles are the listed ones that could be formed, and
// reason is why one could not.
func (e *evaluation) role(r *rule) (role string, roles []string, reason string) {
	for _, t := range r.roles {
		arn, err := e.expandRole(t)
		if err != nil {
			reason = cmp.Or(reason, fmt.Sprintf("the role %s cannot be formed: %s", t, err))
			if e.req.Role == "" {
				// The first role is the default, and a later one is not what
				// the rule's author wrote for this job.
				return "", roles, reason
			}
			continue
		}
		if e.req.Role == "" || e.req.Role == arn {
			return arn, nil, ""
		}
		roles = append(roles, arn)
	}
	return "", roles, reason
}

// inRole refuses a claim's value that could become ARN syntax or a wildcard.
// It is never changed to fit: two repositories must not end in one role.
func inRole(claim, v string) (string, error) {
	for _, c := range v {
		if !strings.ContainsRune(nameCharacters, c) {
			return "", fmt.Errorf("the claim %s is %q, and %q must not stand in a role's name", claim, short(v), c)
		}
	}
	if v == "" {
		return "", fmt.Errorf("the claim %s is empty", claim)
	}
	if len(v) > maxRoleName {
		return "", fmt.Errorf("the claim %s has %d characters, and at most %d may stand in a role", claim, len(v), maxRoleName)
	}
	return v, nil
}

// nameCharacters are those of role names, session names and source identities.
const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-"

func (e *evaluation) audience(r *rule) (string, error) {
	a := e.req.Audience
	if e.req.pool == nil && e.set.pools[a] != nil {
		// The audience of a pool says that its rules decided.
		return "", fmt.Errorf("%s is an identity pool: its tokens are had at /aws/cognito-identity only", a)
	}
	if a == "" {
		return e.set.audience, nil
	}
	if len(a) > 255 || strings.ContainsFunc(a, func(c rune) bool { return c <= 0x20 || c > 0x7e }) {
		return "", fmt.Errorf("expected an audience of 1 to 255 printable characters without a space, found %q", short(a))
	}
	if r.audiences == nil || a == e.set.audience || slices.ContainsFunc(r.audiences, func(p match.Pattern) bool { return p.Match(a) }) {
		return a, nil
	}
	var allowed []string
	for _, p := range r.audiences {
		allowed = append(allowed, p.String())
	}
	return "", fmt.Errorf("rule %s: expected the audience to be %s, found %q", r.name, quoted(allowed), short(a))
}

func (e *evaluation) session(s *session) (Session, error) {
	name, err := e.sessionName(s)
	if err != nil {
		return Session{}, err
	}
	out := Session{Name: name, Duration: s.duration}
	for _, t := range s.tags {
		value, ok, err := e.tag(t)
		if err != nil {
			return Session{}, err
		}
		if ok {
			out.Tags = append(out.Tags, Tag{t.key, value})
			if slices.Contains(s.transitive, t.key) {
				out.Transitive = append(out.Transitive, t.key)
			}
			if slices.Contains(s.chain, t.key) {
				out.Chain = append(out.Chain, t.key)
			}
		}
	}
	slices.SortFunc(out.Tags, func(a, b Tag) int { return cmp.Compare(a.Key, b.Key) })
	slices.Sort(out.Transitive)
	slices.Sort(out.Chain)
	if s.sourceIdentity != nil {
		if out.SourceIdentity, err = e.sourceIdentity(*s.sourceIdentity); err != nil {
			return Session{}, err
		}
	}
	if d := e.req.Duration; d != 0 {
		if d < config.MinSession || d > config.MaxSession {
			return Session{}, &sessionError{detail: fmt.Sprintf("expected a duration from %s to %s, found %s", config.MinSession, config.MaxSession, d)}
		}
		out.Duration = min(out.Duration, d)
	}
	return out, nil
}

// sessionName is made to fit: nothing may be decided by it, see
// docs/decisions/session-names.md.
func (e *evaluation) sessionName(s *session) (string, error) {
	if s.name == nil {
		return e.defaultName(), nil
	}
	name, err := s.name.Expand(e.claim)
	if err != nil {
		return "", &sessionError{fmt.Sprintf("the session name %s cannot be formed: %s", s.name, err), "name a claim that every token of this rule has"}
	}
	name = fitName(name)
	if len(name) < minName {
		return "", &sessionError{detail: fmt.Sprintf("the session name %q is shorter than %d characters", name, minName)}
	}
	return name, nil
}

func (e *evaluation) defaultName() string {
	repository, ok := e.claims.Text("repository_name")
	run, hasRun := e.claims.Text("run_id")
	if ok && hasRun && repository != "" && run != "" {
		// The run is what tells sessions apart, so the name is what gives way.
		return fitName(repository[:min(len(repository), maxName-1-min(len(run), maxName/2))] + "-" + run)
	}
	digest := e.claims.TokenSHA256()
	return "stint-" + digest[:min(len(digest), 16)]
}

// fitName replaces what STS does not allow in a name and cuts it.
func fitName(s string) string {
	s = strings.Map(func(c rune) rune {
		if strings.ContainsRune(nameCharacters, c) {
			return c
		}
		return '-'
	}, s)
	return s[:min(len(s), maxName)]
}

var tagValue = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// tag is a tag's value. It is never changed silently: two values that became
// the same would be one principal to a policy.
func (e *evaluation) tag(t tag) (value string, ok bool, err error) {
	value, err = t.value.Expand(e.claim)
	if err != nil {
		if t.required {
			return "", false, &sessionError{fmt.Sprintf("the tag %s is required, and %s", t.key, err), "run the job where the claim is set, or make the tag optional"}
		}
		return "", false, nil
	}
	if t.encode {
		value = encode(value)
	}
	switch {
	case !utf8.ValidString(value) || !tagValue.MatchString(value):
		c := firstNot(value, tagValue)
		return "", false, &sessionError{
			fmt.Sprintf("the tag %s would be %q, and STS does not allow %q in a tag", t.key, short(value), c),
			fmt.Sprintf("write %s: {claim: %q, encode: true} in the rule, which stands =%02X for it", t.key, t.value.String(), []byte(c)[0]),
		}
	case utf8.RuneCountInString(value) > maxTagValue:
		return "", false, &sessionError{
			fmt.Sprintf("the tag %s would have %d characters, and STS allows %d", t.key, utf8.RuneCountInString(value), maxTagValue),
			"use a shorter claim, such as an id",
		}
	}
	return value, true, nil
}

func firstNot(s string, allowed *regexp.Regexp) string {
	for _, c := range s {
		if !allowed.MatchString(string(c)) || c == utf8.RuneError {
			return string(c)
		}
	}
	return "?"
}

// encode replaces each character that STS does not allow, and the equals sign
// itself, by = and two hex digits for each of its bytes. Different values stay
// different.
func encode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		invalid := c == utf8.RuneError && size == 1
		if c != '=' && !invalid && tagValue.MatchString(string(c)) {
			b.WriteRune(c)
		} else {
			for _, x := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, "=%02X", x)
			}
		}
		i += size
	}
	return b.String()
}

func (e *evaluation) sourceIdentity(t config.Template) (string, error) {
	v, err := t.Expand(e.claim)
	if err != nil {
		return "", &sessionError{fmt.Sprintf("the source identity %s cannot be formed: %s", t, err), "name a claim that every token of this rule has"}
	}
	if len(v) < minName || len(v) > maxName || v != fitName(v) {
		return "", &sessionError{
			fmt.Sprintf("the source identity would be %q, and STS allows %d to %d letters, digits and _+=,.@-", short(v), minName, maxName),
			"use an id, such as actor_id",
		}
	}
	return v, nil
}
