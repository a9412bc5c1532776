package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/lint"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/comments"
)

// defaultLintConfig is read where it stands in the current folder.
const defaultLintConfig = "stint-lint.yaml"

type lintFlags struct {
	json, rules       bool
	sarif             string
	failOn            string
	config            string
	repositories      string
	repository        []string
	unknown, silenced bool
	fix, add, write   bool
	to                string
}

func newLintCommand(e *Env) *cobra.Command {
	var f lintFlags
	c := &cobra.Command{
		Use:   "lint PATH...",
		Short: "Say what is wrong with trust policies, rules and federated credentials",
		Long: `Say what is wrong with the trust policies of roles, with federated credentials of
Azure and with the broker's rules, where, why, and how to mend it. PATHs are files,
and folders with everything below them: policies and roles as JSON, CloudFormation
and SAM templates, Terraform, plans of 'terraform show -json', credentials as 'az'
prints them, GitHub workflows, and stint.yaml. Nothing is asked of any service.

What only a deployment tells is unknown, and counted as such; it is never guessed.
A comment 'stint:ignore RULE REASON' silences a line, stint-lint.yaml the rest.

With --fix, subjects are moved to the form with ids, or back. The changes are
printed as a diff; files change with --write only.

  stint lint .
  stint lint --sarif stint.sarif --fail-on error infra/
  stint lint --fix --add --repository octo-org/octo-repo=65/74 infra/
  stint lint --rules

Exit codes: 0 nothing found, 1 findings or files that cannot be read, 2 wrong usage.`,
		RunE: func(c *cobra.Command, paths []string) error {
			if f.rules {
				return f.list(e, paths)
			}
			if err := f.check(c, paths); err != nil {
				return err
			}
			if f.fix {
				return f.migrate(e, paths)
			}
			return interruptible(c.Context(), func() error { return f.run(e, paths) })
		},
	}
	fl := c.Flags()
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	fl.StringVar(&f.sarif, "sarif", "", "also write SARIF 2.1.0 to a `file`; - prints it, and nothing else")
	fl.StringVar(&f.failOn, "fail-on", "warning", "the least `severity` that fails: error, warning, note or never")
	fl.StringVar(&f.config, "config", "", "silences and severities, in a `file` (default: stint-lint.yaml, if it is there)")
	fl.StringVar(&f.repositories, "repositories", "", "the ids of repositories, in a `file`: as GitHub's REST API prints them, or by name")
	fl.StringArrayVar(&f.repository, "repository", nil, "the ids of one, `OWNER/REPO=OWNER_ID/ID`; repeatable")
	fl.BoolVar(&f.unknown, "unknown", false, "show each check that could not be decided")
	fl.BoolVar(&f.silenced, "silenced", false, "show each finding that was silenced")
	fl.BoolVar(&f.rules, "rules", false, "list the rules, and lint nothing")
	fl.BoolVar(&f.fix, "fix", false, "move subjects to another form, and show the diff")
	fl.StringVar(&f.to, "to", "ids", "with --fix: the `form` that subjects get, ids or names")
	fl.BoolVar(&f.add, "add", false, "with --fix: keep the old value beside the new one")
	fl.BoolVar(&f.write, "write", false, "with --fix: change the files")
	return c
}

func (f *lintFlags) check(c *cobra.Command, paths []string) error {
	usage := usagef("see 'stint lint --help'")
	if len(paths) == 0 {
		return usagef("stint lint . lints everything below the current folder")("expected files or folders, found none")
	}
	if !slices.Contains([]string{"error", "warning", "note", "never"}, f.failOn) {
		return usagef("one of error, warning, note, never")("--fail-on %q is no severity", printable(f.failOn))
	}
	if f.json && f.sarif == "-" {
		return usage("expected --json or --sarif -, found both")
	}
	for _, name := range []string{"to", "add", "write"} {
		if !f.fix && c.Flags().Changed(name) {
			return usage("--%s goes with --fix only", name)
		}
	}
	for _, name := range []string{"sarif", "fail-on", "unknown", "silenced", "config"} {
		if f.fix && c.Flags().Changed(name) {
			return usage("--%s does not go with --fix", name)
		}
	}
	if f.to != "ids" && f.to != "names" {
		return usagef("one of ids, names")("--to %q is no form of subjects", printable(f.to))
	}
	if f.fix && f.to == "ids" && f.repositories == "" && len(f.repository) == 0 {
		return usagef("gh api --paginate orgs/ORG/repos > repositories.json, then --repositories repositories.json; or --repository octo-org/octo-repo=65/74")(
			"--fix needs the ids of the repositories")
	}
	return nil
}

// list prints every rule.
func (f *lintFlags) list(e *Env, paths []string) error {
	if len(paths) > 0 {
		return usagef("see 'stint lint --help'")("--rules lints nothing: unexpected argument %q", printable(paths[0]))
	}
	if f.json {
		type rule struct {
			ID       string        `json:"id"`
			Severity lint.Severity `json:"severity"`
			Title    string        `json:"title"`
			Why      string        `json:"why"`
			Fix      string        `json:"fix"`
		}
		all := []rule{}
		for _, r := range lint.Rules() {
			all = append(all, rule{r.ID, r.Severity, r.Title, r.Why, r.Fix})
		}
		return printJSON(e.Stdout, all)
	}
	w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range lint.Rules() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.ID, r.Severity, r.Title)
	}
	return w.Flush()
}

func (f *lintFlags) run(e *Env, paths []string) error {
	settings, folder, err := f.settings(e)
	if err != nil {
		return err
	}
	given, err := repositories(f.repositories, f.repository)
	if err != nil {
		return err
	}
	inv := inventory.Load(paths...)
	files := newContents()
	var marks []source.Comment
	for _, file := range inv.Files {
		if data := files.read(file); bytes.Contains(data, []byte(lint.Marker)) {
			marks = append(marks, comments.Read(file, data)...)
		}
	}
	kept, silenced := lint.Silence(lint.Run(inv, lint.Options{Repositories: given}), lint.Silencing{
		Comments: marks, Settings: settings, Now: e.Now(), Files: inv.Files,
		Name: func(file string) string { name, _ := within(folder, file); return name },
	})
	report := lint.NewReport(inv, kept, silenced)
	if err := f.print(e, report, files); err != nil {
		return err
	}
	printProblems(e, inv)
	if err := known(inv, paths); err != nil {
		return err
	}
	if len(inv.Problems) > 0 || f.failOn != "never" && report.Worst().Rank() >= lint.Severity(f.failOn).Rank() {
		return exitStatus(exitFailed)
	}
	return nil
}

// known refuses paths in which no file is of a known kind: a misspelt one must
// not look like a clean run.
func known(inv *inventory.Inventory, paths []string) error {
	if len(inv.Files)+len(inv.Problems) > 0 {
		return nil
	}
	return failf("stint lint --help names the kinds of files that are known", "nothing to lint was found in %s", printable(strings.Join(paths, ", ")))
}

func printProblems(e *Env, inv *inventory.Inventory) {
	for _, err := range inv.Problems {
		printLines(e, err, "")
	}
}

// settings reads the configuration of the linter, and says which folder its
// paths are relative to.
func (f *lintFlags) settings(e *Env) (*lint.Settings, string, error) {
	name := first(f.config, defaultLintConfig)
	data, err := config.ReadFile(name, 1<<20)
	if f.config == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, ".", nil
	}
	if err != nil {
		return nil, "", failf("", "reading the linter's configuration: %w", err)
	}
	settings, err := lint.ParseSettings(name, data)
	if err != nil {
		printLines(e, err, "docs/lint/README.md shows an example")
		return nil, "", exitStatus(exitFailed)
	}
	return settings, filepath.Dir(name), nil
}

// printLines prints an error that may be several, a line each.
func printLines(e *Env, err error, hint string) {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		if i < len(lines)-1 {
			printError(e.Stderr, printable(line), "")
		} else {
			printError(e.Stderr, printable(line), hint)
		}
	}
}

func (f *lintFlags) print(e *Env, r lint.Report, files *contents) error {
	if f.sarif != "" {
		log := lint.SARIF(r, lint.SARIFOptions{
			Version: version(), Content: files.read, Unknown: f.unknown, Silenced: f.silenced,
			Path: func(file string) (string, bool) { return within(".", file) },
		})
		if f.sarif == "-" {
			return printJSON(e.Stdout, log)
		}
		text, err := json.MarshalIndent(log, "", "  ")
		if err == nil {
			err = os.WriteFile(f.sarif, append(text, '\n'), 0o644)
		}
		if err != nil {
			return failf("", "writing SARIF: %w", err)
		}
	}
	if f.json {
		return printJSON(e.Stdout, r)
	}
	return lintText{content: files.read, lines: map[string][][]byte{}, unknown: f.unknown, silenced: f.silenced}.print(e.Stdout, r)
}

// within is a file's path relative to a folder, with forward slashes; ok is
// false for a file outside of it, whose path is absolute.
func within(folder, file string) (name string, ok bool) {
	base, err := filepath.Abs(folder)
	if err != nil {
		return filepath.ToSlash(file), false
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return filepath.ToSlash(file), false
	}
	rel, err := filepath.Rel(base, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return filepath.ToSlash(abs), false
	}
	return filepath.ToSlash(rel), true
}

// maxLinted is more than the readers take of any file.
const maxLinted = 64 << 20

// contents are the files that were read, for excerpts and comments.
type contents struct {
	files map[string][]byte
}

func newContents() *contents { return &contents{map[string][]byte{}} }

// read is a file's content, or nil where it is gone by now.
func (c *contents) read(file string) []byte {
	data, ok := c.files[file]
	if !ok {
		var err error
		if data, err = config.ReadFile(file, maxLinted); err != nil {
			data = nil
		}
		c.files[file] = data
	}
	return data
}
