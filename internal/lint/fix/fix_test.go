package fix_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/lint"
	"github.com/stint-dev/stint/internal/lint/fix"
	"github.com/stint-dev/stint/internal/source"
)

var given = map[string]lint.Repository{
	"octo-org/octo-repo": {OwnerID: "65", ID: "74"},
	"octo-org/other":     {OwnerID: "65", ID: "75"},
	"octo-org/old":       {OwnerID: "65", ID: "76", IDsInSubject: source.No},
	"octo-org/new":       {OwnerID: "65", ID: "77", IDsInSubject: source.Yes},
}

// load is an inventory of files that hold a trust policy each.
func load(files map[string][]byte) *inventory.Inventory {
	inv := &inventory.Inventory{}
	for name, data := range files {
		values, err := source.ParseJSON(name, data)
		if err != nil {
			inv.Problems = append(inv.Problems, err)
			continue
		}
		inv.Files = append(inv.Files, name)
		for _, v := range values {
			inv.Roles = append(inv.Roles, inventory.Role{Position: v.Position, Trust: inventory.ParsePolicy(v)})
		}
	}
	return inv
}

func migrate(t testing.TB, file string, o fix.Options) (string, fix.Result) {
	t.Helper()
	files := map[string][]byte{"trust.json": []byte(file)}
	o.Read = func(name string) ([]byte, error) {
		if data, ok := files[name]; ok {
			return data, nil
		}
		return nil, errors.New("no such file")
	}
	o.Load = func(changed map[string][]byte) *inventory.Inventory {
		for name := range changed {
			if _, ok := files[name]; !ok {
				t.Fatalf("%s is not among the files", name)
			}
		}
		if data, ok := changed["trust.json"]; ok {
			return load(map[string][]byte{"trust.json": data})
		}
		return load(files)
	}
	if o.Repositories == nil {
		o.Repositories = given
	}
	r := fix.Migrate(load(files), o)
	if len(r.Files) == 0 {
		return file, r
	}
	return string(r.Files[0].New), r
}

// trust is a policy with these values, written as they stand here.
func trust(operator, values string) string {
	return strings.NewReplacer("OPERATOR", operator, "VALUES", values).Replace(`{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"},
    "Action": "sts:AssumeRoleWithWebIdentity",
    "Condition": {
      "OPERATOR": {"token.actions.githubusercontent.com:sub": VALUES},
      "Null": {"token.actions.githubusercontent.com:aud": "false"}
    }
  }]
}
`)
}

func TestValues(t *testing.T) {
	const like = "StringLike"
	for _, c := range []struct {
		name     string
		operator string
		to       fix.Form
		add      bool
		old, new string
		reason   string // of what stays
	}{
		{"a repository", like, fix.IDs, false, `"repo:octo-org/octo-repo:*"`, `"repo:octo-org@65/octo-repo@74:*"`, ""},
		{"beside", like, fix.IDs, true, `"repo:octo-org/octo-repo:*"`, `["repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*"]`, ""},
		{"in a list", like, fix.IDs, true, `["repo:octo-org/octo-repo:*", "repo:octo-org/other:*"]`,
			`["repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*", "repo:octo-org/other:*", "repo:octo-org@65/other@75:*"]`, ""},
		{"the second step", like, fix.IDs, false, `["repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*", "repo:octo-org/other:*", "repo:octo-org@65/other@75:*"]`,
			`["repo:octo-org@65/octo-repo@74:*", "repo:octo-org@65/other@75:*"]`, ""},
		{"the new ones first", like, fix.IDs, false, `["repo:octo-org@65/octo-repo@74:*", "repo:octo-org@65/other@75:*", "repo:octo-org/octo-repo:*", "repo:octo-org/other:*"]`,
			`["repo:octo-org@65/octo-repo@74:*", "repo:octo-org@65/other@75:*"]`, ""},
		{"back to names", like, fix.Names, false, `"repo:octo-org@65/octo-repo@74:*"`, `"repo:octo-org/octo-repo:*"`, ""},
		{"back without ids", like, fix.Names, false, `"repo:a@1/b@2:*"`, `"repo:a/b:*"`, ""},
		{"names beside", like, fix.Names, true, `["repo:octo-org@65/octo-repo@74:*"]`, `["repo:octo-org@65/octo-repo@74:*", "repo:octo-org/octo-repo:*"]`, ""},
		{"any id", like, fix.IDs, false, `"repo:octo-org@*/octo-repo@*:*"`, `"repo:octo-org@65/octo-repo@74:*"`, ""},
		{"an organization", like, fix.IDs, false, `"repo:octo-org/*"`, `"repo:octo-org@65/*"`, ""},
		{"an organization's branch", like, fix.IDs, false, `"repo:octo-org/*:ref:refs/heads/main"`, `"repo:octo-org@65/*:ref:refs/heads/main"`, ""},
		{"a prefix of a repository", like, fix.IDs, false, `"repo:octo-org/app-*:environment:prod"`, `"repo:octo-org@65/app-*:environment:prod"`, ""},
		{"an organization to names", like, fix.Names, false, `"repo:octo-org@65/*"`, `"repo:octo-org/*"`, ""},
		{"a stint token", "StringEquals", fix.IDs, false, `"github:repo:octo-org/octo-repo:environment:prod"`, `"github:repo:octo-org@65/octo-repo@74:environment:prod"`, ""},
		{"any letter case", "StringEqualsIgnoreCase", fix.IDs, false, `"repo:Octo-Org/octo-repo:ref:refs/heads/main"`, `"repo:Octo-Org@65/octo-repo@74:ref:refs/heads/main"`, ""},
		{"a negated operator", "StringNotLike", fix.IDs, true, `"repo:octo-org/octo-repo:*"`, `["repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*"]`, ""},
		{"a negated operator keeps both", "StringNotLike", fix.IDs, false, `"repo:octo-org/octo-repo:*"`, `["repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*"]`, ""},
		{"a negated operator keeps both names", "ForAllValues:StringNotEqualsIgnoreCaseIfExists", fix.Names, false, `["repo:octo-org@65/octo-repo@74:environment:prod"]`, `["repo:octo-org@65/octo-repo@74:environment:prod", "repo:octo-org/octo-repo:environment:prod"]`, ""},
		{"a negated operator has both", "StringNotLike", fix.IDs, false, `["repo:octo-org@65/octo-repo@74:*", "repo:octo-org/octo-repo:*"]`, "", ""},
		{"a negated operator for tokens without ids", "StringNotLike", fix.IDs, false, `["repo:octo-org/old:*"]`, `["repo:octo-org/old:*", "repo:octo-org@65/old@76:*"]`, ""},
		{"if it exists", "ForAnyValue:StringLikeIfExists", fix.IDs, false, `"repo:octo-org/octo-repo:*"`, `"repo:octo-org@65/octo-repo@74:*"`, ""},
		{"some stay", like, fix.IDs, false, `["repo:octo-org/octo-repo:*", "repo:acme/app:*"]`, `["repo:octo-org@65/octo-repo@74:*", "repo:acme/app:*"]`, "no ids were given for acme/app"},
		{"tokens that have ids", like, fix.IDs, false, `"repo:octo-org/new:*"`, `"repo:octo-org@65/new@77:*"`, ""},

		{"done", like, fix.IDs, false, `"repo:octo-org@65/octo-repo@74:*"`, "", ""},
		{"done beside", like, fix.IDs, true, `["repo:octo-org/octo-repo:*", "repo:octo-org@65/octo-repo@74:*"]`, "", ""},
		{"names are names", like, fix.Names, false, `"repo:octo-org/octo-repo:*"`, "", ""},
		{"a customized subject", like, fix.IDs, false, `"environment:prod:repo:octo-org/octo-repo"`, "", ""},
		{"GitLab", like, fix.IDs, false, `"project_path:octo-org/octo-repo:*"`, "", ""},
		{"no ids given", like, fix.IDs, false, `"repo:acme/app:*"`, "", "no ids were given for acme/app"},
		{"no ids given for an organization", like, fix.IDs, false, `"repo:acme/*"`, "", "any repository of acme"},
		{"the owner is not closed", like, fix.IDs, false, `"repo:octo-org*"`, "", "names no single owner"},
		{"any owner", like, fix.IDs, false, `"repo:*/octo-repo:*"`, "", "names no single owner"},
		{"a pattern inside", like, fix.IDs, false, `"repo:octo-org/*-prod:*"`, "", "does not end with *"},
		{"one letter", like, fix.IDs, false, `"repo:octo-org/octo-rep?:*"`, "", "does not end with *"},
		{"a dead wildcard", "StringEquals", fix.IDs, false, `"repo:octo-org/octo-repo:*"`, "", "no meaning without StringLike"},
		{"another letter case", like, fix.IDs, false, `"repo:Octo-Org/octo-repo:*"`, "", "the repository is octo-org/octo-repo, and subjects"},
		{"another letter case of a repository", like, fix.IDs, false, `"repo:octo-org/Octo-Repo:*"`, "", "the repository is octo-org/octo-repo, and subjects"},
		{"another letter case of an owner", like, fix.IDs, false, `"repo:Octo-Org/unlisted:*"`, "", "the owner is octo-org, and subjects"},
		{"another letter case of an owner, any repository", like, fix.IDs, false, `"repo:Octo-Org/*"`, "", "the owner is octo-org, and subjects"},
		{"another owner's id", like, fix.IDs, false, `"repo:octo-org@66/octo-repo@74:*"`, "", "owner's id is 66"},
		{"another repository's id", like, fix.Names, false, `"repo:octo-org@65/octo-repo@99:*"`, "", "repository's id is 99"},
		{"half of the ids", like, fix.IDs, false, `"repo:octo-org@65/octo-repo:*"`, "", "only one of"},
		{"not an id", like, fix.IDs, false, `"repo:octo-org@6x/octo-repo@74:*"`, "", "neither an id nor *"},
		{"tokens without ids", like, fix.IDs, false, `"repo:octo-org/old:*"`, "", "keep both with --add"},
		{"names where tokens have ids", like, fix.Names, false, `"repo:octo-org@65/new@77:*"`, "", "keep both with --add"},
		{"a policy variable", like, fix.IDs, false, `"repo:octo-org/octo-repo:${aws:username}"`, "", "policy variable"},
		{"an escape of JSON", like, fix.IDs, false, `"repo:octo-org\/octo-repo:*"`, "", "does not stand in this file as it is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := trust(c.operator, c.old)
			want := old
			if c.new != "" {
				want = trust(c.operator, c.new)
			}
			got, r := migrate(t, old, fix.Options{To: c.to, Add: c.add})
			if got != want {
				t.Errorf("got %s", got)
			}
			var reasons []string
			for _, u := range r.Unchanged {
				reasons = append(reasons, u.Reason)
			}
			if all := strings.Join(reasons, "; "); !strings.Contains(all, c.reason) || c.reason == "" && all != "" {
				t.Errorf("reasons %q, want %q", all, c.reason)
			}
			again, r := migrate(t, got, fix.Options{To: c.to, Add: c.add})
			if again != got || len(r.Files) != 0 {
				t.Errorf("done twice, it gives %s", again)
			}
		})
	}
}

// TestLayout keeps what surrounds a value.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		name     string
		add      bool
		old, new string
	}{
		{"lines", true, "[\n  \"repo:octo-org/octo-repo:*\",\n\t\"repo:octo-org/other:*\"\n]",
			"[\n  \"repo:octo-org/octo-repo:*\",\n  \"repo:octo-org@65/octo-repo@74:*\",\n\t\"repo:octo-org/other:*\",\n\t\"repo:octo-org@65/other@75:*\"\n]"},
		{"line ends", true, "[\r\n  \"repo:octo-org/octo-repo:*\"\r\n]",
			"[\r\n  \"repo:octo-org/octo-repo:*\",\r\n  \"repo:octo-org@65/octo-repo@74:*\"\r\n]"},
		{"lines that go", false, "[\n  \"repo:octo-org@65/octo-repo@74:*\",\n  \"repo:octo-org@65/other@75:*\",\n  \"repo:octo-org/octo-repo:*\",\n  \"repo:octo-org/other:*\"\n]",
			"[\n  \"repo:octo-org@65/octo-repo@74:*\",\n  \"repo:octo-org@65/other@75:*\"\n]"},
		{"a comma first", true, "[\n  \"repo:octo-org/octo-repo:*\"\n  , \"repo:octo-org/other:*\"]",
			"[\n  \"repo:octo-org/octo-repo:*\",\n  \"repo:octo-org@65/octo-repo@74:*\"\n  , \"repo:octo-org/other:*\", \"repo:octo-org@65/other@75:*\"]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := migrate(t, trust("StringLike", c.old), fix.Options{To: fix.IDs, Add: c.add})
			if got != trust("StringLike", c.new) {
				t.Errorf("got %q", got)
			}
		})
	}
}
