package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/emulator/github"
	"github.com/stint-dev/stint/internal/store"
)

const (
	forbidden    = "Access to Identity '%s' is forbidden."
	unsupported  = "Token is not from a supported provider of this identity pool."
	notVerified  = "Invalid login token. Couldn't verify signed token."
	notAnIDToken = "Invalid login token. Not a valid OpenId Connect identity token."
	noGuests     = "Unauthenticated access is not supported for this identity pool."
	badRoles     = "Invalid identity pool configuration. Check assigned IAM roles for this pool."
)

// TestCognitoErrors is every error that a client can meet. A message that ends
// with " ..." goes on with what only one of our own jobs is told.
func TestCognitoErrors(t *testing.T) {
	h := newPools(t)
	good := h.payload(prod)
	token := h.sign(good, nil)
	login := object{provider: token}
	signed := func(claims map[string]any) object { return object{provider: h.sign(with(good, claims), nil)} }
	mapped, classic, plain, empty, ghost := h.identityOf(mappedPool, token), h.identityOf(classicPool, token), h.identityOf(plainPool, token), h.identityOf(emptyPool, token), h.identityOf(ghostPool, token)
	now := h.clock().Unix()
	wide, wideClaims := h.identityOf(widePool, token), map[string]any{"must": "be"}
	for i := range 9 {
		wideClaims[fmt.Sprintf("c%d", i+1)] = strings.Repeat("x", 250)
	}
	const nobody = "eu-central-1:0b5f7a1e-0000-4c52-9f0e-1a2b3c4d5e6f"
	forged := token[:strings.LastIndex(token, ".")+1] + strings.Repeat("A", 342)
	other := h.payload(github.Job{Ref: "refs/tags/v1"})
	unmatched := object{provider: h.sign(other, nil)}
	unmatchedID := h.identityOf(mappedPool, h.sign(other, nil))
	pull := h.sign(with(good, map[string]any{"event_name": "pull_request"}), nil)

	h.cognito("GetId", object{}) // so that there is a newest record
	const id, open, creds = "GetId", "GetOpenIdToken", "GetCredentialsForIdentity"
	const refused, missing = "NotAuthorizedException", "ResourceNotFoundException"
	const wrong, config = "InvalidParameterException", "InvalidIdentityPoolConfigurationException"
	for _, c := range []struct {
		name, operation string
		input           any
		kind, message   string
		reason          string // on record
	}{
		{"no such pool", id, object{"IdentityPoolId": nobody, "Logins": login}, missing, "IdentityPool '" + nobody + "' not found.", "no_such_pool"},
		{"no such identity", creds, object{"IdentityId": nobody, "Logins": login}, missing, "Identity '" + nobody + "' not found.", "no_such_identity"},
		{"no login, GetId", id, object{"IdentityPoolId": plainPool}, refused, noGuests, "no_login"},
		{"no login, GetOpenIdToken", open, object{"IdentityId": classic, "Logins": object{}}, refused, noGuests, "no_login"},
		{"no login, GetCredentialsForIdentity", creds, object{"IdentityId": plain, "Logins": nil}, refused, noGuests, "no_login"},
		{"a login that is null", creds, object{"IdentityId": plain, "Logins": object{provider: nil}}, refused, noGuests, "no_login"},
		{"a provider that is none of the pool's", id, object{"IdentityPoolId": plainPool, "Logins": object{"ci.example.com": token}}, refused, unsupported, "provider_not_in_pool"},
		{"a token of another issuer", id, object{"IdentityPoolId": emptyPool, "Logins": object{"ci.example.com": token}}, refused, "Invalid login token. Issuer doesn't match providerName", "issuer_mismatch"},
		{"somebody else's identity", creds, object{"IdentityId": unmatchedID, "Logins": login}, refused, "Logins don't match. Please include at least one valid login for this identity or identity pool.", "logins_mismatch"},
		{"several logins", id, object{"IdentityPoolId": plainPool, "Logins": object{provider: token, "ci.example.com": token}}, wrong, "expected one login, found 2: at this broker an identity belongs to one subject of one provider, and logins are not linked", "invalid_parameter"},
		{"a role that is no ARN of one", creds, object{"IdentityId": mapped, "Logins": login, "CustomRoleArn": token}, wrong, "expected the ARN of an IAM role as CustomRoleArn", "invalid_parameter"},
		{"the basic flow is not allowed", open, object{"IdentityId": plain, "Logins": login}, wrong, "Basic (classic) flow is not enabled, please use enhanced flow.", "classic_disabled"},
		{"the basic flow with rules", open, object{"IdentityId": mapped, "Logins": login}, wrong, "Basic (classic) flow is not supported with RoleMappings, please use enhanced flow.", "classic_with_rules"},
		{"no role in the pool", creds, object{"IdentityId": empty, "Logins": login}, config, badRoles, "no_default_role"},
		{"AWS refuses", creds, object{"IdentityId": ghost, "Logins": login}, config, badRoles + " ...", ""},

		{"no rule matches", creds, object{"IdentityId": unmatchedID, "Logins": unmatched}, refused, "The ambiguous role mapping rules for: " + provider + " denied this request. ...", "no_rule_matched"},
		{"a role that no matching rule gives", creds, object{"IdentityId": mapped, "Logins": login, "CustomRoleArn": defaultRole}, refused, "Access to Role '" + defaultRole + "' is forbidden. ...", "role_not_listed"},
		{"a role of the broker's own rules", creds, object{"IdentityId": plain, "Logins": login, "CustomRoleArn": deployRole}, refused, "Access to Role '" + deployRole + "' is forbidden. ...", "role_not_listed"},
		{"a deny rule, enhanced", creds, object{"IdentityId": mapped, "Logins": object{provider: pull}}, refused, fmt.Sprintf(forbidden, mapped) + " ...", "deny_rule"},
		{"a deny rule, basic", open, object{"IdentityId": classic, "Logins": object{provider: pull}}, refused, fmt.Sprintf(forbidden, classic) + " ...", "deny_rule"},
		{"a required tag's claim is absent", creds, object{"IdentityId": wide, "Logins": login}, refused, fmt.Sprintf(forbidden, wide) + " ...", "session_invalid"},
		{"a session that is too large", creds, object{"IdentityId": wide, "Logins": signed(wideClaims)}, config, badRoles + " ...", "session_too_large"},

		{"expired", creds, object{"IdentityId": plain, "Logins": signed(map[string]any{"iat": now - 900, "nbf": now - 900, "exp": now - 600})}, refused, fmt.Sprintf("Invalid login token. Token expired: %d >= %d. ...", now, now-600), "token_expired"},
		{"not yet valid", id, object{"IdentityPoolId": plainPool, "Logins": signed(map[string]any{"nbf": now + 600})}, refused, "Invalid login token. Token is not yet valid. ...", "token_not_yet_valid"},
		{"another audience", id, object{"IdentityPoolId": plainPool, "Logins": signed(map[string]any{"aud": "https://other.example.com"})}, refused, "Invalid login token. Incorrect token audience. ...", "wrong_audience"},
		{"no JWT", id, object{"IdentityPoolId": plainPool, "Logins": object{provider: "no-jwt"}}, refused, notAnIDToken, "malformed_token"},
		{"a token that is too long", id, object{"IdentityPoolId": plainPool, "Logins": object{provider: strings.Repeat("A", 20000)}}, refused, notAnIDToken, "malformed_token"},
		{"a forged signature", id, object{"IdentityPoolId": plainPool, "Logins": object{provider: forged}}, refused, notVerified, "bad_signature"},
		{"an unknown issuer", id, object{"IdentityPoolId": plainPool, "Logins": signed(map[string]any{"iss": "https://evil.example.com"})}, refused, unsupported, "unknown_issuer"},
		{"a stranger of the same platform", id, object{"IdentityPoolId": plainPool, "Logins": signed(map[string]any{"repository_owner_id": "66"})}, refused, unsupported, "outside_only"},
		{"a stranger asks for credentials", creds, object{"IdentityId": mapped, "Logins": signed(map[string]any{"repository_owner_id": "66"})}, refused, unsupported, "outside_only"},
		{"keys that cannot be had", id, object{"IdentityPoolId": emptyPool, "Logins": object{"ci.example.com": h.sign(with(good, map[string]any{"iss": "https://ci.example.com"}), nil)}}, "ExternalServiceException", "The identity provider's keys cannot be reached now; try again.", "keys_unavailable"},

		{"two constraints", id, object{"IdentityPoolId": "", "AccountId": "a"}, "ValidationException", `3 validation errors detected: Value 'a' at 'accountId' failed to satisfy constraint: Member must satisfy regular expression pattern: \d+; Value '' at 'identityPoolId' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'identityPoolId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w-]+:[0-9a-f-]+`, "invalid_parameter"},
		{"a wrong type", creds, object{"IdentityId": 7}, "SerializationException", "NUMBER_VALUE can not be converted to a String", "invalid_parameter"},
		{"a key twice", creds, `{"IdentityId": "` + plain + `", "Logins": {"` + provider + `": "a", "` + provider + `": "b"}}`, "SerializationException", `the key "` + provider + `" stands twice`, "invalid_parameter"},
		{"an operation that is not served", "ListIdentities", object{}, "UnknownOperationException", "this is a stint broker, which serves GetId, GetOpenIdToken and GetCredentialsForIdentity only", "invalid_action"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := h.last().ID
			a := h.cognito(c.operation, c.input)
			kind, message := a.cognitoError(t)
			want, told := strings.CutSuffix(c.message, " ...")
			said, reason, explained := strings.Cut(message, " Reason: ")
			if a.status != http.StatusBadRequest || kind != c.kind || said != want || told != (explained && reason != "") {
				t.Errorf("found %d %s %q; want %s %q", a.status, kind, message, c.kind, c.message)
			}
			r := h.last()
			if r.ID == before {
				t.Fatal("nothing is on record")
			}
			if r.Door != "aws-cognito-identity" || r.Reason != c.reason {
				t.Errorf("on record: door %q, reason %q; want %q", r.Door, r.Reason, c.reason)
			}
			if told && !strings.Contains(message, r.ID) {
				t.Errorf("the message does not name the record %s: %s", r.ID, message)
			}
			if strings.Contains(text(r), token) {
				t.Error("the token is on record")
			}
			if a.header.Get("Stint-Grant") != "" {
				t.Error("an error carries a grant")
			}
		})
	}
}

// TestCognitoLimit: a pool answers so many requests a second, and others as
// before.
func TestCognitoLimit(t *testing.T) {
	h := newPools(t)
	token := h.token()
	for range 3 { // whoever has no token uses nothing up
		if kind, _ := h.cognito("GetId", object{"IdentityPoolId": slowPool}).cognitoError(t); kind != "NotAuthorizedException" {
			t.Errorf("a stranger got %s", kind)
		}
	}
	h.identityOf(slowPool, token)
	id := h.identityOf(slowPool, token)
	for op, input := range map[string]object{
		"GetId":                     {"IdentityPoolId": slowPool, "Logins": object{provider: token}},
		"GetCredentialsForIdentity": {"IdentityId": id, "Logins": object{provider: token}},
	} {
		if kind, message := h.cognito(op, input).cognitoError(t); kind != "TooManyRequestsException" || message != "Rate exceeded for "+op+"." {
			t.Errorf("%s: found %s %q", op, kind, message)
		}
	}
	h.identityOf(plainPool, token)
	h.mu.Lock()
	h.now = h.now.Add(time.Second)
	h.mu.Unlock()
	h.identityOf(slowPool, token)
}

// TestCognitoUnavailable: without a record there are neither tokens nor
// credentials, and the caller is told to try again.
func TestCognitoUnavailable(t *testing.T) {
	for _, c := range []struct {
		name              string
		records, outcomes bool
	}{{"the decision", true, false}, {"the outcome", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			var records, outcomes atomic.Bool
			h := newPools(t, func(hc *harnessConfig) {
				hc.wrapStore = func(s store.Store) audit.Store { return brokenStore{s, &records, &outcomes} }
			})
			token := h.token()
			input := object{"IdentityId": h.identityOf(classicPool, token), "Logins": object{provider: token}}
			for _, op := range []string{"GetOpenIdToken", "GetCredentialsForIdentity"} {
				if a := h.cognito(op, input); a.status != http.StatusOK {
					t.Fatalf("%s with a working store: %d %s", op, a.status, a.body)
				}
			}
			records.Store(c.records)
			outcomes.Store(c.outcomes)
			for _, op := range []string{"GetOpenIdToken", "GetCredentialsForIdentity"} {
				a := h.cognito(op, input)
				kind, message := a.cognitoError(t)
				if a.status != http.StatusInternalServerError || kind != "InternalErrorException" || message != "The broker cannot answer now; try again." {
					t.Errorf("%s: found %d %s", op, a.status, a.body)
				}
			}
		})
	}
}

// TestCognitoHTTP: what is refused before the protocol is looked at.
func TestCognitoHTTP(t *testing.T) {
	h := newPools(t)
	for _, c := range []struct {
		name, method, contentType, target, body string
		status                                  int
		kind                                    string
	}{
		{"another method", http.MethodGet, "application/x-amz-json-1.1", "AWSCognitoIdentityService.GetId", "", http.StatusMethodNotAllowed, "MethodNotAllowedException"},
		{"no target", http.MethodPost, "application/x-amz-json-1.1", "", "{}", http.StatusBadRequest, "UnknownOperationException"},
		{"another service", http.MethodPost, "application/x-amz-json-1.1", "AWSCognitoIdentityProviderService.GetId", "{}", http.StatusBadRequest, "UnknownOperationException"},
		{"another content type", http.MethodPost, "application/json", "AWSCognitoIdentityService.GetId", "{}", http.StatusBadRequest, "UnknownOperationException"},
		{"not JSON", http.MethodPost, "application/x-amz-json-1.1", "AWSCognitoIdentityService.GetId", "{", http.StatusBadRequest, "SerializationException"},
		{"no body", http.MethodPost, "application/x-amz-json-1.1", "AWSCognitoIdentityService.GetId", "", http.StatusBadRequest, "SerializationException"},
		{"too large", http.MethodPost, "application/x-amz-json-1.1", "AWSCognitoIdentityService.GetId", strings.Repeat(" ", 1<<17), http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, path := range []string{"/aws/cognito-identity", "/aws/cognito-identity/"} {
				r, err := http.NewRequestWithContext(t.Context(), c.method, h.url+path, strings.NewReader(c.body))
				must(t, err)
				r.Header.Set("Content-Type", c.contentType)
				r.Header.Set("X-Amz-Target", c.target)
				a := h.do(r)
				if kind, _ := a.cognitoError(t); a.status != c.status || kind != c.kind {
					t.Errorf("%s: found %d %s", path, a.status, a.body)
				}
			}
		})
	}
}
