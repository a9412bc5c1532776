package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// The pools of the tests.
const (
	mappedPool  = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-000000000001" // role mapping rules, and the basic flow allowed
	classicPool = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-000000000002" // a default role and the basic flow
	plainPool   = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-000000000003" // a default role only
	emptyPool   = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-000000000004" // the basic flow only, and a second provider
	slowPool    = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-000000000005" // two requests a second
	widePool    = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-000000000007" // many tags, one of them required
	ghostPool   = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-000000000006" // its role is not in AWS

	provider    = "token.actions.githubusercontent.com"
	providerARN = "arn:aws:iam::111111111111:oidc-provider/" + provider
	appRole     = "arn:aws:iam::111111111111:role/app"
	mainRole    = "arn:aws:iam::111111111111:role/main"
	defaultRole = "arn:aws:iam::111111111111:role/authenticated"
)

const poolsFile = `
issuer: https://stint.example.com
issuers:
  github:
    url: https://token.actions.githubusercontent.com
    audiences: [https://stint.example.com]
    only: {repository_owner_id: "65"}
  other: {url: https://ci.example.com, audiences: [https://stint.example.com]}
rules:
  - name: never-pull-requests
    effect: deny
    match: {event_name: pull_request*}
  - name: everything-else
    match: {repository_id: "74"}
    aws: {roles: ["arn:aws:iam::111111111111:role/deploy"]}
pools:
  - id: ` + mappedPool + `
    name: mapped
    account: "111111111111"
    classic: true
    duration: 30m
    providers:
      - provider: token.actions.githubusercontent.com
        tags: {repository: repository, ref: ref}
        transitive: [repository]
        rules:
          - {claim: environment, equals: prod, role: "` + appRole + `"}
          - {claim: ref, starts_with: refs/heads/, role: "` + mainRole + `"}
  - id: ` + classicPool + `
    account: "111111111111"
    classic: true
    default_role: ` + defaultRole + `
    providers: [{provider: token.actions.githubusercontent.com, tags: {repository: repository}}]
  - id: ` + plainPool + `
    account: "111111111111"
    default_role: ` + defaultRole + `
    providers: [{provider: token.actions.githubusercontent.com}]
  - id: ` + emptyPool + `
    account: "111111111111"
    classic: true
    providers: [{provider: token.actions.githubusercontent.com}, {provider: ci.example.com}]
  - id: ` + slowPool + `
    account: "111111111111"
    default_role: ` + defaultRole + `
    requests_per_second: 2
    providers: [{provider: token.actions.githubusercontent.com}]
  - id: ` + widePool + `
    account: "111111111111"
    default_role: ` + defaultRole + `
    providers:
      - provider: token.actions.githubusercontent.com
        tags: {a: c1, b: c2, c: c3, d: c4, e: c5, f: c6, g: c7, h: c8, i: c9, must: {claim: must, required: true}}
  - id: ` + ghostPool + `
    account: "111111111111"
    default_role: arn:aws:iam::111111111111:role/ghost
    providers: [{provider: token.actions.githubusercontent.com}]
`

// poolRole is a role that trusts identities of pools, as roles for Cognito do.
func poolRole(name string, pools ...string) string {
	audiences, err := json.Marshal(pools)
	if err != nil {
		panic(err)
	}
	return `{"Role": {"Arn": "arn:aws:iam::111111111111:role/` + name + `", "MaxSessionDuration": 3600, "AssumeRolePolicyDocument": {
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/stint.example.com"},
    "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
    "Condition": {
      "StringEquals": {"stint.example.com:aud": ` + string(audiences) + `},
      "ForAnyValue:StringLike": {"stint.example.com:amr": "authenticated"}}}]}}}`
}

func newPools(t *testing.T, options ...option) *harness {
	t.Helper()
	return newHarness(t, append(options, func(c *harnessConfig) {
		c.rules = poolsFile
		c.roles = map[string]string{
			"app.json":           poolRole("app", mappedPool),
			"main.json":          poolRole("main", mappedPool),
			"authenticated.json": poolRole("authenticated", classicPool, plainPool, slowPool, emptyPool),
		}
	})...)
}

// identityOf asks for the identity of a token in a pool.
func (h *harness) identityOf(pool, token string) string {
	h.t.Helper()
	a := h.cognito("GetId", object{"IdentityPoolId": pool, "Logins": object{provider: token}})
	id, _ := a.json(h.t)["IdentityId"].(string)
	if a.status != http.StatusOK || id == "" {
		h.t.Fatalf("GetId answered %d %s", a.status, a.body)
	}
	return id
}

type object = map[string]any

// cognito sends a request of the protocol.
func (h *harness) cognito(operation string, input any) answer {
	h.t.Helper()
	body, ok := input.(string)
	if !ok {
		body = text(input)
	}
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+"/aws/cognito-identity/", strings.NewReader(body))
	must(h.t, err)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AWSCognitoIdentityService."+operation)
	return h.do(r)
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return v
}

// cognitoError is the type and the message of an error, which stand alike in
// the body and in the header.
func (a answer) cognitoError(t *testing.T) (kind, message string) {
	t.Helper()
	v := a.json(t)
	kind, _ = v["__type"].(string)
	message, _ = v["message"].(string)
	if a.status < 400 || kind == "" || a.header.Get("x-amzn-ErrorType") != kind+":" || a.header.Get("x-amzn-RequestId") == "" ||
		a.header.Get("Content-Type") != "application/x-amz-json-1.1" {
		t.Errorf("not an error of the protocol: %d %v %s", a.status, a.header, a.body)
	}
	return kind, message
}
