package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// noPrincipal are the beginnings of keys that a web identity call never has:
// there is no AWS principal yet.
var noPrincipal = []string{
	"aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:principaltag/", "aws:username",
	"aws:multifactorauthpresent", "aws:sourceidentity", "sts:externalid", "ec2:", "saml:",
}

// callerChooses are keys whose value whoever calls STS chooses freely.
var callerChooses = []string{"aws:referer", "aws:useragent", "sts:rolesessionname"}

func variableInValue(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		for i := range trust.Statements {
			s := &trust.Statements[i]
			for k := range s.Conditions {
				c := &s.Conditions[k]
				if !strings.HasPrefix(c.Test, "String") && !strings.HasPrefix(c.Test, "Arn") {
					continue // the others take no variables
				}
				for _, v := range c.Values.List {
					p.variable(r, trust, s, c, v)
				}
			}
		}
	})
}

func (p *pass) variable(r *role, trust *policy, s *statement, c *inventory.Condition, v source.Text) {
	names := variables(v)
	if len(names) == 0 {
		return
	}
	old := trust.Version.Equals("2012-10-17").Not()
	if trust.Open || trust.Node != nil && trust.Node.Open {
		old = old.And(source.Unknown)
	}
	if old == source.Yes {
		if neverStars(c.Key) {
			p.report(r.Address, v, `Write "Version": "2012-10-17", and look at what the variable then compares.`,
				"without Version 2012-10-17 %q is plain text, so it %s", v, deadEffect(s, c))
		}
		return
	}
	_, _, onClaim := splitKey(c.Key)
	for _, name := range names {
		key, _, hasDefault := strings.Cut(name, ",")
		key = strings.ToLower(strings.TrimSpace(key))
		_, _, claim := splitKey(source.Literal(key))
		message := ""
		switch {
		case !hasDefault && beginsWithAny(key, noPrincipal) && onlyWebIdentity(s):
			message = fmt.Sprintf("a web identity has no %s, so %q %s", key, v, deadEffect(s, c))
		case !onClaim:
			continue // such as a tag that is pinned to a claim
		case claim && strings.EqualFold(key, c.Key.String()):
			message = fmt.Sprintf("%q compares %s with itself, so it %s", v, c.Key, selfEffect(s, c))
		case claim:
			message = fmt.Sprintf("%q takes what it expects of %s from the same token", v, c.Key)
		case slices.Contains(callerChooses, key):
			message = fmt.Sprintf("%q expects what the caller chooses in %s", v, key)
		default:
			continue
		}
		p.verdict(old.Not(), r.Address, v, "Write the value out that "+c.Key.String()+" must have.", message,
			fmt.Sprintf("what the variable in %q compares depends on Version, which is not known", v))
		return
	}
}

// selfEffect says what a comparison does that always holds, or never under a
// negated operator.
func selfEffect(s *statement, c *inventory.Condition) string {
	allow := s.Allows() != source.No
	switch {
	case positive(c.Test) && allow:
		return "asks for nothing"
	case positive(c.Test):
		return "keeps everybody out"
	case allow:
		return "lets nobody in"
	}
	return "keeps nobody out"
}

// onlyWebIdentity reports whether a statement lets in nobody but web identities.
func onlyWebIdentity(s *statement) bool {
	return grants(s, webIdentityAction) == source.Yes && grants(s, "sts:AssumeRole") == source.No && grants(s, "sts:AssumeRoleWithSAML") == source.No
}

func beginsWithAny(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// variables are what stands between ${ and } in a value, but for the escapes.
func variables(v source.Text) []string {
	var out []string
	for _, part := range v.Parts {
		for rest := part.Literal; ; {
			_, after, found := strings.Cut(rest, "${")
			if !found {
				break
			}
			name, tail, closed := cutVariable(after)
			if !closed {
				break
			}
			if name != "*" && name != "?" && name != "$" && name != "" {
				out = append(out, name)
			}
			rest = tail
		}
	}
	return out
}
