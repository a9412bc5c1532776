package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// TestPageExamples: on every page that has an example which can be read, the
// rule fires on the first one and is silent on the corrected one.
func TestPageExamples(t *testing.T) {
	rules := map[string]bool{}
	for _, r := range Rules() {
		rules[r.ID] = true
	}
	pages, err := filepath.Glob("../../docs/lint/*.md")
	if err != nil {
		t.Fatal(err)
	}
	tested := 0
	for _, page := range pages {
		id := strings.TrimSuffix(filepath.Base(page), ".md")
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		kind, bad, good := examples(string(text))
		read := readers[kind]
		if !rules[id] || read == nil {
			continue
		}
		tested++
		t.Run(id, func(t *testing.T) {
			if found, _ := by(Run(read(t, bad), Options{}), id); len(found) == 0 {
				t.Errorf("silent on\n%s", bad)
			}
			if found, unknown := by(Run(read(t, good), Options{}), id); len(found)+len(unknown) > 0 {
				t.Errorf("fires on the corrected example: %+v\n%s", found, good)
			}
		})
	}
	if tested < 20 {
		t.Errorf("only %d pages have an example", tested)
	}
}

// examples are the two blocks of code of a page, and the line before the first.
func examples(page string) (kind, bad, good string) {
	before, rest, found := strings.Cut(page, "\n\n```")
	if !found {
		return "", "", ""
	}
	kind = before[strings.LastIndex(before, "\n\n")+2:]
	block := func(s string) (code, after string) {
		_, s, _ = strings.Cut(s, "\n")
		code, after, _ = strings.Cut(s, "\n```")
		return code, after
	}
	bad, rest = block(rest)
	_, rest, _ = strings.Cut(rest, "Corrected:\n\n```")
	good, _ = block(rest)
	return kind, bad, good
}

// readers make an inventory of an example, by the line before it.
var readers = map[string]func(t *testing.T, text string) *inventory.Inventory{
	"Fires, as the Condition of a statement for GitHub:": func(t *testing.T, text string) *inventory.Inventory {
		return world{trust: trustOf(text), identity: allowIdentity(`{}`)}.inventory(t) // a role that can write
	},
	"Fires, as a trust policy:": func(t *testing.T, text string) *inventory.Inventory { return world{trust: text}.inventory(t) },
	"Fires, as a federated credential:": func(t *testing.T, text string) *inventory.Inventory {
		n := node(t, "credential.json", text)
		c := inventory.AzureCredential{Position: n.Position, Name: n.Get("name").Text, Issuer: n.Get("issuer").Text}
		if s := n.Get("subject"); s != nil {
			c.Subject = s.Text
		}
		if e := n.Get("claimsMatchingExpression"); e != nil {
			c.Expression = e.Get("value").Text
		}
		c.Audiences = append(c.Audiences, n.Get("audiences").Items[0].Text)
		return &inventory.Inventory{Azure: []inventory.AzureApplication{{Address: "app", Position: source.Position{File: "credential.json", Line: 1, Column: 1}, Credentials: []inventory.AzureCredential{c}}}}
	},
	"Fires, as rules of a broker for GitHub with `only: {repository_owner_id: \"65\"}`:": func(t *testing.T, text string) *inventory.Inventory {
		return world{noRole: true, rules: issuersByID + "rules:\n" + text + "\n"}.inventory(t)
	},
	"Fires, as rules of a broker for GitHub with `only: {repository_owner: octo-org}`:": func(t *testing.T, text string) *inventory.Inventory {
		return world{noRole: true, rules: issuersByName + "rules:\n" + text + "\n"}.inventory(t)
	},
}
