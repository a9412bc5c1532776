package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/config"
)

const benchPool = `issuer: https://stint.example.com
issuers:
  github: {url: https://token.actions.githubusercontent.com, audiences: [https://stint.example.com], only: {repository_owner_id: "65"}}
pools:
  - id: eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f
    account: "111111111111"
    classic: true
    providers: [{provider: token.actions.githubusercontent.com, tags: {repository: repository}}]
`

// BenchmarkPool is what an identity pool does for one job: GetId verifies its
// token and finds its identity; GetOpenIdToken also decides, records durably
// twice, and signs. Cognito's own quota is 25 of the former in a second.
func BenchmarkPool(b *testing.B) {
	cfg, err := config.Parse("stint.yaml", []byte(benchPool))
	if err != nil {
		b.Fatal(err)
	}
	l, token := benchLocal(b, cfg)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	ask := func(operation, body string) string {
		r, err := http.NewRequest(http.MethodPost, l.brokerURL+"/aws/cognito-identity", strings.NewReader(body))
		if err != nil {
			b.Error(err)
			return ""
		}
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "AWSCognitoIdentityService."+operation)
		resp, err := client.Do(r)
		if err != nil {
			b.Error(err)
			return ""
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			b.Errorf("%s: status %d: %s", operation, resp.StatusCode, answer)
		}
		return string(answer)
	}
	logins := `"Logins":{"token.actions.githubusercontent.com":"` + token + `"}}`
	getID := `{"IdentityPoolId":"eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f",` + logins
	var identity struct{ IdentityId string } //nolint:revive // the member's name
	if err := json.Unmarshal([]byte(ask("GetId", getID)), &identity); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ operation, body string }{
		{"GetId", getID}, {"GetOpenIdToken", `{"IdentityId":"` + identity.IdentityId + `",` + logins},
	} {
		b.Run(c.operation+"/one caller", func(b *testing.B) {
			for range b.N {
				ask(c.operation, c.body)
			}
		})
		b.Run(c.operation+"/64 callers", func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					ask(c.operation, c.body)
				}
			})
		})
	}
}
