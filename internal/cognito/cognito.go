// Package cognito moves Amazon Cognito identity pools into stint.yaml and back.
//
// Import reads what the AWS command line prints of identity pools, and the
// resources of CloudFormation templates. Export writes what the AWS command line
// or CloudFormation takes. Neither guesses: what has no equal on the other side
// is named, and what is left out never lets in more than before.
//
// The shapes are those of the Amazon Cognito Identity API reference
// (IdentityPool, GetIdentityPoolRoles, GetPrincipalTagAttributeMap) and of
// AWS::Cognito::IdentityPool, ...RoleAttachment and ...PrincipalTag.
package cognito

import (
	"regexp"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/source"
)

// MaxFile is the size of the largest file that is read, in bytes.
const MaxFile = 4 << 20

// MaxTotal is how many bytes are read of all files.
const MaxTotal = 64 << 20

// Imported is what Import found.
type Imported struct {
	// Issuers are those that the pools need and Options.Known lacks.
	Issuers []Issuer `json:"issuers"`
	Pools   []Pool   `json:"pools"`
	// Notes name what was not carried over, or is left to fill in.
	Notes []Note `json:"notes"`
	// Problems are mistakes in the files, and what the files do not tell. Each
	// is a *source.Error where it has a place.
	Problems []error `json:"-"`
}

// Complete reports whether the pools can be taken as they are: none of their
// values is left to fill in.
func (i *Imported) Complete() bool {
	for _, p := range i.Pools {
		if len(p.Unknown) > 0 {
			return false
		}
	}
	return true
}

// Issuer is an entry of issuers in stint.yaml.
type Issuer struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Audiences are the client ids of the IAM provider; none: not known.
	Audiences []string `json:"audiences,omitempty"`
	// Shared says that the issuer signs for everybody, so that only has to be
	// filled in.
	Shared bool `json:"shared,omitempty"`
}

// Pool is an entry of pools in stint.yaml, with its keys.
type Pool struct {
	ID          string     `json:"id,omitempty"`
	Name        string     `json:"name,omitempty"`
	Account     string     `json:"account,omitempty"`
	Classic     bool       `json:"classic,omitempty"`
	DefaultRole string     `json:"default_role,omitempty"`
	Providers   []Provider `json:"providers,omitempty"`
	// Unknown are the values that the files do not tell.
	Unknown []Unknown `json:"unknown,omitempty"`

	label string // what messages call it
	at    source.Position
}

// Provider is an issuer of a pool.
type Provider struct {
	Provider string            `json:"provider"`
	Tags     map[string]string `json:"tags,omitempty"`
	Rules    []Rule            `json:"rules,omitempty"`
	NoMatch  string            `json:"no_match,omitempty"` // where it has Rules
}

// Rule is a role mapping rule. One of the four comparisons is set; the zero Rule
// stands for one that is not known.
type Rule struct {
	Claim      string `json:"claim,omitempty"`
	Equals     string `json:"equals,omitempty"`
	StartsWith string `json:"starts_with,omitempty"`
	Contains   string `json:"contains,omitempty"`
	NotEqual   string `json:"not_equal,omitempty"`
	Role       string `json:"role,omitempty"` // empty: not known
}

// comparison is the key of the rule's comparison, and its value.
func (r *Rule) comparison() (key, value string) {
	switch {
	case r.Equals != "":
		return "equals", r.Equals
	case r.StartsWith != "":
		return "starts_with", r.StartsWith
	case r.Contains != "":
		return "contains", r.Contains
	}
	return "not_equal", r.NotEqual
}

// compare sets the rule's comparison; ok is false for an unknown match type.
func (r *Rule) compare(t config.MatchType, value string) (ok bool) {
	switch t {
	case config.Equals:
		r.Equals = value
	case config.StartsWith:
		r.StartsWith = value
	case config.Contains:
		r.Contains = value
	case config.NotEqual:
		r.NotEqual = value
	default:
		return false
	}
	return true
}

// Unknown is a value of a pool that the files do not tell.
type Unknown struct {
	Path string `json:"path"` // within the pool, such as providers[0].rules[2].role
	Why  string `json:"why"`
}

// NoteKind says what a note is about.
type NoteKind string

// The kinds of notes.
const (
	// NoEqual: it was not carried over.
	NoEqual NoteKind = "no_equal"
	// FillIn: Cognito has no such setting, and stint needs one.
	FillIn NoteKind = "fill_in"
)

// Note is something that the reader should know of.
type Note struct {
	Kind NoteKind `json:"kind"`
	Pool string   `json:"pool,omitempty"` // id or name; empty: of no pool alone
	What string   `json:"what"`
	Do   string   `json:"do"` // instead
	// Position is where it stands in what was read; the zero value: nowhere.
	Position source.Position `json:"position,omitzero"`
}

// What the files hold; what stint.yaml takes, config says.
var (
	providerARN = regexp.MustCompile(`^arn:([^:]*):iam::([^:]*):oidc-provider/(.+)$`)
	tagKey      = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$`)
)

// regionOf is the region of an IdentityPoolId.
func regionOf(id string) string {
	region, _, _ := strings.Cut(id, ":")
	return region
}

// derivedName is what a pool without a name is called in Cognito, where each
// has one. It is taken back when the pool is imported.
func derivedName(id string) string {
	_, uuid, _ := strings.Cut(id, ":")
	return "pool-" + uuid
}

// plainName is the name of a provider, which Cognito also takes by its ARN.
func plainName(nameOrARN string) string {
	if m := providerARN.FindStringSubmatch(nameOrARN); m != nil {
		return m[3]
	}
	return nameOrARN
}
