package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/client"
)

func newTokenCommand(e *Env) *cobra.Command {
	var (
		flags           jobFlags
		audience        string
		asJSON, masking bool
		own             bool
	)
	c := &cobra.Command{
		Use:   "token",
		Short: "Print a stint token for this job",
		Long: `Ask the CI system for this job's token, trade it at the broker for a stint token,
and print that alone on stdout.

With --job it is the job's own token instead, as the CI system signed it, for clients
that trade it themselves: at the doors for AWS STS and Cognito Identity, say. No broker
is asked, and --audience is whom the token is for (default $STINT_AUDIENCE).

In GitHub Actions, --mask asks the runner to hide the token should a later step
print it, by an ::add-mask:: line on stderr. Leave it out where stderr is saved.

  TOKEN=$(stint token --audience https://vault.example.com)
  stint token --role arn:aws:iam::111111111111:role/deploy --json
  stint token --job --audience cognito-identity.amazonaws.com`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if own {
				return printJobToken(c.Context(), e, audience, asJSON || flags.role != "", masking)
			}
			job, err := flags.job(e)
			if err != nil {
				return jobError(e, err)
			}
			token, err := job.Token(c.Context(), client.ExchangeRequest{Audience: audience})
			if err != nil {
				return jobError(e, err)
			}
			if masking && inActions(e) && readByRunner(e.Stderr) {
				mask(e.Stderr, token.Raw)
			}
			if asJSON {
				return printJSON(e.Stdout, tokenJSON{
					Token:     token.Raw.Reveal(),
					ExpiresIn: int64(token.ExpiresIn / time.Second),
					Expires:   e.Now().Add(token.ExpiresIn).UTC().Truncate(time.Second),
					Grant:     token.Grant,
				})
			}
			_, err = fmt.Fprintln(e.Stdout, token.Raw.Reveal())
			return err
		},
	}
	f := c.Flags()
	flags.register(f)
	f.StringVar(&audience, "audience", "", "the `audience` wanted in the stint token (default: the broker's choice)")
	f.BoolVar(&own, "job", false, "print the job's own token, as the CI system signed it")
	f.BoolVar(&asJSON, "json", false, "print the token and its end as JSON")
	f.BoolVar(&masking, "mask", false, "in GitHub Actions, mask the token in the log")
	return c
}

// printJobToken prints the job's own token.
func printJobToken(ctx context.Context, e *Env, audience string, other, masking bool) error {
	if other {
		return usagef("see 'stint token --help'")("--job takes --audience and --mask only")
	}
	token, err := ownToken(ctx, e, first(audience, e.Getenv("STINT_AUDIENCE"), e.Getenv("STINT_URL")))
	if err != nil {
		return err
	}
	if masking && inActions(e) && readByRunner(e.Stderr) {
		mask(e.Stderr, token)
	}
	_, err = fmt.Fprintln(e.Stdout, token.Reveal())
	return err
}

// tokenJSON is what `stint token --json` prints.
type tokenJSON struct {
	Token     string    `json:"token"`
	ExpiresIn int64     `json:"expires_in"` // seconds
	Expires   time.Time `json:"expires"`

	client.Grant
}
