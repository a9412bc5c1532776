package identity

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/match"
)

// Issuer is one trusted signer of job tokens.
type Issuer struct {
	// Name is [a-z][a-z0-9_-]*, at most 32 characters: it becomes the prefix
	// of stint subjects, so it holds no colon.
	Name string
	// URL is compared with iss byte for byte: a slash or a letter's case more
	// is another issuer.
	URL string
	// Audiences are ours: every aud of a token must be one of them.
	Audiences []string
	// Platform is PlatformOf(URL) where it is empty.
	Platform Platform
	// Only must hold, all of it, for every token; otherwise the caller is a
	// stranger.
	Only []Condition
	// JWKSURL or JWKSFile stand in place of discovery; at most one of them.
	JWKSURL, JWKSFile string
	// Algorithms narrows what the issuer may sign with; empty means all that
	// SupportedAlgorithms lists.
	Algorithms []string
}

// Condition is a claim and what it must match: any of the patterns. A claim
// that is absent matches none.
type Condition struct {
	Claim    string
	Patterns []match.Pattern
}

func (c Condition) holds(claims Claims) bool {
	for _, v := range claims.Values(c.Claim) {
		if slices.ContainsFunc(c.Patterns, func(p match.Pattern) bool { return p.Match(v) }) {
			return true
		}
	}
	return false
}

// narrows reports whether the condition excludes anybody who has the claim.
func (c Condition) narrows() bool {
	return !slices.ContainsFunc(c.Patterns, func(p match.Pattern) bool { return strings.Trim(p.String(), "*") == "" })
}

var issuerName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

func (i *Issuer) validate() error {
	if !issuerName.MatchString(i.Name) {
		return fmt.Errorf("expected a name of at most 32 characters of a-z, 0-9, _ and - that begins with a letter, found %q", i.Name)
	}
	if err := checkURL(i.URL, true); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if strings.ContainsAny(i.URL, "?#") {
		return fmt.Errorf("url: expected an issuer without query and fragment, found %q", i.URL)
	}
	if len(i.Audiences) == 0 || slices.Contains(i.Audiences, "") {
		return errors.New("expected at least one audience, and none that is empty")
	}
	if i.JWKSURL != "" && i.JWKSFile != "" {
		return errors.New("expected jwks_url or jwks_file, found both")
	}
	if i.JWKSURL != "" {
		if err := checkURL(i.JWKSURL, true); err != nil {
			return fmt.Errorf("jwks_url: %w", err)
		}
	}
	for _, a := range i.Algorithms {
		if _, ok := methods[a]; !ok {
			return fmt.Errorf("algorithms: expected any of %s, found %q", strings.Join(SupportedAlgorithms(), ", "), a)
		}
	}
	for _, c := range i.Only {
		if c.Claim == "" || len(c.Patterns) == 0 {
			return errors.New("only: expected a claim and at least one value for it")
		}
	}
	// Without a condition every account on the platform would count as ours.
	if SignsForEverybody(i.URL) && !slices.ContainsFunc(i.Only, Condition.narrows) {
		return fmt.Errorf("%s signs for everybody: expected `only` with a claim that names your tenant, such as repository_owner_id", i.URL)
	}
	return nil
}

// checkURL accepts https, and with loopbackHTTP also http to a literal
// loopback address: a name such as localhost can be made to resolve elsewhere.
func checkURL(raw string, loopbackHTTP bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("expected a URL, found %.200q", raw)
	case u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("expected an absolute URL with a host, found %.200q", raw)
	case u.User != nil:
		return errors.New("expected a URL without a user name or password")
	case u.Fragment != "":
		return fmt.Errorf("expected a URL without a fragment, found %.200q", raw)
	case u.Scheme == "https", u.Scheme == "http" && loopbackHTTP && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("expected https (or http to a loopback address such as 127.0.0.1), found %.200q", raw)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// hostAndPath takes an issuer apart leniently: what it is used for must not be
// escaped from by the case of a letter or a slash at the end.
func hostAndPath(issuerURL string) (host, path string) {
	u, err := url.Parse(issuerURL)
	if err != nil {
		return "", ""
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), strings.Trim(u.Path, "/")
}

const (
	githubHost       = "token.actions.githubusercontent.com"
	githubServerPath = "_services/token" // of GitHub Enterprise Server
)

// PlatformOf is the platform that an issuer's URL shows, and Generic where it
// shows none: a self-hosted GitLab, for example.
func PlatformOf(issuerURL string) Platform {
	host, path := hostAndPath(issuerURL)
	switch {
	case host == githubHost, path == githubServerPath,
		strings.HasPrefix(host, "token.actions.") && strings.HasSuffix(host, ".ghe.com"):
		return GitHub
	case host == "gitlab.com":
		return GitLab
	case host == "agent.buildkite.com":
		return Buildkite
	case host == "oidc.circleci.com" && strings.HasPrefix(path, "org/"):
		return CircleCI
	}
	return Generic
}

// sharedHosts are the hosts of issuers whose one URL serves every customer,
// from the vendors' documentation and from AWS's list of shared OIDC providers
// (IAM User Guide, "Identity-provider controls for shared OIDC providers"; the
// data perimeter policy examples). CircleCI's URL names the organization, and
// is listed because all its organizations' projects share it.
var sharedHosts = map[string]bool{
	"accounts.google.com": true,
	"agent.buildkite.com": true,
	"api.pulumi.com":      true,
	"app.terraform.io":    true,
	"gitlab.com":          true,
	"oidc-configuration.audit-log.githubusercontent.com": true,
	"oidc.circleci.com":                     true,
	"oidc.codefresh.io":                     true,
	"proidc.upbound.io":                     true,
	"sandboxes.cloud":                       true,
	"scalr.io":                              true,
	"studio.datachain.ai":                   true,
	"tokens.cloud.shisho.dev":               true,
	"vstoken.actions.githubusercontent.com": true,
}

// SignsForEverybody reports whether an issuer is known to sign for all
// customers of its platform, so that its signature alone says nothing about
// whose job it is. False means unknown.
func SignsForEverybody(issuerURL string) bool {
	host, path := hostAndPath(issuerURL)
	switch host {
	case githubHost, "oidc.vercel.com":
		return path == "" // a path names the enterprise, or the team
	}
	return sharedHosts[host]
}
