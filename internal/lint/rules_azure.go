package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// azureRules are the rules on federated identity credentials of Microsoft Entra.
func azureRules() []Rule {
	return []Rule{
		{
			ID: "azure-too-many", Severity: Error, Title: "more credentials than an application may have",
			Why:   "An application or a managed identity holds 20 federated credentials at most, so the others are refused.",
			Fix:   "Use a flexible credential for several subjects, or one credential that trusts a broker.",
			check: azureTooMany,
		},
		{
			ID: "azure-wildcard", Severity: Error, Title: "a wildcard in an exact credential",
			Why:   "Issuer and subject of a credential are compared to the letter, so a * matches nothing but a *.",
			Fix:   "Write one credential for each subject, or a flexible credential with claims['sub'] matches.",
			check: azureWildcard,
		},
		{
			ID: "azure-case", Severity: Error, Title: "another case of letters, or a slash more",
			Why:   "Entra compares issuer and subject to the letter, so a value that the platform does not emit exactly so never matches.",
			Fix:   "Write the value as the platform emits it.",
			check: azureCase,
		},
		{
			ID: "azure-audience", Severity: Warning, Title: "another audience than Entra's",
			Why:   "Jobs ask for api://AzureADTokenExchange unless they are told otherwise, and a token that was meant for another service should not be good here.",
			Fix:   "Use api://AzureADTokenExchange.",
			check: azureAudience,
		},
		{
			ID: "azure-flexible-open", Severity: Error, Title: "an expression that does not name the owner",
			Why:   "The issuer signs tokens for everybody, and the expression leaves open whose they are, so any stranger's job gets in.",
			Fix:   "Write the owner out, and close it with a slash.",
			check: azureFlexibleOpen,
		},
		{
			ID: "azure-renameable", Severity: Warning, Title: "a name that can change hands",
			Why:   "An owner or a repository can be renamed or deleted, and whoever registers the name then has the same subject.",
			Fix:   "Use the subject with ids, once the repository's tokens have it.",
			check: azureRenameable,
		},
	}
}

// mostCredentials is how many federated credentials an application may have
// (Microsoft Entra, "Important considerations for workload identity federation").
const mostCredentials = 20

// azureAudiences are what Entra's clouds ask for.
var azureAudiences = []string{
	"api://AzureADTokenExchange", "api://AzureADTokenExchangeUSGov", "api://AzureADTokenExchangeChina",
}

// eachCredential calls f for every credential, with what a finding calls it.
func (p *pass) eachCredential(f func(name string, c *inventory.AzureCredential)) {
	for i := range p.inv.Azure {
		a := &p.inv.Azure[i]
		for k := range a.Credentials {
			c := &a.Credentials[k]
			name := a.Address
			if own := c.Name.String(); own != "" && own != name {
				name = strings.TrimPrefix(name+"/"+own, "/")
			}
			f(name, c)
		}
	}
}

// there is a text with a place: that of the credential where it has none.
func there(t source.Text, c *inventory.AzureCredential) source.Text {
	if t.Position.IsZero() {
		t.Position = c.Position
	}
	return t
}

func (p *pass) azureIssuer(c *inventory.AzureCredential) (platform subject.Platform, shared bool) {
	issuer, known := c.Issuer.Known()
	if !known {
		return subject.Other, false
	}
	host, _ := cutScheme(issuer)
	return subject.OfIssuer(host)
}

func azureTooMany(p *pass) {
	for _, a := range p.inv.Azure {
		if n := len(a.Credentials); n > mostCredentials {
			c := &a.Credentials[mostCredentials]
			p.report(a.Address, there(c.Name, c), "", "%d credentials stand on one application, and %d is the most", n, mostCredentials)
		}
	}
}

func azureWildcard(p *pass) {
	p.eachCredential(func(name string, c *inventory.AzureCredential) {
		if isFlexible(c) {
			return
		}
		for _, f := range []struct {
			what string
			text source.Text
		}{{"subject", c.Subject}, {"issuer", c.Issuer}} {
			if starred(f.text, false) {
				p.report(name, there(f.text, c), "", "the %s %q has a wildcard, which an exact credential takes literally", f.what, f.text)
			}
		}
	})
}

func isFlexible(c *inventory.AzureCredential) bool { return len(c.Expression.Parts) > 0 }

// azureHosts are the issuers whose URL is known to the letter.
var azureHosts = []string{
	"https://token.actions.githubusercontent.com", "https://gitlab.com", "https://agent.buildkite.com", "https://app.terraform.io",
}

func azureCase(p *pass) {
	p.eachCredential(func(name string, c *inventory.AzureCredential) {
		p.issuerCase(name, c)
		if isFlexible(c) {
			return
		}
		if platform, _ := p.azureIssuer(c); platform == subject.GitHub {
			if fix, wrong := misshapen(c.Subject.Prefix(), c.Subject); wrong != "" {
				p.report(name, there(c.Subject, c), fix, "the subject %q %s, which GitHub never emits", c.Subject, wrong)
			}
		}
	})
}

func (p *pass) issuerCase(name string, c *inventory.AzureCredential) {
	issuer, known := c.Issuer.Known()
	if !known || issuer == "" {
		return
	}
	plain, scheme := cutScheme(issuer)
	trimmed := strings.TrimRight(plain, "/")
	for _, want := range azureHosts {
		host := strings.TrimPrefix(want, "https://")
		own, path, _ := strings.Cut(trimmed, "/")
		if !strings.EqualFold(own, host) {
			continue
		}
		if path != "" {
			want += "/" + path // an enterprise's own issuer
		}
		if issuer != want {
			p.report(name, there(c.Issuer, c), fmt.Sprintf("Write %q.", want), "the platform emits the issuer %q, found %q", want, issuer)
		}
		return
	}
	if other := meant(trimmed); other != "" {
		p.report(name, there(c.Issuer, c), fmt.Sprintf("Write \"https://%s\", if that is meant.", other), "%q is no issuer that is known, and close to \"https://%s\"", issuer, other)
		return
	}
	if !scheme || !strings.HasPrefix(issuer, "https://") {
		p.report(name, there(c.Issuer, c), fmt.Sprintf("Write \"https://%s\".", plain), "an issuer begins with https://, found %q", issuer)
	}
}

func azureAudience(p *pass) {
	p.eachCredential(func(name string, c *inventory.AzureCredential) {
		for _, a := range c.Audiences {
			text, known := a.Known()
			if !known || slices.Contains(azureAudiences, text) {
				continue
			}
			message := fmt.Sprintf("the audience is %q and not one of Entra's", text)
			if slices.ContainsFunc(azureAudiences, func(s string) bool { return strings.EqualFold(s, text) }) {
				message = fmt.Sprintf("the audience %q differs from Entra's in the case of letters", text)
			}
			p.report(name, there(a, c), "", "%s", message)
		}
	})
}

func azureRenameable(p *pass) {
	p.eachCredential(func(name string, c *inventory.AzureCredential) {
		platform, shared := p.azureIssuer(c)
		if isFlexible(c) || !shared || platform != subject.GitHub {
			return
		}
		s := subject.Parse(exact(c.Subject, false), platform)
		if !s.HasOwner() || s.Owner().Scope != subject.Closed || s.ByID() != subject.No {
			return
		}
		p.report(name, there(c.Subject, c), "", "%q goes by names, which can be given up and registered by somebody else", c.Subject)
	})
}
