package fix_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// TestStuck: where a value that keeps callers out cannot be moved, nothing
// beside it is.
func TestStuck(t *testing.T) {
	policy := func(allowed, spared, denied string) string {
		deny := ""
		if denied != "" {
			deny = fmt.Sprintf(`, {"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"StringLike": {"%s:sub": %s}}}`, gh, denied)
		}
		except := ""
		if spared != "" {
			except = fmt.Sprintf(`, "StringNotLike": {"%s:sub": %s}`, gh, spared)
		}
		return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringLike": {"%s:sub": %s}%s}}%s]}`, gh, allowed, except, deny)
	}
	const names, ids = `"repo:octo-org/*"`, `"repo:octo-org@65/*"`
	for _, c := range []struct {
		name           string
		allowed        string
		spared, denied string
		to             fix.Form
		add            bool
		moved          bool
	}{
		{"nothing beside it", names, "", "", fix.IDs, false, true},
		{"no ids for what is excepted", names, `"repo:octo-org/secret:*"`, "", fix.IDs, false, false},
		{"no ids for what is excepted, both kept", names, `"repo:octo-org/secret:*"`, "", fix.IDs, true, false},
		{"no ids for what is denied", names, "", `"repo:octo-org/secret:*"`, fix.IDs, false, false},
		{"one of two", names, "", `["repo:octo-org/other:*", "repo:octo-org/secret:*"]`, fix.IDs, false, false},
		{"a pattern within a name", names, `"repo:octo-org/*-prod:*"`, "", fix.IDs, false, false},
		{"any owner's repository", names, "", `"repo:*/secret:*"`, fix.IDs, false, false},
		{"whatever ends so", names, "", `"*/secret:ref:refs/heads/main"`, fix.IDs, false, false},
		{"a policy variable", names, "", `"repo:octo-org/${aws:username}:*"`, fix.IDs, false, false},
		{"ids that are not those given", ids, "", `"repo:octo-org@99/other@75:*"`, fix.Names, false, false},
		{"ids to names", ids, "", `"repo:octo-org@65/secret@80:*"`, fix.Names, false, true},
		{"in both forms", names, "", `"repo:*:pull_request"`, fix.IDs, false, true},
		{"all pull requests", names, `"*:pull_request"`, "", fix.IDs, false, true},
		{"everybody", names, "", `"*"`, fix.IDs, false, true},
		{"another issuer's", names, "", `"project_path:group/*"`, fix.IDs, false, true},
		{"ids for what is denied", names, "", `"repo:octo-org/other:*"`, fix.IDs, false, true},
	} {
		old := policy(c.allowed, c.spared, c.denied)
		got, r := migrate(t, old, fix.Options{To: c.to, Add: c.add})
		// What keeps out may get its other form all the same.
		if changed := !strings.Contains(got, `{"StringLike": {"`+gh+`:sub": `+c.allowed+`}`); changed != c.moved || !c.moved && !strings.Contains(reasons(r), "keeps callers out beside it") {
			t.Errorf("%s: changed %v (%s)\n%s", c.name, changed, reasons(r), got)
		}
	}
	// Another role's policy is none of its business.
	two := policy(names, `"repo:octo-org/secret:*"`, "") + "\n" + policy(names, "", "")
	if got, _ := migrate(t, two, fix.Options{To: fix.IDs}); got != policy(names, `"repo:octo-org/secret:*"`, "")+"\n"+policy(ids, "", "") {
		t.Errorf("two policies: %s", got)
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
		"repo:octo-org/secret:*", "repo:octo-org/s*t:ref:refs/heads/main", "repo:*/secret:*", "*:pull_request", "repo:octo-org@65/secret@80:*",
	}
	type token struct{ names, ids string }
	tokens := []token{
		{"repo:octo-org/octo-repo", "repo:octo-org@65/octo-repo@74"}, {"repo:octo-org/other", "repo:octo-org@65/other@75"},
		{"repo:octo-org/secret", "repo:octo-org@65/secret@80"}, {"repo:acme/app", "repo:acme@1/app@2"}, {"repo:octo-org/old", "repo:octo-org@65/old@76"},
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 3))
		operator := []string{"", "ForAnyValue:", "ForAllValues:"}[rng.IntN(3)] +
			[]string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"}[rng.IntN(6)] +
			[]string{"", "IfExists"}[rng.IntN(2)]
		list := slices.Clone(values)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		written := layout(rng, list[:1+rng.IntN(4)])
		effect := []string{"Allow", "Deny"}[rng.IntN(2)]
		first := fmt.Sprintf(`{"Effect":%q,"Principal":"*","Action":"sts:AssumeRoleWithWebIdentity","Condition":{%q:{"%s:sub":%s}}}`,
			effect, operator, gh, written)
		// A list that lets in and one that keeps out, in one statement.
		if rng.IntN(2) == 0 && effect == "Allow" && operator != "StringNotLike" {
			further := layout(rng, []string{list[5], list[6]})
			first = strings.Replace(first, `}}}`, fmt.Sprintf(`},"StringNotLike":{"%s:sub":%s}}}`, gh, further), 1)
		}
		open := `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity"}`
		switch rng.IntN(3) {
		case 0:
			open = `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"` + gh + `:sub":"repo:octo-org/*"}}}`
		case 1:
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
			// What a Deny spares by name gets in where a statement allows it: in
			// two forms that do not meet they let nobody in, which a move mends.
			if spared := strings.TrimPrefix(k.names, "repo:octo-org/"); effect == "Deny" && strings.Contains(operator, "Not") && strings.Contains(written, spared) {
				continue
			}
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
