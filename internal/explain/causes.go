package explain

import (
	"fmt"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// Kind is the cause of a denial as one word.
type Kind string

// The causes.
const (
	EnvironmentSubject    Kind = "environment_subject"     // environment: where a branch was expected
	BranchSubject         Kind = "branch_subject"          // a branch where environment: was expected
	PullRequestSubject    Kind = "pull_request_subject"    // pull_request where something else was expected
	LetterCase            Kind = "letter_case"             // only the case of letters differs
	LiteralWildcard       Kind = "literal_wildcard"        // * or ? under an operator that takes them literally
	HostInSubject         Kind = "host_in_subject"         // repo:github.com/...
	NamesForm             Kind = "names_form"              // the policy has names, the token ids
	IDsForm               Kind = "ids_form"                // the policy has ids, the token names
	RepositorySubject     Kind = "repository_subject"      // another repository than the policy names
	IssuerPrefix          Kind = "issuer_prefix"           // the subject of a stint token without the issuer's name
	Audience              Kind = "audience"                // the audience is another or missing
	WrongProvider         Kind = "provider"                // the provider is of another account or host
	MisspeltKey           Kind = "misspelt_key"            // no such condition key, and one that looks like it
	UnknownKey            Kind = "unknown_key"             // AWS has no such key for this issuer
	AbsentKey             Kind = "absent_key"              // the key exists, the call does not carry it
	MissingAction         Kind = "missing_action"          // the statement does not name the action
	MissingTagSession     Kind = "missing_tag_session"     // tags without sts:TagSession
	MissingSourceIdentity Kind = "missing_source_identity" // a source identity without sts:SetSourceIdentity
	Tags                  Kind = "tags"                    // a condition on the tags that the call passes
	SessionTag            Kind = "session_tag"             // a tag that the caller's session does not have
	InheritedTag          Kind = "inherited_tag"           // a transitive tag that is passed again
	ChangedSourceIdentity Kind = "changed_source_identity" // a source identity that is set already
	CallerPolicy          Kind = "caller_policy"           // the caller's own policies do not allow it
	WrongPrincipal        Kind = "principal"               // the policy names other callers
	WrongResource         Kind = "resource"                // the policy names other resources
	NoAllow               Kind = "no_allow"                // no policy of a layer allows the action
	ExplicitDeny          Kind = "explicit_deny"           // a statement denies
	SessionName           Kind = "session_name"            // the session's name is outside STS's limits
	RoleNotNamed          Kind = "role_not_named"          // the token may buy other roles only
	RuleMismatch          Kind = "rule_mismatch"           // no rule of the broker matches
	RuleDenies            Kind = "rule_denies"             // a deny rule of the broker matches
	NotOurs               Kind = "not_ours"                // the broker does not accept the token
	Session               Kind = "session"                 // the rule's session cannot be made
	Other                 Kind = "other"
)

// miss is a condition that did not hold.
type miss struct {
	e      *evaluation
	index  int
	source iam.Condition
	result iam.ConditionResult
	claim  string // of a key HOST:claim, with HOST this issuer's
	// want is the expected value that is most like what was found, and wrote
	// the same as it stands in the policy.
	want, wrote string
	got         string // the one value found; empty for none or several
}

// causes are tried in this order; the first that knows the miss explains it.
var causes = []func(*miss) *finding{
	tokenKey,
	misspeltKey,
	unknownKey,
	negated,
	notAnARN,
	spaces,
	subjectDiffers,
	literalWildcard,
	letterCase,
	audience,
	sessionTag,
	tags,
	absent,
	otherValue,
}

// miss is a condition as it is explained.
func (e *evaluation) miss(index int, source iam.Condition, result iam.ConditionResult) *miss {
	m := &miss{e: e, index: index, source: source, result: result}
	if e.host != "" && len(result.Key) > len(e.host) && strings.EqualFold(result.Key[:len(e.host)], e.host) && result.Key[len(e.host)] == ':' {
		m.claim = strings.ToLower(result.Key[len(e.host)+1:])
	}
	if len(result.Actual) == 1 {
		m.got = result.Actual[0]
	}
	best := -1
	for i, want := range result.Expected {
		if n := alike(want, m.got); n > best {
			best, m.want, m.wrote = n, want, result.Written[i]
		}
	}
	return m
}

// condition explains one condition that did not hold.
func (e *evaluation) condition(index int, source iam.Condition, result iam.ConditionResult) finding {
	m := e.miss(index, source, result)
	for _, known := range causes {
		if f := known(m); f != nil {
			m.complete(f)
			return *f
		}
	}
	f := &finding{kind: Other, cause: fmt.Sprintf("%s %s does not hold: expected %s, found %s", result.Operator, result.Key, quoted(result.Expected), quoted(result.Actual))}
	if result.Note != "" {
		f.cause += " (" + result.Note + ")"
	}
	f.policy = fmt.Sprintf("remove the condition %s %s", result.Operator, result.Key)
	f.warning = "without the condition everybody gets in who meets the others"
	m.complete(f)
	return *f
}

// complete keeps edits that make the condition hold, and falls back to adding
// the value that was found, and in the end to doing without the condition.
func (m *miss) complete(f *finding) {
	if f.edits != nil && (f.partial && !m.e.whole || m.helps(f.edits)) {
		return
	}
	f.also = nil
	if f.edits != nil || f.kind == Other {
		remove := []Edit{m.edit(RemoveCondition, "", "")}
		if m.helps(remove) {
			f.policy = fmt.Sprintf("remove the condition %s %s", m.result.Operator, m.result.Key)
			f.warning = "without the condition everybody gets in who meets the others"
			f.edits = remove
			return
		}
	}
	f.edits = nil
}

// helps reports whether after the edits all that is left of the statement's
// conditions on this key and operator holds.
func (m *miss) helps(edits []Edit) bool {
	changed, err := Apply(m.e.policy, edits)
	if err != nil || m.index >= len(changed.Statements) {
		return false
	}
	return failures(changed, m) < failures(m.e.policy, m)
}

func failures(p *iam.Policy, m *miss) int {
	r := m.e.evaluate(p, m.e.first)
	n := 0
	for _, c := range r.Statements[m.index].Conditions {
		if !c.Matched {
			n++
		}
	}
	return n
}

// where is how the condition is spoken of.
func (m *miss) where() string { return m.result.Operator + " " + m.result.Key }

func (m *miss) edit(op Op, from, to string) Edit {
	return Edit{Op: op, Statement: m.index, Operator: m.result.Operator, Key: m.result.Key, From: from, To: to}
}

func (m *miss) add(value string) []Edit {
	return []Edit{m.edit(AddValue, "", escape(m.e.policy, m.source.Test, value))}
}

func (m *miss) replace(value string) []Edit {
	return []Edit{m.edit(ReplaceValue, m.wrote, value)}
}

// isText reports whether the operator compares text, so that adding a value is
// a change that means something.
func (m *miss) isText() bool {
	return !m.source.Negated() && (strings.HasPrefix(m.source.Test, "String") || strings.HasPrefix(m.source.Test, "Arn"))
}

func (m *miss) takesWildcards() bool {
	return m.source.Test == "StringLike" || strings.HasPrefix(m.source.Test, "Arn")
}

// alike says how alike two values are: the more the better.
func alike(want, got string) int {
	return commonPrefix(strings.ToLower(want), strings.ToLower(got))
}

// escape writes a value so that the policy takes every character of it as it
// is. Before version 2012-10-17 there is no such way for wildcards.
func escape(p *iam.Policy, test, value string) string {
	if p.Version != iam.VersionCurrent {
		return value
	}
	if test == "StringLike" || strings.HasPrefix(test, "Arn") {
		return strings.NewReplacer("$", "${$}", "*", "${*}", "?", "${?}").Replace(value)
	}
	return strings.ReplaceAll(value, "${", "${$}{")
}

func quoted(values []string) string {
	if len(values) == 0 {
		return "nothing"
	}
	var q []string
	for i, v := range values {
		if i == 5 {
			q = append(q, fmt.Sprintf("one of %d more", len(values)-5))
			break
		}
		q = append(q, fmt.Sprintf("%q", short(v)))
	}
	return strings.Join(q, " or ")
}
