package terraform

import (
	"path/filepath"
	"slices"
	"strings"
)

// isOverride reports whether Terraform reads a file after the others of its
// folder, and merges what it holds into theirs.
func isOverride(name string) bool {
	base := strings.TrimSuffix(strings.ToLower(filepath.Base(name)), ".json")
	return base == "override.tf" || strings.HasSuffix(base, "_override.tf")
}

// put adds a block to a list, or merges one of an override file into the block
// of the same name.
func (c *config) put(list []*block, b *block) []*block {
	if c.overriding {
		for i, base := range list {
			if base.kind == b.kind && slices.Equal(base.labels, b.labels) {
				list[i] = merge(base, b)
				return list
			}
		}
	}
	return append(list, b)
}

// merge is a block with what another one says instead: an argument in the place
// of the one of that name, and blocks of a type in the place of all of that type
// (Terraform configuration language, override files, merging behavior).
func merge(base, over *block) *block {
	said := map[string]bool{}
	for _, a := range over.body.attrs {
		said[a.name] = true
	}
	for _, b := range over.body.blocks {
		said[b.makes()] = true
	}
	out := &body{}
	for _, a := range base.body.attrs {
		if !said[a.name] {
			out.attrs = append(out.attrs, a)
		}
	}
	for _, b := range base.body.blocks {
		if !said[b.makes()] {
			out.blocks = append(out.blocks, b)
		}
	}
	out.attrs = append(out.attrs, over.body.attrs...)
	out.blocks = append(out.blocks, over.body.blocks...)
	return &block{kind: base.kind, labels: base.labels, at: base.at, body: out}
}

// makes is the type of the blocks that a block is or makes.
func (b *block) makes() string {
	if b.kind == "dynamic" && len(b.labels) == 1 {
		return b.labels[0]
	}
	return b.kind
}
