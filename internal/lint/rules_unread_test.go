package lint

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stint-dev/stint/internal/inventory"
)

// TestUnread: a part of a trust policy of which nothing is known is said, so
// that silence means that all of it was looked at.
func TestUnread(t *testing.T) {
	whole := func(statement string) world {
		return world{trust: `{"Version":"2012-10-17","Statement":` + statement + `}`}
	}
	ours := allowFor(github, trusted)
	chain := func(principal string) world {
		return whole(`[{"Effect":"Allow","Principal":` + principal + `,"Action":"sts:AssumeRole"}]`)
	}
	const further, who = "unknown: may have further statements", "unknown: of statement 1 is known only after a deployment"
	runWorlds(t, "sub-missing", []worldCase{
		{"no trust policy", world{}, "unknown: the trust policy of the role is not in the files"},
		{"every statement", whole(`"@@"`), further},
		{"a statement", whole(`["@@"]`), further},
		{"a statement beside one", whole(`[` + ours + `,"@@"]`), further},
		{"the principal", chain(`"@@"`), who},
		{"the AWS principal", chain(`{"AWS":"@@"}`), who},
		{"one of two AWS principals", chain(`{"AWS":["arn:aws:iam::111111111111:role/ci","@@"]}`), who},
		{"the kind of the principal", chain(`{"@@":"x"}`), who},
		{"the principal and the action", whole(`[{"Effect":"Allow","Principal":"@@","Action":"@@"}]`), who},
		{"the account of the principal", chain(`{"AWS":"arn:aws:iam::@@:root"}`), ""},
		{"the principal of a Deny", whole(`[` + ours + `,{"Effect":"Deny","Principal":"@@","Action":"sts:AssumeRole"}]`), ""},
		{"the principal of another action", whole(`[{"Effect":"Allow","Principal":"@@","Action":"sts:GetCallerIdentity"}]`), ""},
		{"nothing", whole(`[` + ours + `]`), ""},
	})

	inv := inventory.LoadFS(fstest.MapFS{
		"live/main.tf":      {Data: []byte("module \"here\" { source = \"../role\" }\nmodule \"beside\" { source = \"../../gone\" }\nmodule \"far\" { source = \"acme/role/aws\" }\n")},
		"role/main.tf":      {Data: []byte("variable \"x\" {}\n")},
		"live/json.tf.json": {Data: []byte(`{"module": {"json": {"source": "git::https://example.com/x.git"}}}`)},
	})
	_, unknown := by(Run(inv, Options{}), "sub-missing")
	var got []string
	for _, f := range unknown {
		got = append(got, f.Subject+" "+f.Message)
	}
	slices.Sort(got)
	if want := []string{
		"module.beside the module (../../gone) is not among the files, so no rule looked at the roles that it may make; name its folder too",
		"module.far the module (acme/role/aws) is not among the files, so no rule looked at the roles that it may make",
		"module.json the module (git::https://example.com/x.git) is not among the files, so no rule looked at the roles that it may make",
	}; !slices.Equal(got, want) {
		t.Errorf("found %q", got)
	}
}
