package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/cognito"
	"github.com/stint-dev/stint/internal/config"
)

func newImportCommand(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Carry a configuration over from another service",
		Args:  knownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			return c.Help()
		},
	}
	c.AddCommand(newImportCognitoCommand(e))
	return c
}

type importCognitoFlags struct {
	merge   string
	account string
	ids     []string
	strict  bool
	json    bool
}

func newImportCognitoCommand(e *Env) *cobra.Command {
	var f importCognitoFlags
	c := &cobra.Command{
		Use:   "cognito FILE...",
		Short: "Carry Amazon Cognito identity pools over into stint.yaml",
		Long: `Write the pools: of stint.yaml, and the issuers: that they need, for Amazon Cognito
identity pools. Files hold, in any order and several in one, what 'aws
cognito-identity' describe-identity-pool, get-identity-pool-roles and
get-principal-tag-attribute-map print, and CloudFormation templates with these
resources; - is stdin. What 'aws iam get-open-id-connect-provider' prints adds the
audiences.

  id=eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f
  arn=arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com
  { aws cognito-identity describe-identity-pool --identity-pool-id "$id"
    aws cognito-identity get-identity-pool-roles --identity-pool-id "$id"
    aws cognito-identity get-principal-tag-attribute-map --identity-pool-id "$id" \
      --identity-provider-name "$arn"
    aws iam get-open-id-connect-provider --open-id-connect-provider-arn "$arn"
  } | stint import cognito -

What has no equal is named on stderr with what to do instead, and so is what Cognito
does not ask for and a broker needs. What the files do not tell is left empty, with a
comment: the broker does not start with it.

Exit codes: 0 carried over, 1 broken input or something that is not known, or with
--strict something without an equal, 2 wrong usage.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("see 'stint import cognito --help'")("name the files with the pools, or - for stdin")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return interruptible(c.Context(), func() error { return f.run(e, args) })
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.merge, "merge", "", "print this `file`, a stint.yaml, with the pools added")
	fl.StringVar(&f.account, "account", "", "the pools' account of twelve digits, where the files do not tell it")
	fl.StringArrayVar(&f.ids, "pool-id", nil, "the `LOGICALID=REGION:UUID` of a pool that a template makes; repeatable")
	fl.BoolVar(&f.strict, "strict", false, "exit with 1 if something has no equal")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	return c
}

func (f *importCognitoFlags) run(e *Env, names []string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	var existing []byte
	if f.merge != "" {
		if existing, err = config.ReadFile(f.merge, config.MaxFile); err != nil {
			return failf("", "reading the configuration: %w", err)
		}
		cfg, err := config.Parse(f.merge, existing)
		if err != nil {
			return err
		}
		o.Known = cfg.Issuers
	}
	var files []cognito.File
	var unread []error
	total := 0
	for i, name := range names {
		if name == "-" && slices.Contains(names[:i], "-") {
			return usagef("write one of them to a file")("- stands twice, and stdin is read once")
		}
		data, err := readPoolFile(e, name)
		var usage *failure
		switch {
		case errors.As(err, &usage) && usage.code == exitUsage:
			return err
		case err != nil:
			unread = append(unread, err)
			continue
		}
		if name == "-" {
			name = "stdin"
		}
		if total += len(data); total > cognito.MaxTotal {
			return failf("name fewer files", "expected at most %d MiB in all, found more", cognito.MaxTotal>>20)
		}
		files = append(files, cognito.File{Name: name, Data: data})
	}
	found := cognito.Import(files, o)
	found.Problems = append(unread, found.Problems...)
	return f.report(e, &found, existing)
}

func (f *importCognitoFlags) options() (cognito.Options, error) {
	o := cognito.Options{Account: f.account, PoolIDs: map[string]string{}}
	if f.json && f.merge != "" {
		return o, usagef("leave one of them out")("--merge prints a stint.yaml, not JSON")
	}
	if f.account != "" && !config.ValidAccount(f.account) {
		return o, usagef("write it as --account 111111111111")("--account: expected twelve digits, found %q", f.account)
	}
	taken := map[string]string{}
	for _, s := range f.ids {
		resource, id, ok := strings.Cut(s, "=")
		if !ok || resource == "" || !config.ValidPoolID(id) {
			return o, usagef("write it as --pool-id Pool=eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f")("--pool-id: expected LOGICALID=REGION:UUID, found %q", s)
		}
		if other, twice := taken[id]; twice && other != resource {
			return o, usagef("each pool has an id of its own")("--pool-id: %s and %s have the same id", printable(other), printable(resource))
		}
		if old, twice := o.PoolIDs[resource]; twice && old != id {
			return o, usagef("a pool has one id")("--pool-id: %s stands twice", printable(resource))
		}
		taken[id], o.PoolIDs[resource] = resource, id
	}
	return o, nil
}

// readPoolFile reads a file with pools, or stdin.
func readPoolFile(e *Env, name string) ([]byte, error) {
	if name == "-" {
		data, err := io.ReadAll(io.LimitReader(e.Stdin, cognito.MaxFile+1))
		if err != nil {
			return nil, fmt.Errorf("reading stdin: %w", err)
		}
		return data, nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("see 'stint import cognito --help'")("there is no such file: %s", shortened(name))
	case err == nil && info.IsDir():
		return nil, usagef("name the files in it")("expected a file, found a folder: %s", shortened(name))
	}
	data, err := config.ReadFile(name, cognito.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("reading a file of pools: %w", err)
	}
	return data, nil
}

// report prints what was found: the pools on stdout, everything else on stderr.
func (f *importCognitoFlags) report(e *Env, found *cognito.Imported, existing []byte) error {
	without := 0
	for _, n := range found.Notes {
		if n.Kind == cognito.NoEqual {
			without++
		}
	}
	if !f.json {
		for _, n := range found.Notes {
			printNote(e.Stderr, n)
		}
	}
	for _, err := range found.Problems {
		printLines(e, err, "")
	}
	switch {
	case f.json:
		if err := printJSON(e.Stdout, found); err != nil {
			return err
		}
	case f.merge != "" && len(found.Problems) > 0:
		return failf("run it without --merge to see what is known", "nothing was added to %s", printable(f.merge))
	case f.merge != "":
		merged, err := found.Merge(f.merge, existing)
		if err != nil {
			return failf("run it without --merge to see what would be added", "%w", err)
		}
		if _, err := e.Stdout.Write(merged); err != nil {
			return err
		}
	default:
		if _, err := e.Stdout.Write(found.YAML()); err != nil {
			return err
		}
	}
	switch {
	case len(found.Problems) > 0:
		return exitStatus(exitFailed)
	case len(found.Pools) == 0:
		return failf("", "no pool could be carried over")
	case f.strict && without > 0:
		return failf("leave --strict out to accept that", "%s no equal", hasOrHave(without))
	}
	return nil
}

func hasOrHave(n int) string {
	if n == 1 {
		return "one setting has"
	}
	return fmt.Sprintf("%d settings have", n)
}

// printNote says what was not carried over, or is left to fill in.
func printNote(w io.Writer, n cognito.Note) {
	var b strings.Builder
	if n.Kind == cognito.NoEqual {
		b.WriteString("no equal: ")
	} else {
		b.WriteString("to fill in: ")
	}
	if n.Position.File != "" {
		fmt.Fprintf(&b, "%s:%d:%d: ", n.Position.File, n.Position.Line, n.Position.Column)
	}
	if n.Pool != "" {
		b.WriteString(n.Pool + ": ")
	}
	fmt.Fprintf(w, "%s\nhint: %s\n", printable(b.String()+n.What), printable(n.Do))
}
