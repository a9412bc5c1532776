package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
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
	// Chain goes on to further roles, and the credentials are those of the last.
	// Nil: Role is the last. Duration then is of every session and at most
	// MaxChainedDuration.
	Chain *Chain
}

// check refuses what could only fail later: nothing is asked of anybody then.
func (req AWSRequest) check(b Broker) error {
	if err := checkDuration(req.Duration, MaxDuration, "leave it out for the duration that the rule gives"); err != nil {
		return err
	}
	if req.Chain == nil {
		return nil
	}
	if req.Role != "" {
		if err := checkRole("role", req.Role); err != nil {
			return err
		}
	}
	return req.chain().check(b)
}

// chain is the request's chain with the request's duration.
func (req AWSRequest) chain() Chain {
	c := *req.Chain
	if c.Duration == 0 {
		c.Duration = req.Duration
	}
	return c
}

func checkDuration(d, most time.Duration, hint string) error {
	if d == 0 || d >= MinDuration && d <= most && d%time.Second == 0 {
		return nil
	}
	return &SettingError{
		Setting: "duration",
		Detail:  fmt.Sprintf("expected whole seconds from %s to %s, found %s", MinDuration, most, d),
		Hint:    hint,
	}
}

// AWSCredentials are temporary credentials of an assumed role.
type AWSCredentials struct {
	AccessKeyID     string
	SecretAccessKey Secret
	SessionToken    Secret
	Expires         time.Time
	AssumedRoleARN  string // arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
	// Grant is what the broker granted: of the first session, where a chain led
	// on to others. Nil: from a broker that does not say.
	Grant *Grant
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
// request, and an *UnavailableError for a broker that could not answer. With a
// chain it goes on to its roles; see Chain.Assume for the errors of a hop.
func (b Broker) AssumeRole(ctx context.Context, jobToken Secret, req AWSRequest) (AWSCredentials, error) {
	if err := req.check(b); err != nil {
		return AWSCredentials{}, err
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
	creds, ok := readCredentials(out.Credentials, out.AssumedRoleUser)
	if !ok {
		return AWSCredentials{}, &BrokerError{Status: http.StatusOK, Message: noCredentials}
	}
	if raw, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response); ok {
		if creds.Grant, err = readGrant(raw.Header); err != nil {
			return AWSCredentials{}, &BrokerError{Status: http.StatusOK, Message: err.Error()}
		}
	}
	if req.Chain == nil {
		return creds, nil
	}
	return req.chain().Assume(ctx, creds)
}

const noCredentials = "expected an access key, a secret key, a session token and an expiration"

func readCredentials(c *types.Credentials, user *types.AssumedRoleUser) (_ AWSCredentials, ok bool) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" ||
		aws.ToString(c.SessionToken) == "" || c.Expiration == nil {
		return AWSCredentials{}, false
	}
	creds := AWSCredentials{
		AccessKeyID:     *c.AccessKeyId,
		SecretAccessKey: Secret(*c.SecretAccessKey),
		SessionToken:    Secret(*c.SessionToken),
		Expires:         c.Expiration.UTC(),
	}
	if user != nil {
		creds.AssumedRoleARN = clean(aws.ToString(user.Arn))
	}
	return creds, true
}

// refusedByAWS stands in the broker's message where AWS STS refused what the
// rules gave. It changes nothing but what the caller is advised.
const refusedByAWS = "AWS STS refused what the rule "

// classifySTS makes this package's errors of the SDK's.
func classifySTS(err error) error {
	if err == nil {
		return nil
	}
	a := readSTSError(err)
	switch {
	case !a.isSTS && a.status == 0:
		return classifySend(err)
	case !a.isSTS:
		a.message = "expected an answer of AWS STS; is STINT_URL the address of a stint broker?"
	}
	switch a.code {
	case "AccessDenied", "AccessDeniedException", "InvalidIdentityToken", "IDPRejectedClaim", "ExpiredTokenException", "PackedPolicyTooLarge":
		return &DeniedError{Code: a.code, Message: a.message, Upstream: strings.Contains(a.message, refusedByAWS)}
	}
	e := &BrokerError{Status: a.status, Code: a.code, Message: a.message}
	if a.temporary() || a.code == "IDPCommunicationError" {
		return &transient{err: e}
	}
	return e
}

// stsError is what an error of the SDK says of the answer.
type stsError struct {
	status        int // of HTTP; 0: there was no answer
	isSTS         bool
	code, message string // fit to print; of AWS STS
}

func readSTSError(err error) stsError {
	var e stsError
	var answered *awshttp.ResponseError
	if errors.As(err, &answered) {
		e.status = answered.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.isSTS, e.code, e.message = true, clean(api.ErrorCode()), clean(api.ErrorMessage())
	}
	return e
}

func (e stsError) temporary() bool {
	return temporaryStatus(e.status) || e.code == "Throttling" || e.code == "ThrottlingException"
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
