package s3_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what S3 takes
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/emulator/s3"
)

// TestRefused asks for what the emulator does not do. Each is refused, and not
// done in part.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	c := w.client("ALL")
	put(t, c, "artifacts", "x", "x")
	bucket, key := aws.String("artifacts"), aws.String("x")
	for name, test := range map[string]struct {
		code string
		do   func(ctx context.Context) error
	}{
		"multipart": {"NotImplemented", func(ctx context.Context) error {
			_, err := c.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
			return err
		}},
		"copy": {"NotImplemented", func(ctx context.Context) error {
			_, err := c.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: bucket, Key: aws.String("y"), CopySource: aws.String("artifacts/x")})
			return err
		}},
		"tags": {"NotImplemented", func(ctx context.Context) error {
			_, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("y"), Tagging: aws.String("a=b")})
			return err
		}},
		"encryption": {"NotImplemented", func(ctx context.Context) error {
			_, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("y"), ServerSideEncryption: types.ServerSideEncryptionAwsKms})
			return err
		}},
		"an ACL": {"AccessControlListNotSupported", func(ctx context.Context) error {
			_, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("y"), ACL: types.ObjectCannedACLPublicRead})
			return err
		}},
		"a version": {"NotImplemented", func(ctx context.Context) error {
			_, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: aws.String("1")})
			return err
		}},
		"an ACL's write": {"NotImplemented", func(ctx context.Context) error {
			_, err := c.PutObjectAcl(ctx, &awss3.PutObjectAclInput{Bucket: bucket, Key: key, ACL: types.ObjectCannedACLPrivate})
			return err
		}},
		"a new bucket": {"NotImplemented", func(ctx context.Context) error {
			_, err := c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("other")})
			return err
		}},
		"the old listing": {"NotImplemented", func(ctx context.Context) error {
			_, err := c.ListObjects(ctx, &awss3.ListObjectsInput{Bucket: bucket})
			return err
		}},
		"another region": {"AuthorizationHeaderMalformed", func(ctx context.Context) error {
			_, err := c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("elsewhere")})
			return err
		}},
		"another owner": {"AccessDenied", func(ctx context.Context) error {
			_, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: bucket, Key: key, ExpectedBucketOwner: aws.String(stranger)})
			return err
		}},
		"a key of 1025 bytes": {"KeyTooLongError", func(ctx context.Context) error {
			_, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: aws.String(strings.Repeat("k", 1025))})
			return err
		}},
		"much metadata": {"MetadataTooLarge", func(ctx context.Context) error {
			_, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("y"), Metadata: map[string]string{"a": strings.Repeat("b", 2048)}})
			return err
		}},
		"a large object": {"EntityTooLarge", func(ctx context.Context) error {
			_, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("y"), Body: bytes.NewReader(make([]byte, s3.MaxObjectSize+1))})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.do(t.Context()); code(err) != test.code {
				t.Errorf("expected %s, got %v", test.code, err)
			}
		})
	}
	if read(t, c, "artifacts", "x") != "x" {
		t.Error("a refused request changed an object")
	}
	out, err := c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: bucket})
	if err != nil || len(out.Contents) != 1 {
		t.Errorf("refused requests left objects: %v %+v", err, out)
	}
}

// TestAccounts shows that another account's bucket takes the allow of both
// sides, and that its refusal says no more than that it refuses.
func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	w.sessionOf(stranger, "PARTNER", "partner", everything, "job_workflow_ref", workflow)
	w.sessionOf(stranger, "POOR", "partner", "", "job_workflow_ref", workflow)
	w.sessionOf(stranger, "OUTSIDER", "outsider", everything)
	put(t, w.client("ALL"), "shared", "app", "app")
	if read(t, w.client("PARTNER"), "shared", "app") != "app" {
		t.Error("the partner reads something else")
	}
	for _, id := range []string{"POOR", "OUTSIDER"} {
		_, err := w.client(id).GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("shared"), Key: aws.String("app")})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "AccessDenied" || api.ErrorMessage() != "Access Denied" {
			t.Errorf("%s: %v", id, err)
		}
	}
	w.told()
	_, err := w.client("OUTSIDER").GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("shared"), Key: aws.String("app")})
	told := w.told()
	if code(err) != "AccessDenied" || len(told) != 1 || told[0].Allowed || told[0].Denied != iam.LayerResource || told[0].Operation != "GetObject" ||
		told[0].Caller != "arn:aws:sts::222222222222:assumed-role/outsider/job" || told[0].Resource != "arn:aws:s3:::shared/app" || told[0].RequestID == "" {
		t.Errorf("%v %+v", err, told)
	}
}

// TestOrganization: within an organization a refusal says why, across accounts
// as well.
func TestOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.realTime()
	w.sessionOf(stranger, "COLLEAGUE", "colleague", everything)
	w.change("COLLEAGUE", func(s *s3.Session) { s.Expires, s.Caller.OrgID = time.Time{}, "o-"+account })
	_, err := w.client("COLLEAGUE").GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("shared"), Key: aws.String("app")})
	var api smithy.APIError
	want := `User: arn:aws:sts::222222222222:assumed-role/colleague/job is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::shared/app" because no resource-based policy allows the s3:GetObject action`
	if !errors.As(err, &api) || api.ErrorMessage() != want {
		t.Errorf("expected %s, got %v", want, err)
	}
}

// TestOtherPolicies: what bounds a session bounds it here, and is named.
func TestOtherPolicies(t *testing.T) {
	t.Parallel()
	deny := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}}`
	reading := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}`
	for name, test := range map[string]struct {
		change func(*iam.Policies, iam.NamedPolicy)
		policy string
		words  string
		layer  iam.LayerKind
	}{
		"an identity policy that denies": {func(p *iam.Policies, n iam.NamedPolicy) { p.Identity = append(p.Identity, n) }, deny, "with an explicit deny in an identity-based policy", iam.LayerIdentity},
		"a boundary":                     {func(p *iam.Policies, n iam.NamedPolicy) { p.Boundary = &n }, reading, "because no permissions boundary allows the s3:PutObject action", iam.LayerBoundary},
		"a session policy":               {func(p *iam.Policies, n iam.NamedPolicy) { p.Session = []iam.NamedPolicy{n} }, reading, "because no session policy allows the s3:PutObject action", iam.LayerSession},
		"a session policy that denies":   {func(p *iam.Policies, n iam.NamedPolicy) { p.Session = []iam.NamedPolicy{n} }, deny, "with an explicit deny in a session policy", iam.LayerSession},
		"a service control policy":       {func(p *iam.Policies, n iam.NamedPolicy) { p.ServiceControl = [][]iam.NamedPolicy{{n}} }, reading, "because no service control policy allows the s3:PutObject action", iam.LayerServiceControl},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.change("ALL", func(s *s3.Session) {
				test.change(&s.Caller.Policies, iam.NamedPolicy{Name: "bound", Policy: policy(t, test.policy)})
			})
			out, status := do(t, w.request(usual(), http.MethodPut, "/artifacts/x", "x"))
			if status != http.StatusForbidden || !strings.Contains(out, test.words) {
				t.Errorf("%d %s", status, out)
			}
			if told := w.told(); len(told) != 1 || told[0].Denied != test.layer || told[0].Allowed {
				t.Errorf("%+v", told)
			}
		})
	}
}

// TestDeleteObjectsIsStrict sends lists that the SDK would not.
func TestDeleteObjectsIsStrict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const list = `<Delete><Object><Key>x</Key></Object></Delete>`
	for name, test := range map[string]struct {
		body   string
		header map[string]string
		code   string
	}{
		"as it should be":  {list, map[string]string{"Content-Md5": md5Of(list)}, "<DeleteResult"},
		"without a digest": {list, nil, "<Code>InvalidRequest</Code>"},
		"a false digest":   {list, map[string]string{"Content-Md5": md5Of("")}, "<Code>BadDigest</Code>"},
		"no XML":           {"x", map[string]string{"Content-Md5": md5Of("x")}, "<Code>MalformedXML</Code>"},
		"nothing":          {"<Delete/>", map[string]string{"Content-Md5": md5Of("<Delete/>")}, "<Code>MalformedXML</Code>"},
	} {
		t.Run(name, func(t *testing.T) {
			s := usual()
			s.header = test.header
			if out, status := do(t, w.request(s, http.MethodPost, "/artifacts?delete", test.body)); !strings.Contains(out, test.code) {
				t.Errorf("expected %s, got %d %s", test.code, status, out)
			}
		})
	}
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // what S3 takes
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestHeaders sends what the SDK does not.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := usual()
	s.header = map[string]string{"Content-Type": "text/html"}
	if out, status := do(t, w.request(s, http.MethodPut, "/artifacts/x", "0123456789")); status != http.StatusOK {
		t.Fatal(status, out)
	}
	const etag = `"781e5e245d69b566979b86e28d23f2c7"` // MD5 of 0123456789
	for name, test := range map[string]struct {
		method, path string
		header       map[string]string
		status       int
		want         string // the content, or the code
		name, value  string // of a header of the answer
	}{
		"as it is":                 {"GET", "", nil, 200, "0123456789", "Content-Type", "text/html"},
		"its entity tag":           {"GET", "", nil, 200, "0123456789", "Etag", etag},
		"a part of the same":       {"GET", "", map[string]string{"Range": "bytes=0-1", "If-Range": etag}, 206, "01", "Content-Range", "bytes 0-1/10"},
		"a part of another":        {"GET", "", map[string]string{"Range": "bytes=0-1", "If-Range": `"0"`}, 200, "0123456789", "Content-Range", ""},
		"another type":             {"GET", "?response-content-type=text%2Fplain", nil, 200, "0123456789", "Content-Type", "text/plain"},
		"a header split":           {"GET", "?response-content-type=a%0D%0AX-Evil:%20b", nil, 200, "0123456789", "X-Evil", ""},
		"a body where none is":     {"DELETE", "", nil, 400, "UnexpectedContent", "", ""},
		"metadata that is no text": {"PUT", "", map[string]string{"X-Amz-Meta-A": "\xff"}, 400, "InvalidArgument", "", ""},
		"a parameter as a header":  {"GET", "?X-Amz-Acl=private", nil, 400, "InvalidArgument", "", ""},
		"a part of a PUT":          {"PUT", "", map[string]string{"Content-Range": "bytes 0-1/2"}, 501, "NotImplemented", "", ""},
		"a PUT of what is there":   {"PUT", "", map[string]string{"If-None-Match": `"0"`}, 501, "NotImplemented", "", ""},
		"a DELETE of what is not":  {"DELETE", "", map[string]string{"If-None-Match": "*"}, 501, "NotImplemented", "", ""},
		"a version":                {"GET", "?versionId=1", nil, 501, "NotImplemented", "", ""},
		"a part":                   {"GET", "?partNumber=1", nil, 501, "multipart_threshold", "", ""},
		"a method":                 {"PATCH", "", nil, 405, "MethodNotAllowed", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := usual()
			s.header = test.header
			body := ""
			if test.want == "UnexpectedContent" {
				body = "x"
			}
			resp, err := http.DefaultTransport.RoundTrip(w.request(s, test.method, "/artifacts/x"+test.path, body))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			var got bytes.Buffer
			if _, err := got.ReadFrom(resp.Body); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status || !strings.Contains(got.String(), test.want) || test.name != "" && resp.Header.Get(test.name) != test.value {
				t.Errorf("%d %v %s", resp.StatusCode, resp.Header, got.String())
			}
			if resp.Header.Get("X-Amz-Request-Id") == "" || resp.Header.Get("X-Amz-Id-2") == "" {
				t.Errorf("an answer without ids: %v", resp.Header)
			}
		})
	}
	if out, status := do(t, w.request(usual(), http.MethodGet, "/artifacts/x", "")); status != http.StatusOK || out != "0123456789" {
		t.Errorf("afterwards: %d %s", status, out)
	}
}
