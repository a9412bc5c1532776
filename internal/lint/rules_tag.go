package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// tagRules are the rules on session tags, and on the size of trust policies.
func tagRules() []Rule {
	return []Rule{
		{
			ID: "tag-session-missing", Severity: Error, Title: "tags without sts:TagSession",
			Why:   "A call whose token carries tags is refused unless the trust policy allows sts:TagSession too, and a session that can carry none never meets a test of them.",
			Fix:   "Add sts:TagSession to the actions of the statement.",
			check: tagSessionMissing,
		},
		{
			ID: "tag-session-open", Severity: Warning, Title: "any tag with any value",
			Why:   "Whoever may assume the role from AWS chooses the tags of the session, and with them everything that policies grant by aws:PrincipalTag.",
			Fix:   "Name the tags with ForAllValues:StringEquals aws:TagKeys, and pin their values with aws:RequestTag.",
			check: tagSessionOpen,
		},
		{
			ID: "chained-tags-not-pinned", Severity: Warning, Title: "tags that a chained caller may change",
			Why:   "A session that assumes the role passes tags of its own choice, so what the first role vouched for is lost.",
			Fix:   "Pin each tag: StringEquals aws:RequestTag/KEY to ${aws:PrincipalTag/KEY}.",
			check: chainedTagsNotPinned,
		},
		{
			ID: "role-tag-shadows", Severity: Error, Title: "the role's tag stands in for the session's",
			Why:   "A session without the tag has the role's own, of which the name compares in any case of letters, so a job that was never given the tag counts as one that was.",
			Fix:   "Give the role's tag another name, or require the session's.",
			check: roleTagShadows,
		},
		{
			ID: "policy-size", Severity: Warning, Title: "a trust policy over the quota",
			Why:   "A trust policy holds 2048 characters, and 4096 where the account's quota was raised, white space not counted; AWS refuses a longer one.",
			Fix:   "Take statements out or shorten them; one role for each group of callers needs less.",
			check: policySize,
		},
	}
}

const (
	tagSession   = "sts:TagSession"
	requestTag   = "aws:requesttag/"
	principalTag = "aws:principaltag/"
	tagKeys      = "aws:tagkeys"
	defaultTrust = 2048 // characters of a trust policy by default
	mostTrust    = 4096 // and with a raised quota
)

// arnOf is a role's ARN, also where the file has only its account and name;
// empty where it is not known.
func arnOf(r *role) string {
	if arn, known := r.ARN.Known(); known && arn != "" {
		return arn
	}
	if name, known := r.Name.Known(); known && name != "" && r.AccountID != "" && len(r.ARN.Parts) == 0 {
		return "arn:aws:iam::" + r.AccountID + ":role/" + name
	}
	return ""
}

// lowerKey is a condition key in lower case; what is not known stands in it as
// it was written.
func lowerKey(c *inventory.Condition) string { return strings.ToLower(c.Key.String()) }

// tagging answers whether a trust policy lets the callers of a statement pass
// tags: whether a statement for the same principals allows sts:TagSession.
func tagging(trust *policy, who func(s *statement) source.Truth) source.Truth {
	out := source.No
	if trust.Open {
		out = source.Unknown
	}
	for i := range trust.Statements {
		s := &trust.Statements[i]
		out = out.Or(s.Allows().And(grants(s, tagSession)).And(who(s)))
	}
	return out
}

// admits answers whether a statement's principals hold the OIDC provider of an
// issuer.
func (p *pass) admits(s *statement, host string) source.Truth {
	if s.Principal == nil {
		return unless(s.Open)
	}
	if s.Principal.Any != source.No {
		return s.Principal.Any
	}
	hosts, open := p.issuers(s)
	if slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return source.Yes
	}
	return unless(open)
}

func tagSessionMissing(p *pass) {
	p.eachTrust(func(r *role, trust *policy) {
		if trust.Err != nil {
			return
		}
		p.brokerTags(r, trust)
		p.testedTags(r, trust)
	})
}

// brokerTags joins a role with the rules of a broker that send it tags.
func (p *pass) brokerTags(r *role, trust *policy) {
	p.eachBrokerRule(r, func(b brokerRule) {
		if len(b.rule.AWS.Tags) == 0 {
			return
		}
		for i := range trust.Statements {
			s := &trust.Statements[i]
			admitted := s.Allows().And(grants(s, webIdentityAction)).And(p.admits(s, b.host))
			if admitted != source.Yes {
				continue
			}
			may := tagging(trust, func(s *statement) source.Truth { return p.admits(s, b.host) })
			p.verdict(may.Not(), r.Address, source.Text{Position: s.Action.Position}, "Add \"sts:TagSession\" to the actions.",
				fmt.Sprintf("rule %s of %s sends tags with this role's tokens, and the trust policy does not allow sts:TagSession", b.rule.Name, b.config.File),
				fmt.Sprintf("rule %s of %s sends tags with this role's tokens; whether the trust policy allows sts:TagSession is not known", b.rule.Name, b.config.File))
			return
		}
	})
}

// testedTags reports tests of aws:PrincipalTag that no session of the role can
// meet: it has no such tag of its own, and nobody may pass tags to it.
func (p *pass) testedTags(r *role, trust *policy) {
	if tagging(trust, func(*statement) source.Truth { return source.Yes }) != source.No || r.TagsOpen {
		return
	}
	seen := map[string]bool{}
	for _, a := range r.Identity {
		if a.Policy == nil {
			continue
		}
		for i := range a.Policy.Statements {
			s := &a.Policy.Statements[i]
			for _, t := range principalTags(s, variablesIn(a.Policy)) {
				if seen[t.key] || slices.ContainsFunc(r.Tags, func(own inventory.Tag) bool { return maybeTag(own.Key, t.key) }) {
					continue
				}
				seen[t.key] = true
				p.report(r.Address, t.at, "Allow sts:TagSession in the role's trust policy, or leave the test out.",
					"aws:PrincipalTag/%s is tested, the role has no such tag, and its trust policy lets nobody pass one", t.key)
			}
		}
	}
}

// maybeTag reports whether a tag key is, or may be, this one.
func maybeTag(key source.Text, name string) bool {
	text, known := key.Known()
	return !known || strings.EqualFold(text, name)
}

// testedTag is a tag of the caller that a policy asks for.
type testedTag struct {
	key string // in lower case
	at  source.Text
}

// principalTags are the tags of the caller that an Allow statement needs: those
// that its conditions demand, and those that stand as variables without a
// default in its values and resources.
func principalTags(s *statement, hasVariables bool) []testedTag {
	if s.Allows() != source.Yes {
		return nil
	}
	var out []testedTag
	inText := func(t source.Text) {
		if !hasVariables {
			return
		}
		for _, name := range variables(t) {
			if key, ok := cutFold(strings.TrimSpace(name), principalTag); ok && !strings.Contains(name, ",") {
				out = append(out, testedTag{strings.ToLower(key), t})
			}
		}
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if key, ok := strings.CutPrefix(lowerKey(c), principalTag); ok && demands(c) {
			if _, known := c.Key.Known(); known {
				out = append(out, testedTag{key, c.Key})
			}
		}
		// A variable without a value fails a positive test only, and only where
		// every value has one.
		if demands(c) && len(c.Values.List) == 1 && !c.Values.Open {
			inText(c.Values.List[0])
		}
	}
	if s.Resource.Present && len(s.Resource.List) == 1 && !s.Resource.Open {
		inText(s.Resource.List[0])
	}
	return out
}

// chained calls f for every Allow of sts:TagSession for AWS principals. A web
// identity's tags stand in the token that its issuer signed, and a service
// passes those that it is built to pass: neither is the caller's choice.
func (p *pass) chained(f func(r *role, trust *policy, s *statement, certain source.Truth)) {
	p.eachTrust(func(r *role, trust *policy) {
		for i := range trust.Statements {
			s := &trust.Statements[i]
			if s.Principal == nil || len(s.Principal.AWS.List) == 0 && s.Principal.Any != source.Yes {
				continue
			}
			certain := s.Allows().And(grants(s, tagSession))
			if certain == source.No || deniesTags(trust) {
				continue
			}
			if s.ConditionsOpen || s.Open || trust.Open {
				certain = certain.And(source.Unknown)
			}
			f(r, trust, s, certain)
		}
	})
}

// deniesTags reports whether a Deny statement limits the tags: then what is
// left open is not judged here.
func deniesTags(trust *policy) bool {
	for i := range trust.Statements {
		s := &trust.Statements[i]
		if s.Allows() == source.Yes || grants(s, tagSession) == source.No {
			continue
		}
		if len(s.Conditions) == 0 || slices.ContainsFunc(s.Conditions, func(c inventory.Condition) bool { return onTags(&c) }) {
			return true
		}
	}
	return false
}

func onTags(c *inventory.Condition) bool {
	return lowerKey(c) == tagKeys || strings.HasPrefix(lowerKey(c), requestTag)
}

// maybeOnTags reports whether a condition of which something is not known may
// be one on tags.
func maybeOnTags(c inventory.Condition) bool {
	if c.Test == "" {
		return true
	}
	_, known := c.Key.Known()
	return !known && (keyIs(&c, tagKeys) != source.No || lowerText(c.Key).HasPrefix(requestTag) != source.No)
}

// tagsAt is where a finding on sts:TagSession points: at the action.
func tagsAt(s *statement) source.Text {
	for _, t := range s.Action.List {
		if lowerPattern(t).Matches(strings.ToLower(tagSession)) != subject.No {
			return t
		}
	}
	return source.Text{Position: s.Position}
}

func tagSessionOpen(p *pass) {
	p.chained(func(r *role, _ *policy, s *statement, certain source.Truth) {
		if slices.ContainsFunc(s.Conditions, func(c inventory.Condition) bool { return onTags(&c) }) {
			return
		}
		if slices.ContainsFunc(s.Conditions, maybeOnTags) {
			certain = certain.And(source.Unknown)
		}
		p.verdict(certain, r.Address, tagsAt(s), "",
			"callers from AWS may give the session any tag with any value",
			"whether something limits the tags that callers from AWS give the session is not known")
	})
}

func chainedTagsNotPinned(p *pass) {
	p.chained(func(r *role, trust *policy, s *statement, certain source.Truth) {
		pinned := map[string]bool{}
		if slices.ContainsFunc(s.Conditions, maybeOnTags) {
			certain = certain.And(source.Unknown)
		}
		for i := range s.Conditions {
			c := &s.Conditions[i]
			if key, ok := strings.CutPrefix(lowerKey(c), requestTag); ok && positive(c.Test) && !anyValue(c) && c.Test != "" {
				pinned[key] = true
			}
		}
		for i := range s.Conditions {
			c := &s.Conditions[i]
			if lowerKey(c) != tagKeys || !positive(c.Test) || c.Test == "" {
				continue
			}
			for _, v := range c.Values.List {
				key, known := v.Known()
				if !known || pinned[strings.ToLower(key)] {
					continue
				}
				p.verdict(certain, r.Address, v, fmt.Sprintf("Add StringEquals aws:RequestTag/%s with \"${aws:PrincipalTag/%s}\".", key, key),
					fmt.Sprintf("callers may pass the tag %s with any value", key),
					fmt.Sprintf("whether something pins the value of the tag %s is not known", key))
			}
		}
	})
}

func policySize(p *pass) {
	for i := range p.inv.Roles {
		if r := &p.inv.Roles[i]; r.Trust != nil && r.Trust.Node != nil {
			p.trustSize(r)
		}
	}
}

func (p *pass) trustSize(r *role) {
	size, whole := characters(r.Trust.Node)
	if size <= defaultTrust {
		return // or not known: what a variable holds is not guessed
	}
	least, most, quota, rest := "", "default", defaultTrust, ""
	if !whole {
		least = "at least "
	}
	if size > mostTrust {
		most, quota = "most that a raised quota allows", mostTrust
	}
	if size > maxLooked {
		rest = "; no other rule looked at it"
	}
	p.report(r.Address, source.Text{Position: r.Trust.Node.Position}, "", "the trust policy has %s%d characters, and %d are the %s%s", least, size, quota, most, rest)
	if size > mostTrust {
		p.findings[len(p.findings)-1].Severity = Error
	}
}
