package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	somePool  = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f"
	provider  = "      - provider: token.actions.githubusercontent.com\n"
	noRules   = "rules: []\n"
	poolHead  = "pools:\n  - id: " + somePool + "\n    name: gh\n    account: \"111111111111\"\n"
	roleOne   = "arn:aws:iam::111111111111:role/one"
	withRoles = "    default_role: " + roleOne + "\n    providers:\n" + provider
)

// TestPool reads everything that a pool can say.
func TestPool(t *testing.T) {
	cfg, err := load(top + issuers + noRules + `aws:
  session_tags: {prefix: gha_, abbreviations: {repository: repo}, claims: [repository, ref, actor_id]}
` + poolHead + `    classic: true
    classic_roles: [` + roleOne + `]
    default_role: ` + roleOne + `
    session_name: "s-{run_id}"
    duration: 2h
    requests_per_second: 25
    providers:
      - provider: arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com
        tags: [repository, ref]
        transitive: [gha_repo]
        source_identity: actor_id
        no_match: default_role
        rules:
          - {claim: repository, equals: octo-org/octo-repo, role: ` + roleOne + `}
          - {claim: ref, starts_with: refs/tags/, role: "arn:aws:iam::111111111111:role/{repository_name}"}
          - {claim: ref, contains: "*", role: ` + roleOne + `}
          - {claim: event_name, not_equal: pull_request, role: ` + roleOne + `}
`)
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Pools[0]
	v := p.Providers[0]
	got := fmt.Sprint(p.ID, p.Region, p.Name, p.Account, p.Classic, p.ClassicRoles[0].Value, p.DefaultRole.Value, p.SessionName.Value, p.Duration, p.RequestsPerSecond,
		" | ", v.Name, v.ARN, v.Issuer, v.Tags[0].Key, v.Tags[1].Key, v.Transitive[0].Value, v.SourceIdentity.Value, v.DefaultOnNoMatch)
	want := fmt.Sprint(somePool, "eu-central-1", "gh", "111111111111", true, roleOne, roleOne, "s-{run_id}", 2*time.Hour, 25,
		" | ", "token.actions.githubusercontent.com", "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com", "github", "gha_repo", "gha_ref", "gha_repo", "actor_id", true)
	if got != want {
		t.Errorf("found %s\nwant  %s", got, want)
	}
	for i, kind := range []MatchType{Equals, StartsWith, Contains, NotEqual} {
		if v.Rules[i].Type != kind {
			t.Errorf("rule %d compares by %s", i, v.Rules[i].Type)
		}
	}
	if p.ARN() != "arn:aws:cognito-identity:eu-central-1:111111111111:identitypool/"+somePool {
		t.Errorf("the pool's ARN is %s", p.ARN())
	}
}

// TestPoolRefused: what a pool may not say, with its place.
func TestPoolRefused(t *testing.T) {
	rule := func(s string) string { return withRoles + "        rules:\n          - " + s + "\n" }
	for _, c := range []struct{ name, file, says string }{
		{"no id", "pools:\n  - §name: gh\n    account: \"111111111111\"\n" + withRoles, "the pool has no id"},
		{"an id of nothing", "pools:\n  - id: §somewhere\n    account: \"111111111111\"\n" + withRoles, "expected an identity pool's id"},
		{"upper case in an id", "pools:\n  - id: §eu-central-1:0B5F7A1E-3C1D-4C52-9F0E-1A2B3C4D5E6F\n    account: \"111111111111\"\n" + withRoles, "expected an identity pool's id"},
		{"no account", "pools:\n  - id: §" + somePool + "\n" + withRoles, "the pool has no account"},
		{"a short account", "pools:\n  - id: " + somePool + "\n    account: §\"1\"\n" + withRoles, "twelve digits"},
		{"no providers", strings.Replace(poolHead, "id: ", "id: §", 1), "the pool has no providers"},
		{"twice", poolHead + withRoles + "  - id: §" + somePool + "\n    account: \"111111111111\"\n" + withRoles, "stands twice"},
		{"a provider that is no issuer", poolHead + "    default_role: " + roleOne + "\n    providers:\n      - provider: §gitlab.com\n", "no issuer with the url https://gitlab.com"},
		{"a provider with its scheme", poolHead + "    default_role: " + roleOne + "\n    providers:\n      - provider: §https://gitlab.com\n", "expected a provider"},
		{"a provider of another account", poolHead + "    default_role: " + roleOne + "\n    providers:\n      - provider: §arn:aws:iam::222222222222:oidc-provider/token.actions.githubusercontent.com\n", "of the account 222222222222"},
		{"a provider twice", poolHead + withRoles + "      - provider: §arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com\n", "stands twice"},
		{"an issuer that is not there", poolHead + "    default_role: " + roleOne + "\n    providers:\n      - provider: §x.example.com\n        issuer: nobody\n", "the issuer \"nobody\" is not configured"},
		{"nothing to get", poolHead + "    providers:\n" + strings.Replace(provider, "token", "§token", 1), "nobody could get anything"},
		{"no default", poolHead + "    classic: true\n    providers:\n" + strings.Replace(provider, "token", "§token", 1) + "        no_match: default_role\n", "no default role"},
		{"classic roles without classic", poolHead + "    classic_roles: [§" + roleOne + "]\n" + withRoles, "the basic flow is not allowed"},
		{"a rule without a claim", poolHead + rule("§{equals: x, role: "+roleOne+"}"), "names no claim"},
		{"a rule without a role", poolHead + rule("§{claim: ref, equals: x}"), "gives no role"},
		{"a rule with nothing", poolHead + rule("§{claim: ref, role: "+roleOne+"}"), "compares the claim with nothing"},
		{"a rule with two", poolHead + rule("§{claim: ref, equals: x, contains: y, role: "+roleOne+"}"), "found contains and equals"},
		{"an empty value", poolHead + rule("{claim: ref, starts_with: §\"\", role: "+roleOne+"}"), "1 to 1024 characters"},
		{"a wildcard role", poolHead + rule("{claim: ref, equals: x, role: §\"arn:aws:iam::111111111111:role/*\"}"), "wildcard"},
		{"requests", poolHead + "    requests_per_second: §0\n" + withRoles, "from 1 to"},
		{"transitive without a tag", poolHead + withRoles + "        transitive: [§x]\n", "is no tag"},
		{"a claim outside the list", "aws: {session_tags: {claims: [ref]}}\n" + poolHead + withRoles + "        tags: {§a: repository}\n", "not among those that may stand in a tag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, at := marked(top + issuers + noRules + c.file)
			_, err := load(file)
			problems, ok := err.(Problems)
			if !ok {
				t.Fatalf("accepted: %v", err)
			}
			for _, p := range problems {
				if strings.Contains(p.Message, c.says) && p.Pos == at[0] {
					return
				}
			}
			t.Errorf("expected %v: %q, found:\n%v", at, c.says, err)
		})
	}
}

// TestSessionTags: keys of listed tags, the order of dropping, and the ways of
// vending.
func TestSessionTags(t *testing.T) {
	cfg, err := load(top + issuers + "aws: {session_tags: {prefix: gha_, abbreviations: {repository: repo}}}\nrules:\n  - name: a\n" + is74 +
		"    aws: {roles: [\"" + roleOne + "\"], via: assume-role, external_id: abc, tags: [repository, sha], chain: {tags: [gha_repo]}}\n" +
		"  - name: b\n" + is74 + "    aws: {roles: [\"" + roleOne + "\"], tags: {k: {claim: sha, drop: 2}}}\n")
	if err != nil {
		t.Fatal(err)
	}
	a, b := cfg.Rules[0].AWS, cfg.Rules[1].AWS
	if a.Via != AssumeRole || a.ExternalID.Value != "abc" || a.Tags[0].Key != "gha_repo" || a.Tags[1].Key != "gha_sha" || a.Chain[0].Value != "gha_repo" {
		t.Errorf("the first rule: %+v", a)
	}
	if b.Via != WebIdentity || b.Tags[0].Key != "k" || b.Tags[0].Drop != 2 {
		t.Errorf("the second rule: %+v", b)
	}
	for _, c := range []struct{ name, rule, says string }{
		{"an external id of a web identity", "external_id: §abc", "has no external id"},
		{"a way that is none", "via: §other", "expected web-identity or assume-role"},
		{"a required tag that is dropped", "tags: {§k: {claim: sha, drop: 1, required: true}}", "never dropped"},
		{"an order that is none", "tags: {k: {claim: sha, drop: §0}}", "from 1 to 50"},
		{"chain of no tag", "tags: {k: sha}, chain: {tags: [§sha]}", "is no tag"},
		{"listed twice", "tags: [sha, §SHA]", "without letter case"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, at := marked(top + issuers + "rules:\n  - name: a\n" + is74 + "    aws: {roles: [\"" + roleOne + "\"], " + c.rule + "}\n")
			_, err := load(file)
			if problems, ok := err.(Problems); !ok || problems[0].Pos != at[0] || !strings.Contains(problems[0].Message, c.says) {
				t.Errorf("expected %v: %q, found: %v", at, c.says, err)
			}
		})
	}
}
