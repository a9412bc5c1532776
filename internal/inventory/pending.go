package inventory

import (
	"path/filepath"
	"strings"
)

func (r *reader) plan(name string, data []byte) { r.ours(name) }

type folder struct{ scope *scope }

func (r *reader) terraformFile(name string, data []byte, named bool) {}

func isVariables(name string) bool {
	base := filepath.Base(name)
	return base == "terraform.tfvars" || strings.HasSuffix(base, ".auto.tfvars")
}
func isHCL(data []byte) bool { return false }
