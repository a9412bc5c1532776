// Package rules decides. Claims, a request and the time go in, a Decision
// comes out; nothing is read, fetched or logged on the way.
package rules

import (
	"time"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
)

// Request is what a caller wants beside proving who it is. All of it is
// optional, and none of it can widen a grant.
type Request struct {
	Role        string        // the ARN asked for
	Audience    string        // the aud wanted in the stint token
	Duration    time.Duration // of the AWS session; longer than the rule's is cut to the rule's
	SessionName string        // recorded; the rule's name is used
	Policy      string        // an inline session policy, passed on to STS
	PolicyARNs  []string      // managed session policies, passed on to STS
	// TokenOnly says that the caller wants the stint token itself, and not AWS
	// credentials.
	TokenOnly bool
	Time      time.Time // now

	pool *PoolGrant // set by Pool.Decide alone
}

// Effect is what a rule does with the claims that it matches.
type Effect string

// The effects.
const (
	Allow Effect = "allow"
	Deny  Effect = "deny"
)

// Reason is why a request was denied: a word that programs may branch on.
type Reason string

// The reasons.
const (
	NoRuleMatched   Reason = "no_rule_matched"   // no allow rule matches the claims
	DenyRule        Reason = "deny_rule"         // a deny rule matches them
	RoleNotListed   Reason = "role_not_listed"   // a rule matches, and none that does lists the role
	AudienceRefused Reason = "audience_refused"  // the rule does not give this audience
	SessionInvalid  Reason = "session_invalid"   // a required claim is absent, or a value is outside STS's limits
	SessionTooLarge Reason = "session_too_large" // STS would refuse the size of the session
	NotByToken      Reason = "not_by_token"      // the rule's role is had by the broker's own AWS credentials only
)

// Miss is the first thing in a rule that the claims did not satisfy.
type Miss struct {
	Claim    string   `json:"claim,omitempty"`    // the claim, or empty where it is no claim's fault
	Expected []string `json:"expected,omitempty"` // any of these
	Found    string   `json:"found,omitempty"`    // the claim's text
	Absent   bool     `json:"absent,omitempty"`   // the claim is not in the token
	Detail   string   `json:"detail"`             // the whole of it in one sentence
}

// Result is one rule's part in a decision.
type Result struct {
	Rule    string `json:"rule"`
	Effect  Effect `json:"effect"`
	Matched bool   `json:"matched"` // the claims satisfy the rule
	Miss    *Miss  `json:"miss,omitempty"`
}

// Decision is the verdict on claims and a request. Its zero value denies.
type Decision struct {
	grant *Grant

	Rule   string `json:"rule,omitempty"`   // the rule that decided, if one did
	Reason Reason `json:"reason,omitempty"` // on a denial
	Detail string `json:"detail,omitempty"` // on a denial: one sentence with expected and found
	Hint   string `json:"hint,omitempty"`   // on a denial: what would change it
	// Closest is, on a denial, the rule that decided or else the allow rule
	// that came closest, with each of its conditions; nil where there is none.
	Closest *Trace `json:"closest,omitempty"`
	// Change is, on a denial, what would have to change in the rules, and
	// Warning whom that would let in beside this caller.
	Change  string   `json:"change,omitempty"`
	Warning string   `json:"warning,omitempty"`
	Results []Result `json:"rules,omitempty"` // every rule, in the order of the file
}

// Allowed reports whether the decision grants something.
func (d Decision) Allowed() bool { return d.grant != nil }

// Grant is what an allowing decision gives.
func (d Decision) Grant() (Grant, bool) {
	if d.grant == nil {
		return Grant{}, false
	}
	return *d.grant, true
}

// Grant is what an allowing decision gives. Only Decide makes one that holds
// anything; its zero value has no role, and minting refuses it.
type Grant struct {
	claims     identity.Claims
	rule       string
	subject    string
	role       string
	via        Via
	externalID string
	audience   string
	session    Session
	policy     string
	policyARNs []string
	pool       *PoolGrant // nil where no pool gave it
}

// Claims are whose grant it is.
func (g Grant) Claims() identity.Claims { return g.claims }

// Rule is the name of the rule that gave it.
func (g Grant) Rule() string { return g.rule }

// Subject is the sub of the stint token: the issuer's name, a colon, and the
// job token's subject, so that no two issuers can be mistaken for one another.
func (g Grant) Subject() string { return g.subject }

// Role is the ARN of the one role that the grant may buy. It is empty where a
// pool's basic flow gave it: see PoolGrant.
func (g Grant) Role() string { return g.role }

// Via is how its AWS credentials are bought.
func (g Grant) Via() Via { return g.via }

// ExternalID is the external id of sts:AssumeRole, or empty.
func (g Grant) ExternalID() string { return g.externalID }

// Pool is the identity pool that gave the grant, if one did.
func (g Grant) Pool() (PoolGrant, bool) {
	if g.pool == nil {
		return PoolGrant{}, false
	}
	return *g.pool, true
}

// Via is how a grant's AWS credentials are bought.
type Via string

// The ways.
const (
	WebIdentity Via = config.WebIdentity // with a stint token, at a role that trusts the broker's issuer
	AssumeRole  Via = config.AssumeRole  // with the broker's own AWS credentials, at a role that trusts its account
)

// Audience is the aud of the stint token.
func (g Grant) Audience() string { return g.audience }

// Session is what the credentials carry.
func (g Grant) Session() Session { return g.session }

// Policy is the caller's inline session policy, or empty.
func (g Grant) Policy() string { return g.policy }

// PolicyARNs are the caller's managed session policies.
func (g Grant) PolicyARNs() []string { return g.policyARNs }

// Tag is a session tag.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Session is what a grant carries into the credentials.
type Session struct {
	Name           string        // 2-64 characters of [\w+=,.@-]
	Tags           []Tag         // at most 50, sorted by key
	Transitive     []string      // keys of Tags that role chaining inherits
	SourceIdentity string        // 2-64 characters of [\w+=,.@-], or empty
	Duration       time.Duration // 15 minutes to 12 hours
	// Chain are the keys of Tags that role chaining passes on at each hop.
	Chain []string
	// Dropped are the keys of tags that were left out because the session
	// would not have fit, in the order in which they went.
	Dropped []string
}
