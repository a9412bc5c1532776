package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// world is an inventory in words: a role with its policies, and what stands
// beside it.
type world struct {
	arn       string // of the role; deploy of account 111111111111 by default
	trust     string
	identity  string
	boundary  string
	tags      map[string]string
	clientIDs []string // of GitHub's provider in the same account
	rules     string   // of a stint.yaml
	noRole    bool
}

const deployARN = "arn:aws:iam::111111111111:role/deploy"

func node(t *testing.T, file, text string) *source.Node {
	t.Helper()
	nodes, err := source.ParseJSON(file, []byte(text))
	if err != nil || len(nodes) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	return nodes[0]
}

// hide takes parts of a document for ones that only a deployment tells: @@ within
// a value or a key becomes a variable, a member of this name stands for further
// ones.
func hide(n *source.Node) *source.Node {
	out := *n
	if n.Kind == source.KindString {
		text, _ := n.Text.Known()
		if text == "@@" {
			return &source.Node{Position: n.Position, Text: source.UnknownText("var.value").At(n.Position, n.Span)}
		}
		if before, after, found := strings.Cut(text, "@@"); found {
			out.Text = source.Join(source.Literal(before), source.UnknownText("${var.value}"), source.Literal(after)).At(n.Position, n.Span)
		}
	}
	out.Items, out.Fields = nil, nil
	for _, i := range n.Items {
		out.Items = append(out.Items, hide(i))
	}
	for _, f := range n.Fields {
		if f.Name == "@@" {
			out.Open = true
			continue
		}
		key := f.Key
		if before, after, found := strings.Cut(f.Name, "@@"); found {
			key = source.Join(source.Literal(before), source.UnknownText("${var.value}"), source.Literal(after)).At(key.Position, key.Span)
		}
		out.Fields = append(out.Fields, source.NewField(key, hide(f.Value)))
	}
	return &out
}

func (w world) inventory(t *testing.T) *inventory.Inventory {
	t.Helper()
	inv := &inventory.Inventory{}
	if w.arn == "" {
		w.arn = deployARN
	}
	if !w.noRole {
		r := inventory.Role{Address: "deploy", Position: source.Position{File: "roles.json", Line: 1, Column: 1}, ARN: source.Literal(w.arn)}
		if parts := strings.Split(w.arn, ":"); len(parts) > 4 {
			r.AccountID = parts[4]
		}
		if w.trust != "" {
			r.Trust = inventory.ParsePolicy(hide(node(t, "trust.json", w.trust)))
		}
		if w.identity != "" {
			r.Identity = append(r.Identity, inventory.AttachedPolicy{Name: "inline", Policy: inventory.ParsePolicy(hide(node(t, "identity.json", w.identity)))})
		}
		if w.boundary != "" {
			r.Boundary = &inventory.AttachedPolicy{Name: "boundary", Policy: inventory.ParsePolicy(hide(node(t, "boundary.json", w.boundary)))}
		}
		for key, value := range w.tags {
			r.Tags = append(r.Tags, inventory.Tag{Key: source.Literal(key).At(source.Position{File: "roles.json", Line: 2, Column: 1}, source.Span{}), Value: source.Literal(value)})
		}
		inv.Roles = append(inv.Roles, r)
	}
	if w.clientIDs != nil {
		v := inventory.Provider{Address: "github", ARN: source.Literal(account + github), URL: source.Literal("https://" + github), AccountID: "111111111111"}
		for _, id := range w.clientIDs {
			if id == "@@" {
				v.ClientIDsOpen = true
				continue
			}
			v.ClientIDs = append(v.ClientIDs, source.Literal(id))
		}
		inv.Providers = append(inv.Providers, v)
	}
	if w.rules != "" {
		inv.Configs = append(inv.Configs, inventory.Configuration{File: "stint.yaml", Config: brokerConfig(t, w.rules)})
	}
	return inv
}

// brokerConfig is a configuration with these rules. What stands before rules:
// replaces the issuers.
func brokerConfig(t *testing.T, rules string) *config.Config {
	t.Helper()
	issuers, rest, found := strings.Cut(rules, "rules:")
	if !found {
		issuers, rest = issuersByID, rules
	}
	text := "issuer: https://stint.example.com\nstore: sqlite:stint.db\nissuers:\n" + issuers + "rules:\n" + rest
	c, err := config.Parse("stint.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%s\n%s", text, err)
	}
	return c
}

const (
	issuersByID = `  github: {url: "https://token.actions.githubusercontent.com", audiences: [stint], only: {repository_owner_id: "65"}}
`
	issuersByName = `  github: {url: "https://token.actions.githubusercontent.com", audiences: [stint], only: {repository_owner: octo-org}}
`
	issuersTwoOwners = `  github: {url: "https://token.actions.githubusercontent.com", audiences: [stint], only: {repository_owner_id: ["65", "66"]}}
`
	issuersRepository = `  github: {url: "https://token.actions.githubusercontent.com", audiences: [stint], only: {repository_id: "74"}}
`
)

// allowRule is a rule with this match, and further lines of aws.
func allowRule(name, match string, more ...string) string {
	lines := fmt.Sprintf("  - name: %s\n    match: %s\n    aws:\n      roles: [%q]\n", name, match, deployARN)
	for _, m := range more {
		if strings.HasPrefix(m, "when:") {
			lines += "    " + m + "\n"
			continue
		}
		lines += "      " + m + "\n"
	}
	return lines
}

func denyRule(name, match string) string {
	return fmt.Sprintf("  - name: %s\n    effect: deny\n    match: %s\n", name, match)
}

type worldCase struct {
	name string
	world
	want string // what the first message holds; "unknown: ..." for one that is unknown; empty for silence
}

func runWorlds(t *testing.T, rule string, cases []worldCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(rule+"/"+c.name, func(t *testing.T) {
			found, unknown := by(Run(c.inventory(t), Options{}), rule)
			want, isUnknown := strings.CutPrefix(c.want, "unknown: ")
			got := found
			if isUnknown {
				got = unknown
			}
			switch {
			case c.want == "":
				if len(found)+len(unknown) > 0 {
					t.Errorf("fired: %+v", slices.Concat(found, unknown))
				}
				return
			case len(got) == 0:
				t.Fatalf("silent: found %+v, unknown %+v", found, unknown)
			}
			for _, f := range got {
				if f.Position.IsZero() || f.Position.File == "" || f.Fix == "" || f.Severity == "" {
					t.Errorf("incomplete: %+v", f)
				}
			}
			if !strings.Contains(got[0].Message, want) {
				t.Errorf("says %q, want %q in it", got[0].Message, want)
			}
		})
	}
}

const (
	goodSub  = `"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main","gh:aud":"sts.amazonaws.com"`
	trusted  = `{"StringEquals":{` + goodSub + `}}`
	ofBroker = `{"StringEquals":{"gh:sub":"github:repo:octo-org/octo-repo:environment:prod","gh:aud":"sts.amazonaws.com"}}`
)

func allowIdentity(condition string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::octo/*","Condition":` + condition + `}]}`
}

func TestForeignProvider(t *testing.T) {
	runWorlds(t, "foreign-provider", []worldCase{
		{"other account", world{trust: trustOf(trusted), arn: "arn:aws:iam::222222222222:role/deploy"}, "one of account 111111111111"},
		{"same account", world{trust: trustOf(trusted)}, ""},
		{"the role's account is not known", world{trust: trustOf(trusted), arn: "deploy"}, ""},
		{"the provider's account is not known", world{trust: strings.ReplaceAll(trustOf(trusted), "111111111111", "@@")}, ""},
		{"several, one foreign", world{trust: strings.ReplaceAll(trustOf(trusted), `"`+account+github+`"`, `["`+account+github+`","arn:aws:iam::333333333333:oidc-provider/`+github+`"]`)}, "one of account 333333333333"},
		{"a Deny", world{arn: "arn:aws:iam::222222222222:role/deploy", trust: strings.ReplaceAll(trustOf(trusted), `"Allow"`, `"Deny"`)}, ""},
		{"a role of another account", world{trust: statements(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/ci"},"Action":"sts:AssumeRole"}`)}, ""},
	})
}

func TestAudience(t *testing.T) {
	noAud := trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"}}`)
	runWorlds(t, "audience-missing", []worldCase{
		{"no provider read", world{trust: noAud}, "nothing tests the audience"},
		{"one client id", world{trust: noAud, clientIDs: []string{"sts.amazonaws.com"}}, ""},
		{"two client ids", world{trust: noAud, clientIDs: []string{"sts.amazonaws.com", "https://github.com/octo-org"}}, "nothing tests the audience"},
		{"further client ids may be", world{trust: noAud, clientIDs: []string{"sts.amazonaws.com", "@@"}}, "nothing tests the audience"},
		{"further conditions may be", world{trust: trustOf(`{"StringEquals":{"gh:sub":"repo:octo-org/octo-repo:ref:refs/heads/main"},"@@":{}}`)}, "unknown: whether the audience"},
	})
	runWorlds(t, "audience-unlisted", []worldCase{
		{"listed", world{trust: trustOf(trusted), clientIDs: []string{"x", "sts.amazonaws.com"}}, ""},
		{"not listed", world{trust: trustOf(trusted), clientIDs: []string{"https://github.com/octo-org"}}, `does not list the audience "sts.amazonaws.com"`},
		{"second value not listed", world{trust: trustOf(`{"StringEquals":{"gh:aud":["sts.amazonaws.com","other"]}}`), clientIDs: []string{"sts.amazonaws.com"}}, `"other"`},
		{"another case of letters", world{trust: trustOf(trusted), clientIDs: []string{"STS.amazonaws.com"}}, "does not list"},
		{"a pattern", world{trust: trustOf(`{"StringLike":{"gh:aud":"sts.*"}}`), clientIDs: []string{"sts.amazonaws.com"}}, ""},
		{"a pattern of nothing", world{trust: trustOf(`{"StringLike":{"gh:aud":"api.*"}}`), clientIDs: []string{"sts.amazonaws.com"}}, "does not list"},
		{"negated", world{trust: trustOf(`{"StringNotEquals":{"gh:aud":"other"}}`), clientIDs: []string{"sts.amazonaws.com"}}, ""},
		{"no list read", world{trust: trustOf(trusted)}, ""},
		{"list is open", world{trust: trustOf(trusted), clientIDs: []string{"x", "@@"}}, ""},
		{"unknown value", world{trust: trustOf(`{"StringEquals":{"gh:aud":"@@"}}`), clientIDs: []string{"x"}}, "unknown: whether the provider"},
		{"partly unknown value", world{trust: trustOf(`{"StringEquals":{"gh:aud":"https://@@"}}`), clientIDs: []string{"https://a"}}, "unknown: whether the provider"},
		{"partly unknown value that cannot be", world{trust: trustOf(`{"StringEquals":{"gh:aud":"https://@@"}}`), clientIDs: []string{"sts.amazonaws.com"}}, "does not list"},
	})
}

func TestInvalidPolicy(t *testing.T) {
	good := allowIdentity(`{}`)
	runWorlds(t, "invalid-policy", []worldCase{
		{"good", world{trust: trustOf(trusted), identity: good, boundary: good}, ""},
		{"effect", world{trust: strings.Replace(trustOf(trusted), `"Allow"`, `"Permit"`, 1)}, "Effect"},
		{"operator", world{trust: trustOf(`{"StringEqual":{"gh:sub":"x"}}`)}, "StringEqual"},
		{"principal", world{trust: statements(`{"Effect":"Allow","Principal":"octo","Action":"sts:AssumeRole"}`)}, "Principal"},
		{"no principal", world{trust: statements(`{"Effect":"Allow","Action":"sts:AssumeRole"}`)}, "needs a Principal"},
		{"resource", world{trust: statements(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}`)}, "no Resource"},
		{"action", world{trust: statements(`{"Effect":"Allow","Principal":"*","Action":["sts:AssumeRole","s3:GetObject"]}`)}, "actions of sts only"},
		{"every action of sts", world{trust: statements(`{"Effect":"Allow","Principal":"*","Action":"STS:*"}`)}, ""},
		{"identity with a principal", world{identity: statements(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`)}, "no Principal"},
		{"identity without a resource", world{identity: statements(`{"Effect":"Allow","Action":"s3:*"}`)}, "needs a Resource"},
		{"boundary", world{boundary: statements(`{"Effect":"Allow","Action":"s3:*"}`)}, "needs a Resource"},
		{"partly unknown and wrong", world{trust: trustOf(`{"StringEquals":"@@x"}`)}, "StringEquals"},
		{"wholly unknown", world{trust: `"@@"`}, ""},
	})
}
