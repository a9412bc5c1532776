package explain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/stint-dev/stint/iam"
)

// Op is what an Edit does to a policy.
type Op string

// The operations.
const (
	AddValue        Op = "add-value"        // To joins the values of a condition
	ReplaceValue    Op = "replace-value"    // From becomes To among the values of a condition
	RemoveValue     Op = "remove-value"     // From leaves the values of a condition
	SetOperator     Op = "set-operator"     // the condition is put under the operator To
	RenameKey       Op = "rename-key"       // the condition's key becomes To
	RemoveCondition Op = "remove-condition" // the condition goes
	AddPrincipal    Op = "add-principal"    // To joins the Federated principals
	ReplacePrinc    Op = "replace-principal"
	AddAction       Op = "add-action"
	RemoveStatement Op = "remove-statement"
	AddResource     Op = "add-resource"
	AddStatement    Op = "add-statement" // To is the statement as JSON
	SetVersion      Op = "set-version"   // the policy's Version becomes To

	// disarmStatement makes the statement match nothing. It is never proposed.
	disarmStatement Op = "disarm-statement"
)

// Edit is one change of a policy.
type Edit struct {
	Op        Op     `json:"op"`
	Statement int    `json:"statement"`
	Operator  string `json:"operator,omitempty"` // of the condition that is changed
	Key       string `json:"key,omitempty"`
	From      string `json:"from,omitempty"`
	To        string `json:"to,omitempty"`
	// Policy is the name of the policy, where there are several.
	Policy string `json:"policy,omitempty"`
}

// Apply makes the edits in a copy of p. It fails where an edit names what is
// not in the policy, and where the policy would be none any more.
func Apply(p *iam.Policy, edits []Edit) (*iam.Policy, error) {
	if p == nil {
		return nil, errors.New("changing a policy: there is none")
	}
	changed := *p
	changed.Statements = slices.Clone(p.Statements)
	var removed []int
	for _, e := range edits {
		if e.Op == AddStatement {
			added, err := iam.ParsePolicy([]byte(`{"Statement": [` + e.To + `]}`))
			if err != nil {
				return nil, fmt.Errorf("adding a statement: %w", err)
			}
			changed.Statements = append(changed.Statements, added.Statements...)
			continue
		}
		if e.Op == SetVersion {
			changed.Version = e.To
			continue
		}
		if e.Statement < 0 || e.Statement >= len(changed.Statements) {
			return nil, fmt.Errorf("changing a policy: expected one of its %d statements, found %d", len(changed.Statements), e.Statement)
		}
		if e.Op == RemoveStatement {
			removed = append(removed, e.Statement)
			continue
		}
		if err := e.apply(&changed.Statements[e.Statement]); err != nil {
			return nil, fmt.Errorf("changing statement %d: %w", e.Statement, err)
		}
	}
	slices.Sort(removed)
	for _, i := range slices.Backward(slices.Compact(removed)) {
		changed.Statements = slices.Delete(changed.Statements, i, i+1)
	}
	document, err := changed.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("changing a policy: %w", err)
	}
	return iam.ParsePolicy(document)
}

func (e Edit) apply(s *iam.Statement) error {
	switch e.Op {
	case disarmStatement:
		s.NotAction, s.Action = nil, iam.Values{{Text: "none:Nothing"}}
		return nil
	case AddAction:
		if s.Action == nil {
			return errors.New("expected an Action, found none")
		}
		s.Action = append(slices.Clone(s.Action), iam.Value{Text: e.To})
		return nil
	case AddResource:
		if s.Resource == nil {
			return errors.New("expected a Resource, found none")
		}
		s.Resource = append(slices.Clone(s.Resource), iam.Value{Text: e.To})
		return nil
	case AddPrincipal, ReplacePrinc:
		if s.Principal != nil && e.Key == "AWS" {
			own := *s.Principal
			own.AWS = append(slices.Clone(own.AWS), iam.Value{Text: e.To})
			s.Principal = &own
			return nil
		}
		if s.Principal == nil || s.Principal.Any {
			return errors.New("expected a Principal that names providers, found none")
		}
		own := *s.Principal
		own.Federated = slices.Clone(own.Federated)
		if e.Op == ReplacePrinc {
			own.Federated = slices.DeleteFunc(own.Federated, func(v iam.Value) bool { return v.Text == e.From })
		}
		own.Federated = append(own.Federated, iam.Value{Text: e.To})
		s.Principal = &own
		return nil
	}
	at := slices.IndexFunc(s.Conditions, func(c iam.Condition) bool { return c.Operator == e.Operator && c.Key == e.Key })
	if at < 0 {
		return fmt.Errorf("expected a condition %s on %s, found none", e.Operator, e.Key)
	}
	s.Conditions = slices.Clone(s.Conditions)
	c := &s.Conditions[at]
	c.Values = slices.Clone(c.Values)
	switch e.Op {
	case AddValue:
		c.Values = append(c.Values, iam.Value{Text: e.To})
	case ReplaceValue, RemoveValue:
		i := slices.IndexFunc(c.Values, func(v iam.Value) bool { return v.Text == e.From })
		if i < 0 {
			return fmt.Errorf("expected the value %q, found none", e.From)
		}
		if e.Op == ReplaceValue {
			c.Values[i].Text = e.To
		} else {
			c.Values = slices.Delete(c.Values, i, i+1)
		}
	case RenameKey:
		c.Key = e.To
	case RemoveCondition:
		s.Conditions = slices.Delete(s.Conditions, at, at+1)
	case SetOperator:
		moved := *c
		moved.Operator = e.To
		s.Conditions = slices.Delete(s.Conditions, at, at+1)
		// Conditions of one operator stand together in a document.
		to := slices.IndexFunc(s.Conditions, func(c iam.Condition) bool { return c.Operator == e.To })
		if to < 0 {
			to = at
			for to > 0 && to < len(s.Conditions) && s.Conditions[to-1].Operator == s.Conditions[to].Operator {
				to++
			}
		}
		s.Conditions = slices.Insert(s.Conditions, to, moved)
	default:
		return fmt.Errorf("unknown change %q", e.Op)
	}
	return nil
}
