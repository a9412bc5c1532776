package audit

import (
	"encoding/json"
	"reflect"

	"github.com/stint-dev/stint/internal/identity"
)

// CallerOf is the caller whose token was verified.
func CallerOf(c identity.Claims) Caller {
	caller := callerFrom(func(name string) string { s, _ := c.Text(name); return s })
	// Claims without a token's digest were made without a token.
	caller.Verified = c.TokenSHA256() != ""
	caller.IssuerName = c.Issuer()
	caller.TokenSHA256 = c.TokenSHA256()
	caller.Claims = claimsOf(c)
	return caller
}

// IsZero reports whether nothing is known of the caller.
func (c Caller) IsZero() bool { return reflect.ValueOf(c).IsZero() }

// ofOneToken are the claims that differ between two tokens of one job.
var ofOneToken = []string{"jti", "iat", "nbf", "exp"}

func claimsOf(c identity.Claims) json.RawMessage {
	signed := c.Signed()
	for _, name := range ofOneToken {
		delete(signed, name)
	}
	if len(signed) == 0 {
		return nil
	}
	text, err := json.Marshal(signed)
	if err != nil { // claims came from JSON
		return nil
	}
	return text
}

// CallerSeen is the caller whose token was rejected. It counts as verified only
// where an issuer of ours signed the token.
func CallerSeen(s identity.Seen) Caller {
	caller := callerFrom(func(name string) string { return s.Claims[name] })
	caller.Verified = s.Signed
	caller.IssuerName = s.IssuerName
	caller.Issuer = s.Issuer
	caller.Subject = s.Subject
	caller.TokenSHA256 = s.TokenSHA256
	return caller
}

// callerFrom reads the claims that tell who a job is, under the names that the
// CI systems give them; the first that is there counts. In a merge request's
// pipeline GitLab's project_* may name the fork, so job_project_* comes first.
func callerFrom(text func(string) string) Caller {
	first := func(names ...string) string {
		for _, name := range names {
			if s := text(name); s != "" {
				return s
			}
		}
		return ""
	}
	return Caller{
		Issuer:       text("iss"),
		Subject:      text("sub"),
		Repository:   first("repository", "job_project_path", "project_path", "pipeline_slug", "oidc.circleci.com/vcs-origin"),
		RepositoryID: first("repository_id", "repo_id", "job_project_id", "project_id", "pipeline_id", "oidc.circleci.com/project-id"),
		OwnerID:      first("repository_owner_id", "owner_id", "job_namespace_id", "namespace_id", "organization_id"),
		Ref:          first("ref", "build_branch", "oidc.circleci.com/vcs-ref"),
		Environment:  text("environment"),
		Event:        first("event_name", "pipeline_source"),
		Workflow:     first("workflow_ref", "ci_config_ref_uri"),
		RunID:        first("run_id", "job_id"),
		RunAttempt:   text("run_attempt"),
		Actor:        first("actor", "user_login"),
		ActorID:      first("actor_id", "user_id"),
		TokenID:      text("jti"),
	}
}
