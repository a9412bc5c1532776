package mint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/stint-dev/stint/internal/audit"
)

const (
	// maxAttempts is how often STS is asked for one purchase.
	maxAttempts = 4
	// maxBackoff is the longest pause between two attempts.
	maxBackoff = 2 * time.Second
	// maxSTSAnswer bounds an answer of STS, in bytes.
	maxSTSAnswer = 1 << 20
)

// Credentials are AWS credentials. Formatting and logging them never shows the
// secrets.
type Credentials struct {
	AccessKeyID      string
	SecretAccessKey  string
	SessionToken     string
	Expires          time.Time
	AssumedRoleARN   string
	AssumedRoleID    string
	Provider         string // the provider's ARN, as STS says it
	Audience         string
	SubjectFromToken string
	SourceIdentity   string
	SessionTokenSize int32 // bytes
	Utilization      int32 // percent of the session token's limit
	RequestID        string
}

// String leaves the secrets out.
func (c Credentials) String() string {
	return fmt.Sprintf("AWS credentials %s of %s", c.AccessKeyID, c.AssumedRoleARN)
}

// GoString leaves the secrets out.
func (c Credentials) GoString() string { return c.String() }

// LogValue leaves the secrets out.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText leaves the secrets out.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// STSError is an error as AWS STS answered it, word for word.
type STSError struct {
	Code       string
	Message    string
	HTTPStatus int
	RequestID  string
}

func (e *STSError) Error() string {
	return fmt.Sprintf("AWS STS answered %d %s: %s", e.HTTPStatus, e.Code, e.Message)
}

// STSConfig says where STS is.
type STSConfig struct {
	Region   string
	Endpoint string                          // instead of the region's; may be empty
	Timeout  time.Duration                   // of one purchase, retries included; 0: 10 seconds
	HTTP     *http.Client                    // nil: a default one
	Backoff  func(attempt int) time.Duration // the pause before another attempt; nil: exponential with jitter
	Log      *slog.Logger
}

// STS buys AWS credentials with stint tokens. It needs no AWS credentials of
// its own and never looks for any. It is safe for concurrent use.
type STS struct {
	client  *sts.Client
	timeout time.Duration
}

// NewSTS returns an STS.
func NewSTS(cfg STSConfig) *STS {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.HTTP == nil {
		cfg.HTTP = defaultHTTP()
	}
	options := sts.Options{
		Region:      cfg.Region,
		Credentials: aws.AnonymousCredentials{},
		HTTPClient:  bounded{cfg.HTTP},
		Retryer:     newRetryer(cfg.Backoff),
	}
	if cfg.Endpoint != "" {
		options.BaseEndpoint = &cfg.Endpoint
	}
	return &STS{client: sts.New(options), timeout: cfg.Timeout}
}

func defaultHTTP() *http.Client {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the request holds a token, which goes nowhere else
	}}
}

// bounded cuts answers that no STS sends.
type bounded struct{ client *http.Client }

func (b bounded) Do(r *http.Request) (*http.Response, error) {
	resp, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxSTSAnswer), resp.Body}
	return resp, nil
}

// Buy trades the stint token of a recorded grant for AWS credentials of the
// role that it names. An answer that AWS gave is an *STSError.
func (s *STS) Buy(ctx context.Context, r audit.Recorded, t Token) (Credentials, error) {
	grant := r.Grant()
	if r.ID() == "" || grant.Role() == "" {
		return Credentials{}, errors.New("buying AWS credentials: expected a recorded grant, found none")
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	session := grant.Session()
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(grant.Role()),
		RoleSessionName:  aws.String(session.Name),
		WebIdentityToken: aws.String(t.Raw),
		DurationSeconds:  aws.Int32(int32(session.Duration / time.Second)),
	}
	if p := grant.Policy(); p != "" {
		in.Policy = &p
	}
	for _, arn := range grant.PolicyARNs() {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: &arn})
	}
	out, err := s.client.AssumeRoleWithWebIdentity(ctx, in)
	if err != nil {
		return Credentials{}, fmt.Errorf("buying AWS credentials: %w", stsError(err))
	}
	c, err := credentialsOf(out, grant.Role())
	if err != nil {
		return Credentials{}, fmt.Errorf("buying AWS credentials: %w", err)
	}
	return c, nil
}

// credentialsOf reads an answer. Credentials of another role than the one that
// is on record are refused: whoever answered is not to be believed.
func credentialsOf(out *sts.AssumeRoleWithWebIdentityOutput, role string) (Credentials, error) {
	c, user := out.Credentials, out.AssumedRoleUser
	if c == nil || user == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" ||
		aws.ToString(c.SessionToken) == "" || c.Expiration == nil {
		return Credentials{}, errors.New("the answer of AWS STS holds no credentials")
	}
	if !isSessionOf(aws.ToString(user.Arn), role) {
		return Credentials{}, fmt.Errorf("expected a session of %s, found %.200q", role, aws.ToString(user.Arn))
	}
	got := Credentials{
		AccessKeyID:      *c.AccessKeyId,
		SecretAccessKey:  *c.SecretAccessKey,
		SessionToken:     *c.SessionToken,
		Expires:          c.Expiration.UTC(),
		AssumedRoleARN:   aws.ToString(user.Arn),
		AssumedRoleID:    aws.ToString(user.AssumedRoleId),
		Provider:         aws.ToString(out.Provider),
		Audience:         aws.ToString(out.Audience),
		SubjectFromToken: aws.ToString(out.SubjectFromWebIdentityToken),
		SourceIdentity:   aws.ToString(out.SourceIdentity),
		SessionTokenSize: aws.ToInt32(out.SessionTokenSize),
		Utilization:      aws.ToInt32(out.SessionTokenUtilization),
	}
	got.RequestID, _ = awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	return got, nil
}

// isSessionOf reports whether assumed is a session's ARN of the role,
// arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION without the role's path.
func isSessionOf(assumed, role string) bool {
	r := strings.SplitN(role, ":", 6)
	a := strings.SplitN(assumed, ":", 6)
	if len(r) != 6 || len(a) != 6 {
		return false
	}
	name := r[5][strings.LastIndexByte(r[5], '/')+1:]
	return a[0] == "arn" && a[1] == r[1] && a[2] == "sts" && a[4] == r[4] && strings.HasPrefix(a[5], "assumed-role/"+name+"/")
}

// stsError is an error as AWS answered it; other errors stay as they are, but
// for the URL in them.
func stsError(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	e := &STSError{Code: api.ErrorCode(), Message: api.ErrorMessage()}
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) {
		e.HTTPStatus, e.RequestID = resp.HTTPStatusCode(), resp.ServiceRequestID()
	}
	if e.HTTPStatus < http.StatusBadRequest || e.Code == "" || e.Code == "UnknownError" {
		return fmt.Errorf("expected an answer of AWS STS, found status %d: %w", e.HTTPStatus, err)
	}
	return e
}

// newRetryer retries what is transient and never a denial.
func newRetryer(backoff func(int) time.Duration) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		if backoff != nil {
			o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return backoff(attempt), nil })
		}
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(retryable)}, o.Retryables...)
	})
}

// retryable adds to what the SDK retries the two ways in which STS says that
// it could not fetch our key set. The SDK's own rules decide on all else.
func retryable(err error) aws.Ternary {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return aws.UnknownTernary
	}
	switch api.ErrorCode() {
	case "IDPCommunicationError":
		return aws.TrueTernary
	case "InvalidIdentityToken":
		return aws.BoolTernary(strings.HasPrefix(api.ErrorMessage(), "Couldn't retrieve verification key"))
	case "AccessDenied", "ExpiredTokenException", "ValidationError", "PackedPolicyTooLarge":
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}
