package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/source"
)

// The limits of GitHub code scanning: it refuses a run with more results, and
// shows 5,000 of them.
const (
	maxResults = 25000
	maxMessage = 1000 // characters
)

// home is where the project and the pages of its rules stand.
const home = "https://github.com/stint-dev/stint"

// SARIFOptions are what SARIF needs that a Report does not say.
type SARIFOptions struct {
	Version string // of stint
	// Path is a file's path relative to the folder that is scanned, with
	// forward slashes; ok is false for a file outside of it, for which it is
	// absolute. Nil leaves every path as it is.
	Path func(file string) (name string, ok bool)
	// Content is a file's content as it was read, or nil.
	Content func(file string) []byte
	// Unknown and Silenced put these findings among the results, as SARIF
	// has them: of kind open, and with a suppression. GitHub code scanning
	// knows neither (upload-sarif #1230) and opens alerts for them, so they
	// are otherwise counted in a notification only.
	Unknown, Silenced bool
}

// SARIF is a report as a SARIF 2.1.0 log (OASIS Standard, section 3.13), of the
// subset that GitHub code scanning reads.
func SARIF(r Report, o SARIFOptions) any {
	s := sarif{o: o, rules: Rules(), index: map[string]int{}, lines: map[string]*source.Lines{}, seen: map[string]int{}}
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "stint", InformationURI: home, SemanticVersion: strings.TrimPrefix(o.Version, "v")}
	if !isSemantic(run.Tool.Driver.SemanticVersion) {
		run.Tool.Driver.SemanticVersion, run.Tool.Driver.Version = "", o.Version
	}
	for i, rule := range s.rules {
		s.index[rule.ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, describe(rule))
	}
	invocation := sarifInvocation{ExecutionSuccessful: len(r.Problems) == 0}
	for _, p := range r.Problems {
		n := sarifNotification{Level: "error", Message: sarifText{bounded(p.Message)}}
		if !p.Position.IsZero() {
			n.Locations = []sarifLocation{s.location(p.Position, source.Span{})}
		}
		invocation.Notifications = append(invocation.Notifications, n)
	}
	note := func(n int, format string) {
		if n > 0 {
			invocation.Notifications = append(invocation.Notifications, sarifNotification{Level: "note", Message: sarifText{fmt.Sprintf(format, n)}})
		}
	}
	findings := slices.Clone(r.Findings)
	if len(findings)+len(r.Silenced) > maxResults {
		slices.SortStableFunc(findings, func(a, b Finding) int { return b.Severity.Rank() - a.Severity.Rank() })
	}
	left := 0
	add := func(f Finding, by *By) {
		if len(run.Results) >= maxResults {
			left++
			return
		}
		run.Results = append(run.Results, s.result(f, by))
	}
	for _, f := range findings {
		if !f.Unknown || o.Unknown {
			add(f, nil)
		}
	}
	if o.Silenced {
		for _, f := range r.Silenced {
			add(f.Finding, &f.By)
		}
	} else {
		note(r.Summary.Silenced, "findings that were silenced with a reason: %d")
	}
	if !o.Unknown {
		note(r.Summary.Unknown, "checks that could not be decided from the files alone: %d")
	}
	note(left, "results left out, the least severe ones: %d")
	run.Invocations = []sarifInvocation{invocation}
	return sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	}
}

type sarif struct {
	o     SARIFOptions
	rules []Rule
	index map[string]int
	lines map[string]*source.Lines
	seen  map[string]int // results of one fingerprint
}

func describe(r Rule) sarifRule {
	page := home + "/blob/main/docs/lint/" + r.ID + ".md"
	// The scores put errors among GitHub's high, warnings among its medium
	// and notes among its low alerts.
	score := map[Severity]string{Error: "8.0", Warning: "5.0", Note: "2.0"}[r.Severity]
	return sarifRule{
		ID:               r.ID,
		ShortDescription: sarifText{r.Title},
		FullDescription:  sarifText{r.Why},
		HelpURI:          page,
		Help: sarifHelp{
			Text:     r.Why + " " + r.Fix,
			Markdown: r.Why + "\n\n**Fix:** " + r.Fix + "\n\n[" + r.ID + "](" + page + ")",
		},
		DefaultConfiguration: sarifConfiguration{string(r.Severity)},
		Properties:           sarifProperties{SecuritySeverity: score, Precision: "high", Tags: []string{"security", "iam", "oidc"}},
	}
}

func (s *sarif) result(f Finding, by *By) sarifResult {
	text := f.Message
	if f.Subject != "" {
		text = f.Subject + ": " + text
	}
	if f.Fix != "" && !f.Unknown {
		text = strings.TrimSuffix(text, ".") + ". Fix: " + f.Fix
	}
	r := sarifResult{
		RuleID:              f.Rule,
		RuleIndex:           s.index[f.Rule],
		Level:               string(f.Severity),
		Message:             sarifText{bounded(text)},
		Locations:           []sarifLocation{s.location(f.Position, f.Span)},
		PartialFingerprints: map[string]string{"stintFinding/v1": s.fingerprint(f)},
	}
	if f.Unknown {
		// Section 3.27.9: open says that the rule lacked information; 3.27.10:
		// the level of what is no failure is none.
		r.Kind, r.Level = "open", "none"
	}
	if by != nil {
		kind := "external"
		if by.Kind == ByComment {
			kind = "inSource"
		}
		suppression := sarifSuppression{Kind: kind, Status: "accepted", Justification: bounded(by.Reason)}
		if !by.Position.IsZero() {
			at := s.location(by.Position, source.Span{})
			suppression.Location = &at
		}
		r.Suppressions = []sarifSuppression{suppression}
	}
	return r
}

// fingerprint stays the same while a finding moves within its file.
func (s *sarif) fingerprint(f Finding) string {
	name, _ := s.path(f.Position.File)
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q", name, f.Rule, f.Subject, s.at(f.Position.File, f.Span))
	sum := hex.EncodeToString(h.Sum(nil)[:16])
	s.seen[sum]++
	return fmt.Sprintf("%s:%d", sum, s.seen[sum])
}

// at is what stands in a file.
func (s *sarif) at(file string, span source.Span) string {
	data := s.content(file)
	if span.Start < 0 || span.End > len(data) || span.End <= span.Start {
		return ""
	}
	return string(data[span.Start:span.End])
}

func (s *sarif) content(file string) []byte {
	if s.o.Content == nil {
		return nil
	}
	return s.o.Content(file)
}

func (s *sarif) path(file string) (name string, ok bool) {
	if s.o.Path == nil {
		return file, true
	}
	return s.o.Path(file)
}

func (s *sarif) location(p source.Position, span source.Span) sarifLocation {
	name, inside := s.path(p.File)
	var l sarifLocation
	if inside {
		l.Physical.Artifact = sarifArtifact{URI: (&url.URL{Path: relative(name)}).EscapedPath(), BaseID: "%SRCROOT%"}
	} else {
		l.Physical.Artifact = sarifArtifact{URI: (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(name, "/")}).String()}
	}
	if p.Line < 1 {
		return l
	}
	region := sarifRegion{StartLine: p.Line, StartColumn: max(p.Column, 1)}
	if s.at(p.File, span) != "" {
		lines := s.lines[p.File]
		if lines == nil {
			lines = source.NewLines(p.File, s.content(p.File))
			s.lines[p.File] = lines
		}
		// The place of a finding is the place of its span, or the span is of
		// something else.
		if start, end := lines.At(span.Start), lines.At(span.End); start == p {
			region.EndColumn = end.Column
			if end.Line != p.Line {
				region.EndLine = end.Line
			}
		}
	}
	l.Physical.Region = &region
	return l
}

// relative is a path as a URI reference: it never begins with what would be a
// scheme.
func relative(name string) string {
	if name = path.Clean(name); strings.Contains(strings.SplitN(name, "/", 2)[0], ":") {
		return "./" + name
	}
	return name
}

// bounded makes a text fit for a message. Square brackets before a round one
// are a link in SARIF (section 3.11.6), and may come from a file.
func bounded(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if strings.Contains(s, "](") {
		s = strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(s)
	}
	if utf8.RuneCountInString(s) > maxMessage {
		s = string([]rune(s)[:maxMessage-1]) + "…"
	}
	return s
}

func isSemantic(v string) bool {
	var major, minor, patch int
	n, err := fmt.Sscanf(v, "%d.%d.%d", &major, &minor, &patch)
	return err == nil && n == 3
}
