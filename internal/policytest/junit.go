package policytest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements of JUnit's XML that CI systems read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes results as JUnit XML, a suite for each file. explain is the
// text of a failure.
func WriteJUnit(out io.Writer, results []Result, explain func(Result) string) error {
	all := junitSuites{Name: "stint test", Tests: len(results)}
	at := map[string]int{}
	for _, r := range results {
		i, known := at[r.File]
		if !known {
			i = len(all.Suites)
			at[r.File] = i
			all.Suites = append(all.Suites, junitSuite{Name: r.File})
		}
		s := &all.Suites[i]
		c := junitCase{Class: r.File, Name: fmt.Sprintf("%s (%s)", r.Test, r.Job), File: r.File, Line: r.Line}
		s.Tests++
		if !r.Passed {
			s.Failures++
			all.Failures++
			c.Failure = &junitFailure{Message: strings.Join(r.Failures, "; "), Type: "expectation", Text: explain(r)}
		}
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(out)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("writing JUnit XML: %w", err)
	}
	_, err := io.WriteString(out, "\n")
	return err
}
