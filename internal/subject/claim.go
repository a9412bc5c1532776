package subject

// claimKeys are claims that have another name in subjects.
var claimKeys = map[Platform]map[string]string{
	Buildkite: {"organization_slug": "organization", "build_branch": "ref"},
}

// ParseClaim takes a pattern for a claim other than sub apart, as the subject
// would be that has this claim alone. ok is false for a claim that tells
// neither the owner nor the repository.
func ParseClaim(claim string, p Pattern, on Platform) (s Subject, ok bool) {
	if other, known := claimKeys[on][claim]; known {
		claim = other
	}
	r, known := roleOf(on, claim)
	switch {
	case !known:
		return Subject{}, false
	case repositoryRole(r), r == roleOwner, r == roleOwnerID:
		return Parse(Join(Exact(claim+":"), p), on), true
	}
	return Subject{}, false
}

// HasOwner reports whether the pattern has a key that tells whose job it is.
func (s Subject) HasOwner() bool {
	for _, p := range s.Pairs {
		if s.ownerOf(p).Scope != Absent {
			return true
		}
	}
	return false
}

// ByID answers whether the pattern fixes the owner, or the repository, by an id
// that is never given out again.
func (s Subject) ByID() Truth {
	out := No
	for _, p := range s.Pairs {
		id := p.Value
		switch p.role {
		case roleOwnerID, roleRepoID:
		case rolePath:
			path := splitPath(p.Value, s.Platform == GitHub)
			if !path.HasOwnerID {
				out = out.Or(formUnknown(path))
				continue
			}
			id = path.OwnerID
		default:
			continue
		}
		switch scopeOf(id) {
		case Closed:
			return Yes
		case Depends:
			out = Unknown
		}
	}
	return out
}

// formUnknown answers whether a path without an id may turn out to have one:
// its owner is not known.
func formUnknown(p Path) Truth {
	for _, q := range p.Owner {
		if q.Kind == Hole || q.Kind == Fixed {
			return Unknown
		}
	}
	return No
}

// RepositoryByID answers whether the pattern fixes the repository by id.
func (s Subject) RepositoryByID() Truth {
	out := No
	for _, p := range s.Pairs {
		id := p.Value
		switch {
		case p.role == roleRepoID:
		case p.role == rolePath:
			path := splitPath(p.Value, s.Platform == GitHub)
			if !path.HasRepoID {
				continue
			}
			id = path.RepoID
		default:
			continue
		}
		switch scopeOf(id) {
		case Closed:
			return Yes
		case Depends:
			out = Unknown
		}
	}
	return out
}
