package fix_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/lint/fix"
	"github.com/stint-dev/stint/internal/source"
)

// one runs Migrate on one file whose inventory a function makes of its content.
func one(t *testing.T, name, text string, o fix.Options, read func(data string) *inventory.Inventory) (string, fix.Result) {
	t.Helper()
	o.Repositories = given
	o.Read = func(file string) ([]byte, error) {
		if file != name {
			return nil, errors.New("no such file")
		}
		return []byte(text), nil
	}
	o.Load = func(changed map[string][]byte) *inventory.Inventory {
		if data, ok := changed[name]; ok {
			return read(string(data))
		}
		return read(text)
	}
	r := fix.Migrate(read(text), o)
	if len(r.Files) == 0 {
		return text, r
	}
	return string(r.Files[0].New), r
}

// quoted is the n-th text between quotes, with its place.
func quoted(file, data string, n int) source.Text {
	start := 0
	for ; n >= 0; n-- {
		start += strings.IndexByte(data[start:], '"')
		end := start + 1 + strings.IndexByte(data[start+1:], '"') + 1
		if n == 0 {
			return source.Literal(data[start+1:end-1]).At(source.NewLines(file, []byte(data)).At(start), source.Span{Start: start, End: end})
		}
		start = end
	}
	panic("unreachable")
}

func reasons(r fix.Result) string {
	var out []string
	for _, u := range r.Unchanged {
		out = append(out, u.Reason)
	}
	return strings.Join(out, "; ")
}

func TestAzure(t *testing.T) {
	read := func(file string) func(string) *inventory.Inventory {
		return func(data string) *inventory.Inventory {
			return &inventory.Inventory{Azure: []inventory.AzureApplication{{
				Address:     "app",
				Credentials: []inventory.AzureCredential{{Subject: quoted(file, data, 0), Name: quoted(file, data, 1)}},
			}}}
		}
	}
	const text = "subject = \"repo:octo-org/octo-repo:environment:prod\"\nname = \"deploy\"\n"
	for _, c := range []struct {
		name, file   string
		add          bool
		want, reason string
	}{
		{"Terraform", "a.tf", false, strings.ReplaceAll(text, "octo-org/octo-repo", "octo-org@65/octo-repo@74"), ""},
		{"beside", "a.tf", true, text, "one subject"},
		{"what az prints", "a.json", false, text, "az ad app federated-credential update"},
		{"what az prints, beside", "a.json", true, text, "az ad app federated-credential create"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, r := one(t, c.file, text, fix.Options{To: fix.IDs, Add: c.add}, read(c.file))
			if got != c.want || !strings.Contains(reasons(r), c.reason) || c.reason == "" && reasons(r) != "" {
				t.Errorf("%q, %s", got, reasons(r))
			}
		})
	}
}

// TestShared: a policy that several roles have is edited once.
func TestShared(t *testing.T) {
	policy := trust("StringLike", `"repo:octo-org/octo-repo:*"`)
	read := func(data string) *inventory.Inventory {
		inv := &inventory.Inventory{}
		for _, address := range []string{"one", "two"} {
			nodes, err := source.ParseJSON("trust.json", []byte(data))
			if err != nil {
				return &inventory.Inventory{Problems: []error{err}}
			}
			inv.Roles = append(inv.Roles, inventory.Role{Address: address, Trust: inventory.ParsePolicy(nodes[0])})
		}
		return inv
	}
	got, r := one(t, "trust.json", policy, fix.Options{To: fix.IDs, Add: true}, read)
	if want := trust("StringLike", `["repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*"]`); got != want {
		t.Errorf("got %s", got)
	}
	if len(r.Files) != 1 || len(r.Files[0].Changes) != 1 || len(r.Unchanged) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestNotProved: an edit is proposed only if the file says what is wanted
// afterwards. Here it says something else each time.
func TestNotProved(t *testing.T) {
	policy := trust("StringLike", `["repo:octo-org/octo-repo:*", "repo:octo-org/other:*"]`)
	for name, spoil := range map[string]func(data string) string{
		"another value":     func(s string) string { return strings.ReplaceAll(s, "@7", "@8") },
		"another operator":  func(s string) string { return strings.Replace(s, "StringLike", "StringEquals", 1) },
		"another principal": func(s string) string { return strings.Replace(s, "111111111111", "222222222222", 1) },
		"another effect":    func(s string) string { return strings.Replace(s, "Allow", "Deny", 1) },
		"not JSON":          func(s string) string { return s + "{" },
	} {
		t.Run(name, func(t *testing.T) {
			read := func(data string) *inventory.Inventory {
				if data != policy {
					data = spoil(data)
				}
				return load(map[string][]byte{"trust.json": []byte(data)})
			}
			got, r := one(t, "trust.json", policy, fix.Options{To: fix.IDs}, read)
			if got != policy || len(r.Files) != 0 || strings.Count(reasons(r), "change it by hand") != 2 {
				t.Errorf("%s, %s", got, reasons(r))
			}
		})
	}
}

// TestOneOfTwo: where one edit cannot be made, the other one is.
func TestOneOfTwo(t *testing.T) {
	good, bad := trust("StringLike", `"repo:octo-org/octo-repo:*"`), trust("StringLike", `"repo:octo-org/other:*"`)
	read := func(data string) *inventory.Inventory {
		return load(map[string][]byte{"trust.json": []byte(strings.Replace(data, "other@75", "x", 1))})
	}
	got, r := one(t, "trust.json", good+bad, fix.Options{To: fix.IDs}, read)
	if got != trust("StringLike", `"repo:octo-org@65/octo-repo@74:*"`)+bad || strings.Count(reasons(r), "by hand") != 1 {
		t.Errorf("%s, %s", got, reasons(r))
	}
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		key, text string
		changes   bool
		reason    string
	}{
		{"TOKEN.actions.githubusercontent.com:SUB", "", true, ""},
		{"token.actions.githubusercontent.com/octo:sub", "", true, ""},
		{"token.actions.octo.ghe.com:sub", "", true, ""},
		{"ghes.example.com/_services/token:sub", "", false, "GitHub Enterprise Server"},
		{"token.actions.githubusercontent.com:job_workflow_ref", "", false, ""},
		{"token.actions.githubusercontent.com:aud", "", false, ""},
	} {
		t.Run(c.key, func(t *testing.T) {
			policy := strings.Replace(trust("StringLike", `"repo:octo-org/octo-repo:*"`), "token.actions.githubusercontent.com:sub", c.key, 1)
			got, r := migrate(t, policy, fix.Options{To: fix.IDs})
			if (got != policy) != c.changes || !strings.Contains(reasons(r), c.reason) || c.reason == "" && reasons(r) != "" {
				t.Errorf("%s, %s", got, reasons(r))
			}
		})
	}
}

// TestUnknown: what only a deployment tells stays, and is named where it may
// be a repository.
func TestUnknown(t *testing.T) {
	read := func(data string) *inventory.Inventory {
		inv := load(map[string][]byte{"trust.json": []byte(data)})
		statement := &inv.Roles[0].Trust.Statements[0]
		text := source.Join(source.Literal("repo:"), source.UnknownText("${var.org}"), source.Literal("/octo-repo:*"))
		statement.Conditions[0].Values.List[0] = text
		statement.Node.Get("Condition").Get("StringLike").Get("token.actions.githubusercontent.com:sub").Items[0].Text = text
		return inv
	}
	policy := trust("StringLike", `["?", "repo:octo-org/octo-repo:*"]`)
	got, r := one(t, "trust.json", policy, fix.Options{To: fix.IDs}, read)
	if got != trust("StringLike", `["?", "repo:octo-org@65/octo-repo@74:*"]`) || !strings.Contains(reasons(r), "${var.org}") {
		t.Errorf("%s, %s", got, reasons(r))
	}
}

// TestPlan: what Terraform prints is no source.
func TestPlan(t *testing.T) {
	policy := strings.Replace(trust("StringLike", `"repo:octo-org/octo-repo:*"`), "{", `{"terraform_version": "1.9.0", "planned_values": {},`, 1)
	got, r := migrate(t, policy, fix.Options{To: fix.IDs})
	if got != policy || !strings.Contains(reasons(r), "plan of Terraform") {
		t.Errorf("%s, %s", got, reasons(r))
	}
}

// TestBroker: the broker's own rules compare subjects too.
func TestBroker(t *testing.T) {
	const text = `{"issuers": {"github": {"only": {"sub": "repo:octo-org/*"}}},
 "rules": [{"name": "deploy", "match": {"sub": ["repo:octo-org/octo-repo:*", "repo:acme/app:*"]}}, {"name": "any"}]}`
	got, r := one(t, "stint.json", text, fix.Options{To: fix.IDs, Add: true}, readConfig)
	want := strings.Replace(text, `"repo:octo-org/*"`, `["repo:octo-org/*", "repo:octo-org@65/*"]`, 1)
	want = strings.Replace(want, `"repo:octo-org/octo-repo:*", `, `"repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*", `, 1)
	if got != want || reasons(r) != "no ids were given for acme/app" || r.Unchanged[0].Subject != "rule deploy" {
		t.Errorf("%s, %+v", got, r.Unchanged)
	}
}

func readConfig(data string) *inventory.Inventory {
	nodes, err := source.ParseJSON("stint.json", []byte(data))
	if err != nil {
		return &inventory.Inventory{Problems: []error{err}}
	}
	return &inventory.Inventory{Configs: []inventory.Configuration{{File: "stint.json", Root: nodes[0]}}}
}
