// Package match is the one pattern language of stint: text in which * stands
// for any run of characters, the empty one included. Everything else stands
// for itself, letter case included.
package match

import "strings"

// Pattern is a compiled pattern. The zero value matches the empty string only.
type Pattern struct {
	source string
	parts  []string // the literal runs between the stars
}

// Compile never fails: every text is a pattern.
func Compile(source string) Pattern {
	return Pattern{source: source, parts: strings.Split(source, "*")}
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.source }

// Literal reports whether the pattern has no star.
func (p Pattern) Literal() bool { return len(p.parts) <= 1 }

// Match reports whether the pattern matches the whole of s. Each literal run
// is searched once, left to right, so the time is bounded by len(s) times the
// longest run however many stars there are.
func (p Pattern) Match(s string) bool {
	if p.Literal() {
		return s == p.source
	}
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range p.parts[1 : len(p.parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}
