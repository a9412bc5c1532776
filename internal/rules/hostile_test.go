package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/config"
)

// TestManyMistakesInOneLine: telling where mistakes are does not cost more
// than finding them, and the mistakes that follow from the first are not told.
func TestManyMistakesInOneLine(t *testing.T) {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(head, "\n") + " [")
	for i := range 300 {
		fmt.Fprintf(&b, "{name: r%d, when: '%s claims.a == 7', aws: {roles: 'arn:aws:iam::111111111111:role/a'}}, ", i, strings.Repeat("true && ", 100))
	}
	found := compileProblems(t, strings.TrimSuffix(b.String(), ", ")+"]\n")
	if len(found) != 300 {
		t.Fatalf("%d mistakes", len(found))
	}
	line := strings.Split(b.String(), "\n")[found[299].Pos.Line-1]
	if !strings.HasPrefix(line[found[299].Pos.Column-1:], "== 7") {
		t.Errorf("the last stands at %v", found[299].Pos)
	}
	if n := len(compileProblems(t, head+ruleYAML("a", "    when: '"+strings.Repeat("a || ", 500)+"b'\n"+aws(role("a"))))); n != maxMistakes {
		t.Errorf("%d mistakes of one expression", n)
	}
}

// TestHostileExpressions: what is nested without end does not crash the
// compiler and is refused.
func TestHostileExpressions(t *testing.T) {
	for name, e := range map[string]string{
		"parentheses": strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000), "open": strings.Repeat("(", 4000),
		"lists": strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "==[]", "braces": strings.Repeat("{", 4000),
		"fields": "claims" + strings.Repeat(".a", 1900), "indexes": "token" + strings.Repeat("[0]", 1200) + "==1",
		"relations": "1" + strings.Repeat("<1", 1900), "ternaries": strings.Repeat("true?(", 300) + "true" + strings.Repeat("):true", 300),
		"macros": strings.Repeat("has(", 900), "long": strings.Repeat("true && ", 600) + "true",
	} {
		t.Run(name, func(t *testing.T) {
			found := compileProblems(t, head+ruleYAML("a", "    when: '"+e+"'\n"+aws(role("a"))))
			if len(found) == 0 {
				t.Error("it is not refused")
			}
		})
	}
}

// TestAbsorbedErrors: CEL lets a side that is decided win over one that fails.
// In a deny rule that must still deny, in an allow rule still not allow.
func TestAbsorbedErrors(t *testing.T) {
	for _, c := range []struct {
		when  string
		holds string // what an allow rule and a deny rule with it come to
	}{
		{`claims.nothing == "x" || claims.actor == "octocat"`, "allow deny"},
		{`claims.nothing == "x" || claims.actor == "other"`, "no deny"},
		{`claims.nothing == "x" && claims.actor == "other"`, "no no"},
		{`claims.nothing == "x" && claims.actor == "octocat"`, "no deny"},
		{`!(claims.nothing == "x")`, "no deny"},
		{`claims.nothing != "x"`, "no deny"},
		{`has(claims.nothing) && claims.nothing == "x"`, "no no"},
		{`token.nothing > 3`, "no deny"},
		{`token.actor > 3`, "no deny"},
		{`int(claims.actor) > 3`, "no deny"},
		{`claims.exists(k, claims[k] == "octocat")`, "allow deny"},
	} {
		allow := compile(t, ruleYAML("x", "    when: '"+c.when+"'\n"+aws(role("a"))))
		deny := compile(t, ruleYAML("x", is74+aws(role("a")))+ruleYAML("d", "    effect: deny\n    when: '"+c.when+"'\n"))
		got := map[bool]string{true: "allow", false: "no"}[allow.Decide(job(), Request{}).Allowed()] + " " +
			map[bool]string{true: "no", false: "deny"}[deny.Decide(job(), Request{}).Allowed()]
		if got != c.holds {
			t.Errorf("%s: expected %s, found %s", c.when, c.holds, got)
		}
	}
}

// TestClaimsNeverBecomeSyntax: no value of a claim is read as part of an ARN, a
// wildcard or a template.
func TestClaimsNeverBecomeSyntax(t *testing.T) {
	set := compile(t, ruleYAML("x", is74+aws(role("ci-{actor}"))))
	for _, v := range []string{
		"", "*", "a*", "?", "a/b", "a:b", "/", "..%2f", "${aws:username}", "{actor_id}", "{", "}", "a b", "a\n", "\x00", "\u212a", "ａ", "á", "a\u200b", "a\xff",
		strings.Repeat("a", 62), strings.Repeat("a", 200), "x:role/y",
	} {
		for _, asked := range []string{"", arn + "ci-" + v, arn + "ci-*", arn + "ci-"} {
			if d := set.Decide(job("actor", v), Request{Role: asked}); d.Allowed() {
				g, _ := d.Grant()
				t.Errorf("%q, asked for %q: %s", v, asked, g.Role())
			}
		}
	}
	if d := set.Decide(job("actor", strings.Repeat("a", 61)), Request{}); !d.Allowed() {
		t.Errorf("the longest: %s", d.Detail)
	}
}

// FuzzDenyOnlyDenies asserts that whatever deny rule is added, wherever it
// stands, no denial becomes a grant and no grant another, and that a decision
// made twice is the same.
func FuzzDenyOnlyDenies(f *testing.F) {
	base := ruleYAML("one", is74+aws(role("{actor}")+", "+role("b"))) + ruleYAML("two", isProd+"    when: request.role != \"\"\n"+aws(role("a")))
	f.Add("actor", "oct*", "octocat", "", true)
	f.Add("nothing", "*", "x", arn+"a", false)
	f.Add("environment", "dev", "b", arn+"b", true)
	without := compile(f, base)
	f.Fuzz(func(t *testing.T, claim, pattern, actor, asked string, first bool) {
		deny := ruleYAML("d", fmt.Sprintf("    effect: deny\n    match: {%q: %q}\n", claim, pattern))
		yaml := base + deny
		if first {
			yaml = deny + base
		}
		cfg, err := config.Parse("stint.yaml", []byte(head+yaml))
		if err != nil {
			return
		}
		with, err := Compile(cfg)
		if err != nil {
			t.Fatal(err)
		}
		claims, req := job("actor", actor), Request{Role: asked}
		d, denied := without.Decide(claims, req), with.Decide(claims, req)
		if denied.Allowed() && verdict(denied) != verdict(d) {
			t.Errorf("%s, and with a deny rule %s", verdict(d), verdict(denied))
		}
		if !denied.Allowed() && d.Allowed() && denied.Reason != DenyRule {
			t.Errorf("denied for %s", denied.Reason)
		}
		if again := with.Decide(claims, req); fmt.Sprint(verdict(again), again.Detail, again.Hint, len(again.Results)) != fmt.Sprint(verdict(denied), denied.Detail, denied.Hint, len(denied.Results)) {
			t.Error("decided twice, and not the same")
		}
	})
}

func BenchmarkDecide10(b *testing.B) {
	var yaml strings.Builder
	for i := range 10 {
		yaml.WriteString(ruleYAML(fmt.Sprintf("r%d", i), fmt.Sprintf("    match: {repository_id: \"%d\"}\n    when: claims.actor_id != \"7\"\n", 65+i)+aws(role("a"))))
	}
	set, claims := compile(b, yaml.String()), job()
	b.ReportAllocs()
	for b.Loop() {
		if !set.Decide(claims, Request{}).Allowed() {
			b.Fatal("denied")
		}
	}
}
