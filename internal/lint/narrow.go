package lint

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// Each of these answers whether a claim that matches a pattern fixes something.
// They are what admission.closed asks of the clauses.

func scopeTruth(s subject.Scope) source.Truth {
	switch s {
	case subject.Closed:
		return source.Yes
	case subject.Depends:
		return source.Unknown
	}
	return source.No
}

// fixesOwner answers whether only jobs of one owner have such a claim: a user,
// an organization or a group of a platform that everybody uses.
func (a *admission) fixesOwner(claim string, p subject.Pattern) source.Truth {
	if claim != "sub" {
		s, ok := subject.ParseClaim(claim, p, a.provider.Platform)
		if !ok {
			return source.No
		}
		return scopeTruth(s.Owner().Scope)
	}
	s := a.parse(p)
	if s.Platform == subject.Other {
		return otherFixesOwner(p)
	}
	owner := s.Owner()
	switch {
	case owner.Scope != subject.Absent:
		return scopeTruth(owner.Scope)
	case s.WholeChain():
		return source.No // the platform signs it for everybody who asks for such subjects
	case len(p.Unknowns()) > 0:
		return source.Unknown
	}
	return source.Yes // nobody has such a subject
}

// otherFixesOwner is fixesOwner for subjects of which nothing is known: only
// one that may begin with anything is open for certain.
func otherFixesOwner(p subject.Pattern) source.Truth {
	if len(p) == 0 {
		return source.Yes
	}
	switch p[0].Kind {
	case subject.Any, subject.One:
		return source.No
	case subject.Hole:
		return source.Unknown
	}
	return source.Yes
}

// fixesRepository answers whether only jobs of one repository have such a
// claim, or of one reusable workflow.
func (a *admission) fixesRepository(claim string, p subject.Pattern) source.Truth {
	if claim == "job_workflow_ref" {
		return scopeTruth(subject.ParseWorkflow(p).Repository())
	}
	if claim != "sub" {
		s, ok := subject.ParseClaim(claim, p, a.provider.Platform)
		if !ok {
			return source.No
		}
		return scopeTruth(s.Repository().Scope)
	}
	s := a.parse(p)
	if w, ok := s.Workflow(); ok && subject.ParseWorkflow(w).Repository() == subject.Closed {
		return source.Yes
	}
	repository, owner := s.Repository().Scope, s.Owner().Scope
	if owner == subject.Absent && repository == subject.Absent && s.Platform == subject.Other {
		return source.Truth(p.Wild()).Not()
	}
	return scopeTruth(repository).And(scopeTruth(owner))
}

// fixesRef answers whether only jobs on one branch, on chosen branches or in
// one environment have such a claim.
func (a *admission) fixesRef(claim string, p subject.Pattern) source.Truth {
	switch claim {
	case "ref", "environment", "build_branch":
		return source.Truth(p.Wild()).Not()
	case "ref_protected":
		return source.Truth(p.Matches("true")).And(source.Truth(p.Wild()).Not())
	case "job_workflow_ref":
		return workflowFixed(p)
	case "sub":
		s := a.parse(p)
		if w, ok := s.Workflow(); ok && workflowFixed(w) == source.Yes {
			return source.Yes
		}
		if s.Platform == subject.Other {
			return source.Truth(p.Wild()).Not()
		}
		ref := s.Ref().Scope
		if ref == subject.Absent {
			// No repository, but perhaps what of it.
			for _, pair := range s.Pairs {
				if (pair.Key == "environment" || pair.Key == "ref") && pair.Value.Wild() == subject.No {
					return source.Yes
				}
			}
		}
		return scopeTruth(ref)
	}
	return source.No
}

// workflowFixed answers whether a job_workflow_ref names one workflow at one
// reference.
func workflowFixed(p subject.Pattern) source.Truth {
	w := subject.ParseWorkflow(p)
	if !w.HasRef {
		return source.No
	}
	return scopeTruth(w.Repository()).And(source.Truth(w.Ref.Wild()).Not())
}

// fixesID answers whether such a claim fixes the owner or the repository by an
// id.
func (a *admission) fixesID(claim string, p subject.Pattern) source.Truth {
	if claim == "sub" {
		return source.Truth(a.parse(p).ByID())
	}
	s, ok := subject.ParseClaim(claim, p, a.provider.Platform)
	if !ok {
		return source.No
	}
	return source.Truth(s.ByID())
}

// fixesRepositoryID is fixesID for the repository alone.
func (a *admission) fixesRepositoryID(claim string, p subject.Pattern) source.Truth {
	if claim == "sub" {
		return source.Truth(a.parse(p).RepositoryByID())
	}
	s, ok := subject.ParseClaim(claim, p, a.provider.Platform)
	if !ok {
		return source.No
	}
	return source.Truth(s.RepositoryByID())
}

// unknownsOf names what is not known in a pattern, for a message.
func unknownsOf(p subject.Pattern) string {
	return strings.Join(p.Unknowns(), ", ")
}
