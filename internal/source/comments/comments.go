// Package comments finds the comments of Terraform and YAML files. Text that
// looks like a comment inside a string or a heredoc is none.
package comments

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/stint-dev/stint/internal/source"
)

// MaxFile is the size of the largest file that is looked at, in bytes.
const MaxFile = 1 << 20

// Read is the comments of a file, in its order. The name says the language:
// .tf, .tfvars and .hcl are HCL, .json has no comments, anything else is YAML
// unless its content is JSON. It is empty for a file that is too large or not
// UTF-8: what cannot be read silences nothing.
func Read(file string, data []byte) []source.Comment {
	if len(data) > MaxFile || !utf8.Valid(data) {
		return nil
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".tf", ".tfvars", ".hcl":
		return terraform(file, data)
	case ".json":
		return nil
	}
	if json.Valid(data) {
		return nil
	}
	return yaml(file, data)
}

func terraform(file string, data []byte) []source.Comment {
	// Mistakes are the reader's to report; the lexer goes on behind them.
	tokens, _ := hclsyntax.LexConfig(data, file, hcl.InitialPos)
	lines := source.NewLines(file, data)
	var out []source.Comment
	for _, t := range tokens {
		if t.Type != hclsyntax.TokenComment {
			continue
		}
		raw := string(t.Bytes)
		text := strings.TrimRight(raw, "\r\n")
		end := t.Range.Start.Byte + len(text)
		c := source.Comment{Position: lines.At(t.Range.Start.Byte), EndLine: lines.At(end).Line}
		switch {
		case strings.HasPrefix(text, "/*"):
			c.Text = strings.TrimSuffix(text[2:], "*/")
		case strings.HasPrefix(text, "//"):
			c.Text = text[2:]
		default:
			c.Text = strings.TrimPrefix(text, "#")
		}
		c.Text = strings.TrimSpace(c.Text)
		before, after := data[:t.Range.Start.Byte], data[end:]
		before = before[bytes.LastIndexByte(before, '\n')+1:]
		if i := bytes.IndexByte(after, '\n'); i >= 0 {
			after = after[:i]
		}
		c.Alone = len(bytes.TrimSpace(before)) == 0 && len(bytes.TrimSpace(after)) == 0
		out = append(out, c)
	}
	return out
}

func yaml(file string, data []byte) []source.Comment {
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	lines := strings.Split(text, "\n")
	var out []source.Comment
	for _, t := range lexer.Tokenize(text) {
		if t.Type != token.CommentType || t.Position == nil || t.Position.Line < 1 || t.Position.Line > len(lines) {
			continue
		}
		// The comment must stand in its line as the lexer says it does.
		line := lines[t.Position.Line-1]
		before, ok := strings.CutSuffix(strings.TrimRight(line, " \t\r"), strings.TrimRight("#"+t.Value, " \t\r"))
		if !ok {
			continue
		}
		out = append(out, source.Comment{
			Text:     strings.TrimSpace(t.Value),
			Position: source.Position{File: file, Line: t.Position.Line, Column: utf8.RuneCountInString(before) + 1},
			EndLine:  t.Position.Line,
			Alone:    strings.TrimSpace(before) == "",
		})
	}
	return out
}
