package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/stint-dev/stint/internal/lint"
	"github.com/stint-dev/stint/internal/source"
)

// lintText prints a report for people.
type lintText struct {
	content           func(file string) []byte
	lines             map[string][][]byte // of the files that were shown
	unknown, silenced bool                // show each of them
}

func (p lintText) print(w io.Writer, r lint.Report) error {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.Unknown && !p.unknown {
			continue
		}
		p.finding(&b, f)
		if f.Fix != "" && !f.Unknown {
			fmt.Fprintf(&b, "  fix: %s\n", printable(f.Fix))
		}
		b.WriteByte('\n')
	}
	if p.silenced {
		for _, s := range r.Silenced {
			p.finding(&b, s.Finding)
			fmt.Fprintf(&b, "  silenced at %s: %s\n\n", printable(where(s.By.Position)), printable(s.By.Reason))
		}
	}
	if !p.unknown && r.Summary.Unknown > 0 {
		foldUnknown(&b, r)
	}
	s := r.Summary
	counted := []string{count(s.Errors, "error"), count(s.Warnings, "warning"), count(s.Notes, "note"),
		fmt.Sprintf("%d unknown", s.Unknown), fmt.Sprintf("%d silenced", s.Silenced)}
	read := count(s.Files, "file")
	switch found := found(s.Found); {
	case found != "":
		read += ": " + found
	case s.Files > 0:
		read += " with nothing to lint"
	}
	if s.Problems > 0 {
		read += ", " + count(s.Problems, "problem")
	}
	fmt.Fprintf(&b, "%s; %s\n", strings.Join(counted, ", "), read)
	_, err := io.WriteString(w, b.String())
	return err
}

// found says what there was to lint.
func found(f lint.Found) string {
	var out []string
	for _, k := range []struct {
		n         int
		one, many string
	}{
		{f.Roles, "role", "roles"}, {f.Policies, "policy", "policies"}, {f.Providers, "provider", "providers"},
		{f.Credentials, "federated credential", "federated credentials"}, {f.Workflows, "workflow", "workflows"},
		{f.Configurations, "configuration", "configurations"},
	} {
		switch {
		case k.n == 1:
			out = append(out, "1 "+k.one)
		case k.n > 1:
			out = append(out, fmt.Sprintf("%d %s", k.n, k.many))
		}
	}
	return strings.Join(out, ", ")
}

// where is a place as compilers write it. A file's name must not begin a line
// as a command to GitHub's runner does.
func where(p source.Position) string {
	if strings.HasPrefix(p.File, "::") {
		p.File = "./" + p.File
	}
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

func (p lintText) finding(b *strings.Builder, f lint.Finding) {
	kind := string(f.Severity)
	if f.Unknown {
		kind = "unknown"
	}
	fmt.Fprintf(b, "%s: %s: %s [%s]\n", printable(where(f.Position)), kind, printable(f.Message), f.Rule)
	if f.Subject != "" {
		fmt.Fprintf(b, "  in:  %s\n", printable(f.Subject))
	}
	p.excerpt(b, f)
}

// foldUnknown counts what could not be decided, by rule and reason.
func foldUnknown(b *strings.Builder, r lint.Report) {
	type reason struct{ rule, message string }
	counts := map[reason]int{}
	for _, f := range r.Findings {
		if f.Unknown {
			counts[reason{f.Rule, f.Message}]++
		}
	}
	reasons := make([]reason, 0, len(counts))
	for k := range counts {
		reasons = append(reasons, k)
	}
	slices.SortFunc(reasons, func(a, b reason) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.message, b.message))
	})
	verb := "could not be decided"
	fmt.Fprintf(b, "unknown: %s %s; --unknown shows the places\n", count(r.Summary.Unknown, "check"), verb)
	const most = 10
	for i, k := range reasons {
		if i == most {
			fmt.Fprintf(b, "  and %s\n", count(len(reasons)-most, "other reason"))
			break
		}
		times := ""
		if n := counts[k]; n > 1 {
			times = fmt.Sprintf(", %d times", n)
		}
		fmt.Fprintf(b, "  %s [%s]%s\n", printable(k.message), k.rule, times)
	}
	b.WriteByte('\n')
}

// The columns of a terminal that an excerpt takes at most, and those that stay
// in sight before a value that stands further behind.
const (
	excerptWidth  = 120
	excerptBefore = 40
)

// excerpt shows the line of a finding with a mark under the value.
func (p lintText) excerpt(b *strings.Builder, f lint.Finding) {
	before, value, after, ok := p.around(f)
	if !ok {
		return
	}
	before = cells(before, 0)
	value = cells(value, width(before))
	after = cells(after, width(before)+width(value))
	before = strings.TrimLeft(before, " ")
	if over := width(before) - excerptBefore; over > 0 && width(before)+width(value) > excerptWidth {
		before = "…" + cutLeft(before, over+1)
	}
	room := excerptWidth - width(before)
	value = cutRight(value, room)
	after = cutRight(after, room-width(value))
	number := fmt.Sprint(f.Position.Line)
	mark := "^" + strings.Repeat("~", max(width(value)-1, 0))
	fmt.Fprintf(b, "  %s | %s\n", number, strings.TrimRight(before+value+after, " "))
	fmt.Fprintf(b, "  %s | %s%s\n", strings.Repeat(" ", len(number)), strings.Repeat(" ", width(before)), mark)
}

// excerptBytes is how much of a line around a value is looked at. A file may be
// one line of megabytes, with thousands of findings.
const excerptBytes = 1024

// around is the value of a finding with what stands around it in its line.
func (p lintText) around(f lint.Finding) (before, value, after string, ok bool) {
	line, ok := p.line(f.Position)
	if !ok || f.Position.Column < 1 {
		return "", "", "", false
	}
	data := p.content(f.Position.File)
	if s := f.Span; s.End > s.Start && s.Start >= 0 && s.End <= len(data) {
		from := max(bytes.LastIndexByte(data[max(s.Start-excerptBytes, 0):s.Start], '\n')+1+max(s.Start-excerptBytes, 0), 0)
		// The span may go over the end of the line: that is not marked.
		inside, _, cut := bytes.Cut(data[s.Start:s.End], []byte("\n"))
		var rest []byte
		if !cut {
			rest, _, _ = bytes.Cut(data[s.End:min(s.End+excerptBytes, len(data))], []byte("\n"))
		}
		return whole(data[from:s.Start]), strings.TrimRight(whole(inside[:min(len(inside), excerptBytes)]), "\r"), strings.TrimRight(whole(rest), "\r"), true
	}
	if len(line) > 64*excerptBytes {
		return "", "", "", false
	}
	runes := []rune(string(line))
	start := min(f.Position.Column-1, len(runes))
	end := min(start+1, len(runes))
	return string(runes[:start]), string(runes[start:end]), string(runes[end:]), true
}

// whole is text without the halves of characters at its ends.
func whole(b []byte) string { return strings.ToValidUTF8(string(b), "") }

// line is a line of a file without its end.
func (p lintText) line(at source.Position) ([]byte, bool) {
	lines, ok := p.lines[at.File]
	if !ok {
		lines = bytes.Split(p.content(at.File), []byte("\n"))
		p.lines[at.File] = lines
	}
	if at.Line < 1 || at.Line > len(lines) {
		return nil, false
	}
	return bytes.TrimRight(lines[at.Line-1], "\r"), true
}

// cells is text fit for a terminal, with tabs as blanks. Each character of it
// is as wide as cellWidth says.
func cells(text string, at int) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\t' {
			n := 4 - at%4
			b.WriteString(strings.Repeat(" ", n))
			at += n
			continue
		}
		b.WriteRune(r)
		at += cellWidth(r)
	}
	return printable(b.String())
}

func width(s string) int {
	n := 0
	for _, r := range s {
		n += cellWidth(r)
	}
	return n
}

// cutLeft takes at least n columns from the beginning.
func cutLeft(s string, n int) string {
	for i, r := range s {
		if n <= 0 {
			return s[i:]
		}
		n -= cellWidth(r)
	}
	return ""
}

// cutRight keeps at most n columns, the last one of which says that something
// is missing.
func cutRight(s string, n int) string {
	if width(s) <= n {
		return s
	}
	at := 0
	for i, r := range s {
		if at += cellWidth(r); at >= n {
			return s[:i] + "…"
		}
	}
	return s
}

// wide are the characters that take two columns: the East Asian Width W and F
// of Unicode's annex 11, by block.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0x33ff, Stride: 1},
		{Lo: 0x3400, Hi: 0x4dbf, Stride: 1}, {Lo: 0x4e00, Hi: 0x9fff, Stride: 1}, {Lo: 0xa000, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff00, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

func cellWidth(r rune) int {
	switch {
	case r < 0x300: // no mark and nothing wide stands before
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}
