package subject

import (
	"strings"
	"unicode/utf8"
)

// Platform is a kind of CI system, as far as its subjects differ.
type Platform string

// The platforms whose subjects are known.
const (
	Other     Platform = ""
	GitHub    Platform = "GitHub"
	GitLab    Platform = "GitLab"
	Buildkite Platform = "Buildkite"
	CircleCI  Platform = "CircleCI"
	Terraform Platform = "HCP Terraform"
)

// bySubject are the hosts of issuers that sign for every customer of their
// platform, and whose customers the subject tells apart (IAM User Guide,
// "Identity-provider controls for shared OIDC providers"). Issuers that tell
// them apart by audience are not among them.
var bySubject = map[string]Platform{
	"token.actions.githubusercontent.com":   GitHub,
	"gitlab.com":                            GitLab,
	"agent.buildkite.com":                   Buildkite,
	"app.terraform.io":                      Terraform,
	"oidc.codefresh.io":                     Other,
	"proidc.upbound.io":                     Other,
	"scalr.io":                              Other,
	"studio.datachain.ai/api":               Other,
	"tokens.cloud.shisho.dev":               Other,
	"vstoken.actions.githubusercontent.com": Other,
	"oidc-configuration.audit-log.githubusercontent.com": Other,
}

// OfIssuer says which platform an issuer belongs to, and whether it is shared:
// whether it signs for strangers too, so that only claims tell whose job it
// is. An issuer whose address names its one customer, such as GitHub's with an
// enterprise's slug or a self-hosted one, is not shared. The issuer is given
// as in condition keys, without https://.
func OfIssuer(issuer string) (p Platform, shared bool) {
	issuer = strings.TrimSuffix(strings.ToLower(issuer), "/")
	if p, shared = bySubject[issuer]; shared {
		return p, true
	}
	host, path, _ := strings.Cut(issuer, "/")
	switch {
	case host == "token.actions.githubusercontent.com", path == "_services/token",
		strings.HasPrefix(host, "token.actions.") && strings.HasSuffix(host, ".ghe.com"):
		return GitHub, false
	case host == "oidc.circleci.com":
		return CircleCI, false
	case strings.HasPrefix(host, "agent.") && (strings.HasSuffix(host, ".buildkite.dev") || strings.HasSuffix(host, ".buildkite.site")):
		return Buildkite, false
	}
	return Other, false
}

// role is what a key of a subject says.
type role uint8

const (
	roleOther       role = iota
	rolePath             // OWNER/REPO, with or without ids
	roleOwner            // the owner's name
	roleOwnerID          // the owner's id
	roleRepoID           // the repository's id, unique on the platform
	roleRepo             // the repository's name within its owner
	roleRef              // branch or tag
	roleContext          // another thing that a job is narrowed to: an environment
	roleWorkflow         // the workflow that the job is of, with its ref: perhaps another repository's
	roleOwnWorkflow      // the workflow of the run, OWNER/REPO/.github/workflows/FILE@REF
	roleFree             // what whoever writes a workflow can choose
)

// keys are the keys of each platform's subjects.
var keys = map[Platform]map[string]role{
	GitHub: {
		"repo": rolePath, "repository": rolePath,
		"repository_owner": roleOwner, "repository_owner_id": roleOwnerID, "repository_id": roleRepoID,
		"enterprise": roleOwner, "enterprise_id": roleOwnerID,
		"ref": roleRef, "environment": roleContext, "context": roleFree, "pull_request": roleContext,
		"job_workflow_ref": roleWorkflow, "job_workflow_sha": roleWorkflow, "workflow_ref": roleOwnWorkflow, "workflow_sha": roleOther,
		"workflow": roleFree, "head_ref": roleFree, "base_ref": roleFree, "actor": roleFree, "actor_id": roleFree,
		"event_name": roleOther, "ref_type": roleOther, "ref_protected": roleOther, "repository_visibility": roleOther,
		"runner_environment": roleOther, "run_id": roleOther, "run_number": roleOther, "run_attempt": roleOther,
		"sha": roleOther, "check_run_id": roleOther, "aud": roleOther, "iss": roleOther,
	},
	GitLab: {
		"project_path": rolePath, "namespace_path": roleOwner, "namespace_id": roleOwnerID, "project_id": roleRepoID,
		"ref_type": roleOther, "ref": roleRef,
	},
	Buildkite: {
		"organization": roleOwner, "pipeline": roleRepo, "ref": roleRef, "commit": roleOther, "step": roleOther,
		"organization_id": roleOwnerID, "pipeline_id": roleRepoID, "cluster_id": roleOwnerID,
	},
	Terraform: {
		"organization": roleOwner, "project": roleOther, "workspace": roleRepo, "run_phase": roleContext,
	},
}

// first are keys that show the platform where no issuer does.
var first = []struct {
	key, second string
	platform    Platform
}{
	{"repo", "", GitHub}, {"repository", "", GitHub}, {"repository_id", "", GitHub},
	{"repository_owner", "", GitHub}, {"repository_owner_id", "", GitHub}, {"job_workflow_ref", "", GitHub},
	{"project_path", "", GitLab},
	{"organization", "pipeline", Buildkite},
	{"organization", "project", Terraform}, {"organization", "workspace", Terraform},
}

// platformOf is the platform that the fields of a subject show.
func platformOf(fields []Pattern) Platform {
	key, _ := fields[0].Text()
	for _, f := range first {
		if f.key != key {
			continue
		}
		if f.second == "" {
			return f.platform
		}
		if len(fields) > 2 {
			if second, _ := fields[2].Text(); second == f.second {
				return f.platform
			}
		}
	}
	return Other
}

func charLen(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}
