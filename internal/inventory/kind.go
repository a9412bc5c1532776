package inventory

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// expected is what a file that was named may be.
const expected = "expected a role or trust policy, `aws iam` or `az` output, a CloudFormation template, Terraform, a GitHub workflow or a stint.yaml"

// reader reads files into an inventory.
type reader struct {
	inv     *Inventory
	dropped int // problems beyond MaxProblems

	aws     *scope // what the AWS command line printed
	scopes  []*scope
	modules map[string]map[string][]byte // Terraform files, by their folder and name
}

func newReader() *reader {
	r := &reader{inv: &Inventory{}, modules: map[string]map[string][]byte{}}
	r.aws = r.scope()
	return r
}

func (r *reader) scope() *scope {
	s := &scope{}
	r.scopes = append(r.scopes, s)
	return s
}

func (r *reader) problem(err error) {
	if len(r.inv.Problems) >= MaxProblems {
		r.dropped++
		return
	}
	r.inv.Problems = append(r.inv.Problems, err)
}

func (r *reader) problems(errs ...error) {
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			r.problems(joined.Unwrap()...)
		} else if err != nil {
			r.problem(err)
		}
	}
}

func (r *reader) wrong(at source.Position, format string, args ...any) {
	r.problem(&source.Error{Position: at, Message: fmt.Sprintf(format, args...)})
}

// ours notes that a file is of a known kind.
func (r *reader) ours(name string) {
	if n := len(r.inv.Files); n == 0 || r.inv.Files[n-1] != name {
		r.inv.Files = append(r.inv.Files, name)
	}
}

// file reads a file of whatever kind. named says that the user named it.
func (r *reader) file(name string, data []byte, named bool) {
	text, wide := fromUTF16(data)
	switch {
	case wide:
		if named || marked(text) || isTerraform(name) {
			r.ours(name)
			r.problem(&source.Error{Position: source.Position{File: name}, Message: "expected UTF-8, found UTF-16: save the file as UTF-8"})
		}
		return
	case isTerraform(name):
		r.module(name, data)
		return
	case looksJSON(data):
		r.json(name, data, named)
		return
	}
	keys := topKeys(data)
	switch {
	case isConfig(name, keys, named):
		r.config(name, data)
	case isWorkflow(name, keys):
		r.workflow(name, data, named)
	case keys["Resources"] && (keys["AWSTemplateFormatVersion"] || keys["Transform"] || bytes.Contains(data, []byte("AWS::"))):
		r.template(name, data)
	case slices.ContainsFunc(documentKeys, func(k string) bool { return keys[k] }):
		r.yamlDocument(name, data, named)
	case isTemplate(name) && marked(data):
		r.template(name, data)
	case isJSON(name) && marked(data):
		r.json(name, data, named)
	case named && isHCL(data):
		r.module(name, data)
	case named && len(bytes.TrimSpace(data)) == 0:
		r.problem(&source.Error{Position: source.Position{File: name}, Message: expected + ", found an empty file"})
	case named && len(keys) > 0:
		r.problem(&source.Error{Position: source.Position{File: name}, Message: expected + ", found a file with the keys " + listed(keys)})
	case named:
		r.problem(&source.Error{Position: source.Position{File: name}, Message: expected + ", found something else"})
	}
}

// listed is a few of the keys.
func listed(keys map[string]bool) string {
	var names []string
	for k := range keys {
		names = append(names, fmt.Sprintf("%.40q", k))
	}
	slices.Sort(names)
	if len(names) > 5 {
		names = append(names[:5], "...")
	}
	return strings.Join(names, ", ")
}

func looksJSON(data []byte) bool {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

func isJSON(name string) bool { return strings.EqualFold(filepath.Ext(name), ".json") }

// isTemplate reports whether a file is for CloudFormation by its name.
func isTemplate(name string) bool {
	ext := filepath.Ext(name)
	return strings.EqualFold(ext, ".template") || strings.EqualFold(ext, ".cfn")
}

// fromUTF16 is the ASCII text of a file in UTF-16, as some shells write what
// they redirect; wide is false for a file that is not in UTF-16. It serves to
// know what the file was meant to be, not to read it.
func fromUTF16(data []byte) (text []byte, wide bool) {
	if len(data) < 2 {
		return nil, false
	}
	first := -1 // where the ASCII byte of a pair is
	switch {
	case data[0] == 0xff && data[1] == 0xfe, data[0] >= ' ' && data[1] == 0:
		first = 0
	case data[0] == 0xfe && data[1] == 0xff, data[0] == 0 && data[1] >= ' ':
		first = 1
	default:
		return nil, false
	}
	for i := 0; i+1 < len(data); i += 2 {
		if data[i+1-first] == 0 {
			text = append(text, data[i+first])
		}
	}
	return text, true
}

// marks stand in no file by chance that is none of the known kinds.
var marks = [][]byte{
	[]byte("AssumeRolePolicyDocument"), []byte("sts:AssumeRole"), []byte("AWS::"), []byte("RoleDetailList"),
	[]byte("claimsMatchingExpression"), []byte("planned_values"), []byte("OpenIDConnectProviderList"), []byte("ClientIDList"),
}

// marked reports whether a file that cannot be read was probably meant to be of
// a known kind.
func marked(data []byte) bool {
	return slices.ContainsFunc(marks, func(m []byte) bool { return bytes.Contains(data, m) })
}

var topKey = regexp.MustCompile(`(?m)^(?:([A-Za-z_][\w.-]*)|"([^"\n]{1,64})"|'([^'\n]{1,64})')[ \t]*:(?:[ \t\r]|$)`)

// topKeys are the keys that begin a line of a YAML file. It reads no YAML, so
// that a broken file has a kind too.
func topKeys(data []byte) map[string]bool {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	keys := map[string]bool{}
	for _, m := range topKey.FindAllSubmatch(data, 1000) {
		keys[string(m[1])+string(m[2])+string(m[3])] = true
	}
	return keys
}

func isConfig(name string, keys map[string]bool, named bool) bool {
	base := filepath.Base(name)
	switch {
	case base == "stint.yaml" || base == "stint.yml":
		return true
	case keys["apiVersion"] || keys["kind"]: // of Kubernetes
		return false
	case keys["issuers"] && (keys["rules"] || keys["issuer"]), keys["issuer"] && keys["rules"]:
		return true
	}
	return named && (keys["issuer"] || keys["issuers"] || keys["rules"])
}

func isWorkflow(name string, keys map[string]bool) bool {
	slashed := filepath.ToSlash(name)
	inFolder := strings.HasPrefix(slashed, ".github/workflows/") || strings.Contains(slashed, "/.github/workflows/")
	return inFolder || keys["jobs"] && (keys["on"] || keys["true"])
}
