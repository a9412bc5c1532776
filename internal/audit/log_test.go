package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stint-dev/stint/internal/identity"
	"github.com/stint-dev/stint/internal/rules"
)

type memory struct {
	records  []*Record
	outcomes map[string]Outcome
	err      error
}

func (m *memory) AppendRecord(_ context.Context, r *Record) error {
	if m.err != nil {
		return m.err
	}
	m.records = append(m.records, r)
	r.Seq = int64(len(m.records))
	return nil
}

func (m *memory) AppendOutcome(_ context.Context, id string, o Outcome) error {
	if m.err != nil {
		return m.err
	}
	m.outcomes[id] = o
	return nil
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.FixedZone("", 3600))

func newTestLog(m *memory, random string) *Log {
	return NewLog(m, LogConfig{Now: func() time.Time { return noon }, Rand: strings.NewReader(random)})
}

func TestDeny(t *testing.T) {
	m := &memory{}
	l := newTestLog(m, strings.Repeat("r", 10))
	id, err := l.Deny(t.Context(), Entry{Door: "token", Remote: "192.0.2.1", Asked: Asked{Role: "arn", Duration: time.Hour}},
		Denial{Rule: "never", Reason: "deny_rule", Detail: "no"})
	if err != nil || len(m.records) != 1 {
		t.Fatalf("expected one record, found %d, %v", len(m.records), err)
	}
	r := m.records[0]
	if r.ID != id || r.Verdict != Denied || r.Rule != "never" || r.Reason != "deny_rule" || r.Detail != "no" || r.Asked.Seconds != 3600 || r.Granted != nil {
		t.Errorf("found %+v", r)
	}
	if want := noon.UTC().Truncate(time.Millisecond); r.Time != want {
		t.Errorf("expected the time %s, found %s", want, r.Time)
	}
	if _, err := l.Deny(t.Context(), Entry{}, Denial{}); err == nil {
		t.Error("expected an error without randomness for an id")
	}
}

func TestNothingIsRecordedThatWasNotDecided(t *testing.T) {
	m := &memory{outcomes: map[string]Outcome{}}
	l := newTestLog(m, strings.Repeat("r", 100))
	if r, err := l.Allow(t.Context(), Entry{}, rules.Decision{}); err == nil || r.ID() != "" {
		t.Errorf("a denying decision: expected an error, found %v, %v", r, err)
	}
	if err := l.Conclude(t.Context(), Recorded{}, Outcome{}); err == nil {
		t.Error("no record: expected an error")
	}
	if len(m.records)+len(m.outcomes) != 0 {
		t.Errorf("expected nothing written, found %v, %v", m.records, m.outcomes)
	}
}

func TestStoreErrorsReachTheCaller(t *testing.T) {
	m := &memory{err: errors.New("disk full")}
	l := newTestLog(m, strings.Repeat("r", 100))
	if _, err := l.Deny(t.Context(), Entry{}, Denial{}); !errors.Is(err, m.err) {
		t.Errorf("Deny: found %v", err)
	}
	if err := l.Conclude(t.Context(), Recorded{id: "R"}, Outcome{}); !errors.Is(err, m.err) {
		t.Errorf("Conclude: found %v", err)
	}
}

func TestConclude(t *testing.T) {
	m := &memory{outcomes: map[string]Outcome{}}
	if err := newTestLog(m, "").Conclude(t.Context(), Recorded{id: "R"}, Outcome{Error: "a\x1b[2Jb" + strings.Repeat("x", 9000)}); err != nil {
		t.Fatal(err)
	}
	o := m.outcomes["R"]
	if o.Time != noon.UTC().Truncate(time.Millisecond) || !strings.HasPrefix(o.Error, "a\uFFFD[2Jb") || len(o.Error) > maxLong {
		t.Errorf("found %+v", o)
	}
}

func TestIDs(t *testing.T) {
	random := func(b byte) *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{b}, 10)) }
	var ids []string
	for _, ms := range []int64{0, 1, 31, 32, 1 << 20, 1767351845006, 1767351845007, 1<<48 - 1} {
		low, err := newID(time.UnixMilli(ms), random(0))
		if err != nil {
			t.Fatal(err)
		}
		high, err := newID(time.UnixMilli(ms), random(255))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, low, high)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("expected distinct ids in the order of time, found %v", ids)
	}
	for _, id := range ids {
		if len(id) != 26 {
			t.Errorf("expected 26 characters, found %q", id)
		}
	}
	for _, ms := range []int64{-1, 1 << 48} {
		if id, err := newID(time.UnixMilli(ms), random(0)); err == nil {
			t.Errorf("%d ms: expected an error, found %s", ms, id)
		}
	}
}

func TestCallers(t *testing.T) {
	claims := map[string]any{"iss": "https://ci.example", "sub": "repo:octo-org/octo-repo:ref:r", "repository": "octo-org/octo-repo",
		"run_id": "7", "jti": "j", "repository_owner_id": "65"}
	c := CallerOf(identity.InsecureClaims("github", identity.GitHub, claims))
	if c.Verified {
		t.Error("claims that nobody signed count as verified")
	}
	if c.IssuerName != "github" || c.Subject != claims["sub"] || c.Repository != "octo-org/octo-repo" || c.RunID != "7" || c.TokenID != "j" || c.OwnerID != "65" {
		t.Errorf("found %+v", c)
	}
	fork := CallerOf(identity.InsecureClaims("gitlab", identity.GitLab, map[string]any{"project_path": "evil/fork", "job_project_path": "acme/app"}))
	if fork.Repository != "acme/app" {
		t.Errorf("expected the project that the job runs in, found %q", fork.Repository)
	}
	for _, signed := range []bool{false, true} {
		seen := CallerSeen(identity.Seen{Signed: signed, IssuerName: "github", Subject: "s", TokenSHA256: "d", Claims: map[string]string{"repository": "a/b"}})
		if seen.Verified != signed || seen.Repository != "a/b" || seen.Subject != "s" || seen.TokenSHA256 != "d" {
			t.Errorf("signed %t: found %+v", signed, seen)
		}
	}
	if !CallerSeen(identity.Seen{}).IsZero() {
		t.Error("expected nothing of a token that says nothing")
	}
}

// TestRecordsAreBounded fills every text that a stranger chooses.
func TestRecordsAreBounded(t *testing.T) {
	long := strings.Repeat("\x00\u202eé", 20000)
	many := slices.Repeat([]string{long}, 1000)
	for verified, limit := range map[bool]int{false: 16 << 10, true: 64 << 10} {
		m := &memory{}
		_, err := newTestLog(m, strings.Repeat("r", 10)).Deny(t.Context(), Entry{
			Door: long, Remote: long,
			Caller: Caller{Verified: verified, IssuerName: long, Issuer: long, Subject: long, Repository: long, RepositoryID: long, OwnerID: long,
				Ref: long, Environment: long, Event: long, Workflow: long, RunID: long, RunAttempt: long, Actor: long, ActorID: long, TokenID: long, TokenSHA256: long},
			Asked: Asked{Role: long, Audience: long, SessionName: long, PolicyARNs: many, Seconds: -1},
		}, Denial{Rule: long, Reason: long, Detail: long})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(m.records[0])
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > limit {
			t.Errorf("verified %t: expected at most %d bytes, found %d", verified, limit, len(text))
		}
		if bytes.Contains(text, []byte(`\u0000`)) || bytes.Contains(text, []byte("\u202e")) {
			t.Errorf("verified %t: the record holds hidden characters", verified)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("plain", 512)
	f.Add("a\x00\n\x1b[31m\u202e\u2028\xff", 8)
	f.Add("ééééé", 7)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 3 + int(uint(limit)%64) // an ellipsis takes 3
		got := clean(s, limit)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Fatalf("clean(%q, %d) = %q", s, limit, got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }) {
			t.Fatalf("clean(%q, %d) = %q holds hidden characters", s, limit, got)
		}
		if again := clean(got, limit); again != got {
			t.Fatalf("cleaning %q again gives %q", got, again)
		}
		visible := !strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) })
		if utf8.ValidString(s) && visible && len(s) <= limit && got != s {
			t.Fatalf("clean(%q, %d) = %q changes what is fine", s, limit, got)
		}
	})
}

func TestRecordedClaims(t *testing.T) {
	claims := func(payload map[string]any) Caller {
		c := CallerOf(identity.InsecureClaims("github", identity.GitHub, payload))
		c.Verified = true
		return c
	}
	job := map[string]any{"iss": "https://token.actions.githubusercontent.com", "repository_id": json.Number("12345678901234567890"), "environment": "prod"}
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		stays  bool
	}{
		{"a job's", func(map[string]any) {}, true},
		{"with those of one token", func(c map[string]any) { c["jti"], c["exp"], c["iat"], c["nbf"] = "j", 3, 2, 1 }, true},
		{"too large", func(c map[string]any) { c["x"] = strings.Repeat("a", 9000) }, false},
		{"turning the text round", func(c map[string]any) { c["x"] = "a\u202eb" }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			payload := maps.Clone(job)
			test.change(payload)
			s := &memory{}
			log := NewLog(s, LogConfig{Now: time.Now})
			if _, err := log.Deny(t.Context(), Entry{Caller: claims(payload)}, Denial{}); err != nil {
				t.Fatal(err)
			}
			got := string(s.records[0].Caller.Claims)
			want := `{"environment":"prod","iss":"https://token.actions.githubusercontent.com","repository_id":12345678901234567890}`
			if !test.stays {
				want = ""
			}
			if got != want {
				t.Errorf("claims on record:\n got %s\nwant %s", got, want)
			}
		})
	}
	stranger := claims(job)
	stranger.Verified = false
	s := &memory{}
	if _, err := NewLog(s, LogConfig{Now: time.Now}).Deny(t.Context(), Entry{Caller: stranger}, Denial{}); err != nil {
		t.Fatal(err)
	}
	if s.records[0].Caller.Claims != nil {
		t.Errorf("a stranger's claims are on record: %s", s.records[0].Caller.Claims)
	}
}
