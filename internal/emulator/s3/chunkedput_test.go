package s3_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// chunkedPut is a PUT in signed chunks, made by the words of the
// documentation.
type chunkedPut struct {
	data     []byte
	announce int // bytes more or less than there are
	trailer  bool
	checksum string // in place of the right one
	tamper   func([]byte) []byte
}

func (w *world) chunked(p chunkedPut) (string, int) {
	w.Helper()
	s := usual()
	s.payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	s.header = map[string]string{"X-Amz-Decoded-Content-Length": strconv.Itoa(len(p.data) + p.announce), "Content-Encoding": "gzip, aws-chunked"}
	if p.trailer {
		s.payload += "-TRAILER"
		s.header["X-Amz-Trailer"] = "x-amz-checksum-crc32"
	}
	req := w.request(s, http.MethodPut, "/artifacts/chunked", "")
	_, previous, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")

	mac := func(key []byte, message string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(message))
		return h.Sum(nil)
	}
	key := mac(mac(mac(mac([]byte("AWS4"+secret), "20261123"), region), "s3"), "aws4_request")
	digest := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	sign := func(algorithm, rest string) string {
		previous = hex.EncodeToString(mac(key, algorithm+"\n20261123T120000Z\n20261123/"+region+"/s3/aws4_request\n"+previous+"\n"+rest))
		return previous
	}
	var body bytes.Buffer
	for i := 0; i < len(p.data); i += 65536 {
		part := p.data[i:min(len(p.data), i+65536)]
		fmt.Fprintf(&body, "%x;chunk-signature=%s\r\n%s\r\n", len(part), sign("AWS4-HMAC-SHA256-PAYLOAD", digest(nil)+"\n"+digest(part)), part)
	}
	fmt.Fprintf(&body, "0;chunk-signature=%s\r\n", sign("AWS4-HMAC-SHA256-PAYLOAD", digest(nil)+"\n"+digest(nil)))
	if p.trailer {
		if p.checksum == "" {
			p.checksum = base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(p.data)))
		}
		line := "x-amz-checksum-crc32:" + p.checksum
		fmt.Fprintf(&body, "%s\r\nx-amz-trailer-signature:%s\r\n", line, sign("AWS4-HMAC-SHA256-TRAILER", digest([]byte(line+"\n"))))
	}
	body.WriteString("\r\n")
	raw := body.Bytes()
	if p.tamper != nil {
		raw = p.tamper(raw)
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	req.GetBody = nil
	return do(w, req)
}

func TestSignedChunks(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 14_000)
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
	}
	for name, test := range map[string]struct {
		put    chunkedPut
		status int
		code   string
	}{
		"without a trailer":       {chunkedPut{data: data}, 200, ""},
		"with a trailer":          {chunkedPut{data: data, trailer: true}, 200, ""},
		"empty":                   {chunkedPut{trailer: true}, 200, ""},
		"a changed byte":          {chunkedPut{data: data, tamper: replace("45678", "45679")}, 403, "SignatureDoesNotMatch"},
		"a changed trailer":       {chunkedPut{data: data, trailer: true, tamper: replace("crc32:", "crc32:A")}, 403, "SignatureDoesNotMatch"},
		"a false trailer":         {chunkedPut{data: data, trailer: true, checksum: "AAAAAA=="}, 400, "BadDigest"},
		"a trailer that is none":  {chunkedPut{data: data, trailer: true, checksum: "?"}, 400, "InvalidRequest"},
		"a trailer that is cut":   {chunkedPut{data: data, trailer: true, tamper: replace("x-amz-trailer-signature", "x-amz-trailer")}, 400, "MalformedTrailerError"},
		"less than announced":     {chunkedPut{data: data, announce: 1}, 400, "IncompleteBody"},
		"more than announced":     {chunkedPut{data: data, announce: -1}, 400, "IncompleteBody"},
		"an unsigned chunk":       {chunkedPut{data: data, tamper: replace(";chunk-signature=", ";x=")}, 400, "IncompleteBody"},
		"the last chunk left out": {chunkedPut{data: data, tamper: func(b []byte) []byte { return b[:bytes.LastIndex(b, []byte("0;chunk"))] }}, 400, "IncompleteBody"},
		"chunks in another order": {chunkedPut{data: bytes.Repeat([]byte("01"), 65536), tamper: func(b []byte) []byte {
			half := (len(b) - len("0;chunk-signature=\r\n\r\n") - 64) / 2
			return bytes.Join([][]byte{b[half : 2*half], b[:half], b[2*half:]}, nil)
		}}, 403, "SignatureDoesNotMatch"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			out, status := w.chunked(test.put)
			if status != test.status || test.code != "" && !strings.Contains(out, "<Code>"+test.code+"</Code>") {
				t.Fatalf("expected %d %s, got %d %s", test.status, test.code, status, out)
			}
			if status != http.StatusOK {
				if files := filesIn(t, w.dir); len(files) != 0 {
					t.Errorf("left over: %q", files)
				}
				return
			}
			s := usual()
			s.header = map[string]string{"Accept-Encoding": "identity"} // or the client would decode it
			resp, err := http.DefaultTransport.RoundTrip(w.request(s, http.MethodGet, "/artifacts/chunked", ""))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, test.put.data) || resp.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("%v, read %d bytes of %d, encoding %q", err, len(got), len(test.put.data), resp.Header.Get("Content-Encoding"))
			}
		})
	}
}

// TestTrailingChecksums uses the SDK over TLS, where it sends its checksums
// after a body that is not signed.
func TestTrailingChecksums(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	var sent []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		sent = append(sent, r.Header.Get("X-Amz-Content-Sha256"), r.Header.Get("X-Amz-Trailer"))
		w.mu.Unlock()
		w.s3.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	c := w.client("ALL", func(o *awss3.Options) {
		o.BaseEndpoint, o.HTTPClient = &server.URL, server.Client()
	})
	content := strings.Repeat("0123456789abcdef", 20_000)
	for _, a := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		w.mu.Lock()
		sent = nil
		w.mu.Unlock()
		key := "trailing-" + string(a)
		// Neither length nor content is known before: the body is a stream.
		in := &awss3.PutObjectInput{Bucket: aws.String("artifacts"), Key: &key, Body: io.LimitReader(strings.NewReader(content), 1<<30), ContentLength: aws.Int64(int64(len(content))), ChecksumAlgorithm: a}
		if _, err := c.PutObject(t.Context(), in); err != nil {
			t.Errorf("%s: %v", a, err)
			continue
		}
		w.mu.Lock()
		got := slices.Clone(sent)
		w.mu.Unlock()
		if len(got) != 2 || got[0] != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" || got[1] != "x-amz-checksum-"+strings.ToLower(string(a)) {
			t.Errorf("%s: the SDK sent %q", a, got)
		}
		if read(t, c, "artifacts", key) != content {
			t.Errorf("%s: another content is read", a)
		}
	}
}

// TestConditionKeys allows everything on one condition, which holds or not.
func TestConditionKeys(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		condition string
		method    string
		path      string
		header    map[string]string
		allowed   bool
	}{
		"an address":             {`"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}`, "PUT", "/artifacts/x", nil, true},
		"another address":        {`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`, "PUT", "/artifacts/x", nil, false},
		"TLS":                    {`"Bool":{"aws:SecureTransport":"true"}`, "PUT", "/artifacts/x", nil, true},
		"a client":               {`"StringLike":{"aws:UserAgent":"*probe*"}`, "PUT", "/artifacts/x", map[string]string{"User-Agent": "a probe"}, true},
		"another client":         {`"StringLike":{"aws:UserAgent":"*probe*"}`, "PUT", "/artifacts/x", nil, false},
		"the bucket's tag":       {`"StringEquals":{"aws:ResourceTag/team":"octo"}`, "PUT", "/artifacts/x", nil, true},
		"the same by S3":         {`"StringEquals":{"s3:BucketTag/team":"octo"}`, "PUT", "/artifacts/x", nil, true},
		"a bucket without it":    {`"StringEquals":{"aws:ResourceTag/team":"octo"}`, "PUT", "/releases/x", nil, false},
		"the bucket's account":   {`"StringEquals":{"aws:ResourceAccount":"111111111111","s3:ResourceAccount":"111111111111"}`, "PUT", "/artifacts/x", nil, true},
		"another account":        {`"StringEquals":{"s3:ResourceAccount":"222222222222"}`, "PUT", "/artifacts/x", nil, false},
		"the organization":       {`"StringEquals":{"aws:ResourceOrgID":"o-111111111111"}`, "PUT", "/artifacts/x", nil, true},
		"a region":               {`"StringEquals":{"aws:RequestedRegion":"eu-central-1"}`, "PUT", "/artifacts/x", nil, true},
		"an ACL":                 {`"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}`, "PUT", "/artifacts/x", map[string]string{"X-Amz-Acl": "bucket-owner-full-control"}, true},
		"no ACL":                 {`"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}`, "PUT", "/artifacts/x", nil, false},
		"encryption":             {`"StringEquals":{"s3:x-amz-server-side-encryption":"AES256"}`, "PUT", "/artifacts/x", map[string]string{"X-Amz-Server-Side-Encryption": "AES256"}, true},
		"no encryption":          {`"StringEquals":{"s3:x-amz-server-side-encryption":"AES256"}`, "PUT", "/artifacts/x", nil, false},
		"only what is new":       {`"StringEquals":{"s3:if-none-match":"*"}`, "PUT", "/artifacts/x", map[string]string{"If-None-Match": "*"}, true},
		"what is not new":        {`"StringEquals":{"s3:if-none-match":"*"}`, "PUT", "/artifacts/x", nil, false},
		"a prefix":               {`"StringEquals":{"s3:prefix":"a/","s3:delimiter":"/"},"NumericLessThanEquals":{"s3:max-keys":"10"}`, "GET", "/artifacts?list-type=2&prefix=a%2F&delimiter=%2F&max-keys=10", nil, true},
		"too many keys":          {`"NumericLessThanEquals":{"s3:max-keys":"10"}`, "GET", "/artifacts?list-type=2&max-keys=11", nil, false},
		"another prefix":         {`"StringEquals":{"s3:prefix":"a/"}`, "GET", "/artifacts?list-type=2&prefix=a", nil, false},
		"an empty prefix":        {`"StringEquals":{"s3:prefix":""}`, "GET", "/artifacts?list-type=2&prefix=", nil, true},
		"no prefix":              {`"StringEquals":{"s3:prefix":""}`, "GET", "/artifacts?list-type=2", nil, false},
		"a header's signature":   {`"StringEquals":{"s3:authType":"REST-HEADER","s3:signatureversion":"AWS4-HMAC-SHA256"}`, "PUT", "/artifacts/x", nil, true},
		"a presigned request":    {`"StringEquals":{"s3:authType":"REST-QUERY-STRING"}`, "PUT", "/artifacts/x", nil, false},
		"a body that is signed":  {`"StringNotEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}`, "PUT", "/artifacts/x", nil, true},
		"the time":               {`"DateLessThan":{"aws:CurrentTime":"2026-11-23T12:00:01Z"}`, "PUT", "/artifacts/x", nil, true},
		"a tag of the session":   {`"StringEquals":{"aws:PrincipalTag/team":"${aws:ResourceTag/team}"}`, "PUT", "/artifacts/x", nil, true},
		"another of the session": {`"StringEquals":{"aws:PrincipalTag/team":"other"}`, "PUT", "/artifacts/x", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.session("ONE", "one", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{`+test.condition+`}}}`, "team", "octo", "job_workflow_ref", workflow)
			s := usual()
			s.key, s.header = "ONE", test.header
			out, status := do(t, w.request(s, test.method, test.path, ""))
			if allowed := status == http.StatusOK; allowed != test.allowed || !allowed && !strings.Contains(out, "no identity-based policy allows") {
				t.Errorf("%d %s", status, out)
			}
			told := w.told()
			if len(told) == 0 || told[0].Allowed != test.allowed || told[0].Reason == "" || !told[0].Time.Equal(start) || len(told[0].Result.Layers) == 0 {
				t.Errorf("decisions %+v", told)
			}
		})
	}
}

// TestWhoMayListIsTold: what is not there is called so to those who may list.
func TestWhoMayListIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := usual()
	if out, status := do(t, w.request(s, http.MethodGet, "/artifacts/none", "")); status != http.StatusNotFound || !strings.Contains(out, "<Code>NoSuchKey</Code>") || !strings.Contains(out, "<Key>none</Key>") {
		t.Errorf("%d %s", status, out)
	}
	s.key = "COMMIT"
	out, status := do(t, w.request(s, http.MethodGet, "/artifacts/octo-org/octo-repo/0a1b2c/none", ""))
	if status != http.StatusForbidden || !strings.Contains(out, "not authorized to perform: s3:ListBucket on resource: &quot;arn:aws:s3:::artifacts&quot;") {
		t.Errorf("%d %s", status, out)
	}
	told := w.told()
	if last := told[len(told)-1]; last.Action != "s3:ListBucket" || last.Operation != "GetObject" || last.Allowed || last.Denied != "identity" {
		t.Errorf("%+v", last)
	}
	// An ACL takes a permission of its own.
	w.session("PUT", "put", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}}`)
	s.key, s.header = "PUT", map[string]string{"X-Amz-Acl": "bucket-owner-full-control"}
	if out, status := do(t, w.request(s, http.MethodPut, "/artifacts/x", "x")); status != http.StatusForbidden || !strings.Contains(out, "s3:PutObjectAcl") {
		t.Errorf("%d %s", status, out)
	}
	// So does writing on condition of an entity tag.
	s.header = map[string]string{"If-Match": `"0"`}
	if out, status := do(t, w.request(s, http.MethodPut, "/artifacts/x", "x")); status != http.StatusForbidden || !strings.Contains(out, "s3:GetObject") {
		t.Errorf("%d %s", status, out)
	}
	// A session that has ended has ended here too.
	w.now = func() time.Time { return start.Add(time.Hour) }
	s = usual()
	s.at = w.now()
	if out, status := do(t, w.request(s, http.MethodGet, "/artifacts/none", "")); status != http.StatusBadRequest || !strings.Contains(out, "<Code>ExpiredToken</Code>") {
		t.Errorf("%d %s", status, out)
	}
}
