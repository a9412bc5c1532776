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
		if slices.Contains(claims, m.claim) {
			return nil
		}
		if _, inToken := m.e.claims[m.claim]; inToken {
			return nil // a claim well written, and no condition key
		}
	}
	near, best := "", 3
	for _, key := range m.e.keys() {
		if n := distance(strings.ToLower(m.result.Key), strings.ToLower(key)); n > 0 && n < best {
			near, best = key, n
		}
	}
	if near == "" {
		return m.otherHost()
	}
	return m.rename(near, fmt.Sprintf("the condition key %s does not exist, so it is never there; %s does", m.result.Key, near))
}

// rename is the change to another key, and to the value that is found there
// where that is another one too.
func (m *miss) rename(key, cause string) *finding {
	f := &finding{
		kind:   MisspeltKey,
		cause:  cause,
		policy: fmt.Sprintf("write %s instead of %s", key, m.result.Key),
		edits:  []Edit{m.edit(RenameKey, m.result.Key, key)},
	}
	values, _ := m.e.request.Context.Get(key)
	if !m.isText() || len(values) != 1 || m.helps(f.edits) {
		return f
	}
	add := Edit{Op: AddValue, Statement: m.index, Operator: m.result.Operator, Key: key, To: escape(m.e.policy, m.source.Test, values[0])}
	f.edits = append(f.edits, add)
	f.cause += fmt.Sprintf("; and its value is %q where the policy expects %s", values[0], quoted(m.result.Expected))
	f.policy += fmt.Sprintf(" and add %q to its values", add.To)
	f.warning = fmt.Sprintf("every caller whose %s is %q then gets in", key, values[0])
	return f
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
	f := &finding{
		kind:    UnknownKey,
		cause:   fmt.Sprintf("AWS makes no condition key of the claim %s for tokens of %s, so %s is never there", m.claim, m.e.host, m.result.Key),
		policy:  fmt.Sprintf("remove the condition on %s; AWS has keys for %s", m.result.Key, strings.Join(claims, ", ")),
		warning: "without the condition everybody gets in who meets the others",
		edits:   []Edit{m.edit(RemoveCondition, "", "")},
	}
	if other := instead[m.claim]; other != "" && m.source.Test == "StringEquals" && m.source.Qualifier == iam.NoQualifier {
		if values, ok := m.e.request.Context.Get(m.e.host + ":" + other); ok && len(values) == 1 {
			key := m.e.host + ":" + other
			f.policy = fmt.Sprintf("test %s for %q instead", key, values[0])
			f.warning = ""
			f.edits = []Edit{m.edit(RenameKey, m.result.Key, key),
				{Op: AddValue, Statement: m.index, Operator: m.result.Operator, Key: key, To: escape(m.e.policy, m.source.Test, values[0])}}
		}
	}
	return f
}
