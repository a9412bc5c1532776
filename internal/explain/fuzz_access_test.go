package explain_test

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
)

// FuzzAction asserts of any two policies of a session, and anything that it
// asks for, that a denial has a cause and a change, that what is proposed as
// edits lets the session through, and that an allow has a policy that allows.
func FuzzAction(f *testing.F) {
	for _, s := range []string{
		"arn:aws:s3:::site/${aws:PrincipalTag/repository}/*", "arn:aws:s3:::site/*", "*", "arn:aws:s3:::Site/x", "arn:aws:s3:::site", "${aws:PrincipalTag/none}",
		"${aws:PrincipalTag/none, 'x'}", "${", "${*}", "", "arn:aws:s3:::site/${aws:username}",
	} {
		f.Add(s, "prod", object, uint8(0), uint8(0))
		f.Add(s, "${aws:PrincipalTag/none}", "arn:aws:s3:::site", uint8(1), uint8(3))
		f.Add("*", s, s, uint8(2), uint8(9))
	}
	operators := []string{"StringEquals", "StringLike", "StringNotEquals", "ArnLike", "StringEqualsIfExists", "ForAnyValue:StringEquals", "Null", "Bool"}
	keys := []string{"aws:PrincipalTag/env", "aws:PrincipalTag/none", "aws:SourceIp", "aws:PrincipalArn", "s3:prefix", "aws:RequestTag/x"}
	f.Fuzz(func(t *testing.T, resource, want, asked string, operator, shape uint8) {
		if !utf8.ValidString(resource+want+asked) || len(resource)+len(want)+len(asked) > 2000 {
			return
		}
		condition := map[string]any{operators[int(operator)%len(operators)]: map[string]any{keys[int(shape>>4)%len(keys)]: want}}
		make := func(effect, action string) (explain.Document, bool) {
			text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{
				map[string]any{"Effect": effect, "Action": action, "Resource": resource, "Condition": condition},
				map[string]any{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"},
			}})
			if err != nil {
				t.Fatal(err)
			}
			p, err := iam.ParsePolicy(text)
			return explain.Document{Name: effect + action, Policy: p}, err == nil
		}
		effect, action := "Allow", "s3:PutObject"
		if shape&2 != 0 {
			effect = "Deny"
		}
		if shape&4 != 0 {
			action = "s3:GetObject"
		}
		identity, ok := make(effect, action)
		if !ok {
			return
		}
		a := explain.Access{Session: chained(nil).Caller, Action: "s3:PutObject", Resource: asked, Identity: []explain.Document{identity}}
		if shape&1 != 0 {
			if boundary, ok := make("Allow", "s3:*"); ok {
				a.Boundary = []explain.Document{boundary}
			}
		}
		x := explain.Action(a)
		if x.Decision == explain.Allowed {
			if x.Closest < 0 || x.Statements[x.Closest].Effect != "Allow" || !x.Statements[x.Closest].Matched {
				t.Fatalf("allowed by nothing: %+v", x)
			}
			return
		}
		if x.Cause == "" || x.Suggestion == "" || x.Kind == "" || x.Layer == "" {
			t.Fatalf("a denial without a cause, a change or a layer: %+v", x)
		}
		for _, into := range []*[]explain.Document{&a.Identity, &a.Boundary} {
			for i, d := range *into {
				edits := slices.DeleteFunc(slices.Clone(x.Edits), func(e explain.Edit) bool { return e.Policy != d.Name })
				if len(edits) == 0 {
					continue
				}
				p, err := explain.Apply(d.Policy, edits)
				if err != nil {
					t.Fatalf("%+v: %v", edits, err)
				}
				(*into)[i].Policy = p
			}
		}
		if len(x.Edits) == 0 {
			return
		}
		if after := explain.Action(a); after.Decision != explain.Allowed && after.Layer == x.Layer {
			t.Fatalf("after %+v: by %s, %s: %s", x.Edits, after.Layer, after.Kind, after.Cause)
		}
	})
}

// FuzzAssumeRole asserts the same of a chained call and one trust policy.
func FuzzAssumeRole(f *testing.F) {
	for _, s := range []string{roleA, "arn:aws:iam::111111111111:root", "*", "111111111111", "arn:aws:sts::111111111111:assumed-role/ci/octo-repo-1", "arn:aws:iam::111111111111:role/*", ""} {
		f.Add(s, "prod", "env", uint8(0))
		f.Add(s, "${aws:PrincipalTag/env}", "project", uint8(7))
		f.Add(roleA, s, s, uint8(50))
	}
	keys := []string{"aws:RequestTag/project", "aws:PrincipalTag/env", "aws:PrincipalTag/none", "sts:ExternalId", "sts:RoleSessionName", "aws:TagKeys"}
	f.Fuzz(func(t *testing.T, principal, want, tag string, shape uint8) {
		if !utf8.ValidString(principal+want+tag) || len(principal)+len(want)+len(tag) > 2000 {
			return
		}
		actions := []string{"sts:AssumeRole"}
		if shape&1 != 0 {
			actions = append(actions, "sts:TagSession")
		}
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": actions,
			"Principal": map[string]any{"AWS": principal}, "Condition": map[string]any{"StringEquals": map[string]any{keys[int(shape>>3)%len(keys)]: want}}}}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := iam.ParsePolicy(text)
		if err != nil {
			return
		}
		call := chained(func(c *explain.AssumeRoleCall) {
			if shape&2 != 0 {
				c.Tags = []iam.Tag{{Key: tag, Value: "x"}}
			}
			if shape&4 != 0 {
				c.Caller.SourceIdentity = "12"
			}
		})
		x, s := explain.AssumeRole(p, call)
		if s.Role.ARN != roleB {
			t.Fatalf("a session of %s", s.Role.ARN)
		}
		if x.Decision == explain.Allowed {
			return
		}
		if x.Cause == "" || x.Suggestion == "" || x.Kind == "" {
			t.Fatalf("a denial without a cause or a change: %+v", x)
		}
		if len(x.Edits) == 0 || x.Layer != "" {
			return
		}
		changed, err := explain.Apply(p, x.Edits)
		if err != nil {
			t.Fatal(err)
		}
		if after, _ := explain.AssumeRole(changed, call); after.Decision != explain.Allowed && after.Layer == "" {
			t.Fatalf("after %+v: %s: %s", x.Edits, after.Kind, after.Cause)
		}
	})
}
