package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/awsclaims"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/rules"
)

// Role is a role as far as explanations need it.
type Role struct {
	ARN  string
	ID   string // AROA..., or empty
	Tags map[string]string
}

// Caller is who calls AWS: a session of a role with what it carries, or a
// user. TokenSession, Given and AssumeRole know why a tag is not in it.
type Caller struct {
	Role           Role   // the ARN of a user stands here too
	Name           string // RoleSessionName; empty for a user, and where it is not known
	Tags           []iam.Tag
	Transitive     []string // keys of Tags that a session made from it inherits
	SourceIdentity string
	Provider       string // of a web identity session: the OIDC provider's ARN

	absent func(tag string) (why, fix string)
}

// TokenSession is the session that a web identity call makes.
func TokenSession(role Role, call iam.WebIdentityCall) Caller {
	s := Caller{Role: role, Name: call.RoleSessionName, Tags: slices.Clone(call.Tags), Transitive: slices.Clone(call.TransitiveTagKeys),
		SourceIdentity: call.SourceIdentity, Provider: call.Provider}
	s.absent = func(tag string) (why, fix string) {
		return "the token carries " + s.tagList(), fmt.Sprintf("have the issuer put the tag %s into the token, under %s", tag, awsclaims.Tags)
	}
	return s
}

// Given says of the session that the rules of a broker gave it: a tag is not in
// it because the rule has none, or because the token has not its claim.
func (s Caller) Given(cfg *config.Config, g rules.Grant) Caller {
	at := slices.IndexFunc(cfg.Rules, func(r config.Rule) bool { return r.Name == g.Rule() })
	if at < 0 {
		return s
	}
	rule := cfg.Rules[at]
	s.absent = func(tag string) (why, fix string) {
		for _, t := range rule.AWS.Tags {
			if !strings.EqualFold(t.Key, tag) {
				continue
			}
			claim := t.Source.Value
			why = fmt.Sprintf("the rule %s makes it of the claim %s, which the job's token does not have", rule.Name, claim)
			if claim == "environment" {
				return why, "add environment: to the job in the workflow"
			}
			return why, "run the job where its token has the claim " + claim
		}
		why = fmt.Sprintf("the rule %s gives %s", rule.Name, s.tagList())
		if _, ok := g.Claims().Text(tag); ok {
			return why, fmt.Sprintf("write %s: %s under the tags of the rule %s", tag, tag, rule.Name)
		}
		return why, fmt.Sprintf("write %s: CLAIM under the tags of the rule %s, with the claim that it is to be made of", tag, rule.Name)
	}
	return s
}

// tagList are the session's own tags in words.
func (s Caller) tagList() string {
	if len(s.Tags) == 0 {
		return "no tags"
	}
	keys := make([]string, 0, len(s.Tags))
	for _, t := range s.Tags {
		keys = append(keys, t.Key)
	}
	slices.Sort(keys)
	const most = 10
	if len(keys) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(keys[:most], ", "), len(keys)-most)
	}
	return strings.Join(keys, ", ")
}

// noTag says why a tag is not in the session, and what would put it there.
func (s Caller) noTag(tag string) (why, fix string) {
	if s.absent != nil {
		return s.absent(tag)
	}
	if !s.isRole() {
		return "", "give the user the tag " + tag
	}
	return "it has " + s.tagList(), "give the session the tag " + tag
}

// tag is the session's own tag of this key, which compares in any case.
func (s Caller) tag(key string) (string, bool) {
	for _, t := range s.Tags {
		if strings.EqualFold(t.Key, key) {
			return t.Value, true
		}
	}
	return "", false
}

// ParseCaller is the role, or the user, whose ARN a caller is named by, and the
// name of its session: an ARN of a session says both. An ARN that is neither
// stays as it is.
func ParseCaller(given Role) (Role, string) {
	parts := strings.SplitN(given.ARN, ":", 6)
	if len(parts) != 6 {
		return given, ""
	}
	if rest, ok := strings.CutPrefix(parts[5], "assumed-role/"); ok {
		role, name, _ := strings.Cut(rest, "/")
		parts[2], parts[5] = "iam", "role/"+role
		given.ARN = strings.Join(parts, ":")
		return given, name
	}
	return given, ""
}

// isRole reports whether it is the session of a role, and no user.
func (s Caller) isRole() bool { return s.caller(iam.Policies{}).IsRole() }

// account is the account of an ARN, or empty.
func account(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// caller is the session as package iam takes it, with the policies on its side.
func (s Caller) caller(policies iam.Policies) iam.Caller {
	return iam.Caller{
		ARN: s.Role.ARN, SessionName: s.Name, ID: s.Role.ID, OwnTags: s.Role.Tags, Tags: s.Tags, TransitiveTagKeys: s.Transitive,
		SourceIdentity: s.SourceIdentity, FederatedProvider: s.Provider, Policies: policies,
	}
}

// named are documents as package iam takes them.
func named(documents []Document) []iam.NamedPolicy {
	var out []iam.NamedPolicy
	for _, d := range documents {
		out = append(out, iam.NamedPolicy{Name: d.Name, Policy: d.Policy})
	}
	return out
}

// single is the one document there is, or nil.
func single(documents []Document) *iam.NamedPolicy {
	if len(documents) == 0 {
		return nil
	}
	return &iam.NamedPolicy{Name: documents[0].Name, Policy: documents[0].Policy}
}

func isSession(arn string) bool { return strings.Contains(arn, ":assumed-role/") }
