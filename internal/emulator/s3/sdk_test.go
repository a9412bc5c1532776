package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/stint-dev/stint/internal/emulator/s3"
)

// code is the code of an error of the service.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func put(t testing.TB, c *awss3.Client, bucket, key, content string) {
	t.Helper()
	if _, err := c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(content)}); err != nil {
		t.Fatalf("putting %q: %v", key, err)
	}
}

func read(t testing.TB, c *awss3.Client, bucket, key string) string {
	t.Helper()
	out, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatalf("getting %q: %v", key, err)
	}
	defer func() { _ = out.Body.Close() }()
	raw, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// oddKeys are keys that would be trouble as paths.
var oddKeys = []string{
	"a", "a/b", "a/b/", "../x", "../../../../etc/passwd", "..", ".", "/", "//", "a//b", "/absolute", "C:\\x", "a\x00b", "\x01", "a\nb", "a b", "a+b", "a%2Fb", "%", "a?b", "a#b", "a&b=c;d",
	"ünïcödé", "\U0001F600", "*", "?", "${aws:username}", "<key>&amp;", "\uFFFD", "\uFFFE", ".json", strings.Repeat("k", 1024), strings.Repeat("d/", 512),
}

func TestKeysAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	c := w.client("ALL")
	for _, key := range oddKeys {
		put(t, c, "artifacts", key, "content of "+key)
	}
	w.open() // what is on disk is found again
	var listed []string
	pages := awss3.NewListObjectsV2Paginator(c, &awss3.ListObjectsV2Input{Bucket: aws.String("artifacts"), EncodingType: types.EncodingTypeUrl, MaxKeys: aws.Int32(7)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			listed = append(listed, unescape(t, *o.Key))
		}
	}
	want := slices.Sorted(slices.Values(oddKeys))
	if !slices.Equal(listed, want) {
		t.Errorf("listed %q\nwant %q", listed, want)
	}
	for _, key := range oddKeys {
		if got := read(t, c, "artifacts", key); got != "content of "+key {
			t.Errorf("%q has %q", key, got)
		}
	}
	for i, key := range oddKeys {
		if _, err := c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String("artifacts"), Key: &key}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String("artifacts"), Key: &key}); code(err) != "NotFound" {
			t.Errorf("%q after it is deleted: %v", key, err)
		}
		if i+1 < len(oddKeys) && read(t, c, "artifacts", oddKeys[i+1]) == "" {
			t.Errorf("deleting %q took %q along", key, oddKeys[i+1])
		}
	}
	if files := filesIn(t, w.dir); len(files) != 0 {
		t.Errorf("left over: %q", files)
	}
}

// TestChecksums puts an object with each checksum of the SDK, over plain HTTP
// as a header and signed chunks, over a stream as a trailer.
func TestChecksums(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	content := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	for _, a := range []types.ChecksumAlgorithm{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		t.Run("with "+string(a), func(t *testing.T) {
			c := w.client("ALL")
			in := &awss3.PutObjectInput{Bucket: aws.String("artifacts"), Key: aws.String("sum-" + string(a)), Body: bytes.NewReader(content), ChecksumAlgorithm: a, Metadata: map[string]string{"run-id": "42"}, ContentType: aws.String("text/x-test"), CacheControl: aws.String("no-cache")}
			if _, err := c.PutObject(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			out, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: in.Bucket, Key: in.Key, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = out.Body.Close() }()
			// The SDK compares the checksum that came with what it reads.
			raw, err := io.ReadAll(out.Body)
			if err != nil || !bytes.Equal(raw, content) {
				t.Errorf("read %d bytes, %v", len(raw), err)
			}
			if out.Metadata["run-id"] != "42" || *out.ContentType != "text/x-test" || *out.CacheControl != "no-cache" || out.ContentEncoding != nil {
				t.Errorf("metadata %v, type %s, cache %s, encoding %v", out.Metadata, *out.ContentType, *out.CacheControl, out.ContentEncoding)
			}
			if out.ChecksumType != types.ChecksumTypeFullObject {
				t.Errorf("no checksum came back: %+v", out)
			}
		})
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	c := w.client("ALL")
	for _, key := range []string{"a", "a!", "a/1", "a/2", "a/b/3", "a0", "b/1", "b/2", "c"} {
		put(t, c, "artifacts", key, key)
	}
	for _, test := range []struct {
		name                    string
		prefix, delimiter, from string
		most                    int32
		want                    string // objects and [prefixes], pages divided by |
	}{
		{name: "all", want: "a a! a/1 a/2 a/b/3 a0 b/1 b/2 c"},
		{name: "pages", most: 4, want: "a a! a/1 a/2|a/b/3 a0 b/1 b/2|c"},
		{name: "folders", delimiter: "/", want: "a a! a0 c [a/] [b/]"},
		{name: "folders in pages", delimiter: "/", most: 1, want: "a|a!|[a/]|a0|[b/]|c"},
		{name: "in a folder", prefix: "a/", delimiter: "/", want: "a/1 a/2 [a/b/]"},
		{name: "a prefix that is no folder", prefix: "a", delimiter: "/", want: "a a! a0 [a/]"},
		{name: "after a key", from: "a/2", want: "a/b/3 a0 b/1 b/2 c"},
		{name: "after a key in a folder", from: "a/2", delimiter: "/", want: "a0 c [a/] [b/]"},
		{name: "after what is no key", from: "az", prefix: "a", want: ""},
		{name: "a long delimiter", delimiter: "/b/", want: "a a! a/1 a/2 a0 b/1 b/2 c [a/b/]"},
		{name: "no such prefix", prefix: "z", want: ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &awss3.ListObjectsV2Input{Bucket: aws.String("artifacts")}
			if test.prefix != "" {
				in.Prefix = &test.prefix
			}
			if test.delimiter != "" {
				in.Delimiter = &test.delimiter
			}
			if test.from != "" {
				in.StartAfter = &test.from
			}
			if test.most != 0 {
				in.MaxKeys = &test.most
			}
			var pages []string
			paginator := awss3.NewListObjectsV2Paginator(c, in)
			for paginator.HasMorePages() {
				page, err := paginator.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				var entries []string
				for _, o := range page.Contents {
					entries = append(entries, *o.Key)
					if *o.Size != int64(len(*o.Key)) {
						t.Errorf("%s has %d bytes", *o.Key, *o.Size)
					}
				}
				for _, p := range page.CommonPrefixes {
					entries = append(entries, "["+*p.Prefix+"]")
				}
				if int(*page.KeyCount) != len(entries) {
					t.Errorf("KeyCount is %d of %q", *page.KeyCount, entries)
				}
				pages = append(pages, strings.Join(entries, " "))
			}
			if got := strings.Join(pages, "|"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	out, err := c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("artifacts"), MaxKeys: aws.Int32(0)})
	if err != nil || *out.KeyCount != 0 || *out.IsTruncated {
		t.Errorf("no keys at all: %v %+v", err, out)
	}
}

func TestConditionsAndRanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	c := w.client("ALL")
	bucket, key := aws.String("artifacts"), aws.String("lock")
	first, err := c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("0123456789"), IfNoneMatch: aws.String("*")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("other"), IfNoneMatch: aws.String("*")})
	if code(err) != "PreconditionFailed" {
		t.Errorf("a second put: %v", err)
	}
	_, err = c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("other"), IfMatch: aws.String(`"0000"`)})
	if code(err) != "PreconditionFailed" {
		t.Errorf("a put over another content: %v", err)
	}
	_, err = c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("none"), Body: strings.NewReader("other"), IfMatch: first.ETag})
	if code(err) != "NoSuchKey" {
		t.Errorf("a put over nothing: %v", err)
	}
	if read(t, c, "artifacts", "lock") != "0123456789" {
		t.Error("a refused put left its content")
	}
	_, err = c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: bucket, Key: key, IfMatch: aws.String(`"0000"`)})
	if code(err) != "PreconditionFailed" {
		t.Errorf("deleting another content: %v", err)
	}
	for name, test := range map[string]struct {
		change     func(*awss3.GetObjectInput)
		want, code string
		part       string
	}{
		"a match":            {change: func(in *awss3.GetObjectInput) { in.IfMatch = first.ETag }, want: "0123456789"},
		"no match":           {change: func(in *awss3.GetObjectInput) { in.IfMatch = aws.String(`"0000"`) }, code: "PreconditionFailed"},
		"not another":        {change: func(in *awss3.GetObjectInput) { in.IfNoneMatch = first.ETag }, code: "NotModified"},
		"modified since":     {change: func(in *awss3.GetObjectInput) { in.IfModifiedSince = aws.Time(time.Now().Add(-time.Hour)) }, want: "0123456789"},
		"not modified since": {change: func(in *awss3.GetObjectInput) { in.IfModifiedSince = aws.Time(time.Now().Add(time.Hour)) }, code: "NotModified"},
		"unmodified since":   {change: func(in *awss3.GetObjectInput) { in.IfUnmodifiedSince = aws.Time(time.Now().Add(-time.Hour)) }, code: "PreconditionFailed"},
		"a range":            {change: func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=2-4") }, want: "234", part: "bytes 2-4/10"},
		"from":               {change: func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=7-") }, want: "789", part: "bytes 7-9/10"},
		"the last":           {change: func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=-4") }, want: "6789", part: "bytes 6-9/10"},
		"more than all":      {change: func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=-99") }, want: "0123456789", part: "bytes 0-9/10"},
		"beyond":             {change: func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=10-") }, code: "InvalidRange"},
		"the last none":      {change: func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=-0") }, code: "InvalidRange"},
		"several":            {change: func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=0-1,3-4") }, want: "0123456789"},
		"backwards":          {change: func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=4-2") }, want: "0123456789"},
		"no range":           {change: func(in *awss3.GetObjectInput) { in.Range = aws.String("lines=1-2") }, want: "0123456789"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &awss3.GetObjectInput{Bucket: bucket, Key: key}
			test.change(in)
			out, err := c.GetObject(t.Context(), in)
			if code(err) != test.code && !(test.code == "NotModified" && err != nil && strings.Contains(err.Error(), "StatusCode: 304")) {
				t.Fatalf("%v", err)
			}
			if err != nil {
				return
			}
			defer func() { _ = out.Body.Close() }()
			raw, err := io.ReadAll(out.Body)
			if err != nil || string(raw) != test.want || aws.ToString(out.ContentRange) != test.part {
				t.Errorf("%v %q %q", err, raw, aws.ToString(out.ContentRange))
			}
		})
	}
}

// TestPresigned uses requests that the SDK presigned, with headers in the query.
func TestPresigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := awss3.NewPresignClient(w.client("ALL"), func(o *awss3.PresignOptions) {
		o.Presigner = at{v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), func() time.Time { return w.now() }}
		o.Expires = time.Hour
	})
	w.change("ALL", func(s *s3.Session) { s.Expires = start.Add(24 * time.Hour) })
	signed, err := c.PresignPutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("artifacts"), Key: aws.String("a b"), Metadata: map[string]string{"x": "y"}, ExpectedBucketOwner: aws.String(account)})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, url, body string, header http.Header) (string, int) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range header {
			if name != "Host" && name != "Content-Length" {
				req.Header[name] = values
			}
		}
		return do(t, req)
	}
	if out, status := send(signed.Method, signed.URL, "content", signed.SignedHeader); status != http.StatusOK {
		t.Fatalf("%d %s %v", status, out, signed)
	}
	if out, status := send(signed.Method, strings.Replace(signed.URL, account, stranger, 1), "content", signed.SignedHeader); status != http.StatusForbidden || !strings.Contains(out, "SignatureDoesNotMatch") {
		t.Errorf("another owner: %d %s", status, out)
	}
	more := signed.SignedHeader.Clone()
	more.Set("X-Amz-Acl", "bucket-owner-full-control")
	if out, status := send(signed.Method, signed.URL, "content", more); status != http.StatusForbidden || !strings.Contains(out, "not signed") {
		t.Errorf("a header more: %d %s", status, out)
	}
	read, err := c.PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("artifacts"), Key: aws.String("a b"), ResponseContentType: aws.String("text/plain")})
	if err != nil {
		t.Fatal(err)
	}
	if out, status := get(t, read.URL); status != http.StatusOK || out != "content" {
		t.Errorf("%d %s", status, out)
	}
	for name, now := range map[string]time.Time{"Request has expired": start.Add(time.Hour + time.Second), "Request is not valid yet": start.Add(-16 * time.Minute)} {
		w.now = func() time.Time { return now }
		if out, status := get(t, read.URL); status != http.StatusForbidden || !strings.Contains(out, name) {
			t.Errorf("%s: %d %s", name, status, out)
		}
	}
	if told := w.told(); len(told) == 0 || !slices.ContainsFunc(told, func(d s3.Decision) bool { return d.Action == "s3:GetObject" && d.Allowed }) {
		t.Errorf("decisions: %+v", told)
	}
}

// at signs at a time of its own.
type at struct {
	signer *v4.Signer
	now    func() time.Time
}

// PresignHTTP signs at that time.
func (a at) PresignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, payload, service, region string, _ time.Time, options ...func(*v4.SignerOptions)) (string, http.Header, error) {
	return a.signer.PresignHTTP(ctx, c, r, payload, service, region, a.now(), options...)
}

func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	all := w.client("ALL")
	put(t, all, "artifacts", "octo-org/octo-repo/0a1b2c/x", "mine")
	put(t, all, "artifacts", "octo-org/other/0a1b2c/x", "theirs")
	out, err := w.client("COMMIT").DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String("artifacts"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("octo-org/octo-repo/0a1b2c/x")}, {Key: aws.String("octo-org/other/0a1b2c/x")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Deleted) != 1 || len(out.Errors) != 1 || *out.Errors[0].Code != "AccessDenied" || *out.Errors[0].Key != "octo-org/other/0a1b2c/x" {
		t.Errorf("%+v %+v", out.Deleted, out.Errors)
	}
	if read(t, all, "artifacts", "octo-org/other/0a1b2c/x") != "theirs" {
		t.Error("a denied delete deleted")
	}
	for name, objects := range map[string][]types.ObjectIdentifier{
		"NotImplemented": {{Key: aws.String("x"), VersionId: aws.String("v")}},
		"MalformedXML":   slices.Repeat([]types.ObjectIdentifier{{Key: aws.String("x")}}, 1001),
	} {
		_, err := all.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String("artifacts"), Delete: &types.Delete{Objects: objects}})
		if code(err) != name {
			t.Errorf("expected %s, got %v", name, err)
		}
	}
}
