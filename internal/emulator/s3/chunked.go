package s3

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"
)

const (
	// maxChunkLine bounds the line before a chunk and each line of a trailer.
	maxChunkLine = 1024
	// minChunk is what every chunk but the last has at least, so that a body
	// is never much longer than its payload.
	minChunk = 8192
)

// chunkSigner verifies the signatures of chunks, each of which covers the one
// before, beginning with that of the request.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
type chunkSigner struct {
	sig      *signature
	key      []byte
	previous string
}

func (s *chunkSigner) verify(signature, algorithm string, parts ...string) *fault {
	toSign := s.sig.stringToSign(algorithm, append([]string{s.previous}, parts...)...)
	expected := hex.EncodeToString(mac(s.key, toSign))
	if subtle.ConstantTimeCompare([]byte(expected), []byte(signature)) != 1 {
		return signatureDoesNotMatch().because("of a chunk, or of the trailer")
	}
	s.previous = expected
	return nil
}

// chunkReader reads a body in the content coding aws-chunked. What it returns
// is to be believed only once it has returned io.EOF: a chunk's signature
// comes before its content and can be checked only after it.
type chunkReader struct {
	r       *bufio.Reader
	signer  *chunkSigner // nil: chunks are not signed
	trailer string       // the name of the one that is to come, in lower case; empty: none
	limit   int64        // of the payload that is still to come, in bytes

	left      int64 // of the chunk
	signature string
	digest    hash.Hash
	small     bool // a chunk was smaller than minChunk
	value     string
	err       error
}

func newChunkReader(r io.Reader, size int64, signer *chunkSigner, trailer string) *chunkReader {
	return &chunkReader{r: bufio.NewReaderSize(r, 32<<10), signer: signer, trailer: trailer, limit: size, digest: sha256.New()}
}

// Error makes a fault an error, for readers.
func (f *fault) Error() string { return f.code + ": " + f.message }

func incompleteBody(detail string) *fault {
	return badRequest("IncompleteBody", "The request body terminated unexpectedly").because("%s", detail)
}

func malformedTrailer(detail string) *fault {
	return badRequest("MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.").because("%s", detail)
}

// Read returns payload, and a *fault where the body is not what it should be.
func (c *chunkReader) Read(p []byte) (int, error) {
	for c.err == nil && c.left == 0 {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.digest.Write(p[:n])
	c.left -= int64(n)
	if c.left == 0 {
		c.err = c.end()
	} else if err != nil {
		c.err = broken(err, "within a chunk")
	}
	return n, nil
}

// broken tells a body that ends early from one that cannot be read.
func broken(err error, where string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return incompleteBody("it ends " + where)
	}
	return err
}

func (c *chunkReader) line() (string, error) {
	raw, err := c.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(raw) > maxChunkLine:
		return "", incompleteBody("a line is too long")
	case err != nil:
		return "", broken(err, "within a line")
	}
	text, ok := bytes.CutSuffix(raw, []byte("\r\n"))
	if !ok || bytes.ContainsAny(text, "\r\x00") {
		return "", incompleteBody("a line does not end with CRLF")
	}
	return string(text), nil
}

// next reads the line before a chunk. After the last, empty chunk it reads the
// trailer and returns io.EOF.
func (c *chunkReader) next() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, extended := strings.Cut(line, ";")
	n, err := strconv.ParseUint(size, 16, 40)
	if err != nil {
		return incompleteBody("a chunk has no size")
	}
	c.signature = ""
	if c.signer != nil {
		signature, ok := strings.CutPrefix(extension, "chunk-signature=")
		if !ok {
			return incompleteBody("a chunk is not signed")
		}
		c.signature = signature
	} else if extended {
		return incompleteBody("a chunk has an extension that is not expected")
	}
	c.left = int64(n)
	switch {
	case n == 0:
		return c.last()
	case c.left > c.limit:
		return incompleteBody("the chunks hold more than x-amz-decoded-content-length")
	case c.small:
		return forbidden("InvalidChunkSizeError", "Only the last chunk is allowed to have a size less than 8192 bytes")
	}
	c.limit -= c.left
	c.small = c.left < minChunk
	c.digest.Reset()
	return nil
}

// verify checks the signature of the chunk that was read.
func (c *chunkReader) verify() error {
	if c.signer == nil {
		return nil
	}
	if f := c.signer.verify(c.signature, "AWS4-HMAC-SHA256-PAYLOAD", hashHex(nil), hex.EncodeToString(c.digest.Sum(nil))); f != nil {
		return f
	}
	return nil
}

// end reads what follows the content of a chunk.
func (c *chunkReader) end() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if line != "" {
		return incompleteBody("a chunk is longer than its size")
	}
	return c.verify()
}

func (c *chunkReader) last() error {
	c.digest.Reset()
	if err := c.verify(); err != nil {
		return err
	}
	if c.limit != 0 {
		return incompleteBody("the chunks hold less than x-amz-decoded-content-length")
	}
	if err := c.readTrailer(); err != nil {
		return err
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	if line != "" {
		return malformedTrailer("a line follows that is not expected")
	}
	if _, err := c.r.ReadByte(); err == nil {
		return incompleteBody("there is more after the end")
	} else if !errors.Is(err, io.EOF) {
		return broken(err, "after the trailer")
	}
	return io.EOF
}

// readTrailer reads the one trailer, and its signature where chunks are signed.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func (c *chunkReader) readTrailer() error {
	if c.trailer == "" {
		return nil
	}
	value, err := c.trailerLine(c.trailer)
	if err != nil {
		return err
	}
	c.value = value
	if c.signer == nil {
		return nil
	}
	signature, err := c.trailerLine("x-amz-trailer-signature")
	if err != nil {
		return err
	}
	if f := c.signer.verify(signature, "AWS4-HMAC-SHA256-TRAILER", hashHex([]byte(c.trailer+":"+value+"\n"))); f != nil {
		return f
	}
	return nil
}

func (c *chunkReader) trailerLine(name string) (string, error) {
	line, err := c.line()
	if err != nil {
		return "", err
	}
	found, value, ok := strings.Cut(line, ":")
	if !ok || !strings.EqualFold(strings.TrimSpace(found), name) {
		return "", malformedTrailer("expected " + name)
	}
	return strings.TrimSpace(value), nil
}
