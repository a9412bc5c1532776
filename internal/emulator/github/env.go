package github

import (
	"runtime"
	"strings"
)

// Env is the environment of a job's step, as NAME=VALUE, on a runner of which
// this emulator is the GitHub. baseURL is where the emulator is served, such
// as http://127.0.0.1:4321. The paths of files that a runner makes, such as
// GITHUB_ENV, are the caller's to add.
//
// The values agree with the job's token, also where claims were set by name.
func (r *RunningJob) Env(baseURL string) []string {
	c := r.Job.claims()
	for name, v := range r.Job.Claims {
		c[name] = v
	}
	text := func(name string) string { s, _ := c[name].(string); return s }
	ref := text("ref")
	base := strings.TrimSuffix(baseURL, "/")
	return []string{
		"CI=true",
		"GITHUB_ACTIONS=true",
		"GITHUB_REPOSITORY=" + text("repository"),
		"GITHUB_REPOSITORY_ID=" + text("repository_id"),
		"GITHUB_REPOSITORY_OWNER=" + text("repository_owner"),
		"GITHUB_REPOSITORY_OWNER_ID=" + text("repository_owner_id"),
		"GITHUB_REF=" + ref,
		"GITHUB_REF_NAME=" + refName(ref),
		"GITHUB_REF_TYPE=" + refType(ref),
		"GITHUB_REF_PROTECTED=" + text("ref_protected"),
		"GITHUB_HEAD_REF=" + text("head_ref"),
		"GITHUB_BASE_REF=" + text("base_ref"),
		"GITHUB_SHA=" + text("sha"),
		"GITHUB_EVENT_NAME=" + text("event_name"),
		"GITHUB_ACTOR=" + text("actor"),
		"GITHUB_ACTOR_ID=" + text("actor_id"),
		"GITHUB_TRIGGERING_ACTOR=" + text("actor"),
		"GITHUB_WORKFLOW=" + text("workflow"),
		"GITHUB_WORKFLOW_REF=" + text("workflow_ref"),
		"GITHUB_WORKFLOW_SHA=" + text("workflow_sha"),
		"GITHUB_JOB=" + r.Job.Name,
		"GITHUB_RUN_ID=" + text("run_id"),
		"GITHUB_RUN_NUMBER=" + text("run_number"),
		"GITHUB_RUN_ATTEMPT=" + text("run_attempt"),
		"GITHUB_RETENTION_DAYS=90",
		"GITHUB_SERVER_URL=https://github.com",
		"GITHUB_API_URL=https://api.github.com",
		"GITHUB_GRAPHQL_URL=https://api.github.com/graphql",
		"RUNNER_NAME=stint",
		"RUNNER_ENVIRONMENT=" + text("runner_environment"),
		"RUNNER_OS=" + runnerOS(),
		"RUNNER_ARCH=" + runnerArch(),
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + base + r.Path,
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + r.Token,
	}
}

func runnerOS() string {
	switch runtime.GOOS {
	case "windows":
		return "Windows"
	case "darwin":
		return "macOS"
	}
	return "Linux"
}

func runnerArch() string {
	switch runtime.GOARCH {
	case "arm64":
		return "ARM64"
	case "arm":
		return "ARM"
	case "386":
		return "X86"
	}
	return "X64"
}
