package lint

func configRules() []Rule { return nil }
