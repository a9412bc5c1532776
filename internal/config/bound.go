package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// bound holds the file to what may be parsed at all. The parser recurses, and
// builds the path of each node from that of its parent, so a few kilobytes of
// brackets would cost gigabytes; it copies a mapping for each of its keys, and
// the rest of the file for each value that is left out.
//
// Anchors, aliases, merges and tags are refused: what a file grants must stand
// where it is read, and an alias can grow without bound.
func (r *reader) bound(tokens token.Tokens) {
	s := shapeOf{keys: map[int]int{}}
	for _, t := range tokens {
		if message, hint := s.add(t); message != "" {
			r.failAt(tokenPos(t), "", hint, "%s", message)
			return
		}
	}
}

// shapeOf is the shape of a file as far as its tokens have been seen.
type shapeOf struct {
	flow         []bool      // the open brackets: whether one is a mapping's
	colon        bool        // one was seen since the last comma or bracket
	line, inLine int         // levels that begin in this line
	keys         map[int]int // so far, by column, or below 0 by depth of brackets
	empty        int         // values that are left out
	documents    int
}

// add takes the next token, or says why it is refused.
func (s *shapeOf) add(t *token.Token) (message, hint string) {
	at := tokenPos(t)
	if at.Line != s.line {
		s.line, s.inLine = at.Line, 0
	}
	switch t.Type {
	case token.AliasType:
		return "anchors, aliases and merge keys are not supported", `write the value out, or quote a pattern that begins with *, as in "*-prod"`
	case token.AnchorType, token.MergeKeyType:
		return "anchors, aliases and merge keys are not supported", "write the value out"
	case token.TagType:
		return "tags are not supported", "write the value without the tag, or quote a text that begins with !"
	case token.MappingKeyType:
		return "keys behind a question mark are not supported", "write KEY: VALUE, or quote a text that begins with ?"
	case token.DocumentHeaderType:
		if s.documents++; s.documents > 2 {
			return "a second document begins here", "keep one document in the file"
		}
	case token.StringType:
		if tabbed(t) {
			return "a tab stands in a text without quotes, and would be lost", "quote a text that holds a tab"
		}
	case token.MappingStartType, token.SequenceStartType:
		s.flow = append(s.flow, t.Type == token.MappingStartType)
		s.keys[-len(s.flow)] = 0
		s.colon = false
	case token.MappingEndType, token.SequenceEndType, token.CollectEntryType:
		s.comma(t)
	case token.SequenceEntryType:
		s.inLine++
		s.forget(at.Column)
		if len(s.flow) == 0 && emptyBehind(t, at.Column) {
			s.empty++
		}
	case token.MappingValueType:
		if s.value(t); s.keys[s.mapping(t)] > maxKeys {
			return fmt.Sprintf("expected at most %d keys in one mapping", maxKeys), ""
		}
	}
	switch {
	case s.empty > maxEmpty:
		return fmt.Sprintf("expected at most %d empty values", maxEmpty), "give each a value"
	case len(s.flow)+s.inLine > maxDepth:
		return fmt.Sprintf("nested deeper than %d levels", maxDepth), ""
	}
	return "", ""
}

// comma ends an element between brackets, and the brackets where it is none.
func (s *shapeOf) comma(t *token.Token) {
	if len(s.flow) == 0 {
		return
	}
	last := len(s.flow) - 1
	if s.flow[last] && !s.colon {
		s.empty++
	}
	s.colon = false
	if t.Type != token.CollectEntryType {
		s.flow = s.flow[:last]
		s.colon = true // of the value that ended, if it is one
	}
}

// value begins the value of a key.
func (s *shapeOf) value(t *token.Token) {
	s.colon = true
	key := s.mapping(t)
	s.keys[key]++
	if len(s.flow) > 0 {
		if n := t.Next; n != nil && (n.Type == token.CollectEntryType || n.Type == token.MappingEndType) {
			s.empty++
		}
		return
	}
	s.inLine++
	s.forget(key)
	if emptyBehind(t, key) {
		s.empty++
	}
}

// mapping tells the mappings apart: the column of its keys, or below 0 the
// depth of its brackets.
func (s *shapeOf) mapping(colon *token.Token) int {
	if len(s.flow) > 0 {
		return -len(s.flow)
	}
	return tokenPos(colon.Prev).Column
}

// forget drops the counts of the mappings that end where one begins, or goes
// on, further left.
func (s *shapeOf) forget(column int) {
	for c := range s.keys {
		if c > column {
			delete(s.keys, c)
		}
	}
}

// emptyBehind reports whether no value stands behind the dash or the colon t,
// whose own place or whose key's is in column.
func emptyBehind(t *token.Token, column int) bool {
	next := t.Next
	for next != nil && next.Type == token.CommentType {
		next = next.Next
	}
	if next == nil {
		return true
	}
	at := tokenPos(next)
	if t.Type == token.MappingValueType && next.Type == token.SequenceEntryType && at.Column == column {
		return false // a list may stand right below its key
	}
	return at.Line > tokenPos(t).Line && at.Column <= column
}

// tabbed reports whether a text without quotes holds a tab, which the parser
// would take out of it.
func tabbed(t *token.Token) bool {
	p := t.Prev
	for p != nil && p.Type == token.CommentType {
		p = p.Prev
	}
	if p != nil && (p.Type == token.LiteralType || p.Type == token.FoldedType) {
		return false
	}
	return strings.Contains(strings.Trim(t.Origin, " \t\n"), "\t")
}
