package cloudtrail

import (
	"cmp"
	"strings"

	"github.com/stint-dev/stint/internal/audit"
)

// Broker is what a record does not say of the broker that made it.
type Broker struct {
	Issuer string // its own: the iss of what it signs
	Region string // whose STS it calls
}

// FromRecord is a record of the broker as the event that AWS has of it, or on a
// denial would have had: the call that assumes the role. What AWS does not know,
// the record's id, the rule and the door, stands in additionalEventData under
// stint.
//
// The caller of a granted call is the broker's provider with the subject that
// it signed; of a denied one it is the job, as its own token says.
func FromRecord(r audit.Record, b Broker) Event {
	role := r.Role()
	name := assumeRoleWithWebIdentity
	if r.Granted != nil && r.Granted.Via != "" {
		name = assumeRole
	}
	e := newEvent(name, r.Time, b.Region, r.Remote, role)
	e.EventID = eventID(r.ID)
	e.RequestID = r.ID
	e.AdditionalEventData = map[string]any{"stint": extra(r)}
	e.RequestParameters = &RequestParameters{
		RoleARN: role, RoleSessionName: r.Asked.SessionName, DurationSeconds: r.Asked.Seconds, PolicyARNs: arns(r.Asked.PolicyARNs),
	}
	if r.Granted == nil {
		e.UserIdentity = webIdentity(role, r.Caller.Issuer, r.Asked.Audience, r.Caller.Subject)
		e.ErrorCode, e.ErrorMessage = denialCode(r), cmp.Or(r.Detail, "Not authorized to perform sts:AssumeRoleWithWebIdentity")
		return e
	}
	granted(&e, r, b, role)
	if r.Outcome != nil {
		outcome(&e, r.Outcome)
	}
	return e
}

// granted fills in what the broker gave.
func granted(e *Event, r audit.Record, b Broker, role string) {
	g := r.Granted
	p := e.RequestParameters
	p.RoleSessionName, p.DurationSeconds, p.TransitiveTagKeys = g.SessionName, g.Seconds, g.TransitiveTags
	p.SourceIdentity = g.SourceIdentity
	subject := cmp.Or(g.Identity, r.Caller.IssuerName+":"+r.Caller.Subject)
	if e.EventName == assumeRole {
		p.Tags = tagList(g.Tags)
		// Whose credentials the broker has no record says.
		e.UserIdentity = UserIdentity{Type: "AssumedRole", PrincipalID: "stint"}
		return
	}
	p.PrincipalTags = g.Tags
	e.UserIdentity = webIdentity(role, b.Issuer, g.Audience, subject)
}

// outcome fills in what became of a grant.
func outcome(e *Event, o *audit.Outcome) {
	e.RequestID = cmp.Or(o.AWSRequestID, e.RequestID)
	if !o.Issued {
		e.ErrorCode, e.ErrorMessage = cmp.Or(o.ErrorCode, "ServiceUnavailable"), o.Error
		return
	}
	if o.AccessKeyID == "" || o.Expires == nil {
		return // a token was issued: what it buys AWS knows
	}
	e.ResponseElements = &ResponseElements{
		Credentials:     &Credentials{o.AccessKeyID, expiration(*o.Expires)},
		AssumedRoleUser: &AssumedRole{ARN: o.AssumedRole},
		SourceIdentity:  e.RequestParameters.SourceIdentity,
	}
	if e.EventName == assumeRoleWithWebIdentity {
		e.ResponseElements.Provider = e.UserIdentity.IdentityProvider
		e.ResponseElements.SubjectFromWebIdentityToken = e.UserIdentity.UserName
	}
}

// webIdentity is a caller with a token, as CloudTrail names one: by the
// provider, the audience and the subject.
func webIdentity(role, issuer, audience, subject string) UserIdentity {
	provider := strings.TrimPrefix(issuer, "https://")
	if head, _, ok := strings.Cut(role, ":role/"); ok && provider != "" {
		provider = head + ":oidc-provider/" + provider
	}
	var known []string
	for _, part := range []string{provider, audience, subject} {
		if part != "" {
			known = append(known, part)
		}
	}
	return UserIdentity{Type: "WebIdentityUser", PrincipalID: strings.Join(known, ":"), UserName: subject, IdentityProvider: provider}
}

// denialCode is the error code of STS for a denial: whose token was believed
// was denied, and anyone else's was not valid.
func denialCode(r audit.Record) string {
	switch {
	case r.Reason == "token_expired":
		return "ExpiredTokenException"
	case r.Caller.Verified:
		return "AccessDenied"
	}
	return "InvalidIdentityToken"
}

// extra is what AWS does not know of a decision.
func extra(r audit.Record) map[string]any {
	x := map[string]any{"record": r.ID, "door": r.Door, "verdict": string(r.Verdict), "callerVerified": r.Caller.Verified}
	for name, value := range map[string]string{
		"rule": r.Rule, "reason": r.Reason, "issuer": r.Caller.Issuer, "subject": r.Caller.Subject, "repository": r.Caller.Repository,
		"ref": r.Caller.Ref, "environment": r.Caller.Environment, "event": r.Caller.Event, "runId": r.Caller.RunID, "actor": r.Caller.Actor,
		"identityPool": r.Asked.Pool, "tokenSha256": r.Caller.TokenSHA256,
	} {
		if value != "" {
			x[name] = value
		}
	}
	return x
}
