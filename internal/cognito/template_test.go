package cognito_test

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/cognito"
	"github.com/stint-dev/stint/internal/config"
)

const stack = `AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Main: {Type: String, Default: refs/heads/main}
Resources:
  GitHub:
    Type: AWS::IAM::OIDCProvider
    Properties:
      Url: https://token.actions.githubusercontent.com
      ClientIdList: [cognito-identity.amazonaws.com]
  App:
    Type: AWS::IAM::Role
    Properties: {RoleName: app, Path: /ci/}
  Pool:
    Type: AWS::Cognito::IdentityPool
    Properties:
      IdentityPoolName: ci
      AllowUnauthenticatedIdentities: false
      AllowClassicFlow: "true"
      OpenIdConnectProviderARNs: [!Ref GitHub]
  Roles:
    Type: AWS::Cognito::IdentityPoolRoleAttachment
    Properties:
      IdentityPoolId: !Ref Pool
      Roles: {authenticated: !GetAtt App.Arn}
      RoleMappings:
        github:
          IdentityProvider: !GetAtt GitHub.Arn
          Type: Rules
          AmbiguousRoleResolution: AuthenticatedRole
          RulesConfiguration:
            Rules:
              - {Claim: ref, MatchType: Equals, Value: !Ref Main, RoleARN: !Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/app"}
  Tags:
    Type: AWS::Cognito::IdentityPoolPrincipalTag
    Properties:
      IdentityPoolId: !GetAtt Pool.Id
      IdentityProviderName: !Sub arn:aws:iam::${AWS::AccountId}:oidc-provider/token.actions.githubusercontent.com
      PrincipalTags: {repo: repository}
`

func deployed(t testing.TB) cognito.Options {
	o := known(t)
	o.Account, o.PoolIDs = "111111111111", map[string]string{"Pool": poolID}
	return o
}

func TestTemplate(t *testing.T) {
	const want = poolID + ` "ci" 111111111111 classic=true default="arn:aws:iam::111111111111:role/ci/app" session="CognitoIdentityCredentials" 1h0m0s
  ` + github + " " + provider + ` github default=true rules=[{"ref" "Equals" "refs/heads/main" "` + appRole + `"}]
    "repo": "repository"
`
	i := cognito.Import([]cognito.File{{Name: "stack.yaml", Data: []byte(stack)}}, deployed(t))
	pools := imported(t, i)
	if len(pools) != 1 || len(i.Notes) > 0 {
		t.Fatalf("%d pools, %s", len(pools), notes(i))
	}
	if got := shape(&pools[0]); got != want {
		t.Errorf("found    %s\nexpected %s", got, want)
	}
}

// TestTemplateJoins: what a template makes and what the command line prints of
// the deployed pool are one.
func TestTemplateJoins(t *testing.T) {
	before, _, _ := strings.Cut(stack, "  Roles:\n")
	o := deployed(t)
	i := cognito.Import([]cognito.File{{Name: "roles.json", Data: []byte(roles(""))}, {Name: "stack.yaml", Data: []byte(before)}}, o)
	if pools := imported(t, i); len(pools) != 1 || pools[0].DefaultRole.Value != appRole || pools[0].Name != "ci" {
		t.Errorf("found %+v", pools)
	}
}

// TestTemplateAudiences: the client ids of the template's own provider are the
// audiences of a new issuer.
func TestTemplateAudiences(t *testing.T) {
	o := deployed(t)
	o.Known = nil
	i := cognito.Import([]cognito.File{{Name: "stack.yaml", Data: []byte(stack)}}, o)
	if len(i.Issuers) != 1 || i.Issuers[0].Name != "github" || !i.Issuers[0].Shared || len(i.Issuers[0].Audiences) != 1 {
		t.Errorf("found %+v", i.Issuers)
	}
	if all := notes(i); !strings.HasPrefix(all, "fill_in: issuers.github.only") || len(i.Notes) != 1 {
		t.Errorf("found %s", all)
	}
}

// TestAudiences: an issuer that is configured may lack what IAM accepts; client
// ids that differ from file to file are not known.
func TestAudiences(t *testing.T) {
	whole := pool("") + roles("") + tags(noTags)
	client := func(id string) string { return `{"Url": "` + github + `", "ClientIDList": ["` + id + `"]}` }
	if i := read(whole+client("cognito-identity.amazonaws.com"), known(t)); len(i.Notes) > 0 {
		t.Errorf("found %s", notes(i))
	}
	if i := read(whole+client("old"), known(t)); !strings.HasPrefix(notes(i), `fill_in: issuers.github.audiences lacks ["old"]`) {
		t.Errorf("found %s", notes(i))
	}
	for _, text := range []string{whole, whole + client("a") + client("b"), whole + client("*")} {
		i := read(text, cognito.Options{})
		if len(i.Issuers) != 1 || len(i.Issuers[0].Audiences) > 0 || !strings.Contains(notes(i), "fill_in: issuers.github.audiences: the files do not tell") {
			t.Errorf("found %+v, %s", i.Issuers, notes(i))
		}
	}
}

// TestIssuerNames: each new issuer has a name of its own that stint.yaml takes.
func TestIssuerNames(t *testing.T) {
	var list []string
	for _, name := range []string{"gitlab.com", "gitlab.example.com/a", "gitlab.example.com/b", "1.2", "a-very-long-name-of-a-host-that-goes-on.example.com", "token.actions.githubusercontent.com/octo-org"} {
		list = append(list, `"arn:aws:iam::111111111111:oidc-provider/`+name+`"`)
	}
	i := read(strings.Replace(pool(""), `"`+provider+`"`, strings.Join(list, ", "), 1)+roles(""), cognito.Options{Known: parse(t, strings.Replace(configured(""), "gitlab: ", "gitlab-example-com: ", 1)).Issuers})
	var names []string
	for _, issuer := range i.Issuers {
		names = append(names, issuer.Name)
	}
	if got, want := strings.Join(names, " "), "gitlab gitlab-example-com-2 gitlab-example-com-3 issuer a-very-long-name-of-a-host-t github-2"; got != want || len(i.Problems) > 0 {
		t.Errorf("found    %s\nexpected %s\n%v", got, want, i.Problems)
	}
}

// TestTemplateUnknown: what only a deployment tells is named and left empty, and
// a broker refuses the result.
func TestTemplateUnknown(t *testing.T) {
	for _, test := range []struct {
		name, old, new string
		says           []string
		pools          int
	}{
		{"a parameter without a default", ", Default: refs/heads/main", "", []string{"stack.yaml:32:17: " + poolID + ": providers[0].rules[0] is not known: expected a rule with Claim"}, 1},
		{"a role whose name CloudFormation makes", "RoleName: app, ", "", []string{"default_role is not known: !GetAtt App.Arn"}, 1},
		{"a provider of another stack", "[!Ref GitHub]", "[!ImportValue github-provider]", []string{"providers is not known: Fn::ImportValue github-provider"}, 1},
		{"providers of a parameter", "[!Ref GitHub]", "!Split [',', !ImportValue providers]", []string{"providers is not known: OpenIdConnectProviderARNs"}, 1},
		{"a flag of another stack", `AllowClassicFlow: "true"`, "AllowClassicFlow: !ImportValue classic", []string{"classic is not known: Fn::ImportValue classic"}, 1},
		{"the mapping of another stack's provider", "IdentityProvider: !GetAtt GitHub.Arn", "IdentityProvider: !ImportValue github-provider", []string{"providers is not known: the provider of a role mapping"}, 1},
		{"tags of another stack's provider", "IdentityProviderName: !Sub arn:aws:iam::${AWS::AccountId}:oidc-provider/token.actions.githubusercontent.com", "IdentityProviderName: !ImportValue p", []string{"which provider the principal tags are of"}, 1},
		{"roles of a pool of another stack", "IdentityPoolId: !Ref Pool", "IdentityPoolId: !ImportValue pool", []string{"Roles: it is not known which pool"}, 1},
		{"roles of no pool", "      IdentityPoolId: !Ref Pool\n", "", []string{"Roles: no IdentityPoolId"}, 1},
		{"a mistake in the template", "!Ref Main", "!Ref Nothing", []string{`there is no parameter and no resource "Nothing"`, "expected a rule with Claim"}, 1},
		{"not YAML", "Resources:", "Resources: [", []string{"not YAML"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(stack, test.old, test.new, 1)
			i := cognito.Import([]cognito.File{{Name: "stack.yaml", Data: []byte(text)}}, deployed(t))
			var found []string
			for _, err := range i.Problems {
				found = append(found, err.Error())
			}
			for _, want := range test.says {
				if !strings.Contains(strings.Join(found, "\n"), want) {
					t.Errorf("no %q in %q", want, found)
				}
			}
			if len(i.Pools) != test.pools && !strings.Contains(notes(i), "the pool itself") {
				t.Errorf("found %d pools, expected %d", len(i.Pools), test.pools)
			}
			_, err := config.Parse("stint.yaml", []byte(configured(string(i.YAML()))))
			if err == nil == (!i.Complete() && len(i.Pools) > 0) {
				t.Errorf("complete: %v, %v\n%s", i.Complete(), err, i.YAML())
			}
		})
	}
	for name, o := range map[string]cognito.Options{
		"Pool: id is not known":                          {Account: "111111111111"},
		poolID + ": account is not known":                {PoolIDs: map[string]string{"Pool": poolID}},
		`no template has a pool "Other"`:                 {PoolIDs: map[string]string{"Other": poolID}},
		poolID + ": default_role is not known: !GetAtt ": {PoolIDs: map[string]string{"Pool": poolID}},
	} {
		i := cognito.Import([]cognito.File{{Name: "stack.yaml", Data: []byte(stack)}}, o)
		found := false
		for _, err := range i.Problems {
			found = found || strings.Contains(err.Error(), name)
		}
		if !found || i.Complete() {
			t.Errorf("expected %q, found %v", name, i.Problems)
		}
	}
}

// TestMerge: every byte of the file stays, and the broker takes the result.
func TestMerge(t *testing.T) {
	base := configured("")
	other := strings.ReplaceAll(base, "rules: []\n", "rules: []   # none yet\n# the end\n")
	listed := base + "pools:\n  # ours\n- id: eu-central-1:11111111-1111-1111-1111-111111111111\n  account: \"111111111111\"\n  classic: true\n  providers: [{provider: mirror.example.com}]\n"
	between := strings.Replace(listed, "rules: []\n", "", 1) + "\n# the rules\nrules:\n- name: never\n  effect: deny\n  when: |+\n    claims.ref != \"x\" &&\n\n    true\n\n"
	text := pool("") + roles("") + tags(noTags)
	onGitLab := strings.ReplaceAll(text, github, "gitlab.example.org")
	clients := `{"Url": "gitlab.example.org", "ClientIDList": ["cognito"]}`
	for _, test := range []struct{ name, base, text, says string }{
		{"the first pools", base, text, ""},
		{"without a newline at the end", strings.TrimRight(base, "\n"), text, ""},
		{"with comments", other, text, ""},
		{"behind others", listed, text, ""},
		{"before the rules", between, text, ""},
		{"with an issuer", base, onGitLab + clients, ""},
		{"an issuer of which not all is known", base, onGitLab, "does not trust https://gitlab.example.org yet"},
		{"pools in brackets", base + "pools: []\n", text, "expected the pools on lines of their own"},
		{"pools in brackets on a line of their own", base + "pools:\n  [{id: \"eu-central-1:11111111-1111-1111-1111-111111111111\", account: \"111111111111\", classic: true, providers: [{provider: mirror.example.com}]}]\n", text, "expected the pools on lines of their own"},
		{"the pool is there", strings.Replace(listed, "11111111-1111-1111-1111-111111111111", "0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f", 1), text, "stands there already"},
		{"its name is there", strings.Replace(listed, "  classic", "  name: ci\n  classic", 1), text, "another pool of the name ci"},
		{"the file is broken", base + "x: 1\n", text, "x"},
		{"the pool is not complete", base, pool("") + tags(noTags), "not all of the pools is known"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := known(t)
			i := read(test.text, o)
			merged, err := i.Merge("stint.yaml", []byte(test.base))
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("found %v, expected %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			cfg := parse(t, string(merged))
			before := parse(t, test.base)
			if len(cfg.Pools) != len(before.Pools)+1 || cfg.Pools[len(cfg.Pools)-1].ID != poolID || len(cfg.Rules) != len(before.Rules) {
				t.Errorf("found\n%s", merged)
			}
			for n, r := range before.Rules {
				if cfg.Rules[n].When.Value != r.When.Value {
					t.Errorf("a rule has changed: %q", cfg.Rules[n].When.Value)
				}
			}
			// The old lines are all there, in their order.
			rest := string(merged)
			for line := range strings.Lines(test.base) {
				_, after, ok := strings.Cut(rest, strings.TrimRight(line, "\n"))
				if !ok {
					t.Fatalf("%q is lost in\n%s", line, merged)
				}
				rest = after
			}
		})
	}
}
