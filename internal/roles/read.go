package roles

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stint-dev/stint/iam"
)

// Error says what is wrong with a file of roles, and where.
type Error struct {
	File         string
	Line, Column int    // from 1; 0 where the whole file is meant
	Message      string // begins with the field, where there is one
	Err          error  // the cause, such as an *iam.SyntaxError
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// file is one file that is being read.
type file struct {
	name  string
	data  []byte
	roles []placed
	errs  []error
}

// placed is a role and where it stands.
type placed struct {
	Role
	line, column int
}

// Parse reads the roles of one document. name stands for it in errors and in
// Role.Source. The document is what `aws iam get-role` or `aws iam list-roles`
// prints, the role alone, a list of roles, or several of these one after the
// other. Keys that this package does not read are ignored: AWS adds new ones.
//
// Every error is an *Error, or several joined.
func Parse(name string, data []byte) ([]Role, error) {
	f := &file{name: name, data: data}
	f.parse()
	if len(f.errs) > 0 {
		return nil, errors.Join(f.errs...)
	}
	roles := make([]Role, 0, len(f.roles))
	for _, r := range f.roles {
		roles = append(roles, r.Role)
	}
	return roles, nil
}

func (f *file) parse() {
	if len(f.data) > maxFile {
		f.errs = append(f.errs, &Error{File: f.name, Message: fmt.Sprintf("expected at most %d MiB", maxFile>>20)})
		return
	}
	values, err := readValues(f.data)
	if err != nil {
		var p *place
		if !errors.As(err, &p) {
			p = &place{message: err.Error()}
		}
		f.failAt(p.offset, nil, "%s", p.message)
		return
	}
	if len(values) == 0 {
		f.errs = append(f.errs, &Error{File: f.name, Message: "the file is empty; expected what `aws iam get-role` prints"})
	}
	for _, v := range values {
		f.document(v)
	}
}

func (f *file) failAt(offset int, cause error, format string, args ...any) {
	line, column := position(f.data, offset)
	f.errs = append(f.errs, &Error{File: f.name, Line: line, Column: column, Message: fmt.Sprintf(format, args...), Err: cause})
}

func (f *file) fail(n node, format string, args ...any) { f.failAt(n.start, nil, format, args...) }

func (f *file) document(n node) {
	if list, ok := n.value.([]node); ok {
		f.list(list)
		return
	}
	o, ok := n.value.(*object)
	if !ok {
		f.fail(n, "expected what `aws iam get-role` prints, found %s", kind(n))
		return
	}
	if role, ok := o.get("Role"); ok {
		f.role(role)
		return
	}
	if roles, ok := o.get("Roles"); ok {
		list, ok := roles.value.([]node)
		if !ok {
			f.fail(roles, "Roles: expected a list, found %s", kind(roles))
			return
		}
		f.list(list)
		return
	}
	_, hasARN := o.get("Arn")
	_, hasTrust := o.get("AssumeRolePolicyDocument")
	if !hasARN && !hasTrust {
		f.fail(n, "expected a role as `aws iam get-role` prints it: an object with Role, Roles, or Arn and AssumeRolePolicyDocument")
		return
	}
	f.role(n)
}

func (f *file) list(items []node) {
	for _, item := range items {
		f.role(item)
	}
}

func (f *file) role(n node) {
	o, ok := n.value.(*object)
	if !ok {
		f.fail(n, "expected a role, found %s", kind(n))
		return
	}
	before := len(f.errs)
	line, column := position(f.data, n.start)
	r := Role{
		Source:             fmt.Sprintf("%s:%d", f.name, line),
		MaxSessionDuration: DefaultMaxSession,
	}
	f.identity(n, o, &r)
	f.limits(o, &r)
	f.tags(o, &r)
	f.trust(n, o, &r)
	if len(f.errs) == before {
		f.roles = append(f.roles, placed{r, line, column})
	}
}

// text is a member that must be a string where it is there. null is absent.
func (f *file) text(o *object, name string) (string, node, bool) {
	n, ok := o.get(name)
	if !ok || n.value == nil {
		return "", n, false
	}
	s, ok := n.value.(string)
	if !ok {
		f.fail(n, "%s: expected a string, found %s", name, kind(n))
	}
	return s, n, ok
}

var roleID = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)

func (f *file) identity(n node, o *object, r *Role) {
	arn, at, ok := f.text(o, "Arn")
	if !ok {
		if at.value == nil {
			f.fail(n, "the role has no Arn")
		}
		return
	}
	a, err := ParseARN(arn)
	if err != nil {
		f.fail(at, "Arn: %s", err)
		return
	}
	r.ARN, r.Name, r.Path, r.AccountID, r.Partition = arn, a.Name, a.Path, a.AccountID, a.Partition
	if name, at, ok := f.text(o, "RoleName"); ok && name != a.Name {
		f.fail(at, "RoleName: expected %q as in the Arn, found %.120q", a.Name, name)
	}
	if path, at, ok := f.text(o, "Path"); ok && path != a.Path {
		f.fail(at, "Path: expected %q as in the Arn, found %.120q", a.Path, path)
	}
	r.ID = derivedID(arn)
	if id, at, ok := f.text(o, "RoleId"); ok {
		if !roleID.MatchString(id) {
			f.fail(at, "RoleId: expected 16 to 128 letters and digits such as AROAEXAMPLEID12345678, found %.140q", id)
		}
		r.ID = id
	}
}

func (f *file) limits(o *object, r *Role) {
	n, ok := o.get("MaxSessionDuration")
	if !ok || n.value == nil {
		return
	}
	number, _ := n.value.(json.Number)
	seconds, err := strconv.ParseInt(number.String(), 10, 32)
	d := time.Duration(seconds) * time.Second
	if err != nil || d < minMaxSession || d > maxMaxSession {
		f.fail(n, "MaxSessionDuration: expected 3600 to 43200 seconds, found %.40s", f.data[n.start:n.end])
		return
	}
	r.MaxSessionDuration = d
}

func (f *file) tags(o *object, r *Role) {
	n, ok := o.get("Tags")
	if !ok || n.value == nil {
		return
	}
	list, ok := n.value.([]node)
	if !ok {
		f.fail(n, "Tags: expected a list of {\"Key\": ..., \"Value\": ...}, found %s", kind(n))
		return
	}
	if len(list) > maxTags {
		f.fail(n, "Tags: expected at most %d, found %d", maxTags, len(list))
		return
	}
	r.Tags = make(map[string]string, len(list))
	seen := make(map[string]bool, len(list))
	for _, item := range list {
		tag, ok := item.value.(*object)
		if !ok {
			f.fail(item, "Tags: expected {\"Key\": ..., \"Value\": ...}, found %s", kind(item))
			continue
		}
		key, _, hasKey := f.text(tag, "Key")
		value, _, hasValue := f.text(tag, "Value")
		folded := strings.ToLower(key)
		switch {
		case !hasKey || !hasValue:
			f.fail(item, "Tags: expected a Key and a Value")
		case key == "" || utf8.RuneCountInString(key) > maxTagKey:
			f.fail(item, "Tags: expected a Key of 1 to %d characters", maxTagKey)
		case utf8.RuneCountInString(value) > maxTagValue:
			f.fail(item, "Tags: expected a Value of at most %d characters", maxTagValue)
		case seen[folded]:
			f.fail(item, "Tags: the key %q stands twice; keys of tags compare in any case", key)
		default:
			seen[folded] = true
			r.Tags[key] = value
		}
	}
}

func (f *file) trust(n node, o *object, r *Role) {
	doc, ok := o.get("AssumeRolePolicyDocument")
	if !ok || doc.value == nil {
		f.fail(n, "the role has no AssumeRolePolicyDocument")
		return
	}
	switch v := doc.value.(type) {
	case *object:
		r.TrustDocument = f.data[doc.start:doc.end]
		policy, err := iam.ParsePolicy(r.TrustDocument)
		if err != nil {
			f.failInDocument(doc, err)
			return
		}
		r.Trust = policy
	case string:
		text, err := decodePolicy(v)
		if err != nil {
			f.failAt(doc.start, err, "AssumeRolePolicyDocument: %s", err)
			return
		}
		policy, err := iam.ParsePolicy([]byte(text))
		if err != nil {
			f.failAt(doc.start, err, "AssumeRolePolicyDocument: in the decoded policy, %s", err)
			return
		}
		r.Trust, r.TrustDocument = policy, []byte(text)
	default:
		f.fail(doc, "AssumeRolePolicyDocument: expected a policy, as JSON or as a string, found %s", kind(doc))
	}
}

// failInDocument reports an error of a policy that stands as JSON in the file,
// with its place in the file.
func (f *file) failInDocument(doc node, err error) {
	var syntax *iam.SyntaxError
	if !errors.As(err, &syntax) {
		f.failAt(doc.start, err, "AssumeRolePolicyDocument: %s", err)
		return
	}
	line, column := position(f.data, doc.start)
	if syntax.Line > 1 {
		line, column = line+syntax.Line-1, syntax.Column
	} else {
		column += syntax.Column - 1
	}
	message := "AssumeRolePolicyDocument: "
	if syntax.Path != "" {
		message += syntax.Path + ": "
	}
	f.errs = append(f.errs, &Error{File: f.name, Line: line, Column: column, Message: message + syntax.Message, Err: err})
}

// decodePolicy reads a policy that stands in a string: as JSON text, or as the
// API returns it, URL-encoded per RFC 3986. There a plus sign is a plus sign.
func decodePolicy(s string) (string, error) {
	if strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{") {
		return s, nil
	}
	text, err := url.PathUnescape(s)
	if err != nil {
		return "", fmt.Errorf("expected JSON text or its URL-encoded form: %w", err)
	}
	return text, nil
}
