// Package cognitowire is the Amazon Cognito Identity protocol on the wire: AWS
// JSON 1.1 with the three operations that trade an identity for credentials.
// It knows shapes, constraints, errors and number formats, and decides nothing.
//
// https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_Operations.html
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
package cognitowire

import (
	"mime"
	"strings"
	"time"
)

// ContentType is the one of requests and answers.
const ContentType = "application/x-amz-json-1.1"

// targetPrefix stands before the operation in X-Amz-Target.
const targetPrefix = "AWSCognitoIdentityService."

// Limits of the service's parameters, in characters.
const (
	MaxID          = 55
	MaxAccountID   = 15
	MinRoleARN     = 20
	MaxRoleARN     = 2048
	MaxLogins      = 10 // entries
	MaxLoginName   = 128
	MaxLoginsToken = 50000
)

// Operation is one of the operations that are served.
type Operation string

// The operations.
const (
	GetID                     Operation = "GetId"
	GetOpenIDToken            Operation = "GetOpenIdToken"
	GetCredentialsForIdentity Operation = "GetCredentialsForIdentity"
)

// Input is what an operation is given. A field that the operation does not have
// is empty.
type Input struct {
	Operation      Operation
	AccountID      string            // GetId, optional
	IdentityPoolID string            // GetId
	IdentityID     string            // the others
	CustomRoleARN  string            // GetCredentialsForIdentity, optional
	Logins         map[string]string // token by provider; may be empty
}

// Target is the operation that X-Amz-Target names, for a body of the given
// content type. Anything else answers as an unknown operation.
func Target(target, contentType string) (Operation, *Error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != ContentType {
		return "", unknownOperation("expected the content type " + ContentType)
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return "", unknownOperation("expected the charset utf-8")
	}
	name, ok := strings.CutPrefix(target, targetPrefix)
	switch op := Operation(name); {
	case ok && (op == GetID || op == GetOpenIDToken || op == GetCredentialsForIdentity):
		return op, nil
	case target == "":
		return "", unknownOperation("expected X-Amz-Target: " + targetPrefix + "<operation>")
	}
	return "", unknownOperation("this is a stint broker, which serves GetId, GetOpenIdToken and GetCredentialsForIdentity only")
}

// GetIDResponse is the output of GetId.
type GetIDResponse struct {
	IdentityID string `json:"IdentityId"`
}

// GetOpenIDTokenResponse is the output of GetOpenIdToken.
type GetOpenIDTokenResponse struct {
	IdentityID string `json:"IdentityId"`
	Token      string
}

// GetCredentialsForIdentityResponse is the output of GetCredentialsForIdentity.
type GetCredentialsForIdentityResponse struct {
	Credentials Credentials
	IdentityID  string `json:"IdentityId"`
}

// Credentials are temporary security credentials. The protocol's name for the
// secret is not that of STS.
type Credentials struct {
	AccessKeyID  string `json:"AccessKeyId"`
	Expiration   Timestamp
	SecretKey    string
	SessionToken string
}

// Timestamp is a time in seconds since 1970. It is a JSON number: SDKs refuse a
// text. Parts of a second are cut off, so that nobody counts on credentials
// that have expired.
type Timestamp int64

// At is the Timestamp of a time.
func At(t time.Time) Timestamp { return Timestamp(t.Unix()) }
