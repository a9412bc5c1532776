package inventory_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// blurred is a document in which "?" is a value that is not known, ${x} in a
// string a part of it, and a member "..." or an item "..." what may follow.
func blurred(n *source.Node) *source.Node {
	out := *n
	out.Text = blurredText(n.Text)
	if s, _ := n.Text.Known(); n.Kind == source.KindString && s == "?" {
		out.Kind = source.KindUnknown
		out.Text = source.UnknownText("?").At(n.Position, source.Span{})
	}
	out.Items, out.Fields = nil, nil
	for _, item := range n.Items {
		if item.Text.Equals("...") == source.Yes {
			out.Open = true
			continue
		}
		out.Items = append(out.Items, blurred(item))
	}
	for _, f := range n.Fields {
		if f.Name == "..." {
			out.Open = true
			continue
		}
		out.Fields = append(out.Fields, source.NewField(blurredText(f.Key), blurred(f.Value)))
	}
	return &out
}

func blurredText(t source.Text) source.Text {
	s, _ := t.Known()
	before, rest, found := strings.Cut(s, "${")
	if !found {
		return t
	}
	name, after, _ := strings.Cut(rest, "}")
	return source.Join(source.Literal(before), source.UnknownText("${"+name+"}"), source.Literal(after)).At(t.Position, t.Span)
}

func parsed(t *testing.T, document string) *inventory.Policy {
	t.Helper()
	nodes, err := source.ParseJSON("p.json", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return inventory.ParsePolicy(blurred(nodes[0]))
}

// What AWS would refuse is found at its place, whatever is not known beside it.
// A section sign marks the place.
func TestPolicyErrors(t *testing.T) {
	const actions = `"Effect":"Allow","Action":"sts:AssumeRole"`
	statement := func(s string) string { return `{"Statement":[{` + s + `}]}` }
	for _, c := range []struct{ document, message string }{
		{`§5`, "a policy is an object"},
		{`§[]`, "a policy is an object"},
		{`§{}`, "no Statement"},
		{`{"Statement":[§"x"]}`, ""},
		{`{§"Version":"2012-10-18","Statement":"?"}`, "neither"},
		{`{§"Version":"2013-${x}","Statement":"?"}`, "neither"},
		{`{§"Version":5,"Statement":"?"}`, "must be a string"},
		{`{§"statement":[],"Statement":"?"}`, "unknown element of a policy"},
		{`{§"Statement":[]}`, "the list is empty"},
		{`{§"Statement":5,"Id":"?"}`, "must be a statement"},
		{`{"Statement":["?",§5]}`, "a statement is an object"},
		{`{"Statement":["?",{§"Effekt":"Allow"}]}`, "unknown element of a statement"},
		{`{"Statement":["?",§{"Effect":"?"}]}`, "neither Action nor NotAction"},
		{statement(`§"Effect":"allow","Action":"?"`), "must be \"Allow\" or \"Deny\""},
		{statement(`§"Effect":"Al${x}x","Action":"?"`), "must be \"Allow\" or \"Deny\""},
		{`{"Statement":[§{"Action":"?"}]}`, "no Effect"},
		{`{"Statement":[§{"Effect":"?","Action":"?","NotAction":"?"}]}`, "both Action and NotAction"},
		{`{"Statement":[§{"Effect":"?","Action":"?","Principal":"?","NotPrincipal":"?"}]}`, "both Principal"},
		{statement(actions + `,§"Resource":[],"Sid":"?"`), "the list is empty"},
		{statement(actions + `,§"Resource":{},"Sid":"?"`), "must be a string"},
		{statement(`"Effect":"?",§"Action":"AssumeRole"`), "names no service"},
		{statement(`"Effect":"?","Action":["?",§5]`), "must be a string"},
		{statement(actions + `,§"Sid":[],"Principal":"?"`), "must be a string"},
		{statement(actions + `,§"Principal":"x${x}"`), "must be \"*\""},
		{statement(actions + `,§"Principal":{},"Sid":"?"`), "names nobody"},
		{statement(actions + `,"Principal":{§"Federatd":"?"}`), "unknown kind of principal"},
		{statement(actions + `,"Condition":{§"StringLik":"?"}`), "unknown condition operator"},
		{statement(actions + `,"Condition":{"${x}":"?",§"StringLike":5}`), "must be an object of condition keys"},
		{statement(actions + `,"Condition":{"StringLike":{"a.b:c":"?",§"a.b:d":{}}}`), "must be a string"},
		{statement(actions + `,"Condition":{"StringLike":{"a:sub":"?",§"A:sub":"x"}}`), "the key is doubled; "},
	} {
		before, after, _ := strings.Cut(c.document, "§")
		p := parsed(t, before+after)
		var e *source.Error
		switch {
		case !errors.As(p.Err, &e):
			t.Errorf("%s: found no error", c.document)
		case !strings.Contains(e.Message, c.message) || e.Position != (source.Position{File: "p.json", Line: 1, Column: len(before) + 1}):
			t.Errorf("%s: expected %q at %d, found %v", c.document, c.message, len(before)+1, e)
		case p.Full != nil:
			t.Errorf("%s: a refused policy is there in full", c.document)
		}
		var syntax *iam.SyntaxError
		if errors.As(p.Err, &syntax) && syntax.Column != e.Position.Column {
			t.Errorf("%s: the cause stands at %d, the error at %d", c.document, syntax.Column, e.Position.Column)
		}
	}
}

// What may turn out right is not refused.
func TestPartialPolicies(t *testing.T) {
	for _, document := range []string{
		`"?"`, `{"...":1}`, `{"Version":"?","...":1}`, `{"Version":"2012-${x}","Statement":"?"}`,
		`{"Statement":["?"]}`, `{"Statement":["..."]}`, `{"Statement":{"...":1}}`,
		`{"Statement":{"Effect":"?","Action":"?"}}`, `{"Statement":{"Effect":"A${x}w","Action":["?","...","${x}"]}}`,
		`{"Statement":{"Effect":"Deny","NotAction":["..."],"Principal":"?"}}`,
		`{"Statement":{"Effect":"Deny","Action":"${service}:x","Principal":"${x}"}}`,
		`{"Statement":{"Effect":"Deny","Action":"*","Principal":{"...":1}}}`,
		`{"Statement":{"Effect":"Deny","Action":"*","Principal":{"${x}":"a"}}}`,
		`{"Statement":{"Effect":"Deny","Action":"*","Principal":{"AWS":"?","Federated":["..."]}}}`,
		`{"Statement":{"Effect":"Deny","Action":"*","Condition":"?"}}`,
		`{"Statement":{"Effect":"Deny","Action":"*","Condition":{"${x}":{"a":"b"}}}}`,
		`{"Statement":{"Effect":"Deny","Action":"*","Condition":{"StringLike":"?","Bool":{"${a}:x":"a","${A}:x":"?","...":1}}}}`,
		`{"Statement":{"Effect":"Deny","Action":"*","Condition":{"StringLike":{"a":["?","${x}",true,5,"..."]}}}}`,
	} {
		if p := parsed(t, document); p.Err != nil || p.Full != nil {
			t.Errorf("%s: found the error %v and in full %v", document, p.Err, p.Full)
		}
	}
}

func TestPlacesInFull(t *testing.T) {
	document := strings.NewReplacer(`"Effect"`, "\n \"Effect\"", `"StringEquals"`, "\n  \"StringEquals\"", `"repo:`, "\n   \"repo:").Replace(trust)
	inv := read("f.json", "{\"Role\":\n"+role(document)+"}")
	p := inv.Roles[0].Trust
	s := p.Full.Statements[0]
	c := s.Conditions[0]
	for what, at := range map[string]iam.Position{"statement": s.Position, "operator": c.OperatorAt, "value": c.Values[0].Position} {
		want := map[string]iam.Position{"statement": {Line: 2, Column: strings.Index(role(trust), `"Statement":[`) + len(`"Statement":[`) + 1}, "operator": {Line: 4, Column: 3}, "value": {Line: 5, Column: 4}}[what]
		if at != want {
			t.Errorf("the %s stands at %v, expected %v", what, at, want)
		}
	}
}

// The size that AWS allows is a linter's matter.
func TestLargePolicy(t *testing.T) {
	large := strings.Replace(trust, "octo-repo", strings.Repeat("x", 20_000), 1)
	if p := parsed(t, large); p.Full == nil {
		t.Error(p.Err)
	}
	huge := strings.Replace(trust, "octo-repo", strings.Repeat("x", 200_000), 1)
	if p := parsed(t, huge); p.Err == nil || p.Full != nil {
		t.Error("a policy without bounds is read")
	}
}

// A policy that AWS would take means here what package iam says of its text,
// and a refused one is refused.
func FuzzParsePolicy(f *testing.F) {
	for _, seed := range []string{
		trust, identity, `{"Statement":{"Effect":"Deny","NotAction":"*","Condition":{"Null":{"aws:x":true}}}}`,
		`{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"","Effect":"Allow","Principal":"*","Action":["a:b","c:d"],"Resource":["*"],"Condition":{"ForAnyValue:StringLikeIfExists":{"a":["${b}",5]}}}]}`,
		`{"Statement":{"Effect":"Deny","Action":"*","Condition":{"Bool":{"a":"b","A":"c"}}}}`, `{"Statement":[]}`, `{"Statement":5}`, `5`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		nodes, err := source.ParseJSON("p.json", data)
		if err != nil || len(nodes) != 1 {
			return
		}
		p := inventory.ParsePolicy(nodes[0])
		want, err := iam.ParsePolicy(data)
		if err != nil {
			// encoding/json replaces halves of a character, package iam refuses them.
			if p.Err == nil && !bytes.ContainsRune(data, '\\') && !bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
				t.Fatalf("package iam refuses %s: %v", data, err)
			}
			if p.Err != nil {
				inFile(t, p.Err, data)
			}
			return
		}
		if p.Full == nil {
			t.Fatalf("refused %s: %v", data, p.Err)
		}
		got, err := p.Full.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := want.MarshalJSON(); err != nil || !bytes.Equal(text, got) {
			t.Fatalf("expected %s, found %s", text, got)
		}
		for i := range want.Statements {
			if p.Full.Statements[i].Position != want.Statements[i].Position {
				t.Fatalf("the statement stands at %v, found %v", want.Statements[i].Position, p.Full.Statements[i].Position)
			}
			for k, c := range want.Statements[i].Conditions {
				if found := p.Full.Statements[i].Conditions[k]; found.Position != c.Position || found.OperatorAt != c.OperatorAt {
					t.Fatalf("the condition stands at %v %v, found %v %v", c.Position, c.OperatorAt, found.Position, found.OperatorAt)
				}
			}
		}
	})
}

// inFile holds an error to a place of the file.
func inFile(t *testing.T, err error, data []byte) {
	t.Helper()
	var e *source.Error
	if !errors.As(err, &e) {
		return
	}
	placeInFile(t, e.Position, data)
}

func placeInFile(t *testing.T, at source.Position, data []byte) {
	t.Helper()
	if at.Line == 0 && at.Column == 0 {
		return
	}
	lines := bytes.Split(data, []byte("\n"))
	if at.Line < 1 || at.Line > len(lines) || at.Column < 1 || at.Column > len(lines[at.Line-1])+1 {
		t.Fatalf("%v is no place of the file %q", at, data)
	}
}
