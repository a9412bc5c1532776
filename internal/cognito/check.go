package cognito

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/stint-dev/stint/internal/config"
)

// check adds what a broker would refuse of the pools that are complete, so that
// nothing leaves which it does not take.
func (i *Imported) check() {
	var b, pools bytes.Buffer
	b.WriteString("issuer: https://stint.example.invalid\nrules: []\n")
	seen := map[string]bool{}
	for _, p := range i.Pools {
		if len(p.Unknown) > 0 {
			continue
		}
		writePool(&pools, &p, "  ")
		for _, v := range p.Providers {
			if name := plainName(v.Provider); !seen[name] {
				if len(seen) == 0 {
					b.WriteString("issuers:\n")
				}
				seen[name] = true
				// The claims that name a tenant on each of the shared platforms.
				fmt.Fprintf(&b, "  i%d: {url: %s, audiences: [a], only: {repository_owner_id: \"1\", namespace_id: \"1\", organization_id: \"1\", oidc.circleci.com/org-id: \"1\"}}\n",
					len(seen), scalar("https://"+name))
			}
		}
	}
	if pools.Len() == 0 {
		return
	}
	b.WriteString("pools:\n")
	b.Write(pools.Bytes())
	_, err := config.Parse("", b.Bytes())
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			i.Problems = append(i.Problems, fmt.Errorf("the broker would refuse this: %s: %s", p.Path, p.Message))
		}
	}
}
