package lint

import (
	"slices"
	"strings"
	"unicode"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// readVerbs are the first words of the names of actions that change nothing.
// Every other action counts as one that writes: AWS names its actions by verb,
// and an unknown verb is not guessed harmless.
var readVerbs = []string{
	"BatchCheck", "BatchDescribe", "BatchGet", "BatchRead", "Check", "Count", "Decode", "Decrypt", "Describe", "Detect",
	"Discover", "Download", "Estimate", "Filter", "Get", "Head", "List", "Lookup", "Preview", "Query", "Read",
	"Retrieve", "Scan", "Search", "Select", "Simulate", "Validate", "Verify", "View",
}

// managed says of a policy of AWS's own, which no file holds, whether its name
// shows that it allows reading only, or that it allows more.
func managed(name string) (readsOnly, writes bool) {
	name = name[strings.LastIndexByte(name, '/')+1:]
	switch {
	case strings.HasSuffix(name, "ReadOnlyAccess"), strings.HasSuffix(name, "ReadOnly"), name == "SecurityAudit", name == "ViewOnlyAccess":
		return true, false
	case strings.HasSuffix(name, "FullAccess"), name == "AdministratorAccess", name == "PowerUserAccess":
		return false, true
	}
	return false, false
}

// canWrite answers whether a role can change anything: whether its identity
// policies, as far as its boundary lets them, allow an action whose verb is not
// one of reading. Service control policies are not looked at, nor resource
// policies.
func canWrite(r *inventory.Role) source.Truth {
	out := source.No
	if r.IdentityOpen {
		out = source.Unknown
	}
	for _, attached := range r.Identity {
		out = out.Or(attachedWrites(attached, r.Identity))
	}
	if r.Boundary != nil {
		out = out.And(attachedWrites(*r.Boundary, nil))
	}
	return out
}

func attachedWrites(attached inventory.AttachedPolicy, beside []inventory.AttachedPolicy) source.Truth {
	denied := denialsOf(slices.Concat(beside, []inventory.AttachedPolicy{attached}))
	if attached.Policy == nil {
		if !strings.HasPrefix(attached.Name, "arn:aws") || !strings.Contains(attached.Name, ":iam::aws:policy/") {
			return source.Unknown
		}
		reads, writes := managed(attached.Name)
		switch {
		case reads:
			return source.No
		case writes:
			return denied.leave(source.Literal("*"))
		}
		return denied.leave(source.Literal("*")).And(source.Unknown)
	}
	out := source.No
	if attached.Policy.Open {
		out = source.Unknown
	}
	for i := range attached.Policy.Statements {
		s := &attached.Policy.Statements[i]
		out = out.Or(s.Allows().And(statementWrites(s, denied)))
	}
	return out
}

func statementWrites(s *inventory.Statement, denied denials) source.Truth {
	switch {
	case s.NotAction.Present:
		// Everything but a list: only one that leaves nothing else does not write.
		if slices.ContainsFunc(s.NotAction.List, func(t source.Text) bool { return t.Equals("*") == source.Yes }) {
			return source.No
		}
		return denied.leave(source.Literal("*"))
	case !s.Action.Present:
		return unless(s.Open)
	}
	out := unless(s.Action.Open)
	for _, t := range s.Action.List {
		out = out.Or(denied.leave(t))
	}
	return out
}

// unless is No unless something is not known.
func unless(open bool) source.Truth {
	if open {
		return source.Unknown
	}
	return source.No
}

// actionWrites answers whether a pattern for actions holds one that is not for
// reading.
func actionWrites(t source.Text) source.Truth {
	text, known := t.Known()
	service, name, found := strings.Cut(t.Prefix(), ":")
	switch {
	case known && text == "*":
		return source.Yes
	case !found && known && strings.ContainsAny(service, "*?"):
		return source.Yes
	case !found:
		return source.Unknown
	}
	literal := name
	if i := strings.IndexAny(name, "*?"); i >= 0 {
		literal = name[:i]
	}
	for _, verb := range readVerbs {
		rest, is := cutFold(literal, verb)
		// Get* and GetObject read; Getaway does something else.
		if is && (rest == "" || unicode.IsUpper(rune(rest[0])) || unicode.IsLower(rune(name[0]))) {
			return source.No
		}
	}
	if !known && literal == name {
		return source.Unknown // the name goes on with what is not known
	}
	return source.Yes
}

// cutFold is CutPrefix in any case of letters, as action names compare.
func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// denials are the actions that policies deny without any condition, for every
// resource.
type denials struct {
	actions []string
	except  [][]source.Text // all but these: a list for each NotAction
}

func denialsOf(policies []inventory.AttachedPolicy) denials {
	var out denials
	for _, attached := range policies {
		if attached.Policy == nil {
			continue
		}
		for _, s := range attached.Policy.Statements {
			if s.Effect.Equals("Deny") != source.Yes || s.Open || s.ConditionsOpen || len(s.Conditions) > 0 {
				continue
			}
			if !slices.ContainsFunc(s.Resource.List, func(t source.Text) bool { return t.Equals("*") == source.Yes }) {
				continue
			}
			for _, t := range s.Action.List {
				if text, known := t.Known(); known {
					out.actions = append(out.actions, text)
				}
			}
			if s.NotAction.Present && !s.NotAction.Open {
				out.except = append(out.except, s.NotAction.List)
			}
		}
	}
	return out
}

// leave answers whether a pattern for actions holds one that is not for reading
// and that no Deny statement takes back.
func (d denials) leave(t source.Text) source.Truth {
	text, known := t.Known()
	if known && slices.ContainsFunc(d.actions, func(a string) bool { return covers(a, text) }) {
		return source.No
	}
	out := actionWrites(t)
	for _, list := range d.except {
		left := source.No
		for _, e := range list {
			left = left.Or(d.both(t, e))
		}
		out = out.And(left)
	}
	return out
}

// both answers whether two patterns hold the same action that is not for
// reading.
func (d denials) both(t, e source.Text) source.Truth {
	text, known := t.Known()
	spared, also := e.Known()
	switch {
	case !known || !also:
		return actionWrites(t).And(actionWrites(e)).And(source.Unknown)
	case slices.ContainsFunc(d.actions, func(a string) bool { return covers(a, spared) }):
		return source.No
	case strings.EqualFold(text, spared), covers(spared, text):
		return actionWrites(t)
	case covers(text, spared):
		return actionWrites(e)
	case strings.ContainsAny(text, "*?") && strings.ContainsAny(spared, "*?"):
		return actionWrites(t).And(actionWrites(e)).And(source.Unknown)
	}
	return source.No
}

// covers reports whether everything that one pattern for actions holds is held
// by another. A * of the inner pattern is a character like any other here,
// which only a * of the outer one matches.
func covers(outer, inner string) bool {
	return subject.Like(strings.ToLower(outer)).Matches(strings.ToLower(inner)) == subject.Yes && (strings.Contains(outer, "*") || strings.EqualFold(outer, inner))
}
