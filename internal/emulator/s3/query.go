package s3

import (
	"net/url"
	"slices"
	"strings"
)

// maxParameters bounds a query.
const maxParameters = 64

// query holds the parameters of a URL in the order in which they came. Unlike
// url.Values it keeps those that net/url would refuse or drop, since all of
// them are signed.
type query []parameter

type parameter struct{ name, value string }

func parseQuery(raw string) (query, *fault) {
	var q query
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err != nil || err2 != nil || len(q) == maxParameters {
			return nil, invalidURI()
		}
		if _, doubled := q.get(n); doubled {
			return nil, invalidArgument(clip(n), v, "A parameter stands twice in the query.")
		}
		q = append(q, parameter{n, v})
	}
	return q, nil
}

func invalidURI() *fault { return badRequest("InvalidURI", "Couldn't parse the specified URI.") }

func (q query) get(name string) (value string, present bool) {
	i := slices.IndexFunc(q, func(p parameter) bool { return p.name == name })
	if i < 0 {
		return "", false
	}
	return q[i].value, true
}

func (q query) has(name string) bool {
	_, ok := q.get(name)
	return ok
}

// canonical is the query as it is signed: encoded, in order, without the
// signature itself.
func (q query) canonical() string {
	parts := make([]string, 0, len(q))
	for _, p := range q {
		if p.name != "X-Amz-Signature" {
			parts = append(parts, uriEncode(p.name, false)+"="+uriEncode(p.value, false))
		}
	}
	// '=' sorts after '-', '.' and digits: names are to be compared alone.
	slices.SortFunc(parts, func(a, b string) int {
		x, _, _ := strings.Cut(a, "=")
		y, _, _ := strings.Cut(b, "=")
		return strings.Compare(x, y)
	})
	return strings.Join(parts, "&")
}
