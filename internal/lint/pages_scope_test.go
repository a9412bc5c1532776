package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/inventory"
	"github.com/stint-dev/stint/internal/source"
)

// TestPagesOfTrustRules: on the page of a rule, the first condition fires and
// the corrected one does not.
func TestPagesOfTrustRules(t *testing.T) {
	o := Options{Repositories: map[string]Repository{"octo-org/octo-repo": {OwnerID: "65", ID: "74", IDsInSubject: source.Yes}}}
	at := source.Position{File: ".github/workflows/answer.yml", Line: 1, Column: 1}
	workflow := inventory.Workflow{Position: at, Triggers: []inventory.Trigger{{Event: "issue_comment"}}, Jobs: []inventory.Job{{ID: "answer", Position: at, IDToken: source.Yes}}}
	for _, list := range [][]Rule{scopeRules(), claimRules(), lastingRules()} {
		for _, r := range list {
			page, err := os.ReadFile(filepath.Join("../../docs/lint", r.ID+".md"))
			if err != nil {
				t.Error(err)
				continue
			}
			blocks := strings.Split(string(page), "```json\n")
			if len(blocks) != 3 {
				t.Errorf("%s.md has %d conditions, want two", r.ID, len(blocks)-1)
				continue
			}
			for i, want := range []int{1, 0} {
				condition, _, _ := strings.Cut(blocks[i+1], "```")
				inv := inventoryOf(t, trustOf(condition))
				inv.Roles[0].Identity = []inventory.AttachedPolicy{identityPolicy(t, allowActions("s3:PutObject"))}
				inv.Workflows = []inventory.Workflow{workflow}
				if found, unknown := by(Run(inv, o), r.ID); len(found) != want || len(unknown) != 0 {
					t.Errorf("%s.md, condition %d: found %v, unknown %v", r.ID, i+1, found, unknown)
				}
			}
		}
	}
}
