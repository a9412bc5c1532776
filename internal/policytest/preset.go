package policytest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stint-dev/stint/internal/emulator/github"
)

// further are claims that some jobs have beside those of a preset.
var further = []string{"aud", "iat", "nbf", "exp", "jti", subjectForm, // of every platform
	"environment", "enterprise", "enterprise_id", // GitHub
	"environment_protected", "deployment_tier", "environment_action", "job_project_id", "job_project_path", "job_namespace_id", "job_namespace_path",
	"user_email", "user_access_level", "user_identities", "groups_direct", "runner_id", "ci_config_ref_uri", "ci_config_sha", "namespace_id", // GitLab
	"build_tag", "build_id", "build_source", "queue_id", "queue_key", "runner_environment", "cluster_id", "cluster_name", // Buildkite
}

// maker makes a preset's claims with these changes. An empty text takes a
// claim out.
type maker func(with map[string]string) (map[string]any, error)

// presets are the jobs that a test file may build on.
var presets = map[string]maker{
	"github-push":                githubJob(github.Job{}),
	"github-tag":                 githubJob(github.Job{Ref: "refs/tags/v1.0.0"}),
	"github-environment":         githubJob(github.Job{Environment: "prod"}),
	"github-pull-request":        githubJob(github.Job{Event: "pull_request"}),
	"github-pull-request-target": githubJob(github.Job{Event: "pull_request_target"}),
	"github-schedule":            githubJob(github.Job{Event: "schedule"}),
	"github-workflow-dispatch":   githubJob(github.Job{Event: "workflow_dispatch"}),
	"github-merge-group":         githubJob(github.Job{Event: "merge_group", Ref: "refs/heads/gh-readonly-queue/main/pr-1-0123456789abcdef0123456789abcdef01234567"}),
	"github-reusable-workflow":   githubJob(github.Job{JobWorkflowRef: "octo-org/workflows/.github/workflows/deploy.yml@refs/heads/main"}),
	"gitlab-branch":              gitlabJob("branch", "main", "push"),
	"gitlab-tag":                 gitlabJob("tag", "v1.0.0", "push"),
	"gitlab-merge-request":       gitlabJob("branch", "feature", "merge_request_event"),
	"buildkite-branch":           buildkiteJob,
	"circleci-branch":            circleJob,
}

// Presets are the names of the presets, sorted.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// preset makes the claims of a preset with changes. The values of presets are
// text, as the platforms sign them, so numbers and booleans become text too;
// lists and objects are put in as they are.
func preset(name string, with map[string]any) (map[string]any, error) {
	texts, rest := map[string]string{}, map[string]any{}
	for claim, v := range with {
		switch v := v.(type) {
		case nil:
			texts[claim] = ""
		case string:
			texts[claim] = v
		case json.Number:
			texts[claim] = v.String()
		case bool:
			texts[claim] = fmt.Sprint(v)
		default:
			rest[claim] = v
		}
	}
	base, err := presets[name](nil)
	if err != nil {
		return nil, err
	}
	for claim := range with {
		if _, has := base[claim]; !has && !slices.Contains(further, claim) && !strings.HasPrefix(claim, "repo_property_") && !strings.ContainsAny(claim, "./:") {
			return nil, fmt.Errorf("the preset %s has no claim %.64q; give the claims themselves, with claims, for tokens of another shape", name, claim)
		}
	}
	c, err := presets[name](texts)
	if err != nil {
		return nil, err
	}
	maps.Copy(c, rest)
	return c, nil
}

// subjectForm is what a change of a GitHub preset may name beside claims: ids
// for the subject with ids, names for that without.
const subjectForm = "subject_form"

// githubJob makes a job like j. What other claims are built from goes through
// the emulator, so that the subject and its kin follow a change of theirs.
func githubJob(j github.Job) maker {
	return func(with map[string]string) (map[string]any, error) {
		j := j
		fields := map[string]*string{
			"repository": &j.Repository, "repository_id": &j.RepositoryID, "repository_owner_id": &j.OwnerID,
			"repository_visibility": &j.Visibility, "event_name": &j.Event, "ref": &j.Ref, "sha": &j.SHA,
			"head_ref": &j.HeadRef, "base_ref": &j.BaseRef, "environment": &j.Environment, "actor": &j.Actor,
			"actor_id": &j.ActorID, "workflow": &j.Workflow, "workflow_ref": &j.WorkflowRef, "workflow_sha": &j.WorkflowSHA,
			"job_workflow_ref": &j.JobWorkflowRef, "job_workflow_sha": &j.JobWorkflowSHA, "run_id": &j.RunID,
			"run_number": &j.RunNumber, "run_attempt": &j.RunAttempt, "runner_environment": &j.RunnerEnvironment,
			"enterprise": &j.Enterprise, "enterprise_id": &j.EnterpriseID,
		}
		issuer := "https://token.actions.githubusercontent.com"
		j.Claims = map[string]string{}
		for claim, v := range with {
			field, known := fields[claim]
			switch {
			case claim == subjectForm && (v == "ids" || v == "names"):
				j.IDSubject = v == "ids"
			case claim == subjectForm:
				return nil, fmt.Errorf("expected %s to be ids or names, found %.64q", subjectForm, v)
			case claim == "iss" && v != "":
				issuer = v
			case claim == "repository_owner" && v != "" && with["repository"] == "":
				j.Repository = v + "/octo-repo"
			case claim == "environment" && v == "":
				j.Environment = ""
			case claim == "ref_protected" && v != "":
				j.Protected = v == "true"
			case known && v != "":
				*field = v
			default:
				j.Claims[claim] = v
			}
		}
		return j.Payload(issuer)
	}
}

// claimsWith are texts as claims with changes.
func claimsWith(base, with map[string]string) map[string]any {
	all := maps.Clone(base)
	maps.Copy(all, with)
	c := make(map[string]any, len(all))
	for claim, v := range all {
		if v != "" {
			c[claim] = v
		}
	}
	return c
}

func text(c map[string]any, claim string) string {
	s, _ := c[claim].(string)
	return s
}

func gitlabJob(refType, ref, pipelineSource string) maker {
	return func(with map[string]string) (map[string]any, error) {
		path := with["project_path"]
		if path == "" {
			path = "octo-org/octo-repo"
		}
		namespace := path[:max(strings.LastIndexByte(path, '/'), 0)]
		c := claimsWith(map[string]string{
			"iss": "https://gitlab.com", "namespace_id": idOf("octo-org", namespace, "65"), "namespace_path": namespace,
			"project_id": idOf("octo-org/octo-repo", path, "74"), "project_path": path, "project_visibility": "private",
			"user_id": "12", "user_login": "octocat", "pipeline_id": "1", "pipeline_source": pipelineSource, "job_id": "2",
			"ref": ref, "ref_type": refType, "ref_protected": fmt.Sprint(ref != "feature" && (with["ref"] == "" || with["ref"] == ref)), "runner_environment": "gitlab-hosted",
			"sha": strings.Repeat("0", 40),
		}, with)
		if _, own := with["ref_path"]; !own {
			folder := "refs/heads/"
			if text(c, "ref_type") == "tag" {
				folder = "refs/tags/"
			}
			c["ref_path"] = folder + text(c, "ref")
		}
		if _, own := with["sub"]; !own {
			c["sub"] = fmt.Sprintf("project_path:%s:ref_type:%s:ref:%s", path, text(c, "ref_type"), text(c, "ref"))
		}
		return c, nil
	}
}

// idOf is the id of a preset's owner or repository, or where it has another
// name, one made of that: whoever has another name is somebody else.
func idOf(own, name, id string) string {
	if name == own {
		return id
	}
	sum := sha256.Sum256([]byte(name))
	return strconv.FormatUint(uint64(binary.BigEndian.Uint32(sum[:])), 10)
}

func uuidOf(own, name, id string) string {
	if name == "" || name == own {
		return id
	}
	x := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	return x[:8] + "-" + x[8:12] + "-8" + x[13:16] + "-8" + x[17:20] + "-" + x[20:32]
}

func buildkiteJob(with map[string]string) (map[string]any, error) {
	c := claimsWith(map[string]string{
		"iss": "https://agent.buildkite.com", "organization_slug": "octo-org", "organization_id": uuidOf("octo-org", with["organization_slug"], "0184990a-477b-4fa8-9968-496074483cee"),
		"pipeline_slug": "octo-repo", "pipeline_id": uuidOf("octo-repo", with["pipeline_slug"], "0184990a-4782-42b5-afc1-16715b10b8ff"), "build_number": "1", "build_branch": "main",
		"build_commit": strings.Repeat("0", 40), "step_key": "deploy", "job_id": "0184990a-477b-4fa8-9968-496074483cef", "agent_id": "0184990a-4782-42b5-afc1-16715b10b8f0",
	}, with)
	if _, own := with["sub"]; !own {
		ref := "refs/heads/" + text(c, "build_branch")
		if tag := text(c, "build_tag"); tag != "" {
			ref = "refs/tags/" + tag
		}
		c["sub"] = fmt.Sprintf("organization:%s:pipeline:%s:ref:%s:commit:%s:step:%s", text(c, "organization_slug"), text(c, "pipeline_slug"),
			ref, text(c, "build_commit"), text(c, "step_key"))
	}
	return c, nil
}

func circleJob(with map[string]string) (map[string]any, error) {
	const org, project = "9d2e8f4c-6c0f-4f1a-9d6c-6f1f3a6f2b11", "5c1b3f0e-54a6-4b5f-8f6e-0b1c2d3e4f55"
	c := claimsWith(map[string]string{
		"iss": "https://oidc.circleci.com/org/" + org, "aud": org,
		"oidc.circleci.com/project-id": project, "oidc.circleci.com/vcs-origin": "github.com/octo-org/octo-repo",
		"oidc.circleci.com/vcs-ref": "refs/heads/main", "oidc.circleci.com/ssh-rerun": "false",
	}, with)
	if _, own := with["sub"]; !own {
		c["sub"] = fmt.Sprintf("org/%s/project/%s/user/%s", strings.TrimPrefix(text(c, "iss"), "https://oidc.circleci.com/org/"),
			text(c, "oidc.circleci.com/project-id"), "0b9c8d7e-1a2b-4c3d-8e4f-5a6b7c8d9e0f")
	}
	return c, nil
}
