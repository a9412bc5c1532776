package policytest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/rules"
)

// Known is a job that is compared.
type Known struct {
	Name   string // of a test file's job, or what a record says of it
	Claims map[string]any
	Asks   []Ask // beside what the rules name
	Count  int   // in how many records it stands; 0 for a test file's job
}

// Kind is what becomes of a job's access.
type Kind string

// The kinds, in the order in which they are shown.
const (
	Gains   Kind = "gains"   // the new side gives it, the old did not
	Loses   Kind = "loses"   // the old side gave it, the new does not
	Changes Kind = "changes" // both give it, and the session differs
	Unsure  Kind = "unknown" // one side cannot be known
)

// Change is a difference in what one job gets.
type Change struct {
	Kind    Kind   `json:"kind"`
	Job     string `json:"job"`
	Records int    `json:"records,omitempty"` // of the audit log in which the job stands
	Subject string `json:"subject"`           // of the job's token
	Role    string `json:"role"`
	// Pool, Audience and DurationSeconds are asked for, where that is not what
	// the rules give by default. Basic is a pool's basic flow, which gives a
	// token and no role.
	Pool            string `json:"identity_pool,omitempty"`
	Basic           bool   `json:"basic,omitempty"`
	Audience        string `json:"audience,omitempty"`
	DurationSeconds int64  `json:"duration_seconds,omitempty"`
	// OldRule and NewRule are the rules that give it, with configurations.
	OldRule string `json:"old_rule,omitempty"`
	NewRule string `json:"new_rule,omitempty"`
	// Details are the differences of the session, or why it is not known.
	Details []string `json:"details,omitempty"`
	// Why is the explanation of a loss.
	Why []Leg `json:"explanations,omitempty"`
}

// Difference is what differs between two sides.
type Difference struct {
	Jobs    int      `json:"jobs"` // that were compared
	Same    int      `json:"same"` // pairs of a job and a role that both sides give alike
	Changes []Change `json:"changes"`
}

// Count is how many changes are of this kind.
func (d Difference) Count(k Kind) int {
	n := 0
	for _, c := range d.Changes {
		if c.Kind == k {
			n++
		}
	}
	return n
}

// Diff compares what two sides give to jobs. Both have a configuration, or
// neither; without one the roles' trust policies see the jobs' own tokens.
func Diff(before, after *Side, jobs []Known, now time.Time) Difference {
	d := Difference{Jobs: len(jobs), Changes: []Change{}}
	for _, job := range jobs {
		if before.Config != nil {
			d.rules(before, after, job, now)
		} else {
			d.trust(before, after, job, now)
		}
	}
	order := map[Kind]int{Gains: 0, Loses: 1, Changes: 2, Unsure: 3}
	slices.SortStableFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(order[a.Kind], order[b.Kind]), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Job, b.Job))
	})
	return d
}

// access is what a side gives to a job.
type access struct {
	allowed bool   // by the rules, and by the trust policy unless unknown says otherwise
	unknown string // why the trust policy's verdict is not known; the rules allow it then
	rule    string
	session *Session
	role    inventory.Role // whose trust policy it is, where that is known
}

func (d *Difference) rules(before, after *Side, job Known, now time.Time) {
	// A job without an audience asks for that of the old side: what the new
	// one makes of such a token is the question.
	audience := after.audience(job.Claims)
	if before.trusts(job.Claims) {
		audience = before.audience(job.Claims)
	}
	job.Claims = withAudience(job.Claims, audience)
	for _, ask := range asks(before, after, job) {
		was, is := before.access(job.Claims, ask, now), after.access(job.Claims, ask, now)
		same := func() bool { return sameSource(before, after, was.role, is.role) }
		d.compare(job, ask, was, is, same, func() []Leg { return after.decide(job.Claims, ask, now).Legs })
	}
}

// asks are everything that a job could ask one of the sides for: each role that
// the rules of a side name with each audience and duration that the job was
// seen to ask for; and each pool.
func asks(before, after *Side, job Known) []Ask {
	forms := []Ask{{}}
	var roles []string
	for _, a := range job.Asks {
		if a.Role != "" && !slices.Contains(roles, a.Role) {
			roles = append(roles, a.Role)
		}
		if form := (Ask{Audience: a.Audience, Duration: a.Duration}); a.Pool == "" && !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	var pools []Ask
	for _, s := range []*Side{before, after} {
		claims, ok := explain.Accepted(s.Config, job.Claims)
		if !ok {
			continue
		}
		for _, role := range s.Rules.Roles(claims) {
			if !slices.Contains(roles, role) {
				roles = append(roles, role)
			}
		}
		for _, p := range s.Rules.Pools() {
			v, ok := p.ByIssuer(claims.Issuer())
			if !ok {
				continue
			}
			for _, role := range v.Roles(claims) {
				pools = append(pools, Ask{Pool: p.ID, Role: role})
			}
			pools = append(pools, Ask{Pool: p.ID}, Ask{Pool: p.ID, Basic: true})
		}
	}
	var all []Ask
	add := func(a Ask) {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	for _, form := range forms {
		for _, role := range append(roles, "") { // without a role last: see compare
			form.Role = role
			add(form)
		}
	}
	slices.SortStableFunc(pools, func(a, b Ask) int { return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(b.Role, a.Role)) })
	for _, a := range pools {
		add(a)
	}
	return all
}

// trusts reports whether the issuer of a token is configured.
func (s *Side) trusts(claims map[string]any) bool {
	return slices.ContainsFunc(s.Config.Issuers, func(i config.Issuer) bool { return i.URL == claims["iss"] })
}

// access is what decide decides, without an explanation.
func (s *Side) access(payload map[string]any, ask Ask, now time.Time) access {
	claims, ok := explain.Accepted(s.Config, payload)
	if !ok {
		return access{}
	}
	var decision rules.Decision
	if ask.Pool == "" {
		decision = s.Rules.Decide(claims, ask.request(now))
	} else if p, ok := s.Rules.Pool(ask.Pool); ok && (p.Classic || !ask.Basic) {
		if v, ok := p.ByIssuer(claims.Issuer()); ok && !(ask.Basic && v.Mapped) {
			decision = v.Decide(claims, ask.request(now), ask.Basic)
		}
	}
	g, granted := decision.Grant()
	if !granted {
		return access{}
	}
	a := access{allowed: true, rule: decision.Rule, session: sessionOf(g)}
	if trustUnseen(g) {
		return a
	}
	role, known, unclear := s.role(g.Role())
	if a.unknown = unclear; !known || unclear != "" {
		return a
	}
	a.role = role
	if role.MaxSession > 0 && g.Session().Duration > role.MaxSession {
		return access{}
	}
	role = inAccount(role, g.Role(), s.Providers)
	call, unknown, refused := webIdentity(role, s.Providers, explain.StintToken(s.Config.Issuer, g), iam.WebIdentityCall{RoleARN: g.Role(), RoleSessionName: g.Session().Name, Time: now})
	if a.unknown = unknown; unknown != "" {
		return a
	}
	if refused != "" || !iam.EvaluateWebIdentity(role.Trust.Full, call).Allowed {
		return access{}
	}
	return a
}

func (d *Difference) trust(before, after *Side, job Known, now time.Time) {
	old, renewed := before.byKey(), after.byKey()
	keys := slices.Sorted(maps.Keys(old))
	for key := range renewed {
		if _, both := old[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		was, is := before.trustAccess(old, key, job.Claims, now), after.trustAccess(renewed, key, job.Claims, now)
		same := func() bool { return sameSource(before, after, old[key], renewed[key]) }
		d.compare(job, Ask{Role: key}, was, is, same, func() []Leg {
			role, there := renewed[key]
			if !there {
				return nil
			}
			out := Outcome{}
			out.trust(role, key, after.Providers, withAudience(job.Claims, "sts.amazonaws.com"), iam.WebIdentityCall{RoleSessionName: "stint-diff", Time: now})
			return out.Legs
		})
	}
}

func (s *Side) trustAccess(roles map[string]inventory.Role, key string, claims map[string]any, now time.Time) access {
	role, there := roles[key]
	if !there {
		return access{}
	}
	call, unknown, refused := webIdentity(role, s.Providers, withAudience(claims, "sts.amazonaws.com"), iam.WebIdentityCall{RoleSessionName: "stint-diff", Time: now})
	if unknown != "" || refused != "" {
		return access{unknown: unknown, allowed: unknown != ""}
	}
	return access{allowed: iam.EvaluateWebIdentity(role.Trust.Full, call).Allowed}
}

// byKey are roles by what names them on both sides: the ARN, else the name, and
// else, or where a name stands twice, the file and the address in it.
func (s *Side) byKey() map[string]inventory.Role {
	names := make([]string, len(s.Roles))
	times := map[string]int{}
	for i, r := range s.Roles {
		if name, ok := r.Name.Known(); ok {
			names[i] = name
		}
		if arn, ok := r.ARN.Known(); ok && arn != "" {
			names[i] = arn
		}
		times[names[i]]++
	}
	out := map[string]inventory.Role{}
	for i, r := range s.Roles {
		key := names[i]
		if key == "" || times[key] > 1 {
			key = strings.TrimSpace(cmp.Or(s.below(r.Position.File), "the file") + " " + cmp.Or(r.Address, names[i]))
		}
		for n := 2; ; n++ {
			if _, taken := out[key]; !taken {
				break
			}
			key = fmt.Sprintf("%s (%d)", strings.TrimSuffix(key, fmt.Sprintf(" (%d)", n-1)), n)
		}
		out[key] = inAccount(r, "", s.Providers)
	}
	return out
}

// compare notes what differs for one job that asks for one thing. same says
// whether what is not known of the role is made of the same text on both sides.
func (d *Difference) compare(job Known, ask Ask, was, is access, same func() bool, why func() []Leg) {
	c := Change{Role: ask.Role, Pool: ask.Pool, Basic: ask.Basic, Audience: ask.Audience, DurationSeconds: int64(ask.Duration / time.Second),
		OldRule: was.rule, NewRule: is.rule}
	if ask.Role == "" {
		c.Role = roleOf(was, is)
		if d.told(job, c) {
			return
		}
	}
	switch {
	case !was.allowed && !is.allowed:
		return
	case was.unknown != "" && is.unknown != "" && same():
		// What is not known lets in the same jobs on both sides, or none: the
		// rules tell what differs.
		d.settle(job, c, ask, was, is, was.unknown)
		return
	case was.unknown != "" && is.unknown != "", (was.unknown != "" || is.unknown != "") && was.allowed && is.allowed, was.unknown+is.unknown != "" && was.session == nil && is.session == nil:
		// It is the same for every job.
		if slices.ContainsFunc(d.Changes, func(other Change) bool { return other.Kind == Unsure && other.Role == c.Role }) {
			return
		}
		c.Kind, job = Unsure, Known{Name: "every job"}
		for _, side := range []struct{ name, unknown string }{{"old", was.unknown}, {"new", is.unknown}} {
			if side.unknown != "" {
				c.Details = append(c.Details, side.name+": "+side.unknown)
			}
		}
		d.add(job, c)
		return
	case !was.allowed:
		c.Kind = Gains
	case !is.allowed:
		c.Kind, c.Why = Loses, why()
	default:
		d.settle(job, c, ask, was, is, "")
		return
	}
	if unknown := was.unknown + is.unknown; unknown != "" {
		c.Details = append(c.Details, "if the trust policy lets it in, which is not known: "+unknown)
	}
	d.add(job, c)
}

// settle compares the sessions of two sides that both allow it.
func (d *Difference) settle(job Known, c Change, ask Ask, was, is access, unknown string) {
	switch {
	case was.allowed && !is.allowed:
		c.Kind = Loses
	case !was.allowed && is.allowed:
		c.Kind = Gains
	default:
		c.Kind = Changes
		c.Details = differences(was.session, is.session)
		if len(c.Details) == 0 {
			if ask.Role != "" || ask.Basic { // one that names no role is counted with its role
				d.Same++
			}
			return
		}
		if ask.Role == "" && !ask.Basic && was.session.Role != is.session.Role {
			c.Details = []string{"a job that names no role gets " + is.session.Role + " instead"}
		}
	}
	if unknown != "" {
		c.Details = append(c.Details, "if the trust policy lets it in, which is not known: "+unknown)
	}
	d.add(job, c)
}

// roleOf is the role that a request without one is about.
func roleOf(was, is access) string {
	for _, a := range []access{was, is} {
		if a.session != nil && a.session.Role != "" {
			return a.session.Role
		}
	}
	return ""
}

// told reports whether a change of the same access is noted already, for a
// request that names the role.
func (d *Difference) told(job Known, c Change) bool {
	return !c.Basic && slices.ContainsFunc(d.Changes, func(o Change) bool {
		subject, _ := job.Claims["sub"].(string)
		return o.Job == job.Name && o.Subject == subject && o.Role == c.Role && o.Pool == c.Pool && o.Audience == c.Audience && o.DurationSeconds == c.DurationSeconds && o.Kind != Unsure
	})
}

func (d *Difference) add(job Known, c Change) {
	c.Job, c.Records = job.Name, job.Count
	c.Subject, _ = job.Claims["sub"].(string)
	d.Changes = append(d.Changes, c)
}

// differences are what is not the same in two sessions of one role.
func differences(was, is *Session) []string {
	if was == nil || is == nil {
		return nil
	}
	var out []string
	differ := func(what, before, after string) {
		if before != after {
			out = append(out, fmt.Sprintf("%s: %s -> %s", what, shown(before), shown(after)))
		}
	}
	differ("role", was.Role, is.Role)
	differ("roles that the token may buy", anyOf(was.Roles), anyOf(is.Roles))
	differ("bought by", cmp.Or(was.Via, "web identity"), cmp.Or(is.Via, "web identity"))
	differ("external id", was.ExternalID, is.ExternalID)
	differ("subject", was.Subject, is.Subject)
	differ("audience", was.Audience, is.Audience)
	differ("session name", was.Name, is.Name)
	differ("source identity", was.SourceIdentity, is.SourceIdentity)
	differ("duration", seconds(was), seconds(is))
	keys := slices.Concat(slices.Collect(maps.Keys(was.Tags)), slices.Collect(maps.Keys(is.Tags)))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		before, had := was.Tags[key]
		after, has := is.Tags[key]
		switch {
		case !had:
			out = append(out, fmt.Sprintf("tag %s: + %s", key, shown(after)))
		case !has:
			out = append(out, fmt.Sprintf("tag %s: - %s", key, shown(before)))
		default:
			differ("tag "+key, before, after)
		}
	}
	differ("transitive tags", transitive(was), transitive(is))
	differ("tags for role chaining", strings.Join(was.Chain, ", "), strings.Join(is.Chain, ", "))
	differ("dropped tags", strings.Join(was.Dropped, ", "), strings.Join(is.Dropped, ", "))
	return out
}

func seconds(s *Session) string { return (time.Duration(s.DurationSeconds) * time.Second).String() }

func transitive(s *Session) string {
	return strings.Join(slices.Sorted(slices.Values(s.Transitive)), ", ")
}

// anyOf are the roles that a token of a basic flow may buy.
func anyOf(roles []string) string {
	return strings.Join(roles, ", ")
}
