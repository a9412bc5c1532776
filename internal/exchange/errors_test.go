package exchange

import (
	"testing"

	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
)

// TestExplain holds what a caller is told to who the caller is, and the one
// sentence to all that did not hold.
func TestExplain(t *testing.T) {
	denied := &Error{Kind: Denied, Record: "01H", Decision: &rules.Decision{
		Reason: rules.NoRuleMatched, Detail: "the first thing.", Hint: "do this.", Change: "in the rule r, add it", Warning: "all get in",
		Closest: &rules.Trace{Rule: "r", Conditions: []rules.Condition{
			{Operator: rules.OperatorMatch, Key: "a", Expected: []string{"1"}, Actual: []string{"2"}},
			{Operator: rules.OperatorMatch, Key: "held", Expected: []string{"1"}, Actual: []string{"1"}, Matched: true},
			{Operator: rules.OperatorMatch, Key: "b", Expected: []string{"x", "y"}, Actual: []string{}},
			{Operator: rules.OperatorWhen, Key: "when"},
		}},
	}}
	expired := &identity.Rejection{Kind: identity.WrongAudience, Proven: true, Detail: "Another service.", Expected: `"a"`, Found: `"b" or "c"`, Hint: "Ask again."}
	for _, tt := range []struct {
		name     string
		err      *Error
		told     bool
		sentence string
		closest  bool
	}{
		{"denied by the rules", denied, true,
			`the first thing; also expected b to be "x" or "y", found nothing. do this. Change: in the rule r, add it (all get in) (record 01H)`, true},
		{"a job of ours with a bad token", &Error{Kind: Rejected, Record: "01H", Rejection: expired}, true,
			`Another service: expected "a", found "b" or "c". Ask again (record 01H)`, true},
		{"a stranger", &Error{Kind: Rejected, Record: "01H", Rejection: &identity.Rejection{Kind: identity.OutsideOnly, Detail: "d", Expected: "e", Found: "f"}}, false, "", false},
		{"refused by AWS", &Error{Kind: Upstream, Rule: "r", Role: "x"}, false, "", false},
		{"not now", &Error{Kind: Unavailable}, false, "", false},
	} {
		x, told := tt.err.Explain()
		if told != tt.told || (x.Closest != nil) != tt.closest {
			t.Errorf("%s: told %v: %+v", tt.name, told, x)
		}
		if told && x.Sentence() != tt.sentence {
			t.Errorf("%s: got %q\nwant %q", tt.name, x.Sentence(), tt.sentence)
		}
		if !told && (x.Detail != "" || x.Reason != "" || x.Record != "") {
			t.Errorf("%s: told nothing, and yet %+v", tt.name, x)
		}
	}
}
