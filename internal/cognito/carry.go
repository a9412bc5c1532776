package cognito

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/source"
)

// carrier carries one pool over.
type carrier struct {
	*reader
	d     *draft
	out   Pool
	scene scene

	lost    map[string]bool    // providers that were left out, by name
	tagsOf  map[string][]*part // by the name of the provider; "": not known
	perhaps bool               // the pool has a default role, known or not
}

func (c *carrier) note(at source.Position, do, format string, args ...any) {
	c.reader.note(NoEqual, c.d.label, at, do, format, args...)
}

func (c *carrier) unknown(at source.Position, path, format string, args ...any) {
	u := Unknown{Path: path, Why: fmt.Sprintf(format, args...)}
	c.out.Unknown = append(c.out.Unknown, u)
	c.problem(at, "%s: %s is not known: %s", c.d.label, path, u.Why)
}

// finish makes the pools, and the issuers that they need.
func (r *reader) finish() Imported {
	r.out.Issuers, r.out.Pools = []Issuer{}, []Pool{}
	names := map[string]bool{}
	for _, key := range r.order {
		d := r.pools[key]
		if d == nil {
			continue
		}
		if d.pool == nil {
			at := cmp.Or(d.roles, firstOf(d.tags))
			if at == nil {
				continue // told where it was read
			}
			r.problem(at.node.Position, "%s: the pool itself is missing; give what 'aws cognito-identity describe-identity-pool' prints of it too", d.label)
			continue
		}
		c := &carrier{reader: r, d: d, lost: map[string]bool{}}
		if !c.carry() {
			continue
		}
		if names[c.out.Name] && c.out.Name != "" {
			r.note(NoEqual, d.label, c.out.at, "give it a name of its own", "the name %q, which another pool has", c.out.Name)
			c.out.Name = ""
		}
		names[c.out.Name] = true
		r.out.Pools = append(r.out.Pools, c.out)
	}
	slices.SortStableFunc(r.out.Pools, func(a, b Pool) int { return cmp.Compare(a.label, b.label) })
	r.issuers()
	r.out.check()
	if r.untold > 0 {
		r.out.Problems = append(r.out.Problems, fmt.Errorf("and %d more problems and notes", r.untold))
	}
	if r.out.Notes == nil {
		r.out.Notes = []Note{}
	}
	return r.out
}

func firstOf(parts []*part) *part {
	if len(parts) == 0 {
		return nil
	}
	return parts[0]
}

// carry reports whether anything of the pool was carried over.
func (c *carrier) carry() bool {
	d, n := c.d, c.d.pool.node
	c.out = Pool{ID: d.id, label: d.label, at: n.Position}
	if d.id == "" {
		c.unknown(n.Position, "id", "Cognito gives it when the stack is made; name it with --pool-id %s=REGION:UUID", d.label)
	} else {
		region := regionOf(d.id)
		c.scene = scene{region: region, partition: config.PartitionOf(region)}
	}
	c.tagsOf = map[string][]*part{}
	for _, p := range d.tags {
		name := c.tagProvider(p)
		c.tagsOf[name] = append(c.tagsOf[name], p)
	}
	c.account(n.Get("OpenIdConnectProviderARNs"))
	c.name(n)
	c.out.Classic = c.flag(d.pool, "AllowClassicFlow", "classic")
	c.withoutEqual()
	if d.poolTwice {
		c.unknown(n.Position, "providers", "the pool is described in two ways")
	}
	if d.rolesTwice {
		c.unknown(d.roles.node.Position, "default_role", "the roles stand there in two ways")
	}
	c.roles()
	c.providers()
	c.strays()
	if len(c.out.Providers) == 0 && len(c.out.Unknown) == 0 {
		c.note(n.Position, "nothing of it is left to serve", "the pool itself: no OpenID Connect provider of it could be carried over")
		return false
	}
	return true
}

// account finds the pool's account, which its providers' ARNs name.
func (c *carrier) account(list *source.Node) {
	c.scene.account = c.opts.Account
	for _, item := range list.List() {
		s, open := c.d.pool.resolve(item.Text, c.scene)
		m := providerARN.FindStringSubmatch(s)
		if m == nil || len(open) > 0 || !config.ValidAccount(m[2]) {
			continue
		}
		if c.scene.account == "" {
			c.scene.account = m[2]
		}
		if m[2] != c.scene.account {
			c.unknown(item.Position, "providers", "%.300s is of another account than %s", s, c.scene.account)
		}
	}
	if c.out.Account = c.scene.account; c.out.Account == "" {
		c.unknown(c.d.pool.node.Position, "account", "name it with --account")
	}
}

func (c *carrier) name(n *source.Node) {
	v := n.Get("IdentityPoolName")
	if v == nil || v.Kind == source.KindNull {
		return
	}
	s, open := c.d.pool.resolve(v.Text, c.scene)
	switch {
	case v.Kind != source.KindString && v.Kind != source.KindUnknown:
		c.problem(v.Position, "%s: IdentityPoolName: expected a string, found %s", c.d.label, v.Kind)
	case len(open) > 0:
		c.reader.note(FillIn, c.d.label, v.Position, "add name: to the pool", "its name is not known: %.100s", v)
	case s == derivedName(c.d.id):
	case config.ValidPoolName(s):
		c.out.Name = s
	default:
		c.note(v.Position, "add a name: of letters, digits, _, . and -", "the name %.150q", s)
	}
}

// flag is a member that is true or false; one that is not there is false.
func (c *carrier) flag(p *part, name, path string) bool {
	v := p.node.Get(name)
	if v == nil {
		if p.node.Has(name) == source.Unknown && path != "" {
			c.unknown(p.node.Position, path, "%s", strings.Join(p.node.Text.Unknowns(), " "))
		}
		return false
	}
	s, known := v.Text.Known()
	switch {
	case v.Kind == source.KindNull:
	case v.Kind == source.KindBool, p.in != nil && v.Kind == source.KindString && (s == "true" || s == "false"):
		return s == "true"
	case !known && path != "":
		c.unknown(v.Position, path, "%.200s", v.Text)
	case !known:
		c.problem(v.Position, "%s: %s is not known: %.100s", c.d.label, name, v)
	default:
		c.problem(v.Position, "%s: %s: expected true or false, found %s", c.d.label, name, v.Kind)
	}
	return false
}

// roles reads the roles of the pool. The mappings are the providers'.
func (c *carrier) roles() {
	p := c.d.roles
	if p == nil {
		if c.d.pool.in == nil {
			c.perhaps = true
			c.unknown(c.d.pool.node.Position, "default_role", "give what 'aws cognito-identity get-identity-pool-roles' prints of the pool too: it has the roles and the rules")
		}
		return
	}
	roles := p.node.Get("Roles")
	switch {
	case p.node.Has("Roles") == source.Unknown || roles != nil && (roles.Kind == source.KindUnknown || roles.Open):
		c.perhaps = true
		c.unknown(p.node.Position, "default_role", "Roles is not wholly known")
		return
	case roles == nil || roles.Kind == source.KindNull:
		return
	case roles.Kind != source.KindMap:
		c.perhaps = true
		c.unknown(roles.Position, "default_role", "Roles: expected an object, found %s", roles.Kind)
		return
	}
	for _, f := range roles.Fields {
		switch f.Name {
		case "authenticated":
			c.perhaps = true
			c.out.DefaultRole = c.role(p, f.Value, "default_role")
		case "unauthenticated":
			c.note(f.Key.Position, "leave it with Cognito: stint gives nothing without a token", "the unauthenticated role %.200s", f.Value.Text)
		default:
			c.problem(f.Key.Position, "%s: Roles: expected authenticated or unauthenticated, found %.64q", c.d.label, f.Name)
		}
	}
}

// role is the ARN of a role, or "" where it is not known or cannot stand in
// stint.yaml, which is told.
func (c *carrier) role(p *part, v *source.Node, path string) string {
	s, open := p.resolve(v.Text, c.scene)
	switch {
	case v.Kind != source.KindString && v.Kind != source.KindUnknown:
		c.unknown(v.Position, path, "expected the ARN of a role, found %s", v.Kind)
	case len(open) > 0:
		c.unknown(v.Position, path, "%.200s", v.Text)
	case !config.RoleARN.MatchString(s) || len(s) > 2048:
		c.unknown(v.Position, path, "expected the ARN of a role, found %.200q", s)
	case strings.ContainsAny(s, "{}*?"):
		c.unknown(v.Position, path, "the path of %.200q holds a character that has a meaning in stint.yaml; the role needs another path", s)
	default:
		return s
	}
	return ""
}

// maxProviders is how many providers of a pool stint.yaml takes.
const maxProviders = 100

// providers carries over the OpenID Connect providers.
func (c *carrier) providers() {
	p := c.d.pool
	list := p.node.Get("OpenIdConnectProviderARNs")
	switch {
	case p.node.Has("OpenIdConnectProviderARNs") == source.Unknown, list != nil && (list.Open || list.Kind == source.KindUnknown):
		c.unknown(p.node.Position, "providers", "OpenIdConnectProviderARNs is not wholly known")
	case list == nil || list.Kind == source.KindNull:
		return
	case list.Kind != source.KindList:
		c.unknown(list.Position, "providers", "OpenIdConnectProviderARNs: expected a list, found %s", list.Kind)
		return
	}
	items := list.List()
	if len(items) > maxProviders {
		c.unknown(list.Position, "providers", "expected at most %d providers, found %d", maxProviders, len(items))
		items = items[:maxProviders]
	}
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = c.providerOf(p, item)
	}
	mapped, ok := c.mappings()
	if c.out.Classic && len(mapped) > 0 && slices.ContainsFunc(names, func(name string) bool { return name != "" && mapped[folded(name)].node == nil }) {
		c.out.Classic = false
		c.note(p.node.Get("AllowClassicFlow").Position, "Cognito refuses it where any provider has rules, and stint by provider: write classic: true if the others shall have it", "AllowClassicFlow, in a pool in which some providers have a role mapping and some have none")
	}
	seen, used := map[string]bool{}, map[string]bool{} // names; and folded, of mappings
	for i, item := range items {
		name := names[i]
		switch {
		case name == "":
			continue
		case seen[name]:
			c.problem(item.Position, "%s: the provider %s stands twice", c.d.label, name)
			continue
		}
		seen[name] = true
		if !config.ValidProvider(name) {
			c.lost[name] = true
			c.note(item.Position, "give the issuer a URL of lower case letters, digits, dots and a path", "the provider %.200q", name)
			continue
		}
		told := len(c.out.Unknown)
		leave := func() { // and what is not known of it
			c.lost[name], c.out.Unknown = true, c.out.Unknown[:told]
		}
		v := Provider{Provider: name, Tags: c.tags(name)}
		if arn := c.arn(p, item); arn != "arn:"+c.scene.partition+":iam::"+c.scene.account+":oidc-provider/"+name && arn != "" {
			v.Provider = arn // of another partition than the pool's region is of
		}
		m := mapped[folded(name)]
		used[folded(name)] = true
		switch {
		case !ok: // told already; whoever has no rule could be given too much
			leave()
			continue
		case m.node != nil && !c.rules(&v, m):
			leave()
			continue
		case len(v.Rules) == 0 && !c.perhaps && !c.out.Classic:
			leave()
			c.note(item.Position, "nobody could get a role by it", "the provider %s, which has no rules, in a pool without an authenticated role and without the basic flow", name)
			continue
		}
		c.out.Providers = append(c.out.Providers, v)
	}
	for _, name := range slices.Sorted(maps.Keys(mapped)) {
		if used[name] {
			continue
		}
		c.note(mapped[name].at, "the pool does not have it among OpenIdConnectProviderARNs", "the role mapping of the provider %.200s", name)
	}
}

// providerOf is the name of a provider, which may be known where its account is
// not; "" where it is not.
func (c *carrier) providerOf(p *part, v *source.Node) string {
	s := c.scene
	s.account, s.partition, s.region = cmp.Or(s.account, "-"), cmp.Or(s.partition, "-"), cmp.Or(s.region, "-")
	arn, open := p.resolve(v.Text, s)
	m := providerARN.FindStringSubmatch(arn)
	switch {
	case v.Kind != source.KindString && v.Kind != source.KindUnknown:
		c.unknown(v.Position, "providers", "expected the ARN of a provider, found %s", v.Kind)
	case len(open) > 0:
		c.unknown(v.Position, "providers", "%.200s", v.Text)
	case m == nil || len(arn) > 2048:
		c.unknown(v.Position, "providers", "expected the ARN of an OpenID Connect provider of IAM, found %.200q", arn)
	default:
		return m[3]
	}
	return ""
}

// arn is a provider's ARN where it is known.
func (c *carrier) arn(p *part, v *source.Node) string {
	s, open := p.resolve(v.Text, c.scene)
	if len(open) > 0 || c.scene.account == "" || c.scene.partition == "" {
		return ""
	}
	return s
}

// issuers are those of all providers that are not configured yet.
func (r *reader) issuers() {
	known, taken, seen := map[string]*config.Issuer{}, map[string]bool{}, map[string]bool{}
	for n := range r.opts.Known {
		i := &r.opts.Known[n]
		known[i.URL], taken[i.Name] = i, true
	}
	for _, p := range r.out.Pools {
		for _, v := range p.Providers {
			name := plainName(v.Provider)
			if seen[name] {
				continue
			}
			seen[name] = true
			var ids []string
			if c, ok := r.clients[name]; ok && !c.open {
				ids = audiences(c.ids)
			}
			if i := known["https://"+name]; i != nil {
				ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(i.Audiences, id) })
				if len(ids) > 0 {
					r.note(FillIn, p.label, source.Position{}, "add them while clients still ask for them", "issuers.%s.audiences lacks %.300q, which the provider in IAM accepts", i.Name, ids)
				}
				continue
			}
			if len(taken) >= config.MaxIssuers {
				r.problem(p.at, "expected at most %d issuers, found more", config.MaxIssuers)
				return
			}
			i := newIssuer(name, taken)
			i.Audiences = ids
			taken[i.Name] = true
			r.out.Issuers = append(r.out.Issuers, i)
			if len(ids) == 0 {
				r.note(FillIn, p.label, source.Position{}, "give what 'aws iam get-open-id-connect-provider' prints of it, which has its client ids, or write what the clients ask their tokens for",
					"issuers.%s.audiences: the files do not tell which tokens of %s are meant for the pool", i.Name, i.URL)
			}
			if i.Shared {
				r.note(FillIn, p.label, source.Position{}, "add only: with a claim that names your tenant, best by id",
					"issuers.%s.only: %s signs for everybody, and Cognito let everybody have an identity", i.Name, i.URL)
			}
		}
	}
}

// audiences are the client ids that can stand in stint.yaml.
func audiences(ids []string) []string {
	var all []string
	for _, id := range ids {
		if strings.TrimSpace(id) != "" && !strings.Contains(id, "*") && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}
