package s3

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxMetadata is what a user's metadata may take, names and values together.
	maxMetadata = 2048
	// maxKeptHeaders is the same for Content-Type and the like.
	maxKeptHeaders = 8192

	defaultContentType = "binary/octet-stream"
)

// keptHeaders are those that come back with an object.
func keptHeaders() []string {
	return []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires"}
}

func noSuchKey(key string) *fault {
	return newFault(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.").with("Key", key)
}

// putObject answers PutObject.
func (c *call) putObject() *fault {
	keys := map[string]string{}
	for _, name := range []string{"if-match", "if-none-match"} {
		if v := c.header.Get(name); v != "" {
			keys["s3:"+name] = v
		}
	}
	if f := c.authorize("s3:PutObject", c.objectARN(c.key), keys); f != nil {
		return f
	}
	if f := c.accessControl(); f != nil {
		return f
	}
	o := &object{Bucket: c.bucketName, Key: c.key, Modified: c.now.UTC(), Metadata: map[string]string{}, Header: map[string]string{}}
	if f := c.describe(o); f != nil {
		return f
	}
	condition, f := c.mayWrite()
	if f != nil {
		return f
	}
	p, f := c.payload(MaxObjectSize)
	if f != nil {
		return f
	}
	up, f := c.s.store.begin(p.size)
	if f != nil {
		return f
	}
	defer up.abandon()
	r, f := p.receive(up)
	if f != nil {
		return f
	}
	o.Size, o.ETag, o.Sum, o.Checksum = r.size, hex.EncodeToString(r.md5[:]), r.algorithm, r.checksum
	if f := up.commit(o, condition); f != nil {
		return f
	}
	h := c.w.Header()
	h.Set("Etag", quote(o.ETag))
	setChecksum(h, o)
	h.Set("X-Amz-Server-Side-Encryption", "AES256")
	h.Set("Content-Length", "0")
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// accessControl handles an ACL as a bucket does that has none: the owner may
// be given what it has anyway, and that needs a permission of its own.
func (c *call) accessControl() *fault {
	switch acl := c.header.Get("X-Amz-Acl"); acl {
	case "":
		return nil
	case "bucket-owner-full-control":
		return c.authorize("s3:PutObjectAcl", c.objectARN(c.key), nil)
	default:
		return badRequest("AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
}

// describe takes over what the headers say of an object.
func (c *call) describe(o *object) *fault {
	if v := c.header.Get("X-Amz-Server-Side-Encryption"); v != "" && v != "AES256" {
		return notImplemented("the encryption " + clip(v) + ": only AES256, in name")
	}
	if v := c.header.Get("X-Amz-Storage-Class"); v != "" && v != "STANDARD" {
		return notImplemented("the storage class " + clip(v) + ": only STANDARD")
	}
	if c.header.Get("Content-Range") != "" {
		return notImplemented("PutObject with the header content-range")
	}
	size := 0
	for name, values := range c.header {
		if key, ok := strings.CutPrefix(strings.ToLower(name), metaPrefix); ok {
			o.Metadata[key] = strings.Join(values, ",")
			size += len(key) + len(o.Metadata[key])
		}
	}
	if size > maxMetadata {
		return badRequest("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size").with("Size", strconv.Itoa(size)).with("MaxSizeAllowed", strconv.Itoa(maxMetadata))
	}
	size = 0
	for _, name := range keptHeaders() {
		value := strings.Join(c.header.Values(name), ",")
		if name == "Content-Encoding" {
			value = withoutChunked(value)
		}
		if value != "" {
			o.Header[name] = value
			size += len(value)
		}
	}
	for _, kept := range []map[string]string{o.Metadata, o.Header} {
		for name, value := range kept {
			if !utf8.ValidString(value) {
				return invalidArgument(name, value, "Header values must be UTF-8.")
			}
		}
	}
	if size > maxKeptHeaders {
		return badRequest("RequestHeaderSectionTooLarge", "Your request header section exceeds the maximum allowed request header section size.").with("MaxSizeAllowed", strconv.Itoa(maxKeptHeaders))
	}
	if o.Header["Content-Type"] == "" {
		o.Header["Content-Type"] = defaultContentType
	}
	return nil
}

// withoutChunked takes aws-chunked out of the codings: it is one of the
// request, not of the object.
func withoutChunked(codings string) string {
	var kept []string
	for coding := range strings.SplitSeq(codings, ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "aws-chunked") {
			kept = append(kept, coding)
		}
	}
	return strings.Join(kept, ",")
}

func setChecksum(h http.Header, o *object) {
	if a, ok := findAlgorithm(o.Sum); ok {
		h.Set(a.header(), o.Checksum)
		h.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
}

// getObject answers GetObject and HeadObject.
func (c *call) getObject() *fault {
	if f := c.authorize("s3:GetObject", c.objectARN(c.key), nil); f != nil {
		return f
	}
	if f := c.noBody(); f != nil {
		return f
	}
	o, file, err := c.s.store.open(c.bucketName, c.key)
	if err != nil {
		return internalError(err)
	}
	if o == nil {
		// Who may not list is not told what is there.
		if f := c.authorize("s3:ListBucket", c.bucketARN(), nil); f != nil {
			return f
		}
		return noSuchKey(c.key)
	}
	defer func() { _ = file.Close() }()
	if f := mayRead(c.header, o); f != nil {
		return f
	}
	asked := c.header.Get("Range")
	if etag := c.header.Get("If-Range"); etag != "" && etag != quote(o.ETag) {
		asked = "" // of what has changed a part is of no use
	}
	part, partial, f := parseRange(asked, o.Size)
	if f != nil {
		return f
	}
	h := c.w.Header()
	c.setObjectHeader(h, o)
	h.Set("Content-Length", strconv.FormatInt(part.size, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.from, part.from+part.size-1, o.Size))
	} else if strings.EqualFold(c.header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		setChecksum(h, o)
	}
	c.w.WriteHeader(status)
	if c.request.Method == http.MethodHead {
		return nil
	}
	n, err := io.Copy(c.w, io.NewSectionReader(file, part.from, part.size))
	c.write(int(n), err)
	return nil
}

func (c *call) setObjectHeader(h http.Header, o *object) {
	h.Set("Accept-Ranges", "bytes")
	h.Set("Etag", quote(o.ETag))
	h.Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
	h.Set("X-Amz-Server-Side-Encryption", "AES256")
	kept := maps.Clone(o.Header)
	for _, name := range keptHeaders() {
		if v, ok := c.query.get("response-" + strings.ToLower(name)); ok {
			kept[name] = v
		}
	}
	for name, value := range kept {
		h.Set(name, value)
	}
	for name, value := range o.Metadata {
		h.Set(metaPrefix+name, value)
	}
}

// deleteObject answers DeleteObject, alike whether there was an object or not.
func (c *call) deleteObject() *fault {
	if f := c.authorize("s3:DeleteObject", c.objectARN(c.key), nil); f != nil {
		return f
	}
	if f := c.noBody(); f != nil {
		return f
	}
	if c.header.Get("If-None-Match") != "" {
		return notImplemented("DeleteObject with the header if-none-match")
	}
	condition, f := c.mayWrite()
	if f != nil {
		return f
	}
	if f := c.s.store.remove(c.bucketName, c.key, condition); f != nil {
		return f
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// timestamp is a time as S3 writes it in XML.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
