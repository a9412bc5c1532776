package cognitowire

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/strictjson"
)

// The patterns of the service's model, and how its messages write them. They
// hold for the whole value.
const (
	idPattern      = `[\w-]+:[0-9a-f-]+`
	accountPattern = `\d+`
)

var (
	idExpression      = regexp.MustCompile(`^(?:` + idPattern + `)$`)
	accountExpression = regexp.MustCompile(`^(?:` + accountPattern + `)$`)
)

// Parse reads and checks the input of an operation. A member that is null
// counts as absent, and members that the operation does not have are ignored,
// as the service does. A key that stands twice is refused: two readers could
// take two different logins from it.
func Parse(op Operation, body []byte) (Input, *Error) {
	in := Input{Operation: op}
	value, err := strictjson.Value(body)
	if err != nil {
		return in, serialization(err.Error(), "the body is not one JSON value without doubled keys")
	}
	members, ok := value.(map[string]any)
	if !ok {
		return in, serialization(unexpected(value), "the body is not a JSON object")
	}

	r := reader{members: members}
	if op == GetID {
		in.AccountID = r.text("AccountId", false, 1, MaxAccountID, accountExpression, accountPattern)
		in.IdentityPoolID = r.text("IdentityPoolId", true, 1, MaxID, idExpression, idPattern)
	} else {
		in.IdentityID = r.text("IdentityId", true, 1, MaxID, idExpression, idPattern)
	}
	in.Logins = r.logins()
	if op == GetCredentialsForIdentity {
		in.CustomRoleARN = r.text("CustomRoleArn", false, MinRoleARN, MaxRoleARN, nil, "")
	}
	if r.mistyped != nil {
		return Input{Operation: op}, r.mistyped
	}
	return in, validation(r.broken)
}

// reader takes an input's members apart.
type reader struct {
	members  map[string]any
	mistyped *Error // the first: the service checks constraints only where all types are right
	broken   []constraint
}

func (r *reader) wrongType(name, message string) {
	if r.mistyped == nil {
		r.mistyped = serialization(message, name+" has the wrong type")
	}
}

func (r *reader) fail(value, name, format string, args ...any) {
	r.broken = append(r.broken, constraint{value, member(name), fmt.Sprintf(format, args...)})
}

func (r *reader) text(name string, required bool, least, most int, re *regexp.Regexp, pattern string) string {
	v := r.members[name]
	if v == nil {
		if required {
			r.fail("Value null", name, "Member must not be null")
		}
		return ""
	}
	s, ok := v.(string)
	if !ok {
		r.wrongType(name, notText(v))
		return ""
	}
	value := "Value '" + cut(s) + "'"
	switch n := utf8.RuneCountInString(s); {
	case n < least:
		r.fail(value, name, "Member must have length greater than or equal to %d", least)
	case n > most:
		r.fail(value, name, "Member must have length less than or equal to %d", most)
	}
	if re != nil && !re.MatchString(s) {
		r.fail(value, name, "Member must satisfy regular expression pattern: %s", pattern)
	}
	return s
}

// logins reads Logins. Messages never show its values, which are tokens.
func (r *reader) logins() map[string]string {
	const name = "Logins"
	v := r.members[name]
	if v == nil {
		return nil
	}
	given, ok := v.(map[string]any)
	if !ok {
		r.wrongType(name, "Expected map or null")
		return nil
	}
	const value = "Value"
	if len(given) > MaxLogins {
		r.fail(value, name, "Member must have length less than or equal to %d", MaxLogins)
	}
	logins := make(map[string]string, min(len(given), MaxLogins))
	var longName, longToken bool
	for _, provider := range slices.Sorted(maps.Keys(given)) {
		v := given[provider]
		if v == nil {
			continue
		}
		token, ok := v.(string)
		if !ok {
			r.wrongType(name, notText(v))
			return nil
		}
		longName = longName || !within(provider, MaxLoginName)
		longToken = longToken || !within(token, MaxLoginsToken)
		if len(logins) < MaxLogins {
			logins[provider] = token
		}
	}
	const lengths = "[Member must have length less than or equal to %d, Member must have length greater than or equal to 1]"
	if longName {
		r.fail(value, name, "Map keys must satisfy constraint: "+lengths, MaxLoginName)
	}
	if longToken {
		r.fail(value, name, "Map value must satisfy constraint: "+lengths, MaxLoginsToken)
	}
	return logins
}

func within(s string, most int) bool { return s != "" && utf8.RuneCountInString(s) <= most }

// notText is how the service says that a value is no text. It does not quote
// the value.
func notText(v any) string {
	switch v := v.(type) {
	case json.Number:
		return "NUMBER_VALUE can not be converted to a String"
	case bool:
		return strings.ToUpper(fmt.Sprint(v)) + "_VALUE can not be converted to a String"
	}
	return unexpected(v)
}

// unexpected is how the service says that a value is neither text nor null.
func unexpected(v any) string {
	switch v.(type) {
	case []any:
		return "Start of list found where not expected"
	case map[string]any:
		return "Start of structure or map found where not expected."
	}
	return "Expected a structure"
}

// member is how messages spell a parameter's name.
func member(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// maxShown is how many characters of a value a message shows. The service shows
// all of it.
const maxShown = 256

func cut(v string) string {
	if utf8.RuneCountInString(v) <= maxShown {
		return v
	}
	return string([]rune(v)[:maxShown]) + "..."
}
