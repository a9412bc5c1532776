package organization_test

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/emulator/organization"
)

const good = `id: o-a1b2c3d4e5
accounts:
  - {id: "111111111111", name: ci, path: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/}
  - {id: "222222222222", path: o-a1b2c3d4e5/r-ab12/}
`

func TestParse(t *testing.T) {
	o, err := organization.Parse("org.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	a, ok := o.Account("111111111111")
	if !ok || o.ID != "o-a1b2c3d4e5" || a.Name != "ci" || a.Path != "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/" {
		t.Errorf("found %+v %v", a, ok)
	}
	if _, ok := o.Account("333333333333"); ok {
		t.Error("an account that is not there was found")
	}
	var none *organization.Organization
	if _, ok := none.Account("111111111111"); ok {
		t.Error("no organization has an account")
	}
	if _, err := organization.Parse("org.json", []byte(`{"id":"o-a1b2c3d4e5","accounts":[{"id":"111111111111","path":"o-a1b2c3d4e5/r-ab12/"}]}`)); err != nil {
		t.Errorf("JSON: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"empty":             {"", "expected one document"},
		"two documents":     {good + "---\n" + good, "expected one document"},
		"a list":            {"[a]", "expected keys with values"},
		"no id":             {strings.Replace(good, "id: o-a1b2c3d4e5\n", "", 1), "expected id:"},
		"another id":        {strings.Replace(good, "id: o-a1b2c3d4e5\n", "id: org\n", 1), ":1:5: id: expected an organization's id"},
		"no accounts":       {"id: o-a1b2c3d4e5\n", "expected accounts:"},
		"a number":          {strings.Replace(good, `"111111111111"`, "111111111111", 1), "twelve digits, quoted"},
		"a short account":   {strings.Replace(good, `"111111111111"`, `"1"`, 1), "twelve digits"},
		"a misspelt key":    {strings.Replace(good, "name:", "nam:", 1), `unknown key "nam"`},
		"a path elsewhere":  {strings.Replace(good, "path: o-a1b2c3d4e5/r-ab12/}", "path: o-0000000000/r-ab12/}", 1), "expected a path below"},
		"a path of nothing": {strings.Replace(good, "path: o-a1b2c3d4e5/r-ab12/}", "path: x}", 1), "expected a path such as"},
		"no path":           {strings.Replace(good, ", path: o-a1b2c3d4e5/r-ab12/}", "}", 1), "expected id and path"},
		"twice":             {strings.Replace(good, "222222222222", "111111111111", 1), "stands twice"},
		"a key twice":       {good + "id: o-a1b2c3d4e5\n", "id"},
	} {
		if _, err := organization.Parse("org.yaml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: found %v, want %q", name, err, c.says)
		}
	}
	if _, err := organization.Load("nowhere.yaml"); err == nil {
		t.Error("a file that is not there was read")
	}
}
