package s3

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
)

// The limits of the emulated service.
const (
	MaxObjectSize = 64 << 20 // bytes
	MaxTotalSize  = 1 << 30  // bytes of all objects together, uploads that run included
	MaxObjects    = 100_000
)

// Session is what credentials stand for. It is never formatted but for its
// access key id.
type Session struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string    // empty for credentials without one
	Expires         time.Time // the zero time: never
	Caller          iam.Caller
}

// Format keeps the secrets out of messages, whatever the verb.
func (s Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// String is the access key id.
func (s Session) String() string { return "session " + s.AccessKeyID }

// LogValue keeps the secrets out of logs.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secrets out of JSON.
func (s Session) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Bucket is a bucket that exists.
type Bucket struct {
	Name      string
	AccountID string // of its owner
	// Region is where it is. Empty: Config.Region.
	Region string
	// Policy is the bucket policy. Nil: it has none.
	Policy     *iam.Policy
	PolicyName string // what results call the policy
	Tags       map[string]string
}

// Config is what an emulated S3 is made of.
type Config struct {
	// Dir is an existing folder that the content is kept in, and of which
	// nothing else makes use. What an earlier S3 left there is found again.
	Dir     string
	Buckets []Bucket
	// Sessions finds the session of an access key id.
	Sessions func(accessKeyID string) (Session, bool)
	// Keys returns further condition keys of a request by a caller for what
	// belongs to an account, such as aws:ResourceOrgID. Nil: there are none.
	Keys func(c iam.Caller, resourceAccount string) iam.Context
	// Region is that of buckets which name none. Empty: any region that a
	// client signs for is right for them.
	Region string
	// SourceIP takes the place of the client's address in aws:SourceIp.
	SourceIP string
	// OnDecision is told of each decision, before it takes effect. It must not
	// block, and may be called from several goroutines. Nil: nobody is told.
	OnDecision func(Decision)

	Now  func() time.Time
	Log  *slog.Logger
	Rand io.Reader
}

// Decision is what became of one action for which a request needs permission.
// A request may need several.
type Decision struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"requestId"`
	Operation string    `json:"operation"` // such as PutObject
	Caller    string    `json:"caller"`    // the ARN of the role's session, or of the user
	SourceIP  string    `json:"sourceIp,omitempty"`
	Action    string    `json:"action"`   // such as s3:PutObject
	Resource  string    `json:"resource"` // its ARN
	Allowed   bool      `json:"allowed"`
	Reason    string    `json:"reason"` // one sentence
	// Denied is the layer of policies that denied; empty where it is allowed.
	Denied iam.LayerKind `json:"denied,omitempty"`
	// Result is the verdict with all policies and their conditions.
	Result iam.AccessResult `json:"-"`
}

// S3 is an emulated Amazon S3. It is an http.Handler and safe for concurrent
// use. It must not stand behind an http.ServeMux, which cleans paths: keys may
// have two slashes in a row.
type S3 struct {
	cfg     Config
	buckets map[string]Bucket
	store   *store
	started time.Time
}

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	accountID  = regexp.MustCompile(`^[0-9]{12}$`)
)

// New makes an emulated S3.
func New(cfg Config) (*S3, error) {
	if cfg.Dir == "" || cfg.Sessions == nil || cfg.Now == nil || cfg.Rand == nil || cfg.Log == nil {
		return nil, errors.New("emulating Amazon S3: expected a folder, sessions, a clock, a source of randomness and a logger")
	}
	s := &S3{cfg: cfg, buckets: map[string]Bucket{}, started: cfg.Now()}
	for _, b := range cfg.Buckets {
		switch {
		case !bucketName.MatchString(b.Name) || strings.Contains(b.Name, ".."):
			return nil, fmt.Errorf("emulating Amazon S3: expected the name of a bucket, 3 to 63 of a-z, 0-9, periods and hyphens, found %.100q", b.Name)
		case !accountID.MatchString(b.AccountID):
			return nil, fmt.Errorf("emulating Amazon S3: the bucket %s: expected the 12 digits of its account, found %.100q", b.Name, b.AccountID)
		}
		if _, doubled := s.buckets[b.Name]; doubled {
			return nil, fmt.Errorf("emulating Amazon S3: the bucket %s stands twice", b.Name)
		}
		if b.Region == "" {
			b.Region = cfg.Region
		}
		s.buckets[b.Name] = b
	}
	var err error
	if s.store, err = openStore(cfg.Dir); err != nil {
		return nil, fmt.Errorf("emulating Amazon S3: %w", err)
	}
	return s, nil
}

// ServeHTTP serves one request.
func (s *S3) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve(w, r) }
