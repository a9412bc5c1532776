package awssts

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/emulator"
	"github.com/stint-dev/stint/internal/stswire"
)

// maxBody is the largest body that STS reads, in bytes.
const maxBody = 10_000_000

// call is one request.
type call struct {
	id       string
	request  *http.Request
	body     []byte
	form     url.Values // of a doubled parameter the first counts
	sourceIP string
}

func (s *STS) serve(w http.ResponseWriter, r *http.Request) {
	id, err := emulator.NewUUID(s.cfg.Rand)
	if err != nil {
		s.cfg.Log.Error("answering without an id", "err", err)
		http.Error(w, "no randomness", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")

	operation, result, f := s.answer(w, r, id)
	if f != nil {
		s.cfg.Log.Debug("refused", "request", id, "action", operation, "code", f.Code, "detail", f.detail)
		err = stswire.WriteError(w, id, f.Error)
	} else {
		err = stswire.WriteResult(w, id, operation, result)
	}
	if err != nil {
		s.cfg.Log.Debug("writing an answer", "err", err)
	}
}

func (s *STS) answer(w http.ResponseWriter, r *http.Request, id string) (operation string, result any, f *fault) {
	if r.URL.Path != "/" {
		return "", nil, newFault(http.StatusNotFound, "UnknownOperationException", "The path is not one of the service: expected /")
	}
	c := &call{id: id, request: r, sourceIP: s.cfg.SourceIP}
	if f := c.read(w); f != nil {
		return "", nil, f
	}
	if c.sourceIP == "" {
		c.sourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	operation, invalid := stswire.Action(c.form)
	if invalid != nil {
		return "", nil, wire(invalid)
	}
	switch operation {
	case operationAssumeRole:
		result, f = s.assumeRole(c)
	case operationWebIdentity:
		result, f = s.assumeRoleWithWebIdentity(c)
	case "GetCallerIdentity":
		result, f = s.getCallerIdentity(c)
	default:
		return "", nil, wire(stswire.InvalidAction(operation, stswire.Version))
	}
	return operation, result, f
}

// read takes the parameters from the body and the query, those of the body
// first.
func (c *call) read(w http.ResponseWriter) *fault {
	r := c.request
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET, POST")
		return newFault(http.StatusMethodNotAllowed, "MethodNotAllowed", "Expected GET or POST")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return newFault(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Request size exceeded 10000000 bytes")
	case err != nil:
		return newFault(http.StatusBadRequest, "MalformedInput", "").because("reading the body: %s", err)
	}
	c.body = body
	c.form = url.Values{}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	sources := []string{r.URL.RawQuery}
	if r.Method == http.MethodPost && kind == "application/x-www-form-urlencoded" {
		sources = []string{string(body), r.URL.RawQuery}
	}
	for _, source := range sources {
		values, err := url.ParseQuery(source)
		if err != nil {
			return newFault(http.StatusNotFound, "MalformedQueryString", "The query string contains a syntax error.")
		}
		for name, v := range values {
			for _, text := range append([]string{name}, v...) {
				if !utf8.ValidString(text) {
					return newFault(http.StatusBadRequest, "MalformedInput", "").because("a parameter is not valid UTF-8")
				}
			}
			c.form[name] = append(c.form[name], v...)
		}
	}
	return nil
}
