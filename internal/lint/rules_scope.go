package lint

import (
	"fmt"
	"strings"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// scopeRules are the rules on how many jobs a trust policy lets in.
func scopeRules() []Rule {
	return []Rule{
		{
			ID: "sub-missing", Severity: Error, Title: "no test of the subject",
			Why:   "The issuer signs tokens for everybody, so any job of any stranger on the platform may assume the role.",
			Fix:   "Add a StringEquals condition on the issuer's sub key with the subject of the job.",
			check: subMissing,
		},
		{
			ID: "owner-wildcard", Severity: Error, Title: "the owner is a wildcard",
			Why:   "The issuer signs tokens for everybody, and a wildcard stands where the subject names the owner, so any stranger's job may assume the role.",
			Fix:   "Write the owner out.",
			check: func(p *pass) { ownerOpen(p, subject.All) },
		},
		{
			ID: "owner-open", Severity: Error, Title: "the owner's name is not closed",
			Why:   "Anybody can register an owner whose name begins with the same letters.",
			Fix:   "Close the owner's name with a slash, or with @ and its id.",
			check: func(p *pass) { ownerOpen(p, subject.Prefix) },
		},
		{
			ID: "all-repositories", Severity: Warning, Title: "every repository of the owner",
			Why:   "Whoever may write to any repository of the owner, or create one, may assume the role.",
			Fix:   "Name the repositories that need the role.",
			check: allRepositories,
		},
		{
			ID: "open-prefix", Severity: Warning, Title: "a name with an open end",
			Why:   "IAM's * matches every name that begins like this one, and crosses / and : too.",
			Fix:   "Write the name out, or close it.",
			check: openPrefix,
		},
		{
			ID: "any-ref", Severity: Warning, Title: "any branch, pull request or environment",
			Why:   "Whoever may push a branch to the repository may assume the role, without a review.",
			Fix:   "Name the branch or the environment.",
			check: anyRef,
		},
		{
			ID: "pull-request-can-write", Severity: Error, Title: "pull requests may write",
			Why:   "A pull request runs code that nobody has reviewed yet, with permissions that change things.",
			Fix:   "Give pull requests a role of their own that can only read.",
			check: pullRequestCanWrite,
		},
		{
			ID: "privileged-workflow", Severity: Error, Title: "a workflow that outsiders start",
			Why:   "A workflow on such an event runs for strangers with the default branch's subject, so that their input decides what is done with the role.",
			Fix:   "Take id-token: write from the workflow, or trust an environment that needs an approval.",
			check: privilegedWorkflow,
		},
		{
			ID: "like-without-wildcard", Severity: Note, Title: "StringLike without a wildcard",
			Why:   "StringEquals says the same, and keeps saying it when somebody adds a value with a * later.",
			Fix:   "Use StringEquals.",
			check: likeWithoutWildcard,
		},
	}
}

// name is what a finding calls the role.
func (a *admission) name() string { return a.role.Address }

// issuer is what a message calls the provider.
func (a *admission) issuer() string {
	if a.provider.Known {
		return a.provider.Host
	}
	return a.provider.Text.String()
}

// key is the condition key of a claim.
func (a *admission) key(claim string) string {
	if a.provider.Known {
		return a.provider.Host + ":" + claim
	}
	return "ISSUER:" + claim
}

// example is a subject of the platform that a fix shows.
func (a *admission) example() string {
	switch a.provider.Platform {
	case subject.GitLab:
		return "project_path:GROUP/PROJECT:ref_type:branch:ref:main"
	case subject.Buildkite:
		return "organization:ORGANIZATION:pipeline:PIPELINE:ref:refs/heads/main:commit:*:step:*"
	case subject.Terraform:
		return "organization:ORGANIZATION:project:PROJECT:workspace:WORKSPACE:run_phase:apply"
	case subject.GitHub:
		return "repo:OWNER/REPO:ref:refs/heads/main"
	}
	return "the subject of the job"
}

func subMissing(p *pass) {
	unread(p)
	p.eachAdmission(func(a *admission) {
		if a.tests("sub") || a.mistaken || a.provider.Shared == source.No {
			return
		}
		fix := fmt.Sprintf("Add StringEquals %s with the job's subject, such as %q.", a.key("sub"), a.example())
		switch a.holds(a.provider.Shared, a.closed(a.fixesOwner)) {
		case source.Yes:
			p.report(a.name(), a.provider.Text, fix, "nothing tests the subject of tokens from %s, which signs for everybody: any job on the platform gets in", a.issuer())
		case source.Unknown:
			p.unknown(a.name(), a.provider.Text, "nothing that is known tests the subject of tokens from %s", a.issuer())
		}
	})
}

// ownerOpen reports subjects whose owner is a wildcard (All) or has an open end
// (Prefix). What is not known is said once: by the rule that fits where the
// unknown text begins.
func ownerOpen(p *pass, want subject.Scope) {
	p.eachAdmission(func(a *admission) {
		if a.provider.Shared == source.No {
			return
		}
		a.subjects(func(alt alternative, s subject.Subject) {
			bad, owner := a.ownerIs(s, want)
			if bad == source.No {
				return
			}
			switch a.holds(bad.And(a.provider.Shared), a.closed(a.fixesOwner)) {
			case source.Yes:
				message, fix := "%q leaves the owner to a wildcard: any owner on %s gets in", "Write the owner out: "+fixOwner(s, owner)
				if want == subject.Prefix {
					message = "%q does not close the owner's name: on %s, " + example(owner.Pattern.Prefix()) + " gets in too"
				}
				p.report(a.name(), alt.text, fix, message, alt.text, a.issuer())
			case source.Unknown:
				p.unknown(a.name(), alt.text, "whether %q names one owner %s", alt.text, a.depends(alt.pattern))
			}
		})
	})
}

// ownerIs answers whether the owner of a subject has this scope.
func (a *admission) ownerIs(s subject.Subject, want subject.Scope) (source.Truth, subject.Part) {
	owner := s.Owner()
	if s.Platform == subject.Other {
		if open := otherFixesOwner(s.Pattern).Not(); want == subject.All {
			return open, owner
		}
		return source.No, owner
	}
	if !s.HasOwner() && firstIs(s) && owner.Scope != subject.Depends {
		return source.No, owner // another rule's: anybody can have such a subject
	}
	switch {
	case owner.Scope == want:
		return source.Yes, owner
	case owner.Scope == subject.Depends && (owner.Pattern.Prefix() == "") == (want == subject.All):
		return source.Unknown, owner
	}
	return source.No, owner
}

// depends says what an answer depends on.
func (a *admission) depends(p subject.Pattern) string {
	switch {
	case len(p.Unknowns()) > 0:
		return "depends on " + unknownsOf(p)
	case !a.provider.Known:
		return "depends on the issuer, " + a.provider.Text.String()
	}
	return "depends on conditions or statements that are not known"
}

// fixOwner is what a subject could be with its owner closed.
func fixOwner(s subject.Subject, owner subject.Part) string {
	prefix := owner.Pattern.Prefix()
	switch {
	case prefix == "" && s.Platform == subject.GitLab:
		return "project_path:GROUP/PROJECT:..."
	case prefix == "" && s.Platform == subject.GitHub:
		return "repo:OWNER/REPO:..."
	case prefix != "" && s.Platform == subject.GitHub:
		return fmt.Sprintf("repo:%s/REPO:...", prefix)
	case prefix != "":
		return prefix + " with what closes it"
	}
	return "the owner's name and what closes it"
}

// example is a name that an open prefix lets in.
func example(prefix string) string {
	return fmt.Sprintf("%q", strings.TrimRight(prefix, "-_.")+"-evil")
}

// brokered reports a subject that stands in a stint token: the broker's rules
// decide who has it, so a wide pattern is no hole of the policy.
func brokered(s subject.Subject) bool { return s.Issuer != "" }

func allRepositories(p *pass) {
	p.eachAdmission(func(a *admission) {
		a.scopes(func(alt alternative, s subject.Subject) {
			bad := a.everyRepository(s)
			if bad == source.No || brokered(s) {
				return
			}
			owner, _ := s.Owner().Pattern.Text()
			of := fmt.Sprintf("the owner %q", owner)
			if a.provider.Shared == source.No && owner == "" {
				of = a.issuer()
			}
			switch a.holds(bad, a.closed(a.fixesRepository)) {
			case source.Yes:
				p.report(a.name(), alt.text, fixRepository(a, s, owner), "%q lets in every repository of %s", alt.text, of)
			case source.Unknown:
				p.unknown(a.name(), alt.text, "whether %q lets in every repository %s", alt.text, a.depends(alt.pattern))
			}
		})
		a.allRepositoriesElsewhere(p)
	})
}

// everyRepository answers whether a subject names an owner and leaves the
// repository to a wildcard. Where the owner is open too, that is what another
// rule says, unless all owners of the issuer belong to one customer.
func (a *admission) everyRepository(s subject.Subject) source.Truth {
	owner, repository := s.Owner(), s.Repository()
	if s.Platform == subject.Other {
		return source.No
	}
	if owner.Scope != subject.Closed {
		if a.provider.Shared != source.No || owner.Scope != subject.All {
			return source.No
		}
		return source.Truthful(repository.Scope == subject.All || repository.Scope == subject.Absent)
	}
	switch {
	case repository.Scope == subject.All:
		return source.Yes
	case repository.Scope == subject.Absent && s.Platform != subject.GitHub:
		return source.Truth(s.Pattern.Wild()) // the chain ends in a wildcard after the owner
	case repository.Scope == subject.Depends && repository.Pattern.Prefix() == "":
		return source.Unknown
	}
	return source.No
}

func fixRepository(a *admission, s subject.Subject, owner string) string {
	if s.Platform != subject.GitHub || owner == "" {
		return "Name the repositories that need the role."
	}
	return fmt.Sprintf("Name the repositories that need the role, such as \"repo:%s/REPO:ref:refs/heads/main\", or add StringEquals %s with their ids.", owner, a.key("repository_id"))
}

func openPrefix(p *pass) {
	p.eachAdmission(func(a *admission) {
		a.subjects(func(alt alternative, s subject.Subject) {
			if brokered(s) || s.Platform == subject.Other || s.Owner().Scope != subject.Closed {
				return
			}
			part, what, closed := s.Repository(), "repository", a.fixesRepository
			if part.Scope == subject.Closed {
				part, what, closed = s.Ref(), "branch, tag or environment", a.fixesRef
			}
			bad := source.No
			switch {
			case part.Scope == subject.Prefix:
				bad = source.Yes
			case part.Scope == subject.Depends && part.Pattern.Prefix() != "" && what == "repository":
				bad = source.Unknown
			}
			if bad == source.No {
				return
			}
			switch a.holds(bad, a.closed(closed)) {
			case source.Yes:
				p.report(a.name(), alt.text, fixPrefix(part.Pattern), "%q leaves the name of the %s open at %q", alt.text, what, part.Pattern)
			case source.Unknown:
				p.unknown(a.name(), alt.text, "whether %q leaves the name of the %s open %s", alt.text, what, a.depends(alt.pattern))
			}
		})
	})
}

func fixPrefix(p subject.Pattern) string {
	prefix := p.Prefix()
	if prefix == "" || strings.HasSuffix(prefix, "/") {
		return "Write the names out, one value each."
	}
	return fmt.Sprintf("Write %q without the wildcard, or one value for each name that begins so.", prefix)
}

func anyRef(p *pass) {
	p.eachAdmission(func(a *admission) {
		a.scopes(func(alt alternative, s subject.Subject) {
			if brokered(s) || !namesRepository(s) {
				return
			}
			ref, bad := s.Ref(), source.No
			switch ref.Scope {
			case subject.All:
				bad = source.Yes
			case subject.Depends:
				bad = source.Unknown
			default:
				return
			}
			switch a.holds(bad, a.closed(a.fixesRef)) {
			case source.Yes:
				p.report(a.name(), alt.text, fixRef(s), "%q lets in %s of the repository", alt.text, anyWhat(s))
			case source.Unknown:
				p.unknown(a.name(), alt.text, "whether %q lets in any branch %s", alt.text, a.depends(alt.pattern))
			}
		})
		a.anyRefElsewhere(p)
	})
}

// namesRepository reports whether owner and repository are no wildcards. Where
// they are not known, the pattern's end speaks for itself.
func namesRepository(s subject.Subject) bool {
	named := func(p subject.Part) bool { return p.Scope == subject.Closed || p.Scope == subject.Depends }
	return named(s.Owner()) && named(s.Repository())
}

// anyWhat names what a subject lets in of a repository.
func anyWhat(s subject.Subject) string {
	if s.Platform != subject.GitHub {
		return "any branch"
	}
	sees := func(rest string) bool { return s.Covers(rest) == subject.Yes }
	branch, environment := sees("ref:refs/heads/any-branch"), sees("environment:any-environment")
	switch {
	case branch && environment && sees("pull_request"):
		return "any branch, pull request and environment"
	case branch && environment:
		return "any branch and environment"
	case branch:
		return "any branch"
	}
	return "any environment, and whoever may push can name a new one,"
}

func fixRef(s subject.Subject) string {
	if s.Platform != subject.GitHub {
		return "Name the branch instead of the wildcard."
	}
	before := strings.TrimSuffix(s.Pattern.String(), s.Rest.String())
	if !s.HasRest || before == "" {
		return "Name the branch or the environment, such as ref:refs/heads/main or environment:prod."
	}
	return fmt.Sprintf("Write %q or %q.", before+"ref:refs/heads/main", before+"environment:prod")
}

func likeWithoutWildcard(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		eachWebIdentity(trust, func(s *statement) {
			if list, _ := p.providers(s); len(list) == 0 && s.NotPrincipal == nil {
				return // it is for other callers
			}
			for i := range s.Conditions {
				c := &s.Conditions[i]
				if c.Test != "StringLike" && c.Test != "StringNotLike" || c.Values.Open || len(c.Values.List) == 0 {
					continue
				}
				plain := true
				for _, v := range c.Values.List {
					// What is not known may hold a wildcard, and its author meant it to.
					text, known := v.Known()
					plain = plain && known && !strings.ContainsAny(text, "*?") && !strings.Contains(text, "${")
				}
				if plain {
					equals := strings.Replace(c.Operator.String(), "Like", "Equals", 1)
					p.report(r.Address, c.Key, "Move the condition to "+equals+".", "%s on %s has no value with a wildcard", c.Operator, c.Key)
				}
			}
		})
	})
}
