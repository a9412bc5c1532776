package inventory

import (
	"strings"

	"github.com/stint-dev/stint/internal/source"
)

// workflow reads a GitHub Actions workflow.
func (r *reader) workflow(name string, data []byte, named bool) {
	r.ours(name)
	values, err := parseYAML(name, data)
	if err != nil {
		r.problem(err)
		return
	}
	if len(values) == 0 || values[0].Kind != source.KindMap {
		if named {
			r.problem(&source.Error{Position: source.Position{File: name, Line: 1, Column: 1}, Message: "expected a workflow with on: and jobs:, found none"})
		}
		return
	}
	root := values[0]
	w := Workflow{Position: root.Position, Name: expression(scalar(root.Get("name")))}
	// A reader of YAML 1.1 takes the key on for the boolean true.
	on := root.Get("on")
	if on == nil {
		on = root.Get("true")
	}
	w.Triggers = triggers(on)
	inherited := permissions{token: source.No}
	for _, t := range w.Triggers {
		if t.Event == "workflow_call" {
			// What the caller's job has, the called workflow gets.
			inherited.token = source.Unknown
		}
	}
	if p := field(root, "permissions"); p != nil {
		inherited = readPermissions(p)
	}
	w.IDToken = inherited.token
	jobs := root.Get("jobs")
	if jobs == nil && named {
		r.wrong(root.Position, "expected a workflow with jobs:, found none")
	}
	if jobs != nil && r.expect(jobs, "jobs", source.KindMap) {
		for i := range jobs.Fields {
			w.Jobs = append(w.Jobs, r.job(&jobs.Fields[i], inherited))
		}
	}
	r.inv.Workflows = append(r.inv.Workflows, w)
}

// triggers reads on: an event, a list of them, or an object by event.
func triggers(n *source.Node) (out []Trigger) {
	if n == nil {
		return nil
	}
	if n.Kind == source.KindMap {
		for _, f := range n.Fields {
			out = append(out, Trigger{Event: f.Name, Position: f.Key.Position})
		}
		return out
	}
	for _, item := range n.List() {
		if event, known := scalar(item).Known(); known && event != "" {
			out = append(out, Trigger{Event: event, Position: item.Position})
		}
	}
	return out
}

// permissions are what a workflow or a job says of its token.
type permissions struct {
	token source.Truth
	at    source.Position
}

// readPermissions reads permissions:. Whatever is not given there is none.
func readPermissions(f *source.Field) permissions {
	p := permissions{token: source.No, at: f.Key.Position}
	n := f.Value
	switch n.Kind {
	case source.KindMap:
		if g := field(n, "id-token"); g != nil {
			p.at = g.Key.Position
			p.token = grantsWrite(g.Value, "write")
		} else if n.Open {
			p.token = source.Unknown
		}
	case source.KindUnknown:
		p.token = source.Unknown
	default:
		p.token = grantsWrite(n, "write-all")
	}
	return p
}

func grantsWrite(n *source.Node, word string) source.Truth {
	return expression(scalar(n)).Equals(word)
}

func field(n *source.Node, name string) *source.Field {
	if n == nil {
		return nil
	}
	for i := range n.Fields {
		if n.Fields[i].Name == name {
			return &n.Fields[i]
		}
	}
	return nil
}

func (r *reader) job(f *source.Field, inherited permissions) Job {
	n := f.Value
	p := inherited
	if own := field(n, "permissions"); own != nil {
		p = readPermissions(own)
	}
	j := Job{ID: f.Name, Position: f.Key.Position, IDToken: p.token, Permissions: p.at, Uses: expression(scalar(n.Get("uses")))}
	if n.Kind != source.KindMap {
		r.expect(n, "jobs."+f.Name, source.KindMap)
		return j
	}
	environment := n.Get("environment")
	if environment != nil && environment.Kind == source.KindMap {
		environment = environment.Get("name")
	}
	j.Environment = expression(scalar(environment))
	steps := n.Get("steps")
	if steps == nil || steps.Kind != source.KindList {
		return j
	}
	for _, s := range steps.Items {
		uses := strings.ToLower(scalar(s.Get("uses")).Prefix())
		if !strings.HasPrefix(uses, "aws-actions/configure-aws-credentials@") {
			continue
		}
		if role := s.Get("with").Get("role-to-assume"); role != nil {
			j.RolesToAssume = append(j.RolesToAssume, expression(scalar(role)))
		}
	}
	return j
}

// scalar is a value that is no list and no object.
func scalar(n *source.Node) source.Text {
	if n == nil || n.Kind == source.KindNull || n.Kind == source.KindList || n.Kind == source.KindMap {
		return source.Text{}
	}
	return n.Text
}

// expression is a text in which what GitHub evaluates when the job runs, such
// as ${{ inputs.role }}, is not known.
func expression(t source.Text) source.Text {
	text, known := t.Known()
	if !known || !strings.Contains(text, "${{") {
		return t
	}
	var parts []source.Text
	for text != "" {
		before, rest, found := strings.Cut(text, "${{")
		parts = append(parts, source.Literal(before))
		if !found {
			break
		}
		inner, after, _ := strings.Cut(rest, "}}")
		parts = append(parts, source.UnknownText("${{"+inner+"}}"))
		text = after
	}
	return source.Join(parts...).At(t.Position, t.Span)
}
