// Command stint trades the signed identity of a CI job for credentials that
// last only as long as the job.
package main

import (
	"os"

	"github.com/stint-dev/stint/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:]))
}
