package client

import (
	"net"
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
