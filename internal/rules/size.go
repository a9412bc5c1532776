package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Cost is what a part of a session takes of MaxSessionSize.
type Cost struct {
	Part  string `json:"part"`          // fixed, subject, audience, tag, transitive, source identity, policy or amr
	Key   string `json:"key,omitempty"` // of a tag
	Bytes int    `json:"bytes"`         // estimated
}

// The parts of a Cost.
const (
	PartFixed          = "fixed"
	PartTag            = "tag"
	PartSubject        = "subject"
	PartAudience       = "audience"
	PartSourceIdentity = "source identity"
	PartTransitive     = "transitive"
	PartMethods        = "amr"
	PartPolicy         = "policy"
)

// fixedSize is what a session takes that carries nothing, in bytes.
const fixedSize = 1000

// Costs estimates what each part of the session takes, the most expensive tags
// first. AWS does not document how it assembles a session token: published
// captures show about 1000 fixed bytes, and 4/3 byte for each byte of what the
// token carries.
func (g *Grant) Costs() []Cost {
	costs := []Cost{{Part: PartFixed, Bytes: fixedSize}}
	add := func(part, key string, bytes int) {
		if bytes > 0 {
			costs = append(costs, Cost{part, key, bytes})
		}
	}
	add(PartSubject, "", encodedSize(len(g.subject)))
	add(PartAudience, "", encodedSize(len(g.audience)))
	if g.pool != nil {
		n := 0
		for _, m := range g.pool.Methods() {
			n += len(m)
		}
		add(PartMethods, "", encodedSize(n))
	}
	add(PartSourceIdentity, "", encodedSize(len(g.session.SourceIdentity)))
	add(PartTransitive, "", encodedSize(len(strings.Join(g.session.Transitive, ""))))
	add(PartPolicy, "", encodedSize(len(g.policy)+len(strings.Join(g.policyARNs, ""))))
	first := len(costs)
	for _, t := range g.session.Tags {
		add(PartTag, t.Key, encodedSize(len(t.Key)+len(t.Value)))
	}
	slices.SortStableFunc(costs[first:], func(a, b Cost) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return costs
}

// encodedSize is what bytes take in base64.
func encodedSize(bytes int) int { return (bytes*4 + 2) / 3 }

// EstimateSize estimates the bytes of the session token that STS would make:
// see Costs.
func EstimateSize(g *Grant) int {
	size := 0
	for _, c := range g.Costs() {
		size += c.Bytes
	}
	return size
}

// fit drops optional tags, in the order that the rule gives, until the session
// fits. What the caller chooses does not count, its session policies and the
// audience that it asks for: or a job could make them large and get rid of a tag
// that a policy tests.
func (g *Grant) fit(tags []tag, audience string) {
	asked := g.audience
	g.audience = audience
	defer func() { g.audience = asked }()
	var order []tag
	for _, t := range tags {
		if t.drop > 0 && slices.ContainsFunc(g.session.Tags, func(s Tag) bool { return s.Key == t.key }) {
			order = append(order, t)
		}
	}
	slices.SortStableFunc(order, func(a, b tag) int { return cmp.Compare(a.drop, b.drop) })
	for _, t := range order {
		if EstimateSize(g) <= MaxSessionSize {
			return
		}
		s := &g.session
		s.Tags = slices.DeleteFunc(s.Tags, func(s Tag) bool { return s.Key == t.key })
		s.Transitive = slices.DeleteFunc(s.Transitive, func(k string) bool { return k == t.key })
		s.Chain = slices.DeleteFunc(s.Chain, func(k string) bool { return k == t.key })
		s.Dropped = append(s.Dropped, t.key)
	}
}

func tooLarge(g *Grant, size int) (detail, hint string) {
	var costs []string
	for _, c := range g.Costs() {
		if c.Part == PartTag && len(costs) < 5 {
			costs = append(costs, fmt.Sprintf("%s (%d)", c.Key, c.Bytes))
		}
	}
	detail = fmt.Sprintf("rule %s: the session would take about %d bytes, and STS allows %d", g.rule, size, MaxSessionSize)
	if len(costs) > 0 {
		hint = "the largest tags, in bytes: " + strings.Join(costs, ", ")
	}
	return detail, hint
}

// SizeSentence says what a session takes of what AWS allows.
func SizeSentence(size int) string {
	return fmt.Sprintf("about %d of %d bytes (%d %%, an estimate)", size, MaxSessionSize, 100*size/MaxSessionSize)
}

// TagCost estimates what a tag takes of a session, in bytes: see Grant.Costs.
func TagCost(key, value string) int { return encodedSize(len(key) + len(value)) }

// BareCost estimates what a session without tags takes, in bytes: of a stint
// token whose sub has the issuer's name before the job's own.
func BareCost(issuer, subject, audience string) int {
	return fixedSize + encodedSize(len(issuer)+1+len(subject)) + encodedSize(len(audience))
}
