package s3

import (
	"crypto/md5" //nolint:gosec // the ETag of S3
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"regexp"
	"strconv"
)

// The ways in which a request can say what its body is.
const (
	streamSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// payload is what a request says of its body, before it is read.
type payload struct {
	reader   io.Reader
	chunks   *chunkReader // nil where the body is not aws-chunked
	size     int64        // bytes, decoded
	digest   string       // its SHA-256 in hex; empty where it is not signed
	md5      []byte       // nil where the client does not say
	checksum checksum
	sent     bool // the client sends the checksum
}

// received is what came.
type received struct {
	size      int64
	md5       [md5.Size]byte
	algorithm string
	checksum  string // base64
}

// payload reads what the headers say of the body. The body of one of more than
// limit bytes is not read.
func (c *call) payload(limit int64) (*payload, *fault) {
	h := c.request.Header
	p := &payload{reader: c.request.Body, size: c.request.ContentLength}
	var f *fault
	if p.checksum, p.sent, f = readChecksum(h); f != nil {
		return nil, f
	}
	if text := h.Get("Content-Md5"); text != "" {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != md5.Size {
			return nil, badRequest("InvalidDigest", "The Content-MD5 you specified was invalid.").with("Content-MD5", clip(text))
		}
		p.md5 = raw
	}
	switch kind := c.sig.payload; {
	case kind == unsignedPayload:
	case hexDigest.MatchString(kind):
		p.digest = kind
	case kind == streamSigned, kind == streamSignedTrailer, kind == streamUnsignedTrailer:
		if f := c.chunked(p, kind); f != nil {
			return nil, f
		}
	default:
		return nil, invalidArgument("x-amz-content-sha256", kind, "x-amz-content-sha256 must be "+unsignedPayload+", "+streamSigned+", or a valid sha256 value.")
	}
	switch {
	case p.chunks == nil && p.checksum.trailer:
		return nil, badRequest("InvalidRequest", "The x-amz-trailer header needs a streaming x-amz-content-sha256.")
	case p.size < 0:
		return nil, newFault(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	case p.size > limit:
		return nil, tooLarge(p.size, limit)
	}
	return p, nil
}

func tooLarge(size, limit int64) *fault {
	return badRequest("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size").
		with("ProposedSize", strconv.FormatInt(size, 10)).with("MaxSizeAllowed", strconv.FormatInt(limit, 10))
}

func (c *call) chunked(p *payload, kind string) *fault {
	if c.sig.presigned {
		return badRequest("InvalidRequest", "A presigned request cannot be sent in chunks that are signed or have a trailer.")
	}
	size, err := strconv.ParseInt(c.request.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return newFault(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.").because("x-amz-decoded-content-length is no size")
	}
	if p.checksum.trailer == (kind == streamSigned) {
		return malformedTrailer("x-amz-trailer and x-amz-content-sha256 do not agree")
	}
	var signer *chunkSigner
	if kind != streamUnsignedTrailer {
		signer = &chunkSigner{sig: c.sig, key: c.signingKey, previous: c.sig.value}
	}
	trailer := ""
	if p.checksum.trailer {
		trailer = p.checksum.algorithm.header()
	}
	p.size = size
	p.chunks = newChunkReader(c.request.Body, size, signer, trailer)
	p.reader = p.chunks
	return nil
}

// receive copies the payload to w. What was written is to be thrown away
// unless it is all that the request said of it.
func (p *payload) receive(w io.Writer) (received, *fault) {
	sha, sum := sha256.New(), p.checksum.algorithm.new()
	etag := md5.New() //nolint:gosec // the ETag of S3
	// One byte more than announced shows that there is more.
	n, err := io.Copy(io.MultiWriter(sha, sum, etag, w), io.LimitReader(p.reader, p.size+1))
	var f *fault
	var disk *writeError
	switch {
	case errors.As(err, &f):
		return received{}, f
	case errors.As(err, &disk):
		return received{}, internalError(err)
	case errors.Is(err, io.ErrUnexpectedEOF), err == nil && n != p.size:
		return received{}, badRequest("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
	case err != nil:
		return received{}, badRequest("IncompleteBody", "The request body terminated unexpectedly").because("reading the body: %s", err)
	}
	if f := p.check(sha, etag, sum); f != nil {
		return received{}, f
	}
	r := received{size: n, algorithm: p.checksum.algorithm.name, checksum: encodeSum(sum)}
	etag.Sum(r.md5[:0])
	return r, nil
}

func (p *payload) check(sha, etag, sum hash.Hash) *fault {
	if p.chunks != nil && p.checksum.trailer {
		p.checksum.value = p.chunks.value
		if f := p.checksum.wellFormed(); f != nil {
			return f
		}
	}
	switch {
	case p.digest != "" && hex.EncodeToString(sha.Sum(nil)) != p.digest:
		return badRequest("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.").
			with("ClientComputedContentSHA256", p.digest).with("S3ComputedContentSHA256", hex.EncodeToString(sha.Sum(nil)))
	case p.md5 != nil && string(etag.Sum(nil)) != string(p.md5):
		return badRequest("BadDigest", "The Content-MD5 you specified did not match what we received.")
	case p.sent && encodeSum(sum) != p.checksum.value:
		return badRequest("BadDigest", fmt.Sprintf("The %s you specified did not match the calculated checksum.", p.checksum.algorithm.name))
	}
	return nil
}

// noBody checks that a request has no body, as it signs.
func (c *call) noBody() *fault {
	p, f := c.payload(0)
	switch {
	case f != nil && f.code == "EntityTooLarge", p != nil && p.chunks != nil:
		return badRequest("UnexpectedContent", "This request contains unsupported content.")
	case f != nil && f.code == "MissingContentLength":
		return badRequest("UnexpectedContent", "This request contains unsupported content.").because("its length is not known")
	case f != nil:
		return f
	}
	_, f = p.receive(io.Discard)
	return f
}
