package cloudformation_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/cloudformation"
)

// FuzzParse asserts that every place lies in the file, that what stands
// literally in the file is what is said to stand there, that a template in JSON
// reads as the same one in YAML, and that nothing grows without bound.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"Parameters":{"P":{"Type":"String","Default":"x"}},"Resources":{"R":{"Type":"AWS::IAM::Role","Properties":{"A":{"Fn::Sub":"${P}-${AWS::Region}"},"B":{"Fn::If":["C",1,2]}}}},"Conditions":{"C":{"Fn::Equals":["a",{"Ref":"P"}]}}}`))
	f.Add([]byte(`{"Resources":{"Fn::ForEach::L":["N",["a","b"],{"R${N}":{"Type":"AWS::IAM::Role","Properties":{"A":[{"Ref":"N"},"{{resolve:ssm:/${N}}}"]}}}]}}`))
	f.Add([]byte(head + "!Join ['', [!Ref Org, !Select [0, !Ref Branches]]]\n"))
	f.Add([]byte(head + "!If [HasRepo, \"x\\ty\", 'x''y']\n"))
	for _, e := range examples {
		f.Add([]byte(e.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		resources, err := cloudformation.Parse("t", data)
		if e := (*source.Error)(nil); err != nil && !errors.As(err, &e) {
			t.Fatalf("an error without a place: %v", err)
		}
		lines := bytes.Count(data, []byte("\n")) + 1
		size := 0
		for _, r := range resources {
			if r.Values == nil || r.Values.Kind != source.KindMap || r.Type == "" {
				t.Fatalf("half a resource: %+v", r)
			}
			checkPlaces(t, data, lines, r.Values)
			size += len(shape(r.Values))
		}
		if size > 50<<20 {
			t.Fatalf("%d bytes grew to %d", len(data), size)
		}
		// YAML breaks lines where JSON does not, in characters beyond ASCII.
		if err != nil || !bytes.HasPrefix(data, []byte("{")) || bytes.ContainsFunc(data, func(c rune) bool { return c >= 0x7f }) {
			return
		}
		again, err := cloudformation.Parse("t", append([]byte("---\n"), data...))
		if err != nil && len(again) == 0 {
			return // not all JSON is YAML: escapes in two parts, long keys
		}
		if a, b := all(resources), all(again); a != b {
			t.Fatalf("JSON reads as %s\nYAML reads as %s", a, b)
		}
	})
}

func all(resources []source.Resource) string {
	var b strings.Builder
	for _, r := range resources {
		b.WriteString(r.Address + " " + r.Type + shape(r.Values) + "\n")
	}
	return b.String()
}

func checkPlaces(t *testing.T, data []byte, lines int, n *source.Node) {
	t.Helper()
	check := func(s source.Text) {
		if s.Span == (source.Span{}) {
			return
		}
		if s.Span.Start < 0 || s.Span.Start >= s.Span.End || s.Span.End > len(data) {
			t.Fatalf("%q: the span %v is outside of %d bytes", s, s.Span, len(data))
		}
		raw := string(data[s.Span.Start:s.Span.End])
		known, ok := s.Known()
		if !ok || raw[0] != '"' && raw[0] != '\'' && raw != known {
			t.Fatalf("%q stands where %q is said to", raw, s)
		}
		if raw[0] == '"' && !strings.Contains(raw, `\`) && raw != `"`+known+`"` {
			t.Fatalf("%q stands where %q is said to", raw, s)
		}
	}
	if p := n.Position; p.Line < 1 || p.Line > lines || p.Column < 1 {
		t.Fatalf("the place %v is outside of %d lines", p, lines)
	}
	if n.Kind != source.KindList && n.Kind != source.KindMap {
		check(n.Text)
	}
	for _, i := range n.Items {
		checkPlaces(t, data, lines, i)
	}
	for _, f := range n.Fields {
		check(f.Key)
		checkPlaces(t, data, lines, f.Value)
	}
}
