package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// denied says why a statement denies, and what would spare this caller.
func (e *evaluation) denied(s iam.StatementResult) finding {
	f := finding{
		kind:   ExplicitDeny,
		cause:  name(e.policy, s.Index) + " denies it, and a deny wins over every allow",
		policy: "remove " + name(e.policy, s.Index),
		edits:  []Edit{{Op: RemoveStatement, Statement: s.Index}},
	}
	f.warning = "the statement was written to keep somebody out: without it all of them may get in"
	source := e.policy.Statements[s.Index]
	if keys := e.literalIn(s); len(keys) > 0 {
		edits := []Edit{{Op: SetVersion, Statement: s.Index, To: iam.VersionCurrent}}
		if e.spares(s.Index, edits) {
			v := literalVariables(keys[0])
			f.cause, f.policy, f.edits = f.cause+"; "+v.cause, v.policy, edits
			return f
		}
	}
	spared := false
	for i, c := range s.Conditions {
		if len(c.Actual) == 1 {
			f.cause += fmt.Sprintf("; %s is %q", c.Key, c.Actual[0])
		}
		condition := source.Conditions[i]
		var edits []Edit
		var words string
		switch {
		case len(c.Actual) == 0:
			edits, words = e.deniesAbsent(&f, s.Index, condition, c)
		case len(c.Actual) != 1:
		case condition.Negated():
			value := escape(e.policy, condition.Test, c.Actual[0])
			edits = []Edit{{Op: AddValue, Statement: s.Index, Operator: c.Operator, Key: c.Key, To: value}}
			words = fmt.Sprintf("except this caller from the deny: add %q to %s %s", value, c.Operator, c.Key)
		case len(c.Written) > 1 && slices.Contains(c.Written, c.Actual[0]):
			edits = []Edit{{Op: RemoveValue, Statement: s.Index, Operator: c.Operator, Key: c.Key, From: c.Actual[0]}}
			words = fmt.Sprintf("take %q out of %s %s", c.Actual[0], c.Operator, c.Key)
		}
		if edits != nil && !spared && e.spares(s.Index, edits) {
			spared = true
			f.policy, f.edits = words, edits
			f.warning = "the statement was written to keep somebody out: make sure that it was not this caller"
		}
	}
	return f
}

// deniesAbsent says of a condition by which a statement denies where a key is
// not in the request why it is not. The change is one of the key.
func (e *evaluation) deniesAbsent(f *finding, index int, source iam.Condition, result iam.ConditionResult) (edits []Edit, words string) {
	if result.Present || !source.Negated() && source.Test != "Null" {
		return nil, ""
	}
	m := e.miss(index, source, result)
	if source.Test == "Null" {
		m.source.Test = "" // that the key is not there is what is to be explained
	}
	if known := misspeltKey(m); known != nil {
		f.cause += "; " + known.cause
		if len(known.edits) > 0 && known.edits[0].Op == RenameKey {
			return known.edits[:1], known.policy
		}
		return nil, ""
	}
	if known := unknownKey(m); known != nil {
		f.cause += fmt.Sprintf("; %s, and the statement denies everybody", known.cause)
		return nil, ""
	}
	if tag, ok := principalTag(result.Key); ok && e.session != nil {
		n := e.noTag(tag)
		f.cause += "; " + n.cause
		f.caller = n.caller
		return nil, ""
	}
	if tag, ok := strings.CutPrefix(strings.ToLower(result.Key), "aws:requesttag/"); ok {
		f.cause += fmt.Sprintf("; %s no session tag %s", e.carrier, tag)
		f.caller = e.send(tag)
		if len(result.Expected) > 0 && source.Test != "Null" {
			f.caller += ", with the value " + quoted(result.Expected)
			m.triesTag(f, tag)
		}
		return nil, ""
	}
	known := absent(m)
	if known == nil {
		return nil, ""
	}
	f.cause += "; " + known.cause
	f.caller, f.tries, f.otherwise = known.caller, known.tries, known.otherwise
	if m.claim == "environment" && (source.Test == "Null" || len(result.Expected) == 0) {
		f.caller, f.tries = "add an environment: to the job in the workflow", nil
	}
	return nil, ""
}

// literalIn are the variables in what failed, or decided, of a statement in a
// policy that knows none.
func (e *evaluation) literalIn(s iam.StatementResult) []string {
	if e.policy.Version == iam.VersionCurrent {
		return nil
	}
	current := *e.policy
	current.Version = iam.VersionCurrent
	var keys []string
	source := e.policy.Statements[s.Index]
	denies := s.Effect == iam.EffectDeny
	for i, c := range s.Conditions {
		if c.Matched == denies {
			for _, v := range source.Conditions[i].Values {
				keys = append(keys, variables(&current, v.Text)...)
			}
		}
	}
	if s.ResourceMatched == denies {
		for _, v := range append(slices.Clone(source.Resource), source.NotResource...) {
			keys = append(keys, variables(&current, v.Text)...)
		}
	}
	return keys
}

// literalVariables knows variables in a policy whose Version knows none. What
// else is in the way is found after it.
func (e *evaluation) literalVariables(s iam.StatementResult) (finding, bool) {
	keys := e.literalIn(s)
	if len(keys) == 0 || e.whole {
		return finding{}, false
	}
	f := literalVariables(keys[0])
	f.edits = []Edit{{Op: SetVersion, Statement: s.Index, To: iam.VersionCurrent}}
	return f, true
}

func literalVariables(key string) finding {
	return finding{
		kind:    Other,
		cause:   fmt.Sprintf("without \"Version\": %q a policy knows no variables, so ${%s} is taken literally", iam.VersionCurrent, key),
		policy:  fmt.Sprintf("write \"Version\": %q at the top of the policy", iam.VersionCurrent),
		partial: true,
	}
}

// spares reports whether the statement no longer matches after the edits.
func (e *evaluation) spares(index int, edits []Edit) bool {
	changed, err := Apply(e.policy, edits)
	if err != nil {
		return false
	}
	for _, action := range e.decide(changed).actions {
		if action.Statements[index].Matched {
			return false
		}
	}
	return true
}
