package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stint-dev/stint/internal/cli"
)

// The scripts run the real command: testscript puts this test binary on PATH
// under its name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stint": func() { os.Exit(cli.Main(os.Args[1:])) },
	})
}

// TestScripts runs testdata/script, one file per command and situation.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			wd, err := os.Getwd()
			env.Setenv("EXAMPLES", wd+"/../../examples")
			// The AWS command line may be a shim that looks for its home there.
			env.Setenv("PYENV_ROOT", os.Getenv("PYENV_ROOT"))
			return err
		},
		Condition: func(cond string) (bool, error) {
			if cond == "awscli-env-endpoint" {
				return awsHonoursEndpointVariable(), nil
			}
			return false, nil
		},
	})
}

// awsHonoursEndpointVariable reports whether the AWS command line on this
// machine reads AWS_ENDPOINT_URL_STS, which came with 1.29.60 and 2.13.0.
func awsHonoursEndpointVariable() bool {
	out, err := exec.Command("aws", "--version").Output()
	if err != nil {
		return false
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(string(out), "aws-cli/"), " ")
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d.", &major, &minor); err != nil {
		return false
	}
	return major == 1 && minor >= 30 || major == 2 && minor >= 13
}
