package inventory

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// scope is what can name one another: the resources of one template or of one
// Terraform folder, or all that the AWS command line printed.
type scope struct {
	roles       []*draft
	documents   []document
	attachments []attachment
	// spare are trust policies of data sources, whether a role uses them or not.
	spare []Role
}

// draft is a role that is not joined to its policies yet.
type draft struct {
	Role
	managed  []source.Text // ARNs of managed policies, or references to them
	boundary source.Text
	// closes says that a role to which the files give a policy has only those
	// that they give: a template is the whole of what it makes. One to which
	// they give none gets them elsewhere.
	closes bool
	open   bool // something that is not known may be attached to it
}

// document is a managed policy with its document.
type document struct {
	address string
	arn     source.Text
	at      source.Position
	policy  *Policy
	used    bool
}

// attachment gives a policy to a role.
type attachment struct {
	role    source.Text // a name, or a reference to a role
	policy  *AttachedPolicy
	managed source.Text // where policy is nil
	address string
	at      source.Position
}

func (s *scope) role(r Role) *draft {
	d := &draft{Role: r}
	s.roles = append(s.roles, d)
	return d
}

func (s *scope) document(d document) { s.documents = append(s.documents, d) }
func (s *scope) attach(a attachment) { s.attachments = append(s.attachments, a) }

// reference is the resource that a text wholly stands for, or empty.
func reference(t source.Text) string {
	if len(t.Parts) == 1 {
		return t.Parts[0].Resource
	}
	return ""
}

// index finds roles and documents without a look at each.
type index struct {
	byName    map[string][]*draft
	byAddress map[string][]*draft // instances also below the address of all
	all       []*draft
	unnamed   []*draft // whose name is not known
	byARN     map[string]*document
	byRef     map[string][]*document
}

func instanceOf(address string) string {
	if i := strings.LastIndexByte(address, '['); i > 0 && strings.HasSuffix(address, "]") {
		return address[:i]
	}
	return ""
}

func (s *scope) index() *index {
	x := &index{all: s.roles, byName: map[string][]*draft{}, byAddress: map[string][]*draft{}, byARN: map[string]*document{}, byRef: map[string][]*document{}}
	for _, d := range s.roles {
		name, known := d.Name.Known()
		switch {
		case !known:
			x.unnamed = append(x.unnamed, d)
		case name != "":
			x.byName[name] = append(x.byName[name], d)
		}
		x.byAddress[d.Address] = append(x.byAddress[d.Address], d)
		if all := instanceOf(d.Address); all != "" {
			x.byAddress[all] = append(x.byAddress[all], d)
		}
	}
	for i := range s.documents {
		d := &s.documents[i]
		if arn, known := d.arn.Known(); known && arn != "" {
			x.byARN[arn] = d
		}
		if d.address != "" {
			x.byRef[d.address] = append(x.byRef[d.address], d)
			if all := instanceOf(d.address); all != "" {
				x.byRef[all] = append(x.byRef[all], d)
			}
		}
	}
	return x
}
