package lint

import (
	"testing"
	"time"

	"github.com/stint-dev/stint/iam"
)

// callerConditions are conditions by which a role may be open to every AWS
// principal, with what a stranger of another account and organization can do.
var callerConditions = []struct {
	condition string
	want      string // what the finding holds; empty for silence
}{
	{`{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/ci"}}`, "everybody"},
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/ci"}}`, "everybody"},
	{`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::????????????:role/ci"}}`, "everybody"},
	{`{"StringLike":{"aws:PrincipalArn":["arn:aws:iam::111111111111:role/x","arn:aws:iam::*:role/y"]}}`, "everybody"},
	{`{"StringLike":{"aws:PrincipalArn":"arn:aws*:iam::111111111111:role/ci"}}`, "everybody"}, // a path may hold :iam::111111111111:role/
	{`{"StringLike":{"aws:PrincipalArn":"*:role/ci"}}`, "everybody"},
	{`{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::${aws:PrincipalAccount}:role/ci"}}`, "everybody"},
	{`{"StringEquals":{"aws:PrincipalAccount":"${aws:PrincipalAccount}"}}`, "everybody"},
	{`{"StringLike":{"aws:PrincipalOrgID":"o-*"}}`, "everybody"},
	{`{"StringLike":{"aws:PrincipalOrgID":"o-??????????"}}`, "everybody"},
	{`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-*/*"}}`, "everybody"},
	{`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":["o-a1b2c3d4e5/*","*/r-ab12/*"]}}`, "everybody"},
	{`{"ForAllValues:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3d4e5/*"}}`, "everybody"},
	{`{"StringLike":{"aws:PrincipalAccount":"1*"}}`, "everybody"},
	{`{"StringLikeIfExists":{"aws:PrincipalAccount":"111111111111"}}`, "everybody"},
	{`{"StringLike":{"aws:userid":"*:ci"}}`, "everybody"},
	{`{"StringLike":{"aws:userid":"AROA*"}}`, "everybody"},
	{`{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::@@:role/ci"}}`, "unknown: whether a condition says"},
	{`{"StringLike":{"aws:PrincipalOrgID":"@@"}}`, "unknown: whether a condition says"},

	{`{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::*:role/ci"}}`, ""}, // the star is a star there
	{`{"ArnLike":{"aws:PrincipalArn":"arn:aws*:iam::111111111111:role/*"}}`, ""},
	{`{"ArnLike":{"aws:PrincipalArn":["arn:aws:iam::111111111111:role/*","arn:aws:iam::111111111111:user/*"]}}`, ""},
	{`{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::111111111111:*"}}`, ""},
	{`{"StringLike":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}`, ""},
	{`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3d4e5/*"}}`, ""},
	{`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"}}`, ""},
	{`{"StringLike":{"aws:PrincipalAccount":["111111111111","222222222222"]}}`, ""},
	{`{"StringLike":{"aws:userid":"AROAEXAMPLEEXAMPLE123:*"}}`, ""},
	{`{"StringEquals":{"aws:PrincipalAccount":"${aws:ResourceAccount}"}}`, ""},
	{`{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::${aws:resourceAccount}:role/*"}}`, ""},
	{`{"StringEquals":{"aws:PrincipalOrgID":"${aws:ResourceOrgID}"}}`, ""},
	{`{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::@@:role/ci"}}`, ""},
	{`{"StringEquals":{"aws:PrincipalOrgID":["@@"]}}`, ""},
}

// TestOpenCallers: a condition on the caller counts only where no stranger has
// what it asks for.
func TestOpenCallers(t *testing.T) {
	var cases []worldCase
	for _, c := range callerConditions {
		trust := statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":` + c.condition + `}`)
		cases = append(cases, worldCase{c.condition, world{trust: trust}, c.want})
	}
	denied := func(condition string) world {
		return world{trust: statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`, `{"Effect":"Deny","Principal":"*","Action":"sts:*","Condition":`+condition+`}`)}
	}
	cases = append(cases,
		worldCase{"denied to others", denied(`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/*"}}`), ""},
		worldCase{"denied to others of any account", denied(`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/ci"}}`), "everybody"},
		worldCase{"denied to other organizations", denied(`{"StringNotLike":{"aws:PrincipalOrgID":"o-*"}}`), "everybody"},
		worldCase{"denied to who has another path", denied(`{"ForAnyValue:StringNotLike":{"aws:PrincipalOrgPaths":"o-a1b2c3d4e5/*"}}`), "everybody"},
		worldCase{"denied to who has no such path", denied(`{"ForAllValues:StringNotLike":{"aws:PrincipalOrgPaths":"o-a1b2c3d4e5/*"}}`), ""},
	)
	runWorlds(t, "any-principal", cases)
}

// TestOpenCallersEvaluated: what the rule is silent on lets no stranger in, by
// the evaluator.
func TestOpenCallersEvaluated(t *testing.T) {
	tried := 0
	for _, c := range callerConditions {
		trust := statements(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":` + c.condition + `}`)
		document, err := iam.ParsePolicy([]byte(trust))
		if err != nil || c.want != "" {
			continue
		}
		tried++
		for _, role := range []string{"ci", "x", "y", "admin", "a/ci", "a:iam::111111111111:role/ci"} {
			for _, org := range []string{"", "o-zzzzzzzzzz"} {
				caller := iam.Caller{ARN: "arn:aws:iam::999999999999:role/" + role, SessionName: "ci", ID: "AROAZZZZZZZZZZZZZZZZZ", OrgID: org}
				if org != "" {
					caller.OrgPaths = []string{org + "/r-ab12/"}
				}
				decision := document.Decide(iam.Request{Action: "sts:AssumeRole", Resource: deployARN, Principal: caller.Principal(), Context: caller.Context(time.Time{})})
				if decision == iam.Allow {
					t.Errorf("%s lets %s of %q in", c.condition, caller.ARN, org)
				}
			}
		}
	}
	if tried < 8 {
		t.Errorf("only %d policies were evaluated", tried)
	}
}
