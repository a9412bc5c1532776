package inventory_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

const (
	trust    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"}}}]}`
	identity = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`
)

// read loads one file by name.
func read(name, data string) *inventory.Inventory {
	return inventory.LoadFS(fstest.MapFS{name: {Data: []byte(data)}}, name)
}

// folder loads files that lie in a folder.
func folder(files map[string]string) *inventory.Inventory {
	fsys := fstest.MapFS{}
	for name, data := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return inventory.LoadFS(fsys)
}

// summary is what an inventory holds, one line each.
func summary(inv *inventory.Inventory) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, r := range inv.Roles {
		line := fmt.Sprintf("role %s name=%s account=%s trust=%s", r.Address, r.Name, r.AccountID, verdict(r.Trust))
		for _, p := range r.Identity {
			line += fmt.Sprintf(" +%s=%s", p.Name, verdict(p.Policy))
		}
		if r.Boundary != nil {
			line += fmt.Sprintf(" boundary=%s=%s", r.Boundary.Name, verdict(r.Boundary.Policy))
		}
		for _, t := range r.Tags {
			line += fmt.Sprintf(" %s:%s", t.Key, t.Value)
		}
		if r.IdentityOpen {
			line += " identity?"
		}
		if r.TagsOpen {
			line += " tags?"
		}
		if r.MaxSession != 0 {
			line += " " + r.MaxSession.String()
		}
		out = append(out, line)
	}
	for _, p := range inv.Policies {
		add("policy %s=%s", p.Address, verdict(p.Policy))
	}
	for _, p := range inv.Providers {
		add("provider %s url=%s account=%s clients=%v open=%t", p.Address, p.URL, p.AccountID, p.ClientIDs, p.ClientIDsOpen)
	}
	for _, a := range inv.Azure {
		line := fmt.Sprintf("azure %s open=%t", a.Address, a.Open)
		for _, c := range a.Credentials {
			line += fmt.Sprintf(" [%s %s %s %s %v]", c.Name, c.Issuer, c.Subject, c.Expression, c.Audiences)
		}
		out = append(out, line)
	}
	for _, w := range inv.Workflows {
		line := fmt.Sprintf("workflow %s token=%s", w.Name, w.IDToken)
		for _, t := range w.Triggers {
			line += " on:" + t.Event
		}
		for _, j := range w.Jobs {
			line += fmt.Sprintf(" [%s token=%s env=%s roles=%v uses=%s]", j.ID, j.IDToken, j.Environment, j.RolesToAssume, j.Uses)
		}
		out = append(out, line)
	}
	for _, c := range inv.Configs {
		add("config %s %s", c.File, c.Config.Issuer)
	}
	for _, err := range inv.Problems {
		add("problem %s", err)
	}
	return out
}

func verdict(p *inventory.Policy) string {
	switch {
	case p == nil:
		return "none"
	case p.Err != nil:
		return "refused"
	case p.Full != nil:
		return "full"
	}
	return "partial"
}

func check(t *testing.T, inv *inventory.Inventory, want ...string) {
	t.Helper()
	if got := summary(inv); !reflect.DeepEqual(got, want) {
		t.Errorf("found\n  %s\nexpected\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestFolders(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("a/trust.json", trust)
	write("package.json", `{"name":"x","dependencies":{}}`)
	write("tsconfig.json", `{ // a comment`)
	write("README.md", "# notes "+trust)
	write("broken.json", `{"AssumeRolePolicyDocument": {`)
	for _, skipped := range []string{".hidden", "node_modules/x", ".terraform/modules", "vendor", ".git"} {
		write(skipped+"/trust.json", trust)
	}
	link(dir, "a/loop")
	link("trust.json", "a/again.json")
	link("nowhere", "a/dead.json")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.json"), 0o644); err != nil {
		t.Fatal(err)
	}

	done := make(chan *inventory.Inventory)
	go func() { done <- inventory.Load(dir, filepath.Join(dir, "missing.json")) }()
	var inv *inventory.Inventory
	select {
	case inv = <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Load waits for a pipe")
	}
	if len(inv.Roles) != 1 || inv.Roles[0].Position != (source.Position{File: filepath.Join(dir, "a/again.json"), Line: 1, Column: 1}) {
		t.Errorf("expected the one trust policy, found %v", summary(inv))
	}
	if len(inv.Problems) != 2 {
		t.Fatalf("expected problems with broken.json and missing.json, found %v", inv.Problems)
	}
	var at *source.Error
	if !errors.As(inv.Problems[0], &at) || at.Position.File != filepath.Join(dir, "broken.json") || at.Position.Line != 1 {
		t.Errorf("found %v", inv.Problems[0])
	}
	if !errors.Is(inv.Problems[1], os.ErrNotExist) {
		t.Errorf("found %v", inv.Problems[1])
	}
	if want := []string{filepath.Join(dir, "a/again.json"), filepath.Join(dir, "broken.json")}; !reflect.DeepEqual(inv.Files, want) {
		t.Errorf("found the files %v, expected %v", inv.Files, want)
	}
}

func TestChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trust.json")
	if err := os.WriteFile(path, []byte(trust), 0o644); err != nil {
		t.Fatal(err)
	}
	inv := inventory.LoadChanged(map[string][]byte{path: []byte(strings.ReplaceAll(trust, "octo-repo", "other"))}, path)
	if got := inv.Roles[0].Trust.Statements[0].Conditions[0].Values.List[0].String(); got != "repo:octo-org/other:ref:refs/heads/main" {
		t.Errorf("found %s", got)
	}
}

// A file that was named and is of no known kind is a problem; in a folder it is
// none of ours.
func TestOfNoKind(t *testing.T) {
	for name, data := range map[string]string{
		"empty.json":  "",
		"space.yaml":  " \n",
		"other.json":  `{"name":"x"}`,
		"list.json":   `[1,2]`,
		"text.json":   `"x"`,
		"text.txt":    "just text",
		"other.yaml":  "name: x\n",
		"k8s.yaml":    "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nrules: []\n",
		"binary.json": "\x00\x01\x02",
	} {
		inv := read(name, data)
		if len(inv.Problems) != 1 || !strings.Contains(inv.Problems[0].Error(), "expected a role or trust policy") || !strings.Contains(inv.Problems[0].Error(), "found") || !strings.HasPrefix(inv.Problems[0].Error(), name+":") {
			t.Errorf("%s: found %v", name, summary(inv))
		}
		if inv = folder(map[string]string{name: data}); len(inv.Problems) > 0 || len(inv.Files) > 0 {
			t.Errorf("%s in a folder: found %v %v", name, summary(inv), inv.Files)
		}
	}
}

// A file in a folder that was meant for AWS and cannot be read is a problem:
// silence would pass for a clean bill.
func TestUnreadable(t *testing.T) {
	encoded := func(order binary.AppendByteOrder, mark bool, s string) string {
		var out []byte
		if mark {
			out = order.AppendUint16(out, 0xfeff)
		}
		for _, u := range utf16.Encode([]rune(s)) {
			out = order.AppendUint16(out, u)
		}
		return string(out)
	}
	template := "  Resources:\n    A:\n      Type: AWS::IAM::Role\n"
	for name, c := range map[string]struct{ data, want string }{
		"comment.json":      {"// of ci\n" + trust, "comment.json:1:1: "},
		"conflict.json":     {"<<<<<<< HEAD\n" + trust, "conflict.json:1:1: "},
		"conflict.template": {"<<<<<<< HEAD\n" + template, "conflict.template:"},
		"indented.template": {template + "  - x\n", "indented.template:"},
		"quoted.json":       {"\"" + strings.ReplaceAll(trust, `"`, `\"`), "quoted.json:1:"},
		"little.json":       {encoded(binary.LittleEndian, true, trust), "expected UTF-8, found UTF-16: save the file as UTF-8"},
		"big.json":          {encoded(binary.BigEndian, true, trust), "expected UTF-8, found UTF-16"},
		"unmarked.json":     {encoded(binary.LittleEndian, false, trust), "expected UTF-8, found UTF-16"},
		"utf16.yaml":        {encoded(binary.LittleEndian, true, template), "expected UTF-8, found UTF-16"},
		"utf16.tf":          {encoded(binary.LittleEndian, true, "resource \"aws_iam_role\" \"a\" {}\n"), "expected UTF-8, found UTF-16"},
	} {
		for _, inv := range []*inventory.Inventory{read(name, c.data), folder(map[string]string{name: c.data})} {
			if len(inv.Problems) != 1 || !strings.Contains(inv.Problems[0].Error(), c.want) || !reflect.DeepEqual(inv.Files, []string{name}) {
				t.Errorf("%s: found %v, files %v", name, summary(inv), inv.Files)
			}
		}
	}
	for name, data := range map[string]string{
		"tsconfig.json":  "// of the compiler\n{}",
		"utf16.json":     encoded(binary.LittleEndian, true, `{"name":"x"}`),
		"notes.template": "Dear {{name}}",
		"role.yaml":      "# how sts:AssumeRole works\nname: x\n",
	} {
		if inv := folder(map[string]string{name: data}); len(inv.Problems)+len(inv.Files) > 0 {
			t.Errorf("%s: found %v, files %v", name, summary(inv), inv.Files)
		}
	}
	if inv := folder(map[string]string{"indented.template": template}); len(inv.Roles) != 1 || len(inv.Problems) > 0 {
		t.Errorf("an indented template: found %v", summary(inv))
	}
	if inv := folder(map[string]string{"bom.json": "\xef\xbb\xbf" + trust}); len(inv.Roles) != 1 || len(inv.Problems) > 0 {
		t.Errorf("with the mark of UTF-8: found %v", summary(inv))
	}
}

func TestBounds(t *testing.T) {
	if inv := read("big.json", trust+strings.Repeat(" ", inventory.MaxFile)); len(inv.Roles) != 0 || len(inv.Problems) != 1 || !strings.Contains(inv.Problems[0].Error(), "32 MiB") {
		t.Errorf("found %v", summary(inv))
	}
	deep := map[string]string{strings.Repeat("d/", 40) + "trust.json": trust, "trust.json": trust}
	if inv := folder(deep); len(inv.Roles) != 1 || len(inv.Problems) != 1 || !strings.Contains(inv.Problems[0].Error(), "folders within one another") {
		t.Errorf("found %v", summary(inv))
	}
	broken := strings.Repeat(`{"Role":5}`, inventory.MaxProblems+7)
	if inv := read("many.json", broken); len(inv.Problems) != inventory.MaxProblems+1 || inv.Problems[inventory.MaxProblems].Error() != "and 7 more problems" {
		t.Errorf("found %d problems", len(inv.Problems))
	}
}

// A shell's <(command) is a pipe.
func TestNamedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		fmt.Fprint(w, trust)
		w.Close()
	}()
	if inv := inventory.Load(fmt.Sprintf("/dev/fd/%d", r.Fd())); len(inv.Roles) != 1 {
		t.Errorf("found %v", summary(inv))
	}
}

// What only shares a name with ours is left alone.
func TestNotOurs(t *testing.T) {
	for _, data := range []string{
		`{"Role":"admin"}`, `{"Roles":["admin"]}`, `{"Roles":[]}`, `{"Statement":"x"}`, `{"Statement":[{"Balance":5}]}`,
		`{"Policies":["a"]}`, `{"value":[]}`, `{"PolicyVersion":"1"}`, `{"issuer":"x","subject":"y"}`, `{"Resources":{"a":{"Type":"x"}}}`,
	} {
		if inv := folder(map[string]string{"a.json": data}); len(summary(inv)) > 0 || len(inv.Files) > 0 {
			t.Errorf("%s: found %v", data, summary(inv))
		}
	}
}

func TestYAMLThatLooksLikeJSON(t *testing.T) {
	check(t, folder(map[string]string{".github/workflows/a.yml": `{on: push, jobs: {a: {}}}`}), "workflow  token=no on:push [a token=no env= roles=[] uses=]")
	check(t, folder(map[string]string{".github/workflows/a.yml": `{"on": "push", "jobs": {"a": {}}}`}), "workflow  token=no on:push [a token=no env= roles=[] uses=]")
}
