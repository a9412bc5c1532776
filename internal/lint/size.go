package lint

import (
	"strings"
	"unicode"

	"github.com/stint-dev/stint/internal/source"
)

// characters counts what a document has, as JSON without white space: that is
// how IAM counts. Where something is not known, whole is false, and the number
// is the least that it can be.
func characters(n *source.Node) (size int, whole bool) {
	switch n.Kind {
	case source.KindUnknown:
		return 0, false
	case source.KindNull:
		return len("null"), true
	case source.KindBool, source.KindNumber:
		return textCharacters(n.Text)
	case source.KindString:
		size, whole = textCharacters(n.Text)
		return size + len(`""`), whole
	}
	size, whole = len("{}"), !n.Open
	add := func(more int, known bool) {
		size, whole = size+more, whole && known
	}
	for i, item := range n.Items {
		if i > 0 {
			size++
		}
		add(characters(item))
	}
	for i, f := range n.Fields {
		if i > 0 {
			size++
		}
		size += len(`"":`)
		add(textCharacters(f.Key))
		add(characters(f.Value))
	}
	return size, whole
}

func textCharacters(t source.Text) (size int, whole bool) {
	whole = true
	for _, part := range t.Parts {
		whole = whole && part.Unknown == ""
		for _, c := range part.Literal {
			switch {
			case unicode.IsSpace(c):
			case strings.ContainsRune(`"\`, c):
				size += 2
			case c < 0x20:
				size += len(`\u0000`)
			default:
				size++
			}
		}
	}
	return size, whole
}
