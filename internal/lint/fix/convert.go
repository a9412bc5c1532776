package fix

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/lint"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// Form is a form of GitHub's subjects.
type Form string

// The forms.
const (
	Names Form = "names" // repo:OWNER/REPO:...
	IDs   Form = "ids"   // repo:OWNER@OWNER_ID/REPO@REPO_ID:...
)

// wanted says what a value is to become.
type wanted struct {
	old, new string // the same where there is nothing to do
	// before and after are the subjects of one token that the value lets in,
	// in the form that the value has and in the one that it gets.
	before, after string
	reason        string // why it stays although it names a repository
}

func wild(s string) bool { return strings.ContainsAny(s, "*?") }

// pinned reports whether an id is one, as opposed to none or to any.
func pinned(id string) bool { return id != "" && strings.Trim(id, "0123456789") == "" }

// convert says what a value becomes. like says that * and ? are wildcards,
// fold that letter case does not matter.
func (o Options) convert(value string, like, fold bool) wanted {
	w := wanted{old: value, new: value}
	stay := func(format string, args ...any) wanted {
		w.reason = fmt.Sprintf(format, args...)
		return w
	}
	r, ok := subject.SplitRepo(value)
	switch {
	case !ok && !strings.HasPrefix(value, "repo:"):
		return w // nothing is known of the form of other subjects
	case strings.Contains(value, "${"):
		return stay("it has a policy variable or an escape")
	case !ok || wild(r.Owner):
		return stay("it names no single owner, as repo:OWNER/... does, and ids are of one")
	case !like && wild(value):
		return stay("a wildcard has no meaning without StringLike, so it matches no token")
	case r.HasRepoID && !r.HasOwnerID || r.HasOwnerID && !r.HasRepoID && !strings.HasSuffix(r.Name, "*"):
		return stay("only one of its owner and its repository has an id, so it matches no token")
	}
	for _, id := range []string{r.OwnerID, r.RepoID} {
		if id != "" && id != "*" && !pinned(id) {
			return stay("%q is neither an id nor *", "@"+id)
		}
	}
	given, reason := o.lookup(r, fold)
	switch {
	case reason != "":
		return stay("%s", reason)
	case o.To == Names:
		return o.toNames(w, r, given)
	}
	return o.toIDs(w, r, given)
}

// known is what was given about a value's repository, as far as it was.
type known struct {
	owner      string // its id
	repository lint.Repository
	found      bool
}

func (o Options) lookup(r subject.Repo, fold bool) (known, string) {
	var k known
	full := r.Owner + "/" + r.Name
	otherCase, otherOwner := "", ""
	for _, name := range slices.Sorted(maps.Keys(o.Repositories)) {
		repository := o.Repositories[name]
		owner, _, _ := strings.Cut(name, "/")
		if owner == r.Owner || fold && strings.EqualFold(owner, r.Owner) {
			k.owner = repository.OwnerID
		} else if strings.EqualFold(owner, r.Owner) {
			otherOwner = owner
		}
		if name == full || fold && strings.EqualFold(name, full) {
			k.repository, k.found = repository, true
		} else if strings.EqualFold(name, full) {
			otherCase = name
		}
	}
	// GitHub takes names in any case for the same, AWS does not.
	const compared = "and subjects are compared with their letter case, so it matches no token"
	switch {
	case otherCase != "" && !k.found:
		return k, fmt.Sprintf("the repository is %s, %s", otherCase, compared)
	case otherOwner != "" && k.owner == "":
		return k, fmt.Sprintf("the owner is %s, %s", otherOwner, compared)
	case pinned(r.OwnerID) && k.owner != "" && r.OwnerID != k.owner:
		return k, fmt.Sprintf("its owner's id is %s, and the one given for %s is %s", r.OwnerID, r.Owner, k.owner)
	case pinned(r.RepoID) && k.found && r.RepoID != k.repository.ID:
		return k, fmt.Sprintf("its repository's id is %s, and the one given for %s is %s", r.RepoID, full, k.repository.ID)
	}
	return k, ""
}

func (o Options) toIDs(w wanted, r subject.Repo, given known) wanted {
	full := r.Owner + "/" + r.Name
	old := r
	switch {
	case pinned(r.OwnerID):
	case given.owner == "" && wild(r.Name):
		w.reason = "no ids were given for any repository of " + r.Owner
		return w
	case given.owner == "":
		w.reason = "no ids were given for " + full
		return w
	default:
		r.OwnerID, r.HasOwnerID = given.owner, true
	}
	switch {
	case pinned(r.RepoID):
	case !wild(r.Name) && !given.found:
		w.reason = "no ids were given for " + full
		return w
	case !wild(r.Name):
		r.RepoID, r.HasRepoID = given.repository.ID, true
	case !r.HasRepoID && !strings.HasSuffix(r.Name, "*"):
		w.reason = "its repository is a pattern that does not end with *, and the id would stand behind it: name the repositories one by one"
		return w
	}
	// What is left has any id, or a * at its end that goes across the @ and
	// the id.
	if given.found && given.repository.IDsInSubject == source.No && !o.Add && r != old {
		w.reason = "tokens of " + full + " still have names only: keep both with --add"
		return w
	}
	w.new, w.after = r.String(), sample(r, true)
	w.before = sample(old, old.HasOwnerID)
	if old.HasOwnerID {
		w.before = w.after
	}
	return w
}

func (o Options) toNames(w wanted, r subject.Repo, given known) wanted {
	if !r.HasOwnerID {
		return w
	}
	if given.found && given.repository.IDsInSubject == source.Yes && !o.Add {
		w.reason = "tokens of " + r.Owner + "/" + r.Name + " have ids: keep both with --add"
		return w
	}
	w.before = sample(r, true)
	r.OwnerID, r.HasOwnerID, r.RepoID, r.HasRepoID = "", false, "", false
	w.new, w.after = r.String(), sample(r, false)
	return w
}

// sample is the subject of a token that a pattern lets in, with ids or without.
func sample(r subject.Repo, ids bool) string {
	r.Owner, r.Name, r.After = example(r.Owner), example(r.Name), example(r.After)
	if r.HasOwnerID, r.HasRepoID = ids, ids; ids {
		r.OwnerID, r.RepoID = exampleID(r.OwnerID), exampleID(r.RepoID)
	}
	if r.After == "" {
		r.After = ":ref:refs/heads/main"
	}
	return r.String()
}

func example(s string) string { return strings.NewReplacer("*", "x", "?", "x").Replace(s) }

// exampleID is an id, or one that a * stands for.
func exampleID(id string) string {
	if pinned(id) {
		return id
	}
	return "9"
}
