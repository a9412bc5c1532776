package cognito_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/cognito"
	"github.com/stint-dev/stint/internal/config"
)

const (
	poolID   = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f"
	github   = "token.actions.githubusercontent.com"
	provider = "arn:aws:iam::111111111111:oidc-provider/" + github
	appRole  = "arn:aws:iam::111111111111:role/app"
)

// configured is a stint.yaml around the pools, which trusts the issuers of the
// tests.
func configured(pools string) string {
	return `issuer: https://stint.example.com
issuers:
  github:
    url: https://token.actions.githubusercontent.com
    audiences: [cognito-identity.amazonaws.com]
    only: {repository_owner: octo-org}
  gitlab: {url: "https://gitlab.example.com/ci", audiences: [cognito]}
  mirror: {url: "https://mirror.example.com", audiences: [cognito]}
rules: []
` + pools
}

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("stint.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

// shape is what a pool means, without what two files may write differently: the
// places, and the order of tags.
func shape(p *config.Pool) string {
	type rule struct{ claim, kind, value, role string }
	out := fmt.Sprintf("%s %q %s classic=%v default=%q session=%q %s\n", p.ID, p.Name, p.Account, p.Classic, p.DefaultRole.Value, p.SessionName.Value, p.Duration)
	for _, v := range p.Providers {
		tags := map[string]string{}
		for _, t := range v.Tags {
			tags[t.Key] = t.Source.Value
		}
		var rules []rule
		for _, r := range v.Rules {
			rules = append(rules, rule{r.Claim, string(r.Type), r.Value.Value, r.Role.Value})
		}
		keys := slices.Sorted(maps.Keys(tags))
		out += fmt.Sprintf("  %s %s %s default=%v rules=%q\n", v.Name, v.ARN, v.Issuer, v.DefaultOnNoMatch && len(v.Rules) > 0, rules)
		for _, k := range keys {
			out += fmt.Sprintf("    %q: %q\n", k, tags[k])
		}
	}
	return out
}

// read imports one file.
func read(text string, o cognito.Options) cognito.Imported {
	return cognito.Import([]cognito.File{{Name: "f.json", Data: []byte(text)}}, o)
}

// pool, roles and tags are what the AWS command line prints.
func pool(members string) string {
	return fmt.Sprintf(`{"IdentityPoolId": %q, "IdentityPoolName": "ci", "AllowUnauthenticatedIdentities": false, "OpenIdConnectProviderARNs": [%q]%s}`, poolID, provider, members)
}

func roles(members string) string {
	return fmt.Sprintf(`{"IdentityPoolId": %q, "Roles": {"authenticated": %q}%s}`, poolID, appRole, members)
}

func mapped(ambiguous string, rules ...string) string {
	return roles(fmt.Sprintf(`, "RoleMappings": {%q: {"Type": "Rules", "AmbiguousRoleResolution": %q, "RulesConfiguration": {"Rules": [%s]}}}`,
		provider, ambiguous, strings.Join(rules, ", ")))
}

func rule(claim, kind, value, role string) string {
	text, err := json.Marshal(map[string]string{"Claim": claim, "MatchType": kind, "Value": value, "RoleARN": role})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func tags(members string) string {
	return fmt.Sprintf(`{"IdentityPoolId": %q, "IdentityProviderName": %q, %s}`, poolID, provider, members)
}

const noTags = `"UseDefaults": false`

// imported is the pools that are read from a file, as a broker has them.
func imported(t testing.TB, i cognito.Imported) []config.Pool {
	t.Helper()
	for _, err := range i.Problems {
		t.Errorf("problem: %v", err)
	}
	if len(i.Issuers) > 0 {
		t.Fatalf("issuers that nobody knows: %v", i.Issuers)
	}
	if len(i.Pools) == 0 {
		return nil
	}
	return parse(t, configured(string(i.YAML()))).Pools
}

func known(t testing.TB) cognito.Options {
	return cognito.Options{Known: parse(t, configured("")).Issuers}
}

func notes(i cognito.Imported) string {
	var b strings.Builder
	for _, n := range i.Notes {
		fmt.Fprintf(&b, "%s: %s (%s)\n", n.Kind, n.What, n.Do)
	}
	return b.String()
}

func TestImport(t *testing.T) {
	const start = poolID + ` "ci" 111111111111 `
	const end = ` session="CognitoIdentityCredentials" 1h0m0s` + "\n"
	const by = "  " + github + " " + provider + " github "
	for _, test := range []struct{ name, text, want string }{
		{
			"rules in their order, with every match type",
			pool("") + tags(`"PrincipalTags": {"repo": "repository", "env": "environment"}`) + mapped("Deny",
				rule("repository", "Equals", "octo-org/octo-repo", appRole), rule("ref", "StartsWith", "refs/tags/", appRole),
				rule("ref", "Contains", "release", appRole), rule("event_name", "NotEqual", "pull_request", appRole)),
			start + `classic=false default="` + appRole + `"` + end + by + `default=false rules=[{"repository" "Equals" "octo-org/octo-repo" "` + appRole + `"} {"ref" "StartsWith" "refs/tags/" "` + appRole +
				`"} {"ref" "Contains" "release" "` + appRole + `"} {"event_name" "NotEqual" "pull_request" "` + appRole + "\"}]\n    \"env\": \"environment\"\n    \"repo\": \"repository\"\n",
		},
		{
			"a mapping whose key is the issuer's URL",
			pool("") + tags(noTags) + strings.Replace(mapped("Deny", rule("ref", "Equals", "x", appRole)), provider, "https://Token.actions.githubusercontent.com", 1),
			start + `classic=false default="` + appRole + `"` + end + by + `default=false rules=[{"ref" "Equals" "x" "` + appRole + "\"}]\n",
		},
		{
			"who matches nothing gets the authenticated role",
			mapped("AuthenticatedRole", rule("ref", "Equals", "refs/heads/*", appRole)) + tags(noTags) + pool(""),
			start + `classic=false default="` + appRole + `"` + end + by + `default=true rules=[{"ref" "Equals" "refs/heads/*" "` + appRole + "\"}]\n",
		},
		{
			"no rules, both flows, the default tags",
			pool(`, "AllowClassicFlow": true`) + roles("") + tags(`"UseDefaults": true`),
			start + `classic=true default="` + appRole + `"` + end + by + "default=false rules=[]\n    \"client\": \"aud\"\n    \"username\": \"sub\"\n",
		},
		{
			"classic alone: no roles are set",
			pool(`, "AllowClassicFlow": true`) + `{"IdentityPoolId": "` + poolID + `"}` + tags(noTags),
			start + `classic=true default=""` + end + by + "default=false rules=[]\n",
		},
		{
			"a list of answers, and one of them twice",
			"[" + pool("") + "," + roles("") + "," + roles("") + "," + tags(noTags) + "]",
			start + `classic=false default="` + appRole + `"` + end + by + "default=false rules=[]\n",
		},
		{
			"the calls that export writes",
			`{"operation": "update-identity-pool", "region": "eu-central-1", "input": ` + pool("") + `}{"operation": "x", "input": ` + roles("") + "}" + tags(noTags),
			start + `classic=false default="` + appRole + `"` + end + by + "default=false rules=[]\n",
		},
		{
			"text that YAML would take for something else",
			pool("") + tags(`"PrincipalTags": {"yes": "null", "1": "on", "a: b": "x.y/z"}`) + mapped("Deny", rule("true", "Equals", "no: #\"'\u2028\\\n\u0085\u202e\U000e0001", appRole)),
			start + `classic=false default="` + appRole + `"` + end + by + `default=false rules=[{"true" "Equals" "no: #\"'\u2028\\\n\u0085\u202e\U000e0001" "` + appRole + "\"}]\n    \"1\": \"on\"\n    \"a: b\": \"x.y/z\"\n    \"yes\": \"null\"\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := read(test.text, known(t))
			pools := imported(t, i)
			if len(i.Notes) > 0 {
				t.Errorf("notes: %s", notes(i))
			}
			if len(pools) != 1 {
				t.Fatalf("found %d pools", len(pools))
			}
			if got := shape(&pools[0]); got != test.want {
				t.Errorf("found    %s\nexpected %s\n%s", got, test.want, i.YAML())
			}
		})
	}
}

// TestNoEqual: what cannot be carried over is named, and leaving it out lets
// nobody in who was not let in before.
func TestNoEqual(t *testing.T) {
	const none = "0 pools"
	app := rule("ref", "Equals", "refs/heads/main", appRole)
	for _, test := range []struct {
		name, text string
		notes      []string
		want       string // what the pool's description has to hold; none: no pool
	}{
		{"unauthenticated identities", strings.Replace(pool(""), "false", "true", 1) + roles("") + tags(noTags), []string{"unauthenticated identities"}, "default="},
		{"the unauthenticated role", pool("") + strings.Replace(roles(""), `"authenticated"`, `"unauthenticated": "arn:aws:iam::111111111111:role/anyone", "authenticated"`, 1) + tags(noTags), []string{"the unauthenticated role arn:aws:iam::111111111111:role/anyone"}, appRole},
		{"a developer provider", pool(`, "DeveloperProviderName": "login.example.com"`) + roles("") + tags(noTags), []string{"the developer provider"}, appRole},
		{"user pools", pool(`, "CognitoIdentityProviders": [{"ProviderName": "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_a", "ClientId": "c"}]`) + roles("") + tags(noTags), []string{"the Cognito user pool cognito-idp.eu-central-1.amazonaws.com/eu-central-1_a"}, appRole},
		{"SAML", pool(`, "SamlProviderARNs": ["arn:aws:iam::111111111111:saml-provider/corp"]`) + roles("") + tags(noTags), []string{"the SAML provider arn:aws:iam::111111111111:saml-provider/corp"}, appRole},
		{"logins", pool(`, "SupportedLoginProviders": {"graph.facebook.com": "1", "accounts.google.com": "2", "www.amazon.com": "3", "appleid.apple.com": "4"}`) + roles("") + tags(noTags),
			[]string{"graph.facebook.com (it signs in people", "accounts.google.com (it signs OpenID Connect tokens", "www.amazon.com (it signs in people", "appleid.apple.com (it signs OpenID Connect tokens"}, appRole},
		{"events and streams", pool(`, "CognitoEvents": {"SyncTrigger": "f"}, "CognitoStreams": {"StreamName": "s"}, "PushSync": {}`) + roles("") + tags(noTags), []string{"CognitoEvents", "CognitoStreams"}, appRole},
		{"tags of the pool", pool(`, "IdentityPoolTags": {"team": "ci"}`) + roles("") + tags(noTags), []string{"the tags of the pool"}, appRole},
		{"what nobody knows", pool(`, "Later": 1`) + roles("") + tags(noTags), []string{`"Later", which stint does not know`}, appRole},
		{"a name", strings.Replace(pool(""), `"ci"`, `"ci (old)"`, 1) + roles("") + tags(noTags), []string{`the name "ci (old)"`}, `"" 111111111111`},
		{"roles of the type Token", pool("") + roles(`, "RoleMappings": {"`+provider+`": {"Type": "Token", "AmbiguousRoleResolution": "Deny"}}`) + tags(noTags), []string{"roles of the type Token", "the pool itself"}, none},
		{"Token, with the basic flow", pool(`, "AllowClassicFlow": true`) + roles(`, "RoleMappings": {"`+provider+`": {"Type": "Token", "AmbiguousRoleResolution": "AuthenticatedRole"}}`) + tags(noTags), []string{"roles of the type Token", "the pool itself"}, none},
		{"a mapping of another provider", pool("") + roles(`, "RoleMappings": {"graph.facebook.com": {"Type": "Token", "AmbiguousRoleResolution": "Deny"}}`) + tags(noTags), []string{"the role mapping of the provider graph.facebook.com"}, appRole},
		{"a rule that is lost gives nobody the default role", pool("") + tags(noTags) + mapped("AuthenticatedRole", rule("cognito:groups", "Contains", "x", appRole), app), []string{`the claim "cognito:groups"`, "of which a rule is lost"}, `default=false rules=[{"ref"`},
		{"all rules lost", pool("") + tags(noTags) + mapped("AuthenticatedRole", rule("cognito:groups", "Contains", "x", appRole)), []string{`the claim "cognito:groups"`, "none of its rules", "the pool itself"}, none},
		{"a claim that stint derives", pool("") + tags(noTags) + mapped("Deny", rule("repository_name", "Equals", "x", appRole), app), []string{`the claim "repository_name"`}, `rules=[{"ref"`},
		{"no authenticated role to fall back to", pool("") + tags(noTags) + strings.Replace(mapped("AuthenticatedRole", app), `"authenticated": "`+appRole+`"`, "", 1), []string{"AmbiguousRoleResolution AuthenticatedRole"}, "default=false rules=[{"},
		{"nobody could get anything", pool("") + `{"IdentityPoolId": "` + poolID + `"}` + tags(noTags), []string{"which has no rules", "the pool itself"}, none},
		{"no OpenID Connect provider", strings.Replace(pool(""), `"`+provider+`"`, "", 1) + roles(""), []string{"the pool itself"}, none},
		{"a provider that IAM would not take", strings.Replace(pool(""), github, "EXAMPLE.com:8443", 1) + roles(""), []string{"EXAMPLE.com:8443", "the pool itself"}, none},
		{"tags that no session can have", pool("") + roles("") + tags(`"PrincipalTags": {"aws:x": "ref", "a*": "ref", "Ref": "ref", "ref": "ref", "g": "cognito:groups", "r": "{ref}"}`),
			[]string{`"aws:x"`, `"a*"`, `"ref" of ` + github + `, which is the same as "Ref"`, `called "cognito:groups"`, `called "{ref}"`}, "\"Ref\": \"ref\"\n"},
		{"tags beside the default", pool("") + roles("") + tags(`"UseDefaults": true, "PrincipalTags": {"a": "ref"}`), []string{"beside UseDefaults"}, `"client": "aud"`},
		{"the basic flow, where another provider has rules", strings.Replace(pool(`, "AllowClassicFlow": true`), `"`+provider+`"`, `"`+provider+`", "arn:aws:iam::111111111111:oidc-provider/mirror.example.com"`, 1) + mapped("Deny", app) + tags(noTags) + strings.Replace(tags(noTags), github, "mirror.example.com", 1), []string{"AllowClassicFlow"}, "classic=false"},
		{"tags of another provider", pool("") + roles("") + tags(noTags) + strings.Replace(tags(noTags), github, "gitlab.example.com/ci", 1), []string{"the principal tags of gitlab.example.com/ci"}, appRole},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := known(t)
			o.Account = "111111111111"
			i := read(test.text, o)
			pools := imported(t, i)
			all := notes(i)
			for _, want := range test.notes {
				if !strings.Contains(all, "no_equal: ") || !strings.Contains(all, want) {
					t.Errorf("no note of %q in\n%s", want, all)
				}
			}
			if len(i.Notes) != len(test.notes) {
				t.Errorf("expected %d notes, found\n%s", len(test.notes), all)
			}
			got := none
			if len(pools) > 0 {
				got = shape(&pools[0])
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("found %s\nexpected %q in it", got, test.want)
			}
		})
	}
}
