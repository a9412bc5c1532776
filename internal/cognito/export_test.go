package cognito_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/cognito"
	"github.com/stint-dev/stint/internal/config"
)

const gitlab = "gitlab.example.com/ci"

// fitting is a pool that fits Cognito, into which a test puts what does not.
func fitting(poolKeys, providerKeys string) string {
	return configured(fmt.Sprintf(`pools:
  - id: %s
    name: ci
    account: "111111111111"
    default_role: %s
%s    providers:
      - provider: %s
        tags: {project: project_path}
%s`, poolID, appRole, poolKeys, gitlab, providerKeys))
}

func unfits(found []cognito.Unfit) string {
	var b strings.Builder
	for _, u := range found {
		fmt.Fprintf(&b, "%d: %s: %s (%s)\n", u.Pos.Line, u.Pool, u.What, u.Do)
	}
	return b.String()
}

func TestExportUnfit(t *testing.T) {
	const main = `          - {claim: ref, equals: refs/heads/main, role: "` + appRole + "\"}\n"
	rulesOf := func(rules string) string { return "        rules:\n" + rules + "        no_match: default_role\n" }
	deny := func(rule string) func(string) string {
		return func(s string) string { return strings.Replace(s, "rules: []", "rules:\n  - "+rule, 1) }
	}
	same := func(s string) string { return s }
	for _, test := range []struct {
		name, text string
		says       []string
		// left is what has to be left of the pool; gone what must not be.
		left, gone string
	}{
		{"nothing", fitting("", ""), nil, gitlab, ""},
		{"the limits are reached", fitting("", rulesOf(strings.Repeat(main, 24)+`          - {claim: "`+strings.Repeat("c", 64)+`", equals: "`+strings.Repeat("ü", 128)+`", role: "`+appRole+`"}`+"\n")), nil, `"AuthenticatedRole"`, ""},
		{"26 rules", fitting("", rulesOf(strings.Repeat(main, 26))), []string{"more than 25 rules"}, `"Deny"`, "AuthenticatedRole"},
		{"a long claim", fitting("", rulesOf(main+`          - {claim: `+strings.Repeat("c", 65)+`, equals: x, role: "`+appRole+`"}`+"\n")), []string{"the claim has 65 characters"}, `"Deny"`, "AuthenticatedRole"},
		{"a long value", fitting("", rulesOf(main+`          - {claim: c, equals: `+strings.Repeat("x", 129)+`, role: "`+appRole+`"}`+"\n")), []string{"the value has 129 characters"}, `"Deny"`, "AuthenticatedRole"},
		{"all rules lost", fitting("", rulesOf(`          - {claim: c, equals: `+strings.Repeat("x", 129)+`, role: "`+appRole+`"}`+"\n")), []string{"the value has", "none of its rules fits"}, `"OpenIdConnectProviderARNs":[]`, gitlab},
		{"a derived claim", fitting("", rulesOf(main+`          - {claim: repository_name, equals: x, role: "`+appRole+`"}`+"\n")), []string{"stint derives this claim"}, `"Deny"`, "repository_name"},
		{"a role by a claim", fitting("", rulesOf(main+`          - {claim: ref, equals: x, role: "arn:aws:iam::111111111111:role/{ref}"}`+"\n")), []string{"which depends on a claim"}, `"Deny"`, "{ref}"},
		{"a default role by a claim", strings.Replace(fitting("", ""), appRole, "arn:aws:iam::111111111111:role/{team}", 1), []string{"default_role: the role"}, `"Roles":{}`, "{team}"},
		{"a composed tag", strings.Replace(fitting("", ""), "project: project_path", `project: "{ns}-{p}"`, 1), []string{`the tag "project": its value is made of several parts`}, `"PrincipalTags":{}`, "{ns}"},
		{"a derived tag", strings.Replace(fitting("", ""), "project: project_path", `project: owner_id`, 1), []string{"stint derives the claim owner_id"}, `"PrincipalTags":{}`, "owner_id"},
		{"a required tag", strings.Replace(fitting("", ""), "project: project_path", `project: {claim: ref, required: true}`, 1), []string{"required:"}, `{"project":"ref"}`, ""},
		{"an encoded tag", strings.Replace(fitting("", ""), "project: project_path", `project: {claim: ref, encode: true}`, 1), []string{"encode:"}, `{"project":"ref"}`, ""},
		{"a tag that may be dropped", strings.Replace(fitting("", ""), "project: project_path", `project: {claim: ref, drop: 1}`, 1), []string{"drop:"}, `{"project":"ref"}`, ""},
		{"transitive", fitting("", "        transitive: [project]\n"), []string{"transitive:"}, gitlab, ""},
		{"source identity", fitting("", "        source_identity: sub\n"), []string{"source_identity:"}, gitlab, ""},
		{"session name", fitting("    session_name: x\n", ""), []string{"session_name:"}, gitlab, ""},
		{"duration", fitting("    duration: 2h\n", ""), []string{"duration:"}, gitlab, ""},
		{"requests", fitting("    requests_per_second: 9\n", ""), []string{"requests_per_second:"}, gitlab, ""},
		{"classic roles", fitting("    classic: true\n    classic_roles: ["+appRole+"]\n", ""), []string{"classic_roles:"}, `"AllowClassicFlow":true`, ""},
		{"the basic flow, where another provider has rules", fitting("    classic: true\n", rulesOf(main)+"      - provider: mirror.example.com\n"), []string{"classic:"}, `"AllowClassicFlow":true`, ""},
		{"an issuer of another URL", strings.Replace(fitting("", "        issuer: gitlab\n"), "provider: "+gitlab, "provider: other.example.com", 1), []string{"its tokens are signed by https://gitlab.example.com/ci"}, "other.example.com", ""},
		{"a long provider", strings.ReplaceAll(fitting("", ""), gitlab, gitlab+"/"+strings.Repeat("x", 90)), []string{"its ARN has 152 characters"}, `"OpenIdConnectProviderARNs":[]`, gitlab},
		{"a deny rule", deny(`{name: no, effect: deny, match: {ref: x}}`)(fitting("", "")), []string{`the deny rule "no"`}, gitlab, ""},
		{"a deny rule with when", deny(`{name: no, effect: deny, issuer: gitlab, when: "true"}`)(fitting("", "")), []string{`the deny rule "no"`}, gitlab, ""},
		{"a deny rule for another issuer", deny(`{name: no, effect: deny, issuer: github, match: {ref: refs/heads/x}}`)(fitting("", "")), nil, gitlab, ""},
		{"an allow rule", deny(`{name: yes, match: {ref: x}, aws: {roles: ["` + appRole + `"]}}`)(fitting("", "")), nil, gitlab, ""},
		{"only", strings.ReplaceAll(fitting("", ""), "provider: "+gitlab, "provider: "+github), []string{"only: repository_owner of the issuer github"}, github, ""},
		{"only, which every rule asks for", onlyBy("equals: octo-org", "deny"), nil, github, ""},
		{"only, which the rules ask for with another value", onlyBy("equals: other-org", "deny"), []string{"only:"}, github, ""},
		{"only, which a prefix does not ask for", onlyBy("starts_with: octo-org", "deny"), []string{"only:"}, github, ""},
		{"only, which the default role does not ask for", onlyBy("equals: octo-org", "default_role"), []string{"only:"}, github, ""},
		{"only with a star, which a prefix asks for", strings.Replace(strings.ReplaceAll(onlyBy("starts_with: octo-org/octo", "deny"), "claim: repository_owner", "claim: repository"), "only: {repository_owner: octo-org}", `only: {repository: "octo-org/*"}`, 1), nil, github, ""},
		{"same", same(fitting("    classic: true\n", "")), nil, `"AllowClassicFlow":true`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := parse(t, test.text)
			out, found := cognito.Export(cfg, &cfg.Pools[0])
			all := unfits(found)
			for _, want := range test.says {
				if !strings.Contains(all, want) {
					t.Errorf("no %q in\n%s", want, all)
				}
			}
			if len(found) != len(test.says) {
				t.Errorf("expected %d, found\n%s", len(test.says), all)
			}
			for _, u := range found {
				if u.Pos.Line == 0 {
					t.Errorf("no place: %s", u.What)
				}
			}
			text, err := json.Marshal(out.Calls(false))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), test.left) || test.gone != "" && strings.Contains(string(text), test.gone) {
				t.Errorf("found %s\nexpected %q and no %q", text, test.left, test.gone)
			}
		})
	}
}

// onlyBy is a pool for GitHub, whose issuer has only, with one rule.
func onlyBy(comparison, noMatch string) string {
	return configured(fmt.Sprintf(`pools:
  - id: %s
    account: "111111111111"
    default_role: %s
    providers:
      - provider: %s
        rules:
          - {claim: repository_owner, %s, role: %q}
        no_match: %s
`, poolID, appRole, github, comparison, appRole, noMatch))
}

// TestExportManyProviders: Cognito takes the rules of ten providers. The others
// are left out, since without rules they would get the default role.
func TestExportManyProviders(t *testing.T) {
	var issuers, providers strings.Builder
	for i := range 12 {
		fmt.Fprintf(&issuers, "  i%d: {url: https://i%d.example.com, audiences: [a]}\n", i, i)
		fmt.Fprintf(&providers, "      - provider: i%d.example.com\n", i)
		if i > 0 {
			fmt.Fprintf(&providers, "        rules: [{claim: ref, equals: x, role: %q}]\n", appRole)
		}
	}
	cfg := parse(t, strings.Replace(configured(fmt.Sprintf("pools:\n  - id: %s\n    account: \"111111111111\"\n    default_role: %s\n    providers:\n%s", poolID, appRole, providers.String())), "rules: []", issuers.String()+"rules: []", 1))
	out, found := cognito.Export(cfg, &cfg.Pools[0])
	if len(out.Providers) != 11 || len(found) != 1 || !strings.Contains(found[0].What, "more than 10 providers") {
		t.Errorf("%d providers, %s", len(out.Providers), unfits(found))
	}
}

func TestCallsThatCreate(t *testing.T) {
	cfg := parse(t, fitting("", ""))
	out, _ := cognito.Export(cfg, &cfg.Pools[0])
	for i, call := range out.Calls(true) {
		text, err := json.Marshal(call)
		if err != nil || strings.Contains(string(text), poolID) || i == 0 != (call.Operation == "create-identity-pool") || call.Region != "eu-central-1" {
			t.Errorf("found %s, %v", text, err)
		}
	}
}

// back imports what was exported, by the calls and by the template.
func back(t testing.TB, out cognito.Exported, cfg *config.Config) (calls, template cognito.Imported) {
	t.Helper()
	var b bytes.Buffer
	for _, call := range out.Calls(false) {
		if err := json.NewEncoder(&b).Encode(call); err != nil {
			t.Fatal(err)
		}
	}
	calls = cognito.Import([]cognito.File{{Name: "f.json", Data: b.Bytes()}}, cognito.Options{Known: cfg.Issuers})
	text, err := cognito.Template([]cognito.Exported{out})
	if err != nil {
		t.Skip(err)
	}
	var made struct{ Outputs map[string]any }
	if err := json.Unmarshal(text, &made); err != nil {
		t.Fatal(err)
	}
	o := cognito.Options{Known: cfg.Issuers, Account: out.Account, PoolIDs: map[string]string{}}
	for id := range made.Outputs {
		o.PoolIDs[id] = out.ID
	}
	template = cognito.Import([]cognito.File{{Name: "f.json", Data: text}}, o)
	return calls, template
}

func roundTrip(t testing.TB, text string, cfg *config.Config) {
	t.Helper()
	out, found := cognito.Export(cfg, &cfg.Pools[0])
	if len(found) > 0 {
		return
	}
	want := shape(&cfg.Pools[0])
	calls, template := back(t, out, cfg)
	for name, i := range map[string]cognito.Imported{"calls": calls, "template": template} {
		if len(i.Problems)+len(i.Notes)+len(i.Issuers) > 0 || len(i.Pools) != 1 {
			t.Fatalf("%s: %v\n%s%v\n%s", name, i.Problems, notes(i), i.Issuers, text)
		}
		again := parse(t, strings.Split(text, "pools:\n")[0]+string(i.YAML()))
		if got := shape(&again.Pools[0]); got != want {
			t.Fatalf("%s: found    %s\nexpected %s\n%s", name, got, want, i.YAML())
		}
	}
}

// TestRoundTrip: what fits comes back as it was.
func TestRoundTrip(t *testing.T) {
	for name, text := range map[string]string{
		"one provider":         fitting("", ""),
		"rules":                onlyBy("equals: octo-org", "deny"),
		"no name, no tags":     strings.NewReplacer("    name: ci\n", "", "        tags: {project: project_path}\n", "").Replace(fitting("    classic: true\n", "")),
		"classic alone":        strings.Replace(fitting("    classic: true\n", ""), "    default_role: "+appRole+"\n", "", 1),
		"another partition":    strings.NewReplacer("eu-central-1:", "cn-north-1:", "arn:aws:", "arn:aws-cn:").Replace(fitting("", "")),
		"an ARN of its own":    strings.Replace(fitting("", ""), "provider: "+gitlab, "provider: arn:aws-us-gov:iam::111111111111:oidc-provider/"+gitlab, 1),
		"every match type":     fitting("", "        rules:\n          - {claim: a, equals: \"*\", role: \""+appRole+"\"}\n          - {claim: b, starts_with: \"${x}\", role: \""+appRole+"\"}\n          - {claim: c.d/e, contains: \"{{resolve\", role: \""+appRole+"\"}\n          - {claim: d, not_equal: \"\\u2028\\n\", role: \""+appRole+"\"}\n        no_match: default_role\n"),
		"two providers, sorts": fitting("", "        rules: [{claim: z, equals: z, role: \""+appRole+"\"}]\n      - provider: mirror.example.com\n        tags: {b: b, a: a}\n"),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := parse(t, text)
			if _, found := cognito.Export(cfg, &cfg.Pools[0]); len(found) > 0 {
				t.Fatalf("it does not fit: %s", unfits(found))
			}
			roundTrip(t, text, cfg)
		})
	}
}

// TestTemplateDynamicReference: CloudFormation would read the value elsewhere.
func TestTemplateDynamicReference(t *testing.T) {
	cfg := parse(t, fitting("", "        rules: [{claim: a, equals: \"x{{resolve:ssm:/y}}\", role: \""+appRole+"\"}]\n"))
	out, found := cognito.Export(cfg, &cfg.Pools[0])
	if _, err := cognito.Template([]cognito.Exported{out}); err == nil || len(found) > 0 {
		t.Errorf("found %v, %s", err, unfits(found))
	}
}

// TestTemplateNames: the resources of pools of like names are told apart.
func TestTemplateNames(t *testing.T) {
	out := func(name string) cognito.Exported { return cognito.Exported{ID: poolID, Name: name} }
	text, err := cognito.Template([]cognito.Exported{out("a"), out("A"), out("a-no2"), out("a.Roles"), out("-")})
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Resources map[string]any }
	if err := json.Unmarshal(text, &made); err != nil || len(made.Resources) != 10 {
		t.Errorf("%d resources, %v\n%s", len(made.Resources), err, text)
	}
}
