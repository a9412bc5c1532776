package stswire_test

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/stswire"
)

const roleARN = "arn:aws:iam::111111111111:role/deploy"

// TestParseAssumeRole: numbered members come in their order, whatever the form
// says first, and broken constraints are told together.
func TestParseAssumeRole(t *testing.T) {
	form := func(more string) url.Values {
		v, err := url.ParseQuery("RoleArn=" + roleARN + "&RoleSessionName=job&" + more)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	in, bad := stswire.ParseAssumeRole(form("Tags.member.10.Key=c&Tags.member.10.Value=3&Tags.member.2.Key=b&Tags.member.2.Value=&Tags.member.1.Key=a&Tags.member.1.Value=1" +
		"&TransitiveTagKeys.member.2=c&TransitiveTagKeys.member.1=a&ExternalId=x:y/z&SourceIdentity=me&DurationSeconds=900&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess"))
	if bad != nil {
		t.Fatal(bad)
	}
	if len(in.Tags) != 3 || in.Tags[0].Key != "a" || in.Tags[1] != (stswire.Tag{Key: "b"}) || in.Tags[2].Value != "3" || strings.Join(in.TransitiveTagKeys, "") != "ac" ||
		in.Duration != 15*time.Minute || in.ExternalID != "x:y/z" || in.SourceIdentity != "me" || len(in.PolicyARNs) != 1 {
		t.Errorf("found %+v", in)
	}
	for _, c := range []struct{ more, code, says string }{
		{"Tags.member.0.Key=a", "MalformedInput", ""},
		{"Tags.member.x.Key=a", "MalformedInput", ""},
		{"Tags.member.1.Name=a", "MalformedInput", ""},
		{"TransitiveTagKeys.member.-1=a", "MalformedInput", ""},
		{"DurationSeconds=1h", "MalformedInput", ""},
		{"Tags.member.1.Value=a", "ValidationError", "at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"Tags.member.1.Key=" + strings.Repeat("k", 129), "ValidationError", "at 'tags.1.member.key'"},
		{"Tags.member.1.Key=k&Tags.member.1.Value=" + strings.Repeat("v", 257), "ValidationError", "at 'tags.1.member.value'"},
		{"ExternalId=x", "ValidationError", "at 'externalId'"},
		{"SourceIdentity=a%20b", "ValidationError", "at 'sourceIdentity'"},
		{"ExternalId=x&SourceIdentity=y", "ValidationError", "2 validation errors detected"},
	} {
		if _, bad := stswire.ParseAssumeRole(form(c.more)); bad == nil || bad.Code != c.code || !strings.Contains(bad.Message, c.says) {
			t.Errorf("%s: found %v, want %s %q", c.more, bad, c.code, c.says)
		}
	}
}

// FuzzParseAssumeRole: what is accepted is within the limits of the API.
func FuzzParseAssumeRole(f *testing.F) {
	f.Add("RoleArn=" + roleARN + "&RoleSessionName=job&Tags.member.1.Key=a&Tags.member.1.Value=b&TransitiveTagKeys.member.1=a")
	f.Add("RoleArn=" + roleARN + "&RoleSessionName=job&DurationSeconds=99999999999&ExternalId=%00")
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		in, bad := stswire.ParseAssumeRole(form)
		if bad != nil {
			if bad.Code == "" || bad.Status < 400 {
				t.Errorf("an error without a code: %+v", bad)
			}
			return
		}
		if !stswire.RoleARN.MatchString(in.RoleARN) || len(in.RoleSessionName) < 2 || len(in.RoleSessionName) > 64 || len(in.Tags) > 50 || len(in.TransitiveTagKeys) > 50 ||
			in.Duration != 0 && (in.Duration < 15*time.Minute || in.Duration > 12*time.Hour) || in.ExternalID != "" && len(in.ExternalID) < 2 {
			t.Errorf("accepted %+v", in)
		}
		for _, tag := range in.Tags {
			if n := utf8.RuneCountInString(tag.Key); n < 1 || n > 128 || utf8.RuneCountInString(tag.Value) > 256 || strings.ContainsAny(tag.Key+tag.Value, "*?\x00\n\"'<>") {
				t.Errorf("accepted the tag %+v", tag)
			}
		}
	})
}
