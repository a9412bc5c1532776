package lint

import (
	"math"
	"unicode"

	"github.com/stint-dev/stint/internal/source"
)

// characters counts what a document has, as JSON without white space: that is
// how IAM counts. Where something is not known, whole is false, and the number
// is the least that it can be.
func characters(n *source.Node) (size int, whole bool) {
	c := counter{most: math.MaxInt, whole: true}
	c.node(n)
	return c.size, c.whole
}

// exceeds reports whether a document has more than most characters. It looks at
// no more of the document than that takes: every rule asks this of every
// policy, and a policy may be as large as a file.
func exceeds(n *source.Node, most int) bool {
	c := counter{most: most, whole: true}
	c.node(n)
	return c.size > most
}

// counter counts the characters of a document, until there are more than most.
type counter struct {
	size, most int
	whole      bool // nothing so far is unknown
}

func (c *counter) node(n *source.Node) {
	switch n.Kind {
	case source.KindUnknown:
		c.whole = false
		return
	case source.KindNull:
		c.size += len("null")
		return
	case source.KindBool, source.KindNumber:
		c.text(n.Text)
		return
	case source.KindString:
		c.size += len(`""`)
		c.text(n.Text)
		return
	}
	c.size += len("{}")
	c.whole = c.whole && !n.Open
	for i, item := range n.Items {
		if c.size > c.most {
			return
		}
		if i > 0 {
			c.size++
		}
		c.node(item)
	}
	for i, f := range n.Fields {
		if c.size > c.most {
			return
		}
		if i > 0 {
			c.size++
		}
		c.size += len(`"":`)
		c.text(f.Key)
		c.node(f.Value)
	}
}

func (c *counter) text(t source.Text) {
	for _, part := range t.Parts {
		c.whole = c.whole && part.Unknown == ""
		for _, r := range part.Literal {
			switch {
			case unicode.IsSpace(r):
			case r == '"' || r == '\\':
				c.size += 2
			case r < 0x20:
				c.size += len(`\u0000`)
			default:
				c.size++
			}
		}
	}
}
