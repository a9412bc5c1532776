package lint

import (
	"fmt"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// What stands here is for ways in that something else than a subject of the
// statement narrows down: a Deny statement for every other subject, or another
// claim, such as repository_owner_id.

// scopes calls f for every subject that the statement names, or where it names
// none, that a Deny statement spares.
func (a *admission) scopes(f func(alt alternative, s subject.Subject)) {
	a.subjects(f)
	if a.tests("sub") {
		return
	}
	for _, c := range a.clauses {
		if !c.deny || c.open {
			continue
		}
		for _, alt := range c.alternatives {
			if alt.claim == "sub" {
				f(alt, a.parse(alt.pattern))
			}
		}
	}
}

// elsewhere is the first claim that fixes something for every token, where no
// subject does: f holds for it, and for what else its clause would take.
func (a *admission) elsewhere(f func(claim string, p subject.Pattern) source.Truth) (alternative, bool) {
	found, ok := alternative{}, false
	for _, c := range a.clauses {
		if len(c.alternatives) == 0 {
			continue
		}
		fixes := unless(c.open).Not() // Yes, or not known
		for _, alt := range c.alternatives {
			is := f(alt.claim, alt.pattern)
			if alt.claim == "sub" && len(alt.pattern.Unknowns()) > 0 {
				is = source.Unknown
			}
			fixes = fixes.And(is)
		}
		switch {
		case c.alternatives[0].claim == "sub" && fixes != source.No:
			return alternative{}, false // what the subjects are, the rule says of them
		case fixes == source.Yes && !ok:
			found, ok = c.alternatives[0], true
		}
	}
	return found, ok
}

// ownRepository is fixesRepository but for the workflow that a job calls, which
// may be of another one.
func (a *admission) ownRepository(claim string, p subject.Pattern) source.Truth {
	if claim == "job_workflow_ref" {
		return source.No
	}
	return a.fixesRepository(claim, p)
}

// knownPlatform reports whether it is known of an issuer's claims what they
// tell.
func (a *admission) knownPlatform() bool {
	return a.provider.Platform == subject.GitHub || a.provider.Platform == subject.GitLab
}

func (a *admission) allRepositoriesElsewhere(p *pass) {
	alt, ok := a.elsewhere(a.fixesOwner)
	if !ok || !a.knownPlatform() {
		return
	}
	p.verdict(a.holds(source.Yes, a.closed(a.fixesRepository)), a.name(), alt.text,
		"Name the repositories that need the role, by "+a.key(ownID(a.provider.Platform))+" or in "+a.key("sub")+".",
		fmt.Sprintf("%s %q lets in every repository of the owner", alt.claim, alt.text),
		fmt.Sprintf("whether %s %q lets in every repository %s", alt.claim, alt.text, a.depends(alt.pattern)))
}

func (a *admission) anyRefElsewhere(p *pass) {
	alt, ok := a.elsewhere(a.ownRepository)
	if !ok || !a.knownPlatform() {
		return
	}
	what := "any branch"
	if a.provider.Platform == subject.GitHub {
		what = "any branch, pull request and environment"
	}
	p.verdict(a.holds(source.Yes, a.closed(a.fixesRef)), a.name(), alt.text,
		"Test the branch or the environment too: StringEquals "+a.key("sub")+" with the whole subject.",
		fmt.Sprintf("%s %q lets in %s of the repository", alt.claim, alt.text, what),
		fmt.Sprintf("whether %s %q lets in any branch %s", alt.claim, alt.text, a.depends(alt.pattern)))
}

func (a *admission) renameableElsewhere(p *pass) {
	alt, ok := a.elsewhere(a.fixesOwner)
	if !ok {
		return
	}
	p.verdict(a.holds(source.Yes, a.closed(a.fixesID)), a.name(), alt.text,
		"Test "+a.key(ownID(a.provider.Platform))+" beside it, or instead of it.",
		fmt.Sprintf("%s %q is a name, which can be given up and registered by somebody else", alt.claim, alt.text),
		fmt.Sprintf("whether %s %q goes by a name only %s", alt.claim, alt.text, a.depends(alt.pattern)))
}

// ownID is the claim with the id of a job's repository.
func ownID(on subject.Platform) string {
	if on == subject.GitLab {
		return "project_id"
	}
	return "repository_id"
}
