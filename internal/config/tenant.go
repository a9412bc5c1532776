package config

import (
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/stint-dev/stint/internal/identity"
)

// tenantClaims name the customer of a platform that signs for everybody. A
// claim that holds a path names it only as far as its first segment is given.
var tenantClaims = map[identity.Platform]map[string]bool{ // claim: its value is a path
	identity.GitHub: {
		"repository_owner_id": false, "repository_id": false, "enterprise_id": false, "owner_id": false, "repo_id": false,
		"repository_owner": false, "enterprise": false, "repository": true,
	},
	identity.GitLab: {
		"namespace_id": false, "project_id": false, "job_namespace_id": false, "job_project_id": false, "owner_id": false, "repo_id": false,
		"namespace_path": true, "project_path": true, "job_namespace_path": true, "job_project_path": true,
	},
	identity.Buildkite: {"organization_id": false, "organization_slug": false, "pipeline_id": false},
	identity.CircleCI:  {"aud": false, "oidc.circleci.com/project-id": false, "oidc.circleci.com/org-id": false},
}

// saysNothing are claims that every token from an issuer that could be accepted
// has the same, or that its job chooses: narrowing to them narrows nothing.
var saysNothing = map[string]bool{"iss": true, "aud": true, "exp": true, "iat": true, "nbf": true, "jti": true}

// tenant checks that an issuer that signs for everybody is narrowed to a
// tenant: otherwise any account on the platform would be one of our jobs.
func (r *reader) tenant(i Issuer, only ast.Node, path string) {
	if i.URL == "" || !identity.SignsForEverybody(i.URL) {
		return
	}
	const example = `, such as only: {repository_owner_id: "65"}`
	claims := tenantClaims[i.Platform]
	if only == nil {
		hint := "add only with a claim that names your tenant"
		if i.Platform == identity.GitHub {
			hint += example
		}
		r.failAt(i.Pos, path, hint, "%s signs for everybody", i.URL)
		return
	}
	named := false
	for _, m := range i.Only {
		isPath, known := claims[m.Claim]
		if claims != nil && !known || claims == nil && saysNothing[m.Claim] {
			continue
		}
		for _, p := range m.Patterns {
			if open(p.Value, isPath) {
				r.failAt(p.Pos, join(path+".only", m.Claim), "write the tenant out, best by id", "%q lets other tenants in", p.Value)
			}
		}
		named = true
	}
	if !named && len(i.Only) > 0 {
		hint := "add a claim that names your tenant"
		if i.Platform == identity.GitHub {
			hint += example
		}
		r.failAt(i.Only[0].Pos, path+".only", hint, "nothing here names a tenant, and %s signs for everybody", i.URL)
	}
}

// open reports whether a pattern leaves open whose it is.
func open(pattern string, isPath bool) bool {
	if isPath {
		owner, rest, ok := strings.Cut(pattern, "/")
		return owner == "" || strings.Contains(owner, "*") || !ok && strings.Contains(pattern, "*") || ok && rest == ""
	}
	return pattern == "" || strings.Contains(pattern, "*")
}
