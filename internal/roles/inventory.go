package roles

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// DefaultAccount is the account of roles whose files do not say it.
const DefaultAccount = "111111111111"

// FromInventory makes roles, with all of their policies, of what `stint lint`
// reads: output of the AWS command line, CloudFormation, Terraform. account is
// that of templates, which do not say it; empty: DefaultAccount.
//
// A role of which something is not known before it is deployed cannot stand in
// an emulated account: that is an error with its place. warnings are policies
// whose documents are not in the files, as those of AWS itself: they allow
// nothing here.
func FromInventory(inv *inventory.Inventory, account string) (set *Set, warnings []string, err error) {
	if account == "" {
		account = DefaultAccount
	}
	set = &Set{roles: map[string]Role{}}
	errs := append([]error(nil), inv.Problems...)
	for i := range inv.Roles {
		r := &inv.Roles[i]
		if r.ARN.String() == "" && r.Name.String() == "" && r.Address == "" {
			continue // a trust policy alone is nobody's
		}
		role, warned, err := deployed(inv, r, account)
		warnings = append(warnings, warned...)
		if first, doubled := set.roles[role.ARN]; err == nil && doubled {
			err = unknownRole(r, "the role %s is doubled, it already stands at %s", role.ARN, first.Source)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		set.roles[role.ARN] = role
	}
	set.managed = map[string]*iam.Policy{}
	for _, m := range inv.Managed {
		parts := strings.SplitN(m.ARN, ":", 6)
		if len(parts) < 6 {
			continue
		}
		// One that is not known whole is as one that is in no file.
		if p, err := document(inv, m.Policy, parts[4]); err == nil {
			set.managed[m.ARN] = p
		}
	}
	if len(errs) > maxReported {
		errs = append(errs[:maxReported], fmt.Errorf("and %d more", len(errs)-maxReported))
	}
	if len(errs) > 0 {
		return nil, warnings, errors.Join(errs...)
	}
	return set, warnings, nil
}

func unknownRole(r *inventory.Role, format string, args ...any) error {
	return &source.Error{Position: r.Position, Message: fmt.Sprintf(format, args...)}
}

// deployed is a role as it is in its account.
func deployed(inv *inventory.Inventory, r *inventory.Role, account string) (Role, []string, error) {
	var fail = func(format string, args ...any) (Role, []string, error) {
		return Role{}, nil, unknownRole(r, format, args...)
	}
	role := Role{Tags: map[string]string{}, MaxSessionDuration: r.MaxSession, Source: fmt.Sprintf("%s:%d", r.Position.File, r.Position.Line)}
	arn, known := r.ARN.Known()
	if r.AccountID != "" {
		account = r.AccountID
	}
	if !known || arn == "" {
		// CloudFormation makes a name of a role that has none; here it is the
		// logical id.
		name, ok := r.Name.Known()
		if !ok || name == "" {
			name = r.Address[strings.LastIndexByte(r.Address, '.')+1:]
		}
		path, ok := r.Path.Known()
		if !ok {
			return fail("the role %s: its path %s is not known before it is deployed", name, r.Path)
		}
		arn = "arn:aws:iam::" + account + ":role" + cmp.Or(path, "/") + name
	}
	parsed, err := ParseARN(arn)
	if err != nil {
		return fail("%s", err)
	}
	role.ARN, role.Name, role.Path, role.AccountID, role.Partition = arn, parsed.Name, parsed.Path, parsed.AccountID, parsed.Partition
	if id, ok := r.ID.Known(); ok && id != "" {
		role.ID = id
	} else {
		role.ID = derivedID(arn)
	}
	switch {
	case role.MaxSessionDuration == 0:
		role.MaxSessionDuration = DefaultMaxSession
	case role.MaxSessionDuration < minMaxSession || role.MaxSessionDuration > maxMaxSession:
		return fail("the role %s: expected a longest session of %s to %s, found %s", arn, minMaxSession, maxMaxSession, role.MaxSessionDuration)
	}
	for _, t := range r.Tags {
		key, ok := t.Key.Known()
		value, also := t.Value.Known()
		if !ok || !also {
			return fail("the role %s: its tag %s=%s is not known before it is deployed", arn, t.Key, t.Value)
		}
		role.Tags[key] = value
	}
	if role.Trust, err = document(inv, r.Trust, role.AccountID); err != nil {
		return fail("the trust policy of %s: %s", arn, err)
	}
	if role.Trust == nil {
		return fail("the role %s has no trust policy", arn)
	}
	if text, ok := r.Trust.Node.JSON(); ok {
		role.TrustDocument = text
	}
	var warnings []string
	attached := func(a *inventory.AttachedPolicy) (*iam.NamedPolicy, error) {
		p, err := document(inv, a.Policy, role.AccountID)
		if err != nil {
			return nil, unknownRole(r, "the policy %s of %s: %s", a.Name, arn, err)
		}
		if p == nil {
			warnings = append(warnings, fmt.Sprintf("the policy %s of %s is not in the files: it allows nothing here", a.Name, arn))
			return nil, nil
		}
		return &iam.NamedPolicy{Name: a.Name, Policy: p}, nil
	}
	for i := range r.Identity {
		p, err := attached(&r.Identity[i])
		if err != nil {
			return Role{}, warnings, err
		}
		if p != nil {
			role.Identity = append(role.Identity, *p)
		}
	}
	if r.Boundary != nil {
		if role.Boundary, err = attached(r.Boundary); err != nil {
			return Role{}, warnings, err
		}
		if role.Boundary == nil {
			// A boundary that is not known must not become none.
			role.Boundary = &iam.NamedPolicy{Name: r.Boundary.Name, Policy: nothing}
		}
	}
	return role, warnings, nil
}

// nothing is a policy that allows nothing.
var nothing = &iam.Policy{Version: "2012-10-17"}

// document is a policy as it is in its account; nil where no file has it.
func document(inv *inventory.Inventory, p *inventory.Policy, account string) (*iam.Policy, error) {
	if p == nil {
		return nil, nil
	}
	p = p.Deployed(account, inv.Providers)
	switch {
	case p.Err != nil:
		return nil, p.Err
	case p.Full == nil:
		return nil, fmt.Errorf("not everything in it is known before it is deployed: %s", strings.Join(p.Node.Unknowns(), ", "))
	}
	return p.Full, nil
}
