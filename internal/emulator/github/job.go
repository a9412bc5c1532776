package github

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Job describes a job as its token and its environment show it. Every field
// may be empty: what GitHub would always send is filled in. The zero Job is a
// push to main of octo-org/octo-repo.
//
// All ids are decimal numbers as text, as GitHub sends them. Ids that are not
// given are derived from the names, the same for the same name.
type Job struct {
	Repository   string // OWNER/REPO
	RepositoryID string
	OwnerID      string
	Visibility   string // public, private or internal

	Event       string // such as push, pull_request, schedule
	Ref         string // the full form, such as refs/heads/main
	SHA         string // 40 hex digits
	Protected   bool   // the ref is protected
	HeadRef     string // of a pull request: the branch it comes from
	BaseRef     string // of a pull request: the branch it goes to
	Environment string // the deployment environment, if the job names one

	Actor   string
	ActorID string

	Name              string // the job's key in the workflow
	Workflow          string // the workflow's name
	WorkflowRef       string // OWNER/REPO/.github/workflows/FILE@REF
	WorkflowSHA       string
	JobWorkflowRef    string // of the workflow that holds the job, where that is a reusable one
	JobWorkflowSHA    string
	RunID             string
	RunNumber         string
	RunAttempt        string
	CheckRunID        string
	RunnerEnvironment string // github-hosted or self-hosted
	Enterprise        string
	EnterpriseID      string

	// IDSubject asks for the subject with ids, repo:OWNER@ID/REPO@ID:..., as
	// repositories have it that were created, renamed or transferred after
	// 2026-07-15.
	IDSubject bool

	// Claims are set in the token last, and win over all else. An empty value
	// takes the claim out. The subject is built from what they say, unless
	// they hold sub.
	Claims map[string]string
}

// The events of a pull request. GitHub documents that a job of one has the
// subject pull_request instead of one with a ref.
var pullRequestEvents = map[string]bool{
	"pull_request":                true,
	"pull_request_target":         true,
	"pull_request_review":         true,
	"pull_request_review_comment": true,
}

// onBase are the events of a pull request whose job runs the base branch.
var onBase = map[string]bool{"pull_request_target": true}

var (
	repository = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100}$`)
	number     = regexp.MustCompile(`^[0-9]{1,20}$`)
	commit     = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// The ids of the example that the documentation uses throughout.
var knownIDs = map[string]string{
	"owner:octo-org":                "65",
	"repository:octo-org/octo-repo": "74",
	"actor:octocat":                 "12",
}

// maxField bounds each field and claim, in bytes.
const maxField = 4096

// filled returns the job with everything filled in that was empty, or says
// which field cannot be what it is.
func (j Job) filled() (Job, error) {
	def := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	j.Claims = maps.Clone(j.Claims)
	def(&j.Repository, "octo-org/octo-repo")
	if !repository.MatchString(j.Repository) {
		return j, fmt.Errorf("expected a repository such as octo-org/octo-repo, found %.100q", j.Repository)
	}
	owner, _, _ := strings.Cut(j.Repository, "/")
	def(&j.OwnerID, derivedID("owner", owner))
	def(&j.RepositoryID, derivedID("repository", j.Repository))
	def(&j.Visibility, "private")
	def(&j.Event, "push")
	if pullRequestEvents[j.Event] {
		def(&j.HeadRef, "feature")
		def(&j.BaseRef, "main")
		if onBase[j.Event] {
			def(&j.Ref, "refs/heads/"+j.BaseRef)
		}
		def(&j.Ref, "refs/pull/1/merge")
	}
	def(&j.Ref, "refs/heads/main")
	if !strings.HasPrefix(j.Ref, "refs/") {
		return j, fmt.Errorf("expected a full ref such as refs/heads/%[1]s or refs/tags/%[1]s, found %.100[1]q", j.Ref)
	}
	def(&j.SHA, derivedSHA(j.Repository+"@"+j.Ref))
	def(&j.Actor, "octocat")
	def(&j.ActorID, derivedID("actor", j.Actor))
	def(&j.Name, "deploy")
	def(&j.Workflow, "deploy")
	def(&j.WorkflowRef, j.Repository+"/.github/workflows/deploy.yml@"+j.Ref)
	def(&j.WorkflowSHA, j.SHA)
	def(&j.JobWorkflowRef, j.WorkflowRef)
	def(&j.JobWorkflowSHA, j.WorkflowSHA)
	def(&j.RunID, "1")
	def(&j.RunNumber, "10")
	def(&j.RunAttempt, "1")
	def(&j.CheckRunID, "5")
	def(&j.RunnerEnvironment, "github-hosted")
	return j, j.check()
}

func (j Job) check() error {
	for _, f := range []struct{ name, value string }{
		{"repository id", j.RepositoryID}, {"owner id", j.OwnerID}, {"actor id", j.ActorID}, {"run id", j.RunID},
		{"run number", j.RunNumber}, {"run attempt", j.RunAttempt}, {"check run id", j.CheckRunID},
	} {
		if !number.MatchString(f.value) {
			return fmt.Errorf("expected a number as the %s, found %.100q", f.name, f.value)
		}
	}
	for _, f := range []struct{ name, value string }{
		{"commit", j.SHA}, {"workflow's commit", j.WorkflowSHA}, {"job workflow's commit", j.JobWorkflowSHA},
	} {
		if !commit.MatchString(f.value) {
			return fmt.Errorf("expected 40 hex digits as the %s, found %.100q", f.name, f.value)
		}
	}
	switch j.Visibility {
	case "public", "private", "internal":
	default:
		return fmt.Errorf("expected public, private or internal as the visibility, found %.100q", j.Visibility)
	}
	for _, v := range []string{j.Repository, j.Event, j.Ref, j.HeadRef, j.BaseRef, j.Environment, j.Actor, j.Name, j.Workflow, j.WorkflowRef, j.JobWorkflowRef} {
		if len(v) > maxField || strings.ContainsAny(v, "\x00\r\n") {
			return fmt.Errorf("expected one line of at most %d bytes, found %.40q", maxField, v)
		}
	}
	for name, v := range j.Claims {
		if name == "" || len(name) > maxField || len(v) > maxField || strings.ContainsAny(v, "\x00\r\n") {
			return fmt.Errorf("expected a claim with a name and one line of at most %d bytes as its value, found %.40q", maxField, name)
		}
	}
	if len(j.Claims) > 200 {
		return errors.New("expected at most 200 claims")
	}
	return nil
}

func derivedID(kind, name string) string {
	key := kind + ":" + strings.ToLower(name)
	if id, ok := knownIDs[key]; ok {
		return id
	}
	sum := sha256.Sum256([]byte(key))
	// Nine digits, the size that such ids have; never one of the known ones.
	return strconv.FormatUint(100_000_000+binary.BigEndian.Uint64(sum[:])%900_000_000, 10)
}

func derivedSHA(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:20])
}

// claims are the claims that describe the job: all but those of one token.
func (j Job) claims() map[string]any {
	owner, _, _ := strings.Cut(j.Repository, "/")
	c := map[string]any{
		"repository":            j.Repository,
		"repository_id":         j.RepositoryID,
		"repository_owner":      owner,
		"repository_owner_id":   j.OwnerID,
		"repository_visibility": j.Visibility,
		"event_name":            j.Event,
		"ref":                   j.Ref,
		"ref_type":              refType(j.Ref),
		"ref_protected":         strconv.FormatBool(j.Protected),
		"sha":                   j.SHA,
		"head_ref":              j.HeadRef,
		"base_ref":              j.BaseRef,
		"actor":                 j.Actor,
		"actor_id":              j.ActorID,
		"workflow":              j.Workflow,
		"workflow_ref":          j.WorkflowRef,
		"workflow_sha":          j.WorkflowSHA,
		"job_workflow_ref":      j.JobWorkflowRef,
		"job_workflow_sha":      j.JobWorkflowSHA,
		"run_id":                j.RunID,
		"run_number":            j.RunNumber,
		"run_attempt":           j.RunAttempt,
		"check_run_id":          j.CheckRunID,
		"runner_environment":    j.RunnerEnvironment,
	}
	for name, v := range map[string]string{
		"environment": j.Environment, "enterprise": j.Enterprise, "enterprise_id": j.EnterpriseID,
	} {
		if v != "" {
			c[name] = v
		}
	}
	return c
}

// times are the claims that GitHub sends as numbers.
var times = map[string]bool{"iat": true, "nbf": true, "exp": true}

// payload is what a token of the job says.
func (j Job) payload(issuer, audience, id string, now time.Time, lifetime time.Duration) map[string]any {
	c := j.claims()
	c["iss"] = issuer
	c["aud"] = audience
	c["jti"] = id
	c["iat"] = now.Unix()
	c["nbf"] = now.Add(-notBefore).Unix()
	c["exp"] = now.Add(lifetime).Unix()
	for name, v := range j.Claims {
		n, err := strconv.ParseInt(v, 10, 64)
		switch {
		case v == "":
			delete(c, name)
		case times[name] && err == nil:
			c[name] = n
		default:
			c[name] = v
		}
	}
	if _, own := j.Claims["sub"]; !own {
		c["sub"] = subject(c, j.IDSubject)
	}
	return c
}

// subject builds the subject as GitHub does, from what the token says.
func subject(c map[string]any, ids bool) string {
	text := func(name string) string {
		s, _ := c[name].(string)
		// A colon in a value would begin a new part of the subject: a branch
		// could pass for an environment.
		return strings.ReplaceAll(s, ":", "%3A")
	}
	repo := text("repository")
	if owner, name, ok := strings.Cut(repo, "/"); ok && ids {
		repo = owner + "@" + text("repository_owner_id") + "/" + name + "@" + text("repository_id")
	}
	context := "ref:" + text("ref")
	if e := text("environment"); e != "" {
		context = "environment:" + e
	} else if pullRequestEvents[text("event_name")] {
		context = "pull_request"
	}
	return "repo:" + repo + ":" + context
}

func refType(ref string) string {
	if strings.HasPrefix(ref, "refs/tags/") {
		return "tag"
	}
	return "branch"
}

func refName(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/pull/"} {
		if name, ok := strings.CutPrefix(ref, prefix); ok {
			return name
		}
	}
	return ref
}
