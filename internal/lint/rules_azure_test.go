package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// azureText is a text in which @@ stands for something that is not known.
func azureText(s string) source.Text {
	before, after, found := strings.Cut(s, "@@")
	t := source.Literal(before)
	if found {
		t = source.Join(t, source.UnknownText("var.value"), source.Literal(after))
	}
	return t.At(source.Position{File: "credentials.json", Line: 1, Column: 1}, source.Span{})
}

// credential is a federated credential as the cases give it. Empty fields are
// those of a good one.
type credential struct{ issuer, subject, audience, expression string }

func (c credential) azure() inventory.AzureCredential {
	if c.issuer == "" {
		c.issuer = "https://" + github
	}
	if c.audience == "" {
		c.audience = "api://AzureADTokenExchange"
	}
	if c.subject == "" && c.expression == "" {
		c.subject = "repo:octo-org@65/octo-repo@74:environment:prod"
	}
	return inventory.AzureCredential{
		Position: source.Position{File: "credentials.json", Line: 1, Column: 1}, Name: azureText("prod"),
		Issuer: azureText(c.issuer), Subject: azureText(c.subject), Audiences: []source.Text{azureText(c.audience)}, Expression: azureText(c.expression),
	}
}

func lintAzure(credentials ...inventory.AzureCredential) []Finding {
	app := inventory.AzureApplication{Address: "app", Position: source.Position{File: "credentials.json", Line: 1, Column: 1}, Credentials: credentials}
	return Run(&inventory.Inventory{Azure: []inventory.AzureApplication{app}}, Options{})
}

func TestAzureRules(t *testing.T) {
	const matches = `claims['sub'] matches `
	for _, rule := range []struct {
		id             string
		fires, unknown []credential
		quiet          []credential
	}{
		{
			id: "azure-wildcard",
			fires: []credential{
				{subject: "repo:octo-org/octo-repo:*"}, {subject: "repo:octo-org/octo-repo:ref:refs/heads/?"}, {subject: "repo:@@:*"},
				{issuer: "https://token.actions.githubusercontent.com/*"},
			},
			quiet: []credential{{}, {subject: "repo:octo-org/@@"}, {expression: matches + `'repo:octo-org/*'`}},
		},
		{
			id: "azure-case",
			fires: []credential{
				{issuer: "https://" + github + "/"}, {issuer: "https://Token.actions.githubusercontent.com"}, {issuer: "http://" + github},
				{issuer: github}, {issuer: "HTTPS://gitlab.com"}, {issuer: "https://gitlab.com/"}, {issuer: "https://token.action.githubusercontent.com"},
				{issuer: "stint.example.com"},
				{subject: "Repo:octo-org/octo-repo:environment:prod"}, {subject: "repo:octo-org/octo-repo:Environment:prod"},
				{subject: "repo:octo-org/octo-repo:ref:refs/Heads/main"}, {subject: "repo:octo-org/octo-repo:ref:main"}, {subject: "repo:octo-org/octo-repo:Pull_Request"},
				{subject: "repo:github.com/octo-org/octo-repo:environment:prod"},
			},
			quiet: []credential{
				{}, {issuer: "https://" + github + "/octo"}, {issuer: "https://stint.example.com", subject: "Anything"},
				{issuer: "https://stint.example.com/"}, {issuer: "https://gitlab.com", subject: "project_path:G/p:ref_type:branch:ref:main"},
				{subject: "repo:Octo-Org/Octo-Repo:environment:Prod"}, {subject: "repo:octo-org/octo-repo:ref:refs/heads/Main"},
				{subject: "repo:octo-org/octo-repo:ref:@@"}, {issuer: "@@"}, {subject: "repo:octo-org/octo-repo:pull_request"},
			},
		},
		{
			id:    "azure-audience",
			fires: []credential{{audience: "api://azureadtokenexchange"}, {audience: "https://github.com/octo-org"}, {audience: "sts.amazonaws.com"}},
			quiet: []credential{{}, {audience: "api://AzureADTokenExchangeUSGov"}, {audience: "@@"}},
		},
		{
			id: "azure-flexible-open",
			fires: []credential{
				{expression: matches + `'repo:*'`}, {expression: matches + `'*'`}, {expression: matches + `'repo:octo*'`}, {expression: matches + `"repo:*/octo-repo:*"`},
				{expression: `claims['job_workflow_ref'] matches 'octo-org/auto/.github/workflows/*'`},
				{expression: matches + `'repo:*' and claims['job_workflow_ref'] eq 'octo-org/auto/.github/workflows/d.yml@refs/heads/main'`},
				{expression: matches + `'repo:octo-org-?/x:*'`},
				{issuer: "https://gitlab.com", expression: matches + `'project_path:*'`},
			},
			quiet: []credential{
				{}, {expression: matches + `'repo:octo-org/*'`}, {expression: matches + `'repo:octo-org@65/octo-repo@74:ref:refs/heads/*'`},
				{expression: `claims['sub'] eq 'repo:octo-org/octo-repo:environment:prod'`},
				{expression: `claims['job_workflow_ref'] matches '*' AND claims["sub"] matches 'repo:octo-org/octo-repo:*'`},
				{issuer: "https://gitlab.com", expression: matches + `'project_path:group/project:*'`},
				{issuer: "https://stint.example.com", expression: matches + `'*'`},
				{issuer: "https://" + github + "/octo", expression: matches + `'repo:*'`},
				{issuer: "@@", expression: matches + `'repo:*'`},
			},
			unknown: []credential{
				{expression: matches + `'repo:@@:*'`}, {expression: `@@`}, {expression: `claims['sub'] like 'repo:*'`}, {expression: `claims['sub'] matches 'repo:*`},
				{expression: `claims['sub'] matches 'repo:*' or claims['sub'] eq 'x'`}, {expression: `claims['sub'] matches`},
			},
		},
		{
			id:    "azure-renameable",
			fires: []credential{{subject: "repo:octo-org/octo-repo:environment:prod"}, {subject: "repo:octo-org/octo-repo:ref:refs/heads/main"}},
			quiet: []credential{
				{}, {subject: "repository_owner_id:65:environment:prod"}, {issuer: "https://ghes.example.com/_services/token", subject: "repo:octo-org/octo-repo:environment:prod"},
				{issuer: "https://stint.example.com", subject: "github:repo:octo-org/octo-repo:environment:prod"}, {subject: "@@"}, {subject: "repo:@@"},
			},
		},
	} {
		for _, c := range rule.fires {
			if found, _ := by(lintAzure(c.azure()), rule.id); len(found) == 0 || found[0].Position.IsZero() || found[0].Fix == "" || found[0].Subject != "app/prod" {
				t.Errorf("%s on %+v: %+v", rule.id, c, found)
			}
		}
		for _, c := range rule.quiet {
			if found, unknown := by(lintAzure(c.azure()), rule.id); len(found)+len(unknown) > 0 {
				t.Errorf("%s fired on %+v: %+v", rule.id, c, slices.Concat(found, unknown))
			}
		}
		for _, c := range rule.unknown {
			if found, unknown := by(lintAzure(c.azure()), rule.id); len(found) > 0 || len(unknown) == 0 {
				t.Errorf("%s decided %+v: %+v", rule.id, c, found)
			}
		}
	}
}

func TestAzureTooMany(t *testing.T) {
	var all []inventory.AzureCredential
	for i := range 21 {
		c := credential{subject: fmt.Sprintf("repo:octo-org@65/octo-repo@74:environment:e%d", i)}.azure()
		c.Name.Position.Line = i + 1
		all = append(all, c)
	}
	if found, _ := by(lintAzure(all[:20]...), "azure-too-many"); len(found) > 0 {
		t.Errorf("20 credentials: %+v", found)
	}
	found, _ := by(lintAzure(all...), "azure-too-many")
	if len(found) != 1 || found[0].Position.Line != 21 || !strings.Contains(found[0].Message, "21 credentials") {
		t.Errorf("21 credentials: %+v", found)
	}
}

// FuzzFlexible: an expression that is understood has comparisons, and its claims
// and texts stand in it.
func FuzzFlexible(f *testing.F) {
	f.Add(`claims['sub'] matches 'repo:octo-org/*' and claims['job_workflow_ref'] eq 'x'`)
	f.Add(`claims["sub"] matches "a'b"`)
	f.Fuzz(func(t *testing.T, text string) {
		list, ok := comparisons(source.Literal(text))
		if ok == (len(list) == 0) {
			t.Fatalf("%q: %v, %+v", text, ok, list)
		}
		for _, c := range list {
			if !strings.Contains(text, c.claim) || !strings.Contains(strings.ReplaceAll(text, "**", "*"), c.pattern.String()) && !strings.Contains(text, "**") {
				t.Errorf("%q has no %s %s", text, c.claim, c.pattern)
			}
		}
	})
}
