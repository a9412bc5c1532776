package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/client"
	"github.com/stint-dev/stint/internal/config"
	"github.com/stint-dev/stint/internal/identity"
)

func newClaimsCommand(e *Env) *cobra.Command {
	var (
		url, audience, jwksURL string
		rulesPath, role        string
		asJSON, size           bool
	)
	c := &cobra.Command{
		Use:   "claims [FILE|-]",
		Short: "Show what is in this job's token",
		Long: `Show what is in a token: every claim, who signed it and whether the signature
holds, which form its subject has, for whom it is meant and when it ends. Without
an argument it is this job's own token, asked for the broker's audience; otherwise
it is read from FILE, or from stdin with -. A stint token can be read too.

The signature is checked with the keys that the issuer publishes, or with those
at --jwks-url. A token whose signature does not hold, or cannot be checked, is
shown as UNVERIFIED, and the exit code is 1. The token itself is never printed.

With --size it says what each claim would take of an AWS session as a tag, and with
--rules what the session takes that they give: AWS refuses a session over 4096 bytes,
and does not say how it counts, so this is an estimate.

  stint claims
  stint token | stint claims -
  stint claims --json saved.jwt
  stint claims --size --rules stint.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("see '%s --help'", c.CommandPath())("expected one FILE, found %d", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			var raw client.Secret
			var err error
			if len(args) == 1 {
				err = interruptible(ctx, func() (err error) {
					raw, err = readToken(e.Stdin, args[0])
					return err
				})
			} else {
				raw, err = ownToken(ctx, e, first(audience, e.Getenv("STINT_AUDIENCE"), url, e.Getenv("STINT_URL")))
			}
			if err != nil {
				return err
			}
			seen, err := inspect(ctx, e, raw, jwksURL, first(url, e.Getenv("STINT_URL")))
			if err != nil {
				return failf("expected a signed JWT in compact form: header.payload.signature", "reading the token: %w", err)
			}
			if rulesPath != "" && !size {
				return usagef("see 'stint claims --help'")("--rules goes with --size")
			}
			if size {
				err = printSize(e, seen, rulesPath, role, asJSON)
			} else if asJSON {
				err = printJSON(e.Stdout, seen)
			} else {
				err = seen.print(e.Stdout, e.Now())
			}
			if err != nil {
				return err
			}
			return seen.verdict()
		},
	}
	f := c.Flags()
	f.StringVar(&url, "url", "", "the broker's `address` (default $STINT_URL)")
	f.StringVar(&audience, "audience", "", "the `audience` to ask the CI system for (default $STINT_AUDIENCE, else the broker's address)")
	f.StringVar(&jwksURL, "jwks-url", "", "the `address` of the issuer's key set (default $STINT_JWKS_URL, else what the issuer's discovery document says)")
	f.BoolVar(&size, "size", false, "show what the claims take of an AWS session as tags, an estimate")
	f.StringVarP(&rulesPath, "rules", "c", "", "with --size: what the session takes that the rules in this configuration `file` give")
	f.StringVar(&role, "role", "", "with --rules: the `ARN` of the role asked for (default: the first that the rules give)")
	f.BoolVar(&asJSON, "json", false, "print it as one JSON object")
	return c
}

// printSize shows what a token takes of an AWS session.
func printSize(e *Env, seen inspected, rulesPath, role string, asJSON bool) error {
	var size claimSize
	if rulesPath != "" {
		cfg, err := config.Load(rulesPath)
		if err != nil {
			return err
		}
		if size, err = sizeUnder(cfg, role, seen.Claims, e.Now()); err != nil {
			return err
		}
	} else {
		platform := identity.PlatformOf(seen.Issuer)
		size = sizeOfClaims(identity.InsecureClaims("", platform, seen.Claims), string(platform), "sts.amazonaws.com")
	}
	if asJSON {
		return printJSON(e.Stdout, size)
	}
	return size.print(e.Stdout)
}

// ownToken asks for this job's token. It goes nowhere, so it needs no broker;
// with an empty audience the platform chooses one.
func ownToken(ctx context.Context, e *Env, audience string) (client.Secret, error) {
	github, err := client.GitHubFromEnv(e.Getenv)
	if err != nil {
		return "", jobError(e, err)
	}
	token, err := github.JobToken(ctx, audience)
	return token, jobError(e, err)
}

// readToken reads a token from a file, or from stdin for "-".
func readToken(stdin io.Reader, name string) (client.Secret, error) {
	from, in := "stdin", stdin
	if name != "-" {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return "", usagef("name a file that holds a token, or - for stdin; the token itself is no argument: others could see it there")("there is no such file: %s", shortened(name))
		}
		if err != nil {
			return "", failf("", "reading the token: %w", err)
		}
		defer f.Close()
		from, in = name, f
	}
	// White space around it does not count, and is bounded all the same.
	data, err := io.ReadAll(io.LimitReader(in, 2*identity.MaxTokenSize+1))
	if err != nil {
		return "", failf("", "reading the token from %s: %w", from, err)
	}
	token := bytes.TrimSpace(data)
	bad := func(hint, format string, args ...any) (client.Secret, error) {
		return "", failf(hint, "reading the token from %s: %w", from, fmt.Errorf(format, args...))
	}
	switch {
	case len(token) > identity.MaxTokenSize || len(data) > 2*identity.MaxTokenSize:
		return bad("no token is that large", "it is larger than %d bytes", identity.MaxTokenSize)
	case len(token) == 0:
		return bad("expected a JWT: header.payload.signature", "it is empty")
	case token[0] == '{':
		return bad("give the token alone: with jq, .value of GitHub's answer or .token of 'stint token --json'", "it holds JSON, not a token")
	case bytes.ContainsAny(token, " \t\r\n"):
		return bad("give one token alone, without 'Bearer' and on one line", "it holds white space within")
	case bytes.ContainsFunc(token, func(r rune) bool { return r < '!' || r > '~' }):
		return bad("expected a JWT: header.payload.signature", "it holds bytes that no token has")
	}
	return client.Secret(token), nil
}

// shortened keeps a token that was given for a file's name out of the error.
func shortened(name string) string {
	if strings.HasPrefix(name, "eyJ") || len(name) > 255 {
		return name[:3] + "..."
	}
	return printable(name)
}

// The verdicts on a signature.
const (
	signatureHolds   = "holds"
	signatureWrong   = "wrong"
	signatureUnknown = "not checked" // the keys could not be had
)

// inspected is what `stint claims --json` prints.
type inspected struct {
	Signature string            `json:"signature"` // holds, wrong or not checked
	Problem   string            `json:"problem,omitempty"`
	Algorithm string            `json:"algorithm"`
	KeyID     string            `json:"key_id,omitempty"`
	KeySet    string            `json:"key_set,omitempty"` // where the keys came from
	Issuer    string            `json:"issuer"`
	Subject   string            `json:"subject"`
	Form      string            `json:"subject_form,omitempty"`
	Audience  []string          `json:"audience"`
	IssuedAt  *time.Time        `json:"issued_at,omitempty"`
	NotBefore *time.Time        `json:"not_before,omitempty"`
	Expires   *time.Time        `json:"expires,omitempty"`
	Expired   bool              `json:"expired"`
	Warnings  []string          `json:"warnings,omitempty"` // why a broker would refuse it all the same
	Header    map[string]any    `json:"header"`
	Claims    map[string]any    `json:"claims"`
	Derived   map[string]string `json:"derived,omitempty"`
}

// verdict is nil for a signature that holds. Whoever calls this from a script
// must not take claims that nobody vouches for as read.
func (i inspected) verdict() error {
	switch i.Signature {
	case signatureHolds:
		return nil
	case signatureWrong:
		return failf("the issuer did not sign this: do not believe any of it", "UNVERIFIED: the signature is wrong: %s", printable(i.Problem))
	}
	return failf("name the issuer's key set with --jwks-url or STINT_JWKS_URL", "UNVERIFIED: the signature could not be checked: %s", printable(i.Problem))
}

// subjectForms says what the forms of a GitHub subject look like.
var subjectForms = map[identity.SubjectForm]string{
	identity.SubjectNames:  "names: repo:OWNER/REPO:...",
	identity.SubjectIDs:    "ids: repo:OWNER@OWNER_ID/REPO@REPO_ID:...",
	identity.SubjectCustom: "custom: the organization or repository customised it",
}

func (i inspected) print(out io.Writer, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", printable(name), printable(value))
		}
	}
	at := func(name string, t *time.Time) {
		if t != nil {
			row(name, relative(*t, now))
		}
	}
	signature := fmt.Sprintf("%s (%s)", i.Signature, i.Algorithm)
	if i.Signature != signatureHolds {
		signature = fmt.Sprintf("UNVERIFIED: %s: %s", i.Signature, i.Problem)
	}
	row("Signature", signature)
	row("Issuer", i.Issuer)
	row("Key", i.KeyID)
	row("Key set", i.KeySet)
	row("Subject", i.Subject)
	row("Form", subjectForms[identity.SubjectForm(i.Form)])
	row("Audience", strings.Join(i.Audience, ", "))
	at("Issued", i.IssuedAt)
	at("Not before", i.NotBefore)
	at("Expires", i.Expires)
	for _, warning := range i.Warnings {
		row("Warning", warning)
	}

	section := func(title string) {
		if i.Signature != signatureHolds {
			title += " (UNVERIFIED: anybody may have written this)"
		}
		fmt.Fprintf(w, "\n%s\n", title) // no tab: the columns begin anew
	}
	section("Header")
	for _, name := range slices.Sorted(maps.Keys(i.Header)) {
		row("  "+name, claimText(i.Header[name]))
	}
	section("Claims")
	for _, name := range slices.Sorted(maps.Keys(i.Claims)) {
		fmt.Fprintf(w, "  %s\t%s\n", printable(name), printable(claimText(i.Claims[name])))
	}
	if len(i.Derived) > 0 {
		section("Derived by stint")
		for _, name := range slices.Sorted(maps.Keys(i.Derived)) {
			row("  "+name, i.Derived[name])
		}
	}
	return w.Flush()
}

// claimText is a text as it is, and anything else as JSON.
func claimText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	if err := printJSON(&b, v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}
