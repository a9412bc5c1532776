package fix

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/match"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// site is a list of values that are compared with a subject.
type site struct {
	subject    string // whose it is
	position   source.Position
	values     []source.Text
	like, fold bool
	// node is the values in their document; nil for a credential of Azure.
	node *source.Node
	// accepts answers whether such values let a subject in; ok is false where
	// they could not stand there. Nil for a credential of Azure.
	accepts func(values []string, subject string) (accepted, ok bool)
	host    string // of the condition key, where it is known
	// excludes says that what matches a value is kept out, or may be: then the
	// old value stays beside the new one, or whom it kept out would get in.
	excludes bool
	// group is the same for the sites of one policy or configuration.
	group any
	// reason is why no value here may change.
	reason string
}

// place is the place of a value, or of the site where it has none.
func (s site) place(v source.Text) source.Position {
	if v.Position.IsZero() {
		return s.position
	}
	return v.Position
}

// find is the value that is written like this.
func (s site) find(value string) (source.Text, bool) {
	for _, v := range s.values {
		if text, ok := v.Known(); ok && text == value {
			return v, true
		}
	}
	return source.Text{}, false
}

// mayName reports whether a value that is not wholly known may name a
// repository on GitHub.
func (s site) mayName(v source.Text) bool {
	platform, _ := subject.OfIssuer(s.host)
	return strings.HasPrefix(v.Prefix(), "repo:") || v.Prefix() == "" && (s.host == "" || platform == subject.GitHub)
}

// sites are the lists of values that may name repositories.
func (m *migration) sites() []site {
	var out []site
	for _, r := range m.inv.Roles {
		if r.Trust == nil {
			continue
		}
		for _, st := range r.Trust.Statements {
			for _, c := range st.Conditions {
				if s, ok := m.policySite(r, st, c); ok {
					out = append(out, s)
				}
			}
		}
	}
	for _, app := range m.inv.Azure {
		for _, c := range app.Credentials {
			out = append(out, m.azureSite(app, c))
		}
	}
	for _, c := range m.inv.Configs {
		out = append(out, configSites(c)...)
	}
	return out
}

// configSites are the patterns for subjects in a stint.yaml.
func configSites(c inventory.Configuration) []site {
	var out []site
	add := func(whose string, n *source.Node, excludes bool) {
		if n == nil {
			return
		}
		s := site{subject: whose, position: n.Position, node: n, like: true, excludes: excludes, group: c.File}
		for _, v := range n.List() {
			s.values = append(s.values, v.Text)
		}
		s.accepts = func(values []string, subject string) (bool, bool) {
			return slices.ContainsFunc(values, func(v string) bool { return match.Compile(v).Match(subject) }), true
		}
		out = append(out, s)
	}
	for _, r := range c.Root.Get("rules").List() {
		name := r.Get("name")
		if name == nil {
			name = &source.Node{}
		}
		add("rule "+name.Text.String(), r.Get("match").Get("sub"), denies(r))
	}
	if issuers := c.Root.Get("issuers"); issuers != nil {
		for _, f := range issuers.Fields {
			add("issuer "+f.Name, f.Value.Get("only").Get("sub"), false)
		}
	}
	return out
}

// denies reports whether a rule of a stint.yaml is a deny rule, or may be.
func denies(rule *source.Node) bool {
	effect := rule.Get("effect")
	return effect != nil && effect.Text.Equals("allow") != source.Yes
}

func (m *migration) policySite(r inventory.Role, st inventory.Statement, c inventory.Condition) (site, bool) {
	s := site{subject: r.Address, position: c.Position, values: c.Values.List, group: r.Trust}
	// Names of condition keys compare in any case.
	key := c.Key
	if known, ok := key.Known(); ok {
		host, is := cutSuffixFold(known, ":sub")
		if !is {
			return s, false
		}
		if s.host = strings.ToLower(host); m.o.To == IDs && strings.HasSuffix(s.host, "/_services/token") {
			s.reason = "GitHub Enterprise Server puts no ids into subjects"
		}
	} else if key.HasSuffix(":sub") == source.No {
		return s, false
	}
	operator, ok := c.Operator.Known()
	if !ok {
		return s, false
	}
	negated := strings.Contains(strings.ToLower(c.Test), "not")
	s.excludes = st.Effect.Equals("Allow") != source.Yes && !negated || st.Effect.Equals("Deny") != source.Yes && negated
	test := strings.ToLower(c.Test)
	switch test {
	case "stringequals", "stringnotequals":
	case "stringlike", "stringnotlike":
		s.like = true
	case "stringequalsignorecase", "stringnotequalsignorecase":
		s.fold = true
	default:
		return s, false
	}
	s.accepts = func(values []string, subject string) (bool, bool) { return accepts(operator, values, subject) }
	s.node = valuesNode(st.Node, operator, c.Key)
	if s.node == nil {
		s.reason = "the policy could not be taken apart here: change it by hand"
	}
	return s, true
}

// valuesNode is the value of a condition key.
func valuesNode(statement *source.Node, operator string, key source.Text) *source.Node {
	keys := statement.Get("Condition").Get(operator)
	if keys == nil {
		return nil
	}
	for _, f := range keys.Fields {
		if f.Key.String() == key.String() && f.Key.Position == key.Position {
			return f.Value
		}
	}
	return nil
}

func (m *migration) azureSite(app inventory.AzureApplication, c inventory.AzureCredential) site {
	s := site{subject: app.Address, position: c.Position, values: []source.Text{c.Subject}}
	switch ext := strings.ToLower(filepath.Ext(c.Subject.Position.File)); {
	case ext == ".json":
		s.reason = "the file is what az printed: change the credential with az ad app federated-credential update"
		if m.o.Add {
			s.reason = "the file is what az printed: add a second credential with az ad app federated-credential create"
		}
	case m.o.Add:
		s.reason = "a federated credential has one subject: add a second credential"
	}
	return s
}

func cutSuffixFold(s, suffix string) (before string, ok bool) {
	if len(s) < len(suffix) || !strings.EqualFold(s[len(s)-len(suffix):], suffix) {
		return s, false
	}
	return s[:len(s)-len(suffix)], true
}
