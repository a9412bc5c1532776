package awssts

import (
	"github.com/stint-dev/stint/internal/stswire"
)

// getCallerIdentity answers who signed the request. It needs no permission.
func (s *STS) getCallerIdentity(c *call) (any, *fault) {
	session, f := s.authenticate(c, s.cfg.Now())
	if f != nil {
		return nil, f
	}
	return stswire.GetCallerIdentityResult{Arn: session.arn, UserId: session.userID(), Account: session.account}, nil
}
