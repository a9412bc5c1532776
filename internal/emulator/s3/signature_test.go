package s3_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/stint-dev/stint/internal/emulator/s3"
)

// signing is how a request is signed by hand.
type signing struct {
	key, secret, token, service, region string
	at                                  time.Time
	payload                             string // empty: the SHA-256 of the body
	header                              map[string]string
}

func usual() signing {
	return signing{key: "ALL", secret: secret, token: token, service: "s3", region: region, at: start}
}

// request makes a signed request.
func (w *world) request(s signing, method, path, body string) *http.Request {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	digest := sha256.Sum256([]byte(body))
	if s.payload == "" {
		s.payload = hex.EncodeToString(digest[:])
	}
	req.Header.Set("X-Amz-Content-Sha256", s.payload)
	for name, value := range s.header {
		req.Header.Set(name, value)
	}
	credentials := aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret, SessionToken: s.token}
	if err := v4.NewSigner().SignHTTP(w.Context(), credentials, req, s.payload, s.service, s.region, s.at, func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }); err != nil {
		w.Fatal(err)
	}
	return req
}

// TestSignaturesAreVerified changes requests, signatures and sessions, each in
// one way, and expects the error of S3.
func TestSignaturesAreVerified(t *testing.T) {
	t.Parallel()
	replace := func(header, old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set(header, strings.Replace(r.Header.Get(header), old, new, 1))
		}
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	body := func(text string) func(*http.Request) {
		return func(r *http.Request) {
			*r = *r.Clone(r.Context())
			r.Body, r.ContentLength = http.NoBody, int64(len(text))
			fresh := httptest.NewRequest(http.MethodPut, "/", strings.NewReader(text))
			r.Body = fresh.Body
		}
	}
	for name, test := range map[string]struct {
		sign   func(*signing)
		tamper func(*http.Request)
		change func(*s3.Session)
		status int
		code   string // empty: it is done
	}{
		"as it should be":       {status: 200},
		"nearly too old":        {sign: func(s *signing) { s.at = start.Add(-15 * time.Minute) }, status: 200},
		"too old":               {sign: func(s *signing) { s.at = start.Add(-15*time.Minute - time.Second) }, status: 403, code: "RequestTimeTooSkewed"},
		"of the future":         {sign: func(s *signing) { s.at = start.Add(15*time.Minute + time.Second) }, status: 403, code: "RequestTimeTooSkewed"},
		"another secret":        {sign: func(s *signing) { s.secret = "another" }, status: 403, code: "SignatureDoesNotMatch"},
		"another session's":     {sign: func(s *signing) { s.key = "OTHER" }, change: func(s *s3.Session) { s.SecretAccessKey += "x" }, status: 403, code: "SignatureDoesNotMatch"},
		"an unknown key":        {sign: func(s *signing) { s.key = "NOBODY" }, status: 403, code: "InvalidAccessKeyId"},
		"an empty key":          {sign: func(s *signing) { s.key = "" }, status: 403, code: "InvalidAccessKeyId"},
		"no token":              {sign: func(s *signing) { s.token = "" }, status: 400, code: "InvalidToken"},
		"another token":         {sign: func(s *signing) { s.token = "another" }, status: 400, code: "InvalidToken"},
		"a token too much":      {change: func(s *s3.Session) { s.SessionToken = "" }, status: 400, code: "InvalidToken"},
		"no secret":             {sign: func(s *signing) { s.secret = "" }, change: func(s *s3.Session) { s.SecretAccessKey = "" }, status: 403, code: "InvalidAccessKeyId"},
		"expired":               {change: func(s *s3.Session) { s.Expires = start }, status: 400, code: "ExpiredToken"},
		"about to expire":       {change: func(s *s3.Session) { s.Expires = start.Add(time.Second) }, status: 200},
		"for ever":              {change: func(s *s3.Session) { s.Expires = time.Time{} }, status: 200},
		"of another service":    {sign: func(s *signing) { s.service = "sts" }, status: 400, code: "AuthorizationHeaderMalformed"},
		"of another region":     {sign: func(s *signing) { s.region = "us-east-1" }, status: 400, code: "AuthorizationHeaderMalformed"},
		"another region's name": {tamper: replace("Authorization", region, "us-east-1"), status: 403, code: "SignatureDoesNotMatch"},
		"another day":           {tamper: replace("Authorization", "20261123", "20261122"), status: 400, code: "AuthorizationHeaderMalformed"},
		"another end":           {tamper: replace("Authorization", "aws4_request", "aws4"), status: 400, code: "AuthorizationHeaderMalformed"},
		"a scope too short":     {tamper: replace("Authorization", "/s3/", "/"), status: 400, code: "AuthorizationHeaderMalformed"},
		"another key":           {tamper: func(r *http.Request) { r.URL.Path = "/artifacts/y" }, status: 403, code: "SignatureDoesNotMatch"},
		"another method":        {tamper: func(r *http.Request) { r.Method = http.MethodDelete }, status: 403, code: "SignatureDoesNotMatch"},
		"a parameter more":      {tamper: func(r *http.Request) { r.URL.RawQuery += "&acl" }, status: 403, code: "SignatureDoesNotMatch"},
		"another host":          {tamper: func(r *http.Request) { r.Host = "s3.example.com" }, status: 403, code: "SignatureDoesNotMatch"},
		"another metadata":      {tamper: header("X-Amz-Meta-Run", "2"), status: 403, code: "SignatureDoesNotMatch"},
		"more metadata":         {tamper: header("X-Amz-Meta-More", "2"), status: 403, code: "AccessDenied"},
		"an ACL more":           {tamper: header("X-Amz-Acl", "bucket-owner-full-control"), status: 403, code: "AccessDenied"},
		"metadata twice":        {tamper: func(r *http.Request) { r.Header.Add("X-Amz-Meta-Run", "2") }, status: 403, code: "SignatureDoesNotMatch"},
		"a token twice":         {tamper: func(r *http.Request) { r.Header.Add("X-Amz-Security-Token", token) }, status: 400, code: "InvalidRequest"},
		"two signatures":        {tamper: func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, status: 400, code: "InvalidRequest"},
		"another body":          {tamper: body("CONTENT"), status: 400, code: "XAmzContentSHA256Mismatch"},
		"a longer body":         {tamper: body("content and more"), status: 403, code: "SignatureDoesNotMatch"},
		"another digest":        {tamper: header("X-Amz-Content-Sha256", strings.Repeat("0", 64)), status: 403, code: "SignatureDoesNotMatch"},
		"no digest any more":    {tamper: header("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), status: 403, code: "SignatureDoesNotMatch"},
		"no digest":             {tamper: func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, status: 400, code: "InvalidRequest"},
		"an unsigned body":      {sign: func(s *signing) { s.payload = "UNSIGNED-PAYLOAD" }, status: 200},
		"a false digest":        {sign: func(s *signing) { s.payload = strings.Repeat("0", 64) }, status: 400, code: "XAmzContentSHA256Mismatch"},
		"a digest that is none": {sign: func(s *signing) { s.payload = "abc" }, status: 400, code: "InvalidArgument"},
		"asymmetric chunks":     {sign: func(s *signing) { s.payload = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" }, status: 400, code: "InvalidArgument"},
		"chunks of no length":   {sign: func(s *signing) { s.payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" }, status: 411, code: "MissingContentLength"},
		"no signature":          {tamper: func(r *http.Request) { r.Header.Del("Authorization") }, status: 403, code: "AccessDenied"},
		"an empty signature":    {tamper: func(r *http.Request) { cut(r, "Signature=") }, status: 400, code: "AuthorizationHeaderMalformed"},
		"half a signature": {tamper: func(r *http.Request) {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", a[:len(a)-32])
		}, status: 403, code: "SignatureDoesNotMatch"},
		"version 2":            {tamper: header("Authorization", "AWS ALL:c2lnbmF0dXJl"), status: 400, code: "InvalidRequest"},
		"version 4A":           {tamper: replace("Authorization", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), status: 400, code: "InvalidRequest"},
		"a bearer":             {tamper: header("Authorization", "Bearer x"), status: 400, code: "InvalidRequest"},
		"an unsigned host":     {tamper: replace("Authorization", "host;", ""), status: 400, code: "AuthorizationHeaderMalformed"},
		"headers out of order": {tamper: replace("Authorization", "content-length;host", "host;content-length"), status: 400, code: "AuthorizationHeaderMalformed"},
		"no date":              {tamper: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, status: 403, code: "AccessDenied"},
		"a date that is none":  {tamper: header("X-Amz-Date", "today"), status: 403, code: "AccessDenied"},
		"both ways":            {tamper: func(r *http.Request) { r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256" }, status: 400, code: "InvalidArgument"},
		"Content-MD5":          {sign: func(s *signing) { s.header["Content-Md5"] = "mgNkuembtIDdJeHwKEyFVQ==" }, status: 200},
		"a false Content-MD5":  {sign: func(s *signing) { s.header["Content-Md5"] = "AAAAAAAAAAAAAAAAAAAAAA==" }, status: 400, code: "BadDigest"},
		"no Content-MD5":       {sign: func(s *signing) { s.header["Content-Md5"] = "AAAA" }, status: 400, code: "InvalidDigest"},
		"a checksum":           {sign: func(s *signing) { s.header["X-Amz-Checksum-Crc64nvme"] = "NOVuXYgf/Io=" }, status: 400, code: "BadDigest"},
		"a false checksum":     {sign: func(s *signing) { s.header["X-Amz-Checksum-Crc32"] = "AAAAAA==" }, status: 400, code: "BadDigest"},
		"a checksum too short": {sign: func(s *signing) { s.header["X-Amz-Checksum-Sha256"] = "AAAA" }, status: 400, code: "InvalidRequest"},
		"an unknown checksum":  {sign: func(s *signing) { s.header["X-Amz-Checksum-Xxhash3"] = "AAAA" }, status: 501, code: "NotImplemented"},
		"a checksum not sent":  {sign: func(s *signing) { s.header["X-Amz-Sdk-Checksum-Algorithm"] = "CRC32" }, status: 400, code: "InvalidRequest"},
		"two checksums": {sign: func(s *signing) {
			s.header["X-Amz-Checksum-Crc32"], s.header["X-Amz-Checksum-Crc32c"] = "AAAAAA==", "AAAAAA=="
		}, status: 400, code: "InvalidRequest"},
		"a trailer, no chunks": {sign: func(s *signing) { s.header["X-Amz-Trailer"] = "x-amz-checksum-crc32" }, status: 400, code: "InvalidRequest"},
		"what is not known":    {sign: func(s *signing) { s.header["X-Amz-Website-Redirect-Location"] = "/" }, status: 501, code: "NotImplemented"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := usual()
			s.header = map[string]string{"X-Amz-Meta-Run": "1"}
			if test.sign != nil {
				test.sign(&s)
			}
			if test.change != nil {
				w.change(s.key, test.change)
			}
			req := w.request(s, http.MethodPut, "/artifacts/x?x-id=PutObject", "content")
			if test.tamper != nil {
				test.tamper(req)
			}
			out, status := do(t, req)
			if status != test.status || test.code != "" && !strings.Contains(out, "<Code>"+test.code+"</Code>") {
				t.Errorf("expected %d %s, got %d %s", test.status, test.code, status, out)
			}
			if strings.Contains(out, secret) || strings.Contains(out, token) || strings.Contains(w.logged(), secret) || strings.Contains(w.logged(), token) {
				t.Error("the answer or the log has a secret")
			}
			if stored := len(filesIn(t, w.dir)) > 0; stored != (test.status == 200) {
				t.Errorf("status %d, stored: %v", status, stored)
			}
		})
	}
}

func cut(r *http.Request, after string) {
	before, _, _ := strings.Cut(r.Header.Get("Authorization"), after)
	r.Header.Set("Authorization", before+after)
}

// TestPublishedSignatures takes the requests that the service's documentation
// signs by way of example. What is answered shows that they were believed:
// none of them is of a bucket that exists.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	const (
		scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
		empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	)
	w := newWorld(t)
	w.now = func() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) }
	w.sessions["AKIAIOSFODNN7EXAMPLE"] = s3.Session{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: secret}
	for name, test := range map[string]struct {
		method, target, body, signed, signature string
		header                                  map[string]string
		code                                    string
	}{
		"an object": {
			method: "GET", target: "/test.txt", signed: "host;range;x-amz-content-sha256;x-amz-date",
			header: map[string]string{"Range": "bytes=0-9"}, signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", code: "NotImplemented",
		},
		"a put": {
			method: "PUT", target: "/test$file.text", body: "Welcome to Amazon S3.", signed: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
			header:    map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY", "X-Amz-Content-Sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
			signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd", code: "NotImplemented",
		},
		"a parameter without a value": {
			method: "GET", target: "/?lifecycle", signed: "host;x-amz-content-sha256;x-amz-date",
			signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", code: "NotImplemented",
		},
		"two parameters": {
			method: "GET", target: "/?max-keys=2&prefix=J", signed: "host;x-amz-content-sha256;x-amz-date",
			signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", code: "NotImplemented",
		},
		"presigned": {
			method: "GET", target: "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + url.QueryEscape(scope) + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=",
			signature: "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", code: "NotImplemented",
		},
	} {
		t.Run(name, func(t *testing.T) {
			send := func(signature string) string {
				target := test.target
				if test.signed == "" {
					target += signature
				}
				r := httptest.NewRequestWithContext(t.Context(), test.method, target, bytes.NewReader([]byte(test.body)))
				r.Host = "examplebucket.s3.amazonaws.com"
				if test.signed != "" {
					r.Header.Set("X-Amz-Date", "20130524T000000Z")
					r.Header.Set("X-Amz-Content-Sha256", empty)
					r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+scope+",SignedHeaders="+test.signed+",Signature="+signature)
				}
				for name, value := range test.header {
					r.Header.Set(name, value)
				}
				answer := httptest.NewRecorder()
				w.s3.ServeHTTP(answer, r)
				return answer.Body.String()
			}
			if out := send(test.signature); !strings.Contains(out, "<Code>"+test.code+"</Code>") {
				t.Errorf("expected %s, got %s", test.code, out)
			}
			if out := send(strings.Repeat("0", 64)); !strings.Contains(out, "<Code>SignatureDoesNotMatch</Code>") {
				t.Errorf("a false signature: %s", out)
			}
		})
	}
}

// sign signs a request that is handed to the handler without a client, whose
// path may be one that no client would send.
func sign(t testing.TB, r *http.Request, body string) {
	t.Helper()
	digest := sha256.Sum256([]byte(body))
	mac := func(key []byte, message string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(message))
		return h.Sum(nil)
	}
	var path strings.Builder
	for _, b := range []byte(r.URL.Path) {
		if b == '/' || strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", b) >= 0 {
			path.WriteByte(b)
		} else {
			fmt.Fprintf(&path, "%%%02X", b)
		}
	}
	r.Host = "127.0.0.1"
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(digest[:]))
	r.Header.Set("X-Amz-Date", "20261123T120000Z")
	r.Header.Set("X-Amz-Security-Token", token)
	names := "host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
	canonical := r.Method + "\n" + path.String() + "\n\nhost:127.0.0.1\nx-amz-content-sha256:" + hex.EncodeToString(digest[:]) + "\nx-amz-date:20261123T120000Z\nx-amz-security-token:" + token + "\n\n" + names + "\n" + hex.EncodeToString(digest[:])
	hashed := sha256.Sum256([]byte(canonical))
	scope := "20261123/" + region + "/s3/aws4_request"
	key := mac(mac(mac(mac([]byte("AWS4"+secret), "20261123"), region), "s3"), "aws4_request")
	signature := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n20261123T120000Z\n"+scope+"\n"+hex.EncodeToString(hashed[:])))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=ALL/"+scope+", SignedHeaders="+names+", Signature="+signature)
}
