package cognito

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/cloudformation"
)

// File is a file that was read.
type File struct {
	Name string // for messages
	Data []byte
}

// Options say what the files may not tell.
type Options struct {
	// Account is the pools' account, where the files do not name it.
	Account string
	// PoolIDs are the ids of pools that a template makes, by logical id.
	PoolIDs map[string]string
	// Known are the issuers that are configured already.
	Known []config.Issuer
}

// Import reads files, in any order, and joins what belongs to one pool. A file
// with a mistake does not keep the others from being read.
func Import(files []File, o Options) Imported {
	r := &reader{opts: o, pools: map[string]*draft{}, clients: map[string]clientIDs{}}
	total := 0
	for _, f := range files {
		if total += len(f.Data); total > MaxTotal {
			r.problem(source.Position{File: f.Name}, "expected at most %d MiB in all; name fewer files", MaxTotal>>20)
			break
		}
		r.file(f)
	}
	for id := range o.PoolIDs {
		if !r.used[id] {
			r.problem(source.Position{}, "no template has a pool %.100q", id)
		}
	}
	return r.finish()
}

// reader collects what belongs to each pool.
type reader struct {
	opts    Options
	pools   map[string]*draft // by key
	order   []string
	clients map[string]clientIDs // of IAM's providers, by their name
	used    map[string]bool      // of opts.PoolIDs

	out    Imported
	untold int // problems and notes that were not kept
}

// draft is what the files say of one pool.
type draft struct {
	key   string
	id    string // "" where it is not known
	label string // its id, or its logical id
	pool  *part
	roles *part
	tags  []*part
	// Two files contradict one another on the pool itself, or on its roles.
	poolTwice, rolesTwice bool
}

// part is one answer of Cognito's API, or one resource.
type part struct {
	node *source.Node
	in   *template // nil: no template
}

// clientIDs are the audiences that a provider of IAM takes.
type clientIDs struct {
	ids  []string
	open bool // there may be more
}

func (r *reader) problem(at source.Position, format string, args ...any) {
	r.problems(&source.Error{Position: at, Message: fmt.Sprintf(format, args...)})
}

// maxTold is how many problems, and how many notes, are kept.
const maxTold = 10_000

func (r *reader) note(kind NoteKind, pool string, at source.Position, do, format string, args ...any) {
	if len(r.out.Notes) >= maxTold {
		r.untold++
		return
	}
	r.out.Notes = append(r.out.Notes, Note{Kind: kind, Pool: pool, What: fmt.Sprintf(format, args...), Do: do, Position: at})
}

func (r *reader) file(f File) {
	start := source.Position{File: f.Name, Line: 1, Column: 1}
	if len(f.Data) > MaxFile {
		r.problem(source.Position{File: f.Name}, "expected at most %d MiB, found more", MaxFile>>20)
		return
	}
	body := bytes.TrimLeft(bytes.TrimPrefix(f.Data, []byte("\xef\xbb\xbf")), " \t\r\n")
	read := func() ([]*source.Node, error) { return source.ParseYAML(f.Name, f.Data, nil) }
	if bytes.HasPrefix(body, []byte("{")) || bytes.HasPrefix(body, []byte("[")) {
		read = func() ([]*source.Node, error) { return source.ParseJSON(f.Name, f.Data) }
	}
	values, err := read()
	if err != nil {
		r.problems(err)
		return
	}
	values = slices.DeleteFunc(values, func(n *source.Node) bool { return n.Kind == source.KindNull })
	if len(values) == 0 {
		r.problem(start, "the file is empty; %s", expected)
	}
	for _, v := range values {
		switch {
		case !cloudformation.Is(v):
			r.document(v)
		case len(values) > 1:
			r.problem(v.Position, "a template stands alone in its file")
		default:
			r.template(f)
		}
	}
}

const expected = "expected what describe-identity-pool, get-identity-pool-roles or get-principal-tag-attribute-map of 'aws cognito-identity' print, or a CloudFormation template"

// document reads one answer of the AWS command line.
func (r *reader) document(n *source.Node) {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return n.Get(name) != nil })
	}
	switch {
	case n.Kind == source.KindList:
		for _, item := range n.Items {
			if item.Kind == source.KindList {
				r.problem(item.Position, "%s, found a list within a list", expected)
				continue
			}
			r.document(item)
		}
	case n.Kind != source.KindMap:
		r.problem(n.Position, "%s, found %s", expected, n.Kind)
	case n.Get("operation") != nil && n.Get("input") != nil: // as stint export cognito writes it
		r.operation(n)
	case has("IdentityPools"):
		r.problem(n.Position, "this is what list-identity-pools prints; give what describe-identity-pool prints of each")
	case has("ClientIDList"):
		r.provider(&part{node: n}, "Url", "ClientIDList")
	case !has("IdentityPoolId") && has("IdentityPoolName", "Roles", "RoleMappings", "IdentityProviderName"):
		r.problem(n.Position, "no IdentityPoolId says which pool this is")
	case !has("IdentityPoolId"):
		r.problem(n.Position, "%s, found an object with %s", expected, keys(n))
	default:
		r.identityPool(&part{node: n})
	}
}

// operation reads one of the calls that Export writes.
func (r *reader) operation(n *source.Node) {
	if in := n.Get("input"); in.Kind != source.KindMap || in.Get("operation") != nil {
		r.problem(in.Position, "input: expected an object, found %s", in.Kind)
	} else {
		r.document(in)
	}
}

// keys are the first members of an object, for a message.
func keys(n *source.Node) string {
	var names []string
	for _, f := range n.Fields[:min(len(n.Fields), 5)] {
		names = append(names, fmt.Sprintf("%.40q", f.Name))
	}
	if len(names) == 0 {
		return "no members"
	}
	return strings.Join(names, ", ")
}

// identityPool files an answer under its pool.
func (r *reader) identityPool(p *part) {
	id := p.node.Get("IdentityPoolId")
	s, ok := id.Text.Known()
	if id.Kind != source.KindString || !ok || !config.ValidPoolID(s) {
		r.problem(id.Position, "IdentityPoolId: expected an id such as eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f, found %.100s", id)
		return
	}
	d := r.draft(s, s, s)
	switch n := p.node; {
	case d == nil:
	case n.Get("IdentityPoolName") != nil:
		r.described(d, p)
	case n.Get("IdentityProviderName") != nil:
		r.tagged(d, p)
	case n.Get("Roles") != nil || n.Get("RoleMappings") != nil || bare(n):
		r.attached(d, p)
	default:
		r.problem(n.Position, "%s, found an object with %s", expected, keys(n))
	}
}

// bare reports whether an answer holds the pool's id alone, as that of
// get-identity-pool-roles does where no roles are set.
func bare(n *source.Node) bool {
	for _, f := range n.Fields {
		if f.Name != "IdentityPoolId" && f.Name != "ResponseMetadata" {
			return false
		}
	}
	return true
}

// draft is the pool of a key; nil where there are too many.
func (r *reader) draft(key, id, label string) *draft {
	d, ok := r.pools[key]
	if ok {
		return d
	}
	if len(r.order) >= config.MaxPools {
		if len(r.order) == config.MaxPools {
			r.problem(source.Position{}, "expected at most %d pools, found more", config.MaxPools)
			r.order = append(r.order, "")
		}
		return nil
	}
	d = &draft{key: key, id: id, label: label}
	r.pools[key] = d
	r.order = append(r.order, key)
	return d
}

func (r *reader) described(d *draft, p *part) {
	if d.pool == nil {
		d.pool = p
	} else if !d.poolTwice && d.pool.node.String() != p.node.String() {
		d.poolTwice = true
		r.problem(p.node.Position, "the pool %s is described twice, first at %s", d.label, place(d.pool.node.Position))
	}
}

func (r *reader) attached(d *draft, p *part) {
	if d.roles == nil {
		d.roles = p
	} else if !d.rolesTwice && d.roles.node.String() != p.node.String() {
		d.rolesTwice = true
		r.problem(p.node.Position, "the roles of the pool %s stand twice, first at %s", d.label, place(d.roles.node.Position))
	}
}

func (r *reader) tagged(d *draft, p *part) {
	d.tags = append(d.tags, p)
}

// provider reads an OpenID Connect provider of IAM, for its client ids, which
// are the audiences that Cognito accepts.
func (r *reader) provider(p *part, url, list string) {
	u := p.node.Get(url)
	if u == nil || u.Kind != source.KindString {
		r.problem(p.node.Position, "%s: expected the provider's URL", url)
		return
	}
	name, ok := u.Text.Known()
	if !ok {
		return
	}
	c := clientIDs{open: p.node.Has(list) == source.Unknown}
	if l := p.node.Get(list); l != nil {
		c.open = c.open || l.Open || l.Kind == source.KindUnknown
		for _, item := range l.List() {
			s, ok := item.Text.Known()
			if item.Kind != source.KindString || !ok {
				c.open = true
				continue
			}
			c.ids = append(c.ids, s)
		}
	}
	name = strings.TrimPrefix(name, "https://")
	if known, twice := r.clients[name]; twice && !slices.Equal(known.ids, c.ids) {
		c.open = true // of two accounts, say: neither is taken for the pool's
	}
	r.clients[name] = c
}

// place is where something stands, for a message.
func place(p source.Position) string {
	if p.File == "" {
		return "its place in the input"
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}
