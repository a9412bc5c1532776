package inventory

import (
	"errors"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/source"
)

// Policy is a policy document, as far as it is known.
type Policy struct {
	Node       *source.Node
	Version    source.Text
	Statements []Statement
	// Open says that there may be further statements that are not known.
	Open bool
	// Full is the policy itself, where all of it is known and AWS would take it.
	Full *iam.Policy
	// Err is why AWS would refuse the document: a *source.Error, at its place
	// in the file. A document of which something is not known is checked as
	// far as that goes.
	Err error
}

// Statement is one statement of a policy. Of its elements only what was
// understood is there; what is malformed is the policy's Err.
type Statement struct {
	Index    int
	Node     *source.Node
	Position source.Position
	// Open says that the statement may have further elements that are not
	// known.
	Open bool

	Sid    source.Text
	Effect source.Text

	Principal    *Principals // nil where there is no such element
	NotPrincipal *Principals
	Action       Values
	NotAction    Values
	Resource     Values
	NotResource  Values
	Conditions   []Condition
	// ConditionsOpen says that there may be further conditions.
	ConditionsOpen bool
}

// Allows answers whether the statement's effect is Allow.
func (s Statement) Allows() source.Truth { return s.Effect.Equals("Allow") }

// Values is a list of strings of a policy. A value that is not known at all
// stands in List as unknown text; since it may be a list too, Open is then set.
type Values struct {
	Present  bool // the element is there
	Position source.Position
	List     []source.Text
	Open     bool // there may be further values
}

// Principals is a Principal or NotPrincipal element.
type Principals struct {
	Position source.Position
	Any      source.Truth // it is "*"
	AWS      Values
	// Federated are the providers, by ARN or by the host of a built-in one.
	Federated     Values
	Service       Values
	CanonicalUser Values
	Open          bool // there may be further principals
}

// Condition is one key under one operator.
type Condition struct {
	Operator source.Text // as written, such as ForAnyValue:StringLikeIfExists
	// Qualifier, Test and IfExists are the parts of a known operator.
	Qualifier string // ForAllValues, ForAnyValue or empty
	Test      string // the bare operator, such as StringLike
	IfExists  bool
	Key       source.Text
	Position  source.Position // of the key
	Values    Values
}

// ParsePolicy reads a policy document. A document that is a string holding
// JSON must have been parsed by its reader.
//
// The positions in Full, and those of an *iam.SyntaxError in Err, are places in
// the document's file.
func ParsePolicy(n *source.Node) *Policy {
	p := readPolicy(n)
	if n == nil || n.Kind == source.KindUnknown {
		return p
	}
	text, known := n.JSON()
	if !known {
		text, _ = supposed(n).JSON()
	}
	full, err := iam.ParsePolicy(text)
	switch {
	case err != nil:
		p.Err = placed(n, err)
	case known:
		relocate(full, p)
		p.Full = full
	}
	return p
}

// placed is an error of package iam at its place in the file. The parser saw
// the document as it was written anew, so its own places mean nothing.
func placed(n *source.Node, err error) error {
	e := &source.Error{Position: n.Position, Message: err.Error(), Err: err}
	var syntax *iam.SyntaxError
	if !errors.As(err, &syntax) {
		return e
	}
	moved := *syntax
	e.Position, _ = locate(n, syntax.Path)
	moved.Line, moved.Column = e.Position.Line, e.Position.Column
	if before, _, doubled := strings.Cut(syntax.Message, ", it already stands at "); doubled {
		moved.Message = before + "; condition keys compare in any case"
	}
	e.Message, e.Err = moved.Message, &moved
	if moved.Path != "" {
		e.Message = moved.Path + ": " + moved.Message
	}
	return e
}

// relocate puts the places of the file into a policy that was read from a
// document written anew.
func relocate(full *iam.Policy, p *Policy) {
	for i := range min(len(full.Statements), len(p.Statements)) {
		to, from := &full.Statements[i], &p.Statements[i]
		to.Position = iamPosition(from.Position)
		relocatePrincipals(to.Principal, from.Principal)
		relocatePrincipals(to.NotPrincipal, from.NotPrincipal)
		relocateValues(to.Action, from.Action)
		relocateValues(to.NotAction, from.NotAction)
		relocateValues(to.Resource, from.Resource)
		relocateValues(to.NotResource, from.NotResource)
		for k := range min(len(to.Conditions), len(from.Conditions)) {
			c, own := &to.Conditions[k], &from.Conditions[k]
			c.Position, c.OperatorAt = iamPosition(own.Position), iamPosition(own.Operator.Position)
			relocateValues(c.Values, own.Values)
		}
	}
}

func relocatePrincipals(to *iam.Principals, from *Principals) {
	if to == nil || from == nil {
		return
	}
	to.Position = iamPosition(from.Position)
	relocateValues(to.AWS, from.AWS)
	relocateValues(to.Federated, from.Federated)
	relocateValues(to.Service, from.Service)
	relocateValues(to.CanonicalUser, from.CanonicalUser)
}

func relocateValues(to iam.Values, from Values) {
	for i := range min(len(to), len(from.List)) {
		to[i].Position = iamPosition(from.List[i].Position)
	}
}

func iamPosition(p source.Position) iam.Position { return iam.Position{Line: p.Line, Column: p.Column} }
