package client

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Grant is what the broker decided, as it says. It is for logs and for people,
// but for Chain: the credentials themselves are what counts.
type Grant struct {
	Record      string            `json:"record,omitempty"` // the id of the record
	Rule        string            `json:"rule,omitempty"`
	Role        string            `json:"role,omitempty"` // the ARN of the one role
	SessionName string            `json:"session_name,omitempty"`
	Seconds     int64             `json:"duration_seconds,omitempty"` // of an AWS session
	Tags        map[string]string `json:"tags,omitempty"`             // of an AWS session

	Transitive     []string    `json:"transitive,omitempty"` // keys of Tags that role chaining inherits
	SourceIdentity string      `json:"source_identity,omitempty"`
	Chain          *GrantChain `json:"chain,omitempty"`        // nil: the rule passes nothing on
	Dropped        []string    `json:"dropped_tags,omitempty"` // keys of tags that were left out to make the session fit
}

// GrantChain is what the rule passes on at each hop of role chaining.
type GrantChain struct {
	Tags map[string]string `json:"tags"` // some of Grant.Tags, exactly as they are there
}

// The limits of AWS STS on a session (sts AssumeRole: Tags,
// TransitiveTagKeys, RoleSessionName, SourceIdentity).
const (
	maxTags     = 50
	maxTagKey   = 128 // characters
	maxTagValue = 256 // characters
)

var sessionText = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

const (
	// grantHeader carries a Grant as base64url of its JSON.
	grantHeader = "Stint-Grant"
	// maxGrant bounds the header, in bytes. A session token holds at most 4096,
	// the tags among them.
	maxGrant = 16 << 10
)

// readGrant reads the header Stint-Grant of an answer with credentials. A
// broker that knows no such header gives nil. A header that is there must hold
// a grant within the limits of AWS STS, or a damaged one could change what
// role chaining passes on. Members that are not known are a newer broker's.
func readGrant(h http.Header) (*Grant, error) {
	values := h.Values(grantHeader)
	switch {
	case len(values) == 0:
		return nil, nil
	case len(values) > 1:
		return nil, fmt.Errorf("expected one header %s, found %d", grantHeader, len(values))
	case len(values[0]) > maxGrant:
		return nil, fmt.Errorf("expected at most %d bytes in %s, found %d", maxGrant, grantHeader, len(values[0]))
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(values[0])
	// The decoder passes over line breaks, which no header holds.
	if err != nil || strings.ContainsAny(values[0], "\r\n") {
		return nil, errors.New("expected base64url in " + grantHeader)
	}
	var g Grant
	// The decoder would take null for an empty object.
	if !bytes.HasPrefix(data, []byte("{")) || json.Unmarshal(data, &g) != nil {
		return nil, errors.New("expected the JSON of a grant in " + grantHeader)
	}
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", grantHeader, err)
	}
	g = g.cleaned()
	return &g, nil
}

// check holds what will be used of the grant against the limits of AWS STS.
func (g Grant) check() error {
	const least, most = int64(MinDuration / time.Second), int64(MaxDuration / time.Second)
	switch {
	case len(g.Tags) > maxTags || len(g.Transitive) > maxTags:
		return fmt.Errorf("expected at most %d tags, found %d, and %d transitive keys", maxTags, len(g.Tags), len(g.Transitive))
	case g.Seconds != 0 && (g.Seconds < least || g.Seconds > most):
		return fmt.Errorf("expected a duration of %d to %d seconds, found %d", least, most, g.Seconds)
	case g.SessionName != "" && !sessionText.MatchString(g.SessionName):
		return errors.New("the session name is outside the limits of AWS STS")
	case g.SourceIdentity != "" && !sessionText.MatchString(g.SourceIdentity):
		return errors.New("the source identity is outside the limits of AWS STS")
	}
	seen := make(map[string]bool, len(g.Tags))
	for k, v := range g.Tags {
		if err := checkTag(k, v); err != nil {
			return err
		}
		if seen[strings.ToLower(k)] {
			return fmt.Errorf("the tag %s stands twice: AWS compares keys without letter case", clean(k))
		}
		seen[strings.ToLower(k)] = true
	}
	for _, k := range g.Transitive {
		if err := checkTag(k, ""); err != nil {
			return err
		}
	}
	return g.checkChain()
}

// checkChain holds what role chaining passes on against what the session has.
func (g Grant) checkChain() error {
	if g.Chain == nil {
		return nil
	}
	for k, v := range g.Chain.Tags {
		if has, ok := g.Tags[k]; !ok || has != v {
			return fmt.Errorf("the tag %s of the chain is not the session's", clean(k))
		}
		if err := checkTag(k, v); err != nil {
			return err
		}
	}
	if len(g.Chain.Tags) > maxTags {
		return fmt.Errorf("expected at most %d tags in the chain, found %d", maxTags, len(g.Chain.Tags))
	}
	return nil
}

func checkTag(key, value string) error {
	switch {
	case key == "" || utf8.RuneCountInString(key) > maxTagKey || !tagText(key):
		return fmt.Errorf("expected a tag key of 1 to %d letters, digits, spaces and _.:/=+-@, found %q", maxTagKey, clean(key))
	case len(key) >= 4 && strings.EqualFold(key[:4], "aws:"):
		return fmt.Errorf("the tag key %s is reserved by AWS", clean(key))
	case utf8.RuneCountInString(value) > maxTagValue || !tagText(value):
		return fmt.Errorf("the value of the tag %s is outside the limits of AWS STS", clean(key))
	}
	return nil
}

// tagText reports whether s is of [\p{L}\p{Z}\p{N}_.:/=+\-@]*.
func tagText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
	})
}

// cleaned is g fit to print. What role chaining passes on stays as it is: it
// has been checked, and must not change on the way.
func (g Grant) cleaned() Grant {
	tags := make(map[string]string, len(g.Tags))
	for k, v := range g.Tags {
		tags[clean(k)] = clean(v)
	}
	return Grant{
		Record: clean(g.Record), Rule: clean(g.Rule), Role: clean(g.Role), SessionName: clean(g.SessionName), Seconds: g.Seconds, Tags: tags,
		Transitive: cleanAll(g.Transitive), SourceIdentity: clean(g.SourceIdentity), Chain: g.Chain, Dropped: cleanAll(g.Dropped),
	}
}

func cleanAll(texts []string) []string {
	var all []string
	for _, s := range texts {
		all = append(all, clean(s))
	}
	return all
}
