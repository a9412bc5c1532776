package explain

import (
	"fmt"
	"strings"
)

func (m *miss) isSubject() bool { return m.claim == "sub" && m.isText() && m.got != "" }

// subjectMiss is one expected subject against the one that was found.
type subjectMiss struct {
	*miss
	text, wrote string
	want, got   subject
}

// subjectDiffers takes the expected subject that differs least apart and says
// each thing in which it differs. What is wrong with the value itself comes
// first, one at a time: the next is found when that is mended.
func subjectDiffers(m *miss) *finding {
	if !m.isSubject() {
		return nil
	}
	got, ok := splitSubject(m.got)
	if !ok {
		return otherForm(m)
	}
	var best *subjectMiss
	fewest := 0
	for i, text := range m.result.Expected {
		want, ok := splitPattern(text)
		if !ok {
			continue
		}
		s := &subjectMiss{m, text, m.result.Written[i], want, got}
		if n := s.count(); n > 0 && (best == nil || n < fewest) {
			best, fewest = s, n
		}
	}
	if best == nil {
		return nil
	}
	m.want, m.wrote = best.text, best.wrote
	if f := best.mend(); f != nil {
		return f
	}
	return best.widen()
}

// otherForm knows a token whose subject names no repository, as repositories
// may have it, where the policy names one.
func otherForm(m *miss) *finding {
	repository := m.e.claimText("repository")
	if repository == "" || strings.Contains(m.got, "repo:") {
		return nil
	}
	for _, text := range m.result.Expected {
		want, ok := splitSubject(text)
		if !ok {
			continue
		}
		f := &finding{
			kind:    Other,
			cause:   fmt.Sprintf("the repository's subjects are customised: the token's is %q, and the policy expects %q", m.got, text),
			policy:  fmt.Sprintf("add %q to %s", escape(m.e.policy, m.source.Test, m.got), m.where()),
			edits:   m.add(m.got),
			warning: "every job with this subject then gets in: make sure that it names all that the policy's names",
		}
		if !fitsFold(want.names().repository(), repository) {
			f.cause += fmt.Sprintf("; and the job is of the repository %s", repository)
			f.warning = fmt.Sprintf("another repository than the policy names then gets in: make sure that %s is yours", repository)
		}
		return f
	}
	return nil
}

// fits reports whether a part of the subject is what is expected, were
// wildcards taken as such.
func (s *subjectMiss) fits(want, got string) bool {
	return s.same(want, got) || glob(want, got)
}

// same reports whether a part is what is expected under the condition's
// operator.
func (s *subjectMiss) same(want, got string) bool {
	return s.meets(want, got) || strings.HasPrefix(s.source.Test, "StringEqualsIgnoreCase") && strings.EqualFold(want, got)
}

func fitsFold(want, got string) bool { return glob(strings.ToLower(want), strings.ToLower(got)) }

// parts are what is compared of the two, in the same form.
func (s *subjectMiss) parts() (want, got subject) {
	if s.want.hasIDs() != s.got.hasIDs() {
		return s.want.names(), s.got.names()
	}
	return s.want, s.got
}

// count is in how many things the two differ.
func (s *subjectMiss) count() int {
	want, got := s.parts()
	n := 0
	for _, differs := range []bool{
		s.want.host != "" || s.want.bare, !s.same(want.prefix, got.prefix), s.caseDiffers(), s.literal(),
		s.want.hasIDs() != s.got.hasIDs(), s.contextDiffers(),
	} {
		if differs {
			n++
		}
	}
	// Another repository is another one in whatever else it is alike.
	if s.repositoryDiffers() {
		n += 10
	}
	return n
}

func (s *subjectMiss) repositoryDiffers() bool {
	want, got := s.parts()
	return !fitsFold(want.owner, got.owner) || !fitsFold(want.repo, got.repo) || s.idsDiffer() != ""
}

func (s *subjectMiss) contextDiffers() bool {
	return !s.want.open() && !fitsFold(s.want.context, s.got.context)
}

// caseDiffers reports whether a part is the same but for the case of letters.
func (s *subjectMiss) caseDiffers() bool {
	want, got := s.parts()
	for _, p := range [][2]string{{want.owner, got.owner}, {want.repo, got.repo}, {want.context, got.context}} {
		if !s.fits(p[0], p[1]) && fitsFold(p[0], p[1]) {
			return true
		}
	}
	return false
}

// literal reports whether a part would be what is expected if the operator
// took its wildcards for such.
func (s *subjectMiss) literal() bool {
	want, got := s.parts()
	if !strings.HasPrefix(s.source.Test, "StringEquals") {
		return false
	}
	for _, p := range [][2]string{{want.owner, got.owner}, {want.repo, got.repo}, {want.context, got.context}} {
		if strings.ContainsAny(p[0], "*?") && !s.same(p[0], p[1]) && fitsFold(p[0], p[1]) {
			return true
		}
	}
	return false
}

// idsDiffer says which id of the token is not the one in the policy's subject,
// where the token's subject itself has none.
func (s *subjectMiss) idsDiffer() string {
	if !s.want.hasIDs() || s.got.hasIDs() {
		return ""
	}
	for _, p := range []struct{ of, claim string }{{s.want.owner, "repository_owner_id"}, {s.want.repo, "repository_id"}} {
		_, id, has := strings.Cut(p.of, "@")
		if actual := s.e.claimText(p.claim); has && actual != "" && !glob(id, actual) {
			return fmt.Sprintf("its %s is %s and not %s", p.claim, short(actual), short(id))
		}
	}
	return ""
}

// claimText is a claim of the token as text, or empty.
func (e *evaluation) claimText(name string) string {
	switch v := e.claims[name].(type) {
	case string:
		return v
	case nil, bool, []any, map[string]any:
		return ""
	default:
		return fmt.Sprint(v)
	}
}

// mend knows what no subject of the issuer could meet: a value that is written
// wrongly, or under the wrong operator. It changes nothing else.
func (s *subjectMiss) mend() *finding {
	if s.wrote != s.text && (s.want.host+s.want.prefix != "" || s.want.bare) || s.got.host != "" {
		return nil // a variable: what stands in the policy is not known
	}
	to, was := s.want, s.want.String()
	f := &finding{partial: true}
	switch {
	case s.want.bare:
		to.bare, to.host = false, ""
		f.kind = HostInSubject
		f.cause = fmt.Sprintf("a subject begins with repo:OWNER/REPO, and the policy has %q", s.text)
	case s.want.host != "":
		to.host = ""
		f.kind = HostInSubject
		f.cause = fmt.Sprintf("a subject names the repository as repo:OWNER/REPO, and the policy has repo:%s... before it", s.want.host)
	case !s.same(s.want.prefix, s.got.prefix):
		to.prefix = s.got.prefix
		f.kind = IssuerPrefix
		f.cause = fmt.Sprintf("the token's subject begins with %q, and the policy's %q does not", s.got.prefix, s.text)
		if s.got.prefix == "" {
			f.cause = fmt.Sprintf("the policy's %q is the subject of a stint token, and this is a job's own token", s.text)
			f.caller = "present a stint token of the broker"
		}
	case s.caseDiffers() && s.wrote == s.text:
		want, got := s.parts()
		for _, p := range []struct {
			of        *string
			want, got string
		}{{&to.owner, want.owner, got.owner}, {&to.repo, want.repo, got.repo}, {&to.context, want.context, got.context}} {
			if !s.fits(p.want, p.got) && fitsFold(p.want, p.got) {
				*p.of = recase(p.want, p.got) + strings.TrimPrefix(*p.of, p.want)
			}
		}
		f.kind = LetterCase
		f.cause = fmt.Sprintf("only the case of letters differs, and it counts: the policy has %q, the call %q", s.text, s.miss.got)
		if s.count() > 1 {
			f.cause = fmt.Sprintf("the case of letters counts: the policy has %q where the call has %q", s.text, s.miss.got)
		}
	case s.literal():
		return s.wildcards(s.text, s.wrote)
	default:
		return nil
	}
	f.policy = fmt.Sprintf("write %q instead of %q", to.String(), was)
	f.edits = s.replace(to.String())
	return f
}

// widen knows a subject that is another one: in the other form, of another
// repository, or in another context. Each of them is told, and one value that
// is added lets this caller in.
func (s *subjectMiss) widen() *finding {
	want, got := s.parts()
	value := subject{prefix: s.got.prefix, owner: s.quote(s.got.owner), repo: s.quote(s.got.repo), context: s.quote(s.got.context)}
	// The context as the policy has it, where it is met.
	if s.wrote == s.text && want.repository() == got.repository() && !s.contextDiffers() {
		value.context = s.want.context
	}
	var found []finding
	if s.repositoryDiffers() {
		found = append(found, s.anotherRepository())
	} else if s.want.hasIDs() != s.got.hasIDs() {
		found = append(found, s.form())
	}
	if s.contextDiffers() {
		found = append(found, s.anotherContext())
	}
	if len(found) == 0 {
		return nil
	}
	for i := range found {
		f := &found[i]
		if f.edits == nil {
			f.policy = fmt.Sprintf("add %q to %s", value.String(), s.where())
			f.edits = []Edit{s.edit(AddValue, "", value.String())}
		}
	}
	f := found[0]
	f.also = found[1:]
	return &f
}

func (s *subjectMiss) quote(text string) string { return escape(s.e.policy, s.source.Test, text) }

// form knows names where ids are expected, and the reverse.
func (s *subjectMiss) form() finding {
	if !s.want.hasIDs() {
		return finding{
			kind: NamesForm,
			// Who takes over a name that was given up has a subject with ids.
			warning: fmt.Sprintf("make sure that the ids in %s are those of your owner and repository: a name can be given up and registered by somebody else, an id cannot", s.got.repository()),
			cause:   fmt.Sprintf("the policy has the subject with names, %q, and the token the one with ids, %q, as repositories created, renamed or transferred after 2026-07-15 have it", s.text, s.miss.got),
		}
	}
	f := finding{
		kind:    IDsForm,
		cause:   fmt.Sprintf("the policy has the subject with ids, %q, and the token the one with names, %q", s.text, s.miss.got),
		caller:  "opt the repository in to subjects with ids",
		warning: "a name can be given up and registered by somebody else, an id cannot: opt the repository in rather than go back to names",
	}
	owner, repo := s.e.claimText("repository_owner_id"), s.e.claimText("repository_id")
	if owner != "" && repo != "" {
		f.tries = &attempt{ids: "@" + owner, repoID: "@" + repo}
	}
	return f
}

// anotherRepository knows the subject of a stranger.
func (s *subjectMiss) anotherRepository() finding {
	want, got := s.parts()
	f := finding{
		kind:    RepositorySubject,
		cause:   fmt.Sprintf("the job is of the repository %s, and the policy expects %s", s.got.repository(), s.want.repository()),
		warning: fmt.Sprintf("another repository than the policy names then gets in: make sure that %s is yours", s.got.repository()),
	}
	wantOwner, wantOwnerID, _ := strings.Cut(want.owner, "@")
	gotOwner, gotOwnerID, _ := strings.Cut(got.owner, "@")
	_, wantRepoID, _ := strings.Cut(want.repo, "@")
	_, gotRepoID, _ := strings.Cut(got.repo, "@")
	sameIDs := wantOwnerID != "" && wantRepoID != "" && fitsFold(wantRepoID, gotRepoID) && !strings.ContainsAny(wantRepoID, "*?")
	ids := s.idsDiffer()
	switch {
	case ids != "":
		f.cause = fmt.Sprintf("the job is of another repository under the name %s: %s", s.got.repository(), ids)
		f.warning = fmt.Sprintf("another repository than the policy names then gets in, which only has its name: make sure that %s is yours", s.got.repository())
	case sameIDs:
		f.cause += ": the repository's id is the same, so it was renamed or transferred"
	case fitsFold(want.names().owner, got.names().owner) && fitsFold(want.names().repo, got.names().repo):
		f.cause += ": the names are the same and the ids are not, so it is another repository under the same name"
	case !fitsFold(wantOwner, gotOwner) || wantOwnerID != "" && !fitsFold(wantOwnerID, gotOwnerID):
		f.cause = fmt.Sprintf("the job is of the repository %s, of another owner than the policy's %s", s.got.repository(), s.want.repository())
		f.warning = fmt.Sprintf("a repository of another owner than the policy names then gets in: make sure that %s is yours", s.got.repository())
	}
	if s.want.hasIDs() != s.got.hasIDs() && ids == "" {
		f.cause += "; the token also has the subject's other form, with ids or with names"
	}
	return f
}
