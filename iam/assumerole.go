package iam

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ActionAssumeRole is the action of a role that is assumed by an AWS caller.
const ActionAssumeRole = "sts:AssumeRole"

// The limits of AWS STS on a session (AssumeRole API reference; IAM User Guide,
// "Role chaining").
const (
	DefaultSession    = time.Hour
	MaxChainedSession = time.Hour // of a session that a role's session makes
	maxSessionTags    = 50
)

// AssumeRoleCall is a call of sts:AssumeRole: role chaining, where the caller is
// a session of a role itself.
type AssumeRoleCall struct {
	Caller Caller

	RoleARN  string
	RoleTags map[string]string // tags of the role itself
	// MaxSession is the role's MaxSessionDuration; 0 where it is not known.
	MaxSession time.Duration

	RoleSessionName string
	ExternalID      string
	// Tags and TransitiveTagKeys are what the call passes. What the caller's
	// session hands on is not among them.
	Tags              []Tag
	TransitiveTagKeys []string
	// SourceIdentity is what the call sets; empty: the caller's goes on.
	SourceIdentity string
	Duration       time.Duration // 0: DefaultSession

	Time     time.Time // of the call; the zero time leaves the time keys out
	SourceIP string    // empty leaves aws:SourceIp out
	Region   string    // the region of the endpoint called; empty leaves aws:RequestedRegion out
	// MoreKeys are further condition keys, such as aws:ResourceOrgID.
	MoreKeys Context
	// ResourceControl are the resource control policies of the role's account,
	// a list for each level.
	ResourceControl [][]NamedPolicy
}

// RefusalKind is what STS refuses before it asks any policy.
type RefusalKind string

// The kinds of refusals.
const (
	RefusedDuration       RefusalKind = "duration"
	RefusedInheritedTag   RefusalKind = "inherited_tag"
	RefusedTags           RefusalKind = "tags"
	RefusedSourceIdentity RefusalKind = "source_identity"
)

// Refusal says why STS refuses a call whatever the policies say.
type Refusal struct {
	Kind    RefusalKind `json:"kind"`
	Tag     string      `json:"tag,omitempty"` // whose key is at fault
	Message string      `json:"message"`
}

func (r *Refusal) Error() string { return r.Message }

// Check says why STS refuses the call before it asks any policy, or nothing.
// The form of names and values is not looked at.
func (c AssumeRoleCall) Check() *Refusal {
	switch {
	case c.Caller.IsRole() && c.Duration > MaxChainedSession:
		return &Refusal{Kind: RefusedDuration, Message: fmt.Sprintf("a session that a role's session makes lasts at most %s, whatever the role's MaxSessionDuration is; asked for is %s", MaxChainedSession, c.Duration)}
	case c.MaxSession > 0 && c.Duration > c.MaxSession:
		return &Refusal{Kind: RefusedDuration, Message: fmt.Sprintf("the role's MaxSessionDuration is %s; asked for is %s", c.MaxSession, c.Duration)}
	case c.SourceIdentity != "" && c.Caller.SourceIdentity != "" && c.SourceIdentity != c.Caller.SourceIdentity:
		return &Refusal{Kind: RefusedSourceIdentity, Message: "the caller's session has a source identity, which cannot be changed"}
	}
	for i, t := range c.Tags {
		if _, has := c.Caller.sessionTag(t.Key); has && containsFold(c.Caller.TransitiveTagKeys, t.Key) {
			return &Refusal{Kind: RefusedInheritedTag, Tag: t.Key, Message: fmt.Sprintf("the tag %s is transitive in the caller's session: it goes on by itself and cannot be passed again", t.Key)}
		}
		if slices.ContainsFunc(c.Tags[:i], func(u Tag) bool { return strings.EqualFold(t.Key, u.Key) }) {
			return &Refusal{Kind: RefusedTags, Tag: t.Key, Message: fmt.Sprintf("the tag %s is passed twice; keys compare in any case", t.Key)}
		}
	}
	for _, key := range c.TransitiveTagKeys {
		if !slices.ContainsFunc(c.Tags, func(t Tag) bool { return strings.EqualFold(t.Key, key) }) {
			return &Refusal{Kind: RefusedTags, Tag: key, Message: fmt.Sprintf("the call makes the key %s transitive and passes no such tag", key)}
		}
	}
	if n := len(c.Session().Tags); n > maxSessionTags {
		return &Refusal{Kind: RefusedTags, Message: fmt.Sprintf("the session would have %d tags with those that it inherits, and STS takes %d", n, maxSessionTags)}
	}
	return nil
}

func containsFold(keys []string, key string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, key) })
}

func (c Caller) sessionTag(key string) (string, bool) {
	c.OwnTags = nil
	return c.Tag(key)
}

// Session is the session that the call makes where it is allowed: with the tags
// that it passes, the transitive ones of the caller's session, and the source
// identity, which sticks. Its policies are the role's, which the call does not
// know: fill them in.
func (c AssumeRoleCall) Session() Caller {
	s := Caller{
		ARN: c.RoleARN, SessionName: c.RoleSessionName, OwnTags: c.RoleTags, Tags: slices.Clone(c.Tags),
		TransitiveTagKeys: slices.Clone(c.TransitiveTagKeys), SourceIdentity: c.sourceIdentity(), TokenIssueTime: c.Time,
	}
	for _, t := range c.Caller.Tags {
		if containsFold(c.Caller.TransitiveTagKeys, t.Key) {
			s.Tags = append(s.Tags, t)
			s.TransitiveTagKeys = append(s.TransitiveTagKeys, t.Key)
		}
	}
	return s
}

func (c AssumeRoleCall) sourceIdentity() string {
	if c.SourceIdentity != "" {
		return c.SourceIdentity
	}
	return c.Caller.SourceIdentity
}

// Actions are the actions of the call, each of which must be allowed:
// sts:AssumeRole, sts:TagSession where the session gets tags, and
// sts:SetSourceIdentity where it gets a source identity; inherited ones
// included.
func (c AssumeRoleCall) Actions() []string {
	actions := []string{ActionAssumeRole}
	if len(c.Session().Tags) > 0 || len(c.TransitiveTagKeys) > 0 {
		actions = append(actions, ActionTagSession)
	}
	if c.sourceIdentity() != "" {
		actions = append(actions, ActionSetSourceIdentity)
	}
	return actions
}

// Keys returns the condition keys of the call beside those of its caller:
// sts:RoleSessionName, sts:ExternalId, sts:SourceIdentity, aws:RequestTag/KEY
// and aws:TagKeys for the tags that are passed, sts:TransitiveTagKeys,
// aws:ResourceTag/KEY and iam:ResourceTag/KEY for the role's, aws:SourceIp and
// aws:RequestedRegion.
func (c AssumeRoleCall) Keys() Context {
	ctx := Context{keys: make(map[string]contextEntry, 16)}
	for key, value := range map[string]string{
		"sts:RoleSessionName": c.RoleSessionName, "sts:ExternalId": c.ExternalID, "sts:SourceIdentity": c.sourceIdentity(),
		"aws:SourceIp": c.SourceIP, "aws:RequestedRegion": c.Region,
	} {
		if value != "" {
			ctx.Set(key, value)
		}
	}
	for _, t := range c.Tags {
		ctx.Add("aws:RequestTag/"+t.Key, t.Value)
		ctx.Add("aws:TagKeys", t.Key)
	}
	if len(c.TransitiveTagKeys) > 0 {
		ctx.Set("sts:TransitiveTagKeys", c.TransitiveTagKeys...)
	}
	for k, v := range c.RoleTags {
		ctx.Set("aws:ResourceTag/"+k, v)
		ctx.Set("iam:ResourceTag/"+k, v)
	}
	for _, key := range c.MoreKeys.Keys() {
		values, _ := c.MoreKeys.Get(key)
		ctx.Set(key, values...)
	}
	return ctx
}

// AssumeRoleResult is the verdict on a call of sts:AssumeRole.
type AssumeRoleResult struct {
	Allowed bool `json:"allowed"`
	// Refused is why STS refuses it before it asks any policy; nil: it does
	// not.
	Refused *Refusal `json:"refused,omitempty"`
	// Denied is the first action that was not allowed.
	Denied string `json:"denied,omitempty"`
	// Actions holds the verdict on each of Actions, all of them even where an
	// earlier one denied.
	Actions []AccessResult `json:"actions"`
}

// EvaluateAssumeRole decides on a call of sts:AssumeRole by the trust policy of
// the role and the policies of the caller. The trust policy must allow it in
// any case. The caller's identity policies must too where the role is another
// account's, or where the trust policy names the caller's account and not the
// caller.
func EvaluateAssumeRole(trust *Policy, c AssumeRoleCall) AssumeRoleResult {
	result := AssumeRoleResult{Refused: c.Check(), Allowed: true}
	keys := c.Keys()
	for _, action := range c.Actions() {
		r := Authorize(Access{
			Caller: c.Caller, Action: action, Resource: c.RoleARN, Keys: keys, Time: c.Time,
			ResourcePolicy: &NamedPolicy{Name: "trust policy", Policy: trust}, ResourceControl: c.ResourceControl,
		})
		if r.Decision != Allow && result.Allowed {
			result.Allowed, result.Denied = false, action
		}
		result.Actions = append(result.Actions, r)
	}
	if result.Refused != nil {
		result.Allowed = false
	}
	return result
}
