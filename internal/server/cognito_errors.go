package server

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stint-dev/stint/internal/cognitowire"
	"github.com/stint-dev/stint/internal/exchange"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
)

// The messages of Cognito that the door answers with. Clients search for them.
const (
	noUnauthenticated   = "Unauthenticated access is not supported for this identity pool."
	unsupportedProvider = "Token is not from a supported provider of this identity pool."
	issuerMismatch      = "Invalid login token. Issuer doesn't match providerName"
	loginsMismatch      = "Logins don't match. Please include at least one valid login for this identity or identity pool."
	classicDisabled     = "Basic (classic) flow is not enabled, please use enhanced flow."
	classicWithRules    = "Basic (classic) flow is not supported with RoleMappings, please use enhanced flow."
	badConfiguration    = "Invalid identity pool configuration. Check assigned IAM roles for this pool."
	notAnIDToken        = "Invalid login token. Not a valid OpenId Connect identity token."
	notVerified         = "Invalid login token. Couldn't verify signed token."
)

// cognitoErrorOf renders what the broker answered in the words of Cognito.
// Details follow for a caller that proved to be one of our jobs.
func (s *Server) cognitoErrorOf(err error, op cognitowire.Operation, req exchange.PoolRequest) *cognitowire.Error {
	var e *exchange.Error
	if !errors.As(err, &e) {
		s.cfg.Log.Error("an exchange failed without a kind", "err", err)
		e = &exchange.Error{Kind: exchange.Unavailable}
	}
	answer := &cognitowire.Error{Type: cognitowire.InternalError, Message: "The broker cannot answer now; try again."}
	switch {
	case e.Pool != nil:
		return poolRefused(e.Pool, op)
	case e.STS != nil && e.STS.Temporary:
		answer.Message += fmt.Sprintf(" Reason: AWS STS answered %s (record %s)", e.STS.Code, e.Record)
		return answer
	case e.STS != nil:
		return &cognitowire.Error{Type: cognitowire.InvalidIdentityPoolConfiguration, Message: badConfiguration + refusedBySTS(e)}
	case e.Rejection != nil:
		answer = s.loginRejected(e.Rejection)
	case e.Decision != nil:
		answer = poolDenied(e.Decision, req)
	}
	if why, ok := e.Explain(); ok {
		answer.Message = strings.TrimSuffix(answer.Message, ".") + ". Reason: " + why.Sentence()
	}
	return answer
}

// poolRefused is Cognito's answer where no rule was looked at.
func poolRefused(e *exchange.PoolError, op cognitowire.Operation) *cognitowire.Error {
	refused := func(t cognitowire.Type, message string) *cognitowire.Error {
		return &cognitowire.Error{Type: t, Message: message}
	}
	switch e.Reason {
	case exchange.NoPool:
		return refused(cognitowire.ResourceNotFound, "IdentityPool '"+e.Pool+"' not found.")
	case exchange.NoIdentity:
		return refused(cognitowire.ResourceNotFound, "Identity '"+e.Identity+"' not found.")
	case exchange.NoLogin:
		return refused(cognitowire.NotAuthorized, noUnauthenticated)
	case exchange.ProviderNotInPool:
		return refused(cognitowire.NotAuthorized, unsupportedProvider)
	case exchange.IssuerMismatch:
		return refused(cognitowire.NotAuthorized, issuerMismatch)
	case exchange.LoginsMismatch:
		return refused(cognitowire.NotAuthorized, loginsMismatch)
	case exchange.ClassicDisabled:
		return refused(cognitowire.InvalidParameter, classicDisabled)
	case exchange.ClassicWithRules:
		return refused(cognitowire.InvalidParameter, classicWithRules)
	case exchange.NoDefaultRole:
		return refused(cognitowire.InvalidIdentityPoolConfiguration, badConfiguration)
	case exchange.TooManyRequests:
		return refused(cognitowire.TooManyRequests, "Rate exceeded for "+string(op)+".")
	}
	return refused(cognitowire.NotAuthorized, unsupportedProvider)
}

// poolDenied is Cognito's answer to what the rules refused.
func poolDenied(d *rules.Decision, req exchange.PoolRequest) *cognitowire.Error {
	denied := func(message string) *cognitowire.Error {
		return &cognitowire.Error{Type: cognitowire.NotAuthorized, Message: message}
	}
	switch d.Reason {
	case rules.NoRuleMatched:
		return denied("The ambiguous role mapping rules for: " + req.Provider + " denied this request.")
	case rules.RoleNotListed:
		return denied("Access to Role '" + req.Want.Role + "' is forbidden.")
	case rules.SessionTooLarge:
		return &cognitowire.Error{Type: cognitowire.InvalidIdentityPoolConfiguration, Message: badConfiguration}
	}
	return denied("Access to Identity '" + req.Identity + "' is forbidden.")
}

// refusedBySTS is what a job is told whom the pool gave a role that AWS then
// refused: STS never says which condition failed, and the broker does not see
// the role's trust policy.
func refusedBySTS(e *exchange.Error) string {
	pool, _, _ := strings.Cut(e.Rule, "/") // a pool's rules are POOL/PROVIDER/NUMBER
	return fmt.Sprintf(" Reason: AWS STS answered %s for the role %s, which the rule %s gave. The broker does not see the role's trust policy, "+
		"which has to trust this broker, with the pool as audience: 'stint explain --rules stint.yaml --pool %s --role role.json' "+
		"says which condition failed (record %s)", e.STS.Code, e.Role, e.Rule, pool, e.Record)
}

// loginRejected is Cognito's answer to a token that is not believed.
func (s *Server) loginRejected(r *identity.Rejection) *cognitowire.Error {
	invalid := func(message string) *cognitowire.Error {
		return &cognitowire.Error{Type: cognitowire.NotAuthorized, Message: message}
	}
	switch r.Kind {
	case identity.KeysUnavailable:
		return &cognitowire.Error{Type: cognitowire.ExternalService, Message: "The identity provider's keys cannot be reached now; try again."}
	case identity.UnknownIssuer, identity.OutsideOnly: // a stranger's, in either case
		return invalid(unsupportedProvider)
	case identity.UnknownKey, identity.BadSignature, identity.BadAlgorithm:
		return invalid(notVerified)
	case identity.WrongAudience:
		return invalid("Invalid login token. Incorrect token audience.")
	case identity.Expired:
		if exp := r.Seen.Expires; !exp.IsZero() {
			return invalid(fmt.Sprintf("Invalid login token. Token expired: %d >= %d", s.cfg.Now().Unix(), exp.Unix()))
		}
		return invalid("Invalid login token. Token expired.")
	case identity.NotYetValid, identity.IssuedInFuture:
		return invalid("Invalid login token. Token is not yet valid.")
	}
	return invalid(notAnIDToken)
}
