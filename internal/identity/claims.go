// Package identity turns a raw job token into Claims: it decides which tokens
// are believed, and nothing else. Every other package takes Claims, and only
// this one makes them.
package identity

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Platform is the CI system behind an issuer. It says which claims stint can
// derive from the signed ones.
type Platform string

// The platforms whose tokens stint knows. Generic is every other issuer.
const (
	Generic   Platform = ""
	GitHub    Platform = "github"
	GitLab    Platform = "gitlab"
	Buildkite Platform = "buildkite"
	CircleCI  Platform = "circleci"
)

// Claims are the verified content of one job token. The zero value has no
// issuer and no claims, and no rule matches it.
type Claims struct {
	issuer   string
	platform Platform
	signed   map[string]any
	derived  map[string]string
	digest   string
	issued   time.Time
	expires  time.Time
}

// InsecureClaims makes Claims that nobody signed, for tests of policies and
// for `stint explain`. What is decided on them must never be minted.
func InsecureClaims(issuer string, platform Platform, payload map[string]any) Claims {
	return newClaims(issuer, platform, payload, "", time.Time{}, time.Time{})
}

func newClaims(issuer string, p Platform, payload map[string]any, digest string, issued, expires time.Time) Claims {
	c := Claims{issuer: issuer, platform: p, signed: payload, digest: digest, issued: issued, expires: expires}
	c.derived = derive(p, payload)
	return c
}

// Issuer is the name that the configuration gives to who signed the token.
func (c Claims) Issuer() string { return c.issuer }

// Platform is the CI system behind the issuer.
func (c Claims) Platform() Platform { return c.platform }

// Expires is when the job token ends.
func (c Claims) Expires() time.Time { return c.expires }

// IssuedAt is when the job token was signed.
func (c Claims) IssuedAt() time.Time { return c.issued }

// TokenSHA256 is the hex SHA-256 of the raw token: what records hold instead
// of it.
func (c Claims) TokenSHA256() string { return c.digest }

// Text is a claim as text: a string as it is, a number by its digits, true or
// false. ok is false for a claim that is absent, null, a list or an object.
// Derived claims answer where no signed claim has their name.
func (c Claims) Text(name string) (value string, ok bool) {
	if v, present := c.signed[name]; present {
		return scalar(v)
	}
	value, ok = c.derived[name]
	return value, ok
}

// Values are the texts of a claim: those of its elements if it is a list, and
// one for a claim that is none. Elements that are not scalar are left out.
func (c Claims) Values(name string) []string {
	if list, ok := c.signed[name].([]any); ok {
		var texts []string
		for _, e := range list {
			if s, ok := scalar(e); ok {
				texts = append(texts, s)
			}
		}
		return texts
	}
	if s, ok := c.Text(name); ok {
		return []string{s}
	}
	return nil
}

// Texts are all claims that have one text, the derived ones included.
func (c Claims) Texts() map[string]string {
	m := maps.Clone(c.derived)
	if m == nil {
		m = map[string]string{}
	}
	for name, v := range c.signed {
		delete(m, name)
		if s, ok := scalar(v); ok {
			m[name] = s
		}
	}
	return m
}

// Signed is the token's payload as it was signed. The map is a copy; what it
// holds must not be changed.
func (c Claims) Signed() map[string]any { return maps.Clone(c.signed) }

// Derived are the claims that stint read out of the signed ones.
func (c Claims) Derived() map[string]string { return maps.Clone(c.derived) }

// Names are the names of all claims, sorted.
func (c Claims) Names() []string {
	names := map[string]bool{}
	for n := range c.signed {
		names[n] = true
	}
	for n := range c.derived {
		names[n] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

// DerivedNames are the claims that stint may derive on some platform.
var DerivedNames = []string{"repository_name", "owner_id", "repo_id", "subject_form", "from_fork"}

// SubjectForm says how a GitHub subject names the repository.
type SubjectForm string

// The forms of a GitHub subject.
const (
	// SubjectNames is repo:OWNER/REPO:...
	SubjectNames SubjectForm = "names"
	// SubjectIDs is repo:OWNER@OWNER_ID/REPO@REPO_ID:..., emitted for
	// repositories created, renamed or transferred after 2026-07-15.
	SubjectIDs SubjectForm = "ids"
	// SubjectCustom is any other: the organization or repository customised it.
	SubjectCustom SubjectForm = "custom"
)

// Subject is a GitHub subject taken apart.
type Subject struct {
	Form                         SubjectForm
	Owner, OwnerID, Repo, RepoID string
	// Context is what follows the repository: environment:X, pull_request or
	// ref:REF in the default subject.
	Context string
}

// ParseSubject reads a GitHub subject. Only a subject that begins with repo:
// names a repository: the values of other claims are chosen by whoever writes
// the workflow.
func ParseSubject(sub string) Subject {
	custom := Subject{Form: SubjectCustom}
	rest, ok := strings.CutPrefix(sub, "repo:")
	if !ok {
		return custom
	}
	repository, context, _ := strings.Cut(rest, ":")
	owner, repo, ok := strings.Cut(repository, "/")
	if !ok || owner == "" || repo == "" || strings.Contains(repo, "/") {
		return custom
	}
	s := Subject{Form: SubjectNames, Owner: owner, Repo: repo, Context: context}
	o, oid, hasOwnerID := strings.Cut(owner, "@")
	r, rid, hasRepoID := strings.Cut(repo, "@")
	switch {
	case !hasOwnerID && !hasRepoID:
		return s
	case hasOwnerID && hasRepoID && o != "" && r != "" && digits(oid) && digits(rid):
		return Subject{Form: SubjectIDs, Owner: o, OwnerID: oid, Repo: r, RepoID: rid, Context: context}
	}
	return custom
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 20
}

func derive(p Platform, signed map[string]any) map[string]string {
	text := func(name string) string { s, _ := scalar(signed[name]); return s }
	d := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			d[name] = value
		}
	}
	switch p {
	case GitHub:
		sub := ParseSubject(text("sub"))
		set("subject_form", string(sub.Form))
		set("repository_name", agreed(afterSlash(text("repository")), sub.Repo))
		set("owner_id", agreed(text("repository_owner_id"), sub.OwnerID))
		set("repo_id", agreed(text("repository_id"), sub.RepoID))
		// GitHub signs nothing that tells a fork's pull request from another,
		// so for pull requests the claim stays absent. These events only ever
		// run the repository's own commits.
		switch text("event_name") {
		case "push", "schedule", "workflow_dispatch", "repository_dispatch", "release", "merge_group":
			set("from_fork", "false")
		}
	case GitLab:
		// In a merge request's pipeline project_* and namespace_* may name the
		// fork; job_project_* and job_namespace_* name where the job runs.
		of := ""
		if job := text("job_project_id"); job != "" {
			of = "job_"
			set("from_fork", strconv.FormatBool(job != text("project_id")))
		}
		set("repository_name", afterSlash(text(of+"project_path")))
		set("owner_id", text(of+"namespace_id"))
		set("repo_id", text(of+"project_id"))
	}
	return d
}

// agreed is the value that claim and subject give, and nothing where they
// contradict each other: then neither can be relied on.
func agreed(claim, subject string) string {
	if claim != "" && subject != "" && claim != subject {
		return ""
	}
	if claim != "" {
		return claim
	}
	return subject
}

func afterSlash(path string) string {
	return path[strings.LastIndexByte(path, '/')+1:]
}
