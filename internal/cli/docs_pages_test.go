package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// terminalPages are the pages whose console blocks show a session at a
// terminal, in the repository's root: what stands behind "$ " is run, and what
// follows is what it prints. "..." stands for any text within a line, and alone
// for any lines. A page with the AWS command line in it needs one.
var terminalPages = []string{"abac.md", "coming-from-cognito.md"}

func TestTerminalPages(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range terminalPages {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(root, "docs", name))
			if err != nil {
				t.Fatal(err)
			}
			page := string(data)
			if strings.Contains(page, "aws ") && !awsHonoursEndpointVariable() {
				t.Skip("no AWS command line that reads AWS_ENDPOINT_URL is on this machine")
			}
			home := t.TempDir() // of the AWS command line's cache
			steps := terminal(page)
			if len(steps) == 0 {
				t.Fatal("the page shows no commands")
			}
			for _, s := range steps {
				c := exec.CommandContext(t.Context(), "bash", "-c", s.command)
				c.Dir = root
				for _, v := range os.Environ() {
					if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "STINT_") && !strings.HasPrefix(v, "GITHUB_") {
						c.Env = append(c.Env, v)
					}
				}
				c.Env = append(c.Env, "HOME="+home)
				out, err := c.CombinedOutput()
				if _, exited := err.(*exec.ExitError); err != nil && !exited {
					t.Fatal(err)
				}
				if !s.printed.MatchString(strings.TrimRight(string(out), "\n")) {
					t.Errorf("$ %s\nprints\n%s\nand the page shows\n%s", s.command, out, s.shown)
				}
			}
		})
	}
}

// step is a command of a page and what the page says that it prints.
type step struct {
	command, shown string
	printed        *regexp.Regexp
}

var consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")

// terminal are the steps of a page. Lines that begin with "> " go on with a
// command, as a shell shows it.
func terminal(page string) []step {
	var steps []step
	for _, block := range consoleBlock.FindAllStringSubmatch(page, -1) {
		open := false // the last line was of a command
		for line := range strings.Lines(block[1]) {
			line = strings.TrimRight(line, "\n")
			command, begins := strings.CutPrefix(line, "$ ")
			more, goesOn := strings.CutPrefix(line, "> ")
			switch {
			case begins:
				steps = append(steps, step{command: command})
				open = true
			case len(steps) == 0:
			case goesOn && open:
				steps[len(steps)-1].command += "\n" + more
			default:
				open = false
				steps[len(steps)-1].shown += line + "\n"
			}
		}
	}
	for i := range steps {
		var lines []string
		for line := range strings.Lines(strings.TrimRight(steps[i].shown, "\n")) {
			line = strings.TrimRight(line, "\n")
			if line == "..." {
				lines = append(lines, `(?:[^\n]*\n)*?[^\n]*`)
				continue
			}
			lines = append(lines, strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `[^\n]*?`))
		}
		steps[i].printed = regexp.MustCompile(`^` + strings.Join(lines, `\n`) + `$`)
	}
	return steps
}
