package subject

import (
	"strings"

	"github.com/stint-dev/stint/internal/truth"
)

// Truth is an answer about text of which parts may not be known. The zero
// value is Unknown.
type Truth = truth.Truth

// The answers.
const (
	Unknown = truth.Unknown
	No      = truth.No
	Yes     = truth.Yes
)

func truthful(b bool) Truth { return truth.Of(b) }

// Kind is what a Piece stands for.
type Kind uint8

// The kinds of pieces.
const (
	// Literal is text that stands for itself.
	Literal Kind = iota
	// Any is the wildcard *: any run of characters, / and : included.
	Any
	// One is the wildcard ?: any single character.
	One
	// Hole is text that is not known and may hold wildcards, as a Terraform
	// variable under StringLike.
	Hole
	// Fixed is text that is not known and stands for itself whatever it is, as
	// a Terraform variable under StringEquals.
	Fixed
)

// Piece is a part of a Pattern.
type Piece struct {
	Kind Kind
	Text string // the literal text, or what stands for text that is not known
}

// Pattern is what a condition compares a claim with: text, wildcards, and text
// that is not known. No two literal pieces follow each other.
type Pattern []Piece

// Exact is the pattern that matches s alone.
func Exact(s string) Pattern { return Pattern(nil).add(Piece{Text: s}) }

// Like is the pattern that s is under IAM's StringLike.
func Like(s string) Pattern {
	var p Pattern
	for s != "" {
		i := strings.IndexAny(s, "*?")
		if i < 0 {
			return p.add(Piece{Text: s})
		}
		kind := Any
		if s[i] == '?' {
			kind = One
		}
		p = p.add(Piece{Text: s[:i]}, Piece{Kind: kind})
		s = s[i+1:]
	}
	return p
}

// Join is patterns one after the other.
func Join(patterns ...Pattern) Pattern {
	var out Pattern
	for _, p := range patterns {
		out = out.add(p...)
	}
	return out
}

func (p Pattern) add(pieces ...Piece) Pattern {
	for _, q := range pieces {
		last := len(p) - 1
		switch {
		case q.Kind == Literal && q.Text == "":
		case last >= 0 && q.Kind == Literal && p[last].Kind == Literal:
			p = append(p[:last:last], Piece{Text: p[last].Text + q.Text})
		case last >= 0 && q.Kind == Any && p[last].Kind == Any:
		default:
			p = append(p, q)
		}
	}
	return p
}

// String is the pattern as it is written.
func (p Pattern) String() string {
	var b strings.Builder
	for _, q := range p {
		switch q.Kind {
		case Any:
			b.WriteByte('*')
		case One:
			b.WriteByte('?')
		default:
			b.WriteString(q.Text)
		}
	}
	return b.String()
}

// Text is the one text that the pattern matches; ok is false where it matches
// more, or where not all of it is known.
func (p Pattern) Text() (text string, ok bool) {
	switch {
	case len(p) == 0:
		return "", true
	case len(p) == 1 && p[0].Kind == Literal:
		return p[0].Text, true
	}
	return "", false
}

// Wild answers whether the pattern has a wildcard.
func (p Pattern) Wild() Truth {
	out := No
	for _, q := range p {
		switch q.Kind {
		case Any, One:
			return Yes
		case Hole:
			out = Unknown
		}
	}
	return out
}

// Unknowns are the pieces that are not known, as their author wrote them.
func (p Pattern) Unknowns() []string {
	var out []string
	for _, q := range p {
		if q.Kind == Hole || q.Kind == Fixed {
			out = append(out, q.Text)
		}
	}
	return out
}

// Prefix is the literal text that the pattern begins with.
func (p Pattern) Prefix() string {
	if len(p) > 0 && p[0].Kind == Literal {
		return p[0].Text
	}
	return ""
}

// Suffix is the literal text that the pattern ends with.
func (p Pattern) Suffix() string {
	if n := len(p); n > 0 && p[n-1].Kind == Literal {
		return p[n-1].Text
	}
	return ""
}

// maxMatch bounds the work of Matches: the product of both lengths. No subject
// comes near it.
const maxMatch = 1 << 20

// Matches answers whether the pattern matches s, letter case included. What is
// too long to be a subject is Unknown.
func (p Pattern) Matches(s string) Truth {
	if (len(p)+len(p.String()))*len(s) > maxMatch {
		return Unknown
	}
	// Where unknown text is taken for *, a mismatch is certain; where the text
	// is known, so is a match.
	wide := make(Pattern, len(p))
	known := true
	for i, q := range p {
		wide[i] = q
		if q.Kind == Hole || q.Kind == Fixed {
			wide[i], known = Piece{Kind: Any}, false
		}
	}
	switch {
	case !glob(wide, s):
		return No
	case known:
		return Yes
	}
	return Unknown
}

// glob matches with one place to come back to: the last star. A later star
// never needs an earlier one to move.
func glob(p Pattern, s string) bool {
	i, at := 0, 0
	star, resume := -1, 0
	for at < len(s) || i < len(p) {
		ok := false
		if i < len(p) {
			switch q := p[i]; q.Kind {
			case Any:
				star, resume = i, at
				i++
				continue
			case One:
				if ok = at < len(s); ok {
					at += charLen(s[at:])
					i++
				}
			default:
				if ok = strings.HasPrefix(s[at:], q.Text); ok {
					at += len(q.Text)
					i++
				}
			}
		}
		if ok {
			continue
		}
		if star < 0 || resume >= len(s) {
			return false
		}
		resume += charLen(s[resume:])
		i, at = star+1, resume
	}
	return true
}

// cut splits the pattern at the first literal sep. before has all pieces up to
// it, wildcards included.
func (p Pattern) cut(sep string) (before, after Pattern, found bool) {
	for i, q := range p {
		if q.Kind != Literal {
			continue
		}
		if head, tail, ok := strings.Cut(q.Text, sep); ok {
			return Join(p[:i], Exact(head)), Join(Exact(tail), p[i+1:]), true
		}
	}
	return p, nil, false
}

// fields splits the pattern at every literal sep.
func (p Pattern) fields(sep string) []Pattern {
	var out []Pattern
	var field Pattern
	for _, q := range p {
		if q.Kind != Literal {
			field = field.add(q)
			continue
		}
		text := q.Text
		for {
			head, tail, found := strings.Cut(text, sep)
			field = field.add(Piece{Text: head})
			if !found {
				break
			}
			out, field, text = append(out, field), nil, tail
		}
	}
	return append(out, field)
}
