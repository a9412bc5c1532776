package iam_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stint-dev/stint/iam"
)

type callerJSON struct {
	ARN, Session, ID         string
	OwnTags, Tags            map[string]string
	Transitive               []string
	SourceIdentity, Provider string
	OrgID                    string
}

type sideJSON struct {
	Identity       []json.RawMessage
	Boundary       json.RawMessage
	Session        *[]json.RawMessage
	ServiceControl [][]json.RawMessage
}

func parsed(t testing.TB, document json.RawMessage) *iam.Policy {
	t.Helper()
	p, err := iam.ParsePolicy(document)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return p
}

func named(t testing.TB, documents []json.RawMessage) []iam.NamedPolicy {
	out := []iam.NamedPolicy{}
	for _, d := range documents {
		out = append(out, iam.NamedPolicy{Policy: parsed(t, d)})
	}
	return out
}

func tagList(m map[string]string) []iam.Tag {
	var tags []iam.Tag
	for _, k := range slices.Sorted(maps.Keys(m)) {
		tags = append(tags, iam.Tag{Key: k, Value: m[k]})
	}
	return tags
}

func (c callerJSON) caller(t testing.TB, s sideJSON) iam.Caller {
	out := iam.Caller{
		ARN: c.ARN, SessionName: c.Session, ID: c.ID, OwnTags: c.OwnTags, Tags: tagList(c.Tags), TransitiveTagKeys: c.Transitive,
		SourceIdentity: c.SourceIdentity, FederatedProvider: c.Provider, OrgID: c.OrgID,
	}
	out.Policies.Identity = named(t, s.Identity)
	if s.Boundary != nil {
		out.Policies.Boundary = &iam.NamedPolicy{Policy: parsed(t, s.Boundary)}
	}
	if s.Session != nil {
		out.Policies.Session = named(t, *s.Session)
	}
	for _, level := range s.ServiceControl {
		out.Policies.ServiceControl = append(out.Policies.ServiceControl, named(t, level))
	}
	return out
}

func cases(t testing.TB, name string, into any) {
	data, err := os.ReadFile("testdata/access/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// TestAuthorizeCorpus runs requests that several policies decide. Each verdict
// follows from the case's source.
func TestAuthorizeCorpus(t *testing.T) {
	var file struct {
		Cases []struct {
			Name, Why, Source string
			Caller            callerJSON
			sideJSON
			Action, Resource, ResourceAccount string
			ResourcePolicy                    json.RawMessage
			ResourceControl                   [][]json.RawMessage
			ResourceTags                      map[string]string
			Keys                              map[string][]string
			Want, Denied                      string
		}
	}
	cases(t, "access.json", &file)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			a := iam.Access{
				Caller: c.Caller.caller(t, c.sideJSON), Action: c.Action, Resource: c.Resource, ResourceAccount: c.ResourceAccount,
				ResourceTags: c.ResourceTags, Keys: iam.NewContext(c.Keys), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			}
			if c.ResourcePolicy != nil {
				a.ResourcePolicy = &iam.NamedPolicy{Policy: parsed(t, c.ResourcePolicy)}
			}
			for _, level := range c.ResourceControl {
				a.ResourceControl = append(a.ResourceControl, named(t, level))
			}
			r := iam.Authorize(a)
			if r.Decision.String() != c.Want || string(r.Denied) != c.Denied {
				t.Errorf("found %s by %q (%s), expected %s by %q: %s (%s)", r.Decision, r.Denied, r.Reason, c.Want, c.Denied, c.Why, c.Source)
			}
			if r.Reason == "" {
				t.Error("the verdict has no reason")
			}
		})
	}
}

// TestAssumeRoleCorpus runs calls of sts:AssumeRole.
func TestAssumeRoleCorpus(t *testing.T) {
	var file struct {
		Cases []struct {
			Name, Why, Source string
			Caller            callerJSON
			sideJSON
			Role, SessionName, ExternalID      string
			Trust                              json.RawMessage
			RoleTags, Tags                     map[string]string
			Transitive                         []string
			SourceIdentity                     string
			DurationSeconds, MaxSessionSeconds int
			Allowed                            bool
			Denied, Refused                    string
		}
	}
	cases(t, "assume_role.json", &file)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			call := iam.AssumeRoleCall{
				Caller: c.Caller.caller(t, c.sideJSON), RoleARN: c.Role, RoleTags: c.RoleTags, RoleSessionName: c.SessionName,
				ExternalID: c.ExternalID, Tags: tagList(c.Tags), TransitiveTagKeys: c.Transitive, SourceIdentity: c.SourceIdentity,
				Duration: time.Duration(c.DurationSeconds) * time.Second, MaxSession: time.Duration(c.MaxSessionSeconds) * time.Second,
			}
			r := iam.EvaluateAssumeRole(parsed(t, c.Trust), call)
			refused := ""
			if r.Refused != nil {
				refused = string(r.Refused.Kind)
			}
			if r.Allowed != c.Allowed || r.Denied != c.Denied || refused != c.Refused {
				t.Errorf("allowed %t, denied %q, refused %q; expected %t, %q, %q: %s (%s)", r.Allowed, r.Denied, refused, c.Allowed, c.Denied, c.Refused, c.Why, c.Source)
			}
		})
	}
}

// TestChainedSession shows what goes on from one session to the next.
func TestChainedSession(t *testing.T) {
	first := iam.WebIdentityCall{
		RoleARN: "arn:aws:iam::111111111111:role/a", RoleSessionName: "run-1", Provider: "arn:aws:iam::111111111111:oidc-provider/stint.example.com",
		Tags: []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}, {Key: "env", Value: "prod"}}, TransitiveTagKeys: []string{"Repository"}, SourceIdentity: "12",
	}.Session()
	second := iam.AssumeRoleCall{Caller: first, RoleARN: "arn:aws:iam::222222222222:role/b", RoleSessionName: "next", Tags: []iam.Tag{{Key: "team", Value: "x"}}}.Session()
	third := iam.AssumeRoleCall{Caller: second, RoleARN: "arn:aws:iam::222222222222:role/c", RoleSessionName: "last"}.Session()
	for _, test := range []struct {
		session iam.Caller
		tags    map[string]string
	}{
		{second, map[string]string{"repository": "octo-org/octo-repo", "team": "x", "env": ""}},
		{third, map[string]string{"repository": "octo-org/octo-repo", "team": "", "env": ""}},
	} {
		for key, want := range test.tags {
			if got, _ := test.session.Tag(key); got != want {
				t.Errorf("%s: the tag %s is %q, expected %q", test.session.ARN, key, got, want)
			}
		}
		if test.session.SourceIdentity != "12" || test.session.FederatedProvider != "" {
			t.Errorf("%s: found %+v", test.session.ARN, test.session)
		}
	}
}

// FuzzAuthorize asserts what no policy may do to a verdict: a boundary, a
// session policy or a control policy more never allows more, an explicit deny
// anywhere denies, and an identity policy more never lifts an explicit deny.
func FuzzAuthorize(f *testing.F) {
	for _, s := range []string{`"Action":"s3:*"`, `"NotAction":"s3:PutObject"`, `"Action":"*","Condition":{"StringLike":{"aws:PrincipalTag/r":"a*"}}`} {
		f.Add(s, s, s, true, false)
	}
	f.Fuzz(func(t *testing.T, identity, resource, limit string, cross, session bool) {
		policy := func(effect, principal, body string) *iam.Policy {
			p, err := iam.ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `",` + principal + `"Resource":"*",` + body + `}]}`))
			if err != nil {
				t.Skip()
			}
			return p
		}
		who := "arn:aws:iam::111111111111:role/deploy"
		if session {
			who = "arn:aws:sts::111111111111:assumed-role/deploy/s"
		}
		a := iam.Access{
			Caller: iam.Caller{ARN: "arn:aws:iam::111111111111:role/deploy", SessionName: "s", Tags: []iam.Tag{{Key: "r", Value: "ab"}}},
			Action: "s3:PutObject", Resource: "arn:aws:s3:::b/k",
			ResourcePolicy: &iam.NamedPolicy{Policy: policy("Allow", `"Principal":{"AWS":"`+who+`"},`, resource)},
		}
		if cross {
			a.ResourceAccount = "222222222222"
		}
		a.Caller.Policies.Identity = []iam.NamedPolicy{{Policy: policy("Allow", "", identity)}}
		before := iam.Authorize(a)
		if before.Decision == iam.Allow && before.Denied != "" || before.Decision != iam.Allow && before.Denied == "" {
			t.Fatalf("half a verdict: %+v", before)
		}
		extra := iam.NamedPolicy{Policy: policy("Allow", "", limit)}
		limits := map[string]func(*iam.Access){
			"boundary": func(a *iam.Access) { a.Caller.Policies.Boundary = &extra },
			"session":  func(a *iam.Access) { a.Caller.Policies.Session = []iam.NamedPolicy{extra} },
			"control":  func(a *iam.Access) { a.Caller.Policies.ServiceControl = [][]iam.NamedPolicy{{extra}} },
		}
		for name, add := range limits {
			limited := a
			add(&limited)
			if iam.Authorize(limited).Decision == iam.Allow && before.Decision != iam.Allow {
				t.Fatalf("a %s more allows more", name)
			}
		}
		denying := iam.NamedPolicy{Policy: policy("Deny", "", `"Action":"*"`)}
		denied := a
		denied.Caller.Policies.Identity = append([]iam.NamedPolicy{denying}, a.Caller.Policies.Identity...)
		if iam.Authorize(denied).Decision != iam.ExplicitDeny {
			t.Fatal("an explicit deny does not win")
		}
		bare := a
		bare.Caller.Policies.Identity, bare.ResourcePolicy = nil, nil
		if iam.Authorize(bare).Decision == iam.Allow {
			t.Fatal("nothing allows, and it is allowed")
		}
	})
}

func BenchmarkAuthorize(b *testing.B) {
	a := iam.Access{
		Caller: iam.Caller{ARN: "arn:aws:iam::111111111111:role/deploy", SessionName: "s", Tags: []iam.Tag{{Key: "repository", Value: "octo-org/octo-repo"}}},
		Action: "s3:PutObject", Resource: "arn:aws:s3:::site/octo-org/octo-repo/x",
	}
	a.Caller.Policies.Identity = []iam.NamedPolicy{{Policy: parsed(b, json.RawMessage(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::site/${aws:PrincipalTag/repository}/*"}}`))}}
	for b.Loop() {
		if iam.Authorize(a).Decision != iam.Allow {
			b.Fatal("denied")
		}
	}
}
