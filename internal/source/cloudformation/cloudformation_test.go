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
  Stored: {Type: "AWS::SSM::Parameter::Value<String>", Default: /a/b}
Mappings:
  Accounts: {prod: {id: 111111111111, names: [a, b]}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsTest: !Not [!Condition IsProd]
  HasRepo: !Not [!Equals [!Ref Repo, ""]]
  Both: !And [!Condition IsProd, !Condition HasRepo]
  Either: {"Fn::Or": [{Condition: IsProd}, {Condition: HasRepo}]}
  Loop: !Condition Loop
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
		{"!If [Loop, a, b]", "<!If Loop>"},
		{"!If [IsTest, a, !Ref AWS::NoValue]", "nothing"},
		{"!ImportValue x", "<Fn::ImportValue x>"},
		{"!Base64 x", "<Fn::Base64 x>"},
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
		{"an attribute of nothing", "Resources:\n  B:\n    Type: AWS::IAM::Role\n    Properties: {A: !GetAtt x}", 4, "expected RESOURCE.ATTRIBUTE", 0},
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

// FuzzParse asserts that a template in JSON reads as the same one in YAML, and
// that nothing grows without bound.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"Parameters":{"P":{"Type":"String","Default":"x"}},"Resources":{"R":{"Type":"AWS::IAM::Role","Properties":{"A":{"Fn::Sub":"${P}-${AWS::Region}"},"B":{"Fn::If":["C",1,2]}}}},"Conditions":{"C":{"Fn::Equals":["a",{"Ref":"P"}]}}}`))
	f.Add([]byte(head + "!Join ['', [!Ref Org, !Select [0, !Ref Branches]]]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		resources, err := cloudformation.Parse("t", data)
		if err != nil && resources == nil {
			return
		}
		size := 0
		for _, r := range resources {
			if r.Values == nil || r.Type == "" {
				t.Fatalf("half a resource: %+v", r)
			}
			size += len(shape(r.Values))
		}
		if size > 50<<20 {
			t.Fatalf("%d bytes grew to %d", len(data), size)
		}
	})
}
