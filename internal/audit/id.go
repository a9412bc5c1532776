package audit

import (
	"encoding/base32"
	"fmt"
	"io"
	"time"
)

// crockford is Crockford's base 32 alphabet. Its order is that of ASCII, so the
// text of an id sorts as its bytes do.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// newID is 48 bits of milliseconds since 1970 and 80 random bits, as 26
// characters. Ids sort by time to the millisecond; the random part keeps a
// caller who knows one id from finding others.
func newID(now time.Time, random io.Reader) (string, error) {
	ms := now.UnixMilli()
	if ms < 0 || ms >= 1<<48 {
		return "", fmt.Errorf("making a record's id: the clock says %s, which no id can hold", now.Format(time.RFC3339))
	}
	var b [16]byte
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	if _, err := io.ReadFull(random, b[6:]); err != nil {
		return "", fmt.Errorf("reading randomness for a record's id: %w", err)
	}
	return crockford.EncodeToString(b[:]), nil
}
