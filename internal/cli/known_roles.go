package cli

import (
	"errors"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/lint"
)

// checkKnownRoles holds the session tags of a configuration to the policies of
// the roles that aws.known_roles names. A tag that a policy tests must not be
// dropped; warnings are of one that a role has itself, or that a policy tests,
// and that may be absent.
func checkKnownRoles(cfg *config.Config) (warnings []config.Problem, err error) {
	if len(cfg.AWS.KnownRoles) == 0 {
		return nil, nil
	}
	inv := inventory.Load(append([]string{cfg.File()}, cfg.AWS.KnownRoles...)...)
	if len(inv.Problems) > 0 {
		return nil, failf("aws.known_roles takes files and folders as 'stint lint' reads them", "reading the roles that aws.known_roles names: %w", errors.Join(inv.Problems...))
	}
	var dropped []error
	for _, f := range lint.Run(inv, lint.Options{}) {
		p := config.Problem{File: f.Position.File, Pos: config.Pos{Line: f.Position.Line, Column: f.Position.Column}, Message: printable(f.Message), Hint: f.Fix}
		switch {
		case f.Unknown:
		case f.Rule == "rule-tag-dropped":
			dropped = append(dropped, errors.New(p.String()))
		case f.Rule == "role-tag-shadows", f.Rule == "rule-tag-may-be-absent":
			warnings = append(warnings, p)
		}
	}
	if len(dropped) > 0 {
		return nil, failf("take drop out of the tag, and give it to one that no policy tests", "%w", errors.Join(dropped...))
	}
	return warnings, nil
}
