package cloudtrail

import (
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/emulator/awssts"
)

// FromDecision is a decision of the emulated STS as the event that AWS has of
// it. Why it was denied, which AWS does not say, stands in additionalEventData
// under stint.
func FromDecision(d awssts.Decision) Event {
	e := newEvent(d.Operation, d.Time, d.Region, d.SourceIP, d.RoleARN)
	e.UserAgent, e.RequestID, e.EventID = d.UserAgent, d.RequestID, eventID(d.RequestID)
	e.RequestParameters = &RequestParameters{
		RoleARN: d.RoleARN, RoleSessionName: d.RoleSessionName, DurationSeconds: int64(d.DurationSeconds), Policy: d.Policy,
		PolicyARNs: arns(d.PolicyARNs), SourceIdentity: d.SourceIdentity, TransitiveTagKeys: d.TransitiveTagKeys,
		IncomingTransitiveTags: tagMap(d.IncomingTags),
	}
	if d.ExternalID {
		e.RequestParameters.ExternalID = "HIDDEN_DUE_TO_SECURITY_REASONS"
	}
	if d.Operation == assumeRole {
		e.RequestParameters.Tags = tagList(tagMap(d.Tags))
		e.UserIdentity = chainedIdentity(d.Caller)
	} else {
		e.RequestParameters.PrincipalTags = tagMap(d.Tags)
		sub, _ := d.Claims["sub"].(string)
		e.UserIdentity = UserIdentity{Type: "WebIdentityUser", UserName: sub, IdentityProvider: d.Provider}
		if sub != "" {
			e.UserIdentity.PrincipalID = d.Provider + ":" + d.Audience + ":" + sub
		}
	}
	if !d.Allowed {
		e.ErrorCode, e.ErrorMessage = d.Code, d.Message
		if d.Detail != "" {
			e.AdditionalEventData = map[string]any{"stint": map[string]any{"detail": d.Detail}}
		}
		return e
	}
	e.ResponseElements = &ResponseElements{
		Credentials:     &Credentials{d.AccessKeyID, expiration(d.Expiration)},
		AssumedRoleUser: &AssumedRole{d.AssumedRoleID, d.AssumedRoleARN},
		SourceIdentity:  d.SourceIdentity,
	}
	if d.Operation != assumeRole {
		e.ResponseElements.Provider, e.ResponseElements.Audience = d.Provider, d.Audience
		e.ResponseElements.SubjectFromWebIdentityToken = e.UserIdentity.UserName
	}
	return e
}

// chainedIdentity is a caller with the session of a role; nil: nobody who is
// known.
func chainedIdentity(c *awssts.Caller) UserIdentity {
	if c == nil {
		return UserIdentity{Type: "Unknown"}
	}
	s := &SessionContext{
		SessionIssuer: &SessionIssuer{Type: "Role", PrincipalID: c.RoleID, ARN: c.RoleARN, AccountID: c.Account, UserName: c.RoleARN[strings.LastIndexByte(c.RoleARN, '/')+1:]},
		Attributes:    &Attributes{c.Issued.UTC().Format("2006-01-02T15:04:05Z"), "false"}, SourceIdentity: c.SourceIdentity,
	}
	if c.Provider != "" {
		s.WebIDFederationData = &WebIDFederationData{c.Provider, map[string]string{}}
	}
	return UserIdentity{Type: "AssumedRole", PrincipalID: c.ID, ARN: c.ARN, AccountID: c.Account, AccessKeyID: c.AccessKeyID, SessionContext: s}
}

func tagMap(tags []iam.Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}
