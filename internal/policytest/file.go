// Package policytest runs tests of policies: jobs in, expected decisions out;
// and compares what two configurations give to the same jobs. It asks the same
// engines that decide in earnest and decides nothing itself.
package policytest

import (
	"time"

	"github.com/stint-dev/stint/internal/source"
)

// The bounds of a test file.
const (
	MaxFile  = 1 << 20 // bytes
	maxJobs  = 1000
	maxTests = 10_000
	maxCases = 100_000 // tests times their jobs
)

// File is a file of tests, as it was written. Paths in it are relative to its
// folder.
type File struct {
	Name   string
	Config string   // the broker's configuration; may be empty
	Roles  []string // files and folders with roles; may be empty
	Jobs   []Job
	Tests  []Test
}

// Job is a named job: a preset with changes, claims, or a captured token. Of
// Like, Claims, ClaimsFile and TokenFile exactly one is set.
type Job struct {
	Name       string
	Position   source.Position
	Like       string         // a preset
	With       map[string]any // changes of the claims; nil takes a claim out
	Claims     map[string]any
	ClaimsFile string
	TokenFile  string
}

// Test is one test, of one job or of several.
type Test struct {
	Name     string
	Position source.Position
	Jobs     []string
	Pool     string // an identity pool, by its id or name, instead of the rules
	Basic    bool   // with Pool: its basic (classic) flow
	Role     string // the role asked for
	Audience string // with Policy the audience of the job's token, else that wanted in the stint token
	Duration time.Duration
	Time     time.Time // of the request; the zero time is now

	// Policy names a trust policy that is to see the job's own token, without
	// a broker between: FILE, or FILE#ROLE where the file has several.
	Policy      string
	Provider    string // the ARN of the OIDC provider, where Policy leaves it open
	SessionName string // of the call, with Policy

	Expect Expect
}

// Expect is what a test expects. What is nil or empty is not looked at.
type Expect struct {
	Decision       string // allow or deny
	By             string // who denies: rules, or trust
	Rule           *string
	Reason         string // of a denial by the rules
	Cause          string // of a denial, as `stint explain --json` calls it in kind
	Role           *string
	Audience       *string
	Subject        *string
	SessionName    *string
	SourceIdentity *string
	Duration       *time.Duration
	Tags           map[string]*string // nil: the session must not have the tag
	Transitive     *[]string
}

// The expected decisions, and who may deny.
const (
	Allow   = "allow"
	Deny    = "deny"
	ByRules = "rules"
	ByTrust = "trust"
)
