package terraform_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/terraform"
)

// show writes a value on one line, what is not known as it was written.
func show(n *source.Node) string {
	if n == nil {
		return "none"
	}
	var parts []string
	for _, i := range n.Items {
		parts = append(parts, show(i))
	}
	for _, f := range n.Fields {
		parts = append(parts, f.Key.String()+"="+show(f.Value))
	}
	if n.Open {
		parts = append(parts, "...")
	}
	switch n.Kind {
	case source.KindList:
		return "[" + strings.Join(parts, " ") + "]"
	case source.KindMap:
		return "{" + strings.Join(parts, " ") + "}"
	case source.KindNull:
		return "null"
	}
	return n.Text.String()
}

// value is the argument v of the resource x.y, in a module with these lines.
func value(t *testing.T, lines, expression string) (*source.Node, error) {
	t.Helper()
	rs, err := terraform.ParseModule(map[string][]byte{
		"main.tf":          []byte(lines + "\nresource \"x\" \"y\" {\n  v = " + expression + "\n}\n"),
		"terraform.tfvars": []byte("set = \"given\"\n"),
		"trust.json":       []byte(`{"a":1}`),
		"trust.tpl":        []byte(`repo:${org}/*`),
	})
	for _, r := range rs {
		if r.Address == "x.y" {
			return r.Values.Get("v"), err
		}
	}
	return nil, err
}

func TestExpressions(t *testing.T) {
	const given = `
variable "org" {}
variable "repo" { default = "octo-repo" }
variable "set" { default = "other" }
variable "secret" {
  default   = "s"
  sensitive = true
}
variable "repos" {
  type    = set(string)
  default = ["b", "a"]
}
variable "team" {
  type    = object({ name = string, env = optional(string, "prod") })
  default = { name = "octo" }
}
locals {
  sub = "repo:${var.org}/${var.repo}:*"
  map = { one = 1, two = 2 }
}
resource "aws_iam_openid_connect_provider" "github" {
  url = "https://token.actions.githubusercontent.com"
}
data "aws_iam_openid_connect_provider" "by_url" {
  url = "https://${var.org}.example.com"
}
data "aws_iam_openid_connect_provider" "by_arn" {
  arn = "arn:aws:iam::111111111111:oidc-provider/ci.example.com/a"
}
resource "aws_iam_role" "each" {
  for_each = toset(["a", "b"])
  name     = "role-${each.key}"
}
resource "aws_iam_role" "maybe" {
  count = var.org == "octo-org" ? 1 : 0
}
`
	for expression, want := range map[string]string{
		`local.sub`:                                  "repo:${var.org}/octo-repo:*",
		`var.set`:                                    "given",
		`var.secret`:                                 "${var.secret}",
		`var.none`:                                   "${var.none}",
		`var.team.env`:                               "prod",
		`"%{if true}a%{else}b%{endif}c"`:             "ac",
		`"%{for r in var.repos}${r},%{endfor}"`:      "a,b,",
		`[for r in var.repos : upper(r)]`:            "[A B]",
		`{for k, v in local.map : k => v + 1}`:       "{one=2 two=3}",
		`[for r in var.org : r]`:                     "${[for r in var.org : r]}",
		`local.map["two"]`:                           "2",
		`var.org == "a" ? 1 : 2`:                     `${var.org == "a" ? 1 : 2}`,
		`var.org == "a" ? "x" : "x"`:                 "x",
		`"a${var.org}" == "b" ? 1 : 2`:               "2",
		`false && var.org`:                           "false",
		`aws_iam_openid_connect_provider.github.arn`: "${aws_iam_openid_connect_provider.github.arn}",
		`"${replace(aws_iam_openid_connect_provider.github.url, "https://", "")}:sub"`: "token.actions.githubusercontent.com:sub",
		`trimprefix(aws_iam_openid_connect_provider.github.url, "https://")`:           "token.actions.githubusercontent.com",
		`"${aws_iam_openid_connect_provider.github.url}:sub"`:                          "token.actions.githubusercontent.com:sub",
		`"${data.aws_iam_openid_connect_provider.by_url.url}:sub"`:                     "${var.org}.example.com:sub",
		`data.aws_iam_openid_connect_provider.by_url.arn`:                              "arn:${partition}:iam::${account}:oidc-provider/${var.org}.example.com",
		`"${data.aws_iam_openid_connect_provider.by_arn.url}:sub"`:                     "ci.example.com/a:sub",
		`data.aws_iam_openid_connect_provider.by_arn.arn`:                              "arn:aws:iam::111111111111:oidc-provider/ci.example.com/a",
		`aws_iam_role.each["a"].name`:                                                  "role-a",
		`[for r in aws_iam_role.each : r.name]`:                                        "[role-a role-b]",
		`values(aws_iam_role.each)[*].name`:                                            "[role-a role-b]",
		`aws_iam_role.maybe[0].arn`:                                                    "${aws_iam_role.maybe[0].arn}",
		`formatlist("repo:%s:*", ["o/a", var.org])`:                                    "[repo:o/a:* repo:${var.org}:*]",
		`format("%s-%d%%", var.org, 3)`:                                                "${var.org}-3%",
		`join("/", [var.org, "a"])`:                                                    "${var.org}/a",
		`join("/", var.org)`:                                                           `${join("/", var.org)}`,
		`upper("a${var.org}")`:                                                         `${upper("a${var.org}")}`,
		`replace("aXb", "X", "-")`:                                                     "a-b",
		`replace("abc", "/b/", "-")`:                                                   `${replace("abc", "/b/", "-")}`,
		`split(",", "a,b")`:                                                            "[a b]",
		`concat(["a"], var.org)`:                                                       "[a ...]",
		`concat(["a"], var.org)[0]`:                                                    `${concat(["a"], var.org)[0]}`,
		`merge({a = 1, b = 2}, {b = 3})`:                                               "{a=1 b=3}",
		`merge({a = 1}, var.org, {b = 3})`:                                             "{a=${var.org} b=3 ...}",
		`flatten([["a"], [["b"]], "c"])`:                                               "[a b c]",
		`distinct(["a", "b", "a"])`:                                                    "[a b]",
		`coalesce("", "b")`:                                                            "b",
		`coalesce(var.org, "b")`:                                                       `${coalesce(var.org, "b")}`,
		`try(var.repo, "b")`:                                                           "octo-repo",
		`lookup(local.map, "three", 3)`:                                                "3",
		`element(["a", "b"], 3)`:                                                       "b",
		`keys(local.map)`:                                                              "[one two]",
		`compact(["a", "", var.org])`:                                                  "[a ...]",
		`length(var.repos)`:                                                            "2",
		`contains(["a"], "a")`:                                                         "true",
		`contains([var.org], "a")`:                                                     `${contains([var.org], "a")}`,
		`substr("hello", 1, 3)`:                                                        "ell",
		`startswith("hello", "he")`:                                                    "true",
		`sort(["b", "a"])`:                                                             "[a b]",
		`file("${path.module}/trust.json")`:                                            `{"a":1}`,
		`file("/etc/hostname")`:                                                        `${file("/etc/hostname")}`,
		`templatefile("trust.tpl", { org = "octo-org" })`:                              "repo:octo-org/*",
		`jsonencode({ a = var.org })`:                                                  "{a=${var.org}}",
		`"x${jsonencode({ a = 1 })}"`:                                                  `x{"a":1}`,
		`jsondecode("{\"a\":[1]}").a[0]`:                                               "1",
		`jsonencode({ a = jsonencode({ b = 1 }) })`:                                    `{a={"b":1}}`,
		`terraform.workspace`:                                                          "${terraform.workspace}",
		`{ "${var.org}:sub" = 1 }`:                                                     "{${var.org}:sub=1}",
		`{ "${var.org}" = 1, b = 2 }["c"]`:                                             `${{ "${var.org}" = 1, b = 2 }["c"]}`,
		`range(3)`:                                                                     "[0 1 2]",
		`range(1, 6, 2)`:                                                               "[1 3 5]",
		`range(3, 0)`:                                                                  "[3 2 1]",
		`[for i in range(2) : "r${i}"]`:                                                "[r0 r1]",
		`range(5000)`:                                                                  "${range(5000)}",
		`range(1, 2, 0)`:                                                               "${range(1, 2, 0)}",
		`range(var.org)`:                                                               "${range(var.org)}",
		`sha1("a")`:                                                                    `${sha1("a")}`,
	} {
		n, err := value(t, given, expression)
		if got := show(n); got != want || err != nil {
			t.Errorf("%s\n got %s, %v\nwant %s", expression, got, err, want)
		}
	}
	n, _ := value(t, given, "aws_iam_openid_connect_provider.github.arn")
	if p := n.Text.Parts[0]; p.Resource != "aws_iam_openid_connect_provider.github" || p.Attribute != "arn" {
		t.Errorf("a resource's attribute is %+v", p)
	}
}

func TestPolicyDocument(t *testing.T) {
	const text = `
locals { host = "token.actions.githubusercontent.com" }
variable "more" {}
data "aws_iam_policy_document" "base" {
  statement {
    sid       = "Base"
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::b/&{aws:PrincipalTag/repository}/*"]
  }
}
data "aws_iam_policy_document" "trust" {
  source_policy_documents = [data.aws_iam_policy_document.base.json]
  statement {
    sid     = "Base"
    effect  = "Deny"
    actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "StringLike"
      variable = "${local.host}:sub"
      values   = [for r in ["a", "b"] : "repo:octo-org/${r}:*"]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.host}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
  dynamic "statement" {
    for_each = ["x"]
    content {
      actions = [statement.value]
      principals {
        type        = "*"
        identifiers = ["*"]
      }
    }
  }
}
data "aws_iam_policy_document" "open" {
  dynamic "statement" {
    for_each = var.more
    content {}
  }
}
resource "aws_iam_role" "r" {
  for_each           = { one = "a" }
  name               = each.value
  description        = null
  assume_role_policy = data.aws_iam_policy_document.trust.json
}
`
	rs, err := terraform.ParseModule(map[string][]byte{"main.tf": []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]source.Resource{}
	for _, r := range rs {
		got[r.Address] = r
	}
	trust := got[`aws_iam_role.r["one"]`].Values.Get("assume_role_policy")
	want := `{Version=2012-10-17 Statement=[{Sid=Base Effect=Deny Action=[sts:AssumeRoleWithWebIdentity sts:TagSession] Principal={AWS=*} Condition={StringLike={token.actions.githubusercontent.com:sub=[repo:octo-org/a:* repo:octo-org/b:*]} StringEquals={token.actions.githubusercontent.com:aud=sts.amazonaws.com}}} {Effect=Allow Action=x Principal=*}]}`
	if show(trust) != want {
		t.Errorf("trust\n got %s\nwant %s", show(trust), want)
	}
	if d := got[`aws_iam_role.r["one"]`].Values.Has("description"); d != source.No {
		t.Errorf("an argument that is null is there: %v", d)
	}
	aud := trust.Get("Statement").Items[0].Get("Condition").Get("StringEquals").Get("token.actions.githubusercontent.com:aud")
	if literal := text[aud.Span.Start:aud.Span.End]; literal != `"sts.amazonaws.com"` || aud.Position.Line != strings.Count(text[:aud.Span.Start], "\n")+1 {
		t.Errorf("the audience stands at %v, %q", aud.Position, literal)
	}
	base := show(got["data.aws_iam_policy_document.base"].Values.Get("json"))
	if !strings.Contains(base, "Resource=arn:aws:s3:::b/${aws:PrincipalTag/repository}/*") {
		t.Errorf("base is %s", base)
	}
	if open := show(got["data.aws_iam_policy_document.open"].Values.Get("json")); open != "{Version=2012-10-17 Statement=[...]}" {
		t.Errorf("open is %s", open)
	}
}

// TestOverrides: what override files say stands in the place of what the others
// do, an argument or a type of blocks at a time.
func TestOverrides(t *testing.T) {
	roots, err := terraform.ParseModules(map[string]map[string][]byte{".": {
		"a_override.tf": []byte(`
resource "x" "y" {
  b = "new"
  one { v = 2 }
}
variable "v" { default = "new" }
module "m" { w = "new" }
locals { l = "new" }
`),
		"b_override.tf.json": []byte(`{"resource": {"x": {"y": {"two": [{"v": 3}]}}}}`),
		"main.tf": []byte(`
variable "v" {
  type    = string
  default = "old"
}
locals { l = "old" }
module "m" {
  source = "./m"
  w      = "old"
}
resource "x" "y" {
  a = "old ${var.v} ${local.l}"
  b = "old"
  one { v = 0 }
  one { v = 1 }
  two { v = 0 }
}
`)}, "m": {"m/m.tf": []byte("variable \"w\" {}\nresource \"x\" \"w\" { w = var.w }\n")}})
	var got []string
	for _, r := range roots[0].Resources {
		got = append(got, r.Address+" "+show(r.Values))
	}
	want := []string{"x.y {a=old new new b=new two=[{v=3}] one=[{v=2}]}", "module.m.x.w {w=new}"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestModules(t *testing.T) {
	roots, err := terraform.ParseModules(map[string]map[string][]byte{
		"live": {"live/main.tf": []byte(`
module "ci" {
  source   = "../modules/role"
  for_each = toset(["a", "b"])
  repo     = each.key
}
module "far" { source = "terraform-aws-modules/iam/aws" }
module "gone" { source = "../modules/gone" }
module "open" { source = var.where }
resource "x" "y" {
  v = [module.ci["b"].name, module.ci["a"].arn, module.far.arn]
}
`)},
		"modules/role": {"modules/role/main.tf": []byte(`
variable "repo" {}
resource "aws_iam_role" "this" { name = "ci-${var.repo}" }
output "name" { value = aws_iam_role.this.name }
output "arn" { value = aws_iam_role.this.arn }
module "inner" { source = "./inner" }
`)},
	})
	if len(roots) != 1 || roots[0].Folder != "live" {
		t.Fatalf("the roots are %v", roots)
	}
	var unread []string
	for _, u := range roots[0].Unread {
		unread = append(unread, fmt.Sprintf("%s at %d: %q %t", u.Address, u.Position.Line, u.Source, u.Local))
	}
	if want := []string{`module.ci["a"].module.inner at 6: "./inner" true`, `module.ci["b"].module.inner at 6: "./inner" true`,
		`module.far at 7: "terraform-aws-modules/iam/aws" false`, `module.gone at 8: "../modules/gone" true`, `module.open at 9: "" false`}; fmt.Sprint(unread) != fmt.Sprint(want) {
		t.Errorf("unread\n%s\nwant\n%s", strings.Join(unread, "\n"), strings.Join(want, "\n"))
	}
	m := roots[0]
	var got []string
	for _, r := range m.Resources {
		got = append(got, r.Address+" "+show(r.Values))
	}
	want := []string{
		"x.y {v=[ci-b ${aws_iam_role.this.arn} ${module.far.arn}]}",
		`module.ci["a"].aws_iam_role.this {name=ci-a}`, `module.ci["b"].aws_iam_role.this {name=ci-b}`,
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %q, %v", got, err)
	}
	if p := m.Resources[0].Values.Get("v").Items[1].Text.Parts[0]; p.Resource != `module.ci["a"].aws_iam_role.this` {
		t.Errorf("the output names %+v", p)
	}
}

func TestJSONModule(t *testing.T) {
	rs, err := terraform.ParseModule(map[string][]byte{"main.tf.json": []byte(`{"variable":{"org":{"default":"octo-org"}},"resource":{"x":{"y":{"v":"repo:${var.org}/*","w":[{"a":1}]}}}}`)})
	if err != nil || len(rs) != 1 || show(rs[0].Values) != "{v=repo:octo-org/* w=[{a=1}]}" {
		t.Errorf("got %v, %v", rs, err)
	}
}

func TestPlan(t *testing.T) {
	nodes, err := source.ParseJSON("plan.json", []byte(`{"format_version":"1.2","planned_values":{"root_module":{"resources":[
{"address":"aws_iam_role.r","mode":"managed","type":"aws_iam_role","values":{"name":"r","tags":{"a":"b"},"policy":"{}"},"sensitive_values":{"tags":{"a":true}}}],
"child_modules":[{"resources":[{"address":"module.m.aws_iam_role.s","mode":"managed","type":"aws_iam_role","values":{"name":"s"}}]}]}},
"resource_changes":[{"address":"aws_iam_role.r","change":{"after_unknown":{"arn":true,"inline":[]}}}]}`))
	if err != nil || !terraform.IsPlan(nodes[0]) {
		t.Fatal(err)
	}
	rs, err := terraform.ParsePlan("plan.json", nodes[0])
	if err != nil || len(rs) != 2 || show(rs[0].Values) != "{name=r tags={a=(sensitive)} policy={} arn=(known after apply)}" || rs[1].Address != "module.m.aws_iam_role.s" {
		t.Errorf("got %v %v", show(rs[0].Values), err)
	}
	if p := rs[0].Values.Get("arn").Text.Parts[0]; p.Resource != "aws_iam_role.r" || p.Attribute != "arn" {
		t.Errorf("arn is %+v", p)
	}
}

func TestBadInput(t *testing.T) {
	doubling := "locals {\n  a0 = \"xxxxxxxxxxxxxxxx\"\n  l0 = [1]\n"
	for i := range 60 {
		doubling += fmt.Sprintf("  a%d = \"${local.a%d}${local.a%d}\"\n  l%d = [local.l%d, local.l%d]\n", i+1, i, i, i+1, i, i)
	}
	doubling += "}\nresource \"p\" \"q\" {\n  v = local.a60\n  w = local.l60\n}\n"
	for name, text := range map[string]string{
		"syntax":    "resource \"a\" \"b\" {\n",
		"cycle":     "locals {\n  a = local.b\n  b = local.a\n}\nresource \"p\" \"q\" { v = local.a }\n",
		"doubling":  doubling,
		"count":     "resource \"p\" \"q\" { count = 100000000 }\n",
		"brackets":  "locals { a = " + strings.Repeat("[", 100000) + "}\n",
		"unary":     "locals { a = " + strings.Repeat("!", 100000) + "true }\n",
		"ternary":   "locals { a = " + strings.Repeat("true ? 1 : ", 100000) + "1 }\n",
		"if":        "locals { a = \"" + strings.Repeat("%{if true}", 10000) + "\" }\n",
		"nul":       "locals { a = \"\x00\" }\n",
		"utf8":      "locals { a = \"\xff\" }\n",
		"products":  "locals {\n  r = split(\"\", \"a\")\n  n = [for i in [1,2,3,4,5,6,7,8,9,10] : i]\n}\nresource \"p\" \"q\" { v = [" + " for a in local.n : [for b in local.n : [for c in local.n : [for d in local.n : [for e in local.n : [for f in local.n : [for g in local.n : g]]]]]]] }\n",
		"not small": strings.Repeat("#", terraform.MaxFile+1),
	} {
		rs, err := terraform.ParseModule(map[string][]byte{"bad.tf": []byte(text), "good.tf": []byte("resource \"x\" \"y\" { v = 1 }\n")})
		var e *source.Error
		if !errors.As(err, &e) || e.Position.File != "bad.tf" {
			t.Errorf("%s: the error is %v", name, err)
		}
		found := false
		for _, r := range rs {
			found = found || r.Address == "x.y"
		}
		if !found {
			t.Errorf("%s: the other file was not read", name)
		}
	}
}

// FuzzParseModule asserts that what is bad in one file does not keep another
// from being read, and that every value is known or says what is not.
func FuzzParseModule(f *testing.F) {
	f.Add("locals { a = \"${local.b}\" }\nresource \"r\" \"s\" { v = local.a }")
	f.Add("data \"aws_iam_policy_document\" \"d\" {\n statement {\n actions = [var.x]\n condition {\n test = \"a\"\n variable = \"b\"\n values = []\n}\n}\n}")
	f.Add("resource \"r\" \"s\" {\n for_each = toset([\"a\"])\n v = merge({a = each.key}, var.m)\n}")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			return
		}
		rs, _ := terraform.ParseModule(map[string][]byte{"a.tf": []byte(text), "zz.tf": []byte("resource \"zz_x\" \"zz_y\" { v = \"known\" }")})
		found := false
		for _, r := range rs {
			found = found || r.Type == "zz_x"
			if r.Values.Kind != source.KindMap || r.Position.File == "" {
				t.Errorf("%s is %s at %v", r.Address, show(r.Values), r.Position)
			}
			if !r.Values.Known() && len(r.Values.Unknowns()) == 0 {
				t.Errorf("%s does not say what is not known: %s", r.Address, show(r.Values))
			}
		}
		if !found {
			t.Error("the other file was not read")
		}
	})
}
