package explain

import (
	"fmt"
	"net/url"
	"strings"
)

// anotherContext knows the same repository in another context: environment,
// branch or tag, pull request.
func (s *subjectMiss) anotherContext() finding {
	var f finding
	wantName, wantIsEnv := strings.CutPrefix(s.want.context, ":environment:")
	gotName, gotIsEnv := strings.CutPrefix(s.got.context, ":environment:")
	wantRef, wantIsRef := strings.CutPrefix(s.want.context, ":ref:")
	gotRef, gotIsRef := strings.CutPrefix(s.got.context, ":ref:")
	if f, ok := s.customised(wantName, gotName, wantRef, gotRef); ok {
		return f
	}
	switch {
	case s.got.context == ":pull_request":
		f.kind = PullRequestSubject
		f.cause = fmt.Sprintf("the job runs for a pull request, whose subject ends in pull_request and names no branch; the policy expects %q", strings.TrimPrefix(s.want.context, ":"))
		f.warning = "every pull request of the repository then gets in, whoever wrote its code"
		switch {
		case wantIsRef && !strings.HasPrefix(wantRef, "refs/pull/"):
			f.caller = "run the job on push instead of pull_request"
			f.tries = &attempt{context: s.want.context, claims: map[string]any{"ref": wantRef, "event_name": "push", "environment": nil}}
		case wantIsEnv:
			f.caller = "add environment: " + wantName + " to the job in the workflow"
			f.tries = &attempt{context: s.want.context, claims: map[string]any{"environment": wantName}}
		}
	case gotIsEnv && wantIsRef:
		f.kind = EnvironmentSubject
		f.cause = fmt.Sprintf("the job has environment: %s, so its subject names the environment and not the branch; the policy expects %s", gotName, wantRef)
		f.caller = "remove environment: from the job"
		f.tries = &attempt{context: s.want.context, claims: map[string]any{"environment": nil}}
		if ref := s.e.claimText("ref"); ref != "" && !fitsFold(wantRef, ref) {
			f.caller += fmt.Sprintf(" and run it on %s: it runs on %s", wantRef, ref)
			f.tries.claims["ref"] = wantRef
		} else if ref != "" {
			f.tries.context = ":ref:" + ref
		}
		if s.e.claimText("event_name") == "pull_request" {
			f.caller += ", on push instead of pull_request"
			f.tries.claims["event_name"] = "push"
		}
		f.warning = fmt.Sprintf("every branch that may deploy to the environment %s then gets in: restrict the environment's branches", gotName)
	case gotIsRef && wantIsEnv:
		f.kind = BranchSubject
		f.cause = fmt.Sprintf("the policy expects a job with environment: %s, and this job has none, so its subject names %s", wantName, gotRef)
		f.caller = "add environment: " + wantName + " to the job in the workflow"
		f.tries = &attempt{context: s.want.context, claims: map[string]any{"environment": wantName}}
		f.warning = fmt.Sprintf("every job on %s then gets in, without what protects the environment", gotRef)
	case gotIsRef && wantIsRef:
		f.kind = BranchSubject
		f.cause = fmt.Sprintf("the job runs on %s, and the policy expects %s", gotRef, wantRef)
		f.caller = "run the job on " + wantRef
		f.tries = &attempt{context: s.want.context, claims: map[string]any{"ref": wantRef}}
		f.warning = fmt.Sprintf("every job on %s then gets in", gotRef)
		if !strings.HasPrefix(wantRef, "refs/heads/") && !strings.HasPrefix(wantRef, "refs/tags/") && !strings.HasPrefix(wantRef, "refs/pull/") && !strings.HasPrefix(wantRef, "*") {
			f.cause = fmt.Sprintf("the policy expects the ref %q, and a ref is written in full, as refs/heads/BRANCH or refs/tags/TAG; the job runs on %s", wantRef, gotRef)
			f.caller, f.tries = "", nil
		}
	case gotIsEnv && wantIsEnv:
		f.kind = EnvironmentSubject
		f.cause = fmt.Sprintf("the job has environment: %s, and the policy expects %s", gotName, wantName)
		f.caller = "write environment: " + wantName + " in the job"
		f.tries = &attempt{context: s.want.context, claims: map[string]any{"environment": wantName}}
		f.warning = fmt.Sprintf("every job of the environment %s then gets in", gotName)
	default:
		f.kind = Other
		f.cause = fmt.Sprintf("the repository is the same, and the policy expects %q after it, found %q", strings.TrimPrefix(s.want.context, ":"), strings.TrimPrefix(s.got.context, ":"))
		f.warning = "every job with this subject then gets in"
	}
	if f.caller != "" && wantIsEnv && strings.ContainsAny(wantName, "*?") {
		f.caller = strings.Replace(f.caller, "environment: "+wantName, "an environment: whose name matches "+wantName, 1)
	} else if f.caller != "" && wantIsRef && strings.ContainsAny(wantRef, "*?") {
		f.caller = strings.Replace(f.caller, "on "+wantRef, "on a ref that matches "+wantRef, 1)
	}
	return f
}

// unescaped is the name that a part of a subject stands for: a colon in a name
// is %3A there.
func unescaped(part string) string {
	if name, err := url.PathUnescape(part); err == nil {
		return name
	}
	return part
}

// customised knows subjects that have more in them than a repository's own
// claims say, and an environment's name as GitHub writes it in a subject.
func (s *subjectMiss) customised(wantName, gotName, wantRef, gotRef string) (finding, bool) {
	environment, ref := s.e.claimText("environment"), s.e.claimText("ref")
	for _, p := range []struct{ of, want, got, claim string }{
		{"environment", wantName, gotName, environment}, {"ref", wantRef, gotRef, ref},
	} {
		switch {
		case p.claim == "" || p.want == s.want.context || p.got == s.got.context || p.got == p.claim:
		case unescaped(p.got) == p.claim && p.want == p.claim && s.wrote == s.text:
			value := s.want
			value.context = ":" + p.of + ":" + s.quote(p.got)
			f := finding{kind: Other, cause: fmt.Sprintf("the subject has the name of the %s %s as %s", p.of, p.claim, p.got)}
			f.policy = fmt.Sprintf("write %q instead of %q", value.String(), s.wrote)
			f.edits = s.replace(value.String())
			return f, true
		case strings.HasPrefix(p.got, p.claim+":"):
			return finding{
				kind:    Other,
				cause:   fmt.Sprintf("the repository's subjects are customised: after %s %s this one goes on with %q, and the policy expects %q", p.of, p.claim, p.got[len(p.claim):], strings.TrimPrefix(s.want.context, ":")),
				warning: "every job with this subject then gets in",
			}, true
		}
	}
	return finding{}, false
}
