package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// finding is why one thing in a statement did not hold, and what would change
// that.
type finding struct {
	kind    Kind
	cause   string
	policy  string // the change of the policy, in words
	caller  string // the change of the call, in words; may be empty
	warning string
	edits   []Edit // of the policy; none where there is no mechanical one
}

// explainDenial fills in what a denied caller is told.
func (x *Explanation) explainDenial(e *evaluation, denied outcome) {
	found, closest := e.round(denied.deciding())
	x.Closest = closest
	edits := editsOf(found)
	// The next action is evaluated only when this one is allowed, so what it
	// lacks comes to light only then.
	for range 3 {
		if edits == nil {
			break
		}
		changed, err := Apply(e.policy, edits)
		if err != nil {
			edits = nil
			break
		}
		again := e.decide(changed)
		if again.allowed {
			break
		}
		next := *e
		next.policy = changed
		more, _ := next.round(again.deciding())
		if added := editsOf(more); added != nil && !removes(edits) {
			edits = append(edits, added...)
			found = append(found, more...)
			continue
		}
		edits = nil
	}
	if edits != nil {
		if changed, err := Apply(e.policy, edits); err != nil || !e.decide(changed).allowed {
			edits = nil
		}
	}
	x.tell(found)
	x.Edits = edits
}

// tell says what was found, the first as the cause and the rest after it.
func (x *Explanation) tell(found []finding) {
	if len(found) == 0 {
		x.Kind = Other
		x.Cause = "no statement of the policy allows " + x.Action
		x.Suggestion = "add a statement that allows it to this caller"
		return
	}
	x.Kind = found[0].kind
	var causes, policies, callers, warnings []string
	for _, f := range found {
		f.warning = f.wide()
		if len(found) > 1 {
			x.Steps = append(x.Steps, Step{f.kind, f.cause, f.policy, f.warning, f.caller})
		}
		causes = appendNew(causes, f.cause)
		policies = appendNew(policies, f.policy)
		callers = appendNew(callers, f.caller)
		warnings = appendNew(warnings, f.warning)
	}
	x.Cause = strings.Join(causes, "; and ")
	x.Suggestion = strings.Join(policies, "; and ")
	x.CallerChange = strings.Join(callers, "; and ")
	if slices.ContainsFunc(found, func(f finding) bool { return f.caller == "" }) {
		x.CallerChange = ""
	}
	x.Warning = strings.Join(warnings, "; ")
	if x.Suggestion == "" {
		x.Suggestion, x.CallerChange = x.CallerChange, ""
	}
}

// wide is the warning, with one of its own where a wildcard is written and
// nothing else warns: it lets in more than this one caller.
func (f finding) wide() string {
	if f.warning != "" {
		return f.warning
	}
	for _, e := range f.edits {
		if strings.Contains(e.To, "*") {
			return fmt.Sprintf("%q lets in everything that it matches, not only this caller", e.To)
		}
	}
	return ""
}

func appendNew(to []string, s string) []string {
	if s == "" || slices.Contains(to, s) {
		return to
	}
	return append(to, s)
}

// editsOf is nil where one of the findings has no mechanical change: the rest
// alone would not let the caller in.
func editsOf(found []finding) []Edit {
	var edits []Edit
	for _, f := range found {
		if len(f.edits) == 0 {
			return nil
		}
		edits = append(edits, f.edits...)
	}
	return edits
}

// removes reports whether statements move, so that no further edit can name
// one by its number.
func removes(edits []Edit) bool {
	return slices.ContainsFunc(edits, func(e Edit) bool { return e.Op == RemoveStatement })
}

// round finds what denied one action, and the statement that is looked at.
func (e *evaluation) round(r iam.Result) ([]finding, int) {
	if r.Decision == iam.ExplicitDeny {
		for _, s := range r.Statements {
			if s.Matched && s.Effect == iam.EffectDeny {
				return []finding{e.denied(s)}, s.Index
			}
		}
	}
	if r.Action != e.first {
		if f, at, missing := e.missingAction(r); missing {
			return []finding{f}, at
		}
	}
	closest, _ := e.closest(r)
	if closest < 0 {
		f := finding{
			kind:   Other,
			cause:  "the policy has no statement that allows anything",
			policy: "add a statement that allows " + r.Action + " to " + e.caller(),
		}
		if e.request.Principal.Federated == "" {
			f = e.noAllow(r.Action)
			f.cause = "the policy has no statement that allows anything"
		}
		return []finding{f}, -1
	}
	s := r.Statements[closest]
	if e.request.Principal.Federated == "" && !s.ActionMatched && (!s.ResourceMatched || !s.PrincipalMatched || !e.sameService(s.Index, r.Action)) {
		f := e.noAllow(r.Action)
		if p := e.policy.Statements[closest].Principal; p != nil && len(p.AWS) == 0 && len(p.Federated) > 0 {
			f.kind = WrongPrincipal
			f.cause = fmt.Sprintf("%s is for web identities, and the caller is a session of %s: that is sts:AssumeRole and not a call with a token", name(e.policy, closest), e.caller())
		}
		return []finding{f}, closest
	}
	var found []finding
	if !s.PrincipalMatched {
		if e.request.Principal.Federated != "" {
			found = append(found, e.principal(s))
		} else {
			found = append(found, e.awsPrincipal(s))
		}
	}
	if !s.ResourceMatched {
		found = append(found, e.resource(s))
	}
	if !s.ActionMatched {
		found = append(found, e.action(s, r.Action))
	}
	for i, c := range s.Conditions {
		if !c.Matched {
			found = append(found, e.condition(s.Index, e.policy.Statements[s.Index].Conditions[i], c))
		}
	}
	if len(found) == 0 {
		found = append(found, finding{kind: Other, cause: name(e.policy, closest) + " does not match: " + s.Note,
			policy: "write the statement so that AWS defines what it means"})
	}
	// What the subject says is the cause more often than what follows from it.
	slices.SortStableFunc(found, func(a, b finding) int { return weight(a.kind) - weight(b.kind) })
	return found, closest
}

func weight(k Kind) int {
	switch k {
	case WrongProvider, MissingAction:
		return 0
	case Other:
		return 2
	}
	return 1
}

// missingAction is the cause where no statement that allows names the action.
func (e *evaluation) missingAction(r iam.Result) (finding, int, bool) {
	for _, s := range r.Statements {
		if s.Effect == iam.EffectAllow && s.ActionMatched {
			return finding{}, 0, false
		}
	}
	// The statement that lets the caller in is the one to extend: it is as
	// narrow as the rest of the session.
	at := matchedAllow(e.evaluate(e.policy, e.first))
	if at < 0 {
		return finding{}, 0, false
	}
	return e.action(r.Statements[at], r.Action), at, true
}

func (e *evaluation) action(s iam.StatementResult, action string) finding {
	f := finding{
		kind:   MissingAction,
		cause:  fmt.Sprintf("%s does not allow %s", name(e.policy, s.Index), action),
		policy: fmt.Sprintf("add %q to the Action of %s", action, name(e.policy, s.Index)),
		edits:  []Edit{{Op: AddAction, Statement: s.Index, To: action}},
	}
	if e.policy.Statements[s.Index].Action == nil {
		f.policy, f.edits = fmt.Sprintf("write an Action that lists %q instead of NotAction", action), nil
	}
	switch action {
	case iam.ActionTagSession:
		var keys []string
		for _, t := range e.tags {
			keys = append(keys, t.Key)
		}
		f.kind = MissingTagSession
		f.cause = fmt.Sprintf("%s session tags (%s), and no statement allows sts:TagSession: tags are an action of their own", e.carrier, strings.Join(keys, ", "))
		f.caller = "send no tags"
		if len(keys) == 0 && e.session != nil {
			f.cause = fmt.Sprintf("the caller's session hands on the tags (%s), and no statement allows sts:TagSession: tags are an action of their own", strings.Join(e.session.Transitive, ", "))
			f.caller = "make the tags of the caller's session not transitive"
		}
		f.warning = "without conditions on aws:RequestTag and aws:TagKeys whoever may call can set any tag"
	case iam.ActionSetSourceIdentity:
		f.kind = MissingSourceIdentity
		f.cause = e.carrier + " a source identity, and no statement allows sts:SetSourceIdentity: it is an action of its own"
		f.caller = "send no source identity"
		f.warning = "without a condition on sts:SourceIdentity whoever may call can set any"
	default:
		if e.access {
			f.kind = MissingAction
			f.warning = "whoever the statement is for may then do that to all of its resources"
		}
	}
	return f
}

// principal says why the statement is not for this caller.
func (e *evaluation) principal(s iam.StatementResult) finding {
	f := finding{
		kind:   WrongProvider,
		cause:  fmt.Sprintf("the Principal of %s does not name the provider %s", name(e.policy, s.Index), e.request.Principal.Federated),
		policy: fmt.Sprintf("add {\"Federated\": %q} to the Principal", e.request.Principal.Federated),
	}
	if s.Note != "" {
		f.cause += ": " + s.Note
	}
	source := e.policy.Statements[s.Index]
	if source.Principal == nil || source.Principal.Any {
		f.policy = fmt.Sprintf("write \"Principal\": {\"Federated\": %q}", e.request.Principal.Federated)
		return f
	}
	f.edits = []Edit{{Op: AddPrincipal, Statement: s.Index, To: e.request.Principal.Federated}}
	for _, v := range source.Principal.Federated {
		account, host := splitProvider(v.Text)
		wantAccount, wantHost := splitProvider(e.request.Principal.Federated)
		switch {
		case host == wantHost && account != wantAccount:
			f.cause = fmt.Sprintf("the Principal names the provider of the account %s, and the role's provider stands in %s: a role can only trust providers of its own account", account, wantAccount)
		case host != wantHost && account == wantAccount:
			f.cause = fmt.Sprintf("the Principal names the provider of %s, and the token is of %s", host, wantHost)
			f.caller = "ask the issuer that the role trusts for the token"
		default:
			continue
		}
		f.policy = fmt.Sprintf("write %q instead of %q as the Federated principal", e.request.Principal.Federated, v.Text)
		f.edits = []Edit{{Op: ReplacePrinc, Statement: s.Index, From: v.Text, To: e.request.Principal.Federated}}
		if host != wantHost {
			f.warning = "the role then trusts another issuer: whoever controls that one decides who gets in"
		}
		return f
	}
	return f
}

func splitProvider(arn string) (account, host string) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return "", arn
	}
	return parts[4], strings.TrimPrefix(parts[5], "oidc-provider/")
}

// denied says why a statement denies, and what would spare this caller.
func (e *evaluation) denied(s iam.StatementResult) finding {
	f := finding{
		kind:   ExplicitDeny,
		cause:  name(e.policy, s.Index) + " denies it, and a deny wins over every allow",
		policy: "remove " + name(e.policy, s.Index),
		edits:  []Edit{{Op: RemoveStatement, Statement: s.Index}},
	}
	f.warning = "the statement was written to keep somebody out: without it all of them may get in"
	source := e.policy.Statements[s.Index]
	for i, c := range s.Conditions {
		if len(c.Actual) == 1 {
			f.cause += fmt.Sprintf("; %s is %q", c.Key, c.Actual[0])
		}
		condition := source.Conditions[i]
		var edits []Edit
		var words string
		switch {
		case len(c.Actual) != 1:
		case condition.Negated():
			value := escape(e.policy, condition.Test, c.Actual[0])
			edits = []Edit{{Op: AddValue, Statement: s.Index, Operator: c.Operator, Key: c.Key, To: value}}
			words = fmt.Sprintf("except this caller from the deny: add %q to %s %s", value, c.Operator, c.Key)
		case len(c.Written) > 1 && slices.Contains(c.Written, c.Actual[0]):
			edits = []Edit{{Op: RemoveValue, Statement: s.Index, Operator: c.Operator, Key: c.Key, From: c.Actual[0]}}
			words = fmt.Sprintf("take %q out of %s %s", c.Actual[0], c.Operator, c.Key)
		}
		if edits != nil && e.spares(s.Index, edits) {
			f.policy, f.edits = words, edits
			f.warning = "the statement was written to keep somebody out: make sure that it was not this caller"
			break
		}
	}
	return f
}

// spares reports whether the statement no longer matches after the edits.
func (e *evaluation) spares(index int, edits []Edit) bool {
	changed, err := Apply(e.policy, edits)
	if err != nil {
		return false
	}
	for _, action := range e.decide(changed).actions {
		if action.Statements[index].Matched {
			return false
		}
	}
	return true
}
