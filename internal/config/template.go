package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Template is a text in which {claim} stands for a claim's value.
type Template struct {
	source string
	parts  []part
}

type part struct {
	literal string
	claim   string // set where the part is a claim
}

// claimName is what a claim may be called in a configuration. Some platforms
// use slashes and dots.
var claimName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]{0,127}$`)

// ParseTemplate reads a template. Braces stand for nothing but claims.
func ParseTemplate(source string) (Template, error) {
	t := Template{source: source}
	for rest := source; rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			t.parts = append(t.parts, part{literal: rest})
			break
		}
		if rest[i] == '}' {
			return Template{}, fmt.Errorf("a } without a { before it in %q", source)
		}
		if i > 0 {
			t.parts = append(t.parts, part{literal: rest[:i]})
		}
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			return Template{}, fmt.Errorf("a { without a } in %q", source)
		}
		name := rest[i+1 : i+end]
		if !claimName.MatchString(name) {
			return Template{}, fmt.Errorf("{%s} names no claim", name)
		}
		t.parts = append(t.parts, part{claim: name})
		rest = rest[i+end+1:]
	}
	return t, nil
}

// ClaimOrTemplate reads what is either a claim's name or, where it holds
// braces, a template.
func ClaimOrTemplate(source string) (Template, error) {
	if strings.ContainsAny(source, "{}") {
		return ParseTemplate(source)
	}
	if !claimName.MatchString(source) {
		return Template{}, fmt.Errorf("%q names no claim", source)
	}
	return Template{source: source, parts: []part{{claim: source}}}, nil
}

// String is the template as it was written.
func (t Template) String() string { return t.source }

// Claims are the names of the claims that the template holds, in order.
func (t Template) Claims() []string {
	var names []string
	for _, p := range t.parts {
		if p.claim != "" {
			names = append(names, p.claim)
		}
	}
	return names
}

// Expand puts values in. value answers a claim's value as it may stand there,
// or an error, which Expand returns.
func (t Template) Expand(value func(claim string) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.claim == "" {
			b.WriteString(p.literal)
			continue
		}
		v, err := value(p.claim)
		if err != nil {
			return "", err
		}
		b.WriteString(v)
	}
	return b.String(), nil
}
