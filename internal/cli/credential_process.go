package cli

import (
	"time"

	"github.com/spf13/cobra"
)

func newCredentialProcessCommand(e *Env) *cobra.Command {
	var (
		flags  jobFlags
		wanted awsFlags
	)
	c := &cobra.Command{
		Use:   "credential-process",
		Short: "Give AWS tools credentials whenever theirs end",
		Long: `Print AWS credentials as the AWS tools expect them from a credential_process. They
run it again when the credentials are about to end, so a long job never runs out
of them. In ~/.aws/config:

  [profile deploy]
  credential_process = stint credential-process --role arn:aws:iam::111111111111:role/deploy

With --chain they are those of the last of several roles, and every run goes
through all of them.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			req, err := wanted.request(e)
			if err != nil {
				return err
			}
			job, err := flags.job(e)
			if err != nil {
				return jobError(e, err)
			}
			creds, err := job.AWS(c.Context(), req)
			if err != nil {
				return jobError(e, err)
			}
			return printJSON(e.Stdout, processCredentials{
				Version:         1,
				AccessKeyID:     creds.AccessKeyID,
				SecretAccessKey: creds.SecretAccessKey.Reveal(),
				SessionToken:    creds.SessionToken.Reveal(),
				Expiration:      creds.Expires.UTC().Format(time.RFC3339),
			})
		},
	}
	flags.register(c.Flags())
	wanted.register(c.Flags())
	return c
}

// processCredentials is what the AWS SDKs read from a credential_process.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
type processCredentials struct {
	Version         int    `json:"Version"`
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string `json:"SecretAccessKey"`
	SessionToken    string `json:"SessionToken"`
	Expiration      string `json:"Expiration"` // ISO 8601
}
