package fix_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/lint/fix"
)

const gh = "token.actions.githubusercontent.com"

// TestExcludes: what a value keeps out stays out in both forms.
func TestExcludes(t *testing.T) {
	statement := func(effect, operator, values string) string {
		return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": %q, "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {%q: {"%s:sub": %s}}}]}`, effect, operator, gh, values)
	}
	const old, both, moved = `["repo:octo-org/octo-repo:*"]`, `["repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*"]`, `["repo:octo-org@65/octo-repo@74:*"]`
	for _, c := range []struct{ effect, operator, want string }{
		{"Allow", "StringLike", moved},
		{"Allow", "StringNotLike", both},
		{"Deny", "StringLike", both},
		{"Deny", "ForAnyValue:StringLikeIfExists", both},
		{"Deny", "StringNotLike", moved},
		{"Deny", "ForAllValues:StringNotLike", moved},
	} {
		if got, _ := migrate(t, statement(c.effect, c.operator, old), fix.Options{To: fix.IDs}); got != statement(c.effect, c.operator, c.want) {
			t.Errorf("%s %s: got %s", c.effect, c.operator, got)
		}
	}

	config := func(deny, allow string) string {
		return `{"rules": [{"name": "never", "effect": "deny", "match": {"sub": ` + deny + `}}, {"name": "ci", "match": {"sub": ` + allow + `}}]}`
	}
	const value = `"repo:octo-org/octo-repo:*"`
	got, r := one(t, "stint.json", config(value, value), fix.Options{To: fix.IDs}, readConfig)
	if want := config(`["repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*"]`, `"repo:octo-org@65/octo-repo@74:*"`); got != want {
		t.Errorf("a deny rule: got %s, %+v", got, r.Unchanged)
	}
}

// FuzzWidens: whatever the effect and the operator, a policy that was moved
// lets no token in that it did not let in before, in the one form or the other.
func FuzzWidens(f *testing.F) {
	for seed := range uint64(400) {
		f.Add(seed)
	}
	values := []string{
		"repo:octo-org/octo-repo:*", "repo:octo-org/other:ref:refs/heads/main", "repo:octo-org@65/octo-repo@74:*", "repo:octo-org/*",
		"repo:octo-org@65/other@75:ref:refs/heads/main", "repo:octo-org/octo-repo:environment:prod", "repo:octo-org@*/octo-repo@*:*", "repo:acme/app:*",
	}
	type token struct{ names, ids string }
	tokens := []token{
		{"repo:octo-org/octo-repo", "repo:octo-org@65/octo-repo@74"}, {"repo:octo-org/other", "repo:octo-org@65/other@75"},
		{"repo:acme/app", "repo:acme@1/app@2"}, {"repo:octo-org/old", "repo:octo-org@65/old@76"},
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 3))
		operator := []string{"", "ForAnyValue:", "ForAllValues:"}[rng.IntN(3)] +
			[]string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"}[rng.IntN(6)] +
			[]string{"", "IfExists"}[rng.IntN(2)]
		list := slices.Clone(values)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		written := layout(rng, list[:1+rng.IntN(4)])
		first := fmt.Sprintf(`{"Effect":%q,"Principal":"*","Action":"sts:AssumeRoleWithWebIdentity","Condition":{%q:{"%s:sub":%s}}}`,
			[]string{"Allow", "Deny"}[rng.IntN(2)], operator, gh, written)
		open := `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity"}`
		if rng.IntN(2) == 0 {
			open = `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"` + gh + `:sub":"repo:acme*"}}}`
		}
		o := fix.Options{To: []fix.Form{fix.IDs, fix.Names}[rng.IntN(2)], Add: rng.IntN(3) == 0}
		old := `{"Version":"2012-10-17","Statement":[` + first + "," + open + `]}`
		moved, _ := migrate(t, old, o)
		allowed := func(policy, sub string) bool {
			document, err := iam.ParsePolicy([]byte(policy))
			if err != nil {
				t.Fatalf("%v: %s", err, policy)
			}
			return iam.EvaluateWebIdentity(document, iam.WebIdentityCall{
				Provider: "arn:aws:iam::111111111111:oidc-provider/" + gh, Issuer: "https://" + gh, RoleARN: "arn:aws:iam::111111111111:role/ci", RoleSessionName: "ci",
				Claims: map[string]any{"iss": "https://" + gh, "aud": "sts.amazonaws.com", "sub": sub},
			}).Allowed
		}
		for _, k := range tokens {
			for _, end := range []string{":ref:refs/heads/main", ":environment:prod", ":pull_request"} {
				was := allowed(old, k.names+end) || allowed(old, k.ids+end)
				if is := allowed(moved, k.names+end) || allowed(moved, k.ids+end); is && !was {
					t.Errorf("%s gets in now\n%s\n%s", k.names+end, old, moved)
				}
			}
		}
		// The ids of somebody who registered the names again.
		for _, sub := range []string{"repo:octo-org@99/octo-repo@74", "repo:octo-org@99/other@98"} {
			sub += ":ref:refs/heads/main"
			if allowed(moved, sub) && !allowed(old, sub) {
				t.Errorf("%s gets in now\n%s\n%s", sub, old, moved)
			}
		}
	})
}
