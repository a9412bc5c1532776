package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/stint-dev/stint/internal/exchange"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/stswire"
)

const operation = "AssumeRoleWithWebIdentity"

// The messages of STS that the door answers with. Clients search for them.
const (
	notAuthorized = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	notAJWT       = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	notValidated  = "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements."
	noKey         = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
)

// sts is AssumeRoleWithWebIdentity of AWS STS with a job token, so that
// existing clients need only this address.
func (s *Server) sts(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	req := exchange.Request{Door: "aws-sts", Remote: remote(r)}
	refuse := func(reason string, e *stswire.Error) {
		s.cfg.Broker.Refuse(r.Context(), req, reason, e.Error())
		s.stsError(w, id, e)
	}

	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.stsError(w, id, &stswire.Error{Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed", Message: "expected a POST: a token in a URL ends up in logs"})
		return
	}
	values, bad := form(w, r)
	if bad != nil {
		refuse(bad.reason, &stswire.Error{Status: bad.status, Code: "MalformedInput", Message: bad.detail})
		return
	}
	action, invalid := stswire.Action(values)
	if invalid == nil && action != operation {
		invalid = stswire.InvalidAction(action, stswire.Version)
		invalid.Message += ". This is a stint broker, which serves " + operation + " only: send other operations to AWS STS"
	}
	if invalid != nil {
		refuse("invalid_action", invalid)
		return
	}
	in, invalid := stswire.ParseAssumeRoleWithWebIdentity(values)
	if invalid != nil { // nothing of it goes on record: a token may stand in the wrong place
		refuse("invalid_parameter", invalid)
		return
	}
	req.JobToken = in.Token
	req.Want = rules.Request{
		Role: in.RoleARN, SessionName: in.RoleSessionName, Duration: in.Duration,
		Policy: in.Policy, PolicyARNs: in.PolicyARNs,
	}

	issued, err := s.cfg.Broker.AWS(r.Context(), req)
	if err != nil {
		s.stsError(w, id, s.stsErrorOf(err))
		return
	}
	aws := issued.AWS
	setGrant(w, issued)
	err = stswire.WriteResult(w, id, operation, stswire.AssumeRoleWithWebIdentityResult{
		Credentials: stswire.Credentials{
			AccessKeyId:     aws.AccessKeyID,
			SecretAccessKey: aws.SecretAccessKey,
			SessionToken:    aws.SessionToken,
			Expiration:      stswire.Timestamp(aws.Expires),
		},
		SubjectFromWebIdentityToken: aws.SubjectFromToken,
		AssumedRoleUser:             stswire.AssumedRoleUser{AssumedRoleId: aws.AssumedRoleID, Arn: aws.AssumedRoleARN},
		SessionTokenSize:            aws.SessionTokenSize,
		SessionTokenUtilization:     aws.Utilization,
		Provider:                    aws.Provider,
		Audience:                    aws.Audience,
		SourceIdentity:              aws.SourceIdentity,
	})
	if err != nil {
		s.cfg.Log.Debug("writing an answer", "err", err)
	}
}

// stsErrorOf renders what the broker answered in the words of STS. Details
// follow for a caller that proved to be one of our jobs.
func (s *Server) stsErrorOf(err error) *stswire.Error {
	var e *exchange.Error
	if !errors.As(err, &e) {
		s.cfg.Log.Error("an exchange failed without a kind", "err", err)
		e = &exchange.Error{Kind: exchange.Unavailable}
	}
	answer := &stswire.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "The broker cannot answer now; try again."}
	switch {
	case e.STS != nil && e.STS.Code == "AccessDenied":
		return &stswire.Error{Status: e.STS.HTTPStatus, Code: e.STS.Code, Message: e.STS.Message + refusedByAWS(e)}
	case e.STS != nil: // STS's own answer, as it came
		return &stswire.Error{Status: e.STS.HTTPStatus, Code: e.STS.Code, Message: e.STS.Message}
	case e.Rejection != nil:
		answer = rejected(e.Rejection)
	case e.Decision != nil && e.Decision.Reason == rules.SessionTooLarge:
		answer = &stswire.Error{Status: http.StatusBadRequest, Code: "PackedPolicyTooLarge", Message: "Serialized token too large for session"}
	case e.Decision != nil:
		answer = &stswire.Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: notAuthorized}
	}
	if why, ok := e.Explain(); ok {
		answer.Message += ": " + why.Sentence()
	}
	return answer
}

// refusedByAWS is what a job is told whom the rules gave a role that AWS then
// refused: STS never says which condition failed, and the broker does not see
// the role's trust policy.
func refusedByAWS(e *exchange.Error) string {
	return fmt.Sprintf(". AWS STS refused what the rule %s gave: the broker does not see the trust policy of %s. "+
		"'stint explain --rules stint.yaml --role role.json' says which condition failed. Record %s", e.Rule, e.Role, e.Record)
}

// rejected is STS's answer to a token that is not believed.
func rejected(r *identity.Rejection) *stswire.Error {
	invalid := func(message string) *stswire.Error {
		return &stswire.Error{Status: http.StatusBadRequest, Code: "InvalidIdentityToken", Message: message}
	}
	switch r.Kind {
	case identity.KeysUnavailable:
		return &stswire.Error{Status: http.StatusBadRequest, Code: "IDPCommunicationError", Message: "The identity provider's keys cannot be reached now; try again."}
	case identity.Malformed:
		return invalid(notAJWT)
	case identity.UnknownIssuer:
		return invalid("No OpenIDConnect provider found in your account for " + r.Seen.Issuer)
	case identity.UnknownKey:
		return invalid(noKey)
	case identity.OutsideOnly:
		return &stswire.Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: notAuthorized}
	case identity.WrongAudience:
		return invalid("Incorrect token audience")
	case identity.Expired:
		return &stswire.Error{Status: http.StatusBadRequest, Code: "ExpiredTokenException", Message: "Token expired"}
	case identity.NotYetValid:
		return invalid("Token not yet valid")
	case identity.IssuedInFuture:
		return invalid("Token issued in the future")
	case identity.BadTime:
		return invalid("Invalid timestamp in token claims.")
	}
	return invalid(notValidated)
}

func (s *Server) stsError(w http.ResponseWriter, id string, e *stswire.Error) {
	if err := stswire.WriteError(w, id, e); err != nil {
		s.cfg.Log.Debug("writing an answer", "err", err)
	}
}

// requestID is a random UUID, as AWS numbers its requests.
func requestID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // never fails, see crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
