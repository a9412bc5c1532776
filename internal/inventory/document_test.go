package inventory_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
)

const roleARN = "arn:aws:iam::111111111111:role/ci/deploy"

func role(document string) string {
	return `{"RoleName":"deploy","Arn":"` + roleARN + `","AssumeRolePolicyDocument":` + document + `}`
}

func encoded(s string) string {
	return fmt.Sprintf("%q", strings.ReplaceAll(url.QueryEscape(s), "+", "%20"))
}

func TestRoles(t *testing.T) {
	const one = "role " + roleARN + " name=deploy account=111111111111 trust=full identity?"
	for name, c := range map[string]struct {
		data string
		want []string
	}{
		"get-role":      {`{"Role":` + role(trust) + `}`, []string{one}},
		"create-role":   {`{"Role":` + role(encoded(trust)) + `}`, []string{one}},
		"JSON text":     {`{"Role":` + role(fmt.Sprintf("%q", " "+trust)) + `}`, []string{one}},
		"list-roles":    {`{"Roles":[` + role(trust) + `]}`, []string{one + " tags?"}},
		"the role":      {role(trust), []string{one + " tags?"}},
		"a list":        {`[` + role(trust) + `]`, []string{one + " tags?"}},
		"a list of all": {`[{"Role":` + role(trust) + `},` + trust + `]`, []string{one, "role  name= account= trust=full identity? tags?"}},
		"one by one":    {role(trust) + "\n" + role(trust), []string{one + " tags?", one + " tags?"}},
		"as YAML":       {"# comment\nRole:\n  Arn: " + roleARN + "\n  AssumeRolePolicyDocument: " + trust, []string{one}},
		"with all": {`{"Role":{"Path":"/","RoleName":"deploy","MaxSessionDuration":7200,"AssumeRolePolicyDocument":` + trust + `,
			"Tags":[{"Key":"env","Value":"prod"}],"PermissionsBoundary":{"PermissionsBoundaryType":"Policy","PermissionsBoundaryArn":"arn:aws:iam::111111111111:policy/b"}}}`,
			[]string{"role deploy name=deploy account= trust=full boundary=arn:aws:iam::111111111111:policy/b=none env:prod identity? 2h0m0s"}},
		"without a policy": {`{"Role":{"RoleName":"x"}}`, []string{"role x name=x account= trust=none identity?"}},
		"bare trust":       {trust, []string{"role  name= account= trust=full identity? tags?"}},
		"trust without principal": {`{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity"}]}`,
			[]string{"role  name= account= trust=full identity? tags?"}},
		"bare identity":         {identity, []string{"policy =full"}},
		"bucket policy":         {`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}}`, nil},
		"bucket policy refused": {`{"Statement":{"Effect":"Maybe","Principal":"*","Action":"s3:*","Resource":"*"}}`, []string{"policy =refused"}},
		"chained role":          {`{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`, []string{"policy =full"}},
		"get-policy-version": {`{"PolicyVersion":{"Document":` + identity + `,"VersionId":"v1","IsDefaultVersion":true}}`,
			[]string{"policy =full"}},
		"inline policies join": {`{"Role":` + role(trust) + `}{"RoleName":"deploy","PolicyName":"p","PolicyDocument":` + encoded(identity) + `}`,
			[]string{"role " + roleARN + " name=deploy account=111111111111 trust=full +p=full identity?"}},
		"inline policies of no role": {`{"RoleName":"deploy","PolicyName":"p","PolicyDocument":` + identity + `}`, []string{"policy =full"}},
		"trust refused":              {strings.Replace(trust, "Allow", "Maybe", 1), []string{"role  name= account= trust=refused identity? tags?"}},
		"roles no list":              {`{"Roles":5}`, []string{"problem f.json:1:10: Roles: expected a list, found a number"}},
		"role no object":             {`{"Roles":[5]}`, []string{"problem f.json:1:11: Role: expected an object, found a number"}},
		"text no text":               {`{"Role":{"RoleName":[]}}`, []string{"role  name= account= trust=none identity?", "problem f.json:1:21: RoleName: expected a string, found a list"}},
		"doubled key":                {`{"Role":{},"Role":{}}`, []string{`problem f.json:1:12: the key "Role" stands twice`}},
	} {
		t.Run(name, func(t *testing.T) { check(t, read("f.json", c.data), c.want...) })
	}
}

func TestAccountDetails(t *testing.T) {
	check(t, read("f.json", `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[
	 {"Path":"/ci/","RoleName":"deploy","Arn":"`+roleARN+`","AssumeRolePolicyDocument":`+encoded(trust)+`,"InstanceProfileList":[],
	  "RolePolicyList":[{"PolicyName":"in","PolicyDocument":`+identity+`}],
	  "AttachedManagedPolicies":[{"PolicyName":"m","PolicyArn":"arn:aws:iam::111111111111:policy/m"},{"PolicyName":"ReadOnlyAccess","PolicyArn":"arn:aws:iam::aws:policy/ReadOnlyAccess"}],
	  "PermissionsBoundary":{"PermissionsBoundaryType":"Policy","PermissionsBoundaryArn":"arn:aws:iam::111111111111:policy/m"},
	  "Tags":[{"Key":"a","Value":"b"}]},
	 {"RoleName":"bare","Arn":"arn:aws:iam::111111111111:role/bare","AssumeRolePolicyDocument":`+trust+`}],
	 "Policies":[{"PolicyName":"m","Arn":"arn:aws:iam::111111111111:policy/m","DefaultVersionId":"v2","PolicyVersionList":[
	   {"Document":{"Statement":{"Effect":"Maybe"}},"VersionId":"v1","IsDefaultVersion":false},{"Document":`+identity+`,"VersionId":"v2","IsDefaultVersion":true}]}]}`),
		"role "+roleARN+" name=deploy account=111111111111 trust=full +in=full +arn:aws:iam::111111111111:policy/m=full +arn:aws:iam::aws:policy/ReadOnlyAccess=none boundary=arn:aws:iam::111111111111:policy/m=full a:b",
		"role arn:aws:iam::111111111111:role/bare name=bare account=111111111111 trust=full",
	)
}

func TestProviders(t *testing.T) {
	const arn = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"
	check(t, read("f.json", `{"Url":"token.actions.githubusercontent.com","ClientIDList":["sts.amazonaws.com"],"ThumbprintList":["00"]}`),
		"provider  url=token.actions.githubusercontent.com account= clients=[sts.amazonaws.com] open=false")
	check(t, read("f.json", `{"OpenIDConnectProviderList":[{"Arn":"`+arn+`"}]}`),
		"provider "+arn+" url=token.actions.githubusercontent.com account=111111111111 clients=[] open=true")
}

func TestAzure(t *testing.T) {
	exact := `{"audiences":["api://AzureADTokenExchange"],"description":"","id":"1","issuer":"https://token.actions.githubusercontent.com","name":"main","subject":"repo:octo-org/octo-repo:ref:refs/heads/main"}`
	flexible := `{"audiences":["a"],"issuer":"i","name":"flex","subject":null,"claimsMatchingExpression":{"value":"claims['sub'] matches 'x'","languageVersion":1}}`
	arm := func(identity string) string {
		return `{"id":"/subscriptions/0/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/` + identity + `/federatedIdentityCredentials/c","name":"c","properties":{"issuer":"i","subject":"s","audiences":["a"]}}`
	}
	const main = "[main https://token.actions.githubusercontent.com repo:octo-org/octo-repo:ref:refs/heads/main  [api://AzureADTokenExchange]]"
	check(t, read("f.json", `[`+exact+`,`+flexible+`]`), "azure  open=false "+main+" [flex i  claims['sub'] matches 'x' [a]]")
	check(t, read("f.json", exact), "azure  open=true "+main)
	check(t, read("f.json", `{"@odata.context":"x","value":[`+exact+`]}`), "azure  open=false "+main)
	check(t, read("f.json", `[`+arm("one")+`,`+arm("two")+`,`+arm("one")+`]`),
		"azure one open=false [c i s  [a]] [c i s  [a]]", "azure two open=false [c i s  [a]]")
	check(t, read("f.json", `[`+exact+`,{"name":"x"}]`), "azure  open=false "+main,
		`problem f.json:1:198: expected a federated credential with issuer, audiences and subject or claimsMatchingExpression, found an object with the keys "name"`)
}

// What stands in a string has the place of the string, and cannot be edited
// there.
func TestPlacesInStrings(t *testing.T) {
	for _, document := range []string{encoded(trust), fmt.Sprintf("%q", trust)} {
		inv := read("f.json", "{\"Role\":\n"+role(document)+"}")
		at := source.Position{File: "f.json", Line: 2, Column: strings.Index(role(document), document) + 1}
		s := inv.Roles[0].Trust.Statements[0]
		v := s.Conditions[0].Values.List[0]
		if s.Position != at || v.Position != at || v.Span != (source.Span{}) || s.Conditions[0].Position != at {
			t.Errorf("expected %v, found %v and %v %v", at, s.Position, v.Position, v.Span)
		}
		full := inv.Roles[0].Trust.Full
		if p := full.Statements[0].Conditions[0].Position; p.Line != at.Line || p.Column != at.Column {
			t.Errorf("the policy says %v, expected %v", p, at)
		}
	}
}

func TestStrings(t *testing.T) {
	for document, want := range map[string]string{
		`"%zz"`:      "expected a policy as JSON text or its URL-encoded form, found neither",
		`"{} {}"`:    "expected one policy",
		`""`:         "expected one policy",
		`"{"`:        "in the policy text: the JSON ends too early",
		`"[1]"`:      "a policy is an object, not a list",
		`"%7B%7D"`:   "the policy has no Statement",
		`5`:          "a policy is an object, not a number",
		`"{\"a\":1"`: "ends too early",
	} {
		inv := read("f.json", role(document))
		p := inv.Roles[0].Trust
		var e *source.Error
		if p == nil || p.Err == nil || !errors.As(p.Err, &e) || !strings.Contains(e.Message, want) || e.Position != (source.Position{File: "f.json", Line: 1, Column: strings.Index(role(document), document) + 1}) {
			t.Errorf("%s: expected %q, found %v", document, want, p)
		}
	}
	if inv := read("f.json", role(`null`)); inv.Roles[0].Trust != nil {
		t.Error("null is a policy")
	}
}
