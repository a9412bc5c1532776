package cloudtrail

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/audit"
)

// Broker is what a record does not say of the broker that made it.
type Broker struct {
	Issuer string // its own: the iss of what it signs
	Region string // whose STS it calls
	// Accounts are those of its identity pools, by the pool's id, as ARNs of IAM
	// begin there: arn:PARTITION:iam::ACCOUNT.
	Accounts map[string]string
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
	if r.Outcome == nil {
		// The broker stopped in between: nothing was released, and an event
		// without a code would count as a session.
		e.ErrorCode, e.ErrorMessage = "ServiceUnavailable", "the broker stopped before the outcome was known, and nothing was released"
		return e
	}
	outcome(&e, r)
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
		e.UserIdentity = UserIdentity{Type: "AssumedRole"}
		return
	}
	p.PrincipalTags = g.Tags
	if role == "" && g.Pool != "" {
		// The basic flow's token: the job chooses role, name and duration at STS.
		p.RoleSessionName, p.DurationSeconds = "", 0
		if account := b.Accounts[g.Pool]; account != "" {
			role = account + ":role/"
		}
	}
	e.UserIdentity = webIdentity(role, b.Issuer, g.Audience, subject)
}

// outcome fills in what became of a grant.
func outcome(e *Event, r audit.Record) {
	o := r.Outcome
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
		AssumedRoleUser: &AssumedRole{AssumedRoleID: o.AssumedRoleID, ARN: o.AssumedRole},
		SourceIdentity:  e.RequestParameters.SourceIdentity,
	}
	if e.EventName == assumeRoleWithWebIdentity {
		e.ResponseElements.Audience = r.Granted.Audience
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

// unbelieved are the reasons for which a token is not believed although its
// signature holds, or may.
var unbelieved = []string{
	"outside_only", "wrong_audience", "token_not_yet_valid", "token_from_future", "bad_time", "bad_claims",
}

// denialCode is the error code of STS for a denial: whose token was believed
// was denied, and anyone else's was not valid.
func denialCode(r audit.Record) string {
	switch {
	case r.Reason == "token_expired":
		return "ExpiredTokenException"
	case slices.Contains(unbelieved, r.Reason), !r.Caller.Verified:
		return "InvalidIdentityToken"
	}
	return "AccessDenied"
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
