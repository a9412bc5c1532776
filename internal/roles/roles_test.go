package roles_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/roles"
)

const (
	deployARN = "arn:aws:iam::111111111111:role/ci/deploy"
	trust     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/stint.example.com"},"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"],"Condition":{"StringEquals":{"stint.example.com:sub":"a+b c"}}}]}`
)

// role is a role as `aws iam get-role` prints it, with its policy as given.
func role(arn, policy string) string {
	return fmt.Sprintf(`{"Arn":%q,"AssumeRolePolicyDocument":%s}`, arn, policy)
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

func encoded(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func TestEveryShapeGivesTheSameRole(t *testing.T) {
	full := func(policy string) string {
		return `{"Path":"/ci/","RoleName":"deploy","RoleId":"AROAEXAMPLEID12345678","Arn":"` + deployARN + `",
			"CreateDate":"2026-01-02T03:04:05+00:00","AssumeRolePolicyDocument":` + policy + `,"Description":"deploys",
			"MaxSessionDuration":7200,"Tags":[{"Key":"Team","Value":"web"},{"Key":"env","Value":""}],"RoleLastUsed":{"Region":"us-east-1"}}`
	}
	shapes := map[string]string{
		"get-role":                 `{"Role":` + full(trust) + `}`,
		"the role alone":           full(trust),
		"list-roles":               `{"Roles":[` + full(trust) + `],"IsTruncated":false}`,
		"a list":                   `[` + full(trust) + `]`,
		"several values":           role("arn:aws:iam::111111111111:role/other", trust) + "\n{\"Role\":" + full(trust) + "}\n",
		"policy as text":           full(quoted(trust)),
		"policy as text, indented": full(quoted("\n  " + trust)),
		"policy URL-encoded":       full(quoted(encoded(trust))),
		"with a byte order mark":   "\xef\xbb\xbf" + full(trust),
	}
	for name, document := range shapes {
		t.Run(name, func(t *testing.T) {
			all, err := roles.Parse("role.json", []byte(document))
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(all, func(r roles.Role) bool { return r.ARN == deployARN })
			if i < 0 {
				t.Fatalf("the role is missing; found %v", all)
			}
			got := all[i]
			if policy, want := mustMarshal(t, got.Trust), mustMarshal(t, mustParse(t, trust)); policy != want {
				t.Errorf("trust policy: expected %s, found %s", want, policy)
			}
			if !strings.HasPrefix(got.Source, "role.json:") {
				t.Errorf("source: %q", got.Source)
			}
			got.Trust, got.TrustDocument, got.Source = nil, nil, ""
			want := roles.Role{
				ARN: deployARN, Name: "deploy", Path: "/ci/", ID: "AROAEXAMPLEID12345678", AccountID: "111111111111", Partition: "aws",
				Tags: map[string]string{"Team": "web", "env": ""}, MaxSessionDuration: 2 * time.Hour,
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("expected %+v\nfound    %+v", want, got)
			}
		})
	}
}

func TestWhatAFileLeavesOut(t *testing.T) {
	read := func() roles.Role {
		all, err := roles.Parse("r.json", []byte(role("arn:aws-us-gov:iam::222222222222:role/plain", trust)))
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}
	r := read()
	if r.MaxSessionDuration != time.Hour || r.Path != "/" || r.Partition != "aws-us-gov" || len(r.Tags) != 0 || r.Source != "r.json:1" {
		t.Errorf("found %+v", r)
	}
	if !strings.HasPrefix(r.ID, "AROA") || len(r.ID) != 21 || r.ID != read().ID {
		t.Errorf("the id %q should be AROA and 17 characters, the same each time", r.ID)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	broken := strings.Replace(trust, `"Effect":"Allow"`, `"Effect":"Maybe"`, 1)
	cases := []struct {
		name, document string
		line, column   int
		message        string
	}{
		{"empty", "", 0, 0, "empty"},
		{"not JSON", "{\n  nope\n}", 2, 3, "not JSON"},
		{"cut off", `{"Role":`, 1, 9, "ends too early"},
		{"two brackets", `{}}`, 1, 3, "not JSON"},
		{"invalid UTF-8", "{\n\"\xff\":1}", 2, 2, "UTF-8"},
		{"too deep", strings.Repeat("[", 100), 1, 65, "deeper"},
		{"doubled key", "{\"Arn\":1,\n \"Arn\":2}", 2, 2, "twice"},
		{"text", `"role"`, 1, 1, "found a string"},
		{"something else", `{"Users":[]}`, 1, 1, "Role, Roles"},
		{"roles no list", `{"Roles":{}}`, 1, 10, "expected a list"},
		{"role no object", `{"Role":[]}`, 1, 9, "expected a role"},
		{"no ARN", "\n{\"AssumeRolePolicyDocument\":" + trust + "}", 2, 1, "no Arn"},
		{"ARN no text", `{"Arn":1,"AssumeRolePolicyDocument":` + trust + `}`, 1, 8, "Arn: expected a string"},
		{"no role's ARN", role("arn:aws:iam::111111111111:user/x", trust), 1, 8, "Arn: expected a role's ARN"},
		{"eleven digits", role("arn:aws:iam::11111111111:role/x", trust), 1, 8, "Arn: expected a role's ARN"},
		{"star in the ARN", role("arn:aws:iam::111111111111:role/*", trust), 1, 8, "Arn: expected a role's ARN"},
		{"empty path part", role("arn:aws:iam::111111111111:role/a//b", trust), 1, 8, "Arn: expected a role's ARN"},
		{"another name", `{"RoleName":"x",` + role(deployARN, trust)[1:], 1, 13, "RoleName: expected \"deploy\""},
		{"another path", `{"Path":"/",` + role(deployARN, trust)[1:], 1, 9, "Path: expected \"/ci/\""},
		{"bad id", `{"RoleId":"a",` + role(deployARN, trust)[1:], 1, 11, "RoleId"},
		{"half an hour", `{"MaxSessionDuration":1800,` + role(deployARN, trust)[1:], 1, 23, "3600 to 43200"},
		{"hours as text", `{"MaxSessionDuration":"3600",` + role(deployARN, trust)[1:], 1, 23, "3600 to 43200"},
		{"too many hours", `{"MaxSessionDuration":43201,` + role(deployARN, trust)[1:], 1, 23, "3600 to 43200"},
		{"tags no list", `{"Tags":{},` + role(deployARN, trust)[1:], 1, 9, "Tags: expected a list"},
		{"tag without value", `{"Tags":[{"Key":"a"}],` + role(deployARN, trust)[1:], 1, 10, "a Key and a Value"},
		{"doubled tag", `{"Tags":[{"Key":"a","Value":""},{"Key":"A","Value":""}],` + role(deployARN, trust)[1:], 1, 33, "twice"},
		{"long key", `{"Tags":[{"Key":"` + strings.Repeat("k", 129) + `","Value":""}],` + role(deployARN, trust)[1:], 1, 10, "128"},
		{"no policy", `{"Arn":"` + deployARN + `"}`, 1, 1, "no AssumeRolePolicyDocument"},
		{"policy a number", role(deployARN, "1"), 1, 78, "found a number"},
		{"broken policy", "{\"Arn\":\"" + deployARN + "\",\n\"AssumeRolePolicyDocument\": " + broken + "}", 2, 76, "Statement[0].Effect"},
		{"broken policy on several lines", "{\"Arn\":\"" + deployARN + "\",\n\"AssumeRolePolicyDocument\":\n" + strings.ReplaceAll(broken, `"Effect"`, "\n  \"Effect\"") + "}", 4, 12, "Statement[0].Effect"},
		{"broken policy in text", role(deployARN, quoted(broken)), 1, 78, "line 1, column 48: Statement[0].Effect"},
		{"broken policy URL-encoded", role(deployARN, quoted(encoded(broken))), 1, 78, "line 1, column 48: Statement[0].Effect"},
		{"neither JSON nor URL-encoded", role(deployARN, `"%zz"`), 1, 78, "URL-encoded"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := roles.Parse("f.json", []byte(c.document))
			var e *roles.Error
			if !errors.As(err, &e) || got != nil {
				t.Fatalf("expected an *Error and no roles, found %v and %v", err, got)
			}
			if e.File != "f.json" || e.Line != c.line || e.Column != c.column || !strings.Contains(e.Message, c.message) {
				t.Errorf("expected %d:%d %q, found %v", c.line, c.column, c.message, err)
			}
			if strings.HasPrefix(c.name, "broken policy") {
				var syntax *iam.SyntaxError
				if !errors.As(err, &syntax) {
					t.Errorf("the cause %v is no *iam.SyntaxError", err)
				}
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
	arn := func(name string) string { return "arn:aws:iam::111111111111:role/" + name }
	write("a.json", role(arn("a"), trust))
	write("deep/er/b.JSON", role(arn("b"), trust))
	write("deep/notes.txt", "not JSON")
	outside := filepath.Join(t.TempDir(), "c.json")
	if err := os.WriteFile(outside, []byte(role(arn("c"), trust)), 0o644); err != nil {
		t.Fatal(err)
	}
	link(outside, "c.json")
	link(filepath.Join(dir, "a.json"), "again.json") // the same file: not a doubled role
	link(dir, "deep/loop")
	link(filepath.Join(dir, "nowhere"), "deep/dead")

	load := func(paths ...string) (*roles.Set, error) {
		set, _, err := roles.FromInventory(inventory.Load(paths...), "")
		return set, err
	}
	set, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range set.All() {
		got = append(got, r.Name)
	}
	if !reflect.DeepEqual(got, []string{"a", "b", "c"}) || set.Len() != 3 {
		t.Errorf("expected a, b and c, found %v", got)
	}
	if _, ok := set.Get(strings.ToUpper(arn("a"))); ok {
		t.Error("an ARN matched in another case")
	}

	t.Run("a named file of another kind is read", func(t *testing.T) {
		set, err := load(write("role.txt", role(arn("t"), trust)))
		if err != nil || set.Len() != 1 {
			t.Errorf("found %v, %v", set.All(), err)
		}
	})
	t.Run("errors of all files together", func(t *testing.T) {
		bad1, bad2 := write("bad/1.json", "["), write("bad/2.json", "{}")
		doubled := write("bad/3.json", role(arn("a"), trust))
		_, err := load(bad1, bad2, dir, filepath.Join(dir, "missing.json"))
		if err == nil {
			t.Fatal("expected an error")
		}
		for _, want := range []string{bad1 + ":1:", bad2 + ":1:1", doubled + ":1:1: the role " + arn("a") + " is doubled", "missing.json"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("expected %q in:\n%v", want, err)
			}
		}
	})
	t.Run("huge file", func(t *testing.T) {
		big := append([]byte(role(arn("big"), trust)), strings.Repeat(" ", 5<<20)...)
		var e *roles.Error
		if _, err := roles.Parse("big.json", big); !errors.As(err, &e) || !strings.Contains(e.Message, "5 MiB") {
			t.Errorf("found %v", err)
		}
	})
}

func TestZeroSet(t *testing.T) {
	for _, s := range []*roles.Set{nil, {}} {
		if _, ok := s.Get(deployARN); ok || s.Len() != 0 || len(s.All()) != 0 {
			t.Error("an empty set holds a role")
		}
	}
}

// What loads is usable: the ARN is a role's and says what the fields say, the
// policy is parsed, and the limits hold. What does not load has no roles.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		role(deployARN, trust), role(deployARN, quoted(trust)), role(deployARN, quoted(encoded(trust))),
		`{"Roles":[` + role(deployARN, trust) + `]}`, `{"Role":{"Arn":1}}`, `[[[[`, `{"a":1,"a":2}`, "\xef\xbb\xbf{}", `"%7B%7D"`, "{}\x00",
		`{"Tags":[{"Key":"a","Value":"b"}],"MaxSessionDuration":1e4,` + role(deployARN, trust)[1:],
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := roles.Parse("f.json", data)
		if err != nil {
			var e *roles.Error
			if all != nil || !errors.As(err, &e) {
				t.Fatalf("roles beside the error %v", err)
			}
			return
		}
		if len(all) == 0 && len(strings.TrimSpace(string(data))) == 0 {
			t.Fatal("an empty file passed")
		}
		for _, r := range all {
			a, err := roles.ParseARN(r.ARN)
			if err != nil || a.String() != r.ARN || a.Name != r.Name || a.Path != r.Path || a.AccountID != r.AccountID || a.Partition != r.Partition {
				t.Fatalf("the ARN %q of %+v", r.ARN, r)
			}
			if r.Trust == nil || len(r.Trust.Statements) == 0 {
				t.Fatal("a role without a trust policy")
			}
			if mustMarshal(t, mustParse(t, string(r.TrustDocument))) != mustMarshal(t, r.Trust) {
				t.Fatal("the trust document is not the trust policy")
			}
			if r.MaxSessionDuration < time.Hour || r.MaxSessionDuration > 12*time.Hour || r.ID == "" || len(r.Tags) > 50 {
				t.Fatalf("limits of %+v", r)
			}
		}
	})
}

func mustParse(t *testing.T, document string) *iam.Policy {
	t.Helper()
	p, err := iam.ParsePolicy([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustMarshal(t *testing.T, p *iam.Policy) string {
	t.Helper()
	b, err := p.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A policy that stands in the file as it is has the places of the file.
func TestPlacesOfTheTrustPolicy(t *testing.T) {
	document := "{\"Role\":\n " + role(deployARN, "\n  "+trust) + "}"
	all, err := roles.Parse("f.json", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	want := iam.Position{Line: 3, Column: 3 + strings.Index(trust, `{"Effect"`)}
	if at := all[0].Trust.Statements[0].Position; at != want {
		t.Errorf("the statement stands at %v, expected %v", at, want)
	}
}
