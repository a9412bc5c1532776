package identity

import (
	"strings"
	"time"
	"unicode"
)

const (
	maxSeen  = 256 // characters of a claim in Seen
	maxFound = 200 // characters of a claim in a Rejection's sentences
)

// seenClaims are the claims that records hold of a caller, under every
// platform's name for them.
var seenClaims = []string{
	"repository", "repository_id", "repository_owner_id", "ref", "environment", "event_name", "workflow_ref", "run_id",
	"run_attempt", "actor", "actor_id", "jti",
	"project_path", "project_id", "namespace_id", "job_project_path", "job_project_id", "job_namespace_id",
	"pipeline_source", "ci_config_ref_uri", "job_id", "user_login", "user_id",
	"pipeline_slug", "pipeline_id", "organization_id", "build_branch",
	"oidc.circleci.com/vcs-origin", "oidc.circleci.com/project-id", "oidc.circleci.com/vcs-ref",
}

// see tells what a payload says of itself.
func see(payload map[string]any) Seen {
	text := func(name string) string { s, _ := scalar(payload[name]); return shorten(s, maxSeen) }
	s := Seen{Issuer: text("iss"), Subject: text("sub"), Claims: map[string]string{}}
	for _, name := range seenClaims {
		if v := text(name); v != "" {
			s.Claims[name] = v
		}
	}
	if exp, ok := seconds(payload["exp"]); ok {
		s.Expires = time.Unix(exp, 0).UTC()
	}
	return s
}

// shorten cuts s to limit characters and puts U+FFFD for those that a reader
// does not see as they are: controls move a terminal's cursor, and format
// characters turn the direction of text round.
func shorten(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > limit {
			return b.String() + "…"
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}
