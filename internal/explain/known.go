package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// misspeltKey knows a condition key that AWS does not have and that looks like
// one it has for this call.
func misspeltKey(m *miss) *finding {
	if m.result.Present || m.source.Test == "Null" || realKey(m.result.Key) {
		return nil
	}
	if m.claim != "" {
		claims, _ := iam.IssuerClaims(m.e.host)
		if slices.Contains(claims, m.claim) {
			return nil
		}
		if _, inToken := m.e.call.Claims[m.claim]; inToken {
			return nil // a claim well written, and no condition key
		}
	}
	near, best := "", 3
	for _, key := range m.e.keys() {
		if n := distance(strings.ToLower(m.result.Key), strings.ToLower(key)); n > 0 && n < best {
			near, best = key, n
		}
	}
	if near == "" {
		return m.otherHost()
	}
	return m.rename(near, fmt.Sprintf("the condition key %s does not exist, so it is never there; %s does", m.result.Key, near))
}

// rename is the change to another key, and to the value that is found there
// where that is another one too.
func (m *miss) rename(key, cause string) *finding {
	f := &finding{
		kind:   MisspeltKey,
		cause:  cause,
		policy: fmt.Sprintf("write %s instead of %s", key, m.result.Key),
		edits:  []Edit{m.edit(RenameKey, m.result.Key, key)},
	}
	values, _ := m.e.ctx.Get(key)
	if !m.isText() || len(values) != 1 || m.helps(f.edits) {
		return f
	}
	add := Edit{Op: AddValue, Statement: m.index, Operator: m.result.Operator, Key: key, To: escape(m.e.policy, m.source.Test, values[0])}
	f.edits = append(f.edits, add)
	f.cause += fmt.Sprintf("; and its value is %q where the policy expects %s", values[0], quoted(m.result.Expected))
	f.policy += fmt.Sprintf(" and add %q to its values", add.To)
	f.warning = fmt.Sprintf("every caller whose %s is %q then gets in", key, values[0])
	return f
}

// realKeys are keys that exist and that a web identity call does not have, or
// not always; a key with a slash at the end stands for any name after it.
var realKeys = []string{
	"aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:principaltag/", "aws:requesttag/", "aws:resourcetag/",
	"aws:sourcearn", "aws:sourceaccount", "aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip", "aws:sourceidentity",
	"aws:tagkeys", "aws:username", "aws:userid", "aws:referer", "aws:useragent", "aws:currenttime", "aws:epochtime",
	"aws:multifactorauthage", "aws:multifactorauthpresent", "aws:tokenissuetime", "aws:viaawsservice", "aws:requestedregion",
	"iam:resourcetag/", "sts:externalid", "sts:rolesessionname", "sts:sourceidentity", "sts:transitivetagkeys", "sts:roleauthorizedbyidp",
}

func realKey(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(realKeys, func(real string) bool {
		return key == real || strings.HasSuffix(real, "/") && strings.HasPrefix(key, real)
	})
}

// otherHost knows a key of a claim behind a host that is not the issuer's.
func (m *miss) otherHost() *finding {
	at := strings.LastIndexByte(m.result.Key, ':')
	if at < 0 || m.claim != "" || !strings.Contains(m.result.Key[:at], ".") {
		return nil
	}
	key := m.e.host + m.result.Key[at:]
	if _, present := m.e.ctx.Get(key); !present {
		return nil
	}
	return m.rename(key, fmt.Sprintf("the condition key %s is of another issuer: this token is of %s, so the key is never there", m.result.Key, m.e.host))
}

// keys are all condition keys that the call could have.
func (e *evaluation) keys() []string {
	keys := e.ctx.Keys()
	claims, _ := iam.IssuerClaims(e.host)
	for _, c := range claims {
		keys = append(keys, e.host+":"+c)
	}
	keys = append(keys, "sts:RoleSessionName", "sts:SourceIdentity", "sts:TransitiveTagKeys", "aws:TagKeys", "aws:SourceIp", "aws:CurrentTime", "aws:RequestedRegion")
	slices.Sort(keys)
	return slices.Compact(keys)
}

// distance is the number of characters to insert, remove, replace or swap with
// their neighbour to get from a to b, or 3 where it is more than 2.
func distance(a, b string) int {
	const far = 3
	if len(a)-len(b) >= far || len(b)-len(a) >= far {
		return far
	}
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return min(last[len(b)], far)
}

// instead are claims that AWS exposes and that say what one says that it does
// not.
var instead = map[string]string{
	"repository_owner": "repository_owner_id",
	"workflow_ref":     "job_workflow_ref",
}

// unknownKey knows a claim that the token has and AWS makes no key of.
func unknownKey(m *miss) *finding {
	if m.claim == "" || m.result.Present {
		return nil
	}
	claims, _ := iam.IssuerClaims(m.e.host)
	if slices.Contains(claims, m.claim) {
		return nil
	}
	f := &finding{
		kind:    UnknownKey,
		cause:   fmt.Sprintf("AWS makes no condition key of the claim %s for tokens of %s, so %s is never there", m.claim, m.e.host, m.result.Key),
		policy:  fmt.Sprintf("remove the condition on %s; AWS has keys for %s", m.result.Key, strings.Join(claims, ", ")),
		warning: "without the condition everybody gets in who meets the others",
		edits:   []Edit{m.edit(RemoveCondition, "", "")},
	}
	if other := instead[m.claim]; other != "" && m.source.Test == "StringEquals" && m.source.Qualifier == iam.NoQualifier {
		if values, ok := m.e.ctx.Get(m.e.host + ":" + other); ok && len(values) == 1 {
			key := m.e.host + ":" + other
			f.policy = fmt.Sprintf("test %s for %q instead", key, values[0])
			f.warning = ""
			f.edits = []Edit{m.edit(RenameKey, m.result.Key, key),
				{Op: AddValue, Statement: m.index, Operator: m.result.Operator, Key: key, To: escape(m.e.policy, m.source.Test, values[0])}}
		}
	}
	return f
}

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
		if !strings.ContainsAny(want, "*?") || !glob(want, m.got) && !strings.EqualFold(want, m.got) {
			continue
		}
		operator := strings.Replace(m.result.Operator, m.source.Test, "StringLike", 1)
		return &finding{
			kind:    LiteralWildcard,
			cause:   fmt.Sprintf("%s takes the * in %q literally; only StringLike knows wildcards", m.source.Test, m.result.Written[i]),
			policy:  fmt.Sprintf("put %s under %s instead of %s", m.result.Key, operator, m.result.Operator),
			warning: fmt.Sprintf("%q then lets in everything that it matches, and * matches / and : too; to let in this caller alone write %q", m.result.Written[i], m.got),
			edits:   []Edit{m.edit(SetOperator, "", operator)},
		}
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

func (m *miss) isSubject() bool { return m.claim == "sub" && m.isText() && m.got != "" }

// hostInSubject knows repo:github.com/OWNER/REPO.
func hostInSubject(m *miss) *finding {
	if !m.isSubject() {
		return nil
	}
	for i, want := range m.result.Expected {
		for _, host := range []string{"repo:https://github.com/", "repo:github.com/", "repo:www.github.com/"} {
			rest, ok := strings.CutPrefix(want, host)
			if !ok {
				continue
			}
			f := &finding{
				kind:   HostInSubject,
				cause:  fmt.Sprintf("a subject names the repository as repo:OWNER/REPO, and the policy has %s... before it", host),
				policy: fmt.Sprintf("write %q instead of %q", "repo:"+rest, m.result.Written[i]),
			}
			m.wrote = m.result.Written[i]
			f.edits = m.replace("repo:" + rest)
			if !m.meets("repo:"+rest, m.got) {
				f.cause += fmt.Sprintf("; this caller's is %q", m.got)
				f.policy = fmt.Sprintf("write %q instead of %q", m.got, m.result.Written[i])
				f.edits = m.replace(escape(m.e.policy, m.source.Test, m.got))
			}
			return f
		}
	}
	return nil
}

// subject is a GitHub subject, or a pattern of one, taken apart.
type subject struct {
	prefix  string // github: in a stint token
	owner   string
	repo    string
	context string // with its colon
}

func splitSubject(s string) (subject, bool) {
	at := strings.Index(s, "repo:")
	if at < 0 || at > 0 && s[at-1] != ':' {
		return subject{}, false
	}
	repository, context := s[at+len("repo:"):], ""
	if i := strings.IndexByte(repository, ':'); i >= 0 {
		repository, context = repository[:i], repository[i:]
	}
	owner, repo, ok := strings.Cut(repository, "/")
	return subject{s[:at], owner, repo, context}, ok && owner != "" && repo != ""
}

func (s subject) String() string { return s.prefix + "repo:" + s.owner + "/" + s.repo + s.context }

// hasIDs reports whether the subject has the form with ids.
func (s subject) hasIDs() bool {
	return strings.Contains(s.owner, "@") && strings.Contains(s.repo, "@")
}

// names is the subject without ids.
func (s subject) names() subject {
	s.owner, _, _ = strings.Cut(s.owner, "@")
	s.repo, _, _ = strings.Cut(s.repo, "@")
	return s
}

func (m *miss) subjects(of string) (want, got subject, ok bool) {
	got, ok = splitSubject(m.got)
	if !ok || !m.isSubject() {
		return want, got, false
	}
	want, ok = splitSubject(of)
	return want, got, ok
}

// issuerPrefix knows subjects of stint tokens, which begin with the name of
// the job token's issuer.
func issuerPrefix(m *miss) *finding {
	for i, text := range m.result.Expected {
		want, got, ok := m.subjects(text)
		if !ok || want.prefix == got.prefix {
			continue
		}
		want.prefix = got.prefix
		if !m.meets(want.String(), m.got) {
			continue
		}
		m.wrote = m.result.Written[i]
		f := &finding{
			kind:   IssuerPrefix,
			cause:  fmt.Sprintf("the token's subject begins with %q, and the policy's %q does not", got.prefix, text),
			policy: fmt.Sprintf("write %q instead of %q", want.String(), m.wrote),
			edits:  m.replace(want.String()),
		}
		if got.prefix == "" {
			f.cause = fmt.Sprintf("the policy's %q is the subject of a stint token, and this is a job's own token", text)
			f.caller = "present a stint token of the broker"
		}
		return f
	}
	return nil
}

// subjectForm knows the form with names against the form with ids.
func subjectForm(m *miss) *finding {
	for i, text := range m.result.Expected {
		want, got, ok := m.subjects(text)
		if !ok || want.prefix != got.prefix || want.hasIDs() == got.hasIDs() {
			continue
		}
		if !m.meets(want.names().String(), got.names().String()) {
			continue
		}
		m.wrote = m.result.Written[i]
		// The repository in the token's form, and the rest as the policy has it.
		value := want
		if want.names().owner == got.names().owner && want.names().repo == got.names().repo {
			value.owner, value.repo = got.owner, got.repo
		} else {
			value = got
		}
		f := &finding{
			kind:   NamesForm,
			cause:  fmt.Sprintf("the policy has the subject with names, %q, and the token the one with ids, %q, as repositories created, renamed or transferred after 2026-07-15 have it", text, m.got),
			policy: fmt.Sprintf("add %q to %s", value.String(), m.where()),
			edits:  []Edit{m.edit(AddValue, "", value.String())},
		}
		if want.hasIDs() {
			f.kind = IDsForm
			f.cause = fmt.Sprintf("the policy has the subject with ids, %q, and the token the one with names, %q", text, m.got)
			f.caller = "opt the repository in to subjects with ids"
			f.warning = "a name can be given up and registered by somebody else, an id cannot: opt the repository in rather than go back to names"
		}
		return f
	}
	return nil
}

// subjectContext knows the same repository in another context: environment,
// branch or tag, pull request.
func subjectContext(m *miss) *finding {
	for _, text := range m.result.Expected {
		want, got, ok := m.subjects(text)
		if !ok || want.prefix != got.prefix || !m.sameRepository(want, got) || m.meets(want.context, got.context) {
			continue
		}
		f := &finding{
			policy: fmt.Sprintf("add %q to %s", escape(m.e.policy, m.source.Test, m.got), m.where()),
			edits:  m.add(m.got),
		}
		wantName, wantIsEnv := strings.CutPrefix(want.context, ":environment:")
		gotName, gotIsEnv := strings.CutPrefix(got.context, ":environment:")
		wantRef, wantIsRef := strings.CutPrefix(want.context, ":ref:")
		gotRef, gotIsRef := strings.CutPrefix(got.context, ":ref:")
		switch {
		case got.context == ":pull_request":
			f.kind = PullRequestSubject
			f.cause = fmt.Sprintf("the job runs for a pull request, whose subject ends in pull_request and names no branch; the policy expects %q", strings.TrimPrefix(want.context, ":"))
			f.caller = "run the job on push instead of pull_request"
			f.warning = "every pull request of the repository then gets in, whoever wrote its code"
		case gotIsEnv && wantIsRef:
			f.kind = EnvironmentSubject
			f.cause = fmt.Sprintf("the job has environment: %s, so its subject names the environment and not the branch; the policy expects %s", gotName, wantRef)
			f.caller = "remove environment: from the job"
			f.warning = fmt.Sprintf("every branch that may deploy to the environment %s then gets in: restrict the environment's branches", gotName)
		case gotIsRef && wantIsEnv:
			f.kind = BranchSubject
			f.cause = fmt.Sprintf("the policy expects a job with environment: %s, and this job has none, so its subject names %s", wantName, gotRef)
			f.caller = "add environment: " + wantName + " to the job in the workflow"
			f.warning = fmt.Sprintf("every job on %s then gets in, without what protects the environment", gotRef)
		case gotIsRef && wantIsRef:
			f.kind = BranchSubject
			f.cause = fmt.Sprintf("the job runs on %s, and the policy expects %s", gotRef, wantRef)
			f.caller = "run the job on " + wantRef
			f.warning = fmt.Sprintf("every job on %s then gets in", gotRef)
		case gotIsEnv && wantIsEnv:
			f.kind = EnvironmentSubject
			f.cause = fmt.Sprintf("the job has environment: %s, and the policy expects %s", gotName, wantName)
			f.caller = "write environment: " + wantName + " in the job"
			f.warning = fmt.Sprintf("every job of the environment %s then gets in", gotName)
		default:
			f.kind = Other
			f.cause = fmt.Sprintf("the repository is the same, and the policy expects %q after it, found %q", strings.TrimPrefix(want.context, ":"), strings.TrimPrefix(got.context, ":"))
			f.warning = "every job with this subject then gets in"
		}
		if want.hasIDs() != got.hasIDs() {
			f.cause += "; the token also has the subject's other form, with ids or with names"
		}
		return f
	}
	return nil
}

func (m *miss) sameRepository(want, got subject) bool {
	if want.hasIDs() != got.hasIDs() {
		want, got = want.names(), got.names()
	}
	return m.meets(want.owner+"/"+want.repo, got.owner+"/"+got.repo)
}

// audience knows another audience, and none.
func audience(m *miss) *finding {
	if m.claim != "aud" || !m.isText() {
		return nil
	}
	f := &finding{kind: Audience, caller: fmt.Sprintf("ask for the token with the audience %s", quoted(m.result.Expected))}
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
		return &finding{
			kind:    Tags,
			cause:   fmt.Sprintf("the policy expects the session tag %s to be %s, and the token carries no such tag", name, quoted(m.result.Expected)),
			policy:  fmt.Sprintf("remove the condition on %s", m.result.Key),
			caller:  fmt.Sprintf("send the tag %s with the token", name),
			warning: "sessions without the tag then get in",
			edits:   []Edit{m.edit(RemoveCondition, "", "")},
		}
	case isTag && m.isText() && m.got != "":
		return &finding{
			kind:    Tags,
			cause:   fmt.Sprintf("the policy expects the session tag %s to be %s, and the token has %q", name, quoted(m.result.Expected), m.got),
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
			cause:   fmt.Sprintf("the token carries the session tags %s, and the policy allows %s only", strings.Join(extra, ", "), quoted(m.result.Expected)),
			policy:  fmt.Sprintf("add %s to %s", strings.Join(extra, ", "), m.where()),
			caller:  fmt.Sprintf("send no tag %s", strings.Join(extra, ", ")),
			warning: "whoever gets in may then set these tags",
			edits:   edits,
		}
	}
	return nil
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
	case m.claim != "":
		f.cause = fmt.Sprintf("the token has no claim %s, of which AWS makes %s", m.claim, m.result.Key)
	case strings.EqualFold(m.result.Key, "sts:RoleSessionName"):
		f.cause = "the policy tests the session's name, and the call has none"
		f.caller = "call with the session name " + quoted(m.result.Expected)
	case strings.EqualFold(m.result.Key, "sts:SourceIdentity"):
		f.cause = "the policy tests the source identity, and the token carries none"
		f.caller = "send a source identity"
	}
	return f
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
		f.caller = "call with the session name " + quoted(m.result.Expected)
		f.warning = "the session's name is chosen by whoever calls"
	}
	return f
}
