package awssts

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/awsclaims"
)

const (
	maxTags     = 50
	maxTagKey   = 128 // characters
	maxTagValue = 256
)

var (
	tagText        = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	sourceIdentity = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)
)

// sessionClaims are what a token asks for the session.
type sessionClaims struct {
	tags           []iam.Tag // sorted by key
	transitive     []string
	sourceIdentity string
}

// readSession reads the session's tags, in either form or both, and its source
// identity.
func readSession(claims map[string]any) (sessionClaims, *fault) {
	var s sessionClaims
	if f := s.readNested(claims); f != nil {
		return s, f
	}
	for name, v := range claims {
		key, flat := strings.CutPrefix(name, awsclaims.FlatTagPrefix)
		if !flat {
			continue
		}
		value, ok := v.(string)
		if !ok {
			return s, badTags().because("the value of the tag %.130q is no text", key)
		}
		s.tags = append(s.tags, iam.Tag{Key: key, Value: value})
	}
	if v, present := claims[awsclaims.FlatTransitiveTagKeys]; present {
		if f := s.readTransitive(v); f != nil {
			return s, f
		}
	}
	slices.SortFunc(s.tags, func(a, b iam.Tag) int { return cmp.Compare(a.Key, b.Key) })
	if f := s.checkTags(); f != nil {
		return s, f
	}
	if v, present := claims[awsclaims.SourceIdentity]; present && v != nil {
		text, ok := v.(string)
		if !ok || !sourceIdentity.MatchString(text) {
			return s, invalidToken("source_identity passed in claim is not in correct format.")
		}
		s.sourceIdentity = text
	}
	return s, nil
}

func (s *sessionClaims) readNested(claims map[string]any) *fault {
	v, present := claims[awsclaims.Tags]
	if !present {
		return nil
	}
	tags, ok := v.(map[string]any)
	if !ok {
		return badTags().because("%s is not an object", awsclaims.Tags)
	}
	if v, present := tags[awsclaims.PrincipalTags]; present {
		principal, ok := v.(map[string]any)
		if !ok {
			return badTags().because("principal_tags is not an object")
		}
		for key, v := range principal {
			list, ok := v.([]any)
			if !ok || len(list) != 1 {
				return badTags().because("the value of the tag %.130q is not a list of one", key)
			}
			value, ok := list[0].(string)
			if !ok {
				return badTags().because("the value of the tag %.130q is no text", key)
			}
			s.tags = append(s.tags, iam.Tag{Key: key, Value: value})
		}
	}
	if v, present := tags[awsclaims.TransitiveTagKeys]; present {
		return s.readTransitive(v)
	}
	return nil
}

func (s *sessionClaims) readTransitive(v any) *fault {
	list, ok := v.([]any)
	if !ok {
		return badTags().because("transitive_tag_keys is not a list")
	}
	for _, item := range list {
		key, ok := item.(string)
		if !ok {
			return badTags().because("transitive_tag_keys holds something that is no text")
		}
		s.transitive = append(s.transitive, key)
	}
	return nil
}

func (s *sessionClaims) checkTags() *fault {
	if len(s.tags) > maxTags || len(s.transitive) > maxTags {
		return badTags().because("more than %d tags", maxTags)
	}
	seen := map[string]bool{}
	for _, t := range s.tags {
		folded := strings.ToLower(t.Key)
		switch n := utf8.RuneCountInString(t.Key); {
		case n < 1 || n > maxTagKey || utf8.RuneCountInString(t.Value) > maxTagValue:
			return badTags().because("the tag %.130q: expected a key of 1 to %d characters and a value of at most %d", t.Key, maxTagKey, maxTagValue)
		case !tagText.MatchString(t.Key) || !tagText.MatchString(t.Value):
			return badTags().because("the tag %.130q: expected letters, digits, spaces and _.:/=+-@", t.Key)
		case strings.HasPrefix(folded, "aws:"):
			return badTags().because("the tag %.130q: aws: is reserved", t.Key)
		case seen[folded]:
			return badTags().because("the tag %.130q stands twice; keys compare in any case", t.Key)
		}
		seen[folded] = true
	}
	for _, key := range s.transitive {
		if !seen[strings.ToLower(key)] {
			return badTags().because("the transitive key %.130q is none of the tags", key)
		}
	}
	return nil
}

// namesRole says whether the token lists the roles that it may buy, and
// whether this one is among them. ARNs compare exactly.
func namesRole(claims map[string]any, arn string) (limited, named bool) {
	switch v := claims[awsclaims.Roles].(type) {
	case nil:
		return false, false
	case string:
		return true, slices.Contains(strings.Split(v, ";"), arn)
	case []any:
		return true, slices.Contains(v, any(arn))
	}
	return true, false
}
