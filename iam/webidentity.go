package iam

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The actions of a web identity call.
const (
	ActionAssumeRoleWithWebIdentity = "sts:AssumeRoleWithWebIdentity"
	ActionTagSession                = "sts:TagSession"
	ActionSetSourceIdentity         = "sts:SetSourceIdentity"
)

// Tag is a session tag.
type Tag struct {
	Key   string
	Value string
}

// WebIdentityCall is an AssumeRoleWithWebIdentity call as the trust policy of
// the role sees it. The token must have been verified before: nothing here
// looks at a signature, an expiry or the audiences of the provider.
type WebIdentityCall struct {
	// Provider is the ARN of the OIDC provider in the role's account, or the
	// host of one that AWS has built in, such as accounts.google.com.
	Provider string
	// Issuer is the iss of the token, an https URL. It must be the
	// provider's, or nothing is allowed.
	Issuer string
	// Claims is the decoded payload of the token. Numbers may be
	// json.Number, which keeps large ids exact, or float64.
	Claims map[string]any
	// Audience is the audience in effect. Where it is empty it is taken from
	// the claims: azp, else aud if that is a single one.
	Audience string

	RoleARN         string
	RoleSessionName string
	// RoleTags are the tags of the role itself.
	RoleTags map[string]string

	// Tags, TransitiveTagKeys and SourceIdentity are what the token asks for
	// the session.
	Tags              []Tag
	TransitiveTagKeys []string
	SourceIdentity    string

	// RolesClaim says that the token has a https://aws.amazon.com/roles claim
	// and that it names RoleARN. STS refuses a token whose claim does not
	// name the role before it looks at the trust policy.
	RolesClaim bool

	// DurationSeconds is the duration asked for. No trust policy sees it:
	// sts:DurationSeconds is a key of other actions.
	DurationSeconds int

	Time     time.Time // of the call; the zero time leaves the time keys out
	SourceIP string    // empty leaves aws:SourceIp out
	// UserAgent is what the client calls itself; empty leaves aws:UserAgent out.
	UserAgent string
	Region    string // the region of the endpoint called; empty leaves aws:RequestedRegion out
	// MoreKeys are further condition keys, such as aws:ResourceAccount.
	MoreKeys Context
}

// Context returns the condition keys of the call, each where AWS has it:
//
//   - HOST:amr, HOST:aud, HOST:sub and what IssuerClaims lists for the issuer,
//     where the token has the claim. HOST is the issuer without https://.
//     HOST:aud is the audience in effect, which is azp where the token has it.
//   - aws:FederatedProvider, aws:userid: the provider's ARN.
//   - aws:PrincipalAccount: the provider's account. aws:PrincipalType: User.
//   - sts:RoleSessionName, sts:SourceIdentity, sts:RoleAuthorizedByIdp.
//   - aws:RequestTag/KEY, aws:TagKeys, sts:TransitiveTagKeys.
//   - aws:ResourceTag/KEY and iam:ResourceTag/KEY: the tags of the role.
//   - aws:CurrentTime, aws:EpochTime, aws:SecureTransport, aws:SourceIp,
//     aws:RequestedRegion, aws:UserAgent.
//
// aws:PrincipalArn, aws:PrincipalTag and aws:PrincipalOrgID are absent: there
// is no AWS principal yet. So is sts:DurationSeconds. Keys of a network path
// (aws:SourceVpc and its kin) are absent as for any call over the internet.
func (c WebIdentityCall) Context() Context {
	ctx := Context{keys: make(map[string]contextEntry, 24)}
	c.claimKeys(&ctx)

	set := func(key, value string) {
		if value != "" {
			ctx.Set(key, value)
		}
	}
	if _, account, _, ok := splitIAM(c.Provider); ok {
		ctx.Set("aws:PrincipalAccount", account)
		ctx.Set("aws:userid", c.Provider)
	}
	set("aws:FederatedProvider", c.Provider)
	ctx.Set("aws:PrincipalType", "User")
	set("sts:RoleSessionName", c.RoleSessionName)
	set("sts:SourceIdentity", c.SourceIdentity)
	ctx.Set("sts:RoleAuthorizedByIdp", strconv.FormatBool(c.RolesClaim))

	for _, t := range c.Tags {
		// Two keys that differ in case only are two values of one key, which
		// no condition without a qualifier allows.
		ctx.Add("aws:RequestTag/"+t.Key, t.Value)
		ctx.Add("aws:TagKeys", t.Key)
	}
	if len(c.TransitiveTagKeys) > 0 {
		ctx.Set("sts:TransitiveTagKeys", c.TransitiveTagKeys...)
	}
	tags := make(map[string][]string, 2*len(c.RoleTags))
	for k, v := range c.RoleTags {
		tags["aws:ResourceTag/"+k] = []string{v}
		tags["iam:ResourceTag/"+k] = []string{v}
	}
	for key, e := range NewContext(tags).keys {
		ctx.keys[key] = e
	}

	if !c.Time.IsZero() {
		ctx.Set("aws:CurrentTime", c.Time.UTC().Format("2006-01-02T15:04:05Z"))
		ctx.Set("aws:EpochTime", strconv.FormatInt(c.Time.Unix(), 10))
	}
	ctx.Set("aws:SecureTransport", "true")
	set("aws:SourceIp", c.SourceIP)
	set("aws:RequestedRegion", c.Region)
	set("aws:UserAgent", c.UserAgent)
	for _, key := range c.MoreKeys.Keys() {
		values, _ := c.MoreKeys.Get(key)
		ctx.Set(key, values...)
	}
	return ctx
}

func (c WebIdentityCall) claimKeys(ctx *Context) {
	host := c.host()
	if host == "" {
		return
	}
	claims, _ := IssuerClaims(host)
	for _, claim := range claims {
		switch claim {
		case "aud":
			if aud := c.audience(); aud != "" {
				ctx.Set(host+":aud", aud)
			}
			continue
		case "oaud":
			// Google only: aud as it stands in the token, where azp took its place.
			if values, ok := claimValues(c.Claims["aud"]); ok {
				ctx.Set(host+":oaud", values...)
			}
			continue
		}
		value, ok := c.Claims[claim]
		if !ok {
			if outer, inner, nested := strings.Cut(claim, "/"); nested {
				if object, isObject := c.Claims[outer].(map[string]any); isObject {
					value = object[inner]
				}
			}
		}
		if values, ok := claimValues(value); ok {
			ctx.Set(host+":"+claim, values...)
		}
	}
}

// audience returns the audience in effect: azp overrides aud.
func (c WebIdentityCall) audience() string {
	if c.Audience != "" {
		return c.Audience
	}
	if azp, _ := c.Claims["azp"].(string); azp != "" {
		return azp
	}
	if values, _ := claimValues(c.Claims["aud"]); len(values) == 1 {
		return values[0]
	}
	return "" // STS refuses a token with several audiences and no azp
}

// claimValues returns what a claim is as the values of a condition key. An
// object or null is no value.
func claimValues(v any) (values []string, ok bool) {
	switch v := v.(type) {
	case []any:
		values = make([]string, 0, len(v))
		for _, item := range v {
			s, ok := scalar(item)
			if !ok {
				return nil, false
			}
			values = append(values, s)
		}
		return values, true
	case []string:
		return v, true
	}
	s, ok := scalar(v)
	return []string{s}, ok
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

// host returns the issuer as it stands in condition keys, or nothing where
// the issuer is not the provider's.
func (c WebIdentityCall) host() string {
	host := c.Provider
	if !slices.Contains(builtinProviders, host) {
		_, _, resource, _ := splitIAM(c.Provider)
		var ok bool
		if host, ok = strings.CutPrefix(resource, "oidc-provider/"); !ok {
			return ""
		}
	}
	issuer, https := strings.CutPrefix(c.Issuer, "https://")
	if !https || strings.TrimSuffix(host, "/") != strings.TrimSuffix(issuer, "/") {
		return ""
	}
	return host
}

// WebIdentityResult is the verdict of a trust policy on a web identity call.
type WebIdentityResult struct {
	Allowed bool `json:"allowed"`
	// Denied is the first action that was not allowed, such as
	// sts:TagSession; empty where the call is allowed.
	Denied string `json:"denied,omitempty"`
	// Actions holds the evaluations one after the other, all of them even
	// where an earlier one denied.
	Actions []Result `json:"actions"`
}

// EvaluateWebIdentity decides whether the trust policy p lets the call in:
// sts:AssumeRoleWithWebIdentity, then sts:TagSession if the session gets tags,
// then sts:SetSourceIdentity if it gets a source identity. Each is an
// evaluation of its own with the same keys, and all must be allowed.
func EvaluateWebIdentity(p *Policy, c WebIdentityCall) WebIdentityResult {
	actions := []string{ActionAssumeRoleWithWebIdentity}
	if len(c.Tags) > 0 || len(c.TransitiveTagKeys) > 0 {
		actions = append(actions, ActionTagSession)
	}
	if c.SourceIdentity != "" {
		actions = append(actions, ActionSetSourceIdentity)
	}
	request := Request{
		Resource:  c.RoleARN,
		Principal: Principal{Federated: c.Provider},
		Context:   c.Context(),
	}
	result := WebIdentityResult{Allowed: true}
	for _, action := range actions {
		request.Action = action
		r := p.Evaluate(request)
		if c.host() == "" {
			// Keys of one issuer must never speak for a token of another.
			r.Decision = ImplicitDeny
			r.Note = "the token's issuer is not the provider's"
		}
		if r.Decision != Allow && result.Allowed {
			result.Allowed, result.Denied = false, action
		}
		result.Actions = append(result.Actions, r)
	}
	return result
}
