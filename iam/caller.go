package iam

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// NamedPolicy is a policy and the name that results call it by.
type NamedPolicy struct {
	Name   string
	Policy *Policy
}

// Policies are the policies on the caller's side. The zero value has none, so
// that nothing is allowed but what a resource's own policy gives.
type Policies struct {
	// Identity are the inline and the managed policies of the role or user.
	Identity []NamedPolicy
	// Boundary is the permissions boundary. Nil: there is none.
	Boundary *NamedPolicy
	// Session are the inline and the managed policies passed when the session
	// was made. Nil: none were passed, and they limit nothing.
	Session []NamedPolicy
	// ServiceControl are the service control policies that apply to the
	// caller's account, a list for each level: the root, each organizational
	// unit, the account. Each level must allow. Nil: they limit nothing.
	ServiceControl [][]NamedPolicy
}

// Caller is who calls AWS: a session of a role, or an IAM user.
type Caller struct {
	// ARN is that of the role, with its path, or of the user.
	ARN string
	// SessionName is the RoleSessionName of a role's session. Where it is
	// empty no policy can name the session, only its role.
	SessionName string
	ID          string // AROA... of the role, AIDA... of the user; may be empty
	// OwnTags are the tags of the role or the user.
	OwnTags map[string]string
	// Tags are the session's. One takes the place of the own tag of its key.
	Tags []Tag
	// TransitiveTagKeys are the keys of Tags that a session which this one
	// makes inherits.
	TransitiveTagKeys []string
	SourceIdentity    string
	// FederatedProvider is the ARN of the OIDC or SAML provider of a session
	// that a federated caller made.
	FederatedProvider string
	// TokenIssueTime is when the session was made; the zero time leaves
	// aws:TokenIssueTime out.
	TokenIssueTime time.Time
	OrgID          string   // o-...; empty outside of an organization
	OrgPaths       []string // such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/
	Policies       Policies
}

// IsRole reports whether the caller is a session of a role.
func (c Caller) IsRole() bool {
	_, _, resource, ok := splitIAM(c.ARN)
	return ok && strings.HasPrefix(resource, "role/")
}

func (c Caller) isUser() bool {
	_, _, resource, ok := splitIAM(c.ARN)
	return ok && strings.HasPrefix(resource, "user/")
}

// serviceLinked reports whether a service of AWS owns the role.
func (c Caller) serviceLinked() bool {
	return strings.Contains(c.ARN, ":role/aws-service-role/")
}

// AccountID is the caller's account, or empty where the ARN is none.
func (c Caller) AccountID() string {
	_, account, _, _ := splitIAM(c.ARN)
	return account
}

// Tag is the value of a tag of the caller: a session tag, or else its own. Keys
// compare in any case.
func (c Caller) Tag(key string) (value string, ok bool) {
	for _, t := range c.Tags {
		if strings.EqualFold(t.Key, key) {
			return t.Value, true
		}
	}
	for k, v := range c.OwnTags {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}

// Principal is the caller as policies name it.
func (c Caller) Principal() Principal {
	if !c.IsRole() {
		return User(c.ARN, c.ID)
	}
	p := RoleSession(c.ARN, c.SessionName, c.ID)
	if c.SessionName == "" {
		p.AWS = slices.DeleteFunc(p.AWS, isSessionARN)
	}
	return p
}

func isSessionARN(arn string) bool {
	return strings.HasPrefix(arn, "arn:") && strings.Contains(arn, ":assumed-role/")
}

// Context returns the condition keys that say who calls, each where AWS has it:
//
//   - aws:PrincipalArn (the role's ARN for a session), aws:PrincipalAccount,
//     aws:PrincipalType (AssumedRole or User), aws:PrincipalTag/KEY,
//     aws:PrincipalIsAWSService (false), aws:ViaAWSService (false).
//   - aws:userid: ROLEID:SESSIONNAME, or the user's id, where ID is known;
//     aws:username for a user.
//   - aws:SourceIdentity, aws:FederatedProvider, aws:TokenIssueTime,
//     aws:PrincipalOrgID, aws:PrincipalOrgPaths, where the caller has them.
//   - aws:CurrentTime, aws:EpochTime, unless at is the zero time;
//     aws:SecureTransport (true).
//
// aws:MultiFactorAuthPresent and aws:MultiFactorAuthAge are absent, as for
// sessions made with a web identity.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func (c Caller) Context(at time.Time) Context {
	ctx := Context{keys: make(map[string]contextEntry, 24)}
	set := func(key, value string) {
		if value != "" {
			ctx.Set(key, value)
		}
	}
	set("aws:PrincipalArn", c.ARN)
	set("aws:PrincipalAccount", c.AccountID())
	if c.IsRole() {
		ctx.Set("aws:PrincipalType", "AssumedRole")
		if c.ID != "" && c.SessionName != "" {
			ctx.Set("aws:userid", c.ID+":"+c.SessionName)
		}
	} else {
		ctx.Set("aws:PrincipalType", "User")
		set("aws:userid", c.ID)
		if _, _, resource, ok := splitIAM(c.ARN); ok && strings.HasPrefix(resource, "user/") {
			ctx.Set("aws:username", resource[strings.LastIndexByte(resource, '/')+1:])
		}
	}
	for key, values := range c.tagKeys() {
		ctx.Set(key, values...)
	}
	set("aws:SourceIdentity", c.SourceIdentity)
	set("aws:FederatedProvider", c.FederatedProvider)
	set("aws:PrincipalOrgID", c.OrgID)
	if len(c.OrgPaths) > 0 {
		ctx.Set("aws:PrincipalOrgPaths", c.OrgPaths...)
	}
	if !c.TokenIssueTime.IsZero() {
		ctx.Set("aws:TokenIssueTime", c.TokenIssueTime.UTC().Format("2006-01-02T15:04:05Z"))
	}
	ctx.Set("aws:PrincipalIsAWSService", "false")
	ctx.Set("aws:ViaAWSService", "false")
	ctx.Set("aws:SecureTransport", "true")
	if !at.IsZero() {
		ctx.Set("aws:CurrentTime", at.UTC().Format("2006-01-02T15:04:05Z"))
		ctx.Set("aws:EpochTime", strconv.FormatInt(at.Unix(), 10))
	}
	return ctx
}

func (c Caller) tagKeys() map[string][]string {
	keys := map[string][]string{}
	for _, k := range slices.Sorted(maps.Keys(c.OwnTags)) {
		if !slices.ContainsFunc(c.Tags, func(t Tag) bool { return strings.EqualFold(t.Key, k) }) {
			keys["aws:PrincipalTag/"+k] = []string{c.OwnTags[k]}
		}
	}
	for _, t := range c.Tags {
		keys["aws:PrincipalTag/"+t.Key] = []string{t.Value}
	}
	return keys
}

// Session is the session that the call makes where it is allowed. Its policies
// are the role's, which the call does not know: fill them in.
func (c WebIdentityCall) Session() Caller {
	return Caller{
		ARN: c.RoleARN, SessionName: c.RoleSessionName, OwnTags: c.RoleTags, Tags: slices.Clone(c.Tags),
		TransitiveTagKeys: slices.Clone(c.TransitiveTagKeys), SourceIdentity: c.SourceIdentity, FederatedProvider: c.Provider,
		TokenIssueTime: c.Time,
	}
}
