package policytest

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/source"
)

// Side is what jobs are held against: a broker's configuration, roles with
// their trust policies, or both.
type Side struct {
	Name   string
	Config *config.Config // nil: no broker
	Rules  *rules.Set     // compiled from Config
	Roles  []inventory.Role
	// Providers are the OIDC providers that the roles' files have.
	Providers []inventory.Provider

	files map[string][sha256.Size]byte // that were read, by their path below Name
}

// Ask is what a job asks a side for.
type Ask struct {
	Pool           string // an identity pool, by its id or name; empty: the rules
	Basic          bool   // with Pool: its basic (classic) flow
	Role, Audience string
	Duration       time.Duration
}

func (a Ask) request(now time.Time) rules.Request {
	return rules.Request{Role: a.Role, Audience: a.Audience, Duration: a.Duration, Time: now}
}

// nobodysAccount stands for the account of a role whose file does not say it.
const nobodysAccount = "000000000000"

// Suite is a file of tests with everything that its tests need.
type Suite struct {
	File *File
	Side Side
	// Claims are the claims of each job, by name.
	Claims map[string]map[string]any
	// Policies are the trust policies that tests name, by Test.Policy.
	Policies map[string]Policy
}

// Policy is a trust policy that a test names, with the providers of its files.
type Policy struct {
	inventory.Role
	Providers []inventory.Provider
}

// Result is what became of one test with one job.
type Result struct {
	Test     string   `json:"test"`
	Job      string   `json:"job"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures,omitempty"` // what was expected and what was found
	Outcome  Outcome  `json:"outcome"`
}

// Outcome is what was decided.
type Outcome struct {
	Decision string       `json:"decision"`     // allow or deny
	By       string       `json:"by,omitempty"` // who denied: rules or trust
	Rule     string       `json:"rule,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Cause    explain.Kind `json:"cause,omitempty"`
	Session  *Session     `json:"session,omitempty"` // of what the rules granted
	// RulesOnly says that there are roles, and not the one that was granted: no
	// trust policy was looked at.
	RulesOnly bool `json:"rules_only,omitempty"`
	// Unknown says what had to be known and is not; the decision is then none.
	Unknown string `json:"unknown,omitempty"`
	Legs    []Leg  `json:"explanations"`
}

// Session is what a rule grants.
type Session struct {
	Role            string            `json:"role"`
	Audience        string            `json:"audience"`
	Subject         string            `json:"subject"`
	Name            string            `json:"session_name"`
	Tags            map[string]string `json:"tags,omitempty"`
	Transitive      []string          `json:"transitive_tags,omitempty"`
	SourceIdentity  string            `json:"source_identity,omitempty"`
	DurationSeconds int64             `json:"duration_seconds"`
	Chain           []string          `json:"chain_tags,omitempty"`
	Dropped         []string          `json:"dropped_tags,omitempty"`
	Via             string            `json:"via,omitempty"` // assume-role; empty: a web identity
	ExternalID      string            `json:"external_id,omitempty"`
	Pool            string            `json:"identity_pool,omitempty"`
	Roles           []string          `json:"roles,omitempty"` // that a token of a pool's basic flow may buy; none: any
}

// Leg is one decision on the way from a job's token to a session.
type Leg struct {
	Title string `json:"title"`
	explain.Explanation
}

// Run runs every test with every job of it. now is the time of requests whose
// test gives none.
func (s *Suite) Run(now time.Time) []Result {
	results := []Result{}
	for _, t := range s.File.Tests {
		for _, job := range t.Jobs {
			out := s.decide(t, s.Claims[job], now)
			r := Result{Test: t.Name, Job: job, File: t.Position.File, Line: t.Position.Line, Outcome: out, Failures: t.Expect.compare(out)}
			r.Passed = len(r.Failures) == 0
			results = append(results, r)
		}
	}
	return results
}

func (s *Suite) decide(t Test, claims map[string]any, now time.Time) Outcome {
	if !t.Time.IsZero() {
		now = t.Time
	}
	if t.Policy == "" {
		return s.Side.decide(claims, Ask{t.Pool, t.Basic, t.Role, t.Audience, t.Duration}, now)
	}
	p := s.Policies[t.Policy]
	role := inAccount(p.Role, "", p.Providers)
	call := iam.WebIdentityCall{RoleSessionName: cmp.Or(t.SessionName, "stint-test"), Provider: t.Provider, Time: now}
	out := Outcome{Decision: Deny}
	// An audience that the token itself has is what AWS would see.
	out.trust(role, t.Policy, p.Providers, withAudience(claims, cmp.Or(t.Audience, "sts.amazonaws.com")), call)
	return out
}

// decide holds a job against the rules, and what they grant against the trust
// policy of the role, where that is known.
func (s *Side) decide(claims map[string]any, ask Ask, now time.Time) Outcome {
	out := Outcome{Decision: Deny}
	claims = withAudience(claims, s.audience(claims))
	x, d, title := s.explain(claims, ask, now)
	out.Legs = append(out.Legs, Leg{title, x})
	g, granted := d.Grant()
	out.Rule = d.Rule
	if !granted {
		out.By, out.Reason, out.Cause = ByRules, string(d.Reason), x.Kind
		return out
	}
	out.Session = sessionOf(g)
	if trustUnseen(g) {
		out.Decision, out.RulesOnly = Allow, true
		return out
	}
	role, known, unclear := s.role(g.Role())
	if unclear != "" {
		out.Unknown, out.By = unclear, ByTrust
		return out
	}
	if !known {
		out.Decision, out.RulesOnly = Allow, len(s.Roles) > 0
		return out
	}
	role = inAccount(role, g.Role(), s.Providers)
	if role.MaxSession > 0 {
		if x, refused := explain.TooLong(g.Session().Duration, role.MaxSession); refused {
			out.By, out.Cause = ByTrust, x.Kind
			out.Legs = append(out.Legs, Leg{"limits of the role " + g.Role(), x})
			return out
		}
	}
	out.trust(role, g.Role(), s.Providers, explain.StintToken(s.Config.Issuer, g), iam.WebIdentityCall{RoleARN: g.Role(), RoleSessionName: g.Session().Name, Time: now})
	return out
}

// explain decides by the rules, or by those of an identity pool.
func (s *Side) explain(claims map[string]any, ask Ask, now time.Time) (explain.Explanation, rules.Decision, string) {
	if ask.Pool == "" {
		x, d := explain.Rules(s.Config, s.Rules, claims, ask.request(now))
		return x, d, "rules of " + s.Config.File()
	}
	title := "identity pool " + ask.Pool + " of " + s.Config.File()
	x, d, err := explain.Pool(s.Config, s.Rules, ask.Pool, ask.Basic, claims, ask.request(now))
	if err != nil {
		x = explain.Explanation{Decision: explain.Denied, Action: explain.ActionExchange, Kind: explain.NotOurs, Cause: err.Error(),
			Closest: -1, Statements: []explain.Statement{}}
	}
	return x, d, title
}

// trustUnseen reports whether no trust policy is held against a grant: where
// the broker assumes the role itself, with credentials that no file names, and
// where the caller chooses the role.
func trustUnseen(g rules.Grant) bool {
	pool, _ := g.Pool()
	return g.Via() == rules.AssumeRole || pool.Basic
}

// inAccount is a role as it is in its account: that of its ARN, of its file, or
// else nobody's. What a template calls the account is then known.
func inAccount(role inventory.Role, arn string, providers []inventory.Provider) inventory.Role {
	account := cmp.Or(role.AccountID, nobodysAccount)
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		account = parts[4]
	}
	role.Trust = role.Trust.Deployed(account, providers)
	return role
}

// trust holds a token against a role's trust policy.
func (out *Outcome) trust(role inventory.Role, name string, providers []inventory.Provider, claims map[string]any, call iam.WebIdentityCall) {
	call, unknown, refused := webIdentity(role, providers, claims, call)
	switch {
	case refused != "":
		out.By, out.Cause = ByTrust, explain.Other
		out.Legs = append(out.Legs, Leg{"AWS STS", explain.Explanation{Decision: explain.Denied, Action: iam.ActionAssumeRoleWithWebIdentity,
			Kind: explain.Other, Cause: refused, Closest: -1, Statements: []explain.Statement{}}})
		return
	case unknown != "":
		out.Unknown, out.By = unknown, ByTrust
		return
	}
	x := explain.WebIdentity(role.Trust.Full, call)
	out.Legs = append(out.Legs, Leg{"trust policy of " + name, x})
	if x.Decision == explain.Allowed {
		out.Decision = Allow
		return
	}
	out.By, out.Cause = ByTrust, x.Kind
}

// webIdentity fills in a call with what a role and a token say. unknown says
// what of the role would have to be known and is not, refused why AWS STS takes
// no such token.
func webIdentity(role inventory.Role, providers []inventory.Provider, claims map[string]any, call iam.WebIdentityCall) (_ iam.WebIdentityCall, unknown, refused string) {
	switch {
	case role.Trust == nil:
		return call, "the role has no trust policy that is known", ""
	case role.Trust.Err != nil:
		return call, "AWS would refuse the trust policy: " + role.Trust.Err.Error(), ""
	case role.Trust.Full == nil:
		return call, "not everything in the trust policy is known before it is deployed: " + strings.Join(role.Trust.Node.Unknowns(), ", "), ""
	}
	carried, err := explain.ReadToken(claims)
	if err != nil {
		return call, "", "AWS STS refuses such a token: " + err.Error()
	}
	if arn, ok := role.ARN.Known(); ok && call.RoleARN == "" {
		call.RoleARN = arn
	}
	call.RoleTags = map[string]string{}
	tagged := readsRoleTags(role.Trust)
	for _, t := range role.Tags {
		k, known := t.Key.Known()
		v, also := t.Value.Known()
		if known && also {
			call.RoleTags[k] = v
		} else if tagged {
			return call, fmt.Sprintf("the role's tag %s is %s", t.Key, t.Value), ""
		}
	}
	if tagged && role.TagsOpen {
		return call, "the trust policy tests the role's tags, and not all of them are known", ""
	}
	call.Claims = claims
	call.Issuer, _ = claims["iss"].(string)
	if ids, ok := registered(providers, call.Issuer); ok {
		if aud := audienceOf(claims); !slices.Contains(ids, aud) {
			return call, "", fmt.Sprintf("the audience %q is none of the provider's client ids: %s", aud, strings.Join(ids, ", "))
		}
	}
	call.Tags, call.TransitiveTagKeys, call.SourceIdentity = carried.Tags, carried.Transitive, carried.SourceIdentity
	call.RolesClaim = carried.Limited && (call.RoleARN == "" || slices.Contains(carried.Roles, call.RoleARN))
	if call.Provider == "" {
		call.Provider = explain.Provider(role.Trust.Full, call.RoleARN, call.Issuer)
	}
	if call.Provider == "" {
		return call, "the trust policy names no provider, so the role's account is not known; name the provider in the test", ""
	}
	return call, "", ""
}

// readsRoleTags reports whether a trust policy tests tags of the role itself.
func readsRoleTags(p *inventory.Policy) bool {
	return strings.Contains(strings.ToLower(p.Node.String()), "resourcetag/")
}

// registered are the client ids of the issuer's provider, where the files have
// one provider of it and say all of them.
func registered(providers []inventory.Provider, issuer string) (ids []string, known bool) {
	for _, p := range providers {
		url, ok := p.URL.Known()
		if !ok || "https://"+strings.TrimPrefix(url, "https://") != issuer {
			continue
		}
		if known || p.ClientIDsOpen || len(p.ClientIDs) == 0 {
			return nil, false
		}
		for _, id := range p.ClientIDs {
			text, ok := id.Known()
			if !ok {
				return nil, false
			}
			ids = append(ids, text)
		}
		known = true
	}
	return ids, known
}

// audienceOf is the audience that AWS STS takes of a token: azp before aud.
func audienceOf(claims map[string]any) string {
	if azp, ok := claims["azp"].(string); ok && azp != "" {
		return azp
	}
	switch aud := claims["aud"].(type) {
	case string:
		return aud
	case []any:
		if len(aud) == 1 {
			text, _ := aud[0].(string)
			return text
		}
	}
	return ""
}

// named reports whether a role of this name has this ARN, but for the account.
// One whose path is not known may have any.
func named(r inventory.Role, name, arn string) bool {
	path, known := r.Path.Known()
	if !known {
		return name == arn[strings.LastIndexByte(arn, '/')+1:]
	}
	return strings.HasSuffix(arn, ":role"+cmp.Or(path, "/")+name)
}

// role is the role of this ARN. A role whose file says no account is that of
// any account by its name.
func (s *Side) role(arn string) (role inventory.Role, known bool, unclear string) {
	var byARN, byName []inventory.Role
	for _, r := range s.Roles {
		if r.ARN.Equals(arn) == source.Yes {
			byARN = append(byARN, r)
			continue
		}
		account := ""
		if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
			account = parts[4]
		}
		name, known := r.Name.Known()
		_, hasARN := r.ARN.Known()
		if known && name != "" && (!hasARN || r.ARN.String() == "") && named(r, name, arn) && (r.AccountID == "" || r.AccountID == account) {
			byName = append(byName, r)
		}
	}
	have, found := "this ARN", byARN
	if len(byARN) == 0 {
		have, found = "the name of it, and no account", byName
	}
	switch len(found) {
	case 0:
		return inventory.Role{}, false, ""
	case 1:
		return found[0], true, ""
	}
	return inventory.Role{}, false, fmt.Sprintf("%s: several roles have %s: at %s:%d and %s:%d", arn, have,
		found[0].Position.File, found[0].Position.Line, found[1].Position.File, found[1].Position.Line)
}

// audience is what a token of these claims asks the CI system for.
func (s *Side) audience(claims map[string]any) string {
	for _, i := range s.Config.Issuers {
		if i.URL == claims["iss"] && len(i.Audiences) > 0 {
			return i.Audiences[0]
		}
	}
	return s.Config.Issuer
}

// withAudience are the claims with an audience, where they have none.
func withAudience(claims map[string]any, audience string) map[string]any {
	if _, has := claims["aud"]; has {
		return claims
	}
	claims = maps.Clone(claims)
	claims["aud"] = audience
	return claims
}

func sessionOf(g rules.Grant) *Session {
	s := g.Session()
	out := &Session{
		Role: g.Role(), Audience: g.Audience(), Subject: g.Subject(), Name: s.Name, Tags: map[string]string{},
		Transitive: s.Transitive, SourceIdentity: s.SourceIdentity, DurationSeconds: int64(s.Duration / time.Second),
		Chain: s.Chain, Dropped: s.Dropped, ExternalID: g.ExternalID(),
	}
	if g.Via() == rules.AssumeRole {
		out.Via = string(g.Via())
	}
	if pool, ok := g.Pool(); ok {
		out.Pool, out.Roles = pool.ID, pool.Roles
	}
	for _, t := range s.Tags {
		out.Tags[t.Key] = t.Value
	}
	return out
}
