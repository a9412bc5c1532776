package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// strangerRules are the rules of which one must speak where a stranger gets in.
var strangerRules = []string{
	"sub-missing", "owner-wildcard", "owner-open", "user-controlled-subject", "job-workflow-ref-open", "user-controlled-claims",
}

// strangerToken is a token that a stranger can have the platform sign.
type strangerToken struct {
	issuer string
	claims map[string]any
}

// strangers are tokens of other owners than octo-org (65), whose repository is
// octo-repo (74): with every form of subject that a platform signs, customised
// ones included, and with every claim that its workflow's author chooses set to
// what a policy may ask for.
func strangers() []strangerToken {
	var out []strangerToken
	for _, owner := range []struct{ name, id string }{{"evil", "99"}, {"octo-org-evil", "650"}, {"octo", "66"}} {
		for i, context := range []struct{ key, value string }{
			{"ref", "refs/heads/main"}, {"ref", "refs/heads/x:repository_owner_id"}, {"environment", "prod"},
			{"environment", "x/repo:octo-org/octo-repo:@65/y"}, {"environment", "x@65/octo-repo@74"}, {"", "pull_request"},
		} {
			c := map[string]any{
				"repository": owner.name + "/octo-repo", "repository_id": "740", "repository_owner": owner.name, "repository_owner_id": owner.id,
				"ref": "refs/heads/main", "actor": "octocat", "actor_id": "12", "workflow": "deploy", "aud": "sts.amazonaws.com",
				"job_workflow_ref":   "octo-org/auto/.github/workflows/oidc.yml@refs/heads/main",
				"runner_environment": "github-hosted", "repository_visibility": "public",
			}
			if i%2 == 1 {
				c["job_workflow_ref"] = owner.name + "/octo-repo/.github/workflows/oidc.yml@refs/heads/main"
				c["enterprise_id"] = "20"
			}
			if context.key != "" {
				c[context.key] = context.value
			}
			escape := func(v any) string { return strings.ReplaceAll(v.(string), ":", "%3A") }
			end := "pull_request"
			if context.key != "" {
				end = context.key + ":" + escape(context.value)
			}
			pair := func(key string) string {
				switch v, ok := c[key]; {
				case key == "context":
					return end
				case key == "repo":
					return "repo:" + escape(c["repository"])
				case ok:
					return key + ":" + escape(v)
				}
				return key + ":"
			}
			subs := []string{
				"repo:" + owner.name + "/octo-repo:" + end,
				"repo:" + owner.name + "@" + owner.id + "/octo-repo@740:" + end,
			}
			for _, template := range [][]string{
				{"repo"}, {"context"}, {"environment"}, {"ref"}, {"job_workflow_ref"}, {"repository_owner"}, {"repository_owner_id"},
				{"repository_id"}, {"actor"}, {"workflow"}, {"runner_environment"}, {"context", "repo"}, {"job_workflow_ref", "repository_owner_id"},
				{"repo", "context", "job_workflow_ref"}, {"environment", "repository_owner", "repo"}, {"repository_visibility", "ref"},
				{"repository_owner", "context"}, {"repo", "repository_owner_id", "context"},
			} {
				var parts []string
				for _, key := range template {
					parts = append(parts, pair(key))
				}
				subs = append(subs, strings.Join(parts, ":"))
			}
			for _, sub := range subs {
				t := maps.Clone(c)
				t["sub"] = sub
				out = append(out, strangerToken{"https://" + github, t})
			}
		}
	}
	for _, path := range []string{"evil/project", "group-evil/project", "gro/up/project"} {
		for _, ref := range []string{"branch:ref:main", "tag:ref:v1"} {
			out = append(out, strangerToken{"https://gitlab.com", map[string]any{
				"sub": "project_path:" + path + ":ref_type:" + ref, "aud": "sts.amazonaws.com",
				"project_id": "740", "namespace_id": "650", "user_id": "12", "user_login": "octocat", "user_email": "octocat@example.com",
				"pipeline_source": "push", "ref_protected": "true", "runner_environment": "gitlab-hosted", "user_access_level": "owner",
			}})
		}
	}
	return out
}

// policyMaker turns bytes into a trust policy that AWS would take, with values
// near those that stand at the edge of being closed.
type policyMaker struct{ data []byte }

func (m *policyMaker) next(n int) int {
	if len(m.data) == 0 {
		return 0
	}
	b := m.data[0]
	m.data = m.data[1:]
	return int(b) % n
}

func (m *policyMaker) pick(list ...string) string { return list[m.next(len(list))] }

func (m *policyMaker) value(claim string) string {
	pools := map[string][]string{
		"sub": {
			"repo:octo-org/octo-repo:ref:refs/heads/main", "repo:octo-org/octo-repo:environment:prod", "repo:octo-org@65/octo-repo@74:environment:prod",
			"repo:octo-org/octo-repo:pull_request", "repository_owner:octo-org:environment:prod", "repository_owner_id:65:ref:refs/heads/main",
			"repository_id:74:environment:prod", "job_workflow_ref:octo-org/auto/.github/workflows/oidc.yml@refs/heads/main",
			"environment:prod:repo:octo-org/octo-repo", "ref:refs/heads/main", "environment:prod", "pull_request", "actor:octocat", "workflow:deploy",
			"repo:octo-org/octo-repo:ref:refs/heads/main:job_workflow_ref:octo-org/auto/.github/workflows/oidc.yml@refs/heads/main",
			"runner_environment:github-hosted", "project_path:group/project:ref_type:branch:ref:main", "repo:octo-org", "*", "octo-org/octo-repo",
			"${" + github + ":sub}", "repo:${" + github + ":repository}:environment:prod", "job_workflow_ref:x:repository_owner_id:65", "github:repo:octo-org/octo-repo:environment:prod",
		},
		"repository": {"octo-org/octo-repo", "octo-org/*", "octo-org*", "*/octo-repo"}, "repository_id": {"74", "7*", "*"},
		"repository_owner_id": {"65", "6*", "6?"}, "job_workflow_ref": {"octo-org/auto/.github/workflows/oidc.yml@refs/heads/main", "octo-org/*", "*"},
		"actor": {"octocat", "*"}, "ref": {"refs/heads/main", "*"}, "environment": {"prod", "*"}, "workflow": {"deploy"}, "enterprise_id": {"2", "2*"},
		"aud": {"sts.amazonaws.com"}, "runner_environment": {"github-hosted", "gitlab-hosted"}, "project_id": {"7", "7*"}, "namespace_id": {"65"}, "user_login": {"octocat"}, "ref_protected": {"true"},
	}
	v := m.pick(pools[claim]...)
	for range m.next(3) {
		at := m.next(len(v) + 1)
		switch m.next(7) {
		case 5:
			v = v[:at] + "${var.x}" + v[at:]
		case 6:
			v = v[:at] + "${var.x}"
		case 0:
			v = v[:at] + "*"
		case 1:
			v = v[:at] + "*" + v[at:]
		case 2:
			v = v[:at] + "?" + v[min(at+1, len(v)):]
		case 3:
			v = "*" + v[at:]
		case 4:
			v = v[:at] + "${*}" + v[at:]
		}
	}
	return v
}

func (m *policyMaker) conditions() string {
	operators := []string{
		"StringLike", "StringEquals", "StringNotLike", "StringNotEquals", "StringEqualsIgnoreCase", "ForAnyValue:StringLike", "ForAllValues:StringLike",
		"StringLikeIfExists", "StringNotLikeIfExists", "ForAllValues:StringNotLike", "ForAnyValue:StringNotEquals", "Null", "NumericEquals", "ArnLike", "StringNotEqualsIgnoreCase",
	}
	claims := []string{
		"sub", "sub", "sub", "repository", "repository_id", "repository_owner_id", "job_workflow_ref", "actor", "ref", "environment",
		"workflow", "enterprise_id", "aud", "runner_environment", "project_id", "namespace_id", "user_login", "ref_protected",
	}
	blocks := map[string]map[string]string{}
	for range m.next(4) {
		operator, claim := m.pick(operators...), m.pick(claims...)
		host := m.pick(github, github, github, "gitlab.com")
		var values []string
		for range 1 + m.next(3) {
			switch operator {
			case "Null":
				values = append(values, m.pick("true", "false"))
			case "NumericEquals":
				values = append(values, m.pick("74", "65", "12"))
			default:
				values = append(values, m.value(claim))
			}
		}
		if blocks[operator] == nil {
			blocks[operator] = map[string]string{}
		}
		blocks[operator][host+":"+claim] = "[" + quotedList(values) + "]"
	}
	if m.next(8) == 1 {
		blocks["StringEquals"] = map[string]string{"aws:FederatedProvider": fmt.Sprintf("%q", account+m.pick(github, "gitlab.com"))}
	}
	var out []string
	for _, operator := range slices.Sorted(maps.Keys(blocks)) {
		var keys []string
		for _, key := range slices.Sorted(maps.Keys(blocks[operator])) {
			keys = append(keys, fmt.Sprintf("%q:%s", key, blocks[operator][key]))
		}
		out = append(out, fmt.Sprintf("%q:{%s}", operator, strings.Join(keys, ",")))
	}
	return "{" + strings.Join(out, ",") + "}"
}

func (m *policyMaker) policy() string {
	principals := []string{
		`"Principal":{"Federated":"` + account + github + `"}`, `"Principal":{"Federated":"` + account + github + `"}`,
		`"Principal":{"Federated":["` + account + `gitlab.com","` + account + github + `"]}`, `"Principal":"*"`, `"Principal":{"AWS":"*"}`,
	}
	actions := []string{`"sts:AssumeRoleWithWebIdentity"`, `"sts:AssumeRoleWithWebIdentity"`, `["sts:TagSession","sts:*"]`, `"sts:assumerole*"`, `"sts:TagSession"`}
	if m.next(2) == 0 {
		// What policies mostly look like.
		var values []string
		for range 1 + m.next(3) {
			values = append(values, m.value("sub"))
		}
		condition := fmt.Sprintf(`{"StringLike":{"gh:sub":[%s]}}`, quotedList(values))
		if claim := m.pick("", "", "repository", "repository_id", "repository_owner_id", "job_workflow_ref", "environment", "enterprise_id"); claim != "" {
			operator := m.pick("StringEquals", "StringLikeIfExists", "ForAllValues:StringLike", "StringNotEquals")
			condition = fmt.Sprintf(`{"StringLike":{"gh:sub":[%s]},%q:{"gh:%s":%q}}`, quotedList(values), operator, claim, m.value(claim))
		}
		list := []string{allowFor(github, condition)}
		if m.next(3) == 1 {
			operator := m.pick("StringNotLike", "StringNotEquals", "ForAnyValue:StringNotLike", "StringLike", "StringNotLikeIfExists")
			claim := m.pick("sub", "repository", "repository_id", "environment", "enterprise_id")
			list = append(list, denyFor(fmt.Sprintf(`{%q:{"gh:%s":%q}}`, operator, claim, m.value(claim))))
		}
		return statements(list...)
	}
	var list []string
	for range 1 + m.next(3) {
		effect, principal := m.pick("Allow", "Allow", "Deny"), m.pick(principals...)
		if effect == "Deny" && m.next(5) == 1 {
			principal = m.pick(`"NotPrincipal":{"Federated":"`+account+github+`"}`, `"NotPrincipal":{"AWS":"arn:aws:iam::111111111111:root"}`)
		}
		list = append(list, fmt.Sprintf(`{"Effect":%q,%s,"Action":%s,"Condition":%s}`, effect, principal, m.pick(actions...), m.conditions()))
	}
	return fmt.Sprintf(`{"Version":%q,"Statement":[%s]}`, m.pick("2012-10-17", "2012-10-17", "2008-10-17"), strings.Join(list, ","))
}

// speaks reports whether one of the rules about strangers does, if only to say
// that it cannot tell.
func speaks(trust *inventory.Policy) bool {
	inv := &inventory.Inventory{Roles: []inventory.Role{{Address: "role", Trust: trust}}}
	for _, r := range slices.Concat(scopeRules(), claimRules()) {
		p := &pass{rule: r, inv: inv}
		if slices.Contains(strangerRules, r.ID) {
			r.check(p)
		}
		if len(p.findings) > 0 {
			return true
		}
	}
	return false
}

// FuzzStrangers ties the rules to the evaluator: where none of the rules about
// strangers speaks of a policy, the evaluator lets no stranger in, whatever
// becomes of the text that is not known.
func FuzzStrangers(f *testing.F) {
	var calls []iam.WebIdentityCall
	var requests []iam.Request
	for _, k := range strangers() {
		c := iam.WebIdentityCall{
			Provider: account + strings.TrimPrefix(k.issuer, "https://"), Issuer: k.issuer, Claims: k.claims,
			RoleARN: "arn:aws:iam::111111111111:role/deploy", RoleSessionName: "job",
		}
		calls = append(calls, c)
		requests = append(requests, iam.Request{
			Action: webIdentityAction, Resource: c.RoleARN, Principal: iam.Principal{Federated: c.Provider}, Context: c.Context(),
		})
	}
	for seed := range 600 {
		data := make([]byte, 48)
		x := uint32(seed)*2654435761 + 12345
		for i := range data {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
			data[i] = byte(x >> 8)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 400 {
			return
		}
		document := (&policyMaker{data}).policy()
		nodes, err := source.ParseJSON("trust.json", []byte(document))
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		holes(nodes[0])
		if speaks(inventory.ParsePolicy(nodes[0])) {
			return
		}
		for _, filling := range fillings(document) {
			trust, err := iam.ParsePolicy([]byte(filling))
			if err != nil {
				continue // two operators' blocks of one key in other letters, and the like
			}
			for i, r := range requests {
				if trust.Decide(r) == iam.Allow && iam.EvaluateWebIdentity(trust, calls[i]).Allowed {
					t.Fatalf("no rule speaks of\n%s\nwhich may become\n%s\nand a stranger gets in with\n%v", document, filling, calls[i].Claims)
				}
			}
		}
	})
}

// fillings are what a policy may become once it is known what stands for its
// variable: a wildcard, or what its author had in mind.
func fillings(document string) []string {
	const variable = "${var.x}"
	if !strings.Contains(document, variable) {
		return []string{document}
	}
	var out []string
	for _, text := range []string{"*", "", "octo-org", "octo-org/octo-repo", "octo-org@65/octo-repo@74:*", ":repository_owner_id:65", "?"} {
		out = append(out, strings.ReplaceAll(document, variable, text))
	}
	return out
}
