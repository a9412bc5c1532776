package stswire

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// AssumeRole is the input of that operation.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
type AssumeRole struct {
	RoleARN           string
	RoleSessionName   string
	Policy            string
	PolicyARNs        []string
	Duration          time.Duration // 0: not given
	Tags              []Tag         // in the order of their numbers
	TransitiveTagKeys []string
	ExternalID        string
	SourceIdentity    string
}

// Tag is a session tag.
type Tag struct {
	Key, Value string
	valueless  bool // the call has no Value for the key, not even an empty one
}

// AssumeRoleResult is the operation's output.
type AssumeRoleResult struct {
	Credentials             Credentials
	AssumedRoleUser         AssumedRoleUser
	PackedPolicySize        int32  `xml:",omitempty"` // percent
	SessionTokenSize        int32  `xml:",omitempty"` // bytes
	SessionTokenUtilization int32  `xml:",omitempty"` // percent
	SourceIdentity          string `xml:",omitempty"`
}

// The limits of AssumeRole beside those of AssumeRoleWithWebIdentity.
const (
	maxTags       = 50
	maxTagKey     = 128
	maxTagValue   = 256
	minExternalID = 2
	maxExternalID = 1224
)

var (
	tagText    = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	externalID = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]*$`)
)

const tagPattern = `[\p{L}\p{Z}\p{N}_.:/=+\-@]`

// ParseAssumeRole reads and checks the operation's parameters, as
// ParseAssumeRoleWithWebIdentity does.
func ParseAssumeRole(form url.Values) (AssumeRole, *Error) {
	in := AssumeRole{
		RoleARN: form.Get("RoleArn"), RoleSessionName: form.Get("RoleSessionName"), Policy: form.Get("Policy"),
		ExternalID: form.Get("ExternalId"), SourceIdentity: form.Get("SourceIdentity"),
	}
	var c constraints
	c.length(form, "RoleArn", MinRoleARN, MaxRoleARN)
	c.length(form, "RoleSessionName", MinSessionName, MaxSessionName)
	c.pattern(form, "RoleSessionName", sessionName, `[\w+=,.@-]*`)
	if form.Has("ExternalId") {
		c.length(form, "ExternalId", minExternalID, maxExternalID)
		c.pattern(form, "ExternalId", externalID, `[\w+=,.@:\/-]*`)
	}
	if form.Has("SourceIdentity") {
		c.length(form, "SourceIdentity", MinSessionName, MaxSessionName)
		c.pattern(form, "SourceIdentity", sessionName, `[\w+=,.@-]*`)
	}
	var err *Error
	if in.Duration, in.PolicyARNs, err = narrowing(form, &c); err != nil {
		return in, err
	}
	if in.Tags, err = tags(form); err != nil {
		return in, err
	}
	if in.TransitiveTagKeys, err = keys(form); err != nil {
		return in, err
	}
	c.tags(in)
	if len(c) > 0 {
		return in, c.err()
	}
	if !RoleARN.MatchString(in.RoleARN) {
		return in, Validation("Request ARN is invalid")
	}
	return in, nil
}

// narrowing reads what a caller narrows a session with: its duration and its
// session policies.
func narrowing(form url.Values, c *constraints) (duration time.Duration, arns []string, e *Error) {
	if form.Has("Policy") {
		c.length(form, "Policy", 1, MaxPolicy)
		c.pattern(form, "Policy", policyText, `[\u0009\u000A\u000D\u0020-\u00FF]+`)
	}
	if form.Has("DurationSeconds") {
		seconds, err := strconv.ParseInt(form.Get("DurationSeconds"), 10, 32)
		if err != nil {
			return 0, nil, malformedInput()
		}
		c.number("durationSeconds", seconds, MinDuration, MaxDuration)
		duration = time.Duration(seconds) * time.Second
	}
	if arns, e = members(form, "PolicyArns"); e != nil {
		return 0, nil, e
	}
	checked := arns
	if len(arns) > MaxPolicyARNs {
		c.fail(fmt.Sprintf("Value '[%d members]'", len(arns)), "policyArns", "Member must have length less than or equal to %d", MaxPolicyARNs)
		checked = nil // whoever sends thousands gets one sentence back
	}
	for i, arn := range checked {
		if n := utf8.RuneCountInString(arn); n < 20 || n > 2048 {
			c.fail("Value '"+cut(arn)+"'", fmt.Sprintf("policyArns.%d.member.arn", i+1), "Member must have length between 20 and 2048")
		}
	}
	return duration, arns, nil
}

// tags checks the tags of a call, and the keys that are transitive.
func (c *constraints) tags(in AssumeRole) {
	most := func(n int, at string) {
		if n > maxTags {
			c.fail(fmt.Sprintf("Value '[%d members]'", n), at, "Member must have length less than or equal to %d", maxTags)
		}
	}
	most(len(in.Tags), "tags")
	most(len(in.TransitiveTagKeys), "transitiveTagKeys")
	key := func(v, at string) {
		switch n := utf8.RuneCountInString(v); {
		case n < 1:
			c.fail("Value '"+cut(v)+"'", at, "Member must have length greater than or equal to 1")
		case n > maxTagKey:
			c.fail("Value '"+cut(v)+"'", at, "Member must have length less than or equal to %d", maxTagKey)
		case !tagText.MatchString(v):
			c.fail("Value '"+cut(v)+"'", at, "Member must satisfy regular expression pattern: %s+", tagPattern)
		}
	}
	for i, t := range in.Tags[:min(len(in.Tags), maxTags)] {
		at := fmt.Sprintf("tags.%d.member.", i+1)
		key(t.Key, at+"key")
		switch {
		case t.valueless:
			c.fail("Value null", at+"value", "Member must not be null")
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			c.fail("Value '"+cut(t.Value)+"'", at+"value", "Member must have length less than or equal to %d", maxTagValue)
		case !tagText.MatchString(t.Value):
			c.fail("Value '"+cut(t.Value)+"'", at+"value", "Member must satisfy regular expression pattern: %s*", tagPattern)
		}
	}
	for i, k := range in.TransitiveTagKeys[:min(len(in.TransitiveTagKeys), maxTags)] {
		key(k, fmt.Sprintf("transitiveTagKeys.%d.member", i+1))
	}
}

// tags reads Tags.member.N.Key and Tags.member.N.Value, in the order of N.
func tags(form url.Values) ([]Tag, *Error) {
	found := map[int]*Tag{}
	for name, v := range form {
		rest, ok := strings.CutPrefix(name, "Tags.member.")
		if !ok {
			continue
		}
		number, field, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || field != "Key" && field != "Value" {
			return nil, malformedInput()
		}
		if found[n] == nil {
			found[n] = &Tag{valueless: true}
		}
		if field == "Key" {
			found[n].Key = v[0]
		} else {
			found[n].Value, found[n].valueless = v[0], false
		}
	}
	var all []Tag
	for _, n := range sorted(found) {
		all = append(all, *found[n])
	}
	return all, nil
}

// keys reads TransitiveTagKeys.member.N, in the order of N.
func keys(form url.Values) ([]string, *Error) {
	found := map[int]string{}
	for name, v := range form {
		number, ok := strings.CutPrefix(name, "TransitiveTagKeys.member.")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return nil, malformedInput()
		}
		found[n] = v[0]
	}
	var all []string
	for _, n := range sorted(found) {
		all = append(all, found[n])
	}
	return all, nil
}

func sorted[V any](m map[int]V) []int {
	numbers := make([]int, 0, len(m))
	for n := range m {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers
}
