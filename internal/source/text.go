package source

import (
	"strings"

	"github.com/stint-dev/stint/internal/truth"
)

// Position is a place in a file. Lines and columns start at 1, a column counts
// characters. The zero Position is no place at all.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// IsZero reports whether p is no place at all.
func (p Position) IsZero() bool { return p == Position{} }

// Span is a range of bytes of a file, from Start up to but not including End.
// The zero Span is none: what it belongs to stands nowhere as it is.
type Span struct{ Start, End int }

// Truth is an answer about something that may not be known. The zero value is
// Unknown: nothing is guessed safe or unsafe.
type Truth = truth.Truth

// The answers.
const (
	Unknown = truth.Unknown
	No      = truth.No
	Yes     = truth.Yes
)

// Truthful is the Truth of something that is known.
func Truthful(b bool) Truth { return truth.Of(b) }

// Part is a piece of a Text: literal text, or something that is not known
// before it is deployed.
type Part struct {
	Literal string
	// Unknown says what stands there, as its author wrote it: ${var.org},
	// !Ref Org. Empty for literal text.
	Unknown string
	// Resource and Attribute name the resource of the same files whose
	// attribute stands there, such as aws_iam_role.deploy and arn. Empty for
	// everything else that is not known.
	Resource  string
	Attribute string
}

// Text is a string of a document, as far as it is known. The zero Text is the
// empty string.
type Text struct {
	Parts    []Part
	Position Position
	// Span is where the whole text stands in the file of Position, with its
	// quotes, if it stands there literally.
	Span Span
}

// Literal is a Text that is wholly known.
func Literal(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{Parts: []Part{{Literal: s}}}
}

// UnknownText is a Text of which nothing is known; what says what stands there.
func UnknownText(what string) Text {
	if what == "" {
		what = "?"
	}
	return Text{Parts: []Part{{Unknown: what}}}
}

// At is the text at another place.
func (t Text) At(p Position, s Span) Text {
	t.Position, t.Span = p, s
	return t
}

// Join is the texts one after the other. Its place is that of the first.
func Join(texts ...Text) Text {
	var out Text
	var run strings.Builder // of literal parts
	flush := func() {
		if run.Len() > 0 {
			out.Parts = append(out.Parts, Part{Literal: run.String()})
			run.Reset()
		}
	}
	for i, t := range texts {
		if i == 0 {
			out.Position, out.Span = t.Position, t.Span
		}
		for _, p := range t.Parts {
			if p.Unknown == "" {
				run.WriteString(p.Literal)
				continue
			}
			flush()
			out.Parts = append(out.Parts, p)
		}
	}
	flush()
	if len(texts) > 1 {
		out.Span = Span{}
	}
	return out
}

// Known is the text, and whether it is wholly known.
func (t Text) Known() (string, bool) {
	switch len(t.Parts) {
	case 0:
		return "", true
	case 1:
		return t.Parts[0].Literal, t.Parts[0].Unknown == ""
	}
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Unknown != "" {
			return "", false
		}
		b.WriteString(p.Literal)
	}
	return b.String(), true
}

// String is the text for a reader: what is not known stands in it as its
// author wrote it.
func (t Text) String() string {
	var b strings.Builder
	for _, p := range t.Parts {
		b.WriteString(p.Literal)
		b.WriteString(p.Unknown)
	}
	return b.String()
}

// Unknowns are the parts that are not known, as their author wrote them.
func (t Text) Unknowns() []string {
	var out []string
	for _, p := range t.Parts {
		if p.Unknown != "" {
			out = append(out, p.Unknown)
		}
	}
	return out
}

// Prefix is what is known of the text's beginning.
func (t Text) Prefix() string {
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Unknown != "" {
			break
		}
		b.WriteString(p.Literal)
	}
	return b.String()
}

// Suffix is what is known of the text's end.
func (t Text) Suffix() string {
	out := ""
	for i := len(t.Parts) - 1; i >= 0 && t.Parts[i].Unknown == ""; i-- {
		out = t.Parts[i].Literal + out
	}
	return out
}

// Equals answers whether the text is s.
func (t Text) Equals(s string) Truth {
	if known, ok := t.Known(); ok {
		return Truthful(known == s)
	}
	p, q := t.Prefix(), t.Suffix()
	if !strings.HasPrefix(s, p) || !strings.HasSuffix(s, q) || len(p)+len(q) > len(s) {
		return No
	}
	return Unknown
}

// HasPrefix answers whether the text begins with s.
func (t Text) HasPrefix(s string) Truth {
	if known, ok := t.Known(); ok {
		return Truthful(strings.HasPrefix(known, s))
	}
	p := t.Prefix()
	switch {
	case strings.HasPrefix(p, s):
		return Yes
	case strings.HasPrefix(s, p):
		return Unknown
	}
	return No
}

// HasSuffix answers whether the text ends with s.
func (t Text) HasSuffix(s string) Truth {
	if known, ok := t.Known(); ok {
		return Truthful(strings.HasSuffix(known, s))
	}
	q := t.Suffix()
	switch {
	case strings.HasSuffix(q, s):
		return Yes
	case strings.HasSuffix(s, q):
		return Unknown
	}
	return No
}

// Contains answers whether s stands anywhere in the text.
func (t Text) Contains(s string) Truth {
	unknown := false
	run := ""
	for _, p := range t.Parts {
		if p.Unknown != "" {
			unknown, run = true, ""
			continue
		}
		if run += p.Literal; strings.Contains(run, s) {
			return Yes
		}
	}
	if unknown || s == "" {
		if s == "" {
			return Yes
		}
		return Unknown
	}
	return No
}
