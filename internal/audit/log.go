package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stint-dev/stint/internal/rules"
)

// Store is what the log stands on. Both writes return only when what they
// wrote survives a crash of the machine. If ctx ends first they return its
// error, and what they were to write may or may not be there.
type Store interface {
	AppendRecord(ctx context.Context, r *Record) error // sets r.Seq
	AppendOutcome(ctx context.Context, recordID string, o Outcome) error
}

// Recorded is a grant whose decision is durably on record. Only Log makes one.
type Recorded struct {
	id    string
	grant rules.Grant
}

// ID is the id of the record.
func (r Recorded) ID() string { return r.id }

// Grant is what was decided.
func (r Recorded) Grant() rules.Grant { return r.grant }

// LogConfig is what a Log takes from the world around it.
type LogConfig struct {
	Now  func() time.Time // required
	Rand io.Reader        // of the record ids; nil means crypto/rand
}

// Log writes decisions down. It is safe for concurrent use if its randomness is.
type Log struct {
	store Store
	now   func() time.Time
	rand  io.Reader
}

// NewLog returns a Log on s.
func NewLog(s Store, cfg LogConfig) *Log {
	l := &Log{store: s, now: cfg.Now, rand: cfg.Rand}
	if l.rand == nil {
		l.rand = rand.Reader
	}
	return l
}

// Entry is what is known of a request.
type Entry struct {
	Door   string // the protocol that asked
	Remote string // the peer's address
	Caller Caller
	Asked  Asked
}

// Denial is why nothing was granted.
type Denial struct {
	Rule   string // the rule that decided, if one did
	Reason string // a word that programs may branch on
	Detail string // one sentence
}

// Allow records an allowing decision. After an error nothing may be issued: the
// decision is not known to be on record. A decision that does not allow is
// refused.
func (l *Log) Allow(ctx context.Context, e Entry, d rules.Decision) (Recorded, error) {
	grant, ok := d.Grant()
	if !ok {
		return Recorded{}, errors.New("expected an allowing decision, found one that denies")
	}
	session := grant.Session()
	tags := make(map[string]string, len(session.Tags))
	for _, t := range session.Tags {
		tags[t.Key] = t.Value
	}
	r, err := l.record(e)
	if err != nil {
		return Recorded{}, err
	}
	r.Verdict = Allowed
	r.Rule = grant.Rule()
	r.Granted = &Granted{
		Role:           grant.Role(),
		Audience:       grant.Audience(),
		SessionName:    session.Name,
		Tags:           tags,
		TransitiveTags: session.Transitive,
		SourceIdentity: session.SourceIdentity,
		Seconds:        int64(session.Duration / time.Second),
		ChainTags:      session.Chain,
		DroppedTags:    session.Dropped,
	}
	if grant.Via() == rules.AssumeRole {
		r.Granted.Via = string(grant.Via())
	}
	if pool, ok := grant.Pool(); ok {
		r.Granted.Pool, r.Granted.Identity, r.Granted.Roles = pool.ID, pool.Identity, pool.Roles
		if pool.Basic { // the job chooses them at STS
			r.Granted.SessionName, r.Granted.Seconds = "", 0
		}
	}
	r.bound()
	if err := l.store.AppendRecord(ctx, r); err != nil {
		return Recorded{}, fmt.Errorf("writing the record: %w", err)
	}
	return Recorded{id: r.ID, grant: grant}, nil
}

// Deny records that nothing was granted, and returns the id of the record.
func (l *Log) Deny(ctx context.Context, e Entry, d Denial) (id string, err error) {
	r, err := l.record(e)
	if err != nil {
		return "", err
	}
	r.Verdict, r.Rule, r.Reason, r.Detail = Denied, d.Rule, d.Reason, d.Detail
	r.bound()
	if err := l.store.AppendRecord(ctx, r); err != nil {
		return "", fmt.Errorf("writing the record: %w", err)
	}
	return r.ID, nil
}

// Conclude records what became of a grant. After an error no credentials may be
// released: no record would name them.
func (l *Log) Conclude(ctx context.Context, r Recorded, o Outcome) error {
	if r.id == "" {
		return errors.New("expected a recorded grant, found none")
	}
	if o.Time.IsZero() {
		o.Time = l.now()
	}
	o.bound()
	if err := l.store.AppendOutcome(ctx, r.id, o); err != nil {
		return fmt.Errorf("writing the outcome: %w", err)
	}
	return nil
}

func (l *Log) record(e Entry) (*Record, error) {
	now := l.now().UTC().Truncate(time.Millisecond)
	id, err := newID(now, l.rand)
	if err != nil {
		return nil, err
	}
	if e.Asked.Seconds == 0 {
		e.Asked.Seconds = int64(e.Asked.Duration / time.Second)
	}
	return &Record{ID: id, Time: now, Door: e.Door, Remote: e.Remote, Caller: e.Caller, Asked: e.Asked}, nil
}
