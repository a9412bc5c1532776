package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

const (
	// MaxChainedDuration is the longest session that the session of a role can
	// make (IAM User Guide, "Role chaining"), whatever the roles allow.
	MaxChainedDuration = time.Hour
	// MaxHops is how many roles a Chain may have.
	MaxHops = 5
)

// Chain is the roles that sessions assume one after the other by
// sts:AssumeRole, each with the credentials of the one before and with nothing
// else that lies around on the machine. All sessions have the name of the
// first, and its source identity goes on by itself.
//
// Each call passes the tags that Grant.Chain names, with the values that the
// broker gave the first session: never anything of the job's own choice, so
// that a trust policy may rely on them as far as it relies on the rule. Those
// that are transitive go on by themselves, and AWS refuses them in a call.
type Chain struct {
	Roles []Hop // 1 to MaxHops, all of one partition
	// Duration is of each session, MinDuration to MaxChainedDuration in whole
	// seconds. 0: what the rule gave the first, and at most MaxChainedDuration.
	Duration time.Duration
	// Endpoint is the address of AWS STS, https or http on loopback. Empty:
	// AWS's own of Region.
	Endpoint string
	// Region is where AWS STS is asked, and of the signatures. Empty: the one
	// that every account of the roles' partition has.
	Region string
	HTTP   *http.Client // nil: a default one. Redirects are never followed
	Retry  Retry
}

// Hop is one role of a Chain.
type Hop struct {
	Role       string // its ARN
	ExternalID string // that its trust policy asks for; empty: none is passed
}

// externalIDMark stands between a role and its external id where both are one
// text.
const externalIDMark = ",external-id="

// ParseHop reads a hop as ARN or ARN,external-id=ID. The error is a
// *SettingError.
func ParseHop(s string) (Hop, error) {
	role, id, has := strings.Cut(s, externalIDMark)
	h := Hop{Role: role, ExternalID: id}
	if has && id == "" {
		return Hop{}, &SettingError{Setting: "chain", Detail: "expected an external id behind " + externalIDMark[1:], Hint: hopHint}
	}
	return h, h.check()
}

const hopHint = "write it as arn:aws:iam::ACCOUNT:role/NAME, or arn:aws:iam::ACCOUNT:role/NAME,external-id=ID"

const maxExternalID = 1224

// The limits of sts AssumeRole: RoleArn and ExternalId, and those of IAM on the
// name and the path of a role.
var (
	roleARN    = regexp.MustCompile(`^arn:(aws(?:-[a-z]+)*):iam::([0-9]{12}):role/((?:[!-.0-~][!-~]{0,509}/)?)([\w+=,.@-]{1,64})$`)
	externalID = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
	sessionARN = regexp.MustCompile(`^arn:(aws(?:-[a-z]+)*):sts::([0-9]{12}):assumed-role/([\w+=,.@-]{1,64})/([\w+=,.@-]{2,64})$`)
	regionName = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
)

func (h Hop) check() error {
	if err := checkRole("chain", h.Role); err != nil {
		return err
	}
	if h.ExternalID != "" && (len(h.ExternalID) > maxExternalID || !externalID.MatchString(h.ExternalID)) {
		return &SettingError{Setting: "chain", Detail: fmt.Sprintf("expected an external id of 2 to %d letters, digits and _+=,.@:/-", maxExternalID), Hint: hopHint}
	}
	return nil
}

func checkRole(setting, arn string) error {
	if !roleARN.MatchString(arn) {
		return &SettingError{Setting: setting, Detail: fmt.Sprintf("expected the ARN of a role, found %q", clean(arn)), Hint: hopHint}
	}
	return nil
}

func partition(arn string) string {
	_, rest, _ := strings.Cut(arn, ":")
	p, _, _ := strings.Cut(rest, ":")
	return p
}

// check refuses what could only fail later. A chain that would be sent to the
// door of b is one: many jobs have its address in AWS_ENDPOINT_URL_STS.
func (c Chain) check(b Broker) error {
	if n := len(c.Roles); n < 1 || n > MaxHops {
		return &SettingError{Setting: "chain", Detail: fmt.Sprintf("expected 1 to %d roles, found %d", MaxHops, n), Hint: hopHint}
	}
	for _, h := range c.Roles {
		if err := h.check(); err != nil {
			return err
		}
		if p, first := partition(h.Role), partition(c.Roles[0].Role); p != first {
			return &SettingError{Setting: "chain", Detail: fmt.Sprintf("expected roles of one partition, found %s and %s", first, p),
				Hint: "no credentials are good in two partitions of AWS"}
		}
	}
	if err := checkDuration(c.Duration, MaxChainedDuration, "AWS gives at most one hour to a session that a role's session makes (role chaining)"); err != nil {
		return err
	}
	at, err := c.endpoint()
	if err != nil {
		return err
	}
	if _, err := c.region(); err != nil {
		return err
	}
	if door, err := b.endpoint("/aws/sts"); err == nil && at != nil && strings.EqualFold(strings.TrimRight(*at, "/"), door) {
		return &SettingError{Setting: stsEndpoint, Detail: clean(*at) + " is the broker's door, which serves AssumeRoleWithWebIdentity only", Hint: notTheDoor}
	}
	return nil
}

const (
	stsEndpoint = "the address of AWS STS"
	notTheDoor  = "the hops of a chain go to AWS STS itself: give its address with --sts-endpoint (Chain.Endpoint), such as https://sts.eu-central-1.amazonaws.com"
)

// endpoint is the address of AWS STS; nil: the one that the SDK knows.
func (c Chain) endpoint() (*string, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	u, err := address(stsEndpoint, c.Endpoint)
	var bad *SettingError
	switch {
	case errors.As(err, &bad):
		bad.Hint = "expected an address such as https://sts.eu-central-1.amazonaws.com, or http://127.0.0.1:4566 on this machine"
		return nil, bad
	case err != nil:
		return nil, err
	case u.RawQuery != "":
		return nil, &SettingError{Setting: stsEndpoint, Detail: "must not have a query", Hint: "give the address alone"}
	}
	return aws.String(u.String()), nil
}

// homeRegions are the regions that every account of a partition has.
var homeRegions = map[string]string{"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}

func (c Chain) region() (string, error) {
	region := c.Region
	if region == "" {
		region = homeRegions[partition(c.Roles[0].Role)]
	}
	if !regionName.MatchString(region) {
		return "", &SettingError{Setting: "AWS_REGION", Detail: fmt.Sprintf("expected a region, found %q", clean(region)), Hint: "set it to the region in which AWS STS is to be asked, such as eu-central-1"}
	}
	return region, nil
}

// Assume goes from the session of creds through all roles, and returns the
// credentials of the last. The error is a *SettingError for a chain that
// cannot be asked for, before anything is, and a *ChainError for a hop that
// failed; it holds a *DeniedError where AWS refused.
func (c Chain) Assume(ctx context.Context, creds AWSCredentials) (AWSCredentials, error) {
	if err := c.check(Broker{}); err != nil {
		return AWSCredentials{}, err
	}
	first := sessionARN.FindStringSubmatch(creds.AssumedRoleARN)
	if first == nil {
		return AWSCredentials{}, fmt.Errorf("role chaining: expected the first session as arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION, found %q", clean(creds.AssumedRoleARN))
	}
	if want := partition(c.Roles[0].Role); first[1] != want {
		return AWSCredentials{}, &SettingError{Setting: "chain", Detail: fmt.Sprintf("expected roles of the first session's partition %s, found %s", first[1], want),
			Hint: "no credentials are good in two partitions of AWS"}
	}
	tags, err := creds.Grant.passedOn()
	if err != nil {
		return AWSCredentials{}, fmt.Errorf("role chaining: %w", err)
	}
	caller := callerOf(first, creds.Grant)
	for i, hop := range c.Roles {
		call := hopCall{hop: hop, session: first[4], duration: c.duration(creds.Grant), tags: tags}
		next, err := c.hop(ctx, creds, call)
		if err != nil {
			return AWSCredentials{}, &ChainError{
				Hop: i + 1, Hops: len(c.Roles), Caller: caller.role, Role: hop.Role, ExternalID: hop.ExternalID,
				SessionName: call.session, Duration: call.duration, Tags: tagMap(tags),
				CallerTags: caller.tags, CallerTransitive: caller.transitive, CallerSourceIdentity: caller.sourceIdentity,
				Err: err,
			}
		}
		next.Grant = creds.Grant
		creds, caller = next, caller.next(hop.Role, tags)
	}
	return creds, nil
}

// duration is what each hop asks for; 0: the default of AWS STS, one hour.
func (c Chain) duration(g *Grant) time.Duration {
	if c.Duration != 0 || g == nil || g.Seconds <= 0 || g.Seconds >= int64(MaxChainedDuration/time.Second) {
		return c.Duration
	}
	return max(MinDuration, time.Duration(g.Seconds)*time.Second)
}

// passedOn are the tags that each hop passes: those that the grant names for
// it but for the ones that its sessions inherit. Nil grants pass none.
func (g *Grant) passedOn() ([]types.Tag, error) {
	if g == nil || g.Chain == nil {
		return nil, nil
	}
	var tags []types.Tag
	for k, v := range g.Chain.Tags {
		if err := checkTag(k, v); err != nil {
			return nil, err
		}
		if !containsFold(g.Transitive, k) {
			tags = append(tags, types.Tag{Key: &k, Value: &v})
		}
	}
	slices.SortFunc(tags, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	return tags, nil
}

// containsFold reports whether key is one of keys. AWS compares tag keys
// without letter case.
func containsFold(keys []string, key string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, key) })
}

func tagMap(tags []types.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[*t.Key] = *t.Value
	}
	return m
}

// hopCall is what one call of sts:AssumeRole asks for.
type hopCall struct {
	hop      Hop
	session  string
	duration time.Duration
	tags     []types.Tag
}

func (c Chain) hop(ctx context.Context, creds AWSCredentials, call hopCall) (AWSCredentials, error) {
	endpoint, err := c.endpoint()
	if err != nil {
		return AWSCredentials{}, err
	}
	region, err := c.region()
	if err != nil {
		return AWSCredentials{}, err
	}
	caller := creds.AWS()
	service := sts.New(sts.Options{
		Region:       region,
		BaseEndpoint: endpoint,
		HTTPClient:   guarded(c.HTTP, maxBrokerAnswer),
		Credentials:  aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return caller, nil }),
		Retryer:      aws.NopRetryer{}, // c.Retry decides what is tried again
	})
	in := &sts.AssumeRoleInput{RoleArn: &call.hop.Role, RoleSessionName: &call.session, Tags: call.tags}
	if call.hop.ExternalID != "" {
		in.ExternalId = &call.hop.ExternalID
	}
	if call.duration != 0 {
		in.DurationSeconds = aws.Int32(int32(call.duration / time.Second))
	}
	var out *sts.AssumeRoleOutput
	err = c.Retry.do(ctx, func() error {
		out, err = service.AssumeRole(ctx, in)
		return classifyHop(err)
	})
	if err != nil {
		return AWSCredentials{}, err
	}
	next, ok := readCredentials(out.Credentials, out.AssumedRoleUser)
	if !ok {
		return AWSCredentials{}, &STSError{Status: http.StatusOK, Message: noCredentials}
	}
	return next, nil
}

// chainCaller is who makes a hop, as far as it is known: for errors only.
type chainCaller struct {
	role           string // the ARN
	tags           map[string]string
	transitive     []string
	sourceIdentity string
}

// callerOf is the first session. Its ARN has no path of the role; the grant's
// role does.
func callerOf(session []string, g *Grant) chainCaller {
	c := chainCaller{role: "arn:" + session[1] + ":iam::" + session[2] + ":role/" + session[3]}
	if g == nil {
		return c
	}
	if m := roleARN.FindStringSubmatch(g.Role); m != nil && m[1] == session[1] && m[2] == session[2] && m[4] == session[3] {
		c.role = g.Role
	}
	c.tags, c.transitive, c.sourceIdentity = g.Tags, g.Transitive, g.SourceIdentity
	return c
}

// next is the session that c makes of role.
func (c chainCaller) next(role string, passed []types.Tag) chainCaller {
	tags := tagMap(passed)
	for k, v := range c.tags {
		if containsFold(c.transitive, k) {
			tags[k] = v
		}
	}
	return chainCaller{role: role, tags: tags, transitive: c.transitive, sourceIdentity: c.sourceIdentity}
}
