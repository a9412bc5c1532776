package client_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/client"
)

func TestGrantHeader(t *testing.T) {
	w := newChainWorld(t, `{"record":"01H\u001b[2J","rule":"deploy-prod","newer":{"member":1},"role":"`+role+`","session_name":"octo-repo-7","duration_seconds":900,
		"tags":{"repository":"octo-org/octo-repo","empty":""},"transitive":["repository"],"source_identity":"12","chain":{"tags":{"empty":""}},"dropped_tags":["sha"]}`)
	got, err := client.Broker{URL: w.broker}.AssumeRole(t.Context(), "a.b.c", client.AWSRequest{Role: role})
	if err != nil {
		t.Fatal(err)
	}
	g := got.Grant
	if g == nil || g.Record != "01H [2J" || g.Rule != "deploy-prod" || g.Role != role || g.SessionName != "octo-repo-7" || g.Seconds != 900 ||
		!maps.Equal(g.Tags, map[string]string{"repository": "octo-org/octo-repo", "empty": ""}) || !slices.Equal(g.Transitive, []string{"repository"}) ||
		g.SourceIdentity != "12" || g.Chain == nil || !maps.Equal(g.Chain.Tags, map[string]string{"empty": ""}) || !slices.Equal(g.Dropped, []string{"sha"}) {
		t.Errorf("grant %+v", g)
	}
}

// TestGrantHeaderIsStrict: what role chaining would pass on is within the
// limits of AWS STS, or there are no credentials.
func TestGrantHeaderIsStrict(t *testing.T) {
	tags := func(n int) string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("k%d", i)] = "v"
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name, grant := range map[string]string{
		"no object":                  `[]`,
		"null":                       `null`,
		"nothing":                    ``,
		"no JSON":                    `{`,
		"more behind":                `{}{}`,
		"a number for a tag":         `{"tags":{"a":1}}`,
		"a list for a tag":           `{"tags":{"a":["1"]}}`,
		"51 tags":                    `{"tags":` + tags(51) + `}`,
		"no key":                     `{"tags":{"":"v"}}`,
		"long key":                   `{"tags":{"` + strings.Repeat("ä", 129) + `":"v"}}`,
		"long value":                 `{"tags":{"k":"` + strings.Repeat("ä", 257) + `"}}`,
		"a key of other characters":  `{"tags":{"a,b":"v"}}`,
		"a line break in a value":    `{"tags":{"k":"a\nb"}}`,
		"a wildcard in a value":      `{"tags":{"k":"a*"}}`,
		"no text in a value":         `{"tags":{"k":"` + "\xff" + `"}}`,
		"reserved":                   `{"tags":{"AWS:x":"v"}}`,
		"a key twice":                `{"tags":{"Key":"v","kEY":"v"}}`,
		"transitive of no key":       `{"tags":{"k":"v"},"transitive":["a,b"]}`,
		"51 transitive":              `{"transitive":[` + strings.Repeat(`"k",`, 50) + `"k"]}`,
		"duration too short":         `{"duration_seconds":899}`,
		"duration too long":          `{"duration_seconds":43201}`,
		"duration overflows":         `{"duration_seconds":-9223372036854775807}`,
		"duration is no number":      `{"duration_seconds":"3600"}`,
		"session name":               `{"session_name":"a b"}`,
		"source identity":            `{"source_identity":"a/b"}`,
		"chain is no object":         `{"chain":["k"]}`,
		"chain of no tag":            `{"tags":{"k":"v"},"chain":{"tags":{"other":"v"}}}`,
		"chain of another value":     `{"tags":{"k":"v"},"chain":{"tags":{"k":"w"}}}`,
		"chain in other letter case": `{"tags":{"k":"v"},"chain":{"tags":{"K":"v"}}}`,
		"over 16 KiB":                `{"rule":"` + strings.Repeat("r", 13<<10) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newChainWorld(t, "{}")
			w.header = []string{base64.RawURLEncoding.EncodeToString([]byte(grant))}
			refused(t, w)
		})
	}
	for name, header := range map[string][]string{
		"padded":                {base64.URLEncoding.EncodeToString([]byte(`{"a":1}`))},
		"the other alphabet":    {base64.RawStdEncoding.EncodeToString([]byte(`{"rule":"???>>>"}`))},
		"bits left over":        {"e30x"[:2] + "1"},
		"JSON as it is":         {`{}`},
		"two":                   {"e30", "e30"},
		"one, and an empty one": {"e30", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newChainWorld(t, "")
			w.header = header
			refused(t, w)
		})
	}
}

func refused(t *testing.T, w *chainWorld) {
	t.Helper()
	for _, req := range []client.AWSRequest{{}, {Chain: &client.Chain{Roles: []client.Hop{{Role: roleB}}, Endpoint: w.sts}}} {
		req.Role = role
		creds, err := client.Broker{URL: w.broker}.AssumeRole(t.Context(), "a.b.c", req)
		var broken *client.BrokerError
		if creds != (client.AWSCredentials{}) || !errors.As(err, &broken) || !strings.Contains(err.Error(), "Stint-Grant") {
			t.Errorf("error %v, want one of the broker's header, and no credentials", err)
		}
	}
	if len(w.calls) != 0 {
		t.Error("a hop was made")
	}
}

// TestGrantOfAToken: the grant of token exchange may begin a chain, so its
// chain holds to the same.
func TestGrantOfAToken(t *testing.T) {
	stint := jwt(t, map[string]any{})
	for grant, ok := range map[string]bool{
		`{"tags":{"k":"v"},"transitive":["k"],"source_identity":"12","chain":{"tags":{"k":"v"}}}`: true,
		`{"tags":{"k":"v"},"chain":{"tags":{"k":"w"}}}`:                                           false,
		`{"tags":{"k":"a\nb"},"chain":{"tags":{"k":"a\nb"}}}`:                                     false,
	} {
		url, _ := doors(t, answer(200, "application/json", `{"access_token":"`+stint+`","issued_token_type":"`+typeJWT+`","expires_in":300,"grant":`+grant+`}`), unexpected(t))
		got, err := client.Broker{URL: url}.Exchange(t.Context(), "a.b.c", client.ExchangeRequest{})
		if (err == nil) != ok {
			t.Errorf("%s: error %v", grant, err)
		}
		if ok && (got.Grant.SourceIdentity != "12" || got.Grant.Chain.Tags["k"] != "v" || got.Grant.Transitive[0] != "k") {
			t.Errorf("%s: %+v", grant, got.Grant)
		}
	}
}
