package lint

import (
	"fmt"
	"strings"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// lastingRules are the rules on whether a policy will mean tomorrow whom it
// means today.
func lastingRules() []Rule {
	return []Rule{
		{
			ID: "renameable-subject", Severity: Warning, Title: "a name that can change hands",
			Why:   "An owner or a repository can be renamed or deleted, and whoever registers the name then has the same subject.",
			Fix:   "Use the subject with ids, or test an id beside it.",
			check: renameableSubject,
		},
		{
			ID: "id-wildcard", Severity: Error, Title: "a wildcard for an id",
			Why:   "The id is what tells an owner or a repository from a later one of the same name, and a wildcard throws that away.",
			Fix:   "Write the id out.",
			check: idWildcard,
		},
		{
			ID: "hyphen-ids", Severity: Error, Title: "ids after a hyphen",
			Why:   "GitHub writes ids after an @, so this subject is never signed for the repository that is meant, and names another that somebody may register.",
			Fix:   "Write OWNER@OWNER_ID/REPO@REPO_ID.",
			check: hyphenIDs,
		},
		{
			ID: "subject-format", Severity: Warning, Title: "the other form of the subject",
			Why:   "A repository's tokens have subjects either with names or with ids, and a value in the other form never matches.",
			Fix:   "Write the subject in the form that the repository's tokens have.",
			check: subjectFormat,
		},
	}
}

func renameableSubject(p *pass) {
	p.eachAdmission(func(a *admission) {
		platform := a.provider.Platform
		if a.provider.Shared != source.Yes || platform != subject.GitHub && platform != subject.GitLab {
			return
		}
		a.scopes(func(alt alternative, s subject.Subject) {
			if s.Owner().Scope != subject.Closed {
				return // strangers get in already, or it is not known
			}
			if !s.HasOwner() {
				return
			}
			switch a.holds(source.Truth(s.ByID()).Not(), a.closed(a.fixesID)) {
			case source.Yes:
				p.report(a.name(), alt.text, a.fixWithIDs(p, alt, s), "%q goes by names, which can be given up and registered by somebody else", alt.text)
			case source.Unknown:
				p.unknown(a.name(), alt.text, "whether %q goes by names only %s", alt.text, a.depends(alt.pattern))
			}
		})
		a.renameableElsewhere(p)
	})
}

// fixWithIDs says how a subject gets ids.
func (a *admission) fixWithIDs(p *pass, alt alternative, s subject.Subject) string {
	if s.Platform == subject.GitLab {
		return fmt.Sprintf("Add StringEquals %s with the project's id.", a.key("project_id"))
	}
	condition := fmt.Sprintf("add StringEquals %s with the owner's id", a.key("repository_owner_id"))
	text := alt.text.String()
	owner, name, named := subject.Names(text)
	if !named {
		return strings.ToUpper(condition[:1]) + condition[1:] + "."
	}
	if known, ok := p.opts.Repositories[owner+"/"+name]; ok {
		if value, ok := subject.WithIDs(text, known.OwnerID, known.ID); ok {
			return fmt.Sprintf("Write %q once the repository's tokens have ids, or %s, %q.", value, condition, known.OwnerID)
		}
	}
	return fmt.Sprintf("Write \"repo:%s@OWNER_ID/%s@REPO_ID:...\" once the repository's tokens have ids, or %s.", owner, name, condition)
}

func idWildcard(p *pass) {
	p.eachAdmission(func(a *admission) {
		a.subjects(func(alt alternative, s subject.Subject) {
			if s.Platform != subject.GitHub || s.Owner().Scope != subject.Closed {
				return
			}
			path := s.Path
			ownerOpen := a.holds(wildID(path.HasOwnerID, path.OwnerID), a.closed(a.fixesID))
			repoOpen := a.holds(wildID(path.HasRepoID, path.RepoID), a.closed(a.fixesRepositoryID))
			whose := "owner"
			switch {
			case ownerOpen == source.Yes && repoOpen == source.Yes:
				whose = "owner and the repository"
			case repoOpen == source.Yes:
				whose = "repository"
			}
			switch ownerOpen.Or(repoOpen) {
			case source.Yes:
				p.report(a.name(), alt.text, a.fixIDs(p, alt), "%q has a wildcard for the id of the %s: whoever registers the name later gets in", alt.text, whose)
			case source.Unknown:
				p.unknown(a.name(), alt.text, "whether %q has a wildcard for an id %s", alt.text, a.depends(alt.pattern))
			}
		})
	})
}

func wildID(has bool, id subject.Pattern) source.Truth {
	if !has {
		return source.No
	}
	return source.Truth(id.Wild())
}

// fixIDs is the value with its ids written out, where they are known.
func (a *admission) fixIDs(p *pass, alt alternative) string {
	text := alt.text.String()
	owner, name, named := subject.Names(text)
	known, ok := p.opts.Repositories[owner+"/"+name]
	if !named || !ok {
		return "Write the ids out; the platform's API gives them."
	}
	plain, _ := subject.WithoutIDs(text)
	value, ok := subject.WithIDs(plain, known.OwnerID, known.ID)
	if !ok {
		return "Write the ids out; the platform's API gives them."
	}
	return fmt.Sprintf("Write %q.", value)
}

func hyphenIDs(p *pass) {
	p.eachAdmission(func(a *admission) {
		a.subjects(func(alt alternative, s subject.Subject) {
			if s.Platform != subject.GitHub {
				return
			}
			text, known := alt.text.Known()
			if !known || a.certain != source.Yes {
				return
			}
			want, hyphens := subject.HyphenIDs(text)
			if !hyphens {
				return
			}
			owner, name, _ := subject.Names(text)
			if _, is := p.opts.Repositories[owner+"/"+name]; is {
				return // its name simply ends so
			}
			p.report(a.name(), alt.text, fmt.Sprintf("Write %q. If the repository is really called that, name it in the file of repositories.", want),
				"%q has numbers after hyphens where GitHub writes ids after @", text)
		})
	})
}

func subjectFormat(p *pass) {
	if len(p.opts.Repositories) == 0 {
		return
	}
	p.eachAdmission(func(a *admission) {
		if a.certain == source.No {
			return
		}
		for _, c := range a.clauses {
			if c.deny || c.claim != "sub" {
				continue
			}
			for _, alt := range c.alternatives {
				a.formatOf(p, c, alt)
			}
		}
	})
}

// formatOf reports a value in the form that the repository's tokens do not
// have, unless another value is there for the form that they have: that is how
// a policy looks during a migration.
func (a *admission) formatOf(p *pass, c clause, alt alternative) {
	s := a.parse(alt.pattern)
	text, known := alt.text.Known()
	owner, name, named := subject.Names(text)
	repository, listed := p.opts.Repositories[owner+"/"+name]
	if !known || !named || !listed || s.Platform != subject.GitHub || repository.IDsInSubject == source.Unknown {
		return
	}
	wantIDs := repository.IDsInSubject == source.Yes
	plain := text
	if s.IDs() {
		plain, _ = subject.WithoutIDs(text)
	}
	want := plain
	if wantIDs {
		var ok bool
		if want, ok = subject.WithIDs(plain, repository.OwnerID, repository.ID); !ok {
			return
		}
	}
	for _, other := range c.alternatives {
		if o, ok := subject.SplitRepo(other.text.String()); ok && o.Owner == owner && o.Name == name && hasForm(o, repository) {
			return // this value, or another for the same repository, has the form
		}
	}
	form := "names"
	if wantIDs {
		form = "ids"
		if s.IDs() {
			form = fmt.Sprintf("the ids %s and %s", repository.OwnerID, repository.ID)
		}
	}
	p.report(a.name(), alt.text, fmt.Sprintf("Write %q.", want), "the tokens of %s/%s have subjects with %s, so %q never matches", owner, name, form, text)
}

// hasForm reports whether a subject has the form, and the ids, of the
// repository's tokens.
func hasForm(r subject.Repo, repository Repository) bool {
	if repository.IDsInSubject == source.No {
		return !r.HasOwnerID && !r.HasRepoID
	}
	return r.HasOwnerID && r.HasRepoID &&
		subject.Like(r.OwnerID).Matches(repository.OwnerID) == subject.Yes && subject.Like(r.RepoID).Matches(repository.ID) == subject.Yes
}
