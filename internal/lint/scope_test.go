package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

const (
	github  = "token.actions.githubusercontent.com"
	account = "arn:aws:iam::111111111111:oidc-provider/"
)

// trustOf is a trust policy with one statement for GitHub and this Condition.
func trustOf(condition string) string { return trustFor(github, condition) }

func trustFor(host, condition string) string {
	return `{"Version":"2012-10-17","Statement":[` + allowFor(host, condition) + `]}`
}

func allowFor(host, condition string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Principal":{"Federated":%q},"Action":"sts:AssumeRoleWithWebIdentity","Condition":%s}`,
		account+host, strings.ReplaceAll(condition, "gh:", host+":"))
}

// denyFor is a Deny statement for everybody with this Condition.
func denyFor(condition string) string {
	return `{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity","Condition":` + strings.ReplaceAll(condition, "gh:", github+":") + `}`
}

func statements(list ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
}

// sub is a policy for GitHub with this value of sub, under StringLike where it
// has a wildcard.
func sub(values ...string) string {
	operator := "StringEquals"
	if strings.ContainsAny(strings.Join(values, ""), "*?") {
		operator = "StringLike"
	}
	return trustOf(fmt.Sprintf(`{"StringEquals":{"gh:aud":"sts.amazonaws.com"},%q:{"gh:sub":[%s]}}`, operator+suffix(operator), quotedList(values)))
}

// suffix keeps the two operators of sub apart, as no key may stand twice.
func suffix(operator string) string {
	if operator == "StringEquals" {
		return "IfExists"
	}
	return ""
}

func quotedList(values []string) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprintf("%q", v))
	}
	return strings.Join(out, ",")
}

// lintPolicy lints trust policies, each as a role of its own.
func lintPolicy(t *testing.T, o Options, documents ...string) []Finding {
	t.Helper()
	return Run(inventoryOf(t, documents...), o)
}

func inventoryOf(t *testing.T, documents ...string) *inventory.Inventory {
	t.Helper()
	inv := &inventory.Inventory{}
	for i, document := range documents {
		nodes, err := source.ParseJSON("trust.json", []byte(document))
		if err != nil || len(nodes) != 1 {
			t.Fatalf("%s: %v", document, err)
		}
		inv.Roles = append(inv.Roles, inventory.Role{
			Address: fmt.Sprintf("role%d", i), Position: nodes[0].Position,
			Trust: inventory.ParsePolicy(nodes[0]), IdentityOpen: true,
		})
		if err := inv.Roles[i].Trust.Err; err != nil {
			t.Fatalf("%s: %v", document, err)
		}
	}
	return inv
}

// by are the findings of a rule, and the unknown ones apart.
func by(findings []Finding, rule string) (found, unknown []Finding) {
	for _, f := range findings {
		switch {
		case f.Rule != rule:
		case f.Unknown:
			unknown = append(unknown, f)
		default:
			found = append(found, f)
		}
	}
	return found, unknown
}

// ruleCases are policies that a rule must report, and policies that it must
// not.
type ruleCases struct {
	rule         string
	fires, quiet []string
	options      Options
}

func (c ruleCases) run(t *testing.T) {
	t.Run(c.rule, func(t *testing.T) {
		for _, document := range c.fires {
			if found, _ := by(lintPolicy(t, c.options, document), c.rule); len(found) == 0 {
				t.Errorf("silent on %s", document)
			} else {
				checkFinding(t, document, found[0])
			}
		}
		for _, document := range c.quiet {
			if found, unknown := by(lintPolicy(t, c.options, document), c.rule); len(found)+len(unknown) > 0 {
				t.Errorf("fired on %s: %+v", document, slices.Concat(found, unknown))
			}
		}
	})
}

// checkFinding asserts what every finding has: a place within the file, a
// message and a fix.
func checkFinding(t *testing.T, document string, f Finding) {
	t.Helper()
	if f.Position.Line != 1 || f.Position.Column < 1 || f.Position.Column > len(document) || f.Message == "" || f.Fix == "" || f.Severity == "" || f.Subject != "role0" {
		t.Errorf("incomplete finding on %s: %+v", document, f)
	}
}

// TestTrustPolicyThatIsNotKnown: a role of which no rule can look at the trust
// policy is not passed over in silence.
func TestTrustPolicyThatIsNotKnown(t *testing.T) {
	found := Run(&inventory.Inventory{Roles: []inventory.Role{{Address: "aws_iam_role.deploy", Position: source.Position{File: "main.tf", Line: 3, Column: 1}}}}, Options{})
	if len(found) != 1 || !found[0].Unknown || found[0].Subject != "aws_iam_role.deploy" || found[0].Position.Line != 3 {
		t.Errorf("expected one unknown finding at main.tf:3, found %+v", found)
	}
}
