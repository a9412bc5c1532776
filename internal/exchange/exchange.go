// Package exchange is the broker: it trades a job token for a stint token or
// for AWS credentials. Every door calls it, and no door decides anything.
//
// The order verify, decide, record, mint, record the outcome is held by types:
// only identity makes Claims, only an allowing Decision has a Grant, only the
// audit log makes a Recorded of one, and minting takes nothing else.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/mint"
	"github.com/stint-dev/stint/internal/rules"
)

// recordTimeout bounds a write to the record. It runs even when the caller has
// gone: what was decided is recorded whether or not somebody still waits.
const recordTimeout = 15 * time.Second

// Policy is what a configuration file says: whose tokens are believed, and
// what they may have. It is replaced as a whole, so that no request sees the
// issuers of one file and the rules of another.
type Policy struct {
	Identity *identity.Verifier
	Rules    *rules.Set
}

// Config is what a Broker stands on. All of it is required.
type Config struct {
	Policy *Policy
	Audit  *audit.Log
	Minter *mint.Minter
	STS    *mint.STS
	// Identities keeps the identities of pools.
	Identities Identities
	Now        func() time.Time
	Log        *slog.Logger
}

// Broker trades job tokens. It is safe for concurrent use.
type Broker struct {
	policy atomic.Pointer[Policy]
	audit  *audit.Log
	minter *mint.Minter
	sts    *mint.STS
	now    func() time.Time
	log    *slog.Logger

	identities Identities
	strangers  strangers
	limits     limits
}

// New returns a Broker that serves with cfg.Policy until SetPolicy.
func New(cfg Config) *Broker {
	b := &Broker{audit: cfg.Audit, minter: cfg.Minter, sts: cfg.STS, identities: cfg.Identities, now: cfg.Now, log: cfg.Log}
	b.policy.Store(cfg.Policy)
	return b
}

// SetPolicy replaces the policy for all requests that begin afterwards.
func (b *Broker) SetPolicy(p *Policy) { b.policy.Store(p) }

// Policy is the policy in force.
func (b *Broker) Policy() *Policy { return b.policy.Load() }

// Request is one request at a door.
type Request struct {
	Door     string // for the record
	Remote   string // the peer's address, for the record
	JobToken string
	Want     rules.Request // Time is set by the broker
}

// Issued is what the caller gets.
type Issued struct {
	Record string // the id of the record
	Grant  rules.Grant
	Token  mint.Token
	AWS    mint.Credentials // zero unless asked for
}

// Token trades a job token for a stint token. The error is an *Error.
func (b *Broker) Token(ctx context.Context, req Request) (Issued, error) {
	req.Want.TokenOnly = true
	return b.exchange(ctx, req, nil)
}

// AWS trades a job token for AWS credentials, which the broker buys with a
// stint token or, where the rule says so, with its own AWS credentials. The
// error is an *Error.
func (b *Broker) AWS(ctx context.Context, req Request) (Issued, error) {
	return b.exchange(ctx, req, b.sts.Buy)
}

type buyer func(context.Context, audit.Recorded, mint.Token) (mint.Credentials, error)

func (b *Broker) exchange(ctx context.Context, req Request, buy buyer) (Issued, error) {
	policy := b.policy.Load()
	entry := entryOf(req)

	claims, err := policy.Identity.Verify(ctx, req.JobToken)
	if err != nil {
		return Issued{}, b.reject(ctx, entry, err)
	}
	entry.Caller = audit.CallerOf(claims)

	req.Want.Time = b.now()
	return b.settle(ctx, entry, policy.Rules.Decide(claims, req.Want), buy)
}

// settle is what follows a decision: record it, mint, record the outcome.
func (b *Broker) settle(ctx context.Context, entry audit.Entry, decision rules.Decision, buy buyer) (Issued, error) {
	if !decision.Allowed() {
		return Issued{}, b.deny(ctx, entry, decision)
	}

	recorded, err := b.record(ctx, entry, decision)
	if err != nil {
		return Issued{}, err
	}

	issued := Issued{Record: recorded.ID(), Grant: recorded.Grant()}
	if err := b.mint(ctx, recorded, &issued, buy); err != nil {
		return Issued{}, b.fail(ctx, recorded, err)
	}

	// What was issued is on record before it leaves: otherwise there could be
	// credentials in the world that no record names.
	if err := b.conclude(ctx, recorded, outcomeOf(b.now(), issued)); err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// mint makes of a recorded grant what the caller gets.
func (b *Broker) mint(ctx context.Context, recorded audit.Recorded, issued *Issued, buy buyer) (err error) {
	if issued.Grant.Via() == rules.AssumeRole && buy != nil {
		issued.AWS, err = b.sts.Assume(ctx, recorded)
		return err
	}
	if issued.Token, err = b.minter.Sign(recorded); err != nil || buy == nil {
		return err
	}
	issued.AWS, err = buy(ctx, recorded, issued.Token)
	return err
}

// Refuse records a request that a door could not read as one of its protocol.
func (b *Broker) Refuse(ctx context.Context, req Request, reason, detail string) {
	if _, err := b.recordDenial(ctx, entryOf(req), audit.Denial{Reason: reason, Detail: detail}); err != nil {
		b.log.Error("a refused request is not on record", "door", req.Door, "reason", reason, "err", err)
	}
}

// reject records that a token was not believed.
func (b *Broker) reject(ctx context.Context, entry audit.Entry, err error) error {
	var r *identity.Rejection
	if !errors.As(err, &r) {
		r = &identity.Rejection{Kind: identity.KeysUnavailable, Detail: "the token could not be checked", Err: err}
	}
	entry.Caller = audit.CallerSeen(r.Seen)
	detail := r.Detail
	if r.Expected != "" || r.Found != "" {
		detail = fmt.Sprintf("%s (expected %s, found %s)", r.Detail, r.Expected, r.Found)
	}
	id, recErr := b.recordDenial(ctx, entry, audit.Denial{Reason: string(r.Kind), Detail: detail})
	if recErr != nil {
		return &Error{Kind: Unavailable, Err: recErr}
	}
	b.log.Info("token rejected", "record", id, "door", entry.Door, "reason", r.Kind, "issuer", r.Seen.IssuerName, "err", r)
	if r.Kind == identity.KeysUnavailable {
		return &Error{Kind: Unavailable, Record: id, Rejection: r, Err: r}
	}
	return &Error{Kind: Rejected, Record: id, Rejection: r, Err: r}
}

// deny records a denying decision.
func (b *Broker) deny(ctx context.Context, entry audit.Entry, d rules.Decision) error {
	id, err := b.recordDenial(ctx, entry, audit.Denial{Rule: d.Rule, Reason: string(d.Reason), Detail: d.Detail})
	if err != nil {
		return &Error{Kind: Unavailable, Err: err}
	}
	b.log.Info("denied", "record", id, "door", entry.Door, "issuer", entry.Caller.IssuerName, "subject", entry.Caller.Subject,
		"role", entry.Asked.Role, "rule", d.Rule, "reason", d.Reason, "detail", d.Detail)
	return &Error{Kind: Denied, Record: id, Decision: &d, Err: errors.New(d.Detail)}
}

func (b *Broker) record(ctx context.Context, entry audit.Entry, d rules.Decision) (audit.Recorded, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	recorded, err := b.audit.Allow(ctx, entry, d)
	if err != nil {
		b.log.Error("the decision could not be recorded, so nothing is issued", "door", entry.Door, "rule", d.Rule, "err", err)
		return audit.Recorded{}, &Error{Kind: Unavailable, Err: fmt.Errorf("recording the decision: %w", err)}
	}
	return recorded, nil
}

func (b *Broker) recordDenial(ctx context.Context, entry audit.Entry, d audit.Denial) (string, error) {
	if !entry.Caller.Verified && !b.strangers.admit(b.now()) {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	id, err := b.audit.Deny(ctx, entry, d)
	if err != nil {
		b.log.Error("a denial could not be recorded", "door", entry.Door, "reason", d.Reason, "err", err)
		return "", fmt.Errorf("recording the denial: %w", err)
	}
	return id, nil
}

// fail records that a grant could not be turned into credentials.
func (b *Broker) fail(ctx context.Context, recorded audit.Recorded, err error) error {
	outcome := audit.Outcome{Time: b.now(), Error: err.Error()}
	e := &Error{Kind: Unavailable, Record: recorded.ID(), Err: err}
	var sts *mint.STSError
	if errors.As(err, &sts) {
		outcome.Error, outcome.ErrorCode, outcome.AWSRequestID = sts.Message, sts.Code, sts.RequestID
		e.Kind, e.STS = Upstream, sts
	}
	grant := recorded.Grant()
	e.Rule, e.Role = grant.Rule(), grant.Role()
	b.log.Warn("granted, but nothing issued", "record", recorded.ID(), "rule", grant.Rule(), "role", grant.Role(), "err", err)
	if err := b.conclude(ctx, recorded, outcome); err != nil {
		return err
	}
	return e
}

func (b *Broker) conclude(ctx context.Context, recorded audit.Recorded, o audit.Outcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := b.audit.Conclude(ctx, recorded, o); err != nil {
		b.log.Error("the outcome could not be recorded, so nothing is released", "record", recorded.ID(), "err", err)
		return &Error{Kind: Unavailable, Record: recorded.ID(), Err: fmt.Errorf("recording the outcome: %w", err)}
	}
	if o.Issued {
		grant := recorded.Grant()
		b.log.Info("issued", "record", recorded.ID(), "rule", grant.Rule(), "subject", grant.Subject(), "role", grant.Role(),
			"audience", grant.Audience(), "jti", o.TokenID, "access_key_id", o.AccessKeyID)
	}
	return nil
}

func entryOf(req Request) audit.Entry {
	return audit.Entry{
		Door:   req.Door,
		Remote: req.Remote,
		Asked: audit.Asked{
			Role:          req.Want.Role,
			Audience:      req.Want.Audience,
			Seconds:       int64(req.Want.Duration / time.Second),
			SessionName:   req.Want.SessionName,
			SessionPolicy: req.Want.Policy != "",
			PolicyARNs:    req.Want.PolicyARNs,
		},
	}
}

func outcomeOf(now time.Time, i Issued) audit.Outcome {
	o := audit.Outcome{Time: now, Issued: true}
	if i.Token.ID != "" {
		o.TokenID, o.KeyID, o.TokenExpires = i.Token.ID, i.Token.KeyID, &i.Token.Expires
	}
	if i.AWS.AccessKeyID != "" {
		o.AccessKeyID = i.AWS.AccessKeyID
		o.AssumedRole, o.AssumedRoleID = i.AWS.AssumedRoleARN, i.AWS.AssumedRoleID
		o.Expires = &i.AWS.Expires
		o.AWSRequestID = i.AWS.RequestID
	}
	return o
}
