package server

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/cognitowire"
	"github.com/stint-dev/stint/internal/exchange"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/mint"
)

// TestCognitoErrorOf is what takes AWS, or a mistake of ours, to come about:
// the other errors stand in TestCognitoErrors.
func TestCognitoErrorOf(t *testing.T) {
	s := &Server{cfg: Config{Now: func() time.Time { return time.Unix(10, 0) }, Log: slog.New(slog.DiscardHandler)}}
	const again = "The broker cannot answer now; try again."
	for name, c := range map[string]struct {
		err     error
		kind    cognitowire.Type
		message string
	}{
		"no kind at all":       {errors.New("dial tcp 192.0.2.1: refused"), cognitowire.InternalError, again},
		"nothing known":        {&exchange.Error{Err: errors.New("secret")}, cognitowire.InternalError, again},
		"AWS has a bad moment": {&exchange.Error{Kind: exchange.Upstream, Record: "R", STS: &mint.STSError{Code: "Throttling", HTTPStatus: 400, Temporary: true}}, cognitowire.InternalError, again + " Reason: AWS STS answered Throttling (record R)"},
		"an unknown reason":    {&exchange.Error{Kind: exchange.PoolRefused, Pool: &exchange.PoolError{Reason: "new"}}, cognitowire.NotAuthorized, unsupportedProvider},
		"an unknown rejection": {&exchange.Error{Kind: exchange.Rejected, Rejection: &identity.Rejection{Kind: "new"}}, cognitowire.NotAuthorized, notAnIDToken},
		"an unknown key":       {&exchange.Error{Kind: exchange.Rejected, Rejection: &identity.Rejection{Kind: identity.UnknownKey}}, cognitowire.NotAuthorized, notVerified},
		"expired, unproven":    {&exchange.Error{Kind: exchange.Rejected, Rejection: &identity.Rejection{Kind: identity.Expired}}, cognitowire.NotAuthorized, "Invalid login token. Token expired."},
	} {
		t.Run(name, func(t *testing.T) {
			e := s.cognitoErrorOf(c.err, cognitowire.GetID, exchange.PoolRequest{})
			if e.Type != c.kind || e.Message != c.message {
				t.Errorf("found %s %q", e.Type, e.Message)
			}
		})
	}
}
