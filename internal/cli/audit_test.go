package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store"
	"github.com/stint-dev/stint/internal/store/storetest"
)

// auditNow is an hour and a bit after the first record of storetest.
var auditNow = time.Date(2026, 1, 2, 4, 30, 0, 0, time.UTC)

func auditStore(t *testing.T) (store.Store, string) {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "stint.db")
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, url
}

func appendRecords(t *testing.T, s store.Store, records ...*audit.Record) {
	t.Helper()
	for _, r := range records {
		if err := s.AppendRecord(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func deniedRecord(n int) *audit.Record {
	return storetest.Record(n, func(r *audit.Record) {
		r.Verdict, r.Granted, r.Rule = audit.Denied, nil, ""
		r.Reason, r.Detail, r.Caller.Verified = "bad_signature", "the key did not sign it", false
	})
}

// runAudit runs one audit command and returns the exit code and what it wrote.
func runAudit(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	e := &Env{Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &errOut, Now: func() time.Time { return auditNow }}
	c := newAuditCommand(e)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&errOut)
	code = report(&errOut, c.ExecuteContext(ctx))
	return code, out.String(), errOut.String()
}

var recordID = regexp.MustCompile(`"id":"(R\d+)"`)

func idsIn(text string) []string {
	var ids []string
	for _, m := range recordID.FindAllStringSubmatch(text, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

func TestAuditList(t *testing.T) {
	s, url := auditStore(t)
	appendRecords(t, s, storetest.Record(1), deniedRecord(2), storetest.Record(3600))
	for _, c := range []struct {
		args string
		want []string
	}{
		{"", []string{"R000001", "R000002", "R003600"}},
		{"--limit 2", []string{"R000002", "R003600"}}, // the newest, oldest first
		{"--limit 0", []string{"R000001", "R000002", "R003600"}},
		{"--verdict denied", []string{"R000002"}},
		{"--since 30m", []string{"R003600"}},
		{"--until 30m", []string{"R000001", "R000002"}},
		{"--since 1d", []string{"R000001", "R000002", "R003600"}},
		{"--since 2026-01-02T03:04:07+00:00 --limit 1", []string{"R003600"}},
		{"--repository octo-org/*", []string{"R000001", "R000002", "R003600"}},
		{"--repository octo", nil},
		{"--role *:role/deploy --rule deploy-prod", []string{"R000001", "R003600"}},
	} {
		code, out, errOut := runAudit(t.Context(), append([]string{"list", "--json", "--store", url}, strings.Fields(c.args)...)...)
		if got := idsIn(out); code != exitDone || !slices.Equal(got, c.want) {
			t.Errorf("%s: expected %v, found exit %d, %v %s", c.args, c.want, code, got, errOut)
		}
	}
	// --json is the record and nothing else.
	_, out, _ := runAudit(t.Context(), "list", "--json", "--limit", "1", "--store", url)
	var r audit.Record
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Seq != 3 || r.Granted.Tags["env"] != "pröd <&>" {
		t.Errorf("found %+v, %v", r, err)
	}
}

func TestAuditListColumns(t *testing.T) {
	s, url := auditStore(t)
	ends := auditNow.Add(time.Hour)
	appendRecords(t, s, storetest.Record(1), deniedRecord(2), storetest.Record(3), storetest.Record(4))
	for id, o := range map[string]audit.Outcome{
		"R000001": {Issued: true, AccessKeyID: "ASIAEXAMPLE", Expires: &ends},
		"R000003": {ErrorCode: "AccessDenied", Error: "Not authorized"},
	} {
		if err := s.AppendOutcome(t.Context(), id, o); err != nil {
			t.Fatal(err)
		}
	}
	_, out, _ := runAudit(t.Context(), "list", "--store", url)
	want := `2026-01-02T03:04:06Z  allowed  octo-org/octo-repo    arn:aws:iam::111111111111:role/deploy  deploy-prod    1      issued ASIAEXAMPLE until 2026-01-02T05:30:00Z
2026-01-02T03:04:07Z  denied   ?octo-org/octo-repo   arn:aws:iam::111111111111:role/deploy  bad_signature  1      the key did not sign it
2026-01-02T03:04:08Z  allowed  octo-org/octo-repo    arn:aws:iam::111111111111:role/deploy  deploy-prod    1      not issued: AccessDenied: Not authorized
2026-01-02T03:04:09Z  allowed  octo-org/octo-repo    arn:aws:iam::111111111111:role/deploy  deploy-prod    1      outcome unknown
`
	if out != want {
		t.Errorf("expected\n%sfound\n%s", want, out)
	}
}

func TestAuditRefuses(t *testing.T) {
	_, url := auditStore(t)
	missing := filepath.Join(t.TempDir(), "none.db")
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"list --verdict maybe --store " + url:       {exitUsage, "--verdict"},
		"list --since yesterday --store " + url:     {exitUsage, "--since"},
		"list --since -2h --store " + url:           {exitUsage, "--since"},
		"list --until 99999999d --store " + url:     {exitUsage, "--until"},
		"list --since 1h --until 2h --store " + url: {exitUsage, "before"},
		"list --limit -1 --store " + url:            {exitUsage, "--limit"},
		"list surplus --store " + url:               {exitUsage, "unexpected argument"},
		"follow --store mysql:x":                    {exitUsage, "mysql"},
		"list --store sqlite:" + missing:            {exitFailed, "no records yet"},
		"follow --store sqlite:" + missing:          {exitFailed, "no records yet"},
		"list --config " + missing:                  {exitUsage, "no configuration file"},
	} {
		code, out, errOut := runAudit(t.Context(), strings.Fields(args)...)
		if code != c.code || !strings.Contains(errOut, c.says) || out != "" {
			t.Errorf("%s: expected exit %d and %q, found %d, %s%s", args, c.code, c.says, code, out, errOut)
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a store was made by reading it")
	}
}

// following is a follower that looks when it is told to.
type following struct {
	t   *testing.T
	now time.Time
	out bytes.Buffer
	f   *follower
}

func follow(t *testing.T, url string, q store.Query) *following {
	t.Helper()
	r, err := store.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	g := &following{t: t, now: auditNow}
	g.f = &follower{reader: r, query: q, now: func() time.Time { return g.now }, print: newRecordPrinter(&g.out, wholeRecord)}
	if err := g.f.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// look expects the ids that one look shows.
func (g *following) look(want ...string) {
	g.t.Helper()
	g.out.Reset()
	if err := g.f.look(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	if got := idsIn(g.out.String()); !slices.Equal(got, want) {
		g.t.Errorf("expected %v, found %v", want, got)
	}
}

func TestAuditFollow(t *testing.T) {
	s, url := auditStore(t)
	fresh := func(n int) *audit.Record {
		return storetest.Record(n, func(r *audit.Record) { r.Time = auditNow })
	}
	conclude := func(id string) {
		if err := s.AppendOutcome(t.Context(), id, audit.Outcome{Issued: true, TokenID: "jti-" + id}); err != nil {
			t.Fatal(err)
		}
	}
	appendRecords(t, s, storetest.Record(1)) // before it began
	g := follow(t, url, store.Query{})
	since := follow(t, url, store.Query{Since: storetest.Record(0).Time})
	g.look()
	since.look("R000001") // old enough to be final without an outcome

	appendRecords(t, s, fresh(2), deniedRecord(3), fresh(4), fresh(5))
	g.look("R000003") // a denial at once
	conclude("R000005")
	g.look("R000005") // outcomes in another order than the records
	g.look()
	conclude("R000002")
	appendRecords(t, s, deniedRecord(6))
	g.look("R000002", "R000006")
	if !strings.Contains(g.out.String(), "jti-R000002") {
		t.Errorf("expected the outcome with the record, found %s", g.out.String())
	}
	g.now = auditNow.Add(outcomeWait - time.Millisecond)
	g.look()
	g.now = auditNow.Add(outcomeWait)
	g.look("R000004") // waited long enough
	conclude("R000004")
	g.look() // and is not shown again
}

func TestAuditFollowFilters(t *testing.T) {
	s, url := auditStore(t)
	g := follow(t, url, store.Query{Repository: "other/*"})
	var want []string
	for n := range 30 {
		r := deniedRecord(n)
		if n%10 == 0 {
			r.Caller.Repository = "other/x"
			want = append(want, r.ID)
		}
		appendRecords(t, s, r)
	}
	g.look(want...)
	if g.f.seen != 30 {
		t.Errorf("expected what is not wanted to be read once, found seq %d seen of 30", g.f.seen)
	}
	g.look()
}

func TestAuditFollowEndsWhenInterrupted(t *testing.T) {
	s, url := auditStore(t)
	appendRecords(t, s, deniedRecord(1))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := store.OpenReader(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	tick, done := make(chan time.Time), make(chan error)
	var out bytes.Buffer
	go func() {
		done <- followRecords(ctx, r, store.Query{Since: storetest.Record(0).Time}, func() time.Time { return auditNow }, tick, newRecordPrinter(&out, wholeRecord))
	}()
	tick <- auditNow // taken after the first look
	appendRecords(t, s, deniedRecord(2))
	tick <- auditNow
	tick <- auditNow
	cancel()
	if err := <-done; err != nil {
		t.Errorf("expected no error of an interrupt, found %v", err)
	}
	if got := idsIn(out.String()); fmt.Sprint(got) != "[R000001 R000002]" {
		t.Errorf("found %v", got)
	}
	if code, _, errOut := runAudit(ctx, "follow", "--store", url); code != exitDone {
		t.Errorf("expected exit 0 when interrupted, found %d: %s", code, errOut)
	}
}
