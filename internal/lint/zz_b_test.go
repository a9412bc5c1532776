package lint
import ("testing";"time";"strings";"fmt";"github.com/stint-dev/stint/internal/inventory")
func TestZZB(t *testing.T) {
	var list []string
	for i := range 3000 {
		list = append(list, allowFor(github, `{"StringEquals":{"gh:aud":"a"}}`), allowFor(github, fmt.Sprintf(`{"StringEquals":{"gh:sub":"repo:a/b%d:*"},"ForAllValues:StringEquals":{"aws:TagKeys":["a%d","b"]}}`, i, i)), fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["a%d","b"]}}}`, i))
	}
	w := world{trust: statements(list...), tags: map[string]string{"a7":"x"}}
	inv := w.inventory(t)
	for _, r := range Rules() {
		s := time.Now()
		p := &pass{rule: r, inv: inv}
		r.check(p)
		if d := time.Since(s); d > 100*time.Millisecond { fmt.Println(r.ID, d, len(p.findings)) }
	}
	_ = strings.Join
	_ = inventory.Role{}
}
