package cognito

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/source"
)

// Merge adds the pools, and the issuers that they need, to the text of a
// configuration, of which every other byte stays as it is. The error of what the
// broker would not take is config.Problems.
//
// i must be of an Import whose Options.Known were the issuers of that file.
func (i *Imported) Merge(name string, data []byte) ([]byte, error) {
	before, err := config.Parse(name, data)
	if err != nil {
		return nil, err
	}
	if !i.Complete() {
		return nil, fmt.Errorf("not all of the pools is known")
	}
	for _, p := range i.Pools {
		for _, old := range before.Pools {
			if old.ID == p.ID {
				return nil, fmt.Errorf("%s:%d:%d: the pool %s stands there already; take it out first", name, old.Pos.Line, old.Pos.Column, p.ID)
			}
			if old.Name == p.Name && p.Name != "" {
				return nil, fmt.Errorf("%s:%d:%d: another pool of the name %s stands there already; rename it first", name, old.Pos.Line, old.Pos.Column, p.Name)
			}
		}
	}
	for _, issuer := range i.Issuers {
		if issuer.Shared || len(issuer.Audiences) == 0 {
			return nil, fmt.Errorf("%s does not trust %s yet, and the files do not tell all that it needs: add it under issuers: first", name, issuer.URL)
		}
	}
	out := data
	if len(i.Issuers) > 0 {
		out, err = insert(name, out, "issuers", func(b *bytes.Buffer, indent string) {
			for _, issuer := range i.Issuers {
				writeIssuer(b, issuer, indent)
			}
		})
	}
	if err == nil && len(i.Pools) > 0 {
		out, err = insert(name, out, "pools", func(b *bytes.Buffer, indent string) {
			for j := range i.Pools {
				writePool(b, &i.Pools[j], indent)
			}
		})
	}
	if err != nil {
		return nil, err
	}
	after, err := config.Parse(name, out)
	if err != nil {
		return nil, fmt.Errorf("checking the merged file: %w", err)
	}
	if len(after.Pools) != len(before.Pools)+len(i.Pools) || len(after.Issuers) != len(before.Issuers)+len(i.Issuers) || len(after.Rules) != len(before.Rules) {
		return nil, fmt.Errorf("%s: the pools cannot be added to it; add what 'stint import cognito' writes without --merge by hand", name)
	}
	return out, nil
}

// insert writes entries at the end of a key of the file, or the key too.
func insert(name string, data []byte, key string, write func(b *bytes.Buffer, indent string)) ([]byte, error) {
	docs, err := source.ParseYAML(name, data, nil)
	if err != nil {
		return nil, err
	}
	docs = slices.DeleteFunc(docs, func(n *source.Node) bool { return n.Kind != source.KindMap })
	if len(docs) != 1 || len(docs[0].Fields) == 0 {
		return nil, fmt.Errorf("%s: expected one mapping", name)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	fields := docs[0].Fields
	at, indent, isNew := len(lines), "  ", true
	for j, f := range fields {
		if f.Name != key {
			continue
		}
		if isNew = false; j+1 < len(fields) {
			at = fields[j+1].Key.Position.Line - 1
		}
		// Within brackets there is no line to add to.
		line, v := f.Key.Position.Line, f.Value
		first := v.Position
		if len(v.Fields) > 0 {
			first = v.Fields[0].Key.Position
		}
		if first.Line <= line || first.Line > len(lines) {
			return nil, fmt.Errorf("%s:%d:%d: expected the %s on lines of their own, to which others can be added", name, line, f.Key.Position.Column, key)
		}
		text := string(lines[first.Line-1])
		rest := strings.TrimLeft(text, " ")
		indent = text[:len(text)-len(rest)]
		if v.Kind == source.KindList && !strings.HasPrefix(rest, "-") || v.Kind == source.KindMap && strings.HasPrefix(rest, "{") {
			return nil, fmt.Errorf("%s:%d:%d: expected the %s on lines of their own, to which others can be added", name, line, f.Key.Position.Column, key)
		}
	}
	if fields[0].Key.Position.Column != 1 {
		return nil, fmt.Errorf("%s:%d:%d: expected the keys at the beginning of their lines", name, fields[0].Key.Position.Line, fields[0].Key.Position.Column)
	}
	// Comments and empty lines belong to what follows them.
	for !isNew && at > 0 {
		s := bytes.TrimRight(lines[at-1], " \r\n")
		if len(s) > 0 && s[0] != '#' {
			break
		}
		at--
	}
	var b bytes.Buffer
	b.Write(bytes.Join(lines[:at], nil))
	if b.Len() > 0 && !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteByte('\n')
	}
	if isNew {
		fmt.Fprintf(&b, "\n%s:\n", key)
	}
	write(&b, indent)
	b.Write(bytes.Join(lines[at:], nil))
	return b.Bytes(), nil
}
