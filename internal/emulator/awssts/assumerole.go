package awssts

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/roles"
	"github.com/stint-dev/stint/internal/stswire"
)

// chained is an AssumeRole on its way.
type chained struct {
	in      stswire.AssumeRole
	minimum int // MinimumSessionTokenSize
	arn     roles.ARN
	caller  *session
	call    iam.AssumeRoleCall
	role    roles.Role
	session []iam.NamedPolicy // session policies; nil: none
}

// assumeRole decides in the order of the service: signature, parameters, role,
// durations, tags, source identity, policies, size. A role that does not exist
// gets the answer of one that denies.
func (s *STS) assumeRole(c *call) (any, *fault) {
	now := s.cfg.Now()
	var a chained
	d := s.newDecision(c, operationAssumeRole, now)
	result, f := s.chain(c, &a, &d, now)
	s.decided(&d, f)
	if f != nil {
		return nil, f
	}
	return result, nil
}

func (s *STS) chain(c *call, a *chained, d *Decision, now time.Time) (any, *fault) {
	var f *fault
	if a.caller, f = s.authenticate(c, now); f != nil {
		return nil, f
	}
	d.Caller = callerOf(a.caller)
	if f := a.readParameters(c, d); f != nil {
		return nil, f
	}
	var exists bool
	a.role, exists = s.cfg.Roles.Get(a.in.RoleARN)
	a.call = s.assumeRoleCall(c, a, now)
	if f := a.refused(exists); f != nil {
		return nil, f
	}
	if !exists {
		return nil, a.denied(iam.ActionAssumeRole).because("the role does not exist")
	}
	result := iam.EvaluateAssumeRole(a.role.Trust, a.call)
	d.Access = &result
	if !result.Allowed {
		detail := "the policies do not allow it"
		for _, action := range result.Actions {
			if action.Action == result.Denied {
				detail = action.Reason
			}
		}
		return nil, a.denied(result.Denied).because("%s", detail)
	}
	if a.session, f = s.sessionPolicies(a.in.Policy, a.in.PolicyARNs, a.arn); f != nil {
		return nil, f
	}
	return s.issueChained(a, d, now)
}

func (a *chained) readParameters(c *call, d *Decision) *fault {
	var invalid *stswire.Error
	a.in, invalid = stswire.ParseAssumeRole(c.form)
	if invalid != nil {
		return wire(invalid)
	}
	d.RoleARN, d.RoleSessionName = a.in.RoleARN, a.in.RoleSessionName
	var f *fault
	if a.minimum, f = minimumSize(c); f != nil {
		return f
	}
	arn, err := roles.ParseARN(a.in.RoleARN)
	if err != nil {
		return wire(stswire.Validation("Request ARN is invalid"))
	}
	a.arn = arn
	d.Tags, d.TransitiveTagKeys, d.SourceIdentity = tagsOf(a.in.Tags), a.in.TransitiveTagKeys, a.in.SourceIdentity
	d.Policy, d.PolicyARNs, d.ExternalID = a.in.Policy, a.in.PolicyARNs, a.in.ExternalID != ""
	d.DurationSeconds = int(a.duration() / time.Second)
	d.IncomingTags = incoming(a.caller.caller)
	for _, t := range a.in.Tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return wire(stswire.Validation("Tag keys that begin with aws: are reserved for system use."))
		}
	}
	return nil
}

func tagsOf(in []stswire.Tag) []iam.Tag {
	var all []iam.Tag
	for _, t := range in {
		all = append(all, iam.Tag{Key: t.Key, Value: t.Value})
	}
	return all
}

// incoming are the tags that a caller's session hands on.
func incoming(c iam.Caller) []iam.Tag {
	var all []iam.Tag
	for _, t := range c.Tags {
		for _, k := range c.TransitiveTagKeys {
			if strings.EqualFold(k, t.Key) {
				all = append(all, t)
			}
		}
	}
	return all
}

func (a *chained) duration() time.Duration {
	if a.in.Duration == 0 {
		return iam.DefaultSession
	}
	return a.in.Duration
}

func (s *STS) assumeRoleCall(c *call, a *chained, now time.Time) iam.AssumeRoleCall {
	keys := s.ResourceKeys(a.arn.AccountID)
	if agent := c.request.UserAgent(); agent != "" {
		keys.Set("aws:UserAgent", agent)
	}
	return iam.AssumeRoleCall{
		Caller: a.caller.caller, RoleARN: a.in.RoleARN, RoleTags: a.role.Tags, MaxSession: a.role.MaxSessionDuration,
		RoleSessionName: a.in.RoleSessionName, ExternalID: a.in.ExternalID, Tags: tagsOf(a.in.Tags), TransitiveTagKeys: a.in.TransitiveTagKeys,
		SourceIdentity: a.in.SourceIdentity, Duration: a.duration(), Time: now, SourceIP: c.sourceIP, Region: s.region(),
		MoreKeys: keys,
	}
}

// The messages of what STS refuses before it asks any policy.
var refusals = map[iam.RefusalKind]string{
	iam.RefusedInheritedTag:   "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
	iam.RefusedTags:           "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
	iam.RefusedSourceIdentity: "The source identity is already set for this assume role session",
}

func (a *chained) refused(exists bool) *fault {
	switch {
	case exists && a.duration() > a.role.MaxSessionDuration:
		return wire(stswire.Validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."))
	case a.duration() > iam.MaxChainedSession && a.call.Caller.IsRole():
		return wire(stswire.Validation("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."))
	}
	r := a.call.Check()
	switch {
	case r == nil:
		return nil
	case r.Kind == iam.RefusedTags && r.Tag == "":
		return tooLarge().because("%s", r.Message)
	case r.Kind == iam.RefusedTags && !a.passes(r.Tag):
		return newFault(http.StatusBadRequest, "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.").because("%s", r.Message)
	case r.Kind == iam.RefusedInheritedTag:
		return newFault(http.StatusBadRequest, "InvalidParameterValue", refusals[r.Kind]).because("%s", r.Message)
	}
	return wire(stswire.Validation(refusals[r.Kind])).because("%s", r.Message)
}

func (a *chained) passes(key string) bool {
	for _, t := range a.in.Tags {
		if strings.EqualFold(t.Key, key) {
			return true
		}
	}
	return false
}

func (a *chained) denied(action string) *fault {
	return newFault(http.StatusForbidden, "AccessDenied", "User: "+a.caller.arn+" is not authorized to perform: "+action+" on resource: "+a.in.RoleARN)
}

// sessionPolicies are the policies that a caller narrows a session of a role
// with. A managed one whose document is not known, or that is of another
// account than the role, allows nothing.
func (s *STS) sessionPolicies(inline string, arns []string, role roles.ARN) ([]iam.NamedPolicy, *fault) {
	if f := checkSessionPolicy(inline); f != nil {
		return nil, f
	}
	var all []iam.NamedPolicy
	if inline != "" {
		p, err := iam.ParsePolicy([]byte(inline))
		if err != nil {
			return nil, malformedPolicy("Syntax errors in policy.").because("%s", err)
		}
		all = append(all, iam.NamedPolicy{Name: "inline session policy", Policy: p})
	}
	for _, arn := range arns {
		p := cmp.Or(s.cfg.Managed[arn], s.cfg.Roles.Managed(arn))
		own := "arn:" + role.Partition + ":iam::" + role.AccountID + ":policy/"
		if p == nil || !strings.HasPrefix(arn, own) && !strings.HasPrefix(arn, "arn:"+role.Partition+":iam::aws:policy/") {
			p = &iam.Policy{Version: "2012-10-17"}
		}
		all = append(all, iam.NamedPolicy{Name: arn, Policy: p})
	}
	return all, nil
}

func (s *STS) issueChained(a *chained, d *Decision, now time.Time) (any, *fault) {
	next := a.call.Session()
	carried := len(a.in.Policy) + len(next.SourceIdentity)
	for _, t := range next.Tags {
		carried += len(t.Key) + len(t.Value)
	}
	for _, k := range next.TransitiveTagKeys {
		carried += len(k)
	}
	for _, arn := range a.in.PolicyARNs {
		carried += len(arn)
	}
	size := max(fixedSize+encoded(carried), a.minimum)
	if size > maxSessionToken {
		return nil, tooLarge().because("estimated at %d bytes, %d are allowed", size, maxSessionToken)
	}
	n, f := s.give(next, a.role, a.arn, a.session, a.duration(), size, now)
	if f != nil {
		return nil, f
	}
	d.AssumedRoleARN, d.AssumedRoleID, d.Expiration, d.AccessKeyID = n.arn, n.userID(), n.expires, n.accessKeyID
	d.SourceIdentity = next.SourceIdentity
	return stswire.AssumeRoleResult{
		Credentials:             n.credentials(),
		AssumedRoleUser:         stswire.AssumedRoleUser{AssumedRoleId: n.userID(), Arn: n.arn},
		PackedPolicySize:        percent(encoded(carried - len(next.SourceIdentity))),
		SessionTokenSize:        int32(size),
		SessionTokenUtilization: percent(size),
		SourceIdentity:          next.SourceIdentity,
	}, nil
}

// minimumSize is the parameter MinimumSessionTokenSize.
func minimumSize(c *call) (int, *fault) {
	text := c.form.Get("MinimumSessionTokenSize")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	switch {
	case err != nil:
		return 0, newFault(http.StatusBadRequest, "MalformedInput", "")
	case n < 0 || n > maxSessionToken:
		return 0, wire(stswire.Validation("1 validation error detected: Value '" + text + "' at 'minimumSessionTokenSize' failed to satisfy constraint: Member must have value less than or equal to " + strconv.Itoa(maxSessionToken)))
	}
	return int(n), nil
}
