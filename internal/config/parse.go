package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	cleaned "path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/stint-dev/stint/internal/identity"
)

// The defaults of a file.
const (
	defaultListen   = "127.0.0.1:8180"
	defaultStore    = "sqlite:stint.db"
	defaultLifetime = 5 * time.Minute
	defaultRotate   = 720 * time.Hour
	defaultRegion   = "us-east-1"
	defaultAudience = "sts.amazonaws.com"
	defaultTimeout  = 10 * time.Second
	defaultDuration = time.Hour
)

// The limits of AWS STS on a session's duration.
const (
	minSession = 15 * time.Minute
	maxSession = 12 * time.Hour
)

// Parse reads a file's content. name stands for the file in messages.
func Parse(name string, data []byte) (*Config, error) {
	c := &Config{
		file:          name,
		Listen:        defaultListen,
		Store:         defaultStore,
		TokenLifetime: defaultLifetime,
		Signing:       Signing{Algorithm: "ES256", Rotate: defaultRotate},
		AWS:           AWS{Region: defaultRegion, Audience: defaultAudience, Timeout: defaultTimeout},
	}
	r := &reader{cfg: c}
	if text, ok := r.plain(data); ok {
		c.lines = strings.Split(text, "\n")
		if body := r.parseTree(text); body != nil {
			r.file(body)
		}
	}
	if err := r.problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (r *reader) file(body ast.Node) {
	c := r.cfg
	missing := r.mapping(body, "", map[string]func(ast.Node){
		"issuer":         func(n ast.Node) { c.Issuer = r.brokerIssuer(n) },
		"listen":         func(n ast.Node) { c.Listen = r.listen(n) },
		"store":          func(n ast.Node) { c.Store = r.store(n) },
		"token_lifetime": func(n ast.Node) { c.TokenLifetime = r.duration(n, "token_lifetime", time.Minute, 15*time.Minute) },
		"signing":        r.signing,
		"aws":            r.aws,
		"issuers":        r.issuers,
		"rules":          r.rules,
		"pools":          r.pools,
	})
	start := pos(body)
	if missing("issuer") {
		r.failAt(start, "", "add issuer: https://stint.example.com", "the broker's own issuer is missing")
	}
	if missing("issuers") {
		r.failAt(start, "", "add issuers: with the CI system whose tokens are accepted", "no issuers are configured")
	}
	if missing("rules") && missing("pools") {
		r.failAt(start, "", "add rules:, or rules: [] to deny everything", "there are no rules")
	}
	r.ruleIssuers()
	r.poolIssuers()
	r.sessions()
	for _, i := range c.Issuers {
		if i.URL == c.Issuer && i.URL != "" {
			r.failAt(i.Pos, "issuers."+i.Name, "trust the CI systems only",
				"this is the broker's own issuer: whoever holds a stint token could exchange it for a fresh one without end")
		}
	}
}

func (r *reader) signing(n ast.Node) {
	s := &r.cfg.Signing
	r.mapping(n, "signing", map[string]func(ast.Node){
		"algorithm": func(n ast.Node) { s.Algorithm = r.choice(n, "signing.algorithm", "ES256", "RS256") },
		"rotate":    func(n ast.Node) { s.Rotate = r.duration(n, "signing.rotate", 24*time.Hour, 8760*time.Hour) },
	})
}

func (r *reader) choice(n ast.Node, path string, choices ...string) string {
	t, ok := r.text(n, path)
	if ok && !slices.Contains(choices, t.Value) {
		r.fail(n, path, "", "expected %s, found %q", strings.Join(choices, " or "), t.Value)
	}
	return t.Value
}

var region = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+-[0-9]+$`)

func (r *reader) aws(n ast.Node) {
	a := &r.cfg.AWS
	r.mapping(n, "aws", map[string]func(ast.Node){
		"region": func(n ast.Node) {
			t, ok := r.text(n, "aws.region")
			if ok && !region.MatchString(t.Value) {
				r.fail(n, "aws.region", "", "expected a region such as eu-central-1, found %q", t.Value)
			}
			a.Region = t.Value
		},
		"endpoint": func(n ast.Node) { a.Endpoint = r.secureURL(n, "aws.endpoint") },
		"audience": func(n ast.Node) {
			t, ok := r.text(n, "aws.audience")
			if ok && !validAudience(t.Value) {
				r.fail(n, "aws.audience", "", "expected 1 to 255 printable characters without a space, found %q", t.Value)
			}
			a.Audience = t.Value
		},
		"session_tags": r.sessionTags,
		"known_roles": func(n ast.Node) {
			for _, t := range r.oneOrMore(n, "aws.known_roles") {
				a.KnownRoles = append(a.KnownRoles, t.Value)
			}
		},
		"timeout": func(n ast.Node) { a.Timeout = r.duration(n, "aws.timeout", time.Second, time.Minute) },
	})
}

func validAudience(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(c rune) bool { return c <= 0x20 || c > 0x7e })
}

// brokerIssuer is what AWS takes for a provider's URL.
func (r *reader) brokerIssuer(n ast.Node) string {
	const path = "issuer"
	s := r.secureURL(n, path)
	u, err := url.Parse(s)
	switch {
	case s == "" || err != nil:
		return s
	case strings.HasSuffix(s, "/"):
		r.fail(n, path, "write "+strings.TrimRight(s, "/"), "the issuer must not end with a slash")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		r.fail(n, path, "", "the issuer must not have a query or a fragment")
	case !plainPath(u):
		r.fail(n, path, "", "expected a plain path, without //, . and .. segments or escapes, found %q", u.EscapedPath())
	case u.Port() != "" && u.Scheme == "https":
		r.warn(pos(n), path, "serve the issuer on port 443", "AWS does not take an issuer with a port")
	}
	return s
}

// plainPath reports whether a URL's path is written in its only way, since
// routers and verifiers would else disagree on it.
func plainPath(u *url.URL) bool {
	p := u.EscapedPath()
	return p == "" || p == cleaned.Clean(p) && !strings.ContainsAny(p, "%{}")
}

// secureURL reads an absolute URL that is https, or http to loopback: keys and
// tokens that travel in the clear can be exchanged on the way.
func (r *reader) secureURL(n ast.Node, path string) string {
	t, ok := r.text(n, path)
	if !ok {
		return ""
	}
	u, err := url.Parse(t.Value)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || strings.ContainsAny(t.Value, " \t\n"):
		r.fail(n, path, "write it as https://HOST", "expected a URL, found %q", t.Value)
	case u.User != nil:
		r.fail(n, path, "", "the URL must not hold a user name or password")
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return t.Value
	case u.Scheme == "http":
		r.fail(n, path, "write https://"+strings.TrimPrefix(t.Value, "http://"), "plain http is for loopback addresses only, found %q", t.Value)
	default:
		r.fail(n, path, "", "expected https, found %q", t.Value)
	}
	return ""
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func (r *reader) listen(n ast.Node) string {
	t, ok := r.text(n, "listen")
	if !ok {
		return ""
	}
	_, port, err := net.SplitHostPort(t.Value)
	if number, convErr := strconv.Atoi(port); err != nil || convErr != nil || number < 0 || number > 65535 {
		r.fail(n, "listen", "write it as 127.0.0.1:8180, or :8180 for all addresses", "expected an address with a port, found %q", t.Value)
	}
	return t.Value
}

func (r *reader) store(n ast.Node) string {
	t, ok := r.text(n, "store")
	if !ok {
		return ""
	}
	scheme, path, _ := strings.Cut(t.Value, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		r.fail(n, "store", "use sqlite:PATH", "a PostgreSQL store is not supported in this version")
	case scheme != "sqlite" || path == "" || strings.HasPrefix(path, ":") || strings.HasSuffix(path, "/"):
		r.fail(n, "store", "write it as sqlite:stint.db", "expected sqlite: and the path of a file, found %q", t.Value)
	}
	return t.Value
}

var issuerName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

func (r *reader) issuers(n ast.Node) {
	all := r.entries(n, "issuers")
	if len(all) > MaxIssuers {
		r.fail(n, "issuers", "", "expected at most %d issuers, found %d", MaxIssuers, len(all))
		return
	}
	urls := map[string]string{}
	for _, e := range all {
		path := "issuers." + e.key
		if !issuerName.MatchString(e.key) {
			r.failAt(e.pos, path, "it begins the subject of every stint token, so it holds no colon",
				"expected a name of a-z, 0-9, _ and -, at most 32 characters, that begins with a letter")
		}
		if e.value == nil {
			r.failAt(e.pos, path, "add url and audiences", "the value is empty")
			continue
		}
		issuer := r.issuer(e, path)
		if first, twice := urls[issuer.URL]; twice && issuer.URL != "" {
			r.failAt(e.pos, path, "one issuer can have several audiences", "it has the same url as %s", first)
		}
		urls[issuer.URL] = e.key
		r.cfg.Issuers = append(r.cfg.Issuers, issuer)
	}
	if _, ok := n.(*ast.MappingNode); ok && len(all) == 0 {
		r.fail(n, "issuers", "add the CI system whose tokens are accepted", "no issuers are configured")
	}
}

func (r *reader) issuer(e entry, path string) Issuer {
	i := Issuer{Name: e.key, Pos: e.pos}
	var only ast.Node
	missing := r.mapping(e.value, path, map[string]func(ast.Node){
		"url": func(n ast.Node) { i.URL = r.secureURL(n, path+".url") },
		"audiences": func(n ast.Node) {
			for _, t := range r.oneOrMore(n, path+".audiences") {
				if strings.TrimSpace(t.Value) == "" {
					r.failAt(t.Pos, path+".audiences", "", "an audience is empty")
				}
				if strings.Contains(t.Value, "*") {
					r.failAt(t.Pos, path+".audiences", "name each audience", "audiences are compared to the letter, and * stands for itself: %q", t.Value)
				}
				i.Audiences = append(i.Audiences, t.Value)
			}
		},
		"only":     func(n ast.Node) { only = n; i.Only = r.matches(n, path+".only") },
		"jwks_url": func(n ast.Node) { i.JWKSURL = r.secureURL(n, path+".jwks_url") },
		"jwks_file": func(n ast.Node) {
			t, ok := r.text(n, path+".jwks_file")
			if ok && t.Value == "" {
				r.fail(n, path+".jwks_file", "name the file, or leave the key out", "the value is empty")
			}
			i.JWKSFile = t.Value
		},
		"platform": func(n ast.Node) {
			i.Platform = identity.Platform(r.choice(n, path+".platform",
				string(identity.GitHub), string(identity.GitLab), string(identity.Buildkite), string(identity.CircleCI)))
		},
	})
	// The platform says which claims name a tenant, so a wrong one would pass
	// claims that the caller chooses for ones that the platform vouches for.
	switch known := identity.PlatformOf(i.URL); {
	case i.Platform == identity.Generic:
		i.Platform = known
	case known != identity.Generic && known != i.Platform:
		r.failAt(e.pos, path+".platform", "leave platform out", "%s is %s, not %s", i.URL, known, i.Platform)
	}
	if missing("url") {
		r.failAt(e.pos, path, "add url: https://token.actions.githubusercontent.com", "the issuer has no url")
	}
	if missing("audiences") {
		r.failAt(e.pos, path, "add audiences: ["+cmp.Or(r.cfg.Issuer, "https://stint.example.com")+"]", "the issuer has no audiences: a token meant for somebody else would be accepted")
	}
	if i.JWKSURL != "" && i.JWKSFile != "" {
		r.failAt(e.pos, path, "keep one of them", "both jwks_url and jwks_file are given")
	}
	r.tenant(i, only, path)
	return i
}

// matches reads claims with the values that they may have.
func (r *reader) matches(n ast.Node, path string) []Match {
	var all []Match
	for _, e := range r.entries(n, path) {
		at := join(path, e.key)
		if !claimName.MatchString(e.key) {
			r.failAt(e.pos, at, "", "%q names no claim", e.key)
			continue
		}
		if e.value == nil {
			r.failAt(e.pos, at, "give it a value", "the value is empty")
			continue
		}
		m := Match{Claim: e.key, Patterns: r.oneOrMore(e.value, at), Pos: e.pos}
		if len(m.Patterns) > 0 {
			all = append(all, m)
		}
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) == 0 {
		r.fail(n, path, "name a claim and its value", "nothing is matched")
	}
	return all
}
