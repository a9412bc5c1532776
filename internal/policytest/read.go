package policytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/source"
)

// Parse reads a file of tests strictly: what it does not know is an error. All
// mistakes are found at once; each is a *source.Error.
func Parse(name string, data []byte) (*File, error) {
	if len(data) > MaxFile {
		return nil, &source.Error{Position: source.Position{File: name}, Message: fmt.Sprintf("expected at most %d bytes", MaxFile)}
	}
	docs, err := source.ParseYAML(name, data, nil)
	if err != nil {
		return nil, err
	}
	start := source.Position{File: name, Line: 1, Column: 1}
	if len(docs) != 1 {
		return nil, &source.Error{Position: start, Message: fmt.Sprintf("expected one document with tests, found %d", len(docs))}
	}
	r := &reader{file: &File{Name: name}}
	r.read(docs[0])
	return r.file, errors.Join(r.errs...)
}

const maxProblems = 50

// reader takes a file apart and collects the mistakes.
type reader struct {
	file *File
	errs []error
}

func (r *reader) fail(at source.Position, format string, args ...any) {
	if len(r.errs) < maxProblems {
		r.errs = append(r.errs, &source.Error{Position: at, Message: fmt.Sprintf(format, args...)})
	}
}

// fields calls the reader of each member of an object. Members without a
// reader are a mistake.
func (r *reader) fields(n *source.Node, path string, known map[string]func(*source.Node)) {
	if n.Kind != source.KindMap {
		r.fail(n.Position, "%s: expected keys with values, found %s", path, n.Kind)
		return
	}
	for _, f := range n.Fields {
		read, ok := known[f.Name]
		if !ok {
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			r.fail(f.Key.Position, "%s: unknown key %.64q; known here: %s", path, f.Name, strings.Join(names, ", "))
			continue
		}
		read(f.Value)
	}
}

func (r *reader) read(n *source.Node) {
	f := r.file
	r.fields(n, "the file", map[string]func(*source.Node){
		"config": r.text("config", &f.Config),
		"roles":  r.texts("roles", &f.Roles),
		"jobs":   r.jobs,
		"tests":  r.tests,
	})
	if len(f.Tests) == 0 && len(r.errs) == 0 && len(f.Jobs) == 0 {
		r.fail(n.Position, "expected jobs and tests, found neither")
	}
	cases := 0
	for _, t := range f.Tests {
		cases += len(t.Jobs)
		for _, name := range t.Jobs {
			if !slices.ContainsFunc(f.Jobs, func(j Job) bool { return j.Name == name }) {
				r.fail(t.Position, "test %.64q: there is no job %.64q; write it under jobs", t.Name, name)
			}
		}
		if t.Policy == "" && f.Config == "" {
			r.fail(t.Position, "test %.64q: expected the trust policy in policy, or the broker's configuration in config at the top of the file, found neither", t.Name)
		}
	}
	if cases > maxCases {
		r.fail(n.Position, "expected at most %d tests times jobs, found %d", maxCases, cases)
	}
}

func (r *reader) jobs(n *source.Node) {
	if n.Kind != source.KindMap {
		r.fail(n.Position, "jobs: expected names with jobs, found %s", n.Kind)
		return
	}
	if len(n.Fields) > maxJobs {
		r.fail(n.Position, "jobs: expected at most %d, found %d", maxJobs, len(n.Fields))
		return
	}
	for _, field := range n.Fields {
		j := Job{Name: field.Name, Position: field.Key.Position}
		path := fmt.Sprintf("job %.64q", j.Name)
		r.fields(field.Value, path, map[string]func(*source.Node){
			"like":  r.text(path+": like", &j.Like),
			"token": r.text(path+": token", &j.TokenFile),
			"with":  func(n *source.Node) { j.With = r.object(n, path+": with") },
			"claims": func(n *source.Node) {
				if n.Kind == source.KindString {
					r.text(path+": claims", &j.ClaimsFile)(n)
					return
				}
				j.Claims = r.object(n, path+": claims")
			},
		})
		r.checkJob(&j, path)
		r.file.Jobs = append(r.file.Jobs, j)
	}
}

func (r *reader) checkJob(j *Job, path string) {
	sources := 0
	for _, given := range []bool{j.Like != "", j.Claims != nil, j.ClaimsFile != "", j.TokenFile != ""} {
		if given {
			sources++
		}
	}
	if sources != 1 {
		r.fail(j.Position, "%s: expected one of like, claims and token, found %d of them", path, sources)
		return
	}
	if j.Like != "" && !slices.Contains(Presets(), j.Like) {
		r.fail(j.Position, "%s: unknown preset %.64q; there are: %s", path, j.Like, strings.Join(Presets(), ", "))
		return
	}
	if j.Like != "" {
		if _, err := preset(j.Like, j.With); err != nil {
			r.fail(j.Position, "%s: %s", path, err)
		}
	}
}

func (r *reader) tests(n *source.Node) {
	if n.Kind != source.KindList {
		r.fail(n.Position, "tests: expected a list, found %s", n.Kind)
		return
	}
	if len(n.Items) > maxTests {
		r.fail(n.Position, "tests: expected at most %d, found %d", maxTests, len(n.Items))
		return
	}
	names := map[string]bool{}
	for i, item := range n.Items {
		t := Test{Position: item.Position}
		path := fmt.Sprintf("tests[%d]", i)
		expected := false
		r.fields(item, path, map[string]func(*source.Node){
			"name":  r.text(path+".name", &t.Name),
			"job":   r.texts(path+".job", &t.Jobs),
			"pool":  r.text(path+".pool", &t.Pool),
			"basic": func(n *source.Node) { t.Basic = r.boolean(n, path+".basic") },
			"role": func(n *source.Node) {
				r.text(path+".role", &t.Role)(n)
				if !strings.HasPrefix(t.Role, "arn:") || !strings.Contains(t.Role, ":role/") {
					r.fail(n.Position, "%s.role: expected the ARN of a role, found %.64q", path, t.Role)
				}
			},
			"audience": r.text(path+".audience", &t.Audience),
			"duration": r.duration(path+".duration", func(d time.Duration) { t.Duration = d }),
			"time":     r.time(path+".time", &t.Time),
			"policy": func(n *source.Node) {
				if r.text(path+".policy", &t.Policy)(n); t.Policy == "" {
					r.fail(n.Position, "%s.policy: expected the file of a trust policy, found nothing", path)
				}
			},
			"provider":     r.text(path+".provider", &t.Provider),
			"session_name": r.text(path+".session_name", &t.SessionName),
			"expect": func(n *source.Node) {
				expected = true
				r.expect(n, path+".expect", &t.Expect)
			},
		})
		if item.Kind != source.KindMap {
			continue
		}
		switch {
		case t.Name == "":
			r.fail(item.Position, "%s: expected a name", path)
		case names[t.Name]:
			r.fail(item.Position, "%s: the name %.64q stands twice", path, t.Name)
		}
		names[t.Name] = true
		if len(t.Jobs) == 0 {
			r.fail(item.Position, "%s: expected a job", path)
		}
		if !expected {
			r.fail(item.Position, "%s: expected expect: allow or deny, or more of it", path)
		}
		r.checkTest(&t, path)
		r.file.Tests = append(r.file.Tests, t)
	}
}

// checkTest refuses expectations that no decision could ever meet or fail, so
// that no test passes for want of looking.
func (r *reader) checkTest(t *Test, path string) {
	e := t.Expect
	granted := e.Role != nil || e.Audience != nil || e.Subject != nil || e.SessionName != nil || e.SourceIdentity != nil ||
		e.Duration != nil || e.Tags != nil || e.Transitive != nil
	switch {
	case t.Policy != "" && (granted || e.Rule != nil || e.Reason != "" || e.By == ByRules):
		r.fail(t.Position, "%s: with policy there is no broker: expected only decision and cause in expect", path)
	case t.Policy != "" && t.Pool != "":
		r.fail(t.Position, "%s: expected policy or pool, found both", path)
	case t.Basic && t.Pool == "":
		r.fail(t.Position, "%s: basic goes with pool only", path)
	case t.Basic && t.Role != "":
		r.fail(t.Position, "%s: in the basic flow no role is asked for", path)
	case t.Policy == "" && (t.Provider != "" || t.SessionName != ""):
		r.fail(t.Position, "%s: provider and session_name go with policy only: the rules make them", path)
	case t.Policy != "" && t.Duration != 0:
		r.fail(t.Position, "%s: duration does not go with policy: no trust policy sees it", path)
	case e.Decision == Deny && granted:
		r.fail(t.Position, "%s: a denied job has no session: expected no role, tags or other parts of one", path)
	case e.Decision == Allow && (e.By != "" || e.Reason != "" || e.Cause != ""):
		r.fail(t.Position, "%s: by, reason and cause go with decision: deny", path)
	case e.By == ByTrust && e.Reason != "":
		r.fail(t.Position, "%s: reason is of a denial by the rules; a trust policy's has a cause", path)
	}
}

func (r *reader) expect(n *source.Node, path string, e *Expect) {
	word := func(path string, to *string, words ...string) func(*source.Node) {
		return func(n *source.Node) {
			r.text(path, to)(n)
			if !slices.Contains(words, *to) {
				r.fail(n.Position, "%s: expected %s, found %.64q", path, strings.Join(words, ", "), *to)
			}
		}
	}
	decision := word(path+".decision", &e.Decision, Allow, Deny)
	if n.Kind == source.KindString {
		decision(n)
		return
	}
	optional := func(path string, to **string) func(*source.Node) {
		return func(n *source.Node) {
			var s string
			r.text(path, &s)(n)
			*to = &s
		}
	}
	r.fields(n, path, map[string]func(*source.Node){
		"decision":        decision,
		"by":              word(path+".by", &e.By, ByRules, ByTrust),
		"rule":            optional(path+".rule", &e.Rule),
		"reason":          word(path+".reason", &e.Reason, reasons()...),
		"cause":           word(path+".cause", &e.Cause, causes()...),
		"role":            optional(path+".role", &e.Role),
		"audience":        optional(path+".audience", &e.Audience),
		"subject":         optional(path+".subject", &e.Subject),
		"session_name":    optional(path+".session_name", &e.SessionName),
		"source_identity": optional(path+".source_identity", &e.SourceIdentity),
		"duration":        r.duration(path+".duration", func(d time.Duration) { e.Duration = &d }),
		"tags":            func(n *source.Node) { e.Tags = r.tags(n, path+".tags") },
		"transitive": func(n *source.Node) {
			list := []string{}
			r.texts(path+".transitive", &list)(n)
			e.Transitive = &list
		},
	})
	if n.Kind == source.KindMap && len(n.Fields) == 0 {
		r.fail(n.Position, "%s: expected something to look at, found nothing", path)
	}
	if e.Decision == "" {
		// Whoever expects a session expects to be let in, and whoever
		// expects a reason, to be denied.
		e.Decision = Allow
		if e.By != "" || e.Reason != "" || e.Cause != "" {
			e.Decision = Deny
		}
	}
}

func reasons() []string {
	var out []string
	for _, reason := range []rules.Reason{rules.NoRuleMatched, rules.DenyRule, rules.RoleNotListed, rules.AudienceRefused, rules.SessionInvalid, rules.SessionTooLarge, rules.NotByToken} {
		out = append(out, string(reason))
	}
	return out
}

func causes() []string {
	var out []string
	for _, k := range explain.Kinds() {
		out = append(out, string(k))
	}
	return out
}

func (r *reader) tags(n *source.Node, path string) map[string]*string {
	if n.Kind != source.KindMap {
		r.fail(n.Position, "%s: expected keys with values, found %s", path, n.Kind)
		return nil
	}
	if len(n.Fields) == 0 {
		r.fail(n.Position, "%s: expected tags, found none; TAG: null says that the session must not have one", path)
	}
	tags := map[string]*string{}
	for _, f := range n.Fields {
		if f.Value.Kind == source.KindNull {
			tags[f.Name] = nil
			continue
		}
		var s string
		r.text(path+"."+f.Name, &s)(f.Value)
		tags[f.Name] = &s
	}
	return tags
}

func (r *reader) text(path string, to *string) func(*source.Node) {
	return func(n *source.Node) {
		switch n.Kind {
		case source.KindString, source.KindNumber, source.KindBool:
			*to, _ = n.Text.Known()
		default:
			r.fail(n.Position, "%s: expected text, found %s", path, n.Kind)
		}
	}
}

func (r *reader) texts(path string, to *[]string) func(*source.Node) {
	return func(n *source.Node) {
		for _, item := range n.List() {
			var s string
			r.text(path, &s)(item)
			*to = append(*to, s)
		}
	}
}

func (r *reader) boolean(n *source.Node, path string) bool {
	text, _ := n.Text.Known()
	if n.Kind != source.KindBool {
		r.fail(n.Position, "%s: expected true or false, found %s", path, n.Kind)
	}
	return text == "true"
}

func (r *reader) duration(path string, set func(time.Duration)) func(*source.Node) {
	return func(n *source.Node) {
		var s string
		r.text(path, &s)(n)
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			r.fail(n.Position, "%s: expected a duration such as 30m or 1h, found %.64q", path, s)
			return
		}
		set(d)
	}
}

func (r *reader) time(path string, to *time.Time) func(*source.Node) {
	return func(n *source.Node) {
		var s string
		r.text(path, &s)(n)
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			r.fail(n.Position, "%s: expected a time such as 2026-11-23T10:00:00Z, found %.64q", path, s)
			return
		}
		*to = t
	}
}

// object is the claims that an object holds. Numbers keep their digits.
func (r *reader) object(n *source.Node, path string) map[string]any {
	if n.Kind != source.KindMap {
		r.fail(n.Position, "%s: expected claims with values, found %s", path, n.Kind)
		return nil
	}
	out := make(map[string]any, len(n.Fields))
	for _, f := range n.Fields {
		out[f.Name] = r.value(f.Value, path+"."+f.Name)
	}
	return out
}

func (r *reader) value(n *source.Node, path string) any {
	text, _ := n.Text.Known()
	switch n.Kind {
	case source.KindNull:
		return nil
	case source.KindString:
		return text
	case source.KindNumber:
		return json.Number(text)
	case source.KindBool:
		return text == "true"
	case source.KindList:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = r.value(item, path)
		}
		return list
	case source.KindMap:
		return r.object(n, path)
	}
	r.fail(n.Position, "%s: expected a value, found %s", path, n.Kind)
	return nil
}
