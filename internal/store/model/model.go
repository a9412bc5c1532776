// Package model holds what every store keeps and answers, for the store and
// its backends alike.
package model

import (
	"context"
	"errors"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/match"
)

// The errors of every backend.
var (
	// ErrClosed: the store was closed before the call.
	ErrClosed = errors.New("the store is closed")
	// ErrExists: a record has this id, or the record has its outcome already.
	ErrExists = errors.New("it is on record already")
	// ErrNoRecord: no allowed record has this id.
	ErrNoRecord = errors.New("no allowed record has this id")
	// ErrSchema: the store was made by another version of stint, or by another program.
	ErrSchema = errors.New("the store has another schema")
)

// MaxRecords is how many records one call of Reader.Records answers at most.
const MaxRecords = 1000

// Reader reads the records.
type Reader interface {
	// Records answers the records that q asks for, in its order, each with its
	// outcome if there is one. It answers at most MaxRecords: who wants more
	// asks again with AfterSeq or BeforeSeq.
	Records(ctx context.Context, q Query) ([]audit.Record, error)
	// Identity answers the identity of this id, if it is there.
	Identity(ctx context.Context, id string) (i audit.Identity, found bool, err error)
	// Identities answers the identities that q asks for, by pool and id. It
	// answers at most MaxRecords: who wants more asks again with After.
	Identities(ctx context.Context, q IdentityQuery) ([]audit.Identity, error)
	// Close ends what is open. It does not wait for readers.
	Close() error
}

// Store keeps the records and the signing keys. It is safe for concurrent use,
// and several processes may use one store at the same time.
type Store interface {
	audit.Store
	Reader
	// SaveIdentity adds an identity, or moves when it was seen last: nothing
	// else of one changes. It returns when that survives a crash.
	SaveIdentity(ctx context.Context, i audit.Identity) error
	// SigningKeys are the signing keys, oldest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// UpdateSigningKeys runs update on the keys as they are, adds the keys and
	// drops the key ids that it returns, and answers the keys as they are then.
	// All of it is one transaction, and no two run at once, in any process: no
	// two brokers can both find that a key is due. update must not call the
	// store. If it returns an error, nothing changes and its error is returned.
	UpdateSigningKeys(ctx context.Context, update func(current []SigningKey) (add []SigningKey, drop []string, err error)) ([]SigningKey, error)
	// Ping writes, and so proves that a record could be written now.
	Ping(ctx context.Context) error
}

// SigningKey is one of the broker's own keys.
type SigningKey struct {
	KeyID        string    // the kid, unique
	Algorithm    string    // the alg of RFC 7518
	PrivateKey   []byte    // PKCS #8, DER. A secret
	Created      time.Time // times are kept to the millisecond
	SignFrom     time.Time
	SignUntil    time.Time
	PublishUntil time.Time
}

// Query says which records are wanted. The zero value wants all, oldest first.
type Query struct {
	Since      time.Time     // at this time or later
	Until      time.Time     // before this time
	Repository string        // a pattern of package match
	Role       string        // a pattern, of audit.Record.Role
	Verdict    audit.Verdict // empty: both
	Rule       string        // exactly this
	Reason     string        // exactly this
	IDs        []string      // one of these; at most MaxRecords
	AfterSeq   int64         // if not 0: later in the store's order
	BeforeSeq  int64         // if not 0: earlier in the store's order
	Limit      int           // if not 0: no more than this
	Newest     bool          // newest first
}

// IdentityQuery says which identities are wanted. The zero value wants all.
type IdentityQuery struct {
	Pool    string         // exactly this
	Subject string         // a pattern of package match
	After   audit.Identity // later than this, by Pool and ID
	Limit   int            // if not 0: no more than this
}

// Match reports whether the identity of a subject is wanted.
func (q IdentityQuery) Match() func(subject string) bool {
	if q.Subject == "" {
		return func(string) bool { return true }
	}
	return match.Compile(q.Subject).Match
}

// Patterns are the compiled patterns of a Query.
type Patterns struct{ repository, role *match.Pattern }

// Patterns compiles the patterns of q.
func (q Query) Patterns() Patterns {
	compile := func(s string) *match.Pattern {
		if s == "" {
			return nil
		}
		p := match.Compile(s)
		return &p
	}
	return Patterns{compile(q.Repository), compile(q.Role)}
}

// Match reports whether a record of this repository and role is wanted.
func (p Patterns) Match(repository, role string) bool {
	return (p.repository == nil || p.repository.Match(repository)) && (p.role == nil || p.role.Match(role))
}
