package audit

import (
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The bounds of a record's text, in bytes of UTF-8. Whoever can reach a door
// chooses much of a record's text, so without them strangers could fill the
// disk, and with it stop the broker.
const (
	maxText     = 512  // names, ids, refs
	maxLong     = 2048 // ARNs (2048 in STS), subjects, sentences
	maxStranger = 256  // any text of a caller whom no issuer of ours vouches for
	maxList     = 50   // the most session tags that STS takes
	maxARNs     = 10   // the most session policies that STS takes
	maxClaims   = 8192 // all claims; GitHub's have about 1500
)

// bound makes every text of r short, valid UTF-8 without control characters.
func (r *Record) bound() {
	text, long := maxText, maxLong
	arns := maxARNs
	if !r.Caller.Verified {
		text, long, arns = maxStranger, maxStranger, 2
	}
	cleanAll(text, &r.Door, &r.Remote, &r.Asked.SessionName, &r.Asked.Pool, &r.Asked.Identity)
	cleanAll(long, &r.Asked.Role, &r.Asked.Audience)
	r.Asked.PolicyARNs = cleanList(r.Asked.PolicyARNs, arns, long)
	r.Asked.Seconds = min(max(r.Asked.Seconds, 0), math.MaxInt32)

	c := &r.Caller
	cleanAll(text, &c.IssuerName, &c.Issuer, &c.Repository, &c.RepositoryID, &c.OwnerID, &c.Ref, &c.Environment,
		&c.Event, &c.RunID, &c.RunAttempt, &c.Actor, &c.ActorID, &c.TokenID, &c.TokenSHA256)
	cleanAll(long, &c.Subject, &c.Workflow)
	// Half of the claims would be those of another job.
	if len(c.Claims) > maxClaims || !c.Verified || !visible(string(c.Claims)) {
		c.Claims = nil
	}

	// What the broker itself writes is bounded all the same: it quotes the token.
	cleanAll(maxText, &r.Rule, &r.Reason)
	cleanAll(2*long, &r.Detail)
	if g := r.Granted; g != nil {
		cleanAll(maxLong, &g.Role, &g.Audience)
		cleanAll(maxText, &g.SessionName, &g.SourceIdentity)
		g.TransitiveTags = cleanList(g.TransitiveTags, maxList, maxText)
		tags := make(map[string]string, len(g.Tags))
		for k, v := range g.Tags {
			if len(tags) < maxList {
				tags[clean(k, maxText)] = clean(v, maxText)
			}
		}
		g.Tags = tags
	}
}

// bound makes every text of o short, valid UTF-8 without control characters.
func (o *Outcome) bound() {
	o.Time = o.Time.UTC().Truncate(time.Millisecond)
	cleanAll(maxText, &o.TokenID, &o.KeyID, &o.AccessKeyID, &o.ErrorCode, &o.AWSRequestID)
	cleanAll(maxLong, &o.AssumedRole, &o.AssumedRoleID, &o.Error)
	for _, t := range []**time.Time{&o.TokenExpires, &o.Expires} {
		if *t != nil {
			utc := (*t).UTC()
			*t = &utc
		}
	}
}

func cleanAll(limit int, texts ...*string) {
	for _, s := range texts {
		*s = clean(*s, limit)
	}
}

func cleanList(list []string, n, limit int) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, 0, min(len(list), n))
	for _, s := range list[:min(len(list), n)] {
		out = append(out, clean(s, limit))
	}
	return out
}

// clean bounds s to limit bytes, an ellipsis at the end where it was cut, and
// puts U+FFFD for what is not UTF-8 and for characters that a reader does not
// see as they are: controls move a terminal's cursor, format characters turn
// the direction of text round, and either could forge a line of the record.
func clean(s string, limit int) string {
	const ellipsis = "…"
	var b strings.Builder
	cut := 0 // where the text ends if an ellipsis must follow
	for _, r := range s {
		if unseen(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			return b.String()[:cut] + ellipsis
		}
		b.WriteRune(r)
		if b.Len() <= limit-len(ellipsis) {
			cut = b.Len()
		}
	}
	return b.String()
}

// unseen reports whether a reader does not see a character as it is.
func unseen(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

func visible(s string) bool { return utf8.ValidString(s) && strings.IndexFunc(s, unseen) < 0 }
