package cli

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

// ambient are the broker's own AWS credentials, from wherever the AWS SDKs look
// for them: the environment, files, the container or the instance. They are
// looked for when a rule with via: assume-role needs them, and not before.
type ambient struct{ region string }

// Retrieve looks for the credentials anew: what it finds is kept until it
// expires by the cache that asks.
func (a ambient) Retrieve(ctx context.Context) (aws.Credentials, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(a.region))
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("looking for the broker's AWS credentials: %w", err)
	}
	c, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("looking for the broker's AWS credentials: %w", err)
	}
	return c, nil
}
