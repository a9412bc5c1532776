package s3

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxDrain is how much is read of the body of a request that is refused: that
// of the largest object and what surrounds its chunks.
const maxDrain = MaxObjectSize + 4<<20

// maxKey is the length of the longest key, in bytes.
const maxKey = 1024

// headerName is a token (RFC 9110 section 5.6.2).
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// call is one request.
type call struct {
	s          *S3
	w          http.ResponseWriter
	request    *http.Request
	header     http.Header // with what a presigned request has in its query instead
	query      query
	id, hostID string
	now        time.Time
	sourceIP   string
	operation  string

	bucketName string // of the path
	key        string // empty where the path names a bucket only
	bucket     Bucket
	sig        *signature
	session    Session
	signingKey []byte
}

func (s *S3) serve(w http.ResponseWriter, r *http.Request) {
	var random [40]byte
	if _, err := io.ReadFull(s.cfg.Rand, random[:]); err != nil {
		s.cfg.Log.Error("answering without an id", "err", err)
		http.Error(w, "no randomness", http.StatusInternalServerError)
		return
	}
	c := &call{s: s, w: w, request: r, header: r.Header, now: s.cfg.Now(), sourceIP: s.cfg.SourceIP,
		id: strings.ToUpper(hex.EncodeToString(random[:8])), hostID: base64.StdEncoding.EncodeToString(random[8:])}
	if c.sourceIP == "" {
		c.sourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	w.Header().Set("X-Amz-Request-Id", c.id)
	w.Header().Set("X-Amz-Id-2", c.hostID)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Header.Get("Expect") != "" && r.ContentLength == 0 {
		// net/http sends no 100 Continue where there is no content, and botocore
		// cannot use a connection again on which it waited for one in vain.
		w.Header().Set("Connection", "close")
	}
	if f := c.answer(); f != nil {
		s.cfg.Log.Debug("refused", "request", c.id, "operation", c.operation, "code", f.code, "detail", f.detail)
		c.refuse(f)
	}
}

// refuse answers with an error. The answer to a HEAD has no content.
func (c *call) refuse(f *fault) {
	h := c.w.Header()
	for name, values := range f.header {
		h[name] = values
	}
	if f.status == http.StatusNotModified {
		c.w.WriteHeader(f.status)
		return
	}
	// A client that sends its body whatever it is told looks at the answer only
	// afterwards, and would find the connection gone.
	_, _ = io.CopyN(io.Discard, c.request.Body, maxDrain)
	document := f.document(c.request.URL.Path, c.id, c.hostID)
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(document)))
	c.w.WriteHeader(f.status)
	if c.request.Method != http.MethodHead {
		c.write(io.WriteString(c.w, document))
	}
}

// write notes that an answer could not be sent.
func (c *call) write(_ int, err error) {
	if err != nil {
		c.s.cfg.Log.Debug("writing an answer", "request", c.id, "err", err)
	}
}

func (c *call) answerXML(v any) *fault {
	document, err := xml.Marshal(v)
	if err != nil {
		return internalError(err)
	}
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(xml.Header)+len(document)))
	c.write(io.WriteString(c.w, xml.Header+string(document)))
	return nil
}

func (c *call) answer() *fault {
	if f := c.read(); f != nil {
		return f
	}
	if f := c.s.authenticate(c); f != nil {
		return f
	}
	if f := c.hoist(); f != nil {
		return f
	}
	op, f := c.find()
	if f != nil {
		return f
	}
	c.operation = op.name
	if c.bucketName != "" {
		if f := c.findBucket(); f != nil {
			return f
		}
	}
	if f := op.check(c); f != nil {
		return f
	}
	return op.serve(c)
}

// read takes the path and the query apart.
func (c *call) read() *fault {
	path, ok := strings.CutPrefix(c.request.URL.Path, "/")
	if !ok || !utf8.ValidString(path) {
		return invalidURI()
	}
	c.bucketName, c.key, _ = strings.Cut(path, "/")
	if c.bucketName == "" && c.key != "" {
		return badRequest("InvalidBucketName", "The specified bucket is not valid.").with("BucketName", "")
	}
	if f := checkKey(c.key); f != nil {
		return f
	}
	// Of two values one would be signed and the other one used.
	for name, values := range c.request.Header {
		lower := strings.ToLower(name)
		single := strings.HasPrefix(lower, "x-amz-") && !strings.HasPrefix(lower, metaPrefix)
		if len(values) > 1 && (single || slices.Contains([]string{"authorization", "date", "content-md5", "content-type", "range"}, lower)) {
			return badRequest("InvalidRequest", "The header "+clip(lower)+" stands twice.")
		}
	}
	var f *fault
	c.query, f = parseQuery(c.request.URL.RawQuery)
	return f
}

func checkKey(key string) *fault {
	if len(key) > maxKey {
		return badRequest("KeyTooLongError", "Your key is too long").with("Size", strconv.Itoa(len(key))).with("MaxSizeAllowed", strconv.Itoa(maxKey))
	}
	if !utf8.ValidString(key) {
		return invalidURI()
	}
	return nil
}

// signatureParameters are those of a presigned request's query that are not
// headers in another place.
func signatureParameters() []string {
	return []string{"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature", "x-amz-security-token", "x-amz-content-sha256"}
}

// hoist makes headers of what stands in the query of a presigned request
// instead, as SDKs write it.
func (c *call) hoist() *fault {
	c.header = c.request.Header.Clone()
	for _, p := range c.query {
		lower := strings.ToLower(p.name)
		if !strings.HasPrefix(lower, "x-amz-") || slices.Contains(signatureParameters(), lower) {
			continue
		}
		if !headerName.MatchString(p.name) || strings.ContainsFunc(p.value, unicode.IsControl) {
			return invalidArgument(clip(p.name), p.value, "The parameter cannot be a header.")
		}
		if !c.sig.presigned || len(c.header.Values(p.name)) > 0 {
			return invalidArgument(clip(p.name), p.value, "The parameter is not expected here, or stands in the header as well.")
		}
		c.header.Set(p.name, p.value)
	}
	return nil
}

func (c *call) findBucket() *fault {
	var ok bool
	if c.bucket, ok = c.s.buckets[c.bucketName]; !ok {
		if !bucketName.MatchString(c.bucketName) {
			return badRequest("InvalidBucketName", "The specified bucket is not valid.").with("BucketName", clip(c.bucketName))
		}
		return newFault(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist").with("BucketName", c.bucketName)
	}
	region := http.Header{"X-Amz-Bucket-Region": {c.bucket.Region}}
	if c.bucket.Region != "" && c.sig.region != c.bucket.Region {
		f := malformed(c.sig.presigned, fmt.Sprintf("the region '%s' is wrong; expecting '%s'", clip(c.sig.region), c.bucket.Region)).with("Region", c.bucket.Region)
		f.header = region
		return f
	}
	if owner := c.header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != c.bucket.AccountID {
		return forbidden("AccessDenied", "Access Denied").because("the bucket is not of the expected owner")
	}
	return nil
}
