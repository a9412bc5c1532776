// Package roles reads IAM roles as the AWS command line prints them: their
// tags, session limits and trust policies. It decides nothing.
package roles

import (
	"maps"
	"slices"
	"time"

	"github.com/stint-dev/stint/iam"
)

// The limits of IAM on a role.
const (
	DefaultMaxSession = time.Hour
	minMaxSession     = time.Hour
	maxMaxSession     = 12 * time.Hour
	maxTags           = 50
	maxTagKey         = 128
	maxTagValue       = 256
)

// Role is one IAM role. Parse and FromInventory make roles whose ARN is valid and
// whose trust policy is parsed.
type Role struct {
	ARN       string
	Name      string // the ARN's last part
	Path      string // with a slash at both ends; / for none
	ID        string // the RoleId, AROA...; derived from the ARN where the file has none
	AccountID string // twelve digits
	Partition string // aws, aws-cn, aws-us-gov, ...

	Tags map[string]string // must not be changed

	// MaxSessionDuration is the longest session of the role: 1 to 12 hours.
	MaxSessionDuration time.Duration

	// Trust is the trust policy. The places in it are those of the file, or
	// where the policy stands in a string, those of its decoded text.
	Trust         *iam.Policy
	TrustDocument []byte // the trust policy as JSON text; must not be changed

	// Identity are its identity policies, and Boundary its permissions
	// boundary; FromInventory alone fills them in.
	Identity []iam.NamedPolicy
	Boundary *iam.NamedPolicy

	Source string // FILE:LINE where the role stands
}

// Set is a number of roles, each with an ARN of its own. It is immutable and
// safe for concurrent use. The zero Set holds none.
type Set struct {
	roles   map[string]Role
	managed map[string]*iam.Policy
}

// Managed is the document of the managed policy of this ARN, or nil where no
// file has it. It must not be changed.
func (s *Set) Managed(arn string) *iam.Policy {
	if s == nil {
		return nil
	}
	return s.managed[arn]
}

// Get is the role of this ARN. ARNs compare exactly.
func (s *Set) Get(arn string) (Role, bool) {
	if s == nil {
		return Role{}, false
	}
	r, ok := s.roles[arn]
	return r, ok
}

// All are the roles, sorted by ARN.
func (s *Set) All() []Role {
	if s == nil {
		return nil
	}
	all := make([]Role, 0, len(s.roles))
	for _, arn := range slices.Sorted(maps.Keys(s.roles)) {
		all = append(all, s.roles[arn])
	}
	return all
}

// Len is how many roles there are.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.roles)
}
