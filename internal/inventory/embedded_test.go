package inventory

import (
	"testing"

	"github.com/stint-dev/stint/internal/source"
)

// What a template puts into a JSON text is not known, and nothing else.
func TestGaps(t *testing.T) {
	part := func(s string) source.Text {
		return source.Text{Parts: []source.Part{{Unknown: "${" + s + "}", Resource: s}}}
	}
	at := source.Position{File: "main.tf", Line: 3, Column: 5}
	text := source.Join(
		source.Literal(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Sid":"a\"b","Action":`), part("action"),
		source.Literal(`,"Principal":{"Federated":"arn:aws:iam::`), part("account"), source.Literal(`:oidc-provider/`), part("host"),
		source.Literal(`"},"Condition":{"StringLike":{"`), part("host"), source.Literal(`:sub":["`), part("sub"), source.Literal(`","repo:octo-org/octo-repo:*"]}}}]}`),
	)
	r := newReader()
	p := r.embedded(&source.Node{Kind: source.KindString, Position: at, Text: text}, "policy")
	if p.Err != nil || p.Full != nil || len(p.Statements) != 1 {
		t.Fatalf("found %+v", p)
	}
	s := p.Statements[0]
	if sid, _ := s.Sid.Known(); sid != `a"b` {
		t.Errorf("found the Sid %q", sid)
	}
	if !s.Action.Open || len(s.Action.List) != 1 || s.Action.List[0].String() != "${action}" {
		t.Errorf("found the action %+v", s.Action)
	}
	federated := s.Principal.Federated.List[0]
	if federated.String() != "arn:aws:iam::${account}:oidc-provider/${host}" || federated.Parts[1].Resource != "account" || federated.Position != at {
		t.Errorf("found %+v", federated)
	}
	c := s.Conditions[0]
	if c.Key.String() != "${host}:sub" || c.Key.Parts[0].Resource != "host" || c.Values.Open || c.Values.List[0].String() != "${sub}" {
		t.Errorf("found %+v", c)
	}
	if known, ok := c.Values.List[1].Known(); !ok || known != "repo:octo-org/octo-repo:*" {
		t.Errorf("found %+v", c.Values.List[1])
	}

	for _, unknown := range []source.Text{part("all"), source.Join(source.Literal(`{"Statement":[`), part("some"), part("more"), source.Literal("]}")), source.Join(source.Literal("{"), part("rest"), source.Literal("}"))} {
		if p := r.embedded(&source.Node{Kind: source.KindString, Position: at, Text: unknown}, "policy"); p != nil {
			t.Errorf("%s: found %+v", unknown, p)
		}
	}
}
