package awssts

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	signAlgorithm = "AWS4-HMAC-SHA256"
	signService   = "sts"
	signEnd       = "aws4_request"
	signTime      = "20060102T150405Z"
	// signSkew is how far the time of a signature may lie from now.
	signSkew = 15 * time.Minute
)

// signature is what a request says about how it is signed (AWS Signature
// Version 4), in its Authorization header or in its query.
type signature struct {
	presigned    bool
	accessKeyID  string
	day          string // of the credential's scope
	region       string
	service      string
	end          string
	headers      []string // the names of those signed, in lower case
	value        string
	sessionToken string
	date         string
	at           time.Time
}

func incomplete(message string) *fault {
	return newFault(http.StatusBadRequest, "IncompleteSignature", message)
}

func mismatch(message string) *fault { return forbidden("SignatureDoesNotMatch", message) }

func wrongSignature() *fault {
	return mismatch("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}

// authenticate returns the session whose credentials signed the request.
func (s *STS) authenticate(c *call, now time.Time) (*session, *fault) {
	sig, f := readSignature(c.request)
	if f != nil {
		return nil, f
	}
	session := s.sessions.get(sig.accessKeyID)
	if session == nil || !session.hasToken(sig.sessionToken) {
		return nil, forbidden("InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	if !now.Before(session.expires) {
		return nil, forbidden("ExpiredToken", "The security token included in the request is expired")
	}
	if f := sig.checkScope(s.cfg.Region, now); f != nil {
		return nil, f
	}
	expected, err := sig.recompute(c, session)
	if err != nil {
		return nil, wrongSignature().because("%s", err)
	}
	if subtle.ConstantTimeCompare([]byte(expected), []byte(sig.value)) != 1 {
		return nil, wrongSignature()
	}
	return session, nil
}

func readSignature(r *http.Request) (*signature, *fault) {
	sig := &signature{}
	var credential, headers string
	query := r.URL.Query()
	switch authorization := r.Header.Get("Authorization"); {
	case authorization != "":
		rest, ok := strings.CutPrefix(authorization, signAlgorithm+" ")
		if !ok {
			return nil, incomplete("Authorization header requires the algorithm '" + signAlgorithm + "'.")
		}
		for field := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				headers = value
			case "Signature":
				sig.value = value
			}
		}
		sig.date = r.Header.Get("X-Amz-Date")
		sig.sessionToken = r.Header.Get("X-Amz-Security-Token")
	case query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Signature"):
		if query.Get("X-Amz-Algorithm") != signAlgorithm {
			return nil, incomplete("AWS query-string parameters require the algorithm '" + signAlgorithm + "'.")
		}
		sig.presigned = true
		credential, headers = query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders")
		sig.value, sig.date = query.Get("X-Amz-Signature"), query.Get("X-Amz-Date")
		sig.sessionToken = query.Get("X-Amz-Security-Token")
	default:
		return nil, forbidden("MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	return sig, sig.fill(credential, headers)
}

func (sig *signature) fill(credential, headers string) *fault {
	var missing []string
	for _, f := range []struct{ name, value string }{
		{"Credential", credential}, {"Signature", sig.value}, {"SignedHeaders", headers}, {"X-Amz-Date", sig.date},
	} {
		if f.value == "" {
			missing = append(missing, "Authorization header requires '"+f.name+"' parameter.")
		}
	}
	if len(missing) > 0 {
		return incomplete(strings.Join(missing, " "))
	}
	parts := strings.Split(credential, "/")
	if len(parts) != 5 {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got " + strconv.Itoa(len(parts)) + " elements")
	}
	sig.accessKeyID, sig.day, sig.region, sig.service, sig.end = parts[0], parts[1], parts[2], parts[3], parts[4]
	sig.headers = strings.Split(headers, ";")
	at, err := time.Parse(signTime, sig.date)
	if err != nil {
		return incomplete("Date must be in ISO-8601 'basic format'.")
	}
	sig.at = at
	return nil
}

// checkScope checks what the signature is good for: when, where, and for which
// service. It must be scoped, or one that was given to another service could
// be replayed here.
func (sig *signature) checkScope(region string, now time.Time) *fault {
	text := func(t time.Time) string { return t.UTC().Format(signTime) }
	hosted := false
	for _, name := range sig.headers {
		hosted = hosted || name == "host"
	}
	switch {
	case sig.service != signService:
		return mismatch("Credential should be scoped to correct service: '" + signService + "'.")
	case sig.region == "" || region != "" && sig.region != region:
		return mismatch("Credential should be scoped to a valid region.")
	case sig.end != signEnd:
		return mismatch("Credential should be scoped with a valid terminator: '" + signEnd + "'.")
	case sig.day != sig.date[:8]:
		return mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	case !hosted:
		return mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	case sig.at.Before(now.Add(-signSkew)):
		return mismatch("Signature expired: " + sig.date + " is now earlier than " + text(now.Add(-signSkew)) + " (" + text(now) + " - 15 min.)")
	case sig.at.After(now.Add(signSkew)):
		return mismatch("Signature not yet current: " + sig.date + " is still later than " + text(now.Add(signSkew)) + " (" + text(now) + " + 15 min.)")
	}
	return nil
}

// recompute signs the request as it came in, over exactly the headers that
// were signed, and returns the signature that it should have.
func (sig *signature) recompute(c *call, session *session) (string, error) {
	u := *c.request.URL
	u.Scheme, u.Host = "http", c.request.Host
	r := (&http.Request{Method: c.request.Method, URL: &u, Host: c.request.Host, Header: http.Header{}}).WithContext(c.request.Context())
	for _, name := range sig.headers {
		switch name {
		case "host", "x-amz-date": // the signer adds them
		case "content-length":
			r.ContentLength = c.request.ContentLength
		default:
			// In lower case, or the signer would leave out some of the names
			// that it does not sign itself, such as User-Agent.
			r.Header[name] = c.request.Header.Values(name)
		}
	}
	digest := sha256.Sum256(c.body)
	payload := hex.EncodeToString(digest[:])
	// The session token stands in the request already, where the client put it.
	options := func(o *v4.SignerOptions) { o.DisableSessionToken, o.DisableHeaderHoisting = true, true }
	credentials := aws.Credentials{AccessKeyID: session.accessKeyID, SecretAccessKey: session.secret}
	signer := v4.NewSigner()
	if !sig.presigned {
		if err := signer.SignHTTP(r.Context(), credentials, r, payload, sig.service, sig.region, sig.at, options); err != nil {
			return "", err
		}
		_, value, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
		return value, nil
	}
	query := u.Query()
	query.Del("X-Amz-Signature")
	u.RawQuery = query.Encode()
	signed, _, err := signer.PresignHTTP(r.Context(), credentials, r, payload, sig.service, sig.region, sig.at, options)
	if err != nil {
		return "", err
	}
	result, err := url.Parse(signed)
	if err != nil {
		return "", err
	}
	return result.Query().Get("X-Amz-Signature"), nil
}
