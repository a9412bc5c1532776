package iam

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// requestsFor derives requests from a policy, so that its statements are
// really tried: with the values it names, with others, and with none.
func requestsFor(p *Policy) []Request {
	actions := []string{"sts:AssumeRole", ""}
	resources := []string{"arn:aws:iam::111111111111:role/r", ""}
	callers := []Principal{
		{},
		{Federated: "arn:aws:iam::111111111111:oidc-provider/idp.example.com"},
		RoleSession("arn:aws:iam::111111111111:role/r", "s", ""),
	}
	full, several, empty := Context{}, Context{}, Context{}
	for i := range p.Statements {
		s := &p.Statements[i]
		for _, v := range append(s.Action.Strings(), s.NotAction.Strings()...) {
			actions = append(actions, strings.NewReplacer("*", "x", "?", "y").Replace(v))
		}
		for _, v := range append(s.Resource.Strings(), s.NotResource.Strings()...) {
			resources = append(resources, strings.NewReplacer("*", "x", "?", "y").Replace(v))
		}
		for _, who := range []*Principals{s.Principal, s.NotPrincipal} {
			if who == nil {
				continue
			}
			if len(who.AWS) > 0 {
				callers = append(callers, Principal{AWS: who.AWS.Strings()})
			}
			for _, v := range who.Federated {
				callers = append(callers, Principal{Federated: v.Text})
			}
			for _, v := range who.Service {
				callers = append(callers, Principal{Service: v.Text})
			}
		}
		for _, c := range s.Conditions {
			full.Set(c.Key, "x")
			empty.Set(c.Key, "")
			if len(c.Values) > 0 {
				full.Set(c.Key, c.Values[0].Text)
			}
			several.Set(c.Key, append(c.Values.Strings(), "*", "1")...)
		}
	}
	const most = 4
	actions = actions[max(0, len(actions)-most):]
	resources = resources[max(0, len(resources)-most):]
	callers = callers[max(0, len(callers)-most):]
	var out []Request
	for _, ctx := range []Context{{}, full, several, empty} {
		for _, action := range actions {
			for _, resource := range resources {
				for _, caller := range callers {
					for _, identity := range []bool{false, true} {
						out = append(out, Request{
							Action: action, Resource: resource, Principal: caller,
							Context: ctx, IdentityPolicy: identity,
						})
					}
				}
			}
		}
	}
	return out
}

// FuzzParsePolicy asserts that a document either is refused with a place
// inside of it, or means the same after encoding and decoding, and that the
// fast path agrees with the explained one.
func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(`{"Version":"2012-10-17","Id":"i","Statement":{"Sid":"s","Effect":"Allow","Principal":{"AWS":["1","*"],"Federated":"f"},"NotAction":"sts:*","Condition":{"StringLike":{"a:b":["${a:c, 'd'}*","${*}"]},"ForAllValues:NumericLessThan":{"c:d":[1,"2"]},"Bool":{"e:f":true}}}}`))
	f.Add([]byte(`{"Statement":[{"Effect":"Deny","NotPrincipal":{"Service":"s"},"Action":["a:b","c:*"],"NotResource":"arn:aws:s3:::${a:b}/*","Condition":{"IpAddressIfExists":{"aws:SourceIp":"10.0.0.0/8"},"Null":{"x":"false"},"DateEquals":{"d":"2026"},"ArnLike":{"e":"arn:*:*:*:*:*"}}}]}`))
	f.Add([]byte(`{"Statement":"\ud83d\ude00"}`))
	paths, _ := filepath.Glob("testdata/corpus/*.json")
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var file struct {
			Cases []struct{ Policy json.RawMessage }
		}
		if err := json.Unmarshal(raw, &file); err != nil {
			f.Fatal(err)
		}
		for i, c := range file.Cases {
			if i%5 == 0 && c.Policy != nil {
				f.Add([]byte(c.Policy))
			}
		}
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := ParsePolicy(document)
		if err != nil {
			var syntax *SyntaxError
			if p != nil || !errors.As(err, &syntax) || syntax.Line < 1 || syntax.Column < 1 || syntax.Message == "" {
				t.Fatalf("bad error: %#v", err)
			}
			if lines := strings.Split(string(document), "\n"); syntax.Line > len(lines) ||
				utf8.Valid(document) && len(document) <= maxDocument && syntax.Column > utf8.RuneCountInString(lines[syntax.Line-1])+1 {
				t.Fatalf("the place of %v is outside of the document", err)
			}
			return
		}
		if !json.Valid(document) {
			t.Fatal("accepted what is not JSON")
		}
		encoded, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(encoded) > maxDocument {
			t.Skip()
		}
		again, err := ParsePolicy(encoded)
		if err != nil {
			t.Fatalf("%v\n%s", err, encoded)
		}
		twice, err := json.Marshal(again)
		if err != nil || string(twice) != string(encoded) {
			t.Fatalf("%v\n%s\n%s", err, encoded, twice)
		}
		for _, r := range requestsFor(p) {
			decision := p.Decide(r)
			if got := again.Decide(r); got != decision {
				t.Fatalf("%s before encoding, %s after: %+v\n%s", decision, got, r, encoded)
			}
			result := p.Evaluate(r)
			if result.Decision != decision {
				t.Fatalf("Decide says %s, Evaluate %s: %+v\n%s", decision, result.Decision, r, encoded)
			}
			checkResult(t, result)
		}
	})
}

// checkResult asserts that a trace accounts for its verdict.
func checkResult(t *testing.T, r Result) {
	t.Helper()
	want := ImplicitDeny
	for _, s := range r.Statements {
		matched := s.PrincipalMatched && s.ActionMatched && s.ResourceMatched
		for _, c := range s.Conditions {
			matched = matched && c.Matched
			if c.Silent && (c.Matched != (s.Effect == EffectDeny) || c.Note == "") {
				t.Fatalf("a case AWS is silent on lets the caller in, or has no note: %+v", c)
			}
		}
		if matched != s.Matched {
			t.Fatalf("the parts of the statement do not account for Matched: %+v", s)
		}
		switch {
		case s.Matched && s.Effect == EffectDeny:
			want = ExplicitDeny
		case s.Matched && want == ImplicitDeny:
			want = Allow
		}
	}
	if want != r.Decision {
		t.Fatalf("the statements amount to %s, the decision is %s", want, r.Decision)
	}
}

// naiveMatch is the definition of wildcards, as a table: row i says which
// beginnings of s the first i characters of the pattern match.
func naiveMatch(pat, s []rune) bool {
	row := make([]bool, len(s)+1)
	row[0] = true
	for _, p := range pat {
		next := make([]bool, len(s)+1)
		for j := range next {
			switch {
			case p == '*':
				next[j] = row[j] || j > 0 && next[j-1]
			case j > 0:
				next[j] = row[j-1] && (p == '?' || p == s[j-1])
			}
		}
		row = next
	}
	return row[len(s)]
}

// naiveFind reports whether a piece without stars occurs in s.
func naiveFind(piece, s string) bool {
	for at := range s {
		if _, ok := piecePrefix(piece, s[at:]); ok {
			return true
		}
	}
	return false
}

func FuzzWildcards(f *testing.F) {
	for _, seed := range [][2]string{
		{"*", ""}, {"a*b?c", "axxbyc"}, {"*?*é", "世é"}, {"ab*ba", "aba"}, {"??", "é"}, {"**a*?", "aaa"},
		{"a*ab", "aab"}, {"*ab?ab*", "abxabyab"}, {"*?a", "aa"}, {"a:*:b", "a:x:y:b"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pat, s string) {
		if !utf8.ValidString(pat) || !utf8.ValidString(s) || len(pat) > 100 || len(s) > 200 {
			t.Skip()
		}
		want := naiveMatch([]rune(pat), []rune(s))
		if got := globMatch(pattern(pat), s); got != want {
			t.Fatalf("globMatch(%q, %q) = %v", pat, s, got)
		}
		// Long texts are searched another way.
		if piece := strings.ReplaceAll(pattern(pat), "\xff", ""); strings.Contains(piece, "\xfe") {
			short := pieceIndex(piece, s)
			if long := shiftAnd(piece, s); long != short {
				t.Fatalf("shiftAnd(%q, %q) = %d, pieceIndex %d", piece, s, long, short)
			}
			padded := strings.Repeat("\n", 1<<14) + s
			if long := pieceIndex("\n"+piece, padded); (long >= 0) != naiveFind("\n"+piece, padded) {
				t.Fatalf("pieceIndex(%q) in a long text = %d", piece, long)
			}
		}
		if isASCII(pat) && isASCII(s) {
			want := naiveMatch([]rune(strings.ToLower(pat)), []rune(strings.ToLower(s)))
			if got := foldMatch(pattern(lowerASCII(pat)), s); got != want {
				t.Fatalf("foldMatch(%q, %q) = %v", pat, s, got)
			}
		}
		// An ARN pattern never matches more than the same text as a string.
		if matched, _ := arnMatch(pattern(pat), s); matched && !want {
			t.Fatalf("arnMatch(%q, %q) is wider than a string", pat, s)
		}
		// Escaped, any text matches itself and nothing else.
		escaped := strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(pat)
		text, vars := compileText(escaped, true, true)
		if vars != nil || text != pat {
			t.Fatalf("%q compiles to %q, %v", escaped, text, vars)
		}
	})
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// FuzzCondition asserts for any condition that the fast and the explained
// evaluation agree, that a negated operator is never looser in an Allow than
// the opposite of its positive twin, and that Deny holds whenever Allow does.
func FuzzCondition(f *testing.F) {
	f.Add("StringLike", "${a:v}*", "x", "y", "*", uint8(1))
	f.Add("NumericEquals", "10", "10abc", "", "1", uint8(2))
	f.Add("DateLessThan", "2026", "1700000000", "2026-01-01", "", uint8(0))
	f.Add("IpAddress", "10.0.0.0/8", "::ffff:10.1.1.1", "10.1.1.1", "", uint8(2))
	f.Add("ArnLike", "arn:*:s3:::${a:v}", "arn:aws:s3:::x", "x", "x", uint8(1))
	f.Add("Bool", "${a:v}", "true", "false", "true", uint8(1))
	f.Add("ForAllValues:StringEquals", "a", "", "b", "", uint8(2))
	f.Fuzz(func(t *testing.T, operator, expected, first, second, variable string, values uint8) {
		shape := Condition{Operator: operator}
		if !splitOperator(&shape) {
			t.Skip()
		}
		ctx := Context{}
		ctx.Set("a:v", variable)
		ctx.Set("a:k", []string{first, second}[:values%3]...)
		compile := func(test string) *condition {
			op := operators[test]
			return &condition{
				op: op, qualifier: shape.Qualifier, ifExists: shape.IfExists, key: "a:k",
				operands: []operand{compileOperand(op.kind, expected, true)},
			}
		}
		c := compile(shape.Test)
		inAllow, silentAllow, _ := c.test(ctx, EffectAllow)
		inDeny, silentDeny, _ := c.test(ctx, EffectDeny)
		if inAllow && !inDeny || silentAllow != silentDeny || silentAllow == (inAllow == inDeny) {
			t.Fatalf("allow %v, deny %v, silent %v and %v", inAllow, inDeny, silentAllow, silentDeny)
		}
		source := shape
		source.Key, source.Values = "a:k", Values{{Text: expected}}
		explained := c.explain(&source, ctx, EffectAllow)
		if explained.Matched != inAllow || explained.Silent != silentAllow {
			t.Fatalf("explained as %+v, decided as %v", explained, inAllow)
		}
		twin := map[string]string{
			"StringEquals": "StringNotEquals", "StringLike": "StringNotLike", "NumericEquals": "NumericNotEquals",
			"DateEquals": "DateNotEquals", "IpAddress": "NotIpAddress", "ArnLike": "ArnNotLike",
		}[shape.Test]
		if twin != "" && values%3 == 1 && shape.Qualifier == NoQualifier {
			if negated, _, _ := compile(twin).test(ctx, EffectAllow); negated && inAllow {
				t.Fatalf("%s and %s both hold", shape.Test, twin)
			}
		}
	})
}
