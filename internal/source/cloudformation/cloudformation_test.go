package cloudformation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/cloudformation"
)

// shape writes a value; what is not known stands in angle brackets.
func shape(n *source.Node) string {
	if n == nil {
		return "nothing"
	}
	switch n.Kind {
	case source.KindList:
		var items []string
		for _, i := range n.Items {
			items = append(items, shape(i))
		}
		if n.Open {
			items = append(items, "...")
		}
		return "[" + strings.Join(items, " ") + "]"
	case source.KindMap:
		var fields []string
		for _, f := range n.Fields {
			fields = append(fields, f.Name+":"+shape(f.Value))
		}
		if n.Open {
			fields = append(fields, "...")
		}
		return "{" + strings.Join(fields, " ") + "}"
	}
	var b strings.Builder
	for _, p := range n.Text.Parts {
		switch {
		case p.Resource != "":
			fmt.Fprintf(&b, "<%s of %s>", p.Attribute, p.Resource)
		case p.Unknown != "":
			fmt.Fprintf(&b, "<%s>", p.Unknown)
		default:
			b.WriteString(p.Literal)
		}
	}
	return b.String()
}

const head = `
Parameters:
  Org: {Type: String, Default: octo-org}
  Repo: {Type: String}
  Branches: {Type: CommaDelimitedList, Default: "main, release"}
  Stage: {Type: String, Default: prod}
  Secret: {Type: String, Default: x, NoEcho: true}
  Secrets: {Type: CommaDelimitedList, Default: x, NoEcho: true}
  Shown: {Type: String, Default: shown, NoEcho: false}
  Number: {Type: Number, Default: 111111111111}
  Stored: {Type: "AWS::SSM::Parameter::Value<String>", Default: /a/b}
Mappings:
  Accounts: {prod: {id: 111111111111, names: [a, b]}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsTest: !Not [!Condition IsProd]
  HasRepo: !Not [!Equals [!Ref Repo, ""]]
  Both: !And [!Condition IsProd, !Condition HasRepo]
  Either: {"Fn::Or": [{Condition: IsProd}, {Condition: HasRepo}]}
Resources:
  Other: {Type: AWS::IAM::OIDCProvider}
  Role:
    Type: AWS::IAM::Role
    Properties:
      V: `

func TestFunctions(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{"plain", "plain"},
		{"2012-10-17", "2012-10-17"},
		{"!Ref Org", "octo-org"},
		{"!Ref Repo", "<!Ref Repo>"},
		{"!Ref Secret", "<!Ref Secret>"},
		{"!Ref Stored", "<!Ref Stored>"},
		{"!Ref Branches", "[main release]"},
		{"!Ref AWS::AccountId", "<!Ref AWS::AccountId>"},
		{"!Ref AWS::NoValue", "nothing"},
		{"[a, !Ref AWS::NoValue, b]", "[a b]"},
		{"!Ref Other", "<Ref of Other>"},
		{"!GetAtt Other.Arn", "<Arn of Other>"},
		{`{"Fn::GetAtt": [Other, Arn]}`, "<Arn of Other>"},
		{"!Sub 'repo:${Org}/${Repo}:*'", "repo:octo-org/<${Repo}>:*"},
		{"!Sub 'arn:${AWS::Partition}:iam::${AWS::AccountId}:role/x'", "arn:<${AWS::Partition}>:iam::<${AWS::AccountId}>:role/x"},
		{"!Sub '${!Literal} ${Other.Arn}'", "${Literal} <Arn of Other>"},
		{"!Sub ['${A}-${Org}', {A: !Ref Stage}]", "prod-octo-org"},
		{"!Join [':', [repo, !Ref Org, !Ref Repo]]", "repo:octo-org:<!Ref Repo>"},
		{"!Join [',', !Ref Branches]", "main,release"},
		{"!Select [1, !Ref Branches]", "release"},
		{"!Select [0, !Split ['-', !Ref Org]]", "octo"},
		{"!Split ['-', !Ref Repo]", "<Fn::Split>"},
		{"!FindInMap [Accounts, !Ref Stage, id]", "111111111111"},
		{"!FindInMap [Accounts, !Ref Stage, names]", "[a b]"},
		{"!FindInMap [Accounts, test, id, {DefaultValue: none}]", "none"},
		{"!FindInMap [Accounts, !Ref Repo, id]", "<Fn::FindInMap>"},
		{"!If [IsProd, a, b]", "a"},
		{"!If [IsTest, a, b]", "b"},
		{"!If [HasRepo, a, b]", "<!If HasRepo>"},
		{"!If [HasRepo, a, a]", "a"},
		{"!If [Both, a, b]", "<!If Both>"},
		{"!If [Either, a, b]", "a"},
		{"!If [IsTest, a, !Ref AWS::NoValue]", "nothing"},
		{"!ImportValue x", "<Fn::ImportValue x>"},
		{"!Base64 x", "eA=="},
		{"!Base64 {Ref: Repo}", "<Fn::Base64>"},
		{"!If [HasRepo, 'repo:octo-org/a:*', 'repo:octo-org/*']", "repo:octo-org/<!If HasRepo>*"},
		{"!If [HasRepo, 'é', 'è']", "<!If HasRepo>"},
		{"!If [HasRepo, aa, a]", "a<!If HasRepo>"},
		{"!If [HasRepo, {a: 1}, {a: 1}]", "{a:1}"},
		{"!If [HasRepo, {a: 1}, {a: 2}]", "<!If HasRepo>"},
		{"!If [HasRepo, !Ref Other, !Ref Repo]", "<!If HasRepo>"},
		{"[a, !If [HasRepo, b, !Ref 'AWS::NoValue']]", "[a ...]"},
		{"[a, !If [HasRepo, b, c]]", "[a <!If HasRepo>]"},
		{"{a: !If [HasRepo, b, !Ref 'AWS::NoValue']}", "{a:<!If HasRepo>}"},
		{"'x{{resolve:ssm:/a}}y{{resolve:ssm:/b}}'", "x<{{resolve:ssm:/a}}>y<{{resolve:ssm:/b}}>"},
		{"!Sub '{{resolve:ssm:/${Stage}/${Repo}:1}}/x'", "<{{resolve:ssm:/prod/${Repo}:1}}>/x"},
		{"!Join ['', ['{{resolve:ssm:', '/a}}x']]", "<{{resolve:ssm:/a}}>x"},
		{"!Sub 'a${!aws:PrincipalTag/repository}'", "a${aws:PrincipalTag/repository}"},
		{"!Select [!Length [a], [a, b]]", "b"},
		{"!Ref Secrets", "<!Ref Secrets>"},
		{"!Ref Shown", "shown"},
		{"!Ref Number", "111111111111"},
		{"!FindInMap [Accounts, !Ref Stage, id, {DefaultValue: none}]", "111111111111"},
		{"!GetAtt Other.A.B", "<A.B of Other>"},
		{"!Sub '${Other}:${Other.A.B}'", "<Ref of Other>:<A.B of Other>"},
		{"!Sub [\"${List}\", {List: [a]}]", "<${List}>"},
		{"{Ref: Org, b: c}", "{Ref:Org b:c}"},
		{"'{{resolve:ssm:/a}}'", "<{{resolve:ssm:/a}}>"},
		{"!Unheard of", "<!Unheard of>"},
		{`{"Fn::Sub": "${Org}"}`, "octo-org"},
		{`{"Fn::Transform": {Name: x}}`, "<Fn::Transform>"},
		{`{a: 1, "Fn::Transform": {Name: x}}`, "{a:1 ...}"},
		{`{"Fn::ToJsonString": {a: !Ref Org}}`, "{a:octo-org}"},
	} {
		resources, err := cloudformation.Parse("t.yaml", []byte(head+test.value+"\n"))
		if err != nil {
			t.Errorf("%s: %v", test.value, err)
			continue
		}
		if got := shape(resources[1].Values.Get("V")); got != test.want {
			t.Errorf("%s: found %s, expected %s", test.value, got, test.want)
		}
	}
}

func TestPlaces(t *testing.T) {
	resources, err := cloudformation.Parse("t.yaml", []byte("Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      A: !Sub 'x'\n      B: {C: !Ref P}\nParameters:\n  P: {Type: String, Default: y}\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := resources[0]
	if r.Address != "Role" || r.Type != "AWS::IAM::Role" || r.Position.Line != 2 {
		t.Errorf("found %+v", r)
	}
	for _, test := range []struct {
		n            *source.Node
		line, column int
	}{{r.Values.Get("A"), 5, 15}, {r.Values.Get("B").Get("C"), 8, 30}} {
		if p := test.n.Position; p.File != "t.yaml" || p.Line != test.line || p.Column != test.column {
			t.Errorf("%s stands at %v, expected %d:%d", test.n.Text, p, test.line, test.column)
		}
	}
}

func TestServerless(t *testing.T) {
	resources, err := cloudformation.Parse("t.yaml", []byte(`
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: go, Tags: {a: "1", b: "2"}, Layers: [x]}}
Resources:
  F: {Type: "AWS::Serverless::Function", Properties: {Tags: {b: "3"}, Layers: [y]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := shape(resources[0].Values); got != "{Tags:{b:3 a:1} Layers:[x y] Runtime:go}" {
		t.Errorf("found %s", got)
	}
	resources, err = cloudformation.Parse("t.yaml", []byte("Transform: Mine\nResources: {F: {Type: 'AWS::IAM::Role'}}"))
	if err != nil || !resources[0].Values.Open {
		t.Errorf("a macro of one's own may add anything: %v, %v", resources, err)
	}
}

// in is a template with one value.
func in(value string) string {
	return "Resources:\n  B:\n    Type: AWS::IAM::Role\n    Properties: {A: " + value + "}"
}

func TestMistakes(t *testing.T) {
	doubling := "Parameters: {P: {Type: String, Default: " + strings.Repeat("x", 4000) + "}}\nResources:\n  R:\n    Type: AWS::IAM::Role\n    Properties:\n      V: "
	nested := "{Ref: P}"
	for range 12 {
		nested = `{"Fn::Sub": ["${A}${A}${A}${A}", {A: ` + nested + "}]}"
	}
	for _, test := range []struct {
		name, text string
		line       int
		says       string
		others     int // resources that are read nevertheless
	}{
		{"no template", "a: b", 1, "expected a template with Resources", 0},
		{"two documents", "Resources: {}\n---\nResources: {}", 1, "found 2 documents", 0},
		{"no YAML", "Resources: {", 1, "not YAML", 0},
		{"a doubled key in JSON", `{"Resources": {}, "Resources": {}}`, 1, "stands twice", 0},
		{"a resource without a type", "Resources:\n  A: {}\n  B: {Type: 'AWS::IAM::Role'}", 2, "expected a Type", 1},
		{"a reference to nothing", "Resources:\n  B:\n    Type: AWS::IAM::Role\n    Properties: {A: !Ref Nothing}", 4, `no parameter and no resource "Nothing"`, 1},
		{"a join of text", "Resources:\n  B:\n    Type: AWS::IAM::Role\n    Properties: {A: !Join x}", 4, "expected a separator and a list", 1},
		{"a sub of a list", "Resources:\n  B:\n    Type: AWS::IAM::Role\n    Properties: {A: !Sub [x]}", 4, "Fn::Sub: expected", 1},
		{"an attribute without a name", in("!GetAtt x"), 4, "expected RESOURCE.ATTRIBUTE", 1},
		{"an attribute of nothing", in("!GetAtt x.Arn"), 4, `there is no resource "x"`, 1},
		{"an attribute of nothing in a text", in("!Sub '${x.Arn}'"), 4, `there is no resource "x"`, 1},
		{"a variable of a policy", in("!Sub '${aws:username}'"), 4, "write ${!aws:username}", 1},
		{"an item that is not there", in("!Select [2, [a, b]]"), 4, "expected a number below 2", 1},
		{"no map", in("!FindInMap [a, b, c]"), 4, `there is no "a" in the mappings`, 1},
		{"a default without a name", in("!FindInMap [a, b, c, d]"), 4, "DefaultValue", 1},
		{"no condition", in("!If [c, a, b]"), 4, `there is no condition "c"`, 1},
		{"a condition on itself", in("!If [c, a, b]") + "\nConditions:\n  c: !Not [!Condition d]\n  d: !Condition c", 6, "stands on itself", 1},
		{"a condition of text", in("!If [c, a, b]") + "\nConditions:\n  c: x", 6, "expected a condition, found a string", 1},
		{"a condition of nothing", in("!If [c, a, b]") + "\nConditions:\n  c: !And []", 6, "with 0 values", 1},
		{"an If of two", in("!If [c, a]"), 4, "expected the name of a condition", 1},
		{"a reference to a list", in("!Ref [a]"), 4, "Ref: expected a name, found a list", 1},
		{"a split by nothing", in("!Split ['', a]"), 4, "expected a separator", 1},
		{"a default that is a list", in("!Ref P") + "\nParameters:\n  P: {Type: String, Default: [a]}", 6, "expected text as its Default", 1},
		{"properties that are text", "Resources:\n  B:\n    Type: AWS::IAM::Role\n    Properties: x", 4, "expected an object as its Properties", 1},
		{"a mapping in a circle", in("!FindInMap [a, b, c]") + "\nMappings:\n  a: {b: {c: !FindInMap [a, b, c]}}", 6, "deeper than 100 levels", 1},
		{"a loop without a list", "Resources:\n  Fn::ForEach::L: x\n  B: {Type: 'AWS::IAM::Role'}", 2, "expected a name, a list", 1},
		{"no JSON", "{\"Resources\": {\n\"a\" \"b\"}}", 2, "not JSON", 0},
		{"a text that grows", doubling + nested, 6, "grows over", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			resources, err := cloudformation.Parse("t.yaml", []byte(test.text))
			var e *source.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, test.says) || e.Position.Line != test.line || e.Position.File != "t.yaml" {
				t.Errorf("found %v, expected line %d and %q", err, test.line, test.says)
			}
			if len(resources) != test.others {
				t.Errorf("found %d resources, expected %d", len(resources), test.others)
			}
		})
	}
}

func TestMistakesKeepTheirResource(t *testing.T) {
	resources, err := cloudformation.Parse("t.yaml", []byte(`
Resources:
  A: {Type: AWS::IAM::Role, Properties: {V: !Ref Nothing, W: kept}}
  B: {Type: AWS::IAM::Role, Properties: {V: !Sub [x], W: kept}}
  C: {Type: AWS::IAM::Role, Properties: {V: fine}}
`))
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 2 {
		t.Errorf("found %v, expected two errors", err)
	}
	var got []string
	for _, r := range resources {
		got = append(got, r.Address+shape(r.Values))
	}
	if want := "A{V:<!Ref Nothing> W:kept} B{V:<Fn::Sub> W:kept} C{V:fine}"; strings.Join(got, " ") != want {
		t.Errorf("found %v, expected %s", got, want)
	}
}

func TestLoops(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"over a list", `
Transform: AWS::LanguageExtensions
Resources:
  Fn::ForEach::Roles:
    - Name
    - [build, deploy-x]
    - Role&{Name}:
        Type: AWS::IAM::Role
        Properties: {A: !Sub 'repo:octo-org/${Name}:*', B: !Ref Name, C: !GetAtt 'Role${Name}.Arn', D: '${Name}'}
`, "Rolebuild{A:repo:octo-org/build:* B:build C:<Arn of Rolebuild> D:build} Roledeployx{A:repo:octo-org/deploy-x:* B:deploy-x C:<Arn of Roledeploy-x> D:deploy-x}"},
		{"over what is not known", `
Parameters: {Names: {Type: CommaDelimitedList}}
Resources:
  Fn::ForEach::Roles: [Name, !Ref Names, {'Role${Name}': {Type: AWS::IAM::Role, Properties: {A: !Sub 'repo:octo-org/${Name}:*'}}}]
`, "Role${Name}{A:repo:octo-org/<${Name}>:*}"},
		{"within another", `
Resources:
  Fn::ForEach::A: [A, [x, y], {'Fn::ForEach::B': [B, ['1', '2'], {'R${A}${B}': {Type: AWS::IAM::Role, Properties: {V: !Ref B}}}]}]
`, "Rx1{V:1} Rx2{V:2} Ry1{V:1} Ry2{V:2}"},
		{"of properties", `
Resources:
  R: {Type: AWS::IAM::Role, Properties: {A: 1, 'Fn::ForEach::P': [P, [x], {'${P}': 1}]}}
`, "R{A:1 ...}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			resources, err := cloudformation.Parse("t.yaml", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range resources {
				got = append(got, r.Address+shape(r.Values))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("found    %v\nexpected %s", got, test.want)
			}
		})
	}
}

// Templates that grow far beyond their size are given up in time.
func TestBounds(t *testing.T) {
	long := strings.Repeat("x", 1000)
	list := strings.Repeat("a,", 4000)
	for _, test := range []struct{ name, text string }{
		{"a text put in over and over", "Parameters: {P: {Type: String, Default: " + long + "}}\nResources:\n  R:\n    Type: A::B::C\n    Properties:\n      V:\n" +
			strings.Repeat("      - !Sub '"+strings.Repeat("${P}", 1000)+"'\n", 400)},
		{"a list over and over", "Parameters: {P: {Type: CommaDelimitedList, Default: '" + list + "'}}\nResources:\n  R:\n    Type: A::B::C\n    Properties:\n      V:\n" +
			strings.Repeat("      - !Join ['', !Ref P]\n", 2000)},
		{"globals over and over", "Globals: {Function: {Layers: [" + list + "]}}\nTransform: AWS::Serverless-2016-10-31\nResources:\n" + func() string {
			var b strings.Builder
			for i := range 2000 {
				fmt.Fprintf(&b, "  F%d: {Type: AWS::Serverless::Function, Properties: {Layers: [x]}}\n", i)
			}
			return b.String()
		}()},
		{"loops in loops", "Parameters: {P: {Type: CommaDelimitedList, Default: '" + list + "'}}\nResources:\n  Fn::ForEach::A: [A, !Ref P, {'Fn::ForEach::B': [B, !Ref P, {R: {Type: x}}]}]"},
		{"mappings that branch", in("!FindInMap [a, b, c]") + "\nMappings: {a: {b: {c: [!FindInMap [a, b, c], !FindInMap [a, b, c]]}}}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			resources, err := cloudformation.Parse("t.yaml", []byte(test.text))
			var e *source.Error
			if !errors.As(err, &e) || e.Position.Line == 0 {
				t.Errorf("found %d resources and %v, expected an error with its place", len(resources), err)
			}
		})
	}
}
