package iam_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stint-dev/stint/iam"
)

const document = `{
  "Version": "2012-10-17",
  "Id": "trust",
  "Statement": [
    {
      "Sid": "Jobs",
      "Effect": "Allow",
      "Principal": {"Federated": ["arn:aws:iam::111111111111:oidc-provider/idp.example.com"]},
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "ForAnyValue:StringLikeIfExists": {"idp.example.com:amr": ["m*", "${aws:userid, 'x'}"]},
        "NumericLessThan": {"aws:EpochTime": 1900000000}
      }
    },
    {"Effect": "Deny", "NotPrincipal": "*", "NotAction": ["iam:*"], "NotResource": "arn:aws:iam::*:role/x"}
  ]
}`

func parse(t *testing.T, document string) *iam.Policy {
	t.Helper()
	p, err := iam.ParsePolicy([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestReadView(t *testing.T) {
	p := parse(t, document)
	if p.Version != "2012-10-17" || p.ID != "trust" || len(p.Statements) != 2 {
		t.Fatalf("%+v", p)
	}
	first, second := p.Statements[0], p.Statements[1]
	if first.Sid != "Jobs" || first.Effect != iam.EffectAllow || first.Position != (iam.Position{Line: 5, Column: 5}) {
		t.Errorf("%+v", first)
	}
	if got := first.Principal.Federated; len(got) != 1 || got[0].Position != (iam.Position{Line: 8, Column: 35}) || first.Principal.Any {
		t.Errorf("%+v", got)
	}
	want := iam.Condition{
		Position:   iam.Position{Line: 11, Column: 44},
		Operator:   "ForAnyValue:StringLikeIfExists",
		OperatorAt: iam.Position{Line: 11, Column: 9},
		Qualifier:  iam.ForAnyValue,
		Test:       "StringLike",
		IfExists:   true,
		Key:        "idp.example.com:amr",
		Values: iam.Values{
			{Position: iam.Position{Line: 11, Column: 68}, Text: "m*"},
			{Position: iam.Position{Line: 11, Column: 74}, Text: "${aws:userid, 'x'}"},
		},
	}
	if !reflect.DeepEqual(first.Conditions[0], want) {
		t.Errorf("got  %+v\nwant %+v", first.Conditions[0], want)
	}
	if got := first.Conditions[1].Values.Strings(); !slices.Equal(got, []string{"1900000000"}) {
		t.Errorf("%q", got)
	}
	if second.Effect != iam.EffectDeny || !second.NotPrincipal.Any || second.NotAction.Strings()[0] != "iam:*" ||
		second.Action != nil || second.Resource != nil || second.NotResource.Strings()[0] != "arn:aws:iam::*:role/x" {
		t.Errorf("%+v", second)
	}
}

func TestMarshal(t *testing.T) {
	encoded, err := json.Marshal(parse(t, document))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"Version":"2012-10-17","Id":"trust","Statement":[{"Sid":"Jobs","Effect":"Allow","Principal":{"Federated":["arn:aws:iam::111111111111:oidc-provider/idp.example.com"]},"Action":["sts:AssumeRoleWithWebIdentity"],"Condition":{"ForAnyValue:StringLikeIfExists":{"idp.example.com:amr":["m*","${aws:userid, 'x'}"]},"NumericLessThan":{"aws:EpochTime":["1900000000"]}}},{"Effect":"Deny","NotPrincipal":"*","NotAction":["iam:*"],"NotResource":["arn:aws:iam::*:role/x"]}]}`
	if string(encoded) != want {
		t.Errorf("got  %s\nwant %s", encoded, want)
	}
	if _, err := json.Marshal(&iam.Policy{}); err == nil {
		t.Error("a policy that was never parsed must not be written")
	}
}

func TestZeroValuesDeny(t *testing.T) {
	if (iam.Result{}).Decision != iam.ImplicitDeny || (iam.Statement{}).Effect != iam.EffectDeny || (iam.WebIdentityResult{}).Allowed {
		t.Error("a zero value allows")
	}
	r := iam.Request{Action: "sts:AssumeRole"}
	var none *iam.Policy
	for _, p := range []*iam.Policy{none, {}} {
		if p.Decide(r) != iam.ImplicitDeny || p.Evaluate(r).Decision != iam.ImplicitDeny {
			t.Error("a policy that was never parsed allows")
		}
		if got := iam.EvaluateWebIdentity(p, iam.WebIdentityCall{}); got.Allowed || got.Denied != iam.ActionAssumeRoleWithWebIdentity {
			t.Errorf("%+v", got)
		}
	}
	everybody := parse(t, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*"}}`)
	if everybody.Decide(iam.Request{}) != iam.ImplicitDeny {
		t.Error("the zero request is allowed")
	}
	if iam.EvaluateWebIdentity(everybody, iam.WebIdentityCall{}).Allowed {
		t.Error("a call without a provider is allowed")
	}
}

func TestPolicyIsImmutable(t *testing.T) {
	p := parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["111111111111"]},"Action":["a:b"],"Resource":["*"],"Condition":{"StringEquals":{"a:k":["v"]}}}}`)
	r := iam.Request{Action: "a:b", Principal: iam.Principal{AWS: []string{"111111111111"}}}
	r.Context.Set("a:k", "w")
	before := p.Evaluate(r)
	s := &p.Statements[0]
	s.Conditions[0].Values[0].Text = "w"
	s.Conditions[0].Key = "a:other"
	s.Action[0].Text, s.Principal.AWS[0].Text, s.Effect = "*", "*", iam.EffectDeny
	p.Statements = nil
	if got := p.Evaluate(r); !reflect.DeepEqual(got, before) {
		t.Errorf("got  %+v\nwant %+v", got, before)
	}
}

func TestTrace(t *testing.T) {
	p := parse(t, `{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "One", "Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:*",
     "Condition": {"StringLike": {"A:Key": ["x${a:var}*", "${a:none}"]}, "Bool": {"a:flag": "${a:var}"}}},
    {"Effect": "Deny", "Principal": "*", "Action": "s3:*"}
  ]
}`)
	r := iam.Request{
		Action:    "sts:AssumeRole",
		Principal: iam.RoleSession("arn:aws:iam::111111111111:role/p/r", "s", "AROAEXAMPLE"),
		Context: iam.NewContext(map[string][]string{
			"a:key": {"xtrue1"}, "a:var": {"true"}, "a:flag": {"true"},
		}),
	}
	got := p.Evaluate(r)
	want := iam.Result{
		Action: "sts:AssumeRole",
		Statements: []iam.StatementResult{
			{
				Sid: "One", Effect: iam.EffectAllow, PrincipalMatched: true, ByAccount: true,
				ActionMatched: true, ResourceMatched: true, Position: iam.Position{Line: 4, Column: 5},
				Conditions: []iam.ConditionResult{
					{
						Operator: "StringLike", Key: "A:Key", Present: true, Matched: true,
						Written: []string{"x${a:var}*", "${a:none}"}, Expected: []string{"xtrue*", "${a:none}"},
						Actual: []string{"xtrue1"}, Position: iam.Position{Line: 5, Column: 35},
					},
					{
						Operator: "Bool", Key: "a:flag", Present: true, Silent: true,
						Written: []string{"${a:var}"}, Expected: []string{"true"}, Actual: []string{"true"},
						Note:     "AWS does not say whether Bool takes policy variables; read so that it denies",
						Position: iam.Position{Line: 5, Column: 83},
					},
				},
			},
			{
				Index: 1, PrincipalMatched: true, ResourceMatched: true, Position: iam.Position{Line: 6, Column: 5},
			},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestByAccount(t *testing.T) {
	caller := iam.RoleSession("arn:aws:iam::111111111111:role/r", "s", "AROAEXAMPLE")
	for principal, want := range map[string]bool{
		`{"AWS":"111111111111"}`:                                       true,
		`{"AWS":"arn:aws:iam::111111111111:root"}`:                     true,
		`{"AWS":["111111111111","arn:aws:iam::111111111111:role/r"]}`:  false,
		`{"AWS":"arn:aws:iam::111111111111:role/r"}`:                   false,
		`{"AWS":"arn:aws:sts::111111111111:assumed-role/r/s"}`:         false,
		`{"AWS":"AROAEXAMPLE"}`:                                        false,
		`{"AWS":"*"}`:                                                  false,
		`"*"`:                                                          false,
		`{"AWS":["111111111111","arn:aws:iam::111111111111:role/r2"]}`: true,
	} {
		p := parse(t, `{"Statement":{"Effect":"Allow","Principal":`+principal+`,"Action":"*"}}`)
		got := p.Evaluate(iam.Request{Action: "sts:AssumeRole", Principal: caller}).Statements[0]
		if !got.PrincipalMatched || got.ByAccount != want {
			t.Errorf("%s: %+v", principal, got)
		}
	}
}

func TestCallers(t *testing.T) {
	got := iam.RoleSession("arn:aws-us-gov:iam::111111111111:role/a/b/r", "s", "AROAEXAMPLE").AWS
	want := []string{
		"arn:aws-us-gov:iam::111111111111:role/a/b/r",
		"arn:aws-us-gov:sts::111111111111:assumed-role/r/s",
		"arn:aws-us-gov:iam::111111111111:root",
		"AROAEXAMPLE",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	got = iam.User("arn:aws:iam::111111111111:user/u", "").AWS
	if want := []string{"arn:aws:iam::111111111111:user/u", "arn:aws:iam::111111111111:root"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestContext(t *testing.T) {
	var c iam.Context
	if values, present := c.Get("a:b"); values != nil || present {
		t.Error("the zero Context has a key")
	}
	c.Set("A:Tag/Ünit", "x")
	c.Set("a:empty")
	c.Add("a:list", "1")
	c.Add("A:LIST", "2")
	if values, present := c.Get("a:tag/üNIT"); !present || !slices.Equal(values, []string{"x"}) {
		t.Errorf("%q", values)
	}
	if values, present := c.Get("a:empty"); !present || len(values) != 0 {
		t.Errorf("%q", values)
	}
	if values, _ := c.Get("a:list"); !slices.Equal(values, []string{"1", "2"}) {
		t.Errorf("%q", values)
	}
	if got := c.Keys(); !slices.Equal(got, []string{"A:Tag/Ünit", "a:empty", "a:list"}) {
		t.Errorf("%q", got)
	}
	clone := c.Clone()
	clone.Delete("A:List")
	if _, present := c.Get("a:list"); !present {
		t.Error("a clone shares its keys")
	}
	values, _ := c.Get("a:list")
	values[0] = "changed"
	if again, _ := c.Get("a:list"); again[0] != "1" {
		t.Error("Get lets the values be changed")
	}
}

func TestWebIdentityContext(t *testing.T) {
	c := iam.WebIdentityCall{
		Provider: "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com",
		Issuer:   "https://token.actions.githubusercontent.com",
		Claims: map[string]any{
			"sub": "s", "aud": []any{"a"}, "amr": []any{"x", json.Number("1"), true}, "actor_id": 12.0,
			"event_name": "push", "sha": "0", "environment": nil,
		},
		RoleARN: "arn:aws:iam::111111111111:role/r", RoleSessionName: "n", RolesClaim: true,
		RoleTags: map[string]string{"team": "red"},
		Tags:     []iam.Tag{{Key: "env", Value: "prod"}, {Key: "app", Value: ""}}, TransitiveTagKeys: []string{"env"},
		SourceIdentity: "12", DurationSeconds: 900,
		Time:     time.Date(2026, 9, 1, 14, 0, 0, 5e8, time.FixedZone("", 7200)),
		SourceIP: "2001:db8::1", Region: "eu-west-1", UserAgent: "aws-cli/2",
	}
	ctx := c.Context()
	want := map[string][]string{
		"token.actions.githubusercontent.com:sub":      {"s"},
		"token.actions.githubusercontent.com:aud":      {"a"},
		"token.actions.githubusercontent.com:amr":      {"x", "1", "true"},
		"token.actions.githubusercontent.com:actor_id": {"12"},
		"aws:PrincipalAccount":                         {"111111111111"},
		"aws:PrincipalType":                            {"User"},
		"aws:userid":                                   {c.Provider},
		"aws:FederatedProvider":                        {c.Provider},
		"sts:RoleSessionName":                          {"n"},
		"sts:SourceIdentity":                           {"12"},
		"sts:RoleAuthorizedByIdp":                      {"true"},
		"aws:RequestTag/env":                           {"prod"},
		"aws:RequestTag/app":                           {""},
		"aws:TagKeys":                                  {"env", "app"},
		"sts:TransitiveTagKeys":                        {"env"},
		"aws:ResourceTag/team":                         {"red"},
		"iam:ResourceTag/team":                         {"red"},
		"aws:CurrentTime":                              {"2026-09-01T12:00:00Z"},
		"aws:EpochTime":                                {"1788264000"},
		"aws:SecureTransport":                          {"true"},
		"aws:SourceIp":                                 {"2001:db8::1"},
		"aws:RequestedRegion":                          {"eu-west-1"},
		"aws:UserAgent":                                {"aws-cli/2"},
	}
	got := make(map[string][]string)
	for _, key := range ctx.Keys() {
		got[key], _ = ctx.Get(key)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	bare := iam.WebIdentityCall{}.Context()
	if got := bare.Keys(); !slices.Equal(got, []string{"aws:PrincipalType", "aws:SecureTransport", "sts:RoleAuthorizedByIdp"}) {
		t.Errorf("%q", got)
	}
}

func TestIssuerClaims(t *testing.T) {
	for issuer, want := range map[string]struct {
		claim string
		known bool
	}{
		"https://token.actions.githubusercontent.com":           {"repository_id", true},
		"token.actions.githubusercontent.com":                   {"repository_id", true},
		"https://token.actions.githubusercontent.com/octo":      {"repository_id", true},
		"https://token.actions.octo.ghe.com":                    {"repository_id", true},
		"https://token.actions.az-AZ_09.ghe.com":                {"repository_id", true},
		"https://gitlab.com":                                    {"ref_protected", true},
		"https://agent.buildkite.com":                           {"pipeline_id", true},
		"https://oidc.circleci.com/org/1-2":                     {"oidc.circleci.com/project-id", true},
		"https://accounts.google.com":                           {"oaud", true},
		"https://idcs-1.identity.oraclecloud.com":               {"rpst_id", true},
		"https://token.actions.githubusercontent.com/":          {"", false},
		"https://token.actions.githubusercontent.com/a/b":       {"", false},
		"https://token.actions..ghe.com":                        {"", false},
		"https://oidc.circleci.com/org/":                        {"", false},
		"http://gitlab.com":                                     {"", false},
		"https://gitlab.com.evil.example":                       {"", false},
		"https://token.actions.evil.example/x.ghe.com":          {"", false},
		"https://token.actions.githubusercontent.com?x=ghe.com": {"", false},
	} {
		claims, known := iam.IssuerClaims(issuer)
		if known != want.known || known != (len(claims) > 3) || want.claim != "" && !slices.Contains(claims, want.claim) {
			t.Errorf("%s: %q, %v", issuer, claims, known)
		}
		for _, common := range []string{"amr", "aud", "sub"} {
			if !slices.Contains(claims, common) {
				t.Errorf("%s has no %s", issuer, common)
			}
		}
	}
}

func TestOperators(t *testing.T) {
	names := iam.Operators()
	if len(names) != 27 || !slices.IsSorted(names) {
		t.Errorf("%d operators: %q", len(names), names)
	}
	p := parse(t, document)
	if p.Statements[0].Conditions[0].Negated() || !(iam.Condition{Test: "NotIpAddress"}).Negated() {
		t.Error("Negated is wrong")
	}
}

func TestLimits(t *testing.T) {
	var syntax *iam.SyntaxError
	long := `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Sid":"` + strings.Repeat("a", 128<<10) + `"}}`
	if _, err := iam.ParsePolicy([]byte(long)); !errors.As(err, &syntax) || !strings.Contains(syntax.Message, "bytes") {
		t.Errorf("%v", err)
	}
	if _, err := iam.ParsePolicy([]byte("{\"Statement\":\n\"\xff\"}")); !errors.As(err, &syntax) || syntax.Line != 2 || syntax.Column != 2 {
		t.Errorf("%v", err)
	}
	if _, err := iam.ParsePolicy([]byte("{\"Id\":\"a\x00b\"}")); !errors.As(err, &syntax) || !strings.Contains(err.Error(), "control character U+0000") {
		t.Errorf("%v", err)
	}
	if _, err := iam.ParsePolicy([]byte(strings.Repeat("[", 100_000))); !errors.As(err, &syntax) {
		t.Errorf("%v", err)
	}
	if _, err := iam.ParsePolicy(nil); !errors.As(err, &syntax) {
		t.Errorf("%v", err)
	}
}

func TestJSON(t *testing.T) {
	p := parse(t, "{\r\n\t\"Statement\": {\"Effect\": \"Allow\", \"Principal\": \"*\", \"Action\": \"*\", \"Sid\": \"\\u0041\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u00E9\\ud83d\\ude00\", "+
		"\"Condition\": {\"NumericEquals\": {\"a:b\": [-1, 0.50, 1e3, 2E+1, 3e-10, 0]}}}}\n")
	s := p.Statements[0]
	if s.Sid != "A\"\\/\b\f\n\r\té\u00e9😀" || s.Position != (iam.Position{Line: 2, Column: 15}) {
		t.Errorf("%q at %s", s.Sid, s.Position)
	}
	if got := s.Conditions[0].Values.Strings(); !slices.Equal(got, []string{"-1", "0.50", "1e3", "2E+1", "3e-10", "0"}) {
		t.Errorf("%q", got)
	}
	for _, document := range []string{
		`{"Statement":-}`, `{"Statement":1e}`, `{"Statement":1e+}`, `{"Statement":.5}`, `{"Statement":+1}`,
		`{"Statement" 1}`, `{"Statement":[1 2]}`, `{"Statement":{"a`, `{"Statement":"\`, `{"Statement":"\u`, `{"Statement":"\ud83d\u0041"}`,
		`{"Statement":"\uD83DxDE00"}`, `{"Statement":tru}`, `{"Statement":True}`, `{1:2}`, `{,}`, `[,]`, `{"a":1,,"b":2}`,
	} {
		if p, err := iam.ParsePolicy([]byte(document)); err == nil {
			t.Errorf("%s: %+v", document, p)
		}
	}
}

func TestMalformedProviders(t *testing.T) {
	p := parse(t, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*"}}`)
	for provider, want := range map[string]bool{
		"arn:aws:iam::111111111111:oidc-provider/idp.example.com":    true,
		"arn:aws-cn:iam::111111111111:oidc-provider/idp.example.com": true,
		"arn:aws:sts::111111111111:oidc-provider/idp.example.com":    false,
		"arn:aws:iam:x:111111111111:oidc-provider/idp.example.com":   false,
		"arn:aws:iam::11111111111:oidc-provider/idp.example.com":     false,
		"arn:aws:iam::11111111111x:oidc-provider/idp.example.com":    false,
		"urn:aws:iam::111111111111:oidc-provider/idp.example.com":    false,
		"arn:aws:iam::111111111111:oidc-provider":                    false,
		"arn:aws:iam::111111111111":                                  false,
		"idp.example.com":                                            false,
	} {
		c := iam.WebIdentityCall{Provider: provider, Issuer: "https://idp.example.com"}
		if got := iam.EvaluateWebIdentity(p, c); got.Allowed != want || !want && got.Actions[0].Note == "" {
			t.Errorf("%s: %+v", provider, got)
		}
	}
}

func TestEmptyNamesMatchNothing(t *testing.T) {
	p := parse(t, `{"Statement":{"Effect":"Allow","Principal":{"AWS":""},"Action":"*","Resource":""}}`)
	s := p.Evaluate(iam.Request{Action: "a:b", Principal: iam.Principal{AWS: []string{""}}}).Statements[0]
	if s.PrincipalMatched || s.ResourceMatched {
		t.Errorf("%+v", s)
	}
}

func TestClaimTypes(t *testing.T) {
	const host = "idp.example.com"
	for name, test := range map[string]struct {
		claim any
		want  []string // nil: the key is absent
	}{
		"string": {"a", []string{"a"}}, "empty": {"", []string{""}}, "bool": {true, []string{"true"}},
		"json.Number": {json.Number("9007199254740993"), []string{"9007199254740993"}},
		"float64":     {1e21, []string{"1000000000000000000000"}}, "int": {7, []string{"7"}}, "int64": {int64(8), []string{"8"}},
		"list": {[]any{"a", 1.5, false}, []string{"a", "1.5", "false"}}, "strings": {[]string{"a", "b"}, []string{"a", "b"}},
		"empty list": {[]any{}, []string{}}, "null": {nil, nil}, "object": {map[string]any{"a": "b"}, nil},
		"list with an object": {[]any{"a", map[string]any{}}, nil}, "list in a list": {[]any{[]any{"a"}}, nil}, "list with null": {[]any{nil}, nil},
	} {
		ctx := iam.WebIdentityCall{
			Provider: "arn:aws:iam::111111111111:oidc-provider/" + host, Issuer: "https://" + host,
			Claims: map[string]any{"amr": test.claim},
		}.Context()
		got, present := ctx.Get(host + ":amr")
		if present != (test.want != nil) || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, %v", name, got, present)
		}
	}
}

// What a value of the request holds must never act as a compiled wildcard.
func TestInvalidUTF8IsNoWildcard(t *testing.T) {
	p := parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringLike":{"a:path":"home/${a:user}"}}}}`)
	for _, user := range []string{"\xff", "\xfe", "a\xffb"} {
		r := iam.Request{Action: "a:b", Context: iam.NewContext(map[string][]string{"a:user": {user}, "a:path": {"home/bob"}})}
		if got := p.Decide(r); got != iam.ImplicitDeny {
			t.Errorf("%q: %s", user, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	p := parse(t, document)
	r := iam.Request{Action: "sts:AssumeRoleWithWebIdentity", Context: iam.NewContext(map[string][]string{"idp.example.com:amr": {"mfa"}})}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if p.Decide(r) != p.Evaluate(r).Decision {
					t.Error("Decide and Evaluate disagree")
				}
			}
		})
	}
	wg.Wait()
}

func TestSilentStatements(t *testing.T) {
	web := iam.Principal{Federated: "arn:aws:iam::111111111111:oidc-provider/idp.example.com"}
	for document, silent := range map[string]bool{
		`{"Effect":"Allow","Principal":{"Federated":"*"},"Action":"*"}`:                       true,
		`{"Effect":"Allow","NotPrincipal":{"AWS":"111111111111"},"Action":"*"}`:               true,
		`{"Effect":"Deny","NotPrincipal":{"AWS":"111111111111"},"Action":"*"}`:                true,
		`{"Effect":"Allow","Action":"*"}`:                                                     true,
		`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:*"}`:                  true,
		`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"*"}`:                             false,
		`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:iam::*:role/r"}`:  false,
		`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:iam::*:role/r2"}`: false,
	} {
		p := parse(t, `{"Version":"2012-10-17","Statement":`+document+`}`)
		s := p.Evaluate(iam.Request{Action: "a:b", Resource: "arn:aws:iam::111111111111:role/r", Principal: web}).Statements[0]
		if s.Silent != silent || silent && (s.Note == "" || s.Matched != (s.Effect == iam.EffectDeny)) {
			t.Errorf("%s: %+v", document, s)
		}
	}
}

func TestResultAsJSON(t *testing.T) {
	p := parse(t, `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*"}}`)
	got, err := json.Marshal(p.Evaluate(iam.Request{Action: "a:b"}))
	const want = `{"decision":"ExplicitDeny","action":"a:b","statements":[{"index":0,"effect":"Deny","matched":true,"principalMatched":true,"actionMatched":true,"resourceMatched":true,"position":{"line":1,"column":14}}]}`
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
}
