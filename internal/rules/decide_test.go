package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
)

const head = `issuer: https://stint.example.com
issuers:
  github:
    url: https://token.actions.githubusercontent.com
    audiences: [https://stint.example.com]
    only: {repository_owner_id: "65"}
  ci:
    url: https://ci.example.com
    audiences: [https://stint.example.com]
rules:
`

const arn = "arn:aws:iam::111111111111:role/"

func compile(tb testing.TB, yaml string) *Set {
	tb.Helper()
	cfg, err := config.Parse("stint.yaml", []byte(head+yaml))
	if err != nil {
		tb.Fatal(err)
	}
	set, err := Compile(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// job is a deployment's claims, with changes: name, value, and nil for absent.
func job(changes ...any) identity.Claims {
	payload := map[string]any{
		"sub": "repo:octo-org/octo-repo:environment:prod", "repository": "octo-org/octo-repo", "repository_id": "74",
		"repository_owner": "octo-org", "repository_owner_id": "65", "environment": "prod", "ref": "refs/heads/main",
		"event_name": "push", "actor": "octocat", "actor_id": "12", "run_id": "1001",
	}
	for i := 0; i < len(changes); i += 2 {
		if payload[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(payload, changes[i].(string))
		}
	}
	return identity.InsecureClaims("github", identity.GitHub, payload)
}

func ci(payload map[string]any) identity.Claims {
	return identity.InsecureClaims("ci", identity.Generic, payload)
}

// rule is a rule that allows; body is what follows its name.
func ruleYAML(name, body string) string { return "  - name: " + name + "\n" + body }

func aws(roles string) string { return "    aws: {roles: [" + roles + "]}\n" }

const (
	is74   = "    match: {repository_id: \"74\"}\n"
	isProd = "    match: {environment: prod}\n"
)

func role(name string) string { return `"` + arn + name + `"` }

// verdict is a decision in one line: the rule and the role, or the reason.
func verdict(d Decision) string {
	g, ok := d.Grant()
	if ok != d.Allowed() || ok == (d.Reason != "") {
		return fmt.Sprintf("contradiction: %+v", d)
	}
	if !ok {
		return string(d.Reason)
	}
	return g.Rule() + " " + strings.TrimPrefix(g.Role(), arn)
}

func TestDecide(t *testing.T) {
	two := ruleYAML("one", is74+aws(role("a"))) + ruleYAML("two", isProd+aws(role("b")+", "+role("a")))
	deny := ruleYAML("no-pr", "    effect: deny\n    match: {event_name: pull_request*}\n")
	for _, c := range []struct {
		name, rules string
		claims      identity.Claims
		req         Request
		want        string
		says        string // part of the detail and the hint of a denial
	}{
		{"first role of the first rule", two, job(), Request{}, "one a", ""},
		{"role asked for", two, job(), Request{Role: arn + "b"}, "two b", ""},
		{"first rule that lists it", two, job(), Request{Role: arn + "a"}, "one a", ""},
		{"second rule matches alone", two, job("repository_id", "75"), Request{}, "two b", ""},
		{"role not listed", two, job(), Request{Role: arn + "c"}, "role_not_listed", "this job can have " + arn + "a"},
		{"role in another case", two, job(), Request{Role: arn + "A"}, "role_not_listed", ""},
		{"role of a rule that does not match", two, job("environment", nil), Request{Role: arn + "b"}, "role_not_listed", "no such claim; add environment: prod"},
		{"more than one misses", ruleYAML("x", "    match: {repository_id: \"74\", environment: prod, ref: refs/heads/main, event_name: [push]}\n"+aws(role("a"))), job("environment", nil, "event_name", "pull_request", "ref", "refs/pull/1/merge"), Request{},
			"no_rule_matched", "add environment: prod to the job in the workflow; the rule asks for another ref and event_name too"},
		{"nothing matches", two, job("repository_id", "75", "environment", "dev"), Request{}, "no_rule_matched", `expected repository_id to be "74", found "75"`},
		{"no rules", "    []\n", job(), Request{}, "no_rule_matched", "no rule allows anything"},
		{"no issuer", two, identity.Claims{}, Request{}, "no_rule_matched", ""},
		{"deny wins from below", two + deny, job("event_name", "pull_request"), Request{}, "deny_rule", `no-pr matches: event_name is "pull_request"`},
		{"deny wins from above", deny + two, job("event_name", "pull_request_target"), Request{}, "deny_rule", ""},
		{"deny that does not match", deny + two, job(), Request{}, "one a", ""},

		{"rule of another issuer", ruleYAML("x", "    issuer: ci\n"+is74+aws(role("a"))), job(), Request{}, "no_rule_matched", "issuer ci, and this one is of github"},
		{"rule of several issuers", ruleYAML("x", "    issuer: [ci, github]\n"+is74+aws(role("a"))), job(), Request{}, "x a", ""},
		{"letter case", ruleYAML("x", "    match: {environment: Prod}\n"+aws(role("a"))), job(), Request{}, "no_rule_matched", "only the letter case differs"},
		{"any of a list", ruleYAML("x", "    match: {ref: [refs/heads/main, refs/tags/v*]}\n"+aws(role("a"))), job("ref", "refs/tags/v1"), Request{}, "x a", ""},
		{"all of match", ruleYAML("x", "    match: {environment: prod, ref: refs/heads/rel}\n"+aws(role("a"))), job(), Request{}, "no_rule_matched", "expected ref"},
		{"any element of a list claim", ruleYAML("x", "    match: {groups: b}\n"+aws(role("a"))), ci(map[string]any{"sub": "x", "groups": []any{"a", "b"}}), Request{}, "x a", ""},
		{"absent claim and *", ruleYAML("x", "    match: {nothing: \"*\"}\n"+aws(role("a"))), job(), Request{}, "no_rule_matched", "no such claim"},
		{"null claim and *", ruleYAML("x", "    match: {n: \"*\"}\n"+aws(role("a"))), ci(map[string]any{"sub": "x", "n": nil}), Request{}, "no_rule_matched", "no such claim"},
		{"empty claim and *", ruleYAML("x", "    match: {n: \"*\"}\n"+aws(role("a"))), ci(map[string]any{"sub": "x", "n": ""}), Request{}, "x a", ""},
		{"derived claim", ruleYAML("x", "    match: {repository_name: octo-repo}\n"+aws(role("a"))), job(), Request{}, "x a", ""},

		{"when holds", ruleYAML("x", "    when: claims.actor_id != \"7\"\n"+aws(role("a"))), job(), Request{}, "x a", ""},
		{"when does not", ruleYAML("x", "    when: claims.actor_id != \"12\"\n"+aws(role("a"))), job(), Request{}, "no_rule_matched", "its condition does not hold"},
		{"when fails in an allow rule", ruleYAML("x", "    when: claims.nothing != \"7\"\n"+aws(role("a"))), job(), Request{}, "no_rule_matched", "has(claims.NAME)"},
		{"when fails in a deny rule", two + ruleYAML("d", "    effect: deny\n    when: claims.nothing == \"7\"\n"), job(), Request{}, "deny_rule", "could not be evaluated"},
		{"when guards", ruleYAML("x", "    when: '!has(claims.nothing) && \"ref\" in claims'\n"+aws(role("a"))), job(), Request{}, "x a", ""},
		{"when costs too much", ruleYAML("x", "    when: 'token.l.all(a, token.l.all(b, token.l.all(c, a != \"\" && b != \"\" && c != \"\")))'\n"+aws(role("a"))),
			ci(map[string]any{"sub": "x", "l": slices.Repeat([]any{"x"}, 256)}), Request{}, "no_rule_matched", "cost limit"},
		{"when sees types", ruleYAML("x", "    when: token.n == 3 && token.f == 1.5 && token.l[0] == \"a\" && claims.n == \"3\"\n"+aws(role("a"))),
			ci(map[string]any{"sub": "x", "n": json.Number("3"), "f": json.Number("1.5"), "l": []any{"a"}}), Request{}, "x a", ""},
		{"when sees the time", ruleYAML("x", "    when: now < timestamp(\"2026-10-01T00:00:00Z\")\n"+aws(role("a"))), job(),
			Request{Time: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}, "x a", ""},
		{"when is too late", ruleYAML("x", "    when: now < timestamp(\"2026-10-01T00:00:00Z\")\n"+aws(role("a"))), job(),
			Request{Time: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)}, "no_rule_matched", ""},
		{"whole pattern", ruleYAML("x", "    when: claims.ref.matches(\"^refs/heads/(?:main|rel)$\")\n"+aws(role("a"))), job("ref", "refs/heads/main2"), Request{}, "no_rule_matched", ""},
		// The default is decided on as if it had been asked for.
		{"deny of the default role", two + ruleYAML("d", "    effect: deny\n    when: request.role.endsWith(\"/a\")\n"), job(), Request{}, "deny_rule", ""},
		{"deny of the default audience", two + ruleYAML("d", "    effect: deny\n    when: request.audience == \"sts.amazonaws.com\"\n"), job(), Request{}, "deny_rule", ""},
		{"deny of another role", two + ruleYAML("d", "    effect: deny\n    when: request.role.endsWith(\"/b\")\n"), job(), Request{}, "one a", ""},

		{"any audience", two, job(), Request{Audience: "https://vault.example.com"}, "one a", ""},
		{"audience listed", ruleYAML("x", is74+"    audiences: [https://*.example.com]\n"+aws(role("a"))), job(), Request{Audience: "https://vault.example.com"}, "x a", ""},
		{"default audience is listed", ruleYAML("x", is74+"    audiences: [v]\n"+aws(role("a"))), job(), Request{Audience: "sts.amazonaws.com"}, "x a", ""},
		{"audience not listed", ruleYAML("x", is74+"    audiences: [v]\n"+aws(role("a"))), job(), Request{Audience: "w"}, "audience_refused", `expected the audience to be "v", found "w"`},
		{"audience with a space", two, job(), Request{Audience: "a b"}, "audience_refused", ""},
		{"audience not ASCII", two, job(), Request{Audience: "ü"}, "audience_refused", ""},
		{"longest audience", two, job(), Request{Audience: strings.Repeat("a", 255)}, "one a", ""},
		{"audience too long", two, job(), Request{Audience: strings.Repeat("a", 256)}, "audience_refused", ""},

		{"role by claim", ruleYAML("x", is74+aws(role("ci-{repository_name}"))), job(), Request{Role: arn + "ci-octo-repo"}, "x ci-octo-repo", ""},
		{"role of another", ruleYAML("x", is74+aws(role("ci-{repository_name}"))), job(), Request{Role: arn + "ci-other"}, "role_not_listed", arn + "ci-octo-repo"},
		{"slash in a role", ruleYAML("x", is74+aws(role("{repository}"))), job(), Request{}, "role_not_listed", `the claim repository is "octo-org/octo-repo", and '/'`},
		{"role by an absent claim", ruleYAML("x", is74+aws(role("{nothing}"))), job(), Request{}, "role_not_listed", "no claim nothing"},
		{"default cannot be formed", ruleYAML("x", is74+aws(role("{nothing}")+", "+role("a"))), job(), Request{}, "role_not_listed", ""},
		{"the other can", ruleYAML("x", is74+aws(role("{nothing}")+", "+role("a"))), job(), Request{Role: arn + "a"}, "x a", ""},
		{"name of 65", ruleYAML("x", is74+aws(role("r{actor}"))), job("actor", strings.Repeat("a", 64)), Request{}, "role_not_listed", "at most 64"},

		{"shortest duration", two, job(), Request{Duration: 900 * time.Second}, "one a", ""},
		{"too short", two, job(), Request{Duration: 899 * time.Second}, "session_invalid", "15m"},
		{"too long", two, job(), Request{Duration: 12*time.Hour + time.Second}, "session_invalid", ""},
		{"negative", two, job(), Request{Duration: -time.Hour}, "session_invalid", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := compile(t, c.rules).Decide(c.claims, c.req)
			if got := verdict(d); got != c.want {
				t.Errorf("expected %s, found %s: %s", c.want, got, d.Detail)
			}
			if said := d.Detail + "; " + d.Hint; !strings.Contains(said, c.says) {
				t.Errorf("expected %q to be said, found %q", c.says, said)
			}
		})
	}
}

// TestEveryRuleIsListed: a decision says of each rule, in order, what it came
// to, the ones behind the deciding rule included.
func TestEveryRuleIsListed(t *testing.T) {
	d := compile(t, ruleYAML("one", is74+aws(role("a")))+
		ruleYAML("deny", "    effect: deny\n    match: {event_name: pull_request}\n")+
		ruleYAML("two", "    match: {environment: [dev, test], ref: refs/heads/x}\n"+aws(role("b")))).Decide(job(), Request{})
	got, err := json.Marshal(d.Results)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"rule":"one","effect":"allow","matched":true},` +
		`{"rule":"deny","effect":"deny","matched":false,"miss":{"claim":"event_name","expected":["pull_request"],"found":"push","detail":"expected event_name to be \"pull_request\", found \"push\""}},` +
		`{"rule":"two","effect":"allow","matched":false,"miss":{"claim":"environment","expected":["dev","test"],"found":"prod","detail":"expected environment to be \"dev\" or \"test\", found \"prod\""}}]`
	if string(got) != want {
		t.Errorf("expected %s\nfound %s", want, got)
	}
}

func TestZeroValuesDeny(t *testing.T) {
	var set Set
	var d Decision
	if d.Allowed() || set.Decide(job(), Request{}).Allowed() {
		t.Error("a zero value allows")
	}
	if g, ok := d.Grant(); ok || g.Role() != "" {
		t.Error("a zero decision grants")
	}
}

// TestExampleDecides is what `stint demo` shows.
func TestExampleDecides(t *testing.T) {
	cfg, err := config.Load(filepath.Join("..", "..", "examples", "stint.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g, ok := set.Decide(job(), Request{Role: arn + "deploy"}).Grant()
	if !ok {
		t.Fatal("the deployment is denied")
	}
	s := g.Session()
	if g.Subject() != "github:repo:octo-org/octo-repo:environment:prod" || s.Name != "octo-repo-1001" || s.SourceIdentity != "12" ||
		fmt.Sprint(s.Tags) != "[{env prod} {repository octo-org/octo-repo}]" || fmt.Sprint(s.Transitive) != "[repository]" {
		t.Errorf("subject %s, session %+v", g.Subject(), s)
	}
	pr := job("event_name", "pull_request", "environment", nil, "ref", "refs/pull/1/merge", "sub", "repo:octo-org/octo-repo:pull_request")
	if d := set.Decide(pr, Request{Role: arn + "deploy"}); d.Allowed() || !strings.Contains(d.Detail, "environment") {
		t.Errorf("a pull request that asks for deploy: %s %s", verdict(d), d.Detail)
	}
	if d := set.Decide(pr, Request{}); verdict(d) != "plan plan" {
		t.Errorf("a pull request: %s %s", verdict(d), d.Detail)
	}
}

func TestCompileTellsProblems(t *testing.T) {
	cfg, err := config.Parse("stint.yaml", []byte(head+ruleYAML("x", "    when: 1 +\n"+aws(role("a")))+ruleYAML("y", "    when: claims.a\n"+aws(role("a")))))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compile(cfg)
	var p config.Problems
	if !errors.As(err, &p) || len(p) != 2 || p[0].Pos.Line != 12 || p[1].Pos.Line != 15 {
		t.Errorf("expected a problem of each rule, found %v", err)
	}
}

// TestConcurrent lets the race detector see many decisions by one Set.
func TestConcurrent(t *testing.T) {
	set := compile(t, ruleYAML("x", "    when: claims.actor_id == \"12\" && request.role != \"\"\n"+is74+aws(role("{repository_name}")))+ruleYAML("y", is74+aws(role("{repository_name}"))))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if d := set.Decide(job(), Request{}); verdict(d) != "x octo-repo" {
					t.Errorf("found %s", verdict(d))
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkDecide1000(b *testing.B) {
	var yaml strings.Builder
	for i := range 1000 {
		yaml.WriteString(ruleYAML(fmt.Sprintf("r%d", i), fmt.Sprintf("    match: {repository_id: \"%d\", environment: prod, ref: [refs/heads/main, refs/tags/v*]}\n", 1000+i)+aws(role("a"))))
	}
	set, claims := compile(b, yaml.String()), job("repository_id", "1999")
	b.ReportAllocs()
	for b.Loop() {
		if !set.Decide(claims, Request{}).Allowed() {
			b.Fatal("denied")
		}
	}
}
