package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stint-dev/stint/client"
)

// TestChainFailures: which hop failed, and what kind of failure it is.
func TestChainFailures(t *testing.T) {
	const user = "User: arn:aws:sts::222222222222:assumed-role/release/octo-repo-7 is not authorized to perform: "
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		denied bool
		code   string
		calls  int    // of the second hop
		hint   string // in it
	}{
		{"denied", stsError(403, "AccessDenied", user+"sts:AssumeRole on resource: "+roleC), true, "AccessDenied", 1, "the identity policies of release do not allow sts:AssumeRole on data"},
		{"denied for the tags", stsError(403, "AccessDenied", user+"sts:TagSession on resource: "+roleC), true, "AccessDenied", 1, "the session carries tags (repository, team), which takes sts:TagSession"},
		{"denied for the source identity", stsError(403, "AccessDenied", user+"sts:SetSourceIdentity on resource: "+roleC), true, "AccessDenied", 1, "sts:SetSourceIdentity"},
		{"too large", stsError(400, "PackedPolicyTooLarge", "x"), true, "PackedPolicyTooLarge", 1, "chain.tags"},
		{"duration", stsError(400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."), false, "ValidationError", 1, "--duration"},
		{"transitive", stsError(400, "InvalidParameterValue", "the tag is transitive"), false, "InvalidParameterValue", 1, "stint explain"},
		{"a broker", stsError(400, "InvalidAction", "Could not find operation AssumeRole"), false, "InvalidAction", 1, "--sts-endpoint"},
		{"another STS", stsError(403, "InvalidClientTokenId", "x"), false, "InvalidClientTokenId", 1, "--sts-endpoint"},
		{"region", stsError(403, "RegionDisabledException", "x"), false, "RegionDisabledException", 1, "AWS_REGION"},
		{"unavailable", stsError(503, "ServiceUnavailable", "x"), false, "ServiceUnavailable", 4, "--sts-endpoint"},
		{"throttled", stsError(400, "Throttling", "x"), false, "Throttling", 4, ""},
		{"HTML", answer(404, "text/html", "<html></html>"), false, "", 1, ""},
		{"no credentials", answer(200, "text/xml", `<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>`), false, "", 1, ""},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusTemporaryRedirect)
		}, false, "", 1, "--sts-endpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newChainWorld(t, grantJSON)
			for n := 2; n < 8; n++ {
				w.fail[n] = tt.answer
			}
			creds, err := w.assume(client.AWSRequest{}, client.Hop{Role: roleB}, client.Hop{Role: roleC})
			if creds != (client.AWSCredentials{}) {
				t.Error("credentials came back")
			}
			var hop *client.ChainError
			if !errors.As(err, &hop) || hop.Hop != 2 || hop.Hops != 2 || hop.Caller != roleB || hop.Role != roleC {
				t.Fatalf("error %v, want one of the second hop", err)
			}
			if !strings.Contains(err.Error(), "hop 2 of 2, "+roleB+" -> "+roleC) {
				t.Errorf("error %v does not say which hop", err)
			}
			var denied *client.DeniedError
			var answered *client.STSError
			switch {
			case errors.As(err, &denied) != tt.denied:
				t.Errorf("error %v, denied: %v", err, !tt.denied)
			case denied != nil && (denied.Code != tt.code || !denied.Upstream):
				t.Errorf("denial %+v", denied)
			case denied == nil && tt.code != "" && (!errors.As(err, &answered) || answered.Code != tt.code):
				t.Errorf("error %v, want code %s", err, tt.code)
			}
			if !strings.Contains(hop.Hint(), tt.hint) {
				t.Errorf("hint %q, want %q in it", hop.Hint(), tt.hint)
			}
			if len(w.calls) != 1+tt.calls {
				t.Errorf("%d calls of the second hop, want %d", len(w.calls)-1, tt.calls)
			}
			if strings.Contains(fmt.Sprintf("%v%+v%s", err, hop, hop.Hint()), "session1") || strings.Contains(err.Error(), "secret1") {
				t.Error("the error holds credentials")
			}
		})
	}
}

// TestChainExplain: the command that is advised says what the call carried.
func TestChainExplain(t *testing.T) {
	w := newChainWorld(t, grantJSON)
	w.fail[1] = stsError(403, "AccessDenied", "x")
	_, err := w.assume(client.AWSRequest{Duration: 20 * time.Minute}, client.Hop{Role: roleB, ExternalID: "x1"})
	var hop *client.ChainError
	if !errors.As(err, &hop) {
		t.Fatal(err)
	}
	const want = "stint explain --session --role deploy.json --chain release.json --session-name octo-repo-7 --session-tag env=prod " +
		"--session-tag repository=octo-org/octo-repo --session-tag team=platform --session-transitive team --session-identity 12 " +
		"--tag repository=octo-org/octo-repo --external-id x1 --duration 20m0s"
	if got := hop.Explain(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !strings.HasSuffix(hop.Hint(), "\n"+want) {
		t.Errorf("hint %q", hop.Hint())
	}
	// The second hop's caller has what the first passed and inherited, and a
	// value with a space is one word.
	w = newChainWorld(t, `{"tags":{"a":"1","b":"x y","c":"3"},"transitive":["a"],"chain":{"tags":{"b":"x y"}}}`)
	w.fail[2] = stsError(403, "AccessDenied", "x")
	_, err = w.assume(client.AWSRequest{}, client.Hop{Role: role}, client.Hop{Role: "arn:aws:iam::222222222222:role/deploy"})
	if !errors.As(err, &hop) {
		t.Fatal(err)
	}
	const second = "stint explain --session --role 111111111111-deploy.json --chain 222222222222-deploy.json --session-name octo-repo-7 " +
		"--session-tag a=1 --session-tag 'b=x y' --session-transitive a --tag 'b=x y'"
	if got := hop.Explain(); got != second {
		t.Errorf("got  %s\nwant %s", got, second)
	}
}
