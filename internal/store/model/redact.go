package model

import (
	"fmt"
	"io"
	"log/slog"
)

// String leaves the private key out.
func (k SigningKey) String() string { return "signing key " + k.KeyID }

// GoString leaves the private key out.
func (k SigningKey) GoString() string { return k.String() }

// Format leaves the private key out under every verb: %d would not ask String.
func (k SigningKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue leaves the private key out.
func (k SigningKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText leaves the private key out.
func (k SigningKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
