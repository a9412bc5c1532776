package policytest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/rules"
)

// Known is a job that is compared.
type Known struct {
	Name   string // of a test file's job, or what a record says of it
	Claims map[string]any
	Roles  []string // asked for, beside those that the rules name
	Count  int      // in how many records it stands; 0 for a test file's job
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

// access is what a side gives to a job for a role.
type access struct {
	allowed bool
	unknown string
	rule    string
	session *Session
}

func (d *Difference) rules(before, after *Side, job Known, now time.Time) {
	roles := slices.Clone(job.Roles)
	for _, s := range []*Side{before, after} {
		if claims, ok := explain.Accepted(s.Config, withAudience(job.Claims, s.audience(job.Claims))); ok {
			for _, role := range s.Rules.Roles(claims) {
				if !slices.Contains(roles, role) {
					roles = append(roles, role)
				}
			}
		}
	}
	for _, role := range roles {
		req := rules.Request{Role: role, Time: now}
		was, is := before.access(job.Claims, req), after.access(job.Claims, req)
		d.compare(job, role, was, is, func() []Leg { return after.decide(job.Claims, req).Legs })
	}
	req := rules.Request{Time: now}
	was, is := before.access(job.Claims, req), after.access(job.Claims, req)
	if was.allowed && is.allowed && was.session.Role != is.session.Role {
		d.add(job, Change{Kind: Changes, Role: was.session.Role, OldRule: was.rule, NewRule: is.rule,
			Details: []string{"a job that names no role gets " + is.session.Role + " instead"}})
	}
}

// access is what decide decides, without an explanation.
func (s *Side) access(payload map[string]any, req rules.Request) access {
	claims, ok := explain.Accepted(s.Config, withAudience(payload, s.audience(payload)))
	if !ok {
		return access{}
	}
	decision := s.Rules.Decide(claims, req)
	g, granted := decision.Grant()
	if !granted {
		return access{}
	}
	a := access{allowed: true, rule: decision.Rule, session: sessionOf(g)}
	role, known, unclear := s.role(g.Role())
	if unclear != "" {
		return access{unknown: unclear}
	}
	if !known {
		return a
	}
	if role.MaxSession > 0 && g.Session().Duration > role.MaxSession {
		return access{}
	}
	role = inAccount(role, g.Role(), s.Providers)
	call, unknown, refused := webIdentity(role, explain.StintToken(s.Config.Issuer, g), iam.WebIdentityCall{RoleARN: g.Role(), RoleSessionName: g.Session().Name, Time: req.Time})
	if unknown != "" || refused != "" {
		return access{unknown: unknown}
	}
	if a.allowed = iam.EvaluateWebIdentity(role.Trust.Full, call).Allowed; !a.allowed {
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
		if a, b := old[key].Trust, renewed[key].Trust; a != nil && b != nil && a.Full == nil && b.Full == nil && a.Node.String() == b.Node.String() {
			continue // whatever is not known of it is the same on both sides
		}
		was, is := trustAccess(old, key, job.Claims, now), trustAccess(renewed, key, job.Claims, now)
		d.compare(job, key, was, is, func() []Leg {
			role, there := renewed[key]
			if !there {
				return nil
			}
			out := Outcome{}
			out.trust(role, key, withAudience(job.Claims, "sts.amazonaws.com"), iam.WebIdentityCall{RoleSessionName: "stint-diff", Time: now})
			return out.Legs
		})
	}
}

func trustAccess(roles map[string]inventory.Role, key string, claims map[string]any, now time.Time) access {
	role, there := roles[key]
	if !there {
		return access{}
	}
	call, unknown, refused := webIdentity(role, withAudience(claims, "sts.amazonaws.com"), iam.WebIdentityCall{RoleSessionName: "stint-diff", Time: now})
	if unknown != "" || refused != "" {
		return access{unknown: unknown}
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
			file := strings.TrimPrefix(strings.TrimPrefix(r.Position.File, s.Name), "/")
			key = strings.TrimSpace(cmp.Or(file, "the file") + " " + cmp.Or(r.Address, names[i]))
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

func (d *Difference) compare(job Known, role string, was, is access, why func() []Leg) {
	c := Change{Role: role, OldRule: was.rule, NewRule: is.rule}
	switch {
	case was.unknown != "" || is.unknown != "":
		// What is not known of a role is the same for every job.
		if slices.ContainsFunc(d.Changes, func(c Change) bool { return c.Kind == Unsure && c.Role == role }) {
			return
		}
		c.Kind, job = Unsure, Known{Name: "every job"}
		for _, side := range []struct{ name, unknown string }{{"old", was.unknown}, {"new", is.unknown}} {
			if side.unknown != "" {
				c.Details = append(c.Details, side.name+": "+side.unknown)
			}
		}
	case !was.allowed && !is.allowed:
		return
	case !was.allowed:
		c.Kind = Gains
	case !is.allowed:
		c.Kind, c.Why = Loses, why()
	default:
		c.Details = differences(was.session, is.session)
		if len(c.Details) == 0 {
			d.Same++
			return
		}
		c.Kind = Changes
	}
	d.add(job, c)
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
	return out
}

func seconds(s *Session) string { return (time.Duration(s.DurationSeconds) * time.Second).String() }

func transitive(s *Session) string {
	return strings.Join(slices.Sorted(slices.Values(s.Transitive)), ", ")
}
