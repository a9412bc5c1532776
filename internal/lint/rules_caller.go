package lint

import (
	"regexp"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// callerKey says what of a key's value a stranger cannot have.
type callerKey uint8

const (
	byARN     callerKey = iota // the account of an ARN
	byAccount                  // twelve digits
	byOrg                      // o- and at least ten characters
	byPath                     // an organization, and a path below it
	byUnique                   // a unique id, and perhaps a session's name
)

// callerKeys are keys that tell whose request it is and that the caller cannot
// choose, in lower case.
var callerKeys = map[string]callerKey{
	"aws:federatedprovider": byARN, "aws:principalarn": byARN, "aws:sourcearn": byARN,
	"aws:principalaccount": byAccount, "aws:sourceaccount": byAccount,
	"aws:principalorgid": byOrg, "aws:sourceorgid": byOrg,
	"aws:principalorgpaths": byPath, "aws:sourceorgpaths": byPath,
	"aws:userid": byUnique,
}

const (
	accountDigits = 12
	orgCharacters = 12 // the least, o- included
	idCharacters  = 12 // of the shortest value: an account and a colon
)

// onCaller answers whether a condition is on one of callerKeys with values that
// leave no stranger among those that match: one of another account, who chooses
// the names and paths of roles there.
func onCaller(c *inventory.Condition, variables bool) source.Truth {
	out := source.No
	for key, kind := range callerKeys {
		is := keyIs(c, key)
		if is == source.No {
			continue
		}
		closed := source.Yes
		if c.Values.Open && takesWildcards(c.Test) {
			closed = source.Unknown
		}
		for _, v := range c.Values.List {
			closed = closed.And(kind.closed(c.Test, v, variables))
		}
		out = out.Or(is.And(closed))
	}
	return out
}

// takesWildcards reports whether * and ? stand for others under an operator.
func takesWildcards(test string) bool {
	return strings.HasSuffix(test, "Like") || strings.HasPrefix(test, "Arn")
}

// hole stands for text that is not known and may hold a wildcard.
const hole = "\x00"

// closed answers whether a value matches no stranger's.
func (k callerKey) closed(test string, v source.Text, variables bool) source.Truth {
	v = withOwn(v)
	p := exact(v, variables)
	if takesWildcards(test) {
		p = like(v, variables)
	}
	text := flat(p)
	head := text // before the first wildcard
	if i := strings.IndexAny(text, "*?"); i >= 0 {
		head = text[:i]
	} else if !strings.Contains(text, hole) {
		return source.Yes
	}
	switch k {
	case byARN:
		if strings.HasPrefix(test, "Arn") {
			return closedARN(strings.SplitN(text, ":", 6), 6)
		}
		return closedARN(strings.SplitN(head, ":", 6), 5)
	case byAccount:
		return long(head, accountDigits)
	case byPath:
		if org, _, found := strings.Cut(head, "/"); found && !strings.Contains(org, hole) {
			return source.Yes
		}
		return long(head, orgCharacters)
	case byOrg:
		return long(head, orgCharacters)
	}
	return long(head, idCharacters)
}

// The policy variables that stand for the role's own account and organization.
var (
	ownAccount = regexp.MustCompile(`(?i)\$\{aws:ResourceAccount\}`)
	ownOrg     = regexp.MustCompile(`(?i)\$\{aws:ResourceOrgID\}`)
)

// withOwn is a value with these variables replaced by texts of their form.
func withOwn(v source.Text) source.Text {
	v.Parts = slices.Clone(v.Parts)
	for i := range v.Parts {
		v.Parts[i].Literal = ownOrg.ReplaceAllLiteralString(ownAccount.ReplaceAllLiteralString(v.Parts[i].Literal, "000000000000"), "o-0000000000")
	}
	return v
}

// closedARN answers whether the parts of an ARN, with as many as their first
// ones are certain to stand there, have one account. Where there is none, as in
// the ARN of a bucket, the resource's name counts.
func closedARN(parts []string, certain int) source.Truth {
	for i, part := range parts {
		if i < 5 && strings.Contains(part, hole) && certain == 5 {
			return source.Unknown // it may hold the rest
		}
	}
	if len(parts) < 6 {
		if len(parts) > 0 && strings.Contains(parts[len(parts)-1], hole) {
			return source.Unknown
		}
		return source.No
	}
	decisive := parts[4]
	if decisive == "" {
		decisive, _, _ = strings.Cut(parts[5]+"*", "*")
		decisive, _, _ = strings.Cut(decisive, "?")
		return source.Truthful(decisive != "" && !strings.HasPrefix(decisive, hole))
	}
	switch {
	case strings.Contains(decisive, hole):
		return source.Unknown
	case strings.ContainsAny(decisive, "*?"):
		return source.No
	}
	return source.Yes
}

// long answers whether what is certain of a value is as long as no stranger's
// value begins with it.
func long(head string, least int) source.Truth {
	before, _, unknown := strings.Cut(head, hole)
	switch {
	case len(before) >= least:
		return source.Yes
	case unknown:
		return source.Unknown
	}
	return source.No
}

// flat is a pattern with its wildcards as they are written. Characters that only
// look like ones, and text that stands for itself whatever it is, become
// letters.
func flat(p subject.Pattern) string {
	var b strings.Builder
	for _, piece := range p {
		switch piece.Kind {
		case subject.Any:
			b.WriteByte('*')
		case subject.One:
			b.WriteByte('?')
		case subject.Literal:
			b.WriteString(strings.NewReplacer("*", "x", "?", "x", hole, "x").Replace(piece.Text))
		case subject.Fixed:
			b.WriteString("unknown")
		default:
			b.WriteString(deployed(piece.Text))
		}
	}
	return b.String()
}

// deployed is a part that only a deployment tells, as far as its name says that
// it holds no wildcard.
func deployed(name string) string {
	switch {
	case strings.Contains(name, "AWS::AccountId"), strings.Contains(name, "aws_caller_identity"):
		return "000000000000"
	case strings.Contains(name, "AWS::Partition"), strings.Contains(name, "aws_partition"):
		return "aws"
	}
	return hole
}
