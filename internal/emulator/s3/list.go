package s3

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxKeys is what one answer lists at most.
const maxKeys = 1000

type listResult struct {
	XMLName               xml.Name       `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string         `xml:"Name"`
	Prefix                xmlText        `xml:"Prefix"`
	StartAfter            *xmlText       `xml:"StartAfter"`
	ContinuationToken     *xmlText       `xml:"ContinuationToken"`
	NextContinuationToken string         `xml:"NextContinuationToken,omitempty"`
	KeyCount              int            `xml:"KeyCount"`
	MaxKeys               int            `xml:"MaxKeys"`
	Delimiter             *xmlText       `xml:"Delimiter"`
	EncodingType          string         `xml:"EncodingType,omitempty"`
	IsTruncated           bool           `xml:"IsTruncated"`
	Contents              []listContent  `xml:"Contents"`
	CommonPrefixes        []commonPrefix `xml:"CommonPrefixes"`
}

type listContent struct {
	Key               xmlText `xml:"Key"`
	LastModified      string  `xml:"LastModified"`
	ETag              string  `xml:"ETag"`
	ChecksumAlgorithm string  `xml:"ChecksumAlgorithm"`
	ChecksumType      string  `xml:"ChecksumType"`
	Size              int64   `xml:"Size"`
	StorageClass      string  `xml:"StorageClass"`
}

type commonPrefix struct {
	Prefix xmlText `xml:"Prefix"`
}

// listing is what a ListObjectsV2 asks for.
type listing struct {
	prefix, delimiter string
	most              int
	after             string // the last entry before the first; empty: from the beginning
	resumed           bool   // after is of a continuation token
	encoded           bool
}

// listed is a page of a listing: objects and common prefixes, in order.
type listed struct {
	objects   []*object
	prefixes  []string
	last      string // the last entry of them
	truncated bool
}

// listObjects answers ListObjectsV2.
func (c *call) listObjects() *fault {
	keys := map[string]string{}
	for _, name := range []string{"prefix", "delimiter", "max-keys"} {
		if v, ok := c.query.get(name); ok {
			keys["s3:"+name] = v
		}
	}
	if f := c.authorize("s3:ListBucket", c.bucketARN(), keys); f != nil {
		return f
	}
	if f := c.noBody(); f != nil {
		return f
	}
	l, f := c.readListing()
	if f != nil {
		return f
	}
	return c.answerXML(c.listResult(l, c.s.store.page(c.bucketName, l)))
}

func (c *call) readListing() (listing, *fault) {
	get := func(name string) string { v, _ := c.query.get(name); return v }
	l := listing{prefix: get("prefix"), delimiter: get("delimiter"), most: maxKeys, after: get("start-after"), encoded: c.query.has("encoding-type")}
	if v := get("list-type"); v != "2" {
		return l, invalidArgument("list-type", v, "Invalid List Type specified in Request")
	}
	if v := get("encoding-type"); l.encoded && v != "url" {
		return l, invalidArgument("encoding-type", v, "Invalid Encoding Method specified in Request")
	}
	if v := get("fetch-owner"); v != "" && v != "false" {
		return l, notImplemented("ListObjectsV2 with fetch-owner")
	}
	if v, ok := c.query.get("max-keys"); ok {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil || n < 0 {
			return l, invalidArgument("max-keys", v, "Argument maxKeys must be an integer between 0 and 2147483647")
		}
		l.most = min(int(n), maxKeys)
	}
	if token, ok := c.query.get("continuation-token"); ok {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(raw) == 0 || len(raw) > maxKey || !utf8.Valid(raw) {
			return l, invalidArgument("continuation-token", token, "The continuation token provided is incorrect")
		}
		l.after, l.resumed = string(raw), true
	}
	for _, v := range []string{l.prefix, l.delimiter, l.after} {
		if f := checkKey(v); f != nil {
			return l, f
		}
	}
	return l, nil
}

// entry is what stands for a key in a listing: itself, or the common prefix
// that it has with others up to the delimiter.
func (l listing) entry(key string) (name string, common bool) {
	if l.delimiter != "" {
		if i := strings.Index(key[len(l.prefix):], l.delimiter); i >= 0 {
			return key[:len(l.prefix)+i+len(l.delimiter)], true
		}
	}
	return key, false
}

// skips reports whether a key comes before the page. A page that ended with a
// common prefix had all keys of it.
func (l listing) skips(key, entry string) bool {
	if l.resumed {
		return entry <= l.after
	}
	return l.after != "" && key <= l.after
}

func (s *store) page(bucket string, l listing) listed {
	var p listed
	if l.most == 0 {
		return p
	}
	s.list(bucket, max(l.prefix, l.after), func(o *object) bool {
		if !strings.HasPrefix(o.Key, l.prefix) {
			return false
		}
		name, common := l.entry(o.Key)
		switch {
		case l.skips(o.Key, name), common && len(p.prefixes) > 0 && name == p.prefixes[len(p.prefixes)-1]:
			return true
		case len(p.objects)+len(p.prefixes) == l.most:
			p.truncated = true
			return false
		case common:
			p.prefixes = append(p.prefixes, name)
		default:
			p.objects = append(p.objects, o)
		}
		p.last = name
		return true
	})
	return p
}

func (c *call) listResult(l listing, p listed) listResult {
	encode := text
	if l.encoded {
		encode = func(s string) xmlText { return xmlText{uriEncode(s, true)} }
	}
	optional := func(name string, encode func(string) xmlText) *xmlText {
		v, ok := c.query.get(name)
		if !ok {
			return nil
		}
		t := encode(v)
		return &t
	}
	r := listResult{
		Name: c.bucketName, Prefix: encode(l.prefix), StartAfter: optional("start-after", encode), ContinuationToken: optional("continuation-token", text),
		Delimiter: optional("delimiter", encode), MaxKeys: l.most, KeyCount: len(p.objects) + len(p.prefixes), IsTruncated: p.truncated,
	}
	if l.encoded {
		r.EncodingType = "url"
	}
	if p.truncated {
		r.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(p.last))
	}
	for _, o := range p.objects {
		r.Contents = append(r.Contents, listContent{
			Key: encode(o.Key), LastModified: timestamp(o.Modified), ETag: quote(o.ETag),
			ChecksumAlgorithm: o.Sum, ChecksumType: "FULL_OBJECT", Size: o.Size, StorageClass: "STANDARD",
		})
	}
	for _, prefix := range p.prefixes {
		r.CommonPrefixes = append(r.CommonPrefixes, commonPrefix{encode(prefix)})
	}
	return r
}

// headBucket answers HeadBucket.
func (c *call) headBucket() *fault {
	if f := c.authorize("s3:ListBucket", c.bucketARN(), nil); f != nil {
		return f
	}
	if f := c.noBody(); f != nil {
		return f
	}
	if c.bucket.Region != "" {
		c.w.Header().Set("X-Amz-Bucket-Region", c.bucket.Region)
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

type bucketsResult struct {
	XMLName xml.Name       `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Owner   bucketsOwner   `xml:"Owner"`
	Buckets []listedBucket `xml:"Buckets>Bucket"`
}

type bucketsOwner struct {
	ID string `xml:"ID"`
}

type listedBucket struct {
	Name         string `xml:"Name"`
	CreationDate string `xml:"CreationDate"`
	BucketRegion string `xml:"BucketRegion,omitempty"`
}

// listBuckets answers ListBuckets: those of the caller's account.
func (c *call) listBuckets() *fault {
	if f := c.authorize("s3:ListAllMyBuckets", "arn:aws:s3:::*", nil); f != nil {
		return f
	}
	if f := c.noBody(); f != nil {
		return f
	}
	account := c.session.Caller.AccountID()
	r := bucketsResult{Owner: bucketsOwner{ID: hashHex([]byte(account))}}
	for _, b := range c.s.buckets {
		if b.AccountID == account {
			r.Buckets = append(r.Buckets, listedBucket{Name: b.Name, CreationDate: timestamp(c.s.started), BucketRegion: b.Region})
		}
	}
	slices.SortFunc(r.Buckets, func(a, b listedBucket) int { return strings.Compare(a.Name, b.Name) })
	return c.answerXML(r)
}
