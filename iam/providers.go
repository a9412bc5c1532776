package iam

import (
	"slices"
	"strings"
)

// provider says which claims of a token AWS turns into condition keys, for
// issuers whose address (without https://) matches host.
type provider struct {
	host   string // {} stands for one name: letters, digits and - _
	claims []string
}

// commonClaims are condition keys for every OIDC provider.
var commonClaims = []string{"amr", "aud", "sub"}

var githubClaims = []string{
	"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref",
	"ref", "repository", "repository_id", "repository_owner_id", "workflow",
}

var buildkiteClaims = []string{
	"build_branch", "cluster_id", "cluster_name", "organization_id",
	"organization_slug", "pipeline_id", "pipeline_slug",
}

// providers is the list of the Service Authorization Reference for AWS STS,
// action AssumeRoleWithWebIdentity, as of autumn 2026. A claim that is not in
// it is no condition key: a condition on it finds the key absent.
var providers = []provider{
	{"token.actions.githubusercontent.com", githubClaims},
	{"token.actions.githubusercontent.com/{}", githubClaims},
	{"token.actions.{}.ghe.com", githubClaims},
	{"github.com/enterprises/{}", githubClaims},
	{"gitlab.com", []string{
		"namespace_id", "pipeline_source", "project_id", "ref_protected",
		"runner_environment", "user_access_level", "user_email", "user_id", "user_login",
	}},
	{"agent.buildkite.com", buildkiteClaims},
	{"agent.{}.buildkite.dev", buildkiteClaims},
	{"agent.{}.buildkite.site", buildkiteClaims},
	{"oidc.circleci.com/org/{}", []string{"oidc.circleci.com/project-id"}},
	{"accounts.google.com", []string{"google/organization_number", "oaud"}},
	{"idcs-{}.identity.oraclecloud.com", []string{"rpst_id"}},
}

// builtinProviders need no provider in the account: a policy names their host.
var builtinProviders = []string{
	"accounts.google.com", "cognito-identity.amazonaws.com",
	"graph.facebook.com", "www.amazon.com",
}

// IssuerClaims returns the claims that AWS exposes as condition keys
// ISSUER:claim for tokens of this issuer, sorted: those of every provider
// (amr, aud, sub) and those that AWS knows of this one. known is false for an
// issuer without any of its own. The issuer is an https URL, or that without
// https://, as it stands in condition keys.
func IssuerClaims(issuer string) (claims []string, known bool) {
	host := issuerHost(issuer)
	claims = slices.Clone(commonClaims)
	for _, p := range providers {
		if matchHost(p.host, host) {
			claims = append(claims, p.claims...)
			known = true
		}
	}
	slices.Sort(claims)
	return slices.Compact(claims), known
}

func issuerHost(issuer string) string { return strings.TrimPrefix(issuer, "https://") }

func matchHost(form, host string) bool {
	before, after, found := strings.Cut(form, "{}")
	if !found {
		return form == host
	}
	rest, ok := strings.CutPrefix(host, before)
	if !ok {
		return false
	}
	name, ok := strings.CutSuffix(rest, after)
	if !ok || name == "" {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := lower(name[i])
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
