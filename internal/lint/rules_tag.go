package lint

func tagRules() []Rule { return nil }
