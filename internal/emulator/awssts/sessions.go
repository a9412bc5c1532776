package awssts

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/roles"
	"github.com/stint-dev/stint/internal/stswire"
)

const (
	maxSessions = 100_000
	// keepExpired is how long an ended session is still known, so that its
	// credentials are called expired and not unknown.
	keepExpired = 12 * time.Hour
)

// session is what credentials stand for.
type session struct {
	accessKeyID string
	secret      string
	token       [sha256.Size]byte // digest of the session token
	expires     time.Time

	bearer string // the session token itself
	issued time.Time

	roleID      string
	sessionName string
	account     string
	arn         string     // of the assumed role
	caller      iam.Caller // as policies see it
}

// give makes credentials of a session of a role. It ends on a whole second,
// since that is what its credentials say. narrowed are its session policies.
func (s *STS) give(caller iam.Caller, role roles.Role, arn roles.ARN, narrowed []iam.NamedPolicy, duration time.Duration, size int, now time.Time) (*session, *fault) {
	accessKeyID, secret, token, err := secrets(s.cfg.Rand, size)
	if err != nil {
		return nil, internalFault(err.Error())
	}
	caller.ID = role.ID
	caller.TokenIssueTime = now
	caller.OrgID, caller.OrgPaths = s.organization(arn.AccountID)
	caller.Policies = iam.Policies{Identity: role.Identity, Boundary: role.Boundary, Session: narrowed}
	n := &session{
		accessKeyID: accessKeyID,
		secret:      secret,
		token:       sha256.Sum256([]byte(token)),
		bearer:      token,
		issued:      now,
		expires:     now.Add(duration).UTC().Truncate(time.Second),
		roleID:      role.ID,
		sessionName: caller.SessionName,
		account:     arn.AccountID,
		arn:         arn.AssumedRole(caller.SessionName),
		caller:      caller,
	}
	s.sessions.add(n, now)
	return n, nil
}

func (s *session) credentials() stswire.Credentials {
	return stswire.Credentials{
		AccessKeyId: s.accessKeyID, SecretAccessKey: s.secret, SessionToken: s.bearer, Expiration: stswire.Timestamp(s.expires),
	}
}

// Session is what credentials that the emulated STS gave out stand for. Its
// secrets are never formatted.
type Session struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Issued, Expires time.Time
	ARN             string // of the assumed role
	Caller          iam.Caller
}

// Format keeps the secrets out of messages, whatever the verb.
func (s Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "session "+s.AccessKeyID) }

// LogValue keeps the secrets out of logs.
func (s Session) LogValue() slog.Value { return slog.StringValue("session " + s.AccessKeyID) }

// MarshalText keeps the secrets out of JSON.
func (s Session) MarshalText() ([]byte, error) { return []byte("session " + s.AccessKeyID), nil }

func (s *session) public() Session {
	return Session{AccessKeyID: s.accessKeyID, SecretAccessKey: s.secret, SessionToken: s.bearer, Issued: s.issued, Expires: s.expires, ARN: s.arn, Caller: s.caller}
}

// Session is the session of an access key id, for other emulated services.
func (s *STS) Session(accessKeyID string) (Session, bool) {
	n := s.sessions.get(accessKeyID)
	if n == nil {
		return Session{}, false
	}
	return n.public(), true
}

// NewSession makes a session of a role that nobody assumed: that of a program
// which runs in the emulated account. Trust policies are not asked.
func (s *STS) NewSession(roleARN, name string, duration time.Duration) (Session, error) {
	arn, err := roles.ParseARN(roleARN)
	if err != nil {
		return Session{}, err
	}
	role, exists := s.cfg.Roles.Get(roleARN)
	if !exists {
		return Session{}, fmt.Errorf("expected one of the roles, found %.200q", roleARN)
	}
	n, f := s.give(iam.Caller{ARN: roleARN, SessionName: name, OwnTags: role.Tags}, role, arn, nil, duration, fixedSize, s.cfg.Now())
	if f != nil {
		return Session{}, f.Error
	}
	return n.public(), nil
}

func (s *session) userID() string { return s.roleID + ":" + s.sessionName }

// hasToken compares digests, so that the time taken says nothing of the token.
func (s *session) hasToken(token string) bool {
	digest := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(digest[:], s.token[:]) == 1
}

// sessions are the credentials given out, oldest first.
type sessions struct {
	mu    sync.Mutex
	most  int
	byKey map[string]*session
	order []*session
}

func newSessions(most int) *sessions {
	return &sessions{most: most, byKey: map[string]*session{}}
}

func (s *sessions) get(accessKeyID string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[accessKeyID]
}

func (s *sessions) add(n *session, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 && (len(s.order) >= s.most || now.Sub(s.order[0].expires) > keepExpired) {
		delete(s.byKey, s.order[0].accessKeyID)
		s.order[0] = nil
		s.order = s.order[1:]
	}
	s.byKey[n.accessKeyID] = n
	s.order = append(s.order, n)
}

// secrets makes the parts of credentials. The session token is random text of
// the given length: what the session is stays here.
func secrets(random io.Reader, tokenSize int) (accessKeyID, secret, token string, err error) {
	buf := make([]byte, 10+30+tokenSize)
	if _, err := io.ReadFull(random, buf); err != nil {
		return "", "", "", fmt.Errorf("making credentials: %w", err)
	}
	accessKeyID = "ASIA" + base32.StdEncoding.EncodeToString(buf[:10])
	secret = base64.StdEncoding.EncodeToString(buf[10:40])
	token = base64.StdEncoding.EncodeToString(buf[40:])[:tokenSize]
	return accessKeyID, secret, token, nil
}
