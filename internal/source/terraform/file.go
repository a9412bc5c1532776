package terraform

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

// file is a file, or the text of a string of one in which expressions stand.
type file struct {
	lines *source.Lines
	data  []byte
	fixed *source.Position // of everything in it, where bytes tell nothing
}

// config is what the files of a folder say, before anything is evaluated.
type config struct {
	variables map[string]*block
	locals    map[string]*attr
	resources []*block // with the labels type and name
	calls     []*block
	outputs   map[string]*attr
	values    map[string]*attr  // of variables, from .tfvars
	files     map[string][]byte // all, by path from the folder
	// overriding says that what is added now is of an override file.
	overriding bool
}

type body struct {
	attrs  []*attr
	blocks []*block
}

func (b *body) attr(name string) *attr {
	for _, a := range b.attrs {
		if a.name == name {
			return a
		}
	}
	return nil
}

type attr struct {
	name string
	at   hcl.Range
	expr hclsyntax.Expression
}

type block struct {
	kind   string
	labels []string
	at     hcl.Range
	body   *body
}

// parse reads the files of a folder.
func (e *evaluator) parse(files map[string][]byte) *config {
	c := &config{
		variables: map[string]*block{}, locals: map[string]*attr{}, outputs: map[string]*attr{},
		values: map[string]*attr{}, files: map[string][]byte{},
	}
	var vars, auto []string
	names := slices.Sorted(maps.Keys(files))
	slices.SortStableFunc(names, func(a, b string) int { return order(isOverride(a)) - order(isOverride(b)) })
	for _, name := range names {
		c.overriding = isOverride(name)
		data, base := files[name], filepath.Base(name)
		c.files[base] = data
		lower := strings.ToLower(base)
		switch {
		case strings.HasSuffix(lower, ".tf.json"):
			e.json(c, name, data)
		case strings.HasSuffix(base, ".auto.tfvars"):
			auto = append(auto, name)
		case base == "terraform.tfvars":
			vars = append(vars, name)
		case strings.HasSuffix(lower, ".tf"):
			if b := e.read(name, data); b != nil {
				c.add(b)
			}
		}
	}
	for _, name := range append(vars, auto...) {
		if b := e.read(name, files[name]); b != nil {
			for _, a := range b.attrs {
				c.values[a.name] = a
			}
		}
	}
	return c
}

func order(last bool) int {
	if last {
		return 1
	}
	return 0
}

// add takes the blocks of a file.
func (c *config) add(b *body) {
	for _, bl := range b.blocks {
		switch n := len(bl.labels); {
		case bl.kind == "locals":
			for _, a := range bl.body.attrs {
				c.locals[a.name] = a
			}
		case (bl.kind == "resource" || bl.kind == "data") && n == 2:
			c.resources = c.put(c.resources, bl)
		case bl.kind == "variable" && n == 1:
			if base := c.variables[bl.labels[0]]; base != nil && c.overriding {
				bl = merge(base, bl)
			}
			c.variables[bl.labels[0]] = bl
		case bl.kind == "module" && n == 1:
			c.calls = c.put(c.calls, bl)
		case bl.kind == "output" && n == 1:
			if a := bl.body.attr("value"); a != nil {
				c.outputs[bl.labels[0]] = a
			}
		}
	}
}

// read parses a file; nil if it cannot be.
func (e *evaluator) read(name string, data []byte) *body {
	if err := e.open(name, data); err != nil {
		e.report(err)
		return nil
	}
	f, err := e.syntax(name, data)
	if err != nil {
		e.report(err)
		return nil
	}
	return bodyOf(f.Body.(*hclsyntax.Body))
}

// open checks what holds for every file.
func (e *evaluator) open(name string, data []byte) *source.Error {
	if len(data) > MaxFile {
		return &source.Error{Position: source.Position{File: name}, Message: fmt.Sprintf("expected a Terraform file of at most %d bytes, found %d", MaxFile, len(data))}
	}
	if err := source.CheckUTF8(name, data); err != nil {
		return err.(*source.Error)
	}
	f := &file{lines: source.NewLines(name, data), data: data}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return &source.Error{Position: f.lines.At(i), Message: "found a NUL byte, expected text"}
	}
	e.files[name] = f
	return nil
}

// syntax parses HCL. Its parser recurses, so nesting is bounded before; and it
// is not ours: should it panic on a file, that file is refused and the others
// are still read.
func (e *evaluator) syntax(name string, data []byte) (f *hcl.File, err *source.Error) {
	defer func() {
		if p := recover(); p != nil {
			err = &source.Error{Position: source.Position{File: name}, Message: fmt.Sprintf("not Terraform: the parser gave up: %.200v", p)}
		}
	}()
	start := hcl.Pos{Line: 1, Column: 1}
	tokens, _ := hclsyntax.LexConfig(data, name, start)
	if at, what := tooDeep(tokens); what != "" {
		return nil, &source.Error{Position: e.position(at), Message: what}
	}
	f, diags := hclsyntax.ParseConfig(data, name, start)
	return f, e.diagnostic(name, diags)
}

// diagnostic is the first error of a parser, or nil.
func (e *evaluator) diagnostic(name string, diags hcl.Diagnostics) *source.Error {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		at := source.Position{File: name, Line: 1, Column: 1}
		if d.Subject != nil {
			at = e.position(*d.Subject)
		}
		return &source.Error{Position: at, Message: fmt.Sprintf("not Terraform: %s: %s", d.Summary, d.Detail), Err: d}
	}
	return nil
}

// bodyOf takes a parsed body in the order of its file.
func bodyOf(b *hclsyntax.Body) *body {
	out := &body{}
	for _, a := range b.Attributes {
		out.attrs = append(out.attrs, &attr{name: a.Name, at: a.NameRange, expr: a.Expr})
	}
	slices.SortFunc(out.attrs, func(a, b *attr) int { return cmp.Compare(a.at.Start.Byte, b.at.Start.Byte) })
	for _, bl := range b.Blocks {
		out.blocks = append(out.blocks, &block{kind: bl.Type, labels: bl.Labels, at: bl.TypeRange, body: bodyOf(bl.Body)})
	}
	return out
}

const (
	maxBrackets  = 64  // within one another
	maxOperators = 256 // of one expression
)

// tooDeep finds nesting that would exhaust the stack of a parser that recurses:
// brackets, templates, and operators that take one another as operands.
func tooDeep(tokens hclsyntax.Tokens) (hcl.Range, string) {
	type level struct {
		lines     bool // a line's end ends an expression
		operators int
		controls  int // %{ if } and %{ for }, which nest without brackets
	}
	levels := []level{{lines: true}}
	for _, t := range tokens {
		top := &levels[len(levels)-1]
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			if len(levels) > maxBrackets {
				return t.Range, fmt.Sprintf("nested deeper than %d levels", maxBrackets)
			}
			// a[0][0]... takes what stands before as its operand.
			top.operators++
			if t.Type == hclsyntax.TokenTemplateControl {
				if top.controls++; top.controls > maxOperators {
					return t.Range, fmt.Sprintf("expected at most %d directives in one template", maxOperators)
				}
			}
			levels = append(levels, level{lines: t.Type == hclsyntax.TokenOBrace})
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc,
			hclsyntax.TokenTemplateSeqEnd:
			if len(levels) > 1 {
				levels = levels[:len(levels)-1]
			}
		case hclsyntax.TokenComma:
			top.operators = 0
		case hclsyntax.TokenNewline:
			if top.lines {
				top.operators = 0
			}
		case hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit:
			top.operators = 0 // between two templates of one string
		case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion, hclsyntax.TokenPlus, hclsyntax.TokenStar,
			hclsyntax.TokenSlash, hclsyntax.TokenPercent, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenEqualOp,
			hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq:
			top.operators++
		}
		if top := &levels[len(levels)-1]; top.operators > maxOperators {
			return t.Range, fmt.Sprintf("expected at most %d operators in one expression", maxOperators)
		}
	}
	return hcl.Range{}, ""
}
