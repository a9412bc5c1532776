package lint

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// admission is one way in: the tokens of one provider, let in by one statement,
// with everything that narrows them down. That is the statement's own
// conditions and the Deny statements of the same policy, so that a rule sees a
// hole only where nothing closes it.
type admission struct {
	role      *inventory.Role
	trust     *inventory.Policy
	statement *inventory.Statement
	provider  provider
	// certain answers whether the statement allows the call at all.
	certain source.Truth
	// clauses must all be met by a token that gets in.
	clauses []clause
	// more says that there may be further conditions or Deny statements.
	more bool
	// mistaken says that a condition on a key that AWS does not have keeps
	// everybody out. That is a mistake, which unknown-key reports, and no
	// reason to pass over what stands beside it.
	mistaken bool
	// denied are subjects that a Deny statement keeps out.
	denied []subject.Pattern
}

// clause is met by a token that meets one of the alternatives. Without any
// alternative nothing meets it.
type clause struct {
	claim        string // empty where the alternatives are on several claims
	alternatives []alternative
	// open says that there may be further alternatives, or that the clause may
	// not hold for every call.
	open bool
	deny bool // a Deny statement makes it
}

// alternative is a claim that matches a pattern.
type alternative struct {
	claim   string // in lower case
	pattern subject.Pattern
	text    source.Text
}

// eachAdmission calls f for every way in that web identity callers may have.
func (p *pass) eachAdmission(f func(a *admission)) {
	p.eachTrust(func(r *inventory.Role, trust *inventory.Policy) {
		webIdentityStatements(trust, true, func(s *inventory.Statement, certain source.Truth) {
			list, _ := p.providers(s)
			for _, v := range everyProvider(list, trust) {
				a := &admission{role: r, trust: trust, statement: s, provider: v, certain: certain}
				a.more = trust.Open || s.ConditionsOpen || s.Open
				for i := range s.Conditions {
					a.allow(&s.Conditions[i])
				}
				webIdentityStatements(trust, false, a.deny)
				f(a)
			}
		})
	})
}

// everyProvider adds, for a statement that is for any provider, those that only
// other statements of the policy test.
func everyProvider(list []provider, trust *inventory.Policy) []provider {
	if !slices.ContainsFunc(list, func(v provider) bool { return v.other }) {
		return list
	}
	var hosts []string
	for i := range trust.Statements {
		hosts = append(hosts, keyHosts(&trust.Statements[i])...)
	}
	slices.Sort(hosts)
	for _, host := range slices.Compact(hosts) {
		if !slices.ContainsFunc(list, func(v provider) bool { return strings.EqualFold(v.Host, host) }) {
			list = append(list, makeProvider(list[0].Text, host, true))
		}
	}
	return list
}

// allow adds what a condition of the Allow statement asks for.
func (a *admission) allow(c *inventory.Condition) {
	if c.Test == "" {
		a.more = true // the operator is not known
		return
	}
	vacuous := c.IfExists || c.Qualifier == "ForAllValues" // a missing key meets it
	claim, is := a.provider.claimOf(c)
	switch {
	case is == source.Unknown:
		a.more = true
		return
	case is == source.No && strings.EqualFold(c.Key.String(), "aws:FederatedProvider"):
		if match := a.isProvider(c); positive(c.Test) && match != source.Yes {
			a.clauses = append(a.clauses, clause{open: match == source.Unknown})
		}
		return
	case a.absent(c, claim, is):
		switch {
		case holdsAbsent(c):
		case is == source.Yes:
			a.mistaken = true
		default:
			a.clauses = append(a.clauses, clause{})
		}
		return
	case is == source.No:
		return
	case vacuous && !a.provider.alwaysHas(claim):
		return
	}
	if c.Test == "Null" {
		if a.provider.alwaysHas(claim) && onlyValue(c.Values, "true") {
			a.clauses = append(a.clauses, clause{})
		}
		return
	}
	if strings.HasPrefix(c.Test, "Arn") && positive(c.Test) && a.provider.Platform != subject.Other {
		a.clauses = append(a.clauses, clause{}) // no claim of a CI system is an ARN
		return
	}
	if alternatives, ok := a.alternatives(c, claim); ok && positive(c.Test) {
		a.clauses = append(a.clauses, clause{claim: claim, alternatives: alternatives, open: c.Values.Open})
	}
}

func (a *admission) alternatives(c *inventory.Condition, claim string) (out []alternative, ok bool) {
	for _, v := range c.Values.List {
		pattern, text := valuePattern(c.Test, v, variablesIn(a.trust))
		if !text {
			return nil, false
		}
		out = append(out, alternative{claim, pattern, v})
	}
	if _, ok = valuePattern(c.Test, source.Text{}, false); ok && c.Values.Open && !slices.ContainsFunc(c.Values.List, unknownText) {
		rest := source.UnknownText("the values that are not known").At(c.Values.Position, source.Span{})
		pattern, _ := valuePattern(c.Test, rest, false)
		out = append(out, alternative{claim, pattern, rest})
	}
	return out, ok
}

func unknownText(t source.Text) bool {
	_, known := t.Known()
	return !known
}

// deny adds what a token must have so that a Deny statement spares it: one of
// the statement's conditions must not hold.
func (a *admission) deny(s *inventory.Statement, certain source.Truth) {
	applies := certain.And(a.denies(s))
	if applies == source.No {
		return
	}
	c := clause{deny: true, open: applies != source.Yes || s.ConditionsOpen || s.Open}
	for i := range s.Conditions {
		cond := &s.Conditions[i]
		alternatives, spares, known := a.spared(cond)
		if !known {
			c.open = true
			continue
		}
		if spares {
			if len(s.Conditions) == 1 && !c.open {
				a.deniedSubjects(cond)
			}
			return
		}
		c.alternatives = append(c.alternatives, alternatives...)
		c.open = c.open || cond.Values.Open
	}
	a.clauses = append(a.clauses, c)
}

// spared is what of a Deny statement's condition spares a token: that a claim
// matches one of the alternatives. spares says that it spares tokens in a way
// that narrows nothing down.
func (a *admission) spared(c *inventory.Condition) (alternatives []alternative, spares, known bool) {
	if c.Test == "" {
		return nil, false, false
	}
	claim, is := a.provider.claimOf(c)
	switch {
	case is == source.Unknown:
		return nil, false, false
	case is == source.No && strings.EqualFold(c.Key.String(), "aws:FederatedProvider") && positive(c.Test):
		match := a.isProvider(c)
		return nil, match == source.No, match != source.Unknown
	case a.absent(c, claim, is):
		return nil, positive(c.Test) || !holdsAbsent(c), true
	case is == source.No:
		return nil, true, true
	}
	there := a.provider.alwaysHas(claim)
	switch {
	case c.Test == "Null":
		return nil, !(there && onlyValue(c.Values, "false")), true
	case positive(c.Test):
		return nil, true, true
	case c.Qualifier == "ForAnyValue" && !there:
		return nil, true, true // a missing claim spares the token
	}
	alternatives, ok := a.alternatives(c, claim)
	return alternatives, !ok, true
}

// deniedSubjects notes subjects that a Deny statement keeps out by itself.
func (a *admission) deniedSubjects(c *inventory.Condition) {
	claim, is := a.provider.claimOf(c)
	if is != source.Yes || claim != "sub" || !positive(c.Test) {
		return
	}
	alternatives, _ := a.alternatives(c, claim)
	for _, alt := range alternatives {
		if !variablesIn(a.trust) || !strings.Contains(alt.text.String(), "${") {
			a.denied = append(a.denied, alt.pattern)
		}
	}
}

// denies answers whether a Deny statement's principals hold the provider.
func (a *admission) denies(s *inventory.Statement) source.Truth {
	switch {
	case s.Principal != nil && s.Principal.Any == source.Yes:
		return source.Yes
	case s.Principal != nil:
		out := source.No
		if s.Principal.Open || s.Principal.Federated.Open || s.Principal.Any == source.Unknown {
			out = source.Unknown
		}
		for _, t := range s.Principal.Federated.List {
			out = out.Or(sameText(t, a.provider.Text))
		}
		return out
	case s.NotPrincipal != nil:
		// AWS does not say whether NotPrincipal excepts a federated caller that
		// it lists, so nothing is built on that.
		out := source.No
		if s.NotPrincipal.Open || s.NotPrincipal.Federated.Open || s.NotPrincipal.Any != source.No {
			out = source.Unknown
		}
		for _, t := range s.NotPrincipal.Federated.List {
			if same := sameText(t, a.provider.Text); same != source.No {
				out = source.Unknown
			}
		}
		return out.Not()
	case s.Open:
		return source.Unknown
	}
	return source.No
}

// sameText answers whether two texts are the same once they are deployed.
func sameText(a, b source.Text) source.Truth {
	if known, ok := b.Known(); ok {
		return a.Equals(known)
	}
	if known, ok := a.Known(); ok {
		return b.Equals(known)
	}
	if a.String() == b.String() {
		return source.Yes // the same expression of the same file
	}
	return source.Unknown
}

// isProvider answers whether a positive condition on aws:FederatedProvider
// holds for the provider.
func (a *admission) isProvider(c *inventory.Condition) source.Truth {
	arn, known := a.provider.Text.Known()
	if !known || c.Values.Open || !strings.HasPrefix(c.Test, "String") {
		return source.Unknown
	}
	out := source.No
	for _, v := range c.Values.List {
		pattern, _ := valuePattern(c.Test, v, variablesIn(a.trust))
		match := source.Truth(pattern.Matches(arn))
		if match == source.Yes && v.Contains("${") == source.Yes {
			match = source.Unknown
		}
		out = out.Or(match)
	}
	return out
}

// absent reports whether no token of the provider ever has a condition's key:
// it is another issuer's, or AWS makes none of the claim.
func (a *admission) absent(c *inventory.Condition, claim string, is source.Truth) bool {
	if is == source.No {
		_, _, other := splitKey(c.Key)
		return other
	}
	return is == source.Yes && !a.provider.exposes(claim)
}

// holdsAbsent reports whether a condition holds for a key that is not there.
func holdsAbsent(c *inventory.Condition) bool {
	switch {
	case c.Test == "Null":
		return !onlyValue(c.Values, "false")
	case c.IfExists || c.Qualifier == "ForAllValues":
		return true
	}
	return !positive(c.Test) && c.Qualifier != "ForAnyValue"
}

func onlyValue(v inventory.Values, want string) bool {
	return !v.Open && len(v.List) > 0 && !slices.ContainsFunc(v.List, func(t source.Text) bool { return t.Equals(want) != source.Yes })
}

// positive reports whether an operator holds where a value matches, and not
// where the key is missing.
func positive(test string) bool { return test != "Null" && !strings.Contains(test, "Not") }

// exposes reports whether AWS makes a condition key of the claim. Of an issuer
// that is not known it is assumed.
func (v provider) exposes(claim string) bool {
	if !v.Known {
		return true
	}
	claims, _ := iam.IssuerClaims(v.Host)
	return slices.ContainsFunc(claims, func(c string) bool { return strings.EqualFold(c, claim) })
}

// required are the claims that every token of a platform has, beside sub and
// aud. The environment of a GitHub job is none of them, nor the enterprise.
var required = map[subject.Platform][]string{
	subject.GitHub:    {"actor", "actor_id", "job_workflow_ref", "ref", "repository", "repository_id", "repository_owner_id", "workflow"},
	subject.GitLab:    {"namespace_id", "pipeline_source", "project_id", "ref_protected", "user_id", "user_login"},
	subject.Buildkite: {"organization_id", "organization_slug", "pipeline_id", "pipeline_slug", "build_branch"},
}

// alwaysHas reports whether every token of the provider has the claim.
func (v provider) alwaysHas(claim string) bool {
	return claim == "sub" || claim == "aud" || slices.Contains(required[v.Platform], claim)
}

// closed answers whether every token that gets in meets f with one of its
// claims: f holds for all alternatives of at least one clause.
func (a *admission) closed(f func(claim string, p subject.Pattern) source.Truth) source.Truth {
	out := source.No
	if a.more {
		out = source.Unknown
	}
	for _, c := range a.clauses {
		all := source.Yes
		if c.open {
			all = source.Unknown
		}
		for _, alt := range c.alternatives {
			if all = all.And(f(alt.claim, alt.pattern)); all == source.No {
				break // nothing makes it better
			}
		}
		if out = out.Or(all); out == source.Yes {
			break
		}
	}
	return out
}

// subjects calls f for every subject that the statement's own conditions name.
func (a *admission) subjects(f func(alt alternative, s subject.Subject)) {
	for _, c := range a.clauses {
		if c.deny {
			continue
		}
		for _, alt := range c.alternatives {
			if alt.claim != "sub" {
				continue
			}
			if text, known := alt.pattern.Text(); known && a.isDenied(text) {
				continue
			}
			f(alt, a.parse(alt.pattern))
		}
	}
}

func (a *admission) isDenied(sub string) bool {
	return slices.ContainsFunc(a.denied, func(p subject.Pattern) bool { return p.Matches(sub) == subject.Yes })
}

func (a *admission) parse(p subject.Pattern) subject.Subject {
	return subject.Parse(p, a.provider.Platform)
}

// tests reports whether a condition of the statement asks for a claim to be
// something.
func (a *admission) tests(claim string) bool {
	return slices.ContainsFunc(a.clauses, func(c clause) bool { return !c.deny && c.claim == claim })
}

// holds combines what makes a finding: bad is that the value is what the rule
// is about, closed that something else narrows it down.
func (a *admission) holds(bad, closed source.Truth) source.Truth {
	return a.certain.And(bad).And(closed.Not())
}
