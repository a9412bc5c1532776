package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// statementRules are the rules on statements as a whole, and on the audience.
func statementRules() []Rule {
	return []Rule{
		{
			ID: "split-conditions", Severity: Error, Title: "the second condition in a second statement",
			Why:   "Statements are alternatives: whoever meets one of them gets in, so a condition in a second statement narrows nothing down.",
			Fix:   "Put all conditions into one statement.",
			check: splitConditions,
		},
		{
			ID: "audience-missing", Severity: Warning, Title: "no test of the audience",
			Why:   "A token that a job asked for to show to somebody else is then good for this role too, as far as the provider lists that audience.",
			Fix:   "Add a StringEquals condition on the issuer's aud key with the audience that jobs ask for.",
			check: audienceMissing,
		},
		{
			ID: "audience-unlisted", Severity: Error, Title: "an audience that the provider does not list",
			Why:   "STS refuses a token whose audience is not among the provider's client ids before it looks at the role, so the value never matches.",
			Fix:   "Add the audience to the provider's client ids, or test one that is there.",
			check: audienceUnlisted,
		},
		{
			ID: "invalid-policy", Severity: Error, Title: "a policy that AWS refuses",
			Why:   "AWS does not store such a document, so the role is not made, or keeps its former policy.",
			Fix:   "Mend the document.",
			check: invalidPolicy,
		},
	}
}

func splitConditions(p *pass) {
	// All ways into one role, together.
	var ways []*admission
	compare := func() {
		for _, narrow := range ways {
			if !narrow.tests("sub") {
				continue
			}
			// One other statement is enough to tell, and bounds what is said.
			if i := slices.IndexFunc(ways, func(open *admission) bool {
				return open.statement.Index != narrow.statement.Index && onlyAudience(open) && sameText(narrow.provider.Text, open.provider.Text) == source.Yes
			}); i >= 0 {
				p.split(narrow, ways[i])
			}
		}
		ways = nil
	}
	p.eachAdmission(func(a *admission) {
		if len(ways) > 0 && ways[0].trust != a.trust {
			compare()
		}
		ways = append(ways, a)
	})
	compare()
}

// onlyAudience reports whether a statement asks for nothing but an audience.
func onlyAudience(a *admission) bool {
	for _, c := range a.clauses {
		if c.deny || c.claim != "aud" {
			return false
		}
	}
	for i := range a.statement.Conditions {
		c := &a.statement.Conditions[i]
		if _, claim, ok := splitKey(c.Key); !ok || strings.EqualFold(claim, "sub") && positive(c.Test) {
			return false
		}
	}
	return true
}

func (p *pass) split(narrow, open *admission) {
	at := source.Text{Position: narrow.statement.Position}
	for _, c := range conditionsOn(narrow.statement, "sub") {
		if positive(c.Test) {
			at = c.Key
			break
		}
	}
	line := open.statement.Position.Line
	is := narrow.certain.And(open.certain)
	if open.more {
		is = is.And(source.Unknown)
	}
	p.verdict(is, narrow.name(), at, fmt.Sprintf("Move the condition into the statement at line %d, and take this statement out.", line),
		fmt.Sprintf("this statement tests the subject, and the one at line %d lets the same provider's tokens in without that: statements are alternatives", line),
		fmt.Sprintf("whether the statement at line %d tests the subject too depends on what is not known", line))
}

func audienceMissing(p *pass) {
	p.eachAdmission(func(a *admission) {
		if v := p.declared(a); v != nil && len(v.ClientIDs) == 1 && !v.ClientIDsOpen {
			return // the provider takes no other audience, and STS checks that first
		}
		tested := a.closed(func(claim string, pattern subject.Pattern) source.Truth {
			if claim != "aud" {
				return source.No
			}
			return source.Truthful(pattern.String() != "*" || pattern.Wild() == subject.No)
		})
		if marked, _ := cutText(a.provider.Text, "oidc-provider/"); !a.provider.Known && !marked {
			tested = tested.Or(source.Unknown) // whether it is an OIDC provider is not known
		}
		at := a.provider.Text
		for _, c := range conditionsOn(a.statement, "aud") {
			at = first(c)
		}
		fix := fmt.Sprintf("Add StringEquals %s with the audience that jobs ask for, such as \"sts.amazonaws.com\".", a.key("aud"))
		p.verdict(a.certain.And(tested.Not()), a.name(), at, fix,
			fmt.Sprintf("nothing tests the audience of tokens from %s", a.issuer()),
			fmt.Sprintf("whether the audience of tokens from %s is tested depends on what is not known", a.issuer()))
	})
}

// declared is the provider of an admission, where it is among those that were
// read.
func (p *pass) declared(a *admission) *inventory.Provider {
	var found *inventory.Provider
	for i := range p.inv.Providers {
		v := &p.inv.Providers[i]
		if arn, known := v.ARN.Known(); known && arn != "" && a.provider.Text.Equals(arn) == source.Yes {
			return v
		}
		for _, part := range a.provider.Text.Parts {
			if part.Resource != "" && part.Resource == v.Address {
				return v
			}
		}
		if !a.provider.Known || a.provider.Inferred || !strings.EqualFold(providerName(*v), a.provider.Host) {
			continue
		}
		account := accountOf(a.provider.Text)
		if account == "" {
			account = a.role.AccountID
		}
		if account != "" && v.AccountID != "" && account != v.AccountID {
			continue
		}
		if found != nil {
			return nil // two of them: which one is not known
		}
		found = v
	}
	return found
}

// accountOf is the account in an ARN, or empty where it has none that is known.
func accountOf(arn source.Text) string {
	parts := strings.SplitN(arn.Prefix(), ":", 6)
	if len(parts) < 6 || len(parts[4]) != 12 || strings.Trim(parts[4], "0123456789") != "" {
		return ""
	}
	return parts[4]
}

func audienceUnlisted(p *pass) {
	p.eachAdmission(func(a *admission) {
		v := p.declared(a)
		if v == nil || v.ClientIDsOpen || len(v.ClientIDs) == 0 {
			return
		}
		for _, c := range a.clauses {
			if c.deny || c.claim != "aud" {
				continue
			}
			for _, alt := range c.alternatives {
				p.listed(a, v, alt)
			}
		}
	})
}

func (p *pass) listed(a *admission, v *inventory.Provider, alt alternative) {
	listed := source.No
	var names []string
	for _, id := range v.ClientIDs {
		names = append(names, id.String())
		if text, known := id.Known(); known {
			listed = listed.Or(source.Truth(alt.pattern.Matches(text)))
		} else {
			listed = listed.Or(sameText(id, alt.text))
		}
	}
	fix := fmt.Sprintf("Add %q to the client ids of the provider, or test one that is there.", alt.text)
	p.verdict(a.certain.And(listed.Not()), a.name(), alt.text, fix,
		fmt.Sprintf("the provider for %s does not list the audience %q: it lists %s", a.issuer(), alt.text, strings.Join(names, ", ")),
		fmt.Sprintf("whether the provider for %s lists the audience %q depends on values that are not known", a.issuer(), alt.text))
}

func invalidPolicy(p *pass) {
	for i := range p.inv.Roles {
		r := &p.inv.Roles[i]
		if r.Trust != nil && !p.refused(r.Address, r.Trust) {
			p.trustOnly(r, r.Trust)
		}
		attached := r.Identity
		if r.Boundary != nil {
			attached = append(slices.Clone(attached), *r.Boundary)
		}
		for _, a := range attached {
			p.identityPolicy(r.Address, a.Policy)
		}
	}
	for _, alone := range p.inv.Policies {
		if alone.Policy != nil {
			p.refused(alone.Address, alone.Policy) // it may be a bucket's: only what holds for all is said
		}
	}
}

// refused reports the first mistake of a document, if it has one.
func (p *pass) refused(address string, document *policy) bool {
	if document.Err == nil {
		return false
	}
	at, message := source.Text{}, document.Err.Error()
	if document.Node != nil {
		at.Position = document.Node.Position
	}
	var e *source.Error
	if errors.As(document.Err, &e) {
		at.Position, message = e.Position, e.Message
	}
	p.report(address, at, "", "%s", message)
	return true
}

// trustOnly reports what AWS refuses in trust policies alone.
func (p *pass) trustOnly(r *role, trust *policy) {
	for i := range trust.Statements {
		s := &trust.Statements[i]
		if s.Resource.Present || s.NotResource.Present {
			at := s.Resource.Position
			if s.NotResource.Present {
				at = s.NotResource.Position
			}
			p.report(r.Address, source.Text{Position: at}, "Take the Resource out: a trust policy is for its own role.", "a trust policy has no Resource")
		}
		if s.Principal == nil && s.NotPrincipal == nil && !s.Open {
			p.report(r.Address, source.Text{Position: s.Position}, "Say who may assume the role, such as {\"Federated\": PROVIDER_ARN}.", "a statement of a trust policy needs a Principal")
		}
		for _, t := range s.Action.List {
			service, _, found := strings.Cut(t.Prefix(), ":")
			if found && !strings.EqualFold(service, "sts") && !strings.ContainsAny(service, "*?") {
				p.report(r.Address, t, "Name actions of sts, such as sts:AssumeRoleWithWebIdentity.", "a trust policy has actions of sts only, found %q", t)
			}
		}
	}
}

// identityPolicy reports what AWS refuses in identity policies and boundaries.
func (p *pass) identityPolicy(address string, document *policy) {
	if document == nil || p.refused(address, document) {
		return
	}
	for i := range document.Statements {
		s := &document.Statements[i]
		if who := s.Principal; who != nil || s.NotPrincipal != nil {
			if who == nil {
				who = s.NotPrincipal
			}
			p.report(address, source.Text{Position: who.Position}, "Take the Principal out: the policy is for whoever it is attached to.", "an identity policy has no Principal")
		}
		if !s.Resource.Present && !s.NotResource.Present && !s.Open {
			p.report(address, source.Text{Position: s.Position}, "Say which resources the statement is for.", "a statement of an identity policy needs a Resource")
		}
	}
}
