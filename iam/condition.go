package iam

// condition is a compiled Condition.
type condition struct {
	op        operator
	qualifier Qualifier
	ifExists  bool
	key       string // folded
	operands  []operand
}

// reason says why a comparison came out as it did, where that is not plain.
type reason uint8

const (
	reasonNone reason = iota
	reasonMissing
	reasonMissingNegated
	reasonIfExists
	reasonForAllMissing
	reasonForAllMissingNegated
	reasonForAnyMissing
	reasonForAllEmpty
	reasonEmptyElement
	reasonForAnyEmpty
	reasonSeveralValues
	reasonNoExpected
	reasonNullEmpty
	reasonActualType
	reasonExpectedType
	reasonNoValue
	reasonVariable
	reasonBoolVariable
	reasonStarInVariable
	reasonUnicodeFold
	reasonPatternNotARN
	reasonBoolCase
	reasonMappedAddress
	reasonPrefix
	reasonYear
)

var reasonTexts = [...]string{
	reasonNone:                 "",
	reasonMissing:              "the key is not in the request",
	reasonMissingNegated:       "the key is not in the request, and a negated operator then holds",
	reasonIfExists:             "the key is not in the request, and IfExists then holds",
	reasonForAllMissing:        "the key is not in the request, and ForAllValues then holds",
	reasonForAllMissingNegated: "the key is not in the request; AWS does not say whether ForAllValues with a negated operator then holds",
	reasonForAnyMissing:        "the key is not in the request, and ForAnyValue then fails",
	reasonForAllEmpty:          "the key has no value but the empty string, and ForAllValues then holds",
	reasonEmptyElement:         "one of the values is the empty string; AWS does not say whether ForAllValues counts it",
	reasonForAnyEmpty:          "only the empty string matches; AWS does not say whether ForAnyValue counts it",
	reasonSeveralValues:        "the key has several values in the request and the operator has no ForAllValues or ForAnyValue; AWS does not say what that means",
	reasonNoExpected:           "the policy lists no value to compare with; AWS does not say what that means for a negated operator",
	reasonNullEmpty:            "the key is there with the empty string; AWS does not say whether that is null",
	reasonActualType:           "the value in the request is not of the operator's type; AWS does not say what that means",
	reasonExpectedType:         "the value in the policy is not of the operator's type; AWS does not say what that means",
	reasonNoValue:              "a policy variable has no value in this request, so it equals nothing",
	reasonVariable:             "a policy variable is malformed, has several values, or has an empty value or default; AWS does not say what it stands for",
	reasonBoolVariable:         "AWS does not say whether Bool takes policy variables",
	reasonStarInVariable:       "the value of a policy variable holds a wildcard; AWS does not say whether it is plain text",
	reasonUnicodeFold:          "equal only by ignoring the case of letters outside ASCII; AWS does not say whether it does",
	reasonPatternNotARN:        "the value in the policy has not the six parts of an ARN; AWS does not say what that means",
	reasonBoolCase:             "equal to true or false only by ignoring case; AWS does not say whether it does",
	reasonMappedAddress:        "an IPv4 address written as IPv6; AWS does not say whether it matches IPv4 ranges",
	reasonPrefix:               "an IPv6 address without a prefix; AWS says that it defaults to /32, which may be meant for IPv4",
	reasonYear:                 "four digits are a year or seconds since 1970; AWS does not say which",
}

// test decides the condition for a statement of the given effect. Where AWS
// is silent, an Allow must not match and a Deny must: both keep the caller
// out.
func (c *condition) test(ctx Context, effect Effect) (matched, silent bool, why reason) {
	t, why := c.truth(ctx)
	if t == unsure {
		return effect == EffectDeny, true, why
	}
	return t == yes, false, why
}

func (c *condition) truth(ctx Context) (truth, reason) {
	values := ctx.get(c.key)
	if c.op.kind == testNull {
		return c.null(values)
	}
	if len(values) == 0 {
		return c.missing()
	}
	switch c.qualifier {
	case ForAllValues:
		return c.forAll(values, ctx)
	case ForAnyValue:
		return c.forAny(values, ctx)
	}
	if len(values) == 1 {
		return c.satisfies(values[0], ctx)
	}
	// One of the values may have been what AWS looks at: a Deny holds if any
	// of them would do, an Allow never.
	for _, v := range values {
		if t, _ := c.satisfies(v, ctx); t != no {
			return unsure, reasonSeveralValues
		}
	}
	return no, reasonSeveralValues
}

// missing decides where the key is absent, or present without a value.
func (c *condition) missing() (truth, reason) {
	switch {
	case c.ifExists:
		return yes, reasonIfExists
	case c.qualifier == ForAllValues && c.op.negated:
		return unsure, reasonForAllMissingNegated
	case c.qualifier == ForAllValues:
		return yes, reasonForAllMissing
	case c.qualifier == ForAnyValue:
		return no, reasonForAnyMissing
	case c.op.negated:
		return yes, reasonMissingNegated
	}
	return no, reasonMissing
}

func (c *condition) null(values []string) (truth, reason) {
	if len(values) > 0 && allEmpty(values) {
		return unsure, reasonNullEmpty
	}
	absent := "false"
	if len(values) == 0 {
		absent = "true"
	}
	result, why := no, reasonNone
	for i := range c.operands {
		switch o := &c.operands[i]; {
		case o.invalid:
			result, why = max(result, unsure), reasonExpectedType
		case o.text == absent:
			return yes, reasonNone
		}
	}
	return result, why
}

func (c *condition) forAll(values []string, ctx Context) (truth, reason) {
	empty := allEmpty(values)
	result, why := yes, reasonNone
	for _, v := range values {
		t, r := c.satisfies(v, ctx)
		if v == "" && t != yes {
			// The empty string is no value to ForAllValues (documented), so
			// alone it passes. Beside others it may or may not count.
			t, r = unsure, reasonEmptyElement
			if empty && !c.op.negated {
				t, r = yes, reasonForAllEmpty
			}
		}
		if t < result {
			result, why = t, r
		} else if result == yes && why == reasonNone {
			why = r
		}
	}
	return result, why
}

func allEmpty(values []string) bool {
	for _, v := range values {
		if v != "" {
			return false
		}
	}
	return true
}

func (c *condition) forAny(values []string, ctx Context) (truth, reason) {
	result, why := no, reasonNone
	for _, v := range values {
		t, r := c.satisfies(v, ctx)
		if v == "" && t == yes {
			t, r = unsure, reasonForAnyEmpty
		}
		if t > result || result == no && why == reasonNone {
			result, why = t, r
		}
	}
	return result, why
}

// satisfies tests one value of the request: any of the operands will do, or
// under a negated operator none may.
func (c *condition) satisfies(value string, ctx Context) (truth, reason) {
	a := parseActual(c.op.kind, value)
	result, why := no, reasonNone
	if len(c.operands) == 0 && c.op.negated {
		return unsure, reasonNoExpected
	}
	for i := range c.operands {
		t, r := c.op.compare(&a, &c.operands[i], ctx)
		if t == yes {
			result, why = yes, r
			break
		}
		if t > result || why == reasonNone {
			result, why = max(t, result), r
		}
	}
	if c.op.negated {
		switch result {
		case yes:
			return no, why
		case no:
			return yes, why
		}
	}
	return result, why
}
