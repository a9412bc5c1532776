// Package truth has answers about things that may not be known.
package truth

// Truth is an answer about something that may not be known. The zero value is
// Unknown: nothing is guessed safe or unsafe.
type Truth int

// The answers.
const (
	Unknown Truth = iota
	No
	Yes
)

// Of is the Truth of something that is known.
func Of(b bool) Truth {
	if b {
		return Yes
	}
	return No
}

func (t Truth) String() string {
	switch t {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "unknown"
}

// Not turns yes into no and no into yes.
func (t Truth) Not() Truth {
	switch t {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Unknown
}

// Or is yes where one of the two is, and no where both are.
func (t Truth) Or(u Truth) Truth {
	switch {
	case t == Yes || u == Yes:
		return Yes
	case t == No && u == No:
		return No
	}
	return Unknown
}

// And is yes where both are, and no where one of the two is.
func (t Truth) And(u Truth) Truth { return t.Not().Or(u.Not()).Not() }
