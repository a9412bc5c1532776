package s3

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

// fault is an error of the service, with the reason that the service keeps to
// itself.
type fault struct {
	status  int
	code    string
	message string
	more    []element // further elements of the answer
	header  http.Header
	detail  string
}

type element struct{ name, value string }

func newFault(status int, code, message string) *fault {
	return &fault{status: status, code: code, message: message}
}

// with adds an element to the answer.
func (f *fault) with(name, value string) *fault {
	f.more = append(f.more, element{name, value})
	return f
}

// because adds the reason. It must hold no secret.
func (f *fault) because(format string, args ...any) *fault {
	f.detail = fmt.Sprintf(format, args...)
	return f
}

func badRequest(code, message string) *fault { return newFault(http.StatusBadRequest, code, message) }

func forbidden(code, message string) *fault { return newFault(http.StatusForbidden, code, message) }

func invalidArgument(name, value, message string) *fault {
	return badRequest("InvalidArgument", message).with("ArgumentName", name).with("ArgumentValue", clip(value))
}

// notImplemented refuses what the emulator does not do.
func notImplemented(what string) *fault {
	return newFault(http.StatusNotImplemented, "NotImplemented", "The emulated S3 does not implement "+what+".")
}

func notAllowed(method string) *fault {
	return newFault(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.").with("Method", clip(method))
}

func internalError(err error) *fault {
	return newFault(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.").because("%s", err)
}

// clip bounds what an answer repeats of a request.
func clip(s string) string {
	if len(s) > 1024 {
		s = s[:1024]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// xmlText is text as S3 writes it: what XML cannot hold stands as a reference,
// so that a key is never shown as another one.
type xmlText struct {
	Escaped string `xml:",innerxml"`
}

func text(s string) xmlText {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r < 0x20 && r != '\n' && r != '\t' || r == 0x7f || r == 0xfffe || r == 0xffff:
			fmt.Fprintf(&b, "&#x%x;", r)
		default:
			b.WriteRune(r)
		}
	}
	return xmlText{b.String()}
}

// document is the error as S3 writes it.
func (f *fault) document(resource, requestID, hostID string) string {
	var b strings.Builder
	b.WriteString(xml.Header + "<Error>")
	elements := append([]element{{"Code", f.code}, {"Message", f.message}}, f.more...)
	elements = append(elements, element{"Resource", clip(resource)}, element{"RequestId", requestID}, element{"HostId", hostID})
	for _, e := range elements {
		b.WriteString("<" + e.name + ">" + text(e.value).Escaped + "</" + e.name + ">")
	}
	b.WriteString("</Error>")
	return b.String()
}
