package policytest_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/policytest"
	"github.com/stint-dev/stint/internal/source"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const configuration = `
issuer: https://stint.example.com
issuers:
  github:
    url: https://token.actions.githubusercontent.com
    audiences: [https://stint.example.com]
    only: {repository_owner_id: "65"}
rules:
  - name: deploy
    issuer: github
    match: {repository_id: "74", environment: prod}
    aws:
      roles: ["arn:aws:iam::111111111111:role/deploy", "arn:aws:iam::111111111111:role/team-{repository_name}"]
      duration: 1h
      session_name: "{repository_name}"
      tags: {repository: repository, env: environment}
      transitive: [repository]
      source_identity: actor_id
  - name: never
    effect: deny
    match: {event_name: pull_request_target}
`

const role = `{"Role": {"RoleName": "deploy", "Arn": "arn:aws:iam::111111111111:role/deploy", "Path": "/", "MaxSessionDuration": %d,
  "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
    "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/%s"},
    "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
    "Condition": {"StringLike": {"%s:sub": "%s"}}}]}}}`

// write puts files into a folder of the test.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a file of tests.
func run(t *testing.T, dir, tests string) []policytest.Result {
	t.Helper()
	file, err := policytest.Parse("test.yaml", []byte(tests))
	if err != nil {
		t.Fatal(err)
	}
	suite, err := policytest.Open(file, dir)
	if err != nil {
		t.Fatal(err)
	}
	return suite.Run(noon)
}

const jobs = `
config: stint.yaml
jobs:
  prod: {like: github-environment}
  main: {like: github-push}
  target: {like: github-pull-request-target, with: {environment: prod}}
  gitlab: {like: gitlab-branch}
`

func TestExpectations(t *testing.T) {
	stint := fmt.Sprintf(role, 3600, "stint.example.com", "stint.example.com", "github:repo:octo-org/octo-repo:environment:prod")
	dir := write(t, map[string]string{
		"stint.yaml":        configuration,
		"roles/deploy.json": stint,
		"short/deploy.json": strings.Replace(stint, "3600", "3599", 1),
		"other/deploy.json": strings.Replace(stint, "environment:prod", "environment:test", 1),
		"direct.json": fmt.Sprintf(role, 3600, "token.actions.githubusercontent.com", "token.actions.githubusercontent.com",
			"repo:octo-org/octo-repo:environment:*"),
	})
	for _, test := range []struct {
		name, top, test string
		failure         string // what the failure says; empty: it passes
	}{
		{"allow", "", "job: prod, expect: allow", ""},
		{"allow denied", "", "job: main, expect: allow", "expected allow, found deny by the rules"},
		{"deny", "", "job: main, expect: deny", ""},
		{"deny allowed", "", "job: prod, expect: deny", "expected deny, found allow by the rule deploy"},
		{"the whole session", "", `job: prod, expect: {rule: deploy, role: "arn:aws:iam::111111111111:role/deploy", audience: sts.amazonaws.com,
			subject: "github:repo:octo-org/octo-repo:environment:prod", session_name: octo-repo, source_identity: "12", duration: 1h,
			tags: {repository: octo-org/octo-repo, env: prod, actor: null}, transitive: [repository]}`, ""},
		{"another rule", "", "job: prod, expect: {rule: plan}", "expected the rule plan, found deploy"},
		{"another role", "", "job: prod, expect: {role: x}", "expected the role x, found arn:aws:iam::111111111111:role/deploy"},
		{"another tag", "", "job: prod, expect: {tags: {env: test}}", "expected the tag env to be test, found prod"},
		{"no such tag", "", "job: prod, expect: {tags: {team: a}}", "expected the tag team to be a, found no such tag"},
		{"a tag too many", "", "job: prod, expect: {tags: {env: null}}", "expected no tag env, found prod"},
		{"other transitive tags", "", "job: prod, expect: {transitive: []}", "expected the transitive tags [], found [repository]"},
		{"another duration", "", "job: prod, expect: {duration: 30m}", "expected the duration 30m0s, found 1h0m0s"},
		{"a shorter request", "", "job: prod, duration: 30m, expect: {duration: 30m}", ""},
		{"another role asked for", "", `job: prod, role: "arn:aws:iam::111111111111:role/team-octo-repo", expect: {role: "arn:aws:iam::111111111111:role/team-octo-repo"}`, ""},
		{"a role of nobody", "", `job: prod, role: "arn:aws:iam::111111111111:role/x", expect: {decision: deny, reason: role_not_listed, by: rules}`, ""},
		{"a deny rule", "", "job: target, expect: {reason: deny_rule, rule: never, cause: rule_denies}", ""},
		{"another reason", "", "job: target, expect: {reason: no_rule_matched}", "expected the reason no_rule_matched, found deny_rule"},
		{"an issuer that is not ours", "", "job: gitlab, expect: {cause: not_ours}", ""},
		{"the trust policy too", "roles: roles", "job: prod, expect: allow", ""},
		{"the trust policy denies", "roles: other", "job: prod, expect: {decision: deny, by: trust}", ""},
		{"the trust policy denies what was to be allowed", "roles: other", "job: prod, expect: allow", "expected allow, found deny by the trust policy"},
		{"the role's sessions are shorter", "roles: short", "job: prod, expect: {by: trust, cause: session}", ""},
		{"without a broker", "", "job: prod, policy: direct.json, expect: allow", ""},
		{"without a broker denied", "", "job: main, policy: direct.json, expect: {cause: branch_subject}", ""},
		{"without a broker, the wrong cause", "", "job: main, policy: direct.json, expect: {cause: letter_case}", "expected the cause letter_case, found branch_subject"},
		{"a role by its name", "", "job: prod, policy: direct.json#deploy, expect: allow", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			results := run(t, dir, jobs+test.top+"\ntests:\n  - {name: x, "+test.test+"}\n")
			if len(results) != 1 {
				t.Fatalf("expected one result, found %d", len(results))
			}
			r := results[0]
			if r.Passed != (test.failure == "") || strings.Join(r.Failures, "; ") != test.failure {
				t.Errorf("passed %t, %q; expected %q\noutcome %+v", r.Passed, r.Failures, test.failure, r.Outcome)
			}
			if len(r.Outcome.Legs) == 0 {
				t.Error("the outcome is not explained")
			}
		})
	}
}

func TestPresets(t *testing.T) {
	for _, name := range policytest.Presets() {
		claims := known(t, fmt.Sprintf("jobs:\n  x: {like: %s}\n", name))
		for _, claim := range []string{"iss", "sub"} {
			if s, _ := claims[claim].(string); s == "" {
				t.Errorf("%s: no %s", name, claim)
			}
		}
	}
	for _, test := range []struct{ job, claim, want string }{
		{"{like: github-push}", "sub", "repo:octo-org/octo-repo:ref:refs/heads/main"},
		{"{like: github-push, with: {subject_form: ids}}", "sub", "repo:octo-org@65/octo-repo@74:ref:refs/heads/main"},
		{"{like: github-push, with: {repository: acme/app}}", "repository_owner", "acme"},
		{"{like: github-push, with: {repository: acme/app}}", "sub", "repo:acme/app:ref:refs/heads/main"},
		{"{like: github-push, with: {repository: acme/app}}", "workflow_ref", "acme/app/.github/workflows/deploy.yml@refs/heads/main"},
		{"{like: github-push, with: {repository_id: 75}}", "repository_id", "75"},
		{"{like: github-push, with: {sub: other}}", "sub", "other"},
		{"{like: github-push, with: {event_name: null}}", "event_name", ""},
		{"{like: github-environment, with: {environment: null}}", "sub", "repo:octo-org/octo-repo:ref:refs/heads/main"},
		{"{like: github-tag}", "ref_type", "tag"},
		{"{like: github-pull-request}", "sub", "repo:octo-org/octo-repo:pull_request"},
		{"{like: github-reusable-workflow}", "job_workflow_ref", "octo-org/workflows/.github/workflows/deploy.yml@refs/heads/main"},
		{"{like: gitlab-tag}", "sub", "project_path:octo-org/octo-repo:ref_type:tag:ref:v1.0.0"},
		{"{like: gitlab-branch, with: {project_path: a/b/c, ref: x}}", "sub", "project_path:a/b/c:ref_type:branch:ref:x"},
		{"{like: buildkite-branch, with: {build_branch: x}}", "sub", "organization:octo-org:pipeline:octo-repo:ref:refs/heads/x:commit:" + strings.Repeat("0", 40) + ":step:deploy"},
	} {
		got, _ := known(t, "jobs:\n  x: "+test.job+"\n")[test.claim].(string)
		if got != test.want {
			t.Errorf("%s: %s is %q, expected %q", test.job, test.claim, got, test.want)
		}
	}
}

func known(t *testing.T, text string) map[string]any {
	t.Helper()
	file, err := policytest.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := file.Known(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return all[0].Claims
}

func TestBrokenFiles(t *testing.T) {
	const top = "config: stint.yaml\njobs: {a: {like: github-push}}\ntests:\n"
	for _, test := range []struct {
		name, text string
		line       int
		says       string
	}{
		{"empty", "", 1, "expected one document"},
		{"a list", "[]", 1, "expected keys with values"},
		{"an unknown key", top + "  - {name: x, job: a, expects: allow}", 4, `unknown key "expects"`},
		{"an unknown job", top + "  - {name: x, job: b, expect: allow}", 4, `there is no job "b"`},
		{"an unknown preset", "jobs:\n  a: {like: github}", 2, `unknown preset "github"`},
		{"no claims", "jobs:\n  a: {with: {ref: x}}", 2, "expected one of like, claims and token, found 0"},
		{"two sources", "jobs:\n  a: {like: github-push, token: x}", 2, "found 2"},
		{"a preset with a bad change", "jobs:\n  a: {like: github-push, with: {ref: main}}", 2, "expected a full ref"},
		{"no name", top + "  - {job: a, expect: allow}", 4, "expected a name"},
		{"a name twice", top + "  - {name: x, job: a, expect: allow}\n  - {name: x, job: a, expect: allow}", 5, "stands twice"},
		{"no expectation", top + "  - {name: x, job: a}", 4, "expected expect"},
		{"nothing expected", top + "  - {name: x, job: a, expect: {}}", 4, "expected something to look at"},
		{"no such decision", top + "  - {name: x, job: a, expect: maybe}", 4, "expected allow, deny"},
		{"no such reason", top + "  - {name: x, job: a, expect: {reason: x}}", 4, "no_rule_matched"},
		{"a session of a denied job", top + "  - {name: x, job: a, expect: {decision: deny, role: x}}", 4, "a denied job has no session"},
		{"a cause of an allowed job", top + "  - {name: x, job: a, expect: {decision: allow, cause: audience}}", 4, "go with decision: deny"},
		{"a rule without a broker", top + "  - {name: x, job: a, policy: p, expect: {rule: x}}", 4, "there is no broker"},
		{"neither configuration nor policy", "jobs: {a: {like: github-push}}\ntests:\n  - {name: x, job: a, expect: allow}", 3, "expected the trust policy in policy"},
		{"tags that are none", top + "  - {name: x, job: a, expect: {tags: {}}}", 4, "expected tags, found none"},
		{"a claim that no such job has", "jobs:\n  a: {like: github-push, with: {enviroment: prod}}", 2, `has no claim "enviroment"`},
		{"a bad duration", top + "  - {name: x, job: a, duration: 1 h, expect: allow}", 4, "expected a duration"},
		{"a bad time", top + "  - {name: x, job: a, time: noon, expect: allow}", 4, "expected a time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := policytest.Parse("test.yaml", []byte(test.text))
			var at *source.Error
			if !errors.As(err, &at) {
				t.Fatalf("expected a *source.Error, found %v", err)
			}
			if at.Position.Line != test.line || !strings.Contains(err.Error(), test.says) {
				t.Errorf("found %q, expected line %d and %q", err, test.line, test.says)
			}
		})
	}
}

func TestJUnit(t *testing.T) {
	dir := write(t, map[string]string{"stint.yaml": configuration})
	results := run(t, dir, jobs+"tests:\n  - {name: 'a <&> ]]> b', job: [prod, main], expect: allow}\n")
	var out bytes.Buffer
	if err := policytest.WriteJUnit(&out, results, func(policytest.Result) string { return "why\x1b[2J <&>" }); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.NewDecoder(io.TeeReader(&out, io.Discard)).Decode(&got); err != nil {
		t.Fatalf("expected XML, found %v", err)
	}
	c := got.Suites[0].Cases
	if got.Tests != 2 || got.Failures != 1 || len(c) != 2 || c[0].Name != "a <&> ]]> b (prod)" || c[0].Failure != nil ||
		c[1].Failure == nil || c[1].Failure.Message != "expected allow, found deny by the rules" || c[1].Failure.Text != "why\uFFFD[2J <&>" {
		t.Errorf("found %+v", got)
	}
}

func TestDiffRules(t *testing.T) {
	dir := write(t, map[string]string{
		"old.yaml": configuration,
		"new.yaml": strings.NewReplacer("environment: prod", "ref: refs/heads/main", "duration: 1h", "duration: 2h", "env: environment", "event: event_name",
			"team-{", "crew-{").Replace(configuration),
	})
	before, err := policytest.OpenSide(filepath.Join(dir, "old.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := policytest.OpenSide(filepath.Join(dir, "new.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := policytest.Parse("test.yaml", []byte(strings.Replace(jobs, "config: stint.yaml\n", "", 1)+`
  tag: {like: github-environment, with: {ref: refs/tags/v1}}
  stranger: {like: github-push, with: {repository_owner_id: 66}}
`))
	if err != nil {
		t.Fatal(err)
	}
	known, err := file.Known(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := policytest.Diff(before, after, known, noon)
	var got []string
	for _, c := range d.Changes {
		name := c.Role[strings.LastIndexByte(c.Role, '/')+1:]
		got = append(got, fmt.Sprintf("%s %s %s %s", c.Kind, c.Job, name, strings.Join(c.Details, "; ")))
		if c.Kind == policytest.Loses && len(c.Why) == 0 {
			t.Errorf("the loss of %s is not explained", c.Job)
		}
	}
	want := []string{
		"gains main crew-octo-repo ",
		"gains prod crew-octo-repo ",
		"gains main deploy ",
		"loses tag deploy ",
		"loses prod team-octo-repo ",
		"loses tag team-octo-repo ",
		"changes prod deploy duration: 1h0m0s -> 2h0m0s; tag env: - prod; tag event: + push",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if same := policytest.Diff(before, before, known, noon); len(same.Changes) != 0 || same.Same == 0 {
		t.Errorf("a configuration differs from itself: %+v", same)
	}
}

func TestLog(t *testing.T) {
	record := func(verified bool, role string, claims map[string]any) *audit.Record {
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return &audit.Record{ID: "R", Verdict: audit.Denied, Asked: audit.Asked{Role: role},
			Caller: audit.Caller{Verified: verified, Repository: "octo-org/octo-repo", Ref: "refs/heads/main", Event: "push", Claims: text}}
	}
	var log policytest.Log
	for _, r := range []*audit.Record{
		record(true, "a", map[string]any{"ref": "x", "run_id": "1", "sha": "1"}),
		record(true, "b", map[string]any{"ref": "x", "run_id": "2", "sha": "2"}),
		record(true, "a", map[string]any{"ref": "x", "run_id": "3"}),
		record(true, "", map[string]any{"ref": "y"}),
		record(false, "a", map[string]any{"ref": "evil"}),
		{Verdict: audit.Denied, Caller: audit.Caller{Verified: true}},
	} {
		if err := log.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	jobs := log.Jobs()
	if len(jobs) != 2 || jobs[0].Count != 3 || jobs[1].Count != 1 || !slices.Equal(jobs[0].Asks, []policytest.Ask{{Role: "a"}, {Role: "b"}}) ||
		jobs[0].Name != "octo-org/octo-repo refs/heads/main push" || jobs[0].Claims["run_id"] != "3" || log.Without != 1 {
		t.Errorf("found %+v, %d without claims", jobs, log.Without)
	}
	if err := log.Add(&audit.Record{ID: "R7", Verdict: audit.Allowed, Caller: audit.Caller{Verified: true, Claims: []byte(`{"a":1,"a":2}`)}}); err == nil || !strings.Contains(err.Error(), "R7") {
		t.Errorf("expected an error that names the record, found %v", err)
	}
}

// TestLogKeepsWhatRulesRead: a claim that a rule looks at tells jobs apart, also
// where it differs from run to run.
func TestLogKeepsWhatRulesRead(t *testing.T) {
	dir := write(t, map[string]string{"stint.yaml": strings.Replace(configuration, "environment: prod", `job_workflow_sha: "a*"`, 1)})
	side, err := policytest.OpenSide(filepath.Join(dir, "stint.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	log := policytest.Log{Read: []*config.Config{side.Config}}
	for _, sha := range []string{"aa", "bb", "aa"} {
		if err := log.Add(&audit.Record{Verdict: audit.Denied, Caller: audit.Caller{Verified: true, Claims: []byte(`{"job_workflow_sha":"` + sha + `","run_id":"` + sha + `"}`)}}); err != nil {
			t.Fatal(err)
		}
	}
	if jobs := log.Jobs(); len(jobs) != 2 {
		t.Errorf("expected two jobs, found %+v", jobs)
	}
	if err := log.Add(&audit.Record{}); err == nil {
		t.Error("expected an error for what is no record")
	}
}

// sameName is a Terraform role of the name deploy with this subject.
func sameName(sub string) string {
	return `resource "aws_iam_role" "deploy" {
  name = "deploy"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect = "Allow", Action = "sts:AssumeRoleWithWebIdentity"
    Principal = { Federated = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com" }
    Condition = { StringLike = { "token.actions.githubusercontent.com:sub" = "` + sub + `" } }
  }] })
}
`
}

// TestRolesOfOneName: where several roles have a name, none is taken for
// another.
func TestRolesOfOneName(t *testing.T) {
	dir := write(t, map[string]string{
		"stint.yaml": configuration, "roles/a/r.tf": sameName("repo:nobody/x:*"), "roles/b/r.tf": sameName("repo:nobody/x:*"),
		"old/dev/r.tf": sameName("repo:nobody/x:*"), "old/prod/r.tf": sameName("repo:nobody/x:*"),
		"new/dev/r.tf": sameName("repo:*"), "new/prod/r.tf": sameName("repo:nobody/x:*"),
	})
	r := run(t, dir, jobs+"roles: roles\ntests:\n  - {name: x, job: prod, expect: allow}\n")[0]
	if r.Passed || !strings.Contains(strings.Join(r.Failures, ""), "several roles have the name") {
		t.Errorf("passed %t, %q", r.Passed, r.Failures)
	}
	var sides []*policytest.Side
	for _, name := range []string{"old", "new"} {
		side, err := policytest.OpenSide(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sides = append(sides, side)
	}
	d := policytest.Diff(sides[0], sides[1], []policytest.Known{{Name: "push", Claims: known(t, "jobs: {x: {like: github-push}}")}}, noon)
	if len(d.Changes) != 1 || d.Changes[0].Kind != policytest.Gains || !strings.Contains(d.Changes[0].Role, "dev/r.tf") {
		t.Errorf("found %+v", d.Changes)
	}
}

// TestUnknownOnBothSides: what is not known and did not change is no difference.
func TestUnknownOnBothSides(t *testing.T) {
	open := "variable \"sub\" {}\n" + sameName("${var.sub}")
	dir := write(t, map[string]string{"old/r.tf": open, "new/r.tf": open, "other/r.tf": strings.Replace(open, `"${var.sub}"`, `"${var.sub}x"`, 1)})
	var sides []*policytest.Side
	for _, name := range []string{"old", "new", "other"} {
		side, err := policytest.OpenSide(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sides = append(sides, side)
	}
	jobs := []policytest.Known{{Name: "push", Claims: known(t, "jobs: {x: {like: github-push}}")}}
	if d := policytest.Diff(sides[0], sides[1], jobs, noon); len(d.Changes) != 0 {
		t.Errorf("found %+v", d.Changes)
	}
	if d := policytest.Diff(sides[0], sides[2], jobs, noon); d.Count(policytest.Unsure) != 1 {
		t.Errorf("found %+v", d.Changes)
	}
}

// FuzzParse asserts that what is accepted can be run, and that a mistake is
// told with a place in the file.
func FuzzParse(f *testing.F) {
	f.Add([]byte(jobs + "tests:\n  - {name: x, job: prod, expect: {tags: {a: null}}}\n"))
	f.Add([]byte("jobs: {a: {claims: {iss: x, n: 1.5e3, l: [1, {a: b}]}}}"))
	f.Add([]byte("tests: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := policytest.Parse("f.yaml", data)
		if err != nil {
			var at *source.Error
			if !errors.As(err, &at) || at.Position.File != "f.yaml" {
				t.Fatalf("expected an error with a place, found %v", err)
			}
			return
		}
		for _, test := range file.Tests {
			for _, name := range test.Jobs {
				if !slices.ContainsFunc(file.Jobs, func(j policytest.Job) bool { return j.Name == name }) {
					t.Fatalf("the test %q has a job that is not there: %q", test.Name, name)
				}
			}
			if test.Expect.Decision == "" {
				t.Fatalf("the test %q expects nothing", test.Name)
			}
		}
		for _, job := range file.Jobs {
			if job.ClaimsFile == "" && job.TokenFile == "" {
				if _, err := (&policytest.File{Jobs: []policytest.Job{job}}).Known("."); err != nil {
					t.Fatalf("the job %q was accepted and cannot be made: %v", job.Name, err)
				}
			}
		}
	})
}
