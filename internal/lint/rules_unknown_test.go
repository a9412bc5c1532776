package lint

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// holes makes text with ${var.NAME} in it partially known, as a reader of
// Terraform does.
func holes(n *source.Node) {
	n.Text = withHoles(n.Text)
	for _, i := range n.Items {
		holes(i)
	}
	for i := range n.Fields {
		n.Fields[i] = source.NewField(withHoles(n.Fields[i].Key), n.Fields[i].Value)
		holes(n.Fields[i].Value)
	}
}

func withHoles(t source.Text) source.Text {
	var out []source.Text
	rest := t.String()
	for {
		before, after, found := strings.Cut(rest, "${var.")
		out = append(out, source.Literal(before))
		if !found {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		out, rest = append(out, source.UnknownText("${var."+name+"}")), tail
	}
	return source.Join(out...).At(t.Position, t.Span)
}

func TestUnknownParts(t *testing.T) {
	const names = "repo:octo-org@65/octo-repo@74:"
	for _, c := range []struct {
		name, document string
		found, unknown string // rules, by name, that must speak; * for any that may
	}{
		{"an owner under StringLike may hold a wildcard", sub("repo:${var.org}/app*"), "", "owner-wildcard"},
		{"an owner's end", sub("repo:octo${var.org}/app:*"), "any-ref", "owner-open"},
		{"an owner under StringEquals is one owner", sub("repo:${var.org}/app:ref:refs/heads/main"), "", "renameable-subject"},
		{"the end speaks for itself", sub("repo:${var.repo}:*"), "any-ref", "owner-wildcard"},
		{"a repository", sub("repo:octo-org@65/${var.repo}:environment:*"), "any-ref", "all-repositories"},
		{"a repository's end", sub("repo:octo-org@65/app-${var.repo}:environment:*"), "any-ref", "open-prefix"},
		{"a branch", sub(names + "ref:refs/heads/${var.branch}"), "", ""},
		{"a branch under StringLike", trustOf(`{"StringLike":{"gh:sub":"` + names + `ref:refs/heads/${var.branch}"}}`), "", "any-ref"},
		{"the whole subject", trustOf(`{"StringEquals":{"gh:sub":"${var.subject}"}}`), "", "user-controlled-subject"},
		{"the whole subject under StringLike", trustOf(`{"StringLike":{"gh:sub":"${var.subject}"}}`), "", "owner-wildcard"},
		{"an id", trustOf(`{"StringLike":{"gh:sub":"repo:octo-org@${var.id}/octo-repo@74:environment:prod"}}`), "", "id-wildcard renameable-subject"},
		{"closed by a claim whatever the owner", trustOf(`{"StringLike":{"gh:sub":"repo:${var.org}/app:environment:prod"},"StringEquals":{"gh:repository_id":"${var.id}"}}`), "", ""},
		{"a claim under StringLike", trustOf(`{"StringLike":{"gh:sub":"repo:*:environment:prod","gh:repository_id":"${var.id}"}}`), "", "owner-wildcard"},
		{"the issuer in the key", strings.ReplaceAll(sub("repo:octo-org@65/*:environment:prod"), github+":sub", "${var.issuer}:sub"), "all-repositories", ""},
		{"the key", trustOf(`{"StringEquals":{"gh:aud":"a"},"StringLike":{"${var.key}":"x"}}`), "", "sub-missing"},
		{"the operator", trustOf(`{"${var.operator}":{"gh:sub":"` + names + `environment:prod"}}`), "", "sub-missing"},
		{"the provider", strings.Replace(trustOf(`{"StringEquals":{"aws:RequestTag/a":"b"}}`), account+github, "${var.provider}", 1), "", "sub-missing"},
		{"the provider, with GitHub's keys", strings.Replace(sub("repo:*"), account+github, "${var.provider}", 1), "owner-wildcard", ""},
		{"the account only", strings.Replace(sub("repo:*"), "111111111111", "${var.account}", 1), "owner-wildcard", ""},
		{"the effect", strings.Replace(sub("repo:*"), `"Allow"`, `"${var.effect}"`, 1), "", "owner-wildcard"},
		{"the action", strings.Replace(sub("repo:*"), `"sts:AssumeRoleWithWebIdentity"`, `"sts:${var.action}"`, 1), "", "owner-wildcard"},
		{"a Deny that may close it", statements(allowFor(github, `{}`), denyFor(`{"StringNotLike":{"gh:sub":"${var.subject}"}}`)), "", "sub-missing"},
		{"a Deny that closes it whatever it is", statements(allowFor(github, `{}`), denyFor(`{"StringNotEquals":{"gh:repository_owner_id":"${var.id}"}}`)), "all-repositories", ""},
		{"the principal, with GitHub's keys", strings.Replace(sub("repo:*"), `{"Federated":"`+account+github+`"}`, `"${var.principal}"`, 1), "owner-wildcard", ""},
		{"the principal", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"${var.principal}","Action":"sts:AssumeRoleWithWebIdentity"}}`, "", "sub-missing"},
		{"whom a Deny is for", statements(allowFor(github, `{}`), strings.Replace(denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/*"}}`), `"*"`, `{"Federated":"${var.provider}"}`, 1)), "", "sub-missing"},
		{"what a Deny is for", statements(allowFor(github, `{}`), strings.Replace(denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/*"}}`), `"sts:AssumeRoleWithWebIdentity"`, `"${var.action}"`, 1)), "", "sub-missing"},
		{"the operator of a Deny", statements(allowFor(github, `{}`), denyFor(`{"${var.operator}":{"gh:sub":"repo:octo-org/*"}}`)), "", "sub-missing"},
		{"a Deny that may except the provider", statements(allowFor(github, `{}`), `{"Effect":"Deny","NotPrincipal":{"Federated":"`+account+github+`"},"Action":"sts:*"}`), "", "sub-missing"},
		{"a Deny for the same expression", strings.ReplaceAll(statements(allowFor(github, `{}`), strings.Replace(denyFor(`{"StringNotLike":{"gh:sub":"repo:octo-org/*"}}`), `"*"`, `{"Federated":"`+account+github+`"}`, 1)), account+github, "${var.provider}"), "all-repositories", ""},
		{"which provider", trustOf(`{"StringEquals":{"aws:FederatedProvider":"${var.provider}"}}`), "", "sub-missing"},
		{"the reference of a workflow", trustOf(`{"StringLike":{"gh:job_workflow_ref":"octo-org/auto/.github/workflows/x.yml@${var.ref}"},"StringEquals":{"gh:repository_owner_id":"65"}}`), "", "job-workflow-ref-moves"},
		{"the owner beside a workflow", trustOf(`{"StringLike":{"gh:repository_owner_id":"${var.id}"},"StringEquals":{"gh:job_workflow_ref":"octo-org/auto/.github/workflows/x.yml@0123456789abcdef0123456789abcdef01234567"}}`), "", "sub-missing job-workflow-ref-open"},
		{"Principal *", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity"}}`, "", "sub-missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			nodes, err := source.ParseJSON("trust.json", []byte(c.document))
			if err != nil {
				t.Fatal(err)
			}
			holes(nodes[0])
			inv := &inventory.Inventory{Roles: []inventory.Role{{Address: "role0", Trust: inventory.ParsePolicy(nodes[0])}}}
			got := map[bool][]string{}
			for _, f := range mine(Run(inv, Options{})) {
				got[f.Unknown] = append(got[f.Unknown], f.Rule)
			}
			if found := strings.Join(got[false], " "); found != c.found {
				t.Errorf("found %q, want %q", found, c.found)
			}
			if unknown := strings.Join(got[true], " "); unknown != c.unknown {
				t.Errorf("unknown %q, want %q", unknown, c.unknown)
			}
		})
	}
}

// mine are the findings of the rules on scope, claims and identity that lasts.
func mine(findings []Finding) []Finding {
	ids := map[string]bool{}
	for _, list := range [][]Rule{scopeRules(), claimRules(), lastingRules()} {
		for _, r := range list {
			ids[r.ID] = r.ID != "like-without-wildcard"
		}
	}
	var out []Finding
	for _, f := range findings {
		if ids[f.Rule] {
			out = append(out, f)
		}
	}
	return out
}

func TestOpenPolicies(t *testing.T) {
	inv := inventoryOf(t, sub("repo:*"), sub("repo:*"))
	inv.Roles[0].Trust.Open = true // a further statement may deny
	inv.Roles[1].Trust.Statements[0].ConditionsOpen = true
	found, unknown := by(Run(inv, Options{}), "owner-wildcard") // one for each role
	if len(found) != 0 || len(unknown) != 2 {
		t.Errorf("found %v, unknown %v", found, unknown)
	}
}

func TestValuesThatMayFollow(t *testing.T) {
	const ids = "repo:octo-org@65/octo-repo@74:environment:prod"
	for _, c := range []struct{ document, unknown string }{
		{trustOf(`{"StringLike":{"gh:sub":["` + ids + `"]}}`), "owner-wildcard"},
		{sub(ids), "user-controlled-subject"},
		{trustOf(`{"StringLike":{"gh:sub":["` + ids + `"]},"StringEquals":{"gh:repository_id":"74"}}`), ""},
	} {
		inv := inventoryOf(t, c.document)
		for i := range inv.Roles[0].Trust.Statements[0].Conditions {
			if condition := &inv.Roles[0].Trust.Statements[0].Conditions[i]; strings.HasSuffix(condition.Key.String(), ":sub") {
				condition.Values.Open = true
			}
		}
		var unknown []string
		for _, f := range mine(Run(inv, Options{})) {
			if !f.Unknown || f.Position.Line != 1 {
				t.Errorf("%s: %+v", c.document, f)
			}
			unknown = append(unknown, f.Rule)
		}
		if got := strings.Join(unknown, " "); got != c.unknown {
			t.Errorf("%s: unknown %q, want %q", c.document, got, c.unknown)
		}
	}
}

func TestProviderOfAnotherResource(t *testing.T) {
	inv := inventoryOf(t, trustOf(`{"StringEquals":{"gh:aud":"sts.amazonaws.com"}}`))
	federated := &inv.Roles[0].Trust.Statements[0].Principal.Federated.List[0]
	federated.Parts = []source.Part{{Unknown: "aws_iam_openid_connect_provider.ci.arn", Resource: "aws_iam_openid_connect_provider.ci", Attribute: "arn"}}
	inv.Roles[0].Trust.Statements[0].Conditions = nil
	if _, unknown := by(Run(inv, Options{}), "sub-missing"); len(unknown) != 1 {
		t.Errorf("without the resource: %v", unknown)
	}
	inv.Providers = []inventory.Provider{{Address: "aws_iam_openid_connect_provider.ci", URL: source.Literal("https://" + github)}}
	if found, _ := by(Run(inv, Options{}), "sub-missing"); len(found) != 1 {
		t.Errorf("with the resource: %v", found)
	}
	inv.Providers[0].URL = source.Literal("https://ci.example.com")
	if found, unknown := by(Run(inv, Options{}), "sub-missing"); len(found)+len(unknown) != 0 {
		t.Errorf("with an issuer of its own: %v, %v", found, unknown)
	}
}
