package iam

import "strings"

// A template is a string of a policy that holds variables. Between them it
// keeps plain text and compiled wildcards.
type template []templatePart

type templatePart struct {
	text   string // literal text before the variable
	key    string // folded key; empty in a last part without a variable
	deflt  string
	hasDef bool
	broken bool // ${ that is not a variable AWS documents
}

// compileText splits s into text and variables. Without variables the result
// is the text alone and the template is nil. Only a policy of version
// 2012-10-17 has variables and escapes: in any other ${...} is plain text.
func compileText(s string, variables, wildcards bool) (string, template) {
	plain := func(s string) string {
		if wildcards {
			return pattern(s)
		}
		return s
	}
	if !variables || !strings.Contains(s, "${") {
		return plain(s), nil
	}
	var t template
	var text strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		text.WriteString(plain(before))
		if !found {
			break
		}
		body, after, closed := cutVariable(rest)
		if closed && (body == "*" || body == "?" || body == "$") {
			text.WriteString(body)
			s = after
			continue
		}
		part := templatePart{text: text.String()}
		text.Reset()
		if closed {
			parseVariable(body, &part)
		} else {
			part.broken, after = true, ""
		}
		t = append(t, part)
		s = after
	}
	if t == nil {
		return text.String(), nil
	}
	if text.Len() > 0 {
		t = append(t, templatePart{text: text.String()})
	}
	return "", t
}

// cutVariable finds the closing brace of a variable. A brace inside the
// quotes of a default value closes nothing.
func cutVariable(s string) (body, after string, closed bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\'':
			quoted = !quoted
		case '}':
			if !quoted {
				return s[:i], s[i+1:], true
			}
		}
	}
	return "", "", false
}

func parseVariable(body string, part *templatePart) {
	key, deflt, hasDef := strings.Cut(body, ",")
	key = strings.TrimSpace(key)
	part.key = foldKey(key)
	if key == "" || strings.ContainsAny(key, "${}'*?") {
		part.broken = true
	}
	if !hasDef {
		return
	}
	deflt = strings.TrimSpace(deflt)
	if len(deflt) < 2 || deflt[0] != '\'' || deflt[len(deflt)-1] != '\'' || strings.Contains(deflt[1:len(deflt)-1], "'") {
		part.broken = true
		return
	}
	part.hasDef, part.deflt = true, deflt[1:len(deflt)-1]
}

// expansion is what became of a template.
type expansion uint8

const (
	expanded  expansion = iota
	noValue             // a variable has no value: the whole never equals anything
	undefined           // AWS does not say what a variable here stands for
)

// expand puts the values in for the variables. They are plain text: a * in
// them is no wildcard. starred reports that there was one, since AWS does not
// say so, and wild is the text in which it is one.
func (t template) expand(ctx Context) (out string, starred bool, state expansion) {
	var buf [256]byte
	b := buf[:0]
	for i := range t {
		p := &t[i]
		b = append(b, p.text...)
		if p.broken {
			return "", false, undefined
		}
		if p.key == "" {
			continue
		}
		v, st := p.resolve(ctx)
		if st != expanded {
			return "", false, st
		}
		// Only valid UTF-8 may pass, or a value could smuggle in a compiled wildcard.
		if strings.IndexByte(v, anyRun) >= 0 || strings.IndexByte(v, anyChar) >= 0 {
			return "", false, undefined
		}
		starred = starred || strings.ContainsAny(v, "*?")
		b = append(b, v...)
	}
	return string(b), starred, expanded
}

func (p *templatePart) resolve(ctx Context) (string, expansion) {
	values := ctx.get(p.key)
	switch {
	case len(values) > 1:
		return "", undefined // only single-valued keys may be variables
	case len(values) == 1 && values[0] != "":
		return values[0], expanded
	case p.hasDef && (p.deflt == "" || len(values) == 1):
		// An empty default, and a default for a key that is there but empty.
		return "", undefined
	case p.hasDef:
		return p.deflt, expanded
	}
	// Absent, or the empty string, which AWS counts as no value.
	return "", noValue
}
