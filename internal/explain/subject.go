package explain

import "strings"

// subject is a GitHub subject, or a pattern of one, taken apart.
type subject struct {
	prefix  string // github: in a stint token
	host    string // that stands before the owner by mistake
	owner   string
	repo    string
	context string // with its colon
	bare    bool   // repo: is missing before it
}

func splitSubject(s string) (subject, bool) {
	at := strings.Index(s, "repo:")
	if at < 0 || at > 0 && s[at-1] != ':' {
		return subject{}, false
	}
	host, repository, context := "", s[at+len("repo:"):], ""
	for _, h := range []string{"https://github.com/", "http://github.com/", "https://www.github.com/", "www.github.com/", "github.com/", "git@github.com:"} {
		if len(repository) > len(h) && strings.EqualFold(repository[:len(h)], h) {
			host, repository = repository[:len(h)], repository[len(h):]
			break
		}
	}
	if i := strings.IndexByte(repository, ':'); i >= 0 {
		repository, context = repository[:i], repository[i:]
	}
	owner, repo, ok := strings.Cut(repository, "/")
	return subject{prefix: s[:at], host: host, owner: owner, repo: repo, context: context}, ok && owner != "" && repo != ""
}

// splitPattern takes an expected subject apart, also one in which repo: is
// missing.
func splitPattern(text string) (subject, bool) {
	if s, ok := splitSubject(text); ok || strings.Contains(":"+text, ":repo:") || strings.HasPrefix(text, "*") {
		return s, ok
	}
	s, ok := splitSubject("repo:" + text)
	s.bare = true
	return s, ok
}

func (s subject) String() string {
	if s.bare {
		return s.host + s.owner + "/" + s.repo + s.context
	}
	return s.prefix + "repo:" + s.host + s.owner + "/" + s.repo + s.context
}

// hasIDs reports whether the subject has the form with ids. Of a pattern such
// as OWNER@ID/* one id says it.
func (s subject) hasIDs() bool {
	return strings.Contains(s.owner, "@") || strings.Contains(s.repo, "@")
}

// names is the subject without ids.
func (s subject) names() subject {
	s.owner, _, _ = strings.Cut(s.owner, "@")
	s.repo, _, _ = strings.Cut(s.repo, "@")
	return s
}

func (s subject) repository() string { return s.owner + "/" + s.repo }

// open reports whether it is a pattern that leaves open what follows the
// repository.
func (s subject) open() bool { return s.context == "" && strings.HasSuffix(s.repo, "*") }
