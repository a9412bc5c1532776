package emulator_test

import (
	"bytes"
	"crypto/rand"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/emulator"
)

func TestListenOnLoopbackOnly(t *testing.T) {
	l, err := emulator.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() || a.Port == 0 {
		t.Errorf("listening on %v", l.Addr())
	}
	// Not every machine has IPv6, but the address itself is allowed.
	if l, err := emulator.Listen(t.Context(), "[::1]:0"); err == nil {
		l.Close()
	} else if strings.Contains(err.Error(), "loopback") {
		t.Error(err)
	}
	for _, address := range []string{"", ":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80", "localhost:0", "127.0.0.1", "127.0.0.1:http"} {
		l, err := emulator.Listen(t.Context(), address)
		if err == nil {
			l.Close()
			t.Errorf("%q: expected a refusal", address)
		} else if !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%q: the error does not say what is expected: %v", address, err)
		}
	}
}

func TestNewUUID(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	first, err := emulator.NewUUID(rand.Reader)
	if err != nil || !form.MatchString(first) {
		t.Errorf("found %q, %v", first, err)
	}
	if second, err := emulator.NewUUID(rand.Reader); err != nil || second == first {
		t.Errorf("the same twice: %q, %v", second, err)
	}
	if id, err := emulator.NewUUID(bytes.NewReader(make([]byte, 15))); err == nil {
		t.Errorf("made %q of too little randomness", id)
	}
}
