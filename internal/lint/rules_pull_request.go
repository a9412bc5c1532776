package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

func pullRequestCanWrite(p *pass) {
	p.eachAdmission(func(a *admission) {
		a.scopes(func(alt alternative, s subject.Subject) {
			// What lets in any branch too is any-ref's.
			if s.Platform != subject.GitHub || s.Ref().Scope == subject.All {
				return
			}
			bad := source.Truth(s.Covers("pull_request"))
			if bad == source.No || bad == source.Unknown && !strings.HasPrefix("pull_request", s.Rest.Prefix()) {
				return
			}
			bad = bad.And(canWrite(a.role))
			switch a.holds(bad, a.closed(a.workflowOnly)) {
			case source.Yes:
				p.report(a.name(), alt.text, "", "%q lets in every pull request of the repository, and the role's policies let it write", alt.text)
			case source.Unknown:
				p.unknown(a.name(), alt.text, "%q lets in pull requests; whether the role can write depends on policies that are not known", alt.text)
			}
		})
	})
}

// workflowOnly answers whether a claim narrows jobs down to one reviewed
// workflow.
func (a *admission) workflowOnly(claim string, p subject.Pattern) source.Truth {
	if claim == "sub" {
		w, ok := a.parse(p).Workflow()
		if !ok {
			return source.No
		}
		return workflowFixed(w)
	}
	if claim == "job_workflow_ref" {
		return workflowFixed(p)
	}
	return source.No
}

// outsiders are the events that people without any right to a repository can
// cause, and whose workflows run with the default branch's subject and rights.
var outsiders = []string{"discussion", "discussion_comment", "issue_comment", "issues", "pull_request_target", "workflow_run"}

// privileged is a job of such a workflow that may ask for a token.
type privileged struct {
	workflow *inventory.Workflow
	job      *inventory.Job
	event    string
	certain  source.Truth
}

// where is what a message calls the job.
func (j privileged) where() string {
	at := j.job.Position
	return fmt.Sprintf("job %s of %s:%d", j.job.ID, at.File, at.Line)
}

func (p *pass) privilegedJobs() []privileged {
	var out []privileged
	for i := range p.inv.Workflows {
		w := &p.inv.Workflows[i]
		at := slices.IndexFunc(w.Triggers, func(t inventory.Trigger) bool { return slices.Contains(outsiders, t.Event) })
		if at < 0 {
			continue
		}
		for k := range w.Jobs {
			if job := &w.Jobs[k]; job.IDToken != source.No {
				out = append(out, privileged{w, job, w.Triggers[at].Event, job.IDToken})
			}
		}
	}
	return out
}

// privilegedWorkflow joins trust policies with the workflow files beside them.
func privilegedWorkflow(p *pass) {
	jobs := p.privilegedJobs()
	if len(jobs) == 0 {
		return
	}
	one := p.oneRepository()
	p.eachAdmission(func(a *admission) {
		a.scopes(func(alt alternative, s subject.Subject) {
			if s.Platform != subject.GitHub || brokered(s) {
				return
			}
			worst, which := source.No, privileged{}
			var further []string // jobs of which the same is certain
			for _, j := range jobs {
				bad := trusts(s, j.job).And(j.certain).And(a.sameRepository(j, one))
				bad = a.holds(bad, a.closed(a.excludes(j)))
				switch {
				case bad == source.Yes && worst == source.Yes:
					further = append(further, j.where())
				case bad == source.Yes, bad == source.Unknown && worst == source.No:
					worst, which = bad, j
				}
			}
			switch worst {
			case source.Yes:
				fix := fmt.Sprintf("Take id-token: write from %s, move it to a workflow that outsiders cannot start, or trust an environment that needs an approval.", which.where())
				p.report(a.name(), alt.text, fix, "%q trusts %s, which runs on %s with id-token: write%s", alt.text, which.where(), which.event, likewise(further))
			case source.Unknown:
				p.unknown(a.name(), alt.text, "%q may trust %s, which runs on %s: whether it is of the same repository, has id-token: write and runs on the branch named is not known", alt.text, which.where(), which.event)
			}
		})
	})
}

// likewise names further jobs of which a finding holds.
func likewise(jobs []string) string {
	const most = 5
	switch n := len(jobs); {
	case n == 0:
		return ""
	case n > most:
		return fmt.Sprintf("; further such jobs: %s and %d more", strings.Join(jobs[:most], ", "), n-most)
	}
	return "; further such jobs: " + strings.Join(jobs, ", ")
}

// trusts answers whether a subject lets a job in that runs on the default
// branch, or in its environment.
func trusts(s subject.Subject, job *inventory.Job) source.Truth {
	if environment, known := job.Environment.Known(); !known {
		return source.Truth(s.Covers("ref:refs/heads/main")).And(source.Unknown)
	} else if environment != "" {
		return source.Truth(s.Covers("environment:" + strings.ReplaceAll(environment, ":", "%3A")))
	}
	out := source.Truth(s.Covers("ref:refs/heads/main")).Or(source.Truth(s.Covers("ref:refs/heads/master")))
	if out != source.No {
		return out
	}
	// Another branch may be the default one.
	if branch, found := strings.CutPrefix(s.Rest.String(), "ref:refs/heads/"); found && branch != "" {
		return source.Unknown
	}
	return source.No
}

// excludes answers whether a claim keeps a privileged job out.
func (a *admission) excludes(j privileged) func(string, subject.Pattern) source.Truth {
	return func(claim string, p subject.Pattern) source.Truth {
		switch claim {
		case "environment":
			if environment, known := j.job.Environment.Known(); known {
				return source.Truth(p.Matches(environment)).Not()
			}
			return source.Unknown
		case "job_workflow_ref":
			w := subject.ParseWorkflow(p)
			text, known := w.Path.Text()
			switch {
			case !known:
				return source.No
			case j.job.Uses.String() != "":
				return source.Unknown // it may call the workflow that is named
			}
			return source.Truthful(path.Base(text) != path.Base(j.workflow.Position.File))
		}
		return source.No
	}
}

// oneRepository is the repository that all trust policies name, or empty where
// they name several.
func (p *pass) oneRepository() string {
	names := map[string]bool{}
	p.eachAdmission(func(a *admission) {
		a.subjects(func(_ alternative, s subject.Subject) {
			if s.Platform == subject.GitHub && s.Path.Present {
				names[strings.ToLower(s.Path.Owner.String()+"/"+s.Path.Repository.String())] = true
			}
		})
	})
	if len(names) != 1 {
		return ""
	}
	for name := range names {
		return name
	}
	return ""
}

// sameRepository answers whether a workflow file belongs to the repository that
// the role trusts. It does where it names the role, or where all policies that
// were read with it are for one repository.
func (a *admission) sameRepository(j privileged, one string) source.Truth {
	if one != "" {
		return source.Yes
	}
	for _, assumed := range j.job.RolesToAssume {
		text, known := assumed.Known()
		if !known || text == "" {
			continue
		}
		if arn, ok := a.role.ARN.Known(); ok && arn == text {
			return source.Yes
		}
		if name, ok := a.role.Name.Known(); ok && name != "" && strings.HasSuffix(text, "/"+name) {
			return source.Yes
		}
	}
	return source.Unknown
}
