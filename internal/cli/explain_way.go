package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/roles"
	"github.com/stint-dev/stint/internal/rules"
)

// walk is the way from a token to what a session asks for, one decision after
// the other. It ends with the first denial.
type walk struct {
	*explainFlags
	now time.Time
	way []leg

	trust  *iam.Policy // of --policy or --role
	role   roles.Role
	claims map[string]any // of the token that comes to the next door

	cfg     *config.Config
	grant   rules.Grant
	granted bool

	session explain.Caller // of the last role that was assumed
}

// run explains each decision on the way, and stops after a denial.
func (f *explainFlags) run(ctx context.Context, e *Env) ([]leg, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	w := &walk{explainFlags: f, now: e.Now()}
	var err error
	if w.trust, w.role, err = f.readPolicy(); err != nil {
		return nil, err
	}
	// All files are read before anything is decided: a broken one is broken
	// whether or not the way comes to it.
	files, err := f.readFiles()
	if err != nil {
		return nil, err
	}
	if f.rules != "" {
		if w.cfg, err = config.Load(f.rules); err != nil {
			return nil, err
		}
	}
	if !f.hasCaller() && !f.session {
		if w.claims, err = f.readClaims(ctx, e); err != nil {
			return nil, err
		}
	}
	for _, step := range []func() error{
		w.askRules,
		func() error { return w.enter(files) },
		func() error { return w.assumeNext(files) },
		func() error { return w.act(files) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
		if n := len(w.way); n > 0 && w.way[n-1].Decision != explain.Allowed {
			break
		}
	}
	return w.way, nil
}

func (w *walk) add(title string, x explain.Explanation) {
	if spoken := layerTitles[x.Layer]; spoken != "" {
		title = strings.TrimSpace(spoken + " " + x.Policy)
	}
	w.way = append(w.way, leg{title: title, Explanation: x})
}

// layerTitles are the layers of policies as a decision is said to be theirs.
var layerTitles = map[string]string{
	explain.LayerIdentity: "identity policy",
	explain.LayerBoundary: "permissions boundary",
	explain.LayerSession:  "session policy",
	explain.LayerResource: "resource policy",
}

// askRules is the broker's decision, of which a grant makes a stint token.
func (w *walk) askRules() error {
	if w.cfg == nil {
		return nil
	}
	set, err := rules.Compile(w.cfg)
	if err != nil {
		return err
	}
	var x explain.Explanation
	var d rules.Decision
	req := rules.Request{Role: w.role.ARN, Audience: w.audience, Time: w.now}
	title := "rules of " + printable(w.rules)
	if w.pool != "" {
		title = "identity pool " + printable(w.pool) + " of " + printable(w.rules)
		if x, d, err = explain.Pool(w.cfg, set, w.pool, w.basic, w.claims, req); err != nil {
			return usagef("'stint explain --help' shows how")("%w", err)
		}
	} else {
		x, d = explain.Rules(w.cfg, set, w.claims, req)
	}
	w.add(title, x)
	if w.grant, w.granted = d.Grant(); w.granted {
		w.claims = explain.StintToken(w.cfg.Issuer, w.grant)
		w.way[len(w.way)-1].size = sizeOf(w.grant)
	}
	return nil
}

// enter is the call that assumes the first role: with a token, or by somebody
// who has none.
func (w *walk) enter(files policyFiles) error {
	target := explain.Role{ARN: w.role.ARN, ID: w.role.ID, Tags: w.role.Tags}
	switch {
	case w.trust == nil:
		return nil
	case w.explainFlags.session:
		w.session = w.givenSession(target)
		return nil
	case w.hasCaller():
		caller := w.givenSession(files.caller)
		return w.assume(caller, files, "trust policy "+printable(first(w.policy, w.explainFlags.role)), w.trust, target, w.role.MaxSessionDuration)
	}
	call := iam.WebIdentityCall{RoleARN: w.role.ARN, RoleTags: w.role.Tags, RoleSessionName: w.sessionName, Audience: w.audience, Time: w.now}
	if w.granted {
		call.RoleARN, call.RoleSessionName = first(w.role.ARN, w.grant.Role()), w.grant.Session().Name
		call.Audience = ""
		if x, refused := explain.TooLong(w.grant.Session().Duration, w.role.MaxSessionDuration); refused && w.role.ARN != "" {
			w.add("limits of "+printable(w.explainFlags.role), x)
			return nil
		}
	}
	if err := w.fill(&call); err != nil {
		return err
	}
	w.add("trust policy "+printable(first(w.policy, w.explainFlags.role)), explain.WebIdentity(w.trust, call))
	target.ARN = call.RoleARN
	w.session = explain.TokenSession(target, call)
	if w.granted {
		w.session = w.session.Given(w.cfg, w.grant)
	}
	return nil
}

// fill adds to a web identity call what the token carries and, where it is the
// last call, what the flags say.
func (w *walk) fill(call *iam.WebIdentityCall) error {
	carried, err := explain.ReadToken(w.claims)
	if err != nil {
		return failf("AWS STS refuses such a token: principal_tags passed in claim is not in correct format", "reading the token: %w", err)
	}
	call.Claims = w.claims
	call.Issuer, _ = w.claims["iss"].(string)
	if !strings.HasPrefix(call.Issuer, "https://") {
		return failf("give the whole payload of the token", "reading the token: expected an iss that is an https address, found %s", printable(claimText(w.claims["iss"])))
	}
	call.Tags, call.TransitiveTagKeys, call.SourceIdentity = carried.Tags, carried.Transitive, carried.SourceIdentity
	if w.chain == "" {
		call.Tags = append(call.Tags, tagsOf(w.tags)...)
		call.TransitiveTagKeys = append(call.TransitiveTagKeys, w.transitive...)
		call.SourceIdentity = first(w.sourceIdentity, carried.SourceIdentity)
	}
	call.MoreKeys = explain.FurtherKeys(w.keys(), true)
	call.RolesClaim = carried.Limited && (call.RoleARN == "" || slices.Contains(carried.Roles, call.RoleARN))
	if call.Provider = first(w.provider, explain.Provider(w.trust, call.RoleARN, call.Issuer)); call.Provider == "" {
		return usagef("name the provider with --provider, or give the role with --role")("the policy names no provider, so the role's account is not known")
	}
	return nil
}

// keys are the further condition keys of the requests, by --context.
func (w *walk) keys() map[string][]string {
	keys := map[string][]string{}
	for _, c := range w.context {
		key, value, _ := strings.Cut(c, "=")
		keys[key] = append(keys[key], value)
	}
	return keys
}

func tagsOf(flags []string) []iam.Tag {
	var tags []iam.Tag
	for _, t := range flags {
		key, value, _ := strings.Cut(t, "=")
		tags = append(tags, iam.Tag{Key: key, Value: value})
	}
	return tags
}

// givenSession is a session as the flags describe it.
func (w *walk) givenSession(role explain.Role) explain.Caller {
	s := explain.Caller{Role: role, Tags: tagsOf(w.sessionTags), Transitive: w.sessionTrans, SourceIdentity: w.sessionIdentity}
	s.Role, s.Name = explain.ParseCaller(role)
	if w.explainFlags.session {
		s.Name = first(w.sessionName, s.Name)
	}
	return s
}

// assumeNext is the chained call of the session into another role.
func (w *walk) assumeNext(files policyFiles) error {
	if w.chain == "" {
		return nil
	}
	r := files.chain
	return w.assume(w.session, files, "trust policy "+printable(w.chain), r.Trust, explain.Role{ARN: r.ARN, ID: r.ID, Tags: r.Tags}, r.MaxSessionDuration)
}

func (w *walk) assume(caller explain.Caller, files policyFiles, title string, trust *iam.Policy, target explain.Role, most time.Duration) error {
	x, session := explain.AssumeRole(trust, explain.AssumeRoleCall{
		Caller: caller, Identity: files.fromIdentity, Boundary: files.fromBoundary, Role: target, MaxSession: most,
		SessionName: w.sessionName, ExternalID: w.externalID, Tags: tagsOf(w.tags), Transitive: w.transitive,
		SourceIdentity: w.sourceIdentity, Duration: w.duration, Time: w.now, Context: w.keys(),
	})
	w.session = session
	w.add(title, x)
	return nil
}

// act is what the session asks for in the end.
func (w *walk) act(files policyFiles) error {
	if w.action == "" {
		return nil
	}
	w.add("policies of the session", explain.Action(explain.Access{
		Session: w.session, Action: w.action, Resource: w.resource, ResourceAccount: w.resourceAccount, Context: w.keys(), Time: w.now,
		Identity: files.identity, Boundary: files.boundary, SessionPolicies: files.session, ResourcePolicy: files.resource,
	}))
	return nil
}
