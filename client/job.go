package client

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// JobTokens is a CI system that a job can ask for its token.
type JobTokens interface {
	// JobToken asks for a token with the given aud.
	JobToken(ctx context.Context, audience string) (Secret, error)
}

// Job is this job and the broker that it asks.
type Job struct {
	Tokens JobTokens
	Broker Broker
	// Audience is the aud of the job tokens: who may accept them. It is never
	// what a server suggests. Empty: Broker.URL.
	Audience string
	// Role is the ARN of the role where a request names none, and may be empty.
	Role string
}

// FromEnv reads a job's environment: STINT_URL, the broker; STINT_AUDIENCE, the
// audience to ask the CI system for (default: STINT_URL); STINT_ROLE, the role
// where none is named; and the request variables of GitHub Actions. The error
// is a *SettingError or a *NotInJobError.
func FromEnv(getenv func(string) string) (*Job, error) {
	tokens, err := GitHubFromEnv(getenv)
	if err != nil {
		return nil, err
	}
	j := &Job{
		Tokens:   tokens,
		Broker:   Broker{URL: getenv("STINT_URL")},
		Audience: getenv("STINT_AUDIENCE"),
		Role:     getenv("STINT_ROLE"),
	}
	if _, err := j.Broker.endpoint(""); err != nil {
		return nil, err
	}
	return j, nil
}

// JobToken asks the CI system for a fresh job token for the broker.
func (j *Job) JobToken(ctx context.Context) (Secret, error) {
	// Nothing is asked for that could not be sent anywhere.
	if _, err := j.Broker.endpoint(""); err != nil {
		return "", err
	}
	audience := j.Audience
	if audience == "" {
		audience = j.Broker.URL
	}
	return j.Tokens.JobToken(ctx, audience)
}

// Token gets a stint token with a fresh job token.
func (j *Job) Token(ctx context.Context, req ExchangeRequest) (Token, error) {
	if req.Role == "" {
		req.Role = j.Role
	}
	jobToken, err := j.JobToken(ctx)
	if err != nil {
		return Token{}, err
	}
	return j.Broker.Exchange(ctx, jobToken, req)
}

// AWS gets AWS credentials with a fresh job token, those of the last role of
// req.Chain if there is one.
func (j *Job) AWS(ctx context.Context, req AWSRequest) (AWSCredentials, error) {
	if req.Role == "" {
		req.Role = j.Role
	}
	if err := req.check(j.Broker); err != nil {
		return AWSCredentials{}, err
	}
	jobToken, err := j.JobToken(ctx)
	if err != nil {
		return AWSCredentials{}, err
	}
	return j.Broker.AssumeRole(ctx, jobToken, req)
}

// AWSProvider gives the AWS SDK credentials of a job. Wrap it in
// aws.NewCredentialsCache: by itself it keeps nothing.
type AWSProvider struct {
	job *Job
	req AWSRequest
}

var _ aws.CredentialsProvider = (*AWSProvider)(nil)

// NewAWSProvider returns a provider of the credentials that req asks for.
func NewAWSProvider(job *Job, req AWSRequest) *AWSProvider {
	return &AWSProvider{job: job, req: req}
}

// Retrieve gets new credentials with a fresh job token, through every hop of
// the request's chain.
func (p *AWSProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := p.job.AWS(ctx, p.req)
	if err != nil {
		return aws.Credentials{}, err
	}
	return c.AWS(), nil
}
