package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// principalRules are the rules on who a statement is for.
func principalRules() []Rule {
	return []Rule{
		{
			ID: "any-principal", Severity: Error, Title: "everybody may ask",
			Why:   "Every principal of every AWS account matches a * there, so that only the conditions keep strangers out.",
			Fix:   "Name the provider, the roles or the account, or test aws:PrincipalOrgID or aws:PrincipalArn beside it.",
			check: anyPrincipal,
		},
		{
			ID: "foreign-provider", Severity: Error, Title: "a provider of another account",
			Why:   "STS looks for the provider of a web identity in the account of the role, so one of another account lets nobody in.",
			Fix:   "Make the provider in the role's account and name that one.",
			check: foreignProvider,
		},
		{
			ID: "not-principal", Severity: Error, Title: "NotPrincipal in a trust policy",
			Why:   "NotPrincipal means everybody but a few, AWS does not support it with Allow, and it does not say whom it excepts among federated callers.",
			Fix:   "Name who may in Principal, and keep others out with conditions.",
			check: notPrincipal,
		},
		{
			ID: "not-action", Severity: Warning, Title: "NotAction in a trust policy",
			Why:   "NotAction allows every other way into the role too, sts:TagSession and sts:SetSourceIdentity included, and those that AWS adds later.",
			Fix:   "Name the actions in Action.",
			check: notAction,
		},
	}
}

func anyPrincipal(p *pass) {
	p.eachAllow(func(r *role, trust *policy, s *statement, certain source.Truth) {
		if s.Principal == nil {
			return
		}
		anybody, at := s.Principal.Any, source.Literal("*").At(s.Principal.Position, source.Span{})
		for _, t := range s.Principal.AWS.List {
			if t.Equals("*") == source.Yes && anybody != source.Yes {
				// It holds AWS principals only, and a web identity is none.
				anybody, at, certain = source.Yes, t, s.Allows().And(grants(s, "sts:AssumeRole"))
			}
		}
		if anybody != source.Yes {
			return // what is not known is not suspected of being a *
		}
		narrowed := source.No
		if s.ConditionsOpen || s.Open {
			narrowed = source.Unknown
		}
		for i := range s.Conditions {
			narrowed = narrowed.Or(tellsCaller(&s.Conditions[i], variablesIn(trust)))
		}
		narrowed = narrowed.Or(deniesOthers(trust))
		p.verdict(certain.And(narrowed.Not()), r.Address, at, "",
			"everybody on AWS may ask for the role, and no condition says whose request it must be",
			"everybody on AWS may ask for the role; whether a condition says whose request it must be is not known")
	})
}

// tellsCaller answers whether a condition holds for certain callers only.
func tellsCaller(c *inventory.Condition, variables bool) source.Truth {
	if c.Test == "" {
		return source.Unknown
	}
	if !demands(c) || c.Test == "Null" || anyValue(c) {
		return source.No
	}
	if _, claim, ok := splitKey(c.Key); ok {
		// Only tokens of this issuer have the key. Whether the value is narrow
		// enough, the rules on subjects say.
		return source.Truthful(claim != "aud")
	}
	if _, known := c.Key.Known(); !known {
		return source.Unknown
	}
	return onCaller(c, variables)
}

// deniesOthers answers whether a Deny statement keeps out everybody but certain
// callers: by a negated operator on a key that tells whose request it is.
func deniesOthers(trust *policy) source.Truth {
	out := unless(trust.Open)
	for i := range trust.Statements {
		s := &trust.Statements[i]
		if s.Allows() == source.Yes {
			continue
		}
		for k := range s.Conditions {
			c := &s.Conditions[k]
			// Under ForAnyValue a caller without the key is not denied.
			if c.Test != "" && (c.Test == "Null" || positive(c.Test) || c.Qualifier == "ForAnyValue") {
				continue
			}
			is := s.Effect.Equals("Deny").And(grants(s, "sts:AssumeRole"))
			if c.Test != "" {
				is = is.And(onCaller(c, variablesIn(trust)))
			}
			if len(s.Conditions) > 1 || s.ConditionsOpen || c.Test == "" || s.Principal == nil || s.Principal.Any != source.Yes {
				is = is.And(source.Unknown) // whom it spares beside those is not judged
			}
			out = out.Or(is)
		}
	}
	return out
}

func foreignProvider(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		own := r.AccountID
		if own == "" {
			own = accountOf(r.ARN)
		}
		if own == "" {
			return
		}
		webIdentityStatements(trust, true, func(s *statement, certain source.Truth) {
			if s.Principal == nil {
				return
			}
			for _, t := range s.Principal.Federated.List {
				account := accountOf(t)
				if account == "" || account == own || t.Contains(":oidc-provider/") != source.Yes {
					continue
				}
				p.verdict(certain, r.Address, t, fmt.Sprintf("Make the provider in account %s, and write %q.", own, strings.Replace(t.String(), account, own, 1)),
					fmt.Sprintf("the provider is one of account %s, and the role is in %s: no token gets in", account, own),
					fmt.Sprintf("the provider is one of account %s, and the role is in %s; whether the statement is for web identities is not known", account, own))
			}
		})
	})
}

func notPrincipal(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		for i := range trust.Statements {
			if s := &trust.Statements[i]; s.NotPrincipal != nil {
				p.report(r.Address, source.Text{Position: s.NotPrincipal.Position}, "", "%s", notPrincipalMessage(s))
			}
		}
	})
}

func notPrincipalMessage(s *statement) string {
	if s.Allows() == source.No {
		return "NotPrincipal in a Deny: AWS does not say which federated callers it spares"
	}
	return "NotPrincipal names who may not assume the role, and AWS does not support that"
}

func notAction(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		for i := range trust.Statements {
			s := &trust.Statements[i]
			if !s.NotAction.Present || s.Allows() == source.No {
				continue
			}
			var names []string
			for _, t := range s.NotAction.List {
				names = append(names, t.String())
			}
			slices.Sort(names)
			p.verdict(s.Allows(), r.Address, source.Text{Position: s.NotAction.Position}, "",
				fmt.Sprintf("NotAction allows everything but %s", strings.Join(names, ", ")),
				"NotAction stands in a statement of which it is not known whether it allows")
		}
	})
}
