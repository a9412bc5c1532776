package policytest_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/policytest"
)

const diffHead = `issuer: https://stint.example.com
issuers:
  github: {url: https://token.actions.githubusercontent.com, audiences: [https://stint.example.com], only: {repository_owner_id: "65"}}
rules:
  - name: a
    match: {repository_id: "74"}
`

// a rule for the role plan with more said of it.
func planRule(more string) string {
	return diffHead + "    aws: {roles: [\"arn:aws:iam::111111111111:role/plan\"]" + more + "}\n"
}

const poolOf = `pools:
  - id: eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f
    name: gh
    account: "111111111111"
    default_role: arn:aws:iam::111111111111:role/%s
    classic: %s
    providers: [{provider: token.actions.githubusercontent.com}]
`

const mapped = `Mappings: {M: {prod: {sub: "%s"}}}
Parameters: {Env: {Type: String}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: plan
      Tags: [{Key: stack, Value: !Ref AWS::StackName}]
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Federated: arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com}
            Action: sts:AssumeRoleWithWebIdentity
            Condition: {StringLike: {"token.actions.githubusercontent.com:sub": %s}}
`

// TestDiffSees: no gain and no loss is passed over, whatever a job asks for and
// whatever of a role is known only after its deployment.
func TestDiffSees(t *testing.T) {
	narrow, wide := fmt.Sprintf(mapped, "repo:octo-org/octo-repo:ref:refs/heads/main", "!FindInMap [M, !Ref Env, sub]"), fmt.Sprintf(mapped, "repo:*", "!FindInMap [M, !Ref Env, sub]")
	known := func(sub string) string { return fmt.Sprintf(mapped, "x", sub) }
	for _, c := range []struct {
		name   string
		file   string
		before string
		after  string
		asks   []policytest.Ask
		want   string // kind and what its role is, of each change
	}{
		{"the same unknown", "t.yaml", narrow, narrow, nil, ""},
		{"what an unknown is made of", "t.yaml", narrow, wide, nil, "unknown plan"},
		{"a tag that no condition reads", "t.yaml", known("x"), known(`"repo:octo-org/octo-repo:*"`), nil, "gains plan"},
		{"the way of vending", "stint.yaml", planRule(""), planRule(", via: assume-role"), nil, "changes plan"},
		{"an external id", "stint.yaml", planRule(", via: assume-role, external_id: aa"), planRule(", via: assume-role, external_id: bb"), nil, "changes plan"},
		{"a new pool", "stint.yaml", planRule(""), planRule("") + fmt.Sprintf(poolOf, "admin", "false"), nil, "gains admin"},
		{"a pool's basic flow", "stint.yaml", planRule("") + fmt.Sprintf(poolOf, "admin", "false"), planRule("") + fmt.Sprintf(poolOf, "admin", "true"), nil, "gains "},
		{"another default role", "stint.yaml", planRule("") + fmt.Sprintf(poolOf, "a", "false"), planRule("") + fmt.Sprintf(poolOf, "b", "false"), nil, "gains b, loses a"},
		{"another audience of the issuer", "stint.yaml", planRule(""), strings.Replace(planRule(""), "[https://stint.example.com]", "[https://other.example.com]", 1), nil, "loses plan"},
		{"an audience asked for", "stint.yaml", planRule(""), strings.Replace(planRule(""), "    match", "    audiences: [sts.amazonaws.com]\n    match", 1), []policytest.Ask{{Audience: "vault"}}, "loses plan"},
		{"tags of role chaining", "stint.yaml", planRule(", tags: {r: repository}"), planRule(", tags: {r: repository}, chain: {tags: [r]}"), nil, "changes plan"},
		{"a job that names no role", "stint.yaml", planRule(""), strings.Replace(planRule(""), "  - name: a", "  - name: first\n    match: {event_name: push}\n    aws: {roles: [\"arn:aws:iam::111111111111:role/first\"], tags: {env: {claim: environment, required: true}}}\n  - name: a", 1), nil, "loses plan"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := write(t, map[string]string{"old/" + c.file: c.before, "new/" + c.file: c.after})
			var sides [2]*policytest.Side
			for i, name := range []string{"old", "new"} {
				side, err := policytest.OpenSide(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				sides[i] = side
			}
			job := policytest.Known{Name: "push", Asks: c.asks, Claims: map[string]any{
				"iss": "https://token.actions.githubusercontent.com", "sub": "repo:octo-org/octo-repo:ref:refs/heads/main",
				"repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner_id": "65", "event_name": "push", "ref": "refs/heads/main",
			}}
			var got []string
			for _, change := range policytest.Diff(sides[0], sides[1], []policytest.Known{job}, noon).Changes {
				got = append(got, string(change.Kind)+" "+change.Role[strings.LastIndexByte(change.Role, '/')+1:])
			}
			if found := strings.Join(got, ", "); found != c.want {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

// TestPassesForWantOfLooking: a test that nothing could fail is a mistake.
func TestPassesForWantOfLooking(t *testing.T) {
	head := "config: stint.yaml\njobs:\n  a: {like: github-push}\ntests:\n"
	for name, file := range map[string]string{
		"a role that is no ARN": head + "  - {name: t, job: a, role: plan, expect: deny}\n",
		"an empty policy":       head + "  - {name: t, job: a, policy: \"\", expect: deny}\n",
		"an empty decision":     head + "  - {name: t, job: a, expect: {decision: \"\", by: \"\"}}\n",
		"basic without a pool":  head + "  - {name: t, job: a, basic: true, expect: deny}\n",
		"a pool and a policy":   head + "  - {name: t, job: a, pool: gh, policy: p.json, expect: deny}\n",
	} {
		if _, err := policytest.Parse("t.yaml", []byte(file)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for name, job := range map[string]string{"no claims": "{claims: {}}", "claims within claims": "{claims: wrapped.json}"} {
		dir := write(t, map[string]string{"stint.yaml": planRule(""), "wrapped.json": `{"claims":{"iss":"x"}}`})
		file, err := policytest.Parse("t.yaml", []byte("config: stint.yaml\njobs:\n  a: "+job+"\ntests:\n  - {name: t, job: a, expect: deny}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := policytest.Open(file, dir); err == nil {
			t.Errorf("%s are taken", name)
		}
	}
}

// TestPathOfARole: a role of a template is the one of its name and path.
func TestPathOfARole(t *testing.T) {
	for path, found := range map[string]bool{"": true, "      Path: /team/\n": false, "      Path: !Ref Env\n": true} {
		template := strings.Replace(fmt.Sprintf(mapped, "x", `"github:repo:nobody/nothing:*"`), "      RoleName: plan\n", "      RoleName: plan\n"+path, 1)
		template = strings.ReplaceAll(template, "token.actions.githubusercontent.com", "stint.example.com")
		dir := write(t, map[string]string{"stint.yaml": planRule(""), "roles.yaml": template})
		file, err := policytest.Parse("t.yaml", []byte("config: stint.yaml\nroles: [roles.yaml]\njobs:\n  a: {like: github-push}\ntests:\n  - {name: t, job: a, expect: deny}\n"))
		if err != nil {
			t.Fatal(err)
		}
		suite, err := policytest.Open(file, dir)
		if err != nil {
			t.Fatal(err)
		}
		if r := suite.Run(noon)[0]; r.Passed != found || r.Outcome.RulesOnly == found {
			t.Errorf("path %q: passed %v by %s, rules only %v", path, r.Passed, r.Outcome.By, r.Outcome.RulesOnly)
		}
	}
}

// TestPoolTests: what a pool gives can be tested as what rules give.
func TestPoolTests(t *testing.T) {
	dir := write(t, map[string]string{"stint.yaml": planRule("") + fmt.Sprintf(poolOf, "admin", "true")})
	file, err := policytest.Parse("t.yaml", []byte(`config: stint.yaml
jobs:
  push: {like: github-push}
  gitlab: {like: gitlab-branch}
tests:
  - {name: enhanced, job: push, pool: gh, expect: {role: "arn:aws:iam::111111111111:role/admin", session_name: CognitoIdentityCredentials}}
  - {name: basic, job: push, pool: gh, basic: true, expect: {role: ""}}
  - {name: stranger, job: gitlab, pool: gh, expect: deny}
  - {name: another role, job: push, pool: gh, role: "arn:aws:iam::111111111111:role/plan", expect: {reason: role_not_listed}}
  - {name: no such pool, job: push, pool: other, expect: deny}
`))
	if err != nil {
		t.Fatal(err)
	}
	suite, err := policytest.Open(file, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range suite.Run(noon) {
		if !r.Passed {
			t.Errorf("%s: %v", r.Test, r.Failures)
		}
	}
}

// TestStrangersOfPresets: with another name a preset is somebody else.
func TestStrangersOfPresets(t *testing.T) {
	for preset, change := range map[string]string{
		"github-push": "repository_owner: evil", "gitlab-branch": "project_path: evil/thing", "buildkite-branch": "organization_slug: evil",
	} {
		file, err := policytest.Parse("t.yaml", []byte("jobs:\n  own: {like: "+preset+"}\n  stranger: {like: "+preset+", with: {"+change+"}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		known, err := file.Known(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"repository_owner_id", "namespace_id", "organization_id", "sub"} {
			if a, b := known[0].Claims[id], known[1].Claims[id]; a != nil && a == b {
				t.Errorf("%s with %s keeps %s %v", preset, change, id, a)
			}
		}
	}
}
