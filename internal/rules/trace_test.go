package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestClosest holds every denial to the rule that it names, to all that did
// not hold in it, and to the change; and the change, made in the file, to
// letting the caller in.
func TestClosest(t *testing.T) {
	file := func(environment, refs, when, roles string) string {
		return ruleYAML("deploy", fmt.Sprintf("    match: {repository_id: \"74\", environment: %s, ref: %s}\n    when: %s\n", environment, refs, when)+aws(roles)) +
			ruleYAML("other", "    match: {repository_id: \"99\"}\n"+aws(role("b")))
	}
	plain := file("prod", "[refs/heads/main]", `claims.actor_id != "7"`, role("a"))
	for _, c := range []struct {
		name    string
		rules   string
		changes []any
		req     Request
		closest string
		failed  string // OPERATOR KEY of what did not hold
		change  string
		warns   bool
		fixed   string // the file with the change made; empty: not by a change of match
	}{
		{"all that does not hold", plain, []any{"environment", "dev", "ref", "refs/heads/x"}, Request{}, "deploy", "match environment, match ref",
			`in the rule deploy, add "dev" to its environment and add "refs/heads/x" to its ref`, true,
			file("[prod, dev]", "[refs/heads/main, refs/heads/x]", `claims.actor_id != "7"`, role("a"))},
		{"an absent claim", plain, []any{"environment", nil}, Request{}, "deploy", "match environment", "take environment out of its match", true, ""},
		{"a pull request", plain, []any{"ref", "refs/pull/1/merge"}, Request{}, "deploy", "match ref", `add "refs/pull/1/merge" to its ref`, true, ""},
		{"a condition in CEL", plain, []any{"actor_id", "7"}, Request{}, "deploy", "when when", "change its condition, when", true,
			file("prod", "[refs/heads/main]", "\"true\"", role("a"))},
		{"a condition in CEL beside match", plain, []any{"actor_id", "7", "environment", "dev"}, Request{}, "deploy", "match environment, when when",
			"add \"dev\" to its environment and change its condition, when", true, ""},
		{"another role", plain, nil, Request{Role: arn + "b"}, "other", "match repository_id", `add "74" to its repository_id`, true, ""},
		{"a role of no rule", plain, nil, Request{Role: arn + "c"}, "deploy", "role role", `add "` + arn + `c" to its roles`, true,
			file("prod", "[refs/heads/main]", `claims.actor_id != "7"`, role("a")+","+role("c"))},
		{"a role that cannot be formed", ruleYAML("x", is74+aws(role("{environment}"))), []any{"environment", "a/b"}, Request{}, "x", "", "can be formed", false, ""},
		{"another issuer", ruleYAML("x", "    issuer: ci\n"+is74+aws(role("a"))), nil, Request{}, "x", "match issuer", `add "github" to its issuer`, true, ""},
		{"a deny rule", plain + ruleYAML("no", "    effect: deny\n    match: {ref: refs/heads/main}\n"), nil, Request{}, "no", "", "narrow the deny rule no", true, ""},
		{"a session", ruleYAML("x", is74+"    aws: {roles: ["+role("a")+"], source_identity: run_id}\n"), []any{"run_id", "1"}, Request{}, "x", "", "use an id", false, ""},
		{"no rule that allows", ruleYAML("no", "    effect: deny\n    match: {ref: refs/heads/x}\n"), nil, Request{}, "", "", "", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.req.Time = time.Unix(1_800_000_000, 0)
			claims := job(c.changes...)
			d := compile(t, c.rules).Decide(claims, c.req)
			if d.Allowed() {
				t.Fatal("allowed")
			}
			if c.closest == "" {
				if d.Closest != nil {
					t.Errorf("got %+v, want no rule", d.Closest)
				}
				return
			}
			if d.Closest == nil || d.Closest.Rule != c.closest || d.Results[d.Closest.Index].Rule != c.closest {
				t.Fatalf("got the closest rule %+v, want %s", d.Closest, c.closest)
			}
			var failed []string
			for _, x := range d.Closest.Conditions {
				if !x.Matched {
					failed = append(failed, x.Operator+" "+x.Key)
				}
			}
			if got := strings.Join(failed, ", "); got != c.failed {
				t.Errorf("failed: got %q, want %q", got, c.failed)
			}
			if !strings.Contains(d.Change, c.change) || (d.Warning != "") != c.warns {
				t.Errorf("got the change %q and the warning %q, want %q", d.Change, d.Warning, c.change)
			}
			if strings.Contains(c.name, "pull request") != strings.Contains(d.Warning, "whoever wrote its code") {
				t.Errorf("got the warning %q", d.Warning)
			}
			if c.fixed != "" {
				if after := compile(t, c.fixed).Decide(claims, c.req); !after.Allowed() {
					t.Errorf("after the change: %s: %s", after.Reason, after.Detail)
				}
			}
		})
	}
	if d := compile(t, plain).Decide(job(), Request{}); !d.Allowed() || d.Closest != nil || d.Change != "" {
		t.Errorf("a grant carries reasons of a denial: %+v", d)
	}
}

// TestTraceAgrees holds Trace to Decide: a rule matches where all of its
// conditions hold.
func TestTraceAgrees(t *testing.T) {
	set := compile(t, ruleYAML("a", is74+"    when: has(claims.extra) && claims.extra == \"x\"\n"+aws(role("a")))+
		ruleYAML("b", "    issuer: [github]\n"+isProd+aws(role("b")))+
		ruleYAML("c", "    effect: deny\n    match: {ref: refs/heads/x}\n    when: claims.nothing == \"1\"\n"))
	for _, changes := range [][]any{nil, {"extra", "x"}, {"environment", nil}, {"ref", "refs/heads/x"}, {"repository_id", "75", "ref", "refs/heads/x"}} {
		claims := job(changes...)
		d := set.Decide(claims, Request{})
		for i, tr := range set.Trace(claims, Request{}) {
			all := true
			for _, c := range tr.Conditions {
				all = all && c.Matched
			}
			if tr.Matched != d.Results[i].Matched || all != tr.Matched || tr.Rule != d.Results[i].Rule {
				t.Errorf("%v: rule %s: all its conditions hold: %v, matched: %v, Decide says %v", changes, tr.Rule, all, tr.Matched, d.Results[i].Matched)
			}
		}
	}
}
