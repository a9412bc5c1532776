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
	// partial says that the edits mend one thing, and that the condition need
	// not hold yet: what else is in its way is found after it.
	partial bool
	// also are other things in which the same value differs. The edits of this
	// finding are theirs too.
	also   []finding
	shared bool // it is one of those
	// otherwise takes the place of caller where that alone would not do.
	otherwise string
	tries     *attempt // caller as it would be tried; nil: it cannot be
}

// with are the finding and what goes along with it, one by one.
func (f finding) with() []finding {
	all := []finding{f}
	for _, a := range f.also {
		a.shared = true
		all = append(all, a)
	}
	all[0].also = nil
	return all
}

// maxRounds bounds how many causes are looked for one behind the other.
const maxRounds = 8

// explainDenial fills in what a denied caller is told.
func (x *Explanation) explainDenial(e *evaluation, denied outcome) {
	found, edits, closest := e.findings(denied)
	if edits == nil {
		// One thing at a time led nowhere: say what would do at once.
		whole := *e
		whole.whole = true
		if f, made, at := whole.findings(denied); made != nil {
			found, edits, closest = f, made, at
		}
	}
	x.Closest = closest
	e.tried(found)
	e.warnOfAnybody(found)
	x.tell(found)
	x.Edits = edits
}

// findings are the causes of a denial, also those that come to light only when
// the first are mended, and the edits that let the caller in; nil where no
// edits do.
func (e *evaluation) findings(denied outcome) (found []finding, edits []Edit, closest int) {
	found, closest = e.round(denied.deciding())
	edits = editsOf(found)
	made := edits
	for range maxRounds {
		if made == nil {
			break
		}
		changed, err := Apply(e.policy, kept(made))
		if err != nil {
			return found, nil, closest
		}
		again := e.decide(changed)
		if again.allowed {
			break
		}
		next := *e
		next.policy = changed
		more, _ := next.round(again.deciding())
		more = slices.DeleteFunc(more, func(f finding) bool {
			return slices.ContainsFunc(found, func(g finding) bool { return f.cause == g.cause && f.policy == g.policy })
		})
		if len(more) == 0 {
			return found, nil, closest
		}
		found = append(found, more...)
		if made = editsOf(more); made == nil {
			return found, nil, closest
		}
		edits = append(slices.Clone(edits), made...)
		made = edits
	}
	if changed, err := Apply(e.policy, edits); edits != nil && (err != nil || !e.decide(changed).allowed) {
		edits = nil
	}
	// From the last to the first, removals can be made one after the other.
	slices.SortStableFunc(edits, func(a, b Edit) int {
		switch removesA, removesB := a.Op == RemoveStatement, b.Op == RemoveStatement; {
		case removesA && removesB:
			return b.Statement - a.Statement
		case removesA:
			return 1
		case removesB:
			return -1
		}
		return 0
	})
	return found, edits, closest
}

// kept are the edits with statements that never match in the place of those
// that are removed: the others keep their numbers.
func kept(edits []Edit) []Edit {
	out := slices.Clone(edits)
	for i := range out {
		if out[i].Op == RemoveStatement {
			out[i].Op = disarmStatement
		}
	}
	return out
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
		if f.shared {
			continue
		}
		if len(f.edits) == 0 {
			return nil
		}
		edits = append(edits, f.edits...)
	}
	return edits
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
	if f, ok := e.literalVariables(s); ok {
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
			found = append(found, e.condition(s.Index, e.policy.Statements[s.Index].Conditions[i], c).with()...)
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
		if e.session != nil && e.session.SourceIdentity != "" {
			f.cause = "the caller's session has a source identity, which goes on by itself, and no statement allows sts:SetSourceIdentity: it is an action of its own"
			f.caller = ""
		}
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
		if notProvider(v.Text) {
			f.cause = noProvider(v.Text, e.host)
			f.caller = ""
			f.policy = fmt.Sprintf("write %q instead of %q as the Federated principal", e.request.Principal.Federated, v.Text)
			f.edits = []Edit{{Op: ReplacePrinc, Statement: s.Index, From: v.Text, To: e.request.Principal.Federated}}
			return f
		}
		f.policy = fmt.Sprintf("write %q instead of %q as the Federated principal", e.request.Principal.Federated, v.Text)
		f.edits = []Edit{{Op: ReplacePrinc, Statement: s.Index, From: v.Text, To: e.request.Principal.Federated}}
		if strings.EqualFold(strings.TrimSuffix(host, "/"), wantHost) {
			f.caller = ""
			if host != wantHost {
				f.cause = fmt.Sprintf("the Principal writes the provider's host as %s, and it is %s: letters and slashes count", host, wantHost)
			}
			return f
		}
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
