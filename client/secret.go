package client

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "REDACTED"

// Secret is a token or a secret key. However it is formatted, logged or
// marshalled, alone or within a struct, it reads REDACTED; only Reveal gives
// its text. An empty Secret reads as empty, so that its absence shows.
type Secret string

// Reveal is the secret's text. Whoever calls it answers for where it goes.
func (s Secret) Reveal() string { return string(s) }

// String is REDACTED, or empty for an empty Secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format writes String whatever the verb: fmt prints the plain value of a
// Stringer for verbs that do not fit its type.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is what log/slog writes.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is what encoding/json writes, and with it slog's JSON handler
// for a struct that holds a Secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
