package lint

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/source"
)

func TestExceeds(t *testing.T) {
	str := func(s string) *source.Node { return &source.Node{Kind: source.KindString, Text: source.Literal(s)} }
	list := func(items ...*source.Node) *source.Node {
		return &source.Node{Kind: source.KindList, Items: items}
	}
	nested := list(str("ab"), list(str("\""), str("a b")))
	size, whole := characters(nested)
	if want := len(`["ab",["\"","ab"]]`); size != want || !whole {
		t.Fatalf("characters: got %d, %v, want %d", size, whole, want)
	}
	if exceeds(nested, size) {
		t.Errorf("a document of %d characters exceeds %d", size, size)
	}
	if !exceeds(nested, size-1) {
		t.Errorf("a document of %d characters does not exceed %d", size, size-1)
	}
	// What comes after more than the most is not looked at: the walk would
	// panic on the nil here.
	long := list(str(strings.Repeat("a", 100)), nil)
	if !exceeds(list(long, nil), 50) {
		t.Error("a long document does not exceed 50")
	}
	object := &source.Node{Kind: source.KindMap, Fields: []source.Field{{Key: source.Literal("k"), Value: long}, {}}}
	if !exceeds(object, 50) {
		t.Error("a long object does not exceed 50")
	}
	if unknown := (&source.Node{Kind: source.KindUnknown}); exceeds(list(unknown, unknown), 50) {
		t.Error("what is not known counts")
	}
}
