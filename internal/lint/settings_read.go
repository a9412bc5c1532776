package lint

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	yamltoken "github.com/goccy/go-yaml/token"

	"github.com/stint-dev/stint/internal/source"
)

// The bounds of a stint-lint.yaml. The YAML parser needs time and memory far
// beyond the size of a file that is nested deeply within one line.
const (
	maxSettings = 64 << 10
	maxNested   = 8
	maxMistakes = 20
)

// ParseSettings reads the content of a stint-lint.yaml. The name stands for it
// in messages. It is strict: what it does not know, it refuses. The error joins
// a *source.Error for each mistake.
func ParseSettings(name string, data []byte) (*Settings, error) {
	r := &settingsReader{file: name, settings: &Settings{Severity: map[string]Level{}}, rules: map[string]bool{}}
	for _, rule := range Rules() {
		r.rules[rule.ID] = true
	}
	if body := r.parse(data); body != nil {
		r.mapping(body, "a stint-lint.yaml", map[string]func(ast.Node){"ignore": r.ignores, "severity": r.severities})
	}
	if len(r.mistakes) > 0 {
		return nil, errors.Join(r.mistakes...)
	}
	return r.settings, nil
}

type settingsReader struct {
	file     string
	settings *Settings
	rules    map[string]bool
	mistakes []error
}

func (r *settingsReader) at(t *yamltoken.Token) source.Position {
	p := source.Position{File: r.file, Line: 1, Column: 1}
	if t != nil && t.Position != nil {
		p.Line, p.Column = max(t.Position.Line, 1), max(t.Position.Column, 1)
	}
	return p
}

func (r *settingsReader) wrong(t *yamltoken.Token, format string, args ...any) {
	r.wrongAt(r.at(t), format, args...)
}

func (r *settingsReader) wrongAt(at source.Position, format string, args ...any) {
	if len(r.mistakes) < maxMistakes {
		r.mistakes = append(r.mistakes, &source.Error{Position: at, Message: fmt.Sprintf(format, args...)})
	}
}

func (r *settingsReader) parse(data []byte) ast.Node {
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	switch {
	case len(data) > maxSettings:
		r.wrong(nil, "expected a file of at most %d bytes", maxSettings)
		return nil
	case !utf8.ValidString(text):
		r.wrong(nil, "the file is not valid UTF-8")
		return nil
	}
	tokens := lexer.Tokenize(text)
	if r.hostile(tokens); len(r.mistakes) > 0 {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			r.wrong(syntax.GetToken(), "not YAML: %s", syntax.GetMessage())
		} else {
			r.wrong(nil, "not YAML: %s", err)
		}
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			r.wrong(doc.Body.GetToken(), "a second document begins here: keep one in the file")
			return nil
		}
		body = doc.Body
	}
	return body
}

// hostile refuses what the parser would take too long for, and what makes a
// file mean something else than a reviewer reads.
func (r *settingsReader) hostile(tokens yamltoken.Tokens) {
	flow, line, inLine := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, inLine = t.Position.Line, 0
		}
		switch t.Type {
		case yamltoken.AliasType, yamltoken.AnchorType, yamltoken.MergeKeyType, yamltoken.TagType, yamltoken.MappingKeyType:
			r.wrong(t, "anchors, aliases, merge keys, tags and keys behind a question mark are not supported; quote a text that begins with *, &, ! or ?")
			return
		case yamltoken.MappingStartType, yamltoken.SequenceStartType:
			flow++
		case yamltoken.MappingEndType, yamltoken.SequenceEndType:
			flow--
		case yamltoken.SequenceEntryType, yamltoken.MappingValueType:
			inLine++
		}
		if flow > maxNested || flow <= 0 && inLine > maxNested {
			r.wrong(t, "nested deeper than %d levels", maxNested)
			return
		}
	}
}

// mapping calls a function for each key, and refuses other keys and doubled
// ones. It returns the keys that were there.
func (r *settingsReader) mapping(n ast.Node, what string, known map[string]func(ast.Node)) map[string]bool {
	seen := map[string]bool{}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, kv := range r.fields(n, what) {
		key := kv.Key.GetToken()
		read, ok := known[key.Value]
		switch {
		case !ok:
			r.wrong(key, "expected one of %s, found %.64q", strings.Join(names, ", "), key.Value)
		case seen[key.Value]:
			r.wrong(key, "%s stands twice", key.Value)
		default:
			seen[key.Value] = true
			read(kv.Value)
		}
	}
	return seen
}

func (r *settingsReader) fields(n ast.Node, what string) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	r.wrong(n.GetToken(), "expected keys and values for %s", what)
	return nil
}

func (r *settingsReader) text(n ast.Node, what string) string {
	var text string
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	default:
		r.wrong(n.GetToken(), "expected a text for %s", what)
		return ""
	}
	if text = strings.TrimSpace(text); text == "" {
		r.wrong(n.GetToken(), "%s is empty", what)
	}
	return text
}

func (r *settingsReader) rule(t *yamltoken.Token, id string) bool {
	if !r.rules[id] {
		r.wrong(t, "there is no rule %.64q%s", id, didYouMean(id, r.rules))
	}
	return r.rules[id]
}

func (r *settingsReader) ignores(n ast.Node) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(n.GetToken(), "expected a list for ignore")
		return
	}
	for _, item := range list.Values {
		entry := Ignore{Position: r.start(item)}
		seen := r.mapping(item, "an entry of ignore", map[string]func(ast.Node){
			"rule": func(n ast.Node) {
				if entry.Rule = r.text(n, "rule"); entry.Rule != "" && r.rule(n.GetToken(), entry.Rule) && meta(entry.Rule) {
					r.wrong(n.GetToken(), "%s is about silences and cannot be silenced by one; set its severity instead", entry.Rule)
				}
			},
			"path": func(n ast.Node) {
				entry.Path = strings.TrimPrefix(r.text(n, "path"), "./")
				if _, err := path.Match(entry.Path, ""); err != nil {
					r.wrong(n.GetToken(), "%.64q is no glob: %s", entry.Path, err)
				}
			},
			"subject": func(n ast.Node) { entry.Subject = r.text(n, "subject") },
			"reason":  func(n ast.Node) { entry.Reason = r.text(n, "reason") },
			"until": func(n ast.Node) {
				until, err := time.Parse(day, n.GetToken().Value)
				if err != nil {
					r.wrong(n.GetToken(), "expected a day as 2027-01-31 for until, found %.64q", n.GetToken().Value)
				}
				entry.Until = until
			},
		})
		for _, key := range []string{"rule", "path", "reason"} {
			if !seen[key] {
				r.wrongAt(entry.Position, "an entry of ignore needs a %s", key)
			}
		}
		r.settings.Ignore = append(r.settings.Ignore, entry)
	}
}

// start is the place of a mapping's first key.
func (r *settingsReader) start(n ast.Node) source.Position {
	switch m := n.(type) {
	case *ast.MappingNode:
		if len(m.Values) > 0 {
			return r.at(m.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return r.at(m.Key.GetToken())
	}
	return r.at(n.GetToken())
}

func (r *settingsReader) severities(n ast.Node) {
	for _, kv := range r.fields(n, "severity") {
		key := kv.Key.GetToken()
		if !r.rule(key, key.Value) {
			continue
		}
		if _, twice := r.settings.Severity[key.Value]; twice {
			r.wrong(key, "%s stands twice", key.Value)
		}
		level := Level{Position: r.at(key)}
		if _, ok := kv.Value.(*ast.StringNode); ok {
			r.level(kv.Value, &level)
		} else {
			seen := r.mapping(kv.Value, key.Value, map[string]func(ast.Node){
				"level":  func(n ast.Node) { r.level(n, &level) },
				"reason": func(n ast.Node) { level.Reason = r.text(n, "reason") },
			})
			if !seen["level"] {
				r.wrong(key, "%s needs a level", key.Value)
			}
		}
		if level.Off && level.Reason == "" {
			r.wrong(kv.Value.GetToken(), "off needs a reason: write {level: off, reason: ...}")
		}
		r.settings.Severity[key.Value] = level
	}
}

func (r *settingsReader) level(n ast.Node, level *Level) {
	text := n.GetToken().Value
	if text == "off" {
		level.Off = true
		return
	}
	if level.Severity = Severity(text); level.Severity.Rank() == 0 {
		r.wrong(n.GetToken(), "expected error, warning, note or off, found %.64q", text)
	}
}
