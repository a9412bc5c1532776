package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cognitoPools is as much of Amazon Cognito Identity as administrators of pools
// meet: it keeps what it was told, and tells it again.
type cognitoPools struct {
	t    *testing.T
	told map[string]map[string]any // by what it is and of whom
}

const madePool = "eu-central-1:99999999-9999-9999-9999-999999999999"

func (c *cognitoPools) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		c.identityProvider(w, r)
		return
	}
	var in map[string]any
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&in); err != nil {
		c.t.Error(err)
	}
	text := func(key string) string { s, _ := in[key].(string); return s }
	target := r.Header.Get("X-Amz-Target")
	operation := strings.TrimPrefix(target, "AWSCognitoIdentityService.")
	if operation == "CreateIdentityPool" {
		in["IdentityPoolId"] = madePool
	}
	id := text("IdentityPoolId")
	out := map[string]any{}
	switch operation {
	case "CreateIdentityPool", "UpdateIdentityPool":
		c.told["pool "+id] = in
		out = in
	case "SetIdentityPoolRoles":
		c.told["roles "+id] = in
	case "SetPrincipalTagAttributeMap":
		c.told["tags "+id+" "+text("IdentityProviderName")] = in
		out = in
	case "DescribeIdentityPool":
		out = c.told["pool "+id]
	case "GetIdentityPoolRoles":
		out = c.told["roles "+id]
	case "GetPrincipalTagAttributeMap":
		out = c.told["tags "+id+" "+text("IdentityProviderName")]
	default:
		c.t.Errorf("unexpected call of %q", target)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		c.t.Error(err)
	}
}

// identityProvider is as much of IAM as tells a provider's client ids.
func (c *cognitoPools) identityProvider(w http.ResponseWriter, r *http.Request) {
	const arn = "arn:aws:iam::111111111111:oidc-provider/gitlab.example.com"
	if r.PostFormValue("Action") != "GetOpenIDConnectProvider" || r.PostFormValue("OpenIDConnectProviderArn") != arn {
		c.t.Errorf("unexpected call of IAM: %v", r.PostForm)
	}
	w.Header().Set("Content-Type", "text/xml")
	if _, err := io.WriteString(w, `<GetOpenIDConnectProviderResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetOpenIDConnectProviderResult>
<Url>gitlab.example.com</Url><ClientIDList><member>cognito</member></ClientIDList><ThumbprintList/><CreateDate>2026-01-01T00:00:00Z</CreateDate>
</GetOpenIDConnectProviderResult><ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata></GetOpenIDConnectProviderResponse>`); err != nil {
		c.t.Error(err)
	}
}

const cognitoConfig = `issuer: https://stint.example.com
issuers:
  gitlab: {url: "https://gitlab.example.com", audiences: [cognito]}
rules: []
`

const cognitoPool = `pools:
  - id: "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f"
    name: github_actions
    account: "111111111111"
    classic: true
    default_role: "arn:aws:iam::111111111111:role/authenticated"
    providers:
      - provider: gitlab.example.com
        tags:
          project: project_path
          "the ref": ref
        rules:
          - {claim: project_path, equals: octo-org/octo-repo, role: "arn:aws:iam::111111111111:role/app"}
          - {claim: ref, not_equal: "é \" '$(id)", role: "arn:aws:iam::111111111111:role/other"}
        no_match: default_role
`

// recipe is the block of the page docs/import-cognito.md that begins with a text.
func recipe(t *testing.T, start string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/import-cognito.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "\n\n    "+start)
	if !ok {
		_, rest, ok = strings.Cut(string(page), "\n    "+start)
	}
	block, _, end := strings.Cut(rest, "\n\n")
	if !ok || !end {
		t.Fatalf("the page has no block that begins with %s", start)
	}
	return start + strings.ReplaceAll(block, "\n    ", "\n")
}

// TestCognitoAWS: the AWS command line takes what export writes, and what it
// then prints of the pool is imported as the pool that was exported. The
// commands are those of the page.
func TestCognitoAWS(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS command line is not installed")
	}
	service := &cognitoPools{t, map[string]map[string]any{}}
	server := httptest.NewServer(service)
	defer server.Close()
	folder := filepath.Join(t.TempDir(), "it's here")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"stint.yaml": cognitoConfig + "\n" + cognitoPool, "base.yaml": cognitoConfig} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The endpoint is an argument: not every version reads the variable.
	aws := "#!/bin/sh\nPATH=\"$PATH_OF_AWS\" exec aws --endpoint-url " + server.URL + " \"$@\"\n"
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(aws), 0o755); err != nil {
		t.Fatal(err)
	}
	shell := func(script string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), "sh", "-ec", script)
		c.Dir = folder
		c.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") }),
			"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "PATH_OF_AWS="+os.Getenv("PATH"),
			"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1",
			"AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "NO_PROXY=127.0.0.1")
		var errs bytes.Buffer
		c.Stderr = &errs
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %s\n%s", err, errs.String(), script)
		}
		return string(out)
	}
	shell(recipe(t, "stint export cognito --pool github_actions"))
	if got := shell(recipe(t, "id=") + " --strict --merge base.yaml"); got != cognitoConfig+"\n"+cognitoPool {
		t.Errorf("found %s\nexpected %s", got, cognitoPool)
	}

	shell("stint export cognito --dir new --create > new.sh; sh -e new.sh")
	for _, what := range []string{"pool ", "roles ", "tags "} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(service.told)), func(key string) bool { return strings.HasPrefix(key, what+madePool) }) {
			t.Errorf("the new pool has no %s", what)
		}
	}
}
