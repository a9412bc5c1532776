package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/stint-dev/stint/client"
)

// awsFlags are the flags of the commands that get AWS credentials.
type awsFlags struct {
	duration time.Duration
	chain    []string
	endpoint string
}

func (f *awsFlags) register(fs *pflag.FlagSet) {
	fs.DurationVar(&f.duration, "duration", 0, "how long the credentials shall last, 15m to 12h, with --chain 1h; never longer than the rule says (default: the rule's)")
	fs.StringArrayVar(&f.chain, "chain", nil, "the `ARN[,external-id=ID]` of a role to assume from there; repeatable, in order")
	fs.StringVar(&f.endpoint, "sts-endpoint", "", "the `address` of AWS STS for --chain (default $AWS_ENDPOINT_URL_STS, else $AWS_ENDPOINT_URL, else AWS's own of $AWS_REGION)")
}

// request is what the flags ask for. Of the environment come the address and
// the region of AWS STS, as every AWS tool reads them, and nothing else: no
// credentials, no names, no tags.
func (f *awsFlags) request(e *Env) (client.AWSRequest, error) {
	req := client.AWSRequest{Duration: f.duration}
	if len(f.chain) == 0 {
		if f.endpoint != "" {
			return req, usagef("it is where the roles of --chain are asked for")("--sts-endpoint has no --chain to go with")
		}
		return req, nil
	}
	c := &client.Chain{
		Endpoint: f.endpoint,
		Region:   first(e.Getenv("AWS_REGION"), e.Getenv("AWS_DEFAULT_REGION")),
	}
	if c.Endpoint == "" && !strings.EqualFold(e.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
		c.Endpoint = first(e.Getenv("AWS_ENDPOINT_URL_STS"), e.Getenv("AWS_ENDPOINT_URL"))
	}
	for _, s := range f.chain {
		hop, err := client.ParseHop(s)
		if err != nil {
			return req, jobError(e, err)
		}
		c.Roles = append(c.Roles, hop)
	}
	req.Chain = c
	return req, nil
}

// chainError is a hop that failed, as its reader can act on it. A refusal of
// AWS is a denial, and marks the run of GitHub Actions as one of the broker
// does.
func chainError(e *Env, err error, hop *client.ChainError) error {
	var denied *client.DeniedError
	if !errors.As(hop.Err, &denied) {
		return failf(hop.Hint(), "%w", err)
	}
	if inActions(e) {
		said := printable(err.Error())
		annotate(e.Stderr, "stint: denied", said)
		summarize(e, denialSummary(said, hop.Hint(), leg{}, false))
	}
	return deniedf(hop.Hint(), "%w", err)
}
