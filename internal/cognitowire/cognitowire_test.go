package cognitowire

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	pool  = "eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f"
	idExp = `Member must satisfy regular expression pattern: [\w-]+:[0-9a-f-]+`
)

func TestTarget(t *testing.T) {
	for _, c := range []struct {
		target, contentType string
		want                Operation // empty: an unknown operation
	}{
		{"AWSCognitoIdentityService.GetId", "application/x-amz-json-1.1", GetID},
		{"AWSCognitoIdentityService.GetOpenIdToken", "application/x-amz-json-1.1; charset=UTF-8", GetOpenIDToken},
		{"AWSCognitoIdentityService.GetCredentialsForIdentity", "Application/X-Amz-Json-1.1", GetCredentialsForIdentity},
		{"AWSCognitoIdentityService.getid", "application/x-amz-json-1.1", ""},
		{"AWSCognitoIdentityService.", "application/x-amz-json-1.1", ""},
		{"AWSCognitoIdentityService.ListIdentities", "application/x-amz-json-1.1", ""},
		{"AWSCognitoIdentityProviderService.GetId", "application/x-amz-json-1.1", ""},
		{"GetId", "application/x-amz-json-1.1", ""},
		{"", "application/x-amz-json-1.1", ""},
		{"AWSCognitoIdentityService.GetId", "application/x-amz-json-1.0", ""},
		{"AWSCognitoIdentityService.GetId", "application/x-amz-json-1.1; charset=utf-16", ""},
		{"AWSCognitoIdentityService.GetId", "text/plain", ""},
		{"AWSCognitoIdentityService.GetId", "", ""},
	} {
		op, err := Target(c.target, c.contentType)
		if op != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q, %q: found %q, %v", c.target, c.contentType, op, err)
		}
		if err != nil && (err.Type != UnknownOperation || err.Status() != http.StatusBadRequest) {
			t.Errorf("%q, %q: %v", c.target, c.contentType, err)
		}
	}
}

func TestParse(t *testing.T) {
	const arn = "arn:aws:iam::111111111111:role/app"
	for _, c := range []struct {
		op   Operation
		body string
		want Input
	}{
		{GetID, `{"IdentityPoolId":"` + pool + `"}`, Input{IdentityPoolID: pool}},
		{GetID, ` {"AccountId":"1","IdentityPoolId":"x:0","Logins":{"a":"b","c":"d"}} `,
			Input{AccountID: "1", IdentityPoolID: "x:0", Logins: map[string]string{"a": "b", "c": "d"}}},
		{GetID, `{"IdentityPoolId":"` + pool + `","AccountId":null,"Logins":null,"IdentityId":7,"CustomRoleArn":[]}`, Input{IdentityPoolID: pool}},
		{GetOpenIDToken, `{"IdentityId":"` + pool + `","Logins":{},"CustomRoleArn":"x"}`, Input{IdentityID: pool}},
		{GetCredentialsForIdentity, `{"IdentityId":"` + pool + `","CustomRoleArn":"` + arn + `","Logins":{"a":"b","c":null},"Unknown":{"x":[1,true]}}`,
			Input{IdentityID: pool, CustomRoleARN: arn, Logins: map[string]string{"a": "b"}}},
		{GetCredentialsForIdentity, `{"IdentityId":"a:0","Logins":{"` + strings.Repeat("n", 128) + `":"` + strings.Repeat("ü", 50000) + `"}}`,
			Input{IdentityID: "a:0", Logins: map[string]string{strings.Repeat("n", 128): strings.Repeat("ü", 50000)}}},
	} {
		in, err := Parse(c.op, []byte(c.body))
		if err != nil {
			t.Errorf("%s %.200s: %v", c.op, c.body, err)
			continue
		}
		if in.Operation != c.op || in.AccountID != c.want.AccountID || in.IdentityPoolID != c.want.IdentityPoolID || in.IdentityID != c.want.IdentityID ||
			in.CustomRoleARN != c.want.CustomRoleARN || !maps.Equal(in.Logins, c.want.Logins) {
			t.Errorf("%s %.200s: found %.200v", c.op, c.body, in)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const id, open, creds = GetID, GetOpenIDToken, GetCredentialsForIdentity
	const invalid, mistyped = ValidationFailed, SerializationFailed
	logins := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"p%d":"t"`, i))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	const lengths = "[Member must have length less than or equal to %d, Member must have length greater than or equal to 1]"
	for _, c := range []struct {
		op   Operation
		body string
		kind Type
		want string
	}{
		{id, `{}`, invalid, "1 validation error detected: Value null at 'identityPoolId' failed to satisfy constraint: Member must not be null"},
		{open, `{"IdentityId":null}`, invalid, "1 validation error detected: Value null at 'identityId' failed to satisfy constraint: Member must not be null"},
		{creds, `{"IdentityPoolId":"a:0"}`, invalid, "1 validation error detected: Value null at 'identityId' failed to satisfy constraint: Member must not be null"},
		{id, `{"IdentityPoolId":"us-east-1_AbCd"}`, invalid, "1 validation error detected: Value 'us-east-1_AbCd' at 'identityPoolId' failed to satisfy constraint: " + idExp},
		{id, `{"IdentityPoolId":"a:0\n"}`, invalid, "1 validation error detected: Value 'a:0\n' at 'identityPoolId' failed to satisfy constraint: " + idExp},
		{id, `{"IdentityPoolId":""}`, invalid, "2 validation errors detected: Value '' at 'identityPoolId' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'identityPoolId' failed to satisfy constraint: " + idExp},
		{open, `{"IdentityId":"a:` + strings.Repeat("0", 54) + `"}`, invalid, "1 validation error detected: Value 'a:" + strings.Repeat("0", 54) + "' at 'identityId' failed to satisfy constraint: Member must have length less than or equal to 55"},
		{id, `{"IdentityPoolId":"a:0","AccountId":"1234567890123456"}`, invalid, "1 validation error detected: Value '1234567890123456' at 'accountId' failed to satisfy constraint: Member must have length less than or equal to 15"},
		{creds, `{"IdentityId":"a:0","CustomRoleArn":"short"}`, invalid, "1 validation error detected: Value 'short' at 'customRoleArn' failed to satisfy constraint: Member must have length greater than or equal to 20"},
		{creds, `{"IdentityId":"a:0","CustomRoleArn":"` + strings.Repeat("r", 2049) + `"}`, invalid, "1 validation error detected: Value '" + strings.Repeat("r", 256) + "...' at 'customRoleArn' failed to satisfy constraint: Member must have length less than or equal to 2048"},
		{id, `{"IdentityPoolId":"a:0","Logins":` + logins(11) + `}`, invalid, "1 validation error detected: Value at 'logins' failed to satisfy constraint: Member must have length less than or equal to 10"},
		{id, `{"IdentityPoolId":"a:0","Logins":{"":"t"}}`, invalid, "1 validation error detected: Value at 'logins' failed to satisfy constraint: Map keys must satisfy constraint: " + fmt.Sprintf(lengths, 128)},
		{id, `{"IdentityPoolId":"a:0","Logins":{"p":""}}`, invalid, "1 validation error detected: Value at 'logins' failed to satisfy constraint: Map value must satisfy constraint: " + fmt.Sprintf(lengths, 50000)},
		{id, `{"IdentityPoolId":"a:0","Logins":{"p":"` + strings.Repeat("t", 50001) + `"}}`, invalid, "1 validation error detected: Value at 'logins' failed to satisfy constraint: Map value must satisfy constraint: " + fmt.Sprintf(lengths, 50000)},

		{id, `{"IdentityPoolId":7}`, mistyped, "NUMBER_VALUE can not be converted to a String"},
		{id, `{"IdentityPoolId":true}`, mistyped, "TRUE_VALUE can not be converted to a String"},
		{id, `{"IdentityPoolId":[]}`, mistyped, "Start of list found where not expected"},
		{id, `{"IdentityPoolId":{}}`, mistyped, "Start of structure or map found where not expected."},
		{id, `{"Logins":"t"}`, mistyped, "Expected map or null"},
		{id, `{"Logins":{"p":{"x":"y"}}}`, mistyped, "Start of structure or map found where not expected."},
		{id, `[]`, mistyped, "Start of list found where not expected"},
		{id, `"GetId"`, mistyped, "Expected a structure"},
		{id, `null`, mistyped, "Expected a structure"},
		{id, ``, mistyped, "the JSON ends too early"},
		{id, `{"IdentityPoolId":"a:0"}{}`, mistyped, "more data after the JSON value"},
		{id, `{"IdentityPoolId":"a:0","IdentityPoolId":"b:0"}`, mistyped, `the key "IdentityPoolId" stands twice`},
		{id, `{"IdentityPoolId":"a:0","Logins":{"p":"t","\u0070":"u"}}`, mistyped, `the key "p" stands twice`},
		{id, "{\"IdentityPoolId\":\"a:0\xff\"}", mistyped, "not valid UTF-8"},
	} {
		in, err := Parse(c.op, []byte(c.body))
		if err == nil {
			t.Errorf("%s %.200s was let in as %v", c.op, c.body, in)
			continue
		}
		if err.Type != c.kind || err.Message != c.want || err.Status() != http.StatusBadRequest {
			t.Errorf("%s %.200s:\nfound %s %q\nwant  %s %q", c.op, c.body, err.Type, err.Message, c.kind, c.want)
		}
	}
}

// TestErrorsKeepValuesOut: a token in the wrong place is not in what is logged.
func TestErrorsKeepValuesOut(t *testing.T) {
	const secret = "eyJhbGciOiJSUzI1NiJ9"
	for _, body := range []string{
		`{"IdentityPoolId":"` + secret + `"}`,
		`{"IdentityPoolId":"a:0","AccountId":"` + secret + `"}`,
		`{"IdentityPoolId":"a:0","` + secret + `":1,"` + secret + `":2}`,
		`{"IdentityPoolId":"a:0","Logins":{"` + secret + `":""}}`,
		`{"IdentityPoolId":"a:0","Logins":["` + secret + `"]}`,
		`"` + secret + `"`,
	} {
		if _, err := Parse(GetID, []byte(body)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestWrite(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 999_000_000, time.UTC)
	for _, c := range []struct {
		name   string
		write  func(http.ResponseWriter) error
		status int
		kind   string
		body   string
	}{
		{"GetId", func(w http.ResponseWriter) error {
			return WriteResult(w, "r", GetIDResponse{IdentityID: pool})
		}, 200, "", `{"IdentityId":"` + pool + `"}`},
		{"GetOpenIdToken", func(w http.ResponseWriter) error {
			return WriteResult(w, "r", GetOpenIDTokenResponse{IdentityID: pool, Token: "a.b.c"})
		}, 200, "", `{"IdentityId":"` + pool + `","Token":"a.b.c"}`},
		{"GetCredentialsForIdentity", func(w http.ResponseWriter) error {
			return WriteResult(w, "r", GetCredentialsForIdentityResponse{IdentityID: pool,
				Credentials: Credentials{AccessKeyID: "ASIA", SecretKey: "a/b+c<&>", SessionToken: "s==", Expiration: At(at)}})
		}, 200, "", `{"Credentials":{"AccessKeyId":"ASIA","Expiration":1767323045,"SecretKey":"a/b+c<&>","SessionToken":"s=="},"IdentityId":"` + pool + `"}`},
		{"an error", func(w http.ResponseWriter) error {
			return WriteError(w, "r", &Error{Type: NotAuthorized, Message: "Issuer doesn't match <x>"})
		}, 400, "NotAuthorizedException:", `{"__type":"NotAuthorizedException","message":"Issuer doesn't match <x>"}`},
		{"a fault", func(w http.ResponseWriter) error {
			return WriteError(w, "r", &Error{Type: InternalError})
		}, 500, "InternalErrorException:", `{"__type":"InternalErrorException"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := c.write(w); err != nil {
				t.Fatal(err)
			}
			h := w.Header()
			if w.Code != c.status || strings.TrimSpace(w.Body.String()) != c.body || h.Get("x-amzn-ErrorType") != c.kind ||
				h.Get("Content-Type") != ContentType || h.Get("x-amzn-RequestId") != "r" {
				t.Errorf("found %d %v %s\nwant  %d %s", w.Code, h, w.Body, c.status, c.body)
			}
		})
	}
}

// FuzzParse: what is let in means the same to encoding/json, keeps every
// constraint, and reads the same when it is written again; what is refused is
// told shortly, and without any login's token.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"IdentityPoolId":"` + pool + `","Logins":{"token.actions.githubusercontent.com":"a.b.c"}}`,
		`{"IdentityId":"` + pool + `","CustomRoleArn":"arn:aws:iam::111111111111:role/app","Logins":{"a":"b","c":"d"}}`,
		`{"IdentityPoolId":"a:0","AccountId":"12","IdentityPoolId":null}`, `{"Logins":{"\u0061":"\ud83d\ude00","b":null}}`, `[{}]`, `{"Logins":{"a":1}}`,
	} {
		for op := range 3 {
			f.Add(byte(op), []byte(s))
		}
	}
	ops := []Operation{GetID, GetOpenIDToken, GetCredentialsForIdentity}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		op := ops[int(which)%len(ops)]
		in, refused := Parse(op, body)
		// encoding/json matches names of fields by any case, but not keys of a map.
		var lenient struct{ Logins map[string]any }
		var members map[string]json.RawMessage
		if json.Unmarshal(body, &members) == nil {
			_ = json.Unmarshal(members["Logins"], &lenient.Logins)
		}
		if refused != nil {
			if refused.Message == "" || len(refused.Message) > 8192 || len(refused.Error()) > 2048 {
				t.Fatalf("a message of %d bytes, %d in the log", len(refused.Message), len(refused.Error()))
			}
			for _, v := range lenient.Logins {
				if token, ok := v.(string); ok && len(token) > 20 && !strings.Contains(token, " ") && strings.Contains(refused.Message, token) && strings.Count(string(body), token) == 1 {
					t.Fatalf("a token is in the message %q", refused.Message)
				}
			}
			return
		}
		id := in.IdentityPoolID + in.IdentityID // one of them
		if n := len(in.Logins); n > MaxLogins || len(id) > MaxID || !strings.Contains(id, ":") || (in.IdentityPoolID != "") != (op == GetID) {
			t.Fatalf("let in: %+v", in)
		}
		given := 0
		for name, v := range lenient.Logins {
			if v == nil {
				continue
			}
			if given++; in.Logins[name] != v || v == "" || name == "" {
				t.Fatalf("the login %q is %q to one reader and %v to another", name, in.Logins[name], v)
			}
		}
		if given != len(in.Logins) {
			t.Fatalf("found %d logins, another reader %d", len(in.Logins), given)
		}
		again, err := json.Marshal(map[string]any{
			"AccountId": orNull(in.AccountID), "IdentityPoolId": orNull(in.IdentityPoolID), "IdentityId": orNull(in.IdentityID),
			"CustomRoleArn": orNull(in.CustomRoleARN), "Logins": in.Logins,
		})
		if err != nil {
			t.Fatal(err)
		}
		second, refused := Parse(op, again)
		if refused != nil || fmt.Sprint(second) != fmt.Sprint(in) {
			t.Fatalf("%s is read as %v, %v", again, second, refused)
		}
	})
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
