package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestHostileIsBounded: files that YAML readers, this package's own walks
// included, would chew on for minutes are refused by the bound that they break.
func TestHostileIsBounded(t *testing.T) {
	for _, c := range []struct{ repeated, message string }{
		{"-\n", "empty values"}, {"- a:\n", "empty values"}, {"- -\n", "empty values"}, {"- #x\n", "empty values"},
		{"- {a}\n", "empty values"}, {"- {'a'}\n", "empty values"}, {"- {a:}\n", "empty values"}, {"- a: {b}\n", "empty values"},
		{"- {a: b, c}\n", "empty values"},
		{"? a\n", "question mark"}, {"- {? a}\n", "question mark"}, {"---\n- a\n", "a second document"},
		{"a: ", "nested deeper"}, {": ", "nested deeper"}, {"- a\n", "expected keys with values"},
	} {
		t.Run(c.repeated, func(t *testing.T) {
			_, err := load(strings.Repeat(c.repeated, 100_000/len(c.repeated)))
			if p := problems(t, err); !strings.Contains(p.Error(), c.message) {
				t.Errorf("expected %q, found %.300s", c.message, p)
			}
		})
	}
	// A bracket too many does not pay for one that is opened later.
	if p := problems(t, second(load(top+"rules: "+strings.Repeat("]", 1000)+strings.Repeat("[", 1000)))); !strings.Contains(p.Error(), "nested deeper") {
		t.Errorf("found %.300s", p)
	}
}

func second(_ *Config, err error) error { return err }

// TestReadAsItLooks: what another YAML reader, or a reviewer, would take for
// something else is refused at its place.
func TestReadAsItLooks(t *testing.T) {
	rule := func(value string) string {
		return top + issuers + "rules:\n  - name: a\n    match: {x: " + value + "}\n" + aws
	}
	for _, c := range []struct{ name, file, message string }{
		{"tab in a plain text", top + issuers + "rules:\n  - name: a\n    match:\n      x: §a\tb\n" + aws, "a tab stands in a text without quotes"},
		{"tab in a plain key", top + issuers + "rules:\n  - name: a\n    match:\n      §a\tb: c\n" + aws, "a tab stands in a text without quotes"},
		{"right to left", rule("\"a§\u202eb\""), "U+202E"},
		{"isolate in a comment", top + "# §\u2066\n" + issuers + "rules: []\n", "U+2066"},
		{"no width", rule("a§\u200bb"), "U+200B"},
		{"next line", rule("a§\u0085b"), "U+0085"},
		{"line separator", rule("a§\u2028b"), "U+2028"},
		{"carriage return alone", rule("a§\rb"), "U+000D"},
		{"escape", rule("a§\x1bb"), "U+001B"},
		{"byte order mark inside", rule("a§\ufeffb"), "U+FEFF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, at := marked(c.file)
			_, err := load(file)
			if p := problems(t, err); len(p) != 1 || p[0].Pos != at[0] || !strings.Contains(p[0].Message, c.message) {
				t.Errorf("expected %v: %q, found %s", at[0], c.message, p)
			}
		})
	}
	// Escaped, they are visible, and allowed where they do no harm.
	for written, want := range map[string]string{
		`"a\tb"`: "a\tb", "'a\tb'": "a\tb", `"a\u200bb"`: "a\u200bb", `"\ud83d\ude00"`: "\U0001f600", "a # b": "a", "a#b": "a#b",
		"yes": "yes", "22:22": "22:22", "2026-01-01": "2026-01-01", "'0x10'": "0x10",
	} {
		for _, file := range []string{rule("\n      " + written + "\n      "), "\ufeff" + strings.ReplaceAll(rule("\n      "+written+"\n      "), "\n", "\r\n")} {
			cfg, err := load(file)
			if err != nil {
				t.Errorf("%s: %v", written, err)
				continue
			}
			if got := cfg.Rules[0].Match[0].Patterns[0].Value; got != want {
				t.Errorf("%s is read as %q", written, got)
			}
		}
	}
	// The end of a line is no part of a folded text, however lines end.
	cfg, err := load(strings.ReplaceAll(rule("\"a\n      b\""), "\n", "\r\n"))
	if err != nil || cfg.Rules[0].Match[0].Patterns[0].Value != "a b" {
		t.Errorf("%v, %v", cfg, err)
	}
}

// TestNothingOfAFileReachesALog: keys and values are shown escaped, since a
// terminal or a CI system's log takes some characters for commands.
func TestNothingOfAFileReachesALog(t *testing.T) {
	_, err := load(top + issuers + "\"\\n::stop-commands::x\\e[31m\": {}\nrules:\n  - name: a\n    match: {\"a\\n::error::x\": b}\n    aws:\n" +
		"      roles: [\"\\e[31m\"]\n      tags: {\"a\\n::error::x\\e[31m\": ref}\n")
	for _, p := range problems(t, err) {
		if strings.ContainsAny(p.String()+p.Hint, "\n\x1b") {
			t.Errorf("found %q", p.String()+p.Hint)
		}
	}
}

// TestDeadDenyRules: a deny rule that waits for what no token has protects
// nothing, and its author believes that it does.
func TestDeadDenyRules(t *testing.T) {
	for _, m := range []string{`from_fork: §"true"`, `from_fork: §true`, `subject_form: §id`} {
		file, at := marked(top + issuers + "rules:\n  - name: a\n    effect: deny\n    match: {" + m + "}\n")
		_, err := load(file)
		if p := problems(t, err); len(p) != 1 || p[0].Pos != at[0] || !strings.Contains(p[0].Message, "never matches") {
			t.Errorf("%s: %v", m, p)
		}
	}
	for _, m := range []string{`from_fork: "false"`, `subject_form: [ids, names]`} {
		if _, err := load(top + issuers + "rules:\n  - name: a\n    match: {" + m + "}\n" + aws); err != nil {
			t.Errorf("%s: %v", m, err)
		}
	}
	// GitLab does say true.
	if _, err := load(top + "issuers:\n  gl:\n    url: https://gitlab.com\n    audiences: [a]\n    only: {namespace_id: \"1\"}\nrules:\n  - name: a\n    effect: deny\n    match: {from_fork: \"true\"}\n"); err != nil {
		t.Error(err)
	}
}

// TestOnlyThatSaysNothing: an issuer of an unknown platform that signs for
// everybody is not narrowed by what all its tokens say.
func TestOnlyThatSaysNothing(t *testing.T) {
	shared := func(only string) string {
		return top + "issuers:\n  x:\n    url: https://app.terraform.io\n    audiences: [a]\n    only: " + only + "\nrules: []\n"
	}
	for _, only := range []string{"{§iss: https://app.terraform.io}", "{§aud: a}", "{§aud: a, iss: https://app.terraform.io}"} {
		file, at := marked(shared(only))
		_, err := load(file)
		if p := problems(t, err); p[0].Pos != at[0] || !strings.Contains(p[0].Message, "names a tenant") {
			t.Errorf("%s: %v", only, p)
		}
	}
	if _, err := load(shared("{aud: a, terraform_organization_id: org-1}")); err != nil {
		t.Error(err)
	}
}

// TestGood: every key is taken, and means what it says.
func TestGood(t *testing.T) {
	cfg, err := load(`issuer: https://stint.example.com/base
listen: ":8180"
store: sqlite:/var/lib/stint.db
token_lifetime: 15m
signing: {algorithm: RS256, rotate: 24h}
aws: {region: us-gov-west-1, endpoint: https://vpce.example.com, audience: aud, timeout: 1m}
issuers:
  gh:
    url: https://token.actions.githubusercontent.com
    audiences: a
    only: {repository_owner_id: [65, "66"], repository: octo-org/*}
    jwks_file: /keys.json
  ci:
    url: http://127.0.0.1:9000
    audiences: [a, b]
    jwks_url: http://127.0.0.1:9000/keys
    platform: gitlab
rules:
  - name: full.rule_1
    effect: allow
    issuer: [gh, ci]
    match: {ref: [refs/heads/main, "refs/tags/v*"]}
    when: |
      claims.actor_id != "7"
    audiences: ["https://*"]
    aws:
      roles: ["arn:aws-us-gov:iam::111111111111:role/ci/{repository_name}", arn:aws:iam::111111111111:role/b]
      duration: 12h
      session_name: "{repository_name}-{run_id}"
      tags:
        "a b": ref
        c: {claim: "{a}/{b}", required: true, encode: true}
      transitive: [c, "a b"]
      source_identity: actor_id
  - {name: d, effect: deny, issuer: ci, when: "true"}
`)
	if err != nil {
		t.Fatal(err)
	}
	r := cfg.Rules[0]
	got := fmt.Sprintf("%s %s %s %s %v %v | %v %v %s %s | %s %v %v %q %d %d | %v %v %v %v %v | %v %v",
		cfg.Issuer, cfg.Listen, cfg.Store, cfg.TokenLifetime, cfg.Signing, cfg.AWS,
		cfg.Issuers[0].Audiences, cfg.Issuers[1].Audiences, cfg.Issuers[1].Platform, cfg.Issuers[0].JWKSFile,
		r.Name, r.Deny, r.Issuers, r.When.Value, len(r.Match), len(r.Audiences),
		len(r.AWS.Roles), r.AWS.Duration, r.AWS.Tags[1].Required && r.AWS.Tags[1].Encode && !r.AWS.Tags[0].Required, r.AWS.Transitive[0].Value, r.AWS.SourceIdentity.Value,
		cfg.Rules[1].Deny, cfg.Rules[1].Issuers)
	const want = `https://stint.example.com/base :8180 sqlite:/var/lib/stint.db 15m0s {RS256 24h0m0s} {us-gov-west-1 https://vpce.example.com aud 1m0s { map[] []} []} | ` +
		`[a] [a b] gitlab /keys.json | full.rule_1 false [gh ci] "claims.actor_id != \"7\"" 1 1 | 2 12h0m0s true c actor_id | true [ci]`
	if got != want {
		t.Errorf("expected %s\nfound    %s", want, got)
	}
	trusted := cfg.Trusted()
	if len(trusted) != 2 || len(trusted[0].Only) != 2 || !trusted[0].Only[0].Patterns[1].Match("66") || trusted[1].URL != "http://127.0.0.1:9000" {
		t.Errorf("trusted %+v", trusted)
	}
}

func TestNeedsRestart(t *testing.T) {
	parse := func(extra string) *Config {
		cfg, err := load(top + issuers + extra)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	old := parse("rules: []\n")
	for extra, want := range map[string]string{
		"rules: []\n":                                          "[]",
		"rules:\n  - name: a\n" + is74 + aws:                   "[]",
		"rules: []\nlisten: :1\n":                              "[listen]",
		"rules: []\nsigning: {rotate: 25h}\nstore: sqlite:x\n": "[signing store]",
		"rules: []\naws: {timeout: 1s}\ntoken_lifetime: 1m\n":  "[aws token_lifetime]",
	} {
		if got := fmt.Sprint(old.NeedsRestart(parse(extra))); got != want {
			t.Errorf("%q: expected %s, found %s", extra, want, got)
		}
	}
}

// FuzzParseIsSound asserts that each problem's place lies in its line of the
// file, that none of its text is invisible, and that a file that is taken
// grants by name only: every role is an ARN whichever claims are put in.
func FuzzParseIsSound(f *testing.F) {
	f.Add(top + issuers + "rules:\n  - name: a\n" + is74 + aws)
	f.Add(top + issuers + "rules:\n  - name: a\n    match: {a: [b, '*', 1]}\n    aws: {roles: 'arn:aws:iam::111111111111:role/{a}/x{b}', tags: {a: b}, transitive: a}\n")
	f.Add("a: {b, c: }\n-\n--- |\n\t? {[\"\\\n\"")
	f.Fuzz(func(t *testing.T, file string) {
		if len(file) > 4096 {
			return
		}
		cfg, err := load(file)
		var found Problems
		if err != nil && (!errors.As(err, &found) || len(found) == 0) {
			t.Fatalf("no problems but %v", err)
		}
		lines := strings.Split(strings.ReplaceAll(strings.TrimPrefix(file, "\ufeff"), "\r\n", "\n"), "\n")
		for _, p := range found {
			if p.Pos.Line < 1 || p.Pos.Line > len(lines) || p.Pos.Column < 1 || p.Pos.Column > utf8.RuneCountInString(lines[p.Pos.Line-1])+1 {
				t.Errorf("%s: not in the file", p)
			}
			if strings.ContainsFunc(p.String()+p.Hint, hidden) {
				t.Errorf("%q", p)
			}
		}
		if err != nil {
			return
		}
		for _, r := range cfg.Rules {
			if !r.Deny && len(r.AWS.Roles) == 0 {
				t.Errorf("the rule %s has no role", r.Name)
			}
			for _, role := range r.AWS.Roles {
				parsed, err := ParseTemplate(role.Value)
				if err != nil {
					t.Fatalf("%s: %v", role.Value, err)
				}
				arn, _ := parsed.Expand(func(string) (string, error) { return "x", nil })
				if !RoleARN.MatchString(arn) || strings.ContainsAny(arn, "*?{}") {
					t.Errorf("the role %q", arn)
				}
			}
		}
	})
}
