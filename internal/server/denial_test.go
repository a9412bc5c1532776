package server_test

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/emulator/github"
)

// TestDenialIsExplained: one of our jobs is told by each door all that stood in
// its way and what would change it, and a stranger by none.
func TestDenialIsExplained(t *testing.T) {
	h := newHarness(t)
	token := h.sign(h.payload(github.Job{Environment: "dev", Ref: "refs/heads/feature"}), nil)
	_, _, denial := h.post("/token", exchangeForm(token)).oauth(t)
	said := text(denial)
	for _, want := range []string{`"closest":{`, `"operator":"match"`, `"key":"environment"`, `"actual":["dev"]`, `"suggestion":"in the rule `, `"warning":"every job gets in`} {
		if !strings.Contains(said, want) {
			t.Errorf("the token door does not say %s: %s", want, said)
		}
	}
	closest, _ := denial["closest"].(map[string]any)
	conditions, _ := closest["conditions"].([]any)
	held := 0
	for _, c := range conditions {
		if matched, _ := c.(map[string]any)["matched"].(bool); matched {
			held++
		}
	}
	if held == 0 || held == len(conditions) {
		t.Errorf("of %d conditions %d held: expected those that hold and those that do not", len(conditions), held)
	}
	if _, message := h.post("/aws/sts", stsForm(token)).sts(t); !strings.Contains(message, `expected environment to be `) ||
		!strings.Contains(message, ". Change: in the rule ") || !strings.Contains(message, "(record ") || strings.ContainsAny(message, "\r\n") {
		t.Errorf("the STS door says %q", message)
	}

	wrong := h.payload(github.Job{Environment: "prod"})
	wrong["aud"] = "https://other.example.com"
	_, _, denial = h.post("/token", exchangeForm(h.sign(wrong, nil))).oauth(t)
	if said := text(denial); !strings.Contains(said, `"key":"aud"`) || !strings.Contains(said, `"actual":["https://other.example.com"]`) {
		t.Errorf("of a wrong audience: %s", said)
	}

	stranger := h.payload(github.Job{Environment: "dev"})
	stranger["repository_owner_id"] = "66"
	raw := h.sign(stranger, nil)
	for path, form := range map[string]func(string) answer{
		"/token":   func(s string) answer { return h.post("/token", exchangeForm(s)) },
		"/aws/sts": func(s string) answer { return h.post("/aws/sts", stsForm(s)) },
	} {
		if a := form(raw); strings.Contains(a.body, "environment") || strings.Contains(a.body, "rule") || strings.Contains(a.body, "closest") {
			t.Errorf("%s told a stranger %s", path, a.body)
		}
	}
}
