package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// byAudience are issuers that sign for everybody and whose customers the
// audience tells apart, not the subject alone (IAM User Guide,
// "Identity-provider controls for shared OIDC providers"; "Available keys for
// OIDC federation").
var byAudience = map[string]string{
	"accounts.google.com":            "the id of the service account or of the client",
	"api.pulumi.com/oidc":            "the name of the organization",
	"cognito-identity.amazonaws.com": "the id of the identity pool",
	"oidc.vercel.com":                "https://vercel.com/TEAM",
}

func wrongClaim(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		for i := range trust.Statements {
			s := &trust.Statements[i]
			list, _ := p.providers(s)
			for _, c := range conditionsOn(s, "sub") {
				for _, v := range c.Values.List {
					for _, provider := range list {
						if provider.Known {
							p.shape(r, s, c, v, provider)
						}
					}
					p.googleSubject(r, c, v)
				}
			}
			p.tenantByAudience(r, s)
		}
	})
}

// shape reports a value of sub that the platform never signs.
func (p *pass) shape(r *role, s *statement, c *inventory.Condition, v source.Text, by provider) {
	if by.Platform == subject.Other {
		return
	}
	if _, is := by.claimOf(c); is != source.Yes {
		return // another issuer's key is another rule's
	}
	value := v.Prefix()
	dead := "so it " + deadEffect(s, c)
	if other := platformOfValue(v); other != "" && other != by.Platform {
		p.report(r.Address, v, fmt.Sprintf("Write the subject as %s signs it, such as %q.", by.Host, exampleOf(by)),
			"%q is a subject of %s, and %s never signs one like it, %s", v, other, by.Host, dead)
		return
	}
	if by.Platform != subject.GitHub {
		return
	}
	if fix, wrong := misshapen(value, v); wrong != "" {
		p.report(r.Address, v, fix, "%q %s, which GitHub never signs, %s", v, wrong, dead)
	}
}

func exampleOf(by provider) string {
	return (&admission{provider: by}).example()
}

// platformOfValue is the platform whose subjects look like a value; empty
// where none is known to, or several are.
func platformOfValue(v source.Text) subject.Platform {
	value := v.Prefix()
	key, _, found := strings.Cut(value, ":")
	switch {
	case found && (key == "repo" || key == "repository_id" || key == "repository_owner_id"):
		return subject.GitHub
	case found && (key == "project_path" || key == "namespace_path"):
		return subject.GitLab
	case strings.HasPrefix(value, "organization:"):
		if strings.Contains(value, ":pipeline:") {
			return subject.Buildkite
		}
		if strings.Contains(value, ":project:") || strings.Contains(value, ":workspace:") {
			return subject.Terraform
		}
	case strings.HasPrefix(value, "org/") && strings.Contains(value, "/project/"):
		return subject.CircleCI
	}
	return ""
}

// misshapen says what of a GitHub subject, which begins with value, is written
// as GitHub never writes it, and how to write it.
func misshapen(value string, v source.Text) (fix, wrong string) {
	key, rest, found := strings.Cut(value, ":")
	if !found {
		return "", ""
	}
	if key != "repo" && strings.EqualFold(key, "repo") {
		return fmt.Sprintf("Write %q.", "repo:"+strings.TrimPrefix(v.String(), key+":")), fmt.Sprintf("begins with %s: and not with repo:", key)
	}
	if key != "repo" {
		return "", ""
	}
	for _, prefix := range []string{"https://github.com/", "http://github.com/", "github.com/"} {
		if path, ok := cutFold(rest, prefix); ok {
			return fmt.Sprintf("Write %q.", strings.Replace(v.String(), rest, path, 1)), fmt.Sprintf("has %s before the owner", prefix)
		}
	}
	// The first pair behind the repository says what the job is narrowed to.
	_, after, found := strings.Cut(rest, ":")
	if !found {
		return "", ""
	}
	next, tail, pair := strings.Cut(after, ":")
	for _, known := range []string{"ref", "environment", "pull_request"} {
		if next != known && strings.EqualFold(next, known) && (pair || known == "pull_request") {
			return fmt.Sprintf("Write %q.", strings.Replace(v.String(), ":"+next, ":"+known, 1)), fmt.Sprintf("has %s where GitHub writes %s", next, known)
		}
	}
	if next == "ref" && pair {
		return misshapenRef(tail, v)
	}
	return "", ""
}

// misshapenRef looks at what follows ref: in a subject.
func misshapenRef(ref string, v source.Text) (fix, wrong string) {
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/pull/"} {
		if name, is := cutFold(ref, prefix); is {
			if strings.HasPrefix(ref, prefix) {
				return "", ""
			}
			return fmt.Sprintf("Write %q.", strings.Replace(v.String(), ":"+ref, ":"+prefix+name, 1)), fmt.Sprintf("has %s where GitHub writes %s", ref[:len(prefix)], prefix)
		}
		if strings.HasPrefix(prefix, ref) {
			return "", "" // what follows is not known
		}
	}
	if strings.HasPrefix(ref, "refs/") || ref == "" || strings.ContainsAny(ref[:1], "*?$") || wildPrefixOf("refs/", ref) {
		return "", ""
	}
	return fmt.Sprintf("Write %q.", strings.Replace(v.String(), ":"+ref, ":refs/heads/"+ref, 1)), "has a ref that does not begin with refs/"
}

// wildPrefixOf reports whether a pattern with wildcards may still begin with a
// text.
func wildPrefixOf(text, pattern string) bool {
	i := strings.IndexAny(pattern, "*?")
	return i >= 0 && strings.HasPrefix(text, pattern[:min(i, len(pattern))])
}

// googleSubject reports an e-mail address where Google has a number.
func (p *pass) googleSubject(r *role, c *inventory.Condition, v source.Text) {
	if keyIs(c, "accounts.google.com:sub") == source.Yes && v.Contains("@") == source.Yes {
		p.report(r.Address, v, "Write the unique id of the service account, a number.",
			"%q is no subject of accounts.google.com, which are numbers", v)
	}
}

// tenantByAudience reports a statement for an issuer whose customers are told
// apart by audience that tests neither that nor the subject.
func (p *pass) tenantByAudience(r *role, s *statement) {
	if s.Principal == nil || s.Principal.Any != source.No {
		return
	}
	for _, t := range s.Principal.Federated.List {
		host, known := t.Known()
		if !known {
			continue
		}
		if found, rest := cutText(t, "oidc-provider/"); found {
			host, _ = rest.Known()
		}
		says, shared := byAudience[strings.TrimSuffix(host, "/")]
		if !shared {
			continue
		}
		certain := s.Allows().And(grants(s, webIdentityAction))
		if s.ConditionsOpen || s.Open {
			certain = certain.And(source.Unknown)
		}
		narrow := func(claim string) bool {
			return slices.ContainsFunc(conditionsOn(s, claim), func(c *inventory.Condition) bool {
				k, _, _ := splitKey(c.Key)
				return (k == "" || strings.EqualFold(k, strings.TrimSuffix(host, "/"))) && c.Test != "Null" && demands(c) && !anyValue(c)
			})
		}
		if narrow("aud") || narrow("sub") {
			continue
		}
		p.verdict(certain, r.Address, t, fmt.Sprintf("Add StringEquals %s:aud with %s.", host, says),
			fmt.Sprintf("the customers of %s are told apart by aud, and nothing tests it: anybody there gets in", host),
			fmt.Sprintf("whether the aud of %s is tested depends on what is not known", host))
	}
}

// anyValue reports whether one of a condition's values matches everything.
func anyValue(c *inventory.Condition) bool {
	return strings.HasSuffix(c.Test, "Like") && slices.ContainsFunc(c.Values.List, func(t source.Text) bool {
		text, known := t.Known()
		return known && text != "" && strings.Trim(text, "*") == ""
	})
}
