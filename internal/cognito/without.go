package cognito

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/source"
)

// withoutEqual names what a pool has that stint does not know.
func (c *carrier) withoutEqual() {
	p := c.d.pool
	if c.flag(p, "AllowUnauthenticatedIdentities", "") {
		c.note(p.node.Get("AllowUnauthenticatedIdentities").Position, "leave them with Cognito: stint gives nothing without a token", "unauthenticated identities")
	}
	for _, f := range p.node.Fields {
		if f.Value.Kind == source.KindNull || len(f.Value.Items)+len(f.Value.Fields) == 0 && (f.Value.Kind == source.KindList || f.Value.Kind == source.KindMap) && !f.Value.Open {
			continue
		}
		c.member(f)
	}
}

func (c *carrier) member(f source.Field) {
	at := f.Key.Position
	switch f.Name {
	case "IdentityPoolId", "IdentityPoolName", "AllowUnauthenticatedIdentities", "AllowClassicFlow", "OpenIdConnectProviderARNs", "ResponseMetadata":
	case "DeveloperProviderName":
		c.note(at, "let your backend sign OpenID Connect tokens, and add it under issuers: and providers:", "the developer provider %.100s", f.Value)
	case "CognitoIdentityProviders":
		for _, item := range f.Value.List() {
			c.note(item.Position, "a user pool signs OpenID Connect tokens: add https://cognito-idp.REGION.amazonaws.com/POOL under issuers:, with the app client as its audience, and under providers:",
				"the Cognito user pool %.150s", described(item, "ProviderName"))
		}
	case "SamlProviderARNs":
		for _, item := range f.Value.List() {
			c.note(item.Position, "SAML is for people: use IAM Identity Center, or leave it with Cognito", "the SAML provider %.200s", described(item, ""))
		}
	case "SupportedLoginProviders":
		for _, login := range f.Value.Fields {
			do := "it signs in people: leave it with Cognito"
			if login.Name == "accounts.google.com" || login.Name == "appleid.apple.com" {
				do = "it signs OpenID Connect tokens: add https://" + login.Name + " under issuers:, with the app's id as its audience and only:, and under providers:"
			}
			c.note(login.Key.Position, do, "the login provider %.128s", login.Name)
		}
		if f.Value.Kind != source.KindMap {
			c.note(at, "leave them with Cognito", "the login providers %.100s", f.Value)
		}
	case "CognitoEvents", "CognitoStreams", "PushSync":
		c.note(at, "Cognito Sync has no place here; to act on what the broker decides, read 'stint audit follow'", "%s", f.Name)
	case "IdentityPoolTags":
		c.note(at, "a pool in stint.yaml has no tags; write a comment", "the tags of the pool itself")
	default:
		c.note(at, "see what it is for in the Amazon Cognito API reference", "%.64q, which stint does not know", f.Name)
	}
}

// described is what a list's item is for a message: one of its members, or it
// itself.
func described(n *source.Node, member string) string {
	if v := n.Get(member); v != nil {
		n = v
	}
	if n.Kind == source.KindList || n.Kind == source.KindMap {
		return n.String()
	}
	return n.Text.String()
}

// strays names the principal tag maps of what is none of the pool's providers.
func (c *carrier) strays() {
	taken := map[string]bool{}
	for _, v := range c.out.Providers {
		taken[plainName(v.Provider)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(c.tagsOf)) {
		at := c.tagsOf[name][0].node.Position
		switch {
		case taken[name] || c.lost[name]:
		case name == "":
			c.problem(at, "%s: it is not known which provider the principal tags are of", c.d.label)
		default:
			c.note(at, "the pool has no such OpenID Connect provider", "the principal tags of %.200s", name)
		}
	}
}

// newIssuer is the issuer whose provider has this name, called as nobody of
// taken is.
func newIssuer(provider string, taken map[string]bool) Issuer {
	i := Issuer{URL: "https://" + provider}
	i.Shared = identity.SignsForEverybody(i.URL)
	name := string(identity.PlatformOf(i.URL))
	if name == string(identity.Generic) {
		host, _, _ := strings.Cut(provider, "/")
		name = strings.Trim(strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				return c
			}
			return '-'
		}, host), "-0123456789")
		name = strings.TrimRight(name[:min(len(name), 28)], "-")
		if name == "" {
			name = "issuer"
		}
	}
	i.Name = name
	for n := 2; taken[i.Name]; n++ {
		i.Name = name + "-" + strconv.Itoa(n)
	}
	return i
}
