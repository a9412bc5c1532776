package mint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/rules"
)

const (
	// maxSTSAnswer bounds an answer of STS, in bytes: a session token has at
	// most 4096, and nothing else in an answer is longer.
	maxSTSAnswer = 64 << 10
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

// Format leaves the secrets out under every verb: %d would not ask String.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue leaves the secrets out.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText leaves the secrets out.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// STSConfig says where STS is.
type STSConfig struct {
	Region   string
	Endpoint string        // instead of the region's; may be empty
	Timeout  time.Duration // of one purchase, retries included; 0: 10 seconds
	// Credentials are the broker's own, for AssumeRole; nil: it has none.
	Credentials aws.CredentialsProvider
	HTTP        *http.Client                    // nil: a default one. Redirects are never followed
	Backoff     func(attempt int) time.Duration // the pause before another attempt; nil: exponential with jitter
	Log         *slog.Logger                    // nil: none
}

// STS buys AWS credentials: with stint tokens, which takes no AWS credentials,
// or with the broker's own. It never looks for any by itself: no profile, no
// environment, no metadata service. It is safe for concurrent use.
type STS struct {
	client  *sts.Client
	signing *sts.Client // with the broker's own credentials; nil: it has none
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
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	// Not config.LoadDefaultConfig, which reads the environment and ~/.aws.
	options := sts.Options{
		Region:      cfg.Region,
		Credentials: aws.AnonymousCredentials{},
		HTTPClient:  newBounded(cfg.HTTP),
		Retryer:     newRetryer(cfg.Backoff, cfg.Log),
	}
	if cfg.Endpoint != "" {
		options.BaseEndpoint = &cfg.Endpoint
	}
	s := &STS{client: sts.New(options), timeout: cfg.Timeout}
	if cfg.Credentials != nil {
		options.Credentials = aws.NewCredentialsCache(cfg.Credentials)
		s.signing = sts.New(options)
	}
	return s
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
	return &http.Client{Transport: t}
}

// bounded cuts answers that no STS sends, and follows no redirects: the request
// holds a token, which goes nowhere else.
type bounded struct{ client http.Client }

func newBounded(c *http.Client) bounded {
	b := bounded{*c}
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// Do reads the whole answer before the SDK sees any of it. The SDK closes the
// request's body as soon as Do returns, which cuts the connection of an answer
// that is still coming.
func (b bounded) Do(r *http.Request) (*http.Response, error) {
	resp, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSTSAnswer+1))
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if len(body) > maxSTSAnswer {
		return nil, &AnswerError{
			HTTPStatus: resp.StatusCode, Detail: fmt.Sprintf("it has more than %d bytes", maxSTSAnswer),
			Temporary: temporaryStatus(resp.StatusCode),
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// Buy trades the stint token of a recorded grant for AWS credentials of the
// role that it names. The error is an *STSError where AWS STS answered with
// one, an *AnswerError where something else came back, and the context's error
// where time ran out.
func (s *STS) Buy(ctx context.Context, r audit.Recorded, t Token) (Credentials, error) {
	grant := r.Grant()
	if r.ID() == "" || grant.Role() == "" {
		return Credentials{}, fmt.Errorf("buying AWS credentials: %w", errNotRecorded)
	}
	if t.Raw == "" || t.Role != grant.Role() || t.Subject != grant.Subject() {
		return Credentials{}, errors.New("buying AWS credentials: expected the stint token of this grant, found another")
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	session := grant.Session()
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(grant.Role()),
		RoleSessionName:  aws.String(session.Name),
		WebIdentityToken: aws.String(t.Raw),
		DurationSeconds:  aws.Int32(int32(session.Duration / time.Second)),
		Policy:           optional(grant.Policy()),
		PolicyArns:       descriptors(grant.PolicyARNs()),
	}
	out, err := s.client.AssumeRoleWithWebIdentity(ctx, in)
	if err != nil {
		return Credentials{}, fmt.Errorf("buying AWS credentials: %w", failure(ctx, err, t))
	}
	c, err := credentialsOf(out.Credentials, out.AssumedRoleUser, grant.Role())
	if err != nil {
		return Credentials{}, fmt.Errorf("buying AWS credentials: %w", err)
	}
	c.Provider = aws.ToString(out.Provider)
	c.Audience = aws.ToString(out.Audience)
	c.SubjectFromToken = aws.ToString(out.SubjectFromWebIdentityToken)
	c.SourceIdentity = aws.ToString(out.SourceIdentity)
	c.SessionTokenSize, c.Utilization = aws.ToInt32(out.SessionTokenSize), aws.ToInt32(out.SessionTokenUtilization)
	requestID, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	c.RequestID = strings.ReplaceAll(requestID, t.Raw, withoutToken) // it is logged
	return c, nil
}

// Assume buys AWS credentials of a recorded grant with the broker's own: the
// session's tags, its source identity and what the caller narrows it with go
// along. Errors are those of Buy. AWS gives at most an hour where the broker
// itself runs in a role's session.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (s *STS) Assume(ctx context.Context, r audit.Recorded) (Credentials, error) {
	grant := r.Grant()
	switch {
	case r.ID() == "" || grant.Role() == "":
		return Credentials{}, fmt.Errorf("assuming the role: %w", errNotRecorded)
	case grant.Via() != rules.AssumeRole:
		return Credentials{}, fmt.Errorf("assuming the role: expected a grant by assume-role, found one by %s", grant.Via())
	case s.signing == nil:
		return Credentials{}, errors.New("assuming the role: the broker has no AWS credentials of its own")
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	session := grant.Session()
	in := &sts.AssumeRoleInput{
		RoleArn:           aws.String(grant.Role()),
		RoleSessionName:   aws.String(session.Name),
		DurationSeconds:   aws.Int32(int32(session.Duration / time.Second)),
		TransitiveTagKeys: session.Transitive,
		ExternalId:        optional(grant.ExternalID()),
		SourceIdentity:    optional(session.SourceIdentity),
		Policy:            optional(grant.Policy()),
		PolicyArns:        descriptors(grant.PolicyARNs()),
	}
	for _, t := range session.Tags {
		in.Tags = append(in.Tags, types.Tag{Key: &t.Key, Value: &t.Value})
	}
	out, err := s.signing.AssumeRole(ctx, in)
	if err != nil {
		return Credentials{}, fmt.Errorf("assuming the role: %w", failure(ctx, err, Token{}))
	}
	c, err := credentialsOf(out.Credentials, out.AssumedRoleUser, grant.Role())
	if err != nil {
		return Credentials{}, fmt.Errorf("assuming the role: %w", err)
	}
	c.SourceIdentity = aws.ToString(out.SourceIdentity)
	c.SessionTokenSize, c.Utilization = aws.ToInt32(out.SessionTokenSize), aws.ToInt32(out.SessionTokenUtilization)
	c.RequestID, _ = awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	return c, nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func descriptors(arns []string) []types.PolicyDescriptorType {
	var all []types.PolicyDescriptorType
	for _, arn := range arns {
		all = append(all, types.PolicyDescriptorType{Arn: &arn})
	}
	return all
}

// What the API reference says of the characters and the length of
// Credentials.AccessKeyId, and of a session's name. Both are logged, so nothing
// else may pass for them: a token is longer, or has dots.
var (
	accessKeyID = regexp.MustCompile(`^[A-Za-z0-9_]{1,128}$`)
	sessionName = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,64}$`)
)

// credentialsOf reads an answer. Credentials of another role than the one that
// is on record are refused: whoever answered is not to be believed.
func credentialsOf(c *types.Credentials, user *types.AssumedRoleUser, role string) (Credentials, error) {
	if c == nil || user == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" ||
		aws.ToString(c.SessionToken) == "" || c.Expiration == nil {
		return Credentials{}, &AnswerError{HTTPStatus: http.StatusOK, Detail: "it holds no credentials"}
	}
	want := sessionsOf(role)
	name, ok := strings.CutPrefix(aws.ToString(user.Arn), want)
	if want == "" || !ok || !sessionName.MatchString(name) {
		// What it says instead is not quoted: it is not AWS that says it.
		return Credentials{}, &AnswerError{HTTPStatus: http.StatusOK, Detail: "its credentials are of no session " + want + "NAME"}
	}
	if !accessKeyID.MatchString(*c.AccessKeyId) {
		return Credentials{}, &AnswerError{HTTPStatus: http.StatusOK, Detail: "its access key id is none"}
	}
	return Credentials{
		AccessKeyID:     *c.AccessKeyId,
		SecretAccessKey: *c.SecretAccessKey,
		SessionToken:    *c.SessionToken,
		Expires:         c.Expiration.UTC(),
		AssumedRoleARN:  aws.ToString(user.Arn),
		AssumedRoleID:   aws.ToString(user.AssumedRoleId),
	}, nil
}

// sessionsOf is how the ARNs of a role's sessions begin,
// arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/ without the role's path. It is
// empty if role is no role's ARN.
func sessionsOf(role string) string {
	r := strings.SplitN(role, ":", 6)
	if len(r) != 6 || r[2] != "iam" || !strings.HasPrefix(r[5], "role/") {
		return ""
	}
	name := r[5][strings.LastIndexByte(r[5], '/')+1:]
	return "arn:" + r[1] + ":sts::" + r[4] + ":assumed-role/" + name + "/"
}
