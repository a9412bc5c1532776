package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

var ruleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func (r *reader) rules(n ast.Node) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fail(n, "rules", "begin each rule with a dash", "expected a list, found %s", kindOf(n))
		return
	}
	if len(seq.Values) > MaxRules {
		r.fail(n, "rules", "", "expected at most %d rules, found %d", MaxRules, len(seq.Values))
		return
	}
	names := map[string]Pos{}
	for i, e := range seq.Values {
		rule := r.rule(e, fmt.Sprintf("rules[%d]", i))
		if first, twice := names[rule.Name]; twice && rule.Name != "" {
			r.failAt(rule.Pos, fmt.Sprintf("rules[%d]", i), "records and explanations name rules, so each name stands once",
				"the rule %q stands twice, first in line %d", rule.Name, first.Line)
		}
		names[rule.Name] = rule.Pos
		r.cfg.Rules = append(r.cfg.Rules, rule)
	}
	if len(seq.Values) == 0 {
		r.warn(pos(n), "rules", "", "there are no rules: everything is denied")
	}
}

func (r *reader) rule(n ast.Node, path string) Rule {
	rule := Rule{Pos: pos(n)}
	var awsNode ast.Node
	var issuers []Text
	missing := r.mapping(n, path, map[string]func(ast.Node){
		"name": func(n ast.Node) {
			t, ok := r.text(n, path+".name")
			if ok && !ruleName.MatchString(t.Value) {
				r.fail(n, path+".name", "", "expected a name of letters, digits, _, . and -, at most 64 characters, found %q", t.Value)
			}
			rule.Name, rule.Pos = t.Value, pos(n)
		},
		"effect": func(n ast.Node) { rule.Deny = r.choice(n, path+".effect", "allow", "deny") == "deny" },
		"issuer": func(n ast.Node) {
			issuers = r.oneOrMore(n, path+".issuer")
			for _, t := range issuers {
				rule.Issuers = append(rule.Issuers, t.Value)
			}
		},
		"match": func(n ast.Node) { rule.Match = r.matches(n, path+".match") },
		"when": func(n ast.Node) {
			t, ok := r.text(n, path+".when")
			if ok && strings.TrimSpace(t.Value) == "" {
				r.fail(n, path+".when", "", "the expression is empty")
			}
			rule.When = t
		},
		"audiences": func(n ast.Node) { rule.Audiences = r.oneOrMore(n, path+".audiences") },
		"aws":       func(n ast.Node) { awsNode = n; rule.AWS = r.ruleAWS(n, path+".aws") },
	})
	r.issuersOf = append(r.issuersOf, issuers)
	if missing("name") {
		r.failAt(rule.Pos, path, "add name: with a word that tells the rules apart", "the rule has no name")
	}
	switch {
	case rule.Deny && (awsNode != nil || rule.Audiences != nil):
		r.failAt(rule.Pos, path, "leave aws and audiences out", "a deny rule gives nothing")
	case !rule.Deny && missing("aws"):
		r.failAt(rule.Pos, path, `add aws: {roles: ["arn:aws:iam::111111111111:role/NAME"]}`, "an allow rule without roles gives nothing")
	}
	if missing("match") && missing("when") {
		r.failAt(rule.Pos, path, "add match: with the claims that the rule is for", "a rule without match and when is for everybody")
	}
	return rule
}

// ruleIssuers checks the issuers that rules name, once all are known.
func (r *reader) ruleIssuers() {
	var names []string
	for _, i := range r.cfg.Issuers {
		names = append(names, i.Name)
	}
	for i, rule := range r.cfg.Rules {
		if r.full() {
			return
		}
		r.suspectClaims(rule, fmt.Sprintf("rules[%d]", i))
		r.deadValues(rule, fmt.Sprintf("rules[%d]", i))
		for _, t := range r.issuersOf[i] {
			name := t.Value
			if slices.Contains(names, name) || r.full() {
				continue
			}
			hint := "configured are: " + strings.Join(names, ", ")
			if near := nearest(name, names); near != "" {
				hint = "did you mean " + near + "?"
			}
			r.failAt(t.Pos, fmt.Sprintf("rules[%d].issuer", i), hint, "the rule %q names the issuer %q, which is not configured", rule.Name, name)
		}
	}
}

// RoleARN takes a role's ARN apart: before the role's path and name, and that.
var RoleARN = regexp.MustCompile(`^(arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/)((?:[\x21-\x7e]{1,510}/)?[A-Za-z0-9_+=,.@-]{1,64})$`)

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func (r *reader) ruleAWS(n ast.Node, path string) RuleAWS {
	a := RuleAWS{Duration: defaultDuration, Via: WebIdentity}
	missing := r.mapping(n, path, map[string]func(ast.Node){
		"roles": func(n ast.Node) {
			a.Roles = r.oneOrMore(n, path+".roles")
			for _, t := range a.Roles {
				r.role(t, path+".roles")
			}
		},
		"via": func(n ast.Node) {
			a.Via, a.ViaPos = r.choice(n, path+".via", WebIdentity, AssumeRole), pos(n)
		},
		"external_id": func(n ast.Node) {
			t, ok := r.text(n, path+".external_id")
			if size := len(t.Value); ok && (size < 2 || size > 1224 || !externalID.MatchString(t.Value)) {
				r.fail(n, path+".external_id", "", "expected 2 to 1224 letters, digits and _+=,.@:/-, found %q", t.Value)
			}
			a.ExternalID = t
		},
		"chain": func(n ast.Node) {
			r.mapping(n, path+".chain", map[string]func(ast.Node){
				"tags": func(n ast.Node) { a.Chain = r.oneOrMore(n, path+".chain.tags") },
			})
		},
		"duration":        func(n ast.Node) { a.Duration = r.duration(n, path+".duration", minSession, maxSession) },
		"session_name":    func(n ast.Node) { a.SessionName = r.template(n, path+".session_name", ParseTemplate) },
		"tags":            func(n ast.Node) { a.Tags = r.tags(n, path+".tags") },
		"transitive":      func(n ast.Node) { a.Transitive = r.oneOrMore(n, path+".transitive") },
		"source_identity": func(n ast.Node) { a.SourceIdentity = r.template(n, path+".source_identity", ClaimOrTemplate) },
	})
	if missing("roles") {
		r.fail(n, path, `add roles: ["arn:aws:iam::111111111111:role/NAME"]`, "an allow rule without roles gives nothing")
	}
	r.via(&a, path)
	return a
}

// externalID is what sts:AssumeRole takes for ExternalId.
var externalID = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]+$`)

// role checks an ARN. Only behind :role/ may a claim stand, and nothing may be
// a wildcard: a role is named, never searched.
func (r *reader) role(t Text, path string) {
	const hint = `write it as arn:aws:iam::111111111111:role/NAME; {claim} may stand behind role/`
	if _, err := ParseTemplate(t.Value); err != nil {
		r.failAt(t.Pos, path, hint, "%s", err)
		return
	}
	switch {
	case strings.ContainsAny(t.Value, "*?"):
		r.failAt(t.Pos, path, "name each role, or use {claim}", "a role must not hold a wildcard, found %q", t.Value)
	case !RoleARN.MatchString(placeholder.ReplaceAllString(t.Value, "x")),
		strings.Contains(beforeRole(t.Value), "{"), len(t.Value) > 2048:
		r.failAt(t.Pos, path, hint, "expected the ARN of a role, found %q", t.Value)
	}
}

func beforeRole(arn string) string {
	before, _, _ := strings.Cut(arn, ":role/")
	return before
}

func (r *reader) template(n ast.Node, path string, parse func(string) (Template, error)) Text {
	t, ok := r.text(n, path)
	if !ok {
		return Text{}
	}
	if _, err := parse(t.Value); err != nil {
		r.fail(n, path, "write {claim} for a claim's value, such as {repository_name}-{run_id}", "%s", err)
	}
	if t.Value == "" {
		r.fail(n, path, "", "the text is empty")
	}
	return t
}

const (
	maxTags   = 50
	maxTagKey = 128
)

var tagKey = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$`)

// tags reads session tags: key to claim, or a list of claims.
func (r *reader) tags(n ast.Node, path string) []Tag {
	if _, ok := n.(*ast.SequenceNode); ok {
		return r.listedTags(n, path)
	}
	var all []Tag
	for _, e := range r.entries(n, path) {
		at := join(path, e.key)
		if e.value == nil {
			r.failAt(e.pos, at, "name the claim", "the value is empty")
			continue
		}
		tag := Tag{Key: e.key, Pos: e.pos}
		switch e.value.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			missing := r.mapping(e.value, at, map[string]func(ast.Node){
				"claim":    func(n ast.Node) { tag.Source = r.template(n, at+".claim", ClaimOrTemplate) },
				"required": func(n ast.Node) { tag.Required = r.boolean(n, at+".required") },
				"encode":   func(n ast.Node) { tag.Encode = r.boolean(n, at+".encode") },
				"drop":     func(n ast.Node) { tag.Drop = r.drop(n, at+".drop") },
			})
			if missing("claim") {
				r.failAt(e.pos, at, "add claim:", "the tag names no claim")
			}
			if tag.Required && tag.Drop > 0 {
				r.failAt(e.pos, at, "keep one of them", "a required tag is never dropped")
			}
		default:
			tag.Source = r.template(e.value, at, ClaimOrTemplate)
		}
		all = append(all, tag)
	}
	return all
}

// drop reads a tag's place in the order in which tags are dropped.
func (r *reader) drop(n ast.Node, path string) int {
	t, ok := r.text(n, path)
	number, err := strconv.Atoi(t.Value)
	if ok && (err != nil || number < 1 || number > maxTags) {
		r.fail(n, path, "1 is dropped first", "expected a number from 1 to %d, found %q", maxTags, t.Value)
	}
	return number
}

// Session bounds, for those who check what a request asks for.
const (
	MinSession = minSession
	MaxSession = maxSession
	// MaxChained is the longest session that a role's session can make.
	MaxChained = time.Hour
)
