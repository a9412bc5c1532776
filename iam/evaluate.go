package iam

import (
	"slices"
	"strings"
)

// Decision is the verdict of a policy. The zero value denies.
type Decision int

// The verdicts. An explicit deny wins over every allow, in this policy and in
// any other; an implicit deny only says that this policy does not allow it.
const (
	ImplicitDeny Decision = iota
	ExplicitDeny
	Allow
)

func (d Decision) String() string {
	switch d {
	case Allow:
		return "Allow"
	case ExplicitDeny:
		return "ExplicitDeny"
	}
	return "ImplicitDeny"
}

// MarshalText writes the decision as String does.
func (d Decision) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Request is what a policy decides on.
type Request struct {
	Action   string // such as sts:AssumeRole, in any case
	Resource string // the ARN of what is acted on
	// Principal is who calls. The zero Principal is an anonymous caller.
	Principal Principal
	Context   Context
	// IdentityPolicy says that the policy is attached to the caller, as
	// identity-based policies, boundaries and session policies are: their
	// statements name no Principal and must name a Resource. The zero value
	// is a resource-based policy such as a role's trust policy, in which a
	// statement that allows must name a Principal.
	IdentityPolicy bool
}

// Result is a verdict with its reasons.
type Result struct {
	Decision   Decision          `json:"decision"`
	Action     string            `json:"action"`
	Note       string            `json:"note,omitempty"`
	Statements []StatementResult `json:"statements"`
}

// StatementResult says what became of one statement. Everything in it is
// evaluated, also what could no longer change whether the statement matched.
type StatementResult struct {
	Index            int    `json:"index"`
	Sid              string `json:"sid,omitempty"`
	Effect           Effect `json:"effect"`
	Matched          bool   `json:"matched"`
	PrincipalMatched bool   `json:"principalMatched"`
	// ByAccount says that the statement names the caller's account and not
	// the caller. That delegates: the caller's own policies must allow too.
	ByAccount       bool              `json:"byAccount,omitempty"`
	ActionMatched   bool              `json:"actionMatched"`
	ResourceMatched bool              `json:"resourceMatched"`
	Conditions      []ConditionResult `json:"conditions,omitempty"`
	// Silent says that AWS does not define how the Principal or the Resource
	// compares here, and that the reading was chosen that keeps the caller out.
	Silent   bool     `json:"silent,omitempty"`
	Note     string   `json:"note,omitempty"`
	Position Position `json:"position"`
}

// ConditionResult says what became of one condition key under one operator.
type ConditionResult struct {
	Operator string   `json:"operator"` // as written
	Key      string   `json:"key"`      // as written
	Written  []string `json:"written"`  // the values in the policy, as written
	Expected []string `json:"expected"` // the same after policy variables got their values
	Actual   []string `json:"actual"`   // the values in the request
	Present  bool     `json:"present"`  // the key is in the request
	Matched  bool     `json:"matched"`
	// Silent says that AWS does not define this case, and that the reading
	// was chosen that keeps the caller out. Note says what the case is.
	Silent   bool     `json:"silent,omitempty"`
	Note     string   `json:"note,omitempty"`
	Position Position `json:"position"`
}

// statement is a compiled Statement.
type statement struct {
	index        int
	source       *Statement
	effect       Effect
	principals   *principals
	notPrincipal bool
	actions      []string // compiled patterns in lower case
	notAction    bool
	resources    []operand
	notResource  bool
	conditions   []condition
}

func compileStatement(index int, s *Statement, variables bool) statement {
	own := *s // what the caller does to the exported view must not show in a trace
	own.Conditions = slices.Clone(s.Conditions)
	out := statement{index: index, source: &own, effect: s.Effect}
	switch {
	case s.Principal != nil:
		out.principals = compilePrincipals(s.Principal)
	case s.NotPrincipal != nil:
		out.principals, out.notPrincipal = compilePrincipals(s.NotPrincipal), true
	}
	actions := s.Action
	if s.NotAction != nil {
		actions, out.notAction = s.NotAction, true
	}
	for _, v := range actions {
		out.actions = append(out.actions, pattern(lowerASCII(v.Text)))
	}
	resources := s.Resource
	if s.NotResource != nil {
		resources, out.notResource = s.NotResource, true
	}
	for _, v := range resources {
		out.resources = append(out.resources, compileResource(v.Text, variables))
	}
	for i := range own.Conditions {
		c := &own.Conditions[i]
		c.Values = slices.Clone(c.Values)
		compiled := condition{
			op:        operators[c.Test],
			qualifier: c.Qualifier,
			ifExists:  c.IfExists,
			key:       foldKey(c.Key),
			operands:  make([]operand, 0, len(c.Values)),
		}
		for _, v := range c.Values {
			compiled.operands = append(compiled.operands, compileOperand(compiled.op.kind, v.Text, variables))
		}
		out.conditions = append(out.conditions, compiled)
	}
	return out
}

// compileResource allows variables after the fifth colon only, as AWS does: a
// tag must not choose the account.
func compileResource(s string, variables bool) operand {
	o := compileOperand(testARN, s, variables)
	colons := 0
	for i := range o.vars {
		part := &o.vars[i]
		colons += strings.Count(part.text, ":")
		if colons < 5 && part.key != "" {
			part.broken = true
		}
	}
	return o
}

// Decide returns the verdict alone: explicit deny, else allow, else implicit
// deny. It agrees with Evaluate and is the faster of the two.
func (p *Policy) Decide(r Request) Decision {
	if p == nil {
		return ImplicitDeny
	}
	decision := ImplicitDeny
	for i := range p.compiled {
		s := &p.compiled[i]
		if s.effect == EffectAllow && decision == Allow || !s.matches(&r) {
			continue
		}
		if s.effect != EffectAllow {
			return ExplicitDeny
		}
		decision = Allow
	}
	return decision
}

func (s *statement) matches(r *Request) bool {
	if !s.matchAction(r.Action) {
		return false
	}
	if ok, _ := s.matchPrincipal(r); !ok {
		return false
	}
	if ok, _ := s.matchResource(r); !ok {
		return false
	}
	for i := range s.conditions {
		if ok, _, _ := s.conditions[i].test(r.Context, s.effect); !ok {
			return false
		}
	}
	return true
}

// Evaluate returns the verdict that Decide gives, and how it came about.
func (p *Policy) Evaluate(r Request) Result {
	result := Result{Action: r.Action}
	if p == nil {
		return result
	}
	result.Statements = make([]StatementResult, 0, len(p.compiled))
	for i := range p.compiled {
		s := p.compiled[i].evaluate(&r)
		result.Statements = append(result.Statements, s)
		switch {
		case !s.Matched || result.Decision == ExplicitDeny:
		case s.Effect == EffectAllow:
			result.Decision = Allow
		default:
			result.Decision = ExplicitDeny
		}
	}
	return result
}

func (s *statement) evaluate(r *Request) StatementResult {
	out := StatementResult{
		Index:    s.index,
		Sid:      s.source.Sid,
		Effect:   s.effect,
		Position: s.source.Position,
	}
	var notes []string
	var note string
	out.ActionMatched = s.matchAction(r.Action)
	if out.PrincipalMatched, note = s.matchPrincipal(r); note != "" {
		notes = append(notes, note)
	}
	out.ByAccount = out.PrincipalMatched && s.principals != nil && !s.notPrincipal && s.principals.byAccount(&r.Principal)
	if out.ResourceMatched, note = s.matchResource(r); note != "" {
		notes = append(notes, note)
	}
	out.Matched = out.ActionMatched && out.PrincipalMatched && out.ResourceMatched
	for i := range s.conditions {
		c := s.conditions[i].explain(&s.source.Conditions[i], r.Context, s.effect)
		out.Conditions = append(out.Conditions, c)
		out.Matched = out.Matched && c.Matched
	}
	for _, note := range notes {
		out.Silent = out.Silent || silentNotes[note]
	}
	out.Note = strings.Join(notes, "; ")
	return out
}

func (c *condition) explain(source *Condition, ctx Context, effect Effect) ConditionResult {
	matched, silent, why := c.test(ctx, effect)
	actual, present := ctx.Get(source.Key)
	out := ConditionResult{
		Operator: source.Operator,
		Key:      source.Key,
		Written:  source.Values.Strings(),
		Actual:   actual,
		Present:  present,
		Matched:  matched,
		Silent:   silent,
		Note:     reasonTexts[why],
		Position: source.Position,
	}
	if silent {
		out.Note += "; read so that it denies"
	}
	out.Expected = slices.Clone(out.Written)
	for i := range c.operands {
		if vars := c.operands[i].vars; vars != nil {
			if s, _, state := vars.expand(ctx); state == expanded {
				out.Expected[i] = readable(s)
			}
		}
	}
	return out
}

// readable turns the compiled wildcards back into what was written.
func readable(compiled string) string {
	b := []byte(compiled)
	for i, c := range b {
		switch c {
		case anyRun:
			b[i] = '*'
		case anyChar:
			b[i] = '?'
		}
	}
	return string(b)
}

func (s *statement) matchAction(action string) bool {
	if action == "" {
		return s.effect == EffectDeny // the zero Request asks for nothing
	}
	for _, p := range s.actions {
		if foldMatch(p, action) {
			return !s.notAction
		}
	}
	return s.notAction
}

const (
	noteNoResource      = "the statement names no Resource, which an identity-based policy must; read so that it denies"
	noteResourceSilent  = "AWS does not define how the Resource compares with this request; read so that it denies"
	noteResourceNoValue = "a policy variable in the Resource has no value in this request"
)

// silentNotes are the notes on what AWS does not define.
var silentNotes = map[string]bool{
	noteNoResource: true, noteResourceSilent: true,
	noteNoPrincipal: true, noteNotPrincipal: true, noteNotPrincipalFed: true, noteStar: true,
}

func (s *statement) matchResource(r *Request) (bool, string) {
	if s.resources == nil {
		// A trust policy names no resource: it is attached to it.
		if r.IdentityPolicy {
			return s.effect == EffectDeny, noteNoResource
		}
		return true, ""
	}
	result, note := no, ""
	for i := range s.resources {
		t, why := s.compareResource(&s.resources[i], r)
		if why != "" {
			note = why
		}
		if result = max(result, t); result == yes {
			note = ""
			break
		}
	}
	if s.notResource {
		switch {
		case result == yes:
			result = no
		case result == no && r.Resource != "":
			result = yes
		default:
			result = unsure
		}
	}
	if result == unsure {
		return s.effect == EffectDeny, noteResourceSilent
	}
	return result == yes, note
}

func (s *statement) compareResource(o *operand, r *Request) (truth, string) {
	text := o.text
	if o.vars != nil {
		expandedText, starred, state := o.vars.expand(r.Context)
		switch {
		case state == noValue && s.notResource:
			// To allow everything but what could not be named would be wide open.
			return unsure, noteResourceSilent
		case state == noValue:
			return no, noteResourceNoValue
		case state == undefined:
			return unsure, noteResourceSilent
		}
		text = expandedText
		if starred && globMatch(pattern(text), r.Resource) && !globMatch(text, r.Resource) {
			return unsure, noteResourceSilent
		}
	}
	if text == "\xff" || text == r.Resource && text != "" {
		return yes, ""
	}
	if matched, _ := arnMatch(text, r.Resource); matched {
		return yes, ""
	}
	// A wildcard that would have to reach over a colon of the first five.
	if globMatch(text, r.Resource) {
		return unsure, noteResourceSilent
	}
	return no, ""
}
