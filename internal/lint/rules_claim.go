package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// claimRules are the rules on claims that say less than they seem to.
func claimRules() []Rule {
	return []Rule{
		{
			ID: "user-controlled-subject", Severity: Error, Title: "a subject that anybody can have",
			Why:   "Every owner may choose which claims make up the subjects of its tokens, and none of those in this one names the owner, so strangers can have the same subject.",
			Fix:   "Put repo, repository_owner_id or repository_id into the subject, or test one of them beside it.",
			check: userControlledSubject,
		},
		{
			ID: "job-workflow-ref-open", Severity: Error, Title: "anybody may call the workflow",
			Why:   "job_workflow_ref names the reusable workflow and not the repository that calls it, and a public one can be called from everywhere.",
			Fix:   "Test the calling owner or repository too.",
			check: jobWorkflowRefOpen,
		},
		{
			ID: "job-workflow-ref-moves", Severity: Warning, Title: "the workflow's reference moves",
			Why:   "A branch or a tag can be moved to another commit, and * is any branch, so what runs with the role is up to whoever may push there.",
			Fix:   "Name the workflow by commit, and call it by that commit.",
			check: jobWorkflowRefMoves,
		},
		{
			ID: "user-controlled-claims", Severity: Error, Title: "only claims that callers choose",
			Why:   "Whoever writes a workflow chooses these claims, so that strangers can have the same.",
			Fix:   "Test the subject, or the owner's or repository's id.",
			check: userControlledClaims,
		},
		{
			ID: "unknown-key", Severity: Error, Title: "a key that AWS does not have",
			Why:   "AWS makes condition keys of some claims only, and a condition finds every other key absent.",
			Fix:   "Test a claim that AWS exposes for this issuer.",
			check: unknownKey,
		},
	}
}

func userControlledSubject(p *pass) {
	p.eachAdmission(func(a *admission) {
		a.subjects(func(alt alternative, s subject.Subject) {
			if s.Platform != subject.GitHub || s.HasOwner() || a.provider.Shared == source.No {
				return
			}
			if _, workflow := s.Workflow(); workflow {
				return // job-workflow-ref-open says it
			}
			bad := source.Yes
			switch {
			case firstIs(s):
			case s.Owner().Scope == subject.Absent && len(s.Pattern.Unknowns()) > 0:
				bad = source.Unknown
			default:
				return
			}
			switch a.holds(bad.And(a.provider.Shared), a.closed(a.fixesOwner)) {
			case source.Yes:
				fix := fmt.Sprintf("Add StringEquals %s with the repository's id, or let the subject begin with the repository.", a.key("repository_id"))
				what := s.UserControlled()
				if what == "" {
					what = s.Pairs[0].Key
				}
				p.report(a.name(), alt.text, fix, "%q begins with %s and names no owner: anybody can have such a subject", alt.text, what)
			case source.Unknown:
				p.unknown(a.name(), alt.text, "whether %q is a subject that anybody can have %s", alt.text, a.depends(alt.pattern))
			}
		})
	})
}

// firstIs reports whether the subject begins with a key that is known, so that
// the platform can sign it.
func firstIs(s subject.Subject) bool {
	return len(s.Pairs) > 0 && strings.HasPrefix(s.Pattern.Prefix(), s.Pairs[0].Key)
}

// workflows calls f for every job_workflow_ref that the statement asks for, as
// a claim or within a customised subject.
func (a *admission) workflows(f func(value source.Text, w subject.Pattern)) {
	for _, c := range a.clauses {
		if c.deny || c.claim != "job_workflow_ref" {
			continue
		}
		for _, alt := range c.alternatives {
			f(alt.text, alt.pattern)
		}
	}
	a.subjects(func(alt alternative, s subject.Subject) {
		if w, ok := s.Workflow(); ok && s.Platform == subject.GitHub {
			f(alt.text, w)
		}
	})
}

func jobWorkflowRefOpen(p *pass) {
	p.eachAdmission(func(a *admission) {
		if a.provider.Shared == source.No || a.provider.Known && a.provider.Platform != subject.GitHub {
			return
		}
		a.workflows(func(value source.Text, w subject.Pattern) {
			switch a.holds(a.provider.Shared, a.closed(a.fixesOwner)) {
			case source.Yes:
				fix := fmt.Sprintf("Add StringEquals %s with the id of the owner whose repositories may call the workflow.", a.key("repository_owner_id"))
				p.report(a.name(), value, fix, "job_workflow_ref %q is tested and the calling owner is not: every repository that calls the workflow gets in", w)
			case source.Unknown:
				p.unknown(a.name(), value, "whether the owner is tested beside job_workflow_ref %q %s", w, a.depends(w))
			}
		})
	})
}

func jobWorkflowRefMoves(p *pass) {
	p.eachAdmission(func(a *admission) {
		a.workflows(func(value source.Text, pattern subject.Pattern) {
			w := subject.ParseWorkflow(pattern)
			what := "a reference that can move"
			switch {
			case w.Ref.Wild() == subject.Yes || !w.HasRef:
				what = "any reference that the wildcard matches"
			case strings.HasPrefix(w.Ref.Prefix(), "refs/heads/"):
				what = "a branch"
			case strings.HasPrefix(w.Ref.Prefix(), "refs/tags/"):
				what = "a tag, which can be moved"
			}
			fix := "Write the commit after the @, and call the workflow by that commit."
			if path, known := w.Path.Text(); known {
				fix = fmt.Sprintf("Write \"%s@COMMIT\", and call the workflow by that commit.", path)
			}
			switch a.certain.And(source.Truth(w.Moves())) {
			case source.Yes:
				p.report(a.name(), value, fix, "the workflow in %q is taken from %s", value, what)
			case source.Unknown:
				p.unknown(a.name(), value, "whether the workflow in %q can move %s", value, a.depends(pattern))
			}
		})
	})
}

// chosen are the claims, of those that AWS makes keys of, that whoever writes
// the workflow chooses, in a repository of their own.
var chosen = map[subject.Platform][]string{
	subject.GitHub:    {"actor", "actor_id", "environment", "ref", "workflow"},
	subject.GitLab:    {"pipeline_source", "ref_protected", "runner_environment", "user_access_level", "user_email", "user_id", "user_login"},
	subject.Buildkite: {"build_branch", "cluster_name", "pipeline_slug"},
}

func userControlledClaims(p *pass) {
	p.eachAdmission(func(a *admission) {
		if a.mistaken || a.provider.Shared != source.Yes {
			return
		}
		var first *alternative
		var names []string
		for i := range a.clauses {
			c := &a.clauses[i]
			switch {
			case c.deny || c.claim == "aud" || c.claim == "amr":
			case c.claim == "sub" && anything(*c):
			case slices.Contains(chosen[a.provider.Platform], c.claim) && len(c.alternatives) > 0:
				if first == nil {
					first = &c.alternatives[0]
				}
				if !slices.Contains(names, c.claim) {
					names = append(names, c.claim)
				}
			default:
				return // something else is tested too; other rules look at it
			}
		}
		if first == nil {
			return
		}
		what := strings.Join(names, ", ")
		switch a.holds(source.Yes, a.closed(a.fixesOwner)) {
		case source.Yes:
			fix := fmt.Sprintf("Add StringEquals %s with the job's subject, such as %q.", a.key("sub"), a.example())
			p.report(a.name(), first.text, fix, "of the token only %s is tested, which whoever writes a workflow on the platform can choose", what)
		case source.Unknown:
			p.unknown(a.name(), first.text, "whether more than %s is tested depends on conditions or statements that are not known", what)
		}
	})
}

// anything reports whether a clause takes every value.
func anything(c clause) bool {
	return slices.ContainsFunc(c.alternatives, func(a alternative) bool { return a.pattern.String() == "*" && a.pattern.Wild() == subject.Yes })
}

// instead are claims that AWS exposes where one that is often tried is not.
var instead = map[string]string{
	"repository_owner": "repository_owner_id", "workflow_ref": "job_workflow_ref", "enterprise": "enterprise_id",
	"ref_type": "ref", "base_ref": "ref", "head_ref": "ref", "event_name": "environment", "runner_environment": "job_workflow_ref",
	"ref_protected": "environment", "project_path": "project_id", "namespace_path": "namespace_id", "organization": "organization_slug", "pipeline": "pipeline_slug",
}

func unknownKey(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		eachWebIdentity(trust, func(s *statement) {
			list, _ := p.providers(s)
			for i := range s.Conditions {
				c := &s.Conditions[i]
				for _, v := range list {
					claim, is := v.claimOf(c)
					if is != source.Yes || !v.Known || v.exposes(claim) {
						continue
					}
					what := "so the condition never matches"
					if c.IfExists || c.Qualifier == "ForAllValues" || c.Test != "" && !positive(c.Test) {
						what = "so the condition tests nothing"
					}
					exposed, _ := iam.IssuerClaims(v.Host)
					fix := fmt.Sprintf("Test one of %s instead.", strings.Join(exposed, ", "))
					if other := instead[claim]; slices.Contains(exposed, other) {
						fix = fmt.Sprintf("Test %s:%s instead, if that says what is meant; AWS exposes %s.", v.Host, other, strings.Join(exposed, ", "))
					}
					p.report(r.Address, c.Key, fix, "AWS has no condition key %s for tokens of %s, %s", c.Key, v.Host, what)
				}
			}
		})
	})
}
