package subject

import "strings"

// Repo is where a GitHub subject, or a pattern for one, names its repository:
// what stands before it, owner and name with their ids, and what follows.
type Repo struct {
	Before                       string // repo:, with the issuer's name in a stint token
	Owner, OwnerID, Name, RepoID string
	HasOwnerID, HasRepoID        bool
	After                        string // with its colon; empty where nothing follows
}

// String is the subject that SplitRepo took apart.
func (r Repo) String() string {
	var b strings.Builder
	b.WriteString(r.Before)
	b.WriteString(r.Owner)
	if r.HasOwnerID {
		b.WriteString("@" + r.OwnerID)
	}
	b.WriteString("/" + r.Name)
	if r.HasRepoID {
		b.WriteString("@" + r.RepoID)
	}
	b.WriteString(r.After)
	return b.String()
}

// SplitRepo takes a GitHub subject that begins with repo:OWNER/REPO apart, or
// with ISSUER:repo:OWNER/REPO as in a stint token. It keeps wildcards as they
// are. ok is false for every other text, and where a * in the owner makes it
// uncertain where the owner ends.
func SplitRepo(s string) (r Repo, ok bool) {
	const key = "repo:"
	path, found := strings.CutPrefix(s, key)
	r.Before = key
	if !found {
		issuer, rest, colon := strings.Cut(s, ":")
		path, found = strings.CutPrefix(rest, key)
		if !colon || !found || issuer == "" || strings.ContainsAny(issuer, "*?/@${}") || !roleless(GitHub, issuer) {
			return Repo{}, false
		}
		r.Before = issuer + ":" + key
	}
	if strings.Contains(path, "${") {
		return Repo{}, false // a policy variable may hold anything
	}
	if i := strings.IndexByte(path, ':'); i >= 0 {
		path, r.After = path[:i], path[i:]
	}
	owner, name, slash := strings.Cut(path, "/")
	if !slash || owner == "" || name == "" || strings.Contains(name, "/") {
		return Repo{}, false
	}
	r.Owner, r.OwnerID, r.HasOwnerID = strings.Cut(owner, "@")
	r.Name, r.RepoID, r.HasRepoID = strings.Cut(name, "@")
	if r.Owner == "" || strings.Contains(r.Owner, "*") || r.Name == "" || strings.ContainsAny(r.OwnerID+r.RepoID, "@/") {
		return Repo{}, false
	}
	return r, true
}

// Names are the owner and the repository that a GitHub pattern names, without
// ids; ok is false where it names no single one.
func Names(pattern string) (owner, repository string, ok bool) {
	r, ok := SplitRepo(pattern)
	if !ok || strings.ContainsAny(r.Owner+r.Name, "*?") {
		return "", "", false
	}
	return r.Owner, r.Name, true
}

// WithIDs is a pattern of the form with names, repo:OWNER/REPO:..., in the form
// with ids, repo:OWNER@OWNERID/REPO@REPOID:... A repository that ends in a *
// keeps it without an id, since * matches REPO@REPOID; every other wildcard
// before the rest is refused. ok is false, and the pattern unchanged, where it
// has another form or an id has other characters than digits.
func WithIDs(pattern, ownerID, repoID string) (migrated string, ok bool) {
	r, ok := SplitRepo(pattern)
	if !ok || r.HasOwnerID || r.HasRepoID || strings.Contains(r.Owner, "?") || !digits(ownerID) {
		return pattern, false
	}
	r.OwnerID, r.HasOwnerID = ownerID, true
	if !strings.HasSuffix(r.Name, "*") {
		if strings.ContainsAny(r.Name, "*?") || !digits(repoID) {
			return pattern, false
		}
		r.RepoID, r.HasRepoID = repoID, true
	}
	return r.String(), true
}

// WithoutIDs is a pattern of the form with ids in the form with names: the
// inverse of WithIDs. ok is false, and the pattern unchanged, where it has
// another form.
func WithoutIDs(pattern string) (migrated string, ok bool) {
	r, ok := SplitRepo(pattern)
	if !ok || !r.HasOwnerID {
		return pattern, false
	}
	r.OwnerID, r.HasOwnerID, r.RepoID, r.HasRepoID = "", false, "", false
	return r.String(), true
}

// HyphenIDs reports a repository written as OWNER-OWNERID/REPO-REPOID, which
// GitHub never signs, and returns it in the form with ids.
func HyphenIDs(pattern string) (withIDs string, ok bool) {
	r, ok := SplitRepo(pattern)
	if !ok || r.HasOwnerID || r.HasRepoID {
		return "", false
	}
	var okOwner, okName bool
	r.Owner, r.OwnerID, okOwner = cutNumber(r.Owner)
	r.Name, r.RepoID, okName = cutNumber(r.Name)
	r.HasOwnerID, r.HasRepoID = true, true
	return r.String(), okOwner && okName
}

func cutNumber(s string) (name, number string, ok bool) {
	i := strings.LastIndexByte(s, '-')
	if i <= 0 || !digits(s[i+1:]) {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
