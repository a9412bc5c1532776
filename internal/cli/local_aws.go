package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/pflag"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/cloudtrail"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/emulator/awssts"
	"github.com/stint-dev/stint/internal/emulator/organization"
	"github.com/stint-dev/stint/internal/emulator/s3"
	"github.com/stint-dev/stint/internal/roles"
)

// awsFlagsOfDev describe the emulated AWS beside its roles.
type awsFlagsOfDev struct {
	account, organization string
	buckets               []string
	brokerRole            string
	cloudTrail            string
}

func (f *awsFlagsOfDev) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.account, "account", roles.DefaultAccount, "the `account` of roles whose files do not say it, as templates")
	fl.StringVar(&f.organization, "organization", "", "a `file` that describes the accounts and their organization")
	fl.StringArrayVar(&f.buckets, "bucket", nil, "an S3 bucket, `NAME[,account=ID][,policy=FILE][,tag=KEY:VALUE]`; repeatable (default: site)")
	fl.StringVar(&f.brokerRole, "broker-role", "", "the `ARN` of the role that the broker runs with, for rules with via: assume-role")
	fl.StringVar(&f.cloudTrail, "cloudtrail", "", "append what the emulated STS decides to this `file`, as AWS CloudTrail has it, one event a line")
}

// emulatedAWS is what the flags say, read.
type emulatedAWS struct {
	organization *organization.Organization
	buckets      []s3.Bucket
	brokerRole   string
	trail        *trail
	warnings     []string
}

// Close closes what is written to.
func (a *emulatedAWS) Close() error {
	if a.trail == nil {
		return nil
	}
	return a.trail.Close()
}

// into reads what the flags name.
func (f *awsFlagsOfDev) into(s *setup) error {
	if !config.ValidAccount(f.account) {
		return usagef("an account is twelve digits")("--account: expected an account, found %q", printable(f.account))
	}
	var err error
	if f.organization != "" {
		if s.aws.organization, err = organization.Load(f.organization); err != nil {
			return failf("docs/emulated-aws.md shows such a file", "%w", err)
		}
	}
	names := f.buckets
	if len(names) == 0 {
		names = []string{"site"}
	}
	for _, b := range names {
		bucket, err := parseBucket(b, f.account)
		if err != nil {
			return err
		}
		s.aws.buckets = append(s.aws.buckets, bucket)
	}
	if f.brokerRole != "" {
		if _, ok := s.roles.Get(f.brokerRole); !ok {
			return failf("add it to the files that --roles names", "the broker's role %s is none of the roles", printable(f.brokerRole))
		}
		s.aws.brokerRole = f.brokerRole
	}
	if f.cloudTrail != "" {
		file, err := os.OpenFile(f.cloudTrail, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return failf("", "writing the events: %w", err)
		}
		s.aws.trail = &trail{file: file}
		s.onDecision = s.aws.trail.write
	}
	return nil
}

// parseBucket reads NAME[,account=ID][,policy=FILE][,tag=KEY:VALUE].
func parseBucket(text, account string) (s3.Bucket, error) {
	const hint = "write it as NAME, or NAME,account=111111111111,policy=bucket-policy.json"
	name, rest, _ := strings.Cut(text, ",")
	b := s3.Bucket{Name: name, AccountID: account}
	for part := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(part, "=")
		switch {
		case part == "":
		case ok && key == "account" && config.ValidAccount(value):
			b.AccountID = value
		case ok && key == "tag":
			name, text, ok := strings.Cut(value, ":")
			if !ok || name == "" {
				return b, usagef(hint)("--bucket: expected tag=KEY:VALUE, found %q", printable(part))
			}
			if b.Tags == nil {
				b.Tags = map[string]string{}
			}
			b.Tags[name] = text
		case ok && key == "policy" && value != "":
			data, err := config.ReadFile(value, 1<<20)
			if errors.Is(err, fs.ErrNotExist) {
				return b, usagef(hint)("--bucket: there is no such file: %s", shortened(value))
			}
			if err != nil {
				return b, failf("", "reading the bucket policy: %w", err)
			}
			if b.Policy, err = iam.ParsePolicy(data); err != nil {
				return b, failf("", "reading the bucket policy: %s: %w", printable(value), err)
			}
			b.PolicyName = "bucket policy"
		default:
			return b, usagef(hint)("--bucket: expected account=ID, policy=FILE or tag=KEY:VALUE behind the name, found %q", printable(part))
		}
	}
	return b, nil
}

// emulateS3 serves the buckets, with what they hold in the temporary folder.
func (l *local) emulateS3(ctx context.Context, s setup, sts *awssts.STS) error {
	dir := filepath.Join(l.dir, "s3")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("making the buckets' folder: %w", err)
	}
	service, err := s3.New(s3.Config{
		Dir: dir, Buckets: s.aws.buckets,
		Sessions: func(accessKeyID string) (s3.Session, bool) {
			n, ok := sts.Session(accessKeyID)
			return s3.Session{AccessKeyID: n.AccessKeyID, SecretAccessKey: n.SecretAccessKey, SessionToken: n.SessionToken, Expires: n.Expires, Caller: n.Caller}, ok
		},
		Keys: func(_ iam.Caller, account string) iam.Context { return sts.ResourceKeys(account) },
		Now:  s.now, Rand: rand.Reader, Log: s.log,
	})
	if err != nil {
		return failf("--bucket NAME[,account=ID][,policy=FILE]", "%w", err)
	}
	l.s3URL, err = l.emulate(ctx, service, s.log)
	return err
}

// credentials are the broker's own in the emulated AWS; nil: it has none.
func (a *emulatedAWS) credentials(sts *awssts.STS) (aws.CredentialsProvider, error) {
	if a.brokerRole == "" {
		return nil, nil
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		n, err := sts.NewSession(a.brokerRole, "stint", time.Hour)
		if err != nil {
			return aws.Credentials{}, err
		}
		return aws.Credentials{AccessKeyID: n.AccessKeyID, SecretAccessKey: n.SecretAccessKey, SessionToken: n.SessionToken, CanExpire: true, Expires: n.Expires}, nil
	}), nil
}

// trail writes the emulated STS's decisions as AWS CloudTrail has them.
type trail struct {
	mu   sync.Mutex
	file *os.File
	err  error
}

func (t *trail) write(d awssts.Decision) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := printJSON(t.file, cloudtrail.FromDecision(d)); t.err == nil {
		t.err = err
	}
}

// Close says what could not be written.
func (t *trail) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := errors.Join(t.err, t.file.Close()); err != nil {
		return fmt.Errorf("writing the events: %w", err)
	}
	return nil
}
