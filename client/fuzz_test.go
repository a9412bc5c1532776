package client

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
)

// Whatever stands in STINT_URL, a token goes over https or to this machine.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"https://stint.example.com", "http://127.0.0.1:8180", "http://[::1]:1/base", "http://localhost", "http://localhost.example.com",
		"http://127.0.0.1@example.com", "http:\\\\127.0.0.1", "HTTP://example.com", "//example.com", "http://[::ffff:127.0.0.1]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := address("X", s)
		if err != nil {
			return
		}
		// What is sent is what is written back, so that is what must hold.
		sent, err := url.Parse(u.String())
		if err != nil {
			t.Fatalf("%q was accepted, and becomes %q", s, u)
		}
		if sent.User != nil || sent.Hostname() == "" {
			t.Errorf("%q was accepted with user %v and host %q", s, sent.User, sent.Hostname())
		}
		if sent.Scheme == "https" {
			return
		}
		if sent.Scheme != "http" || !net.ParseIP(sent.Hostname()).IsLoopback() {
			t.Errorf("%q was accepted", s)
		}
	})
}

// Whatever a server says, what is shown of it is one line without commands.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"plain", "a\nb", "\x1b[2J", "##[error]", "#\u200b#[x]", "\xff\xfe", strings.Repeat("ä", maxText)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Errorf("%q holds control characters", got)
		}
		if strings.Contains(got, "##[") {
			t.Errorf("%q holds a workflow command", got)
		}
		if len(got) > 2*maxText {
			t.Errorf("%d bytes", len(got))
		}
		if clean(got) != got && len(got) <= maxText {
			t.Errorf("%q is changed again to %q", got, clean(got))
		}
	})
}

// Whatever the header says, what a hop passes is within the limits of AWS STS,
// is one of the session's tags as it is there, and is none that is inherited.
func FuzzGrant(f *testing.F) {
	for _, s := range []string{
		`{"tags":{"a":"1","b":"2"},"transitive":["A"],"chain":{"tags":{"a":"1","b":"2"}}}`, `{}`, `null`, `{"chain":null}`, `{"chain":{"tags":{"a":"1"}}}`,
		`{"tags":{"a":"1","A":"2"},"chain":{"tags":{"A":"2"}}}`, `{"TAGS":{"a":"1"},"tags":{"a":"2"},"chain":{"tags":{"a":"2"}}}`, `{"tags":{"k":"\u2028"},"chain":{"tags":{"k":"\u2028"}}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := readGrant(http.Header{grantHeader: {base64.RawURLEncoding.EncodeToString([]byte(s))}})
		if err != nil {
			return
		}
		if g == nil {
			t.Fatal("a header that is there gave no grant")
		}
		tags, err := g.passedOn()
		if err != nil || len(tags) > maxTags {
			t.Fatalf("%d tags, %v", len(tags), err)
		}
		var said Grant
		if err := json.Unmarshal([]byte(s), &said); err != nil {
			t.Fatal(err)
		}
		for i, tag := range tags {
			if value, has := said.Tags[*tag.Key]; !has || value != *tag.Value || checkTag(*tag.Key, *tag.Value) != nil {
				t.Errorf("%q=%q is not of the session %q", *tag.Key, *tag.Value, said.Tags)
			}
			if containsFold(g.Transitive, *tag.Key) {
				t.Errorf("%q is inherited", *tag.Key)
			}
			if i > 0 && strings.EqualFold(*tags[i-1].Key, *tag.Key) {
				t.Errorf("%q is passed twice", *tag.Key)
			}
		}
	})
}

// A hop that is accepted is written back as it was read, and is one line.
func FuzzParseHop(f *testing.F) {
	for _, s := range []string{"arn:aws:iam::111111111111:role/a", "arn:aws:iam::111111111111:role/p/a,external-id=x,external-id=y", "arn:aws:iam::111111111111:role/a,external-id="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHop(s)
		if err != nil {
			return
		}
		back := h.Role
		if h.ExternalID != "" {
			back += externalIDMark + h.ExternalID
		}
		if back != s || clean(s) != s && len(s) <= maxText || strings.ContainsAny(s, "\r\n \t") {
			t.Errorf("%q was read as %+v", s, h)
		}
	})
}
