package terraform_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/terraform"
)

// shape writes a value; what is not known stands in angle brackets.
func shapeOf(n *source.Node) string {
	if n == nil {
		return "nothing"
	}
	open := ""
	if n.Open {
		open = " ..."
	}
	switch n.Kind {
	case source.KindList:
		var items []string
		for _, i := range n.Items {
			items = append(items, shapeOf(i))
		}
		return "[" + strings.Join(items, " ") + open + "]"
	case source.KindMap:
		var fields []string
		for _, f := range n.Fields {
			fields = append(fields, showText(f.Key)+":"+shapeOf(f.Value))
		}
		return "{" + strings.Join(fields, " ") + open + "}"
	case source.KindNull:
		return "null"
	}
	return showText(n.Text)
}

func showText(t source.Text) string {
	var b strings.Builder
	for _, p := range t.Parts {
		switch {
		case p.Resource != "":
			fmt.Fprintf(&b, "<%s of %s>", p.Attribute, p.Resource)
		case p.Unknown != "":
			fmt.Fprintf(&b, "<%s>", strings.TrimSuffix(strings.TrimPrefix(p.Unknown, "${"), "}"))
		default:
			b.WriteString(p.Literal)
		}
	}
	return b.String()
}

func parseAll(t *testing.T, files map[string]string) ([]source.Resource, []error) {
	t.Helper()
	folders := map[string]map[string][]byte{}
	for name, text := range files {
		dir := "."
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			dir = name[:i]
		}
		if folders[dir] == nil {
			folders[dir] = map[string][]byte{}
		}
		folders[dir][name] = []byte(text)
	}
	modules, err := terraform.ParseModules(folders)
	var all []source.Resource
	for _, m := range modules {
		all = append(all, m.Resources...)
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return all, j.Unwrap()
	}
	if err != nil {
		return all, []error{err}
	}
	return all, nil
}

const head = `
variable "org" { default = "octo-org" }
variable "repo" { type = string }
variable "repos" { default = ["a", "b"] }
variable "set" {}
variable "envs" { default = { prod = "1", test = "2" } }
locals {
  host  = "token.actions.githubusercontent.com"
  name  = "${var.org}/app"
  loopy = local.loop
  loop  = local.loopy
}
resource "aws_iam_openid_connect_provider" "github" {
  url = "https://token.actions.githubusercontent.com"
}
resource "aws_iam_role" "many" {
  for_each = toset(var.repos)
  name     = "deploy-${each.key}"
}
resource "aws_iam_role" "two" {
  count = 2
  name  = "r${count.index}"
}
resource "x" "y" {
  v = `

func TestLanguage(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{`"plain"`, "plain"},
		{`1.50`, "1.5"},
		{`true`, "true"},
		{`var.org`, "octo-org"},
		{`var.repo`, "<var.repo>"},
		{`var.set`, "fromfile"},
		{`var.undeclared`, "<var.undeclared>"},
		{`"repo:${var.org}/${var.repo}:*"`, "repo:octo-org/<var.repo>:*"},
		{`local.name`, "octo-org/app"},
		{`"${local.host}:sub"`, "token.actions.githubusercontent.com:sub"},
		{`aws_iam_openid_connect_provider.github.arn`, "<arn of aws_iam_openid_connect_provider.github>"},
		{`replace(aws_iam_openid_connect_provider.github.url, "https://", "")`, "token.actions.githubusercontent.com"},
		{`aws_iam_role.many["a"].name`, "deploy-a"},
		{`aws_iam_role.many["a"].arn`, `<arn of aws_iam_role.many["a"]>`},
		{`aws_iam_role.two[1].name`, "r1"},
		{`data.aws_caller_identity.me.account_id`, "<data.aws_caller_identity.me.account_id>"},
		{`terraform.workspace`, "<terraform.workspace>"},
		{`[for r in var.repos : "repo:${var.org}/${r}:*"]`, "[repo:octo-org/a:* repo:octo-org/b:*]"},
		{`[for r in var.repos : r if r != "a"]`, "[b]"},
		{`{ for k, v in var.envs : v => k }`, "{1:prod 2:test}"},
		{`[for r in var.repo : r]`, `<[for r in var.repo : r]>`},
		{`var.repos[1]`, "b"},
		{`var.envs["prod"]`, "1"},
		{`var.envs.test`, "2"},
		{`[{ a = 1 }, { a = 2 }][*].a`, "[1 2]"},
		{`var.org == "octo-org" ? "yes" : "no"`, "yes"},
		{`var.repo == "x" ? "yes" : "no"`, `<var.repo == "x" ? "yes" : "no">`},
		{`var.repo == "x" ? "same" : "same"`, "same"},
		{`!(1 < 2 && true)`, "false"},
		{`2 * 3 + 1`, "7"},
		{`jsonencode({ Version = "2012-10-17", Statement = [{ "${local.host}:sub" = var.repo }] })`, "{Version:2012-10-17 Statement:[{token.actions.githubusercontent.com:sub:<var.repo>}]}"},
		{`{ "${var.repo}:sub" = 1 }`, "{<var.repo>:sub:1}"},
		{`jsondecode("{\"a\": [1]}")`, "{a:[1]}"},
		{`formatlist("repo:%s/%s:*", var.org, var.repos)`, "[repo:octo-org/a:* repo:octo-org/b:*]"},
		{`format("%s-%s%%", var.org, var.repo)`, "octo-org-<var.repo>%"},
		{`join(",", var.repos)`, "a,b"},
		{`join("-", ["a", var.repo])`, "a-<var.repo>"},
		{`split("/", local.name)[0]`, "octo-org"},
		{`concat(var.repos, [var.repo])`, "[a b <var.repo>]"},
		{`concat(["a"], var.set_of)`, "[a ...]"},
		{`merge({ a = 1 }, { b = 2, a = 3 })`, "{a:3 b:2}"},
		{`flatten([["a"], ["b", ["c"]]])`, "[a b c]"},
		{`distinct(["a", "a"])`, "[a]"},
		{`lower(upper("Ab"))`, "ab"},
		{`lookup(var.envs, "none", "d")`, "d"},
		{`keys(var.envs)`, "[prod test]"},
		{`length(var.repos)`, "2"},
		{`try(var.org, "x")`, "octo-org"},
		{`file("trust.json")`, `<file("trust.json")>`},
		{`sha1("a")`, `<sha1("a")>`},
		{"<<EOT\na ${var.org}\nb\nEOT", "a octo-org\nb\n"},
		{`"%{for r in var.repos}${r};%{endfor}"`, "a;b;"},
		{`"%{if var.org == "x"}yes%{else}no%{endif}"`, "no"},
	} {
		resources, errs := parseAll(t, map[string]string{"main.tf": head + test.value + "\n}\n", "terraform.tfvars": `set = "fromfile"`})
		for _, err := range errs {
			t.Errorf("%s: %v", test.value, err)
		}
		i := slices.IndexFunc(resources, func(r source.Resource) bool { return r.Address == "x.y" })
		if i < 0 {
			t.Errorf("%s: the resource is not there", test.value)
			continue
		}
		if got := shapeOf(resources[i].Values.Get("v")); got != test.want {
			t.Errorf("%s: found %s, expected %s", test.value, got, test.want)
		}
	}
}

// FuzzPlaces asserts that every place lies in the file, that a span holds the
// text that is said to stand there, and that nothing grows without bound.
func FuzzPlaces(f *testing.F) {
	f.Add(head + "formatlist(\"%s\", [for r in var.repos : r])\n}\n")
	f.Add("data \"aws_iam_policy_document\" \"d\" {\n  statement {\n    actions = [\"a\"]\n  }\n}\n")
	f.Add("module \"m\" {\n  source = \"./m\"\n  count = 3\n}\n")
	f.Add("resource \"\" \"\" {\nA=0\n} ")
	f.Add("locals {\n  a = <<-E\n   x ${local.b}\n  E\n  b = { for k, v in { a = 1 } : k => v... }\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		modules, _ := terraform.ParseModules(map[string]map[string][]byte{".": {"main.tf": []byte(text)}, "m": {"m/main.tf": []byte("variable \"a\" {}\n")}})
		lines := strings.Count(text, "\n") + 1
		nodes := 0
		var check func(n *source.Node)
		check = func(n *source.Node) {
			if nodes++; nodes > 10_000_000 {
				t.Fatalf("%d bytes grew over ten million values", len(text))
			}
			if n.Position.File == "main.tf" && (n.Position.Line < 1 || n.Position.Line > lines) {
				t.Fatalf("%v is outside of %d lines", n.Position, lines)
			}
			if s := n.Text.Span; n.Kind == source.KindString && s != (source.Span{}) && n.Text.Position.File == "main.tf" {
				if s.Start < 0 || s.End > len(text) || s.End-s.Start < 2 || text[s.Start] != '"' || text[s.End-1] != '"' {
					t.Fatalf("%q is said to stand at %v", n.Text, s)
				}
				if raw := text[s.Start+1 : s.End-1]; !strings.ContainsAny(raw, `\$%`) && raw != n.Text.String() && strings.ToValidUTF8(raw, "") == raw && isASCII(raw) {
					t.Fatalf("%q stands where %q is said to", raw, n.Text)
				}
			}
			for _, i := range n.Items {
				check(i)
			}
			for _, f := range n.Fields {
				check(f.Value)
			}
		}
		for _, m := range modules {
			for _, r := range m.Resources {
				check(r.Values)
			}
		}
	})
}

// isASCII leaves out what Terraform normalizes (NFC).
func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 126 }) < 0
}

// TestDynamicInJSON: what a dynamic block of a .tf.json file makes is not known,
// and not that it makes nothing.
func TestDynamicInJSON(t *testing.T) {
	resources, errs := parseAll(t, map[string]string{"main.tf.json": `{"data": {"aws_iam_policy_document": {"d": {"dynamic": {"statement": {"for_each": "${var.x}", "content": {}}}}}},
  "resource": {"aws_iam_role": {"r": {"name": "r", "assume_role_policy": "${data.aws_iam_policy_document.d.json}"}}}}`})
	i := slices.IndexFunc(resources, func(r source.Resource) bool { return r.Address == "aws_iam_role.r" })
	if len(errs) > 0 || i < 0 {
		t.Fatalf("found %v, %v", resources, errs)
	}
	if s := resources[i].Values.Get("assume_role_policy").Get("Statement"); s == nil || !s.Open && s.Kind != source.KindUnknown {
		t.Errorf("the statements are closed: %s", shapeOf(s))
	}
}
