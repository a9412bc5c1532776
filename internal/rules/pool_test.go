package rules_test

import (
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
)

const (
	poolID = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f"
	ghName = "token.actions.githubusercontent.com"
	one    = "arn:aws:iam::111111111111:role/one"
	two    = "arn:aws:iam::111111111111:role/two"
	three  = "arn:aws:iam::111111111111:role/three"
)

const poolFile = `issuer: https://stint.example.com
issuers:
  github:
    url: https://token.actions.githubusercontent.com
    audiences: [https://stint.example.com]
    only: {repository_owner_id: "65"}
  other: {url: https://ci.example.com, audiences: [a]}
rules:
  - name: never-forks
    effect: deny
    match: {event_name: pull_request_target}
  - name: elsewhere
    match: {repository_id: "74"}
    aws: {roles: ["arn:aws:iam::111111111111:role/elsewhere"]}
pools:
  - id: ` + poolID + `
    name: gh
    account: "111111111111"
    %s
    providers:
      - provider: token.actions.githubusercontent.com
        tags: {repository: repository, env: environment}
        transitive: [repository]
`

func pools(t *testing.T, pool, provider string) *rules.Set {
	t.Helper()
	set, err := compile(t, fmt.Sprintf(poolFile, pool)+provider)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func compile(t *testing.T, file string) (*rules.Set, error) {
	t.Helper()
	cfg, err := config.Parse("stint.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return rules.Compile(cfg)
}

func jobClaims(issuer string, change map[string]any) identity.Claims {
	payload := map[string]any{
		"iss": "https://token.actions.githubusercontent.com", "sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "aud": "https://stint.example.com",
		"repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner_id": "65", "ref": "refs/heads/main", "event_name": "push",
	}
	for k, v := range change {
		payload[k] = v
	}
	return identity.InsecureClaims(issuer, identity.GitHub, payload)
}

const mapping = `        rules:
          - {claim: sha, equals: "a*", role: "` + three + `"}
          - {claim: ref, starts_with: refs/heads/, role: "` + one + `"}
          - {claim: repository, contains: octo, role: "` + two + `"}
          - {claim: environment, not_equal: prod, role: "` + three + `"}
`

// TestPoolDecides: the first role mapping rule that matches, the role asked for
// among all that match, what happens where none does, and the deny rules.
func TestPoolDecides(t *testing.T) {
	none := map[string]any{"ref": "refs/tags/v1", "repository": "acme/app"}
	for _, c := range []struct {
		name           string
		pool, provider string
		claims         map[string]any
		asked          string
		role           string // empty: denied
		rule           string
		reason         rules.Reason
	}{
		{"the first that matches", "default_role: " + three, mapping, nil, "", one, "gh/" + ghName + "/2", ""},
		{"a star is a star", "default_role: " + three, mapping, map[string]any{"sha": "a*"}, "", three, "gh/" + ghName + "/1", ""},
		{"and nothing else", "default_role: " + three, mapping, map[string]any{"sha": "abc"}, "", one, "gh/" + ghName + "/2", ""},
		{"asked for, a later one", "default_role: " + three, mapping, nil, two, two, "gh/" + ghName + "/3", ""},
		{"asked for, one that does not match", "default_role: " + three, mapping, nil, three, "", "", rules.RoleNotListed},
		{"not equal", "default_role: " + one, mapping, map[string]any{"ref": "refs/tags/v1", "repository": "acme/app", "environment": "dev"}, "", three, "gh/" + ghName + "/4", ""},
		{"not equal of an absent claim", "default_role: " + one, mapping, none, "", "", "", rules.NoRuleMatched},
		{"not equal of the value", "default_role: " + one, mapping, map[string]any{"ref": "x", "repository": "acme/app", "environment": "prod"}, "", "", "", rules.NoRuleMatched},
		{"none matches: the default role", "default_role: " + three, mapping + "        no_match: default_role\n", none, "", three, "gh/" + ghName + "/default", ""},
		{"the default role is none of those that match", "default_role: " + three, mapping + "        no_match: default_role\n", nil, three, "", "", rules.RoleNotListed},
		{"no rules: the default role", "default_role: " + three, "", nil, "", three, "gh/" + ghName + "/default", ""},
		{"no rules, another role asked for", "default_role: " + three, "", nil, one, "", "", rules.RoleNotListed},
		{"a role of the broker's own rules", "default_role: " + three, mapping, nil, "arn:aws:iam::111111111111:role/elsewhere", "", "", rules.RoleNotListed},
		{"a deny rule", "default_role: " + three, mapping, map[string]any{"event_name": "pull_request_target"}, "", "", "never-forks", rules.DenyRule},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := pools(t, c.pool, c.provider)
			p, _ := set.Pool(poolID)
			v, ok := p.Provider(ghName)
			if !ok {
				t.Fatal("no provider")
			}
			d := v.Decide(jobClaims("github", c.claims), rules.Request{Role: c.asked, Time: time.Unix(1, 0)}, false)
			g, allowed := d.Grant()
			if allowed != (c.role != "") || g.Role() != c.role || d.Reason != c.reason || c.rule != "" && d.Rule != c.rule {
				t.Fatalf("found %q by %q, %s: %s; want %q by %q, %s", g.Role(), d.Rule, d.Reason, d.Detail, c.role, c.rule, c.reason)
			}
			if !allowed {
				if d.Detail == "" || d.Closest == nil {
					t.Errorf("the denial is not explained: %+v", d)
				}
				return
			}
			pool, pooled := g.Pool()
			if !pooled || pool.Basic || g.Audience() != poolID || g.Subject() != pool.Identity || g.Session().Name != "CognitoIdentityCredentials" ||
				!slices.Equal(g.Session().Transitive, []string{"repository"}) {
				t.Errorf("the grant: %+v, %+v", pool, g.Session())
			}
		})
	}
}

// TestPoolBasic: the basic flow gives a token and no role.
func TestPoolBasic(t *testing.T) {
	set := pools(t, "classic: true\n    classic_roles: ["+one+"]", "")
	p, _ := set.Pool(poolID)
	v, _ := p.Provider("arn:aws:iam::111111111111:oidc-provider/" + ghName)
	claims := jobClaims("github", nil)
	g, ok := v.Decide(claims, rules.Request{Role: two}, true).Grant()
	pool, _ := g.Pool()
	if !ok || g.Role() != "" || !pool.Basic || !slices.Equal(pool.Roles, []string{one}) {
		t.Errorf("found %+v, role %q", pool, g.Role())
	}
	want := []string{"authenticated", ghName, "arn:aws:iam::111111111111:oidc-provider/" + ghName + ":OIDC:repo:octo-org/octo-repo:ref:refs/heads/main"}
	if !slices.Equal(pool.Methods(), want) {
		t.Errorf("amr %q, want %q", pool.Methods(), want)
	}
	if d := v.Decide(claims, rules.Request{}, false); d.Allowed() || v.Gives {
		t.Errorf("the enhanced flow of a pool without roles gave %+v", d)
	}
	if d := v.Decide(jobClaims("other", nil), rules.Request{}, true); d.Allowed() {
		t.Error("another issuer's claims were let in")
	}
	if d := v.Decide(jobClaims("github", map[string]any{"event_name": "pull_request_target"}), rules.Request{}, true); d.Reason != rules.DenyRule {
		t.Errorf("a deny rule did not hold: %+v", d)
	}
}

// TestPoolOtherRole: a pool's rule has one role, and the change says so.
func TestPoolOtherRole(t *testing.T) {
	set := pools(t, "default_role: "+one, "")
	p, _ := set.Pool(poolID)
	v, _ := p.Provider(ghName)
	d := v.Decide(jobClaims("github", nil), rules.Request{Role: two}, false)
	if d.Reason != rules.RoleNotListed || !strings.Contains(d.Change, "add a role mapping rule that gives the role") || d.Warning == "" {
		t.Errorf("found %s, %q, %q", d.Reason, d.Change, d.Warning)
	}
}

// TestPoolBasicDeniedRole: a deny rule about the role asked for holds in the
// basic flow too, where the job asks for none.
func TestPoolBasicDeniedRole(t *testing.T) {
	const byEvent = "    match: {event_name: pull_request_target}\n"
	for _, c := range []struct {
		name, when, ref string
		roles           []string
	}{
		{"on main", `request.role == "` + one + `" && claims.ref != "refs/heads/main"`, "refs/heads/main", []string{one, two}},
		{"elsewhere", `request.role == "` + one + `" && claims.ref != "refs/heads/main"`, "refs/heads/else", []string{two}},
		{"all but one", `request.role != "` + one + `"`, "refs/heads/main", []string{one}},
		{"every role", `request["role"].startsWith("arn:")`, "refs/heads/main", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := strings.Replace(poolFile, byEvent, "    when: '"+c.when+"'\n", 1)
			set, err := compile(t, fmt.Sprintf(file, "classic: true\n    classic_roles: ["+one+","+two+"]"))
			if err != nil {
				t.Fatal(err)
			}
			p, _ := set.Pool(poolID)
			v, _ := p.Provider(ghName)
			d := v.Decide(jobClaims("github", map[string]any{"ref": c.ref}), rules.Request{}, true)
			g, ok := d.Grant()
			pool, _ := g.Pool()
			if ok != (c.roles != nil) || !slices.Equal(pool.Roles, c.roles) || g.Role() != "" || !ok && d.Reason != rules.DenyRule {
				t.Errorf("allowed %v (%s), roles %q, want %q", ok, d.Reason, pool.Roles, c.roles)
			}
			if _, err := compile(t, fmt.Sprintf(file, "classic: true")); err == nil || !strings.Contains(err.Error(), "classic_roles") {
				t.Errorf("a pool whose token buys any role was accepted: %v", err)
			}
		})
	}
}

// TestPoolBasicReason: where the roles that no deny rule takes away fail too,
// why they do is the reason, in whatever order they stand.
func TestPoolBasicReason(t *testing.T) {
	file := strings.Replace(poolFile, "    match: {event_name: pull_request_target}\n", "    when: request.role == \""+one+"\"\n", 1) + "        source_identity: sub\n"
	for _, roles := range []string{one + "," + two, two + "," + one} {
		set, err := compile(t, fmt.Sprintf(file, "classic: true\n    classic_roles: ["+roles+"]"))
		if err != nil {
			t.Fatal(err)
		}
		p, _ := set.Pool(poolID)
		v, _ := p.Provider(ghName)
		if d := v.Decide(jobClaims("github", nil), rules.Request{}, true); d.Allowed() || d.Reason == rules.DenyRule || !strings.Contains(d.Detail, "source identity") {
			t.Errorf("%s: found %s, %q", roles, d.Reason, d.Detail)
		}
	}
}

// TestPoolOneIssuer: the login that a job names must not choose among rules.
func TestPoolOneIssuer(t *testing.T) {
	_, err := config.Parse("stint.yaml", []byte(fmt.Sprintf(poolFile, "default_role: "+one)+`      - provider: token.actions.githubusercontent.com/octo-org
        issuer: github
        rules: [{claim: ref, starts_with: refs/, role: "`+two+`"}]
`))
	if err == nil || !strings.Contains(err.Error(), "the issuer github is that of the provider "+ghName+" already") {
		t.Errorf("found %v", err)
	}
}

// TestPoolsShareDenyRules: what a file takes grows with its rules and its pools,
// not with the product of both.
func TestPoolsShareDenyRules(t *testing.T) {
	var b strings.Builder
	b.WriteString("issuer: https://stint.example.com\nissuers: {ci: {url: https://ci.example.com, audiences: [a]}}\nrules:\n")
	for i := range 500 {
		fmt.Fprintf(&b, "  - {name: d%d, effect: deny, match: {actor_id: \"%d\"}}\n", i, i)
	}
	b.WriteString("pools:\n")
	for i := range 500 {
		fmt.Fprintf(&b, "  - {id: 'eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-%012d', account: \"111111111111\", default_role: %s, providers: [{provider: ci.example.com}]}\n", i, one)
	}
	cfg, err := config.Parse("stint.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	set, err := rules.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 10<<20 { // a copy per pool took 40 MiB and more
		t.Errorf("500 pools and 500 deny rules take %d bytes", grown)
	}
	runtime.KeepAlive(set)
}

// TestPoolAudience: a stint token for a pool is had by the pool's rules only.
func TestPoolAudience(t *testing.T) {
	set := pools(t, "default_role: "+one, "")
	if d := set.Decide(jobClaims("github", nil), rules.Request{Audience: poolID}); d.Reason != rules.AudienceRefused {
		t.Errorf("a token with a pool's audience was given: %+v", d)
	}
	if d := set.Decide(jobClaims("github", nil), rules.Request{Audience: "anything"}); !d.Allowed() {
		t.Errorf("another audience was refused: %+v", d)
	}
}

// TestIdentityID: one for each pool, issuer and subject, and the same always.
func TestIdentityID(t *testing.T) {
	set := pools(t, "default_role: "+one, "")
	p, _ := set.Pool(poolID)
	id := p.IdentityID("https://a", "b")
	// Clients keep identity ids: what they are derived from must not change.
	if !strings.HasPrefix(id, "eu-central-1:") || !regexp.MustCompile(`^[\w-]+:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("found %s", id)
	}
	other := *p
	other.ID = strings.Replace(poolID, "0b", "1b", 1)
	seen := map[string]string{}
	for name, got := range map[string]string{
		"same": p.IdentityID("https://a", "b"), "issuer": p.IdentityID("https://b", "b"), "subject": p.IdentityID("https://a", "c"),
		"shifted": p.IdentityID("https://ab", ""), "pool": other.IdentityID("https://a", "b"),
	} {
		if (got == id) != (name == "same") || seen[got] != "" {
			t.Errorf("%s: %s", name, got)
		}
		seen[got] = name
	}
	if before := "eu-central-1:49b870c5-93a8-86e5-8b13-b4e3fac15f0f"; id != before {
		t.Errorf("the derivation changed: %s, was %s", id, before)
	}
}

const dropFile = `issuer: https://stint.example.com
issuers:
  github: {url: https://token.actions.githubusercontent.com, audiences: [a], only: {repository_owner_id: "65"}}
rules:
  - name: r
    match: {repository_id: "74"}
    aws:
      roles: ["arn:aws:iam::111111111111:role/one"]
      tags:
        keep: repository
%s
      transitive: [t02]
      chain: {tags: [t02, keep]}
`

// TestDrop: optional tags go in their order until the session fits, and never
// because of what the caller sends.
func TestDrop(t *testing.T) {
	var tags []string
	claims := map[string]any{}
	for i := range 12 {
		claims[fmt.Sprintf("c%02d", i)] = strings.Repeat("x", 250)
		tags = append(tags, fmt.Sprintf("        t%02d: {claim: c%02d, drop: %d}", i, i, 12-i))
	}
	decide := func(tags []string, req rules.Request) rules.Decision {
		t.Helper()
		cfg, err := config.Parse("stint.yaml", []byte(fmt.Sprintf(dropFile, strings.Join(tags, "\n"))))
		if err != nil {
			t.Fatal(err)
		}
		set, err := rules.Compile(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return set.Decide(jobClaims("github", claims), req)
	}
	g, ok := decide(tags, rules.Request{}).Grant()
	if !ok {
		t.Fatal("denied")
	}
	s := g.Session()
	if !slices.Equal(s.Dropped, []string{"t11", "t10", "t09", "t08"}) || len(s.Tags) != 9 || !slices.Equal(s.Transitive, []string{"t02"}) || !slices.Equal(s.Chain, []string{"keep", "t02"}) {
		t.Errorf("dropped %q, kept %d, transitive %q, chain %q", s.Dropped, len(s.Tags), s.Transitive, s.Chain)
	}
	if size := rules.EstimateSize(&g); size > rules.MaxSessionSize {
		t.Errorf("it still takes %d bytes", size)
	}
	sum := 0
	for _, c := range g.Costs() {
		sum += c.Bytes
	}
	if sum != rules.EstimateSize(&g) {
		t.Errorf("the costs are %d in all, and the estimate %d", sum, rules.EstimateSize(&g))
	}

	// A job that makes its session policy large must not get rid of a tag.
	few := tags[:8]
	few[2] = "        t02: {claim: c02, drop: 1}"
	if g, ok = decide(few, rules.Request{}).Grant(); !ok || len(g.Session().Dropped) > 0 {
		t.Fatalf("dropped %q of a session that fits", g.Session().Dropped)
	}
	if d := decide(few, rules.Request{Policy: strings.Repeat("p", 300)}); d.Reason != rules.SessionTooLarge {
		t.Errorf("with a large session policy: %+v", d)
	}
	// Nor one that asks for a long audience.
	if d := decide(few, rules.Request{Audience: "https://" + strings.Repeat("a", 247), TokenOnly: true}); d.Reason != rules.SessionTooLarge {
		t.Errorf("with a long audience: %+v", d)
	}
	if d := decide(few, rules.Request{PolicyARNs: []string{strings.Repeat("p", 300)}}); d.Reason != rules.SessionTooLarge {
		t.Errorf("with large policy ARNs: %+v", d)
	}
}

// TestVia: no token buys a role that is had by the broker's own credentials.
func TestVia(t *testing.T) {
	cfg, err := config.Parse("stint.yaml", []byte(`issuer: https://stint.example.com
issuers:
  github: {url: https://token.actions.githubusercontent.com, audiences: [a], only: {repository_owner_id: "65"}}
rules:
  - {name: r, match: {repository_id: "74"}, aws: {roles: ["arn:aws:iam::111111111111:role/one"], via: assume-role, external_id: abc}}
`))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d := set.Decide(jobClaims("github", nil), rules.Request{TokenOnly: true}); d.Reason != rules.NotByToken {
		t.Errorf("a token was given: %+v", d)
	}
	g, ok := set.Decide(jobClaims("github", nil), rules.Request{}).Grant()
	if !ok || g.Via() != rules.AssumeRole || g.ExternalID() != "abc" {
		t.Errorf("found %v %s %s", ok, g.Via(), g.ExternalID())
	}
}
