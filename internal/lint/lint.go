// Package lint says what is wrong with trust policies, rules and federated
// credentials. It is pure: an inventory goes in, findings come out.
//
// A rule reports what it can prove from the files. Where something that it
// needs is known only after a deployment, it reports that as unknown, and never
// as safe or unsafe.
package lint

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// Severity is how bad a finding is.
type Severity string

// The severities, the worst first.
const (
	Error   Severity = "error"   // lets strangers in, or never works
	Warning Severity = "warning" // lets in more than most want
	Note    Severity = "note"    // could be said better
)

// Rank orders severities: 3 for an error, 1 for a note, 0 for anything else.
func (s Severity) Rank() int {
	return map[Severity]int{Error: 3, Warning: 2, Note: 1}[s]
}

// Rule is one thing that can be wrong.
type Rule struct {
	ID       string // stable, and the name of its page in docs/lint
	Severity Severity
	Title    string // a few words
	Why      string // one sentence: what happens because of it
	Fix      string // one sentence: what to do in general
	check    func(*pass)
}

// Finding is one thing that is wrong in one place.
type Finding struct {
	Rule     string          `json:"rule"`
	Severity Severity        `json:"severity"`
	Position source.Position `json:"position"`
	Span     source.Span     `json:"-"`
	// Subject is whose finding it is: a role's address, a rule's name.
	Subject string `json:"subject,omitempty"`
	Message string `json:"message"` // one sentence with what was found
	Fix     string `json:"fix"`     // what to do here
	// Unknown says that the rule could not be decided, and Message what it
	// would have to know.
	Unknown bool `json:"unknown,omitempty"`
}

// Options are what rules need that no file says.
type Options struct {
	// Repositories are the ids of repositories, by owner/name, for rules on
	// the form of subjects.
	Repositories map[string]Repository
}

// Repository is a repository's identity on the platform.
type Repository struct {
	OwnerID, ID string
	// IDsInSubject says which form of subjects its tokens have; Unknown where
	// nobody said.
	IDsInSubject source.Truth
}

// Rules are all rules, sorted by id.
func Rules() []Rule {
	all := slices.Concat(scopeRules(), claimRules(), lastingRules(), structureRules(), tagRules(), azureRules(), configRules(), silenceRules())
	slices.SortFunc(all, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Run applies every rule to an inventory. The findings are sorted by place.
func Run(inv *inventory.Inventory, o Options) []Finding {
	var out []Finding
	for _, r := range Rules() {
		p := &pass{rule: r, inv: inv, opts: o}
		r.check(p)
		out = append(out, p.findings...)
	}
	slices.SortStableFunc(out, byPlace)
	return slices.CompactFunc(out, func(a, b Finding) bool { return a == b })
}

// pass is one rule at work.
type pass struct {
	rule     Rule
	inv      *inventory.Inventory
	opts     Options
	findings []Finding
}

// report adds a finding at a text. An empty fix is the rule's own.
func (p *pass) report(subject string, at source.Text, fix, format string, args ...any) {
	p.add(Finding{Subject: subject, Position: at.Position, Span: at.Span, Fix: fix, Message: fmt.Sprintf(format, args...)})
}

// unknown says that the rule could not be decided for lack of what.
func (p *pass) unknown(subject string, at source.Text, format string, args ...any) {
	p.add(Finding{Subject: subject, Position: at.Position, Span: at.Span, Unknown: true, Message: fmt.Sprintf(format, args...)})
}

func (p *pass) add(f Finding) {
	f.Rule, f.Severity = p.rule.ID, p.rule.Severity
	if f.Fix == "" {
		f.Fix = p.rule.Fix
	}
	p.findings = append(p.findings, f)
}
