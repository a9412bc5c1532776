package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"
)

const chunkSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

// published is the signature of the service's own examples, which the first
// chunk's covers.
func published(seed string) *chunkSigner {
	sig := &signature{day: "20130524", region: "us-east-1", service: "s3", end: "aws4_request", at: time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)}
	return &chunkSigner{sig: sig, key: sig.key(chunkSecret), previous: seed}
}

func chunk(data []byte, signature string) string {
	return fmt.Sprintf("%x;chunk-signature=%s\r\n%s\r\n", len(data), signature, data)
}

// TestPublishedChunks reads the bodies that the service's documentation signs.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func TestPublishedChunks(t *testing.T) {
	t.Parallel()
	a := bytes.Repeat([]byte("a"), 66560)
	signed := chunk(a[:65536], "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648") +
		chunk(a[65536:], "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497") +
		chunk(nil, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9")
	trailing := chunk(a[:65536], "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2") +
		chunk(a[65536:], "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7") +
		"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n" +
		"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
	for name, test := range map[string]struct{ body, seed, trailer string }{
		"without a trailer": {signed, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", ""},
		"with a trailer":    {trailing, "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", "x-amz-checksum-crc32c"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newChunkReader(strings.NewReader(test.body), int64(len(a)), published(test.seed), test.trailer)
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, a) {
				t.Fatalf("read %d bytes: %v", len(got), err)
			}
			if test.trailer != "" && r.value != "sOO8/Q==" {
				t.Errorf("the trailer says %q", r.value)
			}
			_, err = io.ReadAll(newChunkReader(strings.NewReader(test.body), int64(len(a)), published(strings.Repeat("0", 64)), test.trailer))
			if codeOf(err) != "SignatureDoesNotMatch" {
				t.Errorf("after another request: %v", err)
			}
		})
	}
}

func codeOf(err error) string {
	var f *fault
	if errors.As(err, &f) {
		return f.code
	}
	return fmt.Sprint(err)
}

func TestChunksThatAreNone(t *testing.T) {
	t.Parallel()
	const long = 8192
	big := strings.Repeat("x", long)
	for name, test := range map[string]struct {
		body string
		size int64
		code string
	}{
		"one":                        {"3\r\nabc\r\n0\r\nt:v\r\n\r\n", 3, "<nil>"},
		"none":                       {"0\r\nt:v\r\n\r\n", 0, "<nil>"},
		"a small last one":           {"2000\r\n" + big + "\r\n1\r\na\r\n0\r\nt:v\r\n\r\n", long + 1, "<nil>"},
		"a small first one":          {"1\r\na\r\n2000\r\n" + big + "\r\n0\r\nt:v\r\n\r\n", long + 1, "InvalidChunkSizeError"},
		"nothing":                    {"", 0, "IncompleteBody"},
		"no end":                     {"3\r\nabc\r\n", 3, "IncompleteBody"},
		"a cut chunk":                {"3\r\nab", 3, "IncompleteBody"},
		"more than announced":        {"3\r\nabc\r\n0\r\nt:v\r\n\r\n", 2, "IncompleteBody"},
		"less than announced":        {"3\r\nabc\r\n0\r\nt:v\r\n\r\n", 4, "IncompleteBody"},
		"longer than its size":       {"2\r\nabc\r\n0\r\nt:v\r\n\r\n", 2, "IncompleteBody"},
		"a negative size":            {"-1\r\n\r\n0\r\nt:v\r\n\r\n", 0, "IncompleteBody"},
		"a signed size":              {"+3\r\nabc\r\n0\r\nt:v\r\n\r\n", 3, "IncompleteBody"},
		"a size with a prefix":       {"0x3\r\nabc\r\n0\r\nt:v\r\n\r\n", 3, "IncompleteBody"},
		"an enormous size":           {"ffffffffffffffffffffffff\r\nabc\r\n0\r\nt:v\r\n\r\n", 3, "IncompleteBody"},
		"a size of 2^63":             {"8000000000000000\r\nabc\r\n0\r\nt:v\r\n\r\n", 3, "IncompleteBody"},
		"a bare line feed":           {"3\nabc\r\n0\r\nt:v\r\n\r\n", 3, "IncompleteBody"},
		"an extension":               {"3;x=y\r\nabc\r\n0\r\nt:v\r\n\r\n", 3, "IncompleteBody"},
		"an endless line":            {strings.Repeat("0", 5000) + "\r\n", 0, "IncompleteBody"},
		"something after it":         {"0\r\nt:v\r\n\r\nx", 0, "IncompleteBody"},
		"no trailer":                 {"0\r\n\r\n", 0, "MalformedTrailerError"},
		"another trailer":            {"0\r\nu:v\r\n\r\n", 0, "MalformedTrailerError"},
		"two trailers":               {"0\r\nt:v\r\nu:v\r\n\r\n", 0, "MalformedTrailerError"},
		"a trailer without an end":   {"0\r\nt:v\r\n", 0, "IncompleteBody"},
		"a trailer without a colon":  {"0\r\nt\r\n\r\n", 0, "MalformedTrailerError"},
		"a second body in the first": {"0\r\nt:v\r\n\r\n0\r\nt:v\r\n\r\n", 0, "IncompleteBody"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := io.ReadAll(newChunkReader(strings.NewReader(test.body), test.size, nil, "t"))
			if codeOf(err) != test.code {
				t.Errorf("expected %s, got %v", test.code, err)
			}
		})
	}
}

// FuzzUnsignedChunks: what is accepted has the announced length and is
// complete: with a byte less or a byte more it would not be accepted.
func FuzzUnsignedChunks(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\nt:v\r\n\r\n"), uint16(3))
	f.Add([]byte("0\r\nt:v\r\n\r\n"), uint16(0))
	f.Add([]byte("1\r\na\r\n1\r\nb\r\n0\r\nt:v\r\n\r\n"), uint16(2))
	f.Fuzz(func(t *testing.T, body []byte, size uint16) {
		read := func(b []byte) ([]byte, error) {
			return io.ReadAll(newChunkReader(bytes.NewReader(b), int64(size), nil, "t"))
		}
		got, err := read(body)
		if err != nil {
			var f *fault
			if !errors.As(err, &f) {
				t.Fatalf("an error that is none of the service: %v", err)
			}
			return
		}
		if len(got) != int(size) {
			t.Fatalf("announced %d bytes, read %d", size, len(got))
		}
		if !bytes.Contains(body, got) && size <= minChunk {
			t.Fatalf("%q is not in %q", got, body)
		}
		if _, err := read(body[:len(body)-1]); err == nil {
			t.Fatalf("%q is accepted without its last byte", body)
		}
		if _, err := read(append(bytes.Clone(body), '\n')); err == nil {
			t.Fatalf("%q is accepted with a byte more", body)
		}
	})
}

// FuzzSignedChunks: a body whose bytes were changed on the way is refused, or
// says the same.
func FuzzSignedChunks(f *testing.F) {
	f.Add([]byte("content"), uint32(3), byte(1))
	f.Add([]byte("content"), uint32(150), byte(0x20))
	f.Add([]byte(""), uint32(95), byte(4))
	f.Fuzz(func(t *testing.T, tail []byte, position uint32, flip byte) {
		data := append(bytes.Repeat([]byte{'x'}, minChunk), tail...)
		sum := crc32.NewIEEE()
		sum.Write(data)
		body := signedBody(data, encodeSum(sum))
		got, err := io.ReadAll(newChunkReader(bytes.NewReader(body), int64(len(data)), published("seed"), "x-amz-checksum-crc32"))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("as it was signed: %v", err)
		}
		body[int(position)%len(body)] ^= flip
		r := newChunkReader(bytes.NewReader(body), int64(len(data)), published("seed"), "x-amz-checksum-crc32")
		got, err = io.ReadAll(r)
		if err == nil && (!bytes.Equal(got, data) || r.value != encodeSum(sum)) {
			t.Fatalf("changed at %d, and accepted", int(position)%len(body))
		}
	})
}

// signedBody signs two chunks and a trailer, by the documentation's words.
func signedBody(data []byte, checksum string) []byte {
	sig := published("").sig
	previous := "seed"
	sign := func(algorithm, parts string) string {
		previous = hex.EncodeToString(mac(sig.key(chunkSecret), algorithm+"\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"+previous+"\n"+parts))
		return previous
	}
	digest := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	var out bytes.Buffer
	for _, part := range [][]byte{data[:minChunk], data[minChunk:]} {
		if len(part) > 0 {
			out.WriteString(chunk(part, sign("AWS4-HMAC-SHA256-PAYLOAD", digest(nil)+"\n"+digest(part))))
		}
	}
	fmt.Fprintf(&out, "0;chunk-signature=%s\r\n", sign("AWS4-HMAC-SHA256-PAYLOAD", digest(nil)+"\n"+digest(nil)))
	line := "x-amz-checksum-crc32:" + checksum
	fmt.Fprintf(&out, "%s\r\nx-amz-trailer-signature:%s\r\n\r\n", line, sign("AWS4-HMAC-SHA256-TRAILER", digest([]byte(line+"\n"))))
	return out.Bytes()
}

// TestChecksumOfNVMe is the check value of the catalogue of CRC algorithms.
func TestChecksumOfNVMe(t *testing.T) {
	t.Parallel()
	a, ok := findAlgorithm("crc64nvme")
	if !ok {
		t.Fatal("it is not known")
	}
	h := a.new()
	h.Write([]byte("123456789"))
	if got := hex.EncodeToString(h.Sum(nil)); got != "ae8b14860a799888" {
		t.Errorf("of 123456789: %s", got)
	}
}
