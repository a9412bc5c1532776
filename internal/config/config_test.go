package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/identity"
)

const (
	top     = "issuer: https://stint.example.com\n"
	issuers = "issuers:\n  github:\n    url: https://token.actions.githubusercontent.com\n    audiences: [https://stint.example.com]\n    only: {repository_owner_id: \"65\"}\n"
	aws     = "    aws: {roles: [\"arn:aws:iam::111111111111:role/deploy\"]}\n"
	is74    = "    match: {repository_id: \"74\"}\n"
)

func load(file string) (*Config, error) { return Parse("stint.yaml", []byte(file)) }

func problems(t *testing.T, err error) Problems {
	t.Helper()
	var p Problems
	if !errors.As(err, &p) || len(p) == 0 {
		t.Fatalf("expected problems, found %v", err)
	}
	return p
}

// marked takes the section signs out of a file and answers where they stood.
func marked(file string) (string, []Pos) {
	var at []Pos
	line, column := 1, 1
	var b strings.Builder
	for _, c := range file {
		if c == '§' {
			at = append(at, Pos{Line: line, Column: column})
			continue
		}
		b.WriteRune(c)
		if column++; c == '\n' {
			line, column = line+1, 1
		}
	}
	return b.String(), at
}

// TestRefused holds every refused file to its message and to its place, which
// a section sign marks in the file.
func TestRefused(t *testing.T) {
	rule := func(body string) string { return top + issuers + "rules:\n  - name: a\n" + body }
	issuer := func(body string) string { return top + "issuers:\n  §x:\n    audiences: [a]\n" + body + "rules: []\n" }
	shared := func(only string) string {
		return top + "issuers:\n  x:\n    url: https://token.actions.githubusercontent.com\n    audiences: [a]\n    only: " + only + "\nrules: []\n"
	}
	role := func(arn string) string { return rule(is74 + "    aws: {roles: [" + arn + "]}\n") }
	withAWS := func(body string) string {
		return rule(is74 + "    aws:\n      roles: [\"arn:aws:iam::111111111111:role/deploy\"]\n" + body)
	}
	for _, c := range []struct{ name, file, message, hint string }{
		{"empty", "§", "the file is empty", ""},
		{"no YAML", top + "issuers: §[", "not YAML: ", ""},
		{"not a mapping", "§- a\n", "expected keys with values, found a list", ""},
		{"two documents", top + issuers + "rules: []\n---\n§a: b\n", "a second document begins here", ""},
		{"anchor", top + issuers + "rules: §&a []\n", "anchors, aliases", "write the value out"},
		{"alias", rule("    match: {ref: §*-prod}\n" + aws), "anchors, aliases", "quote a pattern"},
		{"merge", rule("    §<<: {a: b}\n" + is74 + aws), "anchors, aliases", "write the value out"},
		{"tag", top + issuers + "rules: §!!seq []\n", "tags are not supported", ""},
		{"unknown key", top + issuers + "§rulez: []\nrules: []\n", `unknown key "rulez"`, "did you mean rules?"},
		{"unknown key of a rule", rule("    §mach: {a: b}\n" + aws), `unknown key "mach"`, "did you mean match?"},
		{"doubled key", rule(is74 + "    effect: allow\n    §effect: deny\n" + aws), `the key "effect" stands twice, first in line 10`, ""},
		{"no issuer", "§" + issuers + "rules: []\n", "the broker's own issuer is missing", ""},
		{"no issuers", "§" + top + "rules: []\n", "no issuers are configured", ""},
		{"empty issuers", top + "issuers: §{}\nrules: []\n", "no issuers are configured", ""},
		{"no rules", "§" + top + issuers, "there are no rules", "rules: []"},
		{"empty value", top + issuers + "§rules:\n", "the value is empty", ""},

		{"issuer over http", "issuer: §http://stint.example.com\n" + issuers + "rules: []\n", "plain http is for loopback", "write https://stint.example.com"},
		{"issuer with a slash", "issuer: §https://stint.example.com/\n" + issuers + "rules: []\n", "must not end with a slash", "write https://stint.example.com"},
		{"issuer with a query", "issuer: §https://stint.example.com?a=b\n" + issuers + "rules: []\n", "query or a fragment", ""},
		{"issuer with a password", "issuer: §https://a:b@stint.example.com\n" + issuers + "rules: []\n", "user name or password", ""},
		{"postgres", top + "store: §postgres://db\n" + issuers + "rules: []\n", "not supported in this version", "sqlite:PATH"},
		{"store without a path", top + "store: §\"sqlite:\"\n" + issuers + "rules: []\n", "expected sqlite: and the path", ""},
		{"listen", top + "listen: §127.0.0.1\n" + issuers + "rules: []\n", "expected an address with a port", ""},
		{"lifetime", top + "token_lifetime: §16m\n" + issuers + "rules: []\n", "from 1m to 15m", ""},
		{"algorithm", top + "signing: {algorithm: §HS256}\n" + issuers + "rules: []\n", "expected ES256 or RS256", ""},
		{"rotation", top + "signing: {rotate: §1h}\n" + issuers + "rules: []\n", "from 24h to 8760h", ""},
		{"region", top + "aws: {region: §Frankfurt}\n" + issuers + "rules: []\n", "expected a region", ""},
		{"endpoint", top + "aws: {endpoint: §http://10.0.0.1}\n" + issuers + "rules: []\n", "plain http", ""},

		{"issuer without url", issuer(""), "the issuer has no url", ""},
		{"trusted issuer over http", top + "issuers:\n  x:\n    audiences: [a]\n    url: §http://ci.example.com\nrules: []\n", "plain http", ""},
		{"two key sources", issuer("    url: https://ci.example.com\n    jwks_url: https://ci.example.com/k\n    jwks_file: k\n"), "both jwks_url and jwks_file", ""},
		{"no file name", top + "issuers:\n  x:\n    audiences: [a]\n    url: https://ci.example.com\n    jwks_file: §\"\"\nrules: []\n", "the value is empty", ""},
		{"no audiences", top + "issuers:\n  §x:\n    url: https://ci.example.com\nrules: []\n", "the issuer has no audiences", ""},
		{"audience pattern", top + "issuers:\n  x:\n    url: https://ci.example.com\n    audiences: [§\"a*\"]\nrules: []\n", "compared to the letter", ""},
		{"the broker's own", issuer("    url: https://stint.example.com\n"), "the broker's own issuer", ""},
		{"another platform", issuer("    url: https://token.actions.githubusercontent.com\n    platform: circleci\n    only: {aud: a}\n"), "is github, not circleci", ""},
		{"signs for everybody", issuer("    url: https://token.actions.githubusercontent.com\n"), "signs for everybody", "only: {repository_owner_id"},
		{"only names no tenant", shared("{§event_name: push}"), "nothing here names a tenant", ""},
		{"only is open", shared(`{repository: §"*"}`), "lets other tenants in", ""},
		{"only has an open owner", shared(`{repository: §"*/x"}`), "lets other tenants in", ""},
		{"only has a prefix", shared(`{repository: §"org*"}`), "lets other tenants in", ""},
		{"only has a prefix before the slash", shared(`{repository: §"org*/x"}`), "lets other tenants in", ""},
		{"only has one open value of two", shared(`{repository: [org/*, §"*"]}`), "lets other tenants in", ""},
		{"only has an open id", shared(`{repository_owner_id: §"6*"}`), "lets other tenants in", ""},

		{"rule without a name", top + issuers + "rules:\n  - §match: {a: b}\n" + aws, "the rule has no name", ""},
		{"two of one name", rule(is74+aws) + "  - name: §a\n" + is74 + aws, `the rule "a" stands twice, first in line 8`, ""},
		{"unknown issuer", rule("    issuer: §gitub\n" + is74 + aws), "which is not configured", "did you mean github?"},
		{"allow without aws", top + issuers + "rules:\n  - name: §a\n" + is74, "without roles", "add aws:"},
		{"allow without roles", rule(is74 + "    aws: §{duration: 1h}\n"), "without roles", "add roles:"},
		{"allow with no roles", rule(is74 + "    aws: {roles: §[]}\n"), "the list is empty", ""},
		{"deny with aws", top + issuers + "rules:\n  - name: §a\n    effect: deny\n" + is74 + aws, "a deny rule gives nothing", ""},
		{"for everybody", top + issuers + "rules:\n  - name: §a\n" + aws, "without match and when", ""},
		{"empty match", rule("    match: §{}\n" + aws), "nothing is matched", ""},
		{"empty list", rule("    match: {a: §[]}\n" + aws), "the list is empty", ""},
		{"null", rule("    match: {a: §~}\n" + aws), "the value is empty", ""},
		{"float", rule("    match: {a: §1.5}\n" + aws), `found the number "1.5"`, `quote it: "1.5"`},
		{"exponent", rule("    match: {a: §1e3}\n" + aws), `found the number "1e3"`, `quote it: "1e3"`},
		{"hexadecimal", rule("    match: {a: §0x10}\n" + aws), `found the number "0x10"`, "quote it"},
		{"octal", rule("    match: {a: §010}\n" + aws), `found the number "010"`, "quote it"},
		{"underscore", rule("    match: {a: §1_0}\n" + aws), `found the number "1_0"`, "quote it"},
		{"never a number", rule("    match: {repository_id: §octo-repo}\n" + aws), `so "octo-repo" never matches`, "repository"},
		{"never a ref", rule("    match: {ref: [refs/heads/a, §main]}\n" + aws), `so "main" never matches`, "refs/heads/BRANCH"},
		{"never in a deny rule", rule("    effect: deny\n    match: {repository: §octo-repo}\n"), "OWNER/REPOSITORY", ""},
		{"control character", rule("    match: {a: §\"\\x01\"}\n" + aws), "control character", ""},

		{"no ARN", role("§deploy"), "expected the ARN of a role", ""},
		{"user's ARN", role(`§"arn:aws:iam::111111111111:user/x"`), "expected the ARN of a role", ""},
		{"short account", role(`§"arn:aws:iam::1111:role/x"`), "expected the ARN of a role", ""},
		{"wildcard role", role(`§"arn:aws:iam::111111111111:role/*"`), "wildcard", ""},
		{"claim as account", role(`§"arn:aws:iam::{account}:role/x"`), "expected the ARN of a role", ""},
		{"empty braces", role(`§"arn:aws:iam::111111111111:role/{}"`), "{} names no claim", ""},
		{"open brace", role(`§"arn:aws:iam::111111111111:role/{a"`), "a { without a }", ""},
		{"closed brace", role(`§"arn:aws:iam::111111111111:role/a}"`), "a } without a {", ""},
		{"bad claim", withAWS("      session_name: §\"{bad name!}\"\n"), "{bad name!} names no claim", ""},
		{"short", withAWS("      duration: §14m\n"), "from 15m to 12h", ""},
		{"long", withAWS("      duration: §12h1s\n"), "from 15m to 12h", ""},
		{"no duration", withAWS("      duration: §3600\n"), "expected a duration", "1h30m"},
		{"reserved tag", withAWS("      tags: {§\"AWS:x\": ref}\n"), "reserved", ""},
		{"tag key", withAWS("      tags: {§\"a#b\": ref}\n"), "expected a tag key", ""},
		{"long tag key", withAWS("      tags: {§" + strings.Repeat("k", 129) + ": ref}\n"), "expected a tag key", ""},
		{"tags that differ by case", withAWS("      tags: {Env: ref, §env: ref}\n"), `the same as "Env"`, ""},
		{"tag without a claim", withAWS("      tags: {§env: {required: true}}\n"), "the tag names no claim", ""},
		{"tag with a bad flag", withAWS("      tags: {env: {claim: ref, required: §always}}\n"), "expected true or false", ""},
		{"transitive", withAWS("      tags: {env: ref}\n      transitive: [env, §Env]\n"), `"Env" is no tag`, ""},
		{"too many tags", withAWS("      tags: {" + manyTags(50) + ", §last: last}\n"), "at most 50 tags, found 51", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, at := marked(c.file)
			_, err := load(file)
			found := problems(t, err)
			for _, p := range found {
				if strings.Contains(p.Message, c.message) && strings.Contains(p.Hint, c.hint) && p.Pos == at[0] {
					return
				}
			}
			t.Errorf("expected %v: %q with the hint %q, found:\n%s", at[0], c.message, c.hint, found)
		})
	}
}

func manyTags(n int) string {
	var tags []string
	for i := range n {
		tags = append(tags, fmt.Sprintf("k%d: ref", i))
	}
	return strings.Join(tags, ", ")
}

// TestAllAtOnce: one run shows every mistake, in the order of the file, and
// none twice.
func TestAllAtOnce(t *testing.T) {
	file, at := marked(top + "§bogus: 1\n" + issuers + "  §gl:\n    §urll: x\n    audiences: [a]\n" +
		"rules:\n  - name: §b\n    match: §{}\n  - §match: {a: b}\n    issuer: §gh\n" + aws + "    §bogus: 1\n    §bogus: 2\n" +
		"  - name: §c\n" + aws)
	_, err := Parse("stint.yaml", []byte(file))
	var found []Pos
	for _, p := range problems(t, err) {
		found = append(found, p.Pos)
	}
	// gl is told once: a misspelt url is not missing too.
	want := append(at[:1:1], at[2:]...)
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("expected problems at %v, found %v:\n%v", want, found, err)
	}
	if !strings.Contains(err.Error(), "stint.yaml:2:1: unknown key \"bogus\"\n    known here: ") {
		t.Errorf("unexpected form: %v", err)
	}
}

// TestBounds: what is too large is refused in bounded time and space, before
// anything recurses into it.
func TestBounds(t *testing.T) {
	var manyRules, manyIssuers, keys strings.Builder
	for i := range MaxRules + 1 {
		fmt.Fprintf(&manyRules, "- {name: r%d}\n", i)
	}
	for i := range MaxIssuers + 1 {
		fmt.Fprintf(&manyIssuers, "  i%d: {}\n", i)
	}
	for i := range 100_000 {
		fmt.Fprintf(&keys, "k%d: \n", i)
	}
	for name, c := range map[string]struct{ file, message string }{
		"file":         {strings.Repeat("#", MaxFile+1), "expected a file of at most"},
		"rules":        {top + issuers + "rules:\n" + manyRules.String(), "at most 10000 rules"},
		"issuers":      {top + "issuers:\n" + manyIssuers.String() + "rules: []\n", "at most 100 issuers"},
		"brackets":     {top + "rules: " + strings.Repeat("[", 500_000), "nested deeper"},
		"open lines":   {top + "rules: " + strings.Repeat("[\n", 200_000), "nested deeper"},
		"closed lines": {top + "rules: " + strings.Repeat("[\n", 200_000) + strings.Repeat("]", 200_000), "nested deeper"},
		"braces":       {top + "rules: " + strings.Repeat("{a: ", 200_000), "nested deeper"},
		"dashes":       {top + "rules:\n" + strings.Repeat("- ", 400_000), "nested deeper"},
		"questions":    {top + "rules:\n" + strings.Repeat("? ", 400_000), "question mark"},
		"indentation":  {indented(25), "nested deeper"},
		"tags":         {top + "rules: " + strings.Repeat("!a ", 300_000), "tags are not supported"},
		"keys":         {top + keys.String(), "at most 1000 keys"},
		"flow keys":    {top + "rules: {" + strings.ReplaceAll(keys.String(), "\n", ",") + "}", "at most 1000 keys"},
		"nested keys":  {top + "rules:\n- " + strings.ReplaceAll(keys.String()[:400_000], "\n", "\n  "), "at most 1000 keys"},
		"UTF-8":        {top + "\xff", "not valid UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("stint.yaml", []byte(c.file))
			if p := problems(t, err); !strings.Contains(p.Error(), c.message) {
				t.Errorf("expected %q, found %.300s", c.message, p)
			}
		})
	}
}

// TestLargest: a file of the most rules is taken, in seconds and not minutes.
func TestLargest(t *testing.T) {
	var b strings.Builder
	b.WriteString(top + issuers + "rules:\n")
	for i := range MaxRules {
		fmt.Fprintf(&b, "- {name: r%d, match: {a: b}, aws: {roles: 'arn:aws:iam::111111111111:role/d'}}\n", i)
	}
	cfg, err := load(b.String())
	if err != nil {
		t.Fatalf("%.300s", err)
	}
	if len(cfg.Rules) != MaxRules {
		t.Errorf("%d rules", len(cfg.Rules))
	}
}

func indented(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String() + strings.Repeat(" ", n) + "b"
}

// TestExample: what ships with the binary is taken, without a warning.
func TestExample(t *testing.T) {
	cfg, err := Load(filepath.Join("..", "..", "examples", "stint.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if w := cfg.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %v", w)
	}
}

func TestDefaults(t *testing.T) {
	cfg, err := load(top + issuers + "rules:\n  - name: a\n    match: {repository_id: 74, ref_protected: true, x: [a, 0]}\n" + aws)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:8180" || cfg.Store != "sqlite:stint.db" || cfg.TokenLifetime != 5*time.Minute ||
		cfg.Signing != (Signing{Algorithm: "ES256", Rotate: 720 * time.Hour}) ||
		!reflect.DeepEqual(cfg.AWS, AWS{Region: "us-east-1", Audience: "sts.amazonaws.com", Timeout: 10 * time.Second}) {
		t.Errorf("defaults: %+v", cfg)
	}
	if cfg.Issuers[0].Platform != identity.GitHub || cfg.Rules[0].AWS.Duration != time.Hour {
		t.Errorf("issuer %+v, rule %+v", cfg.Issuers[0], cfg.Rules[0])
	}
	// A whole number or a boolean is the text that stands there, and the order
	// is the file's.
	var got []string
	for _, m := range cfg.Rules[0].Match {
		for _, p := range m.Patterns {
			got = append(got, m.Claim+"="+p.Value)
		}
	}
	if want := "repository_id=74 ref_protected=true x=a x=0"; strings.Join(got, " ") != want {
		t.Errorf("match is %v", got)
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct{ file, message, hint string }{
		{"issuer: §https://stint.example.com:8443\n" + issuers + "rules:\n  - name: a\n" + is74 + aws, "with a port", "443"},
		{top + issuers + "rules: §[]\n", "everything is denied", ""},
		{top + issuers + "rules:\n  - name: a\n    match: {§repositroy_id: \"74\"}\n" + aws, "GitHub sends no claim", "did you mean repository_id?"},
	} {
		file, at := marked(c.file)
		cfg, err := load(file)
		if err != nil {
			t.Errorf("%s: %v", c.message, err)
			continue
		}
		w := cfg.Warnings()
		if len(w) != 1 || w[0].Pos != at[0] || !strings.Contains(w[0].Message, c.message) || !strings.Contains(w[0].Hint, c.hint) {
			t.Errorf("expected %v %s, found %v", at[0], c.message, w)
		}
	}
	// Another platform may send what GitHub does not.
	cfg, err := load(top + issuers + "  ci:\n    url: https://ci.example.com\n    audiences: [a]\nrules:\n  - name: a\n    match: {repositroy_id: x, ref: main}\n" + aws)
	if err != nil || len(cfg.Warnings()) != 0 {
		t.Errorf("a rule for any platform: %v, %v", err, cfg)
	}
}

func TestLoadFindsFilesBesideIt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stint.yaml")
	file := top + issuers + "    jwks_file: keys.json\nrules: []\n"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Store != "sqlite:"+filepath.Join(dir, "stint.db") || cfg.Issuers[0].JWKSFile != filepath.Join(dir, "keys.json") {
		t.Errorf("store %s, keys %s", cfg.Store, cfg.Issuers[0].JWKSFile)
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// FuzzParse asserts that a problem's place lies in the file, or right behind
// its last character.
func FuzzParse(f *testing.F) {
	f.Add(top + issuers + "rules:\n  - name: a\n" + is74 + aws + "    bogus: {}\n")
	f.Add("a: [\n")
	f.Add("'a': \"\\\n b\"\n? c\n: d")
	f.Add("- >\n\n  a\n\n   b\n")
	f.Fuzz(func(t *testing.T, file string) {
		if len(file) > 4096 {
			return
		}
		_, err := load(file)
		if err == nil {
			return
		}
		var found Problems
		if !errors.As(err, &found) || len(found) == 0 {
			t.Fatalf("no problems but %v", err)
		}
		lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(file, "\r\n", "\n"), "\r", "\n"), "\n")
		for _, p := range found {
			if p.Pos.Line < 1 || p.Pos.Line > len(lines) || p.Pos.Column < 1 || p.Pos.Column > utf8.RuneCountInString(file)+1 {
				t.Errorf("%s: the file has %d lines", p, len(lines))
			}
		}
	})
}
