package cognito_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/cognito"
	"github.com/stint-dev/stint/internal/config"
)

// FuzzImport asserts that a broker takes the pools that are said to be complete,
// and refuses the others; that what it takes is what was found; and that no
// provider of which role mappings are lost gives the default role to everybody.
func FuzzImport(f *testing.F) {
	for _, s := range []string{
		pool("") + roles("") + tags(noTags), stack, pool(`, "AllowClassicFlow": true`) + tags(`"UseDefaults": true`) + roles(""),
		pool("") + tags(`"PrincipalTags": {"a": "b"}`) + mapped("AuthenticatedRole", rule("cognito:x", "Equals", "x", appRole), rule("ref", "NotEqual", "é", appRole)),
		"IdentityPoolId: " + poolID + "\nRoles: {authenticated: !Ref x}\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, told bool) {
		o := known(t)
		if told {
			o = deployed(t)
		}
		i := cognito.Import([]cognito.File{{Name: "f", Data: data}}, o)
		for _, err := range i.Problems {
			if strings.Contains(err.Error(), "would refuse this") {
				t.Fatal(err)
			}
		}
		if len(i.Pools) == 0 {
			return
		}
		base := configured("")
		var issuers strings.Builder
		for _, issuer := range i.Issuers {
			fmt.Fprintf(&issuers, "  %s: {url: %q, audiences: [a], only: {repository_owner_id: \"1\", namespace_id: \"1\", organization_id: \"1\", oidc.circleci.com/org-id: \"1\"}}\n", issuer.Name, issuer.URL)
		}
		base = strings.Replace(base, "rules: []", issuers.String()+"rules: []", 1)
		_, pools, _ := strings.Cut("\n"+string(i.YAML()), "\npools:\n")
		cfg, err := config.Parse("stint.yaml", []byte(base+"pools:\n"+pools))
		if (err == nil) != i.Complete() {
			t.Fatalf("complete: %v, but %v\n%s", i.Complete(), err, pools)
		}
		if err != nil {
			return
		}
		for n := range cfg.Pools {
			got, want := &cfg.Pools[n], &i.Pools[n]
			if got.ID != want.ID || got.Name != want.Name || got.Account != want.Account || got.Classic != want.Classic || got.DefaultRole.Value != want.DefaultRole {
				t.Fatalf("found %+v, expected %+v", got, want)
			}
			for m, v := range got.Providers {
				if w := want.Providers[m]; v.Provider != w.Provider || len(v.Tags) != len(w.Tags) || len(v.Rules) != len(w.Rules) {
					t.Fatalf("found %+v, expected %+v", v, w)
				}
				for _, tag := range v.Tags {
					if want.Providers[m].Tags[tag.Key] != tag.Source.Value {
						t.Fatalf("the tag %q is %q", tag.Key, tag.Source.Value)
					}
				}
				for k, r := range v.Rules {
					w := want.Providers[m].Rules[k]
					if r.Claim != w.Claim || r.Value.Value != w.Equals+w.StartsWith+w.Contains+w.NotEqual || r.Role.Value != w.Role {
						t.Fatalf("found the rule %+v, expected %+v", r, w)
					}
				}
			}
		}
	})
}

// FuzzRoundTrip asserts that a pool of which everything fits Cognito comes back
// as it was, by the calls and by the template.
func FuzzRoundTrip(f *testing.F) {
	f.Add("ci", "project_path", "team", "ref", "refs/heads/main", "deploy", uint8(1), uint8(0))
	f.Add("", "a", "b/c", "x", "{{resolve:x}}", "a/b", uint8(2), uint8(3))
	f.Add("true", "null", "yes", "on", " ", "x@y", uint8(7), uint8(2))
	f.Fuzz(func(t *testing.T, name, claim, key, ruleClaim, value, role string, flags, kind uint8) {
		quoted := func(s string) string {
			b, err := json.Marshal(s)
			if err != nil {
				t.Skip(err)
			}
			return string(b)
		}
		arn := quoted("arn:aws:iam::111111111111:role/" + role)
		var b strings.Builder
		fmt.Fprintf(&b, "pools:\n  - id: %s\n    account: \"111111111111\"\n", poolID)
		if name != "" {
			fmt.Fprintf(&b, "    name: %s\n", quoted(name))
		}
		if flags&1 != 0 {
			b.WriteString("    classic: true\n")
		}
		if flags&2 != 0 {
			fmt.Fprintf(&b, "    default_role: %s\n", arn)
		}
		fmt.Fprintf(&b, "    providers:\n      - provider: %s\n        tags: {%s: %s}\n", gitlab, quoted(key), quoted(claim))
		if flags&4 != 0 {
			compare := []string{"equals", "starts_with", "contains", "not_equal"}[kind%4]
			fmt.Fprintf(&b, "        rules: [{claim: %s, %s: %s, role: %s}]\n        no_match: %s\n", quoted(ruleClaim), compare, quoted(value), arn, []string{"deny", "default_role"}[kind/4%2])
		}
		text := configured(b.String())
		cfg, err := config.Parse("stint.yaml", []byte(text))
		if err != nil {
			return
		}
		roundTrip(t, text, cfg)
	})
}

// FuzzMerge asserts that a merged file holds every byte of the old one, in their
// order around what was added, and that what the old one said stays.
func FuzzMerge(f *testing.F) {
	f.Add(configured(""))
	f.Add(strings.Replace(configured("pools:\n- {id: \"eu-central-1:11111111-1111-1111-1111-111111111111\", account: \"111111111111\", classic: true, providers: [{provider: mirror.example.com}]}\n\n# x\n"), "rules: []\n", "", 1) + "rules:\n- name: a\n  effect: deny\n  when: |+\n    true\n\n")
	f.Add("# a\r\n" + strings.ReplaceAll(configured(""), "\n", "\r\n"))
	text := pool(`, "AllowClassicFlow": true`) + roles("") + tags(noTags)
	text += strings.NewReplacer(github, "new.example.com", "0b5f7a1e", "1b5f7a1e", `"ci"`, `"new"`).Replace(text) + `{"Url": "new.example.com", "ClientIDList": ["a"]}`
	f.Fuzz(func(t *testing.T, base string) {
		before, err := config.Parse("stint.yaml", []byte(base))
		if err != nil {
			return
		}
		i := read(text, cognito.Options{Known: before.Issuers})
		merged, err := i.Merge("stint.yaml", []byte(base))
		if err != nil {
			return
		}
		after := parse(t, string(merged))
		if len(after.Pools) != len(before.Pools)+2 || len(after.Rules) != len(before.Rules) {
			t.Fatalf("found\n%s", merged)
		}
		for n, r := range before.Rules {
			if got := after.Rules[n]; got.Name != r.Name || got.When.Value != r.When.Value || got.Deny != r.Deny || len(got.Match) != len(r.Match) {
				t.Fatalf("the rule %q has changed\n%s", r.Name, merged)
			}
		}
		for n := range before.Pools {
			if got, want := shape(&after.Pools[n]), shape(&before.Pools[n]); got != want {
				t.Fatalf("found %s\nexpected %s", got, want)
			}
		}
		rest := string(merged)
		for line := range strings.Lines(base) {
			_, behind, ok := strings.Cut(rest, strings.TrimRight(line, "\r\n"))
			if !ok {
				t.Fatalf("%q is lost in\n%s", line, merged)
			}
			rest = behind
		}
	})
}
