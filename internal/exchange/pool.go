package exchange

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
)

// PoolRequest is one request of the Cognito Identity protocol.
type PoolRequest struct {
	Request         // Want.Role is the CustomRoleArn
	Pool     string // IdentityPoolId, of GetId
	Identity string // IdentityId, of the others
	Provider string // the key of Logins; JobToken is its value. Both empty: there is no login
}

// PoolReason is why a pool refused a request before any rule was looked at.
type PoolReason string

// The reasons.
const (
	NoPool            PoolReason = "no_such_pool"
	NoIdentity        PoolReason = "no_such_identity"
	NoLogin           PoolReason = "no_login" // who did not say who they are get nothing
	ProviderNotInPool PoolReason = "provider_not_in_pool"
	IssuerMismatch    PoolReason = "issuer_mismatch"    // the token is of another issuer than the login's name
	LoginsMismatch    PoolReason = "logins_mismatch"    // the identity is somebody else's
	ClassicDisabled   PoolReason = "classic_disabled"   // the pool has no basic flow
	ClassicWithRules  PoolReason = "classic_with_rules" // role mapping rules are for the enhanced flow
	NoDefaultRole     PoolReason = "no_default_role"    // the pool gives no role at all
	TooManyRequests   PoolReason = "too_many_requests"  // more than the pool's requests_per_second
)

// PoolError is what a pool refused.
type PoolError struct {
	Reason                   PoolReason
	Pool, Identity, Provider string // as far as they are known
}

func (e *PoolError) Error() string { return "identity pool: " + string(e.Reason) }

// Identities keeps who has which identity. Reading one that is not there is no
// error.
type Identities interface {
	Identity(ctx context.Context, id string) (i audit.Identity, found bool, err error)
	// SaveIdentity adds an identity, or notes when it was seen last.
	SaveIdentity(ctx context.Context, i audit.Identity) error
}

// seenEvery is how exactly it is known when an identity was seen last: a write
// for each request would be one too many.
const seenEvery = time.Hour

// Identify answers the identity that a job has in a pool (GetId). It grants
// nothing. The error is an *Error.
func (b *Broker) Identify(ctx context.Context, req PoolRequest) (string, error) {
	policy := b.policy.Load()
	pool, ok := policy.Rules.Pool(req.Pool)
	if !ok {
		return "", b.refusePool(ctx, entryOfPool(req), NoPool, req)
	}
	login, _, err := b.login(ctx, policy, req, []*rules.Pool{pool})
	if err != nil {
		return "", err
	}
	if !b.admit(pool) { // strangers do not count, or they could use it up
		return "", b.poolError(TooManyRequests, req)
	}
	if err := b.remember(ctx, login); err != nil {
		return "", err
	}
	return login.id(), nil
}

// OpenIDToken trades a job token for a token of the pool's basic flow
// (GetOpenIdToken), with which the caller goes to AWS STS itself. The error is
// an *Error.
func (b *Broker) OpenIDToken(ctx context.Context, req PoolRequest) (Issued, error) {
	return b.poolExchange(ctx, req, true, nil)
}

// PoolCredentials trades a job token for AWS credentials of a role that the
// pool gives (GetCredentialsForIdentity). The error is an *Error.
func (b *Broker) PoolCredentials(ctx context.Context, req PoolRequest) (Issued, error) {
	return b.poolExchange(ctx, req, false, b.sts.Buy)
}

// poolExchange is exchange for an identity of a pool: verify, find whose
// identity it is, decide, record, mint.
func (b *Broker) poolExchange(ctx context.Context, req PoolRequest, basic bool, buy buyer) (Issued, error) {
	policy := b.policy.Load()
	login, entry, err := b.login(ctx, policy, req, policy.Rules.Pools())
	if err != nil {
		return Issued{}, err
	}
	req.Pool = login.pool.ID
	switch {
	case !b.admit(login.pool):
		return Issued{}, b.poolError(TooManyRequests, req)
	case basic && !login.pool.Classic:
		return Issued{}, b.refusePool(ctx, entry, ClassicDisabled, req)
	case basic && login.provider.Mapped:
		return Issued{}, b.refusePool(ctx, entry, ClassicWithRules, req)
	case !basic && !login.provider.Gives:
		return Issued{}, b.refusePool(ctx, entry, NoDefaultRole, req)
	}
	if err := b.remember(ctx, login); err != nil {
		return Issued{}, err
	}
	req.Want.Time = b.now()
	return b.settle(ctx, entry, login.provider.Decide(login.claims, req.Want, basic), buy)
}

// login is who sent a request to a pool.
type login struct {
	claims   identity.Claims
	pool     *rules.Pool
	provider *rules.PoolProvider
}

func (l login) id() string {
	issuer, _ := l.claims.Text("iss")
	sub, _ := l.claims.Text("sub")
	return l.pool.IdentityID(issuer, sub)
}

// login verifies the token of a request and finds the one of the pools in which
// its subject has the identity that the request names, or where it names none,
// the first.
func (b *Broker) login(ctx context.Context, policy *Policy, req PoolRequest, pools []*rules.Pool) (login, audit.Entry, error) {
	entry := entryOfPool(req)
	if req.Provider == "" || req.JobToken == "" {
		return login{}, entry, b.refusePool(ctx, entry, NoLogin, req)
	}
	claims, err := policy.Identity.Verify(ctx, req.JobToken)
	if err != nil {
		return login{}, entry, b.reject(ctx, entry, err)
	}
	entry.Caller = audit.CallerOf(claims)
	reason := ProviderNotInPool
	for _, p := range pools {
		v, ok := p.Provider(req.Provider)
		if !ok {
			continue
		}
		if v.Issuer != claims.Issuer() {
			if reason == ProviderNotInPool {
				reason = IssuerMismatch
			}
			continue
		}
		l := login{claims, p, v}
		if req.Identity == "" || req.Identity == l.id() {
			entry.Asked.Pool, entry.Asked.Identity = p.ID, l.id()
			return l, entry, nil
		}
		reason = LoginsMismatch
	}
	if reason == LoginsMismatch {
		_, found, err := b.identities.Identity(ctx, req.Identity)
		if err != nil {
			return login{}, entry, &Error{Kind: Unavailable, Err: fmt.Errorf("reading the identity: %w", err)}
		}
		if !found {
			reason = NoIdentity
		}
	}
	return login{}, entry, b.refusePool(ctx, entry, reason, req)
}

// remember notes that an identity was seen.
func (b *Broker) remember(ctx context.Context, l login) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	now := b.now().UTC().Truncate(time.Millisecond)
	id := l.id()
	known, found, err := b.identities.Identity(ctx, id)
	if err == nil && found && now.Sub(known.LastSeen) < seenEvery && !now.Before(known.LastSeen) {
		return nil
	}
	if err == nil {
		issuer, _ := l.claims.Text("iss")
		sub, _ := l.claims.Text("sub")
		err = b.identities.SaveIdentity(ctx, audit.Identity{
			ID: id, Pool: l.pool.ID, Provider: l.provider.Name, Issuer: issuer, Subject: sub, Created: now, LastSeen: now,
		})
	}
	if err != nil {
		b.log.Error("the identity could not be noted, so nothing is issued", "pool", l.pool.ID, "err", err)
		return &Error{Kind: Unavailable, Err: fmt.Errorf("noting the identity: %w", err)}
	}
	return nil
}

// refusePool records what a pool refused before any rule was looked at.
func (b *Broker) refusePool(ctx context.Context, entry audit.Entry, reason PoolReason, req PoolRequest) error {
	e := &Error{Kind: PoolRefused, Pool: &PoolError{reason, req.Pool, req.Identity, req.Provider}}
	e.Err = e.Pool
	var err error
	if e.Record, err = b.recordDenial(ctx, entry, audit.Denial{Reason: string(reason), Detail: poolDetails[reason]}); err != nil {
		return &Error{Kind: Unavailable, Err: err}
	}
	return e
}

// poolError refuses without a record: one for each request of a flood would be
// the flood's work.
func (b *Broker) poolError(reason PoolReason, req PoolRequest) error {
	e := &PoolError{reason, req.Pool, req.Identity, req.Provider}
	b.log.Warn("refused without a record", "reason", reason, "pool", req.Pool)
	return &Error{Kind: PoolRefused, Pool: e, Err: e}
}

var poolDetails = map[PoolReason]string{
	NoPool:            "no identity pool of this id is configured",
	NoIdentity:        "no identity of this id is known",
	NoLogin:           "the request has no login, and unauthenticated access is not supported",
	ProviderNotInPool: "the login names a provider that is none of the pool's",
	IssuerMismatch:    "the token is not of the issuer that the login names",
	LoginsMismatch:    "the identity is not the one of the token's subject",
	ClassicDisabled:   "the pool does not allow the basic (classic) flow",
	ClassicWithRules:  "the pool has role mapping rules, which the basic (classic) flow does not know",
	NoDefaultRole:     "the pool has neither role mapping rules nor a default role for the provider",
}

func entryOfPool(req PoolRequest) audit.Entry {
	e := entryOf(req.Request)
	e.Asked.Pool, e.Asked.Identity = req.Pool, req.Identity
	return e
}

// limits are the pools' bounds on requests: as many at once as in a second.
type limits struct {
	mu      sync.Mutex
	buckets map[string]*bucket // by pool
}

type bucket struct {
	left   float64
	filled time.Time
}

// admit reports whether a pool answers one more request now.
func (b *Broker) admit(p *rules.Pool) bool {
	if p.RequestsPerSecond == 0 {
		return true
	}
	rate, now := float64(p.RequestsPerSecond), b.now()
	b.limits.mu.Lock()
	defer b.limits.mu.Unlock()
	if b.limits.buckets == nil {
		b.limits.buckets = map[string]*bucket{}
	}
	k := b.limits.buckets[p.ID]
	if k == nil || now.Before(k.filled) {
		k = &bucket{rate, now}
		b.limits.buckets[p.ID] = k
	}
	k.left = min(rate, k.left+now.Sub(k.filled).Seconds()*rate)
	k.filled = now
	if k.left < 1 {
		return false
	}
	k.left--
	return true
}
