// Package subject knows the structure of the subjects that CI systems put into
// their tokens, and of the patterns that policies hold for them.
//
// A subject is a chain of keys and values: repo:octo-org/octo-repo:environment:prod,
// or project_path:group/project:ref_type:branch:ref:main. A ":" inside a value
// is written %3A, so that no value can pass for a key. Pairs that stand after
// a wildcard can therefore be relied on too.
package subject

import "strings"

// Scope is how far a part of a pattern is narrowed down.
type Scope uint8

// The scopes.
const (
	Absent  Scope = iota // the pattern has no such part
	Closed               // to one value, or to something that its end closes
	Prefix               // to values that begin with a text
	All                  // to nothing
	Depends              // that depends on text which is not known
)

// Pair is a key of a subject with its value. The value of pull_request, which
// stands without one, is empty.
type Pair struct {
	Key   string
	Value Pattern
	role  role
}

// Subject is a subject or a pattern for subjects, taken apart.
type Subject struct {
	Pattern  Pattern
	Platform Platform
	// Issuer is the name before the subject of a stint token, such as github in
	// github:repo:...; empty for every other.
	Issuer string
	Pairs  []Pair
	// Path is the value that holds owner and repository, taken apart.
	Path Path
	// Rest is what follows the repository, without the colon between them, and
	// HasRest says that there is such a colon.
	Rest    Pattern
	HasRest bool
	rest    []Pair
}

// Path is OWNER/REPO or OWNER@OWNERID/REPO@REPOID.
type Path struct {
	Present               bool
	Owner, OwnerID        Pattern
	Repository, RepoID    Pattern
	HasOwnerID, HasRepoID bool
	// Slash says that the owner is closed by a slash, and there is a
	// repository.
	Slash bool
}

// What is longer than AWS takes as a whole trust policy is no subject.
const (
	maxLength = 4096
	maxPieces = 512
)

// Parse takes a pattern apart as a subject of a platform. With Other as the
// platform, or one whose subjects have no keys, it goes by the first key. A
// pattern that is too long for a policy counts as not known.
func Parse(p Pattern, on Platform) Subject {
	if len(keys[on]) == 0 {
		on = Other
	}
	if len(p) > maxPieces || len(p.String()) > maxLength {
		p = Pattern{{Kind: Hole, Text: "a value that is too long"}}
	}
	s := Subject{Pattern: p, Platform: on}
	fields := p.fields(":")
	if len(fields) > 1 {
		name, literal := fields[0].Text()
		if literal && name != "" && roleless(on, name) && platformOf(fields) == Other && platformOf(fields[1:]) != Other {
			s.Issuer = name
			fields = fields[1:]
		}
	}
	if on == Other {
		s.Platform = platformOf(fields)
	}
	for i := 0; i < len(fields); i++ {
		key, literal := fields[i].Text()
		r, known := roleOf(s.Platform, key)
		if !literal || !known {
			continue
		}
		pair := Pair{Key: key, role: r}
		if key != "pull_request" {
			if i++; i >= len(fields) {
				break
			}
			pair.Value = fields[i]
		}
		if s.Path.Present || s.hasRepo() {
			s.rest = append(s.rest, pair)
		}
		s.Pairs = append(s.Pairs, pair)
		if repositoryRole(r) && !s.HasRest && i+1 < len(fields) {
			s.HasRest = true
			s.Rest = joinFields(fields[i+1:])
		}
		if r == rolePath && !s.Path.Present {
			s.Path = splitPath(pair.Value, s.Platform == GitHub)
		}
	}
	return s
}

func roleless(on Platform, key string) bool {
	_, known := roleOf(on, key)
	return !known
}

func roleOf(on Platform, key string) (role, bool) {
	r, known := keys[on][key]
	if !known && on == GitHub && strings.HasPrefix(key, "repo_property_") {
		return roleOther, true
	}
	return r, known
}

func repositoryRole(r role) bool { return r == rolePath || r == roleRepo || r == roleRepoID }

func (s Subject) hasRepo() bool {
	for _, p := range s.Pairs {
		if repositoryRole(p.role) {
			return true
		}
	}
	return false
}

func joinFields(fields []Pattern) Pattern {
	var out Pattern
	for i, f := range fields {
		if i > 0 {
			out = out.add(Piece{Text: ":"})
		}
		out = out.add(f...)
	}
	return out
}

// splitPath takes OWNER/REPO apart. A wildcard in the owner takes the slash
// with it: * matches / too.
func splitPath(v Pattern, ids bool) Path {
	p := Path{Present: true}
	before, after, found := v.cut("/")
	name, id, hasID := before.cut("@")
	if !ids {
		name, id, hasID = before, nil, false
	}
	if crosses(before) {
		found = false
	}
	p.Owner, p.OwnerID, p.HasOwnerID, p.Slash = name, id, hasID, found
	if !hasID {
		p.Owner = before
	}
	if found {
		p.Repository = after
		if ids {
			if name, id, hasID := after.cut("@"); hasID {
				p.Repository, p.RepoID, p.HasRepoID = name, id, true
			}
		}
	}
	return p
}

// crosses reports whether what follows may stand anywhere: there is a * or
// unknown text that may hold one.
func crosses(p Pattern) bool {
	for _, q := range p {
		if q.Kind == Any {
			return true
		}
	}
	return false
}

// scopeOf is how far a whole value is narrowed down.
func scopeOf(p Pattern) Scope {
	for i, q := range p {
		switch q.Kind {
		case Any, One:
			if i == 0 {
				return All
			}
			return Prefix
		case Hole:
			return Depends
		}
	}
	return Closed
}

// Part is a part of a subject: what the pattern has there, and how far that
// narrows it down.
type Part struct {
	Scope   Scope
	Pattern Pattern
}

// ownerOf is how far a pair tells whose job it is.
func (s Subject) ownerOf(p Pair) Part {
	switch p.role {
	case rolePath:
		path := splitPath(p.Value, s.Platform == GitHub)
		part := Part{Pattern: path.Owner, Scope: scopeOf(path.Owner)}
		if text, ok := path.Owner.Text(); ok && text == "" {
			// repo:/x is no subject, and repo:@65 none either.
			part.Scope = Closed
		}
		return part
	case roleOwnWorkflow:
		owner := splitPath(p.Value, false).Owner
		return Part{Pattern: owner, Scope: scopeOf(owner)}
	case roleOwner, roleOwnerID:
		return Part{Pattern: p.Value, Scope: scopeOf(p.Value)}
	case roleRepoID:
		part := Part{Pattern: p.Value, Scope: scopeOf(p.Value)}
		if part.Scope == Prefix {
			part.Scope = All // 7* is any repository whose id begins with 7
		}
		return part
	}
	return Part{}
}

// Owner says how far the pattern tells whose job it is: which user,
// organization or group of a platform that everybody uses. It is Absent where
// no owner is named and nothing can match one: in a literal text without an
// owner, and in a pattern that no subject begins like.
func (s Subject) Owner() Part {
	best := Part{}
	for _, p := range s.Pairs {
		part := s.ownerOf(p)
		switch {
		case part.Scope == Absent:
		case part.Scope == Closed:
			return part
		case best.Scope == Absent, part.Scope == Depends, best.Scope == All && part.Scope == Prefix:
			best = part
		}
	}
	switch {
	case best.Scope != Absent:
		return best
	case s.strayHole():
		return Part{Scope: Depends, Pattern: s.Pattern}
	case s.Pattern.Wild() == Yes && s.begins():
		return Part{Scope: All, Pattern: s.Pattern}
	}
	return best
}

// begins reports whether a subject of the platform can begin as the pattern
// does: with a key. octo-org/octo-repo:*, which lacks its repo:, matches none.
func (s Subject) begins() bool {
	prefix := s.Pattern.Prefix()
	if s.Issuer != "" {
		return true
	}
	if key, _, whole := strings.Cut(prefix, ":"); whole {
		return !roleless(s.Platform, key)
	}
	for key := range keys[s.Platform] {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return strings.HasPrefix(prefix, "repo_property_") || len(keys[s.Platform]) == 0
}

// strayHole reports unknown text that may hold whole pairs.
func (s Subject) strayHole() bool {
	for _, q := range s.Pattern {
		if q.Kind == Hole {
			return true
		}
	}
	return false
}

// Repository says how far the pattern is narrowed down within its owner.
func (s Subject) Repository() Part {
	out := Part{}
	for _, p := range s.Pairs {
		part := Part{}
		switch p.role {
		case rolePath:
			path := splitPath(p.Value, s.Platform == GitHub)
			switch {
			case path.Slash:
				part = Part{scopeOf(path.Repository), path.Repository}
				// A group within a group is closed by its slash; all of it is open.
				if part.Scope == Prefix && strings.HasSuffix(path.Repository.Prefix(), "/") {
					part.Scope = All
				}
			case crosses(p.Value):
				part = Part{All, p.Value} // the owner's own wildcard takes everything with it
			default:
				part = Part{scopeOf(p.Value), p.Value}
			}
		case roleRepo, roleRepoID:
			part = Part{scopeOf(p.Value), p.Value}
		case roleOwnWorkflow:
			part = Part{ParseWorkflow(p.Value).Repository(), p.Value}
		default:
			continue
		}
		if part.Scope == Closed {
			return part
		}
		if out.Scope == Absent {
			out = part
		}
	}
	return out
}

// Workflow is the value of job_workflow_ref in a customised subject.
func (s Subject) Workflow() (Pattern, bool) {
	for _, p := range s.Pairs {
		if p.Key == "job_workflow_ref" {
			return p.Value, true
		}
	}
	return nil, false
}

// UserControlled is the first key of a GitHub subject whose value is up to
// whoever writes the workflow, in a repository of their own; empty where the
// subject does not begin with such a key.
func (s Subject) UserControlled() string {
	if s.Platform != GitHub || len(s.Pairs) == 0 {
		return ""
	}
	p := s.Pairs[0]
	if begin, _ := s.Pattern.fields(":")[0].Text(); begin != p.Key {
		return ""
	}
	if p.role == roleFree || p.role == roleRef || p.role == roleContext {
		return p.Key
	}
	return ""
}

// WholeChain reports whether the pattern is keys and values from its beginning
// to its end: something that the platform can sign.
func (s Subject) WholeChain() bool {
	n := 0
	for _, p := range s.Pairs {
		if n += 2; p.Key == "pull_request" {
			n--
		}
	}
	if s.Issuer != "" {
		n++
	}
	return len(s.Pairs) > 0 && n == len(s.Pattern.fields(":"))
}

// NamesOnly reports whether a GitHub pattern names owner and repository without
// the owner's id, and IDs whether with it.
func (s Subject) NamesOnly() bool { return s.Path.Present && s.Path.Slash && !s.Path.HasOwnerID }

// IDs reports whether a pattern has the form with ids.
func (s Subject) IDs() bool { return s.Path.Present && s.Path.HasOwnerID }
