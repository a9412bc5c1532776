package explain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
)

// written is what stands in the policy, where it differs from what it means
// in this request.
func written(wrote, means []string) []string {
	if slices.Equal(wrote, means) {
		return nil
	}
	return wrote
}

// principalsOf are the principals of a statement as they are compared with a
// caller that has AWS credentials.
func principalsOf(from *iam.Principals) []string {
	all := []string{}
	for _, v := range from.AWS {
		all = append(all, v.Text)
	}
	for _, kind := range []struct {
		name   string
		values iam.Values
	}{{"Federated", from.Federated}, {"Service", from.Service}, {"CanonicalUser", from.CanonicalUser}} {
		for _, v := range kind.values {
			all = append(all, kind.name+": "+v.Text)
		}
	}
	return all
}

// resourceOf is the Resource of a statement as a condition.
func (e *evaluation) resourceOf(source *iam.Statement, s iam.StatementResult) Condition {
	c := Condition{Operator: OperatorResource, Key: OperatorResource, Expected: []string{}, Actual: []string{}, Matched: s.ResourceMatched, Position: s.Position}
	if e.request.Resource != "" {
		c.Actual = []string{e.request.Resource}
	}
	values := source.Resource
	if source.NotResource != nil {
		c.Operator, c.Key, values = "NotResource", "NotResource", source.NotResource
	}
	for _, v := range values {
		c.Expected = append(c.Expected, e.expand(v.Text))
	}
	if len(values) > 0 {
		c.Position = values[0].Position
	}
	c.Written = written(values.Strings(), c.Expected)
	if !s.ResourceMatched {
		c.Note = s.Note
	}
	return c
}

// expand puts the values of this request in the place of policy variables, to
// be read; package iam decides. One without a value stays as it is written.
func (e *evaluation) expand(text string) string {
	if e.policy.Version != iam.VersionCurrent {
		return text
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "${")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		inner, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.WriteString("${" + rest)
			return b.String()
		}
		text = after
		key, fallback, hasDefault := strings.Cut(inner, ",")
		fallback = strings.TrimSpace(fallback)
		values, _ := e.request.Context.Get(strings.TrimSpace(key))
		switch {
		case inner == "*" || inner == "?" || inner == "$":
			b.WriteString(inner)
		case len(values) == 1:
			b.WriteString(values[0])
		case hasDefault && len(values) == 0 && len(fallback) >= 2:
			b.WriteString(fallback[1 : len(fallback)-1])
		default:
			b.WriteString("${" + inner + "}")
		}
	}
}

// noAllow is that no statement of the policy is about this request.
func (e *evaluation) noAllow(action string) finding {
	statement := map[string]any{"Effect": "Allow", "Action": action}
	if e.request.IdentityPolicy || e.access {
		statement["Resource"] = escape(e.policy, "ArnLike", e.request.Resource)
	}
	to, on := "", ""
	if e.access {
		on = " on " + first(short(e.request.Resource), "the resource")
	}
	if !e.request.IdentityPolicy {
		statement["Principal"] = map[string]any{"AWS": e.caller()}
		to = " to " + e.caller()
	}
	f := finding{
		kind:   NoAllow,
		cause:  fmt.Sprintf("no statement of %s allows %s%s", first(e.document, "the policy"), action, on),
		policy: fmt.Sprintf("add a statement that allows %s%s%s", action, on, to),
	}
	if e.access && e.request.Resource == "" {
		f.caller = "name the resource with --resource"
		return f
	}
	if text, err := json.Marshal(statement); err == nil {
		f.edits = []Edit{{Op: AddStatement, To: string(text)}}
	}
	return f
}

// awsPrincipal says why a statement is not for a caller that has AWS
// credentials.
func (e *evaluation) awsPrincipal(s iam.StatementResult) finding {
	arn := e.caller()
	f := finding{
		kind:   WrongPrincipal,
		cause:  fmt.Sprintf("the Principal of %s does not name the caller, %s", name(e.policy, s.Index), arn),
		policy: fmt.Sprintf("add {\"AWS\": %q} to the Principal of %s", arn, name(e.policy, s.Index)),
	}
	source := e.policy.Statements[s.Index]
	if source.Principal == nil || source.Principal.Any {
		if s.Note != "" {
			f.cause += ": " + s.Note
		}
		f.policy = fmt.Sprintf("write \"Principal\": {\"AWS\": %q}", arn)
		return f
	}
	f.edits = []Edit{{Op: AddPrincipal, Statement: s.Index, Key: "AWS", To: arn}}
	if strings.Contains(arn, ":role/") {
		f.warning = fmt.Sprintf("every session of %s then gets in, whatever its name", arn)
	}
	for _, v := range source.Principal.AWS {
		switch {
		case e.session != nil && isSession(v.Text) && sameRole(v.Text, e.session.Role):
			f.anotherSession(e, s.Index, v.Text)
			return f
		case strings.EqualFold(v.Text, arn):
			f.kind = LetterCase
			f.cause = fmt.Sprintf("only the case of letters differs, and it counts: the Principal has %q, the caller is %q", v.Text, arn)
		case account(v.Text) != account(arn) && account(v.Text) != "" && roleName(v.Text) == roleName(arn):
			f.cause = fmt.Sprintf("the Principal names the caller's role in the account %s, and the caller is of %s", account(v.Text), account(arn))
		case strings.ContainsAny(v.Text, "*?") && v.Text != "*":
			f.cause = fmt.Sprintf("a Principal takes no wildcards, so %q means nobody; a condition on aws:PrincipalArn does", v.Text)
		}
	}
	return f
}

// sameRole reports whether the ARN of a session is of the role, whose path it
// lacks.
func sameRole(session string, role Role) bool {
	of, _ := ParseCaller(Role{ARN: session})
	return account(of.ARN) == account(role.ARN) && account(of.ARN) != "" && roleName(of.ARN) == roleName(role.ARN)
}

// anotherSession is that the Principal names one session of the caller's role.
func (f *finding) anotherSession(e *evaluation, index int, named string) {
	_, wants := ParseCaller(Role{ARN: named})
	role := roleName(e.session.Role.ARN)
	f.caller = fmt.Sprintf("make the caller's session of %s with the session name %q", role, wants)
	if e.session.Name == "" {
		f.cause = fmt.Sprintf("the Principal names one session of the role %s, %q, and the name of the caller's session is not given", role, wants)
		f.caller += ", and say so with --from " + named
		f.warning = fmt.Sprintf("every session of %s then gets in, and not only %q", e.session.Role.ARN, wants)
		return
	}
	parts := strings.SplitN(named, ":", 6)
	if len(parts) != 6 {
		return
	}
	parts[5] = "assumed-role/" + role + "/" + e.session.Name
	to := strings.Join(parts, ":")
	f.cause = fmt.Sprintf("the Principal names one session of the role %s, %q, and the caller's is %q", role, wants, e.session.Name)
	f.policy = fmt.Sprintf("add {\"AWS\": %q} to the Principal of %s", to, name(e.policy, index))
	f.warning = "the name of a session is chosen by whoever makes it"
	f.edits = []Edit{{Op: AddPrincipal, Statement: index, Key: "AWS", To: to}}
}

// resource says why a statement is not about what is asked for.
func (e *evaluation) resource(s iam.StatementResult) finding {
	source := e.policy.Statements[s.Index]
	value := escape(e.policy, "ArnLike", e.request.Resource)
	f := finding{
		kind:   WrongResource,
		cause:  fmt.Sprintf("%s is not about %s", name(e.policy, s.Index), first(short(e.request.Resource), "a request without a resource")),
		policy: fmt.Sprintf("add %q to the Resource of %s", value, name(e.policy, s.Index)),
		edits:  []Edit{{Op: AddResource, Statement: s.Index, To: value}},
	}
	if e.request.Resource == "" {
		return finding{kind: WrongResource, cause: f.cause, policy: "name what is asked for with --resource"}
	}
	if source.Resource == nil {
		f.policy, f.edits = fmt.Sprintf("take %s out of the NotResource of %s", short(e.request.Resource), name(e.policy, s.Index)), nil
		f.cause = fmt.Sprintf("the NotResource of %s excludes it", name(e.policy, s.Index))
		return f
	}
	for _, v := range source.Resource {
		if keys := e.unset(v.Text); len(keys) > 0 {
			n := e.noValue(keys[0])
			f.kind, f.cause, f.caller = n.kind, n.cause, n.caller
			f.warning = "every session with this policy may then do it, whatever tags it has"
			return f
		}
	}
	best, like := "", -1
	for _, v := range source.Resource {
		if n := alike(e.expand(v.Text), e.request.Resource); n > like {
			best, like = v.Text, n
		}
	}
	means := e.expand(best)
	switch {
	case glob(strings.ToLower(means), strings.ToLower(e.request.Resource)):
		f.kind = LetterCase
		f.cause = fmt.Sprintf("only the case of letters differs, and it counts: the Resource is %q, and what is asked for %q", means, e.request.Resource)
	case strings.HasPrefix(e.request.Resource, means+"/"):
		f.cause = fmt.Sprintf("%s itself is not what is in it: the Resource names %s, and what is asked for is %s", lastPart(means), means, short(e.request.Resource))
	case strings.HasPrefix(means, e.request.Resource+"/"):
		f.cause = fmt.Sprintf("what is in %s is not it itself: the Resource names %s, and what is asked for is %s", lastPart(e.request.Resource), means, short(e.request.Resource))
	case means != best:
		f.cause = fmt.Sprintf("the Resource %s is %s for this session, and what is asked for is %s", best, short(means), short(e.request.Resource))
		f.warning = "every session with this policy may then do it, whatever tags it has"
		f.caller = "ask for what the session's tags give"
	default:
		f.cause = fmt.Sprintf("%s is about %s, and what is asked for is %s", name(e.policy, s.Index), short(means), short(e.request.Resource))
	}
	return f
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// sameService reports whether the statement is about the service of an action.
// One that is not would be no place to allow it: its resources are others.
func (e *evaluation) sameService(index int, action string) bool {
	service, _, _ := strings.Cut(action, ":")
	return slices.ContainsFunc(e.policy.Statements[index].Action, func(v iam.Value) bool {
		other, _, _ := strings.Cut(v.Text, ":")
		return strings.EqualFold(other, service)
	})
}
