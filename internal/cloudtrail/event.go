// Package cloudtrail writes decisions as AWS CloudTrail shapes its events, so
// that detection rules written for CloudTrail can be tried on them, and run on
// what AWS never sees: the broker's denials. It is pure.
//
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html
package cloudtrail

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// Event is one record of CloudTrail. What an event does not have is left out,
// as CloudTrail leaves it out; the elements of an answer are null on a denial.
type Event struct {
	EventVersion        string             `json:"eventVersion"`
	UserIdentity        UserIdentity       `json:"userIdentity"`
	EventTime           string             `json:"eventTime"` // to the second, in UTC
	EventSource         string             `json:"eventSource"`
	EventName           string             `json:"eventName"`
	AWSRegion           string             `json:"awsRegion"`
	SourceIPAddress     string             `json:"sourceIPAddress"`
	UserAgent           string             `json:"userAgent,omitempty"`
	ErrorCode           string             `json:"errorCode,omitempty"`
	ErrorMessage        string             `json:"errorMessage,omitempty"`
	RequestParameters   *RequestParameters `json:"requestParameters"`
	ResponseElements    *ResponseElements  `json:"responseElements"`
	AdditionalEventData map[string]any     `json:"additionalEventData,omitempty"`
	RequestID           string             `json:"requestID"`
	EventID             string             `json:"eventID"` // the same for the same decision
	ReadOnly            bool               `json:"readOnly"`
	Resources           []Resource         `json:"resources,omitempty"`
	EventType           string             `json:"eventType"`
	ManagementEvent     bool               `json:"managementEvent"`
	RecipientAccountID  string             `json:"recipientAccountId,omitempty"`
	EventCategory       string             `json:"eventCategory"`
}

// UserIdentity is who called.
type UserIdentity struct {
	Type             string          `json:"type"` // WebIdentityUser, AssumedRole, IAMUser
	PrincipalID      string          `json:"principalId,omitempty"`
	ARN              string          `json:"arn,omitempty"`
	AccountID        string          `json:"accountId,omitempty"`
	AccessKeyID      string          `json:"accessKeyId,omitempty"`
	UserName         string          `json:"userName,omitempty"`         // the sub, of a WebIdentityUser
	IdentityProvider string          `json:"identityProvider,omitempty"` // the provider's ARN
	SessionContext   *SessionContext `json:"sessionContext,omitempty"`
}

// SessionContext is the session with which an AssumedRole calls.
type SessionContext struct {
	SessionIssuer       *SessionIssuer       `json:"sessionIssuer,omitempty"`
	WebIDFederationData *WebIDFederationData `json:"webIdFederationData,omitempty"`
	Attributes          *Attributes          `json:"attributes,omitempty"`
	SourceIdentity      string               `json:"sourceIdentity,omitempty"`
}

// SessionIssuer is the role of a session.
type SessionIssuer struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId,omitempty"`
	ARN         string `json:"arn"`
	AccountID   string `json:"accountId"`
	UserName    string `json:"userName"`
}

// WebIDFederationData says that a session began with a web identity.
type WebIDFederationData struct {
	FederatedProvider string            `json:"federatedProvider"`
	Attributes        map[string]string `json:"attributes"`
}

// Attributes are those of a session.
type Attributes struct {
	CreationDate     string `json:"creationDate"`
	MFAAuthenticated string `json:"mfaAuthenticated"`
}

// RequestParameters are those of AssumeRole and AssumeRoleWithWebIdentity.
type RequestParameters struct {
	RoleARN         string `json:"roleArn,omitempty"`
	RoleSessionName string `json:"roleSessionName,omitempty"`
	DurationSeconds int64  `json:"durationSeconds,omitempty"`
	Policy          string `json:"policy,omitempty"`
	PolicyARNs      []ARN  `json:"policyArns,omitempty"`
	ExternalID      string `json:"externalId,omitempty"`
	SourceIdentity  string `json:"sourceIdentity,omitempty"`
	// PrincipalTags are the tags in a web identity token, Tags those passed to
	// AssumeRole, and IncomingTransitiveTags those that its caller passes on.
	PrincipalTags          map[string]string `json:"principalTags,omitempty"`
	Tags                   []Tag             `json:"tags,omitempty"`
	IncomingTransitiveTags map[string]string `json:"incomingTransitiveTags,omitempty"`
	TransitiveTagKeys      []string          `json:"transitiveTagKeys,omitempty"`
}

// ARN is one of a list of managed policies.
type ARN struct {
	ARN string `json:"arn"`
}

// Tag is one of a list of tags.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// ResponseElements are what the caller got. The secrets are in none.
type ResponseElements struct {
	Credentials                 *Credentials `json:"credentials,omitempty"`
	AssumedRoleUser             *AssumedRole `json:"assumedRoleUser,omitempty"`
	SourceIdentity              string       `json:"sourceIdentity,omitempty"`
	Provider                    string       `json:"provider,omitempty"`
	Audience                    string       `json:"audience,omitempty"`
	SubjectFromWebIdentityToken string       `json:"subjectFromWebIdentityToken,omitempty"`
}

// Credentials are named, not shown.
type Credentials struct {
	AccessKeyID string `json:"accessKeyId"`
	Expiration  string `json:"expiration"` // such as Nov 23, 2026, 2:39:51 AM
}

// AssumedRole is the session that was made.
type AssumedRole struct {
	AssumedRoleID string `json:"assumedRoleId,omitempty"`
	ARN           string `json:"arn"`
}

// Resource is the role that was asked for.
type Resource struct {
	AccountID string `json:"accountId"`
	Type      string `json:"type"`
	ARN       string `json:"ARN"`
}

// The operations.
const (
	assumeRoleWithWebIdentity = "AssumeRoleWithWebIdentity"
	assumeRole                = "AssumeRole"
)

// newEvent is what all events of STS have in common.
func newEvent(name string, at time.Time, region, ip, role string) Event {
	e := Event{
		EventVersion: "1.11", EventTime: at.UTC().Format("2006-01-02T15:04:05Z"), EventSource: "sts.amazonaws.com", EventName: name,
		AWSRegion: region, SourceIPAddress: ip, ReadOnly: true, EventType: "AwsApiCall", ManagementEvent: true, EventCategory: "Management",
	}
	if account := accountOf(role); account != "" {
		e.RecipientAccountID = account
		e.Resources = []Resource{{account, "AWS::IAM::Role", role}}
	}
	return e
}

// accountOf is the account of an IAM ARN, or empty.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		return parts[4]
	}
	return ""
}

// eventID is a UUID that is the same whenever the same decision is written.
func eventID(decision string) string {
	sum := sha256.Sum256([]byte("stint cloudtrail " + decision))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // RFC 9562 section 5.8
	x := hex.EncodeToString(b)
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// expiration is a time as CloudTrail writes it in an answer.
func expiration(t time.Time) string { return t.UTC().Format("Jan 2, 2006, 3:04:05 PM") }

func arns(list []string) []ARN {
	var all []ARN
	for _, a := range list {
		all = append(all, ARN{a})
	}
	return all
}

func tagList(tags map[string]string) []Tag {
	var all []Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, Tag{k, tags[k]})
	}
	return all
}
