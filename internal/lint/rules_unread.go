package lint

import (
	"fmt"

	"github.com/stint-dev/stint/internal/source"
)

// unread says of which parts of trust policies nothing is known, so that
// silence about a role means that it was looked at whole.
func unread(p *pass) {
	for _, r := range p.inv.Roles {
		if r.Trust == nil {
			p.unknown(r.Address, source.Text{Position: r.Position}, "the trust policy of the role is not in the files, or known only after a deployment, so no rule could look at it")
		}
	}
	for _, m := range p.inv.Unread {
		what, help := "", ""
		if m.Source != "" {
			what = " (" + m.Source + ")"
		}
		if m.Local {
			help = "; name its folder too"
		}
		p.unknown(m.Address, source.Text{Position: m.Position}, "the module%s is not among the files, so no rule looked at the roles that it may make%s", what, help)
	}
	p.eachTrust(func(r *role, trust *policy) {
		if trust.Open {
			at := r.Position
			if trust.Node != nil {
				at = trust.Node.Position
			}
			p.unknown(r.Address, source.Text{Position: at}, "the trust policy may have further statements, which are known only after a deployment")
		}
		for i := range trust.Statements {
			s := &trust.Statements[i]
			// Of principals that come with a token the rules on providers tell.
			if s.Allows().And(grants(s, assumeAction)) == source.No {
				continue
			}
			if what := unreadIn(s); what != "" {
				p.unknown(r.Address, source.Text{Position: s.Position}, "%s of statement %d is known only after a deployment, and with it whom the role lets in", what, i+1)
			}
		}
	})
}

// unreadIn is the element of a statement that could let anybody in and of which
// nothing is known. Of conditions the rules on what they test tell.
func unreadIn(s *statement) string {
	who := s.Principal
	switch {
	case s.NotPrincipal != nil:
		return ""
	case who == nil && s.Open && s.Effect.String() == "":
		return "every element"
	case who == nil && s.Open:
		return "the principal"
	case who == nil:
		return ""
	case who.Open, who.Any == source.Unknown, who.AWS.Open && len(who.AWS.List) == 0:
		return "the principal"
	}
	for _, t := range who.AWS.List {
		if mayBeAnybody(t) {
			return fmt.Sprintf("the principal %s", t)
		}
	}
	return ""
}

// mayBeAnybody reports whether a principal that is not known may be "*". What a
// resource of the files makes is an ARN, and the account's own number is one.
func mayBeAnybody(t source.Text) bool {
	if _, known := t.Known(); known || len(t.Parts) != 1 || t.Parts[0].Resource != "" {
		return false
	}
	return deployed(t.Parts[0].Unknown) == hole
}
