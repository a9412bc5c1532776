package explain_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
)

// FuzzSuggestion asserts of any trust policy on a subject and a ref, and any
// call, that the explanation agrees with package iam, that a denied caller is
// told a cause and a change, and that the change lets the caller in, and without
// a warning no stranger.
func FuzzSuggestion(f *testing.F) {
	for _, s := range []string{
		"repo:octo-org/octo-repo:ref:refs/heads/main", "repo:octo-org/octo-repo:environment:prod", "repo:octo-org/octo-repo:pull_request",
		"repo:octo-org@65/octo-repo@74:ref:refs/heads/main", "repo:octo-org@*/octo-repo@*:*", "repo:github.com/octo-org/octo-repo:*",
		"repo:Octo-Org/*", "github:repo:octo-org/octo-repo:*", "*", "?", "${x}", "repo:a/b:${aws:userid}", "repo:/", "", "${*}",
	} {
		f.Add(s, "repo:octo-org/octo-repo:ref:refs/heads/main", uint8(0), uint8(0))
		f.Add("repo:octo-org/octo-repo:*", s, uint8(1), uint8(7))
		f.Add(s, s, uint8(2), uint8(3))
		f.Add(s, "repo:octo-org@65/octo-repo@74:pull_request", uint8(3), uint8(12))
	}
	f.Add("${X}", "", uint8(1), uint8(3))
	operators := []string{"StringEquals", "StringLike", "StringNotEquals", "StringNotLike", "StringEqualsIgnoreCase", "ArnLike", "NumericEquals", "Bool", "StringEqualsIfExists", "ForAllValues:StringLike", "ForAnyValue:StringEquals"}
	keys := []string{github + ":sub", github + ":aud", github + ":event_name", github + ":environment", "sts:RoleSessionName", github + ":repositry", "gitlab.com:sub"}
	f.Fuzz(func(t *testing.T, want, got string, operator, shape uint8) {
		if !utf8.ValidString(want) || !utf8.ValidString(got) || len(want)+len(got) > 2000 {
			return
		}
		key := keys[int(shape>>4)%len(keys)]
		condition := map[string]any{operators[int(operator)%len(operators)]: map[string]any{key: []string{want, "other"}}}
		if shape&1 != 0 {
			condition["Null"] = map[string]any{github + ":ref": "false"}
		}
		account := "111111111111"
		if shape&2 != 0 {
			account = "222222222222"
		}
		statement := map[string]any{"Effect": "Allow", "Principal": map[string]any{"Federated": "arn:aws:iam::" + account + ":oidc-provider/" + github},
			"Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}
		statements := []any{statement}
		if shape&4 != 0 {
			statements = append(statements, map[string]any{"Effect": "Deny", "Principal": "*", "Action": "*",
				"Condition": map[string]any{"StringNotLike": map[string]any{github + ":sub": want}}})
		}
		document, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		if err != nil {
			t.Fatal(err)
		}
		p, err := iam.ParsePolicy(document)
		if err != nil {
			return
		}
		call := job(nil)
		call.Claims["sub"] = got
		if shape&8 != 0 {
			call.Tags = []iam.Tag{{Key: "env", Value: "prod"}}
			call.SourceIdentity = "12"
		}

		x := explain.WebIdentity(p, call)
		allowed := iam.EvaluateWebIdentity(p, call).Allowed
		if allowed != (x.Decision == explain.Allowed) {
			t.Fatalf("got %s, and package iam allows: %v", x.Decision, allowed)
		}
		if allowed {
			return
		}
		if x.Cause == "" || x.Suggestion == "" || x.Kind == "" {
			t.Fatalf("a denial without a cause or a change: %+v", x)
		}
		if shape&4 == 0 && len(x.Edits) == 0 {
			t.Fatalf("no change for %s: %s\n%s", x.Kind, x.Cause, document)
		}
		if len(x.Edits) == 0 {
			return
		}
		letsIn(t, p, x, call)
		// A change without a warning lets in nobody of whom the policy says
		// nothing.
		stranger := job(map[string]any{"sub": "repo:evil/x:ref:refs/heads/evil", "repository": "evil/x", "repository_id": "1", "repository_owner": "evil",
			"repository_owner_id": "2", "ref": "refs/heads/evil", "actor": "evil", "actor_id": "3", "job_workflow_ref": "evil/x", "workflow": "evil"})
		if x.Warning != "" || got == stranger.Claims["sub"] {
			return
		}
		changed, err := explain.Apply(p, x.Edits)
		if err != nil {
			t.Fatal(err)
		}
		if iam.EvaluateWebIdentity(changed, stranger).Allowed && !iam.EvaluateWebIdentity(p, stranger).Allowed {
			t.Fatalf("%+v lets a stranger in, and nothing warns of it: %s\n%s", x.Edits, x.Cause, document)
		}
	})
}
