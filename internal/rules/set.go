package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/match"
)

// Set is the compiled rules of a configuration. It is immutable and safe for
// concurrent use. The zero Set denies everything.
type Set struct {
	rules    []*rule
	audience string // the aud where a request names none
	asks     bool   // a condition may look at the request
	pools    map[string]*Pool
}

type rule struct {
	name      string
	effect    Effect
	issuers   []string
	match     []condition
	when      *expression // nil: none
	audiences []match.Pattern
	roles     []config.Template
	session   session
	via       Via
	external  string
	fallback  bool // it is looked at only where no other allow rule matches
	basic     bool // it gives no role by itself: a pool's basic flow
}

// condition is a claim of which a value must match: any pattern, or where
// mapped is set, what a pool's role mapping rule says.
type condition struct {
	claim    string
	patterns []match.Pattern
	mapped   *config.RoleRule
	expected []string // what is expected, as it was written
	said     string   // and in a sentence
}

// holds reports whether a claim with these values meets the condition. A claim
// that is absent meets none.
func (c *condition) holds(values []string) bool {
	if c.mapped != nil && c.mapped.Type == config.NotEqual {
		return len(values) > 0 && !slices.Contains(values, c.mapped.Value.Value)
	}
	return slices.ContainsFunc(values, func(v string) bool {
		if c.mapped != nil {
			return mapped(c.mapped.Type, v, c.mapped.Value.Value)
		}
		return slices.ContainsFunc(c.patterns, func(p match.Pattern) bool { return p.Match(v) })
	})
}

func newCondition(m config.Match) condition {
	c := condition{claim: m.Claim, patterns: m.Compile()}
	for _, p := range c.patterns {
		c.expected = append(c.expected, p.String())
	}
	c.said = "expected " + c.claim + " to be " + quoted(c.expected)
	return c
}

// Compile compiles the rules of a configuration. Its error is config.Problems.
func Compile(cfg *config.Config) (*Set, error) {
	set := &Set{audience: cfg.AWS.Audience}
	var problems config.Problems
	env, err := newExpressions()
	if err != nil {
		return nil, fmt.Errorf("preparing the expressions: %w", err)
	}
	for i, r := range cfg.Rules {
		if len(problems) >= config.MaxProblems {
			break
		}
		c := &rule{name: r.Name, effect: Allow, issuers: r.Issuers}
		if r.Deny {
			c.effect = Deny
		}
		for _, m := range r.Match {
			c.match = append(c.match, newCondition(m))
		}
		for _, a := range r.Audiences {
			c.audiences = append(c.audiences, match.Compile(a.Value))
		}
		path := fmt.Sprintf("rules[%d]", i)
		if r.When.Value != "" {
			c.when = env.compile(cfg, &problems, r.When, path+".when")
			set.asks = true
		}
		t := templates{cfg, &problems, path + ".aws"}
		for _, role := range r.AWS.Roles {
			c.roles = append(c.roles, t.parse(role, ".roles", config.ParseTemplate))
		}
		c.via, c.external = Via(cmp.Or(r.AWS.Via, config.WebIdentity)), r.AWS.ExternalID.Value
		c.session = t.session(r.AWS)
		set.rules = append(set.rules, c)
	}
	set.compilePools(cfg, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return set, nil
}

// templates parses the texts of one rule that hold claims.
type templates struct {
	cfg      *config.Config
	problems *config.Problems
	path     string
}

func (t templates) parse(text config.Text, at string, parse func(string) (config.Template, error)) config.Template {
	parsed, err := parse(text.Value)
	if err != nil { // refused by package config already
		t.problems.Add(t.cfg, text.Pos, t.path+at, "", "%s", err)
	}
	return parsed
}

func (t templates) session(a config.RuleAWS) session {
	s := session{duration: a.Duration}
	if a.SessionName.Value != "" {
		name := t.parse(a.SessionName, ".session_name", config.ParseTemplate)
		s.name = &name
	}
	if a.SourceIdentity.Value != "" {
		source := t.parse(a.SourceIdentity, ".source_identity", config.ClaimOrTemplate)
		s.sourceIdentity = &source
	}
	for _, tg := range a.Tags {
		s.tags = append(s.tags, tag{
			key: tg.Key, value: t.parse(tg.Source, ".tags", config.ClaimOrTemplate), required: tg.Required, encode: tg.Encode, drop: tg.Drop,
		})
	}
	for _, key := range a.Transitive {
		s.transitive = append(s.transitive, key.Value)
	}
	for _, key := range a.Chain {
		s.chain = append(s.chain, key.Value)
	}
	return s
}

// Len is how many rules there are.
func (s *Set) Len() int { return len(s.rules) }

// Decide decides. Every rule is evaluated, so that the decision can say of each
// what it came to. A deny rule that matches wins wherever it stands; else the
// first allow rule that matches and lists the role asked for grants it.
//
// A request that names no role or audience is decided as one that names the
// default. Otherwise a deny rule on request.role would be passed by leaving out
// the role that it denies.
func (s *Set) Decide(claims identity.Claims, req Request) Decision {
	req.Audience = cmp.Or(req.Audience, s.audience)
	d := s.decide(claims, req)
	if d.grant != nil && req.Role == "" && s.asks {
		req.Role = d.grant.role
		return s.decide(claims, req)
	}
	return d
}

func (s *Set) decide(claims identity.Claims, req Request) Decision {
	e := evaluation{set: s, claims: claims, req: req, values: map[string][]string{}, failed: map[*rule]string{}}
	d := Decision{Results: make([]Result, len(s.rules))}
	denying, fallback := -1, -1
	var matched []int
	e.held = make([]int, len(s.rules))
	for i := range s.rules {
		r := s.rules[i]
		var miss *Miss
		e.held[i], miss = e.evaluate(r)
		d.Results[i] = Result{Rule: r.name, Effect: r.effect, Matched: miss == nil, Miss: miss}
		switch {
		case miss != nil:
		case r.effect == Deny:
			if denying < 0 {
				denying = i
			}
		case r.fallback:
			fallback = i
		default:
			matched = append(matched, i)
		}
	}
	if len(matched) == 0 && fallback >= 0 {
		matched = append(matched, fallback)
	}
	switch {
	case claims.Issuer() == "": // claims that nobody signed are nobody's
		return d.deny(NoRuleMatched, "", "the claims have no issuer", "")
	case denying >= 0:
		r := s.rules[denying]
		return e.explain(d.deny(DenyRule, r.name, fmt.Sprintf("the deny rule %s matches: %s", r.name, e.why(r)), ""), denying)
	case len(matched) == 0:
		return e.noneMatched(d)
	}
	return e.grant(d, matched)
}

// noneMatched denies for want of a rule that matches, and names the closest.
func (e *evaluation) noneMatched(d Decision) Decision {
	closest := e.closest(d, e.lists)
	if closest < 0 {
		closest = e.closest(d, func(*rule) bool { return true })
	}
	if closest < 0 {
		return d.deny(NoRuleMatched, "", "no rule allows anything", "")
	}
	miss := d.Results[closest].Miss
	detail := fmt.Sprintf("no rule matches; the closest is %s: %s", d.Results[closest].Rule, miss.Detail)
	return e.explain(d.deny(NoRuleMatched, "", detail, e.hintAt(d, closest)), closest)
}

// closest is the allow rule that does not match, is wanted, and of whose
// conditions the most held before one did not; -1 if there is none.
func (e *evaluation) closest(d Decision, wanted func(*rule) bool) int {
	found := -1
	for i, result := range d.Results {
		if result.Miss != nil && result.Effect == Allow && (found < 0 || e.held[i] > e.held[found]) && wanted(e.set.rules[i]) {
			found = i
		}
	}
	return found
}

// lists reports whether a rule lists the role asked for.
func (e *evaluation) lists(r *rule) bool {
	role, _, _ := e.role(r)
	return e.req.Role != "" && role != ""
}

// deny makes d a denial.
func (d Decision) deny(reason Reason, rule, detail, hint string) Decision {
	d.grant, d.Reason, d.Rule, d.Detail, d.Hint = nil, reason, rule, detail, hint
	return d
}

// evaluation is one call of Decide.
type evaluation struct {
	set    *Set
	claims identity.Claims
	req    Request
	values map[string][]string // of the claims that were looked at
	input  map[string]any      // of expressions, made when the first needs it
	failed map[*rule]string    // of deny rules, why a condition could not be evaluated
	held   []int               // of each rule, how many conditions held before one did not
}

// evaluate reports how many of a rule's conditions held before the first that
// did not, and that one, or nil if the rule matches.
func (e *evaluation) evaluate(r *rule) (held int, miss *Miss) {
	if len(r.issuers) > 0 {
		if !slices.Contains(r.issuers, e.claims.Issuer()) {
			return 0, &Miss{Expected: r.issuers, Found: e.claims.Issuer(),
				Detail: fmt.Sprintf("it is for tokens of the issuer %s, and this one is of %s", list(r.issuers), e.claims.Issuer())}
		}
	}
	for _, c := range r.match {
		if miss := e.condition(c); miss != nil {
			return held, miss
		}
		held++
	}
	if r.when != nil {
		if miss := e.when(r); miss != nil {
			return held, miss
		}
	}
	return held, nil
}

func (e *evaluation) condition(c condition) *Miss {
	values, known := e.values[c.claim]
	if !known {
		values = e.claims.Values(c.claim)
		e.values[c.claim] = values
	}
	if c.holds(values) {
		return nil
	}
	miss := &Miss{Claim: c.claim, Expected: slices.Clone(c.expected)}
	if len(values) == 0 {
		miss.Absent = true
		miss.Detail = c.said + ", and the token has no such claim"
		return miss
	}
	miss.Found = short(values[0])
	if len(values) > 1 {
		miss.Found = short(list(values))
	}
	miss.Detail = c.said + ", found " + strconv.Quote(miss.Found)
	return miss
}

// grant makes of the rules that match, in order, what the request asks for.
func (e *evaluation) grant(d Decision, matched []int) Decision {
	var listed []string
	var unformed string
	for _, i := range matched {
		r := e.set.rules[i]
		role, roles, reason := e.role(r)
		if role == "" && !r.basic {
			listed = append(listed, roles...)
			if unformed == "" && reason != "" {
				unformed = fmt.Sprintf("; rule %s: %s", r.name, reason)
			}
			continue
		}
		if d = e.issue(d, r, role); d.grant == nil {
			return e.explain(d, i)
		}
		return d
	}
	closest := matched[0]
	detail := "the rules that match give no role" + unformed
	var hints []string
	if e.req.Role != "" {
		detail = fmt.Sprintf("the rules that match do not give the role %q%s", short(e.req.Role), unformed)
		if i := e.closest(d, e.lists); i >= 0 {
			closest = i
			miss := d.Results[i].Miss
			detail = fmt.Sprintf("rule %s gives the role %s: %s", d.Results[i].Rule, short(e.req.Role), miss.Detail)
			if h := e.hintAt(d, i); h != "" {
				hints = append(hints, h)
			}
		}
	}
	if len(listed) > 0 {
		hints = append(hints, "this job can have "+list(listed))
	}
	return e.explain(d.deny(RoleNotListed, "", detail, strings.Join(hints, "; ")), closest)
}

// issue makes the grant of one role by one rule.
func (e *evaluation) issue(d Decision, r *rule, role string) Decision {
	d.Rule = r.name
	if e.req.TokenOnly && r.via == AssumeRole {
		return d.deny(NotByToken, r.name, fmt.Sprintf("rule %s gives %s by via: assume-role, and no token buys that role", r.name, role),
			"ask for AWS credentials: stint exec --role "+role)
	}
	audience, err := e.audience(r)
	if err != nil {
		return d.deny(AudienceRefused, r.name, err.Error(), "")
	}
	session, err := e.session(&r.session)
	if err != nil {
		var hint string
		if h, ok := err.(*sessionError); ok {
			hint = h.hint
		}
		return d.deny(SessionInvalid, r.name, fmt.Sprintf("rule %s: %s", r.name, err), hint)
	}
	sub, _ := e.claims.Text("sub")
	g := &Grant{
		claims: e.claims, rule: r.name, subject: e.claims.Issuer() + ":" + sub, role: role, audience: audience,
		via: r.via, externalID: r.external, session: session, pool: e.req.pool,
	}
	if p := e.req.pool; p != nil {
		g.subject = p.Identity
	}
	g.fit(r.session.tags, e.set.audience)
	g.policy, g.policyARNs = e.req.Policy, slices.Clone(e.req.PolicyARNs)
	if size := EstimateSize(g); size > MaxSessionSize {
		detail, hint := tooLarge(g, size)
		return d.deny(SessionTooLarge, r.name, detail, hint)
	}
	d.grant = g
	return d
}
