package s3

import (
	"net/http"
	"slices"
	"strings"
)

// metaPrefix begins the names of the headers with a user's own metadata.
const metaPrefix = "x-amz-meta-"

type target int

const (
	ofService target = iota
	ofBucket
	ofObject
)

// operation is one that the emulator has. Parameters and x-amz- headers that
// it does not name are refused: each would change what it does.
type operation struct {
	name       string
	method     string
	target     target
	marker     string // the parameter that tells it from others of its method
	parameters []string
	headers    []string
	serve      func(*call) *fault
}

func operations() []operation {
	overrides := []string{"response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type", "response-expires"}
	return []operation{
		{name: "ListBuckets", method: http.MethodGet, target: ofService, serve: (*call).listBuckets},
		{name: "HeadBucket", method: http.MethodHead, target: ofBucket, serve: (*call).headBucket},
		{
			name: "ListObjectsV2", method: http.MethodGet, target: ofBucket, marker: "list-type", serve: (*call).listObjects,
			parameters: []string{"prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "fetch-owner"},
		},
		{
			name: "DeleteObjects", method: http.MethodPost, target: ofBucket, marker: "delete", serve: (*call).deleteObjects,
			headers: []string{"x-amz-sdk-checksum-algorithm", checksumPrefix + "*"},
		},
		{name: "HeadObject", method: http.MethodHead, target: ofObject, parameters: overrides, headers: []string{"x-amz-checksum-mode"}, serve: (*call).getObject},
		{name: "GetObject", method: http.MethodGet, target: ofObject, parameters: overrides, headers: []string{"x-amz-checksum-mode"}, serve: (*call).getObject},
		{
			name: "PutObject", method: http.MethodPut, target: ofObject, serve: (*call).putObject,
			headers: []string{
				"x-amz-acl", "x-amz-decoded-content-length", "x-amz-sdk-checksum-algorithm", "x-amz-server-side-encryption", "x-amz-storage-class", "x-amz-trailer",
				checksumPrefix + "*", metaPrefix + "*",
			},
		},
		{name: "DeleteObject", method: http.MethodDelete, target: ofObject, serve: (*call).deleteObject},
	}
}

// find is the operation that a request asks for.
func (c *call) find() (operation, *fault) {
	t := ofObject
	switch {
	case c.bucketName == "":
		t = ofService
	case c.key == "":
		t = ofBucket
	}
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete}
	if !slices.Contains(methods, c.request.Method) {
		return operation{}, notAllowed(c.request.Method)
	}
	if slices.ContainsFunc([]string{"uploads", "uploadId", "partNumber"}, c.query.has) {
		return operation{}, notImplemented("multipart uploads: an object is put in one request of at most 64 MiB, so raise the client's threshold, such as by: aws configure set default.s3.multipart_threshold 64MB")
	}
	for _, op := range operations() {
		if op.method == c.request.Method && op.target == t && (op.marker == "" || c.query.has(op.marker)) {
			return op, nil
		}
	}
	what := [...]string{ofService: "the service", ofBucket: "a bucket", ofObject: "an object"}[t]
	hint := ""
	switch {
	case t == ofBucket && c.request.Method == http.MethodGet:
		hint = " without list-type=2"
	case t == ofBucket && (c.request.Method == http.MethodPut || c.request.Method == http.MethodDelete):
		hint = ": buckets are those that it is started with"
	}
	return operation{}, notImplemented(c.request.Method + " of " + what + hint)
}

// check refuses what the operation does not know.
func (op operation) check(c *call) *fault {
	for _, p := range c.query {
		lower := strings.ToLower(p.name)
		known := p.name == "x-id" || p.name == op.marker || slices.Contains(op.parameters, p.name) || strings.HasPrefix(lower, "x-amz-")
		if !known {
			return notImplemented(op.name + " with the parameter " + clip(p.name))
		}
	}
	common := []string{"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-user-agent", "x-amz-expected-bucket-owner"}
	for name := range c.header {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "x-amz-") || slices.Contains(common, lower) {
			continue
		}
		known := slices.ContainsFunc(op.headers, func(h string) bool {
			prefix, open := strings.CutSuffix(h, "*")
			return h == lower || open && strings.HasPrefix(lower, prefix)
		})
		if !known {
			return notImplemented(op.name + " with the header " + clip(lower))
		}
	}
	return nil
}
