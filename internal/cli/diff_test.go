package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store/storetest"
)

// TestDiffOfRecords compares the jobs in a store's records, as they are read
// from it and as `stint audit list --json` prints them.
func TestDiffOfRecords(t *testing.T) {
	s, url := auditStore(t)
	claims := `{"iss":"https://token.actions.githubusercontent.com","aud":"https://stint.example.com","sub":"repo:octo-org/octo-repo:ref:refs/heads/main",` +
		`"repository_owner_id":"65","repository_id":"74","ref":"refs/heads/main","run_id":"@"}`
	for n, run := range []string{"1", "2"} {
		appendRecords(t, s, storetest.Record(n+1, func(r *audit.Record) {
			r.Caller.Claims = []byte(strings.Replace(claims, "@", run, 1))
		}))
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const old = `
issuer: https://stint.example.com
issuers:
  github: {url: "https://token.actions.githubusercontent.com", audiences: [https://stint.example.com], only: {repository_owner_id: "65"}}
rules:
  - {name: deploy, issuer: github, match: {repository_id: "75"}, aws: {roles: ["arn:aws:iam::111111111111:role/deploy"]}}
`
	before, after := write("old.yaml", old), write("new.yaml", strings.Replace(old, `"75"`, `"74"`, 1))
	run := func(stdin string, args ...string) string {
		var out, errOut bytes.Buffer
		e := &Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errOut, Now: func() time.Time { return auditNow }, Getenv: func(string) string { return "" }}
		if code := Run(t.Context(), e, args); code != exitDone || errOut.Len() > 0 {
			t.Fatalf("%v: exit %d, %s", args, code, errOut.String())
		}
		return out.String()
	}
	const want = "GAINS arn:aws:iam::111111111111:role/deploy\n" +
		"  octo-org/octo-repo (2 records), repo:octo-org/octo-repo:ref:refs/heads/main\n      by the rule deploy\n\n" +
		"1 job: 1 gained, 0 lost, 0 changed, 0 not known, 0 the same\n"
	if got := run("", "diff", before, after, "--store", url); got != want {
		t.Errorf("from the store, found\n%s\nexpected\n%s", got, want)
	}
	records := run("", "audit", "list", "--json", "--store", url)
	if got := run(records, "diff", before, after, "--records", "-"); got != want {
		t.Errorf("from the list, found\n%s\nexpected\n%s", got, want)
	}
}
