//go:build !unix

package cli

import "os"

// forwarded are the signals that a running command gets when we get them.
var forwarded = []os.Signal{os.Interrupt}

// sentToChild reports whether the child got s already: here a console sends
// its events to every process that is attached to it.
func sentToChild(os.Signal) bool { return true }
