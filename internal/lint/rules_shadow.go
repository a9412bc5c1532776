package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// sent is a tag that sessions of a role may have, and why one may lack it.
type sent struct {
	key   string
	lacks source.Truth
	why   string
}

// roleTagShadows reports tags of a role that stand in for a session's.
func roleTagShadows(p *pass) {
	for i := range p.inv.Roles {
		r := &p.inv.Roles[i]
		if len(r.Tags) == 0 {
			continue
		}
		tags := p.sentByBroker(r)
		if r.Trust != nil && r.Trust.Err == nil {
			tags = append(tags, sentByTrust(r)...)
		}
		for _, own := range r.Tags {
			key, known := own.Key.Known()
			if !known {
				continue
			}
			is, why := source.No, ""
			for _, t := range tags {
				if strings.EqualFold(t.key, key) && (is == source.No || t.lacks == source.Yes && is != source.Yes) {
					is, why = t.lacks, t.why
				}
			}
			p.verdict(is, r.Address, own.Key, "Give the role's tag another name, or require the session's tag.",
				fmt.Sprintf("the role's own tag %s=%s holds for a session without the tag, %s", key, own.Value, why),
				fmt.Sprintf("whether a session may lack the tag %s, and get the role's own %s=%s, is not known: %s", key, key, own.Value, why))
		}
	}
}

// sentByBroker are the tags that a broker's rules give sessions of the role.
func (p *pass) sentByBroker(r *role) []sent {
	var out []sent
	p.eachBrokerRule(r, func(b brokerRule) {
		for _, t := range b.rule.AWS.Tags {
			why := fmt.Sprintf("which rule %s of %s leaves out where the token has no %s", b.rule.Name, b.config.File, strings.Join(claimsOf(t), ", "))
			if t.Drop > 0 {
				why = fmt.Sprintf("which rule %s of %s drops where the session would not fit", b.rule.Name, b.config.File)
			}
			out = append(out, sent{t.Key, b.mayBeAbsent(t), why})
		}
	})
	return out
}

// sentByTrust are the tags that a trust policy names as ones that sessions may
// have: by a test of aws:RequestTag, or in a list of aws:TagKeys. A session may
// lack one where a statement lets callers in that does not demand it. Only tags
// that the role has too are looked at.
func sentByTrust(r *role) []sent {
	trust := r.Trust
	var named []string // in lower case
	note := func(key string) {
		key = strings.ToLower(key)
		own := slices.ContainsFunc(r.Tags, func(t inventory.Tag) bool { return strings.EqualFold(t.Key.String(), key) })
		if own && key != "" && !slices.Contains(named, key) {
			named = append(named, key)
		}
	}
	for i := range trust.Statements {
		s := &trust.Statements[i]
		if s.Allows() != source.Yes || grants(s, tagSession) != source.Yes {
			continue
		}
		for k := range s.Conditions {
			c := &s.Conditions[k]
			if _, known := c.Key.Known(); !known || c.Test == "" || !positive(c.Test) {
				continue
			}
			if key, ok := cutFold(c.Key.String(), requestTag); ok {
				note(key)
			}
			if lowerKey(c) == tagKeys {
				for _, v := range c.Values.List {
					if key, known := v.Known(); known && !strings.ContainsAny(key, "*?$") {
						note(key)
					}
				}
			}
		}
	}
	var out []sent
	for _, key := range named {
		out = append(out, sent{key, mayLack(trust, key), "which the trust policy allows and does not demand"})
	}
	return out
}

// mayLack answers whether a trust policy lets callers in without a tag.
func mayLack(trust *policy, tag string) source.Truth {
	out := source.No
	for i := range trust.Statements {
		s := &trust.Statements[i]
		certain := letsIn(s)
		if certain == source.No || slices.ContainsFunc(s.Conditions, func(c inventory.Condition) bool { return demandsTag(&c, tag) }) {
			continue
		}
		if s.ConditionsOpen || s.Open || trust.Open || deniesWithoutTag(trust, tag) {
			certain = certain.And(source.Unknown)
		}
		out = out.Or(certain)
	}
	return out
}

func demandsTag(c *inventory.Condition, tag string) bool {
	if !demands(c) {
		return false
	}
	if lowerKey(c) == requestTag+tag {
		return true
	}
	// ForAnyValue on a list of one asks for that tag.
	return lowerKey(c) == tagKeys && c.Qualifier == "ForAnyValue" && len(c.Values.List) == 1 && strings.EqualFold(c.Values.List[0].String(), tag)
}

// deniesWithoutTag reports a Deny statement that may keep out who lacks a tag.
func deniesWithoutTag(trust *policy, tag string) bool {
	for i := range trust.Statements {
		s := &trust.Statements[i]
		if s.Allows() == source.Yes {
			continue
		}
		if slices.ContainsFunc(s.Conditions, func(c inventory.Condition) bool { return lowerKey(&c) == requestTag+tag || lowerKey(&c) == tagKeys }) {
			return true
		}
	}
	return false
}
