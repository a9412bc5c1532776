package roles

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

const (
	maxFile     = 5 << 20 // bytes of a document
	maxReported = 50      // errors
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
	at source.Position
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
	values, err := source.ParseJSON(f.name, f.data)
	if err != nil {
		e := &Error{File: f.name, Message: err.Error(), Err: err}
		var at *source.Error
		if errors.As(err, &at) {
			e.Line, e.Column, e.Message = at.Position.Line, at.Position.Column, at.Message
		}
		f.errs = append(f.errs, e)
		return
	}
	if len(values) == 0 {
		f.errs = append(f.errs, &Error{File: f.name, Message: "the file is empty; expected what `aws iam get-role` prints"})
	}
	for _, v := range values {
		f.document(v)
	}
}

func (f *file) fail(n *source.Node, format string, args ...any) { f.failFor(n, nil, format, args...) }

// failFor is fail with a cause.
func (f *file) failFor(n *source.Node, cause error, format string, args ...any) {
	at := n.Position
	f.errs = append(f.errs, &Error{File: f.name, Line: at.Line, Column: at.Column, Message: fmt.Sprintf(format, args...), Err: cause})
}

func (f *file) document(n *source.Node) {
	if n.Kind == source.KindList {
		f.list(n.Items)
		return
	}
	if n.Kind != source.KindMap {
		f.fail(n, "expected what `aws iam get-role` prints, found %s", n.Kind)
		return
	}
	if role := n.Get("Role"); role != nil {
		f.role(role)
		return
	}
	if roles := n.Get("Roles"); roles != nil {
		if roles.Kind != source.KindList {
			f.fail(roles, "Roles: expected a list, found %s", roles.Kind)
			return
		}
		f.list(roles.Items)
		return
	}
	if n.Get("Arn") == nil && n.Get("AssumeRolePolicyDocument") == nil {
		f.fail(n, "expected a role as `aws iam get-role` prints it: an object with Role, Roles, or Arn and AssumeRolePolicyDocument")
		return
	}
	f.role(n)
}

func (f *file) list(items []*source.Node) {
	for _, item := range items {
		f.role(item)
	}
}

func (f *file) role(n *source.Node) {
	if n.Kind != source.KindMap {
		f.fail(n, "expected a role, found %s", n.Kind)
		return
	}
	before := len(f.errs)
	r := Role{
		Source:             fmt.Sprintf("%s:%d", f.name, n.Position.Line),
		MaxSessionDuration: DefaultMaxSession,
	}
	f.identity(n, &r)
	f.limits(n, &r)
	f.tags(n, &r)
	f.trust(n, &r)
	if len(f.errs) == before {
		f.roles = append(f.roles, placed{r, n.Position})
	}
}

// member is a member that is there and not null, which is absent.
func member(n *source.Node, name string) *source.Node {
	if m := n.Get(name); m != nil && m.Kind != source.KindNull {
		return m
	}
	return nil
}

// text is a member that must be a string where it is there.
func (f *file) text(n *source.Node, name string) (s string, at *source.Node, ok bool) {
	m := member(n, name)
	if m == nil {
		return "", nil, false
	}
	if m.Kind != source.KindString {
		f.fail(m, "%s: expected a string, found %s", name, m.Kind)
		return "", m, false
	}
	s, _ = m.Text.Known()
	return s, m, true
}

var roleID = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)

func (f *file) identity(n *source.Node, r *Role) {
	arn, at, ok := f.text(n, "Arn")
	if !ok {
		if at == nil {
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
	if name, at, ok := f.text(n, "RoleName"); ok && name != a.Name {
		f.fail(at, "RoleName: expected %q as in the Arn, found %.120q", a.Name, name)
	}
	if path, at, ok := f.text(n, "Path"); ok && path != a.Path {
		f.fail(at, "Path: expected %q as in the Arn, found %.120q", a.Path, path)
	}
	r.ID = derivedID(arn)
	if id, at, ok := f.text(n, "RoleId"); ok {
		if !roleID.MatchString(id) {
			f.fail(at, "RoleId: expected 16 to 128 letters and digits such as AROAEXAMPLEID12345678, found %.140q", id)
		}
		r.ID = id
	}
}

func (f *file) limits(n *source.Node, r *Role) {
	m := member(n, "MaxSessionDuration")
	if m == nil {
		return
	}
	number, _ := m.Text.Known()
	seconds, err := strconv.ParseInt(number, 10, 32)
	d := time.Duration(seconds) * time.Second
	if m.Kind != source.KindNumber || err != nil || d < minMaxSession || d > maxMaxSession {
		f.fail(m, "MaxSessionDuration: expected 3600 to 43200 seconds, found %.40s", f.data[m.Span.Start:m.Span.End])
		return
	}
	r.MaxSessionDuration = d
}

func (f *file) tags(n *source.Node, r *Role) {
	tags := member(n, "Tags")
	if tags == nil {
		return
	}
	if tags.Kind != source.KindList {
		f.fail(tags, "Tags: expected a list of {\"Key\": ..., \"Value\": ...}, found %s", tags.Kind)
		return
	}
	list := tags.Items
	if len(list) > maxTags {
		f.fail(tags, "Tags: expected at most %d, found %d", maxTags, len(list))
		return
	}
	r.Tags = make(map[string]string, len(list))
	seen := make(map[string]bool, len(list))
	for _, item := range list {
		if item.Kind != source.KindMap {
			f.fail(item, "Tags: expected {\"Key\": ..., \"Value\": ...}, found %s", item.Kind)
			continue
		}
		key, _, hasKey := f.text(item, "Key")
		value, _, hasValue := f.text(item, "Value")
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

func (f *file) trust(n *source.Node, r *Role) {
	doc := member(n, "AssumeRolePolicyDocument")
	if doc == nil {
		f.fail(n, "the role has no AssumeRolePolicyDocument")
		return
	}
	switch doc.Kind {
	case source.KindMap:
		r.TrustDocument = f.data[doc.Span.Start:doc.Span.End]
		if _, err := iam.ParsePolicy(r.TrustDocument); err != nil {
			f.failInDocument(doc, err)
			return
		}
		// The same policy, with the places of the file.
		p := inventory.ParsePolicy(doc)
		if p.Err != nil {
			f.failFor(doc, p.Err, "AssumeRolePolicyDocument: %s", p.Err)
			return
		}
		r.Trust = p.Full
	case source.KindString:
		encoded, _ := doc.Text.Known()
		text, err := decodePolicy(encoded)
		if err != nil {
			f.failFor(doc, err, "AssumeRolePolicyDocument: %s", err)
			return
		}
		policy, err := iam.ParsePolicy([]byte(text))
		if err != nil {
			f.failFor(doc, err, "AssumeRolePolicyDocument: in the decoded policy, %s", err)
			return
		}
		r.Trust, r.TrustDocument = policy, []byte(text)
	default:
		f.fail(doc, "AssumeRolePolicyDocument: expected a policy, as JSON or as a string, found %s", doc.Kind)
	}
}

// failInDocument reports an error of a policy that stands as JSON in the file,
// with its place in the file.
func (f *file) failInDocument(doc *source.Node, err error) {
	var syntax *iam.SyntaxError
	if !errors.As(err, &syntax) {
		f.failFor(doc, err, "AssumeRolePolicyDocument: %s", err)
		return
	}
	line, column := doc.Position.Line, doc.Position.Column
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
