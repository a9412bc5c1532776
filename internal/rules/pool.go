package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
)

// Pool is the rules of an identity pool: the deny rules of the configuration,
// and the pool's own role mapping. It is decided by the same engine as any
// other request.
type Pool struct {
	ID                string
	ARN               string
	Label             string // its name, or its id
	Classic           bool   // the basic (classic) flow is allowed
	RequestsPerSecond int    // 0: no limit

	providers []*PoolProvider
}

// PoolProvider is one issuer of a pool.
type PoolProvider struct {
	Name   string // the key of Logins
	ARN    string
	Issuer string // the name of the configured issuer
	// Mapped says that the pool has role mapping rules, of this provider or of
	// another: there is no basic flow then, as at Cognito.
	Mapped bool
	// Gives says that some role can be had in the enhanced flow.
	Gives bool

	pool         *Pool
	denying      []*rule // of the file, shared by all pools
	given        []*rule // of the enhanced flow
	basic        *rule
	asks         bool // a deny rule may look at the request
	classicRoles []string
}

// PoolGrant is what a pool's grant says beside the session.
type PoolGrant struct {
	ID, ARN     string // of the pool
	Provider    string // its name
	ProviderARN string
	Identity    string // the identity id
	Subject     string // the sub of the job token
	// Basic says that the caller gets the token itself and chooses the role;
	// Roles are then those that it may buy; none: any that trusts the pool.
	Basic bool
	Roles []string
}

// Methods are the authentication methods (amr) of the pool's token: that it
// proved who it is, by which provider, and as whom.
func (p PoolGrant) Methods() []string {
	return []string{"authenticated", p.Provider, p.ProviderARN + ":OIDC:" + p.Subject}
}

// Pool is the pool of this id.
func (s *Set) Pool(id string) (*Pool, bool) {
	p, ok := s.pools[id]
	return p, ok
}

// Pools are all pools, sorted by id.
func (s *Set) Pools() []*Pool {
	all := make([]*Pool, 0, len(s.pools))
	for _, p := range s.pools {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *Pool) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Provider is the provider that a login names, by its name or its ARN.
func (p *Pool) Provider(login string) (*PoolProvider, bool) {
	for _, v := range p.providers {
		if login == v.Name || login == v.ARN {
			return v, true
		}
	}
	return nil, false
}

// ByIssuer is the provider whose tokens a configured issuer signs.
func (p *Pool) ByIssuer(name string) (*PoolProvider, bool) {
	for _, v := range p.providers {
		if v.Issuer == name {
			return v, true
		}
	}
	return nil, false
}

// Roles are the ARNs that a job with these claims may have a chance of, as
// Set.Roles says.
func (v *PoolProvider) Roles(claims identity.Claims) []string { return v.set(false).Roles(claims) }

// IdentityID is the id of the identity that a subject of an issuer has in the
// pool. It is derived, so that every replica gives the same, and says nothing
// of the subject.
func (p *Pool) IdentityID(issuer, subject string) string {
	region, _, _ := strings.Cut(p.ID, ":")
	h := sha256.New()
	for _, part := range []string{"stint identity", p.ID, issuer, subject} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	var b [16]byte
	copy(b[:], h.Sum(nil))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // RFC 9562 section 5.8
	x := hex.EncodeToString(b[:])
	return region + ":" + x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// Decide decides on a request of one of the pool's identities: in the enhanced
// flow on a role, in the basic flow on a token.
func (v *PoolProvider) Decide(claims identity.Claims, req Request, basic bool) Decision {
	issuer, _ := claims.Text("iss")
	sub, _ := claims.Text("sub")
	req.pool = &PoolGrant{ID: v.pool.ID, ARN: v.pool.ARN, Provider: v.Name, ProviderARN: v.ARN, Identity: v.pool.IdentityID(issuer, sub), Subject: sub}
	req.Audience = v.pool.ID
	if basic {
		return v.decideBasic(claims, req)
	}
	return v.set(false).Decide(claims, req)
}

// decideBasic decides on a token with which the caller chooses the role. A deny
// rule that looks at the role asked for is asked of each role that the token
// could buy, which are all listed then: see compilePools.
func (v *PoolProvider) decideBasic(claims identity.Claims, req Request) Decision {
	set := v.set(true)
	req.Role, req.pool.Basic, req.pool.Roles = "", true, v.classicRoles
	if !v.asks {
		return set.Decide(claims, req)
	}
	var roles []string
	var denied Decision
	for _, role := range v.classicRoles {
		req.Role = role
		if d := set.Decide(claims, req); d.Allowed() {
			roles = append(roles, role)
		} else if denied.Reason == "" || denied.Reason == DenyRule && d.Reason != DenyRule {
			denied = d // a deny rule only takes its roles away: why the others fail is the reason
		}
	}
	if len(roles) == 0 {
		return denied
	}
	req.Role, req.pool.Roles = roles[0], roles
	return set.Decide(claims, req)
}

// set is the rules that decide: the deny rules of the file, and the provider's.
func (v *PoolProvider) set(basic bool) *Set {
	own := v.given
	if basic {
		own = []*rule{v.basic}
	}
	return &Set{rules: slices.Concat(v.denying, own), audience: v.pool.ID, asks: v.asks}
}

// Trace is every rule that the provider's requests are held to, in the order of
// Rules.
func (v *PoolProvider) Trace(claims identity.Claims, req Request, basic bool) []Trace {
	req.pool, req.Audience = &PoolGrant{ID: v.pool.ID}, v.pool.ID
	return v.set(basic).Trace(claims, req)
}

// Rules are the rules that Trace names, as they stand in the configuration: the
// deny rules, and those of the pool's provider.
func (v *PoolProvider) Rules(cfg *config.Config, basic bool) []config.Rule {
	var all []config.Rule
	for _, r := range cfg.Rules {
		if r.Deny {
			all = append(all, r)
		}
	}
	for i := range cfg.Pools {
		for j := range cfg.Pools[i].Providers {
			p, own := &cfg.Pools[i], &cfg.Pools[i].Providers[j]
			if p.ID != v.pool.ID || own.Name != v.Name {
				continue
			}
			if !basic {
				for _, m := range own.Rules {
					all = append(all, config.Rule{Pos: m.Pos, Match: []config.Match{{Claim: m.Claim, Pos: m.Value.Pos}}, AWS: config.RuleAWS{Roles: []config.Text{m.Role}}})
				}
			}
			all = append(all, config.Rule{Pos: own.Pos, AWS: config.RuleAWS{Roles: []config.Text{p.DefaultRole}}})
		}
	}
	return all
}

// compilePools makes the pools' rules. The deny rules of the file stand before
// them: what is denied there is denied at every door.
func (s *Set) compilePools(cfg *config.Config, problems *config.Problems) {
	var denying []*rule
	asks := false
	for _, r := range s.rules {
		if r.effect == Deny {
			denying = append(denying, r)
			asks = asks || r.when != nil && strings.Contains(r.when.source, "request")
		}
	}
	s.pools = make(map[string]*Pool, len(cfg.Pools))
	for i := range cfg.Pools {
		c := &cfg.Pools[i]
		p := &Pool{ID: c.ID, ARN: c.ARN(), Label: c.Label(), Classic: c.Classic, RequestsPerSecond: c.RequestsPerSecond}
		mapped := c.Mapped()
		for j := range c.Providers {
			v := &c.Providers[j]
			t := templates{cfg, problems, fmt.Sprintf("pools[%d].providers[%d]", i, j)}
			made := &PoolProvider{Name: v.Name, ARN: v.ARN, Issuer: v.Issuer, Mapped: mapped, pool: p, denying: denying, asks: asks}
			made.given, made.basic = t.poolRules(c, v)
			made.Gives = len(made.given) > 0
			for _, role := range c.ClassicRoles {
				made.classicRoles = append(made.classicRoles, role.Value)
			}
			p.providers = append(p.providers, made)
		}
		if asks && c.Classic && len(c.ClassicRoles) == 0 {
			problems.Add(cfg, c.Pos, fmt.Sprintf("pools[%d]", i), "add classic_roles: with the roles that a token of the basic flow may buy",
				"a deny rule looks at the request, and in the basic flow the job chooses any role that trusts the pool: the rule would not hold")
		}
		s.pools[c.ID] = p
	}
}

// poolRules are the rules of a provider's enhanced flow, and the one of its
// basic flow.
func (t templates) poolRules(p *config.Pool, v *config.PoolProvider) (given []*rule, basic *rule) {
	label := p.Label() + "/" + v.Name + "/"
	made := t.session(config.RuleAWS{
		Duration: p.Duration, SessionName: p.SessionName, Tags: v.Tags, Transitive: v.Transitive, SourceIdentity: v.SourceIdentity,
	})
	start := rule{effect: Allow, issuers: []string{v.Issuer}, session: made, via: WebIdentity}
	for i := range v.Rules {
		m := &v.Rules[i]
		r := start
		r.name = label + strconv.Itoa(i+1)
		r.match = []condition{mappedCondition(m)}
		r.roles = []config.Template{t.parse(m.Role, ".rules", config.ParseTemplate)}
		given = append(given, &r)
	}
	if p.DefaultRole.Value != "" && (len(v.Rules) == 0 || v.DefaultOnNoMatch) {
		r := start
		r.name, r.fallback = label+"default", true
		r.roles = []config.Template{t.parse(p.DefaultRole, ".default_role", config.ParseTemplate)}
		given = append(given, &r)
	}
	start.name, start.basic = label+"basic", true
	return given, &start
}

// mappedCondition is what a role mapping rule asks of its claim. Its value is
// taken to the letter: a star is a star.
func mappedCondition(m *config.RoleRule) condition {
	words := map[config.MatchType]string{
		config.Equals: "be", config.StartsWith: "start with", config.Contains: "contain", config.NotEqual: "be there and not be",
	}
	return condition{claim: m.Claim, mapped: m, expected: []string{m.Value.Value},
		said: "expected " + m.Claim + " to " + words[m.Type] + " " + strconv.Quote(short(m.Value.Value))}
}

// mapped compares one value of a claim. NotEqual is decided on all of them.
func mapped(t config.MatchType, value, want string) bool {
	switch t {
	case config.Equals:
		return value == want
	case config.StartsWith:
		return strings.HasPrefix(value, want)
	case config.Contains:
		return strings.Contains(value, want)
	}
	return false
}
