// Package terraform reads Terraform folders, and the plans and states that
// `terraform show -json` prints, into resources whose arguments are resolved as
// far as the files themselves tell.
//
// What a deployment decides stays unknown: variables without a default,
// attributes that a provider computes, data sources other than
// aws_iam_policy_document, remote modules and functions that read anything. A
// variable with a default, or with a value in terraform.tfvars or
// *.auto.tfvars, has that value.
package terraform

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

// The bounds of what is read.
const (
	maxSteps     = 2_000_000 // values that are resolved, over all folders
	maxDepth     = 150       // expressions within expressions
	maxBrackets  = 250       // open at once, in a file
	maxText      = 1 << 20   // bytes of one text
	maxItems     = 10_000    // of one list or loop
	maxInstances = 1000      // of one resource or module
	maxModules   = 1000      // calls, over all folders
	maxNesting   = 20        // modules within modules
	maxErrs      = 50
)

// Module is what one folder makes, with the modules that it calls.
type Module struct {
	Folder    string
	Resources []source.Resource // data sources too, with data. before their type
}

// Parse reads folders of Terraform files: by the folder's path, the files' names
// with their content. Names in positions are joined with the folder's. Modules
// are the folders that none of the others calls. Mistakes are *source.Error;
// files with mistakes are left out and the others read nevertheless.
func Parse(folders map[string]map[string][]byte) (modules []Module, errs []error) {
	p := &program{folders: map[string]*folder{}}
	for dir, files := range folders {
		p.folders[path.Clean(dir)] = p.read(dir, files)
	}
	called := map[string]bool{}
	for dir, f := range p.folders {
		for _, b := range f.calls {
			if child, ok := p.child(dir, b); ok && child != dir {
				called[child] = true
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(p.folders)) {
		if called[dir] {
			continue
		}
		m := p.module(dir, "", nil, nil)
		modules = append(modules, Module{Folder: dir, Resources: m.resources()})
	}
	slices.SortStableFunc(p.errs, func(a, b *source.Error) int {
		return cmp.Or(cmp.Compare(a.Position.File, b.Position.File), cmp.Compare(a.Position.Line, b.Position.Line))
	})
	for _, e := range p.errs {
		errs = append(errs, e)
	}
	return modules, errs
}

// program is everything that is read at once.
type program struct {
	folders map[string]*folder
	steps   int
	called  int
	full    bool
	errs    []*source.Error
}

func (p *program) fail(at source.Position, format string, args ...any) {
	e := &source.Error{Position: at, Message: fmt.Sprintf(format, args...)}
	if len(p.errs) < maxErrs && !slices.ContainsFunc(p.errs, func(o *source.Error) bool { return o.Position == e.Position && o.Message == e.Message }) {
		p.errs = append(p.errs, e)
	}
}

// step counts a value, and reports whether there may be more.
func (p *program) step(at source.Position) bool {
	if p.steps++; p.steps <= maxSteps {
		return true
	}
	if !p.full {
		p.full = true
		p.fail(at, "the files are too large with all their expressions resolved")
	}
	return false
}

// folder is the syntax of a folder's files.
type folder struct {
	variables map[string]*hclsyntax.Block
	values    map[string]hclsyntax.Expression // of *.tfvars
	locals    map[string]hclsyntax.Expression
	outputs   map[string]hclsyntax.Expression
	calls     map[string]*hclsyntax.Block
	blocks    map[string]*hclsyntax.Block // resources and data sources by address
	order     []string                    // of blocks
	files     map[string]*file            // by the name that ranges have
}

type file struct {
	name  string
	data  []byte
	lines *source.Lines
}

func (p *program) read(dir string, files map[string][]byte) *folder {
	f := &folder{
		variables: map[string]*hclsyntax.Block{}, values: map[string]hclsyntax.Expression{}, locals: map[string]hclsyntax.Expression{},
		outputs: map[string]hclsyntax.Expression{}, calls: map[string]*hclsyntax.Block{}, blocks: map[string]*hclsyntax.Block{}, files: map[string]*file{},
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		full := name
		if dir != "." && dir != "" && !strings.HasPrefix(name, dir) {
			full = path.Join(dir, name)
		}
		if strings.HasSuffix(name, ".tf.json") {
			p.fail(source.Position{File: full}, "Terraform in its JSON syntax is not read; give what `terraform show -json` prints of a plan")
			continue
		}
		body := p.parse(full, files[name], f)
		switch {
		case body == nil:
		case strings.HasSuffix(name, ".tfvars"):
			for key, a := range body.Attributes {
				f.values[key] = a.Expr
			}
		default:
			p.collect(f, body)
		}
	}
	return f
}

func (p *program) parse(name string, data []byte, f *folder) *hclsyntax.Body {
	if err := source.CheckUTF8(name, data); err != nil {
		p.errs = append(p.errs, err.(*source.Error))
		return nil
	}
	entry := &file{name: name, data: data, lines: source.NewLines(name, data)}
	f.files[name] = entry
	if at, deep := nested(data, name); deep {
		p.fail(entry.lines.At(at), "expected at most %d brackets open at once", maxBrackets)
		return nil
	}
	parsed, diags := hclsyntax.ParseConfig(data, name, hcl.InitialPos)
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		at := source.Position{File: name, Line: 1, Column: 1}
		if d.Subject != nil {
			at = entry.lines.At(d.Subject.Start.Byte)
		}
		p.fail(at, "%s: %s", d.Summary, strings.ReplaceAll(d.Detail, "\n", " "))
	}
	if diags.HasErrors() || parsed == nil {
		return nil
	}
	body, _ := parsed.Body.(*hclsyntax.Body)
	return body
}

// nested finds the place at which too many brackets are open. The parser
// recurses at each.
func nested(data []byte, name string) (at int, deep bool) {
	tokens, _ := hclsyntax.LexConfig(data, name, hcl.InitialPos)
	open := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote:
			open++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote:
			open--
		}
		if open > maxBrackets {
			return t.Range.Start.Byte, true
		}
	}
	return 0, false
}

// collect sorts a file's blocks by what they are.
func (p *program) collect(f *folder, body *hclsyntax.Body) {
	for _, b := range body.Blocks {
		switch {
		case b.Type == "locals":
			for name, a := range b.Body.Attributes {
				f.locals[name] = a.Expr
			}
		case b.Type == "variable" && len(b.Labels) == 1:
			f.variables[b.Labels[0]] = b
		case b.Type == "output" && len(b.Labels) == 1:
			if a, ok := b.Body.Attributes["value"]; ok {
				f.outputs[b.Labels[0]] = a.Expr
			}
		case b.Type == "module" && len(b.Labels) == 1:
			f.calls[b.Labels[0]] = b
		case (b.Type == "resource" || b.Type == "data") && len(b.Labels) == 2:
			address := b.Labels[0] + "." + b.Labels[1]
			if b.Type == "data" {
				address = "data." + address
			}
			if _, twice := f.blocks[address]; twice {
				p.fail(f.place(b.DefRange()), "%s stands twice", address)
				continue
			}
			f.blocks[address] = b
			f.order = append(f.order, address)
		}
	}
}

// place is where a range begins.
func (f *folder) place(r hcl.Range) source.Position {
	if entry, ok := f.files[r.Filename]; ok {
		return entry.lines.At(r.Start.Byte)
	}
	return source.Position{File: r.Filename, Line: max(r.Start.Line, 1), Column: max(r.Start.Column, 1)}
}

// written is the text of a range, shortened.
func (f *folder) written(r hcl.Range) string {
	entry, ok := f.files[r.Filename]
	if !ok || r.Start.Byte > r.End.Byte || r.End.Byte > len(entry.data) {
		return "..."
	}
	s := strings.Join(strings.Fields(string(entry.data[r.Start.Byte:r.End.Byte])), " ")
	if runes := []rune(s); len(runes) > 100 {
		s = string(runes[:100]) + "..."
	}
	return s
}

// child is the folder that a module block calls, if it is one of ours.
func (p *program) child(dir string, b *hclsyntax.Block) (string, bool) {
	a, ok := b.Body.Attributes["source"]
	if !ok {
		return "", false
	}
	t, ok := a.Expr.(*hclsyntax.TemplateExpr)
	if !ok || len(t.Parts) != 1 {
		return "", false
	}
	v, ok := t.Parts[0].(*hclsyntax.LiteralValueExpr)
	if !ok {
		return "", false
	}
	s := v.Val.AsString()
	if !strings.HasPrefix(s, "./") && !strings.HasPrefix(s, "../") {
		return "", false
	}
	child := path.Join(dir, s)
	_, ok = p.folders[child]
	return child, ok
}
