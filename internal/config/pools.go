package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// Pool is an Amazon Cognito identity pool that the broker serves: whose job
// tokens get an identity in it, and which roles they may have.
type Pool struct {
	ID      string // the IdentityPoolId, REGION:UUID
	Region  string // of ID
	Name    string // for people and records; may be empty
	Account string // twelve digits
	// Classic says that the basic (classic) flow is allowed. ClassicRoles are
	// the roles that a token of it may buy; none: any that trusts the pool.
	Classic      bool
	ClassicRoles []Text
	DefaultRole  Text // Roles.authenticated; may be empty
	SessionName  Text // with {claim}
	Duration     time.Duration
	// RequestsPerSecond is how many requests a second the pool answers; 0: no
	// limit.
	RequestsPerSecond int
	Providers         []PoolProvider
	Pos               Pos
}

// PoolProvider is an issuer whose tokens get an identity in a pool.
type PoolProvider struct {
	Provider string // as it was written
	Name     string // the provider's URL without https://, the key of Logins
	ARN      string // of the provider in the pool's account
	Issuer   string // the name of one of Config.Issuers

	Tags           []Tag // the principal tag map
	Transitive     []Text
	SourceIdentity Text
	Rules          []RoleRule
	// DefaultOnNoMatch says that who matches none of Rules gets the pool's
	// default role. Where there are no Rules, everybody gets it.
	DefaultOnNoMatch bool
	Pos              Pos
}

// RoleRule is one role mapping rule of a pool.
type RoleRule struct {
	Claim string
	Type  MatchType
	Value Text
	Role  Text // an ARN, with {claim}
	Pos   Pos
}

// MatchType is how a role mapping rule compares a claim, in the words of the
// Cognito Identity API (MappingRule, MatchType).
type MatchType string

// The match types.
const (
	Equals     MatchType = "Equals"
	StartsWith MatchType = "StartsWith"
	Contains   MatchType = "Contains"
	NotEqual   MatchType = "NotEqual"
)

// matchTypes are the keys under which a rule's value stands.
var matchTypes = map[string]MatchType{"equals": Equals, "starts_with": StartsWith, "contains": Contains, "not_equal": NotEqual}

const (
	// MaxPools bounds the pools of one file.
	MaxPools           = 1000
	maxPoolProviders   = 100
	maxRoleRules       = 1000
	maxRequests        = 1_000_000
	defaultPoolSession = "CognitoIdentityCredentials"
)

// What the Cognito Identity API takes for an IdentityPoolId, narrowed to what it
// gives out; and for a pool's name.
var (
	poolID    = regexp.MustCompile(`^([a-z]{2,}(?:-[a-z0-9]+)+-[0-9]+):[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	poolName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
	// providerName is a provider's URL without https://, as IAM takes it.
	providerName = regexp.MustCompile(`^[a-z0-9.-]+(?:/[A-Za-z0-9_./-]+)?$`)
	providerARN  = regexp.MustCompile(`^arn:(aws[a-z0-9-]*):iam::([0-9]{12}):oidc-provider/(.+)$`)
)

func (r *reader) pools(n ast.Node) {
	ids, names := map[string]bool{}, map[string]bool{}
	r.list(n, "pools", func(n ast.Node, path string) {
		if len(r.cfg.Pools) >= MaxPools {
			if len(r.cfg.Pools) == MaxPools {
				r.fail(n, path, "", "expected at most %d pools", MaxPools)
			}
			return
		}
		p := r.pool(n, path)
		if ids[p.ID] && p.ID != "" {
			r.failAt(p.Pos, path, "", "the pool %s stands twice", p.ID)
		}
		if names[p.Name] && p.Name != "" {
			r.failAt(p.Pos, path, "records name pools, so each name stands once", "the name %q stands twice", p.Name)
		}
		ids[p.ID], names[p.Name] = true, true
		r.cfg.Pools = append(r.cfg.Pools, p)
	})
}

func (r *reader) pool(n ast.Node, path string) Pool {
	p := Pool{Duration: defaultDuration, SessionName: Text{defaultPoolSession, pos(n)}, Pos: pos(n)}
	missing := r.mapping(n, path, map[string]func(ast.Node){
		"id": func(n ast.Node) {
			t, ok := r.text(n, path+".id")
			m := poolID.FindStringSubmatch(t.Value)
			if ok && m == nil {
				r.fail(n, path+".id", "write it as eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f", "expected an identity pool's id, found %q", t.Value)
				return
			}
			if p.Pos = pos(n); ok {
				p.ID, p.Region = t.Value, m[1]
			}
		},
		"name": func(n ast.Node) {
			t, ok := r.text(n, path+".name")
			if ok && !ValidPoolName(t.Value) {
				r.fail(n, path+".name", "", "expected a name of letters, digits, _, . and -, at most 128 characters, found %q", t.Value)
			}
			p.Name = t.Value
		},
		"account": func(n ast.Node) {
			t, ok := r.text(n, path+".account")
			if ok && !ValidAccount(t.Value) {
				r.fail(n, path+".account", `quote it, as in account: "111111111111"`, "expected an account of twelve digits, found %q", t.Value)
			}
			p.Account = t.Value
		},
		"classic": func(n ast.Node) { p.Classic = r.boolean(n, path+".classic") },
		"classic_roles": func(n ast.Node) {
			for _, t := range r.oneOrMore(n, path+".classic_roles") {
				r.role(t, path+".classic_roles")
				if strings.ContainsAny(t.Value, "{}") {
					r.failAt(t.Pos, path+".classic_roles", "name each role", "a role of the basic flow must not hold a claim, found %q", t.Value)
				}
				p.ClassicRoles = append(p.ClassicRoles, t)
			}
		},
		"default_role": func(n ast.Node) { p.DefaultRole = r.poolRole(n, path+".default_role") },
		"session_name": func(n ast.Node) { p.SessionName = r.template(n, path+".session_name", ParseTemplate) },
		"duration":     func(n ast.Node) { p.Duration = r.duration(n, path+".duration", minSession, maxSession) },
		"requests_per_second": func(n ast.Node) {
			t, ok := r.text(n, path+".requests_per_second")
			number, err := strconv.Atoi(t.Value)
			if ok && (err != nil || number < 1 || number > maxRequests) {
				r.fail(n, path+".requests_per_second", "leave it out for no limit", "expected a number from 1 to %d, found %q", maxRequests, t.Value)
			}
			p.RequestsPerSecond = number
		},
		"providers": func(n ast.Node) {
			r.list(n, path+".providers", func(n ast.Node, path string) {
				if len(p.Providers) == maxPoolProviders {
					r.fail(n, path, "", "expected at most %d providers", maxPoolProviders)
				}
				if len(p.Providers) <= maxPoolProviders && !r.full() {
					p.Providers = append(p.Providers, r.poolProvider(n, path))
				}
			})
		},
	})
	if missing("id") {
		r.failAt(p.Pos, path, "add id: with the IdentityPoolId", "the pool has no id")
	}
	if missing("account") {
		r.failAt(p.Pos, path, `add account: "111111111111"`, "the pool has no account")
	}
	if missing("providers") {
		r.failAt(p.Pos, path, "add providers: with the issuer whose tokens get an identity", "the pool has no providers")
	}
	if len(p.ClassicRoles) > 0 && !p.Classic {
		r.failAt(p.ClassicRoles[0].Pos, path+".classic_roles", "add classic: true, or leave classic_roles out", "the basic flow is not allowed, so no role can be had by it")
	}
	r.checkPool(&p, path)
	return p
}

func (r *reader) poolRole(n ast.Node, path string) Text {
	t, ok := r.text(n, path)
	if ok {
		r.role(t, path)
	}
	return t
}

// checkPool checks what the parts of a pool say of one another.
func (r *reader) checkPool(p *Pool, path string) {
	seen := map[string]bool{}
	for i := range p.Providers {
		v := &p.Providers[i]
		at := fmt.Sprintf("%s.providers[%d]", path, i)
		if m := providerARN.FindStringSubmatch(v.Provider); m != nil {
			v.Name, v.ARN = m[3], v.Provider
			if m[2] != p.Account && p.Account != "" {
				r.failAt(v.Pos, at, "", "the provider is of the account %s, and the pool of %s", m[2], p.Account)
			}
		} else if v.Name = v.Provider; p.Account != "" {
			v.ARN = p.AccountARN() + ":oidc-provider/" + v.Name
		}
		if seen[v.Name] {
			r.failAt(v.Pos, at, "", "the provider %s stands twice", v.Name)
		}
		seen[v.Name] = true
		if v.DefaultOnNoMatch && p.DefaultRole.Value == "" {
			r.failAt(v.Pos, at+".no_match", "add default_role: to the pool, or write no_match: deny", "the pool has no default role")
		}
		if len(v.Rules) == 0 && p.DefaultRole.Value == "" && !p.Classic {
			r.failAt(v.Pos, at, "add rules:, default_role: to the pool, or classic: true", "nobody could get anything by this provider")
		}
	}
}

// PartitionOf is the partition of AWS that a region belongs to, such as aws-cn.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func PartitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// ValidPoolID reports whether a text is an IdentityPoolId, REGION:UUID.
func ValidPoolID(id string) bool { return poolID.MatchString(id) }

// ValidPoolName reports whether a text can be the name of a pool.
func ValidPoolName(name string) bool { return poolName.MatchString(name) }

// ValidProvider reports whether a text is the name of a provider in IAM: its URL
// without https://.
func ValidProvider(name string) bool { return providerName.MatchString(name) }

// ValidAccount reports whether a text is the number of an AWS account.
func ValidAccount(account string) bool { return accountID.MatchString(account) }

// Mapped reports whether a provider of the pool has role mapping rules: the
// basic flow is not had beside them.
func (p *Pool) Mapped() bool {
	return slices.ContainsFunc(p.Providers, func(v PoolProvider) bool { return len(v.Rules) > 0 })
}

// AccountARN is how the ARNs of IAM begin in the pool's account:
// arn:PARTITION:iam::ACCOUNT.
func (p *Pool) AccountARN() string {
	return "arn:" + PartitionOf(p.Region) + ":iam::" + p.Account
}

// ARN is the pool's own ARN.
func (p *Pool) ARN() string {
	return "arn:" + PartitionOf(p.Region) + ":cognito-identity:" + p.Region + ":" + p.Account + ":identitypool/" + p.ID
}

// Label is what records and messages call the pool: its name, or its id.
func (p *Pool) Label() string { return cmp.Or(p.Name, p.ID) }

func (r *reader) poolProvider(n ast.Node, path string) PoolProvider {
	v := PoolProvider{Pos: pos(n)}
	missing := r.mapping(n, path, map[string]func(ast.Node){
		"provider": func(n ast.Node) {
			t, ok := r.text(n, path+".provider")
			name := t.Value
			if m := providerARN.FindStringSubmatch(name); m != nil {
				name = m[3]
			}
			if v.Pos = pos(n); ok && !ValidProvider(name) {
				r.fail(n, path+".provider", "write its URL without https://, such as token.actions.githubusercontent.com, or its ARN", "expected a provider, found %q", t.Value)
			}
			v.Provider = t.Value
		},
		"issuer": func(n ast.Node) {
			t, _ := r.text(n, path+".issuer")
			v.Issuer = t.Value
		},
		"tags":            func(n ast.Node) { v.Tags = r.tags(n, path+".tags") },
		"transitive":      func(n ast.Node) { v.Transitive = r.oneOrMore(n, path+".transitive") },
		"source_identity": func(n ast.Node) { v.SourceIdentity = r.template(n, path+".source_identity", ClaimOrTemplate) },
		"rules": func(n ast.Node) {
			r.list(n, path+".rules", func(n ast.Node, path string) {
				if len(v.Rules) == maxRoleRules {
					r.fail(n, path, "", "expected at most %d rules", maxRoleRules)
				}
				if len(v.Rules) <= maxRoleRules && !r.full() {
					v.Rules = append(v.Rules, r.roleRule(n, path))
				}
			})
		},
		"no_match": func(n ast.Node) {
			v.DefaultOnNoMatch = r.choice(n, path+".no_match", "deny", "default_role") == "default_role"
		},
	})
	if missing("provider") {
		r.failAt(v.Pos, path, "add provider: token.actions.githubusercontent.com", "the provider is not named")
	}
	return v
}

func (r *reader) roleRule(n ast.Node, path string) RoleRule {
	rule := RoleRule{Pos: pos(n)}
	var types []string
	known := map[string]func(ast.Node){
		"claim": func(n ast.Node) {
			t, ok := r.text(n, path+".claim")
			if ok && !claimName.MatchString(t.Value) {
				r.fail(n, path+".claim", "", "%q names no claim", t.Value)
			}
			rule.Claim = t.Value
		},
		"role": func(n ast.Node) { rule.Role = r.poolRole(n, path+".role") },
	}
	for key, t := range matchTypes {
		known[key] = func(n ast.Node) {
			types = append(types, key)
			value, ok := r.text(n, path+"."+key)
			if ok && (value.Value == "" || utf8.RuneCountInString(value.Value) > 1024) {
				r.fail(n, path+"."+key, "", "expected a value of 1 to 1024 characters")
			}
			rule.Type, rule.Value = t, value
		}
	}
	missing := r.mapping(n, path, known)
	if missing("claim") {
		r.failAt(rule.Pos, path, "add claim:", "the rule names no claim")
	}
	if missing("role") {
		r.failAt(rule.Pos, path, "add role:", "the rule gives no role")
	}
	if slices.Sort(types); len(types) > 1 {
		r.failAt(rule.Pos, path, "write a rule for each", "expected one of equals, starts_with, contains and not_equal, found %s", strings.Join(types, " and "))
	}
	if len(types) == 0 && missing("equals") && missing("starts_with") && missing("contains") && missing("not_equal") {
		r.failAt(rule.Pos, path, `add equals:, starts_with:, contains: or not_equal: with the value`, "the rule compares the claim with nothing")
	}
	return rule
}

// poolIssuers finds the issuers of the pools' providers, once all are known.
func (r *reader) poolIssuers() {
	byURL, byName := map[string]string{}, map[string]bool{}
	var names []string
	for _, i := range r.cfg.Issuers {
		byURL[i.URL], byName[i.Name] = i.Name, true
		names = append(names, i.Name)
	}
	for i := range r.cfg.Pools {
		by := map[string]string{}
		for j := range r.cfg.Pools[i].Providers {
			v := &r.cfg.Pools[i].Providers[j]
			path := fmt.Sprintf("pools[%d].providers[%d]", i, j)
			switch {
			case v.Name == "":
			case v.Issuer != "" && !byName[v.Issuer]:
				r.failAt(v.Pos, path+".issuer", "configured are: "+strings.Join(names, ", "), "the issuer %q is not configured", v.Issuer)
			case v.Issuer != "":
			case byURL["https://"+v.Name] == "":
				r.failAt(v.Pos, path, "add it under issuers:, or name the one that is meant with issuer:", "no issuer with the url https://%s is configured", v.Name)
			default:
				v.Issuer = byURL["https://"+v.Name]
			}
			if first, twice := by[v.Issuer]; twice && v.Issuer != "" {
				r.failAt(v.Pos, path, "the login that a job sends would choose whose rules decide", "the issuer %s is that of the provider %s already", v.Issuer, first)
			}
			by[v.Issuer] = v.Name
		}
	}
}
