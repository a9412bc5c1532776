package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/client"
	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/emulator"
	"github.com/stint-dev/stint/internal/emulator/awssts"
	"github.com/stint-dev/stint/internal/emulator/github"
	"github.com/stint-dev/stint/internal/store"
)

// demoTimeout bounds the whole demo.
const demoTimeout = time.Minute

func newDemoCommand(e *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show the whole flow on this machine: one job gets credentials, another is denied",
		Long: `Start an emulated GitHub token endpoint, an emulated AWS STS and a real broker on
loopback, and tell step by step how a job's token becomes AWS credentials, and why
another job is denied. Everything shown is what passed over HTTP, or what the
broker recorded and the emulated STS evaluated. Nothing is left behind.

` + emulator.Banner,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), demoTimeout)
			defer cancel()
			return demo(ctx, e)
		},
	}
}

func demo(ctx context.Context, e *Env) (err error) {
	ctx, stop := tidily(ctx)
	defer stop()
	s, err := readSetup("", nil, "")
	if err != nil {
		return err
	}
	decisions := make(chan awssts.Decision, 1)
	s.now, s.log = e.Now, newLogger(e.Stderr, slog.LevelError, false)
	s.onDecision = func(d awssts.Decision) {
		select {
		case decisions <- d:
		default:
		}
	}
	l, err := startLocal(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	d := &teller{w: e.Stdout, local: l, decisions: decisions}

	role := s.config.Rules[0].AWS.Roles[0]
	if err := d.granted(ctx, role.Value); err != nil {
		return err
	}
	if err := d.denied(ctx, role.Value); err != nil {
		return err
	}
	d.say("Next: stint dev -- sh -c 'stint exec -- stint whoami' runs your own command this way.")
	return d.err
}

// teller tells what happens.
type teller struct {
	w         io.Writer
	local     *local
	decisions <-chan awssts.Decision
	steps     int
	err       error // of the first write that failed
}

func (d *teller) say(format string, args ...any) {
	if _, err := fmt.Fprintf(d.w, format+"\n", args...); err != nil && d.err == nil {
		d.err = fmt.Errorf("telling what happens: %w", err)
	}
}

func (d *teller) step(format string, args ...any) {
	d.steps++
	d.say("\n%d. "+format, append([]any{d.steps}, args...)...)
}

func (d *teller) show(name, value string) { d.say("     %-24s %s", name, value) }

// job starts a job and asks the emulated GitHub for its token.
func (d *teller) job(ctx context.Context, j github.Job) (*client.Job, client.Secret, error) {
	running, err := d.local.github.AddJob(j)
	if err != nil {
		return nil, "", err
	}
	lines, err := d.local.env(running)
	if err != nil {
		return nil, "", err
	}
	job, err := client.FromEnv(func(name string) string {
		for _, line := range lines {
			if k, v, _ := strings.Cut(line, "="); k == name {
				return v
			}
		}
		return ""
	})
	if err != nil {
		return nil, "", err
	}
	token, err := job.JobToken(ctx)
	return job, token, err
}

func (d *teller) granted(ctx context.Context, role string) error {
	d.say("%s", emulator.Banner)
	d.say("\nA job of octo-org/octo-repo on main, in the environment prod, wants %s.", role)

	job, token, err := d.job(ctx, github.Job{Environment: "prod"})
	if err != nil {
		return err
	}
	d.step("GitHub signs a token for the job. It is good for one audience and a few minutes.")
	if err := d.showClaims(token, "iss", "sub", "aud", "repository", "repository_id", "repository_owner_id", "ref", "environment", "event_name", "run_id", "actor_id"); err != nil {
		return err
	}

	stint, err := job.Broker.Exchange(ctx, token, client.ExchangeRequest{Role: role})
	if err != nil {
		return err
	}
	record, err := d.lastRecord(ctx)
	if err != nil {
		return err
	}
	d.step("The broker verifies the token, decides, and records the decision before it signs.")
	d.showRecord(record)

	d.step("It signs a stint token, which can buy this one role and carries the session's tags.")
	if err := d.showClaims(stint.Raw, "iss", "sub", "aud", "https://aws.amazon.com/roles", "https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"); err != nil {
		return err
	}

	anonymous := sts.New(sts.Options{Region: d.local.region, BaseEndpoint: &d.local.stsURL, Credentials: aws.AnonymousCredentials{}})
	out, err := anonymous.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String(record.Granted.SessionName), WebIdentityToken: aws.String(stint.Raw.Reveal()),
		DurationSeconds: aws.Int32(int32(record.Granted.Seconds)),
	})
	if err != nil {
		return fmt.Errorf("assuming the role: %w", err)
	}
	d.step("AWS STS checks that token against the role's trust policy.")
	if err := d.showEvaluation(); err != nil {
		return err
	}
	d.show("credentials", fmt.Sprintf("%s, until %s", aws.ToString(out.Credentials.AccessKeyId), out.Credentials.Expiration.UTC().Format(time.RFC3339)))

	signed := sts.New(sts.Options{Region: d.local.region, BaseEndpoint: &d.local.stsURL, Credentials: credentials.NewStaticCredentialsProvider(
		aws.ToString(out.Credentials.AccessKeyId), aws.ToString(out.Credentials.SecretAccessKey), aws.ToString(out.Credentials.SessionToken))})
	who, err := signed.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("asking who the credentials are: %w", err)
	}
	d.step("GetCallerIdentity, signed with the credentials, answers who they are.")
	d.show("Arn", aws.ToString(who.Arn))
	d.show("UserId", aws.ToString(who.UserId))
	d.show("Account", aws.ToString(who.Account))
	return nil
}

func (d *teller) denied(ctx context.Context, role string) error {
	d.say("\nA pull request's job of the same repository wants the same role.")
	job, token, err := d.job(ctx, github.Job{Event: "pull_request"})
	if err != nil {
		return err
	}
	d.step("GitHub signs its token: the same repository, another subject.")
	if err := d.showClaims(token, "sub", "ref", "event_name"); err != nil {
		return err
	}

	_, err = job.Broker.Exchange(ctx, token, client.ExchangeRequest{Role: role})
	var denied *client.DeniedError
	if !errors.As(err, &denied) {
		return fmt.Errorf("the broker should have denied the pull request, and answered: %w", err)
	}
	d.step("The broker denies it, and says which claim stood in the way.")
	why, _ := denialOf(denied)
	for line := range strings.Lines(explanationText([]leg{why})) {
		d.say("%s", strings.TrimRight("     "+line, " \n"))
	}
	record, err := d.lastRecord(ctx)
	if err != nil {
		return err
	}
	d.step("The denial is on record too.")
	d.showRecord(record)
	d.say("")
	return nil
}

// showClaims shows claims of a token as they stand in it.
func (d *teller) showClaims(token client.Secret, names ...string) error {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return errors.New("the token is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(payload, &claims); err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	for _, name := range names {
		if v, ok := claims[name]; ok {
			d.show(strings.TrimPrefix(name, "https://aws.amazon.com/"), printable(string(v)))
		}
	}
	return nil
}

func (d *teller) lastRecord(ctx context.Context) (audit.Record, error) {
	records, err := d.local.broker.store.Records(ctx, store.Query{Limit: 1, Newest: true})
	if err != nil {
		return audit.Record{}, err
	}
	if len(records) == 0 {
		return audit.Record{}, errors.New("the decision is not on record")
	}
	return records[0], nil
}

func (d *teller) showRecord(r audit.Record) {
	d.show("record", r.ID)
	d.show("verdict", string(r.Verdict))
	if r.Rule != "" {
		d.show("rule", r.Rule)
	}
	if r.Reason != "" {
		d.show("reason", r.Reason)
	}
	d.show("asked by", fmt.Sprintf("%s, run %s, actor %s", printable(r.Caller.Subject), r.Caller.RunID, r.Caller.ActorID))
	if r.Detail != "" {
		d.show("detail", printable(r.Detail))
	}
	if r.Granted != nil {
		d.show("session", fmt.Sprintf("%s for %s", r.Granted.SessionName, time.Duration(r.Granted.Seconds)*time.Second))
	}
	if r.Outcome != nil {
		d.show("issued", fmt.Sprintf("stint token %s, signed with key %s", r.Outcome.TokenID, r.Outcome.KeyID))
	}
}

// showEvaluation shows what the emulated STS made of the last call.
func (d *teller) showEvaluation() error {
	var decision awssts.Decision
	select {
	case decision = <-d.decisions:
	default:
		return errors.New("the emulated STS decided nothing")
	}
	d.show("provider", decision.Provider)
	if decision.Evaluation == nil {
		return nil
	}
	for _, action := range decision.Evaluation.Actions {
		d.show(action.Action, action.Decision.String())
		for _, s := range action.Statements {
			if s.Matched {
				d.showStatement(s)
			}
		}
	}
	return nil
}

func (d *teller) showStatement(s iam.StatementResult) {
	for _, c := range s.Conditions {
		actual := slices.Clone(c.Actual)
		for i := range actual {
			actual[i] = printable(actual[i])
		}
		d.say("       %s %s", c.Operator, c.Key)
		d.say("         expected %s", strings.Join(c.Expected, " or "))
		d.say("         found    %s", strings.Join(actual, ", "))
	}
}
