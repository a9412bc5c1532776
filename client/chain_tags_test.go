package client_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stint-dev/stint/client"
)

// TestChainTagsAreTheGrants is the promise of Chain: whatever the environment
// holds, the tags of every hop are those of the grant's chain but for the ones
// that are inherited.
func TestChainTagsAreTheGrants(t *testing.T) {
	ambient(t)
	r := rand.New(rand.NewPCG(4, 11))
	letters := []rune("abcXYZ019 _.:/=+-@äß東")
	text := func(least, most int) string {
		s := make([]rune, least+r.IntN(most-least+1))
		for i := range s {
			s[i] = letters[r.IntN(len(letters))]
		}
		return string(s)
	}
	for range 60 {
		tags, chain, want := map[string]string{}, map[string]string{}, map[string]string{}
		var transitive []string
		for n := r.IntN(51); len(tags) < n; {
			// Keys differ without letter case, and none is reserved.
			key := strings.ToUpper(text(0, 6)) + strconv.Itoa(len(tags)) + "k"
			value := text(0, 12)
			tags[key] = value
			t.Setenv("TAG_"+strconv.Itoa(len(tags)), "evil")
			inherited, passed := r.IntN(3) == 0, r.IntN(2) == 0
			if inherited {
				transitive = append(transitive, []string{key, strings.ToLower(key)}[r.IntN(2)])
			}
			if passed {
				chain[key] = value
				if !inherited {
					want[key] = value
				}
			}
		}
		grant, err := json.Marshal(map[string]any{"tags": tags, "transitive": transitive, "chain": map[string]any{"tags": chain}})
		if err != nil {
			t.Fatal(err)
		}
		if base64.RawURLEncoding.EncodedLen(len(grant)) > 16<<10 {
			continue
		}
		w := newChainWorld(t, string(grant))
		if _, err := w.assume(client.AWSRequest{}, client.Hop{Role: roleB}, client.Hop{Role: roleC}, client.Hop{Role: role}); err != nil {
			t.Fatalf("%v\n%s", err, grant)
		}
		for i, call := range w.calls {
			got, others := sent(t, call)
			if !maps.Equal(got, want) {
				t.Errorf("hop %d: tags %v, want %v", i+1, got, want)
			}
			for k := range others {
				if !slices.Contains([]string{"Action", "Version", "RoleArn", "RoleSessionName"}, k) {
					t.Errorf("hop %d passes %s", i+1, k)
				}
			}
		}
	}
}
