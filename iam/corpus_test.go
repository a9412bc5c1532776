package iam_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/iam"
)

// corpusFile is a file of testdata/corpus. Every expectation in it follows
// from what its source says, or where that is silent from the readings that
// the package documents; none was taken from what the evaluator answered.
type corpusFile struct {
	Source string
	Cases  []corpusCase
}

type corpusCase struct {
	Name   string
	Why    string
	Source string // where it differs from the file's

	// Either a policy and a verdict ...
	Policy  json.RawMessage
	Request corpusRequest
	Want    string // a Decision, in words

	// ... or a condition and context, and whether the condition matches in a
	// statement that allows and in one that denies. They differ exactly where
	// AWS is silent.
	Condition   json.RawMessage
	Version     string // 2012-10-17 where empty
	Context     map[string][]string
	Allow, Deny *bool

	// ... or a document that must not parse, with the error's place.
	Document string
	Error    string // part of the message
	Path     string
	At       [2]int

	// ... or a web identity call.
	Call    *corpusCall
	Allowed bool
	Denied  string
}

type corpusRequest struct {
	Action         string
	Resource       string
	AWS            []string
	Federated      string
	Service        string
	CanonicalUser  string
	Context        map[string][]string
	IdentityPolicy bool
}

func (r corpusRequest) request() iam.Request {
	return iam.Request{
		Action:   r.Action,
		Resource: r.Resource,
		Principal: iam.Principal{
			AWS: r.AWS, Federated: r.Federated, Service: r.Service, CanonicalUser: r.CanonicalUser,
		},
		Context:        iam.NewContext(r.Context),
		IdentityPolicy: r.IdentityPolicy,
	}
}

type corpusCall struct {
	Provider, Issuer, Audience string
	Claims                     map[string]any
	RoleARN, RoleSessionName   string
	Tags                       [][2]string
	TransitiveTagKeys          []string
	SourceIdentity             string
	RolesClaim                 bool
	RoleTags                   map[string]string
	DurationSeconds            int
	Time                       time.Time
	SourceIP                   string
	Region                     string
}

func (c corpusCall) call() iam.WebIdentityCall {
	out := iam.WebIdentityCall{
		Provider: c.Provider, Issuer: c.Issuer, Audience: c.Audience, Claims: c.Claims,
		RoleARN: c.RoleARN, RoleSessionName: c.RoleSessionName,
		TransitiveTagKeys: c.TransitiveTagKeys, SourceIdentity: c.SourceIdentity,
		RolesClaim: c.RolesClaim, RoleTags: c.RoleTags, DurationSeconds: c.DurationSeconds,
		Time: c.Time, SourceIP: c.SourceIP, Region: c.Region,
	}
	for _, t := range c.Tags {
		out.Tags = append(out.Tags, iam.Tag{Key: t[0], Value: t[1]})
	}
	return out
}

func loadCorpus(t testing.TB) map[string]corpusFile {
	t.Helper()
	paths, err := filepath.Glob("testdata/corpus/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	files := make(map[string]corpusFile)
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var f corpusFile
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		dec.UseNumber()
		if err := dec.Decode(&f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		files[filepath.Base(path)] = f
	}
	return files
}

func TestCorpus(t *testing.T) {
	count := 0
	for name, file := range loadCorpus(t) {
		t.Run(name, func(t *testing.T) {
			if file.Source == "" {
				t.Error("the file names no source")
			}
			seen := make(map[string]bool)
			for _, c := range file.Cases {
				count++
				if c.Name == "" || seen[c.Name] || c.Why == "" {
					t.Errorf("case %q: no name, a doubled name, or no reason", c.Name)
				}
				seen[c.Name] = true
				t.Run(c.Name, func(t *testing.T) { c.run(t) })
			}
		})
	}
	if count < 500 {
		t.Errorf("the corpus has %d cases", count)
	}
}

func (c corpusCase) run(t *testing.T) {
	switch {
	case c.Call != nil:
		c.runCall(t)
	case c.Document != "":
		c.runSyntax(t)
	case c.Condition != nil:
		c.runCondition(t)
	default:
		check(t, c.Policy, c.Request.request(), c.Want, c.Why)
	}
}

// check asserts the verdict on the policy as it stands and on what it is
// after encoding and decoding it, and that Decide and Evaluate agree.
func check(t *testing.T, document []byte, r iam.Request, want, why string) {
	t.Helper()
	p, err := iam.ParsePolicy(document)
	if err != nil {
		t.Fatalf("%s\n%s", err, document)
	}
	encoded, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := iam.ParsePolicy(encoded)
	if err != nil {
		t.Fatalf("after encoding: %s\n%s", err, encoded)
	}
	for _, p := range []*iam.Policy{p, again} {
		result := p.Evaluate(r)
		if got := result.Decision.String(); got != want {
			trace, _ := json.MarshalIndent(result, "", "  ")
			t.Fatalf("%s, want %s: %s\n%s\n%s", got, want, why, document, trace)
		}
		if got := p.Decide(r); got != result.Decision {
			t.Fatalf("Decide says %s, Evaluate %s\n%s", got, result.Decision, document)
		}
	}
}

func (c corpusCase) runCondition(t *testing.T) {
	if c.Allow == nil || c.Deny == nil {
		t.Fatal("the case says not what is expected")
	}
	version := c.Version
	if version == "" {
		version = "2012-10-17"
	}
	r := iam.Request{
		Action:    "test:Do",
		Principal: iam.Principal{AWS: []string{"arn:aws:iam::111111111111:user/somebody"}},
		Context:   iam.NewContext(c.Context),
	}
	want := "ImplicitDeny"
	if *c.Allow {
		want = "Allow"
	}
	allow := fmt.Sprintf(`{"Version":%q,"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":%s}}`, version, c.Condition)
	check(t, []byte(allow), r, want, c.Why)
	want = "Allow"
	if *c.Deny {
		want = "ExplicitDeny"
	}
	deny := fmt.Sprintf(`{"Version":%q,"Statement":[{"Effect":"Allow","Principal":"*","Action":"*"},{"Effect":"Deny","Principal":"*","Action":"*","Condition":%s}]}`, version, c.Condition)
	check(t, []byte(deny), r, want, c.Why)

	p, err := iam.ParsePolicy([]byte(allow))
	if err != nil {
		t.Fatal(err)
	}
	silent := false
	for _, result := range p.Evaluate(r).Statements[0].Conditions {
		silent = silent || result.Silent
		if result.Silent && (result.Matched || result.Note == "") {
			t.Errorf("a silent case matched in an Allow, or has no note: %+v", result)
		}
	}
	if *c.Allow == *c.Deny && silent && !strings.Contains(c.Why, "several conditions") || *c.Allow != *c.Deny && !silent {
		t.Errorf("Silent is %v: %s", silent, c.Why)
	}
}

func (c corpusCase) runSyntax(t *testing.T) {
	_, err := iam.ParsePolicy([]byte(c.Document))
	var syntax *iam.SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("error %v, want a *SyntaxError: %s", err, c.Document)
	}
	if !strings.Contains(syntax.Message, c.Error) {
		t.Errorf("message %q, want %q", syntax.Message, c.Error)
	}
	if syntax.Path != c.Path {
		t.Errorf("path %q, want %q (%s)", syntax.Path, c.Path, syntax.Message)
	}
	if c.At != [2]int{} && c.At != [2]int{syntax.Line, syntax.Column} {
		t.Errorf("at %d:%d, want %v", syntax.Line, syntax.Column, c.At)
	}
}

func (c corpusCase) runCall(t *testing.T) {
	p, err := iam.ParsePolicy(c.Policy)
	if err != nil {
		t.Fatal(err)
	}
	result := iam.EvaluateWebIdentity(p, c.Call.call())
	if result.Allowed != c.Allowed || result.Denied != c.Denied {
		trace, _ := json.MarshalIndent(result, "", "  ")
		t.Fatalf("allowed %v, denied %q, want %v, %q: %s\n%s", result.Allowed, result.Denied, c.Allowed, c.Denied, c.Why, trace)
	}
}
