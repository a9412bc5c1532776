package lint

func azureRules() []Rule { return nil }
