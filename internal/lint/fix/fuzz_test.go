package fix_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/internal/lint/fix"
	"github.com/stint-dev/stint/internal/source"
)

// layout writes values as a JSON list, or one of them alone, with blanks and
// line ends wherever JSON takes them.
func layout(rng *rand.Rand, values []string) string {
	blank := func() string {
		return []string{"", "", " ", "\n", "\n      ", "\r\n\t", "  "}[rng.IntN(7)]
	}
	if len(values) == 1 && rng.IntN(2) == 0 {
		return `"` + values[0] + `"`
	}
	var b strings.Builder
	b.WriteString("[")
	for i, v := range values {
		if i > 0 {
			b.WriteString(blank() + ",")
		}
		b.WriteString(blank() + `"` + v + `"`)
	}
	b.WriteString(blank() + "]")
	return b.String()
}

func written(t *testing.T, policy string) []string {
	t.Helper()
	nodes, err := source.ParseJSON("trust.json", []byte(policy))
	if err != nil {
		t.Fatalf("%s\n%s", err, policy)
	}
	var out []string
	value := nodes[0].Get("Statement").Items[0].Get("Condition").Get("StringLike").Get("token.actions.githubusercontent.com:sub")
	for _, v := range value.List() {
		out = append(out, v.Text.String())
	}
	return out
}

// expected is what the values are to be, said in another way than the code
// does it.
func expected(values []string, o fix.Options) []string {
	forms := strings.NewReplacer("octo-org@65/octo-repo@74", "octo-org/octo-repo", "octo-org@65/other@75", "octo-org/other")
	if o.To == fix.IDs {
		forms = strings.NewReplacer("octo-org/octo-repo", "octo-org@65/octo-repo@74", "octo-org/other", "octo-org@65/other@75")
	}
	out := slices.Clone(values)
	for _, v := range values {
		moved := forms.Replace(v)
		switch at := slices.Index(out, v); {
		case moved == v:
		case slices.Contains(out, moved) && o.Add:
		case slices.Contains(out, moved):
			out = slices.Delete(out, at, at+1)
		case o.Add:
			out = slices.Insert(out, at+1, moved)
		default:
			out[at] = moved
		}
	}
	return out
}

// FuzzMigrate: however a policy is laid out, the file afterwards says what is
// wanted, is the same outside of the list, and stays as it is the second time.
func FuzzMigrate(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	pool := []string{
		"repo:octo-org/octo-repo:*", "repo:octo-org/other:ref:refs/heads/main", "repo:octo-org@65/octo-repo@74:*",
		"repo:octo-org@65/other@75:ref:refs/heads/main", "repo:octo-org/octo-repo:environment:prod", "project_path:a/b:*", "system:serviceaccount:a:b",
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		values := slices.Clone(pool)
		rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		values = values[:1+rng.IntN(len(values))]
		o := fix.Options{To: []fix.Form{fix.IDs, fix.Names}[rng.IntN(2)], Add: rng.IntN(2) == 0}
		list := layout(rng, values)
		old := trust("StringLike", list)
		got, r := migrate(t, old, o)
		if len(r.Unchanged) > 0 {
			t.Fatalf("unchanged: %v\n%s", r.Unchanged, old)
		}
		if want := expected(values, o); !slices.Equal(written(t, got), want) {
			t.Errorf("%+v\nold  %q\ngot  %q\nwant %q\n%s", o, values, written(t, got), want, got)
		}
		before, after, _ := strings.Cut(old, list)
		if !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after) {
			t.Errorf("something else changed:\n%s\n%s", old, got)
		}
		if again, r := migrate(t, got, o); again != got || len(r.Files) > 0 {
			t.Errorf("the second time it changes again:\n%s", again)
		}
	})
}
