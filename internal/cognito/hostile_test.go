package cognito_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/cognito"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/source"
)

// TestProblems: a mistake is told with its place, and what it makes unknown is
// never taken for absent: a broker refuses the pool, or does not get it.
func TestProblems(t *testing.T) {
	app := rule("ref", "Equals", "refs/heads/main", appRole)
	whole := pool("") + roles("") + tags(noTags)
	for _, test := range []struct {
		name, text string
		line       int // of the place; 0: of the file as a whole
		says       string
		refused    bool // the pool is there, and a broker refuses it
	}{
		{"no JSON", "{", 1, "the JSON ends too early", false},
		{"not JSON at all", "}{", 1, "not YAML", false},
		{"text", "hello", 1, "expected what describe-identity-pool", false},
		{"nothing", " \n", 1, "the file is empty", false},
		{"a NUL", "{\"a\u0000\": 1}", 1, "not JSON", false},
		{"no UTF-8", "{\"a\": \"\xff\"}", 1, "not valid UTF-8", false},
		{"a doubled key", "{\"IdentityPoolId\": 1,\n\"IdentityPoolId\": 2}", 2, `the key "IdentityPoolId" stands twice`, false},
		{"deep nesting", strings.Repeat("[", 100_000), 1, "nested deeper", false},
		{"lists in lists", "[[" + whole + "]]", 1, "", false},
		{"too large", strings.Repeat(" ", cognito.MaxFile+1), 0, "at most 4 MiB", false},
		{"what list-identity-pools prints", `{"IdentityPools": []}`, 1, "describe-identity-pool prints of each", false},
		{"no id", `{"IdentityPoolName": "x"}`, 1, "no IdentityPoolId", false},
		{"something else", `{"Buckets": []}`, 1, `found an object with "Buckets"`, false},
		{"an id and nothing that is known", `{"IdentityPoolId": "` + poolID + `", "x": 1}`, 1, `found an object with "IdentityPoolId", "x"`, false},
		{"an id that is none", strings.Replace(pool(""), "eu-central-1:", "x:", 1), 1, "IdentityPoolId: expected an id", false},
		{"an id that is a list", strings.Replace(pool(""), `"`+poolID+`"`, `["`+poolID+`"]`, 1), 1, "IdentityPoolId: expected an id", false},
		{"the pool is missing", roles("") + tags(noTags), 1, "the pool itself is missing", false},
		{"the roles are missing", pool(`, "AllowClassicFlow": true`) + tags(noTags), 1, "default_role is not known: give what 'aws cognito-identity get-identity-pool-roles'", true},
		{"two descriptions", whole + "\n" + pool(`, "AllowClassicFlow": true`), 2, "is described twice, first at f.json:1:1", true},
		{"two sets of roles", whole + "\n" + mapped("Deny", app), 2, "the roles of the pool " + poolID + " stand twice", true},
		{"two tag maps", whole + "\n" + tags(`"UseDefaults": true`), 2, "the principal tags of " + github + " stand twice", true},
		{"a flag that is text", pool(`, "AllowClassicFlow": "yes"`) + roles("") + tags(noTags), 1, "AllowClassicFlow: expected true or false, found a string", false},
		{"roles that are a list", pool("") + strings.Replace(roles(""), `{"authenticated": "`+appRole+`"}`, "[]", 1) + tags(noTags), 1, "Roles: expected an object, found a list", true},
		{"a role of a name that nobody knows", pool("") + strings.Replace(roles(""), `"authenticated"`, `"root": "x", "authenticated"`, 1) + tags(noTags), 1, `expected authenticated or unauthenticated, found "root"`, false},
		{"a role that is none", pool("") + strings.ReplaceAll(roles(""), ":role/", ":user/") + tags(noTags), 1, "expected the ARN of a role", true},
		{"a role with a brace", pool("") + strings.ReplaceAll(roles(""), "/app", "/{ref}/app") + tags(noTags), 1, "a meaning in stint.yaml", true},
		{"a role that is a number", pool("") + strings.ReplaceAll(roles(""), `"`+appRole+`"`, "1") + tags(noTags), 1, "expected the ARN of a role, found a number", true},
		{"a rule's role that is none", pool("") + tags(noTags) + mapped("Deny", rule("ref", "Equals", "x", "deploy"), app), 1, "providers[0].rules[0].role is not known", true},
		{"providers that are text", strings.Replace(pool(""), `["`+provider+`"]`, `"`+provider+`"`, 1) + roles("") + tags(noTags), 1, "expected a list, found a string", true},
		{"a provider that is none", strings.ReplaceAll(whole, ":oidc-provider/", ":saml-provider/"), 1, "expected the ARN of an OpenID Connect provider", true},
		{"a provider that is a number", strings.Replace(whole, `["`+provider+`"]`, `[1]`, 1), 1, "expected the ARN of a provider, found a number", true},
		{"a provider twice", strings.Replace(whole, `["`+provider+`"]`, `["`+provider+`", "`+provider+`"]`, 1), 1, "stands twice", false},
		{"a provider of another account", strings.Replace(whole, `["`+provider+`"]`, `["`+provider+`", "arn:aws:iam::222222222222:oidc-provider/gitlab.example.com/ci"]`, 1), 1, "is of another account than 111111111111", true},
		{"mappings that are a list", pool(`, "AllowClassicFlow": true`) + roles(`, "RoleMappings": []`) + tags(noTags), 1, "RoleMappings: expected an object, found a list", true},
		{"a mapping that is text", pool(`, "AllowClassicFlow": true`) + roles(`, "RoleMappings": {"`+provider+`": "Rules"}`) + tags(noTags), 1, "expected an object, found a string", false},
		{"a mapping without a type", pool("") + roles(`, "RoleMappings": {"`+provider+`": {}}`) + tags(noTags), 1, "Type: expected Rules or Token", false},
		{"rules that are missing", pool("") + roles(`, "RoleMappings": {"`+provider+`": {"Type": "Rules", "AmbiguousRoleResolution": "Deny"}}`) + tags(noTags), 1, "RulesConfiguration.Rules: expected a list", false},
		{"one provider mapped by name and by ARN", pool("") + roles(`, "RoleMappings": {"`+provider+`": {"Type": "Token"}, "`+github+`": {"Type": "Token"}}`) + tags(noTags), 1, "the role mapping of " + github + " stands twice", true},
		{"what happens where no rule matches is not said", pool("") + tags(noTags) + mapped("", app), 1, "AmbiguousRoleResolution: expected AuthenticatedRole or Deny", false},
		{"a match type that nobody knows", pool("") + tags(noTags) + mapped("AuthenticatedRole", rule("ref", "Matches", "x", appRole), app), 1, `found "Matches"`, true},
		{"a rule without a claim", pool("") + tags(noTags) + mapped("AuthenticatedRole", `{"MatchType": "Equals"}`, app), 1, "expected a rule with Claim", true},
		{"a rule that is a list", pool("") + tags(noTags) + mapped("AuthenticatedRole", `[]`, app), 1, "expected a rule, found a list", true},
		{"a value that is too long", pool("") + tags(noTags) + mapped("AuthenticatedRole", rule("ref", "Equals", strings.Repeat("x", 1025), appRole), app), 1, "at most 1024 characters, found 1025", true},
		{"tags that are a list", pool("") + roles("") + tags(`"PrincipalTags": []`), 1, "PrincipalTags: expected an object", true},
		{"a tag that is a number", pool("") + roles("") + tags(`"PrincipalTags": {"a": 1}`), 1, "expected a claim for the tag", true},
		{"tags of nobody", whole + "\n" + strings.Replace(tags(noTags), `"`+provider+`"`, "1e3", 1), 2, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := read(test.text, known(t))
			ok := test.says == ""
			for _, err := range i.Problems {
				var e *source.Error
				if strings.Contains(err.Error(), test.says) && errors.As(err, &e) && e.Position.File == "f.json" && e.Position.Line == test.line {
					ok = true
				}
			}
			if !ok || test.says != "" && len(i.Problems) == 0 {
				t.Errorf("found %v, expected line %d and %q", i.Problems, test.line, test.says)
			}
			text := configured(string(i.YAML()))
			cfg, err := config.Parse("stint.yaml", []byte(text))
			if refused := err != nil; refused != (test.refused && len(i.Pools) > 0) || test.refused && len(i.Pools) == 0 {
				t.Fatalf("expected it to be refused: %v, found %v\n%s", test.refused, err, text)
			}
			if cfg == nil {
				return
			}
			for _, p := range cfg.Pools {
				for _, v := range p.Providers {
					if strings.Contains(test.text, "RoleMappings") && (len(v.Rules) == 0 || v.DefaultOnNoMatch) {
						t.Errorf("a provider with role mappings gives the default role to everybody:\n%s", text)
					}
				}
			}
		})
	}
}

// TestOtherFiles: a broken file does not hide the others.
func TestOtherFiles(t *testing.T) {
	i := cognito.Import([]cognito.File{
		{Name: "broken.json", Data: []byte("{")},
		{Name: "a.json", Data: []byte(tags(noTags))},
		{Name: "b.yaml", Data: []byte("IdentityPoolId: " + poolID + "\nRoles:\n  authenticated: " + appRole + "\n")},
		{Name: "c.json", Data: []byte(pool(""))},
	}, known(t))
	if len(i.Problems) != 1 || !strings.HasPrefix(i.Problems[0].Error(), "broken.json:1:") {
		t.Errorf("found %v", i.Problems)
	}
	if len(i.Pools) != 1 || i.Pools[0].DefaultRole != appRole || !i.Complete() {
		t.Errorf("found %+v", i.Pools)
	}
}

// TestManyPools: the number of pools is bounded, and two of one name keep one.
func TestManyPools(t *testing.T) {
	var b strings.Builder
	for n := range config.MaxPools + 10 {
		id := "eu-central-1:00000000-0000-0000-0000-" + strings.Repeat("0", 8) + string("0123456789"[n/1000]) + string("0123456789"[n/100%10]) + string("0123456789"[n/10%10]) + string("0123456789"[n%10])
		b.WriteString(strings.ReplaceAll(pool("")+roles(""), poolID, id))
	}
	o := known(t)
	i := read(b.String(), o)
	if len(i.Pools) != config.MaxPools || len(i.Problems) != 1 || !strings.Contains(i.Problems[0].Error(), "at most 1000 pools") {
		t.Errorf("%d pools, %v", len(i.Pools), i.Problems)
	}
	named := 0
	for _, p := range i.Pools {
		if p.Name != "" {
			named++
		}
	}
	if named != 1 {
		t.Errorf("%d pools are called ci", named)
	}
}
