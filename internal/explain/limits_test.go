package explain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
)

// TestTagLimits asserts that tags which STS refuses are denied in both calls,
// whatever the policy allows.
func TestTagLimits(t *testing.T) {
	many := func(n int) []iam.Tag {
		var all []iam.Tag
		for i := range n {
			all = append(all, iam.Tag{Key: fmt.Sprintf("k%d", i), Value: "v"})
		}
		return all
	}
	one := func(key, value string) []iam.Tag { return []iam.Tag{{Key: key, Value: value}} }
	for _, tt := range []struct {
		name  string
		tags  []iam.Tag
		cause string // empty: allowed
	}{
		{"none", nil, ""},
		{"as many as there may be", many(50), ""},
		{"one too many", many(51), "STS takes 50"},
		{"one key in two cases", []iam.Tag{{Key: "Env", Value: "a"}, {Key: "env", Value: "b"}}, "case"},
		{"the longest value", one("env", strings.Repeat("ü", 256)), ""},
		{"a value too long", one("env", strings.Repeat("x", 257)), "257 characters"},
		{"the longest key", one(strings.Repeat("k", 128), "x"), ""},
		{"a key too long", one(strings.Repeat("k", 129), "x"), "129 characters"},
		{"an empty value", one("env", ""), ""},
		{"reserved", one("aws:x", "1"), "reserved"},
		{"reserved in any case", one("AWS:x", "1"), "reserved"},
		{"a character that is not taken", one("env", "a!b"), "characters that STS does not take"},
		{"a character that is not taken in a key", one("e!v", "a"), "characters that STS does not take"},
		{"a line's end", one("env", "a\n"), "characters that STS does not take"},
		{"other scripts", one("Übung", "日本 x"), ""},
	} {
		call := job(nil)
		call.Tags = tt.tags
		x := explain.WebIdentity(parse(t, statement(provider, `"sts:*"`, `{}`)), call)
		y, _ := explain.AssumeRole(parse(t, trustRole(roleA, `"sts:*"`, `{}`)), chained(func(c *explain.AssumeRoleCall) { c.Tags = tt.tags }))
		for _, got := range []explain.Explanation{x, y} {
			if tt.cause == "" && got.Decision != explain.Allowed {
				t.Errorf("%s: %s", tt.name, got.Cause)
			}
			if tt.cause != "" && (got.Decision != explain.Denied || got.Kind != explain.Tags || !strings.Contains(got.Cause, tt.cause) || got.Suggestion == "") {
				t.Errorf("%s: got %s, %s: %s", tt.name, got.Decision, got.Kind, got.Cause)
			}
		}
	}
}

func TestTransitiveWithoutTag(t *testing.T) {
	call := job(nil)
	call.TransitiveTagKeys = []string{"env"}
	if x := explain.WebIdentity(parse(t, statement(provider, `"sts:*"`, `{}`)), call); x.Decision != explain.Denied || x.Kind != explain.Tags {
		t.Errorf("got %s, %s: %s", x.Decision, x.Kind, x.Cause)
	}
}

// TestCallLimits has the parameters of a chained call that STS refuses.
func TestCallLimits(t *testing.T) {
	trust := parse(t, trustRole(roleA, `"sts:*"`, `{}`))
	for _, tt := range []struct {
		name   string
		change func(*explain.AssumeRoleCall)
		kind   explain.Kind // empty: allowed
	}{
		{"the shortest session", func(c *explain.AssumeRoleCall) { c.Duration = 15 * time.Minute }, ""},
		{"a session too short", func(c *explain.AssumeRoleCall) { c.Duration = 15*time.Minute - time.Second }, explain.Session},
		{"a session that ends before it begins", func(c *explain.AssumeRoleCall) { c.Duration = -5 * time.Minute }, explain.Session},
		{"an external id", func(c *explain.AssumeRoleCall) { c.ExternalID = "a:b/c-1" }, ""},
		{"an external id too short", func(c *explain.AssumeRoleCall) { c.ExternalID = "x" }, explain.SessionName},
		{"an external id with a space", func(c *explain.AssumeRoleCall) { c.ExternalID = "a b" }, explain.SessionName},
		{"an external id too long", func(c *explain.AssumeRoleCall) { c.ExternalID = strings.Repeat("x", 1225) }, explain.SessionName},
	} {
		x, _ := explain.AssumeRole(trust, chained(tt.change))
		if want := tt.kind != ""; want != (x.Decision == explain.Denied) || x.Kind != tt.kind {
			t.Errorf("%s: got %s, %s: %s", tt.name, x.Decision, x.Kind, x.Cause)
		}
	}
}

func TestTokenWithoutSubject(t *testing.T) {
	x := explain.WebIdentity(parse(t, trust(`{}`)), job(subject("")))
	if x.Decision != explain.Denied || !strings.Contains(x.Cause, "no claim sub") || strings.Contains(x.Suggestion, "remove") {
		t.Errorf("got %s: %s; %s", x.Decision, x.Cause, x.Suggestion)
	}
}
