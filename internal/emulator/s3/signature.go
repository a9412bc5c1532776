package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	signAlgorithm = "AWS4-HMAC-SHA256"
	signService   = "s3"
	signEnd       = "aws4_request"
	signTime      = "20060102T150405Z"
	// signSkew is how far the time of a signature may lie from now.
	signSkew = 15 * time.Minute
	// maxPresigned is for how long a presigned request may be good.
	maxPresigned = 7 * 24 * time.Hour

	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// signature is what a request says about how it is signed (AWS Signature
// Version 4 as S3 has it), in its Authorization header or in its query.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
type signature struct {
	presigned   bool
	accessKeyID string
	day         string // of the credential's scope
	region      string
	service     string
	end         string
	headers     []string // the names of those signed, in lower case
	value       string
	token       string
	at          time.Time
	expires     time.Duration // of a presigned request
	payload     string        // x-amz-content-sha256
}

func malformed(presigned bool, message string) *fault {
	if presigned {
		return badRequest("AuthorizationQueryParametersError", message)
	}
	return badRequest("AuthorizationHeaderMalformed", "The authorization header is malformed; "+message)
}

// authenticate finds the session whose credentials signed the request.
func (s *S3) authenticate(c *call) *fault {
	now := c.now
	sig, f := readSignature(c)
	if f != nil {
		return f
	}
	c.sig = sig
	session, known := s.cfg.Sessions(sig.accessKeyID)
	if !known || session.AccessKeyID != sig.accessKeyID || session.SecretAccessKey == "" {
		return forbidden("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.").with("AWSAccessKeyId", clip(sig.accessKeyID))
	}
	if !sameSecret(sig.token, session.SessionToken) {
		return badRequest("InvalidToken", "The provided token is malformed or otherwise invalid.")
	}
	if !session.Expires.IsZero() && !now.Before(session.Expires) {
		return badRequest("ExpiredToken", "The provided token has expired.")
	}
	if f := sig.checkTime(now); f != nil {
		return f
	}
	if f := sig.checkScope(); f != nil {
		return f
	}
	if f := sig.checkHeaders(c.request); f != nil {
		return f
	}
	canonical := sig.canonicalRequest(c)
	toSign := sig.stringToSign(signAlgorithm, hashHex([]byte(canonical)))
	expected := hex.EncodeToString(mac(sig.key(session.SecretAccessKey), toSign))
	if subtle.ConstantTimeCompare([]byte(expected), []byte(sig.value)) != 1 {
		return signatureDoesNotMatch().with("AWSAccessKeyId", sig.accessKeyID).with("StringToSign", toSign).with("SignatureProvided", clip(sig.value))
	}
	c.session, c.signingKey = session, sig.key(session.SecretAccessKey)
	return nil
}

func signatureDoesNotMatch() *fault {
	return forbidden("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
}

// sameSecret compares digests, so that the time taken says nothing of either.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func readSignature(c *call) (*signature, *fault) {
	authorization := c.request.Header.Get("Authorization")
	_, presigned := c.query.get("X-Amz-Signature")
	if _, named := c.query.get("X-Amz-Algorithm"); named {
		presigned = true
	}
	_, old := c.query.get("Signature")
	switch {
	case authorization != "" && (presigned || old):
		return nil, invalidArgument("Authorization", "", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified")
	case old:
		return nil, unsupportedSignature()
	case presigned:
		return readPresigned(c)
	case authorization == "":
		// Policies of package iam do not decide on anonymous callers.
		return nil, forbidden("AccessDenied", "Access Denied").because("the request is not signed")
	}
	return readAuthorization(c, authorization)
}

func unsupportedSignature() *fault {
	return badRequest("InvalidRequest", "The authorization mechanism you have provided is not supported. Please use "+signAlgorithm+".")
}

func readAuthorization(c *call, authorization string) (*signature, *fault) {
	rest, ok := strings.CutPrefix(authorization, signAlgorithm)
	if !ok || rest == "" || rest[0] != ' ' {
		return nil, unsupportedSignature()
	}
	sig := &signature{}
	fields := map[string]string{}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		if _, doubled := fields[name]; doubled {
			return nil, malformed(false, "a field stands twice.")
		}
		fields[name] = value
	}
	h := c.request.Header
	sig.value, sig.token, sig.payload = fields["Signature"], h.Get("X-Amz-Security-Token"), h.Get("X-Amz-Content-Sha256")
	date := h.Get("X-Amz-Date")
	if date == "" {
		date = h.Get("Date")
	}
	var err error
	if sig.at, err = time.Parse(signTime, date); err != nil {
		if sig.at, err = http.ParseTime(date); err != nil {
			return nil, forbidden("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
		}
	}
	if sig.payload == "" {
		return nil, badRequest("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	}
	return sig, sig.fill(fields["Credential"], fields["SignedHeaders"])
}

func readPresigned(c *call) (*signature, *fault) {
	get := func(name string) string { v, _ := c.query.get(name); return v }
	if algorithm := get("X-Amz-Algorithm"); algorithm != signAlgorithm {
		return nil, malformed(true, "X-Amz-Algorithm only supports \""+signAlgorithm+"\"")
	}
	sig := &signature{presigned: true, value: get("X-Amz-Signature"), token: get("X-Amz-Security-Token"), payload: get("X-Amz-Content-Sha256")}
	if sig.payload == "" {
		sig.payload = c.request.Header.Get("X-Amz-Content-Sha256")
	}
	if sig.payload == "" {
		sig.payload = unsignedPayload
	}
	var err error
	if sig.at, err = time.Parse(signTime, get("X-Amz-Date")); err != nil {
		return nil, malformed(true, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	seconds, err := strconv.Atoi(get("X-Amz-Expires"))
	switch {
	case err != nil:
		return nil, malformed(true, "X-Amz-Expires should be a number")
	case seconds < 0:
		return nil, malformed(true, "X-Amz-Expires must be non-negative")
	case seconds > int(maxPresigned/time.Second):
		return nil, malformed(true, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	sig.expires = time.Duration(seconds) * time.Second
	return sig, sig.fill(get("X-Amz-Credential"), get("X-Amz-SignedHeaders"))
}

func (sig *signature) fill(credential, headers string) *fault {
	for _, f := range []struct{ name, value string }{{"Credential", credential}, {"SignedHeaders", headers}, {"Signature", sig.value}} {
		if f.value == "" {
			return malformed(sig.presigned, "the parameter "+f.name+" is missing.")
		}
	}
	parts := strings.Split(credential, "/")
	if len(parts) != 5 {
		return malformed(sig.presigned, "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")
	}
	sig.accessKeyID, sig.day, sig.region, sig.service, sig.end = parts[0], parts[1], parts[2], parts[3], parts[4]
	sig.headers = strings.Split(headers, ";")
	return nil
}

// checkTime checks that the signature is of about now, or a presigned request
// still good.
func (sig *signature) checkTime(now time.Time) *fault {
	early := sig.at.After(now.Add(signSkew))
	switch {
	case sig.presigned && early:
		return forbidden("AccessDenied", "Request is not valid yet")
	case sig.presigned && now.After(sig.at.Add(sig.expires)):
		return forbidden("AccessDenied", "Request has expired").with("X-Amz-Expires", strconv.Itoa(int(sig.expires/time.Second))).
			with("Expires", stamp(sig.at.Add(sig.expires))).with("ServerTime", stamp(now))
	case !sig.presigned && (early || sig.at.Before(now.Add(-signSkew))):
		return forbidden("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.").
			with("RequestTime", sig.at.UTC().Format(signTime)).with("ServerTime", stamp(now)).with("MaxAllowedSkewMilliseconds", strconv.Itoa(int(signSkew/time.Millisecond)))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// checkScope checks what the signature is good for. One that was given to
// another service could be replayed here.
func (sig *signature) checkScope() *fault {
	switch {
	case sig.day != sig.at.UTC().Format("20060102"):
		return malformed(sig.presigned, "Invalid credential date \""+clip(sig.day)+"\". This date is not the same as X-Amz-Date: \""+sig.at.UTC().Format("20060102")+"\".")
	case sig.region == "":
		return malformed(sig.presigned, "a region is expected in the Credential.")
	case sig.service != signService:
		return malformed(sig.presigned, "incorrect service \""+clip(sig.service)+"\". This endpoint belongs to \""+signService+"\".")
	case sig.end != signEnd:
		return malformed(sig.presigned, "incorrect terminal \""+clip(sig.end)+"\". This endpoint uses \""+signEnd+"\".")
	}
	return nil
}

// checkHeaders checks that what matters is signed: the host and all x-amz-
// headers, or somebody on the way could add one.
func (sig *signature) checkHeaders(r *http.Request) *fault {
	if !slices.Contains(sig.headers, "host") {
		return malformed(sig.presigned, "'host' must be among the SignedHeaders.")
	}
	for i, name := range sig.headers {
		if name == "" || name != strings.ToLower(name) || i > 0 && sig.headers[i-1] >= name {
			return malformed(sig.presigned, "the SignedHeaders must be in lower case and in order.")
		}
	}
	var missing []string
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(sig.headers, lower) {
			missing = append(missing, lower)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return forbidden("AccessDenied", "There were headers present in the request which were not signed").with("HeadersNotSigned", clip(strings.Join(missing, ", ")))
	}
	return nil
}

// canonicalRequest is what is signed. S3 encodes the path once, other services
// twice.
func (sig *signature) canonicalRequest(c *call) string {
	var b strings.Builder
	path := c.request.URL.Path
	if path == "" {
		path = "/"
	}
	b.WriteString(c.request.Method + "\n" + uriEncode(path, true) + "\n" + c.query.canonical() + "\n")
	for _, name := range sig.headers {
		b.WriteString(name + ":" + canonicalHeader(c.request, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(sig.headers, ";") + "\n" + sig.payload)
	return b.String()
}

func canonicalHeader(r *http.Request, name string) string {
	// net/http takes these out of the header.
	switch name {
	case "host":
		return r.Host
	case "content-length":
		if r.ContentLength >= 0 {
			return strconv.FormatInt(r.ContentLength, 10)
		}
		return ""
	case "transfer-encoding":
		return strings.Join(r.TransferEncoding, ",")
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(values, ",")
}

func (sig *signature) scope() string {
	return sig.day + "/" + sig.region + "/" + sig.service + "/" + sig.end
}

// stringToSign joins what every signature begins with and its own parts.
func (sig *signature) stringToSign(algorithm string, parts ...string) string {
	return algorithm + "\n" + sig.at.UTC().Format(signTime) + "\n" + sig.scope() + "\n" + strings.Join(parts, "\n")
}

func (sig *signature) key(secret string) []byte {
	return mac(mac(mac(mac([]byte("AWS4"+secret), sig.day), sig.region), sig.service), sig.end)
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

func hashHex(b []byte) string {
	digest := sha256.Sum256(b)
	return hex.EncodeToString(digest[:])
}

// uriEncode encodes as S3 does in signatures: all but unreserved characters
// (RFC 3986 section 2.3), and slashes where they are to be kept.
func uriEncode(s string, keepSlash bool) string {
	var b strings.Builder
	for i := range len(s) {
		switch ch := s[i]; {
		case 'A' <= ch && ch <= 'Z', 'a' <= ch && ch <= 'z', '0' <= ch && ch <= '9', strings.IndexByte("-._~", ch) >= 0, ch == '/' && keepSlash:
			b.WriteByte(ch)
		default:
			fmt.Fprintf(&b, "%%%02X", ch)
		}
	}
	return b.String()
}
