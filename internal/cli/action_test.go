package cli_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestActionDocumented: every input of the action stands in its page, with the
// default that it has.
func TestActionDocumented(t *testing.T) {
	data, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/github-action.md")
	if err != nil {
		t.Fatal(err)
	}
	var a action
	if err := yaml.Unmarshal(data, &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Inputs) == 0 {
		t.Fatal("the action has no inputs")
	}
	for name, input := range a.Inputs {
		row := regexp.MustCompile("(?m)^\\| `" + name + "` \\|.*\\|(.*)\\|$").FindStringSubmatch(string(page))
		if row == nil || input.Default != "" && !strings.Contains(row[1], "`"+input.Default+"`") {
			t.Errorf("the input %s with the default %q: found %q", name, input.Default, row)
		}
	}
}

// composite runs a composite action as a runner of GitHub Actions does, and
// then a command in the environment that it left to the steps that follow:
//
//	composite FOLDER [INPUT=VALUE...] -- COMMAND...
//
// It knows steps with run, the shell bash, and expressions of inputs. Anything
// else is an error, so that an action which uses it is not passed as tested.
func composite() {
	err := runComposite(os.Args[1], os.Args[2:])
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "composite:", err)
		os.Exit(1)
	}
}

type action struct {
	Inputs map[string]struct {
		Description, Default string
		Required             bool
	}
	Runs struct {
		Using string
		Steps []struct {
			Run, Shell string
			Env        map[string]string
			Rest       map[string]any `yaml:",inline"`
		}
	}
	Rest map[string]any `yaml:",inline"`
}

var expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)

func runComposite(folder string, args []string) error {
	data, err := os.ReadFile(filepath.Join(folder, "action.yml"))
	if err != nil {
		return err
	}
	var a action
	if err := yaml.Unmarshal(data, &a); err != nil {
		return err
	}
	at := slices.Index(args, "--")
	if a.Runs.Using != "composite" || at < 0 {
		return errors.New("expected a composite action, inputs, -- and a command")
	}
	inputs := map[string]string{}
	for name, i := range a.Inputs {
		inputs[name] = i.Default
	}
	for _, given := range args[:at] {
		name, value, _ := strings.Cut(given, "=")
		if _, known := a.Inputs[name]; !known {
			return fmt.Errorf("there is no input %q", name)
		}
		inputs[name] = value
	}
	env := map[string]string{}
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	for _, s := range a.Runs.Steps {
		if len(s.Rest) > 0 || s.Shell != "bash" || strings.Contains(s.Run, "${{") {
			return fmt.Errorf("a step that is not understood: %+v", s)
		}
		step := maps.Clone(env)
		step["GITHUB_ACTION_PATH"] = folder
		for name, value := range s.Env {
			step[name] = expression.ReplaceAllStringFunc(value, func(e string) string {
				name, ok := strings.CutPrefix(expression.FindStringSubmatch(e)[1], "inputs.")
				if _, known := inputs[name]; !ok || !known {
					err = fmt.Errorf("an expression that is not understood: %s", e)
				}
				return inputs[name]
			})
		}
		if err != nil {
			return err
		}
		if err := runIn(step, "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", s.Run); err != nil {
			return err
		}
		for _, line := range lines(env["GITHUB_ENV"]) {
			name, value, _ := strings.Cut(line, "=")
			env[name] = value
		}
		for _, line := range lines(env["GITHUB_PATH"]) {
			env["PATH"] = line + string(os.PathListSeparator) + env["PATH"]
		}
	}
	return runIn(env, args[at+1], args[at+2:]...)
}

func lines(file string) []string {
	data, _ := os.ReadFile(file)
	return slices.DeleteFunc(strings.Split(string(data), "\n"), func(s string) bool { return s == "" })
}

func runIn(env map[string]string, name string, args ...string) error {
	// The command is looked up on the PATH that it is to have.
	c := exec.Command("env", append([]string{name}, args...)...)
	for k, v := range env {
		c.Env = append(c.Env, k+"="+v)
	}
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	return c.Run()
}
