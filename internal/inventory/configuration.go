package inventory

import (
	"errors"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/source"
)

// config reads a stint.yaml.
func (r *reader) config(name string, data []byte) {
	r.ours(name)
	c, err := config.Parse(name, data)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			message := p.Message
			if p.Path != "" {
				message = p.Path + ": " + message
			}
			if p.Hint != "" {
				message += "; " + p.Hint
			}
			r.problem(&source.Error{Position: source.Position{File: name, Line: p.Pos.Line, Column: p.Pos.Column}, Message: message})
		}
		return
	case err != nil:
		r.problem(err)
		return
	}
	root := &source.Node{}
	if values, err := parseYAML(name, data); err == nil && len(values) > 0 {
		root = values[0]
	}
	r.inv.Configs = append(r.inv.Configs, Configuration{File: name, Config: c, Root: root})
}
