package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// misspeltKey knows a condition key that AWS does not have and that looks like
// one it has for this call.
func misspeltKey(m *miss) *finding {
	if m.result.Present || m.source.Test == "Null" || realKey(m.result.Key) {
		return nil
	}
	if m.claim != "" {
		claims, _ := iam.IssuerClaims(m.e.host)
		if slices.Contains(claims, m.claim) || instead[m.claim] != "" {
			return nil
		}
		if _, inToken := m.e.claims[m.claim]; inToken {
			return nil // a claim well written, and no condition key
		}
		for meant := range instead {
			if distance(m.claim, meant) < 3 {
				return m.unexposed(meant)
			}
		}
	}
	near := m.nearest()
	if near == "" {
		return m.otherHost()
	}
	return m.rename(near, fmt.Sprintf("the condition key %s does not exist, so it is never there; %s does", m.result.Key, near))
}

// spoken are names that claims are called by, and that are none.
var spoken = map[string]string{
	"subject": "sub", "audience": "aud", "env": "environment", "environment_name": "environment",
	"repo": "repository", "repository_name": "repository", "repo_id": "repository_id",
	"owner_id": "repository_owner_id", "org_id": "repository_owner_id", "repo_owner_id": "repository_owner_id",
	"branch": "ref", "ref_name": "ref", "git_ref": "ref", "job_workflow": "job_workflow_ref", "reusable_workflow": "job_workflow_ref",
	"workflow_name": "workflow", "user": "actor", "user_id": "actor_id",
}

// nearest is the key that the one in the policy was to be, or empty: of those
// that look like it the one whose value is what the policy expects, and else
// the one that looks like it most.
func (m *miss) nearest() string {
	key := strings.ToLower(m.result.Key)
	near, best := "", 100
	for _, candidate := range m.e.keys() {
		lower := strings.ToLower(candidate)
		_, bare, _ := cutLast(lower, ':')
		n := 0
		switch apart := distance(key, lower); {
		case apart == 0:
			continue
		case m.claim != "" && spoken[m.claim] != "" && lower == strings.ToLower(m.e.host)+":"+spoken[m.claim]:
		case apart < 3:
			n = apart
		case key == bare: // without what stands before the colon
		case m.claim != "" && len(m.claim) > 3 && strings.HasPrefix(lower, strings.ToLower(m.e.host)+":"+m.claim):
			n = 3
		default:
			continue
		}
		// The value says more than the spelling.
		if values, _ := m.e.request.Context.Get(candidate); len(values) != 1 || !slices.ContainsFunc(m.result.Expected, func(want string) bool { return m.meets(want, values[0]) }) {
			n += 10
		}
		if n < best {
			near, best = candidate, n
		}
	}
	return near
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}

// rename is the change to another key. What else is in its way there is found
// after it.
func (m *miss) rename(key, cause string) *finding {
	f := &finding{
		kind:    MisspeltKey,
		cause:   cause,
		policy:  fmt.Sprintf("write %s instead of %s", key, m.result.Key),
		edits:   []Edit{m.edit(RenameKey, m.result.Key, key)},
		partial: true,
	}
	for _, c := range m.e.policy.Statements[m.index].Conditions {
		if c.Operator != m.result.Operator || !strings.EqualFold(c.Key, key) {
			continue
		}
		// Two conditions of one key and operator cannot be written.
		f.policy = fmt.Sprintf("remove the condition on %s: the one on %s stands beside it", m.result.Key, key)
		f.edits = []Edit{m.edit(RemoveCondition, "", "")}
		if !sameValues(c.Values.Strings(), m.source.Values.Strings()) {
			f.warning = fmt.Sprintf("the condition on %s has other values: make sure that they are those that are meant", key)
		}
		return f
	}
	values, _ := m.e.request.Context.Get(key)
	if !m.e.whole || !m.isText() || len(values) != 1 || m.helps(f.edits) {
		return f
	}
	add := Edit{Op: AddValue, Statement: m.index, Operator: m.result.Operator, Key: key, To: escape(m.e.policy, m.source.Test, values[0])}
	f.edits = append(f.edits, add)
	f.cause += fmt.Sprintf("; and its value is %q where the policy expects %s", values[0], quoted(m.result.Expected))
	f.policy += fmt.Sprintf(" and add %q to its values", add.To)
	f.warning = fmt.Sprintf("every caller whose %s is %q then gets in", key, values[0])
	return f
}

func sameValues(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// realKeys are keys that exist and that a web identity call does not have, or
// not always; a key with a slash at the end stands for any name after it.
var realKeys = []string{
	"aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:principaltag/", "aws:requesttag/", "aws:resourcetag/",
	"aws:sourcearn", "aws:sourceaccount", "aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip", "aws:sourceidentity",
	"aws:tagkeys", "aws:username", "aws:userid", "aws:referer", "aws:useragent", "aws:currenttime", "aws:epochtime",
	"aws:multifactorauthage", "aws:multifactorauthpresent", "aws:tokenissuetime", "aws:viaawsservice", "aws:requestedregion",
	"iam:resourcetag/", "sts:externalid", "sts:rolesessionname", "sts:sourceidentity", "sts:transitivetagkeys", "sts:roleauthorizedbyidp",
}

func realKey(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(realKeys, func(real string) bool {
		return key == real || strings.HasSuffix(real, "/") && strings.HasPrefix(key, real)
	})
}

// otherHost knows a key of a claim behind a host that is not the issuer's.
func (m *miss) otherHost() *finding {
	at := strings.LastIndexByte(m.result.Key, ':')
	if at < 0 || m.claim != "" || !strings.Contains(m.result.Key[:at], ".") {
		return nil
	}
	key := m.e.host + m.result.Key[at:]
	if _, present := m.e.request.Context.Get(key); !present {
		return nil
	}
	return m.rename(key, fmt.Sprintf("the condition key %s is of another issuer: this token is of %s, so the key is never there", m.result.Key, m.e.host))
}

// keys are all condition keys that the call could have.
func (e *evaluation) keys() []string {
	keys := e.request.Context.Keys()
	claims, _ := iam.IssuerClaims(e.host)
	for _, c := range claims {
		keys = append(keys, e.host+":"+c)
	}
	keys = append(keys, "sts:RoleSessionName", "sts:SourceIdentity", "sts:TransitiveTagKeys", "aws:TagKeys", "aws:SourceIp", "aws:CurrentTime", "aws:RequestedRegion")
	slices.Sort(keys)
	return slices.Compact(keys)
}

// distance is the number of characters to insert, remove, replace or swap with
// their neighbour to get from a to b, or 3 where it is more than 2.
func distance(a, b string) int {
	const far = 3
	if len(a)-len(b) >= far || len(b)-len(a) >= far {
		return far
	}
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return min(last[len(b)], far)
}

// instead are claims that AWS exposes and that say what one says that it does
// not.
var instead = map[string]string{
	"repository_owner": "repository_owner_id",
	"workflow_ref":     "job_workflow_ref",
}

// unknownKey knows a claim that the token has and AWS makes no key of.
func unknownKey(m *miss) *finding {
	if m.claim == "" || m.result.Present {
		return nil
	}
	claims, _ := iam.IssuerClaims(m.e.host)
	if slices.Contains(claims, m.claim) {
		return nil
	}
	return m.unexposed(m.claim)
}

// unexposed is that AWS makes no key of the claim that a key is, or was to be,
// made of.
func (m *miss) unexposed(claim string) *finding {
	claims, _ := iam.IssuerClaims(m.e.host)
	f := &finding{
		kind:    UnknownKey,
		cause:   fmt.Sprintf("AWS makes no condition key of the claim %s for tokens of %s, so %s is never there", claim, m.e.host, m.result.Key),
		policy:  fmt.Sprintf("remove the condition on %s; AWS has keys for %s", m.result.Key, strings.Join(claims, ", ")),
		warning: "without the condition everybody gets in who meets the others",
		edits:   []Edit{m.edit(RemoveCondition, "", "")},
	}
	other := instead[claim]
	if !slices.Contains(claims, other) || m.source.Test != "StringEquals" || m.source.Qualifier != iam.NoQualifier || len(m.result.Written) == 0 {
		return f
	}
	key := m.e.host + ":" + other
	values, _ := m.e.request.Context.Get(key)
	if len(values) != 1 {
		return f
	}
	if claim != m.claim {
		f.kind = MisspeltKey
		f.cause = fmt.Sprintf("the condition key %s does not exist, and AWS makes none of the claim %s either, so it is never there", m.result.Key, claim)
	}
	f.policy = fmt.Sprintf("test %s for %q instead", key, values[0])
	f.warning = ""
	// What stood there is the other claim's: nothing of it is kept.
	f.edits = []Edit{m.edit(RenameKey, m.result.Key, key)}
	for i, old := range m.result.Written {
		e := Edit{Op: RemoveValue, Statement: m.index, Operator: m.result.Operator, Key: key, From: old}
		if i == 0 {
			e.Op, e.To = ReplaceValue, escape(m.e.policy, m.source.Test, values[0])
		}
		f.edits = append(f.edits, e)
	}
	own := m.e.claimText(claim)
	if own == "" && other == "job_workflow_ref" {
		own = values[0] // the same workflow, where none is called
	}
	if !slices.Contains(m.result.Expected, own) {
		f.cause += fmt.Sprintf("; and this caller is somebody else: its %s is %q, and the policy expects %s", claim, first(own, "not in the token"), quoted(m.result.Expected))
		f.warning = fmt.Sprintf("every caller whose %s is %q then gets in, whom the policy does not name: make sure that it is yours", other, values[0])
	} else if other == "job_workflow_ref" && values[0] != own {
		f.warning = fmt.Sprintf("every workflow that calls %s then gets in", values[0])
	}
	return f
}
