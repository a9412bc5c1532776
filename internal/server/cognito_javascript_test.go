package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// installed is a folder with testdata/js and what its lockfile names.
func installed(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("installing the AWS SDK for JavaScript takes seconds")
	}
	for _, program := range []string{"npm", "node"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed")
		}
	}
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("testdata/js")))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		if unreachable(string(out)) {
			t.Skipf("no registry of packages can be reached from here: %v", err)
		}
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return dir
}

// unreachable reports whether npm found no registry, rather than something
// wrong with the packages.
func unreachable(out string) bool {
	for _, code := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH", "ENOTCACHED"} {
		if strings.Contains(out, code) {
			return true
		}
	}
	return false
}

// TestCognitoJavaScript: the AWS SDK for JavaScript and its credential
// providers, both flows, and the errors by their names.
func TestCognitoJavaScript(t *testing.T) {
	dir := installed(t)
	h := newPools(t)
	settings, err := json.Marshal(map[string]string{
		"endpoint": h.url + "/aws/cognito-identity", "stsEndpoint": h.stsURL, "provider": provider, "token": h.token(),
		"mappedPool": mappedPool, "classicPool": classicPool, "plainPool": plainPool, "customRole": mainRole, "defaultRole": defaultRole,
	})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", filepath.Join(dir, "cognito.mjs"))
	node.Dir = dir
	node.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_EC2_METADATA_DISABLED=true"}
	node.Stdin = bytes.NewReader(settings)
	var stderr bytes.Buffer
	node.Stderr = &stderr
	out, err := node.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}

	type failure struct {
		Name, Message, RequestID string
		Status                   int
	}
	var got struct {
		IdentityID, Enhanced, Custom, Provider, Basic string
		Expiration                                    time.Time
		Errors                                        map[string]failure
	}
	must(t, json.Unmarshal(out, &got))
	const session = "arn:aws:sts::111111111111:assumed-role/"
	for what, c := range map[string][2]string{
		"GetCredentialsForIdentity": {got.Enhanced, session + "app/CognitoIdentityCredentials"},
		"fromCognitoIdentity":       {got.Custom, session + "main/CognitoIdentityCredentials"},
		"fromCognitoIdentityPool":   {got.Provider, session + "authenticated/CognitoIdentityCredentials"},
		"GetOpenIdToken":            {got.Basic, session + "authenticated/by-javascript"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: the credentials are of %s, want %s", what, c[0], c[1])
		}
	}
	if got.IdentityID != h.identityOf(mappedPool, h.token()) || !got.Expiration.Equal(h.clock().Add(30*time.Minute)) {
		t.Errorf("identity %s, until %s", got.IdentityID, got.Expiration)
	}
	for what, want := range map[string]failure{
		"notFound": {Name: "ResourceNotFoundException", Message: "IdentityPool 'eu-central-1:0' not found."},
		"guest":    {Name: "NotAuthorizedException", Message: noGuests},
		"classic":  {Name: "InvalidParameterException", Message: "Basic (classic) flow is not enabled, please use enhanced flow."},
		"invalid":  {Name: "ValidationException", Message: "1 validation error detected: Value 'nonsense' at 'identityPoolId' failed to satisfy constraint: "},
		"role":     {Name: "NotAuthorizedException", Message: "Access to Role '" + mainRole + "' is forbidden. "},
	} {
		if e := got.Errors[what]; e.Name != want.Name || !strings.HasPrefix(e.Message, want.Message) || e.Status != 400 || e.RequestID == "" {
			t.Errorf("%s: found %+v, want %s: %s", what, e, want.Name, want.Message)
		}
	}
}
