package lint

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// What stands here is shared by the rules on trust policies: which statements
// concern which callers, and what a condition's values mean.

// webIdentityAction is the action that a job's token is presented with.
const webIdentityAction = "sts:AssumeRoleWithWebIdentity"

// maxLooked is the size of a trust policy that rules look into, in characters:
// twice what AWS takes at most. A larger one is policy-size's finding alone.
const maxLooked = 2 * mostTrust

// eachTrust calls f for every role whose trust policy is there, and no larger
// than any that AWS takes.
func (p *pass) eachTrust(f func(r *inventory.Role, trust *inventory.Policy)) {
	for i := range p.inv.Roles {
		if r := &p.inv.Roles[i]; r.Trust != nil && !tooLarge(r.Trust) {
			f(r, r.Trust)
		}
	}
}

func tooLarge(trust *inventory.Policy) bool {
	return trust.Node != nil && exceeds(trust.Node, maxLooked)
}

// grants answers whether a statement's Action or NotAction holds an action,
// whatever the statement's effect. Names of actions compare in any case.
func grants(s *inventory.Statement, action string) source.Truth {
	switch {
	case s.Action.Present:
		return anyAction(s.Action, action)
	case s.NotAction.Present:
		return anyAction(s.NotAction, action).Not()
	case s.Open:
		return source.Unknown
	}
	return source.No
}

func anyAction(v inventory.Values, action string) source.Truth {
	out := source.No
	if v.Open {
		out = source.Unknown
	}
	for _, t := range v.List {
		out = out.Or(source.Truth(lowerPattern(t).Matches(strings.ToLower(action))))
	}
	return out
}

// lowerPattern is an action's pattern in lower case.
func lowerPattern(t source.Text) subject.Pattern {
	p := like(t, false)
	for i := range p {
		p[i].Text = strings.ToLower(p[i].Text)
	}
	return p
}

// provider is an OIDC provider whose tokens a statement may let in, as far as
// it is known.
type provider struct {
	// Text is the value of Principal.Federated; for Principal "*" it is that.
	Text source.Text
	// Host is the issuer as it stands in condition keys, without https://.
	// Known says that it is; where it is only inferred from the keys of the
	// statement's conditions, Inferred is set too.
	Host     string
	Known    bool
	Inferred bool
	Platform subject.Platform
	// Shared answers whether the issuer signs for strangers too.
	Shared source.Truth
	// other is for any other provider of the account: one whose claims the
	// statement does not test.
	other bool
}

// providers are the OIDC providers whose tokens a statement names. SAML
// providers are none, and neither are the identity providers that AWS has built
// in (accounts.google.com and its kin): they sign for no CI system. open says
// that there may be others.
func (p *pass) providers(s *inventory.Statement) (list []provider, open bool) {
	if s.Principal == nil {
		return nil, s.Open && s.NotPrincipal == nil
	}
	open = s.Principal.Open || s.Principal.Federated.Open || s.Principal.Any == source.Unknown
	texts := s.Principal.Federated.List
	if s.Principal.Any == source.Yes {
		// Every provider of the account: those whose claims the statement tests,
		// and any other.
		everybody := source.UnknownText("*").At(s.Principal.Position, source.Span{})
		for _, host := range keyHosts(s) {
			list = append(list, makeProvider(everybody, host, true))
		}
		return append(list, provider{Text: everybody, other: true}), true
	}
	for _, t := range texts {
		host, oidc := p.providerHost(t)
		switch {
		case oidc == source.No:
		case host != "":
			list = append(list, makeProvider(t, host, false))
		default:
			if hosts := keyHosts(s); len(hosts) == 1 && len(texts) == 1 {
				list = append(list, makeProvider(t, hosts[0], true))
				continue
			}
			list = append(list, provider{Text: t})
		}
	}
	if open && len(list) == 0 {
		list = inferred(s, source.UnknownText("the principal"))
	}
	return list, open
}

// inferred are the providers whose claims a statement tests, and where it tests
// none, one of which nothing is known.
func inferred(s *inventory.Statement, name source.Text) (list []provider) {
	name = name.At(s.Principal.Position, source.Span{})
	for _, host := range keyHosts(s) {
		list = append(list, makeProvider(name, host, true))
	}
	if len(list) == 0 {
		list = []provider{{Text: name}}
	}
	return list
}

func makeProvider(t source.Text, host string, inferred bool) provider {
	platform, shared := subject.OfIssuer(host)
	return provider{Text: t, Host: host, Known: true, Inferred: inferred, Platform: platform, Shared: source.Truthful(shared)}
}

// providerHost is the issuer that a federated principal names, empty where it
// is not known, and whether it is an OIDC provider at all.
func (p *pass) providerHost(t source.Text) (host string, oidc source.Truth) {
	const mark = "oidc-provider/"
	if i, rest := cutText(t, mark); i {
		if host, known := rest.Known(); known {
			return strings.TrimSuffix(host, "/"), source.Yes
		}
		return "", source.Yes
	}
	if _, known := t.Known(); known {
		return "", source.No // a SAML provider, or one that AWS has built in
	}
	if t.Contains("saml-provider/") == source.Yes {
		return "", source.No
	}
	for _, part := range t.Parts {
		if part.Resource != "" {
			host = p.resourceHost(part.Resource)
		}
	}
	if host != "" {
		return host, source.Yes
	}
	return "", source.Unknown
}

// resourceHost is the issuer of a provider that the files make; empty where
// there is none of this address, or two folders have different ones.
func (p *pass) resourceHost(address string) (host string) {
	for _, known := range p.inv.Providers {
		url, ok := known.URL.Known()
		if known.Address != address || !ok || url == "" {
			continue
		}
		url = strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/")
		if host != "" && host != url {
			return ""
		}
		host = url
	}
	return host
}

// cutText cuts a text after the first literal mark.
func cutText(t source.Text, mark string) (found bool, rest source.Text) {
	for i, part := range t.Parts {
		if part.Unknown != "" {
			continue
		}
		if _, after, ok := strings.Cut(part.Literal, mark); ok {
			return true, source.Join(source.Literal(after), source.Text{Parts: t.Parts[i+1:]})
		}
	}
	return false, source.Text{}
}

// keyHosts are the issuers whose claims a statement's conditions test.
func keyHosts(s *inventory.Statement) []string {
	var hosts []string
	for _, c := range s.Conditions {
		if host, _, ok := splitKey(c.Key); ok && host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// splitKey takes a condition key apart into the issuer and the claim. The
// issuer is empty where it is not known; ok is false for a key that is not an
// issuer's, such as aws:SourceIp, and for one whose claim is not known.
func splitKey(key source.Text) (host, claim string, ok bool) {
	if text, known := key.Known(); known {
		host, claim, found := strings.Cut(text, ":")
		return host, claim, found && strings.Contains(host, ".")
	}
	suffix := key.Suffix()
	i := strings.LastIndexByte(suffix, ':')
	if i < 0 || i == len(suffix)-1 {
		return "", "", false
	}
	return "", suffix[i+1:], true
}

// claimOf is the claim of a provider that a condition tests, in lower case as
// keys compare in any case. ok is No for the key of something else.
func (v provider) claimOf(c *inventory.Condition) (claim string, ok source.Truth) {
	host, claim, is := splitKey(c.Key)
	switch {
	case !is:
		if _, known := c.Key.Known(); !known {
			return "", source.Unknown
		}
		return "", source.No
	case host == "":
		// Only the issuer's name is not known. Were it another's, the condition
		// would find no such key: it lets in less then, never more.
		return strings.ToLower(claim), source.Yes
	case v.other:
		return "", source.No
	case !v.Known:
		return strings.ToLower(claim), source.Yes
	case strings.EqualFold(host, v.Host):
		return strings.ToLower(claim), source.Yes
	}
	return "", source.No
}

// conditionsOn are the statement's conditions on a claim, such as sub, of any
// issuer.
func conditionsOn(s *inventory.Statement, claim string) []*inventory.Condition {
	var out []*inventory.Condition
	for i := range s.Conditions {
		if _, c, ok := splitKey(s.Conditions[i].Key); ok && strings.EqualFold(c, claim) {
			out = append(out, &s.Conditions[i])
		}
	}
	return out
}

// webIdentityStatements calls f for every statement of a trust policy with this
// effect that may concern a web identity call: its action fits or may fit.
func webIdentityStatements(trust *inventory.Policy, allow bool, f func(s *inventory.Statement, certain source.Truth)) {
	for i := range trust.Statements {
		s := &trust.Statements[i]
		effect := s.Allows()
		if !allow {
			effect = s.Effect.Equals("Deny")
		}
		if effect == source.No {
			continue // looking at the actions costs more
		}
		if certain := effect.And(grants(s, webIdentityAction)); certain != source.No {
			f(s, certain)
		}
	}
}

// variablesIn reports whether ${...} in a policy's values is a variable.
func variablesIn(trust *inventory.Policy) bool {
	return trust.Version.Equals("2012-10-17") != source.No
}

// valuePattern is what a condition's value matches. It says No where the
// operator compares no text, so that the value matches nothing that is known.
// variables says that ${...} is a policy variable: it stands for whatever the
// caller has there, so it is taken for *.
func valuePattern(test string, value source.Text, variables bool) (p subject.Pattern, ok bool) {
	switch test {
	case "StringLike", "StringNotLike":
		return like(value, variables), true
	case "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "NumericEquals", "NumericNotEquals":
		return exact(value, variables), true
	}
	return nil, false
}

// like is a text as a pattern with wildcards.
func like(t source.Text, variables bool) subject.Pattern {
	return textPattern(t, variables, subject.Like, subject.Hole)
}

// exact is a text as a pattern that stands for itself.
func exact(t source.Text, variables bool) subject.Pattern {
	return textPattern(t, variables, subject.Exact, subject.Fixed)
}

// What is longer than a whole trust policy may be counts as not known.
const (
	maxValue = 8192
	maxParts = 512
)

func textPattern(t source.Text, variables bool, literal func(string) subject.Pattern, unknown subject.Kind) subject.Pattern {
	var out subject.Pattern
	if len(t.Parts) > maxParts || len(t.String()) > maxValue {
		return subject.Pattern{{Kind: subject.Hole, Text: "a value that is too long"}}
	}
	for _, part := range t.Parts {
		switch {
		case part.Unknown != "":
			out = subject.Join(out, subject.Pattern{{Kind: unknown, Text: part.Unknown}})
		case variables:
			out = subject.Join(out, expandVariables(part.Literal, literal))
		default:
			out = subject.Join(out, literal(part.Literal))
		}
	}
	return out
}

// expandVariables takes policy variables for *, and the escapes ${*}, ${?} and
// ${$} for the characters that they are.
func expandVariables(s string, literal func(string) subject.Pattern) subject.Pattern {
	var out subject.Pattern
	for {
		before, rest, found := strings.Cut(s, "${")
		out = subject.Join(out, literal(before))
		if !found {
			return out
		}
		name, after, closed := cutVariable(rest)
		switch {
		case !closed:
			return subject.Join(out, subject.Pattern{{Kind: subject.Any}})
		case name == "*" || name == "?" || name == "$":
			out = subject.Join(out, subject.Exact(name))
		default:
			out = subject.Join(out, subject.Pattern{{Kind: subject.Any}})
		}
		s = after
	}
}

// cutVariable finds the brace that closes a variable: one inside the quotes of
// a default closes nothing.
func cutVariable(s string) (name, after string, closed bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == '}' && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return "", "", false
}

// Short names for what rules pass around.
type (
	role      = inventory.Role
	policy    = inventory.Policy
	statement = inventory.Statement
)

// eachWebIdentity calls f for every statement, whatever its effect, that may
// concern a web identity call and names an OIDC provider or everybody.
func eachWebIdentity(trust *policy, f func(s *statement)) {
	for i := range trust.Statements {
		if s := &trust.Statements[i]; grants(s, webIdentityAction) != source.No {
			f(s)
		}
	}
}
