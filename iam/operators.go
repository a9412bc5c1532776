package iam

import (
	"bytes"
	"encoding/base64"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"
)

type testKind uint8

const (
	testNone testKind = iota
	testString
	testStringFold
	testStringLike
	testNumeric
	testDate
	testBool
	testBinary
	testIP
	testARN
	testNull
)

// order says which results of a comparison satisfy an operator.
type order uint8

const (
	equal order = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

func (o order) holds(cmp int) bool {
	switch o {
	case less:
		return cmp < 0
	case lessOrEqual:
		return cmp <= 0
	case greater:
		return cmp > 0
	case greaterOrEqual:
		return cmp >= 0
	}
	return cmp == 0
}

type operator struct {
	kind    testKind
	order   order
	negated bool
}

var operators = map[string]operator{
	"StringEquals":              {kind: testString},
	"StringNotEquals":           {kind: testString, negated: true},
	"StringEqualsIgnoreCase":    {kind: testStringFold},
	"StringNotEqualsIgnoreCase": {kind: testStringFold, negated: true},
	"StringLike":                {kind: testStringLike},
	"StringNotLike":             {kind: testStringLike, negated: true},
	"NumericEquals":             {kind: testNumeric},
	"NumericNotEquals":          {kind: testNumeric, negated: true},
	"NumericLessThan":           {kind: testNumeric, order: less},
	"NumericLessThanEquals":     {kind: testNumeric, order: lessOrEqual},
	"NumericGreaterThan":        {kind: testNumeric, order: greater},
	"NumericGreaterThanEquals":  {kind: testNumeric, order: greaterOrEqual},
	"DateEquals":                {kind: testDate},
	"DateNotEquals":             {kind: testDate, negated: true},
	"DateLessThan":              {kind: testDate, order: less},
	"DateLessThanEquals":        {kind: testDate, order: lessOrEqual},
	"DateGreaterThan":           {kind: testDate, order: greater},
	"DateGreaterThanEquals":     {kind: testDate, order: greaterOrEqual},
	"Bool":                      {kind: testBool},
	"BinaryEquals":              {kind: testBinary},
	"IpAddress":                 {kind: testIP},
	"NotIpAddress":              {kind: testIP, negated: true},
	"ArnEquals":                 {kind: testARN},
	"ArnLike":                   {kind: testARN},
	"ArnNotEquals":              {kind: testARN, negated: true},
	"ArnNotLike":                {kind: testARN, negated: true},
	"Null":                      {kind: testNull},
}

func operatorNames() []string {
	out := make([]string, 0, len(operators))
	for name := range operators {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// truth is the result of a comparison. unsure is for what AWS does not
// define; it becomes whatever keeps the caller out (see condition.test).
type truth uint8

const (
	no truth = iota
	unsure
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// operand is one value of a condition, compiled for its operator.
type operand struct {
	text    string   // text, or the compiled pattern
	vars    template // set where text holds variables
	number  *big.Rat
	dates   []time.Time
	prefix  netip.Prefix
	wide    netip.Prefix // what prefix might be as well
	binary  []byte
	invalid bool // not a value of the operator's type
}

func compileOperand(kind testKind, s string, variables bool) operand {
	var o operand
	switch kind {
	case testString, testStringFold, testBool:
		o.text, o.vars = compileText(s, variables, false)
		if kind == testBool && o.vars == nil {
			o.text = s // an escape is no variable: nothing turns into a boolean
		}
	case testStringLike, testARN:
		o.text, o.vars = compileText(s, variables, true)
	case testNumeric:
		o.number = parseNumber(s)
		o.invalid = o.number == nil
	case testDate:
		o.dates = parseDate(s)
		o.invalid = o.dates == nil
	case testIP:
		var ok bool
		o.prefix, ok = parsePrefix(s)
		o.invalid = !ok
		if ok && o.prefix.Addr().Is6() && !strings.Contains(s, "/") {
			// AWS's page says that the prefix defaults to /32.
			o.wide = netip.PrefixFrom(o.prefix.Addr(), 32)
		}
	case testBinary:
		var err error
		o.binary, err = base64.StdEncoding.Strict().DecodeString(s)
		o.invalid = err != nil
	case testNull:
		o.text = s
		o.invalid = s != "true" && s != "false"
	}
	return o
}

// actual is a value of the request, parsed once for all operands.
type actual struct {
	text    string
	number  *big.Rat
	dates   []time.Time
	addr    netip.Addr
	binary  []byte
	invalid bool
}

func parseActual(kind testKind, s string) actual {
	a := actual{text: s}
	switch kind {
	case testNumeric:
		a.number = parseNumber(s)
		a.invalid = a.number == nil
	case testDate:
		a.dates = parseDate(s)
		a.invalid = a.dates == nil
	case testIP:
		var err error
		a.addr, err = netip.ParseAddr(s)
		a.invalid = err != nil || a.addr.Zone() != ""
	case testBinary:
		var err error
		a.binary, err = base64.StdEncoding.Strict().DecodeString(s)
		a.invalid = err != nil
	case testARN:
		a.invalid = !isARN(s)
	}
	return a
}

// compare reports whether one value of the request satisfies one value of the
// policy under the operator's positive form.
func (op operator) compare(a *actual, o *operand, ctx Context) (truth, reason) {
	if a.invalid {
		return unsure, reasonActualType
	}
	if o.invalid {
		return unsure, reasonExpectedType
	}
	switch op.kind {
	case testString, testStringFold, testStringLike, testBool, testARN:
		if o.vars == nil {
			return op.compareText(o.text, a.text)
		}
		return op.compareTemplate(a, o, ctx)
	case testNumeric:
		return truthOf(op.order.holds(a.number.Cmp(o.number))), reasonNone
	case testDate:
		return op.compareDates(a.dates, o.dates)
	case testBinary:
		return truthOf(bytes.Equal(a.binary, o.binary)), reasonNone
	case testIP:
		if o.prefix.Contains(a.addr) {
			return yes, reasonNone
		}
		if a.addr.Is4In6() && o.prefix.Contains(a.addr.Unmap()) || a.addr.Is4() && o.prefix.Addr().Is4In6() && o.prefix.Contains(netip.AddrFrom16(a.addr.As16())) {
			return unsure, reasonMappedAddress
		}
		if o.wide.Contains(a.addr) {
			return unsure, reasonPrefix
		}
		return no, reasonNone
	}
	return unsure, reasonExpectedType
}

func (op operator) compareTemplate(a *actual, o *operand, ctx Context) (truth, reason) {
	text, starred, state := o.vars.expand(ctx)
	switch state {
	case noValue:
		return no, reasonNoValue
	case undefined:
		return unsure, reasonVariable
	}
	t, why := op.compareText(text, a.text)
	if op.kind == testBool && t != no {
		return unsure, reasonBoolVariable
	}
	if t == no && starred && (op.kind == testStringLike || op.kind == testARN) {
		if wild, _ := op.compareText(pattern(text), a.text); wild != no {
			return unsure, reasonStarInVariable
		}
	}
	return t, why
}

func (op operator) compareText(expected, got string) (truth, reason) {
	switch op.kind {
	case testString:
		return truthOf(expected == got), reasonNone
	case testStringFold:
		if equalASCIIFold(expected, got) {
			return yes, reasonNone
		}
		if strings.EqualFold(expected, got) {
			return unsure, reasonUnicodeFold
		}
		return no, reasonNone
	case testStringLike:
		return truthOf(globMatch(expected, got)), reasonNone
	case testARN:
		matched, ok := arnMatch(expected, got)
		if !ok {
			if globMatch(expected, got) {
				return unsure, reasonPatternNotARN
			}
			return no, reasonPatternNotARN
		}
		return truthOf(matched), reasonNone
	case testBool:
		e, eExact := parseBool(expected)
		g, gExact := parseBool(got)
		switch {
		case e == no:
			return unsure, reasonExpectedType
		case g == no:
			return unsure, reasonActualType
		case e != g:
			return no, reasonNone
		case !eExact || !gExact:
			return unsure, reasonBoolCase
		}
		return yes, reasonNone
	}
	return unsure, reasonExpectedType
}

// parseBool returns yes for true, unsure for false and no for anything else.
func parseBool(s string) (value truth, exact bool) {
	switch {
	case s == "true":
		return yes, true
	case s == "false":
		return unsure, true
	case equalASCIIFold(s, "true"):
		return yes, false
	case equalASCIIFold(s, "false"):
		return unsure, false
	}
	return no, false
}

// parseNumber reads an integer or a decimal, exactly: float64 would make
// neighbouring 17-digit ids equal. Exponents, signs other than one minus,
// blanks and trailing text make it no number.
func parseNumber(s string) *big.Rat {
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if len(s) > 64 || !allDigits(whole) || point && !allDigits(fraction) {
		return nil
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil
	}
	return r
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// The profile of ISO 8601 that W3C-DTF names. A time of day has a zone.
var dateLayouts = []string{
	"2006-01-02T15:04:05Z07:00", // fractions of a second are read as well
	"2006-01-02T15:04Z07:00",
	"2006-01-02",
	"2006-01",
}

// parseDate returns the instants that s may stand for: one, or two for four
// digits, which are a year in W3C-DTF and also seconds since 1970.
func parseDate(s string) []time.Time {
	epoch := strings.TrimPrefix(s, "-")
	if allDigits(epoch) && len(epoch) <= 11 {
		var n int64
		for i := 0; i < len(epoch); i++ {
			n = n*10 + int64(epoch[i]-'0')
		}
		if epoch != s {
			n = -n
		}
		out := []time.Time{time.Unix(n, 0)}
		if len(s) == 4 && epoch == s {
			out = append(out, time.Date(int(n), 1, 1, 0, 0, 0, 0, time.UTC))
		}
		return out
	}
	if strings.ContainsRune(s, ',') {
		return nil // Go reads 05,5 as a fraction, W3C-DTF does not
	}
	if len(s) > 10 && (len(s) < 17 || s[13] != ':') {
		return nil // nor an hour of one digit
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return []time.Time{t}
		}
	}
	return nil
}

func (op operator) compareDates(as, os []time.Time) (truth, reason) {
	var held, failed bool
	for _, a := range as {
		for _, o := range os {
			if op.order.holds(a.Compare(o)) {
				held = true
			} else {
				failed = true
			}
		}
	}
	if held && failed {
		return unsure, reasonYear
	}
	return truthOf(held), reasonNone
}

func parsePrefix(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}
