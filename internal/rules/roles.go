package rules

import (
	"fmt"
	"slices"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
)

// Roles are the ARNs that a job with these claims may have a chance of: those
// of every allow rule whose issuer and match hold, in order, each once. Whether
// it gets one only Decide says: conditions and deny rules are not looked at.
func (s *Set) Roles(claims identity.Claims) []string {
	e := evaluation{set: s, claims: claims, values: map[string][]string{}, failed: map[*rule]string{}}
	var roles []string
	for i := range s.rules {
		r := s.rules[i]
		if r.effect != Allow || len(r.issuers) > 0 && !slices.Contains(r.issuers, claims.Issuer()) ||
			slices.ContainsFunc(r.match, func(c condition) bool { return e.condition(c) != nil }) {
			continue
		}
		for _, t := range r.roles {
			if arn, err := e.expandRole(t); err == nil && !slices.Contains(roles, arn) {
				roles = append(roles, arn)
			}
		}
	}
	return roles
}

// expandRole is the ARN that a rule's role becomes for these claims.
func (e *evaluation) expandRole(t config.Template) (string, error) {
	arn, err := t.Expand(func(claim string) (string, error) {
		v, err := e.claim(claim)
		if err != nil {
			return "", err
		}
		return inRole(claim, v)
	})
	if err == nil && (len(arn) > maxARN || !config.RoleARN.MatchString(arn)) {
		err = fmt.Errorf("%q is no ARN of a role: a role's name has at most %d characters", short(arn), maxRoleName)
	}
	return arn, err
}
