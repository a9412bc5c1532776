package lint

// The rules on silences. Run never fires them: Silence does, which knows what
// was silenced.
const (
	silenceWithoutReason = "silence-without-reason"
	silenceUnknownRule   = "silence-unknown-rule"
	silenceUnused        = "silence-unused"
)

func silenceRules() []Rule {
	none := func(*pass) {}
	return []Rule{
		{
			ID: silenceWithoutReason, Severity: Warning, check: none,
			Title: "a comment that silences without a reason",
			Why:   "Without a reason nobody can tell later whether the finding may still be ignored, so such a comment silences nothing.",
			Fix:   "Write why the finding may be ignored behind the rule: stint:ignore RULE REASON.",
		},
		{
			ID: silenceUnknownRule, Severity: Warning, check: none,
			Title: "a comment that silences no rule there is",
			Why:   "A misspelt rule silences nothing, and its author believes that it does.",
			Fix:   "Write the rule's id as stint lint --rules lists it.",
		},
		{
			ID: silenceUnused, Severity: Note, check: none,
			Title: "a silence that silences nothing",
			Why:   "It would silence the next finding of its rule in this place, which nobody has looked at.",
			Fix:   "Take the silence out.",
		},
	}
}

// meta reports whether a rule is one on silences: those cannot be silenced.
func meta(rule string) bool {
	return rule == silenceWithoutReason || rule == silenceUnknownRule || rule == silenceUnused
}
