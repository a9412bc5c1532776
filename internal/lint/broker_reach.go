package lint

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// gives answers whether the sessions of a rule may be ones of a role: by its
// ARN, with {claim} in it too, or, of a pool whose tokens buy any role that
// trusts them, by the role's trust policy.
func (p *pass) gives(b brokerRule, r *role) source.Truth {
	out := source.No
	if b.anyRole {
		out = p.trustsPool(b, r)
	}
	for _, t := range b.rule.AWS.Roles {
		out = out.Or(isRole(t.Value, r))
	}
	return out
}

// isRole answers whether the role of a rule is, or with {claim} in it may be,
// this one. Of a role whose account no file says only the name is compared: a
// rule that may be for the role is taken to be.
func isRole(written string, r *role) source.Truth {
	if arn := arnOf(r); arn != "" {
		return source.Truthful(fits(written, arn))
	}
	name, known := r.Name.Known()
	if !known || name == "" {
		return source.No // a bare trust policy is no role of a rule
	}
	if r.AccountID != "" && !strings.Contains(written, ":"+r.AccountID+":") {
		return source.No
	}
	last := written[strings.LastIndexByte(written, '/')+1:] // a claim puts no slash in
	return source.Truthful(fits(last, name))
}

func fits(written, found string) bool {
	if !strings.Contains(written, "{") {
		return written == found
	}
	return roleTemplate(written).Matches(found) != subject.No
}

// roleTemplate is a role of a rule as a pattern, in which a {claim} is any text.
func roleTemplate(written string) subject.Pattern {
	var out subject.Pattern
	for written != "" {
		before, rest, found := strings.Cut(written, "{")
		out = subject.Join(out, subject.Exact(before))
		if !found {
			break
		}
		_, written, _ = strings.Cut(rest, "}")
		out = subject.Join(out, subject.Pattern{{Kind: subject.Any}})
	}
	return out
}

// trustsPool answers whether a role's trust policy lets the broker's tokens with
// the pool as audience in.
func (p *pass) trustsPool(b brokerRule, r *role) source.Truth {
	out := source.No
	if r.Trust == nil || tooLarge(r.Trust) {
		return out
	}
	for i := range r.Trust.Statements {
		s := &r.Trust.Statements[i]
		out = out.Or(s.Allows().And(grants(s, webIdentityAction)).And(p.admits(s, b.host)).And(source.Truthful(takesAudience(s, b.host, b.pool))))
	}
	return out
}

// takesAudience reports whether the conditions of a statement leave an audience
// in, or may.
func takesAudience(s *statement, host, audience string) bool {
	return !slices.ContainsFunc(s.Conditions, func(c inventory.Condition) bool {
		return positive(c.Test) && c.Test != "" && keyIs(&c, host+":aud") == source.Yes && !c.Values.Open &&
			!slices.ContainsFunc(c.Values.List, func(t source.Text) bool { return like(t, true).Matches(audience) != subject.No })
	})
}

// tagTests are the policies, among those that were read, that test tags, by the
// tag's key in lower case.
type tagTests struct {
	links
	given  map[string][]testedBy // of the session itself: trust policies, and what sessions may do
	caller map[string][]testedBy // trust policies one hop further, of the session that calls
}

type testedBy struct {
	role  *role
	where string
}

func (p *pass) tagTests() tagTests {
	t := tagTests{p.links(), map[string][]testedBy{}, map[string][]testedBy{}}
	for i := range p.inv.Roles {
		r := &p.inv.Roles[i]
		if r.Trust != nil && !tooLarge(r.Trust) {
			where := "the trust policy of " + r.Address
			eachKey(r.Trust, func(key string) {
				if tag, ok := strings.CutPrefix(key, requestTag); ok {
					t.given[tag] = append(t.given[tag], testedBy{r, where})
				}
				if tag, ok := strings.CutPrefix(key, principalTag); ok {
					t.caller[tag] = append(t.caller[tag], testedBy{r, where})
				}
			})
		}
		policies := r.Identity
		if r.Boundary != nil {
			policies = append(slices.Clone(policies), *r.Boundary)
		}
		for _, a := range policies {
			if a.Policy == nil {
				continue
			}
			eachKey(a.Policy, func(key string) {
				if tag, ok := strings.CutPrefix(key, principalTag); ok {
					t.given[tag] = append(t.given[tag], testedBy{r, "the policy " + a.Name + " of " + r.Address})
				}
			})
		}
	}
	return t
}

// eachKey calls f for the key of every condition of a policy, and for every
// variable in its values and resources, in lower case.
func eachKey(document *policy, f func(key string)) {
	in := func(list []source.Text) {
		for _, t := range list {
			for _, name := range variables(t) {
				name, _, _ = strings.Cut(name, ",")
				f(strings.ToLower(strings.TrimSpace(name)))
			}
		}
	}
	for i := range document.Statements {
		s := &document.Statements[i]
		in(s.Resource.List)
		in(s.NotResource.List)
		for k := range s.Conditions {
			f(lowerKey(&s.Conditions[k]))
			in(s.Conditions[k].Values.List)
		}
	}
}

// of says for each tag of a rule which policy of a role that its sessions may
// be, or may assume from there, tests it; empty where none does. A trust policy
// one hop further sees all tags of the session that calls, and the new session
// has those that are passed on.
func (t tagTests) of(p *pass, b brokerRule) func(tag string) string {
	var next map[*role]bool // of the rule, where it is asked for
	further := func(r *role) bool {
		if next == nil {
			next = p.next(b, t.links)
		}
		return next[r]
	}
	carried := slices.Concat(b.rule.AWS.Transitive, b.rule.AWS.Chain)
	return func(tag string) string {
		key := strings.ToLower(tag)
		for _, by := range t.given[key] {
			if p.gives(b, by.role) == source.Yes {
				return by.where
			}
		}
		for _, by := range t.caller[key] {
			if further(by.role) {
				return by.where
			}
		}
		if slices.ContainsFunc(carried, func(c config.Text) bool { return strings.EqualFold(c.Value, tag) }) {
			for _, by := range t.given[key] {
				if further(by.role) {
					return by.where
				}
			}
		}
		return ""
	}
}

// next are the roles that the sessions of a rule may assume, by the trust
// policies that were read, in any number of hops.
func (p *pass) next(b brokerRule, l links) map[*role]bool {
	out := map[*role]bool{}
	var queue []*role
	for i := range p.inv.Roles {
		if r := &p.inv.Roles[i]; p.gives(b, r) == source.Yes {
			queue = append(queue, r)
		}
	}
	looked := map[string]bool{}
	for ; len(queue) > 0; queue = queue[1:] {
		if !mayAssume(queue[0]) {
			continue
		}
		for _, name := range namesOf(queue[0]) {
			if looked[name] {
				continue
			}
			looked[name] = true
			for _, r := range l[name] {
				if !out[r] {
					out[r] = true
					queue = append(queue, r)
				}
			}
		}
	}
	return out
}

// mayAssume reports whether a role's policies may let it assume another.
func mayAssume(r *role) bool {
	if r.IdentityOpen || len(r.Identity) == 0 {
		return true // the other side may let it, or policies that are not known
	}
	return slices.ContainsFunc(r.Identity, func(a inventory.AttachedPolicy) bool {
		return a.Policy == nil || a.Policy.Open || slices.ContainsFunc(a.Policy.Statements, func(s inventory.Statement) bool {
			return s.Allows() != source.No && grants(&s, assumeAction) != source.No
		})
	})
}

const assumeAction = "sts:AssumeRole"

// links are the roles by the AWS principals that their trust policies name; by
// anybody where that is any, or one that is not known.
type links map[string][]*role

const anybody = "*"

func (p *pass) links() links {
	l := links{}
	p.eachTrust(func(r *role, trust *policy) {
		for i := range trust.Statements {
			s := &trust.Statements[i]
			if s.Principal == nil || s.Allows().And(grants(s, assumeAction)) == source.No {
				continue
			}
			if s.Principal.Any != source.No || s.Principal.AWS.Open {
				l[anybody] = append(l[anybody], r)
			}
			for _, t := range s.Principal.AWS.List {
				name, known := t.Known()
				if !known {
					name = anybody
				}
				l[principalName(name)] = append(l[principalName(name)], r)
			}
		}
	})
	return l
}

// principalName is an AWS principal as it is looked up: a role's sessions by the
// role's name, an account by its number.
func principalName(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return arn // an account, or an id
	}
	account, resource := parts[4], strings.Split(parts[5], "/")
	switch {
	case resource[0] == "root":
		return account
	case resource[0] == "assumed-role" && len(resource) > 1:
		return account + "/" + resource[1]
	case resource[0] == "role":
		return account + "/" + resource[len(resource)-1]
	}
	return arn
}

// namesOf are the principals that the sessions of a role are.
func namesOf(r *role) []string {
	arn := arnOf(r)
	if arn == "" {
		return []string{anybody}
	}
	name := principalName(arn)
	account, _, _ := strings.Cut(name, "/")
	return []string{anybody, name, account}
}
