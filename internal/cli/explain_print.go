package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
)

// explainedWay is what `stint explain --json` prints: the last decision, and
// those before it.
type explainedWay struct {
	explain.Explanation
	Before  []explain.Explanation `json:"before,omitempty"`
	Session *sessionSize          `json:"session,omitempty"` // that the rules grant
}

func explained(way []leg) explainedWay {
	last := len(way) - 1
	out := explainedWay{Explanation: way[last].Explanation}
	for i, l := range way {
		if i < last {
			out.Before = append(out.Before, l.Explanation)
		}
		if l.size != nil {
			out.Session = l.size
		}
	}
	return out
}

// printExplanation shows each decision: the verdict, the statement that
// decided or came closest, and what to do.
func printExplanation(out io.Writer, way []leg) error {
	_, err := io.WriteString(out, explanationText(way))
	return err
}

func explanationText(way []leg) string {
	var b strings.Builder
	for i, l := range way {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s %s by the %s\n", strings.ToUpper(l.Decision), l.Action, l.title)
		if len(l.Layers) > 1 {
			fmt.Fprintf(&b, "asked: %s\n", layersText(l.Layers))
		}
		if l.Closest >= 0 && l.Closest < len(l.Statements) {
			showStatement(&b, l.Statements[l.Closest])
		}
		if l.size != nil {
			fmt.Fprintf(&b, "\n%-9s%s\n", "Session", l.size.sentence())
		}
		for _, s := range l.steps() {
			b.WriteByte('\n')
			for _, r := range rows([]explain.Step{s}) {
				fmt.Fprintf(&b, "%-9s%s\n", r.name, printable(r.text))
			}
		}
	}
	return b.String()
}

// layersText is what each of several policies says.
func layersText(layers []explain.Layer) string {
	said := map[string]string{iam.Allow.String(): "allows", iam.ExplicitDeny.String(): "denies"}
	all := make([]string, 0, len(layers))
	for _, l := range layers {
		verdict := said[l.Decision]
		if verdict == "" {
			verdict = "does not allow"
		}
		all = append(all, printable(strings.Join(strings.Fields(l.Kind+" "+l.Name), " "))+" "+verdict)
	}
	return strings.Join(all, ", ")
}

// steps are the causes one by one, also where there is a single one.
func (l leg) steps() []explain.Step {
	if len(l.Steps) > 0 {
		return l.Steps
	}
	return []explain.Step{{Kind: l.Kind, Cause: l.Cause, Suggestion: l.Suggestion, CallerChange: l.CallerChange, Warning: l.Warning}}
}

// row is one thing that is said of a cause.
type row struct{ name, text string }

func rows(steps []explain.Step) []row {
	var all []row
	for _, s := range steps {
		for _, r := range []row{{"Cause", s.Cause}, {"Change", s.Suggestion}, {"Or", s.CallerChange}, {"Warning", s.Warning}} {
			if r.text != "" {
				all = append(all, r)
			}
		}
	}
	return all
}

func showStatement(b *strings.Builder, s explain.Statement) {
	which := "closest"
	if s.Matched {
		which = "decided by"
	}
	fmt.Fprintf(b, "%s: %s %d", which, s.Effect, s.Index)
	if s.Sid != "" {
		fmt.Fprintf(b, " %q", printable(s.Sid))
	}
	if !s.Position.IsZero() {
		fmt.Fprintf(b, ", at %s", s.Position)
	}
	b.WriteByte('\n')
	for _, c := range s.Conditions {
		mark := "ok"
		if !c.Matched {
			mark = "NO"
		}
		fmt.Fprintf(b, "\n  %s  %s\n", mark, printable(conditionTitle(c)))
		shown := printableAll(c.Expected)
		actual := printableAll(c.Actual)
		for i, v := range shown {
			fmt.Fprintf(b, "      %-9s %s\n", label(i, "expected"), v)
		}
		for i, v := range printableAll(c.Written) {
			fmt.Fprintf(b, "      %-9s %s\n", label(i, "written"), v)
		}
		if len(actual) == 0 {
			actual = []string{"nothing"}
		}
		for i, v := range actual {
			fmt.Fprintf(b, "      %-9s %s\n", label(i, "actual"), v)
		}
		if at := difference(shown, printableAll(c.Actual), c.Matched); at >= 0 {
			fmt.Fprintf(b, "      %-9s %s^ differs from here\n", "", strings.Repeat(" ", at))
		}
		if c.Note != "" {
			fmt.Fprintf(b, "      %-9s %s\n", "note", printable(c.Note))
		}
	}
}

func conditionTitle(c explain.Condition) string {
	if c.Operator == c.Key {
		return c.Operator
	}
	return c.Operator + " " + c.Key
}

func label(i int, name string) string {
	if i == 0 {
		return name
	}
	return "or"
}

func printableAll(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = printable(v)
	}
	return out
}

// difference is the character at which the one value that was found leaves
// the expected one that it goes along with the longest, or -1 where that says
// nothing.
func difference(expected, actual []string, matched bool) int {
	if matched || len(expected) == 0 || len(actual) != 1 {
		return -1
	}
	got := []rune(actual[0])
	at := 0
	for _, e := range expected {
		want := []rune(e)
		i := 0
		for i < len(want) && i < len(got) && want[i] == got[i] {
			i++
		}
		if i == len(want) && i == len(got) {
			return -1 // a negated operator: it is there
		}
		at = max(at, i)
	}
	return at
}
