package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// The ways in which a rule's AWS credentials are bought.
const (
	// WebIdentity: with a stint token, at roles that trust the broker's issuer.
	WebIdentity = "web-identity"
	// AssumeRole: with the broker's own AWS credentials, at roles that trust
	// its account.
	AssumeRole = "assume-role"
)

// SessionTags says how claims become session tags, for all rules and pools.
type SessionTags struct {
	// Prefix stands before the key of each tag that is written as a claim
	// alone; a key that is written out stays as it is.
	Prefix string
	// Abbreviations are the keys of such tags where they are not the claim's
	// name: claim to key, without Prefix.
	Abbreviations map[string]string
	// Claims are the only ones that may stand in a tag; nil: any.
	Claims []string
}

func (r *reader) sessionTags(n ast.Node) {
	const path = "aws.session_tags"
	s := &r.cfg.AWS.SessionTags
	r.mapping(n, path, map[string]func(ast.Node){
		"prefix": func(n ast.Node) {
			t, ok := r.text(n, path+".prefix")
			if ok && (!tagKey.MatchString(t.Value) || utf8.RuneCountInString(t.Value) > maxTagKey || reserved(t.Value)) {
				r.fail(n, path+".prefix", "write it as gha_", "expected the beginning of a tag key, found %q", t.Value)
			}
			s.Prefix = t.Value
		},
		"claims": func(n ast.Node) {
			for _, t := range r.oneOrMore(n, path+".claims") {
				if !claimName.MatchString(t.Value) {
					r.failAt(t.Pos, path+".claims", "", "%q names no claim", t.Value)
				}
				s.Claims = append(s.Claims, t.Value)
			}
		},
		"abbreviations": func(n ast.Node) {
			s.Abbreviations = map[string]string{}
			for _, e := range r.entries(n, path+".abbreviations") {
				at := join(path+".abbreviations", e.key)
				if !claimName.MatchString(e.key) {
					r.failAt(e.pos, at, "write claim: key", "%q names no claim", e.key)
				}
				t, ok := r.text(e.value, at)
				if ok && !tagKey.MatchString(t.Value) {
					r.failAt(t.Pos, at, "", "expected a tag key, found %q", t.Value)
				}
				s.Abbreviations[e.key] = t.Value
			}
		},
	})
}

func reserved(key string) bool { return strings.HasPrefix(strings.ToLower(key), "aws:") }

// listedTags reads tags that are written as a list of claims. Their keys are
// known once the whole file is.
func (r *reader) listedTags(n ast.Node, path string) []Tag {
	var all []Tag
	for _, t := range r.oneOrMore(n, path) {
		if !claimName.MatchString(t.Value) {
			r.failAt(t.Pos, path, "write {key: {claim: ...}} for more than a claim's value", "%q names no claim", t.Value)
			continue
		}
		all = append(all, Tag{Source: t, Pos: t.Pos, listed: true})
	}
	return all
}

// sessions names the tags of all rules and pools, and checks them and what
// refers to them.
func (r *reader) sessions() {
	for i := range r.cfg.Rules {
		a := &r.cfg.Rules[i].AWS
		path := fmt.Sprintf("rules[%d].aws", i)
		r.checkTags(a.Tags, path+".tags")
		r.tagsNamed(a.Transitive, a.Tags, path+".transitive")
		r.tagsNamed(a.Chain, a.Tags, path+".chain.tags")
	}
	for i := range r.cfg.Pools {
		for j := range r.cfg.Pools[i].Providers {
			v := &r.cfg.Pools[i].Providers[j]
			path := fmt.Sprintf("pools[%d].providers[%d]", i, j)
			r.checkTags(v.Tags, path+".tags")
			r.tagsNamed(v.Transitive, v.Tags, path+".transitive")
		}
	}
}

// tagsNamed refuses keys that are none of the tags.
func (r *reader) tagsNamed(keys []Text, tags []Tag, path string) {
	for _, t := range keys {
		if !slices.ContainsFunc(tags, func(tag Tag) bool { return tag.Key == t.Value }) {
			var names []string
			for _, tag := range tags {
				names = append(names, tag.Key)
			}
			hint := ""
			if len(names) > 0 {
				hint = "its tags are " + strings.Join(names[:min(len(names), 10)], ", ")
			}
			r.failAt(t.Pos, path, hint, "%q is no tag of this rule", t.Value)
		}
	}
}

// checkTags names the tags that are written as a claim alone, and checks all.
func (r *reader) checkTags(tags []Tag, path string) {
	s := r.cfg.AWS.SessionTags
	for i := range tags {
		t := &tags[i]
		if t.listed {
			key, short := s.Abbreviations[t.Source.Value]
			if !short {
				key = t.Source.Value
			}
			t.Key = s.Prefix + key
		}
		at := join(path, t.Key)
		switch {
		case !tagKey.MatchString(t.Key) || utf8.RuneCountInString(t.Key) > maxTagKey:
			r.failAt(t.Pos, at, "", "expected a tag key of 1 to %d letters, digits, spaces and _.:/=+-@", maxTagKey)
		case reserved(t.Key):
			r.failAt(t.Pos, at, "", "tag keys that begin with aws: are reserved")
		}
		if j := slices.IndexFunc(tags[:min(i, maxTags)], func(other Tag) bool { return strings.EqualFold(other.Key, t.Key) }); j >= 0 {
			r.failAt(t.Pos, at, "", "AWS compares tag keys without letter case: it is the same as %q", tags[j].Key)
		}
		if s.Claims == nil {
			continue
		}
		parsed, err := ClaimOrTemplate(t.Source.Value)
		if err != nil { // told already
			continue
		}
		for _, claim := range parsed.Claims() {
			if !slices.Contains(s.Claims, claim) {
				r.failAt(t.Pos, at, "add it to aws.session_tags.claims, or leave the tag out", "the claim %s is not among those that may stand in a tag", claim)
			}
		}
	}
	if len(tags) > maxTags {
		r.failAt(tags[maxTags].Pos, path, "", "expected at most %d tags, found %d", maxTags, len(tags))
	}
}

// via checks how a rule's credentials are bought.
func (r *reader) via(a *RuleAWS, path string) {
	if a.ExternalID.Value != "" && a.Via != AssumeRole {
		r.failAt(a.ExternalID.Pos, path+".external_id", "add via: assume-role, or leave external_id out", "a web identity call has no external id")
	}
	if a.Via == AssumeRole && a.Duration > MaxChained {
		r.warn(a.ViaPos, path+".duration", "write 1h or less, unless the broker has the credentials of an IAM user",
			"AWS gives at most %s to a role that a role's session assumes", short(MaxChained))
	}
}
