package lint

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// structureRules are the rules on how a trust policy is put together: its
// operators, keys, statements and principals.
func structureRules() []Rule {
	return slices.Concat(operatorRules(), keyRules(), statementRules(), principalRules())
}

// assumeActions are the actions that let a caller into a role.
var assumeActions = []string{webIdentityAction, "sts:AssumeRole", "sts:AssumeRoleWithSAML"}

// letsIn answers whether a statement lets callers into the role, if they meet
// its conditions.
func letsIn(s *statement) source.Truth {
	out := source.No
	for _, action := range assumeActions {
		out = out.Or(grants(s, action))
	}
	return s.Allows().And(out)
}

// eachAllow calls f for every statement of a trust policy that may let callers
// in.
func (p *pass) eachAllow(f func(r *role, trust *policy, s *statement, certain source.Truth)) {
	p.eachTrust(func(r *role, trust *policy) {
		for i := range trust.Statements {
			s := &trust.Statements[i]
			if certain := letsIn(s); certain != source.No {
				f(r, trust, s, certain)
			}
		}
	})
}

// verdict reports a finding that is certain, or says why it is not. A rule that
// does not apply says nothing.
func (p *pass) verdict(is source.Truth, subject string, at source.Text, fix, message, unknown string) {
	switch is {
	case source.Yes:
		p.report(subject, at, fix, "%s", message)
	case source.Unknown:
		p.unknown(subject, at, "%s", unknown)
	}
}

// keyIs answers whether a condition is on a key, in any case of letters.
func keyIs(c *inventory.Condition, key string) source.Truth {
	return lowerText(c.Key).Equals(strings.ToLower(key))
}

// sameKey answers whether two conditions are on one key.
func sameKey(a, b *inventory.Condition) source.Truth {
	return sameText(lowerText(a.Key), lowerText(b.Key))
}

// lowerText is a text in lower case, as keys compare.
func lowerText(t source.Text) source.Text {
	t.Parts = slices.Clone(t.Parts)
	for i := range t.Parts {
		t.Parts[i].Literal = strings.ToLower(t.Parts[i].Literal)
	}
	return t
}

// demands reports whether a condition holds only where the key is there.
func demands(c *inventory.Condition) bool {
	if c.Test == "Null" {
		return onlyValue(c.Values, "false")
	}
	return c.Test != "" && positive(c.Test) && !c.IfExists && c.Qualifier != "ForAllValues"
}

// demanded answers whether another condition of the statement demands the key
// of c.
func demanded(s *statement, c *inventory.Condition) source.Truth {
	out := source.No
	if s.ConditionsOpen || s.Open {
		out = source.Unknown
	}
	for i := range s.Conditions {
		other := &s.Conditions[i]
		switch same := sameKey(other, c); {
		case other == c || same == source.No:
		case other.Test == "" || demands(other) && same == source.Unknown:
			out = source.Unknown
		case demands(other):
			return source.Yes
		}
	}
	return out
}

// first is the first value of a condition, or its key where it has none: where
// a finding on all of it points.
func first(c *inventory.Condition) source.Text {
	if len(c.Values.List) > 0 {
		return c.Values.List[0]
	}
	return c.Key
}
