package subject

import "strings"

// fresh is a name that no policy has: what it matches is anything.
const fresh = "zq-7f3a9c-fresh"

// anyOf are what follows the repository in the subjects of jobs that anybody
// who may write to it can start.
var anyOf = map[Platform][]string{
	GitHub:    {"ref:refs/heads/" + fresh, "environment:" + fresh},
	GitLab:    {"ref_type:branch:ref:" + fresh},
	Buildkite: {"ref:refs/heads/" + fresh + ":commit:" + fresh + ":step:" + fresh},
}

// Ref says how far the pattern narrows down what runs in the repository: the
// branch, the tag or the environment. All is any branch or any environment.
func (s Subject) Ref() Part {
	if len(anyOf[s.Platform]) == 0 || !s.hasRepo() {
		return Part{}
	}
	if !s.HasRest {
		// A wildcard at the end of the repository matches what follows it too.
		n := len(s.Pattern)
		switch {
		case n > 0 && s.Pattern[n-1].Kind == Any:
			return Part{All, Exact("")}
		case s.strayHole():
			return Part{Depends, s.Pattern}
		}
		return Part{Closed, nil}
	}
	out := Part{Closed, s.Rest}
	for _, sample := range anyOf[s.Platform] {
		switch s.Rest.Matches(sample) {
		case Yes:
			return Part{All, s.Rest}
		case Unknown:
			for _, q := range s.Rest {
				if q.Kind == Hole {
					out.Scope = Depends
				}
			}
		}
	}
	if out.Scope == Depends {
		return out
	}
	tags := false // GitLab says in another key that the reference is a tag
	for _, p := range s.rest {
		kind, _ := p.Value.Text()
		tags = tags || p.Key == "ref_type" && kind == "tag"
		if (p.role == roleRef || p.Key == "environment") && open(p.Value, tags) {
			return Part{Prefix, p.Value}
		}
	}
	return out
}

// open reports whether a wildcard lets names in that begin or end like another.
// What a slash closes is a folder of names; v and a number is how tags of
// versions begin.
func open(v Pattern, tag bool) bool {
	if v.Wild() != Yes {
		return false
	}
	name := v.Prefix()
	if prefix, ok := strings.CutPrefix(name, "refs/tags/"); ok {
		name, tag = prefix, true
	}
	if tag && strings.TrimLeft(strings.TrimPrefix(name, "v"), "0123456789.") == "" {
		return false
	}
	return !strings.HasSuffix(name, "/") || name == "refs/heads/"
}

// Covers answers whether the pattern matches the repository's subject with
// this end, such as pull_request or ref:refs/heads/main, whatever the
// repository is.
func (s Subject) Covers(rest string) Truth {
	if !s.HasRest {
		p := s.Ref()
		switch p.Scope {
		case All:
			return Yes
		case Depends:
			return Unknown
		}
		return No
	}
	return s.Rest.Matches(rest)
}

// Workflow is a value of job_workflow_ref, taken apart:
// OWNER/REPO/.github/workflows/FILE@REF.
type Workflow struct {
	Path   Pattern // before the @
	Ref    Pattern // after it
	HasRef bool
}

// ParseWorkflow takes a pattern for job_workflow_ref apart.
func ParseWorkflow(p Pattern) Workflow {
	path, ref, found := p.cut("@")
	return Workflow{Path: path, Ref: ref, HasRef: found}
}

// Repository says how far the workflow's repository is narrowed down.
func (w Workflow) Repository() Scope {
	owner, rest, slash := w.Path.cut("/")
	if o := scopeOf(owner); o != Closed || !slash {
		if o == Closed {
			return scopeOf(w.Path)
		}
		return o
	}
	repo, _, slash := rest.cut("/")
	if r := scopeOf(repo); r != Closed || slash {
		return r
	}
	return scopeOf(rest)
}

// Moves answers whether what the reference names can change: a wildcard, a
// branch or a tag, and not a commit.
func (w Workflow) Moves() Truth {
	if !w.HasRef {
		return w.Path.Wild()
	}
	if w.Path.Wild() == Yes && crosses(w.Path) && w.Ref.Wild() == Yes {
		return Yes
	}
	ref, known := w.Ref.Text()
	switch {
	case known:
		return truthful(!isCommit(ref))
	case w.Ref.Wild() == Yes:
		return Yes
	case strings.HasPrefix(w.Ref.Prefix(), "refs/"):
		return Yes
	}
	return Unknown
}

func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}
