package lint

func structureRules() []Rule { return nil }
