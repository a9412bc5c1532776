package s3

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

func preconditionFailed(condition string) *fault {
	return newFault(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold").with("Condition", condition)
}

// matchesETag reports whether a list of entity tags names this one.
func matchesETag(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.Trim(tag, `"`) == etag {
			return true
		}
	}
	return false
}

// mayRead is the verdict of a read's conditions (RFC 9110 section 13.2.2).
func mayRead(h http.Header, o *object) *fault {
	match, none := h.Get("If-Match"), h.Get("If-None-Match")
	modified, err := http.ParseTime(h.Get("If-Modified-Since"))
	sinceModified := err == nil && none == ""
	unmodified, err := http.ParseTime(h.Get("If-Unmodified-Since"))
	sinceUnmodified := err == nil && match == ""
	at := o.Modified.Truncate(time.Second)
	switch {
	case match != "" && !matchesETag(match, o.ETag):
		return preconditionFailed("If-Match")
	case sinceUnmodified && at.After(unmodified):
		return preconditionFailed("If-Unmodified-Since")
	case none != "" && matchesETag(none, o.ETag), sinceModified && !at.After(modified):
		f := newFault(http.StatusNotModified, "NotModified", "Not Modified")
		f.header = http.Header{"Etag": {quote(o.ETag)}, "Last-Modified": {o.Modified.UTC().Format(http.TimeFormat)}}
		return f
	}
	return nil
}

// mayWrite makes the condition of a write from the headers that S3 knows, and
// asks for the permission that it takes.
func (c *call) mayWrite() (func(*object) *fault, *fault) {
	h := c.header
	match, none := h.Get("If-Match"), h.Get("If-None-Match")
	// An entity tag that matches tells of the content.
	if match != "" && match != "*" {
		if f := c.authorize("s3:GetObject", c.objectARN(c.key), nil); f != nil {
			return nil, f
		}
	}
	switch {
	case none != "" && none != "*":
		return nil, notImplemented("writes with If-None-Match but *")
	case h.Get("If-Modified-Since") != "" || h.Get("If-Unmodified-Since") != "":
		return nil, notImplemented("writes on condition of a time")
	}
	return func(o *object) *fault {
		switch {
		case match != "" && o == nil:
			return noSuchKey(c.key)
		case match != "" && !matchesETag(match, o.ETag):
			return preconditionFailed("If-Match")
		case none != "" && o != nil:
			return preconditionFailed("If-None-Match")
		}
		return nil
	}, nil
}

func quote(etag string) string { return `"` + etag + `"` }

// span is a part of an object.
type span struct{ from, size int64 }

// parseRange reads a Range header. One that S3 does not understand, or of
// several ranges, asks for all.
func parseRange(header string, size int64) (part span, partial bool, f *fault) {
	text, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(text, "-")
	if !ok || !dash {
		return span{0, size}, false, nil
	}
	number := func(s string) (int64, bool) {
		n, err := strconv.ParseUint(s, 10, 63)
		return int64(n), err == nil
	}
	from, hasFrom := number(first)
	to, hasTo := number(last)
	switch {
	case first == "" && hasTo: // the last bytes
		from, to = max(0, size-to), size-1
	case hasFrom && last == "":
		to = size - 1
	case !hasFrom || !hasTo || from > to:
		return span{0, size}, false, nil
	}
	if from >= size || first == "" && last == "0" {
		f := newFault(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable").
			with("RangeRequested", clip(header)).with("ActualObjectSize", strconv.FormatInt(size, 10))
		f.header = http.Header{"Content-Range": {"bytes */" + strconv.FormatInt(size, 10)}}
		return span{}, false, f
	}
	to = min(to, size-1)
	return span{from, to - from + 1}, true, nil
}
