package lint

func scopeRules() []Rule { return nil }
