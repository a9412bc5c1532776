package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// variables are the keys of the policy variables in a text that have no
// default, in order.
func variables(p *iam.Policy, text string) []string {
	if p.Version != iam.VersionCurrent {
		return nil
	}
	var keys []string
	for {
		_, rest, ok := strings.Cut(text, "${")
		if !ok {
			return keys
		}
		key, after, ok := strings.Cut(rest, "}")
		if !ok {
			return keys
		}
		text = after
		if key = strings.TrimSpace(key); key != "*" && key != "?" && key != "$" && !strings.Contains(key, ",") {
			keys = append(keys, key)
		}
	}
}

// unset are the variables of a text that have no value in this request.
func (e *evaluation) unset(text string) []string {
	return slices.DeleteFunc(variables(e.policy, text), func(key string) bool {
		values, _ := e.request.Context.Get(key)
		return len(values) > 0
	})
}

// principalTag is the tag that a condition key names of the caller's own.
func principalTag(key string) (string, bool) {
	const prefix = "aws:principaltag/"
	if len(key) > len(prefix) && strings.EqualFold(key[:len(prefix)], prefix) {
		return key[len(prefix):], true
	}
	return "", false
}

// tokenKey knows a key of a token in the policy of what a session asks for.
func tokenKey(m *miss) *finding {
	host, claim, ok := cutLast(m.result.Key, ':')
	name, _, _ := strings.Cut(host, "/")
	if m.e.session == nil || m.result.Present || m.source.Test == "Null" || !ok || strings.Contains(host, ":") || !strings.Contains(name, ".") {
		return nil
	}
	key := "aws:PrincipalTag/" + claim
	return &finding{
		kind:    AbsentKey,
		cause:   fmt.Sprintf("%s is a key of the call that the token is for, and a session never has it: what is to be known of the token later goes on as a session tag", m.result.Key),
		policy:  fmt.Sprintf("test %s instead of %s, and give the session the tag %s", key, m.result.Key, claim),
		edits:   []Edit{m.edit(RenameKey, m.result.Key, key)},
		partial: true,
	}
}

// sessionTag knows conditions on tags of the caller's session, and variables
// that stand for them, where the session has no such tag.
func sessionTag(m *miss) *finding {
	if name, ok := principalTag(m.result.Key); ok && !m.result.Present && m.source.Test != "Null" {
		f := m.e.noTag(name)
		f.policy = "remove the condition on " + m.result.Key
		f.warning = "sessions without the tag then get in"
		f.edits = []Edit{m.edit(RemoveCondition, "", "")}
		if m.e.first == iam.ActionAssumeRoleWithWebIdentity {
			m.requestTagInstead(f, name)
		}
		return f
	}
	if m.source.Negated() || m.want == "" && len(m.result.Expected) > 0 {
		return nil
	}
	for _, wrote := range m.result.Written {
		keys := m.e.unset(wrote)
		if len(keys) == 0 {
			continue
		}
		f := m.e.noValue(keys[0])
		f.policy = fmt.Sprintf("give ${%s} a default in %s, or remove the condition", keys[0], m.where())
		f.edits = []Edit{m.edit(RemoveCondition, "", "")}
		f.warning = "without the condition everybody gets in who meets the others"
		if m.isText() && m.got != "" {
			f.policy = fmt.Sprintf("add %q to %s", escape(m.e.policy, m.source.Test, m.got), m.where())
			f.edits = m.add(m.got)
			f.warning = "every caller then gets in whose " + m.result.Key + " is that, whatever tags the session has"
		}
		return f
	}
	return nil
}

// noValue is a policy variable that stands for nothing.
func (e *evaluation) noValue(key string) *finding {
	if name, ok := principalTag(key); ok {
		f := e.noTag(name)
		f.cause += fmt.Sprintf(", so ${%s} stands for nothing and equals nothing", key)
		return f
	}
	return &finding{kind: AbsentKey, cause: fmt.Sprintf("the request has no %s, so ${%s} stands for nothing and equals nothing", key, key)}
}

// noTag is a tag that the session does not have.
func (e *evaluation) noTag(name string) *finding {
	if e.session == nil {
		return &finding{kind: SessionTag, cause: "the caller has no tag " + name, caller: "give the caller the tag " + name}
	}
	f := &finding{kind: SessionTag, cause: e.owner + " has no tag " + name}
	why, fix := e.session.noTag(name)
	if why != "" {
		f.cause += ": " + why
	}
	f.caller = fix
	return f
}

// requestTagInstead is the change where a trust policy tests the caller's own
// tags in a web identity call: those of the token are aws:RequestTag there.
func (m *miss) requestTagInstead(f *finding, name string) {
	f.kind = AbsentKey
	f.cause = fmt.Sprintf("a web identity call has no AWS principal yet, so %s is never there; a tag that the token carries is aws:RequestTag", m.result.Key)
	f.caller = ""
	key := "aws:RequestTag/" + name
	if values, _ := m.e.request.Context.Get(key); len(values) == 1 {
		edits := []Edit{m.edit(RenameKey, m.result.Key, key)}
		if m.helps(edits) {
			f.policy, f.warning, f.edits = "test "+key+" instead", "", edits
		}
	}
}
