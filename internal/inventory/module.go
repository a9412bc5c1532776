package inventory

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/source/terraform"
)

// isTerraform reports whether a file is Terraform by its name: a module, or the
// values of its variables.
func isTerraform(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasSuffix(lower, ".tf") || strings.HasSuffix(lower, ".tf.json") || isVariables(name)
}

// isVariables reports whether Terraform reads a file's values of its own accord.
func isVariables(name string) bool {
	base := filepath.Base(name)
	return base == "terraform.tfvars" || strings.HasSuffix(base, ".auto.tfvars")
}

var hclBlock = regexp.MustCompile(`(?m)^(?:data|locals|module|provider|resource|terraform|variable)\b[^\n=]*\{`)

// isHCL reports whether a file of another name is Terraform.
func isHCL(data []byte) bool { return hclBlock.Match(data) }

// module notes a Terraform file. Those of one folder are one module, which is
// read when all of them are there.
func (r *reader) module(name string, data []byte) {
	r.ours(name)
	folder := filepath.Dir(name)
	if r.modules[folder] == nil {
		r.modules[folder] = map[string][]byte{}
	}
	r.modules[folder][name] = bytes.Clone(data)
}

// readModules reads the Terraform modules that were found.
func (r *reader) readModules() {
	modules, err := terraform.ParseModules(r.modules)
	r.problems(err)
	for _, m := range modules {
		r.terraformResources(m.Resources)
		for _, u := range m.Unread {
			r.inv.Unread = append(r.inv.Unread, UnreadModule(u))
		}
	}
}

// plan reads what `terraform show -json` prints.
func (r *reader) plan(name string, root *source.Node) {
	r.ours(name)
	resources, err := terraform.ParsePlan(name, root)
	r.problems(err)
	r.terraformResources(resources)
}
