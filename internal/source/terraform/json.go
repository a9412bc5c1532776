package terraform

import (
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/stint-dev/stint/internal/source"
)

// json reads a .tf.json file. Blocks within resources become arguments of the
// same shape; templates stand in strings.
func (e *evaluator) json(c *config, name string, data []byte) {
	if err := e.open(name, data); err != nil {
		e.report(err)
		return
	}
	values, err := source.ParseJSON(name, data)
	if err != nil {
		e.report(err.(*source.Error))
		return
	}
	for _, root := range values {
		for _, f := range root.Fields {
			for _, labels := range f.Value.List() {
				e.jsonBlocks(c, f.Name, labels)
			}
		}
	}
}

func (e *evaluator) jsonBlocks(c *config, kind string, n *source.Node) {
	if kind == "locals" {
		c.add(&body{blocks: []*block{e.jsonBlock(kind, nil, n)}})
		return
	}
	for _, f := range n.Fields {
		for _, b := range f.Value.List() {
			if kind != "resource" && kind != "data" {
				c.add(&body{blocks: []*block{e.jsonBlock(kind, []string{f.Name}, b)}})
				continue
			}
			for _, named := range b.Fields {
				for _, one := range named.Value.List() {
					c.add(&body{blocks: []*block{e.jsonBlock(kind, []string{f.Name, named.Name}, one)}})
				}
			}
		}
	}
}

func (e *evaluator) jsonBlock(kind string, labels []string, n *source.Node) *block {
	b := &block{kind: kind, labels: labels, at: e.jsonRange(n.Position), body: &body{}}
	for _, f := range n.Fields {
		if f.Name == "//" { // a comment
			continue
		}
		if f.Name == "dynamic" && (kind == "resource" || kind == "data") {
			for _, made := range f.Value.Fields {
				b.body.blocks = append(b.body.blocks, e.jsonDynamic(made.Name, made.Key.Position))
			}
			continue
		}
		b.body.attrs = append(b.body.attrs, &attr{name: f.Name, at: e.jsonRange(f.Key.Position), expr: e.jsonExpression(f.Value, kind == "variable")})
	}
	return b
}

// jsonDynamic is a dynamic block of which it is not known what it makes.
func (e *evaluator) jsonDynamic(name string, at source.Position) *block {
	what := &source.Node{Kind: source.KindString, Position: at, Text: source.Literal("${dynamic." + name + "}")}
	return &block{kind: "dynamic", labels: []string{name}, at: e.jsonRange(at), body: &body{
		attrs:  []*attr{{name: "for_each", at: e.jsonRange(at), expr: e.jsonExpression(what, false)}},
		blocks: []*block{{kind: "content", at: e.jsonRange(at), body: &body{}}},
	}}
}

// jsonRange stands for a place of a JSON file.
func (e *evaluator) jsonRange(at source.Position) hcl.Range {
	return e.virtual("", at)
}

// virtual makes a text that stands at one place known as a file of its own.
func (e *evaluator) virtual(text string, at source.Position) hcl.Range {
	e.extra++
	name := at.File + "\x00" + strconv.Itoa(e.extra)
	e.files[name] = &file{lines: source.NewLines(at.File, nil), data: []byte(text), fixed: &at}
	start := hcl.Pos{Line: 1, Column: 1}
	return hcl.Range{Filename: name, Start: start, End: hcl.Pos{Line: 1, Column: 1, Byte: len(text)}}
}

// jsonExpression is a JSON value as an expression. Strings are templates, but
// in a variable they are what they are.
func (e *evaluator) jsonExpression(n *source.Node, plain bool) hclsyntax.Expression {
	text, _ := n.Text.Known()
	r := e.virtual(text, n.Position)
	switch n.Kind {
	case source.KindString:
		if !plain {
			if x := e.parseTemplate(text, n.Position); x != nil {
				return x
			}
		}
		return &hclsyntax.LiteralValueExpr{Val: cty.StringVal(text), SrcRange: r}
	case source.KindBool:
		return &hclsyntax.LiteralValueExpr{Val: cty.BoolVal(text == "true"), SrcRange: r}
	case source.KindNumber:
		if v, err := cty.ParseNumberVal(text); err == nil && len(text) < 64 {
			return &hclsyntax.LiteralValueExpr{Val: v, SrcRange: r}
		}
	case source.KindList:
		out := &hclsyntax.TupleConsExpr{SrcRange: r}
		for _, i := range n.Items {
			out.Exprs = append(out.Exprs, e.jsonExpression(i, plain))
		}
		return out
	case source.KindMap:
		out := &hclsyntax.ObjectConsExpr{SrcRange: r}
		for _, f := range n.Fields {
			key := source.Node{Kind: source.KindString, Text: f.Key, Position: f.Key.Position}
			out.Items = append(out.Items, hclsyntax.ObjectConsItem{KeyExpr: e.jsonExpression(&key, plain), ValueExpr: e.jsonExpression(f.Value, plain)})
		}
		return out
	}
	return &hclsyntax.LiteralValueExpr{Val: cty.NullVal(cty.DynamicPseudoType), SrcRange: r}
}

// parseTemplate parses a text in which templates stand; nil, and a mistake
// noted, if it cannot be.
func (e *evaluator) parseTemplate(text string, at source.Position) (x hclsyntax.Expression) {
	r := e.virtual(text, at)
	defer func() {
		if p := recover(); p != nil {
			e.fail(at, "not a template: the parser gave up: %.200v", p)
			x = nil
		}
	}()
	tokens, _ := hclsyntax.LexTemplate([]byte(text), r.Filename, r.Start)
	if _, what := tooDeep(tokens); what != "" {
		e.fail(at, "%s", what)
		return nil
	}
	x, diags := hclsyntax.ParseTemplate([]byte(text), r.Filename, r.Start)
	if err := e.diagnostic(at.File, diags); err != nil {
		err.Position = at
		e.report(err)
		return nil
	}
	return x
}
