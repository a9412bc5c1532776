package iam

import (
	"strings"
	"unicode/utf8"
)

// In a compiled pattern the wildcards are bytes that valid UTF-8 never holds,
// so that an escaped ${*} and a value put in for a variable stay plain text.
const (
	anyRun  = 0xFF // *
	anyChar = 0xFE // ?
)

// pattern compiles the wildcards of s.
func pattern(s string) string {
	if !strings.ContainsAny(s, "*?") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '*':
			// A run of stars matches what one does.
			if n := len(b); n == 0 || b[n-1] != anyRun {
				b = append(b, anyRun)
			}
		case '?':
			b = append(b, anyChar)
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

// globMatch reports whether all of s matches pat. Between two stars the
// leftmost place is always good enough, so each piece is searched for once
// and nothing is ever tried again. The cost is linear in the lengths, or for
// long pieces with ? in them a sixty-fourth of their product: neither the
// author of a policy nor of a token can make it slow.
func globMatch(pat, s string) bool {
	star := strings.IndexByte(pat, anyRun)
	if star < 0 {
		n, ok := piecePrefix(pat, s)
		return ok && n == len(s)
	}
	n, ok := piecePrefix(pat[:star], s)
	if !ok {
		return false
	}
	s, pat = s[n:], pat[star+1:]
	for {
		star = strings.IndexByte(pat, anyRun)
		if star < 0 {
			return pieceSuffix(pat, s)
		}
		n := pieceIndex(pat[:star], s)
		if n < 0 {
			return false
		}
		s, pat = s[n:], pat[star+1:]
	}
}

// piecePrefix matches a piece without stars at the start of s, and returns
// the length of what it matched.
func piecePrefix(piece, s string) (int, bool) {
	if strings.IndexByte(piece, anyChar) < 0 {
		return len(piece), strings.HasPrefix(s, piece)
	}
	at := 0
	for i := 0; i < len(piece); i++ {
		if at >= len(s) {
			return 0, false
		}
		if piece[i] == anyChar {
			_, size := utf8.DecodeRuneInString(s[at:])
			at += size
			continue
		}
		if piece[i] != s[at] {
			return 0, false
		}
		at++
	}
	return at, true
}

// pieceIndex finds a piece in s and returns where the match ends, or -1.
func pieceIndex(piece, s string) int {
	if strings.IndexByte(piece, anyChar) < 0 {
		i := strings.Index(s, piece)
		if i < 0 {
			return -1
		}
		return i + len(piece)
	}
	if len(piece)*len(s) > 1<<14 {
		return shiftAnd(piece, s)
	}
	for at := 0; ; {
		if n, ok := piecePrefix(piece, s[at:]); ok {
			return at + n
		}
		if at >= len(s) {
			return -1
		}
		// Whole characters: ? must not match the tail of one.
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
}

// shiftAnd is pieceIndex for long texts: it follows all places where the
// piece may have begun at once, one bit each.
func shiftAnd(piece, s string) int {
	size := 0
	for i := 0; i < len(piece); size++ {
		i += charLen(piece[i:])
	}
	words := (size + 63) / 64
	anywhere := make([]uint64, words) // where the piece has ?
	masks := make(map[rune][]uint64)
	for i, bit := 0, 0; i < len(piece); bit++ {
		if piece[i] == anyChar {
			anywhere[bit/64] |= 1 << (bit % 64)
		} else if c, _ := utf8.DecodeRuneInString(piece[i:]); masks[c] == nil {
			masks[c] = make([]uint64, words)
		}
		i += charLen(piece[i:])
	}
	for _, mask := range masks {
		copy(mask, anywhere)
	}
	for i, bit := 0, 0; i < len(piece); bit++ {
		if piece[i] != anyChar {
			c, _ := utf8.DecodeRuneInString(piece[i:])
			masks[c][bit/64] |= 1 << (bit % 64)
		}
		i += charLen(piece[i:])
	}
	state := make([]uint64, words)
	for at := 0; at < len(s); {
		c, n := utf8.DecodeRuneInString(s[at:])
		mask := masks[c]
		if mask == nil || c == utf8.RuneError && n == 1 {
			mask = anywhere // invalid UTF-8 is a character that only ? matches
		}
		carry := uint64(1)
		for w := range state {
			next := state[w] >> 63
			state[w] = (state[w]<<1 | carry) & mask[w]
			carry = next
		}
		at += n
		if state[(size-1)/64]>>((size-1)%64)&1 == 1 {
			return at
		}
	}
	return -1
}

func charLen(s string) int {
	if s[0] == anyChar {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// pieceSuffix reports whether s ends with something that piece matches.
func pieceSuffix(piece, s string) bool {
	if strings.IndexByte(piece, anyChar) < 0 {
		return strings.HasSuffix(s, piece)
	}
	for i := len(piece) - 1; i >= 0; i-- {
		if len(s) == 0 {
			return false
		}
		if piece[i] == anyChar {
			_, size := utf8.DecodeLastRuneInString(s)
			s = s[:len(s)-size]
			continue
		}
		if piece[i] != s[len(s)-1] {
			return false
		}
		s = s[:len(s)-1]
	}
	return true
}

// foldMatch is globMatch for action names, in any case of ASCII letters. The
// pattern is already in lower case.
func foldMatch(pat, s string) bool {
	i, j := 0, 0
	star, resume := -1, 0
	for j < len(s) {
		switch {
		case i < len(pat) && pat[i] == anyRun:
			star, resume = i, j
			i++
		case i < len(pat) && (pat[i] == anyChar || pat[i] == lower(s[j])):
			i++
			j++
		case star >= 0:
			resume++
			i, j = star+1, resume
		default:
			return false
		}
	}
	for i < len(pat) && pat[i] == anyRun {
		i++
	}
	return i == len(pat)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func lowerASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if lower(s[i]) != s[i] {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

func equalASCIIFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// arnMatch compares the six parts of an ARN one by one, so that a wildcard in
// one of the first five never reaches into the next. ok is false where either
// is not of six parts.
func arnMatch(pat, s string) (matched, ok bool) {
	if !isARN(s) || strings.Count(pat, ":") < 5 {
		return false, false
	}
	for range 5 {
		p, rest, _ := strings.Cut(pat, ":")
		t, tail, _ := strings.Cut(s, ":")
		if !globMatch(p, t) {
			return false, true
		}
		pat, s = rest, tail
	}
	return globMatch(pat, s), true
}

func isARN(s string) bool {
	return strings.HasPrefix(s, "arn:") && strings.Count(s, ":") >= 5
}
