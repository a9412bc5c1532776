package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/iam"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/explain"
	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/roles"
	"github.com/stint-dev/stint/internal/rules"
	"github.com/stint-dev/stint/internal/strictjson"
)

type explainFlags struct {
	policy, role, rules      string
	claims, token            string
	audience, sessionName    string
	tags, transitive         []string
	sourceIdentity, provider string
	json                     bool
}

func newExplainCommand(e *Env) *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain (--policy FILE | --role FILE | --rules FILE)...",
		Short: "Say why a token is let in by a trust policy or by rules, or why not",
		Long: `Say whether a token would be let in by a role's trust policy, by the broker's
rules, or on the whole way through both, and by which statement; and if not, what
each condition expected and found, the cause, and the smallest change that would
let it pass. A change is tried before it is proposed.

The token is that of --token, the claims of --claims, or else this job's own. Its
signature and times are not checked, and nothing is asked of AWS or of a broker.
A stint token carries its tags and source identity itself.

With --rules and a trust policy, the claims are a job token's: the rules decide,
and the trust policy sees the stint token that the broker would sign.

  stint explain --policy trust.json --claims claims.json
  stint explain --role role.json --token token.jwt
  stint explain --rules stint.yaml --role role.json

Exit codes: 0 allowed, 1 broken input, 2 wrong usage, 3 denied.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			way, err := f.run(c.Context(), e)
			if err != nil {
				return err
			}
			last := way[len(way)-1]
			if f.json {
				err = printJSON(e.Stdout, explained(way))
			} else {
				err = printExplanation(e.Stdout, way)
			}
			if err == nil && last.Decision != explain.Allowed {
				err = exitStatus(exitDenied)
			}
			return err
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.policy, "policy", "", "a trust policy, as JSON in a `file`")
	fl.StringVar(&f.role, "role", "", "a role as 'aws iam get-role' prints it, in a `file`")
	fl.StringVarP(&f.rules, "rules", "c", "", "the broker's configuration `file`")
	fl.StringVar(&f.claims, "claims", "", "a token's payload, as JSON in a `file`, or - for stdin")
	fl.StringVar(&f.token, "token", "", "a token in a `file`, or - for stdin (default: this job's own)")
	fl.StringVar(&f.audience, "audience", "", "the `audience` in effect instead of the token's; with --rules the one asked for in the stint token")
	fl.StringVar(&f.sessionName, "session-name", "", "the RoleSessionName of the call; with --rules the rule's")
	fl.StringArrayVar(&f.tags, "tag", nil, "a session tag, `KEY=VALUE`, beside those in the token; repeatable")
	fl.StringArrayVar(&f.transitive, "transitive", nil, "the `key` of a tag that role chaining inherits; repeatable")
	fl.StringVar(&f.sourceIdentity, "source-identity", "", "the source `identity` of the session (default: the token's)")
	fl.StringVar(&f.provider, "provider", "", "the `ARN` of the OIDC provider in the role's account (default: of the role's account and the token's issuer)")
	fl.BoolVar(&f.json, "json", false, "print it as one JSON object")
	return c
}

// leg is one decision on the way from a job token to a session.
type leg struct {
	title string
	explain.Explanation
}

func (f *explainFlags) check() error {
	usage := usagef("see 'stint explain --help'")
	switch {
	case f.policy == "" && f.role == "" && f.rules == "":
		return usage("expected --policy, --role or --rules, found none of them")
	case f.policy != "" && f.role != "":
		return usage("expected --policy or --role, found both")
	case f.claims != "" && f.token != "":
		return usage("expected --claims or --token, found both")
	}
	if f.rules != "" {
		for name, set := range map[string]bool{"--tag": len(f.tags) > 0, "--transitive": len(f.transitive) > 0,
			"--source-identity": f.sourceIdentity != "", "--session-name": f.sessionName != ""} {
			if set {
				return usagef("with --rules the session is what the rule makes of it")("%s does not go with --rules", name)
			}
		}
	}
	for _, t := range f.tags {
		if key, _, ok := strings.Cut(t, "="); !ok || key == "" {
			return usagef("write it as --tag KEY=VALUE")("expected KEY=VALUE, found %q", printable(t))
		}
	}
	return nil
}

// run explains each decision on the way, and stops after a denial.
func (f *explainFlags) run(ctx context.Context, e *Env) ([]leg, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	policy, role, err := f.readPolicy()
	if err != nil {
		return nil, err
	}
	var cfg *config.Config
	var set *rules.Set
	if f.rules != "" {
		if cfg, err = config.Load(f.rules); err != nil {
			return nil, err
		}
		if set, err = rules.Compile(cfg); err != nil {
			return nil, err
		}
	}
	claims, err := f.readClaims(ctx, e)
	if err != nil {
		return nil, err
	}
	call := iam.WebIdentityCall{RoleARN: role.ARN, RoleTags: role.Tags, RoleSessionName: f.sessionName, Audience: f.audience, Time: e.Now()}
	var way []leg
	if set != nil {
		x, d := explain.Rules(cfg, set, claims, rules.Request{Role: role.ARN, Audience: f.audience, Time: e.Now()})
		way = append(way, leg{"rules of " + printable(f.rules), x})
		g, granted := d.Grant()
		if !granted || policy == nil {
			return way, nil
		}
		claims = explain.StintToken(cfg.Issuer, g)
		call.RoleARN, call.RoleSessionName = first(role.ARN, g.Role()), g.Session().Name
		call.Audience = ""
		if x, refused := explain.TooLong(g.Session().Duration, role.MaxSessionDuration); refused && role.ARN != "" {
			return append(way, leg{"limits of " + printable(f.role), x}), nil
		}
	}
	if err := f.fill(&call, policy, claims); err != nil {
		return nil, err
	}
	return append(way, leg{"trust policy " + printable(first(f.policy, f.role)), explain.WebIdentity(policy, call)}), nil
}

// fill adds to a call what the token carries and what the flags say.
func (f *explainFlags) fill(call *iam.WebIdentityCall, policy *iam.Policy, claims map[string]any) error {
	carried, err := explain.ReadToken(claims)
	if err != nil {
		return failf("AWS STS refuses such a token: principal_tags passed in claim is not in correct format", "reading the token: %w", err)
	}
	call.Claims = claims
	call.Issuer, _ = claims["iss"].(string)
	if !strings.HasPrefix(call.Issuer, "https://") {
		return failf("give the whole payload of the token", "reading the token: expected an iss that is an https address, found %s", printable(claimText(claims["iss"])))
	}
	call.Tags, call.TransitiveTagKeys = carried.Tags, append(carried.Transitive, f.transitive...)
	call.SourceIdentity = first(f.sourceIdentity, carried.SourceIdentity)
	for _, t := range f.tags {
		key, value, _ := strings.Cut(t, "=")
		call.Tags = append(call.Tags, iam.Tag{Key: key, Value: value})
	}
	call.RolesClaim = carried.Limited && (call.RoleARN == "" || slices.Contains(carried.Roles, call.RoleARN))
	if call.Provider = first(f.provider, explain.Provider(policy, call.RoleARN, call.Issuer)); call.Provider == "" {
		return usagef("name the provider with --provider, or give the role with --role")("the policy names no provider, so the role's account is not known")
	}
	return nil
}

// readPolicy reads the trust policy of --policy or of --role. Without either
// there is none.
func (f *explainFlags) readPolicy() (*iam.Policy, roles.Role, error) {
	switch {
	case f.role != "":
		data, err := readInput(f.role)
		if err != nil {
			return nil, roles.Role{}, err
		}
		all, err := roles.Parse(f.role, data)
		if err != nil {
			return nil, roles.Role{}, failf("", "%w", err)
		}
		if len(all) != 1 {
			return nil, roles.Role{}, failf("give the one role that the call is for", "%s: expected one role, found %d", f.role, len(all))
		}
		return all[0].Trust, all[0], nil
	case f.policy != "":
		data, err := readInput(f.policy)
		if err != nil {
			return nil, roles.Role{}, err
		}
		p, err := iam.ParsePolicy(data)
		if err != nil {
			return nil, roles.Role{}, policyError(f.policy, err)
		}
		return p, roles.Role{}, nil
	}
	return nil, roles.Role{}, nil
}

func policyError(name string, err error) error {
	var syntax *iam.SyntaxError
	if !errors.As(err, &syntax) {
		return failf("", "%s: %w", name, err)
	}
	message := syntax.Message
	if syntax.Path != "" {
		message = syntax.Path + ": " + message
	}
	return failf("a role as 'aws iam get-role' prints it goes to --role", "%s:%d:%d: %s", name, syntax.Line, syntax.Column, printable(message))
}

func (f *explainFlags) readClaims(ctx context.Context, e *Env) (map[string]any, error) {
	if f.claims != "" {
		var data []byte
		var err error
		if f.claims == "-" {
			data, err = io.ReadAll(io.LimitReader(e.Stdin, maxInput))
		} else {
			data, err = readInput(f.claims)
		}
		if err != nil {
			return nil, err
		}
		claims, err := strictjson.Object(data)
		if err != nil {
			return nil, claimsError(f.claims, data, err)
		}
		return claims, nil
	}
	raw, err := f.rawToken(ctx, e)
	if err != nil {
		return nil, err
	}
	// No key set: nothing is fetched, and nothing is believed.
	seen, err := identity.Inspect(ctx, raw, identity.InspectConfig{JWKS: []byte(`{"keys":[]}`), Now: e.Now})
	if err != nil {
		return nil, failf("expected a signed JWT in compact form: header.payload.signature", "reading the token: %w", err)
	}
	return seen.Payload, nil
}

func (f *explainFlags) rawToken(ctx context.Context, e *Env) (string, error) {
	if f.token != "" {
		raw, err := readToken(e.Stdin, f.token)
		return raw.Reveal(), err
	}
	audience := first(f.audience, "sts.amazonaws.com")
	if f.rules != "" {
		audience = first(e.Getenv("STINT_AUDIENCE"), e.Getenv("STINT_URL"))
	}
	raw, err := ownToken(ctx, e, audience)
	return raw.Reveal(), err
}

func claimsError(name string, data []byte, err error) error {
	var at *strictjson.Error
	offset := 0
	if errors.As(err, &at) {
		offset = at.Offset
	}
	before := string(data[:min(offset, len(data))])
	line := strings.Count(before, "\n") + 1
	column := len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	return failf("expected a token's payload, one JSON object; a token itself goes to --token", "%s:%d:%d: %w", name, line, column, err)
}

// maxInput is more than any policy, role or payload has.
const maxInput = 1 << 20

func readInput(name string) ([]byte, error) {
	in, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("name a file that holds it")("there is no such file: %s", shortened(name))
	}
	if err != nil {
		return nil, failf("", "reading %s: %w", name, err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, failf("", "reading %s: %w", name, err)
	}
	if len(data) > maxInput {
		return nil, failf("", "%s:1:1: expected at most %d bytes", name, maxInput)
	}
	return data, nil
}
