package fix

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/stint-dev/stint/internal/source"
)

// edit changes one literal of a file.
type edit struct {
	span source.Span
	unit source.Span // the edits of one unit are made together, or none of them
	old  string      // the literal's value
	new  string      // "" for a literal that goes
	// beside says that the old value stays before the new one.
	beside bool
}

// literal is a value as it stands in its file: with its quotes, or none.
type literal struct{ quote string }

func (l literal) write(value string) string { return l.quote + value + l.quote }

// readLiteral says how a value is written at a place. ok is false where
// something else than the plain value stands there, such as an escape.
func readLiteral(data []byte, span source.Span, value string) (l literal, ok bool) {
	if span.Start < 0 || span.End > len(data) || span.Start >= span.End || value == "" || !plain(value) {
		return l, false
	}
	switch raw := string(data[span.Start:span.End]); raw {
	case value:
		return literal{}, true
	case `"` + value + `"`:
		return literal{`"`}, true
	case "'" + value + "'":
		return literal{"'"}, true
	}
	return l, false
}

// plain reports whether a value is written the same in JSON, YAML and
// Terraform, quoted or not.
func plain(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool {
		return unicode.IsControl(r) || strings.ContainsRune("\"'\\$%#`", r) || r == unicode.ReplacementChar
	})
}

// apply makes the edits of a file. They are made from the end of the file to
// its beginning, so that the places of those to come stay what they are. ok is
// false where one cannot be made.
func apply(file string, data []byte, edits []edit) (out []byte, ok bool) {
	edits = slices.Clone(edits)
	slices.SortFunc(edits, func(a, b edit) int { return b.span.Start - a.span.Start })
	yaml := isYAML(file, data)
	out = slices.Clone(data)
	for i, e := range edits {
		l, ok := readLiteral(out, e.span, e.old)
		if !ok || i > 0 && e.span.End > edits[i-1].span.Start {
			return nil, false
		}
		t := text{data: out, span: e.span, yaml: yaml}
		switch {
		case e.new == "":
			out = t.remove()
		case e.beside:
			out = t.add(l, e)
		default:
			out = t.splice(e.span.Start, e.span.End, l.write(e.new))
		}
	}
	return out, true
}

func isYAML(file string, data []byte) bool {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".json", ".tf", ".hcl", ".tfvars":
		return false
	}
	first := bytes.TrimLeft(data, "\ufeff \t\r\n")
	return len(first) == 0 || first[0] != '{' && first[0] != '['
}

// text is a literal in its surroundings.
type text struct {
	data []byte
	span source.Span
	yaml bool
}

func (t text) splice(start, end int, by string) []byte {
	return slices.Concat(t.data[:start], []byte(by), t.data[end:])
}

// line is the range of the line that holds the literal, without its end.
func (t text) line() (start, end int) {
	start = bytes.LastIndexByte(t.data[:t.span.Start], '\n') + 1
	end = len(t.data)
	if i := bytes.IndexByte(t.data[t.span.End:], '\n'); i >= 0 {
		end = t.span.End + i
		if end > 0 && t.data[end-1] == '\r' {
			end--
		}
	}
	return start, end
}

// eol is how the literal's line ends, or what the file's others end with.
func (t text) eol() string {
	_, end := t.line()
	if end == len(t.data) {
		end = bytes.IndexByte(t.data, '\n') - 1
	}
	if end >= 0 && t.data[end] == '\r' {
		return "\r\n"
	}
	return "\n"
}

var (
	// blockItem is what stands before an item of a YAML list with dashes: the
	// dash, and maybe a tag.
	blockItem = regexp.MustCompile(`^([ \t]*-[ \t]+)(![A-Za-z:]+[ \t]+)?$`)
	tag       = regexp.MustCompile(`![A-Za-z:]+[ \t]+$`)
	// behind is what may follow an item that has a line for itself.
	behind = regexp.MustCompile(`^([ \t]*,)?[ \t]*((#|//).*)?$`)
)

// ownLine reports whether nothing but the literal, a comma and a comment stands
// on its line; comma is where that comma ends, or 0.
func (t text) ownLine() (comma int, ok bool) {
	start, end := t.line()
	before, after := t.data[start:t.span.Start], t.data[t.span.End:end]
	if len(bytes.TrimSpace(before)) > 0 && !blockItem.Match(before) {
		return 0, false
	}
	m := behind.FindSubmatchIndex(after)
	if m == nil {
		return 0, false
	}
	if m[3] > 0 {
		comma = t.span.End + m[3]
	}
	return comma, true
}

// isBlockItem reports whether the literal is an item of a YAML list with a dash
// for each.
func (t text) isBlockItem() bool {
	start, _ := t.line()
	return t.yaml && blockItem.Match(t.data[start:t.span.Start])
}

// alone reports whether the literal is the only value of a key, and in no list.
// It begins at start, with its tag.
func (t text) alone() (start int, ok bool) {
	start = t.span.Start
	if line, _ := t.line(); t.yaml {
		start -= len(tag.Find(t.data[line:start]))
	}
	before := bytes.TrimRight(t.data[:start], " \t\r\n")
	return start, len(before) > 0 && (before[len(before)-1] == ':' || before[len(before)-1] == '=')
}

// add puts a value behind the literal.
func (t text) add(l literal, e edit) []byte {
	start, end := t.line()
	indent := string(t.data[start:t.span.Start])
	comma, own := t.ownLine()
	only, alone := t.alone()
	switch {
	case t.isBlockItem() && own:
		// A tag such as !Sub says nothing about a text without variables.
		dash := blockItem.FindStringSubmatch(indent)[1]
		return t.splice(end, end, t.eol()+dash+l.write(e.new))
	case alone:
		if l.quote == "" {
			l.quote = `"` // commas and colons mean something between brackets
		}
		return t.splice(only, t.span.End, "["+l.write(e.old)+", "+l.write(e.new)+"]")
	case own && strings.TrimSpace(indent) == "":
		// The new item has the comma that the old one had, behind the old
		// one's comment.
		if comma > 0 {
			return t.splice(end, end, t.eol()+indent+l.write(e.new)+",")
		}
		with := t.splice(end, end, t.eol()+indent+l.write(e.new))
		return slices.Concat(with[:t.span.End], []byte(","), with[t.span.End:])
	}
	return t.splice(t.span.End, t.span.End, ", "+l.write(e.new))
}

// remove takes the literal out of its list, with one of the commas beside it.
func (t text) remove() []byte {
	start, end := t.line()
	next := end
	if i := bytes.IndexByte(t.data[end:], '\n'); i >= 0 {
		next = end + i + 1
	}
	comma, own := t.ownLine()
	if own && (comma > 0 || t.isBlockItem()) {
		return t.splice(start, next, "")
	}
	const blanks = " \t\r\n"
	if after := bytes.TrimLeft(t.data[t.span.End:], blanks); len(after) > 0 && after[0] == ',' {
		after = bytes.TrimLeft(after[1:], " \t")
		return t.splice(t.span.Start, len(t.data)-len(after), "")
	}
	// The last item: the comma before it goes too, where one stands there.
	before := bytes.TrimRight(t.data[:t.span.Start], blanks)
	last := len(before) > 0 && before[len(before)-1] == ','
	switch {
	case own && last && len(before) <= start:
		return slices.Concat(before[:len(before)-1], t.data[len(before):start], t.data[next:])
	case own:
		return t.splice(start, next, "")
	case last:
		return t.splice(len(before)-1, t.span.End, "")
	}
	return t.splice(t.span.Start, t.span.End, "")
}
