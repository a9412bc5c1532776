package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/policytest"
)

// defaultTests is the file of tests that is run where none is named.
const defaultTests = "stint-test.yaml"

type testFlags struct {
	json  bool
	junit string
	quiet bool
}

func newTestCommand(e *Env) *cobra.Command {
	var f testFlags
	c := &cobra.Command{
		Use:   "test [FILE...]",
		Short: "Run tests of policies: jobs in, expected decisions out",
		Long: `Run tests of policies: named jobs are held against the broker's rules, against
roles' trust policies, or against both, and what comes out is compared with what the
test expects. Nothing is asked of AWS, of a broker or of a CI system.

FILE is ` + defaultTests + ` unless named; - is stdin. A file names its configuration,
its roles, its jobs and its tests:

  config: stint.yaml
  roles: [roles]
  jobs:
    push: {like: github-push}
    feature: {like: github-push, with: {ref: refs/heads/feature}}
  tests:
    - name: main deploys
      job: push
      role: arn:aws:iam::111111111111:role/deploy
      expect: {rule: deploy-prod, tags: {repository: octo-org/octo-repo}}
    - name: other branches do not
      job: feature
      role: arn:aws:iam::111111111111:role/deploy
      expect: deny

docs/testing.md describes every key and preset.

Presets: ` + wrapped(policytest.Presets(), 80) + `

Exit codes: 0 all tests passed, 1 a test failed or a file is broken, 2 wrong usage.`,
		RunE: func(c *cobra.Command, args []string) error {
			return interruptible(c.Context(), func() error {
				results, err := runTests(e, args)
				if err != nil {
					return err
				}
				return f.report(e, results)
			})
		},
	}
	c.Flags().BoolVar(&f.json, "json", false, "print the results as one JSON object")
	c.Flags().StringVar(&f.junit, "junit", "", "also write the results as JUnit XML to a `file`, or - for stdout in place of text")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only tests that failed, and the sum")
	return c
}

// wrapped lists names in lines of about this width.
func wrapped(names []string, width int) string {
	var b strings.Builder
	column := len("Presets: ")
	for i, name := range names {
		if column += len(name) + 2; column > width && i > 0 {
			b.WriteString("\n  ")
			column = len(name) + 4
		}
		b.WriteString(name)
		if i < len(names)-1 {
			b.WriteString(", ")
		}
	}
	return b.String()
}

// runTests runs every file. A file that is broken does not keep the others
// from being read: all mistakes are told at once.
func runTests(e *Env, files []string) ([]policytest.Result, error) {
	if len(files) == 0 {
		files = []string{defaultTests}
	}
	var suites []*policytest.Suite
	var errs []error
	for _, name := range files {
		suite, err := loadSuite(e, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if len(suite.File.Tests) == 0 {
			errs = append(errs, failf("write tests into it: see 'stint test --help'", "%s: there are no tests", printable(name)))
			continue
		}
		suites = append(suites, suite)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	now := e.Now()
	var results []policytest.Result
	for _, s := range suites {
		results = append(results, s.Run(now)...)
	}
	return results, nil
}

func loadSuite(e *Env, name string) (*policytest.Suite, error) {
	data, err := readTestFile(e, name)
	if err != nil {
		return nil, err
	}
	file, err := policytest.Parse(name, data)
	if err != nil {
		return nil, failf("see 'stint test --help'", "%w", err)
	}
	folder := filepath.Dir(name)
	if name == "-" {
		folder = "."
	}
	suite, err := policytest.Open(file, folder)
	if err != nil {
		return nil, failf("", "%w", err)
	}
	return suite, nil
}

func readTestFile(e *Env, name string) ([]byte, error) {
	if name == "-" {
		data, err := io.ReadAll(io.LimitReader(e.Stdin, policytest.MaxFile+1))
		if err != nil {
			return nil, failf("", "reading the tests: %w", err)
		}
		return data, nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("name a file of tests: see 'stint test --help'")("there is no such file: %s", shortened(name))
	case err == nil && info.IsDir():
		return nil, usagef("name the files in it")("expected a file of tests, found a folder: %s", shortened(name))
	}
	return readInput(name)
}

// testReport is what `stint test --json` prints.
type testReport struct {
	Passed int                 `json:"passed"`
	Failed int                 `json:"failed"`
	Tests  []policytest.Result `json:"tests"`
}

func (f *testFlags) report(e *Env, results []policytest.Result) error {
	r := testReport{Tests: results}
	for _, result := range results {
		if result.Passed {
			r.Passed++
		} else {
			r.Failed++
		}
	}
	out := e.Stdout
	if f.junit == "-" && f.json {
		return usagef("write one of them to a file")("--json and --junit - both print to stdout")
	}
	if f.junit != "" {
		if err := writeJUnit(e, f.junit, results); err != nil {
			return err
		}
		if f.junit == "-" {
			out = io.Discard
		}
	}
	var err error
	if f.json {
		err = printJSON(out, r)
	} else {
		err = f.print(out, r)
	}
	if err == nil && r.Failed > 0 {
		err = exitStatus(exitFailed)
	}
	return err
}

func writeJUnit(e *Env, name string, results []policytest.Result) error {
	if name == "-" {
		return policytest.WriteJUnit(e.Stdout, results, failureText)
	}
	var b strings.Builder
	if err := policytest.WriteJUnit(&b, results, failureText); err != nil {
		return failf("", "%w", err)
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o666); err != nil {
		return failf("", "writing the JUnit XML: %w", err)
	}
	return nil
}

func (f *testFlags) print(out io.Writer, r testReport) error {
	var b strings.Builder
	for _, result := range r.Tests {
		if result.Passed {
			if !f.quiet {
				how := ""
				if result.Outcome.RulesOnly {
					how = ": by the rules; the role is not among the roles"
				}
				fmt.Fprintf(&b, "ok    %s (%s)%s\n", printable(result.Test), printable(result.Job), how)
			}
			continue
		}
		fmt.Fprintf(&b, "FAIL  %s (%s), %s:%d\n", printable(result.Test), printable(result.Job), printable(result.File), result.Line)
		for line := range strings.Lines(failureText(result)) {
			b.WriteString(strings.TrimRight("      "+line, " \n") + "\n")
		}
	}
	fmt.Fprintf(&b, "%d passed, %d failed\n", r.Passed, r.Failed)
	_, err := io.WriteString(out, b.String())
	return err
}

// failureText is what was expected and found, and how it was decided.
func failureText(r policytest.Result) string {
	var b strings.Builder
	for _, f := range r.Failures {
		b.WriteString(printable(f) + "\n")
	}
	if len(r.Outcome.Legs) == 0 {
		return b.String()
	}
	b.WriteByte('\n')
	var way []leg
	for _, l := range r.Outcome.Legs {
		way = append(way, leg{title: printable(l.Title), Explanation: l.Explanation})
	}
	// A strings.Builder takes all that is written to it.
	_ = printExplanation(&b, way)
	return b.String()
}
