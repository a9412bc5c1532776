package iam

import (
	"slices"
	"strings"
	"unicode"
)

// Context holds the condition keys of a request. Key names compare in any
// case and keep the spelling they were set with. A key may be absent, present
// without a value, or have one value or several; a key with one value is not
// the same as one with several, even where a policy lists many.
//
// The zero Context is empty and ready to use. Copies share their keys; Set
// must not run while a policy is evaluated with the same Context.
type Context struct {
	keys map[string]contextEntry
}

type contextEntry struct {
	name   string
	values []string
}

// NewContext returns a Context with the keys of m. Where two names differ in
// case only, the key gets the values of both and thereby has several.
func NewContext(m map[string][]string) Context {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	c := Context{keys: make(map[string]contextEntry, len(m))}
	for _, name := range names {
		c.Add(name, m[name]...)
	}
	return c
}

// Set gives key exactly these values, whatever it had before. Without values
// the key is present but empty.
func (c *Context) Set(key string, values ...string) {
	if c.keys == nil {
		c.keys = make(map[string]contextEntry)
	}
	c.keys[foldKey(key)] = contextEntry{name: key, values: slices.Clone(values)}
}

// Add gives key these values beside those it has.
func (c *Context) Add(key string, values ...string) {
	if e, ok := c.keys[foldKey(key)]; ok {
		c.keys[foldKey(key)] = contextEntry{name: e.name, values: slices.Concat(e.values, values)}
		return
	}
	c.Set(key, values...)
}

// Delete makes key absent.
func (c *Context) Delete(key string) { delete(c.keys, foldKey(key)) }

// Get returns the values of key, and whether it is present at all.
func (c Context) Get(key string) (values []string, present bool) {
	e, ok := c.keys[foldKey(key)]
	return slices.Clone(e.values), ok
}

// Keys returns the names of the keys as they were set, sorted.
func (c Context) Keys() []string {
	out := make([]string, 0, len(c.keys))
	for _, e := range c.keys {
		out = append(out, e.name)
	}
	slices.Sort(out)
	return out
}

// Clone returns a Context that shares nothing with c.
func (c Context) Clone() Context {
	out := Context{keys: make(map[string]contextEntry, len(c.keys))}
	for k, e := range c.keys {
		out.keys[k] = contextEntry{name: e.name, values: slices.Clone(e.values)}
	}
	return out
}

// get is Get for a key that is folded already; the values must not be changed.
func (c Context) get(folded string) []string { return c.keys[folded].values }

// foldKey returns the form in which key names are compared. Letters outside
// ASCII never become ASCII: U+212A KELVIN SIGN must not pass for a k.
func foldKey(key string) string {
	for i := 0; i < len(key); i++ {
		if key[i] >= 0x80 {
			return strings.Map(foldRune, key)
		}
	}
	return lowerASCII(key)
}

func foldRune(r rune) rune {
	l := unicode.ToLower(r)
	if r >= 0x80 && l < 0x80 {
		return r
	}
	return l
}
