package cognito

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// YAML writes the issuers and the pools as they stand in stint.yaml. A value
// that is not known is left empty, with a comment that says why: a broker does
// not start with it.
func (i *Imported) YAML() []byte {
	var b bytes.Buffer
	if len(i.Issuers) > 0 {
		b.WriteString("issuers:\n")
		for _, issuer := range i.Issuers {
			writeIssuer(&b, issuer, "  ")
		}
	}
	if len(i.Pools) > 0 {
		b.WriteString("pools:\n")
		for _, p := range i.Pools {
			writePool(&b, &p, "  ")
		}
	}
	return b.Bytes()
}

func writeIssuer(b *bytes.Buffer, i Issuer, indent string) {
	fmt.Fprintf(b, "%s%s:\n", indent, i.Name)
	fmt.Fprintf(b, "%s  url: %s\n", indent, scalar(i.URL))
	if len(i.Audiences) > 0 {
		quoted := make([]string, len(i.Audiences))
		for j, a := range i.Audiences {
			quoted[j] = scalar(a)
		}
		fmt.Fprintf(b, "%s  audiences: [%s]\n", indent, strings.Join(quoted, ", "))
	} else {
		fmt.Fprintf(b, "%s  audiences: # to fill in: what the clients ask their tokens for\n", indent)
	}
	if i.Shared {
		fmt.Fprintf(b, "%s  only: # to fill in: it signs for everybody, so name your tenant, best by id\n", indent)
	}
}

// poolWriter writes the keys of one pool.
type poolWriter struct {
	b       *bytes.Buffer
	unknown map[string]string // why, by path
}

// line writes a key with its value, or with the reason why there is none.
// Nothing is written where there is neither.
func (w *poolWriter) line(start, key, path, value string) {
	switch why, unknown := w.unknown[path]; {
	case unknown:
		fmt.Fprintf(w.b, "%s%s: # unknown: %s\n", start, key, comment(why))
	case value != "":
		fmt.Fprintf(w.b, "%s%s: %s\n", start, key, value)
	}
}

func writePool(b *bytes.Buffer, p *Pool, indent string) {
	w := &poolWriter{b, map[string]string{}}
	for _, u := range p.Unknown {
		if _, twice := w.unknown[u.Path]; !twice {
			w.unknown[u.Path] = u.Why
		}
	}
	in := indent + "  "
	classic := ""
	if p.Classic {
		classic = "true"
	}
	w.line(indent+"- ", "id", "id", optional(p.ID))
	w.line(in, "name", "name", optional(p.Name))
	w.line(in, "account", "account", optional(p.Account))
	w.line(in, "classic", "classic", classic)
	w.line(in, "default_role", "default_role", optional(p.DefaultRole))
	if why, unknown := w.unknown["providers"]; unknown {
		fmt.Fprintf(b, "%sproviders: # unknown: %s\n", in, comment(why))
		// What is known follows as a comment: the rest is missing.
		var known bytes.Buffer
		writeProviders(&poolWriter{&known, w.unknown}, p, in+"  ")
		for line := range strings.Lines(known.String()) {
			b.WriteString(in + "# " + strings.TrimPrefix(line, in))
		}
		return
	}
	fmt.Fprintf(b, "%sproviders:\n", in)
	writeProviders(w, p, in+"  ")
}

func writeProviders(w *poolWriter, p *Pool, indent string) {
	for i, v := range p.Providers {
		in := indent + "  "
		fmt.Fprintf(w.b, "%s- provider: %s\n", indent, scalar(v.Provider))
		if path := fmt.Sprintf("providers[%d].tags", i); w.unknown[path] != "" {
			w.line(in, "tags", path, "")
		} else if len(v.Tags) > 0 {
			fmt.Fprintf(w.b, "%stags:\n", in)
			for _, key := range slices.Sorted(maps.Keys(v.Tags)) {
				fmt.Fprintf(w.b, "%s  %s: %s\n", in, scalar(key), scalar(v.Tags[key]))
			}
		}
		if len(v.Rules) == 0 {
			continue
		}
		fmt.Fprintf(w.b, "%srules:\n", in)
		for j, r := range v.Rules {
			if why := w.unknown[fmt.Sprintf("providers[%d].rules[%d]", i, j)]; why != "" {
				fmt.Fprintf(w.b, "%s  - # unknown: %s\n", in, comment(why))
				continue
			}
			key, value := r.comparison()
			if r.Role != "" {
				fmt.Fprintf(w.b, "%s  - {claim: %s, %s: %s, role: %s}\n", in, scalar(r.Claim), key, scalar(value), scalar(r.Role))
				continue
			}
			fmt.Fprintf(w.b, "%s  - claim: %s\n%s    %s: %s\n", in, scalar(r.Claim), in, key, scalar(value))
			w.line(in+"    ", "role", fmt.Sprintf("providers[%d].rules[%d].role", i, j), "")
		}
		fmt.Fprintf(w.b, "%sno_match: %s\n", in, v.NoMatch)
	}
}

func optional(s string) string {
	if s == "" {
		return ""
	}
	return scalar(s)
}

// plain is text that every reader of YAML takes for itself.
var plain = regexp.MustCompile(`^(?:https://)?[A-Za-z][A-Za-z0-9_./-]*$`)

// words are what some readers of YAML take for something else than text.
var words = regexp.MustCompile(`(?i)^(true|false|null|yes|no|on|off|y|n)$`)

// scalar is a text in YAML: plain where that is safe, else quoted as JSON is,
// which YAML reads alike.
func scalar(s string) string {
	if plain.MatchString(s) && !words.MatchString(s) {
		return s
	}
	return quoted(s)
}

// hidden reports whether a character is one that a reader does not see, or that
// moves others about, or that YAML does not allow.
func hidden(c rune) bool {
	return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || c&0xfffe == 0xfffe
}

// quoted is a text as JSON, in which every hidden character is escaped.
func quoted(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // a string always encodes
		return `""`
	}
	var out strings.Builder
	for _, c := range strings.TrimSuffix(b.String(), "\n") {
		switch {
		case hidden(c) && c > 0xffff:
			fmt.Fprintf(&out, `\U%08x`, c)
		case hidden(c):
			fmt.Fprintf(&out, `\u%04x`, c)
		default:
			out.WriteRune(c)
		}
	}
	return out.String()
}

// comment is a text that stays in its line.
func comment(s string) string {
	return strings.Join(strings.FieldsFunc(s, hidden), " ")
}
