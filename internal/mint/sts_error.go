package mint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

const (
	// maxAttempts is how often STS is asked for one purchase.
	maxAttempts = 4
	// maxBackoff is the longest pause between two attempts.
	maxBackoff = 2 * time.Second
)

// STSError is an error as AWS STS answered it, word for word.
type STSError struct {
	Code       string
	Message    string // may be empty
	HTTPStatus int    // 400 or above
	RequestID  string
	Sender     bool // the request is at fault, by its status: sending it again changes nothing unless it is Temporary
	Temporary  bool // another attempt later may succeed
}

func (e *STSError) Error() string {
	return fmt.Sprintf("AWS STS answered %d %s: %s", e.HTTPStatus, e.Code, e.Message)
}

// AnswerError is an answer that AWS STS does not give: a proxy's page, an
// answer without end, credentials of somebody else. It quotes nothing of it.
type AnswerError struct {
	HTTPStatus int
	Detail     string // what is wrong with it
	Temporary  bool   // another attempt later may succeed
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("expected an answer of AWS STS, found one with status %d: %s", e.HTTPStatus, e.Detail)
}

// failure is what err, which the SDK returned, means. The SDK's own error is
// never wrapped where there was an answer: it can hold a part of it.
func failure(ctx context.Context, err error, t Token) error {
	status, requestID := 0, ""
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) {
		status, requestID = resp.HTTPStatusCode(), resp.ServiceRequestID()
	}
	var api smithy.APIError
	var answer *AnswerError
	switch {
	case errors.As(err, &api) && status >= http.StatusBadRequest && api.ErrorCode() != "" && api.ErrorCode() != unknown:
		e := &STSError{Code: api.ErrorCode(), Message: api.ErrorMessage(), HTTPStatus: status, RequestID: requestID}
		if e.Message == unknown {
			e.Message = ""
		}
		// An endpoint that repeats the request must not bring the token into
		// logs and records. The service itself never does.
		for _, text := range []*string{&e.Code, &e.Message, &e.RequestID} {
			if t.Raw != "" {
				*text = strings.ReplaceAll(*text, t.Raw, withoutToken)
			}
		}
		e.Sender = status < http.StatusInternalServerError
		e.Temporary = transient(err) == aws.TrueTernary
		return e
	case errors.As(err, &answer):
		return answer
	case ctx.Err() != nil:
		return fmt.Errorf("AWS STS did not answer in time: %w", ctx.Err())
	case status != 0:
		return &AnswerError{HTTPStatus: status, Detail: "it is not in the form of AWS STS", Temporary: temporaryStatus(status)}
	}
	return err
}

// withoutToken stands where an answer repeats the token.
const withoutToken = "(the stint token)"

// unknown is what the SDK puts where an answer has no code or no message.
const unknown = "UnknownError"

// newRetryer retries what is transient and never a denial.
func newRetryer(backoff func(int) time.Duration, log *slog.Logger) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		pause := retry.BackoffDelayer(retry.NewExponentialJitterBackoff(maxBackoff))
		if backoff != nil {
			pause = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return backoff(attempt), nil })
		}
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, err error) (time.Duration, error) {
			d, delayErr := pause.BackoffDelay(attempt, err)
			log.Warn("AWS STS is asked again", "attempt", attempt, "pause", d, "status", statusOf(err), "code", codeOf(err))
			return d, delayErr
		})
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(transient)}, o.Retryables...)
	})
}

// transient reports whether an answer is worth another attempt. Of errors that
// STS answered it decides all, so that no rule of the SDK repeats a denial;
// connections that fail are left to the SDK.
func transient(err error) aws.Ternary {
	var answer *AnswerError
	if errors.As(err, &answer) {
		return aws.BoolTernary(answer.Temporary)
	}
	code := codeOf(err)
	if code == "" {
		return aws.UnknownTernary
	}
	switch code {
	// The two ways in which STS says that it could not fetch our key set.
	case "IDPCommunicationError":
		return aws.TrueTernary
	case "InvalidIdentityToken":
		var api smithy.APIError
		return aws.BoolTernary(errors.As(err, &api) && strings.HasPrefix(api.ErrorMessage(), "Couldn't retrieve verification key"))
	// Denials, whatever their status.
	case "AccessDenied", "ExpiredTokenException", "IDPRejectedClaim", "MalformedPolicyDocument", "PackedPolicyTooLarge",
		"RegionDisabledException", "ValidationError":
		return aws.FalseTernary
	}
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	_, timedOut := retry.DefaultRetryableErrorCodes[code]
	return aws.BoolTernary(throttled || timedOut || temporaryStatus(statusOf(err)))
}

func temporaryStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func statusOf(err error) int {
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) {
		return resp.HTTPStatusCode()
	}
	return 0
}
