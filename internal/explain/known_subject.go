package explain

import (
	"fmt"
	"strings"
)

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
