package lint

import (
	"fmt"
	"strings"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
	"github.com/stint-dev/stint/internal/subject"
)

// comparison is one claims['NAME'] matches 'PATTERN' of a claims matching
// expression.
type comparison struct {
	claim   string
	pattern subject.Pattern
}

// comparisons takes an expression apart (Microsoft Entra, "Flexible federated
// identity credentials"): comparisons with eq or matches, joined by and. ok is
// false for one that is not understood.
func comparisons(t source.Text) (out []comparison, ok bool) {
	words, ok := expressionWords(t)
	if !ok {
		return nil, false
	}
	for len(words) >= 3 {
		claim, literal := words[0].claim()
		operator, plain := words[1].pattern.Text()
		if !literal || !plain || !words[2].quoted {
			return nil, false
		}
		c := comparison{claim: claim, pattern: words[2].pattern}
		switch strings.ToLower(operator) {
		case "matches":
			c.pattern = wildcards(c.pattern)
		case "eq":
		default:
			return nil, false
		}
		out = append(out, c)
		if words = words[3:]; len(words) == 0 {
			return out, true
		}
		and, plain := words[0].pattern.Text()
		if !plain || !strings.EqualFold(and, "and") {
			return nil, false
		}
		words = words[1:]
	}
	return nil, false
}

// wildcards takes the * and ? of literal text for what they are under matches.
func wildcards(p subject.Pattern) subject.Pattern {
	var out subject.Pattern
	for _, piece := range p {
		switch piece.Kind {
		case subject.Literal:
			out = subject.Join(out, subject.Like(piece.Text))
		case subject.Fixed:
			out = subject.Join(out, subject.Pattern{{Kind: subject.Hole, Text: piece.Text}})
		default:
			out = subject.Join(out, subject.Pattern{piece})
		}
	}
	return out
}

// word is a piece of an expression between blanks, or a quoted text.
type word struct {
	pattern subject.Pattern
	quoted  bool
}

// claim is the NAME of claims['NAME'].
func (w word) claim() (string, bool) {
	text, ok := w.pattern.Text()
	name, found := strings.CutPrefix(text, "claims[")
	name, closed := strings.CutSuffix(name, "]")
	name = strings.Trim(name, `'"`)
	return name, ok && found && closed && name != "" && !w.quoted
}

// expressionWords splits an expression. What is not known may only stand within
// quotes: elsewhere it may be anything.
func expressionWords(t source.Text) (out []word, ok bool) {
	var now subject.Pattern
	inQuote, inBracket := byte(0), false
	end := func(quoted bool) {
		if quoted || len(now) > 0 {
			out = append(out, word{now, quoted})
		}
		now = nil
	}
	for _, part := range t.Parts {
		if part.Unknown != "" {
			if inQuote == 0 || inBracket {
				return nil, false
			}
			now = subject.Join(now, subject.Pattern{{Kind: subject.Fixed, Text: part.Unknown}})
			continue
		}
		for i := range len(part.Literal) {
			c := part.Literal[i]
			switch {
			case inQuote != 0 && c == inQuote && !inBracket:
				inQuote = 0
				end(true)
			case inQuote == 0 && !inBracket && (c == '\'' || c == '"'):
				end(false)
				inQuote = c
			case inQuote == 0 && !inBracket && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
				end(false)
			default:
				if inQuote == 0 && (c == '[' || c == ']') {
					inBracket = c == '['
				}
				now = subject.Join(now, subject.Exact(string([]byte{c})))
			}
		}
	}
	end(false)
	return out, inQuote == 0 && !inBracket
}

// azureFlexibleOpen reports expressions that leave open whose tokens they take.
func azureFlexibleOpen(p *pass) {
	p.eachCredential(func(name string, c *inventory.AzureCredential) {
		platform, shared := p.azureIssuer(c)
		if !isFlexible(c) {
			return
		}
		at := there(c.Expression, c)
		if _, known := c.Issuer.Known(); !known {
			return
		}
		if !shared {
			return // all its tokens are of one customer
		}
		list, ok := comparisons(c.Expression)
		if !ok {
			p.unknown(name, at, "whether the expression %q names an owner is not known", c.Expression)
			return
		}
		a := &admission{provider: provider{Known: true, Platform: platform, Shared: source.Yes}}
		closed := source.No
		for _, cmp := range list {
			closed = closed.Or(a.fixesOwner(cmp.claim, cmp.pattern))
		}
		issuer, _ := c.Issuer.Known()
		p.verdict(closed.Not(), name, at, fmt.Sprintf("Write the owner out, such as claims['sub'] matches '%s'.", strings.Replace(a.example(), "main", "*", 1)),
			fmt.Sprintf("the expression %q leaves open whose job it is, and %s signs for everybody", c.Expression, issuer),
			fmt.Sprintf("whether the expression %q names an owner depends on %s", c.Expression, strings.Join(c.Expression.Unknowns(), ", ")))
	})
}
