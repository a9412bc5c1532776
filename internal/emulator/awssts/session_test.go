package awssts_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/iam"
)

// nested and flat are the two forms of a token's tags.
func nested(tags map[string]any, transitive ...string) []any {
	return []any{tagsURL, map[string]any{"principal_tags": tags, "transitive_tag_keys": append([]string{}, transitive...)}}
}

func flat(tags map[string]string, transitive ...string) []any {
	var claims []any
	for key, value := range tags {
		claims = append(claims, tagsURL+"/principal_tags/"+key, value)
	}
	return append(claims, tagsURL+"/transitive_tag_keys", append([]string{}, transitive...))
}

func TestTagsInBothForms(t *testing.T) {
	w := newWorld(t)
	for name, claims := range map[string][]any{
		"nested": nested(map[string]any{"Env": []string{"prod"}, "team": []string{""}}, "Env"),
		"flat":   flat(map[string]string{"Env": "prod", "team": ""}, "Env"),
		"both":   append(nested(map[string]any{"Env": []string{"prod"}}, "Env"), tagsURL+"/principal_tags/team", ""),
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.expect(w.post(parameters(w.sign("ES256", set(w.claims(), claims...)))), 200, "", "")
			d := w.last()
			if got, want := fmt.Sprint(d.Tags, d.TransitiveTagKeys), fmt.Sprint([]iam.Tag{{Key: "Env", Value: "prod"}, {Key: "team"}}, []string{"Env"}); got != want {
				t.Errorf("expected %s, found %s", want, got)
			}
		})
	}
}

func TestTagsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	one := func(key, value string) []any { return nested(map[string]any{key: []string{value}}) }
	many := map[string]any{}
	for i := range 51 {
		many[fmt.Sprint("k", i)] = []string{"v"}
	}
	cases := map[string][]any{
		"no object":                  {tagsURL, "x"},
		"principal_tags no object":   {tagsURL, map[string]any{"principal_tags": []string{"x"}}},
		"value not in a list":        {tagsURL, map[string]any{"principal_tags": map[string]any{"k": "v"}}},
		"two values":                 nested(map[string]any{"k": []string{"a", "b"}}),
		"no value":                   nested(map[string]any{"k": []string{}}),
		"a number":                   nested(map[string]any{"k": []int{1}}),
		"flat, in a list":            {tagsURL + "/principal_tags/k", []string{"v"}},
		"flat, a number":             {tagsURL + "/principal_tags/k", 1},
		"51 tags":                    nested(many),
		"empty key":                  one("", "v"),
		"long key":                   one(strings.Repeat("k", 129), "v"),
		"long value":                 one("k", strings.Repeat("v", 257)),
		"a character":                one("k", "a,b"),
		"a character in the key":     one("k*", "v"),
		"reserved":                   one("AWS:x", "v"),
		"doubled in another case":    nested(map[string]any{"k": []string{"a"}, "K": []string{"b"}}),
		"doubled in both forms":      append(one("k", "v"), tagsURL+"/principal_tags/k", "v"),
		"transitive no list":         {tagsURL, map[string]any{"transitive_tag_keys": "k"}},
		"transitive a number":        {tagsURL + "/transitive_tag_keys", []int{1}},
		"transitive without its tag": nested(map[string]any{"k": []string{"v"}}, "other"),
	}
	for name, claims := range cases {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.expect(w.post(parameters(w.sign("ES256", set(w.claims(), claims...)))), 400, "InvalidIdentityToken", badTags)
		})
	}
	t.Run("at the limits", func(t *testing.T) {
		w := w.in(t)
		w.expect(w.post(parameters(w.sign("ES256", set(w.claims(), one(strings.Repeat("ü", 128), strings.Repeat("é ", 128))...)))), 200, "", "")
		delete(many, "k50")
		w.expect(w.post(parameters(w.sign("ES256", set(w.claims(), nested(many)...)))), 200, "", "")
	})
	for _, bad := range []any{"a", "with space", strings.Repeat("x", 65), 1} {
		w.expect(w.post(parameters(w.sign("ES256", set(w.claims(), "https://aws.amazon.com/source_identity", bad)))), 400, "InvalidIdentityToken", "source_identity passed in claim is not in correct format.")
	}
}

// Each of the three actions is asked for where it is needed, and named where
// it is denied.
func TestTrustPolicies(t *testing.T) {
	w := newWorld(t)
	role := func(name string) string { return "arn:aws:iam::" + account + ":role/" + name }
	tagged := nested(map[string]any{"env": []string{"prod"}})
	source := []any{"https://aws.amazon.com/source_identity", "octocat"}
	cases := []struct {
		name, role string
		claims     []any
		denied     string
	}{
		{"the subject is another's", deploy, []any{"sub", "github:repo:evil/repo:ref:refs/heads/main"}, "sts:AssumeRoleWithWebIdentity"},
		{"an audience that is registered but not trusted", deploy, []any{"aud", "configured"}, "sts:AssumeRoleWithWebIdentity"},
		{"no tags", role("untagged"), nil, ""},
		{"tags", role("untagged"), tagged, "sts:TagSession"},
		{"tags and source identity", role("untagged"), append(tagged, source...), "sts:TagSession"},
		{"source identity", role("untagged"), source, ""},
		{"source identity where only tags are allowed", role("anonymous"), append(tagged, source...), "sts:SetSourceIdentity"},
		{"tags where they are allowed", role("anonymous"), tagged, ""},
		{"request tag equals the role's", role("tagged"), tagged, ""},
		{"request tag differs from the role's", role("tagged"), nested(map[string]any{"env": []string{"dev"}}), "sts:AssumeRoleWithWebIdentity"},

		{"roles claim names it", role("pinned"), []any{"https://aws.amazon.com/roles", []string{deploy, role("pinned")}}, ""},
		{"roles claim as text", role("pinned"), []any{"https://aws.amazon.com/roles", deploy + ";" + role("pinned")}, ""},
		{"no roles claim", role("pinned"), nil, "sts:AssumeRoleWithWebIdentity"},
		{"roles claim names another", deploy, []any{"https://aws.amazon.com/roles", []string{role("pinned")}}, "sts:AssumeRoleWithWebIdentity"},
		{"roles claim names none", deploy, []any{"https://aws.amazon.com/roles", []string{}}, "sts:AssumeRoleWithWebIdentity"},
		{"roles claim with a wildcard", deploy, []any{"https://aws.amazon.com/roles", "arn:aws:iam::111111111111:role/*"}, "sts:AssumeRoleWithWebIdentity"},
		{"roles claim a number", deploy, []any{"https://aws.amazon.com/roles", 1}, "sts:AssumeRoleWithWebIdentity"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := w.in(t)
			a := w.post(parameters(w.sign("ES256", set(w.claims(), c.claims...)), "RoleArn", c.role))
			if c.denied == "" {
				w.expect(a, 200, "", "")
				return
			}
			w.expect(a, 403, "AccessDenied", "Not authorized to perform "+c.denied)
			d := w.last()
			if d.Detail == "" || d.Evaluation != nil && d.Evaluation.Denied != c.denied {
				t.Errorf("the decision does not say why: %+v", d)
			}
		})
	}
}

// The sizes that were captured from the service: 0, 13 and 300 characters of
// subject take 24, 25 and 34 % of the session token.
func TestSessionTokenSize(t *testing.T) {
	w := newWorld(t)
	role := "arn:aws:iam::" + account + ":role/untagged"
	for length, utilization := range map[int]int{0: 24, 13: 25, 300: 34} {
		a := w.post(parameters(w.sign("ES256", set(w.claims(), "sub", strings.Repeat("s", length))), "RoleArn", role))
		if a.Result.SessionTokenUtilization != utilization || a.Result.PackedPolicySize != 0 {
			t.Errorf("%d characters: expected %d %%, found %d %% and %d %% packed", length, utilization, a.Result.SessionTokenUtilization, a.Result.PackedPolicySize)
		}
	}

	tags := map[string]any{}
	for i := range 10 {
		tags[fmt.Sprintf("key%02d", i)] = []string{strings.Repeat("v", 200)}
	}
	a := w.post(parameters(w.sign("ES256", set(w.claims(), nested(tags)...))))
	w.expect(a, 200, "", "")
	if a.Result.PackedPolicySize == 0 || a.Result.SessionTokenUtilization < 90 {
		t.Errorf("found %d %% packed, %d %% in all", a.Result.PackedPolicySize, a.Result.SessionTokenUtilization)
	}
	tags["more"] = []string{strings.Repeat("v", 256)}
	w.expect(w.post(parameters(w.sign("ES256", set(w.claims(), nested(tags)...)))), 400, "PackedPolicyTooLarge", "Serialized token too large for session")
}
