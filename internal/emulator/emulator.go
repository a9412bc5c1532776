// Package emulator holds what the emulated services share. They stand in for
// GitHub's token endpoint and AWS STS on one machine, for development, the
// demo and tests.
package emulator

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// Banner is what a program says that starts an emulator.
const Banner = "Emulated services on loopback, for development and tests. They are no security boundary: any process on this machine can reach them, and the credentials they give mean nothing to AWS."

// Listen listens on a loopback address such as 127.0.0.1:0, and refuses any
// other: an emulator that others can reach would sign tokens for them. A name
// is refused as well, since what it resolves to may change.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: expected a loopback address with a port, such as 127.0.0.1:0: %w", address, err)
	}
	if !ap.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("listening on %q: emulators listen on loopback only; use 127.0.0.1:%d or [::1]:%[2]d", address, ap.Port())
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", address, err)
	}
	return l, nil
}

// NewUUID makes a random UUID (RFC 9562 section 5.4).
func NewUUID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("making a UUID: %w", err)
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:], nil
}
