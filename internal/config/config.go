// Package config reads stint.yaml. It is strict: whatever it does not know is
// refused, with line and column, and all mistakes of a file are found at once.
package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/match"
)

// The bounds of a configuration file.
const (
	MaxFile    = 1 << 20 // bytes
	MaxRules   = 10_000
	MaxIssuers = 100
	// MaxProblems bounds how many mistakes are told at once.
	MaxProblems = 1000
	maxDepth    = 20
	maxKeys     = 1000 // of one mapping
	maxEmpty    = 1000 // values
)

// Config is what a file says.
type Config struct {
	Issuer        string // the iss of stint tokens; all doors lie below it
	Listen        string
	Store         string // such as sqlite:/absolute/path
	TokenLifetime time.Duration
	Signing       Signing
	AWS           AWS
	Issuers       []Issuer
	Rules         []Rule
	Pools         []Pool

	file     string
	lines    []string // of the file, for Locate
	warnings Problems
}

// Signing is how stint tokens are signed.
type Signing struct {
	Algorithm string        // ES256 or RS256
	Rotate    time.Duration // how long one key signs
}

// AWS says where AWS STS is and who stint tokens are for.
type AWS struct {
	Region   string
	Endpoint string // instead of the region's; may be empty
	Audience string // the aud where a request names none
	Timeout  time.Duration

	SessionTags SessionTags
	// KnownRoles are files and folders with roles, as stint lint reads them,
	// against which the rules' session tags are checked.
	KnownRoles []string
}

// service is what is asked of AWS STS itself: the rest is a part of the policy,
// which is replaced while the broker runs.
func (a AWS) service() [4]string {
	return [4]string{a.Region, a.Endpoint, a.Audience, a.Timeout.String()}
}

// Issuer is one trusted signer of job tokens.
type Issuer struct {
	Name      string
	URL       string
	Audiences []string
	Only      []Match
	JWKSURL   string
	JWKSFile  string
	Platform  identity.Platform // never empty where the URL tells it
	Pos       Pos
}

// Rule is one rule, as it was written.
type Rule struct {
	Name      string
	Deny      bool
	Issuers   []string // names; none: any
	Match     []Match  // in the order of the file
	When      Text     // a CEL expression; empty: none
	Audiences []Text   // patterns; none: any
	AWS       RuleAWS  // of allow rules
	Pos       Pos
}

// RuleAWS is what an allow rule gives.
type RuleAWS struct {
	Roles          []Text // ARNs, with {claim}; never none in an allow rule
	Via            string // WebIdentity or AssumeRole
	ViaPos         Pos
	ExternalID     Text // of AssumeRole; empty: none
	Duration       time.Duration
	SessionName    Text // with {claim}; empty: the default
	Tags           []Tag
	Transitive     []Text // keys of Tags
	Chain          []Text // keys of Tags that role chaining passes on at each hop
	SourceIdentity Text   // a claim's name, or text with {claim}; empty: none
}

// Tag is one session tag.
type Tag struct {
	Key      string
	Source   Text // a claim's name, or text with {claim}
	Required bool // an absent claim denies
	Encode   bool // characters that STS does not allow are encoded
	// Drop is when the tag is left out of a session that would not fit: those
	// with the lowest number go first. 0: never.
	Drop int
	Pos  Pos // of the key

	listed bool // it is written as a claim alone
}

// Match is a claim and the patterns of which any may match.
type Match struct {
	Claim    string
	Patterns []Text
	Pos      Pos
}

// Text is a value and its place.
type Text struct {
	Value string
	Pos   Pos
}

// Pos is a place in the file, both from 1.
type Pos struct{ Line, Column int }

// Problem is one mistake.
type Problem struct {
	File    string
	Pos     Pos
	Path    string // such as rules[2].match.ref
	Message string
	Hint    string // what to write instead; may be empty
}

func (p Problem) String() string {
	s := p.File
	if p.Pos.Line > 0 {
		s += fmt.Sprintf(":%d:%d", p.Pos.Line, p.Pos.Column)
	}
	s += ": "
	if p.Path != "" {
		s += p.Path + ": "
	}
	return s + p.Message
}

// Problems are all mistakes of a file, in the order of their places.
type Problems []Problem

func (p Problems) Error() string {
	var b strings.Builder
	for i, problem := range p {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(problem.String())
		if problem.Hint != "" {
			b.WriteString("\n    " + problem.Hint)
		}
	}
	return b.String()
}

// Add appends a mistake in the file of c.
func (p *Problems) Add(c *Config, pos Pos, path, hint, format string, args ...any) {
	*p = append(*p, Problem{
		File: c.file, Pos: pos, Path: visible(path), Message: visible(fmt.Sprintf(format, args...)), Hint: visible(hint),
	})
}

// Err is p sorted, or nil if there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return p
}

// Warnings are what is allowed and probably not meant.
func (c *Config) Warnings() []Problem { return c.warnings }

// File is the name of the file, for messages.
func (c *Config) File() string { return c.file }

// Trusted are the issuers as package identity takes them.
func (c *Config) Trusted() []identity.Issuer {
	var all []identity.Issuer
	for _, i := range c.Issuers {
		issuer := identity.Issuer{
			Name: i.Name, URL: i.URL, Audiences: i.Audiences, Platform: i.Platform,
			JWKSURL: i.JWKSURL, JWKSFile: i.JWKSFile,
		}
		for _, m := range i.Only {
			issuer.Only = append(issuer.Only, identity.Condition{Claim: m.Claim, Patterns: m.Compile()})
		}
		all = append(all, issuer)
	}
	return all
}

// Compile are the patterns, ready to match.
func (m Match) Compile() []match.Pattern {
	patterns := make([]match.Pattern, len(m.Patterns))
	for i, p := range m.Patterns {
		patterns[i] = match.Compile(p.Value)
	}
	return patterns
}

// NeedsRestart names the keys that differ in other and take effect only when
// the broker starts.
func (c *Config) NeedsRestart(other *Config) []string {
	var names []string
	for name, same := range map[string]bool{
		"issuer":         c.Issuer == other.Issuer,
		"listen":         c.Listen == other.Listen,
		"store":          c.Store == other.Store,
		"token_lifetime": c.TokenLifetime == other.TokenLifetime,
		"signing":        c.Signing == other.Signing,
		"aws":            c.AWS.service() == other.AWS.service(),
	} {
		if !same {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
