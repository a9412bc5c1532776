package explain

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stint-dev/stint/iam"
	platform "github.com/stint-dev/stint/internal/subject"
)

// attempt is what a caller could change of its token, to be tried.
type attempt struct {
	context     string // of the subject, with its colon; empty: as it is
	ids, repoID string // with their @, that the subject gets
	audience    string
	claims      map[string]any // nil removes
	tags        []iam.Tag      // that the token carries too
}

// to is the call with the change made.
func (a *attempt) to(call *iam.WebIdentityCall) {
	claims := maps.Clone(call.Claims)
	if text, ok := claims["sub"].(string); ok {
		if sub, ok := splitSubject(text); ok {
			if a.context != "" {
				sub.context = a.context
			}
			if a.ids != "" && !sub.hasIDs() {
				sub.owner, sub.repo = sub.owner+a.ids, sub.repo+a.repoID
			}
			claims["sub"] = sub.String()
		}
	}
	for name, value := range a.claims {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	call.Tags = append(slices.Clone(call.Tags), a.tags...)
	if a.audience != "" {
		call.Audience = a.audience
	}
	call.Claims = claims
}

// tried takes away the changes of the caller that would not do. Those of the
// token are tried together, and each alone, beside the policy's change for the
// rest.
func (e *evaluation) tried(found []finding) {
	if e.call == nil {
		return
	}
	var all []int
	for i, f := range found {
		if f.tries != nil && f.caller != "" {
			all = append(all, i)
		}
	}
	if len(all) == 0 || e.passes(found, all...) {
		return
	}
	for _, i := range all {
		if !e.passes(found, i) {
			found[i].caller = found[i].otherwise
		}
	}
}

// passes reports whether the call is let in after the attempts of some findings
// and the edits of the others.
func (e *evaluation) passes(found []finding, attempts ...int) bool {
	call := *e.call
	tried := map[int]bool{}
	var environment any
	for _, i := range attempts {
		found[i].tries.to(&call)
		tried[i] = true
		if set := found[i].tries.claims["environment"]; set != nil {
			environment = set
		}
	}
	if name, ok := environment.(string); ok {
		// With an environment the subject names that, whatever else it would.
		(&attempt{context: ":environment:" + name}).to(&call)
	}
	var edits []Edit
	for i, f := range found {
		all := true // of those that the edits are for
		for j := i; j < len(found) && (j == i || found[j].shared); j++ {
			all = all && tried[j]
		}
		if !f.shared && !all {
			edits = append(edits, f.edits...)
		}
	}
	p, err := Apply(e.policy, kept(edits))
	return err == nil && iam.EvaluateWebIdentity(p, call).Allowed
}

// stranger is the call of somebody of whom only the issuer and the audience
// are the same.
func stranger(call iam.WebIdentityCall) iam.WebIdentityCall {
	claims := make(map[string]any, len(call.Claims))
	for name, value := range call.Claims {
		switch name {
		case "iss", "aud", "azp":
			claims[name] = value
		case "sub":
			claims[name] = "repo:stranger/stranger:ref:refs/heads/stranger"
		default:
			claims[name] = "stranger"
		}
	}
	call.Claims = claims
	return call
}

// warnOfAnybody says so where the changes leave nothing that keeps anybody out.
func (e *evaluation) warnOfAnybody(found []finding) {
	if e.call == nil {
		return
	}
	var edits []Edit
	last, opens := -1, false
	for i, f := range found {
		for _, edit := range f.edits {
			edits = append(edits, edit)
			if takes := edit.Op == RemoveCondition || edit.Op == SetOperator; takes || !opens {
				last, opens = i, takes
			}
		}
	}
	p, err := Apply(e.policy, kept(edits))
	if err != nil || last < 0 {
		return
	}
	anybody := stranger(*e.call)
	if !iam.EvaluateWebIdentity(p, anybody).Allowed || iam.EvaluateWebIdentity(e.policy, anybody).Allowed {
		return
	}
	if _, shared := platform.OfIssuer(e.host); !shared {
		found[last].warning = fmt.Sprintf("nothing but the audience is then left that keeps anybody out: everybody gets in to whom %s gives a token for it", e.host)
		return
	}
	found[last].warning = fmt.Sprintf("nothing is then left that keeps anybody out: every job of every repository whose token is of %s gets in, strangers' too", e.host)
}
