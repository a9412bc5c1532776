package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/stint-dev/stint/internal/cognitowire"
	"github.com/stint-dev/stint/internal/exchange"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/stswire"
)

// cognito is the three operations of Amazon Cognito Identity that trade a job
// token for an identity, for a token of it, and for AWS credentials. They are
// unsigned in AWS too: a signature that a client sends all the same is ignored.
func (s *Server) cognito(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	req := exchange.PoolRequest{Request: exchange.Request{Door: "aws-cognito-identity", Remote: remote(r)}}
	refuse := func(reason string, e *cognitowire.Error) {
		s.cfg.Broker.Refuse(r.Context(), req.Request, reason, e.Error())
		s.cognitoError(w, id, e)
	}

	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.cognitoError(w, id, &cognitowire.Error{Type: cognitowire.MethodNotAllowed, Message: "expected a POST"})
		return
	}
	op, invalid := cognitowire.Target(r.Header.Get("X-Amz-Target"), r.Header.Get("Content-Type"))
	if invalid != nil {
		refuse("invalid_action", invalid)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse("body_too_large", &cognitowire.Error{Type: cognitowire.RequestEntityTooLarge, Message: fmt.Sprintf("the body is larger than %d bytes", MaxBody)})
		return
	case err != nil:
		refuse("body_truncated", &cognitowire.Error{Type: cognitowire.SerializationFailed, Message: "the body ended too early"})
		return
	}
	in, invalid := cognitowire.Parse(op, body)
	if invalid == nil {
		invalid = cognitoLimits(in)
	}
	if invalid != nil { // its values are not recorded: one may be a token in the wrong place
		refuse("invalid_parameter", invalid)
		return
	}
	req.Pool, req.Identity, req.Want = in.IdentityPoolID, in.IdentityID, rules.Request{Role: in.CustomRoleARN}
	for provider, token := range in.Logins { // one, or none
		req.Provider, req.JobToken = provider, token
	}

	answer, err := s.cognitoAnswer(w, r, op, req)
	if err != nil {
		s.cognitoError(w, id, s.cognitoErrorOf(err, op, req))
		return
	}
	if err := cognitowire.WriteResult(w, id, answer); err != nil {
		s.cfg.Log.Debug("writing an answer", "err", err)
	}
}

// cognitoLimits are the limits of this broker beyond those of the protocol.
func cognitoLimits(in cognitowire.Input) *cognitowire.Error {
	refused := func(format string, args ...any) *cognitowire.Error {
		return &cognitowire.Error{Type: cognitowire.InvalidParameter, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case len(in.Logins) > 1:
		return refused("expected one login, found %d: at this broker an identity belongs to one subject of one provider, and logins are not linked", len(in.Logins))
	case in.CustomRoleARN != "" && !stswire.RoleARN.MatchString(in.CustomRoleARN):
		return refused("expected the ARN of an IAM role as CustomRoleArn")
	}
	return nil
}

// cognitoAnswer asks the broker, once.
func (s *Server) cognitoAnswer(w http.ResponseWriter, r *http.Request, op cognitowire.Operation, req exchange.PoolRequest) (any, error) {
	switch op {
	case cognitowire.GetID:
		identity, err := s.cfg.Broker.Identify(r.Context(), req)
		return cognitowire.GetIDResponse{IdentityID: identity}, err
	case cognitowire.GetOpenIDToken:
		issued, err := s.cfg.Broker.OpenIDToken(r.Context(), req)
		if err != nil {
			return nil, err
		}
		setGrant(w, issued)
		return cognitowire.GetOpenIDTokenResponse{IdentityID: req.Identity, Token: issued.Token.Raw}, nil
	case cognitowire.GetCredentialsForIdentity:
		issued, err := s.cfg.Broker.PoolCredentials(r.Context(), req)
		if err != nil {
			return nil, err
		}
		setGrant(w, issued)
		aws := issued.AWS
		return cognitowire.GetCredentialsForIdentityResponse{IdentityID: req.Identity, Credentials: cognitowire.Credentials{
			AccessKeyID:  aws.AccessKeyID,
			SecretKey:    aws.SecretAccessKey,
			SessionToken: aws.SessionToken,
			Expiration:   cognitowire.At(aws.Expires),
		}}, nil
	}
	return nil, fmt.Errorf("the operation %q is not served", op) // Target lets no other through
}

func (s *Server) cognitoError(w http.ResponseWriter, id string, e *cognitowire.Error) {
	if err := cognitowire.WriteError(w, id, e); err != nil {
		s.cfg.Log.Debug("writing an answer", "err", err)
	}
}
