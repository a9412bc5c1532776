package awssts_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stint-dev/stint/internal/emulator/awssts"
)

const body = "Action=GetCallerIdentity&Version=2011-06-15"

// client is the SDK as a program uses it, without retries.
func (w *world) client(provider aws.CredentialsProvider, region string) *sts.Client {
	return sts.New(sts.Options{Region: region, BaseEndpoint: aws.String(w.url), Credentials: provider, RetryMaxAttempts: 1})
}

// session assumes the role deploy.
func (w *world) session() aws.Credentials {
	w.Helper()
	a := w.post(parameters(w.sign("ES256", w.claims())))
	if a.Status != 200 {
		w.Fatal(a.Body)
	}
	c := a.Result.Credentials
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
}

func static(c aws.Credentials) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
}

type fixedToken string

func (f fixedToken) GetIdentityToken() ([]byte, error) { return []byte(f), nil }

// The SDK signs with the clock of this machine.
func realTime(w *world) { w.clock.Add(time.Since(w.clock.Now())) }

func TestSDK(t *testing.T) {
	w := newWorld(t)
	realTime(w)
	anonymous := w.client(aws.AnonymousCredentials{}, "eu-central-1")
	token := w.sign("RS256", set(w.claims(), nested(map[string]any{"a": []string{"b"}})...))
	out, err := anonymous.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(deploy), RoleSessionName: aws.String("sdk-session"), WebIdentityToken: aws.String(token),
	})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.AssumedRoleUser.Arn) != "arn:aws:sts::111111111111:assumed-role/deploy/sdk-session" || aws.ToString(out.Provider) != oidc ||
		aws.ToInt32(out.SessionTokenSize) != int32(len(*out.Credentials.SessionToken)) || out.Credentials.Expiration.Sub(w.clock.Now()).Round(time.Minute) != time.Hour {
		t.Errorf("found %+v", out)
	}

	web := stscreds.NewWebIdentityRoleProvider(anonymous, deploy, fixedToken(token), func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = "through-a-provider" })
	who, err := w.client(aws.NewCredentialsCache(web), "eu-central-1").GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if *who.Account != account || *who.UserId != "AROAEXAMPLEID12345678:through-a-provider" || *who.Arn != "arn:aws:sts::111111111111:assumed-role/deploy/through-a-provider" {
		t.Errorf("found %s %s %s", *who.Account, *who.UserId, *who.Arn)
	}

	presigned, err := sts.NewPresignClient(w.client(web, "eu-central-1")).PresignGetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(presigned.URL)
	if a := w.read(response, err); a.Status != 200 || !strings.Contains(a.Body, "through-a-provider") {
		t.Error(a.Body)
	}
}

func TestSDKErrors(t *testing.T) {
	w := newWorld(t)
	realTime(w)
	good := w.session()
	change := func(f func(*aws.Credentials)) aws.Credentials { c := good; f(&c); return c }
	cases := []struct {
		name        string
		credentials aws.Credentials
		code, text  string
	}{
		{"another secret", change(func(c *aws.Credentials) { c.SecretAccessKey += "x" }), "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."},
		{"unknown key", change(func(c *aws.Credentials) { c.AccessKeyID = "ASIAAAAAAAAAAAAAAAAA" }), "InvalidClientTokenId", "The security token included in the request is invalid."},
		{"another session token", change(func(c *aws.Credentials) { c.SessionToken += "x" }), "InvalidClientTokenId", "The security token included in the request is invalid."},
		{"no session token", change(func(c *aws.Credentials) { c.SessionToken = "" }), "InvalidClientTokenId", "The security token included in the request is invalid."},
		{"the token of another session", change(func(c *aws.Credentials) { c.SessionToken = w.session().SessionToken }), "InvalidClientTokenId", "The security token included in the request is invalid."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.client(static(c.credentials), "us-east-1").GetCallerIdentity(t.Context(), nil)
			expectAPIError(t, err, 403, c.code, c.text)
		})
	}
	t.Run("not signed", func(t *testing.T) {
		w := w.in(t)
		w.expect(w.post(url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}), 403, "MissingAuthenticationToken", "Request is missing Authentication Token")
	})
	t.Run("another region than the emulator's", func(t *testing.T) {
		w := newWorld(t, func(c *awssts.Config) { c.Region = "eu-west-1" })
		realTime(w)
		good := w.session()
		if _, err := w.client(static(good), "eu-west-1").GetCallerIdentity(t.Context(), nil); err != nil {
			t.Error(err)
		}
		_, err := w.client(static(good), "us-east-1").GetCallerIdentity(t.Context(), nil)
		expectAPIError(t, err, 403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region.")
	})
	t.Run("token refused", func(t *testing.T) {
		_, err := w.client(aws.AnonymousCredentials{}, "us-east-1").AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: aws.String(deploy), RoleSessionName: aws.String("sdk"), WebIdentityToken: aws.String("not a token"),
		})
		expectAPIError(t, err, 400, "InvalidIdentityToken", notAJWT)
	})
}

func expectAPIError(t *testing.T, err error, status int, code, text string) {
	t.Helper()
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		t.Fatalf("found %v", err)
	}
	if api.ErrorCode() != code || !strings.HasPrefix(api.ErrorMessage(), text) || response.HTTPStatusCode() != status {
		t.Errorf("expected %d %s %s, found %d %v", status, code, text, response.HTTPStatusCode(), err)
	}
}

// signed is a GetCallerIdentity that is signed at the world's time.
func (w *world) signed(c aws.Credentials, before func(*http.Request), at time.Time) *http.Request {
	w.Helper()
	r, err := http.NewRequest(http.MethodPost, w.url+"/", strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if before != nil {
		before(r)
	}
	digest := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), c, r, hex.EncodeToString(digest[:]), "sts", "us-east-1", at); err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) do(r *http.Request) answer {
	w.Helper()
	response, err := http.DefaultClient.Do(r)
	return w.read(response, err)
}

// What is changed after signing is noticed, and so is when and for what it was
// signed.
func TestSignatures(t *testing.T) {
	w := newWorld(t)
	good := w.session()
	const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	authorization := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			changed := strings.Replace(r.Header.Get("Authorization"), old, new, 1)
			if changed == r.Header.Get("Authorization") {
				t.Fatalf("%q is not in %s", old, changed)
			}
			r.Header.Set("Authorization", changed)
		}
	}
	replaceBody := func(text string) func(*http.Request) {
		return func(r *http.Request) {
			again, err := http.NewRequest(http.MethodPost, r.URL.String(), bytes.NewReader([]byte(text)))
			if err != nil {
				t.Fatal(err)
			}
			r.Body, r.ContentLength, r.GetBody = again.Body, again.ContentLength, again.GetBody
		}
	}
	now := start
	cases := []struct {
		name          string
		before, after func(*http.Request)
		at            time.Time
		status        int
		code, text    string
	}{
		{"untouched", nil, nil, now, 200, "", ""},
		{"with more signed headers", func(r *http.Request) { r.Header.Set("X-Amz-Meta", "  a   b "); r.Header.Add("X-Amz-Meta", "c") }, nil, now, 200, "", ""},
		{"14 minutes old", nil, nil, now.Add(-14 * time.Minute), 200, "", ""},
		{"15 minutes and a second old", nil, nil, now.Add(-15*time.Minute - time.Second), 403, "SignatureDoesNotMatch", "Signature expired: 20261123T114459Z is now earlier than 20261123T114500Z (20261123T120000Z - 15 min.)"},
		{"16 minutes ahead", nil, nil, now.Add(16 * time.Minute), 403, "SignatureDoesNotMatch", "Signature not yet current: 20261123T121600Z is still later than 20261123T121500Z (20261123T120000Z + 15 min.)"},
		{"body changed", nil, replaceBody(body + "&a=b"), now, 403, "SignatureDoesNotMatch", mismatch},
		{"body changed at the same length", nil, replaceBody("Version=2011-06-15&Action=GetCallerIdentity"), now, 403, "SignatureDoesNotMatch", mismatch},
		{"query added", nil, func(r *http.Request) { r.URL.RawQuery = "a=b" }, now, 403, "SignatureDoesNotMatch", mismatch},
		{"host changed", nil, func(r *http.Request) { r.Host = "sts.amazonaws.com" }, now, 403, "SignatureDoesNotMatch", mismatch},
		{"signed header changed", nil, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, now, 403, "SignatureDoesNotMatch", mismatch},
		{"date changed", nil, func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261123T120001Z") }, now, 403, "SignatureDoesNotMatch", mismatch},
		{"signature changed", nil, authorization("Signature=", "Signature=0"), now, 403, "SignatureDoesNotMatch", mismatch},
		{"region changed", nil, authorization("/us-east-1/", "/us-west-1/"), now, 403, "SignatureDoesNotMatch", mismatch},
		{"header left out of the list", nil, authorization("content-type;", ""), now, 403, "SignatureDoesNotMatch", mismatch},
		{"host left out of the list", nil, authorization(";host;", ";"), now, 403, "SignatureDoesNotMatch", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"another service", nil, authorization("/sts/", "/s3/"), now, 403, "SignatureDoesNotMatch", "Credential should be scoped to correct service: 'sts'."},
		{"another end", nil, authorization("/aws4_request", "/aws5_request"), now, 403, "SignatureDoesNotMatch", "Credential should be scoped with a valid terminator: 'aws4_request'."},
		{"another day", nil, authorization("/20261123/", "/20261122/"), now, 403, "SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."},
		{"a short scope", nil, authorization("/us-east-1/", "/"), now, 400, "IncompleteSignature", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 4 elements"},
		{"no signature", nil, authorization("Signature=", "Sig="), now, 400, "IncompleteSignature", "Authorization header requires 'Signature' parameter."},
		{"another algorithm", nil, authorization("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), now, 400, "IncompleteSignature", "Authorization header requires the algorithm 'AWS4-HMAC-SHA256'."},
		{"a date that is none", nil, func(r *http.Request) { r.Header.Set("X-Amz-Date", "yesterday") }, now, 400, "IncompleteSignature", "Date must be in ISO-8601 'basic format'."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := w.in(t)
			r := w.signed(good, c.before, c.at)
			if c.after != nil {
				c.after(r)
			}
			w.expect(w.do(r), c.status, c.code, c.text)
		})
	}
	t.Run("a header that the SDK does not sign itself", func(t *testing.T) {
		w := w.in(t)
		// Signed by hand through another name, since the signer skips it.
		r := w.signed(good, func(r *http.Request) { r.Header["user-agent"] = []string{"tester"} }, now)
		delete(r.Header, "user-agent")
		r.Header.Set("User-Agent", "tester")
		if !strings.Contains(r.Header.Get("Authorization"), "user-agent") {
			t.Fatal("user-agent is not signed")
		}
		w.expect(w.do(r), 200, "", "")
		r = w.signed(good, func(r *http.Request) { r.Header["user-agent"] = []string{"tester"} }, now)
		delete(r.Header, "user-agent")
		r.Header.Set("User-Agent", "another")
		w.expect(w.do(r), 403, "SignatureDoesNotMatch", mismatch)
	})
}

func TestPresigned(t *testing.T) {
	w := newWorld(t)
	good := w.session()
	empty := sha256.Sum256(nil)
	presign := func(at time.Time) *url.URL {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, w.url+"/?"+body, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), good, r, hex.EncodeToString(empty[:]), "sts", "us-east-1", at)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(signed)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	get := func(u *url.URL, changes ...string) answer {
		t.Helper()
		q := u.Query()
		for i := 0; i < len(changes); i += 2 {
			q.Set(changes[i], changes[i+1])
		}
		u.RawQuery = q.Encode()
		response, err := http.Get(u.String())
		return w.read(response, err)
	}
	const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	w.expect(get(presign(start)), 200, "", "")
	w.expect(get(presign(start), "a", "b"), 403, "SignatureDoesNotMatch", mismatch)
	w.expect(get(presign(start), "X-Amz-Signature", strings.Repeat("0", 64)), 403, "SignatureDoesNotMatch", mismatch)
	w.expect(get(presign(start), "X-Amz-Security-Token", "x"), 403, "InvalidClientTokenId", "The security token included in the request is invalid.")
	w.expect(get(presign(start), "X-Amz-Algorithm", "none"), 400, "IncompleteSignature", "AWS query-string parameters require the algorithm 'AWS4-HMAC-SHA256'.")
	w.expect(get(presign(start.Add(-16*time.Minute))), 403, "SignatureDoesNotMatch", "Signature expired: 20261123T114400Z is now earlier than 20261123T114500Z (20261123T120000Z - 15 min.)")
}

func TestSessionsEnd(t *testing.T) {
	w := newWorld(t)
	good := w.session()
	w.clock.Add(time.Hour - time.Second)
	w.expect(w.do(w.signed(good, nil, w.clock.Now())), 200, "", "")
	w.clock.Add(time.Second)
	w.expect(w.do(w.signed(good, nil, w.clock.Now())), 403, "ExpiredToken", "The security token included in the request is expired")

	// Long after that they are forgotten, once others come.
	w.clock.Add(13 * time.Hour)
	w.session()
	w.expect(w.do(w.signed(good, nil, w.clock.Now())), 403, "InvalidClientTokenId", "The security token included in the request is invalid.")
}

func TestSessionsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *awssts.Config) { c.MaxSessions = 2 })
	first, second, third := w.session(), w.session(), w.session()
	w.expect(w.do(w.signed(first, nil, start)), 403, "InvalidClientTokenId", "The security token included in the request is invalid.")
	w.expect(w.do(w.signed(second, nil, start)), 200, "", "")
	w.expect(w.do(w.signed(third, nil, start)), 200, "", "")
}
