package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/stint-dev/stint/client"
)

// jobFlags are the flags that every command of a job takes beside its
// environment.
type jobFlags struct {
	url, audience, role string
}

func (f *jobFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.url, "url", "", "the broker's `address` (default $STINT_URL)")
	fs.StringVar(&f.audience, "job-audience", "", "the `audience` to ask the CI system for (default $STINT_AUDIENCE, else the broker's address)")
	fs.StringVar(&f.role, "role", "", "the `ARN` of the role (default $STINT_ROLE, else the first that the rules give)")
}

// job is this job as flags and environment describe it; a flag wins.
func (f *jobFlags) job(e *Env) (*client.Job, error) {
	flags := map[string]string{"STINT_URL": f.url, "STINT_AUDIENCE": f.audience, "STINT_ROLE": f.role}
	return client.FromEnv(func(name string) string {
		if v := flags[name]; v != "" {
			return v
		}
		return e.Getenv(name)
	})
}

// inActions reports whether the process runs in GitHub Actions, whose runner
// reads workflow commands from the output of a step.
func inActions(e *Env) bool { return e.Getenv("GITHUB_ACTIONS") == "true" }

// jobError makes an error of package client one that its reader can act on.
func jobError(e *Env, err error) error {
	var (
		hop         *client.ChainError
		notInJob    *client.NotInJobError
		setting     *client.SettingError
		denied      *client.DeniedError
		redirect    *client.RedirectError
		unavailable *client.UnavailableError
		request     *client.TokenRequestError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &hop): // before what it holds
		return chainError(e, err, hop)
	case errors.As(err, &notInJob):
		return failf(notInJob.Hint(), "%w", err)
	case errors.As(err, &setting):
		return usagef("%s", setting.Hint)("%w", err)
	case errors.As(err, &denied):
		return deniedError(e, err, denied)
	case errors.As(err, &redirect):
		return failf("set STINT_URL to the address that answers by itself", "%w", err)
	case errors.As(err, &request):
		return failf("", "%w", err)
	case errors.As(err, &unavailable):
		return failf("is the broker up, and can this job reach it? its /readyz says why it cannot grant", "%w", err)
	}
	return failf("", "%w", err)
}

// annotation is a workflow command that marks the run with an error. Message
// and title are escaped as the runner decodes them, so that neither can end
// the command and begin another.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
func annotation(title, message string) string {
	return "::error title=" + propertyEscaper.Replace(title) + "::" + dataEscaper.Replace(message)
}

var (
	dataEscaper     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscaper = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// mask asks the runner to replace secret with *** in the log of this job from
// here on. It goes to stderr: a captured stdout stays clean, and the runner
// reads workflow commands from both and shows neither.
func mask(w io.Writer, secret client.Secret) {
	if secret != "" {
		fmt.Fprintf(w, "::add-mask::%s\n", dataEscaper.Replace(secret.Reveal()))
	}
}

// readByRunner reports whether stderr can be what the runner reads. A file or
// a terminal is not, and a secret written there for masking would be stored or
// shown instead.
func readByRunner(stderr io.Writer) bool {
	f, ok := stderr.(*os.File)
	if !ok {
		return true
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// relative is a time as people read it, and how far it is from now.
func relative(t, now time.Time) string {
	d := t.Sub(now).Round(time.Second)
	s := t.UTC().Format(time.RFC3339)
	if d < 0 {
		return fmt.Sprintf("%s (%s ago)", s, -d)
	}
	return fmt.Sprintf("%s (in %s)", s, d)
}

// printable makes a text from outside fit for a terminal and for the log of a
// job: control and formatting characters could rewrite what is shown, or begin
// a line that the GitHub runner takes for a workflow command. The older form of
// those, ##[...], is obeyed anywhere in a line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	return strings.ReplaceAll(s, "##[", "## [")
}
