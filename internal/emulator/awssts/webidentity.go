package awssts

import (
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/awsclaims"
	"github.com/stint-dev/stint/internal/roles"
	"github.com/stint-dev/stint/internal/stswire"
)

// assumption is an AssumeRoleWithWebIdentity on its way: what came in, and
// what was found out about it.
type assumption struct {
	in       stswire.AssumeRoleWithWebIdentity
	minimum  int // MinimumSessionTokenSize
	arn      roles.ARN
	token    *token
	provider string // ARN
	role     roles.Role
	session  sessionClaims
	named    bool // the token's roles claim names the role
	duration time.Duration
	call     iam.WebIdentityCall
}

// assumeRoleWithWebIdentity decides in the order of the service: parameters,
// token, provider, signature, audience, tags, role, duration, trust policy,
// size.
func (s *STS) assumeRoleWithWebIdentity(c *call) (any, *fault) {
	now := s.cfg.Now()
	var a assumption
	d := s.newDecision(c, operationWebIdentity, now)
	result, f := s.assume(c, &a, &d, now)
	s.decided(&d, f)
	if f != nil {
		return nil, f
	}
	return result, nil
}

func (s *STS) assume(c *call, a *assumption, d *Decision, now time.Time) (any, *fault) {
	if f := a.readParameters(c); f != nil {
		return nil, f
	}
	d.RoleARN, d.RoleSessionName, d.DurationSeconds = a.in.RoleARN, a.in.RoleSessionName, int(a.duration/time.Second)
	d.Policy, d.PolicyARNs = a.in.Policy, a.in.PolicyARNs
	if f := s.verifyToken(c, a, d, now); f != nil {
		return nil, f
	}
	if f := s.findRole(a, d); f != nil {
		return nil, f
	}
	if a.duration > a.role.MaxSessionDuration {
		return nil, wire(stswire.Validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."))
	}
	if f := s.evaluate(c, a, d, now); f != nil {
		return nil, f
	}
	narrowed, f := s.sessionPolicies(a.in.Policy, a.in.PolicyARNs, a.arn)
	if f != nil {
		return nil, f
	}
	return s.issue(a, d, narrowed, now)
}

func (a *assumption) readParameters(c *call) *fault {
	var invalid *stswire.Error
	if a.in, invalid = stswire.ParseAssumeRoleWithWebIdentity(c.form); invalid != nil {
		return wire(invalid)
	}
	var f *fault
	if a.minimum, f = minimumSize(c); f != nil {
		return f
	}
	a.duration = a.in.Duration
	if a.duration == 0 {
		a.duration = stswire.DefaultDuration * time.Second
	}
	arn, err := roles.ParseARN(a.in.RoleARN)
	if err != nil {
		return wire(stswire.Validation("Request ARN is invalid"))
	}
	a.arn = arn
	return nil
}

// verifyToken finds out whose token it is and believes it, or not.
func (s *STS) verifyToken(c *call, a *assumption, d *Decision, now time.Time) *fault {
	t, f := readToken(a.in.Token)
	if f != nil {
		return f
	}
	a.token = t
	if f := t.checkClaims(now); f != nil {
		return f
	}
	p, inAccount := s.providers[t.issuer], false
	var at account
	if at, inAccount = s.accounts[a.arn.AccountID]; p == nil || !inAccount || at.partition != a.arn.Partition {
		f := invalidToken("No OpenIDConnect provider found in your account for " + t.issuer)
		if p != nil {
			return f.because("no role stands in the account %s, and the providers exist only where a role does", a.arn.AccountID)
		}
		return f
	}
	a.provider = p.arn(at.partition, a.arn.AccountID)
	d.Provider, d.Audience = a.provider, t.audience
	if f := p.verify(c.request.Context(), t); f != nil {
		return f
	}
	d.Claims = t.claims
	if !at.audiences[t.issuer][t.audience] {
		return notValidated().because("the audience %.200q is not registered with the provider: neither is it %s, nor does a trust policy in the account test for it", t.audience, defaultAudience)
	}
	return nil
}

// findRole reads what the token asks for and finds the role. A role that does
// not exist gets the answer of one that denies, or anybody with a token could
// list the roles of an account.
func (s *STS) findRole(a *assumption, d *Decision) *fault {
	session, f := readSession(a.token.claims)
	if f != nil {
		return f
	}
	a.session = session
	d.Tags, d.TransitiveTagKeys, d.SourceIdentity = session.tags, session.transitive, session.sourceIdentity
	limited, named := namesRole(a.token.claims, a.in.RoleARN)
	if limited && !named {
		return notAuthorized(iam.ActionAssumeRoleWithWebIdentity).because("the token's claim %s does not name the role", awsclaims.Roles)
	}
	a.named = named
	role, exists := s.cfg.Roles.Get(a.in.RoleARN)
	if !exists {
		return notAuthorized(iam.ActionAssumeRoleWithWebIdentity).because("the role does not exist")
	}
	a.role = role
	return nil
}

func (s *STS) evaluate(c *call, a *assumption, d *Decision, now time.Time) *fault {
	a.call = iam.WebIdentityCall{
		Provider:          a.provider,
		Issuer:            a.token.issuer,
		Claims:            a.token.claims,
		Audience:          a.token.audience,
		RoleARN:           a.role.ARN,
		RoleSessionName:   a.in.RoleSessionName,
		RoleTags:          a.role.Tags,
		Tags:              a.session.tags,
		TransitiveTagKeys: a.session.transitive,
		SourceIdentity:    a.session.sourceIdentity,
		RolesClaim:        a.named,
		DurationSeconds:   int(a.duration / time.Second),
		Time:              now,
		SourceIP:          c.sourceIP,
		UserAgent:         c.request.UserAgent(),
		Region:            s.region(),
		MoreKeys:          s.ResourceKeys(a.arn.AccountID),
	}
	result := iam.EvaluateWebIdentity(a.role.Trust, a.call)
	d.Evaluation = &result
	if !result.Allowed {
		return notAuthorized(result.Denied).because("the trust policy does not allow it")
	}
	return nil
}

// issue makes the credentials.
func (s *STS) issue(a *assumption, d *Decision, narrowed []iam.NamedPolicy, now time.Time) (any, *fault) {
	size := max(sessionTokenSize(a), a.minimum)
	if size > maxSessionToken {
		return nil, tooLarge().because("estimated at %d bytes, %d are allowed", size, maxSessionToken)
	}
	n, f := s.give(a.call.Session(), a.role, a.arn, narrowed, a.duration, size, now)
	if f != nil {
		return nil, f
	}
	d.AssumedRoleARN, d.AssumedRoleID, d.Expiration, d.AccessKeyID = n.arn, n.userID(), n.expires, n.accessKeyID
	return stswire.AssumeRoleWithWebIdentityResult{
		Credentials:                 n.credentials(),
		SubjectFromWebIdentityToken: a.token.subject,
		AssumedRoleUser:             stswire.AssumedRoleUser{AssumedRoleId: n.userID(), Arn: n.arn},
		PackedPolicySize:            percent(encoded(policyBytes(a))),
		SessionTokenSize:            int32(size),
		SessionTokenUtilization:     percent(size),
		Provider:                    a.provider,
		Audience:                    a.token.audience,
		SourceIdentity:              a.session.sourceIdentity,
	}, nil
}
