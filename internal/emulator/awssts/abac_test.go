package awssts_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stint-dev/stint/internal/emulator/awssts"
	"github.com/stint-dev/stint/internal/emulator/organization"
	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/roles"
)

const (
	ownManaged   = "arn:aws:iam::222222222222:policy/chain"
	otherManaged = "arn:aws:iam::111111111111:policy/chain"
)

// abacWorld has roles whose policies test tags, the organization and the
// resource. The session one has the tags repository (transitive) and sha, and
// a source identity.
func abacWorld(t *testing.T) *world {
	t.Helper()
	web := policy(everyAction, "")
	allowIf := func(conditions string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[%s],"Resource":"*","Condition":{%s}}]}`, chain, conditions)
	}
	caller := func(name, identity string) string { return detail(here+name, web, identity, "") }
	team := `,"Tags":[{"Key":"team","Value":"core"}]`
	all := []string{
		detail(one, web, allow(chain, "*"), ""),
		caller("teams", allowIf(`"StringEquals":{"aws:ResourceTag/team":"core"}`)),
		caller("accounts", allowIf(`"StringEquals":{"aws:ResourceAccount":"222222222222"}`)),
		caller("org", allowIf(`"StringEquals":{"aws:ResourceOrgID":"${aws:PrincipalOrgID}"}`)),
		caller("foreign-org", allowIf(`"StringEquals":{"aws:ResourceOrgID":"o-0000000000"}`)),
		caller("org-path", allowIf(`"ForAnyValue:StringLike":{"aws:ResourceOrgPaths":"o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/*"}`)),
		detail(elsewhere+"core", trustAWS("111111111111", chain, ""), allow(chain, "*"), team),
		detail(elsewhere+"plain", trustAWS("111111111111", chain, ""), "", ""),
		detail(here+"near", trustAWS("111111111111", chain, ""), "", ""),
		detail(elsewhere+"last", trustAWS("222222222222", chain, ""), "", ""),
		detail(elsewhere+"sha", trustAWS(one, chain, `"StringEquals":{"aws:RequestTag/sha":"${aws:PrincipalTag/sha}"}`), "", ""),
		detail(elsewhere+"unsourced", trustAWS(one, `"sts:AssumeRole","sts:TagSession"`, ""), "", ""),
		detail(elsewhere+"keys", trustAWS(one, chain, `"ForAllValues:StringEquals":{"sts:TransitiveTagKeys":["stage"]}`), "", ""),
		detail(here+"resource", policy(everyAction, `"StringEquals":{"aws:ResourceAccount":"111111111111","aws:ResourceOrgID":"o-a1b2c3d4e5","aws:UserAgent":"job/1"}`), "", ""),
		detail(here+"resource-elsewhere", policy(everyAction, `"StringEquals":{"aws:ResourceAccount":"222222222222"}`), "", ""),
	}
	version := `"PolicyVersionList":[{"IsDefaultVersion":true,"VersionId":"v1","Document":` + allow(chain, "*") + `}]`
	doc := `{"RoleDetailList":[` + strings.Join(all, ",") + `],"Policies":[{"Arn":"` + ownManaged + `",` + version + `},{"Arn":"` + otherManaged + `",` + version + `}]}`
	set, _, err := roles.FromInventory(inventory.LoadFS(fstest.MapFS{"account.json": &fstest.MapFile{Data: []byte(doc)}}), "")
	if err != nil {
		t.Fatal(err)
	}
	org, err := organization.Parse("org.yaml", []byte(orgFile))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *awssts.Config) { c.Roles, c.Organization = set, org })
	realTime(w) // the SDK signs with the machine's clock
	return w
}

// TestAttributes: what conditions see of the caller, the request and the role.
func TestAttributes(t *testing.T) {
	w := abacWorld(t)
	for _, c := range []struct {
		from, to string
		tags     []types.Tag
		keys     []string
		denied   string // the action; empty: allowed
	}{
		{"one", elsewhere + "sha", []types.Tag{tag("sha", "abc")}, nil, ""},
		{"one", elsewhere + "sha", []types.Tag{tag("sha", "def")}, nil, "sts:AssumeRole"},
		{"one", elsewhere + "sha", nil, nil, "sts:AssumeRole"},
		{"one", elsewhere + "unsourced", nil, nil, "sts:SetSourceIdentity"},
		{"one", elsewhere + "keys", []types.Tag{tag("stage", "prod")}, []string{"stage"}, ""},
		{"one", elsewhere + "keys", []types.Tag{tag("other", "prod")}, []string{"other"}, "sts:AssumeRole"},
		{"teams", elsewhere + "core", nil, nil, ""},
		{"teams", elsewhere + "plain", nil, nil, "sts:AssumeRole"},
		{"accounts", elsewhere + "plain", nil, nil, ""},
		{"accounts", here + "near", nil, nil, "sts:AssumeRole"},
		{"org", elsewhere + "plain", nil, nil, ""},
		{"foreign-org", elsewhere + "plain", nil, nil, "sts:AssumeRole"},
		{"org-path", elsewhere + "plain", nil, nil, ""},
		{"org-path", here + "near", nil, nil, "sts:AssumeRole"},
	} {
		_, err := w.as(w.first(here+c.from)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &c.to, RoleSessionName: aws.String("next"), Tags: c.tags, TransitiveTagKeys: c.keys})
		switch {
		case c.denied == "" && err != nil:
			t.Errorf("%s to %s: %v (%s)", c.from, c.to, err, w.last().Detail)
		case c.denied != "" && err == nil:
			t.Errorf("%s to %s with %d tags: allowed", c.from, c.to, len(c.tags))
		case c.denied != "":
			expectAPIError(t, err, http.StatusForbidden, "AccessDenied", "User: arn:aws:sts::111111111111:assumed-role/"+c.from+"/job is not authorized to perform: "+c.denied+" on resource: "+c.to)
		}
	}
}

// TestResourceOfWebIdentity: a trust policy sees whose role it is when a token
// comes, too.
func TestResourceOfWebIdentity(t *testing.T) {
	w := abacWorld(t)
	send := func(role string) answer {
		r, err := http.NewRequest(http.MethodPost, w.url, strings.NewReader(parameters(w.sign("ES256", w.claims()), "RoleArn", role).Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("User-Agent", "job/1")
		return w.do(r)
	}
	if a := send(here + "resource"); a.Status != http.StatusOK {
		t.Errorf("found %s", a.Body)
	}
	w.expect(send(here+"resource-elsewhere"), http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
}

// TestManagedSessionPolicies: a managed session policy is what the files say it
// is, if it is one of the role's account.
func TestManagedSessionPolicies(t *testing.T) {
	w := abacWorld(t)
	for arn, allowed := range map[string]bool{
		ownManaged: true, otherManaged: false,
		"arn:aws:iam::222222222222:policy/nowhere": false, "arn:aws:iam::aws:policy/AdministratorAccess": false,
	} {
		next, err := w.as(w.first(one)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "core"), RoleSessionName: aws.String("second"), PolicyArns: []types.PolicyDescriptorType{{Arn: &arn}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.as(next.Credentials).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(elsewhere + "last"), RoleSessionName: aws.String("third")}); (err == nil) != allowed {
			t.Errorf("with %s: %v, want allowed: %v", arn, err, allowed)
		}
	}
}

// TestAssumeRoleProvider: the SDK's provider of a chained session.
func TestAssumeRoleProvider(t *testing.T) {
	w := abacWorld(t)
	c, err := stscreds.NewAssumeRoleProvider(w.as(w.first(one)), elsewhere+"sha", func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Tags, o.TransitiveTagKeys = "next", []types.Tag{tag("sha", "abc")}, []string{"sha"}
	}).Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.AccountID != "222222222222" || !c.Expires.Equal(w.clock.Now().Add(15*time.Minute).UTC().Truncate(time.Second)) {
		t.Errorf("found account %s until %s", c.AccountID, c.Expires)
	}
	out, err := w.client(static(c), "us-east-1").GetCallerIdentity(t.Context(), nil)
	if err != nil || *out.Arn != "arn:aws:sts::222222222222:assumed-role/sha/next" || *out.Account != "222222222222" || !strings.HasSuffix(*out.UserId, ":next") {
		t.Errorf("found %+v, %v", out, err)
	}
	session, _ := w.sts.(*awssts.STS).Session(c.AccessKeyID)
	if keys := strings.Join(session.Caller.TransitiveTagKeys, " "); keys != "sha repository" {
		t.Errorf("the next session hands on %q", keys)
	}
}

// send signs an AssumeRole with credentials, or with none.
func (w *world) send(c *types.Credentials, form url.Values) (status int, body string) {
	w.Helper()
	text := form.Encode()
	r, err := http.NewRequest(http.MethodPost, w.url+"/", strings.NewReader(text))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if c != nil {
		digest := sha256.Sum256([]byte(text))
		own := aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}
		if err := v4.NewSigner().SignHTTP(w.Context(), own, r, hex.EncodeToString(digest[:]), "sts", "us-east-1", w.clock.Now()); err != nil {
			w.Fatal(err)
		}
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		w.Fatal(err)
	}
	return response.StatusCode, string(data)
}

// TestAssumeRoleOnTheWire: what a client without an SDK sends and gets.
func TestAssumeRoleOnTheWire(t *testing.T) {
	w := abacWorld(t)
	creds := w.first(one)
	form := func(changes ...string) url.Values {
		v := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {elsewhere + "plain"}, "RoleSessionName": {"next"}}
		for i := 0; i < len(changes); i += 2 {
			v.Add(changes[i], changes[i+1])
		}
		return v
	}

	status, body := w.send(creds, form("RoleArn", elsewhere+"unsourced", "Nonsense", "x", "Tags.member.2.Key", "b", "Tags.member.2.Value", "", "Tags.member.1.Key", "a", "Tags.member.1.Value", "1"))
	var a struct {
		XMLName xml.Name
		Result  struct {
			Credentials struct {
				AccessKeyID string `xml:"AccessKeyId"`
			}
			AssumedRoleUser  struct{ Arn string }
			SourceIdentity   string
			SessionTokenSize int
		} `xml:"AssumeRoleResult"`
	}
	if err := xml.Unmarshal([]byte(body), &a); err != nil || status != http.StatusOK || a.XMLName.Local != "AssumeRoleResponse" {
		t.Fatalf("found %d %s", status, body)
	}
	if a.Result.AssumedRoleUser.Arn != "arn:aws:sts::222222222222:assumed-role/plain/next" || a.Result.SourceIdentity != "octocat" || a.Result.SessionTokenSize < 1000 {
		t.Errorf("found %+v", a.Result)
	}
	if s, ok := w.sts.(*awssts.STS).Session(a.Result.Credentials.AccessKeyID); !ok || len(s.Caller.Tags) != 3 || s.Caller.Tags[0].Key != "a" {
		t.Errorf("the session has the tags %+v", s.Caller.Tags)
	}

	token := w.sign("ES256", w.claims())
	for name, c := range map[string]struct {
		creds  *types.Credentials
		form   url.Values
		status int
		says   string
	}{
		"unsigned":                 {nil, form(), 403, "<Code>MissingAuthenticationToken</Code>"},
		"a tag without a value":    {creds, form("Tags.member.1.Key", "a"), 400, "Value null at &#39;tags.1.member.value&#39; failed to satisfy constraint: Member must not be null"},
		"a number that is none":    {creds, form("DurationSeconds", "1h"), 400, "<Code>MalformedInput</Code>"},
		"a token in a wrong place": {creds, form("SourceIdentity", token), 400, "at &#39;sourceIdentity&#39;"},
	} {
		if status, body := w.send(c.creds, c.form); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: found %d %s", name, status, body)
		}
		d := w.last()
		if text, err := json.Marshal(d); err != nil || d.Allowed || strings.Contains(string(text), token[:40]) {
			t.Errorf("%s: told %s, %v", name, text, err)
		}
	}
}
