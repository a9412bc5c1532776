package cognitowire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Type is the name of an error, in __type and in the header x-amzn-ErrorType.
type Type string

// The errors of the three operations, and those that any operation of the
// protocol may have.
const (
	InvalidParameter                 Type = "InvalidParameterException"
	ResourceNotFound                 Type = "ResourceNotFoundException"
	NotAuthorized                    Type = "NotAuthorizedException"
	TooManyRequests                  Type = "TooManyRequestsException"
	InvalidIdentityPoolConfiguration Type = "InvalidIdentityPoolConfigurationException" // of GetCredentialsForIdentity only
	ExternalService                  Type = "ExternalServiceException"
	InternalError                    Type = "InternalErrorException"

	ValidationFailed      Type = "ValidationException"
	SerializationFailed   Type = "SerializationException"
	UnknownOperation      Type = "UnknownOperationException"
	RequestEntityTooLarge Type = "RequestEntityTooLargeException"
	MethodNotAllowed      Type = "MethodNotAllowedException"
)

// Error is an error as the service answers it.
type Error struct {
	Type    Type
	Message string
	// Log is the message without the values that the caller sent: one of them
	// may be a token in the wrong place. Empty: Message holds none.
	Log string
}

// Error is for logs and records.
func (e *Error) Error() string {
	if e.Log != "" {
		return string(e.Type) + ": " + e.Log
	}
	return string(e.Type) + ": " + e.Message
}

// Status is the HTTP status of the error: 400 but for those that a caller can
// do nothing about, and those of HTTP itself.
func (e *Error) Status() int {
	switch e.Type {
	case InternalError:
		return http.StatusInternalServerError
	case RequestEntityTooLarge:
		return http.StatusRequestEntityTooLarge
	case MethodNotAllowed:
		return http.StatusMethodNotAllowed
	}
	return http.StatusBadRequest
}

func unknownOperation(message string) *Error { return &Error{Type: UnknownOperation, Message: message} }

func serialization(message, log string) *Error {
	return &Error{Type: SerializationFailed, Message: message, Log: log}
}

// constraint is one that does not hold.
type constraint struct{ value, at, broken string }

// validation is all of them in one error, and nil where there are none.
func validation(broken []constraint) *Error {
	if len(broken) == 0 {
		return nil
	}
	plural := "s"
	if len(broken) == 1 {
		plural = ""
	}
	var message, log []string
	for _, c := range broken {
		said := " at '" + c.at + "' failed to satisfy constraint: " + c.broken
		message = append(message, c.value+said)
		log = append(log, "Value"+said)
	}
	return &Error{
		Type:    ValidationFailed,
		Message: fmt.Sprintf("%d validation error%s detected: %s", len(broken), plural, strings.Join(message, "; ")),
		Log:     strings.Join(log, "; "),
	}
}

// WriteResult answers an operation. result is one of the Response types.
func WriteResult(w http.ResponseWriter, requestID string, result any) error {
	return write(w, http.StatusOK, requestID, result)
}

// WriteError answers with an error.
func WriteError(w http.ResponseWriter, requestID string, e *Error) error {
	w.Header().Set("x-amzn-ErrorType", string(e.Type)+":") // the service's header ends with a colon, and SDKs cut there
	return write(w, e.Status(), requestID, struct {
		Type    Type   `json:"__type"`
		Message string `json:"message,omitempty"`
	}{e.Type, e.Message})
}

func write(w http.ResponseWriter, status int, requestID string, v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("x-amzn-RequestId", requestID)
	w.WriteHeader(status)
	_, err := w.Write(out.Bytes())
	return err
}
