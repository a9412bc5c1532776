package cli

import (
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"strings"

	"github.com/stint-dev/stint/internal/explain"
)

const (
	// maxStepSummary is the most that GitHub takes of one step: a larger file is
	// refused as a whole.
	maxStepSummary = 1 << 20
	// maxSummary bounds what one command adds to it.
	maxSummary = 64 << 10
)

// annotate marks the run with an error.
func annotate(w io.Writer, title, message string) {
	fmt.Fprintln(w, annotation(title, message))
}

// summarize appends to the summary of this step of a GitHub Actions job. That
// it cannot be written changes nothing else.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
func summarize(e *Env, markdown string) {
	name := e.Getenv("GITHUB_STEP_SUMMARY")
	if name == "" {
		return
	}
	if err := appendSummary(name, markdown); err != nil {
		fmt.Fprintf(e.Stderr, "warning: the step summary is not written: %s\n", printable(err.Error()))
	}
}

func appendSummary(name, markdown string) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular(): // opening a pipe could wait for ever
		return errors.New("expected GITHUB_STEP_SUMMARY to name a file")
	case info.Size()+int64(len(markdown)) > maxStepSummary:
		return fmt.Errorf("it would grow over %d bytes, and GitHub would refuse all of it", maxStepSummary)
	}
	// The runner made the file; another one would be nobody's summary.
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, markdown)
	return errors.Join(err, f.Close())
}

// denialSummary is a denial in Markdown. Whatever comes from outside stands as
// escaped text in a code element of an HTML block, which ends at the next blank
// line and in which nothing is Markdown: no value can make a link, an element,
// a mention or another row.
func denialSummary(message, hint string, why leg, told bool) string {
	var b strings.Builder
	b.WriteString("## stint: denied\n\n<table>\n")
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "<tr><th align=\"left\">%s</th><td>%s</td></tr>\n", name, code(text))
		}
	}
	row("Answer", message)
	if told {
		for _, r := range rows(why.steps()) {
			row(r.name, r.text)
		}
	} else {
		row("Hint", strings.ReplaceAll(hint, "\n", " "))
	}
	b.WriteString("</table>\n\n")
	if at := why.Closest; told && at >= 0 && at < len(why.Statements) {
		summarizeStatement(&b, why.Statements[at])
	}
	return b.String()
}

func summarizeStatement(b *strings.Builder, s explain.Statement) {
	which := "The closest rule"
	if s.Matched {
		which = "The rule that decided"
	}
	fmt.Fprintf(b, "<p>%s: %s %s</p>\n\n<table>\n", which, s.Effect, code(s.Sid))
	b.WriteString("<tr><th></th><th>condition</th><th>expected</th><th>actual</th></tr>\n")
	for i, c := range s.Conditions {
		mark := "ok"
		if !c.Matched {
			mark = "<strong>NO</strong>"
		}
		actual := codes(c.Actual)
		if len(c.Actual) == 0 {
			actual = "nothing"
		}
		if c.Note != "" {
			actual += "<br>" + code(c.Note)
		}
		row := fmt.Sprintf("<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", mark, code(conditionTitle(c)), codes(c.Expected), actual)
		if b.Len()+len(row) > maxSummary-256 {
			fmt.Fprintf(b, "<tr><td colspan=\"4\">and %d more conditions</td></tr>\n", len(s.Conditions)-i)
			break
		}
		b.WriteString(row)
	}
	b.WriteString("</table>\n\n")
}

func codes(values []string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = code(v)
	}
	return strings.Join(out, " or<br>")
}

// code is a text that is shown as it is.
func code(s string) string {
	return "<code>" + html.EscapeString(printable(cut(s, maxShownSentence))) + "</code>"
}
