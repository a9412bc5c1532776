package cli

import (
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/explain"
)

// explainFlags are the flags of stint explain: what decides, who calls, what
// the call carries, and what the session then asks for.
type explainFlags struct {
	policy, role, rules, chain string
	claims, token              string
	pool                       string
	basic                      bool
	from, fromRole             string
	fromIdentity               []string
	fromBoundary               string
	session                    bool
	sessionTags, sessionTrans  []string
	sessionIdentity            string

	audience, sessionName    string
	tags, transitive         []string
	sourceIdentity, provider string
	externalID               string
	duration                 time.Duration

	action, resource         string
	identity, sessionPolicy  []string
	resourcePolicy, boundary string
	context                  []string
	resourceAccount          string

	json bool
}

func newExplainCommand(e *Env) *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain (--policy FILE | --role FILE | --rules FILE)...",
		Short: "Say why a call is let in by policies or by rules, or why not",
		Long: `Say whether a token would be let in by a role's trust policy, by the broker's
rules, or on the whole way through both; whether the session may then assume
another role; and what it may do. Name the statement that decides, and where
something is denied what each condition expected and found, the cause, and the
smallest change that would let it pass. A change is tried before it is proposed.

Nothing is asked of AWS or of a broker, and the signature and times of a token are
not checked.

Who calls
  The token is that of --token, the claims of --claims, or else this job's own. A
  stint token carries its tags and source identity itself. With --rules and a
  trust policy, the claims are a job token's: the rules decide, and the trust
  policy sees the stint token that the broker would sign.

  stint explain --policy trust.json --claims claims.json
  stint explain --role role.json --token token.jwt
  stint explain --rules stint.yaml --role role.json
  stint explain --rules stint.yaml --pool github_actions --claims claims.json

A chained call
  --chain is a role that the session of --role assumes. --from-role or --from is a
  caller without a token, who assumes --role; --session-tag says what the caller's
  session carries. --tag, --transitive, --source-identity, --external-id and
  --duration are of the last call, --session-name of each.

  stint explain --role a.json --chain b.json --claims claims.json --tag env=prod
  stint explain --role b.json --from-role a.json --session-tag env=prod

What the session may do
  With --action and --resource, and the policies that apply. --session takes the
  session of --role as given, with the tags of --session-tag.

  stint explain --rules stint.yaml --role role.json --claims claims.json \
    --action s3:PutObject --resource arn:aws:s3:::site/octo-org/octo-repo/index.html \
    --identity policy.json
  stint explain --role role.json --session --session-tag env=prod \
    --action s3:GetObject --resource arn:aws:s3:::site/a --identity policy.json

Exit codes: 0 allowed, 1 broken input, 2 wrong usage, 3 denied.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var way []leg
			// A file may be a pipe, and stdin a terminal: nobody need come.
			if err := interruptible(c.Context(), func() (err error) {
				way, err = f.run(c.Context(), e)
				return err
			}); err != nil {
				return err
			}
			last := way[len(way)-1]
			var err error
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
	fl.StringVar(&f.pool, "pool", "", "with --rules: an identity pool, by its `id` or name, whose rules decide instead")
	fl.BoolVar(&f.basic, "basic", false, "with --pool: the basic (classic) flow")
	fl.StringVar(&f.claims, "claims", "", "a token's payload, as JSON in a `file`, or - for stdin")
	fl.StringVar(&f.token, "token", "", "a token in a `file`, or - for stdin (default: this job's own)")
	fl.StringVar(&f.audience, "audience", "", "the `audience` in effect instead of the token's; with --rules the one asked for in the stint token")
	fl.StringVar(&f.provider, "provider", "", "the `ARN` of the OIDC provider in the role's account (default: of the role's account and the token's issuer)")

	fl.StringVar(&f.chain, "chain", "", "a role that the session of --role assumes, in a `file` as for --role")
	fl.StringVar(&f.fromRole, "from-role", "", "the role whose session calls, in a `file` as for --role, instead of a token")
	fl.StringVar(&f.from, "from", "", "the `ARN` of the role, session or user that calls, instead of a token")
	fl.StringArrayVar(&f.fromIdentity, "from-identity", nil, "an identity policy of who assumes the role, in a `file`; repeatable")
	fl.StringVar(&f.fromBoundary, "from-boundary", "", "the permissions boundary of who assumes the role, in a `file`")
	fl.BoolVar(&f.session, "session", false, "take the session of --role as given: no token, and the trust policy is not asked; --session-tag without a caller means it too")
	fl.StringArrayVar(&f.sessionTags, "session-tag", nil, "a tag `KEY=VALUE` that the session of --from-role, --from or --session carries; repeatable")
	fl.StringArrayVar(&f.sessionTrans, "session-transitive", nil, "the `key` of such a tag that role chaining inherits; repeatable")
	fl.StringVar(&f.sessionIdentity, "session-identity", "", "the source `identity` of that session")

	fl.StringVar(&f.sessionName, "session-name", "", "the RoleSessionName of the call; with --rules the rule's")
	fl.StringArrayVar(&f.tags, "tag", nil, "a session tag, `KEY=VALUE`, that the call passes, beside those in the token; repeatable")
	fl.StringArrayVar(&f.transitive, "transitive", nil, "the `key` of a tag that role chaining inherits; repeatable")
	fl.StringVar(&f.sourceIdentity, "source-identity", "", "the source `identity` that the call sets (default: the token's)")
	fl.StringVar(&f.externalID, "external-id", "", "the external `id` of a chained call")
	fl.DurationVar(&f.duration, "duration", 0, "how long the session of a chained call shall last (default 1h)")

	fl.StringVar(&f.action, "action", "", "what the session then asks for, such as s3:PutObject")
	fl.StringVar(&f.resource, "resource", "", "the `ARN` of what it asks for")
	fl.StringArrayVar(&f.identity, "identity", nil, "an identity policy of the session's role, in a `file`; repeatable")
	fl.StringVar(&f.boundary, "boundary", "", "the permissions boundary of the session's role, in a `file`")
	fl.StringArrayVar(&f.sessionPolicy, "session-policy", nil, "a session policy, in a `file`; repeatable")
	fl.StringVar(&f.resourcePolicy, "resource-policy", "", "the policy of the resource, such as a bucket's, in a `file`")
	fl.StringVar(&f.resourceAccount, "resource-account", "", "the `account` of the resource (default: the one in its ARN, else the session's)")
	fl.StringArrayVar(&f.context, "context", nil, "a condition key of the request, `KEY=VALUE`, such as aws:SourceIp=192.0.2.1 or, of a chained call, aws:PrincipalOrgID=o-a1b2c3d4e5; repeatable")
	fl.BoolVar(&f.json, "json", false, "print it as one JSON object")
	return c
}

// leg is one decision on the way from a job token to what a session asks for.
type leg struct {
	title string
	explain.Explanation
	size *sessionSize // of the session that the rules grant
}

// hasCaller reports whether somebody without a token assumes the role.
func (f *explainFlags) hasCaller() bool { return f.from != "" || f.fromRole != "" }

// assumes reports whether there is a call of sts:AssumeRole, the last one.
func (f *explainFlags) assumes() bool { return f.chain != "" || f.hasCaller() }

func (f *explainFlags) check() error {
	usage := usagef("see 'stint explain --help'")
	if len(f.sessionTags) > 0 && !f.hasCaller() && f.claims == "" && f.token == "" && f.rules == "" {
		f.session = true
	}
	tokenless := f.hasCaller() || f.session
	switch {
	case f.policy == "" && f.role == "" && f.rules == "":
		return usage("expected --policy, --role or --rules, found none of them")
	case f.pool != "" && f.rules == "":
		return usage("expected --rules beside --pool: the configuration that the pool stands in")
	case f.basic && f.pool == "":
		return usage("expected --pool beside --basic")
	case f.policy != "" && f.role != "":
		return usage("expected --policy or --role, found both")
	case f.claims != "" && f.token != "":
		return usage("expected --claims or --token, found both")
	case f.from != "" && f.fromRole != "":
		return usage("expected --from or --from-role, found both")
	case f.hasCaller() && f.session:
		return usage("expected --session or a caller of the role, found both")
	case tokenless && (f.claims != "" || f.token != "" || f.rules != ""):
		return usagef("--from-role, --from and --session take the place of a token")("expected a token or a session, found both")
	case f.session && f.role == "":
		return usage("expected --role beside --session: whose session it is")
	case f.session && f.action == "" && f.chain == "":
		return usage("expected --action or --chain beside --session: what is asked of it")
	case f.chain != "" && f.hasCaller():
		return usagef("--chain is for the session of --role; explain one call of a longer chain at a time")("expected --chain or a caller without a token, found both")
	case f.chain != "" && f.role == "":
		return usage("expected --role beside --chain: whose session assumes it")
	case f.action == "" && f.resource != "":
		return usage("expected --action beside --resource")
	case f.action != "" && f.role == "" && f.chain == "":
		return usage("expected --role beside --action: whose session asks")
	case f.action != "" && !strings.Contains(f.action, ":"):
		return usagef("write it as SERVICE:NAME, such as s3:PutObject")("expected an action, found %q", printable(f.action))
	}
	if f.from != "" && !callerARN.MatchString(f.from) {
		return usagef("write it as arn:aws:iam::ACCOUNT:role/NAME, arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION or arn:aws:iam::ACCOUNT:user/NAME")(
			"expected the ARN of a role, a session or a user, found %q", printable(f.from))
	}
	if f.resourceAccount != "" && !config.ValidAccount(f.resourceAccount) {
		return usagef("an account is twelve digits")("expected an account, found %q", printable(f.resourceAccount))
	}
	return f.checkWhereFlagsGo()
}

var callerARN = regexp.MustCompile(`^arn:[a-z-]+:(iam::\d{12}:(role|user)/.+|sts::\d{12}:assumed-role/[^/]+/.+)$`)

// checkWhereFlagsGo refuses flags that would have no effect.
func (f *explainFlags) checkWhereFlagsGo() error {
	call := map[string]bool{"--tag": len(f.tags) > 0, "--transitive": len(f.transitive) > 0,
		"--source-identity": f.sourceIdentity != "", "--session-name": f.sessionName != ""}
	if f.rules != "" && !f.assumes() {
		if name := set(call); name != "" {
			return usagef("with --rules the session is what the rule makes of it")("%s does not go with --rules", name)
		}
	}
	if name := set(map[string]bool{"--external-id": f.externalID != "", "--duration": f.duration != 0, "--from-identity": len(f.fromIdentity) > 0,
		"--from-boundary": f.fromBoundary != ""}); name != "" && !f.assumes() {
		return usagef("it is of a chained call: --chain, --from-role or --from")("%s has no call to go with", name)
	}
	if name := set(map[string]bool{"--session-tag": len(f.sessionTags) > 0, "--session-transitive": len(f.sessionTrans) > 0,
		"--session-identity": f.sessionIdentity != ""}); name != "" && !f.hasCaller() && !f.session {
		return usagef("a session is given by --session, --from-role or --from; that of a token carries what the token says")("%s has no session to go with", name)
	}
	if name := set(map[string]bool{"--identity": len(f.identity) > 0, "--boundary": f.boundary != "", "--session-policy": len(f.sessionPolicy) > 0,
		"--resource-policy": f.resourcePolicy != "", "--resource-account": f.resourceAccount != ""}); name != "" && f.action == "" {
		return usagef("it says what a session may do, so name that with --action")("%s does not go without --action", name)
	}
	if len(f.context) > 0 && f.action == "" && !f.assumes() && f.policy == "" && f.role == "" {
		return usagef("give the policy that is asked: --policy, --role, --chain or --action")("--context has no call to go with")
	}
	if name := set(map[string]bool{"--audience": f.audience != "", "--provider": f.provider != ""}); name != "" && (f.hasCaller() || f.session) {
		return usagef("it is of a token, and there is none")("%s has no token to go with", name)
	}
	for name, values := range map[string][]string{"--tag": f.tags, "--session-tag": f.sessionTags, "--context": f.context} {
		for _, t := range values {
			if key, _, ok := strings.Cut(t, "="); !ok || key == "" {
				return usagef("write it as %s KEY=VALUE", name)("expected KEY=VALUE, found %q", printable(t))
			}
		}
	}
	return nil
}

// set is the first name, in their order, of a flag that is set.
func set(flags map[string]bool) string {
	found := ""
	for name, isSet := range flags {
		if isSet && (found == "" || name < found) {
			found = name
		}
	}
	return found
}
