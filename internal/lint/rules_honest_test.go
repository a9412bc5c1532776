package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// FuzzHonest: what a rule says for certain of a policy of which something is not
// known, it says of the policy whatever stands there in the end.
func FuzzHonest(f *testing.F) {
	values := []string{
		"repo:@@/octo-repo:ref:refs/heads/main", "@@", "repo:octo-org/@@", "repo:octo-org/octo-repo:*", "repo:octo-org/octo-repo:@@", "project_path:@@", "sts.amazonaws.com",
		"${" + github + ":sub}", "@@${aws:PrincipalTag/x}", "*", "Repo:@@", "team", "${aws:PrincipalTag/team}", "true", "false", "repo:octo-org/octo-repo:ref:@@",
	}
	// An unknown issuer in a key is taken for the provider's, too.
	keys := []string{
		github + ":sub", github + ":aud", github + ":@@", "gitlab.com:sub", "token.action.githubusercontent.com:sub", "aws:RequestTag/team", "aws:TagKeys",
		"aws:PrincipalArn", "aws:RequestTag/@@",
	}
	operators := []string{
		"StringEquals", "StringLike", "StringNotLike", "ForAllValues:StringEquals", "StringLikeIfExists", "ForAnyValue:StringEquals", "Null", "StringNotEqualsIgnoreCase", "@@",
	}
	// A provider that is wholly unknown is taken for the one whose keys are
	// tested, so it stands for no other here.
	principals := []string{
		`{"Federated":"` + account + github + `"}`, `{"Federated":"arn:aws:iam::@@:oidc-provider/` + github + `"}`, `"*"`, `{"AWS":"*"}`, `{"AWS":"@@"}`, `"@@"`,
		`{"Federated":["` + account + github + `","@@"]}`, `{"AWS":"arn:aws:iam::111111111111:role/ci"}`, `{"Federated":"arn:aws:iam::222222222222:oidc-provider/gitlab.com"}`,
	}
	actions := []string{
		`"sts:AssumeRoleWithWebIdentity"`, `["sts:AssumeRole","sts:TagSession"]`, `["sts:AssumeRoleWithWebIdentity","@@"]`, `"@@"`, `"sts:*"`, `"sts:TagSession"`,
	}
	effects := []string{"Allow", "Allow", "Allow", "Deny", "@@"}
	fillings := []string{"octo", "refs/heads/main", "x@y", "sub", github, "sts:TagSession", "Allow", "Deny", "StringEquals", "*", "repo:octo-org/octo-repo:pull_request"}
	for seed := range 80 {
		data := make([]byte, 24)
		for i := range data {
			data[i] = byte(seed*(2*i+3) + i*i*7)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 12 || len(data) > 48 {
			return
		}
		at := 0
		pick := func(list []string) string {
			at++
			return list[int(data[at%len(data)])%len(list)]
		}
		statement := func() string {
			conditions := map[string]map[string]string{}
			for range 1 + int(data[0])%3 {
				operator, key := pick(operators), pick(keys)
				if conditions[operator] == nil {
					conditions[operator] = map[string]string{}
				}
				conditions[operator][key] = pick(values)
			}
			var blocks []string
			for _, operator := range slices.Sorted(maps.Keys(conditions)) {
				var lines []string
				for _, key := range slices.Sorted(maps.Keys(conditions[operator])) {
					lines = append(lines, fmt.Sprintf("%q:%q", key, conditions[operator][key]))
				}
				blocks = append(blocks, fmt.Sprintf("%q:{%s}", operator, strings.Join(lines, ",")))
			}
			return fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":%s,"Condition":{%s}}`, pick(effects), pick(principals), pick(actions), strings.Join(blocks, ","))
		}
		document := statements(statement(), statement())
		said := certainRules(document, true)
		if len(said) == 0 {
			return
		}
		for _, filling := range fillings {
			filled := strings.ReplaceAll(document, "@@", filling)
			in := certainRules(filled, false)
			if in == nil {
				continue // AWS would refuse it, or two keys became one
			}
			for rule := range said {
				if !in[rule] {
					t.Errorf("%s is certain of\n%s\nand silent on\n%s", rule, document, filled)
				}
			}
		}
	})
}

// certainRules are the rules of this part that say something for certain of a
// trust policy. They are nil where it cannot be read.
func certainRules(document string, hidden bool) map[string]bool {
	nodes, err := source.ParseJSON("trust.json", []byte(document))
	if err != nil {
		return nil
	}
	n := nodes[0]
	if hidden {
		n = hide(n)
	}
	trust := inventory.ParsePolicy(n)
	if trust.Err != nil {
		return nil
	}
	inv := &inventory.Inventory{Roles: []inventory.Role{{
		Address: "role0", Trust: trust, IdentityOpen: true, AccountID: "111111111111", ARN: source.Literal(deployARN),
		Tags: []inventory.Tag{{Key: source.Literal("Team"), Value: source.Literal("a")}},
	}}}
	out := map[string]bool{}
	for _, r := range slices.Concat(structureRules(), tagRules()) {
		p := &pass{rule: r, inv: inv}
		r.check(p)
		for _, f := range p.findings {
			if !f.Unknown {
				out[r.ID] = true
			}
		}
	}
	return out
}
