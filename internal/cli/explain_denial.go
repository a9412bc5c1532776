package cli

import (
	"strings"

	"github.com/stint-dev/stint/client"
	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
)

// The bounds of what is shown of a broker's answer, so that a false broker
// cannot fill a job's log.
const (
	maxShownConditions = 50
	maxShownValues     = 10
	maxShownValue      = 300  // characters
	maxShownSentence   = 3000 // characters
)

// denialOf is a broker's denial as stint explain shows one. It is only there
// for a caller whom the broker tells why.
func denialOf(d *client.DeniedError) (leg, bool) {
	if !d.Explained() {
		return leg{}, false
	}
	x := explain.Explanation{
		Decision: explain.Denied, Action: explain.ActionExchange, Closest: -1,
		Cause: d.Detail, Suggestion: d.Suggestion, CallerChange: d.Hint, Warning: d.Warning,
	}
	if x.Suggestion == "" || x.Suggestion == x.CallerChange {
		x.Suggestion, x.CallerChange = x.CallerChange, ""
	}
	if t := d.Closest; t != nil {
		s := explain.Statement{Index: t.Index, Sid: t.Rule, Effect: iam.EffectAllow.String(), Matched: t.Matched}
		if t.Effect == "deny" {
			s.Effect = iam.EffectDeny.String()
		}
		for _, c := range t.Conditions[:min(len(t.Conditions), maxShownConditions)] {
			s.Conditions = append(s.Conditions, explain.Condition{Operator: c.Operator, Key: cut(c.Key, maxShownValue), Expected: cutTexts(c.Expected),
				Actual: cutTexts(c.Actual), Matched: c.Matched, Note: cut(c.Note, maxShownSentence)})
		}
		x.Statements, x.Closest = []explain.Statement{s}, 0
	}
	return leg{title: "rules of the broker", Explanation: x}, true
}

func cutTexts(values []string) []string {
	out := make([]string, 0, min(len(values), maxShownValues+1))
	for i, v := range values {
		if i == maxShownValues {
			out = append(out, "...")
			break
		}
		out = append(out, cut(v, maxShownValue))
	}
	return out
}

// cut is the beginning of s, at most so many characters of it.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

// deniedError tells a denied job what stood in its way, as stint explain does.
// In GitHub Actions the run also gets an annotation and the step a summary.
func deniedError(e *Env, err error, d *client.DeniedError) error {
	message := d.Error()
	if d.Record != "" && !strings.Contains(message, d.Record) {
		message += " (record " + d.Record + ")"
	}
	why, told := denialOf(d)
	var hint string
	switch {
	case told:
		hint = "'stint claims' shows what is in this job's token"
	case d.Upstream:
		hint = "AWS never says which condition of the role's trust policy failed, and the broker does not see the policy\n" +
			"with the role in a file, as 'aws iam get-role' prints it, this says which:\n" +
			"stint token | stint explain --role role.json --token -"
	default:
		hint = "nothing more is told: the broker does not know this token as one of its jobs, or AWS itself refused\n" +
			"'stint claims' shows what is in this job's token: compare its aud, iss and repository with the broker's configuration,\n" +
			"and the role's trust policy with the broker's issuer, by 'stint token | stint explain --role role.json --token -'"
	}
	text := message
	if told {
		text += "\n\n" + strings.TrimRight(explanationText([]leg{why}), "\n")
	}
	if inActions(e) {
		said := printable(message)
		for _, row := range rows(why.steps()) {
			if row.name != "Cause" {
				said += "\n" + row.name + ": " + printable(row.text)
			}
		}
		annotate(e.Stderr, "stint: denied", said)
		summarize(e, denialSummary(message, hint, why, told))
	}
	return deniedf(hint, "%w", &shownError{text: text, err: err})
}

// shownError is an error in other words.
type shownError struct {
	text string
	err  error
}

func (s *shownError) Error() string { return s.text }
func (s *shownError) Unwrap() error { return s.err }
