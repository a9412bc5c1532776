package inventory_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

func TestWorkflows(t *testing.T) {
	const job = "jobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: []\n"
	for name, c := range map[string]struct{ data, want string }{
		"one event":         {"on: push\n" + job, "workflow  token=no on:push [a token=no env= roles=[] uses=]"},
		"several":           {"on: [push, pull_request]\n" + job, "workflow  token=no on:push on:pull_request [a token=no env= roles=[] uses=]"},
		"an object":         {"on:\n  push: {branches: [main]}\n  workflow_run:\n" + job, "workflow  token=no on:push on:workflow_run [a token=no env= roles=[] uses=]"},
		"quoted":            {"'on': push\n" + job, "workflow  token=no on:push [a token=no env= roles=[] uses=]"},
		"as true":           {"true: push\n" + job, "workflow  token=no on:push [a token=no env= roles=[] uses=]"},
		"name":              {"name: Deploy\non: push\n" + job, "workflow Deploy token=no on:push [a token=no env= roles=[] uses=]"},
		"workflow writes":   {"on: push\npermissions: {id-token: write}\n" + job, "workflow  token=yes on:push [a token=yes env= roles=[] uses=]"},
		"workflow reads":    {"on: push\npermissions: {id-token: read}\n" + job, "workflow  token=no on:push [a token=no env= roles=[] uses=]"},
		"all":               {"on: push\npermissions: write-all\n" + job, "workflow  token=yes on:push [a token=yes env= roles=[] uses=]"},
		"read all":          {"on: push\npermissions: read-all\n" + job, "workflow  token=no on:push [a token=no env= roles=[] uses=]"},
		"none":              {"on: push\npermissions: {}\n" + job, "workflow  token=no on:push [a token=no env= roles=[] uses=]"},
		"job writes":        {"on: push\n" + strings.Replace(job, "    runs", "    permissions: {id-token: write}\n    runs", 1), "workflow  token=no on:push [a token=yes env= roles=[] uses=]"},
		"job replaces":      {"on: push\npermissions: write-all\n" + strings.Replace(job, "    runs", "    permissions: {contents: read}\n    runs", 1), "workflow  token=yes on:push [a token=no env= roles=[] uses=]"},
		"job takes all off": {"on: push\npermissions: write-all\n" + strings.Replace(job, "    runs", "    permissions: {}\n    runs", 1), "workflow  token=yes on:push [a token=no env= roles=[] uses=]"},
		"caller decides":    {"on: workflow_call\n" + job, "workflow  token=unknown on:workflow_call [a token=unknown env= roles=[] uses=]"},
		"caller is limited": {"on: workflow_call\npermissions: read-all\n" + job, "workflow  token=no on:workflow_call [a token=no env= roles=[] uses=]"},
		"environment":       {"on: push\n" + strings.Replace(job, "    runs", "    environment: prod\n    runs", 1), "workflow  token=no on:push [a token=no env=prod roles=[] uses=]"},
		"environment's name": {"on: push\n" + strings.Replace(job, "    runs", "    environment: {name: prod, url: https://x}\n    runs", 1),
			"workflow  token=no on:push [a token=no env=prod roles=[] uses=]"},
		"reusable": {"on: push\njobs:\n  a:\n    uses: octo-org/auto/.github/workflows/oidc.yml@main\n    permissions: {id-token: write}\n",
			"workflow  token=no on:push [a token=yes env= roles=[] uses=octo-org/auto/.github/workflows/oidc.yml@main]"},
		"role": {"on: push\njobs:\n  a:\n    steps:\n    - run: x\n    - uses: AWS-actions/configure-aws-credentials@v4\n      with: {role-to-assume: arn:aws:iam::111111111111:role/deploy, aws-region: x}\n",
			"workflow  token=no on:push [a token=no env= roles=[arn:aws:iam::111111111111:role/deploy] uses=]"},
		"jobs no object": {"on: push\njobs: [a]\n", "workflow  token=no on:push\nproblem w.yml:2:7: jobs: expected an object, found a list"},
		"job no object":  {"on: push\njobs: {a: 5}\n", "workflow  token=no on:push [a token=no env= roles=[] uses=]\nproblem w.yml:2:11: jobs.a: expected an object, found a number"},
		"CRLF and tabs":  {strings.ReplaceAll("on: push\n"+job, "\n", "\r\n"), "workflow  token=no on:push [a token=no env= roles=[] uses=]"},
		"not YAML":       {"on: push\njobs: {a\n", "problem"},
	} {
		t.Run(name, func(t *testing.T) {
			inv := read("w.yml", c.data)
			if c.want == "problem" {
				if len(inv.Problems) != 1 || len(inv.Workflows) != 0 {
					t.Errorf("found %v", summary(inv))
				}
				return
			}
			check(t, inv, strings.Split(c.want, "\n")...)
		})
	}
}

func TestWorkflowExpressions(t *testing.T) {
	inv := read("w.yml", `on: push
jobs:
  a:
    environment: ${{ inputs.env }}
    permissions: {id-token: "${{ 'write' }}"}
    steps:
      - uses: aws-actions/configure-aws-credentials@v4
        with:
          role-to-assume: arn:aws:iam::${{ vars.ACCOUNT }}:role/deploy
`)
	j := inv.Workflows[0].Jobs[0]
	if j.IDToken != source.Unknown || j.Environment.Equals("prod") != source.Unknown {
		t.Errorf("found %v and %v", j.IDToken, j.Environment)
	}
	role := j.RolesToAssume[0]
	if role.Prefix() != "arn:aws:iam::" || role.Suffix() != ":role/deploy" || role.String() != "arn:aws:iam::${{ vars.ACCOUNT }}:role/deploy" || role.Position.Line != 9 {
		t.Errorf("found %+v", role)
	}
}

func TestWorkflowPlaces(t *testing.T) {
	w := read("w.yml", "on:\n  push:\n  pull_request_target:\npermissions:\n  contents: read\n  id-token: write\njobs:\n  a: {}\n  b:\n    permissions: write-all\n").Workflows[0]
	at := func(line, column int) source.Position {
		return source.Position{File: "w.yml", Line: line, Column: column}
	}
	for what, c := range map[string][2]source.Position{
		"trigger":         {w.Triggers[1].Position, at(3, 3)},
		"job":             {w.Jobs[1].Position, at(9, 3)},
		"permissions":     {w.Jobs[0].Permissions, at(6, 3)},
		"own permissions": {w.Jobs[1].Permissions, at(10, 5)},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: expected %v, found %v", what, c[1], c[0])
		}
	}
}

func TestConfigurations(t *testing.T) {
	example, err := os.ReadFile("../../examples/stint.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, inv := range []*inventory.Inventory{
		read("stint.yaml", string(example)), read("other.conf", string(example)), folder(map[string]string{"ci/broker.yml": string(example)}),
	} {
		if len(inv.Configs) != 1 || len(inv.Problems) != 0 || inv.Configs[0].Config.Issuer != "https://stint.example.com" || inv.Configs[0].Root.Get("issuer").Position.Line == 0 {
			t.Errorf("found %v", summary(inv))
		}
	}
	check(t, read("stint.yaml", "issuer: http://stint.example.com\nissuers: {}\nrules: []\nrulez: 1\n"),
		"problem stint.yaml:1:9: issuer: plain http is for loopback addresses only, found \"http://stint.example.com\"; write https://stint.example.com",
		"problem stint.yaml:2:10: issuers: no issuers are configured; add the CI system whose tokens are accepted",
		"problem stint.yaml:4:1: unknown key \"rulez\"; did you mean rules?")
}

// One broken file never stops the others.
func TestMixedFolder(t *testing.T) {
	example, err := os.ReadFile("../../examples/stint.yaml")
	if err != nil {
		t.Fatal(err)
	}
	inv := folder(map[string]string{
		".github/workflows/a.yml":   "on: push\njobs: {a: {permissions: {id-token: write}}}\n",
		".github/workflows/bad.yml": "on: [\n",
		".github/dependabot.yml":    "version: 2\nupdates: []\n",
		"aws/role.json":             `{"Role":` + role(trust) + `}`,
		"aws/role-policy.json":      `{"RoleName":"deploy","PolicyName":"p","PolicyDocument":` + identity + `}`,
		"aws/broken.json":           `{"RoleDetailList":[`,
		"azure.json":                `[{"name":"n","issuer":"i","subject":"s","audiences":["a"]}]`,
		"stint.yaml":                string(example),
		"k8s/values.yaml":           "a: {{ .Values.x }}\n",
		"k8s/issuer.yaml":           "apiVersion: cert-manager.io/v1\nkind: Issuer\nissuer: x\nrules: []\n",
		"package-lock.json":         `{"packages":{}}`,
	})
	got := strings.Join(summary(inv), "\n")
	for _, want := range []string{
		"role " + roleARN + " name=deploy account=111111111111 trust=full +p=full identity?",
		"azure  open=false [n i s  [a]]", "workflow  token=no on:push [a token=yes", "config stint.yaml",
		"problem aws/broken.json:1:20: the JSON ends too early", "problem .github/workflows/bad.yml:",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %q in\n%s", want, got)
		}
	}
	if len(inv.Problems) != 2 || len(inv.Files) != 7 {
		t.Errorf("found %v %v", inv.Problems, inv.Files)
	}
}
