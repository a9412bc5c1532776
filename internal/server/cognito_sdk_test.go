package server_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// cognitoClient is the AWS SDK's, with nothing changed but the address.
func (h *harness) cognitoClient() *cognitoidentity.Client {
	return cognitoidentity.New(cognitoidentity.Options{Region: "eu-central-1", BaseEndpoint: aws.String(h.url + "/aws/cognito-identity"),
		RetryMaxAttempts: 1})
}

func (h *harness) stsClient(c aws.CredentialsProvider) *sts.Client {
	return sts.New(sts.Options{Region: "eu-central-1", BaseEndpoint: aws.String(h.stsURL), Credentials: c, RetryMaxAttempts: 1})
}

// whoami is the ARN of the session that the credentials are of.
func (h *harness) whoami(c aws.CredentialsProvider) string {
	h.t.Helper()
	out, err := h.stsClient(c).GetCallerIdentity(h.t.Context(), &sts.GetCallerIdentityInput{})
	must(h.t, err)
	return aws.ToString(out.Arn)
}

// TestCognitoSDKEnhanced: GetId and GetCredentialsForIdentity by the AWS SDK
// for Go, up to a call with the credentials.
func TestCognitoSDKEnhanced(t *testing.T) {
	h := newPools(t)
	ctx, client := t.Context(), h.cognitoClient()
	for _, c := range []struct {
		name, pool, login, custom string
		arn                       string
		expires                   time.Duration
		tags                      map[string]string
	}{
		{"the first rule that matches", mappedPool, provider, "", "app", 30 * time.Minute, map[string]string{"repository": "octo-org/octo-repo", "ref": "refs/heads/main"}},
		{"a role asked for", mappedPool, provider, mainRole, "main", 30 * time.Minute, map[string]string{"repository": "octo-org/octo-repo", "ref": "refs/heads/main"}},
		{"by the provider's ARN", mappedPool, providerARN, appRole, "app", 30 * time.Minute, map[string]string{"repository": "octo-org/octo-repo", "ref": "refs/heads/main"}},
		{"the default role", plainPool, provider, "", "authenticated", time.Hour, map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			logins := map[string]string{c.login: h.token()}
			id, err := client.GetId(ctx, &cognitoidentity.GetIdInput{IdentityPoolId: &c.pool, AccountId: aws.String("111111111111"), Logins: logins})
			must(t, err)
			again, err := client.GetId(ctx, &cognitoidentity.GetIdInput{IdentityPoolId: &c.pool, Logins: map[string]string{c.login: h.token()}})
			must(t, err)
			if !strings.HasPrefix(*id.IdentityId, "eu-central-1:") || *id.IdentityId != *again.IdentityId {
				t.Errorf("one subject has the identities %s and %s", *id.IdentityId, *again.IdentityId)
			}

			in := &cognitoidentity.GetCredentialsForIdentityInput{IdentityId: id.IdentityId, Logins: logins}
			if c.custom != "" {
				in.CustomRoleArn = &c.custom
			}
			out, err := client.GetCredentialsForIdentity(ctx, in)
			must(t, err)
			got := out.Credentials
			if *out.IdentityId != *id.IdentityId || !got.Expiration.Equal(h.clock().Add(c.expires)) {
				t.Errorf("for %s until %s", *out.IdentityId, got.Expiration)
			}
			arn := h.whoami(credentials.NewStaticCredentialsProvider(*got.AccessKeyId, *got.SecretKey, *got.SessionToken))
			if arn != "arn:aws:sts::111111111111:assumed-role/"+c.arn+"/CognitoIdentityCredentials" {
				t.Errorf("the credentials are of %s", arn)
			}
			r := h.last()
			if r.Outcome == nil || !r.Outcome.Issued || r.Granted.Role != "arn:aws:iam::111111111111:role/"+c.arn || r.Asked.Pool != c.pool || r.Asked.Identity != *id.IdentityId {
				t.Errorf("on record: %+v", r)
			}
			if got := text(r.Granted.Tags); got != text(c.tags) && len(r.Granted.Tags)+len(c.tags) > 0 {
				t.Errorf("the session's tags are %s", got)
			}
		})
	}
}

// TestCognitoSDKBasic: GetId and GetOpenIdToken by the AWS SDK for Go, with
// whose token the client itself goes to AWS STS.
func TestCognitoSDKBasic(t *testing.T) {
	h := newPools(t)
	ctx, client := t.Context(), h.cognitoClient()
	pool, logins := classicPool, map[string]string{provider: h.token()}
	id, err := client.GetId(ctx, &cognitoidentity.GetIdInput{IdentityPoolId: &pool, Logins: logins})
	must(t, err)
	out, err := client.GetOpenIdToken(ctx, &cognitoidentity.GetOpenIdTokenInput{IdentityId: id.IdentityId, Logins: logins})
	must(t, err)
	if *out.IdentityId != *id.IdentityId {
		t.Errorf("a token for %s, asked for %s", *out.IdentityId, *id.IdentityId)
	}

	var claims struct {
		Issuer, Subject, Audience string
		AMR                       []string
		Issued, Expires           int64
		Tags                      struct {
			Principal map[string][]string `json:"principal_tags"`
		} `json:"https://aws.amazon.com/tags"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(*out.Token, ".")[1])
	must(t, err)
	var raw map[string]json.RawMessage
	must(t, json.Unmarshal(payload, &raw))
	for name, into := range map[string]any{"iss": &claims.Issuer, "sub": &claims.Subject, "aud": &claims.Audience, "amr": &claims.AMR,
		"iat": &claims.Issued, "exp": &claims.Expires, "https://aws.amazon.com/tags": &claims.Tags} {
		if err := json.Unmarshal(raw[name], into); err != nil {
			t.Errorf("%s: %v in %s", name, err, payload)
		}
	}
	sub := h.payload(prod)["sub"].(string)
	if claims.Issuer != brokerIssuer || claims.Subject != *id.IdentityId || claims.Audience != classicPool || claims.Expires-claims.Issued != 600 ||
		!slices.Equal(claims.AMR, []string{"authenticated", provider, providerARN + ":OIDC:" + sub}) ||
		!slices.Equal(claims.Tags.Principal["repository"], []string{"octo-org/octo-repo"}) {
		t.Errorf("the token says %s", payload)
	}

	role, session := defaultRole, "by-the-client"
	bought, err := h.stsClient(aws.AnonymousCredentials{}).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: &role, RoleSessionName: &session, WebIdentityToken: out.Token})
	must(t, err)
	arn := h.whoami(credentials.NewStaticCredentialsProvider(*bought.Credentials.AccessKeyId, *bought.Credentials.SecretAccessKey, *bought.Credentials.SessionToken))
	if arn != "arn:aws:sts::111111111111:assumed-role/authenticated/by-the-client" {
		t.Errorf("the credentials are of %s", arn)
	}
	// The token is of one pool: a role that trusts another does not know it.
	role = appRole
	if _, err := h.stsClient(aws.AnonymousCredentials{}).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: &role, RoleSessionName: &session, WebIdentityToken: out.Token}); err == nil {
		t.Error("a role that trusts another pool took the token")
	}
}

// TestCognitoSDKErrors: the SDK knows each error by its type.
func TestCognitoSDKErrors(t *testing.T) {
	h := newPools(t)
	ctx, client, token := t.Context(), h.cognitoClient(), h.token()
	logins := map[string]string{provider: token}
	credentialsOf := func(id string, logins map[string]string) error {
		_, err := client.GetCredentialsForIdentity(ctx, &cognitoidentity.GetCredentialsForIdentityInput{IdentityId: &id, Logins: logins})
		return err
	}
	idIn := func(pool string, logins map[string]string) error {
		_, err := client.GetId(ctx, &cognitoidentity.GetIdInput{IdentityPoolId: &pool, Logins: logins})
		return err
	}
	plain := h.identityOf(plainPool, token)
	_, disabled := client.GetOpenIdToken(ctx, &cognitoidentity.GetOpenIdTokenInput{IdentityId: &plain, Logins: logins})
	must(t, idIn(slowPool, logins))
	must(t, idIn(slowPool, logins))

	for name, c := range map[string]struct {
		err  error
		want any // a pointer to the SDK's type
	}{
		"ResourceNotFoundException": {idIn("eu-central-1:0", logins), new(*types.ResourceNotFoundException)},
		"NotAuthorizedException":    {idIn(plainPool, nil), new(*types.NotAuthorizedException)},
		"InvalidParameterException": {disabled, new(*types.InvalidParameterException)},
		"TooManyRequestsException":  {idIn(slowPool, logins), new(*types.TooManyRequestsException)},
		"ExternalServiceException": {idIn(emptyPool, map[string]string{"ci.example.com": h.sign(with(h.payload(prod), map[string]any{"iss": "https://ci.example.com"}), nil)}),
			new(*types.ExternalServiceException)},
		"InvalidIdentityPoolConfigurationException": {credentialsOf(h.identityOf(ghostPool, token), logins), new(*types.InvalidIdentityPoolConfigurationException)},
		"ValidationException":                       {idIn("nonsense", logins), new(*smithy.GenericAPIError)},
	} {
		t.Run(name, func(t *testing.T) {
			var api smithy.APIError
			if !errors.As(c.err, c.want) || !errors.As(c.err, &api) || api.ErrorCode() != name || api.ErrorMessage() == "" {
				t.Errorf("found %v", c.err)
			}
			var resp interface{ ServiceRequestID() string }
			if !errors.As(c.err, &resp) || resp.ServiceRequestID() == "" {
				t.Errorf("no request id in %v", c.err)
			}
		})
	}
	_, err := client.ListIdentityPools(ctx, &cognitoidentity.ListIdentityPoolsInput{MaxResults: aws.Int32(1)}, func(o *cognitoidentity.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")
	})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "UnknownOperationException" {
		t.Errorf("an operation that is not served: %v", err)
	}
}

// TestCognitoGrant: what was granted stands in the answer's header, and the
// numbers and names are the protocol's.
func TestCognitoGrant(t *testing.T) {
	h := newPools(t)
	token := h.token()
	id := h.identityOf(mappedPool, token)
	a := h.cognito("GetCredentialsForIdentity", object{"IdentityId": id, "Logins": object{provider: token}, "SomethingNew": true})
	var exact struct {
		Credentials map[string]json.RawMessage
		IdentityID  string `json:"IdentityId"`
	}
	must(t, json.Unmarshal([]byte(a.body), &exact))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/x-amz-json-1.1" || a.header.Get("x-amzn-RequestId") == "" || exact.IdentityID != id ||
		string(exact.Credentials["Expiration"]) != text(h.clock().Add(30*time.Minute).Unix()) || exact.Credentials["SecretKey"] == nil || len(exact.Credentials) != 4 {
		t.Errorf("found %d %v %d members", a.status, a.header, len(exact.Credentials))
	}
	header, err := base64.RawURLEncoding.DecodeString(a.header.Get("Stint-Grant"))
	must(t, err)
	var grant struct {
		Record, Rule, Role string
		Tags               map[string]string
	}
	must(t, json.Unmarshal(header, &grant))
	if grant.Record != h.last().ID || grant.Rule != "mapped/"+provider+"/1" || grant.Role != appRole || grant.Tags["repository"] != "octo-org/octo-repo" {
		t.Errorf("the grant is %s", header)
	}
}
