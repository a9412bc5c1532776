package explain_test

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/rules"
)

const brokerConfig = `
issuer: https://stint.example.com
issuers:
  github:
    url: https://token.actions.githubusercontent.com
    audiences: [https://stint.example.com]
    only: {repository_owner_id: "65"}
rules:
  - name: deploy
    match: {repository_id: "74", environment: prod, ref: [refs/heads/main, refs/tags/v*]}
    when: claims.actor_id != "7"
    aws:
      roles: ["arn:aws:iam::111111111111:role/deploy"]
      session_name: "{repository_name}-{run_id}"
      tags: {repository: repository}
      transitive: [repository]
      source_identity: actor_id
  - name: never-from-pull-requests
    effect: deny
    match: {event_name: pull_request*}
`

func TestRules(t *testing.T) {
	cfg, err := config.Parse("stint.yaml", []byte(brokerConfig))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	good := func(changes map[string]any) map[string]any {
		c := job(map[string]any{"aud": "https://stint.example.com", "environment": "prod", "run_id": "1", "sub": "repo:octo-org/octo-repo:environment:prod"}).Claims
		for name, v := range changes {
			if c[name] = v; v == "" {
				delete(c, name)
			}
		}
		return c
	}
	for _, tt := range []struct {
		name       string
		changes    map[string]any
		request    rules.Request
		decision   string
		kind       explain.Kind
		cause      string
		suggestion string
		caller     string
		failed     []string // keys of the closest rule's conditions that do not hold
	}{
		{name: "granted", decision: explain.Allowed, cause: "rule deploy gives"},
		{name: "another issuer", changes: map[string]any{"iss": "https://gitlab.com"}, decision: explain.Denied, kind: explain.NotOurs, cause: "gitlab.com", suggestion: "issuers"},
		{name: "another tenant", changes: map[string]any{"repository_owner_id": "66"}, decision: explain.Denied, kind: explain.NotOurs, cause: `"66"`, suggestion: "issuers.github.only", failed: []string{"repository_owner_id"}},
		{name: "another audience", changes: map[string]any{"aud": "sts.amazonaws.com"}, decision: explain.Denied, kind: explain.Audience, cause: "sts.amazonaws.com", suggestion: "https://stint.example.com", failed: []string{"aud"}},
		{name: "an audience that is not ours beside one that is", changes: map[string]any{"aud": []any{"https://stint.example.com", "https://other.example.com"}}, decision: explain.Denied, kind: explain.Audience, cause: "other.example.com", suggestion: "https://stint.example.com", failed: []string{"aud"}},
		{name: "all that fails of the closest rule", changes: map[string]any{"environment": "staging", "ref": "refs/heads/dev"}, decision: explain.Denied, kind: explain.RuleMismatch, cause: "environment", suggestion: `add "staging" to its environment and add "refs/heads/dev" to its ref`, failed: []string{"environment", "ref"}},
		{name: "an absent claim", changes: map[string]any{"environment": ""}, decision: explain.Denied, kind: explain.RuleMismatch, cause: "environment", suggestion: "take environment out", caller: "to the job in the workflow", failed: []string{"environment"}},
		{name: "an absent claim, and it is not alone", changes: map[string]any{"environment": "", "ref": "refs/heads/dev"}, decision: explain.Denied, kind: explain.RuleMismatch, cause: "environment", suggestion: "take environment out", caller: "add environment: prod to the job in the workflow, which alone will not do: ref must be", failed: []string{"environment", "ref"}},
		{name: "a condition in CEL", changes: map[string]any{"actor_id": "7"}, decision: explain.Denied, kind: explain.RuleMismatch, cause: "deploy", suggestion: "rule", failed: []string{"when"}},
		{name: "a deny rule", changes: map[string]any{"event_name": "pull_request_target"}, decision: explain.Denied, kind: explain.RuleDenies, cause: "never-from-pull-requests", suggestion: "narrow the deny rule never-from-pull-requests"},
		{name: "another role", request: rules.Request{Role: "arn:aws:iam::111111111111:role/admin"}, decision: explain.Denied, kind: explain.RuleMismatch, cause: "role/admin", suggestion: `add "arn:aws:iam::111111111111:role/admin" to its roles`, caller: "role/deploy", failed: []string{"role"}},
		{name: "a source identity that STS refuses", changes: map[string]any{"actor_id": "1"}, decision: explain.Denied, kind: explain.Session, cause: "source identity", suggestion: "id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, d := explain.Rules(cfg, set, good(tt.changes), tt.request)
			if x.Decision != tt.decision || x.Kind != tt.kind || d.Allowed() != (tt.decision == explain.Allowed) {
				t.Fatalf("got %s, %s: %s", x.Decision, x.Kind, x.Cause)
			}
			if !strings.Contains(x.Cause, tt.cause) || !strings.Contains(x.Suggestion, tt.suggestion) {
				t.Errorf("got cause %q and suggestion %q, want %q and %q in them", x.Cause, x.Suggestion, tt.cause, tt.suggestion)
			}
			if !strings.Contains(x.CallerChange, tt.caller) {
				t.Errorf("got caller change %q, want %q in it", x.CallerChange, tt.caller)
			}
			if tt.failed == nil {
				return
			}
			var failed []string
			for _, c := range x.Statements[x.Closest].Conditions {
				if !c.Matched {
					failed = append(failed, c.Key)
				}
			}
			if strings.Join(failed, " ") != strings.Join(tt.failed, " ") {
				t.Errorf("failed: got %v, want %v", failed, tt.failed)
			}
		})
	}

	t.Run("the stint token of a grant", func(t *testing.T) {
		_, d := explain.Rules(cfg, set, good(nil), rules.Request{})
		g, _ := d.Grant()
		c, err := explain.ReadToken(explain.StintToken(cfg.Issuer, g))
		if err != nil || len(c.Tags) != 1 || c.Tags[0] != (iam.Tag{Key: "repository", Value: "octo-org/octo-repo"}) ||
			strings.Join(c.Transitive, " ") != "repository" || c.SourceIdentity != "12" || strings.Join(c.Roles, " ") != g.Role() {
			t.Errorf("got %+v, %v", c, err)
		}
	})
}
