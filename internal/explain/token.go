package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/awsclaims"
)

// Carried is what a token asks of AWS STS.
type Carried struct {
	Tags           []iam.Tag // sorted by key
	Transitive     []string
	SourceIdentity string
	// Roles are those that the token may buy. Limited says that it names any.
	Roles   []string
	Limited bool
}

// ReadToken reads what a token's claims ask of AWS STS, the tags in the nested
// form, the flat one or both. An error says which claim is malformed; STS
// refuses such a token.
func ReadToken(claims map[string]any) (Carried, error) {
	var c Carried
	if v, present := claims[awsclaims.Tags]; present {
		if err := c.nested(v); err != nil {
			return Carried{}, err
		}
	}
	for name, v := range claims {
		key, flat := strings.CutPrefix(name, awsclaims.FlatTagPrefix)
		if !flat {
			continue
		}
		value, ok := v.(string)
		if !ok {
			return Carried{}, fmt.Errorf("the claim %s: expected text", short(name))
		}
		c.Tags = append(c.Tags, iam.Tag{Key: key, Value: value})
	}
	slices.SortFunc(c.Tags, func(a, b iam.Tag) int { return cmp.Compare(a.Key, b.Key) })
	if v, present := claims[awsclaims.FlatTransitiveTagKeys]; present {
		keys, ok := texts(v)
		if !ok {
			return Carried{}, fmt.Errorf("the claim %s: expected a list of texts", awsclaims.FlatTransitiveTagKeys)
		}
		c.Transitive = append(c.Transitive, keys...)
	}
	if v := claims[awsclaims.SourceIdentity]; v != nil {
		text, ok := v.(string)
		if !ok {
			return Carried{}, fmt.Errorf("the claim %s: expected text", awsclaims.SourceIdentity)
		}
		c.SourceIdentity = text
	}
	switch v := claims[awsclaims.Roles].(type) {
	case nil:
	case string:
		c.Roles, c.Limited = strings.Split(v, ";"), true
	default:
		c.Roles, _ = texts(v)
		c.Limited = true
	}
	return c, nil
}

func (c *Carried) nested(v any) error {
	tags, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("the claim %s: expected an object", awsclaims.Tags)
	}
	if v, present := tags[awsclaims.PrincipalTags]; present {
		principal, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("the claim %s: expected principal_tags to be an object", awsclaims.Tags)
		}
		for key, v := range principal {
			values, ok := texts(v)
			if !ok || len(values) != 1 {
				return fmt.Errorf("the claim %s: expected the tag %q to be a list of one text", awsclaims.Tags, short(key))
			}
			c.Tags = append(c.Tags, iam.Tag{Key: key, Value: values[0]})
		}
	}
	if v, present := tags[awsclaims.TransitiveTagKeys]; present {
		keys, ok := texts(v)
		if !ok {
			return fmt.Errorf("the claim %s: expected transitive_tag_keys to be a list of texts", awsclaims.Tags)
		}
		c.Transitive = keys
	}
	return nil
}

func texts(v any) ([]string, bool) {
	items, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(items))
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}
