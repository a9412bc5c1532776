package awssts_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAWSCommandLine runs the AWS command line, which nobody here wrote,
// against the emulator: the two operations one by one, and through the
// environment that it takes web identities from.
func TestAWSCommandLine(t *testing.T) {
	t.Parallel()
	command, err := exec.LookPath("aws")
	if err == nil {
		err = exec.Command(command, "--version").Run()
	}
	if err != nil {
		t.Skip("the AWS command line is not installed: ", err)
	}
	w := newWorld(t)
	realTime(w)
	home := t.TempDir()
	run := func(env []string, args ...string) (string, error) {
		c := exec.CommandContext(t.Context(), command, args...)
		c.Env = append([]string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + home, "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1", "AWS_DEFAULT_OUTPUT=json",
			"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + filepath.Join(home, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(home, "none"),
			"AWS_MAX_ATTEMPTS=1", "PYENV_ROOT=" + os.Getenv("PYENV_ROOT"), "PYENV_VERSION=" + os.Getenv("PYENV_VERSION"),
		}, env...)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	token := w.sign("ES256", set(w.claims(), nested(map[string]any{"env": []string{"prod"}})...))
	assume := []string{"sts", "assume-role-with-web-identity", "--endpoint-url", w.url, "--role-arn", deploy, "--role-session-name", "from-the-cli", "--web-identity-token"}

	out, err := run(nil, append(assume, token)...)
	if err != nil {
		t.Fatal(out)
	}
	var assumed struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string }
		Provider    string
	}
	if err := json.Unmarshal([]byte(out), &assumed); err != nil || assumed.Provider != oidc {
		t.Fatalf("%v in %s", err, out)
	}
	for name, env := range map[string][]string{
		"with its credentials": {
			"AWS_ACCESS_KEY_ID=" + assumed.Credentials.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + assumed.Credentials.SecretAccessKey, "AWS_SESSION_TOKEN=" + assumed.Credentials.SessionToken,
			"AWS_ENDPOINT_URL_STS=" + w.url,
		},
		"with a token file": {
			"AWS_ENDPOINT_URL_STS=" + w.url, "AWS_ROLE_ARN=" + deploy, "AWS_ROLE_SESSION_NAME=from-the-cli",
			"AWS_WEB_IDENTITY_TOKEN_FILE=" + file(t, token),
		},
	} {
		out, err := run(env, "sts", "get-caller-identity", "--endpoint-url", w.url)
		if err != nil || !strings.Contains(out, `"arn:aws:sts::111111111111:assumed-role/deploy/from-the-cli"`) {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}

	out, err = run(nil, append(assume, "not-a-token")...)
	if err == nil || !strings.Contains(out, "(InvalidIdentityToken)") || !strings.Contains(out, notAJWT) {
		t.Errorf("%v %s", err, out)
	}
	other := w.sign("ES256", set(w.claims(), "sub", "github:repo:evil/repo:pull_request"))
	out, err = run(nil, append(assume, other)...)
	if err == nil || !strings.Contains(out, "(AccessDenied)") || !strings.Contains(out, "Not authorized to perform sts:AssumeRoleWithWebIdentity") {
		t.Errorf("%v %s", err, out)
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
