package s3

import (
	"crypto/md5"  //nolint:gosec // a checksum that S3 knows
	"crypto/sha1" //nolint:gosec // a checksum that S3 knows
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"slices"
	"strings"
)

// algorithm is a checksum that can go with an object.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
type algorithm struct {
	name string
	new  func() hash.Hash
}

const checksumPrefix = "x-amz-checksum-"

// defaultChecksum is what S3 computes where the client sends none.
const defaultChecksum = "CRC64NVME"

// algorithms makes the table. The polynomial of CRC-64/NVME is given with its
// bits reversed, as hash/crc64 wants it.
func algorithms() []algorithm {
	return []algorithm{
		{"CRC32", func() hash.Hash { return crc32.NewIEEE() }},
		{"CRC32C", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
		{defaultChecksum, func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) }},
		{"SHA1", sha1.New},
		{"SHA256", sha256.New},
		{"SHA512", sha512.New},
		{"MD5", md5.New},
	}
}

func findAlgorithm(name string) (algorithm, bool) {
	all := algorithms()
	i := slices.IndexFunc(all, func(a algorithm) bool { return strings.EqualFold(a.name, name) })
	if i < 0 {
		return algorithm{}, false
	}
	return all[i], true
}

func (a algorithm) header() string { return checksumPrefix + strings.ToLower(a.name) }

// checksum is what a client says of its payload.
type checksum struct {
	algorithm algorithm
	value     string // base64; empty where it comes in the trailer
	trailer   bool
}

// readChecksum finds the one checksum that a request has, in its header or
// announced for its trailer. Without one it is S3's own choice, unverified.
func readChecksum(h http.Header) (sum checksum, sent bool, f *fault) {
	sum.algorithm, _ = findAlgorithm(defaultChecksum)
	var names []string
	for name := range h {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, checksumPrefix) && lower != "x-amz-checksum-mode" {
			names = append(names, lower)
			sum.value = h.Get(name)
		}
	}
	if trailer := h.Get("X-Amz-Trailer"); trailer != "" {
		names = append(names, strings.ToLower(strings.TrimSpace(trailer)))
		sum.trailer = true
	}
	wanted := h.Get("X-Amz-Sdk-Checksum-Algorithm")
	switch {
	case len(names) > 1:
		return sum, false, badRequest("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	case len(names) == 0 && wanted != "":
		return sum, false, badRequest("InvalidRequest", "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case len(names) == 0:
		return sum, false, nil
	}
	name, isChecksum := strings.CutPrefix(names[0], checksumPrefix)
	a, known := findAlgorithm(name)
	switch {
	case !isChecksum:
		return sum, false, badRequest("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
	case !known:
		return sum, false, notImplemented("the checksum " + clip(name))
	case wanted != "" && !strings.EqualFold(wanted, a.name):
		return sum, false, badRequest("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	sum.algorithm = a
	if !sum.trailer {
		if f := sum.wellFormed(); f != nil {
			return sum, false, f
		}
	}
	return sum, true, nil
}

func (c checksum) wellFormed() *fault {
	raw, err := base64.StdEncoding.DecodeString(c.value)
	if err != nil || len(raw) != c.algorithm.new().Size() {
		return badRequest("InvalidRequest", "Value for "+c.algorithm.header()+" header is invalid.")
	}
	return nil
}

func encodeSum(h hash.Hash) string { return base64.StdEncoding.EncodeToString(h.Sum(nil)) }
