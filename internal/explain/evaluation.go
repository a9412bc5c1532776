package explain

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// evaluation is a call and the one policy that is explained.
type evaluation struct {
	policy   *iam.Policy
	request  iam.Request // without its action
	host     string      // the token's issuer as it stands in condition keys; empty without a token
	claims   map[string]any
	tags     []iam.Tag            // that the call passes
	carrier  string               // who brings the tags: "the token carries"
	first    string               // the action that the call is about; the others go with it
	session  *Caller              // that calls; nil where nobody has credentials yet
	owner    string               // how the session is spoken of
	access   bool                 // a request to a resource, and no call that assumes a role
	document string               // the name of the policy, where there are several
	whole    bool                 // a change has to mend all of a condition at once
	call     *iam.WebIdentityCall // that is explained, where it is one
	// decide is the whole call, with another policy in the place of this one.
	decide func(*iam.Policy) outcome
}

func hostOf(issuer string) string { return strings.TrimPrefix(issuer, "https://") }

// issuerIsProviders reports whether the provider stands for the token's
// issuer, without which package iam allows nothing.
func (e *evaluation) issuerIsProviders(issuer string) bool {
	host := e.request.Principal.Federated
	if _, after, ok := strings.Cut(host, ":oidc-provider/"); ok {
		host = after
	}
	return strings.TrimSuffix(host, "/") == strings.TrimSuffix(e.host, "/") && strings.HasPrefix(issuer, "https://")
}

// evaluate is one action under a policy.
func (e *evaluation) evaluate(p *iam.Policy, action string) iam.Result {
	r := e.request
	r.Action = action
	return p.Evaluate(r)
}

// closest is the statement that allows and of which the least failed: one
// that names the action first, then by what failed, then by how alike what was
// expected and found are.
func (e *evaluation) closest(r iam.Result) (index, cost int) {
	best, bestCost, bestAlike := -1, -1, 0
	for _, s := range r.Statements {
		if s.Effect != iam.EffectAllow {
			continue
		}
		cost, likeness := 0, 0
		if !s.ActionMatched {
			cost += 100
		}
		if !s.PrincipalMatched {
			cost++
		}
		if !s.ResourceMatched {
			cost += 10
		}
		for _, c := range s.Conditions {
			if c.Matched {
				continue
			}
			cost++
			for _, want := range c.Expected {
				for _, got := range c.Actual {
					likeness = max(likeness, alike(want, got))
				}
			}
		}
		if best < 0 || cost < bestCost || cost == bestCost && likeness > bestAlike {
			best, bestCost, bestAlike = s.Index, cost, likeness
		}
	}
	return best, bestCost
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// name is how a statement is spoken of.
func name(p *iam.Policy, index int) string {
	if index < 0 || index >= len(p.Statements) {
		return "no statement"
	}
	if sid := p.Statements[index].Sid; sid != "" {
		return "statement " + strconv.Itoa(index) + " (" + sid + ")"
	}
	return "statement " + strconv.Itoa(index)
}

// caller is how the one who calls is spoken of.
func (e *evaluation) caller() string {
	if e.request.Principal.Federated != "" {
		return e.request.Principal.Federated
	}
	if len(e.request.Principal.AWS) > 0 {
		return e.request.Principal.AWS[0]
	}
	return "the caller"
}

// send is how a tag gets into the call.
func (e *evaluation) send(tag string) string {
	if e.session == nil {
		return fmt.Sprintf("send the tag %s with the token", tag)
	}
	return fmt.Sprintf("pass the tag %s in the call", tag)
}
