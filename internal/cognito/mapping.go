package cognito

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/source"
)

// mapping is the role mapping of one provider.
type mapping struct {
	node *source.Node
	at   source.Position
}

// folded is a provider's name for comparing: a mapping whose key is written in
// another way must not be taken for that of another provider, since a provider
// without a mapping gives everybody the default role.
func folded(nameOrARN string) string {
	return strings.ToLower(strings.TrimPrefix(plainName(nameOrARN), "https://"))
}

// mappings are the role mappings by the folded name of their provider; ok is
// false where they are not known, which is told.
func (c *carrier) mappings() (all map[string]mapping, ok bool) {
	all = map[string]mapping{}
	if c.d.roles == nil {
		return all, true
	}
	p := c.d.roles
	n := p.node.Get("RoleMappings")
	switch {
	case p.node.Has("RoleMappings") == source.Unknown || n != nil && (n.Open || n.Kind == source.KindUnknown):
		c.unknown(p.node.Position, "providers", "RoleMappings is not wholly known")
		return nil, false
	case n == nil || n.Kind == source.KindNull:
		return all, true
	case n.Kind != source.KindMap:
		c.unknown(n.Position, "providers", "RoleMappings: expected an object, found %s", n.Kind)
		return nil, false
	}
	for _, f := range n.Fields {
		name, at := f.Key, f.Key.Position
		// A template may name the mapping, and the provider within.
		if v := f.Value.Get("IdentityProvider"); v != nil && p.in != nil {
			name, at = v.Text, v.Position
		}
		s, open := p.resolve(name, c.filled())
		if len(open) > 0 {
			c.unknown(at, "providers", "the provider of a role mapping: %.200s", name)
			return nil, false
		}
		s = folded(s)
		if _, twice := all[s]; twice {
			c.unknown(at, "providers", "the role mapping of %.200s stands twice", s)
			return nil, false
		}
		all[s] = mapping{f.Value, at}
	}
	return all, true
}

// filled is the scene in which ARNs can be taken apart, whatever account they
// are of.
func (c *carrier) filled() scene {
	s := c.scene
	if s.account == "" {
		s.account = "-"
	}
	if s.partition == "" {
		s.partition, s.region = "-", "-"
	}
	return s
}

// maxCarriedRules is how many rules of a provider stint.yaml takes.
const maxCarriedRules = 1000

// rules carries a role mapping over. It reports whether the provider can stand
// in stint.yaml: without any rules it would give everybody the default role.
func (c *carrier) rules(v *Provider, m mapping) bool {
	p, n := c.d.roles, m.node
	if n.Kind != source.KindMap {
		c.problem(n.Position, "%s: RoleMappings of %s: expected an object, found %s", c.d.label, v.Provider, n.Kind)
		return false
	}
	kind, ambiguous := c.word(p, n, "Type"), c.word(p, n, "AmbiguousRoleResolution")
	list := n.Get("RulesConfiguration").Get("Rules")
	switch {
	case kind == "Token":
		c.note(m.at, "write rules: for the claims that stand for roles; the provider was left out", "roles of the type Token (cognito:roles, cognito:preferred_role) of the provider %s", v.Provider)
		return false
	case kind != "Rules":
		c.problem(n.Position, "%s: Type: expected Rules or Token for the provider %s, found %.64q", c.d.label, v.Provider, kind)
		return false
	case list == nil || list.Kind != source.KindList || list.Open:
		c.problem(n.Position, "%s: RulesConfiguration.Rules: expected a list for the provider %s, of which all is known", c.d.label, v.Provider)
		return false
	}
	v.NoMatch = "deny"
	switch {
	case ambiguous == "AuthenticatedRole" && c.perhaps:
		v.NoMatch = "default_role"
	case ambiguous == "AuthenticatedRole":
		c.note(m.at, "it has no authenticated role, so whoever matches no rule is denied as before", "AmbiguousRoleResolution AuthenticatedRole of the provider %s", v.Provider)
	case ambiguous != "Deny":
		c.problem(n.Position, "%s: AmbiguousRoleResolution: expected AuthenticatedRole or Deny for the provider %s, found %.64q; whoever matches no rule is denied", c.d.label, v.Provider, ambiguous)
	}
	if len(list.Items) > maxCarriedRules {
		c.problem(list.Position, "%s: expected at most %d rules for the provider %s, found %d", c.d.label, maxCarriedRules, v.Provider, len(list.Items))
		return false
	}
	var lost source.Position
	for _, item := range list.Items {
		path := fmt.Sprintf("providers[%d].rules[%d]", len(c.out.Providers), len(v.Rules))
		if r, ok := c.rule(p, item, path); ok {
			v.Rules = append(v.Rules, r)
		} else if lost.IsZero() {
			lost = item.Position
		}
	}
	switch {
	case len(v.Rules) == 0:
		c.note(m.at, "write rules: by hand; the provider was left out, since without rules it would give everybody the default role", "the provider %s: none of its rules could be carried over", v.Provider)
		return false
	case !lost.IsZero() && v.NoMatch == "default_role":
		// Who matched the lost rule must not now get the default role.
		v.NoMatch = "deny"
		c.note(lost, "whoever matches no rule of the provider is denied, until no_match: default_role is written", "AmbiguousRoleResolution AuthenticatedRole of the provider %s, of which a rule is lost", v.Provider)
	}
	return true
}

// word is a member that is a word; "" where it is not, or not known.
func (c *carrier) word(p *part, n *source.Node, name string) string {
	v := n.Get(name)
	if v == nil || v.Kind != source.KindString {
		return ""
	}
	s, open := p.resolve(v.Text, c.scene)
	if len(open) > 0 {
		return ""
	}
	return s
}

// rule carries a rule over; ok is false where it has no equal. One that is not
// known stays in its place, empty.
func (c *carrier) rule(p *part, n *source.Node, path string) (r Rule, ok bool) {
	if n.Kind != source.KindMap {
		c.unknown(n.Position, path, "expected a rule, found %s", n.Kind)
		return Rule{}, true
	}
	r = Rule{Claim: c.word(p, n, "Claim")}
	value := c.word(p, n, "Value")
	kind := config.MatchType(c.word(p, n, "MatchType"))
	role := n.Get("RoleARN")
	_, err := config.ClaimOrTemplate(r.Claim)
	size := utf8.RuneCountInString(value)
	switch {
	case r.Claim == "" || value == "" || role == nil || kind == "":
		c.unknown(n.Position, path, "expected a rule with Claim, MatchType, Value and RoleARN, found %.300s", n)
		return Rule{}, true
	case err != nil || strings.ContainsAny(r.Claim, "{}") || slices.Contains(identity.DerivedNames, r.Claim):
		c.note(n.Position, "rewrite the rule for a claim that is signed", "the rule for the claim %.64q, a name that no claim can have in stint.yaml", r.Claim)
		return Rule{}, false
	case size > 1024:
		c.unknown(n.Position, path, "Value: expected at most 1024 characters, found %d", size)
		return Rule{}, true
	case !r.compare(kind, value):
		c.unknown(n.Position, path, "MatchType: expected Equals, StartsWith, Contains or NotEqual, found %.64q", kind)
		return Rule{}, true
	}
	r.Role = c.role(p, role, path+".role")
	return r, true
}

// defaultTags is the map that UseDefaults stands for (Developer Guide,
// "Using attributes for access control").
func defaultTags() map[string]string { return map[string]string{"username": "sub", "client": "aud"} }

// tags is the principal tag map of a provider, which is the next one.
func (c *carrier) tags(provider string) map[string]string {
	path := fmt.Sprintf("providers[%d].tags", len(c.out.Providers))
	var found *part
	for _, p := range c.tagsOf[provider] {
		if found != nil && found.node.String() != p.node.String() {
			c.unknown(p.node.Position, path, "the principal tags of %s stand twice, first at %s", provider, place(found.node.Position))
			return nil
		}
		found = p
	}
	if found == nil {
		if c.d.pool.in == nil {
			c.reader.note(FillIn, c.d.label, c.d.pool.node.Position, "give what 'aws cognito-identity get-principal-tag-attribute-map' prints of it too",
				"the principal tags of the provider %s, which the files do not tell", provider)
		}
		return nil
	}
	told := len(c.out.Unknown)
	defaults := c.flag(found, "UseDefaults", path)
	n := found.node.Get("PrincipalTags")
	switch {
	case len(c.out.Unknown) > told:
		return nil
	case defaults:
		if n != nil && len(n.Fields) > 0 && !isDefault(n) {
			c.note(n.Position, "UseDefaults is true, so Cognito gives username and client only; write the others under tags:", "the principal tags of %s beside UseDefaults", provider)
		}
		return defaultTags()
	case n == nil && found.node.Has("PrincipalTags") == source.Unknown:
		c.unknown(found.node.Position, path, "PrincipalTags is not wholly known")
		return nil
	case n == nil || n.Kind == source.KindNull:
		return nil
	case n.Kind != source.KindMap || n.Open:
		c.unknown(n.Position, path, "PrincipalTags: expected an object of which all is known, found %s", n.Kind)
		return nil
	}
	return c.tagMap(found, n, provider, path)
}

func isDefault(n *source.Node) bool {
	tags := map[string]string{}
	for _, f := range n.Fields {
		tags[f.Name] = f.Value.Text.String()
	}
	return maps.Equal(tags, defaultTags())
}

const maxTags = 50

func (c *carrier) tagMap(p *part, n *source.Node, provider, path string) map[string]string {
	tags, folded := map[string]string{}, map[string]string{}
	for _, f := range n.Fields {
		claim, open := p.resolve(f.Value.Text, c.scene)
		_, err := config.ClaimOrTemplate(claim)
		_, known := f.Key.Known()
		fold := strings.ToLower(f.Name)
		switch {
		case f.Value.Kind != source.KindString || len(open) > 0 || !known:
			c.unknown(f.Key.Position, path, "expected a claim for the tag %.128q of %s, found %.128s", f.Name, provider, f.Value)
		case err != nil || strings.ContainsAny(claim, "{}") || slices.Contains(identity.DerivedNames, claim):
			c.note(f.Key.Position, "map a claim that is signed", "the principal tag %.128q of %s: no claim can be called %.128q in stint.yaml", f.Name, provider, claim)
		case !tagKey.MatchString(f.Name) || strings.HasPrefix(fold, "aws:"):
			c.note(f.Key.Position, "AWS takes letters, digits, spaces and _.:/=+-@, and not aws: at the beginning", "the principal tag %.128q of %s", f.Name, provider)
		case folded[fold] != "":
			c.note(f.Key.Position, "AWS compares tag keys without letter case: keep one", "the principal tag %.128q of %s, which is the same as %.128q", f.Name, provider, folded[fold])
		case len(tags) == maxTags:
			c.note(f.Key.Position, "a session has at most 50 tags", "the principal tag %.128q of %s", f.Name, provider)
		default:
			tags[f.Name], folded[fold] = claim, f.Name
		}
	}
	return tags
}

// tagProvider is the name of the provider that a principal tag map is of.
func (c *carrier) tagProvider(p *part) string {
	v := p.node.Get("IdentityProviderName")
	if v == nil {
		return ""
	}
	s, open := p.resolve(v.Text, c.filled())
	if len(open) > 0 {
		return ""
	}
	return plainName(s)
}
