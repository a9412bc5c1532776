package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// keyRules are the rules on the issuers' names in principals and condition
// keys, and on claims that tell nobody apart.
func keyRules() []Rule {
	return []Rule{
		{
			ID: "misspelt-host", Severity: Error, Title: "another issuer's name",
			Why:   "The keys of a token begin with the name of its issuer to the letter, so a condition under another name finds no key, and a provider of another name signs no token.",
			Fix:   "Write the issuer as the provider's URL has it, without https://.",
			check: misspeltHost,
		},
		{
			ID: "wrong-claim", Severity: Error, Title: "a claim that tells nobody apart here",
			Why:   "Every issuer has its own claims and its own form of subjects, and a test made for another issuer matches nothing, or does not tell one customer from the next.",
			Fix:   "Test the claim that tells this issuer's customers apart, in the form that it signs.",
			check: wrongClaim,
		},
	}
}

// knownHosts are issuers that everybody knows, without a path.
var knownHosts = []string{
	"accounts.google.com", "agent.buildkite.com", "api.bitbucket.org", "app.terraform.io", "cognito-identity.amazonaws.com", "gitlab.com",
	"oidc.circleci.com", "oidc.codefresh.io", "oidc-configuration.audit-log.githubusercontent.com", "token.actions.githubusercontent.com",
	"vstoken.actions.githubusercontent.com",
}

// maxHost bounds the length of names that are compared letter by letter: no DNS
// name is longer.
const maxHost = 253

// meant is the known issuer that a host is most likely a misspelling of, or
// empty. A short name is not judged: a few letters more or less are somebody
// else's domain.
func meant(host string) string {
	name, path, _ := strings.Cut(strings.ToLower(host), "/")
	if slices.Contains(knownHosts, name) || len(name) > maxHost {
		return ""
	}
	if path != "" {
		path = "/" + path
	}
	// GitHub has no other issuers below these names.
	for _, owned := range []string{"githubusercontent.com", "github.com"} {
		if (name == owned || strings.HasSuffix(name, "."+owned)) && !strings.HasPrefix(path, "/enterprises/") {
			return "token.actions.githubusercontent.com" + path
		}
	}
	for _, known := range knownHosts {
		if len(known) >= 16 && edits(name, known) <= 2 {
			return known + path
		}
	}
	return ""
}

// edits is how many letters must be changed, added, left out or swapped with
// their neighbour to make b of a.
func edits(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// issuers are the hosts that a statement's principals name, those that AWS has
// built in included. open says that there may be others: not all is known, or
// the principal is everybody.
func (p *pass) issuers(s *statement) (hosts []string, open bool) {
	if s.Principal == nil {
		return nil, true
	}
	open = s.Principal.Open || s.Principal.Federated.Open || s.Principal.Any != source.No || s.Open
	for _, t := range s.Principal.Federated.List {
		host, oidc := p.providerHost(t)
		text, known := t.Known()
		switch {
		case host != "":
			hosts = append(hosts, host)
		case oidc != source.No:
			open = true
		case known && !strings.Contains(text, "/"):
			hosts = append(hosts, text) // one that AWS has built in
		}
	}
	return hosts, open
}

func misspeltHost(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		for i := range trust.Statements {
			s := &trust.Statements[i]
			if s.Principal != nil {
				for _, t := range s.Principal.Federated.List {
					p.misspeltProvider(r, t)
				}
			}
			hosts, open := p.issuers(s)
			for k := range s.Conditions {
				p.misspeltKey(r, s, &s.Conditions[k], hosts, open)
			}
		}
	})
}

func (p *pass) misspeltProvider(r *role, t source.Text) {
	found, rest := cutText(t, "oidc-provider/")
	host, known := rest.Known()
	if !found || !known {
		return
	}
	if plain, ok := cutScheme(host); ok {
		p.report(r.Address, t, fmt.Sprintf("Write oidc-provider/%s.", plain), "the ARN of a provider has the issuer without https://, found %q", t)
		return
	}
	if p.providerExists(host) {
		return
	}
	if other := meant(host); other != "" {
		p.report(r.Address, t, fmt.Sprintf("Write oidc-provider/%s, if that is meant.", other), "%q is no issuer that is known, and close to %q", host, other)
		return
	}
	if other := p.otherSlug(host, r.AccountID); other != "" {
		p.report(r.Address, t, fmt.Sprintf("Write oidc-provider/%s, if that is meant.", other), "there is no provider %q among those that were read, and one %q", host, other)
	}
}

func cutScheme(host string) (plain string, ok bool) {
	for _, scheme := range []string{"https://", "http://"} {
		if rest, found := cutFold(host, scheme); found {
			return rest, true
		}
	}
	return host, false
}

// providerExists reports whether a provider of this name is among those that
// were read: then its author means it.
func (p *pass) providerExists(host string) bool {
	return slices.ContainsFunc(p.inv.Providers, func(v inventory.Provider) bool { return providerName(v) == strings.TrimSuffix(host, "/") })
}

// providerName is a provider's issuer as condition keys have it, or empty where
// it is not known.
func providerName(v inventory.Provider) string {
	if url, known := v.URL.Known(); known && url != "" {
		return strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/")
	}
	if found, rest := cutText(v.ARN, "oidc-provider/"); found {
		if host, known := rest.Known(); known {
			return strings.TrimSuffix(host, "/")
		}
	}
	return ""
}

// otherSlug is a provider that was read for the same account, whose issuer
// differs in its path or in the case of letters only.
func (p *pass) otherSlug(host, account string) string {
	name, _, slug := strings.Cut(host, "/")
	for _, v := range p.inv.Providers {
		other := providerName(v)
		otherHost, _, otherSlug := strings.Cut(other, "/")
		if account == "" || v.AccountID != account || !strings.EqualFold(name, otherHost) || !slug && !otherSlug {
			continue
		}
		return other
	}
	return ""
}

func (p *pass) misspeltKey(r *role, s *statement, c *inventory.Condition, hosts []string, open bool) {
	key, known := c.Key.Known()
	if !known {
		return
	}
	if plain, ok := cutScheme(key); ok {
		p.report(r.Address, c.Key, fmt.Sprintf("Write %s.", plain), "a condition key has the issuer without https://, found %q", key)
		return
	}
	host, claim, ok := splitKey(c.Key)
	if !ok {
		for _, h := range slices.Concat(hosts, knownHosts) {
			if rest, begins := cutFold(key, h); begins && (rest == "" || rest[0] == '/' || rest[0] == '.') {
				fix := fmt.Sprintf("Write %s:CLAIM, such as %s:sub.", h, h)
				p.report(r.Address, c.Key, fix, "%q names no claim: a colon stands between the issuer and the claim", key)
				return
			}
		}
		return
	}
	if claim == "" || slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return
	}
	if open || len(hosts) == 0 {
		// Whose tokens come in is not known: only a name that nobody has is wrong.
		if other := meant(host); other != "" && !p.providerExists(host) {
			p.report(r.Address, c.Key, fmt.Sprintf("Write %s:%s, if that is meant.", other, claim), "%q is no issuer that is known, and close to %q", host, other)
		}
		return
	}
	near := nearestHost(host, hosts)
	message := fmt.Sprintf("%s is a key of %s, and the statement is for %s, so %s", key, host, strings.Join(hosts, ", "), absentEffect(s, c))
	mine, _, _ := strings.Cut(host, "/")
	theirs, _, _ := strings.Cut(near, "/")
	switch {
	case strings.EqualFold(mine, theirs):
		message = fmt.Sprintf("%s has not the path of the issuer %s, so %s", key, near, absentEffect(s, c))
	case edits(strings.ToLower(short(host)), strings.ToLower(short(near))) <= 3, meant(host) == near:
		message = fmt.Sprintf("%s misspells the issuer %s, so %s", key, near, absentEffect(s, c))
	}
	p.report(r.Address, c.Key, fmt.Sprintf("Write %s:%s.", near, claim), "%s", message)
}

// nearestHost is the host that takes the fewest changes.
func nearestHost(host string, hosts []string) string {
	return slices.MinFunc(hosts, func(a, b string) int {
		return edits(short(strings.ToLower(host)), short(strings.ToLower(a))) - edits(short(strings.ToLower(host)), short(strings.ToLower(b)))
	})
}

func short(host string) string { return host[:min(len(host), maxHost)] }

// absentEffect says what a condition does whose key no caller has.
func absentEffect(s *statement, c *inventory.Condition) string {
	holds := c.IfExists || c.Qualifier == "ForAllValues" || c.Test != "Null" && !positive(c.Test)
	if c.Test == "Null" {
		holds = onlyValue(c.Values, "true")
	}
	switch allow := s.Allows() != source.No; {
	case holds && allow:
		return "the condition asks for nothing"
	case holds:
		return "the condition always holds"
	case allow:
		return "the statement lets nobody in"
	}
	return "the statement keeps nobody out"
}
