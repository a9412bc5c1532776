package policytest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/strictjson"
)

// MaxKnown is how many distinct jobs of an audit log are compared.
const MaxKnown = 100_000

// perRun are the claims in which two runs of one job differ. Jobs that differ
// in nothing else are one.
var perRun = []string{
	"jti", "iat", "nbf", "exp",
	"run_id", "run_number", "run_attempt", "check_run_id", "sha", "workflow_sha", "job_workflow_sha", // GitHub
	"pipeline_id", "job_id", "runner_id", "ci_config_sha", // GitLab
	"build_number", "build_id", "build_commit", "agent_id", // Buildkite
}

// perRunSubject are the issuers whose subject holds the commit.
var perRunSubject = []string{"https://agent.buildkite.com"}

// Log collects the distinct jobs of an audit log. The zero Log is empty.
type Log struct {
	// Read are the configurations of which rules will look at the jobs: a
	// claim that one of them names tells jobs apart whatever it is.
	Read []*config.Config

	jobs  map[string]*Known
	named string // what Read names
	order []string
	// Without counts the records of our jobs that keep no claims; those of
	// strangers are not counted.
	Without int
}

// Add adds the job of a record. A caller whom no issuer vouches for is no job
// of ours.
func (l *Log) Add(r *audit.Record) error {
	if r.Verdict != audit.Allowed && r.Verdict != audit.Denied {
		return errors.New("expected a record, with the verdict allowed or denied")
	}
	if !r.Caller.Verified {
		return nil
	}
	if len(r.Caller.Claims) == 0 {
		l.Without++
		return nil
	}
	claims, err := strictjson.Object(r.Caller.Claims)
	if err != nil {
		return fmt.Errorf("record %s: reading its claims: %w", r.ID, err)
	}
	key, err := l.jobKey(claims)
	if err != nil {
		return fmt.Errorf("record %s: %w", r.ID, err)
	}
	j, known := l.jobs[key]
	if !known {
		if len(l.order) == MaxKnown {
			return fmt.Errorf("expected at most %d distinct jobs, found more: take a shorter time with --since", MaxKnown)
		}
		j = &Known{Name: jobName(r.Caller)}
		if l.jobs == nil {
			l.jobs = map[string]*Known{}
		}
		l.jobs[key] = j
		l.order = append(l.order, key)
	}
	j.Count++
	j.Claims = claims
	ask := Ask{Pool: r.Asked.Pool, Role: r.Asked.Role, Audience: r.Asked.Audience, Duration: time.Duration(r.Asked.Seconds) * time.Second}
	if !slices.Contains(j.Asks, ask) && len(j.Asks) < 100 {
		j.Asks = append(j.Asks, ask)
	}
	return nil
}

// Jobs are the distinct jobs, in the order in which they first stood in the log.
func (l *Log) Jobs() []Known {
	out := make([]Known, 0, len(l.order))
	for _, key := range l.order {
		out = append(out, *l.jobs[key])
	}
	return out
}

func (l *Log) jobKey(claims map[string]any) (string, error) {
	if l.named == "" {
		l.named = " "
		for _, c := range l.Read {
			l.named += fmt.Sprintf("%+v %+v", c.Rules, c.Issuers)
		}
	}
	iss, _ := claims["iss"].(string)
	same := make(map[string]any, len(claims))
	for name, v := range claims {
		if !slices.Contains(perRun, name) || strings.Contains(l.named, name) || name == "pipeline_id" && slices.Contains(perRunSubject, iss) {
			same[name] = v
		}
	}
	if slices.Contains(perRunSubject, iss) && !strings.Contains(l.named, "sub") {
		delete(same, "sub")
	}
	key, err := json.Marshal(same) // sorted by name
	return string(key), err
}

// jobName says in a few words which job it is.
func jobName(c audit.Caller) string {
	parts := []string{}
	for _, s := range []string{c.Repository, c.Ref, c.Environment, c.Event} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return c.Subject
	}
	return strings.Join(parts, " ")
}

// OpenSide reads a configuration, roles with trust policies, or a folder with
// both.
func OpenSide(path string) (*Side, error) {
	inv := inventory.Load(path)
	if len(inv.Problems) > 0 {
		return nil, errors.Join(inv.Problems...)
	}
	s := &Side{Name: path, Roles: inv.Roles, Providers: inv.Providers, files: map[string][sha256.Size]byte{}}
	for _, name := range inv.Files {
		data, err := config.ReadFile(name, maxSource)
		if err != nil {
			return nil, fmt.Errorf("reading %s again: %w", name, err)
		}
		s.files[s.below(name)] = sha256.Sum256(data)
	}
	switch {
	case len(inv.Configs) > 1:
		return nil, fmt.Errorf("%s: expected one configuration of a broker, found %d", path, len(inv.Configs))
	case len(inv.Configs) == 1:
		if err := s.configure(inv.Configs[0].File); err != nil {
			return nil, err
		}
	case len(inv.Roles) == 0:
		return nil, fmt.Errorf("%s: expected a broker's configuration, roles or trust policies, found none", path)
	}
	return s, nil
}

// maxSource bounds a file that is read only to tell whether it changed.
const maxSource = 64 << 20

// below is a file's path as it is on both sides of a comparison.
func (s *Side) below(file string) string {
	return strings.TrimPrefix(strings.TrimPrefix(file, s.Name), "/")
}

// sameSource reports whether a role is made of the same text on both sides.
// A role of Terraform may be made of any file of its side.
func sameSource(before, after *Side, was, is inventory.Role) bool {
	a, b := before.below(was.Position.File), after.below(is.Position.File)
	if !terraform(a) {
		sum, read := before.files[a]
		return a == b && read && sum == after.files[b]
	}
	same := func(one, other *Side) bool {
		for name, sum := range one.files {
			if terraform(name) && other.files[name] != sum {
				return false
			}
		}
		return true
	}
	return same(before, after) && same(after, before)
}

func terraform(name string) bool {
	return strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tf.json") || strings.HasSuffix(name, ".tfvars") || strings.HasSuffix(name, ".tfvars.json")
}
