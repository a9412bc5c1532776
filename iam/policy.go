package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// VersionCurrent is the version of the policy language that knows variables.
const VersionCurrent = "2012-10-17"

// VersionOld is the version of a policy that names none. ${...} is plain text in it.
const VersionOld = "2008-10-17"

// Policy is a parsed and compiled policy. It is immutable and safe for
// concurrent use; only ParsePolicy makes one. The exported fields are a view
// to read: changing them changes no decision. The zero Policy allows nothing.
type Policy struct {
	Version    string // as written; empty where the document has none, which means VersionOld
	ID         string
	Statements []Statement

	compiled []statement
}

// Effect is what a statement does when it matches. The zero value denies.
type Effect int

// The effects of a statement.
const (
	EffectDeny Effect = iota
	EffectAllow
)

func (e Effect) String() string {
	if e == EffectAllow {
		return "Allow"
	}
	return "Deny"
}

// MarshalText writes the effect as a policy does.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Statement is one statement of a policy as it was written. Of each pair such
// as Action and NotAction at most one is set.
type Statement struct {
	Position     Position
	Sid          string
	Effect       Effect
	Principal    *Principals
	NotPrincipal *Principals
	Action       Values
	NotAction    Values
	Resource     Values
	NotResource  Values
	Conditions   []Condition
}

// Value is one string of a policy and where it stands.
type Value struct {
	Position Position
	Text     string
}

func (v Value) String() string { return v.Text }

// Values is a list of strings; a policy may write a list of one as a string.
type Values []Value

// Strings returns the texts alone.
func (vs Values) Strings() []string {
	if vs == nil {
		return nil
	}
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = v.Text
	}
	return out
}

// Principals is the Principal or NotPrincipal element of a statement.
type Principals struct {
	Position      Position
	Any           bool // "Principal": "*", as opposed to {"AWS": "*"}
	AWS           Values
	Federated     Values
	Service       Values
	CanonicalUser Values
}

// Qualifier is the set qualifier before a condition operator, if any.
type Qualifier string

// The qualifiers for keys with several values.
const (
	NoQualifier  Qualifier = ""
	ForAllValues Qualifier = "ForAllValues"
	ForAnyValue  Qualifier = "ForAnyValue"
)

// Condition is one key under one operator, with the values it is compared to.
type Condition struct {
	Position   Position  // of the key
	Operator   string    // as written, such as ForAnyValue:StringLikeIfExists
	OperatorAt Position  // of the operator
	Qualifier  Qualifier // ForAllValues, ForAnyValue or none
	Test       string    // the bare operator, such as StringLike
	IfExists   bool
	Key        string
	Values     Values
}

// Negated reports whether the operator is one that holds where the key is
// missing, such as StringNotEquals.
func (c Condition) Negated() bool { return operators[c.Test].negated }

// Operators lists the condition operators that ParsePolicy knows, without
// qualifiers and IfExists, sorted.
func Operators() []string { return operatorNames() }

// MarshalJSON writes the policy as a document that ParsePolicy reads and that
// decides as this one does. Values that were written as booleans or numbers
// come out as strings, lists of one stay lists.
func (p *Policy) MarshalJSON() ([]byte, error) {
	if p == nil || p.compiled == nil {
		return nil, errors.New("iam: marshalling a policy that ParsePolicy did not make")
	}
	w := &objectWriter{}
	w.open()
	if p.Version != "" {
		w.field("Version", p.Version)
	}
	if p.ID != "" {
		w.field("Id", p.ID)
	}
	w.name("Statement")
	w.buf.WriteByte('[')
	for i := range p.Statements {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		w.statement(&p.Statements[i])
	}
	w.buf.WriteByte(']')
	w.close()
	if w.err != nil {
		return nil, fmt.Errorf("iam: marshalling a policy: %w", w.err)
	}
	return w.buf.Bytes(), nil
}

// objectWriter keeps the order of the document, which encoding/json's maps
// would not: the operators of a Condition come out as they were written.
type objectWriter struct {
	buf   bytes.Buffer
	first []bool
	err   error
}

func (w *objectWriter) open() {
	w.buf.WriteByte('{')
	w.first = append(w.first, true)
}

func (w *objectWriter) close() {
	w.buf.WriteByte('}')
	w.first = w.first[:len(w.first)-1]
}

func (w *objectWriter) name(name string) {
	last := len(w.first) - 1
	if !w.first[last] {
		w.buf.WriteByte(',')
	}
	w.first[last] = false
	w.value(name)
	w.buf.WriteByte(':')
}

func (w *objectWriter) value(v any) {
	enc := json.NewEncoder(&w.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil && w.err == nil {
		w.err = err
	}
	w.buf.Truncate(w.buf.Len() - 1) // the newline that Encode adds
}

func (w *objectWriter) field(name string, v any) {
	w.name(name)
	w.value(v)
}

func (w *objectWriter) list(name string, vs Values) {
	if vs != nil {
		w.field(name, vs.Strings())
	}
}

func (w *objectWriter) principals(name string, p *Principals) {
	if p == nil {
		return
	}
	if p.Any {
		w.field(name, "*")
		return
	}
	w.name(name)
	w.open()
	w.list("AWS", p.AWS)
	w.list("Federated", p.Federated)
	w.list("Service", p.Service)
	w.list("CanonicalUser", p.CanonicalUser)
	w.close()
}

func (w *objectWriter) statement(s *Statement) {
	w.open()
	if s.Sid != "" {
		w.field("Sid", s.Sid)
	}
	w.field("Effect", s.Effect.String())
	w.principals("Principal", s.Principal)
	w.principals("NotPrincipal", s.NotPrincipal)
	w.list("Action", s.Action)
	w.list("NotAction", s.NotAction)
	w.list("Resource", s.Resource)
	w.list("NotResource", s.NotResource)
	if len(s.Conditions) > 0 {
		w.name("Condition")
		w.open()
		for i := 0; i < len(s.Conditions); {
			operator := s.Conditions[i].Operator
			w.name(operator)
			w.open()
			for ; i < len(s.Conditions) && s.Conditions[i].Operator == operator; i++ {
				w.list(s.Conditions[i].Key, s.Conditions[i].Values)
			}
			w.close()
		}
		w.close()
	}
	w.close()
}
