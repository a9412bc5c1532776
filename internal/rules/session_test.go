package rules

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/identity"
)

func sessionYAML(body string) string {
	return ruleYAML("x", is74+"    aws:\n      roles: ["+role("a")+"]\n"+body)
}

func TestSession(t *testing.T) {
	for _, c := range []struct {
		name, body string
		claims     identity.Claims
		want       string // name tags transitive identity
	}{
		{"default name", "", job(), "octo-repo-1001 [] [] "},
		{"the run survives a long name", "", job("sub", "ref:x", "repository", "o/"+strings.Repeat("r", 100)), strings.Repeat("r", 59) + "-1001 [] [] "},
		{"no run", "", job("run_id", nil), "stint- [] [] "},
		{"no name to begin with", "", ci(map[string]any{"sub": "x", "repository_id": "74", "repository_name": "", "run_id": ""}), "stint- [] [] "},
		{"name made to fit", "      session_name: \"{ref}:{actor}\"\n", job("actor", "ü[bot]"), "refs-heads-main---bot- [] [] "},
		{"name cut", "      session_name: \"{actor}\"\n", job("actor", strings.Repeat("a", 65)), strings.Repeat("a", 64) + " [] [] "},
		{"tags by key", "      tags: {z: actor, a: \"{repository_owner}/{environment}\"}\n", job(), "octo-repo-1001 [{a octo-org/prod} {z octocat}] [] "},
		{"absent tag, and its transitive key", "      tags: {a: actor, e: environment}\n      transitive: [e, a]\n", job("environment", nil), "octo-repo-1001 [{a octocat}] [a] "},
		{"empty tag", "      tags: {b: base_ref}\n", job("base_ref", ""), "octo-repo-1001 [{b }] [] "},
		{"tag encoded", "      tags: {a: {claim: actor, encode: true}}\n", job("actor", "a=[b]"), "octo-repo-1001 [{a a=3D=5Bb=5D}] [] "},
		{"letters of the world", "      tags: {a: actor}\n", job("actor", "Zoë 世"), "octo-repo-1001 [{a Zoë 世}] [] "},
		{"identity", "      source_identity: actor_id\n", job(), "octo-repo-1001 [] [] 12"},
		{"identity by template", "      source_identity: gh-{actor_id}\n", job(), "octo-repo-1001 [] [] gh-12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := compile(t, sessionYAML(c.body)).Decide(c.claims, Request{})
			g, ok := d.Grant()
			if !ok {
				t.Fatalf("denied: %s", d.Detail)
			}
			s := g.Session()
			if got := fmt.Sprintf("%s %v %v %s", s.Name, s.Tags, s.Transitive, s.SourceIdentity); got != c.want {
				t.Errorf("expected %q, found %q", c.want, got)
			}
		})
	}
}

func TestSessionDenied(t *testing.T) {
	for _, c := range []struct {
		name, body string
		claims     identity.Claims
		reason     Reason
		says       []string
	}{
		{"required tag", "      tags: {e: {claim: environment, required: true}}\n", job("environment", nil), SessionInvalid, []string{"the tag e is required", "no claim environment"}},
		{"character", "      tags: {a: actor}\n", job("actor", "x[bot]"), SessionInvalid, []string{"the tag a", `"["`, `{claim: "actor", encode: true}`}},
		{"long tag", "      tags: {a: actor}\n", job("actor", strings.Repeat("a", 257)), SessionInvalid, []string{"257 characters", "256"}},
		{"long once encoded", "      tags: {a: {claim: actor, encode: true}}\n", job("actor", strings.Repeat("[", 86)), SessionInvalid, []string{"258 characters"}},
		{"absent in the name", "      session_name: \"{environment}\"\n", job("environment", nil), SessionInvalid, []string{"no claim environment"}},
		{"name too short", "      session_name: \"{environment}\"\n", job("environment", "p"), SessionInvalid, []string{"shorter than 2"}},
		{"absent identity", "      source_identity: environment\n", job("environment", nil), SessionInvalid, []string{"no claim environment"}},
		{"identity's character", "      source_identity: repository\n", job(), SessionInvalid, []string{`"octo-org/octo-repo"`, "actor_id"}},
		{"short identity", "      source_identity: actor_id\n", job("actor_id", "1"), SessionInvalid, []string{"2 to 64"}},
		{"long identity", "      source_identity: actor\n", job("actor", strings.Repeat("a", 65)), SessionInvalid, []string{"2 to 64"}},
		{"too large", "      tags: {" + bigTags() + "}\n", job("actor", strings.Repeat("a", 250)), SessionTooLarge, []string{"STS allows 4096", "the largest tags", "t0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := compile(t, sessionYAML(c.body)).Decide(c.claims, Request{})
			if d.Allowed() || d.Reason != c.reason || d.Rule != "x" {
				t.Errorf("expected %s by x, found %s by %s: %s", c.reason, verdict(d), d.Rule, d.Detail)
			}
			for _, s := range c.says {
				if !strings.Contains(d.Detail+"; "+d.Hint, s) {
					t.Errorf("expected %q to be said, found %q, %q", s, d.Detail, d.Hint)
				}
			}
		})
	}
}

func bigTags() string {
	var tags []string
	for i := range 10 {
		tags = append(tags, fmt.Sprintf("t%d: actor", i))
	}
	return strings.Join(tags, ", ")
}

// TestARequestOnlyNarrows: nothing that a client sends makes more of a grant.
func TestARequestOnlyNarrows(t *testing.T) {
	set := compile(t, sessionYAML("      duration: 2h\n"))
	for asked, want := range map[time.Duration]time.Duration{0: 2 * time.Hour, time.Hour: time.Hour, 2 * time.Hour: 2 * time.Hour, 12 * time.Hour: 2 * time.Hour} {
		g, ok := set.Decide(job(), Request{Duration: asked, SessionName: "mine"}).Grant()
		if s := g.Session(); !ok || s.Duration != want || s.Name != "octo-repo-1001" {
			t.Errorf("asked for %s: %+v", asked, s)
		}
	}
	arns := []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}
	g, _ := set.Decide(job(), Request{Policy: "{}", PolicyARNs: arns}).Grant()
	arns[0] = "changed"
	if g.Policy() != "{}" || g.PolicyARNs()[0] == "changed" {
		t.Error("the policies are not the request's")
	}
}

func TestEstimateSize(t *testing.T) {
	set := compile(t, sessionYAML("      tags: {a: actor}\n      transitive: [a]\n"))
	size := func(changes ...any) int {
		g, ok := set.Decide(job(changes...), Request{}).Grant()
		if !ok {
			t.Fatal("denied")
		}
		return EstimateSize(&g)
	}
	// 300 bytes more of a claim take 4/3 as many of the token.
	if d := size("actor", strings.Repeat("a", 250)) - size("actor", strings.Repeat("a", 100)); d < 199 || d > 201 {
		t.Errorf("150 bytes take %d", d)
	}
	if s := size(); s < 1000 || s > 1200 {
		t.Errorf("a small session takes %d", s)
	}
}

var (
	// These say again, independently of the package, what STS takes.
	strictARN  = regexp.MustCompile(`\Aarn:aws:iam::111111111111:role/(ci-[\w+=,.@-]+|team/[\w+=,.@-]+)\z`)
	strictName = regexp.MustCompile(`\A[\w+=,.@-]{2,64}\z`)
	strictTag  = regexp.MustCompile(`\A[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}\z`)
)

// FuzzGrant asserts that whatever the claims hold, what is granted is what STS
// takes and what the rules list, that a request without a role is decided as
// one for the role it gets, and that a deny rule never makes a grant.
func FuzzGrant(f *testing.F) {
	yaml := ruleYAML("x", "    match: {a: \"*\"}\n    aws:\n      roles: ["+role("ci-{a}")+", "+role("team/{b}")+"]\n"+
		"      session_name: \"{a}-{b}\"\n      tags: {t: {claim: a, encode: true}, u: b}\n      source_identity: a\n")
	set := compile(f, yaml)
	denying := compile(f, yaml+ruleYAML("d", "    effect: deny\n    when: request.role.contains(claims.b)\n"))
	f.Add("octo-repo", "main", "")
	f.Add("a/../b", "*", arn+"team/*")
	f.Add("x", "y", arn+"team/y")
	f.Add("{b}", "${aws:username}", arn+"ci-{b}")
	f.Add("a\n", "ü:?", arn+"ci-a\n")
	f.Fuzz(func(t *testing.T, a, b, asked string) {
		claims := ci(map[string]any{"sub": "x", "a": a, "b": b})
		req := Request{Role: asked}
		d := set.Decide(claims, req)
		if !d.Allowed() && denying.Decide(claims, req).Allowed() {
			t.Fatal("a deny rule granted")
		}
		g, ok := d.Grant()
		if !ok {
			return
		}
		if denied := denying.Decide(claims, req); strings.Contains(g.Role(), b) && denied.Allowed() {
			t.Fatalf("the deny rule was passed with the role %q", asked)
		}
		s := g.Session()
		switch {
		case !strictARN.MatchString(g.Role()):
			t.Errorf("role %q", g.Role())
		case g.Role() != arn+"ci-"+a && g.Role() != arn+"team/"+b:
			t.Errorf("role %q is not listed", g.Role())
		case asked != "" && asked != g.Role():
			t.Errorf("asked for %q, given %q", asked, g.Role())
		case !strictName.MatchString(s.Name) || !strictName.MatchString(s.SourceIdentity):
			t.Errorf("name %q, source identity %q", s.Name, s.SourceIdentity)
		}
		for _, tag := range s.Tags {
			if !strictTag.MatchString(tag.Value) {
				t.Errorf("tag %q", tag)
			}
		}
		if again := set.Decide(claims, Request{Role: g.Role()}); !again.Allowed() {
			t.Errorf("the role %q is given and not listed", g.Role())
		}
	})
}

// FuzzEncode asserts that different values make different tags: two that
// became the same would be one principal to a policy.
func FuzzEncode(f *testing.F) {
	set := compile(f, ruleYAML("x", "    match: {sub: x}\n    aws:\n      roles: ["+role("a")+"]\n      tags: {t: {claim: a, encode: true}}\n"))
	f.Add("[", "=5B")
	f.Add("=", "=3D")
	f.Add("\xff", "\ufffd")
	f.Fuzz(func(t *testing.T, a, b string) {
		tag := func(v string) (string, bool) {
			g, ok := set.Decide(ci(map[string]any{"sub": "x", "a": v}), Request{}).Grant()
			if !ok {
				return "", false
			}
			return g.Session().Tags[0].Value, true
		}
		x, okX := tag(a)
		y, okY := tag(b)
		if okX && okY && (x == y) != (a == b) {
			t.Errorf("%q and %q become %q and %q", a, b, x, y)
		}
	})
}
