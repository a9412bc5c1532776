package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// operatorRules are the rules on condition operators that say something else
// than they seem to.
func operatorRules() []Rule {
	return []Rule{
		{
			ID: "for-all-values", Severity: Error, Title: "ForAllValues where one value is meant",
			Why:   "ForAllValues holds for a request that lacks the key, so the condition asks for nothing where the key is absent or misspelt.",
			Fix:   "Leave ForAllValues: out, or use ForAnyValue: for a key with several values.",
			check: forAllValues,
		},
		{
			ID: "if-exists", Severity: Error, Title: "IfExists on the subject or the audience",
			Why:   "IfExists holds for a request that lacks the key, so the condition that everything hangs on asks for nothing where the key is absent or misspelt.",
			Fix:   "Use the operator without IfExists.",
			check: ifExists,
		},
		{
			ID: "negated-only", Severity: Error, Title: "only subjects that may not",
			Why:   "A negated operator keeps out those whom somebody thought of, and lets in every other job of every stranger on the platform.",
			Fix:   "Say which subjects may: StringEquals, or StringLike with the owner and the repository written out.",
			check: negatedOnly,
		},
		{
			ID: "variable-in-value", Severity: Error, Title: "a policy variable that compares nothing",
			Why:   "A variable that stands for the caller's own claim compares the token with itself, and one that has no value, or that Version does not allow, equals nothing.",
			Fix:   "Write the value out.",
			check: variableInValue,
		},
		{
			ID: "literal-wildcard", Severity: Error, Title: "a wildcard that is taken literally",
			Why:   "StringEquals takes * and ? for the characters that they are, which no subject has, so the value matches nothing.",
			Fix:   "Use StringLike for values with wildcards.",
			check: literalWildcard,
		},
	}
}

// setKeys are keys with several values that ForAllValues is made for: nothing is
// lost where a request has none of them.
var setKeys = []string{"aws:TagKeys", "sts:TransitiveTagKeys", "aws:CalledVia"}

func isSetKey(c *inventory.Condition) bool {
	return slices.ContainsFunc(setKeys, func(k string) bool { return keyIs(c, k) == source.Yes })
}

func forAllValues(p *pass) {
	p.eachAllow(func(r *role, _ *policy, s *statement, certain source.Truth) {
		for i := range s.Conditions {
			c := &s.Conditions[i]
			if c.Qualifier != "ForAllValues" || !positive(c.Test) || isSetKey(c) {
				continue
			}
			if _, known := c.Key.Known(); !known {
				if _, _, claim := splitKey(c.Key); !claim {
					continue // it may be a key that ForAllValues is made for
				}
			}
			p.verdict(certain.And(demanded(s, c).Not()), r.Address, c.Operator,
				fmt.Sprintf("Write %s instead of %s.", bare(c), c.Operator),
				fmt.Sprintf("%s on %s holds for a request that has no such key", c.Operator, c.Key),
				fmt.Sprintf("whether something else asks for %s, which %s does not, depends on conditions that are not known", c.Key, c.Operator))
		}
	})
}

// severalValues are keys that may hold several values, which a bare operator is
// not made for.
var severalValues = []string{"aws:PrincipalOrgPaths", "aws:PrincipalServiceNamesList"}

// bare is a condition's operator without ForAllValues and IfExists.
func bare(c *inventory.Condition) string {
	if _, claim, _ := splitKey(c.Key); strings.EqualFold(claim, "amr") || slices.ContainsFunc(severalValues, func(k string) bool { return keyIs(c, k) == source.Yes }) {
		return "ForAnyValue:" + c.Test
	}
	return c.Test
}

func ifExists(p *pass) {
	p.eachAllow(func(r *role, _ *policy, s *statement, certain source.Truth) {
		for _, claim := range []string{"sub", "aud"} {
			for _, c := range conditionsOn(s, claim) {
				if !c.IfExists {
					continue
				}
				operator := strings.TrimSuffix(c.Operator.String(), "IfExists")
				p.verdict(certain.And(demanded(s, c).Not()), r.Address, c.Operator,
					fmt.Sprintf("Write %s instead of %s.", operator, c.Operator),
					fmt.Sprintf("%s on %s holds for a request that has no such key", c.Operator, c.Key),
					fmt.Sprintf("whether something else asks for %s, which %s does not, depends on conditions that are not known", c.Key, c.Operator))
			}
		}
	})
}

func negatedOnly(p *pass) {
	p.eachAdmission(func(a *admission) {
		if a.provider.Shared == source.No || a.tests("sub") {
			return
		}
		var negated *inventory.Condition
		for _, c := range conditionsOn(a.statement, "sub") {
			if c.Test != "" && c.Test != "Null" && !positive(c.Test) && negated == nil {
				negated = c
			}
		}
		if negated == nil {
			return
		}
		fix := fmt.Sprintf("Add StringEquals or StringLike %s with the subjects that may come in, such as %q.", a.key("sub"), a.example())
		p.verdict(a.holds(a.provider.Shared, a.closed(a.fixesOwner)), a.name(), first(negated), fix,
			fmt.Sprintf("%s only says which subjects may not come in: every other one on %s does", negated.Operator, a.issuer()),
			fmt.Sprintf("whether something says which subjects may come in, beside %s, depends on what is not known", negated.Operator))
	})
}

// equalsOf are the operators that take * and ? for plain characters, with the
// one that takes them for wildcards; empty where there is none.
var equalsOf = map[string]string{
	"StringEquals": "StringLike", "StringNotEquals": "StringNotLike",
	"StringEqualsIgnoreCase": "", "StringNotEqualsIgnoreCase": "",
}

// withoutStars are condition keys, beside an issuer's, whose values never hold
// a * or a ?. One that ends in / is the beginning of keys.
var withoutStars = []string{
	"aws:FederatedProvider", "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalTag/",
	"aws:RequestTag/", "aws:ResourceTag/", "aws:SourceAccount", "aws:SourceArn", "aws:SourceIdentity", "aws:SourceOrgID", "aws:TagKeys",
	"aws:userid", "aws:username", "iam:ResourceTag/", "sts:ExternalId", "sts:RoleSessionName", "sts:SourceIdentity", "sts:TransitiveTagKeys",
}

func neverStars(key source.Text) bool {
	if _, _, claim := splitKey(key); claim {
		return true
	}
	text := strings.ToLower(key.String())
	return slices.ContainsFunc(withoutStars, func(k string) bool {
		k = strings.ToLower(k)
		return text == k || strings.HasSuffix(k, "/") && strings.HasPrefix(text, k)
	})
}

func literalWildcard(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		for i := range trust.Statements {
			s := &trust.Statements[i]
			for k := range s.Conditions {
				c := &s.Conditions[k]
				instead, equals := equalsOf[c.Test]
				if !equals || !neverStars(c.Key) {
					continue
				}
				for _, v := range c.Values.List {
					if !starred(v, variablesIn(trust)) {
						continue
					}
					p.report(r.Address, v, fixWildcard(c, instead), "%s takes the wildcard in %q literally, so it %s", c.Operator, v, deadEffect(s, c))
				}
			}
		}
	})
}

// starred reports whether a value has a * or ? of its own. The escapes ${*} and
// ${?} are meant to be the characters, and what is not known is not suspected.
func starred(v source.Text, variables bool) bool {
	for _, part := range v.Parts {
		text := part.Literal
		if variables {
			text = withoutVariables(text)
		}
		if strings.ContainsAny(text, "*?") {
			return true
		}
	}
	return false
}

func withoutVariables(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, after, closed := cutVariable(rest)
		if !closed {
			return b.String()
		}
		s = after
	}
}

// deadEffect says what a value does that equals nothing.
func deadEffect(s *statement, c *inventory.Condition) string {
	allow := s.Allows() != source.No
	switch {
	case c.IfExists || c.Qualifier == "ForAllValues":
		return "matches nothing" // but the condition may hold without the key
	case positive(c.Test) && allow:
		return "lets nobody in"
	case positive(c.Test):
		return "keeps nobody out"
	case allow:
		return "excludes nobody"
	}
	return "spares nobody"
}

func fixWildcard(c *inventory.Condition, instead string) string {
	if instead == "" {
		return "Write the value out: no operator that ignores the case of letters knows wildcards."
	}
	return fmt.Sprintf("Move the value to %s, which knows wildcards.", strings.Replace(c.Operator.String(), c.Test, instead, 1))
}
