package awssts

import (
	"fmt"
	"net/http"

	"github.com/stint-dev/stint/internal/stswire"
)

// fault is an error of the service, with the reason that the service keeps to
// itself.
type fault struct {
	*stswire.Error
	detail string
}

// because adds the reason. It must not hold any of the token.
func (f *fault) because(format string, args ...any) *fault {
	f.detail = fmt.Sprintf(format, args...)
	return f
}

func newFault(status int, code, message string) *fault {
	return &fault{Error: &stswire.Error{Status: status, Code: code, Message: message}}
}

func wire(e *stswire.Error) *fault {
	if e == nil {
		return nil
	}
	return &fault{Error: e}
}

func invalidToken(message string) *fault {
	return newFault(http.StatusBadRequest, "InvalidIdentityToken", message)
}

func notAJWT() *fault {
	return invalidToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
}

// notValidated is the answer both to an audience that is not registered and to
// a signature that does not verify.
func notValidated() *fault {
	return invalidToken("The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for requirements.")
}

// noKey has two spaces, as the service's message does.
func noKey() *fault {
	return invalidToken("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
}

func badTags() *fault {
	return invalidToken("principal_tags passed in claim is not in correct format.")
}

func notAuthorized(action string) *fault {
	return newFault(http.StatusForbidden, "AccessDenied", "Not authorized to perform "+action)
}

func tooLarge() *fault {
	return newFault(http.StatusBadRequest, "PackedPolicyTooLarge", "Serialized token too large for session")
}

func malformedPolicy(message string) *fault {
	return newFault(http.StatusBadRequest, "MalformedPolicyDocument", message)
}

func forbidden(code, message string) *fault {
	return newFault(http.StatusForbidden, code, message)
}

func internalFault(detail string) *fault {
	return newFault(http.StatusInternalServerError, "InternalFailure", "The request processing has failed because of an unknown error, exception or failure.").because("%s", detail)
}
