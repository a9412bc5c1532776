package cognito

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/match"
)

// The limits of Amazon Cognito identity pools: the API reference (MappingRule,
// SetIdentityPoolRoles, SetPrincipalTagAttributeMap), and the quota of rules of
// one provider in the Developer Guide.
const (
	maxRules     = 25
	maxMappings  = 10
	maxClaim     = 64
	maxValue     = 128
	maxNameARN   = 128 // of a provider, where it is the key of a mapping
	minARN       = 20  // of a role
	cognitoHour  = time.Hour
	sessionNamed = "CognitoIdentityCredentials"
)

// Unfit is something of a pool that Cognito cannot do.
type Unfit struct {
	Pool string     `json:"pool"` // its name, or its id
	Pos  config.Pos `json:"-"`    // in the configuration
	What string     `json:"what"`
	Do   string     `json:"do,omitempty"` // to make it fit
}

// Exported is a pool as Cognito has it: the part that fits.
type Exported struct {
	ID, Region, Name string
	Account          string
	Classic          bool
	DefaultRole      string // may be empty
	Providers        []ExportedProvider
}

// ExportedProvider is a provider of an Exported pool.
type ExportedProvider struct {
	ARN string
	// Audiences are the client ids that the provider of this ARN needs in IAM.
	Audiences []string
	Tags      map[string]string // tag: claim
	Rules     []config.RoleRule // of those, Claim, Type, Value and Role are meant
	// DefaultOnNoMatch is AmbiguousRoleResolution: AuthenticatedRole.
	DefaultOnNoMatch bool
}

// Export is the part of a pool that fits Cognito, and what does not fit. What
// Cognito cannot ask of a caller it does not ask: whoever uses the part alone
// has to accept that.
func Export(cfg *config.Config, p *config.Pool) (Exported, []Unfit) {
	e := &exporter{cfg: cfg, p: p, out: Exported{
		ID: p.ID, Region: p.Region, Account: p.Account, Name: cmp.Or(p.Name, derivedName(p.ID)), Classic: p.Classic,
	}}
	e.settings()
	e.denied()
	for i := range p.Providers {
		e.provider(&p.Providers[i])
	}
	mapped := 0
	e.out.Providers = slices.DeleteFunc(e.out.Providers, func(v ExportedProvider) bool {
		if len(v.Rules) == 0 {
			return false
		}
		if mapped++; mapped == maxMappings+1 {
			e.unfit(p.Pos, "make a second pool", "rules for more than %d providers", maxMappings)
		}
		// Without its rules, a provider would give everybody the default role.
		return mapped > maxMappings
	})
	return e.out, e.found
}

type exporter struct {
	cfg   *config.Config
	p     *config.Pool
	out   Exported
	found []Unfit
}

func (e *exporter) unfit(pos config.Pos, do, format string, args ...any) {
	e.found = append(e.found, Unfit{Pool: e.p.Label(), Pos: pos, What: fmt.Sprintf(format, args...), Do: do})
}

// settings are those of the whole pool.
func (e *exporter) settings() {
	p := e.p
	if p.SessionName.Value != sessionNamed {
		e.unfit(p.SessionName.Pos, "leave session_name out", "session_name: Cognito's sessions are all called %s", sessionNamed)
	}
	if p.Duration != cognitoHour {
		e.unfit(p.Pos, "leave duration out", "duration: Cognito's sessions last one hour, not %s", p.Duration)
	}
	if p.RequestsPerSecond > 0 {
		e.unfit(p.Pos, "ask AWS for other quotas, and leave requests_per_second out", "requests_per_second: Cognito's quotas hold for a whole account")
	}
	if len(p.ClassicRoles) > 0 {
		e.unfit(p.ClassicRoles[0].Pos, "let the roles' trust policies say who may buy them", "classic_roles: a token of Cognito's basic flow buys any role that trusts the pool")
	}
	if p.Classic && p.Mapped() && slices.ContainsFunc(p.Providers, func(v config.PoolProvider) bool { return len(v.Rules) == 0 }) {
		e.unfit(p.Pos, "make a pool of its own for the providers without rules", "classic: Cognito refuses the basic flow for all of a pool in which a provider has rules")
	}
	switch r := p.DefaultRole; {
	case r.Value == "":
	case e.role(r, "default_role"):
		e.out.DefaultRole = r.Value
	}
}

// role reports whether a role is one that Cognito takes.
func (e *exporter) role(r config.Text, what string) bool {
	switch {
	case strings.ContainsAny(r.Value, "{}"):
		e.unfit(r.Pos, "write a rule for each role", "%s: the role %q, which depends on a claim", what, r.Value)
	case len(r.Value) < minARN:
		e.unfit(r.Pos, "", "%s: the role %q: expected at least %d characters", what, r.Value, minARN)
	default:
		return true
	}
	return false
}

// denied names the deny rules that hold for the pool.
func (e *exporter) denied() {
	used := map[string]bool{}
	for _, v := range e.p.Providers {
		used[v.Issuer] = true
	}
	for _, r := range e.cfg.Rules {
		if r.Deny && (len(r.Issuers) == 0 || slices.ContainsFunc(r.Issuers, func(name string) bool { return used[name] })) {
			e.unfit(r.Pos, "deny it in the roles' trust policies, where the session tags stand in aws:RequestTag", "the deny rule %q: Cognito knows no deny rules", r.Name)
		}
	}
}

func (e *exporter) provider(v *config.PoolProvider) {
	out := ExportedProvider{ARN: v.ARN, DefaultOnNoMatch: v.DefaultOnNoMatch}
	out.Audiences = e.issuer(v)
	if n := len(v.ARN); n > maxNameARN {
		e.unfit(v.Pos, "", "the provider %s: its ARN has %d characters, and Cognito takes %d", v.Name, n, maxNameARN)
		return
	}
	e.tags(v, &out)
	lost := false
	for _, r := range v.Rules {
		if !e.fits(v, r) {
			lost = true
			continue
		}
		if len(out.Rules) == maxRules {
			e.unfit(r.Pos, "leave rules out, or use starts_with and contains", "the provider %s: more than %d rules", v.Name, maxRules)
			lost = true
			break
		}
		out.Rules = append(out.Rules, r)
	}
	if lost {
		// Whoever matches a lost rule must not now get the default role.
		out.DefaultOnNoMatch = false
		if len(out.Rules) == 0 {
			e.unfit(v.Pos, "", "the provider %s: none of its rules fits, and without rules Cognito would give everybody the default role", v.Name)
			return
		}
	}
	e.out.Providers = append(e.out.Providers, out)
}

// issuer checks that Cognito would accept the tokens that the broker accepts,
// and no others. It answers the issuer's audiences.
func (e *exporter) issuer(v *config.PoolProvider) []string {
	i := slices.IndexFunc(e.cfg.Issuers, func(i config.Issuer) bool { return i.Name == v.Issuer })
	if i < 0 { // the configuration was refused then
		return nil
	}
	issuer := &e.cfg.Issuers[i]
	if issuer.URL != "https://"+v.Name {
		e.unfit(v.Pos, "name the provider as the issuer's URL without https://", "the provider %s: its tokens are signed by %s, and Cognito accepts those of https://%s", v.Name, issuer.URL, v.Name)
	}
	for _, m := range issuer.Only {
		if !e.implied(v, m) {
			e.unfit(m.Pos, "test the claim in each of the provider's rules, or in the roles' trust policies", "only: %s of the issuer %s: Cognito gives an identity to everybody whose token %s signed", m.Claim, issuer.Name, issuer.URL)
		}
	}
	return issuer.Audiences
}

// implied reports whether the pool gives nothing to whom only shuts out: each
// way to a role is a rule that asks for no less.
func (e *exporter) implied(v *config.PoolProvider, only config.Match) bool {
	if e.p.Classic || len(v.Rules) == 0 || v.DefaultOnNoMatch {
		return false
	}
	for _, r := range v.Rules {
		if r.Claim != only.Claim || !slices.ContainsFunc(only.Patterns, func(p config.Text) bool { return within(r, p.Value) }) {
			return false
		}
	}
	return true
}

// within reports whether every value that a rule matches matches a pattern.
func within(r config.RoleRule, pattern string) bool {
	switch r.Type {
	case config.Equals:
		return match.Compile(pattern).Match(r.Value.Value)
	case config.StartsWith:
		prefix, star := strings.CutSuffix(pattern, "*")
		return star && !strings.Contains(prefix, "*") && strings.HasPrefix(r.Value.Value, prefix)
	}
	return false
}

// fits reports whether Cognito can hold a rule.
func (e *exporter) fits(v *config.PoolProvider, r config.RoleRule) bool {
	where := fmt.Sprintf("the provider %s: the rule for %s", v.Name, r.Claim)
	claim, value := utf8.RuneCountInString(r.Claim), utf8.RuneCountInString(r.Value.Value)
	switch {
	case slices.Contains(identity.DerivedNames, r.Claim):
		e.unfit(r.Pos, "test a claim that is signed", "%s: stint derives this claim, and the token does not have it", where)
	case claim > maxClaim:
		e.unfit(r.Pos, "", "%s: the claim has %d characters, and Cognito takes %d", where, claim, maxClaim)
	case value > maxValue:
		e.unfit(r.Value.Pos, "use starts_with", "%s: the value has %d characters, and Cognito takes %d", where, value, maxValue)
	default:
		return e.role(r.Role, where)
	}
	return false
}

func (e *exporter) tags(v *config.PoolProvider, out *ExportedProvider) {
	out.Tags = map[string]string{}
	for _, t := range v.Tags {
		where := fmt.Sprintf("the provider %s: the tag %q", v.Name, t.Key)
		claim := t.Source.Value
		switch {
		case strings.ContainsAny(claim, "{}"):
			e.unfit(t.Pos, "map one claim", "%s: its value is made of several parts", where)
			continue
		case slices.Contains(identity.DerivedNames, claim):
			e.unfit(t.Pos, "map a claim that is signed", "%s: stint derives the claim %s, and the token does not have it", where, claim)
			continue
		}
		for _, not := range []struct {
			set  bool
			what string
		}{
			{t.Required, "required: Cognito leaves a tag out whose claim is absent"},
			{t.Encode, "encode: Cognito passes values on as they are"},
			{t.Drop > 0, "drop: Cognito drops no tags"},
		} {
			if not.set {
				e.unfit(t.Pos, "", "%s: %s", where, not.what)
			}
		}
		out.Tags[t.Key] = claim
	}
	for _, t := range v.Transitive {
		e.unfit(t.Pos, "chain with 'stint exec --chain' or pass the tag on by hand", "the provider %s: transitive: the tag %q ends with Cognito's session", v.Name, t.Value)
	}
	if v.SourceIdentity.Value != "" {
		e.unfit(v.SourceIdentity.Pos, "map the claim to a tag", "the provider %s: source_identity: Cognito sets none", v.Name)
	}
}
