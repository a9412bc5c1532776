package inventory

import (
	"errors"

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

// Values is a list of strings of a policy.
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
func ParsePolicy(n *source.Node) *Policy {
	r := policyReader{}
	p := r.policy(n)
	if p.Err = r.err; p.Err != nil {
		return p
	}
	text, known := n.JSON()
	if !known {
		return p
	}
	full, err := iam.ParsePolicy(text)
	if err == nil {
		p.Full = full
		return p
	}
	e := &source.Error{Position: n.Position, Message: err.Error(), Err: err}
	var syntax *iam.SyntaxError
	if errors.As(err, &syntax) {
		e.Message = syntax.Message
		if syntax.Path != "" {
			e.Message = syntax.Path + ": " + syntax.Message
		}
		if at, ok := locate(n, syntax.Path); ok {
			e.Position = at
		}
	}
	p.Err = e
	return p
}
