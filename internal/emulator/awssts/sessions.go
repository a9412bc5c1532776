package awssts

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"time"
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

	roleID      string
	sessionName string
	account     string
	arn         string // of the assumed role
}

// newSession is the session that an assumption gives. It ends on a whole
// second, since that is what its credentials say.
func newSession(a *assumption, accessKeyID, secret, token string, now time.Time) *session {
	return &session{
		accessKeyID: accessKeyID,
		secret:      secret,
		token:       sha256.Sum256([]byte(token)),
		expires:     now.Add(a.duration).UTC().Truncate(time.Second),
		roleID:      a.role.ID,
		sessionName: a.in.RoleSessionName,
		account:     a.arn.AccountID,
		arn:         a.arn.AssumedRole(a.in.RoleSessionName),
	}
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
