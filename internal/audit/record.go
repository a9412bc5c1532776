// Package audit keeps the record of every decision. Its Recorded type is the
// proof that a grant is on record, and minting takes nothing else.
package audit

import (
	"encoding/json"
	"time"
)

// Verdict is what was decided.
type Verdict string

// The verdicts. There is no third.
const (
	Denied  Verdict = "denied"
	Allowed Verdict = "allowed"
)

// Record is one decision. It never holds a token or a credential.
type Record struct {
	ID      string    `json:"id"`
	Seq     int64     `json:"seq"` // the store's order, from 1
	Time    time.Time `json:"time"`
	Door    string    `json:"door"` // which protocol asked: token, aws-sts, aws-cognito-identity
	Remote  string    `json:"remote,omitempty"`
	Caller  Caller    `json:"caller"`
	Asked   Asked     `json:"asked"`
	Verdict Verdict   `json:"verdict"`
	Rule    string    `json:"rule,omitempty"`   // the rule that decided
	Reason  string    `json:"reason,omitempty"` // on a denial: its kind, a word programs may branch on
	Detail  string    `json:"detail,omitempty"` // on a denial: a sentence
	Granted *Granted  `json:"granted,omitempty"`
	// Outcome is what became of an allowed request; nil means that it was
	// never known, because the broker stopped before it was.
	Outcome *Outcome `json:"outcome,omitempty"`
}

// Role is the role that the record is about: the one granted, or on a denial
// the one asked for.
func (r *Record) Role() string {
	if r.Granted != nil {
		return r.Granted.Role
	}
	return r.Asked.Role
}

// Caller is who asked, as the token says.
type Caller struct {
	Verified     bool   `json:"verified"` // false: anybody may have written the rest
	IssuerName   string `json:"issuer_name,omitempty"`
	Issuer       string `json:"issuer,omitempty"`
	Subject      string `json:"subject,omitempty"`
	Repository   string `json:"repository,omitempty"`
	RepositoryID string `json:"repository_id,omitempty"`
	OwnerID      string `json:"owner_id,omitempty"`
	Ref          string `json:"ref,omitempty"`
	Environment  string `json:"environment,omitempty"`
	Event        string `json:"event,omitempty"`
	Workflow     string `json:"workflow_ref,omitempty"`
	RunID        string `json:"run_id,omitempty"`
	RunAttempt   string `json:"run_attempt,omitempty"`
	Actor        string `json:"actor,omitempty"`
	ActorID      string `json:"actor_id,omitempty"`
	TokenID      string `json:"jti,omitempty"`
	TokenSHA256  string `json:"token_sha256,omitempty"`
	// Claims are the signed claims of a caller whose token was verified, as
	// JSON, without those of one token alone (jti and the times), so that other
	// rules can be tried on the same job. They are left out, all of them, where
	// they are larger than 8 KiB or hold what a reader would not see as it is.
	Claims json.RawMessage `json:"claims,omitempty"`
}

// Asked is what the request wanted.
type Asked struct {
	Role          string        `json:"role,omitempty"`
	Audience      string        `json:"audience,omitempty"`
	Duration      time.Duration `json:"-"`
	Seconds       int64         `json:"duration_seconds,omitempty"` // of Duration
	SessionName   string        `json:"session_name,omitempty"`
	SessionPolicy bool          `json:"session_policy,omitempty"`
	PolicyARNs    []string      `json:"policy_arns,omitempty"`
	Pool          string        `json:"identity_pool,omitempty"`
	Identity      string        `json:"identity_id,omitempty"`
}

// Granted is what an allowing decision gave.
type Granted struct {
	Role           string            `json:"role,omitempty"`
	Audience       string            `json:"audience"`
	SessionName    string            `json:"session_name,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	TransitiveTags []string          `json:"transitive_tags,omitempty"`
	SourceIdentity string            `json:"source_identity,omitempty"`
	Seconds        int64             `json:"duration_seconds,omitempty"`
	// ChainTags are the keys of Tags that role chaining passes on, and
	// DroppedTags those of tags that were left out to make the session fit.
	ChainTags   []string `json:"chain_tags,omitempty"`
	DroppedTags []string `json:"dropped_tags,omitempty"`
	Via         string   `json:"via,omitempty"` // assume-role; empty: a web identity
	// Pool and Identity are those of a grant by an identity pool. In its basic
	// flow there is no Role, and Roles are those that the token may buy; none:
	// any that trusts the pool.
	Pool     string   `json:"identity_pool,omitempty"`
	Identity string   `json:"identity_id,omitempty"`
	Roles    []string `json:"roles,omitempty"`
}

// Outcome is what was issued, by ids and expiry, or why nothing was.
type Outcome struct {
	Time         time.Time  `json:"time"`
	Issued       bool       `json:"issued"`
	TokenID      string     `json:"token_jti,omitempty"` // the stint token's jti
	KeyID        string     `json:"kid,omitempty"`
	TokenExpires *time.Time `json:"token_expires,omitempty"`
	AccessKeyID  string     `json:"access_key_id,omitempty"`
	AssumedRole  string     `json:"assumed_role,omitempty"`
	// AssumedRoleID is the role's unique id and the session's name, as AWS has
	// them in aws:userid.
	AssumedRoleID string     `json:"assumed_role_id,omitempty"`
	Expires       *time.Time `json:"expires,omitempty"` // of the AWS credentials
	Error         string     `json:"error,omitempty"`
	ErrorCode     string     `json:"error_code,omitempty"` // AWS's, where AWS refused
	AWSRequestID  string     `json:"aws_request_id,omitempty"`
}
