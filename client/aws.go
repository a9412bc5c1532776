package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// The limits of AWS on the duration of a session (sts AssumeRoleWithWebIdentity,
// DurationSeconds).
const (
	MinDuration = 15 * time.Minute
	MaxDuration = 12 * time.Hour
)

// defaultSessionName stands where AWS requires one. The rule that grants names
// the session; the caller's name is only recorded.
const defaultSessionName = "stint"

// AWSRequest is which AWS credentials are wanted. All of it is optional, and
// none of it can widen what the rules give.
type AWSRequest struct {
	Role        string        // the role's ARN; empty: the first that the rules give
	SessionName string        // 2-64 characters of [\w+=,.@-]
	Duration    time.Duration // MinDuration to MaxDuration in whole seconds; 0: what the rule says
}

// AWSCredentials are temporary credentials of an assumed role.
type AWSCredentials struct {
	AccessKeyID     string
	SecretAccessKey Secret
	SessionToken    Secret
	Expires         time.Time
	AssumedRoleARN  string // arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
}

// AWS is c as the AWS SDK has it.
func (c AWSCredentials) AWS() aws.Credentials {
	return aws.Credentials{
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey.Reveal(),
		SessionToken:    c.SessionToken.Reveal(),
		Source:          "stint",
		CanExpire:       true,
		Expires:         c.Expires,
	}
}

// AssumeRole trades a job token for AWS credentials. Without a role it asks
// the broker first which one the rules give. The error is a *DeniedError for a
// no of the broker or of AWS, a *BrokerError for what AWS finds wrong with the
// request, and an *UnavailableError for a broker that could not answer.
func (b Broker) AssumeRole(ctx context.Context, jobToken Secret, req AWSRequest) (AWSCredentials, error) {
	if d := req.Duration; d != 0 && (d < MinDuration || d > MaxDuration || d%time.Second != 0) {
		return AWSCredentials{}, &SettingError{
			Setting: "duration",
			Detail:  fmt.Sprintf("expected whole seconds from %s to %s, found %s", MinDuration, MaxDuration, d),
			Hint:    "leave it out for the duration that the rule gives",
		}
	}
	endpoint, err := b.endpoint("/aws/sts")
	if err != nil {
		return AWSCredentials{}, err
	}
	if req.Role == "" {
		token, err := b.Exchange(ctx, jobToken, ExchangeRequest{})
		if err != nil {
			return AWSCredentials{}, err
		}
		if req.Role, err = token.Role(); err != nil {
			return AWSCredentials{}, err
		}
	}
	if req.SessionName == "" {
		req.SessionName = defaultSessionName
	}
	door := sts.New(sts.Options{
		Region:       "us-east-1", // the SDK wants one; the endpoint is fixed
		BaseEndpoint: &endpoint,
		HTTPClient:   guarded(b.HTTP, maxBrokerAnswer),
		Credentials:  aws.AnonymousCredentials{},
		Retryer:      aws.NopRetryer{}, // b.Retry decides what is tried again
	})
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          &req.Role,
		RoleSessionName:  &req.SessionName,
		WebIdentityToken: aws.String(jobToken.Reveal()),
	}
	if req.Duration != 0 {
		in.DurationSeconds = aws.Int32(int32(req.Duration / time.Second))
	}
	var out *sts.AssumeRoleWithWebIdentityOutput
	err = b.Retry.do(ctx, func() error {
		out, err = door.AssumeRoleWithWebIdentity(ctx, in)
		return classifySTS(err)
	})
	if err != nil {
		return AWSCredentials{}, fmt.Errorf("assuming %s: %w", clean(req.Role), b.explained(ctx, jobToken, req.Role, err))
	}
	return readCredentials(out)
}

func readCredentials(out *sts.AssumeRoleWithWebIdentityOutput) (AWSCredentials, error) {
	c := out.Credentials
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" ||
		aws.ToString(c.SessionToken) == "" || c.Expiration == nil {
		return AWSCredentials{}, &BrokerError{Status: http.StatusOK, Message: "expected an access key, a secret key, a session token and an expiration"}
	}
	creds := AWSCredentials{
		AccessKeyID:     *c.AccessKeyId,
		SecretAccessKey: Secret(*c.SecretAccessKey),
		SessionToken:    Secret(*c.SessionToken),
		Expires:         c.Expiration.UTC(),
	}
	if out.AssumedRoleUser != nil {
		creds.AssumedRoleARN = clean(aws.ToString(out.AssumedRoleUser.Arn))
	}
	return creds, nil
}

// refusedByAWS stands in the broker's message where AWS STS refused what the
// rules gave. It changes nothing but what the caller is advised.
const refusedByAWS = "AWS STS refused what the rule "

// classifySTS makes this package's errors of the SDK's.
func classifySTS(err error) error {
	if err == nil {
		return nil
	}
	var status int
	var answered *awshttp.ResponseError
	if errors.As(err, &answered) {
		status = answered.HTTPStatusCode()
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		if status == 0 {
			return classifySend(err)
		}
		e := &BrokerError{Status: status, Message: "expected an answer of AWS STS; is STINT_URL the address of a stint broker?"}
		if temporaryStatus(status) {
			return &transient{err: e}
		}
		return e
	}
	code, message := clean(api.ErrorCode()), clean(api.ErrorMessage())
	switch code {
	case "AccessDenied", "AccessDeniedException", "InvalidIdentityToken", "IDPRejectedClaim", "ExpiredTokenException", "PackedPolicyTooLarge":
		return &DeniedError{Code: code, Message: message, Upstream: strings.Contains(message, refusedByAWS)}
	}
	e := &BrokerError{Status: status, Code: code, Message: message}
	if temporaryStatus(status) || code == "IDPCommunicationError" || code == "Throttling" || code == "ThrottlingException" {
		return &transient{err: e}
	}
	return e
}

// classifySend strips what the SDK wraps around a failure to get an answer.
func classifySend(err error) error {
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		err = operation.Err
	}
	var local *smithy.SerializationError
	var invalid *smithy.InvalidParamsError
	if errors.As(err, &local) || errors.As(err, &invalid) {
		return err
	}
	return classify(err)
}

// explained asks at the other door why the broker denied. The protocol of AWS
// STS has room for one sentence, that of token exchange for every rule. Only
// the broker's own denial of one of its jobs names a record: to a stranger
// there is nothing to explain, and for a denial of AWS itself the other door
// would sign a token that nobody needs.
func (b Broker) explained(ctx context.Context, jobToken Secret, role string, err error) error {
	var denied, why *DeniedError
	if !errors.As(err, &denied) || !strings.Contains(denied.Message, "(record ") {
		return err
	}
	once := b
	once.Retry.Attempts = 1
	if _, second := once.Exchange(ctx, jobToken, ExchangeRequest{Role: role}); errors.As(second, &why) && why.Explained() {
		return why
	}
	return err
}
