package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// negated knows a condition that excludes what the call has.
func negated(m *miss) *finding {
	if !m.source.Negated() || !m.result.Present {
		return nil
	}
	f := &finding{
		kind:    Other,
		cause:   fmt.Sprintf("%s %s excludes %s, and the call has %s", m.result.Operator, m.result.Key, quoted(m.result.Expected), quoted(m.result.Actual)),
		policy:  fmt.Sprintf("take %q out of %s %s", m.wrote, m.result.Operator, m.result.Key),
		warning: "the condition was written to keep somebody out: make sure that it was not this caller",
	}
	if len(m.result.Written) > 1 {
		f.edits = []Edit{m.edit(RemoveValue, m.wrote, "")}
	}
	return f
}

// literalWildcard knows * and ? under an operator that takes them literally.
func literalWildcard(m *miss) *finding {
	if !strings.HasPrefix(m.source.Test, "StringEquals") || m.got == "" {
		return nil
	}
	for i, want := range m.result.Expected {
		if strings.ContainsAny(want, "*?") && (glob(want, m.got) || strings.EqualFold(want, m.got)) {
			return m.wildcards(want, m.result.Written[i])
		}
	}
	return nil
}

// wildcards is the change to an operator that takes them for such.
func (m *miss) wildcards(want, wrote string) *finding {
	operator := strings.Replace(m.result.Operator, m.source.Test, "StringLike", 1)
	patterns := []string{wrote}
	for _, other := range m.result.Written {
		if other != wrote && strings.ContainsAny(other, "*?") {
			patterns = append(patterns, other)
		}
	}
	f := &finding{
		kind:    LiteralWildcard,
		cause:   fmt.Sprintf("%s takes the * in %q literally; only StringLike knows wildcards", m.source.Test, wrote),
		policy:  fmt.Sprintf("put %s under %s instead of %s", m.result.Key, operator, m.result.Operator),
		warning: fmt.Sprintf("%s then lets in everything that it matches, and * matches / and : too; to let in this caller alone write %q", quoted(patterns), m.got),
		edits:   []Edit{m.edit(SetOperator, "", operator)},
		partial: true,
	}
	if strings.Trim(want, "*") == "" {
		// A pattern that matches everything is no condition.
		f.policy = fmt.Sprintf("write %q instead of %q", m.got, wrote)
		f.warning = fmt.Sprintf("under StringLike %q would let in everybody who meets the other conditions", wrote)
		m.wrote = wrote
		f.edits = m.replace(escape(m.e.policy, m.source.Test, m.got))
	}
	return f
}

// notAnARN knows operators for ARNs on what is none.
func notAnARN(m *miss) *finding {
	if !strings.HasPrefix(m.source.Test, "Arn") || m.source.Negated() || m.got == "" || strings.Count(m.got, ":") >= 5 && strings.HasPrefix(m.got, "arn:") {
		return nil
	}
	operator := strings.Replace(m.result.Operator, m.source.Test, "StringLike", 1)
	return &finding{
		kind:    Other,
		cause:   fmt.Sprintf("%s compares ARNs, and %q is none, so it never matches", m.source.Test, m.got),
		policy:  fmt.Sprintf("put %s under %s instead of %s", m.result.Key, operator, m.result.Operator),
		warning: fmt.Sprintf("%s then lets in everything that it matches", quoted(m.result.Written)),
		edits:   []Edit{m.edit(SetOperator, "", operator)},
		partial: true,
	}
}

// spaces knows values that differ in spaces at their ends only.
func spaces(m *miss) *finding {
	if !m.isText() || m.got == "" {
		return nil
	}
	for i, want := range m.result.Expected {
		if !m.meets(strings.TrimSpace(want), strings.TrimSpace(m.got)) {
			continue
		}
		m.want, m.wrote = want, m.result.Written[i]
		to := strings.TrimSpace(m.wrote)
		f := &finding{kind: Other, cause: fmt.Sprintf("there is a space at the end or the beginning of %q, and it counts: the call has %q", want, m.got)}
		if m.got != strings.TrimSpace(m.got) {
			to = escape(m.e.policy, m.source.Test, m.got)
		}
		f.policy, f.edits = fmt.Sprintf("write %q instead of %q", to, m.wrote), m.replace(to)
		return f
	}
	return nil
}

// glob is a match with * and ?, enough to recognise what a pattern means;
// package iam decides.
func glob(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// meets reports whether got would match want under the condition's operator.
func (m *miss) meets(want, got string) bool {
	return want == got || m.takesWildcards() && glob(want, got)
}

// letterCase knows values that differ in the case of letters only.
func letterCase(m *miss) *finding {
	if !m.isText() || m.got == "" {
		return nil
	}
	for i, want := range m.result.Expected {
		if !m.meets(strings.ToLower(want), strings.ToLower(m.got)) {
			continue
		}
		m.want, m.wrote = want, m.result.Written[i]
		value := recase(m.wrote, m.got)
		return &finding{
			kind:   LetterCase,
			cause:  fmt.Sprintf("only the case of letters differs, and it counts: the policy has %q, the call %q", want, m.got),
			policy: fmt.Sprintf("write %q instead of %q", value, m.wrote),
			edits:  m.replace(value),
		}
	}
	return nil
}

// recase writes a pattern in the letters of a value, as far as it is the
// value's beginning or end; elsewhere the value itself is taken.
func recase(pattern, value string) string {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return value
	}
	if strings.ContainsAny(before+after, "*?$") || len(before)+len(after) > len(value) {
		return value
	}
	return value[:len(before)] + "*" + value[len(value)-len(after):]
}

// audience knows another audience, and none.
func audience(m *miss) *finding {
	if m.claim != "aud" || !m.isText() {
		return nil
	}
	f := &finding{kind: Audience, caller: fmt.Sprintf("ask for the token with the audience %s", quoted(m.result.Expected))}
	if len(m.result.Expected) > 0 {
		f.tries = &attempt{audience: m.result.Expected[0]}
	}
	if m.got == "" {
		f.cause = "the token has no audience in effect: it has no aud, or several and no azp"
		f.policy, f.caller = f.caller, ""
		return f
	}
	f.cause = fmt.Sprintf("the token is for the audience %q, and the policy expects %s", m.got, quoted(m.result.Expected))
	f.policy = fmt.Sprintf("add %q to %s, and to the audiences of the provider", m.got, m.where())
	f.edits = m.add(m.got)
	f.warning = "the audience is chosen by whoever asks for the token; a token that was asked for another service then gets in here"
	return f
}

// tags knows conditions on what the session carries.
func tags(m *miss) *finding {
	key := strings.ToLower(m.result.Key)
	name, isTag := strings.CutPrefix(key, "aws:requesttag/")
	switch {
	case isTag && !m.result.Present:
		f := &finding{
			kind:    Tags,
			cause:   fmt.Sprintf("the policy expects the session tag %s to be %s, and %s no such tag", name, quoted(m.result.Expected), m.e.carrier),
			policy:  fmt.Sprintf("remove the condition on %s", m.result.Key),
			caller:  m.e.send(name),
			warning: "sessions without the tag then get in",
			edits:   []Edit{m.edit(RemoveCondition, "", "")},
		}
		m.triesTag(f, name)
		return f
	case isTag && m.isText() && m.got != "":
		return &finding{
			kind:    Tags,
			cause:   fmt.Sprintf("the policy expects the session tag %s to be %s, and %s %q", name, quoted(m.result.Expected), m.e.carrier, m.got),
			policy:  fmt.Sprintf("add %q to %s", m.got, m.where()),
			warning: fmt.Sprintf("sessions tagged %s = %s then get in", name, m.got),
			edits:   m.add(m.got),
		}
	case key == "aws:tagkeys" && m.isText() && m.source.Qualifier == iam.ForAllValues:
		var edits []Edit
		var extra []string
		for _, k := range m.result.Actual {
			if !slices.ContainsFunc(m.result.Expected, func(want string) bool { return m.meets(want, k) }) {
				extra = append(extra, k)
				edits = append(edits, m.add(k)...)
			}
		}
		return &finding{
			kind:    Tags,
			cause:   fmt.Sprintf("%s the session tags %s, and the policy allows %s only", m.e.carrier, strings.Join(extra, ", "), quoted(m.result.Expected)),
			policy:  fmt.Sprintf("add %s to %s", strings.Join(extra, ", "), m.where()),
			caller:  fmt.Sprintf("send no tag %s", strings.Join(extra, ", ")),
			warning: "whoever gets in may then set these tags",
			edits:   edits,
		}
	}
	return nil
}

// triesTag tries the tag with the value that is expected of it.
func (m *miss) triesTag(f *finding, name string) {
	if len(m.result.Expected) == 0 || !tagText.MatchString(m.result.Expected[0]) {
		return
	}
	f.tries = &attempt{tags: []iam.Tag{{Key: name, Value: m.result.Expected[0]}}}
	f.otherwise = f.caller + ", and let the policy allow sts:TagSession for it"
}

// absent knows a key that exists and that this call does not carry.
func absent(m *miss) *finding {
	if m.result.Present || m.source.Test == "Null" {
		return nil
	}
	f := &finding{
		kind:    AbsentKey,
		cause:   fmt.Sprintf("the call does not carry %s", m.result.Key),
		policy:  fmt.Sprintf("remove the condition on %s", m.result.Key),
		warning: "without the condition everybody gets in who meets the others",
		edits:   []Edit{m.edit(RemoveCondition, "", "")},
	}
	switch {
	case m.claim == "environment":
		f.cause = "the job has no environment, so its token has no such claim"
		f.caller = "add environment: " + strings.Join(m.result.Expected, " or ") + " to the job in the workflow"
		if slices.ContainsFunc(m.result.Expected, func(want string) bool { return m.takesWildcards() && strings.ContainsAny(want, "*?") }) {
			f.caller = "add an environment: whose name matches " + quoted(m.result.Expected) + " to the job in the workflow"
		}
		if len(m.result.Expected) > 0 && m.isSubjectOf() {
			f.tries = &attempt{context: ":environment:" + m.result.Expected[0], claims: map[string]any{"environment": m.result.Expected[0]}}
			f.otherwise = f.caller + ", and let the policy allow the subject that it then has, which names the environment"
		}
	case m.claim != "":
		f.cause = fmt.Sprintf("the token has no claim %s, of which AWS makes %s", m.claim, m.result.Key)
	case strings.EqualFold(m.result.Key, "sts:RoleSessionName"):
		f.cause = "the policy tests the session's name, and the call has none"
		f.caller = m.sessionName()
	case strings.EqualFold(m.result.Key, "sts:SourceIdentity"):
		f.cause = "the policy tests the source identity, and " + m.e.carrier + " none"
		f.caller = "send a source identity"
	case strings.EqualFold(m.result.Key, "sts:ExternalId"):
		f.cause = "the policy expects an external id, and the call passes none"
		f.caller = "pass the external id " + quoted(m.result.Expected)
		f.warning = "the external id keeps others from having a service act on this account: without it they can"
	case m.e.access || furtherKey(m.result.Key, m.e.call != nil):
		f.cause = fmt.Sprintf("the request, as far as it is given, has no %s", m.result.Key)
		f.caller = fmt.Sprintf("where the real request has it, say so with --context %s=VALUE", m.result.Key)
	}
	return f
}

// saidByCall are keys that the token, the parameters or the caller of a call of
// STS say, beside those of tags.
var saidByCall = []string{
	"aws:tagkeys", "aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:sourceidentity", "aws:federatedprovider", "aws:username", "aws:userid",
}

// furtherKey reports whether a call of STS may have a key that nothing given
// says. Who calls with a token is no AWS principal.
func furtherKey(key string, withToken bool) bool {
	key = strings.ToLower(key)
	return strings.HasPrefix(key, "aws:") && !strings.Contains(key, "tag/") && !slices.Contains(saidByCall, key) &&
		!(withToken && strings.HasPrefix(key, "aws:principal"))
}

// FurtherKeys are those of these condition keys that a call of STS may have
// beside what its token, its parameters and its caller say: that is not to be
// said otherwise. withToken is for a call with a web identity.
func FurtherKeys(keys map[string][]string, withToken bool) iam.Context {
	further := maps.Clone(keys)
	maps.DeleteFunc(further, func(key string, _ []string) bool { return !furtherKey(key, withToken) })
	return iam.NewContext(further)
}

// otherValue is what remains of texts: another value.
func otherValue(m *miss) *finding {
	if !m.isText() || m.got == "" {
		return nil
	}
	what := m.result.Key
	if m.claim != "" {
		what = "the claim " + m.claim
	}
	f := &finding{
		kind:    Other,
		cause:   fmt.Sprintf("%s is %q, and the policy expects %s", what, m.got, quoted(m.result.Expected)),
		policy:  fmt.Sprintf("add %q to %s %s", escape(m.e.policy, m.source.Test, m.got), m.result.Operator, m.result.Key),
		warning: fmt.Sprintf("every caller whose %s is %q then gets in", strings.TrimPrefix(what, "the claim "), m.got),
		edits:   m.add(m.got),
	}
	if strings.EqualFold(m.result.Key, "sts:RoleSessionName") {
		f.caller = m.sessionName()
		f.warning = "the session's name is chosen by whoever calls"
	}
	return f
}

// sessionName is what to call with, where the policy tests the session's name.
func (m *miss) sessionName() string {
	for _, want := range m.result.Expected {
		if !sessionName.MatchString(want) {
			return "call with a session name that matches " + quoted(m.result.Expected)
		}
	}
	return "call with the session name " + quoted(m.result.Expected)
}

// isSubjectOf reports whether the token's subject is one that an environment
// stands in.
func (m *miss) isSubjectOf() bool {
	_, ok := splitSubject(m.e.claimText("sub"))
	return ok
}
