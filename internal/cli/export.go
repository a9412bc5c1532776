package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/cognito"
	"github.com/stint-dev/stint/internal/config"
)

func newExportCommand(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: "Carry a configuration over to another service",
		Args:  knownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			return c.Help()
		},
	}
	c.AddCommand(newExportCognitoCommand(e))
	return c
}

type exportCognitoFlags struct {
	config string
	pools  []string
	format string
	folder string
	create bool
	lossy  bool
}

func newExportCognitoCommand(e *Env) *cobra.Command {
	var f exportCognitoFlags
	c := &cobra.Command{
		Use:   "cognito",
		Short: "Carry the pools of stint.yaml over to Amazon Cognito",
		Long: `Write what makes Amazon Cognito identity pools equal to the pools of stint.yaml. What
Cognito cannot do is named on stderr, and nothing is written then, unless --lossy
says that it may be lost. Much of it lets in more when it is lost: read it.

With --format cli, a line of JSON for each call of 'aws cognito-identity', with its
operation, region and input; with --dir, each input in a file for --cli-input-json, and
the commands. Each call replaces what the pool had before.

  stint export cognito --pool github_actions --dir calls > calls.sh
  cat calls.sh && sh -e calls.sh

With --format cloudformation, a template in JSON. A pool that is made anew, by it or with
--create, gets another id, which clients have to be told.

Exit codes: 0 written, 1 broken configuration, or something does not fit, 2 wrong
usage.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return interruptible(c.Context(), func() error { return f.run(e) })
		},
	}
	fl := c.Flags()
	fl.StringVarP(&f.config, "config", "c", defaultConfig, "the configuration `file`")
	fl.StringArrayVar(&f.pools, "pool", nil, "only the pool of this `id` or name; repeatable")
	fl.StringVar(&f.format, "format", "cli", "cli or cloudformation")
	fl.StringVar(&f.folder, "dir", "", "write the inputs of the calls to files in this `folder`, and print the commands")
	fl.BoolVar(&f.create, "create", false, "make new pools, instead of changing the ones of these ids")
	fl.BoolVar(&f.lossy, "lossy", false, "leave out what does not fit")
	return c
}

func (f *exportCognitoFlags) run(e *Env) error {
	switch {
	case f.format != "cli" && f.format != "cloudformation":
		return usagef("write --format cli or --format cloudformation")("--format: unexpected %q", f.format)
	case f.format != "cli" && (f.folder != "" || f.create):
		return usagef("leave them out: a template always makes new pools")("--dir and --create go with --format cli only")
	}
	cfg, err := loadConfig(f.config)
	if err != nil {
		return err
	}
	pools, err := f.chosen(cfg)
	if err != nil {
		return err
	}
	exported := make([]cognito.Exported, 0, len(pools))
	lost := 0
	for _, p := range pools {
		out, unfit := cognito.Export(cfg, p)
		for _, u := range unfit {
			f.printUnfit(e, cfg, u)
		}
		lost += len(unfit)
		exported = append(exported, out)
	}
	if lost > 0 && !f.lossy {
		return failf("change it as the hints say, or accept the loss with --lossy", "%s not fit Amazon Cognito; nothing was written", doesOrDo(lost))
	}
	for _, p := range exported {
		for _, v := range p.Providers {
			fmt.Fprintln(e.Stderr, printable(fmt.Sprintf("%s: %s has to be in IAM, with the client ids %s", p.Name, v.ARN, strings.Join(v.Audiences, ", "))))
		}
	}
	return f.write(e, exported)
}

func doesOrDo(n int) string {
	if n == 1 {
		return "one setting does"
	}
	return fmt.Sprintf("%d settings do", n)
}

// chosen are the pools that --pool names, or all.
func (f *exportCognitoFlags) chosen(cfg *config.Config) ([]*config.Pool, error) {
	if len(cfg.Pools) == 0 {
		return nil, failf("", "%s has no pools", printable(f.config))
	}
	var all []*config.Pool
	for i := range cfg.Pools {
		if p := &cfg.Pools[i]; len(f.pools) == 0 || slices.Contains(f.pools, p.ID) || p.Name != "" && slices.Contains(f.pools, p.Name) {
			all = append(all, p)
		}
	}
	for _, want := range f.pools {
		if !slices.ContainsFunc(all, func(p *config.Pool) bool { return p.ID == want || p.Name == want }) {
			var labels []string
			for i := range cfg.Pools[:min(len(cfg.Pools), 10)] {
				labels = append(labels, cfg.Pools[i].Label())
			}
			return nil, usagef("its pools are %s", strings.Join(labels, ", "))("%s has no pool %q", printable(f.config), want)
		}
	}
	return all, nil
}

// printUnfit says what does not fit: an error, or a warning where it may be
// lost.
func (f *exportCognitoFlags) printUnfit(e *Env, cfg *config.Config, u cognito.Unfit) {
	word := "error"
	if f.lossy {
		word = "warning"
	}
	fmt.Fprintf(e.Stderr, "%s: %s\n", word, printable(fmt.Sprintf("%s:%d:%d: %s: %s", cfg.File(), u.Pos.Line, u.Pos.Column, u.Pool, u.What)))
	if u.Do != "" {
		fmt.Fprintf(e.Stderr, "hint: %s\n", printable(u.Do))
	}
}

func (f *exportCognitoFlags) write(e *Env, pools []cognito.Exported) error {
	if f.format == "cloudformation" {
		template, err := cognito.Template(pools)
		if err != nil {
			return failf("use --format cli", "%w", err)
		}
		_, err = e.Stdout.Write(template)
		return err
	}
	if f.folder != "" {
		if err := os.MkdirAll(f.folder, 0o755); err != nil {
			return failf("", "making the folder of the calls: %w", err)
		}
	}
	for _, p := range pools {
		for i, call := range p.Calls(f.create) {
			if f.folder == "" {
				if err := printJSON(e.Stdout, call); err != nil {
					return err
				}
				continue
			}
			name := filepath.Join(f.folder, fmt.Sprintf("%s-%d-%s.json", p.Name, i+1, call.Operation))
			if err := writeInput(name, call.Input); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(e.Stdout, command(call, name, f.create, i == 0)); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeInput(name string, input any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(input)
	if err == nil {
		err = os.WriteFile(name, []byte(b.String()), 0o644)
	}
	if err != nil {
		return failf("", "writing the input of a call: %w", err)
	}
	return nil
}

// command is a call as a line for a shell. A new pool's id is known only when
// it is made.
func command(call cognito.Call, file string, create, first bool) string {
	line := fmt.Sprintf("aws cognito-identity %s --region %s --cli-input-json %s", call.Operation, call.Region, shellQuoted("file://"+file))
	switch {
	case create && first:
		return "id=$(" + line + " --query IdentityPoolId --output text)"
	case create:
		return line + ` --identity-pool-id "$id"`
	}
	return line
}

// shellQuoted is a text as one word for a POSIX shell.
func shellQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
