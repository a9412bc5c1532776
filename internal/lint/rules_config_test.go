package lint

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/match"
)

func TestConfigRules(t *testing.T) {
	rules := func(list ...string) world { return world{noRole: true, rules: strings.Join(list, "")} }
	under := func(issuers string, list ...string) world {
		return world{noRole: true, rules: issuers + "rules:" + strings.Join(list, "")}
	}
	perRepository := func(match string) string {
		return strings.ReplaceAll(allowRule("ci", match), "role/deploy", "role/ci-{repository_name}")
	}

	runWorlds(t, "rule-open", []worldCase{
		{"a branch", rules(allowRule("ci", `{ref: refs/heads/main}`)), "of the claims only ref must match"},
		{"the author's claims", rules(allowRule("ci", `{actor: octocat, workflow: deploy, head_ref: x}`)), "of the claims only actor, workflow, head_ref must match"},
		{"anything", rules(allowRule("ci", `{repository: "*"}`)), "only repository"},
		{"the owner again", rules(allowRule("ci", `{repository_owner_id: "65"}`)), "only repository_owner_id"},
		{"the owner by a wildcard", rules(allowRule("ci", `{repository: "octo-org/*"}`)), "only repository"},
		{"the second value", rules(allowRule("ci", `{repository: [octo-org/octo-repo, "*"]}`)), "only repository"},
		{"an expression", rules(allowRule("ci", `{ref: refs/heads/main}`, `when: claims.repository_id == "74"`)), "unknown: unless the expression"},
		{"a repository", rules(allowRule("ci", `{repository_id: "74", ref: refs/heads/main}`)), ""},
		{"repositories", rules(allowRule("ci", `{repository: ["octo-org/octo-repo", "octo-org/app-*"]}`)), ""},
		{"a subject", rules(allowRule("ci", `{sub: "repo:octo-org/octo-repo:*"}`)), ""},
		{"a subject of an owner", rules(allowRule("ci", `{sub: "repo:octo-org/*"}`)), "only sub"},
		{"a workflow", rules(allowRule("ci", `{job_workflow_ref: "octo-org/auto/.github/workflows/oidc.yml@refs/heads/main"}`)), ""},
		{"one of two owners", under(issuersTwoOwners, allowRule("ci", `{repository_owner_id: "65"}`)), ""},
		{"only has the repository", under(issuersRepository, allowRule("ci", `{ref: refs/heads/main}`)), ""},
		{"a role for each repository", rules(perRepository(`{ref: refs/heads/main}`)), ""},
		{"a claim that is not known", rules(allowRule("ci", `{repo_property_team: a}`)), ""},
		{"a deny rule", rules(denyRule("never", `{actor: octocat}`)), ""},
		{"an issuer that is not known", under("  other: {url: \"https://ci.example.com\", audiences: [stint]}\n", allowRule("ci", `{ref: refs/heads/main}`)), ""},
	})

	runWorlds(t, "rule-renameable", []worldCase{
		{"names", under(issuersByName, allowRule("ci", `{repository: octo-org/octo-repo}`)), `repository "octo-org/octo-repo" goes by a name`},
		{"a subject by names", under(issuersByName, allowRule("ci", `{sub: "repo:octo-org/octo-repo:environment:prod"}`)), "sub"},
		{"with an id", under(issuersByName, allowRule("ci", `{repository: octo-org/octo-repo, repository_id: "74"}`)), ""},
		{"a subject with ids", under(issuersByName, allowRule("ci", `{sub: "repo:octo-org@65/octo-repo@74:environment:prod"}`)), ""},
		{"only has an id", rules(allowRule("ci", `{repository: octo-org/octo-repo}`)), ""},
		{"an id with a wildcard", under(issuersByName, allowRule("ci", `{repository: octo-org/octo-repo, repository_id: "*"}`)), "goes by a name"},
		{"an expression with an id", under(issuersByName, allowRule("ci", `{repository: octo-org/octo-repo}`, `when: claims.repository_id == "74"`)), "unknown: unless the expression"},
		{"an expression without", under(issuersByName, allowRule("ci", `{repository: octo-org/octo-repo}`, `when: claims.ref == "refs/heads/main"`)), "goes by a name"},
		{"an issuer with one customer", under("  ghes: {url: \"https://ghes.example.com/_services/token\", audiences: [stint]}\n", allowRule("ci", `{repository: octo-org/octo-repo}`)), ""},
		{"a deny rule", under(issuersByName, denyRule("never", `{repository: octo-org/octo-repo}`)), ""},
	})

	runWorlds(t, "rule-prefix", []worldCase{
		{"a branch", rules(allowRule("ci", `{repository_id: "74", ref: "refs/heads/main*"}`)), `ref "refs/heads/main*" leaves the name of the branch or tag open`},
		{"the second value", rules(allowRule("ci", `{repository_id: "74", ref: [refs/heads/main, "refs/heads/rel*"]}`)), "refs/heads/rel*"},
		{"a repository", rules(allowRule("ci", `{repository: "octo-org/app*"}`)), "the name of the repository"},
		{"an owner", under("  ghes: {url: \"https://ghes.example.com/_services/token\", audiences: [stint]}\n", allowRule("ci", `{repository_owner: "octo*"}`)), "the name of the owner"},
		{"an environment", rules(allowRule("ci", `{repository_id: "74", environment: "prod*"}`)), "the name of the environment"},
		{"a subject", rules(allowRule("ci", `{sub: "repo:octo-org/octo-repo:ref:refs/heads/main*"}`)), "the name of the branch"},
		{"an expression", rules(allowRule("ci", `{repository_id: "74", ref: "refs/heads/main*"}`, `when: claims.ref.size() < 16`)), "unknown: "},
		{"a folder", rules(allowRule("ci", `{repository_id: "74", ref: "refs/heads/release/*"}`)), ""},
		{"versions", rules(allowRule("ci", `{repository_id: "74", ref: "refs/tags/v*"}`)), ""},
		{"every repository", rules(allowRule("ci", `{repository: "octo-org/*"}`)), ""},
		{"closed by an id", rules(allowRule("ci", `{repository: "octo-org/octo*", repository_id: "74"}`)), ""},
		{"an event", rules(allowRule("ci", `{repository_id: "74", event_name: "pull_request*"}`)), ""},
		{"a deny rule", rules(denyRule("never", `{ref: "refs/heads/wip*"}`)), ""},
	})

	runWorlds(t, "rule-pull-request", []worldCase{
		{"nothing narrows", rules(allowRule("ci", `{repository_id: "74"}`)), "a job on pull_request or pull_request_target meets the rule"},
		{"any ref", rules(allowRule("ci", `{repository_id: "74", ref: "refs/*"}`)), "a job on pull_request meets"},
		{"any subject", rules(allowRule("ci", `{sub: "repo:octo-org/octo-repo:*"}`)), "meets the rule"},
		{"a deny rule for another event", rules(allowRule("ci", `{repository_id: "74"}`), denyRule("never", `{event_name: pull_request}`)), "a job on pull_request_target meets"},
		{"a deny rule for another repository", rules(allowRule("ci", `{repository_id: "74"}`), denyRule("never", `{event_name: pull_request*, repository_id: "75"}`)), "meets"},
		{"an expression", rules(allowRule("ci", `{repository_id: "74"}`, `when: claims.ref == "refs/heads/main"`)), "unknown: "},
		{"denied", rules(allowRule("ci", `{repository_id: "74"}`), denyRule("never", `{event_name: pull_request*}`)), ""},
		{"denied for the repository", rules(allowRule("ci", `{repository_id: "74"}`), denyRule("never", `{event_name: pull_request*, repository_id: ["74", "75"]}`)), ""},
		{"perhaps denied", rules(allowRule("ci", `{repository_id: "74"}`), denyRule("never", `{event_name: pull_request*}`)+"    when: claims.actor != \"octocat\"\n"), ""},
		{"a branch", rules(allowRule("ci", `{repository_id: "74", ref: refs/heads/main}`)), ""},
		{"an environment", rules(allowRule("ci", `{repository_id: "74", environment: prod}`)), ""},
		{"an event", rules(allowRule("ci", `{repository_id: "74", event_name: push}`)), ""},
		{"no fork and no pull request", rules(allowRule("ci", `{repository_id: "74", from_fork: "false"}`)), ""},
		{"by intention", rules(allowRule("ci", `{repository_id: "74", event_name: pull_request}`)), ""},
		{"by intention, and it can write", world{identity: allowIdentity(`{}`), rules: allowRule("ci", `{repository_id: "74", event_name: pull_request}`)}, "meets the rule"},
		{"a deny rule itself", rules(denyRule("never", `{repository_id: "74"}`)), ""},
	})

	runWorlds(t, "rule-workflow-ref-moves", []worldCase{
		{"a branch", rules(allowRule("ci", `{job_workflow_ref: "octo-org/auto/.github/workflows/oidc.yml@refs/heads/main"}`)), "taken from a reference that can move"},
		{"any", rules(allowRule("ci", `{job_workflow_ref: "octo-org/auto/.github/workflows/oidc.yml@*"}`)), "move"},
		{"the caller's, any", rules(allowRule("ci", `{workflow_ref: "octo-org/octo-repo/.github/workflows/d.yml@*"}`)), "workflow_ref"},
		{"the caller's, of a branch", rules(allowRule("ci", `{workflow_ref: "octo-org/octo-repo/.github/workflows/d.yml@refs/heads/main"}`)), ""},
		{"a commit", rules(allowRule("ci", `{job_workflow_ref: "octo-org/auto/.github/workflows/oidc.yml@`+strings.Repeat("a1", 20)+`"}`)), ""},
		{"its hash beside it", rules(allowRule("ci", `{job_workflow_ref: "octo-org/auto/.github/workflows/oidc.yml@*", job_workflow_sha: a1}`)), ""},
		{"a deny rule", rules(denyRule("never", `{job_workflow_ref: "octo-org/auto/.github/workflows/oidc.yml@*"}`)), ""},
	})

	runWorlds(t, "rule-shadowed", []worldCase{
		{"by the same", rules(allowRule("a", `{repository_id: "74"}`), allowRule("b", `{repository_id: "74", ref: refs/heads/main}`)), "the rule a in line"},
		{"by a pattern", rules(allowRule("a", `{ref: "refs/heads/*"}`), allowRule("b", `{ref: [refs/heads/main, "refs/heads/rel/*"]}`)), "the rule a"},
		{"by a deny rule", rules(allowRule("a", `{repository_id: "74", event_name: push}`), denyRule("never", `{event_name: "p*"}`)), "the deny rule never"},
		{"by only", rules(denyRule("never", `{repository_owner_id: "65"}`), allowRule("a", `{repository_id: "74"}`)), "the deny rule never"},
		{"a narrower one", rules(allowRule("a", `{repository_id: "74", ref: refs/heads/main}`), allowRule("b", `{repository_id: "74"}`)), ""},
		{"one value more", rules(allowRule("a", `{repository_id: "74"}`), allowRule("b", `{repository_id: ["74", "75"]}`)), ""},
		{"an expression", rules(allowRule("a", `{repository_id: "74"}`, `when: claims.actor == "x"`), allowRule("b", `{repository_id: "74"}`)), ""},
		{"another role", rules(allowRule("a", `{repository_id: "74"}`), strings.ReplaceAll(allowRule("b", `{repository_id: "74"}`), "role/deploy", "role/other")), ""},
		{"one of two roles", rules(allowRule("a", `{repository_id: "74"}`), strings.ReplaceAll(allowRule("b", `{repository_id: "74"}`), `"]`, `", "arn:aws:iam::111111111111:role/other"]`)), ""},
		{"a role with a claim", rules(perRepository(`{ref: refs/heads/main}`), strings.ReplaceAll(perRepository(`{ref: refs/heads/main}`), "name: ci", "name: cd")), ""},
	})

	tagged := func(tag, match string) string { return allowRule("ci", match, "tags: {env: "+tag+"}") }
	tests := allowIdentity(`{"StringEquals":{"aws:PrincipalTag/Env":"prod"}}`)
	runWorlds(t, "rule-tag-may-be-absent", []worldCase{
		{"tested", world{identity: tests, rules: tagged("environment", `{repository_id: "74"}`)}, "the policy inline of deploy tests it"},
		{"in a variable", world{identity: strings.ReplaceAll(allowIdentity(`{}`), "octo/*", "octo/${aws:PrincipalTag/env}/*"), rules: tagged("environment", `{repository_id: "74"}`)}, "tests it"},
		{"by the trust policy", world{trust: trustFor("stint.example.com", `{"StringEquals":{"aws:RequestTag/env":"prod"}}`), rules: tagged("environment", `{repository_id: "74"}`)}, "the trust policy of deploy"},
		{"required", world{identity: tests, rules: tagged("{claim: environment, required: true}", `{repository_id: "74"}`)}, ""},
		{"matched", world{identity: tests, rules: tagged("environment", `{environment: [prod, dev]}`)}, ""},
		{"always there", world{identity: tests, rules: tagged("repository", `{repository_id: "74"}`)}, ""},
		{"not tested", world{identity: allowIdentity(`{}`), rules: tagged("environment", `{repository_id: "74"}`)}, ""},
		{"of another role", world{identity: tests, arn: "arn:aws:iam::111111111111:role/other", rules: tagged("environment", `{repository_id: "74"}`)}, ""},
		{"not known", world{identity: tests, rules: tagged("repo_property_env", `{repository_id: "74"}`)}, "unknown: "},
	})

	runWorlds(t, "rule-tag-dropped", []worldCase{
		{"tested", world{identity: tests, rules: tagged("{claim: repository, drop: 1}", `{repository_id: "74"}`)}, "the policy inline of deploy tests it"},
		{"by the trust policy", world{trust: trustFor("stint.example.com", `{"StringEquals":{"aws:RequestTag/env":"prod"}}`), rules: tagged("{claim: repository, drop: 3}", `{repository_id: "74"}`)}, "the trust policy of deploy"},
		{"not dropped", world{identity: tests, rules: tagged("environment", `{repository_id: "74"}`)}, ""},
		{"not tested", world{identity: allowIdentity(`{}`), rules: tagged("{claim: repository, drop: 1}", `{repository_id: "74"}`)}, ""},
	})

	runWorlds(t, "role-unknown", []worldCase{
		{"none of this name", world{arn: "arn:aws:iam::111111111111:role/other", rules: allowRule("ci", `{repository_id: "74"}`)}, "no role arn:aws:iam::111111111111:role/deploy"},
		{"another case of letters", world{arn: "arn:aws:iam::111111111111:role/Deploy", rules: allowRule("ci", `{repository_id: "74"}`)}, "no role"},
		{"found", world{rules: allowRule("ci", `{repository_id: "74"}`)}, ""},
		{"no roles of the account", world{arn: "arn:aws:iam::222222222222:role/other", rules: allowRule("ci", `{repository_id: "74"}`)}, ""},
		{"no roles at all", rules(allowRule("ci", `{repository_id: "74"}`)), ""},
		{"a role with a claim", world{arn: "arn:aws:iam::111111111111:role/other", rules: perRepository(`{repository_id: "74"}`)}, ""},
		{"a trust policy alone", world{arn: "unknown", rules: allowRule("ci", `{repository_id: "74"}`)}, ""},
	})
}

// FuzzCoversPattern: what one pattern is said to cover, it matches.
func FuzzCoversPattern(f *testing.F) {
	f.Add("refs/*", "refs/heads/*", "main")
	f.Add("*a*", "b*a*b", "*")
	f.Fuzz(func(t *testing.T, wide, narrow, filling string) {
		if text := strings.ReplaceAll(narrow, "*", filling); coversPattern(wide, narrow) && !match.Compile(wide).Match(text) {
			t.Errorf("%q covers %q and does not match %q", wide, narrow, text)
		}
	})
}

// TestShadowedNeverDecides: in random configurations, whatever token a rule that
// is called shadowed matches, a deny rule or an earlier rule with all its roles
// matches it too.
func TestShadowedNeverDecides(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := []string{"74", "75", "7*", "*"}
	refs := []string{"refs/heads/main", "refs/heads/*", "refs/*", "refs/tags/v1"}
	pick := func(list []string) string {
		n := 1 + r.IntN(2)
		var out []string
		for range n {
			out = append(out, fmt.Sprintf("%q", list[r.IntN(len(list))]))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	shadowed := 0
	for range 400 {
		var text strings.Builder
		for i := range 4 {
			m := "{repository_id: " + pick(values)
			if r.IntN(2) == 0 {
				m += ", ref: " + pick(refs)
			}
			m += "}"
			if r.IntN(5) == 0 {
				text.WriteString(denyRule(fmt.Sprintf("r%d", i), m))
			} else {
				text.WriteString(allowRule(fmt.Sprintf("r%d", i), m))
			}
		}
		w := world{noRole: true, rules: text.String()}
		inv := w.inventory(t)
		found, _ := by(Run(inv, Options{}), "rule-shadowed")
		all := inv.Configs[0].Config.Rules
		for _, f := range found {
			shadowed++
			for i, rule := range all {
				if rule.Name != f.Subject {
					continue
				}
				for _, id := range []string{"74", "75", "76", "8"} {
					for _, ref := range []string{"refs/heads/main", "refs/heads/x", "refs/tags/v1", "refs/x"} {
						if !holds(rule, id, ref) {
							continue
						}
						other := false
						for k, o := range all {
							other = other || (o.Deny || k < i) && holds(o, id, ref)
						}
						if !other {
							t.Fatalf("%s\n%s is called shadowed, and decides for %s on %s", text.String(), f.Subject, id, ref)
						}
					}
				}
			}
		}
	}
	if shadowed < 100 {
		t.Errorf("only %d shadowed rules: the test shows nothing", shadowed)
	}
}

func holds(r config.Rule, id, ref string) bool {
	for _, m := range r.Match {
		value := map[string]string{"repository_id": id, "ref": ref}[m.Claim]
		ok := false
		for _, p := range m.Compile() {
			ok = ok || p.Match(value)
		}
		if !ok {
			return false
		}
	}
	return true
}
