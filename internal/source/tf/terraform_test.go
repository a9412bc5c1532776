package terraform_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/tf"
)

// shape writes a value; what is not known stands in angle brackets.
func shape(n *source.Node) string {
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
			items = append(items, shape(i))
		}
		return "[" + strings.Join(items, " ") + open + "]"
	case source.KindMap:
		var fields []string
		for _, f := range n.Fields {
			fields = append(fields, shown(f.Key)+":"+shape(f.Value))
		}
		return "{" + strings.Join(fields, " ") + open + "}"
	case source.KindNull:
		return "null"
	}
	return shown(n.Text)
}

func shown(t source.Text) string {
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

func parse(t *testing.T, files map[string]string) ([]source.Resource, []error) {
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
	modules, errs := terraform.Parse(folders)
	var all []source.Resource
	for _, m := range modules {
		all = append(all, m.Resources...)
	}
	return all, errs
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

func TestExpressions(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{`"plain"`, "plain"},
		{`1.50`, "1.5"},
		{`true`, "true"},
		{`null`, "null"},
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
		resources, errs := parse(t, map[string]string{"main.tf": head + test.value + "\n}\n", "terraform.tfvars": `set = "fromfile"`})
		for _, err := range errs {
			t.Errorf("%s: %v", test.value, err)
		}
		i := slices.IndexFunc(resources, func(r source.Resource) bool { return r.Address == "x.y" })
		if i < 0 {
			t.Errorf("%s: the resource is not there", test.value)
			continue
		}
		if got := shape(resources[i].Values.Get("v")); got != test.want {
			t.Errorf("%s: found %s, expected %s", test.value, got, test.want)
		}
	}
}

func TestInstances(t *testing.T) {
	resources, errs := parse(t, map[string]string{"main.tf": `
variable "n" {}
variable "names" {}
resource "a" "count" { count = 2 }
resource "a" "none" { count = 0 }
resource "a" "some" {
  count = var.n
  v     = "x-${count.index}"
}
resource "a" "each" {
  for_each = { k = "v" }
  v        = "${each.key}=${each.value}"
}
resource "a" "open" {
  for_each = var.names
  v        = "repo:${each.key}"
}
`})
	var got []string
	for _, r := range resources {
		got = append(got, r.Address+" "+shape(r.Values.Get("v")))
	}
	want := []string{`a.count[0] nothing`, `a.count[1] nothing`, `a.some[?] x-<count.index>`, `a.each["k"] k=v`, `a.open[?] repo:<each.key>`}
	if !slices.Equal(got, want) || len(errs) > 0 {
		t.Errorf("found\n%s\nexpected\n%s\n%v", strings.Join(got, "\n"), strings.Join(want, "\n"), errs)
	}
}

func TestPolicyDocument(t *testing.T) {
	resources, errs := parse(t, map[string]string{"main.tf": `
variable "subs" { default = ["repo:octo-org/a:*"] }
variable "more" {}
data "aws_iam_policy_document" "base" {
  statement {
    sid     = "Base"
    actions = ["s3:GetObject"]
  }
}
data "aws_iam_policy_document" "trust" {
  source_policy_documents = [data.aws_iam_policy_document.base.json]
  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.g.arn]
    }
    dynamic "principals" {
      for_each = ["arn:aws:iam::111111111111:root"]
      content {
        type        = "AWS"
        identifiers = [principals.value]
      }
    }
    condition {
      test     = "StringLike"
      variable = "token.actions.githubusercontent.com:sub"
      values   = var.subs
    }
    condition {
      test     = "StringLike"
      variable = "token.actions.githubusercontent.com:sub"
      values   = ["&{aws:PrincipalTag/x}"]
    }
  }
  statement {
    sid    = "Everybody"
    effect = "Deny"
    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
  dynamic "statement" {
    for_each = var.more
    content {}
  }
}
resource "aws_iam_openid_connect_provider" "g" { url = "https://token.actions.githubusercontent.com" }
resource "aws_iam_role" "r" { assume_role_policy = data.aws_iam_policy_document.trust.json }
`})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	i := slices.IndexFunc(resources, func(r source.Resource) bool { return r.Address == "aws_iam_role.r" })
	trust := resources[i].Values.Get("assume_role_policy")
	want := "{Version:2012-10-17 Statement:[{Sid:Base Effect:Allow Action:[s3:GetObject]}" +
		" {Effect:Allow Action:[sts:AssumeRoleWithWebIdentity] Principal:{Federated:[<arn of aws_iam_openid_connect_provider.g>] AWS:[arn:aws:iam::111111111111:root]}" +
		" Condition:{StringLike:{token.actions.githubusercontent.com:sub:[repo:octo-org/a:* ${aws:PrincipalTag/x}]}}}" +
		" {Sid:Everybody Effect:Deny Principal:*} ...]}"
	if got := shape(trust); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	sub := trust.Get("Statement").Items[1].Get("Condition").Get("StringLike").Fields[0].Value.Items[0]
	if p := sub.Position; p.File != "main.tf" || p.Line != 2 || p.Column != 30 {
		t.Errorf("the subject stands at %v, expected main.tf:2:30", p)
	}
}

func TestModules(t *testing.T) {
	resources, errs := parse(t, map[string]string{
		"live/main.tf": `
module "ci" {
  for_each = toset(["a"])
  source   = "../modules/role"
  repo     = "octo-org/${each.key}"
}
module "remote" {
  source = "terraform-aws-modules/iam/aws"
}
resource "x" "y" {
  v = [module.ci["a"].sub, module.ci["a"].arn, module.remote.arn]
}
`,
		"modules/role/main.tf": `
variable "repo" {}
resource "aws_iam_role" "r" { name = "r-${var.repo}" }
output "sub" { value = "repo:${var.repo}:*" }
output "arn" { value = aws_iam_role.r.arn }
`})
	var got []string
	for _, r := range resources {
		got = append(got, r.Address+" "+shape(r.Values.Get("v"))+shape(r.Values.Get("name")))
	}
	want := []string{
		`x.y [repo:octo-org/a:* <arn of module.ci["a"].aws_iam_role.r> <module.remote.arn>]nothing`,
		`module.ci["a"].aws_iam_role.r nothingr-octo-org/a`,
	}
	if !slices.Equal(got, want) || len(errs) > 0 {
		t.Errorf("found\n%s\nexpected\n%s\n%v", strings.Join(got, "\n"), strings.Join(want, "\n"), errs)
	}
}

func TestMistakes(t *testing.T) {
	doubling := "locals {\n  a0 = \"" + strings.Repeat("x", 1000) + "\"\n"
	for i := range 40 {
		doubling += fmt.Sprintf("  a%d = \"${local.a%d}${local.a%d}\"\n", i+1, i, i)
	}
	doubling += "}\nresource \"x\" \"y\" {\n  v = local.a40\n}\n"
	for _, test := range []struct {
		name, text, at string
		others         int // resources of another file that are read nevertheless
	}{
		{"a syntax error", "resource \"x\" {\n", "main.tf:", 1},
		{"a cycle of locals", "locals {\n  a = local.b\n  b = local.a\n}\nresource \"x\" \"y\" {\n  v = local.a\n}", "main.tf:", 2},
		{"a resource twice", "resource \"x\" \"y\" {}\nresource \"x\" \"y\" {}", "main.tf:2:1: x.y stands twice", 2},
		{"a module of itself", "module \"m\" {\n  source = \"./\"\n}", "main.tf:1:1: the module m calls itself", 1},
		{"a text that doubles", doubling, "main.tf:", 2},
		{"deep brackets", "locals {\n  a = " + strings.Repeat("[", 400) + strings.Repeat("]", 400) + "\n}", "main.tf:2:", 1},
		{"too many instances", "resource \"x\" \"y\" {\n  count = 100000\n}", "main.tf:2:3: expected at most 1000", 1001},
		{"no UTF-8", "locals {\n  a = \"\xff\"\n}", "main.tf:2:8: not valid UTF-8", 1},
		{"too few arguments", "resource \"x\" \"y\" {\n  v = join()\n}", "main.tf:2:7: join: expected", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			resources, errs := parse(t, map[string]string{"main.tf": test.text, "other.tf": `resource "o" "o" {}`})
			if len(errs) == 0 || !strings.HasPrefix(errs[0].Error(), test.at) {
				t.Errorf("found %v, expected one at %s", errs, test.at)
			}
			if len(resources) != test.others {
				t.Errorf("found %d resources, expected %d", len(resources), test.others)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	const plan = `{"format_version": "1.2", "planned_values": {"root_module": {
  "resources": [{"address": "aws_iam_role.r", "type": "aws_iam_role", "values": {"name": "r", "tags": {"a": "b"}}}],
  "child_modules": [{"address": "module.m", "resources": [{"address": "module.m.aws_iam_role.s", "type": "aws_iam_role", "values": {"name": "s"}}]}]}},
  "resource_changes": [{"address": "aws_iam_role.r", "change": {"after_unknown": {"arn": true, "tags": {}}}}]}`
	docs, err := source.ParseJSON("plan.json", []byte(plan))
	if err != nil || !terraform.IsPlan(docs[0]) {
		t.Fatalf("expected a plan, %v", err)
	}
	resources, err := terraform.ParsePlan(docs[0])
	if err != nil || len(resources) != 2 {
		t.Fatalf("found %v, %v", resources, err)
	}
	if got := resources[0].Address + shape(resources[0].Values); got != "aws_iam_role.r{name:r tags:{a:b} arn:<arn of aws_iam_role.r>}" {
		t.Errorf("found %s", got)
	}
	if resources[1].Address != "module.m.aws_iam_role.s" || resources[0].Position.Line != 2 {
		t.Errorf("found %+v", resources)
	}
}

// FuzzParse asserts that every place lies in the file, that a span holds the
// text that is said to stand there, and that nothing grows without bound.
func FuzzParse(f *testing.F) {
	f.Add(head + "formatlist(\"%s\", [for r in var.repos : r])\n}\n")
	f.Add("data \"aws_iam_policy_document\" \"d\" {\n  statement {\n    actions = [\"a\"]\n  }\n}\n")
	f.Add("module \"m\" {\n  source = \"./m\"\n  count = 3\n}\n")
	f.Add("locals {\n  a = <<-E\n   x ${local.b}\n  E\n  b = { for k, v in { a = 1 } : k => v... }\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		modules, _ := terraform.Parse(map[string]map[string][]byte{".": {"main.tf": []byte(text)}, "m": {"m/main.tf": []byte("variable \"a\" {}\n")}})
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
			if s := n.Text.Span; s != (source.Span{}) && n.Text.Position.File == "main.tf" {
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
