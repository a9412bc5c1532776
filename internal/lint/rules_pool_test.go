package lint

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

const poolID = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f"

// pool is a configuration with one pool for GitHub, with further lines of the
// pool, and of its provider.
func pool(of, provider string) string {
	indent := func(lines, by string) string {
		if lines == "" {
			return ""
		}
		return by + strings.ReplaceAll(lines, "\n", "\n"+by) + "\n"
	}
	return issuersByID + "rules:\n" + denyRule("never", `{actor_id: "1"}`) + "pools:\n  - id: " + poolID + "\n    name: gh\n    account: \"111111111111\"\n" + indent(of, "    ") +
		"    providers:\n      - provider: " + github + "\n" + indent(provider, "        ")
}

// TestPoolRules: what a pool gives is judged as a rule is.
func TestPoolRules(t *testing.T) {
	rules := func(of, provider string) world { return world{noRole: true, rules: pool(of, provider)} }
	mapping := func(condition string) world {
		return rules("", "rules: [{"+condition+", role: \""+deployARN+"\"}]")
	}
	const byDefault, tagged = "default_role: " + deployARN, "tags: {repository: repository, env: environment}"

	runWorlds(t, "rule-open", []worldCase{
		{"a branch", mapping("claim: ref, equals: refs/heads/main"), "of the claims only ref must match"},
		{"within a name", mapping("claim: repository, contains: octo"), "only repository"},
		{"all but one", mapping("claim: repository, not_equal: octo-org/public"), "only repository"},
		{"the owner", mapping("claim: repository, starts_with: octo-org/"), "only repository"},
		{"a repository", mapping("claim: repository, equals: octo-org/octo-repo"), ""},
		{"the default role", rules(byDefault, ""), "nothing is matched"},
		{"the default role with tags", rules(byDefault, tagged), ""},
		{"the default role with a tag that may go", rules(byDefault, "tags: {repository: {claim: repository, drop: 1}}"), "nothing is matched"},
		{"the default role where no rule matches", rules(byDefault, `rules: [{claim: repository_id, equals: "74", role: "`+deployARN+"\"}]\nno_match: default_role"), "nothing is matched"},
		{"the default role beside rules", rules(byDefault, `rules: [{claim: repository_id, equals: "74", role: "`+deployARN+`"}]`), ""},
		{"the basic flow", rules("classic: true", ""), "nothing is matched"},
		{"the basic flow with tags", rules("classic: true", tagged), ""},
	})
	runWorlds(t, "rule-prefix", []worldCase{
		{"a repository", mapping("claim: repository, starts_with: octo-org/app"), "leaves the name of the repository open"},
		{"an owner", mapping("claim: repository, starts_with: octo-org/"), ""},
	})
	runWorlds(t, "rule-renameable", []worldCase{
		{"a name", world{noRole: true, rules: strings.Replace(pool("", `rules: [{claim: repository, equals: octo-org/octo-repo, role: "`+deployARN+`"}]`), issuersByID, issuersByName, 1)}, "goes by a name"},
		{"an owner's id in only", mapping("claim: repository, equals: octo-org/octo-repo"), ""},
	})
	runWorlds(t, "rule-pull-request", []worldCase{
		{"a repository", mapping("claim: repository, equals: octo-org/octo-repo"), "a job on pull_request or pull_request_target meets the rule"},
		{"a branch", mapping("claim: ref, equals: refs/heads/main"), ""},
	})
	runWorlds(t, "role-unknown", []worldCase{
		{"of a rule", world{arn: "arn:aws:iam::111111111111:role/other", rules: pool("", `rules: [{claim: repository_id, equals: "74", role: "`+deployARN+`"}]`)}, "no role " + deployARN},
		{"found", world{rules: pool(byDefault, "")}, ""},
	})
}

// TestDroppedTagReaches: a tag that goes where a session is too large is tested
// by no role that the session may be, nor by one that it may assume from there.
func TestDroppedTagReaches(t *testing.T) {
	const stint = "stint.example.com"
	tests := allowIdentity(`{"StringEquals":{"aws:PrincipalTag/Env":"prod"}}`)
	const drop = "tags: {env: {claim: repository, drop: 1}}"
	template := strings.ReplaceAll(allowRule("ci", `{repository_id: "74"}`, drop), "role/deploy", "role/{repository_name}-deploy")
	for_ := func(audience string) string {
		return trustFor(stint, `{"StringEquals":{"gh:aud":"`+audience+`"}}`)
	}
	runWorlds(t, "rule-tag-dropped", []worldCase{
		{"a role with a claim", world{arn: "arn:aws:iam::111111111111:role/octo-repo-deploy", identity: tests, rules: template}, "tests it"},
		{"a role with a claim, another", world{arn: "arn:aws:iam::111111111111:role/octo-repo-read", identity: tests, rules: template}, ""},
		{"a role with a claim, in another account", world{arn: "arn:aws:iam::222222222222:role/octo-repo-deploy", identity: tests, rules: template}, ""},
		{"in the boundary", world{boundary: tests, rules: allowRule("ci", `{repository_id: "74"}`, drop)}, "the policy boundary of deploy"},
		{"a pool's role", world{identity: tests, rules: pool("default_role: "+deployARN, drop)}, "tests it"},
		{"any role that trusts the pool", world{arn: "arn:aws:iam::111111111111:role/other", trust: for_(poolID), identity: tests, rules: pool("classic: true", drop)}, "the policy inline"},
		{"any role, by its trust policy", world{arn: "arn:aws:iam::111111111111:role/other", trust: trustFor(stint, `{"StringEquals":{"gh:aud":"`+poolID+`","aws:RequestTag/env":"a"}}`), rules: pool("classic: true", drop)}, "the trust policy"},
		{"one that takes another audience", world{trust: for_("sts.amazonaws.com"), identity: tests, rules: pool("classic: true", drop)}, ""},
		{"one that trusts another issuer", world{trust: trustOf(trusted), identity: tests, rules: pool("classic: true", drop)}, ""},
		{"one that is not listed", world{trust: for_(poolID), identity: tests, rules: pool("classic: true\nclassic_roles: [arn:aws:iam::111111111111:role/other]", drop)}, ""},
	})

	trusts := func(principal, condition string) string {
		return statements(`{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":` + condition + `}`)
	}
	const root = "arn:aws:iam::111111111111:root"
	const caller, passed = `{"StringEquals":{"aws:PrincipalTag/env":"a"}}`, `{"StringEquals":{"aws:RequestTag/env":"a"}}`
	for _, c := range []struct {
		name, more string
		first      world
		next       world
		want       string
	}{
		{"the caller's tag", "", world{}, world{trust: trusts(deployARN, caller)}, "the trust policy of next"},
		{"by the account", "", world{}, world{trust: trusts(root, caller)}, "the trust policy of next"},
		{"by its number", "", world{}, world{trust: trusts("111111111111", caller)}, "the trust policy of next"},
		{"by the session", "", world{}, world{trust: trusts("arn:aws:sts::111111111111:assumed-role/deploy/ci", caller)}, "the trust policy of next"},
		{"by anybody", "", world{}, world{trust: trusts("*", caller)}, "the trust policy of next"},
		{"as a variable", "", world{}, world{trust: trusts(root, `{"StringEquals":{"aws:ResourceTag/env":"${aws:PrincipalTag/Env}"}}`)}, "the trust policy of next"},
		{"another role's", "", world{}, world{trust: trusts("arn:aws:iam::111111111111:role/else", caller)}, ""},
		{"another account's", "", world{}, world{trust: trusts("arn:aws:iam::222222222222:root", caller)}, ""},
		{"who cannot assume roles", "", world{identity: allowIdentity(`{}`)}, world{trust: trusts(root, caller)}, ""},
		{"who can", "", world{identity: strings.ReplaceAll(allowIdentity(`{}`), "s3:PutObject", "sts:Assume*")}, world{trust: trusts(root, caller)}, "the trust policy of next"},
		{"a tag that is not passed on", "", world{}, world{trust: trusts(root, passed), identity: tests}, ""},
		{"a transitive tag", "transitive: [env]", world{}, world{trust: trusts(root, `{}`), identity: tests}, "the policy inline of next"},
		{"a chained tag", "chain: {tags: [env]}", world{}, world{trust: trusts(root, passed)}, "the trust policy of next"},
	} {
		t.Run("next hop/"+c.name, func(t *testing.T) {
			c.first.rules = allowRule("ci", `{repository_id: "74"}`, drop, c.more)
			inv := c.first.inventory(t)
			c.next.arn = "arn:aws:iam::333333333333:role/next"
			inv.Roles = append(inv.Roles, c.next.inventory(t).Roles...)
			inv.Roles[1].Address = "next"
			found, _ := by(Run(inv, Options{}), "rule-tag-dropped")
			if (len(found) > 0) != (c.want != "") || len(found) > 0 && !strings.Contains(found[0].Message, c.want) {
				t.Errorf("found %+v, want %q", found, c.want)
			}
		})
	}

	// A Terraform file says no account: a role of the name is taken for the one.
	inv := world{identity: tests, rules: allowRule("ci", `{repository_id: "74"}`, drop)}.inventory(t)
	inv.Roles[0].ARN, inv.Roles[0].AccountID, inv.Roles[0].Name = inventory.Role{}.ARN, "", source.Literal("deploy")
	if found, _ := by(Run(inv, Options{}), "rule-tag-dropped"); len(found) != 1 {
		t.Errorf("a role without an account: found %+v", found)
	}
}
