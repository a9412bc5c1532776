package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/roles"
	"github.com/stint-dev/stint/internal/strictjson"
)

// readPolicy reads the trust policy of --policy or of --role. Without either
// there is none.
func (f *explainFlags) readPolicy() (*iam.Policy, roles.Role, error) {
	switch {
	case f.role != "":
		r, err := readRole(f.role)
		return r.Trust, r, err
	case f.policy != "":
		p, err := readPolicyFile(f.policy)
		return p, roles.Role{}, err
	}
	return nil, roles.Role{}, nil
}

// readRole reads a file with one role.
func readRole(name string) (roles.Role, error) {
	data, err := readInput(name)
	if err != nil {
		return roles.Role{}, err
	}
	all, err := roles.Parse(name, data)
	if err != nil {
		return roles.Role{}, failf("", "%w", err)
	}
	if len(all) != 1 {
		return roles.Role{}, failf("give the one role that the call is for", "%s: expected one role, found %d", name, len(all))
	}
	r := all[0]
	// Places are those of the file, where the policy stands in it as it is.
	if text, ok := padded(data, r.TrustDocument); ok {
		if p, err := iam.ParsePolicy(text); err == nil {
			r.Trust = p
		}
	}
	return r, nil
}

func readPolicyFile(name string) (*iam.Policy, error) {
	data, err := readInput(name)
	if err != nil {
		return nil, err
	}
	p, err := iam.ParsePolicy(unwrapped(data))
	if err != nil {
		return nil, policyError(name, data, err)
	}
	return p, nil
}

// unwrapped is the policy in what the AWS command line prints around it, at the
// place where it stands: all before it becomes spaces. Data that is nothing of
// that kind stays as it is.
func unwrapped(data []byte) []byte {
	inner := data
	for range 2 { // PolicyVersion holds a Document
		var object map[string]json.RawMessage
		if json.Unmarshal(inner, &object) != nil || object["Statement"] != nil {
			return data
		}
		raw := firstOf(object, "PolicyDocument", "PolicyVersion", "Document", "Policy")
		if len(raw) == 0 {
			return data
		}
		if raw[0] == '"' { // get-bucket-policy prints the policy as a text
			var text string
			if json.Unmarshal(raw, &text) != nil {
				return data
			}
			return []byte(text)
		}
		if inner = raw; isPolicy(inner) {
			break
		}
	}
	if text, ok := padded(data, inner); ok && isPolicy(inner) {
		return text
	}
	return data
}

// padded is a part of a document with all that stands before it turned into
// spaces, so that its places are those of the document.
func padded(document, part []byte) ([]byte, bool) {
	at := bytes.Index(document, part)
	if at < 0 || len(part) == 0 {
		return nil, false
	}
	before := bytes.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, document[:at])
	return append(before, part...), true
}

func isPolicy(data []byte) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal(data, &object) == nil && object["Statement"] != nil
}

func firstOf(object map[string]json.RawMessage, names ...string) json.RawMessage {
	for _, name := range names {
		if raw := object[name]; raw != nil {
			return raw
		}
	}
	return nil
}

func policyError(name string, data []byte, err error) error {
	var syntax *iam.SyntaxError
	if !errors.As(err, &syntax) {
		return failf("", "%s: %w", name, err)
	}
	message := syntax.Message
	if syntax.Path != "" {
		message = syntax.Path + ": " + message
	}
	hint := ""
	if bytes.Contains(data, []byte("AssumeRolePolicyDocument")) {
		hint = "a role as 'aws iam get-role' prints it goes to --role"
	}
	return failf(hint, "%s:%d:%d: %s", name, syntax.Line, syntax.Column, printable(message))
}

func (f *explainFlags) readClaims(ctx context.Context, e *Env) (map[string]any, error) {
	if f.claims != "" {
		var data []byte
		var err error
		if f.claims == "-" {
			data, err = io.ReadAll(io.LimitReader(e.Stdin, maxInput))
		} else {
			data, err = readInput(f.claims)
		}
		if err != nil {
			return nil, err
		}
		claims, err := strictjson.Object(data)
		if err != nil {
			return nil, claimsError(f.claims, data, err)
		}
		return claims, nil
	}
	raw, err := f.rawToken(ctx, e)
	if err != nil {
		return nil, err
	}
	// No key set: nothing is fetched, and nothing is believed.
	seen, err := identity.Inspect(ctx, raw, identity.InspectConfig{JWKS: []byte(`{"keys":[]}`), Now: e.Now})
	if err != nil {
		return nil, failf("expected a signed JWT in compact form: header.payload.signature", "reading the token: %w", err)
	}
	return seen.Payload, nil
}

func (f *explainFlags) rawToken(ctx context.Context, e *Env) (string, error) {
	if f.token != "" {
		raw, err := readToken(e.Stdin, f.token)
		return raw.Reveal(), err
	}
	audience := first(f.audience, "sts.amazonaws.com")
	if f.rules != "" {
		audience = first(e.Getenv("STINT_AUDIENCE"), e.Getenv("STINT_URL"))
	}
	raw, err := ownToken(ctx, e, audience)
	return raw.Reveal(), err
}

func claimsError(name string, data []byte, err error) error {
	var at *strictjson.Error
	offset := 0
	if errors.As(err, &at) {
		offset = at.Offset
	}
	before := string(data[:min(offset, len(data))])
	line := strings.Count(before, "\n") + 1
	column := len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	return failf("expected a token's payload, one JSON object; a token itself goes to --token", "%s:%d:%d: %w", name, line, column, err)
}

// maxInput is more than any policy, role or payload has.
const maxInput = 1 << 20

func readInput(name string) ([]byte, error) {
	in, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("name a file that holds it")("there is no such file: %s", shortened(name))
	}
	if err != nil {
		return nil, failf("", "reading %s: %w", name, err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, failf("", "reading %s: %w", name, err)
	}
	if len(data) > maxInput {
		return nil, failf("", "%s:1:1: expected at most %d bytes", name, maxInput)
	}
	return data, nil
}

// policyFiles are the policies that the flags name beside --policy and --role.
type policyFiles struct {
	caller             explain.Role
	chain              roles.Role
	fromIdentity       []explain.Document
	fromBoundary       []explain.Document
	identity, session  []explain.Document
	boundary, resource []explain.Document
}

func (f *explainFlags) readFiles() (policyFiles, error) {
	var p policyFiles
	var err error
	for _, read := range []struct {
		names []string
		into  *[]explain.Document
	}{
		{f.fromIdentity, &p.fromIdentity}, {f.identity, &p.identity}, {f.sessionPolicy, &p.session},
		{nonEmpty(f.fromBoundary), &p.fromBoundary}, {nonEmpty(f.boundary), &p.boundary}, {nonEmpty(f.resourcePolicy), &p.resource},
	} {
		for _, name := range read.names {
			policy, err := readPolicyFile(name)
			if err != nil {
				return p, err
			}
			*read.into = append(*read.into, explain.Document{Name: printable(name), Policy: policy})
		}
	}
	if f.chain != "" {
		if p.chain, err = readRole(f.chain); err != nil {
			return p, err
		}
	}
	if f.fromRole != "" {
		r, err := readRole(f.fromRole)
		if err != nil {
			return p, err
		}
		p.caller = explain.Role{ARN: r.ARN, ID: r.ID, Tags: r.Tags}
	} else {
		p.caller.ARN = f.from
	}
	return p, nil
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
