package client

import (
	"encoding/json"
	"io"
	"os"
	"strings"
)

// Cause is why a process cannot ask for a job token.
type Cause string

// The causes of a NotInJobError.
const (
	// NoJob: this is not a GitHub Actions job at all.
	NoJob Cause = "no_job"
	// ForkPullRequest: GitHub gives no tokens to pull requests from forks.
	ForkPullRequest Cause = "fork_pull_request"
	// Dependabot: what Dependabot triggers runs with a read-only token.
	Dependabot Cause = "dependabot"
	// NoPermission: the workflow lacks the permission id-token: write.
	NoPermission Cause = "no_permission"
	// Incomplete: one of the two request variables is set, the other is not.
	Incomplete Cause = "incomplete"
)

// NotInJobError is why there is nobody to ask for a job token: the request
// variables are missing from the environment.
type NotInJobError struct {
	Cause   Cause
	Missing []string // the variables that are not set
	Head    string   // the repository that a fork's pull request comes from, if known
}

func (e *NotInJobError) Error() string {
	switch e.Cause {
	case ForkPullRequest:
		from := "a fork"
		if e.Head != "" {
			from = "the fork " + e.Head
		}
		return "this job runs for a pull request from " + from + ", and GitHub gives those no identity token"
	case Dependabot:
		return "this job was triggered by Dependabot, and its workflow may not ask for an identity token"
	case NoPermission:
		return "this job may not ask for an identity token: its workflow lacks the permission id-token: write"
	case Incomplete:
		return strings.Join(e.Missing, " and ") + " is not set, though its counterpart is"
	}
	return "this is not a CI job: GITHUB_ACTIONS is not true, and " + strings.Join(e.Missing, " and ") + " are not set"
}

// Hint is what to do about it.
func (e *NotInJobError) Hint() string {
	switch e.Cause {
	case ForkPullRequest:
		return "run what needs credentials after the merge, on push, or from a branch of the repository itself"
	case Dependabot:
		return "run what needs credentials on push to a branch of yours; or grant the permission in the workflow:\n" + permission
	case NoPermission:
		return "add to the workflow or to this job:\n" + permission
	case Incomplete:
		return "pass both variables on to this process, for example into the container that it runs in"
	}
	return "run it in a GitHub Actions job, or try it on this machine with 'stint dev -- COMMAND'"
}

const permission = "  permissions:\n    id-token: write\n    contents: read"

// maxEvent bounds the event file, in bytes. A pull request's takes tens of KiB.
const maxEvent = 4 << 20

// notInJob says why the request variables are missing.
func notInJob(getenv func(string) string, missing []string) *NotInJobError {
	e := &NotInJobError{Missing: missing}
	switch {
	case len(missing) == 1:
		e.Cause = Incomplete
	case getenv("GITHUB_ACTIONS") != "true":
		e.Cause = NoJob
	case fromFork(getenv, e):
		e.Cause = ForkPullRequest
	case getenv("GITHUB_ACTOR") == "dependabot[bot]":
		e.Cause = Dependabot
	default:
		e.Cause = NoPermission
	}
	return e
}

// fromFork reports whether the job's event is a pull request from another
// repository. An event file that cannot be read counts as none: then the
// missing permission is the likelier cause.
func fromFork(getenv func(string) string, e *NotInJobError) bool {
	event := getenv("GITHUB_EVENT_NAME")
	// pull_request_target runs in the context of the base repository, where
	// tokens are to be had, wherever the pull request comes from.
	if !strings.HasPrefix(event, "pull_request") || event == "pull_request_target" {
		return false
	}
	var payload struct {
		PullRequest *struct {
			Head struct {
				Repo *struct {
					FullName string `json:"full_name"`
					Fork     bool   `json:"fork"`
				} `json:"repo"`
			} `json:"head"`
		} `json:"pull_request"`
	}
	if !readEvent(getenv("GITHUB_EVENT_PATH"), &payload) || payload.PullRequest == nil {
		return false
	}
	head := payload.PullRequest.Head.Repo
	repository := getenv("GITHUB_REPOSITORY")
	switch {
	case head == nil: // the fork has been deleted
		return true
	case head.FullName == "" || repository == "":
		return head.Fork
	}
	// The flag alone does not tell: a repository that is itself a fork has it
	// on the pull requests from its own branches.
	e.Head = clean(head.FullName)
	return !strings.EqualFold(head.FullName, repository)
}

func readEvent(path string, into any) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxEvent {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEvent+1))
	return err == nil && len(data) <= maxEvent && json.Unmarshal(data, into) == nil
}
