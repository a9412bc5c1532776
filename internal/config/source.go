package config

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain is a file's text without a byte order mark and with line feeds only, or
// says why it is none. YAML readers disagree on what the other line breaks and
// control characters mean, and invisible ones and those that turn the writing
// direction show a reviewer another file than the one that is read.
func (r *reader) plain(data []byte) (string, bool) {
	start := Pos{1, 1}
	switch {
	case len(data) > MaxFile:
		r.failAt(start, "", "", "expected a file of at most %d bytes", MaxFile)
		return "", false
	case !utf8.Valid(data):
		r.failAt(start, "", "save the file as UTF-8", "the file is not valid UTF-8")
		return "", false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	text := string(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))
	at := start
	for _, c := range text {
		switch {
		case c == '\n':
			at = Pos{at.Line + 1, 1}
			continue
		case c != '\t' && (unicode.In(c, unicode.Cc, unicode.Cf) || c == '\u2028' || c == '\u2029'):
			r.failAt(at, "", "take it out, or escape it in a double-quoted text", "the invisible character %U stands here", c)
			return "", false
		}
		at.Column++
	}
	return text, true
}

// visible escapes what must not reach a terminal or a CI system's log, which
// take control characters and new lines for commands.
func visible(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if hidden(c) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(c), "'"))
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

func hidden(c rune) bool { return c != ' ' && !unicode.IsPrint(c) }
