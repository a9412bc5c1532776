// Package examples is the configuration and the roles that stint dev and
// stint demo use where none are named.
package examples

import "embed"

// FS holds stint.yaml and the folder roles.
//
//go:embed stint.yaml roles
var FS embed.FS
