package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
)

// sessionSize is what a session takes of what AWS allows. AWS does not say how
// it counts: it is an estimate.
type sessionSize struct {
	Bytes   int          `json:"bytes"`
	Limit   int          `json:"limit"`
	Costs   []rules.Cost `json:"costs"`
	Dropped []string     `json:"dropped_tags,omitempty"`
}

func sizeOf(g rules.Grant) *sessionSize {
	return &sessionSize{rules.EstimateSize(&g), rules.MaxSessionSize, g.Costs(), g.Session().Dropped}
}

// mostNamed is how many tags a sentence names.
const mostNamed = 3

func (s *sessionSize) sentence() string {
	var tags []string
	for _, c := range s.Costs {
		if c.Part == rules.PartTag && len(tags) < mostNamed {
			tags = append(tags, fmt.Sprintf("%s %d", c.Key, c.Bytes))
		}
	}
	text := rules.SizeSentence(s.Bytes)
	if len(tags) > 0 {
		text += "; the largest tags: " + strings.Join(tags, ", ")
	}
	if len(s.Dropped) > 0 {
		text += "; dropped to make it fit: " + strings.Join(s.Dropped, ", ")
	}
	return text
}

// claimSize is what `stint claims --size` says of a token.
type claimSize struct {
	Bare   int         `json:"bare_bytes"` // of a session without tags
	Limit  int         `json:"limit"`
	Claims []claimCost `json:"claims,omitempty"`
	// Session is the one that the rules grant, where they were given.
	Session *sessionSize `json:"session,omitempty"`
}

// claimCost is what a claim takes as a tag of its own name.
type claimCost struct {
	Claim   string `json:"claim"`
	Bytes   int    `json:"bytes"`
	Instead string `json:"instead,omitempty"` // a shorter claim of this token that tells the same apart
	Saves   int    `json:"saves,omitempty"`   // bytes
}

// shorter are claims that tell the same apart in fewer characters.
var shorter = map[string]string{
	"repository": "repository_id", "repository_owner": "repository_owner_id", "actor": "actor_id", "enterprise": "enterprise_id",
}

// sizeOfClaims says what each claim would take of a session as a tag.
func sizeOfClaims(claims identity.Claims, issuer, audience string) claimSize {
	sub, _ := claims.Text("sub")
	size := claimSize{Bare: rules.BareCost(issuer, sub, audience), Limit: rules.MaxSessionSize}
	texts := claims.Texts()
	for name, value := range texts {
		if slices.Contains(notTags, name) {
			continue
		}
		c := claimCost{Claim: name, Bytes: rules.TagCost(name, value)}
		if other, ok := texts[shorter[name]]; ok {
			if saves := c.Bytes - rules.TagCost(shorter[name], other); saves > 0 {
				c.Instead, c.Saves = shorter[name], saves
			}
		}
		size.Claims = append(size.Claims, c)
	}
	slices.SortFunc(size.Claims, func(a, b claimCost) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Claim, b.Claim)) })
	return size
}

// notTags are claims of the token, and not of the job.
var notTags = []string{"iss", "aud", "exp", "iat", "nbf", "jti"}

// sizeUnder is sizeOfClaims with the session that a configuration's rules give
// the token.
func sizeUnder(cfg *config.Config, role string, payload map[string]any, now time.Time) (claimSize, error) {
	set, err := rules.Compile(cfg)
	if err != nil {
		return claimSize{}, err
	}
	x, d := explain.Rules(cfg, set, payload, rules.Request{Role: role, Time: now})
	g, ok := d.Grant()
	if !ok {
		return claimSize{}, deniedf("'stint explain --rules' says more", "the rules give this token no session: %s", printable(x.Cause))
	}
	size := sizeOfClaims(g.Claims(), g.Claims().Issuer(), g.Audience())
	size.Claims, size.Session = nil, sizeOf(g)
	return size, nil
}

func (s claimSize) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if s.Session != nil {
		fmt.Fprintf(w, "Session\t%s\n\nPART\tBYTES\n", s.Session.sentence())
		for _, c := range s.Session.Costs {
			fmt.Fprintf(w, "%s\t%d\n", printable(strings.TrimSpace(c.Part+" "+c.Key)), c.Bytes)
		}
		return w.Flush()
	}
	fmt.Fprintf(w, "Session\t%s without a tag\n\nCLAIM\tBYTES AS A TAG\tSHORTER\tSAVES\n", rules.SizeSentence(s.Bare))
	total := 0
	for _, c := range s.Claims {
		saves := ""
		if c.Saves > 0 {
			saves = fmt.Sprint(c.Saves)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", printable(c.Claim), c.Bytes, c.Instead, saves)
		total += c.Bytes
	}
	fmt.Fprintf(w, "\nAll\t%s\n", rules.SizeSentence(s.Bare+total))
	return w.Flush()
}
