package rules

import (
	"encoding/json"
	"fmt"
	"regexp/syntax"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"github.com/stint-dev/stint/internal/config"
)

const (
	// maxCost bounds what one evaluation may cost, in CEL's units: far more
	// than a sane condition takes, and far below what a job would notice.
	maxCost = 100_000
	// maxExpression bounds an expression's text, in bytes.
	maxExpression = 4096
	// maxMistakes bounds how many mistakes of one expression are told: most
	// follow from the first.
	maxMistakes = 10
)

// expression is a compiled condition. It never changes.
type expression struct {
	source  string
	program cel.Program
}

// expressions compiles conditions.
type expressions struct{ env *cel.Env }

// newExpressions declares what conditions see. Claims are texts, as match sees
// them, so that comparing a claim with a number is a mistake that is found when
// the file is loaded.
func newExpressions() (*expressions, error) {
	env, err := cel.NewEnv(
		cel.Variable("claims", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("token", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("request", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("now", cel.TimestampType),
		ext.Strings(),
	)
	if err != nil {
		return nil, err
	}
	return &expressions{env}, nil
}

// compile parses and type-checks a condition. Mistakes carry their place.
func (x *expressions) compile(cfg *config.Config, problems *config.Problems, t config.Text, path string) *expression {
	if len(t.Value) > maxExpression {
		problems.Add(cfg, t.Pos, path, "", "the expression is longer than %d bytes", maxExpression)
		return nil
	}
	checked, issues := x.env.Compile(t.Value)
	if issues != nil && issues.Err() != nil {
		errs := issues.Errors()
		for _, e := range errs[:min(len(errs), maxMistakes)] {
			at := cfg.Locate(t, e.Location.Line(), e.Location.Column()+1)
			problems.Add(cfg, at, path, celHint(e.Message), "%s", e.Message)
		}
		return nil
	}
	if checked.OutputType() != cel.BoolType {
		problems.Add(cfg, t.Pos, path, `compare it, as in claims.actor_id != "7"`, "expected an expression that is true or false, found one that is a %s", checked.OutputType())
		return nil
	}
	if bad := unanchored(checked.NativeRep()); len(bad) > 0 {
		for _, m := range bad[:min(len(bad), maxMistakes)] {
			problems.Add(cfg, cfg.Locate(t, m.line, m.column), path, "anchor the pattern as ^(?:...)$, or use match with *", "%s", m.problem)
		}
		return nil
	}
	program, err := x.env.Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		problems.Add(cfg, t.Pos, path, "", "%s", err)
		return nil
	}
	return &expression{t.Value, program}
}

func celHint(message string) string {
	switch {
	case strings.Contains(message, "undeclared reference"):
		return "an expression sees claims, token, request and now: write claims.NAME"
	case strings.Contains(message, "no matching overload"):
		return `claims are texts: compare them with a quoted text, or convert them with int(claims.NAME)`
	}
	return ""
}

// unanchored refuses patterns that match in the middle of a value. CEL's
// matches finds its pattern anywhere, so "main" lets "not-main-at-all" in, and
// a pattern out of a claim is written by whoever wrote the claim.
func unanchored(tree *ast.AST) []mistake {
	var found []mistake
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "matches" {
			return
		}
		args := e.AsCall().Args()
		pattern := args[len(args)-1]
		text, ok := "", pattern.Kind() == ast.LiteralKind
		if ok {
			text, ok = pattern.AsLiteral().Value().(string)
		}
		var problem string
		if !ok {
			problem = "matches takes a pattern that is written out"
		} else if whole, err := anchored(text); err != nil {
			problem = fmt.Sprintf("the pattern %q is no regular expression: %s", text, err)
		} else if !whole {
			problem = fmt.Sprintf("the pattern %q can match in the middle of a value", text)
		} else {
			return
		}
		for pattern.Kind() == ast.SelectKind { // stands at its dot
			pattern = pattern.AsSelect().Operand()
		}
		at := tree.SourceInfo().GetStartLocation(pattern.ID())
		found = append(found, mistake{at.Line(), at.Column() + 1, problem})
	}))
	return found
}

// mistake is one in an expression, at its line and column from 1.
type mistake struct {
	line, column int
	problem      string
}

// anchored reports whether a pattern matches whole texts only, in each of its
// branches: ^a|b$ does not.
func anchored(pattern string) (bool, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return false, err
	}
	return begins(re, syntax.OpBeginText) && ends(re, syntax.OpEndText), nil
}

func begins(re *syntax.Regexp, op syntax.Op) bool {
	return at(re, op, func(subs []*syntax.Regexp) *syntax.Regexp { return subs[0] })
}

func ends(re *syntax.Regexp, op syntax.Op) bool {
	return at(re, op, func(subs []*syntax.Regexp) *syntax.Regexp { return subs[len(subs)-1] })
}

func at(re *syntax.Regexp, op syntax.Op, pick func([]*syntax.Regexp) *syntax.Regexp) bool {
	switch re.Op {
	case op:
		return true
	case syntax.OpConcat, syntax.OpCapture:
		return len(re.Sub) > 0 && at(pick(re.Sub), op, pick)
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !at(sub, op, pick) {
				return false
			}
		}
		return true
	}
	return false
}

// when evaluates a rule's condition. One that fails, for want of a claim for
// example, keeps an allow rule from matching and lets a deny rule match: what
// cannot be judged is not let in.
func (e *evaluation) when(r *rule) *Miss {
	if e.input == nil {
		e.input = map[string]any{
			"claims":  e.claims.Texts(),
			"token":   native(e.claims.Signed()),
			"request": map[string]string{"role": e.req.Role, "audience": e.req.Audience},
			"now":     e.req.Time,
		}
	}
	out, _, err := r.when.program.Eval(e.input)
	switch {
	case err == nil && out == types.True:
		return nil
	case err == nil && out == types.False:
		return &Miss{Expected: []string{r.when.source}, Detail: "its condition does not hold: " + short(r.when.source)}
	case err == nil:
		err = fmt.Errorf("expected true or false, found %v", out)
	}
	failed := fmt.Sprintf("its condition could not be evaluated: %s (for a claim that may be absent write has(claims.NAME) && ...)", short(err.Error()))
	if r.effect == Deny {
		e.failed[r] = failed
		return nil
	}
	return &Miss{Expected: []string{r.when.source}, Detail: failed}
}

// native turns numbers into what CEL knows.
func native(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = native(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = native(v[k])
		}
		return out
	}
	return v
}
