package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stint-dev/stint/internal/cli"
)

// The scripts run the real command: testscript puts this test binary on PATH
// under its name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stint":       func() { os.Exit(cli.Main(os.Args[1:])) },
		"sdk-whoami":  sdkWhoami,
		"job-token":   jobToken,
		"http-status": httpStatus,
		"composite":   composite,
	})
}

// sdkWhoami is a program that uses the AWS SDK as its documentation says, and
// knows nothing of stint: it finds credentials in its environment and asks the
// STS at the address in its argument who they are.
func sdkWhoami() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err == nil {
		client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = &os.Args[1] })
		var who *sts.GetCallerIdentityOutput
		if who, err = client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err == nil {
			fmt.Println(*who.Arn)
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
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
			env.Setenv("REPOSITORY", filepath.Clean(wd+"/../.."))
			// Scripts have no home folder, where Go keeps what it built.
			if out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output(); err == nil {
				cache, modules, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
				env.Setenv("GOCACHE", cache)
				env.Setenv("GOMODCACHE", modules)
			}
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

// jobToken prints the job's own token, as a job without stint would get it.
func jobToken() {
	r, err := http.NewRequest(http.MethodGet, os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL")+"&audience="+url.QueryEscape(os.Getenv("STINT_AUDIENCE")), nil)
	fatal(err)
	r.Header.Set("Authorization", "bearer "+os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	resp, err := http.DefaultClient.Do(r)
	fatal(err)
	defer resp.Body.Close()
	var answer struct{ Value string }
	fatal(json.NewDecoder(resp.Body).Decode(&answer))
	fmt.Print(answer.Value)
}

// httpStatus prints the status of a GET.
func httpStatus() {
	resp, err := http.Get(os.Args[1])
	fatal(err)
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
