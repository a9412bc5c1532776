package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/client"
)

const (
	// whoamiTimeout bounds the whole call of AWS STS.
	whoamiTimeout = 30 * time.Second
	// imdsTimeout bounds the search for an instance's role: where there is
	// none, many networks swallow the request instead of refusing it.
	imdsTimeout = time.Second
	// defaultRegion is where STS is asked if nothing names a region.
	defaultRegion = "us-east-1"
)

func newWhoamiCommand(e *Env) *cobra.Command {
	var (
		url, audience string
		asJSON        bool
	)
	c := &cobra.Command{
		Use:   "whoami",
		Short: "Say who the AWS credentials of this environment are",
		Long: `Ask AWS STS whose credentials this environment holds (GetCallerIdentity, which
needs no permission), found as every AWS tool finds them. AWS_ENDPOINT_URL_STS and
AWS_REGION are honoured.

Without AWS credentials it says which job this is, and fails.

  stint exec -- stint whoami
  stint whoami --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			who, err := callerIdentity(c.Context(), e)
			var none *noCredentialsError
			if errors.As(err, &none) {
				return whoIsJob(c.Context(), e, first(audience, e.Getenv("STINT_AUDIENCE"), url, e.Getenv("STINT_URL")), asJSON, none)
			}
			if err != nil {
				return failf("", "%w", err)
			}
			return printWhoami(e, who, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&url, "url", "", "the broker's `address` (default $STINT_URL)")
	f.StringVar(&audience, "job-audience", "", "the `audience` to ask the CI system for (default $STINT_AUDIENCE, else the broker's address)")
	f.BoolVar(&asJSON, "json", false, "print it as one JSON object")
	return c
}

// awsIdentity is what `stint whoami --json` prints. Role and Session are there
// for the session of an assumed role.
type awsIdentity struct {
	Account string     `json:"account"`
	ARN     string     `json:"arn"`
	UserID  string     `json:"user_id"`
	Role    string     `json:"role,omitempty"`
	Session string     `json:"session,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

// noCredentialsError is that the default chain of the SDK found none.
type noCredentialsError struct{ err error }

func (n *noCredentialsError) Error() string { return "there are no AWS credentials here" }
func (n *noCredentialsError) Unwrap() error { return n.err }

func callerIdentity(ctx context.Context, e *Env) (awsIdentity, error) {
	ctx, cancel := context.WithTimeout(ctx, whoamiTimeout)
	defer cancel()
	// The default chain reads the environment and the files of AWS itself.
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return awsIdentity{}, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	found, err := findCredentials(ctx, cfg.Credentials)
	if err != nil {
		return awsIdentity{}, err
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return awsIdentity{}, fmt.Errorf("asking AWS STS: %w", err)
	}
	who := awsIdentity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn), UserID: aws.ToString(out.UserId)}
	who.Role, who.Session = assumedRole(who.ARN)
	switch t, err := time.Parse(time.RFC3339, e.Getenv("AWS_CREDENTIAL_EXPIRATION")); {
	case found.CanExpire:
		expires := found.Expires.UTC()
		who.Expires = &expires
	case err == nil:
		t = t.UTC()
		who.Expires = &t
	}
	return who, nil
}

// findCredentials tells credentials that are missing from an AWS STS that
// cannot be asked.
func findCredentials(ctx context.Context, p aws.CredentialsProvider) (aws.Credentials, error) {
	instance := aws.IsCredentialsProvider(p, (*ec2rolecreds.Provider)(nil))
	if instance {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, imdsTimeout)
		defer cancel()
	}
	creds, err := p.Retrieve(ctx)
	switch {
	case err == nil:
		return creds, nil
	case instance: // the last in the chain: nothing before it was configured
		return aws.Credentials{}, &noCredentialsError{err}
	}
	return aws.Credentials{}, fmt.Errorf("getting the AWS credentials that this environment names: %w", err)
}

// assumedRole reads role and session out of the ARN of an assumed role,
// arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION.
func assumedRole(arn string) (role, session string) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[2] != "sts" {
		return "", ""
	}
	rest, ok := strings.CutPrefix(parts[5], "assumed-role/")
	if !ok {
		return "", ""
	}
	role, session, _ = strings.Cut(rest, "/")
	return role, session
}

func printWhoami(e *Env, who awsIdentity, asJSON bool) error {
	if asJSON {
		return printJSON(e.Stdout, who)
	}
	w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, printable(value))
		}
	}
	row("Account", who.Account)
	row("Arn", who.ARN)
	row("UserId", who.UserID)
	row("Role", who.Role)
	row("Session", who.Session)
	if who.Expires != nil {
		row("Expires", relative(*who.Expires, e.Now()))
	}
	return w.Flush()
}

// jobIdentity is what `stint whoami --json` prints without AWS credentials.
type jobIdentity struct {
	Subject    string `json:"subject"`
	Repository string `json:"repository,omitempty"`
	Issuer     string `json:"issuer"`
}

// whoIsJob says who the job is that has no AWS credentials, and fails.
func whoIsJob(ctx context.Context, e *Env, audience string, asJSON bool, none *noCredentialsError) error {
	github, err := client.GitHubFromEnv(e.Getenv)
	var notInJob *client.NotInJobError
	if errors.As(err, &notInJob) {
		return failf(notInJob.Hint(), "%w, and %w", none, err)
	}
	if err != nil {
		return jobError(e, err)
	}
	token, err := github.JobToken(ctx, audience)
	if err != nil {
		return jobError(e, err)
	}
	who, err := readJobIdentity(token)
	if err != nil {
		return failf("", "%w, and %w", none, err)
	}
	if asJSON {
		err = printJSON(e.Stdout, struct {
			Job jobIdentity `json:"job"`
		}{who})
	} else {
		w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "Job\t%s\n", printable(who.Subject))
		if who.Repository != "" {
			fmt.Fprintf(w, "Repository\t%s\n", printable(who.Repository))
		}
		fmt.Fprintf(w, "Issuer\t%s\n", printable(who.Issuer))
		err = w.Flush()
	}
	if err != nil {
		return err
	}
	return failf("'stint exec -- COMMAND' runs a command with some\n'stint claims' shows all of this job's token", "this job has no AWS credentials")
}

// readJobIdentity reads the job's own token, which has just come from the CI
// system. Nothing is decided on it, so its signature does not matter.
func readJobIdentity(token client.Secret) (jobIdentity, error) {
	var claims struct {
		Sub        string `json:"sub"`
		Repository string `json:"repository"`
		Iss        string `json:"iss"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Reveal()+"..", ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		return jobIdentity{}, errors.New("the job token that the CI system gave cannot be read")
	}
	return jobIdentity{Subject: claims.Sub, Repository: claims.Repository, Issuer: claims.Iss}, nil
}

// first is the first of values that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
